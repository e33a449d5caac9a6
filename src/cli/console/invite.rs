//! `najda console invite` and `revoke`: who may sit at a web console.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;

use crate::deliver::Duty;
use crate::edge;
use crate::edge::clock::Clock;
use crate::edge::console::web::pass::{self, Sitter};
use crate::edge::tls::Role;
use crate::limits::CONSOLE_INVITE_SECS_MAX;

/// Invite a person to a seat of the web console: a link that signs one browser in, once.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  najda console invite DU-POL/1
  najda console invite DU-POL/1 --url https://console.najda.example:9992 --minutes 60
  najda console invite DU-POL/chief --role supervisor
  najda console invite huda --role auditor

Give the link only to whom the seat is meant for. The browser then stays signed in for a shift. Run it where the engine's state \
folder is; the engine need not be asked.")]
pub struct InviteArgs {
    /// Room and seat, as DU-POL/1; of an auditor only a name.
    #[arg(value_name = "ROOM/SEAT|NAME")]
    seat: String,
    /// What the person may do there.
    #[arg(long, value_name = "ROLE", default_value = "dispatcher", value_parser = ["dispatcher", "supervisor", "auditor"])]
    role: String,
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
  najda console revoke DU-POL/1
  najda console revoke huda                          an auditor")]
pub struct RevokeArgs {
    /// Room and seat, as DU-POL/1; of an auditor only a name.
    #[arg(value_name = "ROOM/SEAT|NAME")]
    seat: String,
    /// The engine's folder of the journal.
    #[arg(long, value_name = "DIR", default_value = "state")]
    state: PathBuf,
}

/// Whose place is meant, in the words of its certificate.
fn sitter(text: &str, role: &str) -> Result<Sitter> {
    let word = if role == Duty::Dispatcher.word() { "console" } else { role };
    let sitter = Role::parse(&format!("{word}/{text}")).ok().and_then(Role::duty);
    sitter.ok_or_else(|| match role {
        "auditor" => anyhow!("{text:?} is no auditor's name: 1 to 32 visible characters without a slash, as huda"),
        _ => anyhow!("{text:?} is no seat: a room and a seat are expected, as DU-POL/1"),
    })
}

pub fn invite(args: &InviteArgs) -> Result<ExitCode> {
    let (seat, duty) = sitter(&args.seat, &args.role)?;
    let tables = edge::tables::load_or_shipped(args.tables.as_deref())?.tables;
    let room = seat.dispatcher;
    if duty != Duty::Auditor && tables.dispatchers.find(room.as_str()).is_none() {
        bail!("the tables have no room {room}; `najda tables check` lists them, --tables names others");
    }
    if !args.state.is_dir() {
        bail!("{} is no folder: --state names the engine's, which `najda serve` makes", args.state.display());
    }
    let token = pass::invite(&args.state, (seat, duty), args.minutes * 60, Clock::start().now())
        .with_context(|| format!("writing an invitation into {}", args.state.display()))?;
    println!("{}/#invite={token}", args.url.trim_end_matches('/'));
    eprintln!("good once, for {} minutes, for {} as {}", args.minutes, args.seat, duty.word());
    Ok(ExitCode::SUCCESS)
}

pub fn revoke(args: &RevokeArgs) -> Result<ExitCode> {
    let role = if args.seat.contains('/') { Duty::Dispatcher } else { Duty::Auditor };
    let (seat, _) = sitter(&args.seat, role.word())?;
    pass::revoke(&args.state, &seat, Clock::start().now()).map_err(|why| anyhow!("writing into {}: {why}", args.state.display()))?;
    println!("{} is signed out of every browser", args.seat);
    Ok(ExitCode::SUCCESS)
}
