//! One contact in flight at a time, beside what the machine can do bare.
//!
//! ```text
//! pause, contact   here (gateway) -> engine, another process -> here (console)
//! pause, message   here (sends)   -> relay, another process  -> here (receives)
//! pause, commit    the same bytes into a file beside the journal, and fdatasync
//! ```
//!
//! Contact, message and commit take turns, each after the same pause, so that each finds the machine in the same state: whatever
//! else the machine does, it does to all three.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use najda::deliver::Fact;
use najda::route::{record, route};
use najda::tables::snapshot::{Snapshot, Tables};
use najda::units::Timestamp;
use najda::wire::frame::encode_fact;
use tokio::task::block_in_place;
use tokio::time::timeout;

use crate::board::{Board, Mark, Step};
use crate::callers::Callers;
use crate::engine::{Process, gateway_role};
use crate::floor::{BareCommits, TwoHops, percentile};
use crate::gateways::Gateways;
use crate::report::Alone;
use crate::scene::Scene;

/// Rounds; every figure is the median of theirs.
const ROUNDS: usize = 5;
/// Contacts, bare messages and bare commits in a round.
const BLOCK: usize = 150;
/// Contacts before the first round, which nobody looks at.
const WARM_UP: usize = 50;
/// Contacts sent one at a time, in all.
pub const COUNT: usize = WARM_UP + ROUNDS * BLOCK;
/// Before each contact, message and commit.
const PAUSE: Duration = Duration::from_millis(1);
/// The place of the gateway that sends them all; its number is one more.
const GATEWAY: usize = 1;
/// How long one contact alone may take.
const WAIT: Duration = Duration::from_secs(10);

/// Sends the first [`COUNT`] contacts. `None` when it was told to stop.
pub async fn measure(scene: &Scene, stop: &Arc<AtomicBool>) -> Result<Option<Alone>> {
    let mut command = Command::new(std::env::current_exe().context("finding this program's own path")?);
    let folder = scene.folder.path.join("relay-certs");
    command.arg("relay").arg("--certs").arg(&folder);
    // An authority of its own: with a running engine its authority's key may not be here.
    let certs = crate::engine::certificates(&folder, None, &[gateway_role(1)?])?;
    let relay = block_in_place(|| Process::start(&mut command, &scene.folder.path.join("relay.log")))?;
    let identity = certs.identity(&gateway_role(1)?)?;
    let entry_bytes = entry_bytes(&scene.callers, &scene.tables)?;
    // The journal's own folder, where it is on this machine.
    let beside = if scene.engine.is_ours() { scene.engine.state.as_path() } else { scene.folder.path.as_path() };
    let commits = block_in_place(|| BareCommits::make(beside, entry_bytes))?;
    let (board, gateways, callers) = (Arc::clone(&scene.board), Arc::clone(&scene.gateways), Arc::clone(&scene.callers));
    let (addr, stop) = (relay.addr, Arc::clone(stop));
    // In the loop of the gateway that sends: contacts and messages begin on the thread that writes them.
    let measured = scene.loops.of(GATEWAY + 1).spawn(async move {
        let hops = TwoHops::connect(addr, &identity).await?;
        Bench { board, gateways, callers, hops, commits: Some(commits) }.run(&stop).await
    });
    let alone = measured.await??;
    drop(relay);
    Ok(alone)
}

/// Bytes of the first fact of such a contact, on average.
fn entry_bytes(callers: &Callers, tables: &Arc<Tables>) -> Result<usize> {
    let snapshot = Snapshot::of(Arc::clone(tables));
    let at = Timestamp::from_secs(1_780_000_000);
    let mut bytes = Vec::new();
    for index in 0..WARM_UP as u64 {
        let contact = Arc::new(callers.contact(index, 0.5));
        let decision = Arc::new(record(tables, &route(&snapshot, &contact, at)));
        encode_fact(&Fact::Arrived { at, contact, decision, states: Vec::new() }, &mut bytes).context("encoding a fact")?;
    }
    Ok(bytes.len() / WARM_UP)
}

struct Bench {
    board: Arc<Board>,
    gateways: Arc<Gateways>,
    callers: Arc<Callers>,
    hops: TwoHops,
    /// With the thread that may block, while that writes.
    commits: Option<BareCommits>,
}

/// The p50 of one round, in microseconds.
struct Round {
    hops_us: f64,
    hops_apart_us: f64,
    read_us: f64,
    console_us: f64,
    durable_us: f64,
    commit_us: f64,
}

impl Bench {
    async fn run(mut self, stop: &AtomicBool) -> Result<Option<Alone>> {
        for index in 0..WARM_UP {
            self.contact(index).await?;
        }
        let mut rounds = Vec::with_capacity(ROUNDS);
        let mut all_console = Vec::with_capacity(ROUNDS * BLOCK);
        for round in 0..ROUNDS {
            if stop.load(Ordering::Relaxed) {
                return Ok(None);
            }
            rounds.push(self.round(WARM_UP + round * BLOCK, &mut all_console).await?);
        }
        let bytes = self.commits.as_ref().map_or(0, BareCommits::entry_bytes);
        Ok(Some(summary(&rounds, &mut all_console, bytes)))
    }

    async fn round(&mut self, first: usize, all_console: &mut Vec<u64>) -> Result<Round> {
        let p50 = |values: &mut Vec<u64>| percentile(values, 0.5) as f64 / 1e3;
        let mut bare = Vec::with_capacity(BLOCK);
        for _ in 0..BLOCK {
            bare.push(self.hops.once().await?);
        }
        let (mut read, mut console, mut durable) = (Vec::with_capacity(BLOCK), Vec::with_capacity(BLOCK), Vec::with_capacity(BLOCK));
        let (mut apart, mut commits) = (Vec::with_capacity(BLOCK), Vec::with_capacity(BLOCK));
        for index in first..first + BLOCK {
            if std::env::var_os("NOPAUSE").is_none() {
                tokio::time::sleep(PAUSE).await;
            }
            self.contact(index).await?;
            read.extend(self.board.alone_read(index));
            console.extend(self.board.alone(index, Step::Console));
            durable.extend(self.board.alone(index, Step::Durable));
            if std::env::var_os("NOPAUSE").is_none() {
                tokio::time::sleep(PAUSE).await;
            }
            apart.push(self.hops.once().await?);
            if std::env::var_os("NOPAUSE").is_none() {
                tokio::time::sleep(PAUSE).await;
            }
            commits.push(self.commit().await?);
        }
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

    async fn commit(&mut self) -> Result<u64> {
        let mut commits = self.commits.take().context("the file is lost")?;
        let (took, commits) = tokio::task::spawn_blocking(move || (commits.once(), commits)).await?;
        self.commits = Some(commits);
        took
    }

    /// One contact through its whole life, with nothing else in flight.
    async fn contact(&self, index: usize) -> Result<()> {
        let board = &self.board;
        let contact = Arc::new(self.callers.contact(index as u64, 0.5));
        board.sending(index, board.now());
        if !self.gateways.send(GATEWAY, &contact)? {
            bail!("a gateway with nothing in flight is full");
        }
        let ended = async {
            loop {
                let ended = board.ended.notified();
                if board.has(index, Mark::Ended) {
                    return;
                }
                ended.await;
            }
        };
        timeout(WAIT, ended).await.with_context(|| format!("contact {index}, alone, did not end within {WAIT:?}"))
    }
}

fn summary(rounds: &[Round], all_console: &mut [u64], bare_commit_bytes: usize) -> Alone {
    let median = |of: &dyn Fn(&Round) -> f64| {
        let mut values: Vec<f64> = rounds.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(0.0)
    };
    Alone {
        rounds: rounds.len(),
        contacts: all_console.len(),
        two_hops_p50_us: median(&|round| round.hops_us),
        two_hops_apart_p50_us: median(&|round| round.hops_apart_us),
        read_p50_us: median(&|round| round.read_us),
        console_p50_us: median(&|round| round.console_us),
        console_p99_us: percentile(all_console, 0.99) as f64 / 1e3,
        console_to_two_hops: median(&|round| round.console_us / round.hops_us.max(0.001)),
        console_to_two_hops_apart: median(&|round| round.console_us / round.hops_apart_us.max(0.001)),
        bare_commit_bytes,
        bare_commit_p50_us: median(&|round| round.commit_us),
        durable_p50_us: median(&|round| round.durable_us),
        durable_to_hops_and_commit: median(&|round| round.durable_us / (round.hops_apart_us + round.commit_us).max(0.001)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a ratio compares what was measured in the same round. Method: rounds of which one met a busy machine.
    #[test]
    fn ratios_are_medians_of_ratios_inside_a_round() {
        let round = |slow: f64| Round {
            hops_us: 50.0 * slow,
            hops_apart_us: 100.0 * slow,
            read_us: 70.0 * slow,
            console_us: 150.0 * slow,
            durable_us: 600.0 * slow,
            commit_us: 300.0 * slow,
        };
        let rounds = [round(1.0), round(9.0), round(1.0), round(1.1), round(4.0)];
        let alone = summary(&rounds, &mut [3_000, 1_000, 2_000], 700);
        assert!((alone.console_to_two_hops_apart - 1.5).abs() < 1e-9 && (alone.durable_to_hops_and_commit - 1.5).abs() < 1e-9);
        assert!((alone.console_p50_us - 165.0).abs() < 1e-9, "the median round, not the mean");
    }
}
