//! Promises and the receipts they wait for.
//!
//! # Invariants
//! - A [`Receipt`] exists only for an entry the journal holds: its field is private and [`Receipts`] alone makes it.
//! - Every function that speaks a promise (`Durable`, `Taken`, `Accepted`, `Closed`, `Ended`) demands one.
//! - Promises are kept in the order of their entries.
//! - After a loss nothing is covered from there on, however far the store has come, until what was lost has been written again and
//!   that is held: a take is worth nothing without its arrival.

use std::collections::VecDeque;

use crate::contact::ContactKey;
use crate::deliver::{OfferId, Seat};
use crate::event::EventId;
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
    CalledBack(OfferId),
    Closed(OfferId),
    Declared(EventId),
    Dispatched(OfferId),
    Ended(ContactId),
    EventOver(EventId, Option<Seat>),
    Informed(ContactId),
    Joined(ContactId),
    Left(ContactId),
    Noted(ContactId),
    /// Arrival and end in one: the engine was full. Its life is not kept, so the promise carries its key.
    Overflowed(Box<(ContactKey, ContactId)>),
    Said(ContactId),
    Taken(OfferId),
}

#[derive(Debug, Default)]
pub(super) struct Receipts {
    through: u64,
    /// Rising by sequence number.
    waiting: VecDeque<(u64, Promise)>,
    hole: Option<Lost>,
}

/// Entries that were given up for good, until what they said is held in later ones.
#[derive(Clone, Debug)]
struct Lost {
    /// Spans of sequence numbers, first and last, rising; at least one, at most [`LOST_SPANS_MAX`].
    spans: Vec<(u64, u64)>,
    /// What was lost has been written again in entries up to this one; `None` while that goes on.
    healed_by_seq: Option<u64>,
}

/// Losses in a row that are told apart; more of them are one with what lies between.
const LOST_SPANS_MAX: usize = 64;

impl Lost {
    fn first_seq(&self) -> u64 {
        self.spans.first().map_or(0, |(first, _)| *first)
    }

    fn last_seq(&self) -> u64 {
        self.spans.last().map_or(0, |(_, last)| *last)
    }
}

impl Receipts {
    /// A journal read back: everything up to `through` is held.
    pub(super) fn recovered(through: u64) -> Self {
        Self { through, ..Self::default() }
    }

    /// The store says that it holds everything up to `through`. It never takes that back.
    pub(super) fn stored(&mut self, through: u64) {
        self.through = self.through.max(through);
        // What was lost stands in later entries now, and nothing speaks of the lost ones any more.
        self.hole.take_if(|hole| hole.healed_by_seq.is_some_and(|healed| healed <= through));
    }

    /// Entries up to `seq` that the store does not hold yet.
    pub(super) const fn behind(&self, seq: u64) -> u64 {
        seq.saturating_sub(self.through)
    }

    pub(super) fn covers(&self, seq: u64) -> Option<Receipt> {
        let held = match &self.hole {
            None => true,
            Some(hole) => seq < hole.first_seq(),
        };
        (held && seq != 0 && seq <= self.through).then_some(Receipt { _through: self.through })
    }

    /// These entries will never be held. Promises that stood with them are taken out and returned: they are made again, or never
    /// can be.
    pub(super) fn lost(&mut self, first_seq: u64, last_seq: u64) -> Vec<Promise> {
        let mut spans = self.hole.take().map(|hole| hole.spans).unwrap_or_default();
        let crowded = spans.len() >= LOST_SPANS_MAX;
        match spans.last_mut().filter(|_| crowded) {
            Some((_, last)) => *last = last_seq,
            None => spans.push((first_seq, last_seq)),
        }
        self.hole = Some(Lost { spans, healed_by_seq: None });
        let is_lost = |(seq, _): &(u64, Promise)| (first_seq..=last_seq).contains(seq);
        let (lost, kept): (VecDeque<_>, VecDeque<_>) = std::mem::take(&mut self.waiting).into_iter().partition(is_lost);
        self.waiting = kept;
        lost.into_iter().map(|(_, promise)| promise).collect()
    }

    pub(super) fn is_lost(&self, seq: u64) -> bool {
        self.hole.as_ref().is_some_and(|hole| hole.spans.iter().any(|(first, last)| (*first..=*last).contains(&seq)))
    }

    /// The first and the last entry of a loss that the store has come past and that nobody has written again yet.
    pub(super) fn unhealed(&self) -> Option<(u64, u64)> {
        let hole = self.hole.as_ref().filter(|hole| hole.healed_by_seq.is_none() && self.through > hole.last_seq())?;
        Some((hole.first_seq(), hole.last_seq()))
    }

    /// Nothing is lost that has not been written again.
    pub(super) fn is_whole(&self) -> bool {
        self.hole.as_ref().is_none_or(|hole| hole.healed_by_seq.is_some())
    }

    /// Everything that was lost has been written again, the last of it under this number.
    pub(super) fn healed(&mut self, by_seq: u64) {
        if let Some(hole) = &mut self.hole {
            hole.healed_by_seq = Some(by_seq);
        }
        // Nothing had to be written again: there is nothing to wait for.
        let through = self.through;
        self.hole.take_if(|_| by_seq <= through);
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
        assert!(matches!(&receipts.lost(2, 4)[..], [Promise::Arrived(ContactId(1))]));
        receipts.stored(4);
        assert!(receipts.unhealed().is_none(), "the store has not come past it");
        receipts.stored(9);
        assert_eq!(receipts.unhealed(), Some((2, 4)));
        assert!(receipts.covers(1).is_some() && receipts.covers(3).is_none() && receipts.covers(6).is_none());
        receipts.healed(10);
        assert!(receipts.covers(6).is_none());
        receipts.stored(10);
        assert!(receipts.covers(6).is_some());
        assert!(receipts.has_kept());
    }

    #[test]
    fn what_is_held_between_two_losses_is_not_lost() {
        let mut receipts = Receipts::default();
        receipts.lost(2, 4);
        receipts.lost(7, 9);
        assert!(receipts.is_lost(3) && !receipts.is_lost(5) && receipts.is_lost(9));
        receipts.stored(12);
        receipts.healed(11);
        receipts.lost(20, 21);
        assert!(!receipts.is_lost(3), "a loss that is healed and held is over");
        assert!(receipts.covers(12).is_some());
    }

    #[test]
    fn nothing_is_held_under_the_number_zero() {
        assert!(Receipts::recovered(9).covers(0).is_none());
    }
}
