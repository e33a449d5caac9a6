//! Newtypes with units: time, probability, names of dispatchers and areas.
//!
//! Nothing here reads a clock or formats for a wire. Every value is `Copy` and fits in a register or a cache line, because the
//! contact's path copies them instead of allocating.

use core::fmt;

use arrayvec::ArrayString;

/// A point in time: microseconds since 1970-01-01T00:00:00Z.
///
/// # Invariants
/// The edge's clock never lets it run backwards within one process (a monotonic clock anchored to the wall clock once).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    pub unix_micros: u64,
}

impl Timestamp {
    pub const fn from_micros(unix_micros: u64) -> Self {
        Self { unix_micros }
    }

    pub const fn from_secs(unix_secs: u64) -> Self {
        Self { unix_micros: unix_secs.saturating_mul(1_000_000) }
    }

    pub const fn plus_micros(self, micros: u64) -> Self {
        Self { unix_micros: self.unix_micros.saturating_add(micros) }
    }

    pub const fn micros_since(self, earlier: Self) -> u64 {
        self.unix_micros.saturating_sub(earlier.unix_micros)
    }

    /// Days since 1970, UTC.
    pub const fn day(self) -> u64 {
        self.unix_micros / 86_400_000_000
    }

    /// Midnight UTC of a day.
    pub const fn of_day(day: u64) -> Self {
        Self { unix_micros: day.saturating_mul(86_400_000_000) }
    }
}

/// A probability in parts per million: 0 to 1,000,000. Integers, so that every machine computes the same decision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ppm(pub u32);

impl Ppm {
    pub const ZERO: Self = Self(0);
    pub const ONE: Self = Self(1_000_000);

    /// The product of two probabilities, rounded down.
    pub const fn times(self, other: Self) -> Self {
        Self((self.0 as u64 * other.0 as u64 / 1_000_000) as u32)
    }

    /// `part` of `whole` as a probability; zero when `whole` is zero.
    pub const fn ratio(part: u64, whole: u64) -> Self {
        if whole == 0 {
            return Self::ZERO;
        }
        // A division of 128 bits takes as long as a look-up.
        match part.checked_mul(1_000_000) {
            Some(scaled) => Self((scaled / whole) as u32),
            None => Self((part as u128 * 1_000_000 / whole as u128) as u32),
        }
    }

    pub fn as_f64(self) -> f64 {
        f64::from(self.0) / 1e6
    }
}

/// A short name kept inline: the stable id of a dispatcher, an area, a trunk or a seat.
///
/// # Units
/// At most 32 bytes of ASCII; longer names are refused where tables are built and where sessions open.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Name(ArrayString<{ Name::BYTES_MAX }>);

impl Name {
    pub const BYTES_MAX: usize = 32;

    /// `None` when `text` is empty, too long, or holds anything but visible ASCII.
    pub fn new(text: &str) -> Option<Self> {
        let fine = !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic());
        if fine { ArrayString::from(text).ok().map(Self) } else { None }
    }

    /// A word of the code's own, which needs no reading byte by byte; nothing when it is too long.
    #[inline]
    pub fn of_word(word: &'static str) -> Self {
        debug_assert!(Self::new(word).is_some(), "{word:?} is no name");
        ArrayString::from(word).map(Self).unwrap_or_default()
    }

    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

/// The stable id of a dispatcher (`DU-POL`). Survives table swaps, restarts and machines.
pub type DispatcherId = Name;
/// The stable id of an area (`AE-DU`).
pub type AreaId = Name;

/// A contact's identity: a UUID version 7 made by the edge that received it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContactId(pub u128);

impl ContactId {
    /// When it was made, to the millisecond (UUID version 7, RFC 9562, 5.7).
    pub const fn made_at(self) -> Timestamp {
        Timestamp::from_micros(((self.0 >> 80) as u64).saturating_mul(1_000))
    }
}

impl fmt::Display for ContactId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        uuid::Uuid::from_u128(self.0).hyphenated().fmt(f)
    }
}

/// SHA-256 of a compiled table set: two sets with the same rows and boundaries have the same version on every machine.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TablesVersion(pub [u8; 32]);

impl fmt::Display for TablesVersion {
    /// The first 12 hex digits: enough to tell sets apart by eye.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..6].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for TablesVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_the_same_by_short_and_by_long_division() {
        let bound = u64::MAX / 1_000_000;
        for (part, whole) in [(1, 3), (bound, bound), (bound + 1, bound + 1), (bound + 7, u64::MAX), (5, 0)] {
            let slow = (u128::from(part) * 1_000_000).checked_div(u128::from(whole)).unwrap_or(0);
            assert_eq!(u128::from(Ppm::ratio(part, whole).0), slow, "{part} of {whole}");
        }
    }

    #[test]
    fn a_word_of_the_code_is_the_name_it_reads() {
        assert_eq!(Some(Name::of_word("civil_defence")), Name::new("civil_defence"));
    }
}
