//! What gateways say after a contact, and what they are told.
//!
//! Nothing that a gateway must hear is queued for it: what it has not heard is read from the lives of its contacts when it comes
//! back.

use std::sync::Arc;

use super::floor::{EndNotice, Session};
use super::known::{EndedLife, gather};
use super::life::{Life, merge};
use super::tick::CatchUp;
use super::timers::Timer;
use super::{Core, Engine, Output, Outputs, SessionId, digest};
use crate::contact::ContactKey;
use crate::decision::DecisionRecord;
use crate::deliver::{AskedWhy, ConsoleHears, Ending, Evidence, Fact, GatewayHears};
use crate::limits::REROUTE_WAIT_MICROS_MAX;
use crate::units::{ContactId, DispatcherId, Name, Timestamp};

// --- what they say ---

impl Engine {
    pub(super) fn gateway_opened(&mut self, session: SessionId, gateway: Name, out: &mut Outputs) {
        if !self.core.admit(session, Session::Gateway { gateway }, out) {
            return;
        }
        if let Some(spare) = self.core.floor.gateway_opened(gateway, session) {
            self.core.floor.sessions.remove(&spare);
            out.push(Output::Close { session: spare });
        }
        // It may not have heard what was said while its last session died: it is told again, in slices.
        self.start_catch_up(CatchUp::tell(session, gateway), out);
    }

    pub(super) fn evidence(&mut self, session: Option<SessionId>, key: &ContactKey, evidence: Evidence, out: &mut Outputs) {
        self.core.counters.evidence += 1;
        if session.is_some_and(|session| !self.core.may_speak_of(session, key)) {
            return;
        }
        let digest = digest::of_key(key);
        let Some(id) = self.core.known.by_key(&digest) else {
            self.core.counters.evidence_early += 1;
            let whole = self.core.known.orphan(self.core.now, digest, evidence);
            self.core.counters.evidence_orphaned += u64::from(!whole);
            return;
        };
        match self.lives.get_mut(&id).filter(|life| life.ended.is_none()) {
            Some(life) => self.core.caller_says(life, evidence, out),
            None => self.core.counters.evidence_late += 1,
        }
    }

    /// What a caller's phone says of itself. Real calls before tests: a test phone may be a person's all the same.
    pub(super) fn line_evidence(&mut self, line: Name, evidence: Evidence, out: &mut Outputs) {
        self.core.counters.evidence += 1;
        let newest = |test: bool| {
            let of_line = (test, line, ContactId(0))..=(test, line, ContactId(u128::MAX));
            self.core.lines.range(of_line).next_back().map(|(.., id)| *id)
        };
        let found = newest(false).or_else(|| newest(true));
        match found.and_then(|id| self.lives.get_mut(&id)).filter(|life| life.ended.is_none()) {
            Some(life) => self.core.caller_says(life, evidence, out),
            None => {
                self.core.counters.evidence_early += 1;
                let whole = self.core.known.orphan(self.core.now, digest::of_line(&line), evidence);
                self.core.counters.evidence_orphaned += u64::from(!whole);
            }
        }
    }

    pub(super) fn redecided(&mut self, contact: ContactId, revision: u32, decision: Arc<DecisionRecord>, out: &mut Outputs) {
        let Some(life) = self.lives.get_mut(&contact).filter(|life| life.ended.is_none()) else {
            self.core.counters.decisions_stale += 1;
            return;
        };
        let awaited = life.reroute_due.is_some() && life.contact.revision == revision;
        if !awaited {
            self.core.counters.decisions_stale += 1;
            return;
        }
        // Evidence may raise, never lower: words of a test do not make one of a caller, nor does a decision that names nobody.
        let lowers = !life.test && (decision.test || decision.services.is_empty());
        self.core.counters.decisions_lowering += u64::from(lowers);
        let decision = if lowers { Arc::clone(&life.decision) } else { decision };
        self.core.decide_again(life, decision, out);
    }

    pub(super) fn answered(&mut self, session: SessionId, key: &ContactKey, dispatcher: DispatcherId, out: &mut Outputs) {
        let Some(life) = self.spoken_of(session, key) else { return };
        let core = &mut self.core;
        let Some(life) = self.lives.get_mut(&life) else { return };
        let same = life.answered.is_some_and(|room| core.floor.room(room).id == dispatcher);
        if !same {
            core.record(life, Fact::Answered { at: core.now, contact: life.id, dispatcher }, out);
        }
    }

    /// The next in the chain is asked now, if the room that failed is the one whose answer is awaited.
    pub(super) fn target_failed(&mut self, session: SessionId, key: &ContactKey, dispatcher: DispatcherId, out: &mut Outputs) {
        let Some(life) = self.spoken_of(session, key) else { return };
        let core = &mut self.core;
        core.counters.target_failed += 1;
        let Some(life) = self.lives.get_mut(&life) else { return };
        let failed = core.floor.room_of(&dispatcher);
        // A repeat caller whose way to the person who knows the case failed goes the ordinary way at once.
        let to_failed = |part: &super::Part| part.head_start.and_then(|(seat, _)| core.floor.seat(seat)).map(|seat| seat.room) == failed;
        let first = life.parts.iter().position(|part| part.lead && part.is_untaken() && part.head_start.is_some() && to_failed(part));
        if let Some(index) = first {
            core.end_head_start(life, index, out);
        }
        let awaited = |part: &super::Part| part.lead && part.is_untaken() && part.current.is_some() && part.current == failed;
        if let Some(index) = life.parts.iter().position(awaited) {
            core.advance(life, index, AskedWhy::TargetFailed, out);
        }
    }

    /// The live contact a gateway speaks of; counted when there is none, or when the gateway may not speak of it.
    pub(super) fn spoken_of(&mut self, session: SessionId, key: &ContactKey) -> Option<ContactId> {
        if !self.core.may_speak_of(session, key) {
            return None;
        }
        let live = |id: &ContactId| self.lives.get(id).is_some_and(|life| life.ended.is_none());
        let found = self.core.known.by_key(&digest::of_key(key)).filter(live);
        self.core.counters.unknown_contact += u64::from(found.is_none());
        found
    }
}

// --- evidence ---

impl Core {
    fn may_speak_of(&mut self, session: SessionId, key: &ContactKey) -> bool {
        let own = matches!(self.floor.sessions.get(&session), Some(Session::Gateway { gateway }) if *gateway == key.gateway);
        self.counters.out_of_turn += u64::from(!own);
        own
    }

    /// More from the caller or the network: lines of the conversation where the caller writes, and evidence.
    pub(super) fn caller_says(&mut self, life: &mut Life, evidence: Evidence, out: &mut Outputs) {
        self.hear(life, &evidence, out);
        self.merge_evidence(life, evidence, out);
    }

    /// Adds what is new to the contact and asks for a decision about it.
    pub(super) fn merge_evidence(&mut self, life: &mut Life, evidence: Evidence, out: &mut Outputs) {
        let Some(news) = merge(&mut life.contact, &evidence) else { return };
        let contact = Arc::make_mut(&mut life.contact);
        contact.revision = contact.revision.saturating_add(1);
        gather(&mut life.pending, news);
        life.reroutes = 0;
        self.ask_for_decision(life, out);
    }

    pub(super) fn ask_for_decision(&mut self, life: &mut Life, out: &mut Outputs) {
        let due = self.now.plus_micros(REROUTE_WAIT_MICROS_MAX);
        self.set_reroute(life, Some(due));
        life.reroutes = life.reroutes.saturating_add(1);
        out.push(Output::Reroute { contact: Arc::clone(&life.contact), revision: life.contact.revision });
    }

    pub(super) fn set_reroute(&mut self, life: &mut Life, due: Option<Timestamp>) {
        if let Some(before) = std::mem::replace(&mut life.reroute_due, due) {
            self.timers.unset(before, Timer::Reroute(life.id));
        }
        if let Some(at) = due {
            self.timers.set(at, Timer::Reroute(life.id));
        }
    }

    /// Writes the evidence and the decision about it down. What nobody has taken moves; to a holder the change is told.
    pub(super) fn decide_again(&mut self, life: &mut Life, decision: Arc<DecisionRecord>, out: &mut Outputs) {
        self.counters.redecided += 1;
        self.set_reroute(life, None);
        life.reroutes = 0;
        let (contact, revision, before) = (life.id, life.contact.revision, self.incident_of(life));
        let changed = ConsoleHears::Changed { contact, revision, decision: Arc::clone(&decision) };
        let evidence = std::mem::take(&mut life.pending);
        // Before it is shown anew: another place or type may make it an event's, or nobody's.
        life.event = self.event_of(&life.contact, &decision, life.test && decision.test);
        self.tell_rooms(life, &life.viewers(), &changed, out);
        self.reshape(life, Fact::Redecided { at: self.now, contact, revision, evidence, decision }, out);
        self.propose_transfers(life, out);
        self.find_related_again(life, before, out);
        if life.parts.is_empty() {
            // Still nobody to ask: a decision is asked for until one names somebody.
            self.set_reroute(life, Some(self.now.plus_micros(REROUTE_WAIT_MICROS_MAX)));
        } else {
            self.undecided.remove(&contact);
        }
        if life.is_done() {
            let ending = life.ending();
            self.end(life, ending, out);
        }
    }

    /// What somebody holds stays there; that another room is responsible now is proposed to the holder.
    fn propose_transfers(&mut self, life: &Life, out: &mut Outputs) {
        for part in life.parts.iter().filter(|part| part.outdated && part.holder.is_some() && part.closed.is_none()) {
            let Some(assigned) = life.decision.services.iter().find(|assigned| assigned.service == part.service) else { continue };
            self.counters.transfers_proposed += 1;
            let (offer, to) = (life.offer_id(part), assigned.dispatcher);
            self.tell_viewers(life, part, &ConsoleHears::Proposed { offer, to }, out);
        }
    }
}

// --- what they are told ---

impl Core {
    pub(super) fn to_gateway(&self, life: &Life, out: &mut Outputs, hears: impl FnOnce(ContactKey) -> GatewayHears) {
        if let Some(session) = self.floor.gateway_session(&life.contact.key.gateway) {
            out.push(Output::ToGateway { session, hears: hears(life.contact.key.clone()) });
        }
    }

    /// Everything that holds about a contact now, in the order it would have been said.
    pub(super) fn tell_gateway_all(&self, life: &Life, out: &mut Outputs) {
        match self.receipts.covers(life.arrived_seq) {
            Some(receipt) => self.say_durable(receipt, life, out),
            None if life.overdue => self.say_overdue(life, out),
            None => {}
        }
        self.tell_voice(life, out);
        self.say_all_to_caller(life, out);
        for part in &life.parts {
            if let Some((seat, seq)) = part.accepted
                && let Some(receipt) = self.receipts.covers(seq)
            {
                self.say_accepted(receipt, life, part.service, self.floor.seat_name(seat), out);
            }
        }
        if let Some((ending, seq)) = life.ended
            && let Some(receipt) = self.receipts.covers(seq)
        {
            self.say_ended(receipt, &life.contact.key, life.id, ending, out);
        }
    }

    /// Where the voice goes, when that is not where the first decision sent it.
    fn tell_voice(&self, life: &Life, out: &mut Outputs) {
        let Some(lead) = life.parts.iter().find(|part| part.lead) else { return };
        let moved = life.voice.filter(|_| life.voice != life.targeted);
        let Some(room) = moved.filter(|_| life.answered.is_none() && life.hung_up.is_none() && life.ended.is_none()) else { return };
        let (contact, service, dispatcher) = (life.id, lead.service, self.floor.room(room).id);
        self.to_gateway(life, out, |key| GatewayHears::Moved { key, contact, service, dispatcher });
    }

    /// A late duplicate of a contact that has ended.
    pub(super) fn tell_ended(&self, key: &ContactKey, contact: ContactId, left: &EndedLife, out: &mut Outputs) {
        let Some(receipt) = self.receipts.covers(left.ended_seq) else { return };
        if let Some(session) = self.floor.gateway_session(&key.gateway) {
            out.push(Output::ToGateway { session, hears: GatewayHears::Durable { key: key.clone(), contact } });
        }
        self.say_ended(receipt, key, contact, left.ending, out);
    }

    /// The end is in the journal: the gateway hears it, now or when it comes back.
    pub(super) fn keep_end(&mut self, key: ContactKey, contact: ContactId, ending: Ending) {
        let early = self.floor.contact_ended(EndNotice { at: self.now, key, contact, ending });
        self.counters.ends_forgotten += u64::from(early);
    }
}
