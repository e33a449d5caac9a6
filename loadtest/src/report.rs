//! What a run found, as a table for people and one JSON object for programs, and the verdict on it.

use std::fmt::Write as _;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::journal::JournalReport;

/// Whether the run shows what it set out to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Verdict {
    Pass,
    /// The engine broke a promise.
    Fail,
    /// The load was not what it should have been; nothing follows from the figures.
    Invalid,
}

impl Verdict {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pass => "PASS",
            Self::Fail => "FAIL",
            Self::Invalid => "INVALID",
        }
    }

    /// 0, 1, 2: a program that ignores the text is not misled.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Pass => 0,
            Self::Fail => 1,
            Self::Invalid => 2,
        }
    }

    /// A broken promise is one, however the load was.
    pub fn of(failures: &[String], doubts: &[String]) -> Self {
        match (failures.is_empty(), doubts.is_empty()) {
            (false, _) => Self::Fail,
            (true, false) => Self::Invalid,
            (true, true) => Self::Pass,
        }
    }
}

/// Latency of one step in microseconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Latency {
    pub count: u64,
    pub p50_us: f64,
    pub p90_us: f64,
    pub p99_us: f64,
    pub p999_us: f64,
    pub max_us: f64,
}

impl From<&Histogram<u64>> for Latency {
    fn from(histogram: &Histogram<u64>) -> Self {
        let at = |quantile: f64| histogram.value_at_quantile(quantile) as f64 / 1e3;
        Self {
            count: histogram.len(),
            p50_us: at(0.5),
            p90_us: at(0.9),
            p99_us: at(0.99),
            p999_us: at(0.999),
            max_us: histogram.max() as f64 / 1e3,
        }
    }
}

#[derive(Clone, Debug, Default, Serialize)]
pub struct Latencies {
    pub targets: Latency,
    pub console: Latency,
    pub durable: Latency,
    pub accepted: Latency,
    pub ended: Latency,
    /// How late the generator was; part of every figure above.
    pub generator: Latency,
}

/// Counts of the run. All over contacts, but where they say otherwise.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Counts {
    pub sent: u64,
    pub targets: u64,
    pub durable: u64,
    pub overdue: u64,
    pub offered: u64,
    /// Offers put on screens, neighbours and overflow included.
    pub offers: u64,
    pub taken: u64,
    pub accepted: u64,
    pub ended: u64,
    pub ended_closed: u64,
    pub ended_otherwise: u64,
    pub refused: u64,
    pub refused_commands: u64,
    /// Commands that met a bound and were said again.
    pub full_commands: u64,
    /// Commands about an offer that had ended by then.
    pub late_commands: u64,
    pub handed_back: u64,
    pub told_again: u64,
    /// Takes that another seat had won.
    pub lost_takes: u64,
    pub unconfirmed_at_end: u64,
    /// Sends that found their gateway's client full and waited.
    pub held_back: u64,
    pub reconnects: u64,
}

/// One contact in flight at a time, beside what the machine can do bare. Medians over the rounds.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Alone {
    pub rounds: usize,
    pub contacts: usize,
    /// Back to back, so that no core sleeps.
    pub two_hops_p50_us: f64,
    /// As far apart as the contacts: the cores have gone to sleep in between.
    pub two_hops_apart_p50_us: f64,
    /// Until the engine had read the contact.
    pub read_p50_us: f64,
    pub console_p50_us: f64,
    pub console_p99_us: f64,
    /// Our two hops, decision and all, to two bare ones.
    pub console_to_two_hops: f64,
    pub console_to_two_hops_apart: f64,
    pub bare_commit_p50_us: f64,
    pub durable_p50_us: f64,
    pub durable_to_bare_commit: f64,
}

/// What one process of the run used under load.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Used {
    pub cpu_us_a_contact: f64,
    /// Of all cores.
    pub cpu_share: f64,
    pub resident_max_mib: f64,
}

#[derive(Clone, Debug, Default, Serialize)]
pub struct Environment {
    pub cores: usize,
    pub cpu: String,
    pub system: String,
    pub commit: &'static str,
    pub load_test: &'static str,
    pub engine: String,
    pub tables: String,
    pub build: &'static str,
}

impl Environment {
    pub fn here(engine: String, tables: String) -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let cpu =
            read("/proc/cpuinfo").lines().find_map(|line| Some(line.strip_prefix("model name")?.split_once(':')?.1.trim().to_owned()));
        Self {
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            cpu: cpu.unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
            system: format!("{} {}", std::env::consts::OS, read("/proc/sys/kernel/osrelease").trim()),
            commit: env!("NAJDA_COMMIT"),
            load_test: env!("CARGO_PKG_VERSION"),
            engine,
            tables,
            build: if cfg!(debug_assertions) { "debug" } else { "release" },
        }
    }
}

/// What was asked for.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Asked {
    pub rate: f64,
    pub seconds: f64,
    pub gateways: usize,
    pub consoles: usize,
    pub seed: u64,
    pub in_flight: u64,
}

#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub verdict: Verdict,
    pub reasons: Vec<String>,
    /// The two numbers.
    pub contacts_a_second: f64,
    pub console_p99_us: f64,
    pub sent_a_second: f64,
    pub lost: u64,
    pub duplicates: u64,
    pub counts: Counts,
    pub latency: Latencies,
    pub alone: Option<Alone>,
    pub engine_used: Option<Used>,
    pub load_test_used: Option<Used>,
    pub journal: Option<JournalReport>,
    pub asked: Asked,
    pub environment: Environment,
    /// Where the run's files are, when they were kept.
    pub kept: Option<String>,
}

impl Report {
    /// For people.
    pub fn table(&self) -> String {
        let mut text = String::new();
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let Environment { cores, cpu, system, commit, tables, build, .. } = &self.environment;
        let Asked { rate, seconds, gateways, consoles, seed, .. } = &self.asked;
        writeln!(out, "{rate} contacts/s for {seconds} s, {gateways} gateways, {consoles} consoles, seed {seed}, tables {tables}")?;
        writeln!(out, "{cores} cores, {cpu}, {system}, commit {commit}, {build} build, both sides on one machine\n")?;
        self.write_latency(out)?;
        self.write_counts(out)?;
        self.write_alone(out)?;
        if let Some(journal) = &self.journal {
            let JournalReport { facts, contacts, replayed, differing, .. } = journal;
            writeln!(out, "journal      {facts} facts of {contacts} contacts; {replayed} decisions made again, {differing} differ")?;
        }
        if let Some(kept) = &self.kept {
            writeln!(out, "kept         {kept}")?;
        }
        writeln!(out)?;
        for reason in &self.reasons {
            writeln!(out, "{}: {reason}", self.verdict.word())?;
        }
        writeln!(out, "{}: lost {}, duplicates {}", self.verdict.word(), self.lost, self.duplicates)?;
        writeln!(out, "{:.0} contacts/s through their whole life", self.contacts_a_second)?;
        writeln!(out, "{} from send to console, p99", micros(self.console_p99_us))
    }

    fn write_latency(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "from due to     count         p50         p90         p99       p99.9         max")?;
        let Latencies { targets, console, durable, accepted, ended, generator } = &self.latency;
        let rows = [
            ("targets", targets),
            ("console", console),
            ("durable", durable),
            ("accepted", accepted),
            ("ended", ended),
            ("(sent)", generator),
        ];
        for (name, latency) in rows {
            let Latency { count, p50_us, p90_us, p99_us, p999_us, max_us } = latency;
            write!(out, "{name:<10} {count:>10}")?;
            for value in [p50_us, p90_us, p99_us, p999_us, max_us] {
                write!(out, " {:>11}", micros(*value))?;
            }
            writeln!(out)?;
        }
        writeln!(out)
    }

    fn write_counts(&self, out: &mut String) -> std::fmt::Result {
        let Counts { sent, targets, durable, overdue, offered, offers, taken, accepted, ended, ended_otherwise, .. } = &self.counts;
        writeln!(
            out,
            "contacts     sent {sent}, targets {targets}, durable {durable}, overdue {overdue}, offered \
            {offered}, taken {taken}, accepted {accepted}, ended {ended}"
        )?;
        let Counts { refused, handed_back, lost_takes, reconnects, held_back, refused_commands, .. } = &self.counts;
        writeln!(
            out,
            "             {offers} offers on screens; ended otherwise than closed {ended_otherwise}; refused \
            {refused}; handed back {handed_back}"
        )?;
        writeln!(
            out,
            "             takes won by another {lost_takes}; commands refused {refused_commands}; reconnects \
            {reconnects}; sends held back {held_back}"
        )?;
        for (name, used) in [("engine", &self.engine_used), ("load test", &self.load_test_used)] {
            if let Some(Used { cpu_us_a_contact, cpu_share, resident_max_mib }) = used {
                let share = cpu_share * 100.0;
                writeln!(
                    out,
                    "{name:<12} {cpu_us_a_contact:.0} us of core time a contact, {share:.0} % of all cores, \
                    at most {resident_max_mib:.0} MiB"
                )?;
            }
        }
        Ok(())
    }

    fn write_alone(&self, out: &mut String) -> std::fmt::Result {
        let Some(alone) = &self.alone else { return Ok(()) };
        let Alone { console_p50_us, console_p99_us, read_p50_us, .. } = alone;
        let Alone { two_hops_p50_us, console_to_two_hops, two_hops_apart_p50_us, console_to_two_hops_apart, .. } = alone;
        writeln!(
            out,
            "1 in flight  send to console p50 {} (p99 {}), of it {} until the engine has read it",
            micros(*console_p50_us),
            micros(*console_p99_us),
            micros(*read_p50_us)
        )?;
        writeln!(
            out,
            "             two bare QUIC hops p50 {} back to back ({console_to_two_hops:.2} times), {} as far apart as contacts \
             ({console_to_two_hops_apart:.2} times)",
            micros(*two_hops_p50_us),
            micros(*two_hops_apart_p50_us)
        )?;
        let Alone { bare_commit_p50_us, durable_p50_us, durable_to_bare_commit, rounds, contacts, .. } = alone;
        writeln!(
            out,
            "             send to Durable p50 {}, bare write and fdatasync p50 {}: \
            {durable_to_bare_commit:.2} times (medians of {rounds} rounds, {contacts} contacts)",
            micros(*durable_p50_us),
            micros(*bare_commit_p50_us)
        )
    }
}

/// Microseconds in the unit a person would choose.
pub fn micros(value: f64) -> String {
    match value {
        value if value < 1_000.0 => format!("{value:.0} us"),
        value if value < 1_000_000.0 => format!("{:.2} ms", value / 1e3),
        value => format!("{:.2} s", value / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_promise_fails_a_run_whatever_its_load_was() {
        let some = ["a".to_owned()];
        assert_eq!(Verdict::of(&some, &some), Verdict::Fail);
        assert_eq!(Verdict::of(&[], &some), Verdict::Invalid);
        assert_eq!(Verdict::of(&[], &[]), Verdict::Pass);
        assert_eq!([Verdict::Pass, Verdict::Fail, Verdict::Invalid].map(Verdict::exit_code), [0, 1, 2]);
    }

    #[test]
    fn a_time_is_written_in_the_unit_it_needs() {
        assert_eq!([12.4, 1_234.0, 2_500_000.0].map(micros), ["12 us", "1.23 ms", "2.50 s"]);
    }
}
