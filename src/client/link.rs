//! One client's line to the engine: connect, resume, write in batches, read, and again when it breaks.
//!
//! ```text
//! user -> bounded queue -> link task -> one stream -> door
//! user <- bounded queue <- link task <- the same   <- door
//! ```
//!
//! The link numbers what it sends and keeps it until the engine says `Received`. After a reconnect the numbers start again at 1 and
//! what was kept goes out first. What else a side keeps (contacts, offers) is its own affair: see [`Side`].

use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quinn::{ConnectionError, ReadError, RecvStream, SendStream, WriteError};
use ring::rand::SecureRandom;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::transport::{CloseCode, Identity, IdentityError};
use crate::limits::{DRAIN_MICROS_MAX, FRAME_BYTES_MAX, HANDSHAKE_MICROS_MAX, HEARTBEAT_MICROS, UNRECEIVED_MAX, WRITE_BATCH_MAX};
use crate::wire::frame::{FrameBuffer, FrameError, Hello, Kind, Message, Received, Welcome, decode, encode_into};

/// Where to and as whom.
#[derive(Clone, Debug)]
pub struct LinkConfig {
    /// Tried in turn, the next after each failure.
    pub addrs: Vec<SocketAddr>,
    /// The name in the engine's certificate.
    pub server_name: String,
    pub identity: Identity,
    /// The first wait after a failure; each further one is twice as long, at most `backoff_max`, less up to half by chance.
    pub backoff_min: Duration,
    pub backoff_max: Duration,
    /// Messages waiting to be written, and messages waiting to be heard.
    pub queue_max: usize,
}

impl LinkConfig {
    pub fn new(addr: SocketAddr, server_name: impl Into<String>, identity: Identity) -> Self {
        Self {
            addrs: vec![addr],
            server_name: server_name.into(),
            identity,
            backoff_min: Duration::from_millis(20),
            backoff_max: Duration::from_secs(2),
            queue_max: crate::limits::SESSION_QUEUE_MAX,
        }
    }
}

/// How the line is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// Trying; the reason of the last failure, if there was one.
    Connecting { failures: u32, why: Option<Arc<str>> },
    /// Messages flow, under the engine's number of the session.
    Open { session: u64 },
    /// The engine said no. The link goes on trying, as slowly as it may: a certificate can be replaced at the other end.
    Refused { why: Arc<str> },
    /// The client was closed.
    Closed,
}

/// Why there is no session.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    #[error("the certificate cannot be used: {0}")]
    BadIdentity(Arc<IdentityError>),
    #[error("no address to connect to")]
    NoAddress,
    #[error("cannot reach the engine: {0}")]
    Unreachable(Arc<str>),
    #[error("the engine refused this client: {0}")]
    EngineRefused(Arc<str>),
    #[error("the engine closed the session: {0}")]
    EngineClosed(Arc<str>),
    #[error("the engine sent what is no frame: {0}")]
    EngineSentNonsense(#[from] FrameError),
    #[error("no session within {0:?}")]
    TimedOut(Duration),
}

/// What differs between a gateway and a console.
pub(super) trait Side: Send + Sync + 'static {
    type Says: Message + Clone + Send + Sync + 'static;
    type Hears: Message + Send + 'static;
    const ALPN: &'static [u8];

    /// What a new session begins with, before anything kept or queued.
    fn opening(&self) -> Vec<Self::Says>;
    /// About to be written for the first time.
    fn saying(&self, says: &Self::Says);
    /// Kept until received, and said again in the next session. What `opening` covers is not.
    fn is_repeated(says: &Self::Says) -> bool;
    fn heard(&self, seq: u64, hears: &Self::Hears);
    fn heartbeat() -> Option<Self::Says>;
    /// The last words of a client that leaves.
    fn farewell() -> Option<Self::Says>;
}

/// A handle on the line: shared by the clones of a client.
#[derive(Debug)]
pub struct Link<S> {
    queue: mpsc::Sender<S>,
    state: watch::Receiver<LinkState>,
    stop: watch::Sender<bool>,
    drop_line: Arc<Notify>,
}

impl<S> Link<S> {
    pub fn state(&self) -> LinkState {
        self.state.borrow().clone()
    }

    /// Changes of the state, for those who show it.
    pub fn states(&self) -> watch::Receiver<LinkState> {
        self.state.clone()
    }

    /// Waits for a session.
    ///
    /// # Errors
    /// [`ClientError::EngineRefused`] at once when the engine says no, [`ClientError::TimedOut`] when nothing answers in time.
    pub async fn connected(&self, wait: Duration) -> Result<u64, ClientError> {
        let mut state = self.state.clone();
        let settled = |state: &LinkState| !matches!(state, LinkState::Connecting { .. });
        let settled = timeout(wait, state.wait_for(settled)).await.map_err(|_| ClientError::TimedOut(wait))?;
        match settled.as_deref() {
            Ok(LinkState::Open { session }) => Ok(*session),
            Ok(LinkState::Refused { why }) => Err(ClientError::EngineRefused(Arc::clone(why))),
            _ => Err(ClientError::EngineClosed("the client was closed".into())),
        }
    }

    /// Breaks the line as a cut cable would, and lets it resume: for drills and tests.
    pub fn break_line(&self) {
        self.drop_line.notify_one();
    }

    pub(super) fn queue(&self) -> &mpsc::Sender<S> {
        &self.queue
    }

    pub(super) async fn closed(&self) {
        self.stop.send_replace(true);
        let mut state = self.state.clone();
        // An error means that the task is gone, which is what we wait for.
        let _ = state.wait_for(|state| *state == LinkState::Closed).await;
    }
}

/// The handle, and what is heard.
type Started<D> = (Link<<D as Side>::Says>, mpsc::Receiver<<D as Side>::Hears>);

/// Starts the line's task. Must be called within a tokio runtime.
pub(super) fn start<D: Side>(config: LinkConfig, side: Arc<D>) -> Result<Started<D>, ClientError> {
    let quic = config.identity.client_config(D::ALPN).map_err(|why| ClientError::BadIdentity(Arc::new(why)))?;
    let first = *config.addrs.first().ok_or(ClientError::NoAddress)?;
    let (queue, queued) = mpsc::channel(config.queue_max);
    let (heard, hears) = mpsc::channel(config.queue_max);
    let (state, watched) = watch::channel(LinkState::Connecting { failures: 0, why: None });
    let (stop, drop_line) = (watch::Sender::new(false), Arc::new(Notify::new()));
    let link = Link { queue, state: watched, stop: stop.clone(), drop_line: Arc::clone(&drop_line) };
    let endpoint = endpoint_for(first).map_err(|why| ClientError::Unreachable(why.to_string().into()))?;
    let kept = Kept::new();
    let line = Line { config, quic, endpoint, side, state, stop, drop_line, kept, heard };
    tokio::spawn(line.run(queued));
    Ok((link, hears))
}

fn endpoint_for(peer: SocketAddr) -> io::Result<quinn::Endpoint> {
    let any = if peer.is_ipv6() { SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)) } else { SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)) };
    quinn::Endpoint::client(any)
}

/// What is to be said and what was said but not yet received, oldest first. It outlives the session, and so do its contents: nothing
/// is anywhere else while it is written, so a line that breaks at any moment forgets nothing.
struct Kept<S> {
    inner: Mutex<KeptInner<S>>,
    room: Notify,
}

struct KeptInner<S> {
    /// The number of the oldest message.
    front_seq: u64,
    /// How many from the front are written in this session.
    written: usize,
    queue: VecDeque<S>,
}

impl<S: Message> Kept<S> {
    fn new() -> Self {
        Self { inner: Mutex::new(KeptInner { front_seq: 1, written: 0, queue: VecDeque::new() }), room: Notify::new() }
    }

    /// Both halves of a session run in one task, so this never waits.
    fn lock(&self) -> MutexGuard<'_, KeptInner<S>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new session numbers from 1: what opens it first, then what the last one did not see received.
    fn resume(&self, opening: Vec<S>, is_repeated: fn(&S) -> bool) {
        let mut inner = self.lock();
        inner.queue.retain(is_repeated);
        for says in opening.into_iter().rev() {
            inner.queue.push_front(says);
        }
        (inner.front_seq, inner.written) = (1, 0);
    }

    fn received(&self, through: u64) {
        let mut inner = self.lock();
        while inner.written > 0 && inner.front_seq <= through {
            inner.queue.pop_front();
            inner.front_seq += 1;
            inner.written -= 1;
        }
        drop(inner);
        self.room.notify_one();
    }

    fn has_room(&self) -> bool {
        self.lock().queue.len() < UNRECEIVED_MAX
    }

    fn next_seq(&self) -> u64 {
        let inner = self.lock();
        inner.front_seq + inner.written as u64
    }

    /// Encodes what is not written yet, a frame's worth or a little more at a time.
    fn encode_next(&self, out: &mut Vec<u8>) {
        let mut inner = self.lock();
        while out.len() < FRAME_BYTES_MAX {
            let (index, seq) = (inner.written, inner.front_seq + inner.written as u64);
            let Some(says) = inner.queue.get(index) else { return };
            match encode_into(seq, says, out) {
                Ok(()) => inner.written += 1,
                Err(why) => {
                    tracing::error!(%why, "a message cannot be sent");
                    inner.queue.remove(index);
                }
            }
        }
    }
}

struct Line<D: Side> {
    config: LinkConfig,
    quic: quinn::ClientConfig,
    endpoint: quinn::Endpoint,
    side: Arc<D>,
    state: watch::Sender<LinkState>,
    stop: watch::Sender<bool>,
    drop_line: Arc<Notify>,
    kept: Kept<D::Says>,
    heard: mpsc::Sender<D::Hears>,
}

/// Why a session ended.
enum Over {
    /// The client was closed or dropped.
    Stopped,
    /// The engine said its last word; why it closes follows.
    StreamEnded,
    Lost(ClientError),
}

impl From<ClientError> for Over {
    fn from(error: ClientError) -> Self {
        Self::Lost(error)
    }
}

impl<D: Side> Line<D> {
    async fn run(self, mut queued: mpsc::Receiver<D::Says>) {
        let (mut failures, mut sessions) = (0_u32, 0_u32);
        loop {
            let sessions_before = sessions;
            let over = tokio::select! {
                over = self.session(&mut sessions, &mut failures, &mut queued) => over,
                () = self.stopped_for_long() => Over::Stopped,
            };
            // `session` has turned the end of a stream into its reason.
            let Over::Lost(error) = over else { break };
            // A session that was open starts the waits again from the shortest.
            failures = if sessions > sessions_before { 1 } else { failures.saturating_add(1) };
            let state = match error {
                ClientError::EngineRefused(why) => LinkState::Refused { why },
                other => LinkState::Connecting { failures, why: Some(other.to_string().into()) },
            };
            tracing::debug!(?state, "line lost");
            let refused = matches!(state, LinkState::Refused { .. });
            self.state.send_replace(state);
            let wait = if refused { self.config.backoff_max } else { self.backoff(failures) };
            let mut stop = self.stop.subscribe();
            tokio::select! {
                () = sleep(jittered(wait)) => {}
                _ = stop.wait_for(|stop| *stop) => break,
            }
            if queued.is_closed() {
                // Every handle was dropped: nobody is left to speak for.
                break;
            }
        }
        self.endpoint.close(CloseCode::Bye.into(), CloseCode::Bye.word().as_bytes());
        // The close frame leaves before the socket does.
        let _ = timeout(Duration::from_micros(DRAIN_MICROS_MAX), self.endpoint.wait_idle()).await;
        self.state.send_replace(LinkState::Closed);
    }

    /// A session is given time to end in order once the client stops; a line that does not even open is given none.
    async fn stopped_for_long(&self) {
        let mut stop = self.stop.subscribe();
        let _ = stop.wait_for(|stop| *stop).await;
        if matches!(*self.state.borrow(), LinkState::Open { .. }) {
            sleep(Duration::from_micros(2 * DRAIN_MICROS_MAX)).await;
        }
    }

    fn backoff(&self, failures: u32) -> Duration {
        let doubled = self.config.backoff_min.saturating_mul(1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX));
        doubled.min(self.config.backoff_max)
    }

    async fn session(&self, sessions: &mut u32, failures: &mut u32, queued: &mut mpsc::Receiver<D::Says>) -> Over {
        let (connection, stream, session) = match self.open(*sessions, *failures).await {
            Ok(opened) => opened,
            Err(error) => return Over::Lost(error),
        };
        *sessions = sessions.saturating_add(1);
        *failures = 0;
        self.state.send_replace(LinkState::Open { session });
        let Stream { mut send, mut recv, mut buffer, mut out } = stream;
        // Both halves in one task: no hop between them, and a user who does not listen does not stop what is being said.
        let over = tokio::select! {
            over = self.write(&mut send, &mut out, queued) => over,
            over = self.read(&mut recv, &mut buffer) => over,
            () = self.drop_line.notified() => Over::Lost(ClientError::Unreachable("the line was broken on purpose".into())),
        };
        let over = match over {
            Over::Stopped => {
                self.leave(&mut send, &mut recv, &mut out).await;
                Over::Stopped
            }
            Over::StreamEnded => {
                let why = timeout(Duration::from_micros(DRAIN_MICROS_MAX), connection.closed()).await;
                Over::Lost(why.map_or_else(|_| ClientError::EngineClosed("the engine ended the stream".into()), lost))
            }
            lost => lost,
        };
        let (code, word) = match &over {
            Over::Lost(ClientError::EngineSentNonsense(_)) => (CloseCode::Malformed, CloseCode::Malformed.word()),
            _ => (CloseCode::Bye, CloseCode::Bye.word()),
        };
        connection.close(code.into(), word.as_bytes());
        over
    }

    /// Connects, says hello, and waits for the welcome: only then does the role fit the door.
    async fn open(&self, sessions_before: u32, failures: u32) -> Result<(quinn::Connection, Stream, u64), ClientError> {
        let index = failures as usize % self.config.addrs.len().max(1);
        let addr = *self.config.addrs.get(index).ok_or(ClientError::NoAddress)?;
        let unreachable = |why: String| ClientError::Unreachable(why.into());
        let connecting = self
            .endpoint
            .connect_with(self.quic.clone(), addr, &self.config.server_name)
            .map_err(|why| unreachable(format!("{addr}: {why}")))?;
        let wait = Duration::from_micros(HANDSHAKE_MICROS_MAX);
        let greet = async {
            let connection = connecting.await.map_err(lost)?;
            let (mut send, mut recv) = connection.open_bi().await.map_err(lost)?;
            let (mut out, mut buffer) = (Vec::with_capacity(8 * 1024), FrameBuffer::default());
            encode_into(0, &Hello { sessions_before }, &mut out)?;
            send.write_all(&out).await.map_err(|why| write_lost(&connection, why))?;
            let welcome = loop {
                if let Some(frame) = buffer.next_frame()? {
                    break decode::<Welcome>(&frame)?.message;
                }
                let read = recv.read(buffer.space()).await.map_err(|why| read_lost(&connection, why))?;
                buffer.filled(read.ok_or_else(|| ClientError::EngineClosed("the engine ended the stream".into()))?);
            };
            Ok((connection, Stream { send, recv, buffer, out }, welcome.session))
        };
        timeout(wait, greet).await.unwrap_or_else(|_| Err(unreachable(format!("{addr}: nothing heard within {wait:?}"))))
    }

    async fn write(&self, send: &mut SendStream, out: &mut Vec<u8>, queued: &mut mpsc::Receiver<D::Says>) -> Over {
        self.kept.resume(self.side.opening(), D::is_repeated);
        let mut batch: Vec<D::Says> = Vec::with_capacity(WRITE_BATCH_MAX);
        let (mut stop, mut stopping) = (self.stop.subscribe(), false);
        let mut heartbeat = interval(Duration::from_micros(HEARTBEAT_MICROS));
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            loop {
                out.clear();
                self.kept.encode_next(out);
                if out.is_empty() {
                    break;
                }
                if let Err(why) = send.write_all(out).await {
                    return Over::Lost(write_gone(why));
                }
            }
            let has_room = self.kept.has_room();
            tokio::select! {
                biased;
                count = queued.recv_many(&mut batch, WRITE_BATCH_MAX), if has_room => match count {
                    0 => return Over::Stopped,
                    _ => batch.iter().for_each(|says| self.side.saying(says)),
                },
                () = self.kept.room.notified(), if !has_room => {}
                _ = heartbeat.tick() => batch.extend(D::heartbeat()),
                _ = stop.wait_for(|stop| *stop), if !stopping => {
                    // What is queued already still goes out; the empty, closed queue then ends the session.
                    stopping = true;
                    queued.close();
                }
            }
            self.kept.lock().queue.extend(batch.drain(..));
        }
    }

    async fn read(&self, recv: &mut RecvStream, buffer: &mut FrameBuffer) -> Over {
        let mut due = 1;
        loop {
            loop {
                let frame = match buffer.next_frame() {
                    Ok(Some(frame)) => frame,
                    Ok(None) => break,
                    Err(why) => return Over::Lost(why.into()),
                };
                if frame.kind == Kind::Received as u8 {
                    match decode::<Received>(&frame) {
                        Ok(read) => self.kept.received(read.message.through),
                        Err(why) => return Over::Lost(why.into()),
                    }
                    continue;
                }
                let read = match decode::<D::Hears>(&frame) {
                    Ok(read) if read.seq == due => read,
                    Ok(read) => return Over::Lost(FrameError::PeerSentOutOfOrder { expected: due, got: read.seq }.into()),
                    Err(why) => return Over::Lost(why.into()),
                };
                due += 1;
                self.side.heard(read.seq, &read.message);
                // A user who dropped the receiver does not want to hear; what must be kept is kept all the same.
                let _ = self.heard.send(read.message).await;
            }
            match recv.read(buffer.space()).await {
                Ok(Some(count)) => buffer.filled(count),
                Ok(None) => return Over::StreamEnded,
                Err(why) => return Over::Lost(read_gone(why)),
            }
        }
    }

    /// Says farewell and waits until the engine has every byte, so that closing loses none.
    async fn leave(&self, send: &mut SendStream, recv: &mut RecvStream, out: &mut Vec<u8>) {
        out.clear();
        let said = D::farewell().map_or(Ok(()), |says| encode_into(self.kept.next_seq(), &says, out));
        if said.is_err() || send.write_all(out).await.is_err() || send.finish().is_err() {
            return;
        }
        let all_read = async {
            // Read on, so that the engine is never stuck on what it has to say while it reads our last words.
            let mut sink = [0; 4 * 1024];
            while let Ok(Some(_)) = recv.read(&mut sink).await {}
        };
        let _ = timeout(Duration::from_micros(DRAIN_MICROS_MAX), async {
            tokio::select! {
                _ = send.stopped() => {}
                () = all_read => {}
            }
        })
        .await;
    }
}

struct Stream {
    send: SendStream,
    recv: RecvStream,
    buffer: FrameBuffer,
    out: Vec<u8>,
}

fn lost(why: ConnectionError) -> ClientError {
    match &why {
        ConnectionError::ApplicationClosed(close) => {
            let reason: Arc<str> = String::from_utf8_lossy(&close.reason).into();
            match CloseCode::from_code(close.error_code) {
                Some(CloseCode::RoleRefused) => ClientError::EngineRefused(reason),
                _ => ClientError::EngineClosed(reason),
            }
        }
        // The TLS layer of the other end said no: an alert, such as certificate required or unknown authority.
        ConnectionError::ConnectionClosed(close) if (0x100..0x200).contains(&u64::from(close.error_code)) => {
            ClientError::EngineRefused(why.to_string().into())
        }
        ConnectionError::TransportError(error) if (0x100..0x200).contains(&u64::from(error.code)) => {
            ClientError::EngineRefused(why.to_string().into())
        }
        _ => ClientError::Unreachable(why.to_string().into()),
    }
}

fn write_gone(why: WriteError) -> ClientError {
    match why {
        WriteError::ConnectionLost(why) => lost(why),
        other => ClientError::EngineClosed(other.to_string().into()),
    }
}

fn read_gone(why: ReadError) -> ClientError {
    match why {
        ReadError::ConnectionLost(why) => lost(why),
        other => ClientError::EngineClosed(other.to_string().into()),
    }
}

/// The connection's own reason says more than the stream's.
fn write_lost(connection: &quinn::Connection, why: WriteError) -> ClientError {
    connection.close_reason().map_or_else(|| write_gone(why), lost)
}

fn read_lost(connection: &quinn::Connection, why: ReadError) -> ClientError {
    connection.close_reason().map_or_else(|| read_gone(why), lost)
}

/// Between half of `wait` and all of it: clients cut off together do not come back together.
fn jittered(wait: Duration) -> Duration {
    let mut random = [0; 2];
    // Without entropy the wait is merely not spread.
    let _ = ring::rand::SystemRandom::new().fill(&mut random);
    let half = wait / 2;
    half + half.mul_f64(f64::from(u16::from_le_bytes(random)) / f64::from(u16::MAX))
}
