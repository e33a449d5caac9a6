//! The journal read back: the same facts make the same lives, and the engine goes on offering.
//!
//! After a restart nobody is signed in and no gateway is there. What waits is shown as seats come; what was held stays with its
//! holder for one lease; nobody further down a chain is asked before those asked already had time to come back.

use super::floor::EndNotice;
use super::life::Life;
use super::receipt::Receipts;
use super::timers::Timer;
use super::{Alarm, Config, Core, Engine, Rooms, digest};
use crate::deliver::{Ending, Fact, OfferId};
use crate::limits::ENDED_RETOLD_MICROS_MAX;
use crate::units::{ContactId, Timestamp};

impl Engine {
    /// Rebuilds an engine from its journal, in the journal's order. Everything read is held, so every promise may be said again.
    ///
    /// `now` must not be earlier than the newest fact.
    pub fn recover(config: Config, rooms: &Rooms, facts: impl IntoIterator<Item = (u64, Fact)>, now: Timestamp) -> Self {
        let mut engine = Self::new(config, rooms);
        let mut ends: Vec<EndNotice> = Vec::new();
        let mut newest = Timestamp::default();
        for (seq, fact) in facts {
            // A gap is a declared loss or a damaged journal; what is there is used.
            engine.core.counters.journal_gaps += u64::from(seq != engine.core.seq + 1 && engine.core.seq != 0);
            engine.core.seq = engine.core.seq.max(seq);
            newest = newest.max(fact.at());
            engine.read_back(seq, fact, &mut ends);
        }
        engine.core.now = now.max(newest);
        engine.core.receipts = Receipts::recovered(engine.core.seq);
        for end in ends.into_iter().filter(|end| newest.micros_since(end.at) <= ENDED_RETOLD_MICROS_MAX) {
            engine.core.keep_end(end.key, end.contact, end.ending);
        }
        engine.go_on();
        engine
    }

    fn read_back(&mut self, seq: u64, fact: Fact, ends: &mut Vec<EndNotice>) {
        match &fact {
            // A second arrival of one contact says again, after a loss, all that the lost entries said.
            Fact::Arrived { at, contact, decision, .. } => {
                let digests = (digest::of_key(&contact.key), digest::of_content(contact));
                let mut life = Life::new(seq, *at, contact.clone(), decision.clone(), digests, &mut self.core.floor);
                if let Some(before) = self.lives.get(&life.id) {
                    life.began_seq = before.began_seq;
                    self.core.known.replaced(before.id, before.content);
                    self.core.known.forget_line(before.id, before.line);
                }
                self.core.snapshot = self.core.snapshot.max(decision.snapshot);
                self.core.remember_life(&mut life);
                self.lives.insert(life.id, Box::new(life));
            }
            Fact::State { dispatcher, state, .. } => {
                self.core.snapshot += 1;
                self.core.set_state(*dispatcher, *state);
            }
            Fact::Tables { .. } => self.core.snapshot += 1,
            Fact::Ended { at, contact, ending } => self.read_end(seq, *at, *contact, *ending, ends),
            Fact::Redecided { contact, .. }
            | Fact::HungUp { contact, .. }
            | Fact::Repeated { contact, .. }
            | Fact::Answered { contact, .. } => self.read_into(seq, *contact, &fact),
            Fact::Asked { offer, .. }
            | Fact::Taken { offer, .. }
            | Fact::Accepted { offer, .. }
            | Fact::Waiting { offer, .. }
            | Fact::Declined { offer, .. }
            | Fact::CalledBack { offer, .. }
            | Fact::Closed { offer, .. } => self.read_into(seq, offer.contact, &fact),
        }
    }

    fn read_into(&mut self, seq: u64, contact: ContactId, fact: &Fact) {
        match self.lives.get_mut(&contact) {
            Some(life) => life.apply(seq, fact, &mut self.core.floor),
            None => self.core.counters.facts_astray += 1,
        }
    }

    fn read_end(&mut self, seq: u64, at: Timestamp, contact: ContactId, ending: Ending, ends: &mut Vec<EndNotice>) {
        let Some(life) = self.lives.remove(&contact) else {
            self.core.counters.facts_astray += 1;
            return;
        };
        self.core.known.life_ended(at, &life, ending, seq);
        self.core.known.forget_line(contact, life.line);
        let key = life.contact.key.clone();
        if let Some(gateway) = self.core.floor.gateways.get_mut(&key.gateway) {
            gateway.contacts.remove(&contact);
        }
        ends.push(EndNotice { at, key, contact, ending });
    }

    /// Puts every life back on the lists, with time for its people to come back.
    fn go_on(&mut self) {
        let core = &mut self.core;
        if core.seq > 0 {
            core.recovering_until = core.now.plus_micros(core.config.recovery_wait_micros_max);
        }
        for life in self.lives.values_mut() {
            core.resume(life);
        }
        let holders: Vec<_> = core.floor.holders().collect();
        for seat in holders {
            if let Some(live) = core.floor.seat_mut(seat) {
                live.heard = core.now;
            }
            core.watch_lease(seat);
        }
    }
}

impl Core {
    fn resume(&mut self, life: &mut Life) {
        let due = self.now.plus_micros(self.config.recovery_wait_micros_max);
        let contact = life.id;
        self.list_callback(life);
        for index in 0..life.parts.len() {
            let Some(part) = life.parts.get_mut(index) else { continue };
            part.opened = true;
            self.begin_wait(part);
            if part.is_seeking() && part.closed.is_none() {
                // Nobody sees it now, and that is what the alarm says until somebody does.
                part.alarm = part.is_untaken().then_some(Alarm::NoSeat);
                part.due = Some(due);
                self.timers.set(due, Timer::Ask(OfferId { contact, service: part.service }));
            }
            if part.lead {
                let holder = part.holder.and_then(|seat| self.floor.seat(seat)).map(|seat| seat.room);
                life.voice = holder.or(part.asked_rooms().last());
            }
            self.enter(life, index);
        }
        if life.is_done()
            && let Some(part) = life.parts.first()
        {
            self.timers.set(self.now, Timer::Ask(life.offer_id(part)));
        }
        if life.parts.is_empty() {
            self.undecided.insert(contact);
            life.reroute_due = Some(self.now);
            self.timers.set(self.now, Timer::Reroute(contact));
        }
    }
}
