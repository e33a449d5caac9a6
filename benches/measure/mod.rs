//! What the benches share: single calls timed one by one, contenders in turns, and the figures written down.
//!
//! Contenders run in turns, a round each, because a shared machine is another machine a second later; what is reported of each is
//! the median of its rounds. From every call the cost of reading the clock is taken off, as a call that does nothing shows it.
//! Figures are written to `target/figures/BENCH.json`, from which `benches/guarantees` makes the tables of the manual.

#![allow(dead_code)] // Each bench uses some of it.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use hdrhistogram::Histogram;
use serde_json::{Map, Value, json};

/// A run for figures; in test mode (`cargo bench -- --test`, `cargo test --benches`) everything runs once, small.
pub fn is_full() -> bool {
    let named = |name: &str| std::env::args().any(|argument| argument == name);
    named("--bench") && !named("--test")
}

/// Whether a bench's name was asked for: without a filter all are, with one (`cargo bench --bench decide -- one_owner`) those that
/// contain it. What is not asked for is not even set up.
pub fn is_asked_for(name: &str) -> bool {
    let mut filters = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).peekable();
    filters.peek().is_none() || filters.any(|filter| filter.split('|').any(|part| name.contains(part)))
}

/// Rounds of each contender: medians of these count.
pub fn rounds() -> usize {
    if is_full() { 7 } else { 1 }
}

/// Percentiles of single calls, in nanoseconds unless said otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tails {
    pub p50: f64,
    pub p99: f64,
    pub p999: f64,
    pub worst: f64,
}

impl Tails {
    pub fn of(times: &Histogram<u64>) -> Self {
        let at = |quantile| times.value_at_quantile(quantile) as f64;
        Self { p50: at(0.5), p99: at(0.99), p999: at(0.999), worst: times.max() as f64 }
    }

    /// Each percentile's median over the rounds, and the worst of all.
    pub fn median(rounds: &[Self]) -> Self {
        let of = |part: fn(&Self) -> f64| median(rounds.iter().map(part).collect());
        let worst = rounds.iter().map(|round| round.worst).fold(0.0, f64::max);
        Self { p50: of(|tails| tails.p50), p99: of(|tails| tails.p99), p999: of(|tails| tails.p999), worst }
    }

    fn json(&self) -> Value {
        json!({"p50": round(self.p50), "p99": round(self.p99), "p999": round(self.p999), "worst": round(self.worst)})
    }
}

/// Two digits behind the point are more than any of these machines knows.
fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

pub fn histogram() -> Histogram<u64> {
    Histogram::new(3).expect("a histogram")
}

/// One who answers a question by its number.
pub struct Contender<'a> {
    pub name: &'a str,
    pub ask: Box<dyn FnMut(usize) -> u64 + 'a>,
}

impl<'a> Contender<'a> {
    pub fn new(name: &'a str, ask: impl FnMut(usize) -> u64 + 'a) -> Self {
        Self { name, ask: Box::new(ask) }
    }
}

/// Times single calls of all contenders in turns; every answer is checked against `expected` (one list for each contender).
/// Each round takes the next part of the questions, so that no contender lives in a cache it filled a moment ago.
pub fn in_turns(rounds: usize, calls: usize, contenders: &mut [Contender<'_>], expected: &[&[u64]]) -> Vec<Tails> {
    let clock_ns = clock_ns();
    let mut found: Vec<Vec<Tails>> = vec![Vec::new(); contenders.len()];
    for turn in 0..rounds {
        for (contender, (expected, found)) in contenders.iter_mut().zip(expected.iter().zip(&mut found)) {
            let mut times = histogram();
            for call in 0..calls {
                let at = (turn * calls + call) % expected.len();
                let begun = Instant::now();
                let answer = (contender.ask)(black_box(at));
                let took = begun.elapsed().as_nanos() as u64;
                assert_eq!(answer, expected[at], "{} on question {at}", contender.name);
                times.record(took.saturating_sub(clock_ns)).expect("a time");
            }
            found.push(Tails::of(&times));
        }
    }
    found.iter().map(|rounds| Tails::median(rounds)).collect()
}

/// What an empty call seems to take: half of them take less.
pub fn clock_ns() -> u64 {
    let mut nothing: Box<dyn FnMut(usize) -> u64> = Box::new(|at| at as u64);
    let mut times = histogram();
    for at in 0..50_000 {
        let begun = Instant::now();
        black_box(nothing(black_box(at)));
        times.record(begun.elapsed().as_nanos() as u64).expect("a time");
    }
    times.value_at_quantile(0.5)
}

/// FNV-1a over the answers: two runs that print the same hash computed the same.
pub fn hash(answers: &[u64]) -> u64 {
    answers.iter().fold(0xcbf2_9ce4_8422_2325, |hash, answer| (hash ^ answer).wrapping_mul(0x100_0000_01b3))
}

// --- figures ---

/// The figures of one bench.
pub struct Figures {
    bench: &'static str,
    rows: BTreeMap<String, Value>,
}

impl Figures {
    pub fn new(bench: &'static str) -> Self {
        Self { bench, rows: BTreeMap::new() }
    }

    /// Prints and keeps the tails of one promise: ours first, then those beside it. Ratios are ours over each.
    pub fn beside(&mut self, id: &str, unit: &str, named: &[(&str, Tails)]) {
        let ours = named.first().map(|(_, tails)| *tails).unwrap_or_default();
        let mut of = BTreeMap::new();
        println!("{id}, {unit}, medians of {} rounds in turns", rounds());
        println!("  {:<34} {:>10} {:>10} {:>10} {:>12} {:>8} {:>8}", "", "p50", "p99", "p99.9", "worst", "p50 x", "p99 x");
        for (name, tails) in named {
            let (p50, p99) = (tails.p50 / ours.p50.max(0.01), tails.p99 / ours.p99.max(0.01));
            let Tails { p50: half, p99: most, p999, worst } = tails;
            println!("  {name:<34} {half:>10.1} {most:>10.1} {p999:>10.1} {worst:>12.0} {p50:>8.2} {p99:>8.2}");
            let mut row = tails.json();
            row["ours_to_it"] = json!({"p50": round(1.0 / p50.max(1e-6)), "p99": round(1.0 / p99.max(1e-6))});
            of.insert((*name).to_owned(), row);
        }
        self.rows.insert(id.to_owned(), json!({"unit": unit, "of": of}));
    }

    /// Keeps and prints one number.
    pub fn number(&mut self, id: &str, unit: &str, value: f64) {
        println!("{id}: {} {unit}", round(value));
        self.rows.insert(id.to_owned(), json!({"unit": unit, "value": round(value)}));
    }

    /// Writes the figures of a full run; a small one leaves those of the last full run alone.
    pub fn write(self) {
        if !is_full() {
            return;
        }
        let folder = target().join("figures");
        std::fs::create_dir_all(&folder).expect("a folder for the figures");
        let path = folder.join(format!("{}.json", self.bench));
        let said = |program: &str, arguments: &[&str]| {
            let out = Command::new(program).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output().ok();
            out.map_or_else(String::new, |out| String::from_utf8_lossy(&out.stdout).trim().to_owned())
        };
        let mut all = json!({
            "bench": self.bench,
            "commit": said("git", &["describe", "--always", "--dirty", "--abbrev=10"]),
            "date": said("date", &["-u", "+%Y-%m-%d"]),
            "machine": machine(),
            "rounds": rounds(),
            "figures": self.rows,
        });
        // Each row says where it was measured, because a run of some of the benches keeps the others' rows.
        let [commit, date, machine] = ["commit", "date", "machine"].map(|key| all[key].clone());
        for row in all["figures"].as_object_mut().into_iter().flat_map(Map::values_mut) {
            (row["commit"], row["date"], row["machine"]) = (commit.clone(), date.clone(), machine.clone());
        }
        if let Some(before) = std::fs::read(&path).ok().and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok())
            && let (Some(before), Some(now)) = (before["figures"].as_object(), all["figures"].as_object_mut())
        {
            for (id, row) in before {
                now.entry(id.clone()).or_insert_with(|| row.clone());
            }
        }
        let text = serde_json::to_string_pretty(&all).expect("figures are JSON");
        std::fs::write(&path, text + "\n").expect("the figures are written");
    }
}

/// Cores and processor.
fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1)).unwrap_or(std::env::consts::ARCH);
    format!("{cores} cores, {model}")
}

/// The build's folder, found from the bench's own place in it.
pub fn target() -> PathBuf {
    let own = std::env::current_exe().unwrap_or_default();
    let release = own.ancestors().find(|folder| folder.file_name().is_some_and(|name| name == "release" || name == "debug"));
    release.and_then(Path::parent).map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target"), Path::to_path_buf)
}
