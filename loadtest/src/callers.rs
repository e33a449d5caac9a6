//! Who calls: made-up people of a scenario, the same for the same seed and number.
//!
//! A caller is a function of the scenario, the seed, the number and the moment; nothing is kept of it, so that a run of any length
//! costs no memory here, and what comes later (a second copy, a hang-up, a fix) can be made again.

use anyhow::{Result, bail};
use najda::contact::{ClaimSource, Contact, ContactKey, Door, LocationClaim, Place, Signal, Whose};
use najda::decision::AreaIndex;
use najda::deliver::Evidence;
use najda::geo::area::Shape;
use najda::geo::point::{Point, offset};
use najda::service::Service;
use najda::tables::snapshot::{NamedPlace, Tables};
use najda::units::{ContactId, Name, Ppm, Timestamp};

use crate::arrivals::Random;
use crate::scenario::{Group, Scenario};

/// A second call of a line comes at most so many callers after the first.
const REPEAT_WITHIN: u64 = 200;

// One stream of numbers for each question, so that an answer to one does not change the others.
const MANNER: u64 = 0x6361_6C6C;
const LINE: u64 = 0x6C69_6E65;
const SPOT: u64 = 0x7370_6F74;
const LATER: u64 = 0x6C61_7465;

/// Everybody who may call in one run.
#[derive(Debug)]
pub struct Callers {
    seed: u64,
    /// Different in every run, so that an engine never takes this run's contacts for those of the last.
    run: String,
    groups: Vec<Caller>,
}

/// A group, made ready to draw from.
#[derive(Debug)]
struct Caller {
    rule: Group,
    place: Whereabouts,
    doors: Weighted<Door>,
    dialled: Weighted<Box<str>>,
    words: Vec<([u8; 2], Box<str>)>,
}

#[derive(Debug)]
enum Whereabouts {
    Near(Weighted<Point>),
    Along(Vec<Point>),
}

/// Values with the sum of the weights up to each.
#[derive(Debug)]
struct Weighted<T>(Vec<(u64, T)>);

impl<T> Weighted<T> {
    fn of(values: impl IntoIterator<Item = (u64, T)>) -> Self {
        let mut sum = 0;
        let summed = values.into_iter().filter(|(weight, _)| *weight > 0).map(|(weight, value)| {
            sum += weight;
            (sum, value)
        });
        Self(summed.collect())
    }

    fn draw(&self, random: &mut Random) -> Option<&T> {
        let drawn = random.below(self.0.last()?.0);
        let at = self.0.partition_point(|(sum, _)| *sum <= drawn);
        self.0.get(at).map(|(_, value)| value)
    }
}

/// What follows a contact, after so many nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Later {
    /// The gateway sends it once more.
    Again,
    /// The phone knows where it is now.
    Fix,
    HangUp,
}

impl Callers {
    /// # Errors
    /// The scenario names a place that the tables do not have.
    pub fn new(scenario: &Scenario, tables: &Tables, run: String, seed: u64) -> Result<Self> {
        let groups = scenario.callers.iter().map(|rule| Caller::new(rule, tables, &scenario.name)).collect::<Result<_>>()?;
        Ok(Self { seed, run, groups })
    }

    /// The name of a contact among its gateway's: `index_of` reads it back.
    pub fn reference(&self, index: u64) -> Box<str> {
        format!("{}-{index}", self.run).into()
    }

    /// The number of a contact of this run; `None` for anybody else's.
    pub fn index_of(&self, gateway_ref: &str) -> Option<usize> {
        gateway_ref.strip_prefix(self.run.as_str())?.strip_prefix('-')?.parse().ok()
    }

    /// The contact with this number, due at this share of the run. Which gateway brings it is not part of it: its certificate says so.
    pub fn contact(&self, index: u64, share: f64) -> Contact {
        let mut random = Random::of(self.seed ^ MANNER, index);
        let key = ContactKey { gateway: Name::default(), gateway_ref: self.reference(index) };
        let mut contact = Contact::new(ContactId::default(), key, Timestamp::default(), Door::SipVoice);
        let Some(group) = self.group(share, &mut random) else { return contact };
        contact.door = group.doors.draw(&mut random).copied().unwrap_or_default();
        let (line, spot) = self.person(group, index);
        match contact.door {
            Door::SipVoice => group.voice(&mut contact, &mut random, spot, line),
            Door::App | Door::Sms => group.text(&mut contact, &mut random, spot, line),
            Door::SipECall => car(&mut contact, &mut random, spot),
            _ => panel(&mut contact, &mut random, spot),
        }
        contact
    }

    /// What follows that contact.
    pub fn later(&self, index: u64, share: f64) -> [Option<(u64, Later)>; 3] {
        let Some(group) = self.group(share, &mut Random::of(self.seed ^ MANNER, index)) else { return [None; 3] };
        let (rule, mut random) = (&group.rule, Random::of(self.seed ^ LATER, index));
        let mut draw = |percent: u32, [least, most]: [u64; 2], what| {
            let (comes, after_ms) = (random.chance(u64::from(percent)), least + random.below(most - least + 1));
            comes.then_some((after_ms * 1_000_000, what))
        };
        [
            draw(rule.duplicates_percent, [1, 20], Later::Again),
            draw(rule.hang_ups_percent, rule.hang_up_after_ms, Later::HangUp),
            draw(rule.late_fixes_percent, rule.late_fix_after_ms, Later::Fix),
        ]
    }

    /// The fix that comes late.
    pub fn fix(&self, index: u64, share: f64) -> Evidence {
        let Some(group) = self.group(share, &mut Random::of(self.seed ^ MANNER, index)) else { return Evidence::default() };
        let (_, spot) = self.person(group, index);
        Evidence { claims: vec![circle(Whose::Caller, ClaimSource::DeviceFix, spot, 10)], ..Evidence::default() }
    }

    fn group(&self, share: f64, random: &mut Random) -> Option<&Caller> {
        let calls = |group: &&Caller| group.rule.from <= share && share < group.rule.until;
        let all: u64 = self.groups.iter().filter(calls).map(|group| u64::from(group.rule.weight)).sum();
        let mut drawn = random.below(all);
        let mut calling = self.groups.iter().filter(calls);
        calling.find(|group| match drawn.checked_sub(u64::from(group.rule.weight)) {
            Some(rest) => {
                drawn = rest;
                false
            }
            None => true,
        })
    }

    /// Whose phone it is and where: somebody who has called before has the same line and is at the same place.
    fn person(&self, group: &Caller, index: u64) -> (Box<str>, Point) {
        let mut random = Random::of(self.seed ^ LINE, index);
        let repeats = index > REPEAT_WITHIN && random.chance(u64::from(group.rule.repeats_percent));
        let person = if repeats { index - 1 - random.below(REPEAT_WITHIN) } else { index };
        (line(&mut Random::of(self.seed ^ LINE ^ SPOT, person)), group.spot(&mut Random::of(self.seed ^ SPOT, person)))
    }
}

impl Caller {
    fn new(rule: &Group, tables: &Tables, name: &str) -> Result<Self> {
        let point = |[lat, lon]: &[f64; 2]| Point::from_degrees(*lat, *lon).unwrap_or_default();
        let place = match (rule.around, rule.along.is_empty()) {
            (Some(middle), _) => Whereabouts::Near(Weighted::of([(1, point(&middle))])),
            (None, false) => Whereabouts::Along(rule.along.iter().map(point).collect()),
            (None, true) => Whereabouts::Near(named(&rule.places, tables, name)?),
        };
        let share = |(word, share): (&String, &u32)| Some((u64::from(*share), Door::from_word(word)?));
        let words = rule.words.iter().map(|[lang, text]| (<[u8; 2]>::try_from(lang.as_bytes()).unwrap_or(*b"en"), text.as_str().into()));
        Ok(Self {
            place,
            doors: Weighted::of(rule.doors.iter().filter_map(share)),
            dialled: Weighted::of(rule.dialled.iter().map(|(number, share)| (u64::from(*share), number.as_str().into()))),
            words: words.collect(),
            rule: rule.clone(),
        })
    }

    fn spot(&self, random: &mut Random) -> Point {
        let middle = match &self.place {
            Whereabouts::Near(points) => points.draw(random).copied().unwrap_or_default(),
            Whereabouts::Along(corners) => between(corners, random),
        };
        let spread_cm = u64::from(self.rule.spread_m) * 100;
        let mut shift = || random.below(2 * spread_cm + 1) as i64 - spread_cm as i64;
        let (north, east) = (shift(), shift());
        offset(middle, north, east)
    }

    /// Small radii far more often than large ones.
    fn radius_m(&self, random: &mut Random) -> u32 {
        let [least, most] = self.rule.uncertainty_m.map(f64::from);
        (least * (most / least).powf(random.share().powi(3))) as u32
    }

    fn say(&self, contact: &mut Contact, random: &mut Random) {
        if let Some((lang, words)) = random.pick(&self.words) {
            contact.signals.push(Signal::Words(words.clone()));
            contact.lang = Some(*lang);
        }
    }

    fn voice(&self, contact: &mut Contact, random: &mut Random, spot: Point, line: Box<str>) {
        contact.line = random.chance(u64::from(self.rule.lines_percent)).then_some(line);
        contact.signals.push(Signal::Dialled(self.dialled.draw(random).cloned().unwrap_or_else(|| "999".into())));
        let located = self.rule.located;
        let drawn = random.below(u64::from(located.fix + located.cell + located.circle + located.nothing)) as u32;
        if drawn < located.fix {
            let radius_m = self.radius_m(random);
            contact.claims.push(circle(Whose::Caller, ClaimSource::DeviceFix, spot, radius_m));
        } else if drawn < located.fix + located.cell {
            contact.cell = random.pick(&self.rule.cells).map(|cell| cell.as_str().into());
        } else if drawn < located.fix + located.cell + located.circle {
            contact.claims.push(circle(Whose::Caller, ClaimSource::ServingCell, spot, 300 + random.below(1_200) as u32));
        }
        if random.chance(u64::from(self.rule.words_percent)) {
            self.say(contact, random);
        }
    }

    fn text(&self, contact: &mut Contact, random: &mut Random, spot: Point, line: Box<str>) {
        contact.line = Some(line);
        let radius_m = self.radius_m(random);
        contact.claims.push(circle(Whose::Caller, ClaimSource::DeviceFix, spot, radius_m));
        self.say(contact, random);
    }
}

/// Places by name, by area, or all; the seats of an area's rooms are shared out among its places.
fn named(names: &[String], tables: &Tables, scenario: &str) -> Result<Weighted<Point>> {
    let areas = &tables.areas;
    let is_named = |name: &str, place: &NamedPlace| {
        name == "*" || *place.name_en == *name || areas.get(usize::from(place.area.0)).is_some_and(|area| area.id.as_str() == name)
    };
    if let Some(unknown) = names.iter().find(|name| *name != "*" && !tables.places.iter().any(|place| is_named(name, place))) {
        bail!("{scenario}: the tables {} have no place and no area {unknown:?}; `najda tables show` lists them", tables.name);
    }
    let called: Vec<_> = tables.places.iter().filter(|place| names.iter().any(|name| is_named(name, place))).collect();
    let weight = |area: AreaIndex| {
        let beside = called.iter().filter(|other| other.area == area).count().max(1) as u64;
        let services = Service::ALL.len();
        let rooms = tables.dispatchers.responsible.iter().skip(usize::from(area.0) * services).take(services).flatten();
        let rows = rooms.filter_map(|room| tables.dispatchers.rows.get(usize::from(room.0)));
        (rows.map(|room| u64::from(room.capacity)).sum::<u64>().max(1) * 1_000 / beside).max(1)
    };
    let places = Weighted::of(called.iter().map(|place| (weight(place.area), place.point)));
    Ok(if places.0.is_empty() { Weighted::of([(1, tables.ground.bbox.middle())]) } else { places })
}

/// Somewhere on a road, each stretch as likely as another.
fn between(corners: &[Point], random: &mut Random) -> Point {
    let at = random.below(corners.len().saturating_sub(1).max(1) as u64) as usize;
    let (Some(from), Some(to)) = (corners.get(at), corners.get(at + 1)) else { return corners.first().copied().unwrap_or_default() };
    let share = random.share();
    let mix = |from: f64, to: f64| from + (to - from) * share;
    Point::from_degrees(mix(from.lat_degrees(), to.lat_degrees()), mix(from.lon_degrees(), to.lon_degrees())).unwrap_or(*from)
}

fn circle(whose: Whose, source: ClaimSource, center: Point, radius_m: u32) -> LocationClaim {
    let shape = Shape::Circle { center, radius_cm: radius_m * 100 };
    LocationClaim { whose, place: Place::Shape(shape), source, age_secs: 2, confidence: Ppm(950_000) }
}

// Not 050: the shipped tables list test phones there.
fn line(random: &mut Random) -> Box<str> {
    let operator = random.pick(&["52", "54", "55", "56", "58"]).copied().unwrap_or("52");
    format!("+971{operator}{:07}", 1_000_000 + random.below(9_000_000)).into()
}

fn car(contact: &mut Contact, random: &mut Random, spot: Point) {
    let occupants = Some(1 + random.below(4) as u8);
    contact.signals.push(Signal::ECall { automatic: random.chance(70), occupants, fuel_at_risk: random.chance(5) });
    contact.claims.push(circle(Whose::Caller, ClaimSource::ECall, spot, 10));
}

fn panel(contact: &mut Contact, random: &mut Random, spot: Point) {
    let event = if contact.door == Door::FirePanel { "fire" } else { "intrusion" };
    contact.signals.push(Signal::Event(event.into()));
    contact.claims.push(circle(Whose::Incident, ClaimSource::Civic, spot, 5 + random.below(45) as u32));
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use najda::route::{record, route};
    use najda::tables::snapshot::Snapshot;

    use super::*;
    use crate::scenario::{BUILT_IN, CANONICAL};

    const NOW: Timestamp = Timestamp::from_secs(1_780_000_000);

    fn shipped() -> Arc<Tables> {
        najda::edge::tables::load_or_shipped(None).unwrap().tables
    }

    fn callers(scenario: &str, seed: u64) -> Callers {
        Callers::new(&Scenario::load(scenario).unwrap(), &shipped(), "run".into(), seed).unwrap()
    }

    #[test]
    fn a_caller_is_the_same_for_the_same_seed_and_another_for_another() {
        let of = |seed| callers(CANONICAL, seed).contact(5, 0.5);
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
        let callers = callers(CANONICAL, 1);
        assert_eq!(callers.index_of(&callers.contact(77, 0.5).key.gateway_ref), Some(77));
        assert_eq!(callers.index_of("other-77"), None);
    }

    /// Goal: the load is the whole country, not one room. Method: route the first thousand and count.
    #[test]
    fn everyday_callers_reach_every_emirate_and_every_emergency_service() {
        let tables = shipped();
        let snapshot = Snapshot::of(Arc::clone(&tables));
        let callers = callers(CANONICAL, 1);
        let (mut areas, mut services, mut unsure, mut wordless) = (BTreeSet::new(), BTreeSet::new(), 0, 0);
        for index in 0..1_000 {
            let contact = callers.contact(index, 0.5);
            let decision = record(&tables, &route(&snapshot, &contact, NOW));
            assert!(!decision.services.is_empty() && !decision.test, "caller {index} is offered to somebody");
            areas.extend(decision.area);
            services.extend(decision.services.iter().map(|assigned| assigned.service));
            unsure += u32::from(!decision.neighbours.is_empty());
            wordless += u32::from(!contact.signals.iter().any(|signal| matches!(signal, Signal::Words(_))));
        }
        assert_eq!(areas.len(), 7, "{areas:?}");
        assert!(services.len() >= 4, "{services:?}");
        assert!((1..500).contains(&unsure), "some are near a border, most are not: {unsure}");
        assert!((600..850).contains(&wordless), "most say no word: {wordless}");
    }

    /// Goal: a scenario is where and about what its name says. Method: count the areas that its hottest tenth is led in.
    #[test]
    fn events_happen_where_they_happened() {
        let tables = shipped();
        let snapshot = Snapshot::of(Arc::clone(&tables));
        let shares = |scenario: &str| {
            let callers = callers(scenario, 1);
            let mut counts = std::collections::BTreeMap::new();
            for index in 0..1_000 {
                let decision = record(&tables, &route(&snapshot, &callers.contact(index, 0.7), NOW));
                *counts.entry(decision.area.map_or("nowhere".to_owned(), |area| area.as_str().to_owned())).or_insert(0_u32) += 1;
            }
            counts
        };
        let new_year = shares("new-year-burj-khalifa");
        assert!(new_year["AE-DU"] > 700, "{new_year:?}");
        for both in ["ghantoot-fog", "tower-fire-border"] {
            let counts = shares(both);
            let other = if both == "ghantoot-fog" { "AE-AZ" } else { "AE-SH" };
            assert!(counts["AE-DU"] > 100 && counts[other] > 100, "{both} is on a line: {counts:?}");
        }
        assert_eq!(shares("storm-2024-04-16").keys().filter(|area| area.starts_with("AE-")).count(), 7);
    }

    #[test]
    fn with_one_operator_down_half_the_callers_have_no_number() {
        let callers = callers("operator-down", 1);
        let without = |share| (0..1_000).filter(|index| callers.contact(*index, share).line.is_none()).count();
        assert!(without(0.1) < 150 && without(0.9) > 450, "{} and {}", without(0.1), without(0.9));
    }

    #[test]
    fn who_calls_again_has_the_line_of_somebody_before_him() {
        let callers = callers("storm-2024-04-16", 1);
        let lines: Vec<_> = (0..2_000).filter_map(|index| callers.contact(index, 0.5).line).collect();
        let distinct: BTreeSet<_> = lines.iter().collect();
        let again = lines.len() - distinct.len();
        assert!((lines.len() / 8..lines.len() / 2).contains(&again), "{again} of {}", lines.len());
    }

    #[test]
    fn what_follows_a_contact_has_the_shares_of_the_scenario() {
        let callers = callers("new-year-burj-khalifa", 1);
        let later: Vec<(u64, Later)> = (0..1_000).flat_map(|index| callers.later(index, 0.7)).flatten().collect();
        let count = |what| later.iter().filter(|(_, found)| *found == what).count();
        assert!((130..270).contains(&count(Later::HangUp)) && (230..420).contains(&count(Later::Fix)), "{}", later.len());
        assert_eq!(count(Later::Again), 0);
    }

    #[test]
    fn a_place_the_tables_do_not_have_is_named_with_the_remedy() {
        let text = "title = 't'\nrate = 1\nseconds = 1\n[[callers]]\nplaces = ['Atlantis']\n";
        let scenario = Scenario::parse("x.toml", text).unwrap();
        let error = Callers::new(&scenario, &shipped(), "run".into(), 1).unwrap_err().to_string();
        assert!(error.contains("x.toml") && error.contains("Atlantis") && error.contains("tables show"), "{error}");
    }

    #[test]
    fn every_built_in_scenario_fits_the_shipped_tables() {
        for (name, _) in BUILT_IN {
            assert!(callers(name, 1).contact(1, 0.5).key.gateway_ref.len() > 2);
        }
    }
}
