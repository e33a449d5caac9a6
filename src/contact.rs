//! A contact: what arrived on the number, before anything was decided about it.
//!
//! Parsed, bounded, and free of formats: `wire/` makes it from bytes, `route` reads it, the journal keeps it. Everything but the
//! identity is optional, because a call is routed on what can be read.

use crate::geo::area::Shape;
use crate::geo::point::Point;
use crate::service::{Service, ServiceUrn};
use crate::units::{ContactId, Name, Ppm, Timestamp};

/// Anything that arrived on the number: a call, a text, an app message, a crash sensor, a fire panel.
///
/// # Source
/// NENA-STA-010 calls it an emergency call or communication.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    pub id: ContactId,
    pub key: ContactKey,
    pub received: Timestamp,
    pub door: Door,
    /// Set by the door from a load-test certificate; tests by URN or by listed phone are found by `classify`.
    pub load_test: bool,
    /// The gateway trunk it came over, as the gateway's certificate or message names it.
    pub trunk: Option<Name>,
    /// The calling line as digits, with a leading `+` when international; at most [`crate::limits::IDENTITY_BYTES_MAX`] bytes.
    pub line: Option<Box<str>>,
    /// The serving cell as its access network spells it (MCC MNC area cell, no separators).
    pub cell: Option<Box<str>>,
    /// Language the caller was heard or seen to use: ISO 639-1 in lower case.
    pub lang: Option<[u8; 2]>,
    /// At most [`crate::limits::CLAIMS_MAX`].
    pub claims: Vec<LocationClaim>,
    /// At most [`crate::limits::SIGNALS_MAX`].
    pub signals: Vec<Signal>,
    /// What could not be read, for the record.
    pub oddities: Vec<Oddity>,
    /// Grows by one with every piece of late evidence; a decision for an older revision is discarded.
    pub revision: u32,
}

impl Contact {
    pub fn new(id: ContactId, key: ContactKey, received: Timestamp, door: Door) -> Self {
        Self {
            id,
            key,
            received,
            door,
            load_test: false,
            trunk: None,
            line: None,
            cell: None,
            lang: None,
            claims: Vec::new(),
            signals: Vec::new(),
            oddities: Vec::new(),
            revision: 0,
        }
    }
}

/// Who sent it and what they call it. The same key with the same content is the same contact.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContactKey {
    /// The identity in the sender's certificate: the `<trunk>` of `gateway/<trunk>`.
    pub gateway: Name,
    /// The gateway's own id of the contact, at most [`crate::limits::IDENTITY_BYTES_MAX`] bytes.
    pub gateway_ref: Box<str>,
}

/// By which door a contact came in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Door {
    App = 0,
    Cap = 1,
    FirePanel = 2,
    SipECall = 3,
    #[default]
    SipVoice = 4,
    Sms = 5,
    Relay = 6,
    IntruderPanel = 7,
}

impl Door {
    pub const ALL: [Self; 8] =
        [Self::App, Self::Cap, Self::FirePanel, Self::SipECall, Self::SipVoice, Self::Sms, Self::Relay, Self::IntruderPanel];

    pub const fn word(self) -> &'static str {
        match self {
            Self::App => "app",
            Self::Cap => "cap",
            Self::FirePanel => "fire-panel",
            Self::SipECall => "sip-ecall",
            Self::SipVoice => "sip-voice",
            Self::Sms => "sms",
            Self::Relay => "relay",
            Self::IntruderPanel => "intruder-panel",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|door| door.word() == word)
    }

    /// A third party speaks: the line and trunk are the reporter's, the stated place is the incident's.
    pub const fn is_third_party(self) -> bool {
        matches!(self, Self::Cap | Self::FirePanel | Self::IntruderPanel | Self::Relay)
    }

    /// Nobody is on a voice path.
    pub const fn is_text(self) -> bool {
        matches!(self, Self::App | Self::Sms)
    }
}

/// One statement of a place.
///
/// # Source
/// RFC 4119, RFC 5491 (PIDF-LO), RFC 7459 (uncertainty and confidence).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LocationClaim {
    pub whose: Whose,
    pub place: Place,
    pub source: ClaimSource,
    /// Seconds between the fix and its arrival.
    pub age_secs: u32,
    /// The chance that the true place is inside the shape; 950,000 where the sender was silent (RFC 7459, 2.2).
    pub confidence: Ppm,
}

/// Whose place a claim speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Whose {
    Caller,
    Incident,
}

/// A place as it was stated.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    Shape(Shape),
    /// Ten digits without their 100 km square: see `geo/makani.rs`.
    Makani([u8; 10]),
}

impl Place {
    pub const fn point(point: Point) -> Self {
        Self::Shape(Shape::Point(point))
    }
}

/// Where a claim comes from, best first: the order is the order of trust.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum ClaimSource {
    DeviceFix = 0,
    ByReference = 1,
    ECall = 2,
    Civic = 3,
    Makani = 4,
    ServingCell = 5,
}

/// One piece of evidence of what is needed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Signal {
    /// The digits the caller dialled.
    Dialled(Box<str>),
    /// A digit pressed, and how many seconds into the contact.
    Dtmf { digit: u8, at_secs: u16 },
    /// Minimum set of data of an eCall.
    ECall { automatic: bool, occupants: Option<u8>, fuel_at_risk: bool },
    /// A menu key of the gateway's announcement.
    MenuKey(u8),
    /// Seconds of silence on an open line.
    Silence { secs: u16 },
    /// A service URN (RFC 5031).
    Urn(ServiceUrn),
    /// An alarm centre or a person confirmed it, or not.
    Verified(bool),
    /// Words typed, transcribed or carried by a message, at most [`crate::limits::TEXT_BYTES_MAX`] bytes are read.
    Words(Box<str>),
    /// A CAP 1.2 category or a panel's event in plain words.
    Event(Box<str>),
    /// A person at a console asked for this service as well.
    Wanted(Service),
    /// Who writes wants to be called.
    CallBack,
}

/// Something in the contact that could not be read; it is routed all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Oddity {
    BadCell = 0,
    BadLine = 1,
    BadLocation = 2,
    BadMakani = 3,
    BadTime = 4,
    BadUrn = 5,
    ClaimsCut = 6,
    SignalsCut = 7,
    TextCut = 8,
    UnknownDoor = 9,
    UnknownEvent = 10,
}
