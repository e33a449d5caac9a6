//! What people at consoles do: sign in, take, accept, decline, release, close, leave.
//!
//! A take wins at once in memory, so that two people never both believe they have it; it is *said* only when the journal holds it.
//! A neighbour may take what it sees: it is on its screen because it may be the right one.

use super::floor::{SeatIndex, Session};
use super::life::{Life, Part};
use super::receipt::Promise;
use super::tick::CatchUp;
use super::timers::Timer;
use super::{Core, Engine, Output, Outputs, SessionId};
use crate::deliver::{AskedWhy, ConsoleHears, ConsoleSays, Duty, Fact, OfferId, Refusal, Seat, WaitingWhy};
use crate::limits::{COMMAND_REASON_BYTES_MAX, LANGUAGES_MAX, SEAT_HOLDS_MAX};

/// Who commands, and what.
#[derive(Clone, Copy)]
pub(super) struct Command {
    pub session: SessionId,
    pub seat: SeatIndex,
    pub offer: OfferId,
}

impl Engine {
    pub(super) fn console(&mut self, session: SessionId, says: ConsoleSays, out: &mut Outputs) {
        let (seat, duty, signed_in) = match self.core.floor.sessions.get(&session).copied() {
            Some(Session::Console { seat, duty, signed_in }) => (seat, duty, signed_in),
            Some(Session::Auditor { name, signed_in }) => return self.auditor_says(session, name, signed_in, &says, out),
            _ => {
                self.core.counters.out_of_turn += 1;
                return;
            }
        };
        if let ConsoleSays::SignIn { languages, text, .. } = says {
            return self.sign_in((session, seat, duty), languages, text, out);
        }
        if !signed_in {
            self.core.counters.out_of_turn += 1;
            return self.core.refuse(session, offer_of(&says), Refusal::OutOfTurn, out);
        }
        self.heard_from(session, seat, out);
        let command = |offer| Command { session, seat, offer };
        match says {
            ConsoleSays::Accept { offer } => self.with_part(command(offer), out, Core::accept),
            ConsoleSays::AddService { contact, service } => self.add_service(session, seat, contact, service, out),
            ConsoleSays::CalledBack { offer, outcome, reason } => {
                let said = (outcome, cut(reason));
                self.with_last_word(command(offer), out, |core, command, life, index, out| {
                    core.called_back(command, life, index, said, out)
                });
            }
            ConsoleSays::Close { offer, reason } => {
                let reason = cut(reason);
                self.with_last_word(command(offer), out, |core, command, life, index, out| core.close(command, life, index, reason, out));
            }
            ConsoleSays::Decline { offer, reason } => {
                let reason = cut(reason);
                self.with_part(command(offer), out, |core, command, life, index, out| core.decline(command, life, index, reason, out));
            }
            ConsoleSays::Declare { terms } => self.declare((session, seat, duty), terms, out),
            ConsoleSays::Dispatched { offer } => self.with_part(command(offer), out, Core::dispatched),
            ConsoleSays::EndEvent { event } => self.end_event((session, seat, duty), event, out),
            ConsoleSays::HandBack { offer, contact, decision } => self.hand_back(command(offer), contact, decision, out),
            ConsoleSays::Heartbeat | ConsoleSays::SignIn { .. } => {}
            ConsoleSays::Inform { offer } => self.with_part(command(offer), out, Core::inform),
            ConsoleSays::Join { contact, with } => self.join(session, seat, contact, with, out),
            ConsoleSays::Note { contact, text } => self.note(session, seat, contact, &text, out),
            ConsoleSays::Read { contact } => self.looked_at(session, seat, duty, contact, out),
            ConsoleSays::Release { offer } => self.with_part(command(offer), out, Core::release),
            ConsoleSays::Say { contact, text } => self.say(session, seat, contact, &text, out),
            ConsoleSays::Shown { offer } => self.shown(command(offer)),
            ConsoleSays::SignOut => self.sign_out(session, seat, duty, out),
            ConsoleSays::Split { contact } => self.split(session, seat, contact, out),
            ConsoleSays::Take { offer } => self.with_part(command(offer), out, Core::take),
            ConsoleSays::Transfer { offer, to, reason } => {
                let reason = cut(reason);
                self.with_part(command(offer), out, |core, command, life, index, out| {
                    core.hand_over(command, life, index, (to, reason), out)
                });
            }
        }
    }

    /// Carries out a command on an offer this seat sees, or says why not.
    fn with_part(
        &mut self,
        command: Command,
        out: &mut Outputs,
        carry_out: impl FnOnce(&mut Core, Command, &mut Life, usize, &mut Outputs) -> Result<(), Refusal>,
    ) {
        let done = match self.core.find(self.lives.get_mut(&command.offer.contact), command) {
            Ok((life, index)) => carry_out(&mut self.core, command, life, index, out),
            Err(why) => Err(why),
        };
        if let Err(why) = done {
            self.core.refuse(command.session, Some(command.offer), why, out);
        }
    }

    /// As [`Self::with_part`], for a command that may be the last of a contact's life.
    fn with_last_word(
        &mut self,
        command: Command,
        out: &mut Outputs,
        carry_out: impl FnOnce(&mut Core, Command, &mut Life, usize, &mut Outputs) -> Result<(), Refusal>,
    ) {
        self.with_part(command, out, |core, command, life, index, out| {
            carry_out(core, command, life, index, out)?;
            if life.is_done() {
                let ending = life.ending();
                core.end(life, ending, out);
            }
            Ok(())
        });
    }

    /// A screen that lives is awaited until the room's own wait is over.
    fn shown(&mut self, command: Command) {
        let core = &mut self.core;
        let Ok((life, index)) = core.find(self.lives.get_mut(&command.offer.contact), command) else { return };
        let room = core.floor.seat(command.seat).map(|seat| seat.room);
        let Some(part) = life.parts.get_mut(index).filter(|part| part.is_seeking() && part.current.is_some()) else { return };
        // At the end of the look it rings again where it is shown, and goes on where it is not.
        part.shown |= part.current == room;
    }

    /// A console kept what the engine never confirmed. Known, it is harmless; unknown, it is an arrival.
    fn hand_back(
        &mut self,
        command: Command,
        contact: std::sync::Arc<crate::contact::Contact>,
        decision: std::sync::Arc<crate::decision::DecisionRecord>,
        out: &mut Outputs,
    ) {
        let Command { session, offer, .. } = command;
        let from_test = self.core.floor.seat(command.seat).is_some_and(|seat| seat.test);
        let is_test = decision.test || contact.load_test;
        if from_test && !is_test || offer.contact != contact.id {
            return self.core.refuse(session, Some(offer), Refusal::Forbidden, out);
        }
        let id = match self.arrived(contact, decision, true, out) {
            super::arrive::Arrival::Known(id) | super::arrive::Arrival::New(id) => id,
        };
        // What this screen shows under an id that is not the contact's, or of a contact that has ended, goes.
        if id != offer.contact || self.lives.get(&id).is_none_or(|life| life.ended.is_some()) {
            out.console(session, ConsoleHears::Withdrawn { offer });
        }
    }
}

// --- coming and going ---

impl Engine {
    fn sign_in(&mut self, (session, seat, duty): (SessionId, SeatIndex, Duty), mut languages: Vec<[u8; 2]>, text: bool, out: &mut Outputs) {
        let core = &mut self.core;
        core.floor.sessions.insert(session, Session::Console { seat, duty, signed_in: true });
        let now = core.now;
        let Some(live) = core.floor.seat_mut(seat) else { return };
        languages.truncate(LANGUAGES_MAX);
        (live.heard, live.languages, live.text) = (now, languages, text);
        let (name, other) = (live.seat, live.session.replace(session).filter(|other| *other != session));
        out.console(session, ConsoleHears::SignedIn { seat: name, tables: core.floor.version });
        if let Some(other) = other {
            // One seat, one screen: the older session gives way.
            core.floor.go(seat);
            core.floor.sessions.remove(&other);
            out.push(Output::Close { session: other });
        }
        core.floor.come(seat);
        core.watch_lease(seat);
        self.tell_holds(seat, out);
        self.core.tell_events(session, out);
        self.start_catch_up(CatchUp::show(session, seat), out);
    }

    fn sign_out(&mut self, session: SessionId, seat: SeatIndex, duty: Duty, out: &mut Outputs) {
        self.core.floor.sessions.insert(session, Session::Console { seat, duty, signed_in: false });
        self.leave_desk(seat, out);
        self.lose_holds(seat, WaitingWhy::SeatGone, out);
    }

    /// Any message keeps the lease; a seat that was given up for silent is back.
    fn heard_from(&mut self, session: SessionId, seat: SeatIndex, out: &mut Outputs) {
        let now = self.core.now;
        let Some(live) = self.core.floor.seat_mut(seat).filter(|live| live.session == Some(session)) else { return };
        live.heard = now;
        if !live.present {
            self.core.floor.come(seat);
            self.core.watch_lease(seat);
            self.start_catch_up(CatchUp::show(session, seat), out);
        }
    }

    pub(super) fn session_closed(&mut self, session: SessionId, out: &mut Outputs) {
        match self.core.floor.sessions.remove(&session) {
            Some(Session::Gateway { gateway }) => self.core.floor.gateway_closed(&gateway, session),
            Some(Session::Console { seat, .. }) => self.console_closed(session, seat, out),
            Some(Session::Auditor { .. }) => drop(self.core.floor.auditors.remove(&session)),
            None => {}
        }
    }

    /// What the seat holds is shown to the others as waiting, and they may take it; the seat keeps it if it is back within its lease.
    fn console_closed(&mut self, session: SessionId, seat: SeatIndex, out: &mut Outputs) {
        let Some(live) = self.core.floor.seat_mut(seat).filter(|live| live.session == Some(session)) else { return };
        let holds: Vec<OfferId> = live.holds.iter().copied().collect();
        self.leave_desk(seat, out);
        for offer in holds {
            let Some((life, index)) = self.life_part(offer) else { continue };
            let Some(part) = life.parts.get(index) else { continue };
            self.core.tell_viewers(life, part, &ConsoleHears::Waiting { offer, why: WaitingWhy::SeatGone }, out);
        }
    }

    fn leave_desk(&mut self, seat: SeatIndex, out: &mut Outputs) {
        let emptied = self.core.floor.go(seat);
        let Some(live) = self.core.floor.seat_mut(seat) else { return };
        live.session = None;
        let (room, test) = (live.room, live.test);
        if emptied {
            self.start_catch_up(CatchUp::emptied(room, test), out);
        }
    }

    /// The seat is back within its lease: the others hear again whose these are.
    fn tell_holds(&mut self, seat: SeatIndex, out: &mut Outputs) {
        let Some(live) = self.core.floor.seat(seat) else { return };
        let (by, holds) = (live.seat, live.holds.iter().copied().collect::<Vec<_>>());
        for offer in holds {
            let Some((life, index)) = self.life_part(offer) else { continue };
            let Some(part) = life.parts.get(index) else { continue };
            if let Some(receipt) = self.core.receipts.covers(part.taken_seq) {
                self.core.say_taken(receipt, life, part, by, out);
            }
        }
    }

    /// Everything the seat holds waits again.
    pub(super) fn lose_holds(&mut self, seat: SeatIndex, why: WaitingWhy, out: &mut Outputs) {
        let Some(live) = self.core.floor.seat(seat) else { return };
        let holds: Vec<OfferId> = live.holds.iter().copied().collect();
        for offer in holds {
            let Some(life) = self.lives.get_mut(&offer.contact) else { continue };
            if let Some(index) = life.position(offer.service) {
                self.core.wait_again(life, index, why, out);
            }
        }
    }

    /// A seat silent beyond its lease does not count as there, whatever its session says, and loses what it holds.
    pub(super) fn lease_due(&mut self, seat: SeatIndex, out: &mut Outputs) {
        let (now, lease) = (self.core.now, self.core.config.lease_micros_max);
        let Some(live) = self.core.floor.seat_mut(seat) else { return };
        live.lease_due = None;
        if !live.present && live.holds.is_empty() {
            return;
        }
        if live.heard.plus_micros(lease) > now {
            return self.core.watch_lease(seat);
        }
        let (room, test) = (live.room, live.test);
        self.core.counters.leases_stale += 1;
        let emptied = self.core.floor.go(seat);
        self.lose_holds(seat, WaitingWhy::LeaseStale, out);
        if emptied {
            self.start_catch_up(CatchUp::emptied(room, test), out);
        }
    }

    pub(super) fn life_part(&self, offer: OfferId) -> Option<(&Life, usize)> {
        let life = self.lives.get(&offer.contact)?;
        Some((life, life.position(offer.service)?))
    }
}

// --- commands ---

impl Core {
    pub(super) fn console_opened(&mut self, session: SessionId, seat: Seat, test: bool, out: &mut Outputs) {
        self.seat_opened(session, seat, test, Duty::Dispatcher, out);
    }

    pub(super) fn supervisor_opened(&mut self, session: SessionId, seat: Seat, out: &mut Outputs) {
        self.seat_opened(session, seat, false, Duty::Supervisor, out);
    }

    fn seat_opened(&mut self, session: SessionId, seat: Seat, test: bool, duty: Duty, out: &mut Outputs) {
        match self.floor.seat_index(seat, test) {
            Some(seat) => {
                self.admit(session, Session::Console { seat, duty, signed_in: false }, out);
            }
            None => {
                self.counters.sessions_refused += 1;
                out.push(Output::Close { session });
            }
        }
    }

    /// The lease of a seat is looked at once in a lease, not at every heartbeat.
    pub(super) fn watch_lease(&mut self, seat: SeatIndex) {
        let lease = self.config.lease_micros_max;
        let Some(live) = self.floor.seat_mut(seat) else { return };
        if live.lease_due.is_none() {
            let due = live.heard.plus_micros(lease);
            live.lease_due = Some(due);
            self.timers.set(due, Timer::Lease(seat));
        }
    }

    fn find<'a>(&self, life: Option<&'a mut Box<Life>>, command: Command) -> Result<(&'a mut Life, usize), Refusal> {
        let life = life.filter(|life| life.ended.is_none()).ok_or(Refusal::Unknown)?;
        let seat = self.floor.seat(command.seat).ok_or(Refusal::OutOfTurn)?;
        if seat.test != life.test {
            return Err(Refusal::NotYours);
        }
        let index = life.position(command.offer.service).ok_or(Refusal::Unknown)?;
        let part = life.parts.get(index).filter(|part| part.closed.is_none()).ok_or(Refusal::Unknown)?;
        let sees = part.is_seen_by(seat.room) || part.holder == Some(command.seat);
        if sees { Ok((&mut **life, index)) } else { Err(Refusal::NotYours) }
    }

    pub(super) fn refuse(&mut self, session: SessionId, offer: Option<OfferId>, why: Refusal, out: &mut Outputs) {
        self.counters.refused += 1;
        self.counters.refused_full += u64::from(why == Refusal::Full);
        out.console(session, ConsoleHears::Refused { offer, why });
    }

    /// The first take wins. An offer whose holder asks for another, or whose holder's session is gone, is free to take.
    fn take(&mut self, command: Command, life: &mut Life, index: usize, out: &mut Outputs) -> Result<(), Refusal> {
        let Command { session, seat, offer } = command;
        let part = life.parts.get(index).ok_or(Refusal::Unknown)?;
        if part.holder == Some(seat) && !part.declined {
            if self.is_stored(part.taken_seq) {
                // Asked twice, answered twice.
                out.console(session, ConsoleHears::Taken { offer, by: self.floor.seat_name(seat) });
            }
            return Ok(());
        }
        if part.holder.is_some_and(|holder| holder != seat && !part.declined && self.is_there(holder)) {
            return Err(Refusal::HeldByAnother);
        }
        let holds = self.floor.seat(seat).map_or(usize::MAX, |live| live.holds.len());
        if !self.can_promise() || holds >= SEAT_HOLDS_MAX {
            return Err(Refusal::Full);
        }
        self.set_due(life, index, None);
        self.count(life, index, false);
        if let Some(part) = life.parts.get_mut(index) {
            (part.alarm, part.head_start) = (None, None);
            part.declined_by.clear();
        }
        let fact = Fact::Taken { at: self.now, offer, seat: self.floor.seat_name(seat) };
        let seq = self.record(life, fact, out);
        self.count(life, index, true);
        self.watch_lease(seat);
        self.counters.taken += 1;
        self.receipts.promise(seq, Promise::Taken(offer));
        Ok(())
    }

    fn is_there(&self, seat: SeatIndex) -> bool {
        self.floor.seat(seat).is_some_and(|live| live.session.is_some())
    }

    fn accept(&mut self, command: Command, life: &mut Life, index: usize, out: &mut Outputs) -> Result<(), Refusal> {
        let Command { session, seat, offer } = command;
        let part = life.parts.get(index).ok_or(Refusal::Unknown)?;
        must_hold(part, seat)?;
        if let Some((by, seq)) = part.accepted {
            if self.is_stored(seq) {
                out.console(session, ConsoleHears::Accepted { offer, by: self.floor.seat_name(by) });
            }
            return Ok(());
        }
        if !self.can_promise() {
            return Err(Refusal::Full);
        }
        self.count(life, index, false);
        let fact = Fact::Accepted { at: self.now, offer, seat: self.floor.seat_name(seat) };
        let seq = self.record(life, fact, out);
        self.count(life, index, true);
        self.counters.accepted += 1;
        self.receipts.promise(seq, Promise::Accepted(offer));
        Ok(())
    }

    /// Units are on their way: the holder says so once help was accepted.
    fn dispatched(&mut self, command: Command, life: &mut Life, index: usize, out: &mut Outputs) -> Result<(), Refusal> {
        let Command { session, seat, offer } = command;
        let part = life.parts.get(index).ok_or(Refusal::Unknown)?;
        must_hold(part, seat)?;
        if let Some((by, seq)) = part.dispatched {
            if self.is_stored(seq) {
                out.console(session, ConsoleHears::Dispatched { offer, by: self.floor.seat_name(by) });
            }
            return Ok(());
        }
        if part.accepted.is_none() {
            return Err(Refusal::OutOfTurn);
        }
        if !self.can_promise() {
            return Err(Refusal::Full);
        }
        let seq = self.record(life, Fact::Dispatched { at: self.now, offer, seat: self.floor.seat_name(seat) }, out);
        self.counters.dispatched += 1;
        self.receipts.promise(seq, Promise::Dispatched(offer));
        Ok(())
    }

    /// A request: the holder keeps it until another has taken. Of a room that does not hold it, every seat must decline before the
    /// next is asked.
    fn decline(&mut self, command: Command, life: &mut Life, index: usize, reason: Box<str>, out: &mut Outputs) -> Result<(), Refusal> {
        let Command { session, seat, offer } = command;
        let part = life.parts.get_mut(index).ok_or(Refusal::Unknown)?;
        let holds = part.holder == Some(seat);
        if part.holder.is_some() && !holds {
            return Err(Refusal::HeldByAnother);
        }
        if !holds && part.declined_by.contains(&seat) {
            out.console(session, ConsoleHears::Waiting { offer, why: WaitingWhy::Declined });
            return Ok(());
        }
        self.counters.declined += 1;
        let fact = Fact::Declined { at: self.now, offer, seat: self.floor.seat_name(seat), reason };
        self.record(life, fact, out);
        let hears = ConsoleHears::Waiting { offer, why: WaitingWhy::Declined };
        let part = life.parts.get_mut(index).ok_or(Refusal::Unknown)?;
        if holds {
            self.begin_wait(part);
            let viewers = part.viewers();
            self.tell_rooms(life, &viewers, &hears, out);
            self.advance(life, index, AskedWhy::Declined, out);
            return Ok(());
        }
        part.declined_by.push(seat);
        out.console(session, hears);
        if part.head_start.is_some_and(|(first, _)| first == seat) {
            // Who holds the earlier contact cannot: the ordinary way begins now.
            self.end_head_start(life, index, out);
        } else if self.is_declined_by_all(life, index) {
            self.advance(life, index, AskedWhy::Declined, out);
        } else {
            self.ring_next_best(life, index, seat, out);
        }
        Ok(())
    }

    /// Every seat at the desk whose answer is awaited has declined.
    fn is_declined_by_all(&self, life: &Life, index: usize) -> bool {
        let Some(part) = life.parts.get(index) else { return false };
        let Some(room) = part.current else { return false };
        let mut seats = self.floor.room(room).desk(life.test).sessions.iter();
        part.is_seeking() && part.alarm.is_none() && part.head_start.is_none() && seats.all(|(_, seat)| part.declined_by.contains(seat))
    }

    fn release(&mut self, command: Command, life: &mut Life, index: usize, out: &mut Outputs) -> Result<(), Refusal> {
        must_hold(life.parts.get(index).ok_or(Refusal::Unknown)?, command.seat)?;
        self.counters.released += 1;
        self.wait_again(life, index, WaitingWhy::Released, out);
        Ok(())
    }

    fn close(&mut self, command: Command, life: &mut Life, index: usize, reason: Box<str>, out: &mut Outputs) -> Result<(), Refusal> {
        let Command { seat, .. } = command;
        let part = life.parts.get(index).ok_or(Refusal::Unknown)?;
        must_hold(part, seat)?;
        if part.accepted.is_none() && !life.callback_is_final() {
            return Err(Refusal::OutOfTurn);
        }
        if !self.can_promise() {
            return Err(Refusal::Full);
        }
        self.close_share(seat, life, index, reason, out);
        Ok(())
    }

    pub(super) fn close_share(&mut self, seat: SeatIndex, life: &mut Life, index: usize, reason: Box<str>, out: &mut Outputs) {
        let Some(offer) = life.parts.get(index).map(|part| life.offer_id(part)) else { return };
        self.set_due(life, index, None);
        self.leave(life, index);
        let fact = Fact::Closed { at: self.now, offer, seat: self.floor.seat_name(seat), reason };
        let seq = self.record(life, fact, out);
        self.counters.closed += 1;
        self.receipts.promise(seq, Promise::Closed(offer));
    }
}

pub(super) fn must_hold(part: &Part, seat: SeatIndex) -> Result<(), Refusal> {
    match part.holder {
        Some(holder) if holder == seat => Ok(()),
        Some(_) => Err(Refusal::HeldByAnother),
        None => Err(Refusal::OutOfTurn),
    }
}

pub(super) fn offer_of(says: &ConsoleSays) -> Option<OfferId> {
    match says {
        ConsoleSays::Accept { offer }
        | ConsoleSays::CalledBack { offer, .. }
        | ConsoleSays::Close { offer, .. }
        | ConsoleSays::Decline { offer, .. }
        | ConsoleSays::Dispatched { offer }
        | ConsoleSays::HandBack { offer, .. }
        | ConsoleSays::Inform { offer }
        | ConsoleSays::Release { offer }
        | ConsoleSays::Shown { offer }
        | ConsoleSays::Take { offer }
        | ConsoleSays::Transfer { offer, .. } => Some(*offer),
        ConsoleSays::AddService { .. }
        | ConsoleSays::Declare { .. }
        | ConsoleSays::EndEvent { .. }
        | ConsoleSays::Heartbeat
        | ConsoleSays::Join { .. }
        | ConsoleSays::Note { .. }
        | ConsoleSays::Read { .. }
        | ConsoleSays::Say { .. }
        | ConsoleSays::SignIn { .. }
        | ConsoleSays::SignOut
        | ConsoleSays::Split { .. } => None,
    }
}

/// At most [`COMMAND_REASON_BYTES_MAX`] bytes, cut between characters.
fn cut(reason: Box<str>) -> Box<str> {
    if reason.len() <= COMMAND_REASON_BYTES_MAX { reason } else { cut_to(&reason, COMMAND_REASON_BYTES_MAX).into() }
}

/// Cut between characters.
pub(super) fn cut_to(text: &str, bytes_max: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes_max)).unwrap_or_default()
}
