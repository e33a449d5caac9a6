//! `POST /aml`, `POST /aml/sms`, `POST /cap`: phones that say where they are, and sensors that say what is wrong.
//!
//! A phone's report is evidence about the call of its number or device, before or after the call comes; alone it is nothing. It hears
//! 200 whatever was in it: a phone must not try again (TS 103 625). An alert is a contact of its own, answered as `/v1/contacts` are.
//!
//! Only gateways that are known may post either: a report moves a call that nobody has taken.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{Request, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use serde_json::json as object;
use tokio::sync::SemaphorePermit;

use super::contacts::id_of;
use super::{Hall, HttpGateway, json, read_body, refused};
use crate::contact::{Contact, ContactKey};
use crate::deliver::{Evidence, HangUp};
use crate::edge::ingress::alerts::About;
use crate::edge::ingress::count;
use crate::edge::ingress::lines::insist;
use crate::edge::ingress::sip::calls::taken_back;
use crate::engine::Input;
use crate::limits::{AML_BYTES_MAX, SIP_BYTES_MAX};
use crate::units::{ContactId, Name, Timestamp};
use crate::wire::aml::{Aml, read_form, read_sms};
use crate::wire::notes::Notes;
use crate::wire::reading::{self, Kind, Outcome, Reading, Receipt, primary_language};

/// The line that a text message came from, as its gateway knows it.
#[derive(Debug, Deserialize)]
pub(super) struct Sender {
    from: Option<String>,
}

pub(super) async fn post_aml(State(hall): State<Arc<Hall>>, request: Request<Body>) -> Response {
    let (parts, bytes, _place) = match hall.posted(request).await {
        Ok(posted) => posted,
        Err(answer) => return answer,
    };
    let kind = parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut notes = Notes::default();
    let aml = read_form(kind, &bytes, &mut notes);
    hall.report(aml, &notes).await
}

pub(super) async fn post_aml_sms(State(hall): State<Arc<Hall>>, Query(sender): Query<Sender>, request: Request<Body>) -> Response {
    let (_, bytes, _place) = match hall.posted(request).await {
        Ok(posted) => posted,
        Err(answer) => return answer,
    };
    let mut notes = Notes::default();
    let aml = read_sms(&bytes, &mut notes).map(|aml| Aml { caller: aml.caller.or(sender.from.map(Into::into)), ..aml });
    hall.report(aml, &notes).await
}

pub(super) async fn post_cap(State(hall): State<Arc<Hall>>, request: Request<Body>) -> Response {
    let place = Arc::clone(&hall.requests).try_acquire_owned().ok();
    let (parts, body) = request.into_parts();
    let gateway = match hall.gateway(&parts, place.is_some()) {
        Ok(gateway) => gateway,
        Err(answer) => return answer,
    };
    let bytes = match read_body(&parts, body, SIP_BYTES_MAX, hall.config.body_wait).await {
        Ok(bytes) => bytes,
        Err(answer) => return answer,
    };
    let now = hall.core.clock.now();
    let alert = reading::read(Kind::Cap, &bytes, now);
    let receipt = Receipt { id: ContactId::default(), gateway: gateway.line, trunk: Some(gateway.name), received: now };
    match (alert.outcome, alert.contact(receipt)) {
        (Outcome::Routed, Some(mut contact)) => {
            contact.load_test = gateway.load_test;
            let about = alert.cap.as_ref().map(|cap| hall.alerts.about(gateway.line, cap, now));
            match about {
                None => {}
                Some(About::Itself(key)) => contact.key = key,
                Some(About::Update(key)) => {
                    contact.key = key;
                    contact.id = id_of(&contact, &hall.id_key, now);
                    return hall.news(contact, gateway, now, &alert).await;
                }
                Some(About::Cancel(key)) => return hall.taken_back(key, gateway.line, &alert).await,
                Some(About::Nothing) => {
                    count(&hall.counters.malformed);
                    let why = "it cancels nothing: `references` names no alert of this sender";
                    return refused(StatusCode::BAD_REQUEST, why, "write `sender,identifier,sent` of the alert into `references`");
                }
            }
            contact.id = id_of(&contact, &hall.id_key, now);
            hall.take(contact, gateway, now, place).await
        }
        (Outcome::Rejected { why, .. }, _) => {
            count(&hall.counters.malformed);
            refused(StatusCode::BAD_REQUEST, why, "send one CAP 1.0, 1.1 or 1.2 alert as XML")
        }
        // Over, or a receipt: understood, and no contact.
        (Outcome::Answered { .. } | Outcome::Dropped { .. } | Outcome::Routed, _) => {
            let why = if let Outcome::Dropped { why, .. } = alert.outcome { why } else { "nothing" };
            json(StatusCode::OK, &object!({ "outcome": "dropped", "why": why, "discrepancies": alert.notes.codes() }))
        }
    }
}

impl Hall {
    /// A report of somebody who may post one, and its place among the requests.
    async fn posted(&self, request: Request<Body>) -> Result<(Parts, Bytes, Option<SemaphorePermit<'_>>), Response> {
        let place = self.requests.try_acquire().ok();
        let (parts, body) = request.into_parts();
        self.gateway(&parts, place.is_some())?;
        let bytes = read_body(&parts, body, AML_BYTES_MAX, self.config.body_wait).await?;
        Ok((parts, bytes, place))
    }

    /// An update of an alert: late evidence of its contact, which the journal holds with the decision about it; a contact of its own
    /// when that one has ended.
    async fn news(&self, contact: Contact, gateway: HttpGateway, now: Timestamp, alert: &Reading) -> Response {
        let answer = object!({ "outcome": "update", "id": &*contact.key.gateway_ref, "discrepancies": alert.notes.codes() });
        let decision = self.desk(gateway).decide(&contact, now).decision;
        insist(&self.core, Input::News { contact: Arc::new(contact), decision }).await;
        json(StatusCode::ACCEPTED, &answer)
    }

    /// An alert that is cancelled: its contact stays, its holders hear that the sender is gone, and whoever leads calls back when nobody
    /// had taken it.
    async fn taken_back(&self, key: ContactKey, line: Name, alert: &Reading) -> Response {
        let answer = object!({ "outcome": "cancel", "id": &*key.gateway_ref, "discrepancies": alert.notes.codes() });
        insist(&self.core, Input::Evidence { session: None, key: key.clone(), evidence: taken_back(alert) }).await;
        let Some(line) = self.lines.line(line) else {
            return refused(StatusCode::SERVICE_UNAVAILABLE, "no session is free", "send the cancel again in a second");
        };
        line.opened().await;
        if let Some(session) = line.session() {
            insist(&self.core, Input::HungUp { session, key, why: HangUp::Caller }).await;
        }
        json(StatusCode::ACCEPTED, &answer)
    }

    /// Tells the engine what a phone said. The answer is for the log of whoever passes it on.
    async fn report(&self, aml: Option<Aml>, notes: &Notes) -> Response {
        let now = self.core.clock.now();
        let outcome = match aml {
            Some(aml) => self.match_report(&aml, now).await,
            None => "not_aml",
        };
        if outcome != "reported" {
            count(&self.counters.malformed);
        }
        json(StatusCode::OK, &object!({ "outcome": outcome, "discrepancies": notes.codes() }))
    }

    async fn match_report(&self, aml: &Aml, now: Timestamp) -> &'static str {
        let Some(claim) = aml.claim(now) else { return "no_position" };
        let lang = aml.language.as_deref().and_then(primary_language);
        let evidence = Evidence { claims: vec![claim], signals: Vec::new(), lang };
        let by_device = |imei: &str| self.devices.reported(imei, evidence.clone(), now);
        if let Some((key, evidence)) = aml.imei.as_deref().and_then(by_device) {
            insist(&self.core, Input::Evidence { session: None, key, evidence }).await;
            return "reported";
        }
        match aml.caller.as_deref().and_then(|line| self.number_of(line, now)) {
            Some(line) => insist(&self.core, Input::LineEvidence { line, evidence }).await,
            // Kept for a call of the device that may still come.
            None if aml.imei.is_some() => {}
            None => return "nobody",
        }
        "reported"
    }

    /// As a contact's line is told to the engine, however it is written.
    fn number_of(&self, line: &str, now: Timestamp) -> Option<Name> {
        let snapshot = self.core.snapshot();
        let (_, number) = snapshot.tables.identities.caller(line, now);
        number.and_then(|number| Name::new(&number))
    }
}
