//! The QUIC doors: gateways and consoles on one UDP socket, told apart by protocol name, admitted by certificate.
//!
//! ```text
//! packet -> address validated -> TLS, client certificate -> role fits the protocol -> one stream, hello -> session
//!           (retry, no state)    (bounded in time and number)  (refused with a reason)  (welcome)
//! ```
//!
//! A session is one task. It reads frames, has contacts decided in place, writes the answers, and then tells the engine; between
//! reads it writes what the engine has to say, everything that waits in one write. When the engine's queue is full the session stops
//! reading, and only that session: its contacts have their answers, wait here, and go in as soon as there is room.

use std::collections::VecDeque;
use std::future::ready;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::HandshakeData;
use quinn::{Connection, ConnectionId, ConnectionIdGenerator, Endpoint, EndpointConfig, Incoming, RecvStream, SendStream, TokioRuntime};
use ring::rand::SecureRandom;
use rustls_pki_types::CertificateDer;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::{Core, Desk, DoorCounters, GatewayDesk, count, told, unpanicked};
use crate::client::transport::{ALPN_CONSOLE, ALPN_GATEWAY, CloseCode, Identity, IdentityError};
use crate::deliver::{Duty, Seat};
use crate::edge::clock::Clock;
use crate::edge::console::server::ConsoleDesk;
use crate::edge::sessions::{Outbox, SessionRegistry, Stop};
use crate::edge::tls::{self, ResetKeyError, Role, RoleError};
use crate::engine::Input;
use crate::limits::{
    ANSWER_BYTES_MAX, DRAIN_MICROS_MAX, FRAME_BYTES_MAX, HANDSHAKE_MICROS_MAX, RECEIVED_MICROS_MAX, RECEIVED_UNTOLD_MAX, RESET_MICROS_MIN,
    RESUBMIT_MICROS, SESSIONS_MAX, WRITE_BATCH_MAX,
};
use crate::units::Name;
use crate::wire::frame::{FrameBuffer, FrameError, Hello, Message, Received, Welcome, decode, encode_into, sequence_of};

/// How the doors stand.
#[derive(Clone, Debug)]
pub struct DoorsConfig {
    pub listen: SocketAddr,
    /// The engine's certificate, and the authority of its clients.
    pub identity: Identity,
    /// Where the key of stateless resets is kept.
    pub state_folder: PathBuf,
    /// Connections at once, those in their handshake included; at most [`SESSIONS_MAX`].
    pub sessions_max: usize,
    /// From a client's first packet to its hello.
    pub handshake_wait: Duration,
    /// How long [`Doors::shutdown`] waits for peers to have everything.
    pub drain_wait: Duration,
}

impl DoorsConfig {
    pub fn new(listen: SocketAddr, identity: Identity, state_folder: PathBuf) -> Self {
        Self {
            listen,
            identity,
            state_folder,
            sessions_max: SESSIONS_MAX,
            handshake_wait: Duration::from_micros(HANDSHAKE_MICROS_MAX),
            drain_wait: Duration::from_micros(DRAIN_MICROS_MAX),
        }
    }
}

/// Why the doors cannot open.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DoorsError {
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error(transparent)]
    ResetKey(#[from] ResetKeyError),
    #[error("cannot listen on {addr}: {why}")]
    Listen { addr: SocketAddr, why: io::Error },
}

/// The open doors. Dropping them without [`Self::shutdown`] cuts every session.
#[derive(Debug)]
pub struct Doors {
    endpoint: Endpoint,
    counters: Arc<DoorCounters>,
    draining: watch::Sender<bool>,
    accepting: tokio::task::JoinHandle<()>,
    drain_wait: Duration,
    addr: SocketAddr,
}

impl Doors {
    /// Opens the doors. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// See [`DoorsError`].
    pub fn start(config: DoorsConfig, core: Arc<dyn Core>, registry: Arc<SessionRegistry>, clock: Clock) -> Result<Self, DoorsError> {
        let server = tls::quic_server(&config.identity)?;
        let reset_key = tls::reset_key(&config.state_folder)?;
        let listen = |why| DoorsError::Listen { addr: config.listen, why };
        let socket = super::udp::bind(config.listen).map_err(listen)?;
        let mut endpoint_config = EndpointConfig::new(Arc::new(reset_key));
        endpoint_config.cid_generator(|| Box::new(RandomIds)).min_reset_interval(Duration::from_micros(RESET_MICROS_MIN));
        let endpoint = Endpoint::new(endpoint_config, Some(server), socket, Arc::new(TokioRuntime)).map_err(listen)?;
        let addr = endpoint.local_addr().map_err(listen)?;
        let draining = watch::Sender::new(false);
        let counters = Arc::new(DoorCounters::default());
        let hall = Arc::new(Hall {
            core,
            registry,
            clock,
            counters: Arc::clone(&counters),
            draining: draining.clone(),
            handshake_wait: config.handshake_wait,
            drain_wait: config.drain_wait,
        });
        let places = Arc::new(Semaphore::new(config.sessions_max.min(SESSIONS_MAX)));
        let accepting = tokio::spawn(accept(endpoint.clone(), hall, places));
        Ok(Self { endpoint, counters, draining, accepting, drain_wait: config.drain_wait, addr })
    }

    /// Where the doors listen; the port the system chose when the configuration said 0.
    pub const fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    pub fn counters(&self) -> &DoorCounters {
        &self.counters
    }

    /// For those who outlive a borrow of the doors.
    pub fn shared_counters(&self) -> Arc<DoorCounters> {
        Arc::clone(&self.counters)
    }

    /// Lets nobody in, says what is queued, and closes every session with [`CloseCode::Draining`], so that clients go elsewhere or
    /// come back. Returns once the last peer has everything, or the wait is over.
    pub async fn shutdown(self) {
        self.endpoint.set_server_config(None);
        self.draining.send_replace(true);
        // Sessions bound their own drain; the second half is for those that cannot even hand their inputs in.
        let _ = timeout(self.drain_wait * 2, self.accepting).await;
        self.endpoint.close(CloseCode::Draining.into(), CloseCode::Draining.word().as_bytes());
        let _ = timeout(self.drain_wait, self.endpoint.wait_idle()).await;
    }
}

/// Random connection ids. Quinn's own are marked with a key of the process, so that a restarted engine takes its old peers' packets
/// for noise and never sends them a reset; these are not, and [`RESET_MICROS_MIN`] bounds what noise can make us send.
struct RandomIds;

impl ConnectionIdGenerator for RandomIds {
    fn generate_cid(&mut self) -> ConnectionId {
        let mut id = [0; Self::BYTES];
        // Without entropy there is no TLS either, so no connection ever has this id.
        let _ = ring::rand::SystemRandom::new().fill(&mut id);
        ConnectionId::new(&id)
    }

    fn cid_len(&self) -> usize {
        Self::BYTES
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

impl RandomIds {
    const BYTES: usize = 8;
}

/// What every session shares.
struct Hall {
    core: Arc<dyn Core>,
    registry: Arc<SessionRegistry>,
    clock: Clock,
    counters: Arc<DoorCounters>,
    draining: watch::Sender<bool>,
    handshake_wait: Duration,
    drain_wait: Duration,
}

async fn accept(endpoint: Endpoint, hall: Arc<Hall>, places: Arc<Semaphore>) {
    let mut draining = hall.draining.subscribe();
    let mut guests = JoinSet::new();
    loop {
        tokio::select! {
            incoming = endpoint.accept() => match incoming {
                Some(incoming) => admit(incoming, &hall, &places, &mut guests),
                None => break,
            },
            Some(_) = guests.join_next(), if !guests.is_empty() => {}
            () = told(&mut draining) => break,
        }
    }
    while guests.join_next().await.is_some() {}
}

/// Cheapest test first: nothing is kept for an address that has not answered.
fn admit(incoming: Incoming, hall: &Arc<Hall>, places: &Arc<Semaphore>, guests: &mut JoinSet<()>) {
    if !incoming.remote_address_validated() && incoming.may_retry() {
        // A retry that cannot be sent is a packet lost; the client sends its first one again.
        let _ = incoming.retry();
        return;
    }
    let Ok(place) = Arc::clone(places).try_acquire_owned() else {
        count(&hall.counters.refused_full);
        incoming.refuse();
        return;
    };
    guests.spawn(guest(incoming, Arc::clone(hall), place));
}

async fn guest(incoming: Incoming, hall: Arc<Hall>, _place: OwnedSemaphorePermit) {
    let remote = incoming.remote_address();
    let mut draining = hall.draining.subscribe();
    let greeted = tokio::select! {
        greeted = greet(incoming, &hall) => greeted,
        () = told(&mut draining) => return,
    };
    let (connection, streams, role) = match greeted {
        Ok(greeted) => greeted,
        Err(why) => return tracing::info!(%remote, %why, "turned away"),
    };
    tracing::info!(%remote, %role, "session opens");
    let code = match role {
        Role::Gateway { trunk, load_test } => {
            let (core, counters) = (Arc::clone(&hall.core), Arc::clone(&hall.counters));
            session(&hall, streams, GatewayDesk { trunk, load_test, core, clock: hall.clock, counters }).await
        }
        Role::Console { seat, load_test } => session(&hall, streams, ConsoleDesk { seat, duty: Duty::Dispatcher, load_test }).await,
        Role::Supervisor { seat } => session(&hall, streams, ConsoleDesk { seat, duty: Duty::Supervisor, load_test: false }).await,
        Role::Auditor { name } => {
            let seat = Seat { dispatcher: Name::default(), seat: name };
            session(&hall, streams, ConsoleDesk { seat, duty: Duty::Auditor, load_test: false }).await
        }
        // `role_at` lets nobody else in.
        Role::Ops { .. } => CloseCode::RoleRefused,
    };
    tracing::info!(%remote, %role, why = code.word(), "session ends");
    connection.close(code.into(), code.word().as_bytes());
}

struct Streams {
    send: SendStream,
    recv: RecvStream,
    buffer: FrameBuffer,
}

/// TLS, role, stream, hello; each bounded in time. The error is for the log: the client has been answered.
async fn greet(incoming: Incoming, hall: &Hall) -> Result<(Connection, Streams, Role), String> {
    let failed = |why: String| {
        count(&hall.counters.handshakes_failed);
        why
    };
    let connecting = incoming.accept().map_err(|why| failed(why.to_string()))?;
    let connection = match timeout(hall.handshake_wait, connecting).await {
        Ok(connected) => connected.map_err(|why| failed(why.to_string()))?,
        Err(_) => return Err(failed("no TLS in time".into())),
    };
    let role = role_at(&connection).inspect_err(|why| {
        count(&hall.counters.refused_role);
        connection.close(CloseCode::RoleRefused.into(), why.as_bytes());
    })?;
    match timeout(hall.handshake_wait, hello(&connection)).await {
        Ok(Ok(streams)) => Ok((connection, streams, role)),
        Ok(Err(why)) => {
            connection.close(CloseCode::Malformed.into(), why.as_bytes());
            Err(failed(why))
        }
        Err(_) => {
            connection.close(CloseCode::HandshakeSlow.into(), CloseCode::HandshakeSlow.word().as_bytes());
            Err(failed("no hello in time".into()))
        }
    }
}

async fn hello(connection: &Connection) -> Result<Streams, String> {
    let (send, mut recv) = connection.accept_bi().await.map_err(|why| why.to_string())?;
    let mut buffer = FrameBuffer::default();
    loop {
        if let Some(frame) = buffer.next_frame().map_err(|why| why.to_string())? {
            decode::<Hello>(&frame).map_err(|why| why.to_string())?;
            return Ok(Streams { send, recv, buffer });
        }
        match recv.read(buffer.space()).await.map_err(|why| why.to_string())? {
            Some(bytes) => buffer.filled(bytes),
            None => return Err("the stream ended before its hello".into()),
        }
    }
}

/// The role of a connection's certificate, when it belongs at the door it knocked on.
fn role_at(connection: &Connection) -> Result<Role, String> {
    let certificates = connection.peer_identity().and_then(|any| any.downcast::<Vec<CertificateDer<'static>>>().ok());
    let leaf = certificates.as_ref().and_then(|chain| chain.first());
    let role = leaf.ok_or(RoleError::PeerShowedNone).and_then(|leaf| Role::from_certificate(leaf)).map_err(|why| why.to_string())?;
    let protocol = connection.handshake_data().and_then(|any| any.downcast::<HandshakeData>().ok()).and_then(|data| data.protocol);
    match (protocol.as_deref(), role) {
        (Some(ALPN_GATEWAY), Role::Gateway { .. })
        | (Some(ALPN_CONSOLE), Role::Auditor { .. } | Role::Console { .. } | Role::Supervisor { .. }) => Ok(role),
        (Some(ALPN_GATEWAY), _) => Err(format!("{role} is no gateway; this is the gateways' door ({})", utf8(ALPN_GATEWAY))),
        (Some(ALPN_CONSOLE), _) => Err(format!("{role} is no console; this is the consoles' door ({})", utf8(ALPN_CONSOLE))),
        _ => Err("no protocol was agreed on".into()),
    }
}

fn utf8(alpn: &[u8]) -> &str {
    core::str::from_utf8(alpn).unwrap_or_default()
}

// --- a session ---

/// Why a session's loop ended.
enum Over {
    /// We panicked.
    Broken,
    /// The peer closed its stream or its connection is gone.
    Gone,
    /// Its bytes are no frames.
    Malformed(FrameError),
    Stopped(CloseCode),
    Draining,
}

async fn session<D: Desk>(hall: &Hall, streams: Streams, desk: D) -> CloseCode {
    let outbox = hall.registry.open::<D::Hears>();
    let id = outbox.session();
    let mut backlog = VecDeque::from([desk.opened(id)]);
    let stop = outbox.stop();
    let writer = Writer { send: streams.send, out: Vec::with_capacity(16 * 1024), seq: 0 };
    let mut talk = Talk { hall, desk, outbox, stop, writer, said_seq: 0, told_seq: 0, tell_by: None };
    let over = unpanicked(talk.run(streams.recv, streams.buffer, &mut backlog)).await.unwrap_or(Over::Broken);
    let code = match over {
        Over::Broken => {
            count(&hall.counters.sessions_broken);
            tracing::error!(session = id.0, "a session panicked and is closed");
            CloseCode::EngineClosed
        }
        Over::Gone => CloseCode::Bye,
        Over::Stopped(code) => code,
        Over::Draining => talk.drain().await,
        Over::Malformed(why) => {
            count(&hall.counters.malformed_closed);
            tracing::warn!(session = id.0, %why, "session closed");
            CloseCode::Malformed
        }
    };
    drop(talk);
    // What the session was told before it ended goes in before its end does.
    backlog.push_back(Input::SessionClosed { session: id });
    while !submit(hall, &mut backlog) {
        sleep(Duration::from_micros(RESUBMIT_MICROS)).await;
    }
    code
}

/// Hands inputs to the engine in their order. False when its queue is full and some are left.
fn submit(hall: &Hall, backlog: &mut VecDeque<Input>) -> bool {
    while let Some(input) = backlog.pop_front() {
        if let Err(input) = hall.core.submit(input) {
            count(&hall.counters.resubmitted);
            backlog.push_front(input);
            return false;
        }
    }
    true
}

struct Talk<'a, D: Desk> {
    hall: &'a Hall,
    desk: D,
    outbox: Outbox<D::Hears>,
    stop: Arc<Stop>,
    writer: Writer,
    /// The peer's messages that were taken, and those of them it was told of.
    said_seq: u64,
    told_seq: u64,
    /// When it must be told, whether there is something else to say or not.
    tell_by: Option<Instant>,
}

impl<D: Desk> Talk<'_, D> {
    async fn run(&mut self, mut recv: RecvStream, mut buffer: FrameBuffer, backlog: &mut VecDeque<Input>) -> Over {
        self.writer.put_control(&Welcome { session: self.outbox.session().0 }, self.hall);
        if let Err(over) = self.writer.write(&self.stop).await {
            return over;
        }
        let (mut draining, stop) = (self.hall.draining.subscribe(), Arc::clone(&self.stop));
        let (mut drained, mut stopped) = (pin!(told(&mut draining)), pin!(stop.stopped()));
        let mut heard = Vec::with_capacity(WRITE_BATCH_MAX);
        loop {
            // Frames that came with the last read, or that waited for the engine, are taken before more are read.
            if submit(self.hall, backlog)
                && let Err(over) = self.take_frames(&mut buffer, backlog).await
            {
                return over;
            }
            let (has_room, tell_by) = (backlog.is_empty(), self.tell_by);
            tokio::select! {
                received = self.outbox.receive_many(&mut heard, WRITE_BATCH_MAX) => {
                    if received == 0 {
                        return Over::Stopped(self.stop.stopped().await);
                    }
                    if let Err(over) = self.say(&mut heard).await {
                        return over;
                    }
                }
                read = recv.read(buffer.space()), if has_room => match read {
                    Ok(Some(bytes)) => buffer.filled(bytes),
                    Ok(None) | Err(_) => return Over::Gone,
                },
                () = sleep(Duration::from_micros(RESUBMIT_MICROS)), if !has_room => {}
                () = sleep_until(tell_by.unwrap_or_else(Instant::now)), if tell_by.is_some() => {
                    if let Err(over) = self.say(&mut heard).await {
                        return over;
                    }
                }
                why = &mut stopped => return Over::Stopped(why),
                () = &mut drained => return Over::Draining,
            }
        }
    }

    /// Writes everything that waits, in as few writes as it takes.
    async fn say(&mut self, heard: &mut Vec<D::Hears>) -> Result<(), Over> {
        for hears in heard.drain(..) {
            self.writer.put(&hears, self.hall);
            if self.writer.out.len() >= FRAME_BYTES_MAX {
                self.writer.write(&self.stop).await?;
            }
        }
        self.put_received();
        self.writer.write(&self.stop).await
    }

    /// Says what was taken, with whatever else is said.
    fn put_received(&mut self) {
        if self.told_seq < self.said_seq {
            self.writer.put_control(&Received { through: self.said_seq }, self.hall);
        }
        (self.told_seq, self.tell_by) = (self.said_seq, None);
    }

    /// Decides, answers, and then tells the engine: a burst in parts, so that its first contact does not wait for its last. Leaves
    /// frames behind only when it leaves a backlog as well.
    async fn take_frames(&mut self, buffer: &mut FrameBuffer, backlog: &mut VecDeque<Input>) -> Result<(), Over> {
        let mut more = true;
        while more {
            let seq_before = self.said_seq;
            more = self.take_some(buffer, backlog).map_err(Over::Malformed)?;
            if self.said_seq == seq_before {
                return Ok(());
            }
            // A packet of its own costs both ends more than what it says is worth; but the peer keeps what it was not told of.
            let answers = !self.writer.out.is_empty();
            if answers || self.said_seq - self.told_seq >= RECEIVED_UNTOLD_MAX {
                self.put_received();
            } else {
                self.tell_by.get_or_insert_with(|| Instant::now() + Duration::from_micros(RECEIVED_MICROS_MAX));
            }
            // Answer first; the engine is worked at while the answer is on its way. But the engine is told even when the peer
            // does not read its answers.
            let mut write = pin!(self.writer.write(&self.stop));
            let written = tokio::select! {
                biased;
                written = &mut write => Some(written),
                () = ready(()) => None,
            };
            let has_room = submit(self.hall, backlog);
            match written {
                Some(written) => written?,
                None => write.await?,
            }
            more = more && has_room;
        }
        Ok(())
    }

    /// Up to [`ANSWER_BYTES_MAX`] of answers. True when frames may be left.
    fn take_some(&mut self, buffer: &mut FrameBuffer, backlog: &mut VecDeque<Input>) -> Result<bool, FrameError> {
        let session = self.outbox.session();
        let mut taken = 0;
        while let Some(frame) = buffer.next_frame()? {
            let due = self.said_seq + 1;
            match sequence_of(&frame) {
                Some(got) if got != due => return Err(FrameError::PeerSentOutOfOrder { expected: due, got }),
                _ => self.said_seq = due,
            }
            match decode::<D::Says>(&frame) {
                Ok(read) => {
                    let (answer, input) = self.desk.said(session, read.message, read.cut);
                    backlog.push_back(input);
                    if let Some(answer) = answer {
                        self.writer.put(&answer, self.hall);
                    }
                }
                Err(why) if why.is_framing_intact() => {
                    count(&self.hall.counters.malformed);
                    tracing::warn!(session = session.0, %why, "message refused");
                    let refusal = self.desk.refusal(&frame);
                    self.writer.put(&refusal, self.hall);
                }
                Err(why) => return Err(why),
            }
            taken += 1;
            if self.writer.out.len() >= ANSWER_BYTES_MAX || taken >= WRITE_BATCH_MAX {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Says what is queued and waits until the peer has it.
    async fn drain(&mut self) -> CloseCode {
        let (mut heard, wait) = (Vec::new(), self.hall.drain_wait);
        self.outbox.drain(&mut heard);
        let all_said = async {
            if self.say(&mut heard).await.is_ok() && self.writer.send.finish().is_ok() {
                let _ = self.writer.send.stopped().await;
            }
        };
        let _ = timeout(wait, all_said).await;
        CloseCode::Draining
    }
}

/// The engine's direction of a stream: frames gathered in one buffer, numbered as they are put into it.
struct Writer {
    send: SendStream,
    out: Vec<u8>,
    seq: u64,
}

impl Writer {
    fn put<M: Message>(&mut self, message: &M, hall: &Hall) {
        match encode_into(self.seq + 1, message, &mut self.out) {
            Ok(()) => self.seq += 1,
            Err(why) => {
                count(&hall.counters.unsendable);
                tracing::error!(%why, "a message cannot be sent");
            }
        }
    }

    /// Control frames carry no number of their own: the messages' numbers have no gaps.
    fn put_control<M: Message>(&mut self, message: &M, hall: &Hall) {
        if let Err(why) = encode_into(0, message, &mut self.out) {
            count(&hall.counters.unsendable);
            tracing::error!(%why, "a message cannot be sent");
        }
    }

    async fn write(&mut self, stop: &Stop) -> Result<(), Over> {
        if self.out.is_empty() {
            return Ok(());
        }
        let written = tokio::select! {
            biased;
            written = self.send.write_all(&self.out) => written.map_err(|_| Over::Gone),
            // A peer that does not read must not hold the session open.
            why = stop.stopped() => Err(Over::Stopped(why)),
        };
        self.out.clear();
        written
    }
}
