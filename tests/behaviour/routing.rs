//! One contact, one decision: the rules, each on the invented country that exercises it.

use std::sync::Arc;

use najda::decision::{Decision, DispatcherState};
use najda::edge::tables::{load_or_shipped, read_folder};
use najda::route::{last_resort, record, route, route_into};
use najda::tables::compiled::{self, CompiledError};
use najda::tables::snapshot::{Snapshot, States};
use najda::units::{ContactId, Name, Timestamp};
use najda::wire::contact_json::read_contact;
use proptest::prelude::*;

use crate::packs::{decide, folder, odd, services, testland, told, uae};

/// `who, where, when` in JSON fields, and what must come out: the services with their rooms.
fn check(fields: &str, expected: &str) {
    let record = decide(testland(), &format!("{{\"id\":\"t\",{fields}}}"));
    assert_eq!(services(&record), expected, "{fields}\n{record:#?}");
}

#[test]
fn a_wordless_call_goes_to_the_answering_room_of_its_area() {
    check(r#""dialled":"100","lat":0.75,"lon":0.41,"uncertainty_m":10"#, "police TL-CAP-POL");
}

/// The doors decide in place, one contact after the other: nothing of the one before may be left.
#[test]
fn a_decision_made_where_another_stood_is_made_afresh() {
    let snapshot = uae();
    let contacts = [
        r#"{"id":"t","dialled":"999","lat":25.2048,"lon":55.2708,"uncertainty_m":15,"line":"+971501234567"}"#,
        r#"{"id":"t","text":"حريق في برج وناس محاصرين في الطابق العاشر","door":"sms","lat":25.30,"lon":55.37,"uncertainty_m":3000}"#,
        r#"{"id":"t","urn":"urn:service:test.sos","lat":25.2048,"lon":55.2708,"uncertainty_m":15}"#,
        r#"{"id":"t","dialled":"12345","lang":"ur"}"#,
    ];
    let read = |json: &str| read_contact(json.as_bytes(), Name::new("t").unwrap(), ContactId(1), Timestamp::from_secs(1_780_308_000));
    let contacts = contacts.map(|json| read(json).unwrap().contact);
    let mut decision = Decision::blank(snapshot.tables.version, 7);
    for (before, contact) in contacts.iter().flat_map(|before| contacts.iter().map(move |contact| (before, contact))) {
        route_into(&mut decision, snapshot, before, before.received);
        route_into(&mut decision, snapshot, contact, contact.received);
        assert_eq!(decision, route(snapshot, contact, contact.received), "{contact:?} after {before:?}");
    }
}

#[test]
fn an_overlay_wins_in_its_hours_and_only_then() {
    let airport = r#""dialled":"100","lat":0.80,"lon":0.95,"uncertainty_m":10,"text":"fight","now":"#;
    check(&format!("{airport}\"2026-11-25T12:00:00+01:00\""), "police TL-AIR-POL");
    let at_night = decide(testland(), &format!("{{\"id\":\"t\",{airport}\"2026-11-25T23:00:00+01:00\"}}"));
    assert_ne!(at_night.services[0].dispatcher.as_str(), "TL-AIR-POL");
}

#[test]
fn the_stronger_of_two_overlays_wins() {
    // The mobile ambulance room stands over everything else for ambulance, and for nothing but ambulance.
    let record = decide(testland(), r#"{"id":"t","dialled":"102","lat":0.70,"lon":0.60,"uncertainty_m":5}"#);
    assert_eq!(record.services[0].dispatcher.as_str(), "TL-MOB-AMB");
    let record = decide(testland(), r#"{"id":"t","dialled":"101","lat":0.70,"lon":0.60,"uncertainty_m":5}"#);
    assert_ne!(record.services[0].dispatcher.as_str(), "TL-MOB-AMB");
}

#[test]
fn words_of_the_sea_bring_the_coast_guard_to_a_beach_and_not_to_a_dam() {
    let lead = |place: &str| {
        let record = decide(uae(), &format!(r#"{{"id":"t","dialled":"999",{place},"text":"our boat is sinking"}}"#));
        record.services[0].dispatcher
    };
    assert_eq!(lead(r#""lat":25.1412,"lon":55.1853,"uncertainty_m":15"#).as_str(), "AE-SEA", "on the beach of Umm Suqeim");
    assert_ne!(lead(r#""lat":24.7860,"lon":56.1120,"uncertainty_m":15"#).as_str(), "AE-SEA", "at the dam of Hatta");
    assert_ne!(lead(r#""lat":24.8360,"lon":55.3740,"uncertainty_m":15"#).as_str(), "AE-SEA", "at the lakes of Al Qudra");
}

#[test]
fn a_disputed_place_says_so() {
    let record = decide(testland(), r#"{"id":"t","lat":0.60,"lon":1.75,"uncertainty_m":20}"#);
    assert!(odd(&record).contains("disputed"), "{record:#?}");
    assert_eq!(record.area.unwrap().as_str(), "TL-ISL");
}

#[test]
fn a_code_shared_by_three_areas_names_the_other_two_and_claims_none() {
    let record = decide(testland(), r#"{"id":"t","dialled":"101","line":"+99920000001"}"#);
    assert_eq!((services(&record), told(&record)), ("police TL-NOR-POL".into(), "TL-CAP-POL area_code, TL-EAS-POL area_code".into()));
    assert_eq!(record.area, None);
    assert_eq!(odd(&record), "no_location area_code_ambiguous no_words");
}

#[test]
fn a_listed_line_beats_its_area_code() {
    let record = decide(testland(), r#"{"id":"t","dialled":"101","line":"+99920550100"}"#);
    assert_eq!((record.area.unwrap().as_str(), record.rung.as_str()), ("TL-EAS", "line"));
}

#[test]
fn a_test_phone_is_a_test_inside_its_window_only() {
    let phone = r#""id":"t","dialled":"101","line":"+99970550105","lat":0.75,"lon":0.41"#;
    let inside = decide(testland(), &format!("{{{phone},\"now\":\"2026-06-01T12:00:00Z\"}}"));
    assert!(inside.test && inside.services.is_empty() && odd(&inside).contains("test_call"));
    let after = decide(testland(), &format!("{{{phone},\"now\":\"2027-02-01T12:00:00Z\"}}"));
    assert!(!after.test && !after.services.is_empty());
}

#[test]
fn a_cell_on_the_network_abroad_is_a_hint_and_never_moves_a_fix() {
    let record = decide(testland(), r#"{"id":"t","dialled":"101","lat":0.75,"lon":0.41,"uncertainty_m":10,"cell":"9980100010000001"}"#);
    assert_eq!(record.area.unwrap().as_str(), "TL-CAP");
    assert!(odd(&record).contains("foreign_network"));
}

#[test]
fn a_cell_counts_for_the_area_its_operator_says() {
    let record = decide(testland(), r#"{"id":"t","dialled":"101","cell":"9990100020000041"}"#);
    assert_eq!((record.area.unwrap().as_str(), record.rung.as_str()), ("TL-SOU", "serving_cell"));
}

#[test]
fn a_text_goes_where_somebody_can_write_back() {
    let record = decide(testland(), r#"{"id":"t","door":"sms","dialled":"101","lat":0.40,"lon":0.40,"uncertainty_m":10,"text":"thief"}"#);
    let lead = &record.services[0];
    assert_eq!(lead.dispatcher.as_str(), "TL-SOU-POL", "overflow never changes who is responsible");
    assert_ne!(lead.chain[0].as_str(), "TL-SOU-POL", "its seats cannot write");
    assert!(odd(&record).contains("text_only"));
}

#[test]
fn a_state_moves_the_call_but_not_the_responsibility() {
    let tables = Arc::clone(&testland().tables);
    let at = |states: &[(&str, DispatcherState)]| {
        let named: Vec<_> = states.iter().map(|(id, state)| (Name::new(id).unwrap(), *state)).collect();
        let snapshot = Snapshot { states: Arc::new(States::of(&tables, &named)), tables: Arc::clone(&tables), number: 1 };
        decide(&snapshot, r#"{"id":"t","dialled":"101","lat":0.40,"lon":0.40,"uncertainty_m":10}"#)
    };
    let chain = |record: &najda::decision::DecisionRecord| record.services[0].chain.iter().map(ToString::to_string).collect::<Vec<_>>();
    let active = at(&[]);
    assert_eq!(chain(&active)[0], "TL-SOU-POL");
    let cut = at(&[("TL-SOU-POL", DispatcherState::Unreachable)]);
    assert_eq!(cut.services[0].dispatcher.as_str(), "TL-SOU-POL");
    assert_eq!(chain(&cut)[0], "TL-EAS-POL", "its own policy: the east before the north");
    let full = at(&[("TL-SOU-POL", DispatcherState::Full)]);
    assert_eq!(chain(&full)[0], "TL-NOR-POL");
    assert!(chain(&full).contains(&"TL-SOU-POL".to_owned()), "a full room is still asked when nobody else takes it");
    let everybody: Vec<_> = tables.dispatchers.rows.iter().map(|row| (row.id.as_str(), DispatcherState::Closed)).collect();
    assert!(!chain(&at(&everybody)).is_empty(), "somebody is always asked");
}

#[test]
fn the_last_resort_names_a_room_and_says_that_something_broke() {
    let decision = last_resort(uae());
    let record = record(&uae().tables, &decision);
    assert!(!record.services[0].chain.is_empty() && odd(&record).contains("internal"));
}

#[test]
fn a_compiled_set_decides_as_its_rows_do() {
    for pack in ["routing-tables/uae", "routing-tables/testland"] {
        let loaded = load_or_shipped(Some(&folder(pack))).unwrap();
        let again = compiled::from_bytes(&loaded.bytes).unwrap();
        assert_eq!(again.version, loaded.tables.version);
        let (before, after) = (Snapshot::of(loaded.tables), Snapshot::of(Arc::new(again)));
        for step in 0..2_000_u32 {
            let (lat, lon) = (22.5 + f64::from(step % 50) * 0.08, 51.5 + f64::from(step / 50) * 0.12);
            let (lat, lon) = if pack.ends_with("uae") { (lat, lon) } else { (lat - 22.3, lon - 51.3) };
            let json = format!("{{\"id\":\"t\",\"lat\":{lat},\"lon\":{lon},\"uncertainty_m\":{},\"text\":\"fire\"}}", step % 900);
            assert_eq!(decide(&before, &json), decide(&after, &json), "{json}");
        }
    }
}

#[test]
fn bytes_that_are_no_table_set_are_refused_with_the_reason() {
    let bytes = load_or_shipped(Some(&folder("routing-tables/testland"))).unwrap().bytes;
    assert_eq!(compiled::from_bytes(b"hello").unwrap_err(), CompiledError::NotTables);
    for cut in [9, 47, 48, 60, bytes.len() / 2, bytes.len() - 1] {
        assert!(compiled::from_bytes(&bytes[..cut]).is_err(), "cut at {cut}");
    }
    for at in (48..bytes.len()).step_by(bytes.len() / 97) {
        let mut flipped = bytes.clone();
        flipped[at] ^= 4;
        assert!(compiled::from_bytes(&flipped).is_err(), "flipped at {at}");
    }
}

#[test]
fn a_set_without_a_fallback_is_refused_by_name() {
    let mut files = read_folder(&folder("routing-tables/testland")).unwrap();
    let policies = String::from_utf8(files["policies.csv"].clone()).unwrap();
    files.insert("policies.csv".into(), policies.replace("SAR-90", "#SAR-90").into_bytes());
    let defects = najda::tables::build::build(&files).unwrap_err();
    assert!(defects.iter().any(|defect| defect.code == "service_without_fallback" && defect.file == "policies.csv"), "{defects:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn whatever_became_a_contact_gets_a_dispatcher(
        lat in -95.0..95.0_f64, lon in -190.0..190.0_f64, near in any::<bool>(), radius in 0.0..3e6_f64,
        text in ".{0,80}", line in "[+0-9 a-z]{0,20}", cell in "[0-9A-Fx]{0,22}", dialled in "[0-9+]{0,6}", makani in "[0-9 ]{0,12}",
        opening in -10.0..400.0_f64, inner in 0.0..5e4_f64,
    ) {
        let (lat, lon) = if near { (22.5 + (lat + 95.0) / 45.0, 51.0 + (lon + 190.0) / 65.0) } else { (lat, lon) };
        let json = serde_json::json!({
            "id": "p", "lat": lat, "lon": lon, "uncertainty_m": radius, "text": text, "line": line, "cell": cell, "dialled": dialled,
            "makani": makani,
            "shape": { "type": "ArcBand", "center": [lon, lat], "inner_m": inner, "outer_m": radius,
                       "opening_deg": opening, "start_deg": inner },
        });
        for snapshot in [uae(), testland()] {
            let read = read_contact(json.to_string().as_bytes(), Name::new("p").unwrap(), ContactId(1), Timestamp::from_secs(1)).unwrap();
            let decision = route(snapshot, &read.contact, read.contact.received);
            prop_assert!(decision.test || decision.services.iter().filter(|one| one.lead).count() == 1);
            prop_assert!(decision.services.iter().all(|one| !one.chain.is_empty()));
            prop_assert_eq!(&decision, &route(snapshot, &read.contact, read.contact.received), "the same again");
        }
    }
}
