//! The journal read back: the same facts make the same lives, and the engine goes on offering.
//!
//! After a restart nobody is signed in and no gateway is there. What waits is shown as seats come; what was held stays with its
//! holder for one lease; nobody further down a chain is asked before those asked already had time to come back.

use super::life::Life;
use super::past::Past;
use super::receipt::Receipts;
use super::timers::Timer;
use super::{Alarm, Config, Core, Engine, Rooms, digest};
use crate::deliver::{Fact, OfferId};
use crate::limits::COMPARED_AT_START_MAX;
use crate::units::Timestamp;

impl Engine {
    /// Rebuilds an engine from all facts of its journal, in the journal's order. Everything read is held, so every promise may be said
    /// again.
    ///
    /// `now` must not be earlier than the newest fact.
    pub fn recover(config: Config, rooms: &Rooms, facts: impl IntoIterator<Item = (u64, Fact)>, now: Timestamp) -> Self {
        let mut past = Past::new(&config);
        for (seq, fact) in facts {
            past.take(seq, &fact, || fact.clone());
        }
        Self::resume(config, rooms, &past, |fact| Some(fact.clone()), 0, now)
    }

    /// Makes the engine that the past is of. `read` reads what a fact was kept as; `last_seq` is the last number the journal has given
    /// out, when that is beyond its newest fact.
    pub fn resume<K>(
        config: Config,
        rooms: &Rooms,
        past: &Past<K>,
        mut read: impl FnMut(&K) -> Option<Fact>,
        last_seq: u64,
        now: Timestamp,
    ) -> Self {
        let mut engine = Self::new(config, rooms);
        for (seq, kept) in past.facts() {
            match read(kept) {
                Some(fact) => engine.read_back(seq, &fact),
                None => engine.core.counters.facts_astray += 1,
            }
        }
        let (core, head) = (&mut engine.core, past.head());
        core.known = past.known.clone();
        (core.seq, core.snapshot, core.now) = (head.seq.max(last_seq), head.snapshot, now.max(head.newest));
        core.receipts = Receipts::recovered(core.seq);
        core.day = head.newest.day();
        core.counters.journal_gaps = head.gaps;
        core.counters.facts_astray += head.astray;
        for (dispatcher, state) in &past.states {
            core.set_state(*dispatcher, *state);
        }
        for end in past.ends() {
            core.keep_end(end.key.clone(), end.contact, end.ending);
        }
        engine.go_on();
        engine
    }

    /// Gives a number to an entry of the journal's own.
    pub fn reserve_seq(&mut self) -> u64 {
        self.core.seq += 1;
        self.core.seq
    }

    fn read_back(&mut self, seq: u64, fact: &Fact) {
        if let Fact::Declared { event, .. } = fact {
            return self.core.enter_event(event.clone(), seq);
        }
        let floor = &mut self.core.floor;
        if let Fact::Arrived { at, contact, decision, .. } = fact {
            let digests = (digest::of_key(&contact.key), digest::of_content(contact));
            let mut life = Life::new(seq, *at, contact.clone(), decision.clone(), digests, floor);
            if let Some(before) = self.lives.get(&life.id) {
                life.began_seq = before.began_seq;
            }
            floor.contact_began(life.contact.key.gateway, life.id);
            self.lives.insert(life.id, Box::new(life));
            return;
        }
        match fact.contact().and_then(|contact| self.lives.get_mut(&contact)) {
            Some(life) => life.apply(seq, fact, floor),
            None => self.core.counters.facts_astray += 1,
        }
    }

    /// Puts every life back on the lists, with time for its people to come back.
    fn go_on(&mut self) {
        let core = &mut self.core;
        if core.seq > 0 {
            core.recovering_until = core.now.plus_micros(core.config.recovery_wait_micros_max);
        }
        // Among very many it takes longer than callers may wait for the first decision; they are compared again as evidence comes.
        let compare = self.lives.len() <= COMPARED_AT_START_MAX;
        for life in self.lives.values_mut() {
            core.resume(life, compare);
        }
        for life in self.lives.values() {
            core.list_founder(life);
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
    fn resume(&mut self, life: &mut Life, compare: bool) {
        let due = self.now.plus_micros(self.config.recovery_wait_micros_max);
        let contact = life.id;
        self.list_line(life);
        self.list_callback(life);
        self.list_incident(life);
        self.list_left(life);
        life.event = self.event_of(&life.contact, &life.decision, life.test);
        self.enter_scene(life, compare);
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
