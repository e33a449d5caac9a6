//! A [`Reading`] as one JSON object: what `najda read` prints, a line a message.
//!
//! Keys that a kind of message cannot have are absent; `location` and `caller` are `null` where they could be there and are not.

use serde_json::{Map, Value, json};

use crate::wire::access::Cell;
use crate::wire::aml::Fix;
use crate::wire::cap::Cap;
use crate::wire::msd::Msd;
use crate::wire::reading::{Kind, Outcome, Reading};
use crate::wire::stated::{Civic, Kind as Shape, Stated};

/// The object, without the name of the file it came from.
pub fn object(reading: &Reading) -> Map<String, Value> {
    let mut out = Map::new();
    out.insert("outcome".into(), json!(reading.outcome.word()));
    match reading.outcome {
        Outcome::Answered { status } => drop(out.insert("status".into(), json!(status))),
        Outcome::Rejected { status, why } => {
            out.insert("status".into(), json!(status));
            out.insert("error".into(), json!(why));
        }
        Outcome::Dropped { why, status } => {
            out.extend(status.map(|status| ("status".into(), json!(status))));
            out.insert("why".into(), json!(why));
        }
        Outcome::Routed => {}
    }
    if matches!(reading.outcome, Outcome::Dropped { status: None, .. }) && reading.method.is_none() && reading.kind == Kind::Sip {
        out.insert("discrepancies".into(), json!(reading.notes.codes()));
        return out;
    }
    identity(reading, &mut out);
    out.insert("location".into(), location(reading));
    evidence(reading, &mut out);
    out.insert("discrepancies".into(), json!(reading.notes.codes()));
    out
}

fn identity(reading: &Reading, out: &mut Map<String, Value>) {
    text(out, "method", reading.method.as_deref());
    text(out, "reference", reading.reference.as_deref());
    text(out, "urn", reading.urn.as_deref());
    text(out, "number", reading.number.as_deref());
    if matches!(reading.kind, Kind::Sip | Kind::AmlHttp) {
        out.insert("caller".into(), json!(reading.caller));
    } else {
        text(out, "caller", reading.caller.as_deref());
    }
    text(out, "imei", reading.imei.as_deref());
    flag(out, "test_call", reading.test_call);
    flag(out, "callback", reading.callback);
    flag(out, "in_dialog", reading.in_dialog);
    text(out, "policy", reading.policy);
    if let Some(cell) = &reading.access.cell {
        out.insert("cell".into(), cell_object(cell));
    }
    text(out, "wlan", reading.access.wlan.as_deref());
    if let Some(cell) = &reading.access.cellular {
        let mut object = cell_object(cell);
        if let (Some(fields), Some(age_s)) = (object.as_object_mut(), cell.age_s) {
            fields.insert("age_s".into(), json!(age_s));
        }
        out.insert("cellular".into(), object);
    }
    text(out, "access", reading.access.kind.as_deref());
    text(out, "operator_gi", reading.access.operator_gi.as_deref());
    let routed = reading.outcome == Outcome::Routed && reading.kind == Kind::Sip;
    if routed && reading.service_urn().is_none() && reading.number.is_none() && reading.cap.is_none() {
        out.insert("route".into(), json!("default service"));
    } else if routed && !reading.has_place() && reading.access.best_cell().is_none() && reading.civic.is_empty() {
        out.insert("route".into(), json!("default"));
    }
}

fn evidence(reading: &Reading, out: &mut Map<String, Value>) {
    list(out, "history", &reading.history);
    list(out, "diversion", &reading.diversion);
    list(out, "media", &reading.media);
    text(out, "language", reading.language.as_deref());
    text(out, "resource_priority", reading.resource_priority.as_deref());
    text(out, "text", reading.text.as_deref());
    if let Some(stir) = &reading.stir {
        let mut object = Map::new();
        text(&mut object, "attest", stir.attest.as_deref());
        text(&mut object, "rph", stir.rph.as_deref());
        object.extend(stir.iat.map(|iat| ("iat".into(), json!(iat))));
        flag_as(&mut object, "verified", false);
        out.insert("stir".into(), Value::Object(object));
    }
    if let Some(msd) = &reading.msd {
        out.insert("msd".into(), msd_object(msd));
    }
    if let Some(cap) = &reading.cap {
        out.insert("cap".into(), cap_object(cap));
    }
    if let Some(lost) = &reading.lost {
        let mut object = Map::new();
        text(&mut object, "profile", lost.profile.as_deref());
        text(&mut object, "location_id", lost.location_id.as_deref());
        text(&mut object, "boundary", lost.boundary.as_deref());
        text(&mut object, "key", lost.key.as_deref());
        flag(&mut object, "recursive", lost.recursive);
        flag(&mut object, "validate", lost.validate);
        list(&mut object, "path", &lost.path);
        list(&mut object, "uris", &lost.uris);
        list(&mut object, "errors", &lost.errors);
        list(&mut object, "unsupported_profiles", &lost.unsupported);
        out.insert("lost".into(), Value::Object(object));
    }
    if let Some(held) = &reading.held {
        let mut object = Map::new();
        text(&mut object, "error", held.error.as_deref());
        text(&mut object, "response_time", held.response_time.as_deref());
        out.insert("held".into(), Value::Object(object));
    }
}

fn location(reading: &Reading) -> Value {
    let mut out = Map::new();
    if let Some((lat, lon)) = reading.msd.as_ref().filter(|_| reading.from_msd).and_then(Msd::position) {
        out.insert("shape".into(), json!("Point"));
        out.insert("lat".into(), json!(lat));
        out.insert("lon".into(), json!(lon));
        out.insert("source".into(), json!("msd"));
    } else if let Some(stated) = &reading.stated {
        stated_fields(stated, &mut out);
        text(&mut out, "found_by", reading.pidf_method.as_deref());
    } else if let Some(fix) = reading.aml.as_ref().and_then(|aml| aml.fix.as_ref()) {
        fix_fields(fix, &mut out);
    } else if let (Some(cap), true) = (&reading.cap, reading.kind == Kind::Cap) {
        cap_place(cap, &mut out);
    }
    if !reading.civic.is_empty() {
        out.insert("civic".into(), civic(&reading.civic));
    }
    text(&mut out, "ref", reading.refs.first().map(|reference| &**reference));
    if out.is_empty() { Value::Null } else { Value::Object(out) }
}

fn stated_fields(stated: &Stated, out: &mut Map<String, Value>) {
    out.insert("shape".into(), json!(stated.kind.word()));
    if matches!(stated.kind, Shape::Polygon | Shape::Prism) {
        out.insert("ring".into(), json!(stated.ring));
        out.insert("centroid".into(), json!([stated.lat, stated.lon]));
    } else {
        out.insert("lat".into(), json!(stated.lat));
        out.insert("lon".into(), json!(stated.lon));
    }
    for (key, value) in [
        ("radius_m", stated.radius_m),
        ("semi_major_m", stated.semi_major_m),
        ("semi_minor_m", stated.semi_minor_m),
        ("vertical_m", stated.vertical_m),
        ("orientation_deg", stated.orientation_deg),
        ("inner_m", stated.inner_m),
        ("outer_m", stated.outer_m),
        ("start_deg", stated.start_deg),
        ("opening_deg", stated.opening_deg),
        ("height_m", stated.height_m),
        ("alt_m", stated.alt_m),
        ("confidence", stated.confidence),
    ] {
        out.extend(value.map(|value| (key.into(), json!(value))));
    }
}

fn fix_fields(fix: &Fix, out: &mut Map<String, Value>) {
    let shape = if fix.radius_m.is_some_and(|radius_m| radius_m > 0.0) { "Circle" } else { "Point" };
    out.insert("shape".into(), json!(shape));
    out.insert("lat".into(), json!(fix.lat));
    out.insert("lon".into(), json!(fix.lon));
    out.extend(fix.radius_m.map(|radius_m| ("radius_m".into(), json!(radius_m))));
    out.insert("confidence".into(), json!(fix.confidence));
    out.insert("fix_ms".into(), json!(fix.at_ms));
    out.insert("source".into(), json!(fix.source));
}

fn cap_place(cap: &Cap, out: &mut Map<String, Value>) {
    if let Some([lat, lon, radius_m]) = cap.circle {
        out.insert("shape".into(), json!(if radius_m > 0.0 { "Circle" } else { "Point" }));
        out.insert("lat".into(), json!(lat));
        out.insert("lon".into(), json!(lon));
        out.insert("radius_m".into(), json!(radius_m));
    } else if !cap.polygon.is_empty() {
        out.insert("shape".into(), json!("Polygon"));
        out.insert("ring".into(), json!(cap.polygon));
    }
}

fn civic(fields: &Civic) -> Value {
    let mut out = Map::new();
    for (name, value) in fields {
        out.entry(&**name).or_insert_with(|| json!(value));
    }
    Value::Object(out)
}

fn cell_object(cell: &Cell) -> Value {
    let area = if cell.has_tracking_area() { "tac" } else { "lac" };
    let mut out = Map::new();
    text(&mut out, "rat", Some(cell.rat));
    text(&mut out, "mcc", Some(cell.mcc()));
    text(&mut out, "mnc", Some(cell.mnc()));
    text(&mut out, area, Some(cell.area()));
    text(&mut out, "ci", Some(cell.cell()));
    text(&mut out, "provided_by", cell.by_network.then_some("network"));
    Value::Object(out)
}

fn msd_object(msd: &Msd) -> Value {
    let mut out = Map::new();
    let mut add = |key: &str, value: Value| drop(out.insert(key.into(), value));
    add("version", json!(msd.version));
    add("ext", json!(u8::from(msd.extended)));
    add("sext", json!(u8::from(msd.structure_extended)));
    add("messageIdentifier", json!(msd.message_identifier));
    add("automatic", json!(u8::from(msd.automatic)));
    add("test", json!(u8::from(msd.test)));
    add("trusted", json!(u8::from(msd.trusted)));
    add("vehicleType", json!(msd.vehicle));
    add("vin", json!(msd.vin));
    add("propulsion", json!(msd.propulsion().collect::<Vec<_>>()));
    add("timestamp", json!(msd.timestamp_secs));
    add("lat_mas", json!(msd.lat_mas));
    add("lon_mas", json!(msd.lon_mas));
    let (lat, lon) = msd.position().unzip();
    add("lat", json!(lat));
    add("lon", json!(lon));
    add("direction", json!(msd.direction_deg()));
    for (key, delta) in [("n1", msd.n1), ("n2", msd.n2)] {
        if let Some((lat, lon)) = delta {
            add(key, json!([lat, lon]));
        }
    }
    if let Some(passengers) = msd.passengers {
        add("passengers", json!(passengers));
    }
    add("bits_used", json!(msd.bits_used));
    add("additional", json!(msd.additional));
    Value::Object(out)
}

fn cap_object(cap: &Cap) -> Value {
    let mut out = Map::new();
    for (key, value) in [
        ("identifier", &cap.identifier),
        ("sender", &cap.sender),
        ("sent", &cap.sent),
        ("status", &cap.status),
        ("msg_type", &cap.msg_type),
        ("references", &cap.references),
        ("category", &cap.category),
        ("event", &cap.event),
        ("urgency", &cap.urgency),
        ("severity", &cap.severity),
        ("certainty", &cap.certainty),
        ("expires", &cap.expires),
        ("language", &cap.language),
        ("area_desc", &cap.area_desc),
    ] {
        text(&mut out, key, value.as_deref());
    }
    out.extend(cap.circle.map(|circle| ("circle".into(), json!(circle))));
    if !cap.polygon.is_empty() {
        out.insert("polygon".into(), json!(cap.polygon));
    }
    if !cap.geocodes.is_empty() {
        out.insert("geocode".into(), civic(&cap.geocodes));
    }
    out.extend(cap.verified().map(|verified| ("verified".into(), json!(verified))));
    Value::Object(out)
}

fn text(out: &mut Map<String, Value>, key: &str, value: Option<&str>) {
    out.extend(value.map(|value| (key.into(), json!(value))));
}

fn list(out: &mut Map<String, Value>, key: &str, values: &[Box<str>]) {
    if !values.is_empty() {
        out.insert(key.into(), json!(values));
    }
}

/// Only when it is so.
fn flag(out: &mut Map<String, Value>, key: &str, value: bool) {
    if value {
        out.insert(key.into(), json!(true));
    }
}

fn flag_as(out: &mut Map<String, Value>, key: &str, value: bool) {
    out.insert(key.into(), json!(value));
}
