//! Incidents: what happened in the world, of which one or more contacts speak.
//!
//! Every contact begins as an incident of its own. A person joins two, and may take that back; a caller who calls again is joined with
//! what the same line said before. What the program does by itself is to *propose*: [`likeness`] says how likely two contacts speak of
//! one event and on what evidence, and [`Scene`] finds whom a contact must be compared with.
//!
//! A wrong join hides a caller behind another's event, so a proposal must be right nineteen times of twenty. Two crashes on one road a
//! kilometre apart are two crashes: nearness is measured beyond what the two places leave uncertain, and a place known only by its mast
//! needs words or a rare type to speak for it.
//!
//! Integer arithmetic throughout, and no order that depends on a hash: the same contacts give the same proposals everywhere.

use core::fmt;
use std::collections::BTreeMap;

use arrayvec::ArrayVec;

use crate::contact::{Contact, Place, Signal};
use crate::decision::DecisionRecord;
use crate::geo::point::{Point, distance_cm};
use crate::limits::{RELATED_MAX, SCENE_CELL_MAX, TRACE_WORDS_MAX};
use crate::service::{Service, ServiceSet};
use crate::units::{ContactId, Name, Ppm, Timestamp};

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

// --- what one contact says of its event ---

/// What a contact says of its event, in the form in which it is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    pub contact: ContactId,
    pub incident: IncidentId,
    pub at: Timestamp,
    pub point: Point,
    /// How far from the point the event may be.
    pub reach_cm: u32,
    pub kind: Option<Name>,
    pub lead: Option<Service>,
    pub services: ServiceSet,
    /// Fingerprints of its words, sorted, each once; short words are left out.
    words: ArrayVec<u32, TRACE_WORDS_MAX>,
    line: Option<Name>,
}

impl Trace {
    /// `None` when the contact names no place: then there is nothing to compare.
    pub fn of(contact: &Contact, decision: &DecisionRecord, incident: IncidentId, at: Timestamp) -> Option<Self> {
        let shapes = contact.claims.iter().filter_map(|claim| match &claim.place {
            Place::Shape(shape) => Some((claim.source, shape)),
            Place::Makani(_) => None,
        });
        let (_, shape) = shapes.min_by_key(|(source, _)| *source)?;
        let lead = decision.services.iter().find(|assigned| assigned.lead).map(|assigned| assigned.service);
        let services = decision.services.iter().fold(ServiceSet::default(), |set, assigned| set.with(assigned.service));
        Some(Self {
            contact: contact.id,
            incident,
            at,
            point: shape.representative(),
            reach_cm: shape.reach_cm(),
            kind: decision.incident_type,
            lead,
            services,
            words: words_of(contact),
            line: decision.caller.filter(|caller| caller.links).map(|caller| caller.number),
        })
    }
}

fn words_of(contact: &Contact) -> ArrayVec<u32, TRACE_WORDS_MAX> {
    let mut words = ArrayVec::new();
    let texts = contact.signals.iter().filter_map(|signal| match signal {
        Signal::Words(text) | Signal::Event(text) => Some(text),
        _ => None,
    });
    for word in
        texts.flat_map(|text| text.split(|c: char| !c.is_alphanumeric())).filter(|word| word.chars().nth(WORD_CHARS_MIN - 1).is_some())
    {
        let print = fingerprint(word);
        if let Err(at) = words.binary_search(&print)
            && words.try_insert(at, print).is_err()
        {
            break;
        }
    }
    words
}

/// Shorter words are articles and prepositions in both languages.
const WORD_CHARS_MIN: usize = 4;

/// FNV-1a over the lower-case letters.
fn fingerprint(word: &str) -> u32 {
    let letters = word.chars().flat_map(char::to_lowercase);
    letters.fold(0x811c_9dc5, |hash: u32, letter| (hash ^ u32::from(letter)).wrapping_mul(0x0100_0193))
}

// --- likeness ---

/// Why two contacts may speak of one event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Because {
    pub near: bool,
    pub soon: bool,
    pub same_type: bool,
    pub words: bool,
    pub same_line: bool,
}

/// Another contact that may speak of the same event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    pub contact: ContactId,
    pub incident: IncidentId,
    /// How likely it is the same event.
    pub score: Ppm,
    pub because: Because,
    /// Between the two places, in metres.
    pub distance_m: u32,
    /// Between the two arrivals, in seconds.
    pub apart_secs: u32,
}

/// From here on a person is asked.
pub const PROPOSED_MIN: Ppm = Ppm(600_000);
/// Of two incidents that are this close to each other neither is proposed: it would be a guess.
const CLEAR_BY: u32 = 60_000;
/// Apart by this little, beyond what the places leave open, two places are one.
const SAME_PLACE_CM: u32 = 20_000;
/// Apart by this much they are two.
const OTHER_PLACE_CM: u32 = 120_000;
/// A place as uncertain as this says little of which event of a district is meant.
const VAGUE_CM: u32 = 60_000;
/// Within this time it is the same hour's work; beyond the other it is another event.
const SOON_SECS: u32 = 600;
const LATE_SECS: u32 = 3_600;
/// A share of the words in common, in thousandths, from which they speak of the same.
const WORDS_SHARED_MIN: u32 = 300;

/// How likely two contacts speak of one event, and why; `None` when they do not.
pub fn likeness(a: &Trace, b: &Trace) -> Option<Candidate> {
    let distance = distance_cm(a.point, b.point);
    let open = a.reach_cm.saturating_add(b.reach_cm);
    let apart_secs = u32::try_from(a.at.micros_since(b.at).max(b.at.micros_since(a.at)) / 1_000_000).unwrap_or(u32::MAX);
    let near = falling(distance.saturating_sub(open), SAME_PLACE_CM, OTHER_PLACE_CM);
    let soon = falling(apart_secs, SOON_SECS, LATE_SECS);
    let shared = shared_words(&a.words, &b.words);
    let same_line = a.line.is_some() && a.line == b.line;
    let same_type = a.kind.is_some() && a.kind == b.kind;
    let words = shared >= WORDS_SHARED_MIN;
    // Thousandths. Types are what two languages have in common; without any on one side the place must speak alone.
    let alike = match (a.kind, b.kind) {
        _ if same_line => 1_000,
        _ if same_type => 950,
        (Some(_), Some(_)) if words => 850,
        // Smoke and fire, a crash and the injured of it: other words for what the same services are sent to.
        (Some(_), Some(_)) if a.lead == b.lead => 720,
        (Some(_), Some(_)) => 350,
        _ if words => 850,
        _ => 680,
    };
    // A mast's circle holds every event of a district: only the words or the line tell which.
    let sharp = if words || same_line { 1_000 } else { 1_000 - falling_rest(open, VAGUE_CM) };
    let score = near * soon / 1_000 * alike / 1_000 * sharp / 1_000;
    let because = Because { near: near >= 900 && open < VAGUE_CM, soon: soon >= 900, same_type, words, same_line };
    let score = Ppm(score.min(1_000) * 1_000);
    let candidate = Candidate { contact: b.contact, incident: b.incident, score, because, distance_m: distance / 100, apart_secs };
    (score >= PROPOSED_MIN).then_some(candidate)
}

/// 1,000 up to `full`, then falling to 0 at `none`.
fn falling(value: u32, full: u32, none: u32) -> u32 {
    match value {
        value if value <= full => 1_000,
        value if value >= none => 0,
        value => ((u64::from(none - value) * 1_000) / u64::from(none - full)) as u32,
    }
}

/// What is taken off for an open place: nothing at a point, 400 where it is wholly vague.
fn falling_rest(open_cm: u32, vague_cm: u32) -> u32 {
    (u64::from(open_cm.min(vague_cm)) * 400 / u64::from(vague_cm)) as u32
}

/// Words in common, in thousandths of the fewer.
fn shared_words(a: &[u32], b: &[u32]) -> u32 {
    let fewer = a.len().min(b.len());
    if fewer < 2 {
        return 0;
    }
    let common = a.iter().filter(|word| b.binary_search(word).is_ok()).count();
    (common * 1_000 / fewer) as u32
}

// --- who is near ---

/// The newest contacts of every small piece of ground, so that one is compared with few.
///
/// # Cost
/// At most nine cells of [`SCENE_CELL_MAX`] contacts are looked at, whatever is alive.
#[derive(Clone, Debug, Default)]
pub struct Scene {
    cells: BTreeMap<Cell, Vec<Trace>>,
}

/// Tests stand on a ground of their own.
type Cell = (bool, i32, i32);

/// About 2.2 km of latitude; as far as two places can be apart and be proposed.
const CELL_E7: i32 = 200_000;

fn cell_of(test: bool, point: Point) -> Cell {
    (test, point.lat_e7.div_euclid(CELL_E7), point.lon_e7.div_euclid(CELL_E7))
}

impl Scene {
    /// Puts a contact on the ground. Where a cell is full the oldest is compared with no more.
    pub fn enter(&mut self, test: bool, trace: Trace) {
        let cell = self.cells.entry(cell_of(test, trace.point)).or_default();
        if cell.len() >= SCENE_CELL_MAX {
            cell.remove(0);
        }
        cell.push(trace);
    }

    pub fn leave(&mut self, test: bool, trace: &Trace) {
        let key = cell_of(test, trace.point);
        let Some(cell) = self.cells.get_mut(&key) else { return };
        cell.retain(|known| known.contact != trace.contact);
        if cell.is_empty() {
            self.cells.remove(&key);
        }
    }

    /// Says which incident a contact on the ground belongs to now.
    pub fn belongs(&mut self, test: bool, trace: &Trace, incident: IncidentId) {
        let known = self.cells.get_mut(&cell_of(test, trace.point)).into_iter().flatten().find(|known| known.contact == trace.contact);
        if let Some(known) = known {
            known.incident = incident;
        }
    }

    pub fn count(&self) -> usize {
        self.cells.values().map(Vec::len).sum()
    }

    /// The contacts that may speak of the same event, one of each incident, the likeliest first. Nothing when it would be a guess
    /// between two incidents.
    pub fn candidates(&self, test: bool, trace: &Trace) -> ArrayVec<Candidate, RELATED_MAX> {
        let mut best: Vec<(Candidate, &Trace)> = Vec::new();
        let (_, lat, lon) = cell_of(test, trace.point);
        for cell in (lat - 1..=lat + 1).flat_map(|lat| (lon - 1..=lon + 1).map(move |lon| (test, lat, lon))) {
            for other in self.cells.get(&cell).into_iter().flatten() {
                let is_own = other.contact == trace.contact || other.incident == trace.incident;
                let Some(found) = likeness(trace, other).filter(|_| !is_own) else { continue };
                match best.iter_mut().find(|(known, _)| known.incident == found.incident) {
                    Some(known) if known.0.score < found.score => *known = (found, other),
                    Some(_) => {}
                    None => best.push((found, other)),
                }
            }
        }
        best.sort_by_key(|(found, _)| (core::cmp::Reverse(found.score), found.incident));
        if is_guess(&best) {
            return ArrayVec::new();
        }
        best.into_iter().take(RELATED_MAX).map(|(found, _)| found).collect()
    }
}

/// The two likeliest are about as likely, and they are not of one event themselves: it may be either, so it is neither.
fn is_guess(best: &[(Candidate, &Trace)]) -> bool {
    let [(first, of_first), (second, of_second), ..] = best else { return false };
    let close = first.score.0 - second.score.0 < CLEAR_BY && !first.because.same_line;
    close && likeness(of_first, of_second).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contact::{ClaimSource, ContactKey, Door, LocationClaim, Whose};
    use crate::geo::area::Shape;

    fn trace(id: u128, lat: f64, lon: f64, reach_m: u32, kind: Option<&str>, words: &str) -> Trace {
        let mut contact = Contact::new(ContactId(id), ContactKey::default(), Timestamp::from_secs(1_000), Door::SipVoice);
        let center = Point::from_degrees(lat, lon).unwrap();
        let place = Place::Shape(Shape::Circle { center, radius_cm: reach_m * 100 }.repaired().unwrap());
        contact.claims.push(LocationClaim {
            whose: Whose::Caller,
            place,
            source: ClaimSource::DeviceFix,
            age_secs: 0,
            confidence: Ppm::ONE,
        });
        contact.signals.push(Signal::Words(words.into()));
        let decision = DecisionRecord { incident_type: kind.and_then(Name::new), ..DecisionRecord::default() };
        Trace::of(&contact, &decision, IncidentId::begun_by(0, id as u64), contact.received).unwrap()
    }

    #[test]
    fn incidents_of_two_partitions_differ_and_read_as_partition_and_sequence() {
        let (a, b) = (IncidentId::begun_by(0, 17), IncidentId::begun_by(1, 17));
        assert_ne!(a, b);
        assert_eq!((a.to_string(), b.to_string()), ("0-17".to_owned(), "1-17".to_owned()));
    }

    #[test]
    fn two_callers_of_one_crash_in_two_languages_are_proposed_and_say_why() {
        let a = trace(1, 25.2, 55.3, 20, Some("crash"), "big accident on the bridge");
        let b = trace(2, 25.2006, 55.3004, 30, Some("crash"), "حادث كبير على الجسر");
        let found = likeness(&a, &b).unwrap();
        assert_eq!(found.because, Because { near: true, soon: true, same_type: true, ..Because::default() });
        assert!((60..90).contains(&found.distance_m) && found.apart_secs == 0, "{found:?}");
    }

    #[test]
    fn two_crashes_a_kilometre_apart_are_two_and_so_is_one_an_hour_later() {
        let a = trace(1, 25.2, 55.3, 20, Some("crash"), "");
        assert_eq!(likeness(&a, &trace(2, 25.209, 55.3, 20, Some("crash"), "")), None);
        let later = Trace { at: Timestamp::from_secs(1_000 + 3_700), ..trace(2, 25.2, 55.3, 20, Some("crash"), "") };
        assert_eq!(likeness(&a, &later), None);
    }

    #[test]
    fn a_masts_circle_is_proposed_only_when_words_speak_for_it() {
        let fire = trace(1, 25.2, 55.3, 20, Some("fire"), "smoke from the tower near the marina mall");
        let by_mast = |words| trace(2, 25.205, 55.305, 2_000, Some("fire"), words);
        assert_eq!(likeness(&fire, &by_mast("help")), None);
        assert!(likeness(&fire, &by_mast("the tower at marina mall burns, smoke")).unwrap().because.words);
    }

    #[test]
    fn between_two_events_nothing_is_guessed() {
        let mut scene = Scene::default();
        scene.enter(false, trace(1, 25.2, 55.3, 10, Some("crash"), ""));
        let between = trace(3, 25.2049, 55.3, 10, Some("crash"), "");
        assert_eq!(scene.candidates(false, &between).first().map(|found| found.contact), Some(ContactId(1)));
        scene.enter(false, trace(2, 25.2098, 55.3, 10, Some("crash"), ""));
        assert!(scene.candidates(false, &between).is_empty(), "it may be either");
        scene.enter(false, trace(4, 25.2051, 55.3, 10, Some("crash"), ""));
        assert_eq!(scene.candidates(false, &between).first().map(|found| found.contact), Some(ContactId(4)), "one is clearly nearer");
        assert!(scene.candidates(true, &between).is_empty(), "tests have a ground of their own");
    }

    #[test]
    fn what_has_left_the_ground_is_proposed_no_more_and_a_full_cell_forgets_its_oldest() {
        let mut scene = Scene::default();
        let first = trace(1, 25.2, 55.3, 10, Some("crash"), "");
        scene.enter(false, first.clone());
        scene.leave(false, &first);
        assert_eq!((scene.count(), scene.candidates(false, &trace(2, 25.2, 55.3, 10, Some("crash"), "")).len()), (0, 0));
        for id in 0..=SCENE_CELL_MAX as u128 {
            scene.enter(false, trace(id + 10, 25.2, 55.3, 10, Some("crash"), ""));
        }
        assert_eq!(scene.count(), SCENE_CELL_MAX);
    }
}
