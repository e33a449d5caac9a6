//! An alert of the common alerting protocol: a sensor, a panel or an authority says what happens where.
//!
//! Several `info` blocks speak of one event in several languages: the first gives the event and the area, the words of all are read.
//! Whether an alert has expired is for whoever has a clock: [`Cap::has_expired`].
//!
//! # Source
//! OASIS CAP 1.2 (1.0 and 1.1 are read too), RFC 8876 (data-only calls).

use core::fmt::Write as _;

use sha2::{Digest, Sha256};

use crate::contact::{ClaimSource, LocationClaim, Place, Whose};
use crate::geo::area::Shape;
use crate::geo::point::Point;
use crate::limits::{
    CAP_AREAS_MAX, CAP_INFOS_MAX, CAP_REFERENCES_BYTES_MAX, CAP_REFERENCES_MAX, CAP_VALUE_BYTES_MAX, CLAIM_VERTICES_MAX,
    IDENTITY_BYTES_MAX, SHAPE_RADIUS_CM_MAX, TEXT_BYTES_MAX,
};
use crate::units::{Ppm, Timestamp};
use crate::wire::notes::{Notes, cut, decimal};
use crate::wire::xml::{Item, Ns, Xml, XmlError, text_of};

/// An alert. Texts are as they were written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cap {
    pub identifier: Option<Box<str>>,
    pub sender: Option<Box<str>>,
    pub sent: Option<Box<str>>,
    /// `Actual`, `Exercise`, `System`, `Test`, `Draft`.
    pub status: Option<Box<str>>,
    /// `Alert`, `Update`, `Cancel`, `Ack`, `Error`.
    pub msg_type: Option<Box<str>>,
    /// The alerts an update or a cancel speaks of.
    pub references: Option<Box<str>>,
    pub category: Option<Box<str>>,
    pub event: Option<Box<str>>,
    pub urgency: Option<Box<str>>,
    pub severity: Option<Box<str>>,
    pub certainty: Option<Box<str>>,
    pub expires: Option<Box<str>>,
    pub language: Option<Box<str>>,
    pub area_desc: Option<Box<str>>,
    /// Latitude, longitude (degrees) and radius (metres) of the first circle.
    pub circle: Option<[f64; 3]>,
    /// The first polygon, closed, latitude first.
    pub polygon: Vec<[f64; 2]>,
    /// Names and codes of areas, in the order they came.
    pub geocodes: Vec<Named>,
    /// Headline, description and instruction of every language, for the words in them.
    pub words: String,
    /// Parameters that a panel sends beside the event (`verified`, `building`).
    pub parameters: Vec<Named>,
}

impl Cap {
    /// Not meant for anyone's real help.
    pub fn is_test(&self) -> bool {
        self.status.as_deref().is_some_and(|status| !status.eq_ignore_ascii_case("actual"))
    }

    /// Confirms or complains about another message; nothing happened.
    pub fn is_receipt(&self) -> bool {
        self.msg_type.as_deref().is_some_and(|kind| kind.eq_ignore_ascii_case("ack") || kind.eq_ignore_ascii_case("error"))
    }

    pub fn is_cancel(&self) -> bool {
        self.msg_type.as_deref().is_some_and(|kind| kind.eq_ignore_ascii_case("cancel"))
    }

    pub fn is_update(&self) -> bool {
        self.msg_type.as_deref().is_some_and(|kind| kind.eq_ignore_ascii_case("update"))
    }

    /// The alerts it speaks of, in their order: `sender,identifier,sent` parted by blanks. What is not written so is passed over.
    pub fn earlier(&self) -> Vec<Earlier<'_>> {
        let triple = |text| {
            let (sender, rest) = str::split_once(text, ',')?;
            let (identifier, sent) = rest.rsplit_once(',')?;
            let sent = sent.parse::<jiff::Timestamp>().ok()?.as_microsecond();
            (!identifier.is_empty()).then_some(Earlier { sender, identifier, sent })
        };
        let all = self.references.as_deref().unwrap_or_default().split_ascii_whitespace();
        all.filter_map(triple).take(CAP_REFERENCES_MAX).collect()
    }

    /// Expired alerts are logged and not raised. An expiry that cannot be read has not passed.
    pub fn has_expired(&self, now: Timestamp) -> bool {
        let at = self.expires.as_deref().and_then(|text| text.parse::<jiff::Timestamp>().ok());
        at.and_then(|at| u64::try_from(at.as_microsecond()).ok()).is_some_and(|micros| micros <= now.unix_micros)
    }

    /// Whether an alarm centre or a person has confirmed it, where the sender says so.
    pub fn verified(&self) -> Option<bool> {
        let said = self.parameters.iter().find(|(name, _)| name.eq_ignore_ascii_case("verified")).map(|(_, value)| &**value);
        said.map(|value| ["true", "yes", "1"].iter().any(|word| value.eq_ignore_ascii_case(word)))
    }

    /// The first circle or polygon as a claim of where the incident is.
    pub fn claim(&self) -> Option<LocationClaim> {
        let shape = match self.circle {
            Some([lat, lon, radius_m]) => {
                let center = Point::from_degrees(lat, lon)?;
                let radius_cm = (radius_m * 100.0).round().min(f64::from(SHAPE_RADIUS_CM_MAX) + 1.0) as u32;
                Shape::Circle { center, radius_cm }
            }
            None => Shape::Polygon(self.polygon.iter().map(|[lat, lon]| Point::from_degrees(*lat, *lon)).collect::<Option<_>>()?),
        };
        let place = Place::Shape(shape.repaired().ok()?);
        Some(LocationClaim { whose: Whose::Incident, place, source: ClaimSource::DeviceFix, age_secs: 0, confidence: Ppm(950_000) })
    }
}

/// An alert that another speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Earlier<'a> {
    pub sender: &'a str,
    pub identifier: &'a str,
    /// Unix microseconds.
    pub sent: i64,
}

/// What the contact of an alert is called: as much of the identifier as there is room for, and a digest of it and its sender.
pub fn reference_of(sender: &str, identifier: &str) -> Box<str> {
    let mut digest = Sha256::new();
    for part in [sender, identifier] {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part.as_bytes());
    }
    let shown: String = identifier.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    let mut reference = format!("{}~", cut(&shown, IDENTITY_BYTES_MAX - 17));
    digest.finalize().iter().take(8).for_each(|byte| {
        let _ = write!(reference, "{byte:02x}");
    });
    reference.into()
}

/// Reads an alert. `None` when it is none, or breaks before its end.
pub fn read(bytes: &[u8], notes: &mut Notes) -> Option<Cap> {
    let text = text_of(bytes);
    match alert(&mut Xml::new(&text), notes) {
        Ok(found) => {
            notes.note_if(found.is_none(), "cap_root_unknown");
            found
        }
        Err(error) => {
            notes.note(error.code());
            None
        }
    }
}

fn alert(xml: &mut Xml<'_>, notes: &mut Notes) -> Result<Option<Cap>, XmlError> {
    let mut cap = None;
    loop {
        match xml.step()? {
            Item::Open(tag) if tag.is(Ns::Cap, "alert") => cap = Some(fields(xml, notes)?),
            Item::Open(_) => xml.skip()?,
            Item::End => return Ok(cap),
            Item::Close | Item::Text(_) => {}
        }
    }
}

fn fields(xml: &mut Xml<'_>, notes: &mut Notes) -> Result<Cap, XmlError> {
    let inside = xml.depth();
    let mut cap = Cap::default();
    let (mut infos, mut areas) = (0, 0);
    loop {
        match xml.step()? {
            Item::Open(tag) if !tag.within(Ns::Cap) => xml.skip()?,
            Item::Open(tag) => match tag.local() {
                "info" => {
                    infos += 1;
                    if infos > CAP_INFOS_MAX {
                        notes.note("cap_cut");
                        xml.skip()?;
                    }
                }
                "area" => {
                    areas += 1;
                    if areas > CAP_AREAS_MAX {
                        notes.note("cap_cut");
                        xml.skip()?;
                    }
                }
                name => {
                    let name = name.to_owned();
                    field(xml, &mut cap, &name, infos, notes)?;
                }
            },
            Item::Close if xml.depth() < inside => return Ok(cap),
            Item::End => return Err(XmlError::Malformed),
            _ => {}
        }
    }
}

fn field(xml: &mut Xml<'_>, cap: &mut Cap, name: &str, infos: usize, notes: &mut Notes) -> Result<(), XmlError> {
    if matches!(name, "geocode" | "parameter") {
        let pair = pair(xml)?;
        let list = if name == "geocode" { &mut cap.geocodes } else { &mut cap.parameters };
        if list.len() < CAP_AREAS_MAX {
            list.extend(pair);
        }
        return Ok(());
    }
    let slot = match name {
        "identifier" => &mut cap.identifier,
        "sender" => &mut cap.sender,
        "sent" => &mut cap.sent,
        "status" => &mut cap.status,
        "msgType" => &mut cap.msg_type,
        "references" => &mut cap.references,
        "category" => &mut cap.category,
        "event" => &mut cap.event,
        "urgency" => &mut cap.urgency,
        "severity" => &mut cap.severity,
        "certainty" => &mut cap.certainty,
        "expires" if infos <= 1 => &mut cap.expires,
        "language" => &mut cap.language,
        "areaDesc" => &mut cap.area_desc,
        "headline" | "description" | "instruction" => {
            let text = xml.text()?;
            let room = TEXT_BYTES_MAX.saturating_sub(cap.words.len() + 1);
            if !cap.words.is_empty() {
                cap.words.push('\n');
            }
            cap.words.push_str(cut(&text, room));
            return Ok(());
        }
        "circle" => {
            let circle = circle(&xml.text()?);
            notes.note_if(circle.is_none(), "cap_circle_unreadable");
            cap.circle = cap.circle.or(circle);
            return Ok(());
        }
        "polygon" => {
            let text = xml.text()?;
            if cap.polygon.is_empty() {
                cap.polygon = polygon(&text, notes);
            }
            return Ok(());
        }
        _ => return xml.skip(),
    };
    let text = xml.text()?;
    if slot.is_none() && !text.is_empty() {
        // A list that is cut in the middle of a name would speak of another alert: its last one is unreadable instead.
        let bytes_max = if name == "references" { CAP_REFERENCES_BYTES_MAX } else { CAP_VALUE_BYTES_MAX };
        *slot = Some(cut(&text, bytes_max).into());
    }
    Ok(())
}

/// A name and its value.
pub type Named = (Box<str>, Box<str>);

/// `valueName` and `value` of the element just opened.
fn pair(xml: &mut Xml<'_>) -> Result<Option<Named>, XmlError> {
    let inside = xml.depth();
    let (mut name, mut value) = (None, None);
    loop {
        match xml.step()? {
            Item::Open(tag) if tag.is(Ns::Cap, "valueName") => name = Some(cut(&xml.text()?, 64).into()),
            Item::Open(tag) if tag.is(Ns::Cap, "value") => value = Some(cut(&xml.text()?, CAP_VALUE_BYTES_MAX).into()),
            Item::Open(_) => xml.skip()?,
            Item::Close if xml.depth() < inside => return Ok(name.zip(value)),
            Item::End => return Err(XmlError::Malformed),
            _ => {}
        }
    }
}

/// `lat,lon radius`, the radius in kilometres.
fn circle(text: &str) -> Option<[f64; 3]> {
    let (center, radius) = text.trim().split_once(char::is_whitespace)?;
    let [lat, lon] = position(center)?;
    let radius_m = decimal(radius).filter(|radius| *radius >= 0.0)? * 1e3;
    Some([lat, lon, radius_m])
}

fn position(text: &str) -> Option<[f64; 2]> {
    let (lat, lon) = text.split_once(',')?;
    let (lat, lon) = (decimal(lat)?, decimal(lon)?);
    Point::from_degrees(lat, lon).filter(|_| lat != 0.0 || lon != 0.0).map(|_| [lat, lon])
}

/// Pairs parted by blanks, closed; of too many vertices the box.
fn polygon(text: &str, notes: &mut Notes) -> Vec<[f64; 2]> {
    let mut ring: Vec<[f64; 2]> = Vec::new();
    let mut bounds: Option<[f64; 4]> = None;
    let mut count = 0;
    for pair in text.split_ascii_whitespace() {
        let Some([lat, lon]) = position(pair) else {
            notes.note("cap_polygon_unreadable");
            return Vec::new();
        };
        count += 1;
        if ring.len() <= CLAIM_VERTICES_MAX {
            ring.push([lat, lon]);
        }
        let [south, west, north, east] = bounds.unwrap_or([lat, lon, lat, lon]);
        bounds = Some([south.min(lat), west.min(lon), north.max(lat), east.max(lon)]);
    }
    if let (true, Some([south, west, north, east])) = (count > ring.len(), bounds) {
        notes.note("polygon_too_many_vertices");
        ring = vec![[south, west], [south, east], [north, east], [north, west]];
    }
    if let Some(first) = ring.first().copied()
        && ring.last() != Some(&first)
    {
        ring.push(first);
    }
    if ring.len() < 4 {
        notes.note("cap_polygon_unreadable");
        ring.clear();
    }
    ring
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alerts_that_one_speaks_of_are_told_apart() {
        let references = "s@x,a,2026-01-01T04:00:00+04:00\n broken ,, s,b,yesterday s@y,c,d,2026-01-01T00:00:01Z";
        let cap = Cap { references: Some(references.into()), ..Cap::default() };
        let sent = 1_767_225_600_000_000;
        let expected =
            [Earlier { sender: "s@x", identifier: "a", sent }, Earlier { sender: "s@y", identifier: "c,d", sent: sent + 1_000_000 }];
        assert_eq!(cap.earlier(), expected);
    }

    #[test]
    fn the_name_of_an_alert_is_of_its_sender_and_identifier_and_has_room() {
        let long = "é".repeat(200);
        let names = [("s", "a"), ("sa", ""), ("", "sa"), ("t", "a"), ("s", &long), ("s", "a\r\nb")].map(|(s, i)| reference_of(s, i));
        for (at, name) in names.iter().enumerate() {
            assert!(name.len() <= IDENTITY_BYTES_MAX && !name.contains('\n') && !names[..at].contains(name), "{name}");
        }
        assert!(names[0].starts_with("a~"));
    }
}
