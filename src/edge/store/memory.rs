//! A journal in memory, with faults on order: for simulations, tests and a demo that leaves nothing behind.
//!
//! It keeps every rule of the port, but the disk is a value that can be taken out after a crash. It has no thread and no clock:
//! notices are given inside [`Store::append`] and [`MemoryStore::go_on`], on the caller's thread.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::ledger::{self, Gate, Rows, Tip, Verdict};
use crate::journal::chain::{Anchor, Break, BreakKind, ChainHash, Verification, Verified, Verifier};
use crate::journal::entry::{Entry, Hole, Removal};
use crate::limits::{CHECKPOINTS_KEPT, READ_ENTRIES_MAX, STORE_BACKLOG_BYTES_MAX, STORE_BACKLOG_ENTRIES_MAX};
use crate::store::{
    Batch, BlobName, Checkpoint, Claim, Epoch, Health, KeptWhy, Listener, Notice, Page, Partition, Receipt, Rejected, RejectedWhy,
    Removable, Store, StoreError,
};
use crate::units::Timestamp;

/// What goes wrong with the next batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// This many writes fail; the batch waits and is tried again.
    Fail { write_count: u32 },
    /// This many appends find the backlog full.
    Full { append_count: u32 },
    /// Every append finds the backlog full until [`MemoryStore::release`].
    Gone,
    /// This many batches are held, but their receipts never come: `Unknown`.
    LoseReceipt { batch_count: u32 },
    /// Nothing is written until [`MemoryStore::release`].
    Stall,
}

/// Faults drawn anew at each append, the same for the same seed. Probabilities in parts per million.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FaultPlan {
    pub seed: u64,
    pub fail_ppm: u32,
    pub full_ppm: u32,
    pub lose_receipt_ppm: u32,
    pub stall_ppm: u32,
}

/// What a crash leaves of the batches that were appended and not acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    KeepsNothingUnacknowledged,
    /// A drawn number of them, oldest first: they had reached the disk before the crash.
    KeepsSome {
        seed: u64,
    },
}

/// What survives a crash. Clones are the same disk.
#[derive(Clone, Default)]
pub struct MemoryDisk {
    disk: Arc<Mutex<Disk>>,
}

#[derive(Default)]
struct Disk {
    partitions: BTreeMap<Partition, Log>,
    blobs: BTreeMap<BlobName, Vec<u8>>,
    checkpoints: BTreeMap<(Partition, u64), Checkpoint>,
}

struct Log {
    tip: Tip,
    rows: BTreeMap<u64, (Entry, ChainHash)>,
    anchors: Vec<Anchor>,
}

impl Log {
    fn new(partition: Partition) -> Self {
        Self { tip: Tip::genesis(partition, 1), rows: BTreeMap::new(), anchors: Vec::new() }
    }

    fn write(&mut self, batch: &Batch) -> Verdict {
        let mut tip = self.tip;
        let Ok(verdict) = ledger::write(batch, &mut tip, &mut Table(&mut self.rows));
        self.tip = tip;
        verdict
    }
}

struct Table<'a>(&'a mut BTreeMap<u64, (Entry, ChainHash)>);

impl Rows for Table<'_> {
    type Error = Infallible;

    fn kept(&mut self, seq: u64) -> Result<Option<Entry>, Infallible> {
        Ok(self.0.get(&seq).map(|(entry, _)| entry.clone()))
    }

    fn put(&mut self, entry: &Entry, hash: ChainHash) -> Result<(), Infallible> {
        self.0.insert(entry.seq, (entry.clone(), hash));
        Ok(())
    }
}

impl MemoryDisk {
    /// Changes one entry behind the store's back, to see whether it is noticed; false when there is none.
    pub fn tamper(&self, partition: Partition, seq: u64, change: impl FnOnce(&mut Entry)) -> bool {
        let mut disk = self.lock();
        let row = disk.partitions.get_mut(&partition).and_then(|log| log.rows.get_mut(&seq));
        row.map(|(entry, _)| change(entry)).is_some()
    }

    /// Removes one entry behind the store's back; false when there is none.
    pub fn remove(&self, partition: Partition, seq: u64) -> bool {
        self.lock().partitions.get_mut(&partition).is_some_and(|log| log.rows.remove(&seq).is_some())
    }

    fn lock(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The journal in memory.
///
/// The listener is called by whoever appends: it must not append itself.
pub struct MemoryStore {
    disk: MemoryDisk,
    desk: Mutex<Desk>,
}

struct Desk {
    gate: Gate,
    pending: VecDeque<Batch>,
    pending_entries: usize,
    pending_bytes: usize,
    faults: Faults,
    listener: Listener,
    health: Health,
}

/// The faults still to come.
#[derive(Default)]
struct Faults {
    plan: Option<(FaultPlan, SplitMix)>,
    fail_writes: u32,
    full_appends: u32,
    lose_receipts: u32,
    gone: bool,
    stalled: bool,
    /// Appends until a drawn stall ends by itself.
    stall_appends: u32,
}

impl MemoryStore {
    pub fn open(disk: MemoryDisk, listener: Listener) -> Self {
        Self::with_plan(disk, None, listener)
    }

    /// A store whose faults are drawn from `plan`.
    pub fn open_with_faults(disk: MemoryDisk, plan: FaultPlan, listener: Listener) -> Self {
        Self::with_plan(disk, Some(plan), listener)
    }

    fn with_plan(disk: MemoryDisk, plan: Option<FaultPlan>, listener: Listener) -> Self {
        let faults = Faults { plan: plan.map(|plan| (plan, SplitMix(plan.seed))), ..Faults::default() };
        let health = Health { writing: true, segment_number: 1, ..Health::default() };
        let desk = Desk { gate: Gate::default(), pending: VecDeque::new(), pending_entries: 0, pending_bytes: 0, faults, listener, health };
        Self { disk, desk: Mutex::new(desk) }
    }

    /// Adds a fault to those under way.
    pub fn inject(&self, fault: Fault) {
        let faults = &mut self.lock().faults;
        match fault {
            Fault::Fail { write_count } => faults.fail_writes += write_count,
            Fault::Full { append_count } => faults.full_appends += append_count,
            Fault::Gone => faults.gone = true,
            Fault::LoseReceipt { batch_count } => faults.lose_receipts += batch_count,
            Fault::Stall => faults.stalled = true,
        }
    }

    /// Ends a stall or an absence and goes on.
    pub fn release(&self) {
        {
            let faults = &mut self.lock().faults;
            (faults.stalled, faults.gone) = (false, false);
        }
        self.go_on();
    }

    /// Tries what waits, as a disk would after a while: one failed write fewer each time.
    pub fn go_on(&self) {
        self.lock().go_on(&self.disk);
    }

    /// The machine stops at once: no more notices. What is left is in the disk.
    pub fn crash(self, crash: Crash) -> MemoryDisk {
        let Self { disk, desk } = self;
        let desk = desk.into_inner().unwrap_or_else(PoisonError::into_inner);
        let keep = match crash {
            Crash::KeepsNothingUnacknowledged => 0,
            Crash::KeepsSome { seed } => SplitMix(seed).below(desk.pending.len() as u64 + 1) as usize,
        };
        let mut kept = disk.lock();
        for batch in desk.pending.iter().take(keep) {
            if let Some(log) = kept.partitions.get_mut(&batch.partition()) {
                log.write(batch);
            }
        }
        drop(kept);
        disk
    }

    /// Ends in good order: what waits is reported `Unknown`.
    pub fn close(self) -> MemoryDisk {
        let mut desk = self.lock();
        while let Some(batch) = desk.pending.pop_front() {
            (desk.listener)(Notice::Unknown { span: batch.span() });
        }
        drop(desk);
        self.disk.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Desk {
    fn go_on(&mut self, disk: &MemoryDisk) {
        while !self.faults.stalled
            && let Some(batch) = self.pending.front()
        {
            let partition = batch.partition();
            if self.faults.fail_writes > 0 {
                self.faults.fail_writes -= 1;
                self.failed(disk, partition);
                return;
            }
            if let Some(batch) = self.pending.pop_front() {
                self.write(disk, &batch);
            }
        }
    }

    fn failed(&mut self, disk: &MemoryDisk, partition: Partition) {
        self.health.failure_count += 1;
        if std::mem::replace(&mut self.health.writing, false) {
            let through_seq = disk.lock().partitions.get(&partition).map_or(0, |log| log.tip.next_seq - 1);
            let why = StoreError::DiskFailed { doing: "commit", cause: "a fault was ordered".into() };
            (self.listener)(Notice::Failed { partition, through_seq, why });
        }
    }

    fn write(&mut self, disk: &MemoryDisk, batch: &Batch) {
        let (partition, span) = (batch.partition(), batch.span());
        self.pending_entries -= batch.entries().len();
        self.pending_bytes -= batch.byte_count();
        let (verdict, tip) = {
            let mut disk = disk.lock();
            let log = disk.partitions.entry(partition).or_insert_with(|| Log::new(partition));
            (log.write(batch), log.tip)
        };
        if !std::mem::replace(&mut self.health.writing, true) {
            (self.listener)(Notice::Recovered { partition });
        }
        match verdict {
            Verdict::Held { lost_entry_count } => {
                self.health.commit_count += 1;
                self.health.entry_count += batch.entries().len() as u64;
                self.health.lost_entry_count += lost_entry_count;
                let notice = match self.faults.lose_receipts.checked_sub(1) {
                    Some(left) => {
                        self.faults.lose_receipts = left;
                        Notice::Unknown { span }
                    }
                    None => Notice::Durable(Receipt::issue(partition, tip.next_seq - 1)),
                };
                (self.listener)(notice);
            }
            Verdict::Fenced(held_by) => {
                self.gate.fence(partition, held_by);
                (self.listener)(Notice::Fenced { span, held_by });
            }
            Verdict::Refused(why) => {
                self.gate.take_back(batch, &tip);
                (self.listener)(Notice::Refused { span, why });
            }
        }
    }

    fn admit(&mut self, batch: &Batch) -> Result<(), RejectedWhy> {
        self.gate.judge(batch)?;
        let entry_count = self.pending_entries;
        let over = entry_count + batch.entries().len() > STORE_BACKLOG_ENTRIES_MAX
            || self.pending_bytes + batch.byte_count() > STORE_BACKLOG_BYTES_MAX;
        if over || self.faults.gone || self.faults.full_appends > 0 {
            self.faults.full_appends = self.faults.full_appends.saturating_sub(1);
            self.health.full_count += 1;
            return Err(RejectedWhy::Full { entry_count });
        }
        self.gate.pass(batch);
        self.pending_entries += batch.entries().len();
        self.pending_bytes += batch.byte_count();
        Ok(())
    }
}

impl Faults {
    /// One draw for each append.
    fn draw(&mut self) {
        let Some((plan, random)) = &mut self.plan else { return };
        if self.stall_appends > 0 {
            self.stall_appends -= 1;
            self.stalled &= self.stall_appends > 0;
        }
        self.fail_writes += u32::from(random.chance(plan.fail_ppm));
        self.full_appends += u32::from(random.chance(plan.full_ppm));
        self.lose_receipts += u32::from(random.chance(plan.lose_receipt_ppm));
        if random.chance(plan.stall_ppm) {
            self.stalled = true;
            self.stall_appends = 1 + random.below(8) as u32;
        }
    }
}

// --- impl Store ---

impl Store for MemoryStore {
    fn claim(&self, partition: Partition) -> Result<Claim, StoreError> {
        let mut desk = self.lock();
        let mut disk = self.disk.lock();
        let log = disk.partitions.entry(partition).or_insert_with(|| Log::new(partition));
        log.tip.epoch = Epoch(log.tip.epoch.0 + 1);
        log.anchors.push(log.tip.anchor());
        desk.gate.expect(partition, &log.tip);
        Ok(log.tip.claim(partition))
    }

    fn append(&self, batch: Batch) -> Result<(), Rejected> {
        let mut desk = self.lock();
        desk.faults.draw();
        let taken = match desk.admit(&batch) {
            Ok(()) => {
                desk.pending.push_back(batch);
                Ok(())
            }
            Err(why) => Err(Rejected { batch, why }),
        };
        desk.go_on(&self.disk);
        taken
    }

    fn read(&self, partition: Partition, from_seq: u64, entry_count_max: usize) -> Result<Page, StoreError> {
        let disk = self.disk.lock();
        let mut page = Page::default();
        let Some(log) = disk.partitions.get(&partition) else { return Ok(page) };
        let most = entry_count_max.clamp(1, READ_ENTRIES_MAX);
        let before = log.rows.range(..from_seq).next_back();
        let genesis = Anchor { seq: 0, hash: ChainHash::genesis(partition.number()) };
        let start = before
            .map_or(genesis, |(_, (entry, hash))| Anchor { seq: Hole::of(entry).map_or(entry.seq, |hole| hole.last_seq), hash: *hash });
        let mut walk = Verifier::after(start);
        for (entry, hash) in log.rows.range(from_seq..).map(|(_, row)| row) {
            if page.entries.len() + page.holes.len() + page.removals.len() + page.breaks.len() >= most {
                page.next_seq = Some(walk.next_seq());
                break;
            }
            match (walk.check(entry, *hash), Hole::of(entry)) {
                (Err(found @ Break { kind: BreakKind::Altered, .. }), _) => page.breaks.push(found),
                (checked, hole) => {
                    page.breaks.extend(checked.err());
                    match (hole, Removal::of(entry)) {
                        (Some(hole), _) => page.holes.push(hole),
                        (None, Some(removal)) => page.removals.push((entry.seq, removal)),
                        (None, None) => page.entries.push(entry.clone()),
                    }
                }
            }
            page.end = walk.head();
        }
        Ok(page)
    }

    fn verify(&self, partition: Partition) -> Result<Verified, StoreError> {
        let disk = self.disk.lock();
        let log = disk.partitions.get(&partition);
        let genesis = Anchor { seq: 0, hash: ChainHash::genesis(partition.number()) };
        let mut walk = Verification::after(genesis, log.map_or_else(Vec::new, |log| log.anchors.clone()));
        log.into_iter().flat_map(|log| log.rows.values()).for_each(|(entry, hash)| walk.check(entry, *hash));
        Ok(walk.finish(genesis.hash))
    }

    fn put_blob(&self, name: BlobName, bytes: &[u8]) -> Result<(), StoreError> {
        let mut disk = self.disk.lock();
        match disk.blobs.get(&name) {
            Some(kept) if kept != bytes => Err(StoreError::BlobDiffers { name }),
            Some(_) => Ok(()),
            None => {
                disk.blobs.insert(name, bytes.to_vec());
                Ok(())
            }
        }
    }

    fn blob(&self, name: BlobName) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.disk.lock().blobs.get(&name).cloned())
    }

    fn put_checkpoint(&self, partition: Partition, checkpoint: &Checkpoint) -> Result<(), StoreError> {
        let seq = checkpoint.anchor.seq;
        let mut disk = self.disk.lock();
        disk.checkpoints.insert((partition, seq), checkpoint.clone());
        let older: Vec<u64> = disk.checkpoints.range((partition, 0)..=(partition, seq)).rev().map(|((_, seq), _)| *seq).collect();
        let kept = &older[..older.len().min(CHECKPOINTS_KEPT)];
        disk.checkpoints.retain(|(of, seq), _| *of != partition || kept.contains(seq));
        Ok(())
    }

    fn checkpoints(&self, partition: Partition) -> Result<Vec<u64>, StoreError> {
        let disk = self.disk.lock();
        Ok(disk.checkpoints.range((partition, 0)..=(partition, u64::MAX)).rev().map(|((_, seq), _)| *seq).collect())
    }

    fn checkpoint(&self, partition: Partition, seq: u64) -> Result<Checkpoint, StoreError> {
        let disk = self.disk.lock();
        let checkpoint = disk.checkpoints.get(&(partition, seq)).ok_or(StoreError::CheckpointDamaged { seq })?;
        let log = disk.partitions.get(&partition);
        let last = log.and_then(|log| log.rows.range(..=seq).next_back());
        let held = last.map(|(_, (entry, hash))| Anchor { seq: Hole::of(entry).map_or(entry.seq, |hole| hole.last_seq), hash: *hash });
        if held == Some(checkpoint.anchor) { Ok(checkpoint.clone()) } else { Err(StoreError::CheckpointAstray { seq }) }
    }

    /// Memory has no files to remove.
    fn removable(&self, _: Partition, _: Timestamp) -> Result<Removable, StoreError> {
        Ok(Removable { before: None, segment_count: 0, byte_count: 0, kept: KeptWhy::Newest })
    }

    fn remove(&self, _: Partition, _: Anchor) -> Result<(), StoreError> {
        Ok(())
    }

    fn blob_names(&self) -> Result<Vec<BlobName>, StoreError> {
        Ok(self.disk.lock().blobs.keys().copied().collect())
    }

    /// Memory does not know when a blob was put.
    fn remove_blob_untouched(&self, _: BlobName, _: Timestamp) -> Result<bool, StoreError> {
        Ok(false)
    }

    fn health(&self) -> Health {
        let desk = self.lock();
        Health { backlog_entry_count: desk.pending_entries as u64, backlog_byte_count: desk.pending_bytes as u64, ..desk.health }
    }
}

/// A small generator with a known seed (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Below `bound`, which is not zero.
    fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    fn chance(&mut self, ppm: u32) -> bool {
        self.below(1_000_000) < u64::from(ppm)
    }
}
