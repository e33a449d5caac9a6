//! Declared events at work: which contacts are theirs, whom those ring, and when an event is over.
//!
//! An event's contact rings at a share of each room's seats ([`seats_of_event`]): those that suit it best, and of equals always the same.
//! The rest of the seats are kept free: they see it, may take it, and ring for everything else at once. The ladder knows nothing of events:
//! rooms are asked at the same moments, and an alarm is one.
//!
//! # Invariants
//! - An event is in force, told and marked when the journal holds it; its end is told when the journal holds that.
//! - Tests belong to no event.
//! - It ends by a supervisor's hand or by its time, a restart in between or not.

use std::ops::Bound::{Excluded, Unbounded};

use super::floor::{RoomIndex, SeatIndex};
use super::life::Life;
use super::receipt::{Promise, Receipt};
use super::tick::CatchUp;
use super::timers::Timer;
use super::{Core, Engine, Outputs, SessionId};
use crate::contact::Contact;
use crate::decision::DecisionRecord;
use crate::deliver::{ConsoleHears, Duty, Event, Fact, Refusal, Seat};
use crate::event::{EventId, EventTerms, seats_of_event};
use crate::limits::{CATCH_UP_MAX, EVENT_MICROS_MAX, EVENT_TYPES_MAX, EVENT_WORDS_BYTES_MAX, EVENTS_MAX};
use crate::units::ContactId;

/// An event that is not over.
#[derive(Clone, Debug)]
pub(super) struct EventLive {
    pub event: Event,
    /// Of the fact that says it.
    pub seq: u64,
}

impl Engine {
    /// Events that are not over, in the order they were declared.
    pub fn events(&self) -> impl Iterator<Item = &Event> {
        self.core.events.values().map(|live| &live.event)
    }

    pub(super) fn declare(&mut self, (session, seat, duty): (SessionId, SeatIndex, Duty), terms: EventTerms, out: &mut Outputs) {
        let core = &mut self.core;
        match core.may_declare(duty, &terms) {
            Ok(()) => core.declare(seat, terms, out),
            Err(why) => core.refuse(session, None, why, out),
        }
    }

    pub(super) fn end_event(&mut self, (session, seat, duty): (SessionId, SeatIndex, Duty), id: EventId, out: &mut Outputs) {
        let why = match self.core.events.get(&id) {
            _ if duty != Duty::Supervisor => Some(Refusal::Forbidden),
            None => Some(Refusal::Unknown),
            Some(_) if !self.core.can_promise() => Some(Refusal::Full),
            Some(_) => None,
        };
        match why {
            Some(why) => self.core.refuse(session, None, why, out),
            None => {
                let by = self.core.floor.seat_name(seat);
                self.event_over(id, Some(by), out);
            }
        }
    }

    /// Its time may be over.
    pub(super) fn event_due(&mut self, id: EventId, out: &mut Outputs) {
        if self.core.events.get(&id).is_some_and(|live| live.event.terms.until <= self.core.now) {
            self.event_over(id, None, out);
        }
    }

    fn event_over(&mut self, id: EventId, by: Option<Seat>, out: &mut Outputs) {
        let core = &mut self.core;
        let Some(live) = core.events.remove(&id) else { return };
        core.timers.unset(live.event.terms.until, Timer::Event(id));
        let seq = core.append(Fact::EventOver { at: core.now, event: id, seat: by }, out);
        core.receipts.promise(seq, Promise::EventOver(id, by));
        self.start_catch_up(CatchUp::mark(), out);
    }

    pub(super) fn keep_declared(&mut self, _: Receipt, seq: u64, id: EventId, out: &mut Outputs) {
        let Some(live) = self.core.events.get(&id).filter(|live| live.seq == seq) else { return };
        let hears = ConsoleHears::Declared { event: live.event.clone() };
        self.core.tell_house(&hears, out);
        self.start_catch_up(CatchUp::mark(), out);
    }

    /// Looks which contacts belong to which event now, in slices.
    pub(super) fn mark_slice(&mut self, after: Option<ContactId>, out: &mut Outputs) -> Option<CatchUp> {
        let from = after.map_or(Unbounded, Excluded);
        let (mut looked_at, mut last) = (0, after);
        for (contact, life) in self.lives.range_mut((from, Unbounded)).take(CATCH_UP_MAX) {
            (looked_at, last) = (looked_at + 1, Some(*contact));
            self.core.mark_again(life, out);
        }
        (looked_at == CATCH_UP_MAX).then_some(CatchUp::Mark { after: last })
    }
}

impl Core {
    fn may_declare(&self, duty: Duty, terms: &EventTerms) -> Result<(), Refusal> {
        let EventTerms { area: _, words_en, words_ar, types, until } = terms;
        let said = |words: &str| words.len() <= EVENT_WORDS_BYTES_MAX;
        let is_sound = said(words_en) && said(words_ar) && types.len() <= EVENT_TYPES_MAX && *until > self.now;
        match duty {
            Duty::Supervisor => {}
            _ => return Err(Refusal::Forbidden),
        }
        if !is_sound || words_en.trim().is_empty() && words_ar.trim().is_empty() {
            return Err(Refusal::Malformed);
        }
        if self.events.len() >= EVENTS_MAX || !self.can_promise() { Err(Refusal::Full) } else { Ok(()) }
    }

    fn declare(&mut self, seat: SeatIndex, mut terms: EventTerms, out: &mut Outputs) {
        terms.until = terms.until.min(self.now.plus_micros(EVENT_MICROS_MAX));
        let id = EventId { partition: self.config.partition, seq: self.next_seq() };
        let event = Event { id, at: self.now, by: self.floor.seat_name(seat), terms };
        let seq = self.append(Fact::Declared { at: self.now, event: event.clone() }, out);
        self.enter_event(event, seq);
        self.receipts.promise(seq, Promise::Declared(id));
    }

    pub(super) fn enter_event(&mut self, event: Event, seq: u64) {
        self.timers.set(event.terms.until, Timer::Event(event.id));
        self.events.insert(event.id, EventLive { event, seq });
    }

    /// The event a contact belongs to: the one declared first, of those that the journal holds.
    pub(super) fn event_of(&self, contact: &Contact, decision: &DecisionRecord, test: bool) -> Option<EventId> {
        let in_force = self.events.values().filter(|live| self.is_stored(live.seq));
        in_force.filter(|_| !test).find(|live| live.event.terms.covers(contact, decision)).map(|live| live.event.id)
    }

    /// What screens show of it changes with the event it belongs to.
    fn mark_again(&mut self, life: &mut Life, out: &mut Outputs) {
        let event = self.event_of(&life.contact, &life.decision, life.test);
        if life.event == event || life.ended.is_some() {
            return;
        }
        life.event = event;
        for index in 0..life.parts.len() {
            let Some(part) = life.parts.get(index).filter(|part| part.opened && part.closed.is_none()) else { continue };
            let viewers = part.viewers();
            self.show(life, index, &viewers, out);
        }
    }

    /// The seat is kept free of the event that the contact belongs to: others of its room suit it as well or better.
    pub(super) fn is_kept_free(&self, life: &Life, room: RoomIndex, seat: SeatIndex) -> bool {
        if life.event.is_none() {
            return false;
        }
        let rank = |seat: SeatIndex| (std::cmp::Reverse(self.floor.seat(seat).map_or(0, |live| self.fit(life, live))), seat);
        let sessions = &self.floor.room(room).desk(life.test).sessions;
        let before = sessions.iter().filter(|(_, other)| rank(*other) < rank(seat)).count();
        before >= seats_of_event(sessions.len())
    }

    /// To every person who is signed in, whatever their room: an overflow may bring the event's contacts to any.
    fn tell_house(&self, hears: &ConsoleHears, out: &mut Outputs) {
        for room in self.floor.staffed_rooms() {
            for (session, _) in &self.floor.room(room).desk(false).sessions {
                out.console(*session, hears.clone());
            }
        }
        self.floor.auditors.keys().for_each(|session| out.console(*session, hears.clone()));
    }

    pub(super) fn keep_event_over(&self, _: Receipt, event: EventId, by: Option<Seat>, out: &mut Outputs) {
        self.tell_house(&ConsoleHears::EventOver { event, by }, out);
    }

    /// Every event in force, to a session that has come.
    pub(super) fn tell_events(&self, session: SessionId, out: &mut Outputs) {
        for live in self.events.values().filter(|live| self.is_stored(live.seq)) {
            out.console(session, ConsoleHears::Declared { event: live.event.clone() });
        }
    }

    /// The first entries of a day, and those after a loss, say what is declared.
    pub(super) fn say_events_again(&mut self, out: &mut Outputs) {
        let events: Vec<Event> = self.events.values().map(|live| live.event.clone()).collect();
        for event in events {
            let id = event.id;
            let seq = self.append(Fact::Declared { at: event.at, event }, out);
            let lost = self.events.get_mut(&id).filter(|live| self.receipts.is_lost(live.seq));
            if let Some(live) = lost {
                live.seq = seq;
                self.receipts.promise(seq, Promise::Declared(id));
            }
        }
    }
}
