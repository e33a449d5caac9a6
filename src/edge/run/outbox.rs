//! The engine's side of the journal: entries that the store has not taken yet, and what is given up when it is gone too long.
//!
//! **Invariants:** entries are handed over in their order, each once. What is given up is returned to the caller, who must tell the
//! engine before the next receipt, and is declared to the store once, with the first batch after it.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::deliver::Fact;
use crate::journal::entry::Entry;
use crate::limits::{COMMIT_BYTES_MAX, COMMIT_ENTRIES_MAX};
use crate::store::{Batch, Claim, RejectedWhy, Store};
use crate::wire::frame::encode_fact;

/// Bytes that hold most facts, so that encoding one allocates once.
const FACT_BYTES_USUAL: usize = 512;

/// Entries on their way to the store.
pub(super) struct Outbox {
    store: Arc<dyn Store>,
    claim: Claim,
    /// Tried and not taken: the same batch is tried again, so that an outage costs the engine's thread next to nothing.
    refused: Option<Batch>,
    pending: VecDeque<Entry>,
    entry_count_max: usize,
    /// Where entries were given up that no batch has declared lost yet.
    lost_from_seq: Option<u64>,
    /// Whether the log already says that the store takes nothing.
    said: bool,
}

/// Entries that will never be held: both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Loss {
    pub first_seq: u64,
    pub last_seq: u64,
}

impl Outbox {
    pub(super) fn new(store: Arc<dyn Store>, claim: Claim, entry_count_max: usize) -> Self {
        Self { store, claim, refused: None, pending: VecDeque::new(), entry_count_max, lost_from_seq: None, said: false }
    }

    pub(super) fn push(&mut self, seq: u64, fact: &Fact) {
        self.pending.push_back(entry_of(seq, fact));
    }

    /// An entry of the journal's own.
    pub(super) fn push_entry(&mut self, entry: Entry) {
        self.pending.push_back(entry);
    }

    pub(super) fn len(&self) -> usize {
        self.refused.as_ref().map_or(0, |batch| batch.entries().len()) + self.pending.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.refused.is_none() && self.pending.is_empty()
    }

    /// Hands what is pending to the store, in batches within its bounds. What it does not take stays for the next call; what had to
    /// be given up is returned.
    #[must_use = "the engine must hear of a loss before it makes another promise"]
    pub(super) fn hand_over(&mut self) -> Option<Loss> {
        while let Some(batch) = self.refused.take().or_else(|| self.next_batch()) {
            let rejected = match self.store.append(batch) {
                Ok(()) => {
                    self.lost_from_seq = None;
                    self.said = false;
                    continue;
                }
                Err(rejected) => rejected,
            };
            let from_seq = rejected.batch.from_seq();
            match rejected.why {
                RejectedWhy::Gap { expected, .. } if expected < from_seq => return self.declare(rejected.batch, expected),
                RejectedWhy::Full { .. } => {}
                why if !self.said => tracing::error!(%why, "the journal does not take entries"),
                _ => {}
            }
            self.said = true;
            self.refused = Some(rejected.batch);
            return self.give_up_beyond_bound();
        }
        None
    }

    fn next_batch(&mut self) -> Option<Batch> {
        while !self.pending.is_empty() {
            let mut bytes = 0;
            let fits = self.pending.iter().take(COMMIT_ENTRIES_MAX).take_while(|entry| {
                bytes += entry.bytes.len();
                bytes <= COMMIT_BYTES_MAX
            });
            let count = fits.count().max(1);
            match self.batch_of(self.lost_from_seq, count) {
                Ok(batch) => return Some(batch),
                // Only entries without a gap and within their bounds are pushed.
                Err(error) => tracing::error!(%error, "entries of this engine do not make a batch; they are given up"),
            }
        }
        None
    }

    fn batch_of(&mut self, lost_from_seq: Option<u64>, count: usize) -> Result<Batch, crate::store::BadBatch> {
        let entries: Vec<Entry> = self.pending.drain(..count).collect();
        match lost_from_seq {
            Some(lost) => Batch::after_loss(&self.claim, lost, entries),
            None => Batch::new(&self.claim, entries),
        }
    }

    /// The store refused entries it had taken in, and waits for numbers that are gone: they are lost, and said to be.
    fn declare(&mut self, batch: Batch, expected: u64) -> Option<Loss> {
        let last_seq = batch.from_seq() - 1;
        tracing::error!(first_seq = expected, last_seq, "the journal does not hold these entries and never will");
        self.lost_from_seq = Some(expected);
        match Batch::after_loss(&self.claim, expected, batch.into_entries()) {
            Ok(batch) => self.refused = Some(batch),
            Err(error) => tracing::error!(%error, "entries of this engine do not make a batch; they are given up"),
        }
        Some(Loss { first_seq: expected, last_seq })
    }

    fn give_up_beyond_bound(&mut self) -> Option<Loss> {
        if self.len() <= self.entry_count_max {
            return None;
        }
        let first_seq =
            self.refused.as_ref().map_or_else(|| self.pending.front().map(|entry| entry.seq), |batch| Some(batch.span().first_seq))?;
        let last_seq =
            self.pending.back().map_or_else(|| self.refused.as_ref().map(|batch| batch.span().last_seq), |entry| Some(entry.seq))?;
        tracing::error!(first_seq, last_seq, "the journal was gone for too long: these entries are given up, contacts flow on");
        (self.refused, self.pending) = (None, VecDeque::new());
        self.lost_from_seq = self.lost_from_seq.or(Some(first_seq));
        Some(Loss { first_seq, last_seq })
    }
}

fn entry_of(seq: u64, fact: &Fact) -> Entry {
    let mut bytes = Vec::with_capacity(FACT_BYTES_USUAL);
    if let Err(error) = encode_fact(fact, &mut bytes) {
        // Every bound of a fact is checked where it is made; the number must be used all the same.
        tracing::error!(seq, %error, "a fact cannot be encoded; the journal holds its place without it");
        bytes.clear();
    }
    Entry::of(seq, fact, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deliver::HangUp;
    use crate::edge::store::memory::{Fault, MemoryDisk, MemoryStore};
    use crate::store::{Notice, Partition};
    use crate::units::{ContactId, Timestamp};

    fn outbox(entry_count_max: usize) -> (Arc<MemoryStore>, Outbox) {
        let store = Arc::new(MemoryStore::open(MemoryDisk::default(), Box::new(|_: Notice| {})));
        let claim = store.claim(Partition::default()).expect("memory can be claimed");
        (store.clone(), Outbox::new(store, claim, entry_count_max))
    }

    fn push(outbox: &mut Outbox, seqs: std::ops::RangeInclusive<u64>) {
        for seq in seqs {
            outbox.push(seq, &Fact::HungUp { at: Timestamp::from_secs(seq), contact: ContactId(1), why: HangUp::Caller, callback: false });
        }
    }

    fn held(store: &MemoryStore) -> (Vec<u64>, Vec<(u64, u64)>) {
        let page = store.read(Partition::default(), 1, 1_000).expect("memory can be read");
        let holes = page.holes.iter().map(|hole| (hole.first_seq, hole.last_seq)).collect();
        (page.entries.iter().map(|entry| entry.seq).collect(), holes)
    }

    #[test]
    fn what_the_store_does_not_take_is_handed_over_later_in_order() {
        let (store, mut outbox) = outbox(10);
        store.inject(Fault::Full { append_count: 2 });
        push(&mut outbox, 1..=3);
        assert_eq!((outbox.hand_over(), outbox.len()), (None, 3));
        push(&mut outbox, 4..=5);
        assert_eq!((outbox.hand_over(), outbox.len()), (None, 5));
        assert_eq!((outbox.hand_over(), outbox.is_empty()), (None, true));
        assert_eq!(held(&store), (vec![1, 2, 3, 4, 5], vec![]));
    }

    #[test]
    fn a_loss_is_told_each_time_and_declared_once() {
        let (store, mut outbox) = outbox(3);
        push(&mut outbox, 1..=1);
        assert_eq!(outbox.hand_over(), None);
        store.inject(Fault::Gone);
        push(&mut outbox, 2..=5);
        assert_eq!(outbox.hand_over(), Some(Loss { first_seq: 2, last_seq: 5 }));
        push(&mut outbox, 6..=7);
        assert_eq!(outbox.hand_over(), None);
        push(&mut outbox, 8..=9);
        assert_eq!(outbox.hand_over(), Some(Loss { first_seq: 6, last_seq: 9 }));
        store.release();
        for seq in 10..=12 {
            push(&mut outbox, seq..=seq);
            assert_eq!(outbox.hand_over(), None);
        }
        assert_eq!(held(&store), (vec![1, 10, 11, 12], vec![(2, 9)]));
    }

    #[test]
    fn numbers_the_store_waits_for_and_nobody_has_are_declared_lost() {
        let (store, mut outbox) = outbox(3);
        push(&mut outbox, 4..=5);
        assert_eq!(outbox.hand_over(), Some(Loss { first_seq: 1, last_seq: 3 }));
        assert_eq!(outbox.hand_over(), None);
        assert_eq!(held(&store), (vec![4, 5], vec![(1, 3)]));
    }
}
