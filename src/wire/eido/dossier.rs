//! A contact as its journal entries tell it: what documents for other systems are made of.
//!
//! One dossier is the state at one entry. It is made from facts alone, so the same entries give the same dossier whenever they are
//! read: live, after a restart, or by somebody who catches up a week later.
//!
//! # Invariants
//! - A room that was told of a contact stays among those that may see it, whatever is decided later: nobody's contact disappears.
//! - Shares that somebody has in hands stay as they are when the decision changes, as they do in the engine.

use std::sync::Arc;

use crate::contact::Contact;
use crate::decision::{AssignedRecord, DecisionRecord};
use crate::deliver::{CallbackOutcome, Ending, Fact, HangUp, Note, OfferId, Seat};
use crate::engine::merge_evidence;
use crate::incident::IncidentId;
use crate::limits::{NOTES_SHOWN_MAX, VIEWERS_MAX};
use crate::service::Service;
use crate::units::{ContactId, DispatcherId, Timestamp};

/// A contact at one entry of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dossier {
    /// With all evidence so far.
    pub contact: Arc<Contact>,
    /// In force.
    pub decision: Arc<DecisionRecord>,
    /// Reaches test seats only.
    pub test: bool,
    pub arrived: Timestamp,
    /// The incident it would be alone: named by its first arrival.
    pub own: IncidentId,
    pub incident: IncidentId,
    /// The incident it was last taken out of.
    pub split_from: Option<IncidentId>,
    pub shares: Vec<ShareFile>,
    /// The newest; the journal has them all.
    pub notes: Vec<Note>,
    pub hung_up: Option<(HangUp, Timestamp)>,
    /// The caller is to be called back, and what came of it.
    pub callback: Option<Option<CallbackOutcome>>,
    /// The newest earlier contact of the same line.
    pub earlier: Option<ContactId>,
    /// Where the caller is spoken to.
    pub answered: Option<(DispatcherId, Timestamp)>,
    pub ended: Option<(Ending, Timestamp)>,
    /// Of the newest entry about it, and when that was made.
    pub seq: u64,
    pub changed: Timestamp,
    /// Rooms that may see it.
    seen: Vec<DispatcherId>,
}

/// One service's share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShareFile {
    pub service: Service,
    pub lead: bool,
    pub responsible: DispatcherId,
    /// Who was asked so far, in order.
    pub asked: Vec<DispatcherId>,
    pub held_by: Option<(Seat, Timestamp)>,
    pub accepted: Option<(Seat, Timestamp)>,
    pub closed: Option<Closing>,
    /// Who asks that another takes it, and why.
    pub declined: Option<(Seat, Box<str>)>,
}

/// How a share came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closing {
    pub by: Seat,
    pub at: Timestamp,
    pub reason: Box<str>,
}

impl ShareFile {
    fn of(assigned: &AssignedRecord) -> Self {
        Self {
            service: assigned.service,
            lead: assigned.lead,
            responsible: assigned.dispatcher,
            // That the first of a chain is asked needs no fact of its own.
            asked: vec![assigned.chain.first().copied().unwrap_or(assigned.dispatcher)],
            held_by: None,
            accepted: None,
            closed: None,
            declined: None,
        }
    }

    /// `waiting`, `taken`, `accepted` or `closed`.
    pub const fn state(&self) -> &'static str {
        match (&self.closed, &self.accepted, &self.held_by) {
            (Some(_), ..) => "closed",
            (_, Some(_), _) => "accepted",
            (_, _, Some(_)) => "taken",
            _ => "waiting",
        }
    }

    const fn is_touched(&self) -> bool {
        self.held_by.is_some() || self.accepted.is_some() || self.closed.is_some()
    }
}

impl Dossier {
    /// Begins with an arrival. `own` is the incident it is alone.
    pub fn new(seq: u64, own: IncidentId, at: Timestamp, contact: &Arc<Contact>, decision: &Arc<DecisionRecord>) -> Self {
        let mut dossier = Self {
            contact: Arc::clone(contact),
            decision: Arc::clone(decision),
            test: decision.test || contact.load_test,
            arrived: at,
            own,
            incident: own,
            split_from: None,
            shares: decision.services.iter().map(ShareFile::of).collect(),
            notes: Vec::new(),
            hung_up: None,
            callback: None,
            earlier: None,
            answered: None,
            ended: None,
            seq,
            changed: at,
            seen: Vec::new(),
        };
        dossier.look();
        dossier
    }

    pub fn id(&self) -> ContactId {
        self.contact.id
    }

    pub fn share(&self, service: Service) -> Option<&ShareFile> {
        self.shares.iter().find(|share| share.service == service)
    }

    /// Whether a seat of this room may see it; tests and what is real never meet.
    pub fn is_seen_by(&self, room: DispatcherId, test: bool) -> bool {
        self.test == test && self.seen.contains(&room)
    }

    /// The state after one more fact about this contact.
    pub fn apply(&mut self, seq: u64, fact: &Fact) {
        (self.seq, self.changed) = (seq, self.changed.max(fact.at()));
        match fact {
            Fact::Arrived { at, contact, decision, .. } => self.begin_again(seq, *at, contact, decision),
            Fact::Redecided { revision, evidence, decision, .. } => {
                if self.contact.revision < *revision {
                    merge_evidence(&mut self.contact, evidence);
                    Arc::make_mut(&mut self.contact).revision = *revision;
                }
                self.redecide(decision);
            }
            Fact::Asked { offer, dispatcher, .. } => self.with_share(offer, |share| {
                if share.asked.len() < VIEWERS_MAX && !share.asked.contains(dispatcher) {
                    share.asked.push(*dispatcher);
                }
            }),
            Fact::Taken { at, offer, seat } => {
                self.with_share(offer, |share| (share.held_by, share.declined) = (Some((*seat, *at)), None));
                self.see(seat.dispatcher);
            }
            Fact::Accepted { at, offer, seat } => self.with_share(offer, |share| share.accepted = Some((*seat, *at))),
            Fact::Waiting { offer, .. } => {
                self.with_share(offer, |share| (share.held_by, share.declined) = (None, None));
                self.follow_decision(offer.service);
            }
            Fact::Declined { offer, seat, reason, .. } => {
                self.with_share(offer, |share| share.declined = Some((*seat, reason.clone())));
            }
            Fact::Closed { at, offer, seat, reason } => self.with_share(offer, |share| {
                share.closed = Some(Closing { by: *seat, at: *at, reason: reason.clone() });
                (share.held_by, share.declined) = (None, None);
            }),
            Fact::HungUp { at, why, callback, .. } => {
                self.hung_up = Some((*why, *at));
                self.callback = callback.then_some(None);
            }
            Fact::CalledBack { outcome, .. } => self.callback = Some(Some(*outcome)),
            Fact::Repeated { earlier, .. } => self.earlier = Some(*earlier),
            Fact::Answered { at, dispatcher, .. } => self.answered = Some((*dispatcher, *at)),
            Fact::Noted { at, seat, text, .. } => {
                if self.notes.len() >= NOTES_SHOWN_MAX {
                    self.notes.remove(0);
                }
                self.notes.push(Note { at: *at, by: *seat, text: text.clone() });
            }
            Fact::Joined { incident, .. } => self.move_to(*incident),
            Fact::Ended { at, ending, .. } => self.ended = self.ended.or(Some((*ending, *at))),
            // What is not told of a contact here changes nothing that is shown.
            _ => {}
        }
        self.look();
    }

    /// After a loss everything is said again, the arrival first.
    fn begin_again(&mut self, seq: u64, at: Timestamp, contact: &Arc<Contact>, decision: &Arc<DecisionRecord>) {
        let before = self.clone();
        *self = Self::new(seq, before.own, at, contact, decision);
        self.changed = before.changed.max(at);
        before.seen.into_iter().for_each(|room| self.see(room));
    }

    fn redecide(&mut self, decision: &Arc<DecisionRecord>) {
        self.decision = Arc::clone(decision);
        // Once live, always live: evidence cannot turn a caller into a test.
        let was_test = self.test;
        self.test = self.contact.load_test || (self.test && decision.test);
        if decision.services.is_empty() {
            return;
        }
        let old = std::mem::take(&mut self.shares);
        if was_test && !self.test {
            // What test seats did is no work on a real contact, and what they were asked is not theirs to see.
            (self.shares, self.incident, self.split_from) = (decision.services.iter().map(ShareFile::of).collect(), self.own, None);
            self.seen.clear();
            return;
        }
        let lead_in_hands = old.iter().find(|share| share.lead && share.is_touched()).map(|share| share.service);
        for assigned in &decision.services {
            let before = old.iter().find(|share| share.service == assigned.service);
            self.shares.push(match before {
                Some(kept) if kept.is_touched() => kept.clone(),
                _ => ShareFile::of(assigned),
            });
        }
        let gone = |share: &ShareFile| decision.services.iter().all(|assigned| assigned.service != share.service);
        self.shares.extend(old.iter().filter(|share| share.is_touched() && gone(share)).cloned());
        let decided =
            decision.services.iter().find(|assigned| assigned.lead).or(decision.services.first()).map(|assigned| assigned.service);
        let lead = lead_in_hands.or(decided);
        self.shares.iter_mut().for_each(|share| share.lead = Some(share.service) == lead);
    }

    /// A share that waits again goes by the decision in force.
    fn follow_decision(&mut self, service: Service) {
        let Some(assigned) = self.decision.services.iter().find(|assigned| assigned.service == service) else { return };
        let Some(share) = self.shares.iter_mut().find(|share| share.service == service) else { return };
        if share.accepted.is_none() && share.responsible != assigned.dispatcher {
            let lead = share.lead;
            *share = ShareFile { lead, ..ShareFile::of(assigned) };
        }
    }

    fn move_to(&mut self, incident: IncidentId) {
        let before = std::mem::replace(&mut self.incident, incident);
        self.split_from = (incident == self.own && before != incident).then_some(before);
    }

    fn with_share(&mut self, offer: &OfferId, change: impl FnOnce(&mut ShareFile)) {
        if let Some(share) = self.shares.iter_mut().find(|share| share.service == offer.service) {
            change(share);
        }
    }

    /// Everybody who is told of it by what is known now.
    fn look(&mut self) {
        let shares = self.shares.iter().flat_map(|share| share.asked.iter().copied().chain([share.responsible]));
        let rooms: Vec<DispatcherId> = shares.chain(self.decision.neighbours.iter().map(|neighbour| neighbour.dispatcher)).collect();
        rooms.into_iter().for_each(|room| self.see(room));
    }

    fn see(&mut self, room: DispatcherId) {
        if !self.seen.contains(&room) {
            self.seen.push(room);
        }
    }
}

/// What a fact is called; `None` for what is no event of a contact.
pub const fn word_of(fact: &Fact) -> Option<&'static str> {
    Some(match fact {
        Fact::Accepted { .. } => "accepted",
        Fact::Answered { .. } => "answered",
        Fact::Arrived { .. } => "arrived",
        Fact::Asked { .. } => "asked",
        Fact::CalledBack { .. } => "called_back",
        Fact::Closed { .. } => "closed",
        Fact::Declined { .. } => "declined",
        Fact::Dispatched { .. } => "dispatched",
        Fact::Ended { .. } => "ended",
        Fact::Informed { again: false, .. } => "informed",
        Fact::HungUp { .. } => "hung_up",
        Fact::Joined { .. } => "joined",
        Fact::Noted { .. } => "noted",
        Fact::Redecided { .. } => "evidence",
        Fact::Repeated { .. } => "repeated",
        Fact::Said { .. } => "said",
        Fact::Taken { .. } => "taken",
        Fact::Waiting { .. } => "waiting",
        _ => return None,
    })
}

/// The share a fact is about, and the seat that did it.
pub const fn who_did(fact: &Fact) -> (Option<Service>, Option<Seat>) {
    match fact {
        Fact::Accepted { offer, seat, .. }
        | Fact::CalledBack { offer, seat, .. }
        | Fact::Closed { offer, seat, .. }
        | Fact::Declined { offer, seat, .. }
        | Fact::Dispatched { offer, seat, .. }
        | Fact::Taken { offer, seat, .. } => (Some(offer.service), Some(*seat)),
        Fact::Asked { offer, .. } | Fact::Waiting { offer, .. } => (Some(offer.service), None),
        Fact::Noted { seat, .. } => (None, Some(*seat)),
        Fact::Informed { seat, .. } | Fact::Joined { seat, .. } | Fact::Said { seat, .. } => (None, *seat),
        _ => (None, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contact::{ContactKey, Door};
    use crate::deliver::{Evidence, WaitingWhy};
    use crate::units::Name;

    const AT: Timestamp = Timestamp::from_secs(9);

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    fn decision(rooms: &[(Service, &str)], test: bool) -> Arc<DecisionRecord> {
        let share = |(index, (service, room)): (usize, &(Service, &str))| AssignedRecord {
            service: *service,
            dispatcher: name(room),
            area: None,
            probability: None,
            lead: index == 0,
            chain: vec![name(room)],
        };
        Arc::new(DecisionRecord { services: rooms.iter().enumerate().map(share).collect(), test, ..DecisionRecord::default() })
    }

    fn begun(decision: &Arc<DecisionRecord>) -> Dossier {
        let contact = Contact::new(ContactId(1), ContactKey::default(), AT, Door::SipVoice);
        Dossier::new(1, IncidentId::begun_by(0, 1), AT, &Arc::new(contact), decision)
    }

    fn offer(service: Service) -> OfferId {
        OfferId { contact: ContactId(1), service }
    }

    fn redecided(decision: &Arc<DecisionRecord>) -> Fact {
        Fact::Redecided { at: AT, contact: ContactId(1), revision: 1, evidence: Evidence::default(), decision: Arc::clone(decision) }
    }

    #[test]
    fn a_share_in_hands_stays_when_the_decision_changes_and_what_nobody_took_follows_it() {
        let mut dossier = begun(&decision(&[(Service::Police, "DU-POL"), (Service::Ambulance, "DU-AMB")], false));
        let seat = Seat { dispatcher: name("DU-POL"), seat: name("1") };
        dossier.apply(2, &Fact::Taken { at: AT, offer: offer(Service::Police), seat });
        dossier.apply(3, &redecided(&decision(&[(Service::Ambulance, "SH-AMB"), (Service::Police, "SH-POL")], false)));
        let rooms = |dossier: &Dossier| dossier.shares.iter().map(|share| (share.responsible.to_string(), share.lead)).collect::<Vec<_>>();
        assert_eq!(rooms(&dossier), [("SH-AMB".to_owned(), false), ("DU-POL".to_owned(), true)], "the lead that somebody took stays it");
        // Given back, it goes by the decision in force.
        dossier.apply(4, &Fact::Waiting { at: AT, offer: offer(Service::Police), why: WaitingWhy::Released, reason: "".into() });
        assert_eq!(rooms(&dossier), [("SH-AMB".to_owned(), false), ("SH-POL".to_owned(), true)]);
        for room in ["DU-POL", "DU-AMB", "SH-AMB", "SH-POL"] {
            assert!(dossier.is_seen_by(name(room), false), "{room} was told of it once");
        }
    }

    #[test]
    fn a_test_that_turns_out_to_be_a_caller_begins_anew_for_the_rooms_that_are_there_for_it() {
        let mut dossier = begun(&decision(&[(Service::Police, "DU-POL")], true));
        let seat = Seat { dispatcher: name("DU-POL"), seat: name("t") };
        dossier.apply(2, &Fact::Taken { at: AT, offer: offer(Service::Police), seat });
        dossier.apply(3, &Fact::Joined { at: AT, contact: ContactId(1), incident: IncidentId::begun_by(0, 9), seat: None });
        dossier.apply(4, &redecided(&decision(&[(Service::Police, "SH-POL")], false)));
        assert!(dossier.is_seen_by(name("SH-POL"), false) && !dossier.is_seen_by(name("DU-POL"), false), "{dossier:?}");
        assert_eq!((dossier.shares[0].state(), dossier.incident), ("waiting", dossier.own));
    }

    #[test]
    fn what_is_said_again_after_a_loss_replaces_what_was_said_and_keeps_the_name() {
        let first = decision(&[(Service::Police, "DU-POL")], false);
        let mut dossier = begun(&first);
        let seat = Seat { dispatcher: name("DU-POL"), seat: name("1") };
        dossier.apply(2, &Fact::Noted { at: AT, contact: ContactId(1), seat, text: "one".into() });
        let contact = Arc::clone(&dossier.contact);
        dossier.apply(9, &Fact::Arrived { at: AT, contact, decision: first, states: Vec::new() });
        dossier.apply(10, &Fact::Noted { at: AT, contact: ContactId(1), seat, text: "one".into() });
        assert_eq!((dossier.notes.len(), dossier.own, dossier.seq), (1, IncidentId::begun_by(0, 1), 10));
    }
}
