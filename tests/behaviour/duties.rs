//! Who may do what: dispatchers, supervisors and auditors, and what is written down of those who only look. Units on their way.

use najda::deliver::{ConsoleHears, ConsoleSays, Duty, Fact, OfferId, Refusal, Role, Seat};
use najda::engine::Input;
use najda::units::{ContactId, Name};

use crate::stage::{Stage, name, usual_rooms};

fn stage() -> Stage {
    let mut stage = Stage::new();
    stage.disk_is_fast = true;
    stage
}

fn refusals(heard: &[ConsoleHears]) -> Vec<Refusal> {
    heard.iter().filter_map(|hears| if let ConsoleHears::Refused { why, .. } = hears { Some(*why) } else { None }).collect()
}

fn reads(stage: &Stage) -> Vec<(ContactId, Seat, Duty)> {
    let one = |fact: &Fact| if let Fact::Read { contact, by, duty, .. } = fact { Some((*contact, *by, *duty)) } else { None };
    stage.facts.iter().filter_map(|(_, fact)| one(fact)).collect()
}

fn seat(room: &str, seat: &str) -> Seat {
    Seat { dispatcher: name(room), seat: name(seat) }
}

// --- reads ---

#[test]
fn who_looks_at_what_another_holds_is_written_down_once() {
    let mut stage = stage();
    let [holder, other] = ["1", "2"].map(|seat| stage.console("DU-POL", seat));
    let offer = stage.arrive("a", "POL: DU-POL")[0];
    let contact = offer.contact;
    stage.take(holder, offer);
    stage.say(holder, ConsoleSays::Read { contact });
    assert!(reads(&stage).is_empty(), "one's own work is no read");
    for _ in 0..2 {
        stage.say(other, ConsoleSays::Read { contact });
    }
    assert_eq!(reads(&stage), [(contact, seat("DU-POL", "2"), Duty::Dispatcher)]);
    stage.crash(&usual_rooms());
    let other = stage.console("DU-POL", "2");
    stage.say(other, ConsoleSays::Read { contact });
    assert_eq!(reads(&stage).len(), 1, "a restart knows it");
}

#[test]
fn nobody_reads_what_their_room_does_not_see() {
    let mut stage = stage();
    let [_, stranger] = ["DU-POL", "SH-POL"].map(|room| stage.console(room, "1"));
    let contact = stage.arrive("a", "POL: DU-POL")[0].contact;
    stage.heard(stranger);
    stage.say(stranger, ConsoleSays::Read { contact });
    stage.say(stranger, ConsoleSays::Read { contact: ContactId(999) });
    assert_eq!((refusals(&stage.heard(stranger)), reads(&stage).len()), (vec![Refusal::NotYours, Refusal::Unknown], 0));
}

#[test]
fn another_system_that_was_shown_a_contact_is_written_down() {
    let mut stage = stage();
    let contact = stage.arrive("a", "POL: DU-POL")[0].contact;
    let by = seat("DU-POL", "cad");
    for contact in [contact, contact, ContactId(999)] {
        stage.input(Input::Read { contact, by, duty: Duty::System });
    }
    assert_eq!(reads(&stage), [(contact, by, Duty::System)]);
    assert_eq!(stage.engine.counters().reads, 1);
}

// --- auditors ---

#[test]
fn an_auditor_is_shown_every_real_contact_and_each_is_written_down_as_read() {
    let mut stage = stage();
    let first = stage.arrive("a", "POL: DU-POL; AMB: DU-AMB");
    let auditor = stage.auditor("huda");
    let police = stage.console("DU-POL", "1");
    let second = stage.arrive("b", "POL: SH-POL")[0];
    let mut test = stage.contact("gw", "t");
    test.load_test = true;
    let test = stage.arrive_as(test, crate::stage::decision("POL: DU-POL"));
    for offer in first.iter().chain([&second]) {
        let shown = stage.shown(auditor, *offer).expect("whatever room it is of");
        assert_eq!((shown.role, shown.rings), (Role::Audit, false));
    }
    assert!(!stage.sees(auditor, test[0]));
    let huda = Seat { dispatcher: Name::default(), seat: name("huda") };
    assert_eq!(reads(&stage), [(first[0].contact, huda, Duty::Auditor), (second.contact, huda, Duty::Auditor)]);
    stage.heard(auditor);
    stage.take(police, first[0]);
    let by = seat("DU-POL", "1");
    assert!(stage.heard(auditor).contains(&ConsoleHears::Taken { offer: first[0], by }));
    stage.leave(auditor);
    stage.arrive("c", "POL: DU-POL");
    assert_eq!(reads(&stage).len(), 2, "who is gone reads nothing");
}

#[test]
fn an_auditor_can_do_nothing_and_stands_at_no_desk() {
    let mut stage = stage();
    let auditor = stage.auditor("huda");
    let offer = stage.arrive("a", "POL: DU-POL")[0];
    let OfferId { contact, .. } = offer;
    stage.heard(auditor);
    let reason = || "x".into();
    let commands = [
        ConsoleSays::Take { offer },
        ConsoleSays::Accept { offer },
        ConsoleSays::Dispatched { offer },
        ConsoleSays::Close { offer, reason: reason() },
        ConsoleSays::Decline { offer, reason: reason() },
        ConsoleSays::Note { contact, text: reason() },
        ConsoleSays::Say { contact, text: reason() },
        ConsoleSays::Join { contact, with: contact },
        ConsoleSays::Split { contact },
    ];
    let count = commands.len();
    commands.into_iter().for_each(|says| stage.say(auditor, says));
    assert_eq!(refusals(&stage.heard(auditor)), vec![Refusal::Forbidden; count]);
    assert!(!stage.engine.is_staffed(name("DU-POL")) && stage.engine.alarm(offer).is_some(), "an auditor's eyes answer nobody");
}

#[test]
fn an_auditor_who_has_not_signed_in_is_shown_nothing() {
    let mut stage = stage();
    let auditor = stage.auditor("huda");
    stage.say(auditor, ConsoleSays::SignOut);
    stage.heard(auditor);
    stage.arrive("a", "POL: DU-POL");
    assert!(stage.heard(auditor).is_empty() && reads(&stage).is_empty());
}

// --- supervisors ---

#[test]
fn a_supervisor_does_what_a_dispatcher_does_and_is_on_record_as_one() {
    let mut stage = stage();
    let chief = stage.supervisor("DU-POL", "chief");
    let other = stage.console("DU-POL", "1");
    let offer = stage.arrive("a", "POL: DU-POL")[0];
    stage.take(chief, offer);
    stage.accept(chief, offer);
    assert_eq!(stage.contacts()[0].offers[0].accepted, Some(seat("DU-POL", "chief")));
    let second = stage.arrive("b", "POL: DU-POL")[0];
    stage.take(other, second);
    stage.say(chief, ConsoleSays::Read { contact: second.contact });
    assert_eq!(reads(&stage), [(second.contact, seat("DU-POL", "chief"), Duty::Supervisor)]);
}

// --- units on their way ---

#[test]
fn units_are_on_their_way_when_the_holder_says_so_after_accepting_and_the_journal_holds_it() {
    let mut stage = Stage::new();
    let [police, ambulance] = ["DU-POL", "DU-AMB"].map(|room| stage.console(room, "1"));
    let offers = stage.arrive("a", "POL: DU-POL; AMB: DU-AMB");
    let offer = offers[0];
    stage.take(police, offer);
    stage.say(police, ConsoleSays::Dispatched { offer });
    stage.accept(police, offer);
    stage.store();
    assert_eq!(refusals(&stage.heard(police)), [Refusal::OutOfTurn], "not before help was accepted");
    stage.heard(ambulance);
    stage.say(police, ConsoleSays::Dispatched { offer });
    assert!(stage.heard(police).is_empty(), "not before the disk has it");
    stage.store();
    let by = seat("DU-POL", "1");
    assert_eq!(stage.heard(police), [ConsoleHears::Dispatched { offer, by }]);
    let shares = stage
        .heard(ambulance)
        .into_iter()
        .find_map(|hears| if let ConsoleHears::Shares { shares, .. } = hears { Some(shares) } else { None });
    assert!(shares.expect("the other service hears of it")[0].dispatched);
    stage.say(police, ConsoleSays::Dispatched { offer });
    assert_eq!(stage.facts.iter().filter(|(_, fact)| matches!(fact, Fact::Dispatched { .. })).count(), 1, "said twice, done once");
    stage.crash(&usual_rooms());
    assert_eq!(stage.contacts()[0].offers[0].dispatched, Some(by));
    let late = stage.console("DU-POL", "2");
    assert!(stage.shown(late, offer).unwrap().dispatched);
}
