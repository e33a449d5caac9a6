//! Every bound of the engine, with its unit, its reason, and a compile-time assertion of its relation to the others.
//!
//! Reaching one of these is an event, never silence: the contact takes the overflow route, the event is counted and journaled.

/// Services one contact can need at once. There are nine kinds; a plan that names them all still fits.
pub const SERVICES_MAX: usize = 9;
/// Dispatchers asked in turn for one service before the national fallback (responsible room, overflow, neighbour, fallback).
pub const CHAIN_MAX: usize = 8;
/// Neighbour rows in one decision: areas in doubt x services they would need.
pub const NEIGHBOURS_MAX: usize = 12;
/// Areas weighed against each other for one place.
pub const CANDIDATES_MAX: usize = 8;
/// Oddities reported about one contact.
pub const DISCREPANCIES_MAX: usize = 16;
/// Steps of reasoning kept in one decision.
pub const REASONS_MAX: usize = 24;

/// Location claims kept for one contact; the best ranked stay.
pub const CLAIMS_MAX: usize = 8;
/// Signals kept for one contact.
pub const SIGNALS_MAX: usize = 16;
/// Bytes of words classified from one contact; the rest is kept but not read.
pub const TEXT_BYTES_MAX: usize = 4_096;
/// Vertices of one claimed polygon.
pub const CLAIM_VERTICES_MAX: usize = 128;
/// Bytes of a line identity, dialled number, trunk or cell id.
pub const IDENTITY_BYTES_MAX: usize = 64;
/// Bytes of one framed message on a gateway's or console's stream.
pub const FRAME_BYTES_MAX: usize = 64 * 1024;

/// Areas in one layer of boundaries.
pub const AREAS_MAX: usize = 60_000;
/// Dispatchers in one table set.
pub const DISPATCHERS_MAX: usize = 60_000;

/// How long a seat may hold a contact without a heartbeat before the lease is stale and the offer is shown to all again.
pub const LEASE_MICROS_MAX: u64 = 10_000_000;
/// How often a console sends its heartbeat. Three are lost before a lease is.
pub const HEARTBEAT_MICROS: u64 = 3_000_000;
/// How long a gateway waits for the disk before it is told `Overdue` instead of `Durable`.
pub const JOURNAL_WAIT_MICROS_MAX: u64 = 100_000;
/// Contacts waiting between the doors and the engine thread.
pub const ENGINE_QUEUE_MAX: usize = 16_384;
/// Contacts alive in one engine. At 10,000 a second and 100 s a life this is the worst hour imagined; beyond it, overflow.
pub const CONTACTS_LIVE_MAX: usize = 1_000_000;
/// Entries in one group commit.
pub const COMMIT_ENTRIES_MAX: usize = 8_192;
/// Bytes of entries in one group commit: a fraction of a second's writing on any disk worth having.
pub const COMMIT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes of one journal entry. The longest fact is a contact that arrives while every dispatcher's state is out of the ordinary.
pub const ENTRY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Partitions of one journal: nodes that can be homes of contacts.
pub const PARTITIONS_MAX: usize = 64;
/// Entries that wait in memory while the disk fails. A national surge of 6 contacts a second, 6 facts each, lasts 8 hours.
pub const STORE_BACKLOG_ENTRIES_MAX: usize = 1 << 20;
/// Bytes of those entries.
pub const STORE_BACKLOG_BYTES_MAX: usize = 512 * 1024 * 1024;
/// Bytes of one file of the journal before the next is begun, so that old ones can be moved away.
pub const SEGMENT_BYTES_MAX: u64 = 4 * 1024 * 1024 * 1024;
/// Entries read back at once.
pub const READ_ENTRIES_MAX: usize = 4_096;
/// Bytes of table sets or of a checkpoint kept as one blob. The largest table set measured takes 139 MiB.
pub const BLOB_BYTES_MAX: usize = 512 * 1024 * 1024;
/// Rows one search returns.
pub const QUERY_ROWS_MAX: usize = 10_000;
/// Entries the searchable rows may be behind before they are made even while the disk is busy with commits.
pub const PROJECTION_LAG_ENTRIES_MAX: u64 = 100_000;
/// Messages waiting for one console or gateway before its stream is closed and it must resume.
pub const SESSION_QUEUE_MAX: usize = 8_192;
/// Sessions of one engine.
pub const SESSIONS_MAX: usize = 4_096;

const _: () = assert!(HEARTBEAT_MICROS * 3 < LEASE_MICROS_MAX);
const _: () = assert!(NEIGHBOURS_MAX >= 3 * 3, "three areas in doubt, three services each");
const _: () = assert!(TEXT_BYTES_MAX * 4 < FRAME_BYTES_MAX);
const _: () = assert!(CHAIN_MAX >= 3, "responsible, one overflow, fallback");
const _: () = assert!(COMMIT_ENTRIES_MAX <= ENGINE_QUEUE_MAX);
const _: () = assert!(COMMIT_ENTRIES_MAX < STORE_BACKLOG_ENTRIES_MAX);
const _: () = assert!(ENTRY_BYTES_MAX <= COMMIT_BYTES_MAX && COMMIT_BYTES_MAX < STORE_BACKLOG_BYTES_MAX);
const _: () = assert!(DISPATCHERS_MAX * 34 + FRAME_BYTES_MAX < ENTRY_BYTES_MAX, "a name and a state for every dispatcher");
const _: () = assert!(PARTITIONS_MAX <= u16::MAX as usize);
