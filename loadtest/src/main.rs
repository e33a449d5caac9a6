//! `najda-loadtest`: an open-loop load test of the engine, with gateways and consoles over QUIC.
//!
//! With no arguments it starts an engine, sends 1,000 contacts a second through their whole life for a minute, and prints two
//! numbers. A run is a function of a [`scene::Plan`] that returns a report; the exit code is the report's verdict.

#![expect(clippy::disallowed_methods, reason = "a load test reads clocks, sleeps until a contact is due, and waits for processes")]

mod alone;
mod arguments;
mod arrivals;
mod board;
mod callers;
mod consoles;
mod engine;
mod environment;
mod find;
mod floor;
mod gateways;
mod journal;
mod kill9;
mod live;
mod loops;
mod markdown;
mod report;
mod scenario;
mod scene;
mod slo;
mod whole_life;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, bail};
use clap::Parser;
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};

use arguments::{Cli, Output, Sub};
use report::Verdict;
use scenario::{BUILT_IN, Scenario};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
    // What runs here looks on; the clients have loops of their own.
    let relays = matches!(cli.command, Some(Sub::Relay(_)));
    let workers = if relays { std::thread::available_parallelism().map_or(1, usize::from) } else { 2 };
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("najda-loadtest: starting the runtime: {error}");
            return ExitCode::from(COULD_NOT_RUN);
        }
    };
    let stop = Arc::new(AtomicBool::new(false));
    let task = runtime.spawn(until_told(run(cli, Arc::clone(&stop)), stop));
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

/// The first signal ends the load in order, and what was measured is reported; the second ends everything at once. Either way the
/// engine of our own is stopped and its folder goes.
async fn until_told(run: impl Future<Output = Result<ExitCode>>, stop: Arc<AtomicBool>) -> Result<ExitCode> {
    let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listening for SIGINT")?;
    tokio::pin!(run);
    loop {
        tokio::select! {
            code = &mut run => return code,
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        if stop.swap(true, Ordering::Relaxed) {
            bail!("interrupted twice: nothing is reported");
        }
        eprintln!("ending in order; once more ends at once");
    }
}

async fn run(cli: Cli, stop: Arc<AtomicBool>) -> Result<ExitCode> {
    match cli.command {
        None => {
            let args = cli.whole_life;
            let plan = args.plan(stop)?;
            let report = whole_life::run(&plan).await?;
            let text = if args.markdown { markdown::rows(&report) } else { report.table() };
            finish(&report, &args.common.output, &text, report.verdict)
        }
        Some(Sub::Find(args)) => {
            let plan = args.plan(stop)?;
            let quiet = args.common.output.json;
            let told = |step: &find::Step| {
                if !quiet {
                    let _ = say(&(step.line() + "\n"));
                }
            };
            let report = find::run(&plan, &args.search()?, told).await?;
            finish(&report, &args.common.output, &report.table(), report.verdict)
        }
        Some(Sub::Kill9(args)) => {
            let plan = args.plan(stop)?;
            let quiet = args.common.output.json;
            let told = |number: usize, kill: &kill9::Kill| {
                if !quiet {
                    let _ = say(&(kill.line(number) + "\n"));
                }
            };
            let report = kill9::run(&plan, args.times.max(1), args.decision_max, told).await?;
            finish(&report, &args.common.output, &report.table(), report.verdict)
        }
        Some(Sub::Relay(args)) => floor::relay(&args.certs).await.map(|()| ExitCode::SUCCESS),
        Some(Sub::Scenarios(args)) => scenarios(args.show.as_deref()),
    }
}

/// One line each, or the text of one.
fn scenarios(show: Option<&str>) -> Result<ExitCode> {
    if let Some(name) = show {
        let text = BUILT_IN.iter().find(|(built_in, _)| *built_in == name).map(|(_, text)| *text);
        let names = BUILT_IN.map(|(name, _)| name).join(", ");
        say(text.with_context(|| format!("there is no scenario {name:?}; there are {names}"))?)?;
        return Ok(ExitCode::SUCCESS);
    }
    for (name, text) in BUILT_IN {
        let scenario = Scenario::parse(name, text)?;
        let Scenario { title, rate, seconds, .. } = &scenario;
        say(&format!("{name:<22} {title} ({rate}/s, peak {:.0}/s, {seconds} s)\n", rate * scenario.peak()))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn finish(report: &impl Serialize, output: &Output, text: &str, verdict: Verdict) -> Result<ExitCode> {
    let json = serde_json::to_string(report).context("writing the report")? + "\n";
    if let Some(file) = &output.report {
        write_report(file, &json)?;
    }
    say(if output.json { &json } else { text })?;
    Ok(ExitCode::from(verdict.exit_code()))
}

fn write_report(file: &Path, json: &str) -> Result<()> {
    std::fs::write(file, json).with_context(|| format!("writing the report to {}", file.display()))
}

/// A reader that has seen enough, such as `head`, does not change the verdict.
fn say(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(why) if why.kind() != std::io::ErrorKind::BrokenPipe => Err(why).context("writing to the output"),
        _ => Ok(()),
    }
}
