//! What every run needs: an engine, certificates, gateways, a seat in every room, and the board they write on.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow};
use hdrhistogram::Histogram;
use najda::deliver::{Ending, Seat};
use najda::edge::tables::load_or_shipped;
use najda::edge::tls::Role;
use najda::tables::snapshot::Tables;
use najda::units::Name;

use crate::arrivals::Arrivals;
use crate::board::{Board, Mark, Step, histogram};
use crate::callers::Callers;
use crate::consoles::Consoles;
use crate::engine::{Doors, Engine, Folder, certificates, gateway_role};
use crate::gateways::Gateways;
use crate::report::{Asked, Counts, Environment, Latencies, Latency};

/// What is to be run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// A running engine and the folder of its authority; an engine of our own when left out.
    pub engine: Option<(std::net::SocketAddr, PathBuf)>,
    pub server_name: String,
    pub tables: Option<PathBuf>,
    /// Contacts a second.
    pub rate: f64,
    pub seconds: f64,
    pub gateways: usize,
    /// Seats in every room.
    pub consoles: usize,
    pub seed: u64,
    /// Contacts alive at once; beyond it sending waits, and is late.
    pub in_flight: u64,
    /// Measure one contact at a time beside the machine's floors first.
    pub alone: bool,
    pub keep: Option<PathBuf>,
    pub progress: bool,
}

/// How long the last contacts may take to end after the last was sent.
pub const GRACE: Duration = Duration::from_secs(40);
/// How long a client may take to open its first session.
const CONNECT_WAIT: Duration = Duration::from_secs(15);
/// How long the generator waits before it asks a full gateway again.
const HELD_BACK: Duration = Duration::from_micros(500);
/// Between the start of the generator and its first contact.
const LEAD_NANOS: u64 = 50_000_000;

/// Everything set up, nothing sent.
#[derive(Debug)]
pub struct Scene {
    // In this order they are let go of: clients, engine, folder.
    pub gateways: Arc<Gateways>,
    pub consoles: Consoles,
    pub engine: Engine,
    pub folder: Folder,
    pub board: Arc<Board>,
    pub callers: Arc<Callers>,
    pub tables: Arc<Tables>,
    clients: u64,
}

impl Scene {
    /// `count_max`: contacts the run can send; the first `alone_count` of them one at a time. `crashes`: the engine will be killed.
    pub async fn set(plan: &Plan, count_max: usize, alone_count: usize, crashes: bool) -> Result<Self> {
        let folder = Folder::make(plan.keep.as_deref())?;
        let tables = load_or_shipped(plan.tables.as_deref())?.tables;
        let seats = seats(&tables, plan.consoles)?;
        let mut roles: Vec<Role> = (1..=plan.gateways).map(gateway_role).collect::<Result<_>>()?;
        roles.extend(seats.iter().map(|seat| Role::Console { seat: *seat, load_test: true }));
        let authority = plan.engine.as_ref().map(|(_, certs)| certs.as_path());
        let certs = certificates(&folder.path.join("certs"), authority, &roles).context("making certificates")?;
        let engine = match &plan.engine {
            Some((addr, _)) => Engine::running(*addr, &folder.path),
            None => tokio::task::block_in_place(|| Engine::start(&folder.path, &certs, plan.tables.as_deref()))?,
        };
        let doors = Doors { addr: engine.addr, server_name: plan.server_name.clone(), certs, wait: CONNECT_WAIT };
        let board = Arc::new(Board::new(count_max, alone_count, crashes));
        let callers = Arc::new(Callers::new(&tables, run_name(), plan.seed));
        // Seats first: a test contact that nobody can see is not offered to anybody.
        let consoles = Consoles::connect(&doors, &seats, &board, &callers).await?;
        let gateways = Arc::new(Gateways::connect(&doors, plan.gateways, &board, &callers).await?);
        let clients = (consoles.count() + gateways.count()) as u64;
        Ok(Self { gateways, consoles, engine, folder, board, callers, tables, clients })
    }

    /// Starts sending; see [`Load`].
    pub fn start_load(&self, plan: &Plan, range: Range<usize>) -> Result<Load> {
        let stop = Arc::new(AtomicBool::new(false));
        let sender = Sender {
            board: Arc::clone(&self.board),
            gateways: Arc::clone(&self.gateways),
            callers: Arc::clone(&self.callers),
            in_flight: plan.in_flight,
            stop: Arc::clone(&stop),
        };
        let arrivals = Arrivals::new(plan.rate, plan.seed);
        let thread = std::thread::Builder::new().name("arrivals".to_owned());
        let thread = thread.spawn(move || sender.run(range, arrivals)).context("starting the generator")?;
        Ok(Load { stop, thread })
    }

    /// Waits until every contact has ended, at most [`GRACE`]. Answers with how many have not.
    pub async fn drain(&self) -> u64 {
        let all_ended = async {
            while self.board.ended_count() < self.board.sent_count() {
                let ended = self.board.ended.notified();
                if self.board.ended_count() < self.board.sent_count() {
                    ended.await;
                }
            }
        };
        let _ = tokio::time::timeout(GRACE, all_ended).await;
        self.board.sent_count() - self.board.ended_count()
    }

    /// Sessions beyond the first of each client.
    pub fn reconnects(&self) -> u64 {
        self.board.events.sessions.load(Ordering::Relaxed).saturating_sub(self.clients)
    }

    /// Of the contacts from `first` on.
    pub fn counts(&self, first: usize, held_back: u64, unconfirmed_at_end: u64) -> Counts {
        let board = &self.board;
        let of = |mark| board.count(mark, first);
        let events = |count: &std::sync::atomic::AtomicU64| count.load(Ordering::Relaxed);
        let closed = board.ending_count(Ending::Closed);
        Counts {
            sent: of(Mark::Sent),
            targets: of(Mark::Targets),
            durable: of(Mark::Durable),
            overdue: of(Mark::Overdue),
            offered: of(Mark::Offered),
            offers: events(&board.events.offers),
            taken: of(Mark::Taken),
            accepted: of(Mark::Accepted),
            ended: of(Mark::Ended),
            ended_closed: closed,
            ended_otherwise: board.ended_count() - closed,
            refused: board.count(Mark::Refused, 0),
            refused_commands: events(&board.events.refused_commands),
            full_commands: events(&board.events.full_commands),
            late_commands: events(&board.events.late_commands),
            handed_back: of(Mark::TargetsAgain),
            told_again: events(&board.events.told_again),
            lost_takes: events(&board.events.lost_takes),
            unconfirmed_at_end,
            held_back,
            reconnects: self.reconnects(),
        }
    }

    pub fn latencies(&self, generator: &Histogram<u64>) -> Latencies {
        let of = |step| Latency::from(&self.board.histogram(step));
        Latencies {
            targets: of(Step::Targets),
            console: of(Step::Console),
            durable: of(Step::Durable),
            accepted: of(Step::Accepted),
            ended: of(Step::Ended),
            generator: Latency::from(generator),
        }
    }

    pub fn environment(&self) -> Environment {
        Environment::here(self.engine.version(), format!("{} {}", self.tables.name, self.tables.version))
    }

    pub fn asked(&self, plan: &Plan) -> Asked {
        Asked {
            rate: plan.rate,
            seconds: plan.seconds,
            gateways: self.gateways.count(),
            consoles: self.consoles.count(),
            seed: plan.seed,
            in_flight: plan.in_flight,
        }
    }
}

/// `count` seats in every room of the tables.
fn seats(tables: &Tables, count: usize) -> Result<Vec<Seat>> {
    let mut seats = Vec::with_capacity(tables.dispatchers.rows.len() * count);
    for row in &tables.dispatchers.rows {
        for number in 1..=count {
            let seat = Name::new(&format!("load-{number}")).context("a seat's name")?;
            seats.push(Seat { dispatcher: row.id, seat });
        }
    }
    Ok(seats)
}

/// Different in every run, whatever its seed: an engine remembers what it has seen.
fn run_name() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{:x}-{:x}", now.as_micros(), std::process::id())
}

// --- the generator ---

/// A generator at work.
#[derive(Debug)]
pub struct Load {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<Sent>>,
}

/// What the generator did.
#[derive(Clone, Debug)]
pub struct Sent {
    pub count: u64,
    /// How late each contact was, in nanoseconds, but for the time the engine held it back.
    pub lateness: Histogram<u64>,
    /// Contacts that found their gateway full or too many in flight.
    pub held_back: u64,
    pub first_due: u64,
    pub last_due: u64,
    pub last_sent: u64,
}

impl Load {
    pub fn is_done(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits for the end of the plan; `now` ends it at once. Blocks.
    pub fn finish(self, now: bool) -> Result<Sent> {
        if now {
            self.stop.store(true, Ordering::Relaxed);
        }
        self.thread.join().map_err(|_| anyhow!("the generator panicked"))?
    }
}

struct Sender {
    board: Arc<Board>,
    gateways: Arc<Gateways>,
    callers: Arc<Callers>,
    in_flight: u64,
    stop: Arc<AtomicBool>,
}

impl Sender {
    /// Open loop: a contact is sent when it is due, whatever became of those before it.
    fn run(&self, range: Range<usize>, arrivals: Arrivals) -> Result<Sent> {
        let start = self.board.now() + LEAD_NANOS;
        let mut sent = Sent { count: 0, lateness: histogram(), held_back: 0, first_due: start, last_due: start, last_sent: start };
        let mut free = 0;
        for (index, after) in range.zip(arrivals) {
            if self.stop.load(Ordering::Relaxed) {
                break;
            }
            let due = start + after;
            // Made before it is due, so that making it costs no time then.
            let contact = Arc::new(self.callers.contact(index as u64));
            let early = due.saturating_sub(self.board.now());
            if early > 0 {
                std::thread::sleep(Duration::from_nanos(early));
            }
            sent.lateness.saturating_record(self.board.now().saturating_sub(due.max(free)).max(1));
            self.board.sending(index, due);
            let mut held = false;
            while self.board.sent_count() - self.board.ended_count() > self.in_flight || !self.gateways.send(index, &contact)? {
                held = true;
                if self.stop.load(Ordering::Relaxed) {
                    self.board.unsend(index);
                    return Ok(sent);
                }
                std::thread::sleep(HELD_BACK);
            }
            (sent.last_due, sent.last_sent) = (due, self.board.now());
            if held {
                sent.held_back += 1;
                free = sent.last_sent;
            }
            sent.count += 1;
        }
        Ok(sent)
    }
}
