//! The searchable rows: made from the log, found by every column, thrown away and made again.

use std::fs;
use std::sync::Arc;

use najda::edge::store::embedded::{EmbeddedStore, JournalReader, Progress, Project};
use najda::journal::Entry;
use najda::journal::projection::{ContactRow, ProjectionChange, Query, Routed, RowState};
use najda::service::{Service, ServiceSet};
use najda::store::{Batch, Store, StoreError};
use najda::units::{ContactId, Name, TablesVersion, Timestamp};

use super::rig::{OnDisk, Open, Rig, await_that};

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn contact(number: u64) -> ContactId {
    ContactId(u128::from(number) << 64)
}

/// Entries here speak a tiny language: what happened, to which contact, and one detail.
fn says(seq: u64, what: &str, number: u64, detail: &str) -> Entry {
    let bytes = format!("{what} {number} {detail}").into_bytes();
    Entry { seq, at: Timestamp::from_secs(seq), contact: Some(contact(number)), kind: 0, bytes }
}

fn routed(area: &str, services: &[Service]) -> Routed {
    Routed {
        area: Name::new(area),
        lead: services.first().copied(),
        services: services.iter().copied().collect(),
        dispatcher: Name::new(&format!("{area}-POL")),
        priority: Some(1),
        tables: TablesVersion([9; 32]),
        test: false,
    }
}

fn arrived(number: u64, line: &str) -> ContactRow {
    let (area, services): (_, &[Service]) = match number % 3 {
        0 => ("DU", &[Service::Police]),
        1 => ("AZ", &[Service::Ambulance, Service::Police]),
        _ => ("SH", &[Service::CivilDefence, Service::Ambulance]),
    };
    ContactRow {
        contact: contact(number),
        gateway: name("trunk-1"),
        gateway_ref: format!("call-{number}").into(),
        line: Some(line.into()),
        received: Timestamp::from_secs(1_000 - number % 10 * 7 + number),
        routed: routed(area, services),
        state: RowState::Waiting,
        seat: None,
        ending: None,
    }
}

/// Reads the tiny language; what it does not know changes nothing.
pub fn project() -> Project {
    Arc::new(|entry| {
        let text = std::str::from_utf8(&entry.bytes).ok()?;
        let mut words = text.split(' ');
        let (what, number, detail) = (words.next()?, words.next()?.parse().ok()?, words.next()?);
        let contact = contact(number);
        let moved = |state| Some(ProjectionChange::Moved { contact, service: Service::Ambulance, state, seat: None });
        match what {
            "arrived" => Some(ProjectionChange::Arrived(Box::new(arrived(number, detail)))),
            "redecided" => Some(ProjectionChange::Redecided { contact, routed: routed(detail, &[Service::CoastGuard]) }),
            "taken" => moved(RowState::Taken),
            "accepted" => moved(RowState::Accepted),
            "ended" => Some(ProjectionChange::Ended { contact, ending: name(detail) }),
            _ => None,
        }
    })
}

fn filled(rig: &OnDisk) -> Open<EmbeddedStore> {
    let open = rig.open_with(|config| config.project = Some(project()));
    let mut entries = Vec::new();
    let mut say = |what: &str, number, detail: &str| entries.push(says(entries.len() as u64 + 1, what, number, detail));
    for number in 1..=300 {
        say("arrived", number, &format!("+97150{}", number % 20));
    }
    say("noise", 0, "nothing");
    say("redecided", 30, "FU");
    say("taken", 31, "-");
    say("accepted", 31, "-");
    say("taken", 32, "-");
    say("ended", 34, "closed");
    say("taken", 34, "-");
    say("arrived", 30, "+1");
    open.store.append(Batch::new(&open.claim, entries).unwrap()).unwrap();
    open.await_receipt(308);
    await_that("the rows catch up", || {
        let ended = Query { state: Some(RowState::Ended), ..Query::default() };
        open.store.find(&ended).is_ok_and(|rows| rows.len() == 1) && open.store.health().projection_lag_entry_count == 0
    });
    open
}

/// What a search must find, worked out the slow way.
fn check_found(open: &Open<EmbeddedStore>, query: &Query, wanted: impl Fn(&ContactRow) -> bool) {
    let mut rows: Vec<ContactRow> = open.store.find(&Query::default()).unwrap().into_iter().filter(|row| wanted(row)).collect();
    rows.sort_by_key(|row| (row.received, row.contact));
    if query.newest_first {
        rows.reverse();
    }
    if query.row_count_max > 0 {
        rows.truncate(query.row_count_max);
    }
    assert!(!rows.is_empty(), "the search finds something: {query:?}");
    assert_eq!(open.store.find(query).unwrap(), rows, "{query:?}");
}

#[test]
fn contacts_are_found_by_every_column_in_order_of_time() {
    let rig = OnDisk::new();
    let open = filled(&rig);
    let all = Query::default();
    assert_eq!(open.store.find(&all).unwrap().len(), 300);
    check_found(&open, &all, |_| true);
    check_found(&open, &Query { contact: Some(contact(77)), ..all.clone() }, |row| row.contact == contact(77));
    check_found(&open, &Query { gateway_ref: Some("call-9".into()), ..all.clone() }, |row| *row.gateway_ref == *"call-9");
    check_found(&open, &Query { line: Some("+971507".into()), ..all.clone() }, |row| row.line.as_deref() == Some("+971507"));
    check_found(&open, &Query { area: Name::new("AZ"), ..all.clone() }, |row| row.routed.area == Name::new("AZ"));
    check_found(&open, &Query { state: Some(RowState::Accepted), ..all.clone() }, |row| row.state == RowState::Accepted);
    for service in [Service::Police, Service::Ambulance, Service::CoastGuard] {
        check_found(&open, &Query { service: Some(service), ..all.clone() }, |row| row.routed.services.contains(service));
    }
    let (from, until) = (Timestamp::from_secs(1_050), Timestamp::from_secs(1_100));
    let within = |row: &ContactRow| (from..until).contains(&row.received);
    let range = Query { from: Some(from), until: Some(until), ..all };
    check_found(&open, &range, within);
    check_found(&open, &Query { newest_first: true, row_count_max: 5, ..range.clone() }, within);
    let narrow = Query { service: Some(Service::Ambulance), area: Name::new("AZ"), newest_first: true, ..range };
    check_found(&open, &narrow, |row| within(row) && row.routed.area == Name::new("AZ"));
    let nobody = Query { line: Some("' OR 1 = 1 --".into()), ..Query::default() };
    assert_eq!(open.store.find(&nobody).unwrap(), vec![]);
}

#[test]
fn rows_follow_the_life_of_their_contact() {
    let rig = OnDisk::new();
    let open = filled(&rig);
    let one = |number| open.store.find(&Query { contact: Some(contact(number)), ..Query::default() }).unwrap().remove(0);
    let moved = one(30);
    assert_eq!(moved.routed, routed("FU", &[Service::CoastGuard]));
    assert_eq!(moved.line.as_deref(), Some("+9715010"), "a second arrival changes nothing");
    assert_eq!(one(31).state, RowState::Accepted, "ambulance leads");
    assert_eq!(one(32).state, RowState::Waiting, "another service leads");
    let ended = one(34);
    assert_eq!((ended.state, ended.ending), (RowState::Ended, Name::new("closed")), "an end is an end");
    assert_eq!(ended.routed.services, [Service::Ambulance, Service::Police].into_iter().collect::<ServiceSet>());
}

#[test]
fn deleted_or_damaged_rows_are_made_again_at_the_next_opening() {
    let rig = OnDisk::new();
    let open = filled(&rig);
    let before = open.store.find(&Query::default()).unwrap();
    rig.close(open);
    let path = rig.folder().join("projection.db");
    let spoil: [fn(&std::path::Path); 3] = [
        |path| fs::remove_file(path).unwrap(),
        |path| fs::write(path, vec![0x5A; 40_000]).unwrap(),
        |path| rusqlite::Connection::open(path).unwrap().pragma_update(None, "user_version", 99).unwrap(),
    ];
    for spoil in spoil {
        spoil(&path);
        let open = rig.open_with(|config| config.project = Some(project()));
        await_that("the rows are made again", || open.store.find(&Query::default()).is_ok_and(|rows| rows == before));
        rig.close(open);
    }
}

#[test]
fn a_rebuild_makes_the_same_rows_and_tells_how_far_it_is() {
    let rig = OnDisk::new();
    let open = filled(&rig);
    let before = open.store.find(&Query::default()).unwrap();
    let reader = JournalReader::open(rig.folder()).unwrap();
    let refused = reader.rebuild_projection(&project(), &mut |_| ());
    assert!(matches!(refused, Err(StoreError::FolderHeld { .. })), "the engine keeps its rows itself");
    rig.close(open);
    let mut told: Vec<Progress> = Vec::new();
    reader.rebuild_projection(&project(), &mut |progress| told.push(progress)).unwrap();
    assert_eq!(reader.find(&Query::default()).unwrap(), before);
    assert_eq!(told.last(), Some(&Progress { done_entry_count: 308, entry_count: 308 }));
}
