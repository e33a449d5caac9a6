//! One contact's life, as the facts tell it: the same facts always make the same life, live or after a restart.
//!
//! [`Life::apply`] is the only place where a fact changes a life. What is not in the facts (timers, screens, who is signed in) is
//! marked so, and a restart makes it anew.

use std::sync::Arc;

use arrayvec::ArrayVec;

use super::Alarm;
use super::conversation::Conversation;
use super::digest::{ContentDigest, KeyDigest};
use super::floor::{Floor, RoomIndex, SeatIndex};
use crate::contact::{Contact, LocationClaim, Oddity, Signal};
use crate::decision::{AssignedRecord, DecisionRecord};
use crate::deliver::{AskedWhy, CallbackOutcome, Delivery, Duty, Ending, Evidence, Fact, HangUp, Note, OfferId, Said, Seat};
use crate::event::EventId;
use crate::incident::{Candidate, IncidentId, Trace};
use crate::limits::{
    CALLED_MAX, CHAIN_MAX, CLAIMS_MAX, NEIGHBOURS_MAX, NOTES_SHOWN_MAX, RELATED_MAX, SERVICES_MAX, SIGNALS_MAX, VIEWERS_MAX,
};
use crate::service::Service;
use crate::units::{ContactId, Name, Timestamp};

/// The rooms one offer is on the screens of.
pub(super) type Viewers = ArrayVec<RoomIndex, VIEWERS_MAX>;

#[derive(Debug)]
pub(super) struct Life {
    pub id: ContactId,
    /// With all evidence so far.
    pub contact: Arc<Contact>,
    pub decision: Arc<DecisionRecord>,
    /// The revision of the contact that `decision` is about.
    pub decided: u32,
    pub key: KeyDigest,
    /// Of the contact as it arrived.
    pub content: ContentDigest,
    /// Reaches test seats only.
    pub test: bool,
    pub arrived: Timestamp,
    /// Of the arrival that the journal holds; another one after a loss.
    pub arrived_seq: u64,
    /// Of the first arrival the journal holds: its incident is named by it.
    pub began_seq: u64,
    /// Of the newest fact about it.
    pub last_seq: u64,
    pub parts: Vec<Part>,
    pub hung_up: Option<(HangUp, Timestamp)>,
    /// The caller is to be called back; a task of the share that leads.
    pub callback: Option<CallbackLive>,
    /// Another contact of the same line that had not ended when this one came, and the seat that held it.
    pub repeat: Option<(ContactId, Option<SeatIndex>)>,
    /// What people wrote about it, the newest last, and the fact of each.
    pub notes: Vec<(u64, Note)>,
    /// What was said in writing.
    pub conversation: Conversation,
    /// Who saw it without holding a share.
    pub readers: Vec<(Seat, Duty)>,
    /// Who released a message to its caller, and the fact of that.
    pub informed: Option<(Seat, u64)>,
    /// A decision about it said once that nothing may ring or be sent to its caller.
    pub was_quiet: bool,
    /// The incident it was joined to, and the fact of that; its own while `None`.
    pub joined: Option<(IncidentId, Option<Seat>, u64)>,
    /// Contacts of its incident that have ended; kept with one of those that live.
    pub left: Vec<ContactId>,
    /// The caller speaks to this room.
    pub answered: Option<RoomIndex>,
    /// The decision in force is not the one it arrived with.
    pub redecided: bool,
    /// Somebody took a share of it once.
    pub taken: bool,
    /// Somebody took the lead once: from then on the voice moves only with a person.
    pub lead_taken: bool,
    /// Where the door sent the voice.
    pub targeted: Option<RoomIndex>,
    pub ended: Option<(Ending, u64)>,

    // Not in the facts:
    /// Under which it is found by its line.
    pub line: Option<(bool, Name)>,
    /// Under which it is found by its place.
    pub trace: Option<(bool, Box<Trace>)>,
    /// What may speak of the same event, as its screens were told.
    pub candidates: ArrayVec<Candidate, RELATED_MAX>,
    /// The declared event it belongs to.
    pub event: Option<EventId>,
    /// Evidence merged into `contact` and not yet in the journal.
    pub pending: Evidence,
    pub reroute_due: Option<Timestamp>,
    pub reroutes: u8,
    /// Where the gateway was last told to bring the voice.
    pub voice: Option<RoomIndex>,
    /// The gateway was told that the journal is slow.
    pub overdue: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct CallbackLive {
    /// What came of it, and its fact.
    pub outcome: Option<(CallbackOutcome, u64)>,
}

/// One service's share of a contact.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub service: Service,
    pub lead: bool,
    pub responsible: RoomIndex,
    pub chain: ArrayVec<RoomIndex, CHAIN_MAX>,
    pub neighbours: ArrayVec<RoomIndex, NEIGHBOURS_MAX>,
    /// Bit `n`: the `n`th of the chain was asked.
    asked: u8,
    /// Rooms asked beside the chain, and why.
    called: Vec<(RoomIndex, AskedWhy)>,
    pub holder: Option<SeatIndex>,
    pub taken_seq: u64,
    pub accepted: Option<(SeatIndex, u64)>,
    pub closed: Option<(SeatIndex, u64)>,
    /// Units are on their way.
    pub dispatched: Option<(SeatIndex, u64)>,
    /// Its holder asks for another.
    pub declined: bool,
    /// The decision changed while somebody held it: the chain is that of the old decision.
    pub outdated: bool,

    // Not in the facts:
    pub opened: bool,
    /// The room whose answer is awaited.
    pub current: Option<RoomIndex>,
    pub take_by: Timestamp,
    /// When its screens must show it; after that it rings again for them. `None` once that was looked at.
    pub look_by: Option<Timestamp>,
    /// When everybody is asked, whatever the rooms' own times are.
    pub alarm_by: Timestamp,
    /// This seat is asked before the others, until then.
    pub head_start: Option<(SeatIndex, Timestamp)>,
    pub due: Option<Timestamp>,
    pub shown: bool,
    pub declined_by: Vec<SeatIndex>,
    pub alarm: Option<Alarm>,
}

impl Life {
    pub fn new(
        seq: u64,
        at: Timestamp,
        contact: Arc<Contact>,
        decision: Arc<DecisionRecord>,
        digests: (KeyDigest, ContentDigest),
        floor: &mut Floor,
    ) -> Self {
        let parts = parts_of(&decision, floor);
        let targeted = parts.iter().find(|part| part.lead).and_then(|part| part.chain.first().copied());
        Self {
            id: contact.id,
            key: digests.0,
            content: digests.1,
            test: decision.test || contact.load_test,
            decided: contact.revision,
            voice: targeted,
            conversation: Conversation::of(&contact, at),
            readers: Vec::new(),
            informed: None,
            was_quiet: decision.quiet,
            contact,
            decision,
            arrived: at,
            arrived_seq: seq,
            began_seq: seq,
            last_seq: seq,
            parts,
            hung_up: None,
            callback: None,
            repeat: None,
            notes: Vec::new(),
            joined: None,
            left: Vec::new(),
            answered: None,
            redecided: false,
            taken: false,
            lead_taken: false,
            targeted,
            ended: None,
            line: None,
            trace: None,
            candidates: ArrayVec::new(),
            event: None,
            pending: Evidence::default(),
            reroute_due: None,
            reroutes: 0,
            overdue: false,
        }
    }

    /// Nobody is on a voice path: it is written, and answered in writing.
    pub fn is_text(&self) -> bool {
        self.contact.door.is_text()
    }

    /// The language the caller uses, as far as is known.
    pub fn lang(&self) -> Option<[u8; 2]> {
        self.contact.lang.or(self.decision.lang)
    }

    pub fn position(&self, service: Service) -> Option<usize> {
        self.parts.iter().position(|part| part.service == service)
    }

    pub fn offer_id(&self, part: &Part) -> OfferId {
        OfferId { contact: self.id, service: part.service }
    }

    /// Every needed service has closed its share.
    pub fn is_done(&self) -> bool {
        !self.parts.is_empty() && self.parts.iter().all(|part| part.closed.is_some())
    }

    /// How it ends when every share is closed.
    pub fn ending(&self) -> Ending {
        let helped = self.parts.iter().any(|part| part.accepted.is_some());
        if self.callback_is_final() && !helped { Ending::CalledBack } else { Ending::Closed }
    }

    /// The caller was called back, and nothing is left to do.
    pub fn callback_is_final(&self) -> bool {
        self.callback.and_then(|callback| callback.outcome).is_some_and(|(outcome, _)| outcome.is_final())
    }

    /// The caller is gone and nobody has called back so far.
    pub fn awaits_callback(&self) -> bool {
        self.ended.is_none() && self.callback.is_some_and(|callback| callback.outcome.is_none())
    }

    /// The rooms that see any share of it, each once.
    pub fn viewers(&self) -> ArrayVec<RoomIndex, { VIEWERS_MAX * SERVICES_MAX }> {
        let mut rooms = ArrayVec::new();
        for room in self.parts.iter().filter(|part| part.closed.is_none()).flat_map(Part::viewers) {
            if !rooms.contains(&room) {
                let _ = rooms.try_push(room);
            }
        }
        rooms
    }

    /// Changes this life as the fact says. Facts about other contacts must not be given.
    pub fn apply(&mut self, seq: u64, fact: &Fact, floor: &mut Floor) {
        self.last_seq = self.last_seq.max(seq);
        match fact {
            Fact::Redecided { revision, evidence, decision, .. } => {
                // A live engine merged the evidence when it came; one that reads its journal merges it here.
                if self.contact.revision < *revision {
                    merge(&mut self.contact, evidence);
                    Arc::make_mut(&mut self.contact).revision = *revision;
                }
                self.decided = *revision;
                self.redecide(decision, floor);
            }
            Fact::Asked { offer, dispatcher, why, .. } => {
                let room = floor.room_index(*dispatcher);
                self.with_part(offer, |part| part.ask(room, *why));
            }
            Fact::Taken { offer, seat, .. } => {
                let seat = floor.seat_index(*seat, self.test);
                self.taken = true;
                self.lead_taken |= self.parts.iter().any(|part| part.lead && part.service == offer.service);
                self.with_part(offer, |part| (part.holder, part.taken_seq, part.declined) = (seat, seq, false));
            }
            Fact::Accepted { offer, seat, .. } => {
                let seat = floor.seat_index(*seat, self.test);
                self.with_part(offer, |part| part.accepted = seat.map(|seat| (seat, seq)));
            }
            Fact::Declined { offer, seat, .. } => {
                let seat = floor.seat_index(*seat, self.test);
                self.with_part(offer, |part| part.declined |= part.holder.is_some() && part.holder == seat);
            }
            Fact::Waiting { offer, .. } => {
                self.with_part(offer, |part| (part.holder, part.declined) = (None, false));
                self.catch_up_with_decision(offer.service, floor);
            }
            Fact::Closed { offer, seat, .. } => {
                let seat = floor.seat_index(*seat, self.test);
                self.with_part(offer, |part| {
                    part.closed = seat.or(part.holder).map(|seat| (seat, seq));
                    (part.holder, part.declined) = (None, false);
                });
            }
            Fact::HungUp { at, why, callback, .. } => {
                self.hung_up = Some((*why, *at));
                self.callback = callback.then_some(CallbackLive { outcome: None });
            }
            Fact::CalledBack { outcome, .. } => self.callback = Some(CallbackLive { outcome: Some((*outcome, seq)) }),
            Fact::Repeated { earlier, seat, .. } => {
                self.repeat = Some((*earlier, seat.and_then(|seat| floor.seat_index(seat, self.test))));
            }
            Fact::Noted { at, seat, text, .. } => {
                if self.notes.len() >= NOTES_SHOWN_MAX {
                    self.notes.remove(0);
                }
                self.notes.push((seq, Note { at: *at, by: *seat, text: text.clone() }));
            }
            Fact::Joined { incident, seat, .. } => self.joined = Some((*incident, *seat, seq)),
            Fact::Answered { dispatcher, .. } => self.answered = Some(floor.room_index(*dispatcher)),
            Fact::Ended { ending, .. } => self.ended = self.ended.or(Some((*ending, seq))),
            Fact::Said { at, number, seat, text, .. } => {
                let delivery = if seat.is_some() { Delivery::Pending } else { Delivery::Delivered };
                self.conversation.add(seq, Said { number: *number, at: *at, by: *seat, text: text.clone(), delivery });
            }
            Fact::Delivered { number, delivered, .. } => self.conversation.delivered(*number, *delivered),
            Fact::Left { ended, .. } => self.left.clone_from(ended),
            Fact::Read { by, duty, .. } => self.was_read(*by, *duty),
            Fact::Informed { seat: Some(seat), .. } => self.informed = self.informed.map_or(Some((*seat, seq)), |(by, _)| Some((by, seq))),
            Fact::Dispatched { offer, seat, .. } => {
                let seat = floor.seat_index(*seat, self.test);
                self.with_part(offer, |part| part.dispatched = seat.map(|seat| (seat, seq)));
            }
            Fact::Arrived { .. }
            | Fact::Declared { .. }
            | Fact::EventOver { .. }
            | Fact::Informed { seat: None, .. }
            | Fact::Rated { .. }
            | Fact::State { .. }
            | Fact::Tables { .. } => {}
        }
    }

    fn with_part(&mut self, offer: &OfferId, change: impl FnOnce(&mut Part)) {
        if let Some(part) = self.parts.iter_mut().find(|part| part.service == offer.service) {
            change(part);
        }
    }

    /// Shares that nobody took follow the new decision; shares that somebody took stay where they are. A service that is no longer
    /// needed goes only if nobody took it.
    fn redecide(&mut self, decision: &Arc<DecisionRecord>, floor: &mut Floor) {
        self.decision = Arc::clone(decision);
        self.redecided = true;
        self.was_quiet |= decision.quiet;
        // Once live, always live: evidence cannot turn a caller into a test.
        let was_test = self.test;
        self.test = self.contact.load_test || (self.test && decision.test);
        if decision.services.is_empty() {
            return;
        }
        if was_test && !self.test {
            // What test seats did is no work on a real contact.
            (self.parts, self.taken, self.lead_taken, self.joined) = (parts_of(decision, floor), false, false, None);
            return;
        }
        let mut old = std::mem::take(&mut self.parts);
        for mut fresh in parts_of(decision, floor) {
            let before = old.iter().position(|part| part.service == fresh.service).map(|index| old.remove(index));
            self.parts.push(match before {
                Some(mut kept) if kept.is_touched() => {
                    kept.outdated |= kept.chain != fresh.chain || kept.responsible != fresh.responsible;
                    kept
                }
                Some(kept) if kept.chain == fresh.chain => {
                    fresh.carry_on(kept);
                    fresh
                }
                Some(kept) => {
                    // The caller has waited all the same.
                    fresh.alarm_by = kept.alarm_by;
                    // The place has changed, the caller has not.
                    fresh.called = kept.called.into_iter().filter(|(_, why)| *why == AskedWhy::Repeat).collect();
                    fresh
                }
                None => fresh,
            });
        }
        self.parts.extend(old.into_iter().filter(Part::is_touched));
        self.parts.truncate(SERVICES_MAX);
        self.one_lead();
    }

    /// A share that waits again after the decision changed goes by the new decision.
    fn catch_up_with_decision(&mut self, service: Service, floor: &mut Floor) {
        let Some(part) = self.parts.iter_mut().find(|part| part.service == service) else { return };
        if !part.outdated || part.accepted.is_some() {
            return;
        }
        part.outdated = false;
        let lead = part.lead;
        if let Some(mut fresh) = parts_of(&self.decision, floor).into_iter().find(|fresh| fresh.service == service) {
            (fresh.lead, fresh.taken_seq) = (lead, part.taken_seq);
            *part = fresh;
        }
    }

    /// A lead that somebody took stays the lead: the voice is there.
    fn one_lead(&mut self) {
        let taken = self.parts.iter().position(|part| part.lead && part.is_touched());
        let first = taken.or_else(|| self.parts.iter().position(|part| part.lead)).unwrap_or(0);
        for (index, part) in self.parts.iter_mut().enumerate() {
            part.lead = index == first;
        }
    }
}

// --- impl Part ---

impl Part {
    fn new(assigned: &AssignedRecord, floor: &mut Floor) -> Self {
        let mut chain = ArrayVec::new();
        for id in &assigned.chain {
            let room = floor.room_index(*id);
            if !chain.contains(&room) {
                let _ = chain.try_push(room);
            }
        }
        let responsible = floor.room_index(assigned.dispatcher);
        if chain.is_empty() {
            chain.push(responsible);
        }
        Self {
            service: assigned.service,
            lead: assigned.lead,
            responsible,
            chain,
            neighbours: ArrayVec::new(),
            asked: 1,
            called: Vec::new(),
            holder: None,
            taken_seq: 0,
            accepted: None,
            closed: None,
            dispatched: None,
            declined: false,
            outdated: false,
            opened: false,
            current: None,
            take_by: Timestamp::default(),
            look_by: None,
            alarm_by: Timestamp::default(),
            head_start: None,
            due: None,
            shown: false,
            declined_by: Vec::new(),
            alarm: None,
        }
    }

    /// Somebody holds it, or has dealt with it.
    pub fn is_touched(&self) -> bool {
        self.holder.is_some() || self.accepted.is_some() || self.closed.is_some()
    }

    /// The next in the chain is asked when the time comes.
    pub fn is_seeking(&self) -> bool {
        self.closed.is_none() && (self.declined || self.is_untaken())
    }

    /// Nobody holds it and nobody has sent help.
    pub fn is_untaken(&self) -> bool {
        self.closed.is_none() && self.holder.is_none() && self.accepted.is_none()
    }

    /// When its time on this rung is over.
    pub fn next_due(&self) -> Timestamp {
        let step = match self.head_start {
            Some((_, until)) => until,
            None => self.look_by.unwrap_or(self.take_by).min(self.take_by),
        };
        step.min(self.alarm_by)
    }

    pub fn is_asked(&self, position: usize) -> bool {
        position < CHAIN_MAX && self.asked & (1 << position) != 0
    }

    /// Those of the chain that were asked, in its order, then those asked beside it. Each once.
    pub fn asked_rooms(&self) -> impl Iterator<Item = RoomIndex> {
        let beside = self.called.iter().map(|(room, _)| *room).filter(|room| !self.is_asked_in_turn(*room));
        self.asked_in_turn().chain(beside)
    }

    pub fn asked_in_turn(&self) -> impl Iterator<Item = RoomIndex> {
        self.chain.iter().enumerate().filter(|(position, _)| self.is_asked(*position)).map(|(_, room)| *room)
    }

    pub fn is_asked_in_turn(&self, room: RoomIndex) -> bool {
        self.asked_in_turn().any(|asked| asked == room)
    }

    /// Rooms asked beside the chain, and why.
    pub fn called(&self) -> &[(RoomIndex, AskedWhy)] {
        &self.called
    }

    /// Where in the chain the asking stands: one past the last that was asked.
    pub fn next_position(&self) -> usize {
        (u8::BITS - self.asked.leading_zeros()) as usize
    }

    /// The rooms asked, in the order of the chain, then its neighbours.
    pub fn viewers(&self) -> Viewers {
        let mut rooms: Viewers = self.asked_rooms().collect();
        for room in &self.neighbours {
            if !rooms.contains(room) {
                let _ = rooms.try_push(*room);
            }
        }
        rooms
    }

    pub fn is_seen_by(&self, room: RoomIndex) -> bool {
        self.asked_rooms().any(|asked| asked == room) || self.neighbours.contains(&room)
    }

    fn ask(&mut self, room: RoomIndex, why: AskedWhy) {
        let in_chain = self.chain.iter().position(|in_chain| *in_chain == room);
        // A room that is asked because of the caller, not of the place, still has its turn in the chain.
        let Some(position) = in_chain.filter(|_| why != AskedWhy::Repeat) else {
            if self.called.len() < CALLED_MAX && self.called.iter().all(|(called, _)| *called != room) {
                self.called.push((room, why));
            }
            return;
        };
        // The first of a chain counts as asked from the start; that it was full is known one step later, here.
        if why == AskedWhy::Full && self.asked == 1 {
            self.asked = 0;
        }
        self.asked |= 1 << position;
    }

    /// The same chain under a new decision: what was asked stays asked, and the wait goes on.
    fn carry_on(&mut self, before: Self) {
        let neighbours = std::mem::take(&mut self.neighbours);
        let (lead, responsible) = (self.lead, self.responsible);
        *self = Self { neighbours, lead, responsible, ..before };
    }
}

/// The shares of a decision: one for each service, one of them the lead, each neighbour beside the service it might be needed for.
fn parts_of(decision: &DecisionRecord, floor: &mut Floor) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::with_capacity(decision.services.len().min(SERVICES_MAX));
    for assigned in &decision.services {
        if parts.iter().all(|part| part.service != assigned.service) {
            parts.push(Part::new(assigned, floor));
        }
    }
    let lead = parts.iter().position(|part| part.lead).unwrap_or(0);
    for (index, part) in parts.iter_mut().enumerate() {
        part.lead = index == lead;
    }
    for neighbour in &decision.neighbours {
        let beside = parts.iter().position(|part| part.service == neighbour.service).unwrap_or(lead);
        let room = floor.room_index(neighbour.dispatcher);
        if let Some(part) = parts.get_mut(beside)
            && part.chain.first() != Some(&room)
            && !part.neighbours.contains(&room)
        {
            let _ = part.neighbours.try_push(room);
        }
    }
    parts
}

// --- evidence ---

/// Adds what is new of the evidence to the contact and returns that; `None` when there is nothing new. The revision is the caller's.
pub fn merge(contact: &mut Arc<Contact>, evidence: &Evidence) -> Option<Evidence> {
    let lang = evidence.lang.filter(|lang| contact.lang != Some(*lang));
    let claims: Vec<_> = evidence.claims.iter().filter(|claim| !contact.claims.contains(claim)).take(CLAIMS_MAX).cloned().collect();
    let signals: Vec<_> = evidence.signals.iter().filter(|signal| !contact.signals.contains(signal)).take(SIGNALS_MAX).cloned().collect();
    if lang.is_none() && claims.is_empty() && signals.is_empty() {
        return None;
    }
    let into = Arc::make_mut(contact);
    into.lang = lang.or(into.lang);
    if evidence.claims.len() > CLAIMS_MAX {
        note(into, Oddity::ClaimsCut);
    }
    if evidence.signals.len() > SIGNALS_MAX {
        note(into, Oddity::SignalsCut);
    }
    for claim in &claims {
        add_claim(into, claim);
    }
    for signal in &signals {
        add_signal(into, signal);
    }
    Some(Evidence { claims, signals, lang })
}

/// The best ranked claims stay; of two of one rank, the later one.
fn add_claim(contact: &mut Contact, claim: &LocationClaim) {
    if contact.claims.len() < CLAIMS_MAX {
        contact.claims.push(claim.clone());
        return;
    }
    note(contact, Oddity::ClaimsCut);
    let worst = contact.claims.iter().enumerate().rev().max_by_key(|(_, kept)| kept.source).map(|(index, kept)| (index, kept.source));
    if let Some((index, source)) = worst
        && claim.source <= source
    {
        contact.claims.remove(index);
        contact.claims.push(claim.clone());
    }
}

/// What was said first stays, and so does what was said last: the middle is cut.
fn add_signal(contact: &mut Contact, signal: &Signal) {
    if contact.signals.len() >= SIGNALS_MAX {
        note(contact, Oddity::SignalsCut);
        contact.signals.remove(SIGNALS_MAX / 2);
    }
    contact.signals.push(signal.clone());
}

fn note(contact: &mut Contact, oddity: Oddity) {
    if !contact.oddities.contains(&oddity) {
        contact.oddities.push(oddity);
    }
}

/// Whether two contacts with one key can be the same contact at different revisions: what one holds, the other holds as well.
pub(super) fn is_same_but_for_evidence(a: &Contact, b: &Contact) -> bool {
    let (less, more) = if a.signals.len() + a.claims.len() <= b.signals.len() + b.claims.len() { (a, b) } else { (b, a) };
    (a.door, a.load_test, &a.trunk, &a.line, &a.cell) == (b.door, b.load_test, &b.trunk, &b.line, &b.cell)
        && less.claims.iter().all(|claim| more.claims.contains(claim))
        && less.signals.iter().all(|signal| more.signals.contains(signal))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contact::{ClaimSource, ContactKey, Door, Place, Whose};
    use crate::geo::point::Point;
    use crate::units::Ppm;

    fn contact() -> Arc<Contact> {
        Arc::new(Contact::new(ContactId(1), ContactKey::default(), Timestamp::default(), Door::App))
    }

    fn claim(source: ClaimSource, age_secs: u32) -> LocationClaim {
        let place = Place::point(Point::default());
        LocationClaim { whose: Whose::Caller, place, source, age_secs, confidence: Ppm::ONE }
    }

    #[test]
    fn a_better_claim_takes_the_place_of_the_worst_and_a_worse_one_is_cut() {
        let mut contact = contact();
        let cells = (0..CLAIMS_MAX as u32).map(|age| claim(ClaimSource::ServingCell, age)).collect();
        merge(&mut contact, &Evidence { claims: cells, ..Evidence::default() });
        let better = Evidence { claims: vec![claim(ClaimSource::DeviceFix, 0)], ..Evidence::default() };
        merge(&mut contact, &better);
        assert_eq!((contact.claims.len(), contact.claims.last()), (CLAIMS_MAX, better.claims.first()));
        let fixes = (1..CLAIMS_MAX as u32).map(|age| claim(ClaimSource::DeviceFix, age)).collect();
        merge(&mut contact, &Evidence { claims: fixes, ..Evidence::default() });
        merge(&mut contact, &Evidence { claims: vec![claim(ClaimSource::ServingCell, 99)], ..Evidence::default() });
        assert!(contact.claims.iter().all(|claim| claim.source == ClaimSource::DeviceFix));
        assert_eq!(contact.oddities, [Oddity::ClaimsCut]);
    }

    #[test]
    fn what_is_already_known_is_no_news() {
        let mut contact = contact();
        let evidence = Evidence { claims: vec![claim(ClaimSource::Civic, 1)], lang: Some(*b"ur"), ..Evidence::default() };
        assert!(merge(&mut contact, &evidence).is_some());
        assert!(merge(&mut contact, &evidence).is_none());
    }

    #[test]
    fn a_contact_with_more_evidence_is_the_same_and_one_with_other_evidence_is_not() {
        let (plain, mut more, mut other) = (contact(), contact(), contact());
        merge(&mut more, &Evidence { signals: vec![Signal::MenuKey(1)], ..Evidence::default() });
        merge(&mut other, &Evidence { signals: vec![Signal::MenuKey(2)], ..Evidence::default() });
        assert!(is_same_but_for_evidence(&plain, &more) && is_same_but_for_evidence(&more, &plain));
        assert!(!is_same_but_for_evidence(&more, &other));
    }
}
