//! What a request means, and what it hears.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use ring::hmac;

use super::answers::{Attempt, Call};
use super::peers::Peer;
use super::{Backlog, GATEWAY, Hall};
use crate::contact::{Contact, ContactKey, Door, Oddity, Signal};
use crate::deliver::{Evidence, HangUp};
use crate::edge::ingress::alerts::About;
use crate::edge::ingress::lines::{Line, Waiting, content_bits, id_with};
use crate::edge::ingress::{Core, Decided, count};
use crate::engine::Input;
use crate::limits::{IDENTITY_BYTES_MAX, TEXT_BYTES_MAX};
use crate::units::{DispatcherId, Name, Timestamp};
use crate::wire::call::read_request;
use crate::wire::dialog_info::{self, Fate, Leg};
use crate::wire::multipart;
use crate::wire::notes::{Notes, cut};
use crate::wire::reading::{Outcome, Reading, Receipt};
use crate::wire::sip::{NoRequest, Request};
use crate::wire::sip_answer::{self as write, Answer};
use crate::wire::uri::{Uri, address, parameter};

/// An answer, and where it goes when the request was a datagram.
#[derive(Debug)]
pub(super) struct Reply {
    pub to: SocketAddr,
    pub what: What,
}

#[derive(Debug)]
pub(super) enum What {
    Now(Vec<u8>),
    Soon(Soon),
}

/// An answer that waits for the journal.
#[derive(Debug)]
pub(super) struct Soon {
    waiting: Option<Waiting>,
    call: Arc<Call>,
    durable: Vec<u8>,
    not_yet: Vec<u8>,
}

impl Soon {
    pub async fn answer(self, hall: &Hall) -> Vec<u8> {
        let known_as = match self.waiting {
            // The engine says `Overdue` after its own wait; the second one is for a queue that is full.
            Some(waiting) => waiting.heard(hall.config.journal_wait * 2).await,
            None => None,
        };
        if known_as.is_none() {
            return self.not_yet;
        }
        self.call.set_durable();
        self.durable
    }
}

/// A call by what stays the same in all its requests.
struct Identity {
    /// Its contact's reference: the Call-ID as far as there is room, and a digest.
    reference: Box<str>,
    digest: hmac::Tag,
    cseq: u32,
}

/// What a reference is for: a text and a call with one Call-ID are two contacts.
#[derive(Clone, Copy)]
enum Sort {
    Call,
    Message,
}

impl Hall {
    /// Hears one message. `None` is silence.
    pub(super) fn hear(&self, bytes: &[u8], peer: &Peer) -> Option<Reply> {
        self.hear_by(bytes, peer, |hall| hall.hear_calmly(bytes, peer))
    }

    fn hear_by(&self, bytes: &[u8], peer: &Peer, calmly: impl FnOnce(&Self) -> Option<Reply>) -> Option<Reply> {
        let heard = catch_unwind(AssertUnwindSafe(|| calmly(self)));
        heard.unwrap_or_else(|_| {
            count(&self.counters.last_resorts);
            tracing::error!(source = %peer.source, "reading a message panicked; the last resort answers");
            catch_unwind(AssertUnwindSafe(|| self.unread(bytes, peer))).unwrap_or_default()
        })
    }

    fn hear_calmly(&self, bytes: &[u8], peer: &Peer) -> Option<Reply> {
        let mut notes = Notes::default();
        match Request::read(bytes, &mut notes) {
            Ok(request) => self.request(&request, notes, peer),
            Err(NoRequest::Dropped(_)) => None,
            Err(NoRequest::Refused { status, why }) => {
                count(&self.counters.malformed);
                let request = Request::salvage(bytes).filter(|request| &*request.method != "ACK")?;
                Some(self.answer(&request, peer, status, &write::remark(&self.config.name, why)))
            }
        }
    }

    /// A message that cannot even be read without a defect of ours: if it is a call, the room that answers when nothing is known.
    fn unread(&self, bytes: &[u8], peer: &Peer) -> Option<Reply> {
        let request = Request::salvage(bytes).filter(|request| &*request.method == "INVITE")?;
        let now = self.core.clock.now();
        let identity = self.identity(&request, Sort::Call);
        let mut contact = Contact::new(id_with(identity.digest.as_ref(), now), key(&identity), now, Door::SipVoice);
        contact.trunk = peer.trunk;
        contact.load_test = peer.load_test;
        let decided = self.core.last_resort(&contact);
        let (call, _) = self.begin(contact, decided, &identity, now);
        Some(self.redirect(&request, peer, &call, 0, &identity))
    }

    fn request(&self, request: &Request<'_>, notes: Notes, peer: &Peer) -> Option<Reply> {
        match &*request.method {
            "ACK" => None,
            "OPTIONS" => Some(self.options(request, peer)),
            "INVITE" if to_tag(request).is_none() => Some(self.invite(request, notes, peer)),
            "CANCEL" | "BYE" => Some(self.gone(request, peer)),
            "INFO" | "MESSAGE" => Some(self.said(request, notes, peer)),
            "NOTIFY" | "PUBLISH" => Some(self.reported(request, notes, peer)),
            _ => Some(self.refusal(request, &read_request(request, notes, self.core.clock.now()), peer)),
        }
    }

    /// Of what every answer is made.
    fn answer(&self, request: &Request<'_>, peer: &Peer, status: u16, more: &str) -> Reply {
        let tag = hex(self.sign(request, "to").as_ref(), 8);
        let bytes = Answer { status, request, source: peer.source, to_tag: &tag }.write(more);
        Reply { to: write::datagram_return(request, peer.source), what: What::Now(bytes) }
    }

    /// # Source
    /// RFC 3261, 11. Touches nothing that a call uses.
    pub(super) fn options(&self, request: &Request<'_>, peer: &Peer) -> Reply {
        if *self.draining.borrow() {
            return self.answer(request, peer, 503, "Retry-After: 5\r\n");
        }
        self.answer(request, peer, 200, &[write::ALLOW, write::ACCEPT, write::SUPPORTED].concat())
    }

    fn refusal(&self, request: &Request<'_>, reading: &Reading, peer: &Peer) -> Reply {
        let (status, why) = match reading.outcome {
            Outcome::Rejected { status, why } => (status, why),
            Outcome::Answered { status } => (status, ""),
            Outcome::Dropped { why, status } => (status.unwrap_or(200), why),
            Outcome::Routed => (501, "method_unknown"),
        };
        let mut more = if why.is_empty() { String::new() } else { write::remark(&self.config.name, why) };
        if matches!(status, 405 | 501) {
            more.push_str(write::ALLOW);
        }
        self.answer(request, peer, status, &more)
    }

    // --- calls ---

    fn invite(&self, request: &Request<'_>, notes: Notes, peer: &Peer) -> Reply {
        let now = self.core.clock.now();
        let identity = self.identity(request, Sort::Call);
        match self.answers.attempt(&identity.reference, identity.cseq, now) {
            Attempt::Again(call, first) => {
                count(&self.counters.repeated);
                self.redirect(request, peer, &call, first, &identity)
            }
            Attempt::Next { call, first, failed } => {
                if let Some(dispatcher) = failed {
                    let key = call.key.clone();
                    self.tell_in_session(move |session| Input::TargetFailed { session, key, dispatcher });
                }
                // It may know more now than at the first attempt; what is known already changes nothing.
                let reading = read_request(request, notes, now);
                if let Some(contact) = self.contact(&reading, &identity, peer, now) {
                    self.tell_evidence(&call.key, evidence_of(contact, false));
                }
                self.fetch(&reading, &call.key, now);
                self.redirect(request, peer, &call, first, &identity)
            }
            Attempt::Unknown => {
                let reading = read_request(request, notes, now);
                let Some(contact) = self.contact(&reading, &identity, peer, now) else {
                    return self.refusal(request, &reading, peer);
                };
                let decided = self.desk.decide(&contact, now);
                let (call, is_ours) = self.begin(contact, decided, &identity, now);
                if is_ours {
                    self.fetch(&reading, &call.key, now);
                }
                if let Some(imei) = reading.imei.as_deref() {
                    let reported = self.devices.called(imei, call.key.clone(), now);
                    self.tell_evidence(&call.key, reported.unwrap_or_default());
                }
                self.redirect(request, peer, &call, 0, &identity)
            }
        }
    }

    /// The contact in a request that is routed.
    fn contact(&self, reading: &Reading, identity: &Identity, peer: &Peer, now: Timestamp) -> Option<Contact> {
        let id = id_with(identity.digest.as_ref(), now);
        let mut contact = reading.contact(Receipt { id, gateway: Name::of_word(GATEWAY), trunk: peer.trunk, received: now })?;
        contact.key = key(identity);
        contact.load_test = peer.load_test;
        Some(contact)
    }

    /// Keeps the answer and tells the engine of the contact, unless another copy of the request was quicker: then it is not ours.
    fn begin(&self, contact: Contact, decided: Decided, identity: &Identity, now: Timestamp) -> (Arc<Call>, bool) {
        let decision = Arc::clone(&decided.decision);
        let call = Arc::new(Call::new(contact.id, contact.key.clone(), decided));
        let (call, is_ours) = self.answers.keep(&identity.reference, Some(identity.cseq), call, now);
        if is_ours {
            count(&self.counters.contacts);
            if !contact.oddities.is_empty() {
                count(&self.counters.contacts_cut);
            }
            // The engine works while the answer is on its way, on a thread of its own: this one has other callers to answer.
            self.tell(Input::Arrived { session: self.line.session(), contact: Arc::new(contact), decision, handed_back: false });
        } else {
            count(&self.counters.repeated);
        }
        (call, is_ours)
    }

    fn redirect(&self, request: &Request<'_>, peer: &Peer, call: &Call, first: usize, identity: &Identity) -> Reply {
        let Decided { decision, targets } = &call.decided;
        let mut more = String::with_capacity(768);
        let mut status = if peer.lrf { 300 } else { 302 };
        if targets.is_empty() {
            // Only a test names nobody (RFC 6881, 17).
            match &self.config.test_uri {
                Some(uri) => more.push_str(&format!("Contact: <{uri}>;q=1.0\r\n")),
                None => status = 404,
            }
        } else {
            more.push_str(&write::contacts(targets, first));
        }
        more.push_str(&write::call_info(request, &self.config.name, &format!("{:016x}", content_bits(call.id))));
        more.push_str(&write::warning(&self.config.name, decision));
        more.push_str(&write::history(request));
        if decision.discrepancies.iter().any(|code| code.as_str() == "bad_location") {
            more.push_str(write::PLACE_UNREADABLE);
        }
        let tag = hex(identity.digest.as_ref().get(16..).unwrap_or_default(), 8);
        let bytes = Answer { status, request, source: peer.source, to_tag: &tag }.write(&more);
        Reply { to: write::datagram_return(request, peer.source), what: What::Now(bytes) }
    }

    /// The caller is gone, or somebody tidies up: where nobody has taken the call that makes a callback.
    fn gone(&self, request: &Request<'_>, peer: &Peer) -> Reply {
        let identity = self.identity(request, Sort::Call);
        let known = self.answers.find(&identity.reference, self.core.clock.now()).is_some();
        // Answers are kept for half a minute, the engine knows a call as long as it lives.
        if !answered_elsewhere(request) {
            let key = key(&identity);
            self.tell_in_session(move |session| Input::HungUp { session, key, why: HangUp::Caller });
        }
        self.answer(request, peer, if known { 200 } else { 481 }, "")
    }

    // --- words and data ---

    /// A text, an alert, or data of a car: evidence about a call that is known, else a contact of its own.
    fn said(&self, request: &Request<'_>, notes: Notes, peer: &Peer) -> Reply {
        let now = self.core.clock.now();
        let reading = read_request(request, notes, now);
        if reading.outcome != Outcome::Routed {
            return self.refusal(request, &reading, peer);
        }
        let (about, own) = (self.identity(request, Sort::Call), self.identity(request, Sort::Message));
        if let Some(call) = self.answers.find(&about.reference, now) {
            let evidence = self.contact(&reading, &about, peer, now).map(|contact| evidence_of(contact, reading.in_dialog));
            self.tell_evidence(&call.key, evidence.unwrap_or_default());
            self.fetch(&reading, &call.key, now);
            return self.answer(request, peer, 200, "");
        }
        let says_something = reading.msd.is_some() || reading.cap.is_some() || reading.has_place() || reading.text.is_some();
        if !says_something && &*request.method == "INFO" {
            // Keys and timers of somebody's call: nothing in it is for us.
            return self.answer(request, peer, 481, "");
        }
        let call = match self.answers.attempt(&own.reference, own.cseq, now) {
            Attempt::Again(call, _) => {
                count(&self.counters.repeated);
                return self.answer(request, peer, if call.is_durable() { 200 } else { 202 }, &self.identifiers(request, &call));
            }
            Attempt::Next { call, .. } => {
                let evidence = self.contact(&reading, &own, peer, now).map(|contact| evidence_of(contact, reading.in_dialog));
                self.tell_evidence(&call.key, evidence.unwrap_or_default());
                return self.answer(request, peer, if call.is_durable() { 200 } else { 202 }, &self.identifiers(request, &call));
            }
            Attempt::Unknown => {
                let Some(mut contact) = self.contact(&reading, &own, peer, now) else { return self.refusal(request, &reading, peer) };
                match reading.cap.as_ref().map(|cap| self.alerts.about(Name::of_word(GATEWAY), cap, now)) {
                    None => {}
                    Some(About::Itself(key)) => contact.key = key,
                    Some(About::Update(key)) => {
                        contact.key = key;
                        let decision = self.desk.decide(&contact, now).decision;
                        self.tell(Input::News { contact: Arc::new(contact), decision });
                        return self.answer(request, peer, 202, "");
                    }
                    Some(About::Cancel(key)) => {
                        self.tell_evidence(&key, taken_back(&reading));
                        self.tell_in_session(move |session| Input::HungUp { session, key, why: HangUp::Caller });
                        return self.answer(request, peer, 202, "");
                    }
                    Some(About::Nothing) => {
                        count(&self.counters.malformed);
                        return self.answer(request, peer, 200, &write::remark(&self.config.name, "cap_cancels_nothing"));
                    }
                }
                let decided = self.desk.decide(&contact, now);
                let waiting = Line::wait(Arc::clone(&self.line), &contact.key.gateway_ref, contact.id);
                let (call, is_ours) = self.begin(contact, decided, &own, now);
                if is_ours {
                    self.fetch(&reading, &call.key, now);
                }
                (call, waiting)
            }
        };
        let (call, waiting) = call;
        let mut more = self.identifiers(request, &call);
        more.push_str(&write::warning(&self.config.name, &call.decided.decision));
        let answer = |status| match self.answer(request, peer, status, &more).what {
            What::Now(bytes) => bytes,
            What::Soon(_) => Vec::new(),
        };
        let soon = Soon { waiting: Some(waiting), durable: answer(200), not_yet: answer(202), call };
        Reply { to: write::datagram_return(request, peer.source), what: What::Soon(soon) }
    }

    // --- legs ---

    /// What became of the legs of calls, from a gateway that we know.
    fn reported(&self, request: &Request<'_>, notes: Notes, peer: &Peer) -> Reply {
        let reading = read_request(request, notes, self.core.clock.now());
        if !reading.reports_dialogs {
            return self.refusal(request, &reading, peer);
        }
        if peer.trunk.is_none() {
            count(&self.counters.refused_role);
            return self.answer(request, peer, 403, &write::remark(&self.config.name, "no gateway of ours"));
        }
        let kind = request.first("content-type").unwrap_or_default();
        let mut notes = Notes::default();
        let parts = multipart::parts(kind, None, request.body, &mut notes);
        let legs = match parts.iter().find(|part| part.is(dialog_info::MEDIA_TYPE)) {
            Some(part) => dialog_info::read(part.body, &mut notes),
            // A publication that is kept alive, a subscription that ends: nothing new.
            None => request.body.is_empty().then(Vec::new),
        };
        let Some(legs) = legs else {
            count(&self.counters.malformed);
            return self.answer(request, peer, 400, &write::remark(&self.config.name, "dialog_info_unreadable"));
        };
        legs.iter().for_each(|leg| self.leg(leg));
        let etag = hex(self.sign(request, "publication").as_ref(), 8);
        let expires = request.first("expires").map_or(3_600, |expires| expires.trim().parse().unwrap_or(3_600_u32)).min(3_600);
        let more = if &*request.method == "PUBLISH" { format!("SIP-ETag: {etag}\r\nExpires: {expires}\r\n") } else { String::new() };
        self.answer(request, peer, 200, &more)
    }

    /// Tells the engine what became of a leg. The call is known by its Call-ID and the tag of its caller, long after its answer was
    /// forgotten.
    pub(super) fn leg(&self, leg: &Leg) {
        let fate = leg.fate();
        if fate == Fate::Nothing {
            return;
        }
        count(&self.counters.legs_reported);
        let now = self.core.clock.now();
        let tags = [leg.caller_tag.as_deref(), leg.callee_tag.as_deref()];
        let mut named = tags.into_iter().flatten().map(|tag| self.reference(Sort::Call, &leg.call_id, tag));
        let Some(first) = named.next() else { return };
        // Gateways differ in whose tag they call local: the one that was answered is meant, the caller's when both are forgotten.
        let answered = |(reference, _): (Box<str>, hmac::Tag)| self.answers.find(&reference, now).map(|call| (reference, Some(call)));
        let fallback = first.0.clone();
        let (reference, call) = answered(first).or_else(|| answered(named.next()?)).unwrap_or((fallback, None));
        let key = ContactKey { gateway: Name::of_word(GATEWAY), gateway_ref: reference };
        let room = self.room_of(leg, call.as_deref());
        match (fate, room) {
            (Fate::Answered, Some(dispatcher)) => self.tell_in_session(move |session| Input::Answered { session, key, dispatcher }),
            (Fate::Failed, Some(dispatcher)) => self.tell_in_session(move |session| Input::TargetFailed { session, key, dispatcher }),
            (Fate::CallerGone, _) => self.tell_in_session(move |session| Input::HungUp { session, key, why: HangUp::Caller }),
            (Fate::LineDropped, _) => self.tell_in_session(move |session| Input::HungUp { session, key, why: HangUp::LineDropped }),
            (Fate::Answered | Fate::Failed, None) => tracing::info!(call = %key.gateway_ref, "a leg leads to nobody in the tables"),
            (Fate::Nothing, _) => {}
        }
    }

    /// The room at the other end: of the targets that were told, of the tables in force, else the only one there was to choose.
    fn room_of(&self, leg: &Leg, call: Option<&Call>) -> Option<DispatcherId> {
        let targets = call.map(|call| &*call.decided.targets).unwrap_or_default();
        let is =
            |uri: &str, callee: &str| Uri::parse(uri).zip(Uri::parse(callee)).is_some_and(|(a, b)| a.bare.eq_ignore_ascii_case(b.bare));
        let told = leg.callee.iter().find_map(|callee| targets.iter().find(|target| is(&target.uri, callee)));
        if let Some(target) = told {
            return Some(target.dispatcher);
        }
        let snapshot = self.core.snapshot();
        let rooms = &snapshot.tables.dispatchers.rows;
        let known = leg.callee.iter().find_map(|callee| rooms.iter().find(|room| is(&room.uri, callee)));
        let only = if let [only] = targets { Some(only.dispatcher) } else { None };
        known.map(|room| room.id).or(only)
    }

    fn identifiers(&self, request: &Request<'_>, call: &Call) -> String {
        write::call_info(request, &self.config.name, &format!("{:016x}", content_bits(call.id)))
    }

    /// Asks for the places that a call only names; what comes of it is late evidence.
    fn fetch(&self, reading: &Reading, key: &ContactKey, now: Timestamp) {
        if reading.refs.is_empty() {
            return;
        }
        let (backlog, runtime, key) = (Arc::clone(&self.backlog), self.runtime.clone(), key.clone());
        self.references.fetch(&reading.refs, now, &self.runtime, move |evidence| {
            Backlog::submit(&backlog, Input::Evidence { session: None, key, evidence }, &runtime);
        });
    }

    fn tell_evidence(&self, key: &ContactKey, evidence: Evidence) {
        if evidence != Evidence::default() {
            self.tell(Input::Evidence { session: None, key: key.clone(), evidence });
        }
    }

    // --- who is who ---

    fn identity(&self, request: &Request<'_>, sort: Sort) -> Identity {
        let (reference, digest) = self.reference(sort, request.first("call-id").unwrap_or_default(), from_tag(request));
        let cseq = request.first("cseq").and_then(|cseq| cseq.split_ascii_whitespace().next()?.parse().ok()).unwrap_or(0);
        Identity { reference, digest, cseq }
    }

    fn reference(&self, sort: Sort, call_id: &str, from_tag: &str) -> (Box<str>, hmac::Tag) {
        let word = match sort {
            Sort::Call => "call",
            Sort::Message => "message",
        };
        let digest = self.digest(word, call_id.trim(), from_tag);
        // So short that nobody guesses it is not needed here: whoever knows the Call-ID may speak of the call.
        let digits = if is_short(call_id.trim()) { 4 } else { 10 };
        (format!("{}{}", reference_begins(call_id), hex(digest.as_ref(), digits)).into(), digest)
    }

    /// A keyed digest of what makes requests one call: the same after a restart, and for nobody to foresee.
    fn sign(&self, request: &Request<'_>, word: &str) -> hmac::Tag {
        self.digest(word, request.first("call-id").unwrap_or_default().trim(), from_tag(request))
    }

    fn digest(&self, word: &str, call_id: &str, from_tag: &str) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.key);
        for part in ["sip", word, call_id, from_tag] {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part.as_bytes());
        }
        context.sign()
    }
}

/// What the reference of every call with this Call-ID begins with; the rest is a digest that only this engine can make.
pub fn reference_begins(call_id: &str) -> String {
    let call_id = call_id.trim();
    let room = if is_short(call_id) { IDENTITY_BYTES_MAX - 9 } else { IDENTITY_BYTES_MAX - 21 };
    format!("{}~", cut(&printable(call_id), room))
}

const fn is_short(call_id: &str) -> bool {
    call_id.len() <= IDENTITY_BYTES_MAX - 9
}

fn key(identity: &Identity) -> ContactKey {
    ContactKey { gateway: Name::of_word(GATEWAY), gateway_ref: identity.reference.clone() }
}

fn from_tag<'r>(request: &'r Request<'_>) -> &'r str {
    request.first("from").and_then(|from| parameter(address(from).1, "tag")).unwrap_or_default()
}

fn to_tag<'r>(request: &'r Request<'_>) -> Option<&'r str> {
    request.first("to").and_then(|to| parameter(address(to).1, "tag"))
}

/// A Call-ID may hold anything; a reference is shown to people.
fn printable(text: &str) -> Cow<'_, str> {
    if text.chars().any(|c| c.is_control()) {
        return text.chars().map(|c| if c.is_control() { '?' } else { c }).collect::<String>().into();
    }
    text.into()
}

fn hex(bytes: &[u8], count: usize) -> String {
    bytes.iter().take(count).map(|byte| format!("{byte:02x}")).collect()
}

/// Another branch of a forked call was answered: the caller is not gone (RFC 3326).
fn answered_elsewhere(request: &Request<'_>) -> bool {
    request.values("reason").any(|reason| {
        let cause = reason.split_once(';').and_then(|(_, rest)| parameter(rest, "cause"));
        cause == Some("200")
    })
}

/// What a cancel says: words for whoever holds the alert. Its place and its kind of event are those of the alert itself.
pub(in crate::edge::ingress) fn taken_back(reading: &Reading) -> Evidence {
    let said = reading.cap.as_ref().map(|cap| cut(cap.words.trim(), TEXT_BYTES_MAX)).filter(|words| !words.is_empty());
    let signals = [Some("the sender of this alert has cancelled it"), said].into_iter().flatten();
    Evidence { signals: signals.map(|words| Signal::Words(words.into())).collect(), ..Evidence::default() }
}

/// What a later request says of a contact. In a dialog the request URI is a device, not something anybody dialled.
fn evidence_of(contact: Contact, in_dialog: bool) -> Evidence {
    let Contact { claims, mut signals, lang, oddities, .. } = contact;
    debug_assert!(!oddities.contains(&Oddity::UnknownDoor), "this door is known");
    if in_dialog {
        signals.retain(|signal| !matches!(signal, Signal::Dialled(_)));
    }
    Evidence { claims, signals, lang }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::edge::certs::DevCerts;
    use crate::edge::ingress::sip::{SipConfig, SipDoor};
    use crate::edge::run::{Node, NodeConfig, prepare_state_folder};
    use crate::edge::store::memory::{MemoryDisk, MemoryStore};
    use crate::edge::tables::load_or_shipped;

    const HEAD: &str = "Via: SIP/2.0/UDP gw;branch=z9hG4bK1;rport\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\nCall-ID: a@gw\r\n";

    /// Goal: a defect in a reader costs the message that met it. Method: a reader that panics, in a door of a running engine.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_panic_while_reading_costs_one_message_and_a_call_goes_to_the_room_of_last_resort() {
        let folder = tempfile::tempdir().unwrap();
        let (loaded, state) = (load_or_shipped(None).unwrap(), folder.path().join("state"));
        let identity = DevCerts::make(&folder.path().join("certs"), &[]).unwrap().server().unwrap();
        prepare_state_folder(&state).unwrap();
        let config = NodeConfig {
            listen: "127.0.0.1:0".parse().unwrap(),
            state_folder: state.clone(),
            identity: identity.clone(),
            engine: crate::engine::Config::default(),
            engine_cores: Vec::new(),
        };
        let open = Box::new(|listener| Ok(Arc::new(MemoryStore::open(MemoryDisk::default(), listener)) as Arc<dyn crate::store::Store>));
        let node = Node::start(config, loaded.tables, &loaded.bytes, open).unwrap();
        let listen = vec!["udp:127.0.0.1:0".parse().unwrap()];
        let door = SipDoor::start(SipConfig::new(listen, identity, state), &node).await.unwrap();
        let peer = door.hall.peers.at("127.0.0.1:5060".parse().unwrap());
        let status = |reply: Option<Reply>| match reply?.what {
            What::Now(bytes) => String::from_utf8(bytes).unwrap().get(8..11)?.parse::<u16>().ok(),
            What::Soon(_) => None,
        };
        let call = format!("INVITE urn:service:sos SIP/2.0\r\n{HEAD}CSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n");
        let panics = |bytes: &str| status(door.hall.hear_by(bytes.as_bytes(), &peer, |_| panic!("a reader's defect")));
        assert_eq!(panics(&call), Some(302));
        assert_eq!(panics(&call.replace("INVITE", "MESSAGE")), None, "what is no call is not answered, and its sender tries again");
        assert_eq!(panics("\0\0"), None);
        assert_eq!(door.hall.counters.last_resorts.load(Ordering::Relaxed), 3);
        let other = call.replace("a@gw", "b@gw");
        assert_eq!(status(door.hall.hear(other.as_bytes(), &peer)), Some(302));
        assert_eq!(door.hall.counters.contacts.load(Ordering::Relaxed), 2);
        door.shutdown().await;
        node.shutdown().await;
    }
}
