//! What people do together: notes, a service added, a share handed over, several contacts as one incident.

use najda::contact::{ClaimSource, LocationClaim, Place, Signal, Whose};
use najda::deliver::{AskedWhy, ConsoleHears, ConsoleSays, Fact, OfferId, Refusal, Role, Seat};
use najda::engine::SessionId;
use najda::geo::point::Point;
use najda::incident::IncidentId;
use najda::service::Service;
use najda::units::{ContactId, Ppm};

use crate::stage::{SECOND, Stage, TAKE, decision, name, usual_rooms};

fn seat(room: &str) -> Seat {
    Seat { dispatcher: name(room), seat: name("1") }
}

fn stage() -> Stage {
    let mut stage = Stage::new();
    stage.disk_is_fast = true;
    stage
}

fn refusals(heard: &[ConsoleHears]) -> Vec<Refusal> {
    heard.iter().filter_map(|hears| if let ConsoleHears::Refused { why, .. } = hears { Some(*why) } else { None }).collect()
}

fn incidents(stage: &Stage) -> Vec<IncidentId> {
    stage.contacts().into_iter().map(|view| view.incident).collect()
}

/// A call from this many metres north of one place, about which something was said.
fn call_at(stage: &mut Stage, gateway_ref: &str, north_m: f64, decided: &str) -> Vec<OfferId> {
    let mut contact = stage.contact("gw", gateway_ref);
    let at = Point::from_degrees(25.2 + north_m / 111_320.0, 55.3).unwrap();
    let claim =
        LocationClaim { whose: Whose::Caller, place: Place::point(at), source: ClaimSource::DeviceFix, age_secs: 0, confidence: Ppm::ONE };
    contact.claims.push(claim);
    contact.signals.push(Signal::Words("a lorry lies across the whole road".into()));
    stage.arrive_as(contact, decision(decided))
}

// --- notes ---

#[test]
fn a_note_is_told_to_every_service_on_the_contact_once_the_journal_holds_it() {
    let mut stage = Stage::new();
    let [police, ambulance, stranger] = ["DU-POL", "DU-AMB", "SH-POL"].map(|room| stage.console(room, "1"));
    let offers = stage.arrive("a", "POL: DU-POL; AMB: DU-AMB");
    let contact = offers[0].contact;
    stage.store();
    stage.heard(ambulance);
    stage.say(police, ConsoleSays::Note { contact, text: "  use the north gate \n".into() });
    assert!(stage.heard(ambulance).is_empty(), "not before the disk has it");
    stage.store();
    let told = |heard: Vec<ConsoleHears>| {
        heard.into_iter().find_map(|hears| if let ConsoleHears::Noted { note, .. } = hears { Some(note) } else { None })
    };
    let note = told(stage.heard(ambulance)).expect("the other service reads it");
    assert_eq!((note.by, &*note.text), (seat("DU-POL"), "use the north gate"));
    assert!(told(stage.heard(stranger)).is_none());
    let late = stage.console("DU-AMB", "2");
    assert_eq!(stage.shown(late, offers[1]).unwrap().notes, [note], "who comes later reads it too");
    stage.say(stranger, ConsoleSays::Note { contact, text: "hello".into() });
    assert_eq!(refusals(&stage.heard(stranger)), [Refusal::NotYours]);
}

#[test]
fn a_note_is_cut_at_its_bound_and_an_empty_one_is_none() {
    let mut stage = stage();
    let police = stage.console("DU-POL", "1");
    let contact = stage.arrive("a", "POL: DU-POL")[0].contact;
    stage.say(police, ConsoleSays::Note { contact, text: " ".into() });
    stage.say(police, ConsoleSays::Note { contact, text: "\u{645}".repeat(400).into() });
    let notes = &stage.contacts()[0].notes;
    assert_eq!(notes.iter().map(|note| note.text.len()).collect::<Vec<_>>(), [512]);
}

// --- a service added ---

#[test]
fn a_service_added_is_offered_to_the_room_the_new_decision_names_and_who_asked_is_on_record() {
    let mut stage = stage();
    let [police, ambulance] = ["DU-POL", "DU-AMB"].map(|room| stage.console(room, "1"));
    let offer = stage.arrive("a", "POL: DU-POL")[0];
    stage.take(police, offer);
    stage.say(police, ConsoleSays::AddService { contact: offer.contact, service: Service::Ambulance });
    let (contact, _) = stage.reroutes.last().cloned().expect("a decision is asked for");
    assert_eq!(contact.signals, [Signal::Wanted(Service::Ambulance)]);
    stage.redecide("POL: DU-POL; AMB: DU-AMB");
    let share = OfferId { service: Service::Ambulance, ..offer };
    assert_eq!(stage.shown(ambulance, share).map(|offer| offer.role), Some(Role::Responsible));
    let view = &stage.contacts()[0];
    assert_eq!(view.offers[0].holder, Some(seat("DU-POL")), "the lead stays where it is");
    assert_eq!(view.notes.iter().map(|note| (note.by, &*note.text)).collect::<Vec<_>>(), [(seat("DU-POL"), "+ambulance")]);
    let asked = stage.reroutes.len();
    stage.say(police, ConsoleSays::AddService { contact: offer.contact, service: Service::Ambulance });
    assert_eq!(stage.reroutes.len(), asked, "what is there is not added again");
}

// --- each service knows of the others ---

#[test]
fn each_service_hears_how_far_the_others_have_come_once_the_journal_holds_it() {
    let mut stage = Stage::new();
    let [police, ambulance] = ["DU-POL", "DU-AMB"].map(|room| stage.console(room, "1"));
    let offers = stage.arrive("a", "POL: DU-POL; AMB: DU-AMB");
    stage.store();
    let told = |stage: &mut Stage| {
        let heard = stage.heard(ambulance);
        heard.into_iter().filter_map(|hears| if let ConsoleHears::Shares { shares, .. } = hears { Some(shares[0]) } else { None }).last()
    };
    stage.take(police, offers[0]);
    assert_eq!(told(&mut stage), None, "not before the disk has it");
    stage.store();
    assert_eq!(told(&mut stage).map(|share| (share.held_by, share.accepted)), Some((Some(seat("DU-POL")), false)));
    stage.accept(police, offers[0]);
    stage.store();
    assert_eq!(told(&mut stage).map(|share| share.accepted), Some(true));
    let late = stage.console("DU-AMB", "2");
    let shares = stage.shown(late, offers[1]).unwrap().shares.clone();
    let far: Vec<_> = shares.iter().map(|share| (share.service, share.accepted)).collect();
    assert_eq!(far, [(Service::Police, true), (Service::Ambulance, false)]);
    stage.close(police, offers[0]);
    stage.store();
    assert_eq!(told(&mut stage).map(|share| share.closed), Some(true));
}

// --- a share handed over ---

#[test]
fn a_share_handed_over_is_asked_of_that_room_alone_and_stays_until_it_is_taken_there() {
    let mut stage = stage();
    let [dubai, sharjah, ajman] = ["DU-AMB", "SH-AMB", "AJ-AMB"].map(|room| stage.console(room, "1"));
    let offer = stage.arrive("a", "AMB: DU-AMB > AJ-AMB")[0];
    stage.take(dubai, offer);
    stage.say(dubai, ConsoleSays::Transfer { offer, to: name("SH-AMB"), reason: "they are across the road".into() });
    assert_eq!(stage.shown(sharjah, offer).map(|offer| (offer.role, offer.held_by)), Some((Role::Overflow, Some(seat("DU-AMB")))));
    assert!(!stage.sees(ajman, offer));
    assert_eq!(stage.contacts()[0].offers[0].holder, Some(seat("DU-AMB")));
    let why = stage.facts.iter().filter_map(|(_, fact)| if let Fact::Asked { why, .. } = fact { Some(*why) } else { None });
    assert_eq!(why.collect::<Vec<_>>(), [AskedWhy::HandedOver]);
    stage.take(sharjah, offer);
    assert_eq!(stage.contacts()[0].offers[0].holder, Some(seat("SH-AMB")));
}

#[test]
fn a_share_handed_over_that_nobody_takes_goes_up_the_ladder_as_any_other() {
    let mut stage = stage();
    let [dubai, sharjah, ajman] = ["DU-AMB", "SH-AMB", "AJ-AMB"].map(|room| stage.console(room, "1"));
    let offer = stage.arrive("a", "AMB: DU-AMB > AJ-AMB")[0];
    stage.take(dubai, offer);
    stage.say(dubai, ConsoleSays::Transfer { offer, to: name("SH-AMB"), reason: "theirs".into() });
    stage.pass(TAKE + SECOND);
    assert!(stage.sees(ajman, offer) && stage.sees(sharjah, offer));
    assert_eq!(stage.contacts()[0].offers[0].holder, Some(seat("DU-AMB")), "the holder keeps it all the while");
}

#[test]
fn nothing_is_handed_to_an_empty_room_to_an_unknown_one_or_by_who_does_not_hold_it() {
    let mut stage = stage();
    let [dubai, other] = [("DU-AMB", "1"), ("DU-AMB", "2")].map(|(room, seat)| stage.console(room, seat));
    let offer = stage.arrive("a", "AMB: DU-AMB")[0];
    stage.take(dubai, offer);
    stage.heard(dubai);
    let hand = |to: &str| ConsoleSays::Transfer { offer, to: name(to), reason: "x".into() };
    for to in ["SH-AMB", "XX-AMB", "DU-AMB"] {
        stage.say(dubai, hand(to));
    }
    assert_eq!(refusals(&stage.heard(dubai)), [Refusal::Unstaffed, Refusal::Unknown, Refusal::Unstaffed]);
    stage.say(other, hand("SH-AMB"));
    assert_eq!(refusals(&stage.heard(other)), [Refusal::HeldByAnother]);
}

// --- one incident ---

fn joined(heard: &[ConsoleHears]) -> Vec<(ContactId, Vec<ContactId>)> {
    let of = |hears: &ConsoleHears| {
        if let ConsoleHears::Joined { contact, contacts, .. } = hears { Some((*contact, contacts.clone())) } else { None }
    };
    heard.iter().filter_map(of).collect()
}

#[test]
fn contacts_near_each_other_are_proposed_to_both_and_joined_only_by_a_person() {
    let mut stage = stage();
    let [police, ambulance] = ["DU-POL", "DU-AMB"].map(|room| stage.console(room, "1"));
    let first = call_at(&mut stage, "a", 0.0, "POL: DU-POL")[0];
    stage.heard(police);
    let second = call_at(&mut stage, "b", 80.0, "AMB: DU-AMB")[0];
    let proposed = stage.shown(ambulance, second).unwrap().candidates.clone();
    assert_eq!(proposed.iter().map(|candidate| candidate.contact).collect::<Vec<_>>(), [first.contact]);
    assert!(proposed[0].because.near && proposed[0].because.words && (75..85).contains(&proposed[0].distance_m), "{proposed:?}");
    let back = stage
        .heard(police)
        .into_iter()
        .find_map(|hears| if let ConsoleHears::Related { candidates, .. } = hears { Some(candidates) } else { None });
    assert_eq!(back.expect("the first room hears of it").first().map(|candidate| candidate.contact), Some(second.contact));
    assert_ne!(incidents(&stage)[0], incidents(&stage)[1], "nothing is joined by itself");

    stage.say(ambulance, ConsoleSays::Join { contact: second.contact, with: first.contact });
    assert_eq!(incidents(&stage)[0], incidents(&stage)[1]);
    assert_eq!(joined(&stage.heard(ambulance)), [(second.contact, vec![first.contact, second.contact])]);
    let late = stage.console("DU-POL", "2");
    assert_eq!(stage.shown(late, first).unwrap().joined, [second.contact]);
    for (offer, session) in [(first, police), (second, ambulance)] {
        assert!(stage.sees(session, offer), "joining takes nothing off a screen");
    }
}

#[test]
fn an_incident_keeps_the_name_of_its_oldest_contact_and_a_split_gives_each_its_own() {
    let mut stage = stage();
    let police = stage.console("DU-POL", "1");
    let offers: Vec<OfferId> = ["a", "b", "c"].iter().map(|reference| stage.arrive(reference, "POL: DU-POL")[0]).collect();
    let own = incidents(&stage);
    let join = |stage: &mut Stage, session: SessionId, one: usize, other: usize| {
        stage.say(session, ConsoleSays::Join { contact: offers[one].contact, with: offers[other].contact });
    };
    join(&mut stage, police, 1, 2);
    join(&mut stage, police, 2, 0);
    assert_eq!(incidents(&stage), [own[0], own[0], own[0]]);
    stage.say(police, ConsoleSays::Split { contact: offers[0].contact });
    assert_eq!(incidents(&stage), [own[0], own[1], own[1]], "the others stay together under the next oldest");
    stage.say(police, ConsoleSays::Split { contact: offers[2].contact });
    assert_eq!(incidents(&stage), own);
}

fn ended(heard: &[ConsoleHears]) -> Option<(ContactId, Vec<ContactId>)> {
    let of = |hears: &ConsoleHears| {
        if let ConsoleHears::MembersEnded { contact, ended } = hears { Some((*contact, ended.clone())) } else { None }
    };
    heard.iter().filter_map(of).next_back()
}

#[test]
fn a_contact_that_has_ended_is_still_named_in_its_incident_while_another_of_it_lives() {
    let mut stage = stage();
    let police = stage.console("DU-POL", "1");
    let offers: Vec<OfferId> = ["a", "b", "c"].iter().map(|reference| stage.arrive(reference, "POL: DU-POL")[0]).collect();
    let ids: Vec<ContactId> = offers.iter().map(|offer| offer.contact).collect();
    for other in &ids[1..] {
        stage.say(police, ConsoleSays::Join { contact: *other, with: ids[0] });
    }
    let done = |stage: &mut Stage, offer: OfferId| {
        stage.heard(police);
        stage.take(police, offer);
        stage.accept(police, offer);
        stage.close(police, offer);
    };
    done(&mut stage, offers[0]);
    assert_eq!(ended(&stage.heard(police)), Some((ids[2], vec![ids[0]])), "each of the others hears it");
    done(&mut stage, offers[1]);
    assert_eq!(ended(&stage.heard(police)), Some((ids[2], vec![ids[0], ids[1]])), "who has ended before goes on with who lives");
    let late = stage.console("DU-POL", "2");
    let shown = stage.shown(late, offers[2]).unwrap();
    assert_eq!((shown.ended.clone(), shown.joined.len()), (ids[..2].to_vec(), 0));
    stage.crash(&usual_rooms());
    let police = stage.console("DU-POL", "1");
    assert_eq!(stage.shown(police, offers[2]).unwrap().ended, ids[..2]);
    let fresh = stage.arrive("d", "POL: DU-POL")[0];
    stage.say(police, ConsoleSays::Join { contact: fresh.contact, with: ids[2] });
    stage.say(police, ConsoleSays::Split { contact: ids[2] });
    let late = stage.console("DU-POL", "2");
    let of = |offer| stage.shown(late, offer).unwrap().ended.clone();
    assert_eq!((of(offers[2]), of(fresh)), (vec![], ids[..2].to_vec()), "who is split off leaves them to the others");
}

#[test]
fn incidents_notes_and_services_survive_a_crash() {
    let mut stage = stage();
    let police = stage.console("DU-POL", "1");
    let offers: Vec<OfferId> =
        (0..3).map(|number| call_at(&mut stage, &format!("r{number}"), 50.0 * f64::from(number), "POL: DU-POL")[0]).collect();
    stage.say(police, ConsoleSays::Join { contact: offers[2].contact, with: offers[0].contact });
    stage.say(police, ConsoleSays::Note { contact: offers[1].contact, text: "the same lorry?".into() });
    let before = stage.contacts();
    stage.crash(&usual_rooms());
    assert_eq!(stage.contacts(), before);
    let police = stage.console("DU-POL", "1");
    let shown = stage.shown(police, offers[0]).unwrap();
    assert_eq!((shown.joined.clone(), shown.incident), (vec![offers[2].contact], before[0].incident));
    assert!(stage.shown(police, offers[1]).unwrap().candidates.iter().any(|candidate| candidate.contact == offers[0].contact));
}

#[test]
fn a_caller_who_calls_again_is_one_incident_with_the_first_call() {
    let mut stage = stage();
    stage.console("DU-POL", "1");
    stage.call_from("+971500000001", "first", "POL: DU-POL");
    stage.call_from("+971500000001", "second", "POL: DU-POL");
    stage.call_from("+971500000002", "other", "POL: DU-POL");
    let of = incidents(&stage);
    assert!(of[0] == of[1] && of[1] != of[2]);
    let by: Vec<Option<Seat>> =
        stage.facts.iter().filter_map(|(_, fact)| if let Fact::Joined { seat, .. } = fact { Some(*seat) } else { None }).collect();
    assert_eq!(by, [None], "by nobody: it is the same caller");
}

#[test]
fn a_test_is_joined_with_nothing_real_and_nobody_joins_what_they_do_not_see() {
    let mut stage = stage();
    let [police, sharjah] = ["DU-POL", "SH-POL"].map(|room| stage.console(room, "1"));
    let real = stage.arrive("a", "POL: DU-POL")[0];
    let other = stage.arrive("b", "POL: DU-POL")[0];
    let tests = stage.test_console("DU-POL", "9");
    let mut contact = stage.contact("gw", "t");
    contact.load_test = true;
    let test = stage.arrive_as(contact, decision("POL: DU-POL"))[0];
    stage.heard(police);
    stage.say(police, ConsoleSays::Join { contact: real.contact, with: test.contact });
    stage.say(tests, ConsoleSays::Join { contact: real.contact, with: test.contact });
    stage.say(sharjah, ConsoleSays::Join { contact: real.contact, with: other.contact });
    assert_eq!(refusals(&stage.heard(police)), [Refusal::Forbidden]);
    assert_eq!(refusals(&stage.heard(tests)), [Refusal::NotYours]);
    assert_eq!(refusals(&stage.heard(sharjah)), [Refusal::NotYours]);
    let of = incidents(&stage);
    assert!(of[0] != of[1] && of[1] != of[2] && of[0] != of[2]);
}

#[test]
fn a_seat_that_comes_hears_when_everything_was_shown() {
    let mut stage = stage();
    stage.arrive("a", "POL: DU-POL");
    let police = stage.console("DU-POL", "1");
    let heard = stage.heard(police);
    assert!(matches!(heard.as_slice(), [ConsoleHears::SignedIn { .. }, .., ConsoleHears::CaughtUp]), "{heard:?}");
}
