//! What gateways, rooms and the page share, and the demo's dice.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};

use super::score::Score;
use super::script::Row;
use crate::client::LinkConfig;
use crate::contact::ContactKey;
use crate::edge::certs::DevCerts;
use crate::edge::clock::Clock;
use crate::edge::tls::Role;
use crate::tables::snapshot::Tables;
use crate::units::DispatcherId;

pub struct Stage {
    pub clock: Clock,
    pub tables: Arc<Tables>,
    pub rows: Vec<Row>,
    pub addr: SocketAddr,
    pub certs: DevCerts,
    pub seed: u64,
    /// Begins every reference of this run: a folder kept from an earlier run knows other contacts.
    pub run: String,
    /// The room whose people are too few: others answer for it.
    pub slow: Option<DispatcherId>,
    pub paused: AtomicBool,
    score: Mutex<Score>,
}

impl Stage {
    pub fn new(
        clock: Clock,
        tables: Arc<Tables>,
        rows: Vec<Row>,
        addr: SocketAddr,
        certs: DevCerts,
        seed: u64,
        slow: Option<DispatcherId>,
    ) -> Arc<Self> {
        let run = format!("{:x}", clock.now().unix_micros / 1_000);
        let (paused, score) = (AtomicBool::new(false), Mutex::default());
        Arc::new(Self { clock, tables, rows, addr, certs, seed, run, slow, paused, score })
    }

    /// Held for moments only, and never across an await.
    pub fn score(&self) -> MutexGuard<'_, Score> {
        self.score.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn now_micros(&self) -> u64 {
        self.clock.now().unix_micros
    }

    pub fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Relaxed)
    }

    pub fn reference(&self, n: usize) -> String {
        format!("{}-{n}", self.run)
    }

    /// The number of a contact of this run.
    pub fn number_of(&self, key: &ContactKey) -> Option<usize> {
        let (run, n) = key.gateway_ref.rsplit_once('-')?;
        (run == self.run).then(|| n.parse().ok()).flatten()
    }

    /// # Errors
    /// The role's certificate cannot be read.
    pub fn link(&self, role: &Role) -> Result<LinkConfig> {
        let identity = self.certs.identity(role).with_context(|| format!("reading the certificate of {role}"))?;
        Ok(LinkConfig::new(self.addr, "localhost", identity))
    }
}

/// Repeatable dice: the same seed throws the same numbers (SplitMix64).
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64, whose: &str) -> Self {
        // FNV-1a keeps the dice of different owners apart.
        let mixed = whose.bytes().fold(0xcbf2_9ce4_8422_2325 ^ seed, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        Self(mixed)
    }

    pub fn throw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.throw() % (high.saturating_sub(low) + 1)
    }

    pub fn one_in(&mut self, n: u64) -> bool {
        self.throw().is_multiple_of(n.max(1))
    }

    pub fn shuffle<T>(&mut self, list: &mut [T]) {
        for at in (1..list.len()).rev() {
            list.swap(at, self.between(0, at as u64) as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_throws_the_same_and_owners_differ() {
        let throws = |seed, whose| {
            let mut dice = Dice::new(seed, whose);
            [dice.throw(), dice.throw(), dice.between(3, 5)]
        };
        assert_eq!(throws(1, "a"), throws(1, "a"));
        assert_ne!(throws(1, "a"), throws(1, "b"));
        assert_ne!(throws(1, "a"), throws(2, "a"));
    }

    #[test]
    fn a_shuffled_day_keeps_every_caller() {
        let mut list: Vec<u32> = (0..77).collect();
        Dice::new(7, "day").shuffle(&mut list);
        assert_ne!(list, (0..77).collect::<Vec<u32>>());
        list.sort_unstable();
        assert_eq!(list, (0..77).collect::<Vec<u32>>());
    }
}
