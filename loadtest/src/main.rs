//! `najda-loadtest`: an open-loop load test of the engine, with gateways and consoles over QUIC.
//!
//! With no arguments it starts an engine, sends 1,000 contacts a second through their whole life for a minute, and prints two
//! numbers. A run is a function of a [`scene::Plan`] that returns a report; the exit code is the report's verdict.

#![expect(clippy::disallowed_methods, reason = "a load test reads clocks, sleeps until a contact is due, and waits for processes")]

mod arrivals;
mod board;
mod callers;
mod consoles;
mod engine;
mod floor;
mod gateways;
mod journal;
mod kill9;
mod report;
mod scene;
mod whole_life;

use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand};
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};

use report::Verdict;
use scene::Plan;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Sends contacts at a set rate through their whole life and tells what became of them.
#[derive(Debug, Parser)]
#[command(
    name = "najda-loadtest",
    version,
    args_conflicts_with_subcommands = true,
    after_help = "Arrivals are open loop: a contact is due at its time whatever became of those before it, \
    and every latency counts from then.
Exit code: 0 PASS, 1 FAIL (a promise was broken), 2 INVALID (the load was not what it should have been), 3 it could not run.

Examples:
  najda-loadtest                            the canonical minute, with an engine of its own
  najda-loadtest --rate 5000 --seconds 30   harder
  najda-loadtest --engine 10.0.0.7:9990 --certs certs --server-name engine.example
  najda-loadtest kill9 --times 10           kill -9 under load, and what became of every contact"
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Sub>,
    #[command(flatten)]
    whole_life: WholeLifeArgs,
}

#[derive(Debug, Subcommand)]
enum Sub {
    Kill9(Kill9Args),
    #[command(hide = true)]
    Relay(RelayArgs),
}

#[derive(Debug, Args)]
struct Common {
    /// Gateways that bring the contacts.
    #[arg(long, value_name = "N", default_value_t = 8)]
    gateways: usize,
    /// Seats in every room of the tables.
    #[arg(long, value_name = "N", default_value_t = 1)]
    consoles: usize,
    /// The same seed makes the same callers at the same times.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Contacts alive at once; beyond it sending waits, and the run says so.
    #[arg(long, value_name = "N", default_value_t = 200_000)]
    in_flight: u64,
    /// Table set of the engine: a folder or a compiled file; the shipped one when left out.
    #[arg(long, value_name = "DIR|FILE")]
    tables: Option<PathBuf>,
    /// Keep the engine's state, its log and the certificates in this folder.
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Write one JSON object and nothing else.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct WholeLifeArgs {
    /// Contacts a second, on average.
    #[arg(long, value_name = "N", default_value_t = 1_000.0)]
    rate: f64,
    #[arg(long, value_name = "N", default_value_t = 60.0)]
    seconds: f64,
    /// A running engine; one of our own when left out.
    #[arg(long, value_name = "ADDR", requires = "certs")]
    engine: Option<SocketAddr>,
    /// The folder with the running engine's ca.pem, and either ca.key or the load test's certificates.
    #[arg(long, value_name = "DIR", requires = "engine")]
    certs: Option<PathBuf>,
    /// The name in the engine's certificate.
    #[arg(long, value_name = "NAME", default_value = "localhost")]
    server_name: String,
    /// Leave out the comparison of one contact at a time with bare QUIC and bare commits.
    #[arg(long)]
    no_floors: bool,
    #[command(flatten)]
    common: Common,
}

/// Kill the engine with SIGKILL under load, start it again on the same state, and check every contact.
#[derive(Debug, Args)]
struct Kill9Args {
    #[arg(long, value_name = "N", default_value_t = 10)]
    times: usize,
    /// Contacts a second, on average.
    #[arg(long, value_name = "N", default_value_t = 300.0)]
    rate: f64,
    #[command(flatten)]
    common: Common,
}

/// The relay of the bare QUIC hops.
#[derive(Debug, Args)]
struct RelayArgs {
    #[arg(long, value_name = "DIR")]
    certs: PathBuf,
}

/// It could not run; the verdicts are 0, 1 and 2.
const COULD_NOT_RUN: u8 = 3;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(said) => {
            let _ = said.print();
            // Not clap's 2, which is a verdict here.
            return if said.use_stderr() { ExitCode::from(COULD_NOT_RUN) } else { ExitCode::SUCCESS };
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("najda-loadtest: starting the runtime: {error}");
            return ExitCode::from(COULD_NOT_RUN);
        }
    };
    // On a worker, as the clients are: the floors and the engine are measured from the same place.
    let task = runtime.spawn(until_told(run(cli)));
    let ended = runtime.block_on(task);
    runtime.shutdown_background();
    match ended.map_err(anyhow::Error::from).and_then(|code| code) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("najda-loadtest: {error:#}");
            ExitCode::from(COULD_NOT_RUN)
        }
    }
}

/// A signal ends the run in order: the engine of our own is stopped and its folder goes.
async fn until_told(run: impl Future<Output = Result<ExitCode>>) -> Result<ExitCode> {
    let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
    tokio::select! {
        code = run => code,
        _ = tokio::signal::ctrl_c() => bail!("interrupted"),
        _ = terminate.recv() => bail!("told to stop"),
    }
}

async fn run(cli: Cli) -> Result<ExitCode> {
    match cli.command {
        None => {
            let args = cli.whole_life;
            let plan = Plan {
                engine: args.engine.zip(args.certs),
                server_name: args.server_name,
                alone: !args.no_floors,
                ..plan(&args.common, args.rate, args.seconds)?
            };
            let report = whole_life::run(&plan).await?;
            finish(&report, args.common.json, report.table(), report.verdict)
        }
        Some(Sub::Kill9(args)) => {
            let plan = plan(&args.common, args.rate, 0.0)?;
            let json = args.common.json;
            let told = |number: usize, kill: &kill9::Kill| {
                if !json {
                    let _ = say(&(kill.line(number) + "\n"));
                }
            };
            let report = kill9::run(&plan, args.times.max(1), told).await?;
            finish(&report, json, report.table(), report.verdict)
        }
        Some(Sub::Relay(args)) => floor::relay(&args.certs).await.map(|()| ExitCode::SUCCESS),
    }
}

fn plan(common: &Common, rate: f64, seconds: f64) -> Result<Plan> {
    if !(rate > 0.0 && rate <= 1e6 && (0.0..=86_400.0).contains(&seconds)) {
        bail!("--rate is above 0 and at most a million, --seconds at most a day");
    }
    Ok(Plan {
        engine: None,
        server_name: "localhost".to_owned(),
        tables: common.tables.clone(),
        rate,
        seconds,
        gateways: common.gateways.clamp(1, 1_000),
        consoles: common.consoles.clamp(1, 100),
        seed: common.seed,
        in_flight: common.in_flight.max(1),
        alone: false,
        keep: common.keep.clone(),
        progress: !common.json && std::io::stderr().is_terminal(),
    })
}

fn finish(report: &impl Serialize, json: bool, table: String, verdict: Verdict) -> Result<ExitCode> {
    let text = if json { serde_json::to_string(report).context("writing the report")? + "\n" } else { table };
    say(&text)?;
    Ok(ExitCode::from(verdict.exit_code()))
}

/// A reader that has seen enough, such as `head`, does not change the verdict.
fn say(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(why) if why.kind() != std::io::ErrorKind::BrokenPipe => Err(why).context("writing to the output"),
        _ => Ok(()),
    }
}
