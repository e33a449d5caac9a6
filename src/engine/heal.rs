//! What the journal lost is written again.
//!
//! A store that is gone for longer than the entries' backlog lasts loses entries for good. The lives know what the entries said: once
//! the store takes entries again, every contact they were about is written down anew, arrival first, and its promises are made anew.
//! Until then nothing after the loss is promised (`receipt.rs`).

use std::ops::Bound::{Excluded, Unbounded};
use std::sync::Arc;

use super::floor::{RoomIndex, SeatIndex};
use super::life::{CallbackLive, Life, Part};
use super::receipt::Promise;
use super::tick::CatchUp;
use super::{Core, Engine, Outputs};
use crate::decision::{AssignedRecord, DecisionRecord, NeighbourRecord, Why};
use crate::deliver::{AskedWhy, Evidence, Fact, Seat, WaitingWhy};
use crate::limits::{CATCH_UP_MAX, HEAL_AHEAD_ENTRIES_MAX};
use crate::units::{ContactId, Name};

/// Who wrote states and tables again, in the journal.
pub const BY_ENGINE: &str = "engine";

impl Engine {
    /// Begins to write again what was lost, once the store has come past it.
    pub(super) fn heal(&mut self, out: &mut Outputs) {
        let Some((first_seq, last_seq)) = self.core.receipts.unhealed() else { return };
        let under_way = |job: &CatchUp| matches!(job, CatchUp::Heal { last_seq: of, .. } if *of == last_seq);
        if self.core.catch_ups.values().any(under_way) {
            return;
        }
        self.start_catch_up(CatchUp::Heal { first_seq, last_seq, after: None }, out);
    }

    pub(super) fn heal_slice(&mut self, first_seq: u64, last_seq: u64, after: Option<ContactId>, out: &mut Outputs) -> Option<CatchUp> {
        if self.core.receipts.unhealed() != Some((first_seq, last_seq)) {
            // More was lost in the meantime: that job begins anew when the store has come past it.
            return None;
        }
        if self.core.receipts.behind(self.core.seq) > HEAL_AHEAD_ENTRIES_MAX {
            // The store takes what there is first: writing a million lives at once would be the next loss.
            return Some(CatchUp::Heal { first_seq, last_seq, after });
        }
        let from = after.map_or(Unbounded, Excluded);
        let mut looked_at = 0;
        let mut after = after;
        for (contact, life) in self.lives.range_mut((from, Unbounded)).take(CATCH_UP_MAX) {
            (looked_at, after) = (looked_at + 1, Some(*contact));
            if life.last_seq >= first_seq && life.arrived_seq <= last_seq {
                self.core.say_again(life, out);
            }
        }
        if looked_at == CATCH_UP_MAX {
            return Some(CatchUp::Heal { first_seq, last_seq, after });
        }
        self.core.receipts.healed(self.core.seq);
        None
    }
}

impl Core {
    /// What the house is in (tables, states) is written again at once, so that there is an entry by which the store comes past the loss.
    pub(super) fn lost(&mut self, first_seq: u64, last_seq: u64, out: &mut Outputs) {
        if first_seq == 0 || first_seq > last_seq || last_seq > self.seq {
            self.counters.internal += 1;
            return;
        }
        self.counters.entries_lost += last_seq - first_seq + 1;
        for promise in self.receipts.lost(first_seq, last_seq) {
            self.forget_lost(&promise);
        }
        self.say_house_again(out);
    }

    /// The journal's files end at midnight, and old ones are removed: the first entries of each day say what the house is in.
    pub(super) fn begin_day(&mut self, out: &mut Outputs) {
        let today = self.now.day();
        if std::mem::replace(&mut self.day, today) != today && self.seq > 0 {
            self.say_house_again(out);
        }
    }

    fn say_house_again(&mut self, out: &mut Outputs) {
        let (at, by) = (self.now, Name::new(BY_ENGINE).unwrap_or_default());
        self.append(Fact::Tables { at, version: self.floor.version, by }, out);
        let states: Vec<_> = self.states.iter().map(|(id, state)| (*id, *state)).collect();
        for (dispatcher, state) in states {
            self.append(Fact::State { at, dispatcher, state, by }, out);
        }
        self.say_events_again(out);
    }

    /// One contact as it stands, as facts: the arrival under the decision its shares were made by, what happened to each share, and
    /// the decision in force where that is another.
    fn say_again(&mut self, life: &mut Life, out: &mut Outputs) {
        self.counters.written_again += 1;
        let (at, contact) = (life.arrived, life.id);
        let mut first = self.decision_of_shares(life);
        if life.was_quiet && !first.quiet {
            // Quiet once, quiet for good: also for whoever reads only what is written now.
            Arc::make_mut(&mut first).quiet = true;
        }
        if has_stray_share(life) {
            // The decision in force would drop a share that people have had in hands: it is written with that share in it.
            life.decision = Arc::clone(&first);
            life.parts.iter_mut().for_each(|part| part.outdated = false);
        }
        let moved_on = *first != *life.decision;
        life.arrived_seq = self.append(Fact::Arrived { at, contact: Arc::clone(&life.contact), decision: first, states: Vec::new() }, out);
        if self.receipts.is_lost(life.began_seq) {
            let named = self.own_incident(life);
            life.began_seq = life.arrived_seq;
            if life.joined.is_none() && self.incidents.contains_key(&named) {
                // The others are of an incident by this name, whatever became of the entry it was made from.
                life.joined = Some((named, None, 0));
            }
        }
        self.receipts.promise(life.arrived_seq, Promise::Arrived(contact));
        if let Some((earlier, seat)) = life.repeat {
            let seat = seat.map(|seat| self.floor.seat_name(seat));
            self.append(Fact::Repeated { at, contact, earlier, seat }, out);
        }
        for index in 0..life.parts.len() {
            self.say_share_again(life, index, out);
        }
        self.say_joint_again(life, out);
        self.say_conversation_again(life, out);
        self.say_reads_again(life, out);
        self.say_informed_again(life, out);
        let at = self.now;
        if let Some(room) = life.answered {
            let dispatcher = self.floor.room(room).id;
            self.append(Fact::Answered { at, contact, dispatcher }, out);
        }
        if let Some((why, at)) = life.hung_up {
            self.append(Fact::HungUp { at, contact, why, callback: life.callback.is_some() }, out);
        }
        self.say_callback_again(life, out);
        if moved_on {
            let (revision, decision) = (life.contact.revision, Arc::clone(&life.decision));
            self.append(Fact::Redecided { at, contact, revision, evidence: Evidence::default(), decision }, out);
        }
        if let Some((ending, _)) = life.ended {
            let seq = self.append(Fact::Ended { at, contact, ending }, out);
            life.ended = Some((ending, seq));
            self.receipts.promise(seq, Promise::Ended(contact));
        }
        life.last_seq = self.seq;
    }

    fn say_callback_again(&mut self, life: &mut Life, out: &mut Outputs) {
        let Some((outcome, _)) = life.callback.and_then(|callback| callback.outcome) else { return };
        let Some(part) = life.parts.iter().find(|part| part.lead) else { return };
        let seat = part.holder.or(part.closed.map(|(seat, _)| seat)).map(|seat| self.floor.seat_name(seat));
        let nobody = Seat { dispatcher: self.floor.room(part.responsible).id, seat: Name::new(BY_ENGINE).unwrap_or_default() };
        let (offer, seat) = (life.offer_id(part), seat.unwrap_or(nobody));
        let seq = self.append(Fact::CalledBack { at: self.now, offer, seat, outcome, reason: Box::default() }, out);
        life.callback = Some(CallbackLive { outcome: Some((outcome, seq)) });
        self.receipts.promise(seq, Promise::CalledBack(offer));
    }

    fn say_share_again(&mut self, life: &mut Life, index: usize, out: &mut Outputs) {
        let at = self.now;
        let Some(part) = life.parts.get(index) else { return };
        let offer = life.offer_id(part);
        for (position, room) in part.chain.clone().into_iter().enumerate().filter(|(position, _)| part.is_asked(*position)) {
            let why = if part.is_asked(0) { AskedWhy::NoTake } else { AskedWhy::Full };
            if position > 0 {
                self.append(Fact::Asked { at, offer, dispatcher: self.floor.room(room).id, why }, out);
            }
        }
        for (room, why) in part.called().to_vec() {
            self.append(Fact::Asked { at, offer, dispatcher: self.floor.room(room).id, why }, out);
        }
        let (holder, accepted, closed, declined) = (part.holder, part.accepted, part.closed, part.declined);
        let dispatched = part.dispatched;
        let took = holder.or(closed.map(|(seat, _)| seat)).or(accepted.map(|(seat, _)| seat));
        let taken_seq = took.map(|seat| self.append(Fact::Taken { at, offer, seat: self.floor.seat_name(seat) }, out));
        let accepted = accepted.map(|(seat, _)| (seat, self.append(Fact::Accepted { at, offer, seat: self.floor.seat_name(seat) }, out)));
        let dispatched =
            dispatched.map(|(seat, _)| (seat, self.append(Fact::Dispatched { at, offer, seat: self.floor.seat_name(seat) }, out)));
        let closed = closed.map(|(seat, _)| {
            let fact = Fact::Closed { at, offer, seat: self.floor.seat_name(seat), reason: Box::default() };
            (seat, self.append(fact, out))
        });
        if let Some(seat) = holder.filter(|_| declined) {
            self.append(Fact::Declined { at, offer, seat: self.floor.seat_name(seat), reason: Box::default() }, out);
        }
        if holder.is_none() && closed.is_none() && taken_seq.is_some() {
            self.append(Fact::Waiting { at, offer, why: WaitingWhy::Released, reason: Box::default() }, out);
        }
        let seq_of = |step: Option<(SeatIndex, u64)>| step.map(|(_, seq)| seq);
        let spoken = [taken_seq.filter(|_| holder.is_some()), seq_of(accepted), seq_of(dispatched), seq_of(closed)];
        let promises = [Promise::Taken(offer), Promise::Accepted(offer), Promise::Dispatched(offer), Promise::Closed(offer)];
        for (seq, promise) in spoken.into_iter().zip(promises) {
            seq.into_iter().for_each(|seq| self.receipts.promise(seq, promise.clone()));
        }
        if let Some(part) = life.parts.get_mut(index) {
            part.taken_seq = taken_seq.unwrap_or(part.taken_seq);
            (part.accepted, part.dispatched, part.closed) = (accepted, dispatched, closed);
        }
    }

    /// The decision in force, with the chains and neighbours its shares still go by.
    fn decision_of_shares(&self, life: &Life) -> Arc<DecisionRecord> {
        if !life.redecided {
            return Arc::clone(&life.decision);
        }
        let mut decision = DecisionRecord::clone(&life.decision);
        decision.services = life.parts.iter().map(|part| self.assigned_again(&life.decision, part)).collect();
        decision.neighbours = life.parts.iter().flat_map(|part| self.neighbours_again(&life.decision, part)).collect();
        Arc::new(decision)
    }

    fn assigned_again(&self, decision: &DecisionRecord, part: &Part) -> AssignedRecord {
        let named = decision.services.iter().find(|assigned| assigned.service == part.service);
        AssignedRecord {
            service: part.service,
            dispatcher: self.floor.room(part.responsible).id,
            area: named.and_then(|assigned| assigned.area),
            probability: named.and_then(|assigned| assigned.probability),
            lead: part.lead,
            chain: part.chain.iter().map(|room| self.floor.room(*room).id).collect(),
        }
    }

    fn neighbours_again(&self, decision: &DecisionRecord, part: &Part) -> Vec<NeighbourRecord> {
        let again = |room: &RoomIndex| {
            let dispatcher = self.floor.room(*room).id;
            let named = decision.neighbours.iter().find(|neighbour| neighbour.dispatcher == dispatcher);
            NeighbourRecord {
                area: named.and_then(|neighbour| neighbour.area),
                dispatcher,
                service: part.service,
                probability: named.and_then(|neighbour| neighbour.probability),
                why: named.map_or_else(|| Name::new(Why::Policy.word()).unwrap_or_default(), |neighbour| neighbour.why),
            }
        };
        part.neighbours.iter().map(again).collect()
    }
}

/// Somebody took a share, the decision then named its service no more, or another's as the lead, and it was given back.
fn has_stray_share(life: &Life) -> bool {
    let services = &life.decision.services;
    let named = |part: &Part| services.iter().any(|assigned| assigned.service == part.service);
    let lead = services.iter().find(|assigned| assigned.lead).or(services.first()).map(|assigned| assigned.service);
    let strays = |part: &Part| !named(part) || (part.lead && lead != Some(part.service));
    life.parts.iter().any(|part| !part.is_touched() && strays(part))
}
