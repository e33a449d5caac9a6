//! A contact comes: for the first time, again, or back from somebody who kept it while we were away.

use std::sync::Arc;

use super::digest::{ContentDigest, KeyDigest};
use super::known::{EndedLife, evidence_in};
use super::life::{Life, is_same_but_for_evidence};
use super::receipt::Promise;
use super::repeat::Earlier;
use super::{Core, Engine, Outputs, digest};
use crate::contact::Contact;
use crate::decision::{DecisionRecord, Discrepancy};
use crate::deliver::{DispatcherState, Ending, Fact};
use crate::limits::{CHAIN_MAX, CONTACTS_LIVE_MAX, SERVICES_MAX};
use crate::units::{ContactId, DispatcherId};

type Digests = (KeyDigest, ContentDigest);

/// What an arrival turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// A contact already known under this id.
    Known(ContactId),
    New(ContactId),
}

impl Engine {
    pub(super) fn arrived(
        &mut self,
        contact: Arc<Contact>,
        decision: Arc<DecisionRecord>,
        handed_back: bool,
        out: &mut Outputs,
    ) -> Arrival {
        self.core.counters.handed_back += u64::from(handed_back);
        let digests = (digest::of_key(&contact.key), digest::of_content(&contact));
        if let Some(id) = self.same_contact(&contact, digests, handed_back) {
            self.core.counters.duplicates += 1;
            self.arrived_again(id, &contact, handed_back, out);
            return Arrival::Known(id);
        }
        let contact = self.with_fresh_id(contact);
        let decision = self.with_reuse_noted(digests.0, decision);
        let id = contact.id;
        if self.lives.len() >= self.core.config.contacts_live_max {
            self.core.overflow(contact, decision, digests, out);
        } else {
            let mut life = Box::new(self.core.begin(contact, decision, digests, out));
            let earlier = self.earlier_of(&life);
            self.join_earlier(&mut life, earlier, out);
            life.event = self.core.event_of(&life.contact, &life.decision, life.test);
            self.core.enter_scene(&mut life, true);
            self.core.welcome(&mut life, earlier, out);
            self.lives.insert(id, life);
            self.tell_related(id, out);
        }
        Arrival::New(id)
    }

    pub(super) fn news(&mut self, contact: Arc<Contact>, decision: Arc<DecisionRecord>, out: &mut Outputs) {
        let newest = self.core.known.by_key(&digest::of_key(&contact.key));
        match newest.and_then(|id| self.lives.get_mut(&id)).filter(|life| life.ended.is_none()) {
            Some(life) => {
                self.core.counters.evidence += 1;
                self.core.caller_says(life, evidence_in(&contact), out);
            }
            None => drop(self.arrived(contact, decision, false, out)),
        }
    }

    /// The contact this one is: the same content, or the same contact with more or less evidence handed back.
    fn same_contact(&self, contact: &Contact, (key, content): Digests, handed_back: bool) -> Option<ContactId> {
        let known = |id: &ContactId| self.lives.contains_key(id) || self.core.known.ended(id).is_some();
        if let Some(id) = self.core.known.by_content(&content).filter(known) {
            return Some(id);
        }
        let lives = self.lives.get(&contact.id).is_some_and(|life| life.key == key);
        let lived = self.core.known.ended(&contact.id).is_some_and(|left| left.key == key);
        if lives || lived {
            return Some(contact.id);
        }
        let newest = self.core.known.by_key(&key).filter(|_| handed_back)?;
        let life = self.lives.get(&newest)?;
        is_same_but_for_evidence(&life.contact, contact).then_some(newest)
    }

    /// Tells the sender what is known. What a hand-back knows and we do not is evidence.
    fn arrived_again(&mut self, id: ContactId, contact: &Contact, handed_back: bool, out: &mut Outputs) {
        if let Some(life) = self.lives.get_mut(&id) {
            self.core.tell_gateway_all(life, out);
            if handed_back && life.ended.is_none() {
                let mut evidence = evidence_in(contact);
                evidence.signals.retain(|signal| !life.contact.signals.contains(signal));
                self.core.caller_says(life, evidence, out);
            }
        } else if let Some(left) = self.core.known.ended(&id).copied() {
            self.core.tell_ended(&contact.key, id, &left, out);
        }
    }

    /// An id that another contact has is a defect of the edge that made it; the contact gets another and lives.
    fn with_fresh_id(&mut self, mut contact: Arc<Contact>) -> Arc<Contact> {
        while self.lives.contains_key(&contact.id) || self.core.known.ended(&contact.id).is_some() {
            self.core.counters.internal += 1;
            let id = &mut Arc::make_mut(&mut contact).id;
            *id = ContactId(id.0.wrapping_add(1));
        }
        contact
    }

    /// A key that another contact had is kept as it came; the decision says so, and the contact's id tells the two apart.
    fn with_reuse_noted(&mut self, key: KeyDigest, mut decision: Arc<DecisionRecord>) -> Arc<DecisionRecord> {
        if self.core.known.by_key(&key).is_some() {
            self.core.counters.keys_reused += 1;
            let code = Discrepancy::KeyReused.code();
            if !decision.discrepancies.contains(&code) {
                Arc::make_mut(&mut decision).discrepancies.push(code);
            }
        }
        decision
    }
}

impl Core {
    /// The fact, the life it begins, and the promise that waits for it.
    fn begin(&mut self, contact: Arc<Contact>, decision: Arc<DecisionRecord>, digests: Digests, out: &mut Outputs) -> Life {
        self.counters.arrived += 1;
        let seq = self.next_seq();
        let mut life = Life::new(seq, self.now, Arc::clone(&contact), Arc::clone(&decision), digests, &mut self.floor);
        let states = self.states_of(&decision);
        let seq = self.append(Fact::Arrived { at: self.now, contact, decision, states }, out);
        debug_assert_eq!(seq, life.arrived_seq);
        self.remember_life(&mut life);
        if life.contact.revision > 0 {
            // Handed back with what came later: every word of it is a line, as if it had just been said.
            let words = evidence_in(&life.contact);
            self.hear(&mut life, &words, out);
        }
        self.receipts.promise(seq, Promise::Arrived(life.id));
        self.unstored.push_back((self.now.plus_micros(self.config.journal_wait_micros_max), seq, life.id));
        life
    }

    fn remember_life(&mut self, life: &mut Life) {
        self.list_line(life);
        self.known.began(life.id, life.key, life.content);
        self.floor.contact_began(life.contact.key.gateway, life.id);
    }

    /// Offers it to every service it needs, or sinks it when it is a test that nobody is there to see.
    fn welcome(&mut self, life: &mut Life, earlier: Option<Earlier>, out: &mut Outputs) {
        if self.is_without_audience(life) {
            self.sink(life, out);
            return;
        }
        if life.parts.is_empty() {
            // `route` is total, so this is a defect; the contact stays alive while a decision is asked for.
            self.counters.internal += 1;
            self.undecided.insert(life.id);
            self.ask_for_decision(life, out);
        }
        let first = earlier.and_then(|earlier| self.note_repeat(life, earlier, out));
        for index in 0..life.parts.len() {
            let first_seat = first.filter(|(share, _)| *share == index).map(|(_, seat)| seat);
            self.open(life, index, first_seat, out);
        }
        let of_line = life.line.map(|(_, line)| digest::of_line(&line));
        for key in [Some(life.key), of_line].into_iter().flatten() {
            if let Some(evidence) = self.known.adopt(&key) {
                self.caller_says(life, evidence, out);
            }
        }
    }

    /// A test, and nobody is signed in at a room of one of its chains. Right after a restart test seats have time to come back, as
    /// people have; a test for nobody's eyes does not wait.
    pub(super) fn is_without_audience(&self, life: &Life) -> bool {
        let has_audience = || life.parts.iter().flat_map(|part| &part.chain).any(|room| self.floor.is_staffed(*room, true));
        let may_come = self.is_recovering() && !life.parts.is_empty();
        life.test && !may_come && !has_audience()
    }

    pub(super) fn sink(&mut self, life: &mut Life, out: &mut Outputs) {
        debug_assert!(life.test, "only tests are sunk");
        self.counters.tests_sunk += 1;
        self.end(life, Ending::TestSunk, out);
    }

    /// Writes down how it ended, takes it off every list, and has the end told once the journal holds it.
    pub(super) fn end(&mut self, life: &mut Life, ending: Ending, out: &mut Outputs) {
        if life.ended.is_some() {
            self.counters.internal += 1;
            return;
        }
        self.counters.ended += 1;
        for index in 0..life.parts.len() {
            self.leave(life, index);
            self.set_due(life, index, None);
            let Some(part) = life.parts.get(index).filter(|part| part.opened && part.closed.is_none()) else { continue };
            let offer = life.offer_id(part);
            self.tell_viewers(life, part, &crate::deliver::ConsoleHears::Withdrawn { offer }, out);
        }
        self.set_reroute(life, None);
        self.undecided.remove(&life.id);
        self.ask_how_it_was(life, ending, out);
        let seq = self.record(life, Fact::Ended { at: self.now, contact: life.id, ending }, out);
        self.list_callback(life);
        self.unlist_line(life);
        self.leave_scene(life);
        self.receipts.promise(seq, Promise::Ended(life.id));
    }

    /// No room for another life: the door's targets stand, the journal holds the contact, and everybody is told so.
    fn overflow(&mut self, contact: Arc<Contact>, decision: Arc<DecisionRecord>, (key_digest, content): Digests, out: &mut Outputs) {
        self.counters.overflowed += 1;
        let (id, key) = (contact.id, contact.key.clone());
        let states = self.states_of(&decision);
        self.append(Fact::Arrived { at: self.now, contact, decision, states }, out);
        let ending = Ending::Overflowed;
        let ended_seq = self.append(Fact::Ended { at: self.now, contact: id, ending }, out);
        self.known.began(id, key_digest, content);
        self.known.remember(self.now, id, EndedLife { key: key_digest, content, ending, ended_seq });
        if self.receipts.waiting_count() < self.config.promises_max.saturating_add(CONTACTS_LIVE_MAX) {
            self.receipts.promise(ended_seq, Promise::Overflowed(Box::new((key, id))));
        } else {
            self.counters.promises_cut += 1;
        }
    }

    /// The states that matter to this decision: of the rooms it names, those that are not simply active.
    fn states_of(&self, decision: &DecisionRecord) -> Vec<(DispatcherId, DispatcherState)> {
        if self.states.is_empty() {
            return Vec::new();
        }
        let named = decision.services.iter().take(SERVICES_MAX).flat_map(|assigned| assigned.chain.iter().take(CHAIN_MAX));
        let mut states: Vec<_> =
            named.filter_map(|id| Some((*id, *self.states.get(id)?))).filter(|(_, state)| *state != DispatcherState::Active).collect();
        states.sort_unstable_by_key(|(id, _)| *id);
        states.dedup();
        states
    }
}
