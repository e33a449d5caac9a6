//! Declared events: who may declare, what belongs to one, whom its contacts ring, and that the ladder knows nothing of it.

use std::sync::Arc;

use najda::contact::{ClaimSource, LocationClaim, Place, Whose};
use najda::deliver::{AlertWhy, AskedWhy, ConsoleHears, ConsoleSays, Event, Fact, OfferId, Refusal};
use najda::engine::{Alarm, SessionId};
use najda::event::{EventArea, EventId, EventTerms};
use najda::geo::point::Point;
use najda::limits::{EVENT_WORDS_BYTES_MAX, EVENTS_MAX};
use najda::units::{Ppm, Timestamp};
use proptest::prelude::*;

use crate::stage::{SECOND, Stage, decision, name, usual_rooms};

const MINUTE: u64 = 60 * SECOND;

fn stage() -> Stage {
    let mut stage = Stage::new();
    stage.disk_is_fast = true;
    stage
}

fn refusals(heard: &[ConsoleHears]) -> Vec<Refusal> {
    heard.iter().filter_map(|hears| if let ConsoleHears::Refused { why, .. } = hears { Some(*why) } else { None }).collect()
}

fn center() -> Point {
    Point::from_degrees(25.0, 55.0).unwrap()
}

/// Within two kilometres of one place, for so long.
fn pile_up(now: Timestamp, micros: u64) -> EventTerms {
    EventTerms {
        area: EventArea::Circle { center: center(), radius_cm: 200_000 },
        words_en: "pile-up in fog".into(),
        words_ar: "تصادم في الضباب".into(),
        types: Vec::new(),
        until: now.plus_micros(micros),
    }
}

fn declare(stage: &mut Stage, session: SessionId, micros: u64) -> EventId {
    let terms = pile_up(stage.now, micros);
    stage.say(session, ConsoleSays::Declare { terms });
    stage.engine.events().last().expect("it is declared").id
}

/// A call from there, or from elsewhere.
fn call(stage: &mut Stage, gateway_ref: &str, there: bool, decided: &str) -> OfferId {
    let mut contact = stage.contact("gw", gateway_ref);
    let at = if there { center() } else { Point::from_degrees(25.3, 55.3).unwrap() };
    contact.claims.push(LocationClaim {
        whose: Whose::Caller,
        place: Place::point(at),
        source: ClaimSource::DeviceFix,
        age_secs: 0,
        confidence: Ppm::ONE,
    });
    stage.arrive_as(contact, decision(decided))[0]
}

fn declared(heard: &[ConsoleHears]) -> Vec<Event> {
    heard.iter().filter_map(|hears| if let ConsoleHears::Declared { event } = hears { Some(event.clone()) } else { None }).collect()
}

fn is_over(heard: &[ConsoleHears], id: EventId) -> bool {
    heard.iter().any(|hears| matches!(hears, ConsoleHears::EventOver { event, .. } if *event == id))
}

// --- declaring ---

#[test]
fn an_event_is_told_to_every_room_and_to_whoever_comes_once_the_journal_holds_it() {
    let mut stage = Stage::new();
    let chief = stage.supervisor("DU-POL", "chief");
    let [far, auditor] = [stage.console("AJ-AMB", "1"), stage.auditor("huda")];
    let id = declare(&mut stage, chief, MINUTE);
    assert!(declared(&stage.heard(far)).is_empty(), "not before the disk has it");
    stage.store();
    for session in [chief, far, auditor] {
        assert_eq!(declared(&stage.heard(session)).iter().map(|event| event.id).collect::<Vec<_>>(), [id]);
    }
    let late = stage.console("DU-AMB", "1");
    let event = declared(&stage.heard(late)).remove(0);
    assert_eq!((event.by.seat, &*event.terms.words_en), (name("chief"), "pile-up in fog"));
}

#[test]
fn only_who_supervises_declares_and_only_what_makes_sense() {
    let mut stage = stage();
    let [chief, dispatcher, auditor] = [stage.supervisor("DU-POL", "chief"), stage.console("DU-POL", "1"), stage.auditor("huda")];
    let good = pile_up(stage.now, MINUTE);
    for session in [dispatcher, auditor] {
        stage.heard(session);
        stage.say(session, ConsoleSays::Declare { terms: good.clone() });
        assert_eq!(refusals(&stage.heard(session)), [Refusal::Forbidden]);
    }
    let wrong = [
        EventTerms { until: stage.now, ..good.clone() },
        EventTerms { words_en: " ".into(), words_ar: Box::default(), ..good.clone() },
        EventTerms { words_ar: "x".repeat(EVENT_WORDS_BYTES_MAX + 1).into(), ..good.clone() },
        EventTerms { types: vec![name("MVA"); 17], ..good.clone() },
    ];
    stage.heard(chief);
    let count = wrong.len();
    wrong.into_iter().for_each(|terms| stage.say(chief, ConsoleSays::Declare { terms }));
    assert_eq!(refusals(&stage.heard(chief)), vec![Refusal::Malformed; count]);
    for _ in 0..=EVENTS_MAX {
        stage.say(chief, ConsoleSays::Declare { terms: good.clone() });
    }
    assert_eq!((refusals(&stage.heard(chief)), stage.engine.events().count()), (vec![Refusal::Full], EVENTS_MAX));
}

#[test]
fn an_event_ends_by_its_time_or_by_a_supervisors_hand_and_everybody_hears_it() {
    let mut stage = stage();
    let [chief, other, dispatcher] =
        [stage.supervisor("DU-POL", "chief"), stage.supervisor("SH-POL", "chief"), stage.console("DU-POL", "1")];
    let (short, long) = (declare(&mut stage, chief, MINUTE), declare(&mut stage, chief, 60 * MINUTE));
    stage.heard(dispatcher);
    stage.say(dispatcher, ConsoleSays::EndEvent { event: long });
    assert_eq!(refusals(&stage.heard(dispatcher)), [Refusal::Forbidden]);
    stage.pass(MINUTE);
    let heard = stage.heard(dispatcher);
    assert!(is_over(&heard, short) && !is_over(&heard, long));
    stage.say(other, ConsoleSays::EndEvent { event: long });
    assert!(is_over(&stage.heard(dispatcher), long));
    stage.heard(other);
    stage.say(other, ConsoleSays::EndEvent { event: long });
    assert_eq!(refusals(&stage.heard(other)), [Refusal::Unknown]);
    let by = stage.facts.iter().filter_map(|(_, fact)| if let Fact::EventOver { seat, .. } = fact { Some(seat.is_some()) } else { None });
    assert_eq!(by.collect::<Vec<_>>(), [false, true]);
}

#[test]
fn an_event_survives_a_crash_with_what_belongs_to_it_and_one_whose_time_is_over_is_over() {
    let mut stage = stage();
    let chief = stage.supervisor("DU-POL", "chief");
    let (short, long) = (declare(&mut stage, chief, MINUTE), declare(&mut stage, chief, 60 * MINUTE));
    let inside = call(&mut stage, "a", true, "POL: DU-POL");
    stage.say(chief, ConsoleSays::EndEvent { event: short });
    stage.crash(&usual_rooms());
    assert_eq!(stage.engine.events().map(|event| event.id).collect::<Vec<_>>(), [long]);
    let police = stage.console("DU-POL", "1");
    assert_eq!(stage.shown(police, inside).unwrap().event, Some(long));
    stage.now = stage.now.plus_micros(2 * 60 * MINUTE);
    stage.crash(&usual_rooms());
    stage.pass(SECOND);
    assert_eq!(stage.engine.events().count(), 0);
}

#[test]
fn what_the_journal_lost_of_an_event_is_said_again() {
    let mut stage = Stage::new();
    let chief = stage.supervisor("DU-POL", "chief");
    let id = declare(&mut stage, chief, 60 * MINUTE);
    stage.lose();
    stage.store();
    assert_eq!(declared(&stage.heard(chief)).iter().map(|event| event.id).collect::<Vec<_>>(), [id]);
    stage.crash(&usual_rooms());
    assert_eq!(stage.engine.events().map(|event| event.id).collect::<Vec<_>>(), [id]);
}

// --- what belongs to it ---

#[test]
fn contacts_inside_are_marked_those_before_it_too_and_unmarked_when_it_is_over() {
    let mut stage = stage();
    let [chief, police] = [stage.supervisor("DU-POL", "chief"), stage.console("DU-POL", "1")];
    let before = call(&mut stage, "a", true, "POL: DU-POL");
    let outside = call(&mut stage, "b", false, "POL: DU-POL");
    let id = declare(&mut stage, chief, MINUTE);
    let after = call(&mut stage, "c", true, "POL: DU-POL");
    let marks = |stage: &Stage| [before, outside, after].map(|offer| stage.shown(police, offer).unwrap().event);
    assert_eq!(marks(&stage), [Some(id), None, Some(id)]);
    stage.pass(MINUTE);
    assert_eq!(marks(&stage), [None; 3]);
}

#[test]
fn a_contact_that_turns_out_to_be_elsewhere_is_the_events_no_more() {
    let mut stage = stage();
    let [chief, police] = [stage.supervisor("DU-POL", "chief"), stage.console("DU-POL", "1")];
    stage.say(chief, ConsoleSays::Declare { terms: EventTerms { types: vec![name("MVA")], ..pile_up(stage.now, MINUTE) } });
    let mut decided = decision("POL: DU-POL");
    Arc::make_mut(&mut decided).incident_type = Some(name("MVA"));
    let mut contact = stage.contact("gw", "a");
    contact.claims.push(LocationClaim {
        whose: Whose::Caller,
        place: Place::point(center()),
        source: ClaimSource::DeviceFix,
        age_secs: 0,
        confidence: Ppm::ONE,
    });
    let offer = stage.arrive_as(contact, decided)[0];
    assert!(stage.shown(police, offer).unwrap().event.is_some());
    stage.evidence("a", crate::stage::words("it is a heart attack"));
    stage.redecide("POL: DU-POL");
    assert_eq!(stage.shown(police, offer).unwrap().event, None);
    assert!(stage.endings().is_empty() && stage.contacts().len() == 1);
}

// --- whom it rings ---

fn rung(heard: &[ConsoleHears], offer: OfferId) -> bool {
    heard.iter().any(|hears| match hears {
        ConsoleHears::Offer(shown) => shown.id == offer && shown.rings,
        ConsoleHears::Alert { offer: alerted, .. } => *alerted == offer,
        _ => false,
    })
}

#[test]
fn an_event_rings_at_two_of_three_seats_and_everything_else_at_all_of_them_at_once() {
    let mut stage = stage();
    let chief = stage.supervisor("SH-POL", "chief");
    let seats = ["1", "2", "3"].map(|seat| stage.console("DU-POL", seat));
    declare(&mut stage, chief, 10 * MINUTE);
    let inside: Vec<OfferId> = (0..5).map(|number| call(&mut stage, &format!("in{number}"), true, "POL: DU-POL")).collect();
    for session in seats {
        inside.iter().for_each(|offer| assert!(stage.sees(session, *offer), "nothing is hidden"));
    }
    let ringing = |offer: OfferId| seats.map(|session| stage.shown(session, offer).unwrap().rings);
    assert!(inside.iter().all(|offer| ringing(*offer) == [true, true, false]), "the same seat is kept free of all of them");
    let heart = call(&mut stage, "heart", false, "POL: DU-POL");
    assert_eq!(seats.map(|session| stage.shown(session, heart).unwrap().rings), [true; 3]);
    stage.take(seats[2], inside[0]);
    assert!(stage.contacts()[0].offers[0].holder.is_some(), "whoever wants to may take it");
}

#[test]
fn a_seat_that_is_kept_free_is_not_rung_for_the_event_later_either_but_sees_its_alarm() {
    let mut stage = stage();
    let chief = stage.supervisor("SH-POL", "chief");
    let seats = ["1", "2", "3"].map(|seat| stage.console("DU-POL", seat));
    declare(&mut stage, chief, 10 * MINUTE);
    let offer = call(&mut stage, "a", true, "POL: DU-POL");
    seats.iter().for_each(|session| stage.say(*session, ConsoleSays::Shown { offer }));
    stage.pass(45 * SECOND);
    assert_eq!(stage.engine.alarm(offer), Some(Alarm::EndOfChain));
    let [first, _, free] = seats.map(|session| stage.heard(session));
    let alerts = first.iter().filter(|hears| matches!(hears, ConsoleHears::Alert { why: AlertWhy::AllCall, .. })).count();
    assert!(alerts >= 2 && rung(&first, offer));
    assert!(!rung(&free, offer) && stage.shown(seats[2], offer).unwrap().alarm);
}

#[test]
fn a_room_of_one_seat_answers_everything() {
    let mut stage = stage();
    let chief = stage.supervisor("SH-POL", "chief");
    let only = stage.console("DU-POL", "1");
    declare(&mut stage, chief, MINUTE);
    let offer = call(&mut stage, "a", true, "POL: DU-POL");
    assert!(stage.shown(only, offer).unwrap().rings);
}

// --- the ladder knows nothing of it ---

/// What the ladder did, and when; and what stands in alarm at the end.
type Ladder = (Vec<(u64, OfferId, String, AskedWhy)>, Vec<(OfferId, Option<Alarm>)>);

fn lived(declares: bool, calls: &[(bool, u8, u16)], seats: &[usize; 3]) -> Ladder {
    let mut stage = stage();
    let chief = stage.supervisor("AE-ALL", "chief");
    for (room, count) in ["DU-POL", "SH-POL", "DU-AMB"].into_iter().zip(seats) {
        for seat in 0..*count {
            stage.console(room, &seat.to_string());
        }
    }
    if declares {
        declare(&mut stage, chief, 60 * MINUTE);
    }
    let start = stage.now;
    let decisions = ["POL: DU-POL > SH-POL", "POL: SH-POL > DU-POL; AMB: DU-AMB", "AMB: DU-AMB", "POL: DU-POL ~ SH-POL"];
    let mut offers = Vec::new();
    for (number, (there, decided, millis)) in calls.iter().enumerate() {
        offers.push(call(&mut stage, &format!("r{number}"), *there, decisions[usize::from(*decided) % decisions.len()]));
        stage.pass(u64::from(*millis) * 1_000);
    }
    stage.pass(30 * SECOND);
    assert!(stage.endings().is_empty() && stage.contacts().len() == calls.len(), "no contact is closed by machine");
    let incidents: std::collections::BTreeSet<_> = stage.contacts().iter().map(|view| view.incident).collect();
    assert_eq!(incidents.len(), calls.len(), "none is joined by machine");
    let asked = |(_, fact): &(u64, Fact)| match fact {
        Fact::Asked { at, offer, dispatcher, why } => Some((at.micros_since(start), *offer, dispatcher.to_string(), *why)),
        _ => None,
    };
    (stage.facts.iter().filter_map(asked).collect(), offers.iter().map(|offer| (*offer, stage.engine.alarm(*offer))).collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_offer_is_asked_or_alarmed_at_another_moment_because_of_an_event(
        calls in prop::collection::vec((any::<bool>(), 0u8..4, 0u16..8_000), 1..12),
        seats in prop::array::uniform3(0usize..4),
    ) {
        prop_assert_eq!(lived(true, &calls, &seats), lived(false, &calls, &seats));
    }
}
