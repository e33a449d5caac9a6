//! Makes messages: encoders of our own, written from the standards and not from the readers.

use std::fs;
use std::path::Path;

use najda::units::Timestamp;
use najda::wire::reading::{self, Kind};
use najda::wire::reading_json;
use serde_json::Value;

/// 2026-02-01 08:01 UTC: after our own messages were made, before they expire.
pub const NOW: Timestamp = Timestamp::from_secs(1_769_932_860);

pub fn read_at(kind: Kind, bytes: &[u8], now: Timestamp) -> Value {
    Value::Object(reading_json::object(&reading::read(kind, bytes, now)))
}

pub fn read(kind: Kind, bytes: &[u8]) -> Value {
    read_at(kind, bytes, NOW)
}

/// Our own messages: name, kind, bytes.
pub fn seeds() -> Vec<(String, Kind, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/messages");
    let list = fs::read_to_string(folder.join("EXPECT.jsonl")).unwrap();
    let mut seeds: Vec<(String, Kind, Vec<u8>)> = list
        .lines()
        .map(|line| {
            let row: Value = serde_json::from_str(line).unwrap();
            let name = row["file"].as_str().unwrap().to_owned();
            let bytes = fs::read(folder.join(&name)).unwrap();
            (name, Kind::from_word(row["as"].as_str().unwrap()).unwrap(), bytes)
        })
        .collect();
    for version in 1..=3 {
        seeds.push((format!("msd v{version}"), Kind::Msd, Car { version, ..Car::default() }.bytes()));
    }
    seeds.push(("invite".into(), Kind::Sip, invite("", &point(25.2, 55.3))));
    seeds
}

/// What `expected` says is in `found`; other keys of `found` do not matter. The paths that differ.
pub fn differences(expected: &Value, found: &Value, path: &str) -> Vec<String> {
    match (expected, found) {
        (Value::Object(fields), Value::Object(there)) => {
            let of = |(key, value): (&String, &Value)| {
                let path = format!("{path}.{key}");
                there.get(key).map_or_else(|| vec![format!("{path} is absent")], |found| differences(value, found, &path))
            };
            fields.iter().flat_map(of).collect()
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            a.iter().zip(b).enumerate().flat_map(|(at, (a, b))| differences(a, b, &format!("{path}[{at}]"))).collect()
        }
        (Value::Number(a), Value::Number(b)) if (a.as_f64().unwrap() - b.as_f64().unwrap()).abs() < 1e-9 => Vec::new(),
        (a, b) if a == b => Vec::new(),
        (a, b) => vec![format!("{path}: {a} expected, {b} read")],
    }
}

pub fn point(lat: f64, lon: f64) -> String {
    format!(r#"<g:Point srsName="urn:ogc:def:crs:EPSG::4326"><g:pos>{lat} {lon}</g:pos></g:Point>"#)
}

/// A presence document around a place.
pub fn pidf(place: &str) -> String {
    format!(
        r#"<presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:g="http://www.opengis.net/gml"
            xmlns:s="http://www.opengis.net/pidflo/1.0" entity="pres:a@b">
            <tuple id="t"><status><geopriv xmlns="urn:ietf:params:xml:ns:pidf:geopriv10">
            <location-info>{place}</location-info></geopriv></status></tuple></presence>"#
    )
}

/// An emergency call with a place and further header lines, each with its line end.
pub fn invite(headers: &str, place: &str) -> Vec<u8> {
    let body = pidf(place);
    let length = body.len();
    format!(
        "INVITE urn:service:sos SIP/2.0\r\nVia: SIP/2.0/UDP gw.example;branch=z9hG4bKf\r\nMax-Forwards: 70\r\n\
         From: <sip:+971501234567@net.example>;tag=f\r\nTo: <urn:service:sos>\r\nCall-ID: f@gw.example\r\nCSeq: 1 INVITE\r\n{headers}\
         P-Access-Network-Info: 3GPP-E-UTRAN-FDD;utran-cell-id-3gpp=4240210360106ac8\r\nGeolocation: <cid:l@x>\r\n\
         Geolocation-Routing: yes\r\nContent-ID: <l@x>\r\nContent-Type: application/pidf+xml\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// A crashed car.
#[derive(Clone, Debug)]
pub struct Car {
    pub version: u8,
    pub automatic: bool,
    pub test: bool,
    pub trusted: bool,
    /// Index of the class, from 0.
    pub vehicle: u32,
    pub vin: String,
    /// One bit a kind of storage, petrol lowest.
    pub storage: u32,
    pub lat_mas: i32,
    pub lon_mas: i32,
    pub direction: u32,
    pub n1: Option<(i32, i32)>,
    pub n2: Option<(i32, i32)>,
    pub people: Option<u32>,
    /// Bytes of extensions of the structure.
    pub extensions: Option<Vec<u8>>,
}

impl Default for Car {
    fn default() -> Self {
        Self {
            version: 2,
            automatic: true,
            test: false,
            trusted: true,
            vehicle: 0,
            vin: "WVWZZZ1KZ6W000009".into(),
            storage: 0b1_0001,
            lat_mas: 90_720_000,
            lon_mas: 199_080_000,
            direction: 45,
            n1: Some((10, -10)),
            n2: Some((-512, 511)),
            people: Some(3),
            extensions: None,
        }
    }
}

impl Car {
    pub fn bytes(&self) -> Vec<u8> {
        let third = self.version == 3;
        let mut bits = Bits::default();
        // Message: no extension, no additional data. Structure: extension mark and which fields are there.
        bits.put(0, 2);
        bits.put(u32::from(self.extensions.is_some()), 1);
        if !third {
            bits.put(u32::from(self.n1.is_some()), 1);
            bits.put(u32::from(self.n2.is_some()), 1);
        }
        bits.put(u32::from(self.people.is_some()), 1);
        bits.put(1, 8);
        for flag in [self.automatic, self.test, self.trusted] {
            bits.put(u32::from(flag), 1);
        }
        bits.put(0, 1);
        bits.put(self.vehicle, 4);
        for sign in self.vin.bytes() {
            let index = b"0123456789ABCDEFGHJKLMNPRSTUVWXYZ".iter().position(|known| *known == sign).unwrap();
            bits.put(index as u32, 6);
        }
        let kinds = if self.version == 1 { 6 } else { 7 };
        bits.put(0, 1);
        (0..kinds).for_each(|at| bits.put(self.storage >> at & 1, 1));
        (0..kinds).filter(|at| self.storage >> at & 1 == 1).for_each(|_| bits.put(1, 1));
        bits.put(1_769_932_800, 32);
        for mas in [self.lat_mas, self.lon_mas] {
            bits.put((i64::from(mas) + (1 << 31)) as u32, 32);
        }
        bits.put(self.direction, 8);
        let earlier = |place: Option<(i32, i32)>| if third { Some(place.unwrap_or_default()) } else { place };
        for (lat, lon) in [earlier(self.n1), earlier(self.n2)].into_iter().flatten() {
            bits.put((lat + 512) as u32, 10);
            bits.put((lon + 512) as u32, 10);
        }
        self.people.into_iter().for_each(|people| bits.put(people, 8));
        if let Some(extensions) = &self.extensions {
            // One extension, there: count less one in seven bits, one presence bit, its length, its bytes.
            bits.put(0, 7);
            bits.put(1, 1);
            bits.put(extensions.len() as u32, 8);
            extensions.iter().for_each(|byte| bits.put(u32::from(*byte), 8));
        }
        let mut out = vec![self.version];
        if self.version > 1 {
            out.push(bits.bytes.len() as u8);
        }
        out.extend(bits.bytes);
        out
    }
}

#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    count: usize,
}

impl Bits {
    fn put(&mut self, value: u32, width: usize) {
        for at in (0..width).rev() {
            if self.count.is_multiple_of(8) {
                self.bytes.push(0);
            }
            *self.bytes.last_mut().unwrap() |= ((value >> at & 1) as u8) << (7 - self.count % 8);
            self.count += 1;
        }
    }
}

/// Text in seven bits a sign, as text messages are packed.
pub fn packed(text: &str) -> Vec<u8> {
    let mut out = vec![0_u8; (text.len() * 7).div_ceil(8)];
    for (sign, code) in text.bytes().enumerate() {
        (0..7).filter(|bit| code >> bit & 1 == 1).for_each(|bit| out[(sign * 7 + bit) / 8] |= 1 << ((sign * 7 + bit) % 8));
    }
    out
}
