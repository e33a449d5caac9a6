//! Callers who write: lines there and back, who may write, what becomes of a line, and which seat and room is asked.

use najda::contact::{Contact, Signal};
use najda::deliver::{AlertWhy, AskedWhy, ConsoleHears, ConsoleSays, Delivery, Fact, GatewayHears, HangUp, OfferId, Refusal, Said, Seat};
use najda::engine::{Input, SessionId};
use najda::limits::{SAID_BYTES_MAX, SHOWN_WAIT_MICROS_MAX};
use najda::units::ContactId;

use crate::stage::{SECOND, Stage, decision, name, usual_rooms, words};

fn stage() -> Stage {
    let mut stage = Stage::new();
    stage.disk_is_fast = true;
    stage
}

fn say(stage: &mut Stage, session: SessionId, contact: ContactId, text: &str) {
    stage.say(session, ConsoleSays::Say { contact, text: text.into() });
}

fn refusals(heard: &[ConsoleHears]) -> Vec<Refusal> {
    heard.iter().filter_map(|hears| if let ConsoleHears::Refused { why, .. } = hears { Some(*why) } else { None }).collect()
}

/// Who said what, as a console was told it.
fn told(heard: &[ConsoleHears]) -> Vec<(Option<Seat>, String)> {
    let one = |said: &Said| (said.by, said.text.to_string());
    let lines = heard.iter().flat_map(|hears| match hears {
        ConsoleHears::Said { said, .. } => vec![one(said)],
        ConsoleHears::Conversation { said, .. } => said.iter().map(one).collect(),
        _ => Vec::new(),
    });
    lines.collect()
}

/// Numbers and words that a gateway was given for its caller.
fn given(heard: &[GatewayHears]) -> Vec<(u32, String)> {
    let one =
        |hears: &GatewayHears| if let GatewayHears::Say { number, text, .. } = hears { Some((*number, text.to_string())) } else { None };
    heard.iter().filter_map(one).collect()
}

fn lines(stage: &Stage) -> Vec<(u32, Delivery, String)> {
    let views = stage.contacts();
    views[0].said.iter().map(|said| (said.number, said.delivery, said.text.to_string())).collect()
}

fn delivered(stage: &mut Stage, gateway: SessionId, number: u32, delivered: bool) {
    let key = stage.key("a");
    stage.input(Input::Delivered { session: gateway, key, number, delivered });
}

/// A text to the police of Dubai that a seat there has taken.
fn taken(stage: &mut Stage, console: SessionId) -> OfferId {
    let offer = stage.write_in("a", "help me", "POL: DU-POL")[0];
    stage.take(console, offer);
    offer
}

// --- there and back ---

#[test]
fn what_the_holder_writes_reaches_screens_and_gateway_only_when_the_journal_holds_it() {
    let mut stage = Stage::new();
    let (gateway, console) = (stage.gateway("gw"), stage.console("DU-POL", "1"));
    let offer = taken(&mut stage, console);
    stage.store();
    stage.heard(console);
    say(&mut stage, console, offer.contact, "  where are you? ");
    assert!(told(&stage.heard(console)).is_empty() && given(&stage.gateway_heard(gateway)).is_empty());
    stage.store();
    let by = Some(Seat { dispatcher: name("DU-POL"), seat: name("1") });
    assert_eq!(told(&stage.heard(console)), [(by, "where are you?".to_owned())]);
    assert_eq!(given(&stage.gateway_heard(gateway)), [(2, "where are you?".to_owned())], "the caller's own words were the first line");
}

#[test]
fn what_the_caller_writes_later_is_a_line_each_at_its_time_even_when_it_was_said_before() {
    let mut stage = stage();
    let console = stage.console("DU-POL", "1");
    let offer = taken(&mut stage, console);
    for text in ["no", "no"] {
        stage.pass(SECOND);
        stage.evidence("a", words(text));
        stage.redecide("POL: DU-POL");
    }
    let views = stage.contacts();
    let said: Vec<_> = views[0].said.iter().map(|said| (said.number, &*said.text)).collect();
    assert_eq!(said, [(1, "help me"), (2, "no"), (3, "no")]);
    assert_eq!(views[0].said[2].at.micros_since(views[0].said[1].at), SECOND);
    let told = told(&stage.heard(console));
    assert_eq!(told.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>(), ["help me", "no", "no"], "told at once");
    assert_eq!(stage.reroutes.len(), 1, "and evidence, where it is new");
    let late = stage.console("DU-POL", "2");
    let heard = stage.heard(late);
    assert!(
        heard
            .iter()
            .any(|hears| matches!(hears, ConsoleHears::Conversation { contact, said } if *contact == offer.contact && said.len() == 3))
    );
}

#[test]
fn before_anybody_holds_it_nobody_writes_and_then_only_the_holder_of_the_lead() {
    let mut stage = stage();
    let [police, other, ambulance] = [("DU-POL", "1"), ("DU-POL", "2"), ("DU-AMB", "1")].map(|(room, seat)| stage.console(room, seat));
    let offers = stage.write_in("a", "help me", "POL: DU-POL; AMB: DU-AMB");
    let contact = offers[0].contact;
    for session in [police, other, ambulance] {
        stage.heard(session);
    }
    say(&mut stage, police, contact, "hello");
    assert_eq!(refusals(&stage.heard(police)), [Refusal::OutOfTurn]);
    stage.take(police, offers[0]);
    stage.take(ambulance, offers[1]);
    say(&mut stage, other, contact, "hello");
    say(&mut stage, ambulance, contact, "hello");
    say(&mut stage, police, contact, &"x".repeat(SAID_BYTES_MAX + 1));
    assert_eq!(refusals(&stage.heard(other)), [Refusal::HeldByAnother]);
    assert_eq!(refusals(&stage.heard(ambulance)), [Refusal::HeldByAnother]);
    assert_eq!(refusals(&stage.heard(police)), [Refusal::Malformed], "half a message is another message");
    assert_eq!(lines(&stage).len(), 1);
    stage.accept(police, offers[0]);
    stage.close(police, offers[0]);
    say(&mut stage, ambulance, contact, "we are coming");
    assert_eq!(lines(&stage).len(), 2, "when the lead has done its part, the others are who the caller has");
}

#[test]
fn nobody_writes_to_a_caller_who_speaks() {
    let mut stage = stage();
    let console = stage.console("DU-POL", "1");
    let offer = stage.arrive("a", "POL: DU-POL")[0];
    stage.take(console, offer);
    stage.heard(console);
    say(&mut stage, console, offer.contact, "hello");
    assert_eq!(refusals(&stage.heard(console)), [Refusal::NoText]);
    stage.evidence("a", words("a transcript"));
    assert!(stage.contacts()[0].said.is_empty());
}

// --- never lost ---

#[test]
fn a_line_waits_while_no_gateway_is_there_and_is_said_until_the_gateway_says_what_became_of_it() {
    let mut stage = stage();
    let console = stage.console("DU-POL", "1");
    let offer = taken(&mut stage, console);
    say(&mut stage, console, offer.contact, "where are you?");
    let gateway = stage.gateway("gw");
    assert_eq!(given(&stage.gateway_heard(gateway)), [(2, "where are you?".to_owned())]);
    stage.leave(gateway);
    let gateway = stage.gateway("gw");
    assert_eq!(given(&stage.gateway_heard(gateway)).len(), 1, "nobody has said that it arrived");
    stage.heard(console);
    delivered(&mut stage, gateway, 2, true);
    let contact = offer.contact;
    assert_eq!(stage.heard(console), [ConsoleHears::Delivered { contact, number: 2, delivered: true }]);
    let again = stage.gateway("gw");
    assert!(given(&stage.gateway_heard(again)).is_empty());
    delivered(&mut stage, again, 2, false);
    assert_eq!(lines(&stage)[1].1, Delivery::Delivered, "what has arrived has arrived");
}

#[test]
fn a_line_that_cannot_be_brought_is_shown_as_such_and_the_callers_own_are_nobodys_to_deliver() {
    let mut stage = stage();
    let (gateway, console) = (stage.gateway("gw"), stage.console("DU-POL", "1"));
    let offer = taken(&mut stage, console);
    say(&mut stage, console, offer.contact, "where are you?");
    for number in [1, 2, 9] {
        delivered(&mut stage, gateway, number, false);
    }
    assert_eq!(lines(&stage).iter().map(|(_, delivery, _)| *delivery).collect::<Vec<_>>(), [Delivery::Delivered, Delivery::Failed]);
    let stranger = stage.gateway("other");
    stage.heard(console);
    delivered(&mut stage, stranger, 2, true);
    assert!(stage.heard(console).is_empty(), "another gateway's word counts for nothing");
}

#[test]
fn a_conversation_survives_a_crash_and_what_the_caller_may_not_have_is_said_again() {
    let mut stage = stage();
    let (gateway, console) = (stage.gateway("gw"), stage.console("DU-POL", "1"));
    let offer = taken(&mut stage, console);
    say(&mut stage, console, offer.contact, "where are you?");
    delivered(&mut stage, gateway, 2, true);
    stage.evidence("a", words("in the kitchen"));
    stage.redecide("POL: DU-POL");
    say(&mut stage, console, offer.contact, "stay there");
    let before = stage.contacts();
    stage.crash(&usual_rooms());
    assert_eq!(stage.contacts()[0].said, before[0].said);
    let gateway = stage.gateway("gw");
    assert_eq!(given(&stage.gateway_heard(gateway)), [(4, "stay there".to_owned())]);
    let console = stage.console("DU-POL", "1");
    say(&mut stage, console, offer.contact, "they are at the door");
    assert_eq!(lines(&stage).last().map(|(number, ..)| *number), Some(5), "numbers go on");
}

#[test]
fn what_the_journal_lost_of_a_conversation_is_written_again() {
    let mut stage = Stage::new();
    let (gateway, console) = (stage.gateway("gw"), stage.console("DU-POL", "1"));
    let offer = taken(&mut stage, console);
    say(&mut stage, console, offer.contact, "where are you?");
    stage.evidence("a", words("in the kitchen"));
    stage.redecide("POL: DU-POL");
    stage.lose();
    stage.gateway_heard(gateway);
    stage.store();
    stage.store();
    assert_eq!(given(&stage.gateway_heard(gateway)), [(2, "where are you?".to_owned())], "said only now that it is held");
    let before = stage.contacts();
    stage.crash(&usual_rooms());
    assert_eq!(stage.contacts()[0].said, before[0].said);
}

#[test]
fn a_screen_is_shown_the_newest_lines_and_their_numbers_tell_that_there_were_more() {
    let mut stage = stage();
    let console = stage.console("DU-POL", "1");
    let offer = taken(&mut stage, console);
    for number in 0..60 {
        say(&mut stage, console, offer.contact, &format!("line {number}"));
    }
    let late = stage.console("DU-POL", "2");
    let heard = stage.heard(late);
    let shown = heard.iter().find_map(|hears| if let ConsoleHears::Conversation { said, .. } = hears { Some(said) } else { None });
    let shown = shown.expect("the conversation is shown");
    assert_eq!((shown.len(), shown[0].number, shown[47].number), (48, 14, 61));
}

// --- nobody is rung who did not ask for it ---

#[test]
fn who_writes_and_is_gone_is_called_back_only_when_they_asked_for_it() {
    for asked in [false, true] {
        let mut stage = stage();
        let (gateway, console) = (stage.gateway("gw"), stage.console("DU-POL", "1"));
        let offer = stage.write_in("a", "help me", "POL: DU-POL")[0];
        if asked {
            let mut evidence = words("please call");
            evidence.signals.push(Signal::CallBack);
            stage.evidence("a", evidence);
            stage.redecide("POL: DU-POL");
        }
        stage.hang_up(gateway, "a", HangUp::LineDropped);
        assert_eq!(stage.shown(console, offer).unwrap().callback.is_some(), asked);
        assert_eq!(stage.engine.callbacks_waiting(), usize::from(asked));
    }
}

// --- who is asked first ---

fn asked(stage: &Stage) -> Vec<(String, AskedWhy)> {
    let one = |fact: &Fact| if let Fact::Asked { dispatcher, why, .. } = fact { Some((dispatcher.to_string(), *why)) } else { None };
    stage.facts.iter().filter_map(|(_, fact)| one(fact)).collect()
}

#[test]
fn a_seat_that_can_write_is_rung_first_and_the_room_with_the_next_alert() {
    let mut stage = stage();
    let [mute, writes] = ["1", "2"].map(|seat| stage.console("DU-POL", seat));
    stage.speak(mute, &["ar"], false);
    let offer = stage.write_in("a", "help me", "POL: DU-POL > SH-POL")[0];
    let rings = |stage: &Stage, session| stage.shown(session, offer).map(|offer| offer.rings);
    assert_eq!((rings(&stage, mute), rings(&stage, writes)), (Some(false), Some(true)), "everybody sees it");
    assert!(asked(&stage).is_empty());
    stage.say(writes, ConsoleSays::Shown { offer });
    stage.heard(mute);
    stage.pass(SHOWN_WAIT_MICROS_MAX);
    assert!(stage.heard(mute).contains(&ConsoleHears::Alert { offer, why: AlertWhy::Again }), "within a rung of the ladder");
    stage.take(mute, offer);
    assert_eq!(stage.contacts()[0].offers[0].holder.map(|seat| seat.seat), Some(name("1")), "and whoever wants to may take it");
}

#[test]
fn when_the_seat_that_can_write_declines_the_others_ring_at_once() {
    let mut stage = stage();
    let [mute, writes] = ["1", "2"].map(|seat| stage.console("DU-POL", seat));
    stage.speak(mute, &["ar"], false);
    let offer = stage.write_in("a", "help me", "POL: DU-POL")[0];
    stage.heard(mute);
    stage.say(writes, ConsoleSays::Decline { offer, reason: "on the telephone".into() });
    assert!(stage.heard(mute).contains(&ConsoleHears::Alert { offer, why: AlertWhy::Again }));
}

#[test]
fn a_room_where_nobody_can_write_is_passed_for_one_where_somebody_can_and_the_journal_says_why() {
    let mut stage = stage();
    let [mute, writes] = ["DU-POL", "SH-POL"].map(|room| stage.console(room, "1"));
    stage.speak(mute, &["ar"], false);
    let offer = stage.write_in("a", "help me", "POL: DU-POL > SH-POL")[0];
    assert_eq!(asked(&stage), [("SH-POL".to_owned(), AskedWhy::NoText)]);
    assert!(stage.sees(mute, offer) && stage.sees(writes, offer));
    assert_eq!(stage.engine.counters().asked_no_text, 1);
    stage.arrive("b", "POL: DU-POL > SH-POL");
    assert_eq!(asked(&stage).len(), 1, "who speaks goes the ordinary way");
}

#[test]
fn where_nobody_at_all_can_write_the_room_is_asked_as_always() {
    let mut stage = stage();
    let [first, second] = ["DU-POL", "SH-POL"].map(|room| stage.console(room, "1"));
    stage.speak(first, &["ar"], false);
    stage.speak(second, &["ar"], false);
    let offer = stage.write_in("a", "help me", "POL: DU-POL > SH-POL")[0];
    assert!(asked(&stage).is_empty() && stage.shown(first, offer).unwrap().rings);
}

fn speaking(stage: &mut Stage, lang: &[u8; 2]) -> Contact {
    let mut contact = stage.contact("gw", "l");
    contact.lang = Some(*lang);
    contact
}

#[test]
fn a_language_chooses_among_the_seats_of_the_room_and_never_another_room() {
    let mut stage = stage();
    let [arabic, urdu, elsewhere] = [("DU-POL", "1"), ("DU-POL", "2"), ("SH-POL", "1")].map(|(room, seat)| stage.console(room, seat));
    stage.speak(urdu, &["ar", "ur"], true);
    stage.speak(elsewhere, &["ur"], true);
    let contact = speaking(&mut stage, b"ur");
    let offer = stage.arrive_as(contact, decision("POL: DU-POL > SH-POL"))[0];
    let rings = |session| stage.shown(session, offer).map(|offer| (offer.rings, offer.interpreter));
    assert_eq!((rings(arabic), rings(urdu), rings(elsewhere)), (Some((false, false)), Some((true, false)), None));
}

#[test]
fn where_nobody_speaks_it_the_whole_room_rings_and_the_offer_says_that_an_interpreter_is_needed() {
    let mut stage = stage();
    let [one, other] = ["1", "2"].map(|seat| stage.console("DU-POL", seat));
    let contact = speaking(&mut stage, b"ne");
    let offer = stage.arrive_as(contact, decision("POL: DU-POL"))[0];
    for session in [one, other] {
        let shown = stage.shown(session, offer).unwrap();
        assert!(shown.rings && shown.interpreter);
    }
}
