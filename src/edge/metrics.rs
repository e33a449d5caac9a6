//! What a running engine says of itself: counters, stage histograms, OpenMetrics text.

use std::sync::Mutex;
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::engine::{Alarms, Counters, Engine};
use crate::units::Timestamp;

/// The engine's figures, as its thread last wrote them down.
#[derive(Clone, Copy, Debug, Default)]
pub struct EngineFigures {
    pub counters: Counters,
    pub alarms: Alarms,
    pub live_contacts: usize,
    pub waiting_offers: usize,
    /// How long the contact has waited whose offer nobody has taken for longest.
    pub waiting_longest_micros: u64,
    pub entries_pending: usize,
}

impl EngineFigures {
    pub fn of(engine: &Engine, now: Timestamp, entries_pending: usize) -> Self {
        Self {
            counters: *engine.counters(),
            alarms: engine.alarms(),
            live_contacts: engine.live_contacts(),
            waiting_offers: engine.waiting_offers(),
            waiting_longest_micros: engine.waiting_oldest().map_or(0, |at| now.micros_since(at)),
            entries_pending,
        }
    }
}

/// How long the stages of a contact took, in nanoseconds.
#[derive(Debug)]
pub struct Stages {
    decide: [Mutex<Histogram<u64>>; SHARDS],
}

/// Recorders on different threads rarely meet at the same lock.
const SHARDS: usize = 8;

impl Default for Stages {
    fn default() -> Self {
        let histogram = || Mutex::new(Histogram::new_with_bounds(1, 10_000_000_000, 2).expect("bounds in order, two digits"));
        Self { decide: std::array::from_fn(|_| histogram()) }
    }
}

impl Stages {
    /// One decision took this long. Never waits: a record that would is left out.
    pub fn decided(&self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        for shard in &self.decide {
            if let Ok(mut histogram) = shard.try_lock() {
                histogram.saturating_record(nanos.max(1));
                return;
            }
        }
    }

    /// Everything recorded so far.
    pub fn decide(&self) -> Histogram<u64> {
        let mut sum = Histogram::new_with_bounds(1, 10_000_000_000, 2).expect("bounds in order, two digits");
        for shard in &self.decide {
            if let Ok(histogram) = shard.lock() {
                let _ = sum.add(&*histogram);
            }
        }
        sum
    }
}
