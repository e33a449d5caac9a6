//! The web console: its page, the sign-in, and one WebSocket for each seat.
//!
//! ```text
//! invitation (one use) --> POST /console/session --> cookie, for one shift, survives a restart of the engine
//! page  <-- files in the program, nothing from elsewhere
//! cookie or client certificate --> /console/ws --> a session of the engine, as a QUIC console's
//! ```
//!
//! | path | who | |
//! | --- | --- | --- |
//! | `GET /`, its files | anybody | the page |
//! | `GET /console/me` | | 200 whose seat it is, 401 |
//! | `POST /console/session` | who has an invitation | 200 and a cookie, 401 |
//! | `DELETE /console/session` | a seat | signs it out everywhere |
//! | `GET /console/tables.json` | a seat | rooms, areas, places, borders |
//! | `GET /console/ws` | a seat, from our own page | the console's words as JSON (`wire/console_json.rs`) |
//!
//! # Invariants
//! - A page from elsewhere cannot speak: the cookie is `SameSite=Strict`, and a WebSocket's `Origin` must be our own host.
//! - Without TLS it listens on loopback only.
//! - A seat whose sessions were revoked is cut within [`CONSOLE_LOOK_MICROS`](crate::limits::CONSOLE_LOOK_MICROS).

mod assets;
mod map;
pub mod pass;
mod talk;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, COOKIE, HOST, ORIGIN, REFERRER_POLICY, SET_COOKIE, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode, Uri};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::service::TowerToHyperService;
use serde::Deserialize;
use serde_json::json as object;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use self::pass::{Pass, Passes};
use crate::client::transport::{Identity, IdentityError};
use crate::deliver::{Duty, Seat};
use crate::edge::ingress::http::{json, read_body, refused};
use crate::edge::ingress::{DoorCounters, count};
use crate::edge::listen;
use crate::edge::run::{Node, NodeCore};
use crate::edge::tls::{self, ResetKeyError, Role};
use crate::limits::{
    CONSOLE_BODY_BYTES_MAX, CONSOLES_MAX, DRAIN_MICROS_MAX, HANDSHAKE_MICROS_MAX, HTTP_BODY_MICROS_MAX, HTTP_CONNECTIONS_MAX,
    HTTP_HEAD_MICROS_MAX,
};
use crate::units::TablesVersion;
use crate::wire::console_json::{seat_json, tables_json};

/// How the door stands.
#[derive(Clone, Debug)]
pub struct WebConfig {
    pub listen: SocketAddr,
    /// The engine's certificate; `None` speaks plain HTTP, on loopback only.
    pub identity: Option<Identity>,
    /// Where invitations and revocations are kept, and the key of the cookies.
    pub state_folder: PathBuf,
    pub connections_max: usize,
    /// Where the page gets pictures for its map; it draws the tables' own borders and asks nobody when there are none.
    pub tiles: Option<Tiles>,
    pub consoles_max: usize,
    pub handshake_wait: Duration,
    pub head_wait: Duration,
    pub body_wait: Duration,
    pub drain_wait: Duration,
}

/// A server of map pictures, as ops name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tiles {
    url: String,
    /// Its scheme, host and port: what the page may ask.
    origin: String,
    /// Who made them, as their licence wants it said on the map.
    words: String,
}

impl Tiles {
    /// # Errors
    /// What is wrong with the address.
    pub fn new(url: &str, words: &str) -> Result<Self, String> {
        let bad = |why: &str| format!("{url:?} is no address of map pictures: {why}; write https://HOST/{{z}}/{{x}}/{{y}}.png");
        for part in ["{z}", "{x}", "{y}"] {
            if !url.contains(part) {
                return Err(bad(&format!("{part} is missing")));
            }
        }
        // Braces are no part of a URI; what stands in their place is.
        let uri: Uri = url.replace(['{', '}'], "").parse().map_err(|_| bad("it cannot be read"))?;
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@')).ok_or_else(|| bad("it has no host"))?;
        if uri.scheme_str() != Some("https") {
            return Err(bad("it is not https"));
        }
        if url.split_once("//").is_some_and(|(_, rest)| rest.split('/').next().is_some_and(|host| host.contains('{'))) {
            return Err(bad("the host must be one"));
        }
        Ok(Self { url: url.to_owned(), origin: format!("https://{authority}"), words: words.to_owned() })
    }
}

impl WebConfig {
    pub fn new(listen: SocketAddr, identity: Option<Identity>, state_folder: PathBuf) -> Self {
        Self {
            listen,
            identity,
            state_folder,
            connections_max: HTTP_CONNECTIONS_MAX,
            tiles: None,
            consoles_max: CONSOLES_MAX,
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
pub enum WebDoorError {
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error(transparent)]
    Key(#[from] ResetKeyError),
    #[error("cannot listen on {addr}: {why}")]
    Listen { addr: SocketAddr, why: io::Error },
    #[error("{addr} is not loopback: a console's page without TLS is for this machine only")]
    PlainBeyondLoopback { addr: SocketAddr },
}

/// The open door. Dropping it without [`Self::shutdown`] cuts every console.
#[derive(Debug)]
pub struct WebDoor {
    addr: SocketAddr,
    counters: Arc<DoorCounters>,
    draining: watch::Sender<bool>,
    accepting: tokio::task::JoinHandle<()>,
    drain_wait: Duration,
    talking: Arc<Semaphore>,
    consoles_max: u32,
}

impl WebDoor {
    /// Opens the door of a running engine. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// See [`WebDoorError`].
    pub async fn start(config: WebConfig, node: &Node) -> Result<Self, WebDoorError> {
        if config.identity.is_none() && !config.listen.ip().is_loopback() {
            return Err(WebDoorError::PlainBeyondLoopback { addr: config.listen });
        }
        let acceptor = match &config.identity {
            Some(identity) => Some(TlsAcceptor::from(Arc::new(tls::http_server(identity)?))),
            None => None,
        };
        let listen = |why| WebDoorError::Listen { addr: config.listen, why };
        let listener = TcpListener::bind(config.listen).await.map_err(listen)?;
        let addr = listener.local_addr().map_err(listen)?;
        let consoles_max = u32::try_from(config.consoles_max).unwrap_or(u32::MAX);
        let hall = Arc::new(Hall {
            core: Arc::clone(node.core()),
            counters: Arc::new(DoorCounters::default()),
            passes: Passes::new(&config.state_folder)?,
            map: ArcSwapOption::empty(),
            draining: watch::Sender::new(false),
            talking: Arc::new(Semaphore::new(config.consoles_max)),
            config,
        });
        let (counters, draining, drain_wait, talking) =
            (Arc::clone(&hall.counters), hall.draining.clone(), hall.config.drain_wait, Arc::clone(&hall.talking));
        let accepting = tokio::spawn(accept(listener, acceptor, hall));
        Ok(Self { addr, counters, draining, accepting, drain_wait, talking, consoles_max })
    }

    /// Where the door listens; the port the system chose when the configuration said 0.
    pub const fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    pub fn counters(&self) -> &DoorCounters {
        &self.counters
    }

    /// Lets nobody in and tells every page to come back. Before the engine's own shutdown.
    pub async fn shutdown(self) {
        self.draining.send_replace(true);
        let _ = timeout(self.drain_wait * 2, self.accepting).await;
        // All places back means that the engine has heard of every console that left.
        let _ = timeout(self.drain_wait, self.talking.acquire_many(self.consoles_max)).await;
    }
}

/// What every connection shares.
struct Hall {
    core: Arc<NodeCore>,
    counters: Arc<DoorCounters>,
    config: WebConfig,
    passes: Passes,
    /// The answer of `/console/tables.json`, and the tables it is of.
    map: ArcSwapOption<(TablesVersion, Bytes)>,
    draining: watch::Sender<bool>,
    talking: Arc<Semaphore>,
}

async fn accept(listener: TcpListener, acceptor: Option<TlsAcceptor>, hall: Arc<Hall>) {
    let router = router(Arc::clone(&hall));
    let (connections_max, draining) = (hall.config.connections_max, hall.draining.subscribe());
    let guest = |stream: TcpStream, remote, place| {
        let (acceptor, router, hall) = (acceptor.clone(), router.clone(), Arc::clone(&hall));
        async move {
            let _ = stream.set_nodelay(true);
            match acceptor {
                None => serve(stream, None, router, &hall).await,
                Some(acceptor) => match timeout(hall.config.handshake_wait, acceptor.accept(stream)).await {
                    Ok(Ok(stream)) => {
                        let leaf = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
                        let role = leaf.and_then(|leaf| Role::from_certificate(leaf).ok());
                        serve(stream, role, router, &hall).await;
                    }
                    Ok(Err(why)) => {
                        count(&hall.counters.handshakes_failed);
                        tracing::info!(%remote, %why, "turned away");
                    }
                    Err(_) => count(&hall.counters.handshakes_failed),
                },
            }
            drop(place);
        }
    };
    listen::accept(listener, connections_max, &hall.counters, draining, guest).await;
}

/// The role in the certificate that was shown, if one was.
#[derive(Clone, Copy, Debug)]
struct Shown(Option<Role>);

async fn serve<I: AsyncRead + AsyncWrite + Unpin + Send + 'static>(stream: I, role: Option<Role>, router: Router, hall: &Hall) {
    let service = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: axum::http::Request<Incoming>| {
        request.extensions_mut().insert(Shown(role));
        service.call(request)
    });
    listen::serve(stream, service, hall.config.head_wait, hall.config.drain_wait, hall.draining.subscribe()).await;
}

fn router(hall: Arc<Hall>) -> Router {
    Router::new()
        .route("/console/me", get(me))
        .route("/console/session", post(sign_in).delete(sign_out))
        .route("/console/tables.json", get(tables))
        .route("/console/ws", get(talk))
        .fallback(assets::get)
        .layer(from_fn_with_state(policy(hall.config.tiles.as_ref()), guarded))
        .with_state(hall)
}

/// What the page may do: nothing but speak to us.
/// Nothing from anywhere but here, save the map's pictures where ops named their server.
fn policy(tiles: Option<&Tiles>) -> HeaderValue {
    let pictures = tiles.map_or(String::new(), |tiles| format!(" {}", tiles.origin));
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:{pictures}; connect-src 'self'; font-src 'self'; \
         media-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
    );
    // A host that can stand in a URL can stand in a header.
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
}

async fn guarded(State(policy): State<HeaderValue>, request: Request, next: Next) -> Response {
    let mut answer = next.run(request).await;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, policy);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin"));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    answer
}

// --- who is it ---

const COOKIE_NAME: &str = "najda_console";

fn cookie(parts: &Parts) -> Option<&str> {
    let all = parts.headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    all.flat_map(|text| text.split(';')).find_map(|pair| pair.trim().strip_prefix(COOKIE_NAME)?.strip_prefix('='))
}

impl Hall {
    /// Whose seat a request speaks for.
    async fn pass(&self, parts: &Parts) -> Option<Pass> {
        let shown = parts.extensions.get::<Shown>().and_then(|Shown(role)| *role);
        if let Some((seat, duty)) = shown.and_then(Role::duty) {
            return Some(Pass::of_certificate(seat, duty));
        }
        self.passes.read(cookie(parts)?, self.core.clock.now()).await
    }

    async fn seat(&self, parts: &Parts) -> Result<Pass, Response> {
        match self.pass(parts).await {
            Some(pass) => Ok(pass),
            None => {
                count(&self.counters.refused_role);
                Err(refused(StatusCode::UNAUTHORIZED, "nobody is signed in here", "open a link that `najda console invite` gives"))
            }
        }
    }
}

async fn me(State(hall): State<Arc<Hall>>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    match hall.seat(&parts).await {
        Ok(pass) => json(StatusCode::OK, &me_json(&pass.seat, pass.duty)),
        Err(answer) => answer,
    }
}

fn me_json(seat: &Seat, duty: Duty) -> serde_json::Value {
    object!({ "seat": seat_json(seat), "role": duty.word() })
}

#[derive(Deserialize)]
struct Invited {
    invite: String,
}

async fn sign_in(State(hall): State<Arc<Hall>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = match read_body(&parts, body, CONSOLE_BODY_BYTES_MAX, hall.config.body_wait).await {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    let wrong = |remedy| refused(StatusCode::UNAUTHORIZED, "this invitation is used up, too old, or none", remedy);
    let Ok(Invited { invite }) = serde_json::from_slice::<Invited>(&body) else {
        return refused(StatusCode::BAD_REQUEST, "an invitation is expected", "send {\"invite\":\"TOKEN\"}");
    };
    match hall.passes.redeem(&invite, hall.core.clock.now()).await {
        Some((seat, duty, cookie)) => {
            tracing::info!(dispatcher = %seat.dispatcher, seat = %seat.seat, role = duty.word(), "a console was signed in");
            let secure = if hall.config.identity.is_some() { "; Secure" } else { "" };
            let cookie = format!("{COOKIE_NAME}={cookie}; HttpOnly; SameSite=Strict; Path=/{secure}");
            let mut answer = json(StatusCode::OK, &me_json(&seat, duty));
            if let Ok(value) = HeaderValue::from_str(&cookie) {
                answer.headers_mut().insert(SET_COOKIE, value);
            }
            answer
        }
        None => {
            count(&hall.counters.refused_role);
            wrong("ask for another: `najda console invite` makes one")
        }
    }
}

async fn sign_out(State(hall): State<Arc<Hall>>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let pass = match hall.seat(&parts).await {
        Ok(pass) => pass,
        Err(answer) => return answer,
    };
    match hall.passes.revoke(&pass.seat, hall.core.clock.now()).await {
        Ok(()) => {
            let gone = format!("{COOKIE_NAME}=; HttpOnly; SameSite=Strict; Path=/; Max-Age=0");
            let mut answer = json(StatusCode::OK, &object!({ "signed_out": seat_json(&pass.seat) }));
            answer.headers_mut().extend(HeaderValue::from_str(&gone).map(|value| (SET_COOKIE, value)));
            answer
        }
        Err(why) => {
            refused(StatusCode::INTERNAL_SERVER_ERROR, format!("the sign-out could not be kept: {why}"), "look at the state folder")
        }
    }
}

// --- what a seat gets ---

async fn tables(State(hall): State<Arc<Hall>>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    if let Err(answer) = hall.seat(&parts).await {
        return answer;
    }
    let tables = Arc::clone(&hall.core.snapshot().tables);
    let known = hall.map.load_full().filter(|known| known.0 == tables.version);
    let text = match known {
        Some(known) => known.1.clone(),
        None => {
            let version = tables.version;
            let tiles = hall.config.tiles.clone();
            let make = move || {
                let mut value = tables_json(&tables, &map::lines(&tables));
                if let (Some(fields), Some(tiles)) = (value.as_object_mut(), tiles) {
                    fields.insert("tiles".to_owned(), object!({ "url": tiles.url, "words": tiles.words }));
                }
                Bytes::from(value.to_string())
            };
            let made = tokio::task::spawn_blocking(make).await;
            let text = made.unwrap_or_else(|_| Bytes::from_static(b"{}"));
            hall.map.store(Some(Arc::new((version, text.clone()))));
            text
        }
    };
    ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], Body::from(text)).into_response()
}

async fn talk(State(hall): State<Arc<Hall>>, request: Request) -> Response {
    let (mut parts, _) = request.into_parts();
    let pass = match hall.seat(&parts).await {
        Ok(pass) => pass,
        Err(answer) => return answer,
    };
    if !is_own_page(&parts) {
        count(&hall.counters.refused_role);
        return refused(StatusCode::FORBIDDEN, "this page is not ours", "open the console's own page");
    }
    let Ok(place) = Arc::clone(&hall.talking).try_acquire_owned() else {
        count(&hall.counters.refused_full);
        return refused(
            StatusCode::SERVICE_UNAVAILABLE,
            "every place for a web console is taken",
            "use `najda console`, or raise the bound",
        );
    };
    let upgrade = match WebSocketUpgrade::from_request_parts(&mut parts, &hall).await {
        Ok(upgrade) => upgrade,
        Err(why) => return why.into_response(),
    };
    upgrade
        .max_message_size(CONSOLE_BODY_BYTES_MAX)
        .max_frame_size(CONSOLE_BODY_BYTES_MAX)
        .on_upgrade(move |socket| talk::talk(socket, pass, hall, place))
}

/// A browser says whose page speaks; another program need not.
fn is_own_page(parts: &Parts) -> bool {
    let Some(origin) = parts.headers.get(ORIGIN) else { return true };
    let host = parts.headers.get(HOST).and_then(|value| value.to_str().ok());
    let of = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, host)| host);
    of.is_some() && of == host
}
