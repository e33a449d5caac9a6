//! The journal's entries as other systems see them: contacts, the incidents they belong to, and what each entry changed.
//!
//! A book is a function of the entries taken, in their order. The one that follows the running journal and the one that somebody reads
//! who catches up tell the same.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::{Arc, OnceLock};

use crate::deliver::{Fact, Seat};
use crate::engine::Piece;
use crate::incident::IncidentId;
use crate::limits::FEED_ENDED_MAX;
use crate::service::Service;
use crate::store::Partition;
use crate::units::{ContactId, DispatcherId, Timestamp};
use crate::wire::checkpoint::EncodedPast;
use crate::wire::eido::document;
use crate::wire::eido::dossier::{Dossier, who_did, word_of};
use crate::wire::feed::eido_text;
use crate::wire::frame::decode_fact;

/// Who looks: tests are for test seats, and everything else for the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Viewer {
    pub seat: Seat,
    pub test: bool,
}

impl Viewer {
    pub fn room(&self) -> DispatcherId {
        self.seat.dispatcher
    }
}

/// What one entry changed.
#[derive(Debug)]
pub(super) struct Happening {
    pub seq: u64,
    pub at: Timestamp,
    pub what: &'static str,
    pub contact: ContactId,
    pub incident: IncidentId,
    /// The incident that the contact was in before.
    pub left: Option<IncidentId>,
    pub service: Option<Service>,
    pub by: Option<Seat>,
    /// The incident as it is now, and the one that the contact left where others are still in it.
    pub files: Vec<Arc<IncidentFile>>,
}

impl Happening {
    pub fn is_seen_by(&self, viewer: &Viewer) -> bool {
        self.files.iter().any(|file| file.is_seen_by(viewer))
    }
}

/// An incident at one entry.
#[derive(Debug)]
pub(super) struct IncidentFile {
    pub incident: IncidentId,
    /// At least one.
    pub members: Vec<Arc<Dossier>>,
    /// Written out once, for everybody.
    text: OnceLock<String>,
}

impl IncidentFile {
    pub fn is_seen_by(&self, viewer: &Viewer) -> bool {
        self.members.iter().any(|member| member.is_seen_by(viewer.room(), viewer.test))
    }

    pub fn text(&self, issuer: &str) -> &str {
        self.text.get_or_init(|| eido_text(&document(issuer, self.incident, self.members.iter().map(|member| &**member))))
    }
}

/// What became of an entry.
pub(super) enum Taken {
    /// It is about no contact.
    Nothing,
    /// Its contact began before this book did.
    Unknown,
    Happened(Arc<Happening>),
}

#[derive(Debug, Default)]
pub(super) struct Book {
    contacts: BTreeMap<ContactId, Arc<Dossier>>,
    incidents: BTreeMap<IncidentId, BTreeSet<ContactId>>,
    ended: BTreeMap<ContactId, Arc<Dossier>>,
    ended_in_order: VecDeque<ContactId>,
    /// Of the newest entry.
    seq: u64,
}

impl Book {
    /// The book of the contacts that lived at a checkpoint.
    pub fn of_past(past: &EncodedPast) -> Self {
        let mut facts: Vec<(u64, Fact)> = past
            .pieces()
            .filter_map(|piece| match piece {
                Piece::Fact { seq, kept } => Some((seq, decode_fact(kept).ok()?)),
                _ => None,
            })
            .collect();
        facts.sort_unstable_by_key(|(seq, _)| *seq);
        let mut book = Self::default();
        for (seq, fact) in &facts {
            book.take(*seq, fact);
        }
        book.pass(past.head().seq);
        book
    }

    pub const fn seq(&self) -> u64 {
        self.seq
    }

    /// An entry that is no fact, or cannot be read.
    pub fn pass(&mut self, seq: u64) {
        self.seq = self.seq.max(seq);
    }

    /// Takes the next entry.
    pub fn take(&mut self, seq: u64, fact: &Fact) -> Taken {
        self.pass(seq);
        let (Some(id), Some(what)) = (fact.contact(), word_of(fact)) else { return Taken::Nothing };
        let mut left = None;
        match (self.contacts.get_mut(&id), fact) {
            (Some(dossier), _) => {
                let before = dossier.incident;
                let dossier = Arc::make_mut(dossier);
                dossier.apply(seq, fact);
                let after = dossier.incident;
                if before != after {
                    self.move_between(id, before, after);
                    left = Some(before);
                }
            }
            (None, Fact::Arrived { at, contact, decision, .. }) => {
                let own = IncidentId::begun_by(Partition::default().number(), seq);
                self.contacts.insert(id, Arc::new(Dossier::new(seq, own, *at, contact, decision)));
                self.incidents.entry(own).or_default().insert(id);
            }
            (None, _) => return Taken::Unknown,
        }
        let Some(incident) = self.contacts.get(&id).map(|dossier| dossier.incident) else { return Taken::Unknown };
        let files = [Some(incident), left].into_iter().flatten().filter_map(|incident| self.incident(incident)).collect();
        if let Fact::Ended { .. } = fact {
            self.end(id, incident);
        }
        let (service, by) = who_did(fact);
        Taken::Happened(Arc::new(Happening { seq, at: fact.at(), what, contact: id, incident, left, service, by, files }))
    }

    fn move_between(&mut self, id: ContactId, before: IncidentId, after: IncidentId) {
        self.leave(id, before);
        self.incidents.entry(after).or_default().insert(id);
    }

    fn leave(&mut self, id: ContactId, incident: IncidentId) {
        if let Some(members) = self.incidents.get_mut(&incident) {
            members.remove(&id);
            if members.is_empty() {
                self.incidents.remove(&incident);
            }
        }
    }

    fn end(&mut self, id: ContactId, incident: IncidentId) {
        self.leave(id, incident);
        let Some(dossier) = self.contacts.remove(&id) else { return };
        self.ended.insert(id, dossier);
        self.ended_in_order.push_back(id);
        while self.ended_in_order.len() > FEED_ENDED_MAX {
            if let Some(oldest) = self.ended_in_order.pop_front() {
                self.ended.remove(&oldest);
            }
        }
    }

    // --- what is in it ---

    /// A contact that lives, or has ended not long ago.
    pub fn contact(&self, id: ContactId) -> Option<Arc<Dossier>> {
        self.contacts.get(&id).or_else(|| self.ended.get(&id)).cloned()
    }

    /// An incident whose contacts live.
    pub fn incident(&self, incident: IncidentId) -> Option<Arc<IncidentFile>> {
        let members: Vec<_> = self.incidents.get(&incident)?.iter().filter_map(|id| self.contacts.get(id).cloned()).collect();
        Some(Arc::new(IncidentFile { incident, members, text: OnceLock::new() })).filter(|file| !file.members.is_empty())
    }

    /// As [`Self::incident`], or what is remembered of one that is over.
    pub fn incident_or_ended(&self, incident: IncidentId) -> Option<Arc<IncidentFile>> {
        self.incident(incident).or_else(|| {
            let members: Vec<_> = self.ended.values().filter(|ended| ended.incident == incident).cloned().collect();
            Some(Arc::new(IncidentFile { incident, members, text: OnceLock::new() })).filter(|file| !file.members.is_empty())
        })
    }

    /// Incidents after this one that a viewer may see, in the order of their ids.
    pub fn incidents_after(&self, after: Option<IncidentId>, viewer: &Viewer, count_max: usize) -> Vec<Arc<IncidentFile>> {
        let from = after.map_or(Unbounded, Excluded);
        let files = self.incidents.range((from, Unbounded)).filter_map(|(incident, _)| self.incident(*incident));
        files.filter(|file| file.is_seen_by(viewer)).take(count_max).collect()
    }

    /// The arrival of the oldest contact that lives, when it began at this entry or before.
    pub fn oldest_began(&self, through: u64) -> Option<u64> {
        self.contacts.values().map(|dossier| dossier.own.seq).filter(|seq| *seq <= through).min()
    }
}
