//! The SIP door: gateways send a call, and hear at once where it goes. No dialogs, no media, no registrations.
//!
//! ```text
//! UDP:  datagram -> receiver (answers OPTIONS, nothing else) -> queue (bounded) -> worker: reads, decides, answers, tells the engine
//! TCP, TLS:  stream -> its own task: the same, message by message
//! ```
//!
//! | request | answer |
//! | --- | --- |
//! | INVITE | 302 with every target in order; 300 to a peer that is a location retrieval function |
//! | the same INVITE within 32 s, by whatever way | the same answer, and no second contact |
//! | INVITE of the same call with a higher CSeq | the target told first failed: the next one first, the failed one last |
//! | MESSAGE, INFO with data | 200 once the journal holds it, 202 when that takes too long |
//! | NOTIFY, PUBLISH of dialogs | 200 to a gateway we know; the engine hears who answered, which target failed, and that a line broke |
//! | CANCEL, BYE | 200 when the call is known, 481 when not; the engine hears that the caller is gone |
//! | OPTIONS | 200; 503 while the engine ends, so that gateways go elsewhere in time |
//!
//! # Invariants
//! - No call is asked for a password, refused for its place, or sent away for want of room: what can be read is routed.
//! - An answer is kept as the decision it says, so a table set put in force meanwhile does not change it, nor does a restart: the
//!   answers of the last 32 s are read back from the journal, and our tags come from a key in the state folder.
//! - OPTIONS is answered where no call is worked on.
//! - Every contact of this door has the gateway `sip/door` and a reference made of its Call-ID and From tag, so the same call is the
//!   same contact over two proxies and two transports. Over which gateway it came is its trunk: by address, or by certificate.
//! - An answer to a datagram goes to the machine that sent it, never to a third.
//!
//! Deliberately absent: digest authentication (an emergency call is never challenged), dialogs, forwarding, subscriptions.
//!
//! # Source
//! RFC 3261, RFC 6881 (emergency best practice), RFC 5626 (keepalives of streams), 3GPP TS 24.229, 5.12.2.

mod answers;
pub(in crate::edge::ingress) mod calls;
mod datagrams;
mod peers;
mod streams;

use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ring::hmac;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use self::answers::{Answers, Call};
pub use self::calls::reference_begins;
pub use self::peers::{PeerError, SipPeer};
use super::alerts::Alerts;
use super::devices::Devices;
use super::lines::{Line, Lines};
pub use super::references::ReferenceConfig;
use super::references::References;
use super::{Core, Decided, DoorCounters, GatewayDesk, count};
use crate::client::http::HttpError;
use crate::client::transport::{Identity, IdentityError};
use crate::decision::DecisionRecord;
use crate::deliver::{Fact, Target};
use crate::edge::run::{Node, NodeCore};
use crate::edge::tls::{self, ResetKeyError};
use crate::engine::{Input, SessionId};
use crate::limits::{
    DRAIN_MICROS_MAX, HANDSHAKE_MICROS_MAX, JOURNAL_WAIT_MICROS_MAX, READ_ENTRIES_MAX, RESUBMIT_MICROS, SIP_ANSWER_MICROS, SIP_BACKLOG_MAX,
    SIP_FACTS_MAX, SIP_QUEUE_MAX, SIP_SILENT_MICROS_MAX,
};
use crate::store::{Partition, Store, StoreError};
use crate::tables::snapshot::Tables;
use crate::units::{Name, Timestamp};
use crate::wire::dialog_info::Leg;
use crate::wire::frame::decode_fact;

/// The gateway in the keys of this door's contacts. No certificate can have this name.
pub const GATEWAY: &str = "sip/door";
/// What we call ourselves where nothing else is configured.
pub const NAME_DEFAULT: &str = "najda.internal";

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Transport {
    Tcp,
    Tls,
    Udp,
}

impl Transport {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Udp => "udp",
        }
    }
}

/// One address to listen on: `udp:127.0.0.1:5060`, `tcp:...`, `tls:...`; without a transport both UDP and TCP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SipListen {
    pub transports: Vec<Transport>,
    pub addr: SocketAddr,
}

impl FromStr for SipListen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = [Transport::Tcp, Transport::Tls, Transport::Udp].into_iter().find_map(|transport| {
            let rest = text.strip_prefix(transport.word())?.strip_prefix(':')?;
            Some((vec![transport], rest))
        });
        let (transports, addr) = named.unwrap_or_else(|| (vec![Transport::Udp, Transport::Tcp], text));
        let addr = addr.parse().map_err(|_| format!("{text:?} is no address: write [udp:|tcp:|tls:]HOST:PORT with a host in digits"))?;
        Ok(Self { transports, addr })
    }
}

/// How the door stands.
#[derive(Clone, Debug)]
pub struct SipConfig {
    pub listen: Vec<SipListen>,
    /// The engine's certificate for TLS, and the authority of its clients.
    pub identity: Identity,
    /// Where the key of our tags is kept.
    pub state_folder: PathBuf,
    /// Who we are in warnings and identifiers: a host name.
    pub name: Box<str>,
    pub peers: Vec<SipPeer>,
    /// Location servers that may be asked for what a call names; nobody when it lists none.
    pub references: ReferenceConfig,
    /// Where test calls go; without it they hear 404, as RFC 6881 asks of who has no test service.
    pub test_uri: Option<Box<str>>,
    /// As the engine's: after this long a message is answered 202.
    pub journal_wait: Duration,
    /// Threads that work on datagrams.
    pub workers: usize,
    /// Datagrams read and not yet worked on.
    pub queue_max: usize,
    pub handshake_wait: Duration,
    /// How long a stream may say nothing.
    pub silent_wait: Duration,
}

impl SipConfig {
    pub fn new(listen: Vec<SipListen>, identity: Identity, state_folder: PathBuf) -> Self {
        Self {
            listen,
            identity,
            state_folder,
            name: NAME_DEFAULT.into(),
            peers: Vec::new(),
            references: ReferenceConfig::default(),
            test_uri: None,
            journal_wait: Duration::from_micros(JOURNAL_WAIT_MICROS_MAX),
            workers: std::thread::available_parallelism().map_or(1, usize::from).min(8),
            queue_max: SIP_QUEUE_MAX,
            handshake_wait: Duration::from_micros(HANDSHAKE_MICROS_MAX),
            silent_wait: Duration::from_micros(SIP_SILENT_MICROS_MAX),
        }
    }
}

/// Why the door cannot open.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SipDoorError {
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error(transparent)]
    Key(#[from] ResetKeyError),
    #[error("location servers: {0}")]
    References(HttpError),
    #[error("cannot listen on {}:{addr}: {why}", transport.word())]
    Listen { transport: Transport, addr: SocketAddr, why: io::Error },
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
}

/// The open door. Dropping it without [`Self::shutdown`] leaves calls unanswered.
pub struct SipDoor {
    hall: Arc<Hall>,
    addrs: Vec<(Transport, SocketAddr)>,
    threads: Vec<std::thread::JoinHandle<()>>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl SipDoor {
    /// Opens the door of a running engine. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// See [`SipDoorError`].
    pub async fn start(config: SipConfig, node: &Node) -> Result<Self, SipDoorError> {
        let core = Arc::clone(node.core());
        let counters = Arc::new(DoorCounters::default());
        let draining = watch::Sender::new(false);
        let lines = Lines::new(false, Arc::clone(&core), Arc::clone(&counters), draining.clone());
        let gateway = Name::of_word(GATEWAY);
        // A door that has just opened is neither full nor draining.
        let line = lines.line(gateway).unwrap_or_default();
        line.opened().await;
        let desk = GatewayDesk {
            trunk: gateway,
            load_test: false,
            core: Arc::clone(&core) as Arc<dyn Core>,
            clock: core.clock,
            counters: Arc::clone(&counters),
        };
        let acceptor = TlsAcceptor::from(Arc::new(tls::sip_server(&config.identity)?));
        let hall = Arc::new(Hall {
            answers: Answers::default(),
            devices: Arc::default(),
            alerts: Alerts::default(),
            backlog: Arc::new(Backlog {
                core: Arc::clone(&core),
                counters: Arc::clone(&counters),
                waiting: AtomicUsize::new(0),
                kept: Mutex::default(),
            }),
            key: tls::reset_key(&config.state_folder)?,
            peers: peers::Peers::new(config.peers.clone()),
            references: References::new(&config.references, &config.identity, Arc::clone(&counters)).map_err(SipDoorError::References)?,
            runtime: tokio::runtime::Handle::current(),
            stopping: watch::Sender::new(false),
            config,
            core,
            counters,
            desk,
            draining,
            line,
            lines,
        });
        let known = hall.read_back(&**node.store(), node.started().seq, hall.core.clock.now());
        if known > 0 {
            tracing::info!(calls = known, "answers of the last half minute are known again");
        }
        let mut door = Self { hall, addrs: Vec::new(), threads: Vec::new(), tasks: Vec::new() };
        door.open(&acceptor)?;
        Ok(door)
    }

    fn open(&mut self, acceptor: &TlsAcceptor) -> Result<(), SipDoorError> {
        let hall = Arc::clone(&self.hall);
        for SipListen { transports, addr } in &hall.config.listen {
            for transport in transports {
                let failed = |why| SipDoorError::Listen { transport: *transport, addr: *addr, why };
                let bound = if *transport == Transport::Udp {
                    let socket = Arc::new(super::udp::bind(*addr).map_err(failed)?);
                    self.threads.extend(datagrams::start(&socket, &hall).map_err(SipDoorError::Thread)?);
                    socket.local_addr()
                } else {
                    let listener = TcpListener::bind(addr).map_err(failed)?;
                    listener.set_nonblocking(true).map_err(failed)?;
                    let listener = tokio::net::TcpListener::from_std(listener).map_err(failed)?;
                    let bound = listener.local_addr();
                    let acceptor = (*transport == Transport::Tls).then(|| acceptor.clone());
                    self.tasks.push(tokio::spawn(streams::accept(listener, acceptor, Arc::clone(&hall))));
                    bound
                };
                self.addrs.push((*transport, bound.map_err(failed)?));
            }
        }
        Ok(())
    }

    /// Where the door listens; the ports the system chose when the configuration said 0.
    pub fn local_addrs(&self) -> &[(Transport, SocketAddr)] {
        &self.addrs
    }

    /// For those who outlive a borrow of the door.
    pub fn shared_counters(&self) -> Arc<DoorCounters> {
        Arc::clone(&self.hall.counters)
    }

    /// The way for gateways that report the legs of their calls by HTTP.
    pub(super) fn legs(&self) -> Legs {
        Legs(Arc::clone(&self.hall))
    }

    /// Calls by device, for the door where phones report.
    pub(super) fn devices(&self) -> Arc<Devices> {
        Arc::clone(&self.hall.devices)
    }

    /// From now on OPTIONS hears 503, so that gateways send their calls elsewhere. Calls are answered as before.
    pub fn drain(&self) {
        self.hall.draining.send_replace(true);
    }

    /// Answers what has come, and closes. Before the engine's own shutdown.
    pub async fn shutdown(self) {
        self.drain();
        self.hall.stopping.send_replace(true);
        let threads = self.threads;
        let _ = tokio::task::spawn_blocking(move || threads.into_iter().for_each(|thread| drop(thread.join()))).await;
        for task in self.tasks {
            let _ = timeout(Duration::from_micros(DRAIN_MICROS_MAX), task).await;
        }
        self.hall.backlog.emptied().await;
        self.hall.lines.ended().await;
    }
}

/// Where the legs of this door's calls are reported.
pub(in crate::edge::ingress) struct Legs(Arc<Hall>);

impl Legs {
    pub(super) fn report(&self, leg: &Leg) {
        self.0.leg(leg);
    }
}

/// What every thread and stream of the door shares.
struct Hall {
    core: Arc<NodeCore>,
    config: SipConfig,
    counters: Arc<DoorCounters>,
    answers: Answers,
    backlog: Arc<Backlog>,
    desk: GatewayDesk,
    devices: Arc<Devices>,
    alerts: Alerts,
    key: hmac::Key,
    line: Arc<Line>,
    lines: Lines,
    peers: peers::Peers,
    references: References,
    runtime: tokio::runtime::Handle,
    draining: watch::Sender<bool>,
    stopping: watch::Sender<bool>,
}

impl Hall {
    fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// Tells the engine; never waits.
    fn tell(&self, input: Input) {
        Backlog::submit(&self.backlog, input, &self.runtime);
    }

    /// Tells the engine what only a session may say: now, or once one is open again.
    fn tell_in_session(&self, input: impl FnOnce(SessionId) -> Input + Send + 'static) {
        if let Some(session) = self.line.session() {
            return self.tell(input(session));
        }
        let (line, backlog, runtime) = (Arc::clone(&self.line), Arc::clone(&self.backlog), self.runtime.clone());
        drop(self.runtime.spawn(async move {
            line.opened().await;
            if let Some(session) = line.session() {
                Backlog::submit(&backlog, input(session), &runtime);
            }
        }));
    }

    /// Takes the answers of the last 32 s from the journal, newest first. How many they are.
    fn read_back(&self, store: &dyn Store, last_seq: u64, now: Timestamp) -> usize {
        let (gateway, snapshot) = (Name::of_word(GATEWAY), self.core.snapshot());
        let (mut before, mut known) = (last_seq + 1, 0);
        let floor = before.saturating_sub(SIP_FACTS_MAX).max(1);
        while before > floor {
            let from = before.saturating_sub(READ_ENTRIES_MAX as u64).max(floor);
            let facts = match facts_of(store, from, before) {
                Ok(facts) => facts,
                Err(error) => {
                    tracing::warn!(%error, "earlier answers cannot be read back; their calls would be decided anew");
                    return known;
                }
            };
            let mut is_old = facts.is_empty();
            for fact in facts {
                is_old |= now.micros_since(fact.at()) > SIP_ANSWER_MICROS;
                let Fact::Arrived { contact, decision, .. } = fact else { continue };
                if contact.key.gateway != gateway || now.micros_since(contact.received) > SIP_ANSWER_MICROS {
                    continue;
                }
                let targets = targets_of(&snapshot.tables, &decision);
                let reference = contact.key.gateway_ref.clone();
                let call = Call::new(contact.id, contact.key.clone(), Decided { decision, targets });
                call.set_durable();
                known += usize::from(self.answers.keep(&reference, None, Arc::new(call), contact.received).1);
            }
            if is_old {
                break;
            }
            before = from;
        }
        known
    }
}

/// What the journal holds from one entry to before another.
fn facts_of(store: &dyn Store, from: u64, before: u64) -> Result<Vec<Fact>, StoreError> {
    let (mut facts, mut next) = (Vec::new(), Some(from));
    while let Some(seq) = next.filter(|seq| *seq < before) {
        let page = store.read(Partition::default(), seq, (before - seq) as usize)?;
        facts.extend(page.entries.iter().filter(|entry| entry.seq < before).filter_map(|entry| decode_fact(&entry.bytes).ok()));
        next = page.next_seq.filter(|further| *further > seq);
    }
    Ok(facts)
}

/// Where the voice of a decision goes that was made earlier: rooms that the tables in force do not know are left out.
fn targets_of(tables: &Tables, decision: &DecisionRecord) -> Vec<Target> {
    let lead = decision.services.iter().find(|assigned| assigned.lead);
    let rooms =
        lead.into_iter().flat_map(|lead| &lead.chain).filter_map(|id| tables.dispatchers.get(tables.dispatchers.find(id.as_str())?));
    rooms.map(|room| Target { dispatcher: room.id, service: room.service, uri: room.uri.clone() }).collect()
}

// --- the way to the engine ---

/// Inputs that found the engine's queue full, in their order: what is said of a call never overtakes the call.
struct Backlog {
    core: Arc<NodeCore>,
    counters: Arc<DoorCounters>,
    /// As many as are kept; a fast look without the lock.
    waiting: AtomicUsize,
    kept: Mutex<VecDeque<Input>>,
}

impl Backlog {
    fn submit(backlog: &Arc<Self>, input: Input, runtime: &tokio::runtime::Handle) {
        let input = if backlog.waiting.load(Ordering::Acquire) == 0 {
            match backlog.core.leave(input) {
                Ok(()) => return,
                Err(input) => input,
            }
        } else {
            input
        };
        count(&backlog.counters.resubmitted);
        let mut kept = backlog.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= SIP_BACKLOG_MAX {
            count(&backlog.counters.inputs_lost);
            tracing::error!("the engine takes nothing: an input is lost; its call was answered");
            return;
        }
        kept.push_back(input);
        if backlog.waiting.fetch_add(1, Ordering::AcqRel) == 0 {
            let backlog = Arc::clone(backlog);
            drop(runtime.spawn(async move { backlog.empty().await }));
        }
    }

    async fn empty(&self) {
        while self.hand_in() {
            sleep(Duration::from_micros(RESUBMIT_MICROS)).await;
        }
    }

    /// As many as there is room for. True when some are left.
    fn hand_in(&self) -> bool {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(input) = kept.pop_front() {
            // Whoever answers calls may wait for this lock: no work of the engine's is done under it.
            if let Err(input) = self.core.leave(input) {
                kept.push_front(input);
                return true;
            }
            self.waiting.fetch_sub(1, Ordering::AcqRel);
        }
        false
    }

    async fn emptied(&self) {
        let patience = timeout(Duration::from_micros(DRAIN_MICROS_MAX), async {
            while self.waiting.load(Ordering::Acquire) > 0 {
                sleep(Duration::from_micros(RESUBMIT_MICROS)).await;
            }
        });
        if patience.await.is_err() {
            tracing::error!("inputs are left that the engine did not take");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_name_its_transport() {
        let read = |text: &str| text.parse::<SipListen>().map(|listen| (listen.transports, listen.addr.to_string()));
        assert_eq!(read("127.0.0.1:5060"), Ok((vec![Transport::Udp, Transport::Tcp], "127.0.0.1:5060".into())));
        assert_eq!(read("udp:127.0.0.1:5060"), Ok((vec![Transport::Udp], "127.0.0.1:5060".into())));
        assert_eq!(read("tls:[::1]:5061"), Ok((vec![Transport::Tls], "[::1]:5061".into())));
        for text in ["", "5060", "sctp:127.0.0.1:5060", "localhost:5060", "udp:"] {
            assert!(read(text).is_err_and(|why| why.contains("HOST:PORT")), "{text}");
        }
    }
}
