//! The one clock: monotonic, anchored to the wall clock once, so that time never runs backwards within a process.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::units::{ContactId, Timestamp};

/// Reads the time. Copies agree with each other: they share the anchor.
///
/// A step of the wall clock after the start is not followed; that is what keeps timers and the journal's order right.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    anchor: Instant,
    anchored_unix_micros: u64,
}

impl Clock {
    /// Anchors to the wall clock, now. Once a process.
    pub fn start() -> Self {
        let anchor = Instant::now();
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { anchor, anchored_unix_micros: u64::try_from(unix.as_micros()).unwrap_or(u64::MAX) }
    }

    pub fn now(&self) -> Timestamp {
        let since = u64::try_from(self.anchor.elapsed().as_micros()).unwrap_or(u64::MAX);
        Timestamp::from_micros(self.anchored_unix_micros).plus_micros(since)
    }
}

/// A new contact's identity: a UUID version 7 of this moment.
///
/// # Source
/// RFC 9562, 5.7.
pub fn new_contact_id(now: Timestamp) -> ContactId {
    let (secs, nanos) = (now.unix_micros / 1_000_000, (now.unix_micros % 1_000_000) as u32 * 1_000);
    ContactId(uuid::Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, secs, nanos)).as_u128())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn time_does_not_run_backwards_and_starts_at_the_wall_clock() {
        let clock = Clock::start();
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros() as u64;
        let mut last = clock.now();
        assert!(wall.abs_diff(last.unix_micros) < 1_000_000);
        for _ in 0..10_000 {
            let now = clock.now();
            assert!(now >= last);
            last = now;
        }
    }

    #[test]
    fn contact_ids_are_version_seven_of_their_moment_and_never_the_same() {
        let now = Timestamp::from_micros(1_700_000_000_123_456);
        let ids: BTreeSet<ContactId> = (0..10_000).map(|_| new_contact_id(now)).collect();
        assert_eq!(ids.len(), 10_000);
        for ContactId(id) in ids {
            let uuid = uuid::Uuid::from_u128(id);
            assert_eq!((uuid.get_version_num(), id >> 80), (7, 1_700_000_000_123));
        }
    }
}
