//! `kill -9` under load, again and again: what was promised is kept, and every contact ends once.
//!
//! The kills come at moments of their own choosing, in turn: at any time; right after a gateway heard `Durable`; in the middle of a
//! commit; and once more while the engine is still reading its journal. Gateways and consoles are left alone: they come back and hand
//! back by themselves. Callers wait until the seats are signed in again, as they would ring until somebody answers; one gateway does
//! not wait, and measures the first decision.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::Serialize;
use tokio::task::block_in_place;
use tokio::time::timeout;

use crate::arrivals::Random;
use crate::board::Mark;
use crate::engine::field;
use crate::environment::{Environment, load_average};
use crate::journal::{self, JournalReport};
use crate::report::{Asked, Counts, Verdict, micros};
use crate::scene::{GRACE, Load, Plan, Scene, Sent};

/// When the engine is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Moment {
    Any,
    /// A gateway has just been told that a contact is durable.
    AfterDurable,
    /// Contacts are being written: sent, and not yet durable.
    InCommit,
    /// As any, and again while it reads its journal.
    InRecovery,
}

impl Moment {
    const ALL: [Self; 4] = [Self::Any, Self::AfterDurable, Self::InCommit, Self::InRecovery];

    const fn word(self) -> &'static str {
        match self {
            Self::Any => "any time",
            Self::AfterDurable => "after Durable",
            Self::InCommit => "in a commit",
            Self::InRecovery => "in recovery",
        }
    }
}

/// Load between a restart's first decision and the next kill, at least and at most.
const BETWEEN: [Duration; 2] = [Duration::from_millis(300), Duration::from_millis(1_500)];
/// How long a kill waits for its moment: some last a millisecond, and chance seldom meets them.
const MOMENT_WAIT: Duration = Duration::from_secs(1);
/// How long the seats may take to sign in again before the callers go on without them.
const SEATS_WAIT: Duration = Duration::from_secs(10);
/// Load after the last restart.
const AFTER: Duration = Duration::from_secs(2);
/// How long the first decision after a restart may take.
const DECISION_WAIT: Duration = Duration::from_secs(60);
/// Seconds of load that one kill and restart may take, for the size of the board.
const SECONDS_A_KILL: f64 = 30.0;
/// How long gateways wait at the end for what is unconfirmed.
const CONFIRM_WAIT: Duration = Duration::from_secs(5);

/// One kill and what followed.
#[derive(Clone, Debug, Serialize)]
pub struct Kill {
    pub moment: Moment,
    /// Starts that were killed before their doors were open.
    pub killed_again: u64,
    /// Contacts sent before it.
    pub sent_before: u64,
    /// Contacts sent by then whose gateway had not been told that they are durable.
    pub unconfirmed: u64,
    pub facts_read: u64,
    pub live_read: u64,
    /// From the last start until the doors were open.
    pub ready_ms: f64,
    /// From the last start until a gateway had heard a new decision.
    pub decision_ms: f64,
    /// From then until every seat was signed in again.
    pub seats_ms: f64,
}

#[derive(Clone, Debug, Serialize)]
pub struct KillReport {
    pub verdict: Verdict,
    pub reasons: Vec<String>,
    pub lost: u64,
    pub duplicates: u64,
    pub decision_p50_ms: f64,
    pub decision_worst_ms: f64,
    /// Contacts that were taken, accepted and closed, of all that ended, in percent.
    pub whole_lives_percent: f64,
    pub kills: Vec<Kill>,
    pub counts: Counts,
    pub journal: JournalReport,
    pub asked: Asked,
    pub environment: Environment,
    pub kept: Option<String>,
}

/// Carries out a plan, with `times` kills. A first decision later than `decision_max` after a start fails the run.
pub async fn run(plan: &Plan, times: usize, decision_max: Duration, mut told: impl FnMut(usize, &Kill)) -> Result<KillReport> {
    let count_max = (plan.rate * (SECONDS_A_KILL * times as f64 + 30.0)) as usize;
    let load_before = load_average();
    let mut scene = Scene::set(plan, count_max, 0, true).await?;
    let load = scene.start_load(plan, 0)?;
    let mut random = Random::of(plan.seed, 9);
    let mut kills = Vec::with_capacity(times);
    let stopped = || plan.stop.load(Ordering::Relaxed);
    for (number, moment) in (1..=times).zip(Moment::ALL.into_iter().cycle()) {
        let [least, most] = BETWEEN;
        tokio::time::sleep(least + (most - least).mul_f64(random.share())).await;
        if stopped() {
            break;
        }
        await_moment(&scene, moment).await;
        let kill = kill(&mut scene, &load, moment, &mut random).await.with_context(|| format!("after kill {number}"))?;
        told(number, &kill);
        kills.push(kill);
    }
    if !stopped() {
        tokio::time::sleep(AFTER).await;
    }
    let sent = block_in_place(|| load.finish(true))?;
    scene.drain(GRACE).await;
    let mut report = close(plan, &mut scene, kills, &sent, decision_max, times).await?;
    report.environment.load_average_before = load_before;
    Ok(report)
}

async fn await_moment(scene: &Scene, moment: Moment) {
    let (until, durable) = (Instant::now() + MOMENT_WAIT, scene.board.durable_count());
    let has_come = || match moment {
        Moment::Any | Moment::InRecovery => true,
        Moment::AfterDurable => scene.board.durable_count() > durable,
        Moment::InCommit => scene.board.unconfirmed_count() > 0,
    };
    while !has_come() && Instant::now() < until {
        tokio::task::yield_now().await;
    }
}

async fn kill(scene: &mut Scene, load: &Load, moment: Moment, random: &mut Random) -> Result<Kill> {
    let (sent_before, unconfirmed) = (scene.board.sent_count(), scene.board.unconfirmed_count());
    block_in_place(|| scene.engine.kill());
    load.control.pause.store(true, Ordering::Relaxed);
    let mut killed_again = 0;
    if moment == Moment::InRecovery {
        let within = scene.engine.start_took.mul_f64(random.share());
        killed_again += u64::from(block_in_place(|| scene.engine.start_and_kill(within))?);
    }
    let began = Instant::now();
    block_in_place(|| scene.engine.start_again())?;
    let ready_ms = began.elapsed().as_secs_f64() * 1e3;
    // From here on: what the old engine said is read by now.
    let events = &scene.board.events;
    events.first_targets.store(0, Ordering::Relaxed);
    scene.probe()?;
    let decided = async {
        while events.first_targets.load(Ordering::Relaxed) == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(DECISION_WAIT, decided).await.with_context(|| format!("no decision within {DECISION_WAIT:?}"))?;
    let at = Duration::from_nanos(events.first_targets.swap(u64::MAX, Ordering::Relaxed));
    let decision_ms = (scene.board.start() + at).saturating_duration_since(began).as_secs_f64() * 1e3;
    let seats_began = Instant::now();
    scene.consoles.come_back(SEATS_WAIT).await;
    let seats_ms = seats_began.elapsed().as_secs_f64() * 1e3;
    load.control.pause.store(false, Ordering::Relaxed);
    let ready = scene.engine.process().map_or("", |process| process.ready.as_str());
    let number = |key| field(ready, key).and_then(|value| value.parse().ok()).unwrap_or(0);
    let (facts_read, live_read) = (number("facts"), number("live"));
    Ok(Kill { moment, killed_again, sent_before, unconfirmed, facts_read, live_read, ready_ms, decision_ms, seats_ms })
}

async fn close(plan: &Plan, scene: &mut Scene, kills: Vec<Kill>, sent: &Sent, decision_max: Duration, times: usize) -> Result<KillReport> {
    let unended = scene.board.unended();
    let lost = unended.len() as u64;
    let unconfirmed = scene.gateways.unconfirmed(CONFIRM_WAIT).await as u64;
    let counts = scene.counts(0, sent.held_back, unconfirmed);
    let stopped_well = block_in_place(|| scene.engine.stop());
    let board = &scene.board;
    let (was_sent, durable) = (|index| board.has(index, Mark::Sent), |index| board.has(index, Mark::Durable));
    let journal = block_in_place(|| journal::read(&scene.engine.state, &scene.callers, board.capacity(), was_sent, durable))?;

    let mut failures = Vec::new();
    let mut fail = |count: u64, what: &str| {
        if count > 0 {
            failures.push(format!("{count} {what}"));
        }
    };
    fail(lost, &format!("contacts were sent and their gateway heard no end; of them {}", board.how_far(&unended)));
    for (what, count, example) in board.duplicates.list() {
        fail(count, &format!("contacts {what}, number {example} for one"));
    }
    fail(counts.refused, "contacts were refused");
    fail(unconfirmed, "contacts were never confirmed");
    let errors = scene.engine.errors();
    fail(errors.len() as u64, &format!("errors in the engine's log, the first: {}", errors.first().map_or("", String::as_str)));
    fail(u64::from(!stopped_well), "engine did not end in good order");
    failures.extend(journal.defects());
    let mut decisions: Vec<f64> = kills.iter().map(|kill| kill.decision_ms).collect();
    decisions.sort_by(f64::total_cmp);
    let worst = decisions.last().copied().unwrap_or(0.0);
    if worst > decision_max.as_secs_f64() * 1e3 {
        failures.push(format!("the first decision after a start took {}; {decision_max:?} was allowed", micros(worst * 1e3)));
    }
    let mut doubts = Vec::new();
    if kills.len() < times {
        doubts.push(format!("it was stopped after {} of {times} kills", kills.len()));
    }
    if kills.iter().all(|kill| kill.unconfirmed == 0) {
        doubts.push("no kill met an unconfirmed contact".to_owned());
    }
    let verdict = Verdict::of(&failures, &doubts);
    if verdict == Verdict::Fail {
        scene.folder.keep = true;
    }
    Ok(KillReport {
        verdict,
        reasons: failures.into_iter().chain(doubts).collect(),
        lost,
        duplicates: board.duplicates.count(),
        decision_p50_ms: decisions.get(decisions.len() / 2).copied().unwrap_or(0.0),
        decision_worst_ms: worst,
        whole_lives_percent: counts.ended_closed as f64 * 100.0 / counts.ended.max(1) as f64,
        kills,
        counts,
        journal,
        asked: scene.asked(plan),
        environment: scene.environment(),
        kept: scene.folder.keep.then(|| scene.folder.path.display().to_string()),
    })
}

impl Kill {
    /// One line for people.
    pub fn line(&self, number: usize) -> String {
        let Self { moment, killed_again, sent_before, unconfirmed, facts_read, live_read, ready_ms, decision_ms, seats_ms } = self;
        let again = if *killed_again > 0 { " and again before it was ready" } else { "" };
        format!(
            "kill {number}, {}{again}: {sent_before} contacts sent, {unconfirmed} of them unconfirmed; {facts_read} facts and \
            {live_read} live contacts read back; doors open after {}, first decision after {}, all seats {} later",
            moment.word(),
            micros(ready_ms * 1e3),
            micros(decision_ms * 1e3),
            micros(seats_ms * 1e3)
        )
    }
}

impl KillReport {
    /// For people, after the lines of the kills.
    pub fn table(&self) -> String {
        let Counts { sent, durable, ended, ended_closed, ended_unseen, handed_back, told_again, reconnects, .. } = &self.counts;
        let JournalReport { facts, contacts, replayed, differing, .. } = &self.journal;
        let mut lines = vec![
            format!(
                "contacts     sent {sent}, durable {durable}, ended {ended}: {ended_closed} closed by a seat ({:.1} % whole lives), \
                {ended_unseen} came before any seat was back",
                self.whole_lives_percent
            ),
            format!("             handed back {handed_back}, told again {told_again}, reconnects {reconnects}"),
            format!("journal      {facts} facts of {contacts} contacts; {replayed} decisions made again, {differing} differ"),
            format!(
                "first decision after a start: p50 {}, worst {}; {}",
                micros(self.decision_p50_ms * 1e3),
                micros(self.decision_worst_ms * 1e3),
                self.environment.line()
            ),
        ];
        lines.extend(self.kept.iter().map(|kept| format!("kept         {kept}")));
        lines.extend(self.reasons.iter().map(|reason| format!("{}: {reason}", self.verdict.word())));
        let (verdict, kills, lost, duplicates) = (self.verdict.word(), self.kills.len(), self.lost, self.duplicates);
        lines.push(format!("{verdict}: {kills} kills, lost {lost}, duplicates {duplicates}"));
        lines.join("\n") + "\n"
    }
}
