//! Table rows as they stand in `routing-tables/`, untrusted.
//!
//! This module turns files into rows and says which file and line each row came from. It judges only what one row can show by
//! itself (a number that is none, a coordinate out of range); what rows mean together is judged in `build` and `check`.
//! `routing-tables/SCHEMA.md` is the reader's description of every column.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::geo::area::Shape;
use crate::geo::point::Point;
use crate::service::Service;
use crate::units::Name;

/// A folder of files, already read: name relative to the pack's folder with `/`, and bytes. Sorted by name.
pub type Files = BTreeMap<String, Vec<u8>>;

/// Something wrong with a table set: where it is, what it is, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Defect {
    pub file: String,
    /// Line in the file, counting from 1; zero when the whole file is meant. For GeoJSON: the feature's number.
    pub row: u64,
    /// A short fixed word for scripts: `unknown_dispatcher`, `gap`, `overlap`, ...
    pub code: &'static str,
    pub what: String,
    pub remedy: String,
    /// A warning does not stop a set from being published.
    pub warning: bool,
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.warning { "warning" } else { "error" };
        write!(f, "{}:{}: {kind} [{}] {}\n    remedy: {}", self.file, self.row, self.code, self.what, self.remedy)
    }
}

/// A row and where it stands.
#[derive(Clone, Debug)]
pub struct Row<T> {
    pub file: String,
    pub line: u64,
    pub value: T,
}

impl<T> Row<T> {
    pub fn defect(&self, code: &'static str, what: impl Into<String>, remedy: impl Into<String>) -> Defect {
        Defect { file: self.file.clone(), row: self.line, code, what: what.into(), remedy: remedy.into(), warning: false }
    }
}

/// Every row of a pack.
#[derive(Clone, Debug, Default)]
pub struct Source {
    pub pack: Pack,
    pub areas: Vec<Row<AreaRow>>,
    pub numbers: Vec<Row<NumberRow>>,
    pub dispatchers: Vec<Row<DispatcherRow>>,
    pub land: Vec<Row<Feature>>,
    pub water: Vec<Row<Feature>>,
    pub regions: Vec<Row<Feature>>,
    pub foreign_land: Vec<Row<Feature>>,
    pub borders: Vec<Row<BorderRow>>,
    pub overlays: Vec<Row<OverlayRow>>,
    pub types: Vec<Row<TypeRow>>,
    pub plans: Vec<Row<PlanRow>>,
    pub answering: Vec<Row<AnsweringRow>>,
    pub area_codes: Vec<Row<AreaCodeRow>>,
    pub lines: Vec<Row<LineRow>>,
    pub trunks: Vec<Row<TrunkRow>>,
    pub cells: Vec<Row<CellRow>>,
    pub foreign: Vec<Row<ForeignRow>>,
    pub policies: Vec<Row<PolicyRow>>,
    /// `lexicon/<lang>.csv`, unparsed: `tables/lexicon.rs` reads them.
    pub lexicon: BTreeMap<String, Vec<u8>>,
    pub places: Vec<Row<PlaceRow>>,
}

/// `pack.toml`: what holds for the whole set.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pack {
    pub schema: u32,
    /// `uae`
    pub name: String,
    pub title_en: String,
    pub title_ar: String,
    /// ISO 3166-1 alpha-2.
    pub country: String,
    /// `971`
    pub calling_code: String,
    /// The digit dialled before an area code inside the country: `0`.
    pub trunk_prefix: String,
    /// Mobile country codes of our own networks.
    pub home_mcc: Vec<String>,
    /// Offset of the pack's wall clock from UTC.
    pub utc_offset_minutes: i32,
    /// Boundary vertices of different areas closer than this are one vertex.
    pub snap_m: u32,
    /// A place outside every boundary and this near to one belongs to it: small gaps of the layer.
    pub gap_m: u32,
    /// Off the coast a place belongs to the nearest coast up to this far.
    pub coast_m: u32,
    /// Water within this distance of land is no sea unless the words speak of it: piers, lagoons, islets and reclaimed land
    /// that the layer does not have.
    #[serde(default = "shore_m_default")]
    pub shore_m: u32,
    /// Accuracy of every border that `borders.csv` does not name.
    pub accuracy_m: u32,
    /// Neighbours less probable than this are not named.
    pub neighbour_ppm_min: u32,
    /// Assumed radius of a fix that came without one.
    pub uncertainty_m: u32,
    /// The area property in the boundary files.
    pub area_property: String,
    /// True when the land layer is rough: decisions say so.
    #[serde(default)]
    pub rough: bool,
}

const fn shore_m_default() -> u32 {
    1_000
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AreaRow {
    pub id: String,
    pub name_en: String,
    pub name_ar: String,
    /// What people speak to its rooms, most usual first.
    #[serde(default)]
    pub note: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NumberRow {
    /// Digits as dialled.
    pub number: String,
    /// `national` (no hint), `hint`, or `non_emergency`.
    pub kind: String,
    /// The service whose line it used to be; empty for the national number.
    #[serde(default)]
    pub service: String,
    /// `voice`, `sms` or `any`.
    #[serde(default)]
    pub medium: String,
    #[serde(default)]
    pub note: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DispatcherRow {
    pub id: String,
    pub service: String,
    pub name_en: String,
    pub name_ar: String,
    /// The people and desks: dispatchers with the same room are the same people.
    pub room: String,
    /// The site the room stands on: alternates on the same site fail together.
    pub site: String,
    /// Areas it is responsible for, separated by spaces; `*` for the whole country; empty for a room that only helps out.
    #[serde(default)]
    pub areas: String,
    /// Languages of its seats, ISO 639-1, separated by spaces.
    pub languages: String,
    /// `yes` when a seat can hold a text conversation.
    pub text: String,
    /// Contacts its seats can hold at once.
    pub capacity: u32,
    pub uri: String,
    /// Seconds until the next in the chain is asked.
    pub take_s: u32,
    /// Who is asked next, in order, separated by spaces.
    #[serde(default)]
    pub overflow: String,
    /// Where the room is, for people; never used for routing.
    #[serde(default)]
    pub lat: Option<f64>,
    #[serde(default)]
    pub lon: Option<f64>,
    #[serde(default)]
    pub note: String,
}

/// A boundary: the area it belongs to (or the country, in `foreign.geojson`), and polygons of rings, outer ring first.
#[derive(Clone, Debug, Default)]
pub struct Feature {
    pub id: String,
    pub polygons: Vec<Vec<Vec<Point>>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BorderRow {
    pub area_a: String,
    /// Another area, `coast`, or a country code.
    pub area_b: String,
    /// The true line is within this distance of the drawn one.
    pub accuracy_m: u32,
    /// Only for the part of the border inside this circle, `lat lon radius_m`; empty for all of it.
    #[serde(default)]
    pub within: String,
    #[serde(default)]
    pub source: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OverlayRow {
    pub id: String,
    /// `area` (the place belongs to `area`), `room` (`dispatcher` answers for `services`), or `mark` (adds `flag` only).
    pub kind: String,
    /// Services it holds for, separated by spaces; empty for all.
    #[serde(default)]
    pub services: String,
    #[serde(default)]
    pub area: String,
    #[serde(default)]
    pub dispatcher: String,
    /// The higher wins.
    pub precedence: u16,
    /// `Mo-Fr 07:00-15:00; Sa 08:00-12:00` in the pack's wall clock; empty for always.
    #[serde(default)]
    pub hours: String,
    /// `circle LAT LON RADIUS_M` or `polygon LON LAT, LON LAT, ...`
    pub shape: String,
    /// The accuracy of its outline; empty for the pack's.
    #[serde(default)]
    pub accuracy_m: Option<u32>,
    /// `disputed`, `neutral_zone`, or empty.
    #[serde(default)]
    pub flag: String,
    /// Areas that may claim the place too and are told as neighbours, separated by spaces.
    #[serde(default)]
    pub told: String,
    /// A row of PROVENANCE.toml.
    pub provenance: String,
    #[serde(default)]
    pub note: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TypeRow {
    /// APCO common incident type code, or a code of the pack's own.
    pub code: String,
    pub description: String,
    /// 1 to 3.
    pub priority: u8,
    /// `yes`: nothing rings or is sent back by itself.
    #[serde(default)]
    pub quiet: String,
    /// `yes`: it can only happen at sea or on water.
    #[serde(default)]
    pub sea: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanRow {
    /// A type code, or `service:police` and so on for contacts of which only the service is known, or `*`.
    #[serde(rename = "type")]
    pub type_: String,
    /// An area, `*`, `sea` (all waters) or `sea:AREA`.
    pub area: String,
    /// Lead first, separated by spaces.
    pub services: String,
    #[serde(default)]
    pub note: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnsweringRow {
    /// An area, or `*` for when nothing at all is known.
    pub area: String,
    pub dispatcher: String,
    #[serde(default)]
    pub note: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AreaCodeRow {
    /// National prefix with the trunk digit: `06`.
    pub prefix: String,
    /// Areas that share it, the one whose room answers first, separated by spaces; empty for no geography (mobile).
    #[serde(default)]
    pub areas: String,
    /// `fixed`, `mobile`, `other`.
    pub class: String,
    #[serde(default)]
    pub note: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LineRow {
    /// E.164 with `+`; a trailing `*` for a range.
    pub line: String,
    /// `mobile`, `fixed`, `pilot` (a switchboard: the number is not the person), `panel` (a monitored panel), `centre` (an
    /// alarm centre), `test`.
    pub class: String,
    /// Where the line is, when it has a place.
    #[serde(default)]
    pub area: String,
    /// For tests: from and until, RFC 3339.
    #[serde(default)]
    pub from: String,
    #[serde(default)]
    pub until: String,
    #[serde(default)]
    pub note: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrunkRow {
    pub trunk: String,
    pub gateway: String,
    /// The area it comes from; empty for a nationwide trunk.
    #[serde(default)]
    pub area: String,
    /// The dispatcher that answers when nothing else is known.
    pub default: String,
    #[serde(default)]
    pub note: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CellRow {
    /// Cell identity as the access network spells it without separators; a trailing `*` for a range.
    pub cell: String,
    pub lat: f64,
    pub lon: f64,
    /// Degrees clockwise from north of the middle of the opening.
    pub azimuth_deg: u32,
    /// 360 for an omnidirectional mast.
    pub opening_deg: u32,
    pub inner_m: u32,
    pub outer_m: u32,
    /// `outdoor`, `indoor` or `offshore`.
    pub kind: String,
    /// A route override: the area it counts for, whatever the geometry says.
    #[serde(default)]
    pub area: String,
    #[serde(default)]
    pub from: String,
    #[serde(default)]
    pub until: String,
    #[serde(default)]
    pub note: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForeignRow {
    /// ISO 3166-1 alpha-2.
    pub country: String,
    pub name_en: String,
    pub name_ar: String,
    /// The peer room to hand over to.
    pub peer: String,
    pub uri: String,
    /// Mobile country codes, separated by spaces.
    pub mcc: String,
    #[serde(default)]
    pub note: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyRow {
    pub id: String,
    /// Rows are tried in this order within their service; the first that holds decides.
    pub order: u32,
    pub service: String,
    /// An area or `*`.
    pub area: String,
    /// `always`, `state:STATE`, `hours:...`, `outside` (the place is outside the country), `nothing` (no place known).
    pub when: String,
    /// `overflow` (ask `dispatchers` first), `append` (ask them after the room's own chain), `fallback` (ask them last of all).
    pub then: String,
    /// Separated by spaces.
    pub dispatchers: String,
    #[serde(default)]
    pub note: String,
}

/// A named place, for saying a position in words and for words that name a place.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlaceRow {
    pub name_en: String,
    pub name_ar: String,
    pub area: String,
    pub lat: f64,
    pub lon: f64,
    #[serde(default)]
    pub note: String,
}

impl Source {
    /// Reads every file of a pack. Rows that cannot be read become defects; the others stay.
    pub fn parse(files: &Files) -> (Self, Vec<Defect>) {
        let mut defects = Vec::new();
        let pack = read_pack(files, &mut defects);
        let property = if pack.area_property.is_empty() { "area".to_owned() } else { pack.area_property.clone() };
        let d = &mut defects;
        let source = Self {
            areas: read_rows(files, "areas.csv", true, d),
            numbers: read_rows(files, "numbers.csv", true, d),
            dispatchers: read_rows(files, "dispatchers.csv", true, d),
            land: read_features(files, "boundaries/land.geojson", &property, true, d),
            water: read_features(files, "boundaries/water.geojson", &property, false, d),
            regions: read_features(files, "boundaries/regions.geojson", "region", false, d),
            foreign_land: read_features(files, "boundaries/foreign.geojson", "country", false, d),
            borders: read_rows(files, "borders.csv", false, d),
            overlays: read_rows(files, "overlays.csv", false, d),
            types: read_rows(files, "types.csv", true, d),
            plans: read_rows(files, "plans.csv", true, d),
            answering: read_rows(files, "answering.csv", true, d),
            area_codes: read_rows(files, "area_codes.csv", false, d),
            lines: read_rows(files, "lines.csv", false, d),
            trunks: read_rows(files, "trunks.csv", false, d),
            cells: read_rows(files, "cells.csv", false, d),
            foreign: read_rows(files, "foreign.csv", false, d),
            policies: read_rows(files, "policies.csv", true, d),
            places: read_rows(files, "places.csv", false, d),
            lexicon: files
                .iter()
                .filter(|(name, _)| name.starts_with("lexicon/") && name.ends_with(".csv"))
                .map(|(name, bytes)| (name.clone(), bytes.clone()))
                .collect(),
            pack,
        };
        (source, defects)
    }
}

fn defect(file: &str, row: u64, code: &'static str, what: impl Into<String>, remedy: impl Into<String>) -> Defect {
    Defect { file: file.to_owned(), row, code, what: what.into(), remedy: remedy.into(), warning: false }
}

fn read_pack(files: &Files, defects: &mut Vec<Defect>) -> Pack {
    const FILE: &str = "pack.toml";
    let Some(bytes) = files.get(FILE) else {
        defects.push(defect(FILE, 0, "missing_file", "the pack has no pack.toml", "copy one from routing-tables/uae and adapt it"));
        return Pack::default();
    };
    let text = String::from_utf8_lossy(bytes);
    match toml::from_str::<Pack>(&text) {
        Ok(pack) if pack.schema == 1 => pack,
        Ok(pack) => {
            let what = format!("schema {} is not one this program reads", pack.schema);
            defects.push(defect(FILE, 1, "bad_schema", what, "write schema = 1"));
            pack
        }
        Err(error) => {
            let line = error.span().map_or(0, |span| text[..span.start.min(text.len())].lines().count() as u64);
            defects.push(defect(
                FILE,
                line,
                "bad_row",
                error.message().to_owned(),
                "see routing-tables/SCHEMA.md for the keys of pack.toml",
            ));
            Pack::default()
        }
    }
}

fn read_rows<T: DeserializeOwned>(files: &Files, file: &str, required: bool, defects: &mut Vec<Defect>) -> Vec<Row<T>> {
    let Some(bytes) = files.get(file) else {
        if required {
            defects.push(defect(
                file,
                0,
                "missing_file",
                format!("{file} is missing"),
                "add it; routing-tables/SCHEMA.md lists its columns",
            ));
        }
        return Vec::new();
    };
    read_csv(file, bytes, defects)
}

/// Reads one CSV file with a header line; lines that start with `#` are comments.
pub fn read_csv<T: DeserializeOwned>(file: &str, bytes: &[u8], defects: &mut Vec<Defect>) -> Vec<Row<T>> {
    let mut reader = csv::ReaderBuilder::new().comment(Some(b'#')).trim(csv::Trim::All).flexible(false).from_reader(bytes);
    let headers = match reader.headers() {
        Ok(headers) => headers.clone(),
        Err(error) => {
            defects.push(defect(file, 1, "bad_row", error.to_string(), "the first line names the columns; the file is UTF-8"));
            return Vec::new();
        }
    };
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                let line = error.position().map_or(0, |position| line_of(bytes, position));
                defects.push(defect(file, line, "bad_row", error.to_string(), "give the row as many fields as the header has"));
                continue;
            }
        };
        let line = record.position().map_or(0, |position| line_of(bytes, position));
        match record.deserialize(Some(&headers)) {
            Ok(value) => rows.push(Row { file: file.to_owned(), line, value }),
            Err(error) => defects.push(defect(file, line, "bad_row", error.to_string(), "see routing-tables/SCHEMA.md for this column")),
        }
    }
    rows
}

/// The line a record stands on: the reader's position is before the comments and blank lines above it.
fn line_of(bytes: &[u8], position: &csv::Position) -> u64 {
    let from = usize::try_from(position.byte()).unwrap_or(usize::MAX);
    let above = bytes.get(from..).unwrap_or_default().split(|byte| *byte == b'\n');
    let skipped = above.take_while(|line| line.starts_with(b"#") || line.iter().all(u8::is_ascii_whitespace)).count();
    position.line() + skipped as u64
}

fn read_features(files: &Files, file: &str, property: &str, required: bool, defects: &mut Vec<Defect>) -> Vec<Row<Feature>> {
    let Some(bytes) = files.get(file) else {
        if required {
            defects.push(defect(
                file,
                0,
                "missing_file",
                format!("{file} is missing"),
                "add the boundaries; `najda tables import --help` shows how",
            ));
        }
        return Vec::new();
    };
    parse_features(file, bytes, property, defects)
}

/// Reads the polygons of a GeoJSON feature collection; each feature's `property` says whose they are.
pub fn parse_features(file: &str, bytes: &[u8], property: &str, defects: &mut Vec<Defect>) -> Vec<Row<Feature>> {
    let collection = match serde_json::from_slice::<geojson::FeatureCollection>(bytes) {
        Ok(collection) => collection,
        Err(error) => {
            let what = format!("not a GeoJSON FeatureCollection: {error}");
            defects.push(defect(file, error.line() as u64, "bad_geojson", what, "export it as GeoJSON (RFC 7946), WGS 84"));
            return Vec::new();
        }
    };
    let mut rows = Vec::new();
    for (index, feature) in collection.features.into_iter().enumerate() {
        let number = index as u64 + 1;
        let id = feature.properties.as_ref().and_then(|all| all.get(property)).and_then(|value| value.as_str());
        let Some(id) = id.map(str::to_owned) else {
            let what = format!("feature {number} has no text property `{property}`");
            defects.push(defect(file, number, "no_id", what, "name the right property, or add it to the feature"));
            continue;
        };
        let polygons = match feature.geometry.map(|geometry| geometry.value) {
            Some(geojson::GeometryValue::Polygon { coordinates }) => vec![rings(file, number, &coordinates, defects)],
            Some(geojson::GeometryValue::MultiPolygon { coordinates }) => {
                coordinates.iter().map(|polygon| rings(file, number, polygon, defects)).collect()
            }
            _ => {
                let what = format!("feature {number} ({id}) is not a Polygon or MultiPolygon");
                defects.push(defect(file, number, "bad_geometry", what, "keep only areas in this layer"));
                continue;
            }
        };
        rows.push(Row { file: file.to_owned(), line: number, value: Feature { id, polygons } });
    }
    rows
}

fn rings(file: &str, number: u64, polygon: &[Vec<geojson::Position>], defects: &mut Vec<Defect>) -> Vec<Vec<Point>> {
    let mut out = Vec::with_capacity(polygon.len());
    for ring in polygon {
        let mut points = Vec::with_capacity(ring.len());
        for position in ring {
            let position = position.as_slice();
            let (lon, lat) = (position.first().copied().unwrap_or(f64::NAN), position.get(1).copied().unwrap_or(f64::NAN));
            match Point::from_degrees(lat, lon) {
                Some(point) => points.push(point),
                None => {
                    let what = format!("feature {number} has the position [{lon}, {lat}], which is not longitude and latitude in degrees");
                    defects.push(defect(file, number, "out_of_range", what, "reproject the layer to WGS 84 degrees, longitude first"));
                    points.clear();
                    break;
                }
            }
        }
        if points.len() > 1 && points.first() == points.last() {
            points.pop();
        }
        if points.len() >= 3 {
            out.push(points);
        } else if !ring.is_empty() {
            let what = format!("feature {number} has a ring of {} different positions", points.len());
            defects.push(defect(file, number, "bad_ring", what, "a ring needs at least three; remove or redraw it"));
        }
    }
    out
}

// --- fields that are small languages of their own ---

/// `circle LAT LON RADIUS_M` or `polygon LON LAT, LON LAT, ...`
pub fn parse_shape(text: &str) -> Result<Shape, String> {
    let text = text.trim();
    if let Some(rest) = text.strip_prefix("circle ") {
        let numbers: Vec<f64> = rest.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        let &[lat, lon, radius_m] = numbers.as_slice() else {
            return Err(format!("`{text}` is not `circle LAT LON RADIUS_M`"));
        };
        let center = Point::from_degrees(lat, lon).ok_or_else(|| format!("{lat} {lon} is not a latitude and longitude"))?;
        if !(0.0..=1_000_000.0).contains(&radius_m) {
            return Err(format!("a radius of {radius_m} m is not between 0 and 1,000,000"));
        }
        return Ok(Shape::Circle { center, radius_cm: (radius_m * 100.0) as u32 });
    }
    if let Some(rest) = text.strip_prefix("polygon ") {
        let mut points = Vec::new();
        for pair in rest.split(',') {
            let numbers: Vec<f64> = pair.split_whitespace().filter_map(|word| word.parse().ok()).collect();
            let &[lon, lat] = numbers.as_slice() else {
                return Err(format!("`{}` is not `LON LAT`", pair.trim()));
            };
            points.push(Point::from_degrees(lat, lon).ok_or_else(|| format!("{lon} {lat} is not a longitude and latitude"))?);
        }
        if points.len() > 1 && points.first() == points.last() {
            points.pop();
        }
        return if points.len() >= 3 { Ok(Shape::Polygon(points)) } else { Err("a polygon needs at least three corners".to_owned()) };
    }
    Err(format!("`{text}` is neither `circle LAT LON RADIUS_M` nor `polygon LON LAT, ...`"))
}

/// Hours of the week in minutes of the pack's wall clock, Monday 00:00 is 0, sorted, half-open, without overlap. Empty: always.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hours(pub Vec<(u16, u16)>);

impl Hours {
    pub const WEEK_MINUTES: u16 = 7 * 24 * 60;

    /// `Mo-Fr 07:00-15:00; Sa 22:00-02:00`. An empty text means always.
    pub fn parse(text: &str) -> Result<Self, String> {
        const DAYS: [&str; 7] = ["Mo", "Tu", "We", "Th", "Fr", "Sa", "Su"];
        let day = |word: &str| {
            DAYS.iter().position(|d| d.eq_ignore_ascii_case(word)).ok_or_else(|| format!("`{word}` is no day (Mo Tu We Th Fr Sa Su)"))
        };
        let minute = |word: &str| -> Result<u16, String> {
            let (h, m) = word.split_once(':').ok_or_else(|| format!("`{word}` is not HH:MM"))?;
            match (h.parse::<u16>(), m.parse::<u16>()) {
                (Ok(h), Ok(m)) if h <= 24 && m < 60 && h * 60 + m <= 24 * 60 => Ok(h * 60 + m),
                _ => Err(format!("`{word}` is not a time of day")),
            }
        };
        let mut spans = Vec::new();
        for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
            let (days, times) = part.split_once(' ').ok_or_else(|| format!("`{part}` is not `DAYS HH:MM-HH:MM`"))?;
            let (first, last) = match days.split_once('-') {
                Some((first, last)) => (day(first)?, day(last)?),
                None => (day(days)?, day(days)?),
            };
            let (from, until) = times.trim().split_once('-').ok_or_else(|| format!("`{times}` is not HH:MM-HH:MM"))?;
            let (from, until) = (minute(from)?, minute(until)?);
            let until = if until <= from { until + 24 * 60 } else { until };
            let mut at = first;
            loop {
                let start = at as u16 * 24 * 60 + from;
                let end = at as u16 * 24 * 60 + until;
                spans.push((start, end.min(Self::WEEK_MINUTES)));
                if end > Self::WEEK_MINUTES {
                    spans.push((0, end - Self::WEEK_MINUTES));
                }
                if at == last {
                    break;
                }
                at = (at + 1) % 7;
            }
        }
        spans.sort_unstable();
        Ok(Self(spans))
    }

    /// Whether these hours begin or end within the next `secs`, at most a week.
    pub fn change_within(&self, secs: u64, unix_secs: u64, utc_offset_minutes: i32) -> bool {
        let week = i64::from(Self::WEEK_MINUTES);
        let now = (unix_secs / 60) as i64 + i64::from(utc_offset_minutes) + 3 * 24 * 60;
        // The minute that has begun is over before a minute is.
        let minutes = (secs / 60) as i64 + 1;
        let ahead = |moment: u16| (i64::from(moment) - now).rem_euclid(week);
        self.0.iter().any(|&(from, until)| [from, until].into_iter().any(|moment| (1..=minutes).contains(&ahead(moment))))
    }

    /// Whether these hours hold at this instant, in a wall clock `utc_offset_minutes` ahead of UTC.
    pub fn hold(&self, unix_secs: u64, utc_offset_minutes: i32) -> bool {
        if self.0.is_empty() {
            return true;
        }
        let minutes = (unix_secs / 60) as i64 + i64::from(utc_offset_minutes);
        // 1970-01-01 was a Thursday: three days after a Monday.
        let of_week = (minutes + 3 * 24 * 60).rem_euclid(i64::from(Self::WEEK_MINUTES)) as u16;
        self.0.iter().any(|&(from, until)| (from..until).contains(&of_week))
    }
}

/// Names separated by spaces.
pub fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split_whitespace()
}

/// A list of services, in order.
pub fn parse_services(text: &str) -> Result<Vec<Service>, String> {
    words(text).map(|word| Service::from_word(word).ok_or_else(|| format!("`{word}` is no service"))).collect()
}

/// An id as a [`Name`].
pub fn parse_name(text: &str) -> Result<Name, String> {
    Name::new(text).ok_or_else(|| format!("`{text}` is not an id: 1 to {} visible ASCII characters", Name::BYTES_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_over_midnight_and_over_the_week_hold_on_both_sides() {
        let hours = Hours::parse("Su 22:00-02:00").unwrap();
        let monday_midnight_utc = 4 * 86_400;
        assert!(hours.hold(monday_midnight_utc - 3_600, 0));
        assert!(hours.hold(monday_midnight_utc + 3_600, 0));
        assert!(!hours.hold(monday_midnight_utc + 3 * 3_600, 0));
    }

    #[test]
    fn hours_are_read_in_the_packs_wall_clock() {
        let hours = Hours::parse("Th 04:00-05:00").unwrap();
        assert!(hours.hold(0, 240), "1970-01-01T00:00Z is Thursday 04:00 in Dubai");
        assert!(!hours.hold(0, 0));
    }

    #[test]
    fn hours_change_within_a_time_that_holds_their_beginning_or_end() {
        let hours = Hours::parse("Su 22:00-02:00").unwrap();
        let sunday_ten = 4 * 86_400 - 7_200;
        for (at, changes) in [(sunday_ten - 600, true), (sunday_ten - 661, false), (sunday_ten, false), (sunday_ten + 4 * 3_600 - 1, true)]
        {
            assert_eq!(hours.change_within(600, at, 0), changes, "{at}");
        }
        assert!(!Hours::default().change_within(600, sunday_ten, 0), "always is always");
        // Slowly: whenever the answer is no, hours hold at the end as they did at the beginning, and at every minute between.
        for at in (0..7 * 86_400).step_by(59) {
            if !hours.change_within(600, at, 240) {
                assert!((0..=600).step_by(60).all(|later| hours.hold(at + later, 240) == hours.hold(at, 240)), "{at}");
            }
        }
    }

    #[test]
    fn a_bad_row_names_its_file_and_line_and_the_others_stay() {
        let mut defects = Vec::new();
        let rows: Vec<Row<AnsweringRow>> = read_csv("answering.csv", b"area,dispatcher\nA,X\n# note\nB\nC,Y\n", &mut defects);
        assert_eq!(rows.len(), 2);
        assert_eq!((defects[0].file.as_str(), defects[0].row), ("answering.csv", 4));
    }

    #[test]
    fn shapes_that_cannot_be_read_say_why() {
        assert!(parse_shape("circle 25 55 100").is_ok());
        assert!(parse_shape("polygon 55 25, 55.1 25, 55.1 25.1, 55 25").is_ok());
        assert!(parse_shape("circle 95 55 100").unwrap_err().contains("latitude"));
        assert!(parse_shape("square 1").unwrap_err().contains("neither"));
    }
}
