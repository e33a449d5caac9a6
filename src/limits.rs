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

/// Bytes of one fact in the journal: a contact or evidence that filled a frame, a full decision, and the states of the rooms.
pub const FACT_BYTES_MAX: usize = 256 * 1024;
/// Oddities kept for one contact; there are fewer kinds.
pub const ODDITIES_MAX: usize = 16;
/// Vertices of the claims and signals aside, bytes of each of a contact's words when the whole outgrows a frame.
pub const TRIMMED_WORDS_BYTES_MAX: usize = 1_024;
/// Bytes of one step of reasoning in a record: a step's word and a name.
pub const REASON_BYTES_MAX: usize = 128;
/// Bytes a person types as the reason of a command.
pub const COMMAND_REASON_BYTES_MAX: usize = 1_024;
/// Bytes of a dispatcher's SIP URI.
pub const URI_BYTES_MAX: usize = 256;
/// Places one voice call can go: every room of every chain.
pub const TARGETS_MAX: usize = CHAIN_MAX * SERVICES_MAX;
/// Room states journaled with one decision: those that differ from active.
pub const STATES_MAX: usize = 1_024;
/// Languages a seat signs in with.
pub const LANGUAGES_MAX: usize = 32;

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
/// Messages waiting for one console or gateway before its stream is closed and it must resume.
pub const SESSION_QUEUE_MAX: usize = 8_192;
/// Sessions of one engine.
pub const SESSIONS_MAX: usize = 4_096;

/// Contacts a gateway's client keeps until the journal holds them: six seconds of the worst hour imagined. Then sending waits.
pub const UNCONFIRMED_MAX: usize = 65_536;
/// Messages a client keeps until the engine has received them. Then sending waits.
pub const UNRECEIVED_MAX: usize = 8_192;
/// Messages encoded into one write of a stream.
pub const WRITE_BATCH_MAX: usize = 256;
/// Bytes of answers gathered before they are written: the first contact of a burst does not wait for the last.
pub const ANSWER_BYTES_MAX: usize = 8 * 1024;
/// How long a peer has from its first packet to its first message.
pub const HANDSHAKE_MICROS_MAX: u64 = 3_000_000;
/// After this long without a packet a connection is lost. Three keep-alives are lost before it is.
pub const IDLE_MICROS_MAX: u64 = 3_000_000;
/// How often an idle connection says that it lives.
pub const KEEP_ALIVE_MICROS: u64 = 1_000_000;
/// How long a session that drains waits until its peer has everything.
pub const DRAIN_MICROS_MAX: u64 = 2_000_000;
/// At most one stateless reset in this time: 2,000 a second tell every session of a restarted engine before it would time out.
pub const RESET_MICROS_MIN: u64 = 500;
/// How soon a door tries again to hand the engine what its full queue refused.
pub const RESUBMIT_MICROS: u64 = 1_000;
/// Bytes a peer may send on its stream before we have read them: 25 ms of 10,000 contacts a second, and at least two frames.
pub const STREAM_WINDOW_BYTES_MAX: usize = 256 * 1024;
/// Bytes we hold for a peer that has not acknowledged them.
pub const SEND_WINDOW_BYTES_MAX: usize = 512 * 1024;

const _: () = assert!(HEARTBEAT_MICROS * 3 < LEASE_MICROS_MAX);
const _: () = assert!(NEIGHBOURS_MAX >= 3 * 3, "three areas in doubt, three services each");
const _: () = assert!(TEXT_BYTES_MAX * 4 < FRAME_BYTES_MAX);
const _: () = assert!(CHAIN_MAX >= 3, "responsible, one overflow, fallback");
const _: () = assert!(COMMIT_ENTRIES_MAX <= ENGINE_QUEUE_MAX);
const _: () = assert!(
    CLAIMS_MAX * (CLAIM_VERTICES_MAX * 8 + 64) + SIGNALS_MAX * (TRIMMED_WORDS_BYTES_MAX + 16) + 24 * 1024 < FRAME_BYTES_MAX,
    "a contact with its words cut always fits a frame beside its decision"
);
const _: () = assert!(TARGETS_MAX * (URI_BYTES_MAX + 64) + 24 * 1024 < FRAME_BYTES_MAX, "targets fit a frame beside their decision");
const _: () = assert!(
    SERVICES_MAX * (CHAIN_MAX + 3) * 40 + NEIGHBOURS_MAX * 128 + REASONS_MAX * (REASON_BYTES_MAX + 8) + DISCREPANCIES_MAX * 40 + 256
        < 24 * 1024,
    "a decision fits the room kept for it"
);
const _: () = assert!(2 * FRAME_BYTES_MAX + STATES_MAX * 41 < FACT_BYTES_MAX, "a fact holds what two frames and the states can");
const _: () = assert!(KEEP_ALIVE_MICROS * 3 <= IDLE_MICROS_MAX);
const _: () = assert!(STREAM_WINDOW_BYTES_MAX >= 2 * FRAME_BYTES_MAX, "a window holds a frame and the start of the next");
const _: () = assert!(IDLE_MICROS_MAX < LEASE_MICROS_MAX, "a seat that lost its line is back before its leases are stale");
const _: () = assert!(WRITE_BATCH_MAX <= SESSION_QUEUE_MAX && SESSION_QUEUE_MAX <= UNCONFIRMED_MAX);
const _: () = assert!(SESSIONS_MAX as u64 * RESET_MICROS_MIN < IDLE_MICROS_MAX, "every old session is reset before it would time out");
