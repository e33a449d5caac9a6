//! A minute of many events at once, in two languages: which contacts are proposed as speaking of the same event, and how often that is
//! right. The truth is known because the contacts are made from it, with the noise that real ones have.

use std::collections::BTreeMap;

use najda::contact::Contact;
use najda::incident::{IncidentId, Scene, Trace};
use najda::route::{record, route};
use najda::units::{ContactId, Name, Timestamp};
use najda::wire::contact_json::read_contact;

use crate::packs::uae;

/// A small generator of its own, so that the minute is the same everywhere.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn unit(&mut self) -> f64 {
        self.next() as f64 / (1_u64 << 53) as f64
    }

    /// About normal, of this spread.
    fn around(&mut self, spread: f64) -> f64 {
        (0..6).map(|_| self.unit() - 0.5).sum::<f64>() * spread * 1.414
    }

    fn one_of<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.below(words.len() as u64) as usize]
    }
}

struct Kind {
    /// How people say it, in English and in Arabic.
    said: [&'static [&'static str]; 2],
    /// How far the callers of one such event stand from it, in metres.
    spread_m: f64,
}

const KINDS: [Kind; 6] = [
    Kind {
        said: [
            &["there is a fire in the building", "fire and a lot of smoke from the tower", "the flat is burning, fire on the balcony"],
            &["حريق في المبنى", "في نار ودخان كثير من البرج", "الشقة تحترق"],
        ],
        spread_m: 90.0,
    },
    Kind {
        said: [
            &["car accident, two cars crashed", "big crash on the road, people are injured", "accident here, one car is upside down"],
            &["حادث سيارة", "حادث كبير على الشارع وفيه مصابين", "تصادم سيارتين"],
        ],
        spread_m: 60.0,
    },
    Kind {
        said: [
            &["a man collapsed, he has chest pain", "chest pain and he cannot breathe", "someone is unconscious, chest pain before"],
            &["رجل سقط وعنده ألم في الصدر", "ألم في الصدر ولا يتنفس", "شخص فاقد الوعي"],
        ],
        spread_m: 15.0,
    },
    Kind {
        said: [
            &["they are fighting with knives", "a fight in the street, one has a knife", "someone was stabbed"],
            &["مضاربة بالسكاكين", "هوشة في الشارع معهم سكين", "طعن شخص"],
        ],
        spread_m: 40.0,
    },
    Kind {
        said: [
            &["a child is drowning", "somebody is drowning in the sea", "he went under the water, drowning"],
            &["طفل يغرق", "شخص يغرق في البحر", "غرق في الماء"],
        ],
        spread_m: 50.0,
    },
    Kind {
        said: [
            &["gas leak, strong smell of gas", "smell of gas in the whole building", "gas is leaking in the kitchen"],
            &["تسرب غاز", "ريحة غاز قوية في العمارة", "تسريب غاز في المطبخ"],
        ],
        spread_m: 30.0,
    },
];

struct Event {
    kind: usize,
    lat: f64,
    lon: f64,
    begins_secs: f64,
    /// What callers name: a few words of their own.
    mark: [&'static str; 2],
}

const MARKS: [[&str; 2]; 10] = [
    ["next to the big mosque", "جنب المسجد الكبير"],
    ["behind the shopping mall", "خلف المركز التجاري"],
    ["near the metro station", "قرب محطة المترو"],
    ["opposite the old school", "مقابل المدرسة القديمة"],
    ["by the petrol station", "عند محطة البترول"],
    ["under the bridge", "تحت الجسر"],
    ["at the corniche", "على الكورنيش"],
    ["in front of the hospital", "امام المستشفى"],
    ["beside the fish market", "بجانب سوق السمك"],
    ["at the roundabout with the clock", "عند دوار الساعة"],
];

/// Forty events: most of them in the three largest cities, a third of them within two kilometres of another, some of the same kind.
fn events(dice: &mut Dice) -> Vec<Event> {
    let cities = [(25.20, 55.28), (24.46, 54.37), (25.34, 55.41)];
    let mut events: Vec<Event> = Vec::new();
    while events.len() < 40 {
        let beside = events.len() % 3 == 2;
        let (lat, lon) = match events.last().filter(|_| beside) {
            // Next to the last one: 1.3 to 2 km.
            Some(last) => {
                let (turn, km) = (dice.unit() * std::f64::consts::TAU, 1.3 + dice.unit() * 0.7);
                (last.lat + km / 111.3 * turn.cos(), last.lon + km / 100.0 * turn.sin())
            }
            None => {
                let (lat, lon) = cities[dice.below(3) as usize];
                (lat + dice.around(0.05), lon + dice.around(0.05))
            }
        };
        let kind = if beside && dice.below(2) == 0 { events[events.len() - 1].kind } else { dice.below(6) as usize };
        let mark = MARKS[dice.below(10) as usize];
        events.push(Event { kind, lat, lon, begins_secs: dice.unit() * 20.0, mark });
    }
    events
}

/// One contact of an event, as its gateway would write it.
fn contact(dice: &mut Dice, event: &Event, number: u64) -> String {
    let kind = &KINDS[event.kind];
    let language = dice.below(2) as usize;
    let mut words = dice.one_of(kind.said[language]).to_owned();
    if dice.below(3) == 0 {
        words = format!("{words}, {}", event.mark[language]);
    }
    // One in twelve says nothing that can be read.
    if dice.below(12) == 0 {
        words.clear();
    }
    let (north, east) = (dice.around(kind.spread_m), dice.around(kind.spread_m));
    // One in ten is known only by its mast.
    let (error_m, off) = if dice.below(10) == 0 { (1_500.0, 400.0) } else { (8.0 + dice.unit() * 40.0, 10.0) };
    let lat = event.lat + (north + dice.around(off)) / 111_320.0;
    let lon = event.lon + (east + dice.around(off)) / 100_700.0;
    serde_json::json!({
        "id": format!("c{number}"), "door": "sip-voice", "lat": lat, "lon": lon, "uncertainty_m": error_m,
        "text": words, "from": format!("+97150{number:07}"),
    })
    .to_string()
}

struct Minute {
    contacts: Vec<(f64, usize, String)>,
}

fn minute(seed: u64) -> Minute {
    let mut dice = Dice(seed);
    let events = events(&mut dice);
    let mut contacts = Vec::new();
    for number in 0..1_000 {
        // A few events are heard of by many, most by some.
        let which = (dice.unit() * dice.unit() * 40.0) as usize;
        let event = &events[which.min(39)];
        let at = event.begins_secs + dice.unit() * (60.0 - event.begins_secs);
        contacts.push((at, which, contact(&mut dice, event, number)));
    }
    contacts.sort_by(|a, b| a.0.total_cmp(&b.0));
    Minute { contacts }
}

#[derive(Default)]
struct Count {
    proposed: u32,
    right: u32,
    /// Contacts of an event that others had spoken of before.
    could: u32,
}

fn propose(minute: &Minute) -> Count {
    let snapshot = uae();
    let (mut scene, mut count) = (Scene::default(), Count::default());
    let mut truth: BTreeMap<IncidentId, usize> = BTreeMap::new();
    let mut of_event: BTreeMap<usize, IncidentId> = BTreeMap::new();
    for (number, (at, which, json)) in minute.contacts.iter().enumerate() {
        let received = Timestamp::from_micros(1_780_308_000_000_000 + (at * 1e6) as u64);
        let read = read_contact(json.as_bytes(), Name::new("test").unwrap(), ContactId(number as u128 + 1), received).unwrap();
        let contact: Contact = read.contact;
        let decision = record(&snapshot.tables, &route(snapshot, &contact, received));
        let own = IncidentId::begun_by(0, number as u64 + 1);
        let mut trace = Trace::of(&contact, &decision, own, received).expect("each has a place");
        let best = scene.candidates(false, &trace).first().copied();
        count.could += u32::from(of_event.contains_key(which));
        count.proposed += u32::from(best.is_some());
        let right = best.is_some_and(|best| truth.get(&best.incident) == Some(which));
        count.right += u32::from(right);
        // A person confirms what is right and nothing else.
        let incident = if right { best.map_or(own, |best| best.incident) } else { own };
        truth.insert(incident, *which);
        of_event.entry(*which).or_insert(incident);
        trace.incident = incident;
        scene.enter(false, trace);
    }
    count
}

#[test]
fn of_a_thousand_contacts_about_forty_events_the_same_event_is_proposed_and_another_is_not() {
    let mut total = Count::default();
    for seed in [0x9e37_79b9_7f4a_7c15, 0x1234_5678_9abc_def1, 0xdead_beef_cafe_f00d, 0x0bad_5eed_0bad_5eed, 7] {
        let count = propose(&minute(seed));
        let (precision, recall) = (f64::from(count.right) / f64::from(count.proposed), f64::from(count.right) / f64::from(count.could));
        println!(
            "seed {seed:x}: {} proposed, {} right of {}: precision {precision:.3}, recall {recall:.3}",
            count.proposed, count.right, count.could
        );
        total = Count { proposed: total.proposed + count.proposed, right: total.right + count.right, could: total.could + count.could };
        assert!(precision >= 0.95 && recall >= 0.8, "seed {seed:x}: precision {precision:.3}, recall {recall:.3}");
    }
    let share = |part: u32, whole: u32| f64::from(part) / f64::from(whole);
    println!("all: precision {:.3}, recall {:.3}", share(total.right, total.proposed), share(total.right, total.could));
}
