//! What a running engine says of itself: counters, stage histograms, OpenMetrics text.
//!
//! # Source
//! OpenMetrics 1.0: `TYPE` before samples, `_total` on counters, buckets with `le`, `# EOF` at the end.

use std::fmt::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hdrhistogram::Histogram;

use super::ingress::DoorCounters;
use crate::engine::{Alarms, Counters, Engine};
use crate::store::Health;
use crate::tables::snapshot::Snapshot;
use crate::units::Timestamp;

/// The content type of [`openmetrics`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What became of messages to callers.
#[derive(Debug, Default)]
pub struct MessageCounters {
    pub sent: AtomicU64,
    /// The gateway will not have them.
    pub refused: AtomicU64,
    /// Not sent while they still made sense.
    pub late: AtomicU64,
    /// Tries that failed and were repeated.
    pub retried: AtomicU64,
}

/// The engine's figures, as its thread last wrote them down.
#[derive(Clone, Copy, Debug, Default)]
pub struct EngineFigures {
    /// When they were written: an engine that is alive writes them several times a second.
    pub at: Timestamp,
    pub counters: Counters,
    pub alarms: Alarms,
    pub live_contacts: usize,
    pub waiting_offers: usize,
    /// How long the contact has waited whose offer nobody has taken for longest.
    pub waiting_longest_micros: u64,
    pub callbacks_waiting: usize,
    pub callback_longest_micros: u64,
    pub entries_pending: usize,
    pub promises_waiting: usize,
    pub sessions: usize,
    /// The store failed and has not stored since.
    pub store_failing: bool,
    /// What the journal lost has not all been written again yet.
    pub healing: bool,
    /// Entries were given up: no promise is made until the engine starts again.
    pub promises_ended: bool,
}

impl EngineFigures {
    pub fn of(engine: &Engine, now: Timestamp, entries_pending: usize) -> Self {
        Self {
            at: now,
            counters: *engine.counters(),
            alarms: engine.alarms(),
            live_contacts: engine.live_contacts(),
            waiting_offers: engine.waiting_offers(),
            callbacks_waiting: engine.callbacks_waiting(),
            callback_longest_micros: engine.callback_oldest().map_or(0, |at| now.micros_since(at)),
            waiting_longest_micros: engine.waiting_oldest().map_or(0, |at| now.micros_since(at)),
            entries_pending,
            promises_waiting: engine.promises_waiting(),
            sessions: engine.sessions(),
            store_failing: engine.store_failing(),
            healing: !engine.is_whole(),
            promises_ended: false,
        }
    }
}

// --- stages ---

/// How long the stages of a contact took.
#[derive(Debug, Default)]
pub struct Stages {
    decide: Stage,
    durable: Stage,
    offered: Stage,
}

impl Stages {
    /// One decision took this long.
    pub fn decided(&self, took: Duration) {
        self.decide.took(took);
    }

    /// From a contact's arrival to the journal's receipt.
    pub fn durable(&self, took: Duration) {
        self.durable.took(took);
    }

    /// From a contact's arrival to its first offer in a console's queue, for contacts that found somebody at once.
    pub fn offered(&self, took: Duration) {
        self.offered.took(took);
    }

    /// Everything recorded of decisions so far, in nanoseconds.
    pub fn decide(&self) -> Histogram<u64> {
        self.decide.read().0
    }
}

/// Durations of one stage, in nanoseconds.
#[derive(Debug)]
struct Stage {
    shards: [Mutex<Shard>; SHARDS],
    /// Records left out because every shard was held.
    left_out: AtomicU64,
}

#[derive(Debug)]
struct Shard {
    histogram: Histogram<u64>,
    sum_nanos: u64,
}

/// Recorders on different threads rarely meet at the same lock.
const SHARDS: usize = 8;
/// Ten seconds; what took longer counts as that.
const NANOS_MAX: u64 = 10_000_000_000;

fn empty() -> Histogram<u64> {
    Histogram::new_with_bounds(1, NANOS_MAX, 2).expect("bounds in order, two digits")
}

impl Default for Stage {
    fn default() -> Self {
        let shard = |_| Mutex::new(Shard { histogram: empty(), sum_nanos: 0 });
        Self { shards: std::array::from_fn(shard), left_out: AtomicU64::new(0) }
    }
}

impl Stage {
    /// Never waits: a record that would is left out and counted.
    fn took(&self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX).max(1);
        for shard in &self.shards {
            if let Ok(mut shard) = shard.try_lock() {
                shard.histogram.saturating_record(nanos);
                shard.sum_nanos = shard.sum_nanos.saturating_add(nanos);
                return;
            }
        }
        self.left_out.fetch_add(1, Ordering::Relaxed);
    }

    fn read(&self) -> (Histogram<u64>, u64) {
        let (mut all, mut sum_nanos) = (empty(), 0_u64);
        for shard in &self.shards {
            if let Ok(shard) = shard.lock() {
                // Same bounds, so adding cannot fail.
                let _ = all.add(&shard.histogram);
                sum_nanos = sum_nanos.saturating_add(shard.sum_nanos);
            }
        }
        (all, sum_nanos)
    }
}

// --- text ---

/// Everything that is said at once.
#[derive(Debug)]
pub struct Scrape<'a> {
    pub figures: &'a EngineFigures,
    pub health: &'a Health,
    pub stages: &'a Stages,
    pub snapshot: &'a Snapshot,
    pub messages: &'a MessageCounters,
    /// Each door with its name.
    pub doors: &'a [(&'a str, &'a DoorCounters)],
    pub sessions_open: usize,
    pub sessions_opened: u64,
    pub sessions_slow_closed: u64,
    pub engine_queue: usize,
    pub now: Timestamp,
}

/// The text of `/metrics`.
pub fn openmetrics(scrape: &Scrape<'_>) -> String {
    let mut text = Text(String::with_capacity(32 * 1024));
    engine(&mut text, scrape.figures);
    gauges(&mut text, scrape);
    doors(&mut text, scrape);
    messages(&mut text, scrape.messages);
    store(&mut text, scrape.health);
    let stages = scrape.stages;
    text.histogram("najda_decide_seconds", "One decision.", &stages.decide, &FAST_NANOS);
    text.histogram("najda_durable_seconds", "Arrival of a contact to the journal's receipt.", &stages.durable, &SLOW_NANOS);
    text.histogram(
        "najda_offered_seconds",
        "Arrival of a contact to its first offer, when somebody was there.",
        &stages.offered,
        &SLOW_NANOS,
    );
    let left_out: u64 = [&stages.decide, &stages.durable, &stages.offered].iter().map(|s| s.left_out.load(Ordering::Relaxed)).sum();
    text.counter("najda_stage_left_out", "Durations not recorded because that would have waited.", left_out);
    text.0.push_str("# EOF\n");
    text.0
}

/// Upper ends of buckets.
const FAST_NANOS: [u64; 14] =
    [500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000, 5_000_000, 20_000_000, 100_000_000];
const SLOW_NANOS: [u64; 16] = [
    50_000,
    100_000,
    200_000,
    500_000,
    1_000_000,
    2_000_000,
    5_000_000,
    10_000_000,
    20_000_000,
    50_000_000,
    100_000_000,
    200_000_000,
    500_000_000,
    1_000_000_000,
    2_000_000_000,
    5_000_000_000,
];

fn engine(text: &mut Text, figures: &EngineFigures) {
    // Named one by one: a new counter must be said here before this compiles.
    let Counters {
        inputs,
        arrived,
        duplicates,
        handed_back,
        keys_reused,
        overflowed,
        tests_sunk,
        ended,
        offers_shown,
        asked_declined,
        asked_end_of_chain,
        asked_full,
        asked_no_seat,
        asked_no_take,
        asked_not_shown,
        asked_target_failed,
        asked_all_call,
        asked_repeat,
        asked_handed_over,
        asked_no_text,
        handed_over,
        services_added,
        notes,
        said,
        said_over,
        reads,
        dispatched,
        informed,
        joined,
        related,
        alerts,
        repeats,
        callbacks,
        callbacks_done,
        transfers_proposed,
        over_capacity,
        taken,
        accepted,
        declined,
        released,
        closed,
        leases_stale,
        refused,
        refused_full,
        moved,
        target_failed,
        evidence,
        evidence_early,
        evidence_orphaned,
        evidence_late,
        evidence_undecided,
        redecided,
        decisions_stale,
        decisions_lowering,
        overdue,
        store_failures,
        entries_lost,
        written_again,
        journal_gaps,
        facts_astray,
        promises_kept,
        promises_cut,
        sessions_refused,
        out_of_turn,
        unknown_contact,
        ends_forgotten,
        internal,
    } = figures.counters;
    let rows: [(&str, &str, u64); 56] = [
        ("inputs", "Inputs handled.", inputs),
        ("arrived", "New contacts.", arrived),
        ("duplicates", "Arrivals that were known already.", duplicates),
        ("handed_back", "Arrivals handed back by gateways or consoles.", handed_back),
        ("keys_reused", "Arrivals under a key of another contact.", keys_reused),
        ("overflowed", "Contacts beyond the bound of live ones.", overflowed),
        ("tests_sunk", "Tests that nobody was there to see.", tests_sunk),
        ("ended", "Contacts that reached their end.", ended),
        ("offers_shown", "Offers put on a screen.", offers_shown),
        ("alerts", "Screens rung again for an offer they showed.", alerts),
        ("repeats", "Contacts whose line had another live contact.", repeats),
        ("callbacks", "Callers who were gone and were to be called back.", callbacks),
        ("callbacks_done", "Callers called back, or found not to be reachable.", callbacks_done),
        ("transfers_proposed", "Transfers proposed to holders after new evidence.", transfers_proposed),
        ("over_capacity", "Full rooms asked because nobody else was left.", over_capacity),
        ("taken", "Offers taken.", taken),
        ("accepted", "Offers accepted.", accepted),
        ("declined", "Offers declined.", declined),
        ("released", "Offers given back.", released),
        ("closed", "Offers closed.", closed),
        ("leases_stale", "Leases that went stale.", leases_stale),
        ("refused", "Commands refused.", refused),
        ("refused_full", "Commands refused because a bound was reached.", refused_full),
        ("handed_over", "Shares that their holders handed to another room.", handed_over),
        ("services_added", "Services that people asked for as well.", services_added),
        ("notes", "Notes that people wrote.", notes),
        ("said", "Lines that people wrote to callers.", said),
        ("said_over", "Lines of callers beyond the bound of a conversation.", said_over),
        ("reads", "Contacts read by somebody who holds no share of them.", reads),
        ("dispatched", "Shares whose units are on their way.", dispatched),
        ("informed", "Messages to callers that people released.", informed),
        ("joined", "Contacts joined to an incident.", joined),
        ("related", "Times a screen was told of a contact that may speak of the same event.", related),
        ("moved", "Calls sent to another room.", moved),
        ("target_failed", "Voice paths that failed.", target_failed),
        ("evidence", "Late evidence.", evidence),
        ("evidence_early", "Evidence before its contact.", evidence_early),
        ("evidence_orphaned", "Early evidence dropped.", evidence_orphaned),
        ("evidence_late", "Evidence after the end.", evidence_late),
        ("evidence_undecided", "Evidence written under the old decision.", evidence_undecided),
        ("redecided", "New decisions about known contacts.", redecided),
        ("decisions_stale", "New decisions that came too late.", decisions_stale),
        ("decisions_lowering", "New decisions not followed because they lowered.", decisions_lowering),
        ("overdue", "Contacts whose journal entry was late.", overdue),
        ("store_failures", "Failures of the journal.", store_failures),
        ("entries_lost", "Entries the journal lost.", entries_lost),
        ("written_again", "Contacts written again after a loss.", written_again),
        ("journal_gaps", "Gaps found when the journal was read back.", journal_gaps),
        ("facts_astray", "Facts read back about contacts whose arrival was lost.", facts_astray),
        ("promises_kept", "Promises spoken.", promises_kept),
        ("promises_cut", "Promises not queued because too many waited.", promises_cut),
        ("sessions_refused", "Sessions beyond the bound.", sessions_refused),
        ("out_of_turn", "Messages out of turn.", out_of_turn),
        ("unknown_contact", "Messages about unknown contacts.", unknown_contact),
        ("ends_forgotten", "Ends a gateway will not hear of again.", ends_forgotten),
        ("internal", "Broken invariants; anything but zero is a defect.", internal),
    ];
    for (name, help, value) in rows {
        text.counter(&format!("najda_engine_{name}"), help, value);
    }
    let asked = [
        ("declined", asked_declined),
        ("end_of_chain", asked_end_of_chain),
        ("full", asked_full),
        ("no_seat", asked_no_seat),
        ("no_take", asked_no_take),
        ("not_shown", asked_not_shown),
        ("target_failed", asked_target_failed),
        ("all_call", asked_all_call),
        ("repeat", asked_repeat),
        ("handed_over", asked_handed_over),
        ("no_text", asked_no_text),
    ];
    text.counters("najda_engine_asked", "Further rooms asked, by reason.", "why", &asked);
}

fn gauges(text: &mut Text, scrape: &Scrape<'_>) {
    let figures = scrape.figures;
    let Alarms { end_of_chain, no_seat, undecided } = figures.alarms;
    let alarms = [("end_of_chain", end_of_chain), ("no_seat", no_seat), ("undecided", undecided)];
    text.gauges("najda_alarms", "Offers of real contacts that need somebody's eyes.", "why", &alarms);
    let rows = [
        ("najda_live_contacts", "Contacts that have not ended.", figures.live_contacts as u64),
        ("najda_waiting_offers", "Offers nobody has taken.", figures.waiting_offers as u64),
        ("najda_callbacks_waiting", "Callers who are gone and were not called back so far.", figures.callbacks_waiting as u64),
        ("najda_entries_pending", "Facts the store has not taken yet.", figures.entries_pending as u64),
        ("najda_promises_waiting", "Promises that wait for the journal.", figures.promises_waiting as u64),
        ("najda_engine_sessions", "Sessions the engine knows.", figures.sessions as u64),
        ("najda_engine_queue", "Inputs waiting for the engine's thread.", scrape.engine_queue as u64),
        ("najda_sessions_open", "Sessions open now.", scrape.sessions_open as u64),
        ("najda_snapshot", "The number of the snapshot in force.", scrape.snapshot.number),
        ("najda_healing", "1 while what the journal lost is not all written again.", u64::from(figures.healing)),
        (
            "najda_promises_ended",
            "1 when entries were given up and no promise is made until what they said is written again.",
            u64::from(figures.promises_ended),
        ),
    ];
    for (name, help, value) in rows {
        text.gauge(name, help, value);
    }
    text.seconds("najda_waiting_longest_seconds", "How long the offer has waited that waits longest.", figures.waiting_longest_micros);
    let longest = figures.callback_longest_micros;
    text.seconds("najda_callback_longest_seconds", "How long the caller has been gone who waits longest to be called back.", longest);
    text.seconds("najda_engine_silent_seconds", "Since the engine's thread last wrote its figures.", scrape.now.micros_since(figures.at));
    let tables = &scrape.snapshot.tables;
    text.head("najda_tables", "info", "The table set in force.");
    let _ = writeln!(text.0, "najda_tables_info{{name=\"{}\",version=\"{}\"}} 1", escaped(&tables.name), tables.version);
    text.head("najda_build", "info", "This program.");
    let _ = writeln!(text.0, "najda_build_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION"));
}

fn doors(text: &mut Text, scrape: &Scrape<'_>) {
    text.counter("najda_sessions_opened", "Sessions opened since the start.", scrape.sessions_opened);
    text.counter("najda_sessions_slow_closed", "Sessions closed because they read too slowly.", scrape.sessions_slow_closed);
    type Read = fn(&DoorCounters) -> &AtomicU64;
    let rows: [(&str, &str, Read); 18] = [
        ("contacts", "Contacts decided and answered.", |door| &door.contacts),
        ("contacts_cut", "Contacts whose evidence was cut.", |door| &door.contacts_cut),
        ("last_resorts", "Contacts answered by the last resort.", |door| &door.last_resorts),
        ("malformed", "Messages that could not be read.", |door| &door.malformed),
        ("malformed_closed", "Sessions closed because their bytes made no sense.", |door| &door.malformed_closed),
        ("repeated", "Messages that came again and were answered as before.", |door| &door.repeated),
        ("inputs_lost", "Inputs the engine did not take in time; anything but zero is an alarm.", |door| &door.inputs_lost),
        ("resubmitted", "Inputs that found the engine's queue full and were kept.", |door| &door.resubmitted),
        ("legs_reported", "Legs of calls that gateways reported.", |door| &door.legs_reported),
        ("references_fetched", "Places fetched from location servers.", |door| &door.references_fetched),
        ("references_failed", "Location servers that gave no place in time.", |door| &door.references_failed),
        ("references_full", "References left alone because their server was busy with others.", |door| &door.references_full),
        ("references_refused", "References to hosts that are not listed.", |door| &door.references_refused),
        ("refused_full", "Callers refused because a bound was reached.", |door| &door.refused_full),
        ("refused_role", "Callers whose certificate or token has no business here.", |door| &door.refused_role),
        ("handshakes_failed", "Handshakes that failed.", |door| &door.handshakes_failed),
        ("sessions_broken", "Sessions that panicked and were closed.", |door| &door.sessions_broken),
        ("unsendable", "Messages of ours that could not be encoded.", |door| &door.unsendable),
    ];
    for (name, help, read) in rows {
        let values: Vec<(&str, u64)> =
            scrape.doors.iter().map(|(door, counters)| (*door, read(counters).load(Ordering::Relaxed))).collect();
        text.counters(&format!("najda_door_{name}"), help, "door", &values);
    }
}

fn messages(text: &mut Text, counters: &MessageCounters) {
    let MessageCounters { sent, refused, late, retried } = counters;
    let rows = [
        ("sent", "Messages to callers that a gateway took.", sent),
        ("refused", "Messages to callers that a gateway refused.", refused),
        ("late", "Messages to callers that could not be sent in time.", late),
        ("retried", "Messages to callers that were tried again.", retried),
    ];
    for (name, help, value) in rows {
        text.counter(&format!("najda_messages_{name}"), help, value.load(Ordering::Relaxed));
    }
}

fn store(text: &mut Text, health: &Health) {
    // Named one by one, as the engine's.
    let Health {
        writing,
        backlog_entry_count,
        backlog_byte_count,
        commit_count,
        entry_count,
        commit_micros_total,
        commit_micros_max,
        full_count,
        lost_entry_count,
        failure_count,
        segment_number,
        projection_lag_entry_count,
    } = *health;
    text.gauge("najda_store_writing", "1 while the journal can be written.", u64::from(writing));
    text.gauge("najda_store_backlog_entries", "Entries appended and not yet held.", backlog_entry_count);
    text.gauge("najda_store_backlog_bytes", "Bytes of them.", backlog_byte_count);
    text.gauge("najda_store_segment", "The number of the file written now.", u64::from(segment_number));
    text.gauge("najda_store_projection_lag_entries", "Entries the searchable rows are behind by.", projection_lag_entry_count);
    text.seconds("najda_store_commit_longest_seconds", "The longest commit since the start.", commit_micros_max);
    text.counter("najda_store_commits", "Commits.", commit_count);
    text.counter("najda_store_entries", "Entries held.", entry_count);
    text.counter("najda_store_full", "Batches not taken because the backlog was full.", full_count);
    text.counter("najda_store_lost_entries", "Entries declared lost.", lost_entry_count);
    text.counter("najda_store_failures", "Failed writes.", failure_count);
    text.head("najda_store_commit_seconds", "counter", "Time spent in commits.");
    let _ = writeln!(text.0, "najda_store_commit_seconds_total {}", micros_as_seconds(commit_micros_total));
}

struct Text(String);

impl Text {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# TYPE {name} {kind}\n# HELP {name} {help}");
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.head(name, "counter", help);
        let _ = writeln!(self.0, "{name}_total {value}");
    }

    fn counters(&mut self, name: &str, help: &str, label: &str, values: &[(&str, u64)]) {
        self.head(name, "counter", help);
        for (word, value) in values {
            let _ = writeln!(self.0, "{name}_total{{{label}=\"{word}\"}} {value}");
        }
    }

    fn gauge(&mut self, name: &str, help: &str, value: u64) {
        self.head(name, "gauge", help);
        let _ = writeln!(self.0, "{name} {value}");
    }

    fn gauges(&mut self, name: &str, help: &str, label: &str, values: &[(&str, u64)]) {
        self.head(name, "gauge", help);
        for (word, value) in values {
            let _ = writeln!(self.0, "{name}{{{label}=\"{word}\"}} {value}");
        }
    }

    fn seconds(&mut self, name: &str, help: &str, micros: u64) {
        self.head(name, "gauge", help);
        let _ = writeln!(self.0, "{name} {}", micros_as_seconds(micros));
    }

    fn histogram(&mut self, name: &str, help: &str, stage: &Stage, bounds_nanos: &[u64]) {
        let (histogram, sum_nanos) = stage.read();
        self.head(name, "histogram", help);
        for bound in bounds_nanos {
            let count = histogram.count_between(0, *bound);
            let _ = writeln!(self.0, "{name}_bucket{{le=\"{}\"}} {count}", nanos_as_seconds(*bound));
        }
        let count = histogram.len();
        let _ = writeln!(self.0, "{name}_bucket{{le=\"+Inf\"}} {count}\n{name}_count {count}\n{name}_sum {}", nanos_as_seconds(sum_nanos));
    }
}

/// In whole digits, so that no rounding of floating point shows.
fn nanos_as_seconds(nanos: u64) -> String {
    let (whole, part) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
    let digits = format!("{part:09}");
    let digits = digits.trim_end_matches('0');
    if digits.is_empty() { format!("{whole}.0") } else { format!("{whole}.{digits}") }
}

fn micros_as_seconds(micros: u64) -> String {
    nanos_as_seconds(micros.saturating_mul(1_000))
}

fn escaped(label: &str) -> String {
    label.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_written_without_rounding() {
        let cases = [(0, "0.0"), (500, "0.0000005"), (1_000_000_000, "1.0"), (1_500_000_000, "1.5"), (12_000_000_001, "12.000000001")];
        for (nanos, text) in cases {
            assert_eq!(nanos_as_seconds(nanos), text);
        }
    }

    #[test]
    fn buckets_hold_what_is_at_most_their_bound_and_everything_is_in_the_last() {
        let stage = Stage::default();
        for micros in [1, 80, 300, 20_000_000] {
            stage.took(Duration::from_micros(micros));
        }
        let mut text = Text(String::new());
        text.histogram("x_seconds", "X.", &stage, &SLOW_NANOS);
        for line in [
            "x_seconds_bucket{le=\"0.00005\"} 1",
            "x_seconds_bucket{le=\"0.0001\"} 2",
            "x_seconds_bucket{le=\"0.0005\"} 3",
            "x_seconds_bucket{le=\"5.0\"} 3",
            "x_seconds_bucket{le=\"+Inf\"} 4",
            "x_seconds_count 4",
            "x_seconds_sum 20.000381",
        ] {
            assert!(text.0.lines().any(|got| got == line), "{line} in {}", text.0);
        }
    }

    #[test]
    fn a_label_cannot_end_its_quotes() {
        assert_eq!(escaped("a\"b\\c\nd"), "a\\\"b\\\\c\\nd");
    }
}
