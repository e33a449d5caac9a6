//! The messages of the feed: values to JSON and back, no sockets.
//!
//! One object a message, with one key that names it: `subscribe`, `subscribeResponse`, `unsubscribe`, `unsubscribeResponse`, `event`,
//! `eventResponse`, `terminate`, `terminateResponse` as in the standard, `command` and `commandResponse` beside it. What a message holds
//! beyond what is known here is left unread.
//!
//! # Source
//! NENA-STA-024.1a-2023, 2.1.5 and 2.1.6 (names of messages and fields), 2.2 with RFC 6446 (rates). Ours: `from` of a subscription,
//! `najda` of an event, commands.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::eido::{ContactState, Eido, incident_id};
use crate::deliver::{CallbackOutcome, ConsoleSays, OfferId, Refusal, Seat};
use crate::incident::IncidentId;
use crate::limits::{COMMAND_REASON_BYTES_MAX, FEED_ID_BYTES_MAX, LANGUAGES_MAX, NOTE_BYTES_MAX};
use crate::service::Service;
use crate::units::{ContactId, Name};

/// The name that client and server agree on when a WebSocket is opened (NENA-STA-024.1a-2023, 2.1.3.1.2).
pub const SUBPROTOCOL: &str = "emergency-ent1.0";

/// What a subscriber says.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FeedSays {
    Subscribe(Subscribe),
    Unsubscribe(Unsubscribe),
    EventResponse(EventResponse),
    TerminateResponse(serde::de::IgnoredAny),
    Command(Command),
}

/// Asks for events, or with the id of a subscription that it may last on.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Subscribe {
    pub request_id: String,
    /// `eido`.
    pub request_type: Option<String>,
    /// `new` for every incident, `single` for one.
    pub request_sub_type: Option<String>,
    pub subscription_id: Option<String>,
    pub incident_id: Option<String>,
    /// Seconds.
    pub expires: Option<f64>,
    /// Seconds between events at least.
    pub max_rate: Option<f64>,
    /// Seconds between events at most: then an empty one comes.
    pub min_rate: Option<f64>,
    pub qual_filter: Option<String>,
    /// The last sequence that was received; nothing for the state as it is and what comes after.
    pub from: Option<u64>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Unsubscribe {
    pub request_id: String,
    pub subscription_id: String,
}

/// Acknowledges an event.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EventResponse {
    pub transaction_id: String,
    pub status_code: Option<u16>,
}

/// Acts as the seat.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Command {
    pub transaction_id: String,
    pub action: String,
    pub contact: String,
    pub service: String,
    pub reason: String,
    pub to: String,
    pub text: String,
    pub with: String,
    pub outcome: String,
    pub languages: Vec<String>,
    /// The seat can answer text contacts.
    pub text_capable: bool,
}

/// Why something was not done, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct Wrong {
    pub status: u16,
    pub error: String,
    pub remedy: &'static str,
}

impl Wrong {
    pub fn new(status: u16, error: impl Into<String>, remedy: &'static str) -> Self {
        Self { status, error: error.into(), remedy }
    }

    /// As the engine refuses.
    pub fn refusal(why: Refusal) -> Self {
        let (status, error, remedy) = match why {
            Refusal::HeldByAnother => (409, "another seat holds it", "wait until it is given back, or ask that room"),
            Refusal::NotYours => (403, "it is not for this room", "subscribe to see what is"),
            Refusal::Unknown => (404, "there is no such share, or it has ended", "read the contact again"),
            Refusal::OutOfTurn => (409, "not in this order", "take before you accept, accept before you close"),
            Refusal::Malformed => (400, "it cannot be understood", "the manual's page on the feed shows every command"),
            Refusal::Full => (503, "the engine holds all it can", "try again in a second"),
            Refusal::Forbidden => (403, "it is not allowed", "use another seat"),
            Refusal::NoText => (409, "this caller did not write", "call, or leave a note"),
            Refusal::Unstaffed => (409, "nobody is signed in there", "choose another room"),
        };
        Self::new(status, error, remedy)
    }
}

/// Reads one message.
///
/// # Errors
/// It is none; the text says where.
pub fn read_says(text: &str) -> Result<FeedSays, Wrong> {
    let remedy = "send one object with one of the keys subscribe, unsubscribe, eventResponse, terminateResponse, command";
    serde_json::from_str(text).map_err(|why| Wrong::new(400, why.to_string(), remedy))
}

/// What a subscription asks for, once it is understood.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Wanted {
    pub only: Option<IncidentId>,
    pub from: Option<u64>,
    pub expires_micros: Option<u64>,
    /// Between two events at least.
    pub pause_micros: u64,
    /// Between two events at most.
    pub silence_micros: Option<u64>,
}

/// A day; nobody waits longer for an event or for the end of a subscription than that.
const SECONDS_MAX: f64 = 86_400.0;
/// An empty event more often than this would be noise.
const SILENCE_SECONDS_MIN: f64 = 1.0;

impl Subscribe {
    /// # Errors
    /// What is asked for is not to be had.
    pub fn wanted(&self) -> Result<Wanted, Wrong> {
        let is_ours = self.request_type.as_ref().is_none_or(|kind| kind.eq_ignore_ascii_case("eido"));
        if !is_ours {
            return Err(Wrong::new(400, "only EIDOs can be subscribed to", "send requestType eido"));
        }
        if self.qual_filter.is_some() {
            return Err(Wrong::new(501, "qualFilter is not supported", "leave it out: a subscriber sees what its room may see"));
        }
        let only = match (self.request_sub_type.as_deref(), self.incident_id.as_deref()) {
            (None | Some("new"), None) => None,
            (None | Some("single"), Some(id)) => {
                Some(incident_id(id).ok_or_else(|| Wrong::new(400, "incidentId is no incident's id", "send it as an event named it"))?)
            }
            (Some("single"), None) => return Err(Wrong::new(400, "single needs an incidentId", "name the incident, or send new")),
            (Some("new"), Some(_)) => return Err(Wrong::new(400, "new takes no incidentId", "send single")),
            (Some(_), _) => return Err(Wrong::new(400, "requestSubType is new or single", "send one of them")),
        };
        let seconds = |name: &str, value: Option<f64>, least: f64| match value {
            None => Ok(None),
            Some(value) if value.is_finite() && (0.0..=SECONDS_MAX).contains(&value) => Ok(Some((value.max(least) * 1e6) as u64)),
            Some(_) => Err(Wrong::new(400, format!("{name} is 0 to {SECONDS_MAX} seconds"), "send seconds, or leave it out")),
        };
        Ok(Wanted {
            only,
            from: self.from,
            expires_micros: seconds("expires", self.expires, SILENCE_SECONDS_MIN)?,
            pause_micros: seconds("maxRate", self.max_rate, 0.0)?.unwrap_or(0),
            silence_micros: seconds("minRate", self.min_rate, SILENCE_SECONDS_MIN)?,
        })
    }
}

// --- commands ---

/// What a command asks of the seat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    SignIn {
        languages: Vec<[u8; 2]>,
        text: bool,
    },
    SignOut,
    /// About this contact.
    Says(ContactId, ConsoleSays),
}

impl Command {
    /// # Errors
    /// What is missing or cannot be read.
    pub fn asked(&self) -> Result<Asked, Wrong> {
        let about = |says: fn(OfferId) -> ConsoleSays| {
            let offer = self.offer()?;
            Ok(Asked::Says(offer.contact, says(offer)))
        };
        let says = |contact, says| Ok(Asked::Says(contact, says));
        match self.action.as_str() {
            "signIn" => Ok(Asked::SignIn { languages: languages(&self.languages), text: self.text_capable }),
            "signOut" => Ok(Asked::SignOut),
            "shown" => about(|offer| ConsoleSays::Shown { offer }),
            "take" => about(|offer| ConsoleSays::Take { offer }),
            "accept" => about(|offer| ConsoleSays::Accept { offer }),
            "release" => about(|offer| ConsoleSays::Release { offer }),
            "decline" => {
                let (offer, reason) = (self.offer()?, given("reason", &self.reason)?);
                says(offer.contact, ConsoleSays::Decline { offer, reason })
            }
            "close" => {
                let (offer, reason) = (self.offer()?, short("reason", &self.reason, COMMAND_REASON_BYTES_MAX)?);
                says(offer.contact, ConsoleSays::Close { offer, reason })
            }
            "calledBack" => {
                let outcome = CallbackOutcome::ALL.into_iter().find(|known| known.word() == self.outcome);
                let remedy = "called_again, help_needed, no_answer, no_help_needed or no_number";
                let outcome = outcome.ok_or_else(|| Wrong::new(400, "outcome is none", remedy))?;
                let (offer, reason) = (self.offer()?, short("reason", &self.reason, COMMAND_REASON_BYTES_MAX)?);
                says(offer.contact, ConsoleSays::CalledBack { offer, outcome, reason })
            }
            "transfer" => {
                let to = Name::new(&self.to).ok_or_else(|| Wrong::new(400, "to is no room's id", "name the room, as DU-POL"))?;
                let (offer, reason) = (self.offer()?, given("reason", &self.reason)?);
                says(offer.contact, ConsoleSays::Transfer { offer, to, reason })
            }
            "addService" => {
                let contact = contact_id(&self.contact)?;
                says(contact, ConsoleSays::AddService { contact, service: service_of(&self.service)? })
            }
            "note" => {
                let (contact, text) = (contact_id(&self.contact)?, self.text.trim());
                if text.is_empty() {
                    return Err(Wrong::new(400, "text is empty", "write something"));
                }
                says(contact, ConsoleSays::Note { contact, text: short("text", text, NOTE_BYTES_MAX)? })
            }
            "join" => {
                let contact = contact_id(&self.contact)?;
                says(contact, ConsoleSays::Join { contact, with: contact_id(&self.with)? })
            }
            "split" => {
                let contact = contact_id(&self.contact)?;
                says(contact, ConsoleSays::Split { contact })
            }
            other => {
                let remedy = "signIn, signOut, shown, take, accept, decline, release, transfer, close, calledBack, addService, note, \
                              join or split";
                Err(Wrong::new(400, format!("{:?} is no action", other.chars().take(32).collect::<String>()), remedy))
            }
        }
    }

    fn offer(&self) -> Result<OfferId, Wrong> {
        Ok(OfferId { contact: contact_id(&self.contact)?, service: service_of(&self.service)? })
    }
}

pub fn contact_id(text: &str) -> Result<ContactId, Wrong> {
    let id = uuid::Uuid::try_parse(text).map_err(|_| Wrong::new(400, "that is no contact's id", "send the id as an event named it"))?;
    Ok(ContactId(id.as_u128()))
}

fn service_of(text: &str) -> Result<Service, Wrong> {
    let remedy = "police, ambulance, civil_defence and the others of the manual's glossary";
    Service::from_word(text).ok_or_else(|| Wrong::new(400, "that is no service", remedy))
}

fn given(what: &str, text: &str) -> Result<Box<str>, Wrong> {
    if text.trim().is_empty() {
        return Err(Wrong::new(400, format!("{what} is missing"), "say why: the others read it"));
    }
    short(what, text, COMMAND_REASON_BYTES_MAX)
}

fn short(what: &str, text: &str, bytes_max: usize) -> Result<Box<str>, Wrong> {
    if text.len() > bytes_max {
        return Err(Wrong::new(400, format!("{what} has more than {bytes_max} bytes"), "write less"));
    }
    Ok(text.into())
}

fn languages(texts: &[String]) -> Vec<[u8; 2]> {
    let two = |text: &String| <[u8; 2]>::try_from(text.as_bytes()).ok().filter(|two| two.iter().all(u8::is_ascii_lowercase));
    texts.iter().filter_map(two).take(LANGUAGES_MAX).collect()
}

/// The ids of a peer come back to it; longer ones are cut.
pub fn own_id(text: &str) -> &str {
    text.get(..text.floor_char_boundary(FEED_ID_BYTES_MAX)).unwrap_or_default()
}

// --- answers ---

/// What the feed says, but for events, which are put together from documents.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum FeedHears {
    SubscribeResponse(SubscribeResponse),
    UnsubscribeResponse(UnsubscribeResponse),
    Terminate(Terminate),
    CommandResponse(Box<CommandResponse>),
    /// Something could not be read.
    Error {
        status_code: u16,
        error: String,
        remedy: &'static str,
    },
    /// The seat is not signed in any more: another session of it was opened, or the engine closed it.
    SignedOut {
        reason: &'static str,
    },
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SubscribeResponse {
    pub request_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subscription_id: Option<String>,
    /// Seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_rate: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_rate: Option<f64>,
    pub status_code: u16,
    pub status_text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<&'static str>,
    /// The oldest and the newest entry that can be had.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_sequence: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_sequence: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UnsubscribeResponse {
    pub request_id: String,
    pub subscription_id: String,
    pub status_code: u16,
    pub status_text: &'static str,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Terminate {
    pub request_id: String,
    pub subscription_id: String,
    pub reason: &'static str,
    /// Of the last event that was sent: subscribe from what was received of it.
    pub last_sequence: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CommandResponse {
    pub transaction_id: String,
    pub status_code: u16,
    pub status_text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<&'static str>,
    /// The journal entry that says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contact: Option<ContactState>,
}

impl FeedHears {
    pub fn line(&self) -> String {
        // Plain fields and finite numbers always serialise; an empty object stands for the impossible.
        serde_json::to_string(self).unwrap_or_else(|_| "{}".to_owned())
    }

    pub fn wrong(wrong: Wrong) -> Self {
        Self::Error { status_code: wrong.status, error: wrong.error, remedy: wrong.remedy }
    }
}

/// One journal entry that an event tells of.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change<'c> {
    pub sequence: u64,
    pub at: String,
    /// What happened.
    pub what: &'static str,
    pub contact: String,
    pub incident: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<SeatText<'c>>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SeatText<'c> {
    pub dispatcher: &'c str,
    pub seat: &'c str,
}

impl<'c> SeatText<'c> {
    pub fn of(seat: &'c Seat) -> Self {
        Self { dispatcher: seat.dispatcher.as_str(), seat: seat.seat.as_str() }
    }
}

/// What an event says beside its documents.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct EventOurs<'c> {
    /// Up to and with this entry everything was told; subscribe from it. Missing until the first state is complete.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
    /// The `sequence` of the event before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    /// The state as it is: no entry is behind it, and incidents that were open before and are not in it have ended.
    pub state: bool,
    pub changes: Vec<Change<'c>>,
}

/// An event around documents that are JSON already.
pub fn event_line<'t>(subscription: &str, transaction: &str, ours: &EventOurs<'_>, documents: impl Iterator<Item = &'t str>) -> String {
    let text = |text: &str| serde_json::to_string(text).unwrap_or_else(|_| "\"\"".to_owned());
    let ours = serde_json::to_string(ours).unwrap_or_else(|_| "{}".to_owned());
    let documents: Vec<&str> = documents.collect();
    format!(
        "{{\"event\":{{\"subscriptionId\":{},\"transactionId\":{},\"najda\":{ours},\"notification\":[{}]}}}}",
        text(subscription),
        text(transaction),
        documents.join(",")
    )
}

/// A document as text.
pub fn eido_text(eido: &Eido) -> String {
    serde_json::to_string(eido).unwrap_or_else(|_| "{}".to_owned())
}

// --- REST ---

/// A page of incidents, by id.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct IncidentsPage {
    pub incidents: Vec<Eido>,
    /// Ask for the next page with this as `after`; null at the end.
    pub next: Option<String>,
    /// The newest journal entry that the page knows of: subscribe from it to hear what changes.
    pub sequence: u64,
}

/// What became of a command.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct CommandDone {
    /// False while the journal does not say so yet; read the contact again.
    pub done: bool,
    /// The journal entry that says so; the newest one known while there is none.
    pub sequence: u64,
    pub contact: ContactState,
}

/// Why a share is closed.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MayReason {
    /// At most 1,024 bytes.
    #[serde(default)]
    #[schemars(length(max = 1024))]
    pub reason: String,
}

/// Why another is asked.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reason {
    /// At most 1,024 bytes.
    #[schemars(length(min = 1, max = 1024))]
    pub reason: String,
}

/// Which room is asked, and why.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Transfer {
    /// The room's id, as `DU-POL`.
    #[schemars(length(min = 1, max = 32), regex(pattern = "^[!-~]+$"))]
    pub to: String,
    /// At most 1,024 bytes.
    #[schemars(length(min = 1, max = 1024))]
    pub reason: String,
}

/// Words for everybody who sees the contact.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewNote {
    /// At most 512 bytes.
    #[schemars(length(min = 1, max = 512))]
    pub text: String,
}
