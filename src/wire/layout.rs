//! Which bytes each domain type becomes: one declaration a type, in the order of the bytes.
//!
//! A declaration mirrors the domain type field by field with its wire form, and both directions are made from it. It destructures
//! without `..`, so that a new field or variant does not compile until it is placed here, and it names each type, so that a changed
//! one does not either. Mirrored structs would say the same twice more and copy every list on its way out.
//!
//! `wire/frame.rs` owns the bytes; nothing here knows which codec writes them.

use std::sync::Arc;

use arrayvec::ArrayVec;

use super::frame::{Hello, Put, Received, Sink, Source, Take, Welcome, fault, notes, put_bytes, take_bytes, unsendable};
use crate::contact::{ClaimSource, Contact, ContactKey, Door, LocationClaim, Oddity, Place, Signal, Whose};
use crate::decision::{AssignedRecord, Caller, DecisionRecord, NeighbourRecord};
use crate::deliver::{
    AlertWhy, AskedWhy, Callback, CallbackOutcome, ConsoleHears, ConsoleSays, Delivery, DispatcherState, Duty, Ending, Event, Evidence,
    Fact, GatewayHears, GatewaySays, HangUp, Note, Offer, OfferId, Refusal, Repeat, Role, Said, Seat, Share, Target, WaitingWhy,
};
use crate::event::{EventArea, EventId, EventTerms};
use crate::geo::area::Shape;
use crate::geo::point::Point;
use crate::incident::{Because, Candidate, IncidentId};
use crate::inform::Told;
use crate::limits::{
    CHAIN_MAX, CLAIM_VERTICES_MAX, CLAIMS_MAX, COMMAND_REASON_BYTES_MAX, DISCREPANCIES_MAX, EVENT_TYPES_MAX, EVENT_WORDS_BYTES_MAX,
    FRAME_BYTES_MAX, IDENTITY_BYTES_MAX, JOINED_MAX, LANGUAGES_MAX, NEIGHBOURS_MAX, NOTE_BYTES_MAX, NOTES_SHOWN_MAX, ODDITIES_MAX,
    REASON_BYTES_MAX, REASONS_MAX, RELATED_MAX, SAID_BYTES_MAX, SAID_SHOWN_MAX, SERVICES_MAX, SIGNALS_MAX, STATES_MAX, TARGETS_MAX,
    TRIMMED_WORDS_BYTES_MAX, URI_BYTES_MAX,
};
use crate::service::{Service, ServiceUrn, UrnKind};
use crate::units::{ContactId, Name, Ppm, TablesVersion, Timestamp};

/// A wire form and the value it carries. Often the type itself; a list or a text is a form of its own with its bound.
pub(super) trait Codec {
    type Value;
    fn put(value: &Self::Value, to: &mut Sink<'_>) -> Put;
    fn take(from: &mut Source<'_>) -> Take<Self::Value>;
}

// --- forms ---

macro_rules! layout_struct {
    ($name:ident { $($field:ident: $form:ty),* $(,)? }) => {
        impl Codec for $name {
            type Value = $name;
            fn put(value: &$name, to: &mut Sink<'_>) -> Put {
                let $name { $($field),* } = value;
                $(<$form as Codec>::put($field, to)?;)*
                Ok(())
            }
            fn take(from: &mut Source<'_>) -> Take<$name> {
                Ok($name { $($field: <$form as Codec>::take(from)?),* })
            }
        }
    };
}

macro_rules! layout_enum {
    ($name:ident { $($tag:literal => $variant:ident $({ $($field:ident: $form:ty),* $(,)? })? $(($inner:ident: $only:ty))?),* $(,)? }) => {
        impl Codec for $name {
            type Value = $name;
            fn put(value: &$name, to: &mut Sink<'_>) -> Put {
                match value {
                    $($name::$variant { $($($field,)*)? $(0: $inner)? } => {
                        <u32 as Codec>::put(&$tag, to)?;
                        $($(<$form as Codec>::put($field, to)?;)*)?
                        $(<$only as Codec>::put($inner, to)?;)?
                        Ok(())
                    })*
                }
            }
            fn take(from: &mut Source<'_>) -> Take<$name> {
                match <u32 as Codec>::take(from)? {
                    $($tag => Ok($name::$variant {
                        $($($field: <$form as Codec>::take(from)?,)*)?
                        $(0: <$only as Codec>::take(from)?)?
                    }),)*
                    got => fault(from, concat!("variant of ", stringify!($name)), [$($tag),*].len() as u64 - 1, u64::from(got)),
                }
            }
        }
    };
}

/// An enum without fields is one byte.
macro_rules! layout_codes {
    ($name:ident { $($code:literal => $variant:ident),* $(,)? }) => {
        impl Codec for $name {
            type Value = $name;
            fn put(value: &$name, to: &mut Sink<'_>) -> Put {
                let code: u8 = match value { $($name::$variant => $code),* };
                <u8 as Codec>::put(&code, to)
            }
            fn take(from: &mut Source<'_>) -> Take<$name> {
                match <u8 as Codec>::take(from)? {
                    $($code => Ok($name::$variant),)*
                    got => fault(from, concat!("code of ", stringify!($name)), [$($code as u8),*].len() as u64 - 1, u64::from(got)),
                }
            }
        }
    };
}

/// One presence byte, then the value.
struct Opt<C>(C);
impl<C: Codec> Codec for Opt<C> {
    type Value = Option<C::Value>;
    fn put(value: &Self::Value, to: &mut Sink<'_>) -> Put {
        <bool as Codec>::put(&value.is_some(), to)?;
        value.as_ref().map_or(Ok(()), |value| C::put(value, to))
    }
    fn take(from: &mut Source<'_>) -> Take<Self::Value> {
        if <bool as Codec>::take(from)? { C::take(from).map(Some) } else { Ok(None) }
    }
}

/// Shared in memory, plain on the wire.
struct Shared<C>(C);
impl<C: Codec> Codec for Shared<C> {
    type Value = Arc<C::Value>;
    fn put(value: &Self::Value, to: &mut Sink<'_>) -> Put {
        C::put(value, to)
    }
    fn take(from: &mut Source<'_>) -> Take<Self::Value> {
        C::take(from).map(Arc::new)
    }
}

struct Pair<A, B>(A, B);
impl<A: Codec, B: Codec> Codec for Pair<A, B> {
    type Value = (A::Value, B::Value);
    fn put(value: &Self::Value, to: &mut Sink<'_>) -> Put {
        A::put(&value.0, to)?;
        B::put(&value.1, to)
    }
    fn take(from: &mut Source<'_>) -> Take<Self::Value> {
        Ok((A::take(from)?, B::take(from)?))
    }
}

/// A list that is refused when it is longer than its bound.
struct List<C, const COUNT_MAX: usize>(C);
impl<C: Codec, const COUNT_MAX: usize> Codec for List<C, COUNT_MAX> {
    type Value = Vec<C::Value>;
    fn put(value: &Self::Value, to: &mut Sink<'_>) -> Put {
        if value.len() > COUNT_MAX {
            return Err(unsendable("list longer than its bound"));
        }
        <u64 as Codec>::put(&(value.len() as u64), to)?;
        value.iter().try_for_each(|item| C::put(item, to))
    }
    fn take(from: &mut Source<'_>) -> Take<Self::Value> {
        let count = <u64 as Codec>::take(from)?;
        if count > COUNT_MAX as u64 {
            return fault(from, "items of a list", COUNT_MAX as u64, count);
        }
        // The bound caps what a short frame with a large count can make us allocate.
        let mut list = Vec::with_capacity(count as usize);
        for _ in 0..count {
            list.push(C::take(from)?);
        }
        Ok(list)
    }
}

/// A list of evidence: what is over its bound is skipped and noted, because the rest still routes a call.
struct Cut<C, const COUNT_MAX: usize>(C);
impl<C: Codec, const COUNT_MAX: usize> Codec for Cut<C, COUNT_MAX> {
    type Value = Vec<C::Value>;
    fn put(value: &Self::Value, to: &mut Sink<'_>) -> Put {
        let kept = value.get(..COUNT_MAX).unwrap_or(value);
        <u64 as Codec>::put(&(kept.len() as u64), to)?;
        kept.iter().try_for_each(|item| C::put(item, to))
    }
    fn take(from: &mut Source<'_>) -> Take<Self::Value> {
        let count = <u64 as Codec>::take(from)?;
        let mut list = Vec::with_capacity(count.min(COUNT_MAX as u64) as usize);
        // A form takes at least a byte, so the frame's own length bounds this loop whatever the count says.
        for index in 0..count {
            let item = C::take(from)?;
            if index < COUNT_MAX as u64 {
                list.push(item);
            }
        }
        notes(from).lists_cut += u32::from(count > COUNT_MAX as u64);
        Ok(list)
    }
}

/// Text that names something: refused when too long or not UTF-8, because half a name is another name.
struct Text<const BYTES_MAX: usize>;
impl<const BYTES_MAX: usize> Codec for Text<BYTES_MAX> {
    type Value = Box<str>;
    fn put(value: &Box<str>, to: &mut Sink<'_>) -> Put {
        if value.len() > BYTES_MAX {
            return Err(unsendable("text longer than its bound"));
        }
        put_text(value, to)
    }
    fn take(from: &mut Source<'_>) -> Take<Box<str>> {
        take_text(from, BYTES_MAX).map(Into::into)
    }
}

/// Words a person said or typed: cut at a character when too long, mended when not UTF-8, and noted.
struct Words<const BYTES_MAX: usize>;
impl<const BYTES_MAX: usize> Codec for Words<BYTES_MAX> {
    type Value = Box<str>;
    fn put(value: &Box<str>, to: &mut Sink<'_>) -> Put {
        put_text(cut_at(value, BYTES_MAX), to)
    }
    fn take(from: &mut Source<'_>) -> Take<Box<str>> {
        let raw = take_sized(from, FRAME_BYTES_MAX)?;
        let text = String::from_utf8_lossy(raw);
        let kept = cut_at(&text, BYTES_MAX);
        if kept.as_bytes() != raw {
            notes(from).words_cut += 1;
        }
        Ok(kept.into())
    }
}

/// A line or a cell: left out and noted when too long or not text, because a call without one is still a call.
struct Identity;
impl Codec for Identity {
    type Value = Option<Box<str>>;
    fn put(value: &Self::Value, to: &mut Sink<'_>) -> Put {
        let sendable = value.as_deref().filter(|text| text.len() <= IDENTITY_BYTES_MAX);
        <bool as Codec>::put(&sendable.is_some(), to)?;
        sendable.map_or(Ok(()), |text| put_text(text, to))
    }
    fn take(from: &mut Source<'_>) -> Take<Self::Value> {
        if !<bool as Codec>::take(from)? {
            return Ok(None);
        }
        let raw = take_sized(from, FRAME_BYTES_MAX)?;
        let text = core::str::from_utf8(raw).ok().filter(|text| text.len() <= IDENTITY_BYTES_MAX);
        notes(from).left_out += u32::from(text.is_none());
        Ok(text.map(Into::into))
    }
}

fn put_text(text: &str, to: &mut Sink<'_>) -> Put {
    <u64 as Codec>::put(&(text.len() as u64), to)?;
    put_bytes(to, text.as_bytes())
}

fn take_sized<'a>(from: &mut Source<'a>, bytes_max: usize) -> Take<&'a [u8]> {
    let length = <u64 as Codec>::take(from)?;
    match usize::try_from(length) {
        Ok(count) if count <= bytes_max => take_bytes(from, count),
        _ => fault(from, "bytes of a text", bytes_max as u64, length),
    }
}

fn take_text<'a>(from: &mut Source<'a>, bytes_max: usize) -> Take<&'a str> {
    let raw = take_sized(from, bytes_max)?;
    match core::str::from_utf8(raw) {
        Ok(text) => Ok(text),
        Err(error) => fault(from, "UTF-8 of a text", raw.len() as u64, error.valid_up_to() as u64),
    }
}

fn cut_at(text: &str, bytes_max: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes_max)).unwrap_or_default()
}

impl<const COUNT: usize> Codec for [u8; COUNT] {
    type Value = [u8; COUNT];
    fn put(value: &[u8; COUNT], to: &mut Sink<'_>) -> Put {
        put_bytes(to, value)
    }
    fn take(from: &mut Source<'_>) -> Take<[u8; COUNT]> {
        let raw = take_bytes(from, COUNT)?;
        match raw.first_chunk::<COUNT>() {
            Some(bytes) => Ok(*bytes),
            None => fault(from, "bytes of an array", COUNT as u64, raw.len() as u64),
        }
    }
}

// --- units ---

impl Codec for Name {
    type Value = Name;
    fn put(value: &Name, to: &mut Sink<'_>) -> Put {
        put_text(value.as_str(), to)
    }
    fn take(from: &mut Source<'_>) -> Take<Name> {
        let text = take_text(from, Name::BYTES_MAX)?;
        match Name::new(text) {
            Some(name) => Ok(name),
            None if text.is_empty() => Ok(Name::default()),
            None => fault(from, "visible ASCII of a name", Name::BYTES_MAX as u64, text.len() as u64),
        }
    }
}

impl Codec for Timestamp {
    type Value = Timestamp;
    fn put(value: &Timestamp, to: &mut Sink<'_>) -> Put {
        <u64 as Codec>::put(&value.unix_micros, to)
    }
    fn take(from: &mut Source<'_>) -> Take<Timestamp> {
        <u64 as Codec>::take(from).map(Timestamp::from_micros)
    }
}

impl Codec for Ppm {
    type Value = Ppm;
    fn put(value: &Ppm, to: &mut Sink<'_>) -> Put {
        <u32 as Codec>::put(&value.0, to)
    }
    fn take(from: &mut Source<'_>) -> Take<Ppm> {
        let ppm = Ppm(<u32 as Codec>::take(from)?);
        if ppm > Ppm::ONE { fault(from, "parts per million", u64::from(Ppm::ONE.0), u64::from(ppm.0)) } else { Ok(ppm) }
    }
}

impl Codec for ContactId {
    type Value = ContactId;
    fn put(value: &ContactId, to: &mut Sink<'_>) -> Put {
        <u128 as Codec>::put(&value.0, to)
    }
    fn take(from: &mut Source<'_>) -> Take<ContactId> {
        <u128 as Codec>::take(from).map(ContactId)
    }
}

impl Codec for TablesVersion {
    type Value = TablesVersion;
    fn put(value: &TablesVersion, to: &mut Sink<'_>) -> Put {
        <[u8; 32] as Codec>::put(&value.0, to)
    }
    fn take(from: &mut Source<'_>) -> Take<TablesVersion> {
        <[u8; 32] as Codec>::take(from).map(TablesVersion)
    }
}

// --- codes ---

layout_codes!(Service {
    0 => Police, 1 => Ambulance, 2 => CivilDefence, 3 => CoastGuard, 4 => SearchRescue, 5 => Electricity, 6 => Water,
    7 => PoliceNonEmergency, 8 => AnimalControl,
});
layout_codes!(UrnKind {
    0 => Ambulance, 1 => AnimalControl, 2 => ECallAutomatic, 3 => ECallManual, 4 => Fire, 5 => Gas, 6 => Marine, 7 => Mountain,
    8 => Physician, 9 => Poison, 10 => Police, 11 => Sos,
});
layout_codes!(Door {
    0 => App, 1 => Cap, 2 => FirePanel, 3 => SipECall, 4 => SipVoice, 5 => Sms, 6 => Relay, 7 => IntruderPanel,
});
layout_codes!(Whose { 0 => Caller, 1 => Incident });
layout_codes!(ClaimSource { 0 => DeviceFix, 1 => ByReference, 2 => ECall, 3 => Civic, 4 => Makani, 5 => ServingCell });
layout_codes!(Oddity {
    0 => BadCell, 1 => BadLine, 2 => BadLocation, 3 => BadMakani, 4 => BadTime, 5 => BadUrn, 6 => ClaimsCut, 7 => SignalsCut,
    8 => TextCut, 9 => UnknownDoor, 10 => UnknownEvent,
});
layout_codes!(Role { 0 => Responsible, 1 => Overflow, 2 => Neighbour, 3 => Test, 4 => AllCall, 5 => Repeat, 6 => Audit });
layout_codes!(Told { 0 => Heard, 1 => Rate });
layout_codes!(Duty { 0 => Dispatcher, 1 => Supervisor, 2 => Auditor, 3 => System });
layout_codes!(Delivery { 0 => Pending, 1 => Delivered, 2 => Failed });
layout_codes!(HangUp { 0 => Caller, 1 => LineDropped, 2 => Silent });
layout_codes!(CallbackOutcome { 0 => CalledAgain, 1 => HelpNeeded, 2 => NoAnswer, 3 => NoHelpNeeded, 4 => NoNumber });
layout_codes!(AlertWhy { 0 => Again, 1 => AllCall, 2 => YourTurn });
layout_codes!(WaitingWhy { 0 => Declined, 1 => LeaseStale, 2 => Released, 3 => SeatGone });
layout_codes!(Refusal {
    0 => HeldByAnother, 1 => NotYours, 2 => Unknown, 3 => OutOfTurn, 4 => Malformed, 5 => Full, 6 => Forbidden, 7 => Unstaffed,
    8 => NoText,
});
layout_codes!(AskedWhy {
    0 => Declined, 1 => EndOfChain, 2 => Full, 3 => NoSeat, 4 => NoTake, 5 => NotShown, 6 => TargetFailed,
    7 => AllCall, 8 => Repeat, 9 => HandedOver, 10 => NoText,
});
layout_codes!(Ending { 0 => Closed, 1 => Duplicate, 2 => TestSunk, 3 => Overflowed, 4 => CalledBack });
layout_codes!(DispatcherState { 0 => Active, 1 => Diverting, 2 => Full, 3 => Unreachable, 4 => Closed });

// --- contact ---

layout_struct!(Point { lat_e7: i32, lon_e7: i32 });
layout_enum!(Shape {
    0 => Point(point: Point),
    1 => Circle { center: Point, radius_cm: u32 },
    2 => Ellipse { center: Point, semi_major_cm: u32, semi_minor_cm: u32, orientation_mdeg: u32 },
    3 => ArcBand { center: Point, inner_cm: u32, outer_cm: u32, start_mdeg: u32, opening_mdeg: u32 },
    // Read one further than allowed and refuse below: a polygon cut short is another place.
    4 => Polygon(ring: Cut<Point, { CLAIM_VERTICES_MAX + 1 }>),
});
layout_enum!(Place { 0 => Shape(shape: Shape), 1 => Makani(digits: [u8; 10]) });
layout_struct!(ServiceUrn { kind: UrnKind, test: bool });
layout_struct!(ContactKey { gateway: Name, gateway_ref: Text<IDENTITY_BYTES_MAX> });
layout_enum!(Signal {
    0 => Dialled(digits: Words<IDENTITY_BYTES_MAX>),
    1 => Dtmf { digit: u8, at_secs: u16 },
    2 => ECall { automatic: bool, occupants: Opt<u8>, fuel_at_risk: bool },
    3 => MenuKey(key: u8),
    4 => Silence { secs: u16 },
    5 => Urn(urn: ServiceUrn),
    6 => Verified(yes: bool),
    7 => Words(words: Words<FRAME_BYTES_MAX>),
    8 => Event(event: Words<TRIMMED_WORDS_BYTES_MAX>),
    9 => Wanted(service: Service),
    10 => CallBack,
});
layout_struct!(Evidence { claims: Claims, signals: Cut<Signal, SIGNALS_MAX>, lang: Opt<[u8; 2]> });

/// A claim as it was sent; [`sound`] tells whether it can be a place.
struct RawClaim;
impl Codec for RawClaim {
    type Value = LocationClaim;
    fn put(value: &LocationClaim, to: &mut Sink<'_>) -> Put {
        let LocationClaim { whose, place, source, age_secs, confidence } = value;
        Whose::put(whose, to)?;
        Place::put(place, to)?;
        ClaimSource::put(source, to)?;
        <u32 as Codec>::put(age_secs, to)?;
        <u32 as Codec>::put(&confidence.0, to)
    }
    fn take(from: &mut Source<'_>) -> Take<LocationClaim> {
        Ok(LocationClaim {
            whose: Whose::take(from)?,
            place: Place::take(from)?,
            source: ClaimSource::take(from)?,
            age_secs: <u32 as Codec>::take(from)?,
            confidence: Ppm(<u32 as Codec>::take(from)?),
        })
    }
}

/// Claims: those that cannot be a place are left out and noted, those over the bound are cut and noted.
struct Claims;
impl Codec for Claims {
    type Value = Vec<LocationClaim>;
    fn put(value: &Vec<LocationClaim>, to: &mut Sink<'_>) -> Put {
        let sendable = || value.iter().filter(|claim| sound(claim)).take(CLAIMS_MAX);
        <u64 as Codec>::put(&(sendable().count() as u64), to)?;
        sendable().try_for_each(|claim| RawClaim::put(claim, to))
    }
    fn take(from: &mut Source<'_>) -> Take<Vec<LocationClaim>> {
        let count = <u64 as Codec>::take(from)?;
        let mut claims = Vec::with_capacity(count.min(CLAIMS_MAX as u64) as usize);
        for _ in 0..count {
            // A polygon over its bound is a bad place, not a cut list.
            let lists_cut = notes(from).lists_cut;
            let claim = RawClaim::take(from)?;
            notes(from).lists_cut = lists_cut;
            if !sound(&claim) {
                notes(from).left_out += 1;
            } else if claims.len() < CLAIMS_MAX {
                claims.push(claim);
            } else {
                notes(from).lists_cut = lists_cut + 1;
            }
        }
        Ok(claims)
    }
}

fn sound(claim: &LocationClaim) -> bool {
    let on_earth = |point: &Point| Point::new(point.lat_e7, point.lon_e7).is_some();
    let place = match &claim.place {
        Place::Makani(digits) => digits.iter().all(|digit| *digit <= 9 || digit.is_ascii_digit()),
        Place::Shape(Shape::Point(center))
        | Place::Shape(Shape::Circle { center, .. })
        | Place::Shape(Shape::Ellipse { center, .. })
        | Place::Shape(Shape::ArcBand { center, .. }) => on_earth(center),
        Place::Shape(Shape::Polygon(ring)) => (3..=CLAIM_VERTICES_MAX).contains(&ring.len()) && ring.iter().all(on_earth),
    };
    place && claim.confidence <= Ppm::ONE
}

type Oddities = ArrayVec<Oddity, ODDITIES_MAX>;

/// The key comes first, so that a contact that cannot be read can still be named in the refusal.
impl Codec for Contact {
    type Value = Contact;
    fn put(value: &Contact, to: &mut Sink<'_>) -> Put {
        let Contact { id, key, received, door, load_test, trunk, line, cell, lang, claims, signals, oddities, revision } = value;
        ContactKey::put(key, to)?;
        ContactId::put(id, to)?;
        Timestamp::put(received, to)?;
        Door::put(door, to)?;
        <bool as Codec>::put(load_test, to)?;
        Opt::<Name>::put(trunk, to)?;
        Identity::put(line, to)?;
        Identity::put(cell, to)?;
        Opt::<[u8; 2]>::put(lang, to)?;
        Claims::put(claims, to)?;
        Cut::<Signal, SIGNALS_MAX>::put(signals, to)?;
        let oddities = oddities_as_sent(value, oddities);
        <u64 as Codec>::put(&(oddities.len() as u64), to)?;
        oddities.iter().try_for_each(|oddity| Oddity::put(oddity, to))?;
        <u32 as Codec>::put(revision, to)
    }
    fn take(from: &mut Source<'_>) -> Take<Contact> {
        let mut found = Oddities::new();
        let key = ContactKey::take(from)?;
        let id = ContactId::take(from)?;
        let received = Timestamp::take(from)?;
        let door = Door::take(from)?;
        let load_test = <bool as Codec>::take(from)?;
        let trunk = Opt::<Name>::take(from)?;
        let mut before = *notes(from);
        let line = Identity::take(from)?;
        found.extend((notes(from).left_out > before.left_out).then_some(Oddity::BadLine));
        before = *notes(from);
        let cell = Identity::take(from)?;
        found.extend((notes(from).left_out > before.left_out).then_some(Oddity::BadCell));
        let lang = Opt::<[u8; 2]>::take(from)?;
        before = *notes(from);
        let claims = Claims::take(from)?;
        found.extend((notes(from).left_out > before.left_out).then_some(Oddity::BadLocation));
        found.extend((notes(from).lists_cut > before.lists_cut).then_some(Oddity::ClaimsCut));
        before = *notes(from);
        let signals = Cut::<Signal, SIGNALS_MAX>::take(from)?;
        found.extend((notes(from).lists_cut > before.lists_cut).then_some(Oddity::SignalsCut));
        found.extend((notes(from).words_cut > before.words_cut).then_some(Oddity::TextCut));
        let mut oddities = Cut::<Oddity, ODDITIES_MAX>::take(from)?;
        for oddity in found {
            note_oddity(&mut oddities, oddity);
        }
        let revision = <u32 as Codec>::take(from)?;
        Ok(Contact { id, key, received, door, load_test, trunk, line, cell, lang, claims, signals, oddities, revision })
    }
}

fn note_oddity(oddities: &mut Vec<Oddity>, oddity: Oddity) {
    if !oddities.contains(&oddity) && oddities.len() < ODDITIES_MAX {
        oddities.push(oddity);
    }
}

/// The oddities of a contact and those that sending it makes: the reader must learn what it does not get to see.
fn oddities_as_sent(contact: &Contact, own: &[Oddity]) -> Oddities {
    let mut oddities: Oddities = own.iter().copied().take(ODDITIES_MAX).collect();
    let unsendable = |text: &Option<Box<str>>| text.as_ref().is_some_and(|text| text.len() > IDENTITY_BYTES_MAX);
    let long = |signal: &Signal| match signal {
        Signal::Dialled(digits) => digits.len() > IDENTITY_BYTES_MAX,
        Signal::Words(words) => words.len() > FRAME_BYTES_MAX,
        Signal::Event(event) => event.len() > TRIMMED_WORDS_BYTES_MAX,
        _ => false,
    };
    let sound_count = contact.claims.iter().filter(|claim| sound(claim)).count();
    let made = [
        (unsendable(&contact.line), Oddity::BadLine),
        (unsendable(&contact.cell), Oddity::BadCell),
        (sound_count < contact.claims.len(), Oddity::BadLocation),
        (sound_count > CLAIMS_MAX, Oddity::ClaimsCut),
        (contact.signals.len() > SIGNALS_MAX, Oddity::SignalsCut),
        (contact.signals.iter().any(long), Oddity::TextCut),
    ];
    for (is_so, oddity) in made {
        if is_so && !oddities.contains(&oddity) && !oddities.is_full() {
            oddities.push(oddity);
        }
    }
    oddities
}

// --- decision ---

layout_struct!(AssignedRecord {
    service: Service,
    dispatcher: Name,
    area: Opt<Name>,
    probability: Opt<Ppm>,
    lead: bool,
    chain: List<Name, CHAIN_MAX>,
});
layout_struct!(NeighbourRecord { area: Opt<Name>, dispatcher: Name, service: Service, probability: Opt<Ppm>, why: Name });
layout_struct!(DecisionRecord {
    tables: TablesVersion,
    snapshot: u64,
    services: List<AssignedRecord, SERVICES_MAX>,
    neighbours: List<NeighbourRecord, NEIGHBOURS_MAX>,
    area: Opt<Name>,
    incident_type: Opt<Name>,
    priority: Opt<u8>,
    rung: Name,
    discrepancies: List<Name, DISCREPANCIES_MAX>,
    reasons: List<Words<REASON_BYTES_MAX>, REASONS_MAX>,
    test: bool,
    lang: Opt<[u8; 2]>,
    interpreter: bool,
    text: bool,
    quiet: bool,
    caller: Opt<Caller>,
});
layout_struct!(Caller { number: Name, links: bool });

// --- deliver ---

layout_struct!(OfferId { contact: ContactId, service: Service });
layout_struct!(Seat { dispatcher: Name, seat: Name });
layout_struct!(Target { dispatcher: Name, service: Service, uri: Text<URI_BYTES_MAX> });
layout_struct!(Offer {
    id: OfferId,
    contact: Shared<Contact>,
    decision: Shared<DecisionRecord>,
    responsible: Name,
    role: Role,
    take_by: Timestamp,
    confirmed: bool,
    held_by: Opt<Seat>,
    accepted: bool,
    alarm: bool,
    callback: Opt<Callback>,
    repeat: Opt<Repeat>,
    incident: IncidentId,
    joined: List<ContactId, JOINED_MAX>,
    candidates: List<Candidate, RELATED_MAX>,
    notes: List<Note, NOTES_SHOWN_MAX>,
    shares: List<Share, SERVICES_MAX>,
    dispatched: bool,
    rings: bool,
    interpreter: bool,
    event: Opt<EventId>,
    ended: List<ContactId, JOINED_MAX>,
    may_inform: bool,
});
layout_struct!(EventId { partition: u16, seq: u64 });
layout_enum!(EventArea { 0 => Area(area: Name), 1 => Circle { center: Point, radius_cm: u32 } });
layout_struct!(EventTerms {
    area: EventArea,
    words_en: Text<EVENT_WORDS_BYTES_MAX>,
    words_ar: Text<EVENT_WORDS_BYTES_MAX>,
    types: List<Name, EVENT_TYPES_MAX>,
    until: Timestamp,
});
layout_struct!(Event { id: EventId, at: Timestamp, by: Seat, terms: EventTerms });
layout_struct!(Share { service: Service, responsible: Name, held_by: Opt<Seat>, accepted: bool, closed: bool, dispatched: bool });
layout_struct!(Said { number: u32, at: Timestamp, by: Opt<Seat>, text: Words<SAID_BYTES_MAX>, delivery: Delivery });
layout_struct!(IncidentId { partition: u16, seq: u64 });
layout_struct!(Candidate { contact: ContactId, incident: IncidentId, score: Ppm, because: Because, distance_m: u32, apart_secs: u32 });
layout_struct!(Because { near: bool, soon: bool, same_type: bool, words: bool, same_line: bool });
layout_struct!(Note { at: Timestamp, by: Seat, text: Words<NOTE_BYTES_MAX> });
layout_struct!(Callback { why: HangUp, since: Timestamp, number: Opt<Name>, outcome: Opt<CallbackOutcome> });
layout_struct!(Repeat { earlier: ContactId, held_by: Opt<Seat>, until: Timestamp });

// Each begins with its key: see `salvage_gateway_ref`.
layout_enum!(GatewaySays {
    0 => Contact { contact: Shared<Contact>, handed_back: bool },
    1 => Evidence { key: ContactKey, evidence: Evidence },
    2 => Answered { key: ContactKey, dispatcher: Name },
    3 => HungUp { key: ContactKey, why: HangUp },
    4 => TargetFailed { key: ContactKey, dispatcher: Name },
    5 => Delivered { key: ContactKey, number: u32, delivered: bool },
});
layout_enum!(GatewayHears {
    0 => Targets { key: ContactKey, contact: ContactId, targets: List<Target, TARGETS_MAX>, decision: Shared<DecisionRecord> },
    1 => Durable { key: ContactKey, contact: ContactId },
    2 => Overdue { key: ContactKey, contact: ContactId },
    3 => Moved { key: ContactKey, contact: ContactId, service: Service, dispatcher: Name },
    4 => Accepted { key: ContactKey, contact: ContactId, service: Service, seat: Seat },
    5 => Ended { key: ContactKey, contact: ContactId, ending: Ending },
    6 => Refused { gateway_ref: Text<IDENTITY_BYTES_MAX>, why: Refusal },
    7 => Say { key: ContactKey, contact: ContactId, number: u32, text: Text<SAID_BYTES_MAX> },
});
layout_enum!(ConsoleSays {
    0 => SignIn { languages: List<[u8; 2], LANGUAGES_MAX>, text: bool, seen: u64 },
    1 => Shown { offer: OfferId },
    2 => Take { offer: OfferId },
    3 => Accept { offer: OfferId },
    4 => Decline { offer: OfferId, reason: Words<COMMAND_REASON_BYTES_MAX> },
    5 => Release { offer: OfferId },
    6 => Close { offer: OfferId, reason: Words<COMMAND_REASON_BYTES_MAX> },
    7 => Heartbeat,
    8 => HandBack { offer: OfferId, contact: Shared<Contact>, decision: Shared<DecisionRecord> },
    9 => SignOut,
    10 => CalledBack { offer: OfferId, outcome: CallbackOutcome, reason: Words<COMMAND_REASON_BYTES_MAX> },
    11 => Transfer { offer: OfferId, to: Name, reason: Words<COMMAND_REASON_BYTES_MAX> },
    12 => AddService { contact: ContactId, service: Service },
    13 => Note { contact: ContactId, text: Words<NOTE_BYTES_MAX> },
    14 => Join { contact: ContactId, with: ContactId },
    15 => Split { contact: ContactId },
    16 => Say { contact: ContactId, text: Text<SAID_BYTES_MAX> },
    17 => Read { contact: ContactId },
    18 => Dispatched { offer: OfferId },
    19 => Declare { terms: EventTerms },
    20 => EndEvent { event: EventId },
    21 => Inform { offer: OfferId },
});
layout_enum!(ConsoleHears {
    0 => SignedIn { seat: Seat, tables: TablesVersion },
    1 => Offer(offer: Shared<Offer>),
    2 => Confirmed { contact: ContactId },
    3 => Changed { contact: ContactId, revision: u32, decision: Shared<DecisionRecord> },
    4 => Taken { offer: OfferId, by: Seat },
    5 => Accepted { offer: OfferId, by: Seat },
    6 => Waiting { offer: OfferId, why: WaitingWhy },
    7 => Withdrawn { offer: OfferId },
    8 => Closed { offer: OfferId, by: Seat },
    9 => CallerHungUp { contact: ContactId, why: HangUp },
    10 => Refused { offer: Opt<OfferId>, why: Refusal },
    11 => Alert { offer: OfferId, why: AlertWhy },
    12 => CalledBack { offer: OfferId, by: Seat, outcome: CallbackOutcome },
    13 => Proposed { offer: OfferId, to: Name },
    14 => CaughtUp,
    15 => Noted { contact: ContactId, note: Note },
    16 => Related { contact: ContactId, candidates: List<Candidate, RELATED_MAX> },
    17 => Joined { contact: ContactId, incident: IncidentId, contacts: List<ContactId, JOINED_MAX>, by: Opt<Seat> },
    18 => Shares { contact: ContactId, shares: List<Share, SERVICES_MAX> },
    19 => Said { contact: ContactId, said: Said },
    20 => Conversation { contact: ContactId, said: List<Said, SAID_SHOWN_MAX> },
    21 => Delivered { contact: ContactId, number: u32, delivered: bool },
    22 => Dispatched { offer: OfferId, by: Seat },
    23 => Declared { event: Event },
    24 => EventOver { event: EventId, by: Opt<Seat> },
    25 => MembersEnded { contact: ContactId, ended: List<ContactId, JOINED_MAX> },
    26 => Informed { contact: ContactId, by: Seat },
});
layout_struct!(Hello { sessions_before: u32 });
layout_struct!(Welcome { session: u64 });
layout_struct!(Received { through: u64 });

// The tags are the journal's kinds as well: append, never reorder.
layout_enum!(Fact {
    0 => Arrived {
        at: Timestamp,
        contact: Shared<Contact>,
        decision: Shared<DecisionRecord>,
        states: List<Pair<Name, DispatcherState>, STATES_MAX>,
    },
    1 => Redecided { at: Timestamp, contact: ContactId, revision: u32, evidence: Evidence, decision: Shared<DecisionRecord> },
    2 => Asked { at: Timestamp, offer: OfferId, dispatcher: Name, why: AskedWhy },
    3 => Taken { at: Timestamp, offer: OfferId, seat: Seat },
    4 => Accepted { at: Timestamp, offer: OfferId, seat: Seat },
    5 => Waiting { at: Timestamp, offer: OfferId, why: WaitingWhy, reason: Words<COMMAND_REASON_BYTES_MAX> },
    6 => Closed { at: Timestamp, offer: OfferId, seat: Seat, reason: Words<COMMAND_REASON_BYTES_MAX> },
    7 => HungUp { at: Timestamp, contact: ContactId, why: HangUp, callback: bool },
    8 => Answered { at: Timestamp, contact: ContactId, dispatcher: Name },
    9 => Ended { at: Timestamp, contact: ContactId, ending: Ending },
    10 => State { at: Timestamp, dispatcher: Name, state: DispatcherState, by: Name },
    11 => Tables { at: Timestamp, version: TablesVersion, by: Name },
    12 => Declined { at: Timestamp, offer: OfferId, seat: Seat, reason: Words<COMMAND_REASON_BYTES_MAX> },
    13 => CalledBack {
        at: Timestamp,
        offer: OfferId,
        seat: Seat,
        outcome: CallbackOutcome,
        reason: Words<COMMAND_REASON_BYTES_MAX>,
    },
    14 => Repeated { at: Timestamp, contact: ContactId, earlier: ContactId, seat: Opt<Seat> },
    15 => Noted { at: Timestamp, contact: ContactId, seat: Seat, text: Words<NOTE_BYTES_MAX> },
    16 => Joined { at: Timestamp, contact: ContactId, incident: IncidentId, seat: Opt<Seat> },
    17 => Said { at: Timestamp, contact: ContactId, number: u32, seat: Opt<Seat>, text: Text<SAID_BYTES_MAX> },
    18 => Delivered { at: Timestamp, contact: ContactId, number: u32, delivered: bool },
    19 => Read { at: Timestamp, contact: ContactId, by: Seat, duty: Duty },
    20 => Dispatched { at: Timestamp, offer: OfferId, seat: Seat },
    21 => Declared { at: Timestamp, event: Event },
    22 => EventOver { at: Timestamp, event: EventId, seat: Opt<Seat> },
    23 => Left { at: Timestamp, contact: ContactId, ended: List<ContactId, JOINED_MAX> },
    24 => Informed {
        at: Timestamp,
        contact: ContactId,
        told: Told,
        number: Name,
        lang: Opt<[u8; 2]>,
        dispatcher: Name,
        seat: Opt<Seat>,
        again: bool,
    },
    25 => Rated { at: Timestamp, contact: ContactId, stars: u8 },
});

pub(super) fn fact_code(fact: &Fact) -> u8 {
    match fact {
        Fact::Arrived { .. } => 0,
        Fact::Redecided { .. } => 1,
        Fact::Asked { .. } => 2,
        Fact::Taken { .. } => 3,
        Fact::Accepted { .. } => 4,
        Fact::Waiting { .. } => 5,
        Fact::Closed { .. } => 6,
        Fact::HungUp { .. } => 7,
        Fact::Answered { .. } => 8,
        Fact::Ended { .. } => 9,
        Fact::State { .. } => 10,
        Fact::Tables { .. } => 11,
        Fact::Declined { .. } => 12,
        Fact::CalledBack { .. } => 13,
        Fact::Repeated { .. } => 14,
        Fact::Noted { .. } => 15,
        Fact::Joined { .. } => 16,
        Fact::Said { .. } => 17,
        Fact::Delivered { .. } => 18,
        Fact::Read { .. } => 19,
        Fact::Dispatched { .. } => 20,
        Fact::Declared { .. } => 21,
        Fact::EventOver { .. } => 22,
        Fact::Left { .. } => 23,
        Fact::Informed { .. } => 24,
        Fact::Rated { .. } => 25,
    }
}

// --- what outgrows a frame ---

pub(super) fn trimmed_gateway_says(says: &GatewaySays) -> Option<GatewaySays> {
    match says {
        GatewaySays::Contact { contact, handed_back } => {
            Some(GatewaySays::Contact { contact: trimmed(contact), handed_back: *handed_back })
        }
        GatewaySays::Evidence { key, evidence } => {
            let mut evidence = evidence.clone();
            trim_signals(&mut evidence.signals);
            Some(GatewaySays::Evidence { key: key.clone(), evidence })
        }
        _ => None,
    }
}

pub(super) fn trimmed_console_says(says: &ConsoleSays) -> Option<ConsoleSays> {
    let ConsoleSays::HandBack { offer, contact, decision } = says else { return None };
    Some(ConsoleSays::HandBack { offer: *offer, contact: trimmed(contact), decision: Arc::clone(decision) })
}

pub(super) fn trimmed_console_hears(hears: &ConsoleHears) -> Option<ConsoleHears> {
    let ConsoleHears::Offer(offer) = hears else { return None };
    Some(ConsoleHears::Offer(Arc::new(Offer { contact: trimmed(&offer.contact), ..Offer::clone(offer) })))
}

fn trimmed(contact: &Contact) -> Arc<Contact> {
    let mut contact = contact.clone();
    trim_signals(&mut contact.signals);
    note_oddity(&mut contact.oddities, Oddity::TextCut);
    Arc::new(contact)
}

fn trim_signals(signals: &mut [Signal]) {
    for signal in signals {
        if let Signal::Words(words) = signal {
            *words = cut_at(words, TRIMMED_WORDS_BYTES_MAX).into();
        }
    }
}
