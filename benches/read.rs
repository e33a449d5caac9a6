//! How long a message takes to be read, before anything can be decided. The longest that is accepted must stay under a millisecond;
//! it is measured here and asserted nowhere, because machines differ.
//!
//! `read/floor_utf8` checks the same bytes for being text: nothing reads them faster.

#![allow(clippy::disallowed_methods, reason = "a test or a measurement reads the clock")]

use criterion::{Criterion, criterion_group, criterion_main};
use najda::limits::{PIDF_PARTS_MAX, SIP_BYTES_MAX, SIP_HEADERS_MAX, XML_ELEMENTS_MAX};
use najda::units::Timestamp;
use najda::wire::reading::{self, Kind, Outcome};

const NOW: Timestamp = Timestamp::from_secs(1_769_932_860);

/// A call around a body of this type.
fn invite(headers: &str, kind: &str, body: &str) -> Vec<u8> {
    format!(
        "INVITE urn:service:sos SIP/2.0\r\nVia: SIP/2.0/UDP gw.example;branch=z9hG4bKb\r\nFrom: <sip:+971501234567@net.example>;tag=b\r\n\
         To: <urn:service:sos>\r\nCall-ID: b@gw.example\r\nCSeq: 1 INVITE\r\n{headers}Geolocation: <cid:l@x>\r\nContent-ID: <l@x>\r\n\
         Content-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

fn pidf(place: &str) -> String {
    format!(
        r#"<presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:g="http://www.opengis.net/gml" xmlns:s="http://www.opengis.net/pidflo/1.0">
            <tuple id="t"><status><geopriv xmlns="urn:ietf:params:xml:ns:pidf:geopriv10">
            <location-info>{place}</location-info></geopriv></status></tuple></presence>"#
    )
}

/// Nearly as many bytes as a message may have, in the ways that cost most.
fn longest() -> Vec<(&'static str, Vec<u8>)> {
    let room = SIP_BYTES_MAX - 2_048;
    let point = r#"<g:Point srsName="EPSG:4326"><g:pos>25.2 55.3</g:pos></g:Point>"#;
    let list = "25.2345678 55.3456789 ".repeat(room / 22);
    let polygon = format!(
        r#"<g:Polygon srsName="EPSG:4326"><g:exterior><g:LinearRing><g:posList>{list}</g:posList></g:LinearRing></g:exterior></g:Polygon>"#
    );
    let elements = "<x a=\"b\"/>".repeat((room / 10).min(XML_ELEMENTS_MAX - 32));
    let headers = format!("X-Filler: {}\r\n", "a".repeat(200)).repeat(SIP_HEADERS_MAX - 16);
    let parts = "--c\r\nContent-Type: text/plain\r\n\r\nx\r\n".repeat(30) + &"x".repeat(room / 2) + "\r\n--c--\r\n";
    // Four documents whose every element looks for its namespace, and none says where.
    let bindings: String = (0..48).map(|at| format!("xmlns:b{at}=\"urn:example:{at}\" ")).collect();
    let nowhere = pidf(&format!("<z {bindings}>{}</z>", "<b0:x a=\"b\"/>".repeat(XML_ELEMENTS_MAX - 32)));
    let document = format!("--c\r\nContent-Type: application/pidf+xml\r\n\r\n{nowhere}\r\n");
    let documents = document.repeat(PIDF_PARTS_MAX) + "--c--\r\n";
    vec![
        ("documents", invite("", "multipart/mixed;boundary=c", &documents)),
        ("polygon", invite("", "application/pidf+xml", &pidf(&polygon))),
        ("elements", invite("", "application/pidf+xml", &pidf(&format!("{point}{elements}")))),
        ("headers", invite(&headers, "application/pidf+xml", &pidf(point))),
        ("parts", invite("", "multipart/mixed;boundary=c", &parts)),
    ]
}

fn read(c: &mut Criterion) {
    let point = r#"<g:Point srsName="EPSG:4326"><g:pos>25.2 55.3</g:pos></g:Point>"#;
    let everyday = invite("P-Asserted-Identity: <tel:+971501234567>\r\n", "application/pidf+xml", &pidf(point));
    let mut all = vec![("everyday", everyday)];
    all.extend(longest());
    for (name, bytes) in &all {
        assert!(bytes.len() <= SIP_BYTES_MAX, "{name} has {} bytes", bytes.len());
        c.bench_function(&format!("read/{name}"), |b| {
            b.iter(|| {
                let reading = reading::read(Kind::Sip, std::hint::black_box(bytes), NOW);
                assert_eq!(reading.outcome, Outcome::Routed);
                reading
            });
        });
    }
    let (_, longest) = &all[2];
    c.bench_function("read/floor_utf8", |b| b.iter(|| std::str::from_utf8(std::hint::black_box(longest)).is_ok()));
}

criterion_group!(benches, read);
criterion_main!(benches);
