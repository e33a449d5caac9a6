//! A contact as one JSON object: `najda explain --jsonl`, `najda send`, `POST /v1/contacts`.
//!
//! Every field but the reference is optional, and a field that cannot be read becomes an [`Oddity`]: the contact is routed on the
//! rest. Only text that is no JSON object at all is an error.
//!
//! | field | meaning |
//! | --- | --- |
//! | `id` | the sender's reference, text or number |
//! | `door` | `sip-voice`, `sip-ecall`, `sms`, `app`, `fire-panel`, `intruder-panel`, `cap`, `relay` |
//! | `dialled` | digits dialled |
//! | `lat`, `lon`, `uncertainty_m`, `confidence` | a fix in degrees (WGS 84), its radius in metres, 0 to 1 (or 1 to 100 per cent) |
//! | `shape` | `{"type":"Circle","center":[lon,lat],"radius_m":..}`, `Ellipse`, `ArcBand`, or a GeoJSON `Polygon` or `Point` |
//! | `makani`, `cell`, `line`, `trunk` | identities as they were sent |
//! | `text`, `lang`, `urn` | words, ISO 639-1, a service URN |
//! | `events` | `silence 8 s`, `dtmf 5 at 20 s`, `gateway NAME`, `verified true`, `menu 2`, `call back`, ... |
//! | `age_s` | seconds since the fix |
//! | `now` | RFC 3339 or Unix seconds, for hours and windows; offline only, a door has a clock of its own |

use serde_json::{Map, Value};

use crate::contact::{ClaimSource, Contact, ContactKey, Door, LocationClaim, Oddity, Place, Signal, Whose};
use crate::geo::area::Shape;
use crate::geo::makani;
use crate::geo::point::Point;
use crate::limits::{CLAIM_VERTICES_MAX, CLAIMS_MAX, IDENTITY_BYTES_MAX, SIGNALS_MAX, TEXT_BYTES_MAX};
use crate::service::ServiceUrn;
use crate::units::{ContactId, Name, Ppm, Timestamp};

/// Confidence of a fix whose sender was silent about it (RFC 7459, 2.2).
const CONFIDENCE_DEFAULT: Ppm = Ppm(950_000);
/// A claimed radius beyond this is no information.
const RADIUS_M_MAX: f64 = 1_000_000.0;

/// Why a line is no contact.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ContactJsonError {
    #[error("not JSON: {0}")]
    NotJson(String),
    #[error("not a JSON object but {0}")]
    NotAnObject(&'static str),
    #[error("no `id`: give the contact a text or a number of your own")]
    NoId,
    #[error("`id` has {got} bytes, at most {max} are kept")]
    IdTooLong { got: usize, max: usize },
}

/// A contact read from JSON, and the moment it asks to be decided at.
#[derive(Clone, Debug)]
pub struct Read {
    pub contact: Contact,
    pub now: Option<Timestamp>,
}

/// Reads one contact. `gateway` is whoever vouches for it, `received` when it came.
///
/// # Errors
/// Only when there is no object or no reference in it; `id` is returned by [`id_of`] even then where it can be.
pub fn read_contact(text: &[u8], gateway: Name, id: ContactId, received: Timestamp) -> Result<Read, ContactJsonError> {
    read_contact_at(Door::default(), text, gateway, id, received)
}

/// As [`read_contact`]; `door` is by which it came when it does not say.
///
/// # Errors
/// As [`read_contact`].
pub fn read_contact_at(door: Door, text: &[u8], gateway: Name, id: ContactId, received: Timestamp) -> Result<Read, ContactJsonError> {
    let value: Value = serde_json::from_slice(text).map_err(|error| ContactJsonError::NotJson(error.to_string()))?;
    let fields = match &value {
        Value::Object(fields) => fields,
        Value::Array(_) => return Err(ContactJsonError::NotAnObject("an array")),
        Value::String(_) => return Err(ContactJsonError::NotAnObject("a text")),
        _ => return Err(ContactJsonError::NotAnObject("a bare value")),
    };
    let reference = text_of(fields, "id").ok_or(ContactJsonError::NoId)?;
    if reference.len() > IDENTITY_BYTES_MAX {
        return Err(ContactJsonError::IdTooLong { got: reference.len(), max: IDENTITY_BYTES_MAX });
    }
    let key = ContactKey { gateway, gateway_ref: reference.into() };
    let mut contact = Contact::new(id, key, received, door);
    read_door(fields, &mut contact);
    read_identities(fields, &mut contact);
    read_place(fields, &mut contact);
    read_signals(fields, &mut contact);
    let now = read_now(fields, &mut contact);
    if let Some(now) = now {
        contact.received = now;
    }
    Ok(Read { contact, now })
}

/// The reference of a line that may not be a contact, for its error.
pub fn id_of(text: &[u8]) -> Option<String> {
    let value: Value = serde_json::from_slice(text).ok()?;
    text_of(value.as_object()?, "id")
}

fn text_of(fields: &Map<String, Value>, key: &str) -> Option<String> {
    match fields.get(key)? {
        Value::String(text) if !text.trim().is_empty() => Some(text.trim().to_owned()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn number_of(fields: &Map<String, Value>, key: &str) -> Option<f64> {
    match fields.get(key)? {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
    .filter(|number: &f64| number.is_finite())
}

/// Present and not `null`.
fn given(fields: &Map<String, Value>, key: &str) -> bool {
    fields.get(key).is_some_and(|value| !value.is_null())
}

fn read_door(fields: &Map<String, Value>, contact: &mut Contact) {
    if let Some(word) = text_of(fields, "door") {
        match Door::from_word(&word.to_ascii_lowercase()) {
            Some(door) => contact.door = door,
            None => contact.oddities.push(Oddity::UnknownDoor),
        }
    }
}

fn read_identities(fields: &Map<String, Value>, contact: &mut Contact) {
    let mut short = |key: &str, oddity: Oddity| {
        let text = text_of(fields, key)?;
        if text.len() <= IDENTITY_BYTES_MAX {
            return Some(text.into_boxed_str());
        }
        contact.oddities.push(oddity);
        None
    };
    let line = short("line", Oddity::BadLine);
    let cell = short("cell", Oddity::BadCell);
    contact.line = line;
    contact.cell = cell;
    contact.trunk = text_of(fields, "trunk").and_then(|text| Name::new(&text));
    contact.lang = text_of(fields, "lang").and_then(|text| lang_of(&text));
}

/// `ar`, `AR`, `ar-AE` and the like.
fn lang_of(text: &str) -> Option<[u8; 2]> {
    let primary = text.split(['-', '_']).next()?.to_ascii_lowercase();
    let &[a, b] = primary.as_bytes() else {
        return if primary == "fil" || primary == "tgl" { Some(*b"tl") } else { None };
    };
    (a.is_ascii_lowercase() && b.is_ascii_lowercase()).then_some([a, b])
}

fn read_place(fields: &Map<String, Value>, contact: &mut Contact) {
    let confidence = match number_of(fields, "confidence") {
        Some(share) if (0.0..=1.0).contains(&share) => Ppm((share * 1e6).round() as u32),
        Some(percent) if (1.0..=100.0).contains(&percent) => Ppm((percent * 1e4).round() as u32),
        _ => CONFIDENCE_DEFAULT,
    };
    let age_secs = number_of(fields, "age_s").map_or(0, |age| age.clamp(0.0, f64::from(u32::MAX)) as u32);
    let source = if contact.door == Door::SipECall { ClaimSource::ECall } else { ClaimSource::DeviceFix };
    let whose = if contact.door.is_third_party() { Whose::Incident } else { Whose::Caller };
    let claim = |place: Option<Place>, source: ClaimSource, oddity: Oddity, contact: &mut Contact| match place {
        Some(_) if contact.claims.len() >= CLAIMS_MAX => contact.oddities.push(Oddity::ClaimsCut),
        Some(place) => contact.claims.push(LocationClaim { whose, place, source, age_secs, confidence }),
        None => contact.oddities.push(oddity),
    };
    if given(fields, "shape") {
        let shape = fields.get("shape").and_then(Value::as_object).and_then(shape_of);
        claim(shape.map(Place::Shape), source, Oddity::BadLocation, contact);
    }
    if given(fields, "lat") || given(fields, "lon") {
        let point = number_of(fields, "lat").zip(number_of(fields, "lon")).and_then(|(lat, lon)| fix_of(lat, lon));
        let radius = number_of(fields, "uncertainty_m").filter(|radius| (0.0..=RADIUS_M_MAX).contains(radius) && *radius > 0.0);
        let place = point.map(|center| match radius {
            Some(radius_m) => Place::Shape(Shape::Circle { center, radius_cm: (radius_m * 100.0).ceil() as u32 }),
            None => Place::point(center),
        });
        claim(place, source, Oddity::BadLocation, contact);
    }
    if given(fields, "makani") {
        let digits = text_of(fields, "makani").and_then(|text| makani::parse(&text));
        claim(digits.map(Place::Makani), ClaimSource::Makani, Oddity::BadMakani, contact);
    }
}

/// A fix at exactly 0, 0 is a sensor that knew nothing.
fn fix_of(lat: f64, lon: f64) -> Option<Point> {
    if lat == 0.0 && lon == 0.0 { None } else { Point::from_degrees(lat, lon) }
}

fn shape_of(shape: &Map<String, Value>) -> Option<Shape> {
    let position = |value: &Value| -> Option<Point> {
        let pair = value.as_array()?;
        fix_of(pair.get(1)?.as_f64()?, pair.first()?.as_f64()?)
    };
    let center = || position(shape.get("center").or_else(|| shape.get("coordinates"))?);
    let any = |keys: &[&str]| keys.iter().find_map(|key| number_of(shape, key));
    let cm = |keys: &[&str]| any(keys).filter(|metres| (0.0..=RADIUS_M_MAX).contains(metres)).map(|metres| (metres * 100.0).round() as u32);
    let mdeg = |keys: &[&str]| any(keys).map(|degrees| (degrees.rem_euclid(360.0) * 1e3).round() as u32);
    match text_of(shape, "type")?.to_ascii_lowercase().as_str() {
        "point" => center().map(Shape::Point),
        "circle" => Some(Shape::Circle { center: center()?, radius_cm: cm(&["radius_m", "radius"])? }),
        "ellipse" => Some(Shape::Ellipse {
            center: center()?,
            semi_major_cm: cm(&["semi_major_m", "semiMajorAxis", "semi_major"])?,
            semi_minor_cm: cm(&["semi_minor_m", "semiMinorAxis", "semi_minor"])?,
            orientation_mdeg: mdeg(&["orientation_deg", "orientation"]).unwrap_or(0),
        }),
        "arcband" => {
            let opening =
                any(&["opening_deg", "opening_angle_deg", "openingAngle", "opening_angle"]).filter(|o| *o > 0.0 && *o <= 360.0)?;
            Some(Shape::ArcBand {
                center: center()?,
                inner_cm: cm(&["inner_m", "inner_radius_m", "innerRadius", "inner_radius"]).unwrap_or(0),
                outer_cm: cm(&["outer_m", "outer_radius_m", "outerRadius", "outer_radius"])?,
                start_mdeg: mdeg(&["start_deg", "start_angle_deg", "startAngle", "start_angle"]).unwrap_or(0),
                opening_mdeg: (opening * 1e3).round() as u32,
            })
        }
        "polygon" => {
            let ring = shape.get("coordinates")?.as_array()?.first()?.as_array()?;
            let mut points: Vec<Point> = ring.iter().take(CLAIM_VERTICES_MAX + 2).map(position).collect::<Option<_>>()?;
            if points.len() > 1 && points.first() == points.last() {
                points.pop();
            }
            (3..=CLAIM_VERTICES_MAX).contains(&points.len()).then_some(Shape::Polygon(points))
        }
        _ => None,
    }
    .and_then(|shape| shape.repaired().ok())
}

fn read_signals(fields: &Map<String, Value>, contact: &mut Contact) {
    let mut signals = Vec::new();
    if let Some(digits) = text_of(fields, "dialled").filter(|digits| digits.len() <= IDENTITY_BYTES_MAX) {
        signals.push(Signal::Dialled(digits.into()));
    }
    if let Some(text) = text_of(fields, "urn") {
        match ServiceUrn::parse(&text) {
            Some(urn) => signals.push(Signal::Urn(urn)),
            None => contact.oddities.push(Oddity::BadUrn),
        }
    }
    if let Some(mut text) = text_of(fields, "text") {
        if text.len() > TEXT_BYTES_MAX {
            let mut cut = TEXT_BYTES_MAX;
            while !text.is_char_boundary(cut) {
                cut -= 1;
            }
            text.truncate(cut);
            contact.oddities.push(Oddity::TextCut);
        }
        signals.push(Signal::Words(text.into()));
    }
    for event in fields.get("events").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
        read_event(event, &mut signals, contact);
    }
    if signals.len() > SIGNALS_MAX {
        signals.truncate(SIGNALS_MAX);
        contact.oddities.push(Oddity::SignalsCut);
    }
    contact.signals = signals;
}

/// `silence 8 s`, `dtmf 5 at 20 s`, `gateway NAME`, `verified true`, `menu 2`, `call back`. Anything else is kept as it is.
fn read_event(event: &str, signals: &mut Vec<Signal>, contact: &mut Contact) {
    let words: Vec<&str> = event.split_whitespace().take(8).collect();
    let number = |at: usize| words.get(at).and_then(|word| word.trim_end_matches('s').parse::<u16>().ok());
    let signal = match (words.first().map(|word| word.to_ascii_lowercase()).as_deref(), words.get(1)) {
        (Some("silence"), _) => Some(Signal::Silence { secs: number(1).unwrap_or(0) }),
        (Some("dtmf"), Some(digit)) => {
            let digit = digit.bytes().next().unwrap_or(b'0');
            Some(Signal::Dtmf { digit, at_secs: number(3).unwrap_or(0) })
        }
        (Some("gateway"), Some(gateway)) => {
            contact.trunk = contact.trunk.or_else(|| Name::new(gateway));
            None
        }
        (Some("verified"), Some(word)) => Some(Signal::Verified(word.eq_ignore_ascii_case("true") || word.eq_ignore_ascii_case("yes"))),
        (Some("call"), Some(&"back")) => Some(Signal::CallBack),
        (Some("menu"), Some(key)) => key.bytes().next().map(Signal::MenuKey),
        _ => {
            let mut cut = event.len().min(256);
            while !event.is_char_boundary(cut) {
                cut -= 1;
            }
            event.get(..cut).map(|text| Signal::Event(text.into()))
        }
    };
    signals.extend(signal);
}

fn read_now(fields: &Map<String, Value>, contact: &mut Contact) -> Option<Timestamp> {
    let value = fields.get("now").filter(|value| !value.is_null())?;
    let read = match value {
        Value::String(text) => text.parse::<jiff::Timestamp>().ok().and_then(|at| u64::try_from(at.as_microsecond()).ok()),
        Value::Number(number) => number.as_f64().filter(|secs| (0.0..=4e9).contains(secs)).map(|secs| (secs * 1e6) as u64),
        _ => None,
    };
    if read.is_none() {
        contact.oddities.push(Oddity::BadTime);
    }
    read.map(Timestamp::from_micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Contact {
        read_contact(text.as_bytes(), Name::new("test").unwrap(), ContactId(1), Timestamp::default()).unwrap().contact
    }

    #[test]
    fn a_field_that_cannot_be_read_costs_only_itself() {
        let contact = read(r#"{"id":"a","lat":"north","lon":55,"urn":"urn:x","makani":"12","door":"pigeon","dialled":999}"#);
        assert_eq!(contact.claims.len(), 0);
        assert_eq!(contact.signals, [Signal::Dialled("999".into())]);
        for oddity in [Oddity::BadLocation, Oddity::BadUrn, Oddity::BadMakani, Oddity::UnknownDoor] {
            assert!(contact.oddities.contains(&oddity), "{oddity:?}");
        }
    }

    #[test]
    fn a_fix_at_zero_zero_is_no_fix() {
        assert!(read(r#"{"id":"a","lat":0,"lon":0.0}"#).claims.is_empty());
    }

    #[test]
    fn every_shape_is_read_with_its_numbers() {
        let shape = |text: &str| match &read(&format!(r#"{{"id":"a","shape":{text}}}"#)).claims[0].place {
            Place::Shape(shape) => shape.clone(),
            Place::Makani(_) => unreachable!("a shape was given"),
        };
        let center = Point::from_degrees(25.2, 55.3).unwrap();
        let circle = shape(r#"{"type":"Circle","center":[55.3,25.2],"radius_m":150}"#);
        assert_eq!(circle, Shape::Circle { center, radius_cm: 15_000 });
        let band = shape(r#"{"type":"ArcBand","center":[55.3,25.2],"inner_m":500,"outer_m":2000,"start_deg":-30,"opening_deg":120}"#);
        assert_eq!(band, Shape::ArcBand { center, inner_cm: 50_000, outer_cm: 200_000, start_mdeg: 330_000, opening_mdeg: 120_000 });
        assert!(
            matches!(shape(r#"{"type":"Polygon","coordinates":[[[55,25],[56,25],[56,26],[55,25]]]}"#), Shape::Polygon(p) if p.len() == 3)
        );
    }

    #[test]
    fn text_that_is_no_contact_says_why() {
        let error = |text: &str| read_contact(text.as_bytes(), Name::default(), ContactId(1), Timestamp::default()).unwrap_err();
        assert!(matches!(error("{"), ContactJsonError::NotJson(_)));
        assert_eq!(error("[]"), ContactJsonError::NotAnObject("an array"));
        assert_eq!(error("{}"), ContactJsonError::NoId);
        assert_eq!(id_of(br#"{"id":7,"x":1}"#).as_deref(), Some("7"));
    }

    #[test]
    fn events_become_signals_and_unknown_ones_are_kept() {
        let contact =
            read(r#"{"id":"a","events":["silence 8 s","dtmf 5 at 20 s","gateway dubai-sms","verified true","late fix at 20 s"]}"#);
        assert_eq!(contact.trunk, Name::new("dubai-sms"));
        assert_eq!(
            contact.signals,
            [
                Signal::Silence { secs: 8 },
                Signal::Dtmf { digit: b'5', at_secs: 20 },
                Signal::Verified(true),
                Signal::Event("late fix at 20 s".into())
            ]
        );
    }
}
