//! Where a phone says it is, up to twenty seconds into its call: by HTTPS form (or JSON) and by text message.
//!
//! Every field is optional. A position that is stated twice with two values is no position: never a mixture. The confidence is a
//! fraction over HTTPS and per cent in a text message; both are fractions here.
//!
//! Text messages come in two versions whose short keys differ: in the first `lt` and `lg` are latitude and longitude, in the second
//! `lo` is `latitude,longitude,radius`, `lt` the age of the fix and `lg` the language. They may be packed into seven bits a sign.
//!
//! # Source
//! ETSI TS 103 625 (both transports); 3GPP TS 23.038 (packing).

use core::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};

use crate::contact::{ClaimSource, LocationClaim, Place, Whose};
use crate::geo::area::Shape;
use crate::geo::point::Point;
use crate::limits::{AML_BYTES_MAX, AML_FIELDS_MAX, IDENTITY_BYTES_MAX, SHAPE_RADIUS_CM_MAX};
use crate::units::{Ppm, Timestamp};
use crate::wire::notes::{Notes, cut, decimal, phone_digits, unescaped};

/// One standard deviation, which is what phones mean when they say nothing.
const CONFIDENCE_DEFAULT: f64 = 0.6827;

/// What a phone reported.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Aml {
    pub emergency_number: Option<Box<str>>,
    /// The calling line, where the phone knows it.
    pub caller: Option<Box<str>>,
    pub imei: Option<Box<str>>,
    /// May be cut to its first six digits.
    pub imsi: Option<Box<str>>,
    pub language: Option<Box<str>>,
    pub fix: Option<Fix>,
    /// Milliseconds since 1970 when the message was made, by the phone's clock.
    pub sent_ms: Option<u64>,
}

/// A position as the phone found it.
#[derive(Clone, Debug, PartialEq)]
pub struct Fix {
    /// Degrees (WGS 84).
    pub lat: f64,
    pub lon: f64,
    pub radius_m: Option<f64>,
    /// 0 to 1.
    pub confidence: f64,
    /// Milliseconds since 1970.
    pub at_ms: Option<u64>,
    /// `gps`, `wifi`, `cell` or the letters of a text message, as they were sent.
    pub source: Option<Box<str>>,
}

impl Aml {
    pub fn claim(&self, now: Timestamp) -> Option<LocationClaim> {
        let fix = self.fix.as_ref()?;
        let center = Point::from_degrees(fix.lat, fix.lon)?;
        let radius_cm = fix.radius_m.map_or(0, |radius_m| (radius_m * 100.0).ceil().min(f64::from(SHAPE_RADIUS_CM_MAX)) as u32);
        let shape = if radius_cm == 0 { Shape::Point(center) } else { Shape::Circle { center, radius_cm } };
        let age_ms = fix.at_ms.map_or(0, |at_ms| (now.unix_micros / 1_000).saturating_sub(at_ms));
        let age_secs = u32::try_from(age_ms / 1_000).unwrap_or(u32::MAX);
        let confidence = Ppm((fix.confidence * 1e6).round() as u32);
        Some(LocationClaim { whose: Whose::Caller, place: Place::Shape(shape), source: ClaimSource::DeviceFix, age_secs, confidence })
    }
}

/// Fields of either transport under the names of the form.
#[derive(Default)]
struct Fields {
    values: Vec<(Box<str>, Box<str>)>,
    contradictory: bool,
    unreadable: bool,
}

impl Fields {
    /// The first value of a name stands. A place that is said twice in two ways is marked.
    fn add(&mut self, name: &str, value: &str, notes: &mut Notes) {
        if let Some((_, before)) = self.values.iter().find(|(known, _)| **known == *name) {
            notes.note("field_repeated");
            self.contradictory |= is_place(name) && **before != *value;
        } else if self.values.len() >= AML_FIELDS_MAX {
            notes.note("fields_too_many");
        } else {
            self.values.push((cut(name, IDENTITY_BYTES_MAX).into(), cut(value, 2 * IDENTITY_BYTES_MAX).into()));
        }
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.values.iter().find(|(known, _)| **known == *name).map(|(_, value)| value.trim()).filter(|value| !value.is_empty())
    }

    fn number(&self, name: &str) -> Option<f64> {
        self.text(name).and_then(decimal)
    }
}

fn is_place(name: &str) -> bool {
    matches!(name, "location_latitude" | "location_longitude" | "location_accuracy" | "lt" | "lg" | "lo" | "rd")
}

/// Reads the body of a request: a form, or an object of the same names where the sender says or shows that it is JSON.
/// `None` when the body is over its bound.
pub fn read_form(content_type: &str, body: &[u8], notes: &mut Notes) -> Option<Aml> {
    if body.len() > AML_BYTES_MAX {
        notes.note("body_too_long");
        return None;
    }
    let mut fields = Fields::default();
    if content_type.to_ascii_lowercase().contains("json") || body.trim_ascii_start().starts_with(b"{") {
        notes.note("json_instead_of_form");
        match serde_json::from_slice::<Flat<'_>>(body) {
            Ok(flat) => flat.0.iter().for_each(|(name, value)| fields.add(name, value, notes)),
            Err(_) => notes.note("json_unreadable"),
        }
    } else {
        form(body, &mut fields, notes);
    }
    let position = fields.number("location_latitude").zip(fields.number("location_longitude"));
    let confidence = fields.number("location_confidence").filter(|share| (0.0..=100.0).contains(share));
    let fix = position.map(|(lat, lon)| Fix {
        lat,
        lon,
        radius_m: fields.number("location_accuracy").filter(|radius| *radius >= 0.0),
        // Some senders write per cent here too; no phone is sure to less than one per cent.
        confidence: confidence.map_or(CONFIDENCE_DEFAULT, |share| if share > 1.0 { share / 100.0 } else { share }),
        at_ms: fields.number("location_time").and_then(millis),
        source: fields.text("location_source").map(Into::into),
    });
    notes.note_if(position.is_none(), "position_unreadable");
    Some(Aml {
        emergency_number: fields.text("emergency_number").and_then(phone_digits).map(Into::into),
        caller: fields.text("device_number").and_then(phone_digits).map(Into::into),
        imei: fields.text("device_imei").and_then(digits),
        imsi: fields.text("device_imsi").and_then(digits),
        language: fields.text("device_languages").map(Into::into),
        sent_ms: fields.number("time").and_then(millis),
        fix: usable(fix, &fields, notes),
    })
}

fn form(body: &[u8], fields: &mut Fields, notes: &mut Notes) {
    for pair in body.split(|byte| *byte == b'&').take(AML_FIELDS_MAX * 2) {
        let at = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
        let (name, value) = (pair.get(..at).unwrap_or_default(), pair.get(at + 1..).unwrap_or_default());
        let text = |bytes: &[u8]| unescaped(bytes.trim_ascii(), true).and_then(|bytes| String::from_utf8(bytes).ok());
        match text(name).zip(text(value)) {
            Some((name, value)) => fields.add(&name, &value, notes),
            None => {
                notes.note("field_unreadable");
                fields.unreadable |= core::str::from_utf8(name).is_ok_and(is_place);
            }
        }
    }
}

/// Reads a text message, packed or not. `None` when it is none of these.
pub fn read_sms(bytes: &[u8], notes: &mut Notes) -> Option<Aml> {
    if bytes.len() > AML_BYTES_MAX {
        notes.note("body_too_long");
        return None;
    }
    let packed = !bytes.trim_ascii_start().starts_with(b"A\"");
    let unpacked = if packed { unpack(bytes) } else { bytes.to_vec() };
    let text = String::from_utf8_lossy(&unpacked);
    let text = text.trim_matches(|c: char| c.is_ascii_whitespace() || c == '\0');
    // `@` is the sign whose seven bits are zero: padding of the last byte.
    let text = if packed { text.trim_end_matches('@') } else { text };
    let rest = text.strip_prefix("A\"ML=").or_else(|| text.strip_prefix("A\"ml="))?;
    let mut fields = Fields::default();
    let mut pairs = rest.split(';');
    let version = pairs.next().unwrap_or_default().trim();
    for pair in pairs.take(AML_FIELDS_MAX * 2) {
        let pair = pair.trim();
        match pair.split_once('=') {
            Some((name, value)) => fields.add(&name.trim().to_ascii_lowercase(), value, notes),
            None => notes.note_if(!pair.is_empty(), "field_unreadable"),
        }
    }
    if let Some(length) = fields.text("ml") {
        let fits = |bytes: usize| length.parse() == Ok(bytes);
        // A semicolon at the end is legal and counted by some.
        notes.note_if(!fits(text.len()) && !fits(text.trim_end_matches(';').len()), "length_mismatch");
    }
    let second = version != "1" && (version == "2" || fields.text("lo").is_some());
    notes.note_if(!matches!(version, "1" | "2"), "version_unknown");
    let fix = if second { second_fix(&fields) } else { first_fix(&fields) };
    notes.note_if(fix.is_none(), "position_unreadable");
    Some(Aml {
        emergency_number: fields.text("en").and_then(phone_digits).map(Into::into),
        caller: fields.text("dn").or_else(|| fields.text("nb")).and_then(phone_digits).map(Into::into),
        imei: fields.text("ei").and_then(digits),
        imsi: fields.text("si").and_then(digits),
        language: fields.text("lg").filter(|_| second).map(Into::into),
        sent_ms: fields.number("et").and_then(|secs| millis(secs * 1e3)),
        fix: usable(fix, &fields, notes),
    })
}

/// `rd=N` or `pm=N`: the phone has nothing.
fn first_fix(fields: &Fields) -> Option<Fix> {
    let none = |name: &str| fields.text(name).is_some_and(|text| text.eq_ignore_ascii_case("n"));
    let (lat, lon) = fields.number("lt").zip(fields.number("lg")).filter(|_| !none("rd") && !none("pm"))?;
    Some(Fix {
        lat,
        lon,
        radius_m: fields.number("rd").filter(|radius| *radius >= 0.0),
        confidence: percent(fields),
        at_ms: fields.text("top").and_then(civil_millis),
        source: fields.text("pm").map(Into::into),
    })
}

fn second_fix(fields: &Fields) -> Option<Fix> {
    let mut parts = fields.text("lo")?.split(',').map(decimal);
    let (lat, lon) = (parts.next()??, parts.next()??);
    let sent = fields.number("et");
    Some(Fix {
        lat,
        lon,
        radius_m: parts.next().flatten().filter(|radius| *radius >= 0.0),
        confidence: percent(fields),
        at_ms: sent.and_then(|sent| millis((sent + fields.number("lt").unwrap_or(0.0)) * 1e3)),
        source: fields.text("ls").map(Into::into),
    })
}

fn percent(fields: &Fields) -> f64 {
    fields.number("lc").filter(|percent| (0.0..=100.0).contains(percent)).map_or(CONFIDENCE_DEFAULT, |percent| percent / 100.0)
}

/// A fix that means something: on the globe, not 0, 0, stated once, not wider than the Earth.
fn usable(fix: Option<Fix>, fields: &Fields, notes: &mut Notes) -> Option<Fix> {
    let fix = fix?;
    if fields.contradictory || fields.unreadable {
        notes.note("position_contradictory");
        return None;
    }
    if Point::from_degrees(fix.lat, fix.lon).is_none() {
        notes.note("position_unreadable");
        return None;
    }
    if fix.lat == 0.0 && fix.lon == 0.0 {
        notes.note("position_null_island");
        return None;
    }
    if fix.radius_m.is_some_and(|radius_m| radius_m * 100.0 > f64::from(SHAPE_RADIUS_CM_MAX)) {
        notes.note("radius_useless");
        return None;
    }
    Some(fix)
}

fn digits(text: &str) -> Option<Box<str>> {
    let fine = (6..=16).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    fine.then(|| text.into())
}

fn millis(value: f64) -> Option<u64> {
    (0.0..1e15).contains(&value).then_some(value.round() as u64)
}

/// `YYYYMMDDhhmmss` in UTC.
fn civil_millis(text: &str) -> Option<u64> {
    let field = |from: usize, to: usize| text.get(from..to)?.parse::<i16>().ok();
    let small = |from: usize, to: usize| field(from, to).and_then(|value| i8::try_from(value).ok());
    let fine = text.len() == 14 && text.bytes().all(|byte| byte.is_ascii_digit());
    let date =
        jiff::civil::DateTime::new(field(0, 4)?, small(4, 6)?, small(6, 8)?, small(8, 10)?, small(10, 12)?, small(12, 14)?, 0).ok()?;
    let at = date.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_millisecond();
    if fine { u64::try_from(at).ok() } else { None }
}

/// Seven bits a sign, the lowest first. The signs these messages use are the same in ASCII.
fn unpack(bytes: &[u8]) -> Vec<u8> {
    let count = bytes.len() * 8 / 7;
    (0..count)
        .map(|sign| {
            let bit = |at: usize| bytes.get(at / 8).map_or(0, |byte| byte >> (at % 8) & 1);
            let code = (0..7).fold(0, |code, at| code | bit(sign * 7 + at) << at);
            if code == 0 { b'@' } else { code }
        })
        .collect()
}

/// The texts and numbers of an object, in order; everything else in it is passed over.
struct Flat<'de>(Vec<(std::borrow::Cow<'de, str>, Box<str>)>);

impl<'de> Deserialize<'de> for Flat<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FlatVisitor)
    }
}

struct FlatVisitor;

impl<'de> Visitor<'de> for FlatVisitor {
    type Value = Flat<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Flat<'de>, A::Error> {
        let mut values = Vec::new();
        while let Some(name) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            if values.len() >= AML_FIELDS_MAX {
                map.next_value::<IgnoredAny>()?;
            } else if let Scalar(Some(value)) = map.next_value()? {
                values.push((name, value));
            }
        }
        Ok(Flat(values))
    }
}

/// A text or a number as text; `None` for anything else.
struct Scalar(Option<Box<str>>);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Scalar, E> {
        Ok(Scalar(Some(cut(text, 2 * IDENTITY_BYTES_MAX).into())))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Scalar, E> {
        Ok(Scalar(Some(number.to_string().into())))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Scalar, E> {
        Ok(Scalar(Some(number.to_string().into())))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Scalar, E> {
        Ok(Scalar(Some(number.to_string().into())))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Scalar, E> {
        Ok(Scalar(None))
    }

    fn visit_unit<E>(self) -> Result<Scalar, E> {
        Ok(Scalar(None))
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Scalar, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar(None))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scalar, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar(None))
    }
}
