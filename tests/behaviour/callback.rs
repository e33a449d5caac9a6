//! Callers who are gone: the task, its clock, and how it ends.

use najda::deliver::{
    AskedWhy, Callback, CallbackOutcome, ConsoleHears, ConsoleSays, Ending, Fact, GatewayHears, HangUp, OfferId, Refusal, Seat,
};
use najda::engine::SessionId;
use najda::limits::ALARM_WAIT_MICROS_MAX;

use crate::stage::{SECOND, Stage, TAKE, name, usual_rooms, words};

const LINE: &str = "+971500000001";

fn refused(heard: &[ConsoleHears]) -> Vec<Refusal> {
    heard.iter().filter_map(|hears| if let ConsoleHears::Refused { why, .. } = hears { Some(*why) } else { None }).collect()
}

fn callback_on(stage: &Stage, session: SessionId, offer: OfferId) -> Option<Callback> {
    stage.shown(session, offer)?.callback
}

/// A caller of `decided` who was gone, by `why`, before anyone had taken it.
fn gone(stage: &mut Stage, decided: &str, why: HangUp) -> (SessionId, SessionId, Vec<OfferId>) {
    stage.disk_is_fast = true;
    let (gateway, console) = (stage.gateway("gw"), stage.console("DU-POL", "1"));
    let offers = stage.call_from(LINE, "a", decided);
    stage.pass(3 * SECOND);
    stage.hang_up(gateway, "a", why);
    (gateway, console, offers)
}

#[test]
fn who_hangs_up_before_anyone_has_taken_it_is_to_be_called_back_from_that_moment() {
    let mut stage = Stage::new();
    let (_, console, offers) = gone(&mut stage, "POL: DU-POL", HangUp::Caller);
    let callback = Callback { why: HangUp::Caller, since: stage.now, number: Some(name(LINE)), outcome: None };
    assert_eq!(callback_on(&stage, console, offers[0]), Some(callback));
    assert!(stage.heard(console).contains(&ConsoleHears::CallerHungUp { contact: offers[0].contact, why: HangUp::Caller }));
    assert_eq!((stage.engine.callbacks_waiting(), stage.engine.callback_oldest()), (1, Some(stage.now)));
}

#[test]
fn a_broken_line_and_a_silent_one_are_called_back_as_well() {
    for why in [HangUp::LineDropped, HangUp::Silent] {
        let mut stage = Stage::new();
        let (_, console, offers) = gone(&mut stage, "POL: DU-POL", why);
        assert_eq!(callback_on(&stage, console, offers[0]).map(|callback| callback.why), Some(why));
    }
}

#[test]
fn without_a_line_the_task_says_that_there_is_no_number() {
    let mut stage = Stage::new();
    let (gateway, console) = (stage.gateway("gw"), stage.console("DU-POL", "1"));
    let offers = stage.arrive("a", "POL: DU-POL");
    stage.hang_up(gateway, "a", HangUp::Caller);
    assert_eq!(callback_on(&stage, console, offers[0]).map(|callback| callback.number), Some(None));
}

#[test]
fn who_was_taken_or_answered_and_hangs_up_is_not_called_back_unless_the_line_broke() {
    for (answered, why, expected) in [
        (false, HangUp::Caller, None),
        (true, HangUp::Caller, None),
        (false, HangUp::LineDropped, Some(HangUp::LineDropped)),
        (true, HangUp::LineDropped, Some(HangUp::LineDropped)),
    ] {
        let mut stage = Stage::new();
        let (gateway, console) = (stage.gateway("gw"), stage.console("DU-POL", "1"));
        let offers = stage.call_from(LINE, "a", "POL: DU-POL");
        if answered {
            let key = stage.key("a");
            stage.input(najda::engine::Input::Answered { session: gateway, key, dispatcher: name("DU-POL") });
        } else {
            stage.take(console, offers[0]);
        }
        stage.hang_up(gateway, "a", why);
        assert_eq!(callback_on(&stage, console, offers[0]).map(|callback| callback.why), expected, "answered {answered}, {why:?}");
    }
}

#[test]
fn one_that_was_given_back_was_taken_once_and_is_no_task() {
    let mut stage = Stage::new();
    let (gateway, console) = (stage.gateway("gw"), stage.console("DU-POL", "1"));
    let offers = stage.call_from(LINE, "a", "POL: DU-POL");
    stage.take(console, offers[0]);
    stage.say(console, ConsoleSays::Release { offer: offers[0] });
    stage.hang_up(gateway, "a", HangUp::Caller);
    assert_eq!(callback_on(&stage, console, offers[0]), None);
}

#[test]
fn only_the_share_that_leads_carries_the_task_and_the_others_stay_offers() {
    let mut stage = Stage::new();
    let ambulance = stage.console("DU-AMB", "1");
    let (_, police, offers) = gone(&mut stage, "POL: DU-POL; AMB: DU-AMB", HangUp::Caller);
    assert!(callback_on(&stage, police, offers[0]).is_some());
    assert_eq!(callback_on(&stage, ambulance, offers[1]), None);
    assert!(stage.sees(ambulance, offers[1]), "who hung up may be unable to speak");
}

#[test]
fn a_task_goes_up_the_ladder_like_any_offer() {
    let mut stage = Stage::new();
    let next = stage.console("SH-POL", "1");
    let (_, console, offers) = gone(&mut stage, "POL: DU-POL > SH-POL", HangUp::Caller);
    stage.say(console, ConsoleSays::Shown { offer: offers[0] });
    stage.pass(TAKE);
    assert!(callback_on(&stage, next, offers[0]).is_some());
    assert!(stage.facts.iter().any(|(_, fact)| matches!(fact, Fact::Asked { why: AskedWhy::NoTake, .. })));
    stage.pass(ALARM_WAIT_MICROS_MAX);
    assert!(stage.engine.alarm(offers[0]).is_some());
}

#[test]
fn a_final_outcome_ends_the_contact_exactly_once_and_the_gateway_hears_how() {
    for outcome in CallbackOutcome::ALL.into_iter().filter(|outcome| outcome.is_final()) {
        let mut stage = Stage::new();
        let (gateway, console, offers) = gone(&mut stage, "POL: DU-POL", HangUp::Caller);
        stage.take(console, offers[0]);
        stage.called_back(console, offers[0], outcome);
        stage.called_back(console, offers[0], outcome);
        assert_eq!((stage.endings(), stage.engine.live_contacts()), (vec![Ending::CalledBack], 0), "{outcome:?}");
        let ended = |hears: &GatewayHears| matches!(hears, GatewayHears::Ended { ending: Ending::CalledBack, .. });
        assert_eq!(stage.gateway_heard(gateway).iter().filter(|hears| ended(hears)).count(), 1);
        let heard = stage.heard(console);
        let by = Seat { dispatcher: name("DU-POL"), seat: name("1") };
        assert!(heard.contains(&ConsoleHears::CalledBack { offer: offers[0], by, outcome }));
        assert!(heard.contains(&ConsoleHears::Closed { offer: offers[0], by }));
        assert_eq!((stage.engine.callbacks_waiting(), stage.engine.counters().callbacks_done), (0, 1));
    }
}

#[test]
fn when_help_is_needed_the_contact_goes_on_as_any_other() {
    let mut stage = Stage::new();
    let (_, console, offers) = gone(&mut stage, "POL: DU-POL", HangUp::Caller);
    stage.take(console, offers[0]);
    stage.called_back(console, offers[0], CallbackOutcome::HelpNeeded);
    assert!(stage.endings().is_empty());
    stage.close(console, offers[0]);
    assert_eq!(refused(&stage.heard(console)), [Refusal::OutOfTurn], "help must be sent first");
    stage.accept(console, offers[0]);
    stage.close(console, offers[0]);
    assert_eq!(stage.endings(), [Ending::Closed]);
}

#[test]
fn when_nobody_needs_help_what_nobody_has_taken_closes_and_what_somebody_holds_stays() {
    let mut stage = Stage::new();
    let [ambulance, fire] = ["DU-AMB", "AE-ALL"].map(|room| stage.console(room, "1"));
    let (_, police, offers) = gone(&mut stage, "POL: DU-POL; AMB: DU-AMB; CIV: AE-ALL", HangUp::Caller);
    stage.take(ambulance, offers[1]);
    stage.take(police, offers[0]);
    stage.called_back(police, offers[0], CallbackOutcome::NoHelpNeeded);
    assert!(!stage.sees(fire, offers[2]) && stage.sees(ambulance, offers[1]));
    assert!(stage.endings().is_empty());
    stage.accept(ambulance, offers[1]);
    stage.close(ambulance, offers[1]);
    assert_eq!(stage.endings(), [Ending::Closed], "somebody was helped");
}

#[test]
fn when_nobody_answers_what_others_were_asked_for_stays_open() {
    let mut stage = Stage::new();
    let ambulance = stage.console("DU-AMB", "1");
    let (_, police, offers) = gone(&mut stage, "POL: DU-POL; AMB: DU-AMB", HangUp::Caller);
    stage.take(police, offers[0]);
    stage.called_back(police, offers[0], CallbackOutcome::NoAnswer);
    assert!(stage.sees(ambulance, offers[1]) && stage.endings().is_empty());
}

#[test]
fn a_broken_line_does_not_close_what_help_was_sent_to() {
    let mut stage = Stage::new();
    stage.disk_is_fast = true;
    let (gateway, console) = (stage.gateway("gw"), stage.console("DU-POL", "1"));
    let offers = stage.call_from(LINE, "a", "POL: DU-POL");
    stage.take(console, offers[0]);
    stage.accept(console, offers[0]);
    stage.hang_up(gateway, "a", HangUp::LineDropped);
    stage.called_back(console, offers[0], CallbackOutcome::NoAnswer);
    assert!(stage.endings().is_empty());
    stage.close(console, offers[0]);
    assert_eq!(stage.endings(), [Ending::Closed]);
}

#[test]
fn only_the_holder_of_the_lead_says_what_came_of_it_and_only_of_a_caller_who_is_gone() {
    let mut stage = Stage::new();
    let (gateway, console) = (stage.gateway("gw"), stage.console("DU-POL", "1"));
    let [other, ambulance] = [("DU-POL", "2"), ("DU-AMB", "1")].map(|(room, seat)| stage.console(room, seat));
    let offers = stage.call_from(LINE, "a", "POL: DU-POL; AMB: DU-AMB");
    stage.called_back(console, offers[0], CallbackOutcome::NoAnswer);
    stage.hang_up(gateway, "a", HangUp::Caller);
    stage.take(console, offers[0]);
    stage.take(ambulance, offers[1]);
    stage.called_back(other, offers[0], CallbackOutcome::NoAnswer);
    stage.called_back(ambulance, offers[1], CallbackOutcome::NoAnswer);
    assert_eq!(refused(&stage.heard(console)), [Refusal::OutOfTurn], "nobody held it, nobody was gone");
    assert_eq!(refused(&stage.heard(other)), [Refusal::HeldByAnother]);
    assert_eq!(refused(&stage.heard(ambulance)), [Refusal::OutOfTurn]);
    assert_eq!(stage.engine.callbacks_waiting(), 1);
}

#[test]
fn an_outcome_is_said_only_when_the_disk_holds_it() {
    let mut stage = Stage::new();
    let (gateway, console) = (stage.gateway("gw"), stage.console("DU-POL", "1"));
    let offers = stage.call_from(LINE, "a", "POL: DU-POL");
    stage.hang_up(gateway, "a", HangUp::Caller);
    stage.take(console, offers[0]);
    stage.store();
    stage.called_back(console, offers[0], CallbackOutcome::NoAnswer);
    let said = |heard: Vec<ConsoleHears>| heard.iter().any(|hears| matches!(hears, ConsoleHears::CalledBack { .. }));
    assert!(!said(stage.heard(console)));
    stage.store();
    assert!(said(stage.heard(console)));
}

#[test]
fn the_task_and_its_clock_survive_a_restart_of_tests_too() {
    for test in [false, true] {
        let mut stage = Stage::new();
        stage.disk_is_fast = true;
        let gateway = stage.gateway("gw");
        stage.seat("DU-POL", "1", test);
        let mut contact = stage.contact("gw", "a");
        contact.load_test = test;
        let offers = stage.arrive_as(contact, crate::stage::from_line("POL: DU-POL", LINE, true));
        stage.pass(2 * SECOND);
        stage.hang_up(gateway, "a", HangUp::Silent);
        let since = stage.now;
        stage.pass_in_silence(SECOND);
        stage.crash(&usual_rooms());
        assert_eq!(stage.engine.callback_oldest(), Some(since));
        let console = stage.seat("DU-POL", "1", test);
        assert_eq!(callback_on(&stage, console, offers[0]).map(|callback| (callback.why, callback.since)), Some((HangUp::Silent, since)));
        stage.take(console, offers[0]);
        stage.called_back(console, offers[0], CallbackOutcome::NoAnswer);
        assert_eq!(stage.endings(), [Ending::CalledBack]);
    }
}

#[test]
fn what_the_journal_lost_of_a_callback_is_written_again() {
    let mut stage = Stage::new();
    let (gateway, console) = (stage.gateway("gw"), stage.console("DU-POL", "1"));
    stage.console("DU-AMB", "1");
    let offers = stage.call_from(LINE, "a", "POL: DU-POL; AMB: DU-AMB");
    stage.hang_up(gateway, "a", HangUp::Caller);
    stage.take(console, offers[0]);
    stage.called_back(console, offers[0], CallbackOutcome::NoAnswer);
    stage.lose();
    stage.store();
    stage.pass(SECOND);
    stage.store();
    assert!(stage.engine.is_whole());
    let before = stage.contacts();
    assert_eq!(before[0].callback.and_then(|callback| callback.outcome), Some(CallbackOutcome::NoAnswer));
    stage.crash(&usual_rooms());
    assert_eq!(stage.contacts(), before);
}

#[test]
fn a_caller_who_is_gone_twice_is_one_task_and_late_evidence_keeps_it() {
    let mut stage = Stage::new();
    let sharjah = stage.console("SH-POL", "1");
    let (gateway, console, offers) = gone(&mut stage, "POL: DU-POL", HangUp::Caller);
    let since = stage.now;
    stage.pass(SECOND);
    stage.hang_up(gateway, "a", HangUp::LineDropped);
    stage.evidence("a", words("across the road"));
    stage.redecide("POL: SH-POL");
    assert!(!stage.sees(console, offers[0]));
    let callback = callback_on(&stage, sharjah, offers[0]).map(|callback| (callback.why, callback.since));
    assert_eq!(callback, Some((HangUp::Caller, since)));
    assert_eq!(stage.engine.counters().callbacks, 1);
}
