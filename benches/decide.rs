//! How long a decision takes, by what makes it hard. Someone waits on the line for exactly this long before anything can ring.
//!
//! Every condition has thousands of contacts all over the country, from a fixed seed, and the bare look-up of the same points in
//! turns with it: the ratio to that is what counts, not the nanoseconds of a shared machine. Every answer is checked inside the
//! loop against what an independent path says of the contact, so a fast wrong answer fails.
//!
//! | bench | the contact |
//! | --- | --- |
//! | `decide/one_owner` | a call with a fix, far from any border: most calls |
//! | `decide/whole_call` | the same with line, trunk and serving cell, as a gateway sends it |
//! | `decide/border_cell` | a fix good to 20 m, within 300 m of a border |
//! | `decide/uncertain_circle` | a fix good to 1 to 3 km that may lie in several areas |
//! | `decide/no_location` | a number and a registered line, and nothing else |
//! | `decide/arabic_text` | a fix and a sentence in Arabic |

#![allow(clippy::disallowed_methods, reason = "a test or a measurement reads the clock")]

#[path = "measure/mod.rs"]
mod measure;
#[path = "../tests/behaviour/tilings.rs"]
mod tilings;

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use measure::{Contender, Figures, hash, in_turns, is_asked_for, is_full, rounds};
use najda::contact::{Contact, Place};
use najda::decision::Decision;
use najda::edge::tables::load_or_shipped;
use najda::geo::point::Point;
use najda::locate::own_area;
use najda::route::{route, route_into};
use najda::service::Service;
use najda::tables::snapshot::Snapshot;
use najda::units::{ContactId, Name, Timestamp};
use najda::wire::contact_json::read_contact;
use tilings::Random;

const SEED: u64 = 20_261_122;
const CONTACTS: usize = 4_096;

/// The contacts of one condition, each with the room that must lead.
struct Case {
    name: &'static str,
    contacts: Vec<Contact>,
    rooms: Vec<u64>,
}

fn contact(json: &str) -> Contact {
    read_contact(json.as_bytes(), Name::new("bench").unwrap(), ContactId(1), Timestamp::from_secs(1_780_308_000)).unwrap().contact
}

fn point_of(contact: &Contact) -> Point {
    let shape = contact.claims.iter().find_map(|claim| match &claim.place {
        Place::Shape(shape) => Some(shape.representative()),
        Place::Makani(_) => None,
    });
    shape.unwrap_or_default()
}

fn room_of(decision: &Decision) -> u64 {
    decision.lead().map_or(u64::MAX, |lead| u64::from(lead.dispatcher.0))
}

/// A condition asked for, or nothing: making up its contacts takes longer than measuring them.
fn scattered(
    name: &'static str,
    snapshot: &Snapshot,
    service: Service,
    write: impl Fn(&mut Random, Point) -> String,
    wanted: impl Fn(Point, &Decision) -> bool,
) -> Option<Case> {
    is_asked_for(name).then(|| made_up(name, snapshot, service, write, wanted))
}

/// Random contacts that `wanted` accepts, and the room each must have: the one responsible for `service` where its point lies.
fn made_up(
    name: &'static str,
    snapshot: &Snapshot,
    service: Service,
    write: impl Fn(&mut Random, Point) -> String,
    wanted: impl Fn(Point, &Decision) -> bool,
) -> Case {
    let mut random = Random(SEED);
    let (mut contacts, mut rooms) = (Vec::new(), Vec::new());
    for _ in 0..4_000_000 {
        let point = random.in_box(&snapshot.tables.ground.bbox);
        let Some(area) = own_area(&snapshot.tables.ground, point) else { continue };
        let contact = contact(&write(&mut random, point));
        let decision = route(snapshot, &contact, contact.received);
        if wanted(point, &decision) {
            let lead = decision.services.iter().find(|assigned| assigned.lead).expect("somebody leads");
            assert!(decision.area == Some(area) || !decision.neighbours.is_empty() || decision.discrepancies.len() > 1);
            if decision.area == Some(area) && lead.service == service && snapshot.tables.ground.overlays.is_empty() {
                assert_eq!(Some(lead.dispatcher), snapshot.tables.dispatchers.responsible(area, service));
            }
            rooms.push(room_of(&decision));
            contacts.push(contact);
        }
        if contacts.len() == CONTACTS {
            break;
        }
    }
    assert!(contacts.len() >= CONTACTS / 8, "{name}: {} contacts", contacts.len());
    Case { name, contacts, rooms }
}

fn fix(point: Point, more: &str) -> String {
    let degrees = |e7: i32| f64::from(e7) / 1e7;
    format!(r#"{{"id":"b","lat":{},"lon":{},{more}}}"#, degrees(point.lat_e7), degrees(point.lon_e7))
}

fn cases(snapshot: &Snapshot) -> Vec<Case> {
    let edges = &snapshot.tables.ground.edges;
    let certain = |decision: &Decision| decision.neighbours.is_empty() && decision.area.is_some();
    let inland = |point: Point| edges.clearance_cm(point) > 200_000;
    let near = |point: Point| edges.nearest(point, 30_000).is_some_and(|near| near.reach_cm > 0);
    let plain = |_: &mut Random, point| fix(point, r#""dialled":"999","uncertainty_m":15"#);
    let whole = |random: &mut Random, point| {
        let (line, mast) = (random.below(9_000_000) + 1_000_000, random.below(60_000));
        let rest = format!(
            r#""dialled":"999","uncertainty_m":15,"line":"+97150{line}","trunk":"gw-1","cell":"42402{mast:05}","door":"sip-voice""#
        );
        fix(point, &rest)
    };
    let close = |_: &mut Random, point| fix(point, r#""dialled":"999","uncertainty_m":20"#);
    let wide = |random: &mut Random, point| fix(point, &format!(r#""dialled":"999","uncertainty_m":{}"#, 1_000 + random.below(2_000)));
    let words = |_: &mut Random, point| fix(point, r#""uncertainty_m":15,"text":"حريق في برج وناس محاصرين في الطابق العاشر""#);
    let scattered = [
        scattered("decide/one_owner", snapshot, Service::Police, plain, |point, found| inland(point) && certain(found)),
        scattered("decide/whole_call", snapshot, Service::Police, whole, |point, found| inland(point) && certain(found)),
        scattered("decide/border_cell", snapshot, Service::Police, close, |point, _| near(point)),
        scattered("decide/uncertain_circle", snapshot, Service::Police, wide, |point, found| near(point) && !found.neighbours.is_empty()),
        scattered("decide/arabic_text", snapshot, Service::CivilDefence, words, |point, found| inland(point) && certain(found)),
    ];
    let mut cases: Vec<Case> = scattered.into_iter().flatten().collect();
    if !is_asked_for("decide/no_location") {
        return cases;
    }
    let lines = (0..CONTACTS).map(|at| contact(&format!(r#"{{"id":"b","dialled":"999","line":"+9716000{:04}"}}"#, at % 10_000)));
    let contacts: Vec<Contact> = lines.collect();
    let rooms = contacts.iter().map(|contact| room_of(&route(snapshot, contact, contact.received))).collect();
    cases.push(Case { name: "decide/no_location", contacts, rooms });
    cases
}

fn decide(c: &mut Criterion) {
    let snapshot = Snapshot::of(load_or_shipped(None).unwrap().tables);
    let grid = &snapshot.tables.ground.grid;
    println!("a decision is {} bytes; {:?}", size_of::<Decision>(), grid.stats());
    let calls = if is_full() { 20_000 } else { 200 };
    let mut figures = Figures::new("decide");
    for case in cases(&snapshot) {
        let Case { name, contacts, rooms } = &case;
        let points: Vec<Point> = contacts.iter().map(point_of).collect();
        let owner = |point| grid.owner(point).map_or(0, |area| u64::from(area) + 1);
        let owners: Vec<u64> = points.iter().map(|point| owner(*point)).collect();
        // In place, as the engine's doors do it.
        let ask = |at: usize| {
            let contact = &contacts[at];
            let mut decision = Decision::blank(snapshot.tables.version, snapshot.number);
            route_into(&mut decision, black_box(&snapshot), contact, contact.received);
            room_of(black_box(&decision))
        };
        let mut both = [Contender::new("decision", ask), Contender::new("bare look-up", |at| owner(points[at]))];
        let tails = in_turns(rounds(), calls, &mut both, &[rooms, &owners]);
        figures.beside(name, "ns", &[("decision", tails[0]), ("bare look-up", tails[1])]);
        println!("  {} contacts, run {:016x}", contacts.len(), hash(rooms));
        let mut at = 0;
        c.bench_function(name, |b| {
            b.iter(|| {
                at = (at + 1) % contacts.len();
                let room = ask(at);
                assert_eq!(room, rooms[at]);
            });
        });
    }
    figures.write();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).warm_up_time(Duration::from_millis(200)).measurement_time(Duration::from_millis(600));
    targets = decide
}
criterion_main!(benches);
