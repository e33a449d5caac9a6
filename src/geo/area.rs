//! Shapes of uncertainty: where a caller may be, and with what probability in whose area.
//!
//! A shape is judged by its whole surface, never by one point of it: [`overlap`] says which share of it lies in which area.

use arrayvec::ArrayVec;

use super::grid::{Grid, Only};
use super::point::{BBox, Point, cm_to_lat_e7, cm_to_lon_e7, distance_cm, moved, offset, plane_cm};
use super::ring;
use super::trig::{self, SINE_BITS};
use crate::limits::{CANDIDATES_MAX, CLAIM_VERTICES_MAX, SHAPE_RADIUS_CM_MAX};
use crate::units::Ppm;

/// A claimed place as a shape. Distances in centimetres on the ground, angles in thousandths of a degree clockwise from north.
///
/// # Source
/// RFC 5491, 5 (the eight PIDF-LO shapes; the three-dimensional ones are read as their ground projection).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Shape {
    Point(Point),
    Circle {
        center: Point,
        radius_cm: u32,
    },
    Ellipse {
        center: Point,
        semi_major_cm: u32,
        semi_minor_cm: u32,
        orientation_mdeg: u32,
    },
    ArcBand {
        center: Point,
        inner_cm: u32,
        outer_cm: u32,
        start_mdeg: u32,
        opening_mdeg: u32,
    },
    /// The outer ring, not repeated at the end, 3 to [`crate::limits::CLAIM_VERTICES_MAX`] vertices.
    Polygon(Vec<Point>),
}

/// Why a claimed shape cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ShapeError {
    #[error("a vertex or center is not on the globe")]
    OffGlobe,
    #[error("a radius of {cm} cm says nothing about a place")]
    RadiusTooLarge { cm: u32 },
    #[error("a polygon of {vertices} distinct neighbouring vertices has no inside")]
    TooFewVertices { vertices: usize },
    #[error("a polygon of {vertices} vertices is larger than any claim")]
    TooManyVertices { vertices: usize },
}

/// A full turn, in thousandths of a degree.
const FULL_MDEG: u32 = 360_000;
/// Points laid over a shape to weigh its shares; the error of a share is below one percent.
pub const OVERLAP_SAMPLES: u32 = 1_024;
/// The golden part of a turn: successive points on a spiral are spread as evenly as can be.
const GOLDEN_TURN: u32 = 1_640_531_527;
/// The two steps of the plane's best additive lattice, in parts of 2^32 (1/g and 1/g², g³ = g + 1).
const LATTICE_LAT: u32 = 3_242_174_889;
const LATTICE_LON: u32 = 2_447_445_414;
/// Lattice points tried for each point wanted inside a polygon; thinner polygons are sampled along their edges.
const POLYGON_TRIES: u32 = 16;

impl Shape {
    /// The shape in the one form the engine works with, or why it cannot be used: a polygon loses its closing and doubled
    /// vertices, a circle without radius becomes a point, an arc band's radii stand in order, angles are below a full turn (an
    /// opening may be a full one), an ellipse's longer axis is first.
    ///
    /// # Errors
    /// A place off the globe, a radius above [`SHAPE_RADIUS_CM_MAX`], a polygon of fewer than 3 or more than
    /// [`CLAIM_VERTICES_MAX`] vertices.
    pub fn repaired(self) -> Result<Self, ShapeError> {
        let on_globe = |point: Point| Point::new(point.lat_e7, point.lon_e7).ok_or(ShapeError::OffGlobe);
        let fair = |cm: u32| if cm > SHAPE_RADIUS_CM_MAX { Err(ShapeError::RadiusTooLarge { cm }) } else { Ok(cm) };
        Ok(match self {
            Self::Point(point) => Self::Point(on_globe(point)?),
            Self::Circle { center, radius_cm: 0 } => Self::Point(on_globe(center)?),
            Self::Circle { center, radius_cm } => Self::Circle { center: on_globe(center)?, radius_cm: fair(radius_cm)? },
            Self::Ellipse { center, semi_major_cm, semi_minor_cm, orientation_mdeg } => {
                let (center, swapped) = (on_globe(center)?, semi_minor_cm > semi_major_cm);
                let turned = if swapped { FULL_MDEG / 4 } else { 0 };
                Self::Ellipse {
                    center,
                    semi_major_cm: fair(semi_major_cm.max(semi_minor_cm))?,
                    semi_minor_cm: semi_minor_cm.min(semi_major_cm),
                    orientation_mdeg: (orientation_mdeg % FULL_MDEG + turned) % FULL_MDEG,
                }
            }
            Self::ArcBand { center, inner_cm, outer_cm, start_mdeg, opening_mdeg } => Self::ArcBand {
                center: on_globe(center)?,
                inner_cm: inner_cm.min(outer_cm),
                outer_cm: fair(outer_cm.max(inner_cm))?,
                start_mdeg: start_mdeg % FULL_MDEG,
                opening_mdeg: opening_mdeg.min(FULL_MDEG),
            },
            Self::Polygon(vertices) => {
                vertices.iter().try_for_each(|vertex| on_globe(*vertex).map(drop))?;
                if vertices.len() > 2 * CLAIM_VERTICES_MAX {
                    return Err(ShapeError::TooManyVertices { vertices: vertices.len() });
                }
                let clean = ring::normalised(&vertices);
                match clean.len() {
                    0..3 => return Err(ShapeError::TooFewVertices { vertices: clean.len() }),
                    count if count > CLAIM_VERTICES_MAX => return Err(ShapeError::TooManyVertices { vertices: count }),
                    _ => Self::Polygon(clean),
                }
            }
        })
    }

    /// Whether [`Shape::repaired`] would give back the same shape.
    pub fn is_valid(&self) -> bool {
        self.clone().repaired().as_ref() == Ok(self)
    }

    /// A box that holds the shape. For an arc band it holds the band and not its mast.
    pub fn bbox(&self) -> BBox {
        match self {
            Self::Point(point) => BBox { min: *point, max: *point },
            Self::Circle { center, radius_cm } => BBox::around(*center, *radius_cm),
            Self::Ellipse { center, semi_major_cm, .. } => BBox::around(*center, *semi_major_cm),
            Self::ArcBand { center, inner_cm, outer_cm, start_mdeg, opening_mdeg } => {
                let band = Band::new(*center, *inner_cm, *outer_cm, *start_mdeg, *opening_mdeg);
                band.bbox()
            }
            Self::Polygon(vertices) => BBox::of(vertices.iter().copied()).unwrap_or(BBox { min: Point::default(), max: Point::default() }),
        }
    }

    /// One point that stands for the shape and lies in it: the center; the middle of an arc band (its mast only when the band is
    /// a whole disc); a point inside a polygon.
    pub fn representative(&self) -> Point {
        match self {
            Self::Point(point) => *point,
            Self::Circle { center, .. } | Self::Ellipse { center, .. } => *center,
            Self::ArcBand { center, inner_cm, outer_cm, start_mdeg, opening_mdeg } => {
                let band = Band::new(*center, *inner_cm, *outer_cm, *start_mdeg, *opening_mdeg);
                if band.is_disc() { *center } else { band.at(u32::MAX / 2, u32::MAX / 2) }
            }
            Self::Polygon(vertices) => inside_polygon(vertices),
        }
    }

    /// A radius around [`Shape::representative`] that holds the whole shape, in centimetres.
    pub fn reach_cm(&self) -> u32 {
        match self {
            Self::Point(_) => 0,
            Self::Circle { radius_cm, .. } => *radius_cm,
            Self::Ellipse { semi_major_cm, semi_minor_cm, .. } => (*semi_major_cm).max(*semi_minor_cm),
            Self::ArcBand { center, inner_cm, outer_cm, start_mdeg, opening_mdeg } => {
                let band = Band::new(*center, *inner_cm, *outer_cm, *start_mdeg, *opening_mdeg);
                let from = self.representative();
                let farthest = band.outline().map(|point| distance_cm(from, point)).max().unwrap_or(0);
                // The outline is a chain of chords; the arc bulges beyond each by less than a hundredth of the radius.
                farthest.saturating_add(*outer_cm / 100 + 1)
            }
            Self::Polygon(vertices) => {
                let from = self.representative();
                vertices.iter().map(|vertex| distance_cm(from, *vertex)).max().unwrap_or(0)
            }
        }
    }

    /// Whether a point lies in the shape. Round shapes own their rim; polygons are half-open (see [`ring`]).
    pub fn contains(&self, point: Point) -> bool {
        match self {
            Self::Point(only) => *only == point,
            Self::Circle { center, radius_cm } => distance_cm(*center, point) <= *radius_cm,
            Self::Ellipse { center, semi_major_cm, semi_minor_cm, orientation_mdeg } => {
                let (north, east) = plane_cm(*center, point, center.lat_e7);
                let turn = trig::turn_from_mdeg(*orientation_mdeg);
                let (sin, cos) = (i128::from(trig::sin(turn)), i128::from(trig::cos(turn)));
                let along = (i128::from(north) * cos + i128::from(east) * sin) >> SINE_BITS;
                let aside = (i128::from(east) * cos - i128::from(north) * sin) >> SINE_BITS;
                let (major, minor) = (i128::from(*semi_major_cm), i128::from(*semi_minor_cm));
                // Both legs are below 2^33 and both axes below 2^32, so a product of four stays below 2^127.
                if along.abs() > major || aside.abs() > minor {
                    return false;
                }
                (along * minor).pow(2) + (aside * major).pow(2) <= (major * minor).pow(2)
            }
            Self::ArcBand { center, inner_cm, outer_cm, start_mdeg, opening_mdeg } => {
                Band::new(*center, *inner_cm, *outer_cm, *start_mdeg, *opening_mdeg).contains(point)
            }
            Self::Polygon(vertices) => ring::contains(vertices, point),
        }
    }

    /// Lays about `count` points evenly over the shape's surface, the same ones every time. A shape without a surface gives a
    /// single point, a polygon thinner than its box by more than [`POLYGON_TRIES`] gives fewer points than asked. At least one.
    pub fn samples(&self, count: u32, mut each: impl FnMut(Point)) {
        let count = count.max(1);
        match self {
            Self::Point(point) => each(*point),
            Self::Circle { center, radius_cm: 0 } => each(*center),
            Self::Circle { center, radius_cm } => {
                let oval = Oval::new(*center, *radius_cm, *radius_cm, 0);
                (0..count).for_each(|index| each(oval.at(spiral(index, count))));
            }
            Self::Ellipse { center, semi_major_cm, semi_minor_cm, orientation_mdeg } => {
                let oval = Oval::new(*center, *semi_major_cm, *semi_minor_cm, *orientation_mdeg);
                (0..count).for_each(|index| each(oval.at(spiral(index, count))));
            }
            Self::ArcBand { center, inner_cm, outer_cm, start_mdeg, opening_mdeg } => {
                let band = Band::new(*center, *inner_cm, *outer_cm, *start_mdeg, *opening_mdeg);
                for index in 0..count {
                    let (out, around) = fan(index, count);
                    each(band.at(out, around));
                }
            }
            Self::Polygon(vertices) => polygon_samples(vertices, count, &mut each),
        }
    }

    /// The shape widened by an accuracy that is independent of it: a point becomes a circle, a circle's radius and an ellipse's
    /// axes the root of the sum of the squares. An arc band is widened at its radii and its sides; a polygon stays, because
    /// whoever draws one draws it wide.
    pub fn inflated(&self, inflate_cm: u32) -> Self {
        if inflate_cm == 0 {
            return self.clone();
        }
        let widened = |cm: u32| {
            let square = u64::from(cm) * u64::from(cm) + u64::from(inflate_cm.min(1 << 31)) * u64::from(inflate_cm.min(1 << 31));
            trig::root(square).min(u64::from(u32::MAX)) as u32
        };
        match self {
            Self::Point(point) => Self::Circle { center: *point, radius_cm: inflate_cm },
            Self::Circle { center, radius_cm } => Self::Circle { center: *center, radius_cm: widened(*radius_cm) },
            Self::Ellipse { center, semi_major_cm, semi_minor_cm, orientation_mdeg } => Self::Ellipse {
                center: *center,
                semi_major_cm: widened(*semi_major_cm),
                semi_minor_cm: widened(*semi_minor_cm),
                orientation_mdeg: *orientation_mdeg,
            },
            Self::ArcBand { center, inner_cm, outer_cm, start_mdeg, opening_mdeg } => {
                let half_cm = (outer_cm - (*inner_cm).min(*outer_cm)) / 2;
                let more_cm = widened(half_cm) - half_cm;
                // Sideways by the same length, seen from the mast at the middle of the band.
                let middle_cm = u64::from((inner_cm / 2 + outer_cm / 2).max(1));
                let more_mdeg = (u64::from(more_cm) * 57_296 / middle_cm).min(u64::from(FULL_MDEG)) as u32;
                let opening_mdeg = opening_mdeg.saturating_add(2 * more_mdeg);
                let start_mdeg = if opening_mdeg >= FULL_MDEG { 0 } else { (start_mdeg + FULL_MDEG - more_mdeg) % FULL_MDEG };
                Self::ArcBand {
                    center: *center,
                    inner_cm: inner_cm.saturating_sub(more_cm),
                    outer_cm: outer_cm.saturating_add(more_cm),
                    start_mdeg,
                    opening_mdeg: opening_mdeg.min(FULL_MDEG),
                }
            }
            Self::Polygon(_) => self.clone(),
        }
    }
}

/// Shares of a shape by owner, largest first.
pub type Shares = ArrayVec<(Option<u16>, Ppm), CANDIDATES_MAX>;

/// The probability that a caller inside `shape` is inside each area: the share of the shape's surface, by owner. Largest first;
/// of equal shares the smaller area first, and `None`, the outside, last. At most [`CANDIDATES_MAX`]; the largest stay.
///
/// # Cost
/// One walk over the cells of the shape's box when they all have one owner; else of those of its parts, and a look-up for each of
/// [`OVERLAP_SAMPLES`] points in parts that a border runs through.
///
/// # Source
/// RFC 7459, 5.3 (the confidence of the claim itself is for the caller to multiply in).
pub fn overlap(grid: &Grid, shape: &Shape, inflate_cm: u32, shares: &mut Shares) {
    // A polygon is not widened, so it is not copied either: nothing here allocates.
    let widened = if matches!(shape, Shape::Polygon(_)) { None } else { Some(shape.inflated(inflate_cm)) };
    let shape = widened.as_ref().unwrap_or(shape);
    shares.clear();
    if let Shape::Point(point) = shape {
        shares.push((grid.owner(*point), Ppm::ONE));
        return;
    }
    if let Only::Certain(owner) = grid.only_candidate(shape.bbox()) {
        shares.push((owner, Ppm::ONE));
        return;
    }
    let mut tally = Tally::default();
    match shape {
        Shape::Circle { center, radius_cm } if *radius_cm > 0 => Oval::new(*center, *radius_cm, *radius_cm, 0).weigh(grid, &mut tally),
        Shape::Ellipse { center, semi_major_cm, semi_minor_cm, orientation_mdeg } => {
            Oval::new(*center, *semi_major_cm, *semi_minor_cm, *orientation_mdeg).weigh(grid, &mut tally);
        }
        Shape::ArcBand { center, inner_cm, outer_cm, start_mdeg, opening_mdeg } => {
            Band::new(*center, *inner_cm, *outer_cm, *start_mdeg, *opening_mdeg).weigh(grid, &mut tally);
        }
        _ => shape.samples(OVERLAP_SAMPLES, |point| tally.add(grid.owner(point), 1)),
    }
    tally.counts.sort_unstable_by_key(|(owner, count)| (u64::MAX - count, owner.is_none(), *owner));
    shares.extend(tally.counts.iter().take(CANDIDATES_MAX).map(|(owner, count)| (*owner, Ppm::ratio(*count, tally.total))));
}

/// Samples counted by owner.
#[derive(Default)]
struct Tally {
    counts: ArrayVec<(Option<u16>, u64), OWNERS_COUNTED_MAX>,
    total: u64,
}

impl Tally {
    fn add(&mut self, owner: Option<u16>, count: u64) {
        self.total += count;
        match self.counts.iter_mut().find(|(known, _)| *known == owner) {
            Some((_, sum)) => *sum += count,
            // An owner that comes so late has next to nothing of the shape.
            None => drop(self.counts.try_push((owner, count))),
        }
    }
}

/// Owners counted before the largest are kept.
const OWNERS_COUNTED_MAX: usize = 64;

/// An ellipse as a map of the unit disc: one multiplication for each axis and coordinate.
struct Oval {
    center: Point,
    major: (i64, i64),
    minor: (i64, i64),
}

impl Oval {
    fn new(center: Point, major_cm: u32, minor_cm: u32, orientation_mdeg: u32) -> Self {
        let turn = trig::turn_from_mdeg(orientation_mdeg);
        let (sin, cos) = (trig::sin(turn), trig::cos(turn));
        let part = |cm: u32, of: i64| (i64::from(cm) * of) >> SINE_BITS;
        let (lat, lon) = (|cm| cm_to_lat_e7(cm, center.lat_e7), |cm| cm_to_lon_e7(cm, center.lat_e7));
        Self {
            center,
            major: (lat(part(major_cm, cos)), lon(part(major_cm, sin))),
            minor: (lat(-part(minor_cm, sin)), lon(part(minor_cm, cos))),
        }
    }

    fn at(&self, (along, aside): (i32, i32)) -> Point {
        let (along, aside) = (i64::from(along), i64::from(aside));
        // Steps of at most 3.6e9 times a 30-bit fraction, two of them.
        let north = (self.major.0 * along + self.minor.0 * aside) >> SINE_BITS;
        let east = (self.major.1 * along + self.minor.1 * aside) >> SINE_BITS;
        moved(self.center, north, east)
    }

    /// A box that holds the tile's points; `None` where the globe's edges cut it.
    fn bbox(&self, tile: &Tile) -> Option<BBox> {
        let span = |major: i64, minor: i64| {
            let (a, b) = (major * i64::from(tile.along.0), major * i64::from(tile.along.1));
            let (c, d) = (minor * i64::from(tile.aside.0), minor * i64::from(tile.aside.1));
            ((a.min(b) + c.min(d)) >> SINE_BITS, (a.max(b) + c.max(d)) >> SINE_BITS)
        };
        let (north, east) = (span(self.major.0, self.minor.0), span(self.major.1, self.minor.1));
        let corner = |north: i64, east: i64| {
            let (lat, lon) = (i64::from(self.center.lat_e7) + north, i64::from(self.center.lon_e7) + east);
            Point::new(i32::try_from(lat).ok()?, i32::try_from(lon).ok()?)
        };
        Some(BBox { min: corner(north.0, east.0)?, max: corner(north.1, east.1)? })
    }

    fn weigh(&self, grid: &Grid, tally: &mut Tally) {
        SPIRAL.weigh(grid, tally, |tile| self.bbox(tile), |unit| self.at(unit));
    }
}

/// Parts of a shape, in each of its two directions.
const TILES: usize = 8;

/// The points of one part, and what they span in the shape's own two directions.
#[derive(Clone, Copy)]
struct Tile {
    first: usize,
    end: usize,
    along: (i32, i32),
    aside: (i32, i32),
}

/// [`OVERLAP_SAMPLES`] points spread evenly over a shape in its own coordinates, part by part.
struct Spread {
    points: [(i32, i32); OVERLAP_SAMPLES as usize],
    tiles: [Tile; TILES * TILES],
}

impl Spread {
    /// Counts the points by owner. Parts of one owner are counted whole, so that only the few a border runs through are looked up
    /// point by point; the counts are the same.
    fn weigh(&self, grid: &Grid, tally: &mut Tally, bbox: impl Fn(&Tile) -> Option<BBox>, at: impl Fn((i32, i32)) -> Point) {
        for tile in self.tiles.iter().filter(|tile| tile.end > tile.first) {
            let points = self.points.get(tile.first..tile.end).unwrap_or_default();
            match bbox(tile).map(|bbox| grid.only_candidate(bbox)) {
                Some(Only::Certain(owner)) => tally.add(owner, points.len() as u64),
                _ => points.iter().for_each(|point| tally.add(grid.owner(at(*point)), 1)),
            }
        }
    }

    /// Sorts points by part; their coordinates begin at `low` and span less than `1 << side_bits`.
    const fn of(whole: &[(i32, i32); OVERLAP_SAMPLES as usize], low: i64, side_bits: u32) -> Self {
        const fn grown((min, max): (i32, i32), value: i32) -> (i32, i32) {
            (if value < min { value } else { min }, if value > max { value } else { max })
        }
        let nothing = Tile { first: 0, end: 0, along: (i32::MAX, i32::MIN), aside: (i32::MAX, i32::MIN) };
        let (mut points, mut tiles) = (*whole, [nothing; TILES * TILES]);
        let (mut at, mut laid) = (0, 0);
        while at < TILES * TILES {
            let mut tile = Tile { first: laid, ..nothing };
            let mut index = 0;
            while index < whole.len() {
                let (along, aside) = whole[index];
                let part = ((((along as i64 - low) as usize * TILES) >> side_bits) * TILES)
                    + (((aside as i64 - low) as usize * TILES) >> side_bits);
                if part == at {
                    points[laid] = (along, aside);
                    tile.along = grown(tile.along, along);
                    tile.aside = grown(tile.aside, aside);
                    laid += 1;
                }
                index += 1;
            }
            tile.end = laid;
            tiles[at] = tile;
            at += 1;
        }
        Self { points, tiles }
    }
}

/// Over the unit disc, as [`SINE_BITS`] fractions.
static SPIRAL: Spread = {
    let mut whole = [(0, 0); OVERLAP_SAMPLES as usize];
    let mut index = 0;
    while index < OVERLAP_SAMPLES {
        whole[index as usize] = spiral(index, OVERLAP_SAMPLES);
        index += 1;
    }
    Spread::of(&whole, -(1 << SINE_BITS), SINE_BITS + 1)
};

/// Over an arc band: the ways out and around as 31-bit fractions.
static FAN: Spread = {
    let mut whole = [(0, 0); OVERLAP_SAMPLES as usize];
    let mut index = 0;
    while index < OVERLAP_SAMPLES {
        let (out, around) = fan(index, OVERLAP_SAMPLES);
        whole[index as usize] = ((out >> 1) as i32, (around >> 1) as i32);
        index += 1;
    }
    Spread::of(&whole, 0, 31)
};

/// The `index`-th of `count` points of a spiral that covers the unit disc evenly, as [`SINE_BITS`] fractions.
const fn spiral(index: u32, count: u32) -> (i32, i32) {
    // The radius is the root of the share of the surface within.
    let radius = (((index as u128 * 2 + 1) << (2 * SINE_BITS)) / (count as u128 * 2)).isqrt() as f64;
    let angle = GOLDEN_TURN.wrapping_mul(index) as f64 / 4_294_967_296.0 * 2.0 * core::f64::consts::PI;
    ((radius * trig::series_cos(angle)) as i32, (radius * trig::series_cos(angle - core::f64::consts::FRAC_PI_2)) as i32)
}

/// The `index`-th of `count` points spread over an arc band, as 32-bit fractions of the ways out and around. The last bits are
/// left out, so that a point can be told in 31.
const fn fan(index: u32, count: u32) -> (u32, u32) {
    // The middle of the index-th of equal parts.
    let out = ((index as u64 * 2 + 1) << 32) / (count as u64 * 2);
    let around = GOLDEN_TURN.wrapping_mul(index).wrapping_add(GOLDEN_TURN / 2);
    let out = if out > u32::MAX as u64 { u32::MAX } else { out as u32 };
    (out & !1, around & !1)
}

/// The point at a distance and a direction (clockwise from north).
fn polar(center: Point, radius_cm: i64, turn: u32) -> Point {
    offset(center, (radius_cm * trig::cos(turn)) >> SINE_BITS, (radius_cm * trig::sin(turn)) >> SINE_BITS)
}

// --- arc bands ---

/// An arc band with its angles as parts of a turn.
struct Band {
    center: Point,
    inner_cm: u32,
    outer_cm: u32,
    start: u32,
    /// Up to a full turn, which needs one bit more than the start.
    opening: u64,
}

impl Band {
    fn new(center: Point, inner_cm: u32, outer_cm: u32, start_mdeg: u32, opening_mdeg: u32) -> Self {
        let opening = (u64::from(opening_mdeg.min(FULL_MDEG)) << 32) / u64::from(FULL_MDEG);
        let (inner_cm, outer_cm) = (inner_cm.min(outer_cm), outer_cm.max(inner_cm));
        Self { center, inner_cm, outer_cm, start: trig::turn_from_mdeg(start_mdeg), opening }
    }

    fn is_disc(&self) -> bool {
        self.inner_cm == 0 && self.opening == 1 << 32
    }

    /// The point at 32-bit fractions of the way out, by surface, and of the way around.
    fn at(&self, out: u32, around: u32) -> Point {
        polar(self.center, self.radius_cm(out), self.turn(around))
    }

    fn radius_cm(&self, out: u32) -> i64 {
        let (inner, outer) = (u128::from(self.inner_cm), u128::from(self.outer_cm));
        let square = inner * inner + (((outer * outer - inner * inner) * u128::from(out)) >> 32);
        trig::isqrt(square as u64) as i64
    }

    fn turn(&self, around: u32) -> u32 {
        self.start.wrapping_add(((u128::from(self.opening) * u128::from(around)) >> 32) as u32)
    }

    fn weigh(&self, grid: &Grid, tally: &mut Tally) {
        let whole = |half: i32| half.cast_unsigned() << 1;
        FAN.weigh(grid, tally, |tile| self.bbox_of(tile), |(out, around)| self.at(whole(out), whole(around)));
    }

    /// A box that holds the part's points; `None` where the globe's edges cut it.
    fn bbox_of(&self, tile: &Tile) -> Option<BBox> {
        let whole = |half: i32| half.cast_unsigned() << 1;
        let (near_cm, far_cm) = (self.radius_cm(whole(tile.along.0)), self.radius_cm(whole(tile.along.1)));
        let (first, last) = (self.turn(whole(tile.aside.0)), self.turn(whole(tile.aside.1)));
        let corners = [(near_cm, first), (near_cm, last), (far_cm, first), (far_cm, last)];
        // A part spans at most an eighth of a turn; between its sides it reaches farthest to the north, east, south or west.
        let reaches = |quarter: &u32| quarter.wrapping_sub(first) <= last.wrapping_sub(first);
        let farthest = (0..4).map(|quarter| quarter << 30).filter(reaches).map(|quarter| (far_cm, quarter));
        let points = corners.into_iter().chain(farthest).map(|(radius_cm, turn)| polar(self.center, radius_cm, turn));
        let bbox = BBox::of(points)?;
        let across = i64::from(bbox.max.lon_e7) - i64::from(bbox.min.lon_e7);
        // The last centimetres are the rounding of sines.
        if across > i64::from(Point::LON_E7_MAX) { None } else { Some(bbox.grown(far_cm as u32 / 1_000_000 + 5)) }
    }

    /// Points around the outline, close enough together that the chords differ little from the arcs.
    fn outline(&self) -> impl Iterator<Item = Point> + '_ {
        [self.inner_cm, self.outer_cm].into_iter().flat_map(move |radius_cm| {
            (0..=OUTLINE_STEPS).map(move |step| {
                let turn = (u128::from(self.opening) * u128::from(step) / u128::from(OUTLINE_STEPS)) as u32;
                polar(self.center, i64::from(radius_cm), self.start.wrapping_add(turn))
            })
        })
    }

    fn bbox(&self) -> BBox {
        let outline = BBox::of(self.outline()).unwrap_or(BBox { min: self.center, max: self.center });
        // A chord of a 48th of a turn lies within 0.3 % of the radius of its arc.
        outline.grown(self.outer_cm / 256 + 100)
    }

    fn contains(&self, point: Point) -> bool {
        let distance = distance_cm(self.center, point);
        if distance < self.inner_cm || distance > self.outer_cm {
            return false;
        }
        if self.opening == 1 << 32 {
            return true;
        }
        let (north, east) = plane_cm(self.center, point, self.center.lat_e7);
        // Clockwise of a direction means a positive part along the direction's right hand.
        let right_of = |turn: u32| i128::from(east) * i128::from(trig::cos(turn)) - i128::from(north) * i128::from(trig::sin(turn));
        let end = self.start.wrapping_add(self.opening as u32);
        let (after_start, before_end) = (right_of(self.start) >= 0, right_of(end) <= 0);
        if self.opening <= 1 << 31 { after_start && before_end } else { after_start || before_end }
    }
}

const OUTLINE_STEPS: u32 = 48;

// --- polygons ---

/// A point inside a polygon: the middle of the widest stretch of the parallel through its middle, or through another one when
/// that one only grazes it; a vertex when there is no inside.
fn inside_polygon(vertices: &[Point]) -> Point {
    let Some(bbox) = BBox::of(vertices.iter().copied()) else { return Point::default() };
    let height = i64::from(bbox.max.lat_e7) - i64::from(bbox.min.lat_e7);
    let mut widest: Option<(i64, Point)> = None;
    for part in [8, 4, 12, 6, 10, 2, 14, 7, 9, 1, 15] {
        let lat_e7 = (i64::from(bbox.min.lat_e7) + height * part / 16) as i32;
        // The stretch between two crossings is inside when an even number of crossings lie west of it.
        let mut crossings: ArrayVec<i64, { CLAIM_VERTICES_MAX + 1 }> = ring::edges(vertices)
            .filter(|(a, b)| (a.lat_e7 > lat_e7) != (b.lat_e7 > lat_e7))
            .map(|(a, b)| {
                let up = i128::from(lat_e7) - i128::from(a.lat_e7);
                let across = i128::from(b.lon_e7) - i128::from(a.lon_e7);
                i64::from(a.lon_e7) + (across * up / (i128::from(b.lat_e7) - i128::from(a.lat_e7))) as i64
            })
            .take(CLAIM_VERTICES_MAX)
            .collect();
        crossings.sort_unstable();
        for pair in crossings.as_chunks::<2>().0 {
            let [west, east] = *pair;
            let middle = Point { lat_e7, lon_e7: ((west + east) / 2) as i32 };
            if widest.is_none_or(|(width, _)| east - west > width) && ring::contains(vertices, middle) {
                widest = Some((east - west, middle));
            }
        }
        if widest.is_some() {
            break;
        }
    }
    widest.map(|(_, point)| point).or_else(|| vertices.first().copied()).unwrap_or_default()
}

fn polygon_samples(vertices: &[Point], count: u32, each: &mut dyn FnMut(Point)) {
    let Some(bbox) = BBox::of(vertices.iter().copied()) else { return each(Point::default()) };
    let side = |min: i32, max: i32| (i64::from(max) - i64::from(min) + 1) as u64;
    let (height, width) = (side(bbox.min.lat_e7, bbox.max.lat_e7), side(bbox.min.lon_e7, bbox.max.lon_e7));
    let mut laid = 0;
    for index in 1..=count.saturating_mul(POLYGON_TRIES) {
        let along = |side: u64, step: u32| ((side * u64::from(step.wrapping_mul(index).wrapping_add(1 << 31))) >> 32) as i64;
        let point = Point {
            lat_e7: (i64::from(bbox.min.lat_e7) + along(height, LATTICE_LAT)) as i32,
            lon_e7: (i64::from(bbox.min.lon_e7) + along(width, LATTICE_LON)) as i32,
        };
        if ring::contains(vertices, point) {
            each(point);
            laid += 1;
            if laid == count {
                return;
            }
        }
    }
    // Too thin to hit: its outline stands for it.
    if laid < count / 16 || laid == 0 {
        vertices.iter().for_each(|vertex| each(*vertex));
    }
}
