//! The JSON of the HTTP door: values to text and back, no sockets.
//!
//! | request | who | body | answers |
//! | --- | --- | --- | --- |
//! | `POST /v1/contacts` | gateway | [`contact_json`](super::contact_json) | 201 or 202 [`ContactAnswer`] |
//! | `POST /v1/contacts/{id}/words` | gateway | [`contact_json`](super::contact_json) without `id` | 202 |
//! | `GET /v1/contacts/{id}/words` | gateway | | 200 [`WordsAnswer`] |
//! | `POST /v1/calls/{call-id}/legs` | gateway | [`LegSaid`] | 202 |
//! | `POST /v1/tables` | ops | a compiled table set | 200 [`Published`] |
//! | `POST /v1/dispatchers/{id}/state` | ops | [`StateAsked`] | 200 [`StateSet`] |
//!
//! Whatever is refused is answered with [`Refused`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::decision_json::DecisionJson;
use super::dialog_info::{Leg, State};
use crate::deliver::Target;
use crate::units::ContactId;

/// What became of a contact.
#[derive(Debug, Serialize)]
pub struct ContactAnswer<'d> {
    /// The engine's id of the contact; of the first one when this is a repetition.
    pub contact: String,
    /// The journal holds it. While this is false it is being delivered all the same: send the same body again to learn more.
    pub durable: bool,
    /// The same contact came before.
    pub duplicate: bool,
    /// Where a voice call goes, in order.
    pub targets: Vec<TargetJson<'d>>,
    #[serde(flatten)]
    pub decision: DecisionJson<'d>,
}

#[derive(Debug, Serialize)]
pub struct TargetJson<'d> {
    pub dispatcher: &'d str,
    pub service: &'d str,
    pub uri: &'d str,
}

impl<'d> ContactAnswer<'d> {
    /// `id` is the engine's, `known_as` the id it had before when it is a repetition.
    pub fn new(id: ContactId, known_as: Option<ContactId>, targets: &'d [Target], decision: DecisionJson<'d>) -> Self {
        let stands = known_as.unwrap_or(id);
        let target =
            |target: &'d Target| TargetJson { dispatcher: target.dispatcher.as_str(), service: target.service.word(), uri: &target.uri };
        Self {
            contact: stands.to_string(),
            durable: known_as.is_some(),
            duplicate: stands != id,
            targets: targets.iter().map(target).collect(),
            decision,
        }
    }
}

/// What was said to a caller who writes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WordsAnswer {
    /// Those that the asker does not have, the newest last.
    pub words: Vec<WordsLine>,
    /// The contact has ended: nothing more will be said.
    pub ended: bool,
}

/// One line for the caller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WordsLine {
    /// Rises with every line of the conversation; what the caller wrote has numbers of its own between them.
    pub number: u32,
    pub text: String,
}

impl WordsAnswer {
    pub fn new(lines: impl IntoIterator<Item = (u32, Box<str>)>, ended: bool) -> Self {
        Self { words: lines.into_iter().map(|(number, text)| WordsLine { number, text: text.into() }).collect(), ended }
    }
}

/// What became of a leg of a call that the SIP door answered.
///
/// # Source
/// The words are those of RFC 4235.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LegSaid {
    /// The From tag of the call.
    pub from_tag: String,
    /// `trying`, `proceeding`, `early`, `confirmed` or `terminated`.
    pub state: String,
    /// Why it ended: `cancelled`, `rejected`, `local-bye`, `remote-bye`, `error`, `timeout` or `replaced`.
    pub event: Option<String>,
    /// The status of the answer that ended it.
    pub code: Option<u16>,
    /// Where the leg leads: an address that the call was told.
    pub target: Option<String>,
}

impl LegSaid {
    /// # Errors
    /// A state that there is not.
    pub fn leg(self, call_id: &str) -> Result<Leg, String> {
        let state = State::from_word(&self.state)
            .ok_or_else(|| format!("{:?} is no state: trying, proceeding, early, confirmed or terminated", self.state))?;
        Ok(Leg {
            call_id: call_id.into(),
            caller_tag: Some(self.from_tag.into()),
            callee_tag: None,
            state,
            event: self.event.map(Into::into),
            code: self.code,
            callee: self.target.into_iter().map(Into::into).collect(),
        })
    }
}

/// Why something was not done, and what to do about it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Refused {
    pub error: String,
    pub remedy: String,
}

/// A table set is in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    pub name: String,
    pub tables: String,
    /// The first snapshot with this set.
    pub snapshot: u64,
    /// It was in force already; nothing was done.
    pub unchanged: bool,
}

/// The state that a dispatcher should have: `active`, `diverting`, `full`, `unreachable` or `closed`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateAsked {
    pub state: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateSet {
    pub dispatcher: String,
    pub state: String,
    pub snapshot: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision::DecisionRecord;

    #[test]
    fn an_answer_says_whether_the_journal_holds_it_and_whether_it_came_before() {
        let record = DecisionRecord::default();
        let answer = |known_as| {
            let answer = ContactAnswer::new(ContactId(7), known_as, &[], DecisionJson::new("a", &record, None));
            serde_json::to_value(answer).unwrap()
        };
        let is = |answer: &serde_json::Value| (answer["durable"].as_bool().unwrap(), answer["duplicate"].as_bool().unwrap());
        assert_eq!(is(&answer(None)), (false, false));
        assert_eq!(is(&answer(Some(ContactId(7)))), (true, false));
        let again = answer(Some(ContactId(3)));
        assert_eq!(is(&again), (true, true));
        assert_eq!((again["contact"].as_str(), again["id"].as_str()), (Some(ContactId(3).to_string().as_str()), Some("a")));
    }

    #[test]
    fn a_state_with_a_word_too_many_is_refused() {
        assert!(serde_json::from_str::<StateAsked>(r#"{"state":"full"}"#).is_ok());
        assert!(serde_json::from_str::<StateAsked>(r#"{"state":"full","until":"noon"}"#).is_err());
    }
}
