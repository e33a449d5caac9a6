//! The engine at work: its inputs, what it says to whom, and its journal.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbeam::channel::{Receiver, Sender, TrySendError};

use super::outbox::{Loss, Outbox};
use super::turns::Desk;
use super::{Control, NodeCore, rooms_of};
use crate::client::CloseCode;
use crate::contact::Contact;
use crate::deliver::{ConsoleHears, DispatcherState, Fact};
use crate::edge::ingress::Core;
use crate::edge::metrics::EngineFigures;
use crate::engine::{Engine, Input, Output, Outputs};
use crate::journal::entry::Removal;
use crate::limits::ARRIVALS_TIMED_MAX;
use crate::store::Notice;
use crate::tables::published::Retired;
use crate::tables::snapshot::{Snapshot, States, Tables};
use crate::units::{DispatcherId, Name, Timestamp};

/// The longest sleep of the engine's thread: what falls due later than this needs no one to wake it.
const NAP: Duration = Duration::from_millis(50);
/// The longest sleep while the store has not taken everything.
const RETRY: Duration = Duration::from_millis(2);
/// The age at which a busy engine's figures are made anew.
const FIGURES_MICROS: u64 = 5_000;

/// What others put in.
pub(super) struct Queues {
    pub inputs: (Sender<Input>, Receiver<Input>),
    pub notices: Receiver<Notice>,
    pub control: (Sender<Control>, Receiver<Control>),
    /// Set when everything that waits is to be done and nothing more.
    pub stop: AtomicBool,
}

/// The engine, its journal's outbox, and everything they say it to.
pub(super) struct EngineDesk {
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
    /// Kept for their room.
    out: Outputs,
    facts: Vec<(u64, Fact)>,
    figures_at: Timestamp,
    /// When its thread looks by itself.
    sleeps_until: Timestamp,
}

impl Desk for EngineDesk {
    type Queues = Queues;

    fn is_empty(queues: &Queues) -> bool {
        queues.inputs.1.is_empty() && queues.notices.is_empty() && queues.control.1.is_empty()
    }

    fn turn(&mut self, queues: &Queues, input_count_max: usize) {
        let mut out = std::mem::take(&mut self.out);
        for input in queues.inputs.1.try_iter().take(input_count_max) {
            self.handle(input, &mut out);
        }
        for notice in queues.notices.try_iter() {
            self.noticed(&notice, &mut out);
        }
        for removal in self.removals.try_iter() {
            self.outbox.push_entry(removal.to_entry(self.engine.reserve_seq()));
        }
        let now = self.core.clock.now();
        if self.engine.next_deadline().is_some_and(|due| due <= now) {
            self.engine.handle(Input::Tick, now, &mut out);
            self.carry_out(&mut out);
        }
        self.hand_to_store(&mut out);
        if now.micros_since(self.figures_at) >= FIGURES_MICROS {
            self.say_figures(now);
        }
        self.out = out;
    }

    fn own_turn(&mut self, queues: &Queues) -> Option<Duration> {
        for control in queues.control.1.try_iter() {
            self.controlled(control);
        }
        let mut out = std::mem::take(&mut self.out);
        self.hand_to_store(&mut out);
        self.out = out;
        let now = self.core.clock.now();
        self.say_figures(now);
        if queues.stop.load(Ordering::Acquire) && queues.inputs.1.is_empty() && self.outbox.is_empty() {
            return None;
        }
        let due = self.engine.next_deadline().map_or(NAP, |due| Duration::from_micros(due.micros_since(now)));
        let nap = due.min(if self.outbox.is_empty() { NAP } else { RETRY });
        self.sleeps_until = now.plus_micros(nap.as_micros() as u64);
        Some(nap)
    }

    fn needs_its_thread(&self) -> bool {
        !self.outbox.is_empty() || self.engine.next_deadline().is_some_and(|due| due < self.sleeps_until)
    }
}

impl EngineDesk {
    pub(super) fn new(
        engine: Engine,
        core: Arc<NodeCore>,
        tables: Arc<Tables>,
        outbox: Outbox,
        come: (Receiver<Removal>, Sender<Retired>),
    ) -> Self {
        let (removals, retired) = come;
        Self {
            engine,
            core,
            tables,
            outbox,
            removals,
            retired,
            arrivals: VecDeque::new(),
            runtime: tokio::runtime::Handle::current(),
            out: Outputs::new(),
            facts: Vec::new(),
            figures_at: Timestamp::default(),
            sleeps_until: Timestamp::default(),
        }
    }

    fn say_figures(&mut self, now: Timestamp) {
        self.figures_at = now;
        let promises_ended = !self.engine.is_whole();
        let figures = EngineFigures { promises_ended, ..EngineFigures::of(&self.engine, now, self.outbox.len()) };
        self.core.figures.store(Arc::new(figures));
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

    pub(super) fn publish(&mut self, tables: Arc<Tables>, by: Name) {
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
                Output::Append { seq, fact } => self.facts.push((seq, fact)),
                Output::Reroute { contact, revision } => reroute(&self.runtime, &self.core, contact, revision),
                Output::Publish { snapshot, states } => swap(&self.core, &self.tables, &self.retired, snapshot, &states),
                Output::Close { session } => self.core.registry.close(session, CloseCode::EngineClosed),
            }
        }
        // Encoded while another thread has the offers on their way already.
        for (seq, fact) in self.facts.drain(..) {
            self.outbox.push(seq, &fact);
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
