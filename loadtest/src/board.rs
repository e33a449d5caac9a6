//! What is known of every contact of a run, in a few bytes each, and what follows from it: latencies, losses, duplicates.
//!
//! Gateways and consoles write here as they hear; nothing waits. A latency counts from the moment the contact was *due*, so that a
//! late generator makes the figures worse and never better.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use hdrhistogram::Histogram;
use najda::deliver::Ending;
use najda::edge::clock::Clock;
use najda::service::Service;
use najda::units::{ContactId, Timestamp};
use tokio::sync::Notify;

/// One contact.
#[derive(Debug, Default)]
struct Slot {
    /// Nanoseconds since the board's start.
    due: AtomicU64,
    marks: AtomicU64,
    /// The random half of the first id that was promised for it; 0 before that.
    id: AtomicU64,
    /// Microseconds from due to the first console; 0 before that.
    console_us: AtomicU32,
    /// Screens of seats that are there and show it now.
    screens: AtomicU32,
}

/// What can be true of a contact; each is a bit. From bit 16 on: a bit for each service that accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Mark {
    Sent = 0,
    /// Its gateway heard at least one target with an address.
    Targets = 1,
    Durable = 2,
    Overdue = 3,
    Offered = 4,
    Taken = 5,
    Accepted = 6,
    Ended = 7,
    Refused = 8,
    TargetsAgain = 9,
}

const ACCEPTED_SHIFT: u32 = 16;
const NANOS_MAX: u64 = 3_600_000_000_000;

/// The steps whose latency is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// The gateway heard where the voice goes.
    Targets,
    /// The first console had it on its screen.
    Console,
    /// The gateway heard that the journal holds it.
    Durable,
    /// The gateway heard that the first room accepted.
    Accepted,
    /// The gateway heard that it ended.
    Ended,
}

impl Step {
    pub const ALL: [Self; 5] = [Self::Targets, Self::Console, Self::Durable, Self::Accepted, Self::Ended];
}

/// Events that are not about how far a contact has come.
#[derive(Debug, Default)]
pub struct Events {
    pub offers: AtomicU64,
    /// Takes of ours that another seat had won.
    pub lost_takes: AtomicU64,
    /// Contacts that a seat held and lost: it was silent beyond its lease, or its session broke.
    pub lost_holds: AtomicU64,
    /// Commands refused because a bound was reached, and said again.
    pub full_commands: AtomicU64,
    /// Commands refused for another reason.
    pub refused_commands: AtomicU64,
    /// Commands about an offer that another seat had closed by then, or said twice over a reconnect.
    pub late_commands: AtomicU64,
    /// Ends and acceptances heard once more, as after a reconnect.
    pub told_again: AtomicU64,
    pub sessions: AtomicU64,
    /// Answers that named no target with an address.
    pub unusable: AtomicU64,
    /// What gateways said after a contact: a second copy, a fix, a hang-up.
    pub copies_said: AtomicU64,
    pub fixes_said: AtomicU64,
    pub hang_ups_said: AtomicU64,
    /// Those that a full client kept from being said.
    pub later_unsaid: AtomicU64,
    /// Messages about contacts that are not of this run.
    pub strangers: AtomicU64,
    /// Nanoseconds since the start when the last contact ended.
    pub last_end: AtomicU64,
    /// Nanoseconds since the start of the first `Targets` heard after it was set to 0; `u64::MAX` while nobody asks.
    pub first_targets: AtomicU64,
}

/// What must never happen, with an example of each.
#[derive(Debug, Default)]
pub struct Duplicates {
    counts: Mutex<BTreeMap<&'static str, (u64, usize)>>,
}

impl Duplicates {
    fn add(&self, what: &'static str, index: usize) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.entry(what).or_insert((0, index)).0 += 1;
    }

    pub fn list(&self) -> Vec<(&'static str, u64, usize)> {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.iter().map(|(what, (count, example))| (*what, *count, *example)).collect()
    }

    pub fn count(&self) -> u64 {
        self.list().iter().map(|(_, count, _)| count).sum()
    }
}

#[derive(Debug)]
pub struct Board {
    start: Instant,
    /// The wall clock at the start: the engine stamps contacts with its own.
    started: Timestamp,
    slots: Box<[Slot]>,
    /// The first so many contacts are sent one at a time; their latencies are kept one by one.
    alone: Box<[[AtomicU64; 3]]>,
    histograms: [Mutex<Histogram<u64>>; Step::ALL.len()],
    /// Due to console, since somebody last looked.
    recent: Mutex<Histogram<u64>>,
    /// By the ending's number; room for endings yet to come.
    endings: [AtomicU64; 16],
    pub events: Events,
    pub duplicates: Duplicates,
    /// The engine may die in this run, and offers that nobody was promised with it.
    crashes: bool,
    pub ended: Notify,
    ended_count: AtomicU64,
    sent_count: AtomicU64,
    durable_count: AtomicU64,
}

pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, NANOS_MAX, 3).expect("bounds in order, three digits")
}

impl Board {
    /// Room for `count_max` contacts, of which the first `alone_count` are sent one at a time.
    pub fn new(count_max: usize, alone_count: usize, crashes: bool) -> Self {
        let events = Events { first_targets: AtomicU64::new(u64::MAX), ..Events::default() };
        Self {
            start: Instant::now(),
            started: Clock::start().now(),
            slots: (0..count_max).map(|_| Slot::default()).collect(),
            alone: (0..alone_count).map(|_| Default::default()).collect(),
            histograms: std::array::from_fn(|_| Mutex::new(histogram())),
            recent: Mutex::new(histogram()),
            endings: Default::default(),
            events,
            duplicates: Duplicates::default(),
            crashes,
            ended: Notify::new(),
            ended_count: AtomicU64::new(0),
            sent_count: AtomicU64::new(0),
            durable_count: AtomicU64::new(0),
        }
    }

    pub fn now(&self) -> u64 {
        self.start.elapsed().as_nanos() as u64
    }

    pub fn start(&self) -> Instant {
        self.start
    }

    pub fn capacity(&self) -> usize {
        self.slots.len()
    }

    pub fn sent_count(&self) -> u64 {
        self.sent_count.load(Ordering::Relaxed)
    }

    pub fn ended_count(&self) -> u64 {
        self.ended_count.load(Ordering::Relaxed)
    }

    /// Contacts sent whose gateway has not heard that they are durable.
    pub fn unconfirmed_count(&self) -> u64 {
        let durable = self.durable_count.load(Ordering::Relaxed);
        self.sent_count().saturating_sub(durable)
    }

    pub fn durable_count(&self) -> u64 {
        self.durable_count.load(Ordering::Relaxed)
    }

    pub fn ending_count(&self, ending: Ending) -> u64 {
        self.endings.get(ending as usize).map_or(0, |count| count.load(Ordering::Relaxed))
    }

    pub fn has(&self, index: usize, mark: Mark) -> bool {
        self.slots.get(index).is_some_and(|slot| slot.marks.load(Ordering::Relaxed) & 1 << mark as u8 != 0)
    }

    /// Contacts from number `first` on that bear a mark.
    pub fn count(&self, mark: Mark, first: usize) -> u64 {
        (first..self.slots.len()).filter(|index| self.has(*index, mark)).count() as u64
    }

    /// Contacts that were sent and have not ended.
    pub fn unended(&self) -> Vec<usize> {
        (0..self.slots.len()).filter(|index| self.has(*index, Mark::Sent) && !self.has(*index, Mark::Ended)).collect()
    }

    /// How far contacts came that did not end, in words.
    pub fn how_far(&self, unended: &[usize]) -> String {
        let of = |mark| unended.iter().filter(|index| self.has(**index, mark)).count();
        let steps = [
            ("had targets", Mark::Targets),
            ("were durable", Mark::Durable),
            ("were offered", Mark::Offered),
            ("taken", Mark::Taken),
            ("accepted", Mark::Accepted),
        ];
        steps.map(|(word, mark)| format!("{} {word}", of(mark))).join(", ")
    }

    pub fn histogram(&self, step: Step) -> Histogram<u64> {
        self.histograms[step as usize].lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Of the contacts shown since the last call: p50 and p99 of due to console, in nanoseconds. `None` when there were none.
    pub fn take_recent(&self) -> Option<[u64; 2]> {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = (!recent.is_empty()).then(|| [0.5, 0.99].map(|quantile| recent.value_at_quantile(quantile)));
        recent.reset();
        seen
    }

    /// Of the contacts that were due in these nanoseconds: how many there are, and how many reached no console before the end.
    pub fn due_within(&self, from: u64, until: u64) -> (u64, u64) {
        let (mut due_count, mut waited) = (0, 0);
        for slot in &self.slots {
            let due = slot.due.load(Ordering::Relaxed);
            if due >= from && due < until && slot.marks.load(Ordering::Relaxed) & 1 << Mark::Sent as u8 != 0 {
                due_count += 1;
                let took = u64::from(slot.console_us.load(Ordering::Relaxed)) * 1_000;
                waited += u64::from(took == 0 || due + took >= until);
            }
        }
        (due_count, waited)
    }

    /// It came onto the screen of a seat, or went from one.
    pub fn on_screen(&self, index: usize, comes: bool) {
        let Some(slot) = self.slots.get(index) else { return };
        let change = |count: u32| Some(if comes { count.saturating_add(1) } else { count.saturating_sub(1) });
        let _ = slot.screens.fetch_update(Ordering::Relaxed, Ordering::Relaxed, change);
    }

    /// A seat that is there shows it now.
    pub fn is_on_a_screen(&self, index: usize) -> bool {
        self.slots.get(index).is_some_and(|slot| slot.screens.load(Ordering::Relaxed) > 0)
    }

    /// Nanoseconds from due to `step` of a contact that was sent alone.
    pub fn alone(&self, index: usize, step: Step) -> Option<u64> {
        self.alone_value(index, alone_place(step)?)
    }

    /// Nanoseconds from due until the engine had read a contact that was sent alone, by the engine's clock on the same machine.
    pub fn alone_read(&self, index: usize) -> Option<u64> {
        self.alone_value(index, READ_PLACE)
    }

    fn alone_value(&self, index: usize, place: usize) -> Option<u64> {
        let taken = self.alone.get(index)?.get(place)?.load(Ordering::Relaxed);
        (taken > 0).then_some(taken)
    }

    // --- what is heard ---

    /// Just before it is sent: whoever hears of it must find it here.
    pub fn sending(&self, index: usize, due: u64) {
        let Some(slot) = self.slots.get(index) else { return };
        slot.due.store(due, Ordering::Relaxed);
        slot.marks.fetch_or(1 << Mark::Sent as u8, Ordering::Release);
        self.sent_count.fetch_add(1, Ordering::Relaxed);
    }

    /// It was not sent after all.
    pub fn unsend(&self, index: usize) {
        let Some(slot) = self.slots.get(index) else { return };
        slot.marks.fetch_and(!(1 << Mark::Sent as u8), Ordering::Relaxed);
        self.sent_count.fetch_sub(1, Ordering::Relaxed);
    }

    /// Sets a mark. True when it was not set.
    pub fn mark(&self, index: usize, mark: Mark) -> bool {
        let Some(slot) = self.slots.get(index) else { return false };
        slot.marks.fetch_or(1 << mark as u8, Ordering::AcqRel) & 1 << mark as u8 == 0
    }

    /// The step has come for this contact for the first time.
    fn step(&self, index: usize, step: Step, now: u64) {
        let Some(slot) = self.slots.get(index) else { return };
        let took = now.saturating_sub(slot.due.load(Ordering::Relaxed)).max(1);
        if step == Step::Console {
            slot.console_us.store(u32::try_from(took / 1_000).unwrap_or(u32::MAX).max(1), Ordering::Relaxed);
            self.recent.lock().unwrap_or_else(PoisonError::into_inner).saturating_record(took);
        }
        match self.alone.get(index) {
            Some(alone) => {
                if let Some(place) = alone_place(step).and_then(|place| alone.get(place)) {
                    place.store(took, Ordering::Relaxed);
                }
            }
            None => self.histograms[step as usize].lock().unwrap_or_else(PoisonError::into_inner).saturating_record(took),
        }
    }

    /// `usable`: at least one of them has an address.
    pub fn targets(&self, index: usize, usable: bool, now: u64) {
        if !usable {
            self.events.unusable.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let _ = self.events.first_targets.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed);
        if self.mark(index, Mark::Targets) {
            self.step(index, Step::Targets, now);
        } else {
            self.mark(index, Mark::TargetsAgain);
        }
    }

    /// A console shows it. Before the journal holds it, an id may die with the engine.
    pub fn offered(&self, index: usize, contact: ContactId, confirmed: bool, received: Timestamp, now: u64) {
        self.events.offers.fetch_add(u64::from(index >= self.alone.len()), Ordering::Relaxed);
        if confirmed || !self.crashes {
            self.promised(index, contact, "offered as two contacts");
        }
        if self.mark(index, Mark::Offered) {
            self.step(index, Step::Console, now);
            if let (Some(alone), Some(slot)) = (self.alone.get(index), self.slots.get(index)) {
                let read = received.micros_since(self.started).saturating_mul(1_000);
                alone[READ_PLACE].store(read.saturating_sub(slot.due.load(Ordering::Relaxed)), Ordering::Relaxed);
            }
        }
    }

    pub fn durable(&self, index: usize, contact: ContactId, now: u64) {
        self.promised(index, contact, "durable as two contacts");
        if self.mark(index, Mark::Durable) {
            self.durable_count.fetch_add(1, Ordering::Relaxed);
            self.step(index, Step::Durable, now);
        }
    }

    pub fn accepted(&self, index: usize, contact: ContactId, service: Service, now: u64) {
        self.promised(index, contact, "accepted as two contacts");
        if self.mark(index, Mark::Accepted) {
            self.step(index, Step::Accepted, now);
        }
        let Some(slot) = self.slots.get(index) else { return };
        let bit = 1 << (ACCEPTED_SHIFT + service as u32);
        if slot.marks.fetch_or(bit, Ordering::Relaxed) & bit != 0 {
            self.events.told_again.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub fn ended(&self, index: usize, contact: ContactId, ending: Ending, now: u64) {
        self.promised(index, contact, "ended as two contacts");
        if !self.mark(index, Mark::Ended) {
            self.events.told_again.fetch_add(1, Ordering::Relaxed);
            return;
        }
        if let Some(count) = self.endings.get(ending as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.step(index, Step::Ended, now);
        self.events.last_end.fetch_max(now, Ordering::Relaxed);
        self.ended_count.fetch_add(1, Ordering::Relaxed);
        self.ended.notify_waiters();
    }

    /// Every promise about a contact of ours must name one and the same contact of the engine's.
    fn promised(&self, index: usize, contact: ContactId, what: &'static str) {
        let Some(slot) = self.slots.get(index) else { return };
        let id = (contact.0 as u64).max(1);
        if slot.id.compare_exchange(0, id, Ordering::Relaxed, Ordering::Relaxed).is_err_and(|known| known != id) {
            self.duplicates.add(what, index);
        }
    }
}

const READ_PLACE: usize = 2;

fn alone_place(step: Step) -> Option<usize> {
    match step {
        Step::Console => Some(0),
        Step::Durable => Some(1),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_780_000_000);

    #[test]
    fn a_contact_that_ends_twice_under_one_id_was_told_again_and_under_two_is_a_duplicate() {
        let board = Board::new(2, 0, false);
        board.sending(0, 0);
        board.ended(0, ContactId(7), Ending::Closed, 5);
        board.ended(0, ContactId(7), Ending::Closed, 9);
        assert_eq!((board.ended_count(), board.duplicates.count()), (1, 0));
        assert_eq!(board.events.told_again.load(Ordering::Relaxed), 1);
        board.ended(0, ContactId(8), Ending::Closed, 9);
        assert_eq!(board.duplicates.list(), [("ended as two contacts", 1, 0)]);
    }

    #[test]
    fn what_was_sent_and_did_not_end_is_found() {
        let board = Board::new(3, 0, false);
        (0..2).for_each(|index| board.sending(index, 0));
        board.ended(0, ContactId(1), Ending::Closed, 1);
        assert_eq!(board.unended(), [1]);
    }

    #[test]
    fn an_unconfirmed_offer_may_lose_its_id_only_where_the_engine_dies() {
        let duplicates = |crashes, confirmed| {
            let board = Board::new(1, 0, crashes);
            board.offered(0, ContactId(1), confirmed, NOW, 1);
            board.offered(0, ContactId(2), true, NOW, 2);
            board.duplicates.count()
        };
        assert_eq!((duplicates(true, false), duplicates(true, true), duplicates(false, false)), (0, 1, 1));
    }

    #[test]
    fn an_answer_without_a_target_is_no_answer() {
        let board = Board::new(1, 0, false);
        board.sending(0, 0);
        board.targets(0, false, 5);
        assert_eq!((board.count(Mark::Targets, 0), board.events.unusable.load(Ordering::Relaxed)), (0, 1));
        board.targets(0, true, 9);
        assert_eq!(board.count(Mark::Targets, 0), 1);
    }

    #[test]
    fn contacts_due_in_a_stall_that_waited_for_its_end_are_counted() {
        let board = Board::new(3, 0, false);
        for (index, due) in [100_000, 200_000, 900_000].into_iter().enumerate() {
            board.sending(index, due);
        }
        board.offered(0, ContactId(1), true, NOW, 150_000);
        board.offered(1, ContactId(2), true, NOW, 600_000);
        assert_eq!(board.due_within(50_000, 500_000), (2, 1));
    }

    #[test]
    fn a_contact_is_seen_while_one_screen_shows_it() {
        let board = Board::new(1, 0, false);
        board.on_screen(0, true);
        board.on_screen(0, true);
        board.on_screen(0, false);
        assert!(board.is_on_a_screen(0));
        board.on_screen(0, false);
        assert!(!board.is_on_a_screen(0));
    }

    #[test]
    fn a_latency_counts_from_when_the_contact_was_due() {
        let board = Board::new(2, 1, false);
        board.sending(0, 100);
        board.sending(1, 1_000);
        board.offered(0, ContactId(1), true, NOW, 350);
        board.offered(1, ContactId(2), true, NOW, 3_000);
        assert_eq!(board.alone(0, Step::Console), Some(250));
        assert_eq!((board.histogram(Step::Console).len(), board.histogram(Step::Console).max()), (1, 2_000));
    }
}
