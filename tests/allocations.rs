//! The heart allocates nothing and takes no lock on the common path.

#![allow(clippy::disallowed_methods, reason = "a test or a measurement reads the clock")]

use najda::edge::tables::load_or_shipped;
use najda::route::route;
use najda::tables::published::Published;
use najda::tables::snapshot::Snapshot;
use najda::units::{ContactId, Name, Timestamp};
use najda::wire::contact_json::read_contact;

fn allocations_of(json: &str) -> u64 {
    let published = Published::new(Snapshot::of(load_or_shipped(None).unwrap().tables));
    let contact =
        read_contact(json.as_bytes(), Name::new("t").unwrap(), ContactId(1), Timestamp::from_secs(1_780_308_000)).unwrap().contact;
    let decide = || {
        let snapshot = published.load();
        let decision = route(&snapshot, &contact, contact.received);
        assert!(decision.lead().is_some());
        std::hint::black_box(&decision);
    };
    decide();
    allocation_counter::measure(|| (0..1_000).for_each(|_| decide())).count_total
}

#[test]
fn a_decision_with_one_owner_allocates_nothing() {
    assert_eq!(allocations_of(r#"{"id":"a","dialled":"999","lat":25.20,"lon":55.27,"uncertainty_m":10}"#), 0);
}

#[test]
fn a_decision_on_a_border_allocates_nothing() {
    assert_eq!(allocations_of(r#"{"id":"a","dialled":"999","lat":25.2957,"lon":55.372,"uncertainty_m":800}"#), 0);
}

#[test]
fn words_in_arabic_allocate_nothing() {
    assert_eq!(allocations_of(r#"{"id":"a","lat":25.20,"lon":55.27,"text":"حريق في برج في النهضة وناس محاصرين في الطابق العاشر"}"#), 0);
}

#[test]
fn a_contact_without_a_place_allocates_nothing() {
    assert_eq!(allocations_of(r#"{"id":"a","dialled":"999","line":"+97160000015"}"#), 0);
}

/// Locks are found by eye as well: the modules a decision passes through name none.
#[test]
fn the_path_of_a_decision_names_no_lock() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = vec![root.join("classify.rs"), root.join("locate.rs"), root.join("route.rs"), root.join("decision.rs")];
    for folder in ["geo", "tables"] {
        files.extend(std::fs::read_dir(root.join(folder)).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file()));
    }
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        for lock in ["Mutex", "RwLock", "Condvar", "Once", "thread_local"] {
            assert!(!text.contains(lock), "{} names {lock}", file.display());
        }
    }
}
