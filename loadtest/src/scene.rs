//! What every run needs: an engine, certificates, gateways, seats in the rooms, the board they write on, and the generator.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow, bail};
use hdrhistogram::Histogram;
use najda::contact::ContactKey;
use najda::deliver::{Ending, GatewaySays, Seat};
use najda::edge::tables::load_or_shipped;
use najda::edge::tls::Role;
use najda::tables::snapshot::Tables;
use najda::units::Name;

use crate::arrivals::{Arrival, Arrivals};
use crate::board::{Board, Mark, Step, histogram};
use crate::callers::{Callers, Later};
use crate::consoles::{Consoles, Manner};
use crate::engine::{Doors, Engine, Folder, certificates, gateway_role};
use crate::environment::Environment;
use crate::gateways::Gateways;
use crate::loops::Loops;
use crate::report::{Asked, Counts, Latencies, Latency};
use crate::scenario::{CANONICAL, Scenario};
use crate::slo::Slo;

/// What is to be run.
#[derive(Clone, Debug)]
pub struct Plan {
    pub scenario: Arc<Scenario>,
    /// A running engine and the folder of its authority; an engine of our own when left out.
    pub engine: Option<(std::net::SocketAddr, PathBuf)>,
    pub server_name: String,
    pub tables: Option<PathBuf>,
    /// Contacts a second, on average.
    pub rate: f64,
    pub seconds: f64,
    pub gateways: usize,
    /// Seats in every room that is staffed.
    pub consoles: usize,
    pub seed: u64,
    /// Contacts alive at once; beyond it sending waits, and is late.
    pub in_flight: u64,
    /// Measure one contact at a time beside the machine's floors first.
    pub alone: bool,
    /// The engine is stopped so long, so long after the first contact.
    pub stall: Option<Stall>,
    /// What the run must meet besides losing nothing.
    pub slo: Slo,
    pub keep: Option<PathBuf>,
    pub show: Show,
    /// Becomes true when somebody wants the run to end in order.
    pub stop: Arc<AtomicBool>,
}

impl Plan {
    /// The canonical workload, an engine of our own.
    ///
    /// # Errors
    /// The scenario inside the program cannot be read.
    pub fn canonical() -> Result<Self> {
        let scenario = Arc::new(Scenario::load(CANONICAL)?);
        Ok(Self {
            rate: scenario.rate,
            seconds: scenario.seconds,
            consoles: scenario.seats.in_every_room as usize,
            seed: scenario.seed,
            scenario,
            engine: None,
            server_name: "localhost".to_owned(),
            tables: None,
            gateways: 8,
            in_flight: 200_000,
            alone: true,
            stall: None,
            slo: Slo::default(),
            keep: None,
            show: Show::Nothing,
            stop: Arc::default(),
        })
    }

    /// The command line that asks for this.
    pub fn command(&self) -> String {
        format!(
            "najda-loadtest --scenario {} --rate {} --seconds {} --gateways {} --consoles {} --seed {}",
            self.scenario.name, self.rate, self.seconds, self.gateways, self.consoles, self.seed
        )
    }
}

/// An artificial stall of the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stall {
    pub lasts: Duration,
    pub at: Duration,
}

/// How a run shows that it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Show {
    /// A line that is drawn again and again.
    Live,
    /// A line every few seconds.
    Lines,
    Nothing,
}

/// How long the last contacts may take to end after the last was sent.
pub const GRACE: Duration = Duration::from_secs(40);
/// The same after somebody asked the run to end.
pub const GRACE_STOPPED: Duration = Duration::from_secs(5);
/// How long a client may take to open its first session.
const CONNECT_WAIT: Duration = Duration::from_secs(15);
/// How long the generator waits before it asks a full gateway again.
const HELD_BACK: Duration = Duration::from_micros(500);
/// Between the start of the generator and its first contact.
const LEAD_NANOS: u64 = 50_000_000;
/// The longest sleep of the generator, so that it hears that it is to stop.
const SLEEP_MAX: Duration = Duration::from_millis(50);

/// Everything set up, nothing sent.
#[derive(Debug)]
pub struct Scene {
    // In this order they are let go of: clients, engine, folder.
    pub gateways: Arc<Gateways>,
    pub consoles: Consoles,
    pub loops: Loops,
    pub engine: Engine,
    pub folder: Folder,
    pub board: Arc<Board>,
    pub callers: Arc<Callers>,
    pub tables: Arc<Tables>,
    clients: u64,
    probes: AtomicUsize,
}

impl Scene {
    /// `count_max`: contacts the run can send; the first `alone_count` of them one at a time. `crashes`: the engine will be killed.
    pub async fn set(plan: &Plan, count_max: usize, alone_count: usize, crashes: bool) -> Result<Self> {
        let folder = Folder::make(plan.keep.as_deref())?;
        let tables = load_or_shipped(plan.tables.as_deref())?.tables;
        let callers = Arc::new(Callers::new(&plan.scenario, &tables, run_name(), plan.seed)?);
        let seats = seats(&tables, plan.consoles, &plan.scenario.seats.unstaffed)?;
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
        let loops = Loops::start(Loops::count_for_this_machine())?;
        let rule = &plan.scenario.seats;
        let manner = Manner { handle_ms: rule.handle_ms, at_once: rule.at_once as usize, seed: plan.seed };
        // Seats first: a test contact that nobody can see is not offered to anybody.
        let consoles = Consoles::connect(&doors, &seats, &manner, &board, &callers, &loops).await?;
        let gateways = Arc::new(Gateways::connect(&doors, plan.gateways, &board, &callers, &loops).await?);
        let clients = (consoles.count() + gateways.count()) as u64;
        Ok(Self { gateways, consoles, loops, engine, folder, board, callers, tables, clients, probes: AtomicUsize::new(0) })
    }

    /// Starts sending; see [`Load`]. The numbers of its contacts begin at `first`.
    pub fn start_load(&self, plan: &Plan, first: usize) -> Result<Load> {
        let control = Arc::new(Control::default());
        let sender = Sender {
            board: Arc::clone(&self.board),
            gateways: Arc::clone(&self.gateways),
            callers: Arc::clone(&self.callers),
            in_flight: plan.in_flight,
            control: Arc::clone(&control),
            later: BinaryHeap::new(),
        };
        let seconds = if plan.seconds > 0.0 { plan.seconds } else { f64::INFINITY };
        let arrivals = Arrivals::new(&plan.scenario, plan.rate, seconds, plan.seed);
        let thread = std::thread::Builder::new().name("arrivals".to_owned());
        let thread = thread.spawn(move || sender.run(first, arrivals)).context("starting the generator")?;
        Ok(Load { control, thread })
    }

    /// Has one gateway come back at once and bring a contact that is not counted: whoever answers it is an engine that decides.
    pub fn probe(&self) -> Result<()> {
        let count = self.gateways.count();
        let index = self.board.capacity().next_multiple_of(count) + self.probes.fetch_add(1, Ordering::Relaxed) * count;
        self.gateways.break_line(index);
        self.gateways.send(index, &Arc::new(self.callers.contact(index as u64, 0.5)))?;
        Ok(())
    }

    /// Waits until every contact has ended, at most `grace`. Answers with how many have not.
    pub async fn drain(&self, grace: Duration) -> u64 {
        let all_ended = async {
            while self.board.ended_count() < self.board.sent_count() {
                let ended = self.board.ended.notified();
                if self.board.ended_count() < self.board.sent_count() {
                    ended.await;
                }
            }
        };
        let _ = tokio::time::timeout(grace, all_ended).await;
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
        let unended = board.unended();
        let on_screen = unended.iter().filter(|index| board.is_on_a_screen(**index)).count() as u64;
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
            ended_unseen: board.ending_count(Ending::TestSunk),
            ended_overflowed: board.ending_count(Ending::Overflowed),
            waiting_on_screen: on_screen,
            unusable_targets: events(&board.events.unusable),
            copies_said: events(&board.events.copies_said),
            fixes_said: events(&board.events.fixes_said),
            hang_ups_said: events(&board.events.hang_ups_said),
            later_unsaid: events(&board.events.later_unsaid),
            refused: board.count(Mark::Refused, 0),
            refused_commands: events(&board.events.refused_commands),
            full_commands: events(&board.events.full_commands),
            late_commands: events(&board.events.late_commands),
            handed_back: of(Mark::TargetsAgain),
            told_again: events(&board.events.told_again),
            lost_takes: events(&board.events.lost_takes),
            lost_holds: events(&board.events.lost_holds),
            unconfirmed_at_end,
            held_back,
            reconnects: self.reconnects(),
        }
    }

    pub fn latencies(&self, generator: &Histogram<u64>, clients: &Histogram<u64>) -> Latencies {
        let of = |step| Latency::from(&self.board.histogram(step));
        Latencies {
            targets: of(Step::Targets),
            console: of(Step::Console),
            durable: of(Step::Durable),
            accepted: of(Step::Accepted),
            ended: of(Step::Ended),
            generator: Latency::from(generator),
            clients: Latency::from(clients),
        }
    }

    pub fn environment(&self) -> Environment {
        Environment::here(self.engine.version(), format!("{} {}", self.tables.name, self.tables.version), None)
    }

    pub fn asked(&self, plan: &Plan) -> Asked {
        Asked {
            scenario: plan.scenario.name.clone(),
            title: plan.scenario.title.clone(),
            rate: plan.rate,
            peak_rate: plan.rate * plan.scenario.peak(),
            seconds: plan.seconds,
            gateways: self.gateways.count(),
            consoles: self.consoles.count(),
            seed: plan.seed,
            in_flight: plan.in_flight,
        }
    }
}

/// `count` seats in every room of the tables but those named.
fn seats(tables: &Tables, count: usize, unstaffed: &[String]) -> Result<Vec<Seat>> {
    let rows = &tables.dispatchers.rows;
    if let Some(unknown) = unstaffed.iter().find(|id| !rows.iter().any(|row| row.id.as_str() == **id)) {
        bail!("`unstaffed` names {unknown:?}, which is no dispatcher of the tables {}; dispatchers.csv lists them", tables.name);
    }
    let mut seats = Vec::with_capacity(rows.len() * count);
    for row in rows.iter().filter(|row| !unstaffed.iter().any(|id| row.id.as_str() == *id)) {
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
    pub control: Arc<Control>,
    thread: JoinHandle<Result<Sent>>,
}

/// What the generator is told, and what it tells while it works.
#[derive(Debug, Default)]
pub struct Control {
    pub stop: AtomicBool,
    /// Nobody calls while this is set; the schedule waits with them.
    pub pause: AtomicBool,
    /// The latest contact so far, in nanoseconds.
    pub late_nanos_max: AtomicU64,
    pub held_back: AtomicU64,
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
    /// It was told to stop before the end.
    pub cut_short: bool,
}

impl Load {
    pub fn is_done(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits for the end of the plan; `now` ends it at once. Blocks.
    pub fn finish(self, now: bool) -> Result<Sent> {
        if now {
            self.control.stop.store(true, Ordering::Relaxed);
        }
        self.thread.join().map_err(|_| anyhow!("the generator panicked"))?
    }
}

struct Sender {
    board: Arc<Board>,
    gateways: Arc<Gateways>,
    callers: Arc<Callers>,
    in_flight: u64,
    control: Arc<Control>,
    /// What follows contacts already sent: when, which, at which share of the run.
    later: BinaryHeap<Reverse<(u64, usize, u64, Later)>>,
}

impl Sender {
    /// Open loop: a contact is sent when it is due, whatever became of those before it.
    fn run(mut self, first: usize, arrivals: Arrivals) -> Result<Sent> {
        let mut start = self.board.now() + LEAD_NANOS;
        let mut sent =
            Sent { count: 0, lateness: histogram(), held_back: 0, first_due: start, last_due: start, last_sent: start, cut_short: false };
        let mut free = 0;
        for (index, Arrival { at_nanos, share }) in (first..self.board.capacity()).zip(arrivals) {
            // Made before it is due, so that making it costs no time then.
            let contact = Arc::new(self.callers.contact(index as u64, share));
            start += self.paused();
            let due = start + at_nanos;
            self.say_later_until(due)?;
            if !self.sleep_until(due) {
                sent.cut_short = true;
                break;
            }
            let late = self.board.now().saturating_sub(due.max(free)).max(1);
            sent.lateness.saturating_record(late);
            self.control.late_nanos_max.fetch_max(late, Ordering::Relaxed);
            self.board.sending(index, due);
            let mut held = false;
            while self.board.sent_count() - self.board.ended_count() > self.in_flight || !self.gateways.send(index, &contact)? {
                held = true;
                if self.control.stop.load(Ordering::Relaxed) {
                    self.board.unsend(index);
                    sent.cut_short = true;
                    return Ok(sent);
                }
                std::thread::sleep(HELD_BACK);
            }
            (sent.last_due, sent.last_sent) = (due, self.board.now());
            if held {
                sent.held_back += 1;
                self.control.held_back.fetch_add(1, Ordering::Relaxed);
                free = sent.last_sent;
            }
            sent.count += 1;
            for (after, what) in self.callers.later(index as u64, share).into_iter().flatten() {
                self.later.push(Reverse((due + after, index, share.to_bits(), what)));
            }
        }
        // What still follows is said by whoever is left to say it, and the engine is not made to wait for it.
        let until = self.board.now();
        self.say_later_until(until)?;
        Ok(sent)
    }

    /// Nanoseconds that nobody was allowed to call.
    fn paused(&self) -> u64 {
        if !self.control.pause.load(Ordering::Relaxed) {
            return 0;
        }
        let began = self.board.now();
        while self.control.pause.load(Ordering::Relaxed) && !self.control.stop.load(Ordering::Relaxed) {
            std::thread::sleep(HELD_BACK);
        }
        self.board.now() - began
    }

    /// False when it is to stop.
    fn sleep_until(&self, due: u64) -> bool {
        loop {
            if self.control.stop.load(Ordering::Relaxed) {
                return false;
            }
            let early = due.saturating_sub(self.board.now());
            if early == 0 {
                return true;
            }
            std::thread::sleep(Duration::from_nanos(early).min(SLEEP_MAX));
        }
    }

    /// Says what follows contacts sent before, as far as it is due by then. A full client does not make callers wait.
    fn say_later_until(&mut self, until: u64) -> Result<()> {
        while let Some(Reverse((at, index, share, what))) = self.later.peek().filter(|Reverse((at, ..))| *at <= until).copied() {
            self.later.pop();
            if !self.sleep_until(at) {
                return Ok(());
            }
            let said = self.say_later(index, f64::from_bits(share), what)?;
            let events = &self.board.events;
            let count = match what {
                _ if !said => &events.later_unsaid,
                Later::Again => &events.copies_said,
                Later::Fix => &events.fixes_said,
                Later::HangUp => &events.hang_ups_said,
            };
            count.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    fn say_later(&self, index: usize, share: f64, what: Later) -> Result<bool> {
        let number = index as u64;
        let key = || anyhow::Ok(ContactKey { gateway: self.gateways.name(index)?, gateway_ref: self.callers.reference(number) });
        match what {
            Later::Again => self.gateways.send(index, &Arc::new(self.callers.contact(number, share))),
            Later::Fix => self.gateways.report(index, GatewaySays::Evidence { key: key()?, evidence: self.callers.fix(number, share) }),
            Later::HangUp => self.gateways.report(index, GatewaySays::HungUp { key: key()? }),
        }
    }
}
