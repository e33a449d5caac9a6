//! `POST /lost`: which room answers for a service at a place, before anybody calls.
//!
//! The same decision as for a call from there, so a proxy that asks and a gateway that is redirected reach the same room. Whoever can
//! reach the door may ask; nothing is kept and the engine hears nothing.
//!
//! - A place outside the country, or one that cannot be placed (an address), gets the room that such a call would get, with a warning.
//! - The boundary is a box in which the answer is certainly the same (`tables/steady.rs`), not the outline of an area.
//! - An answer that hours, states or loads may change within its time is not to be kept (`NO-CACHE`).
//!
//! # Source
//! RFC 5222.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, HOST};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Request, StatusCode};
use axum::response::{IntoResponse, Response};

use super::{Hall, Peer, peer, read_body};
use crate::contact::{Contact, Place};
use crate::edge::ingress::{Core, Decided, GatewayDesk, count};
use crate::geo::area::Shape;
use crate::geo::point::BBox;
use crate::limits::{LOST_EXPIRES_MICROS, SIP_BYTES_MAX};
use crate::service::{ServiceUrn, UrnKind};
use crate::tables::snapshot::{Snapshot, Tables};
use crate::tables::steady::{hours_stay, is_steady, steady_box};
use crate::units::{ContactId, Name, TablesVersion, Timestamp};
use crate::wire::lost::{self, Lost};
use crate::wire::lost_answer::{Boundary, Caution, MEDIA_TYPE, Mapping, Reply, box_of, key_of};
use crate::wire::notes::Notes;
use crate::wire::reading::{Kind, Outcome, Reading, Receipt, take_lost};

pub(super) async fn post_lost(State(hall): State<Arc<Hall>>, request: Request<Body>) -> Response {
    let place = hall.requests.try_acquire().ok();
    let (parts, body) = request.into_parts();
    // A proxy with a certificate asks on behalf of a caller and is never sent away; beyond the bound strangers are.
    if place.is_none() && !matches!(peer(&parts), Peer::Role(_)) {
        return hall.unknown(false);
    }
    let bytes = match read_body(&parts, body, SIP_BYTES_MAX, hall.config.body_wait).await {
        Ok(bytes) => bytes,
        Err(answer) => return answer,
    };
    let text = hall.lost(&bytes, host_of(&parts), hall.core.clock.now());
    (StatusCode::OK, [(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE))], text).into_response()
}

/// The name by which we were asked, without a port.
fn host_of(parts: &Parts) -> Option<&str> {
    parts.headers.get(HOST)?.to_str().ok()?.split(':').next()
}

impl Hall {
    /// The answer to a request, whatever it holds.
    fn lost(&self, bytes: &[u8], host: Option<&str>, now: Timestamp) -> String {
        let mut notes = Notes::default();
        let mut request = lost::read(bytes, host, &mut notes);
        let passed_us = request.path.iter().any(|via| via.eq_ignore_ascii_case(&self.config.name));
        if passed_us && request.is_request() {
            request.refused = Some("loop");
        }
        let reply_to = request.clone();
        let reply = Reply { source: &self.config.name, request: &reply_to };
        if let Some(error) = request.refused {
            count(&self.counters.malformed);
            return reply.error(error, why(error));
        }
        let kind = request.request.clone();
        match &*kind {
            "findService" => self.find_service(&reply, reading_of(request, notes), now),
            "getServiceBoundary" => self.service_boundary(&reply),
            "listServices" => reply.services("listServicesResponse", &services_below(request.service.as_deref())),
            "listServicesByLocation" => reply.services("listServicesByLocationResponse", &services_below(request.service.as_deref())),
            _ => reply.error("badRequest", "this is no request"),
        }
    }

    fn find_service(&self, reply: &Reply<'_>, reading: Reading, now: Timestamp) -> String {
        let Some((contact, urn)) = contact_of(&reading, now).zip(reading.service_urn()) else {
            return reply.error("badRequest", why("badRequest"));
        };
        let decided = self.asked(&contact, now);
        let Some(target) = decided.targets.first() else {
            return reply.error("notFound", "test calls have no room here");
        };
        let snapshot = self.core.snapshot();
        // Decided once more only when hours begin or end before the answer expires.
        let later = || self.asked(&contact, now.plus_micros(LOST_EXPIRES_MICROS)).targets.first() == Some(target);
        let steady = hours_stay(&snapshot.tables, now, LOST_EXPIRES_MICROS) || later();
        let is_odd = |code: &str| decided.decision.discrepancies.iter().any(|found| found.as_str() == code);
        let may_keep = steady && !is_odd("overflow_taken");
        let room = snapshot.tables.dispatchers.find(target.dispatcher.as_str()).and_then(|index| snapshot.tables.dispatchers.get(index));
        let names = room.map(|room| vec![(room.name_en.clone(), "en"), (room.name_ar.clone(), "ar")]).unwrap_or_default();
        let found = boundary_of(&snapshot.tables, &contact).filter(|_| may_keep && !is_odd("outside_country"));
        let by_value = reply.request.boundary.as_deref() == Some("value");
        let mapping = Mapping {
            names: names.into_iter().filter(|(name, _)| !name.is_empty()).collect(),
            service: spelled(urn).into(),
            boundary: found.map(|found| {
                if by_value { Boundary::Value(found) } else { Boundary::Reference(key_of(snapshot.tables.version, found).into()) }
            }),
            uri: target.uri.clone(),
            number: snapshot.tables.words.numbers.national().map(Into::into),
            expires: may_keep.then(|| now.plus_micros(LOST_EXPIRES_MICROS)),
            updated: self.in_force_since(&snapshot, now),
            id: format!("{}.{}.{}", target.dispatcher, urn.kind.word(), snapshot.tables.version).into(),
        };
        let mut cautions = Vec::new();
        if contact.claims.is_empty() {
            cautions.push(Caution::DefaultMapping("addresses are not turned into places here: the room that answers for an unknown place"));
        } else if is_odd("outside_country") {
            cautions.push(Caution::DefaultMapping("the place is outside the country: the nearest room"));
        }
        if reply.request.service.as_deref() != Some(&*spelled(urn)) {
            cautions.push(Caution::ServiceSubstitution);
        }
        if reply.request.validate {
            cautions.push(Caution::ValidationUnavailable);
        }
        reply.mapping(&mapping, &cautions)
    }

    /// A key is a box of ours, as long as the tables are those it was made of.
    fn service_boundary(&self, reply: &Reply<'_>) -> String {
        let tables = &self.core.snapshot().tables;
        let found = reply.request.key.as_deref().and_then(box_of);
        match found.filter(|(version, found)| *version == tables.version.to_string() && is_steady(tables, *found)) {
            Some((_, found)) => reply.boundary(found),
            None => reply.error("notFound", "no boundary has this key in the tables in force"),
        }
    }

    /// Decided as a call would be, a defect of ours included.
    fn asked(&self, contact: &Contact, now: Timestamp) -> Decided {
        let desk = GatewayDesk {
            trunk: Name::default(),
            load_test: false,
            core: Arc::clone(&self.core) as Arc<dyn Core>,
            clock: self.core.clock,
            counters: Arc::clone(&self.counters),
        };
        desk.decide(contact, now)
    }

    /// When this door first answered by the tables in force.
    fn in_force_since(&self, snapshot: &Snapshot, now: Timestamp) -> Timestamp {
        let known: (TablesVersion, Timestamp) = **self.tables_since.load();
        if known.0 == snapshot.tables.version {
            return known.1;
        }
        self.tables_since.store(Arc::new((snapshot.tables.version, now)));
        now
    }
}

fn reading_of(request: Lost, notes: Notes) -> Reading {
    let mut reading = Reading { notes, ..Reading::new(Kind::Lost, Outcome::Routed) };
    take_lost(&mut reading, request);
    reading
}

/// A call from there, by nobody.
fn contact_of(reading: &Reading, now: Timestamp) -> Option<Contact> {
    reading.contact(Receipt { id: ContactId::default(), gateway: Name::of_word("lost"), trunk: None, received: now })
}

/// A box that holds all of the place asked for.
fn boundary_of(tables: &Tables, contact: &Contact) -> Option<BBox> {
    let shape: &Shape = contact.claims.iter().find_map(|claim| match &claim.place {
        Place::Shape(shape) => Some(shape),
        Place::Makani(_) => None,
    })?;
    let found = steady_box(tables, shape.representative())?;
    let place = shape.bbox();
    (found.contains(place.min) && found.contains(place.max)).then_some(found)
}

fn spelled(urn: ServiceUrn) -> String {
    let test = if urn.test { "test." } else { "" };
    match urn.kind {
        UrnKind::Sos => format!("urn:service:{test}sos"),
        kind => format!("urn:service:{test}sos.{}", kind.word()),
    }
}

/// The services right below the one asked about. Each has a room everywhere: tables without a fallback are refused.
fn services_below(asked: Option<&str>) -> Vec<String> {
    const BELOW_SOS: [UrnKind; 9] = [
        UrnKind::Ambulance,
        UrnKind::AnimalControl,
        UrnKind::Fire,
        UrnKind::Gas,
        UrnKind::Marine,
        UrnKind::Mountain,
        UrnKind::Physician,
        UrnKind::Poison,
        UrnKind::Police,
    ];
    match asked.map(ServiceUrn::parse) {
        None => vec![spelled(ServiceUrn { kind: UrnKind::Sos, test: false })],
        Some(Some(ServiceUrn { kind: UrnKind::Sos, test })) => {
            BELOW_SOS.into_iter().map(|kind| spelled(ServiceUrn { kind, test })).collect()
        }
        Some(_) => Vec::new(),
    }
}

/// What an error means, for a person.
fn why(error: &str) -> &'static str {
    match error {
        "badRequest" => "the request cannot be read",
        "locationInvalid" => "the location cannot be read",
        "locationProfileUnrecognized" => "send a location in the profile geodetic-2d or civic",
        "loop" => "the request has been here before",
        "serviceNotImplemented" => "only urn:service:sos and what is below it is answered for",
        "SRSInvalid" => "send coordinates in EPSG:4326",
        _ => "the request cannot be answered",
    }
}
