//! Whole lives: random days with crashes and slow disks, and how many of them the engine can live in a second.
//!
//! What must hold after every single input is checked by the stage itself. What is checked here is what must hold at certain times:
//! that the journal alone rebuilds the engine, that nobody is left unseen, and that every contact can be brought to its end.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use najda::contact::{ClaimSource, Contact, ContactKey, Door, LocationClaim, Place, Signal, Whose};
use najda::deliver::{CallbackOutcome, ConsoleHears, ConsoleSays, DispatcherState, Fact, GatewayHears, HangUp, OfferId, Seat};
use najda::engine::{Config, ContactView, Engine, Input, Output, Outputs, SessionId};
use najda::event::{EventArea, EventTerms};
use najda::geo::point::Point;
use najda::units::{ContactId, Ppm, Timestamp};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::stage::{SECOND, Stage, decision, from_line, name, rooms, usual_rooms, words};

const ROOMS: [&str; 4] = ["DU-AMB", "SH-AMB", "DU-POL", "AE-ALL"];
const DECISIONS: [&str; 7] = [
    "AMB: DU-AMB > SH-AMB > AE-ALL",
    "AMB: SH-AMB > DU-AMB ~ DU-AMB",
    "AMB: DU-AMB > SH-AMB; POL: DU-POL > AE-ALL",
    "POL: DU-POL ~ AE-ALL; AMB: SH-AMB",
    "POL: AE-ALL",
    "AMB: SH-AMB > AE-ALL ~ DU-AMB; POL: DU-POL; CIV: AE-ALL > DU-POL",
    "",
];

/// One thing that happens. Indices are taken modulo what there is.
#[derive(Clone, Debug)]
pub enum Event {
    Arrive { gateway_ref: u8, content: u8, decided: Index, load_test: bool, handed_back: bool },
    Evidence { gateway_ref: u8, word: u8 },
    Redecide { which: Index, decided: Index },
    Gateway { word: u8, gateway_ref: u8, room: Index },
    GatewayComes,
    GatewayGoes(Index),
    SeatComes { room: Index, seat: u8, test: bool },
    SeatGoes { which: Index, politely: bool },
    Command { who: Index, offer: Index, what: u8 },
    Disk(Index),
    DiskFails,
    DiskLoses,
    Time { millis: u16, heartbeats: bool },
    State { room: Index, state: Index },
    Tables { capacity: u32 },
    Crash,
}

pub fn event() -> impl Strategy<Value = Event> {
    let index = any::<Index>;
    prop_oneof![
        8 => (0u8..12, 0u8..2, index(), prop::bool::weighted(0.15), prop::bool::weighted(0.1)).prop_map(
            |(gateway_ref, content, decided, load_test, handed_back)| {
                Event::Arrive { gateway_ref, content, decided, load_test, handed_back }
            }
        ),
        2 => (0u8..14, 0u8..4).prop_map(|(gateway_ref, word)| Event::Evidence { gateway_ref, word }),
        2 => (index(), index()).prop_map(|(which, decided)| Event::Redecide { which, decided }),
        3 => (0u8..7, 0u8..12, index()).prop_map(|(word, gateway_ref, room)| Event::Gateway { word, gateway_ref, room }),
        1 => Just(Event::GatewayComes),
        1 => index().prop_map(Event::GatewayGoes),
        4 => (index(), 0u8..4, prop::bool::weighted(0.2)).prop_map(|(room, seat, test)| Event::SeatComes { room, seat, test }),
        2 => (index(), any::<bool>()).prop_map(|(which, politely)| Event::SeatGoes { which, politely }),
        30 => (index(), index(), 0u8..40).prop_map(|(who, offer, what)| Event::Command { who, offer, what }),
        6 => index().prop_map(Event::Disk),
        1 => Just(Event::DiskFails),
        1 => Just(Event::DiskLoses),
        4 => (0u16..20_000, any::<bool>()).prop_map(|(millis, heartbeats)| Event::Time { millis, heartbeats }),
        1 => (index(), index()).prop_map(|(room, state)| Event::State { room, state }),
        1 => (0u32..6).prop_map(|capacity| Event::Tables { capacity }),
        1 => Just(Event::Crash),
    ]
}

/// Most callers are within a few hundred metres of each other, some nowhere.
fn near_each_other(number: u8) -> Option<LocationClaim> {
    let at = Point::from_degrees(25.2 + f64::from(number % 4) * 0.002, 55.3)?;
    let claim =
        LocationClaim { whose: Whose::Caller, place: Place::point(at), source: ClaimSource::DeviceFix, age_secs: 0, confidence: Ppm::ONE };
    (!number.is_multiple_of(5)).then_some(claim)
}

fn pick(index: Index, words: &[&'static str]) -> &'static str {
    words[index.index(words.len())]
}

/// A stage on which anything can happen, and what is needed to make it happen.
pub struct Day {
    pub stage: Stage,
    gateways: Vec<SessionId>,
    offers: BTreeSet<OfferId>,
    pub rooms: najda::engine::Rooms,
}

impl Day {
    pub fn new() -> Self {
        let rooms = rooms(&ROOMS.map(|room| (room, 3)));
        Self { stage: Stage::with(Config::default(), rooms.clone()), gateways: Vec::new(), offers: BTreeSet::new(), rooms }
    }

    /// The inputs of these events after a restart, with their times.
    pub fn recorded(&mut self, events: &[Event]) -> Vec<(Input, Timestamp)> {
        self.live(Event::Crash);
        self.stage.recorded = Some(Vec::new());
        let lived = events.iter().filter(|event| !matches!(event, Event::Crash));
        lived.cloned().for_each(|event| self.live(event));
        self.stage.recorded.take().unwrap_or_default()
    }

    pub fn live(&mut self, event: Event) {
        match event {
            Event::Arrive { gateway_ref, content, decided, load_test, handed_back } => {
                let mut contact = self.stage.contact("gw", &format!("r{gateway_ref}"));
                contact.line = Some(format!("05000{content}").into());
                contact.load_test = load_test;
                contact.claims.extend(near_each_other(gateway_ref));
                if gateway_ref % 3 == 1 {
                    contact.door = Door::Sms;
                    contact.signals.push(Signal::Words("help".into()));
                }
                // Three lines for twelve references: many callers call again.
                let number = format!("+97150000000{}", gateway_ref % 3);
                let decided = from_line(pick(decided, &DECISIONS), &number, gateway_ref != 11);
                self.offers.extend(decided.services.iter().map(|share| OfferId { contact: contact.id, service: share.service }));
                self.stage.input(Input::Arrived { session: None, contact: Arc::new(contact), decision: decided, handed_back });
            }
            Event::Evidence { gateway_ref, word } => self.stage.evidence(&format!("r{gateway_ref}"), words(&format!("word {word}"))),
            Event::Redecide { which, decided } => self.redecide(which, pick(decided, &DECISIONS)),
            Event::Gateway { word, gateway_ref, room } => self.gateway_says(word, gateway_ref, pick(room, &ROOMS)),
            Event::GatewayComes => self.gateways.push(self.stage.gateway("gw")),
            Event::GatewayGoes(which) => {
                if !self.gateways.is_empty() {
                    let session = self.gateways.remove(which.index(self.gateways.len()));
                    self.stage.leave(session);
                }
            }
            Event::SeatComes { room, seat, test } => self.seat_comes(pick(room, &ROOMS), seat, test),
            Event::SeatGoes { which, politely } => self.seat_goes(which, politely),
            Event::Command { who, offer, what } => self.command(who, offer, what),
            Event::Disk(through) => {
                let behind = self.stage.engine.last_seq() - self.stage.held_through;
                let through = self.stage.held_through + through.index(behind as usize + 1) as u64;
                self.stage.store_through(through);
            }
            Event::DiskFails => self.stage.input(Input::StoreFailed { through: self.stage.held_through }),
            Event::DiskLoses => self.stage.lose(),
            Event::Time { millis, heartbeats: true } => self.stage.pass(u64::from(millis) * 1_000),
            Event::Time { millis, heartbeats: false } => self.stage.pass_in_silence(u64::from(millis) * 1_000),
            Event::State { room, state } => {
                let (dispatcher, state) = (name(pick(room, &ROOMS)), *state.get(&DispatcherState::ALL));
                self.stage.input(Input::State { dispatcher, state, by: name("ops") });
            }
            Event::Tables { capacity } => {
                self.rooms = rooms(&ROOMS.map(|room| (room, capacity)));
                self.stage.input(Input::Rooms { rooms: Arc::new(self.rooms.clone()), by: name("ops") });
            }
            Event::Crash => {
                self.gateways.clear();
                self.stage.reroutes.clear();
                self.stage.crash(&self.rooms);
            }
        }
    }

    fn redecide(&mut self, which: Index, decided: &str) {
        if self.stage.reroutes.is_empty() {
            return;
        }
        let (contact, revision) = which.get(&self.stage.reroutes).clone();
        let decision = from_line(decided, "+971500000001", true);
        self.offers.extend(decision.services.iter().map(|share| OfferId { contact: contact.id, service: share.service }));
        self.stage.input(Input::Redecided { contact: contact.id, revision, decision });
    }

    fn gateway_says(&mut self, word: u8, gateway_ref: u8, room: &str) {
        let Some(session) = self.gateways.first().copied() else { return };
        let (key, dispatcher) = (self.stage.key(&format!("r{gateway_ref}")), name(room));
        self.stage.input(match word {
            0 => Input::Answered { session, key, dispatcher },
            1 => Input::HungUp { session, key, why: HangUp::Caller },
            2 => Input::HungUp { session, key, why: HangUp::LineDropped },
            3 => Input::TargetFailed { session, key, dispatcher },
            number => Input::Delivered { session, key, number: u32::from(number) - 2, delivered: number != 5 },
        });
    }

    fn seat_comes(&mut self, room: &str, seat: u8, test: bool) {
        match seat {
            3 => drop(self.stage.auditor("a")),
            2 if !test => drop(self.stage.supervisor(room, "s2")),
            _ => {
                let session = self.stage.seat(room, &format!("s{seat}"), test);
                if seat == 1 {
                    self.stage.speak(session, &["ur"], false);
                }
            }
        }
    }

    fn seat_goes(&mut self, which: Index, politely: bool) {
        let open = self.stage.open_consoles();
        if open.is_empty() {
            return;
        }
        let session = *which.get(&open);
        if politely {
            self.stage.say(session, ConsoleSays::SignOut);
        }
        self.stage.leave(session);
    }

    fn command(&mut self, who: Index, offer: Index, what: u8) {
        let (open, offers) = (self.stage.open_consoles(), self.offers.iter().copied().collect::<Vec<_>>());
        if open.is_empty() || offers.is_empty() {
            return;
        }
        let session = *who.get(&open);
        // Mostly what is on the screen, sometimes anything.
        let shown: Vec<OfferId> = self.stage.screens[&session].offers.keys().copied().collect();
        let offer = if shown.is_empty() || what == 0 { *offer.get(&offers) } else { *offer.get(&shown) };
        let reason = || "a reason".into();
        let says = match what {
            0..=5 => ConsoleSays::Take { offer },
            6..=11 => ConsoleSays::Accept { offer },
            12..=17 => ConsoleSays::Close { offer, reason: reason() },
            18 => ConsoleSays::Decline { offer, reason: reason() },
            19 => ConsoleSays::Release { offer },
            20 => ConsoleSays::Shown { offer },
            22 => {
                let outcome = CallbackOutcome::ALL[usize::from(offer.contact.0 as u8) % CallbackOutcome::ALL.len()];
                ConsoleSays::CalledBack { offer, outcome, reason: reason() }
            }
            21 => match self.stage.shown(session, offer) {
                Some(shown) => ConsoleSays::HandBack { offer, contact: Arc::clone(&shown.contact), decision: Arc::clone(&shown.decision) },
                None => return,
            },
            23 => ConsoleSays::Inform { offer },
            24 | 25 => ConsoleSays::Transfer { offer, to: name(pick(who, &ROOMS)), reason: reason() },
            26 => ConsoleSays::Note { contact: offer.contact, text: "a note".into() },
            27 | 28 => ConsoleSays::Join { contact: offer.contact, with: who.get(&offers).contact },
            29 => ConsoleSays::Split { contact: offer.contact },
            30 => ConsoleSays::AddService { contact: offer.contact, service: najda::service::Service::ALL[who.index(3)] },
            31..=33 => ConsoleSays::Say { contact: offer.contact, text: "a line".into() },
            34 => ConsoleSays::Read { contact: offer.contact },
            35 | 36 => ConsoleSays::Dispatched { offer },
            37 => {
                let until = self.stage.now.plus_micros(SECOND * 90);
                let (words_en, words_ar) = ("fog".into(), Box::default());
                let area = EventArea::Circle { center: Point::from_degrees(25.2, 55.3).unwrap_or_default(), radius_cm: 30_000 };
                ConsoleSays::Declare { terms: EventTerms { area, words_en, words_ar, types: Vec::new(), until } }
            }
            38 => match self.stage.engine.events().next().map(|event| event.id) {
                Some(event) => ConsoleSays::EndEvent { event },
                None => return,
            },
            _ => ConsoleSays::Heartbeat,
        };
        self.stage.say(session, says);
    }
}

/// What the journal must be able to rebuild of a contact.
fn rebuilt_part(mut view: ContactView) -> ContactView {
    // Evidence that no decision has come for yet is not in the journal, and was promised to nobody.
    let plain = Contact::new(view.contact.id, view.contact.key.clone(), view.contact.received, view.contact.door);
    view.contact = Arc::new(plain);
    // An event is in force only when the disk holds it, and a rebuilt engine holds everything.
    view.event = None;
    view
}

fn check_rebuilds(stage: &Stage, rooms: &najda::engine::Rooms) {
    if !stage.engine.is_whole() {
        return;
    }
    let rebuilt = Engine::recover(Config::default(), rooms, stage.facts.iter().cloned(), stage.now);
    rebuilt.audit().expect("a rebuilt engine agrees with itself");
    // An end that was held while the arrival before it was lost ends nothing: what is written again after it begins anew.
    let mut ended = BTreeSet::new();
    for (_, fact) in &stage.facts {
        match fact {
            Fact::Ended { contact, .. } => drop(ended.insert(*contact)),
            Fact::Arrived { contact, .. } => drop(ended.remove(&contact.id)),
            _ => {}
        }
    }
    let live: Vec<ContactView> = stage.contacts().into_iter().filter(|view| !ended.contains(&view.contact.id)).map(rebuilt_part).collect();
    let again: Vec<ContactView> = rebuilt.contacts_after(ContactId(0)).map(rebuilt_part).collect();
    assert_eq!(live, again, "the facts alone rebuild the engine");
    let callbacks = live.iter().filter(|view| view.callback.is_some_and(|callback| callback.outcome.is_none())).count();
    assert_eq!(rebuilt.callbacks_waiting(), callbacks);
    assert_eq!(rebuilt.published().1, stage.engine.published().1);
    assert_eq!(rebuilt.last_seq(), stage.engine.last_seq());
}

/// Every offer that nobody has taken is on the screen of somebody who was asked, or counted as an alarm.
fn check_seen(stage: &Stage) {
    for view in stage.contacts() {
        let test = view.contact.load_test || view.decision.test;
        for offer in view.offers.iter().filter(|offer| offer.holder.is_none() && offer.accepted.is_none() && offer.closed.is_none()) {
            let seen = stage.open_consoles().into_iter().any(|session| {
                let (seat, at_test_seat) = stage.seat_of(session).expect("it is open");
                at_test_seat == test && offer.asked.contains(&seat.dispatcher) && stage.sees(session, offer.id)
            });
            let ended = stage.facts.iter().any(|(_, fact)| matches!(fact, Fact::Ended { contact, .. } if *contact == offer.id.contact));
            assert!(seen || ended || test || stage.engine.alarm(offer.id).is_some(), "nobody sees {:?}", offer.id);
        }
    }
}

/// People for every room, a disk that works, and everybody does their job: everything ends.
fn bring_to_an_end(day: &mut Day) {
    for session in day.stage.open_consoles() {
        day.stage.leave(session);
    }
    day.stage.disk_is_fast = true;
    day.stage.store();
    let seats: Vec<SessionId> =
        ROOMS.iter().flat_map(|room| [false, true].map(|test| day.stage.seat(room, "last", test))).collect::<Vec<_>>();
    for _ in 0..12 {
        day.stage.pass(20 * SECOND);
        for session in &seats {
            let shown: Vec<OfferId> = day.stage.screens[session].offers.keys().copied().collect();
            for offer in shown {
                day.stage.take(*session, offer);
                day.stage.accept(*session, offer);
                day.stage.close(*session, offer);
            }
        }
    }
    assert_eq!(day.stage.engine.live_contacts(), 0, "left: {:?}", day.stage.contacts());
    assert_eq!((day.stage.engine.waiting_offers(), day.stage.engine.promises_waiting()), (0, 0));
    let of = |fact: &Fact| if let Fact::Arrived { contact, .. } = fact { Some(contact.id) } else { None };
    let arrived: BTreeSet<ContactId> = day.stage.facts.iter().filter_map(|(_, fact)| of(fact)).collect();
    let ended = day.stage.endings().len();
    assert!(ended == arrived.len() || ended > arrived.len() && !day.stage.lost.is_empty(), "every contact ended exactly once");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_nothing_is_lost_and_the_journal_rebuilds_it(events in prop::collection::vec(event(), 1..160)) {
        let mut day = Day::new();
        for (number, event) in events.into_iter().enumerate() {
            day.live(event);
            if number % 16 == 0 {
                check_rebuilds(&day.stage, &day.rooms);
            }
        }
        check_rebuilds(&day.stage, &day.rooms);
        day.stage.pass(2 * SECOND);
        check_seen(&day.stage);
        bring_to_an_end(&mut day);
    }

    #[test]
    fn the_same_inputs_give_the_same_outputs(events in prop::collection::vec(event(), 1..80)) {
        let run = |events: Vec<Event>| {
            let mut day = Day::new();
            events.into_iter().for_each(|event| day.live(event));
            let heard: Vec<_> = day.stage.open_consoles().into_iter().map(|session| day.stage.heard(session)).collect();
            (day.stage.facts, heard)
        };
        prop_assert_eq!(run(events.clone()), run(events));
    }
}

#[test]
fn one_contact_from_its_first_byte_to_its_end() {
    let mut stage = Stage::new();
    let gateway = stage.gateway("gw");
    let console = stage.console("DU-AMB", "1");
    let offers = stage.arrive("a", "AMB: DU-AMB > SH-AMB");
    let offer = offers[0];
    stage.say(console, ConsoleSays::Shown { offer });
    stage.store();
    stage.take(console, offer);
    stage.store();
    let key = stage.key("a");
    stage.input(Input::Answered { session: gateway, key: key.clone(), dispatcher: name("DU-AMB") });
    stage.accept(console, offer);
    stage.store();
    stage.input(Input::HungUp { session: gateway, key: key.clone(), why: HangUp::Caller });
    stage.close(console, offer);
    stage.store();
    let by = Seat { dispatcher: name("DU-AMB"), seat: name("1") };
    let contact = offer.contact;
    let ending = najda::deliver::Ending::Closed;
    assert_eq!(
        stage.gateway_heard(gateway),
        [
            GatewayHears::Durable { key: key.clone(), contact },
            GatewayHears::Accepted { key: key.clone(), contact, service: offer.service, seat: by },
            GatewayHears::Ended { key, contact, ending },
        ]
    );
    let heard = stage.heard(console);
    let order: Vec<usize> = [
        ConsoleHears::Confirmed { contact },
        ConsoleHears::Taken { offer, by },
        ConsoleHears::Accepted { offer, by },
        ConsoleHears::CallerHungUp { contact, why: HangUp::Caller },
        ConsoleHears::Closed { offer, by },
    ]
    .iter()
    .map(|hears| heard.iter().position(|was| was == hears).expect("it was said"))
    .collect();
    assert!(order.is_sorted());
}

/// Prints how many inputs a second the engine thread can take; there is no figure to pass or fail, machines differ.
///
/// Every contact needs two services, has six seats looking at each, is stored in groups, shown, taken, accepted and closed.
#[test]
fn throughput_of_whole_lives_is_printed() {
    let contacts: u64 = 20_000;
    let alive: u64 = 2_000;
    let mut engine = Engine::new(Config::default(), &usual_rooms());
    let mut out = Outputs::new();
    let mut now = Timestamp::from_secs(1_000);
    engine.handle(Input::GatewayOpened { session: SessionId(1), gateway: name("gw") }, now, &mut out);
    let seats: Vec<SessionId> = (0..12).map(|number| open_seat(&mut engine, number, now, &mut out)).collect();
    let decided = decision("AMB: DU-AMB > SH-AMB; POL: DU-POL > SH-POL");
    let made: Vec<Arc<Contact>> = (0..contacts).map(|number| Arc::new(caller(number))).collect();
    let (mut inputs, mut outputs, mut stored) = (0u64, 0u64, 0u64);
    let began = Instant::now();
    for number in 0..contacts + alive {
        now = now.plus_micros(200);
        let mut say = |input: Input| {
            engine.handle(input, now, &mut out);
            inputs += 1;
            for output in out.drain() {
                outputs += 1;
                if let Output::Append { seq, .. } = output {
                    stored = seq;
                }
            }
        };
        if let Some(contact) = made.get(number as usize) {
            say(Input::Arrived { session: None, contact: Arc::clone(contact), decision: Arc::clone(&decided), handed_back: false });
        }
        if let Some(done) = number.checked_sub(alive) {
            for (share, seat) in decided.services.iter().zip([seats[0], seats[1]]) {
                let offer = OfferId { contact: ContactId(u128::from(done) + 1), service: share.service };
                for says in [
                    ConsoleSays::Shown { offer },
                    ConsoleSays::Take { offer },
                    ConsoleSays::Accept { offer },
                    ConsoleSays::Close { offer, reason: "done".into() },
                ] {
                    say(Input::Console { session: seat, says });
                }
            }
        }
        if number % 64 == 63 {
            let through = stored;
            engine.handle(Input::Stored { through }, now, &mut out);
            engine.handle(Input::Tick, now, &mut out);
            inputs += 2;
            outputs += out.drain().count() as u64;
        }
        if number % 10_000 == 0 {
            for session in &seats {
                engine.handle(Input::Console { session: *session, says: ConsoleSays::Heartbeat }, now, &mut out);
            }
        }
    }
    engine.handle(Input::Stored { through: engine.last_seq() }, now, &mut out);
    let spent = began.elapsed();
    assert_eq!((engine.live_contacts(), engine.counters().ended, engine.counters().internal), (0, contacts, 0));
    let per_contact = spent.as_secs_f64() / contacts as f64;
    println!(
        "{contacts} whole lives of two services: {:.0} inputs/s, {:.1} us a life, {outputs} outputs; \
         5,000 contacts a second take {:.1} % of this core",
        inputs as f64 / spent.as_secs_f64(),
        per_contact * 1e6,
        per_contact * 5_000.0 * 100.0
    );
}

fn open_seat(engine: &mut Engine, number: u64, now: Timestamp, out: &mut Outputs) -> SessionId {
    let session = SessionId(10 + number);
    let dispatcher = name(if number.is_multiple_of(2) { "DU-AMB" } else { "DU-POL" });
    let seat = Seat { dispatcher, seat: name(&format!("s{number}")) };
    engine.handle(Input::ConsoleOpened { session, seat, test: false }, now, out);
    let says = ConsoleSays::SignIn { languages: Vec::new(), text: false, seen: 0 };
    engine.handle(Input::Console { session, says }, now, out);
    session
}

fn caller(number: u64) -> Contact {
    let key = ContactKey { gateway: name("gw"), gateway_ref: format!("call-{number}@gateway.example").into() };
    let mut contact = Contact::new(ContactId(u128::from(number) + 1), key, Timestamp::from_secs(1_000), Door::SipVoice);
    contact.line = Some(format!("+97150{number:07}").into());
    contact.signals = vec![Signal::Dialled("999".into()), Signal::Words("a man has fallen in the street and does not wake up".into())];
    contact
}
