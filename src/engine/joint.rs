//! What people do together: notes that everybody on a contact sees, one incident of several contacts, a service added, a share handed
//! over.
//!
//! Contacts that may speak of one event are proposed to each other's screens (`crate::incident`); only a person joins them, and may
//! split them again. The exception is a caller who calls again: what one line says within one contact's life is one incident. Joining
//! moves nobody's offer, lease or clock, and hides nothing: it says which contacts belong together.
//!
//! # Invariants
//! - An incident's name is that of its oldest contact.
//! - While one of its contacts lives, an incident names those that have ended: they are kept with one of those that live.
//! - Tests are never joined with what is real.
//! - A note, a join and a split are told when the journal holds them.

use super::console::{Command, cut_to, must_hold};
use super::floor::SeatIndex;
use super::life::{Life, Part};
use super::receipt::{Promise, Receipt};
use super::repeat::Earlier;
use super::{Core, Engine, Outputs, SessionId};
use crate::contact::Signal;
use crate::deliver::{AskedWhy, ConsoleHears, Evidence, Fact, Note, Refusal, Seat, Share, WaitingWhy};
use crate::incident::{IncidentId, Trace, likeness};
use crate::limits::{JOINED_MAX, NOTE_BYTES_MAX, RELATED_MAX};
use crate::service::Service;
use crate::units::{ContactId, DispatcherId};

// --- commands ---

impl Engine {
    pub(super) fn note(&mut self, session: SessionId, seat: SeatIndex, contact: ContactId, text: &str, out: &mut Outputs) {
        let text = cut_to(text.trim(), NOTE_BYTES_MAX);
        let Some(by) = self.may_speak(session, seat, contact, out) else { return };
        let Some(life) = self.lives.get_mut(&contact).filter(|_| !text.is_empty()) else { return };
        self.core.write_note(life, by, text.into(), out);
    }

    /// A service that the evidence did not ask for is evidence of its own: the decision names its room, and the share is offered there.
    pub(super) fn add_service(&mut self, session: SessionId, seat: SeatIndex, contact: ContactId, service: Service, out: &mut Outputs) {
        let Some(by) = self.may_speak(session, seat, contact, out) else { return };
        let Some(life) = self.lives.get_mut(&contact).filter(|life| life.position(service).is_none()) else { return };
        self.core.counters.services_added += 1;
        self.core.write_note(life, by, format!("+{}", service.word()).into(), out);
        let evidence = Evidence { signals: vec![Signal::Wanted(service)], ..Evidence::default() };
        self.core.merge_evidence(life, evidence, out);
    }

    /// Both incidents become the older one.
    pub(super) fn join(&mut self, session: SessionId, seat: SeatIndex, contact: ContactId, with: ContactId, out: &mut Outputs) {
        let Some(by) = self.may_speak(session, seat, contact, out) else { return };
        let of = |id| self.lives.get(&id).filter(|life| life.ended.is_none()).map(|life| (self.core.incident_of(life), life.test));
        let (Some((one, one_test)), Some((other, other_test))) = (of(contact), of(with)) else {
            return self.core.refuse(session, None, Refusal::Unknown, out);
        };
        if one_test != other_test {
            return self.core.refuse(session, None, Refusal::Forbidden, out);
        }
        if one == other {
            return;
        }
        let (stays, goes) = (one.min(other), one.max(other));
        let count = |incident| self.core.incidents.get(&incident).map_or(1, std::collections::BTreeSet::len);
        if count(stays) + count(goes) > JOINED_MAX {
            return self.core.refuse(session, None, Refusal::Full, out);
        }
        let alone = if one == goes { contact } else { with };
        let founder = if one == stays { contact } else { with };
        self.core.incidents.entry(stays).or_default().insert(founder);
        let moves = self.core.incidents.remove(&goes).unwrap_or_else(|| [alone].into());
        for id in moves {
            self.put_into(id, stays, Some(by), out);
        }
    }

    /// The contact is an incident of its own again. When it gave the incident its name, the others go on under the next oldest.
    pub(super) fn split(&mut self, session: SessionId, seat: SeatIndex, contact: ContactId, out: &mut Outputs) {
        let Some(by) = self.may_speak(session, seat, contact, out) else { return };
        let Some(life) = self.lives.get(&contact) else { return };
        let (own, incident) = (self.core.own_incident(life), self.core.incident_of(life));
        let Some(members) = self.core.incidents.remove(&incident).filter(|members| members.len() > 1) else { return };
        let others: Vec<ContactId> = members.into_iter().filter(|id| *id != contact).collect();
        let of_others = others.iter().filter_map(|id| self.lives.get(id)).map(|life| self.core.own_incident(life)).min();
        let named = if incident == own { of_others.unwrap_or(incident) } else { incident };
        for id in &others {
            if named == incident {
                self.core.incidents.entry(incident).or_default().insert(*id);
            } else {
                self.put_into(*id, named, Some(by), out);
            }
        }
        self.put_into(contact, own, Some(by), out);
        // What has ended was with the others.
        let Some(life) = self.lives.get_mut(&contact).filter(|life| !life.left.is_empty()) else { return };
        let ended = life.left.clone();
        self.core.note_left(life, Vec::new(), out);
        self.core.leaving.push((named, ended));
    }

    /// Contacts that have ended stay with their incident while another of it lives: with the first of those.
    pub(super) fn keep_those_who_left(&mut self, out: &mut Outputs) {
        while let Some((incident, ended)) = self.core.leaving.pop() {
            let first = self.core.incidents.get(&incident).and_then(|members| members.first().copied());
            let Some(life) = first.and_then(|first| self.lives.get_mut(&first)).filter(|life| life.ended.is_none()) else { continue };
            let mut all = life.left.clone();
            all.extend(ended.into_iter().filter(|id| !life.left.contains(id)));
            let spare = all.len().saturating_sub(JOINED_MAX);
            all.drain(..spare);
            self.core.note_left(life, all, out);
        }
    }

    pub(super) fn tell_members_ended(&mut self, _: Receipt, contact: ContactId, out: &mut Outputs) {
        let Some(life) = self.lives.get(&contact).filter(|life| life.ended.is_none()) else { return };
        let incident = self.core.incident_of(life);
        let members = self.core.incidents.get(&incident).map_or_else(|| vec![contact], |members| members.iter().copied().collect());
        for member in members {
            if let Some(life) = self.lives.get(&member).filter(|life| life.ended.is_none()) {
                let hears = ConsoleHears::MembersEnded { contact: member, ended: self.core.ended_of(incident) };
                self.core.tell_rooms(life, &life.viewers(), &hears, out);
            }
        }
    }

    fn put_into(&mut self, contact: ContactId, incident: IncidentId, by: Option<Seat>, out: &mut Outputs) {
        if let Some(life) = self.lives.get_mut(&contact) {
            self.core.put_into(life, incident, by, out);
        }
    }

    /// As [`Self::may_see`], for who wants to write something down.
    pub(super) fn may_speak(&mut self, session: SessionId, seat: SeatIndex, contact: ContactId, out: &mut Outputs) -> Option<Seat> {
        let name = self.may_see(session, seat, contact, out)?;
        if !self.core.can_promise() {
            self.core.refuse(session, None, Refusal::Full, out);
            return None;
        }
        Some(name)
    }

    /// The seat's name, when it sees any share of the contact; else it is told why not.
    pub(super) fn may_see(&mut self, session: SessionId, seat: SeatIndex, contact: ContactId, out: &mut Outputs) -> Option<Seat> {
        let core = &mut self.core;
        let live = core.floor.seat(seat).map(|live| (live.room, live.seat, live.test));
        let life = self.lives.get(&contact).filter(|life| life.ended.is_none());
        let (Some((room, name, test)), Some(life)) = (live, life) else {
            core.refuse(session, None, Refusal::Unknown, out);
            return None;
        };
        let holds = || life.parts.iter().any(|part| part.holder == Some(seat) || part.accepted.is_some_and(|(by, _)| by == seat));
        if life.test != test || !(life.viewers().contains(&room) || holds()) {
            core.refuse(session, None, Refusal::NotYours, out);
            return None;
        }
        Some(name)
    }

    /// What one line says within the life of its earlier contact is one incident.
    pub(super) fn join_earlier(&mut self, life: &mut Life, earlier: Option<Earlier>, out: &mut Outputs) {
        let Some(before) = earlier.and_then(|earlier| self.lives.get(&earlier.contact)) else { return };
        let incident = self.core.incident_of(before);
        let members = self.core.incidents.entry(incident).or_default();
        if members.len() >= JOINED_MAX {
            return;
        }
        members.insert(before.id);
        self.core.put_into(life, incident, None, out);
    }

    /// The likeliest of those a new contact may belong to hears of it too: its holder knows the event.
    pub(super) fn tell_related(&mut self, contact: ContactId, out: &mut Outputs) {
        let Some(life) = self.lives.get(&contact).filter(|life| life.ended.is_none()) else { return };
        let (Some(best), Some((_, trace))) = (life.candidates.first().copied(), life.trace.clone()) else { return };
        let Some(other) = self.lives.get_mut(&best.contact).filter(|other| other.ended.is_none()) else { return };
        let Some(back) = other.trace.as_ref().and_then(|(_, of_other)| likeness(of_other, &trace)) else { return };
        other.candidates.retain(|known| known.contact != contact);
        other.candidates.truncate(RELATED_MAX - 1);
        let at = other.candidates.iter().position(|known| known.score < back.score).unwrap_or(other.candidates.len());
        let _ = other.candidates.try_insert(at, back);
        self.core.say_related(other, out);
    }
}

impl Core {
    /// The holder hands its share to a room of its choice, and keeps it until somebody there has taken it.
    pub(super) fn hand_over(
        &mut self,
        command: Command,
        life: &mut Life,
        index: usize,
        (to, reason): (DispatcherId, Box<str>),
        out: &mut Outputs,
    ) -> Result<(), Refusal> {
        let Command { seat, offer, .. } = command;
        must_hold(life.parts.get(index).ok_or(Refusal::Unknown)?, seat)?;
        let room = self.floor.room_of(&to).ok_or(Refusal::Unknown)?;
        if !self.floor.is_staffed(room, life.test) || self.floor.seat(seat).is_some_and(|live| live.room == room) {
            return Err(Refusal::Unstaffed);
        }
        self.counters.handed_over += 1;
        let fact = Fact::Declined { at: self.now, offer, seat: self.floor.seat_name(seat), reason };
        self.record(life, fact, out);
        let part = life.parts.get_mut(index).ok_or(Refusal::Unknown)?;
        self.begin_wait(part);
        let viewers = part.viewers();
        self.tell_rooms(life, &viewers, &ConsoleHears::Waiting { offer, why: WaitingWhy::Declined }, out);
        self.widen(life, index, out, |core, life, out| {
            core.ask(life, index, room, AskedWhy::HandedOver, out);
            core.await_answer(life, index, room, out);
        });
        Ok(())
    }

    fn write_note(&mut self, life: &mut Life, seat: Seat, text: Box<str>, out: &mut Outputs) {
        self.counters.notes += 1;
        let contact = life.id;
        let seq = self.record(life, Fact::Noted { at: self.now, contact, seat, text }, out);
        self.receipts.promise(seq, Promise::Noted(contact));
    }

    fn put_into(&mut self, life: &mut Life, incident: IncidentId, by: Option<Seat>, out: &mut Outputs) {
        self.counters.joined += 1;
        let contact = life.id;
        self.unlist_left(life);
        let seq = self.record(life, Fact::Joined { at: self.now, contact, incident, seat: by }, out);
        self.list_incident(life);
        self.list_left(life);
        if let Some((test, trace)) = &mut life.trace {
            trace.incident = incident;
            self.scene.belongs(*test, trace, incident);
        }
        life.candidates.retain(|candidate| candidate.incident != incident);
        self.receipts.promise(seq, Promise::Joined(contact));
    }
}

// --- promises ---

impl Core {
    pub(super) fn keep_noted(&mut self, _: Receipt, seq: u64, life: &Life, out: &mut Outputs) {
        let Some((_, note)) = life.notes.iter().find(|(of, _)| *of == seq) else { return };
        self.tell_rooms(life, &life.viewers(), &ConsoleHears::Noted { contact: life.id, note: note.clone() }, out);
    }

    pub(super) fn keep_joined(&mut self, _: Receipt, seq: u64, life: &Life, out: &mut Outputs) {
        let Some((incident, by, _)) = life.joined.filter(|(.., of)| *of == seq) else { return };
        let contacts = self.incidents.get(&incident).map_or_else(|| vec![life.id], |members| members.iter().copied().collect());
        self.tell_rooms(life, &life.viewers(), &ConsoleHears::Joined { contact: life.id, incident, contacts, by }, out);
    }

    fn say_related(&mut self, life: &Life, out: &mut Outputs) {
        self.counters.related += 1;
        let hears = ConsoleHears::Related { contact: life.id, candidates: life.candidates.to_vec() };
        self.tell_rooms(life, &life.viewers(), &hears, out);
    }

    /// Tells the rooms of the other services how far this one has come; those that see its share hear of each step itself.
    pub(super) fn tell_other_services(&self, life: &Life, service: Service, out: &mut Outputs) {
        let part = life.parts.iter().find(|part| part.service == service);
        let Some(part) = part.filter(|_| life.parts.len() > 1 && life.ended.is_none()) else { return };
        let sees = part.viewers();
        let beside: Vec<_> = life.viewers().into_iter().filter(|room| !sees.contains(room)).collect();
        if !beside.is_empty() {
            self.tell_rooms(life, &beside, &ConsoleHears::Shares { contact: life.id, shares: self.shares_promised(life) }, out);
        }
    }

    pub(super) fn shares_promised(&self, life: &Life) -> Vec<Share> {
        let held = |seq| self.is_stored(seq);
        let share = |part: &Part| Share {
            service: part.service,
            responsible: self.floor.room(part.responsible).id,
            held_by: part.holder.filter(|_| held(part.taken_seq)).map(|seat| self.floor.seat_name(seat)),
            accepted: part.accepted.is_some_and(|(_, seq)| held(seq)),
            closed: part.closed.is_some_and(|(_, seq)| held(seq)),
            dispatched: part.dispatched.is_some_and(|(_, seq)| held(seq)),
        };
        life.parts.iter().map(share).collect()
    }

    /// As screens show them: those that the journal holds.
    pub(super) fn notes_promised(&self, life: &Life) -> Vec<Note> {
        life.notes.iter().filter(|(seq, _)| self.is_stored(*seq)).map(|(_, note)| note.clone()).collect()
    }

    pub(super) fn incident_promised(&self, life: &Life) -> IncidentId {
        let held = life.joined.filter(|(.., seq)| self.is_stored(*seq));
        held.map_or_else(|| self.own_incident(life), |(incident, ..)| incident)
    }

    /// The other live contacts of its incident.
    pub(super) fn others_of(&self, life: &Life) -> Vec<ContactId> {
        let members = self.incidents.get(&self.incident_promised(life)).into_iter().flatten();
        members.copied().filter(|id| *id != life.id).take(JOINED_MAX).collect()
    }

    /// What the journal lost of notes and joins is written again.
    pub(super) fn say_joint_again(&mut self, life: &mut Life, out: &mut Outputs) {
        let contact = life.id;
        for (seq, note) in &mut life.notes {
            let Note { at, by, text } = note.clone();
            *seq = self.append(Fact::Noted { at, contact, seat: by, text }, out);
            self.receipts.promise(*seq, Promise::Noted(contact));
        }
        if !life.left.is_empty() {
            let seq = self.append(Fact::Left { at: self.now, contact, ended: life.left.clone() }, out);
            self.receipts.promise(seq, Promise::Left(contact));
        }
        if let Some((incident, seat, seq)) = &mut life.joined {
            *seq = self.append(Fact::Joined { at: self.now, contact, incident: *incident, seat: *seat }, out);
            self.receipts.promise(*seq, Promise::Joined(contact));
        }
    }
}

// --- lists ---

impl Core {
    /// The incident that began with this contact.
    pub(super) fn own_incident(&self, life: &Life) -> IncidentId {
        IncidentId::begun_by(self.config.partition, life.began_seq)
    }

    pub(super) fn incident_of(&self, life: &Life) -> IncidentId {
        life.joined.map_or_else(|| self.own_incident(life), |(incident, ..)| incident)
    }

    /// Lets the contact be found by its incident, when it was joined to one.
    pub(super) fn list_incident(&mut self, life: &Life) {
        if let Some((incident, ..)) = life.joined {
            self.incidents.entry(incident).or_default().insert(life.id);
        }
    }

    /// Who gave an incident its name belongs to it without a fact of its own.
    pub(super) fn list_founder(&mut self, life: &Life) {
        if life.joined.is_none()
            && let Some(members) = self.incidents.get_mut(&IncidentId::begun_by(self.config.partition, life.began_seq))
        {
            members.insert(life.id);
        }
    }

    /// Puts the contact on the ground, and finds what else there may speak of the same event.
    pub(super) fn enter_scene(&mut self, life: &mut Life, compare: bool) {
        if life.ended.is_some() {
            return;
        }
        let incident = self.incident_of(life);
        let Some(trace) = Trace::of(&life.contact, &life.decision, incident, life.arrived) else { return };
        if compare {
            life.candidates = self.scene.candidates(life.test, &trace);
        }
        self.scene.enter(life.test, trace.clone());
        life.trace = Some((life.test, Box::new(trace)));
    }

    /// New evidence: another place or another type may make other contacts related. `before` is the incident it belonged to.
    pub(super) fn find_related_again(&mut self, life: &mut Life, before: IncidentId, out: &mut Outputs) {
        if life.ended.is_some() {
            return;
        }
        if let Some((test, trace)) = life.trace.take() {
            self.scene.leave(test, &trace);
        }
        if self.incident_of(life) != before {
            // A test that turned out to be a caller belongs to no test's incident.
            self.unlist_incident(before, life.id);
        }
        let known = std::mem::take(&mut life.candidates);
        self.enter_scene(life, true);
        if known != life.candidates {
            self.say_related(life, out);
        }
    }

    pub(super) fn leave_scene(&mut self, life: &mut Life) {
        if let Some((test, trace)) = life.trace.take() {
            self.scene.leave(test, &trace);
        }
        let incident = self.incident_of(life);
        self.unlist_left(life);
        self.unlist_incident(incident, life.id);
        if self.incidents.contains_key(&incident) {
            self.leaving.push((incident, life.left.iter().copied().chain([life.id]).collect()));
        }
    }

    fn note_left(&mut self, life: &mut Life, ended: Vec<ContactId>, out: &mut Outputs) {
        let contact = life.id;
        self.unlist_left(life);
        let seq = self.record(life, Fact::Left { at: self.now, contact, ended }, out);
        self.list_left(life);
        self.receipts.promise(seq, Promise::Left(contact));
    }

    /// Lets those who have ended be found by the incident of the life that keeps them.
    pub(super) fn list_left(&mut self, life: &Life) {
        if !life.left.is_empty() && life.ended.is_none() {
            self.incidents_left.entry(self.incident_of(life)).or_default().extend(&life.left);
        }
    }

    fn unlist_left(&mut self, life: &Life) {
        let incident = self.incident_of(life);
        let Some(listed) = self.incidents_left.get_mut(&incident) else { return };
        listed.retain(|id| !life.left.contains(id));
        if listed.is_empty() {
            self.incidents_left.remove(&incident);
        }
    }

    /// The contacts of an incident that have ended.
    pub(super) fn ended_of(&self, incident: IncidentId) -> Vec<ContactId> {
        self.incidents_left.get(&incident).into_iter().flatten().copied().take(JOINED_MAX).collect()
    }

    fn unlist_incident(&mut self, incident: IncidentId, contact: ContactId) {
        let Some(members) = self.incidents.get_mut(&incident) else { return };
        members.remove(&contact);
        if members.is_empty() {
            self.incidents.remove(&incident);
        }
    }
}
