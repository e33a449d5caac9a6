//! Who calls: made-up people at the places of the tables, the same for the same seed and number.
//!
//! The mix is a guess at a busy day, not a statistic: mostly voice without a word, phones that know where they are to some metres,
//! some that only name a cell, and panels and cars that speak for somebody.

use najda::contact::{ClaimSource, Contact, ContactKey, Door, LocationClaim, Place, Signal, Whose};
use najda::geo::area::Shape;
use najda::geo::point::{Point, offset};
use najda::tables::snapshot::Tables;
use najda::units::{ContactId, Name, Ppm, Timestamp};

use crate::arrivals::Random;

/// How far from the middle of a named place its callers are.
const SCATTER_CM: u64 = 400_000;

const DIALLED: [(&str, u64); 7] = [("999", 45), ("998", 22), ("997", 10), ("112", 10), ("911", 8), ("996", 2), ("901", 3)];

const WORDS: [(&str, [u8; 2]); 15] = [
    ("My father has chest pain and cannot breathe", *b"en"),
    ("Two cars crashed, someone is trapped inside", *b"en"),
    ("There is smoke coming from the flat next door", *b"en"),
    ("Someone broke into the shop, they are still inside", *b"en"),
    ("A child fell into the pool", *b"en"),
    ("والدي يعاني من ألم في الصدر ولا يستطيع التنفس", *b"ar"),
    ("حادث تصادم بين سيارتين وهناك مصاب", *b"ar"),
    ("حريق في الشقة المجاورة", *b"ar"),
    ("سرقة في المحل واللص ما زال هنا", *b"ar"),
    ("طفل سقط من الدرج", *b"ar"),
    ("मेरे पिता को सीने में दर्द है", *b"hi"),
    ("यहाँ दुर्घटना हुई है, एक आदमी घायल है", *b"hi"),
    ("इमारत में आग लगी है", *b"hi"),
    ("please help", *b"en"),
    ("النجدة", *b"ar"),
];

const CELLS: [&str; 8] = [
    "4240255020002002",
    "4240255030002201",
    "42402AA010001001",
    "42402AA010001102",
    "42402AA020001201",
    "42402AA030001502",
    "42402AB010002301",
    "42402AA01",
];

/// Everybody who may call in one run.
#[derive(Debug)]
pub struct Callers {
    seed: u64,
    /// Different in every run, so that an engine never takes this run's contacts for those of the last.
    run: String,
    /// Each with the sum of the weights up to it: rooms with more seats have more callers.
    places: Vec<(u64, Point)>,
}

impl Callers {
    pub fn new(tables: &Tables, run: String, seed: u64) -> Self {
        let mut places: Vec<(u64, Point)> = Vec::new();
        let mut sum = 0;
        for place in &tables.places {
            let beside = tables.places.iter().filter(|other| other.area == place.area).count().max(1) as u64;
            let first = usize::from(place.area.0) * najda::service::Service::ALL.len();
            let rooms = tables.dispatchers.responsible.iter().skip(first).take(najda::service::Service::ALL.len()).flatten();
            let seats: u64 =
                rooms.filter_map(|room| tables.dispatchers.rows.get(usize::from(room.0))).map(|room| u64::from(room.capacity)).sum();
            sum += (seats.max(1) * 1_000 / beside).max(1);
            places.push((sum, place.point));
        }
        if places.is_empty() {
            places.push((1, tables.ground.bbox.middle()));
        }
        Self { seed, run, places }
    }

    /// The name of a contact among its gateway's: `index_of` reads it back.
    fn reference(&self, index: u64) -> Box<str> {
        format!("{}-{index}", self.run).into()
    }

    /// The number of a contact of this run; `None` for anybody else's.
    pub fn index_of(&self, gateway_ref: &str) -> Option<usize> {
        gateway_ref.strip_prefix(self.run.as_str())?.strip_prefix('-')?.parse().ok()
    }

    /// The contact with this number. Which gateway brings it is not part of it: its certificate says so.
    pub fn contact(&self, index: u64) -> Contact {
        let mut random = Random::of(self.seed ^ 0x6361_6C6C, index);
        let key = ContactKey { gateway: Name::default(), gateway_ref: self.reference(index) };
        let door = match random.below(100) {
            0..82 => Door::SipVoice,
            82..89 => Door::App,
            89..93 => Door::Sms,
            93..96 => Door::SipECall,
            96..98 => Door::FirePanel,
            _ => Door::IntruderPanel,
        };
        let mut contact = Contact::new(ContactId::default(), key, Timestamp::default(), door);
        let point = self.point(&mut random);
        match door {
            Door::SipVoice => voice(&mut contact, &mut random, point),
            Door::App | Door::Sms => text(&mut contact, &mut random, point),
            Door::SipECall => car(&mut contact, &mut random, point),
            _ => panel(&mut contact, &mut random, point, door),
        }
        contact
    }

    fn point(&self, random: &mut Random) -> Point {
        let all = self.places.last().map_or(1, |(sum, _)| *sum);
        let drawn = random.below(all);
        let at = self.places.partition_point(|(sum, _)| *sum <= drawn);
        let middle = self.places.get(at).map(|(_, point)| *point).unwrap_or_default();
        let mut shift = || random.below(2 * SCATTER_CM) as i64 - SCATTER_CM as i64;
        let (north, east) = (shift(), shift());
        offset(middle, north, east)
    }
}

fn circle(whose: Whose, source: ClaimSource, center: Point, radius_m: u32) -> LocationClaim {
    let shape = Shape::Circle { center, radius_cm: radius_m * 100 };
    LocationClaim { whose, place: Place::Shape(shape), source, age_secs: 2, confidence: Ppm(950_000) }
}

/// 5 to 1,500 m, small ones far more often than large ones.
fn radius_m(random: &mut Random) -> u32 {
    (5.0 * 300_f64.powf(random.share().powi(3))) as u32
}

// Not 050: the shipped tables list test phones there.
fn line(random: &mut Random) -> Box<str> {
    let operator = random.pick(&["52", "54", "55", "56", "58"]).copied().unwrap_or("52");
    format!("+971{operator}5{:06}", random.below(1_000_000)).into()
}

fn dialled(random: &mut Random) -> Signal {
    let mut drawn = random.below(DIALLED.iter().map(|(_, weight)| weight).sum());
    let number = DIALLED.iter().find(|(_, weight)| drawn.checked_sub(*weight).map(|rest| drawn = rest).is_none());
    Signal::Dialled(number.map_or("999", |(number, _)| number).into())
}

fn words(contact: &mut Contact, random: &mut Random) {
    if let Some((words, lang)) = random.pick(&WORDS) {
        contact.signals.push(Signal::Words((*words).into()));
        contact.lang = Some(*lang);
    }
}

fn voice(contact: &mut Contact, random: &mut Random, point: Point) {
    contact.line = random.chance(95).then(|| line(random));
    contact.signals.push(dialled(random));
    match random.below(100) {
        0..78 => {
            let radius_m = radius_m(random);
            contact.claims.push(circle(Whose::Caller, ClaimSource::DeviceFix, point, radius_m));
        }
        78..90 => contact.cell = random.pick(&CELLS).map(|cell| (*cell).into()),
        90..97 => contact.claims.push(circle(Whose::Caller, ClaimSource::ServingCell, point, 300 + random.below(1_200) as u32)),
        _ => {}
    }
    if random.chance(20) {
        words(contact, random);
    }
}

fn text(contact: &mut Contact, random: &mut Random, point: Point) {
    contact.line = Some(line(random));
    let radius_m = radius_m(random);
    contact.claims.push(circle(Whose::Caller, ClaimSource::DeviceFix, point, radius_m));
    words(contact, random);
}

fn car(contact: &mut Contact, random: &mut Random, point: Point) {
    let occupants = Some(1 + random.below(4) as u8);
    contact.signals.push(Signal::ECall { automatic: random.chance(70), occupants, fuel_at_risk: random.chance(5) });
    contact.claims.push(circle(Whose::Caller, ClaimSource::ECall, point, 10));
}

fn panel(contact: &mut Contact, random: &mut Random, point: Point, door: Door) {
    let event = if door == Door::FirePanel { "fire" } else { "intrusion" };
    contact.signals.push(Signal::Event(event.into()));
    contact.claims.push(circle(Whose::Incident, ClaimSource::Civic, point, 5 + random.below(45) as u32));
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use najda::route::{record, route};
    use najda::tables::snapshot::Snapshot;

    use super::*;

    fn shipped() -> Arc<Tables> {
        najda::edge::tables::load_or_shipped(None).unwrap().tables
    }

    #[test]
    fn a_caller_is_the_same_for_the_same_seed_and_another_for_another() {
        let tables = shipped();
        let of = |seed| Callers::new(&tables, "r".into(), seed).contact(5);
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
        let callers = Callers::new(&tables, "run".into(), 1);
        assert_eq!(callers.index_of(&callers.contact(77).key.gateway_ref), Some(77));
        assert_eq!(callers.index_of("other-77"), None);
    }

    /// Goal: the load is the whole country, not one room. Method: route the first thousand and count.
    #[test]
    fn callers_reach_every_emirate_and_every_emergency_service() {
        let tables = shipped();
        let snapshot = Snapshot::of(Arc::clone(&tables));
        let callers = Callers::new(&tables, "run".into(), 1);
        let now = Timestamp::from_secs(1_780_000_000);
        let (mut areas, mut services, mut unsure) = (BTreeSet::new(), BTreeSet::new(), 0);
        for index in 0..1_000 {
            let decision = record(&tables, &route(&snapshot, &callers.contact(index), now));
            assert!(!decision.services.is_empty() && !decision.test, "caller {index} is offered to somebody");
            areas.extend(decision.area);
            services.extend(decision.services.iter().map(|assigned| assigned.service));
            unsure += u32::from(!decision.neighbours.is_empty());
        }
        assert_eq!(areas.len(), 7, "{areas:?}");
        assert!(services.len() >= 4, "{services:?}");
        assert!((1..500).contains(&unsure), "some are near a border, most are not: {unsure}");
    }
}
