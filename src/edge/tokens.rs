//! Bearer tokens of the HTTP door: who may bring contacts without a certificate.
//!
//! ```toml
//! [[token]]
//! sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"   # of the token; the token itself is kept nowhere
//! gateway = "http-app"
//! load_test = false                                                             # may be left out
//! ```
//!
//! A token opens one door only: contacts. Tables and metrics need a certificate.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use ring::rand::SecureRandom;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::tls::write_private;
use crate::limits::TOKENS_MAX;
use crate::units::Name;

/// The file beside the certificates.
pub const TOKENS_FILE: &str = "tokens.toml";
/// The development token of `najda certs dev`, for `curl -H "Authorization: Bearer $(cat http-app.token)"`.
pub const DEV_TOKEN_FILE: &str = "http-app.token";
/// The gateway the development token speaks for.
pub const DEV_GATEWAY: &str = "http-app";
const TOKEN_BYTES: usize = 32;

/// Whom a token speaks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bearer {
    pub gateway: Name,
    /// Every contact it brings is a test.
    pub load_test: bool,
}

/// The tokens known, by their hash.
#[derive(Clone, Debug, Default)]
pub struct Tokens {
    by_hash: BTreeMap<[u8; 32], Bearer>,
}

/// Why tokens cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokensError {
    #[error("cannot use {path}: {why}")]
    Disk { path: PathBuf, why: io::Error },
    #[error("{path}: {why}")]
    Unreadable { path: PathBuf, why: String },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    token: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    sha256: String,
    gateway: String,
    #[serde(default)]
    load_test: bool,
}

impl Tokens {
    /// Reads the file; no file means no tokens.
    ///
    /// # Errors
    /// The file cannot be read, or a row in it; then none of its tokens is used.
    pub fn read(path: &Path) -> Result<Self, TokensError> {
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&text).map_err(|why| TokensError::Unreadable { path: path.to_owned(), why }),
            Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(why) => Err(TokensError::Disk { path: path.to_owned(), why }),
        }
    }

    /// # Errors
    /// What is wrong, with the row counted from 1.
    pub fn parse(text: &str) -> Result<Self, String> {
        let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
        if file.token.len() > TOKENS_MAX {
            return Err(format!("{} tokens, at most {TOKENS_MAX} are kept", file.token.len()));
        }
        let mut by_hash = BTreeMap::new();
        for (index, row) in file.token.into_iter().enumerate() {
            let at = |what: &str| format!("token {}: {what}", index + 1);
            let hash = hash_of_hex(&row.sha256).ok_or_else(|| at("`sha256` is not 64 hex digits"))?;
            let gateway = Name::new(&row.gateway).filter(|name| !name.as_str().contains('/'));
            let gateway = gateway.ok_or_else(|| at("`gateway` is not 1 to 32 visible ASCII characters without a slash"))?;
            if by_hash.insert(hash, Bearer { gateway, load_test: row.load_test }).is_some() {
                return Err(at("the same token stands in two rows"));
            }
        }
        Ok(Self { by_hash })
    }

    /// Whom this token speaks for. The hash is compared, so that the time taken says nothing about a token.
    pub fn find(&self, token: &str) -> Option<Bearer> {
        let hash: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        self.by_hash.get(&hash).copied()
    }

    pub fn count(&self) -> usize {
        self.by_hash.len()
    }

    /// Makes a token for [`DEV_GATEWAY`] in a folder of development certificates, unless the folder has tokens already.
    ///
    /// # Errors
    /// [`TokensError::Disk`].
    pub fn make_dev(folder: &Path) -> Result<(), TokensError> {
        let path = folder.join(TOKENS_FILE);
        if path.exists() {
            return Ok(());
        }
        let at = |path: &Path| {
            let path = path.to_owned();
            move |why| TokensError::Disk { path, why }
        };
        let mut bytes = [0; TOKEN_BYTES];
        ring::rand::SystemRandom::new().fill(&mut bytes).map_err(|_| at(&path)(io::Error::other("no entropy")))?;
        let token = hex(&bytes);
        let text = format!("[[token]]\nsha256 = \"{}\"\ngateway = \"{DEV_GATEWAY}\"\n", hex(&Sha256::digest(token.as_bytes())));
        let token_path = folder.join(DEV_TOKEN_FILE);
        // The token first: without its row it opens nothing.
        write_private(&token_path, token.as_bytes()).map_err(at(&token_path))?;
        write_private(&path, text.as_bytes()).map_err(at(&path))
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn hash_of_hex(text: &str) -> Option<[u8; 32]> {
    let digits = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let mut hash = [0; 32];
    for (index, byte) in hash.iter_mut().enumerate().take(if digits { 32 } else { 0 }) {
        *byte = u8::from_str_radix(text.get(index * 2..index * 2 + 2)?, 16).ok()?;
    }
    digits.then_some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH_OF_TEST: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

    #[test]
    fn a_token_is_found_by_its_hash_and_no_other_is() {
        let text = format!("[[token]]\nsha256 = \"{HASH_OF_TEST}\"\ngateway = \"app\"\nload_test = true\n");
        let tokens = Tokens::parse(&text).unwrap();
        assert_eq!(tokens.find("test"), Some(Bearer { gateway: Name::new("app").unwrap(), load_test: true }));
        assert_eq!((tokens.find("Test"), tokens.find(""), tokens.find(HASH_OF_TEST)), (None, None, None));
    }

    #[test]
    fn a_row_that_cannot_be_read_refuses_the_file_and_names_the_row() {
        let row = |hash: &str, rest: &str| format!("[[token]]\nsha256 = \"{hash}\"\n{rest}\n");
        let good = row(HASH_OF_TEST, "gateway = \"app\"");
        for (text, says) in [
            (row("12", "gateway = \"app\""), "token 1: `sha256`"),
            (row(&"\u{661}".repeat(32), "gateway = \"app\""), "token 1: `sha256`"),
            (row(HASH_OF_TEST, "gateway = \"a b\""), "token 1: `gateway`"),
            (row(HASH_OF_TEST, "gateway = \"http/a\""), "token 1: `gateway`"),
            (row(HASH_OF_TEST, "gateway = \"app\"\nadmin = true"), "admin"),
            (format!("{good}{good}"), "token 2: the same token"),
        ] {
            let error = Tokens::parse(&text).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn the_development_token_opens_its_gateway_and_is_made_once() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Tokens::read(&folder.path().join(TOKENS_FILE)).unwrap().count(), 0);
        Tokens::make_dev(folder.path()).unwrap();
        let token = std::fs::read_to_string(folder.path().join(DEV_TOKEN_FILE)).unwrap();
        Tokens::make_dev(folder.path()).unwrap();
        let tokens = Tokens::read(&folder.path().join(TOKENS_FILE)).unwrap();
        assert_eq!(tokens.find(&token).map(|bearer| bearer.gateway.to_string()), Some(DEV_GATEWAY.to_owned()));
    }
}
