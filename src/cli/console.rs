//! `najda console`: a dispatcher's seat in a terminal.
//!
//! The desk ([`Desk`]) is what the seat knows, the page ([`page`]) is what it shows; both are plain values, and only this file speaks to
//! the engine and the keyboard.

mod desk;
mod invite;
mod page;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use tokio::time::{MissedTickBehavior, interval};

use self::desk::{Ask, Desk, LineState};
use super::screen::{self, Screen};
use crate::client::{ConsoleClient, Identity, LinkConfig, LinkState};
use crate::deliver::Seat;
use crate::edge;
use crate::edge::certs::file_stem;
use crate::edge::clock::Clock;
use crate::edge::tls::Role;
use crate::units::Name;

/// How often clocks move on the page.
const FRAME: Duration = Duration::from_millis(200);

/// Answer contacts at a seat of a dispatcher, in this terminal.
#[derive(Debug, Args)]
#[command(
    subcommand_negates_reqs = true,
    args_conflicts_with_subcommands = true,
    after_help = "Examples:
  najda console --dispatcher DU-POL
  najda console --dispatcher DU-POL --seat 2 --certs c --connect 10.0.0.7:9990 --language ar --language ur
  najda console invite DU-POL/1                      a link to the same seat in a browser

Keys: arrows choose, t take, a accept (help is on its way), u units are on their way, i a message to the caller, w write to a \
caller who writes, b say what came of calling a caller back who was gone, d decline with a reason, r release to the room, \
f hand over to another room, n note, 1 to 5 add a service, j join with a contact of the same event, c close, e declare an event \
around it and E end one (with --supervisor), ? all keys, q sign out. What stands in alarm, then what waits longest, is on top. \
An offer is yours only when the journal holds your take. When the line is lost the page stays, grey \
and with its age, and the seat signs in again by itself; what you hold stays yours for ten seconds."
)]
pub struct ConsoleArgs {
    #[command(subcommand)]
    command: Option<ConsoleCommand>,
    /// The room, as the tables call it.
    #[arg(long, value_name = "ID", value_parser = name, required = true)]
    dispatcher: Option<Name>,
    /// The seat in the room; it needs a certificate of its own.
    #[arg(long, value_name = "NAME", default_value = "1", value_parser = name)]
    seat: Name,
    /// Folder with ca.pem and the seat's certificate, as `najda certs dev` makes it.
    #[arg(long, value_name = "DIR", default_value = "certs")]
    certs: PathBuf,
    /// UDP address of the engine.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9990")]
    connect: SocketAddr,
    /// The name in the engine's certificate.
    #[arg(long, value_name = "NAME", default_value = "localhost")]
    server_name: String,
    /// A language spoken at this seat, ISO 639-1; those of the room in the tables by default.
    #[arg(long, value_name = "LANG", value_parser = language)]
    language: Vec<[u8; 2]>,
    /// Tables for the names of places, areas and rooms; the shipped ones by default.
    #[arg(long, value_name = "DIR|FILE")]
    tables: Option<PathBuf>,
    /// Sign in as a load test's console, which sees only tests.
    #[arg(long)]
    load_test: bool,
    /// Sign in as somebody who supervises the room; needs a certificate of `supervisor/ROOM/SEAT`.
    #[arg(long, conflicts_with = "load_test")]
    supervisor: bool,
}

/// The web console of the same seats.
#[derive(Debug, Subcommand)]
enum ConsoleCommand {
    Invite(invite::InviteArgs),
    Revoke(invite::RevokeArgs),
}

fn name(text: &str) -> Result<Name, String> {
    Name::new(text).ok_or_else(|| format!("a name has 1 to {} visible ASCII characters", Name::BYTES_MAX))
}

fn language(text: &str) -> Result<[u8; 2], String> {
    match text.to_ascii_lowercase().as_bytes() {
        &[a, b] if a.is_ascii_lowercase() && b.is_ascii_lowercase() => Ok([a, b]),
        _ => Err("a language is two letters, as ar or en".into()),
    }
}

pub fn run(args: &ConsoleArgs) -> Result<ExitCode> {
    use std::io::IsTerminal;
    match &args.command {
        Some(ConsoleCommand::Invite(args)) => return invite::invite(args),
        Some(ConsoleCommand::Revoke(args)) => return invite::revoke(args),
        None => {}
    }
    let Some(dispatcher) = args.dispatcher else { bail!("--dispatcher names the room") };
    if !std::io::stdout().is_terminal() || !std::io::stdin().is_terminal() {
        bail!("a console needs a terminal; for scripts use `najda send` or the client library");
    }
    let tables = edge::tables::load_or_shipped(args.tables.as_deref())?.tables;
    let seat = Seat { dispatcher, seat: args.seat };
    let role = if args.supervisor { Role::Supervisor { seat } } else { Role::Console { seat, load_test: args.load_test } };
    let identity = Identity::from_folder(&args.certs, &file_stem(&role)).with_context(|| {
        let role = role.to_string();
        let role = role.trim_start_matches("urn:najda:");
        format!("reading the seat's certificate; `najda certs dev --dir {} --role {role}` makes one", args.certs.display())
    })?;
    let link = LinkConfig::new(args.connect, args.server_name.as_str(), identity);
    let room = tables.dispatchers.find(dispatcher.as_str()).and_then(|index| tables.dispatchers.get(index));
    let languages = if args.language.is_empty() { room.map_or(Vec::new(), |room| room.languages.clone()) } else { args.language.clone() };
    let mut desk = Desk::new(seat, tables);
    desk.supervises = args.supervisor;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().context("starting the runtime")?;
    runtime.block_on(answer(desk, link, &languages, args.connect))
}

async fn answer(mut desk: Desk, link: LinkConfig, languages: &[[u8; 2]], addr: SocketAddr) -> Result<ExitCode> {
    let clock = Clock::start();
    let (client, mut hears) = ConsoleClient::start(link, languages, true).context("opening the line to the engine")?;
    let mut states = client.link().states();
    let mut screen = Screen::open()?;
    let mut keys = screen::keys()?;
    let mut frame = interval(FRAME);
    frame.set_missed_tick_behavior(MissedTickBehavior::Skip);
    desk.line(line_of(&states.borrow_and_update()), clock.now());
    loop {
        screen.draw(&page::page(&desk, addr, clock.now(), screen.size()))?;
        tokio::select! {
            _ = frame.tick() => {}
            heard = hears.recv() => {
                let Some(mut heard) = heard else { break };
                // Everything that has come is on the next page, and rings once.
                let mut rings = false;
                loop {
                    let follow = desk.heard(heard, clock.now());
                    rings |= follow.rings;
                    for says in follow.says {
                        client.say(says).await?;
                    }
                    match hears.try_recv() {
                        Ok(next) => heard = next,
                        Err(_) => break,
                    }
                }
                if rings {
                    screen.bell();
                }
            }
            key = keys.recv() => {
                let Some(key) = key else { break };
                match desk.pressed(key, clock.now()) {
                    Ask::Nothing => {}
                    Ask::Leave => break,
                    Ask::Say(says) => client.say(says).await?,
                }
            }
            changed = states.changed() => {
                if changed.is_err() {
                    break;
                }
                desk.line(line_of(&states.borrow_and_update()), clock.now());
            }
            _ = tokio::signal::ctrl_c() => break,
        }
    }
    drop(screen);
    client.sign_out().await;
    println!("{} signed out", desk.seat_name());
    Ok(ExitCode::SUCCESS)
}

fn line_of(state: &LinkState) -> LineState {
    match state {
        LinkState::Open { .. } => LineState::Open,
        LinkState::Connecting { why, .. } => LineState::Lost(why.as_deref().unwrap_or("connecting").to_owned()),
        LinkState::Refused { why } => LineState::Refused(why.to_string()),
        LinkState::Closed => LineState::Lost("closed".into()),
    }
}
