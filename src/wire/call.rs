//! A SIP request as an emergency call: who calls, what was dialled, from where, and what becomes of the request.
//!
//! Recorded and never a reason to refuse: `Identity` without a checked signature, unknown `Require` and `Proxy-Require`, a `Privacy` that
//! hides the number (not from a dispatcher), `Geolocation-Routing: no` (RFC 6881 SP-33.6 lets an emergency router use the place).
//!
//! # Source
//! RFC 3261, RFC 6442 (Geolocation), RFC 6881 (best practice), RFC 3325 (asserted identity), RFC 7044 (History-Info), RFC 5806
//! (Diversion), RFC 7090 (callbacks), RFC 8147 (eCall), RFC 8876 (data-only calls), RFC 7254 (IMEI as an instance id).

use crate::limits::{
    CIVIC_VALUE_BYTES_MAX, GEOLOCATIONS_MAX, HISTORY_MAX, IDENTITY_BYTES_MAX, PASSPORTS_MAX, PIDF_PARTS_MAX, REFERENCE_URI_BYTES_MAX,
    TEXT_BYTES_MAX,
};
use crate::service::ServiceUrn;
use crate::units::Timestamp;
use crate::wire::cap;
use crate::wire::held;
use crate::wire::msd;
use crate::wire::multipart::{self, Part};
use crate::wire::notes::{Notes, cut, phone_digits, unescaped};
use crate::wire::passport::Stir;
use crate::wire::pidf_lo::{self, PidfLo};
use crate::wire::reading::{Kind, Outcome, Reading, take_cap, take_msd};
use crate::wire::sip::{NoRequest, Request, offer};
use crate::wire::uri::{Uri, address, parameter};
use crate::wire::xml::text_of;

const PIDF: &str = "application/pidf+xml";
pub(crate) const MSD: &str = "application/emergencycalldata.ecall.msd";
const CAP: [&str; 3] = ["application/emergencycalldata.cap+xml", "application/common-alerting-protocol+xml", "application/cap+xml"];

/// Reads a datagram or one message of a stream.
pub fn read(bytes: &[u8], now: Timestamp) -> Reading {
    let mut reading = Reading::new(Kind::Sip, Outcome::Routed);
    let mut notes = Notes::default();
    match Request::read(bytes, &mut notes) {
        Ok(request) => return read_request(&request, notes, now),
        Err(NoRequest::Dropped(why)) => {
            reading.notes = notes;
            reading.outcome = Outcome::Dropped { why, status: None };
        }
        Err(NoRequest::Refused { status, why }) => {
            reading.notes = notes;
            reading.notes.note(why);
            reading.outcome = Outcome::Rejected { status, why };
        }
    }
    reading
}

/// Reads a request that was taken apart; `notes` are of that.
pub fn read_request(request: &Request<'_>, notes: Notes, now: Timestamp) -> Reading {
    let mut reading = Reading { notes, ..Reading::new(Kind::Sip, Outcome::Routed) };
    fill(&mut reading, request, now);
    reading
}

fn fill(reading: &mut Reading, request: &Request<'_>, now: Timestamp) {
    reading.method = Some(request.method.clone());
    reading.reference = request.first("call-id").map(|id| cut(id.trim(), IDENTITY_BYTES_MAX).into());
    reading.in_dialog = request.first("to").is_some_and(|to| parameter(address(to).1, "tag").is_some());
    let package = request.first("event").map(|event| event.split(';').next().unwrap_or_default().trim());
    reading.reports_dialogs = package.is_some_and(|package| package.eq_ignore_ascii_case("dialog"));
    reading.callback = request.first("priority").is_some_and(|value| value.trim().eq_ignore_ascii_case("psap-callback"));
    target(reading, request);
    identities(reading, request);
    evidence(reading, request);
    network(reading, request);
    let parts = bodies(reading, request);
    place(reading, request, &parts);
    data(reading, &parts, now);
    // An alert that is over, on a call: the caller is there all the same.
    if &*request.method == "INVITE" && matches!(reading.outcome, Outcome::Dropped { .. }) {
        reading.outcome = Outcome::Routed;
    }
    reading.policy = policy(request, &parts);
    if reading.outcome == Outcome::Routed {
        reading.outcome = outcome(reading, &request.method);
    }
}

/// What was asked for: the request URI, else the route that brought it here.
fn target(reading: &mut Reading, request: &Request<'_>) {
    take_target(reading, &request.uri);
    if reading.urn.is_none() && reading.number.is_none() {
        for route in request.values("route") {
            take_target(reading, address(route).0);
            if reading.urn.is_some() || reading.number.is_some() {
                reading.notes.note("target_from_route");
                break;
            }
        }
    }
    reading.test_call = reading.service_urn().is_some_and(|urn| urn.test);
}

fn take_target(reading: &mut Reading, text: &str) {
    let Some(uri) = Uri::parse(text) else { return };
    if uri.is("urn") {
        let urn = cut(uri.whole, CIVIC_VALUE_BYTES_MAX).to_ascii_lowercase();
        reading.notes.note_if(ServiceUrn::parse(&urn).is_none(), "urn_unreadable");
        reading.urn = Some(urn.into());
    } else if uri.user.is_some() {
        reading.number = uri.number().map(Into::into);
        reading.notes.note_if(reading.number.is_none(), "number_unreadable");
    }
}

fn identities(reading: &mut Reading, request: &Request<'_>) {
    // From whoever is trusted most to whoever just says so.
    for name in ["p-asserted-identity", "remote-party-id", "p-preferred-identity", "from"] {
        let number = request.values(name).find_map(|value| {
            let uri = Uri::parse(address(value).0)?;
            if uri.is_anonymous() { None } else { uri.number() }
        });
        // One digit or two are an extension's slip, not a line to call back.
        if let Some(number) = number.filter(|number| number.len() >= 3) {
            reading.caller = Some(number.into());
            break;
        }
    }
    reading.imei = request.values("contact").find_map(|value| imei(parameter(address(value).1, "+sip.instance")?));
    reading.history = uris(request, "history-info");
    reading.diversion = uris(request, "diversion");
    let language = request.values("accept-language").next().map(|value| value.split(';').next().unwrap_or_default().trim());
    reading.language = language.filter(|language| !language.is_empty() && *language != "*").map(|language| cut(language, 32).into());
}

/// `urn:gsma:imei:35346111-123456-0`, with or without what follows a semicolon.
fn imei(instance: &str) -> Option<Box<str>> {
    const PREFIX: &str = "urn:gsma:imei:";
    let text = instance.trim().trim_start_matches('<').trim_end_matches('>');
    let rest = text.get(..PREFIX.len()).filter(|start| start.eq_ignore_ascii_case(PREFIX)).and(text.get(PREFIX.len()..))?;
    let digits = phone_digits(rest.split(';').next().unwrap_or_default())?;
    ((14..=16).contains(&digits.len()) && !digits.starts_with('+')).then(|| digits.into())
}

fn uris(request: &Request<'_>, name: &str) -> Vec<Box<str>> {
    let bare = |value: &str| Uri::parse(address(value).0).map(|uri| cut(uri.bare, CIVIC_VALUE_BYTES_MAX).into());
    request.values(name).filter_map(bare).take(HISTORY_MAX).collect()
}

fn evidence(reading: &mut Reading, request: &Request<'_>) {
    for header in request.lines("identity").take(PASSPORTS_MAX) {
        Stir::add(&mut reading.stir, header, &mut reading.notes);
    }
    reading.resource_priority = request.values("resource-priority").next().map(|value| cut(value, 64).into());
    reading.notes.note_if(request.first("require").is_some(), "require_ignored");
    reading.notes.note_if(request.first("proxy-require").is_some(), "proxy_require_ignored");
}

fn network(reading: &mut Reading, request: &Request<'_>) {
    for spec in request.values("p-access-network-info") {
        reading.access.network_info(spec, &mut reading.notes);
    }
    for spec in request.values("cellular-network-info") {
        reading.access.cellular_info(spec, &mut reading.notes);
    }
}

fn bodies<'a>(reading: &mut Reading, request: &Request<'a>) -> Vec<Part<'a>> {
    if request.body.is_empty() {
        return Vec::new();
    }
    let kind = request.first("content-type").unwrap_or_default();
    if kind.is_empty() {
        reading.notes.note("content_type_missing");
        return Vec::new();
    }
    multipart::parts(kind, request.first("content-id"), request.body, &mut reading.notes)
}

/// The values of all Geolocation headers, places before references, and the one place to believe.
fn place(reading: &mut Reading, request: &Request<'_>, parts: &[Part<'_>]) {
    let documents: Vec<&Part<'_>> = parts.iter().filter(|part| part.is(PIDF)).take(PIDF_PARTS_MAX).collect();
    let mut wanted: Vec<&Part<'_>> = Vec::new();
    let mut stated = 0;
    for value in request.values("geolocation").take(GEOLOCATIONS_MAX) {
        stated += 1;
        let uri = address(value).0;
        match cid(uri) {
            Some(id) => {
                let mut named = documents.iter().copied().filter(|part| part.id.as_deref() == Some(&*id));
                let first = named.next();
                reading.notes.note_if(first.is_none(), "cid_matches_nothing");
                reading.notes.note_if(named.next().is_some(), "content_id_repeated");
                wanted.extend(first.filter(|first| !wanted.iter().any(|part| core::ptr::eq(*part, *first))));
            }
            None => reference(reading, uri),
        }
    }
    // Those that no header names follow: in order, or from the last where nobody names any.
    let others: Vec<&Part<'_>> = if stated == 0 { documents.iter().rev().copied().collect() } else { documents };
    for part in others {
        if !wanted.iter().any(|named| core::ptr::eq(*named, part)) {
            wanted.push(part);
        }
    }
    let mut found = PidfLo::default();
    for (count, part) in wanted.into_iter().enumerate() {
        let place = pidf_lo::read(part.body, &mut reading.notes);
        if place.stated.is_some() {
            let civic = core::mem::take(&mut found.civic);
            found = place;
            if found.civic.is_empty() && stated > 0 {
                found.civic = civic;
            }
            reading.notes.note_if(count > 0, "place_from_other_part");
            break;
        }
        if found.is_empty() {
            found = place;
        }
    }
    reading.take_place(found);
}

/// The id that a `cid:` URI names, escapes resolved.
fn cid(uri: &str) -> Option<String> {
    let rest = uri.get(..4).filter(|scheme| scheme.eq_ignore_ascii_case("cid:")).and(uri.get(4..))?;
    let id = unescaped(rest.as_bytes(), false).and_then(|bytes| String::from_utf8(bytes).ok());
    Some(id.unwrap_or_else(|| rest.to_owned()))
}

/// A reference is kept when it could ever be fetched: `https`, or a presence URI. All others are a stranger's wish.
fn reference(reading: &mut Reading, text: &str) {
    let allowed = Uri::parse(text).filter(|uri| ["https", "sip", "sips", "pres"].iter().any(|scheme| uri.is(scheme)));
    match allowed {
        Some(uri) if uri.whole.len() > REFERENCE_URI_BYTES_MAX => reading.notes.note("reference_too_long"),
        Some(uri) => reading.refs.push(uri.whole.into()),
        None => reading.notes.note("reference_refused"),
    }
}

fn data(reading: &mut Reading, parts: &[Part<'_>], now: Timestamp) {
    for part in parts {
        if part.is(held::MEDIA_TYPE) && reading.held.is_none() {
            let held = held::read(part.body, &mut reading.notes);
            held.refs.iter().take(GEOLOCATIONS_MAX.saturating_sub(reading.refs.len())).for_each(|uri| reference(reading, uri));
            reading.held = Some(held);
        } else if part.is("application/sdp") && reading.media.is_empty() {
            let (media, language) = offer(part.body);
            reading.media = media;
            // What the caller speaks on this call says more than what the device accepts.
            reading.language = language.or(reading.language.take());
        } else if part.is("text/plain") && reading.text.is_none() {
            let text = text_of(part.body);
            let text = cut(text.trim(), TEXT_BYTES_MAX);
            reading.text = Some(text).filter(|text| !text.is_empty() && reading.method.as_deref() == Some("MESSAGE")).map(Into::into);
        } else if part.is(MSD) && reading.msd.is_none() {
            match msd::read(part.body) {
                Ok(msd) => take_msd(reading, msd),
                Err(error) => reading.notes.note(error.code()),
            }
        } else if CAP.iter().any(|kind| part.is(kind)) && reading.cap.is_none() {
            let found = cap::read(part.body, &mut reading.notes);
            if let Some(cap) = found {
                take_cap(reading, cap, now);
            }
        }
    }
}

/// The rule that let this call through where another reading of the standards would not; the strongest when there are several.
fn policy(request: &Request<'_>, parts: &[Part<'_>]) -> Option<&'static str> {
    let located = request.first("geolocation").is_some();
    if !located && parts.iter().any(|part| part.is(PIDF)) {
        Some("no Geolocation header but a pidf+xml body")
    } else if request.first("proxy-require").is_some() {
        Some("proxy_require")
    } else if located && request.first("geolocation-routing").is_none() {
        Some("geolocation_routing=absent")
    } else if request.values("geolocation-routing").any(|value| value.eq_ignore_ascii_case("no")) {
        Some("geolocation_routing=no")
    } else {
        None
    }
}

fn outcome(reading: &Reading, method: &str) -> Outcome {
    match method {
        "OPTIONS" => Outcome::Answered { status: 200 },
        "ACK" => Outcome::Dropped { why: "acknowledgement", status: None },
        "CANCEL" => Outcome::Answered { status: 200 },
        // Not ours to route: a dispatcher calls a caller back.
        "INVITE" if reading.callback => Outcome::Rejected { status: 404, why: "psap_callback" },
        // A redirect server holds no dialogs.
        "INVITE" | "BYE" | "PRACK" | "UPDATE" | "REFER" if reading.in_dialog => Outcome::Rejected { status: 481, why: "no_dialog" },
        "INVITE" | "MESSAGE" | "INFO" => Outcome::Routed,
        "BYE" | "PRACK" | "UPDATE" => Outcome::Rejected { status: 481, why: "no_dialog" },
        // What became of a leg of a call: of the door, not of the path of a contact.
        "NOTIFY" | "PUBLISH" if reading.reports_dialogs => Outcome::Answered { status: 200 },
        "NOTIFY" | "PUBLISH" | "REFER" | "REGISTER" | "SUBSCRIBE" => Outcome::Rejected { status: 405, why: "method_not_allowed" },
        _ => Outcome::Rejected { status: 501, why: "method_unknown" },
    }
}
