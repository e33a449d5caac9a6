//! `publish/under_readers`: what it costs those who decide that new tables are put in force while they do.
//!
//! A reader loads the snapshot in force and looks up the owner of a point, 64 times, and the 64 are timed together. In every second
//! round another thread puts one of four prebuilt snapshots in force each millisecond, each with tables of its own, so that a swap
//! also costs the reader its warm caches. It keeps what it took out of force and frees it when no reader holds it any more; the
//! reader never frees a table. New tables once a millisecond are thousands of times more than any control room publishes.

#![allow(clippy::disallowed_methods, reason = "a test or a measurement reads the clock")]

#[path = "measure/mod.rs"]
mod measure;
#[path = "../tests/behaviour/tilings.rs"]
mod tilings;

use std::hint::black_box;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use crossbeam::channel::{Receiver, bounded};
use measure::{Figures, Tails, histogram, is_full, rounds};
use najda::edge::tables::load_or_shipped;
use najda::geo::point::Point;
use najda::tables::published::{Published, Retired};
use najda::tables::snapshot::Snapshot;
use tilings::Random;

const SEED: u64 = 20_261_122;
const READS: usize = 64;
const SWAP_EVERY: Duration = Duration::from_millis(1);
const SNAPSHOTS: usize = 4;

/// Puts snapshots in force until told to stop, and frees what is out of force. Answers with how many.
fn swap(published: &Published, prebuilt: &[Snapshot], stop: &Receiver<()>) -> usize {
    let mut retired: Vec<Retired> = Vec::new();
    let mut count = 0;
    while stop.recv_timeout(SWAP_EVERY).is_err() {
        retired.push(published.publish(Arc::new(prebuilt[count % prebuilt.len()].clone())));
        // One that a reader still holds is asked again; a reader holds one at most.
        retired = retired.into_iter().filter_map(|old| old.reclaim().err()).collect();
        assert!(retired.len() <= 2, "{} old snapshots are held", retired.len());
        count += 1;
    }
    count
}

/// Times `count` groups of reads; every owner is checked.
fn read(published: &Published, points: &[Point], owners: &[Option<u16>], count: usize) -> Tails {
    let mut times = histogram();
    for group in 0..count {
        let first = group * READS % (points.len() - READS);
        let begun = Instant::now();
        let mut wrong = 0;
        for at in first..first + READS {
            let snapshot = published.load();
            wrong += usize::from(snapshot.tables.ground.grid.owner(black_box(points[at])) != owners[at]);
        }
        times.record(begun.elapsed().as_nanos() as u64).expect("a time");
        assert_eq!(wrong, 0);
    }
    Tails::of(&times)
}

fn publish(c: &mut Criterion) {
    let tables = load_or_shipped(None).expect("the shipped tables").tables;
    let own = |number: u64| Snapshot { number, ..Snapshot::of(Arc::new((*tables).clone())) };
    let prebuilt: Vec<Snapshot> = (0..SNAPSHOTS as u64).map(own).collect();
    let published = Published::new(Snapshot::of(Arc::clone(&tables)));
    let mut random = Random(SEED);
    let points: Vec<Point> = (0..65_536).map(|_| random.in_box(&tables.ground.bbox)).collect();
    let owners: Vec<Option<u16>> = points.iter().map(|point| tables.ground.grid.owner(*point)).collect();

    let groups = if is_full() { 40_000 } else { 200 };
    let (mut alone, mut beside, mut swaps) = (Vec::new(), Vec::new(), 0);
    for _ in 0..rounds() {
        alone.push(read(&published, &points, &owners, groups));
        let (stop, stopped) = bounded(1);
        let taken = thread::scope(|scope| {
            let writer = scope.spawn(|| swap(&published, &prebuilt, &stopped));
            beside.push(read(&published, &points, &owners, groups));
            stop.send(()).expect("the writer waits");
            writer.join().expect("the writer ends")
        });
        swaps += taken;
    }
    assert!(swaps > 0 || !is_full(), "nothing was published");
    let mut figures = Figures::new("publish");
    let (swapped, still) = (Tails::median(&beside), Tails::median(&alone));
    figures.beside("publish/under_readers", "ns per 64 reads", &[("a swap every ms", swapped), ("no swap", still)]);
    println!("  {swaps} swaps; {} tables of {} bytes of ground", prebuilt.len(), tables.ground.grid.memory_bytes());
    figures.write();

    let mut at = 0;
    c.bench_function("publish/load_and_look_up", |b| {
        b.iter(|| {
            at = (at + 1) % points.len();
            let owner = published.load().tables.ground.grid.owner(black_box(points[at]));
            assert_eq!(owner, owners[at]);
        });
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).warm_up_time(Duration::from_millis(200)).measurement_time(Duration::from_millis(600));
    targets = publish
}
criterion_main!(benches);
