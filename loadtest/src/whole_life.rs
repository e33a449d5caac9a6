//! The canonical run: contacts at a set rate through their whole life, and before that one at a time beside the machine's floors.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::task::block_in_place;

use crate::alone;
use crate::arrivals::Arrivals;
use crate::board::Mark;
use crate::engine::{Process, Usage};
use crate::environment::load_average;
use crate::journal;
use crate::live::{Live, Moment};
use crate::report::{Alone, Report, RoomReport, StallReport, Used, Verdict};
use crate::scene::{GRACE, GRACE_STOPPED, Load, Plan, Scene, Sent, Stall};

/// How long gateways wait at the end for what is unconfirmed.
const CONFIRM_WAIT: Duration = Duration::from_secs(2);
/// Of a hundred sends, the latest but one may be this late before the run says nothing.
const LATENESS_NANOS_MAX: u64 = 50_000_000;
/// Sending may take this much longer than it should before the run says nothing.
const STRETCH_MAX: f64 = 1.02;
/// How often the load is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How often its rate and latency are shown.
const SECOND: Duration = Duration::from_secs(1);

/// Carries out a plan.
pub async fn run(plan: &Plan) -> Result<Report> {
    let load_before = load_average();
    let alone_count = if plan.alone { alone::COUNT } else { 0 };
    let load_count = Arrivals::count_max(plan.rate, plan.seconds);
    let mut live = Live::new(plan.show);
    live.step("starting the engine, gateways and consoles");
    let mut scene = Scene::set(plan, alone_count + load_count, alone_count, false).await?;
    let mut alone = None;
    if plan.alone {
        live.step("one contact at a time, beside the machine's floors");
        alone = alone::measure(&scene, &plan.stop).await?;
    }

    scene.loops.begin();
    let usage = || (scene.engine.process().and_then(Process::usage), Usage::of("self"));
    let (before, began) = (usage(), scene.board.now());
    let load = scene.start_load(plan, alone_count)?;
    let stall = watch(plan, &scene, &load, alone_count as u64, &mut live).await?;
    let stopped = plan.stop.load(Ordering::Relaxed);
    let sent = block_in_place(|| load.finish(stopped))?;
    live.step("waiting for the last to end");
    scene.drain(if stopped { GRACE_STOPPED } else { GRACE }).await;
    let (after, took) = (usage(), scene.board.now() - began);
    live.step("reading the journal");
    let report = close(plan, &mut scene, alone_count, &sent, alone, stall).await;
    live.end();
    let mut report = report?;
    let used = |(before, after): (Option<Usage>, Option<Usage>)| used(before?, after?, sent.count, took);
    (report.engine_used, report.load_test_used) = (used((before.0, after.0)), used((before.1, after.1)));
    report.environment.load_average_before = load_before;
    Ok(report)
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

/// When a stall was, in nanoseconds since the board's start.
#[derive(Clone, Copy, Debug)]
struct Stalled {
    asked: Duration,
    from: u64,
    until: u64,
}

/// Looks on until everything is sent or somebody wants it to end, shows it, and stalls the engine when that is the plan.
async fn watch(plan: &Plan, scene: &Scene, load: &Load, first: u64, live: &mut Live) -> Result<Option<Stalled>> {
    let (began, whole) = (Instant::now(), Duration::from_secs_f64(plan.seconds));
    let (mut last, mut last_sent) = (began, first);
    let (mut to_come, mut stalled) = (plan.stall, None);
    while !load.is_done() && !plan.stop.load(Ordering::Relaxed) {
        tokio::time::sleep(LOOK_EVERY).await;
        let elapsed = began.elapsed();
        if let Some(stall) = to_come.filter(|stall| elapsed >= stall.at) {
            to_come = None;
            stalled = Some(stall_engine(scene, stall).await?);
        }
        if last.elapsed() < SECOND {
            continue;
        }
        let sent = scene.board.sent_count();
        let share = elapsed.as_secs_f64() / plan.seconds.max(1e-9);
        live.moment(&Moment {
            elapsed,
            whole,
            asked: plan.rate * plan.scenario.factor(share),
            reached: (sent - last_sent) as f64 / last.elapsed().as_secs_f64(),
            console: scene.board.take_recent(),
            alive: sent.saturating_sub(scene.board.ended_count()),
            waiting: scene.consoles.rooms.iter().map(|room| room.waiting.load(Ordering::Relaxed)).sum(),
            so_far: so_far(scene, load),
        });
        (last, last_sent) = (Instant::now(), sent);
    }
    Ok(stalled)
}

/// The verdict as it would be if the rest went well.
fn so_far(scene: &Scene, load: &Load) -> String {
    let duplicates = scene.board.duplicates.count();
    let late = load.control.late_nanos_max.load(Ordering::Relaxed) / 1_000_000;
    let held = load.control.held_back.load(Ordering::Relaxed);
    match (duplicates, held) {
        (1.., _) => format!("FAIL so far: {duplicates} duplicates"),
        (0, 1..) => format!("INVALID so far: {held} sends held back"),
        (0, 0) => format!("PASS so far, latest send {late} ms"),
    }
}

/// Stops the engine's process as a machine without a core for it would, and lets it go on.
async fn stall_engine(scene: &Scene, stall: Stall) -> Result<Stalled> {
    let engine = scene.engine.process().ok_or_else(|| anyhow::anyhow!("--stall needs an engine of our own"))?;
    block_in_place(|| engine.freeze(true))?;
    let from = scene.board.now();
    tokio::time::sleep(stall.lasts).await;
    let until = scene.board.now();
    block_in_place(|| engine.freeze(false))?;
    Ok(Stalled { asked: stall.lasts, from, until })
}

// --- the end ---

/// Ends everything, reads the journal, and judges.
async fn close(plan: &Plan, scene: &mut Scene, first: usize, sent: &Sent, alone: Option<Alone>, stall: Option<Stalled>) -> Result<Report> {
    let unended = scene.board.unended();
    let (waiting, lost): (Vec<usize>, Vec<usize>) = unended.iter().partition(|index| scene.board.is_on_a_screen(**index));
    let mut rooms = rooms(scene);
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
    for room in &mut rooms {
        room.asked_for_help = journal.as_ref().and_then(|journal| journal.asked_rooms.get(&room.id)).copied().unwrap_or(0);
    }

    let mut failures = Vec::new();
    let mut fail = |count: u64, what: &str| {
        if count > 0 {
            failures.push(format!("{count} {what}"));
        }
    };
    fail(lost.len() as u64, &format!("contacts did not end and no seat shows them; of them {}", board.how_far(&lost)));
    fail(counts.sent.saturating_sub(counts.targets), "contacts were not answered with a target that has an address");
    fail(counts.unusable_targets, "answers named no target with an address");
    // Seats that act at once leave nothing behind; seats that are busy may.
    let busy = plan.scenario.seats.handle_ms[1] > 0 || sent.cut_short;
    fail(if busy { 0 } else { waiting.len() as u64 }, &format!("contacts did not end in time; of them {}", board.how_far(&waiting)));
    for (what, count, example) in board.duplicates.list() {
        fail(count, &format!("contacts {what}, number {example} for one"));
    }
    let all_staffed = plan.scenario.seats.unstaffed.is_empty();
    // Without a broken line every seat was there to be found.
    let lines_held = counts.reconnects == 0;
    fail(if all_staffed && lines_held { counts.ended_unseen } else { 0 }, "contacts found no seat of their rooms signed in");
    fail(counts.ended_overflowed, "contacts found the engine full");
    fail(counts.refused, "contacts were refused");
    fail(if lines_held { counts.refused_commands } else { 0 }, "commands of consoles were refused");
    fail(unconfirmed, "contacts were never confirmed");
    if lines_held && counts.copies_said == 0 {
        fail(counts.told_again, "ends or acceptances were told twice in one session");
    }
    let errors = scene.engine.errors();
    fail(errors.len() as u64, &format!("errors in the engine's log, the first: {}", errors.first().map_or("", String::as_str)));
    fail(u64::from(!stopped_well), "engine did not end in good order");
    let still = waiting.len() as u64;
    failures.extend(journal.iter().flat_map(|journal| journal.defects_but_for(still)));
    let mut doubts = doubts(plan, sent, alone.is_none() && plan.alone);
    let heard_late = scene.loops.lateness().value_at_quantile(0.99);
    if heard_late > LATENESS_NANOS_MAX {
        doubts.push(format!("the load test's own gateways and consoles were late: p99 {} ms", heard_late / 1_000_000));
    }
    if !lines_held {
        doubts.push(format!("{} sessions broke and came back", counts.reconnects));
    }

    let life_secs = board.events.last_end.load(Ordering::Relaxed).saturating_sub(sent.first_due) as f64 / 1e9;
    let latency = scene.latencies(&sent.lateness, &scene.loops.lateness());
    let mut report = Report {
        contacts_a_second: counts.ended as f64 / life_secs.max(1e-9),
        console_p99_us: latency.console.p99_us,
        sent_a_second: sent.count as f64 / (sent.last_sent.saturating_sub(sent.first_due).max(1) as f64 / 1e9),
        lost: lost.len() as u64,
        duplicates: board.duplicates.count(),
        counts,
        latency,
        alone,
        stall: stall.map(|stalled| bore(scene, stalled)),
        rooms,
        journal,
        slo: plan.slo.to_string(),
        asked: scene.asked(plan),
        environment: scene.environment(),
        command: plan.command(),
        ..Report::default()
    };
    failures.extend(plan.slo.broken(&report));
    report.verdict = Verdict::of(&failures, &doubts);
    if report.verdict == Verdict::Fail && is_ours {
        scene.folder.keep = true;
    }
    report.kept = scene.folder.keep.then(|| scene.folder.path.display().to_string());
    report.reasons = failures.into_iter().chain(doubts).collect();
    Ok(report)
}

fn rooms(scene: &Scene) -> Vec<RoomReport> {
    let of = |room: &Arc<crate::consoles::Room>| {
        let count = |of: &std::sync::atomic::AtomicU64| of.load(Ordering::Relaxed);
        RoomReport {
            id: room.id.as_str().to_owned(),
            seats: room.seats,
            own: count(&room.own),
            others: count(&room.others),
            taken_own: count(&room.taken_own),
            taken_for_others: count(&room.taken_for_others),
            asked_for_help: 0,
            closed: count(&room.closed),
            waiting_max: count(&room.waiting_max),
            waiting_at_end: count(&room.waiting),
            longest_wait_ms: count(&room.wait_nanos_max) as f64 / 1e6,
        }
    };
    scene.consoles.rooms.iter().map(of).collect()
}

fn bore(scene: &Scene, stalled: Stalled) -> StallReport {
    let (due_in_it, bore_it) = scene.board.due_within(stalled.from, stalled.until);
    StallReport {
        asked_ms: stalled.asked.as_secs_f64() * 1e3,
        lasted_ms: stalled.until.saturating_sub(stalled.from) as f64 / 1e6,
        due_in_it,
        bore_it,
    }
}

/// Why the load was not what it should have been.
fn doubts(plan: &Plan, sent: &Sent, alone_missing: bool) -> Vec<String> {
    let mut doubts = Vec::new();
    let late = sent.lateness.value_at_quantile(0.99);
    if late > LATENESS_NANOS_MAX {
        doubts.push(format!("the generator was late: p99 {} ms", late / 1_000_000));
    }
    let took = sent.last_sent.saturating_sub(sent.first_due) as f64;
    let due = sent.last_due.saturating_sub(sent.first_due).max(1) as f64;
    // A short run is stretched by one late contact; that is lateness, not rate.
    if took > due * STRETCH_MAX && took - due > LATENESS_NANOS_MAX as f64 {
        doubts.push(format!("the rate was not reached: {:.0} of {:.0} contacts/s", sent.count as f64 / took * 1e9, plan.rate));
    }
    if sent.held_back > 0 {
        doubts.push(format!("{} contacts had to wait for the engine before they could be sent", sent.held_back));
    }
    if sent.count == 0 {
        doubts.push("no contact was sent".to_owned());
    }
    if sent.cut_short || alone_missing {
        doubts.push(format!("it was stopped after {:.0} of {} s", took / 1e9, plan.seconds));
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
        Sent { count: 100, lateness, held_back, first_due: 0, last_due: 10_000_000_000, last_sent, cut_short: false }
    }

    /// Goal: a load that was not what it should have been is never called a pass. Method: one thing wrong at a time.
    #[test]
    fn a_late_generator_a_missed_rate_a_full_engine_and_a_cut_run_are_doubts() {
        let check = |sent: Sent, expected: &[&str]| {
            let doubts = doubts(&Plan::canonical().unwrap(), &sent, false);
            let load = doubts.iter().filter(|doubt| !doubt.contains("debug build")).collect::<Vec<_>>();
            assert_eq!(load.len(), expected.len(), "{doubts:?}");
            assert!(load.iter().zip(expected).all(|(doubt, expected)| doubt.contains(expected)), "{doubts:?}");
        };
        check(sent(1_000_000, false, 0), &[]);
        check(sent(2 * LATENESS_NANOS_MAX, false, 0), &["late"]);
        check(sent(1_000_000, true, 0), &["rate"]);
        check(sent(1_000_000, false, 3), &["wait"]);
        check(Sent { cut_short: true, ..sent(1_000_000, false, 0) }, &["stopped"]);
        check(Sent { count: 0, ..sent(1_000_000, false, 0) }, &["no contact"]);
    }
}
