//! Messages to callers: their words, what is handed to a gateway of messages, and the link by which help is rated.
//!
//! | gateway | body |
//! | --- | --- |
//! | webhook | JSON [`Envelope`], signed in the header `Najda-Signature: sha256=HEX` (HMAC over the body) |
//! | SMS gateway by HTTP | a form of two fields, number and text, whose names are configured |
//! | file | one [`Envelope`] a line |
//!
//! `id` is the same each time a message is tried again: whoever has sent it once leaves it.

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use ring::hmac;
use serde::Serialize;

use crate::inform::Told;
use crate::units::{ContactId, Timestamp};

/// The header that carries the signature of a webhook's body.
pub const SIGNATURE: &str = "najda-signature";
/// Bytes of the tag in a link. Guessing one is a request each, and the door bounds requests.
const TAG_BYTES: usize = 8;
const ID_BYTES: usize = 16;

/// A message to a caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Where the journal says that it was released.
    pub seq: u64,
    pub contact: ContactId,
    pub at: Timestamp,
    pub told: Told,
    /// E.164.
    pub to: Box<str>,
    /// What the caller speaks, where it is known.
    pub lang: Option<[u8; 2]>,
    pub text: Box<str>,
}

/// A message as a gateway is given it.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Envelope<'m> {
    pub id: &'m str,
    /// `heard` or `rate`.
    pub kind: &'m str,
    pub to: &'m str,
    /// `ar` or `en`; both texts stand in one message when neither is known to be the caller's.
    pub lang: Option<&'m str>,
    pub text: &'m str,
}

impl Message {
    /// The same for every attempt.
    pub fn id(&self) -> String {
        format!("{}/{}", self.contact, self.told.word())
    }

    pub fn to_json(&self) -> String {
        let lang = self.lang.as_ref().and_then(|lang| std::str::from_utf8(lang).ok());
        let envelope = Envelope { id: &self.id(), kind: self.told.word(), to: &self.to, lang, text: &self.text };
        // Plain fields always serialise.
        serde_json::to_string(&envelope).unwrap_or_default()
    }

    /// `application/x-www-form-urlencoded`, with further fields as they are configured.
    pub fn to_form(&self, number_field: &str, text_field: &str, more: &[(String, String)]) -> String {
        let mut form = String::new();
        let own = [(number_field, &*self.to), (text_field, &*self.text)];
        let more = more.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in own.into_iter().chain(more) {
            if !form.is_empty() {
                form.push('&');
            }
            escape_into(name, &mut form);
            form.push('=');
            escape_into(value, &mut form);
        }
        form
    }
}

/// Every byte but letters, digits and `-._*` is escaped, a blank is `+` (WHATWG URL, 5.2).
fn escape_into(text: &str, form: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'*' => form.push(char::from(byte)),
            b' ' => form.push('+'),
            _ => {
                form.push('%');
                form.push_str(&data_encoding::HEXUPPER.encode(&[byte]));
            }
        }
    }
}

/// The value of [`SIGNATURE`] for a body.
pub fn signature(key: &[u8], body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    format!("sha256={}", HEXLOWER.encode(hmac::sign(&key, body).as_ref()))
}

/// The words of a message. `room` is the name of who has taken it, in English and in Arabic.
pub fn words(told: Told, lang: Option<[u8; 2]>, room: (&str, &str), link: &str) -> String {
    let english = || match told {
        Told::Heard => format!("Your emergency contact was heard. {} is dealing with it. If anything changes, contact us again.", room.0),
        Told::Rate => format!("How was the help you were given? One tap: {link}"),
    };
    let arabic = || match told {
        Told::Heard => format!("وصلنا بلاغك وهو الآن لدى {}. إن تغيّر شيء فتواصل معنا مجدداً.", room.1),
        Told::Rate => format!("كيف كانت المساعدة التي تلقيتها؟ بلمسة واحدة: {link}"),
    };
    match lang.as_ref() {
        Some(b"ar") => arabic(),
        Some(b"en") => english(),
        _ => format!("{}\n{}", arabic(), english()),
    }
}

/// What makes and reads links.
#[derive(Clone, Debug)]
pub struct LinkKey(hmac::Key);

impl LinkKey {
    pub const fn new(key: hmac::Key) -> Self {
        Self(key)
    }

    /// The last part of the link by which help is rated: the contact, and a tag nobody else can make.
    pub fn token(&self, contact: ContactId) -> String {
        let id = contact.0.to_be_bytes();
        let mut bytes = id.to_vec();
        bytes.extend(self.tag(&id).as_ref().iter().take(TAG_BYTES));
        BASE64URL_NOPAD.encode(&bytes)
    }

    /// The contact of a link; `None` when nobody here made it.
    pub fn contact(&self, token: &str) -> Option<ContactId> {
        let bytes = BASE64URL_NOPAD.decode(token.as_bytes()).ok().filter(|bytes| bytes.len() == ID_BYTES + TAG_BYTES)?;
        let (id, tag) = bytes.split_at_checked(ID_BYTES)?;
        let whole = self.tag(id);
        // Compared as tags of tags, so that the time taken says nothing about where they differ.
        let made = whole.as_ref().get(..TAG_BYTES)?;
        hmac::verify(&self.0, tag, hmac::sign(&self.0, made).as_ref()).ok()?;
        Some(ContactId(u128::from_be_bytes(id.try_into().ok()?)))
    }

    fn tag(&self, id: &[u8]) -> hmac::Tag {
        hmac::sign(&self.0, &[b"rating link\0".as_slice(), id].concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> Message {
        let text = words(Told::Heard, Some(*b"ar"), ("Dubai Police", "شرطة دبي"), "");
        let to = "+971501234567".into();
        Message { seq: 7, contact: ContactId(1), at: Timestamp::default(), told: Told::Heard, to, lang: Some(*b"ar"), text: text.into() }
    }

    #[test]
    fn a_message_has_one_id_for_all_its_attempts() {
        assert_eq!(message().id(), "00000000-0000-0000-0000-000000000001/heard");
        assert_ne!(message().id(), Message { told: Told::Rate, ..message() }.id());
    }

    #[test]
    fn json_carries_number_language_and_words() {
        let json: serde_json::Value = serde_json::from_str(&message().to_json()).unwrap();
        assert_eq!((json["to"].as_str(), json["lang"].as_str(), json["kind"].as_str()), (Some("+971501234567"), Some("ar"), Some("heard")));
        assert!(json["text"].as_str().unwrap().contains("شرطة دبي"));
    }

    #[test]
    fn a_form_escapes_what_would_end_a_field() {
        let message = Message { text: "a&b=c d+é".into(), ..message() };
        let form = message.to_form("to", "body", &[("from".into(), "NAJDA 1".into())]);
        assert_eq!(form, "to=%2B971501234567&body=a%26b%3Dc+d%2B%C3%A9&from=NAJDA+1");
    }

    #[test]
    fn who_speaks_neither_arabic_nor_english_hears_both() {
        let both = words(Told::Rate, Some(*b"ur"), ("", ""), "https://r.example/x");
        assert!(both.contains("One tap") && both.contains("بلمسة") && both.matches("https://r.example/x").count() == 2);
        assert!(!words(Told::Rate, Some(*b"en"), ("", ""), "x").contains("بلمسة"));
    }

    #[test]
    fn a_link_is_read_back_and_no_other_is() {
        let key = LinkKey::new(hmac::Key::new(hmac::HMAC_SHA256, b"one"));
        let other = LinkKey::new(hmac::Key::new(hmac::HMAC_SHA256, b"two"));
        let contact = ContactId(0x0190_1234_5678_7abc_8def_0123_4567_89ab);
        let token = key.token(contact);
        assert_eq!((token.len(), key.contact(&token), other.contact(&token)), (32, Some(contact), None));
        for index in 0..token.len() {
            let mut bytes = token.clone().into_bytes();
            bytes[index] = if bytes[index] == b'A' { b'B' } else { b'A' };
            assert_eq!(key.contact(std::str::from_utf8(&bytes).unwrap()), None, "byte {index}");
        }
        assert_eq!([key.contact(""), key.contact(&token[1..]), key.contact(&(token + "A"))], [None; 3]);
    }

    #[test]
    fn a_signature_is_that_of_the_body() {
        // RFC 4231, test case 2.
        let want = "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(signature(b"Jefe", b"what do ya want for nothing?"), want);
    }
}
