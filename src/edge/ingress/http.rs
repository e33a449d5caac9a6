//! The HTTP door: contacts of apps and panels, tables and states of ops, health and metrics, on a TLS listener of its own.
//!
//! ```text
//! TCP -> a place among the connections -> TLS (client certificate or none) -> head -> who is it -> a place among the requests
//!        (beyond: closed, counted)        (bounded in time)               (bounded)  401, 403    (beyond: see below)
//! ```
//!
//! | path | who | |
//! | --- | --- | --- |
//! | `POST /v1/contacts` | `gateway/<name>`, or a bearer token | 201 durable, 202 not yet, 400 no contact |
//! | `POST /v1/contacts/{id}/words` | as contacts, the same gateway | 202: more of what its caller writes |
//! | `GET /v1/contacts/{id}/words?after=N` | as contacts, the same gateway | 200: what was said to its caller |
//! | `POST /aml`, `POST /aml/sms?from=` | as contacts | 200 whatever was in it: a phone's place, about its call |
//! | `POST /cap` | as contacts | as contacts; 200 for an alert that is over, 400 for none |
//! | `POST /lost` | anybody | the room for a service at a place (RFC 5222); errors are 200 too |
//! | `POST /v1/tables[?force=true]` | `ops/<name>` | 200 in force, 422 refused and the old set serves, 409 another is under way |
//! | `POST /v1/dispatchers/{id}/state` | `ops/<name>` | 200, 404 no such dispatcher |
//! | `GET /r/{token}`, `POST /r/{token}` | whoever was sent the link | the page on which help is rated |
//! | `GET /metrics` | `ops/<name>` | OpenMetrics |
//! | `GET /livez`, `GET /readyz` | anybody | 200, or 503 with the reasons |
//!
//! # Invariants
//! - A contact is decided on the task that read it, before anything is waited for.
//! - A contact that could be read and came from somebody known is never refused for want of room: beyond
//!   [`HTTP_REQUESTS_MAX`](crate::limits::HTTP_REQUESTS_MAX) it is decided, handed to the engine, and answered 202 without waiting
//!   for the journal. Only callers nobody knows hear 429.
//! - The gateway of a contact is `http/<name>`: no certificate of the QUIC door can have that name, so neither door hears the
//!   other's promises.
//! - One connection serves one request at a time; each wait has an end.
//!
//! How connections are accepted and served is `edge/listen.rs`'s.

mod contacts;
mod legs;
mod lost;
mod ops;
mod ratings;
mod reports;
mod words;

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Request, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::service::TowerToHyperService;
use ring::hmac;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use self::ratings::Ratings;
use super::alerts::Alerts;
use super::devices::Devices;
use super::lines::Lines;
use super::sip::{Legs, NAME_DEFAULT, SipDoor};
use super::{DoorCounters, count};
use crate::client::transport::{Identity, IdentityError};
use crate::edge::listen;
use crate::edge::notify::link_key;
use crate::edge::run::{Node, NodeCore};
use crate::edge::tls::{self, ResetKeyError, Role, RoleError};
use crate::edge::tokens::{Tokens, TokensError};
use crate::limits::{
    DRAIN_MICROS_MAX, HANDSHAKE_MICROS_MAX, HTTP_BODY_MICROS_MAX, HTTP_CONNECTIONS_MAX, HTTP_DROPPED_BYTES_MAX, HTTP_HEAD_MICROS_MAX,
    HTTP_REQUESTS_MAX, HTTP_STRANGERS_MAX, JOURNAL_WAIT_MICROS_MAX,
};
use crate::store::Store;
use crate::units::{Name, TablesVersion, Timestamp};
use crate::wire::http::Refused;

/// How the door stands.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    pub listen: SocketAddr,
    /// The engine's certificate, and the authority of its clients.
    pub identity: Identity,
    /// The file of [`Tokens`]; without it there are none.
    pub tokens: PathBuf,
    /// Where the key is kept that marks contacts which are the same.
    pub state_folder: PathBuf,
    /// Who we are in answers to LoST: a host name.
    pub name: Box<str>,
    /// As the engine's: after this long it says `Overdue`.
    pub journal_wait: Duration,
    pub connections_max: usize,
    /// Those without a certificate.
    pub strangers_max: usize,
    pub requests_max: usize,
    pub handshake_wait: Duration,
    pub head_wait: Duration,
    pub body_wait: Duration,
    pub drain_wait: Duration,
}

impl HttpConfig {
    pub fn new(listen: SocketAddr, identity: Identity, tokens: PathBuf, state_folder: PathBuf) -> Self {
        Self {
            listen,
            identity,
            tokens,
            state_folder,
            name: NAME_DEFAULT.into(),
            journal_wait: Duration::from_micros(JOURNAL_WAIT_MICROS_MAX),
            connections_max: HTTP_CONNECTIONS_MAX,
            strangers_max: HTTP_STRANGERS_MAX,
            requests_max: HTTP_REQUESTS_MAX,
            handshake_wait: Duration::from_micros(HANDSHAKE_MICROS_MAX),
            head_wait: Duration::from_micros(HTTP_HEAD_MICROS_MAX),
            body_wait: Duration::from_micros(HTTP_BODY_MICROS_MAX),
            drain_wait: Duration::from_micros(DRAIN_MICROS_MAX),
        }
    }
}

/// Why the door cannot open.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpDoorError {
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error(transparent)]
    Key(#[from] ResetKeyError),
    #[error("cannot listen on {addr}: {why}")]
    Listen { addr: SocketAddr, why: io::Error },
    #[error(transparent)]
    Tokens(#[from] TokensError),
}

/// The open door. Dropping it without [`Self::shutdown`] cuts every connection.
#[derive(Debug)]
pub struct HttpDoor {
    addr: SocketAddr,
    hall: Arc<Hall>,
    accepting: tokio::task::JoinHandle<()>,
}

impl HttpDoor {
    /// Opens the door of a running engine. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// See [`HttpDoorError`].
    pub async fn start(config: HttpConfig, node: &Node) -> Result<Self, HttpDoorError> {
        Self::beside(config, node, None).await
    }

    /// As [`Self::start`], beside the SIP door: phones' reports find its calls, and the metrics tell of it.
    ///
    /// # Errors
    /// See [`HttpDoorError`].
    pub async fn beside(config: HttpConfig, node: &Node, sip: Option<&SipDoor>) -> Result<Self, HttpDoorError> {
        let acceptor = TlsAcceptor::from(Arc::new(tls::http_server(&config.identity)?));
        let tokens = Tokens::read(&config.tokens)?;
        let listen = |why| HttpDoorError::Listen { addr: config.listen, why };
        let listener = TcpListener::bind(config.listen).await.map_err(listen)?;
        let addr = listener.local_addr().map_err(listen)?;
        let draining = watch::Sender::new(false);
        let counters = Arc::new(DoorCounters::default());
        let hall = Arc::new(Hall {
            core: Arc::clone(node.core()),
            store: Arc::clone(node.store()),
            quic: node.doors().shared_counters(),
            sip: sip.map(SipDoor::shared_counters),
            devices: sip.map(SipDoor::devices).unwrap_or_default(),
            legs: sip.map(SipDoor::legs),
            alerts: Alerts::default(),
            ratings: Ratings::new(link_key(&config.state_folder)?),
            lines: Lines::new(true, Arc::clone(node.core()), Arc::clone(&counters), draining.clone()),
            id_key: tls::reset_key(&config.state_folder)?,
            tokens: ArcSwap::from_pointee(tokens),
            tables_since: ArcSwap::from_pointee((node.core().snapshot().tables.version, node.core().clock.now())),
            strangers: Arc::new(Semaphore::new(config.strangers_max)),
            requests: Arc::new(Semaphore::new(config.requests_max)),
            publishing: Semaphore::new(1),
            counters,
            draining,
            config,
        });
        let accepting = tokio::spawn(accept(listener, acceptor, Arc::clone(&hall)));
        Ok(Self { addr, hall, accepting })
    }

    /// Where the door listens; the port the system chose when the configuration said 0.
    pub const fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    pub fn counters(&self) -> &DoorCounters {
        &self.hall.counters
    }

    /// Reads the tokens again; on an error the old ones stay.
    ///
    /// # Errors
    /// As [`Tokens::read`].
    pub fn reload_tokens(&self) -> Result<usize, TokensError> {
        let tokens = Tokens::read(&self.hall.config.tokens)?;
        let known = tokens.count();
        self.hall.tokens.store(Arc::new(tokens));
        Ok(known)
    }

    /// Lets nobody in, lets requests under way end, and closes. Before the engine's own shutdown.
    pub async fn shutdown(self) {
        self.hall.draining.send_replace(true);
        let _ = timeout(self.hall.config.drain_wait * 2, self.accepting).await;
        self.hall.lines.ended().await;
    }
}

/// What every connection shares.
struct Hall {
    core: Arc<NodeCore>,
    store: Arc<dyn Store>,
    quic: Arc<DoorCounters>,
    sip: Option<Arc<DoorCounters>>,
    /// Calls of the SIP door, by device.
    devices: Arc<Devices>,
    /// Where legs of those calls are reported.
    legs: Option<Legs>,
    alerts: Alerts,
    ratings: Ratings,
    counters: Arc<DoorCounters>,
    config: HttpConfig,
    lines: Lines,
    id_key: hmac::Key,
    tokens: ArcSwap<Tokens>,
    /// The tables LoST answers by, and since when.
    tables_since: ArcSwap<(TablesVersion, Timestamp)>,
    strangers: Arc<Semaphore>,
    requests: Arc<Semaphore>,
    /// One table set at a time.
    publishing: Semaphore,
    draining: watch::Sender<bool>,
}

impl std::fmt::Debug for Hall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hall").field("listen", &self.config.listen).finish_non_exhaustive()
    }
}

// --- connections ---

async fn accept(listener: TcpListener, acceptor: TlsAcceptor, hall: Arc<Hall>) {
    let router = router(Arc::clone(&hall));
    let (connections_max, draining) = (hall.config.connections_max, hall.draining.subscribe());
    let guest = |stream, remote, place| guest(stream, remote, acceptor.clone(), router.clone(), Arc::clone(&hall), place);
    listen::accept(listener, connections_max, &hall.counters, draining, guest).await;
}

async fn guest(
    stream: TcpStream,
    remote: SocketAddr,
    acceptor: TlsAcceptor,
    router: Router,
    hall: Arc<Hall>,
    _place: OwnedSemaphorePermit,
) {
    let _ = stream.set_nodelay(true);
    let stream = match timeout(hall.config.handshake_wait, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(why)) => {
            count(&hall.counters.handshakes_failed);
            return tracing::info!(%remote, %why, "turned away");
        }
        Err(_) => return count(&hall.counters.handshakes_failed),
    };
    let peer = Peer::of(&stream);
    // Held while the connection lives: those without a certificate cannot take every place.
    let _stranger = match (&peer, Arc::clone(&hall.strangers).try_acquire_owned()) {
        (Peer::Nobody, Err(_)) => return count(&hall.counters.refused_full),
        (Peer::Nobody, place) => place.ok(),
        _ => None,
    };
    let service = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer.clone());
        service.call(request)
    });
    listen::serve(stream, service, hall.config.head_wait, hall.config.drain_wait, hall.draining.subscribe()).await;
}

fn router(hall: Arc<Hall>) -> Router {
    let nowhere = || async {
        refused(
            StatusCode::NOT_FOUND,
            "there is nothing here",
            "the paths are /v1/contacts, /v1/contacts/{id}/words, /v1/calls/{call-id}/legs, /aml, /aml/sms, /cap, /lost, /v1/tables, \
             /v1/dispatchers/{id}/state, /metrics, /livez, /readyz",
        )
    };
    Router::new()
        .route("/v1/contacts", post(contacts::post_contact))
        .route("/v1/contacts/{id}/words", get(words::fetched).post(words::written))
        .route("/v1/calls/{id}/legs", post(legs::post_leg))
        .route("/lost", post(lost::post_lost))
        .route("/aml", post(reports::post_aml))
        .route("/aml/sms", post(reports::post_aml_sms))
        .route("/cap", post(reports::post_cap))
        .route("/r/{token}", get(ratings::rating_page).post(ratings::post_rating))
        .route("/v1/tables", post(ops::post_tables))
        .route("/v1/dispatchers/{id}/state", post(ops::post_state))
        .route("/metrics", get(ops::metrics))
        .route("/livez", get(ops::livez))
        .route("/readyz", get(ops::readyz))
        .fallback(nowhere)
        .with_state(hall)
}

// --- who is it ---

/// Who shook hands.
#[derive(Clone, Debug)]
enum Peer {
    /// Showed no certificate; may show a token.
    Nobody,
    Role(Role),
    /// A certificate of our authority that allows nothing.
    Unfit(RoleError),
}

impl Peer {
    fn of(stream: &TlsStream<TcpStream>) -> Self {
        let leaf = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
        match leaf.map(|leaf| Role::from_certificate(leaf)) {
            None => Self::Nobody,
            Some(Ok(role)) => Self::Role(role),
            Some(Err(why)) => Self::Unfit(why),
        }
    }
}

/// A gateway that speaks HTTP.
#[derive(Clone, Copy, Debug)]
struct HttpGateway {
    /// As in its certificate or the tokens' file; its trunk for routing.
    name: Name,
    /// `http/<name>`: the gateway of its contacts' keys.
    line: Name,
    load_test: bool,
}

impl Hall {
    /// The gateway that brings contacts, or what it is told.
    #[expect(clippy::result_large_err, reason = "the error is the answer, made once a request")]
    fn gateway(&self, parts: &Parts, has_room: bool) -> Result<HttpGateway, Response> {
        let (name, load_test) = match peer(parts) {
            Peer::Role(Role::Gateway { trunk, load_test }) => (trunk, load_test),
            Peer::Role(other) => return Err(self.forbidden(format!("{other} brings no contacts"), "show a certificate of a gateway")),
            Peer::Unfit(why) => return Err(self.forbidden(why.to_string(), "show a certificate of a gateway")),
            Peer::Nobody => match bearer(parts).and_then(|token| self.tokens.load().find(token)) {
                Some(known) => (known.gateway, known.load_test),
                None => return Err(self.unknown(has_room)),
            },
        };
        let line = Name::new(&format!("http/{name}"));
        let line = line
            .ok_or_else(|| self.forbidden(format!("{name} is too long a name for HTTP"), "name the gateway with at most 27 characters"))?;
        Ok(HttpGateway { name, line, load_test })
    }

    /// The one of ops, or what it is told.
    #[expect(clippy::result_large_err, reason = "the error is the answer, made once a request")]
    fn ops(&self, parts: &Parts, has_room: bool) -> Result<Name, Response> {
        match peer(parts) {
            Peer::Role(Role::Ops { name }) => Ok(name),
            Peer::Role(other) => Err(self.forbidden(format!("{other} may not do this"), "show a certificate of ops/NAME")),
            Peer::Unfit(why) => Err(self.forbidden(why.to_string(), "show a certificate of ops/NAME")),
            Peer::Nobody if bearer(parts).and_then(|token| self.tokens.load().find(token)).is_some() => {
                Err(self.forbidden("a token brings contacts and nothing else".into(), "show a certificate of ops/NAME"))
            }
            Peer::Nobody => Err(self.unknown(has_room)),
        }
    }

    fn forbidden(&self, error: String, remedy: &str) -> Response {
        count(&self.counters.refused_role);
        refused(StatusCode::FORBIDDEN, error, remedy)
    }

    /// Nobody we know: while there is no room it is told to come later, so that guessing tokens costs more than it does us.
    fn unknown(&self, has_room: bool) -> Response {
        if has_room {
            count(&self.counters.refused_role);
            let mut answer = refused(StatusCode::UNAUTHORIZED, "who is this?", "show a certificate or a bearer token");
            answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            return answer;
        }
        count(&self.counters.refused_full);
        let mut answer = refused(StatusCode::TOO_MANY_REQUESTS, "too many requests", "try again in a second");
        answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        answer
    }
}

fn peer(parts: &Parts) -> Peer {
    parts.extensions.get::<Peer>().cloned().unwrap_or(Peer::Nobody)
}

fn bearer(parts: &Parts) -> Option<&str> {
    let text = parts.headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = text.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

// --- bodies and answers ---

/// Reads a whole body within its bounds.
///
/// Of a body that is too long a bounded rest is read and thrown away: who closes on a caller that still writes takes the answer from it.
pub(in crate::edge) async fn read_body(parts: &Parts, mut body: Body, bytes_max: usize, wait: Duration) -> Result<Bytes, Response> {
    let too_long = || refused(StatusCode::PAYLOAD_TOO_LARGE, format!("the body has more than {bytes_max} bytes"), "send less");
    let said = parts.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()).and_then(|text| text.parse::<u64>().ok());
    let is_too_long = said.is_some_and(|bytes| bytes > bytes_max as u64);
    // Who waits for leave to send needs no rest read.
    if is_too_long && parts.headers.contains_key(EXPECT) {
        return Err(too_long());
    }
    let mut bytes = Vec::new();
    let read = timeout(wait, async {
        let (mut kept, mut dropped) = (!is_too_long, 0);
        while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
            let Ok(data) = frame?.into_data() else { continue };
            kept &= bytes.len() + data.len() <= bytes_max;
            if kept {
                bytes.extend_from_slice(&data);
                continue;
            }
            dropped += data.len();
            if dropped > HTTP_DROPPED_BYTES_MAX {
                break;
            }
        }
        Ok::<bool, axum::Error>(kept)
    });
    match read.await {
        Ok(Ok(true)) => Ok(bytes.into()),
        Ok(Ok(false)) => Err(too_long()),
        Ok(Err(why)) => Err(refused(StatusCode::BAD_REQUEST, format!("the body ends early: {why}"), "send it again")),
        Err(_) => Err(refused(StatusCode::REQUEST_TIMEOUT, format!("no whole body within {wait:?}"), "send it again")),
    }
}

pub(in crate::edge) fn json(status: StatusCode, value: &impl serde::Serialize) -> Response {
    // Plain fields and finite numbers always serialise; an empty object stands for the impossible.
    let text = serde_json::to_string(value).unwrap_or_else(|_| "{}".to_owned());
    (status, [(CONTENT_TYPE, HeaderValue::from_static("application/json"))], text + "\n").into_response()
}

pub(in crate::edge) fn refused(status: StatusCode, error: impl Into<String>, remedy: &str) -> Response {
    json(status, &Refused { error: error.into(), remedy: remedy.to_owned() })
}
