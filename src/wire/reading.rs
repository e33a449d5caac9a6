//! One message of any kind, read: what it says, what was odd, what becomes of it, and the [`Contact`] it makes.
//!
//! Every reader here is total. It never fails and never panics; it reads what can be read and names the rest, because a bad message
//! must not cost a call. Which of several places is believed is decided here and nowhere else:
//!
//! 1. a place that a `cid:` of the call names, else the only one there is, else the first (without a `Geolocation` header the last, as the
//!    senders that leave it out mean it);
//! 2. a car's own position when the car vouches for it and the document's is wider than a kilometre, or when there is no document;
//! 3. references are kept for whoever may fetch them: only `https`, never from here.

use crate::contact::{ClaimSource, Contact, ContactKey, Door, LocationClaim, Oddity, Signal, Whose};
use crate::limits::{AML_BYTES_MAX, CLAIMS_MAX, IDENTITY_BYTES_MAX, SIGNALS_MAX, SIP_BYTES_MAX, TEXT_BYTES_MAX};
use crate::service::{ServiceUrn, UrnKind};
use crate::units::{ContactId, Name, Timestamp};
use crate::wire::access::Access;
use crate::wire::aml::{self, Aml};
use crate::wire::cap::{self, Cap};
use crate::wire::held::{self, Held};
use crate::wire::lost::{self, Lost};
use crate::wire::msd::{self, Msd};
use crate::wire::notes::{Notes, cut};
use crate::wire::passport::Stir;
use crate::wire::pidf_lo::{self, PidfLo};
use crate::wire::stated::{Civic, Stated};
use crate::wire::{call, envelope};

/// What a file or datagram is to be read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    AmlHttp,
    AmlSms,
    Cap,
    Held,
    Lost,
    Msd,
    Pidf,
    Sip,
}

impl Kind {
    pub const ALL: [Self; 8] = [Self::Sip, Self::Pidf, Self::Lost, Self::Held, Self::AmlHttp, Self::AmlSms, Self::Msd, Self::Cap];

    pub const fn word(self) -> &'static str {
        match self {
            Self::AmlHttp => "aml-http",
            Self::AmlSms => "aml-sms",
            Self::Cap => "cap",
            Self::Held => "held",
            Self::Lost => "lost",
            Self::Msd => "msd",
            Self::Pidf => "pidf",
            Self::Sip => "sip",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Answered at once without a decision: a keepalive, a question about services.
    Answered {
        status: u16,
    },
    /// Nothing to route and nothing to say; over HTTP the status is still this one.
    Dropped {
        why: &'static str,
        status: Option<u16>,
    },
    Rejected {
        status: u16,
        why: &'static str,
    },
    /// A contact, or evidence for one.
    Routed,
}

impl Outcome {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Answered { .. } => "answered",
            Self::Dropped { .. } => "dropped",
            Self::Rejected { .. } => "rejected",
            Self::Routed => "routed",
        }
    }
}

/// A message, read.
#[derive(Clone, Debug)]
pub struct Reading {
    pub kind: Kind,
    pub outcome: Outcome,
    pub notes: Notes,
    /// Method of a SIP request, name of a LoST or HELD request.
    pub method: Option<Box<str>>,
    /// Call-ID or identifier: what retransmissions share.
    pub reference: Option<Box<str>>,
    /// The service URN in lower case.
    pub urn: Option<Box<str>>,
    /// Digits dialled.
    pub number: Option<Box<str>>,
    pub caller: Option<Box<str>>,
    pub imei: Option<Box<str>>,
    pub test_call: bool,
    /// A dispatcher calls back (RFC 7090).
    pub callback: bool,
    pub in_dialog: bool,
    /// It is of the dialog event package (RFC 4235).
    pub reports_dialogs: bool,
    pub policy: Option<&'static str>,
    pub access: Access,
    pub history: Vec<Box<str>>,
    pub diversion: Vec<Box<str>>,
    pub media: Vec<Box<str>>,
    pub language: Option<Box<str>>,
    pub resource_priority: Option<Box<str>>,
    pub text: Option<Box<str>>,
    pub stir: Option<Stir>,
    /// The place to believe.
    pub stated: Option<Stated>,
    pub civic: Civic,
    /// References that may be fetched, or asked by SUBSCRIBE.
    pub refs: Vec<Box<str>>,
    /// The place is the car's own.
    pub from_msd: bool,
    pub pidf_method: Option<Box<str>>,
    pub pidf_timestamp: Option<Box<str>>,
    pub msd: Option<Msd>,
    pub cap: Option<Cap>,
    pub aml: Option<Aml>,
    pub lost: Option<Lost>,
    pub held: Option<Held>,
}

impl Reading {
    pub fn new(kind: Kind, outcome: Outcome) -> Self {
        Self {
            kind,
            outcome,
            notes: Notes::default(),
            method: None,
            reference: None,
            urn: None,
            number: None,
            caller: None,
            imei: None,
            test_call: false,
            callback: false,
            in_dialog: false,
            reports_dialogs: false,
            policy: None,
            access: Access::default(),
            history: Vec::new(),
            diversion: Vec::new(),
            media: Vec::new(),
            language: None,
            resource_priority: None,
            text: None,
            stir: None,
            stated: None,
            civic: Civic::new(),
            refs: Vec::new(),
            from_msd: false,
            pidf_method: None,
            pidf_timestamp: None,
            msd: None,
            cap: None,
            aml: None,
            lost: None,
            held: None,
        }
    }

    /// A place as coordinates.
    pub fn has_place(&self) -> bool {
        self.stated.is_some()
            || self.from_msd
            || self.aml.as_ref().is_some_and(|aml| aml.fix.is_some())
            || self.cap.as_ref().is_some_and(|cap| cap.circle.is_some() || !cap.polygon.is_empty())
    }

    pub(crate) fn take_place(&mut self, place: PidfLo) {
        self.stated = place.stated;
        self.civic = place.civic;
        self.pidf_method = place.method;
        self.pidf_timestamp = place.timestamp;
    }
}

/// Reads one message.
pub fn read(kind: Kind, bytes: &[u8], now: Timestamp) -> Reading {
    match kind {
        Kind::AmlHttp => read_aml_http(bytes),
        Kind::AmlSms => read_aml_sms(bytes),
        Kind::Cap => read_cap(bytes, now),
        Kind::Held => read_held(bytes),
        Kind::Lost => read_lost(bytes),
        Kind::Msd => read_msd(bytes),
        Kind::Pidf => read_pidf(bytes),
        Kind::Sip => call::read(bytes, now),
    }
}

/// The messages of one file. Only text messages come several in one, each on a line of its own.
pub fn messages(kind: Kind, bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let several = kind == Kind::AmlSms && bytes.trim_ascii_start().starts_with(b"A\"");
    let mut lines = bytes.split(move |byte| several && *byte == b'\n').filter(move |line| !several || !line.trim_ascii().is_empty());
    let first = lines.next().unwrap_or_default();
    core::iter::once(first).chain(lines)
}

const fn dropped(why: &'static str, status: u16) -> Outcome {
    Outcome::Dropped { why, status: Some(status) }
}

/// Whatever came, the phone hears 2xx: it must not try again. Only a body beyond the bound is refused.
fn read_aml_http(bytes: &[u8]) -> Reading {
    let envelope = envelope::open(bytes);
    let mut reading = Reading::new(Kind::AmlHttp, Outcome::Routed);
    let Some(aml) = aml::read_form(envelope.content_type, envelope.body, &mut reading.notes) else {
        reading.outcome = Outcome::Rejected { status: 413, why: "body_too_long" };
        return reading;
    };
    take_aml(&mut reading, aml);
    reading
}

fn read_aml_sms(bytes: &[u8]) -> Reading {
    let mut reading = Reading::new(Kind::AmlSms, Outcome::Routed);
    match aml::read_sms(bytes, &mut reading.notes) {
        Some(aml) => take_aml(&mut reading, aml),
        None => reading.outcome = Outcome::Dropped { why: "not_aml", status: None },
    }
    reading
}

fn take_aml(reading: &mut Reading, aml: Aml) {
    reading.number = aml.emergency_number.clone();
    reading.caller = aml.caller.clone();
    reading.imei = aml.imei.clone();
    reading.language = aml.language.clone();
    if aml.fix.is_none() {
        let status = (reading.kind == Kind::AmlHttp).then_some(200);
        reading.outcome = Outcome::Dropped { why: "no_position", status };
    }
    reading.aml = Some(aml);
}

fn read_cap(bytes: &[u8], now: Timestamp) -> Reading {
    let mut reading = Reading::new(Kind::Cap, Outcome::Routed);
    let envelope = envelope::open(bytes);
    if envelope.body.len() > SIP_BYTES_MAX {
        reading.outcome = Outcome::Rejected { status: 413, why: "body_too_long" };
        return reading;
    }
    match cap::read(envelope.body, &mut reading.notes) {
        Some(cap) => take_cap(&mut reading, cap, now),
        None => reading.outcome = Outcome::Rejected { status: 400, why: "not_cap" },
    }
    reading
}

pub(crate) fn take_cap(reading: &mut Reading, cap: Cap, now: Timestamp) {
    reading.test_call |= cap.is_test();
    if reading.reference.is_none() {
        reading.reference = cap.identifier.clone();
    }
    if cap.is_receipt() {
        reading.outcome = dropped("cap_receipt", 200);
    // What is taken back stays so, however late that is heard.
    } else if cap.has_expired(now) && !cap.is_cancel() {
        reading.notes.note("cap_expired");
        reading.outcome = dropped("cap_expired", 200);
    }
    reading.cap = Some(cap);
}

fn read_held(bytes: &[u8]) -> Reading {
    let mut reading = Reading::new(Kind::Held, Outcome::Routed);
    let envelope = envelope::open(bytes);
    if envelope.body.len() > SIP_BYTES_MAX {
        reading.outcome = Outcome::Rejected { status: 413, why: "body_too_long" };
        return reading;
    }
    let mut held = held::read(envelope.body, &mut reading.notes);
    reading.method = Some(held.request.clone()).filter(|name| !name.is_empty());
    reading.take_place(core::mem::take(&mut held.place));
    reading.refs = held.refs.clone();
    if reading.stated.is_none() && reading.civic.is_empty() {
        reading.outcome = dropped("no_position", 200);
    }
    reading.held = Some(held);
    reading
}

fn read_lost(bytes: &[u8]) -> Reading {
    let mut reading = Reading::new(Kind::Lost, Outcome::Routed);
    let envelope = envelope::open(bytes);
    if envelope.body.len() > SIP_BYTES_MAX {
        reading.outcome = Outcome::Rejected { status: 413, why: "body_too_long" };
        return reading;
    }
    let lost = lost::read(envelope.body, envelope.host, &mut reading.notes);
    take_lost(&mut reading, lost);
    reading
}

pub(crate) fn take_lost(reading: &mut Reading, mut lost: Lost) {
    reading.method = Some(lost.request.clone()).filter(|name| !name.is_empty());
    reading.urn = lost.service.clone();
    reading.take_place(core::mem::take(&mut lost.place));
    reading.test_call = lost.urn().is_some_and(|urn| urn.test);
    reading.outcome = match lost.refused {
        Some(why) => Outcome::Rejected { status: 200, why },
        None if !lost.is_request() => Outcome::Dropped { why: "stray_response", status: None },
        None if &*lost.request == "findService" => Outcome::Routed,
        None => Outcome::Answered { status: 200 },
    };
    reading.lost = Some(lost);
}

fn read_msd(bytes: &[u8]) -> Reading {
    let mut reading = Reading::new(Kind::Msd, Outcome::Routed);
    match msd::read(bytes) {
        Ok(msd) => take_msd(&mut reading, msd),
        Err(error) => {
            reading.notes.note(error.code());
            reading.outcome = Outcome::Rejected { status: 400, why: error.code() };
        }
    }
    reading
}

/// The car's data, and whose place is believed.
pub(crate) fn take_msd(reading: &mut Reading, msd: Msd) {
    /// A place wider than this is a network's estimate and not a fix.
    const ESTIMATE_CM: u32 = 100_000;
    reading.test_call |= msd.test;
    let document_cm = reading.stated.as_ref().map(|stated| stated.shape.reach_cm());
    let better = document_cm.is_none() || (msd.trusted && document_cm.is_some_and(|cm| cm > ESTIMATE_CM));
    reading.notes.note_if(!msd.trusted, "msd_position_untrusted");
    reading.from_msd = msd.position().is_some() && better;
    reading.msd = Some(msd);
}

fn read_pidf(bytes: &[u8]) -> Reading {
    let mut reading = Reading::new(Kind::Pidf, Outcome::Routed);
    let envelope = envelope::open(bytes);
    if envelope.body.len() > SIP_BYTES_MAX {
        reading.outcome = Outcome::Rejected { status: 413, why: "body_too_long" };
        return reading;
    }
    let place = pidf_lo::read(envelope.body, &mut reading.notes);
    reading.take_place(place);
    if reading.stated.is_none() && reading.civic.is_empty() {
        reading.outcome = Outcome::Dropped { why: "no_position", status: None };
    }
    reading
}

// --- the contact a reading makes ---

/// Whoever vouches for a message, and when it came.
#[derive(Clone, Copy, Debug)]
pub struct Receipt {
    pub id: ContactId,
    pub gateway: Name,
    pub trunk: Option<Name>,
    pub received: Timestamp,
}

impl Reading {
    /// The contact, for a message that is routed; `None` for the others.
    pub fn contact(&self, receipt: Receipt) -> Option<Contact> {
        if self.outcome != Outcome::Routed {
            return None;
        }
        let reference = cut(self.reference.as_deref().unwrap_or("none"), IDENTITY_BYTES_MAX);
        let key = ContactKey { gateway: receipt.gateway, gateway_ref: reference.into() };
        let mut contact = Contact::new(receipt.id, key, receipt.received, self.door());
        contact.trunk = receipt.trunk;
        contact.line = self.caller.clone();
        contact.cell = self.access.best_cell().map(|cell| cell.whole.clone());
        contact.lang = self.language.as_deref().and_then(primary_language);
        contact.claims = self.claims(receipt.received);
        contact.signals = self.signals();
        if contact.claims.len() > CLAIMS_MAX {
            contact.claims.truncate(CLAIMS_MAX);
            contact.oddities.push(Oddity::ClaimsCut);
        }
        if contact.signals.len() > SIGNALS_MAX {
            contact.signals.truncate(SIGNALS_MAX);
            contact.oddities.push(Oddity::SignalsCut);
        }
        let place_lost = !self.has_place() && self.notes.codes().iter().any(|code| is_about_place(code));
        contact.oddities.extend(place_lost.then_some(Oddity::BadLocation));
        contact.oddities.extend(self.notes.has("cell_unreadable").then_some(Oddity::BadCell));
        contact.oddities.extend(self.notes.has("urn_unreadable").then_some(Oddity::BadUrn));
        Some(contact)
    }

    /// The place that a location server answered with.
    pub fn place_by_reference(&self, received: Timestamp) -> Option<LocationClaim> {
        let stated = self.stated.as_ref()?;
        Some(stated.claim(Whose::Caller, ClaimSource::ByReference, self.place_age_secs(received)))
    }

    fn place_age_secs(&self, received: Timestamp) -> u32 {
        let found = self.pidf_timestamp.as_deref().and_then(|text| text.parse::<jiff::Timestamp>().ok());
        let found = found.and_then(|at| u64::try_from(at.as_microsecond()).ok());
        let age_micros = found.map_or(0, |micros| received.micros_since(Timestamp::from_micros(micros)));
        u32::try_from(age_micros / 1_000_000).unwrap_or(u32::MAX)
    }

    fn door(&self) -> Door {
        let ecall =
            self.msd.is_some() || self.service_urn().is_some_and(|urn| matches!(urn.kind, UrnKind::ECallAutomatic | UrnKind::ECallManual));
        match self.kind {
            _ if self.cap.is_some() => Door::Cap,
            Kind::Sip | Kind::Msd if ecall => Door::SipECall,
            Kind::Sip if self.method.as_deref() == Some("MESSAGE") => Door::Sms,
            Kind::AmlHttp | Kind::Cap | Kind::Held | Kind::Lost | Kind::Msd | Kind::Pidf | Kind::AmlSms | Kind::Sip => Door::SipVoice,
        }
    }

    pub fn service_urn(&self) -> Option<ServiceUrn> {
        ServiceUrn::parse(self.urn.as_deref()?)
    }

    fn claims(&self, received: Timestamp) -> Vec<LocationClaim> {
        let whose = if self.cap.is_some() { Whose::Incident } else { Whose::Caller };
        let mut claims = Vec::new();
        if let Some(stated) = &self.stated {
            let by_cell = self.pidf_method.as_deref().is_some_and(|method| method.eq_ignore_ascii_case("cell"));
            // Beside a car's own position a wide document is the network's estimate.
            let estimate = by_cell || self.from_msd;
            let source = if estimate { ClaimSource::ServingCell } else { ClaimSource::DeviceFix };
            claims.push(stated.claim(whose, source, self.place_age_secs(received)));
        }
        // An untrusted position is better than none, and worse than the mast.
        let worth = |msd: &&Msd| msd.trusted || (self.stated.is_none() && self.access.best_cell().is_none());
        claims.extend(self.msd.as_ref().filter(worth).and_then(Msd::claim));
        claims.extend(self.aml.as_ref().and_then(|aml| aml.claim(received)));
        claims.extend(self.cap.as_ref().and_then(Cap::claim));
        claims
    }

    fn signals(&self) -> Vec<Signal> {
        let mut signals = Vec::new();
        signals.extend(self.number.clone().map(Signal::Dialled));
        let urn = self.service_urn();
        signals.extend(urn.map(Signal::Urn));
        if self.test_call && !urn.is_some_and(|urn| urn.test) {
            let kind = urn.map_or(UrnKind::Sos, |urn| urn.kind);
            signals.push(Signal::Urn(ServiceUrn { kind, test: true }));
        }
        if let Some(msd) = &self.msd {
            let (automatic, fuel_at_risk) = (msd.automatic, msd.fuel_at_risk());
            // 255 is the car's word for not knowing.
            let occupants = msd.passengers.filter(|count| *count != u8::MAX);
            signals.push(Signal::ECall { automatic, occupants, fuel_at_risk });
        }
        if let Some(cap) = &self.cap {
            signals.extend(cap.verified().map(Signal::Verified));
            signals.extend(cap.category.clone().map(Signal::Event));
            signals.extend(cap.event.clone().map(Signal::Words));
            if !cap.words.is_empty() {
                signals.push(Signal::Words(cut(&cap.words, TEXT_BYTES_MAX).into()));
            }
        }
        signals.extend(self.text.clone().map(Signal::Words));
        signals
    }
}

/// Notes that tell why a place could not be used.
fn is_about_place(code: &str) -> bool {
    ["position_", "radius_", "srs_unknown", "xml_", "polygon_", "pidf_", "cap_circle", "cap_polygon", "msd_"]
        .iter()
        .any(|start| code.starts_with(start))
}

/// `ar`, `AR-ae;q=0.9` and the like as two letters.
pub fn primary_language(text: &str) -> Option<[u8; 2]> {
    let primary = text.split(['-', '_', ';', ',', ' ']).next()?.trim().to_ascii_lowercase();
    match primary.as_bytes() {
        &[a, b] if a.is_ascii_lowercase() && b.is_ascii_lowercase() => Some([a, b]),
        b"fil" | b"tgl" => Some(*b"tl"),
        b"ara" => Some(*b"ar"),
        b"eng" => Some(*b"en"),
        _ => None,
    }
}

const _: () = assert!(AML_BYTES_MAX <= SIP_BYTES_MAX);
