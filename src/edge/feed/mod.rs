//! The feed: incidents as other systems read them, and what such a system does for a seat.
//!
//! ```text
//! store --> hub (one thread: what lives, the newest entries) --> subscriptions (WebSocket): EIDOs, each acknowledged
//!    \-----> history (who was away longer) ---------------------/
//! seats (one session of the engine each) <-- commands, by WebSocket or REST
//! ```
//!
//! | path | |
//! | --- | --- |
//! | `GET /feed/v1/events`, `/IncidentData/ent` | a WebSocket in the manner of NENA-STA-024 |
//! | `GET /feed/v1/incidents`, `/incidents/{id}`, `/contacts/{id}` | as they are now |
//! | `POST /feed/v1/contacts/{id}/{service}/take` and others, `/contacts/{id}/notes` | commands |
//! | `GET /feed/openapi.json` | what stands above, made from the code |
//!
//! # Invariants
//! - Whoever comes shows a certificate of `console/<room>/<seat>`, and sees what the screens of that room were shown. Test seats see
//!   tests, the others never do.
//! - What is told is in the journal.
//! - The engine never waits for a subscriber: he is bounded in what is unacknowledged, and told when he is too slow.

mod book;
mod history;
mod hub;
mod line;
pub mod openapi;
mod rest;
mod seats;
mod subscription;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::request::Parts;
use axum::http::{Request, StatusCode};
use axum::response::Response;
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use self::book::Viewer;
use self::hub::{Following, Hub};
use self::seats::Seats;
use super::ingress::http::refused;
use super::ingress::sip::NAME_DEFAULT;
use super::ingress::{DoorCounters, count};
use super::listen;
use super::run::Node;
use super::tls::{self, Role, RoleError};
use crate::client::transport::{Identity, IdentityError};
use crate::limits::{
    DRAIN_MICROS_MAX, FEED_ACK_MICROS_MAX, FEED_COMMAND_MICROS_MAX, FEED_LINES_MAX, HANDSHAKE_MICROS_MAX, HTTP_BODY_MICROS_MAX,
    HTTP_CONNECTIONS_MAX, HTTP_HEAD_MICROS_MAX,
};
use crate::wire::feed::Wrong;

/// How the door stands.
#[derive(Clone, Debug)]
pub struct FeedConfig {
    pub listen: SocketAddr,
    /// The engine's certificate, and the authority of its clients.
    pub identity: Identity,
    /// Who we are in documents: a host name.
    pub name: Box<str>,
    pub connections_max: usize,
    /// WebSockets at once.
    pub lines_max: usize,
    /// How long an event may be unacknowledged.
    pub ack_wait: Duration,
    /// How long a command waits for the journal before it is answered as pending.
    pub command_wait: Duration,
    pub handshake_wait: Duration,
    pub head_wait: Duration,
    pub body_wait: Duration,
    pub drain_wait: Duration,
}

impl FeedConfig {
    pub fn new(listen: SocketAddr, identity: Identity) -> Self {
        Self {
            listen,
            identity,
            name: NAME_DEFAULT.into(),
            connections_max: HTTP_CONNECTIONS_MAX,
            lines_max: FEED_LINES_MAX,
            ack_wait: Duration::from_micros(FEED_ACK_MICROS_MAX),
            command_wait: Duration::from_micros(FEED_COMMAND_MICROS_MAX),
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
pub enum FeedDoorError {
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error("cannot listen on {addr}: {why}")]
    Listen { addr: SocketAddr, why: io::Error },
    #[error("cannot start the thread that follows the journal: {0}")]
    Thread(io::Error),
}

/// The open door. Dropping it without [`Self::shutdown`] cuts every line.
pub struct FeedDoor {
    addr: SocketAddr,
    hall: Arc<Hall>,
    accepting: tokio::task::JoinHandle<()>,
    following: Following,
}

impl FeedDoor {
    /// Opens the door of a running engine. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// See [`FeedDoorError`].
    pub async fn start(config: FeedConfig, node: &Node) -> Result<Self, FeedDoorError> {
        let acceptor = TlsAcceptor::from(Arc::new(tls::http_server(&config.identity)?));
        let listen = |why| FeedDoorError::Listen { addr: config.listen, why };
        let listener = TcpListener::bind(config.listen).await.map_err(listen)?;
        let addr = listener.local_addr().map_err(listen)?;
        let (hub, following) = Hub::follow(Arc::clone(node.store())).map_err(FeedDoorError::Thread)?;
        let draining = watch::Sender::new(false);
        let hall = Arc::new(Hall {
            seats: Seats::new(Arc::clone(node.core()), Arc::clone(&hub), config.command_wait, draining.clone()),
            hub,
            counters: Arc::new(DoorCounters::default()),
            talking: Arc::new(Semaphore::new(config.lines_max)),
            draining,
            config,
        });
        let accepting = tokio::spawn(accept(listener, acceptor, Arc::clone(&hall)));
        Ok(Self { addr, hall, accepting, following })
    }

    /// Where the door listens; the port the system chose when the configuration said 0.
    pub const fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    pub fn counters(&self) -> &DoorCounters {
        &self.hall.counters
    }

    /// Lets nobody in and tells every subscriber to come back. Before the engine's own shutdown.
    pub async fn shutdown(self) {
        self.hall.draining.send_replace(true);
        let _ = timeout(self.hall.config.drain_wait * 2, self.accepting).await;
        self.hall.seats.ended().await;
        let lines_max = u32::try_from(self.hall.config.lines_max).unwrap_or(u32::MAX);
        let _ = timeout(self.hall.config.drain_wait, self.hall.talking.acquire_many(lines_max)).await;
        let following = self.following;
        let _ = tokio::task::spawn_blocking(move || drop(following)).await;
    }
}

/// What every connection shares.
struct Hall {
    hub: Arc<Hub>,
    seats: Arc<Seats>,
    counters: Arc<DoorCounters>,
    config: FeedConfig,
    talking: Arc<Semaphore>,
    draining: watch::Sender<bool>,
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor, hall: Arc<Hall>) {
    let router = router(Arc::clone(&hall));
    let (connections_max, draining) = (hall.config.connections_max, hall.draining.subscribe());
    let guest = |stream: TcpStream, remote, place| {
        let (acceptor, router, hall) = (acceptor.clone(), router.clone(), Arc::clone(&hall));
        async move {
            let _ = stream.set_nodelay(true);
            match timeout(hall.config.handshake_wait, acceptor.accept(stream)).await {
                Ok(Ok(stream)) => {
                    let leaf = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
                    let shown = Shown(leaf.map(|leaf| Role::from_certificate(leaf)));
                    let service = TowerToHyperService::new(router);
                    let service = service_fn(move |mut request: Request<Incoming>| {
                        request.extensions_mut().insert(shown.clone());
                        service.call(request)
                    });
                    listen::serve(stream, service, hall.config.head_wait, hall.config.drain_wait, hall.draining.subscribe()).await;
                }
                Ok(Err(why)) => {
                    count(&hall.counters.handshakes_failed);
                    tracing::info!(%remote, %why, "turned away");
                }
                Err(_) => count(&hall.counters.handshakes_failed),
            }
            drop(place);
        }
    };
    listen::accept(listener, connections_max, &hall.counters, draining, guest).await;
}

/// The role in the certificate that was shown, if one was.
#[derive(Clone, Debug)]
struct Shown(Option<Result<Role, RoleError>>);

fn router(hall: Arc<Hall>) -> Router {
    let nowhere = || async { refused(StatusCode::NOT_FOUND, "there is nothing here", "GET /feed/openapi.json shows what there is") };
    let routes = openapi::ROUTES.iter().fold(Router::new(), |router, route| router.route(route.path, (route.serve)()));
    // Where clients of the standard look for it.
    routes.route("/IncidentData/ent", axum::routing::get(rest::events)).fallback(nowhere).with_state(hall)
}

/// How long a request waits for the journal to be read once after a start.
const CAUGHT_UP_WAIT: Duration = Duration::from_secs(10);

impl Hall {
    /// Whose seat a request speaks for.
    #[expect(clippy::result_large_err, reason = "the error is the answer, made once a request")]
    fn known(&self, parts: &Parts) -> Result<Viewer, Response> {
        let refuse = |status, error: String| {
            count(&self.counters.refused_role);
            Err(refused(status, error, "show a certificate of console/ROOM/SEAT"))
        };
        match parts.extensions.get::<Shown>().map(|shown| &shown.0) {
            Some(Some(Ok(Role::Console { seat, load_test }))) => Ok(Viewer { seat: *seat, test: *load_test }),
            Some(Some(Ok(other))) => refuse(StatusCode::FORBIDDEN, format!("{other} is no seat")),
            Some(Some(Err(why))) => refuse(StatusCode::FORBIDDEN, why.to_string()),
            _ => refuse(StatusCode::UNAUTHORIZED, "who is this?".to_owned()),
        }
    }

    /// As [`Self::known`], once the journal was read. A seat that asks is there.
    async fn viewer(&self, parts: &Parts) -> Result<Viewer, Response> {
        let viewer = self.known(parts)?;
        self.caught_up().await.map_err(rest::wrong)?;
        self.seats.heard(&viewer);
        Ok(viewer)
    }

    async fn caught_up(&self) -> Result<(), Wrong> {
        let caught_up = timeout(CAUGHT_UP_WAIT, self.hub.caught_up()).await;
        caught_up.map_err(|_| Wrong::new(503, "the journal is still being read", "try again in a few seconds"))
    }
}
