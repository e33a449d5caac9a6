//! One behaviour a test: what a call, a place, an alert or a phone's report must come out as.

use najda::units::Timestamp;
use najda::wire::reading::{self, Kind};
use serde_json::{Value, json};

use super::forge::{Car, NOW, differences, invite, packed, pidf, point, read, read_at};

fn check(kind: Kind, bytes: &[u8], expected: Value) {
    let found = read(kind, bytes);
    let wrong = differences(&expected, &found, "");
    assert!(wrong.is_empty(), "{wrong:?} in {found}");
}

/// The same call under another request URI.
fn dialled(uri: &str) -> Vec<u8> {
    let text = String::from_utf8(invite("", &point(25.1, 55.2))).unwrap();
    text.replacen("INVITE urn:service:sos SIP", &format!("INVITE {uri} SIP"), 1).into_bytes()
}

#[test]
fn the_same_number_is_heard_however_it_is_spelled() {
    for uri in ["sip:998@h", "tel:998", "sip:9-9-8@h;user=phone", "sip:%39%39%38@h", "sips:998;phone-context=+971@h:5061", "TEL:(9)98"] {
        check(Kind::Sip, &dialled(uri), json!({"number": "998", "outcome": "routed"}));
    }
    check(Kind::Sip, &dialled("URN:Service:SOS.Fire"), json!({"urn": "urn:service:sos.fire"}));
    check(Kind::Sip, &dialled("urn:service:test.sos.police"), json!({"test_call": true, "outcome": "routed"}));
    check(Kind::Sip, &dialled("sip:999%00@h"), json!({"route": "default service", "outcome": "routed"}));
}

#[test]
fn a_number_in_the_route_counts_when_the_request_uri_has_none() {
    let call = String::from_utf8(dialled("sip:router.example;lr")).unwrap();
    let routed = call.replacen("Max-Forwards", "Route: <sip:core.example;lr>, <sip:997@router.example;lr>\r\nMax-Forwards", 1);
    check(Kind::Sip, routed.as_bytes(), json!({"number": "997", "discrepancies": ["target_from_route"]}));
    check(Kind::Sip, call.as_bytes(), json!({"route": "default service"}));
}

#[test]
fn whoever_the_network_vouches_for_is_the_caller() {
    let with = |headers: &str| read(Kind::Sip, &invite(headers, &point(25.1, 55.2)))["caller"].clone();
    assert_eq!(with(""), "+971501234567");
    assert_eq!(with("P-Asserted-Identity: \"A, B\" <sip:ops@pbx.example>, <tel:+971-4-200>\r\n"), "+9714200");
    assert_eq!(
        with("Remote-Party-ID: <sip:+97150@gw>;party=calling\r\nP-Asserted-Identity: <sip:anonymous@anonymous.invalid>\r\n"),
        "+97150"
    );
    let hidden = String::from_utf8(invite("Privacy: id\r\n", &point(25.1, 55.2))).unwrap();
    let hidden = hidden.replace("<sip:+971501234567@net.example>", "\"Anonymous\" <sip:anonymous@anonymous.invalid>");
    check(Kind::Sip, hidden.as_bytes(), json!({"caller": null, "outcome": "routed"}));
}

#[test]
fn the_place_a_call_names_is_believed_first() {
    let (near, far) = (pidf(&point(25.1, 55.2)), pidf(&point(24.4, 54.4)));
    let call = |headers: &str, first: &str, second: &str| {
        let body = format!(
            "--c\r\nContent-Type: application/pidf+xml\r\nContent-ID: <1@x>\r\n\r\n{first}\r\n--c\r\nContent-Type: application/pidf+xml\r\n\
             Content-ID: <2@x>\r\n\r\n{second}\r\n--c--\r\n"
        );
        format!(
            "INVITE sip:999@h SIP/2.0\r\nVia: SIP/2.0/UDP g;branch=z9hG4bK2\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\nCall-ID: 2\r\n\
             CSeq: 1 INVITE\r\n{headers}Content-Type: multipart/mixed;boundary=c\r\n\r\n{body}"
        )
        .into_bytes()
    };
    let at = |headers: &str, first: &str, second: &str| read(Kind::Sip, &call(headers, first, second))["location"]["lat"].clone();
    assert_eq!(at("Geolocation: <cid:2@x>\r\n", &far, &near), 25.1);
    assert_eq!(at("Geolocation: <https://lis.example/1>\r\nGEOLOCATION: cid:2%40x;inserted-by=\"a,b\"\r\n", &far, &near), 25.1);
    assert_eq!(at("Geolocation: <cid:none@x>\r\n", &near, &far), 25.1);
    assert_eq!(at("", &far, &near), 25.1, "without a header the last counts");
    assert_eq!(at("Geolocation: <cid:1@x>\r\n", "<presence", &near), 25.1, "a broken one leaves the other");
}

#[test]
fn references_are_kept_when_they_could_be_fetched_and_refused_when_not() {
    let call = |value: &str| {
        let text = String::from_utf8(invite("", &point(25.1, 55.2))).unwrap();
        read(Kind::Sip, text.replace("<cid:l@x>", value).as_bytes())
    };
    assert_eq!(call("<cid:l@x>, <https://lis.example/9>")["location"]["ref"], "https://lis.example/9");
    for value in ["<http://169.254.169.254/x>", "<file:///etc/passwd>", "<gopher://x>", "nonsense"] {
        let found = call(value);
        assert!(found["location"]["ref"].is_null() && found["discrepancies"][0] == "reference_refused", "{value}: {found}");
    }
}

#[test]
fn devices_come_before_tuples_and_tuples_before_persons() {
    let holder = |name: &str, ns: &str, lat: f64| {
        let place = point(lat, 55.0);
        format!(
            r#"<{name} xmlns="{ns}"><geopriv xmlns="urn:ietf:params:xml:ns:pidf:geopriv10">
            <location-info>{place}</location-info></geopriv></{name}>"#
        )
    };
    let model = "urn:ietf:params:xml:ns:pidf:data-model";
    let (device, person) = (holder("device", model, 1.0), holder("person", model, 3.0));
    let tuple = holder("tuple", "urn:ietf:params:xml:ns:pidf", 2.0);
    let lat = |holders: &str| {
        let text = format!(r#"<presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:g="http://www.opengis.net/gml">{holders}</presence>"#);
        read(Kind::Pidf, text.as_bytes())["location"]["lat"].clone()
    };
    assert_eq!(lat(&format!("{person}{tuple}{device}")), 1.0);
    assert_eq!(lat(&format!("{person}{tuple}")), 2.0);
    let unusable = device.replace("1 55", "91 55");
    assert_eq!(lat(&format!("{unusable}{person}")), 3.0, "the best that can be used");
}

#[test]
fn spellings_of_the_coordinate_system_mean_the_same() {
    for name in [
        "EPSG:4326",
        "EPSG::4326",
        "urn:ogc:def:crs:EPSG::4326",
        "urn:ogc:def:crs:EPSG:6.6:4326",
        "http://www.opengis.net/gml/srs/epsg.xml#4326",
    ] {
        let place = point(25.1, 55.2).replace("urn:ogc:def:crs:EPSG::4326", name);
        check(Kind::Pidf, pidf(&place).as_bytes(), json!({"location": {"lat": 25.1, "lon": 55.2}, "discrepancies": []}));
    }
    for name in ["urn:ogc:def:crs:EPSG::32640", "EPSG:3857", "4326 metres"] {
        let place = point(25.1, 55.2).replace("urn:ogc:def:crs:EPSG::4326", name);
        check(Kind::Pidf, pidf(&place).as_bytes(), json!({"location": null, "outcome": "dropped", "discrepancies": ["srs_unknown"]}));
    }
}

#[test]
fn an_arc_band_says_where_its_band_is_and_not_its_mast() {
    let band = r#"<s:ArcBand srsName="EPSG:4326"><g:pos>25.0 55.0</g:pos><s:innerRadius>1000</s:innerRadius>
            <s:outerRadius>3000</s:outerRadius><s:startAngle>80</s:startAngle><s:openingAngle>20</s:openingAngle>
            </s:ArcBand>"#;
    let reading = reading::read(Kind::Pidf, pidf(band).as_bytes(), NOW);
    let at = reading.stated.unwrap().shape.representative();
    assert!(at.lon_degrees() > 55.009 && (at.lat_degrees() - 25.0).abs() < 0.005, "{at:?}");
}

#[test]
fn a_car_that_vouches_for_its_place_wins_over_a_wide_document() {
    let call = |car: &Car, place: &str| {
        let text = String::from_utf8(invite("", place)).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let head: String = head.lines().filter(|line| !line.starts_with("Content-")).map(|line| format!("{line}\r\n")).collect();
        let mut out = format!(
            "{head}Content-Type: multipart/mixed;boundary=c\r\n\r\n\
             --c\r\nContent-Type: application/pidf+xml\r\nContent-ID: <l@x>\r\n\r\n{body}\r\n\
             --c\r\nContent-Type: application/EmergencyCallData.eCall.MSD\r\n\r\n"
        )
        .into_bytes();
        out.extend(car.bytes());
        out.extend(b"\r\n--c--\r\n");
        read(Kind::Sip, &out)
    };
    let wide = r#"<s:Circle srsName="EPSG:4326"><g:pos>24 54</g:pos><s:radius>9000</s:radius></s:Circle>"#;
    assert_eq!(call(&Car::default(), wide)["location"]["source"], "msd");
    assert_eq!(call(&Car { trusted: false, ..Car::default() }, wide)["location"]["lat"], 24.0);
    assert_eq!(call(&Car::default(), &point(24.0, 54.0))["location"]["lat"], 24.0, "a sharp document stays");
    assert_eq!(call(&Car { lat_mas: i32::MAX, ..Car::default() }, wide)["location"]["lat"], 24.0, "a car that does not know");
    assert_eq!(call(&Car { test: true, ..Car::default() }, wide)["test_call"], true);
}

#[test]
fn a_car_of_every_version_is_read_and_a_bad_one_says_why() {
    for version in 1..=3 {
        let car = Car { version, ..Car::default() };
        check(
            Kind::Msd,
            &car.bytes(),
            json!({"outcome": "routed", "msd": {"version": version, "passengers": 3, "lat": 25.2, "lon": 55.3}}),
        );
        let bytes = car.bytes();
        for cut in 0..bytes.len() - 1 {
            let found = read(Kind::Msd, &bytes[..cut]);
            assert_eq!(found["outcome"], "rejected", "version {version} cut to {cut}");
        }
    }
    check(Kind::Msd, &[9; 40], json!({"outcome": "rejected", "error": "msd_version_unknown"}));
    check(Kind::Msd, &[2; 400], json!({"outcome": "rejected", "error": "msd_too_long"}));
}

#[test]
fn an_alert_that_has_expired_is_logged_and_not_raised() {
    let alert = |fields: &str| {
        format!(r#"<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2"><identifier>a</identifier>{fields}</alert>"#).into_bytes()
    };
    let expiring = alert("<info><expires>2026-02-01T12:00:30+04:00</expires></info>");
    assert_eq!(read(Kind::Cap, &expiring)["outcome"], "dropped");
    assert_eq!(read_at(Kind::Cap, &expiring, Timestamp::from_secs(1_769_932_800))["outcome"], "routed");
    check(Kind::Cap, &alert("<msgType>Ack</msgType>"), json!({"outcome": "dropped"}));
    check(
        Kind::Cap,
        &alert("<msgType>Cancel</msgType><references>x</references>"),
        json!({"outcome": "routed", "cap": {"references": "x"}}),
    );
    check(Kind::Cap, &alert("<status>Exercise</status>"), json!({"test_call": true}));
    check(Kind::Cap, b"<other/>", json!({"outcome": "rejected", "status": 400}));
}

#[test]
fn every_error_of_a_lost_request_has_its_name() {
    let ask = |root: &str, inside: &str| {
        format!(r#"<{root} xmlns="urn:ietf:params:xml:ns:lost1" xmlns:g="http://www.opengis.net/gml">{inside}</{root}>"#)
    };
    let service = "<service>urn:service:sos</service>";
    let place = |profile: &str| format!(r#"<location profile="{profile}">{}</location>"#, point(25.1, 55.2));
    let civic = r#"<location profile="civic"><civicAddress xmlns="urn:ietf:params:xml:ns:pidf:geopriv10:civicAddr"><A1>X</A1>
            </civicAddress></location>"#;
    for (text, outcome, error) in [
        (ask("findService", &format!("{}{service}", place("geodetic-2d"))), "routed", json!(null)),
        (ask("findService", &format!("{civic}{service}")), "routed", json!(null)),
        (ask("findService", &place("geodetic-2d")), "rejected", json!("badRequest")),
        (ask("findService", &format!("{}{service}", place("x"))), "rejected", json!("locationProfileUnrecognized")),
        (ask("findService", &format!("{}{service}", place("geodetic-2d").replace("25.1", "95.1"))), "rejected", json!("locationInvalid")),
        (
            ask("findService", &format!("{}<service>urn:service:food</service>", place("geodetic-2d"))),
            "rejected",
            json!("serviceNotImplemented"),
        ),
        (
            ask("findService", &format!("{}{service}<path><via source=\"US.example\"/></path>", place("geodetic-2d"))),
            "rejected",
            json!("loop"),
        ),
        (ask("listServices", service), "answered", json!(null)),
        (ask("listServicesByLocation", &place("geodetic-2d")), "answered", json!(null)),
        (ask("getServiceBoundary", ""), "answered", json!(null)),
        (ask("errors", "<notFound/>"), "dropped", json!(null)),
        ("not xml".into(), "rejected", json!("badRequest")),
    ] {
        let request = format!("POST /lost HTTP/1.1\r\nHost: us.example:8080\r\n\r\n{text}");
        let found = read(Kind::Lost, request.as_bytes());
        assert_eq!((&found["outcome"], &found["error"]), (&json!(outcome), &error), "{text}");
    }
}

#[test]
fn an_answer_of_a_lost_server_says_whom_to_call() {
    let text = br#"<findServiceResponse xmlns="urn:ietf:params:xml:ns:lost1"><mapping source="s">
            <service>urn:service:sos.fire</service><serviceBoundary profile="geodetic-2d"/><uri>sip:a@b</uri>
            <uri>sips:c@d</uri></mapping><path><via source="x"/></path></findServiceResponse>"#;
    check(
        Kind::Lost,
        text,
        json!({"outcome": "dropped", "urn": "urn:service:sos.fire", "lost": {"uris": ["sip:a@b", "sips:c@d"], "path": ["x"]}}),
    );
}

#[test]
fn a_phone_without_a_place_or_with_two_has_none() {
    for text in [
        "A\"ML=1;lt=+00.00000;lg=+000.00000;rd=N",
        "A\"ML=1;lt=1;lg=2;rd=3;pm=N",
        "A\"ML=1;lt=1;lt=2;lg=3;rd=4",
        "A\"ML=2;lo=1",
        "A\"ML=1;lt=91;lg=2",
    ] {
        check(Kind::AmlSms, text.as_bytes(), json!({"location": null, "outcome": "dropped"}));
        check(Kind::AmlSms, &packed(text), json!({"location": null, "outcome": "dropped"}));
    }
    let same = b"A\"ML=1;lt=1;lt=1;lg=3;rd=4";
    check(Kind::AmlSms, same, json!({"location": {"lat": 1.0}}));
    check(Kind::AmlHttp, b"location_latitude=1&location_longitude=2&location_latitude=3", json!({"location": null, "status": 200}));
    check(
        Kind::AmlHttp,
        br#"{"location_latitude": 1.5, "location_longitude": "2", "x": [{"y": [1]}], "z": null}"#,
        json!({"location": {"lat": 1.5}}),
    );
}

#[test]
fn several_text_messages_in_one_file_are_several() {
    let file = b"A\"ML=1;lt=1;lg=2;rd=3\r\n\r\nA\"ML=1;lt=4;lg=5;rd=6\n";
    assert_eq!(reading::messages(Kind::AmlSms, file).count(), 2);
    assert_eq!(reading::messages(Kind::Sip, b"\n\n\n").count(), 1);
}

#[test]
fn keepalives_callbacks_and_requests_inside_a_dialog_are_no_new_calls() {
    let call = |from: &str, to: &str| {
        let text = String::from_utf8(invite("", &point(25.1, 55.2))).unwrap();
        read(Kind::Sip, text.replace(from, to).as_bytes())
    };
    assert_eq!(call("INVITE", "OPTIONS")["outcome"], "answered");
    assert_eq!(call("To: <urn:service:sos>", "Priority: psap-callback\r\nTo: <urn:service:sos>")["callback"], true);
    let inside = call("To: <urn:service:sos>", "To: <urn:service:sos>;tag=9");
    assert_eq!((&inside["in_dialog"], &inside["status"]), (&json!(true), &json!(481)));
    assert_eq!(call("INVITE", "REGISTER")["status"], 405);
    assert_eq!(call("INVITE", "FROBNICATE")["status"], 501);
    assert_eq!(call("INVITE", "INFO")["outcome"], "routed");
}

#[test]
fn escapes_of_a_terminal_stay_inside_their_line() {
    let found = reading::read(Kind::Sip, &invite("", &point(25.1, 55.2)), NOW);
    let mut hostile = found;
    hostile.text = Some("\u{1b}[31m\r\nroute=ok\u{7}".into());
    let line = Value::Object(najda::wire::reading_json::object(&hostile)).to_string();
    assert!(line.bytes().all(|byte| !byte.is_ascii_control()), "{line}");
}
