//! How long a decision takes, by what makes it hard. Someone waits on the line for exactly this long before anything can ring.
//!
//! Every answer is checked inside the loop, so a fast wrong answer fails. `decide/floor_lookup` is the bare look-up of the same points
//! in the same run: the ratio to it is what counts, not the nanoseconds of a shared machine.

#![allow(clippy::disallowed_methods, reason = "a test or a measurement reads the clock")]

use criterion::{Criterion, criterion_group, criterion_main};
use najda::contact::{Contact, Place};
use najda::edge::tables::load_or_shipped;
use najda::geo::point::Point;
use najda::route::route;
use najda::tables::snapshot::Snapshot;
use najda::units::{ContactId, Name, Timestamp};
use najda::wire::contact_json::read_contact;

fn contact(json: &str) -> Contact {
    read_contact(json.as_bytes(), Name::new("bench").unwrap(), ContactId(1), Timestamp::from_secs(1_780_308_000)).unwrap().contact
}

fn point_of(contact: &Contact) -> Option<Point> {
    contact.claims.iter().find_map(|claim| match &claim.place {
        Place::Shape(shape) => Some(shape.representative()),
        Place::Makani(_) => None,
    })
}

/// Decides the contacts in turn and checks the lead room of each.
fn bench(c: &mut Criterion, name: &str, snapshot: &Snapshot, cases: &[(Contact, &str)]) {
    let mut at = 0;
    c.bench_function(&format!("decide/{name}"), |b| {
        b.iter(|| {
            let (contact, room) = &cases[at % cases.len()];
            at += 1;
            let decision = route(snapshot, contact, contact.received);
            let lead = decision.lead().and_then(|lead| snapshot.tables.dispatchers.get(lead.dispatcher)).map(|row| row.id);
            assert_eq!(lead.as_ref().map(|id| id.as_str()), Some(*room));
            decision
        });
    });
}

fn decide(c: &mut Criterion) {
    let snapshot = Snapshot::of(load_or_shipped(None).unwrap().tables);
    let fix = |lat: f64, lon: f64, radius: u32| {
        contact(&format!(r#"{{"id":"b","dialled":"999","lat":{lat},"lon":{lon},"uncertainty_m":{radius}}}"#))
    };
    let one_owner = [
        (fix(25.08, 55.22, 15), "DU-POL"),
        (fix(24.42, 54.47, 15), "AZ-POL"),
        (fix(23.65, 53.70, 15), "AZ-POL"),
        (fix(24.20, 55.70, 15), "AZ-POL"),
    ];
    let grid = &snapshot.tables.ground.grid;
    let points: Vec<(Point, Option<u16>)> =
        one_owner.iter().filter_map(|(contact, _)| point_of(contact)).map(|point| (point, grid.owner(point))).collect();
    let mut at = 0;
    c.bench_function("decide/floor_lookup", |b| {
        b.iter(|| {
            let (point, owner) = points[at % points.len()];
            at += 1;
            let found = grid.owner(std::hint::black_box(point));
            assert_eq!(found, owner);
            found
        });
    });
    bench(c, "one_owner", &snapshot, &one_owner);
    let lead = |contact: &Contact| {
        let decision = route(&snapshot, contact, contact.received);
        snapshot.tables.dispatchers.get(decision.lead().unwrap().dispatcher).unwrap().id
    };
    let border = [fix(25.2957, 55.372, 20), fix(24.8972, 54.9201, 20)];
    let rooms = border.each_ref().map(&lead);
    bench(c, "border_cell", &snapshot, &[(border[0].clone(), rooms[0].as_str()), (border[1].clone(), rooms[1].as_str())]);
    let wide = [fix(25.2957, 55.372, 1_500), fix(25.40, 55.45, 2_500)];
    let rooms = wide.each_ref().map(&lead);
    bench(c, "uncertain_circle", &snapshot, &[(wide[0].clone(), rooms[0].as_str()), (wide[1].clone(), rooms[1].as_str())]);
    bench(c, "no_location", &snapshot, &[(contact(r#"{"id":"b","dialled":"999","line":"+97160000015"}"#), "SH-POL")]);
    let words = r#"{"id":"b","lat":25.08,"lon":55.22,"uncertainty_m":15,"text":"حريق في برج وناس محاصرين في الطابق العاشر"}"#;
    bench(c, "arabic_text", &snapshot, &[(contact(words), "DU-FIR")]);
}

criterion_group!(benches, decide);
criterion_main!(benches);
