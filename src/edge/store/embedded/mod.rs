//! The journal in files of this machine.
//!
//! ```text
//! <folder>/                    0700, its files 0600
//!     lock                     held by the process that writes the journal
//!     journal-000001.db        the log, oldest first; the next begins at midnight UTC, when one is full, or when its disk failed
//!     projection.db            the searchable rows; may be deleted, is made again
//!     projection.lock          held by the process that writes the rows
//!     blobs/<name>.blob        table sets
//!     checkpoints/             what a restart needs, so that it need not read the whole log
//! ```
//!
//! Three threads: `najda-journal` commits, `najda-mover` moves committed pages into the main file, `najda-projection` fills the rows.
//!
//! **What it does not do:** it does not read entries' bytes, and it does not decide what is lost. It deletes entries only by whole files,
//! once the chain says so (`retention`).

mod archive;
mod blobs;
mod checkpoints;
mod fault;
mod folder;
mod inbox;
mod projection;
mod retention;
mod segment;
mod writer;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam::channel::bounded;
use crossbeam::sync::Parker;
use rusqlite::Connection;

use self::archive::Archive;
use self::blobs::Blobs;
use self::checkpoints::Checkpoints;
use self::fault::{Fault, is_damage};
use self::folder::Held;
use self::inbox::{Bounds, Inbox};
pub use self::projection::{Progress, Project};
use self::projection::{Projector, find, lag, rebuild};
use self::writer::{Mover, Writer};
use super::ledger::Tip;
use crate::journal::chain::{Anchor, Verified};
use crate::journal::projection::{ContactRow, Query};
use crate::limits::{LOG_BYTES_AHEAD, SEGMENT_BYTES_MAX, STORE_BACKLOG_BYTES_MAX, STORE_BACKLOG_ENTRIES_MAX};
use crate::store::{Batch, BlobName, Checkpoint, Claim, Epoch, Health, Listener, Page, Partition, Rejected, Removable, Store, StoreError};
use crate::units::{ContactId, Timestamp};

/// How long a claim waits for the disk.
const CLAIM_WAIT: Duration = Duration::from_secs(10);
/// How far sequence numbers and epochs jump over a file of which not even the end can be read, so that none is given out twice.
const DAMAGE_JUMP: u64 = 1 << 32;

/// Where the journal is kept and how much may wait.
#[derive(Clone)]
pub struct Config {
    pub folder: PathBuf,
    /// A file larger than this is followed by the next.
    pub segment_bytes_max: u64,
    /// Bytes of the write-ahead log that have their place on the disk before they are needed.
    pub log_bytes_ahead: u64,
    /// Entries, and bytes of them, that wait in memory while the disk fails.
    pub backlog_entries_max: usize,
    pub backlog_bytes_max: usize,
    /// Fills the searchable rows; without it there are none.
    pub project: Option<Project>,
}

impl Config {
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            segment_bytes_max: SEGMENT_BYTES_MAX,
            log_bytes_ahead: LOG_BYTES_AHEAD,
            backlog_entries_max: STORE_BACKLOG_ENTRIES_MAX,
            backlog_bytes_max: STORE_BACKLOG_BYTES_MAX,
            project: None,
        }
    }
}

/// The journal, open for writing. Dropping it finishes what was appended.
pub struct EmbeddedStore {
    inbox: Arc<Inbox>,
    archive: Arc<Archive>,
    blobs: Blobs,
    checkpoints: Checkpoints,
    writer: Option<JoinHandle<()>>,
    projector: Option<Projector>,
    /// Let go of last.
    _held: Held,
}

impl EmbeddedStore {
    /// Opens the journal of a folder, creating both when they are not there.
    ///
    /// A newest file that is damaged is left as it is and followed by a new one: the engine must be able to start.
    ///
    /// # Errors
    /// Another process writes this journal, a newer version wrote it, or the disk fails.
    pub fn open(config: Config, listener: Listener) -> Result<Self, StoreError> {
        folder::prepare(&config.folder)?;
        let held = Held::take(&config.folder, "lock")?;
        let blobs = Blobs::open(&config.folder)?;
        let newest = Newest::open(&config.folder, config.log_bytes_ahead)?;
        let archive = Arc::new(Archive::open(config.folder.clone())?);
        let bounds = Bounds { entry_count_max: config.backlog_entries_max as u64, byte_count_max: config.backlog_bytes_max as u64 };
        let inbox = Arc::new(Inbox::new(bounds));
        inbox.counters.segment.store(newest.number, Ordering::Relaxed);
        let parker = Parker::new();
        let writer = Writer {
            inbox: Arc::clone(&inbox),
            archive: Arc::clone(&archive),
            segment_bytes: fs::metadata(segment::path_of(&config.folder, newest.number)).map_or(0, |file| file.len()),
            conn: newest.conn,
            number: newest.number,
            day: newest.day,
            tips: newest.tips,
            genesis_seq: if newest.after_damage { 1 + DAMAGE_JUMP } else { 1 },
            listener,
            segment_bytes_max: config.segment_bytes_max,
            log_bytes_ahead: config.log_bytes_ahead,
            projector: parker.unparker().clone(),
            mover: Mover::spawn()?,
            used: !newest.fresh,
            unmoved_bytes: 0,
            spoiled: false,
            failing: false,
        }
        .spawn()?;
        let checkpoints = Checkpoints::of(&config.folder);
        let mut store = Self { inbox, archive, blobs, checkpoints, writer: Some(writer), projector: None, _held: held };
        if let Some(project) = config.project {
            let held = Held::take(&config.folder, "projection.lock")?;
            store.projector = Some(Projector::spawn(parker, Arc::clone(&store.inbox), Arc::clone(&store.archive), project, held)?);
        }
        Ok(store)
    }

    /// Finishes what was appended and closes the files; the last notices are heard before it returns.
    pub fn close(self) {
        drop(self);
    }

    /// Searches the rows. They follow the journal; [`Health::projection_lag_entry_count`] says by how much.
    ///
    /// # Errors
    /// There are no rows yet, or the disk fails.
    pub fn find(&self, query: &Query) -> Result<Vec<ContactRow>, StoreError> {
        find(self.archive.folder(), query)
    }

    /// Removes a blob that nothing refers to any more.
    ///
    /// # Errors
    /// The disk fails.
    pub fn remove_blob(&self, name: BlobName) -> Result<(), StoreError> {
        self.blobs.remove(name)
    }
}

impl Drop for EmbeddedStore {
    fn drop(&mut self) {
        self.inbox.close();
        drop(self.writer.take().map(JoinHandle::join));
        if let Some(projector) = &mut self.projector {
            projector.stop();
        }
    }
}

// --- impl Store ---

impl Store for EmbeddedStore {
    fn claim(&self, partition: Partition) -> Result<Claim, StoreError> {
        let (reply, answer) = bounded(1);
        self.inbox.claim(partition, reply)?;
        answer.recv_timeout(CLAIM_WAIT).map_err(|_| StoreError::StoreBusy { doing: "claim a partition" })?
    }

    fn append(&self, batch: Batch) -> Result<(), Rejected> {
        self.inbox.append(batch)
    }

    fn read(&self, partition: Partition, from_seq: u64, entry_count_max: usize) -> Result<Page, StoreError> {
        self.archive.read(partition, from_seq, entry_count_max)
    }

    fn verify(&self, partition: Partition) -> Result<Verified, StoreError> {
        self.archive.verify(partition, &self.checkpoints.anchors(partition))
    }

    fn put_blob(&self, name: BlobName, bytes: &[u8]) -> Result<(), StoreError> {
        self.blobs.put(name, bytes)
    }

    fn blob(&self, name: BlobName) -> Result<Option<Vec<u8>>, StoreError> {
        self.blobs.read(name)
    }

    fn put_checkpoint(&self, partition: Partition, checkpoint: &Checkpoint) -> Result<(), StoreError> {
        self.checkpoints.put(partition, checkpoint)
    }

    fn checkpoints(&self, partition: Partition) -> Result<Vec<u64>, StoreError> {
        self.checkpoints.seqs(partition)
    }

    fn checkpoint(&self, partition: Partition, seq: u64) -> Result<Checkpoint, StoreError> {
        let checkpoint = self.checkpoints.read(partition, seq)?;
        if self.archive.holds(partition, checkpoint.anchor)? { Ok(checkpoint) } else { Err(StoreError::CheckpointAstray { seq }) }
    }

    fn removable(&self, partition: Partition, older_than: Timestamp) -> Result<Removable, StoreError> {
        retention::removable(&self.archive, &self.checkpoints, partition, older_than)
    }

    fn remove(&self, partition: Partition, before: Anchor) -> Result<(), StoreError> {
        retention::remove(&self.archive, partition, before)
    }

    fn blob_names(&self) -> Result<Vec<BlobName>, StoreError> {
        self.blobs.names()
    }

    fn remove_blob_untouched(&self, name: BlobName, since: Timestamp) -> Result<bool, StoreError> {
        self.blobs.remove_untouched(name, since)
    }

    fn health(&self) -> Health {
        self.inbox.health()
    }
}

/// The journal, open for reading, beside the process that writes it or after its end.
pub struct JournalReader {
    archive: Archive,
    blobs: Blobs,
    checkpoints: Checkpoints,
}

impl JournalReader {
    /// Opens the journal in `folder`. Files begun later are not seen: open it again.
    ///
    /// # Errors
    /// There is none, a newer version wrote it, or the disk fails.
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let folder = folder.into();
        let blobs = Blobs::open(&folder)?;
        let checkpoints = Checkpoints::of(&folder);
        Ok(Self { archive: Archive::open(folder)?, blobs, checkpoints })
    }

    /// The partitions the journal holds entries of, in order.
    pub fn partitions(&self) -> Vec<Partition> {
        self.archive.partitions()
    }

    /// As [`Store::read`].
    ///
    /// # Errors
    /// As [`Store::read`].
    pub fn read(&self, partition: Partition, from_seq: u64, entry_count_max: usize) -> Result<Page, StoreError> {
        self.archive.read(partition, from_seq, entry_count_max)
    }

    /// As [`Store::verify`].
    ///
    /// # Errors
    /// As [`Store::verify`].
    pub fn verify(&self, partition: Partition) -> Result<Verified, StoreError> {
        self.archive.verify(partition, &self.checkpoints.anchors(partition))
    }

    /// As [`Store::blob`].
    ///
    /// # Errors
    /// As [`Store::blob`].
    pub fn blob(&self, name: BlobName) -> Result<Option<Vec<u8>>, StoreError> {
        self.blobs.read(name)
    }

    /// As [`EmbeddedStore::find`].
    ///
    /// # Errors
    /// As [`EmbeddedStore::find`].
    pub fn find(&self, query: &Query) -> Result<Vec<ContactRow>, StoreError> {
        find(self.archive.folder(), query)
    }

    /// Where a contact's life begins: its partition, and the number of its first entry. `None` when the searchable rows know none.
    ///
    /// # Errors
    /// As [`Self::find`].
    pub fn arrival_of(&self, contact: ContactId) -> Result<Option<(Partition, u64)>, StoreError> {
        projection::arrival_of(self.archive.folder(), contact)
    }

    /// The sequence number of a partition's newest entry; 0 when it holds none.
    ///
    /// # Errors
    /// The disk fails.
    pub fn last_seq(&self, partition: Partition) -> Result<u64, StoreError> {
        self.archive.last_seq(partition)
    }

    /// Entries that the searchable rows are behind by; `None` when there are no rows that this version can read.
    ///
    /// # Errors
    /// The disk fails.
    pub fn projection_lag(&self) -> Result<Option<u64>, StoreError> {
        lag(&self.archive)
    }

    /// Throws the searchable rows away and makes them again, telling `progress` after each step.
    ///
    /// # Errors
    /// The engine runs and keeps the rows itself ([`StoreError::FolderHeld`]), or the disk fails.
    pub fn rebuild_projection(&self, project: &Project, progress: &mut dyn FnMut(Progress)) -> Result<(), StoreError> {
        let _held = Held::take(self.archive.folder(), "projection.lock")?;
        rebuild(&self.archive, project, progress)
    }
}

/// Brings the searchable rows up to the journal, those of contacts whose entries were removed included, when there are rows. Those that
/// an engine keeps follow by themselves.
///
/// # Errors
/// An engine keeps them ([`StoreError::FolderHeld`]), or the disk fails.
pub fn follow_with_rows(folder: &Path, project: &Project) -> Result<(), StoreError> {
    let _held = Held::take(folder, "projection.lock")?;
    let archive = Archive::open(folder.to_owned())?;
    if projection::path_of(folder).exists() { projection::follow(&archive, project) } else { Ok(()) }
}

/// The file the writer goes on with.
struct Newest {
    conn: Connection,
    number: u32,
    tips: BTreeMap<Partition, Tip>,
    /// The day of its newest entry, in days since 1970.
    day: Option<u64>,
    /// Just begun, without an entry.
    fresh: bool,
    /// The file before it could not be read.
    after_damage: bool,
}

impl Newest {
    fn open(folder: &Path, log_bytes_ahead: u64) -> Result<Self, StoreError> {
        let mut numbers = archive::numbers(folder)?;
        let Some(number) = numbers.pop() else { return Self::begin(folder, 1, BTreeMap::new(), log_bytes_ahead) };
        let path = segment::path_of(folder, number);
        let read = || -> rusqlite::Result<Result<Option<Self>, StoreError>> {
            let conn = segment::open_to_write(&path)?;
            match segment::check_format(&conn, &path)? {
                Err(error) => return Ok(Err(error)),
                Ok(false) => return Ok(Ok(None)),
                Ok(true) => {}
            }
            let tips: BTreeMap<Partition, Tip> = archive::tips(&conn)?.into_iter().map(|(partition, _, tip)| (partition, tip)).collect();
            let mut newest = None;
            for partition in tips.keys() {
                newest = newest.max(segment::last_time(&conn, *partition, u64::MAX)?.map(|(_, at)| at));
            }
            let day = newest.map(Timestamp::day);
            Ok(Ok(Some(Self { conn, number, tips, day, fresh: false, after_damage: false })))
        };
        match read() {
            Ok(Ok(Some(newest))) => {
                segment::lay_out_log(&path, log_bytes_ahead);
                Ok(newest)
            }
            Ok(Ok(None)) => {
                // The machine stopped while this file was being begun: it never held an entry.
                let removed = folder::remove_database(&path);
                removed.map_err(|error| Fault::of_io("remove an unfinished file", &path, &error))?;
                Self::open(folder, log_bytes_ahead)
            }
            Ok(Err(error)) => Err(error),
            Err(error) if is_damage(&error) => {
                tracing::error!(segment = number, %error, "the newest journal file is damaged; a new chain begins");
                let newest = Self::begin(folder, number + 1, beyond_damage(folder)?, log_bytes_ahead)?;
                Ok(Self { after_damage: true, ..newest })
            }
            Err(error) => Err(Fault::of("open the journal", &error).into_error()),
        }
    }

    fn begin(folder: &Path, number: u32, tips: BTreeMap<Partition, Tip>, log_bytes_ahead: u64) -> Result<Self, StoreError> {
        let list: Vec<(Partition, Tip)> = tips.iter().map(|(partition, tip)| (*partition, *tip)).collect();
        let conn = segment::create(folder, number, &list, log_bytes_ahead).map_err(Fault::into_error)?;
        Ok(Self { conn, number, tips, day: None, fresh: true, after_damage: false })
    }
}

/// Where every known partition can safely go on when its newest file does not say where it ended.
fn beyond_damage(folder: &Path) -> Result<BTreeMap<Partition, Tip>, StoreError> {
    let archive = Archive::open(folder.to_owned())?;
    let mut tips = BTreeMap::new();
    for partition in archive.partitions() {
        let last_seq = archive.last_readable_seq(partition);
        let epoch = Epoch(archive.last_readable_epoch(partition).0 + DAMAGE_JUMP);
        tips.insert(partition, Tip { epoch, ..Tip::genesis(partition, last_seq + 1 + DAMAGE_JUMP) });
    }
    Ok(tips)
}
