//! One entry of the journal: a fact as bytes, and the few fields needed to find it again without decoding.

use super::chain::{Anchor, ChainHash};
use crate::deliver::Fact;
use crate::units::{ContactId, Timestamp};

/// One fact in the journal, encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its place in its partition: 1 for the first, then rising by one.
    pub seq: u64,
    pub at: Timestamp,
    /// The contact it speaks of, if it speaks of one.
    pub contact: Option<ContactId>,
    /// The kind of fact; [`Hole::KIND`] and [`Removal::KIND`] are no facts.
    pub kind: u8,
    /// The fact as `wire/` spells it, at most [`crate::limits::ENTRY_BYTES_MAX`] bytes.
    pub bytes: Vec<u8>,
}

impl Entry {
    /// The largest sequence number; the embedded store keeps them as signed 64-bit numbers.
    pub const SEQ_MAX: u64 = i64::MAX as u64;

    /// The envelope around an encoded fact.
    pub fn of(seq: u64, fact: &Fact, bytes: Vec<u8>) -> Self {
        Self { seq, at: fact.at(), contact: fact.contact(), kind: kind_of(fact), bytes }
    }
}

/// Sequence numbers that were given out but never held, because the disk failed for longer than the backlog lasted.
///
/// It stands in the log as an entry of its own, so that the loss is part of the record and of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hole {
    pub first_seq: u64,
    pub last_seq: u64,
    /// When the first entry after the hole was made.
    pub at: Timestamp,
}

impl Hole {
    pub const KIND: u8 = u8::MAX;

    /// The entry that stands for the hole, at its first sequence number.
    pub fn to_entry(self) -> Entry {
        debug_assert!(self.first_seq <= self.last_seq);
        Entry { seq: self.first_seq, at: self.at, contact: None, kind: Self::KIND, bytes: self.last_seq.to_le_bytes().to_vec() }
    }

    /// The hole that `entry` stands for; `None` when it is an ordinary entry or makes no sense.
    pub fn of(entry: &Entry) -> Option<Self> {
        if entry.kind != Self::KIND {
            return None;
        }
        let last_seq = u64::from_le_bytes(entry.bytes.as_slice().try_into().ok()?);
        (last_seq >= entry.seq).then_some(Self { first_seq: entry.seq, last_seq, at: entry.at })
    }
}

/// Old entries were removed on purpose: the chain begins after `before` now.
///
/// It stands in the log as an entry of its own, so that the removal is part of the record and of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Removal {
    /// The last entry that was removed, and the chain there.
    pub before: Anchor,
    pub at: Timestamp,
}

impl Removal {
    pub const KIND: u8 = u8::MAX - 1;

    pub fn to_entry(self, seq: u64) -> Entry {
        debug_assert!(self.before.seq < seq);
        let bytes = [&self.before.seq.to_le_bytes()[..], &self.before.hash.0[..]].concat();
        Entry { seq, at: self.at, contact: None, kind: Self::KIND, bytes }
    }

    /// The removal that `entry` stands for; `None` when it is an ordinary entry or makes no sense.
    pub fn of(entry: &Entry) -> Option<Self> {
        let (seq, hash) = entry.bytes.split_first_chunk::<8>().filter(|_| entry.kind == Self::KIND)?;
        let before = Anchor { seq: u64::from_le_bytes(*seq), hash: ChainHash(hash.try_into().ok()?) };
        (before.seq < entry.seq).then_some(Self { before, at: entry.at })
    }
}

/// The kind by which whoever carries messages to callers finds them.
pub const KIND_INFORMED: u8 = 24;

/// The journal's code of each kind of fact. Append, never renumber: old journals hold them.
const fn kind_of(fact: &Fact) -> u8 {
    match fact {
        Fact::Arrived { .. } => 0,
        Fact::Redecided { .. } => 1,
        Fact::Asked { .. } => 2,
        Fact::Taken { .. } => 3,
        Fact::Accepted { .. } => 4,
        Fact::Waiting { .. } => 5,
        Fact::Closed { .. } => 6,
        Fact::HungUp { .. } => 7,
        Fact::Answered { .. } => 8,
        Fact::Ended { .. } => 9,
        Fact::State { .. } => 10,
        Fact::Tables { .. } => 11,
        Fact::Declined { .. } => 12,
        Fact::CalledBack { .. } => 13,
        Fact::Repeated { .. } => 14,
        Fact::Noted { .. } => 15,
        Fact::Joined { .. } => 16,
        Fact::Said { .. } => 17,
        Fact::Delivered { .. } => 18,
        Fact::Read { .. } => 19,
        Fact::Dispatched { .. } => 20,
        Fact::Declared { .. } => 21,
        Fact::EventOver { .. } => 22,
        Fact::Left { .. } => 23,
        Fact::Informed { .. } => KIND_INFORMED,
        Fact::Rated { .. } => 25,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deliver::HangUp;

    #[test]
    fn a_hole_comes_back_from_its_entry_and_an_ordinary_entry_is_no_hole() {
        let hole = Hole { first_seq: 7, last_seq: 9, at: Timestamp::from_secs(1) };
        assert_eq!(Hole::of(&hole.to_entry()), Some(hole));
        let ordinary = Entry { kind: 0, ..hole.to_entry() };
        assert_eq!(Hole::of(&ordinary), None);
        let cut = Entry { bytes: vec![9], ..hole.to_entry() };
        assert_eq!(Hole::of(&cut), None);
        let backwards = Entry { bytes: 6_u64.to_le_bytes().to_vec(), ..hole.to_entry() };
        assert_eq!(Hole::of(&backwards), None);
    }

    #[test]
    fn a_removal_comes_back_from_its_entry_and_an_ordinary_entry_is_no_removal() {
        let removal = Removal { before: Anchor { seq: 7, hash: ChainHash([3; 32]) }, at: Timestamp::from_secs(1) };
        assert_eq!(Removal::of(&removal.to_entry(8)), Some(removal));
        assert_eq!(Removal::of(&Entry { seq: 7, ..removal.to_entry(8) }), None, "nothing removes itself");
        assert_eq!(Removal::of(&Entry { kind: 0, ..removal.to_entry(8) }), None);
        assert_eq!(Removal::of(&Entry { bytes: vec![9; 39], ..removal.to_entry(8) }), None);
    }

    #[test]
    fn an_envelope_names_the_contact_the_fact_speaks_of() {
        let contact = ContactId(5);
        let fact = Fact::HungUp { at: Timestamp::from_secs(3), contact, why: HangUp::Caller, callback: false };
        let entry = Entry::of(4, &fact, vec![1, 2]);
        assert_eq!(entry, Entry { seq: 4, at: Timestamp::from_secs(3), contact: Some(contact), kind: 7, bytes: vec![1, 2] });
    }
}
