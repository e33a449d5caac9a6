//! Answers of a LoST server, as XML. What they say is decided elsewhere; errors are answers too.
//!
//! # Source
//! RFC 5222: 5 (mapping), 6 (path), 8.4 (findServiceResponse), 9.3, 10.2, 11.2 (the other answers), 13 (errors and warnings), 14
//! (order of the elements).

use core::fmt::Write as _;

use crate::geo::point::{BBox, Point};
use crate::limits::LOST_ITEMS_MAX;
use crate::units::{TablesVersion, Timestamp};
use crate::wire::lost::Lost;

/// The media type of a request and of every answer.
pub const MEDIA_TYPE: &str = "application/lost+xml";

/// What is known of a place's room for a service.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Mapping {
    /// Name and language.
    pub names: Vec<(Box<str>, &'static str)>,
    /// The service that is answered for, as a URN.
    pub service: Box<str>,
    pub boundary: Option<Boundary>,
    pub uri: Box<str>,
    /// Digits that people dial for it.
    pub number: Option<Box<str>>,
    /// `None` when it may be another at any moment.
    pub expires: Option<Timestamp>,
    pub updated: Timestamp,
    /// Ours, of this mapping.
    pub id: Box<str>,
}

/// Where a mapping certainly holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Boundary {
    Reference(Box<str>),
    Value(BBox),
}

/// What was odd and did not keep us from answering.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caution {
    DefaultMapping(&'static str),
    ServiceSubstitution,
    ValidationUnavailable,
}

/// An answer to one request.
#[derive(Clone, Copy, Debug)]
pub struct Reply<'a> {
    /// Our name.
    pub source: &'a str,
    pub request: &'a Lost,
}

impl Reply<'_> {
    pub fn mapping(&self, mapping: &Mapping, cautions: &[Caution]) -> String {
        let mut out = open("findServiceResponse");
        let attributes = [
            ("expires", mapping.expires.map_or("NO-CACHE".to_owned(), instant)),
            ("lastUpdated", instant(mapping.updated)),
            ("source", self.source.to_owned()),
            ("sourceId", mapping.id.to_string()),
        ];
        out.push_str("<mapping");
        attributes.iter().for_each(|(name, value)| attribute(&mut out, name, value));
        out.push('>');
        for (name, lang) in &mapping.names {
            let _ = write!(out, "<displayName xml:lang=\"{lang}\">");
            text(&mut out, name);
            out.push_str("</displayName>");
        }
        element(&mut out, "service", &mapping.service);
        match &mapping.boundary {
            Some(Boundary::Reference(key)) => {
                out.push_str("<serviceBoundaryReference");
                attribute(&mut out, "source", self.source);
                attribute(&mut out, "key", key);
                out.push_str("/>");
            }
            Some(Boundary::Value(found)) => boundary(&mut out, *found),
            None => {}
        }
        element(&mut out, "uri", &mapping.uri);
        if let Some(number) = &mapping.number {
            element(&mut out, "serviceNumber", number);
        }
        out.push_str("</mapping>");
        self.cautions(&mut out, cautions);
        self.path(&mut out);
        self.location_used(&mut out);
        close(out, "findServiceResponse")
    }

    /// `root` is `listServicesResponse` or `listServicesByLocationResponse`.
    pub fn services(&self, root: &str, services: &[String]) -> String {
        let mut out = open(root);
        element(&mut out, "serviceList", &services.join(" "));
        self.path(&mut out);
        if root == "listServicesByLocationResponse" {
            self.location_used(&mut out);
        }
        close(out, root)
    }

    pub fn boundary(&self, found: BBox) -> String {
        let mut out = open("getServiceBoundaryResponse");
        boundary(&mut out, found);
        self.path(&mut out);
        close(out, "getServiceBoundaryResponse")
    }

    /// One error. The sender's own text stays out of the message: it is in the log.
    pub fn error(&self, name: &str, message: &str) -> String {
        let mut out = String::from(HEAD);
        out.push_str("<errors xmlns=\"urn:ietf:params:xml:ns:lost1\"");
        attribute(&mut out, "source", self.source);
        let _ = write!(out, "><{name}");
        if name == "locationProfileUnrecognized" {
            attribute(&mut out, "unsupportedProfiles", &profiles(&self.request.unsupported));
        }
        attribute(&mut out, "message", message);
        attribute(&mut out, "xml:lang", "en");
        out.push_str("/>");
        close(out, "errors")
    }

    fn cautions(&self, out: &mut String, cautions: &[Caution]) {
        if cautions.is_empty() {
            return;
        }
        out.push_str("<warnings");
        attribute(out, "source", self.source);
        out.push('>');
        for caution in cautions {
            let (name, message) = match caution {
                Caution::DefaultMapping(why) => ("defaultMappingReturned", *why),
                Caution::ServiceSubstitution => ("serviceSubstitution", "the service above the one asked for answers"),
                Caution::ValidationUnavailable => ("locationValidationUnavailable", "addresses are not validated here"),
            };
            let _ = write!(out, "<{name}");
            attribute(out, "message", message);
            attribute(out, "xml:lang", "en");
            out.push_str("/>");
        }
        out.push_str("</warnings>");
    }

    /// The servers the request has passed, and us.
    fn path(&self, out: &mut String) {
        out.push_str("<path>");
        for source in self.request.path.iter().take(LOST_ITEMS_MAX).map(|source| &**source).chain([self.source]) {
            out.push_str("<via");
            attribute(out, "source", source);
            out.push_str("/>");
        }
        out.push_str("</path>");
    }

    fn location_used(&self, out: &mut String) {
        if let Some(id) = &self.request.location_id {
            out.push_str("<locationUsed");
            attribute(out, "id", id);
            out.push_str("/>");
        }
    }
}

const HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

fn open(root: &str) -> String {
    let mut out = String::with_capacity(2_048);
    let _ = write!(out, "{HEAD}<{root} xmlns=\"urn:ietf:params:xml:ns:lost1\">");
    out
}

fn close(mut out: String, root: &str) -> String {
    let _ = writeln!(out, "</{root}>");
    out
}

fn element(out: &mut String, name: &str, value: &str) {
    let _ = write!(out, "<{name}>");
    text(out, value);
    let _ = write!(out, "</{name}>");
}

fn attribute(out: &mut String, name: &str, value: &str) {
    let _ = write!(out, " {name}=\"");
    text(out, value);
    out.push('"');
}

/// Characters that XML has no room for are left out.
fn text(out: &mut String, value: &str) {
    for c in value.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\t' | '\n' | '\r' => out.push(' '),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => {}
            c => out.push(c),
        }
    }
}

/// As name tokens: what is none of a name's characters becomes a hyphen.
fn profiles(names: &[Box<str>]) -> String {
    let token = |name: &str| -> String {
        let kept: String = name.chars().map(|c| if c.is_ascii_alphanumeric() || "-._:".contains(c) { c } else { '-' }).collect();
        if kept.is_empty() { "none".to_owned() } else { kept }
    };
    names.iter().map(|name| token(name)).collect::<Vec<_>>().join(" ")
}

/// The corners against the clock, closed, latitude first.
fn boundary(out: &mut String, found: BBox) {
    let BBox { min, max } = found;
    let corners =
        [(min.lat_e7, min.lon_e7), (min.lat_e7, max.lon_e7), (max.lat_e7, max.lon_e7), (max.lat_e7, min.lon_e7), (min.lat_e7, min.lon_e7)];
    let list: Vec<String> = corners.iter().map(|(lat, lon)| format!("{} {}", degrees(*lat), degrees(*lon))).collect();
    let _ = write!(
        out,
        "<serviceBoundary profile=\"geodetic-2d\"><gml:Polygon xmlns:gml=\"http://www.opengis.net/gml\" \
         srsName=\"urn:ogc:def:crs:EPSG::4326\"><gml:exterior><gml:LinearRing><gml:posList>{}</gml:posList></gml:LinearRing>\
         </gml:exterior></gml:Polygon></serviceBoundary>",
        list.join(" ")
    );
}

/// All seven digits: nothing is rounded off a boundary.
fn degrees(e7: i32) -> String {
    let (sign, whole) = (if e7 < 0 { "-" } else { "" }, e7.unsigned_abs());
    format!("{sign}{}.{:07}", whole / 10_000_000, whole % 10_000_000)
}

/// To the second, UTC.
fn instant(at: Timestamp) -> String {
    let secs = i64::try_from(at.unix_micros / 1_000_000).unwrap_or(i64::MAX);
    jiff::Timestamp::from_second(secs).unwrap_or_default().to_string()
}

// --- keys ---

/// A boundary by its corners: whoever shows the key to any of our servers with the same tables hears the same boundary.
pub fn key_of(version: TablesVersion, found: BBox) -> String {
    format!("{version}_{}_{}_{}_{}", found.min.lat_e7, found.min.lon_e7, found.max.lat_e7, found.max.lon_e7)
}

/// The box of a key, and the tables it was made of. `None` when it is none of ours.
pub fn box_of(key: &str) -> Option<(&str, BBox)> {
    let (version, corners) = key.split_once('_')?;
    let mut numbers = corners.split('_').map(|number| number.parse::<i32>().ok());
    let mut point = || Point::new(numbers.next()??, numbers.next()??);
    let (min, max) = (point()?, point()?);
    let fits = numbers.next().is_none() && min.lat_e7 < max.lat_e7 && min.lon_e7 < max.lon_e7;
    fits.then_some((version, BBox { min, max }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found() -> BBox {
        BBox { min: Point::new(-5, 7).unwrap(), max: Point::new(100_000_000, 250_000_001).unwrap() }
    }

    #[test]
    fn a_key_is_its_box_and_nothing_else_is_a_key() {
        let key = key_of(TablesVersion([0xab; 32]), found());
        assert_eq!(box_of(&key), Some(("abababababab", found())));
        for bad in ["", "a", "a_1_2_3", "a_1_2_3_4_5", "a_3_4_1_2", "a_1_2_x_4", "a_1_2_2000000000_4"] {
            assert_eq!(box_of(bad), None, "{bad}");
        }
    }

    #[test]
    fn degrees_keep_every_digit() {
        assert_eq!([-5, 0, 250_000_001, -1_234_567_890].map(degrees), ["-0.0000005", "0.0000000", "25.0000001", "-123.4567890"]);
    }

    #[test]
    fn a_senders_text_cannot_break_an_answer() {
        let request = Lost {
            path: vec!["a\"><evil/>&".into()],
            location_id: Some("\u{1}<".into()),
            unsupported: vec!["x y\"".into()],
            ..Lost::default()
        };
        let reply = Reply { source: "s", request: &request };
        let answer = reply.services("listServicesByLocationResponse", &["urn:service:sos".into()]);
        assert!(
            answer.contains("<via source=\"a&quot;&gt;&lt;evil/&gt;&amp;\"/><via source=\"s\"/></path><locationUsed id=\"&lt;\"/>"),
            "{answer}"
        );
        assert!(reply.error("locationProfileUnrecognized", "m").contains("unsupportedProfiles=\"x-y-\""));
    }
}
