//! The boundaries of a pack: every place one owner, every area a boundary, overlays that do not contradict each other.

use std::collections::{BTreeMap, BTreeSet};

use super::{Home, Summary};
use crate::geo::area::Shape;
use crate::geo::point::Point;
use crate::geo::tiling::{self, Fault, Finding, Outline};
use crate::service::Service;
use crate::tables::source::{Defect, Feature, Hours, OverlayRow, Row, Source, parse_shape, words};

pub(super) fn check(source: &Source, defects: &mut Vec<Defect>, summary: &mut Summary) {
    ids(source, defects);
    swapped(source, defects);
    land(source, defects, summary);
    water(source, defects);
    overlay_clashes(source, defects);
}

/// The features of a layer as outlines: features of one id are one area.
pub(crate) fn outlines(rows: &[Row<Feature>]) -> Vec<Outline> {
    let ids: BTreeSet<&str> = rows.iter().map(|row| row.value.id.as_str()).collect();
    let number: BTreeMap<&str, u32> = ids.into_iter().zip(0..).collect();
    rows.iter().map(|row| Outline { area: number[row.value.id.as_str()], polygons: row.value.polygons.clone() }).collect()
}

fn ids(source: &Source, defects: &mut Vec<Defect>) {
    let areas: BTreeSet<&str> = source.areas.iter().map(|row| row.value.id.as_str()).collect();
    for row in source.land.iter().chain(&source.water) {
        if !areas.contains(row.value.id.as_str()) {
            let what = format!("feature {} belongs to `{}`, which is not in areas.csv", row.line, row.value.id);
            defects.push(row.defect("boundary_without_area", what, "add the area to areas.csv, or correct the feature's property"));
        }
        if row.value.polygons.iter().all(|polygon| polygon.is_empty()) {
            let what = format!("feature {} (`{}`) has no polygon", row.line, row.value.id);
            defects.push(row.defect("bad_ring", what, "draw it, or remove the feature"));
        }
    }
    let drawn = source.land.iter().filter(|row| !row.value.polygons.is_empty()).map(|row| row.value.id.as_str());
    let overlaid = source.overlays.iter().filter(|row| row.value.kind == "area").map(|row| row.value.area.as_str());
    let drawn: BTreeSet<&str> = drawn.chain(overlaid).collect();
    for row in source.areas.iter().filter(|row| !drawn.contains(row.value.id.as_str())) {
        let what = format!("`{}` has no boundary: nobody is ever in it", row.value.id);
        defects.push(row.defect("area_without_boundary", what, "draw it in boundaries/land.geojson, or remove the area"));
    }
}

fn swapped(source: &Source, defects: &mut Vec<Defect>) {
    let Some(home) = Home::of(source) else { return };
    for row in source.land.iter().chain(&source.water).chain(&source.regions).chain(&source.foreign_land) {
        let mut points = row.value.polygons.iter().flatten().flatten();
        // A neighbour reaches far away; a feature is the wrong way round only when all of it is.
        if points.clone().next().is_some() && points.all(|&p| home.is_swapped(p)) {
            let what = format!(
                "feature {} (`{}`) is far away; with latitude and longitude exchanged it is in the country",
                row.line, row.value.id
            );
            defects.push(row.defect("swapped_axes", what, "write longitude first, as GeoJSON wants it"));
        }
    }
    for row in &source.overlays {
        let points = match parse_shape(&row.value.shape) {
            Ok(Shape::Circle { center, .. }) => vec![center],
            Ok(Shape::Polygon(points)) => points,
            _ => continue,
        };
        if points.iter().all(|&p| home.is_swapped(p)) {
            let what = format!("overlay `{}` is far away; with latitude and longitude exchanged it is in the country", row.value.id);
            defects.push(row.defect("swapped_axes", what, "circle LAT LON RADIUS_M, but polygon LON LAT, LON LAT, ..."));
        }
    }
}

fn land(source: &Source, defects: &mut Vec<Defect>, summary: &mut Summary) {
    let mut outlines = outlines(&source.land);
    tiling::snap(&mut outlines, source.pack.snap_m);
    let inspection = tiling::inspect(&outlines, source.pack.snap_m);
    (summary.owned_km2, summary.slivers) = (inspection.owned_m2 / 1_000_000, inspection.slivers);
    let gap_cm = u64::from(source.pack.gap_m) * 100;
    for finding in &inspection.findings {
        let Some(defect) = describe(finding, &source.land) else { continue };
        match finding.fault {
            Fault::Gap | Fault::Hole if is_declared(source, finding.at) => {}
            Fault::Gap | Fault::Hole if finding.radius_cm <= gap_cm => summary.gaps_to_nearest += 1,
            _ => defects.push(defect),
        }
    }
    if inspection.unsettled {
        let what = "the borders cross each other so densely that they could not be taken apart";
        let remedy = "repair the layer in a GIS (fix geometries) and import it again";
        let file = "boundaries/land.geojson".to_owned();
        defects.push(Defect { file, row: 0, code: "bad_ring", what: what.to_owned(), remedy: remedy.to_owned(), warning: false });
    }
}

/// The sea needs no tiling: what no water owns goes to the nearest coast. Where two own it, the smaller id answers; that is told,
/// and it is an error where a point of it is farther from its line than `gap_m`.
fn water(source: &Source, defects: &mut Vec<Defect>) {
    let mut outlines = outlines(&source.water);
    tiling::snap(&mut outlines, source.pack.snap_m);
    let gap_cm = u64::from(source.pack.gap_m) * 100;
    for finding in tiling::inspect(&outlines, source.pack.snap_m).findings {
        let thin = finding.fault == Fault::Overlap && finding.radius_cm <= gap_cm;
        if !matches!(finding.fault, Fault::Gap | Fault::Hole)
            && let Some(defect) = describe(&finding, &source.water)
        {
            defects.push(Defect { warning: defect.warning || thin, ..defect });
        }
    }
}

/// A place of no area that somebody else owns by a layer or an overlay.
fn is_declared(source: &Source, at: Point) -> bool {
    let layers = source.foreign_land.iter().chain(&source.water);
    layers.into_iter().any(|row| tiling::contains(&row.value.polygons, at))
        || source.overlays.iter().any(|row| row.value.kind == "area" && parse_shape(&row.value.shape).is_ok_and(|shape| holds(&shape, at)))
}

pub(crate) fn holds(shape: &Shape, at: Point) -> bool {
    match shape {
        Shape::Circle { center, radius_cm } => tiling::span_cm(*center, at) <= u64::from(*radius_cm),
        Shape::Polygon(points) => tiling::contains(&[vec![points.clone()]], at),
        _ => false,
    }
}

/// A finding as a defect of its layer.
pub(crate) fn describe(finding: &Finding, rows: &[Row<Feature>]) -> Option<Defect> {
    let features: Vec<&Row<Feature>> = finding.outlines.iter().filter_map(|&at| rows.get(at as usize)).collect();
    let first = *features.first()?;
    let mut ids: Vec<String> = features.iter().map(|row| format!("`{}`", row.value.id)).collect();
    ids.dedup();
    let (names, size, at) = (ids.join(" and "), size(finding.area_m2), place(finding.at));
    let pieces = if finding.count > 1 { format!(" in {} pieces", finding.count) } else { String::new() };
    let (code, what, remedy) = match finding.fault {
        Fault::Duplicate => ("duplicate_area", format!("{names} own the same polygon of {size} at {at}"), "give it to one of them"),
        Fault::Gap => (
            "gap",
            format!("{size} between {names} belong to nobody, at {at}"),
            "redraw the border, or declare the place in foreign or water",
        ),
        Fault::Hole => {
            let what = format!("{size} inside {names} belong to nobody, at {at}; the nearest area answers there");
            ("hole", what, "fill it, or declare it in boundaries/water.geojson or boundaries/foreign.geojson")
        }
        Fault::HoleInHole => {
            ("hole_in_hole", format!("{names} has a hole inside a hole at {at}"), "draw the inner one as a polygon of its own")
        }
        Fault::HoleOutside => {
            ("hole_outside", format!("{names} has a hole outside its outer ring at {at}"), "outer ring first, then its holes")
        }
        Fault::Orphan => {
            let what = format!("a part of {} ({size}{pieces} at {at}) lies inside {}, which has no hole for it", ids[0], ids.last()?);
            ("orphan", what, "cut a hole into the outer area, or remove the inner part")
        }
        Fault::Overlap => ("overlap", format!("{names} both own {size}{pieces}, the largest at {at}"), "redraw the border"),
        Fault::SelfCrossing => {
            let what = format!("{names} crosses itself in {} places, first at {at}", finding.count);
            ("self_crossing", what, "fix the geometry in a GIS; what is inside twice counts as outside")
        }
        Fault::SelfOverlap => ("self_overlap", format!("two polygons of {names} overlap by {size} at {at}"), "dissolve the area into one"),
    };
    let warning = matches!(finding.fault, Fault::Hole | Fault::SelfCrossing);
    Some(Defect { warning, ..first.defect(code, what, remedy) })
}

pub(crate) fn size(area_m2: u64) -> String {
    if area_m2 < 100_000 { format!("{area_m2} m2") } else { format!("{}.{:02} km2", area_m2 / 1_000_000, area_m2 % 1_000_000 / 10_000) }
}

pub(crate) fn place(at: Point) -> String {
    format!("{:.5}, {:.5}", at.lat_degrees(), at.lon_degrees())
}

// --- overlays that contradict each other ---

/// Two overlays of one precedence that meet, hold for one service at one time, and give different answers.
fn overlay_clashes(source: &Source, defects: &mut Vec<Defect>) {
    let overlays: Vec<(&Row<OverlayRow>, Shape, Hours)> = source
        .overlays
        .iter()
        .filter(|row| row.value.kind != "mark")
        .filter_map(|row| Some((row, parse_shape(&row.value.shape).ok()?, Hours::parse(&row.value.hours).ok()?)))
        .collect();
    let mut by_rank: BTreeMap<(&str, u16), Vec<usize>> = BTreeMap::new();
    for (i, (row, ..)) in overlays.iter().enumerate() {
        by_rank.entry((&row.value.kind, row.value.precedence)).or_default().push(i);
    }
    for group in by_rank.values() {
        for (n, &i) in group.iter().enumerate() {
            for &j in &group[n + 1..] {
                let ((a, shape_a, hours_a), (b, shape_b, hours_b)) = (&overlays[i], &overlays[j]);
                let same_answer = a.value.area == b.value.area && a.value.dispatcher == b.value.dispatcher;
                if !same_answer && share_a_service(a, b) && share_an_hour(hours_a, hours_b) && meet(shape_a, shape_b) {
                    let what = format!("`{}` and `{}` have precedence {} and overlap", a.value.id, b.value.id, b.value.precedence);
                    defects.push(b.defect("overlay_clash", what, "give the one that shall win the higher precedence"));
                }
            }
        }
    }
}

fn share_a_service(a: &Row<OverlayRow>, b: &Row<OverlayRow>) -> bool {
    let services = |row: &Row<OverlayRow>| words(&row.value.services).filter_map(Service::from_word).collect::<Vec<_>>();
    let (a, b) = (services(a), services(b));
    a.is_empty() || b.is_empty() || a.iter().any(|service| b.contains(service))
}

fn share_an_hour(a: &Hours, b: &Hours) -> bool {
    a.0.is_empty() || b.0.is_empty() || a.0.iter().any(|x| b.0.iter().any(|y| x.0 < y.1 && y.0 < x.1))
}

fn meet(a: &Shape, b: &Shape) -> bool {
    match (a, b) {
        (Shape::Circle { center: c, radius_cm: r }, Shape::Circle { center: d, radius_cm: s }) => {
            tiling::span_cm(*c, *d) < u64::from(*r) + u64::from(*s)
        }
        (Shape::Circle { center, radius_cm }, Shape::Polygon(points)) | (Shape::Polygon(points), Shape::Circle { center, radius_cm }) => {
            let polygon = [vec![points.clone()]];
            tiling::contains(&polygon, *center) || tiling::distance_cm(&polygon, *center).is_some_and(|cm| cm < u64::from(*radius_cm))
        }
        (Shape::Polygon(a), Shape::Polygon(b)) => {
            let pair = [a, b].map(|points| vec![vec![points.clone()]]);
            let [a, b] = [0, 1].map(|area| Outline { area, polygons: pair[area as usize].clone() });
            let both = |finding: &Finding| matches!(finding.fault, Fault::Duplicate | Fault::Orphan | Fault::Overlap);
            tiling::inspect(&[a, b], 0).findings.iter().any(both)
        }
        _ => false,
    }
}
