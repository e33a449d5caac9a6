//! PIDF-LO: a presence document that says where somebody is.
//!
//! Of several places the first usable one counts, devices before tuples before persons. A document that breaks before its end gives no
//! place at all: half a document may hold half a number.
//!
//! What is read and not obeyed: `retransmission-allowed` and `retention-expiry` (rules for those who store and forward), `method` and
//! `timestamp` (kept beside the place).
//!
//! # Source
//! RFC 4119 (PIDF-LO), RFC 4479 (device and person), RFC 5491 (order, shapes, rules), RFC 5139 (civic), RFC 7459 (confidence).

use crate::limits::{CIVIC_VALUE_BYTES_MAX, PIDF_PLACES_MAX};
use crate::wire::notes::{Notes, cut, decimal};
use crate::wire::stated::{self, Civic, Stated};
use crate::wire::xml::{Item, Ns, Tag, Xml, XmlError, text_of};

/// What one document says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PidfLo {
    pub stated: Option<Stated>,
    pub civic: Civic,
    /// `entity` of the document: whose presence it is.
    pub entity: Option<Box<str>>,
    /// How the place was found (`GPS`, `Cell`, `Manual`), as it was written.
    pub method: Option<Box<str>>,
    /// When it was found, as it was written.
    pub timestamp: Option<Box<str>>,
}

impl PidfLo {
    pub fn is_empty(&self) -> bool {
        self.stated.is_none() && self.civic.is_empty()
    }
}

/// Reads a document of its own. What could not be read is in the notes.
pub fn read(bytes: &[u8], notes: &mut Notes) -> PidfLo {
    let text = text_of(bytes);
    let mut xml = Xml::new(&text);
    match document(&mut xml, notes) {
        Ok(found) => found,
        Err(error) => {
            notes.note(error.code());
            PidfLo::default()
        }
    }
}

fn document(xml: &mut Xml<'_>, notes: &mut Notes) -> Result<PidfLo, XmlError> {
    let mut found = PidfLo::default();
    loop {
        match xml.step()? {
            Item::Open(tag) if tag.is(Ns::Pidf, "presence") => found = presence(xml, &tag, notes)?,
            Item::Open(_) => {
                notes.note("pidf_root_unknown");
                xml.skip()?;
            }
            Item::End => return Ok(found),
            Item::Close | Item::Text(_) => {}
        }
    }
}

/// Whose place it is; the order is the order of preference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Holder {
    Device,
    Tuple,
    Person,
    Other,
}

impl Holder {
    fn of(tag: &Tag<'_>) -> Self {
        match tag.local() {
            "device" if tag.within(Ns::DataModel) => Self::Device,
            "tuple" if tag.within(Ns::Pidf) => Self::Tuple,
            "person" if tag.within(Ns::DataModel) => Self::Person,
            _ => Self::Other,
        }
    }
}

/// Reads the `presence` that has just been opened, to its end.
///
/// # Errors
/// Only when the document ends or breaks in it.
pub fn presence(xml: &mut Xml<'_>, tag: &Tag<'_>, notes: &mut Notes) -> Result<PidfLo, XmlError> {
    let inside = xml.depth();
    let entity = tag.attribute("entity").map(|entity| cut(&entity, CIVIC_VALUE_BYTES_MAX).into());
    let mut best: Option<(Holder, PidfLo)> = None;
    let mut places = 0;
    let mut holder = Holder::Other;
    // Method and time stand beside the place, the time after it.
    let mut latest = PidfLo::default();
    loop {
        match xml.step()? {
            Item::Open(tag) => {
                if xml.depth() == inside + 1 {
                    holder = Holder::of(&tag);
                    latest = PidfLo::default();
                }
                match tag.local() {
                    "location-info" if tag.within(Ns::Geopriv) => {
                        places += 1;
                        if places > PIDF_PLACES_MAX {
                            notes.note("pidf_too_many_places");
                            xml.skip()?;
                        } else {
                            location_info(xml, &mut latest, notes)?;
                        }
                    }
                    "method" if tag.within(Ns::Geopriv) => latest.method = short(&xml.text()?),
                    "timestamp" if tag.within(Ns::DataModel) || tag.within(Ns::Pidf) => latest.timestamp = short(&xml.text()?),
                    "usage-rules" if tag.within(Ns::Geopriv) => xml.skip()?,
                    "device" | "tuple" | "person" | "status" | "geopriv" => {}
                    _ => xml.skip()?,
                }
            }
            Item::Close if xml.depth() < inside => break,
            Item::Close if xml.depth() == inside => {
                let rank = |holder: Holder, place: &PidfLo| (place.stated.is_none(), holder);
                let better = best.as_ref().is_none_or(|(before, place)| rank(holder, &latest) < rank(*before, place));
                if !latest.is_empty() && better {
                    let civic = best.take().map(|(_, before)| before.civic).unwrap_or_default();
                    let mut place = core::mem::take(&mut latest);
                    if place.civic.is_empty() {
                        place.civic = civic;
                    }
                    best = Some((holder, place));
                } else if let Some((_, place)) = best.as_mut().filter(|(_, place)| place.civic.is_empty()) {
                    place.civic = core::mem::take(&mut latest.civic);
                }
                latest = PidfLo::default();
            }
            Item::End => return Err(XmlError::Malformed),
            _ => {}
        }
    }
    let (_, mut found) = best.unwrap_or((Holder::Other, PidfLo::default()));
    found.entity = entity;
    Ok(found)
}

/// Reads the children of the place that has just been opened: the first usable shape, the first address, a confidence.
///
/// # Errors
/// Only when the document ends or breaks in it.
pub fn location_info(xml: &mut Xml<'_>, into: &mut PidfLo, notes: &mut Notes) -> Result<(), XmlError> {
    let inside = xml.depth();
    let mut confidence = None;
    let mut own = false;
    loop {
        match xml.step()? {
            Item::Open(tag) if tag.is(Ns::Civic, "civicAddress") => {
                let civic = stated::civic(xml, notes)?;
                if into.civic.is_empty() {
                    into.civic = civic;
                }
            }
            Item::Open(tag) if tag.is(Ns::Confidence, "confidence") => {
                // `unknown` is a value of the standard and says nothing.
                confidence = decimal(&xml.text()?).filter(|percent| (0.0..=100.0).contains(percent));
            }
            Item::Open(tag) => {
                let shape = stated::shape(xml, &tag, notes)?;
                if into.stated.is_none() && shape.is_some() {
                    into.stated = shape;
                    own = true;
                }
            }
            Item::Close if xml.depth() < inside => break,
            Item::End => return Err(XmlError::Malformed),
            _ => {}
        }
    }
    if let (true, Some(stated)) = (own, into.stated.as_mut()) {
        stated.confidence = confidence;
    }
    Ok(())
}

fn short(text: &str) -> Option<Box<str>> {
    Some(cut(text, 64)).filter(|text| !text.is_empty()).map(Into::into)
}
