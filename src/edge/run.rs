//! The running engine: threads, queues and files around the pure core.
//!
//! ```text
//! doors (tokio tasks) -- decide on the task, answer at once --> engine queue (bounded)
//!                                                                  |
//! store thread -- receipts --> notices (bounded) --> engine thread: Engine::handle
//!                                                                  |
//!                     sessions (offers, promises) <---- outputs ---+---> store (batches)
//!                                                                  +---> published snapshot, old one to the reclaimer
//! ```
//!
//! **Invariants:** only the engine thread owns incident state, appends, and publishes. It never waits for a disk or a socket. What it
//! cannot hand to the store yet it keeps, in order, up to a bound; beyond it the loss is declared, and no promise is made past it until
//! the engine has written again what was lost.

mod follow;
mod outbox;
mod retain;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use arc_swap::ArcSwap;
use crossbeam::channel::{Receiver, Sender, TryRecvError, TrySendError, bounded};

use self::follow::{Checkpointer, Follower, Pace};
use self::outbox::{Loss, Outbox};
use self::retain::Retention;
pub use self::retain::{Retained, is_held_up, retain};
use super::clock::Clock;
use super::ingress::quic::{Doors, DoorsConfig};
use super::ingress::{Core, Decided};
use super::metrics::{EngineFigures, Stages};
use super::sessions::SessionRegistry;
use crate::client::CloseCode;
use crate::client::transport::Identity;
use crate::contact::Contact;
use crate::decision::{Decision, DecisionRecord, DispatcherIndex};
use crate::deliver::{ConsoleHears, DispatcherState, Fact, Target};
use crate::engine::{Config as EngineConfig, Engine, Input, Output, Outputs, Room, Rooms};
use crate::journal::entry::Removal;
use crate::limits::{ARRIVALS_TIMED_MAX, CHECKPOINT_ENTRIES, CHECKPOINT_MICROS, ENGINE_QUEUE_MAX, PENDING_ENTRIES_MAX, SESSION_QUEUE_MAX};
use crate::route::{last_resort, record, route};
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
    /// Where the engine's thread may run; anywhere when empty.
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
/// Inputs handled before the outputs' entries are handed to the store: bounds what one commit waits for.
const INPUTS_A_ROUND: usize = 512;
/// The longest nap of an idle engine thread; figures for the metrics are refreshed at least this often.
const NAP: Duration = Duration::from_millis(250);

/// A running engine.
pub struct Node {
    doors: Doors,
    core: Arc<NodeCore>,
    store: Arc<dyn Store>,
    stop: Arc<AtomicBool>,
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
    inputs: Sender<Input>,
    control: Sender<Control>,
    pub registry: Arc<SessionRegistry>,
    pub stages: Arc<Stages>,
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
        let store = open(Box::new(move |notice| {
            // The engine is gone only when the process ends; then nobody needs the notice.
            let _ = notices_in.send(notice);
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
        let (inputs_in, inputs) = bounded(ENGINE_QUEUE_MAX);
        let (control_in, control) = bounded(16);
        let (retired_in, retired) = bounded::<Retired>(1_024);
        let registry = Arc::new(SessionRegistry::new(SESSION_QUEUE_MAX));
        let core = Arc::new(NodeCore {
            published: Arc::clone(&published),
            inputs: inputs_in,
            control: control_in,
            registry: Arc::clone(&registry),
            stages: Arc::new(Stages::default()),
            figures: Arc::new(ArcSwap::from_pointee(EngineFigures::default())),
            clock,
        });
        let doors_config = DoorsConfig::new(config.listen, config.identity, config.state_folder);
        let doors = Doors::start(doors_config, core.clone(), registry, clock)?;
        let stop = Arc::new(AtomicBool::new(false));
        let mut desk = EngineThread {
            engine,
            core: core.clone(),
            tables: tables.clone(),
            outbox: Outbox::new(store.clone(), claim, tuning.pending_entries_max),
            removals,
            retired: retired_in,
            arrivals: VecDeque::new(),
            runtime: tokio::runtime::Handle::current(),
        };
        if tables_known != Some(tables.version) {
            desk.publish(tables, Name::new(BY_START).unwrap_or_default());
        }
        let (stopping, engine_cores) = (stop.clone(), config.engine_cores);
        let engine = std::thread::Builder::new()
            .name("najda-engine".to_owned())
            .spawn(move || {
                super::placement::place(&engine_cores);
                desk.run(&inputs, &notices, &control, &stopping);
            })
            .context("starting the engine thread")?;
        let reclaimer = std::thread::Builder::new()
            .name("najda-reclaim".to_owned())
            .spawn(move || reclaim(&retired))
            .context("starting the reclaimer thread")?;
        Ok(Self { doors, core, store, stop, engine: Some(engine), reclaimer: Some(reclaimer), checkpointer, started })
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
        self.stop.store(true, Ordering::Release);
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
        self.control.send_timeout(Control::Publish { tables, by, done }, CONTROL_WAIT).map_err(|_| anyhow!("the engine is stopping"))?;
        answer.recv_timeout(CONTROL_WAIT).context("the engine did not answer; the old tables keep serving")
    }

    /// Gives a dispatcher a state. Answers with the number of the first snapshot that has it. Waits for the engine's thread.
    ///
    /// # Errors
    /// The engine is stopping or does not answer.
    pub fn set_state(&self, dispatcher: DispatcherId, state: DispatcherState, by: Name) -> Result<u64> {
        let (done, answer) = bounded(1);
        let control = Control::State { dispatcher, state, by, done };
        self.control.send_timeout(control, CONTROL_WAIT).map_err(|_| anyhow!("the engine is stopping"))?;
        answer.recv_timeout(CONTROL_WAIT).context("the engine did not answer")
    }

    /// Inputs that wait for the engine's thread.
    pub fn queue_len(&self) -> usize {
        self.inputs.len()
    }

    fn decided(&self, contact: &Contact, now: Timestamp) -> Decided {
        let snapshot = self.published.load();
        let began = std::time::Instant::now();
        let decision = route(&snapshot, contact, now);
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
        self.inputs.try_send(input).map_err(TrySendError::into_inner)
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

// --- the engine thread ---

struct EngineThread {
    engine: Engine,
    core: Arc<NodeCore>,
    tables: Arc<Tables>,
    outbox: Outbox,
    /// Old entries that are about to be removed: the journal says so first.
    removals: Receiver<Removal>,
    retired: Sender<Retired>,
    /// Arrivals the journal does not hold yet: their entries, and when they came.
    arrivals: VecDeque<(u64, Timestamp)>,
    runtime: tokio::runtime::Handle,
}

impl EngineThread {
    fn run(mut self, inputs: &Receiver<Input>, notices: &Receiver<Notice>, control: &Receiver<Control>, stop: &AtomicBool) {
        let mut out = Outputs::new();
        loop {
            self.wait(inputs, notices, control, &mut out);
            let mut handled = 0;
            while handled < INPUTS_A_ROUND {
                match inputs.try_recv() {
                    Ok(input) => self.handle(input, &mut out),
                    Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
                }
                handled += 1;
            }
            while let Ok(notice) = notices.try_recv() {
                self.noticed(&notice, &mut out);
            }
            while let Ok(removal) = self.removals.try_recv() {
                self.outbox.push_entry(removal.to_entry(self.engine.reserve_seq()));
            }
            let now = self.core.clock.now();
            if self.engine.next_deadline().is_some_and(|due| due <= now) {
                self.engine.handle(Input::Tick, now, &mut out);
                self.carry_out(&mut out);
            }
            self.hand_to_store(&mut out);
            let promises_ended = !self.engine.is_whole();
            let figures = EngineFigures { promises_ended, ..EngineFigures::of(&self.engine, now, self.outbox.len()) };
            self.core.figures.store(Arc::new(figures));
            if stop.load(Ordering::Acquire) && inputs.is_empty() && self.outbox.is_empty() {
                return;
            }
        }
    }

    /// Sleeps until something comes or is due.
    fn wait(&mut self, inputs: &Receiver<Input>, notices: &Receiver<Notice>, control: &Receiver<Control>, out: &mut Outputs) {
        let now = self.core.clock.now();
        let due = self.engine.next_deadline().map_or(NAP, |due| Duration::from_micros(due.micros_since(now)));
        let nap = if self.outbox.is_empty() { due.min(NAP) } else { due.min(Duration::from_millis(2)) };
        crossbeam::channel::select! {
            recv(inputs) -> input => if let Ok(input) = input { self.handle(input, out) },
            recv(notices) -> notice => if let Ok(notice) = notice { self.noticed(&notice, out) },
            recv(control) -> control => if let Ok(control) = control { self.controlled(control) },
            default(nap) => {}
        }
    }

    fn handle(&mut self, input: Input, out: &mut Outputs) {
        let now = self.core.clock.now();
        // What is handed back arrived long ago.
        let arrived = match &input {
            Input::Arrived { contact, handed_back: false, .. } => Some(contact.received),
            _ => None,
        };
        self.engine.handle(input, now, out);
        self.time(arrived, out);
        self.carry_out(out);
    }

    /// Measures how long an arrival took to its first offer, and notes which entry makes it durable.
    fn time(&mut self, arrived: Option<Timestamp>, out: &Outputs) {
        let Some(received) = arrived else { return };
        let seq = out.as_slice().iter().find_map(|output| match output {
            Output::Append { seq, fact: Fact::Arrived { .. } } => Some(*seq),
            _ => None,
        });
        if let Some(seq) = seq.filter(|_| self.arrivals.len() < ARRIVALS_TIMED_MAX) {
            self.arrivals.push_back((seq, received));
        }
        if out.as_slice().iter().any(|output| matches!(output, Output::ToConsole { hears: ConsoleHears::Offer(_), .. })) {
            let took = self.core.clock.now().micros_since(received);
            self.core.stages.offered(Duration::from_micros(took));
        }
    }

    fn noticed(&mut self, notice: &Notice, out: &mut Outputs) {
        let input = match notice {
            Notice::Durable(receipt) => {
                let through = receipt.through_seq();
                let now = self.core.clock.now();
                while let Some((_, received)) = self.arrivals.pop_front_if(|(seq, _)| *seq <= through) {
                    self.core.stages.durable(Duration::from_micros(now.micros_since(received)));
                }
                Input::Stored { through }
            }
            Notice::Failed { through_seq, why, .. } => {
                tracing::error!(%why, "the journal cannot be written; contacts are delivered unconfirmed");
                Input::StoreFailed { through: *through_seq }
            }
            Notice::Recovered { .. } => {
                tracing::warn!("the journal is written again");
                return;
            }
            Notice::Fenced { held_by, .. } => {
                tracing::error!(?held_by, "another engine has taken the journal over; this one makes no promise any more");
                Input::StoreFailed { through: 0 }
            }
            other => {
                tracing::error!(?other, "the journal did not take entries of this engine; it makes no promise past them");
                Input::StoreFailed { through: 0 }
            }
        };
        self.handle(input, out);
    }

    fn controlled(&mut self, control: Control) {
        match control {
            Control::Publish { tables, by, done } => {
                self.publish(tables, by);
                let _ = done.try_send(self.engine.published().0);
            }
            Control::State { dispatcher, state, by, done } => {
                let mut out = Outputs::new();
                self.engine.handle(Input::State { dispatcher, state, by }, self.core.clock.now(), &mut out);
                self.carry_out(&mut out);
                let _ = done.try_send(self.engine.published().0);
            }
        }
    }

    fn publish(&mut self, tables: Arc<Tables>, by: Name) {
        let rooms = Arc::new(rooms_of(&tables));
        self.tables = tables;
        let mut out = Outputs::new();
        self.engine.handle(Input::Rooms { rooms, by }, self.core.clock.now(), &mut out);
        self.carry_out(&mut out);
    }

    fn carry_out(&mut self, out: &mut Outputs) {
        for output in out.drain() {
            match output {
                Output::ToGateway { session, hears } => drop(self.core.registry.send(session, hears)),
                Output::ToConsole { session, hears } => drop(self.core.registry.send(session, hears)),
                Output::Append { seq, fact } => self.outbox.push(seq, &fact),
                Output::Reroute { contact, revision } => reroute(&self.runtime, &self.core, contact, revision),
                Output::Publish { snapshot, states } => swap(&self.core, &self.tables, &self.retired, snapshot, &states),
                Output::Close { session } => self.core.registry.close(session, CloseCode::EngineClosed),
            }
        }
    }

    /// Hands what is pending to the store. The engine hears at once what was given up, and says again what the house is in: that is
    /// the first batch after the loss.
    fn hand_to_store(&mut self, out: &mut Outputs) {
        // At the second loss of one call nothing is taken anyway: the next round tries again.
        for _ in 0..2 {
            let Some(Loss { first_seq, last_seq }) = self.outbox.hand_over() else { return };
            self.arrivals.retain(|(seq, _)| !(first_seq..=last_seq).contains(seq));
            self.engine.handle(Input::Lost { first_seq, last_seq }, self.core.clock.now(), out);
            self.carry_out(out);
        }
    }
}

/// Late evidence: decide again on a worker and tell the engine.
fn reroute(runtime: &tokio::runtime::Handle, core: &Arc<NodeCore>, contact: Arc<Contact>, revision: u32) {
    let core = Arc::clone(core);
    runtime.spawn(async move {
        let now = core.clock.now();
        let decided = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| core.decided(&contact, now)));
        let decision = decided.map_or_else(|_| core.last_resort(&contact).decision, |decided| decided.decision);
        let mut input = Input::Redecided { contact: contact.id, revision, decision };
        while let Err(back) = core.submit(input) {
            input = back;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
}

fn swap(core: &NodeCore, tables: &Arc<Tables>, retired: &Sender<Retired>, number: u64, states: &[(DispatcherId, DispatcherState)]) {
    let states = Arc::new(States::of(tables, states));
    let old = core.published.publish(Arc::new(Snapshot { tables: Arc::clone(tables), states, number }));
    // A full reclaimer is one that lags; then this thread, which is no reader, may free the snapshot.
    if let Err(TrySendError::Full(old) | TrySendError::Disconnected(old)) = retired.try_send(old) {
        drop(old.reclaim());
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
