//! The running engine: threads, queues and files around the pure core.
//!
//! ```text
//! doors (tokio tasks) -- decide on the task, answer at once --> engine queue (bounded)
//!                                                                  |
//! store thread -- receipts --> notices (bounded) ------> desk: Engine::handle, in turns
//!                                                                  |
//!                     sessions (offers, promises) <---- outputs ---+---> store (batches)
//!                                                                  +---> published snapshot, old one to the reclaimer
//! ```
//!
//! **Invariants:** whoever has the desk, and one thread at a time has it, owns incident state, appends, and publishes. Nobody there
//! waits for a disk or a socket. What cannot be handed to the store yet is kept, in order, up to a bound; beyond it the loss is
//! declared, and no promise is made past it until the engine has written again what was lost.

mod desk;
mod follow;
mod outbox;
mod retain;
mod turns;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use arc_swap::ArcSwap;
use crossbeam::channel::{Receiver, Sender, TrySendError, bounded};
use crossbeam::sync::Parker;

use self::desk::{EngineDesk, Queues};
use self::follow::{Checkpointer, Follower, Pace};
use self::outbox::Outbox;
use self::retain::Retention;
pub use self::retain::{Retained, is_held_up, retain};
use self::turns::Turns;
use super::clock::Clock;
use super::ingress::quic::{Doors, DoorsConfig};
use super::ingress::{Core, Decided};
use super::metrics::{EngineFigures, MessageCounters, Stages};
use super::sessions::SessionRegistry;
use crate::client::transport::Identity;
use crate::contact::Contact;
use crate::decision::{Decision, DecisionRecord, DispatcherIndex};
use crate::deliver::{DispatcherState, Target};
use crate::engine::{Config as EngineConfig, Engine, Input, Room, Rooms};
use crate::limits::{CHECKPOINT_ENTRIES, CHECKPOINT_MICROS, ENGINE_QUEUE_MAX, PENDING_ENTRIES_MAX, SESSION_QUEUE_MAX};
use crate::route::{last_resort, record, route_into};
use crate::store::{BlobName, Notice, Partition, Store};
use crate::tables::compiled;
use crate::tables::published::{Published, Retired};
use crate::tables::snapshot::{Snapshot, States, Tables};
use crate::units::{DispatcherId, Name, TablesVersion, Timestamp};
use crate::wire::frame::decode_fact;

/// What an engine is started with.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// The UDP address of gateways and consoles.
    pub listen: std::net::SocketAddr,
    /// Journal, reset key, blobs.
    pub state_folder: PathBuf,
    pub identity: Identity,
    pub engine: EngineConfig,
    /// Where the engine may run, and then only its own thread works there; any thread anywhere when empty.
    pub engine_cores: Vec<usize>,
}

/// How the engine's thread deals with its journal.
#[derive(Clone, Copy, Debug)]
pub struct Tuning {
    /// Entries kept for a store that takes none; beyond it the loss is declared.
    pub pending_entries_max: usize,
    /// Entries, and microseconds, after which the next checkpoint is made.
    pub checkpoint_entries: u64,
    pub checkpoint_micros: u64,
    /// Days that entries are kept; for ever when `None`.
    pub keep_days: Option<u32>,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            pending_entries_max: PENDING_ENTRIES_MAX,
            checkpoint_entries: CHECKPOINT_ENTRIES,
            checkpoint_micros: CHECKPOINT_MICROS,
            keep_days: None,
        }
    }
}

/// Who changed the tables, in the journal, when they came with the start.
const BY_START: &str = "start";

/// A running engine.
pub struct Node {
    doors: Doors,
    core: Arc<NodeCore>,
    store: Arc<dyn Store>,
    engine: Option<JoinHandle<()>>,
    reclaimer: Option<JoinHandle<()>>,
    checkpointer: Checkpointer,
    started: Started,
}

/// What the journal held when the engine started.
#[derive(Clone, Copy, Debug, Default)]
pub struct Started {
    /// The newest entry then.
    pub seq: u64,
    /// Facts the journal ever held.
    pub facts: u64,
    pub live_contacts: usize,
    /// How long reading it took.
    pub read: Duration,
    /// The entry of the checkpoint it was read from; 0 when the whole journal was read.
    pub checkpoint_seq: u64,
    /// Entries read after that.
    pub entries_read: u64,
}

/// What doors see of the engine.
pub struct NodeCore {
    published: Arc<Published>,
    turns: Turns<EngineDesk>,
    pub registry: Arc<SessionRegistry>,
    pub stages: Arc<Stages>,
    pub messages: Arc<MessageCounters>,
    pub figures: Arc<ArcSwap<EngineFigures>>,
    pub clock: Clock,
}

/// What ops ask of the engine thread.
enum Control {
    Publish { tables: Arc<Tables>, by: Name, done: Sender<u64> },
    State { dispatcher: DispatcherId, state: DispatcherState, by: Name, done: Sender<u64> },
}

/// How long ops wait for the engine's thread.
const CONTROL_WAIT: Duration = Duration::from_secs(10);

/// How a store is opened once its listener is known.
pub type OpenStore = Box<dyn FnOnce(crate::store::Listener) -> Result<Arc<dyn Store>>>;

impl Node {
    /// Opens the store, rebuilds what the journal holds, and opens the doors. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// What keeps an engine from starting, with its remedy.
    pub fn start(config: NodeConfig, tables: Arc<Tables>, table_bytes: &[u8], open: OpenStore) -> Result<Self> {
        Self::start_with(config, tables, table_bytes, open, Tuning::default())
    }

    /// As [`Node::start`], with other bounds.
    ///
    /// # Errors
    /// As [`Node::start`].
    pub fn start_with(config: NodeConfig, tables: Arc<Tables>, table_bytes: &[u8], open: OpenStore, tuning: Tuning) -> Result<Self> {
        let clock = Clock::start();
        let (notices_in, notices) = bounded::<Notice>(1_024);
        let bell = Arc::new(OnceLock::<Weak<NodeCore>>::new());
        let rung = Arc::clone(&bell);
        let store = open(Box::new(move |notice| {
            // The engine is gone only when the process ends; then nobody needs the notice.
            let _ = notices_in.send(notice);
            // Who tells of a receipt may not append, and a turn does.
            if let Some(core) = rung.get().and_then(Weak::upgrade) {
                core.turns.ring();
            }
        }))?;
        let claim = store.claim(Partition::default()).context("claiming the journal")?;
        store.put_blob(BlobName(tables.version.0), table_bytes).context("keeping the tables beside the journal")?;
        let began = std::time::Instant::now();
        let follower = Follower::catch_up(&*store, &config.engine, clock)?;
        let head = *follower.past.head();
        let tables = last_published(head.tables, &*store).unwrap_or(tables);
        let tables_known = head.tables.map(|(version, _)| version);
        let now = clock.now().max(head.newest);
        let read = |kept: &Arc<[u8]>| decode_fact(kept).ok();
        let engine = Engine::resume(config.engine.clone(), &rooms_of(&tables), &follower.past, read, claim.next_seq - 1, now);
        let started = Started {
            seq: claim.next_seq - 1,
            facts: head.fact_count,
            live_contacts: engine.live_contacts(),
            read: began.elapsed(),
            checkpoint_seq: follower.checkpoint_seq,
            entries_read: follower.entry_count,
        };
        let pace = Pace { entries: tuning.checkpoint_entries, micros: tuning.checkpoint_micros };
        let (say_removed, removals) = bounded(1);
        let retention = tuning.keep_days.map(|keep_days| Retention { keep_days, say: say_removed, asked: None });
        let checkpointer = Checkpointer::spawn(Arc::clone(&store), follower, clock, pace, retention)?;

        let states = engine.published().1;
        let snapshot =
            Snapshot { states: Arc::new(States::of(&tables, &states)), tables: Arc::clone(&tables), number: engine.published().0 };
        let published = Arc::new(Published::new(snapshot));
        let parker = Parker::new();
        let queues = Queues { inputs: bounded(ENGINE_QUEUE_MAX), notices, control: bounded(16), stop: AtomicBool::new(false) };
        // An engine that was given cores of its own runs there and nowhere else.
        let shared = config.engine_cores.is_empty();
        let (retired_in, retired) = bounded::<Retired>(1_024);
        let registry = Arc::new(SessionRegistry::new(SESSION_QUEUE_MAX));
        let core = Arc::new(NodeCore {
            published: Arc::clone(&published),
            turns: Turns::new(queues, &parker, shared),
            registry: Arc::clone(&registry),
            stages: Arc::new(Stages::default()),
            messages: Arc::default(),
            figures: Arc::new(ArcSwap::from_pointee(EngineFigures::default())),
            clock,
        });
        let _ = bell.set(Arc::downgrade(&core));
        let doors_config = DoorsConfig::new(config.listen, config.identity, config.state_folder);
        let doors = Doors::start(doors_config, core.clone(), registry, clock)?;
        let outbox = Outbox::new(store.clone(), claim, tuning.pending_entries_max);
        let mut desk = EngineDesk::new(engine, core.clone(), tables.clone(), outbox, (removals, retired_in));
        if tables_known != Some(tables.version) {
            desk.publish(tables, Name::new(BY_START).unwrap_or_default());
        }
        let (working, engine_cores) = (core.clone(), config.engine_cores);
        let engine = std::thread::Builder::new()
            .name("najda-engine".to_owned())
            .spawn(move || {
                super::placement::place(&engine_cores);
                working.turns.work(desk, &parker);
            })
            .context("starting the engine thread")?;
        let reclaimer = std::thread::Builder::new()
            .name("najda-reclaim".to_owned())
            .spawn(move || reclaim(&retired))
            .context("starting the reclaimer thread")?;
        Ok(Self { doors, core, store, engine: Some(engine), reclaimer: Some(reclaimer), checkpointer, started })
    }

    pub fn addr(&self) -> std::net::SocketAddr {
        self.doors.local_addr()
    }

    pub fn core(&self) -> &Arc<NodeCore> {
        &self.core
    }

    pub fn doors(&self) -> &Doors {
        &self.doors
    }

    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    pub fn started(&self) -> Started {
        self.started
    }

    /// Lets nobody in, says what is queued, writes what is pending, and stops the threads.
    pub async fn shutdown(mut self) {
        self.doors.shutdown().await;
        self.core.turns.queues.stop.store(true, Ordering::Release);
        self.core.turns.wake();
        let threads = [self.engine.take(), self.reclaimer.take()];
        drop(self.core);
        let mut checkpointer = self.checkpointer;
        let stop = move || {
            threads.into_iter().flatten().for_each(|thread| drop(thread.join()));
            checkpointer.stop();
        };
        let _ = tokio::task::spawn_blocking(stop).await;
    }
}

impl NodeCore {
    /// The snapshot in force.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.published.load_full()
    }

    /// Keeps a new set beside the journal and puts it in force. Answers with the number of its first snapshot.
    ///
    /// # Errors
    /// The set could not be kept, or the engine is stopping; the old one keeps serving.
    pub fn publish(&self, store: &dyn Store, tables: Arc<Tables>, bytes: &[u8], by: Name) -> Result<u64> {
        store.put_blob(BlobName(tables.version.0), bytes).context("keeping the new tables beside the journal")?;
        let (done, answer) = bounded(1);
        self.control(Control::Publish { tables, by, done })?;
        answer.recv_timeout(CONTROL_WAIT).context("the engine did not answer; the old tables keep serving")
    }

    /// Gives a dispatcher a state. Answers with the number of the first snapshot that has it. Waits for the engine's thread.
    ///
    /// # Errors
    /// The engine is stopping or does not answer.
    pub fn set_state(&self, dispatcher: DispatcherId, state: DispatcherState, by: Name) -> Result<u64> {
        let (done, answer) = bounded(1);
        self.control(Control::State { dispatcher, state, by, done })?;
        answer.recv_timeout(CONTROL_WAIT).context("the engine did not answer")
    }

    /// As [`Core::submit`], for a thread that has other callers to answer: it does none of the engine's work.
    ///
    /// # Errors
    /// As [`Core::submit`].
    #[expect(clippy::result_large_err, reason = "the input comes back by value so that nothing is allocated while the engine is full")]
    pub fn leave(&self, input: Input) -> Result<(), Input> {
        self.turns.queues.inputs.0.try_send(input).map_err(TrySendError::into_inner)?;
        self.turns.ring();
        Ok(())
    }

    fn control(&self, control: Control) -> Result<()> {
        self.turns.queues.control.0.send_timeout(control, CONTROL_WAIT).map_err(|_| anyhow!("the engine is stopping"))?;
        self.turns.wake();
        Ok(())
    }

    /// Inputs that wait for the engine.
    pub fn queue_len(&self) -> usize {
        self.turns.queues.inputs.1.len()
    }

    fn decided(&self, contact: &Contact, now: Timestamp) -> Decided {
        let snapshot = self.published.load();
        let began = std::time::Instant::now();
        let mut decision = Decision::blank(snapshot.tables.version, snapshot.number);
        route_into(&mut decision, &snapshot, contact, now);
        self.stages.decided(began.elapsed());
        decided(&snapshot, &decision)
    }
}

/// A decision with names, and where its voice goes in order.
fn decided(snapshot: &Snapshot, decision: &Decision) -> Decided {
    let chain = decision.lead().map_or(&[][..], |lead| &lead.chain);
    let target = |index: &DispatcherIndex| {
        let room = snapshot.tables.dispatchers.get(*index)?;
        Some(Target { dispatcher: room.id, service: room.service, uri: room.uri.clone() })
    };
    Decided { decision: Arc::new(record(&snapshot.tables, decision)), targets: chain.iter().filter_map(target).collect() }
}

impl Core for NodeCore {
    fn decide(&self, contact: &Contact, now: Timestamp) -> Decided {
        self.decided(contact, now)
    }

    fn last_resort(&self, _contact: &Contact) -> Decided {
        let snapshot = self.published.load();
        decided(&snapshot, &last_resort(&snapshot))
    }

    fn submit(&self, input: Input) -> Result<(), Input> {
        self.turns.queues.inputs.0.try_send(input).map_err(TrySendError::into_inner)?;
        self.turns.knock();
        Ok(())
    }
}

/// The set that was published into the running engine last, when its bytes are there.
fn last_published(known: Option<(TablesVersion, Name)>, store: &dyn Store) -> Option<Arc<Tables>> {
    let (version, by) = known?;
    if by.as_str() == BY_START {
        return None;
    }
    let bytes = store.blob(BlobName(version.0)).ok()??;
    match compiled::from_bytes(&bytes) {
        Ok(tables) => {
            tracing::info!(%version, %by, "tables published earlier are in force again");
            Some(Arc::new(tables))
        }
        Err(error) => {
            tracing::error!(%version, %error, "tables published earlier cannot be read; those of the configuration serve");
            None
        }
    }
}

fn rooms_of(tables: &Tables) -> Rooms {
    let rooms = tables.dispatchers.rows.iter().map(|row| Room {
        id: row.id,
        service: row.service,
        take_micros_max: row.take_micros_max,
        capacity: row.capacity,
        uri: row.uri.clone(),
    });
    Rooms { version: tables.version, rooms: rooms.collect() }
}

/// Frees old snapshots once no reader holds them, so that no reader ever does it.
fn reclaim(retired: &Receiver<Retired>) {
    let mut waiting: Vec<Retired> = Vec::new();
    loop {
        match retired.recv_timeout(Duration::from_millis(50)) {
            Ok(old) => waiting.push(old),
            Err(crossbeam::channel::RecvTimeoutError::Timeout) => {}
            Err(crossbeam::channel::RecvTimeoutError::Disconnected) => return,
        }
        waiting = waiting.into_iter().filter_map(|old| old.reclaim().err()).collect();
    }
}

/// Refuses a folder that is none, with a remedy.
///
/// # Errors
/// It cannot be made.
pub fn prepare_state_folder(folder: &std::path::Path) -> Result<()> {
    if folder.exists() && !folder.is_dir() {
        bail!("{} is a file; name a folder for the engine's state", folder.display());
    }
    std::fs::create_dir_all(folder).with_context(|| format!("making the state folder {}", folder.display()))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))
            .with_context(|| format!("closing {} to others", folder.display()))?;
    }
    Ok(())
}

impl NodeCore {
    /// The decision for a contact that is only asked about.
    pub fn ask(&self, contact: &Contact, now: Timestamp) -> Arc<DecisionRecord> {
        self.decided(contact, now).decision
    }
}
