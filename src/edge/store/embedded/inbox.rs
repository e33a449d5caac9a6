//! What the writer thread shares with those who append: the queue in front of it, and the counters.
//!
//! The lock is held to put a batch into the queue or to take the whole queue out, never while a disk is waited for. So an append costs
//! the engine's thread the same whether the disk is well or dead.

use std::mem;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crossbeam::channel::Sender;
use crossbeam::utils::CachePadded;

use crate::edge::store::ledger::Gate;
use crate::store::{Batch, Claim, Health, Partition, Rejected, RejectedWhy, StoreError};

/// Commands that share an allocation.
const CHUNK_COMMANDS: usize = 256;

/// What the writer is asked to do, in order.
pub(super) enum Command {
    Append(Batch),
    Claim(Partition, Sender<Result<Claim, StoreError>>),
}

/// How much may wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub entry_count_max: u64,
    pub byte_count_max: u64,
}

/// The queue in front of the writer.
pub(super) struct Inbox {
    bounds: Bounds,
    queue: Mutex<Queue>,
    bell: Condvar,
    pub counters: Counters,
}

#[derive(Default)]
struct Queue {
    /// In chunks, so that an append never copies what waits already.
    chunks: Vec<Vec<Command>>,
    gate: Gate,
    writer_waits: bool,
    closed: bool,
}

/// Read by anyone at any time; written by the writer, but for the backlog and `full`.
#[derive(Default)]
pub(super) struct Counters {
    backlog_entries: CachePadded<AtomicU64>,
    backlog_bytes: AtomicU64,
    full: AtomicU64,
    pub failing: CachePadded<AtomicBool>,
    pub commits: AtomicU64,
    pub entries: AtomicU64,
    pub commit_micros: AtomicU64,
    pub commit_micros_max: AtomicU64,
    pub lost: AtomicU64,
    pub failures: AtomicU64,
    pub segment: AtomicU32,
    pub projection_lag: AtomicU64,
}

impl Inbox {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self { bounds, queue: Mutex::default(), bell: Condvar::new(), counters: Counters::default() }
    }

    // --- for those who append ---

    pub(super) fn append(&self, batch: Batch) -> Result<(), Rejected> {
        let mut queue = self.lock();
        if let Err(why) = self.admit(&mut queue, &batch) {
            return Err(Rejected { batch, why });
        }
        self.put(queue, Command::Append(batch));
        Ok(())
    }

    pub(super) fn claim(&self, partition: Partition, reply: Sender<Result<Claim, StoreError>>) -> Result<(), StoreError> {
        let queue = self.lock();
        if queue.closed {
            return Err(StoreError::Closed);
        }
        self.put(queue, Command::Claim(partition, reply));
        Ok(())
    }

    fn admit(&self, queue: &mut Queue, batch: &Batch) -> Result<(), RejectedWhy> {
        if queue.closed {
            return Err(RejectedWhy::Closed);
        }
        queue.gate.judge(batch)?;
        let counters = &self.counters;
        let entries = counters.backlog_entries.load(Ordering::Relaxed) + batch.entries().len() as u64;
        let bytes = counters.backlog_bytes.load(Ordering::Relaxed) + batch.byte_count() as u64;
        if entries > self.bounds.entry_count_max || bytes > self.bounds.byte_count_max {
            counters.full.fetch_add(1, Ordering::Relaxed);
            return Err(RejectedWhy::Full { entry_count: counters.backlog_entries.load(Ordering::Relaxed) as usize });
        }
        counters.backlog_entries.fetch_add(batch.entries().len() as u64, Ordering::Relaxed);
        counters.backlog_bytes.fetch_add(batch.byte_count() as u64, Ordering::Relaxed);
        queue.gate.pass(batch);
        Ok(())
    }

    fn put(&self, mut queue: MutexGuard<'_, Queue>, command: Command) {
        match queue.chunks.last_mut().filter(|chunk| chunk.len() < CHUNK_COMMANDS) {
            Some(chunk) => chunk.push(command),
            None => {
                let mut chunk = Vec::with_capacity(CHUNK_COMMANDS);
                chunk.push(command);
                queue.chunks.push(chunk);
            }
        }
        let wake = mem::take(&mut queue.writer_waits);
        drop(queue);
        // Waking costs a system call, so only a writer that sleeps is woken.
        if wake {
            self.bell.notify_one();
        }
    }

    /// No more appends; the writer finishes what it has.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.bell.notify_all();
    }

    pub(super) fn health(&self) -> Health {
        let counters = &self.counters;
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Health {
            writing: !counters.failing.load(Ordering::Relaxed),
            backlog_entry_count: count(&counters.backlog_entries),
            backlog_byte_count: count(&counters.backlog_bytes),
            commit_count: count(&counters.commits),
            entry_count: count(&counters.entries),
            commit_micros_total: count(&counters.commit_micros),
            commit_micros_max: count(&counters.commit_micros_max),
            full_count: count(&counters.full),
            lost_entry_count: count(&counters.lost),
            failure_count: count(&counters.failures),
            segment_number: counters.segment.load(Ordering::Relaxed),
            projection_lag_entry_count: count(&counters.projection_lag),
        }
    }

    // --- for the writer ---

    /// Everything that waits, in order. Sleeps until there is something; `None` when the inbox is closed and empty.
    pub(super) fn take_all(&self) -> Option<Vec<Vec<Command>>> {
        let mut queue = self.lock();
        loop {
            if !queue.chunks.is_empty() {
                return Some(mem::take(&mut queue.chunks));
            }
            if queue.closed {
                return None;
            }
            queue.writer_waits = true;
            queue = self.bell.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// What waits now, without waiting for it.
    pub(super) fn take_ready(&self) -> Vec<Vec<Command>> {
        mem::take(&mut self.lock().chunks)
    }

    /// Waits until `wait` is over or the inbox is closed; true when it is closed.
    pub(super) fn wait_closed(&self, wait: Duration) -> bool {
        let until = Instant::now() + wait;
        let mut queue = self.lock();
        while !queue.closed {
            let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) else { return false };
            queue = self.bell.wait_timeout(queue, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// Changes what may be appended next.
    pub(super) fn gate(&self, change: impl FnOnce(&mut Gate)) {
        change(&mut self.lock().gate);
    }

    /// The batch has been answered, one way or the other.
    pub(super) fn release(&self, batch: &Batch) {
        self.counters.backlog_entries.fetch_sub(batch.entries().len() as u64, Ordering::Relaxed);
        self.counters.backlog_bytes.fetch_sub(batch.byte_count() as u64, Ordering::Relaxed);
    }

    pub(super) fn backlog_entry_count(&self) -> u64 {
        self.counters.backlog_entries.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // A panic elsewhere must not stop the journal: the queue is whole after every statement.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
