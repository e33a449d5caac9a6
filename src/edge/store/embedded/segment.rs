//! One file of the journal: an SQLite database with a log table for each partition.
//!
//! ```text
//! journal-000001.db   chains(partition, first_seq, previous_hash)          where this file takes a chain up
//!                     epochs(partition, epoch, head_seq, head_hash)        who claimed it, and the chain's end at that moment
//!                     log_0(seq = rowid, at, contact, kind, hash, bytes)   the entries of partition 0, no index
//! ```
//!
//! The write-ahead log is synced at every commit (`synchronous = FULL`). Checkpoints are never left to SQLite, because it says nothing
//! when one of its own fails to sync.

use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, Transaction, TransactionBehavior, params};

use super::fault::Fault;
use super::folder;
use crate::edge::store::ledger::Tip;
use crate::journal::chain::{Anchor, ChainHash};
use crate::journal::entry::{Entry, Hole};
use crate::store::{Epoch, Partition, StoreError};
use crate::units::{ContactId, Timestamp};

/// "NAJD", in the file's header.
const APPLICATION_ID: u32 = 0x4E41_4A44;
/// Raised when the tables change.
const FORMAT: u32 = 1;
/// How long another process may hold the file before the commit counts as failed.
const BUSY_WAIT: std::time::Duration = std::time::Duration::from_millis(250);
/// Statements kept ready: an insert, a look-up and a scan for each of a few partitions.
const STATEMENTS_KEPT: usize = 64;

/// Where a file takes up the chain of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ChainStart {
    pub first_seq: u64,
    pub previous: ChainHash,
}

impl ChainStart {
    pub(super) const fn at(tip: &Tip) -> Self {
        Self { first_seq: tip.next_seq, previous: tip.head }
    }

    pub(super) const fn before(self) -> Anchor {
        Anchor { seq: self.first_seq - 1, hash: self.previous }
    }
}

pub(super) fn path_of(folder: &Path, number: u32) -> PathBuf {
    folder.join(format!("journal-{number:06}.db"))
}

pub(super) fn number_of(path: &Path) -> Option<u32> {
    path.file_name()?.to_str()?.strip_prefix("journal-")?.strip_suffix(".db")?.parse().ok()
}

/// Begins a new file that takes up every chain at its tip. When this returns, file and name survive a power cut.
pub(super) fn create(folder: &Path, number: u32, tips: &[(Partition, Tip)], log_bytes_ahead: u64) -> Result<Connection, Fault> {
    let path = path_of(folder, number);
    folder::create_file(&path).map_err(|error| Fault::File(Fault::of_io("begin a journal file", &path, &error)))?;
    let begun = begin(&path, tips).and_then(|conn| match folder::sync(folder) {
        Ok(()) => Ok(conn),
        Err(error) => Err(Fault::File(Fault::of_io("sync the state folder", folder, &error))),
    });
    if begun.is_ok() {
        lay_out_log(&path, log_bytes_ahead);
    }
    // What is left of a failed try would only take up space and a number.
    begun.inspect_err(|_| drop(folder::remove_database(&path)))
}

fn begin(path: &Path, tips: &[(Partition, Tip)]) -> Result<Connection, Fault> {
    let begin = || -> rusqlite::Result<Connection> {
        let conn = open_to_write(path)?;
        let tx = Transaction::new_unchecked(&conn, TransactionBehavior::Immediate)?;
        tx.pragma_update(None, "application_id", APPLICATION_ID)?;
        tx.pragma_update(None, "user_version", FORMAT)?;
        tx.execute_batch(
            "CREATE TABLE chains(partition INTEGER PRIMARY KEY, first_seq INTEGER NOT NULL, previous_hash BLOB NOT NULL);
             CREATE TABLE epochs(partition INTEGER, epoch INTEGER, head_seq INTEGER NOT NULL, head_hash BLOB NOT NULL,
                                 PRIMARY KEY(partition, epoch)) WITHOUT ROWID;",
        )?;
        for (partition, tip) in tips {
            begin_chain(&tx, *partition, ChainStart::at(tip))?;
            note_epoch(&tx, *partition, tip.epoch, tip.anchor())?;
        }
        tx.commit()?;
        Ok(conn)
    };
    begin().map_err(|error| Fault::of("begin a journal file", &error))
}

/// Opens a file to go on writing it.
pub(super) fn open_to_write(path: &Path) -> rusqlite::Result<Connection> {
    let conn = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    conn.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    conn.pragma_update(None, "synchronous", "FULL")?;
    conn.pragma_update_and_check(None, "wal_autocheckpoint", 0, |_| Ok(()))?;
    Ok(conn)
}

/// Gives the write-ahead log its blocks before they are needed: a sync of a file that does not grow is one write of the disk, of one
/// that grows it is two or three. SQLite takes zeros behind its own frames for the log's end, whatever the log held before.
///
/// Nobody may be writing the log. Without room the log grows as it is written, as it did before.
pub(super) fn lay_out_log(path: &Path, byte_count: u64) {
    if let Err(error) = try_to_lay_out_log(path, byte_count) {
        tracing::warn!(file = %path.display(), %error, "the journal's log cannot be laid out ahead; each commit takes longer");
    }
}

fn try_to_lay_out_log(path: &Path, byte_count: u64) -> std::io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(false).open(name)?;
    let held = file.seek(SeekFrom::End(0))?;
    let ahead = byte_count.saturating_sub(held);
    if ahead == 0 {
        return Ok(());
    }
    let laid = std::io::copy(&mut std::io::repeat(0).take(ahead), &mut file).and_then(|_| file.sync_all());
    // The last room of a disk belongs to entries.
    laid.or_else(|error| file.set_len(held).and(Err(error)))
}

/// Opens a file to read it, beside its writer.
pub(super) fn open_to_read(path: &Path) -> rusqlite::Result<Connection> {
    open(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
}

fn open(path: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    let conn = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    conn.busy_timeout(BUSY_WAIT)?;
    // Closing must not sync: a file whose sync failed once is never synced again.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    Ok(conn)
}

/// Whether the file was begun at all. One that was not has never held an entry.
pub(super) fn check_format(conn: &Connection, path: &Path) -> rusqlite::Result<Result<bool, StoreError>> {
    let pragma = |name| conn.pragma_query_value(None, name, |row| row.get::<_, u32>(0));
    let (application, got) = (pragma("application_id")?, pragma("user_version")?);
    Ok(match (application, got) {
        (0, 0) => Ok(false),
        (APPLICATION_ID, FORMAT) => Ok(true),
        _ => Err(StoreError::FormatUnknown { file: path.to_string_lossy().into(), expected: FORMAT, got }),
    })
}

pub(super) fn begin_chain(conn: &Connection, partition: Partition, start: ChainStart) -> rusqlite::Result<()> {
    let number = partition.number();
    conn.execute_batch(&format!(
        "CREATE TABLE log_{number}(seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, contact BLOB, kind INTEGER NOT NULL,
                                   hash BLOB NOT NULL, bytes BLOB NOT NULL)"
    ))?;
    let sql = "INSERT INTO chains(partition, first_seq, previous_hash) VALUES (?, ?, ?)";
    conn.execute(sql, params![number, start.first_seq.cast_signed(), start.previous.0]).map(drop)
}

pub(super) fn note_epoch(conn: &Connection, partition: Partition, epoch: Epoch, head: Anchor) -> rusqlite::Result<()> {
    let sql = "INSERT INTO epochs(partition, epoch, head_seq, head_hash) VALUES (?, ?, ?, ?)";
    conn.execute(sql, params![partition.number(), epoch.0.cast_signed(), head.seq.cast_signed(), head.hash.0]).map(drop)
}

pub(super) fn chain_starts(conn: &Connection) -> rusqlite::Result<Vec<(Partition, ChainStart)>> {
    let mut all = conn.prepare_cached("SELECT partition, first_seq, previous_hash FROM chains ORDER BY partition")?;
    let rows = all.query_map([], |row| {
        let start = ChainStart { first_seq: row.get::<_, i64>(1)?.cast_unsigned(), previous: ChainHash(row.get(2)?) };
        Ok(Partition::new(row.get(0)?).map(|partition| (partition, start)))
    })?;
    rows.filter_map(Result::transpose).collect()
}

/// The ends of the chain that were noted when it was claimed.
pub(super) fn anchors(conn: &Connection, partition: Partition) -> rusqlite::Result<Vec<Anchor>> {
    let mut all = conn.prepare_cached("SELECT head_seq, head_hash FROM epochs WHERE partition = ? ORDER BY epoch")?;
    let rows =
        all.query_map([partition.number()], |row| Ok(Anchor { seq: row.get::<_, i64>(0)?.cast_unsigned(), hash: ChainHash(row.get(1)?) }))?;
    rows.collect()
}

/// The latest epoch anyone has claimed; 0 when nobody has.
pub(super) fn epoch(conn: &Connection, partition: Partition) -> rusqlite::Result<Epoch> {
    // The number stands in the text: SQLite plans a query over such a key anew for each value that is bound, at every commit.
    let sql = format!("SELECT max(epoch) FROM epochs WHERE partition = {}", partition.number());
    let epoch: Option<i64> = conn.prepare_cached(&sql)?.query_row([], |row| row.get(0))?;
    Ok(Epoch(epoch.map_or(0, i64::cast_unsigned)))
}

/// The tip of a partition's chain in this file.
pub(super) fn tip(conn: &Connection, partition: Partition, start: ChainStart) -> rusqlite::Result<Tip> {
    let head = last_before(conn, partition, Entry::SEQ_MAX)?.unwrap_or(start.before());
    Ok(Tip { epoch: epoch(conn, partition)?, next_seq: head.seq + 1, head: head.hash })
}

/// The end of the chain below `seq`, or `None` when this file holds nothing below it.
pub(super) fn last_before(conn: &Connection, partition: Partition, seq: u64) -> rusqlite::Result<Option<Anchor>> {
    let sql = format!("SELECT seq, at, contact, kind, hash, bytes FROM log_{} WHERE seq < ? ORDER BY seq DESC LIMIT 1", partition.number());
    let mut last = conn.prepare_cached(&sql)?;
    let row = last.query_row([seq.cast_signed()], linked).optional()?;
    Ok(row.map(|(entry, hash)| Anchor { seq: Hole::of(&entry).map_or(entry.seq, |hole| hole.last_seq), hash }))
}

/// The number and the time of the last entry up to `last_seq`, if this file holds one.
pub(super) fn last_time(conn: &Connection, partition: Partition, last_seq: u64) -> rusqlite::Result<Option<(u64, Timestamp)>> {
    let sql = format!("SELECT seq, at FROM log_{} WHERE seq <= ? ORDER BY seq DESC LIMIT 1", partition.number());
    let row = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?.cast_unsigned(), Timestamp::from_micros(row.get::<_, i64>(1)?.cast_unsigned())));
    conn.prepare_cached(&sql)?.query_row([last_seq.min(Entry::SEQ_MAX).cast_signed()], row).optional()
}

pub(super) fn insert(conn: &Connection, partition: Partition, entry: &Entry, hash: ChainHash) -> rusqlite::Result<()> {
    let sql = format!("INSERT INTO log_{}(seq, at, contact, kind, hash, bytes) VALUES (?, ?, ?, ?, ?, ?)", partition.number());
    let contact = entry.contact.map(|contact| contact.0.to_be_bytes());
    let at = entry.at.unix_micros.cast_signed();
    conn.prepare_cached(&sql)?.execute(params![entry.seq.cast_signed(), at, contact, entry.kind, hash.0, entry.bytes]).map(drop)
}

/// A transaction of the journal's thread. Its two statements are kept ready, unlike those of [`Transaction`], because an idle journal
/// begins and ends one for each contact. Rolled back unless it was committed.
pub(super) struct Group<'a>(&'a Connection);

impl<'a> Group<'a> {
    pub(super) fn begin(conn: &'a Connection) -> rusqlite::Result<Self> {
        conn.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        Ok(Self(conn))
    }

    pub(super) fn commit(self) -> rusqlite::Result<()> {
        self.0.prepare_cached("COMMIT")?.execute([]).map(drop)
    }
}

impl Drop for Group<'_> {
    fn drop(&mut self) {
        if !self.0.is_autocommit() {
            // What cannot be rolled back makes the next transaction fail, which is said.
            drop(self.0.execute_batch("ROLLBACK"));
        }
    }
}

/// The entry under `seq`, if this file holds one.
pub(super) fn entry(conn: &Connection, partition: Partition, seq: u64) -> rusqlite::Result<Option<Entry>> {
    let sql = format!("SELECT seq, at, contact, kind, hash, bytes FROM log_{} WHERE seq = ?", partition.number());
    let row = conn.prepare_cached(&sql)?.query_row([seq.cast_signed()], linked).optional()?;
    Ok(row.map(|(entry, _)| entry))
}

/// Hands over the entries from `from_seq` to `last_seq` in order, until `each` has enough.
pub(super) fn scan(
    conn: &Connection,
    partition: Partition,
    from_seq: u64,
    last_seq: u64,
    mut each: impl FnMut(Entry, ChainHash) -> bool,
) -> rusqlite::Result<()> {
    let sql = format!("SELECT seq, at, contact, kind, hash, bytes FROM log_{} WHERE seq BETWEEN ? AND ? ORDER BY seq", partition.number());
    let mut all = conn.prepare_cached(&sql)?;
    let mut rows = all.query([from_seq.cast_signed(), last_seq.min(Entry::SEQ_MAX).cast_signed()])?;
    while let Some(row) = rows.next()? {
        let (entry, hash) = linked(row)?;
        if !each(entry, hash) {
            break;
        }
    }
    Ok(())
}

/// Moves what the write-ahead log holds into the file; true when nothing is left in the log, so that it is written from its start again.
///
/// It waits for nobody and nobody waits for it.
pub(super) fn checkpoint(conn: &Connection) -> rusqlite::Result<bool> {
    conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
        let (busy, in_log, moved): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(busy == 0 && in_log == moved)
    })
}

/// Moves everything into the file and empties the log, before the file is put away.
pub(super) fn checkpoint_all(conn: &Connection) -> rusqlite::Result<()> {
    conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
}

fn linked(row: &Row<'_>) -> rusqlite::Result<(Entry, ChainHash)> {
    let contact: Option<[u8; 16]> = row.get(2)?;
    let entry = Entry {
        seq: row.get::<_, i64>(0)?.cast_unsigned(),
        at: Timestamp::from_micros(row.get::<_, i64>(1)?.cast_unsigned()),
        contact: contact.map(|contact| ContactId(u128::from_be_bytes(contact))),
        kind: row.get(3)?,
        bytes: row.get(5)?,
    };
    Ok((entry, ChainHash(row.get(4)?)))
}
