//! Fingerprints of a contact's key and of its content: equal contacts are found without keeping or comparing them.
//!
//! SHA-256, cut to 128 bits: a caller who writes the content cannot make two contacts look like one. Only a
//! checkpoint stores fingerprints, with one that is known beside them, so they may differ between versions.

use core::hash::{Hash, Hasher};

use sha2::{Digest, Sha256};

use crate::contact::{Contact, ContactKey};
use crate::units::Name;

/// Who sent it and what they call it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct KeyDigest(u128);

impl KeyDigest {
    pub const fn number(self) -> u128 {
        self.0
    }

    /// One that a checkpoint kept.
    pub const fn of_number(number: u128) -> Self {
        Self(number)
    }
}

/// The key and everything in the contact but what the engine adds: its id, when it was received, its revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ContentDigest(u128);

impl ContentDigest {
    pub const fn number(self) -> u128 {
        self.0
    }

    /// One that a checkpoint kept.
    pub const fn of_number(number: u128) -> Self {
        Self(number)
    }
}

pub(super) fn of_key(key: &ContactKey) -> KeyDigest {
    let mut bytes = Bytes(Vec::with_capacity(128));
    key.hash(&mut bytes);
    KeyDigest(bytes.digest())
}

/// Stands for whatever contact comes from a line next. No gateway has this name, so no key looks like it.
pub(super) fn of_line(line: &Name) -> KeyDigest {
    of_key(&ContactKey { gateway: Name::of_word("line/next"), gateway_ref: line.as_str().into() })
}

pub(super) fn of_content(contact: &Contact) -> ContentDigest {
    // Named one by one: a new field must be looked at here before this compiles.
    let Contact { id: _, received: _, revision: _, key, door, load_test, trunk, line, cell, lang, claims, signals, oddities } = contact;
    let mut bytes = Bytes(Vec::with_capacity(1024));
    key.hash(&mut bytes);
    (door, load_test, trunk, line, cell, lang).hash(&mut bytes);
    (claims, signals, oddities).hash(&mut bytes);
    ContentDigest(bytes.digest())
}

/// Collects what is hashed; lists and strings bring their own lengths and ends.
struct Bytes(Vec<u8>);

impl Bytes {
    fn digest(&self) -> u128 {
        let digest = Sha256::digest(&self.0);
        digest.iter().take(16).fold(0, |sum, byte| sum << 8 | u128::from(*byte))
    }
}

impl Hasher for Bytes {
    fn write(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn finish(&self) -> u64 {
        self.digest() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contact::{Door, Signal};
    use crate::units::{ContactId, Timestamp};

    fn contact() -> Contact {
        let key = ContactKey { gateway: Name::new("gw").unwrap(), gateway_ref: "a".into() };
        Contact::new(ContactId(1), key, Timestamp::from_secs(1), Door::Sms)
    }

    #[test]
    fn content_ignores_what_the_engine_adds() {
        let other = Contact { id: ContactId(2), received: Timestamp::from_secs(9), revision: 4, ..contact() };
        assert_eq!(of_content(&contact()), of_content(&other));
    }

    #[test]
    fn content_differs_with_every_word_of_the_sender() {
        let mut other = contact();
        other.signals.push(Signal::Words("fire".into()));
        assert_ne!(of_content(&contact()), of_content(&other));
        let key = ContactKey { gateway_ref: "b".into(), ..contact().key };
        assert_ne!(of_key(&contact().key), of_key(&key));
        assert_ne!(of_content(&contact()), of_content(&Contact { key, ..contact() }));
    }
}
