//! The paths of the feed, and the OpenAPI document that is made of them: a path that is served stands in the document, with the types
//! that are read and written.
//!
//! # Source
//! OpenAPI 3.1.0; its schemas are JSON Schema 2020-12.

use std::sync::Arc;

use axum::routing::{MethodRouter, get, post};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::{Hall, rest};
use crate::limits::{FEED_PAGE_DEFAULT, FEED_PAGE_MAX};
use crate::service::Service;
use crate::wire::eido::{ContactState, Eido};
use crate::wire::feed::{CommandDone, IncidentsPage, MayReason, NewNote, Reason, Transfer};
use crate::wire::http::Refused;

type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// One path.
pub(super) struct Route {
    pub path: &'static str,
    method: &'static str,
    operation: &'static str,
    summary: &'static str,
    /// What is sent: its schema, and whether it must be.
    body: Option<(SchemaOf, bool)>,
    answers: &'static [Answer],
    pub serve: fn() -> MethodRouter<Arc<Hall>>,
}

struct Answer {
    status: u16,
    what: &'static str,
    body: Option<SchemaOf>,
}

const fn answer(status: u16, what: &'static str, body: SchemaOf) -> Answer {
    Answer { status, what, body: Some(body) }
}

fn schema<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// Answers of every path that asks who it is.
const WHO: [Answer; 3] = [
    answer(401, "No certificate was shown.", schema::<Refused>),
    answer(403, "The certificate is no seat's, or the seat may not do this.", schema::<Refused>),
    answer(503, "The engine or the journal cannot do it now; try again.", schema::<Refused>),
];

const READ: &[Answer] = &[
    answer(400, "The id or a parameter cannot be read.", schema::<Refused>),
    answer(404, "There is none that this room may see.", schema::<Refused>),
];

const DONE: &[Answer] = &[
    answer(200, "The journal says so.", schema::<CommandDone>),
    answer(202, "It was said to the engine; the journal does not say so yet.", schema::<CommandDone>),
    answer(400, "The id or the body cannot be read.", schema::<Refused>),
    answer(404, "There is no such share that this room may see, or it has ended.", schema::<Refused>),
    answer(408, "The body did not come in time.", schema::<Refused>),
    answer(409, "Another seat holds it, or something else must come first.", schema::<Refused>),
    answer(413, "The body is too long.", schema::<Refused>),
];

/// Every path of the feed.
pub(super) const ROUTES: &[Route] = &[
    Route {
        path: "/feed/openapi.json",
        method: "get",
        operation: "openapi",
        summary: "This document.",
        body: None,
        answers: &[Answer { status: 200, what: "The document.", body: Some(|_| schemars::json_schema!({ "type": "object" })) }],
        serve: || get(rest::openapi_document),
    },
    Route {
        path: "/feed/v1/events",
        method: "get",
        operation: "events",
        summary: "Subscribe to incidents by WebSocket, in the manner of NENA-STA-024; see the manual's page on the feed.",
        body: None,
        answers: &[
            Answer { status: 101, what: "The line is a WebSocket now.", body: None },
            answer(400, "The request does not open a WebSocket.", schema::<Refused>),
            answer(426, "The request does not open a WebSocket.", schema::<Refused>),
        ],
        serve: || get(rest::events),
    },
    Route {
        path: "/feed/v1/incidents",
        method: "get",
        operation: "incidents",
        summary: "Incidents that go on and that the room may see, by id.",
        body: None,
        answers: &[answer(200, "A page.", schema::<IncidentsPage>), answer(400, "A parameter cannot be read.", schema::<Refused>)],
        serve: || get(rest::incidents),
    },
    Route {
        path: "/feed/v1/incidents/{incident}",
        method: "get",
        operation: "incident",
        summary: "One incident as an EIDO.",
        body: None,
        answers: &[answer(200, "The incident.", schema::<Eido>)],
        serve: || get(rest::incident),
    },
    Route {
        path: "/feed/v1/contacts/{contact}",
        method: "get",
        operation: "contact",
        summary: "One contact and its shares. One that has ended is remembered for a while.",
        body: None,
        answers: &[answer(200, "The contact.", schema::<ContactState>)],
        serve: || get(rest::contact),
    },
    Route {
        path: "/feed/v1/contacts/{contact}/{service}/take",
        method: "post",
        operation: "take",
        summary: "The seat takes the share. It keeps it while it is heard from within every ten seconds.",
        body: None,
        answers: DONE,
        serve: || post(rest::take),
    },
    Route {
        path: "/feed/v1/contacts/{contact}/{service}/accept",
        method: "post",
        operation: "accept",
        summary: "Help is on its way from this room.",
        body: None,
        answers: DONE,
        serve: || post(rest::accept),
    },
    Route {
        path: "/feed/v1/contacts/{contact}/{service}/decline",
        method: "post",
        operation: "decline",
        summary: "The seat asks that another takes it. What it holds it keeps until another has.",
        body: Some((schema::<Reason>, true)),
        answers: DONE,
        serve: || post(rest::decline),
    },
    Route {
        path: "/feed/v1/contacts/{contact}/{service}/release",
        method: "post",
        operation: "release",
        summary: "The seat gives it back to its room.",
        body: None,
        answers: DONE,
        serve: || post(rest::release),
    },
    Route {
        path: "/feed/v1/contacts/{contact}/{service}/transfer",
        method: "post",
        operation: "transfer",
        summary: "The seat asks another room to take it, and keeps it until somebody there has.",
        body: Some((schema::<Transfer>, true)),
        answers: DONE,
        serve: || post(rest::transfer),
    },
    Route {
        path: "/feed/v1/contacts/{contact}/{service}/close",
        method: "post",
        operation: "close",
        summary: "The share is done.",
        body: Some((schema::<MayReason>, true)),
        answers: DONE,
        serve: || post(rest::close),
    },
    Route {
        path: "/feed/v1/contacts/{contact}/notes",
        method: "post",
        operation: "note",
        summary: "Words for everybody who sees the contact.",
        body: Some((schema::<NewNote>, true)),
        answers: DONE,
        serve: || post(rest::note),
    },
];

/// The document.
pub fn document() -> Value {
    let settings = || {
        SchemaSettings::draft2020_12().with(|settings| {
            settings.definitions_path = "/components/schemas".into();
            settings.meta_schema = None;
        })
    };
    let mut generator = settings().for_serialize().into_generator();
    let mut bodies = settings().for_deserialize().with(|settings| settings.inline_subschemas = true).into_generator();
    let mut paths = Map::new();
    for route in ROUTES {
        let operation = operation(route, &mut generator, &mut bodies);
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        if let Value::Object(methods) = path {
            methods.insert(route.method.to_owned(), operation);
        }
    }
    let schemas = generator.take_definitions(true);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Najda feed",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Incidents for other systems, and commands of their seats.",
            "license": { "name": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "security": [{ "seat": [] }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "seat": { "type": "mutualTLS", "description": "A client certificate of console/ROOM/SEAT." },
            },
        },
    })
}

fn operation(route: &Route, generator: &mut SchemaGenerator, bodies: &mut SchemaGenerator) -> Value {
    let is_open = route.operation == "openapi";
    let mut answers = Map::new();
    let of_all: &[Answer] = if is_open { &[] } else { &WHO };
    let of_read: &[Answer] = if route.path.contains('{') && route.method == "get" { READ } else { &[] };
    for Answer { status, what, body } in route.answers.iter().chain(of_read).chain(of_all) {
        let mut value = json!({ "description": what });
        if let (Some(body), Value::Object(fields)) = (body, &mut value) {
            fields.insert("content".to_owned(), json!({ "application/json": { "schema": body(generator) } }));
        }
        answers.insert(status.to_string(), value);
    }
    let mut value = json!({
        "operationId": route.operation,
        "summary": route.summary,
        "parameters": parameters(route),
        "responses": answers,
    });
    if let Value::Object(fields) = &mut value {
        if let Some((body, required)) = route.body {
            let content = json!({ "application/json": { "schema": body(bodies) } });
            fields.insert("requestBody".to_owned(), json!({ "required": required, "content": content }));
        }
        if is_open {
            fields.insert("security".to_owned(), json!([]));
        }
    }
    value
}

fn parameters(route: &Route) -> Vec<Value> {
    let mut parameters = Vec::new();
    let mut add = |name: &str, place: &str, what: &str, schema: Value| {
        parameters.push(json!({ "name": name, "in": place, "required": place == "path", "description": what, "schema": schema }));
    };
    if route.path.contains("{incident}") {
        add("incident", "path", "As a document names it, in short.", json!({ "type": "string", "pattern": INCIDENT_PATTERN }));
    }
    if route.path.contains("{contact}") {
        add("contact", "path", "As a document names it.", json!({ "type": "string", "format": "uuid" }));
    }
    if route.path.contains("{service}") {
        let services: Vec<&str> = Service::ALL.iter().map(|service| service.word()).collect();
        add("service", "path", "Whose share is meant.", json!({ "type": "string", "enum": services }));
    }
    if route.operation == "incidents" {
        add("after", "query", "`next` of the page before.", json!({ "type": "string", "pattern": INCIDENT_PATTERN }));
        let limit = json!({ "type": "integer", "minimum": 1, "maximum": FEED_PAGE_MAX, "default": FEED_PAGE_DEFAULT });
        add("limit", "query", "Incidents at most.", limit);
    }
    parameters
}

const INCIDENT_PATTERN: &str = "^[0-9]{1,4}-[0-9]{1,18}$";
