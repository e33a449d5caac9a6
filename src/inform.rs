//! What a caller may be told by a message, and whom nothing may be sent to.
//!
//! A message on a telephone can betray whoever hides from the person beside it. So a message goes out only after a person at a console
//! released it, and never to a caller whose contact was quiet at any time: an intruder, violence at home, an abduction, a silent call.
//! No configuration changes that.
//!
//! # Source
//! The types are marked `quiet` in the table set's types.csv.

use crate::contact::Contact;
use crate::decision::{DecisionRecord, Discrepancy};
use crate::units::Name;

/// What a message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Told {
    /// You were heard, and this room has taken it.
    Heard = 0,
    /// It is over: how was it? With a link.
    Rate = 1,
}

impl Told {
    pub const ALL: [Self; 2] = [Self::Heard, Self::Rate];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Heard => "heard",
            Self::Rate => "rate",
        }
    }
}

/// Stars of a rating, the best last.
pub const STARS: std::ops::RangeInclusive<u8> = 1..=5;

/// The number a message about this contact may go to; `None` when none may.
///
/// A number that stands for many people (a pilot line, a call centre, a panel, somebody who reports for another) is not the caller's.
pub fn number_for(contact: &Contact, decision: &DecisionRecord) -> Option<Name> {
    let silent = decision.discrepancies.iter().any(|code| *code == Discrepancy::Silent.code());
    if decision.quiet || decision.test || silent || contact.door.is_third_party() {
        return None;
    }
    decision.caller.filter(|caller| caller.links).map(|caller| caller.number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contact::{ContactKey, Door};
    use crate::decision::Caller;
    use crate::units::{ContactId, Timestamp};

    fn blank() -> Contact {
        Contact::new(ContactId(1), ContactKey::default(), Timestamp::default(), Door::SipVoice)
    }

    fn fit() -> (Contact, DecisionRecord) {
        let caller = Caller { number: Name::of_word("+971501234567"), links: true };
        (blank(), DecisionRecord { caller: Some(caller), ..DecisionRecord::default() })
    }

    #[test]
    fn a_caller_with_a_number_of_their_own_can_be_written_to() {
        let (contact, decision) = fit();
        assert_eq!(number_for(&contact, &decision), Some(Name::of_word("+971501234567")));
    }

    #[test]
    fn nothing_goes_to_the_quiet_the_silent_a_test_a_shared_line_or_a_third_party() {
        let (contact, decision) = fit();
        let with = |change: fn(&mut DecisionRecord)| {
            let mut other = decision.clone();
            change(&mut other);
            number_for(&contact, &other)
        };
        assert_eq!(with(|decision| decision.quiet = true), None);
        assert_eq!(with(|decision| decision.test = true), None);
        assert_eq!(with(|decision| decision.caller = None), None);
        assert_eq!(with(|decision| decision.caller.iter_mut().for_each(|caller| caller.links = false)), None);
        let mut other = decision.clone();
        other.discrepancies.push(Discrepancy::Silent.code());
        assert_eq!(number_for(&contact, &other), None);
        for door in Door::ALL {
            let contact = Contact { door, ..blank() };
            assert_eq!(number_for(&contact, &decision).is_none(), door.is_third_party(), "{door:?}");
        }
    }
}
