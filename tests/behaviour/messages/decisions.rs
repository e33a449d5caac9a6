//! What was read becomes a contact, and the contact a decision on the shipped tables.

use najda::contact::Contact;
use najda::edge::tables::load_or_shipped;
use najda::route::{record, route};
use najda::tables::snapshot::Snapshot;
use najda::units::{ContactId, Name};
use najda::wire::reading::{self, Kind, Receipt};

use super::forge::{Car, NOW, invite, pidf, point, seeds};

fn contact(kind: Kind, bytes: &[u8]) -> Contact {
    let receipt = Receipt { id: ContactId(1), gateway: Name::new("t").unwrap(), trunk: None, received: NOW };
    reading::read(kind, bytes, NOW).contact(receipt).unwrap()
}

/// Area, lead service and whether it is a test.
fn decided(contact: &Contact) -> (Option<String>, Option<String>, bool) {
    let snapshot = Snapshot::of(load_or_shipped(None).unwrap().tables);
    let record = record(&snapshot.tables, &route(&snapshot, contact, NOW));
    let lead = record.services.iter().find(|service| service.lead).map(|service| service.service.to_string());
    (record.area.map(|area| area.to_string()), lead, record.test)
}

#[test]
fn the_same_place_has_the_same_owner_through_every_door() {
    let place = point(25.2048, 55.2708);
    let lost = format!(
        r#"<findService xmlns="urn:ietf:params:xml:ns:lost1" xmlns:g="http://www.opengis.net/gml">
            <location profile="geodetic-2d">{place}</location><service>urn:service:sos</service></findService>"#
    );
    for (kind, bytes) in [
        (Kind::Sip, invite("", &place)),
        (Kind::Pidf, pidf(&place).into_bytes()),
        (Kind::Lost, lost.into_bytes()),
        (Kind::AmlSms, b"A\"ML=1;lt=25.2048;lg=55.2708;rd=10".to_vec()),
        (Kind::AmlHttp, b"location_latitude=25.2048&location_longitude=55.2708&location_accuracy=10".to_vec()),
        (Kind::Msd, Car { lat_mas: 90_737_280, lon_mas: 198_974_880, ..Car::default() }.bytes()),
    ] {
        assert_eq!(decided(&contact(kind, &bytes)).0.as_deref(), Some("AE-DU"), "{}", kind.word());
    }
}

#[test]
fn every_seed_that_is_routed_becomes_a_contact_with_a_lead() {
    let mut count = 0;
    for (name, kind, bytes) in seeds() {
        let receipt = Receipt { id: ContactId(1), gateway: Name::new("t").unwrap(), trunk: None, received: NOW };
        if let Some(contact) = reading::read(kind, &bytes, NOW).contact(receipt) {
            count += 1;
            assert!(decided(&contact).1.is_some(), "{name}");
        }
    }
    println!("seeds decided: {count}");
    assert!(count >= 14);
}

#[test]
fn a_test_by_any_mark_reaches_no_live_dispatcher() {
    let urn = String::from_utf8(invite("", &point(25.2, 55.3))).unwrap().replace("urn:service:sos", "urn:service:test.sos");
    assert!(decided(&contact(Kind::Sip, urn.as_bytes())).2);
    assert!(decided(&contact(Kind::Msd, &Car { test: true, ..Car::default() }.bytes())).2);
    let alert =
        br#"<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2"><status>Test</status><info><category>Fire</category></info></alert>"#;
    assert!(decided(&contact(Kind::Cap, alert)).2);
}

#[test]
fn a_verified_panel_goes_to_civil_defence() {
    let (_, kind, bytes) = seeds().into_iter().find(|(name, ..)| name == "panel.sip").unwrap();
    assert_eq!(decided(&contact(kind, &bytes)).1.as_deref(), Some("civil_defence"));
}
