//! What a subscriber is told: in order, each entry once, over a restart, at his rate, and only what his room may see.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use najda::edge::run::Tuning;
use najda::store::Partition;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::{FIR, Feed, House, ISL, POL, contact_in};
use crate::running::{Keep, Running, Set, until};

fn state_of(feed: &mut Feed) -> BTreeSet<String> {
    let documents = feed.events.drain(..).flat_map(|event| event["notification"].as_array().unwrap().clone());
    documents
        .flat_map(|document| document["najda"]["contacts"].as_array().unwrap().clone())
        .map(|contact| contact["contact"].as_str().unwrap().to_owned())
        .collect()
}

// --- order, and nothing missing ---

#[tokio::test(flavor = "multi_thread")]
async fn who_subscribes_is_told_the_state_and_then_every_entry_once() {
    let house = House::start().await;
    let before = [house.call("a", "fire in the kitchen").await, house.call("b", "burglar in the house").await];
    let mut feed = house.subscribed(FIR).await;
    let open = state_of(&mut feed);
    assert!(open.contains(&before[0]), "{open:?}");
    let contact = house.call("c", "fire, people are injured").await;
    feed.happened("arrived", &contact).await;
    assert!(feed.told.len() == 1 && !state_of(&mut feed).contains(&before[0]), "only what changed");
}

/// Goal: a client that keeps one number misses nothing and hears nothing twice, over a restart in any place. Method: contacts are brought
/// and dealt with before, between and after two restarts; what was told is compared with the journal itself.
#[tokio::test(flavor = "multi_thread")]
async fn over_restarts_of_the_engine_no_event_is_missing_and_none_comes_twice() {
    let mut house = House::start().await;
    let (mut told, mut last) = (Vec::new(), 0);
    for round in 0..3 {
        let mut feed = house.line(FIR).await;
        let answer = feed.subscribe(json!({ "from": last })).await;
        assert_eq!(answer["statusCode"], 200, "{answer}");
        let sign_in = feed.command(json!({ "action": "signIn" })).await;
        assert_eq!(sign_in["statusCode"], 200);
        let (one, other) =
            (house.call(&format!("a{round}"), "fire in the kitchen").await, house.call(&format!("b{round}"), "fire, smoke").await);
        feed.happened("arrived", &one).await;
        feed.done("take", &one, "civil_defence", json!({})).await;
        feed.done("accept", &one, "civil_defence", json!({})).await;
        // The other is taken while nobody reads: the line is cut before its events are read.
        feed.happened("arrived", &other).await;
        feed.say(json!({ "command": { "transactionId": "x", "action": "take", "contact": other, "service": "civil_defence" } })).await;
        let core = house.running.node.core();
        until("it is taken", || core.figures.load().counters.taken >= 2).await;
        told.append(&mut feed.told);
        last = feed.last.unwrap();
        drop(feed);
        house.call(&format!("c{round}"), "fire on the roof").await;
        house = house.again().await;
    }
    let mut feed = house.line(FIR).await;
    feed.subscribe(json!({ "from": last })).await;
    let all = house.entries_about_contacts();
    feed.through(*all.last().unwrap()).await;
    told.append(&mut feed.told);
    assert_eq!(told, all, "the journal, entry by entry");
}

/// Goal: who comes late is told what was told at once, document by document. Method: events with joins, services added and shares closed
/// are kept; after a restart from a checkpoint among them they are read again from entries before, at and after it.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_read_from_the_journal_later_is_what_was_told_at_once() {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let tuning = Tuning { checkpoint_entries: 20, ..Tuning::default() };
    let house = House::open(Running::tuned(folder, Keep::InFiles, Set::testland(), tuning, |_| {}).await).await;
    let mut live = house.line(FIR).await;
    live.subscribe(json!({ "from": 0 })).await;
    let mut contacts = Vec::new();
    for number in 0..12 {
        let contact = house.call(&format!("a{number}"), "fire in the kitchen").await;
        let arrived = |event: &Value| event["najda"]["changes"][0]["contact"] == *contact;
        while !live.events.iter().any(arrived) {
            live.read().await.expect("an open line");
        }
        live.done("take", &contact, "civil_defence", json!({})).await;
        live.done("note", &contact, "", json!({ "text": format!("floor {number}") })).await;
        match number % 4 {
            0 => drop(live.done("release", &contact, "civil_defence", json!({})).await),
            1 => drop(live.done("join", &contact, "", json!({ "with": contacts[number - 1] })).await),
            2 => {
                live.done("accept", &contact, "civil_defence", json!({})).await;
                live.done("close", &contact, "civil_defence", json!({ "reason": "out" })).await;
            }
            _ => drop(live.done("addService", &contact, "electricity", json!({})).await),
        }
        contacts.push(contact);
    }
    live.done("split", &contacts[1], "", json!({})).await;
    let last = *house.entries_about_contacts().last().unwrap();
    live.through(last).await;
    let kept: BTreeMap<u64, Value> =
        live.events.drain(..).filter_map(|event| Some((event["najda"]["sequence"].as_u64()?, event))).collect();
    let store = Arc::clone(house.running.node.store());
    let oldest = || store.checkpoints(Partition::default()).unwrap().last().copied().unwrap_or(0);
    until("there is a checkpoint", || oldest() > 0).await;
    let checkpoint = oldest();
    drop(store);

    let house = house.again().await;
    for from in [0, 1, last / 3, checkpoint - 1, checkpoint, checkpoint + 1, last - 1, last].map(|from: u64| from.min(last)) {
        let mut late = house.line(FIR).await;
        assert_eq!(late.subscribe(json!({ "from": from })).await["statusCode"], 200);
        late.through(last).await;
        let told: Vec<u64> = late.told.iter().copied().filter(|seq| *seq <= last).collect();
        let all: Vec<u64> = kept.keys().copied().filter(|seq| *seq > from).collect();
        assert_eq!(told, all, "from {from}, with a checkpoint at {checkpoint}");
        for event in late.events.drain(..).filter(|event| event["najda"]["sequence"].as_u64() <= Some(last)) {
            let before = &kept[&event["najda"]["sequence"].as_u64().unwrap()];
            assert_eq!(
                (&event["notification"], &event["najda"]["changes"]),
                (&before["notification"], &before["najda"]["changes"]),
                "from {from}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn from_nothing_the_whole_journal_is_told_with_what_has_ended() {
    let house = House::start().await;
    let mut feed = house.seated(FIR).await;
    let contact = house.call("a", "fire in the kitchen").await;
    feed.happened("arrived", &contact).await;
    let state = house.rest(FIR).get(&format!("/feed/v1/contacts/{contact}")).await.unwrap();
    let state: Value = serde_json::from_slice(&state.body).unwrap();
    let services: Vec<String> =
        state["shares"].as_array().unwrap().iter().map(|share| share["service"].as_str().unwrap().to_owned()).collect();
    for service in &services {
        // Other services' shares come to this seat when nobody else is there.
        while feed.command(json!({ "action": "take", "contact": contact, "service": service })).await["statusCode"] != 200 {
            feed.read().await.expect("an open line");
        }
        feed.done("accept", &contact, service, json!({})).await;
        feed.done("close", &contact, service, json!({ "reason": "done" })).await;
    }
    feed.happened("ended", &contact).await;
    let mut late = house.line(POL).await;
    let mut again = house.line(FIR).await;
    again.subscribe(json!({ "from": 0 })).await;
    let ended = again.happened("ended", &contact).await;
    assert_eq!(contact_in(&ended["notification"][0], &contact)["ended"], "closed");
    assert_eq!(again.told, house.entries_about_contacts());
    // The state does not have it any more.
    late.subscribe(json!({})).await;
    late.through(again.last.unwrap()).await;
    assert!(!state_of(&mut late).contains(&contact));
}

#[tokio::test(flavor = "multi_thread")]
async fn from_the_future_or_from_what_is_not_kept_is_refused_with_what_there_is() {
    let house = House::start().await;
    house.call("a", "fire").await;
    let mut feed = house.line(FIR).await;
    let answer = feed.subscribe(json!({ "from": 1_000_000 })).await;
    assert_eq!(answer["statusCode"], 416, "{answer}");
    let last = answer["lastSequence"].as_u64().unwrap();
    assert!(last > 0 && last < 1_000_000);
    for wrong in [json!({ "from": -1 }), json!({ "from": "yesterday" })] {
        feed.say(json!({ "subscribe": wrong })).await;
        assert_eq!(feed.until("error").await["statusCode"], 400);
    }
    assert_eq!(feed.subscribe(json!({ "from": last })).await["statusCode"], 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_retention_has_removed_is_named_by_the_first_entry_that_is_kept() {
    let (folder, first) = tokio::task::spawn_blocking(crate::store::retained_journal).await.unwrap();
    let running = Running::tuned(folder, Keep::InFiles, Set::testland(), Tuning::default(), |_| {}).await;
    let house = House::open(running).await;
    let mut feed = house.line(FIR).await;
    let answer = feed.subscribe(json!({ "from": 0 })).await;
    assert_eq!((&answer["statusCode"], &answer["firstSequence"]), (&json!(410), &json!(first)), "{answer}");
    assert!(answer["remedy"].as_str().unwrap().contains("firstSequence"));
    assert_eq!(feed.subscribe(json!({ "from": first - 1 })).await["statusCode"], 200);
    assert_eq!(feed.subscribe(json!({})).await["statusCode"], 200);
}

// --- rate, and who is slow ---

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_folds_entries_into_one_event_that_names_each_of_them() {
    let house = House::start().await;
    let mut feed = house.line(FIR).await;
    let answer = feed.subscribe(json!({ "from": 0, "maxRate": 0.5 })).await;
    assert_eq!(answer["maxRate"], 0.5);
    let mut seat = house.seated(FIR).await;
    let contact = house.call("a", "fire in the kitchen").await;
    seat.happened("arrived", &contact).await;
    seat.done("take", &contact, "civil_defence", json!({})).await;
    seat.done("note", &contact, "", json!({ "text": "one" })).await;
    seat.done("note", &contact, "", json!({ "text": "two" })).await;
    let all = house.entries_about_contacts();
    feed.through(*all.last().unwrap()).await;
    assert_eq!(feed.told, all, "no entry is lost");
    let folded = feed.events.iter().find(|event| event["najda"]["changes"].as_array().unwrap().len() > 1).expect("an event of several");
    assert_eq!(folded["notification"].as_array().unwrap().len(), 1, "one document, the newest: {folded}");
    let last = feed.events.back().unwrap();
    assert_eq!(contact_in(&last["notification"][0], &contact)["notes"].as_array().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_who_does_not_acknowledge_is_told_so_and_goes_on_later_where_he_was() {
    let running = Running::start(Keep::InFiles, Set::testland()).await;
    let house = House::with(running, |config| config.ack_wait = Duration::from_millis(300)).await;
    let mut feed = house.line(FIR).await;
    feed.subscribe(json!({ "from": 0 })).await;
    feed.acknowledges = false;
    for number in 0..100 {
        house.call(&format!("a{number}"), "fire").await;
    }
    let end = feed.until("terminate").await;
    assert!(end["reason"].as_str().unwrap().contains("acknowledged"), "{end}");
    assert_eq!(end["lastSequence"].as_u64(), feed.last);
    assert!(feed.events.len() <= najda::limits::FEED_WINDOW_MAX, "sending stops: {}", feed.events.len());
    feed.acknowledges = true;
    feed.subscribe(json!({ "from": feed.last })).await;
    let all = house.entries_about_contacts();
    feed.through(*all.last().unwrap()).await;
    assert_eq!(feed.told, all);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_ends_when_it_is_told_to_or_has_expired_and_lasts_on_when_it_is_renewed() {
    let house = House::start().await;
    let mut feed = house.subscribed(FIR).await;
    let id = feed.subscription.clone();
    feed.say(json!({ "unsubscribe": { "requestId": "u", "subscriptionId": "another" } })).await;
    assert_eq!(feed.until("unsubscribeResponse").await["statusCode"], 404);
    feed.say(json!({ "subscribe": { "requestId": "s", "subscriptionId": "another" } })).await;
    assert_eq!(feed.until("subscribeResponse").await["statusCode"], 404);
    feed.say(json!({ "subscribe": { "requestId": "s", "subscriptionId": id, "expires": 3_600 } })).await;
    let renewed = feed.until("subscribeResponse").await;
    assert_eq!((&renewed["statusCode"], &renewed["subscriptionId"], &renewed["expires"]), (&json!(200), &json!(id), &json!(3600.0)));
    feed.say(json!({ "unsubscribe": { "requestId": "u", "subscriptionId": id } })).await;
    let answer = feed.until("unsubscribeResponse").await;
    assert_eq!((&answer["statusCode"], &answer["requestId"]), (&json!(200), &json!("u")));
    house.call("a", "fire").await;
    let answer = feed.subscribe(json!({ "expires": 1 })).await;
    assert_eq!(answer["statusCode"], 200);
    assert!(feed.told.is_empty(), "nothing came after the end");
    assert_eq!(feed.until("terminate").await["reason"], "expired");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_line_says_that_it_lives_as_often_as_it_was_asked_to() {
    let house = House::start().await;
    let mut feed = house.line(FIR).await;
    feed.subscribe(json!({ "minRate": 1 })).await;
    for _ in 0..3 {
        let event = feed.until("event").await;
        assert!(event["notification"].as_array().unwrap().is_empty(), "{event}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_incident_can_be_followed_until_it_is_over() {
    let house = House::start().await;
    let mut feed = house.seated(FIR).await;
    let (mine, other) = (house.call("a", "fire in the kitchen").await, house.call_at("b", "flood in the cellar", 0.80, 0.30).await);
    let incident = feed.happened("arrived", &mine).await["notification"][0]["incidentComponent"]["$id"].clone();
    let mut one = house.line(FIR).await;
    let nowhere = one.subscribe(json!({ "requestSubType": "single", "incidentId": "0-999999" })).await;
    assert_eq!(nowhere["statusCode"], 404, "{nowhere}");
    one.subscribe(json!({ "requestSubType": "single", "incidentId": incident })).await;
    feed.done("note", &mine, "", json!({ "text": "second floor" })).await;
    one.happened("noted", &mine).await;
    assert!(!state_of(&mut one).contains(&other));
    for wrong in [
        json!({ "requestSubType": "single" }),
        json!({ "requestSubType": "new", "incidentId": incident }),
        json!({ "requestSubType": "all" }),
        json!({ "incidentId": "12" }),
        json!({ "maxRate": -1 }),
    ] {
        assert_eq!(one.subscribe(wrong.clone()).await["statusCode"], 400, "{wrong}");
    }
    assert_eq!(one.subscribe(json!({ "qualFilter": "x" })).await["statusCode"], 501);
}

// --- who sees what ---

#[tokio::test(flavor = "multi_thread")]
async fn only_a_seat_comes_in_and_what_is_another_rooms_is_not_seen() {
    let house = House::start().await;
    let refused = Feed::connect(&house.running, house.addr(), "gateway/g1").await.err();
    assert!(matches!(&refused, Some(Error::Http(answer)) if answer.status() == 403), "{refused:?}");
    let nobody = rustls::ClientConfig::builder_with_provider(najda::client::transport::provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(house.running.certs.server().unwrap().roots().unwrap())
        .with_no_client_auth();
    let refused = Feed::over(house.addr(), nobody).await.err();
    assert!(matches!(&refused, Some(Error::Http(answer)) if answer.status() == 401), "{refused:?}");

    house.more_roles(&[ISL.to_owned()]);
    let (mut fire, mut island) = (house.subscribed(FIR).await, house.subscribed(ISL).await);
    let contact = house.call("a", "fire in the kitchen").await;
    fire.happened("arrived", &contact).await;
    let of_island = house.call_at("b", "burglar in the house", 0.60, 1.35).await;
    island.happened("arrived", &of_island).await;
    assert_eq!(island.told.len(), 1, "the island is told of its own only");
    assert!(!state_of(&mut island).contains(&contact));
    let command = island.command(json!({ "action": "note", "contact": contact, "text": "hello" })).await;
    assert_eq!(command["statusCode"], 404, "nor does it learn that there is one: {command}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tests_are_for_test_seats_and_what_is_real_is_not() {
    let house = House::start().await;
    house.more_roles(&["load-test/console/TL-CAP-FIR/t".to_owned()]);
    let (mut live, mut test) = (house.subscribed(FIR).await, house.seated("load-test/console/TL-CAP-FIR/t").await);
    let body = json!({ "id": "t", "lat": 0.72, "lon": 0.45, "text": "fire" }).to_string();
    let (status, answer) = crate::running::post(&house.running.as_role("load-test/gateway/lt"), &body).await;
    assert_eq!(status, 201, "{answer}");
    let drill = answer["contact"].as_str().unwrap().to_owned();
    test.happened("arrived", &drill).await;
    let real = house.call("a", "fire in the kitchen").await;
    live.happened("arrived", &real).await;
    let (seen, drilled) = (state_of(&mut live), state_of(&mut test));
    assert!(!seen.contains(&drill) && !drilled.contains(&real), "{seen:?} {drilled:?}");
    let answer = house.rest(FIR).get(&format!("/feed/v1/contacts/{drill}")).await.unwrap();
    assert_eq!(answer.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_messages_are_refused_and_cost_the_line_nothing_but_those_that_are_no_text() {
    let house = House::start().await;
    let mut feed = house.subscribed(FIR).await;
    let deep = "[".repeat(5_000);
    for nonsense in [
        "",
        "{",
        "[]",
        "{}",
        "null",
        r#"{"event":{}}"#,
        r#"{"subscribe":1}"#,
        r#"{"subscribe":{},"command":{}}"#,
        r#"{"command":{"contact":7}}"#,
        &deep,
    ] {
        feed.send(Message::text(nonsense)).await;
        let error = feed.until("error").await;
        assert_eq!(error["statusCode"], 400, "{nonsense}");
        assert!(!error["error"].as_str().unwrap().is_empty() && error["remedy"].as_str().unwrap().contains("subscribe"));
    }
    feed.say(json!({ "eventResponse": { "transactionId": "nobody's", "statusCode": 500 } })).await;
    feed.say(json!({ "terminateResponse": { "anything": [1, 2] } })).await;
    let long = "x".repeat(1_000);
    let answer = feed.command(json!({ "action": long })).await;
    assert!(answer["statusText"].as_str().unwrap().len() < 100, "{answer}");
    feed.send(Message::binary(vec![1, 2, 3])).await;
    while feed.read().await.is_some() {}
    let mut feed = house.subscribed(FIR).await;
    feed.send(Message::text("x".repeat(20_000))).await;
    while feed.read().await.is_some() {}
}
