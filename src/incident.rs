//! Incidents: what happened in the world, of which one or more contacts speak.
//!
//! For now every contact is an incident of its own. Joining contacts that speak of the same event (same line, same place, within
//! minutes) needs rules that people have agreed on, because a wrong join hides a caller: it is deliberately absent here.

use core::fmt;

/// An incident's id: the journal partition it began in and the sequence number of its first contact's arrival there.
///
/// # Invariants
/// Unique across partitions and never reused, because a journal's sequence numbers are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IncidentId {
    pub partition: u16,
    pub seq: u64,
}

impl IncidentId {
    /// The incident that begins with the contact whose arrival has this sequence number.
    pub const fn begun_by(partition: u16, arrived_seq: u64) -> Self {
        Self { partition, seq: arrived_seq }
    }
}

impl fmt::Display for IncidentId {
    /// `partition-sequence`, as a person reads it out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.partition, self.seq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn incidents_of_two_partitions_differ_and_read_as_partition_and_sequence() {
        let (a, b) = (IncidentId::begun_by(0, 17), IncidentId::begun_by(1, 17));
        assert_ne!(a, b);
        assert_eq!((a.to_string(), b.to_string()), ("0-17".to_owned(), "1-17".to_owned()));
    }
}
