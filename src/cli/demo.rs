//! `najda demo`: the engine, its gateways and its rooms, on a day of the United Arab Emirates, in this terminal.
//!
//! The engine is a process of its own; gateways and consoles are the public clients, over QUIC with certificates. What the page and
//! the summary say is what those clients saw, never what the engine says of itself.

mod callers;
mod host;
mod rooms;
pub mod score;
pub mod script;
mod stage;
mod view;

use std::io::{IsTerminal, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use self::callers::Gateways;
use self::host::{Folders, Host};
use self::rooms::{Room, seats_of};
use self::score::Summary;
use self::stage::Stage;
use self::view::{EngineGlance, Floor, Glance};
use super::screen::{self, Key, Screen};
use crate::deliver::{Duty, Seat};
use crate::edge;
use crate::edge::certs::DevCerts;
use crate::edge::clock::Clock;
use crate::edge::console::web::pass;
use crate::edge::tls::Role;
use crate::limits::CONSOLE_INVITE_SECS_MAX;
use crate::service::Service;
use crate::tables::snapshot::Tables;
use crate::units::{DispatcherId, Name};

/// Demos at least this long have a room with too few people; shorter ones would wait for it at the end.
const SLOW_ROOM_SECS_MIN: u64 = 15;
/// How long the end waits for open contacts. The longest life is that of one which the slow room leaves to another.
const DRAIN_WAIT: Duration = Duration::from_secs(40);
/// How often the page is drawn and the end is looked for.
const FRAME: Duration = Duration::from_millis(100);
/// How often plain output says how it goes.
const PROGRESS: Duration = Duration::from_secs(2);
/// The name of the people at the terminal, in the certificates that are made for them.
const YOU: &str = "you";
/// Where they may sit in a browser: the room with the most to do.
const YOUR_ROOM: &str = "DU-POL";
/// How long gateways and seats have to connect.
const CONNECT_WAIT: Duration = Duration::from_secs(20);

/// Run the engine, its gateways and its rooms in this terminal and watch a day of emergency contacts.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  najda demo                        the live page, until q
  najda demo --seconds 20 --json    play the whole day once, print the summary, exit 1 if anything was lost or misrouted
  najda demo --seconds 30 --drill   kill a room and the engine on the way
  najda demo --keep --state d       keep certificates, journal and the engine's log in d/

It needs no network and no configuration: the engine is `najda serve` of this program on a free port of this machine, with the shipped \
tables of the United Arab Emirates and certificates of its own. Every contact, room and person is simulated.")]
pub struct DemoArgs {
    /// Stop sending after so many seconds, let everything end, and print the summary. Without it: until q or Ctrl-C.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: Option<u64>,
    /// Print the summary as one JSON object; no page.
    #[arg(long)]
    json: bool,
    /// A line every two seconds instead of the page.
    #[arg(long)]
    plain: bool,
    /// Folder for certificates, journal and the engine's log; a fresh one by default, removed at the end.
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Do not remove the fresh folder.
    #[arg(long)]
    keep: bool,
    /// Kill a room after a third of the time and the engine after a half; needs --seconds.
    #[arg(long, requires = "seconds")]
    drill: bool,
    /// The same seed calls in the same order.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

pub fn run(args: &DemoArgs) -> Result<ExitCode> {
    let folder = Folder::prepare(args)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().context("starting the runtime")?;
    let summary = runtime.block_on(async {
        tokio::select! {
            summary = demo(args, &folder.folders) => summary,
            // The engine is a process of its own: whoever goes without ending it leaves it running.
            cut_off = cut_off() => Err(cut_off),
        }
    });
    // What is still connecting is not waited for.
    runtime.shutdown_background();
    let summary = summary?;
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{}", serde_json::to_string(&summary)?)?;
    } else {
        summary.lines().iter().try_for_each(|line| writeln!(out, "{line}"))?;
    }
    if folder.is_kept {
        eprintln!("najda demo: certificates, journal and log are in {}", folder.folders.root.display());
    }
    Ok(if summary.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Waits until the terminal is gone or somebody ends the program.
async fn cut_off() -> anyhow::Error {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut hang_up), Ok(mut terminate)) = (signal(SignalKind::hangup()), signal(SignalKind::terminate())) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = hang_up.recv() => anyhow::anyhow!("the terminal is gone; the demo and its engine end"),
        _ = terminate.recv() => anyhow::anyhow!("told to end; the demo and its engine end"),
    }
}

/// The demo's folder; a fresh one goes with it.
struct Folder {
    folders: Folders,
    is_kept: bool,
}

impl Folder {
    fn prepare(args: &DemoArgs) -> Result<Self> {
        let fresh = || {
            let at = Clock::start().now().unix_micros;
            std::env::temp_dir().join(format!("najda-demo-{}-{at:x}", std::process::id()))
        };
        let root = args.state.clone().unwrap_or_else(fresh);
        let mut builder = std::fs::DirBuilder::new();
        // A folder that we name ourselves must not be there yet: nobody else made it for us.
        builder.mode(0o700).recursive(args.state.is_some());
        builder.create(&root).with_context(|| format!("making {}; name another folder with --state", root.display()))?;
        let root = root.canonicalize().with_context(|| format!("finding {}", root.display()))?;
        Ok(Self { folders: Folders { root }, is_kept: args.keep || args.state.is_some() })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.is_kept {
            let _ = std::fs::remove_dir_all(&self.folders.root);
        }
    }
}

async fn demo(args: &DemoArgs, folders: &Folders) -> Result<Summary> {
    let say = |text: &str| {
        if !args.json {
            eprintln!("najda demo: {text}");
        }
    };
    let clock = Clock::start();
    let rows = script::day()?;
    say("building the tables of the United Arab Emirates");
    let tables = tokio::task::spawn_blocking(|| edge::tables::load_or_shipped(None)).await.context("building the tables")??.tables;
    let certs = DevCerts::make(&folders.certs(), &roles(&rows, &tables)).context("making development certificates")?;
    say("starting the engine");
    let (at, quiet) = (folders.clone(), args.json);
    let progress = move |text: &str| {
        if !quiet {
            eprintln!("najda demo: {text}");
        }
    };
    let host = tokio::task::spawn_blocking(move || Host::start(&at, &progress)).await.context("starting the engine")??;
    let slow = args.seconds.is_none_or(|seconds| seconds >= SLOW_ROOM_SECS_MIN).then(|| slow_room(&tables)).flatten();
    let stage = Stage::new(clock, tables, rows, host.addr, certs, args.seed, slow);
    let rooms = open_rooms(&stage, &say).await?;
    let gateways = Arc::new(Gateways::open(&stage, CONNECT_WAIT).await?);
    say(&format!("{} rooms and {} gateways are connected", rooms.len(), gateways.count()));
    let addresses = addresses(&host, folders, clock)?;
    addresses.iter().for_each(|line| say(line));

    let mut show = Show {
        args,
        stage: Arc::clone(&stage),
        gateways: Arc::clone(&gateways),
        rooms,
        host: HostState::Ready(host),
        floor: Floor::of(&stage.tables),
        addresses,
        cursor: (0, 0),
        draining: false,
    };
    let (stop, stopped) = watch::channel(false);
    let playing = tokio::spawn({
        let (gateways, seconds) = (Arc::clone(&gateways), args.seconds);
        async move { gateways.play(seconds, stopped).await }
    });
    let live = !args.json && !args.plain && std::io::stdout().is_terminal() && std::io::stdin().is_terminal();
    let done = if live { show.on_page(&stop).await } else { show.in_lines(&stop).await };
    stop.send_replace(true);
    let _ = playing.await;
    done?;
    let summary = stage.score().summary(stage.tables.version.to_string(), stage.rows.len());
    drop(gateways);
    show.close().await?;
    Ok(summary)
}

fn roles(rows: &[script::Row], tables: &Tables) -> Vec<Role> {
    let gateways = callers::trunks_of(rows).into_iter().map(|trunk| Role::Gateway { trunk, load_test: false });
    let seats = tables.dispatchers.rows.iter().flat_map(seats_of).map(|seat| Role::Console { seat, load_test: false });
    // For whoever watches: a seat in every room, and a look at the metrics.
    let you = Name::new(YOU).unwrap_or_default();
    let yours = tables.dispatchers.rows.iter().map(move |row| Seat { dispatcher: row.id, seat: you });
    let yours = yours.map(|seat| Role::Console { seat, load_test: false });
    gateways.chain(seats).chain(yours).chain([Role::Ops { name: you }]).collect()
}

/// What else can be looked at while the demo runs.
fn addresses(host: &Host, folders: &Folders, clock: Clock) -> Result<Vec<String>> {
    let certs = folders.certs();
    let certs = certs.display();
    // Whoever came by `cargo run` has no `najda` on the path.
    let najda = std::env::args().next().unwrap_or_else(|| "najda".to_owned());
    let you = Seat { dispatcher: Name::new(YOUR_ROOM).unwrap_or_default(), seat: Name::new(YOU).unwrap_or_default() };
    let invited = pass::invite(&folders.engine(), (you, Duty::Supervisor), CONSOLE_INVITE_SECS_MAX, clock.now())
        .context("inviting you to the console")?;
    Ok(vec![
        format!("Answer calls yourself, in a browser on this machine: http://{}/#invite={invited}", host.console),
        "Or in another terminal; and the metrics:".to_owned(),
        format!("{najda} console --dispatcher {YOUR_ROOM} --seat {YOU} --connect {} --certs {certs}", host.addr),
        format!("tail -f {}   # messages to callers, as their dispatchers release them", folders.messages().display()),
        format!("curl --cacert {certs}/ca.pem --cert {certs}/ops-{YOU}.pem --key {certs}/ops-{YOU}.key https://{}/metrics", host.http),
    ])
}

/// The smallest police room that is responsible for an emirate.
fn slow_room(tables: &Tables) -> Option<DispatcherId> {
    let police = (0..tables.areas.len()).filter_map(|at| {
        let room = tables.dispatchers.responsible(crate::decision::AreaIndex(at as u16), Service::Police)?;
        tables.dispatchers.get(room)
    });
    police.min_by_key(|row| row.capacity).map(|row| row.id)
}

async fn open_rooms(stage: &Arc<Stage>, say: &impl Fn(&str)) -> Result<Vec<Room>> {
    let mut rooms = Vec::new();
    for row in &stage.tables.dispatchers.rows {
        rooms.push(Room::open(stage, row)?);
    }
    let seats: u32 = stage.score().rooms.values().map(|room| room.seats).sum();
    let open = || stage.score().rooms.values().map(|room| room.seats_open).sum::<u32>();
    let all = async {
        let mut ticks = 0_u32;
        while open() < seats {
            sleep(FRAME).await;
            ticks += 1;
            if ticks.is_multiple_of(20) {
                say(&format!("{} of {seats} seats have signed in", open()));
            }
        }
    };
    if timeout(CONNECT_WAIT, all).await.is_err() {
        say(&format!("only {} of {seats} seats have signed in; going on without the others", open()));
    }
    Ok(rooms)
}

/// The engine's process, or its restart.
enum HostState {
    Ready(Host),
    Restarting(tokio::task::JoinHandle<Result<Host>>),
    Gone,
}

/// A running demo and what a person can do to it.
struct Show<'a> {
    args: &'a DemoArgs,
    stage: Arc<Stage>,
    gateways: Arc<Gateways>,
    rooms: Vec<Room>,
    host: HostState,
    floor: Floor,
    addresses: Vec<String>,
    cursor: (usize, usize),
    draining: bool,
}

impl Show<'_> {
    /// The live page, until everything has ended or the person insists.
    async fn on_page(&mut self, stop: &watch::Sender<bool>) -> Result<()> {
        let mut screen = Screen::open()?;
        let mut keys = screen::keys()?;
        let mut frame = interval(FRAME);
        frame.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let began = self.stage.now_micros();
        let mut address = String::new();
        let mut drain_from = None;
        loop {
            if let HostState::Ready(host) = &self.host {
                address = host.addr.to_string();
            }
            self.draw(&mut screen, began, &address)?;
            tokio::select! {
                _ = frame.tick() => {}
                key = keys.recv() => match key {
                    Some(Key::Quit | Key::Char('q')) if self.draining => return Ok(()),
                    Some(Key::Quit | Key::Char('q')) => self.drain(stop)?,
                    Some(key) => self.pressed(key)?,
                    None => self.drain(stop)?,
                },
                // A signal from elsewhere; Ctrl-C at the keyboard is a key here.
                _ = tokio::signal::ctrl_c() => self.drain(stop)?,
            }
            self.look_after_host().await?;
            let elapsed = self.stage.now_micros().saturating_sub(began);
            if self.args.seconds.is_some_and(|seconds| elapsed >= seconds * 1_000_000) && !self.draining {
                self.drain(stop)?;
            }
            self.drill(elapsed)?;
            if self.draining {
                let from = *drain_from.get_or_insert(elapsed);
                if self.stage.score().open_count() == 0 || elapsed.saturating_sub(from) >= DRAIN_WAIT.as_micros() as u64 {
                    return Ok(());
                }
            }
        }
    }

    /// The same without a page: a line now and then, or nothing beside JSON.
    async fn in_lines(&mut self, stop: &watch::Sender<bool>) -> Result<()> {
        let mut frame = interval(FRAME);
        frame.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let began = self.stage.now_micros();
        let (mut said, mut drain_from, mut insisted) = (0, None, 0_u32);
        loop {
            tokio::select! {
                _ = frame.tick() => {}
                _ = tokio::signal::ctrl_c() => {
                    insisted += 1;
                    self.drain(stop)?;
                }
            }
            self.look_after_host().await?;
            let elapsed = self.stage.now_micros().saturating_sub(began);
            if self.args.seconds.is_some_and(|seconds| elapsed >= seconds * 1_000_000) && !self.draining {
                self.drain(stop)?;
            }
            self.drill(elapsed)?;
            if !self.args.json && elapsed / PROGRESS.as_micros() as u64 > said {
                said = elapsed / PROGRESS.as_micros() as u64;
                self.progress(elapsed);
            }
            if self.draining {
                let from = *drain_from.get_or_insert(elapsed);
                let waited = elapsed.saturating_sub(from) >= DRAIN_WAIT.as_micros() as u64;
                if insisted > 1 || waited || self.stage.score().open_count() == 0 {
                    return Ok(());
                }
            }
        }
    }

    fn progress(&self, elapsed: u64) {
        let mut score = self.stage.score();
        for news in std::mem::take(&mut score.news) {
            eprintln!("najda demo: {news}");
        }
        let now = self.stage.now_micros();
        let waiting = score.longest_waiting().map_or("nobody waits".to_owned(), |seen| {
            let place = self.stage.rows.get(seen.row).map_or("", |row| &row.place);
            format!("longest waiting {} ({place})", screen::wait_of(now.saturating_sub(seen.sent_micros)))
        });
        eprintln!("najda demo: {:>4} s  sent {}  open {}  {waiting}", elapsed / 1_000_000, score.contacts.len(), score.open_count());
    }

    fn draw(&self, screen: &mut Screen, began_micros: u64, address: &str) -> Result<()> {
        let glance = Glance {
            now_micros: self.stage.now_micros(),
            began_micros,
            address: address.to_owned(),
            engine: if matches!(self.host, HostState::Ready(_)) { EngineGlance::Ready } else { EngineGlance::Killed },
            cursor: self.cursor,
            paused: self.stage.is_paused(),
            draining: self.draining,
            addresses: self.addresses.clone(),
            unconfirmed: self.gateways.unconfirmed_count(),
        };
        let lines = view::page(&self.stage, &self.floor, &self.stage.score(), &glance, screen.size());
        screen.draw(&lines)
    }

    /// No new callers. Dark rooms are lit again: only their own people can close what they had accepted.
    fn drain(&mut self, stop: &watch::Sender<bool>) -> Result<()> {
        if self.draining {
            return Ok(());
        }
        self.draining = true;
        stop.send_replace(true);
        self.stage.score().say("no new callers; waiting for every open contact to end");
        self.rooms.iter_mut().filter(|room| room.is_dark()).try_for_each(|room| room.light(&self.stage))
    }

    fn pressed(&mut self, key: Key) -> Result<()> {
        match key {
            Key::Up => self.cursor = self.floor.moved(self.cursor, -1, 0),
            Key::Down => self.cursor = self.floor.moved(self.cursor, 1, 0),
            Key::Left => self.cursor = self.floor.moved(self.cursor, 0, -1),
            Key::Right => self.cursor = self.floor.moved(self.cursor, 0, 1),
            Key::Char('k') => {
                for id in self.floor.at(self.cursor).to_vec() {
                    self.switch(id)?;
                }
            }
            Key::Char('e') => self.kill_engine(),
            Key::Char('p') => {
                self.stage.paused.fetch_xor(true, Ordering::Relaxed);
            }
            _ => {}
        }
        Ok(())
    }

    /// Cuts a room's power, or switches it on again.
    fn switch(&mut self, id: DispatcherId) -> Result<()> {
        let Some(room) = self.rooms.iter_mut().find(|room| room.id == id) else { return Ok(()) };
        if room.is_dark() {
            room.light(&self.stage)?;
            self.stage.score().say(format!("{id} is lit again; its seats sign in"));
        } else {
            room.kill(&self.stage);
            self.stage.score().say(format!("{id} is dark: who waits there is offered to the next in its chain"));
        }
        Ok(())
    }

    fn kill_engine(&mut self) {
        let HostState::Ready(mut host) = std::mem::replace(&mut self.host, HostState::Gone) else { return };
        {
            let mut score = self.stage.score();
            score.engine_killed(self.stage.now_micros());
            score.say(format!("kill -9 {}: gateways and consoles keep what the journal had not confirmed", host.process_id()));
        }
        let restart = move || host.kill_and_restart(&|_| {}).map(|()| host);
        self.host = HostState::Restarting(tokio::task::spawn_blocking(restart));
    }

    /// Takes a restarted engine back, and notices one that died by itself.
    async fn look_after_host(&mut self) -> Result<()> {
        if let HostState::Restarting(task) = &mut self.host
            && task.is_finished()
        {
            let host = task.await.context("starting the engine again")??;
            let mut score = self.stage.score();
            let after = score.killed_at.map_or(0, |at| self.stage.now_micros().saturating_sub(at) / 1_000);
            let of = |name: &str| host.said(name).unwrap_or("?").to_owned();
            score.say(format!("engine back after {after} ms: {} facts read, {} open contacts found again", of("facts"), of("live")));
            drop(score);
            self.host = HostState::Ready(host);
        }
        Ok(())
    }

    /// The two kills of a drill, each once.
    fn drill(&mut self, elapsed: u64) -> Result<()> {
        let Some(seconds) = self.args.seconds.filter(|_| self.args.drill) else { return Ok(()) };
        let (killed, restarts) = {
            let score = self.stage.score();
            (score.rooms_killed, score.restarts)
        };
        if killed == 0 && elapsed >= seconds * 1_000_000 / 3 {
            let busiest = self.stage.score().rooms.iter().max_by_key(|(_, room)| room.accepted).map(|(id, _)| *id);
            busiest.map_or(Ok(()), |id| self.switch(id))?;
        }
        if restarts == 0 && elapsed >= seconds * 1_000_000 / 2 {
            self.kill_engine();
        }
        Ok(())
    }

    /// Everybody leaves in good order, the engine last.
    async fn close(self) -> Result<()> {
        if let Ok(gateways) = Arc::try_unwrap(self.gateways) {
            gateways.close(Duration::from_secs(2)).await;
        }
        let closing: Vec<_> = self.rooms.into_iter().map(|room| tokio::spawn(room.close())).collect();
        for room in closing {
            let _ = room.await;
        }
        let host = match self.host {
            HostState::Ready(host) => host,
            HostState::Restarting(task) => task.await.context("starting the engine again")??,
            HostState::Gone => return Ok(()),
        };
        host.end().await
    }
}
