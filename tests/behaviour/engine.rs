//! The rules of a contact's life, one sentence each.

use std::sync::Arc;

use najda::contact::{Contact, Door, Oddity, Signal};
use najda::deliver::{
    AskedWhy, ConsoleHears, ConsoleSays, DispatcherState, Ending, Fact, GatewayHears, HangUp, OfferId, Refusal, Role, Seat, WaitingWhy,
};
use najda::engine::{Alarm, Alarms, Config, Input, SessionId};
use najda::limits;
use najda::service::Service;
use najda::units::{ContactId, Timestamp};

use crate::stage::{SECOND, Stage, TAKE, decision, name, rooms, usual_rooms, words};

fn seat(room: &str, seat: &str) -> Seat {
    Seat { dispatcher: name(room), seat: name(seat) }
}

fn refused(heard: &[ConsoleHears]) -> Vec<Refusal> {
    heard.iter().filter_map(|hears| if let ConsoleHears::Refused { why, .. } = hears { Some(*why) } else { None }).collect()
}

fn taken_by(heard: &[ConsoleHears]) -> Vec<Seat> {
    heard.iter().filter_map(|hears| if let ConsoleHears::Taken { by, .. } = hears { Some(*by) } else { None }).collect()
}

fn waiting_why(heard: &[ConsoleHears]) -> Vec<WaitingWhy> {
    heard.iter().filter_map(|hears| if let ConsoleHears::Waiting { why, .. } = hears { Some(*why) } else { None }).collect()
}

fn asked(stage: &Stage) -> Vec<(String, AskedWhy)> {
    let asked = |fact: &Fact| match fact {
        Fact::Asked { dispatcher, why, .. } => Some((dispatcher.to_string(), *why)),
        _ => None,
    };
    stage.facts.iter().filter_map(|(_, fact)| asked(fact)).collect()
}

fn moved_to(heard: &[GatewayHears]) -> Vec<String> {
    let to = |hears: &GatewayHears| if let GatewayHears::Moved { dispatcher, .. } = hears { Some(dispatcher.to_string()) } else { None };
    heard.iter().filter_map(to).collect()
}

fn words_of(heard: &[GatewayHears]) -> Vec<&'static str> {
    let word = |hears: &GatewayHears| match hears {
        GatewayHears::Targets { .. } => "targets",
        GatewayHears::Durable { .. } => "durable",
        GatewayHears::Overdue { .. } => "overdue",
        GatewayHears::Moved { .. } => "moved",
        GatewayHears::Accepted { .. } => "accepted",
        GatewayHears::Ended { .. } => "ended",
        GatewayHears::Refused { .. } => "refused",
        GatewayHears::Say { .. } => "say",
    };
    heard.iter().map(word).collect()
}

// --- arrival ---

#[test]
fn an_offer_goes_out_before_the_disk_and_says_that_it_is_unconfirmed() {
    let mut stage = Stage::new();
    let console = stage.console("DU-AMB", "1");
    let offers = stage.arrive("a", "AMB: DU-AMB");
    assert!(!stage.shown(console, offers[0]).unwrap().confirmed);
    stage.heard(console);
    stage.store();
    assert_eq!(stage.heard(console), [ConsoleHears::Confirmed { contact: offers[0].contact }]);
}

#[test]
fn every_needed_service_is_offered_to_every_seat_of_its_first_room() {
    let mut stage = Stage::new();
    let seats = [stage.console("DU-AMB", "1"), stage.console("DU-AMB", "2"), stage.console("DU-POL", "1"), stage.console("SH-AMB", "1")];
    let offers = stage.arrive("a", "AMB: DU-AMB > SH-AMB; POL: DU-POL");
    let sees = |offer: usize| seats.map(|session| stage.sees(session, offers[offer]));
    assert_eq!(sees(0), [true, true, false, false]);
    assert_eq!(sees(1), [false, false, true, false]);
    assert_eq!(stage.shown(seats[0], offers[0]).unwrap().role, Role::Responsible);
}

#[test]
fn a_gateway_hears_durable_only_when_the_disk_holds_the_arrival() {
    let mut stage = Stage::new();
    let gateway = stage.gateway("gw");
    stage.arrive("a", "AMB: DU-AMB");
    assert!(stage.gateway_heard(gateway).is_empty());
    stage.store();
    assert_eq!(words_of(&stage.gateway_heard(gateway)), ["durable"]);
}

#[test]
fn a_slow_disk_is_told_as_overdue_once_and_durable_follows() {
    let mut stage = Stage::new();
    let gateway = stage.gateway("gw");
    stage.arrive("a", "AMB: DU-AMB");
    stage.pass(limits::JOURNAL_WAIT_MICROS_MAX - 1);
    assert!(words_of(&stage.gateway_heard(gateway)).is_empty());
    stage.pass(1);
    stage.pass(SECOND);
    assert_eq!(words_of(&stage.gateway_heard(gateway)), ["overdue"]);
    stage.store();
    assert_eq!(words_of(&stage.gateway_heard(gateway)), ["durable"]);
    assert_eq!(stage.engine.counters().overdue, 1);
}

#[test]
fn the_same_contact_sent_again_is_not_a_second_contact_and_is_answered_with_what_is_known() {
    let mut stage = Stage::new();
    let gateway = stage.gateway("gw");
    let console = stage.console("DU-AMB", "1");
    let offers = stage.arrive("a", "AMB: DU-AMB");
    stage.arrive("a", "AMB: DU-AMB");
    assert!(words_of(&stage.gateway_heard(gateway)).is_empty(), "not stored: nothing can be said");
    stage.take(console, offers[0]);
    stage.accept(console, offers[0]);
    stage.store();
    stage.gateway_heard(gateway);
    stage.arrive("a", "AMB: DU-AMB");
    let heard = stage.gateway_heard(gateway);
    assert_eq!(words_of(&heard), ["durable", "accepted"]);
    assert!(matches!(&heard[0], GatewayHears::Durable { contact, .. } if *contact == offers[0].contact));
    assert_eq!((stage.engine.live_contacts(), stage.engine.counters().duplicates), (1, 2));
}

#[test]
fn the_same_key_with_other_content_is_a_new_contact_and_its_decision_says_so() {
    let mut stage = Stage::new();
    let console = stage.console("DU-AMB", "1");
    stage.arrive("a", "AMB: DU-AMB");
    let mut other = stage.contact("gw", "a");
    other.signals.push(Signal::Words("a fire".into()));
    let offers = stage.arrive_as(other.clone(), decision("AMB: DU-AMB"));
    let shown = stage.shown(console, offers[0]).expect("it is offered");
    assert_eq!(shown.decision.discrepancies, [name("key_reused")]);
    assert_eq!((stage.engine.live_contacts(), stage.engine.counters().keys_reused), (2, 1));
    // Each of the two is still found by its own content.
    other.id = ContactId(900);
    stage.arrive_as(other, decision("AMB: DU-AMB"));
    stage.arrive("a", "AMB: DU-AMB");
    assert_eq!((stage.engine.live_contacts(), stage.engine.counters().duplicates), (2, 2));
}

#[test]
fn a_message_under_a_reused_key_is_about_the_newest_contact() {
    let mut stage = Stage::new();
    stage.arrive("a", "AMB: DU-AMB");
    let mut other = stage.contact("gw", "a");
    other.line = Some("0501234567".into());
    let newest = other.id;
    stage.arrive_as(other, decision("AMB: DU-AMB"));
    stage.evidence("a", words("he fell"));
    assert_eq!(stage.reroutes.last().unwrap().0.id, newest);
}

#[test]
fn a_late_duplicate_cannot_bring_an_ended_contact_back() {
    let mut stage = Stage::new();
    stage.disk_is_fast = true;
    let gateway = stage.gateway("gw");
    let console = stage.console("DU-AMB", "1");
    let offers = stage.arrive("a", "AMB: DU-AMB");
    stage.take(console, offers[0]);
    stage.accept(console, offers[0]);
    stage.close(console, offers[0]);
    assert_eq!(words_of(&stage.gateway_heard(gateway)), ["durable", "accepted", "ended"]);
    stage.arrive("a", "AMB: DU-AMB");
    let heard = stage.gateway_heard(gateway);
    assert_eq!(words_of(&heard), ["durable", "ended"]);
    assert!(matches!(&heard[1], GatewayHears::Ended { contact, .. } if *contact == offers[0].contact));
    assert_eq!(stage.engine.live_contacts(), 0);
}

#[test]
fn ended_contacts_are_remembered_within_a_bound_of_count_and_of_time() {
    let config = Config { ended_kept_max: 2, ..Config::default() };
    let mut stage = Stage::with(config, usual_rooms());
    stage.disk_is_fast = true;
    for gateway_ref in ["a", "b", "c"] {
        stage.arrive(gateway_ref, "");
    }
    assert_eq!(stage.engine.remembered_contacts(), 2);
    stage.pass(limits::ENDED_KEPT_MICROS_MAX + SECOND);
    stage.arrive("d", "");
    assert_eq!(stage.engine.remembered_contacts(), 1);
}

#[test]
fn two_contacts_with_one_id_both_live() {
    let mut stage = Stage::new();
    let console = stage.console("DU-AMB", "1");
    let (first, mut second) = (stage.contact("gw", "a"), stage.contact("gw", "b"));
    second.id = first.id;
    let mut out = najda::engine::Outputs::new();
    for contact in [first, second] {
        let input = Input::Arrived { session: None, contact: Arc::new(contact), decision: decision("AMB: DU-AMB"), handed_back: false };
        stage.engine.handle(input, stage.now, &mut out);
    }
    let offered = out.as_slice().iter().filter(
        |output| matches!(output, najda::engine::Output::ToConsole { session, hears: ConsoleHears::Offer(_) } if *session == console),
    );
    assert_eq!((offered.count(), stage.engine.live_contacts(), stage.engine.counters().internal), (2, 2, 1));
}

#[test]
fn a_contact_beyond_the_bound_is_journaled_counted_and_its_end_is_told() {
    let config = Config { contacts_live_max: 1, ..Config::default() };
    let mut stage = Stage::with(config, usual_rooms());
    let gateway = stage.gateway("gw");
    stage.arrive("a", "AMB: DU-AMB");
    stage.arrive("b", "AMB: DU-AMB");
    assert_eq!((stage.engine.live_contacts(), stage.engine.counters().overflowed), (1, 1));
    assert_eq!(stage.endings(), [Ending::Overflowed]);
    assert!(stage.gateway_heard(gateway).is_empty());
    stage.store();
    assert_eq!(words_of(&stage.gateway_heard(gateway)), ["durable", "durable", "ended"]);
}

// --- who is asked ---

#[test]
fn a_room_without_a_seat_is_passed_at_once_and_the_voice_with_it() {
    let mut stage = Stage::new();
    let gateway = stage.gateway("gw");
    let console = stage.console("SH-AMB", "1");
    let offers = stage.arrive("a", "AMB: DU-AMB > AJ-AMB > SH-AMB > AE-ALL");
    let shown = stage.shown(console, offers[0]).unwrap();
    assert_eq!((shown.role, shown.responsible), (Role::Overflow, name("DU-AMB")));
    assert_eq!(asked(&stage), [("AJ-AMB".to_owned(), AskedWhy::NoSeat), ("SH-AMB".to_owned(), AskedWhy::NoSeat)]);
    assert_eq!(moved_to(&stage.gateway_heard(gateway)), ["SH-AMB"]);
    assert_eq!(stage.engine.alarms(), Alarms::default());
}

#[test]
fn a_room_that_was_passed_sees_the_offer_when_a_seat_comes() {
    let mut stage = Stage::new();
    stage.console("SH-AMB", "1");
    let offers = stage.arrive("a", "AMB: DU-AMB > SH-AMB");
    let late = stage.console("DU-AMB", "1");
    assert_eq!(stage.shown(late, offers[0]).unwrap().role, Role::Responsible);
    stage.take(late, offers[0]);
    stage.store();
    assert_eq!(taken_by(&stage.heard(late)), [seat("DU-AMB", "1")]);
}

#[test]
fn a_contact_nobody_is_there_for_waits_in_alarm_and_is_offered_the_moment_a_seat_comes() {
    let mut stage = Stage::new();
    let gateway = stage.gateway("gw");
    let offers = stage.arrive("a", "AMB: DU-AMB > SH-AMB > AE-ALL");
    assert_eq!(stage.engine.alarms(), Alarms { no_seat: 1, ..Alarms::default() });
    assert_eq!(stage.engine.alarm(offers[0]), Some(Alarm::NoSeat));
    assert_eq!(stage.engine.waiting_oldest(), Some(stage.now));
    stage.pass(3_600 * SECOND);
    let console = stage.console("AE-ALL", "1");
    assert!(stage.sees(console, offers[0]));
    assert_eq!(stage.engine.alarms(), Alarms::default());
    assert_eq!(moved_to(&stage.gateway_heard(gateway)), ["AE-ALL"]);
}

#[test]
fn who_does_not_take_in_time_keeps_seeing_it_while_the_next_is_asked() {
    let mut stage = Stage::new();
    let gateway = stage.gateway("gw");
    let (first, next) = (stage.console("DU-AMB", "1"), stage.console("SH-AMB", "1"));
    let offers = stage.arrive("a", "AMB: DU-AMB > SH-AMB");
    stage.say(first, ConsoleSays::Shown { offer: offers[0] });
    stage.pass(TAKE - 1);
    assert!(!stage.sees(next, offers[0]));
    stage.pass(1);
    assert!(stage.sees(first, offers[0]) && stage.sees(next, offers[0]));
    assert_eq!(asked(&stage), [("SH-AMB".to_owned(), AskedWhy::NoTake)]);
    assert_eq!(moved_to(&stage.gateway_heard(gateway)), ["SH-AMB"]);
    stage.take(first, offers[0]);
    stage.store();
    assert_eq!(taken_by(&stage.heard(next)), [seat("DU-AMB", "1")]);
}

#[test]
fn a_screen_that_shows_nothing_does_not_cost_the_whole_wait() {
    let mut stage = Stage::new();
    stage.console("DU-AMB", "1");
    let next = stage.console("SH-AMB", "1");
    let offers = stage.arrive("a", "AMB: DU-AMB > SH-AMB");
    stage.pass(limits::SHOWN_WAIT_MICROS_MAX);
    assert!(stage.sees(next, offers[0]));
    assert_eq!(asked(&stage), [("SH-AMB".to_owned(), AskedWhy::NotShown)]);
}

#[test]
fn at_the_end_of_the_chain_all_go_on_seeing_it_and_the_alarm_is_raised() {
    let mut stage = Stage::new();
    let seats = [stage.console("DU-AMB", "1"), stage.console("SH-AMB", "1")];
    let offers = stage.arrive("a", "AMB: DU-AMB > SH-AMB");
    for _ in 0..2 {
        stage.pass(TAKE);
    }
    assert!(seats.iter().all(|session| stage.sees(*session, offers[0])));
    assert_eq!(stage.engine.alarm(offers[0]), Some(Alarm::EndOfChain));
    let late = stage.console("SH-AMB", "2");
    assert!(stage.shown(late, offers[0]).expect("whoever comes sees it").alarm);
    assert_eq!(stage.engine.alarms(), Alarms { end_of_chain: 1, ..Alarms::default() }, "it stands until somebody takes it");
    stage.take(seats[0], offers[0]);
    assert_eq!(stage.engine.alarms(), Alarms::default());
}

#[test]
fn a_full_room_is_passed_and_counted_and_does_not_see_the_offer() {
    let mut stage = Stage::with(Config::default(), rooms(&[("DU-AMB", 2), ("SH-AMB", 100)]));
    let (full, next) = (stage.console("DU-AMB", "1"), stage.console("SH-AMB", "1"));
    let offers: Vec<OfferId> = ["a", "b", "c"].iter().flat_map(|r| stage.arrive(r, "AMB: DU-AMB > SH-AMB")).collect();
    assert!(stage.sees(full, offers[1]) && !stage.sees(full, offers[2]) && stage.sees(next, offers[2]));
    assert_eq!(asked(&stage), [("SH-AMB".to_owned(), AskedWhy::Full)]);
    stage.take(full, offers[2]);
    assert_eq!(refused(&stage.heard(full)), [Refusal::NotYours]);
    // What it holds counts as well as what waits; what it closed does not.
    stage.take(full, offers[0]);
    stage.accept(full, offers[0]);
    stage.close(full, offers[0]);
    let more = stage.arrive("d", "AMB: DU-AMB > SH-AMB");
    assert!(stage.sees(full, more[0]) && !stage.sees(next, more[0]));
}

#[test]
fn when_every_room_is_full_a_full_room_is_asked_all_the_same() {
    let mut stage = Stage::with(Config::default(), rooms(&[("DU-AMB", 0), ("SH-AMB", 0)]));
    let (first, next) = (stage.console("DU-AMB", "1"), stage.console("SH-AMB", "1"));
    let offers = stage.arrive("a", "AMB: DU-AMB > SH-AMB");
    assert!(stage.sees(first, offers[0]) && stage.sees(next, offers[0]));
    assert_eq!(stage.engine.counters().over_capacity, 1);
    let alone = stage.arrive("b", "AMB: DU-AMB");
    assert!(stage.sees(first, alone[0]));
    assert_eq!(stage.engine.alarms(), Alarms::default());
}

#[test]
fn when_the_last_seat_of_a_room_leaves_what_waits_there_goes_to_the_next_at_once() {
    let mut stage = Stage::new();
    let first = stage.console("DU-AMB", "1");
    let next = stage.console("SH-AMB", "1");
    let offers = stage.arrive("a", "AMB: DU-AMB > SH-AMB");
    stage.say(first, ConsoleSays::SignOut);
    assert!(stage.sees(next, offers[0]));
    assert_eq!(asked(&stage), [("SH-AMB".to_owned(), AskedWhy::NoSeat)]);
}

#[test]
fn a_neighbour_in_doubt_sees_the_offer_and_may_take_it() {
    let mut stage = Stage::new();
    let (responsible, neighbour) = (stage.console("DU-AMB", "1"), stage.console("SH-AMB", "1"));
    let offers = stage.arrive("a", "AMB: DU-AMB ~ SH-AMB");
    assert_eq!(stage.shown(neighbour, offers[0]).unwrap().role, Role::Neighbour);
    stage.take(neighbour, offers[0]);
    stage.store();
    assert_eq!(taken_by(&stage.heard(responsible)), [seat("SH-AMB", "1")]);
}

#[test]
fn a_neighbour_that_is_asked_later_sees_its_new_role() {
    let mut stage = Stage::new();
    stage.console("DU-AMB", "1");
    let neighbour = stage.console("SH-AMB", "1");
    let offers = stage.arrive("a", "AMB: DU-AMB > SH-AMB ~ SH-AMB");
    stage.pass(TAKE);
    assert_eq!(stage.shown(neighbour, offers[0]).unwrap().role, Role::Overflow);
}

#[test]
fn a_room_that_was_never_asked_cannot_take() {
    let mut stage = Stage::new();
    stage.console("DU-AMB", "1");
    let stranger = stage.console("SH-AMB", "1");
    let offers = stage.arrive("a", "AMB: DU-AMB > SH-AMB");
    stage.take(stranger, offers[0]);
    assert_eq!(refused(&stage.heard(stranger)), [Refusal::NotYours]);
}

#[test]
fn a_seat_that_signs_in_behind_thousands_of_offers_sees_them_all_in_slices() {
    let mut stage = Stage::new();
    let count = limits::CATCH_UP_MAX * 2 + 10;
    for number in 0..count {
        stage.arrive(&format!("r{number}"), "AMB: DU-AMB");
    }
    let console = stage.console("DU-AMB", "1");
    assert_eq!(stage.screens[&console].offers.len(), limits::CATCH_UP_MAX);
    stage.pass(2 * limits::CATCH_UP_PAUSE_MICROS);
    assert_eq!(stage.screens[&console].offers.len(), count);
    assert_eq!(stage.engine.alarms(), Alarms::default());
}

// --- take, accept, close ---

#[test]
fn a_take_is_said_to_everybody_only_when_the_disk_holds_it() {
    let mut stage = Stage::new();
    let (taker, other) = (stage.console("DU-AMB", "1"), stage.console("DU-AMB", "2"));
    let offers = stage.arrive("a", "AMB: DU-AMB");
    stage.store();
    stage.heard(taker);
    stage.heard(other);
    stage.take(taker, offers[0]);
    assert!(stage.heard(taker).is_empty() && stage.heard(other).is_empty());
    let late = stage.console("DU-AMB", "3");
    assert_eq!(stage.shown(late, offers[0]).unwrap().held_by, None, "not even a new screen says it early");
    stage.store();
    for session in [taker, other, late] {
        assert_eq!(taken_by(&stage.heard(session)), [seat("DU-AMB", "1")]);
    }
}

#[test]
fn the_first_take_wins_at_once_even_before_the_disk() {
    let mut stage = Stage::new();
    let (first, second) = (stage.console("DU-AMB", "1"), stage.console("DU-AMB", "2"));
    let offers = stage.arrive("a", "AMB: DU-AMB");
    stage.take(first, offers[0]);
    stage.take(second, offers[0]);
    assert_eq!(refused(&stage.heard(second)), [Refusal::HeldByAnother]);
}

#[test]
fn a_take_asked_twice_is_answered_twice_and_written_once() {
    let mut stage = Stage::new();
    let console = stage.console("DU-AMB", "1");
    let offers = stage.arrive("a", "AMB: DU-AMB");
    stage.take(console, offers[0]);
    stage.store();
    stage.take(console, offers[0]);
    assert_eq!(taken_by(&stage.heard(console)).len(), 2);
    assert_eq!(stage.engine.counters().taken, 1);
}

#[test]
fn only_the_holder_accepts_and_closes_and_only_in_that_order() {
    let mut stage = Stage::new();
    let (holder, other) = (stage.console("DU-AMB", "1"), stage.console("DU-AMB", "2"));
    let offers = stage.arrive("a", "AMB: DU-AMB");
    stage.accept(holder, offers[0]);
    assert_eq!(refused(&stage.heard(holder)), [Refusal::OutOfTurn]);
    stage.take(holder, offers[0]);
    stage.accept(other, offers[0]);
    stage.close(holder, offers[0]);
    assert_eq!(refused(&stage.heard(other)), [Refusal::HeldByAnother]);
    assert_eq!(refused(&stage.heard(holder)), [Refusal::OutOfTurn]);
    stage.accept(holder, offers[0]);
    stage.close(holder, offers[0]);
    assert!(refused(&stage.heard(holder)).is_empty());
    assert_eq!(stage.endings(), [Ending::Closed]);
}

#[test]
fn the_gateway_hears_who_accepted_when_the_disk_holds_it() {
    let mut stage = Stage::new();
    let gateway = stage.gateway("gw");
    let console = stage.console("DU-AMB", "1");
    let offers = stage.arrive("a", "AMB: DU-AMB");
    stage.take(console, offers[0]);
    stage.store();
    stage.gateway_heard(gateway);
    stage.accept(console, offers[0]);
    assert!(stage.gateway_heard(gateway).is_empty());
    stage.store();
    let heard = stage.gateway_heard(gateway);
    assert!(matches!(&heard[..], [GatewayHears::Accepted { service: Service::Ambulance, seat: by, .. }] if *by == seat("DU-AMB", "1")));
}

#[test]
fn a_contact_ends_once_when_every_service_has_closed() {
    let mut stage = Stage::new();
    let gateway = stage.gateway("gw");
    let (ambulance, police) = (stage.console("DU-AMB", "1"), stage.console("DU-POL", "1"));
    let offers = stage.arrive("a", "AMB: DU-AMB; POL: DU-POL");
    for (console, offer) in [(ambulance, offers[0]), (police, offers[1])] {
        stage.take(console, offer);
        stage.accept(console, offer);
    }
    stage.close(ambulance, offers[0]);
    stage.store();
    assert!(stage.endings().is_empty());
    stage.gateway_heard(gateway);
    stage.close(police, offers[1]);
    assert_eq!((stage.endings(), stage.engine.live_contacts()), (vec![Ending::Closed], 1));
    assert!(stage.gateway_heard(gateway).is_empty(), "the end is a promise");
    stage.take(police, offers[1]);
    assert_eq!(refused(&stage.heard(police)), [Refusal::Unknown]);
    stage.store();
    assert_eq!(words_of(&stage.gateway_heard(gateway)), ["ended"]);
    assert_eq!(stage.engine.live_contacts(), 0);
    assert!(!stage.sees(police, offers[1]));
}

#[test]
fn an_unanswered_call_goes_to_the_room_of_the_person_who_took_it() {
    let mut stage = Stage::new();
    stage.disk_is_fast = true;
    let gateway = stage.gateway("gw");
    let first = stage.console("DU-AMB", "1");
    stage.console("SH-AMB", "1");
    let offers = stage.arrive("a", "AMB: DU-AMB > SH-AMB");
    stage.pass(TAKE);
    stage.take(first, offers[0]);
    assert_eq!(moved_to(&stage.gateway_heard(gateway)), ["SH-AMB", "DU-AMB"]);
}

#[test]
fn an_answered_call_is_never_moved_by_the_clock() {
    let mut stage = Stage::new();
    let gateway = stage.gateway("gw");
    stage.console("DU-AMB", "1");
    let next = stage.console("SH-AMB", "1");
    let offers = stage.arrive("a", "AMB: DU-AMB > SH-AMB");
    let key = stage.key("a");
    stage.input(Input::Answered { session: gateway, key, dispatcher: name("DU-AMB") });
    stage.pass(TAKE);
    assert!(stage.sees(next, offers[0]), "the next console is asked all the same");
    assert!(moved_to(&stage.gateway_heard(gateway)).is_empty());
}

#[test]
fn once_somebody_took_the_lead_only_a_person_moves_the_voice() {
    let mut stage = Stage::new();
    stage.disk_is_fast = true;
    let gateway = stage.gateway("gw");
    let (first, next) = (stage.console("DU-AMB", "1"), stage.console("SH-AMB", "1"));
    let offers = stage.arrive("a", "AMB: DU-AMB > SH-AMB");
    stage.take(first, offers[0]);
    stage.say(first, ConsoleSays::Release { offer: offers[0] });
    stage.pass(TAKE);
    assert!(stage.sees(next, offers[0]));
    assert!(moved_to(&stage.gateway_heard(gateway)).is_empty());
    stage.take(next, offers[0]);
    assert_eq!(moved_to(&stage.gateway_heard(gateway)), ["SH-AMB"]);
}

// --- giving back ---

#[test]
fn a_release_shows_it_as_waiting_to_the_room_and_any_seat_may_take_it() {
    let mut stage = Stage::new();
    let (first, second) = (stage.console("DU-AMB", "1"), stage.console("DU-AMB", "2"));
    let offers = stage.arrive("a", "AMB: DU-AMB");
    stage.take(first, offers[0]);
    stage.say(first, ConsoleSays::Release { offer: offers[0] });
    assert_eq!(waiting_why(&stage.heard(second)), [WaitingWhy::Released]);
    stage.take(second, offers[0]);
    stage.store();
    assert_eq!(taken_by(&stage.heard(first)), [seat("DU-AMB", "2")], "the take that was given back is not said any more");
}

#[test]
fn a_declined_offer_stays_with_its_holder_until_another_has_taken_it() {
    let mut stage = Stage::new();
    let (holder, mate, next) = (stage.console("DU-AMB", "1"), stage.console("DU-AMB", "2"), stage.console("SH-AMB", "1"));
    let offers = stage.arrive("a", "AMB: DU-AMB > SH-AMB");
    stage.take(holder, offers[0]);
    stage.say(holder, ConsoleSays::Decline { offer: offers[0], reason: "no vehicle".into() });
    assert_eq!(waiting_why(&stage.heard(mate)), [WaitingWhy::Declined]);
    assert!(stage.sees(next, offers[0]), "the next is asked at once");
    assert_eq!(stage.contacts()[0].offers[0].holder, Some(seat("DU-AMB", "1")));
    stage.accept(holder, offers[0]);
    assert!(refused(&stage.heard(holder)).is_empty());
    stage.take(next, offers[0]);
    assert_eq!(stage.contacts()[0].offers[0].holder, Some(seat("SH-AMB", "1")));
    stage.take(mate, offers[0]);
    assert_eq!(refused(&stage.heard(mate)), [Refusal::HeldByAnother]);
}

#[test]
fn the_next_room_is_asked_when_every_seat_of_a_room_has_declined() {
    let mut stage = Stage::new();
    let (a, b, next) = (stage.console("DU-AMB", "1"), stage.console("DU-AMB", "2"), stage.console("SH-AMB", "1"));
    let offers = stage.arrive("a", "AMB: DU-AMB > SH-AMB");
    let decline = || ConsoleSays::Decline { offer: offers[0], reason: Box::default() };
    stage.say(a, decline());
    stage.say(a, decline());
    assert!(!stage.sees(next, offers[0]) && stage.sees(b, offers[0]));
    stage.say(b, decline());
    assert!(stage.sees(next, offers[0]) && stage.sees(a, offers[0]));
    assert_eq!(asked(&stage), [("SH-AMB".to_owned(), AskedWhy::Declined)]);
    assert_eq!(stage.engine.counters().declined, 2);
}

#[test]
fn a_silent_holder_loses_its_lease_and_may_take_again() {
    let mut stage = Stage::new();
    let silent = stage.console("DU-AMB", "1");
    let offers = stage.arrive("a", "AMB: DU-AMB");
    stage.take(silent, offers[0]);
    stage.pass(3 * limits::LEASE_MICROS_MAX);
    assert_eq!(stage.contacts()[0].offers[0].holder, Some(seat("DU-AMB", "1")), "heartbeats keep the lease");
    stage.pass_in_silence(limits::LEASE_MICROS_MAX + 1);
    assert_eq!(stage.contacts()[0].offers[0].holder, None);
    assert_eq!(stage.engine.counters().leases_stale, 1);
    stage.take(silent, offers[0]);
    assert_eq!(stage.contacts()[0].offers[0].holder, Some(seat("DU-AMB", "1")));
}

#[test]
fn a_silent_seat_does_not_count_as_signed_in_until_it_is_heard_again() {
    let mut stage = Stage::new();
    let silent = stage.console("DU-AMB", "1");
    stage.pass_in_silence(limits::LEASE_MICROS_MAX + 1);
    assert!(!stage.engine.is_staffed(name("DU-AMB")));
    let next = stage.console("SH-AMB", "1");
    let offers = stage.arrive("a", "AMB: DU-AMB > SH-AMB");
    assert!(stage.sees(next, offers[0]) && !stage.sees(silent, offers[0]));
    stage.say(silent, ConsoleSays::Heartbeat);
    assert!(stage.sees(silent, offers[0]) && stage.engine.is_staffed(name("DU-AMB")));
}

#[test]
fn a_seat_that_is_back_within_its_lease_keeps_what_it_held() {
    let mut stage = Stage::new();
    stage.disk_is_fast = true;
    let (gone, mate) = (stage.console("DU-AMB", "1"), stage.console("DU-AMB", "2"));
    let offers = stage.arrive("a", "AMB: DU-AMB");
    stage.take(gone, offers[0]);
    stage.heard(mate);
    stage.leave(gone);
    assert_eq!(waiting_why(&stage.heard(mate)), [WaitingWhy::SeatGone]);
    stage.pass(limits::LEASE_MICROS_MAX / 2);
    let back = stage.console("DU-AMB", "1");
    assert_eq!(stage.shown(back, offers[0]).unwrap().held_by, Some(seat("DU-AMB", "1")));
    assert_eq!(taken_by(&stage.heard(mate)), [seat("DU-AMB", "1")]);
    stage.take(mate, offers[0]);
    assert_eq!(refused(&stage.heard(mate)), [Refusal::HeldByAnother]);
}

#[test]
fn while_a_holder_is_gone_another_may_take_it() {
    let mut stage = Stage::new();
    stage.disk_is_fast = true;
    let (gone, mate) = (stage.console("DU-AMB", "1"), stage.console("DU-AMB", "2"));
    let offers = stage.arrive("a", "AMB: DU-AMB");
    stage.take(gone, offers[0]);
    stage.leave(gone);
    stage.take(mate, offers[0]);
    let back = stage.console("DU-AMB", "1");
    assert_eq!(stage.shown(back, offers[0]).unwrap().held_by, Some(seat("DU-AMB", "2")));
    stage.pass(3 * limits::LEASE_MICROS_MAX);
    assert_eq!(stage.contacts()[0].offers[0].holder, Some(seat("DU-AMB", "2")));
}

#[test]
fn a_holder_that_does_not_come_back_loses_it_when_its_lease_is_over() {
    let mut stage = Stage::new();
    let (gone, mate) = (stage.console("DU-AMB", "1"), stage.console("DU-AMB", "2"));
    let offers = stage.arrive("a", "AMB: DU-AMB");
    stage.take(gone, offers[0]);
    stage.leave(gone);
    stage.pass(limits::LEASE_MICROS_MAX);
    assert_eq!(waiting_why(&stage.heard(mate)), [WaitingWhy::SeatGone, WaitingWhy::LeaseStale]);
    assert_eq!(stage.contacts()[0].offers[0].holder, None);
}

#[test]
fn signing_out_gives_everything_back_at_once() {
    let mut stage = Stage::new();
    let (gone, mate) = (stage.console("DU-AMB", "1"), stage.console("DU-AMB", "2"));
    let offers = stage.arrive("a", "AMB: DU-AMB");
    stage.take(gone, offers[0]);
    stage.say(gone, ConsoleSays::SignOut);
    assert_eq!(waiting_why(&stage.heard(mate)), [WaitingWhy::SeatGone]);
    assert_eq!(stage.contacts()[0].offers[0].holder, None);
    stage.take(gone, offers[0]);
    assert!(refused(&stage.heard(gone)).contains(&Refusal::OutOfTurn));
}

#[test]
fn one_seat_has_one_screen_and_the_older_session_gives_way() {
    let mut stage = Stage::new();
    let old = stage.console("DU-AMB", "1");
    let offers = stage.arrive("a", "AMB: DU-AMB");
    stage.take(old, offers[0]);
    let new = stage.console("DU-AMB", "1");
    assert_eq!(stage.closed, [old]);
    stage.leave(old);
    stage.accept(new, offers[0]);
    assert!(refused(&stage.heard(new)).is_empty(), "the seat kept what it held");
}

#[test]
fn a_session_that_has_not_signed_in_is_refused() {
    let mut stage = Stage::new();
    let offers = stage.arrive("a", "AMB: DU-AMB");
    let session = SessionId(500);
    stage.input(Input::ConsoleOpened { session, seat: seat("DU-AMB", "1"), test: false });
    stage.take(session, offers[0]);
    assert_eq!(refused(&stage.heard(session)), [Refusal::OutOfTurn]);
    assert!(!stage.engine.is_staffed(name("DU-AMB")));
}

#[test]
fn sessions_beyond_the_bound_are_closed_and_counted() {
    let config = Config { sessions_max: 1, ..Config::default() };
    let mut stage = Stage::with(config, usual_rooms());
    stage.gateway("gw");
    let second = stage.gateway("other");
    assert_eq!((&stage.closed[..], stage.engine.counters().sessions_refused), (&[second][..], 1));
}

#[test]
fn a_long_reason_is_cut_between_characters() {
    let mut stage = Stage::new();
    let console = stage.console("DU-AMB", "1");
    let offers = stage.arrive("a", "AMB: DU-AMB");
    let reason = "ن".repeat(limits::COMMAND_REASON_BYTES_MAX).into();
    stage.say(console, ConsoleSays::Decline { offer: offers[0], reason });
    let kept = stage.facts.iter().find_map(|(_, fact)| if let Fact::Declined { reason, .. } = fact { Some(reason.len()) } else { None });
    assert_eq!(kept, Some(limits::COMMAND_REASON_BYTES_MAX));
}

// --- tests ---

#[test]
fn a_test_call_is_sunk_at_once_and_no_screen_shows_it() {
    let mut stage = Stage::new();
    let gateway = stage.gateway("gw");
    let console = stage.console("DU-AMB", "1");
    stage.heard(console);
    stage.arrive("a", "");
    assert_eq!(stage.endings(), [Ending::TestSunk]);
    stage.store();
    assert_eq!(words_of(&stage.gateway_heard(gateway)), ["durable", "ended"]);
    assert!(stage.heard(console).is_empty());
}

#[test]
fn a_load_test_lives_its_whole_life_on_test_seats_only() {
    let mut stage = Stage::new();
    stage.disk_is_fast = true;
    let (person, tester) = (stage.console("DU-AMB", "1"), stage.test_console("DU-AMB", "1"));
    let mut contact = stage.contact("gw", "a");
    contact.load_test = true;
    let offers = stage.arrive_as(contact, decision("AMB: DU-AMB"));
    assert!(stage.sees(tester, offers[0]) && !stage.sees(person, offers[0]));
    assert_eq!(stage.shown(tester, offers[0]).unwrap().role, Role::Test);
    stage.take(person, offers[0]);
    assert_eq!(refused(&stage.heard(person)), [Refusal::NotYours]);
    stage.take(tester, offers[0]);
    stage.accept(tester, offers[0]);
    stage.close(tester, offers[0]);
    assert_eq!(stage.endings(), [Ending::Closed]);
}

#[test]
fn a_load_test_without_test_seats_is_sunk_though_people_are_there() {
    let mut stage = Stage::new();
    stage.console("DU-AMB", "1");
    let mut contact = stage.contact("gw", "a");
    contact.load_test = true;
    stage.arrive_as(contact, decision("AMB: DU-AMB"));
    assert_eq!(stage.endings(), [Ending::TestSunk]);
}

#[test]
fn a_load_test_whose_seats_have_left_is_sunk_and_never_an_alarm() {
    let mut stage = Stage::new();
    let tester = stage.test_console("DU-AMB", "1");
    let mut contact = stage.contact("gw", "a");
    contact.load_test = true;
    stage.arrive_as(contact, decision("AMB: DU-AMB"));
    stage.leave(tester);
    assert_eq!(stage.engine.alarms(), Alarms::default());
    stage.pass(2 * TAKE);
    assert_eq!(stage.endings(), [Ending::TestSunk]);
}

#[test]
fn a_test_seat_never_sees_a_real_contact_and_does_not_count_as_staff() {
    let mut stage = Stage::new();
    let tester = stage.test_console("DU-AMB", "1");
    let offers = stage.arrive("a", "AMB: DU-AMB");
    assert!(!stage.sees(tester, offers[0]));
    assert_eq!(stage.engine.alarm(offers[0]), Some(Alarm::NoSeat));
    let contact = Arc::new(stage.contact("gw", "b"));
    let offer = OfferId { contact: contact.id, service: Service::Ambulance };
    stage.say(tester, ConsoleSays::HandBack { offer, contact, decision: decision("AMB: DU-AMB") });
    assert_eq!(refused(&stage.heard(tester)), [Refusal::Forbidden], "nor can it make one");
}

#[test]
fn load_tests_do_not_fill_a_room_of_people() {
    let mut stage = Stage::with(Config::default(), rooms(&[("DU-AMB", 1), ("SH-AMB", 1)]));
    let person = stage.console("DU-AMB", "1");
    stage.test_console("DU-AMB", "t");
    stage.console("SH-AMB", "1");
    let mut contact = stage.contact("gw", "a");
    contact.load_test = true;
    stage.arrive_as(contact, decision("AMB: DU-AMB"));
    let offers = stage.arrive("b", "AMB: DU-AMB > SH-AMB");
    assert!(stage.sees(person, offers[0]));
}

// --- late evidence ---

#[test]
fn late_evidence_moves_an_offer_that_nobody_has_taken() {
    let mut stage = Stage::new();
    let gateway = stage.gateway("gw");
    let (old, new) = (stage.console("DU-AMB", "1"), stage.console("SH-AMB", "1"));
    let offers = stage.arrive("a", "AMB: DU-AMB");
    stage.evidence("a", words("in Sharjah"));
    assert_eq!(stage.reroutes.len(), 1);
    stage.redecide("AMB: SH-AMB");
    assert!(!stage.sees(old, offers[0]));
    let shown = stage.shown(new, offers[0]).unwrap();
    assert_eq!((shown.contact.revision, shown.responsible), (1, name("SH-AMB")));
    assert_eq!(shown.contact.signals, [Signal::Words("in Sharjah".into())]);
    assert_eq!(moved_to(&stage.gateway_heard(gateway)), ["SH-AMB"]);
}

#[test]
fn the_old_room_keeps_seeing_it_if_it_is_now_a_neighbour() {
    let mut stage = Stage::new();
    let (old, new) = (stage.console("DU-AMB", "1"), stage.console("SH-AMB", "1"));
    let offers = stage.arrive("a", "AMB: DU-AMB");
    stage.evidence("a", words("near Sharjah"));
    stage.redecide("AMB: SH-AMB ~ DU-AMB");
    assert_eq!(stage.shown(old, offers[0]).unwrap().role, Role::Neighbour);
    assert_eq!(stage.shown(new, offers[0]).unwrap().role, Role::Responsible);
}

#[test]
fn after_a_take_a_transfer_is_only_proposed_to_the_holder() {
    let mut stage = Stage::new();
    let gateway = stage.gateway("gw");
    let (holder, other) = (stage.console("DU-AMB", "1"), stage.console("SH-AMB", "1"));
    let offers = stage.arrive("a", "AMB: DU-AMB");
    stage.take(holder, offers[0]);
    stage.evidence("a", words("in Sharjah"));
    stage.heard(holder);
    stage.redecide("AMB: SH-AMB");
    assert!(stage.heard(holder).iter().any(|hears| matches!(hears, ConsoleHears::Changed { revision: 1, .. })));
    assert!(!stage.sees(other, offers[0]) && stage.sees(holder, offers[0]));
    assert!(moved_to(&stage.gateway_heard(gateway)).is_empty());
    stage.say(holder, ConsoleSays::Release { offer: offers[0] });
    assert!(stage.sees(other, offers[0]) && !stage.sees(holder, offers[0]), "given back, it goes where it should be");
}

#[test]
fn a_proposed_transfer_goes_to_the_new_room_when_the_holder_asks_for_it_and_stays_until_that_has_taken_it() {
    let mut stage = Stage::new();
    let [dubai, other, sharjah] = ["DU-AMB", "AJ-AMB", "SH-AMB"].map(|room| stage.console(room, "1"));
    let offer = stage.arrive("a", "AMB: DU-AMB > AJ-AMB")[0];
    stage.take(dubai, offer);
    stage.evidence("a", words("across the road"));
    stage.redecide("AMB: SH-AMB > AE-ALL");
    assert!(stage.heard(dubai).contains(&ConsoleHears::Proposed { offer, to: name("SH-AMB") }));
    assert!(!stage.sees(sharjah, offer), "nothing moves without a person");
    stage.say(dubai, ConsoleSays::Decline { offer, reason: "it is Sharjah".into() });
    assert!(stage.sees(sharjah, offer) && !stage.sees(other, offer));
    assert_eq!(stage.contacts()[0].offers[0].holder, Some(seat("DU-AMB", "1")));
    stage.take(sharjah, offer);
    assert_eq!(stage.contacts()[0].offers[0].holder, Some(seat("SH-AMB", "1")));
}

#[test]
fn a_service_that_turns_out_to_be_needed_is_offered_as_well() {
    let mut stage = Stage::new();
    let police = stage.console("DU-POL", "1");
    let offers = stage.arrive("a", "AMB: DU-AMB");
    stage.evidence("a", words("he has a knife"));
    stage.redecide("AMB: DU-AMB; POL: DU-POL");
    assert!(stage.sees(police, OfferId { service: Service::Police, ..offers[0] }));
}

#[test]
fn a_service_no_longer_needed_leaves_the_screens_unless_somebody_took_it() {
    let mut stage = Stage::new();
    let (ambulance, police) = (stage.console("DU-AMB", "1"), stage.console("DU-POL", "1"));
    for (gateway_ref, taken) in [("a", false), ("b", true)] {
        let offers = stage.arrive(gateway_ref, "AMB: DU-AMB; POL: DU-POL");
        if taken {
            stage.take(police, offers[1]);
        }
        stage.evidence(gateway_ref, words("he is only ill"));
        stage.redecide("AMB: DU-AMB");
        assert_eq!((stage.sees(ambulance, offers[0]), stage.sees(police, offers[1])), (true, taken));
    }
}

#[test]
fn a_contact_ends_when_its_only_open_service_turns_out_not_to_be_needed() {
    let mut stage = Stage::new();
    let ambulance = stage.console("DU-AMB", "1");
    let offers = stage.arrive("a", "AMB: DU-AMB; POL: DU-POL");
    stage.take(ambulance, offers[0]);
    stage.accept(ambulance, offers[0]);
    stage.close(ambulance, offers[0]);
    stage.evidence("a", words("no police, please"));
    stage.redecide("AMB: DU-AMB");
    assert_eq!(stage.endings(), [Ending::Closed]);
}

#[test]
fn a_decision_about_an_older_revision_is_discarded_and_no_evidence_is_lost() {
    let mut stage = Stage::new();
    let offers = stage.arrive("a", "AMB: DU-AMB");
    stage.evidence("a", words("one"));
    stage.evidence("a", words("two"));
    let (contact, _) = stage.reroutes[0].clone();
    stage.input(Input::Redecided { contact: contact.id, revision: 1, decision: decision("AMB: SH-AMB") });
    assert_eq!((stage.engine.counters().decisions_stale, stage.engine.counters().redecided), (1, 0));
    stage.redecide("AMB: AJ-AMB");
    let evidence = stage.facts.iter().find_map(|(_, fact)| match fact {
        Fact::Redecided { revision: 2, evidence, .. } => Some(evidence.signals.len()),
        _ => None,
    });
    assert_eq!(evidence, Some(2), "the fact holds both");
    stage.redecide("AMB: SH-AMB");
    assert_eq!(stage.engine.counters().decisions_stale, 2, "and is written once");
    assert_eq!(stage.engine.contact(offers[0].contact).unwrap().offers[0].responsible, name("AJ-AMB"));
}

#[test]
fn a_decision_that_never_comes_is_asked_for_again_and_the_evidence_is_written_all_the_same() {
    let mut stage = Stage::new();
    stage.arrive("a", "AMB: DU-AMB");
    stage.evidence("a", words("one"));
    stage.pass(u64::from(limits::REROUTES_MAX) * limits::REROUTE_WAIT_MICROS_MAX);
    assert_eq!(stage.reroutes.len(), usize::from(limits::REROUTES_MAX));
    assert_eq!(stage.engine.counters().evidence_undecided, 1);
    assert!(stage.facts.iter().any(|(_, fact)| matches!(fact, Fact::Redecided { revision: 1, .. })));
}

#[test]
fn evidence_that_says_nothing_new_changes_nothing() {
    let mut stage = Stage::new();
    stage.arrive("a", "AMB: DU-AMB");
    stage.evidence("a", words("one"));
    stage.evidence("a", words("one"));
    stage.evidence("a", najda::deliver::Evidence::default());
    assert_eq!(stage.reroutes.len(), 1);
}

#[test]
fn evidence_that_comes_before_its_contact_waits_for_it() {
    let mut stage = Stage::new();
    stage.evidence("a", words("early"));
    assert_eq!(stage.engine.orphans(), 1);
    stage.arrive("a", "AMB: DU-AMB");
    assert_eq!((stage.engine.orphans(), stage.reroutes.len()), (0, 1));
    assert_eq!(stage.contacts()[0].contact.signals, [Signal::Words("early".into())]);
}

#[test]
fn evidence_without_a_contact_is_dropped_after_a_while_and_counted() {
    let config = Config { orphans_max: 1, ..Config::default() };
    let mut stage = Stage::with(config, usual_rooms());
    stage.evidence("a", words("early"));
    stage.evidence("b", words("no room"));
    assert_eq!(stage.engine.counters().evidence_orphaned, 1);
    stage.pass(limits::ORPHAN_WAIT_MICROS_MAX);
    assert_eq!((stage.engine.counters().evidence_orphaned, stage.engine.orphans()), (2, 0));
}

#[test]
fn evidence_is_bounded_and_the_cut_is_noted() {
    let mut stage = Stage::new();
    stage.arrive("a", "AMB: DU-AMB");
    for number in 0..limits::SIGNALS_MAX + 4 {
        stage.evidence("a", words(&format!("word {number}")));
    }
    let contact = &stage.contacts()[0].contact;
    assert_eq!((contact.signals.len(), &contact.oddities[..]), (limits::SIGNALS_MAX, &[Oddity::SignalsCut][..]));
    assert_eq!(contact.signals.first(), Some(&Signal::Words("word 0".into())));
    assert_eq!(contact.signals.last(), Some(&Signal::Words(format!("word {}", limits::SIGNALS_MAX + 3).into())));
}

#[test]
fn evidence_cannot_turn_a_caller_into_a_test() {
    let mut stage = Stage::new();
    let console = stage.console("DU-AMB", "1");
    let offers = stage.arrive("a", "AMB: DU-AMB");
    stage.evidence("a", words("this is a test"));
    let (contact, revision) = stage.reroutes[0].clone();
    stage.input(Input::Redecided { contact: contact.id, revision, decision: decision("") });
    assert!(stage.sees(console, offers[0]) && stage.endings().is_empty());
    assert_eq!(stage.engine.counters().decisions_lowering, 1);
    assert_eq!(stage.contacts()[0].contact.signals, [Signal::Words("this is a test".into())]);
}

// --- gateways ---

#[test]
fn a_failed_voice_path_asks_the_next_at_once_and_only_once() {
    let mut stage = Stage::new();
    let gateway = stage.gateway("gw");
    let seats = [stage.console("DU-AMB", "1"), stage.console("SH-AMB", "1"), stage.console("AE-ALL", "1")];
    let offers = stage.arrive("a", "AMB: DU-AMB > SH-AMB > AE-ALL");
    for _ in 0..2 {
        let key = stage.key("a");
        stage.input(Input::TargetFailed { session: gateway, key, dispatcher: name("DU-AMB") });
    }
    assert_eq!(seats.map(|session| stage.sees(session, offers[0])), [true, true, false]);
    assert_eq!(asked(&stage), [("SH-AMB".to_owned(), AskedWhy::TargetFailed)]);
    assert_eq!(moved_to(&stage.gateway_heard(gateway)), ["SH-AMB"]);
}

#[test]
fn after_the_caller_hung_up_the_offer_stays_and_the_voice_moves_no_more() {
    let mut stage = Stage::new();
    let gateway = stage.gateway("gw");
    let console = stage.console("DU-AMB", "1");
    let next = stage.console("SH-AMB", "1");
    let offers = stage.arrive("a", "AMB: DU-AMB > SH-AMB");
    for _ in 0..2 {
        let key = stage.key("a");
        stage.input(Input::HungUp { session: gateway, key, why: HangUp::Caller });
    }
    let hung_up = ConsoleHears::CallerHungUp { contact: offers[0].contact, why: HangUp::Caller };
    assert_eq!(stage.heard(console).iter().filter(|hears| **hears == hung_up).count(), 1);
    stage.pass(TAKE);
    assert!(stage.sees(console, offers[0]) && stage.sees(next, offers[0]));
    assert!(moved_to(&stage.gateway_heard(gateway)).is_empty());
    let late = stage.console("DU-AMB", "2");
    assert!(stage.heard(late).contains(&hung_up));
}

#[test]
fn a_gateway_may_not_speak_of_anothers_contact() {
    let mut stage = Stage::new();
    let other = stage.gateway("other");
    stage.arrive("a", "AMB: DU-AMB");
    let key = stage.key("a");
    stage.input(Input::HungUp { session: other, key: key.clone(), why: HangUp::Caller });
    stage.input(Input::Evidence { session: Some(other), key, evidence: words("no") });
    assert!(!stage.contacts()[0].hung_up && stage.reroutes.is_empty());
    assert_eq!(stage.engine.counters().out_of_turn, 2);
}

#[test]
fn a_contact_lives_on_without_its_gateway_which_hears_all_when_it_is_back() {
    let mut stage = Stage::new();
    stage.disk_is_fast = true;
    let gone = stage.gateway("gw");
    let (first, next) = (stage.console("DU-AMB", "1"), stage.console("SH-AMB", "1"));
    let taken = stage.arrive("taken", "AMB: DU-AMB");
    let ended = stage.arrive("ended", "AMB: DU-AMB");
    stage.leave(gone);
    stage.arrive("moved", "AMB: DU-AMB > SH-AMB");
    stage.take(first, taken[0]);
    stage.accept(first, taken[0]);
    for says in [ConsoleSays::Take { offer: ended[0] }, ConsoleSays::Accept { offer: ended[0] }] {
        stage.say(first, says);
    }
    stage.close(first, ended[0]);
    stage.pass(TAKE);
    assert!(stage.screens[&next].offers.len() == 1);
    let back = stage.gateway("gw");
    let mut heard = words_of(&stage.gateway_heard(back));
    heard.sort_unstable();
    assert_eq!(heard, ["accepted", "durable", "durable", "durable", "ended", "moved"]);
}

#[test]
fn the_newest_session_of_a_gateway_is_spoken_to_and_an_older_one_takes_over_when_it_dies() {
    let mut stage = Stage::new();
    let old = stage.gateway("gw");
    let new = stage.gateway("gw");
    stage.arrive("a", "AMB: DU-AMB");
    stage.store();
    assert_eq!((stage.gateway_heard(old).len(), stage.gateway_heard(new).len()), (0, 1));
    stage.leave(new);
    stage.arrive("b", "AMB: DU-AMB");
    stage.store();
    assert_eq!(stage.gateway_heard(old).len(), 1);
}

// --- the disk ---

#[test]
fn a_failed_disk_stops_no_offer_and_promises_follow_when_it_is_back() {
    let mut stage = Stage::new();
    let gateway = stage.gateway("gw");
    let console = stage.console("DU-AMB", "1");
    stage.input(Input::StoreFailed { through: 0 });
    assert!(stage.engine.store_failing());
    let offers = stage.arrive("a", "AMB: DU-AMB");
    assert!(!stage.shown(console, offers[0]).unwrap().confirmed);
    stage.take(console, offers[0]);
    stage.accept(console, offers[0]);
    stage.pass(60 * SECOND);
    assert_eq!(words_of(&stage.gateway_heard(gateway)), ["overdue"]);
    stage.store();
    assert!(!stage.engine.store_failing());
    assert_eq!(words_of(&stage.gateway_heard(gateway)), ["durable", "accepted"]);
    assert_eq!(taken_by(&stage.heard(console)), [seat("DU-AMB", "1")]);
}

#[test]
fn when_too_many_promises_wait_for_the_disk_commands_are_refused_and_contacts_are_not() {
    let config = Config { promises_max: 3, ..Config::default() };
    let mut stage = Stage::with(config, usual_rooms());
    let console = stage.console("DU-AMB", "1");
    let offers: Vec<OfferId> = ["a", "b", "c", "d"].iter().flat_map(|r| stage.arrive(r, "AMB: DU-AMB")).collect();
    assert!(offers.iter().all(|offer| stage.sees(console, *offer)));
    stage.take(console, offers[0]);
    assert_eq!(refused(&stage.heard(console)), [Refusal::Full]);
    assert_eq!(stage.engine.counters().refused_full, 1);
    stage.store();
    stage.take(console, offers[0]);
    assert!(refused(&stage.heard(console)).is_empty());
}

#[test]
fn a_long_list_of_promises_is_kept_in_slices_and_in_full() {
    let mut stage = Stage::new();
    let gateway = stage.gateway("gw");
    let count = limits::PROMISES_KEPT_MAX + 100;
    let mut out = najda::engine::Outputs::new();
    for number in 0..count {
        let contact = Arc::new(stage.contact("gw", &format!("r{number}")));
        let input = Input::Arrived { session: None, contact, decision: decision("AMB: DU-AMB"), handed_back: false };
        stage.engine.handle(input, stage.now, &mut out);
    }
    let durable = |out: &mut najda::engine::Outputs| {
        out.drain().filter(|output| matches!(output, najda::engine::Output::ToGateway { session, .. } if *session == gateway)).count()
    };
    assert_eq!(durable(&mut out), 0);
    let through = stage.engine.last_seq();
    stage.engine.handle(Input::Stored { through }, stage.now, &mut out);
    assert_eq!(durable(&mut out), limits::PROMISES_KEPT_MAX);
    let later = stage.now.plus_micros(limits::PROMISES_PAUSE_MICROS);
    assert_eq!(stage.engine.next_deadline().map(|due| due <= later), Some(true));
    stage.engine.handle(Input::Tick, later, &mut out);
    assert_eq!(durable(&mut out), 100);
}

#[test]
fn after_a_loss_nothing_is_promised_until_what_was_lost_is_written_again() {
    let mut stage = Stage::new();
    let gateway = stage.gateway("gw");
    let console = stage.console("DU-AMB", "1");
    let held = stage.arrive("held", "AMB: DU-AMB");
    stage.store();
    stage.gateway_heard(gateway);
    stage.take(console, held[0]);
    let lost = stage.arrive("lost", "AMB: DU-AMB > SH-AMB");
    stage.lose();
    assert!(!stage.engine.is_whole());
    stage.arrive("after", "AMB: DU-AMB");
    stage.heard(console);
    stage.store();
    assert!(stage.gateway_heard(gateway).is_empty() && taken_by(&stage.heard(console)).is_empty());
    assert!(stage.engine.is_whole(), "it is written again, and not yet held");
    stage.store();
    assert_eq!(words_of(&stage.gateway_heard(gateway)), ["durable"; 3]);
    assert_eq!(taken_by(&stage.heard(console)), [seat("DU-AMB", "1")]);
    let incident = stage.engine.contact(held[0].contact).unwrap().incident;
    stage.crash(&usual_rooms());
    let again = stage.engine.contact(held[0].contact).unwrap();
    assert_eq!((again.incident, again.offers[0].holder), (incident, Some(seat("DU-AMB", "1"))));
    assert!(stage.engine.contact(lost[0].contact).is_some());
    assert_eq!(stage.engine.counters().journal_gaps, 1);
}

#[test]
fn a_lead_that_was_held_against_the_decision_and_given_back_is_rebuilt_as_it_stands() {
    let mut stage = Stage::new();
    let console = stage.console("DU-POL", "1");
    let offers = stage.arrive("a", "POL: DU-POL; AMB: DU-AMB");
    stage.take(console, offers[0]);
    stage.evidence("a", crate::stage::words("he does not breathe"));
    stage.redecide("AMB: DU-AMB; POL: DU-POL");
    stage.say(console, ConsoleSays::Release { offer: offers[0] });
    stage.lose();
    for _ in 0..2 {
        stage.store();
        stage.pass(SECOND);
    }
    stage.store();
    assert!(stage.engine.is_whole());
    let before = stage.contacts();
    stage.crash(&usual_rooms());
    assert_eq!(stage.contacts(), before);
}

#[test]
fn a_contact_beyond_the_bound_whose_entries_were_lost_can_be_handed_back() {
    let config = Config { contacts_live_max: 1, ..Config::default() };
    let mut stage = Stage::with(config, usual_rooms());
    let gateway = stage.gateway("gw");
    stage.arrive("", "");
    stage.arrive("b", "AMB: DU-AMB");
    stage.lose();
    stage.store();
    stage.store();
    stage.store();
    stage.gateway_heard(gateway);
    stage.arrive("b", "AMB: DU-AMB");
    stage.store();
    assert_eq!(words_of(&stage.gateway_heard(gateway)), ["durable"]);
}

#[test]
fn a_loss_keeps_shares_that_the_decision_in_force_no_longer_names() {
    let mut stage = Stage::new();
    let (police, ambulance) = (stage.console("DU-POL", "1"), stage.console("DU-AMB", "1"));
    let offers = stage.arrive("a", "AMB: DU-AMB > SH-AMB; POL: DU-POL > SH-POL");
    stage.take(police, offers[1]);
    stage.accept(police, offers[1]);
    stage.take(ambulance, offers[0]);
    stage.evidence("a", words("only ill, in Sharjah"));
    stage.redecide("AMB: SH-AMB");
    stage.lose();
    stage.store();
    stage.store();
    let before = stage.contacts();
    stage.crash(&usual_rooms());
    assert_eq!(stage.contacts(), before);
}

#[test]
fn a_loss_keeps_a_share_that_was_given_back_after_the_decision_dropped_it() {
    let mut stage = Stage::new();
    let police = stage.console("DU-POL", "1");
    let offers = stage.arrive("a", "AMB: DU-AMB; POL: DU-POL");
    stage.take(police, offers[1]);
    stage.evidence("a", words("only ill"));
    stage.redecide("AMB: DU-AMB");
    stage.say(police, ConsoleSays::Release { offer: offers[1] });
    stage.lose();
    stage.store();
    stage.store();
    let before = stage.contacts();
    assert_eq!(before[0].offers.len(), 2);
    stage.crash(&usual_rooms());
    assert_eq!(stage.contacts(), before);
}

// --- tables and states ---

#[test]
fn states_and_tables_are_journaled_and_published_under_rising_numbers() {
    let mut stage = Stage::new();
    let (first, _) = stage.engine.published();
    stage.input(Input::State { dispatcher: name("DU-AMB"), state: DispatcherState::Full, by: name("ops") });
    stage.input(Input::Rooms { rooms: Arc::new(usual_rooms()), by: name("ops") });
    assert_eq!(stage.published, [first + 1, first + 2]);
    assert_eq!(stage.engine.published(), (first + 2, vec![(name("DU-AMB"), DispatcherState::Full)]));
    assert!(matches!(&stage.facts[..], [(1, Fact::State { .. }), (2, Fact::Tables { .. })]));
    stage.arrive("a", "AMB: DU-AMB; POL: DU-POL");
    let states = stage.facts.iter().find_map(|(_, fact)| if let Fact::Arrived { states, .. } = fact { Some(states.clone()) } else { None });
    assert_eq!(states, Some(vec![(name("DU-AMB"), DispatcherState::Full)]));
}

#[test]
fn signing_in_and_out_publishes_nothing() {
    let mut stage = Stage::new();
    let console = stage.console("DU-AMB", "1");
    stage.say(console, ConsoleSays::SignOut);
    stage.leave(console);
    assert!(stage.published.is_empty() && stage.facts.is_empty());
}

#[test]
fn new_tables_change_waits_and_capacities_of_rooms() {
    let mut stage = Stage::new();
    let (full, next) = (stage.console("DU-AMB", "1"), stage.console("SH-AMB", "1"));
    stage.input(Input::Rooms { rooms: Arc::new(rooms(&[("DU-AMB", 0), ("SH-AMB", 9)])), by: name("ops") });
    let offers = stage.arrive("a", "AMB: DU-AMB > SH-AMB");
    assert!(stage.sees(next, offers[0]) && !stage.sees(full, offers[0]));
}

// --- crash and hand-back ---

#[test]
fn after_a_restart_contacts_are_offered_again_and_gateways_told_again() {
    let mut stage = Stage::new();
    let console = stage.console("DU-AMB", "1");
    let waiting = stage.arrive("waiting", "AMB: DU-AMB > SH-AMB");
    let accepted = stage.arrive("accepted", "AMB: DU-AMB");
    stage.take(console, accepted[0]);
    stage.accept(console, accepted[0]);
    stage.store();
    stage.crash(&usual_rooms());
    assert_eq!(stage.engine.alarm(waiting[0]), Some(Alarm::NoSeat), "nobody sees it, and that is said");
    let back = stage.console("DU-AMB", "1");
    assert_eq!(stage.engine.alarms(), Alarms::default());
    assert!(stage.shown(back, waiting[0]).unwrap().confirmed);
    let shown = stage.shown(back, accepted[0]).unwrap();
    assert_eq!((shown.held_by, shown.accepted), (Some(seat("DU-AMB", "1")), true));
    let gateway = stage.gateway("gw");
    assert_eq!(words_of(&stage.gateway_heard(gateway)), ["durable", "durable", "accepted"]);
    stage.close(back, accepted[0]);
    stage.store();
    assert_eq!(stage.endings(), [Ending::Closed]);
}

#[test]
fn after_a_restart_seats_have_time_to_come_back_before_the_next_room_is_asked() {
    let mut stage = Stage::new();
    let offers = {
        stage.console("DU-AMB", "1");
        stage.arrive("a", "AMB: DU-AMB > SH-AMB")
    };
    stage.store();
    stage.crash(&usual_rooms());
    let next = stage.console("SH-AMB", "1");
    stage.pass(limits::RECOVERY_WAIT_MICROS_MAX - 1);
    assert!(!stage.sees(next, offers[0]));
    stage.pass(1);
    assert!(stage.sees(next, offers[0]));
}

#[test]
fn after_a_restart_a_holder_that_does_not_come_back_loses_what_it_held() {
    let mut stage = Stage::new();
    let console = stage.console("DU-AMB", "1");
    let offers = stage.arrive("a", "AMB: DU-AMB");
    stage.take(console, offers[0]);
    stage.store();
    stage.crash(&usual_rooms());
    let mate = stage.console("DU-AMB", "2");
    assert_eq!(stage.shown(mate, offers[0]).unwrap().held_by, Some(seat("DU-AMB", "1")));
    stage.pass(limits::LEASE_MICROS_MAX);
    assert_eq!(waiting_why(&stage.heard(mate)), [WaitingWhy::LeaseStale]);
}

#[test]
fn what_the_disk_never_held_is_handed_back_by_both_and_lives_once() {
    let mut stage = Stage::new();
    let console = stage.console("DU-AMB", "1");
    let contact = stage.contact("gw", "a");
    let decided = decision("AMB: DU-AMB");
    let offers = stage.arrive_as(contact.clone(), Arc::clone(&decided));
    let shown = stage.shown(console, offers[0]).unwrap();
    stage.crash(&usual_rooms());
    assert_eq!(stage.engine.live_contacts(), 0);
    let back = stage.console("DU-AMB", "1");
    let says = ConsoleSays::HandBack { offer: offers[0], contact: Arc::clone(&shown.contact), decision: Arc::clone(&shown.decision) };
    stage.say(back, says.clone());
    let again = Contact { id: ContactId(77), ..contact };
    stage.input(Input::Arrived { session: None, contact: Arc::new(again), decision: decided, handed_back: true });
    stage.say(back, says);
    assert_eq!((stage.engine.live_contacts(), stage.engine.counters().handed_back), (1, 3));
    assert!(stage.sees(back, offers[0]));
}

#[test]
fn a_contact_handed_back_with_evidence_is_the_same_contact_and_the_evidence_counts() {
    let mut stage = Stage::new();
    let console = stage.console("DU-AMB", "1");
    let plain = stage.contact("gw", "a");
    stage.arrive_as(plain.clone(), decision("AMB: DU-AMB"));
    let mut more = Contact { id: ContactId(55), revision: 1, ..plain };
    more.signals.push(Signal::Words("he fell".into()));
    let offer = OfferId { contact: more.id, service: Service::Ambulance };
    stage.say(console, ConsoleSays::HandBack { offer, contact: Arc::new(more), decision: decision("AMB: DU-AMB") });
    assert_eq!(stage.engine.live_contacts(), 1);
    assert_eq!(stage.contacts()[0].contact.signals, [Signal::Words("he fell".into())]);
    assert!(stage.heard(console).contains(&ConsoleHears::Withdrawn { offer }), "the id that is not the contact's leaves the screen");
}

#[test]
fn a_journal_that_ends_between_the_last_close_and_the_end_is_ended_after_the_restart() {
    let mut stage = Stage::new();
    let console = stage.console("DU-AMB", "1");
    let offers = stage.arrive("a", "AMB: DU-AMB");
    stage.take(console, offers[0]);
    stage.accept(console, offers[0]);
    stage.close(console, offers[0]);
    stage.store_through(stage.engine.last_seq() - 1);
    stage.crash(&usual_rooms());
    stage.pass(1);
    assert_eq!(stage.endings(), [Ending::Closed]);
}

#[test]
fn an_ended_contact_is_remembered_across_a_restart_and_its_end_told() {
    let mut stage = Stage::new();
    stage.arrive("a", "");
    stage.store();
    stage.crash(&usual_rooms());
    let gateway = stage.gateway("gw");
    assert_eq!(words_of(&stage.gateway_heard(gateway)), ["durable", "ended"]);
    stage.arrive("a", "");
    assert_eq!((stage.engine.live_contacts(), stage.engine.counters().duplicates), (0, 1));
}

#[test]
fn a_gateway_that_hears_many_ends_in_slices_misses_none_when_older_ones_are_dropped_meanwhile() {
    let mut stage = Stage::new();
    stage.disk_is_fast = true;
    let count = limits::CATCH_UP_MAX + 88;
    let drill = |stage: &mut Stage, gateway_ref: &str| {
        let mut contact = stage.contact("gw", gateway_ref);
        contact.load_test = true;
        stage.arrive_as(contact, decision("AMB: DU-AMB"));
    };
    for (era, wait) in [("old", 30), ("new", 25)] {
        (0..count).for_each(|number| drill(&mut stage, &format!("{era} {number}")));
        stage.pass(wait * SECOND);
    }
    let gateway = stage.gateway("gw");
    stage.now = stage.now.plus_micros(6 * SECOND);
    drill(&mut stage, "last");
    stage.pass(SECOND);
    let heard = stage.gateway_heard(gateway);
    let heard_end = |gateway_ref: String| {
        heard.iter().any(|hears| matches!(hears, GatewayHears::Ended { key, .. } if *key.gateway_ref == *gateway_ref))
    };
    assert!((0..count).all(|number| heard_end(format!("new {number}"))));
}

#[test]
fn a_contact_whose_decision_names_nobody_stays_alive_until_one_does() {
    let mut stage = Stage::new();
    let contact = stage.contact("gw", "a");
    let id = contact.id;
    let nobody = najda::decision::DecisionRecord::default();
    let mut out = najda::engine::Outputs::new();
    let input = Input::Arrived { session: None, contact: Arc::new(contact), decision: Arc::new(nobody), handed_back: false };
    stage.engine.handle(input, stage.now, &mut out);
    assert_eq!((stage.engine.alarms().undecided, stage.engine.counters().internal), (1, 1));
    stage.engine.handle(Input::Redecided { contact: id, revision: 0, decision: decision("AMB: DU-AMB") }, stage.now, &mut out);
    assert_eq!(stage.engine.alarms(), Alarms { no_seat: 1, ..Alarms::default() });
}

#[test]
fn a_clock_that_runs_backwards_stands_still() {
    let mut stage = Stage::new();
    stage.arrive("a", "AMB: DU-AMB");
    stage.now = Timestamp::from_secs(1);
    stage.arrive("b", "AMB: DU-AMB");
    let times: Vec<Timestamp> = stage.facts.iter().map(|(_, fact)| fact.at()).collect();
    assert!(times.is_sorted());
}

#[test]
fn doors_without_voice_are_offered_like_all_others() {
    let mut stage = Stage::new();
    let console = stage.console("DU-AMB", "1");
    let contact = Contact { door: Door::Sms, ..stage.contact("gw", "a") };
    let offers = stage.arrive_as(contact, decision("AMB: DU-AMB"));
    assert!(stage.sees(console, offers[0]));
}

// --- a sender speaks again ---

#[test]
fn news_of_a_living_contact_is_evidence_and_after_its_end_it_is_a_contact_again() {
    let mut stage = Stage::new();
    stage.disk_is_fast = true;
    let fire = stage.console("DU-POL", "1");
    let offer = stage.arrive("alert", "POL: DU-POL")[0];
    let news = |stage: &mut Stage, text: &str| {
        let mut contact = stage.contact("gw", "alert");
        contact.signals = words(text).signals;
        let id = contact.id;
        stage.input(Input::News { contact: Arc::new(contact), decision: decision("POL: DU-POL") });
        OfferId { contact: id, ..offer }
    };
    let of_living = news(&mut stage, "it spreads");
    assert_eq!((stage.contacts().len(), stage.reroutes.len()), (1, 1));
    assert!(!stage.sees(fire, of_living));
    stage.redecide("POL: DU-POL");
    stage.take(fire, offer);
    stage.accept(fire, offer);
    stage.close(fire, offer);
    assert_eq!(stage.endings().len(), 1);
    let again = news(&mut stage, "it burns again");
    assert!(stage.sees(fire, again), "nobody's evidence, and somebody may need help");
    assert_eq!(stage.shown(fire, again).unwrap().decision.discrepancies, [name("key_reused")]);
}
