//! What a look-up costs: the owner of a point, and what is near it. Every contact with a place pays this, some several times.
//!
//! Two maps: the 96 French departements (where the file is not at hand, 96 made-up areas, and it says so), and 50,176 areas with
//! 12.8 million vertices as no country has yet. Of the points half are uniform and half within about a hundred metres of a vertex,
//! from a fixed seed. `lookup/owner` runs in turns with the two exact look-ups that one would take instead, see `peers`; all answers
//! are compared first. A point exactly on a border is nobody's to an interval tree, so there our own slow version decides.
//!
//! The other benches have no peer: which areas an uncertain circle may meet, how far the next border is, what is near, and how much
//! of a circle lies where.

#![allow(clippy::disallowed_methods, reason = "a test or a measurement reads the clock")]

#[path = "measure/mod.rs"]
mod measure;
#[path = "peers/mod.rs"]
mod peers;
#[path = "../tests/behaviour/tilings.rs"]
mod tilings;

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use arrayvec::ArrayVec;
use criterion::{Criterion, criterion_group, criterion_main};
use measure::{Contender, Figures, Tails, hash, in_turns, is_asked_for, is_full, rounds};
use najda::geo::area::{Shape, Shares, overlap};
use najda::geo::edges::{Borders, border_edges};
use najda::geo::grid::Grid;
use najda::geo::point::{BBox, Point};
use najda::geo::ring;
use peers::{IndexAndTrees, Polygons, RStarAndGeo};
use tilings::{Random, Tiling, fractal};

const SEED: u64 = 20_261_122;
/// Points looked at by the slow version, which walks every vertex.
const ORACLE_POINTS: usize = 30_000;

struct Map {
    name: &'static str,
    tiling: Tiling,
    grid: Grid,
    /// Uniform and near a border in turn.
    points: Vec<Point>,
    near_border: Vec<Point>,
    /// Vertices and points of the grid on level edges: exactly on a border.
    on_border: Vec<Point>,
}

impl Map {
    fn of(name: &'static str, tiling: Tiling, count: usize) -> Self {
        let areas = tiling.indexed();
        let began = Instant::now();
        let grid = Grid::build(&areas).expect("a valid tiling");
        let built_s = began.elapsed().as_secs_f64();
        let vertices: usize = areas.iter().flat_map(|area| &area.rings).map(Vec::len).sum();
        println!("{name}: {} areas, {vertices} vertices; grid in {built_s:.2} s, {:?}", areas.len(), grid.stats());
        let mut random = Random(SEED);
        let all = grid.bbox().expect("not empty");
        let rings: Vec<&Vec<Point>> = areas.iter().flat_map(|area| &area.rings).collect();
        let vertex = |random: &mut Random| {
            let ring = rings[random.below(rings.len() as i64) as usize];
            ring[random.below(ring.len() as i64) as usize]
        };
        let near_border: Vec<Point> = (0..count / 2)
            .map(|_| {
                let vertex = vertex(&mut random);
                random.in_box(&BBox::around(vertex, 10_000))
            })
            .collect();
        let on_border = (0..2_000).map(|_| vertex(&mut random)).collect();
        let points = near_border.iter().flat_map(|near| [random.in_box(&all), *near]).collect();
        Self { name, tiling, grid, points, near_border, on_border }
    }
}

fn owner(grid: &Grid, point: Point) -> u64 {
    grid.owner(point).map_or(0, |area| u64::from(area) + 1)
}

/// The 96 departements of metropolitan France, when the test data is at hand.
fn departements() -> Option<Tiling> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/scale/fr_departements_ign2018.geojson");
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
    Some(Tiling { name: "the departements", areas, covered: None })
}

/// As many areas of the made-up tiling as a country has.
fn made_up_96(depth: u32) -> Tiling {
    let mut tiling = fractal(10, 2_000_000, depth, 1);
    tiling.areas.retain(|area, _| *area < 96);
    tiling
}

// --- against the peers ---

fn beside_the_peers(map: &Map, figures: &mut Figures) -> Tails {
    let polygons = Polygons::of(&map.tiling);
    let (trees, stars) = (IndexAndTrees::build(&polygons), RStarAndGeo::build(&polygons));
    let Map { name, grid, points, .. } = map;
    let ours: Vec<u64> = points.iter().map(|point| owner(grid, *point)).collect();
    let of_trees: Vec<u64> = points.iter().map(|point| trees.owner(*point)).collect();
    let of_stars: Vec<u64> = points.iter().map(|point| stars.owner(*point)).collect();
    compare(map, &stars, &[("geo-index + IntervalTree", &of_trees, &ours), ("rstar + geo", &of_stars, &ours)], figures);

    let calls = points.len() / rounds();
    let mut all = [
        Contender::new("najda", |at| owner(grid, points[at])),
        Contender::new("geo-index + geo IntervalTree", |at| trees.owner(points[at])),
        Contender::new("rstar + geo", |at| stars.owner(points[at])),
    ];
    let tails = in_turns(rounds(), calls, &mut all, &[&ours, &of_trees, &of_stars]);
    let named: Vec<(&str, Tails)> = all.iter().map(|contender| contender.name).zip(tails.iter().copied()).collect();
    figures.beside(&format!("lookup/owner/{name}"), "ns", &named);
    println!("  {} points, run {:016x}", points.len(), hash(&ours));
    let mib = |bytes: usize| bytes as f64 / 1_048_576.0;
    let (held, theirs) = (grid.memory_bytes(), polygons.memory_bytes());
    println!("  table {:.1} MiB, the polygons alone as geo holds them {:.1} MiB", mib(held), mib(theirs));
    figures.number(&format!("lookup/memory/{name}"), "x the polygons of geo", held as f64 / theirs as f64);
    tails[0]
}

/// Whether the point lies on an edge of one of the areas, exactly.
fn is_on_border(map: &Map, near: impl Iterator<Item = u16>, point: Point) -> bool {
    let rings = near.filter_map(|area| map.tiling.areas.get(&area)).flatten().flatten();
    rings.flat_map(|ring| ring::edges(ring)).any(|(a, b)| BBox::new(a, b).contains(point) && ring::turn(a, b, point) == 0)
}

/// Every difference to a peer must lie on a border; there, and on a part of all points, the slow version must agree with us.
fn compare(map: &Map, stars: &RStarAndGeo, peers: &[(&str, &Vec<u64>, &Vec<u64>)], figures: &mut Figures) {
    let slow = |point: Point| {
        let near = stars.near(point).filter(|area| {
            let rings: Vec<Vec<Point>> = map.tiling.areas[area].iter().flatten().cloned().collect();
            ring::contains_slow(&rings, point)
        });
        near.min().map_or(0, |area| u64::from(area) + 1)
    };
    let mut borders = 0;
    for (name, theirs, ours) in peers {
        for (at, point) in map.points.iter().enumerate().filter(|(at, _)| theirs[*at] != ours[*at]) {
            assert!(is_on_border(map, stars.near(*point), *point), "{name} answers {} at {point:?}, we {}", theirs[at], ours[at]);
            assert_eq!(slow(*point), ours[at], "on a border at {point:?}");
            borders += 1;
        }
    }
    let sample = map.points.iter().step_by((map.points.len() / ORACLE_POINTS).max(1)).chain(&map.on_border);
    let checked = sample.inspect(|point| assert_eq!(slow(**point), owner(&map.grid, **point), "{point:?}")).count();
    println!(
        "{}: 0 differences to either peer over {} points but {borders} on a border; {checked} points, {} of them vertices, \
         as the slow version says",
        map.name,
        map.points.len(),
        map.on_border.len()
    );
    figures.number(&format!("lookup/differences/{}", map.name), "of all points", 0.0);
}

// --- from a hundred areas to fifty thousand ---

/// The same question on all maps in turns: how much more time, and how many more cells and edges are read.
fn scaling(maps: &[&Map], figures: &mut Figures) {
    let answers: Vec<Vec<u64>> = maps.iter().map(|map| map.points.iter().map(|point| owner(&map.grid, *point)).collect()).collect();
    let ask = |map: &'_ &Map| {
        let (grid, points) = (map.grid.clone(), map.points.clone());
        Contender::new(map.name, move |at| owner(&grid, points[at]))
    };
    let mut all: Vec<Contender<'_>> = maps.iter().map(ask).collect();
    let calls = maps.iter().map(|map| map.points.len()).min().unwrap_or(0) / rounds();
    let tails = in_turns(rounds(), calls, &mut all, &answers.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let touched = |map: &&Map| {
        let sums = map.points.iter().map(|point| map.grid.touched(*point)).fold((0, 0), |sum, one| (sum.0 + one.cells, sum.1 + one.edges));
        let share = |sum: usize| sum as f64 / map.points.len() as f64;
        (share(sums.0), share(sums.1))
    };
    let Some((large, small)) = maps.split_last() else { return };
    let (large_cells, large_edges) = touched(large);
    for (at, map) in small.iter().enumerate() {
        let (cells, edges) = touched(map);
        println!("{}: {cells:.2} cells and {edges:.2} edges a look-up; {}: {large_cells:.2} and {large_edges:.2}", map.name, large.name);
        let time = tails[tails.len() - 1].p50 / tails[at].p50.max(1.0);
        figures.number(&format!("lookup/growth/{}/time_p50", map.name), "x", time);
        let mean = tails[tails.len() - 1].p99 / tails[at].p99.max(1.0);
        figures.number(&format!("lookup/growth/{}/time_p99", map.name), "x", mean);
        figures.number(&format!("lookup/growth/{}/touched", map.name), "x", (large_cells + large_edges) / (cells + edges));
    }
}

// --- alone ---

/// The questions for which there is no peer.
fn alone(map: &Map, figures: &mut Figures) {
    let Map { name, grid, points, near_border, .. } = map;
    let edges = border_edges(&map.tiling.indexed(), |_, _| 1_000).expect("a valid tiling");
    let borders = Borders::build(&edges).expect("a valid tiling");
    println!("{name}: borders {:.1} MiB", borders.memory_bytes() as f64 / 1_048_576.0);
    let calls = near_border.len() / rounds();
    let mut ask = |what: &str, points: &[Point], calls: usize, ask: &dyn Fn(Point) -> u64| {
        let id = format!("lookup/{what}/{name}");
        if is_asked_for(&id) {
            let answers: Vec<u64> = points.iter().map(|point| ask(*point)).collect();
            let tails = in_turns(rounds(), calls, &mut [Contender::new("najda", |at| ask(points[at]))], &[&answers]);
            figures.beside(&id, "ns", &[("najda", tails[0])]);
            println!("  run {:016x}", hash(&answers));
        }
    };
    // A fix good to 50 m, the commonest uncertain contact: who may own it.
    ask("uncertain_circle_candidates", near_border, calls, &|point| {
        let mut areas = ArrayVec::<u16, 8>::new();
        let coverage = grid.candidates(BBox::around(point, 5_000), &mut areas);
        areas.iter().fold(u64::from(coverage.complete), |sum, area| sum * 65_599 + u64::from(*area))
    });
    ask("clearance", points, calls, &|point| u64::from(borders.clearance_cm(point)));
    ask("near", near_border, calls, &|point| {
        let mut near = ArrayVec::new();
        borders.near(point, 5_000, &mut near);
        near.iter().fold(0, |sum, near| sum * 65_599 + u64::from(near.area) + u64::from(near.distance_cm))
    });
    ask("overlap_of_a_mixed_circle", &near_border[..calls.min(2_000)], calls.min(2_000) / rounds(), &|point| {
        let mut shares = Shares::new();
        overlap(grid, &Shape::Circle { center: point, radius_cm: 20_000 }, 0, &mut shares);
        shares.iter().fold(0, |sum, (_, share)| sum * 31 + u64::from(share.0))
    });
}

fn lookup(c: &mut Criterion) {
    let mut figures = Figures::new("lookup");
    let (count, side) = if is_full() { (rounds() * 30_000, 224) } else { (4_000, 12) };
    let country = departements().unwrap_or_else(|| {
        println!("skipped: ../shared/data/scale/fr_departements_ign2018.geojson is not here; 96 made-up areas instead");
        made_up_96(9)
    });
    let country = Map::of("96_departements", country, count);
    let made_up = Map::of("96_areas", made_up_96(6), count);
    let large = Map::of("50k_areas", fractal(side, 2_000_000, 6, 1), count);
    for map in [&country, &large] {
        if is_asked_for(&format!("lookup/owner/{}", map.name)) {
            beside_the_peers(map, &mut figures);
        }
        let mut next = 0;
        c.bench_function(&format!("lookup/owner/{}", map.name), |b| {
            b.iter(|| {
                next = (next + 1) % map.points.len();
                owner(&map.grid, black_box(map.points[next]))
            });
        });
        let mut owners = vec![None; 16];
        c.bench_function(&format!("lookup/owners_of_16/{}", map.name), |b| {
            b.iter(|| {
                next = (next + 16) % (map.points.len() - 16);
                map.grid.owners_batch(black_box(&map.points[next..next + 16]), &mut owners);
                assert_eq!(owners[3], map.grid.owner(map.points[next + 3]));
            });
        });
    }
    if is_asked_for("lookup/growth") {
        scaling(&[&country, &made_up, &large], &mut figures);
    }
    [&country, &large].into_iter().for_each(|map| alone(map, &mut figures));
    figures.write();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_millis(1_000));
    targets = lookup
}
criterion_main!(benches);
