//! A place as an XML message states it: the eight shapes of PIDF-LO, and civic addresses. Shared by PIDF-LO, LoST and HELD.
//!
//! Latitude comes first, as EPSG 4326 and 4979 say; CRS84 is the one spelling with longitude first. What is damaged in a clear way is
//! repaired and noted: an open ring is closed, a ring that crosses itself becomes its hull, one of too many vertices its box, one
//! across the 180th meridian a circle. What says nothing (a pole beyond the pole, a radius beyond the Earth, 0, 0) is no place.
//!
//! # Source
//! RFC 5491, 5 (shapes, units); RFC 7459 (confidence); RFC 5139 (civic); RFC 5222, 12.2 (geodetic-2d).

use crate::contact::{ClaimSource, LocationClaim, Place, Whose};
use crate::geo::area::Shape;
use crate::geo::point::{Point, distance_cm};
use crate::geo::ring;
use crate::limits::{CIVIC_FIELDS_MAX, CIVIC_VALUE_BYTES_MAX, CLAIM_VERTICES_MAX, SHAPE_RADIUS_CM_MAX};
use crate::units::Ppm;
use crate::wire::notes::{Notes, cut, decimal};
use crate::wire::xml::{Item, Ns, Tag, Xml, XmlError};

/// Confidence of a place whose sender was silent about it (RFC 7459, 2.2), in per cent.
pub const CONFIDENCE_PERCENT_DEFAULT: f64 = 95.0;

/// The shapes by their names in the standard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    ArcBand,
    Circle,
    Ellipse,
    Ellipsoid,
    Point,
    Polygon,
    Prism,
    Sphere,
}

impl Kind {
    pub const fn word(self) -> &'static str {
        match self {
            Self::ArcBand => "ArcBand",
            Self::Circle => "Circle",
            Self::Ellipse => "Ellipse",
            Self::Ellipsoid => "Ellipsoid",
            Self::Point => "Point",
            Self::Polygon => "Polygon",
            Self::Prism => "Prism",
            Self::Sphere => "Sphere",
        }
    }

    fn of(tag: &Tag<'_>) -> Option<Self> {
        const ALL: [Kind; 8] =
            [Kind::ArcBand, Kind::Circle, Kind::Ellipse, Kind::Ellipsoid, Kind::Point, Kind::Polygon, Kind::Prism, Kind::Sphere];
        let shapes = tag.within(Ns::Gml) || tag.within(Ns::PidfLoShape);
        if shapes { ALL.into_iter().find(|kind| kind.word() == tag.local()) } else { None }
    }
}

/// A shape as it was stated. Degrees (WGS 84, latitude first) and metres; what the shape does not have is `None`.
#[derive(Clone, Debug, PartialEq)]
pub struct Stated {
    pub kind: Kind,
    /// Center, mast or centroid.
    pub lat: f64,
    pub lon: f64,
    pub alt_m: Option<f64>,
    pub radius_m: Option<f64>,
    pub semi_major_m: Option<f64>,
    pub semi_minor_m: Option<f64>,
    pub vertical_m: Option<f64>,
    /// Clockwise from north.
    pub orientation_deg: Option<f64>,
    pub inner_m: Option<f64>,
    pub outer_m: Option<f64>,
    pub start_deg: Option<f64>,
    pub opening_deg: Option<f64>,
    pub height_m: Option<f64>,
    /// Latitude and longitude, closed; empty but for polygons and prisms.
    pub ring: Vec<[f64; 2]>,
    /// Per cent, where the sender said.
    pub confidence: Option<f64>,
    /// The same place as the engine works with it.
    pub shape: Shape,
}

impl Stated {
    /// The place as a claim.
    pub fn claim(&self, whose: Whose, source: ClaimSource, age_secs: u32) -> LocationClaim {
        let percent = self.confidence.unwrap_or(CONFIDENCE_PERCENT_DEFAULT);
        let confidence = Ppm((percent.clamp(0.0, 100.0) * 1e4).round() as u32);
        LocationClaim { whose, place: Place::Shape(self.shape.clone()), source, age_secs, confidence }
    }
}

/// A civic address: element names as in the standard, in the order they came.
pub type Civic = Vec<(Box<str>, Box<str>)>;

/// Which coordinates a position holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Crs {
    LatLon,
    LatLonAlt,
    LonLat,
    Unknown,
}

impl Crs {
    /// `EPSG:4326`, `EPSG::4979`, the URN, the URLs with `#` or `/`, `CRS84`, or nothing.
    fn of(name: Option<&str>, notes: &mut Notes) -> Self {
        let Some(name) = name.map(str::trim).filter(|name| !name.is_empty()) else {
            notes.note("srs_missing");
            return Self::LatLon;
        };
        let lower = cut(name, 128).to_ascii_lowercase();
        let last = lower.rsplit([':', '#', '/', '.']).next().unwrap_or_default();
        match last {
            "4326" if lower.contains("epsg") => Self::LatLon,
            "4979" if lower.contains("epsg") => Self::LatLonAlt,
            "crs84" => Self::LonLat,
            "wgs84" | "wgs-84" => Self::LatLon,
            _ => {
                notes.note("srs_unknown");
                Self::Unknown
            }
        }
    }
}

/// Reads the shape that has just been opened, to its end. `None` when the element is no shape, or says nothing; the notes say which.
///
/// # Errors
/// Only when the document ends or breaks in it.
pub fn shape(xml: &mut Xml<'_>, tag: &Tag<'_>, notes: &mut Notes) -> Result<Option<Stated>, XmlError> {
    let Some(kind) = Kind::of(tag) else {
        xml.skip()?;
        return Ok(None);
    };
    let mut draft = Draft { crs: Crs::of(tag.attribute("srsName").as_deref(), notes), ..Draft::default() };
    let inside = xml.depth();
    loop {
        match xml.step()? {
            Item::Open(tag) => draft.child(xml, &tag, notes)?,
            Item::Text(text) if !text.trim().is_empty() => draft.bare(&text, xml.depth() == inside, notes),
            Item::Close if xml.depth() < inside => break,
            Item::End => return Err(XmlError::Malformed),
            _ => {}
        }
    }
    Ok(draft.finish(kind, notes))
}

/// Reads the civic address that has just been opened, to its end.
///
/// # Errors
/// Only when the document ends or breaks in it.
pub fn civic(xml: &mut Xml<'_>, notes: &mut Notes) -> Result<Civic, XmlError> {
    let inside = xml.depth();
    let mut fields = Civic::new();
    loop {
        match xml.step()? {
            Item::Open(tag) if tag.within(Ns::Civic) => {
                let name: Box<str> = cut(tag.local(), 32).into();
                let value = xml.text()?;
                if fields.len() >= CIVIC_FIELDS_MAX {
                    notes.note("civic_cut");
                } else if !value.is_empty() {
                    fields.push((name, cut(&value, CIVIC_VALUE_BYTES_MAX).into()));
                }
            }
            Item::Open(_) => xml.skip()?,
            Item::Close if xml.depth() < inside => return Ok(fields),
            Item::End => return Err(XmlError::Malformed),
            _ => {}
        }
    }
}

/// What has been read of a shape.
struct Draft {
    crs: Crs,
    vertices: Vertices,
    bad_position: bool,
    radius_m: Option<f64>,
    bad_radius: bool,
    semi_major_m: Option<f64>,
    semi_minor_m: Option<f64>,
    vertical_m: Option<f64>,
    orientation_deg: Option<f64>,
    inner_m: Option<f64>,
    outer_m: Option<f64>,
    start_deg: Option<f64>,
    opening_deg: Option<f64>,
    height_m: Option<f64>,
}

impl Default for Draft {
    fn default() -> Self {
        Self {
            crs: Crs::LatLon,
            vertices: Vertices::default(),
            bad_position: false,
            radius_m: None,
            bad_radius: false,
            semi_major_m: None,
            semi_minor_m: None,
            vertical_m: None,
            orientation_deg: None,
            inner_m: None,
            outer_m: None,
            start_deg: None,
            opening_deg: None,
            height_m: None,
        }
    }
}

impl Draft {
    fn child(&mut self, xml: &mut Xml<'_>, tag: &Tag<'_>, notes: &mut Notes) -> Result<(), XmlError> {
        if !(tag.within(Ns::Gml) || tag.within(Ns::PidfLoShape)) {
            return xml.skip();
        }
        // A position may name a system of its own.
        if let Some(name) = tag.attribute("srsName") {
            self.crs = Crs::of(Some(&name), notes);
        }
        let uom = tag.attribute("uom").map(|uom| uom.into_owned());
        match tag.local() {
            "pos" | "coordinates" => {
                let text = xml.text()?;
                self.position(&text);
            }
            "posList" => {
                let stated = tag.attribute("srsDimension").and_then(|text| text.trim().parse().ok());
                let text = xml.text()?;
                self.positions(&text, stated);
            }
            // Containers: their children follow in the same walk.
            "exterior" | "LinearRing" | "base" | "Polygon" | "pointMember" | "pointProperty" | "Point" => {}
            "interior" => {
                notes.note("polygon_hole_ignored");
                xml.skip()?;
            }
            "radius" => {
                let radius = decimal(&xml.text()?);
                self.bad_radius = radius.is_none_or(|radius| radius < 0.0);
                self.radius_m = metres(radius, uom.as_deref(), notes);
            }
            "semiMajorAxis" => self.semi_major_m = metres(decimal(&xml.text()?), uom.as_deref(), notes),
            "semiMinorAxis" => self.semi_minor_m = metres(decimal(&xml.text()?), uom.as_deref(), notes),
            "verticalAxis" => self.vertical_m = metres(decimal(&xml.text()?), uom.as_deref(), notes),
            "height" => self.height_m = metres(decimal(&xml.text()?), uom.as_deref(), notes),
            "innerRadius" => self.inner_m = metres(decimal(&xml.text()?), uom.as_deref(), notes),
            "outerRadius" => self.outer_m = metres(decimal(&xml.text()?), uom.as_deref(), notes),
            "orientation" => self.orientation_deg = degrees(decimal(&xml.text()?), uom.as_deref(), notes),
            "startAngle" => self.start_deg = degrees(decimal(&xml.text()?), uom.as_deref(), notes),
            "openingAngle" => self.opening_deg = degrees(decimal(&xml.text()?), uom.as_deref(), notes),
            _ => xml.skip()?,
        }
        Ok(())
    }

    /// Numbers straight inside the shape, without the element they belong in.
    fn bare(&mut self, text: &str, directly: bool, notes: &mut Notes) {
        if directly && self.vertices.count == 0 {
            notes.note("position_without_pos");
            self.position(text);
        }
    }

    fn position(&mut self, text: &str) {
        let mut numbers = [0.0; 3];
        let mut count = 0;
        for token in tokens(text) {
            match (numbers.get_mut(count), decimal(token)) {
                (Some(slot), Some(number)) => *slot = number,
                _ => {
                    self.bad_position = true;
                    return;
                }
            }
            count += 1;
        }
        let [first, second, third] = numbers;
        self.bad_position |= count < 2;
        if count >= 2 {
            self.vertex(first, second, (count == 3).then_some(third));
        }
    }

    fn positions(&mut self, text: &str, stated: Option<usize>) {
        let count = tokens(text).count();
        let expected = stated.unwrap_or(if self.crs == Crs::LatLonAlt { 3 } else { 2 });
        let Some(dimension) = [expected, 2, 3].into_iter().find(|dimension| matches!(dimension, 2 | 3) && count.is_multiple_of(*dimension))
        else {
            self.bad_position = true;
            return;
        };
        let mut numbers = tokens(text).map(decimal);
        while let Some(first) = numbers.next() {
            let (second, third) = (numbers.next().flatten(), if dimension == 3 { numbers.next().flatten() } else { None });
            match first.zip(second) {
                Some((first, second)) => self.vertex(first, second, third),
                None => self.bad_position = true,
            }
        }
    }

    fn vertex(&mut self, first: f64, second: f64, alt_m: Option<f64>) {
        let (lat, lon) = if self.crs == Crs::LonLat { (second, first) } else { (first, second) };
        self.bad_position |= Point::from_degrees(lat, lon).is_none();
        self.vertices.add(lat, lon, alt_m);
    }

    fn finish(self, kind: Kind, notes: &mut Notes) -> Option<Stated> {
        let first = self.vertices.kept.first().copied();
        if self.crs == Crs::Unknown {
            return None;
        }
        let Some([lat, lon]) = first.filter(|_| !self.bad_position) else {
            notes.note("position_unreadable");
            return None;
        };
        if self.vertices.kept.iter().all(|[lat, lon]| *lat == 0.0 && *lon == 0.0) {
            notes.note("position_null_island");
            return None;
        }
        let center = Point::from_degrees(lat, lon)?;
        let mut stated = Stated {
            kind,
            lat,
            lon,
            alt_m: self.vertices.alt_m,
            radius_m: None,
            semi_major_m: None,
            semi_minor_m: None,
            vertical_m: self.vertical_m,
            orientation_deg: None,
            inner_m: None,
            outer_m: None,
            start_deg: None,
            opening_deg: None,
            height_m: None,
            ring: Vec::new(),
            confidence: None,
            shape: Shape::Point(center),
        };
        let ok = match kind {
            Kind::Point => true,
            Kind::Circle | Kind::Sphere => self.round(&mut stated, center, notes),
            Kind::Ellipse | Kind::Ellipsoid => self.oval(&mut stated, center, notes),
            Kind::ArcBand => self.band(&mut stated, center, notes),
            Kind::Polygon | Kind::Prism => {
                stated.height_m = self.height_m;
                polygon(&self.vertices, &mut stated, notes)
            }
        };
        ok.then_some(stated)
    }

    fn round(&self, stated: &mut Stated, center: Point, notes: &mut Notes) -> bool {
        match self.radius_m {
            Some(radius_m) if !self.bad_radius => {
                stated.radius_m = Some(radius_m);
                let Some(radius_cm) = cm(radius_m, notes) else { return false };
                stated.shape = if radius_cm == 0 { Shape::Point(center) } else { Shape::Circle { center, radius_cm } };
            }
            // The center is still good; how good is not known.
            _ => {
                notes.note("radius_unreadable");
                stated.kind = Kind::Point;
            }
        }
        true
    }

    fn oval(&self, stated: &mut Stated, center: Point, notes: &mut Notes) -> bool {
        let (Some(major_m), Some(minor_m)) = (self.semi_major_m.or(self.semi_minor_m), self.semi_minor_m.or(self.semi_major_m)) else {
            notes.note("radius_unreadable");
            stated.kind = Kind::Point;
            return true;
        };
        let (Some(semi_major_cm), Some(semi_minor_cm)) = (cm(major_m, notes), cm(minor_m, notes)) else { return false };
        (stated.semi_major_m, stated.semi_minor_m) = (Some(major_m), Some(minor_m));
        stated.orientation_deg = self.orientation_deg;
        let orientation_mdeg = mdeg(self.orientation_deg.unwrap_or(0.0));
        stated.shape = match self.orientation_deg {
            _ if semi_major_cm.max(semi_minor_cm) == 0 => Shape::Point(center),
            Some(_) => Shape::Ellipse { center, semi_major_cm, semi_minor_cm, orientation_mdeg },
            // Any direction is possible: the circle around the ellipse holds them all.
            None => Shape::Circle { center, radius_cm: semi_major_cm.max(semi_minor_cm) },
        };
        repair(stated)
    }

    fn band(&self, stated: &mut Stated, center: Point, notes: &mut Notes) -> bool {
        let Some(outer_m) = self.outer_m else {
            // A mast alone is not where the caller is.
            notes.note("radius_unreadable");
            return false;
        };
        let inner_m = self.inner_m.unwrap_or(0.0);
        let (Some(inner_cm), Some(outer_cm)) = (cm(inner_m, notes), cm(outer_m, notes)) else { return false };
        let opening_deg = self.opening_deg.filter(|opening| *opening > 0.0).map_or(360.0, |opening| opening.min(360.0));
        notes.note_if(self.opening_deg.is_none(), "opening_missing");
        let start_deg = self.start_deg.unwrap_or(0.0);
        (stated.inner_m, stated.outer_m) = (Some(inner_m), Some(outer_m));
        (stated.start_deg, stated.opening_deg) = (Some(start_deg), Some(opening_deg));
        let opening_mdeg = (opening_deg * 1e3).round() as u32;
        stated.shape = Shape::ArcBand { center, inner_cm, outer_cm, start_mdeg: mdeg(start_deg), opening_mdeg };
        repair(stated)
    }
}

/// The vertices of a ring, or the one position of another shape. Beyond the bound only the box is kept.
#[derive(Default)]
struct Vertices {
    kept: Vec<[f64; 2]>,
    count: usize,
    alt_m: Option<f64>,
    /// South, west, north, east of all.
    bounds: Option<[f64; 4]>,
}

impl Vertices {
    fn add(&mut self, lat: f64, lon: f64, alt_m: Option<f64>) {
        if self.count == 0 {
            self.alt_m = alt_m;
        }
        self.count += 1;
        // One more than a ring may have: the closing one.
        if self.kept.len() <= CLAIM_VERTICES_MAX {
            self.kept.push([lat, lon]);
        }
        let [south, west, north, east] = self.bounds.unwrap_or([lat, lon, lat, lon]);
        self.bounds = Some([south.min(lat), west.min(lon), north.max(lat), east.max(lon)]);
    }
}

fn polygon(vertices: &Vertices, stated: &mut Stated, notes: &mut Notes) -> bool {
    let mut ring = vertices.kept.clone();
    if let (true, Some([south, west, north, east])) = (vertices.count > ring.len(), vertices.bounds) {
        notes.note("polygon_too_many_vertices");
        ring = vec![[south, west], [south, east], [north, east], [north, west], [south, west]];
    }
    if ring.first() == ring.last() && ring.len() > 1 {
        ring.pop();
    } else {
        notes.note("polygon_open");
    }
    let around = vertices.bounds.is_some_and(|[_, west, _, east]| east - west > 180.0);
    if around {
        notes.note("polygon_crosses_180");
        ring.iter_mut().filter(|[_, lon]| *lon < 0.0).for_each(|[_, lon]| *lon += 360.0);
    }
    let [lat, lon] = centroid(&ring);
    (stated.lat, stated.lon) = (lat, if lon > 180.0 { lon - 360.0 } else { lon });
    if around {
        ring.iter_mut().filter(|[_, lon]| *lon > 180.0).for_each(|[_, lon]| *lon -= 360.0);
    }
    let points: Vec<Point> = ring.iter().filter_map(|[lat, lon]| Point::from_degrees(*lat, *lon)).collect();
    let Some(center) = Point::from_degrees(stated.lat, stated.lon) else { return false };
    stated.shape = if around {
        let reach_cm = points.iter().map(|point| distance_cm(center, *point)).max().unwrap_or(0);
        Shape::Circle { center, radius_cm: reach_cm.min(SHAPE_RADIUS_CM_MAX) }
    } else {
        let clean = ring::normalised(&points);
        if ring::self_intersection(&clean).is_some() {
            notes.note("polygon_crosses_itself");
            Shape::Polygon(hull(clean))
        } else {
            Shape::Polygon(clean)
        }
    };
    if let Some(first) = ring.first().copied() {
        ring.push(first);
    }
    stated.ring = ring;
    if let Shape::Polygon(points) = &stated.shape
        && points.len() < 3
    {
        // Fewer than three corners: a point or a line, and the middle of it is as good as any.
        notes.note("polygon_without_inside");
        let reach_cm = points.iter().map(|point| distance_cm(center, *point)).max().unwrap_or(0);
        stated.shape = Shape::Circle { center, radius_cm: reach_cm };
    }
    repair(stated)
}

fn repair(stated: &mut Stated) -> bool {
    match stated.shape.clone().repaired() {
        Ok(shape) => {
            stated.shape = shape;
            true
        }
        Err(_) => false,
    }
}

/// The centroid by area; of a ring without an area the mean of its corners.
fn centroid(ring: &[[f64; 2]]) -> [f64; 2] {
    let count = ring.len().max(1) as f64;
    let mean = [0, 1].map(|axis| ring.iter().map(|vertex| vertex[axis]).sum::<f64>() / count);
    let (mut doubled, mut lat, mut lon) = (0.0, 0.0, 0.0);
    for (at, a) in ring.iter().enumerate() {
        let b = ring.get((at + 1) % ring.len()).unwrap_or(a);
        // Relative to the mean, so that small rings far from 0, 0 lose no digits.
        let (a, b) = ([a[0] - mean[0], a[1] - mean[1]], [b[0] - mean[0], b[1] - mean[1]]);
        let cross = a[1] * b[0] - b[1] * a[0];
        doubled += cross;
        lat += (a[0] + b[0]) * cross;
        lon += (a[1] + b[1]) * cross;
    }
    let round = |degrees: f64| (degrees * 1e7).round() / 1e7;
    if doubled.abs() < 1e-12 {
        return mean.map(round);
    }
    [round(mean[0] + lat / (3.0 * doubled)), round(mean[1] + lon / (3.0 * doubled))]
}

/// The convex hull, counter-clockwise (monotone chain).
fn hull(mut points: Vec<Point>) -> Vec<Point> {
    points.sort_unstable_by_key(|point| (point.lon_e7, point.lat_e7));
    points.dedup();
    let chain = |points: &mut dyn Iterator<Item = Point>| {
        let mut chain: Vec<Point> = Vec::new();
        for point in points {
            while let [.., a, b] = chain.as_slice()
                && ring::turn(*a, *b, point) <= 0
            {
                chain.pop();
            }
            chain.push(point);
        }
        chain.pop();
        chain
    };
    let mut lower = chain(&mut points.iter().copied());
    lower.extend(chain(&mut points.iter().rev().copied()));
    lower
}

fn tokens(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c.is_ascii_whitespace() || c == ',').filter(|token| !token.is_empty())
}

/// A length in metres, whatever unit it was stated in; negative ones are nobody's.
fn metres(value: Option<f64>, uom: Option<&str>, notes: &mut Notes) -> Option<f64> {
    let value = value.filter(|value| *value >= 0.0)?;
    let last = uom.map(|uom| uom.rsplit([':', '#', '/']).next().unwrap_or_default().trim().to_ascii_lowercase());
    Some(match last.as_deref() {
        None | Some("" | "9001" | "m" | "metre" | "metres" | "meter" | "meters") => value,
        Some("9036" | "km" | "kilometre" | "kilometer") => value * 1e3,
        Some("9002" | "ft" | "foot" | "feet") => value * 0.3048,
        Some(_) => {
            notes.note("uom_unknown");
            value
        }
    })
}

/// An angle in degrees. Radians beyond a full turn are degrees with the wrong label, as one widespread sender writes them.
fn degrees(value: Option<f64>, uom: Option<&str>, notes: &mut Notes) -> Option<f64> {
    let value = value?;
    let last = uom.map(|uom| uom.rsplit([':', '#', '/']).next().unwrap_or_default().trim().to_ascii_lowercase());
    Some(match last.as_deref() {
        Some("9101" | "rad" | "radian" | "radians") if value.abs() <= core::f64::consts::TAU => value.to_degrees(),
        Some("9101" | "rad" | "radian" | "radians") => {
            notes.note("uom_unlikely");
            value
        }
        None | Some("" | "9102" | "9122" | "deg" | "degree" | "degrees") => value,
        Some(_) => {
            notes.note("uom_unknown");
            value
        }
    })
}

fn cm(metres: f64, notes: &mut Notes) -> Option<u32> {
    let cm = (metres * 100.0).round();
    if cm > f64::from(SHAPE_RADIUS_CM_MAX) {
        notes.note("radius_useless");
        return None;
    }
    Some(cm as u32)
}

fn mdeg(degrees: f64) -> u32 {
    (degrees.rem_euclid(360.0) * 1e3).round() as u32 % 360_000
}
