//! What is due and when. One ordered set: every change costs the logarithm of the number of timers.

use std::collections::BTreeSet;

use super::floor::SeatIndex;
use crate::deliver::OfferId;
use crate::event::EventId;
use crate::units::{ContactId, Timestamp};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// The next in this offer's chain is asked.
    Ask(OfferId),
    /// The next slice of a long job.
    CatchUp(u64),
    /// This event's time is over.
    Event(EventId),
    /// This seat should have been heard by now.
    Lease(SeatIndex),
    /// More promises wait to be said.
    Promises,
    /// The decision about new evidence should have come by now.
    Reroute(ContactId),
}

#[derive(Debug, Default)]
pub(super) struct Timers {
    due: BTreeSet<(Timestamp, Timer)>,
}

impl Timers {
    pub(super) fn set(&mut self, at: Timestamp, timer: Timer) {
        self.due.insert((at, timer));
    }

    pub(super) fn unset(&mut self, at: Timestamp, timer: Timer) {
        self.due.remove(&(at, timer));
    }

    pub(super) fn next_at(&self) -> Option<Timestamp> {
        self.due.first().map(|(at, _)| *at)
    }

    /// The earliest timer that is due by `now`, taken out.
    pub(super) fn pop_due(&mut self, now: Timestamp) -> Option<Timer> {
        let first = self.due.first()?;
        if first.0 <= now { self.due.pop_first().map(|(_, timer)| timer) } else { None }
    }
}
