//! Alerts by who sent them and what they call them: an update or a cancel finds the contact of the alert it speaks of.
//!
//! The contact of an alert is named after the first alert's sender and identifier, so what names that one finds it without any memory,
//! after a restart too. Memory is needed for chains (an update of an update) and to tell an update of something from one of nothing.
//! It is bounded in number and time, and a restart forgets it: then an update is a contact of its own under the name of the alert it
//! speaks of, and its decision says that the name was used before.
//!
//! # Invariants
//! - Only the gateway that brought an alert can have it updated or cancelled; its name is part of the key. Gateways of the SIP door
//!   are one gateway there, as they are for calls.
//! - News of a contact that has ended is a contact again: the engine decides that, which knows.
//! - Nothing here ends a contact.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use crate::contact::ContactKey;
use crate::limits::{ALERT_MICROS_MAX, ALERTS_MAX};
use crate::units::{Name, Timestamp};
use crate::wire::cap::{Cap, Earlier, reference_of};

/// What an alert is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum About {
    /// Something happened: a contact under this key.
    Itself(ContactKey),
    /// News of the contact under this key.
    Update(ContactKey),
    /// The sender takes back what the contact under this key says.
    Cancel(ContactKey),
    /// It takes back something that it does not name, or that somebody else said.
    Nothing,
}

/// The alerts of one door.
#[derive(Debug, Default)]
pub(super) struct Alerts(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// From an alert to the first of its chain.
    first: BTreeMap<ContactKey, (Timestamp, ContactKey)>,
    order: VecDeque<(Timestamp, ContactKey)>,
}

impl Alerts {
    /// What this alert of a gateway is; it is remembered.
    pub(super) fn about(&self, gateway: Name, cap: &Cap, now: Timestamp) -> About {
        let key = |sender: &str, identifier: &str| ContactKey { gateway, gateway_ref: reference_of(sender, identifier) };
        let sender = cap.sender.as_deref().unwrap_or_default();
        let own = key(sender, cap.identifier.as_deref().unwrap_or_default());
        let earlier = cap.earlier();
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = cap.is_update() || cap.is_cancel();
        if !is_news || earlier.is_empty() {
            if cap.is_cancel() {
                return About::Nothing;
            }
            known.put(own.clone(), own.clone(), now);
            return About::Itself(own);
        }
        let remembered = earlier.iter().find_map(|alert| known.first_of(&key(alert.sender, alert.identifier), now));
        // Unknown ones are of before a restart, or never came: the oldest is the first of the chain.
        let is_known = remembered.is_some();
        let oldest = earlier.iter().min_by_key(|alert| alert.sent);
        let first = remembered.or_else(|| oldest.map(|alert| key(alert.sender, alert.identifier))).unwrap_or_else(|| own.clone());
        if cap.is_cancel() {
            let is_own = |alert: &Earlier<'_>| alert.sender == sender;
            return if earlier.iter().all(is_own) { About::Cancel(first) } else { About::Nothing };
        }
        known.put(own, first.clone(), now);
        if is_known {
            return About::Update(first);
        }
        known.put(first.clone(), first.clone(), now);
        About::Itself(first)
    }
}

impl Known {
    fn first_of(&self, alert: &ContactKey, now: Timestamp) -> Option<ContactKey> {
        self.first.get(alert).filter(|(at, _)| now.micros_since(*at) <= ALERT_MICROS_MAX).map(|(_, first)| first.clone())
    }

    fn put(&mut self, alert: ContactKey, first: ContactKey, now: Timestamp) {
        while let Some((at, _)) = self.order.front() {
            if now.micros_since(*at) <= ALERT_MICROS_MAX && self.order.len() < ALERTS_MAX {
                break;
            }
            let Some((at, alert)) = self.order.pop_front() else { break };
            if self.first.get(&alert).is_some_and(|(put, _)| *put == at) {
                self.first.remove(&alert);
            }
        }
        self.order.push_back((now, alert.clone()));
        self.first.insert(alert, (now, first));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_000);

    fn cap(identifier: &str, kind: &str, references: &str) -> Cap {
        let text = |text: &str| Some(text).filter(|text| !text.is_empty()).map(Box::from);
        Cap { sender: text("s"), identifier: text(identifier), msg_type: text(kind), references: text(references), ..Cap::default() }
    }

    fn gateway() -> Name {
        Name::new("http/panels").unwrap()
    }

    fn key(sender: &str, identifier: &str) -> ContactKey {
        ContactKey { gateway: gateway(), gateway_ref: reference_of(sender, identifier) }
    }

    #[test]
    fn an_update_of_an_update_is_news_of_the_first() {
        let alerts = Alerts::default();
        let about = |cap: &Cap| alerts.about(gateway(), cap, NOW);
        assert_eq!(about(&cap("a", "Alert", "")), About::Itself(key("s", "a")));
        assert_eq!(about(&cap("b", "Update", "s,a,2026-01-01T00:00:00Z")), About::Update(key("s", "a")));
        assert_eq!(about(&cap("c", "update", "s,b,2026-01-01T00:01:00Z")), About::Update(key("s", "a")));
        assert_eq!(about(&cap("d", "Cancel", "s,c,2026-01-01T00:02:00Z")), About::Cancel(key("s", "a")));
        let other = alerts.about(Name::new("http/other").unwrap(), &cap("b", "Update", "s,a,2026-01-01T00:00:00Z"), NOW);
        assert!(matches!(other, About::Itself(_)), "another gateway speaks of its own alerts: {other:?}");
    }

    #[test]
    fn an_update_of_what_is_not_known_is_a_contact_under_the_oldest_name_and_what_follows_is_news_of_it() {
        let alerts = Alerts::default();
        let about = |cap: &Cap| alerts.about(gateway(), cap, NOW);
        let references = "s,late,2026-01-01T04:00:00+04:00 s,early,2025-12-31T23:00:00Z";
        assert_eq!(about(&cap("b", "Update", references)), About::Itself(key("s", "early")));
        assert_eq!(about(&cap("c", "Update", references)), About::Update(key("s", "early")));
        assert_eq!(about(&cap("x", "Update", "")), About::Itself(key("s", "x")), "of nothing: something happened all the same");
    }

    #[test]
    fn what_is_taken_back_is_named_and_ones_own() {
        let alerts = Alerts::default();
        let about = |cap: &Cap| alerts.about(gateway(), cap, NOW);
        assert_eq!(about(&cap("c", "Cancel", "s,a,2026-01-01T00:00:00Z")), About::Cancel(key("s", "a")), "also of before a restart");
        for references in ["", "   ", "a", "other,a,2026-01-01T00:00:00Z", "s,a,2026-01-01T00:00:00Z other,a,2026-01-01T00:00:00Z"] {
            assert_eq!(about(&cap("c", "Cancel", references)), About::Nothing, "{references:?}");
        }
    }

    #[test]
    fn what_is_remembered_is_bounded_in_number_and_time() {
        let alerts = Alerts::default();
        for n in 0..ALERTS_MAX + 10 {
            alerts.about(gateway(), &cap(&n.to_string(), "Alert", ""), NOW.plus_micros(n as u64));
        }
        assert!(alerts.0.lock().unwrap().first.len() <= ALERTS_MAX);
        let late = NOW.plus_micros(ALERT_MICROS_MAX + ALERTS_MAX as u64 + 11);
        let last = format!("s,{},2026-01-01T00:00:00Z", ALERTS_MAX + 9);
        assert!(matches!(alerts.about(gateway(), &cap("u", "Update", &last), late), About::Itself(_)));
    }
}
