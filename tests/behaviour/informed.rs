//! Callers who hear back: what a person releases and nobody else, to whom nothing ever goes, and the messages on their way out.

use std::sync::Arc;

use najda::contact::{Contact, Door, Signal};
use najda::decision::{DecisionRecord, Discrepancy};
use najda::deliver::{ConsoleHears, ConsoleSays, Fact, HangUp, OfferId, Refusal, Seat};
use najda::engine::{Input, SessionId};
use najda::inform::Told;

use crate::stage::{Stage, decision, from_line, name, usual_rooms};

mod couriers;

const NUMBER: &str = "+971501234567";

fn stage() -> Stage {
    let mut stage = Stage::new();
    stage.disk_is_fast = true;
    stage
}

fn seat(room: &str) -> Seat {
    Seat { dispatcher: name(room), seat: name("1") }
}

fn refusals(heard: &[ConsoleHears]) -> Vec<Refusal> {
    heard.iter().filter_map(|hears| if let ConsoleHears::Refused { why, .. } = hears { Some(*why) } else { None }).collect()
}

/// What is released: what to say, to whom, and by whom.
fn released(stage: &Stage) -> Vec<(Told, String, Option<Seat>)> {
    let one = |(_, fact): &(u64, Fact)| match fact {
        Fact::Informed { told, number, seat, again: false, .. } => Some((*told, number.to_string(), *seat)),
        _ => None,
    };
    stage.facts.iter().filter_map(one).collect()
}

fn inform(stage: &mut Stage, console: SessionId, offer: OfferId) {
    stage.say(console, ConsoleSays::Inform { offer });
}

/// A decided contact that this console's seat has taken.
fn taken(stage: &mut Stage, console: SessionId, contact: Contact, decided: Arc<DecisionRecord>) -> OfferId {
    let offer = stage.arrive_as(contact, decided)[0];
    stage.take(console, offer);
    stage.heard(console);
    offer
}

fn changed(of: &Arc<DecisionRecord>, change: impl FnOnce(&mut DecisionRecord)) -> Arc<DecisionRecord> {
    let mut record = DecisionRecord::clone(of);
    change(&mut record);
    Arc::new(record)
}

// --- released by a person ---

#[test]
fn the_holder_of_the_lead_releases_one_message_and_everybody_on_it_hears_when_the_journal_holds_it() {
    let mut stage = Stage::new();
    let [police, ambulance] = ["DU-POL", "DU-AMB"].map(|room| stage.console(room, "1"));
    let contact = stage.contact("gw", "a");
    let offers = stage.arrive_as(contact, from_line("POL: DU-POL; AMB: DU-AMB", NUMBER, true));
    stage.store();
    inform(&mut stage, police, offers[0]);
    assert_eq!(refusals(&stage.heard(police)), [Refusal::OutOfTurn], "nobody has taken it");
    stage.take(police, offers[0]);
    stage.take(ambulance, offers[1]);
    stage.store();
    for console in [police, ambulance] {
        stage.heard(console);
    }
    inform(&mut stage, ambulance, offers[1]);
    assert_eq!(refusals(&stage.heard(ambulance)), [Refusal::NotYours], "the one who leads speaks to the caller");
    inform(&mut stage, police, offers[0]);
    assert!(stage.heard(ambulance).is_empty(), "not before the disk has it");
    stage.store();
    let by = seat("DU-POL");
    let told = ConsoleHears::Informed { contact: offers[0].contact, by };
    assert!(stage.heard(police).contains(&told) && stage.heard(ambulance).contains(&told));
    inform(&mut stage, police, offers[0]);
    stage.store();
    assert_eq!(released(&stage), [(Told::Heard, NUMBER.to_owned(), Some(by))], "said twice, released once");
}

#[test]
fn screens_say_whether_a_message_may_go() {
    let mut stage = stage();
    let police = stage.console("DU-POL", "1");
    let shows = |stage: &Stage, console, offer| stage.shown(console, offer).unwrap().may_inform;
    let contact = stage.contact("gw", "a");
    let offer = taken(&mut stage, police, contact, from_line("POL: DU-POL", NUMBER, true));
    assert!(shows(&stage, police, offer));
    inform(&mut stage, police, offer);
    let late = stage.console("DU-POL", "2");
    assert!(!shows(&stage, late, offer), "it went");
    let contact = stage.contact("gw", "b");
    let offer = stage.arrive_as(contact, decision("POL: DU-POL"))[0];
    assert!(!shows(&stage, police, offer), "there is no number");
}

#[test]
fn after_help_came_the_caller_who_was_told_is_asked_how_it_was() {
    let mut stage = stage();
    let police = stage.console("DU-POL", "1");
    let end = |stage: &mut Stage, gateway_ref: &str, told: bool, helped: bool| {
        let contact = stage.contact("gw", gateway_ref);
        let offer = taken(stage, police, contact, from_line("POL: DU-POL", NUMBER, true));
        if told {
            inform(stage, police, offer);
        }
        if helped {
            stage.accept(police, offer);
        }
        stage.close(police, offer);
        let before = stage.facts.len();
        let kinds: Vec<Told> = released(stage).into_iter().map(|(told, ..)| told).collect();
        stage.facts.truncate(before);
        stage.facts.retain(|(_, fact)| !matches!(fact, Fact::Informed { .. }));
        kinds
    };
    assert_eq!(end(&mut stage, "a", true, true), [Told::Heard, Told::Rate]);
    assert_eq!(end(&mut stage, "b", false, true), [], "who was told nothing is asked nothing");
    assert_eq!(end(&mut stage, "c", true, false), [Told::Heard], "no help, no question");
}

#[test]
fn the_rating_of_an_ended_contact_is_written_down_and_nonsense_is_not() {
    let mut stage = stage();
    let contact = stage.arrive("a", "POL: DU-POL")[0].contact;
    for stars in [0, 1, 5, 6, 255] {
        stage.input(Input::Rated { contact, stars });
    }
    let stars: Vec<u8> =
        stage.facts.iter().filter_map(|(_, fact)| if let Fact::Rated { stars, .. } = fact { Some(*stars) } else { None }).collect();
    assert_eq!(stars, [1, 5]);
    stage.crash(&usual_rooms());
    assert_eq!(stage.contacts().len(), 1, "a rating is nobody's life");
}

// --- to whom nothing goes ---

/// Goal: no message for an intruder, violence at home, an abduction, a silent call; whatever else is said. Method: every type of the
/// shipped tables, decided as routing decides it; a person asks for the message all the same.
#[test]
fn no_message_is_released_for_a_quiet_type_whatever_anybody_asks() {
    let set = najda::edge::tables::load_or_shipped(None).unwrap().tables;
    let entries = set.words.types.entries();
    let mut quiet = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        let mut stage = stage();
        let police = stage.console("DU-POL", "1");
        let decided = changed(&from_line("POL: DU-POL", NUMBER, true), |record| {
            (record.incident_type, record.quiet) = (Some(entry.code), entry.quiet);
        });
        let contact = stage.contact("gw", &index.to_string());
        let offer = taken(&mut stage, police, contact, decided);
        inform(&mut stage, police, offer);
        stage.accept(police, offer);
        stage.close(police, offer);
        let went = !released(&stage).is_empty();
        assert_eq!(went, !entry.quiet, "{}", entry.code);
        if entry.quiet {
            quiet.push(entry.code.to_string());
        }
    }
    println!("{} of {} types are quiet", quiet.len(), entries.len());
    // Intruders, violence at home, abductions, silent alarms and open lines: the table may say more, never less.
    for code in ["BURGLARY", "PERSUSP", "DVA", "DVNA", "ABUSE", "ABDUCTF", "ABDUCTNF", "HOSTAGE", "ALRBS", "ALRPANS", "ALRROBS", "911OPN"] {
        assert!(quiet.iter().any(|known| known == code), "{code} is not quiet");
    }
}

#[test]
fn who_cannot_or_must_not_be_written_to_is_not() {
    let fit = from_line("POL: DU-POL", NUMBER, true);
    let silent = |record: &mut DecisionRecord| record.discrepancies.push(Discrepancy::Silent.code());
    let cases = [
        ("quiet", changed(&fit, |record| record.quiet = true), Door::SipVoice),
        ("silent", changed(&fit, silent), Door::SipVoice),
        ("no number", decision("POL: DU-POL"), Door::SipVoice),
        ("a line of many", from_line("POL: DU-POL", NUMBER, false), Door::SipVoice),
        ("somebody who reports for another", fit.clone(), Door::Relay),
        ("a panel", fit, Door::IntruderPanel),
    ];
    for (what, decided, door) in cases {
        let mut stage = stage();
        let police = stage.console("DU-POL", "1");
        let contact = Contact { door, ..stage.contact("gw", "a") };
        let offer = taken(&mut stage, police, contact, decided);
        inform(&mut stage, police, offer);
        assert_eq!((refusals(&stage.heard(police)), released(&stage)), (vec![Refusal::Forbidden], Vec::new()), "{what}");
    }
}

#[test]
fn a_caller_who_left_without_a_word_is_not_written_to() {
    let mut stage = stage();
    let gateway = stage.gateway("gw");
    let police = stage.console("DU-POL", "1");
    let contact = stage.contact("gw", "a");
    let offer = taken(&mut stage, police, contact, from_line("POL: DU-POL", NUMBER, true));
    stage.hang_up(gateway, "a", HangUp::Silent);
    inform(&mut stage, police, offer);
    assert!(released(&stage).is_empty());
}

#[test]
fn quiet_once_is_quiet_for_good_also_after_a_restart_and_after_a_loss() {
    for (crash, lose) in [(false, false), (true, false), (false, true), (true, true)] {
        let mut stage = stage();
        let police = stage.console("DU-POL", "1");
        let loud = from_line("POL: DU-POL", NUMBER, true);
        let contact = stage.contact("gw", "a");
        let offer = taken(&mut stage, police, contact, loud.clone());
        stage.evidence("a", najda::deliver::Evidence { signals: vec![Signal::Words("he is here".into())], ..Default::default() });
        let answer = |stage: &mut Stage, decision| {
            let (contact, revision) = stage.reroutes.pop().expect("evidence is decided again");
            stage.input(Input::Redecided { contact: contact.id, revision, decision });
        };
        stage.pass(crate::stage::SECOND);
        stage.disk_is_fast = !lose;
        answer(&mut stage, changed(&loud, |record| record.quiet = true));
        if lose {
            stage.lose();
            stage.disk_is_fast = true;
            stage.store();
        }
        stage.evidence("a", najda::deliver::Evidence { signals: vec![Signal::Words("all is well".into())], ..Default::default() });
        stage.pass(crate::stage::SECOND);
        answer(&mut stage, loud);
        stage.store();
        let police = if crash {
            stage.crash(&usual_rooms());
            stage.console("DU-POL", "1")
        } else {
            police
        };
        stage.take(police, offer);
        inform(&mut stage, police, offer);
        stage.accept(police, offer);
        stage.close(police, offer);
        assert!(released(&stage).is_empty(), "crash {crash}, loss {lose}");
    }
}

#[test]
fn a_release_the_journal_lost_is_made_again_and_one_it_holds_is_not() {
    for held in [true, false] {
        let mut stage = Stage::new();
        let police = stage.console("DU-POL", "1");
        let contact = stage.contact("gw", "a");
        let offer = stage.arrive_as(contact, from_line("POL: DU-POL", NUMBER, true))[0];
        stage.take(police, offer);
        stage.store();
        inform(&mut stage, police, offer);
        if held {
            stage.store();
            stage.say(police, ConsoleSays::Note { contact: offer.contact, text: "lost".into() });
        }
        stage.lose();
        stage.store();
        assert_eq!(released(&stage).len(), 1, "held {held}: what the journal holds releases it once");
    }
}
