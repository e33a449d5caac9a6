//! What time brings, in slices: due timers, slow disks, and long jobs that are cut so that no input waits for them.

use std::ops::Bound::{Excluded, Unbounded};

use super::floor::{RoomIndex, SeatIndex, Session};
use super::offer::ringing;
use super::timers::Timer;
use super::{Alarm, Engine, Outputs, SessionId};
use crate::deliver::{AskedWhy, ConsoleHears, OfferId};
use crate::limits::{CATCH_UP_MAX, CATCH_UP_PAUSE_MICROS, REROUTES_MAX, TICK_TIMERS_MAX};
use crate::units::{ContactId, Name};

/// A job too long for one call, and where it stands.
#[derive(Clone, Debug)]
pub(super) enum CatchUp {
    /// An auditor came, and is shown what is there.
    Audit { session: SessionId, after: Option<ContactId> },
    /// The last seat of a desk left: what only that room saw goes on to the next.
    Emptied { room: RoomIndex, test: bool, after: Option<OfferId> },
    /// The journal lost entries: what they said of each contact is written again.
    Heal { first_seq: u64, last_seq: u64, after: Option<ContactId> },
    /// An event was declared or is over: contacts belong to it, or do not any more.
    Mark { after: Option<ContactId> },
    /// A seat came: it is shown what its room sees.
    Show { session: SessionId, seat: SeatIndex, after: Option<OfferId> },
    /// A gateway came: it is told how its contacts stand and which have ended.
    Tell { session: SessionId, gateway: Name, after: Option<ContactId>, ends_told: usize },
}

impl CatchUp {
    pub fn audit(session: SessionId) -> Self {
        Self::Audit { session, after: None }
    }

    pub fn emptied(room: RoomIndex, test: bool) -> Self {
        Self::Emptied { room, test, after: None }
    }

    pub fn mark() -> Self {
        Self::Mark { after: None }
    }

    pub fn show(session: SessionId, seat: SeatIndex) -> Self {
        Self::Show { session, seat, after: None }
    }

    pub fn tell(session: SessionId, gateway: Name) -> Self {
        Self::Tell { session, gateway, after: None, ends_told: 0 }
    }
}

// --- timers ---

impl Engine {
    pub(super) fn tick(&mut self, out: &mut Outputs) {
        self.tell_overdue(out);
        let (now, count_max) = (self.core.now, TICK_TIMERS_MAX);
        self.core.counters.evidence_orphaned += self.core.known.drop_orphans(now, count_max);
        for _ in 0..TICK_TIMERS_MAX {
            let Some(timer) = self.core.timers.pop_due(now) else { break };
            match timer {
                Timer::Ask(offer) => self.ask_due(offer, out),
                Timer::CatchUp(number) => self.catch_up(number, out),
                Timer::Event(event) => self.event_due(event, out),
                Timer::Lease(seat) => self.lease_due(seat, out),
                Timer::Promises => self.keep_promises(out),
                Timer::Reroute(contact) => self.reroute_due(contact, out),
            }
        }
    }

    /// The journal is slow: the gateway hears so, once. `Durable` follows when it is true.
    fn tell_overdue(&mut self, out: &mut Outputs) {
        let now = self.core.now;
        for _ in 0..TICK_TIMERS_MAX {
            let Some((_, _, contact)) = self.core.unstored.pop_front_if(|(due, ..)| *due <= now) else { break };
            let Some(life) = self.lives.get_mut(&contact) else { continue };
            life.overdue = true;
            self.core.counters.overdue += 1;
            self.core.say_overdue(life, out);
        }
    }

    /// Nobody took it in time, or no screen showed it: the next is asked as well.
    fn ask_due(&mut self, offer: OfferId, out: &mut Outputs) {
        let core = &mut self.core;
        let Some(life) = self.lives.get_mut(&offer.contact).filter(|life| life.ended.is_none()) else { return };
        if core.is_without_audience(life) {
            return core.sink(life, out);
        }
        if life.is_done() {
            // The journal ended between the last close and the end.
            let ending = life.ending();
            return core.end(life, ending, out);
        }
        let Some(index) = life.position(offer.service) else { return };
        core.escalate(life, index, out);
    }

    /// No decision came for new evidence. It is asked for again, and at last written down under the decision in force: evidence is
    /// not lost because a worker was.
    fn reroute_due(&mut self, contact: ContactId, out: &mut Outputs) {
        let core = &mut self.core;
        let Some(life) = self.lives.get_mut(&contact).filter(|life| life.ended.is_none()) else { return };
        life.reroute_due = None;
        if life.parts.is_empty() && life.test {
            return core.sink(life, out);
        }
        if life.parts.is_empty() || life.reroutes < REROUTES_MAX {
            return core.ask_for_decision(life, out);
        }
        core.counters.evidence_undecided += 1;
        let decision = life.decision.clone();
        core.decide_again(life, decision, out);
    }
}

// --- long jobs ---

impl Engine {
    /// Begins a job with its first slice, at once.
    pub(super) fn start_catch_up(&mut self, job: CatchUp, out: &mut Outputs) {
        self.core.catch_up_last += 1;
        let number = self.core.catch_up_last;
        self.core.catch_ups.insert(number, job);
        self.catch_up(number, out);
    }

    fn catch_up(&mut self, number: u64, out: &mut Outputs) {
        let Some(job) = self.core.catch_ups.remove(&number) else { return };
        let rest = match job {
            CatchUp::Audit { session, after } => self.audit_all(session, after, out),
            CatchUp::Emptied { room, test, after } => self.sweep_emptied(room, test, after, out),
            CatchUp::Heal { first_seq, last_seq, after } => self.heal_slice(first_seq, last_seq, after, out),
            CatchUp::Mark { after } => self.mark_slice(after, out),
            CatchUp::Show { session, seat, after } => self.show_all(session, seat, after, out),
            CatchUp::Tell { session, gateway, after, ends_told } => self.tell_all(session, gateway, after, ends_told, out),
        };
        if let Some(rest) = rest {
            self.core.catch_ups.insert(number, rest);
            self.core.timers.set(self.core.now.plus_micros(CATCH_UP_PAUSE_MICROS), Timer::CatchUp(number));
        }
    }

    /// The next offers on a desk's list.
    fn slice_of(&self, room: RoomIndex, test: bool, after: Option<OfferId>) -> Vec<OfferId> {
        let from = after.map_or(Unbounded, Excluded);
        self.core.floor.room(room).desk(test).offers.range((from, Unbounded)).take(CATCH_UP_MAX).copied().collect()
    }

    fn sweep_emptied(&mut self, room: RoomIndex, test: bool, after: Option<OfferId>, out: &mut Outputs) -> Option<CatchUp> {
        if self.core.floor.is_staffed(room, test) {
            return None;
        }
        let slice = self.slice_of(room, test, after);
        for offer in &slice {
            self.seat_left(*offer, out);
        }
        let after = slice.last().copied().filter(|_| slice.len() == CATCH_UP_MAX)?;
        Some(CatchUp::Emptied { room, test, after: Some(after) })
    }

    /// If nobody who was asked is there any more, or not the room whose answer is awaited, the next is asked.
    fn seat_left(&mut self, offer: OfferId, out: &mut Outputs) {
        let core = &mut self.core;
        let Some(life) = self.lives.get_mut(&offer.contact) else { return };
        let Some(index) = life.position(offer.service) else { return };
        let Some(part) = life.parts.get(index) else { return };
        let seen = part.asked_rooms().any(|asked| core.floor.is_staffed(asked, life.test));
        let awaits = part.alarm.is_none() && part.head_start.is_none() && part.current.is_some();
        let gone = awaits && part.current.is_some_and(|room| !core.floor.is_staffed(room, life.test));
        if part.is_untaken() && (!seen || gone) {
            core.advance(life, index, AskedWhy::NoSeat, out);
        }
    }

    fn show_all(&mut self, session: SessionId, seat: SeatIndex, after: Option<OfferId>, out: &mut Outputs) -> Option<CatchUp> {
        let live = self.core.floor.seat(seat).filter(|live| live.present && live.session == Some(session))?;
        let (room, test) = (live.room, live.test);
        let slice = self.slice_of(room, test, after);
        for offer in &slice {
            self.show_to(*offer, (session, seat), room, out);
        }
        let after = slice.last().copied().filter(|_| slice.len() == CATCH_UP_MAX);
        if after.is_none() {
            out.console(session, ConsoleHears::CaughtUp);
        }
        after.map(|after| CatchUp::Show { session, seat, after: Some(after) })
    }

    /// Shows one offer to one seat that has come. If it stood in alarm, the seat is the chance it waited for.
    fn show_to(&mut self, offer: OfferId, (session, seat): (SessionId, SeatIndex), room: RoomIndex, out: &mut Outputs) {
        let core = &mut self.core;
        let Some(life) = self.lives.get_mut(&offer.contact) else { return };
        let Some(index) = life.position(offer.service) else { return };
        let Some(part) = life.parts.get(index) else { return };
        let asked = part.asked_rooms().any(|in_chain| in_chain == room);
        let unseen = part.current.is_none_or(|current| !core.floor.is_staffed(current, life.test));
        // An alarm because nobody takes it stands until somebody does, whoever comes.
        let lifts = part.alarm == Some(Alarm::NoSeat) || (part.alarm.is_none() && unseen);
        if asked && part.is_untaken() && lifts {
            core.leave(life, index);
            core.await_answer(life, index, room, out);
            core.enter(life, index);
        }
        let Some(part) = life.parts.get(index) else { return };
        core.counters.offers_shown += 1;
        let rings = core.rings(life, core.best_fit(life, part, room), room, seat);
        out.console(session, ConsoleHears::Offer(ringing(&core.offer(life, part, room), rings)));
        if let Some(conversation) = core.conversation(life) {
            out.console(session, conversation);
        }
        if let Some((why, _)) = life.hung_up {
            out.console(session, ConsoleHears::CallerHungUp { contact: life.id, why });
        }
    }

    fn tell_all(
        &mut self,
        session: SessionId,
        gateway: Name,
        after: Option<ContactId>,
        ends_told: usize,
        out: &mut Outputs,
    ) -> Option<CatchUp> {
        if !matches!(self.core.floor.sessions.get(&session), Some(Session::Gateway { .. })) {
            return None;
        }
        let live = self.core.floor.gateways.get(&gateway)?;
        let ends_told = ends_told.max(live.ended_dropped);
        let ends: Vec<_> = live.ended.iter().skip(ends_told - live.ended_dropped).take(CATCH_UP_MAX).cloned().collect();
        let from = after.map_or(Unbounded, Excluded);
        let slice: Vec<ContactId> = live.contacts.range((from, Unbounded)).take(CATCH_UP_MAX).copied().collect();
        for contact in &slice {
            if let Some(life) = self.lives.get(contact) {
                self.core.tell_gateway_all(life, out);
            }
        }
        for end in &ends {
            if let Some(left) = self.core.known.ended(&end.contact) {
                self.core.tell_ended(&end.key, end.contact, left, out);
            }
        }
        let more = slice.len() == CATCH_UP_MAX || ends.len() == CATCH_UP_MAX;
        let after = slice.last().copied().or(after);
        more.then(|| CatchUp::Tell { session, gateway, after, ends_told: ends_told + ends.len() })
    }
}
