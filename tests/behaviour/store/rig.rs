//! What the suites share: entries to write, a store with its notices, and one way to crash, close and tamper for each kind of store.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, Sender, bounded};
use najda::edge::store::embedded::{Config, EmbeddedStore};
use najda::edge::store::memory::{Crash, MemoryDisk, MemoryStore};
use najda::journal::Entry;
use najda::store::{Batch, Claim, Listener, Notice, Page, Partition, Store};
use najda::units::{ContactId, Timestamp};
use tempfile::TempDir;

/// More notices than any test here waits for.
const NOTICES_MAX: usize = 100_000;
/// Long enough for the slowest disk, short enough for a person who waits.
const PATIENCE: Duration = Duration::from_secs(60);

pub fn partition() -> Partition {
    Partition::new(0).unwrap()
}

/// An entry whose every field depends on its number.
pub fn entry(seq: u64) -> Entry {
    let contact = (!seq.is_multiple_of(4)).then_some(ContactId(u128::from(seq) << 70 | 7));
    let bytes = (0..seq % 300).map(|index| (index ^ seq) as u8).collect();
    Entry { seq, at: Timestamp::from_micros(seq * 1_001), contact, kind: (seq % 12) as u8, bytes }
}

pub fn entries(seqs: std::ops::RangeInclusive<u64>) -> Vec<Entry> {
    seqs.map(entry).collect()
}

/// A listener and the notices it heard.
pub fn listener() -> (Listener, Receiver<Notice>) {
    let (hear, heard): (Sender<Notice>, _) = bounded(NOTICES_MAX);
    (Box::new(move |notice| drop(hear.send(notice))), heard)
}

/// A store with a claim on the partition.
pub struct Open<S> {
    pub store: S,
    pub claim: Claim,
    pub heard: Receiver<Notice>,
}

impl<S: Store> Open<S> {
    pub fn new(store: S, heard: Receiver<Notice>) -> Self {
        let claim = store.claim(partition()).unwrap();
        Self { store, claim, heard }
    }

    pub fn append(&self, seqs: std::ops::RangeInclusive<u64>) {
        self.store.append(self.batch(seqs)).unwrap();
    }

    pub fn batch(&self, seqs: std::ops::RangeInclusive<u64>) -> Batch {
        Batch::new(&self.claim, entries(seqs)).unwrap()
    }

    /// Appends and waits for the receipt.
    pub fn hold(&self, seqs: std::ops::RangeInclusive<u64>) {
        let last_seq = *seqs.end();
        self.append(seqs);
        self.await_receipt(last_seq);
    }

    /// What is heard until a receipt covers `seq`, without the receipts.
    pub fn await_receipt(&self, seq: u64) -> Vec<Notice> {
        let mut others = Vec::new();
        loop {
            match self.next_notice() {
                Notice::Durable(receipt) if receipt.through_seq() >= seq => return others,
                Notice::Durable(_) => {}
                other => others.push(other),
            }
        }
    }

    pub fn next_notice(&self) -> Notice {
        self.heard.recv_timeout(PATIENCE).expect("the store tells what became of a batch")
    }
}

/// Waits for a condition that other threads bring about.
pub fn await_that(what: &str, mut condition: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < until, "waited too long: {what}");
        std::thread::yield_now();
    }
}

/// Everything a store holds, read page by page.
pub fn read_all(read: impl Fn(u64) -> Page) -> Page {
    let mut all = read(1);
    while let Some(next_seq) = all.next_seq {
        let page = read(next_seq);
        all.entries.extend(page.entries);
        all.holes.extend(page.holes);
        all.breaks.extend(page.breaks);
        all.removals.extend(page.removals);
        all.end = page.end.or(all.end);
        assert!(page.next_seq.is_none_or(|after| after > next_seq), "reading gets on");
        all.next_seq = page.next_seq;
    }
    all
}

pub fn held(store: &impl Store) -> Page {
    read_all(|from_seq| store.read(partition(), from_seq, 100).unwrap())
}

/// A change made behind the store's back.
#[derive(Clone, Copy, Debug)]
pub enum Tampering {
    FlipBit(i64),
    Remove(i64),
    /// The contents of two entries change places.
    Swap(i64, i64),
    ChangeTime(i64),
}

/// One kind of store, with a disk that outlives it.
pub trait Rig: Sync {
    type S: Store;
    fn new() -> Self;
    fn open(&self) -> Open<Self::S>;
    fn close(&self, open: Open<Self::S>);
    /// The machine stops: what was not acknowledged may be gone.
    fn crash(&self, open: Open<Self::S>);
    /// Another machine takes the partition over while this store is open.
    fn claim_from_elsewhere(&self, open: &Open<Self::S>);
    /// With the store closed.
    fn tamper(&self, tampering: Tampering);
}

// --- files ---

pub struct OnDisk {
    folders: std::sync::Mutex<Vec<TempDir>>,
}

impl OnDisk {
    pub fn folder(&self) -> PathBuf {
        self.folders.lock().unwrap().last().unwrap().path().join("state")
    }

    pub fn open_with(&self, change: impl FnOnce(&mut Config)) -> Open<EmbeddedStore> {
        // Little is laid out ahead: most of these journals live for a moment.
        let mut config = Config { log_bytes_ahead: 1 << 16, ..Config::new(self.folder()) };
        change(&mut config);
        let (listener, heard) = listener();
        Open::new(EmbeddedStore::open(config, listener).unwrap(), heard)
    }
}

impl Rig for OnDisk {
    type S = EmbeddedStore;

    fn new() -> Self {
        Self { folders: std::sync::Mutex::new(vec![TempDir::new().unwrap()]) }
    }

    fn open(&self) -> Open<EmbeddedStore> {
        self.open_with(|_| ())
    }

    fn close(&self, open: Open<EmbeddedStore>) {
        open.store.close();
    }

    /// What another machine would find on the disk at this moment: a copy of the files, taken while the store runs.
    fn crash(&self, open: Open<EmbeddedStore>) {
        let survived = TempDir::new().unwrap();
        copy_files(&self.folder(), &survived.path().join("state"));
        self.folders.lock().unwrap().push(survived);
        drop(open);
    }

    fn claim_from_elsewhere(&self, open: &Open<EmbeddedStore>) {
        let conn = rusqlite::Connection::open(self.folder().join("journal-000001.db")).unwrap();
        let claim = "INSERT INTO epochs SELECT partition, epoch + 1, head_seq, head_hash FROM epochs WHERE epoch = ?";
        assert_eq!(conn.execute(claim, [open.claim.epoch.0.cast_signed()]).unwrap(), 1);
    }

    fn tamper(&self, tampering: Tampering) {
        let conn = rusqlite::Connection::open(self.folder().join("journal-000001.db")).unwrap();
        let bytes = |seq| -> Vec<u8> { conn.query_row("SELECT bytes FROM log_0 WHERE seq = ?", [seq], |row| row.get(0)).unwrap() };
        let put = |seq: i64, bytes: Vec<u8>| conn.execute("UPDATE log_0 SET bytes = ? WHERE seq = ?", rusqlite::params![bytes, seq]);
        let changed = match tampering {
            Tampering::FlipBit(seq) => put(seq, bytes(seq).iter().enumerate().map(|(index, byte)| byte ^ u8::from(index == 0)).collect()),
            Tampering::Remove(seq) => conn.execute("DELETE FROM log_0 WHERE seq = ?", [seq]),
            Tampering::ChangeTime(seq) => conn.execute("UPDATE log_0 SET at = at + 1 WHERE seq = ?", [seq]),
            Tampering::Swap(left, right) => {
                let (left_bytes, right_bytes) = (bytes(left), bytes(right));
                put(left, right_bytes).and_then(|_| put(right, left_bytes))
            }
        };
        assert_ne!(changed.unwrap(), 0, "{tampering:?}");
    }
}

pub fn copy_files(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for file in fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        let name = file.file_name();
        if file.file_type().unwrap().is_dir() {
            copy_files(&file.path(), &to.join(&name));
        } else if !name.to_string_lossy().ends_with("-shm") {
            fs::copy(file.path(), to.join(&name)).unwrap();
        }
    }
}

// --- memory ---

pub struct InMemory {
    disk: MemoryDisk,
}

impl InMemory {
    pub fn disk(&self) -> MemoryDisk {
        self.disk.clone()
    }
}

impl Rig for InMemory {
    type S = MemoryStore;

    fn new() -> Self {
        Self { disk: MemoryDisk::default() }
    }

    fn open(&self) -> Open<MemoryStore> {
        let (listener, heard) = listener();
        Open::new(MemoryStore::open(self.disk(), listener), heard)
    }

    fn close(&self, open: Open<MemoryStore>) {
        open.store.close();
    }

    fn crash(&self, open: Open<MemoryStore>) {
        open.store.crash(Crash::KeepsNothingUnacknowledged);
    }

    fn claim_from_elsewhere(&self, _: &Open<MemoryStore>) {
        drop(self.open());
    }

    fn tamper(&self, tampering: Tampering) {
        let disk = self.disk();
        let done = match tampering {
            Tampering::FlipBit(seq) => disk.tamper(partition(), seq.cast_unsigned(), |entry| entry.bytes[0] ^= 1),
            Tampering::Remove(seq) => disk.remove(partition(), seq.cast_unsigned()),
            Tampering::ChangeTime(seq) => disk.tamper(partition(), seq.cast_unsigned(), |entry| entry.at = entry.at.plus_micros(1)),
            Tampering::Swap(left, right) => {
                let (left, right) = (left.cast_unsigned(), right.cast_unsigned());
                let change = |seq: u64, other: u64| disk.tamper(partition(), seq, |at| at.bytes = entry(other).bytes);
                change(left, right) && change(right, left)
            }
        };
        assert!(done, "{tampering:?}");
    }
}
