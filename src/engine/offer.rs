//! Who is asked, in turn, and what they see.
//!
//! A room without a signed-in seat is passed at once, and sees the offer as soon as a seat comes. A full room is passed without
//! being asked. When nobody is left, those passed are asked as well, and the offer stands in alarm. Overflow changes who answers,
//! never who is responsible.

use std::sync::Arc;

use super::floor::{RoomIndex, SeatIndex};
use super::life::{Life, Part, Viewers};
use super::timers::Timer;
use super::{Alarm, Core, Output, Outputs};
use crate::deliver::{AlertWhy, AskedWhy, ConsoleHears, Fact, GatewayHears, Offer, OfferId, Role, WaitingWhy};
use crate::units::Timestamp;

// --- asking ---

impl Core {
    /// Asks the first of the chain, or the first after it that can be asked, and shows it to the neighbours. `first_seat` is asked
    /// before all of them: it holds an earlier contact of the line.
    pub(super) fn open(&mut self, life: &mut Life, index: usize, first_seat: Option<SeatIndex>, out: &mut Outputs) {
        let test = life.test;
        let Some(part) = life.parts.get_mut(index) else { return };
        debug_assert!(!part.opened, "an offer is opened once");
        part.opened = true;
        if part.alarm_by == Timestamp::default() {
            self.begin_wait(part);
        }
        let Some(first) = part.chain.first().copied() else { return };
        let staffed = self.floor.is_staffed(first, test);
        let full = self.floor.room(first).is_full(test);
        let chain = part.chain.clone();
        let is_mute = !self.can_write(first, test) && self.must_write(life, &chain);
        let Some(part) = life.parts.get(index) else { return };
        if !part.is_seeking() {
            // It comes back from the journal in somebody's hands: there is nobody to ask.
        } else if staffed && !full && !is_mute {
            self.await_answer(life, index, first, out);
        } else {
            let why = match (staffed, full) {
                (false, _) => AskedWhy::NoSeat,
                (_, true) => AskedWhy::Full,
                _ => AskedWhy::NoText,
            };
            self.choose_next(life, index, why, out);
        }
        if let Some(seat) = first_seat {
            self.give_head_start(life, index, seat, out);
        }
        self.enter(life, index);
        let viewers = life.parts.get(index).map(Part::viewers).unwrap_or_default();
        self.show(life, index, &viewers, out);
        self.show_conversation(life, &viewers, out);
    }

    /// Asks the next in the chain as well. Those asked before go on seeing it.
    pub(super) fn advance(&mut self, life: &mut Life, index: usize, why: AskedWhy, out: &mut Outputs) {
        let Some(part) = life.parts.get(index) else { return };
        if !part.is_seeking() {
            return;
        }
        self.widen(life, index, out, |core, life, out| core.choose_next(life, index, why, out));
    }

    /// Lets more rooms be asked, keeps the lists true, and shows the offer to who did not see it or sees it in a new role.
    pub(super) fn widen(&mut self, life: &mut Life, index: usize, out: &mut Outputs, ask: impl FnOnce(&mut Self, &mut Life, &mut Outputs)) {
        let Some(part) = life.parts.get(index) else { return };
        let before = part.viewers();
        let asked_before: Viewers = part.asked_rooms().collect();
        let is_new = |part: &Part, room: &RoomIndex| part.asked_rooms().any(|asked| asked == *room) && !asked_before.contains(room);
        self.leave(life, index);
        ask(self, life, out);
        self.enter(life, index);
        let Some(part) = life.parts.get(index) else { return };
        // A neighbour that is asked now sees the offer again, in its new role.
        let news: Viewers = part.viewers().into_iter().filter(|room| !before.contains(room) || is_new(part, room)).collect();
        let turn = part.current.filter(|room| part.alarm.is_none() && asked_before.contains(room));
        self.show(life, index, &news, out);
        self.show_conversation(life, &news, out);
        if let Some(room) = turn {
            self.alert(life, index, &[room], AlertWhy::YourTurn, out);
        }
    }

    /// The facts of asking: who is asked now, and whose answer is awaited until when. Lists and screens are the caller's.
    fn choose_next(&mut self, life: &mut Life, index: usize, why: AskedWhy, out: &mut Outputs) {
        let test = life.test;
        let mut why_next = why;
        let mut found = self.ask_new_room(life, index, why, out);
        let Some(part) = life.parts.get_mut(index) else { return };
        part.head_start = None;
        if let Some(room) = found {
            return self.await_answer(life, index, room, out);
        }
        let (start, chain) = (part.next_position(), part.chain.clone());
        let must_write = self.must_write(life, chain.get(start..).unwrap_or_default());
        for room in chain.iter().skip(start).copied() {
            let staffed = self.floor.is_staffed(room, test);
            if staffed && (self.floor.room(room).is_full(test) || must_write && !self.can_write(room, test)) {
                continue;
            }
            self.ask(life, index, room, why_next, out);
            if staffed {
                found = Some(room);
                break;
            }
            why_next = AskedWhy::NoSeat;
        }
        if found.is_none() {
            found = self.ask_the_rest(life, index, why, out).or_else(|| self.ask_neighbour(life, index, why, out));
        }
        match found {
            Some(room) => self.await_answer(life, index, room, out),
            None => self.call_everybody(life, index, out),
        }
    }

    /// What its holder asks to hand over, after new evidence made another room responsible, goes to that room first.
    fn ask_new_room(&mut self, life: &mut Life, index: usize, why: AskedWhy, out: &mut Outputs) -> Option<RoomIndex> {
        let part = life.parts.get(index).filter(|part| part.outdated && part.declined)?;
        let assigned = life.decision.services.iter().find(|assigned| assigned.service == part.service)?;
        let chain: Viewers = assigned.chain.iter().filter_map(|id| self.floor.room_of(id)).collect();
        let can = |room: &RoomIndex| self.floor.is_staffed(*room, life.test) && part.asked_rooms().all(|asked| asked != *room);
        let room = chain.into_iter().find(can)?;
        self.ask(life, index, room, why, out);
        Some(room)
    }

    /// Nobody is left to ask in turn: the full rooms that were passed are asked after all. A first room that is full and alone keeps
    /// the offer.
    fn ask_the_rest(&mut self, life: &mut Life, index: usize, why: AskedWhy, out: &mut Outputs) -> Option<RoomIndex> {
        let test = life.test;
        let part = life.parts.get(index)?;
        let chain = part.chain.clone();
        let passed: Viewers = chain.iter().enumerate().filter(|(at, _)| !part.is_asked(*at)).map(|(_, room)| *room).collect();
        for room in &passed {
            self.ask(life, index, *room, AskedWhy::EndOfChain, out);
        }
        let first_is_all = why == AskedWhy::Full && passed.is_empty();
        let fuller = if first_is_all { chain.first().copied() } else { passed.first().copied() };
        let found = fuller.filter(|room| self.floor.is_staffed(*room, test));
        self.counters.over_capacity += u64::from(found.is_some());
        found
    }

    pub(super) fn ask(&mut self, life: &mut Life, index: usize, room: RoomIndex, why: AskedWhy, out: &mut Outputs) {
        let Some(part) = life.parts.get(index) else { return };
        let (offer, dispatcher) = (life.offer_id(part), self.floor.room(room).id);
        *match why {
            AskedWhy::Declined => &mut self.counters.asked_declined,
            AskedWhy::EndOfChain => &mut self.counters.asked_end_of_chain,
            AskedWhy::Full => &mut self.counters.asked_full,
            AskedWhy::NoSeat => &mut self.counters.asked_no_seat,
            AskedWhy::NoTake => &mut self.counters.asked_no_take,
            AskedWhy::NotShown => &mut self.counters.asked_not_shown,
            AskedWhy::TargetFailed => &mut self.counters.asked_target_failed,
            AskedWhy::AllCall => &mut self.counters.asked_all_call,
            AskedWhy::Repeat => &mut self.counters.asked_repeat,
            AskedWhy::HandedOver => &mut self.counters.asked_handed_over,
            AskedWhy::NoText => &mut self.counters.asked_no_text,
        } += 1;
        self.record(life, Fact::Asked { at: self.now, offer, dispatcher, why }, out);
    }

    /// From now on this room's answer is awaited; the voice of a lead that nobody has taken goes there.
    pub(super) fn await_answer(&mut self, life: &mut Life, index: usize, room: RoomIndex, out: &mut Outputs) {
        let take_micros = self.floor.room(room).take_micros_max;
        let Some(part) = life.parts.get_mut(index) else { return };
        if part.alarm == Some(Alarm::NoSeat) {
            // Nobody was there; now somebody is, and has the whole time.
            self.begin_wait(part);
        }
        part.current = Some(room);
        part.take_by = self.now.plus_micros(take_micros);
        part.look_by = Some(self.now.plus_micros(self.config.shown_wait_micros_max));
        part.shown = false;
        part.alarm = None;
        let due = part.next_due();
        let moves = part.lead && !life.lead_taken;
        self.set_due(life, index, Some(due));
        if moves {
            self.move_voice(life, room, out);
        }
    }

    pub(super) fn set_due(&mut self, life: &mut Life, index: usize, due: Option<Timestamp>) {
        let contact = life.id;
        let Some(part) = life.parts.get_mut(index) else { return };
        let timer = Timer::Ask(OfferId { contact, service: part.service });
        if let Some(before) = std::mem::replace(&mut part.due, due) {
            self.timers.unset(before, timer);
        }
        if let Some(at) = due {
            self.timers.set(at, timer);
        }
    }

    /// An offer that waits again after somebody held it: those who were asked see it, and the wait begins anew.
    pub(super) fn seek_again(&mut self, life: &mut Life, index: usize, out: &mut Outputs) {
        let test = life.test;
        let Some(part) = life.parts.get(index) else { return };
        if !part.is_seeking() {
            return;
        }
        let staffed = |room: &RoomIndex| self.floor.is_staffed(*room, test);
        let current = part.current.filter(staffed).or_else(|| part.asked_rooms().filter(staffed).last());
        match current {
            Some(room) => {
                self.leave(life, index);
                self.await_answer(life, index, room, out);
                self.enter(life, index);
            }
            None => self.advance(life, index, AskedWhy::NoSeat, out),
        }
    }

    /// Tells the gateway where the voice of an unanswered call goes now. Nothing is said twice.
    pub(super) fn move_voice(&mut self, life: &mut Life, room: RoomIndex, out: &mut Outputs) {
        if life.voice == Some(room) || life.answered.is_some() || life.hung_up.is_some() {
            return;
        }
        life.voice = Some(room);
        let Some(service) = life.parts.iter().find(|part| part.lead).map(|part| part.service) else { return };
        self.counters.moved += 1;
        let dispatcher = self.floor.room(room).id;
        let contact = life.id;
        self.to_gateway(life, out, |key| GatewayHears::Moved { key, contact, service, dispatcher });
    }
}

// --- lists and screens ---

impl Core {
    /// Puts an open offer on the lists of the rooms that see it, and into the counts.
    pub(super) fn enter(&mut self, life: &Life, index: usize) {
        self.list(life, index, true);
    }

    /// Takes it off them again, before anything in it changes that the lists depend on.
    pub(super) fn leave(&mut self, life: &Life, index: usize) {
        self.list(life, index, false);
    }

    fn list(&mut self, life: &Life, index: usize, enters: bool) {
        let Some(part) = life.parts.get(index).filter(|part| part.opened && part.closed.is_none()) else { return };
        if life.ended.is_some() {
            return;
        }
        let offer = life.offer_id(part);
        for room in part.viewers() {
            let desk = self.floor.room_mut(room).desk_mut(life.test);
            if enters {
                desk.offers.insert(offer)
            } else {
                desk.offers.remove(&offer)
            };
        }
        self.count(life, index, enters);
    }

    /// Into the counts, or out of them: loads, holds, what waits, what stands in alarm.
    pub(super) fn count(&mut self, life: &Life, index: usize, enters: bool) {
        let Some(part) = life.parts.get(index).filter(|part| part.opened && part.closed.is_none()) else { return };
        let offer = life.offer_id(part);
        match part.holder {
            Some(seat) => self.count_hold(seat, offer, life.test, enters),
            None if part.accepted.is_none() => {
                for room in part.asked_rooms() {
                    self.count_load(room, life.test, enters);
                }
                let key = (life.arrived, offer);
                if enters {
                    self.waiting.insert(key)
                } else {
                    self.waiting.remove(&key)
                };
            }
            None => {}
        }
        let alarm = match part.alarm.filter(|_| !life.test) {
            Some(Alarm::EndOfChain) => &mut self.alarms.end_of_chain,
            Some(Alarm::NoSeat) => &mut self.alarms.no_seat,
            None => return,
        };
        *alarm = if enters { alarm.saturating_add(1) } else { alarm.saturating_sub(1) };
    }

    fn count_hold(&mut self, seat: SeatIndex, offer: OfferId, test: bool, enters: bool) {
        let Some(live) = self.floor.seat_mut(seat) else { return };
        if enters {
            live.holds.insert(offer)
        } else {
            live.holds.remove(&offer)
        };
        let room = live.room;
        self.count_load(room, test, enters);
    }

    fn count_load(&mut self, room: RoomIndex, test: bool, enters: bool) {
        let desk = self.floor.room_mut(room).desk_mut(test);
        desk.load = if enters { desk.load.saturating_add(1) } else { desk.load.saturating_sub(1) };
    }

    /// Puts the offer on every screen of these rooms, or what has changed of it.
    pub(super) fn show(&mut self, life: &mut Life, index: usize, rooms: &[RoomIndex], out: &mut Outputs) {
        let Some(part) = life.parts.get(index) else { return };
        for room in rooms {
            let desk = self.floor.room(*room).desk(life.test);
            if !desk.is_staffed() {
                continue;
            }
            self.counters.offers_shown += desk.sessions.len() as u64;
            let (offer, best) = (self.offer(life, part, *room), self.best_fit(life, part, *room));
            for (session, seat) in &desk.sessions {
                out.console(*session, ConsoleHears::Offer(ringing(&offer, self.rings(life, best, *room, *seat))));
            }
        }
        self.show_auditors(life, index, out);
    }

    /// The offer as one room sees it. What is promised in it is in the journal.
    pub(super) fn offer(&self, life: &Life, part: &Part, room: RoomIndex) -> Arc<Offer> {
        let asked = part.asked_rooms().any(|in_chain| in_chain == room);
        let called = part.called().iter().find(|(called, _)| *called == room && !part.is_asked_in_turn(room));
        let role = match called.map(|(_, why)| why) {
            _ if life.test => Role::Test,
            _ if asked && room == part.responsible => Role::Responsible,
            Some(AskedWhy::AllCall) => Role::AllCall,
            Some(AskedWhy::Repeat) => Role::Repeat,
            _ if asked => Role::Overflow,
            _ => Role::Neighbour,
        };
        let holder = part.holder.filter(|_| self.is_stored(part.taken_seq));
        Arc::new(Offer {
            id: life.offer_id(part),
            contact: Arc::clone(&life.contact),
            decision: Arc::clone(&life.decision),
            responsible: self.floor.room(part.responsible).id,
            role,
            take_by: part.take_by,
            confirmed: self.is_stored(life.arrived_seq),
            held_by: holder.map(|seat| self.floor.seat_name(seat)),
            accepted: part.accepted.is_some_and(|(_, seq)| self.is_stored(seq)),
            alarm: part.alarm.is_some(),
            callback: self.callback_promised(life).filter(|_| part.lead),
            repeat: self.repeat(life, part),
            incident: self.incident_promised(life),
            joined: self.others_of(life),
            candidates: life.candidates.to_vec(),
            notes: self.notes_promised(life),
            shares: self.shares_promised(life),
            dispatched: part.dispatched.is_some_and(|(_, seq)| self.is_stored(seq)),
            rings: true,
            interpreter: self.needs_interpreter(life, room),
            may_inform: part.lead && self.may_inform(life),
            event: life.event,
            ended: self.ended_of(self.incident_promised(life)),
        })
    }

    /// Says something about one offer to everybody who sees it.
    pub(super) fn tell_viewers(&self, life: &Life, part: &Part, hears: &ConsoleHears, out: &mut Outputs) {
        self.tell_rooms(life, &part.viewers(), hears, out);
    }

    pub(super) fn tell_rooms(&self, life: &Life, rooms: &[RoomIndex], hears: &ConsoleHears, out: &mut Outputs) {
        let desks = rooms.iter().map(|room| self.floor.room(*room).desk(life.test));
        for (session, _) in desks.flat_map(|desk| &desk.sessions) {
            out.push(Output::ToConsole { session: *session, hears: hears.clone() });
        }
        self.tell_auditors(life, hears, out);
    }

    /// The holder lost it or gave it up: it waits again, for those asked before, and if the decision has changed since, for the
    /// rooms of the new one.
    pub(super) fn wait_again(&mut self, life: &mut Life, index: usize, why: WaitingWhy, out: &mut Outputs) {
        let Some(part) = life.parts.get(index) else { return };
        let offer = life.offer_id(part);
        let fact = Fact::Waiting { at: self.now, offer, why, reason: Box::default() };
        // A service that the decision in force names no more has no new rooms: it goes on with those it had.
        let is_named = life.decision.services.iter().any(|assigned| assigned.service == part.service);
        if part.outdated && part.accepted.is_none() && is_named {
            self.reshape(life, fact, out);
            return;
        }
        self.count(life, index, false);
        self.set_due(life, index, None);
        self.record(life, fact, out);
        if let Some(part) = life.parts.get_mut(index) {
            part.alarm = None;
        }
        self.count(life, index, true);
        let Some(part) = life.parts.get_mut(index) else { return };
        part.declined_by.clear();
        self.begin_wait(part);
        let viewers = part.viewers();
        self.tell_rooms(life, &viewers, &ConsoleHears::Waiting { offer, why }, out);
        self.tell_other_services(life, offer.service, out);
        self.seek_again(life, index, out);
    }

    /// Records a fact that may change which services are needed and who sees them, and brings every screen up to date.
    pub(super) fn reshape(&mut self, life: &mut Life, fact: Fact, out: &mut Outputs) {
        let was_test = life.test;
        let mut before: Vec<(OfferId, Viewers)> = Vec::with_capacity(life.parts.len());
        for index in 0..life.parts.len() {
            self.leave(life, index);
            let Some(part) = life.parts.get(index).filter(|part| part.closed.is_none()) else { continue };
            before.push((life.offer_id(part), part.viewers()));
            if let Some(due) = part.due {
                self.timers.unset(due, Timer::Ask(life.offer_id(part)));
            }
        }
        self.record(life, fact, out);
        self.withdraw_gone(life, was_test, &before, out);
        for index in 0..life.parts.len() {
            let Some(part) = life.parts.get(index).filter(|part| part.closed.is_none()) else { continue };
            let (opened, due, viewers) = (part.opened, part.due, part.viewers());
            if opened && was_test == life.test {
                if let Some(due) = due {
                    self.timers.set(due, Timer::Ask(life.offer_id(part)));
                }
                self.enter(life, index);
                self.show(life, index, &viewers, out);
            } else {
                if let Some(part) = life.parts.get_mut(index) {
                    (part.opened, part.due, part.alarm) = (false, None, None);
                }
                self.open(life, index, None, out);
            }
        }
        // Another service may lead now that was asked before: the voice goes to the room whose answer is awaited.
        let lead = life.parts.iter().find(|part| part.lead && part.is_untaken());
        if let Some(room) = lead.and_then(|part| part.current).filter(|_| !life.lead_taken) {
            self.move_voice(life, room, out);
        }
    }

    /// Screens that no longer have a share of it are told so.
    fn withdraw_gone(&self, life: &Life, was_test: bool, before: &[(OfferId, Viewers)], out: &mut Outputs) {
        for (offer, viewers) in before {
            let now = life.position(offer.service).and_then(|index| life.parts.get(index)).map(Part::viewers);
            // A share of another decision begins with the first of its chain; who else is asked is told a line later.
            let stays = |room: &RoomIndex| was_test == life.test && now.as_ref().is_some_and(|rooms| rooms.contains(room));
            if now.is_none() {
                self.tell_auditors(life, &ConsoleHears::Withdrawn { offer: *offer }, out);
            }
            for room in viewers.iter().filter(|room| !stays(room)) {
                for (session, _) in &self.floor.room(*room).desk(was_test).sessions {
                    out.console(*session, ConsoleHears::Withdrawn { offer: *offer });
                }
            }
        }
    }
}

/// The offer as one seat sees it.
pub(super) fn ringing(offer: &Arc<Offer>, rings: bool) -> Arc<Offer> {
    if rings { Arc::clone(offer) } else { Arc::new(Offer { rings, ..Offer::clone(offer) }) }
}
