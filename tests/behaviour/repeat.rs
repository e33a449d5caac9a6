//! A caller who calls again goes first to the person who knows the case.

use najda::deliver::{AlertWhy, ConsoleHears, ConsoleSays, Fact, GatewayHears, HangUp, OfferId, Role, Seat};
use najda::engine::{Input, SessionId};
use najda::limits::REPEAT_WAIT_MICROS_MAX;
use najda::units::{ContactId, Timestamp};

use crate::packs::{decide, testland, uae};
use crate::stage::{SECOND, Stage, TAKE, from_line, name, usual_rooms};

const LINE: &str = "+971500000001";

fn rings(heard: &[ConsoleHears]) -> Vec<AlertWhy> {
    heard.iter().filter_map(|hears| if let ConsoleHears::Alert { why, .. } = hears { Some(*why) } else { None }).collect()
}

fn moved_to(heard: &[GatewayHears]) -> Vec<String> {
    heard
        .iter()
        .filter_map(|hears| if let GatewayHears::Moved { dispatcher, .. } = hears { Some(dispatcher.to_string()) } else { None })
        .collect()
}

fn references(stage: &Stage) -> Vec<(ContactId, Option<Seat>)> {
    let of = |fact: &Fact| if let Fact::Repeated { earlier, seat, .. } = fact { Some((*earlier, *seat)) } else { None };
    stage.facts.iter().filter_map(|(_, fact)| of(fact)).collect()
}

/// A case in Dubai that seat 1 there holds, and the same line calls again from Sharjah.
struct Again {
    stage: Stage,
    gateway: SessionId,
    dubai: SessionId,
    colleague: SessionId,
    sharjah: SessionId,
    first: OfferId,
    second: OfferId,
}

impl Again {
    fn new() -> Self {
        let mut stage = Stage::new();
        stage.disk_is_fast = true;
        let gateway = stage.gateway("gw");
        let [dubai, colleague, sharjah] = [("DU-POL", "1"), ("DU-POL", "2"), ("SH-POL", "1")].map(|(room, seat)| stage.console(room, seat));
        let first = stage.call_from(LINE, "first", "POL: DU-POL")[0];
        stage.take(dubai, first);
        stage.gateway_heard(gateway);
        let second = stage.call_from(LINE, "second", "POL: SH-POL")[0];
        Self { stage, gateway, dubai, colleague, sharjah, first, second }
    }

    fn holder() -> Seat {
        Seat { dispatcher: name("DU-POL"), seat: name("1") }
    }
}

#[test]
fn a_repeat_call_goes_first_to_the_seat_that_holds_the_earlier_one_and_the_ordinary_room_sees_it_at_once() {
    let Again { mut stage, gateway, dubai, colleague, sharjah, first, second } = Again::new();
    let until = stage.now.plus_micros(REPEAT_WAIT_MICROS_MAX);
    for (session, role) in [(dubai, Role::Repeat), (colleague, Role::Repeat), (sharjah, Role::Responsible)] {
        let offer = stage.shown(session, second).expect("everybody who could help sees it");
        let repeat = offer.repeat.expect("it says whose case it is");
        assert_eq!((offer.role, repeat.earlier, repeat.held_by, repeat.until), (role, first.contact, Some(Again::holder()), until));
    }
    assert_eq!(moved_to(&stage.gateway_heard(gateway)), ["DU-POL"]);
    assert_eq!(references(&stage), [(first.contact, Some(Again::holder()))]);
    stage.take(dubai, second);
    stage.pass(TAKE);
    assert!(rings(&stage.heard(sharjah)).is_empty(), "nobody is rung for what another has taken");
}

#[test]
fn after_five_seconds_it_goes_its_own_way() {
    let Again { mut stage, gateway, dubai, sharjah, second, .. } = Again::new();
    stage.gateway_heard(gateway);
    stage.pass(REPEAT_WAIT_MICROS_MAX - 1);
    assert!(rings(&stage.heard(sharjah)).is_empty());
    stage.pass(1);
    assert_eq!(rings(&stage.heard(sharjah)), [AlertWhy::YourTurn]);
    assert_eq!(moved_to(&stage.gateway_heard(gateway)), ["SH-POL"]);
    assert!(stage.sees(dubai, second), "it stays visible to the first");
    stage.take(sharjah, second);
    assert!(stage.contacts()[1].offers[0].holder.is_some());
}

#[test]
fn the_ordinary_room_may_take_it_while_the_holder_is_asked() {
    let Again { mut stage, sharjah, second, .. } = Again::new();
    stage.take(sharjah, second);
    assert_eq!(stage.contacts()[1].offers[0].holder.map(|seat| seat.dispatcher), Some(name("SH-POL")));
}

#[test]
fn the_holder_who_declines_or_whose_voice_path_fails_is_not_waited_for() {
    let Again { mut stage, dubai, sharjah, second, .. } = Again::new();
    stage.say(dubai, ConsoleSays::Decline { offer: second, reason: "busy with the first".into() });
    assert_eq!(rings(&stage.heard(sharjah)), [AlertWhy::YourTurn]);

    let Again { mut stage, gateway, sharjah, .. } = Again::new();
    let key = stage.key("second");
    stage.input(Input::TargetFailed { session: gateway, key, dispatcher: name("DU-POL") });
    assert_eq!(rings(&stage.heard(sharjah)), [AlertWhy::YourTurn]);
}

#[test]
fn the_earlier_contact_is_not_changed() {
    let mut stage = Stage::new();
    let dubai = stage.console("DU-POL", "1");
    let first = stage.call_from(LINE, "first", "POL: DU-POL")[0];
    stage.take(dubai, first);
    let before = stage.contacts();
    stage.call_from(LINE, "second", "POL: SH-POL");
    stage.pass(30 * SECOND);
    assert_eq!(stage.contacts()[..1], before);
}

#[test]
fn the_seat_is_asked_for_the_service_it_holds_and_for_the_lead_where_it_holds_none_of_them() {
    let mut stage = Stage::new();
    let ambulance = stage.console("DU-AMB", "1");
    stage.console("SH-POL", "1");
    stage.console("SH-AMB", "1");
    let first = stage.call_from(LINE, "first", "AMB: DU-AMB")[0];
    stage.take(ambulance, first);
    let both = stage.call_from(LINE, "both", "POL: SH-POL; AMB: SH-AMB");
    assert!(!stage.sees(ambulance, both[0]) && stage.sees(ambulance, both[1]));
    let police = stage.call_from(LINE, "police", "POL: SH-POL");
    assert!(stage.sees(ambulance, police[0]));
}

#[test]
fn a_holder_who_is_not_there_is_not_waited_for_and_the_reference_stands() {
    let mut stage = Stage::new();
    let [dubai, sharjah] = ["DU-POL", "SH-POL"].map(|room| stage.console(room, "1"));
    let first = stage.call_from(LINE, "first", "POL: DU-POL")[0];
    stage.take(dubai, first);
    stage.leave(dubai);
    let second = stage.call_from(LINE, "second", "POL: SH-POL")[0];
    let repeat = stage.shown(sharjah, second).and_then(|offer| offer.repeat).expect("the dispatcher sees whose case it is");
    assert_eq!((repeat.earlier, repeat.held_by, repeat.until), (first.contact, None, Timestamp::default()));
}

#[test]
fn an_earlier_contact_that_nobody_holds_is_named_and_delays_nothing() {
    let mut stage = Stage::new();
    let console = stage.console("DU-POL", "1");
    let gateway = stage.gateway("gw");
    let first = stage.call_from(LINE, "first", "POL: DU-POL")[0];
    stage.hang_up(gateway, "first", HangUp::LineDropped);
    let second = stage.call_from(LINE, "second", "POL: DU-POL")[0];
    let repeat = stage.shown(console, second).and_then(|offer| offer.repeat).expect("it is named");
    assert_eq!((repeat.earlier, repeat.until), (first.contact, Timestamp::default()));
}

#[test]
fn the_newest_held_contact_of_the_line_counts_and_one_that_ended_does_not() {
    let mut stage = Stage::new();
    stage.disk_is_fast = true;
    let console = stage.console("DU-POL", "1");
    let [a, b] = ["a", "b"].map(|gateway_ref| {
        let offer = stage.call_from(LINE, gateway_ref, "POL: DU-POL")[0];
        stage.take(console, offer);
        offer
    });
    stage.call_from(LINE, "c", "POL: DU-POL");
    assert_eq!(references(&stage).last().map(|(earlier, _)| *earlier), Some(b.contact));
    stage.accept(console, b);
    stage.close(console, b);
    stage.call_from(LINE, "d", "POL: DU-POL");
    assert_eq!(references(&stage).last().map(|(earlier, _)| *earlier), Some(a.contact));
}

#[test]
fn lines_of_many_callers_and_callers_without_a_line_are_never_linked_nor_tests_with_people() {
    let mut stage = Stage::new();
    let console = stage.console("DU-POL", "1");
    stage.test_console("DU-POL", "t");
    for (gateway_ref, decided) in [
        ("pilot", from_line("POL: DU-POL", "+97145550110", false)),
        ("anonymous", crate::stage::decision("POL: DU-POL")),
        ("person", from_line("POL: DU-POL", LINE, true)),
    ] {
        let contact = stage.contact("gw", gateway_ref);
        let offer = stage.arrive_as(contact, decided)[0];
        stage.take(console, offer);
    }
    for decided in [from_line("POL: DU-POL", "+97145550110", false), crate::stage::decision("POL: DU-POL")] {
        let contact = stage.contact("gw", "again");
        stage.arrive_as(contact, decided);
    }
    let mut drill = stage.contact("gw", "drill");
    drill.load_test = true;
    stage.arrive_as(drill, from_line("POL: DU-POL", LINE, true));
    assert_eq!(references(&stage), []);
    let mut drill = stage.contact("gw", "drill again");
    drill.load_test = true;
    stage.arrive_as(drill, from_line("POL: DU-POL", LINE, true));
    assert_eq!(references(&stage).len(), 1, "tests are linked with tests");
}

#[test]
fn the_reference_survives_a_restart_and_links_what_comes_after_it() {
    let Again { mut stage, first, second, .. } = Again::new();
    let before = stage.contacts();
    stage.crash(&usual_rooms());
    assert_eq!(stage.contacts(), before);
    let [dubai, sharjah] = ["DU-POL", "SH-POL"].map(|room| stage.console(room, "1"));
    assert_eq!(stage.shown(sharjah, second).and_then(|offer| offer.repeat).map(|repeat| repeat.earlier), Some(first.contact));
    let third = stage.call_from(LINE, "third", "POL: SH-POL")[0];
    assert!(stage.sees(dubai, third), "the holder is back and is asked first");
}

#[test]
fn what_the_journal_lost_of_a_repeat_is_written_again() {
    let mut stage = Stage::new();
    let dubai = stage.console("DU-POL", "1");
    stage.console("SH-POL", "1");
    let first = stage.call_from(LINE, "first", "POL: DU-POL")[0];
    stage.take(dubai, first);
    stage.store();
    stage.call_from(LINE, "second", "POL: SH-POL");
    stage.lose();
    stage.store();
    stage.pass(SECOND);
    stage.store();
    let before = stage.contacts();
    assert!(stage.engine.is_whole() && before[1].repeat.is_some());
    stage.crash(&usual_rooms());
    assert_eq!(stage.contacts(), before);
}

/// Who is one caller and who is not, by the tables.
#[test]
fn only_a_line_of_one_caller_links() {
    let caller = |json: &str| decide(uae(), json).caller.map(|caller| (caller.number.to_string(), caller.links));
    let mobile = Some(("+971500000001".to_owned(), true));
    for line in ["+971500000001", "0500000001", "00971 50 000 0001"] {
        assert_eq!(caller(&format!(r#"{{"id":"1","door":"sip-voice","line":"{line}"}}"#)), mobile, "{line}");
    }
    for (what, line) in [("pilot", "+97145550110"), ("panel", "+97145550120"), ("alarm centre", "+97125550120")] {
        assert_eq!(caller(&format!(r#"{{"id":"1","door":"sip-voice","line":"{line}"}}"#)), Some((line.to_owned(), false)), "{what}");
    }
    let third_party = caller(r#"{"id":"1","door":"fire-panel","line":"+97120000019"}"#);
    assert_eq!(third_party, Some(("+97120000019".to_owned(), false)), "the reporter's line");
    for line in ["anonymous", "356938035643809", "9115551234"] {
        assert_eq!(caller(&format!(r#"{{"id":"1","door":"sip-voice","line":"{line}"}}"#)), None, "{line}");
    }
    assert_eq!(caller(r#"{"id":"1","door":"sip-voice"}"#), None);
    let bank = decide(testland(), r#"{"id":"1","door":"sip-voice","line":"+99920550110"}"#).caller;
    assert_eq!(bank.map(|caller| caller.links), Some(false));
}
