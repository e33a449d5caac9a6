//! `najda read` and `najda explain --as` as a person runs them.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn najda(arguments: &[&str]) -> Output {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/messages");
    Command::new(env!("CARGO_BIN_EXE_najda")).current_dir(folder).args(arguments).output().unwrap()
}

fn lines(output: &Output) -> Vec<Value> {
    String::from_utf8_lossy(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_file_that_cannot_be_read_says_so_and_the_run_goes_on() {
    let output = najda(&["read", "--as", "pidf", "prism.xml", "no-such-file.xml", "crs84-circle.xml"]);
    let found = lines(&output);
    assert_eq!(found.len(), 3);
    assert_eq!((&found[0]["location"]["shape"], &found[2]["location"]["shape"]), (&"Prism".into(), &"Circle".into()));
    assert!(found[1]["error"].as_str().unwrap().contains("no-such-file.xml"));
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn explain_adds_the_decision_to_what_a_message_says() {
    let output = najda(&["explain", "--as", "sip", "--now", "2026-02-01T08:01:00Z", "point-dubai.sip"]);
    let found = lines(&output);
    assert_eq!(found[0]["number"], "999");
    assert_eq!(found[0]["decision"]["area"], "AE-DU");
    assert!(output.status.success());
}

#[test]
fn a_kind_that_does_not_exist_is_told_which_there_are() {
    let output = najda(&["read", "--as", "morse", "x"]);
    let help = String::from_utf8_lossy(&output.stderr);
    assert!(help.contains("aml-sms") && !output.status.success(), "{help}");
}

#[test]
fn an_alert_is_read_at_the_moment_that_is_asked_for() {
    let at = |now: &str| lines(&najda(&["read", "--as", "cap", "--now", now, "panel.cap"]))[0]["outcome"].clone();
    assert_eq!((at("2026-02-01T08:00:00Z"), at("2026-02-02T08:00:00Z")), ("routed".into(), "dropped".into()));
}
