//! `journal/group_commit`: how long a promise waits for the disk, beside the least any program could wait.
//!
//! A gateway hears `Durable` after a commit, so the commit is the longest step of a contact that is not a person's. The floor is a
//! bare write and `fdatasync` of the same bytes into a file of its own: growing, as a new log does, and written over in place.
//! All are measured in turns within one run, because the disk's mood changes between runs.

#![allow(clippy::disallowed_methods, reason = "a test or a measurement reads the clock")]

#[path = "measure/mod.rs"]
mod measure;

use std::fs::File;
use std::hint::black_box;
use std::io::{Seek, SeekFrom, Write};
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use crossbeam::channel::{Receiver, bounded};
use hdrhistogram::Histogram;
use measure::{Figures, Tails};
use najda::edge::store::embedded::{Config, EmbeddedStore};
use najda::journal::Entry;
use najda::store::{Batch, Claim, Notice, Partition, Store};
use najda::units::{ContactId, Timestamp};
use tempfile::TempDir;

const ENTRY_BYTES: usize = 300;
const COMMIT_ENTRIES: [usize; 3] = [1, 64, 512];
const SEED: u64 = 0x6E61_6A64_6100_0001;
/// The file that is written over in place has this size.
const FLOOR_FILE_BYTES: u64 = 16 * 1024 * 1024;

/// The journal on a real disk, one batch at a time.
struct Journal {
    store: EmbeddedStore,
    claim: Claim,
    heard: Receiver<Notice>,
    next_seq: u64,
    _folder: TempDir,
}

impl Journal {
    fn open() -> Self {
        let folder = TempDir::new().expect("a folder for the journal");
        let (hear, heard) = bounded(100_000);
        let listener = Box::new(move |notice| drop(hear.send(notice)));
        let store = EmbeddedStore::open(Config::new(folder.path().join("state")), listener).expect("the journal opens");
        let claim = store.claim(Partition::default()).expect("the partition is claimed");
        Self { store, claim, heard, next_seq: claim.next_seq, _folder: folder }
    }

    fn append(&mut self, count: usize) {
        let entries = (self.next_seq..).take(count).map(entry).collect();
        self.next_seq += count as u64;
        self.store.append(Batch::new(&self.claim, entries).expect("a good batch")).expect("there is room");
    }

    fn await_last(&self) {
        loop {
            match self.heard.recv().expect("the store lives") {
                Notice::Durable(receipt) if receipt.through_seq() == self.next_seq - 1 => return,
                Notice::Durable(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// From handing the batch over to hearing its receipt on this thread.
    fn commit(&mut self, count: usize) -> Duration {
        let begun = Instant::now();
        self.append(count);
        self.await_last();
        begun.elapsed()
    }

    /// Checks that everything is there and whole, and returns the hash of the run.
    fn check(self) -> String {
        let found = self.store.verify(Partition::default()).expect("the journal can be read");
        assert!(found.holds() && found.entry_count == self.next_seq - 1);
        found.head.hash.to_string()
    }
}

fn entry(seq: u64) -> Entry {
    let mut random = seq ^ SEED;
    let mut bytes = Vec::with_capacity(ENTRY_BYTES);
    while bytes.len() < ENTRY_BYTES {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        bytes.extend_from_slice(&random.to_le_bytes());
    }
    bytes.truncate(ENTRY_BYTES);
    Entry { seq, at: Timestamp::from_micros(seq), contact: Some(ContactId(seq.into())), kind: 0, bytes }
}

/// A bare file, synced after each write.
struct Floor {
    file: File,
    in_place: bool,
    at: u64,
    _folder: TempDir,
}

impl Floor {
    fn open(in_place: bool) -> Self {
        let folder = TempDir::new().expect("a folder for the file");
        let mut file = File::create(folder.path().join("floor")).expect("a file");
        if in_place {
            file.write_all(&vec![1; FLOOR_FILE_BYTES as usize]).expect("space for the file");
            file.sync_all().expect("the file is synced");
        }
        Self { file, in_place, at: 0, _folder: folder }
    }

    fn commit(&mut self, bytes: &[u8]) -> Duration {
        if self.in_place && self.at + bytes.len() as u64 > FLOOR_FILE_BYTES {
            self.at = 0;
        }
        let begun = Instant::now();
        self.file.seek(SeekFrom::Start(self.at)).expect("a place in the file");
        self.file.write_all(bytes).expect("the bytes are written");
        self.file.sync_data().expect("the bytes are synced");
        self.at += bytes.len() as u64;
        begun.elapsed()
    }
}

/// Journal and floors in turns, so that each pair met the same disk; then what a busy journal holds each second.
fn beside_the_floor(full: bool) {
    let rounds = if full { 200 } else { 3 };
    let mut figures = Figures::new("journal");
    println!("journal/group_commit, {ENTRY_BYTES}-byte entries, us from append to receipt, {rounds} commits in turns (seed {SEED:#x})");
    println!("{:>8} {:>10} {:>8} {:>8} {:>8} {:>8} {:>12}", "entries", "", "p50", "p99", "p99.9", "worst", "entries/s");
    for count in COMMIT_ENTRIES {
        let bytes: Vec<u8> = (1..).take(count).flat_map(|seq| entry(seq).bytes).collect();
        let (mut journal, mut growing, mut in_place) = (Journal::open(), Floor::open(false), Floor::open(true));
        let mut times = [(); 3].map(|()| Histogram::<u64>::new(3).expect("a histogram"));
        for _ in 0..rounds {
            let took = [journal.commit(count), growing.commit(&bytes), in_place.commit(&bytes)];
            for (histogram, took) in times.iter_mut().zip(took) {
                histogram.record(took.as_micros() as u64).expect("a time");
            }
        }
        for (name, times) in ["journal", "growing", "in place"].iter().zip(&times) {
            let at = |quantile| times.value_at_quantile(quantile);
            let rate = count as f64 * 1e6 / times.mean();
            println!("{count:>8} {name:>10} {:>8} {:>8} {:>8} {:>8} {rate:>12.0}", at(0.5), at(0.99), at(0.999), times.max());
        }
        println!(
            "{count:>8} {:>10} {:>8.2} x growing, {:.2} x in place; run {}",
            "ratio",
            ratio(&times, 1),
            ratio(&times, 2),
            journal.check()
        );
        let [ours, growing, in_place] = &times;
        let beside =
            [("journal", ours), ("bare, growing", growing), ("bare, in place", in_place)].map(|(name, times)| (name, Tails::of(times)));
        figures.beside(&format!("journal/group_commit/{count}"), "us", &beside);
    }
    figures.write();
    let (total, alone) = if full { (300_000, 64) } else { (640, 64) };
    let mut journal = Journal::open();
    let begun = Instant::now();
    (0..total / alone).for_each(|_| journal.append(alone));
    journal.await_last();
    let rate = journal.next_seq as f64 / begun.elapsed().as_secs_f64();
    let health = journal.store.health();
    let share = health.entry_count / health.commit_count;
    println!("busy: {rate:.0} entries/s in {} commits of {share} on average, longest {} us", health.commit_count, health.commit_micros_max);
    black_box(journal.check());
    append_alone(if full { 20_000 } else { 100 });
}

fn ratio(times: &[Histogram<u64>; 3], floor: usize) -> f64 {
    times[0].value_at_quantile(0.5) as f64 / times[floor].value_at_quantile(0.5) as f64
}

/// What an append costs the engine's thread while the disk is busy.
fn append_alone(count: u64) {
    let mut journal = Journal::open();
    let mut times = Histogram::<u64>::new(3).expect("a histogram");
    for _ in 0..count {
        let batch = Batch::new(&journal.claim, vec![entry(journal.next_seq)]).expect("a good batch");
        let begun = Instant::now();
        journal.store.append(batch).expect("there is room");
        times.record(begun.elapsed().as_nanos() as u64).expect("a time");
        journal.next_seq += 1;
    }
    journal.await_last();
    let at = |quantile| times.value_at_quantile(quantile);
    println!("append on the caller's thread, ns: p50 {}, p99 {}, p99.9 {}, worst {}", at(0.5), at(0.99), at(0.999), times.max());
}

fn group_commit(c: &mut Criterion) {
    let full = std::env::args().any(|argument| argument == "--bench");
    beside_the_floor(full);
    let mut group = c.benchmark_group("journal/group_commit");
    group.sample_size(10).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(2));
    for count in COMMIT_ENTRIES {
        group.throughput(Throughput::Elements(count as u64));
        let mut journal = Journal::open();
        group.bench_function(BenchmarkId::new("journal", count), |b| b.iter(|| journal.commit(count)));
        journal.check();
        let bytes: Vec<u8> = (1..).take(count).flat_map(|seq| entry(seq).bytes).collect();
        let mut floor = Floor::open(true);
        group.bench_function(BenchmarkId::new("bare_fdatasync", count), |b| b.iter(|| floor.commit(&bytes)));
    }
    group.finish();
}

criterion_group!(benches, group_commit);
criterion_main!(benches);
