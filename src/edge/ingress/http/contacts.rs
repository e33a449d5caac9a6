//! `POST /v1/contacts`: decided at once, answered when the journal holds it or the wait for it is over.
//!
//! Each gateway that speaks HTTP has one session with the engine, opened with its first contact. Its task reads what the engine says
//! and wakes the requests that wait for it.
//!
//! The engine tells a repetition by naming the contact that came first. To know that name for a repetition of *this* body, and not
//! for another contact under the same reference, a contact's id carries below its time and count a keyed digest of what was sent: equal
//! bits, equal contact, across restarts too.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{Request, StatusCode};
use axum::response::Response;
use ring::hmac;
use tokio::sync::OwnedSemaphorePermit;

use super::{Hall, HttpGateway, json, read_body, refused};
use crate::contact::{Contact, Door};
use crate::edge::ingress::lines::{Line, id_with, insist};
use crate::edge::ingress::{Core, Decided, GatewayDesk, count};
use crate::engine::Input;
use crate::limits::HTTP_BODY_BYTES_MAX;
use crate::units::{ContactId, Timestamp};
use crate::wire::contact_json::read_contact_at;
use crate::wire::decision_json::DecisionJson;
use crate::wire::http::ContactAnswer;

pub(super) async fn post_contact(State(hall): State<Arc<Hall>>, request: Request<Body>) -> Response {
    // A place first, so that whoever finds none is told before anything is done for it.
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
    let now = hall.core.clock.now();
    match hall.contact(&bytes, gateway, now) {
        Ok(contact) => hall.take(contact, gateway, now, place).await,
        Err(why) => {
            count(&hall.counters.malformed);
            refused(StatusCode::BAD_REQUEST, why, "send one JSON object with an `id` of your own, and what you know: lat, lon, text, ...")
        }
    }
}

impl Hall {
    /// The contact in the body. Only the certificate or token says whose it is, and only our clock says when it came.
    pub(super) fn contact(&self, bytes: &[u8], gateway: HttpGateway, now: Timestamp) -> Result<Contact, String> {
        let read = read_contact_at(Door::App, bytes, gateway.line, ContactId::default(), now).map_err(|why| why.to_string())?;
        let mut contact = read.contact;
        contact.received = now;
        contact.load_test = gateway.load_test;
        contact.trunk = contact.trunk.or(Some(gateway.name));
        contact.id = id_of(&contact, &self.id_key, now);
        Ok(contact)
    }

    pub(super) async fn take(
        &self,
        contact: Contact,
        gateway: HttpGateway,
        now: Timestamp,
        place: Option<OwnedSemaphorePermit>,
    ) -> Response {
        let Decided { decision, targets } = self.desk(gateway).decide(&contact, now);
        count(&self.counters.contacts);
        if !contact.oddities.is_empty() {
            count(&self.counters.contacts_cut);
        }
        let (id, gateway_ref) = (contact.id, contact.key.gateway_ref.clone());
        // The ear before the word: what the engine says cannot be missed.
        let waiting = self.lines.line(gateway.line).map(|line| Line::wait(line, &gateway_ref, id));
        let input = Input::Arrived { session: None, contact: Arc::new(contact), decision: Arc::clone(&decision), handed_back: false };
        let has_room = place.is_some();
        // The place is kept while the journal is waited for.
        let _place = self.hand_in(input, place).await;
        let known_as = match waiting {
            Some(waiting) if has_room => waiting.heard(self.config.journal_wait * 2).await,
            _ => None,
        };
        let status = if known_as.is_some() { StatusCode::CREATED } else { StatusCode::ACCEPTED };
        json(status, &ContactAnswer::new(id, known_as, &targets, DecisionJson::new(&gateway_ref, &decision, None)))
    }

    pub(super) fn desk(&self, gateway: HttpGateway) -> GatewayDesk {
        GatewayDesk {
            trunk: gateway.line,
            load_test: gateway.load_test,
            core: Arc::clone(&self.core) as Arc<dyn Core>,
            clock: self.core.clock,
            counters: Arc::clone(&self.counters),
        }
    }

    /// Tells the engine. While its queue is full a task of its own goes on trying, so that a caller who leaves loses nothing; it
    /// takes the request's place with it, and without one the request waits itself.
    async fn hand_in(&self, input: Input, place: Option<OwnedSemaphorePermit>) -> Option<OwnedSemaphorePermit> {
        let Err(input) = self.core.submit(input) else { return place };
        count(&self.counters.resubmitted);
        let core = Arc::clone(&self.core);
        let trying = async move { insist(&core, input).await };
        match place {
            Some(place) => drop(tokio::spawn(async move {
                trying.await;
                drop(place);
            })),
            None => trying.await,
        }
        None
    }
}

// --- the id that knows its content ---

pub(super) fn id_of(contact: &Contact, key: &hmac::Key, now: Timestamp) -> ContactId {
    id_with(hmac::sign(key, &content_of(contact)).as_ref(), now)
}

/// Everything the sender said.
fn content_of(contact: &Contact) -> Vec<u8> {
    // Named one by one, as in the engine's own digest: a new field must be looked at here before this compiles.
    let Contact { id: _, received: _, revision: _, key, door, load_test, trunk, line, cell, lang, claims, signals, oddities } = contact;
    let said = (key, door, load_test, trunk, line, cell, lang, claims, signals, oddities);
    // The debug form spells every field with its name and escapes every text, so no two contacts are spelled alike.
    format!("{said:?}").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contact::{ContactKey, Signal};
    use crate::edge::ingress::lines::is_same;
    use crate::units::Name;

    fn contact(gateway_ref: &str, words: &str) -> Contact {
        let key = ContactKey { gateway: Name::new("http/app").unwrap(), gateway_ref: gateway_ref.into() };
        let mut contact = Contact::new(ContactId(0), key, Timestamp::from_secs(1), Door::App);
        contact.signals.push(Signal::Words(words.into()));
        contact
    }

    fn key() -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, b"a key")
    }

    #[test]
    fn an_id_is_of_its_moment_and_the_same_content_has_the_same_bits_below() {
        let (early, late) = (Timestamp::from_micros(1_700_000_000_123_456), Timestamp::from_micros(1_700_000_900_000_000));
        let one = id_of(&contact("a", "fire"), &key(), early);
        let again = id_of(&contact("a", "fire"), &key(), late);
        assert_eq!((one.0 >> 80, uuid::Uuid::from_u128(one.0).get_version_num()), (1_700_000_000_123, 7));
        assert!(one != again && is_same(one, again));
        for other in [contact("b", "fire"), contact("a", "smoke")] {
            assert!(!is_same(one, id_of(&other, &key(), early)));
        }
        let strangers = hmac::Key::new(hmac::HMAC_SHA256, b"another key");
        assert!(!is_same(one, id_of(&contact("a", "fire"), &strangers, early)), "without the key nobody can guess content from an id");
    }
}
