//! What follows the journal for everybody: one thread reads what the disk holds, keeps the book of what lives, and the newest entries in
//! a ring. Who is behind the ring reads the journal himself ([`History`](super::history::History)).
//!
//! **Invariants:** the engine's thread and the store's writer wait for nobody here. An entry is told only when the journal holds it, in
//! the journal's order.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded};
use tokio::sync::{Semaphore, watch};

use super::book::{Book, Happening, IncidentFile, Taken, Viewer};
use crate::deliver::Fact;
use crate::engine;
use crate::incident::IncidentId;
use crate::limits::{FEED_HISTORIES_MAX, FEED_RING_MAX, READ_ENTRIES_MAX};
use crate::store::{Page, Partition, Store, StoreError};
use crate::units::ContactId;
use crate::wire::checkpoint::decode_past;
use crate::wire::eido::dossier::Dossier;
use crate::wire::frame::decode_fact;

/// How often the thread looks whether the journal has grown.
const LOOK: Duration = Duration::from_millis(10);
/// It reads at least this often, whatever the store's count says.
const LOOKS_A_READ: u32 = 50;
/// How long after a failed read it is tried again.
const RETRY: Duration = Duration::from_secs(2);

pub(super) struct Hub {
    store: Arc<dyn Store>,
    shared: RwLock<Shared>,
    /// The newest entry that was read; 0 until the thread has come to the end for the first time.
    head: watch::Sender<u64>,
    caught_up: watch::Sender<bool>,
    /// Readings of old entries under way.
    pub histories: Arc<Semaphore>,
}

struct Shared {
    book: Book,
    ring: VecDeque<Arc<Happening>>,
    /// The ring holds every happening from this entry on.
    ring_from: u64,
}

/// The thread of a hub. Dropping it ends the thread.
pub(super) struct Following {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Following {
    fn drop(&mut self) {
        self.stop = None;
        drop(self.thread.take().map(JoinHandle::join));
    }
}

impl Hub {
    /// Begins to follow a journal, from the oldest checkpoint there is, so that who was gone for a moment finds it in the ring.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn follow(store: Arc<dyn Store>) -> std::io::Result<(Arc<Self>, Following)> {
        let shared = Shared { book: Book::default(), ring: VecDeque::new(), ring_from: 1 };
        let hub = Arc::new(Self {
            store,
            shared: RwLock::new(shared),
            head: watch::Sender::new(0),
            caught_up: watch::Sender::new(false),
            histories: Arc::new(Semaphore::new(FEED_HISTORIES_MAX)),
        });
        let (stop, stopped) = bounded(1);
        let following = Arc::clone(&hub);
        let thread = std::thread::Builder::new().name("najda-feed".to_owned()).spawn(move || following.run(&stopped))?;
        Ok((hub, Following { stop: Some(stop), thread: Some(thread) }))
    }

    fn run(&self, stopped: &Receiver<()>) {
        if let Some(book) = book_at(&*self.store, u64::MAX, true) {
            let mut shared = self.write();
            (shared.ring_from, shared.book) = (book.seq() + 1, book);
        }
        let (mut next_seq, mut counted, mut looks) = (self.read().book.seq() + 1, u64::MAX, 0);
        let mut rest = Duration::ZERO;
        while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(rest) {
            let count = self.store.health().entry_count;
            looks += 1;
            rest = LOOK;
            if count == counted && looks < LOOKS_A_READ {
                continue;
            }
            looks = 0;
            match self.step(&mut next_seq) {
                // At the end everything counted before the page was read is in it.
                Ok(true) => {
                    counted = count;
                    self.caught_up.send_if_modified(|caught_up| !std::mem::replace(caught_up, true));
                }
                Ok(false) => rest = Duration::ZERO,
                Err(error) => {
                    tracing::warn!(%error, "the feed cannot read the journal; its subscribers wait");
                    rest = RETRY;
                }
            }
        }
    }

    /// Reads a page; true when there is nothing after it.
    fn step(&self, next_seq: &mut u64) -> Result<bool, StoreError> {
        let page = self.store.read(Partition::default(), *next_seq, READ_ENTRIES_MAX)?;
        let (facts, through, ended) = (facts_of(&page), page.through(*next_seq), page.next_seq.is_none());
        *next_seq = through + 1;
        let known = self.seq();
        if through <= known {
            return Ok(ended);
        }
        {
            let mut shared = self.write();
            for (seq, fact) in facts.iter().filter(|(seq, _)| *seq > known) {
                if let Taken::Happened(happening) = shared.book.take(*seq, fact) {
                    shared.ring.push_back(happening);
                }
            }
            shared.book.pass(through);
            while shared.ring.len() > FEED_RING_MAX {
                if let Some(oldest) = shared.ring.pop_front() {
                    shared.ring_from = oldest.seq + 1;
                }
            }
        }
        self.head.send_replace(through);
        Ok(ended)
    }

    fn read(&self) -> RwLockReadGuard<'_, Shared> {
        self.shared.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Shared> {
        self.shared.write().unwrap_or_else(PoisonError::into_inner)
    }

    // --- for those who look ---

    pub fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// Changes when something was read.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.head.subscribe()
    }

    /// Waits until the journal was read to its end once.
    pub async fn caught_up(&self) {
        let _ = self.caught_up.subscribe().wait_for(|caught_up| *caught_up).await;
    }

    /// The newest entry that was read.
    pub fn seq(&self) -> u64 {
        self.read().book.seq()
    }

    pub fn contact(&self, id: ContactId) -> Option<Arc<Dossier>> {
        self.read().book.contact(id)
    }

    pub fn incident(&self, incident: IncidentId) -> Option<Arc<IncidentFile>> {
        self.read().book.incident_or_ended(incident)
    }

    /// Incidents that a viewer may see, and the entry up to which that is so.
    pub fn incidents(&self, after: Option<IncidentId>, viewer: &Viewer, count_max: usize) -> (Vec<Arc<IncidentFile>>, u64) {
        let shared = self.read();
        (shared.book.incidents_after(after, viewer, count_max), shared.book.seq())
    }

    pub fn oldest_began(&self, through: u64) -> Option<u64> {
        self.read().book.oldest_began(through)
    }

    /// What a viewer may see of the entries after `after`, at most so many, and the entry up to which that is all; `None` when the ring
    /// begins later.
    pub fn after(&self, after: u64, viewer: &Viewer, count_max: usize) -> Option<(Vec<Arc<Happening>>, u64)> {
        let shared = self.read();
        if after + 1 < shared.ring_from {
            return None;
        }
        let first = shared.ring.partition_point(|happening| happening.seq <= after);
        let seen: Vec<_> = shared.ring.range(first..).filter(|happening| happening.is_seen_by(viewer)).take(count_max).cloned().collect();
        let through = if seen.len() < count_max { shared.book.seq() } else { seen.last().map_or(after, |last| last.seq) };
        Some((seen, through))
    }

    /// The first entry after `after` for which this holds.
    pub fn find_after(&self, after: u64, holds: impl Fn(&Happening) -> bool) -> Option<u64> {
        let shared = self.read();
        let first = shared.ring.partition_point(|happening| happening.seq <= after);
        shared.ring.range(first..).find(|happening| holds(happening)).map(|happening| happening.seq)
    }

    pub fn ring_covers(&self, seq: u64) -> bool {
        self.read().ring_from <= seq
    }
}

/// The facts of a page that can be read.
pub(super) fn facts_of(page: &Page) -> Vec<(u64, Fact)> {
    // What cannot be read is told of by the one who makes checkpoints.
    page.entries.iter().filter_map(|entry| Some((entry.seq, decode_fact(&entry.bytes).ok()?))).collect()
}

/// The book at the newest checkpoint at or before an entry; at the oldest there is when that is asked for.
pub(super) fn book_at(store: &dyn Store, at_most: u64, oldest: bool) -> Option<Book> {
    let mut seqs = store.checkpoints(Partition::default()).unwrap_or_default();
    if oldest {
        seqs.reverse();
    }
    let config = engine::Config::default();
    seqs.into_iter().filter(|seq| *seq <= at_most).find_map(|seq| {
        let checkpoint = store.checkpoint(Partition::default(), seq).ok()?;
        decode_past(&config, &checkpoint.bytes).ok().map(|past| Book::of_past(&past))
    })
}
