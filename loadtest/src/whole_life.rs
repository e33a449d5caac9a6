//! The canonical run: contacts at a set rate through their whole life, and before that one at a time beside the machine's floors.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::task::block_in_place;
use tokio::time::timeout;

use crate::board::{Mark, Step};
use crate::engine::{Process, Usage, gateway_role};
use crate::floor::{TwoHops, bare_commits, percentile};
use crate::journal;
use crate::report::{Alone, Report, Used, Verdict};
use crate::scene::{Plan, Scene, Sent};

/// Rounds of the comparison with the floors; each side has its block in every round.
const ROUNDS: usize = 5;
/// Contacts, and bare messages, in a block.
const BLOCK: usize = 200;
/// Contacts before the first round, which nobody looks at.
const WARM_UP: usize = 50;
/// The longest pause between bare messages that are sent as far apart as contacts.
const APART_MAX: Duration = Duration::from_millis(10);
/// How long one contact alone may take.
const ALONE_WAIT: Duration = Duration::from_secs(10);
/// How long gateways wait at the end for what is unconfirmed.
const CONFIRM_WAIT: Duration = Duration::from_secs(2);
/// Of a hundred sends, the latest but one may be this late before the run says nothing.
const LATENESS_NANOS_MAX: u64 = 50_000_000;
/// Sending may take this much longer than it should before the run says nothing.
const STRETCH_MAX: f64 = 1.02;

/// Carries out a plan.
pub async fn run(plan: &Plan) -> Result<Report> {
    let alone_count = if plan.alone { WARM_UP + ROUNDS * BLOCK } else { 0 };
    let load_count = (plan.rate * plan.seconds).round().max(1.0) as usize;
    let bar = progress(plan, load_count as u64);
    bar.set_message("starting the engine, gateways and consoles");
    let mut scene = Scene::set(plan, alone_count + load_count, alone_count, false).await?;
    let alone = if plan.alone { Some(alone(&scene, &bar).await?) } else { None };

    bar.set_message("load");
    let usage = || (scene.engine.process().and_then(Process::usage), Usage::of("self"));
    let (before, began) = (usage(), scene.board.now());
    let load = scene.start_load(plan, alone_count..alone_count + load_count)?;
    while !load.is_done() {
        tokio::time::sleep(Duration::from_millis(100)).await;
        bar.set_position(scene.board.sent_count().saturating_sub(alone_count as u64));
    }
    let sent = block_in_place(|| load.finish(false))?;
    bar.set_message("waiting for the last to end");
    scene.drain().await;
    let (after, took) = (usage(), scene.board.now() - began);
    bar.set_message("reading the journal");
    let report = close(plan, &mut scene, alone_count, &sent, alone).await;
    bar.finish_and_clear();
    let mut report = report?;
    let used = |(before, after): (Option<Usage>, Option<Usage>)| used(before?, after?, sent.count, took);
    (report.engine_used, report.load_test_used) = (used((before.0, after.0)), used((before.1, after.1)));
    Ok(report)
}

fn progress(plan: &Plan, length: u64) -> ProgressBar {
    let target = if plan.progress { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(length), target);
    let style = ProgressStyle::with_template("{msg} [{bar:30}] {pos}/{len} contacts, {eta} left");
    if let Ok(style) = style {
        bar.set_style(style.progress_chars("=> "));
    }
    bar
}

fn used(before: Usage, after: Usage, contacts: u64, took_nanos: u64) -> Option<Used> {
    let micros = after.cpu_micros.saturating_sub(before.cpu_micros) as f64;
    let cores = std::thread::available_parallelism().map_or(1, usize::from) as f64;
    Some(Used {
        cpu_us_a_contact: micros / contacts.max(1) as f64,
        cpu_share: micros / (took_nanos as f64 / 1e3) / cores,
        resident_max_mib: after.resident_max_kib as f64 / 1024.0,
    })
}

// --- one at a time ---

async fn alone(scene: &Scene, bar: &ProgressBar) -> Result<Alone> {
    bar.set_message("one contact at a time, beside the machine's floors");
    let mut command = Command::new(std::env::current_exe().context("finding this program's own path")?);
    command.arg("relay").arg("--certs").arg(scene.folder.path.join("relay-certs"));
    // An authority of its own: with a running engine its authority's key may not be here.
    let certs = crate::engine::certificates(&scene.folder.path.join("relay-certs"), None, &[gateway_role(1)?])?;
    let relay = block_in_place(|| Process::start(&mut command, &scene.folder.path.join("relay.log")))?;
    let mut hops = TwoHops::connect(relay.addr, &certs.identity(&gateway_role(1)?)?).await?;
    for index in 0..WARM_UP {
        one(scene, index).await?;
    }
    let mut rounds = Vec::with_capacity(ROUNDS);
    let mut all_console = Vec::with_capacity(ROUNDS * BLOCK);
    for round in 0..ROUNDS {
        let first = WARM_UP + round * BLOCK;
        rounds.push(self::round(scene, &mut hops, first, &mut all_console).await?);
    }
    drop(relay);
    let median = |of: &dyn Fn(&Round) -> f64| {
        let mut values: Vec<f64> = rounds.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(0.0)
    };
    Ok(Alone {
        rounds: ROUNDS,
        contacts: ROUNDS * BLOCK,
        two_hops_p50_us: median(&|round| round.hops_us),
        two_hops_apart_p50_us: median(&|round| round.hops_apart_us),
        read_p50_us: median(&|round| round.read_us),
        console_p50_us: median(&|round| round.console_us),
        console_p99_us: percentile(&mut all_console, 0.99) as f64 / 1e3,
        console_to_two_hops: median(&|round| round.console_us / round.hops_us.max(0.001)),
        console_to_two_hops_apart: median(&|round| round.console_us / round.hops_apart_us.max(0.001)),
        bare_commit_p50_us: median(&|round| round.commit_us),
        durable_p50_us: median(&|round| round.durable_us),
        durable_to_bare_commit: median(&|round| round.durable_us / round.commit_us.max(0.001)),
    })
}

/// The p50 of each block of one round, in microseconds.
struct Round {
    hops_us: f64,
    hops_apart_us: f64,
    read_us: f64,
    console_us: f64,
    durable_us: f64,
    commit_us: f64,
}

async fn round(scene: &Scene, hops: &mut TwoHops, first: usize, all_console: &mut Vec<u64>) -> Result<Round> {
    let p50 = |values: &mut Vec<u64>| percentile(values, 0.5) as f64 / 1e3;
    let mut bare = Vec::with_capacity(BLOCK);
    for _ in 0..BLOCK {
        bare.push(hops.once().await?);
    }
    let (mut read, mut console, mut durable) = (Vec::with_capacity(BLOCK), Vec::with_capacity(BLOCK), Vec::with_capacity(BLOCK));
    let began = Instant::now();
    for index in first..first + BLOCK {
        one(scene, index).await?;
        read.extend(scene.board.alone_read(index));
        console.extend(scene.board.alone(index, Step::Console));
        durable.extend(scene.board.alone(index, Step::Durable));
    }
    let apart_by = (began.elapsed() / BLOCK as u32).min(APART_MAX);
    let mut apart = Vec::with_capacity(BLOCK);
    for _ in 0..BLOCK {
        tokio::time::sleep(apart_by).await;
        apart.push(hops.once().await?);
    }
    let mut commits = block_in_place(|| bare_commits(&scene.folder.path, BLOCK))?;
    all_console.extend_from_slice(&console);
    Ok(Round {
        hops_us: p50(&mut bare),
        hops_apart_us: p50(&mut apart),
        read_us: p50(&mut read),
        console_us: p50(&mut console),
        durable_us: p50(&mut durable),
        commit_us: p50(&mut commits),
    })
}

/// One contact through its whole life, with nothing else in flight.
async fn one(scene: &Scene, index: usize) -> Result<()> {
    let board = &scene.board;
    let contact = Arc::new(scene.callers.contact(index as u64));
    board.sending(index, board.now());
    if !scene.gateways.send(index, &contact)? {
        bail!("a gateway with nothing in flight is full");
    }
    let all_told = || board.has(index, Mark::Ended);
    let ended = async {
        loop {
            let ended = board.ended.notified();
            if all_told() {
                return;
            }
            ended.await;
        }
    };
    timeout(ALONE_WAIT, ended).await.with_context(|| format!("contact {index}, alone, did not end within {ALONE_WAIT:?}"))
}

// --- the end ---

/// Ends everything, reads the journal, and judges.
async fn close(plan: &Plan, scene: &mut Scene, first: usize, sent: &Sent, alone: Option<Alone>) -> Result<Report> {
    let lost = scene.board.unended().len() as u64;
    let unconfirmed = scene.gateways.unconfirmed(CONFIRM_WAIT).await as u64;
    let counts = scene.counts(first, sent.held_back, unconfirmed);
    let is_ours = scene.engine.is_ours();
    let stopped_well = block_in_place(|| scene.engine.stop());
    let board = &scene.board;
    let journal = if is_ours {
        let (sent, durable) = (|index| board.has(index, Mark::Sent), |index| board.has(index, Mark::Durable));
        Some(block_in_place(|| journal::read(&scene.engine.state, &scene.callers, board.capacity(), sent, durable))?)
    } else {
        None
    };

    let mut failures = Vec::new();
    let mut fail = |count: u64, what: &str| {
        if count > 0 {
            failures.push(format!("{count} {what}"));
        }
    };
    fail(lost, "contacts were sent and did not end");
    for (what, count, example) in board.duplicates.list() {
        fail(count, &format!("contacts {what}, number {example} for one"));
    }
    fail(counts.ended_otherwise, "contacts ended otherwise than closed");
    fail(counts.refused, "contacts were refused");
    fail(counts.refused_commands, "commands of consoles were refused");
    fail(unconfirmed, "contacts were never confirmed");
    if counts.reconnects == 0 {
        fail(counts.told_again, "ends or acceptances were told twice in one session");
    }
    let errors = scene.engine.errors();
    fail(errors.len() as u64, &format!("errors in the engine's log, the first: {}", errors.first().map_or("", String::as_str)));
    fail(u64::from(!stopped_well), "engine did not end in good order");
    failures.extend(journal.iter().flat_map(|journal| journal.defects()));
    let doubts = doubts(plan.rate, sent);
    let verdict = Verdict::of(&failures, &doubts);
    if verdict != Verdict::Pass && is_ours {
        scene.folder.keep = true;
    }

    let life_secs = board.events.last_end.load(Ordering::Relaxed).saturating_sub(sent.first_due) as f64 / 1e9;
    let latency = scene.latencies(&sent.lateness);
    Ok(Report {
        verdict,
        reasons: failures.into_iter().chain(doubts).collect(),
        contacts_a_second: counts.ended as f64 / life_secs.max(1e-9),
        console_p99_us: latency.console.p99_us,
        sent_a_second: sent.count as f64 / (sent.last_sent.saturating_sub(sent.first_due).max(1) as f64 / 1e9),
        lost,
        duplicates: board.duplicates.count(),
        counts,
        latency,
        alone,
        engine_used: None,
        load_test_used: None,
        journal,
        asked: scene.asked(plan),
        environment: scene.environment(),
        kept: scene.folder.keep.then(|| scene.folder.path.display().to_string()),
    })
}

/// Why the load was not what it should have been.
fn doubts(rate: f64, sent: &Sent) -> Vec<String> {
    let mut doubts = Vec::new();
    let late = sent.lateness.value_at_quantile(0.99);
    if late > LATENESS_NANOS_MAX {
        doubts.push(format!("the generator was late: p99 {} ms", late / 1_000_000));
    }
    let took = sent.last_sent.saturating_sub(sent.first_due) as f64;
    let due = sent.last_due.saturating_sub(sent.first_due).max(1) as f64;
    // A short run is stretched by one late contact; that is lateness, not rate.
    if took > due * STRETCH_MAX && took - due > LATENESS_NANOS_MAX as f64 {
        doubts.push(format!("the rate was not reached: {:.0} of {:.0} contacts/s", sent.count as f64 / took * 1e9, rate));
    }
    if sent.held_back > 0 {
        doubts.push(format!("{} contacts had to wait for the engine before they could be sent", sent.held_back));
    }
    if cfg!(debug_assertions) {
        doubts.push("this is a debug build".to_owned());
    }
    doubts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::histogram;

    fn sent(late_nanos: u64, stretched: bool, held_back: u64) -> Sent {
        let mut lateness = histogram();
        (0..100).for_each(|_| lateness.saturating_record(late_nanos));
        let last_sent = if stretched { 12_000_000_000 } else { 10_010_000_000 };
        Sent { count: 100, lateness, held_back, first_due: 0, last_due: 10_000_000_000, last_sent }
    }

    /// Goal: a load that was not what it should have been is never called a pass. Method: one thing wrong at a time.
    #[test]
    fn a_late_generator_a_missed_rate_and_a_full_engine_are_doubts() {
        let check = |sent: Sent, expected: &[&str]| {
            let doubts = doubts(1_000.0, &sent);
            let load = doubts.iter().filter(|doubt| !doubt.contains("debug build")).collect::<Vec<_>>();
            assert_eq!(load.len(), expected.len(), "{doubts:?}");
            assert!(load.iter().zip(expected).all(|(doubt, expected)| doubt.contains(expected)), "{doubts:?}");
        };
        check(sent(1_000_000, false, 0), &[]);
        check(sent(2 * LATENESS_NANOS_MAX, false, 0), &["late"]);
        check(sent(1_000_000, true, 0), &["rate"]);
        check(sent(1_000_000, false, 3), &["wait"]);
    }
}
