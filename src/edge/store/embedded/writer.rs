//! The one thread that writes the journal.
//!
//! Group commit: it commits whatever waits as soon as the commit before has finished. When it is idle a batch is written at once; when
//! it is busy the batches that arrive meanwhile share the next sync.
//!
//! What it does when the disk fails:
//!
//! ```text
//! full disk, held lock     the transaction was rolled back; the same file is tried again, ever more rarely
//! failed write or sync     the file is never written again; the next file takes up every chain at its last receipt
//! meanwhile                nothing is acknowledged, appends wait in the inbox, the engine hears `Failed`
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, Sender, bounded};
use crossbeam::sync::Unparker;
use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::archive::Archive;
use super::fault::Fault;
use super::folder;
use super::inbox::{Command, Inbox};
use super::segment::{self, ChainStart, Group};
use crate::edge::store::ledger::{self, Rows, Tip, Verdict};
use crate::journal::chain::ChainHash;
use crate::journal::entry::Entry;
use crate::limits::{COMMIT_BYTES_MAX, COMMIT_ENTRIES_MAX};
use crate::store::{Batch, Claim, Epoch, Listener, Notice, Partition, Receipt, StoreError};

/// The waits between two tries while the disk fails.
const RETRY_WAIT_MIN: Duration = Duration::from_millis(20);
const RETRY_WAIT_MAX: Duration = Duration::from_secs(2);
/// Bytes written to the log file before they are moved into the main file. Small enough to be quick, large enough to be rare.
const CHECKPOINT_BYTES: u64 = 16 * 1024 * 1024;
/// What a commit writes beyond its entries: the pages it shares with the commits around it.
const COMMIT_OVERHEAD_BYTES: u64 = 8 * 1024;
/// What an entry takes beyond its bytes.
const ENTRY_OVERHEAD_BYTES: u64 = 96;

pub(super) struct Writer {
    pub inbox: Arc<Inbox>,
    pub archive: Arc<Archive>,
    pub conn: Connection,
    pub number: u32,
    pub tips: BTreeMap<Partition, Tip>,
    /// Where a partition begins that no file is known to hold: 1, or far on when there is a file that cannot be read.
    pub genesis_seq: u64,
    /// The day of the newest entry in this file, in days since 1970; `None` while it holds none.
    pub day: Option<u64>,
    pub listener: Listener,
    pub segment_bytes_max: u64,
    pub log_bytes_ahead: u64,
    pub projector: Unparker,
    pub mover: Mover,
    /// Whether this file ever held a receipt's entries.
    pub used: bool,
    pub segment_bytes: u64,
    pub unmoved_bytes: u64,
    /// The file in use may not be written again.
    pub spoiled: bool,
    pub failing: bool,
}

impl Writer {
    pub(super) fn spawn(self) -> Result<JoinHandle<()>, StoreError> {
        let spawned = thread::Builder::new().name("najda-journal".into()).spawn(move || {
            let _end = End(Arc::clone(&self.inbox));
            self.run();
        });
        spawned.map_err(|error| StoreError::DiskFailed { doing: "start the journal's thread", cause: error.to_string().into() })
    }

    fn run(mut self) {
        let mut todo: VecDeque<Command> = VecDeque::new();
        while let Some(taken) = self.inbox.take_all() {
            todo.extend(taken.into_iter().flatten());
            while let Some(command) = todo.pop_front() {
                match command {
                    Command::Append(first) => {
                        let group = gather(first, &mut todo);
                        self.hold(group);
                    }
                    Command::Claim(partition, reply) => drop(reply.send(self.claim(partition))),
                }
                // What arrived during the commit joins the next one.
                if todo.is_empty() {
                    todo.extend(self.inbox.take_ready().into_iter().flatten());
                }
            }
            self.tidy_while_idle();
        }
        self.finish();
    }

    // --- commits ---

    /// Holds the group, however long it takes; gives up only when the store is closed while the disk fails.
    fn hold(&mut self, group: Vec<Batch>) {
        let mut wait = RETRY_WAIT_MIN;
        loop {
            let begun = Instant::now();
            let fault = match self.try_hold(&group) {
                Ok(verdicts) => return self.held(&group, verdicts, begun.elapsed()),
                Err(fault) => fault,
            };
            self.failed(&fault);
            if self.inbox.wait_closed(wait) {
                return match self.try_hold(&group) {
                    Ok(verdicts) => self.held(&group, verdicts, begun.elapsed()),
                    Err(_) => self.give_up(&group),
                };
            }
            wait = (wait * 2).min(RETRY_WAIT_MAX);
        }
    }

    fn try_hold(&mut self, group: &[Batch]) -> Result<Vec<Verdict>, Fault> {
        let day = group.iter().flat_map(Batch::entries).map(|entry| entry.at.day()).max();
        if !self.file_is_good() {
            self.begin_next_file()?;
        } else if self.day.is_some() && self.day < day {
            // Nothing is lost if this fails: the file in use goes on being used.
            self.begin_next_file_if_possible();
        }
        let (verdicts, tips) = self.commit(group).map_err(|error| Fault::of("commit", &error))?;
        self.tips = tips;
        self.day = self.day.max(day);
        Ok(verdicts)
    }

    /// One transaction for the whole group. The tips change only if it commits.
    fn commit(&self, group: &[Batch]) -> rusqlite::Result<(Vec<Verdict>, BTreeMap<Partition, Tip>)> {
        let begun = Group::begin(&self.conn)?;
        let mut tips = self.tips.clone();
        for (partition, tip) in &mut tips {
            if group.iter().any(|batch| batch.partition() == *partition) {
                // Another process may have taken over since: what counts is written in the file.
                tip.epoch = tip.epoch.max(segment::epoch(&self.conn, *partition)?);
            }
        }
        let mut verdicts = Vec::with_capacity(group.len());
        for batch in group {
            let partition = batch.partition();
            let mut rows = Log { conn: &self.conn, archive: &self.archive, partition };
            verdicts.push(match tips.get_mut(&partition) {
                Some(tip) => ledger::write(batch, tip, &mut rows)?,
                None => Verdict::Fenced(Epoch::default()),
            });
        }
        begun.commit()?;
        Ok((verdicts, tips))
    }

    // --- what follows a commit ---

    fn held(&mut self, group: &[Batch], verdicts: Vec<Verdict>, took: Duration) {
        if std::mem::take(&mut self.failing) {
            self.inbox.counters.failing.store(false, Ordering::Relaxed);
            tracing::info!(segment = self.number, "the journal is written again");
            for partition in self.tips.keys().copied().collect::<Vec<_>>() {
                self.tell(Notice::Recovered { partition });
            }
        }
        self.used = true;
        self.count(group, took);
        let mut receipts: BTreeMap<Partition, u64> = BTreeMap::new();
        for (batch, verdict) in group.iter().zip(verdicts) {
            self.inbox.release(batch);
            let span = batch.span();
            match verdict {
                Verdict::Held { lost_entry_count } => {
                    self.inbox.counters.lost.fetch_add(lost_entry_count, Ordering::Relaxed);
                    receipts.insert(span.partition, self.tips.get(&span.partition).map_or(span.last_seq, |tip| tip.next_seq - 1));
                }
                Verdict::Fenced(held_by) => {
                    self.inbox.gate(|gate| gate.fence(span.partition, held_by));
                    self.turned_away(Notice::Fenced { span, held_by });
                }
                Verdict::Refused(why) => {
                    if let Some(tip) = self.tips.get(&span.partition) {
                        self.inbox.gate(|gate| gate.take_back(batch, tip));
                    }
                    self.turned_away(Notice::Refused { span, why });
                }
            }
        }
        for (partition, through_seq) in receipts {
            self.tell(Notice::Durable(Receipt::issue(partition, through_seq)));
        }
        self.projector.unpark();
        self.tidy_after_commit();
    }

    fn turned_away(&mut self, notice: Notice) {
        tracing::error!(?notice, "a batch was turned away");
        self.tell(notice);
    }

    fn count(&mut self, group: &[Batch], took: Duration) {
        let counters = &self.inbox.counters;
        let entries: u64 = group.iter().map(|batch| batch.entries().len() as u64).sum();
        let bytes: u64 = group.iter().map(|batch| batch.byte_count() as u64).sum();
        let micros = took.as_micros() as u64;
        counters.commits.fetch_add(1, Ordering::Relaxed);
        counters.entries.fetch_add(entries, Ordering::Relaxed);
        counters.commit_micros.fetch_add(micros, Ordering::Relaxed);
        counters.commit_micros_max.fetch_max(micros, Ordering::Relaxed);
        self.segment_bytes += bytes + entries * ENTRY_OVERHEAD_BYTES;
        self.unmoved_bytes += bytes + entries * ENTRY_OVERHEAD_BYTES + COMMIT_OVERHEAD_BYTES;
    }

    fn tell(&mut self, notice: Notice) {
        // A listener's mistake must not end the journal.
        let heard = catch_unwind(AssertUnwindSafe(|| (self.listener)(notice)));
        if heard.is_err() {
            tracing::error!("the listener of the journal panicked");
        }
    }

    // --- failures ---

    fn failed(&mut self, fault: &Fault) {
        self.inbox.counters.failures.fetch_add(1, Ordering::Relaxed);
        self.spoiled |= matches!(fault, Fault::File(_));
        if std::mem::replace(&mut self.failing, true) {
            return;
        }
        self.inbox.counters.failing.store(true, Ordering::Relaxed);
        tracing::error!(segment = self.number, error = %fault.error(), "the journal cannot be written; contacts go on unconfirmed");
        for (partition, tip) in self.tips.clone() {
            self.tell(Notice::Failed { partition, through_seq: tip.next_seq - 1, why: fault.error().clone() });
        }
    }

    fn give_up(&mut self, group: &[Batch]) {
        for batch in group {
            self.inbox.release(batch);
            self.tell(Notice::Unknown { span: batch.span() });
        }
    }

    /// Takes every chain up in a new file, at the last receipt; what the old one holds beyond it no longer counts.
    fn begin_next_file(&mut self) -> Result<(), Fault> {
        let tips: Vec<(Partition, Tip)> = self.tips.iter().map(|(partition, tip)| (*partition, *tip)).collect();
        let mut number = self.number + 1;
        // A file of that name is not ours to write over, whatever it is.
        while segment::path_of(self.archive.folder(), number).exists() {
            number += 1;
        }
        let conn = segment::create(self.archive.folder(), number, &tips, self.log_bytes_ahead)?;
        let unused = (!self.used).then_some(self.number);
        let good = self.file_is_good();
        let old = std::mem::replace(&mut self.conn, conn);
        if good {
            self.mover.put_away(old);
        }
        self.archive.add(number, tips.iter().map(|(partition, tip)| (*partition, ChainStart::at(tip))));
        if let Some(unused) = unused {
            self.archive.remove(unused);
            // It held no entry; if it cannot be removed it is read as an empty file.
            drop(folder::remove_database(&segment::path_of(self.archive.folder(), unused)));
        }
        tracing::info!(segment = number, "the journal goes on in a new file");
        self.inbox.counters.segment.store(number, Ordering::Relaxed);
        (self.number, self.used, self.spoiled, self.segment_bytes, self.unmoved_bytes) = (number, false, false, 0, 0);
        self.day = None;
        Ok(())
    }

    fn begin_next_file_if_possible(&mut self) {
        if let Err(fault) = self.begin_next_file() {
            tracing::warn!(error = %fault.error(), "a new journal file could not be begun yet");
        }
    }

    /// Whether the file in use may be written and synced.
    fn file_is_good(&self) -> bool {
        !self.spoiled && self.mover.failed_number() != self.number
    }

    // --- claims ---

    fn claim(&mut self, partition: Partition) -> Result<Claim, StoreError> {
        if !self.file_is_good() {
            self.begin_next_file().map_err(Fault::into_error)?;
        }
        let fresh = !self.tips.contains_key(&partition);
        let tip = self.try_claim(partition).map_err(|error| {
            let fault = Fault::of("claim a partition", &error);
            self.spoiled |= matches!(fault, Fault::File(_));
            fault.into_error()
        })?;
        if fresh {
            self.archive.add_start(self.number, partition, ChainStart::at(&tip));
        }
        self.used = true;
        self.tips.insert(partition, tip);
        self.inbox.gate(|gate| gate.expect(partition, &tip));
        Ok(tip.claim(partition))
    }

    fn try_claim(&self, partition: Partition) -> rusqlite::Result<Tip> {
        let tx = Transaction::new_unchecked(&self.conn, TransactionBehavior::Immediate)?;
        let mut tip = match self.tips.get(&partition) {
            Some(tip) => *tip,
            None => {
                let genesis = Tip::genesis(partition, self.genesis_seq);
                segment::begin_chain(&tx, partition, ChainStart::at(&genesis))?;
                genesis
            }
        };
        tip.epoch = Epoch(tip.epoch.max(segment::epoch(&tx, partition)?).0 + 1);
        segment::note_epoch(&tx, partition, tip.epoch, tip.anchor())?;
        tx.commit()?;
        Ok(tip)
    }

    // --- house-keeping ---

    /// The mover copies while commits go on; once it has caught up the little that is left is moved here, so that the log file
    /// can start over. Written again from its start it does not grow, and a sync of a file that does not grow is quicker.
    fn tidy_after_commit(&mut self) {
        if self.segment_bytes > self.segment_bytes_max {
            // Nothing is lost if this fails: the file in use goes on being used.
            self.begin_next_file_if_possible();
            self.segment_bytes /= 2;
        } else if self.mover.has_finished() {
            self.move_rest();
        } else if self.unmoved_bytes > CHECKPOINT_BYTES && self.mover.start(self.archive.folder(), self.number) {
            self.unmoved_bytes = 0;
        }
    }

    fn move_rest(&mut self) {
        if !self.file_is_good() {
            return;
        }
        match segment::checkpoint(&self.conn) {
            Ok(true) => self.unmoved_bytes = 0,
            // Someone reads an old state; the next round gets further.
            Ok(false) => {}
            Err(error) => self.spoiled |= matches!(Fault::of("checkpoint", &error), Fault::File(_)),
        }
    }

    fn tidy_while_idle(&mut self) {
        if self.mover.has_finished() {
            self.move_rest();
        }
    }

    fn finish(mut self) {
        self.mover.stop();
        if self.file_is_good()
            && !self.failing
            && let Err(error) = segment::checkpoint_all(&self.conn)
        {
            tracing::warn!(%error, "the journal was closed without its last checkpoint; nothing is lost");
        }
    }
}

/// `first` and what waits behind it, within the bounds of one commit.
fn gather(first: Batch, todo: &mut VecDeque<Command>) -> Vec<Batch> {
    let (mut entries, mut bytes) = (first.entries().len(), first.byte_count());
    let mut group = vec![first];
    while let Some(Command::Append(next)) = todo.front() {
        entries += next.entries().len();
        bytes += next.byte_count();
        if entries > COMMIT_ENTRIES_MAX || bytes > COMMIT_BYTES_MAX {
            break;
        }
        if let Some(Command::Append(next)) = todo.pop_front() {
            group.push(next);
        }
    }
    group
}

/// The log of one partition within a transaction.
struct Log<'a> {
    conn: &'a Connection,
    archive: &'a Archive,
    partition: Partition,
}

impl Rows for Log<'_> {
    type Error = rusqlite::Error;

    fn kept(&mut self, seq: u64) -> rusqlite::Result<Option<Entry>> {
        match segment::entry(self.conn, self.partition, seq)? {
            Some(entry) => Ok(Some(entry)),
            // What an earlier file cannot give back counts as different: it is refused, never written twice.
            None => Ok(self.archive.entry(self.partition, seq).ok().flatten()),
        }
    }

    fn put(&mut self, entry: &Entry, hash: ChainHash) -> rusqlite::Result<()> {
        segment::insert(self.conn, self.partition, entry, hash)
    }
}

/// However the writer ends, nobody must go on appending to it.
struct End(Arc<Inbox>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.close();
        self.0.counters.failing.store(true, Ordering::Relaxed);
    }
}

// --- the mover ---

/// The thread that moves committed pages from the log file into the main file, so that no commit waits for that.
pub(super) struct Mover {
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    state: Arc<MoverState>,
}

#[derive(Default)]
struct MoverState {
    /// 0 idle, 1 moving, 2 finished and not yet noticed.
    stage: AtomicU32,
    /// The file whose checkpoint failed to write or sync; 0 for none.
    failed_number: AtomicU32,
}

enum Job {
    Move { path: PathBuf, number: u32 },
    PutAway(Connection),
}

impl Mover {
    pub(super) fn spawn() -> Result<Self, StoreError> {
        let (jobs, todo) = bounded(4);
        let state = Arc::new(MoverState::default());
        let shared = Arc::clone(&state);
        let spawned = thread::Builder::new().name("najda-mover".into()).spawn(move || move_all(&todo, &shared));
        let thread =
            spawned.map_err(|error| StoreError::DiskFailed { doing: "start the journal's thread", cause: error.to_string().into() })?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread), state })
    }

    fn start(&self, folder: &Path, number: u32) -> bool {
        let Some(jobs) = self.jobs.as_ref().filter(|_| self.state.stage.load(Ordering::Acquire) == 0) else { return false };
        self.state.stage.store(1, Ordering::Release);
        let started = jobs.try_send(Job::Move { path: segment::path_of(folder, number), number }).is_ok();
        if !started {
            self.state.stage.store(0, Ordering::Release);
        }
        started
    }

    /// True once after each move.
    fn has_finished(&self) -> bool {
        self.state.stage.compare_exchange(2, 0, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    fn put_away(&self, conn: Connection) {
        // If there is no room the file is simply closed: its log file keeps what was not moved.
        drop(self.jobs.as_ref().map(|jobs| jobs.try_send(Job::PutAway(conn))));
    }

    fn failed_number(&self) -> u32 {
        self.state.failed_number.load(Ordering::Acquire)
    }

    fn stop(&mut self) {
        self.jobs = None;
        drop(self.thread.take().map(JoinHandle::join));
    }
}

fn move_all(todo: &Receiver<Job>, state: &MoverState) {
    for job in todo {
        match job {
            Job::Move { path, number } => {
                let moved = segment::open_to_write(&path).and_then(|conn| segment::checkpoint(&conn));
                if let Err(error) = moved
                    && matches!(Fault::of("checkpoint", &error), Fault::File(_))
                {
                    tracing::error!(segment = number, %error, "a checkpoint failed; the file is given up");
                    state.failed_number.store(number, Ordering::Release);
                }
                state.stage.store(2, Ordering::Release);
            }
            Job::PutAway(conn) => {
                if let Err(error) = segment::checkpoint_all(&conn) {
                    tracing::warn!(%error, "a full journal file was put away without its last checkpoint; nothing is lost");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Timestamp;

    fn append(first_seq: u64, entry_count: u64, bytes: usize) -> Command {
        let tip = Tip::genesis(Partition::default(), first_seq);
        let entry = |seq| Entry { seq, at: Timestamp::default(), contact: None, kind: 0, bytes: vec![0; bytes] };
        let entries = (first_seq..first_seq + entry_count).map(entry).collect();
        Command::Append(Batch::new(&tip.claim(Partition::default()), entries).unwrap())
    }

    fn check_gathered(commands: Vec<Command>, group_lengths: &[usize]) {
        let mut todo: VecDeque<Command> = commands.into();
        let mut lengths = Vec::new();
        while let Some(command) = todo.pop_front() {
            lengths.push(match command {
                Command::Append(first) => gather(first, &mut todo).len(),
                Command::Claim(..) => 0,
            });
        }
        assert_eq!(lengths, group_lengths);
    }

    #[test]
    fn a_commit_takes_all_that_waits_within_its_bounds() {
        let most = COMMIT_ENTRIES_MAX as u64;
        check_gathered(vec![append(1, 1, 9), append(2, 5, 9), append(7, 1, 9)], &[3]);
        check_gathered(vec![append(1, most - 1, 0), append(most, 1, 0), append(most + 1, 1, 0)], &[2, 1]);
        check_gathered(vec![append(1, 1, 9), append(2, most, 0)], &[1, 1]);
        let wide = COMMIT_BYTES_MAX / 4;
        check_gathered((1..=6).map(|seq| append(seq, 1, wide)).collect(), &[4, 2]);
    }

    #[test]
    fn a_claim_is_not_overtaken() {
        let claim = Command::Claim(Partition::default(), bounded(1).0);
        check_gathered(vec![append(1, 1, 9), claim, append(2, 1, 9)], &[1, 0, 1]);
    }
}
