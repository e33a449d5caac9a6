//! `/v1/contacts/{id}/words`: the conversation of a caller who writes, for the app or gateway that brought the contact.
//!
//! `{id}` is the sender's own `id` of the contact. The app posts what its caller writes and polls for what is said back; `after` names
//! the last line it has shown, which is how the dispatcher sees that the line has arrived. Words for a contact that has ended are a
//! contact again: somebody may need help.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{Request, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json as object};

use super::{Hall, HttpGateway, json, read_body, refused};
use crate::contact::ContactKey;
use crate::edge::ingress::count;
use crate::edge::ingress::lines::insist;
use crate::engine::Input;
use crate::limits::HTTP_BODY_BYTES_MAX;
use crate::wire::http::WordsAnswer;

#[derive(Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    after: u32,
}

pub(super) async fn fetched(
    State(hall): State<Arc<Hall>>,
    Path(id): Path<String>,
    Query(Asked { after }): Query<Asked>,
    request: Request<Body>,
) -> Response {
    let place = hall.requests.try_acquire().ok();
    let (parts, _) = request.into_parts();
    let gateway = match hall.gateway(&parts, place.is_some()) {
        Ok(gateway) => gateway,
        Err(answer) => return answer,
    };
    let Some(line) = hall.lines.line(gateway.line) else {
        return refused(StatusCode::SERVICE_UNAVAILABLE, "no session is free", "ask again in a second");
    };
    // After a restart of the engine the first question opens the session, and what waits is said to it.
    line.opened().await;
    let given = line.words().fetch(&id, after);
    if let Some(session) = line.session() {
        for number in &given.delivered {
            let key = ContactKey { gateway: gateway.line, gateway_ref: id.as_str().into() };
            insist(&hall.core, Input::Delivered { session, key, number: *number, delivered: true }).await;
        }
    }
    json(StatusCode::OK, &WordsAnswer::new(given.lines, given.ended))
}

pub(super) async fn written(State(hall): State<Arc<Hall>>, Path(id): Path<String>, request: Request<Body>) -> Response {
    let place = Arc::clone(&hall.requests).try_acquire_owned().ok();
    let (parts, body) = request.into_parts();
    let gateway = match hall.gateway(&parts, place.is_some()) {
        Ok(gateway) => gateway,
        Err(answer) => return answer,
    };
    let bytes = match read_body(&parts, body, HTTP_BODY_BYTES_MAX, hall.config.body_wait).await {
        Ok(bytes) => bytes,
        Err(answer) => return answer,
    };
    match hall.words(&bytes, &id, gateway).await {
        Ok(answer) => answer,
        Err(why) => {
            count(&hall.counters.malformed);
            refused(StatusCode::BAD_REQUEST, why, "send one JSON object as for a contact, without an `id`: text, lat, lon, ...")
        }
    }
}

impl Hall {
    /// More from the caller: the engine knows whether its contact lives.
    async fn words(&self, bytes: &[u8], id: &str, gateway: HttpGateway) -> Result<Response, String> {
        let mut value: Value = serde_json::from_slice(bytes).map_err(|why| format!("not JSON: {why}"))?;
        let Value::Object(fields) = &mut value else { return Err("not a JSON object".to_owned()) };
        fields.insert("id".to_owned(), id.into());
        let now = self.core.clock.now();
        let contact = self.contact(value.to_string().as_bytes(), gateway, now)?;
        let decision = self.desk(gateway).decide(&contact, now).decision;
        insist(&self.core, Input::News { contact: Arc::new(contact), decision }).await;
        Ok(json(StatusCode::ACCEPTED, &object!({ "outcome": "passed_on", "id": id })))
    }
}
