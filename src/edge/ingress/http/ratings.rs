//! `GET /r/{token}` and `POST /r/{token}`: the link in a message to a caller. One tap says how the help was.
//!
//! The page is plain: no script, nothing from elsewhere, both languages. Whoever has the link may use it; it names one contact and opens
//! nothing else, and the page says nothing about that contact.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY};
use axum::http::{Request, StatusCode};
use axum::response::{IntoResponse, Response};
use dashmap::DashMap;

use super::{Hall, read_body};
use crate::edge::ingress::count;
use crate::edge::ingress::lines::insist;
use crate::engine::Input;
use crate::inform::STARS;
use crate::limits::{RATING_BYTES_MAX, RATING_LINK_MICROS_MAX, RATINGS_A_CONTACT_MAX, RATINGS_KNOWN_MAX};
use crate::units::{ContactId, Timestamp};
use crate::wire::notification::LinkKey;

/// The ratings of this process: a link that is tapped again and again fills no journal.
pub(super) struct Ratings {
    links: LinkKey,
    given: DashMap<ContactId, u8>,
}

impl Ratings {
    pub(super) fn new(links: LinkKey) -> Self {
        Self { links, given: DashMap::new() }
    }

    /// The contact of a link that is still good.
    fn contact(&self, token: &str, now: Timestamp) -> Option<ContactId> {
        let contact = self.links.contact(token)?;
        (now.micros_since(contact.made_at()) <= RATING_LINK_MICROS_MAX).then_some(contact)
    }

    /// Whether one more is written down.
    fn counts(&self, contact: ContactId) -> bool {
        if self.given.len() >= RATINGS_KNOWN_MAX && !self.given.contains_key(&contact) {
            // Forgetting all of them costs a few repeated entries, and needs no order of who came when.
            self.given.clear();
        }
        let mut given = self.given.entry(contact).or_insert(0);
        *given = given.saturating_add(1);
        *given <= RATINGS_A_CONTACT_MAX
    }
}

pub(super) async fn rating_page(State(hall): State<Arc<Hall>>, Path(token): Path<String>) -> Response {
    match hall.ratings.contact(&token, hall.core.clock.now()) {
        Some(_) => page(StatusCode::OK, &asks()),
        None => nowhere(),
    }
}

pub(super) async fn post_rating(State(hall): State<Arc<Hall>>, Path(token): Path<String>, request: Request<Body>) -> Response {
    let Some(contact) = hall.ratings.contact(&token, hall.core.clock.now()) else { return nowhere() };
    let (parts, body) = request.into_parts();
    let body = match read_body(&parts, body, RATING_BYTES_MAX, hall.config.body_wait).await {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    let stars = std::str::from_utf8(&body).ok().and_then(|text| text.trim().strip_prefix("stars=")?.parse::<u8>().ok());
    let Some(stars) = stars.filter(|stars| STARS.contains(stars)) else {
        count(&hall.counters.malformed);
        return page(StatusCode::BAD_REQUEST, &asks());
    };
    if hall.ratings.counts(contact) {
        insist(&hall.core, Input::Rated { contact, stars }).await;
    }
    page(StatusCode::OK, "<h1 lang=ar dir=rtl>شكراً لك</h1><h1>Thank you</h1>")
}

fn nowhere() -> Response {
    page(StatusCode::NOT_FOUND, "<h1 lang=ar dir=rtl>انتهت صلاحية هذا الرابط</h1><h1>This link is no longer good</h1>")
}

fn asks() -> String {
    let buttons: String = STARS
        .map(|stars| {
            format!(
                "<button name=stars value={stars} aria-label=\"{stars} of 5, {stars} من 5\">{}</button>",
                "★".repeat(usize::from(stars))
            )
        })
        .collect();
    format!("<h1 lang=ar dir=rtl>كيف كانت المساعدة؟</h1><h1>How was the help?</h1><form method=post>{buttons}</form>")
}

const STYLE: &str = "body{font:1.25rem system-ui,sans-serif;margin:2rem auto;max-width:30rem;padding:0 1rem;text-align:center}\
h1{font-size:1.5rem}button{display:block;width:100%;margin:.75rem 0;padding:1rem;font-size:1.5rem}";

fn page(status: StatusCode, content: &str) -> Response {
    let html = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
         <title>Najda نجدة</title><style>{STYLE}</style><main>{content}</main></html>\n"
    );
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CACHE_CONTROL, "no-store"),
        (REFERRER_POLICY, "no-referrer"),
        (
            CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
        ),
    ];
    (status, headers, html).into_response()
}
