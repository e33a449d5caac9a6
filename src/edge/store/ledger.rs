//! The rules every store of this crate keeps, apart from where the entries lie: who may append, what may follow what, what is the same.

use std::collections::BTreeMap;

use crate::journal::chain::{Anchor, ChainHash, link};
use crate::journal::entry::Entry;
use crate::store::{Batch, Claim, Epoch, Partition, RefusedWhy, RejectedWhy};

/// The end of a partition's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tip {
    pub epoch: Epoch,
    pub next_seq: u64,
    pub head: ChainHash,
}

impl Tip {
    /// The end of a log that holds nothing yet.
    pub(super) fn genesis(partition: Partition, next_seq: u64) -> Self {
        Self { epoch: Epoch::default(), next_seq, head: ChainHash::genesis(partition.number()) }
    }

    pub(super) const fn anchor(&self) -> Anchor {
        Anchor { seq: self.next_seq - 1, hash: self.head }
    }

    pub(super) const fn claim(&self, partition: Partition) -> Claim {
        Claim { partition, epoch: self.epoch, next_seq: self.next_seq, head: self.anchor() }
    }
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Fenced(Epoch),
    /// Held, with this many numbers declared lost before it.
    Held {
        lost_entry_count: u64,
    },
    Refused(RefusedWhy),
}

/// Where the entries of one partition lie.
pub(super) trait Rows {
    type Error;
    fn kept(&mut self, seq: u64) -> Result<Option<Entry>, Self::Error>;
    fn put(&mut self, entry: &Entry, hash: ChainHash) -> Result<(), Self::Error>;
}

/// Writes a batch at the tip, whole or not at all: everything is checked before the first entry is put.
pub(super) fn write<R: Rows>(batch: &Batch, tip: &mut Tip, rows: &mut R) -> Result<Verdict, R::Error> {
    if batch.epoch() != tip.epoch {
        return Ok(Verdict::Fenced(tip.epoch));
    }
    if batch.from_seq() > tip.next_seq {
        return Ok(Verdict::Refused(RefusedWhy::Gap { expected: tip.next_seq, got: batch.from_seq() }));
    }
    let held_count = batch.entries().partition_point(|entry| entry.seq < tip.next_seq);
    let (again, new) = batch.entries().split_at(held_count);
    for entry in again {
        if rows.kept(entry.seq)?.as_ref() != Some(entry) {
            return Ok(Verdict::Refused(RefusedWhy::Differs { seq: entry.seq }));
        }
    }
    let mut lost_entry_count = 0;
    if let Some(mut hole) = batch.hole().filter(|hole| hole.last_seq >= tip.next_seq) {
        hole.first_seq = hole.first_seq.max(tip.next_seq);
        lost_entry_count = hole.last_seq - hole.first_seq + 1;
        put(tip, rows, &hole.to_entry(), hole.last_seq)?;
    }
    for entry in new {
        put(tip, rows, entry, entry.seq)?;
    }
    debug_assert!(tip.next_seq > batch.span().last_seq);
    Ok(Verdict::Held { lost_entry_count })
}

fn put<R: Rows>(tip: &mut Tip, rows: &mut R, entry: &Entry, last_seq: u64) -> Result<(), R::Error> {
    debug_assert_eq!(entry.seq, tip.next_seq);
    let hash = link(tip.head, entry);
    rows.put(entry, hash)?;
    (tip.head, tip.next_seq) = (hash, last_seq + 1);
    Ok(())
}

/// What may be appended next: judged before a batch is taken in, so that a batch that cannot be held comes back at once.
#[derive(Debug, Default)]
pub(super) struct Gate {
    expected: BTreeMap<Partition, Expected>,
}

#[derive(Debug)]
struct Expected {
    epoch: Epoch,
    next_seq: u64,
}

impl Gate {
    pub(super) fn judge(&self, batch: &Batch) -> Result<(), RejectedWhy> {
        let expected = self.expected.get(&batch.partition()).ok_or(RejectedWhy::Unclaimed)?;
        if batch.epoch() != expected.epoch {
            return Err(RejectedWhy::Fenced { held_by: expected.epoch, got: batch.epoch() });
        }
        if batch.from_seq() > expected.next_seq {
            return Err(RejectedWhy::Gap { expected: expected.next_seq, got: batch.from_seq() });
        }
        Ok(())
    }

    /// The batch was taken in.
    pub(super) fn pass(&mut self, batch: &Batch) {
        if let Some(expected) = self.expected.get_mut(&batch.partition()) {
            expected.next_seq = expected.next_seq.max(batch.span().last_seq + 1);
        }
    }

    /// From now on appends to the partition must carry this epoch and go on from here.
    pub(super) fn expect(&mut self, partition: Partition, tip: &Tip) {
        self.expected.insert(partition, Expected { epoch: tip.epoch, next_seq: tip.next_seq });
    }

    /// Another took the partition over.
    pub(super) fn fence(&mut self, partition: Partition, held_by: Epoch) {
        if let Some(expected) = self.expected.get_mut(&partition) {
            expected.epoch = expected.epoch.max(held_by);
        }
    }

    /// New entries were refused after they had passed: those behind them are gaps now, and the next append must start where the log ends.
    pub(super) fn take_back(&mut self, refused: &Batch, tip: &Tip) {
        if tip.next_seq <= refused.span().last_seq {
            self.expect(refused.partition(), tip);
        }
    }
}
