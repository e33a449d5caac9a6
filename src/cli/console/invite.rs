//! `najda console invite` and `revoke`: who may sit at a web console.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;

use crate::deliver::Seat;
use crate::edge;
use crate::edge::clock::Clock;
use crate::edge::console::web::pass;
use crate::edge::tls::Role;
use crate::limits::CONSOLE_INVITE_SECS_MAX;

/// Invite a person to a seat of the web console: a link that signs one browser in, once.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  najda console invite DU-POL/1
  najda console invite DU-POL/1 --url https://console.najda.example:9992 --minutes 60

Give the link only to whom the seat is meant for. The browser then stays signed in for a shift. Run it where the engine's state \
folder is; the engine need not be asked.")]
pub struct InviteArgs {
    /// Room and seat, as DU-POL/1.
    #[arg(value_name = "ROOM/SEAT", value_parser = seat)]
    seat: Seat,
    /// The engine's folder of the journal.
    #[arg(long, value_name = "DIR", default_value = "state")]
    state: PathBuf,
    /// Where the console is, as the person's browser reaches it.
    #[arg(long, value_name = "URL", default_value = "https://127.0.0.1:9992")]
    url: String,
    /// How long the link is good.
    #[arg(long, value_name = "N", default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..=CONSOLE_INVITE_SECS_MAX / 60))]
    minutes: u64,
    /// Tables that know the room; the shipped ones by default.
    #[arg(long, value_name = "DIR|FILE")]
    tables: Option<PathBuf>,
}

/// Sign a seat of the web console out, wherever it is signed in. Within two seconds its pages are cut off.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  najda console revoke DU-POL/1")]
pub struct RevokeArgs {
    /// Room and seat, as DU-POL/1.
    #[arg(value_name = "ROOM/SEAT", value_parser = seat)]
    seat: Seat,
    /// The engine's folder of the journal.
    #[arg(long, value_name = "DIR", default_value = "state")]
    state: PathBuf,
}

fn seat(text: &str) -> Result<Seat, String> {
    match Role::parse(&format!("console/{text}")) {
        Ok(Role::Console { seat, .. }) => Ok(seat),
        _ => Err("a room and a seat are expected, as DU-POL/1".into()),
    }
}

pub fn invite(args: &InviteArgs) -> Result<ExitCode> {
    let tables = edge::tables::load_or_shipped(args.tables.as_deref())?.tables;
    let room = args.seat.dispatcher;
    if tables.dispatchers.find(room.as_str()).is_none() {
        bail!("the tables have no room {room}; `najda tables check` lists them, --tables names others");
    }
    if !args.state.is_dir() {
        bail!("{} is no folder: --state names the engine's, which `najda serve` makes", args.state.display());
    }
    let token = pass::invite(&args.state, &args.seat, args.minutes * 60, Clock::start().now())
        .with_context(|| format!("writing an invitation into {}", args.state.display()))?;
    println!("{}/#invite={token}", args.url.trim_end_matches('/'));
    eprintln!("good once, for {} minutes, at seat {} of {room}", args.minutes, args.seat.seat);
    Ok(ExitCode::SUCCESS)
}

pub fn revoke(args: &RevokeArgs) -> Result<ExitCode> {
    pass::revoke(&args.state, &args.seat, Clock::start().now()).map_err(|why| anyhow!("writing into {}: {why}", args.state.display()))?;
    println!("seat {} of {} is signed out of every browser", args.seat.seat, args.seat.dispatcher);
    Ok(ExitCode::SUCCESS)
}
