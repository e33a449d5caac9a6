//! What a seat does through the feed, from the first event to the last.

use najda::client::{ConsoleClient, LinkConfig};
use najda::deliver::ConsoleHears;
use najda::edge::tls::Role;
use serde_json::json;
use tokio_tungstenite::tungstenite::Error;

use super::{FIR, Feed, House, POL, contact_in, share_in};
use crate::running::{Keep, Running, Set, WAIT, heard, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_lives_its_whole_life_through_the_feed() {
    let house = House::start().await;
    let mut feed = house.seated(FIR).await;
    let contact = house.call("a", "fire in the kitchen").await;
    let event = feed.happened("arrived", &contact).await;
    let eido = &event["notification"][0];
    assert_eq!(eido["eidoVersion"], "1.0");
    let id = eido["incidentComponent"]["$id"].as_str().unwrap();
    assert!(id.starts_with("urn:emergency:uid:incidentid:0-") && id.ends_with(":najda.internal"), "{id}");
    assert!(eido["locationComponent"][0]["locationByValue"].as_str().unwrap().contains("0.7200000 0.4500000"), "{eido}");
    assert_eq!(eido["notesComponent"][0]["notesActionComments"], "fire in the kitchen");
    let state = contact_in(eido, &contact);
    assert_eq!((&share_in(state, "civil_defence")["state"], &state["words"][0]), (&json!("waiting"), &json!("fire in the kitchen")));

    feed.done("shown", &contact, "civil_defence", json!({})).await;
    let taken = feed.done("take", &contact, "civil_defence", json!({})).await;
    assert_eq!(share_in(&taken["contact"], "civil_defence")["held_by"], json!({ "dispatcher": "TL-CAP-FIR", "seat": "1" }));
    let event = feed.happened("taken", &contact).await;
    assert_eq!(event["najda"]["changes"][0]["sequence"], taken["sequence"], "the answer names the entry");
    feed.done("note", &contact, "", json!({ "text": "gas <bottle> inside" })).await;
    let event = feed.happened("noted", &contact).await;
    assert_eq!(event["notification"][0]["notesComponent"][1]["notesActionComments"], "gas &lt;bottle&gt; inside", "{event}");
    feed.done("accept", &contact, "civil_defence", json!({})).await;
    let event = feed.happened("accepted", &contact).await;
    assert_eq!(event["notification"][0]["dispatchComponent"][0]["agencyReference"]["$ref"], "TL-CAP-FIR");
    feed.done("close", &contact, "civil_defence", json!({ "reason": "put out" })).await;
    let event = feed.happened("closed", &contact).await;
    let disposition = &event["notification"][0]["incidentComponent"]["dispositionComponent"][0];
    assert_eq!(
        (&disposition["dispositionCategoryText"], &disposition["dispositionDescriptionText"]),
        (&json!("civil_defence"), &json!("put out"))
    );
    // The same once more is done already.
    feed.done("close", &contact, "civil_defence", json!({ "reason": "put out" })).await;
    assert_eq!(house.running.node.core().figures.load().counters.closed, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_is_declined_handed_over_given_back_and_taken_by_the_room_that_was_asked() {
    let house = House::start().await;
    let (mut police, mut fire) = (house.seated(POL).await, house.seated(FIR).await);
    let contact = house.call("a", "burglar in the house").await;
    police.happened("arrived", &contact).await;
    police.done("take", &contact, "police", json!({})).await;
    let early = police.command(json!({ "action": "close", "contact": contact, "service": "police" })).await;
    assert_eq!(early["statusCode"], 409, "nothing is closed before help was sent: {early}");
    let nowhere =
        police.command(json!({ "action": "transfer", "contact": contact, "service": "police", "to": "TL-SEA", "reason": "x" })).await;
    assert_eq!(nowhere["statusCode"], 409, "nobody is signed in there: {nowhere}");
    police.done("transfer", &contact, "police", json!({ "to": "TL-CAP-FIR", "reason": "it burns" })).await;
    let event = fire.happened("asked", &contact).await;
    let share = share_in(contact_in(&event["notification"][0], &contact), "police").clone();
    assert_eq!(
        (&share["declined"], &share["held_by"]["dispatcher"]),
        (&json!("it burns"), &json!("TL-CAP-POL")),
        "it is its holder's still"
    );
    let taken = fire.done("take", &contact, "police", json!({})).await;
    assert_eq!(share_in(&taken["contact"], "police")["held_by"]["dispatcher"], "TL-CAP-FIR");
    police.through(taken["sequence"].as_u64().unwrap()).await;
    let refused = police.command(json!({ "action": "accept", "contact": contact, "service": "police" })).await;
    assert_eq!(refused["statusCode"], 409, "another seat holds it: {refused}");
    fire.done("release", &contact, "police", json!({})).await;
    fire.done("decline", &contact, "police", json!({ "reason": "not ours" })).await;
    let back = fire.happened("declined", &contact).await;
    assert_eq!(back["najda"]["changes"][0]["by"]["dispatcher"], "TL-CAP-FIR");
}

#[tokio::test(flavor = "multi_thread")]
async fn contacts_are_joined_to_one_document_and_taken_apart_again() {
    let house = House::start().await;
    let mut feed = house.seated(FIR).await;
    let (one, other) = (house.call("a", "fire in the kitchen").await, house.call("b", "fire on the roof").await);
    let first = feed.happened("arrived", &one).await["notification"][0]["najda"]["incident"].clone();
    let second = feed.happened("arrived", &other).await["notification"][0]["najda"]["incident"].clone();
    feed.done("join", &other, "", json!({ "with": one })).await;
    let event = feed.happened("joined", &other).await;
    let document = &event["notification"][0];
    assert_eq!((&document["najda"]["incident"], document["callComponent"].as_array().unwrap().len()), (&first, 2), "{event}");
    let merged = &document["mergeComponent"][0];
    assert_eq!(merged["incidentMergeDirectionCode"], "REPLACING");
    assert!(merged["incidentTrackingIdentifier"].as_str().unwrap().contains(second.as_str().unwrap()));
    feed.done("join", &other, "", json!({ "with": one })).await;
    feed.done("split", &other, "", json!({})).await;
    let event = feed.happened("joined", &other).await;
    let documents = event["notification"].as_array().unwrap();
    let incidents: Vec<_> = documents.iter().map(|document| document["najda"]["incident"].clone()).collect();
    assert_eq!(incidents, [second, first], "both are told of");
    assert_eq!(documents[0]["mergeComponent"][0]["incidentMergeDirectionCode"], "SPLIT");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_command_lacks_is_named_and_the_line_goes_on() {
    let house = House::start().await;
    let mut feed = house.seated(FIR).await;
    let contact = house.call("a", "fire").await;
    feed.happened("arrived", &contact).await;
    let unknown = "00000000-0000-7000-8000-000000000001";
    for (command, status) in [
        (json!({ "action": "dance" }), 400),
        (json!({ "action": "take" }), 400),
        (json!({ "action": "take", "contact": contact }), 400),
        (json!({ "action": "take", "contact": contact, "service": "navy" }), 400),
        (json!({ "action": "take", "contact": unknown, "service": "police" }), 404),
        (json!({ "action": "accept", "contact": contact, "service": "civil_defence" }), 409),
        (json!({ "action": "decline", "contact": contact, "service": "civil_defence", "reason": " " }), 400),
        (json!({ "action": "note", "contact": contact, "text": "" }), 400),
        (json!({ "action": "note", "contact": contact, "text": "ن".repeat(300) }), 400),
        (json!({ "action": "close", "contact": contact, "service": "civil_defence", "reason": "x".repeat(1_025) }), 400),
        (json!({ "action": "calledBack", "contact": contact, "service": "civil_defence", "outcome": "maybe" }), 400),
        (json!({ "action": "transfer", "contact": contact, "service": "civil_defence", "to": "a b", "reason": "x" }), 400),
    ] {
        let answer = feed.command(command.clone()).await;
        assert_eq!(answer["statusCode"], status, "{command}: {answer}");
        assert!(!answer["statusText"].as_str().unwrap().is_empty() && !answer["remedy"].as_str().unwrap().is_empty(), "{answer}");
    }
    feed.done("take", &contact, "civil_defence", json!({})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_seat_is_one_session_and_the_one_that_gives_way_is_told_and_keeps_its_events() {
    let house = House::start().await;
    let mut feed = house.seated(FIR).await;
    let identity = house.running.certs.identity(&Role::parse(FIR).unwrap()).unwrap();
    let config = LinkConfig::new(house.running.node.addr(), "localhost", identity);
    let (console, mut hears) = ConsoleClient::connect(config, &[*b"en"], true, WAIT).await.unwrap();
    assert!(feed.until("signedOut").await["reason"].as_str().unwrap().contains("another session"));
    let contact = house.call("a", "fire in the kitchen").await;
    feed.happened("arrived", &contact).await;
    while !matches!(heard(&mut hears).await, ConsoleHears::Offer(_)) {}
    // Its next command takes the seat back.
    feed.done("take", &contact, "civil_defence", json!({})).await;
    assert_eq!(house.running.node.core().figures.load().counters.taken, 1);
    console.sign_out().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_answers_no_ping_gives_its_place_to_another() {
    let running = Running::start(Keep::InFiles, Set::testland()).await;
    let house = House::with(running, |config| config.lines_max = 1).await;
    // Nobody reads it, so nothing answers.
    let dead = house.line(FIR).await;
    let full = Feed::connect(&house.running, house.addr(), POL).await.err();
    assert!(matches!(&full, Some(Error::Http(answer)) if answer.status() == 503), "{full:?}");
    let begun = std::time::Instant::now();
    while Feed::connect(&house.running, house.addr(), POL).await.is_err() {
        assert!(begun.elapsed() < WAIT, "the place was never given back");
    }
    drop(dead);
}

/// Goal: a seat that holds something and whose system lives loses nothing. Method: the system says nothing for longer than a lease and
/// only answers pings, as every WebSocket library does while it reads.
#[tokio::test(flavor = "multi_thread")]
async fn a_system_that_only_answers_pings_keeps_what_its_seat_holds_and_one_that_is_gone_does_not() {
    let house = House::start().await;
    let mut feed = house.seated(FIR).await;
    let contact = house.call("a", "fire in the kitchen").await;
    feed.happened("arrived", &contact).await;
    feed.done("take", &contact, "civil_defence", json!({})).await;
    feed.happened("taken", &contact).await;
    let begun = std::time::Instant::now();
    let lease = std::time::Duration::from_micros(najda::limits::LEASE_MICROS_MAX);
    feed.subscribe(json!({ "from": feed.last, "minRate": 1 })).await;
    while begun.elapsed() < lease + std::time::Duration::from_secs(2) {
        feed.read().await.expect("an open line");
    }
    assert_eq!(house.running.node.core().figures.load().counters.leases_stale, 0);
    house.more_roles(&["console/TL-CAP-FIR/2".to_owned()]);
    let mut other = house.subscribed("console/TL-CAP-FIR/2").await;
    drop(feed);
    let core = house.running.node.core();
    until("the seat is given up", || core.figures.load().counters.leases_stale == 1).await;
    other.happened("waiting", &contact).await;
}
