//! `POST /v1/calls/{call-id}/legs`: a gateway that speaks HTTP says what became of a leg of a call that the SIP door answered.
//!
//! The same as a report of the dialog event package, one leg at a time, answered 202: the engine is told, and nothing is promised.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{Request, StatusCode};
use axum::response::Response;
use serde_json::json as object;

use super::{Hall, json, read_body, refused};
use crate::edge::ingress::count;
use crate::limits::AML_BYTES_MAX;
use crate::wire::http::LegSaid;

pub(super) async fn post_leg(State(hall): State<Arc<Hall>>, Path(call_id): Path<String>, request: Request<Body>) -> Response {
    let place = hall.requests.try_acquire().ok();
    let (parts, body) = request.into_parts();
    if let Err(answer) = hall.gateway(&parts, place.is_some()) {
        return answer;
    }
    let bytes = match read_body(&parts, body, AML_BYTES_MAX, hall.config.body_wait).await {
        Ok(bytes) => bytes,
        Err(answer) => return answer,
    };
    let Some(legs) = &hall.legs else {
        return refused(StatusCode::NOT_FOUND, "there is no SIP door here", "report to the engine that answered the call");
    };
    let leg = serde_json::from_slice::<LegSaid>(&bytes).map_err(|why| why.to_string()).and_then(|said| said.leg(&call_id));
    match leg {
        Ok(leg) => {
            legs.report(&leg);
            json(StatusCode::ACCEPTED, &object!({ "outcome": "reported" }))
        }
        Err(why) => {
            count(&hall.counters.malformed);
            let remedy = "send {\"from_tag\":..., \"state\":\"confirmed|terminated|...\", \"target\":\"sip:...\", \"code\":486}";
            refused(StatusCode::BAD_REQUEST, why, remedy)
        }
    }
}
