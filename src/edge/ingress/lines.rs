//! Sessions with the engine for gateways that have no connection of their own to us, and the waiting for what the engine says.
//!
//! A gateway that speaks HTTP or SIP comes and goes with each message. Its line is a task that keeps one session open for it, reads
//! what the engine says, and wakes those who wait to hear that the journal holds a contact.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use dashmap::DashMap;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

use super::words::Words;
use super::{Core, DoorCounters, count, told};
use crate::contact::ContactKey;
use crate::deliver::GatewayHears;
use crate::edge::run::NodeCore;
use crate::engine::{Input, SessionId};
use crate::limits::{HTTP_GATEWAYS_MAX, RESUBMIT_MICROS, WRITE_BATCH_MAX};
use crate::units::{ContactId, Name, Timestamp};

/// One session for each gateway that speaks HTTP.
pub(super) struct Lines {
    /// Whether these gateways come and ask for what is said to their callers. Who does not cannot be given it.
    keeps_words: bool,
    core: Arc<NodeCore>,
    counters: Arc<DoorCounters>,
    draining: watch::Sender<bool>,
    by_name: DashMap<Name, Arc<Line>>,
    begun: AtomicUsize,
    running: watch::Sender<usize>,
}

impl Lines {
    pub(super) fn new(keeps_words: bool, core: Arc<NodeCore>, counters: Arc<DoorCounters>, draining: watch::Sender<bool>) -> Self {
        Self { keeps_words, core, counters, draining, by_name: DashMap::new(), begun: AtomicUsize::new(0), running: watch::Sender::new(0) }
    }

    /// The line of a gateway, opened when it is new. `None` beyond the bound, or while the door drains: then no promise is heard,
    /// and none is made.
    pub(super) fn line(&self, gateway: Name) -> Option<Arc<Line>> {
        if let Some(line) = self.by_name.get(&gateway).map(|line| Arc::clone(&line)) {
            return Some(line);
        }
        if self.begun.load(Ordering::Relaxed) >= HTTP_GATEWAYS_MAX || *self.draining.borrow() {
            return None;
        }
        let fresh = Arc::new(Line { keeps_words: self.keeps_words, ..Line::default() });
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
        line.session.send_replace(Some(session));
        let drained = loop {
            tokio::select! {
                received = outbox.receive_many(&mut heard, WRITE_BATCH_MAX) => {
                    if received == 0 {
                        break false;
                    }
                    for hears in heard.drain(..) {
                        if let Some((key, number)) = line.hear(&hears) {
                            insist(core, Input::Delivered { session, key, number, delivered: false }).await;
                        }
                    }
                }
                () = told(&mut draining) => break true,
            }
        };
        line.session.send_replace(None);
        insist(core, Input::SessionClosed { session }).await;
        if drained {
            return;
        }
        count(&counters.sessions_broken);
        sleep(REOPEN).await;
    }
}

/// One gateway: its session, and those who wait for the journal.
#[derive(Debug, Default)]
pub(super) struct Line {
    waiting: DashMap<Box<str>, Vec<Ear>>,
    keeps_words: bool,
    /// What is said to callers, until their gateway has fetched it.
    words: Words,
    numbers: AtomicU64,
    /// `None` until the engine was told of it.
    session: watch::Sender<Option<SessionId>>,
}

#[derive(Debug)]
struct Ear {
    number: u64,
    contact: ContactId,
    /// The id under which the journal holds it; `None` when it is late.
    tell: mpsc::Sender<Option<ContactId>>,
}

impl Line {
    /// The session in which the gateway speaks.
    pub(super) fn session(&self) -> Option<SessionId> {
        *self.session.borrow()
    }

    /// Waits until the engine was told of the session.
    pub(super) async fn opened(&self) {
        let mut session = self.session.subscribe();
        let _ = session.wait_for(Option::is_some).await;
    }

    pub(super) fn wait(line: Arc<Self>, gateway_ref: &str, contact: ContactId) -> Waiting {
        let (tell, told) = mpsc::channel(1);
        let number = line.numbers.fetch_add(1, Ordering::Relaxed);
        line.waiting.entry(gateway_ref.into()).or_default().push(Ear { number, contact, tell });
        Waiting { line, gateway_ref: gateway_ref.into(), number, told }
    }

    /// What is said to callers who write.
    pub(super) const fn words(&self) -> &Words {
        &self.words
    }

    /// Wakes who waits for it. Returns a line for a caller that there is no way to.
    fn hear(&self, hears: &GatewayHears) -> Option<(ContactKey, u32)> {
        match hears {
            GatewayHears::Say { key, number, text, .. } if self.keeps_words => self.words.say(&key.gateway_ref, *number, text),
            GatewayHears::Say { key, number, .. } => return Some((key.clone(), *number)),
            GatewayHears::Ended { key, .. } => self.words.end(&key.gateway_ref),
            _ => self.wake(hears),
        }
        None
    }

    fn wake(&self, hears: &GatewayHears) {
        let (key, contact, known_as) = match hears {
            GatewayHears::Durable { key, contact } => (key, *contact, Some(*contact)),
            GatewayHears::Overdue { key, contact } => (key, *contact, None),
            GatewayHears::Accepted { .. }
            | GatewayHears::Ended { .. }
            | GatewayHears::Moved { .. }
            | GatewayHears::Refused { .. }
            | GatewayHears::Say { .. }
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
pub(super) struct Waiting {
    line: Arc<Line>,
    gateway_ref: Box<str>,
    number: u64,
    told: mpsc::Receiver<Option<ContactId>>,
}

impl Waiting {
    /// The id under which the journal holds it, when it does in time.
    pub(super) async fn heard(mut self, wait: Duration) -> Option<ContactId> {
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

// --- the id that knows its content ---

/// The bits of an id below its time and its count.
const CONTENT_BITS: u128 = (1 << 64) - 1;
/// Ids made since the start. Twelve bits of it stand in each: the same content sent twice in one millisecond is told apart.
static MADE: AtomicU16 = AtomicU16::new(0);

/// A UUID version 7 of this moment: a count, and below it the first bits of a digest of what was sent.
///
/// # Source
/// RFC 9562, 5.7 and 6.2 (a counter after the time). Any bits that make the id unique may stand there.
pub(super) fn id_with(digest: &[u8], now: Timestamp) -> ContactId {
    let [high, low] = MADE.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    let mut bits = [high, low, 0, 0, 0, 0, 0, 0, 0, 0];
    bits.iter_mut().skip(2).zip(digest).for_each(|(bit, byte)| *bit = *byte);
    ContactId(uuid::Builder::from_unix_timestamp_millis(now.unix_micros / 1_000, &bits).into_uuid().as_u128())
}

pub(super) const fn is_same(one: ContactId, other: ContactId) -> bool {
    content_bits(one) == content_bits(other)
}

/// What an id says of its content; the same whenever it comes.
pub(super) const fn content_bits(contact: ContactId) -> u128 {
    contact.0 & CONTENT_BITS
}

/// Tells the engine, however long its queue is full.
pub(in crate::edge) async fn insist(core: &NodeCore, mut input: Input) {
    while let Err(back) = core.submit(input) {
        input = back;
        sleep(Duration::from_micros(RESUBMIT_MICROS)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> ContactKey {
        ContactKey { gateway: Name::new("http/app").unwrap(), gateway_ref: "a".into() }
    }

    #[tokio::test]
    async fn a_promise_about_another_contact_under_the_same_reference_wakes_nobody_else() {
        let line = Arc::new(Line::default());
        let now = Timestamp::from_secs(1);
        let (mine, other) = (id_with(b"fire fire fire", now), id_with(b"smoke smoke smoke", now));
        let first = Line::wait(Arc::clone(&line), "a", mine);
        let second = Line::wait(Arc::clone(&line), "a", other);
        let before = id_with(b"fire fire fire", Timestamp::from_secs(0));
        line.hear(&GatewayHears::Durable { key: key(), contact: before });
        assert_eq!(first.heard(Duration::from_secs(5)).await, Some(before));
        assert_eq!(second.heard(Duration::ZERO).await, None);
        assert!(line.waiting.is_empty(), "who stops waiting is off the list");
    }

    #[tokio::test]
    async fn who_is_told_that_the_journal_is_late_waits_no_longer() {
        let line = Arc::new(Line::default());
        let waiting = Line::wait(Arc::clone(&line), "a", ContactId(1));
        line.hear(&GatewayHears::Overdue { key: key(), contact: ContactId(1) });
        assert_eq!(waiting.heard(Duration::from_secs(60)).await, None);
    }

    #[test]
    fn a_line_for_a_caller_is_kept_where_its_gateway_fetches_it_and_given_back_where_none_does() {
        let say = GatewayHears::Say { key: key(), contact: ContactId(1), number: 2, text: "where are you?".into() };
        let fetched = Line { keeps_words: true, ..Line::default() };
        assert_eq!(fetched.hear(&say), None);
        assert_eq!(fetched.words().fetch("a", 0).lines, [(2, "where are you?".into())]);
        assert_eq!(Line::default().hear(&say), Some((key(), 2)), "the dispatcher must see that it cannot arrive");
    }

    #[test]
    fn the_same_content_twice_in_one_moment_is_two_ids_that_know_each_other() {
        let now = Timestamp::from_micros(1_700_000_000_123_456);
        let ids: Vec<ContactId> = (0..100).map(|_| id_with(b"fire fire", now)).collect();
        for (at, id) in ids.iter().enumerate() {
            assert!(ids.iter().skip(at + 1).all(|other| other != id && is_same(*other, *id)));
            assert_eq!((id.0 >> 80, uuid::Uuid::from_u128(id.0).get_version_num()), (1_700_000_000_123, 7));
        }
    }
}
