//! How long the journal is kept: old files go, once the journal itself says so.
//!
//! ```text
//! after a checkpoint     is there a file that is old enough and that nobody needs?  -> an entry says that it goes
//! that entry is held     the file goes, with the searchable rows of its contacts and the table sets that nothing names any more
//! ```
//!
//! A machine that stops in between has a journal that says more than was done: the file is removed the next time.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use crossbeam::channel::{Sender, bounded};

use super::super::clock::Clock;
use super::super::store::embedded::{self, EmbeddedStore};
use super::follow::Follower;
use crate::deliver::Fact;
use crate::engine::Config;
use crate::journal::chain::Anchor;
use crate::journal::entry::Removal;
use crate::journal::projection::change_of;
use crate::limits::READ_ENTRIES_MAX;
use crate::store::{Batch, BlobName, KeptWhy, Notice, Partition, Removable, Store, StoreError};
use crate::units::Timestamp;
use crate::wire::checkpoint::EncodedPast;
use crate::wire::frame::decode_fact;

/// Everything older than the start of the day this many days ago may go.
pub(super) fn older_than(now: Timestamp, keep_days: u32) -> Timestamp {
    Timestamp::of_day(now.day().saturating_sub(u64::from(keep_days)))
}

/// What a running engine does about old files.
pub(super) struct Retention {
    pub keep_days: u32,
    /// The engine's thread gives the entry its number.
    pub say: Sender<Removal>,
    /// What the engine was last asked to write: it is not asked twice.
    pub asked: Option<Anchor>,
}

impl Retention {
    pub(super) fn ask(&mut self, store: &dyn Store, now: Timestamp) -> Result<(), StoreError> {
        let found = store.removable(Partition::default(), older_than(now, self.keep_days))?;
        let Some(before) = found.before.filter(|before| self.asked != Some(*before)) else { return Ok(()) };
        if self.say.try_send(Removal { before, at: now }).is_ok() {
            self.asked = Some(before);
        }
        Ok(())
    }

    /// The journal says that these go.
    pub(super) fn remove(&self, store: &dyn Store, past: &EncodedPast, told: &[Removal], now: Timestamp) -> Result<(), StoreError> {
        let asked = |removal: &&Removal| self.asked == Some(removal.before);
        let Some(Removal { before, .. }) = told.iter().find(asked) else { return Ok(()) };
        store.remove(Partition::default(), *before)?;
        let gone = forget_tables(store, past, older_than(now, self.keep_days))?;
        tracing::info!(through_seq = before.seq, table_sets = gone, "old entries were removed; an entry says so");
        Ok(())
    }
}

/// Removes table sets that no remaining entry names and nobody has put since. Returns how many.
fn forget_tables(store: &dyn Store, past: &EncodedPast, since: Timestamp) -> Result<u64, StoreError> {
    let mut unnamed: BTreeSet<BlobName> = store.blob_names()?.into_iter().collect();
    if let Some((version, _)) = past.head().tables {
        unnamed.remove(&BlobName(version.0));
    }
    let mut from_seq = 1;
    while !unnamed.is_empty() {
        let page = store.read(Partition::default(), from_seq, READ_ENTRIES_MAX)?;
        if !page.breaks.is_empty() {
            // What cannot be read may name any of them.
            return Ok(0);
        }
        for entry in &page.entries {
            match decode_fact(&entry.bytes) {
                Ok(Fact::Arrived { decision, .. } | Fact::Redecided { decision, .. }) => drop(unnamed.remove(&BlobName(decision.tables.0))),
                Ok(Fact::Tables { version, .. }) => drop(unnamed.remove(&BlobName(version.0))),
                Ok(_) => {}
                Err(_) => return Ok(0),
            }
        }
        match page.next_seq {
            Some(next_seq) => from_seq = next_seq,
            None => break,
        }
    }
    let mut gone = 0;
    for name in unnamed {
        gone += u64::from(store.remove_blob_untouched(name, since)?);
    }
    Ok(gone)
}

/// What `najda journal retain` did, or would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retained {
    pub found: Removable,
    pub table_sets: u64,
}

/// Removes old entries of a journal that no engine runs on. With `only_look` nothing is changed but checkpoints.
///
/// # Errors
/// An engine runs on this folder, or the disk fails.
pub fn retain(folder: &Path, keep_days: u32, only_look: bool) -> Result<Retained> {
    let clock = Clock::start();
    let (hear, heard) = bounded(1_024);
    let listener = Box::new(move |notice: Notice| drop(hear.send(notice)));
    let store: Arc<dyn Store> =
        match EmbeddedStore::open(embedded::Config { log_bytes_ahead: 0, ..embedded::Config::new(folder) }, listener) {
            Ok(store) => Arc::new(store),
            Err(StoreError::FolderHeld { .. }) => bail!(
                "an engine runs on {}: let it remove old entries itself, with `keep_days = {keep_days}` in its configuration or \
             `najda serve --keep-days {keep_days}`",
                folder.display()
            ),
            Err(error) => return Err(error).with_context(|| format!("opening the journal in {}", folder.display())),
        };
    let partition = Partition::default();
    let mut follower = Follower::catch_up(&*store, &Config::default(), clock)?;
    // What is removed must not be needed by a start: it finds everything that still matters here.
    if let Some(checkpoint) = follower.checkpoint() {
        store.put_checkpoint(partition, &checkpoint).context("keeping a checkpoint")?;
    }
    let older_than = older_than(clock.now(), keep_days);
    let found = store.removable(partition, older_than)?;
    let (Some(before), false) = (found.before, only_look) else { return Ok(Retained { found, table_sets: 0 }) };
    let claim = store.claim(partition).context("claiming the journal")?;
    let removal = Removal { before, at: clock.now() };
    store.append(Batch::new(&claim, vec![removal.to_entry(claim.next_seq)])?)?;
    loop {
        match heard.recv().context("the journal ended")? {
            Notice::Durable(receipt) if receipt.through_seq() >= claim.next_seq => break,
            Notice::Durable(_) => {}
            other => bail!("the journal did not take the entry that says what is removed: {other:?}"),
        }
    }
    store.remove(partition, before)?;
    follower.past.pass(claim.next_seq);
    let table_sets = forget_tables(&*store, &follower.past, older_than)?;
    drop(store);
    let project: embedded::Project = Arc::new(|entry| decode_fact(&entry.bytes).ok().as_ref().and_then(change_of));
    embedded::follow_with_rows(folder, &project).context("removing the searchable rows of old contacts")?;
    Ok(Retained { found, table_sets })
}

/// Whether old entries stay that are old enough to go: worth telling a person.
pub fn is_held_up(kept: KeptWhy) -> bool {
    !matches!(kept, KeptWhy::Young | KeptWhy::Newest)
}
