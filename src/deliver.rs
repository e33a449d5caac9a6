//! The words spoken between the engine, its gateways and its consoles, and the facts the journal keeps of them.
//!
//! Plain values: `wire/` gives them bytes, `engine` gives them meaning.

use std::sync::Arc;

use crate::contact::{Contact, ContactKey, LocationClaim, Signal};
pub use crate::decision::DispatcherState;

use crate::decision::DecisionRecord;
use crate::event::{EventId, EventTerms};
use crate::incident::{Candidate, IncidentId};
use crate::inform::Told;
use crate::service::Service;
use crate::units::{ContactId, DispatcherId, Name, TablesVersion, Timestamp};

/// One service's share of a contact: what a dispatcher is offered, takes, accepts and closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OfferId {
    pub contact: ContactId,
    pub service: Service,
}

/// A person's place in a dispatcher's room: `console/<dispatcher>/<seat>` in the certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seat {
    pub dispatcher: DispatcherId,
    pub seat: Name,
}

// --- gateway ---

/// What a gateway says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GatewaySays {
    /// A new contact, or one handed back because it was never confirmed (the key makes that harmless).
    Contact { contact: Arc<Contact>, handed_back: bool },
    /// More about a contact already sent. May overtake it.
    Evidence { key: ContactKey, evidence: Evidence },
    /// The caller is speaking to this dispatcher.
    Answered { key: ContactKey, dispatcher: DispatcherId },
    /// The caller is gone. Before anyone has taken the contact, and whenever the line broke, that makes a callback.
    HungUp { key: ContactKey, why: HangUp },
    /// The voice path to this dispatcher failed: the next target, please.
    TargetFailed { key: ContactKey, dispatcher: DispatcherId },
    /// What became of a line that the caller was to be told: it has reached the caller, or it cannot.
    Delivered { key: ContactKey, number: u32, delivered: bool },
}

/// Late evidence about a contact.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    pub claims: Vec<LocationClaim>,
    pub signals: Vec<Signal>,
    pub lang: Option<[u8; 2]>,
}

/// What a gateway hears, in this order for one contact: `Targets`, then `Durable` or `Overdue` (and `Durable` later), then the rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GatewayHears {
    /// Where the voice goes, in order: at once, before the disk.
    Targets { key: ContactKey, contact: ContactId, targets: Vec<Target>, decision: Arc<DecisionRecord> },
    /// The journal holds the contact. Only now may the gateway forget it.
    Durable { key: ContactKey, contact: ContactId },
    /// The journal is slow; the contact is being delivered all the same, and `Durable` follows.
    Overdue { key: ContactKey, contact: ContactId },
    /// The voice should go to another dispatcher now: nobody had taken it.
    Moved { key: ContactKey, contact: ContactId, service: Service, dispatcher: DispatcherId },
    /// A person at a console accepted this service's share.
    Accepted { key: ContactKey, contact: ContactId, service: Service, seat: Seat },
    /// The contact reached its end.
    Ended { key: ContactKey, contact: ContactId, ending: Ending },
    /// The contact could not be understood at all; the gateway uses its own last resort. Counted.
    Refused { gateway_ref: Box<str>, why: Refusal },
    /// A line for the caller, from the person who answers; the journal holds it. It is said again to a gateway that comes back, until
    /// [`GatewaySays::Delivered`] names its number.
    Say { key: ContactKey, contact: ContactId, number: u32, text: Box<str> },
}

/// One place the voice of a call can go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub dispatcher: DispatcherId,
    pub service: Service,
    /// The dispatcher's SIP URI.
    pub uri: Box<str>,
}

// --- console ---

/// What a console says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConsoleSays {
    /// First message of a session. `seen` is the last sequence number this seat received from this engine's journal epoch, 0 for none.
    SignIn { languages: Vec<[u8; 2]>, text: bool, seen: u64 },
    /// I show it: stops the engine asking another seat because of a dead screen.
    Shown { offer: OfferId },
    /// I am handling it. The promise comes back as `Taken` once the journal holds it.
    Take { offer: OfferId },
    /// Help is on its way from my room.
    Accept { offer: OfferId },
    /// I ask that another takes it. It stays mine until one has.
    Decline { offer: OfferId, reason: Box<str> },
    /// I give it back to the queue of my room.
    Release { offer: OfferId },
    /// Done.
    Close { offer: OfferId, reason: Box<str> },
    /// What came of calling the caller back. Said by the holder of the share that leads; every outcome but
    /// [`CallbackOutcome::HelpNeeded`] closes the share, unless help was sent.
    CalledBack { offer: OfferId, outcome: CallbackOutcome, reason: Box<str> },
    /// Another room is to take it, for this reason. It stays mine until somebody there has.
    Transfer { offer: OfferId, to: DispatcherId, reason: Box<str> },
    /// This service is needed as well.
    AddService { contact: ContactId, service: Service },
    /// Words for everybody who sees the contact.
    Note { contact: ContactId, text: Box<str> },
    /// Both speak of one event. Said by a person, always.
    Join { contact: ContactId, with: ContactId },
    /// It is an event of its own after all.
    Split { contact: ContactId },
    /// I am alive; keeps my leases.
    Heartbeat,
    /// After a reconnect: an offer I showed that the engine never confirmed.
    HandBack { offer: OfferId, contact: Arc<Contact>, decision: Arc<DecisionRecord> },
    /// I leave in good order; my open offers go to the others at once.
    SignOut,
    /// This line goes to the caller, who came by text. Said by whoever holds the share that leads; when that is closed, another.
    Say { contact: ContactId, text: Box<str> },
    /// I look at the details of a contact that none of my shares is of.
    Read { contact: ContactId },
    /// Units of my room are on their way.
    Dispatched { offer: OfferId },
    /// This is happening. Said by somebody who supervises; the promise comes back as `Declared` once the journal holds it.
    Declare { terms: EventTerms },
    /// It is over. Said by anybody who supervises.
    EndEvent { event: EventId },
    /// The caller may be told that the contact was heard. Said by the holder of the share that leads.
    Inform { offer: OfferId },
}

/// What a console hears. Every message of a session carries a rising sequence number on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConsoleHears {
    SignedIn {
        seat: Seat,
        tables: TablesVersion,
    },
    /// Something to take, or to know of. An offer with an id already on the screen replaces what was shown of it.
    Offer(Arc<Offer>),
    /// The journal now holds the contact: it survives a crash of the engine.
    Confirmed {
        contact: ContactId,
    },
    /// Late evidence changed the decision.
    Changed {
        contact: ContactId,
        revision: u32,
        decision: Arc<DecisionRecord>,
    },
    /// Your take is in the journal: it is yours. Or another's, when `by` is not you.
    Taken {
        offer: OfferId,
        by: Seat,
    },
    Accepted {
        offer: OfferId,
        by: Seat,
    },
    /// Waiting again: released, its lease went stale, or the taker asked for another.
    Waiting {
        offer: OfferId,
        why: WaitingWhy,
    },
    /// Not on your screen any more.
    Withdrawn {
        offer: OfferId,
    },
    Closed {
        offer: OfferId,
        by: Seat,
    },
    CallerHungUp {
        contact: ContactId,
        why: HangUp,
    },
    /// Nobody has taken this offer, which is on the screen already: ring for it.
    Alert {
        offer: OfferId,
        why: AlertWhy,
    },
    /// The caller was called back; the journal holds what came of it.
    CalledBack {
        offer: OfferId,
        by: Seat,
        outcome: CallbackOutcome,
    },
    /// New evidence says that another room is responsible for what somebody holds. The holder hands it over by declining: that room
    /// is asked first then, and the holder keeps it until another has taken it.
    Proposed {
        offer: OfferId,
        to: DispatcherId,
    },
    /// A command was not carried out.
    Refused {
        offer: Option<OfferId>,
        why: Refusal,
    },
    /// After a sign-in: everything that the seat sees has been shown.
    CaughtUp,
    /// Somebody wrote this about the contact; the journal holds it.
    Noted {
        contact: ContactId,
        note: Note,
    },
    /// Contacts that may speak of the same event. Nothing is joined until a person says so.
    Related {
        contact: ContactId,
        candidates: Vec<Candidate>,
    },
    /// These contacts are one incident now; the journal holds it. `by` is nobody where the line's caller called again.
    Joined {
        contact: ContactId,
        incident: IncidentId,
        contacts: Vec<ContactId>,
        by: Option<Seat>,
    },
    /// How far the services have come, told to those who are not told of each: another service took, accepted, gave back or closed its
    /// share.
    Shares {
        contact: ContactId,
        shares: Vec<Share>,
    },
    /// One more line of a conversation. What a seat says to the caller is told when the journal holds it.
    Said {
        contact: ContactId,
        said: Said,
    },
    /// The conversation so far, the newest line last: to whoever is shown a contact that came by text.
    Conversation {
        contact: ContactId,
        said: Vec<Said>,
    },
    /// The caller has this line now, or cannot be given it.
    Delivered {
        contact: ContactId,
        number: u32,
        delivered: bool,
    },
    /// Units are on their way; the journal holds it.
    Dispatched {
        offer: OfferId,
        by: Seat,
    },
    /// An event is in force; the journal holds it. Told to everybody who is signed in, and to whoever comes.
    Declared {
        event: Event,
    },
    /// The event is over; `by` is nobody where its time was.
    EventOver {
        event: EventId,
        by: Option<Seat>,
    },
    /// These contacts of the incident it belongs to have ended.
    MembersEnded {
        contact: ContactId,
        ended: Vec<ContactId>,
    },
    /// A message to the caller was released; the journal holds it.
    Informed {
        contact: ContactId,
        by: Seat,
    },
}

/// A declared event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub id: EventId,
    pub at: Timestamp,
    pub by: Seat,
    pub terms: EventTerms,
}

/// One line of a conversation by text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Counts from 1 in each contact, both sides together.
    pub number: u32,
    pub at: Timestamp,
    /// Who said it; `None` for the caller.
    pub by: Option<Seat>,
    /// At most [`crate::limits::SAID_BYTES_MAX`] bytes.
    pub text: Box<str>,
    pub delivery: Delivery,
}

/// How far a line for the caller has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Delivery {
    /// Its gateway has it, or will when it comes back.
    #[default]
    Pending = 0,
    /// The caller has it. What the caller says is always so.
    Delivered = 1,
    /// The gateway cannot bring it to the caller.
    Failed = 2,
}

impl Delivery {
    pub const ALL: [Self; 3] = [Self::Pending, Self::Delivered, Self::Failed];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
        }
    }

    pub const fn of(delivered: bool) -> Self {
        if delivered { Self::Delivered } else { Self::Failed }
    }
}

/// What a person or a program may do here, by its certificate or invitation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Duty {
    /// Answers contacts of one room.
    #[default]
    Dispatcher = 0,
    /// As a dispatcher, and declares events.
    Supervisor = 1,
    /// Sees what every room sees, and can do nothing.
    Auditor = 2,
    /// Another system, through the feed.
    System = 3,
}

impl Duty {
    pub const ALL: [Self; 4] = [Self::Dispatcher, Self::Supervisor, Self::Auditor, Self::System];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Dispatcher => "dispatcher",
            Self::Supervisor => "supervisor",
            Self::Auditor => "auditor",
            Self::System => "system",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|duty| duty.word() == word)
    }
}

/// How far one service's share of a contact has come, as the journal holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    pub service: Service,
    pub responsible: DispatcherId,
    pub held_by: Option<Seat>,
    pub accepted: bool,
    pub closed: bool,
    /// Units are on their way.
    pub dispatched: bool,
}

/// What a person wrote about a contact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    pub at: Timestamp,
    pub by: Seat,
    /// At most [`crate::limits::NOTE_BYTES_MAX`] bytes.
    pub text: Box<str>,
}

/// An offer as a console sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    pub id: OfferId,
    pub contact: Arc<Contact>,
    pub decision: Arc<DecisionRecord>,
    /// The room responsible for this service at that place.
    pub responsible: DispatcherId,
    pub role: Role,
    /// When the next in the chain is asked.
    pub take_by: Timestamp,
    /// False until the journal holds the contact.
    pub confirmed: bool,
    /// The seat that holds it, if one does.
    pub held_by: Option<Seat>,
    pub accepted: bool,
    /// Everybody who could be asked was asked, and nobody has taken it.
    pub alarm: bool,
    /// The caller is gone and is to be called back: a task of the share that leads.
    pub callback: Option<Callback>,
    /// The same line has called before, and that contact has not ended.
    pub repeat: Option<Repeat>,
    pub incident: IncidentId,
    /// The other contacts of the incident.
    pub joined: Vec<ContactId>,
    /// Contacts that may speak of the same event, the likeliest first.
    pub candidates: Vec<Candidate>,
    pub notes: Vec<Note>,
    /// Every service's share, this one too.
    pub shares: Vec<Share>,
    /// Units are on their way.
    pub dispatched: bool,
    /// It rings here at once. False where another seat of the room is asked first (it can write, or speaks the caller's language): it is
    /// shown all the same, may be taken, and rings with the room's next alert. False too where this seat is kept free of a declared
    /// event; then it does not ring later either.
    pub rings: bool,
    /// Nobody who is signed in here speaks the caller's language.
    pub interpreter: bool,
    /// The caller can be sent a message, and has not been sent one.
    pub may_inform: bool,
    /// The declared event it belongs to.
    pub event: Option<EventId>,
    /// Contacts of the incident that have ended.
    pub ended: Vec<ContactId>,
}

impl Offer {
    /// One that nobody has heard of yet: unconfirmed, in nobody's hands, an incident of its own.
    pub fn new(id: OfferId, contact: Arc<Contact>, decision: Arc<DecisionRecord>, responsible: DispatcherId, role: Role) -> Self {
        Self {
            id,
            contact,
            decision,
            responsible,
            role,
            take_by: Timestamp::default(),
            confirmed: false,
            held_by: None,
            accepted: false,
            alarm: false,
            callback: None,
            repeat: None,
            incident: IncidentId::begun_by(0, 0),
            joined: Vec::new(),
            candidates: Vec::new(),
            notes: Vec::new(),
            shares: Vec::new(),
            dispatched: false,
            rings: true,
            interpreter: false,
            may_inform: false,
            event: None,
            ended: Vec::new(),
        }
    }
}

/// A caller who is gone and is to be called back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Callback {
    pub why: HangUp,
    /// Its clock: when the caller was gone.
    pub since: Timestamp,
    /// The number to call, E.164; `None` when there is none. Where the decision says `quiet`, nothing may ring there.
    pub number: Option<Name>,
    /// What came of it; `None` while somebody has yet to call.
    pub outcome: Option<CallbackOutcome>,
}

/// Another contact of the same line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repeat {
    /// The newest earlier contact of the line that had not ended.
    pub earlier: ContactId,
    /// The seat that held it when this one came: it is asked before the others.
    pub held_by: Option<Seat>,
    /// Until when that seat is asked alone; zero when that is over. The others see the offer meanwhile and may take it; it does not
    /// ring for them yet.
    pub until: Timestamp,
}

/// How a caller left, as the gateway says it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum HangUp {
    /// The caller ended it.
    #[default]
    Caller = 0,
    /// The line broke: no signal, an empty battery, a lost trunk.
    LineDropped = 1,
    /// Nobody spoke, and the line is gone.
    Silent = 2,
}

impl HangUp {
    pub const ALL: [Self; 3] = [Self::Caller, Self::LineDropped, Self::Silent];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Caller => "hung up",
            Self::LineDropped => "line dropped",
            Self::Silent => "silent",
        }
    }
}

/// What came of calling a caller back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum CallbackOutcome {
    /// The caller has come in again; that contact goes on with it.
    CalledAgain = 0,
    /// Spoken to, and help is needed: the contact goes on as any other.
    HelpNeeded = 1,
    /// Called as often as the room's rules ask, and nobody answered.
    NoAnswer = 2,
    /// Spoken to, and nobody needs help: shares that nobody has taken are closed as well.
    NoHelpNeeded = 3,
    /// There was no number to call.
    NoNumber = 4,
}

impl CallbackOutcome {
    pub const ALL: [Self; 5] = [Self::CalledAgain, Self::HelpNeeded, Self::NoAnswer, Self::NoHelpNeeded, Self::NoNumber];

    pub const fn word(self) -> &'static str {
        match self {
            Self::CalledAgain => "called_again",
            Self::HelpNeeded => "help_needed",
            Self::NoAnswer => "no_answer",
            Self::NoHelpNeeded => "no_help_needed",
            Self::NoNumber => "no_number",
        }
    }

    /// Nothing is left to do in the share that called back.
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::HelpNeeded)
    }
}

/// Why a screen is to ring for an offer that it already shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum AlertWhy {
    /// Nobody in the room has taken it so far: every seat of the room is asked again.
    Again = 0,
    /// Everybody is asked at once, and the offer stands in alarm.
    AllCall = 1,
    /// It was shown before; now this room is asked.
    YourTurn = 2,
}

/// Why an offer is on this screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Role {
    /// This room is responsible and asked first.
    Responsible = 0,
    /// This room is asked because those before it did not take it.
    Overflow = 1,
    /// The decision was unsure: it may be this room's.
    Neighbour = 2,
    /// A test or a drill; never on a live screen.
    Test = 3,
    /// Nobody who is responsible is there or has taken it in time: everybody is asked.
    AllCall = 4,
    /// A seat of this room holds an earlier contact of the same line.
    Repeat = 5,
    /// To be read only: an auditor's.
    Audit = 6,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum WaitingWhy {
    Declined = 0,
    LeaseStale = 1,
    Released = 2,
    SeatGone = 3,
}

/// Why something was not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Refusal {
    /// Another seat holds it.
    HeldByAnother = 0,
    /// The offer is for another dispatcher.
    NotYours = 1,
    /// No such offer, or it has ended.
    Unknown = 2,
    /// The session did not sign in first, or speaks out of turn.
    OutOfTurn = 3,
    /// The message could not be decoded.
    Malformed = 4,
    /// A bound was reached; see the metrics.
    Full = 5,
    /// The role in the certificate does not allow it.
    Forbidden = 6,
    /// Nobody is signed in there.
    Unstaffed = 7,
    /// The caller did not come by text: there is nowhere to write to.
    NoText = 8,
}

/// How a contact ended. Exactly one of these for every contact, written in the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Ending {
    /// Every needed service accepted and closed it.
    Closed = 0,
    /// The same contact as another: same caller's gateway and reference, merged.
    Duplicate = 1,
    /// A test: answered by the test sink.
    TestSunk = 2,
    /// The engine held all the contacts it can: the gateway rang the targets it was given, and no console was asked.
    Overflowed = 3,
    /// The caller was gone before help was sent, and was called back, or could not be.
    CalledBack = 4,
}

impl Ending {
    pub const ALL: [Self; 5] = [Self::Closed, Self::Duplicate, Self::TestSunk, Self::Overflowed, Self::CalledBack];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Duplicate => "duplicate",
            Self::TestSunk => "test_sunk",
            Self::Overflowed => "overflowed",
            Self::CalledBack => "called_back",
        }
    }
}

/// Why one more dispatcher of a chain was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum AskedWhy {
    /// Its holder, or every seat of the room asked before, asked for another.
    Declined = 0,
    /// Nobody is left to ask in turn: those passed over are asked as well.
    EndOfChain = 1,
    /// The room asked first holds all it can.
    Full = 2,
    /// Those asked before have no seat signed in.
    NoSeat = 3,
    /// Nobody took it in time.
    NoTake = 4,
    /// No screen showed it in time.
    NotShown = 5,
    /// The voice path to the room asked before failed.
    TargetFailed = 6,
    /// Nobody has taken it within the longest wait, or nobody else is there: everybody is asked.
    AllCall = 7,
    /// A seat of the room holds an earlier contact of the same line.
    Repeat = 8,
    /// Its holder hands it to this room.
    HandedOver = 9,
    /// The caller writes, and nobody at the room asked before can answer that.
    NoText = 10,
}

impl AskedWhy {
    pub const ALL: [Self; 11] = [
        Self::Declined,
        Self::EndOfChain,
        Self::Full,
        Self::NoSeat,
        Self::NoTake,
        Self::NotShown,
        Self::TargetFailed,
        Self::AllCall,
        Self::Repeat,
        Self::HandedOver,
        Self::NoText,
    ];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Declined => "declined",
            Self::EndOfChain => "end_of_chain",
            Self::Full => "full",
            Self::NoSeat => "no_seat",
            Self::NoTake => "no_take",
            Self::NotShown => "not_shown",
            Self::TargetFailed => "target_failed",
            Self::AllCall => "all_call",
            Self::Repeat => "repeat",
            Self::HandedOver => "handed_over",
            Self::NoText => "no_text",
        }
    }
}

// --- facts ---

/// What the journal holds: facts, not inputs and not heartbeats. Everything the engine must know after a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// A contact arrived and this was decided about it.
    Arrived {
        at: Timestamp,
        contact: Arc<Contact>,
        decision: Arc<DecisionRecord>,
        states: Vec<(DispatcherId, DispatcherState)>,
    },
    /// Late evidence, the revision it made, and the decision about that revision.
    Redecided {
        at: Timestamp,
        contact: ContactId,
        revision: u32,
        evidence: Evidence,
        decision: Arc<DecisionRecord>,
    },
    /// The chain moved on: this dispatcher is asked now as well. That the first of a chain is asked needs no fact of its own.
    Asked {
        at: Timestamp,
        offer: OfferId,
        dispatcher: DispatcherId,
        why: AskedWhy,
    },
    Taken {
        at: Timestamp,
        offer: OfferId,
        seat: Seat,
    },
    Accepted {
        at: Timestamp,
        offer: OfferId,
        seat: Seat,
    },
    /// Nobody holds it any more.
    Waiting {
        at: Timestamp,
        offer: OfferId,
        why: WaitingWhy,
        reason: Box<str>,
    },
    /// This seat asks that another takes it. If it holds the offer, it holds it until another has taken.
    Declined {
        at: Timestamp,
        offer: OfferId,
        seat: Seat,
        reason: Box<str>,
    },
    Closed {
        at: Timestamp,
        offer: OfferId,
        seat: Seat,
        reason: Box<str>,
    },
    /// The caller is gone; `callback` when that makes a task of it.
    HungUp {
        at: Timestamp,
        contact: ContactId,
        why: HangUp,
        callback: bool,
    },
    /// What came of calling the caller back. What it closes is closed by facts of their own.
    CalledBack {
        at: Timestamp,
        offer: OfferId,
        seat: Seat,
        outcome: CallbackOutcome,
        reason: Box<str>,
    },
    /// The line of this contact has another contact that has not ended; `seat` holds that and is asked first.
    Repeated {
        at: Timestamp,
        contact: ContactId,
        earlier: ContactId,
        seat: Option<Seat>,
    },
    Answered {
        at: Timestamp,
        contact: ContactId,
        dispatcher: DispatcherId,
    },
    /// Somebody wrote this about it.
    Noted {
        at: Timestamp,
        contact: ContactId,
        seat: Seat,
        text: Box<str>,
    },
    /// It belongs to this incident from now on. `seat` is nobody where the line's caller called again.
    Joined {
        at: Timestamp,
        contact: ContactId,
        incident: IncidentId,
        seat: Option<Seat>,
    },
    Ended {
        at: Timestamp,
        contact: ContactId,
        ending: Ending,
    },
    State {
        at: Timestamp,
        dispatcher: DispatcherId,
        state: DispatcherState,
        by: Name,
    },
    Tables {
        at: Timestamp,
        version: TablesVersion,
        by: Name,
    },
    /// One line of a conversation by text; `seat` is nobody where the caller said it.
    Said {
        at: Timestamp,
        contact: ContactId,
        number: u32,
        seat: Option<Seat>,
        text: Box<str>,
    },
    /// What became of a line for the caller.
    Delivered {
        at: Timestamp,
        contact: ContactId,
        number: u32,
        delivered: bool,
    },
    /// Somebody who holds no share of it saw what it says. Once for each of them and each contact.
    Read {
        at: Timestamp,
        contact: ContactId,
        by: Seat,
        duty: Duty,
    },
    /// Units are on their way.
    Dispatched {
        at: Timestamp,
        offer: OfferId,
        seat: Seat,
    },
    /// Somebody who supervises declared this.
    Declared {
        at: Timestamp,
        event: Event,
    },
    /// It is over; `seat` is nobody where its time was.
    EventOver {
        at: Timestamp,
        event: EventId,
        seat: Option<Seat>,
    },
    /// These contacts of its incident have ended. Kept with one of those that live, in place of what was kept with it before.
    Left {
        at: Timestamp,
        contact: ContactId,
        ended: Vec<ContactId>,
    },
    /// A message to the caller was released: by this seat, or by the end that followed what a seat released. `again`: after a loss,
    /// for the record; it is out already, or must not go any more.
    Informed {
        at: Timestamp,
        contact: ContactId,
        told: Told,
        /// E.164.
        number: Name,
        lang: Option<[u8; 2]>,
        dispatcher: DispatcherId,
        seat: Option<Seat>,
        again: bool,
    },
    /// The caller says how it was, 1 to 5. The contact has ended.
    Rated {
        at: Timestamp,
        contact: ContactId,
        stars: u8,
    },
}

impl Fact {
    /// The contact it is about; `None` for what the whole house is told.
    pub fn contact(&self) -> Option<ContactId> {
        match self {
            Self::Arrived { contact, .. } => Some(contact.id),
            Self::Redecided { contact, .. }
            | Self::HungUp { contact, .. }
            | Self::Answered { contact, .. }
            | Self::Repeated { contact, .. }
            | Self::Noted { contact, .. }
            | Self::Informed { contact, .. }
            | Self::Joined { contact, .. }
            | Self::Rated { contact, .. }
            | Self::Said { contact, .. }
            | Self::Delivered { contact, .. }
            | Self::Read { contact, .. }
            | Self::Left { contact, .. }
            | Self::Ended { contact, .. } => Some(*contact),
            Self::Asked { offer, .. }
            | Self::Taken { offer, .. }
            | Self::Accepted { offer, .. }
            | Self::Waiting { offer, .. }
            | Self::Declined { offer, .. }
            | Self::CalledBack { offer, .. }
            | Self::Dispatched { offer, .. }
            | Self::Closed { offer, .. } => Some(offer.contact),
            Self::Declared { .. } | Self::EventOver { .. } | Self::State { .. } | Self::Tables { .. } => None,
        }
    }

    pub const fn at(&self) -> Timestamp {
        match self {
            Self::Arrived { at, .. }
            | Self::Redecided { at, .. }
            | Self::Asked { at, .. }
            | Self::Taken { at, .. }
            | Self::Accepted { at, .. }
            | Self::Waiting { at, .. }
            | Self::Declined { at, .. }
            | Self::Closed { at, .. }
            | Self::HungUp { at, .. }
            | Self::CalledBack { at, .. }
            | Self::Repeated { at, .. }
            | Self::Answered { at, .. }
            | Self::Noted { at, .. }
            | Self::Informed { at, .. }
            | Self::Joined { at, .. }
            | Self::Rated { at, .. }
            | Self::Ended { at, .. }
            | Self::State { at, .. }
            | Self::Tables { at, .. }
            | Self::Said { at, .. }
            | Self::Delivered { at, .. }
            | Self::Read { at, .. }
            | Self::Dispatched { at, .. }
            | Self::Declared { at, .. }
            | Self::EventOver { at, .. }
            | Self::Left { at, .. } => *at,
        }
    }
}
