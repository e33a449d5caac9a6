//! The rows one can search: one per contact, made from facts, thrown away and made again at will.
//!
//! The journal is the record; these rows only find things in it. Nothing on a contact's path waits for them.

use crate::decision::DecisionRecord;
use crate::deliver::{Fact, Seat};
use crate::service::{Service, ServiceSet};
use crate::units::{AreaId, ContactId, DispatcherId, Name, TablesVersion, Timestamp};

/// What one fact changes in the rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProjectionChange {
    /// A new contact. A second one with the same id changes nothing.
    Arrived(Box<ContactRow>),
    Redecided {
        contact: ContactId,
        routed: Routed,
    },
    /// A service's share of the contact moved on; it shows when that service leads.
    Moved {
        contact: ContactId,
        service: Service,
        state: RowState,
        seat: Option<Seat>,
    },
    Ended {
        contact: ContactId,
        ending: Name,
    },
}

/// One contact as a search finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContactRow {
    pub contact: ContactId,
    /// Who sent it and what they call it.
    pub gateway: Name,
    pub gateway_ref: Box<str>,
    pub line: Option<Box<str>>,
    pub received: Timestamp,
    pub routed: Routed,
    /// How far the leading service's share has come.
    pub state: RowState,
    /// The last seat that took the leading service's share.
    pub seat: Option<Seat>,
    /// [`crate::deliver::Ending::word`].
    pub ending: Option<Name>,
}

/// What the latest decision says of a contact.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Routed {
    pub area: Option<AreaId>,
    /// `None` only for a test contact.
    pub lead: Option<Service>,
    pub services: ServiceSet,
    /// Responsible for the leading service.
    pub dispatcher: Option<DispatcherId>,
    pub priority: Option<u8>,
    pub tables: TablesVersion,
    pub test: bool,
}

impl Routed {
    pub fn of(decision: &DecisionRecord) -> Self {
        let lead = decision.services.iter().find(|assigned| assigned.lead).or(decision.services.first());
        Self {
            area: decision.area.or(lead.and_then(|lead| lead.area)),
            lead: lead.map(|lead| lead.service),
            services: decision.services.iter().map(|assigned| assigned.service).collect(),
            dispatcher: lead.map(|lead| lead.dispatcher),
            priority: decision.priority,
            tables: decision.tables,
            test: decision.test,
        }
    }
}

/// How far a contact has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum RowState {
    Waiting = 0,
    Taken = 1,
    Accepted = 2,
    Closed = 3,
    Ended = 4,
}

impl RowState {
    pub const ALL: [Self; 5] = [Self::Waiting, Self::Taken, Self::Accepted, Self::Closed, Self::Ended];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Taken => "taken",
            Self::Accepted => "accepted",
            Self::Closed => "closed",
            Self::Ended => "ended",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.word() == word)
    }
}

/// A search. Every part given must match; the rows come in order of time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    pub contact: Option<ContactId>,
    /// The gateway's own id of the contact.
    pub gateway_ref: Option<Box<str>>,
    pub line: Option<Box<str>>,
    /// Received at this time or later.
    pub from: Option<Timestamp>,
    /// Received before this time.
    pub until: Option<Timestamp>,
    pub area: Option<AreaId>,
    /// Needed, whether it leads or not.
    pub service: Option<Service>,
    pub state: Option<RowState>,
    pub newest_first: bool,
    /// At most [`crate::limits::QUERY_ROWS_MAX`]; 0 means that many.
    pub row_count_max: usize,
}

/// What `fact` changes in the rows; `None` when nothing searchable changes.
pub fn change_of(fact: &Fact) -> Option<ProjectionChange> {
    let moved = |offer: &crate::deliver::OfferId, state, seat: Option<&Seat>| {
        Some(ProjectionChange::Moved { contact: offer.contact, service: offer.service, state, seat: seat.copied() })
    };
    match fact {
        Fact::Arrived { contact, decision, .. } => Some(ProjectionChange::Arrived(Box::new(ContactRow {
            contact: contact.id,
            gateway: contact.key.gateway,
            gateway_ref: contact.key.gateway_ref.clone(),
            line: contact.line.clone(),
            received: contact.received,
            routed: Routed::of(decision),
            state: RowState::Waiting,
            seat: None,
            ending: None,
        }))),
        Fact::Redecided { contact, decision, .. } => Some(ProjectionChange::Redecided { contact: *contact, routed: Routed::of(decision) }),
        Fact::Taken { offer, seat, .. } => moved(offer, RowState::Taken, Some(seat)),
        Fact::Accepted { offer, seat, .. } => moved(offer, RowState::Accepted, Some(seat)),
        Fact::Waiting { offer, .. } => moved(offer, RowState::Waiting, None),
        Fact::Closed { offer, seat, .. } => moved(offer, RowState::Closed, Some(seat)),
        Fact::Ended { contact, ending, .. } => {
            Some(ProjectionChange::Ended { contact: *contact, ending: Name::new(ending.word()).unwrap_or_default() })
        }
        Fact::Answered { .. }
        | Fact::Asked { .. }
        | Fact::Declined { .. }
        | Fact::HungUp { .. }
        | Fact::State { .. }
        | Fact::Tables { .. } => None,
    }
}
