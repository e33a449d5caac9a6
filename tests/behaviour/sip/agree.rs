//! One caller at one place, through every door: the same room.

use najda::client::http::HttpClient;
use najda::contact::{ClaimSource, Contact, ContactKey, Door, LocationClaim, Place, Signal, Whose};
use najda::deliver::GatewayHears;
use najda::geo::point::Point;
use najda::service::ServiceUrn;
use najda::units::{ContactId, Ppm, Timestamp};

use super::*;
use crate::running::{heard, post};

const PLACES: u64 = 240;
const URNS: [&str; 5] =
    ["urn:service:sos", "urn:service:sos.police", "urn:service:sos.ambulance", "urn:service:sos.fire", "urn:service:sos.marine"];

/// SplitMix64: the seed and the commit reproduce a run.
struct Places(u64);

impl Places {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A place in and around the country, to the millionth of a degree.
    fn place(&mut self) -> (f64, f64) {
        let mut degrees = |low: i64, high: i64| (low + (self.next() % (high - low) as u64) as i64) as f64 / 1e6;
        (degrees(200_000, 1_100_000), degrees(200_000, 1_500_000))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_place_has_the_same_room_through_every_door() {
    const SEED: u64 = 20_261_122;
    println!("seed {SEED}, {PLACES} places");
    let telephony = Telephony::start().await;
    let (phone, app, lost) = (telephony.phone().await, telephony.running.app(), telephony.running.with_token(None));
    let (gateway, mut hears) = telephony.running.gateway("gateway/g1").await;
    let uri_of = |dispatcher: &str| {
        let tables = &telephony.running.node.core().snapshot().tables;
        tables.dispatchers.get(tables.dispatchers.find(dispatcher).unwrap()).unwrap().uri.to_string()
    };
    let mut places = Places(SEED);
    let mut rooms = std::collections::BTreeSet::new();
    for n in 0..PLACES {
        let ((lat, lon), urn) = (places.place(), URNS[(places.next() % URNS.len() as u64) as usize]);
        let by_sip = phone.ask(Call { uri: urn, body: place(lat, lon), ..call(&format!("{n}@gw")) }.bytes()).await;
        let by_sip = by_sip.targets()[0].to_owned();
        let by_lost = by_lost(&lost, urn, lat, lon).await;
        let body = format!(r#"{{"id":"{n}","door":"sip-voice","line":"+99955512345","lat":{lat},"lon":{lon},"urn":"{urn}"}}"#);
        let (_, answer) = post(&app, &body).await;
        let by_http = uri_of(answer["targets"][0]["dispatcher"].as_str().unwrap());
        gateway.send(by_quic(n, urn, lat, lon)).await.unwrap();
        let by_quic = loop {
            if let GatewayHears::Targets { targets, .. } = heard(&mut hears).await {
                break targets[0].uri.to_string();
            }
        };
        assert_eq!([&by_lost, &by_http, &by_quic], [&by_sip; 3], "seed {SEED}, place {n}: {lat} {lon} {urn}");
        rooms.insert(by_sip);
    }
    assert!(rooms.len() > 6, "the places are too alike to show anything: {rooms:?}");
}

async fn by_lost(client: &HttpClient, urn: &str, lat: f64, lon: f64) -> String {
    let request = format!(
        "<findService xmlns=\"urn:ietf:params:xml:ns:lost1\"><location id=\"a\" profile=\"geodetic-2d\">\
         <Point xmlns=\"http://www.opengis.net/gml\" srsName=\"urn:ogc:def:crs:EPSG::4326\"><pos>{lat} {lon}</pos></Point></location>\
         <service>{urn}</service></findService>"
    );
    let answer = client.post("/lost", "application/lost+xml", request).await.unwrap();
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    text.split_once("<uri>").and_then(|(_, rest)| rest.split_once("</uri>")).unwrap_or_else(|| panic!("{text}")).0.to_owned()
}

fn by_quic(n: u64, urn: &str, lat: f64, lon: f64) -> Contact {
    let key = ContactKey { gateway: name("g1"), gateway_ref: n.to_string().into() };
    let mut contact = Contact::new(ContactId(u128::from(n) + 1), key, Timestamp::from_secs(1), Door::SipVoice);
    contact.line = Some("+99955512345".into());
    let place = Place::point(Point::from_degrees(lat, lon).unwrap());
    let claim = LocationClaim { whose: Whose::Caller, place, source: ClaimSource::DeviceFix, age_secs: 0, confidence: Ppm(950_000) };
    contact.claims.push(claim);
    contact.signals.push(Signal::Urn(ServiceUrn::parse(urn).unwrap()));
    contact
}
