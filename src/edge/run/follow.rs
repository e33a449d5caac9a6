//! The journal read from behind: at the start to rebuild the engine, then by a thread that makes checkpoints.
//!
//! The engine's thread has no part in a checkpoint. The thread here reads what the disk holds, so a checkpoint never says more than
//! the journal does, and no contact waits for it.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};
use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded};

use super::super::clock::Clock;
use super::retain::Retention;
use crate::engine::{Config, Past};
use crate::journal::chain::Anchor;
use crate::journal::entry::Removal;
use crate::limits::READ_ENTRIES_MAX;
use crate::store::{Checkpoint, Partition, Store, StoreError};
use crate::units::Timestamp;
use crate::wire::checkpoint::{EncodedPast, decode_past, encode_past};
use crate::wire::frame::decode_fact;

/// How often the thread looks whether there is something to read.
const LOOK: Duration = Duration::from_millis(250);
/// After each page the thread rests this many times as long as the page took: the cores belong to the contacts.
const REST_TIMES: u64 = 3;
/// Entries it may be behind before it rests no more.
const BEHIND_ENTRIES_MAX: u64 = 200_000;
/// How long after a failed read or write it is tried again.
const RETRY: Duration = Duration::from_secs(10);
/// How often a start from a long journal says how far it has come.
const PROGRESS_MICROS: u64 = 2_000_000;
/// A stop writes a checkpoint when more entries than this came after the last: the next start is then quick as well.
const STOP_ENTRIES: u64 = 1_000;
/// Bytes of a checkpoint for which one more entry is awaited before the next.
const CHECKPOINT_BYTES_AN_ENTRY: u64 = 256;

/// A past, and how far in the journal it has come.
pub(super) struct Follower {
    pub past: EncodedPast,
    next_seq: u64,
    /// The chain where the past ends.
    end: Option<Anchor>,
    /// Entries taken since this was made.
    pub entry_count: u64,
    /// Removals of older entries that the journal spoke of since somebody last looked.
    pub removals: Vec<Removal>,
    /// The entry of the checkpoint it began with; 0 when it began with the journal.
    pub checkpoint_seq: u64,
}

impl Follower {
    /// The newest checkpoint that can be used, and everything after it. A bad checkpoint never keeps an engine from starting: the one
    /// before it is tried, and at last the whole journal is read.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub(super) fn catch_up(store: &dyn Store, config: &Config, clock: Clock) -> Result<Self> {
        let mut follower = Self::begin(store, config);
        let mut said = clock.now();
        while !follower.step(store).context("reading the journal")? {
            if clock.now().micros_since(said) > PROGRESS_MICROS {
                said = clock.now();
                tracing::info!(entries = follower.entry_count, seq = follower.next_seq - 1, "reading the journal");
            }
        }
        Ok(follower)
    }

    fn begin(store: &dyn Store, config: &Config) -> Self {
        let seqs = store.checkpoints(Partition::default()).unwrap_or_else(|error| {
            tracing::warn!(%error, "checkpoints cannot be listed; the whole journal is read");
            Vec::new()
        });
        let bad = |seq: u64, why: &dyn std::fmt::Display| {
            tracing::warn!(seq, %why, "a checkpoint is passed over; the one before it is tried, or the whole journal is read");
        };
        for seq in seqs {
            let checkpoint = match store.checkpoint(Partition::default(), seq) {
                Ok(checkpoint) => checkpoint,
                Err(error) => {
                    bad(seq, &error);
                    continue;
                }
            };
            match decode_past(config, &checkpoint.bytes) {
                Ok(past) => {
                    return Self {
                        past,
                        next_seq: seq + 1,
                        end: Some(checkpoint.anchor),
                        entry_count: 0,
                        removals: Vec::new(),
                        checkpoint_seq: seq,
                    };
                }
                Err(error) => bad(seq, &error),
            }
        }
        Self { past: Past::new(config), next_seq: 1, end: None, entry_count: 0, removals: Vec::new(), checkpoint_seq: 0 }
    }

    /// Reads the next page; true when there is nothing after it.
    fn step(&mut self, store: &dyn Store) -> Result<bool, StoreError> {
        let page = store.read(Partition::default(), self.next_seq, READ_ENTRIES_MAX)?;
        for broken in &page.breaks {
            tracing::error!(%broken, "the journal's chain does not hold here; what can be read is used");
        }
        let count = (page.entries.len() + page.removals.len()) as u64;
        let mut own = page.removals.iter().map(|(seq, _)| *seq).peekable();
        for entry in page.entries {
            while let Some(seq) = own.next_if(|seq| *seq < entry.seq) {
                self.past.pass(seq);
            }
            match decode_fact(&entry.bytes) {
                Ok(fact) => self.past.take(entry.seq, &fact, || entry.bytes.into()),
                Err(error) => tracing::error!(seq = entry.seq, %error, "an entry of the journal cannot be read and is left out"),
            }
        }
        own.for_each(|seq| self.past.pass(seq));
        self.removals.extend(page.removals.iter().map(|(_, removal)| *removal));
        self.entry_count += count;
        self.end = page.end.or(self.end);
        match (page.next_seq, self.end) {
            (Some(next_seq), _) => {
                self.next_seq = next_seq;
                Ok(false)
            }
            (None, end) => {
                self.next_seq = self.next_seq.max(end.map_or(0, |end| end.seq) + 1);
                Ok(true)
            }
        }
    }

    pub(super) fn checkpoint(&self) -> Option<Checkpoint> {
        let anchor = self.end?;
        let needed_from_seq = self.past.oldest_needed().map_or(anchor.seq + 1, |(seq, _)| seq);
        let mut bytes = Vec::new();
        encode_past(&self.past, &mut bytes);
        Some(Checkpoint { anchor, needed_from_seq, bytes })
    }
}

/// When checkpoints are made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    pub entries: u64,
    pub micros: u64,
}

/// The thread that makes them.
pub(super) struct Checkpointer {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Checkpointer {
    pub(super) fn spawn(store: Arc<dyn Store>, follower: Follower, clock: Clock, pace: Pace, retention: Option<Retention>) -> Result<Self> {
        let (stop, stopped) = bounded(1);
        let since = follower.entry_count;
        let work = Work { store, follower, clock, pace, taken: 0, since, bytes: 0, written: clock.now(), retention };
        let spawned = std::thread::Builder::new().name("najda-checkpoint".to_owned()).spawn(move || work.run(&stopped));
        Ok(Self { stop: Some(stop), thread: Some(spawned.context("starting the thread of checkpoints")?) })
    }

    /// Writes what is new, when that is much, and ends.
    pub(super) fn stop(&mut self) {
        self.stop = None;
        drop(self.thread.take().map(JoinHandle::join));
    }
}

struct Work {
    store: Arc<dyn Store>,
    follower: Follower,
    clock: Clock,
    pace: Pace,
    /// Entries read of those the store has taken since it was opened.
    taken: u64,
    /// Entries since the last checkpoint.
    since: u64,
    /// The size of the last checkpoint.
    bytes: u64,
    written: Timestamp,
    retention: Option<Retention>,
}

impl Work {
    fn run(mut self, stopped: &Receiver<()>) {
        let mut rest = LOOK;
        while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(rest) {
            rest = match self.turn() {
                Ok(rest) => rest,
                Err(error) => {
                    tracing::warn!(%error, "no checkpoint can be made now; a restart reads more of the journal");
                    RETRY
                }
            };
        }
        // What is not written now is read at the next start.
        drop(self.finish());
    }

    /// Reads a page if there is one, writes a checkpoint if one is due; says how long to rest.
    fn turn(&mut self) -> Result<Duration, StoreError> {
        let waiting = self.waiting();
        let quiet = self.clock.now().micros_since(self.written) < self.pace.micros;
        if waiting < READ_ENTRIES_MAX as u64 && quiet && self.since + waiting < self.pace.entries {
            return Ok(LOOK);
        }
        let begun = self.clock.now();
        self.read()?;
        if self.is_due() {
            self.write()?;
            if let Some(retention) = &mut self.retention {
                retention.ask(&*self.store, self.clock.now())?;
            }
        }
        let told = std::mem::take(&mut self.follower.removals);
        if let (Some(retention), false) = (&mut self.retention, told.is_empty()) {
            retention.remove(&*self.store, &self.follower.past, &told, self.clock.now())?;
        }
        let took = Duration::from_micros(self.clock.now().micros_since(begun));
        let rest = if waiting > BEHIND_ENTRIES_MAX { Duration::ZERO } else { (took * REST_TIMES as u32).min(LOOK) };
        Ok(if waiting < READ_ENTRIES_MAX as u64 { LOOK } else { rest })
    }

    /// About as many entries wait to be read.
    fn waiting(&self) -> u64 {
        self.store.health().entry_count.saturating_sub(self.taken)
    }

    /// True when there is nothing after what was read.
    fn read(&mut self) -> Result<bool, StoreError> {
        let (counted, before) = (self.store.health().entry_count, self.follower.entry_count);
        let ended = self.follower.step(&*self.store)?;
        let count = self.follower.entry_count - before;
        self.since += count;
        // At the end everything counted before the page was read is in it.
        self.taken = if ended { counted } else { (self.taken + count).min(counted) };
        Ok(ended)
    }

    fn is_due(&self) -> bool {
        // A large checkpoint is made more rarely: it never writes more than the journal itself does.
        let many = self.since >= self.pace.entries.max(self.bytes / CHECKPOINT_BYTES_AN_ENTRY);
        let long = self.since > 0 && self.clock.now().micros_since(self.written) >= self.pace.micros;
        many || long
    }

    fn write(&mut self) -> Result<(), StoreError> {
        let Some(checkpoint) = self.follower.checkpoint() else { return Ok(()) };
        self.store.put_checkpoint(Partition::default(), &checkpoint)?;
        let (live, bytes) = (self.follower.past.live_contacts(), checkpoint.bytes.len());
        tracing::debug!(seq = checkpoint.anchor.seq, live, bytes, "a checkpoint was made");
        (self.since, self.bytes, self.written) = (0, bytes as u64, self.clock.now());
        Ok(())
    }

    fn finish(&mut self) -> Result<(), StoreError> {
        while !self.read()? {}
        if self.since >= STOP_ENTRIES { self.write() } else { Ok(()) }
    }
}
