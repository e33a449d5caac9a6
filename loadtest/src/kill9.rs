//! `kill -9` under load, again and again: what was promised is kept, and every contact ends once.
//!
//! Gateways and consoles are left alone: they notice, come back and hand back by themselves.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::Serialize;
use tokio::task::block_in_place;
use tokio::time::timeout;

use crate::arrivals::Random;
use crate::board::Mark;
use crate::engine::field;
use crate::journal::{self, JournalReport};
use crate::report::{Asked, Counts, Environment, Verdict, micros};
use crate::scene::{Plan, Scene};

/// Load between a restart's first decision and the next kill, at least and at most.
const BETWEEN: [Duration; 2] = [Duration::from_millis(300), Duration::from_millis(2_500)];
/// How long every other kill waits for a contact that is not confirmed yet: it is there for a millisecond, and chance seldom meets it.
const UNCONFIRMED_WAIT: Duration = Duration::from_secs(1);
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
    /// Contacts sent before it.
    pub sent_before: u64,
    /// Contacts sent by then whose gateway had not been told that they are durable.
    pub unconfirmed: u64,
    pub facts_read: u64,
    pub live_read: u64,
    /// From the kill until the doors were open again.
    pub ready_ms: f64,
    /// From the kill until a gateway had heard a new decision.
    pub decision_ms: f64,
}

#[derive(Clone, Debug, Serialize)]
pub struct KillReport {
    pub verdict: Verdict,
    pub reasons: Vec<String>,
    pub lost: u64,
    pub duplicates: u64,
    pub kills: Vec<Kill>,
    pub counts: Counts,
    pub journal: JournalReport,
    pub asked: Asked,
    pub environment: Environment,
    pub kept: Option<String>,
}

/// Carries out a plan, with `times` kills.
pub async fn run(plan: &Plan, times: usize, mut told: impl FnMut(usize, &Kill)) -> Result<KillReport> {
    let count_max = (plan.rate * (SECONDS_A_KILL * times as f64 + 30.0)) as usize;
    let mut scene = Scene::set(plan, count_max, 0, true).await?;
    let load = scene.start_load(plan, 0..count_max)?;
    let mut random = Random::of(plan.seed, 9);
    let mut kills = Vec::with_capacity(times);
    for number in 1..=times {
        let [least, most] = BETWEEN;
        tokio::time::sleep(least + (most - least).mul_f64(random.share())).await;
        if number % 2 == 1 {
            until_unconfirmed(&scene).await;
        }
        let kill = kill(&mut scene).await.with_context(|| format!("after kill {number}"))?;
        told(number, &kill);
        kills.push(kill);
    }
    tokio::time::sleep(AFTER).await;
    let sent = block_in_place(|| load.finish(true))?;
    scene.drain().await;
    close(plan, &mut scene, kills, sent.held_back).await
}

/// The worst moment: something was sent that no journal holds yet.
async fn until_unconfirmed(scene: &Scene) {
    let until = Instant::now() + UNCONFIRMED_WAIT;
    while scene.board.unconfirmed_count() == 0 && Instant::now() < until {
        tokio::task::yield_now().await;
    }
}

async fn kill(scene: &mut Scene) -> Result<Kill> {
    let began = Instant::now();
    let (sent_before, unconfirmed) = (scene.board.sent_count(), scene.board.unconfirmed_count());
    block_in_place(|| scene.engine.kill());
    block_in_place(|| scene.engine.start_again())?;
    let ready_ms = began.elapsed().as_secs_f64() * 1e3;
    // From here on: what the old engine said is read by now.
    let events = &scene.board.events;
    events.first_targets.store(0, Ordering::Relaxed);
    let decided = async {
        while events.first_targets.load(Ordering::Relaxed) == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(DECISION_WAIT, decided).await.with_context(|| format!("no decision within {DECISION_WAIT:?}"))?;
    let at = Duration::from_nanos(events.first_targets.swap(u64::MAX, Ordering::Relaxed));
    let ready = scene.engine.process().map_or("", |process| process.ready.as_str());
    let number = |key| field(ready, key).and_then(|value| value.parse().ok()).unwrap_or(0);
    let decision = (scene.board.start() + at).saturating_duration_since(began);
    let (facts_read, live_read) = (number("facts"), number("live"));
    Ok(Kill { sent_before, unconfirmed, facts_read, live_read, ready_ms, decision_ms: decision.as_secs_f64() * 1e3 })
}

async fn close(plan: &Plan, scene: &mut Scene, kills: Vec<Kill>, held_back: u64) -> Result<KillReport> {
    let unended = scene.board.unended();
    let lost = unended.len() as u64;
    let unconfirmed = scene.gateways.unconfirmed(CONFIRM_WAIT).await as u64;
    let counts = scene.counts(0, held_back, unconfirmed);
    let stopped_well = block_in_place(|| scene.engine.stop());
    let board = &scene.board;
    let (sent, durable) = (|index| board.has(index, Mark::Sent), |index| board.has(index, Mark::Durable));
    let journal = block_in_place(|| journal::read(&scene.engine.state, &scene.callers, board.capacity(), sent, durable))?;

    let mut failures = Vec::new();
    let mut fail = |count: u64, what: &str| {
        if count > 0 {
            failures.push(format!("{count} {what}"));
        }
    };
    fail(lost, &format!("contacts were sent and their gateway heard no end, number {:?} for one", unended.first()));
    let promised = unended.iter().filter(|index| board.has(**index, Mark::Durable)).count() as u64;
    fail(promised, "of them had been called durable");
    for (what, count, example) in board.duplicates.list() {
        fail(count, &format!("contacts {what}, number {example} for one"));
    }
    fail(counts.refused, "contacts were refused");
    fail(unconfirmed, "contacts were never confirmed");
    let errors = scene.engine.errors();
    fail(errors.len() as u64, &format!("errors in the engine's log, the first: {}", errors.first().map_or("", String::as_str)));
    fail(u64::from(!stopped_well), "engine did not end in good order");
    failures.extend(journal.defects());
    let mut doubts = Vec::new();
    if kills.iter().all(|kill| kill.unconfirmed == 0) {
        doubts.push("no kill met an unconfirmed contact".to_owned());
    }
    let verdict = Verdict::of(&failures, &doubts);
    if verdict != Verdict::Pass {
        scene.folder.keep = true;
    }
    Ok(KillReport {
        verdict,
        reasons: failures.into_iter().chain(doubts).collect(),
        lost,
        duplicates: board.duplicates.count(),
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
        let Self { sent_before, unconfirmed, facts_read, live_read, ready_ms, decision_ms } = self;
        format!(
            "kill {number}: {sent_before} contacts sent, {unconfirmed} of them unconfirmed; {facts_read} \
            facts and {live_read} live contacts read back; \
             doors open after {}, first decision after {}",
            micros(ready_ms * 1e3),
            micros(decision_ms * 1e3)
        )
    }
}

impl KillReport {
    /// For people, after the lines of the kills.
    pub fn table(&self) -> String {
        let Counts { sent, durable, ended, ended_closed, ended_otherwise, handed_back, told_again, reconnects, .. } = &self.counts;
        let JournalReport { facts, contacts, replayed, differing, .. } = &self.journal;
        let mut lines = vec![
            format!(
                "contacts     sent {sent}, durable {durable}, ended {ended} (closed {ended_closed}, without an audience {ended_otherwise})"
            ),
            format!("             handed back {handed_back}, told again {told_again}, reconnects {reconnects}"),
            format!("journal      {facts} facts of {contacts} contacts; {replayed} decisions made again, {differing} differ"),
        ];
        lines.extend(self.kept.iter().map(|kept| format!("kept         {kept}")));
        lines.extend(self.reasons.iter().map(|reason| format!("{}: {reason}", self.verdict.word())));
        let (verdict, kills, lost, duplicates) = (self.verdict.word(), self.kills.len(), self.lost, self.duplicates);
        lines.push(format!("{verdict}: {kills} kills, lost {lost}, duplicates {duplicates}"));
        lines.join("\n") + "\n"
    }
}
