//! Brings an authority's own layers into a copy of a pack, so that the official boundary replaces the shipped one in one command.
//!
//! All rows of the base stay, except what was true of the replaced layer only:
//!
//! - `boundaries/land.geojson` is replaced; so are water and regions when given. Without new water the old is dropped: it was cut
//!   along the old coast, and the sea goes to the nearest coast without it.
//! - `borders.csv`: the accuracy of borders between areas and of coasts was the old layer's and is written anew. Rows towards a
//!   country stay: beyond the border the neighbour is still drawn by the base's `foreign.geojson`, as roughly as before. Where the
//!   two overlap, our own layer wins.
//! - `overlays.csv`: an `area` row without a flag is a patch of the old layer and is dropped, and so is a `neutral_zone`. A
//!   `disputed` row becomes a `mark` where the new layer covers the place. `room` and `mark` rows stay.
//! - `pack.toml`: `accuracy_m` is the new layer's and `rough` is false. `PROVENANCE.toml` tells where the layers came from.
//!
//! No coordinate moves farther than the pack's `snap_m`; see [`tiling`] for the proof. Nothing here reads a file or a clock.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use geojson::GeometryValue;

use super::check::layers::{holds, outlines, place};
use super::check::provenance::{FILE as PROVENANCE, ProvenanceRow, sha256_hex};
use super::check::{Report, check_files};
use super::source::{AreaRow, BorderRow, Defect, Feature, Files, OverlayRow, Pack, Row, parse_shape, read_csv};
use crate::geo::area::Shape;
use crate::geo::point::Point;
use crate::geo::tiling::{self, Fault, Inspection, Outline, Snapping};

const LAND: &str = "boundaries/land.geojson";
const WATER: &str = "boundaries/water.geojson";
const REGIONS: &str = "boundaries/regions.geojson";
const BORDERS: &str = "borders.csv";
const OVERLAYS: &str = "overlays.csv";

/// The accuracy of an official layer when nobody says better.
pub const ACCURACY_M: u32 = 50;

/// A file as it was given.
#[derive(Clone, Debug, Default)]
pub struct Layer {
    /// For messages and for the provenance; a file name without its folder.
    pub name: String,
    pub bytes: Vec<u8>,
}

/// What to import.
#[derive(Clone, Debug, Default)]
pub struct Request {
    pub land: Layer,
    pub water: Option<Layer>,
    pub regions: Option<Layer>,
    /// The property of each feature that names its area.
    pub id_property: String,
    /// From the layer's ids to the pack's.
    pub map: BTreeMap<String, String>,
    /// How far the layer's lines are from the true ones at most.
    pub accuracy_m: u32,
    /// `2026-03-01`, for the provenance.
    pub date: String,
}

/// What was done, for a person to read.
#[derive(Clone, Debug, Default)]
pub struct ImportReport {
    pub land: LayerReport,
    pub water: Option<LayerReport>,
    pub regions: Option<LayerReport>,
    /// The base had water, and it was dropped with the old land.
    pub water_dropped: bool,
    pub borders_dropped: usize,
    pub borders_written: usize,
    pub overlays_dropped: Vec<String>,
    pub overlays_marked: Vec<String>,
    /// What was noticed while reading the layers and did not stop the import.
    pub warnings: Vec<Defect>,
    /// The new pack as `check` judges it, with every gap and overlap that is left.
    pub checked: Report,
}

/// What was done to one layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LayerReport {
    pub features: usize,
    pub vertices_read: usize,
    pub vertices_written: usize,
    pub snapping: Snapping,
    /// Gaps and overlaps that snapping closed.
    pub closed: u32,
    pub closed_m2: u64,
    /// Gaps and overlaps that are left but nowhere deeper than `snap_m`.
    pub slivers: u32,
    pub slivers_m2: u64,
}

/// The new pack and what was done to make it.
#[derive(Clone, Debug, Default)]
pub struct Imported {
    pub files: Files,
    pub report: ImportReport,
}

/// Makes the new pack. `step` hears what is being done.
///
/// # Errors
/// Every defect that stops the import, each with the file, the feature and a remedy. Nothing is half done: the base is not touched.
pub fn import(base: &Files, request: &Request, step: &mut dyn FnMut(&str)) -> Result<Imported, Vec<Defect>> {
    let mut defects = Vec::new();
    step("read the base pack");
    let basis = Basis::read(base, &mut defects);
    step("read the land layer");
    let land = basis.read_layer(&request.land, request, &mut defects);
    basis.all_areas_drawn(&land, &request.land.name, &mut defects);
    step("read the other layers");
    let water = request.water.as_ref().map(|layer| basis.read_layer(layer, request, &mut defects));
    let regions = request.regions.as_ref().map(|layer| basis.read_regions(layer, request, &mut defects));
    let (fatal, warnings): (Vec<Defect>, Vec<Defect>) = defects.into_iter().partition(|defect| !defect.warning);
    if !fatal.is_empty() {
        return Err(fatal);
    }
    let mut files = base.clone();
    let mut report = ImportReport { warnings, ..ImportReport::default() };
    step("fit the areas together");
    let land = fit(land, &basis, &mut report.land);
    files.insert(LAND.to_owned(), write_features(&basis.pack.area_property, &land).into_bytes());
    report.water_dropped = files.remove(WATER).is_some() && water.is_none();
    if let Some(water) = water {
        step("fit the waters together");
        let water = fit(water, &basis, report.water.insert(LayerReport::default()));
        files.insert(WATER.to_owned(), write_features(&basis.pack.area_property, &water).into_bytes());
    }
    if let Some(regions) = regions {
        let count = vertex_count(&regions);
        let done = LayerReport { features: regions.len(), vertices_read: count, vertices_written: count, ..LayerReport::default() };
        report.regions = Some(done);
        files.insert(REGIONS.to_owned(), write_features("region", &regions).into_bytes());
    }
    step("write the tables");
    rewrite_pack(&mut files, request);
    rewrite_borders(&mut files, &basis, &land, request, &mut report);
    rewrite_overlays(&mut files, &land, &mut report);
    rewrite_provenance(&mut files, base, request, &basis, &report);
    step("check the new pack");
    report.checked = check_files(&files);
    Ok(Imported { files, report })
}

fn vertex_count(rows: &[Row<Feature>]) -> usize {
    rows.iter().flat_map(|row| row.value.polygons.iter().flatten()).map(Vec::len).sum()
}

/// Snaps a layer and reports what that closed.
fn fit(mut rows: Vec<Row<Feature>>, basis: &Basis, report: &mut LayerReport) -> Vec<Row<Feature>> {
    let snap_m = basis.pack.snap_m;
    (report.features, report.vertices_read) = (rows.len(), vertex_count(&rows));
    let mut fitted: Vec<Outline> = outlines(&rows);
    let before = wrong_faces(&tiling::inspect(&fitted, snap_m));
    report.snapping = tiling::snap(&mut fitted, snap_m);
    for (row, outline) in rows.iter_mut().zip(fitted) {
        row.value.polygons = outline.polygons;
    }
    let inspection = tiling::inspect(&outlines(&rows), snap_m);
    let after = wrong_faces(&inspection);
    (report.closed, report.closed_m2) = (before.0.saturating_sub(after.0), before.1.saturating_sub(after.1));
    (report.slivers, report.slivers_m2) = (inspection.slivers, inspection.slivers_m2);
    report.vertices_written = vertex_count(&rows);
    rows
}

/// Gaps and overlaps of any size: how many, and their area.
fn wrong_faces(inspection: &Inspection) -> (u32, u64) {
    let faces = inspection.findings.iter().filter(|f| !matches!(f.fault, Fault::SelfCrossing | Fault::HoleOutside | Fault::HoleInHole));
    faces.fold((inspection.slivers, inspection.slivers_m2), |(count, m2), f| (count + f.count, m2 + f.area_m2))
}

// --- reading an authority's layer ---

/// What the import needs to know of the base pack.
struct Basis {
    pack: Pack,
    areas: BTreeSet<String>,
    /// South-west and north-east of the base's land, to notice a layer that lies elsewhere.
    extent: Option<(Point, Point)>,
}

impl Basis {
    fn read(base: &Files, defects: &mut Vec<Defect>) -> Self {
        let text = base.get("pack.toml").map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        let pack = match text.as_deref().map(toml::from_str::<Pack>) {
            Some(Ok(pack)) => pack,
            Some(Err(error)) => {
                defects.push(defect("pack.toml", 0, "bad_row", error.message(), "repair the base pack: najda tables check"));
                Pack::default()
            }
            None => {
                defects.push(defect("pack.toml", 0, "missing_file", "the base has no pack.toml", "give --base the folder of a pack"));
                Pack::default()
            }
        };
        let rows: Vec<Row<AreaRow>> = match base.get("areas.csv") {
            Some(bytes) => read_csv("areas.csv", bytes, defects),
            None => {
                defects.push(defect("areas.csv", 0, "missing_file", "the base has no areas.csv", "give --base the folder of a pack"));
                Vec::new()
            }
        };
        let mut ignored = Vec::new();
        let land =
            base.get(LAND).map_or_else(Vec::new, |bytes| super::source::parse_features(LAND, bytes, &pack.area_property, &mut ignored));
        Self { pack, areas: rows.into_iter().map(|row| row.value.id).collect(), extent: extent(&land) }
    }

    fn read_layer(&self, layer: &Layer, request: &Request, defects: &mut Vec<Defect>) -> Vec<Row<Feature>> {
        let mut rows = read_features(layer, &request.id_property, &[], defects);
        for row in &mut rows {
            if let Some(new) = request.map.get(&row.value.id) {
                row.value.id.clone_from(new);
            }
        }
        let unknown: BTreeSet<&str> = rows.iter().map(|row| row.value.id.as_str()).filter(|id| !self.areas.contains(*id)).collect();
        if !unknown.is_empty() {
            let list = |ids: &mut dyn Iterator<Item = &str>| ids.take(12).collect::<Vec<_>>().join(", ");
            let missing = list(&mut unknown.iter().copied());
            let first = unknown.first().copied().unwrap_or_default();
            let known = list(&mut self.areas.iter().map(String::as_str));
            let what = format!("{} ids are not in areas.csv: {missing}", unknown.len());
            let remedy =
                format!("name the pack's areas with --map {first}=AREA,... (areas.csv has {known}), or take another --id-property");
            defects.push(defect(&layer.name, 0, "unknown_area", what, &remedy));
        }
        self.lies_where_the_base_lies(layer, &rows, defects);
        rows
    }

    /// Regions keep names of their own; a layer without the property `region` uses the area's.
    fn read_regions(&self, layer: &Layer, request: &Request, defects: &mut Vec<Defect>) -> Vec<Row<Feature>> {
        let mut rows = read_features(layer, "region", &[&request.id_property], defects);
        for row in &mut rows {
            if let Some(new) = request.map.get(&row.value.id) {
                row.value.id.clone_from(new);
            }
        }
        self.lies_where_the_base_lies(layer, &rows, defects);
        rows
    }

    fn all_areas_drawn(&self, land: &[Row<Feature>], file: &str, defects: &mut Vec<Defect>) {
        let drawn: BTreeSet<&str> = land.iter().map(|row| row.value.id.as_str()).collect();
        let missing: Vec<&str> = self.areas.iter().map(String::as_str).filter(|id| !drawn.contains(id)).collect();
        if !missing.is_empty() && !drawn.is_empty() {
            let what = format!(
                "no feature for {} areas of the pack: {}",
                missing.len(),
                missing.iter().take(12).copied().collect::<Vec<_>>().join(", ")
            );
            defects.push(defect(
                file,
                0,
                "area_without_boundary",
                what,
                "draw them, map other ids to them with --map, or remove them from areas.csv",
            ));
        }
    }

    fn lies_where_the_base_lies(&self, layer: &Layer, rows: &[Row<Feature>], defects: &mut Vec<Defect>) {
        let Some((low, high)) = self.extent else { return };
        const MARGIN_E7: i64 = 10_000_000;
        let near = |lat: i32, lon: i32| {
            let within =
                |v: i32, from: i32, until: i32| (i64::from(from) - MARGIN_E7..=i64::from(until) + MARGIN_E7).contains(&i64::from(v));
            within(lat, low.lat_e7, high.lat_e7) && within(lon, low.lon_e7, high.lon_e7)
        };
        let points = || rows.iter().flat_map(|row| row.value.polygons.iter().flatten().flatten());
        let total = points().count();
        let (here, swapped) =
            (points().filter(|p| near(p.lat_e7, p.lon_e7)).count(), points().filter(|p| near(p.lon_e7, p.lat_e7)).count());
        if total > 0 && here == 0 && swapped > total / 2 {
            let what =
                format!("latitude and longitude are exchanged: {swapped} of {total} positions lie in the country only the other way round");
            let remedy = "write longitude first, as GeoJSON wants it (in ogr2ogr: -s_srs with the layer's own axis order)";
            defects.push(defect(&layer.name, 0, "swapped_axes", what, remedy));
        } else if total > 0 && here == 0 {
            let what = "no position of it is within a degree of the base pack's land".to_owned();
            let warned = defect(&layer.name, 0, "far_away", what, "check that this is the right layer, in WGS 84");
            defects.push(Defect { warning: true, ..warned });
        }
    }
}

fn extent(rows: &[Row<Feature>]) -> Option<(Point, Point)> {
    let points = || rows.iter().flat_map(|row| row.value.polygons.iter().flatten().flatten());
    let low = Point { lat_e7: points().map(|p| p.lat_e7).min()?, lon_e7: points().map(|p| p.lon_e7).min()? };
    Some((low, Point { lat_e7: points().map(|p| p.lat_e7).max()?, lon_e7: points().map(|p| p.lon_e7).max()? }))
}

fn defect(file: &str, row: u64, code: &'static str, what: impl Into<String>, remedy: &str) -> Defect {
    Defect { file: file.to_owned(), row, code, what: what.into(), remedy: remedy.to_owned(), warning: false }
}

/// Reads a layer strictly: an authority's file is repaired where it was made, not guessed at here.
fn read_features(layer: &Layer, property: &str, otherwise: &[&str], defects: &mut Vec<Defect>) -> Vec<Row<Feature>> {
    let file = layer.name.as_str();
    if let Some((what, remedy)) = not_geojson(&layer.bytes) {
        defects.push(defect(file, 0, "bad_geojson", what, remedy));
        return Vec::new();
    }
    let collection = match serde_json::from_slice::<geojson::FeatureCollection>(&layer.bytes) {
        Ok(collection) => collection,
        Err(error) => {
            let what = format!("not a GeoJSON FeatureCollection: {error}");
            defects.push(defect(file, error.line() as u64, "bad_geojson", what, "export it as GeoJSON (RFC 7946), WGS 84"));
            return Vec::new();
        }
    };
    if collection.features.is_empty() {
        defects.push(defect(file, 0, "bad_geojson", "the layer has no feature", "export the layer with its features"));
    }
    let mut rows = Vec::new();
    let mut nameless = Nameless::default();
    for (feature, number) in collection.features.into_iter().zip(1..) {
        let properties = feature.properties.unwrap_or_default();
        let Some(id) = [property].iter().chain(otherwise).find_map(|name| text_of(properties.get(*name)?)) else {
            nameless.add(number, properties.keys().map(String::as_str));
            continue;
        };
        let polygons = match feature.geometry.map(|geometry| geometry.value) {
            Some(GeometryValue::Polygon { coordinates }) => vec![coordinates],
            Some(GeometryValue::MultiPolygon { coordinates }) => coordinates,
            other => {
                let kind = other.map_or("no geometry", |value| value.type_name());
                let what = format!("feature {number} (`{id}`) is {kind}, not Polygon or MultiPolygon");
                defects.push(defect(file, number, "bad_geometry", what, "keep only areas in this layer; polygonize lines in a GIS"));
                continue;
            }
        };
        let mut reader = RingReader { file, number, id: &id, defects, said: 0, flat: (0, None) };
        let mut polygons: Vec<Vec<Vec<Point>>> =
            polygons.iter().map(|polygon| polygon.iter().map(|ring| reader.read(ring)).collect()).collect();
        for polygon in &mut polygons {
            if polygon.first().is_some_and(Vec::is_empty) {
                polygon.clear();
            }
            polygon.retain(|ring| !ring.is_empty());
        }
        polygons.retain(|polygon| !polygon.is_empty());
        reader.finish(polygons.is_empty());
        rows.push(Row { file: file.to_owned(), line: number, value: Feature { id, polygons } });
    }
    nameless.report(file, property, defects);
    rows
}

fn text_of(value: &serde_json::Value) -> Option<String> {
    match value {
        serde_json::Value::String(text) if !text.trim().is_empty() => Some(text.trim().to_owned()),
        serde_json::Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Says what a file is when it is plainly something else.
fn not_geojson(bytes: &[u8]) -> Option<(String, &'static str)> {
    #[derive(serde::Deserialize)]
    struct Head {
        #[serde(rename = "type")]
        kind: Option<String>,
        crs: Option<serde_json::Value>,
    }
    let start: Vec<u8> = bytes.iter().copied().skip_while(|byte| byte.is_ascii_whitespace() || *byte >= 0x80).take(4).collect();
    match start.as_slice() {
        [] => return Some(("the file is empty".to_owned(), "export it again as GeoJSON, WGS 84")),
        [b'P', b'K', ..] => {
            return Some((
                "a zip file, perhaps a zipped shapefile".to_owned(),
                "unzip it and convert it: ogr2ogr -t_srs EPSG:4326 land.geojson LAYER.shp",
            ));
        }
        [b'<', ..] => {
            return Some(("XML (KML or GML), not GeoJSON".to_owned(), "convert it: ogr2ogr -t_srs EPSG:4326 land.geojson LAYER.kml"));
        }
        [b'{', ..] => {}
        _ => return Some(("not JSON".to_owned(), "export it as GeoJSON; from other formats: ogr2ogr -t_srs EPSG:4326 land.geojson LAYER")),
    }
    let head: Head = match serde_json::from_slice(bytes) {
        Ok(head) => head,
        Err(error) => return Some((format!("not JSON: {error}"), "the file is cut off or damaged: export it again")),
    };
    let crs = head.crs.as_ref().and_then(|crs| crs.pointer("/properties/name")).and_then(|name| name.as_str());
    let foreign = crs.filter(|name| !["CRS84", "EPSG::4326", "EPSG:4326"].iter().any(|known| name.ends_with(known)));
    if let Some(name) = foreign {
        return Some((
            format!("the layer is in {name}, not in WGS 84 degrees"),
            "reproject it: ogr2ogr -t_srs EPSG:4326 land.geojson LAYER",
        ));
    }
    match head.kind.as_deref() {
        Some("FeatureCollection") => None,
        Some("Topology") => Some((
            "TopoJSON, not GeoJSON".to_owned(),
            "convert it: ogr2ogr land.geojson LAYER.topojson, or topo2geo LAYER=land.geojson < LAYER.topojson",
        )),
        Some(kind) => {
            Some((format!("a GeoJSON {kind}, not a FeatureCollection"), "put the features of all areas into one FeatureCollection"))
        }
        None => Some(("JSON without a `type`".to_owned(), "export it as GeoJSON (RFC 7946), WGS 84")),
    }
}

/// Features without the wanted property, and the properties they have instead.
#[derive(Default)]
struct Nameless {
    count: usize,
    first: u64,
    properties: BTreeSet<String>,
}

impl Nameless {
    fn add<'a>(&mut self, number: u64, properties: impl Iterator<Item = &'a str>) {
        if self.count == 0 {
            self.first = number;
        }
        self.count += 1;
        self.properties.extend(properties.take(64).map(str::to_owned));
    }

    fn report(self, file: &str, property: &str, defects: &mut Vec<Defect>) {
        if self.count == 0 {
            return;
        }
        let names: Vec<&str> = self.properties.iter().map(String::as_str).take(40).collect();
        let what = format!("{} features have no property `{property}`, the first is feature {}", self.count, self.first);
        let remedy = if names.is_empty() {
            "the features have no properties at all: add one with the area's id".to_owned()
        } else {
            format!("take --id-property from what there is: {}", names.join(", "))
        };
        defects.push(defect(file, self.first, "no_id", what, &remedy));
    }
}

struct RingReader<'a> {
    file: &'a str,
    number: u64,
    id: &'a str,
    defects: &'a mut Vec<Defect>,
    said: u32,
    /// Rings without an inside, and where the first is.
    flat: (u32, Option<Point>),
}

impl RingReader<'_> {
    /// A layer that is wrong throughout is told of a few times, not a hundred thousand.
    const SAID_MAX: u32 = 3;

    fn read(&mut self, ring: &[geojson::Position]) -> Vec<Point> {
        let mut points = Vec::with_capacity(ring.len());
        for position in ring {
            let (lon, lat) = (position.as_slice().first().copied(), position.as_slice().get(1).copied());
            let (Some(lon), Some(lat)) = (lon, lat) else {
                self.say("bad_ring", "a position of fewer than two numbers".to_owned(), "write [longitude, latitude]");
                return Vec::new();
            };
            let Some(point) = Point::from_degrees(lat, lon) else {
                self.not_degrees(lon, lat);
                return Vec::new();
            };
            points.push(point);
        }
        if points.len() < 2 || points.first() != points.last() {
            let what = format!("a ring of {} positions that is not closed", points.len());
            self.say("bad_ring", what, "repeat the first position at the end (RFC 7946, 3.1.6)");
            return Vec::new();
        }
        points.pop();
        points.dedup();
        if points.len() < 3 || tiling::is_flat(&points) {
            let at = points.first().copied().unwrap_or_default();
            self.flat.0 += 1;
            self.flat.1.get_or_insert(at);
            return Vec::new();
        }
        points
    }

    /// Rings without an inside own nothing: dropping them changes no owner, so they do not stop an import.
    fn finish(&mut self, is_empty: bool) {
        if let (count @ 1.., Some(at)) = self.flat {
            let what =
                format!("feature {} (`{}`): {count} rings without an inside left out, the first at {}", self.number, self.id, place(at));
            let flat = defect(self.file, self.number, "bad_ring", what, "nothing is lost; fix the geometry in a GIS when convenient");
            self.defects.push(Defect { warning: true, ..flat });
        }
        if is_empty && self.said == 0 {
            self.say("bad_ring", "no ring with an inside".to_owned(), "draw the area, or remove the feature");
        }
    }

    fn not_degrees(&mut self, lon: f64, lat: f64) {
        let what = format!("the position [{lon}, {lat}] is not longitude and latitude in degrees");
        if lon.abs() > 360.0 || lat.abs() > 360.0 {
            self.say("projected", format!("{what}; it looks like metres"), "reproject it: ogr2ogr -t_srs EPSG:4326 land.geojson LAYER");
        } else if lon.abs() <= 90.0 && lat.abs() <= 180.0 {
            self.say("swapped_axes", format!("{what}; exchanged it would be"), "write longitude first, as GeoJSON wants it");
        } else {
            self.say("out_of_range", what, "reproject it to WGS 84: ogr2ogr -t_srs EPSG:4326 land.geojson LAYER");
        }
    }

    fn say(&mut self, code: &'static str, what: String, remedy: &str) {
        self.said += 1;
        if self.said <= Self::SAID_MAX {
            let what = format!("feature {} (`{}`): {what}", self.number, self.id);
            self.defects.push(defect(self.file, self.number, code, what, remedy));
        }
    }
}

// --- writing ---

/// A layer as GeoJSON, one polygon to a line, with every digit of the integers and no more.
pub fn write_features(property: &str, rows: &[Row<Feature>]) -> String {
    let mut text = String::from("{\"type\":\"FeatureCollection\",\"features\":[\n");
    for (n, row) in rows.iter().enumerate() {
        let properties = serde_json::json!({ property: row.value.id });
        let _ =
            write!(text, "{{\"type\":\"Feature\",\"properties\":{properties},\"geometry\":{{\"type\":\"MultiPolygon\",\"coordinates\":[");
        for (i, polygon) in row.value.polygons.iter().enumerate() {
            text.push_str(if i == 0 { "\n[" } else { ",\n[" });
            for (k, ring) in polygon.iter().enumerate() {
                text.push_str(if k == 0 { "[" } else { ",[" });
                for &point in ring.iter().chain(ring.first()) {
                    text.push('[');
                    push_degrees(&mut text, point.lon_e7);
                    text.push(',');
                    push_degrees(&mut text, point.lat_e7);
                    text.push_str("],");
                }
                text.pop();
                text.push(']');
            }
            text.push(']');
        }
        text.push_str(if n + 1 < rows.len() { "]}},\n" } else { "]}}\n" });
    }
    text.push_str("]}\n");
    text
}

fn push_degrees(text: &mut String, e7: i32) {
    let (sign, size) = (if e7 < 0 { "-" } else { "" }, e7.unsigned_abs());
    let _ = write!(text, "{sign}{}", size / 10_000_000);
    let rest = size % 10_000_000;
    if rest != 0 {
        let digits = format!("{rest:07}");
        let _ = write!(text, ".{}", digits.trim_end_matches('0'));
    }
}

/// Sets two keys of `pack.toml` and leaves every other line as the operator wrote it.
fn rewrite_pack(files: &mut Files, request: &Request) {
    let Some(bytes) = files.get("pack.toml") else { return };
    let text = String::from_utf8_lossy(bytes).into_owned();
    let values = [("accuracy_m", request.accuracy_m.to_string()), ("rough", "false".to_owned())];
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for (key, value) in values {
        let wanted = format!("{key} = {value}");
        let is_key = |line: &String| line.split_once('=').is_some_and(|(name, _)| name.trim() == key);
        match lines.iter_mut().find(|line| is_key(line)) {
            Some(line) => *line = wanted,
            None => lines.push(wanted),
        }
    }
    files.insert("pack.toml".to_owned(), (lines.join("\n") + "\n").into_bytes());
}

fn rewrite_borders(files: &mut Files, basis: &Basis, land: &[Row<Feature>], request: &Request, report: &mut ImportReport) {
    let mut ignored = Vec::new();
    let old: Vec<Row<BorderRow>> = files.get(BORDERS).map_or_else(Vec::new, |bytes| read_csv(BORDERS, bytes, &mut ignored));
    let is_country = |id: &str| id != "coast" && !basis.areas.contains(id);
    // The national border is drawn by the new layer too: the old rows spoke of the old layer's line.
    let national: BTreeSet<(&str, &str)> = old
        .iter()
        .map(|row| (row.value.area_a.as_str(), row.value.area_b.as_str()))
        .filter(|(a, b)| is_country(a) || is_country(b))
        .collect();
    report.borders_dropped = old.len();
    let ids: BTreeSet<&str> = land.iter().map(|row| row.value.id.as_str()).collect();
    let ids: Vec<&str> = ids.into_iter().collect();
    let mut writer = csv::Writer::from_writer(Vec::new());
    let header = ["area_a", "area_b", "accuracy_m", "within", "source"];
    let mut lines: Vec<[String; 5]> = vec![header.map(str::to_owned)];
    let source = format!("{}, imported {}", request.land.name, request.date);
    for (a, b) in &national {
        lines.push([(*a).to_owned(), (*b).to_owned(), request.accuracy_m.to_string(), String::new(), source.clone()]);
        report.borders_written += 1;
    }
    for (a, b) in tiling::neighbours(&outlines(land)) {
        let name = |number: u32| ids.get(number as usize).copied().unwrap_or_default().to_owned();
        let other = b.map_or_else(|| "coast".to_owned(), name);
        lines.push([name(a), other, request.accuracy_m.to_string(), String::new(), source.clone()]);
        report.borders_written += 1;
    }
    for line in &lines {
        // Writing to memory cannot fail; a record always has the header's five fields.
        let _ = writer.write_record(line);
    }
    if let Ok(bytes) = writer.into_inner() {
        files.insert(BORDERS.to_owned(), bytes);
    }
}

fn rewrite_overlays(files: &mut Files, land: &[Row<Feature>], report: &mut ImportReport) {
    let Some(bytes) = files.get(OVERLAYS) else { return };
    let mut columns = csv::StringRecord::new();
    let mut out = String::new();
    for line in logical_lines(&String::from_utf8_lossy(bytes)) {
        let record = if line.starts_with('#') || line.trim().is_empty() { None } else { parse_line(&line) };
        let Some(mut record) = record else {
            out.push_str(&line);
            continue;
        };
        if columns.is_empty() {
            columns = csv::StringRecord::from(record);
            out.push_str(&line);
            continue;
        }
        let at = |name: &str| columns.iter().position(|column| column == name);
        let field = |name: &str| at(name).and_then(|at| record.get(at)).map_or("", String::as_str).to_owned();
        let (id, kind, flag) = (field("id"), field("kind"), field("flag"));
        match (kind.as_str(), flag.as_str()) {
            ("area", "") | (_, "neutral_zone") => report.overlays_dropped.push(id),
            ("area", _) if is_covered(&field("shape"), land) => {
                if let Some(kind) = at("kind").and_then(|at| record.get_mut(at)) {
                    "mark".clone_into(kind);
                }
                out.push_str(&write_line(&record));
                report.overlays_marked.push(id);
            }
            _ => out.push_str(&line),
        }
    }
    files.insert(OVERLAYS.to_owned(), out.into_bytes());
}

/// Whether the layer owns the middle of an overlay, or any of it stands inside the overlay.
fn is_covered(shape: &str, land: &[Row<Feature>]) -> bool {
    let Ok(shape) = parse_shape(shape) else { return false };
    let middle = match &shape {
        Shape::Circle { center, .. } => Some(*center),
        Shape::Polygon(points) => tiling::middle(points),
        _ => None,
    };
    let Some(middle) = middle else { return false };
    let mut polygons = land.iter().flat_map(|row| &row.value.polygons);
    polygons.any(|polygon| {
        let first = polygon.first().and_then(|ring| ring.first());
        tiling::contains(std::slice::from_ref(polygon), middle) || first.is_some_and(|&p| holds(&shape, p))
    })
}

/// Lines with their line ends; a line break inside quotes belongs to the line.
fn logical_lines(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut open = false;
    for line in text.split_inclusive('\n') {
        match lines.last_mut().filter(|_| open) {
            Some(last) => last.push_str(line),
            None => lines.push(line.to_owned()),
        }
        let comment = !open && line.starts_with('#');
        open ^= !comment && line.matches('"').count() % 2 == 1;
    }
    lines
}

fn parse_line(line: &str) -> Option<Vec<String>> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).trim(csv::Trim::All).from_reader(line.as_bytes());
    let record = reader.records().next()?.ok()?;
    Some(record.iter().map(str::to_owned).collect())
}

fn write_line(fields: &[String]) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let _ = writer.write_record(fields);
    writer.into_inner().map_or_else(|_| String::new(), |bytes| String::from_utf8_lossy(&bytes).into_owned())
}

// --- provenance ---

/// Rows of replaced files go, sums of changed files are refreshed, and the new layers get rows of their own.
fn rewrite_provenance(files: &mut Files, base: &Files, request: &Request, basis: &Basis, report: &ImportReport) {
    let text = base.get(PROVENANCE).map(|bytes| String::from_utf8_lossy(bytes).into_owned()).unwrap_or_default();
    let folder = format!("{}/", basis.pack.name);
    let layers = [(LAND, "land", Some(&request.land), Some(&report.land)), (WATER, "water", request.water.as_ref(), report.water.as_ref())];
    let regions = (REGIONS, "regions", request.regions.as_ref(), report.regions.as_ref());
    let layers: Vec<_> = layers.into_iter().chain([regions]).collect();
    let mut ignored = Vec::new();
    let overlays: Vec<Row<OverlayRow>> = files.get(OVERLAYS).map_or_else(Vec::new, |bytes| read_csv(OVERLAYS, bytes, &mut ignored));
    let named: BTreeSet<String> = overlays.into_iter().map(|row| row.value.provenance).collect();
    let mut blocks = blocks_of(&text);
    blocks.retain_mut(|block| {
        let Some(row) = parse_block(block) else { return true };
        let file = row.file.strip_prefix(&folder).unwrap_or(&row.file);
        let replaced = layers.iter().any(|(name, _, layer, _)| *name == file && layer.is_some());
        if replaced || (!file.is_empty() && !files.contains_key(file) && file != PROVENANCE) {
            // An overlay that stays may have come from the same source as the layer that goes.
            let told = named.contains(&row.id);
            if told {
                *block = without_file(block);
            }
            return told;
        }
        if !row.sha256.is_empty()
            && let Some(bytes) = files.get(file).filter(|bytes| base.get(file) != Some(*bytes))
        {
            *block = block.replace(&row.sha256, &sha256_hex(bytes));
        }
        true
    });
    let mut out = blocks.concat();
    if !out.is_empty() && !out.ends_with("\n\n") {
        out.push_str(if out.ends_with('\n') { "\n" } else { "\n\n" });
    }
    for (file, word, layer, done) in layers {
        let (Some(layer), Some(done), Some(bytes)) = (layer, done, files.get(file)) else { continue };
        let transform = format!(
            "najda tables import: area id from property {}, {} vertices snapped and {} nodes added within {} m",
            request.id_property, done.snapping.vertices_snapped, done.snapping.nodes_added, basis.pack.snap_m
        );
        let rows = [
            ("id", format!("imported-{word}")),
            ("file", file.to_owned()),
            ("source", format!("{}, sha256 {}", layer.name, sha256_hex(&layer.bytes))),
            ("licence", "as the owner of the layer granted it; write it here".to_owned()),
            ("date", request.date.clone()),
            ("sha256", sha256_hex(bytes)),
            ("transform", transform),
            ("note", format!("accuracy {} m as given at the import", request.accuracy_m)),
        ];
        out.push_str("[[row]]\n");
        for (key, value) in rows {
            let _ = writeln!(out, "{key} = {}", toml::Value::String(value));
        }
        out.push('\n');
    }
    files.insert(PROVENANCE.to_owned(), out.into_bytes());
}

/// The text cut before every `[[row]]`; comments stay with the row above them.
fn blocks_of(text: &str) -> Vec<String> {
    let mut blocks = vec![String::new()];
    for line in text.split_inclusive('\n') {
        if line.trim_start().starts_with("[[row]]") {
            blocks.push(String::new());
        }
        if let Some(last) = blocks.last_mut() {
            last.push_str(line);
        }
    }
    blocks.retain(|block| !block.is_empty());
    blocks
}

/// A row that tells of a source, but no longer of a file.
fn without_file(block: &str) -> String {
    let of_file = |line: &&str| line.split_once('=').is_some_and(|(key, _)| matches!(key.trim(), "file" | "sha256"));
    block.split_inclusive('\n').filter(|line| !of_file(line)).collect()
}

fn parse_block(block: &str) -> Option<ProvenanceRow> {
    let mut parsed = toml::from_str::<super::check::provenance::Provenance>(block).ok()?;
    parsed.row.pop()
}
