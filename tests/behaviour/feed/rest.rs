//! The feed by single requests, and the document that describes them.

use najda::client::http::HttpAnswer;
use najda::deliver::{Duty, Fact};
use serde_json::{Value, json};

use super::{FIR, House, ISL, POL, share_in};
use crate::running::{Keep, Running, Set, read};

async fn ask(house: &House, role: &str, path: &str) -> (u16, Value) {
    read(house.rest(role).get(path).await.unwrap())
}

async fn tell(house: &House, role: &str, path: &str, body: Value) -> (u16, Value) {
    read(house.rest(role).post(path, "application/json", body.to_string()).await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_is_read_taken_accepted_and_closed_by_single_requests() {
    let house = House::start().await;
    let mut feed = house.subscribed(FIR).await;
    let contact = house.call("a", "fire in the kitchen").await;
    feed.happened("arrived", &contact).await;
    let (status, state) = ask(&house, FIR, &format!("/feed/v1/contacts/{contact}")).await;
    assert_eq!((status, &share_in(&state, "civil_defence")["state"]), (200, &json!("waiting")), "{state}");
    let share = format!("/feed/v1/contacts/{contact}/civil_defence");
    let early = tell(&house, FIR, &format!("{share}/accept"), json!({})).await;
    assert_eq!(early.0, 409, "{early:?}");
    let (status, taken) = tell(&house, FIR, &format!("{share}/take"), json!({})).await;
    assert_eq!((status, &taken["done"]), (200, &json!(true)), "{taken}");
    assert_eq!(share_in(&taken["contact"], "civil_defence")["held_by"]["seat"], "1");
    assert_eq!(tell(&house, FIR, &format!("/feed/v1/contacts/{contact}/notes"), json!({ "text": "gas" })).await.0, 200);
    assert_eq!(tell(&house, FIR, &format!("{share}/accept"), json!({})).await.0, 200);
    let (status, closed) = tell(&house, FIR, &format!("{share}/close"), json!({ "reason": "put out" })).await;
    assert_eq!((status, &share_in(&closed["contact"], "civil_defence")["state"]), (200, &json!("closed")), "{closed}");
    let reads = house.facts().into_iter().filter(|(_, fact)| match fact {
        Fact::Read { contact: read, by, duty, .. } => {
            read.to_string() == contact && (by.dispatcher.as_str(), *duty) == ("TL-CAP-FIR", Duty::System)
        }
        _ => false,
    });
    assert_eq!(reads.count(), 1, "what a system reads is on record, once");
    // What was done by requests is told as events.
    let event = feed.happened("closed", &contact).await;
    assert_eq!(event["najda"]["changes"][0]["sequence"], closed["sequence"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn incidents_come_in_pages_and_only_those_of_the_room() {
    let house = House::start().await;
    let mut feed = house.subscribed(FIR).await;
    for number in 0..5 {
        let contact = house.call(&format!("a{number}"), "fire in the kitchen").await;
        feed.happened("arrived", &contact).await;
    }
    let (mut after, mut ids) = (String::new(), Vec::new());
    loop {
        let (status, page) = ask(&house, FIR, &format!("/feed/v1/incidents?limit=2{after}")).await;
        assert_eq!(status, 200, "{page}");
        let incidents = page["incidents"].as_array().unwrap();
        assert!(incidents.len() <= 2);
        ids.extend(incidents.iter().map(|incident| incident["najda"]["incident"].as_str().unwrap().to_owned()));
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert_eq!(ids.len(), 5, "{ids:?}");
    let (status, incident) = ask(&house, FIR, &format!("/feed/v1/incidents/{}", ids[0])).await;
    assert_eq!((status, &incident["najda"]["incident"]), (200, &json!(ids[0])));
    house.more_roles(&[ISL.to_owned()]);
    assert_eq!(ask(&house, ISL, "/feed/v1/incidents").await.1["incidents"], json!([]));
    assert_eq!(ask(&house, ISL, &format!("/feed/v1/incidents/{}", ids[0])).await.0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_answered_with_a_remedy() {
    let house = House::start().await;
    let mut feed = house.subscribed(FIR).await;
    let contact = house.call("a", "fire in the kitchen").await;
    feed.happened("arrived", &contact).await;
    let share = format!("/feed/v1/contacts/{contact}/civil_defence");
    for (role, path, status) in [
        (FIR, "/feed/v1/incidents?limit=0".to_owned(), 400),
        (FIR, "/feed/v1/incidents?after=x".to_owned(), 400),
        (FIR, "/feed/v1/incidents/12".to_owned(), 400),
        (FIR, "/feed/v1/incidents/%ff".to_owned(), 400),
        (FIR, "/feed/v1/incidents/0-999999".to_owned(), 404),
        (FIR, "/feed/v1/contacts/abc".to_owned(), 400),
        (FIR, "/feed/v1/events".to_owned(), 400),
        (FIR, "/feed/v2".to_owned(), 404),
        ("gateway/g1", "/feed/v1/incidents".to_owned(), 403),
        ("ops/sara", format!("/feed/v1/contacts/{contact}"), 403),
    ] {
        let (got, answer) = ask(&house, role, &path).await;
        assert_eq!(got, status, "{path}: {answer}");
        assert!(!answer["error"].as_str().unwrap().is_empty() && !answer["remedy"].as_str().unwrap().is_empty(), "{answer}");
    }
    for (path, body, status) in [
        (format!("{share}/close"), "nonsense".to_owned(), 400),
        (format!("{share}/close"), json!({ "reason": "x".repeat(2_000) }).to_string(), 400),
        (format!("{share}/decline"), json!({}).to_string(), 400),
        (format!("{share}/transfer"), json!({ "to": "TL-SEA", "reason": "x" }).to_string(), 409),
        (format!("{share}/take"), "x".repeat(40_000), 413),
        (format!("/feed/v1/contacts/{contact}/navy/take"), String::new(), 400),
        (format!("/feed/v1/contacts/{contact}/notes"), json!({ "text": "x", "more": 1 }).to_string(), 400),
    ] {
        let (got, answer) = read(house.rest(FIR).post(&path, "application/json", body).await.unwrap());
        assert_eq!(got, status, "{path}: {answer}");
        assert!(!answer["remedy"].as_str().unwrap().is_empty(), "{answer}");
    }
    assert_eq!(house.rest(FIR).post("/feed/v1/incidents", "", "").await.unwrap().status, 405);
}

/// Goal: a command is done only when the journal says so. Method: the disk stands still while a share is taken.
#[tokio::test(flavor = "multi_thread")]
async fn a_take_is_answered_as_pending_while_the_journal_does_not_hold_it() {
    use najda::edge::store::memory::{Fault, MemoryDisk};
    let running = Running::start(Keep::InMemory(MemoryDisk::default()), Set::testland()).await;
    let memory = running.memory.clone().unwrap();
    let house = House::with(running, |config| config.command_wait = std::time::Duration::from_millis(300)).await;
    let mut feed = house.seated(POL).await;
    let contact = house.call("a", "burglar in the house").await;
    feed.happened("arrived", &contact).await;
    memory.inject(Fault::Stall);
    let share = format!("/feed/v1/contacts/{contact}/police");
    let (status, answer) = tell(&house, POL, &format!("{share}/take"), json!({})).await;
    assert_eq!(
        (status, &answer["done"], &share_in(&answer["contact"], "police")["state"]),
        (202, &json!(false), &json!("waiting")),
        "{answer}"
    );
    memory.release();
    feed.happened("taken", &contact).await;
    let (status, answer) = tell(&house, POL, &format!("{share}/take"), json!({})).await;
    assert_eq!((status, &answer["done"]), (200, &json!(true)), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_is_for_anybody_and_names_every_path_that_is_served() {
    let house = House::start().await;
    let HttpAnswer { status, body, .. } = house.rest("gateway/g1").get("/feed/openapi.json").await.unwrap();
    let document: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((status, &document["openapi"]), (200, &json!("3.1.0")));
    assert_eq!(document, najda::edge::feed::openapi::document(), "as `najda feed openapi` prints it");
    let paths = document["paths"].as_object().unwrap();
    assert_eq!(paths.len(), 12);
    for (path, methods) in paths {
        for (method, operation) in methods.as_object().unwrap() {
            let asked = path
                .replace("{incident}", "0-1")
                .replace("{contact}", "00000000-0000-7000-8000-000000000001")
                .replace("{service}", "police");
            let answer = match method.as_str() {
                "get" => house.rest(FIR).get(&asked).await.unwrap(),
                _ => house.rest(FIR).post(&asked, "application/json", r#"{"reason":"x","to":"A","text":"x"}"#).await.unwrap(),
            };
            assert!(operation["responses"].get(answer.status.to_string()).is_some(), "{method} {path} answers {}", answer.status);
            assert_eq!(answer.content_type, "application/json", "{path}");
        }
    }
    // Every reference of the document leads somewhere.
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(document["components"]["schemas"].get(name).is_some(), "{name}");
    }
}
