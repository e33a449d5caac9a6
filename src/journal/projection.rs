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

impl ProjectionChange {
    pub fn contact(&self) -> ContactId {
        match self {
            Self::Arrived(row) => row.contact,
            Self::Redecided { contact, .. } | Self::Moved { contact, .. } | Self::Ended { contact, .. } => *contact,
        }
    }
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

impl ContactRow {
    /// The row after one more change of its contact. A second arrival changes nothing, and nothing follows an end.
    pub fn change(&mut self, change: &ProjectionChange) {
        match change {
            ProjectionChange::Arrived(_) => {}
            ProjectionChange::Redecided { routed, .. } => self.routed = routed.clone(),
            ProjectionChange::Moved { service, state, seat, .. } => {
                if self.routed.lead == Some(*service) && self.state != RowState::Ended {
                    (self.state, self.seat) = (*state, seat.or(self.seat));
                }
            }
            ProjectionChange::Ended { ending, .. } => (self.state, self.ending) = (RowState::Ended, Some(*ending)),
        }
    }
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
    /// The gateway's own id, or what it begins with when the door made it of a Call-ID.
    pub call: Option<(Box<str>, Box<str>)>,
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
        | Fact::CalledBack { .. }
        | Fact::Declared { .. }
        | Fact::Declined { .. }
        | Fact::Delivered { .. }
        | Fact::Dispatched { .. }
        | Fact::EventOver { .. }
        | Fact::HungUp { .. }
        | Fact::Informed { .. }
        | Fact::Joined { .. }
        | Fact::Left { .. }
        | Fact::Noted { .. }
        | Fact::Rated { .. }
        | Fact::Read { .. }
        | Fact::Repeated { .. }
        | Fact::Said { .. }
        | Fact::State { .. }
        | Fact::Tables { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::contact::{Contact, ContactKey, Door};
    use crate::decision::AssignedRecord;
    use crate::deliver::{Ending, Evidence, HangUp, OfferId, WaitingWhy};
    use crate::units::Ppm;

    const AT: Timestamp = Timestamp::from_secs(9);

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    fn decision() -> DecisionRecord {
        let assigned = |service, room: &str, lead| AssignedRecord {
            service,
            dispatcher: name(room),
            area: Some(name("AE-DU")),
            probability: Some(Ppm::ONE),
            lead,
            chain: vec![name(room)],
        };
        DecisionRecord {
            tables: TablesVersion([3; 32]),
            services: vec![assigned(Service::Police, "DU-POL", false), assigned(Service::Ambulance, "DU-AMB", true)],
            priority: Some(1),
            ..DecisionRecord::default()
        }
    }

    fn offer() -> OfferId {
        OfferId { contact: ContactId(4), service: Service::Ambulance }
    }

    #[test]
    fn an_arrival_becomes_a_row_led_by_the_service_that_leads() {
        let key = ContactKey { gateway: name("trunk-1"), gateway_ref: "call-9".into() };
        let mut contact = Contact::new(ContactId(4), key, Timestamp::from_secs(8), Door::SipVoice);
        contact.line = Some("+971500000001".into());
        let fact = Fact::Arrived { at: AT, contact: Arc::new(contact), decision: Arc::new(decision()), states: vec![] };
        let Some(ProjectionChange::Arrived(row)) = change_of(&fact) else { panic!("an arrival is a row") };
        assert_eq!((row.contact, row.gateway, &*row.gateway_ref), (ContactId(4), name("trunk-1"), "call-9"));
        assert_eq!((row.line.as_deref(), row.received), (Some("+971500000001"), Timestamp::from_secs(8)));
        assert_eq!((row.routed.lead, row.routed.dispatcher), (Some(Service::Ambulance), Some(name("DU-AMB"))));
        assert_eq!(row.routed.area, Some(name("AE-DU")), "the lead's area, when the decision names none");
        assert_eq!(row.routed.services, ServiceSet::of(Service::Police).with(Service::Ambulance));
        assert_eq!((row.state, row.seat, row.ending), (RowState::Waiting, None, None));
    }

    #[test]
    fn each_step_of_an_offer_shows_its_state_and_seat() {
        let seat = Seat { dispatcher: name("DU-AMB"), seat: name("3") };
        let moved = |fact: Fact| match change_of(&fact) {
            Some(ProjectionChange::Moved { contact: ContactId(4), service: Service::Ambulance, state, seat }) => (state, seat),
            other => panic!("{other:?}"),
        };
        assert_eq!(moved(Fact::Taken { at: AT, offer: offer(), seat }), (RowState::Taken, Some(seat)));
        assert_eq!(moved(Fact::Accepted { at: AT, offer: offer(), seat }), (RowState::Accepted, Some(seat)));
        assert_eq!(moved(Fact::Closed { at: AT, offer: offer(), seat, reason: "done".into() }), (RowState::Closed, Some(seat)));
        let waiting = Fact::Waiting { at: AT, offer: offer(), why: WaitingWhy::Released, reason: "busy".into() };
        assert_eq!(moved(waiting), (RowState::Waiting, None));
    }

    #[test]
    fn a_new_decision_and_an_end_change_the_row_and_the_rest_does_not() {
        let contact = ContactId(4);
        let evidence = Evidence::default();
        let again = Fact::Redecided { at: AT, contact, revision: 2, evidence, decision: Arc::new(decision()) };
        assert_eq!(change_of(&again), Some(ProjectionChange::Redecided { contact, routed: Routed::of(&decision()) }));
        let ended = Fact::Ended { at: AT, contact, ending: Ending::TestSunk };
        assert_eq!(change_of(&ended), Some(ProjectionChange::Ended { contact, ending: name("test_sunk") }));
        assert_eq!(change_of(&Fact::HungUp { at: AT, contact, why: HangUp::Caller, callback: true }), None);
        assert_eq!(change_of(&Fact::Tables { at: AT, version: TablesVersion::default(), by: name("ops") }), None);
    }

    #[test]
    fn every_state_is_found_by_its_word() {
        assert!(RowState::ALL.into_iter().all(|state| RowState::from_word(state.word()) == Some(state)));
        assert_eq!(RowState::from_word("lost"), None);
    }
}
