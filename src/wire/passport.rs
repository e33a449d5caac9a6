//! What a signed token says of a caller's number: read as evidence, never a reason to refuse.
//!
//! Signatures are not checked here and no certificate is fetched: the address of one (`x5u`, `info`) is a stranger's word.
//!
//! # Source
//! RFC 8224 (Identity), RFC 8225 (PASSporT), RFC 8588 (shaken), RFC 9027 (rph for emergency calls).

use std::borrow::Cow;

use serde::Deserialize;

use crate::limits::PASSPORT_BYTES_MAX;
use crate::wire::notes::{Notes, cut};

/// What the tokens of one call state together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stir {
    /// `A`, `B` or `C`: how sure the originating network is of the number.
    pub attest: Option<Box<str>>,
    /// The first resource priority granted.
    pub rph: Option<Box<str>>,
    /// Unix seconds when the first token was made.
    pub iat: Option<i64>,
}

#[derive(Deserialize)]
struct Payload<'a> {
    #[serde(borrow)]
    attest: Option<Cow<'a, str>>,
    iat: Option<i64>,
    rph: Option<Rph<'a>>,
}

#[derive(Deserialize)]
struct Rph<'a> {
    #[serde(borrow, default)]
    auth: Vec<Cow<'a, str>>,
}

impl Stir {
    /// Adds what one `Identity` header states; `None` stays `None` for one that cannot be read.
    pub fn add(this: &mut Option<Self>, header: &str, notes: &mut Notes) {
        let token = header.split(';').next().unwrap_or_default().trim();
        let payload = token.split('.').nth(1).filter(|part| part.len() <= PASSPORT_BYTES_MAX).and_then(base64url);
        let Some(payload) = payload.as_deref().and_then(|bytes| serde_json::from_slice::<Payload<'_>>(bytes).ok()) else {
            notes.note("identity_unreadable");
            return;
        };
        notes.note("identity_unverified");
        let stir = this.get_or_insert_default();
        stir.attest = stir.attest.take().or_else(|| payload.attest.map(|attest| cut(&attest, 8).into()));
        stir.iat = stir.iat.or(payload.iat);
        let granted = payload.rph.and_then(|rph| rph.auth.into_iter().next());
        stir.rph = stir.rph.take().or_else(|| granted.map(|value| cut(&value, 64).into()));
    }
}

/// Base64 with the alphabet of URLs, padded or not; `None` for any other sign.
fn base64url(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() * 3 / 4);
    let (mut bits, mut count) = (0_u32, 0);
    for byte in text.trim_end_matches('=').bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'-' | b'+' => 62,
            b'_' | b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
            bits &= (1 << count) - 1;
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tokens_of_a_call_add_up() {
        let (mut stir, mut notes) = (None, Notes::default());
        // {"attest":"B","iat":7} and {"rph":{"auth":["esnet.1"]}}
        Stir::add(&mut stir, "e30.eyJhdHRlc3QiOiJCIiwiaWF0Ijo3fQ.c2ln;info=<https://x.example/c>", &mut notes);
        Stir::add(&mut stir, "e30.eyJycGgiOnsiYXV0aCI6WyJlc25ldC4xIl19fQ.c2ln", &mut notes);
        let stir = stir.unwrap();
        assert_eq!((stir.attest.as_deref(), stir.rph.as_deref(), stir.iat), (Some("B"), Some("esnet.1"), Some(7)));
        assert_eq!(notes.codes(), ["identity_unverified"]);
    }

    #[test]
    fn junk_is_noted_and_costs_nothing() {
        let (mut stir, mut notes) = (None, Notes::default());
        for token in ["", "a", "a.b", "..", "a.!!.c", &"A".repeat(9_000)] {
            Stir::add(&mut stir, token, &mut notes);
        }
        assert_eq!((stir, notes.codes()), (None, &["identity_unreadable"][..]));
    }
}
