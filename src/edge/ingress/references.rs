//! Places that a call names instead of carrying: fetched from the location servers that ops have listed, while the call goes on.
//!
//! A call is answered on what it carries; its references are asked for afterwards, each by a task of its own, and what they answer is
//! late evidence. Nobody waits for them.
//!
//! # Invariants
//! - Only hosts of the list are asked, only over TLS, only with a certificate of the authority that was named. Whatever else a caller
//!   names is counted and left alone: we are nobody's way to somebody else's machine.
//! - A server that hangs costs its own places and nothing else: each host has its own, a fetch ends after its wait, and whoever finds no
//!   place is not queued.
//! - Redirects are not followed, references in an answer are not fetched, and an answer is read up to a bound.
//!
//! # Source
//! RFC 6753, 3 (a HELD request to the URI), RFC 5985, 5 and 6 (request, response, errors in 200), RFC 6442, 4 (Geolocation).

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use axum::http::Uri;
use rustls_pki_types::CertificateDer;
use tokio::sync::Semaphore;

use super::{DoorCounters, count};
use crate::client::http::{HttpAnswer, HttpClient, HttpError};
use crate::client::transport::Identity;
use crate::deliver::Evidence;
use crate::limits::{REFERENCE_MICROS_MAX, REFERENCES_A_CALL_MAX, REFERENCES_A_HOST_MAX, SIP_BYTES_MAX};
use crate::units::Timestamp;
use crate::wire::held::{MEDIA_TYPE, REQUEST};
use crate::wire::reading::{self, Kind};

const PIDF: &str = "application/pidf+xml";
const PORT: u16 = 443;

/// Which location servers may be asked, and who vouches for them.
#[derive(Clone, Debug)]
pub struct ReferenceConfig {
    /// `HOST` or `HOST:PORT`; 443 where none is named.
    pub hosts: Vec<Box<str>>,
    /// The authority of their certificates; that of our own clients when empty.
    pub authority: Vec<CertificateDer<'static>>,
    pub wait: Duration,
}

impl Default for ReferenceConfig {
    fn default() -> Self {
        Self { hosts: Vec::new(), authority: Vec::new(), wait: Duration::from_micros(REFERENCE_MICROS_MAX) }
    }
}

/// The listed servers.
pub(super) struct References {
    servers: Vec<Server>,
    counters: Arc<DoorCounters>,
}

struct Server {
    host: Box<str>,
    port: u16,
    client: HttpClient,
    places: Arc<Semaphore>,
}

impl References {
    /// # Errors
    /// A row that is no host, or a certificate that cannot be used.
    pub(super) fn new(config: &ReferenceConfig, identity: &Identity, counters: Arc<DoorCounters>) -> Result<Self, HttpError> {
        let authority = if config.authority.is_empty() { &identity.authority } else { &config.authority };
        let shown = Identity { authority: authority.clone(), ..identity.clone() };
        let server = |row: &str| {
            let uri = format!("https://{row}/").parse::<Uri>().ok().filter(|uri| uri.path_and_query().is_some_and(|path| path == "/"));
            let (host, port) = uri.as_ref().and_then(host_of).ok_or_else(|| HttpError::BadAddress { got: row.to_owned() })?;
            let client = HttpClient::with_certificate(&format!("https://{host}:{port}"), &shown)?;
            let client = client.within(config.wait, SIP_BYTES_MAX);
            Ok(Server { host, port, client, places: Arc::new(Semaphore::new(REFERENCES_A_HOST_MAX)) })
        };
        Ok(Self { servers: config.hosts.iter().map(|row| server(row)).collect::<Result<_, HttpError>>()?, counters })
    }

    /// Asks for what a call named, and says what came of it; returns at once.
    pub(super) fn fetch(
        &self,
        references: &[Box<str>],
        now: Timestamp,
        runtime: &tokio::runtime::Handle,
        tell: impl FnOnce(Evidence) + Clone + Send + 'static,
    ) {
        let fetched = references.iter().filter(|text| text.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https:")));
        for text in fetched.take(REFERENCES_A_CALL_MAX) {
            let Some((server, path)) = self.server_of(text) else {
                count(&self.counters.references_refused);
                continue;
            };
            let Ok(place) = Arc::clone(&server.places).try_acquire_owned() else {
                count(&self.counters.references_full);
                continue;
            };
            let (client, counters, tell) = (server.client.clone(), Arc::clone(&self.counters), tell.clone());
            drop(runtime.spawn(async move {
                let answer = client.post(&path, MEDIA_TYPE, REQUEST).await;
                drop(place);
                let (counter, evidence) = heard(answer, now, &counters);
                count(counter);
                if let Some(evidence) = evidence {
                    tell(evidence);
                }
            }));
        }
    }

    /// The listed server of a reference, and what to ask it for.
    fn server_of(&self, text: &str) -> Option<(&Server, String)> {
        let uri: Uri = text.trim().parse().ok()?;
        let (host, port) = host_of(&uri)?;
        let server = self.servers.iter().find(|server| server.host == host && server.port == port)?;
        Some((server, uri.path_and_query().map_or("/", |path| path.as_str()).to_owned()))
    }
}

/// In lower case; `None` for a URI with a user in it, which is there to be mistaken for a host.
fn host_of(uri: &Uri) -> Option<(Box<str>, u16)> {
    let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'))?;
    let host = authority.host().to_ascii_lowercase();
    let port = match authority.port_u16() {
        None if authority.as_str() == authority.host() => PORT,
        // Something stands there that is no port.
        None => return None,
        Some(port) => port,
    };
    (!host.is_empty()).then(|| (host.into(), port))
}

/// The place in an answer, and what it counts as.
fn heard(answer: Result<HttpAnswer, HttpError>, now: Timestamp, counters: &DoorCounters) -> (&AtomicU64, Option<Evidence>) {
    let failed = (&*counters.references_failed, None);
    let Ok(answer) = answer.inspect_err(|why| tracing::info!(%why, "a place could not be fetched")) else { return failed };
    let kind = answer.content_type.split(';').next().unwrap_or_default().trim();
    if answer.status != 200 || ![MEDIA_TYPE, PIDF].iter().any(|known| kind.eq_ignore_ascii_case(known)) {
        tracing::info!(status = answer.status, kind, "a location server answered something else");
        return failed;
    }
    match reading::read(Kind::Held, &answer.body, now).place_by_reference(now) {
        Some(claim) => (&*counters.references_fetched, Some(Evidence { claims: vec![claim], ..Evidence::default() })),
        None => failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::certs::DevCerts;

    fn listed(hosts: &[&str]) -> Result<References, HttpError> {
        let folder = tempfile::tempdir().unwrap();
        let identity = DevCerts::make(folder.path(), &[]).unwrap().server().unwrap();
        let config = ReferenceConfig { hosts: hosts.iter().map(|host| (*host).into()).collect(), ..ReferenceConfig::default() };
        References::new(&config, &identity, Arc::default())
    }

    #[test]
    fn only_a_listed_host_at_its_port_is_asked_and_for_the_path_that_was_named() {
        let listed = listed(&["ls.example", "127.0.0.1:8443"]).unwrap();
        let asked = |text: &str| listed.server_of(text).map(|(server, path)| format!("{}:{}{path}", server.host, server.port));
        for (text, expected) in [
            ("https://ls.example/held/1?x=2", Some("ls.example:443/held/1?x=2")),
            ("https://LS.example:443", Some("ls.example:443/")),
            ("https://127.0.0.1:8443/a", Some("127.0.0.1:8443/a")),
            ("https://ls.example:8443/a", None),
            ("https://ls.example@evil.example/a", None),
            ("https://user@ls.example/a", None),
            ("https://ls.example.evil.example/a", None),
            ("https://evil.example/ls.example", None),
            ("https:///a", None),
            ("ls.example/a", None),
        ] {
            assert_eq!(asked(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_row_that_is_no_host_is_refused_when_the_door_opens() {
        for row in ["", "ls example", "https://ls.example", "ls.example/path", "a@b", "ls.example:x"] {
            assert!(matches!(listed(&[row]), Err(HttpError::BadAddress { .. })), "{row}");
        }
    }
}
