//! `najda journal`: what an engine wrote is found, decided again and verified, while it runs and afterwards.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use najda::contact::{Contact, ContactKey, Door, Signal};
use najda::decision::DecisionRecord;
use najda::deliver::{DispatcherState, Evidence, Fact, GatewayHears};
use najda::edge::store::embedded::{Config, EmbeddedStore, JournalReader};
use najda::journal::entry::Entry;
use najda::journal::projection::Query;
use najda::journal::replay::{Outcome, Replay};
use najda::route::{record, route};
use najda::store::{Batch, BlobName, Notice, Partition, Store};
use najda::tables::snapshot::{Snapshot, States};
use najda::units::{ContactId, Timestamp};
use najda::wire::frame::{decode_fact, encode_fact};

use crate::running::{Keep, Running, Set, heard, name, post, until};

fn najda(args: &[&str]) -> anyhow::Result<ExitCode> {
    najda::cli::run(najda::cli::Cli::try_parse_from(std::iter::once("najda").chain(args.iter().copied()))?)
}

pub fn journal(command: &str, dir: &Path, more: &[&str]) -> anyhow::Result<ExitCode> {
    let dir = dir.display().to_string();
    najda(&[&["journal", command, "--dir", &dir], more].concat())
}

/// An engine that has seen contacts from both doors, states, another set's coming and going, and late evidence.
async fn lived() -> Running {
    let running = Running::start(Keep::InFiles, Set::testland()).await;
    let (app, core) = (running.app(), Arc::clone(running.node.core()));
    for (n, text) in ["fire", "burglary", "help"].iter().enumerate() {
        let body = format!(r#"{{"id":"a-{n}","lat":0.72,"lon":0.45,"text":"{text}","line":"+9991055010{n}"}}"#);
        assert_eq!(post(&app, &body).await.0, 201);
        let lead = core.snapshot().tables.dispatchers.rows[n].id;
        let state = DispatcherState::ALL[n + 1];
        let setter = Arc::clone(&core);
        tokio::task::spawn_blocking(move || setter.set_state(lead, state, name("ops"))).await.unwrap().unwrap();
    }
    let (client, mut hears) = running.gateway("gateway/g1").await;
    let key = ContactKey { gateway: name("g1"), gateway_ref: "call-1".into() };
    client.send(Contact::new(ContactId(0), key.clone(), Timestamp::default(), Door::SipVoice)).await.unwrap();
    while !matches!(heard(&mut hears).await, GatewayHears::Durable { .. }) {}
    let words = Evidence { signals: vec![Signal::Words("fire".into())], ..Evidence::default() };
    client.evidence(key, words).await.unwrap();
    until("the evidence is decided", || core.figures.load().counters.redecided == 1).await;
    client.close(crate::running::WAIT).await;
    running
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_is_decided_again_and_verified_while_the_engine_runs_and_afterwards() {
    let running = lived().await;
    let dir = running.state();
    for command in ["replay", "verify"] {
        assert_eq!(journal(command, &dir, &[]).unwrap(), ExitCode::SUCCESS, "{command} beside the engine");
    }
    let _folder = running.stop().await;
    for command in ["replay", "verify"] {
        assert_eq!(journal(command, &dir, &[]).unwrap(), ExitCode::SUCCESS, "{command} afterwards");
    }
    // Not only the exit code: every decision was made again, the one about late evidence too.
    let reader = JournalReader::open(dir.join("journal")).unwrap();
    let (mut replay, set, mut decided) = (Replay::default(), Set::testland(), 0);
    for entry in reader.read(Partition::default(), 1, 4_096).unwrap().entries {
        let fact = decode_fact(&entry.bytes).unwrap();
        let outcome = replay.fact(entry.seq, &fact, &mut |_| Some(Arc::clone(&set.tables)));
        decided += u64::from(outcome == Some(Outcome::Same));
        assert!(matches!(outcome, None | Some(Outcome::Same)), "{outcome:?}");
    }
    assert_eq!(decided, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn contacts_are_found_by_everything_they_are_known_by() {
    let running = lived().await;
    let dir = running.state();
    until("the rows have caught up", || JournalReader::open(dir.join("journal")).unwrap().projection_lag().unwrap() == Some(0)).await;
    let _folder = running.stop().await;
    let reader = JournalReader::open(dir.join("journal")).unwrap();
    let all = reader.find(&Query::default()).unwrap();
    assert_eq!(all.len(), 4);
    let (id, from) = (all[1].contact.to_string(), "2020-01-01");
    for (filter, found) in [
        (vec!["--id", id.as_str()], 1),
        (vec!["--ref", "a-2"], 1),
        (vec!["--caller", "+99910550101"], 1),
        (vec!["--from", from], 4),
        (vec!["--until", from], 0),
        (vec!["--area", "TL-CAP"], 3),
        (vec!["--service", "civil_defence", "--state", "waiting"], 2),
        (vec!["--state", "ended"], 0),
        (vec!["--newest", "--limit", "2"], 2),
    ] {
        for json in [false, true] {
            let more: Vec<&str> = filter.iter().copied().chain(json.then_some("--json")).collect();
            assert_eq!(journal("query", &dir, &more).unwrap(), ExitCode::SUCCESS);
        }
        let rows = reader.find(&query_of(&filter)).unwrap();
        assert_eq!(rows.len(), found, "{filter:?}");
    }
    assert!(journal("query", &dir, &["--service", "plumber"]).is_err());
    let log = std::fs::read_to_string(dir.join("access.jsonl")).unwrap();
    assert!(log.lines().all(|line| line.contains(r#""command":"journal query""#)) && log.contains(r#""area":"TL-CAP""#), "{log}");
}

/// The same words as the command takes.
fn query_of(filter: &[&str]) -> Query {
    let mut query = Query::default();
    let mut words = filter.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().copied().unwrap();
        match *word {
            "--id" => query.contact = Some(ContactId(uuid::Uuid::try_parse(value()).unwrap().as_u128())),
            "--ref" => query.gateway_ref = Some(value().into()),
            "--caller" => query.line = Some(value().into()),
            "--from" => (query.from, _) = (Some(Timestamp::from_secs(1_577_836_800)), value()),
            "--until" => (query.until, _) = (Some(Timestamp::from_secs(1_577_836_800)), value()),
            "--area" => query.area = Some(name(value())),
            "--service" => query.service = najda::service::Service::from_word(value()),
            "--state" => query.state = najda::journal::projection::RowState::from_word(value()),
            "--limit" => query.row_count_max = value().parse().unwrap(),
            _ => query.newest_first = true,
        }
    }
    query
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_are_gone_are_said_to_be_gone_and_made_again_as_the_engine_kept_them() {
    let running = lived().await;
    let dir = running.state();
    until("the rows have caught up", || JournalReader::open(dir.join("journal")).unwrap().projection_lag().unwrap() == Some(0)).await;
    let folder = running.stop().await;
    let rows = || JournalReader::open(dir.join("journal")).unwrap().find(&Query::default()).unwrap();
    let kept = rows();
    assert_eq!(kept.len(), 4);
    for end in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(dir.join(format!("journal/projection.db{end}")));
    }
    let error = journal("query", &dir, &[]).unwrap_err().to_string();
    assert!(error.contains("najda journal rebuild"), "{error}");
    assert_eq!(journal("rebuild", &dir, &[]).unwrap(), ExitCode::SUCCESS);
    assert_eq!(journal("query", &dir, &[]).unwrap(), ExitCode::SUCCESS);
    assert_eq!(rows(), kept, "made again from the journal alone, they are the rows the engine kept");
    drop(folder);
}

#[test]
fn a_folder_without_a_journal_is_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    for command in ["query", "rebuild", "replay", "verify"] {
        assert!(journal(command, folder.path(), &[]).unwrap_err().to_string().contains("no journal in"));
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

// --- journals written by hand ---

fn contact() -> Contact {
    let key = ContactKey { gateway: name("g"), gateway_ref: "a".into() };
    let mut contact = Contact::new(ContactId(7), key, Timestamp::from_secs(1_700_000_000), Door::Sms);
    contact.signals.push(Signal::Words("fire".into()));
    contact
}

fn decided(set: &Set, number: u64, states: States) -> DecisionRecord {
    let snapshot = Snapshot { tables: Arc::clone(&set.tables), states: Arc::new(states), number };
    record(&set.tables, &route(&snapshot, &contact(), contact().received))
}

fn arrived(decision: DecisionRecord) -> Fact {
    Fact::Arrived { at: contact().received, contact: Arc::new(contact()), decision: Arc::new(decision), states: Vec::new() }
}

fn replayed(facts: &[Fact]) -> Vec<Outcome> {
    let (mut replay, set) = (Replay::default(), Set::testland());
    let mut tables = |version| (version == set.tables.version).then(|| Arc::clone(&set.tables));
    facts.iter().zip(1..).filter_map(|(fact, seq)| replay.fact(seq, fact, &mut tables)).collect()
}

#[test]
fn a_decision_is_made_again_under_the_states_of_its_own_snapshot() {
    let set = Set::testland();
    let calm = decided(&set, 2, States::of(&set.tables, &[]));
    let room = calm.services[0].dispatcher;
    let gone = decided(&set, 3, States::of(&set.tables, &[(room, DispatcherState::Unreachable)]));
    assert_ne!(calm.services, gone.services);
    let (at, by) = (contact().received, name("ops"));
    let tables = Fact::Tables { at, version: set.tables.version, by };
    let state = |state| Fact::State { at, dispatcher: room, state, by };
    // The decision of snapshot 2 reaches the journal after the state that made snapshot 3, and that of 3 after 4.
    let facts = [tables, state(DispatcherState::Unreachable), arrived(calm.clone()), state(DispatcherState::Active), arrived(gone.clone())];
    assert_eq!(replayed(&facts), [Outcome::Same, Outcome::Same]);
    // Under the wrong number it would come out otherwise, and that is seen.
    let wrong = arrived(DecisionRecord { snapshot: 4, ..gone });
    let outcomes = replayed(&[facts[0].clone(), facts[1].clone(), facts[3].clone(), wrong]);
    assert!(matches!(&outcomes[..], [Outcome::Differs(_)]), "{outcomes:?}");
}

#[test]
fn a_decision_that_was_changed_is_found_with_its_field_and_ends_the_command_with_one() {
    let set = Set::testland();
    let right = decided(&set, 1, States::of(&set.tables, &[]));
    let altered = DecisionRecord { quiet: !right.quiet, ..right.clone() };
    let [Outcome::Differs(difference)] = &replayed(&[arrived(altered.clone())])[..] else { panic!("it differs") };
    let fields: Vec<&str> = difference.fields.iter().map(|(field, ..)| *field).collect();
    assert_eq!((difference.seq, fields), (1, vec!["quiet"]));

    for (decision, code) in [(right, ExitCode::SUCCESS), (altered, ExitCode::FAILURE)] {
        let folder = tempfile::tempdir().unwrap();
        let store = EmbeddedStore::open(Config::new(folder.path()), Box::new(|_| {})).unwrap();
        let claim = store.claim(Partition::default()).unwrap();
        store.put_blob(BlobName(set.tables.version.0), &set.bytes).unwrap();
        let (fact, mut bytes) = (arrived(decision), Vec::new());
        encode_fact(&fact, &mut bytes).unwrap();
        store.append(Batch::new(&claim, vec![Entry::of(1, &fact, bytes)]).unwrap()).unwrap();
        store.close();
        assert_eq!(journal("replay", folder.path(), &[]).unwrap(), code);
        assert_eq!(journal("verify", folder.path(), &[]).unwrap(), ExitCode::SUCCESS, "the chain holds what was written, right or wrong");
    }
}

#[test]
fn a_decision_written_again_after_a_loss_under_states_that_were_lost_is_unprovable_and_not_called_different() {
    let set = Set::testland();
    let calm = decided(&set, 2, States::of(&set.tables, &[]));
    let room = calm.services[0].dispatcher;
    // The state that made snapshot 3 is among the lost entries; the decision made under it was written again.
    let gone = decided(&set, 3, States::of(&set.tables, &[(room, DispatcherState::Unreachable)]));
    assert_ne!(calm.services, gone.services);
    let tables = Fact::Tables { at: contact().received, version: set.tables.version, by: name("start") };
    for (lost, proven) in [(true, false), (false, true)] {
        let mut replay = Replay::default();
        let mut known = |_| Some(Arc::clone(&set.tables));
        assert_eq!(replay.fact(1, &tables, &mut known), None);
        if lost {
            replay.lost();
        }
        let outcome = replay.fact(9, &arrived(gone.clone()), &mut known).unwrap();
        assert_eq!(matches!(outcome, Outcome::Differs(_)), proven, "{outcome:?}");
        assert_eq!(outcome == Outcome::Unprovable, lost, "{outcome:?}");
        // A decision that comes out the same needs no excuse.
        let mut replay = Replay::default();
        replay.fact(1, &tables, &mut known);
        replay.lost();
        assert_eq!(replay.fact(9, &arrived(calm.clone()), &mut known), Some(Outcome::Same));
    }
}

/// A journal of three files, noted once more by a later opening, so that its end is known.
fn three_files(folder: &Path) -> Vec<PathBuf> {
    let config = || Config { segment_bytes_max: 40_000, ..Config::new(folder) };
    let set = Set::testland();
    let fact = arrived(decided(&set, 1, States::of(&set.tables, &[])));
    let mut bytes = Vec::new();
    encode_fact(&fact, &mut bytes).unwrap();
    let (hear, heard) = crossbeam::channel::bounded(10_000);
    let store = EmbeddedStore::open(config(), Box::new(move |notice| drop(hear.send(notice)))).unwrap();
    let claim = store.claim(Partition::default()).unwrap();
    for seq in 1..=150 {
        store.append(Batch::new(&claim, vec![Entry::of(seq, &fact, bytes.clone())]).unwrap()).unwrap();
        while !matches!(heard.recv().unwrap(), Notice::Durable(receipt) if receipt.through_seq() == seq) {}
    }
    store.close();
    let again = EmbeddedStore::open(config(), Box::new(|_| {})).unwrap();
    again.claim(Partition::default()).unwrap();
    again.close();
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let mut files: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|end| end == "db")).collect();
    files.sort();
    assert!(files.len() >= 3, "{files:?}");
    files
}

/// Two whole rows change places.
const REORDERED: &str = "UPDATE log_0 SET seq = -1 WHERE seq = 146;
    UPDATE log_0 SET seq = 146 WHERE seq = 147;
    UPDATE log_0 SET seq = 147 WHERE seq = -1";

#[test]
fn the_command_finds_and_names_every_kind_of_tampering_with_the_real_files() {
    let sql = |statement: &'static str| {
        move |files: &[PathBuf]| {
            let conn = rusqlite::Connection::open(files.last().unwrap()).unwrap();
            conn.execute_batch(statement).unwrap();
        }
    };
    type Tamper = Box<dyn Fn(&[PathBuf])>;
    let cases: [(Tamper, &str); 6] = [
        (Box::new(sql("UPDATE log_0 SET bytes = CAST(X'00' || substr(bytes, 2) AS BLOB) WHERE seq = 148")), "entry 148 was altered"),
        (Box::new(sql("DELETE FROM log_0 WHERE seq = 147")), "entry 147 is missing"),
        (Box::new(sql(REORDERED)), "entry 146 was altered"),
        (Box::new(sql("DELETE FROM log_0 WHERE seq > 148")), "the journal ends before entry 150, which was held"),
        (Box::new(|files: &[PathBuf]| std::fs::remove_file(&files[1]).unwrap()), "are missing"),
        (Box::new(|files: &[PathBuf]| std::fs::remove_file(&files[0]).unwrap()), "entries 1 to "),
    ];
    let verified = |folder: &Path| {
        let output = assert_cmd::Command::cargo_bin("najda").unwrap().args(["journal", "verify", "--dir"]).arg(folder).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    for (tamper, named) in cases {
        let folder = tempfile::tempdir().unwrap();
        let files = three_files(folder.path());
        let (code, said) = verified(folder.path());
        assert!(code == Some(0) && said.contains("the chain holds"), "{said}");
        tamper(&files);
        let (code, said) = verified(folder.path());
        assert!(code == Some(1) && said.contains(named) && said.contains("NOT hold"), "wanted {named:?}: {said}");
    }
}

#[test]
fn a_decision_under_tables_that_are_gone_is_counted_and_not_called_the_same() {
    let set = Set::testland();
    let mut decision = decided(&set, 1, States::of(&set.tables, &[]));
    decision.tables.0[0] ^= 1;
    assert_eq!(replayed(&[arrived(decision.clone())]), [Outcome::NoTables(decision.tables)]);
}
