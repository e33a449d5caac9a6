//! The words of a console as JSON: what the web page and other systems' consoles say and hear.
//!
//! One object a message, `t` names it. Times are whole microseconds since 1970, ids are text: an offer is `<contact>/<service>`.
//! What can be read out of the tables (the nearest named place, a shape's outline) is written out, so that a page needs no geometry.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::decision_json::DecisionJson;
use crate::contact::{ClaimSource, Contact, LocationClaim, Place, Signal, Whose};
use crate::decision::DecisionRecord;
use crate::deliver::{
    AlertWhy, CallbackOutcome, ConsoleHears, ConsoleSays, Delivery, Event, HangUp, Note, Offer, OfferId, Refusal, Role, Said, Seat, Share,
    WaitingWhy,
};
use crate::event::{EventArea, EventId, EventTerms};
use crate::geo::area::Shape;
use crate::geo::makani;
use crate::geo::point::Point;
use crate::incident::{Because, Candidate};
use crate::limits::{EVENT_TYPES_MAX, LANGUAGES_MAX, SAID_BYTES_MAX, SHAPE_RADIUS_CM_MAX};
use crate::service::Service;
use crate::tables::near::nearest;
use crate::tables::snapshot::Tables;
use crate::units::{ContactId, Name, Timestamp};

/// Why a text is no message of a console.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SaysError {
    #[error("{0}")]
    NotJson(String),
    #[error("`{0}` is no offer: a contact's id, a slash and a service")]
    NoOffer(String),
    #[error("`{0}` is no contact's id")]
    NoContact(String),
    #[error("`{0}` is no service")]
    NoService(String),
    #[error("`{0}` is no room's id")]
    NoRoom(String),
    #[error("`{0}` is no outcome of a callback")]
    NoOutcome(String),
    #[error("`{0}` is no area: an area's id, or a circle with lat, lon and radius_m")]
    NoArea(String),
    #[error("`{0}` is no event: its two numbers with a dash between them")]
    NoEvent(String),
    #[error("an event is declared with at most {EVENT_TYPES_MAX} incident types, by their codes")]
    BadTypes,
    #[error("a line for a caller has {got} bytes; at most {bytes_max} are sent, and none is cut")]
    TooLong { bytes_max: usize, got: usize },
}

#[derive(Deserialize)]
#[serde(tag = "t", rename_all = "snake_case")]
enum Says {
    Accept {
        offer: String,
    },
    AddService {
        contact: String,
        service: String,
    },
    CalledBack {
        offer: String,
        outcome: String,
        #[serde(default)]
        reason: Box<str>,
    },
    Close {
        offer: String,
        #[serde(default)]
        reason: Box<str>,
    },
    Decline {
        offer: String,
        reason: Box<str>,
    },
    Declare {
        area: SaysArea,
        #[serde(default)]
        words: SaysWords,
        #[serde(default)]
        types: Vec<String>,
        /// Microseconds since 1970.
        until: u64,
    },
    Dispatched {
        offer: String,
    },
    EndEvent {
        event: String,
    },
    Heartbeat,
    Inform {
        offer: String,
    },
    Join {
        contact: String,
        with: String,
    },
    Note {
        contact: String,
        text: Box<str>,
    },
    Read {
        contact: String,
    },
    Release {
        offer: String,
    },
    Say {
        contact: String,
        text: Box<str>,
    },
    Shown {
        offer: String,
    },
    SignIn {
        #[serde(default)]
        languages: Vec<String>,
        #[serde(default)]
        text: bool,
    },
    SignOut,
    Split {
        contact: String,
    },
    Take {
        offer: String,
    },
    Transfer {
        offer: String,
        to: String,
        reason: Box<str>,
    },
}

/// An area of the tables by its id, or a circle: `{"area":"AE-DU"}`, `{"lat":25.1,"lon":55.2,"radius_m":2000}`.
#[derive(Deserialize)]
#[serde(untagged)]
enum SaysArea {
    Area { area: String },
    Circle { lat: f64, lon: f64, radius_m: u32 },
}

#[derive(Default, Deserialize)]
struct SaysWords {
    #[serde(default)]
    en: Box<str>,
    #[serde(default)]
    ar: Box<str>,
}

impl SaysArea {
    fn area(self) -> Result<EventArea, SaysError> {
        match self {
            Self::Area { area } => Name::new(&area).map(EventArea::Area).ok_or(SaysError::NoArea(area)),
            Self::Circle { lat, lon, radius_m } => {
                let radius_cm = radius_m.saturating_mul(100);
                let center = Point::from_degrees(lat, lon).filter(|_| (1..=SHAPE_RADIUS_CM_MAX).contains(&radius_cm));
                let center = center.ok_or_else(|| SaysError::NoArea(format!("{lat}, {lon}, {radius_m} m")))?;
                Ok(EventArea::Circle { center, radius_cm })
            }
        }
    }
}

/// Reads one message of a console.
///
/// # Errors
/// [`SaysError`] names what cannot be understood.
pub fn read_says(text: &str) -> Result<ConsoleSays, SaysError> {
    let says: Says = serde_json::from_str(text).map_err(|why| SaysError::NotJson(why.to_string()))?;
    Ok(match says {
        Says::Accept { offer } => ConsoleSays::Accept { offer: offer_id(&offer)? },
        Says::AddService { contact, service } => {
            let service = Service::from_word(&service).ok_or(SaysError::NoService(service))?;
            ConsoleSays::AddService { contact: contact_id(&contact)?, service }
        }
        Says::CalledBack { offer, outcome, reason } => {
            let known = CallbackOutcome::ALL.into_iter().find(|known| known.word() == outcome);
            ConsoleSays::CalledBack { offer: offer_id(&offer)?, outcome: known.ok_or(SaysError::NoOutcome(outcome))?, reason }
        }
        Says::Close { offer, reason } => ConsoleSays::Close { offer: offer_id(&offer)?, reason },
        Says::Decline { offer, reason } => ConsoleSays::Decline { offer: offer_id(&offer)?, reason },
        Says::Declare { area, words, types, until } => {
            let types: Option<Vec<Name>> = types.iter().map(|code| Name::new(code)).collect();
            let types = types.filter(|types| types.len() <= EVENT_TYPES_MAX).ok_or(SaysError::BadTypes)?;
            let terms =
                EventTerms { area: area.area()?, words_en: words.en, words_ar: words.ar, types, until: Timestamp::from_micros(until) };
            ConsoleSays::Declare { terms }
        }
        Says::EndEvent { event } => ConsoleSays::EndEvent { event: event_id(&event)? },
        Says::Dispatched { offer } => ConsoleSays::Dispatched { offer: offer_id(&offer)? },
        Says::Heartbeat => ConsoleSays::Heartbeat,
        Says::Inform { offer } => ConsoleSays::Inform { offer: offer_id(&offer)? },
        Says::Join { contact, with } => ConsoleSays::Join { contact: contact_id(&contact)?, with: contact_id(&with)? },
        Says::Note { contact, text } => ConsoleSays::Note { contact: contact_id(&contact)?, text },
        Says::Read { contact } => ConsoleSays::Read { contact: contact_id(&contact)? },
        Says::Say { contact, text } if text.len() <= SAID_BYTES_MAX => ConsoleSays::Say { contact: contact_id(&contact)?, text },
        Says::Say { text, .. } => return Err(SaysError::TooLong { bytes_max: SAID_BYTES_MAX, got: text.len() }),
        Says::Release { offer } => ConsoleSays::Release { offer: offer_id(&offer)? },
        Says::Shown { offer } => ConsoleSays::Shown { offer: offer_id(&offer)? },
        Says::SignIn { languages, text } => {
            let two =
                |language: &String| <[u8; 2]>::try_from(language.as_bytes()).ok().filter(|two| two.iter().all(u8::is_ascii_lowercase));
            ConsoleSays::SignIn { languages: languages.iter().filter_map(two).take(LANGUAGES_MAX).collect(), text, seen: 0 }
        }
        Says::SignOut => ConsoleSays::SignOut,
        Says::Split { contact } => ConsoleSays::Split { contact: contact_id(&contact)? },
        Says::Take { offer } => ConsoleSays::Take { offer: offer_id(&offer)? },
        Says::Transfer { offer, to, reason } => {
            ConsoleSays::Transfer { offer: offer_id(&offer)?, to: Name::new(&to).ok_or(SaysError::NoRoom(to))?, reason }
        }
    })
}

fn offer_id(text: &str) -> Result<OfferId, SaysError> {
    let parts = text.split_once('/').and_then(|(contact, service)| Some((contact_id(contact).ok()?, Service::from_word(service)?)));
    parts.map(|(contact, service)| OfferId { contact, service }).ok_or_else(|| SaysError::NoOffer(text.to_owned()))
}

fn contact_id(text: &str) -> Result<ContactId, SaysError> {
    uuid::Uuid::parse_str(text).map(|id| ContactId(id.as_u128())).map_err(|_| SaysError::NoContact(text.to_owned()))
}

fn event_id(text: &str) -> Result<EventId, SaysError> {
    let parts =
        text.split_once('-').and_then(|(partition, seq)| Some(EventId { partition: partition.parse().ok()?, seq: seq.parse().ok()? }));
    parts.ok_or_else(|| SaysError::NoEvent(text.to_owned()))
}

/// One message to a console, under its number.
pub fn hears_line(seq: u64, hears: &ConsoleHears, tables: &Tables, now: Timestamp) -> String {
    let mut value = hears_json(hears, tables, now);
    if let Value::Object(fields) = &mut value {
        fields.insert("seq".into(), seq.into());
    }
    value.to_string()
}

/// What the time is, so that the page can tell a silent link from a quiet night.
pub fn time_line(seq: u64, now: Timestamp) -> String {
    json!({ "t": "time", "seq": seq, "now": now.unix_micros }).to_string()
}

fn hears_json(hears: &ConsoleHears, tables: &Tables, now: Timestamp) -> Value {
    match hears {
        ConsoleHears::SignedIn { seat, tables } => {
            json!({ "t": "signed_in", "seat": seat_json(seat), "tables": tables.to_string(), "now": now.unix_micros })
        }
        ConsoleHears::Offer(offer) => json!({ "t": "offer", "offer": offer_json(offer, tables) }),
        ConsoleHears::Confirmed { contact } => json!({ "t": "confirmed", "contact": contact.to_string() }),
        ConsoleHears::Changed { contact, revision, decision } => {
            json!({ "t": "changed", "contact": contact.to_string(), "revision": revision, "decision": decision_json(decision) })
        }
        ConsoleHears::Taken { offer, by } => by_json("taken", offer, by),
        ConsoleHears::Accepted { offer, by } => by_json("accepted", offer, by),
        ConsoleHears::Closed { offer, by } => by_json("closed", offer, by),
        ConsoleHears::Waiting { offer, why } => json!({ "t": "waiting", "offer": offer_text(offer), "why": waiting_word(*why) }),
        ConsoleHears::Withdrawn { offer } => json!({ "t": "withdrawn", "offer": offer_text(offer) }),
        ConsoleHears::CallerHungUp { contact, why } => {
            json!({ "t": "hung_up", "contact": contact.to_string(), "why": hang_up_word(*why) })
        }
        ConsoleHears::Alert { offer, why } => json!({ "t": "alert", "offer": offer_text(offer), "why": alert_word(*why) }),
        ConsoleHears::CalledBack { offer, by, outcome } => {
            json!({ "t": "called_back", "offer": offer_text(offer), "by": seat_json(by), "outcome": outcome.word() })
        }
        ConsoleHears::Proposed { offer, to } => json!({ "t": "proposed", "offer": offer_text(offer), "to": to.as_str() }),
        ConsoleHears::Refused { offer, why } => {
            json!({ "t": "refused", "offer": offer.as_ref().map(offer_text), "why": refusal_word(*why) })
        }
        ConsoleHears::CaughtUp => json!({ "t": "caught_up" }),
        ConsoleHears::Noted { contact, note } => json!({ "t": "noted", "contact": contact.to_string(), "note": note_json(note) }),
        ConsoleHears::Related { contact, candidates } => {
            let candidates: Vec<Value> = candidates.iter().map(candidate_json).collect();
            json!({ "t": "related", "contact": contact.to_string(), "candidates": candidates })
        }
        ConsoleHears::Shares { contact, shares } => {
            json!({ "t": "shares", "contact": contact.to_string(), "shares": shares.iter().map(share_json).collect::<Vec<_>>() })
        }
        ConsoleHears::Said { contact, said } => json!({ "t": "said", "contact": contact.to_string(), "said": said_json(said) }),
        ConsoleHears::Conversation { contact, said } => {
            json!({ "t": "conversation", "contact": contact.to_string(), "said": said.iter().map(said_json).collect::<Vec<_>>() })
        }
        ConsoleHears::Delivered { contact, number, delivered } => {
            json!({ "t": "delivered", "contact": contact.to_string(), "number": number, "delivery": Delivery::of(*delivered).word() })
        }
        ConsoleHears::Dispatched { offer, by } => by_json("dispatched", offer, by),
        ConsoleHears::Declared { event } => json!({ "t": "declared", "event": event_json(event) }),
        ConsoleHears::MembersEnded { contact, ended } => {
            let ended: Vec<String> = ended.iter().map(ToString::to_string).collect();
            json!({ "t": "members_ended", "contact": contact.to_string(), "ended": ended })
        }
        ConsoleHears::EventOver { event, by } => {
            json!({ "t": "event_over", "event": event.to_string(), "by": by.as_ref().map(seat_json) })
        }
        ConsoleHears::Informed { contact, by } => json!({ "t": "informed", "contact": contact.to_string(), "by": seat_json(by) }),
        ConsoleHears::Joined { contact, incident, contacts, by } => json!({
            "t": "joined",
            "contact": contact.to_string(),
            "incident": incident.to_string(),
            "contacts": contacts.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "by": by.as_ref().map(seat_json),
        }),
    }
}

fn by_json(word: &str, offer: &OfferId, by: &Seat) -> Value {
    json!({ "t": word, "offer": offer_text(offer), "by": seat_json(by) })
}

fn offer_text(offer: &OfferId) -> String {
    format!("{}/{}", offer.contact, offer.service)
}

/// A seat, as pages and other systems name it.
pub fn seat_json(seat: &Seat) -> Value {
    json!({ "dispatcher": seat.dispatcher.as_str(), "seat": seat.seat.as_str() })
}

fn note_json(note: &Note) -> Value {
    json!({ "at": note.at.unix_micros, "by": seat_json(&note.by), "text": note.text })
}

fn event_json(event: &Event) -> Value {
    let EventTerms { area, words_en, words_ar, types, until } = &event.terms;
    let (area, center, radius_m) = match area {
        EventArea::Area(area) => (Some(area.as_str()), None, 0),
        EventArea::Circle { center, radius_cm } => (None, Some(degrees(*center)), radius_cm / 100),
    };
    json!({
        "id": event.id.to_string(),
        "at": event.at.unix_micros,
        "by": seat_json(&event.by),
        "area": area,
        "center": center,
        "radius_m": radius_m,
        "words": { "en": words_en, "ar": words_ar },
        "types": types.iter().map(Name::as_str).collect::<Vec<_>>(),
        "until": until.unix_micros,
    })
}

fn said_json(said: &Said) -> Value {
    json!({
        "number": said.number,
        "at": said.at.unix_micros,
        "by": said.by.as_ref().map(seat_json),
        "text": said.text,
        "delivery": said.delivery.word(),
    })
}

fn share_json(share: &Share) -> Value {
    json!({
        "service": share.service.word(),
        "responsible": share.responsible.as_str(),
        "held_by": share.held_by.as_ref().map(seat_json),
        "accepted": share.accepted,
        "closed": share.closed,
        "dispatched": share.dispatched,
    })
}

fn candidate_json(candidate: &Candidate) -> Value {
    let Because { near, soon, same_type, words, same_line } = candidate.because;
    let because = [("near", near), ("soon", soon), ("same_type", same_type), ("words", words), ("same_line", same_line)];
    json!({
        "contact": candidate.contact.to_string(),
        "incident": candidate.incident.to_string(),
        "score": candidate.score.as_f64(),
        "because": because.into_iter().filter(|(_, holds)| *holds).map(|(word, _)| word).collect::<Vec<_>>(),
        "distance_m": candidate.distance_m,
        "secs": candidate.apart_secs,
    })
}

fn decision_json(decision: &DecisionRecord) -> Value {
    serde_json::to_value(DecisionJson::new("", decision, None)).unwrap_or_default()
}

fn offer_json(offer: &Offer, tables: &Tables) -> Value {
    let (contact, decision) = (&*offer.contact, &*offer.decision);
    let callback = offer.callback.map(|callback| {
        json!({
            "why": hang_up_word(callback.why),
            "since": callback.since.unix_micros,
            "number": callback.number.map(|number| number.to_string()),
            "outcome": callback.outcome.map(CallbackOutcome::word),
        })
    });
    let repeat = offer.repeat.map(|repeat| {
        json!({
            "earlier": repeat.earlier.to_string(),
            "held_by": repeat.held_by.as_ref().map(seat_json),
            "until": repeat.until.unix_micros,
        })
    });
    json!({
        "id": offer_text(&offer.id),
        "contact": offer.id.contact.to_string(),
        "service": offer.id.service.word(),
        "incident": offer.incident.to_string(),
        "role": role_word(offer.role),
        "responsible": offer.responsible.as_str(),
        "take_by": offer.take_by.unix_micros,
        "confirmed": offer.confirmed,
        "held_by": offer.held_by.as_ref().map(seat_json),
        "accepted": offer.accepted,
        "alarm": offer.alarm,
        "dispatched": offer.dispatched,
        "rings": offer.rings,
        "interpreter": offer.interpreter,
        "may_inform": offer.may_inform,
        "event": offer.event.map(|event| event.to_string()),
        "callback": callback,
        "repeat": repeat,
        "received": contact.received.unix_micros,
        "door": contact.door.word(),
        "line": contact.line,
        "lang": decision.lang.or(contact.lang).map(|lang| String::from_utf8_lossy(&lang).into_owned()),
        "test": decision.test || contact.load_test,
        "words": words_json(contact),
        "signals": contact.signals.iter().filter_map(signal_json).collect::<Vec<_>>(),
        "claims": contact.claims.iter().map(claim_json).collect::<Vec<_>>(),
        "place": place_json(contact, decision, tables),
        "decision": decision_json(decision),
        "notes": offer.notes.iter().map(note_json).collect::<Vec<_>>(),
        "shares": offer.shares.iter().map(share_json).collect::<Vec<_>>(),
        "ended": offer.ended.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "joined": offer.joined.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "candidates": offer.candidates.iter().map(candidate_json).collect::<Vec<_>>(),
    })
}

fn words_json(contact: &Contact) -> Vec<&str> {
    let words = contact.signals.iter().filter_map(|signal| match signal {
        Signal::Words(words) => Some(&**words),
        _ => None,
    });
    words.collect()
}

fn signal_json(signal: &Signal) -> Option<Value> {
    let (kind, value) = match signal {
        Signal::Words(_) => return None,
        Signal::Dialled(digits) => ("dialled", json!(digits)),
        Signal::Dtmf { digit, at_secs } => ("dtmf", json!({ "digit": char::from(*digit).to_string(), "at_secs": at_secs })),
        Signal::ECall { automatic, occupants, fuel_at_risk } => {
            ("ecall", json!({ "automatic": automatic, "occupants": occupants, "fuel_at_risk": fuel_at_risk }))
        }
        Signal::MenuKey(key) => ("menu_key", json!(char::from(*key).to_string())),
        Signal::Silence { secs } => ("silence", json!(secs)),
        Signal::Urn(urn) => ("urn", json!(urn.kind.word())),
        Signal::Verified(verified) => ("verified", json!(verified)),
        Signal::Event(event) => ("event", json!(event)),
        Signal::Wanted(service) => ("wanted", json!(service.word())),
        Signal::CallBack => ("call_back", json!(true)),
    };
    Some(json!({ "kind": kind, "value": value }))
}

// --- places ---

fn claim_json(claim: &LocationClaim) -> Value {
    let (makani, shape) = match &claim.place {
        Place::Makani(digits) => (Some(makani::written(*digits)), None),
        Place::Shape(shape) => (None, Some(shape)),
    };
    json!({
        "whose": match claim.whose { Whose::Caller => "caller", Whose::Incident => "incident" },
        "source": source_word(claim.source),
        "age_secs": claim.age_secs,
        "confidence": claim.confidence.as_f64(),
        "makani": makani,
        "center": shape.map(|shape| degrees(shape.representative())),
        "reach_m": shape.map_or(0, |shape| shape.reach_cm() / 100),
        "shape": shape.map(outline).unwrap_or_default(),
    })
}

fn degrees(point: Point) -> [f64; 2] {
    [point.lat_degrees(), point.lon_degrees()]
}

/// Corners of a circle as it is drawn.
const CORNERS: u32 = 48;

/// The outline of a shape as rings of latitude and longitude, for drawing only. A point has none.
fn outline(shape: &Shape) -> Vec<Vec<[f64; 2]>> {
    match shape {
        Shape::Point(_) => Vec::new(),
        Shape::Polygon(ring) => vec![ring.iter().map(|point| degrees(*point)).collect()],
        Shape::Circle { center, radius_cm } => vec![arc(*center, f64::from(*radius_cm), 0.0, 360.0).collect()],
        Shape::Ellipse { center, semi_major_cm, semi_minor_cm, orientation_mdeg } => {
            let (major, minor) = (f64::from(*semi_major_cm), f64::from(*semi_minor_cm));
            let turned = f64::from(*orientation_mdeg) / 1_000.0;
            let corner = |step: u32| {
                let at = f64::from(step) / f64::from(CORNERS) * core::f64::consts::TAU;
                let (along, across) = (major * at.cos(), minor * at.sin());
                // Along the longer axis, which points to this bearing.
                let (sin, cos) = turned.to_radians().sin_cos();
                away(*center, along * cos - across * sin, along * sin + across * cos)
            };
            vec![(0..CORNERS).map(corner).collect()]
        }
        Shape::ArcBand { center, inner_cm, outer_cm, start_mdeg, opening_mdeg } => {
            let (start, opening) = (f64::from(*start_mdeg) / 1_000.0, f64::from(*opening_mdeg) / 1_000.0);
            let outer: Vec<[f64; 2]> = arc(*center, f64::from(*outer_cm), start, opening).collect();
            let inner: Vec<[f64; 2]> = arc(*center, f64::from(*inner_cm), start, opening).collect();
            vec![outer.into_iter().chain(inner.into_iter().rev()).collect()]
        }
    }
}

/// Points of an arc, clockwise from a bearing in degrees.
fn arc(center: Point, radius_cm: f64, start: f64, opening: f64) -> impl Iterator<Item = [f64; 2]> {
    (0..=CORNERS).map(move |step| {
        let (east, north) = (start + opening * f64::from(step) / f64::from(CORNERS)).to_radians().sin_cos();
        away(center, radius_cm * north, radius_cm * east)
    })
}

/// Centimetres of one degree of latitude.
const DEGREE_CM: f64 = 11_132_000.0;

fn away(from: Point, north_cm: f64, east_cm: f64) -> [f64; 2] {
    let [lat, lon] = degrees(from);
    let round = |degrees: f64| (degrees * 1e6).round() / 1e6;
    [round(lat + north_cm / DEGREE_CM), round(lon + east_cm / (DEGREE_CM * lat.to_radians().cos().max(0.01)))]
}

fn place_json(contact: &Contact, decision: &DecisionRecord, tables: &Tables) -> Value {
    let best = contact.claims.iter().filter_map(|claim| match &claim.place {
        Place::Shape(shape) => Some((claim.source, shape.representative())),
        Place::Makani(_) => None,
    });
    let near = best.min_by_key(|(source, _)| *source).and_then(|(_, point)| nearest(tables, point)).map(|near| {
        json!({
            "name": { "en": near.place.name_en, "ar": near.place.name_ar },
            "distance_m": near.distance_cm / 100,
            "direction": near.direction.word(),
        })
    });
    json!({ "area": decision.area.map(|area| area.to_string()), "near": near, "rung": decision.rung.as_str() })
}

/// The rooms, areas, places and types of a table set, as a page needs them beside its map.
pub fn tables_json(tables: &Tables, borders: &[BorderLine]) -> Value {
    let bbox = tables.ground.bbox;
    let (min, max) = (degrees(bbox.min), degrees(bbox.max));
    let rooms = tables.dispatchers.rows.iter().map(|room| {
        json!({
            "id": room.id.as_str(),
            "service": room.service.word(),
            "name": { "en": room.name_en, "ar": room.name_ar },
            "languages": room.languages.iter().map(|lang| String::from_utf8_lossy(lang)).collect::<Vec<_>>(),
            "text": room.text,
            "take_secs": room.take_micros_max / 1_000_000,
        })
    });
    let areas = tables.areas.iter().map(|area| json!({ "id": area.id.as_str(), "name": { "en": area.name_en, "ar": area.name_ar } }));
    let places = tables.places.iter().map(|place| {
        let [lat, lon] = degrees(place.point);
        json!({ "name": { "en": place.name_en, "ar": place.name_ar }, "lat": lat, "lon": lon })
    });
    let types = tables.words.types.entries().iter().map(|entry| json!({ "code": entry.code.as_str(), "priority": entry.priority }));
    json!({
        "version": tables.version.to_string(),
        "title": { "en": tables.title_en, "ar": tables.title_ar },
        "country": String::from_utf8_lossy(&tables.country),
        "utc_offset_minutes": tables.settings.utc_offset_minutes,
        "bbox": [min[1], min[0], max[1], max[0]],
        "rooms": rooms.collect::<Vec<_>>(),
        "areas": areas.collect::<Vec<_>>(),
        "places": places.collect::<Vec<_>>(),
        "types": types.collect::<Vec<_>>(),
        "services": Service::ALL.map(Service::word),
        "borders": borders,
    })
}

/// A piece of a border as it is drawn: between whom, and along which points.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BorderLine {
    pub of: Vec<String>,
    pub line: Vec<[f64; 2]>,
}

// --- words ---

const fn role_word(role: Role) -> &'static str {
    match role {
        Role::Responsible => "responsible",
        Role::Overflow => "overflow",
        Role::Neighbour => "neighbour",
        Role::Test => "test",
        Role::AllCall => "all_call",
        Role::Repeat => "repeat",
        Role::Audit => "audit",
    }
}

const fn source_word(source: ClaimSource) -> &'static str {
    match source {
        ClaimSource::DeviceFix => "device_fix",
        ClaimSource::ByReference => "by_reference",
        ClaimSource::ECall => "ecall",
        ClaimSource::Civic => "civic",
        ClaimSource::Makani => "makani",
        ClaimSource::ServingCell => "serving_cell",
    }
}

const fn hang_up_word(why: HangUp) -> &'static str {
    match why {
        HangUp::Caller => "caller",
        HangUp::LineDropped => "line_dropped",
        HangUp::Silent => "silent",
    }
}

const fn waiting_word(why: WaitingWhy) -> &'static str {
    match why {
        WaitingWhy::Declined => "declined",
        WaitingWhy::LeaseStale => "lease_stale",
        WaitingWhy::Released => "released",
        WaitingWhy::SeatGone => "seat_gone",
    }
}

const fn alert_word(why: AlertWhy) -> &'static str {
    match why {
        AlertWhy::Again => "again",
        AlertWhy::AllCall => "all_call",
        AlertWhy::YourTurn => "your_turn",
    }
}

const fn refusal_word(why: Refusal) -> &'static str {
    match why {
        Refusal::HeldByAnother => "held_by_another",
        Refusal::NotYours => "not_yours",
        Refusal::Unknown => "unknown",
        Refusal::OutOfTurn => "out_of_turn",
        Refusal::Malformed => "malformed",
        Refusal::Full => "full",
        Refusal::Forbidden => "forbidden",
        Refusal::Unstaffed => "unstaffed",
        Refusal::NoText => "no_text",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_read_and_what_is_wrong_is_named() {
        let id = "00000000-0000-0000-0000-000000000009";
        let offer = OfferId { contact: ContactId(9), service: Service::CivilDefence };
        let read = |text: &str| read_says(&text.replace("ID", id));
        assert_eq!(read(r#"{"t":"take","offer":"ID/civil_defence"}"#), Ok(ConsoleSays::Take { offer }));
        assert_eq!(
            read(r#"{"t":"sign_in","languages":["ar","english","en"],"text":true}"#),
            Ok(ConsoleSays::SignIn { languages: vec![*b"ar", *b"en"], text: true, seen: 0 })
        );
        assert_eq!(
            read(r#"{"t":"add_service","contact":"ID","service":"ambulance"}"#),
            Ok(ConsoleSays::AddService { contact: ContactId(9), service: Service::Ambulance })
        );
        assert_eq!(
            read(r#"{"t":"called_back","offer":"ID/civil_defence","outcome":"no_answer"}"#),
            Ok(ConsoleSays::CalledBack { offer, outcome: CallbackOutcome::NoAnswer, reason: Box::default() })
        );
        let contact = ContactId(9);
        assert_eq!(read(r#"{"t":"say","contact":"ID","text":"x"}"#), Ok(ConsoleSays::Say { contact, text: "x".into() }));
        let long = format!(r#"{{"t":"say","contact":"ID","text":"{}"}}"#, "x".repeat(SAID_BYTES_MAX + 1));
        assert_eq!(read(&long), Err(SaysError::TooLong { bytes_max: SAID_BYTES_MAX, got: SAID_BYTES_MAX + 1 }));
        assert_eq!(read(r#"{"t":"read","contact":"ID"}"#), Ok(ConsoleSays::Read { contact }));
        assert_eq!(read(r#"{"t":"dispatched","offer":"ID/civil_defence"}"#), Ok(ConsoleSays::Dispatched { offer }));
        assert_eq!(read(r#"{"t":"take","offer":"ID/navy"}"#), Err(SaysError::NoOffer(format!("{id}/navy"))));
        assert_eq!(read(r#"{"t":"add_service","contact":"ID","service":"navy"}"#), Err(SaysError::NoService("navy".into())));
        assert_eq!(read(r#"{"t":"note","contact":"9","text":"x"}"#), Err(SaysError::NoContact("9".into())));
        for wrong in ["", "[]", "{}", r#"{"t":"dance"}"#, r#"{"t":"decline","offer":"ID/civil_defence"}"#] {
            assert!(matches!(read(wrong), Err(SaysError::NotJson(_))), "{wrong}");
        }
    }

    #[test]
    fn a_shape_is_drawn_where_it_is() {
        let center = Point::from_degrees(25.0, 55.0).unwrap();
        let ring = |shape: &Shape| outline(shape).remove(0);
        let circle = ring(&Shape::Circle { center, radius_cm: 1_113_200 });
        let (north, east) = (circle[0], circle[CORNERS as usize / 4]);
        assert!((north[0] - 25.1).abs() < 1e-5 && (north[1] - 55.0).abs() < 1e-5, "{north:?}");
        assert!((east[0] - 25.0).abs() < 1e-5 && (east[1] - 55.11034).abs() < 1e-4, "{east:?}");
        let band = ring(&Shape::ArcBand { center, inner_cm: 100_000, outer_cm: 200_000, start_mdeg: 0, opening_mdeg: 90_000 });
        assert!(band.iter().all(|[lat, lon]| *lat > 24.9999 && *lon > 54.9999), "a quarter to the north-east");
        let ellipse = Shape::Ellipse { center, semi_major_cm: 1_113_200, semi_minor_cm: 1_000, orientation_mdeg: 90_000 };
        assert!(ring(&ellipse).iter().all(|[lat, _]| (lat - 25.0).abs() < 0.001), "its longer axis points east");
        assert!(outline(&Shape::Point(center)).is_empty());
    }
}
