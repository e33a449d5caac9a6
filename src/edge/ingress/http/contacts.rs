//! `POST /v1/contacts`: decided at once, answered when the journal holds it or the wait for it is over.
//!
//! Each gateway that speaks HTTP has one session with the engine, opened with its first contact. Its task reads what the engine says
//! and wakes the requests that wait for it.
//!
//! The engine tells a repetition by naming the contact that came first. To know that name for a repetition of *this* body, and not
//! for another contact under the same reference, a contact's id carries in its random bits a keyed digest of what was sent: equal
//! bits, equal contact, across restarts too.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{Request, StatusCode};
use axum::response::Response;
use dashmap::DashMap;
use ring::hmac;
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use tokio::time::{sleep, timeout};

use super::{Hall, HttpGateway, json, read_body, refused, told};
use crate::contact::{Contact, Door};
use crate::deliver::GatewayHears;
use crate::edge::ingress::{Core, Decided, DoorCounters, GatewayDesk, count};
use crate::edge::run::NodeCore;
use crate::engine::Input;
use crate::limits::{HTTP_BODY_BYTES_MAX, HTTP_GATEWAYS_MAX, RESUBMIT_MICROS, WRITE_BATCH_MAX};
use crate::units::{ContactId, Name, Timestamp};
use crate::wire::contact_json::read_contact_at;
use crate::wire::decision_json::DecisionJson;
use crate::wire::http::ContactAnswer;

pub(super) async fn post_contact(State(hall): State<Arc<Hall>>, request: Request<Body>) -> Response {
    // A place first, so that whoever finds none is told before anything is done for it.
    let place = Arc::clone(&hall.requests).try_acquire_owned().ok();
    let (parts, body) = request.into_parts();
    let gateway = match hall.gateway(&parts, place.is_some()) {
        Ok(gateway) => gateway,
        Err(answer) => return answer,
    };
    let bytes = match read_body(&parts, body, HTTP_BODY_BYTES_MAX, hall.config.body_wait).await {
        Ok(bytes) => bytes,
        Err(answer) => return answer,
    };
    let now = hall.core.clock.now();
    match hall.contact(&bytes, gateway, now) {
        Ok(contact) => hall.take(contact, gateway, now, place).await,
        Err(why) => {
            count(&hall.counters.malformed);
            refused(StatusCode::BAD_REQUEST, why, "send one JSON object with an `id` of your own, and what you know: lat, lon, text, ...")
        }
    }
}

impl Hall {
    /// The contact in the body. Only the certificate or token says whose it is, and only our clock says when it came.
    fn contact(&self, bytes: &[u8], gateway: HttpGateway, now: Timestamp) -> Result<Contact, String> {
        let read = read_contact_at(Door::App, bytes, gateway.line, ContactId::default(), now).map_err(|why| why.to_string())?;
        let mut contact = read.contact;
        contact.received = now;
        contact.load_test = gateway.load_test;
        contact.trunk = contact.trunk.or(Some(gateway.name));
        contact.id = id_of(&contact, &self.id_key, now);
        Ok(contact)
    }

    async fn take(&self, contact: Contact, gateway: HttpGateway, now: Timestamp, place: Option<OwnedSemaphorePermit>) -> Response {
        let desk = GatewayDesk {
            trunk: gateway.line,
            load_test: gateway.load_test,
            core: Arc::clone(&self.core) as Arc<dyn Core>,
            clock: self.core.clock,
            counters: Arc::clone(&self.counters),
        };
        let Decided { decision, targets } = desk.decide(&contact, now);
        count(&self.counters.contacts);
        if !contact.oddities.is_empty() {
            count(&self.counters.contacts_cut);
        }
        let (id, gateway_ref) = (contact.id, contact.key.gateway_ref.clone());
        // The ear before the word: what the engine says cannot be missed.
        let waiting = self.lines.line(gateway.line).map(|line| Line::wait(line, &gateway_ref, id));
        let input = Input::Arrived { session: None, contact: Arc::new(contact), decision: Arc::clone(&decision), handed_back: false };
        let has_room = place.is_some();
        // The place is kept while the journal is waited for.
        let _place = self.hand_in(input, place).await;
        let known_as = match waiting {
            Some(waiting) if has_room => waiting.heard(self.config.journal_wait * 2).await,
            _ => None,
        };
        let status = if known_as.is_some() { StatusCode::CREATED } else { StatusCode::ACCEPTED };
        json(status, &ContactAnswer::new(id, known_as, &targets, DecisionJson::new(&gateway_ref, &decision, None)))
    }

    /// Tells the engine. While its queue is full a task of its own goes on trying, so that a caller who leaves loses nothing; it
    /// takes the request's place with it, and without one the request waits itself.
    async fn hand_in(&self, input: Input, place: Option<OwnedSemaphorePermit>) -> Option<OwnedSemaphorePermit> {
        let Err(input) = self.core.submit(input) else { return place };
        count(&self.counters.resubmitted);
        let core = Arc::clone(&self.core);
        let trying = async move { insist(&core, input).await };
        match place {
            Some(place) => drop(tokio::spawn(async move {
                trying.await;
                drop(place);
            })),
            None => trying.await,
        }
        None
    }
}

async fn insist(core: &NodeCore, mut input: Input) {
    while let Err(back) = core.submit(input) {
        input = back;
        sleep(Duration::from_micros(RESUBMIT_MICROS)).await;
    }
}

// --- the id that knows its content ---

/// The bits of an id below its time.
const CONTENT_BITS: u128 = (1 << 80) - 1;

/// A UUID version 7 whose random bits are a keyed digest of what was sent.
///
/// # Source
/// RFC 9562, 5.7: any bits that make the id unique may stand there. Two contacts of one millisecond with equal bits are one contact.
fn id_of(contact: &Contact, key: &hmac::Key, now: Timestamp) -> ContactId {
    let digest = hmac::sign(key, &content_of(contact));
    let mut bits = [0; 10];
    bits.iter_mut().zip(digest.as_ref()).for_each(|(bit, byte)| *bit = *byte);
    ContactId(uuid::Builder::from_unix_timestamp_millis(now.unix_micros / 1_000, &bits).into_uuid().as_u128())
}

fn is_same(one: ContactId, other: ContactId) -> bool {
    one.0 & CONTENT_BITS == other.0 & CONTENT_BITS
}

/// Everything the sender said.
fn content_of(contact: &Contact) -> Vec<u8> {
    // Named one by one, as in the engine's own digest: a new field must be looked at here before this compiles.
    let Contact { id: _, received: _, revision: _, key, door, load_test, trunk, line, cell, lang, claims, signals, oddities } = contact;
    let said = (key, door, load_test, trunk, line, cell, lang, claims, signals, oddities);
    // The debug form spells every field with its name and escapes every text, so no two contacts are spelled alike.
    format!("{said:?}").into_bytes()
}

// --- sessions with the engine ---

/// One session for each gateway that speaks HTTP.
pub(super) struct Lines {
    core: Arc<NodeCore>,
    counters: Arc<DoorCounters>,
    draining: watch::Sender<bool>,
    by_name: DashMap<Name, Arc<Line>>,
    begun: AtomicUsize,
    running: watch::Sender<usize>,
}

impl Lines {
    pub(super) fn new(core: Arc<NodeCore>, counters: Arc<DoorCounters>, draining: watch::Sender<bool>) -> Self {
        Self { core, counters, draining, by_name: DashMap::new(), begun: AtomicUsize::new(0), running: watch::Sender::new(0) }
    }

    /// The line of a gateway, opened when it is new. `None` beyond the bound, or while the door drains: then no promise is heard,
    /// and none is made.
    fn line(&self, gateway: Name) -> Option<Arc<Line>> {
        if let Some(line) = self.by_name.get(&gateway).map(|line| Arc::clone(&line)) {
            return Some(line);
        }
        if self.begun.load(Ordering::Relaxed) >= HTTP_GATEWAYS_MAX || *self.draining.borrow() {
            return None;
        }
        let fresh = Arc::new(Line::default());
        let line = Arc::clone(&self.by_name.entry(gateway).or_insert_with(|| Arc::clone(&fresh)));
        if Arc::ptr_eq(&line, &fresh) {
            self.begun.fetch_add(1, Ordering::Relaxed);
            self.running.send_modify(|running| *running += 1);
            let (core, counters, draining, running) =
                (Arc::clone(&self.core), Arc::clone(&self.counters), self.draining.subscribe(), self.running.clone());
            tokio::spawn(async move {
                attend(gateway, fresh, &core, &counters, draining).await;
                running.send_modify(|running| *running -= 1);
            });
        }
        Some(line)
    }

    /// Waits until every session has said goodbye.
    pub(super) async fn ended(&self) {
        let mut running = self.running.subscribe();
        let _ = timeout(Duration::from_secs(1), running.wait_for(|running| *running == 0)).await;
    }
}

/// How long a session that the engine closed stays closed.
const REOPEN: Duration = Duration::from_millis(200);

/// Keeps a gateway's session open and hands out what the engine says.
async fn attend(gateway: Name, line: Arc<Line>, core: &NodeCore, counters: &DoorCounters, mut draining: watch::Receiver<bool>) {
    let mut heard = Vec::with_capacity(WRITE_BATCH_MAX);
    loop {
        let mut outbox = core.registry.open::<GatewayHears>();
        let session = outbox.session();
        insist(core, Input::GatewayOpened { session, gateway }).await;
        let drained = loop {
            tokio::select! {
                received = outbox.receive_many(&mut heard, WRITE_BATCH_MAX) => {
                    if received == 0 {
                        break false;
                    }
                    heard.drain(..).for_each(|hears| line.hear(&hears));
                }
                () = told(&mut draining) => break true,
            }
        };
        insist(core, Input::SessionClosed { session }).await;
        if drained {
            return;
        }
        count(&counters.sessions_broken);
        sleep(REOPEN).await;
    }
}

/// The requests of one gateway that wait for the journal.
#[derive(Debug, Default)]
struct Line {
    waiting: DashMap<Box<str>, Vec<Ear>>,
    numbers: AtomicU64,
}

#[derive(Debug)]
struct Ear {
    number: u64,
    contact: ContactId,
    /// The id under which the journal holds it; `None` when it is late.
    tell: mpsc::Sender<Option<ContactId>>,
}

impl Line {
    fn wait(line: Arc<Self>, gateway_ref: &str, contact: ContactId) -> Waiting {
        let (tell, told) = mpsc::channel(1);
        let number = line.numbers.fetch_add(1, Ordering::Relaxed);
        line.waiting.entry(gateway_ref.into()).or_default().push(Ear { number, contact, tell });
        Waiting { line, gateway_ref: gateway_ref.into(), number, told }
    }

    fn hear(&self, hears: &GatewayHears) {
        let (key, contact, known_as) = match hears {
            GatewayHears::Durable { key, contact } => (key, *contact, Some(*contact)),
            GatewayHears::Overdue { key, contact } => (key, *contact, None),
            GatewayHears::Accepted { .. }
            | GatewayHears::Ended { .. }
            | GatewayHears::Moved { .. }
            | GatewayHears::Refused { .. }
            | GatewayHears::Targets { .. } => return,
        };
        let woken: Vec<Ear> = match self.waiting.get_mut(&*key.gateway_ref) {
            Some(mut ears) => ears.extract_if(.., |ear| is_same(ear.contact, contact)).collect(),
            None => return,
        };
        for ear in woken {
            // Who has stopped waiting has its answer.
            let _ = ear.tell.try_send(known_as);
        }
    }
}

/// A request that waits. Dropping it takes it off the list.
#[derive(Debug)]
struct Waiting {
    line: Arc<Line>,
    gateway_ref: Box<str>,
    number: u64,
    told: mpsc::Receiver<Option<ContactId>>,
}

impl Waiting {
    /// The id under which the journal holds it, when it does in time.
    async fn heard(mut self, wait: Duration) -> Option<ContactId> {
        timeout(wait, self.told.recv()).await.ok()??
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(mut ears) = self.line.waiting.get_mut(&self.gateway_ref) {
            ears.retain(|ear| ear.number != self.number);
        }
        self.line.waiting.remove_if(&self.gateway_ref, |_, ears| ears.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contact::{ContactKey, Signal};

    fn contact(gateway_ref: &str, words: &str) -> Contact {
        let key = ContactKey { gateway: Name::new("http/app").unwrap(), gateway_ref: gateway_ref.into() };
        let mut contact = Contact::new(ContactId(0), key, Timestamp::from_secs(1), Door::App);
        contact.signals.push(Signal::Words(words.into()));
        contact
    }

    fn key() -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, b"a key")
    }

    #[test]
    fn an_id_is_of_its_moment_and_the_same_content_has_the_same_bits_below() {
        let (early, late) = (Timestamp::from_micros(1_700_000_000_123_456), Timestamp::from_micros(1_700_000_900_000_000));
        let one = id_of(&contact("a", "fire"), &key(), early);
        let again = id_of(&contact("a", "fire"), &key(), late);
        assert_eq!((one.0 >> 80, uuid::Uuid::from_u128(one.0).get_version_num()), (1_700_000_000_123, 7));
        assert!(one != again && is_same(one, again));
        for other in [contact("b", "fire"), contact("a", "smoke")] {
            assert!(!is_same(one, id_of(&other, &key(), early)));
        }
        let strangers = hmac::Key::new(hmac::HMAC_SHA256, b"another key");
        assert!(!is_same(one, id_of(&contact("a", "fire"), &strangers, early)), "without the key nobody can guess content from an id");
    }

    #[tokio::test]
    async fn a_promise_about_another_contact_under_the_same_reference_wakes_nobody_else() {
        let line = Arc::new(Line::default());
        let now = Timestamp::from_secs(1);
        let (mine, other) = (id_of(&contact("a", "fire"), &key(), now), id_of(&contact("a", "smoke"), &key(), now));
        let first = Line::wait(Arc::clone(&line), "a", mine);
        let second = Line::wait(Arc::clone(&line), "a", other);
        let before = id_of(&contact("a", "fire"), &key(), Timestamp::from_secs(0));
        line.hear(&GatewayHears::Durable { key: contact("a", "").key, contact: before });
        assert_eq!(first.heard(Duration::from_secs(5)).await, Some(before));
        assert_eq!(second.heard(Duration::ZERO).await, None);
        assert!(line.waiting.is_empty(), "who stops waiting is off the list");
    }

    #[tokio::test]
    async fn who_is_told_that_the_journal_is_late_waits_no_longer() {
        let line = Arc::new(Line::default());
        let waiting = Line::wait(Arc::clone(&line), "a", ContactId(1));
        line.hear(&GatewayHears::Overdue { key: contact("a", "").key, contact: ContactId(1) });
        assert_eq!(waiting.heard(Duration::from_secs(60)).await, None);
    }
}
