//! When nobody answers: every rung, its bound, and that nobody waits unseen.

use std::collections::BTreeMap;

use najda::deliver::{AlertWhy, AskedWhy, ConsoleHears, ConsoleSays, DispatcherState, Fact, GatewayHears, OfferId, Role};
use najda::engine::{Alarm, Alarms, Config, Input, Rooms, SessionId};
use najda::limits::{ALARM_AGAIN_MICROS, ALARM_WAIT_MICROS_MAX, SHOWN_WAIT_MICROS_MAX};
use najda::units::Timestamp;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::stage::{SECOND, Stage, TAKE, name, rooms, usual_rooms};

fn alerts(heard: &[ConsoleHears]) -> Vec<AlertWhy> {
    heard.iter().filter_map(|hears| if let ConsoleHears::Alert { why, .. } = hears { Some(*why) } else { None }).collect()
}

fn asked(stage: &Stage) -> Vec<(String, AskedWhy)> {
    let asked = |fact: &Fact| if let Fact::Asked { dispatcher, why, .. } = fact { Some((dispatcher.to_string(), *why)) } else { None };
    stage.facts.iter().filter_map(|(_, fact)| asked(fact)).collect()
}

fn show(stage: &mut Stage, session: SessionId, offer: OfferId) {
    stage.say(session, ConsoleSays::Shown { offer });
}

#[test]
fn a_room_that_shows_it_and_does_not_take_it_rings_again_on_every_seat() {
    let mut stage = Stage::new();
    let seats = [stage.console("DU-AMB", "1"), stage.console("DU-AMB", "2")];
    let offers = stage.arrive("a", "AMB: DU-AMB > SH-AMB");
    show(&mut stage, seats[0], offers[0]);
    stage.pass(SHOWN_WAIT_MICROS_MAX - 1);
    assert!(seats.iter().all(|seat| alerts(&stage.heard(*seat)).is_empty()));
    stage.pass(1);
    assert!(seats.iter().all(|seat| alerts(&stage.heard(*seat)) == [AlertWhy::Again]));
    assert_eq!(stage.engine.counters().alerts, 2);
}

#[test]
fn after_the_chain_the_neighbour_in_doubt_is_asked() {
    let mut stage = Stage::new();
    let seats = [stage.console("DU-AMB", "1"), stage.console("SH-AMB", "1")];
    let offers = stage.arrive("a", "AMB: DU-AMB ~ SH-AMB");
    show(&mut stage, seats[0], offers[0]);
    assert_eq!(stage.shown(seats[1], offers[0]).unwrap().role, Role::Neighbour);
    stage.pass(TAKE);
    assert_eq!(asked(&stage), [("SH-AMB".into(), AskedWhy::NoTake)]);
    assert_eq!(stage.shown(seats[1], offers[0]).unwrap().role, Role::Overflow);
    assert!(stage.sees(seats[0], offers[0]), "who was asked first goes on seeing it");
}

#[test]
fn at_the_bound_everybody_is_asked_at_once_and_the_alarm_is_raised() {
    let mut stage = Stage::new();
    let seats = ["DU-AMB", "SH-AMB", "AJ-AMB", "AE-ALL"].map(|room| stage.console(room, "1"));
    let offers = stage.arrive("a", "AMB: DU-AMB > SH-AMB > AE-ALL ~ AJ-AMB");
    show(&mut stage, seats[0], offers[0]);
    stage.pass(ALARM_WAIT_MICROS_MAX - 1);
    assert_eq!(stage.engine.alarms(), Alarms::default());
    stage.heard(seats[0]);
    stage.pass(1);
    assert_eq!(stage.engine.alarm(offers[0]), Some(Alarm::EndOfChain));
    let all = [("SH-AMB", AskedWhy::NoTake), ("AE-ALL", AskedWhy::AllCall), ("AJ-AMB", AskedWhy::AllCall)];
    assert_eq!(asked(&stage), all.map(|(room, why)| (room.to_owned(), why)));
    assert_eq!(alerts(&stage.heard(seats[0])), [AlertWhy::AllCall]);
    assert_eq!(stage.shown(seats[2], offers[0]).map(|offer| (offer.role, offer.alarm)), Some((Role::AllCall, true)));
}

#[test]
fn an_alarm_rings_again_until_somebody_takes_it() {
    let mut stage = Stage::new();
    let seat = stage.console("DU-AMB", "1");
    let offers = stage.arrive("a", "AMB: DU-AMB");
    stage.pass(ALARM_WAIT_MICROS_MAX);
    stage.heard(seat);
    stage.pass(2 * ALARM_AGAIN_MICROS);
    assert_eq!(alerts(&stage.heard(seat)), [AlertWhy::AllCall; 2]);
    stage.take(seat, offers[0]);
    assert_eq!(stage.engine.alarms(), Alarms::default());
    stage.pass(2 * ALARM_AGAIN_MICROS);
    assert!(alerts(&stage.heard(seat)).is_empty());
}

#[test]
fn with_nobody_in_chain_and_neighbourhood_another_room_of_the_service_sees_it_at_once_and_gets_the_voice() {
    let mut stage = Stage::new();
    let gateway = stage.gateway("gw");
    let [far, police] = ["AJ-AMB", "SH-POL"].map(|room| stage.console(room, "1"));
    let offers = stage.arrive("a", "AMB: DU-AMB > SH-AMB");
    assert_eq!(stage.shown(far, offers[0]).map(|offer| (offer.role, offer.alarm)), Some((Role::AllCall, true)));
    assert!(!stage.sees(police, offers[0]));
    let moved = |hears: &GatewayHears| matches!(hears, GatewayHears::Moved { dispatcher, .. } if *dispatcher == name("AJ-AMB"));
    assert!(stage.gateway_heard(gateway).iter().any(moved));
    stage.take(far, offers[0]);
    assert!(stage.contacts()[0].offers[0].holder.is_some());
}

#[test]
fn with_no_room_of_the_service_anywhere_any_room_that_has_a_seat_sees_it() {
    let mut stage = Stage::new();
    let police = stage.console("SH-POL", "1");
    let offers = stage.arrive("a", "AMB: DU-AMB > SH-AMB");
    assert!(stage.sees(police, offers[0]));
    assert_eq!(stage.engine.alarm(offers[0]), Some(Alarm::EndOfChain));
}

#[test]
fn right_after_a_restart_rooms_elsewhere_are_not_called_before_the_responsible_ones_had_time_to_come_back() {
    let mut stage = Stage::new();
    stage.arrive("before", "AMB: DU-AMB");
    stage.store();
    stage.crash(&usual_rooms());
    let far = stage.console("AJ-AMB", "1");
    let offer = stage.arrive("after", "AMB: DU-AMB")[0];
    assert!(!stage.sees(far, offer));
    assert_eq!(stage.engine.alarm(offer), Some(Alarm::NoSeat));
    stage.pass(Config::default().recovery_wait_micros_max);
    assert!(stage.sees(far, offer));
}

#[test]
fn rooms_elsewhere_are_left_alone_while_somebody_responsible_is_there() {
    let mut stage = Stage::new();
    let [first, far] = ["DU-AMB", "AJ-AMB"].map(|room| stage.console(room, "1"));
    let offers = stage.arrive("a", "AMB: DU-AMB");
    stage.pass(3 * ALARM_WAIT_MICROS_MAX);
    assert!(stage.sees(first, offers[0]) && !stage.sees(far, offers[0]), "a surge must not drown the country");
}

#[test]
fn a_seat_elsewhere_that_comes_while_nobody_is_there_is_found() {
    let mut stage = Stage::new();
    let offers = stage.arrive("a", "AMB: DU-AMB");
    assert_eq!(stage.engine.alarm(offers[0]), Some(Alarm::NoSeat));
    let far = stage.console("AJ-AMB", "1");
    stage.pass(ALARM_AGAIN_MICROS);
    assert!(stage.sees(far, offers[0]));
}

#[test]
fn a_desk_with_a_longer_time_of_its_own_is_not_cut_short() {
    let mut rooms = usual_rooms();
    rooms.rooms.iter_mut().for_each(|room| room.take_micros_max = 60 * SECOND);
    let mut stage = Stage::with(Config::default(), rooms);
    let seat = stage.console("DU-AMB", "1");
    let offers = stage.arrive("a", "AMB: DU-AMB > SH-AMB");
    show(&mut stage, seat, offers[0]);
    stage.pass(59 * SECOND);
    assert_eq!((stage.engine.alarms(), asked(&stage)), (Alarms::default(), Vec::new()));
    stage.pass(SECOND);
    assert!(stage.engine.alarm(offers[0]).is_some());
}

#[test]
fn late_evidence_does_not_put_the_alarm_off() {
    let mut stage = Stage::new();
    let seats = ["DU-AMB", "SH-AMB"].map(|room| stage.console(room, "1"));
    let offers = stage.arrive("a", "AMB: DU-AMB");
    show(&mut stage, seats[0], offers[0]);
    stage.pass(12 * SECOND);
    stage.evidence("a", crate::stage::words("across the road"));
    stage.redecide("AMB: SH-AMB");
    show(&mut stage, seats[1], offers[0]);
    stage.pass(8 * SECOND);
    assert!(stage.engine.alarm(offers[0]).is_some(), "the caller has waited all the same");
}

#[test]
fn a_share_that_the_decision_forgot_while_it_was_held_goes_on_when_it_is_given_back() {
    let mut stage = Stage::new();
    let seat = stage.console("SH-AMB", "1");
    let offers = stage.arrive("a", "AMB: SH-AMB; POL: DU-POL");
    stage.take(seat, offers[0]);
    for decided in ["AMB: DU-AMB > SH-AMB", "POL: DU-POL"] {
        stage.evidence("a", crate::stage::words(decided));
        stage.redecide(decided);
    }
    stage.say(seat, ConsoleSays::Release { offer: offers[0] });
    assert!(stage.engine.alarm(offers[0]).is_none());
    stage.pass(20 * SECOND);
    assert!(stage.engine.alarm(offers[0]).is_some(), "the caller waits, whatever the decision in force says");
}

#[test]
fn when_the_room_that_is_awaited_empties_the_next_is_asked_at_once_though_an_earlier_one_sees_it() {
    let mut stage = Stage::new();
    let [first, second, third] = ["DU-AMB", "SH-AMB", "AJ-AMB"].map(|room| stage.console(room, "1"));
    let offers = stage.arrive("a", "AMB: DU-AMB > SH-AMB > AJ-AMB");
    show(&mut stage, first, offers[0]);
    stage.pass(TAKE);
    stage.leave(second);
    assert!(stage.sees(third, offers[0]));
}

#[test]
fn a_test_right_after_a_restart_waits_for_its_seats_as_people_are_waited_for() {
    let mut stage = Stage::new();
    stage.arrive("before", "AMB: DU-AMB");
    stage.store();
    stage.crash(&usual_rooms());
    let mut contact = stage.contact("gw", "drill");
    contact.load_test = true;
    let offers = stage.arrive_as(contact, crate::stage::decision("AMB: DU-AMB"));
    let seat = stage.test_console("DU-AMB", "1");
    assert!(stage.sees(seat, offers[0]));

    let mut contact = stage.contact("gw", "nobody");
    contact.load_test = true;
    stage.arrive_as(contact, crate::stage::decision("POL: DU-POL"));
    assert!(stage.endings().is_empty());
    stage.pass(Config::default().recovery_wait_micros_max);
    assert_eq!(stage.endings(), [najda::deliver::Ending::TestSunk], "nobody came");
    let mut contact = stage.contact("gw", "later");
    contact.load_test = true;
    stage.arrive_as(contact, crate::stage::decision("POL: DU-POL"));
    assert_eq!(stage.endings().len(), 2, "at steady state a test without an audience ends at once");
}

// --- whatever the staffing ---

const ROOMS: [&str; 5] = ["DU-AMB", "SH-AMB", "AJ-AMB", "DU-POL", "AE-ALL"];
const DECISIONS: [&str; 5] = [
    "AMB: DU-AMB > SH-AMB > AE-ALL ~ AJ-AMB",
    "AMB: SH-AMB; POL: DU-POL > AE-ALL",
    "POL: DU-POL ~ AE-ALL",
    "AMB: AJ-AMB > DU-AMB > SH-AMB",
    "POL: AE-ALL",
];

fn rooms_with(takes: &[u64]) -> Rooms {
    let mut rooms = rooms(&ROOMS.map(|room| (room, 3)));
    for (room, take) in rooms.rooms.iter_mut().zip(takes.iter().cycle()) {
        room.take_micros_max = take * SECOND;
    }
    rooms
}

#[derive(Clone, Debug)]
enum Event {
    Arrive { decided: Index, repeats: bool },
    Comes { room: Index, seat: u8 },
    Goes { who: Index, politely: bool },
    Vanishes(Index),
    Shows { who: Index, offer: Index },
    Takes { who: Index, offer: Index },
    GivesBack { who: Index, offer: Index, declines: bool },
    Closes { room: Index, state: Index },
    Redecided(Index),
    Crash,
    Seconds(u8),
}

fn event() -> impl Strategy<Value = Event> {
    let index = any::<Index>;
    prop_oneof![
        4 => (index(), any::<bool>()).prop_map(|(decided, repeats)| Event::Arrive { decided, repeats }),
        5 => (index(), 0u8..2).prop_map(|(room, seat)| Event::Comes { room, seat }),
        2 => (index(), any::<bool>()).prop_map(|(who, politely)| Event::Goes { who, politely }),
        2 => index().prop_map(Event::Vanishes),
        4 => (index(), index()).prop_map(|(who, offer)| Event::Shows { who, offer }),
        2 => (index(), index()).prop_map(|(who, offer)| Event::Takes { who, offer }),
        2 => (index(), index(), any::<bool>()).prop_map(|(who, offer, declines)| Event::GivesBack { who, offer, declines }),
        1 => (index(), index()).prop_map(|(room, state)| Event::Closes { room, state }),
        1 => index().prop_map(Event::Redecided),
        1 => Just(Event::Crash),
        8 => (1u8..20).prop_map(Event::Seconds),
    ]
}

fn pick(index: Index, words: &[&'static str]) -> &'static str {
    words[index.index(words.len())]
}

/// Random staffing, and since when each untaken offer has been on nobody's live screen and in no alarm.
struct Watch {
    stage: Stage,
    rooms: Rooms,
    unseen: BTreeMap<OfferId, Timestamp>,
    arrived: u32,
}

impl Watch {
    fn live(&mut self, event: Event) {
        let stage = &mut self.stage;
        match event {
            Event::Arrive { decided, repeats } => {
                self.arrived += 1;
                let line = if repeats { "+971500000001".to_owned() } else { format!("+97150000{:04}", 1_000 + self.arrived) };
                stage.call_from(&line, &format!("r{}", self.arrived), pick(decided, &DECISIONS));
            }
            Event::Comes { room, seat } => drop(stage.console(pick(room, &ROOMS), &format!("s{seat}"))),
            Event::Goes { who, politely } => {
                if let Some(session) = self.anybody(who) {
                    if politely {
                        self.stage.say(session, ConsoleSays::SignOut);
                    }
                    self.stage.leave(session);
                }
            }
            Event::Vanishes(who) => self.vanishes(who),
            Event::Shows { who, offer } => self.command(who, offer, |offer| ConsoleSays::Shown { offer }),
            Event::Takes { who, offer } => self.command(who, offer, |offer| ConsoleSays::Take { offer }),
            Event::GivesBack { who, offer, declines: true } => {
                self.command(who, offer, |offer| ConsoleSays::Decline { offer, reason: "full".into() });
            }
            Event::GivesBack { who, offer, declines: false } => self.command(who, offer, |offer| ConsoleSays::Release { offer }),
            Event::Closes { room, state } => {
                let (dispatcher, state) = (name(pick(room, &ROOMS)), *state.get(&DispatcherState::ALL));
                stage.input(Input::State { dispatcher, state, by: name("ops") });
            }
            Event::Redecided(decided) => self.redecided(decided),
            Event::Crash => {
                stage.store();
                stage.reroutes.clear();
                stage.crash(&self.rooms);
            }
            Event::Seconds(seconds) => {
                for _ in 0..seconds {
                    self.stage.pass(SECOND);
                    self.look();
                }
            }
        }
        self.look();
    }

    fn anybody(&self, who: Index) -> Option<SessionId> {
        let open: Vec<SessionId> =
            self.stage.open_consoles().into_iter().filter(|session| !self.stage.vanished.contains(session)).collect();
        (!open.is_empty()).then(|| *who.get(&open))
    }

    fn vanishes(&mut self, who: Index) {
        if let Some(session) = self.anybody(who) {
            self.stage.vanished.insert(session);
        }
    }

    fn command(&mut self, who: Index, offer: Index, says: impl FnOnce(OfferId) -> ConsoleSays) {
        let Some(session) = self.anybody(who) else { return };
        let shown: Vec<OfferId> = self.stage.screens[&session].offers.keys().copied().collect();
        if !shown.is_empty() {
            self.stage.say(session, says(*offer.get(&shown)));
        }
    }

    fn redecided(&mut self, decided: Index) {
        let Some(view) = self.stage.contacts().pop() else { return };
        self.stage.evidence(&view.contact.key.gateway_ref, crate::stage::words(&format!("word {}", self.stage.now.unix_micros)));
        if self.stage.reroutes.last().is_some_and(|(contact, _)| contact.id == view.contact.id) {
            self.stage.redecide(pick(decided, &DECISIONS));
        }
    }

    fn look(&mut self) {
        let (stage, now) = (&self.stage, self.stage.now);
        let live: Vec<SessionId> = stage.open_consoles().into_iter().filter(|session| !stage.vanished.contains(session)).collect();
        for view in stage.contacts() {
            for offer in &view.offers {
                let waits = offer.holder.is_none() && offer.accepted.is_none() && offer.closed.is_none();
                let asked = |session: &SessionId| stage.seat_of(*session).is_some_and(|(seat, _)| offer.asked.contains(&seat.dispatcher));
                let seen = live.iter().any(|session| asked(session) && stage.sees(*session, offer.id));
                if !waits || seen || stage.engine.alarm(offer.id).is_some() {
                    self.unseen.remove(&offer.id);
                    continue;
                }
                let since = *self.unseen.entry(offer.id).or_insert(now);
                assert!(now.micros_since(since) <= ALARM_WAIT_MICROS_MAX, "nobody has seen {:?} since {since:?}", offer.id);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Rooms empty, close and come back, consoles vanish without a word, the engine dies: who waits is on the screen of somebody who
    /// lives, or in alarm, within 20 s.
    #[test]
    fn whoever_waits_is_on_a_live_screen_or_in_alarm_within_twenty_seconds(
        takes in prop::collection::vec(3u64..40, 5),
        events in prop::collection::vec(event(), 1..100),
    ) {
        let rooms = rooms_with(&takes);
        let mut watch = Watch { stage: Stage::with(Config::default(), rooms.clone()), rooms, unseen: BTreeMap::new(), arrived: 0 };
        watch.stage.disk_is_fast = true;
        events.into_iter().for_each(|event| watch.live(event));
        for _ in 0..60 {
            watch.live(Event::Seconds(1));
        }
        // Everybody who is left unanswered by now stands in alarm, seen or not.
        let longest = takes.iter().max().copied().unwrap_or(0).max(20) * SECOND;
        watch.stage.pass(longest);
        for view in watch.stage.contacts() {
            for offer in view.offers.iter().filter(|offer| offer.holder.is_none() && offer.accepted.is_none() && offer.closed.is_none()) {
                prop_assert!(watch.stage.engine.alarm(offer.id).is_some(), "{:?} waits without an alarm", offer.id);
            }
        }
    }

    /// Nobody takes anything; whoever shows it or not: the `n`th of the chain is asked when those before it had their time, all of
    /// them at the bound.
    #[test]
    fn no_rung_is_ever_late(
        takes in prop::collection::vec(1u64..40, 5),
        chain in Just(ROOMS[..4].to_vec()).prop_shuffle(),
        length in 1usize..5,
        shows in any::<[bool; 4]>(),
        beat in 50u64..2_000,
    ) {
        let mut stage = Stage::with(Config::default(), rooms_with(&takes));
        let chain = &chain[..length];
        let seats: Vec<SessionId> = chain.iter().map(|room| stage.console(room, "1")).collect();
        let take_of = |room: &str| rooms_with(&takes).rooms.iter().find(|row| row.id == name(room)).map_or(0, |row| row.take_micros_max);
        let began = stage.now;
        let offer = stage.arrive("a", &format!("AMB: {}", chain.join(" > ")))[0];
        let longest = ALARM_WAIT_MICROS_MAX.max(take_of(chain[0]));
        while stage.now.micros_since(began) <= longest {
            // The stage's own heartbeats are three seconds apart, and these steps are shorter.
            seats.iter().for_each(|seat| stage.say(*seat, ConsoleSays::Heartbeat));
            for (seat, _) in seats.iter().zip(shows).filter(|(_, shows)| *shows) {
                if stage.sees(*seat, offer) {
                    stage.say(*seat, ConsoleSays::Shown { offer });
                }
            }
            let waited = stage.now.micros_since(began);
            let mut due = 0;
            for (room, seat) in chain.iter().zip(&seats) {
                prop_assert!(waited < due.min(longest) || stage.sees(*seat, offer), "{room} was due at {due}, it is {waited}");
                due += take_of(room);
            }
            stage.pass(beat * 1_000);
        }
        prop_assert_eq!(stage.engine.alarm(offer), Some(Alarm::EndOfChain));
        prop_assert!(seats.iter().all(|seat| stage.sees(*seat, offer)));
    }
}

#[test]
fn an_all_call_and_its_reasons_come_back_from_the_journal() {
    let mut stage = Stage::new();
    let far = stage.console("AJ-AMB", "1");
    let offers = stage.arrive("a", "AMB: DU-AMB > SH-AMB");
    stage.store();
    let before = stage.contacts();
    stage.crash(&usual_rooms());
    assert_eq!(stage.contacts(), before);
    assert!(!stage.sees(far, offers[0]));
    let far = stage.console("AJ-AMB", "1");
    assert_eq!(stage.shown(far, offers[0]).map(|offer| offer.role), Some(Role::AllCall));
}
