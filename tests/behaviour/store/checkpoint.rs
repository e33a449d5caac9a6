//! Checkpoints: a start from one and the facts after it is a start from all facts; a bad one is never trusted.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use najda::deliver::{DispatcherState, Fact};
use najda::edge::run::Tuning;
use najda::engine::{Config, Engine, Input, Outputs, Past};
use najda::store::Partition;
use najda::wire::checkpoint::{EncodedPast, decode_past, encode_past};
use najda::wire::frame::{decode_fact, encode_fact};
use proptest::prelude::*;
use proptest::sample::Index;
use sha2::{Digest, Sha256};

use crate::life::{Day, Event, event};
use crate::running::{Keep, Running, Set, name, post, until};
use crate::stage::Stage;

fn encoded(fact: &Fact) -> Arc<[u8]> {
    let mut bytes = Vec::new();
    encode_fact(fact, &mut bytes).unwrap();
    bytes.into()
}

fn config() -> Config {
    // Small, so that what is remembered is also forgotten.
    Config { ended_kept_max: 3, ..Config::default() }
}

fn gathered(mut past: EncodedPast, facts: &[(u64, Fact)]) -> EncodedPast {
    facts.iter().for_each(|(seq, fact)| past.take(*seq, fact, || encoded(fact)));
    past
}

/// Written down and read back.
fn through_bytes(past: &EncodedPast) -> EncodedPast {
    let mut bytes = Vec::new();
    encode_past(past, &mut bytes);
    let read = decode_past(&config(), &bytes).unwrap();
    let mut again = Vec::new();
    encode_past(&read, &mut again);
    assert_eq!(bytes, again, "the same past has the same bytes");
    read
}

/// Everything both say and everything they are, after the same inputs. The text of an engine names every field it has.
fn assert_alike(mut one: Engine, mut other: Engine, day: &mut Day, events: &[Event]) {
    assert_eq!(format!("{one:?}"), format!("{other:?}"));
    let inputs = day.recorded(events);
    let (mut said, mut said_by_other) = (Outputs::new(), Outputs::new());
    for (input, now) in inputs {
        one.handle(input.clone(), now, &mut said);
        other.handle(input, now, &mut said_by_other);
        assert_eq!(format!("{:?}", said.as_slice()), format!("{:?}", said_by_other.as_slice()));
        said.drain().chain(said_by_other.drain()).for_each(drop);
    }
    assert_eq!(format!("{one:?}"), format!("{other:?}"));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn a_start_from_a_checkpoint_at_any_point_is_a_start_from_the_whole_journal(
        events in prop::collection::vec(event(), 1..160),
        more in prop::collection::vec(event(), 0..40),
        cuts in prop::collection::vec(any::<Index>(), 1..4),
    ) {
        let mut day = Day::new();
        events.into_iter().for_each(|event| day.live(event));
        let (facts, now) = (day.stage.facts.clone(), day.stage.now);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(facts.len() + 1)).collect();
        cuts.sort_unstable();
        let (mut past, mut from) = (Past::new(&config()), 0);
        for cut in cuts {
            past = through_bytes(&gathered(past, &facts[from..cut]));
            from = cut;
        }
        past = gathered(past, &facts[from..]);
        prop_assert_eq!(&past, &gathered(Past::new(&config()), &facts));
        let rooms = day.rooms.clone();
        let whole = Engine::recover(config(), &rooms, facts, now);
        let resumed = Engine::resume(config(), &rooms, &past, |kept| decode_fact(kept).ok(), 0, now);
        resumed.audit().map_err(TestCaseError::fail)?;
        assert_alike(whole, resumed, &mut day, &more);
    }
}

#[test]
fn an_end_that_is_said_again_is_remembered_once() {
    let mut day = Day::new();
    day.stage.disk_is_fast = true;
    day.stage.arrive("once", "");
    let facts = day.stage.facts.clone();
    let ([_, .., (_, ended)], (_, arrived)) = (&facts[..], &facts[0]) else { panic!("{facts:?}") };
    assert!(matches!(ended, Fact::Ended { .. }), "a test without a seat is sunk: {facts:?}");
    // As after a loss: all of it once more, and then two others.
    let again = [(11, arrived.clone()), (12, ended.clone())];
    let past = gathered(gathered(Past::new(&config()), &facts), &again);
    assert_eq!(through_bytes(&past), past);
    let rooms = day.rooms.clone();
    let engine = |past: &EncodedPast| Engine::resume(config(), &rooms, past, |kept| decode_fact(kept).ok(), 0, day.stage.now);
    assert_eq!(engine(&past).remembered_contacts(), 1);
    let mut more = past;
    for (number, seq) in [(1, 20), (2, 30)] {
        let mut day = Day::new();
        day.stage.disk_is_fast = true;
        (0..number).for_each(|_| drop(day.stage.contact("gw", "skipped")));
        day.stage.arrive(&format!("other-{number}"), "");
        let facts: Vec<_> = day.stage.facts.iter().map(|(of, fact)| (seq + of, fact.clone())).collect();
        more = gathered(more, &facts);
    }
    assert_eq!(engine(&more).remembered_contacts(), 3, "there is room for three, and three there are");
}

#[test]
fn a_past_is_as_large_as_what_lives_and_not_as_what_was() {
    let mut day = Day::new();
    let offers = day.stage.arrive("stays", "AMB: DU-AMB");
    let mut past: EncodedPast = gathered(Past::new(&config()), &day.stage.facts);
    let console = day.stage.console("DU-AMB", "1");
    day.stage.disk_is_fast = true;
    day.stage.store();
    let (mut seen, mut sizes) = (day.stage.facts.len(), Vec::new());
    for round in 0..40 {
        let offers = day.stage.arrive(&format!("goes-{round}"), "AMB: DU-AMB");
        day.stage.take(console, offers[0]);
        day.stage.accept(console, offers[0]);
        day.stage.close(console, offers[0]);
        day.stage.pass(30_000_000);
        past = gathered(past, &day.stage.facts[seen..]);
        seen = day.stage.facts.len();
        let mut bytes = Vec::new();
        encode_past(&past, &mut bytes);
        sizes.push(bytes.len());
    }
    assert_eq!((past.live_contacts(), past.oldest_needed()), (1, Some((1, offers[0].contact))));
    let (early, late) = (sizes[8], sizes[39]);
    assert!(late <= early + 64, "40 lives that ended are no more than 9: {early} bytes, {late} bytes");
}

// --- on the disk ---

/// The checkpoint files, the newest first.
fn files(state: &Path) -> Vec<PathBuf> {
    let Ok(list) = std::fs::read_dir(state.join("journal/checkpoints")) else { return Vec::new() };
    let mut files: Vec<PathBuf> = list.map(|file| file.unwrap().path()).collect();
    files.sort();
    files.reverse();
    files
}

fn seq_of(path: &Path) -> u64 {
    path.to_str().unwrap().rsplit(['-', '.']).nth(1).unwrap().parse().unwrap()
}

async fn restarted(running: Running, often: Tuning) -> Running {
    let folder = running.stop().await;
    Running::tuned(folder, Keep::InFiles, Set::testland(), often, |_| {}).await
}

async fn arrive(running: &Running, refs: std::ops::Range<u32>) {
    let app = running.app();
    for n in refs {
        let body = format!(r#"{{"id":"c-{n}","lat":0.72,"lon":0.45,"text":"fire","line":"+99910550{n:03}"}}"#);
        assert_eq!(post(&app, &body).await.0, 201);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_reads_the_newest_good_checkpoint_and_only_what_came_after_it() {
    let often = Tuning { checkpoint_entries: 4, ..Tuning::default() };
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let mut running = Running::tuned(folder, Keep::InFiles, Set::testland(), often, |_| {}).await;
    let state = running.state();
    for round in 0..2 {
        running = restarted(running, often).await;
        let before = files(&state).first().cloned();
        arrive(&running, round * 5..round * 5 + 5).await;
        until("a checkpoint is made", || files(&state).first().cloned() != before).await;
        running = restarted(running, Tuning::default()).await;
    }
    let (started, whole) = (running.node.started(), running.node.store().read(Partition::default(), 1, 4_096).unwrap());
    assert!(started.checkpoint_seq > 0);
    let before = whole.entries.iter().filter(|entry| entry.seq <= started.checkpoint_seq).count() as u64;
    assert_eq!(started.facts - started.entries_read, before, "what is in the checkpoint was not read again");
    assert_eq!(started.live_contacts, 10);

    let (newest, before) = (files(&state)[0].clone(), files(&state)[1].clone());
    let kept = [std::fs::read(&newest).unwrap(), std::fs::read(&before).unwrap()];
    let (newest_seq, before_seq) = (seq_of(&newest), seq_of(&before));
    assert_eq!(started.checkpoint_seq, newest_seq);
    let flipped = |bytes: &[u8], at: usize| {
        let mut bytes = bytes.to_vec();
        bytes[at] ^= 1;
        bytes
    };
    // What the two files are made to hold, and the checkpoint that is then read.
    let middle = kept[0].len() / 2;
    let newer_version = rehashed(flipped(&kept[0], 90));
    let cases: [(&str, Vec<u8>, Vec<u8>, u64); 6] = [
        ("whole", kept[0].clone(), kept[1].clone(), newest_seq),
        ("a flipped bit", flipped(&kept[0], middle), kept[1].clone(), before_seq),
        ("cut", kept[0][..middle].to_vec(), kept[1].clone(), before_seq),
        ("of a newer version", newer_version, kept[1].clone(), before_seq),
        ("of another chain", rehashed(flipped(&kept[0], 60)), kept[1].clone(), before_seq),
        ("both damaged", flipped(&kept[0], middle), Vec::new(), 0),
    ];
    for (what, newest_bytes, before_bytes, read_from) in cases {
        let folder = running.stop().await;
        files(&state).iter().for_each(|path| std::fs::remove_file(path).unwrap());
        std::fs::write(&newest, newest_bytes).unwrap();
        std::fs::write(&before, before_bytes).unwrap();
        running = Running::in_folder(folder, Keep::InFiles, Set::testland(), |_| {}).await;
        let started = running.node.started();
        assert_eq!((started.checkpoint_seq, started.live_contacts), (read_from, 10), "{what}");
    }
    let folder = running.stop().await;
    files(&state).iter().for_each(|path| std::fs::remove_file(path).unwrap());
    let running = Running::in_folder(folder, Keep::InFiles, Set::testland(), |_| {}).await;
    assert_eq!((running.node.started().checkpoint_seq, running.node.started().live_contacts), (0, 10), "missing");
    running.stop().await;
}

/// Made to fit again, as a program that wrote it so would have.
fn rehashed(mut bytes: Vec<u8>) -> Vec<u8> {
    let hash: [u8; 32] = Sha256::digest(&bytes[40..]).into();
    bytes[8..40].copy_from_slice(&hash);
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_whose_newest_file_is_damaged_starts_from_its_checkpoint_and_promises_again() {
    for with_checkpoint in [true, false] {
        let often = Tuning { checkpoint_entries: 4, ..Tuning::default() };
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let running = Running::tuned(folder, Keep::InFiles, Set::testland(), often, |_| {}).await;
        let state = running.state();
        arrive(&running, 0..5).await;
        let held = running.node.store().health().entry_count;
        until("a checkpoint of all is made", || files(&state).first().is_some_and(|path| seq_of(path) >= held)).await;
        let folder = running.stop().await;
        if !with_checkpoint {
            std::fs::remove_dir_all(state.join("journal/checkpoints")).unwrap();
        }
        let newest = std::fs::OpenOptions::new().write(true).open(state.join("journal/journal-000001.db")).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&newest, &[0xA5; 4_096], 0).unwrap();
        let mut running = Running::in_folder(folder, Keep::InFiles, Set::testland(), |_| {}).await;
        let live = if with_checkpoint { 5 } else { 0 };
        assert_eq!(running.node.started().live_contacts, live);
        // A contact sent by HTTP is answered with 201 only when the journal holds it.
        arrive(&running, 10..12).await;
        for _ in 0..2 {
            running = restarted(running, Tuning::default()).await;
            assert_eq!(running.node.started().live_contacts, live + 2);
        }
        running.stop().await;
    }
}

#[test]
fn the_first_entries_of_a_day_say_what_the_house_is_in() {
    let mut stage = Stage::new();
    stage.disk_is_fast = true;
    let (room, by) = (name("DU-AMB"), name("ops"));
    stage.input(Input::State { dispatcher: room, state: DispatcherState::Full, by });
    stage.arrive("a", "AMB: SH-AMB");
    let (before, published) = (stage.facts.len(), stage.engine.published());
    stage.pass(86_400_000_000);
    let said: Vec<_> = stage.facts[before..].iter().map(|(_, fact)| fact.clone()).collect();
    let midnight = said.iter().position(|fact| fact.at().day() > 0).unwrap();
    let [Fact::Tables { by: first, .. }, Fact::State { dispatcher, state, by: second, .. }, ..] = &said[midnight..] else {
        panic!("{said:?}")
    };
    assert_eq!((first.as_str(), second.as_str(), *dispatcher, *state), ("engine", "engine", room, DispatcherState::Full));
    assert_eq!(said.iter().filter(|fact| matches!(fact, Fact::Tables { .. })).count(), 1, "once a day");
    assert_eq!(stage.engine.published(), published, "nothing was published by saying it");
    // Said again, it makes no new snapshot after a restart either.
    let past = gathered(Past::new(&config()), &stage.facts);
    assert_eq!(past.head().snapshot, published.0);
    let rooms = crate::stage::usual_rooms();
    let again = Engine::recover(config(), &rooms, stage.facts.clone(), stage.now);
    assert_eq!(again.published(), published);
}
