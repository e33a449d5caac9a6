//! LoST: a client asks who answers for a service at a place. Read here; answered at a door of its own.
//!
//! The first location whose profile is understood is used. What a request gets wrong becomes the error that the standard names for it;
//! errors travel in HTTP 200.
//!
//! # Source
//! RFC 5222: 8.3 (findService), 10 (listServices), 11 (listServicesByLocation), 9 (getServiceBoundary), 13 (errors), 6 (paths).

use crate::limits::{CIVIC_VALUE_BYTES_MAX, LOST_ITEMS_MAX};
use crate::service::ServiceUrn;
use crate::wire::notes::{Notes, cut};
use crate::wire::pidf_lo::{self, PidfLo};
use crate::wire::xml::{Item, Ns, Tag, Xml, XmlError, text_of};

/// What was asked or answered.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lost {
    /// The name of the root element: `findService`, `listServices`, `errors`, ...
    pub request: Box<str>,
    /// The service, in lower case.
    pub service: Option<Box<str>>,
    pub place: PidfLo,
    pub location_id: Option<Box<str>>,
    pub profile: Option<Box<str>>,
    pub recursive: bool,
    pub validate: bool,
    /// `reference` or `value`.
    pub boundary: Option<Box<str>>,
    /// The boundary that `getServiceBoundary` asks for.
    pub key: Option<Box<str>>,
    /// Servers that the request has passed.
    pub path: Vec<Box<str>>,
    /// Where an answer says to call.
    pub uris: Vec<Box<str>>,
    /// Names of the errors that an answer carries.
    pub errors: Vec<Box<str>>,
    /// The error that this request must be answered with.
    pub refused: Option<&'static str>,
    /// Profiles that were not understood.
    pub unsupported: Vec<Box<str>>,
}

impl Lost {
    /// Whether it asks at all; the others are answers.
    pub fn is_request(&self) -> bool {
        matches!(&*self.request, "findService" | "getServiceBoundary" | "listServices" | "listServicesByLocation")
    }

    pub fn urn(&self) -> Option<ServiceUrn> {
        ServiceUrn::parse(self.service.as_deref()?)
    }
}

/// Reads a request or an answer. `server` is our own name, for loops.
pub fn read(bytes: &[u8], server: Option<&str>, notes: &mut Notes) -> Lost {
    let text = text_of(bytes);
    let mut xml = Xml::new(&text);
    match document(&mut xml, notes) {
        Ok(mut lost) => {
            judge(&mut lost, server, notes);
            lost
        }
        Err(error) => {
            notes.note(error.code());
            Lost { refused: Some("badRequest"), ..Lost::default() }
        }
    }
}

fn document(xml: &mut Xml<'_>, notes: &mut Notes) -> Result<Lost, XmlError> {
    let mut lost = Lost::default();
    loop {
        match xml.step()? {
            Item::Open(tag) if tag.within(Ns::Lost) && lost.request.is_empty() => root(xml, &tag, &mut lost, notes)?,
            Item::Open(_) => xml.skip()?,
            Item::End => return Ok(lost),
            Item::Close | Item::Text(_) => {}
        }
    }
}

fn root(xml: &mut Xml<'_>, tag: &Tag<'_>, lost: &mut Lost, notes: &mut Notes) -> Result<(), XmlError> {
    let inside = xml.depth();
    let is_true = |name: &str| tag.attribute(name).is_some_and(|value| matches!(&*value, "true" | "1"));
    lost.request = cut(tag.local(), 64).into();
    lost.recursive = is_true("recursive");
    lost.validate = is_true("validateLocation");
    lost.boundary = tag.attribute("serviceBoundary").map(|value| cut(&value, 16).into());
    lost.key = tag.attribute("key").map(|value| cut(&value, CIVIC_VALUE_BYTES_MAX).into());
    let is_errors = &*lost.request == "errors";
    loop {
        match xml.step()? {
            Item::Open(tag) if is_errors && tag.within(Ns::Lost) => {
                if lost.errors.len() < LOST_ITEMS_MAX {
                    lost.errors.push(cut(tag.local(), 64).into());
                }
                xml.skip()?;
            }
            Item::Open(tag) if tag.is(Ns::Lost, "service") => {
                let service = xml.text()?;
                if lost.service.is_none() {
                    lost.service = Some(cut(&service, CIVIC_VALUE_BYTES_MAX).to_ascii_lowercase().into());
                }
            }
            Item::Open(tag) if tag.is(Ns::Lost, "location") => location(xml, &tag, lost, notes)?,
            Item::Open(tag) if tag.is(Ns::Lost, "path") || tag.is(Ns::Lost, "mapping") => {}
            Item::Open(tag) if tag.is(Ns::Lost, "uri") => {
                let uri = xml.text()?;
                if lost.uris.len() < LOST_ITEMS_MAX {
                    lost.uris.push(cut(&uri, CIVIC_VALUE_BYTES_MAX).into());
                }
            }
            Item::Open(tag) if tag.is(Ns::Lost, "via") => {
                if let Some(source) = tag.attribute("source").filter(|_| lost.path.len() < LOST_ITEMS_MAX) {
                    lost.path.push(cut(&source, CIVIC_VALUE_BYTES_MAX).into());
                }
            }
            Item::Open(_) => xml.skip()?,
            Item::Close if xml.depth() < inside => return Ok(()),
            Item::End => return Err(XmlError::Malformed),
            _ => {}
        }
    }
}

fn location(xml: &mut Xml<'_>, tag: &Tag<'_>, lost: &mut Lost, notes: &mut Notes) -> Result<(), XmlError> {
    let profile = tag.attribute("profile").map(|profile| cut(profile.trim(), 64).to_owned()).unwrap_or_default();
    if !matches!(profile.as_str(), "geodetic-2d" | "civic") {
        if lost.unsupported.len() < LOST_ITEMS_MAX {
            lost.unsupported.push(profile.into());
        }
        return xml.skip();
    }
    if lost.profile.is_some() {
        return xml.skip();
    }
    lost.profile = Some(profile.into());
    lost.location_id = tag.attribute("id").map(|id| cut(&id, 64).into());
    pidf_lo::location_info(xml, &mut lost.place, notes)
}

/// Which of the standard's errors a request deserves, the plainest first.
fn judge(lost: &mut Lost, server: Option<&str>, notes: &Notes) {
    let located = matches!(&*lost.request, "findService" | "listServicesByLocation");
    let passed_us = server.is_some_and(|server| lost.path.iter().any(|via| via.eq_ignore_ascii_case(server)));
    lost.refused = if lost.request.is_empty() || (&*lost.request == "findService" && lost.service.is_none()) {
        Some("badRequest")
    } else if !lost.is_request() {
        None
    } else if passed_us {
        Some("loop")
    } else if lost.service.as_deref().is_some_and(|service| ServiceUrn::parse(service).is_none()) {
        Some("serviceNotImplemented")
    } else if !located {
        None
    } else if lost.profile.is_none() {
        Some(if lost.unsupported.is_empty() { "badRequest" } else { "locationProfileUnrecognized" })
    } else if !lost.place.is_empty() {
        None
    } else if notes.has("srs_unknown") {
        Some("SRSInvalid")
    } else {
        Some("locationInvalid")
    };
}
