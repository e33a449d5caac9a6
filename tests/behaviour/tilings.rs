//! Tilings to look points up in: one from a map, two made up from a seed. Shared with the benches.

#![allow(dead_code)] // A bench uses some of them, the tests use others.

use std::collections::BTreeMap;
use std::path::Path;

use najda::geo::grid::IndexedArea;
use najda::geo::point::{BBox, Point};
use najda::geo::ring;

/// Areas as polygons, outer ring first, then its holes.
pub struct Tiling {
    pub name: &'static str,
    pub areas: BTreeMap<u16, Vec<Vec<Vec<Point>>>>,
    /// Every point strictly inside this box has an owner.
    pub covered: Option<BBox>,
}

impl Tiling {
    pub fn indexed(&self) -> Vec<IndexedArea> {
        let rings = |polygons: &Vec<Vec<Vec<Point>>>| polygons.iter().flatten().cloned().collect();
        self.areas.iter().map(|(area, polygons)| IndexedArea { area: *area, rings: rings(polygons) }).collect()
    }
}

/// SplitMix64: small, seeded, the same everywhere.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, end: i64) -> i64 {
        (self.next() % end as u64) as i64
    }

    pub fn in_box(&mut self, bbox: &BBox) -> Point {
        let mut between = |low: i32, high: i32| (i64::from(low) + self.below(i64::from(high) - i64::from(low) + 1)) as i32;
        let lat_e7 = between(bbox.min.lat_e7, bbox.max.lat_e7);
        Point { lat_e7, lon_e7: between(bbox.min.lon_e7, bbox.max.lon_e7) }
    }
}

pub fn at(lat_e7: i64, lon_e7: i64) -> Point {
    Point { lat_e7: lat_e7 as i32, lon_e7: lon_e7 as i32 }
}

/// The official layer of the seven emirates, when the test data is at hand.
pub fn official() -> Option<Tiling> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/uae/uae_emirates_cod_full.geojson");
    let layer: serde_json::Value = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
    let mut areas = BTreeMap::new();
    for (area, feature) in layer["features"].as_array()?.iter().enumerate() {
        let coordinates = &feature["geometry"]["coordinates"];
        let polygons = match feature["geometry"]["type"].as_str()? {
            "Polygon" => vec![coordinates.clone()],
            _ => coordinates.as_array()?.clone(),
        };
        let point = |pair: &serde_json::Value| Point::from_degrees(pair[1].as_f64()?, pair[0].as_f64()?);
        let ring = |ring: &serde_json::Value| {
            let points: Option<Vec<Point>> = ring.as_array()?.iter().map(point).collect();
            Some(ring::normalised(&points?))
        };
        let polygons: Option<Vec<Vec<Vec<Point>>>> = polygons.iter().map(|rings| rings.as_array()?.iter().map(ring).collect()).collect();
        areas.insert(area as u16, polygons?);
    }
    Some(Tiling { name: "the official emirates", areas, covered: None })
}

/// A lattice of areas, each `cell` units wide, whose common borders are fractal lines.
pub fn fractal(side: usize, cell: i64, depth: u32, seed: u64) -> Tiling {
    let mut random = Random(seed);
    let corner = |lat: usize, lon: usize, random: &mut Random| {
        let mut jitter = |index: usize| if index == 0 || index == side { 0 } else { random.below(cell / 4) - cell / 8 };
        let (up, aside) = (jitter(lat), jitter(lon));
        at(230_000_000 + lat as i64 * cell + up, 520_000_000 + lon as i64 * cell + aside)
    };
    let nodes: Vec<Vec<Point>> = (0..=side).map(|lat| (0..=side).map(|lon| corner(lat, lon, &mut random)).collect()).collect();
    let arc = |a: Point, b: Point, straight: bool, random: &mut Random| {
        let mut line = vec![a, b];
        for _ in 0..if straight { 0 } else { depth } {
            let mut finer = vec![line[0]];
            for pair in line.windows(2) {
                let (up, aside) = (i64::from(pair[1].lat_e7 - pair[0].lat_e7), i64::from(pair[1].lon_e7 - pair[0].lon_e7));
                let bend = random.below(241) - 120;
                let middle =
                    at(i64::from(pair[0].lat_e7) + up / 2 - aside * bend / 1000, i64::from(pair[0].lon_e7) + aside / 2 + up * bend / 1000);
                finer.extend([middle, pair[1]]);
            }
            line = finer;
        }
        line
    };
    let mut rows: Vec<Vec<Vec<Point>>> = Vec::new();
    let mut columns: Vec<Vec<Vec<Point>>> = Vec::new();
    #[expect(clippy::needless_range_loop, reason = "the row number is a coordinate")]
    for lat in 0..=side {
        let edge = lat == 0 || lat == side;
        rows.push((0..side).map(|lon| arc(nodes[lat][lon], nodes[lat][lon + 1], edge, &mut random)).collect());
    }
    for lat in 0..side {
        columns.push((0..=side).map(|lon| arc(nodes[lat][lon], nodes[lat + 1][lon], lon == 0 || lon == side, &mut random)).collect());
    }
    let mut areas = BTreeMap::new();
    for lat in 0..side {
        for lon in 0..side {
            let back = |line: &Vec<Point>| line.iter().rev().copied().collect::<Vec<_>>();
            let parts = [rows[lat][lon].clone(), columns[lat][lon + 1].clone(), back(&rows[lat + 1][lon]), back(&columns[lat][lon])];
            areas.insert((lat * side + lon) as u16, vec![vec![ring::normalised(&parts.concat())]]);
        }
    }
    let covered = BBox { min: nodes[0][0], max: nodes[side][side] };
    Tiling { name: "fractal borders", areas, covered: Some(covered) }
}

/// What maps do to programs: holes in holes, slivers a centimetre wide, hundreds of borders that meet in one vertex.
pub fn awkward(seed: u64) -> Tiling {
    const SIDE: i64 = 4_000_000;
    let (south, west) = (240_000_000, 540_000_000);
    let mut random = Random(seed);
    let mut areas: BTreeMap<u16, Vec<Vec<Vec<Point>>>> = BTreeMap::new();

    // First square: rings in rings, owned in turn by 1 and 0.
    let square = |west: i64| vec![at(south, west), at(south, west + SIDE), at(south + SIDE, west + SIDE), at(south + SIDE, west)];
    let mut outer = square(west);
    for depth in 0..12 {
        let radius = SIDE as f64 / 2.0 * 0.8_f64.powi(depth + 1);
        let hole: Vec<Point> = (0..96)
            .map(|step| {
                let turn = f64::from(step) / 96.0 * std::f64::consts::TAU;
                let length = radius * (0.9 + random.below(100) as f64 / 1000.0);
                at(south + SIDE / 2 + (length * turn.sin()) as i64, west + SIDE / 2 + (length * turn.cos()) as i64)
            })
            .collect();
        areas.entry((depth % 2) as u16).or_default().push(vec![outer, hole.clone()]);
        outer = hole;
    }
    areas.entry(0).or_default().push(vec![outer]);

    // Second square: 240 slices that meet in one vertex.
    let west_2 = west + SIDE;
    let apex = at(south + SIDE / 2 + 1, west_2 + SIDE / 2 - 1);
    let rim: Vec<Point> = (0..240)
        .map(|step| {
            let (quarter, part) = (step / 60, step % 60 * SIDE / 60);
            match quarter {
                0 => at(south, west_2 + part),
                1 => at(south + part, west_2 + SIDE),
                2 => at(south + SIDE, west_2 + SIDE - part),
                _ => at(south + SIDE - part, west_2),
            }
        })
        .collect();
    for step in 0..240 {
        areas.insert(100 + step as u16, vec![vec![vec![apex, rim[step], rim[(step + 1) % 240]]]]);
    }

    // Third square: strips one to three units wide, the second half of them leaning; the rest of the square is one area.
    let west_3 = west_2 + SIDE;
    let mut left = (west_3, west_3);
    for strip in 0..400 {
        let wide = 1 + random.below(3);
        let right = if strip < 200 { (left.0 + wide, left.1 + wide) } else { (left.0 + wide, left.1 + wide + strip - 199) };
        areas.insert(
            1000 + strip as u16,
            vec![vec![vec![at(south, left.0), at(south, right.0), at(south + SIDE, right.1), at(south + SIDE, left.1)]]],
        );
        left = right;
    }
    let rest = vec![at(south, left.0), at(south, west_3 + SIDE), at(south + SIDE, west_3 + SIDE), at(south + SIDE, left.1)];
    areas.insert(2000, vec![vec![rest]]);
    let covered = BBox { min: at(south, west), max: at(south + SIDE, west_3 + SIDE) };
    Tiling { name: "holes, stars and slivers", areas, covered: Some(covered) }
}
