//! The feed by single requests: what an incident or a contact is now, and commands.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{FromRequestParts, Path, RawQuery, Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;

use super::book::Viewer;
use super::seats::Outcome;
use super::{Hall, line, openapi};
use crate::edge::ingress::count;
use crate::edge::ingress::http::{json, read_body, refused};
use crate::limits::{CONSOLE_BODY_BYTES_MAX, FEED_PAGE_DEFAULT, FEED_PAGE_MAX};
use crate::units::ContactId;
use crate::wire::eido::{ContactState, document, incident_id};
use crate::wire::feed::{Asked, Command, CommandDone, IncidentsPage, MayReason, NewNote, Reason, SUBPROTOCOL, Transfer, Wrong, contact_id};

pub(super) type Called = State<Arc<Hall>>;
/// What a path names; text that is none is answered as everything else is.
type Named<T> = Result<Path<T>, PathRejection>;

fn named<T>(path: Named<T>) -> Result<T, Wrong> {
    path.map(|Path(named)| named).map_err(|why| Wrong::new(400, why.body_text(), "send ids as documents name them"))
}

pub(super) fn wrong(why: Wrong) -> Response {
    refused(StatusCode::from_u16(why.status).unwrap_or(StatusCode::BAD_REQUEST), why.error, why.remedy)
}

fn answered(answer: Result<Response, Response>) -> Response {
    answer.unwrap_or_else(|refusal| refusal)
}

// --- reading ---

pub(super) async fn openapi_document() -> Response {
    json(StatusCode::OK, &openapi::document())
}

pub(super) async fn incidents(State(hall): Called, RawQuery(query): RawQuery, request: Request) -> Response {
    answered(list(&hall, query.as_deref().unwrap_or_default(), &request.into_parts().0).await)
}

async fn list(hall: &Hall, query: &str, parts: &Parts) -> Result<Response, Response> {
    let viewer = hall.viewer(parts).await?;
    let (mut after, mut limit) = (None, FEED_PAGE_DEFAULT);
    for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        match name {
            "after" => {
                let id =
                    incident_id(value).ok_or_else(|| wrong(Wrong::new(400, "after is no incident's id", "send `next` of the page before")));
                after = Some(id?);
            }
            "limit" => {
                let count = value.parse().ok().filter(|count| (1..=FEED_PAGE_MAX).contains(count));
                limit =
                    count.ok_or_else(|| wrong(Wrong::new(400, format!("limit is 1 to {FEED_PAGE_MAX}"), "send a number of incidents")))?;
            }
            _ => {}
        }
    }
    let (files, sequence) = hall.hub.incidents(after, &viewer, limit);
    let reads = files.iter().flat_map(|file| &file.members).map(|member| member.contact.id).collect();
    hall.seats.read(&viewer, reads).await;
    let next = files.last().filter(|_| files.len() == limit).map(|file| file.incident.to_string());
    let one =
        |file: &Arc<super::book::IncidentFile>| document(&hall.config.name, file.incident, file.members.iter().map(|member| &**member));
    Ok(json(StatusCode::OK, &IncidentsPage { incidents: files.iter().map(one).collect(), next, sequence }))
}

pub(super) async fn incident(State(hall): Called, id: Named<String>, request: Request) -> Response {
    answered(one_incident(&hall, id, &request.into_parts().0).await)
}

async fn one_incident(hall: &Hall, id: Named<String>, parts: &Parts) -> Result<Response, Response> {
    let viewer = hall.viewer(parts).await?;
    let id = incident_id(&named(id).map_err(wrong)?)
        .ok_or_else(|| wrong(Wrong::new(400, "that is no incident's id", "send the id as a document names it")))?;
    let nowhere = || wrong(Wrong::new(404, "there is no such incident for this room", "it may be over, or another room's"));
    let file = hall.hub.incident(id).filter(|file| file.is_seen_by(&viewer)).ok_or_else(nowhere)?;
    hall.seats.read(&viewer, file.members.iter().map(|member| member.contact.id).collect()).await;
    Ok(json(StatusCode::OK, &document(&hall.config.name, file.incident, file.members.iter().map(|member| &**member))))
}

pub(super) async fn contact(State(hall): Called, id: Named<String>, request: Request) -> Response {
    answered(one_contact(&hall, id, &request.into_parts().0).await)
}

async fn one_contact(hall: &Hall, id: Named<String>, parts: &Parts) -> Result<Response, Response> {
    let viewer = hall.viewer(parts).await?;
    let id = named(id).and_then(|id| contact_id(&id)).map_err(wrong)?;
    let dossier = hall.seats.seen(id, &viewer).map_err(wrong)?;
    hall.seats.read(&viewer, vec![id]).await;
    Ok(json(StatusCode::OK, &ContactState::of(&dossier)))
}

// --- commands ---

type OfShare = Named<(String, String)>;

pub(super) async fn take(State(hall): Called, share: OfShare, request: Request) -> Response {
    answered(bare(&hall, "take", share, request).await)
}

pub(super) async fn accept(State(hall): Called, share: OfShare, request: Request) -> Response {
    answered(bare(&hall, "accept", share, request).await)
}

pub(super) async fn release(State(hall): Called, share: OfShare, request: Request) -> Response {
    answered(bare(&hall, "release", share, request).await)
}

pub(super) async fn decline(State(hall): Called, share: OfShare, request: Request) -> Response {
    answered(with(&hall, "decline", share, request, |command, Reason { reason }| Command { reason, ..command }).await)
}

pub(super) async fn close(State(hall): Called, share: OfShare, request: Request) -> Response {
    answered(with(&hall, "close", share, request, |command, MayReason { reason }| Command { reason, ..command }).await)
}

pub(super) async fn transfer(State(hall): Called, share: OfShare, request: Request) -> Response {
    answered(with(&hall, "transfer", share, request, |command, Transfer { to, reason }| Command { to, reason, ..command }).await)
}

pub(super) async fn note(State(hall): Called, contact: Named<String>, request: Request) -> Response {
    let share = contact.map(|Path(contact)| Path((contact, String::new())));
    answered(with(&hall, "note", share, request, |command, NewNote { text }| Command { text, ..command }).await)
}

fn of_share(action: &str, share: OfShare) -> Result<Command, Wrong> {
    let (contact, service) = named(share)?;
    Ok(Command { action: action.to_owned(), contact, service, ..Command::default() })
}

/// A command without a body; one that is sent is not read.
async fn bare(hall: &Arc<Hall>, action: &str, share: OfShare, request: Request) -> Result<Response, Response> {
    let (parts, body) = request.into_parts();
    let viewer = hall.viewer(&parts).await?;
    read(hall, &parts, body).await?;
    done(hall, viewer, &of_share(action, share).map_err(wrong)?).await
}

/// A command whose body says more.
async fn with<B: DeserializeOwned>(
    hall: &Arc<Hall>,
    action: &str,
    share: OfShare,
    request: Request,
    fill: impl FnOnce(Command, B) -> Command,
) -> Result<Response, Response> {
    let (parts, body) = request.into_parts();
    let viewer = hall.viewer(&parts).await?;
    let bytes = read(hall, &parts, body).await?;
    let body = serde_json::from_slice(&bytes).map_err(|why| {
        count(&hall.counters.malformed);
        wrong(Wrong::new(400, format!("the body cannot be read: {why}"), "send the object that /feed/openapi.json shows"))
    })?;
    done(hall, viewer, &fill(of_share(action, share).map_err(wrong)?, body)).await
}

async fn read(hall: &Hall, parts: &Parts, body: Body) -> Result<axum::body::Bytes, Response> {
    read_body(parts, body, CONSOLE_BODY_BYTES_MAX, hall.config.body_wait).await
}

async fn done(hall: &Arc<Hall>, viewer: Viewer, command: &Command) -> Result<Response, Response> {
    let asked = command.asked().map_err(wrong)?;
    let contact = if let Asked::Says(contact, _) = &asked { *contact } else { ContactId::default() };
    let outcome = hall.seats.carry_out(viewer, asked).await.map_err(wrong)?;
    let (status, done, sequence) = match outcome {
        Outcome::Done(seq) => (StatusCode::OK, true, seq),
        _ => (StatusCode::ACCEPTED, false, hall.hub.seq()),
    };
    let nowhere = || wrong(Wrong::new(404, "there is no such contact for this room", "it may be over, or another room's"));
    let dossier = hall.hub.contact(contact).ok_or_else(nowhere)?;
    Ok(json(status, &CommandDone { done, sequence, contact: ContactState::of(&dossier) }))
}

// --- the WebSocket ---

pub(super) async fn events(State(hall): Called, request: Request) -> Response {
    answered(upgraded(hall, request.into_parts().0).await)
}

async fn upgraded(hall: Arc<Hall>, mut parts: Parts) -> Result<Response, Response> {
    // Who comes while the journal is still read waits on the open line.
    let viewer = hall.known(&parts)?;
    let Ok(place) = Arc::clone(&hall.talking).try_acquire_owned() else {
        count(&hall.counters.refused_full);
        return Err(wrong(Wrong::new(503, "every place of the feed is taken", "close lines that nobody reads")));
    };
    let upgrade = WebSocketUpgrade::from_request_parts(&mut parts, &hall).await.map_err(|why| {
        let status = why.into_response().status().as_u16();
        wrong(Wrong::new(status, "events come by WebSocket", "open it as one: wss and an Upgrade header"))
    })?;
    let upgrade = upgrade.protocols([SUBPROTOCOL]).max_message_size(CONSOLE_BODY_BYTES_MAX).max_frame_size(CONSOLE_BODY_BYTES_MAX);
    Ok(upgrade.on_upgrade(move |socket| line::talk(socket, viewer, hall, place)))
}
