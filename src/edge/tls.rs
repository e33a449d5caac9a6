//! Who is at the door: TLS with certificates on both sides, and the role a certificate carries.
//!
//! The role is a URI in the certificate's subject alternative name:
//!
//! ```text
//! urn:najda:gateway/<trunk>                  urn:najda:load-test/gateway/<trunk>
//! urn:najda:console/<dispatcher>/<seat>      urn:najda:load-test/console/<dispatcher>/<seat>
//! urn:najda:supervisor/<dispatcher>/<seat>   urn:najda:auditor/<name>
//! urn:najda:ops/<name>
//! ```
//!
//! # Invariants
//! - TLS 1.3 only, ring only, a client certificate always, no early data, no resumption: each session proves its certificate anew.
//! - A certificate with no role, two roles, or a role that does not parse opens no door.

use core::fmt;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use quinn::crypto::rustls::QuicServerConfig;
use ring::hmac;
use ring::rand::SecureRandom;
use rustls::server::WebPkiClientVerifier;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::client::transport::{ALPN_CONSOLE, ALPN_GATEWAY, Identity, IdentityError, provider, transport};
use crate::deliver::{Duty, Seat};
use crate::units::Name;

const URN: &str = "urn:najda:";

/// What a certificate allows its holder to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Sees what every room sees, and can do nothing.
    Auditor {
        name: Name,
    },
    Console {
        seat: Seat,
        /// Sees only load-test contacts.
        load_test: bool,
    },
    Gateway {
        trunk: Name,
        /// Every contact it brings is a test.
        load_test: bool,
    },
    Ops {
        name: Name,
    },
    /// A seat whose holder may declare events as well.
    Supervisor {
        seat: Seat,
    },
}

/// Why a certificate has no role.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RoleError {
    #[error("the peer showed no certificate")]
    PeerShowedNone,
    #[error("the certificate cannot be read: {0}")]
    Unreadable(String),
    #[error("the certificate has {got} role URIs ({URN}...) in its subject alternative name; exactly one is needed")]
    NotOne { got: usize },
    #[error(
        "{got:?} is no role: gateway/<trunk>, console/<dispatcher>/<seat>, supervisor/<dispatcher>/<seat>, auditor/<name>, ops/<name> or \
        load-test/(gateway|console)/..., each name 1 to 32 visible ASCII characters"
    )]
    NoRole { got: String },
}

impl Role {
    /// Reads the role URI of a certificate in DER.
    ///
    /// # Errors
    /// See [`RoleError`]; its text is what the client prints.
    pub fn from_certificate(der: &[u8]) -> Result<Self, RoleError> {
        let (_, certificate) = X509Certificate::from_der(der).map_err(|why| RoleError::Unreadable(why.to_string()))?;
        let names = certificate.subject_alternative_name().map_err(|why| RoleError::Unreadable(why.to_string()))?;
        let names = names.map_or([].as_slice(), |extension| extension.value.general_names.as_slice());
        let roles: Vec<&str> = names
            .iter()
            .filter_map(|name| match name {
                GeneralName::URI(uri) if uri.starts_with(URN) => Some(*uri),
                _ => None,
            })
            .collect();
        match roles.as_slice() {
            [one] => Self::parse(one),
            other => Err(RoleError::NotOne { got: other.len() }),
        }
    }

    /// Reads `urn:najda:...`, or the same without the prefix, as a person types it.
    ///
    /// # Errors
    /// [`RoleError::NoRole`].
    pub fn parse(text: &str) -> Result<Self, RoleError> {
        let path = text.strip_prefix(URN).unwrap_or(text);
        let role = match path.strip_prefix("load-test/") {
            Some(path) => Self::parse_path(path, true),
            None => Self::parse_path(path, false),
        };
        role.ok_or_else(|| RoleError::NoRole { got: text.chars().take(128).collect() })
    }

    fn parse_path(path: &str, load_test: bool) -> Option<Self> {
        // A name with a slash would be two roles to two readers; splitting makes it none.
        let mut parts = path.split('/');
        let role = match (parts.next()?, load_test) {
            ("gateway", _) => Self::Gateway { trunk: Name::new(parts.next()?)?, load_test },
            ("console", _) => {
                let seat = Seat { dispatcher: Name::new(parts.next()?)?, seat: Name::new(parts.next()?)? };
                Self::Console { seat, load_test }
            }
            ("supervisor", false) => {
                Self::Supervisor { seat: Seat { dispatcher: Name::new(parts.next()?)?, seat: Name::new(parts.next()?)? } }
            }
            ("auditor", false) => Self::Auditor { name: Name::new(parts.next()?)? },
            ("ops", false) => Self::Ops { name: Name::new(parts.next()?)? },
            _ => return None,
        };
        parts.next().is_none().then_some(role)
    }

    /// The seat and the duty of a person at a console; `None` for who is none, and for a load test's.
    pub fn duty(self) -> Option<(Seat, Duty)> {
        match self {
            Self::Auditor { name } => Some((Seat { dispatcher: Name::default(), seat: name }, Duty::Auditor)),
            Self::Console { seat, load_test: false } => Some((seat, Duty::Dispatcher)),
            Self::Supervisor { seat } => Some((seat, Duty::Supervisor)),
            Self::Console { .. } | Self::Gateway { .. } | Self::Ops { .. } => None,
        }
    }

    /// What the role's holder brings or sees is a test.
    pub const fn is_load_test(self) -> bool {
        match self {
            Self::Console { load_test, .. } | Self::Gateway { load_test, .. } => load_test,
            Self::Auditor { .. } | Self::Ops { .. } | Self::Supervisor { .. } => false,
        }
    }
}

impl fmt::Display for Role {
    /// The URI.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let test = if self.is_load_test() { "load-test/" } else { "" };
        match self {
            Self::Console { seat, .. } => write!(f, "{URN}{test}console/{}/{}", seat.dispatcher, seat.seat),
            Self::Gateway { trunk, .. } => write!(f, "{URN}{test}gateway/{trunk}"),
            Self::Auditor { name } => write!(f, "{URN}auditor/{name}"),
            Self::Ops { name } => write!(f, "{URN}ops/{name}"),
            Self::Supervisor { seat } => write!(f, "{URN}supervisor/{}/{}", seat.dispatcher, seat.seat),
        }
    }
}

/// The doors' end of a QUIC connection: both protocols on one socket, a client certificate of the identity's authority required.
///
/// # Errors
/// [`IdentityError::Refused`] when TLS cannot use the certificate.
pub fn quic_server(identity: &Identity) -> Result<quinn::ServerConfig, IdentityError> {
    let general = |why: String| rustls::Error::General(why);
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(identity.roots()?), provider())
        .build()
        .map_err(|why| general(why.to_string()))?;
    let mut tls = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(verifier)
        .with_single_cert(identity.chain.clone(), identity.key.clone_key())?;
    tls.alpn_protocols = vec![ALPN_GATEWAY.to_vec(), ALPN_CONSOLE.to_vec()];
    tls.max_early_data_size = 0;
    tls.send_tls13_tickets = 0;
    tls.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    let crypto = QuicServerConfig::try_from(tls).map_err(|why| general(why.to_string()))?;
    let mut config = quinn::ServerConfig::with_crypto(Arc::new(crypto));
    config.transport_config(Arc::new(transport(1)));
    Ok(config)
}

/// The HTTP door's end: a client certificate of the identity's authority, or none. Who shows a wrong one is not let in.
///
/// # Errors
/// As [`quic_server`].
pub fn http_server(identity: &Identity) -> Result<rustls::ServerConfig, IdentityError> {
    strangers_too(identity, &[b"http/1.1"])
}

/// The SIP door's end: as the HTTP door's. Gateways agree on no protocol name.
///
/// # Errors
/// As [`quic_server`].
pub fn sip_server(identity: &Identity) -> Result<rustls::ServerConfig, IdentityError> {
    strangers_too(identity, &[])
}

fn strangers_too(identity: &Identity, protocols: &[&[u8]]) -> Result<rustls::ServerConfig, IdentityError> {
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(identity.roots()?), provider())
        .allow_unauthenticated()
        .build()
        .map_err(|why| rustls::Error::General(why.to_string()))?;
    // Apps and panels of strangers: TLS 1.2 as well as 1.3.
    let mut tls = rustls::ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(verifier)
        .with_single_cert(identity.chain.clone(), identity.key.clone_key())?;
    tls.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    tls.max_early_data_size = 0;
    tls.send_tls13_tickets = 0;
    tls.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    Ok(tls)
}

/// Why the key of stateless resets cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot keep the reset key in {path}: {why}")]
pub struct ResetKeyError {
    pub path: PathBuf,
    pub why: io::Error,
}

/// The key of stateless resets, kept in the state folder: a restarted engine tells its old peers at once that their sessions are
/// gone, instead of leaving them to their idle time-out.
///
/// # Source
/// RFC 9000, 10.3.
///
/// # Errors
/// [`ResetKeyError`] names the file.
pub fn reset_key(state_folder: &Path) -> Result<hmac::Key, ResetKeyError> {
    let path = state_folder.join("quic-reset.key");
    let bytes = read_or_make(&path).map_err(|why| ResetKeyError { path, why })?;
    Ok(hmac::Key::new(hmac::HMAC_SHA256, &bytes))
}

const RESET_KEY_BYTES: usize = 64;

fn read_or_make(path: &Path) -> io::Result<Vec<u8>> {
    match fs::read(path) {
        Ok(bytes) if bytes.len() == RESET_KEY_BYTES => Ok(bytes),
        // A key cut short by a crash protects nothing; a new one only costs the old sessions their idle time-out.
        Ok(_) => make_key(path),
        Err(why) if why.kind() == io::ErrorKind::NotFound => make_key(path),
        Err(why) => Err(why),
    }
}

fn make_key(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; RESET_KEY_BYTES];
    ring::rand::SystemRandom::new().fill(&mut bytes).map_err(|_| io::Error::other("no entropy"))?;
    write_private(path, &bytes)?;
    Ok(bytes)
}

/// Writes a whole file or none: only its owner may read it, and a crash leaves the old one.
pub(super) fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = PathBuf::from(new);
    // A leftover may have other rights than ours.
    match fs::remove_file(&new) {
        Err(why) if why.kind() != io::ErrorKind::NotFound => return Err(why),
        _ => {}
    }
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    path.parent().map_or(Ok(()), |folder| fs::File::open(folder)?.sync_all())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    #[test]
    fn a_role_is_read_from_its_uri_and_written_back() {
        let seat = Seat { dispatcher: name("DU-POL"), seat: name("seat-4") };
        let cases = [
            ("urn:najda:gateway/etisalat-1", Role::Gateway { trunk: name("etisalat-1"), load_test: false }),
            ("urn:najda:console/DU-POL/seat-4", Role::Console { seat, load_test: false }),
            ("urn:najda:ops/omar", Role::Ops { name: name("omar") }),
            ("urn:najda:supervisor/DU-POL/chief", Role::Supervisor { seat: Seat { dispatcher: name("DU-POL"), seat: name("chief") } }),
            ("urn:najda:auditor/huda", Role::Auditor { name: name("huda") }),
            ("urn:najda:load-test/gateway/g1", Role::Gateway { trunk: name("g1"), load_test: true }),
            ("urn:najda:load-test/console/DU-POL/seat-4", Role::Console { seat, load_test: true }),
        ];
        for (uri, role) in cases {
            assert_eq!(Role::parse(uri), Ok(role));
            assert_eq!(Role::parse(uri.strip_prefix(URN).unwrap()), Ok(role));
            assert_eq!(role.to_string(), uri);
        }
    }

    #[test]
    fn what_is_not_exactly_a_role_is_none() {
        let long = format!("gateway/{}", "x".repeat(Name::BYTES_MAX + 1));
        let cases = [
            "",
            "gateway",
            "gateway/",
            "gateway//",
            "gateway/a/b",
            "gateway/a/",
            "/gateway/a",
            "Gateway/a",
            "console/DU-POL",
            "console/DU-POL/",
            "console//1",
            "console/a/b/c",
            "ops",
            "ops/a/b",
            "supervisor/DU-POL",
            "auditor/a/b",
            "load-test/auditor/a",
            "load-test/supervisor/a/b",
            "load-test/ops/a",
            "load-test/load-test/gateway/a",
            "load-test",
            "gateway/a b",
            "gateway/\u{661}",
            "urn:najda:urn:najda:gateway/a",
            &long,
        ];
        for case in cases {
            assert!(matches!(Role::parse(case), Err(RoleError::NoRole { .. })), "{case:?}");
        }
    }

    #[test]
    fn a_file_that_is_no_certificate_has_no_role() {
        assert!(matches!(Role::from_certificate(b"nothing"), Err(RoleError::Unreadable(_))));
    }

    #[test]
    fn the_reset_key_survives_a_restart_and_is_its_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let sign = || hmac::sign(&reset_key(folder.path()).unwrap(), b"x").as_ref().to_vec();
        let first = sign();
        assert_eq!(sign(), first);
        let path = folder.path().join("quic-reset.key");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

        fs::write(&path, b"cut short").unwrap();
        assert_ne!(sign(), first);
        assert_eq!(fs::read(&path).unwrap().len(), RESET_KEY_BYTES);
        assert!(reset_key(Path::new("/nonexistent")).is_err());
    }
}
