//! The hash chain: every entry is bound to all that came before it.
//!
//! ```text
//! genesis(partition) -> link(., entry 1) -> link(., entry 2) -> ...
//! ```
//!
//! What it shows: a changed byte, a removed, an added or a moved entry, and which sequence number it happened at. What it does not
//! show by itself: a cut tail, or a whole chain computed anew by someone who can write the file. For those an [`Anchor`] noted
//! elsewhere (each opening of the journal leaves one, a signed checkpoint another) must be met.

use core::fmt;

use sha2::{Digest, Sha256};

use super::entry::{Entry, Hole, Removal};

/// The breaks one verification lists; all of them are counted.
pub const BREAKS_LISTED_MAX: usize = 64;

/// SHA-256 over the hash before it and the whole entry.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChainHash(pub [u8; 32]);

impl ChainHash {
    /// The hash before the first entry of a partition, so that two partitions never share a chain.
    pub fn genesis(partition: u16) -> Self {
        Self(Sha256::new().chain_update(b"najda journal 1").chain_update(partition.to_le_bytes()).finalize().into())
    }
}

impl fmt::Display for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().take(6).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The hash of `entry` when `previous` is the hash before it.
///
/// The fields have fixed places and the bytes come last with their count, so that no two entries are spelled alike:
///
/// ```text
/// previous 32 | seq 8 | at 8 | contact known 1 | contact 16 | kind 1 | byte count 8 | bytes
/// ```
pub fn link(previous: ChainHash, entry: &Entry) -> ChainHash {
    let mut head = [0_u8; 74];
    let contact = entry.contact.map_or(0, |contact| contact.0);
    head[..32].copy_from_slice(&previous.0);
    head[32..40].copy_from_slice(&entry.seq.to_le_bytes());
    head[40..48].copy_from_slice(&entry.at.unix_micros.to_le_bytes());
    head[48] = u8::from(entry.contact.is_some());
    head[49..65].copy_from_slice(&contact.to_le_bytes());
    head[65] = entry.kind;
    head[66..].copy_from_slice(&(entry.bytes.len() as u64).to_le_bytes());
    ChainHash(Sha256::new().chain_update(head).chain_update(&entry.bytes).finalize().into())
}

/// A place in the chain that is known from elsewhere: the hash at `seq`, or before the first entry when `seq` is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anchor {
    pub seq: u64,
    pub hash: ChainHash,
}

/// Where the chain does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Break {
    /// The sequence number it shows at.
    pub seq: u64,
    pub kind: BreakKind,
}

/// What is wrong at a break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BreakKind {
    /// The entry, or its hash, is not what was written.
    Altered,
    /// An anchor names another hash here.
    AnchorDiffers,
    /// The chain ends before this sequence number, which an anchor says was held.
    CutOff,
    /// Entries from here to `last_seq` are gone.
    Missing { last_seq: u64 },
    /// The entry stands where a later one was expected.
    OutOfOrder { expected_seq: u64 },
    /// The file itself could not be read here.
    Unreadable,
}

impl fmt::Display for Break {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seq = self.seq;
        match self.kind {
            BreakKind::Altered => write!(f, "entry {seq} was altered"),
            BreakKind::AnchorDiffers => write!(f, "entry {seq} is not the one its anchor names"),
            BreakKind::CutOff => write!(f, "the journal ends before entry {seq}, which was held"),
            BreakKind::Missing { last_seq } if last_seq == seq => write!(f, "entry {seq} is missing"),
            BreakKind::Missing { last_seq } => write!(f, "entries {seq} to {last_seq} are missing"),
            BreakKind::OutOfOrder { expected_seq } => write!(f, "entry {seq} stands where {expected_seq} belongs"),
            BreakKind::Unreadable => write!(f, "the file cannot be read at entry {seq}"),
        }
    }
}

/// Walks a chain entry by entry. After a break it goes on from what is written, so that one bad entry is one break.
#[derive(Clone, Debug)]
pub struct Verifier {
    next_seq: u64,
    /// `None` where the entry before could not be read: the next one is taken as it stands.
    previous: Option<ChainHash>,
    /// The other hash that may stand before the next entry: after an altered entry one cannot know whether it or its hash was changed.
    previous_or: Option<ChainHash>,
}

impl Verifier {
    /// Ready for the entry after `start`.
    pub const fn after(start: Anchor) -> Self {
        Self { next_seq: start.seq.saturating_add(1), previous: Some(start.hash), previous_or: None }
    }

    /// Ready to begin a new chain at `next_seq`, because what came before it cannot be read.
    pub const fn anew(next_seq: u64) -> Self {
        Self { next_seq, previous: None, previous_or: None }
    }

    /// The sequence number expected next.
    pub const fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// The end of the chain so far; `None` when it is not known.
    pub fn head(&self) -> Option<Anchor> {
        self.previous.map(|hash| Anchor { seq: self.next_seq - 1, hash })
    }

    /// Checks the next entry against the hash written beside it.
    pub fn check(&mut self, entry: &Entry, written: ChainHash) -> Result<(), Break> {
        let expected_seq = self.next_seq;
        if entry.seq < expected_seq {
            return Err(Break { seq: entry.seq, kind: BreakKind::OutOfOrder { expected_seq } });
        }
        let computed = self.previous.map_or(written, |previous| link(previous, entry));
        let follows = computed == written || self.previous_or.is_some_and(|previous| link(previous, entry) == written);
        self.next_seq = Hole::of(entry).map_or(entry.seq, |hole| hole.last_seq).saturating_add(1);
        self.previous = Some(written);
        self.previous_or = (!follows).then_some(computed);
        if entry.seq > expected_seq {
            return Err(Break { seq: expected_seq, kind: BreakKind::Missing { last_seq: entry.seq - 1 } });
        }
        if follows { Ok(()) } else { Err(Break { seq: entry.seq, kind: BreakKind::Altered }) }
    }
}

/// What a walk over a whole partition found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Entries read, holes not counted.
    pub entry_count: u64,
    pub holes: Vec<Hole>,
    /// Where the chain begins: before the first entry of all, or where older ones were removed on purpose.
    pub begin: Anchor,
    /// The end of the chain: note it elsewhere and the tail cannot be cut unseen.
    pub head: Anchor,
    /// The first [`BREAKS_LISTED_MAX`], in order of reading.
    pub breaks: Vec<Break>,
    pub break_count: u64,
}

impl Verified {
    pub const fn holds(&self) -> bool {
        self.break_count == 0
    }

    fn note(&mut self, found: Break) {
        self.break_count += 1;
        if self.breaks.len() < BREAKS_LISTED_MAX {
            self.breaks.push(found);
        }
    }
}

/// A verification under way: feed it every entry in order, then [`Verification::finish`].
#[derive(Clone, Debug)]
pub struct Verification {
    walk: Verifier,
    anchors: Vec<Anchor>,
    anchor_index: usize,
    /// The newest removal of older entries that the chain speaks of.
    removal: Option<Removal>,
    found: Verified,
}

impl Verification {
    /// Checks the chain after `start`, and that it passes through every one of `anchors`.
    pub fn after(start: Anchor, mut anchors: Vec<Anchor>) -> Self {
        anchors.retain(|anchor| anchor.seq > start.seq);
        anchors.sort_by_key(|anchor| anchor.seq);
        // Every opening without a write in between notes the same end.
        anchors.dedup();
        let found = Verified { entry_count: 0, holes: Vec::new(), begin: start, head: start, breaks: Vec::new(), break_count: 0 };
        Self { walk: Verifier::after(start), anchors, anchor_index: 0, removal: None, found }
    }

    pub fn check(&mut self, entry: &Entry, written: ChainHash) {
        match Hole::of(entry) {
            Some(hole) => self.found.holes.push(hole),
            None => self.found.entry_count += 1,
        }
        self.removal = Removal::of(entry).or(self.removal);
        if let Err(found) = self.walk.check(entry, written) {
            self.found.note(found);
        }
        self.found.head = self.walk.head().unwrap_or(self.found.head);
        let reached = self.found.head;
        while let Some(anchor) = self.anchors.get(self.anchor_index).filter(|anchor| anchor.seq <= reached.seq) {
            if *anchor != reached {
                self.found.note(Break { seq: anchor.seq, kind: BreakKind::AnchorDiffers });
            }
            self.anchor_index += 1;
        }
    }

    /// Entries from the one expected next cannot be read at all; the walk goes on at `resume_seq`, if anywhere.
    pub fn unreadable(&mut self, resume_seq: Option<u64>) {
        self.found.note(Break { seq: self.walk.next_seq(), kind: BreakKind::Unreadable });
        self.walk = resume_seq.map_or(self.walk.clone(), Verifier::anew);
    }

    /// `genesis` is the hash before the first entry of all: a chain that begins anywhere else must say that older entries were
    /// removed up to there, or further while that goes on.
    pub fn finish(mut self, genesis: ChainHash) -> Verified {
        let begin = self.found.begin;
        let told = |removal: Removal| removal.before == begin || removal.before.seq > begin.seq;
        if begin.hash != genesis && !self.removal.is_some_and(told) {
            self.found.note(Break { seq: 1, kind: BreakKind::Missing { last_seq: begin.seq } });
            // In the order of the entries.
            self.found.breaks.sort_by_key(|found| found.seq);
        }
        for anchor in self.anchors.drain(self.anchor_index..) {
            self.found.note(Break { seq: anchor.seq, kind: BreakKind::CutOff });
        }
        self.found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::{ContactId, Timestamp};

    const START: fn() -> Anchor = || Anchor { seq: 0, hash: ChainHash::genesis(0) };

    fn entry(seq: u64) -> Entry {
        let contact = (!seq.is_multiple_of(3)).then_some(ContactId(u128::from(seq) << 64));
        Entry { seq, at: Timestamp::from_secs(seq), contact, kind: (seq % 5) as u8, bytes: vec![seq as u8; 20] }
    }

    fn chained(entries: impl IntoIterator<Item = Entry>) -> Vec<(Entry, ChainHash)> {
        let mut hash = ChainHash::genesis(0);
        let chain = |entry: Entry| {
            hash = link(hash, &entry);
            (entry, hash)
        };
        entries.into_iter().map(chain).collect()
    }

    fn verify(rows: &[(Entry, ChainHash)], anchors: &[Anchor]) -> Verified {
        let mut walk = Verification::after(START(), anchors.to_vec());
        rows.iter().for_each(|(entry, hash)| walk.check(entry, *hash));
        walk.finish(START().hash)
    }

    fn check_found(rows: &[(Entry, ChainHash)], seq: u64, kind: BreakKind) {
        assert_eq!(verify(rows, &[]).breaks, [Break { seq, kind }]);
    }

    #[test]
    fn an_untouched_chain_holds_and_names_its_head() {
        let rows = chained((1..=40).map(entry));
        let found = verify(&rows, &[Anchor { seq: 7, hash: rows[6].1 }]);
        assert!(found.holds());
        assert_eq!((found.entry_count, found.head), (40, Anchor { seq: 40, hash: rows[39].1 }));
    }

    #[test]
    fn every_flipped_bit_of_every_field_is_found_at_its_entry() {
        let rows = chained((1..=9).map(entry));
        let flips: [fn(&mut Entry, u32); 4] = [
            |entry, bit| entry.bytes[(bit / 8) as usize % 20] ^= 1 << (bit % 8),
            |entry, bit| entry.at.unix_micros ^= 1 << (bit % 64),
            |entry, bit| entry.kind ^= 1 << (bit % 7),
            |entry, bit| entry.contact = Some(ContactId(entry.contact.map_or(0, |contact| contact.0) ^ 1 << (bit % 128))),
        ];
        for flip in flips {
            for bit in 0..160 {
                let mut rows = rows.clone();
                flip(&mut rows[4].0, bit);
                check_found(&rows, 5, BreakKind::Altered);
            }
        }
        for bit in 0..256 {
            let mut rows = rows.clone();
            rows[4].1.0[bit / 8] ^= 1 << (bit % 8);
            check_found(&rows, 5, BreakKind::Altered);
        }
    }

    #[test]
    fn an_entry_whose_contact_was_forgotten_differs_from_one_with_contact_zero() {
        let nobody = Entry { contact: None, ..entry(1) };
        let zero = Entry { contact: Some(ContactId(0)), ..entry(1) };
        assert_ne!(link(ChainHash::genesis(0), &nobody), link(ChainHash::genesis(0), &zero));
    }

    #[test]
    fn an_altered_entry_with_its_hash_made_to_fit_shows_at_the_next_entry() {
        let mut rows = chained((1..=9).map(entry));
        rows[4].0.bytes[0] ^= 1;
        rows[4].1 = link(rows[3].1, &rows[4].0);
        check_found(&rows, 6, BreakKind::Altered);
    }

    #[test]
    fn a_removed_entry_is_missing_at_its_sequence() {
        let mut rows = chained((1..=9).map(entry));
        rows.drain(3..5);
        check_found(&rows, 4, BreakKind::Missing { last_seq: 5 });
    }

    #[test]
    fn an_inserted_entry_shows_where_it_was_put() {
        let mut rows = chained((1..=9).map(entry));
        let forged = Entry { bytes: b"forged".to_vec(), ..entry(5) };
        rows.insert(4, (forged.clone(), link(rows[3].1, &forged)));
        for (index, (entry, _)) in rows.iter_mut().enumerate() {
            entry.seq = index as u64 + 1;
        }
        assert_eq!(verify(&rows, &[]).breaks[0], Break { seq: 6, kind: BreakKind::Altered });
        let mut twice = chained((1..=9).map(entry));
        twice.insert(5, twice[4].clone());
        check_found(&twice, 5, BreakKind::OutOfOrder { expected_seq: 6 });
    }

    #[test]
    fn two_entries_that_changed_places_are_both_found() {
        let mut rows = chained((1..=9).map(entry));
        let (left, right) = (rows[3].0.bytes.clone(), rows[6].0.bytes.clone());
        (rows[3].0.bytes, rows[6].0.bytes) = (right, left);
        let seqs: Vec<u64> = verify(&rows, &[]).breaks.iter().map(|found| found.seq).collect();
        assert_eq!(seqs, [4, 7]);
        let mut rows = chained((1..=9).map(entry));
        rows.swap(3, 4);
        let found = verify(&rows, &[]);
        assert_eq!(found.breaks[0], Break { seq: 4, kind: BreakKind::Missing { last_seq: 4 } });
        assert_eq!(found.breaks[1], Break { seq: 4, kind: BreakKind::OutOfOrder { expected_seq: 6 } });
    }

    #[test]
    fn a_cut_tail_and_a_rewritten_chain_do_not_meet_their_anchor() {
        let rows = chained((1..=9).map(entry));
        let anchor = Anchor { seq: 8, hash: rows[7].1 };
        assert_eq!(verify(&rows[..6], &[anchor]).breaks, [Break { seq: 8, kind: BreakKind::CutOff }]);
        let rewritten = chained((1..=9).map(|seq| Entry { kind: 1, ..entry(seq) }));
        assert_eq!(verify(&rewritten, &[anchor]).breaks, [Break { seq: 8, kind: BreakKind::AnchorDiffers }]);
    }

    #[test]
    fn a_declared_hole_is_no_break_but_is_reported() {
        let hole = Hole { first_seq: 4, last_seq: 6, at: Timestamp::from_secs(7) };
        let rows = chained((1..=3).map(entry).chain([hole.to_entry()]).chain((7..=9).map(entry)));
        let found = verify(&rows, &[]);
        assert!(found.holds());
        assert_eq!((found.entry_count, found.holes, found.head.seq), (6, vec![hole], 9));
    }

    #[test]
    fn a_chain_without_its_beginning_holds_only_if_it_says_that_this_was_removed() {
        let removal = |rows: &[(Entry, ChainHash)], before: usize| {
            let before = Anchor { seq: before as u64, hash: rows[before - 1].1 };
            Removal { before, at: Timestamp::from_secs(9) }
        };
        let plain = chained((1..=9).map(entry));
        let told = |before: usize| chained((1..=9).map(entry).chain([removal(&plain, before).to_entry(10)]));
        let rest = |rows: &[(Entry, ChainHash)], after: usize| {
            let mut walk = Verification::after(Anchor { seq: after as u64, hash: rows[after - 1].1 }, vec![]);
            rows[after..].iter().for_each(|(entry, hash)| walk.check(entry, *hash));
            walk.finish(START().hash)
        };
        let missing = [Break { seq: 1, kind: BreakKind::Missing { last_seq: 4 } }];
        assert_eq!(rest(&plain, 4).breaks, missing);
        assert!(rest(&told(4), 4).holds());
        assert!(rest(&told(6), 4).holds(), "the removal is under way");
        assert_eq!(rest(&told(3), 4).breaks, missing, "more is gone than was removed");
        let mut forged = told(4);
        let other = Removal { before: Anchor { seq: 4, hash: ChainHash([1; 32]) }, at: Timestamp::from_secs(9) }.to_entry(10);
        forged[9] = (other.clone(), link(forged[8].1, &other));
        assert_eq!(rest(&forged, 4).breaks, missing, "the chain did not begin there");
    }

    #[test]
    fn the_same_entry_has_another_hash_in_another_partition() {
        assert_ne!(ChainHash::genesis(0), ChainHash::genesis(1));
    }

    #[test]
    fn the_chain_of_a_known_entry_never_changes_its_spelling() {
        // Computed apart from this code, from the layout in the doc of `link`.
        let hash = link(ChainHash::genesis(3), &entry(5)).to_string();
        assert_eq!(hash, "f07aabb8c96fc801ab133b577f6e846db939276b9b6482d4736a9bd15bd731c5");
    }
}
