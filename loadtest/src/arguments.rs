//! The command line, and the plans it asks for.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::{Args, Parser, Subcommand};

use crate::find::Search;
use crate::scenario::{CANONICAL, Scenario};
use crate::scene::{Plan, Show, Stall};
use crate::slo::Slo;

/// Sends contacts at a set rate through their whole life and tells what became of them.
#[derive(Debug, Parser)]
#[command(
    name = "najda-loadtest",
    version,
    args_conflicts_with_subcommands = true,
    after_help = "Arrivals are open loop: a contact is due at its time whatever became of those before it, \
    and every latency counts from then.
Exit code: 0 PASS, 1 FAIL (a promise was broken), 2 INVALID (the load was not what it should have been), 3 it could not run.
Ctrl-C ends a run in order and reports what was measured.

Examples:
  najda-loadtest                            the canonical minute, with an engine of its own
  najda-loadtest --rate 5000 --seconds 30   harder
  najda-loadtest --scenario ghantoot-fog    an event; `najda-loadtest scenarios` lists them
  najda-loadtest --scenario mine.toml --report report.json
  najda-loadtest --engine 10.0.0.7:9990 --certs certs --server-name engine.example
  najda-loadtest --rate 500 --seconds 10 --stall 500ms@5s     what a frozen engine does to every percentile
  najda-loadtest find --slo 'p99<20ms,lost=0' --budget 5m     the highest rate that meets it, and the knee
  najda-loadtest kill9 --times 50           kill -9 under load, and what became of every contact"
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Sub>,
    #[command(flatten)]
    pub whole_life: WholeLifeArgs,
}

#[derive(Debug, Subcommand)]
pub enum Sub {
    Find(FindArgs),
    Kill9(Kill9Args),
    #[command(hide = true)]
    Relay(RelayArgs),
    Scenarios(ScenariosArgs),
}

/// Where the result goes.
#[derive(Debug, Args)]
pub struct Output {
    /// Write one JSON object and nothing else to the output.
    #[arg(long)]
    pub json: bool,
    /// Write that JSON object into a file as well.
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Show no progress.
    #[arg(long)]
    pub quiet: bool,
}

#[derive(Debug, Args)]
pub struct Common {
    /// A scenario inside the program, or a file; `najda-loadtest scenarios` lists them, loadtest/README.md has the fields.
    #[arg(long, value_name = "NAME|FILE", default_value = CANONICAL)]
    scenario: String,
    /// Gateways that bring the contacts.
    #[arg(long, value_name = "N", default_value_t = 8)]
    gateways: usize,
    /// Seats in every staffed room; the scenario's when left out.
    #[arg(long, value_name = "N")]
    consoles: Option<usize>,
    /// The same seed makes the same callers at the same times; the scenario's when left out.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Contacts alive at once; beyond it sending waits, and the run says so.
    #[arg(long, value_name = "N", default_value_t = 200_000)]
    in_flight: u64,
    /// Table set of the engine: a folder or a compiled file; the shipped one when left out.
    #[arg(long, value_name = "DIR|FILE")]
    tables: Option<PathBuf>,
    /// Keep the engine's state, its log and the certificates in this folder.
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    #[command(flatten)]
    pub output: Output,
}

#[derive(Debug, Args)]
pub struct WholeLifeArgs {
    /// Contacts a second, on average; the scenario's when left out.
    #[arg(long, value_name = "N")]
    rate: Option<f64>,
    /// The scenario's when left out.
    #[arg(long, value_name = "N")]
    seconds: Option<f64>,
    /// A running engine; one of our own when left out.
    #[arg(long, value_name = "ADDR", requires = "certs", conflicts_with = "stall")]
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
    /// What the run must meet besides losing nothing, such as `p99<20ms,overdue<=0.1%`; otherwise it is a FAIL.
    #[arg(long, value_name = "CONDITIONS")]
    slo: Option<Slo>,
    /// Freeze our own engine's process so long, so long after the first contact: `500ms@5s`.
    #[arg(long, value_name = "LONG@AFTER", value_parser = stall)]
    stall: Option<Stall>,
    /// Print rows of a guarantees table instead of the report.
    #[arg(long, conflicts_with = "json")]
    pub markdown: bool,
    #[command(flatten)]
    pub common: Common,
}

/// Find the highest rate that meets conditions, and the knee above it.
#[derive(Debug, Args)]
#[command(
    after_help = "Each rate is a run of --seconds with an engine of its own. A rate breaks when it breaks twice, and the one found must hold
three times. Exit code: 0 found and confirmed, 1 not even --from meets it, 2 the budget was spent first, 3 it could not run.

Examples:
  najda-loadtest find --slo 'p99<20ms,lost=0'
  najda-loadtest find --slo 'p99<20ms,lost=0' --from 1000 --to 20000 --seconds 10 --budget 5m --report knee.json"
)]
pub struct FindArgs {
    /// What a rate must meet.
    #[arg(long, value_name = "CONDITIONS", default_value = "p99<20ms,lost=0")]
    slo: Slo,
    /// The lowest rate tried, and the first.
    #[arg(long, value_name = "N", default_value_t = 500.0)]
    from: f64,
    /// The highest rate tried.
    #[arg(long, value_name = "N", default_value_t = 100_000.0)]
    to: f64,
    /// Of each run.
    #[arg(long, value_name = "N", default_value_t = 10.0)]
    seconds: f64,
    /// For the whole search, such as 5m or 90s: no run begins that would not end in it.
    #[arg(long, value_name = "TIME", default_value = "15m", value_parser = duration)]
    budget: Duration,
    #[command(flatten)]
    pub common: Common,
}

/// Kill the engine with SIGKILL under load, start it again on the same state, and check every contact.
#[derive(Debug, Args)]
pub struct Kill9Args {
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub times: usize,
    /// Contacts a second, on average.
    #[arg(long, value_name = "N", default_value_t = 300.0)]
    rate: f64,
    /// A first decision later than this after a start is a FAIL.
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = duration)]
    pub decision_max: Duration,
    #[command(flatten)]
    pub common: Common,
}

/// The relay of the bare QUIC hops.
#[derive(Debug, Args)]
pub struct RelayArgs {
    #[arg(long, value_name = "DIR")]
    pub certs: PathBuf,
}

/// List the scenarios inside the program, one line each.
#[derive(Debug, Args)]
pub struct ScenariosArgs {
    /// Print the file of this one, to begin your own with.
    #[arg(long, value_name = "NAME")]
    pub show: Option<String>,
}

impl WholeLifeArgs {
    pub fn plan(&self, stop: Arc<AtomicBool>) -> Result<Plan> {
        let plan = self.common.plan(self.rate, self.seconds, stop)?;
        Ok(Plan {
            engine: self.engine.zip(self.certs.clone()),
            server_name: self.server_name.clone(),
            alone: !self.no_floors,
            slo: self.slo.clone().unwrap_or_default(),
            stall: self.stall,
            ..plan
        })
    }
}

impl FindArgs {
    pub fn plan(&self, stop: Arc<AtomicBool>) -> Result<Plan> {
        let plan = self.common.plan(Some(self.from), Some(self.seconds), stop)?;
        Ok(Plan { alone: false, slo: self.slo.clone(), ..plan })
    }

    pub fn search(&self) -> Result<Search> {
        if !(self.from >= 1.0 && self.from <= self.to && self.to <= 1e6) {
            bail!("--from is at least 1 and at most --to, --to at most a million");
        }
        Ok(Search { from: self.from, to: self.to, budget: self.budget })
    }
}

impl Kill9Args {
    pub fn plan(&self, stop: Arc<AtomicBool>) -> Result<Plan> {
        let plan = self.common.plan(Some(self.rate), Some(0.0), stop)?;
        Ok(Plan { alone: false, ..plan })
    }
}

impl Common {
    fn plan(&self, rate: Option<f64>, seconds: Option<f64>, stop: Arc<AtomicBool>) -> Result<Plan> {
        let scenario = Arc::new(Scenario::load(&self.scenario)?);
        let (rate, seconds) = (rate.unwrap_or(scenario.rate), seconds.unwrap_or(scenario.seconds));
        if !(rate > 0.0 && rate <= 1e6 && (0.0..=86_400.0).contains(&seconds)) {
            bail!("--rate is above 0 and at most a million, --seconds at most a day");
        }
        let show = match () {
            () if self.output.quiet => Show::Nothing,
            () if std::io::stderr().is_terminal() => Show::Live,
            () => Show::Lines,
        };
        Ok(Plan {
            rate,
            seconds,
            consoles: self.consoles.unwrap_or(scenario.seats.in_every_room as usize).clamp(1, 100),
            seed: self.seed.unwrap_or(scenario.seed),
            scenario,
            gateways: self.gateways.clamp(1, 1_000),
            in_flight: self.in_flight.max(1),
            tables: self.tables.clone(),
            keep: self.keep.clone(),
            show,
            stop,
            ..Plan::canonical()?
        })
    }
}

/// `250us`, `500ms`, `90s`, `5m` or `2h`.
fn duration(text: &str) -> Result<Duration, String> {
    let units = [("us", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3_600.0)];
    let number = |(unit, secs): &(&str, f64)| Some(text.strip_suffix(unit)?.trim().parse::<f64>().ok()? * secs);
    let secs = units.iter().find_map(number).filter(|secs| (0.0..=604_800.0).contains(secs));
    secs.map(Duration::from_secs_f64).ok_or_else(|| format!("{text:?} is no time; write 500ms, 90s, 5m or 2h"))
}

/// The longest stall: sessions outlive it.
const STALL_MAX: Duration = Duration::from_millis(2_500);

fn stall(text: &str) -> Result<Stall, String> {
    let (lasts, at) = text.split_once('@').ok_or_else(|| format!("{text:?}: write how long and when, such as 500ms@5s"))?;
    let (lasts, at) = (duration(lasts)?, duration(at)?);
    if lasts > STALL_MAX || lasts.is_zero() {
        return Err(format!("{text:?}: a stall lasts more than nothing and at most 2500ms; after 3 s the sessions would be gone"));
    }
    Ok(Stall { lasts, at })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_with_their_unit_and_nothing_else_is_a_time() {
        assert_eq!(["500ms", "90s", "5m"].map(|text| duration(text).unwrap().as_secs_f64()), [0.5, 90.0, 300.0]);
        assert!(["", "5", "x s", "-1s", "5d"].iter().all(|text| duration(text).is_err()));
    }

    #[test]
    fn a_stall_has_a_length_and_a_moment_and_is_shorter_than_a_session() {
        assert_eq!(stall("500ms@5s").unwrap(), Stall { lasts: Duration::from_millis(500), at: Duration::from_secs(5) });
        assert!(["500ms", "0s@1s", "4s@1s", "@", "1s@x"].iter().all(|text| stall(text).is_err()));
    }

    #[test]
    fn without_arguments_it_is_the_canonical_workload() {
        let plan = Cli::parse_from(["najda-loadtest"]).whole_life.plan(Arc::default()).unwrap();
        assert_eq!((plan.scenario.name.as_str(), plan.rate, plan.seconds, plan.alone), (CANONICAL, 1_000.0, 60.0, true));
    }

    #[test]
    fn the_command_line_agrees_with_itself() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }
}
