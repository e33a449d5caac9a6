//! Promises and the receipts they wait for.
//!
//! # Invariants
//! - A [`Receipt`] exists only for an entry the journal holds: its field is private and [`Receipts`] alone makes it.
//! - Every function that speaks a promise (`Durable`, `Taken`, `Accepted`, `Closed`, `Ended`) demands one.
//! - Promises are kept in the order of their entries.
//! - What the journal lost is covered by no receipt, however far the store has come since. While what was lost is being written
//!   again, nothing new is promised: a take is worth nothing without its arrival.

use std::collections::VecDeque;

use crate::contact::ContactKey;
use crate::deliver::OfferId;
use crate::units::ContactId;

/// Proof that the journal holds an entry.
#[derive(Clone, Copy, Debug)]
pub(super) struct Receipt {
    _through: u64,
}

/// What will be said once the entry it stands with is held.
#[derive(Clone, Debug)]
pub(super) enum Promise {
    Accepted(OfferId),
    Arrived(ContactId),
    Closed(OfferId),
    Ended(ContactId),
    /// Arrival and end in one: the engine was full. Its life is not kept, so the promise carries its key.
    Overflowed(Box<(ContactKey, ContactId)>),
    Taken(OfferId),
}

#[derive(Debug, Default)]
pub(super) struct Receipts {
    through: u64,
    /// Rising by sequence number.
    waiting: VecDeque<(u64, Promise)>,
    hole: Option<Lost>,
}

/// Entries that were given up for good.
#[derive(Clone, Copy, Debug)]
struct Lost {
    first_seq: u64,
    last_seq: u64,
    /// What was lost has been written again in entries up to this one; `None` while that goes on.
    healed_by_seq: Option<u64>,
}

impl Receipts {
    /// A journal read back: everything up to `through` is held.
    pub(super) fn recovered(through: u64) -> Self {
        Self { through, ..Self::default() }
    }

    /// The store says that it holds everything up to `through`. It never takes that back.
    pub(super) fn stored(&mut self, through: u64) {
        self.through = self.through.max(through);
    }

    pub(super) fn covers(&self, seq: u64) -> Option<Receipt> {
        let held = match &self.hole {
            None => true,
            Some(hole) if seq < hole.first_seq => true,
            Some(hole) => seq > hole.last_seq && hole.healed_by_seq.is_some_and(|healed| healed <= self.through),
        };
        (held && seq != 0 && seq <= self.through).then_some(Receipt { _through: self.through })
    }

    /// These entries will never be held. Losses that follow each other are one.
    pub(super) fn lost(&mut self, first_seq: u64, last_seq: u64) {
        let first_seq = self.hole.map_or(first_seq, |hole| hole.first_seq.min(first_seq));
        self.hole = Some(Lost { first_seq, last_seq, healed_by_seq: None });
    }

    /// The first and the last entry of a loss that the store has come past and that nobody writes again yet.
    pub(super) fn unhealed(&self) -> Option<(u64, u64)> {
        let hole = self.hole.filter(|hole| hole.healed_by_seq.is_none() && self.through > hole.last_seq)?;
        Some((hole.first_seq, hole.last_seq))
    }

    /// Nothing is lost that has not been written again.
    pub(super) fn is_whole(&self) -> bool {
        self.hole.is_none_or(|hole| hole.healed_by_seq.is_some())
    }

    /// Everything that was lost has been written again, the last of it under this number.
    pub(super) fn healed(&mut self, by_seq: u64) {
        if let Some(hole) = &mut self.hole {
            hole.healed_by_seq = Some(by_seq);
        }
    }

    /// Takes out the oldest promise, if its entry was lost: it was made again, or never can be.
    pub(super) fn next_lost(&mut self) -> Option<Promise> {
        let hole = self.hole?;
        let (_, promise) = self.waiting.pop_front_if(|(seq, _)| hole.first_seq <= *seq && *seq <= hole.last_seq)?;
        Some(promise)
    }

    pub(super) fn promise(&mut self, seq: u64, promise: Promise) {
        debug_assert!(self.waiting.back().is_none_or(|(last, _)| *last <= seq));
        self.waiting.push_back((seq, promise));
    }

    pub(super) fn waiting_count(&self) -> usize {
        self.waiting.len()
    }

    /// Whether [`Self::next_kept`] has something to say.
    pub(super) fn has_kept(&self) -> bool {
        self.waiting.front().is_some_and(|(seq, _)| self.covers(*seq).is_some())
    }

    /// The oldest promise whose entry is held.
    pub(super) fn next_kept(&mut self) -> Option<(Receipt, u64, Promise)> {
        let receipt = self.covers(self.waiting.front()?.0)?;
        let (seq, promise) = self.waiting.pop_front()?;
        Some((receipt, seq, promise))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_promise_is_kept_only_once_its_own_entry_is_held() {
        let mut receipts = Receipts::default();
        receipts.promise(3, Promise::Arrived(ContactId(1)));
        receipts.promise(5, Promise::Ended(ContactId(1)));
        receipts.stored(2);
        assert!(receipts.next_kept().is_none() && receipts.covers(3).is_none());
        receipts.stored(4);
        assert!(matches!(receipts.next_kept(), Some((_, 3, Promise::Arrived(_)))));
        assert!(receipts.next_kept().is_none() && !receipts.has_kept());
    }

    #[test]
    fn the_store_cannot_take_a_receipt_back() {
        let mut receipts = Receipts::default();
        receipts.stored(9);
        receipts.stored(4);
        assert!(receipts.covers(9).is_some() && receipts.covers(10).is_none());
    }

    #[test]
    fn what_was_lost_is_never_covered_and_what_came_after_only_once_it_is_healed() {
        let mut receipts = Receipts::default();
        receipts.promise(2, Promise::Arrived(ContactId(1)));
        receipts.promise(6, Promise::Arrived(ContactId(2)));
        receipts.lost(2, 4);
        receipts.stored(4);
        assert!(receipts.unhealed().is_none(), "the store has not come past it");
        receipts.stored(9);
        assert_eq!(receipts.unhealed(), Some((2, 4)));
        assert!(receipts.covers(1).is_some() && receipts.covers(3).is_none() && receipts.covers(6).is_none());
        receipts.healed(10);
        assert!(receipts.covers(6).is_none());
        receipts.stored(10);
        assert!(receipts.covers(3).is_none() && receipts.covers(6).is_some());
        assert!(matches!(receipts.next_lost(), Some(Promise::Arrived(ContactId(1)))) && receipts.next_lost().is_none());
        assert!(receipts.has_kept());
    }

    #[test]
    fn nothing_is_held_under_the_number_zero() {
        assert!(Receipts::recovered(9).covers(0).is_none());
    }
}
