//! Promises and the receipts they wait for.
//!
//! # Invariants
//! - A [`Receipt`] exists only for an entry the journal holds: its field is private and [`Receipts`] alone makes it.
//! - Every function that speaks a promise (`Durable`, `Taken`, `Accepted`, `Closed`, `Ended`) demands one.
//! - Promises are kept in the order of their entries.

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
}

impl Receipts {
    /// A journal read back: everything up to `through` is held.
    pub(super) fn recovered(through: u64) -> Self {
        Self { through, waiting: VecDeque::new() }
    }

    /// The store says that it holds everything up to `through`. It never takes that back.
    pub(super) fn stored(&mut self, through: u64) {
        self.through = self.through.max(through);
    }

    pub(super) fn through(&self) -> u64 {
        self.through
    }

    pub(super) fn covers(&self, seq: u64) -> Option<Receipt> {
        (seq != 0 && seq <= self.through).then_some(Receipt { _through: self.through })
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
        self.waiting.front().is_some_and(|(seq, _)| *seq <= self.through)
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
    fn nothing_is_held_under_the_number_zero() {
        assert!(Receipts::recovered(9).covers(0).is_none());
    }
}
