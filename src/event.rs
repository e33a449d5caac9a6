//! Declared events: what a supervisor says is happening, where, and until when.
//!
//! A pile-up in fog brings a hundred calls in minutes, and a heart attack next door must not wait behind them. So a person declares the
//! event: contacts inside it are marked, and ring at a share of each room's seats only. The other seats stay free for everything else.
//! Nothing of the event is hidden: every seat of the room sees it and may take it, and it goes up the ladder as any other contact does.
//! No contact is joined or closed because of it.
//!
//! Values only; `engine/event.rs` gives them a life.

use core::fmt;

use crate::contact::{Contact, Place};
use crate::decision::DecisionRecord;
use crate::geo::point::{Point, distance_cm};
use crate::units::{AreaId, Name, Timestamp};

/// An event's id: the journal partition it was declared in and the sequence number it was declared under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId {
    pub partition: u16,
    pub seq: u64,
}

impl fmt::Display for EventId {
    /// `partition-sequence`, as incidents are written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.partition, self.seq)
    }
}

/// Where an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventArea {
    /// An area of the tables, by its id: whatever is decided to lie in it.
    Area(AreaId),
    Circle {
        center: Point,
        radius_cm: u32,
    },
}

/// What was declared.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EventTerms {
    pub area: EventArea,
    /// In each of the country's languages, at most [`crate::limits::EVENT_WORDS_BYTES_MAX`] bytes; either may be empty, not both.
    pub words_en: Box<str>,
    pub words_ar: Box<str>,
    /// Incident types it is about; none means all. At most [`crate::limits::EVENT_TYPES_MAX`].
    pub types: Vec<Name>,
    /// It is over by itself then.
    pub until: Timestamp,
}

impl EventTerms {
    /// The contact is one of the event's: of its types, and by its place. A place that is not known lies in no circle.
    pub fn covers(&self, contact: &Contact, decision: &DecisionRecord) -> bool {
        let of_type = self.types.is_empty() || decision.incident_type.is_some_and(|kind| self.types.contains(&kind));
        of_type && self.holds_place(contact, decision)
    }

    fn holds_place(&self, contact: &Contact, decision: &DecisionRecord) -> bool {
        match self.area {
            EventArea::Area(area) => {
                decision.area == Some(area) || decision.services.iter().any(|assigned| assigned.lead && assigned.area == Some(area))
            }
            EventArea::Circle { center, radius_cm } => place_of(contact).is_some_and(|point| distance_cm(center, point) <= radius_cm),
        }
    }
}

/// The best place stated, in the order of trust.
fn place_of(contact: &Contact) -> Option<Point> {
    let shapes = contact.claims.iter().filter_map(|claim| match &claim.place {
        Place::Shape(shape) => Some((claim.source, shape.representative())),
        Place::Makani(_) => None,
    });
    shapes.min_by_key(|(source, _)| *source).map(|(_, point)| point)
}

/// How many of a room's seats its contacts ring at: two thirds, and never all where there are two or more.
pub const fn seats_of_event(seat_count: usize) -> usize {
    match seat_count {
        0 | 1 => seat_count,
        several => several * 2 / 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contact::{ClaimSource, ContactKey, Door, LocationClaim, Whose};
    use crate::units::{ContactId, Ppm};

    #[test]
    fn an_event_leaves_a_seat_free_wherever_there_are_two_and_always_has_one_itself() {
        let shares: Vec<usize> = (0..8).map(seats_of_event).collect();
        assert_eq!(shares, [0, 1, 1, 2, 2, 3, 4, 4]);
    }

    #[test]
    fn a_contact_is_of_an_event_by_its_place_and_its_type() {
        let at = |north: f64| Point::from_degrees(25.2 + north / 111.32, 55.3).unwrap();
        let name = |text: &str| Name::new(text).unwrap();
        let mut contact = Contact::new(ContactId(1), ContactKey::default(), Timestamp::from_secs(1), Door::SipVoice);
        let decision =
            |kind: Option<&str>| DecisionRecord { incident_type: kind.map(name), area: Some(name("AE-DU")), ..Default::default() };
        let terms = |area, types: &[&str]| EventTerms {
            area,
            words_en: "fog".into(),
            words_ar: Box::default(),
            types: types.iter().map(|kind| name(kind)).collect(),
            until: Timestamp::from_secs(9),
        };
        let circle = EventArea::Circle { center: at(0.0), radius_cm: 100_000 };
        assert!(!terms(circle, &[]).covers(&contact, &decision(None)), "a place that is not known lies in no circle");
        let place = Place::point(at(0.9));
        contact.claims.push(LocationClaim {
            whose: Whose::Caller,
            place,
            source: ClaimSource::DeviceFix,
            age_secs: 0,
            confidence: Ppm::ONE,
        });
        assert!(terms(circle, &[]).covers(&contact, &decision(None)));
        assert!(terms(circle, &["MVA"]).covers(&contact, &decision(Some("MVA"))));
        assert!(!terms(circle, &["MVA"]).covers(&contact, &decision(Some("CARDIAC"))));
        assert!(!terms(circle, &["MVA"]).covers(&contact, &decision(None)), "nobody knows that it is one");
        assert!(terms(EventArea::Area(name("AE-DU")), &[]).covers(&contact, &decision(None)));
        assert!(!terms(EventArea::Area(name("AE-SH")), &[]).covers(&contact, &decision(None)));
        contact.claims[0].place = Place::point(at(1.1));
        assert!(!terms(circle, &[]).covers(&contact, &decision(None)));
    }
}
