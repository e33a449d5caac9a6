//! What a restart needs of a journal, gathered fact by fact: the facts of contacts that live, and what is remembered of those that
//! have ended. Everything else a journal says has no consequence any more.
//!
//! A restart goes one way only: a past is gathered, and an engine is made from it. A checkpoint is a past written down, so a start
//! from a checkpoint and the facts after it is a start from all facts.
//!
//! # Invariants
//! - A past is a function of the facts taken, in their order: [`Past::restore`] of its [`Past::pieces`] is the same past.
//! - Its size follows what lives and what is remembered, never the length of the journal.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::floor::EndNotice;
use super::heal::BY_ENGINE;
use super::known::{EndedLife, Known, Remembered};
use super::{Config, digest};
use crate::contact::{Contact, ContactKey};
use crate::deliver::{DispatcherState, Ending, Fact};
use crate::event::EventId;
use crate::limits::{DISPATCHERS_MAX, ENDED_RETOLD_MICROS_MAX};
use crate::units::{ContactId, DispatcherId, Name, TablesVersion, Timestamp};

/// What the journal says that still matters. A fact is kept as `K`: itself, or the bytes it came in.
#[derive(Clone, Debug, PartialEq)]
pub struct Past<K> {
    pub(super) head: Head,
    pub(super) states: BTreeMap<DispatcherId, DispatcherState>,
    pub(super) known: Known,
    live: BTreeMap<ContactId, Begun<K>>,
    ends: VecDeque<EndNotice>,
    /// Declared events that are not over by anybody's hand.
    events: BTreeMap<EventId, (u64, K)>,
}

/// What a past says of the whole journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// Of the newest fact.
    pub seq: u64,
    /// The latest time any fact speaks of.
    pub newest: Timestamp,
    pub fact_count: u64,
    /// Of the newest snapshot any fact speaks of.
    pub snapshot: u64,
    /// The tables last put in force, and by whom.
    pub tables: Option<(TablesVersion, Name)>,
    /// Places where sequence numbers are missing.
    pub gaps: u64,
    /// Facts about contacts whose arrival was lost.
    pub astray: u64,
}

/// A contact that has not ended, and all that was said of it.
#[derive(Clone, Debug, PartialEq)]
struct Begun<K> {
    remembered: Remembered,
    key: ContactKey,
    facts: Vec<(u64, K)>,
}

/// One part of a past, for whoever writes it down.
#[derive(Clone, Debug, PartialEq)]
pub enum Piece<K> {
    /// The first piece. The fingerprint is that of a contact that never changes: other fingerprints cannot be compared with ours.
    Head {
        head: Head,
        fingerprint: u128,
    },
    State {
        dispatcher: DispatcherId,
        state: DispatcherState,
    },
    /// A contact that lives; its facts follow, the arrival first.
    Live {
        contact: ContactId,
        by_key: bool,
        by_content: bool,
    },
    Fact {
        seq: u64,
        kept: K,
    },
    Ended(EndedPiece),
    /// An event that is declared.
    Event {
        seq: u64,
        kept: K,
    },
    /// An end that its gateway may not have heard.
    End {
        at: Timestamp,
        key: ContactKey,
        contact: ContactId,
        ending: Ending,
    },
}

/// What is remembered of a contact that has ended: its fingerprints, and whether it is still the one found by them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndedPiece {
    pub at: Timestamp,
    pub contact: ContactId,
    pub key: u128,
    pub content: u128,
    pub ending: Ending,
    pub ended_seq: u64,
    pub by_key: bool,
    pub by_content: bool,
}

/// Why pieces are not a past of this program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadPast {
    #[error("it was made by a version that takes fingerprints of contacts another way")]
    OtherFingerprints,
    #[error("its pieces do not stand in order")]
    OutOfOrder,
    #[error("a fact in it cannot be read by this version")]
    UnreadableFact,
}

impl<K> Past<K> {
    /// Of a journal without facts.
    pub fn new(config: &Config) -> Self {
        Self {
            head: Head { snapshot: 1, ..Head::default() },
            states: BTreeMap::new(),
            known: Known::new(config.ended_kept_max, config.orphans_max),
            live: BTreeMap::new(),
            ends: VecDeque::new(),
            events: BTreeMap::new(),
        }
    }

    pub const fn head(&self) -> &Head {
        &self.head
    }

    pub fn live_contacts(&self) -> usize {
        self.live.len()
    }

    /// The oldest fact that a living contact needs, and whose it is; `None` when none lives.
    pub fn oldest_needed(&self) -> Option<(u64, ContactId)> {
        let first = |(contact, begun): (&ContactId, &Begun<K>)| Some((begun.facts.first()?.0, *contact));
        self.live.iter().filter_map(first).min()
    }

    /// An entry of the journal's own, which is no fact.
    pub fn pass(&mut self, seq: u64) {
        self.head.gaps += u64::from(seq != self.head.seq + 1 && self.head.seq != 0);
        self.head.seq = self.head.seq.max(seq);
    }

    /// Takes the next fact. `kept` is asked for only when it will be needed again.
    pub fn take(&mut self, seq: u64, fact: &Fact, kept: impl FnOnce() -> K) {
        // A gap is a declared loss or a damaged journal; what is there is used.
        self.pass(seq);
        let head = &mut self.head;
        head.newest = head.newest.max(fact.at());
        head.fact_count += 1;
        match fact {
            Fact::Arrived { contact, decision, .. } => {
                head.snapshot = head.snapshot.max(decision.snapshot);
                self.begin(seq, contact, kept());
            }
            Fact::State { dispatcher, state, by, .. } => {
                head.snapshot += u64::from(by.as_str() != BY_ENGINE);
                if self.states.len() < DISPATCHERS_MAX || self.states.contains_key(dispatcher) {
                    self.states.insert(*dispatcher, *state);
                }
            }
            Fact::Tables { version, by, .. } => {
                let again = by.as_str() == BY_ENGINE;
                head.snapshot += u64::from(!again);
                // Said again, they are still those that somebody else put in force.
                if !again || head.tables.is_none_or(|(known, _)| known != *version) {
                    head.tables = Some((*version, *by));
                }
            }
            Fact::Ended { at, contact, ending } => self.end(seq, *at, *contact, *ending),
            Fact::Declared { event, .. } => drop(self.events.insert(event.id, (seq, kept()))),
            // Its contact has ended, and nothing later needs it.
            Fact::Rated { .. } => {}
            Fact::EventOver { event, .. } => drop(self.events.remove(event)),
            of_contact => match of_contact.contact().and_then(|contact| self.live.get_mut(&contact)) {
                Some(begun) => begun.facts.push((seq, kept())),
                None => self.head.astray += 1,
            },
        }
    }

    /// A second arrival of one contact says again, after a loss, all that the lost entries said.
    fn begin(&mut self, seq: u64, contact: &Arc<Contact>, kept: K) {
        let remembered = Remembered { key: digest::of_key(&contact.key), content: digest::of_content(contact) };
        match self.live.get_mut(&contact.id) {
            Some(begun) => {
                self.known.replaced(contact.id, begun.remembered.content);
                begun.remembered = remembered;
                begun.facts.push((seq, kept));
            }
            None => {
                let begun = Begun { remembered, key: contact.key.clone(), facts: vec![(seq, kept)] };
                self.live.insert(contact.id, begun);
            }
        }
        self.known.began(contact.id, remembered.key, remembered.content);
    }

    fn end(&mut self, seq: u64, at: Timestamp, contact: ContactId, ending: Ending) {
        let Some(Begun { remembered: Remembered { key, content }, key: contact_key, .. }) = self.live.remove(&contact) else {
            self.head.astray += 1;
            return;
        };
        self.known.remember(at, contact, EndedLife { key, content, ending, ended_seq: seq });
        self.ends.push_back(EndNotice { at, key: contact_key, contact, ending });
        let newest = self.head.newest;
        while self.ends.pop_front_if(|end| !may_be_unheard(newest, end)).is_some() {}
    }

    /// The facts of living contacts, in their order.
    pub(super) fn facts(&self) -> Vec<(u64, &K)> {
        let events = self.events.values().map(|(seq, kept)| (*seq, kept));
        let mut facts: Vec<(u64, &K)> = self.live.values().flat_map(|begun| begun.facts.iter().map(|(seq, kept)| (*seq, kept))).collect();
        facts.extend(events);
        facts.sort_unstable_by_key(|(seq, _)| *seq);
        facts
    }

    /// Ends that gateways may not have heard, oldest first.
    pub(super) fn ends(&self) -> impl Iterator<Item = &EndNotice> {
        self.ends.iter().filter(|end| may_be_unheard(self.head.newest, end))
    }
}

fn may_be_unheard(newest: Timestamp, end: &EndNotice) -> bool {
    newest.micros_since(end.at) <= ENDED_RETOLD_MICROS_MAX
}

// --- written down ---

impl<K> Past<K> {
    /// Everything in it, in the order in which [`Past::restore`] wants it.
    pub fn pieces(&self) -> impl Iterator<Item = Piece<&K>> {
        let head = Piece::Head { head: self.head, fingerprint: fingerprint() };
        let states = self.states.iter().map(|(dispatcher, state)| Piece::State { dispatcher: *dispatcher, state: *state });
        let live = self.live.iter().flat_map(|(contact, begun)| {
            let (by_key, by_content) = self.known.is_found(*contact, &begun.remembered);
            let first = Piece::Live { contact: *contact, by_key, by_content };
            std::iter::once(first).chain(begun.facts.iter().map(|(seq, kept)| Piece::Fact { seq: *seq, kept }))
        });
        let ended = self.known.ended_in_order().map(|(at, contact, left)| {
            let (by_key, by_content) = self.known.is_found(contact, &left.remembered());
            let EndedLife { key, content, ending, ended_seq } = *left;
            Piece::Ended(EndedPiece { at, contact, key: key.number(), content: content.number(), ending, ended_seq, by_key, by_content })
        });
        let ends = self.ends.iter().map(|end| Piece::End { at: end.at, key: end.key.clone(), contact: end.contact, ending: end.ending });
        let events = self.events.values().map(|(seq, kept)| Piece::Event { seq: *seq, kept });
        std::iter::once(head).chain(states).chain(events).chain(live).chain(ended).chain(ends)
    }

    /// The past these pieces were taken from. `read` reads what a fact was kept as.
    ///
    /// # Errors
    /// They are not the pieces of a past, or of another version.
    pub fn restore<E: From<BadPast>>(
        config: &Config,
        pieces: impl IntoIterator<Item = Result<Piece<K>, E>>,
        mut read: impl FnMut(&K) -> Option<Fact>,
    ) -> Result<Self, E> {
        let mut past = Self::new(config);
        let mut pieces = pieces.into_iter();
        match pieces.next().transpose()? {
            Some(Piece::Head { head, fingerprint: theirs }) if theirs == fingerprint() => past.head = head,
            Some(Piece::Head { .. }) => return Err(BadPast::OtherFingerprints.into()),
            _ => return Err(BadPast::OutOfOrder.into()),
        }
        let mut ended = Vec::new();
        let mut reading: Option<(ContactId, bool, bool)> = None;
        for piece in pieces {
            match piece? {
                Piece::Head { .. } => return Err(BadPast::OutOfOrder.into()),
                Piece::State { dispatcher, state } => drop(past.states.insert(dispatcher, state)),
                Piece::Live { contact, by_key, by_content } => {
                    past.found(reading);
                    reading = Some((contact, by_key, by_content));
                }
                Piece::Fact { seq, kept } => {
                    let Some((contact, ..)) = reading else { return Err(BadPast::OutOfOrder.into()) };
                    past.restore_fact(seq, contact, kept, &mut read)?;
                }
                Piece::Event { seq, kept } => match read(&kept) {
                    Some(Fact::Declared { event, .. }) => drop(past.events.insert(event.id, (seq, kept))),
                    Some(_) => return Err(BadPast::OutOfOrder.into()),
                    None => return Err(BadPast::UnreadableFact.into()),
                },
                Piece::Ended(piece) => ended.push(piece),
                Piece::End { at, key, contact, ending } => past.ends.push_back(EndNotice { at, key, contact, ending }),
            }
        }
        past.found(reading);
        past.known.restore(&ended);
        Ok(past)
    }

    fn restore_fact(&mut self, seq: u64, of: ContactId, kept: K, read: &mut impl FnMut(&K) -> Option<Fact>) -> Result<(), BadPast> {
        let begun = self.live.get_mut(&of);
        let fact = read(&kept).ok_or(BadPast::UnreadableFact)?;
        match (begun, fact) {
            (begun, Fact::Arrived { contact, .. }) => {
                let remembered = Remembered { key: digest::of_key(&contact.key), content: digest::of_content(&contact) };
                match begun {
                    Some(begun) => {
                        begun.remembered = remembered;
                        begun.facts.push((seq, kept));
                    }
                    None => drop(self.live.insert(of, Begun { remembered, key: contact.key.clone(), facts: vec![(seq, kept)] })),
                }
            }
            (Some(begun), _) => begun.facts.push((seq, kept)),
            (None, _) => return Err(BadPast::OutOfOrder),
        }
        Ok(())
    }

    fn found(&mut self, live: Option<(ContactId, bool, bool)>) {
        let Some((contact, by_key, by_content)) = live else { return };
        if let Some(begun) = self.live.get(&contact) {
            self.known.find_by(contact, &begun.remembered, by_key, by_content);
        }
    }
}

/// Of a contact in which everything that makes a fingerprint is set, so that another way of making one shows.
fn fingerprint() -> u128 {
    use crate::contact::{ClaimSource, Door, LocationClaim, Oddity, Place, Signal, Whose};
    use crate::geo::point::Point;
    use crate::units::Ppm;

    let name = |text| Name::new(text).unwrap_or_default();
    let key = ContactKey { gateway: name("fingerprint"), gateway_ref: "1".into() };
    let mut contact = Contact::new(ContactId(1), key, Timestamp::from_secs(1), Door::Sms);
    (contact.load_test, contact.trunk, contact.lang) = (true, Some(name("trunk")), Some(*b"ar"));
    (contact.line, contact.cell) = (Some("+9990000001".into()), Some("cell".into()));
    let place = Place::point(Point::default());
    contact.claims = vec![LocationClaim { whose: Whose::Caller, place, source: ClaimSource::DeviceFix, age_secs: 1, confidence: Ppm::ONE }];
    contact.signals = vec![Signal::Dialled("999".into()), Signal::MenuKey(1), Signal::Words("fire".into())];
    contact.oddities = vec![Oddity::TextCut];
    let (key, content) = (digest::of_key(&contact.key), digest::of_content(&contact));
    key.number() ^ content.number().rotate_left(64)
}
