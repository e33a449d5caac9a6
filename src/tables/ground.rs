//! The ground compiled: boundaries, patches, water and foreign land into one index; borders with their accuracy into another.
//!
//! Zones stand in the order of their strength (patches by precedence, own land, own water, foreign land), so the first zone that
//! holds a point is its owner, and one look-up answers.
//!
//! Coast edges carry no reach: how well a coast is drawn does not change whose it is. It matters only between rivals off the coast,
//! where `locate` uses the pack's accuracy.

use std::collections::BTreeMap;

use super::dispatchers::Dispatchers;
use super::snapshot::{Area, Flag, Ground, Overlay, Tables, Zone};
use super::source::{self, Defect, Hours, OverlayRow, Row, Source};
use crate::decision::AreaIndex;
use crate::geo::area::Shape;
use crate::geo::edges::{BorderEdge, Borders, border_edges};
use crate::geo::grid::{Grid, IndexedArea};
use crate::geo::point::{BBox, Point, distance_cm, offset};
use crate::geo::ring::area_contains;
use crate::geo::trig;
use crate::service::ServiceSet;
use crate::units::Name;

/// Corners of the polygon that stands for a circle.
const CIRCLE_CORNERS: u32 = 48;
/// Border pieces longer than this are split, so that an accuracy declared around one spot holds there only.
const PIECE_CM: u32 = 100_000;

impl Ground {
    /// No ground at all: every place is off the map.
    pub fn empty() -> Self {
        Self {
            zones: Vec::new(),
            grid: empty_grid(),
            edges: empty_borders(),
            has_water: false,
            overlays: Vec::new(),
            overlay_grid: empty_grid(),
            bbox: nowhere(),
            countries: Vec::new(),
            area_count: 0,
        }
    }
}

/// Compiles the ground of a pack.
pub fn build(source: &Source, areas: &[Area], dispatchers: &Dispatchers, defects: &mut Vec<Defect>) -> Ground {
    let names = |id: &str| areas.binary_search_by(|area| area.id.as_str().cmp(id)).ok().map(|at| AreaIndex(at as u16));
    let countries = countries_of(source);
    let patches = patch_rows(source);
    let has_water = !source.water.is_empty();
    let land = layer(&source.land, areas.len(), names, defects);
    let water = layer(&source.water, areas.len(), names, defects);
    let mut foreign = vec![Vec::new(); countries.len()];
    for row in &source.foreign_land {
        let at = countries.iter().position(|country| country[..] == *row.value.id.as_bytes());
        if let Some(rings) = at.and_then(|at| foreign.get_mut(at)) {
            rings.extend(row.value.polygons.iter().flatten().cloned());
        }
    }
    let patch_rings: Vec<Vec<Point>> = patches.iter().map(|row| outline(row, defects)).collect();

    let mut indexed = Vec::new();
    let all = patch_rings.iter().map(|ring| vec![ring.clone()]).chain(land.iter().cloned());
    for rings in all.chain(water.iter().filter(|_| has_water).cloned()).chain(foreign.iter().cloned()) {
        indexed.push(IndexedArea { area: indexed.len() as u16, rings });
    }
    let grid = Grid::build(&indexed).unwrap_or_else(|error| {
        defects.push(ground_defect(error.to_string()));
        empty_grid()
    });
    let zones = zones(&patches, areas.len(), has_water, &countries, names);
    let edges = edges_of(source, areas, &land, &foreign, &countries, &patches, &patch_rings, &grid, &zones, defects);
    let own_points = patch_rings.iter().chain(land.iter().flatten()).chain(water.iter().flatten()).flatten().copied();
    let bbox = BBox::of(own_points).unwrap_or_else(nowhere);
    let (overlays, overlay_grid) = overlays(source, names, dispatchers, defects);
    Ground { zones, grid, edges, has_water, overlays, overlay_grid, bbox, countries, area_count: areas.len() as u16 }
}

fn nowhere() -> BBox {
    BBox::new(Point::default(), Point::default())
}

fn empty_grid() -> Grid {
    Grid::build(&[]).expect("no areas are in range of every bound")
}

fn empty_borders() -> Borders {
    Borders::build(&[]).expect("no edges are in range of every bound")
}

fn ground_defect(what: String) -> Defect {
    let (file, remedy) = ("boundaries/land.geojson".to_owned(), "run `najda tables check`".to_owned());
    Defect { file, row: 0, code: "bad_geometry", what, remedy, warning: false }
}

/// Countries that have land in the pack, sorted.
fn countries_of(source: &Source) -> Vec<[u8; 2]> {
    let mut countries: Vec<[u8; 2]> = source.foreign_land.iter().filter_map(|row| row.value.id.as_bytes().try_into().ok()).collect();
    countries.sort_unstable();
    countries.dedup();
    countries
}

/// Overlays that patch the boundaries, strongest first.
fn patch_rows(source: &Source) -> Vec<&Row<OverlayRow>> {
    strongest_first(source, |kind| kind == "area")
}

fn strongest_first(source: &Source, kind: impl Fn(&str) -> bool) -> Vec<&Row<OverlayRow>> {
    let mut rows: Vec<_> = source.overlays.iter().filter(|row| kind(&row.value.kind)).collect();
    rows.sort_by(|a, b| b.value.precedence.cmp(&a.value.precedence).then_with(|| a.value.id.cmp(&b.value.id)));
    rows
}

fn zones(
    patches: &[&Row<OverlayRow>],
    area_count: usize,
    has_water: bool,
    countries: &[[u8; 2]],
    names: impl Fn(&str) -> Option<AreaIndex>,
) -> Vec<Zone> {
    let patch = |row: &&Row<OverlayRow>| Zone::Patch {
        area: names(&row.value.area).unwrap_or(AreaIndex(0)),
        overlay: Name::new(&row.value.id).unwrap_or_default(),
        flag: flag_of(&row.value.flag),
    };
    let numbers = || (0..area_count as u16).map(AreaIndex);
    let water = numbers().filter(|_| has_water).map(Zone::Water);
    let foreign = countries.iter().copied().map(Zone::Foreign);
    patches.iter().map(patch).chain(numbers().map(Zone::Land)).chain(water).chain(foreign).collect()
}

fn flag_of(word: &str) -> Flag {
    match word {
        "disputed" => Flag::Disputed,
        "neutral_zone" => Flag::NeutralZone,
        _ => Flag::None,
    }
}

/// The rings of every area in one layer, by area.
fn layer(
    rows: &[Row<source::Feature>],
    area_count: usize,
    names: impl Fn(&str) -> Option<AreaIndex>,
    defects: &mut Vec<Defect>,
) -> Vec<Vec<Vec<Point>>> {
    let mut rings = vec![Vec::new(); area_count];
    for row in rows {
        match names(&row.value.id).and_then(|area| rings.get_mut(usize::from(area.0))) {
            Some(slot) => slot.extend(row.value.polygons.iter().flatten().cloned()),
            None => {
                let what = format!("there is no area `{}`", row.value.id);
                defects.push(row.defect("unknown_area", what, "add it to areas.csv, or correct the boundary's id"));
            }
        }
    }
    rings
}

/// The outline of an overlay as one ring.
fn outline(row: &Row<OverlayRow>, defects: &mut Vec<Defect>) -> Vec<Point> {
    match source::parse_shape(&row.value.shape) {
        Ok(Shape::Polygon(points)) => points,
        Ok(Shape::Circle { center, radius_cm }) => circle(center, radius_cm),
        Ok(_) => Vec::new(),
        Err(what) => {
            defects.push(row.defect("bad_row", what, "write `circle LAT LON RADIUS_M` or `polygon LON LAT, LON LAT, ...`"));
            Vec::new()
        }
    }
}

fn circle(center: Point, radius_cm: u32) -> Vec<Point> {
    let along = |wave: i64| (i64::from(radius_cm) * wave) >> trig::SINE_BITS;
    let turn = |corner: u32| ((u64::from(corner) << 32) / u64::from(CIRCLE_CORNERS)) as u32;
    (0..CIRCLE_CORNERS).map(|corner| offset(center, along(trig::cos(turn(corner))), along(trig::sin(turn(corner))))).collect()
}

fn overlays(
    source: &Source,
    names: impl Fn(&str) -> Option<AreaIndex>,
    dispatchers: &Dispatchers,
    defects: &mut Vec<Defect>,
) -> (Vec<Overlay>, Grid) {
    let rows = strongest_first(source, |kind| kind != "area");
    let mut indexed = Vec::new();
    let mut overlays = Vec::new();
    for row in rows {
        let ring = outline(row, defects);
        indexed.push(IndexedArea { area: indexed.len() as u16, rings: vec![ring] });
        overlays.push(overlay(row, &names, dispatchers, defects));
    }
    let grid = Grid::build(&indexed).unwrap_or_else(|error| {
        defects.push(Defect { file: "overlays.csv".to_owned(), ..ground_defect(error.to_string()) });
        empty_grid()
    });
    (overlays, grid)
}

fn overlay(
    row: &Row<OverlayRow>,
    names: &impl Fn(&str) -> Option<AreaIndex>,
    dispatchers: &Dispatchers,
    defects: &mut Vec<Defect>,
) -> Overlay {
    let value = &row.value;
    let services = match source::parse_services(&value.services) {
        Ok(services) if services.is_empty() => ServiceSet(u16::MAX),
        Ok(services) => services.into_iter().collect(),
        Err(what) => {
            defects.push(row.defect("unknown_service", what, "write services as in dispatchers.csv"));
            ServiceSet::EMPTY
        }
    };
    let hours = Hours::parse(&value.hours).unwrap_or_else(|what| {
        defects.push(row.defect("bad_row", what, "write hours like `Mo-Fr 07:00-15:00`"));
        Hours::default()
    });
    let dispatcher = dispatchers.find(&value.dispatcher);
    if dispatcher.is_none() && value.kind == "room" {
        let what = format!("there is no dispatcher `{}`", value.dispatcher);
        defects.push(row.defect("unknown_dispatcher", what, "add it to dispatchers.csv, or correct the id"));
    }
    Overlay {
        id: Name::new(&value.id).unwrap_or_default(),
        services,
        dispatcher: dispatcher.filter(|_| value.kind == "room"),
        hours,
        flag: flag_of(&value.flag),
        told: source::words(&value.told).filter_map(names).take(4).collect(),
    }
}

// --- borders with their accuracy ---

/// Accuracies as `borders.csv` declares them.
struct Accuracy {
    everywhere: BTreeMap<(u16, u16), u32>,
    within: Vec<((u16, u16), Point, u32, u32)>,
    otherwise_cm: u32,
}

/// The number that stands for the coast in a pair.
const COAST: u16 = u16::MAX;

impl Accuracy {
    fn read(source: &Source, number: impl Fn(&str) -> Option<u16>, defects: &mut Vec<Defect>) -> Self {
        let mut out = Self { everywhere: BTreeMap::new(), within: Vec::new(), otherwise_cm: source.pack.accuracy_m.saturating_mul(100) };
        for row in &source.borders {
            let value = &row.value;
            let (Some(a), Some(b)) = (number(&value.area_a), number(&value.area_b)) else {
                let what = format!("`{}` and `{}` are not both an area, `coast` or a country with land", value.area_a, value.area_b);
                defects.push(row.defect("unknown_area", what, "correct the ids"));
                continue;
            };
            let (pair, reach_cm) = ((a.min(b), a.max(b)), value.accuracy_m.saturating_mul(100));
            if value.within.is_empty() {
                out.everywhere.insert(pair, reach_cm);
                continue;
            }
            match source::parse_shape(&format!("circle {}", value.within)) {
                Ok(Shape::Circle { center, radius_cm }) => out.within.push((pair, center, radius_cm, reach_cm)),
                _ => defects.push(row.defect("bad_row", "`within` is not `LAT LON RADIUS_M`", "correct it")),
            }
        }
        out
    }

    fn of(&self, a: u16, b: u16, at: Point) -> u32 {
        let pair = (a.min(b), a.max(b));
        let spots = self.within.iter().filter(|(of, center, radius_cm, _)| *of == pair && distance_cm(*center, at) <= *radius_cm);
        let spot = spots.map(|(.., reach_cm)| *reach_cm).max();
        spot.or_else(|| self.everywhere.get(&pair).copied()).unwrap_or(self.otherwise_cm)
    }
}

#[expect(clippy::too_many_arguments, reason = "the layers are built once, side by side, and used together only here")]
fn edges_of(
    source: &Source,
    areas: &[Area],
    land: &[Vec<Vec<Point>>],
    foreign: &[Vec<Vec<Point>>],
    countries: &[[u8; 2]],
    patches: &[&Row<OverlayRow>],
    patch_rings: &[Vec<Point>],
    grid: &Grid,
    zones: &[Zone],
    defects: &mut Vec<Defect>,
) -> Borders {
    let own_count = areas.len() as u16;
    let number = |id: &str| match id {
        "coast" => Some(COAST),
        _ => areas
            .binary_search_by(|area| area.id.as_str().cmp(id))
            .ok()
            .or_else(|| countries.iter().position(|country| country[..] == *id.as_bytes()).map(|at| at + areas.len()))
            .map(|at| at as u16),
    };
    let accuracy = Accuracy::read(source, number, defects);
    let layers: Vec<IndexedArea> =
        land.iter().chain(foreign).enumerate().map(|(at, rings)| IndexedArea { area: at as u16, rings: rings.clone() }).collect();
    let whole = match border_edges(&layers, |_, _| 0) {
        Ok(edges) => edges,
        Err(error) => {
            defects.push(ground_defect(error.to_string()));
            return empty_borders();
        }
    };
    let inside_own = |point: Point| land.iter().any(|rings| area_contains(rings, point));
    let covered = |edge: &BorderEdge| patch_rings.iter().any(|ring| [edge.a, edge.b].iter().all(|end| contains(ring, *end)));
    let mut edges = Vec::with_capacity(whole.len());
    for edge in whole.iter().flat_map(pieces) {
        if covered(&edge) {
            continue;
        }
        let middle = middle(edge.a, edge.b);
        match edge.other {
            // Foreign land drawn over our own: the stronger layer has its own edge for this border.
            None if edge.area >= own_count && inside_own(middle) => {}
            None if edge.area >= own_count => edges.push(edge),
            None => {
                let beyond = foreign.iter().position(|rings| sides(edge.a, edge.b).iter().any(|side| area_contains(rings, *side)));
                let other = beyond.map(|at| at as u16 + own_count);
                let reach_cm = other.map_or(0, |other| accuracy.of(edge.area, other, middle));
                edges.push(BorderEdge { other, reach_cm, ..edge });
            }
            Some(other) if edge.area < own_count || other < own_count => {
                edges.push(BorderEdge { reach_cm: accuracy.of(edge.area, other, middle), ..edge });
            }
            // Between two countries abroad: nothing of ours.
            Some(_) => edges.push(edge),
        }
    }
    for (at, (row, ring)) in patches.iter().zip(patch_rings).enumerate() {
        let reach_cm = row.value.accuracy_m.map_or(accuracy.otherwise_cm, |metres| metres.saturating_mul(100));
        let Some(area) = number(&row.value.area) else { continue };
        for (a, b) in crate::geo::ring::edges(ring) {
            let other = outer_side(a, b, at, grid, zones, countries, own_count);
            if other != Some(area) {
                let reach_cm = if other.is_some() { reach_cm } else { 0 };
                edges.push(BorderEdge { a, b, area, other, reach_cm });
            }
        }
    }
    Borders::build(&edges).unwrap_or_else(|error| {
        defects.push(ground_defect(error.to_string()));
        empty_borders()
    })
}

fn contains(ring: &[Point], point: Point) -> bool {
    crate::geo::ring::contains(ring, point)
}

/// An edge in pieces short enough for a declared accuracy to change along it.
fn pieces(edge: &BorderEdge) -> impl Iterator<Item = BorderEdge> + '_ {
    let count = (distance_cm(edge.a, edge.b) / PIECE_CM + 1).min(1_000) as i64;
    let at = move |step: i64| {
        let along = move |from: i32, until: i32| from + ((i64::from(until) - i64::from(from)) * step / count) as i32;
        Point { lat_e7: along(edge.a.lat_e7, edge.b.lat_e7), lon_e7: along(edge.a.lon_e7, edge.b.lon_e7) }
    };
    (0..count).map(move |step| BorderEdge { a: at(step), b: at(step + 1), ..*edge })
}

fn middle(a: Point, b: Point) -> Point {
    let half = |a: i32, b: i32| ((i64::from(a) + i64::from(b)) / 2) as i32;
    Point { lat_e7: half(a.lat_e7, b.lat_e7), lon_e7: half(a.lon_e7, b.lon_e7) }
}

/// Points about 20 m to either side of the middle of an edge.
fn sides(a: Point, b: Point) -> [Point; 2] {
    let m = middle(a, b);
    let (dy, dx) = (i64::from(b.lat_e7) - i64::from(a.lat_e7), i64::from(b.lon_e7) - i64::from(a.lon_e7));
    let long = dy.abs().max(dx.abs()).max(1);
    let step = |part: i64| (part * 2_000 / long) as i32;
    let shifted = |sign: i32| Point { lat_e7: m.lat_e7 - sign * step(dx), lon_e7: m.lon_e7 + sign * step(dy) };
    [shifted(1), shifted(-1)]
}

/// What lies on the far side of a patch's outline: the strongest zone there that is not this patch.
fn outer_side(a: Point, b: Point, patch: usize, grid: &Grid, zones: &[Zone], countries: &[[u8; 2]], own_count: u16) -> Option<u16> {
    let owners = sides(a, b).map(|side| grid.owner(side));
    let zone = owners.into_iter().flatten().find(|zone| usize::from(*zone) != patch)?;
    match zones.get(usize::from(zone))? {
        Zone::Land(area) | Zone::Water(area) | Zone::Patch { area, .. } => Some(area.0),
        Zone::Foreign(country) => countries.iter().position(|known| known == country).map(|at| own_count + at as u16),
    }
}

// --- the compiled form ---

/// The arrays of the ground as named sections.
pub fn sections(ground: &Ground) -> Vec<(String, Vec<u8>)> {
    let le = |words: Vec<u32>| words.into_iter().flat_map(u32::to_le_bytes).collect::<Vec<u8>>();
    let bbox = [ground.bbox.min, ground.bbox.max].into_iter().flat_map(|point| [point.lat_e7 as u32, point.lon_e7 as u32]);
    let countries = ground.countries.iter().map(|country| u32::from(u16::from_be_bytes(*country)));
    let meta: Vec<u32> = [u32::from(ground.has_water)].into_iter().chain(bbox).chain(countries).collect();
    vec![
        ("ground/meta".to_owned(), le(meta)),
        ("ground/grid".to_owned(), le(ground.grid.to_words())),
        ("ground/borders".to_owned(), le(ground.edges.to_words())),
        ("ground/overlays".to_owned(), le(ground.overlay_grid.to_words())),
    ]
}

/// The ground from its sections and the rows it was compiled with.
///
/// # Errors
/// The name of the section that is not what it should be.
pub fn from_sections(source: &Source, tables: &Tables, sections: &[(String, Vec<u8>)]) -> Result<Ground, String> {
    let words = |name: &str| -> Result<Vec<u32>, String> {
        let body = sections.iter().find(|(known, _)| known == name).map(|(_, body)| body).ok_or_else(|| name.to_owned())?;
        let whole = body.chunks_exact(4);
        if !whole.remainder().is_empty() {
            return Err(name.to_owned());
        }
        Ok(whole.filter_map(|four| four.try_into().ok()).map(u32::from_le_bytes).collect())
    };
    let grid = |name: &str| Grid::from_words(&words(name)?).map_err(|_| name.to_owned());
    let meta = words("ground/meta")?;
    let [has_water, south, west, north, east, countries @ ..] = meta.as_slice() else { return Err("ground/meta".to_owned()) };
    let point = |lat: u32, lon: u32| Point::new(lat as i32, lon as i32).ok_or_else(|| "ground/meta".to_owned());
    let countries: Vec<[u8; 2]> = countries.iter().map(|code| (*code as u16).to_be_bytes()).collect();
    let names = |id: &str| tables.find_area(id);
    let area_count = tables.areas.len();
    let zones = zones(&patch_rows(source), area_count, *has_water != 0, &countries, names);
    let zone_grid = grid("ground/grid")?;
    if usize::from(zone_grid.area_max()) >= zones.len().max(1) {
        return Err("ground/grid".to_owned());
    }
    let rows = strongest_first(source, |kind| kind != "area");
    let mut defects = Vec::new();
    let overlays = rows.into_iter().map(|row| overlay(row, &names, &tables.dispatchers, &mut defects)).collect();
    if let Some(defect) = defects.first() {
        return Err(defect.to_string());
    }
    Ok(Ground {
        zones,
        grid: zone_grid,
        edges: Borders::from_words(&words("ground/borders")?).map_err(|_| "ground/borders".to_owned())?,
        has_water: *has_water != 0,
        overlays,
        overlay_grid: grid("ground/overlays")?,
        bbox: BBox { min: point(*south, *west)?, max: point(*north, *east)? },
        countries,
        area_count: area_count as u16,
    })
}
