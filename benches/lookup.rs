//! What a look-up costs: the owner of a point, and what is near it. Every contact with a place pays this, some several times.
//!
//! Two maps: 256 areas as a country has them, and 50,176 areas with 12.9 million vertices as no country has yet. The points are
//! half uniform and half within about a hundred metres of a border, from a fixed seed; the answers are checked in the loop
//! against those of the first pass, whose hash is printed. Besides criterion's mean each bench prints the percentiles of single
//! calls, less the cost of reading the clock. `cargo test --benches` runs a small map only.

#![allow(clippy::disallowed_methods, reason = "a test or a measurement reads the clock")]

use std::hint::black_box;
use std::time::Instant;

use arrayvec::ArrayVec;
use criterion::{Criterion, criterion_group, criterion_main};
use najda::geo::area::{Shape, Shares, overlap};
use najda::geo::edges::{Borders, border_edges};
use najda::geo::grid::Grid;
use najda::geo::point::{BBox, Point};
use najda::geo::ring;

#[path = "../tests/behaviour/tilings.rs"]
mod tilings;
use tilings::{Random, Tiling, fractal};

const SEED: u64 = 20_261_122;

struct Map {
    name: &'static str,
    grid: Grid,
    borders: Borders,
    uniform: Vec<Point>,
    near_border: Vec<Point>,
}

fn map(name: &'static str, tiling: &Tiling, count: usize) -> Map {
    let areas = tiling.indexed();
    let started = Instant::now();
    let grid = Grid::build(&areas).expect("a valid tiling");
    let built_s = started.elapsed().as_secs_f64();
    let started = Instant::now();
    let edges = border_edges(&areas, |_, _| 1_000).expect("a valid tiling");
    let borders = Borders::build(&edges).expect("a valid tiling");
    let borders_s = started.elapsed().as_secs_f64();
    let vertices: usize = areas.iter().flat_map(|area| &area.rings).map(Vec::len).sum();
    println!(
        "{name}: {} areas, {vertices} vertices; grid {built_s:.2} s {:?}; borders {borders_s:.2} s, {:.1} MiB",
        areas.len(),
        grid.stats(),
        borders.memory_bytes() as f64 / 1_048_576.0
    );
    let mut random = Random(SEED);
    let all = grid.bbox().expect("not empty");
    let uniform: Vec<Point> = (0..count).map(|_| random.in_box(&all)).collect();
    let rings: Vec<&Vec<Point>> = areas.iter().flat_map(|area| &area.rings).collect();
    let near_border: Vec<Point> = (0..count)
        .map(|_| {
            let ring = rings[random.below(rings.len() as i64) as usize];
            let vertex = ring[random.below(ring.len() as i64) as usize];
            random.in_box(&BBox::around(vertex, 10_000))
        })
        .collect();
    assert!(rings.iter().all(|ring| ring::doubled_area(ring) != 0));
    Map { name, grid, borders, uniform, near_border }
}

/// Runs one question over the points: criterion's mean, then the percentiles of single calls.
fn measure(c: &mut Criterion, name: &str, points: &[Point], ask: impl Fn(Point) -> u64) {
    let answers: Vec<u64> = points.iter().map(|point| ask(*point)).collect();
    let hash = answers.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, answer| (hash ^ answer).wrapping_mul(0x100_0000_01b3));
    let mut next = 0;
    c.bench_function(name, |b| {
        b.iter(|| {
            next = (next + 1) % points.len();
            assert_eq!(ask(black_box(points[next])), answers[next]);
        });
    });
    let clock_ns = (0..2_000).map(|_| elapsed_ns(|| 0)).min().unwrap_or(0);
    let mut single: Vec<u64> = points.iter().map(|point| elapsed_ns(|| ask(*point)).saturating_sub(clock_ns)).collect();
    single.sort_unstable();
    let at = |share: f64| single[((single.len() - 1) as f64 * share) as usize];
    println!("{name}: p50 {} p99 {} p99.9 {} worst {} ns; hash {hash:016x}", at(0.5), at(0.99), at(0.999), at(1.0));
}

fn elapsed_ns(ask: impl FnOnce() -> u64) -> u64 {
    let started = Instant::now();
    black_box(ask());
    started.elapsed().as_nanos() as u64
}

fn owner(grid: &Grid, point: Point) -> u64 {
    grid.owner(point).map_or(0, |area| u64::from(area) + 1)
}

fn lookup(c: &mut Criterion) {
    let small = !std::env::args().any(|argument| argument == "--bench");
    let mut maps = vec![map("256_areas", &fractal(16, 3_000_000, 6, 1), 200_000)];
    if !small {
        maps.push(map("50k_areas", &fractal(224, 2_000_000, 6, 1), 1_000_000));
    }
    for map in &maps {
        measure(c, &format!("lookup/one_owner/{}", map.name), &map.uniform, |point| owner(&map.grid, point));
        measure(c, &format!("lookup/border_cell/{}", map.name), &map.near_border, |point| owner(&map.grid, point));
        // A fix good to 50 m, the commonest uncertain contact: who may own it.
        measure(c, &format!("lookup/uncertain_circle_candidates/{}", map.name), &map.near_border, |point| {
            let mut areas = ArrayVec::<u16, 8>::new();
            let coverage = map.grid.candidates(BBox::around(point, 5_000), &mut areas);
            areas.iter().fold(u64::from(coverage.complete), |sum, area| sum * 65_599 + u64::from(*area))
        });
        measure(c, &format!("lookup/clearance/{}", map.name), &map.uniform, |point| u64::from(map.borders.clearance_cm(point)));
        measure(c, &format!("lookup/near/{}", map.name), &map.near_border, |point| {
            let mut near = ArrayVec::new();
            map.borders.near(point, 5_000, &mut near);
            near.iter().fold(0, |sum, near| sum * 65_599 + u64::from(near.area) + u64::from(near.distance_cm))
        });
        let few = &map.near_border[..2_000];
        measure(c, &format!("lookup/overlap_of_a_mixed_circle/{}", map.name), few, |point| {
            let mut shares = Shares::new();
            overlap(&map.grid, &Shape::Circle { center: point, radius_cm: 20_000 }, 0, &mut shares);
            shares.iter().fold(0, |sum, (_, share)| sum * 31 + u64::from(share.0))
        });
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).warm_up_time(std::time::Duration::from_millis(300))
        .measurement_time(std::time::Duration::from_millis(1_000));
    targets = lookup
}
criterion_main!(benches);
