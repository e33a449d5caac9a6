//! What both ends of a door agree on: protocol names, close codes, the limits of a connection, and certificates as PEM.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::QuicClientConfig;
use quinn::{AckFrequencyConfig, IdleTimeout, TransportConfig, VarInt};
use rustls::crypto::CryptoProvider;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::limits::{IDLE_MICROS_MAX, KEEP_ALIVE_MICROS, PACKETS_AN_ACK, SEND_WINDOW_BYTES_MAX, STREAM_WINDOW_BYTES_MAX};

/// The protocol of gateways.
pub const ALPN_GATEWAY: &[u8] = b"najda-gateway/1";
/// The protocol of consoles.
pub const ALPN_CONSOLE: &[u8] = b"najda-console/1";

/// Why an end closed a session. The number travels in the QUIC close frame, with a sentence beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum CloseCode {
    /// The client leaves in good order.
    Bye = 0,
    /// The engine stops or restarts: come back, here or elsewhere.
    Draining = 1,
    /// The certificate's role does not belong at this door.
    RoleRefused = 2,
    /// Bytes arrived that are no frames.
    Malformed = 3,
    /// The peer reads too slowly; it resumes with a new session.
    SlowConsumer = 4,
    /// Nothing was said in time.
    HandshakeSlow = 5,
    /// The engine asked for it: the protocol was broken.
    EngineClosed = 6,
}

impl CloseCode {
    const ALL: [Self; 7] =
        [Self::Bye, Self::Draining, Self::RoleRefused, Self::Malformed, Self::SlowConsumer, Self::HandshakeSlow, Self::EngineClosed];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Bye => "bye",
            Self::Draining => "draining",
            Self::RoleRefused => "role refused",
            Self::Malformed => "malformed",
            Self::SlowConsumer => "slow consumer",
            Self::HandshakeSlow => "handshake slow",
            Self::EngineClosed => "closed by the engine",
        }
    }

    pub fn from_code(code: VarInt) -> Option<Self> {
        Self::ALL.into_iter().find(|known| u64::from(*known as u32) == code.into_inner())
    }
}

impl From<CloseCode> for VarInt {
    fn from(code: CloseCode) -> Self {
        Self::from_u32(code as u32)
    }
}

/// The only provider of cryptography; two in one process panic at the first handshake.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// The bounds of a connection at either end. `peer_streams` is how many two-way streams the peer may open.
pub fn transport(peer_streams: u32) -> TransportConfig {
    let mut config = TransportConfig::default();
    // Half of all packets under load would say nothing else.
    let mut acknowledgements = AckFrequencyConfig::default();
    acknowledgements.ack_eliciting_threshold(VarInt::from_u32(PACKETS_AN_ACK));
    config
        .ack_frequency_config(Some(acknowledgements))
        .max_concurrent_bidi_streams(VarInt::from_u32(peer_streams))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None)
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW_BYTES_MAX as u32))
        .receive_window(VarInt::from_u32(STREAM_WINDOW_BYTES_MAX as u32))
        .send_window(SEND_WINDOW_BYTES_MAX as u64)
        .keep_alive_interval(Some(Duration::from_micros(KEEP_ALIVE_MICROS)))
        .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32((IDLE_MICROS_MAX / 1_000) as u32))));
    config
}

/// A certificate with its key, and the authority both ends trust.
#[derive(Debug)]
pub struct Identity {
    pub authority: Vec<CertificateDer<'static>>,
    pub chain: Vec<CertificateDer<'static>>,
    pub key: PrivateKeyDer<'static>,
}

impl Clone for Identity {
    fn clone(&self) -> Self {
        Self { authority: self.authority.clone(), chain: self.chain.clone(), key: self.key.clone_key() }
    }
}

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    #[error("cannot read {path}: {why}")]
    Unreadable { path: PathBuf, why: std::io::Error },
    #[error("{what} holds no usable PEM: {why}")]
    BadPem { what: &'static str, why: String },
    #[error("TLS refuses the certificate: {0}")]
    Refused(#[from] rustls::Error),
}

impl Identity {
    /// # Errors
    /// [`IdentityError::BadPem`] names the part.
    pub fn from_pems(authority: &[u8], chain: &[u8], key: &[u8]) -> Result<Self, IdentityError> {
        Ok(Self {
            authority: certificates("the authority", authority)?,
            chain: certificates("the certificate", chain)?,
            key: private(key)?,
        })
    }

    /// Reads `ca.pem`, `<name>.pem` and `<name>.key` of a folder, as `najda certs dev` writes them.
    ///
    /// # Errors
    /// [`IdentityError::Unreadable`] names the file.
    pub fn from_folder(folder: &Path, name: &str) -> Result<Self, IdentityError> {
        let read = |file: String| {
            let path = folder.join(file);
            fs::read(&path).map_err(|why| IdentityError::Unreadable { path, why })
        };
        Self::from_pems(&read("ca.pem".into())?, &read(format!("{name}.pem"))?, &read(format!("{name}.key"))?)
    }

    /// # Errors
    /// [`IdentityError::Refused`] when an authority's certificate cannot be read.
    pub fn roots(&self) -> Result<rustls::RootCertStore, IdentityError> {
        let mut roots = rustls::RootCertStore::empty();
        self.authority.iter().try_for_each(|certificate| roots.add(certificate.clone()))?;
        Ok(roots)
    }

    /// The client's end of a connection: TLS 1.3, this certificate shown, no early data, no resumption.
    pub(super) fn client_config(&self, alpn: &[u8]) -> Result<quinn::ClientConfig, IdentityError> {
        let mut tls = rustls::ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(self.roots()?)
            .with_client_auth_cert(self.chain.clone(), self.key.clone_key())?;
        tls.alpn_protocols = vec![alpn.to_vec()];
        tls.enable_early_data = false;
        tls.resumption = rustls::client::Resumption::disabled();
        let crypto = QuicClientConfig::try_from(tls).map_err(|why| rustls::Error::General(why.to_string()))?;
        let mut config = quinn::ClientConfig::new(Arc::new(crypto));
        config.transport_config(Arc::new(transport(0)));
        Ok(config)
    }
}

fn certificates(what: &'static str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, IdentityError> {
    let bad = |why: String| IdentityError::BadPem { what, why };
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let found = found.map_err(|why| bad(why.to_string()))?;
    if found.is_empty() { Err(bad("no certificate in it".into())) } else { Ok(found) }
}

fn private(pem: &[u8]) -> Result<PrivateKeyDer<'static>, IdentityError> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|why| IdentityError::BadPem { what: "the key", why: why.to_string() })
}
