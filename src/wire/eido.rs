//! An incident as an Emergency Incident Data Object (EIDO): one JSON document that other systems read.
//!
//! A document is the whole state of the incident at one entry of the journal, so the newest one is all a system needs, and reading one
//! twice does no harm. What the standard has no field for stands under `najda`: every share with its clock, the entry's number.
//!
//! # Source
//! NENA-STA-021.1a-2022, 2.4 to 2.18 (components and their names). What differs: the registries of incident types, statuses, call
//! states and dispositions are not at hand, so fields that may hold only their words hold ours or are left out; the manual's page on
//! the feed lists them. Call-back addresses of callers whom nothing may ring are left out of `callbackComponent`.

pub mod dossier;
pub mod place;

use schemars::JsonSchema;
use serde::Serialize;

use self::dossier::{Dossier, ShareFile};
use self::place::{escaped, kind_of, pidf_lo};
use crate::contact::{ClaimSource, Place, Signal};
use crate::deliver::{CallbackOutcome, Ending, HangUp, Note, Seat};
use crate::geo::makani;
use crate::incident::IncidentId;
use crate::service::Service;
use crate::units::{ContactId, DispatcherId, Timestamp};

/// The document.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Eido {
    #[serde(rename = "$id")]
    pub id: String,
    pub eido_version: &'static str,
    pub last_update_timestamp: String,
    /// Who we are: `name` of the configuration.
    pub issuing_element_identification: String,
    pub updated_by_agency_reference: Reference,
    pub incident_component: IncidentComponent,
    /// One for each contact that speaks of the incident.
    pub call_component: Vec<CallComponent>,
    pub callback_component: Vec<CallbackComponent>,
    /// One for each service that has accepted.
    pub dispatch_component: Vec<DispatchComponent>,
    pub location_component: Vec<LocationComponent>,
    pub notes_component: Vec<NotesComponent>,
    pub agency_component: Vec<AgencyComponent>,
    pub agent_component: Vec<AgentComponent>,
    pub merge_component: Vec<MergeComponent>,
    /// What the standard has no field for.
    pub najda: Ours,
}

/// Another component of the same document.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Reference {
    #[serde(rename = "$ref")]
    pub to: String,
}

/// What every component begins with.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Prologue {
    #[serde(rename = "$id")]
    pub id: String,
    pub last_update_timestamp: String,
    pub updated_by_agency_reference: Reference,
}

#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IncidentComponent {
    /// Its `$id` is the Incident Tracking Identifier.
    #[serde(flatten)]
    pub prologue: Prologue,
    /// The APCO code of the tables; `unknown` while nothing says what it is.
    pub incident_type_common_registry_text: String,
    pub incident_type_internal_code: String,
    /// `waiting`, `taken`, `accepted` or `closed`: how far the leading share of each contact has come.
    pub incident_status_internal_text: Vec<&'static str>,
    pub internal_incident_id: String,
    /// 10 is a threat to life or an unclassified emergency, 6 urgent, 2 no emergency.
    pub incident_common_priority_number: u8,
    pub location_reference: Vec<Reference>,
    pub notes_reference: Vec<Reference>,
    pub disposition_component: Vec<DispositionComponent>,
}

#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CallComponent {
    #[serde(flatten)]
    pub prologue: Prologue,
    pub standard_primary_call_type: &'static str,
    /// The door it came in by.
    pub local_call_type: &'static str,
    pub direction: &'static str,
    pub call_start_timestamp: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer_date: Option<String>,
    pub call_state_registry_text: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call_back_reference: Option<Reference>,
    pub related_call_identifier: Vec<String>,
    pub location_reference: Vec<Reference>,
    pub notes_reference: Vec<Reference>,
}

#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CallbackComponent {
    #[serde(flatten)]
    pub prologue: Prologue,
    pub call_back_information_uri: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DispatchComponent {
    #[serde(flatten)]
    pub prologue: Prologue,
    pub agency_reference: Reference,
    pub agent_reference: Reference,
}

#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DispositionComponent {
    #[serde(flatten)]
    pub prologue: Prologue,
    /// The service whose share was closed.
    pub disposition_category_text: &'static str,
    /// As its dispatcher gave it.
    pub disposition_description_text: String,
    pub disposition_primary_indicator: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LocationComponent {
    #[serde(flatten)]
    pub prologue: Prologue,
    pub location_type_description_registry_text: &'static str,
    /// A PIDF-LO document.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location_by_value: Option<String>,
    /// Where it comes from and how old it is.
    pub location_description_text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cell_tower_sector_id: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NotesComponent {
    #[serde(flatten)]
    pub prologue: Prologue,
    /// HTML; nothing in it is markup.
    pub notes_action_comments: String,
    /// Who wrote it; none for the caller's own words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_reference: Option<Reference>,
}

#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AgencyComponent {
    #[serde(flatten)]
    pub prologue: Prologue,
    pub agency_type: Vec<String>,
    /// It leads.
    pub incident_owning_agency_indicator: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AgentComponent {
    #[serde(flatten)]
    pub prologue: Prologue,
    pub agent_workstation_position_identification: String,
    pub agency_reference: Reference,
}

#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MergeComponent {
    #[serde(flatten)]
    pub prologue: Prologue,
    pub incident_tracking_identifier: String,
    /// `REPLACING`: that incident is part of this one now. `SPLIT`: this one was taken out of that.
    pub incident_merge_direction_code: &'static str,
}

/// Our own part of the document.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Ours {
    /// The incident's id in short, as it stands in paths.
    pub incident: String,
    /// The newest journal entry in this document.
    pub sequence: u64,
    pub contacts: Vec<ContactState>,
}

/// A contact and how far each service has come with it.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct ContactState {
    pub contact: String,
    pub incident: String,
    /// Of the newest journal entry about it.
    pub sequence: u64,
    pub received: String,
    pub changed: String,
    pub door: &'static str,
    /// The line as it was sent.
    pub line: Option<String>,
    /// ISO 639-1.
    pub lang: Option<String>,
    pub interpreter: bool,
    /// What its caller typed or said.
    pub words: Vec<String>,
    pub incident_type: Option<String>,
    /// 1 to 3; 1 is a threat to life or unclassified.
    pub priority: Option<u8>,
    pub area: Option<String>,
    /// Nothing may ring at the caller's, nor be sent there by itself.
    pub quiet: bool,
    pub test: bool,
    pub shares: Vec<ShareState>,
    pub notes: Vec<NoteText>,
    /// Why the caller is gone.
    pub hung_up: Option<&'static str>,
    /// `due`, or what came of calling back.
    pub callback: Option<&'static str>,
    pub earlier: Option<String>,
    /// How it ended; nothing while it goes on.
    pub ended: Option<&'static str>,
}

#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct ShareState {
    pub service: &'static str,
    pub lead: bool,
    /// The room responsible.
    pub responsible: String,
    /// `waiting`, `taken`, `accepted` or `closed`.
    pub state: &'static str,
    /// Rooms asked so far, in order.
    pub asked: Vec<String>,
    pub held_by: Option<SeatName>,
    pub taken_at: Option<String>,
    pub accepted_by: Option<SeatName>,
    pub accepted_at: Option<String>,
    pub closed_by: Option<SeatName>,
    pub closed_at: Option<String>,
    /// Its holder asks that another takes it, for this reason.
    pub declined: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SeatName {
    pub dispatcher: String,
    pub seat: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct NoteText {
    pub at: String,
    pub by: SeatName,
    pub text: String,
}

// --- making it ---

/// The document of an incident: its contacts as they stand, at least one. `issuer` is who we are.
pub fn document<'d>(issuer: &str, incident: IncidentId, members: impl IntoIterator<Item = &'d Dossier>) -> Eido {
    let members: Vec<&Dossier> = members.into_iter().collect();
    let at = members.iter().map(|member| member.changed).max().unwrap_or_default();
    let leading = members.iter().find_map(|member| Some((member, member.shares.iter().find(|share| share.lead)?)));
    let owner = leading.map(|(_, share)| share.responsible).unwrap_or_default();
    let draft = Draft { issuer, at, owner };
    let tracking = tracking_id(incident, issuer);
    let locations: Vec<LocationComponent> = members.iter().flat_map(|member| draft.locations(member)).collect();
    let notes: Vec<NotesComponent> = members.iter().flat_map(|member| draft.notes(member)).collect();
    let kind =
        members.iter().find_map(|member| member.decision.incident_type).map_or_else(|| "unknown".to_owned(), |kind| kind.to_string());
    let urgent = members.iter().filter_map(|member| member.decision.priority).min();
    let shares = || members.iter().flat_map(|member| member.shares.iter().map(move |share| (*member, share)));
    let incident_component = IncidentComponent {
        prologue: draft.prologue(tracking.clone()),
        incident_type_common_registry_text: kind.clone(),
        incident_type_internal_code: kind,
        incident_status_internal_text: members.iter().filter_map(|member| Some(lead_of(member)?.state())).collect(),
        internal_incident_id: incident.to_string(),
        incident_common_priority_number: match urgent {
            Some(2) => 6,
            Some(3) => 2,
            _ => 10,
        },
        location_reference: references(locations.iter().map(|location| &location.prologue)),
        notes_reference: references(notes.iter().filter(|note| note.agent_reference.is_some()).map(|note| &note.prologue)),
        disposition_component: shares().filter_map(|(member, share)| draft.disposition(member, share)).collect(),
    };
    let agents = agents_of(&members);
    Eido {
        id: format!("{tracking}#{}", members.iter().map(|member| member.seq).max().unwrap_or_default()),
        eido_version: "1.0",
        last_update_timestamp: time(at),
        issuing_element_identification: issuer.to_owned(),
        updated_by_agency_reference: Reference { to: owner.to_string() },
        incident_component,
        call_component: members.iter().map(|member| draft.call(member)).collect(),
        callback_component: members.iter().filter_map(|member| draft.callback(member)).collect(),
        dispatch_component: shares().filter_map(|(member, share)| draft.dispatch(member, share)).collect(),
        agency_component: draft.agencies(&members, &agents),
        agent_component: agents.iter().map(|seat| draft.agent(seat)).collect(),
        merge_component: members.iter().flat_map(|member| draft.merges(member, incident)).collect(),
        location_component: locations,
        notes_component: notes,
        najda: Ours {
            incident: incident.to_string(),
            sequence: members.iter().map(|member| member.seq).max().unwrap_or_default(),
            contacts: members.iter().map(|member| ContactState::of(member)).collect(),
        },
    }
}

fn lead_of(member: &Dossier) -> Option<&ShareFile> {
    member.shares.iter().find(|share| share.lead).or(member.shares.first())
}

/// The Incident Tracking Identifier (NENA-STA-010.3, 2.1.7).
pub fn tracking_id(incident: IncidentId, issuer: &str) -> String {
    format!("urn:emergency:uid:incidentid:{incident}:{issuer}")
}

/// Reads an incident's id: ours in short, or the tracking identifier.
pub fn incident_id(text: &str) -> Option<IncidentId> {
    let short = match text.strip_prefix("urn:emergency:uid:incidentid:") {
        Some(rest) => rest.split(':').next()?,
        None => text,
    };
    let (partition, seq) = short.split_once('-')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let id = IncidentId { partition: partition.parse().ok()?, seq: seq.parse().ok()? };
    (digits(partition) && digits(seq)).then_some(id)
}

/// What every component of one document shares.
struct Draft<'d> {
    issuer: &'d str,
    at: Timestamp,
    /// The room that leads.
    owner: DispatcherId,
}

impl Draft<'_> {
    fn prologue(&self, id: String) -> Prologue {
        self.by(id, self.at, self.owner)
    }

    fn by(&self, id: String, at: Timestamp, agency: DispatcherId) -> Prologue {
        Prologue { id, last_update_timestamp: time(at), updated_by_agency_reference: Reference { to: agency.to_string() } }
    }

    fn call_id(&self, contact: ContactId) -> String {
        format!("urn:emergency:uid:callid:{contact}:{}", self.issuer)
    }

    fn call(&self, member: &Dossier) -> CallComponent {
        let id = member.id();
        CallComponent {
            prologue: self.by(self.call_id(id), member.changed, self.owner),
            standard_primary_call_type: if member.decision.priority == Some(3) { "nonEmergency" } else { "emergency" },
            local_call_type: member.contact.door.word(),
            direction: "incoming",
            call_start_timestamp: time(member.contact.received),
            answer_date: member.answered.map(|(_, at)| time(at)),
            call_state_registry_text: match (member.ended, member.hung_up) {
                (Some(_), _) => "ended",
                (None, Some(_)) => "caller gone",
                (None, None) => "active",
            },
            call_back_reference: self.callback(member).map(|callback| Reference { to: callback.prologue.id }),
            related_call_identifier: member.earlier.map(|earlier| self.call_id(earlier)).into_iter().collect(),
            location_reference: references(self.locations(member).iter().map(|location| &location.prologue)),
            notes_reference: references(self.notes(member).iter().map(|note| &note.prologue)),
        }
    }

    /// Nobody is told to ring where nothing may ring.
    fn callback(&self, member: &Dossier) -> Option<CallbackComponent> {
        let caller = member.decision.caller.filter(|_| !member.decision.quiet)?;
        Some(CallbackComponent {
            prologue: self.prologue(format!("callback-{}", member.id())),
            call_back_information_uri: vec![format!("tel:{}", caller.number)],
        })
    }

    fn dispatch(&self, member: &Dossier, share: &ShareFile) -> Option<DispatchComponent> {
        let (seat, at) = share.accepted?;
        Some(DispatchComponent {
            prologue: self.by(format!("dispatch-{}-{}", member.id(), share.service), at, seat.dispatcher),
            agency_reference: Reference { to: seat.dispatcher.to_string() },
            agent_reference: Reference { to: agent_id(&seat) },
        })
    }

    fn disposition(&self, member: &Dossier, share: &ShareFile) -> Option<DispositionComponent> {
        let closing = share.closed.as_ref()?;
        Some(DispositionComponent {
            prologue: self.by(format!("disposition-{}-{}", member.id(), share.service), closing.at, closing.by.dispatcher),
            disposition_category_text: share.service.word(),
            disposition_description_text: closing.reason.to_string(),
            disposition_primary_indicator: share.lead,
        })
    }

    fn locations(&self, member: &Dossier) -> Vec<LocationComponent> {
        let entity = member.decision.caller.map_or_else(|| self.call_id(member.id()), |caller| format!("tel:{}", caller.number));
        let received = time(member.contact.received);
        let one = |(index, claim): (usize, &crate::contact::LocationClaim)| {
            let age = claim.age_secs;
            let makani = match &claim.place {
                Place::Makani(digits) => format!(", Makani {}", makani::written(*digits)),
                Place::Shape(_) => String::new(),
            };
            LocationComponent {
                prologue: self.by(format!("place-{}-{index}", member.id()), member.contact.received, self.owner),
                location_type_description_registry_text: kind_of(claim.whose),
                location_by_value: pidf_lo(&entity, claim, &received),
                location_description_text: format!("{}, {age} s old{makani}", source_word(claim.source)),
                cell_tower_sector_id: member
                    .contact
                    .cell
                    .as_deref()
                    .filter(|_| claim.source == ClaimSource::ServingCell)
                    .map(str::to_owned),
            }
        };
        member.contact.claims.iter().enumerate().map(one).collect()
    }

    /// The caller's own words, and what people wrote.
    fn notes(&self, member: &Dossier) -> Vec<NotesComponent> {
        let id = member.id();
        let said = words_of(member).enumerate().map(|(index, words)| NotesComponent {
            prologue: self.by(format!("words-{id}-{index}"), member.contact.received, self.owner),
            notes_action_comments: escaped(words),
            agent_reference: None,
        });
        let written = member.notes.iter().enumerate().map(|(index, note)| NotesComponent {
            prologue: self.by(format!("note-{id}-{}-{index}", note.at.unix_micros), note.at, note.by.dispatcher),
            notes_action_comments: escaped(&note.text),
            agent_reference: Some(Reference { to: agent_id(&note.by) }),
        });
        said.chain(written).collect()
    }

    fn agencies(&self, members: &[&Dossier], agents: &[Seat]) -> Vec<AgencyComponent> {
        let mut rooms: Vec<(DispatcherId, Option<Service>)> = vec![(self.owner, None)];
        let mut add = |room: DispatcherId, service: Option<Service>| match rooms.iter_mut().find(|(known, _)| *known == room) {
            Some((_, known)) => *known = known.or(service),
            None => rooms.push((room, service)),
        };
        for share in members.iter().flat_map(|member| &member.shares) {
            add(share.responsible, Some(share.service));
            share.asked.iter().for_each(|room| add(*room, Some(share.service)));
        }
        agents.iter().for_each(|seat| add(seat.dispatcher, None));
        let agency = |(room, service): (DispatcherId, Option<Service>)| AgencyComponent {
            prologue: self.by(room.to_string(), self.at, room),
            agency_type: service.into_iter().map(responder).collect(),
            incident_owning_agency_indicator: room == self.owner,
        };
        rooms.into_iter().filter(|(room, _)| !room.as_str().is_empty()).map(agency).collect()
    }

    fn agent(&self, seat: &Seat) -> AgentComponent {
        AgentComponent {
            prologue: self.by(agent_id(seat), self.at, seat.dispatcher),
            agent_workstation_position_identification: seat.seat.to_string(),
            agency_reference: Reference { to: seat.dispatcher.to_string() },
        }
    }

    fn merges(&self, member: &Dossier, incident: IncidentId) -> Vec<MergeComponent> {
        let merge = |other: IncidentId, code| MergeComponent {
            prologue: self.prologue(format!("merge-{}-{other}", member.id())),
            incident_tracking_identifier: tracking_id(other, self.issuer),
            incident_merge_direction_code: code,
        };
        let replaced = (member.own != incident).then(|| merge(member.own, "REPLACING"));
        replaced.into_iter().chain(member.split_from.map(|other| merge(other, "SPLIT"))).collect()
    }
}

fn references<'p>(prologues: impl Iterator<Item = &'p Prologue>) -> Vec<Reference> {
    prologues.map(|prologue| Reference { to: prologue.id.clone() }).collect()
}

fn agent_id(seat: &Seat) -> String {
    format!("{}/{}", seat.dispatcher, seat.seat)
}

/// Every seat that did something, each once.
fn agents_of(members: &[&Dossier]) -> Vec<Seat> {
    let mut agents: Vec<Seat> = Vec::new();
    let of_shares = members.iter().flat_map(|member| &member.shares).flat_map(|share| {
        let declined = share.declined.as_ref().map(|(seat, _)| *seat);
        let closed = share.closed.as_ref().map(|closing| closing.by);
        [share.held_by.map(|(seat, _)| seat), share.accepted.map(|(seat, _)| seat), closed, declined]
    });
    let of_notes = members.iter().flat_map(|member| &member.notes).map(|note| Some(note.by));
    for seat in of_shares.chain(of_notes).flatten() {
        if !agents.contains(&seat) {
            agents.push(seat);
        }
    }
    agents
}

fn words_of(member: &Dossier) -> impl Iterator<Item = &str> {
    member.contact.signals.iter().filter_map(|signal| match signal {
        Signal::Words(words) | Signal::Event(words) => Some(&**words),
        _ => None,
    })
}

/// As the registry of responders names it where it has a name (NENA-STA-010.3, 10.5), else as we do.
fn responder(service: Service) -> String {
    let known = match service {
        Service::Police | Service::PoliceNonEmergency => "police",
        Service::Ambulance => "ems",
        Service::CivilDefence => "fire",
        other => return format!("urn:najda:service:{other}"),
    };
    format!("urn:emergency:service:responder.{known}")
}

/// With its offset in digits (NENA-STA-010.3, 2.3).
pub fn time(at: Timestamp) -> String {
    let known = i64::try_from(at.unix_micros).ok().and_then(|micros| jiff::Timestamp::from_microsecond(micros).ok());
    known.map_or_else(|| "1970-01-01T00:00:00+00:00".to_owned(), |at| at.to_string().replace('Z', "+00:00"))
}

const fn source_word(source: ClaimSource) -> &'static str {
    match source {
        ClaimSource::DeviceFix => "device fix",
        ClaimSource::ByReference => "by reference",
        ClaimSource::ECall => "eCall",
        ClaimSource::Civic => "civic address",
        ClaimSource::Makani => "Makani number",
        ClaimSource::ServingCell => "serving cell",
    }
}

// --- our own part ---

impl ContactState {
    pub fn of(dossier: &Dossier) -> Self {
        let (contact, decision) = (&*dossier.contact, &*dossier.decision);
        Self {
            contact: contact.id.to_string(),
            incident: dossier.incident.to_string(),
            sequence: dossier.seq,
            received: time(contact.received),
            changed: time(dossier.changed),
            door: contact.door.word(),
            line: contact.line.as_deref().map(str::to_owned),
            lang: decision.lang.or(contact.lang).map(|lang| String::from_utf8_lossy(&lang).into_owned()),
            interpreter: decision.interpreter,
            words: words_of(dossier).map(str::to_owned).collect(),
            incident_type: decision.incident_type.map(|kind| kind.to_string()),
            priority: decision.priority,
            area: decision.area.map(|area| area.to_string()),
            quiet: decision.quiet,
            test: dossier.test,
            shares: dossier.shares.iter().map(ShareState::of).collect(),
            notes: dossier.notes.iter().map(NoteText::of).collect(),
            hung_up: dossier.hung_up.map(|(why, _)| HangUp::word(why)),
            callback: dossier.callback.map(|outcome| outcome.map_or("due", CallbackOutcome::word)),
            earlier: dossier.earlier.map(|earlier| earlier.to_string()),
            ended: dossier.ended.map(|(ending, _)| Ending::word(ending)),
        }
    }
}

impl ShareState {
    fn of(share: &ShareFile) -> Self {
        Self {
            service: share.service.word(),
            lead: share.lead,
            responsible: share.responsible.to_string(),
            state: share.state(),
            asked: share.asked.iter().map(ToString::to_string).collect(),
            held_by: share.held_by.map(|(seat, _)| SeatName::of(&seat)),
            taken_at: share.held_by.map(|(_, at)| time(at)),
            accepted_by: share.accepted.map(|(seat, _)| SeatName::of(&seat)),
            accepted_at: share.accepted.map(|(_, at)| time(at)),
            closed_by: share.closed.as_ref().map(|closing| SeatName::of(&closing.by)),
            closed_at: share.closed.as_ref().map(|closing| time(closing.at)),
            declined: share.declined.as_ref().map(|(_, reason)| reason.to_string()),
        }
    }
}

impl SeatName {
    pub fn of(seat: &Seat) -> Self {
        Self { dispatcher: seat.dispatcher.to_string(), seat: seat.seat.to_string() }
    }
}

impl NoteText {
    fn of(note: &Note) -> Self {
        Self { at: time(note.at), by: SeatName::of(&note.by), text: note.text.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::contact::{Contact, ContactKey, Door};
    use crate::decision::{AssignedRecord, Caller, DecisionRecord};
    use crate::deliver::{Fact, OfferId};
    use crate::units::Name;

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    fn decision(rooms: &[(Service, &str)]) -> DecisionRecord {
        let share = |(index, (service, room)): (usize, &(Service, &str))| AssignedRecord {
            service: *service,
            dispatcher: name(room),
            area: None,
            probability: None,
            lead: index == 0,
            chain: vec![name(room)],
        };
        let caller = Some(Caller { number: name("+971500000001"), links: true });
        DecisionRecord { services: rooms.iter().enumerate().map(share).collect(), priority: Some(2), caller, ..DecisionRecord::default() }
    }

    fn dossier(decision: DecisionRecord) -> Dossier {
        let key = ContactKey { gateway: name("g"), gateway_ref: "1".into() };
        let mut contact = Contact::new(ContactId(7), key, Timestamp::from_secs(1_700_000_000), Door::SipVoice);
        contact.signals.push(Signal::Words("<b>help</b>".into()));
        Dossier::new(4, IncidentId::begun_by(0, 4), Timestamp::from_secs(1_700_000_000), &Arc::new(contact), &Arc::new(decision))
    }

    #[test]
    fn every_reference_of_a_document_leads_to_a_component() {
        let mut dossier = dossier(decision(&[(Service::Ambulance, "DU-AMB"), (Service::Police, "DU-POL")]));
        let seat = Seat { dispatcher: name("SH-AMB"), seat: name("3") };
        let offer = OfferId { contact: ContactId(7), service: Service::Ambulance };
        let at = Timestamp::from_secs(1_700_000_009);
        for (seq, fact) in [
            Fact::Asked { at, offer, dispatcher: name("SH-AMB"), why: crate::deliver::AskedWhy::NoTake },
            Fact::Taken { at, offer, seat },
            Fact::Noted { at, contact: ContactId(7), seat, text: "second floor".into() },
            Fact::Accepted { at, offer, seat },
            Fact::Closed { at, offer, seat, reason: "done".into() },
        ]
        .iter()
        .enumerate()
        {
            dossier.apply(5 + seq as u64, fact);
        }
        let value = serde_json::to_value(document("n.example", dossier.incident, [&dossier])).unwrap();
        let text = value.to_string();
        let ids: Vec<&str> = text.split("\"$id\":\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        let references: Vec<&str> = text.split("\"$ref\":\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert!(references.len() > 10 && references.iter().all(|to| ids.contains(to)), "{references:?} {ids:?}");
        assert_eq!(value["notesComponent"][0]["notesActionComments"], "&lt;b&gt;help&lt;/b&gt;");
        assert_eq!(value["callbackComponent"][0]["callBackInformationUri"][0], "tel:+971500000001");
        assert_eq!(value["incidentComponent"]["incidentCommonPriorityNumber"], 6);
        assert_eq!(value["incidentComponent"]["lastUpdateTimestamp"], "2023-11-14T22:13:29+00:00");
        assert_eq!(value["najda"]["contacts"][0]["shares"][0]["asked"], serde_json::json!(["DU-AMB", "SH-AMB"]));
        assert!(
            dossier.is_seen_by(name("SH-AMB"), false)
                && !dossier.is_seen_by(name("SH-AMB"), true)
                && !dossier.is_seen_by(name("AJ-AMB"), false)
        );
    }

    #[test]
    fn no_system_is_told_to_ring_where_nothing_may_ring() {
        let quiet = DecisionRecord { quiet: true, ..decision(&[(Service::Police, "DU-POL")]) };
        let eido = document("n.example", IncidentId::begun_by(0, 4), [&dossier(quiet)]);
        assert!(eido.callback_component.is_empty() && eido.call_component[0].call_back_reference.is_none());
        assert!(eido.najda.contacts[0].quiet);
    }

    #[test]
    fn an_incidents_id_is_read_in_short_and_as_the_standard_writes_it() {
        let id = IncidentId { partition: 3, seq: 4_711 };
        assert_eq!(incident_id("3-4711"), Some(id));
        assert_eq!(incident_id(&tracking_id(id, "n.example")), Some(id));
        for wrong in ["", "3", "3-", "-3", "+3-1", "3-+1", "3-1-1x", "70000-1", "urn:emergency:uid:incidentid:"] {
            assert_eq!(incident_id(wrong), None, "{wrong}");
        }
    }
}
