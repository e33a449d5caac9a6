//! Messages to callers, on their way out: who follows the journal for them, and the gateways that carry them.
//!
//! ```text
//! journal: Informed { number, kind } --> courier (reads what the disk holds) --> gateway: webhook | SMS by HTTP | file
//!                                          |
//!                                          +--> notify.seq: the entry up to which everything is out
//! ```
//!
//! # Invariants
//! - A message goes out only for a fact the journal holds, and the engine writes that fact only after a person released it and only for a
//!   caller who may be written to ([`number_for`](crate::inform::number_for)).
//! - At least once: a crash between sending and noting sends again, under the same id.
//! - A gateway that is down is waited for; a number it refuses, and a message that is too old to make sense, are given up and counted.
//!   Nobody else waits for any of it.

mod gateways;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ring::hmac;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

pub use self::gateways::{Carrier, CarrierError, FileCarrier, Form, HttpCarrier, Unsent};
use super::run::{Node, NodeCore};
use super::tls::{ResetKeyError, reset_key, write_private};
use crate::deliver::Fact;
use crate::inform::Told;
use crate::journal::entry::KIND_INFORMED;
use crate::limits::{HEARD_MICROS_MAX, NOTIFY_AT_ONCE_MAX, RATE_MICROS_MAX, READ_ENTRIES_MAX};
use crate::store::{Page, Partition, Store, StoreError};
use crate::tables::snapshot::Tables;
use crate::units::DispatcherId;
use crate::wire::frame::decode_fact;
use crate::wire::notification::{LinkKey, Message, words};

/// Where the courier notes how far it is.
const CURSOR_FILE: &str = "notify.seq";
/// How often it looks whether there is something to send.
const LOOK: Duration = Duration::from_millis(250);
/// After a gateway that is down, or a journal that cannot be read: first, and at most.
const RETRY: Duration = Duration::from_millis(500);
const RETRY_MAX: Duration = Duration::from_secs(30);

/// The courier. Dropping it without [`Self::shutdown`] leaves messages for the next start.
pub struct Courier {
    stopping: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Courier {
    /// Begins where the last one ended; with what is new from now on where there was none. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// The key of the links cannot be kept.
    pub fn start(carrier: Carrier, rating_url: Option<String>, state_folder: &Path, node: &Node) -> Result<Self, ResetKeyError> {
        let stopping = watch::Sender::new(false);
        let cursor = state_folder.join(CURSOR_FILE);
        let next_seq = read_cursor(&cursor).unwrap_or(node.started().seq) + 1;
        let route = Route {
            core: Arc::clone(node.core()),
            store: Arc::clone(node.store()),
            carrier: Arc::new(carrier),
            links: link_key(state_folder)?,
            rating_url,
            cursor,
        };
        let task = tokio::spawn(route.follow(next_seq, stopping.subscribe()));
        Ok(Self { stopping, task })
    }

    /// Lets what is being sent end; the rest is for the next start.
    pub async fn shutdown(self) {
        self.stopping.send_replace(true);
        let _ = self.task.await;
    }
}

/// The key of the links by which help is rated: the engine's own, under a label.
///
/// # Errors
/// It cannot be kept.
pub(super) fn link_key(state_folder: &Path) -> Result<LinkKey, ResetKeyError> {
    let key = reset_key(state_folder)?;
    Ok(LinkKey::new(hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&key, b"rating links").as_ref())))
}

struct Route {
    core: Arc<NodeCore>,
    store: Arc<dyn Store>,
    carrier: Arc<Carrier>,
    links: LinkKey,
    /// What stands before a link's token; without it nobody is asked how it was.
    rating_url: Option<String>,
    cursor: PathBuf,
}

impl Route {
    async fn follow(self, mut next_seq: u64, mut stopping: watch::Receiver<bool>) {
        let mut counted = u64::MAX;
        loop {
            let count = self.store.health().entry_count;
            let rest = if count == counted {
                LOOK
            } else {
                match self.read(next_seq).await {
                    Ok((messages, through, ended)) => {
                        if !self.send_all(messages, &mut stopping).await {
                            return;
                        }
                        if through >= next_seq {
                            next_seq = through + 1;
                            self.note(through).await;
                        }
                        if ended {
                            counted = count;
                        }
                        if ended { LOOK } else { Duration::ZERO }
                    }
                    Err(why) => {
                        tracing::warn!(%why, "messages to callers wait: the journal cannot be read");
                        RETRY_MAX
                    }
                }
            };
            if rests(rest, &mut stopping).await {
                return;
            }
        }
    }

    /// The messages of the next page, the last entry it answers for, and whether it is the last page.
    async fn read(&self, from_seq: u64) -> Result<(Vec<Message>, u64, bool), StoreError> {
        let store = Arc::clone(&self.store);
        let read = move || store.read(Partition::default(), from_seq, READ_ENTRIES_MAX);
        let page: Page = tokio::task::spawn_blocking(read).await.unwrap_or(Err(StoreError::Closed))?;
        let tables = Arc::clone(&self.core.snapshot().tables);
        let informed = page.entries.iter().filter(|entry| entry.kind == KIND_INFORMED);
        let messages = informed.filter_map(|entry| self.message(entry.seq, &decode_fact(&entry.bytes).ok()?, &tables)).collect();
        Ok((messages, page.through(from_seq), page.next_seq.is_none()))
    }

    fn message(&self, seq: u64, fact: &Fact, tables: &Tables) -> Option<Message> {
        let Fact::Informed { at, contact, told, number, lang, dispatcher, again: false, .. } = fact else { return None };
        let link = match (told, &self.rating_url) {
            (Told::Heard, _) => String::new(),
            (Told::Rate, Some(url)) => format!("{url}{}", self.links.token(*contact)),
            (Told::Rate, None) => return None,
        };
        let text = words(*told, *lang, room_names(tables, *dispatcher), &link);
        Some(Message { seq, contact: *contact, at: *at, told: *told, to: number.as_str().into(), lang: *lang, text: text.into() })
    }

    /// False when it is to stop: what is not out then is not noted as out.
    async fn send_all(&self, messages: Vec<Message>, stopping: &mut watch::Receiver<bool>) -> bool {
        let mut waiting = messages.into_iter();
        let mut under_way = JoinSet::new();
        loop {
            while under_way.len() < NOTIFY_AT_ONCE_MAX && !*stopping.borrow() {
                let Some(message) = waiting.next() else { break };
                under_way.spawn(send(message, Arc::clone(&self.carrier), Arc::clone(&self.core), stopping.clone()));
            }
            match under_way.join_next().await {
                Some(Ok(true)) => {}
                Some(Ok(false)) => return false,
                // The others still go out.
                Some(Err(why)) => tracing::error!(%why, "sending a message to a caller panicked; it is given up"),
                None => return waiting.len() == 0,
            }
        }
    }

    async fn note(&self, through: u64) {
        let path = self.cursor.clone();
        let noted = tokio::task::spawn_blocking(move || write_private(&path, through.to_string().as_bytes())).await;
        if let Err(why) = noted.unwrap_or_else(|why| Err(io::Error::other(why))) {
            tracing::warn!(%why, "how far messages to callers are cannot be noted; after a restart some go out twice");
        }
    }
}

/// Until it is out or given up; false when it is to stop.
async fn send(message: Message, carrier: Arc<Carrier>, core: Arc<NodeCore>, mut stopping: watch::Receiver<bool>) -> bool {
    let (counters, mut rest) = (&core.messages, RETRY);
    loop {
        if core.clock.now().micros_since(message.at) > longest(message.told) {
            counters.late.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(id = message.id(), "a message to a caller is too late and stays here");
            return true;
        }
        match carrier.carry(&message).await {
            Ok(()) => {
                counters.sent.fetch_add(1, Ordering::Relaxed);
                return true;
            }
            Err(Unsent::Refused(why)) => {
                counters.refused.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(id = message.id(), %why, "the gateway refuses a message to a caller");
                return true;
            }
            Err(Unsent::Later(why)) => {
                counters.retried.fetch_add(1, Ordering::Relaxed);
                tracing::info!(id = message.id(), %why, "a message to a caller is tried again");
            }
        }
        if rests(rest, &mut stopping).await {
            return false;
        }
        rest = (rest * 2).min(RETRY_MAX);
    }
}

/// True when it is to stop.
async fn rests(rest: Duration, stopping: &mut watch::Receiver<bool>) -> bool {
    tokio::select! {
        () = tokio::time::sleep(rest) => false,
        _ = stopping.wait_for(|stopping| *stopping) => true,
    }
}

const fn longest(told: Told) -> u64 {
    match told {
        Told::Heard => HEARD_MICROS_MAX,
        Told::Rate => RATE_MICROS_MAX,
    }
}

/// A room's name in English and in Arabic; its id where the tables no longer have it.
fn room_names(tables: &Tables, dispatcher: DispatcherId) -> (&str, &str) {
    let row = tables.dispatchers.rows.iter().find(|row| row.id == dispatcher);
    row.map_or(("The control room", "غرفة العمليات"), |row| (&*row.name_en, &*row.name_ar))
}

fn read_cursor(path: &Path) -> Option<u64> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}
