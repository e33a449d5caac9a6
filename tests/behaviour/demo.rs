//! The demo's day against the shipped tables, and the demo itself as a stranger starts it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::sync::Arc;

use assert_cmd::Command;
use najda::cli::demo::script::{Row, Today, Verdict, day, parse};
use najda::deliver::{Fact, OfferId};
use najda::edge::store::embedded::JournalReader;
use najda::edge::tables::load_or_shipped;
use najda::route::{record, route};
use najda::tables::snapshot::{Snapshot, Tables};
use najda::units::{Name, Timestamp};
use najda::wire::frame::decode_fact;
use serde_json::Value;

/// A Tuesday in the year of the test phones' window.
const NOW: Timestamp = Timestamp::from_secs(1_780_000_000);

fn tables() -> Arc<Tables> {
    load_or_shipped(None).unwrap().tables
}

fn row(csv: &str) -> Row {
    let header = "place,lat,lon,uncertainty_m,door,dialled,mast,lang,text,area,lead,line,silent_s,late_lat,late_lon\n";
    parse(format!("{header}{csv}\n").as_bytes()).unwrap().remove(0)
}

#[test]
fn every_row_of_the_day_reaches_the_room_that_ought_to_answer() {
    let tables = tables();
    let snapshot = Snapshot::of(Arc::clone(&tables));
    let (mut wrong, mut told) = (Vec::new(), 0);
    for row in day().unwrap() {
        let contact = row.contact(row.trunk(0), "day");
        let decision = record(&tables, &route(&snapshot, &contact, NOW));
        let lead = decision.services.iter().find(|assigned| assigned.lead).map(|lead| lead.dispatcher);
        match row.verdict(&tables, &decision) {
            Verdict::Led => {}
            Verdict::Told => told += 1,
            Verdict::Wrong => wrong.push(format!("{}: {lead:?} leads; {}", row.place, decision.reasons.join("; "))),
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
    // Only a caller on a line between two emirates may cost a hand-off.
    assert!(told <= 2, "{told} rows are led by another room");
}

/// Goal: the story is one. Method: what the engine keeps of the contact, once the phone has said where it is, is routed again.
#[test]
fn a_phone_of_the_day_finds_out_late_that_it_is_over_a_border() {
    let tables = tables();
    let snapshot = Snapshot::of(Arc::clone(&tables));
    let rows = day().unwrap();
    let late: Vec<&Row> = rows.iter().filter(|row| row.late_evidence().is_some()).collect();
    assert!(!late.is_empty());
    for row in late {
        let mut contact = Arc::new(row.contact(row.trunk(0), "day"));
        let before = record(&tables, &route(&snapshot, &contact, NOW));
        najda::engine::merge_evidence(&mut contact, &row.late_evidence().unwrap());
        let after = record(&tables, &route(&snapshot, &contact, NOW));
        assert_eq!((row.verdict(&tables, &before), row.verdict(&tables, &after)), (Verdict::Told, Verdict::Led), "{}", row.place);
        assert!(before.area != after.area && after.area == row.area, "{}", row.place);
    }
}

#[test]
fn the_day_knows_every_emirate_five_services_six_languages_and_callers_without_words() {
    let rows = day().unwrap();
    assert!(rows.len() >= 60, "{} places", rows.len());
    let areas: BTreeSet<Name> = rows.iter().filter_map(|row| row.area).collect();
    assert_eq!(areas.len(), 7);
    assert!(rows.iter().map(|row| row.lead).collect::<BTreeSet<_>>().len() >= 5);
    assert!(rows.iter().filter(|row| row.words.is_none()).count() >= 3);
    let places: BTreeSet<&str> = rows.iter().map(|row| &*row.place).collect();
    assert_eq!(places.len(), rows.len(), "each place once");
    for exclave in ["Hatta", "Masfout", "Manama", "Kalba", "Khor Fakkan", "Dibba Al-Hisn", "Nahwa"] {
        assert!(places.iter().any(|place| place.contains(exclave)), "{exclave}");
    }
}

#[test]
fn every_trunk_of_the_day_is_in_the_tables() {
    let tables = tables();
    for row in day().unwrap() {
        for n in 0..4 {
            assert!(tables.identities.trunk(row.trunk(n)).is_some(), "{}: {}", row.place, row.trunk(n));
        }
    }
}

/// Goal: the comparison is fair. Method: one row for each way in which the number dialled and the mast decide today.
#[test]
fn today_the_number_names_the_service_and_the_mast_the_emirate() {
    let tables = tables();
    let check = |csv: &str, room: Option<&str>, hand_offs: u32| {
        let row = row(csv);
        let today = match row.today(&tables) {
            Today::Room(index) => Some(tables.dispatcher_id(index).to_string()),
            Today::Abroad | Today::Chance => None,
        };
        assert_eq!((today.as_deref(), row.hand_offs_today(&tables)), (room, hand_offs), "{csv}");
    };
    check("right,25.2,55.3,20,sip-voice,999,AE-DU,en,robbery,AE-DU,police", Some("DU-POL"), 0);
    check("wrong service,25.2,55.3,20,sip-voice,999,AE-DU,en,fire,AE-DU,civil_defence", Some("DU-POL"), 1);
    check("wrong mast,25.2,55.3,20,sip-voice,999,AE-SH,en,robbery,AE-DU,police", Some("SH-POL"), 1);
    check("998 in Dubai is the police,25.2,55.3,20,sip-voice,998,AE-DU,en,pain,AE-DU,ambulance", Some("DU-POL"), 1);
    check("one ambulance room for five emirates,25.4,55.5,20,sip-voice,998,AE-SH,en,pain,AE-AJ,ambulance", Some("SH-AMB"), 0);
    check("fire,25.2,55.3,20,sip-voice,997,AE-DU,en,fire,AE-DU,civil_defence", Some("DU-FIR"), 0);
    check("a panel,25.2,55.3,20,fire-panel,,AE-AZ,en,smoke,AE-DU,civil_defence", Some("AZ-FIR"), 1);
    check("a mast abroad,25.2,55.3,20,sip-voice,999,,en,robbery,AE-DU,police", None, 1);
    check("nobody can know,,,,sip-voice,999,,en,robbery,-,police", None, 0);
}

#[test]
fn a_bad_row_of_a_day_is_named() {
    let bad = parse(b"place,door,lead\nx,sip-voice,police\ny,pigeon,police\n").unwrap_err();
    assert!(format!("{bad:#}").contains("line 3") && format!("{bad:#}").contains("pigeon"), "{bad:#}");
}

/// What a demo of so many seconds prints; `arguments` beside `--json`.
fn summary(arguments: &[&str]) -> Value {
    let output = Command::cargo_bin("najda").unwrap().arg("demo").arg("--json").args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_str(said.trim()).unwrap()
}

fn count(summary: &Value, key: &str) -> u64 {
    summary.get(key).and_then(Value::as_u64).unwrap_or_else(|| panic!("{key} of {summary}"))
}

#[test]
fn a_demo_of_five_seconds_loses_and_misroutes_nobody() {
    let summary = summary(&["--seconds", "5"]);
    assert_eq!((count(&summary, "lost"), count(&summary, "misrouted")), (0, 0), "{summary}");
    let sent = count(&summary, "sent");
    assert!(sent >= 60, "{summary}");
    for key in ["decided", "durable", "accepted", "ended"] {
        assert_eq!(count(&summary, key), sent, "{key} of {summary}");
    }
    let emirates = summary["by_emirate"].as_object().unwrap().keys().filter(|area| area.starts_with("AE-")).count();
    assert_eq!(emirates, 7, "{summary}");
    assert!(summary["by_service"].as_object().unwrap().len() >= 5, "{summary}");
    assert_eq!(summary["duplicates"]["sent"], summary["duplicates"]["merged"], "{summary}");
    // Whether it moves or is proposed depends on who is quicker, the phone or the first room.
    assert!(count(&summary["late_fixes"], "reported") > 0, "{summary}");
    assert!(count(&summary["hand_offs"], "today") > 10 * count(&summary["hand_offs"], "najda"), "{summary}");
}

#[test]
fn a_demo_whose_engine_and_busiest_room_are_killed_loses_nobody() {
    let summary = summary(&["--seconds", "6", "--drill", "--seed", "2"]);
    assert_eq!((count(&summary, "lost"), count(&summary, "misrouted")), (0, 0), "{summary}");
    assert_eq!((count(&summary, "engine_restarts"), count(&summary, "rooms_killed")), (1, 1), "{summary}");
    assert_eq!(summary["recovery_ms"].as_array().unwrap().len(), 1, "{summary}");
    assert!(count(&summary, "accepted_elsewhere") > 0, "{summary}");
}

/// Goal: a person who has seen enough loses no call by leaving. Method: the signal that Ctrl-C sends, in the middle of the day.
#[test]
fn ctrl_c_lets_every_open_contact_end_before_the_summary() {
    let program = assert_cmd::cargo::cargo_bin("najda");
    let mut demo = std::process::Command::new(program)
        .args(["demo", "--plain"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(demo.stderr.take().unwrap()).lines().map_while(Result::ok);
    let playing = said.by_ref().find(|line| line.contains(" open ") && !line.contains("sent 0"));
    assert!(playing.is_some(), "the demo ended before it played");
    assert!(std::process::Command::new("kill").args(["-INT", &demo.id().to_string()]).status().unwrap().success());
    assert!(said.any(|line| line.contains("waiting for every open contact to end")));
    let output = demo.wait_with_output().unwrap();
    let summary = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && summary.contains("lost 0, misrouted 0"), "{summary}");
}

/// What the journal in a demo's folder says, counted another way than the report does.
#[derive(Debug, Default, PartialEq)]
struct Counted {
    contacts: u64,
    taken: Vec<u64>,
    by_room: BTreeMap<String, u64>,
    ended: u64,
    joined_by_callers: u64,
}

fn counted(state: &std::path::Path) -> Counted {
    let reader = JournalReader::open(state.join("engine/journal")).unwrap();
    let mut facts = Vec::new();
    for partition in reader.partitions() {
        let mut from_seq = Some(1);
        while let Some(seq) = from_seq {
            let page = reader.read(partition, seq, 1_000).unwrap();
            facts.extend(page.entries.iter().map(|entry| decode_fact(&entry.bytes).unwrap()));
            from_seq = page.next_seq;
        }
    }
    let mut found = Counted::default();
    for fact in &facts {
        let Fact::Arrived { at, contact, decision, .. } = fact else { continue };
        found.contacts += 1;
        let lead = decision.services.iter().find(|assigned| assigned.lead).unwrap().service;
        let offer = OfferId { contact: contact.id, service: lead };
        let takes = facts.iter().filter_map(|fact| match fact {
            Fact::Taken { at: taken, offer: of, .. } if *of == offer => Some(taken.micros_since(*at)),
            _ => None,
        });
        found.taken.extend(takes.take(1));
    }
    for fact in &facts {
        match fact {
            Fact::Taken { seat, .. } => *found.by_room.entry(seat.dispatcher.to_string()).or_default() += 1,
            Fact::Ended { .. } => found.ended += 1,
            Fact::Joined { seat: None, .. } => found.joined_by_callers += 1,
            _ => {}
        }
    }
    found.taken.sort_unstable();
    found
}

#[test]
fn a_day_of_the_demo_ends_in_a_report_that_says_what_the_journal_says() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("demo");
    summary(&["--seconds", "3", "--state", state.to_str().unwrap()]);
    let report = |arguments: &[&str]| {
        let engine = state.join("engine");
        let output = Command::cargo_bin("najda").unwrap().arg("report").arg("--state").arg(engine).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let found = counted(&state);
    let said: Value = serde_json::from_str(&report(&["--format", "json"])).unwrap();
    assert!(found.contacts > 30, "{found:?}");
    assert_eq!(count(&said, "contacts"), found.contacts);
    assert_eq!(count(&said["to_take"], "count"), found.taken.len() as u64);
    let p95 = found.taken[(found.taken.len() as f64 * 0.95).ceil() as usize - 1] as f64 / 1e6;
    assert!((said["to_take"]["p95_s"].as_f64().unwrap() - p95).abs() < 0.02, "{p95} in {said}");
    assert_eq!(said["ended"].as_object().unwrap().values().filter_map(Value::as_u64).sum::<u64>(), found.ended);
    assert_eq!(count(&said, "called_again"), found.joined_by_callers);
    let rooms = said["rooms"].as_array().unwrap().iter();
    let taken = rooms.map(|row| (row["room"].as_str().unwrap().to_owned(), row["taken"].as_u64().unwrap())).filter(|(_, taken)| *taken > 0);
    assert_eq!(taken.collect::<BTreeMap<_, _>>(), found.by_room);
    assert!(report(&[]).contains("taken within 15 s"));
    assert_eq!(report(&["--format", "csv"]).lines().count(), 1 + said["rooms"].as_array().unwrap().len());
    let page = report(&["--format", "html"]);
    assert!(page.contains("<svg") && !page.contains("http"), "the page asks nobody for anything");
    assert_eq!(count(&serde_json::from_str(&report(&["--format", "json", "--since", "2100-01-01"])).unwrap(), "contacts"), 0);
    let log = std::fs::read_to_string(state.join("engine/access.jsonl")).unwrap();
    assert_eq!(log.lines().filter(|line| line.contains(r#""command":"report""#)).count(), 5, "who read it is on record: {log}");
}
