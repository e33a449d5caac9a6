//! When contacts come: a seeded Poisson process, so that the same seed is the same hour again.

use std::sync::Arc;

use crate::scenario::Scenario;

/// A small generator of numbers (SplitMix64): the same on every machine, and enough for a load.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// One stream of numbers for each thing of one seed.
    pub fn of(seed: u64, index: u64) -> Self {
        let mut mixed = Self(seed ^ index.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        mixed.bits();
        mixed
    }

    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// In `0..below`; 0 when there is no such number.
    pub fn below(&mut self, below: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(below)) >> 64) as u64
    }

    /// Above 0, at most 1.
    pub fn share(&mut self) -> f64 {
        ((self.bits() >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }

    /// True in `percent` of a hundred times.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        from.get(self.below(from.len() as u64) as usize)
    }
}

/// The times of arrival, in nanoseconds from the start.
///
/// A Poisson process whose rate follows the scenario's curve: drawn at the highest rate, and thinned to what it is at each moment.
#[derive(Clone, Debug)]
pub struct Arrivals {
    random: Random,
    scenario: Arc<Scenario>,
    /// At the highest rate.
    mean_nanos: f64,
    peak: f64,
    at_nanos: f64,
    until_nanos: f64,
}

impl Arrivals {
    /// `rate`: contacts a second, on average over `seconds`; without end when that is infinite.
    pub fn new(scenario: &Arc<Scenario>, rate: f64, seconds: f64, seed: u64) -> Self {
        let peak = if seconds.is_finite() { scenario.peak() } else { 1.0 };
        Self {
            random: Random::of(seed, 0),
            scenario: Arc::clone(scenario),
            mean_nanos: 1e9 / (rate * peak).max(0.001),
            peak,
            at_nanos: 0.0,
            until_nanos: seconds * 1e9,
        }
    }

    /// How many there can be, whatever the dice say.
    pub fn count_max(rate: f64, seconds: f64) -> usize {
        let mean = rate * seconds;
        (mean + 8.0 * mean.sqrt() + 50.0) as usize
    }
}

/// One arrival: when, and at which share of the run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Arrival {
    pub at_nanos: u64,
    pub share: f64,
}

impl Iterator for Arrivals {
    type Item = Arrival;

    fn next(&mut self) -> Option<Arrival> {
        loop {
            self.at_nanos -= self.random.share().ln() * self.mean_nanos;
            if self.at_nanos >= self.until_nanos {
                return None;
            }
            let share = if self.until_nanos.is_finite() { self.at_nanos / self.until_nanos } else { 0.5 };
            if self.peak <= 1.0 || self.random.share() <= self.scenario.factor(share) / self.peak {
                return Some(Arrival { at_nanos: self.at_nanos as u64, share });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat() -> Arc<Scenario> {
        Arc::new(Scenario::load(crate::scenario::CANONICAL).unwrap())
    }

    #[test]
    fn arrivals_keep_their_rate_and_their_seed() {
        let last = |seed| Arrivals::new(&flat(), 1_000.0, f64::INFINITY, seed).nth(99_999).unwrap().at_nanos;
        assert_eq!(last(7), last(7));
        assert_ne!(last(7), last(8));
        let rate = 100_000.0 / (last(7) as f64 / 1e9);
        assert!((980.0..1_020.0).contains(&rate), "{rate}");
    }

    #[test]
    fn arrivals_come_in_bursts_as_people_do() {
        // Of a Poisson process of one a millisecond, 37 % of milliseconds stay empty; evenly spaced arrivals leave none.
        let mut taken = vec![false; 10_000];
        for at in Arrivals::new(&flat(), 1_000.0, 10.0, 3).map(|arrival| (arrival.at_nanos / 1_000_000) as usize) {
            taken[at] = true;
        }
        let empty = taken.iter().filter(|taken| !**taken).count();
        assert!((3_400..4_000).contains(&empty), "{empty}");
    }

    /// Goal: a burst is where the scenario puts it, and the whole has the rate asked for. Method: count by tenths of the run.
    #[test]
    fn arrivals_follow_the_curve_and_keep_the_mean() {
        let scenario = Arc::new(Scenario::load("new-year-burj-khalifa").unwrap());
        let mut tenths = [0_u32; 10];
        for arrival in Arrivals::new(&scenario, 1_000.0, 60.0, 5) {
            tenths[(arrival.share * 10.0) as usize] += 1;
        }
        let all: u32 = tenths.iter().sum();
        assert!((58_000..62_000).contains(&all) && (all as usize) < Arrivals::count_max(1_000.0, 60.0), "{all}");
        assert!(tenths[7] > 5 * tenths[0], "{tenths:?}");
    }

    #[test]
    fn a_number_below_a_bound_is_below_it() {
        let mut random = Random::of(1, 0);
        assert!((0..1_000).all(|_| random.below(7) < 7));
        assert_eq!(random.below(0), 0);
        assert_eq!(random.pick::<u8>(&[]), None);
    }
}
