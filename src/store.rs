//! The one port of the journal: what the engine may ask of whatever keeps its entries.
//!
//! The engine's thread appends and goes on; the outcome comes back later as a [`Notice`]. Behind the port stands a local log, memory
//! with injected faults, or a cluster; the engine does not know which.
//!
//! **Invariants**
//! - [`Store::append`] never waits for a disk or a network.
//! - A [`Receipt`] is made only by a store, only for entries that survive a crash of the machine. A promise needs one.
//! - A batch is held whole or not at all.
//! - Appending the same entries again is harmless; other entries under the same numbers are refused.
//! - Only the holder of a partition's latest [`Epoch`] can append to it.
//! - A number that is lost is declared ([`Batch::after_loss`]), never skipped in silence.

use core::fmt;

use thiserror::Error;

use crate::journal::chain::{Anchor, Break, Verified};
use crate::journal::entry::{Entry, Hole, Removal};
use crate::limits::{COMMIT_BYTES_MAX, COMMIT_ENTRIES_MAX, ENTRY_BYTES_MAX, PARTITIONS_MAX};
use crate::units::Timestamp;

/// The home of a contact's entries; below [`PARTITIONS_MAX`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition(u16);

impl Partition {
    /// `None` when there is no such partition.
    pub const fn new(number: u16) -> Option<Self> {
        if (number as usize) < PARTITIONS_MAX { Some(Self(number)) } else { None }
    }

    pub const fn number(self) -> u16 {
        self.0
    }
}

/// How often a partition has been claimed. Who holds an older one has been replaced and is fenced off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

/// The right to append to a partition, and where to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    pub partition: Partition,
    pub epoch: Epoch,
    /// The sequence number of the next entry.
    pub next_seq: u64,
    /// The end of the chain now.
    pub head: Anchor,
}

/// Entries that are held together or not at all: one message, one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    partition: Partition,
    epoch: Epoch,
    lost_from_seq: Option<u64>,
    entries: Vec<Entry>,
}

impl Batch {
    /// `entries` must follow each other without a gap: 1 to [`COMMIT_ENTRIES_MAX`] of them, at most [`COMMIT_BYTES_MAX`] bytes.
    ///
    /// # Errors
    /// [`BadBatch`], a mistake of the caller.
    pub fn new(claim: &Claim, entries: Vec<Entry>) -> Result<Self, BadBatch> {
        Self::checked(claim, None, entries)
    }

    /// Like [`Batch::new`], after the entries from `lost_from_seq` to the one before these were given up for good.
    ///
    /// The loss becomes part of the journal. What these entries need of the lost ones must be said again in later entries.
    ///
    /// # Errors
    /// [`BadBatch`], a mistake of the caller.
    pub fn after_loss(claim: &Claim, lost_from_seq: u64, entries: Vec<Entry>) -> Result<Self, BadBatch> {
        Self::checked(claim, Some(lost_from_seq), entries)
    }

    fn checked(claim: &Claim, lost_from_seq: Option<u64>, entries: Vec<Entry>) -> Result<Self, BadBatch> {
        let Some(first) = entries.first() else { return Err(BadBatch::Empty) };
        if entries.len() > COMMIT_ENTRIES_MAX {
            return Err(BadBatch::TooManyEntries { most: COMMIT_ENTRIES_MAX, got: entries.len() });
        }
        if first.seq == 0 || lost_from_seq.is_some_and(|lost| lost == 0 || lost >= first.seq) {
            return Err(BadBatch::BadSequence { expected: 1, got: lost_from_seq.unwrap_or(first.seq) });
        }
        for (expected, entry) in (first.seq..).zip(&entries) {
            Self::check_entry(expected, entry)?;
        }
        let batch = Self { partition: claim.partition, epoch: claim.epoch, lost_from_seq, entries };
        match batch.byte_count() {
            got if got > COMMIT_BYTES_MAX => Err(BadBatch::TooManyBytes { most: COMMIT_BYTES_MAX, got }),
            _ => Ok(batch),
        }
    }

    fn check_entry(expected: u64, entry: &Entry) -> Result<(), BadBatch> {
        if entry.seq != expected || entry.seq > Entry::SEQ_MAX {
            return Err(BadBatch::BadSequence { expected, got: entry.seq });
        }
        if entry.kind == Hole::KIND {
            return Err(BadBatch::ReservedKind { seq: entry.seq });
        }
        if entry.bytes.len() > ENTRY_BYTES_MAX {
            return Err(BadBatch::EntryTooLong { seq: entry.seq, most: ENTRY_BYTES_MAX, got: entry.bytes.len() });
        }
        Ok(())
    }

    pub const fn partition(&self) -> Partition {
        self.partition
    }

    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// At least one.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub fn into_entries(self) -> Vec<Entry> {
        self.entries
    }

    pub fn span(&self) -> Span {
        let seq = |entry: Option<&Entry>| entry.map_or(0, |entry| entry.seq);
        Span { partition: self.partition, first_seq: seq(self.entries.first()), last_seq: seq(self.entries.last()) }
    }

    /// What was lost before these entries, when something was.
    pub fn hole(&self) -> Option<Hole> {
        let (first_seq, first) = (self.lost_from_seq?, self.entries.first()?);
        Some(Hole { first_seq, last_seq: first.seq - 1, at: first.at })
    }

    /// The first sequence number this batch gives meaning to: its hole's, or its first entry's.
    pub fn from_seq(&self) -> u64 {
        self.lost_from_seq.unwrap_or(self.span().first_seq)
    }

    /// The bytes of its entries, for the bounds of queues.
    pub fn byte_count(&self) -> usize {
        self.entries.iter().map(|entry| entry.bytes.len()).sum()
    }
}

/// A run of entries of one partition, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub partition: Partition,
    pub first_seq: u64,
    pub last_seq: u64,
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "entries {} to {} of partition {}", self.first_seq, self.last_seq, self.partition.0)
    }
}

/// A batch the caller built wrongly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BadBatch {
    #[error("the caller sent sequence number {got} where {expected} belongs")]
    BadSequence { expected: u64, got: u64 },
    #[error("the caller sent a batch without entries")]
    Empty,
    #[error("the caller sent entry {seq} with {got} bytes; at most {most} are kept")]
    EntryTooLong { seq: u64, most: usize, got: usize },
    #[error("the caller gave entry {seq} the kind that is reserved for holes")]
    ReservedKind { seq: u64 },
    #[error("the caller sent {got} bytes of entries in one batch; at most {most} go together")]
    TooManyBytes { most: usize, got: usize },
    #[error("the caller sent {got} entries in one batch; at most {most} go together")]
    TooManyEntries { most: usize, got: usize },
}

/// Proof that entries survive a crash of the machine. Only a store makes one.
///
/// Every entry of the partition up to and including `through_seq` is held, except those a [`Hole`] was declared for.
#[derive(Debug, PartialEq, Eq)]
pub struct Receipt {
    partition: Partition,
    through_seq: u64,
}

impl Receipt {
    /// For the stores of this crate, after the disk or the quorum has answered.
    pub(crate) const fn issue(partition: Partition, through_seq: u64) -> Self {
        Self { partition, through_seq }
    }

    pub const fn partition(&self) -> Partition {
        self.partition
    }

    pub const fn through_seq(&self) -> u64 {
        self.through_seq
    }
}

/// What a store reports, in the order in which it happened.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// Held. One receipt may cover many batches.
    Durable(Receipt),
    /// The store cannot write. What was appended waits inside it and is tried again; nothing beyond `through_seq` is held yet.
    Failed { partition: Partition, through_seq: u64, why: StoreError },
    /// Another claimed the partition: nothing of this batch is held and nothing of this epoch ever will be.
    Fenced { span: Span, held_by: Epoch },
    /// The store writes again; receipts for what waited follow.
    Recovered { partition: Partition },
    /// Nothing of this batch is held, and trying it again would not help.
    Refused { span: Span, why: RefusedWhy },
    /// The store ended, or lost touch, before it knew. Append the same entries again, which is harmless, or read.
    Unknown { span: Span },
}

/// Why a store will never hold a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RefusedWhy {
    #[error("the journal already holds another entry under number {seq}")]
    Differs { seq: u64 },
    #[error("the caller sent entry {got} where {expected} is next")]
    Gap { expected: u64, got: u64 },
}

/// A batch that was not taken in; it comes back whole.
#[derive(Debug, PartialEq, Eq, Error)]
#[error("{why}")]
pub struct Rejected {
    pub batch: Batch,
    pub why: RejectedWhy,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RejectedWhy {
    #[error("the store has ended")]
    Closed,
    #[error("epoch {got} is over: the partition is held by epoch {held_by}", got = got.0, held_by = held_by.0)]
    Fenced { held_by: Epoch, got: Epoch },
    /// The backlog is at its bound. Offer the batch again, or give its entries up with [`Batch::after_loss`].
    #[error("the store's backlog is full: {entry_count} entries wait for the disk")]
    Full { entry_count: usize },
    #[error("the caller sent entry {got} where {expected} is next")]
    Gap { expected: u64, got: u64 },
    #[error("the partition was not claimed")]
    Unclaimed,
}

/// Who hears the notices. Called on the store's thread, in order; it should hand them on quickly, for the next commit waits for it.
pub type Listener = Box<dyn FnMut(Notice) + Send>;

/// Entries read back, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    pub entries: Vec<Entry>,
    /// Losses declared within this stretch.
    pub holes: Vec<Hole>,
    /// Removals of older entries, with the numbers they stand under.
    pub removals: Vec<(u64, Removal)>,
    /// Where the chain does not hold. An altered entry is left out of `entries`; the ones after it are there.
    pub breaks: Vec<Break>,
    /// Where to read on; `None` at the end of what is held.
    pub next_seq: Option<u64>,
    /// The chain after the last of these; `None` when there are none, or when it is not known.
    pub end: Option<Anchor>,
}

impl Page {
    /// The last entry that a page read from `from_seq` on answers for; the one before it when there is none.
    pub fn through(&self, from_seq: u64) -> u64 {
        let entry = self.entries.last().map(|entry| entry.seq);
        let (hole, removal) = (self.holes.last().map(|hole| hole.last_seq), self.removals.last().map(|(seq, _)| *seq));
        let ends = [self.next_seq.map(|next| next - 1), self.end.map(|end| end.seq), entry, hole, removal];
        ends.into_iter().flatten().fold(from_seq.saturating_sub(1), u64::max)
    }

    /// Nothing was read.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.holes.is_empty() && self.removals.is_empty() && self.breaks.is_empty()
    }
}

/// Figures of a store, for metrics and alarms. Counters never go back within a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// False from a failed write until the next good one.
    pub writing: bool,
    /// Entries appended and not yet held.
    pub backlog_entry_count: u64,
    pub backlog_byte_count: u64,
    pub commit_count: u64,
    pub entry_count: u64,
    pub commit_micros_total: u64,
    pub commit_micros_max: u64,
    /// Batches not taken in because the backlog was at its bound.
    pub full_count: u64,
    /// Entries declared lost.
    pub lost_entry_count: u64,
    /// Failed writes, and files given up because of them.
    pub failure_count: u64,
    pub segment_number: u32,
    /// Entries the searchable rows are behind by.
    pub projection_lag_entry_count: u64,
}

/// The name of something kept whole beside the journal: a compiled table set, a checkpoint. Usually the hash of its contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobName(pub [u8; 32]);

impl fmt::Display for BlobName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// What a restart needs of a partition up to one entry: beside the journal, made from it, and never trusted further than it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The entry it was made at, and the chain there.
    pub anchor: Anchor,
    /// The oldest entry that something alive in it speaks of; the one after `anchor` when nothing does.
    pub needed_from_seq: u64,
    pub bytes: Vec<u8>,
}

/// The oldest entries, as far as they may be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Removable {
    /// The last entry that may go, and the chain there; `None` when nothing may.
    pub before: Option<Anchor>,
    pub segment_count: u32,
    pub byte_count: u64,
    /// Why what comes after it stays.
    pub kept: KeptWhy,
}

/// Why old entries are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum KeptWhy {
    #[error("entry {seq} is needed: a contact that has not ended began with it, or a restart reads from it")]
    Needed { seq: u64 },
    #[error("the file in use is never removed")]
    Newest,
    #[error("there is no checkpoint yet: a restart reads everything; an engine makes one within minutes")]
    NoCheckpoint,
    #[error("the searchable rows do not show entry {seq} yet")]
    NotShown { seq: u64 },
    #[error("another partition has entries in the same file")]
    OtherPartition,
    #[error("the next file is young enough to be kept")]
    Young,
}

/// The port. Only [`append`](Store::append) and [`health`](Store::health) are for the engine's thread; the others wait for the disk.
pub trait Store: Send + Sync {
    /// Takes the partition over: raises its epoch, durably, and fences off whoever held it.
    ///
    /// # Errors
    /// Nothing was claimed; the former holder may be fenced off all the same.
    fn claim(&self, partition: Partition) -> Result<Claim, StoreError>;

    /// Hands the batch over and returns at once. Exactly one of the notices `Durable`, `Fenced`, `Refused` or `Unknown` will cover it.
    ///
    /// # Errors
    /// The batch comes back; nothing of it will be held unless it is appended again.
    fn append(&self, batch: Batch) -> Result<(), Rejected>;

    /// At most `entry_count_max` entries from `from_seq` on (bounded by [`crate::limits::READ_ENTRIES_MAX`]), checked against their chain.
    ///
    /// # Errors
    /// The log cannot be read at all; damage to single entries is in the page.
    fn read(&self, partition: Partition, from_seq: u64, entry_count_max: usize) -> Result<Page, StoreError>;

    /// Walks the whole chain of a partition.
    ///
    /// # Errors
    /// The log cannot be read at all; what is wrong with it is in the answer.
    fn verify(&self, partition: Partition) -> Result<Verified, StoreError>;

    /// Keeps `bytes` under `name`, durably when it returns. The same again is harmless.
    ///
    /// # Errors
    /// Too long, other bytes are kept under this name, or the disk failed.
    fn put_blob(&self, name: BlobName, bytes: &[u8]) -> Result<(), StoreError>;

    /// What is kept under `name`.
    ///
    /// # Errors
    /// It is damaged or cannot be read.
    fn blob(&self, name: BlobName) -> Result<Option<Vec<u8>>, StoreError>;

    /// Keeps a checkpoint, durably when it returns, and removes all but the newest [`crate::limits::CHECKPOINTS_KEPT`].
    ///
    /// # Errors
    /// Too long, or the disk failed; those kept before are still there.
    fn put_checkpoint(&self, partition: Partition, checkpoint: &Checkpoint) -> Result<(), StoreError>;

    /// The entries that checkpoints were made at, the newest first.
    ///
    /// # Errors
    /// They cannot be listed.
    fn checkpoints(&self, partition: Partition) -> Result<Vec<u64>, StoreError>;

    /// The checkpoint made at `seq`, whole, and of this journal: the chain passes through its anchor.
    ///
    /// # Errors
    /// It is damaged, of another journal, or cannot be read. The journal can.
    fn checkpoint(&self, partition: Partition, seq: u64) -> Result<Checkpoint, StoreError>;

    /// Which of the oldest entries may be removed: whole files whose newest entry is older than `older_than`, and that no contact
    /// alive, no checkpoint and no searchable row needs.
    ///
    /// # Errors
    /// The disk failed.
    fn removable(&self, partition: Partition, older_than: Timestamp) -> Result<Removable, StoreError>;

    /// Removes them. The journal must hold a [`Removal`] that says so.
    ///
    /// # Errors
    /// The disk failed; what is left can be removed again.
    fn remove(&self, partition: Partition, before: Anchor) -> Result<(), StoreError>;

    /// The names of all blobs, in order.
    ///
    /// # Errors
    /// The disk failed.
    fn blob_names(&self) -> Result<Vec<BlobName>, StoreError>;

    /// Removes a blob, unless somebody put it, or put it again, at `since` or later; true when it is gone.
    ///
    /// # Errors
    /// The disk failed.
    fn remove_blob_untouched(&self, name: BlobName, since: Timestamp) -> Result<bool, StoreError>;

    fn health(&self) -> Health;
}

/// What a store could not do, and who is to blame.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum StoreError {
    #[error("the store refused {name}: other bytes are kept under this name")]
    BlobDiffers { name: BlobName },
    #[error("the store found {name} damaged")]
    BlobDamaged { name: BlobName },
    #[error("the store refused {name}: {got} bytes, at most {most}")]
    BlobTooLong { name: BlobName, most: usize, got: usize },
    #[error("the checkpoint of entry {seq} is of another journal: the chain does not pass through it")]
    CheckpointAstray { seq: u64 },
    #[error("the checkpoint of entry {seq} is damaged")]
    CheckpointDamaged { seq: u64 },
    #[error("the store refused a checkpoint: {got} bytes, at most {most}")]
    CheckpointTooLong { most: usize, got: usize },
    #[error("the store has ended")]
    Closed,
    #[error("the disk failed to {doing}: {cause}")]
    DiskFailed { doing: &'static str, cause: Box<str> },
    #[error("the disk is full, the store could not {doing}: {cause}")]
    DiskFull { doing: &'static str, cause: Box<str> },
    #[error("the folder {folder} is in use by another process")]
    FolderHeld { folder: Box<str> },
    #[error("{file} is not a journal of this version: expected {expected}, got {got}")]
    FormatUnknown { file: Box<str>, expected: u32, got: u32 },
    #[error("the store was busy for too long to {doing}")]
    StoreBusy { doing: &'static str },
}

impl StoreError {
    /// Whether the same request can simply be made again later.
    pub const fn retry_is_safe(&self) -> bool {
        matches!(self, Self::DiskFull { .. } | Self::StoreBusy { .. } | Self::FolderHeld { .. } | Self::DiskFailed { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::chain::ChainHash;

    fn claim() -> Claim {
        let head = Anchor { seq: 0, hash: ChainHash::genesis(0) };
        Claim { partition: Partition::default(), epoch: Epoch(1), next_seq: 1, head }
    }

    fn entry(seq: u64) -> Entry {
        Entry { seq, at: Timestamp::from_secs(1), contact: None, kind: 0, bytes: vec![1; 3] }
    }

    #[test]
    fn a_batch_without_gaps_is_built_and_knows_its_span() {
        let batch = Batch::new(&claim(), (5..=8).map(entry).collect()).unwrap();
        assert_eq!(batch.span(), Span { partition: Partition::default(), first_seq: 5, last_seq: 8 });
        assert_eq!((batch.from_seq(), batch.hole(), batch.byte_count()), (5, None, 12));
    }

    #[test]
    fn a_batch_that_is_wrong_cannot_be_built() {
        let build = |entries: Vec<Entry>| Batch::new(&claim(), entries).unwrap_err();
        assert_eq!(build(vec![]), BadBatch::Empty);
        assert_eq!(build(vec![entry(1), entry(3)]), BadBatch::BadSequence { expected: 2, got: 3 });
        assert_eq!(build(vec![entry(2), entry(2)]), BadBatch::BadSequence { expected: 3, got: 2 });
        assert_eq!(build(vec![entry(0)]), BadBatch::BadSequence { expected: 1, got: 0 });
        assert_eq!(build(vec![Entry { kind: Hole::KIND, ..entry(1) }]), BadBatch::ReservedKind { seq: 1 });
        let beyond = Entry::SEQ_MAX + 1;
        assert_eq!(build(vec![entry(beyond)]), BadBatch::BadSequence { expected: beyond, got: beyond });
        let long = Entry { bytes: vec![0; ENTRY_BYTES_MAX + 1], ..entry(1) };
        assert_eq!(build(vec![long]), BadBatch::EntryTooLong { seq: 1, most: ENTRY_BYTES_MAX, got: ENTRY_BYTES_MAX + 1 });
        let wide = |seq| Entry { bytes: vec![0; ENTRY_BYTES_MAX], ..entry(seq) };
        let got = ENTRY_BYTES_MAX * 5;
        assert_eq!(build((1..=5).map(wide).collect()), BadBatch::TooManyBytes { most: COMMIT_BYTES_MAX, got });
        let many = (1..=COMMIT_ENTRIES_MAX as u64 + 1).map(entry).collect();
        assert_eq!(build(many), BadBatch::TooManyEntries { most: COMMIT_ENTRIES_MAX, got: COMMIT_ENTRIES_MAX + 1 });
    }

    #[test]
    fn a_batch_after_a_loss_names_what_was_lost() {
        let batch = Batch::after_loss(&claim(), 3, vec![entry(6)]).unwrap();
        let lost = batch.hole().unwrap();
        assert_eq!((lost.first_seq, lost.last_seq, batch.from_seq()), (3, 5, 3));
        assert!(Batch::after_loss(&claim(), 6, vec![entry(6)]).is_err());
    }

    #[test]
    fn there_are_only_so_many_partitions() {
        assert!(Partition::new(PARTITIONS_MAX as u16 - 1).is_some());
        assert!(Partition::new(PARTITIONS_MAX as u16).is_none());
    }
}
