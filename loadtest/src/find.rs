//! The highest rate that meets a condition, by bisection, and the knee above it.
//!
//! ```text
//! climb      double the rate until it breaks        breaks twice = broken: one hiccup of the machine is no limit
//! bisect     halve the gap until it is 7 %
//! confirm    the rate found must hold twice more; if it does not, it was not met, and the search goes on below it
//! knee       the rate above it must break once more; if it holds, it was a hiccup after all, and the search goes on from there
//! ```
//!
//! Every step is a run with an engine and a folder of its own. The search is apart from the runs, so that it can be tested without.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde::Serialize;

use crate::environment::Environment;
use crate::report::{Report, Verdict, micros};
use crate::scene::Plan;
use crate::slo::Slo;
use crate::whole_life;

/// The gap between a rate that holds and one that does not, at the end.
const GAP_MAX: f64 = 1.07;
/// Runs that must hold at the rate found, after the one that found it.
const CONFIRMATIONS: usize = 2;
/// Runs in all: enough for any gap, and an end to a machine that cannot make up its mind.
const STEPS_MAX: usize = 40;

/// What is searched, and for how long.
#[derive(Clone, Debug)]
pub struct Search {
    pub from: f64,
    pub to: f64,
    pub budget: Duration,
}

/// One run of the search.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Step {
    pub rate: f64,
    /// It was sent at that rate, and met every condition.
    pub holds: bool,
    pub phase: &'static str,
    pub contacts_a_second: f64,
    pub console_p50_us: f64,
    pub console_p99_us: f64,
    pub console_p999_us: f64,
    pub lost: u64,
    pub overdue: u64,
    pub engine_cpu_us_a_contact: f64,
    pub load_test_cpu_us_a_contact: f64,
    /// Of all cores, both together.
    pub cpu_share: f64,
    /// The load was not what it should have been: the generator may be the limit.
    pub invalid: bool,
    pub why: Vec<String>,
}

#[derive(Clone, Debug, Default, Serialize)]
pub struct FindReport {
    pub verdict: Verdict,
    pub reasons: Vec<String>,
    pub slo: String,
    /// The highest rate that held three times; 0 when none did.
    pub rate: f64,
    pub confirmed: bool,
    /// The lowest rate above it that broke three times.
    pub knee: Option<Step>,
    pub steps: Vec<Step>,
    pub took_secs: f64,
    pub scenario: String,
    pub step_seconds: f64,
    pub environment: Environment,
    pub command: String,
}

/// Carries out a search; `told` hears of every step.
pub async fn run(plan: &Plan, search: &Search, mut told: impl FnMut(&Step)) -> Result<FindReport> {
    let began = Instant::now();
    let mut bisection = Bisection::new(search.from, search.to);
    let mut report =
        FindReport { slo: plan.slo.to_string(), scenario: plan.scenario.name.clone(), step_seconds: plan.seconds, ..FindReport::default() };
    let mut longest = Duration::from_secs_f64(plan.seconds + 5.0);
    let mut over_budget = false;
    while let Some((rate, phase)) = bisection.next() {
        let stopped = plan.stop.load(std::sync::atomic::Ordering::Relaxed);
        over_budget = began.elapsed() + longest > search.budget;
        if stopped || over_budget || report.steps.len() >= STEPS_MAX {
            break;
        }
        let step_began = Instant::now();
        let seed = plan.seed + report.steps.len() as u64;
        let run = whole_life::run(&Plan { rate, seed, alone: false, keep: None, slo: Slo::default(), ..plan.clone() }).await?;
        longest = longest.max(step_began.elapsed());
        if plan.stop.load(std::sync::atomic::Ordering::Relaxed) {
            break;
        }
        let step = step(rate, phase, &run, &plan.slo);
        // What a failed step kept is told in its report; a search does not fill the disk with it.
        run.kept.iter().for_each(|folder| drop(std::fs::remove_dir_all(folder)));
        bisection.learn(step.holds);
        told(&step);
        report.environment = run.environment;
        report.steps.push(step);
    }
    report.took_secs = began.elapsed().as_secs_f64();
    report.command = format!(
        "najda-loadtest find --slo '{}' --scenario {} --seconds {} --seed {}",
        plan.slo, plan.scenario.name, plan.seconds, plan.seed
    );
    Ok(judged(report, &bisection, over_budget, search))
}

fn step(rate: f64, phase: &'static str, run: &Report, slo: &Slo) -> Step {
    let broken = slo.broken(run);
    let used = |used: Option<crate::report::Used>| used.unwrap_or_default();
    let (engine, own) = (used(run.engine_used), used(run.load_test_used));
    Step {
        rate,
        holds: run.verdict == Verdict::Pass && broken.is_empty(),
        phase,
        contacts_a_second: run.contacts_a_second,
        console_p50_us: run.latency.console.p50_us,
        console_p99_us: run.latency.console.p99_us,
        console_p999_us: run.latency.console.p999_us,
        lost: run.lost,
        overdue: run.counts.overdue,
        engine_cpu_us_a_contact: engine.cpu_us_a_contact,
        load_test_cpu_us_a_contact: own.cpu_us_a_contact,
        cpu_share: engine.cpu_share + own.cpu_share,
        invalid: run.verdict == Verdict::Invalid,
        why: broken.into_iter().chain(run.reasons.iter().cloned()).collect(),
    }
}

fn judged(mut report: FindReport, bisection: &Bisection, over_budget: bool, search: &Search) -> FindReport {
    report.rate = bisection.low;
    report.confirmed = bisection.confirmed >= CONFIRMATIONS;
    let broke = |step: &&Step| !step.holds && Some(step.rate) == bisection.high;
    report.knee = report.steps.iter().find(broke).cloned();
    let mut reasons = Vec::new();
    report.verdict = if report.rate <= 0.0 && bisection.is_done() {
        reasons.push(format!("not even {:.0} contacts/s meet {}", search.from, report.slo));
        Verdict::Fail
    } else if report.confirmed {
        Verdict::Pass
    } else {
        let why = if over_budget { "the budget was spent" } else { "it was stopped" };
        reasons.push(format!("{why} before the rate was confirmed; give more with --budget, or shorten --seconds"));
        Verdict::Invalid
    };
    if report.confirmed && report.knee.is_none() {
        reasons.push(format!("the knee is above {:.0}, the highest rate allowed: raise --to", search.to));
    }
    let by_generator = report.knee.as_ref().is_some_and(|knee| knee.invalid);
    if by_generator {
        reasons.push("above it the generator did not keep up: the limit is both sides on this machine, not the engine alone".to_owned());
    }
    report.reasons = reasons;
    report
}

/// Which rate is tried next.
#[derive(Clone, Debug)]
pub struct Bisection {
    /// The highest that held; 0 for none.
    low: f64,
    /// Those that held below it, in rising order: where the search falls back to.
    held: Vec<f64>,
    /// The lowest that broke twice.
    high: Option<f64>,
    /// Those that broke above it, in falling order: where the search falls back to.
    broke: Vec<f64>,
    knee_confirmed: bool,
    from: f64,
    to: f64,
    /// Broke once at the rate that is tried.
    doubted: bool,
    confirmed: usize,
    trying: f64,
}

impl Bisection {
    pub fn new(from: f64, to: f64) -> Self {
        Self {
            low: 0.0,
            held: Vec::new(),
            high: None,
            broke: Vec::new(),
            knee_confirmed: false,
            from,
            to: to.max(from),
            doubted: false,
            confirmed: 0,
            trying: from,
        }
    }

    fn is_done(&self) -> bool {
        let knee = self.high.is_none() || self.knee_confirmed;
        self.confirmed >= CONFIRMATIONS && knee || self.low <= 0.0 && self.high.is_some_and(|high| high <= self.from)
    }

    /// The rate to try, and why; `None` when the search is over.
    pub fn next(&mut self) -> Option<(f64, &'static str)> {
        if self.is_done() {
            return None;
        }
        let (rate, phase) = match self.high {
            _ if self.doubted => (self.trying, "again"),
            None if self.low <= 0.0 => (self.from, "climb"),
            None if self.low < self.to => ((self.low * 2.0).min(self.to), "climb"),
            Some(_) if self.low <= 0.0 => (self.from, "below"),
            Some(high) if high / self.low > GAP_MAX => ((self.low * high).sqrt(), "bisect"),
            Some(high) if self.confirmed >= CONFIRMATIONS => (high, "knee"),
            Some(_) | None => (self.low, "confirm"),
        };
        self.trying = rate.round().max(1.0);
        Some((self.trying, phase))
    }

    /// What came of the rate that was tried.
    pub fn learn(&mut self, holds: bool) {
        if self.high == Some(self.trying) && self.confirmed >= CONFIRMATIONS {
            return self.learn_of_knee(holds);
        }
        let confirming = self.low > 0.0 && self.trying <= self.low;
        match (holds, confirming) {
            (true, true) => self.confirmed += 1,
            (true, false) => self.rise(),
            (false, _) if !self.doubted => {
                self.doubted = true;
                return;
            }
            // It held once and broke twice: it is above the limit.
            (false, true) => {
                self.sink(self.low);
                self.held.pop();
                self.low = self.held.last().copied().unwrap_or(0.0);
            }
            (false, false) => self.sink(self.trying),
        }
        self.doubted = false;
    }

    fn learn_of_knee(&mut self, holds: bool) {
        self.knee_confirmed = !holds;
        if holds {
            self.high = self.broke.pop();
            self.rise();
        }
    }

    fn rise(&mut self) {
        self.held.push(self.trying);
        (self.low, self.confirmed) = (self.trying, 0);
    }

    fn sink(&mut self, high: f64) {
        self.broke.extend(self.high.replace(high));
        (self.confirmed, self.knee_confirmed) = (0, false);
    }
}

impl Step {
    /// One line for people.
    pub fn line(&self) -> String {
        let Self { rate, phase, contacts_a_second, console_p50_us, console_p99_us, console_p999_us, lost, cpu_share, .. } = self;
        let word = match (self.holds, self.invalid) {
            (true, _) => "holds",
            (false, true) => "INVALID",
            (false, false) => "breaks",
        };
        let why = self.why.first().map_or(String::new(), |why| format!("  {why}"));
        format!(
            "{rate:>8.0}/s {word:<8} {phase:<8} carried {contacts_a_second:>6.0}/s  console p50 {:>9} p99 {:>9} p99.9 {:>9}  lost {lost}  \
            cpu {:>3.0} %{why}",
            micros(*console_p50_us),
            micros(*console_p99_us),
            micros(*console_p999_us),
            cpu_share * 100.0
        )
    }
}

impl FindReport {
    /// For people, after the lines of the steps.
    pub fn table(&self) -> String {
        let mut lines = vec![String::new(), format!("    {:.0} contacts/s is the highest rate that meets {}", self.rate, self.slo)];
        match &self.knee {
            Some(knee) => {
                lines.push(format!("    the knee: at {:.0}/s {}\n", knee.rate, knee.why.first().map_or("it breaks", String::as_str)))
            }
            None => lines.push("    no knee was reached\n".to_owned()),
        }
        let mut steps: Vec<&Step> = self.steps.iter().collect();
        steps.sort_by(|a, b| a.rate.total_cmp(&b.rate));
        lines.extend(steps.into_iter().map(Step::line));
        lines.push(format!("{} runs of {} s in {:.0} s; {}", self.steps.len(), self.step_seconds, self.took_secs, self.environment.line()));
        let word = self.verdict.word();
        lines.extend(self.reasons.iter().map(|reason| format!("{word}: {reason}")));
        let confirmed = if self.confirmed { "held three times" } else { "not confirmed" };
        lines.push(format!("{word}: {:.0} contacts/s, {confirmed}", self.rate));
        lines.join("\n") + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arrivals::Random;

    /// Searches a machine that holds below its limit; near it, and anywhere now and then, chance decides.
    fn search(limit: f64, seed: u64, hiccup_percent: u64) -> (f64, usize) {
        let mut random = Random::of(seed, 0);
        let mut bisection = Bisection::new(200.0, 100_000.0);
        let mut runs = 0;
        while let Some((rate, _)) = bisection.next() {
            runs += 1;
            assert!(runs < 200, "the search must end");
            let near = limit * (0.97 + 0.06 * random.share());
            bisection.learn(rate < near && !random.chance(hiccup_percent));
        }
        assert!(bisection.confirmed >= CONFIRMATIONS && bisection.knee_confirmed);
        (bisection.low, runs)
    }

    #[test]
    fn two_searches_of_one_machine_agree_within_15_percent_and_end_soon() {
        for limit in [300.0, 1_234.0, 7_000.0, 40_000.0] {
            let found: Vec<(f64, usize)> = (0..20).map(|seed| search(limit, seed, 5)).collect();
            let rates = found.iter().map(|(rate, _)| *rate);
            let (least, most) = (rates.clone().fold(f64::MAX, f64::min), rates.fold(0.0, f64::max));
            assert!(most / least <= 1.15, "limit {limit}: {least} to {most}");
            assert!(most <= limit * 1.03 && least >= limit * 0.87, "limit {limit}: {least} to {most}");
            assert!(found.iter().all(|(_, runs)| *runs <= STEPS_MAX), "{found:?}");
        }
    }

    #[test]
    fn a_machine_below_the_lowest_rate_is_told_so() {
        let mut bisection = Bisection::new(200.0, 1_000.0);
        while bisection.next().is_some() {
            bisection.learn(false);
        }
        let search = Search { from: 200.0, to: 1_000.0, budget: Duration::ZERO };
        let report = judged(FindReport::default(), &bisection, false, &search);
        assert_eq!((report.verdict, report.rate), (Verdict::Fail, 0.0));
    }

    #[test]
    fn a_search_that_ran_out_of_budget_says_nothing() {
        let mut bisection = Bisection::new(200.0, 1_000.0);
        bisection.next();
        bisection.learn(true);
        let search = Search { from: 200.0, to: 1_000.0, budget: Duration::ZERO };
        let report = judged(FindReport::default(), &bisection, true, &search);
        assert!(report.verdict == Verdict::Invalid && report.reasons[0].contains("--budget"), "{:?}", report.reasons);
    }

    #[test]
    fn a_rate_that_holds_once_and_breaks_when_confirmed_is_not_the_answer() {
        let mut bisection = Bisection::new(100.0, 200.0);
        // 100 holds, 200 holds, and then 200 breaks twice.
        for holds in [true, true, false, false] {
            bisection.next();
            bisection.learn(holds);
        }
        assert_eq!((bisection.low, bisection.high), (100.0, Some(200.0)));
    }
}
