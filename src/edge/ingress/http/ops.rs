//! What ops do by HTTP: publish tables, set a dispatcher's state, ask how the engine is.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, Request, StatusCode};
use axum::response::{IntoResponse, Response};

use super::{Hall, json, read_body, refused};
use crate::decision::DispatcherState;
use crate::edge::metrics::{self, Scrape};
use crate::edge::run::NodeCore;
use crate::limits::{BLOB_BYTES_MAX, ENGINE_QUEUE_MAX, ENGINE_SILENT_MICROS_MAX, HTTP_TABLES_MICROS_MAX};
use crate::store::Store;
use crate::tables::compiled;
use crate::tables::snapshot::Tables;
use crate::units::Name;
use crate::wire::http::{Published, StateAsked, StateSet};

/// Bytes of the body of a state.
const STATE_BYTES_MAX: usize = 1_024;

// --- tables ---

pub(super) async fn post_tables(State(hall): State<Arc<Hall>>, request: Request<Body>) -> Response {
    let place = hall.requests.try_acquire().ok();
    let (parts, body) = request.into_parts();
    let by = match hall.ops(&parts, place.is_some()) {
        Ok(name) => name,
        Err(answer) => return answer,
    };
    let force = parts.uri.query().is_some_and(|query| query.split('&').any(|part| part == "force=true"));
    let Ok(_one) = hall.publishing.try_acquire() else {
        return refused(StatusCode::CONFLICT, "another table set is being published", "wait until it is in force, and compare");
    };
    let bytes = match read_body(&parts, body, BLOB_BYTES_MAX, Duration::from_micros(HTTP_TABLES_MICROS_MAX)).await {
        Ok(bytes) => bytes,
        Err(answer) => return answer,
    };
    let (core, store) = (Arc::clone(&hall.core), Arc::clone(&hall.store));
    let published = tokio::task::spawn_blocking(move || publish(&core, &*store, &bytes, by, force)).await;
    match published {
        Ok(Ok(published)) => json(StatusCode::OK, &published),
        Ok(Err(NotPublished { status, why, remedy })) => {
            tracing::error!(%by, %why, "a table set is not published, the old one keeps serving");
            refused(status, why, remedy)
        }
        Err(error) => {
            tracing::error!(%by, %error, "reading a table set panicked, the old one keeps serving");
            refused(StatusCode::UNPROCESSABLE_ENTITY, "the set cannot be read; the old one keeps serving", "build it again")
        }
    }
}

struct NotPublished {
    status: StatusCode,
    why: String,
    remedy: &'static str,
}

/// Reads the set, compares it with the one in force, keeps it, and swaps it in.
fn publish(core: &NodeCore, store: &dyn Store, bytes: &Bytes, by: Name, force: bool) -> Result<Published, NotPublished> {
    let unfit = |why: String, remedy| NotPublished { status: StatusCode::UNPROCESSABLE_ENTITY, why, remedy };
    let tables = compiled::from_bytes(bytes).map_err(|why| {
        unfit(format!("{why}; the old set keeps serving"), "run `najda tables check` and `najda tables build`, then publish what it wrote")
    })?;
    let old = core.snapshot();
    let published =
        |snapshot, unchanged| Published { name: tables.name.to_string(), tables: tables.version.to_string(), snapshot, unchanged };
    if old.tables.version == tables.version {
        return Ok(published(old.number, true));
    }
    let gone = areas_gone(&old.tables, &tables);
    if !gone.is_empty() && !force {
        let why = format!("the set does not have {} of the areas served now: {}; the old set keeps serving", gone.len(), gone.join(" "));
        return Err(unfit(why, "publish with --force if these areas are not to be served any more"));
    }
    let answer = published(0, false);
    let by = journaled(by);
    let snapshot = core.publish(store, Arc::new(tables), bytes, by).map_err(|error| NotPublished {
        status: StatusCode::SERVICE_UNAVAILABLE,
        why: format!("{error:#}"),
        remedy: "look at /readyz, then publish again",
    })?;
    tracing::info!(%by, tables = answer.tables, snapshot, forced = force && !gone.is_empty(), "new tables are in force");
    Ok(Published { snapshot, ..answer })
}

/// Who did it, in the journal. With a slash, so that no name of ops can be taken for the engine's own.
fn journaled(by: Name) -> Name {
    let mut text = format!("ops/{by}");
    text.truncate(Name::BYTES_MAX);
    Name::new(&text).unwrap_or_default()
}

/// The areas of the old set that the new one does not have.
fn areas_gone(old: &Tables, new: &Tables) -> Vec<String> {
    let kept: BTreeSet<&str> = new.areas.iter().map(|area| area.id.as_str()).collect();
    old.areas.iter().map(|area| area.id.as_str()).filter(|id| !kept.contains(id)).map(str::to_owned).collect()
}

// --- states ---

pub(super) async fn post_state(State(hall): State<Arc<Hall>>, Path(id): Path<String>, request: Request<Body>) -> Response {
    let place = hall.requests.try_acquire().ok();
    let (parts, body) = request.into_parts();
    let by = match hall.ops(&parts, place.is_some()) {
        Ok(name) => name,
        Err(answer) => return answer,
    };
    let bytes = match read_body(&parts, body, STATE_BYTES_MAX, hall.config.body_wait).await {
        Ok(bytes) => bytes,
        Err(answer) => return answer,
    };
    let words = DispatcherState::ALL.map(DispatcherState::word).join(", ");
    let asked = serde_json::from_slice::<StateAsked>(&bytes).map_err(|why| why.to_string());
    let state = asked.and_then(|asked| DispatcherState::from_word(&asked.state).ok_or_else(|| format!("{:?} is no state", asked.state)));
    let state = match state {
        Ok(state) => state,
        Err(why) => return refused(StatusCode::BAD_REQUEST, why, &format!("send {{\"state\": \"...\"}} with one of {words}")),
    };
    let known = hall.core.snapshot().tables.dispatchers.find(&id).is_some();
    let Some(dispatcher) = Name::new(&id).filter(|_| known) else {
        return refused(StatusCode::NOT_FOUND, format!("no dispatcher {id:?} in the tables in force"), "`najda tables show` lists them");
    };
    let (core, by) = (Arc::clone(&hall.core), journaled(by));
    match tokio::task::spawn_blocking(move || core.set_state(dispatcher, state, by)).await {
        Ok(Ok(snapshot)) => {
            tracing::info!(%by, %dispatcher, state = state.word(), snapshot, "a dispatcher's state was set");
            json(StatusCode::OK, &StateSet { dispatcher: id, state: state.word().to_owned(), snapshot })
        }
        Ok(Err(error)) => refused(StatusCode::SERVICE_UNAVAILABLE, format!("{error:#}"), "look at /readyz, then try again"),
        Err(error) => refused(StatusCode::SERVICE_UNAVAILABLE, error.to_string(), "look at /readyz, then try again"),
    }
}

// --- health ---

pub(super) async fn livez(State(hall): State<Arc<Hall>>) -> Response {
    verdict("live", hall.silence().into_iter().collect())
}

pub(super) async fn readyz(State(hall): State<Arc<Hall>>) -> Response {
    verdict("ready", hall.unreadiness())
}

fn verdict(word: &str, reasons: Vec<String>) -> Response {
    if reasons.is_empty() {
        return (StatusCode::OK, format!("{word}\n")).into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, format!("not {word}\n{}\n", reasons.join("\n"))).into_response()
}

impl Hall {
    fn silence(&self) -> Option<String> {
        let silent_micros = self.core.clock.now().micros_since(self.core.figures.load().at);
        (silent_micros > ENGINE_SILENT_MICROS_MAX).then(|| format!("the engine's thread has said nothing for {} ms", silent_micros / 1_000))
    }

    /// Why contacts should go elsewhere if they can. They are served all the same.
    fn unreadiness(&self) -> Vec<String> {
        let figures = *self.core.figures.load_full();
        let mut reasons: Vec<String> = self.silence().into_iter().collect();
        let mut because = |holds: bool, why: &str| {
            if holds {
                reasons.push(why.to_owned());
            }
        };
        because(*self.draining.borrow(), "the doors are closing");
        because(!self.store.health().writing, "the journal cannot be written");
        because(figures.store_failing, "the journal failed and has not held anything since");
        because(figures.healing, "what the journal lost is being written again");
        because(figures.promises_ended, "entries were given up: no promise is made until what they said is written again");
        because(self.core.queue_len() >= ENGINE_QUEUE_MAX, "the engine's queue is full");
        reasons
    }
}

pub(super) async fn metrics(State(hall): State<Arc<Hall>>, request: Request<Body>) -> Response {
    let place = hall.requests.try_acquire().ok();
    let (parts, _) = request.into_parts();
    if let Err(answer) = hall.ops(&parts, place.is_some()) {
        return answer;
    }
    let (core, snapshot) = (&hall.core, hall.core.snapshot());
    let mut doors = vec![("http", &*hall.counters), ("quic", &*hall.quic)];
    doors.extend(hall.sip.as_ref().map(|sip| ("sip", &**sip)));
    let text = metrics::openmetrics(&Scrape {
        figures: &core.figures.load_full(),
        health: &hall.store.health(),
        stages: &core.stages,
        messages: &core.messages,
        snapshot: &snapshot,
        doors: &doors,
        sessions_open: core.registry.open_count(),
        sessions_opened: core.registry.opened_count(),
        sessions_slow_closed: core.registry.slow_closed_count(),
        engine_queue: core.queue_len(),
        now: core.clock.now(),
    });
    (StatusCode::OK, [(CONTENT_TYPE, HeaderValue::from_static(metrics::CONTENT_TYPE))], text).into_response()
}
