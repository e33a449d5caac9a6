//! When contacts come: a seeded Poisson process, so that the same seed is the same hour again.

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
#[derive(Clone, Debug)]
pub struct Arrivals {
    random: Random,
    mean_nanos: f64,
    at_nanos: f64,
}

impl Arrivals {
    /// `rate`: contacts a second, on average.
    pub fn new(rate: f64, seed: u64) -> Self {
        Self { random: Random::of(seed, 0), mean_nanos: 1e9 / rate.max(0.001), at_nanos: 0.0 }
    }
}

impl Iterator for Arrivals {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        self.at_nanos -= self.random.share().ln() * self.mean_nanos;
        Some(self.at_nanos as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrivals_keep_their_rate_and_their_seed() {
        let last = |seed| Arrivals::new(1_000.0, seed).nth(99_999).unwrap();
        assert_eq!(last(7), last(7));
        assert_ne!(last(7), last(8));
        let rate = 100_000.0 / (last(7) as f64 / 1e9);
        assert!((980.0..1_020.0).contains(&rate), "{rate}");
    }

    #[test]
    fn arrivals_come_in_bursts_as_people_do() {
        // Of a Poisson process of one a millisecond, 37 % of milliseconds stay empty; evenly spaced arrivals leave none.
        let mut taken = vec![false; 10_000];
        for at in Arrivals::new(1_000.0, 3).map(|at| (at / 1_000_000) as usize).take_while(|at| *at < 10_000) {
            taken[at] = true;
        }
        let empty = taken.iter().filter(|taken| !**taken).count();
        assert!((3_400..4_000).contains(&empty), "{empty}");
    }

    #[test]
    fn a_number_below_a_bound_is_below_it() {
        let mut random = Random::of(1, 0);
        assert!((0..1_000).all(|_| random.below(7) < 7));
        assert_eq!(random.below(0), 0);
        assert_eq!(random.pick::<u8>(&[]), None);
    }
}
