//! The searchable rows, in a database of their own: `projection.db`.
//!
//! A thread fills it from the log behind the commits and yields to them. It gathers for [`GATHER`] before it writes, so that a contact
//! whose whole life falls into that time costs one row. It is not synced at each step: after a power cut it takes up where its own last
//! transaction stands, and if it is damaged or of another version it is thrown away and made again.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam::sync::{Parker, Unparker};
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, Transaction, TransactionBehavior, params, params_from_iter};

use super::archive::Archive;
use super::fault::{Fault, is_damage};
use super::folder;
use super::inbox::Inbox;
use crate::deliver::Seat;
use crate::journal::entry::Entry;
use crate::journal::projection::{ContactRow, ProjectionChange, Query, Routed, RowState};
use crate::limits::{PROJECTION_LAG_ENTRIES_MAX, QUERY_ROWS_MAX};
use crate::service::{Service, ServiceSet};
use crate::store::{Partition, StoreError};
use crate::units::{ContactId, Name, TablesVersion, Timestamp};

/// Reads an entry and says what it changes: only `wire/` can decode one, so it is handed in.
pub type Project = Arc<dyn Fn(&Entry) -> Option<ProjectionChange> + Send + Sync>;

/// Raised when the rows change: an older file is made again.
const FORMAT: u32 = 2;
/// Entries of one transaction: short enough to yield to commits, long enough to be quick.
const STEP_ENTRIES: usize = 4_096;
/// The least time between two transactions that caught up: how late a search may be.
const GATHER: Duration = Duration::from_millis(200);
/// More waiting entries than this, and the disk belongs to the commits.
const BUSY_ENTRIES: u64 = 256;
const YIELD: Duration = Duration::from_millis(10);
/// How long the thread sleeps when nobody wakes it, and after a failure.
const REST: Duration = Duration::from_secs(1);

const SCHEMA: &str = "
    CREATE TABLE contacts(
        contact BLOB PRIMARY KEY, gateway TEXT NOT NULL, gateway_ref TEXT NOT NULL, line TEXT, received INTEGER NOT NULL,
        area TEXT, lead INTEGER, services INTEGER NOT NULL, dispatcher TEXT, priority INTEGER, tables BLOB NOT NULL,
        test INTEGER NOT NULL, state INTEGER NOT NULL, seat_dispatcher TEXT, seat TEXT, ending TEXT,
        partition INTEGER NOT NULL, seq INTEGER NOT NULL) WITHOUT ROWID;
    CREATE INDEX contacts_received ON contacts(received);
    CREATE INDEX contacts_line ON contacts(line, received);
    CREATE INDEX contacts_area ON contacts(area, received);
    CREATE INDEX contacts_state ON contacts(state, received);
    CREATE INDEX contacts_ref ON contacts(gateway_ref);
    CREATE TABLE services(service INTEGER, received INTEGER, contact BLOB, PRIMARY KEY(service, received, contact)) WITHOUT ROWID;
    CREATE TABLE positions(partition INTEGER PRIMARY KEY, next_seq INTEGER NOT NULL, trimmed_to INTEGER NOT NULL DEFAULT 1);";

pub(super) fn path_of(folder: &Path) -> PathBuf {
    folder.join("projection.db")
}

// --- writing ---

/// The rows, open for writing. One process holds them at a time.
pub(super) struct Rows {
    conn: Connection,
}

impl Rows {
    /// Opens the rows, or begins them anew when they are missing, damaged or of another version.
    pub(super) fn open(folder: &Path) -> Result<Self, StoreError> {
        let path = path_of(folder);
        match Self::try_open(&path) {
            Ok(Some(rows)) => return Ok(rows),
            Ok(None) => {}
            Err(error) if is_damage(&error) => {}
            Err(error) => return Err(Fault::of("open the searchable rows", &error).into_error()),
        }
        Self::begin(&path)
    }

    /// Throws the rows away and begins them anew.
    pub(super) fn begin(path: &Path) -> Result<Self, StoreError> {
        let failed = |error: std::io::Error| Fault::of_io("begin the searchable rows", path, &error);
        folder::remove_database(path).map_err(failed)?;
        folder::create_file(path).map_err(failed)?;
        let begin = || -> rusqlite::Result<Connection> {
            let conn = Self::connect(path)?;
            let tx = Transaction::new_unchecked(&conn, TransactionBehavior::Immediate)?;
            tx.execute_batch(SCHEMA)?;
            tx.pragma_update(None, "user_version", FORMAT)?;
            tx.commit()?;
            Ok(conn)
        };
        begin().map(|conn| Self { conn }).map_err(|error| Fault::of("begin the searchable rows", &error).into_error())
    }

    fn try_open(path: &Path) -> rusqlite::Result<Option<Self>> {
        if !path.exists() {
            return Ok(None);
        }
        let conn = Self::connect(path)?;
        let format: u32 = conn.pragma_query_value(None, "user_version", |row| row.get(0))?;
        Ok((format == FORMAT).then_some(Self { conn }))
    }

    fn connect(path: &Path) -> rusqlite::Result<Connection> {
        let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        conn.busy_timeout(REST)?;
        conn.set_prepared_statement_cache_capacity(32);
        conn.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
        conn.pragma_update(None, "synchronous", "NORMAL")?;
        Ok(conn)
    }

    fn next_seq(&self, partition: Partition) -> rusqlite::Result<u64> {
        let mut position = self.conn.prepare_cached("SELECT next_seq FROM positions WHERE partition = ?")?;
        let next: Option<i64> = position.query_row([partition.number()], |row| row.get(0)).optional()?;
        Ok(next.map_or(1, i64::cast_unsigned))
    }

    /// One step through the log of a partition: position and rows move together. Returns how many entries are still ahead.
    fn step(&self, archive: &Archive, partition: Partition, project: &Project) -> Result<Step, StoreError> {
        let failed = |error| Fault::of("write the searchable rows", &error).into_error();
        let from_seq = self.next_seq(partition).map_err(failed)?;
        let last_seq = archive.last_seq(partition)?;
        if from_seq > last_seq {
            return Ok(Step { through_seq: last_seq, lag: 0 });
        }
        let page = archive.read(partition, from_seq, STEP_ENTRIES)?;
        let changes: Vec<(u64, ProjectionChange)> = page.entries.iter().filter_map(|entry| Some((entry.seq, project(entry)?))).collect();
        let next_seq = page.next_seq.unwrap_or(last_seq + 1).max(page.entries.last().map_or(from_seq, |entry| entry.seq + 1));
        self.write(partition, next_seq, &changes).map_err(failed)?;
        Ok(Step { through_seq: next_seq - 1, lag: (last_seq + 1).saturating_sub(next_seq) })
    }

    fn write(&self, partition: Partition, next_seq: u64, changes: &[(u64, ProjectionChange)]) -> rusqlite::Result<()> {
        let tx = Transaction::new_unchecked(&self.conn, TransactionBehavior::Immediate)?;
        fold(changes).iter().try_for_each(|change| change.apply(&tx, partition, changes))?;
        let sql = "INSERT INTO positions(partition, next_seq) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET next_seq = ?2";
        tx.prepare_cached(sql)?.execute(params![partition.number(), next_seq.cast_signed()])?;
        tx.commit()
    }

    /// Removes some of the rows whose arrivals were removed from the log; true when none is left.
    fn trim(&self, archive: &Archive, partition: Partition) -> Result<bool, StoreError> {
        let first_seq = archive.first_seq(partition);
        let mut position = self.conn.prepare_cached("SELECT trimmed_to FROM positions WHERE partition = ?").map_err(failed_to_trim)?;
        let trimmed_to: Option<i64> = position.query_row([partition.number()], |row| row.get(0)).optional().map_err(failed_to_trim)?;
        if trimmed_to.is_none_or(|to| to.cast_unsigned() >= first_seq) {
            return Ok(true);
        }
        // A contact is received before its arrival is written, so those that go are among the oldest.
        let until = archive.first_time(partition)?;
        self.trim_some(partition, first_seq, until).map_err(failed_to_trim)
    }

    fn trim_some(&self, partition: Partition, first_seq: u64, until: Timestamp) -> rusqlite::Result<bool> {
        let tx = Transaction::new_unchecked(&self.conn, TransactionBehavior::Immediate)?;
        let sql = format!(
            "SELECT contact FROM contacts WHERE received <= ? AND partition = ? AND seq < ? ORDER BY received LIMIT {STEP_ENTRIES}"
        );
        let until = until.unix_micros.cast_signed();
        let gone: Vec<Vec<u8>> = tx
            .prepare_cached(&sql)?
            .query_map(params![until, partition.number(), first_seq.cast_signed()], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        for contact in &gone {
            let sql = "DELETE FROM services WHERE contact = ?1 AND received = (SELECT received FROM contacts WHERE contact = ?1)
                       AND service = ?2";
            let mut forget = tx.prepare_cached(sql)?;
            Service::ALL.into_iter().try_for_each(|service| forget.execute(params![contact, service as u8]).map(drop))?;
            tx.prepare_cached("DELETE FROM contacts WHERE contact = ?")?.execute([contact])?;
        }
        let is_done = gone.len() < STEP_ENTRIES;
        if is_done {
            let sql = "UPDATE positions SET trimmed_to = ? WHERE partition = ?";
            tx.prepare_cached(sql)?.execute(params![first_seq.cast_signed(), partition.number()])?;
        }
        tx.commit()?;
        Ok(is_done)
    }
}

struct Step {
    through_seq: u64,
    lag: u64,
}

fn failed_to_trim(error: rusqlite::Error) -> StoreError {
    Fault::of("remove old searchable rows", &error).into_error()
}

/// Where the rows go on in the log; `None` when there are no rows of this version.
pub(super) fn next_seq(folder: &Path, partition: Partition) -> Result<Option<u64>, StoreError> {
    Ok(positions(folder)?.map(|positions| positions.get(&partition.number()).map_or(1, |next| next.cast_unsigned())))
}

/// A change, or a contact that arrived among these changes, with what became of it since.
enum Folded {
    Change(usize),
    Row {
        row: Box<ContactRow>,
        /// Of its arrival.
        seq: u64,
        /// The changes that are in the row.
        rest: Vec<usize>,
    },
}

impl Folded {
    fn apply(&self, tx: &Transaction<'_>, partition: Partition, changes: &[(u64, ProjectionChange)]) -> rusqlite::Result<()> {
        let single = |index: &usize| changes.get(*index).map_or(Ok(()), |(seq, change)| apply(tx, partition, *seq, change));
        match self {
            Self::Change(index) => single(index),
            // A contact that was known before keeps its row, and these changes come on top.
            Self::Row { row, seq, rest } => match insert(tx, partition, *seq, row)? {
                true => Ok(()),
                false => rest.iter().try_for_each(single),
            },
        }
    }
}

/// Puts what happened to a contact into its row, when it arrived among these changes. The order of one contact's changes stays.
fn fold(changes: &[(u64, ProjectionChange)]) -> Vec<Folded> {
    let mut arrived: HashMap<ContactId, usize> = HashMap::new();
    let mut folded: Vec<Folded> = Vec::with_capacity(changes.len());
    for (index, (seq, change)) in changes.iter().enumerate() {
        let at = arrived.get(&change.contact()).copied();
        match (at.and_then(|at| folded.get_mut(at)), change) {
            (Some(Folded::Row { row, rest, .. }), change) => {
                row.change(change);
                rest.push(index);
            }
            (_, ProjectionChange::Arrived(row)) => {
                arrived.insert(row.contact, folded.len());
                folded.push(Folded::Row { row: row.clone(), seq: *seq, rest: Vec::new() });
            }
            _ => folded.push(Folded::Change(index)),
        }
    }
    folded
}

fn apply(tx: &Transaction<'_>, partition: Partition, seq: u64, change: &ProjectionChange) -> rusqlite::Result<()> {
    match change {
        ProjectionChange::Arrived(row) => insert(tx, partition, seq, row).map(drop),
        ProjectionChange::Redecided { contact, routed } => reroute(tx, *contact, routed),
        ProjectionChange::Moved { contact, service, state, seat } => {
            let sql = "UPDATE contacts SET state = ?, seat_dispatcher = coalesce(?, seat_dispatcher), seat = coalesce(?, seat)
                       WHERE contact = ? AND lead = ? AND state <> ?";
            let (room, place) = (seat.map(|seat| text(&seat.dispatcher)), seat.map(|seat| text(&seat.seat)));
            let ended = RowState::Ended as u8;
            tx.prepare_cached(sql)?.execute(params![*state as u8, room, place, key(*contact), *service as u8, ended]).map(drop)
        }
        ProjectionChange::Ended { contact, ending } => {
            let sql = "UPDATE contacts SET state = ?, ending = ? WHERE contact = ?";
            tx.prepare_cached(sql)?.execute(params![RowState::Ended as u8, ending.as_str(), key(*contact)]).map(drop)
        }
    }
}

/// False when there is such a row already.
fn insert(tx: &Transaction<'_>, partition: Partition, seq: u64, row: &ContactRow) -> rusqlite::Result<bool> {
    let sql = "INSERT OR IGNORE INTO contacts(contact, gateway, gateway_ref, line, received, area, lead, services, dispatcher, priority,
               tables, test, state, seat_dispatcher, seat, ending, partition, seq)
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    let routed = &row.routed;
    let inserted = tx.prepare_cached(sql)?.execute(params![
        key(row.contact),
        row.gateway.as_str(),
        row.gateway_ref,
        row.line,
        row.received.unix_micros.cast_signed(),
        routed.area.as_ref().map(text),
        routed.lead.map(|lead| lead as u8),
        routed.services.0,
        routed.dispatcher.as_ref().map(text),
        routed.priority,
        routed.tables.0,
        routed.test,
        row.state as u8,
        row.seat.map(|seat| text(&seat.dispatcher)),
        row.seat.map(|seat| text(&seat.seat)),
        row.ending.as_ref().map(text),
        partition.number(),
        seq.cast_signed(),
    ])?;
    if inserted == 0 {
        return Ok(false);
    }
    name_services(tx, row.contact, row.received.unix_micros.cast_signed(), routed.services).map(|()| true)
}

fn reroute(tx: &Transaction<'_>, contact: ContactId, routed: &Routed) -> rusqlite::Result<()> {
    let kept: Option<(i64, u16)> = tx
        .prepare_cached("SELECT received, services FROM contacts WHERE contact = ?")?
        .query_row([key(contact)], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((received, services)) = kept else { return Ok(()) };
    let sql = "UPDATE contacts SET area = ?, lead = ?, services = ?, dispatcher = ?, priority = ?, tables = ?, test = ? WHERE contact = ?";
    tx.prepare_cached(sql)?.execute(params![
        routed.area.as_ref().map(text),
        routed.lead.map(|lead| lead as u8),
        routed.services.0,
        routed.dispatcher.as_ref().map(text),
        routed.priority,
        routed.tables.0,
        routed.test,
        key(contact),
    ])?;
    let mut forget = tx.prepare_cached("DELETE FROM services WHERE service = ? AND received = ? AND contact = ?")?;
    for service in ServiceSet(services).iter() {
        forget.execute(params![service as u8, received, key(contact)])?;
    }
    name_services(tx, contact, received, routed.services)
}

fn name_services(tx: &Transaction<'_>, contact: ContactId, received: i64, services: ServiceSet) -> rusqlite::Result<()> {
    let mut name = tx.prepare_cached("INSERT OR IGNORE INTO services(service, received, contact) VALUES (?, ?, ?)")?;
    services.iter().try_for_each(|service| name.execute(params![service as u8, received, key(contact)]).map(drop))
}

const fn key(contact: ContactId) -> [u8; 16] {
    contact.0.to_be_bytes()
}

fn text(name: &Name) -> String {
    name.as_str().to_owned()
}

// --- searching ---

/// Finds rows, in order of time.
pub(super) fn find(folder: &Path, query: &Query) -> Result<Vec<ContactRow>, StoreError> {
    let find = || -> rusqlite::Result<Vec<ContactRow>> {
        let conn = Connection::open_with_flags(path_of(folder), OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        conn.busy_timeout(REST)?;
        let (sql, values) = statement(query);
        let mut all = conn.prepare(&sql)?;
        all.query_map(params_from_iter(values), row_of)?.collect()
    };
    find().map_err(|error| Fault::of("search the journal", &error).into_error())
}

/// The partition and number of the entry with which a contact arrived.
pub(super) fn arrival_of(folder: &Path, contact: ContactId) -> Result<Option<(Partition, u64)>, StoreError> {
    let find = || -> rusqlite::Result<Option<(u16, i64)>> {
        let conn = Connection::open_with_flags(path_of(folder), OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        conn.busy_timeout(REST)?;
        let sql = "SELECT partition, seq FROM contacts WHERE contact = ?";
        conn.query_row(sql, [key(contact)], |row| Ok((row.get(0)?, row.get(1)?))).optional()
    };
    let found = find().map_err(|error| Fault::of("search the journal", &error).into_error())?;
    Ok(found.and_then(|(partition, seq)| Some((Partition::new(partition)?, seq.cast_unsigned()))))
}

fn statement(query: &Query) -> (String, Vec<Value>) {
    let mut parts: Vec<&str> = Vec::new();
    let mut values: Vec<Value> = Vec::new();
    let mut with = |part: &'static str, value: Option<Value>| {
        if let Some(value) = value {
            parts.push(part);
            values.push(value);
        }
    };
    let time = |time: Timestamp| Value::from(time.unix_micros.cast_signed());
    with("s.service = ?", query.service.map(|service| Value::from(i64::from(service as u8))));
    with("c.contact = ?", query.contact.map(|contact| Value::from(key(contact).to_vec())));
    with("c.gateway_ref = ?", query.gateway_ref.as_deref().map(|gateway_ref| Value::from(gateway_ref.to_owned())));
    with("c.line = ?", query.line.as_deref().map(|line| Value::from(line.to_owned())));
    with("c.area = ?", query.area.map(|area| Value::from(text(&area))));
    with("c.state = ?", query.state.map(|state| Value::from(i64::from(state as u8))));
    let by = if query.service.is_some() { "s" } else { "c" };
    let (from, until) = if query.service.is_some() { ("s.received >= ?", "s.received < ?") } else { ("c.received >= ?", "c.received < ?") };
    with(from, query.from.map(time));
    with(until, query.until.map(time));
    if let Some((whole, begin)) = &query.call {
        parts.push("(c.gateway_ref = ? OR c.gateway_ref >= ? AND c.gateway_ref < ?)");
        // What goes on after the beginning is hexadecimal digits, which stand below this.
        values.extend([whole.to_string(), begin.to_string(), format!("{begin}g")].map(Value::from));
    }
    let most = if query.row_count_max == 0 { QUERY_ROWS_MAX } else { query.row_count_max.min(QUERY_ROWS_MAX) };
    let table = if query.service.is_some() { "services s JOIN contacts c ON c.contact = s.contact" } else { "contacts c" };
    let filter = if parts.is_empty() { String::new() } else { format!("WHERE {}", parts.join(" AND ")) };
    let order = if query.newest_first { "DESC" } else { "ASC" };
    let sql = format!(
        "SELECT c.contact, c.gateway, c.gateway_ref, c.line, c.received, c.area, c.lead, c.services, c.dispatcher, c.priority, c.tables,
                c.test, c.state, c.seat_dispatcher, c.seat, c.ending
         FROM {table} {filter} ORDER BY {by}.received {order}, {by}.contact {order} LIMIT {most}"
    );
    (sql, values)
}

fn row_of(row: &Row<'_>) -> rusqlite::Result<ContactRow> {
    let name = |index| row.get::<_, Option<String>>(index).map(|text| text.as_deref().and_then(Name::new));
    let routed = Routed {
        area: name(5)?,
        lead: row.get::<_, Option<u8>>(6)?.and_then(Service::from_code),
        services: ServiceSet(row.get(7)?),
        dispatcher: name(8)?,
        priority: row.get(9)?,
        tables: TablesVersion(row.get(10)?),
        test: row.get(11)?,
    };
    let state: u8 = row.get(12)?;
    Ok(ContactRow {
        contact: ContactId(u128::from_be_bytes(row.get(0)?)),
        gateway: name(1)?.unwrap_or_default(),
        gateway_ref: row.get::<_, String>(2)?.into(),
        line: row.get::<_, Option<String>>(3)?.map(Into::into),
        received: Timestamp::from_micros(row.get::<_, i64>(4)?.cast_unsigned()),
        routed,
        state: RowState::ALL.into_iter().find(|known| *known as u8 == state).unwrap_or(RowState::Waiting),
        seat: name(13)?.zip(name(14)?).map(|(dispatcher, seat)| Seat { dispatcher, seat }),
        ending: name(15)?,
    })
}

/// Where the rows go on in each partition; `None` when there are no rows of this version.
fn positions(folder: &Path) -> Result<Option<BTreeMap<u16, i64>>, StoreError> {
    let path = path_of(folder);
    if !path.exists() {
        return Ok(None);
    }
    let read = || -> rusqlite::Result<Option<BTreeMap<u16, i64>>> {
        let conn = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        conn.busy_timeout(REST)?;
        let format: u32 = conn.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if format != FORMAT {
            return Ok(None);
        }
        let mut all = conn.prepare("SELECT partition, next_seq FROM positions")?;
        all.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<rusqlite::Result<_>>().map(Some)
    };
    match read() {
        Err(error) if is_damage(&error) => Ok(None),
        read => read.map_err(|error| Fault::of("read the searchable rows", &error).into_error()),
    }
}

/// Entries of the log that the rows do not show yet; `None` when there are no rows of this version.
pub(super) fn lag(archive: &Archive) -> Result<Option<u64>, StoreError> {
    let Some(positions) = positions(archive.folder())? else { return Ok(None) };
    let mut lag = 0;
    for partition in archive.partitions() {
        let shown = positions.get(&partition.number()).map_or(0, |next| next.cast_unsigned().saturating_sub(1));
        let shown = shown.max(archive.first_seq(partition).saturating_sub(1));
        lag += archive.last_seq(partition)?.saturating_sub(shown);
    }
    Ok(Some(lag))
}

// --- filling ---

/// How far a rebuild has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    pub done_entry_count: u64,
    pub entry_count: u64,
}

/// Throws the rows away and makes them again from the log.
pub(super) fn rebuild(archive: &Archive, project: &Project, progress: &mut dyn FnMut(Progress)) -> Result<(), StoreError> {
    let rows = Rows::begin(&path_of(archive.folder()))?;
    let partitions = archive.partitions();
    let mut entry_count = 0;
    for partition in &partitions {
        entry_count += archive.last_seq(*partition)?;
    }
    let mut done_before = 0;
    for partition in partitions {
        loop {
            let step = rows.step(archive, partition, project)?;
            progress(Progress { done_entry_count: done_before + step.through_seq, entry_count });
            if step.lag == 0 {
                done_before += step.through_seq;
                break;
            }
        }
    }
    Ok(())
}

/// Brings the rows up to the log when nobody else keeps them.
pub(super) fn follow(archive: &Archive, project: &Project) -> Result<(), StoreError> {
    let mut rows = None;
    while catch_up(&mut rows, archive, project)? > 0 {}
    Ok(())
}

/// The thread that keeps the rows up with the log.
pub(super) struct Projector {
    stop: Arc<AtomicBool>,
    unparker: Unparker,
    thread: Option<JoinHandle<()>>,
}

impl Projector {
    pub(super) fn spawn(
        parker: Parker,
        inbox: Arc<Inbox>,
        archive: Arc<Archive>,
        project: Project,
        held: folder::Held,
    ) -> Result<Self, StoreError> {
        let stop = Arc::new(AtomicBool::new(false));
        let unparker = parker.unparker().clone();
        let stopped = Arc::clone(&stop);
        let spawned = thread::Builder::new().name("najda-projection".into()).spawn(move || {
            let _held = held;
            keep_up(&parker, &stopped, &inbox, &archive, &project);
        });
        let thread =
            spawned.map_err(|error| StoreError::DiskFailed { doing: "start the rows' thread", cause: error.to_string().into() })?;
        Ok(Self { stop, unparker, thread: Some(thread) })
    }

    pub(super) fn stop(&mut self) {
        self.stop.store(true, Ordering::Release);
        self.unparker.unpark();
        drop(self.thread.take().map(JoinHandle::join));
    }
}

fn keep_up(parker: &Parker, stop: &AtomicBool, inbox: &Inbox, archive: &Archive, project: &Project) {
    let mut rows: Option<Rows> = None;
    while !stop.load(Ordering::Acquire) {
        let lag = match catch_up(&mut rows, archive, project) {
            Ok(lag) => lag,
            Err(error) => {
                tracing::warn!(%error, "the searchable rows fall behind; the journal is not touched by that");
                rows = None;
                parker.park_timeout(REST);
                continue;
            }
        };
        inbox.counters.projection_lag.store(lag, Ordering::Relaxed);
        if lag == 0 {
            // The next commit ends the rest; what comes soon after it comes along.
            parker.park_timeout(REST);
            gather(parker, stop);
        } else if lag < PROJECTION_LAG_ENTRIES_MAX && inbox.backlog_entry_count() > BUSY_ENTRIES {
            parker.park_timeout(YIELD);
        }
    }
}

fn gather(parker: &Parker, stop: &AtomicBool) {
    let begun = Instant::now();
    while let Some(rest) = GATHER.checked_sub(begun.elapsed()).filter(|_| !stop.load(Ordering::Acquire)) {
        parker.park_timeout(rest);
    }
}

/// One step in each partition; returns how many entries are still ahead.
fn catch_up(rows: &mut Option<Rows>, archive: &Archive, project: &Project) -> Result<u64, StoreError> {
    let rows = match rows {
        Some(rows) => rows,
        None => rows.insert(Rows::open(archive.folder())?),
    };
    let mut lag = 0;
    for partition in archive.partitions() {
        lag += rows.step(archive, partition, project)?.lag;
        lag += u64::from(!rows.trim(archive, partition)?);
    }
    Ok(lag)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rows() -> Rows {
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch(SCHEMA).unwrap();
        Rows { conn }
    }

    fn all(rows: &Rows) -> Vec<ContactRow> {
        let (sql, values) = statement(&Query::default());
        let mut found = rows.conn.prepare(&sql).unwrap();
        found.query_map(params_from_iter(values), row_of).unwrap().map(Result::unwrap).collect()
    }

    fn change() -> impl Strategy<Value = ProjectionChange> {
        let name = |text: &str| Name::new(text).unwrap();
        (0..3_u128, 0..8_u8, 0..4_usize, any::<bool>()).prop_map(move |(contact, what, state, led_by_police)| {
            let contact = ContactId(contact);
            let lead = if led_by_police { Service::Police } else { Service::Ambulance };
            let services = ServiceSet::of(lead).with(Service::Ambulance);
            let routed = Routed { lead: Some(lead), services, priority: Some(what), ..Routed::default() };
            let seat = Some(Seat { dispatcher: name("DU-POL"), seat: name(&what.to_string()) });
            match what {
                0..=2 => ProjectionChange::Arrived(Box::new(ContactRow {
                    contact,
                    gateway: name("g"),
                    gateway_ref: what.to_string().into(),
                    line: None,
                    received: Timestamp::from_secs(u64::from(what)),
                    routed,
                    state: RowState::Waiting,
                    seat: None,
                    ending: None,
                })),
                3 => ProjectionChange::Redecided { contact, routed },
                7 => ProjectionChange::Ended { contact, ending: name("closed") },
                _ => ProjectionChange::Moved { contact, service: lead, state: RowState::ALL[state], seat: seat.filter(|_| what > 4) },
            }
        })
    }

    proptest! {
        #[test]
        fn rows_written_in_groups_are_those_written_one_by_one(changes in prop::collection::vec(change(), 0..60), cut in 0..60_usize) {
            let changes: Vec<(u64, ProjectionChange)> = (1..).zip(changes).collect();
            let (single, grouped) = (rows(), rows());
            for change in &changes {
                single.write(Partition::default(), 1, std::slice::from_ref(change)).unwrap();
            }
            let (first, second) = changes.split_at(cut.min(changes.len()));
            grouped.write(Partition::default(), 1, first).unwrap();
            grouped.write(Partition::default(), 1, second).unwrap();
            prop_assert_eq!(all(&single), all(&grouped));
            let services = |rows: &Rows| rows.conn.query_row("SELECT count(*) FROM services", [], |row| row.get::<_, i64>(0)).unwrap();
            prop_assert_eq!(services(&single), services(&grouped));
        }
    }
}
