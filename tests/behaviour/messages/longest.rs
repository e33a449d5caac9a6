//! The longest messages of each kind that are accepted, in the ways that cost most. For the bench that times reading them and the test
//! that counts what is allocated for it.

use najda::limits::{
    AML_BYTES_MAX, CAP_AREAS_MAX, CAP_INFOS_MAX, DIALOGS_MAX, PIDF_PARTS_MAX, SIP_BYTES_MAX, SIP_HEADERS_MAX, XML_ELEMENTS_MAX,
};
use najda::wire::reading::Kind;

use super::forge::Car;

/// A call around a body of this type.
pub fn call_with(headers: &str, kind: &str, body: &str) -> Vec<u8> {
    format!(
        "INVITE urn:service:sos SIP/2.0\r\nVia: SIP/2.0/UDP gw.example;branch=z9hG4bKb\r\nFrom: <sip:+971501234567@net.example>;tag=b\r\n\
         To: <urn:service:sos>\r\nCall-ID: b@gw.example\r\nCSeq: 1 INVITE\r\n{headers}Geolocation: <cid:l@x>\r\nContent-ID: <l@x>\r\n\
         Content-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

pub const POINT: &str = r#"<g:Point srsName="EPSG:4326"><g:pos>25.2 55.3</g:pos></g:Point>"#;

pub fn document(place: &str) -> String {
    format!(
        r#"<presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:g="http://www.opengis.net/gml" xmlns:s="http://www.opengis.net/pidflo/1.0">
            <tuple id="t"><status><geopriv xmlns="urn:ietf:params:xml:ns:pidf:geopriv10">
            <location-info>{place}</location-info></geopriv></status></tuple></presence>"#
    )
}

/// Nearly as many bytes as a message may have.
pub fn longest() -> Vec<(&'static str, Kind, Vec<u8>)> {
    let mut all = calls();
    all.extend(places());
    all.extend(others());
    all
}

fn polygon() -> String {
    let list = "25.2345678 55.3456789 ".repeat((SIP_BYTES_MAX - 2_048) / 22);
    let ring = format!("<g:exterior><g:LinearRing><g:posList>{list}</g:posList></g:LinearRing></g:exterior>");
    format!(r#"<g:Polygon srsName="EPSG:4326">{ring}</g:Polygon>"#)
}

fn calls() -> Vec<(&'static str, Kind, Vec<u8>)> {
    let room = SIP_BYTES_MAX - 2_048;
    let elements = "<x a=\"b\"/>".repeat((room / 10).min(XML_ELEMENTS_MAX - 32));
    let headers = format!("X-Filler: {}\r\n", "a".repeat(200)).repeat(SIP_HEADERS_MAX - 16);
    let parts = "--c\r\nContent-Type: text/plain\r\n\r\nx\r\n".repeat(30) + &"x".repeat(room / 2) + "\r\n--c--\r\n";
    // Four documents whose every element looks for its namespace, and none says where.
    let bindings: String = (0..48).map(|at| format!("xmlns:b{at}=\"urn:example:{at}\" ")).collect();
    let nowhere = document(&format!("<z {bindings}>{}</z>", "<b0:x a=\"b\"/>".repeat(XML_ELEMENTS_MAX - 32)));
    let documents = format!("--c\r\nContent-Type: application/pidf+xml\r\n\r\n{nowhere}\r\n").repeat(PIDF_PARTS_MAX) + "--c--\r\n";
    let histories = format!("History-Info: {}\r\n", "<sip:100@pbx.example>;index=1,".repeat(250)).repeat(7);
    vec![
        ("sip_documents", Kind::Sip, call_with("", "multipart/mixed;boundary=c", &documents)),
        ("sip_polygon", Kind::Sip, call_with("", "application/pidf+xml", &document(&polygon()))),
        ("sip_elements", Kind::Sip, call_with("", "application/pidf+xml", &document(&format!("{POINT}{elements}")))),
        ("sip_headers", Kind::Sip, call_with(&headers, "application/pidf+xml", &document(POINT))),
        ("sip_histories", Kind::Sip, call_with(&histories, "application/pidf+xml", &document(POINT))),
        ("sip_parts", Kind::Sip, call_with("", "multipart/mixed;boundary=c", &parts)),
    ]
}

fn places() -> Vec<(&'static str, Kind, Vec<u8>)> {
    let find = format!(
        r#"<findService xmlns="urn:ietf:params:xml:ns:lost1" xmlns:g="http://www.opengis.net/gml">
           <location id="a" profile="geodetic-2d">{}</location><service>urn:service:sos</service></findService>"#,
        polygon()
    );
    let held = format!(r#"<locationResponse xmlns="urn:ietf:params:xml:ns:geopriv:held">{}</locationResponse>"#, document(&polygon()));
    let rings = "<g:pos>25.2 55.3</g:pos>".repeat(XML_ELEMENTS_MAX - 64);
    let ring = format!("<g:Polygon><g:exterior><g:LinearRing>{rings}</g:LinearRing></g:exterior></g:Polygon>");
    vec![
        ("pidf_polygon", Kind::Pidf, document(&polygon()).into_bytes()),
        ("pidf_positions", Kind::Pidf, document(&ring).into_bytes()),
        ("lost_polygon", Kind::Lost, find.into_bytes()),
        ("held_polygon", Kind::Held, held.into_bytes()),
    ]
}

fn others() -> Vec<(&'static str, Kind, Vec<u8>)> {
    let words = "Feuer und Rauch ".repeat(SIP_BYTES_MAX / 16 / (CAP_INFOS_MAX + 2));
    let area = "<area><areaDesc>a</areaDesc><polygon>25.1,55.1 25.2,55.1 25.2,55.2 25.1,55.1</polygon></area>".repeat(CAP_AREAS_MAX);
    let info = format!("<info><language>en</language><event>Fire</event><headline>{words}</headline></info>").repeat(CAP_INFOS_MAX);
    let cap = format!(
        "<alert xmlns=\"urn:oasis:names:tc:emergency:cap:1.2\"><identifier>a</identifier><sender>b</sender><references>{}</references>\
         {info}<info>{area}</info></alert>",
        "s@x,a,2026-01-01T00:00:00+00:00 ".repeat(100)
    );
    let fix = "location_latitude=25.2&location_longitude=55.3&location_accuracy=9&device_number=%2B971501234567";
    let form = format!("{fix}&{}", "x=%20%21&".repeat((AML_BYTES_MAX - fix.len() - 16) / 9));
    let json = format!("{{\"location_latitude\":25.2,\"location_longitude\":55.3,\"x\":[{}1]}}", "1,".repeat(AML_BYTES_MAX / 2 - 64));
    let sms = format!("A\"ML=1;lt=+25.20000;lg=+055.30000;rd=9;{}", "xx=yy;".repeat((AML_BYTES_MAX - 64) / 6));
    vec![
        ("cap_words", Kind::Cap, cap.into_bytes()),
        ("aml_form", Kind::AmlHttp, form.into_bytes()),
        ("aml_json", Kind::AmlHttp, json.into_bytes()),
        ("aml_sms", Kind::AmlSms, sms.into_bytes()),
        ("msd_extensions", Kind::Msd, Car { version: 3, extensions: Some(vec![0xA5; 100]), ..Car::default() }.bytes()),
    ]
}

/// A gateway's report of as many legs as are read, each with as much in it as there is room for.
pub fn longest_report() -> Vec<u8> {
    let room = (SIP_BYTES_MAX - 2_048) / DIALOGS_MAX - 400;
    let leg = format!(
        "<dialog id=\"1\" call-id=\"{}\" local-tag=\"a\" remote-tag=\"b\"><state event=\"rejected\" code=\"486\">terminated</state>\
         <remote><identity>sip:a@b</identity><target uri=\"sip:c@d\"/></remote></dialog>",
        "c".repeat(room)
    );
    format!("<dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\">{}</dialog-info>", leg.repeat(DIALOGS_MAX)).into_bytes()
}
