//! The life of a contact after its decision: a pure state machine on one thread.

use std::sync::Arc;

use crate::contact::{Contact, ContactKey};
use crate::decision::DecisionRecord;
use crate::deliver::{ConsoleHears, ConsoleSays, DispatcherState, Evidence, Fact, GatewayHears, Seat};
use crate::units::{ContactId, DispatcherId, Name};

/// One open stream pair, numbered by the edge; never reused within a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// Everything the engine can be told.
#[derive(Clone, Debug)]
pub enum Input {
    /// A decided contact. The door has already answered its targets.
    Arrived {
        session: Option<SessionId>,
        contact: Arc<Contact>,
        decision: Arc<DecisionRecord>,
        handed_back: bool,
    },
    Evidence {
        session: Option<SessionId>,
        key: ContactKey,
        evidence: Evidence,
    },
    /// The answer to [`Output::Reroute`].
    Redecided {
        contact: ContactId,
        revision: u32,
        decision: Arc<DecisionRecord>,
    },
    Answered {
        session: SessionId,
        key: ContactKey,
        dispatcher: DispatcherId,
    },
    HungUp {
        session: SessionId,
        key: ContactKey,
    },
    TargetFailed {
        session: SessionId,
        key: ContactKey,
        dispatcher: DispatcherId,
    },
    GatewayOpened {
        session: SessionId,
        gateway: Name,
    },
    ConsoleOpened {
        session: SessionId,
        seat: Seat,
        test: bool,
    },
    Console {
        session: SessionId,
        says: ConsoleSays,
    },
    SessionClosed {
        session: SessionId,
    },
    /// The journal holds every entry up to and including this sequence number.
    Stored {
        through: u64,
    },
    /// The journal failed: deliver on, say so. Nothing after `through` is held.
    StoreFailed {
        through: u64,
    },
    /// The rooms of the table set now in force, with what the engine needs of them.
    Rooms {
        rooms: Arc<Rooms>,
        by: Name,
    },
    State {
        dispatcher: DispatcherId,
        state: DispatcherState,
        by: Name,
    },
    Tick,
}

/// What the engine needs to know of every dispatcher.
#[derive(Clone, Debug, Default)]
pub struct Rooms {
    pub version: crate::units::TablesVersion,
    /// Sorted by id.
    pub rooms: Vec<Room>,
}

#[derive(Clone, Debug)]
pub struct Room {
    pub id: DispatcherId,
    /// After this long without a take, the next in the chain is asked.
    pub take_micros_max: u64,
    /// Contacts its seats can hold at once.
    pub capacity: u32,
    /// The SIP URI, for `Moved`.
    pub uri: Box<str>,
}

/// Everything the engine can ask of the edge.
#[derive(Clone, Debug)]
pub enum Output {
    ToGateway {
        session: SessionId,
        hears: GatewayHears,
    },
    ToConsole {
        session: SessionId,
        hears: ConsoleHears,
    },
    /// Append to the journal under this sequence number; rising by one, no gaps.
    Append {
        seq: u64,
        fact: Fact,
    },
    /// Run `route` on this revision and come back with [`Input::Redecided`].
    Reroute {
        contact: Arc<Contact>,
        revision: u32,
    },
    /// The states to publish with the next snapshot.
    PublishStates {
        states: Vec<(DispatcherId, DispatcherState)>,
    },
    /// Close this session: it broke the protocol.
    Close {
        session: SessionId,
    },
}
