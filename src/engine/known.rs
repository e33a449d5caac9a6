//! What the engine remembers of contacts beside their lives: fingerprints, ends, and evidence that came before its contact.
//!
//! # Invariants
//! - A contact is found by its content as long as it lives, and for a bounded time and count after its end.
//! - A key names the newest contact that came under it.

use std::collections::{BTreeMap, VecDeque};

use super::digest::{ContentDigest, KeyDigest};
use super::life::Life;
use super::past::EndedPiece;
use crate::contact::Contact;
use crate::deliver::{Ending, Evidence};
use crate::limits::{CLAIMS_MAX, ENDED_KEPT_MICROS_MAX, ORPHAN_WAIT_MICROS_MAX, SIGNALS_MAX};
use crate::units::{ContactId, Timestamp};

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Known {
    by_key: BTreeMap<KeyDigest, ContactId>,
    by_content: BTreeMap<ContentDigest, ContactId>,
    ended: BTreeMap<ContactId, EndedLife>,
    ended_order: VecDeque<(Timestamp, ContactId)>,
    ended_count_max: usize,
    orphans: BTreeMap<KeyDigest, (Timestamp, Evidence)>,
    orphan_order: VecDeque<(Timestamp, KeyDigest)>,
    orphan_count_max: usize,
}

/// What is left of a contact that ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EndedLife {
    pub key: KeyDigest,
    pub content: ContentDigest,
    pub ending: Ending,
    pub ended_seq: u64,
}

/// What a contact is found by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Remembered {
    pub key: KeyDigest,
    pub content: ContentDigest,
}

impl EndedLife {
    pub const fn remembered(&self) -> Remembered {
        Remembered { key: self.key, content: self.content }
    }
}

impl Known {
    pub fn new(ended_count_max: usize, orphan_count_max: usize) -> Self {
        Self {
            by_key: BTreeMap::new(),
            by_content: BTreeMap::new(),
            ended: BTreeMap::new(),
            ended_order: VecDeque::new(),
            ended_count_max,
            orphans: BTreeMap::new(),
            orphan_order: VecDeque::new(),
            orphan_count_max,
        }
    }

    pub fn by_key(&self, key: &KeyDigest) -> Option<ContactId> {
        self.by_key.get(key).copied()
    }

    pub fn by_content(&self, content: &ContentDigest) -> Option<ContactId> {
        self.by_content.get(content).copied()
    }

    pub fn ended(&self, contact: &ContactId) -> Option<&EndedLife> {
        self.ended.get(contact)
    }

    pub fn ended_count(&self) -> usize {
        self.ended.len()
    }

    pub fn began(&mut self, contact: ContactId, key: KeyDigest, content: ContentDigest) {
        self.by_key.insert(key, contact);
        self.by_content.insert(content, contact);
    }

    /// A contact was written again after a loss, with evidence in it: the content it first came with is found no more.
    pub fn replaced(&mut self, contact: ContactId, content: ContentDigest) {
        if self.by_content.get(&content) == Some(&contact) {
            self.by_content.remove(&content);
        }
    }

    /// From a life to what is left of it.
    pub fn life_ended(&mut self, now: Timestamp, life: &Life, ending: Ending, ended_seq: u64) {
        self.remember(now, life.id, EndedLife { key: life.key, content: life.content, ending, ended_seq });
    }

    pub fn remember(&mut self, now: Timestamp, contact: ContactId, left: EndedLife) {
        // An end that is said again after a loss is the same end: it is not forgotten the sooner for it.
        if self.ended.insert(contact, left).is_none() {
            self.ended_order.push_back((now, contact));
        }
        while let Some((at, oldest)) = self.ended_order.front().copied() {
            if self.ended_order.len() <= self.ended_count_max && now.micros_since(at) <= ENDED_KEPT_MICROS_MAX {
                break;
            }
            self.ended_order.pop_front();
            self.forget(oldest);
        }
    }

    pub fn forget(&mut self, contact: ContactId) {
        let Some(left) = self.ended.remove(&contact) else { return };
        if self.by_content.get(&left.content) == Some(&contact) {
            self.by_content.remove(&left.content);
        }
        if self.by_key.get(&left.key) == Some(&contact) {
            self.by_key.remove(&left.key);
        }
    }
}

// --- written down and read back ---

impl Known {
    /// Contacts that have ended, in the order in which they will be forgotten.
    pub fn ended_in_order(&self) -> impl Iterator<Item = (Timestamp, ContactId, &EndedLife)> {
        self.ended_order.iter().filter_map(|(at, contact)| Some((*at, *contact, self.ended.get(contact)?)))
    }

    /// Whether the contact is the one found by its key, and by its content.
    pub fn is_found(&self, contact: ContactId, by: &Remembered) -> (bool, bool) {
        (self.by_key.get(&by.key) == Some(&contact), self.by_content.get(&by.content) == Some(&contact))
    }

    pub fn find_by(&mut self, contact: ContactId, by: &Remembered, by_key: bool, by_content: bool) {
        if by_key {
            self.by_key.insert(by.key, contact);
        }
        if by_content {
            self.by_content.insert(by.content, contact);
        }
    }

    /// All of them at once: lists are sorted and made into maps many times as quickly as one entry after the other.
    pub fn restore(&mut self, pieces: &[EndedPiece]) {
        let key = |piece: &EndedPiece| KeyDigest::of_number(piece.key);
        let content = |piece: &EndedPiece| ContentDigest::of_number(piece.content);
        let left = |piece: &EndedPiece| {
            let EndedPiece { ending, ended_seq, .. } = *piece;
            EndedLife { key: key(piece), content: content(piece), ending, ended_seq }
        };
        self.ended_order = pieces.iter().map(|piece| (piece.at, piece.contact)).collect();
        self.ended = pieces.iter().map(|piece| (piece.contact, left(piece))).collect();
        let mut by_key: BTreeMap<_, _> = pieces.iter().filter(|piece| piece.by_key).map(|piece| (key(piece), piece.contact)).collect();
        by_key.append(&mut self.by_key);
        let found = pieces.iter().filter(|piece| piece.by_content);
        let mut by_content: BTreeMap<_, _> = found.map(|piece| (content(piece), piece.contact)).collect();
        by_content.append(&mut self.by_content);
        (self.by_key, self.by_content) = (by_key, by_content);
    }
}

// --- evidence without a contact ---

impl Known {
    /// Keeps evidence until its contact comes. False when the room is full.
    pub fn orphan(&mut self, now: Timestamp, key: KeyDigest, evidence: Evidence) -> bool {
        if let Some((_, waiting)) = self.orphans.get_mut(&key) {
            return gather(waiting, evidence);
        }
        if self.orphans.len() >= self.orphan_count_max {
            return false;
        }
        let mut waiting = Evidence::default();
        let whole = gather(&mut waiting, evidence);
        let due = now.plus_micros(ORPHAN_WAIT_MICROS_MAX);
        self.orphans.insert(key, (due, waiting));
        self.orphan_order.push_back((due, key));
        whole
    }

    pub fn adopt(&mut self, key: &KeyDigest) -> Option<Evidence> {
        self.orphans.remove(key).map(|(_, evidence)| evidence)
    }

    pub fn orphan_count(&self) -> usize {
        self.orphans.len()
    }

    pub fn next_orphan_due(&self) -> Option<Timestamp> {
        self.orphan_order.front().map(|(due, _)| *due)
    }

    /// Drops evidence that waited too long; returns how many contacts it was for. `count_max` bounds the work.
    pub fn drop_orphans(&mut self, now: Timestamp, count_max: usize) -> u64 {
        let mut dropped = 0;
        for _ in 0..count_max {
            let Some((_, key)) = self.orphan_order.pop_front_if(|(due, _)| *due <= now) else { break };
            // Its contact may have come, and evidence after that again, with a wait of its own.
            if self.orphans.get(&key).is_some_and(|(due, _)| *due <= now) {
                self.orphans.remove(&key);
                dropped += 1;
            }
        }
        dropped
    }
}

/// Adds evidence to evidence within the bounds of one contact. False when something had to be left out.
pub(super) fn gather(into: &mut Evidence, more: Evidence) -> bool {
    into.lang = more.lang.or(into.lang);
    let whole = into.claims.len() + more.claims.len() <= CLAIMS_MAX && into.signals.len() + more.signals.len() <= SIGNALS_MAX;
    into.claims.extend(more.claims);
    into.signals.extend(more.signals);
    let spare = into.claims.len().saturating_sub(CLAIMS_MAX);
    into.claims.drain(..spare);
    let spare = into.signals.len().saturating_sub(SIGNALS_MAX);
    into.signals.drain(..spare);
    whole
}

/// The part of a contact that could have come as evidence.
pub(super) fn evidence_in(contact: &Contact) -> Evidence {
    Evidence { claims: contact.claims.clone(), signals: contact.signals.clone(), lang: contact.lang }
}
