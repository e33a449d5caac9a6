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

/// Files of one pack; a folder with more is not a pack.
pub const PACK_FILES_MAX: usize = 4_096;
/// Bytes of one pack. 12 million vertices of GeoJSON are about 300 MB; a folder with more was given by mistake.
pub const PACK_BYTES_MAX: u64 = 1 << 30;

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
/// Messages waiting for one console or gateway before its stream is closed and it must resume.
pub const SESSION_QUEUE_MAX: usize = 8_192;
/// Sessions of one engine.
pub const SESSIONS_MAX: usize = 4_096;

const _: () = assert!(HEARTBEAT_MICROS * 3 < LEASE_MICROS_MAX);
const _: () = assert!(NEIGHBOURS_MAX >= 3 * 3, "three areas in doubt, three services each");
const _: () = assert!(TEXT_BYTES_MAX * 4 < FRAME_BYTES_MAX);
const _: () = assert!(CHAIN_MAX >= 3, "responsible, one overflow, fallback");
const _: () = assert!(COMMIT_ENTRIES_MAX <= ENGINE_QUEUE_MAX);
