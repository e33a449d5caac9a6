//! HELD: the answer of a location server to the reference of a call, and the question it answers.
//!
//! An answer is a `locationResponse` around a PIDF-LO, or the bare PIDF-LO when the reference was fetched plainly. Errors come with
//! HTTP 200. Nothing is fetched here.
//!
//! # Source
//! RFC 5985 (HELD), RFC 6753 (dereference).

use crate::limits::{GEOLOCATIONS_MAX, REFERENCE_URI_BYTES_MAX};
use crate::wire::notes::{Notes, cut};
use crate::wire::pidf_lo::{self, PidfLo};
use crate::wire::xml::{Item, Ns, Xml, XmlError, text_of};

/// The type of questions and answers.
pub const MEDIA_TYPE: &str = "application/held+xml";

/// The question to a reference: where is whoever this names, for the routing of an emergency call.
///
/// # Source
/// RFC 6753, 3; RFC 5985, 6.1 (`emergencyRouting`), 6.2.
pub const REQUEST: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
    <locationRequest xmlns=\"urn:ietf:params:xml:ns:geopriv:held\" responseTime=\"emergencyRouting\">\
    <locationType exact=\"false\">geodetic civic</locationType></locationRequest>";

/// What a location server said, or was asked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Held {
    /// The name of the root element.
    pub request: Box<str>,
    pub place: PidfLo,
    /// References instead of, or beside, a place.
    pub refs: Vec<Box<str>>,
    /// The code of an error (`locationUnknown`).
    pub error: Option<Box<str>>,
    /// `emergencyRouting`, `emergencyDispatch` or milliseconds.
    pub response_time: Option<Box<str>>,
}

/// Reads an answer or a question.
pub fn read(bytes: &[u8], notes: &mut Notes) -> Held {
    let text = text_of(bytes);
    match document(&mut Xml::new(&text), notes) {
        Ok(held) => held,
        Err(error) => {
            notes.note(error.code());
            Held::default()
        }
    }
}

fn document(xml: &mut Xml<'_>, notes: &mut Notes) -> Result<Held, XmlError> {
    let mut held = Held::default();
    let mut first = true;
    loop {
        match xml.step()? {
            Item::Open(tag) => {
                if core::mem::take(&mut first) {
                    held.request = cut(tag.local(), 64).into();
                    held.error = tag.attribute("code").filter(|_| tag.is(Ns::Held, "error")).map(|code| cut(&code, 64).into());
                    held.response_time = tag.attribute("responseTime").map(|time| cut(&time, 32).into());
                }
                if tag.is(Ns::Pidf, "presence") {
                    let place = pidf_lo::presence(xml, &tag, notes)?;
                    if held.place.is_empty() {
                        held.place = place;
                    }
                } else if tag.is(Ns::Held, "locationURI") {
                    let uri = xml.text()?;
                    if uri.len() > REFERENCE_URI_BYTES_MAX {
                        notes.note("reference_too_long");
                    } else if held.refs.len() < GEOLOCATIONS_MAX {
                        held.refs.push((*uri).into());
                    }
                } else if !(tag.within(Ns::Held) && matches!(tag.local(), "locationResponse" | "locationUriSet")) {
                    xml.skip()?;
                }
            }
            Item::End => return Ok(held),
            Item::Close | Item::Text(_) => {}
        }
    }
}
