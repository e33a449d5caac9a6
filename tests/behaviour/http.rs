//! The HTTP door on a loopback socket: real TLS, real certificates, a running engine behind it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::time::Duration;

use najda::edge::store::memory::{Fault, MemoryDisk};
use najda::edge::tls::Role;
use najda::edge::tokens::TOKENS_FILE;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::running::{Keep, Running, Set, WAIT, post, read, until};

async fn in_memory() -> Running {
    Running::start(Keep::InMemory(MemoryDisk::default()), Set::testland()).await
}

const FIRE: &str = r#"{"id":"a-1","lat":0.72,"lon":0.45,"text":"fire"}"#;

// --- contacts ---

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_is_answered_with_its_decision_once_the_journal_holds_it() {
    let running = in_memory().await;
    let (status, answer) = post(&running.app(), FIRE).await;
    assert_eq!((status, &answer["durable"], &answer["duplicate"]), (201, &true.into(), &false.into()), "{answer}");
    assert_eq!((answer["id"].as_str(), answer["area"].as_str()), (Some("a-1"), Some("TL-CAP")));
    assert_eq!(answer["text"], true, "what comes by HTTP is an app's words unless it says otherwise");
    assert_eq!(answer["targets"][0]["dispatcher"], answer["services"][0]["chain"][0]);
    assert_eq!(answer["tables_version"], Set::testland().tables.version.to_string());
    until("the figures tell of it", || running.node.core().figures.load().counters.arrived == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_body_again_is_the_same_contact_and_another_body_under_its_reference_is_not() {
    let running = in_memory().await;
    let app = running.app();
    let (_, first) = post(&app, FIRE).await;
    let (status, again) = post(&app, FIRE).await;
    assert_eq!((status, &again["contact"], &again["duplicate"]), (201, &first["contact"], &true.into()));
    let (status, other) = post(&app, &FIRE.replace("fire", "burglary")).await;
    assert_eq!((status, &other["duplicate"]), (201, &false.into()));
    assert_ne!(other["contact"], first["contact"]);
    // The reference is each gateway's own.
    let (status, others) = post(&running.as_role("gateway/app-1"), FIRE).await;
    assert_eq!((status, &others["duplicate"]), (201, &false.into()));
    let figures = || running.node.core().figures.load().counters;
    until("the figures tell of all", || (figures().arrived, figures().duplicates, figures().keys_reused) == (3, 1, 1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repetition_is_known_after_a_restart_of_the_engine() {
    let running = Running::start(Keep::InFiles, Set::testland()).await;
    let (status, first) = post(&running.app(), FIRE).await;
    assert_eq!(status, 201, "{first}");
    let folder = running.stop().await;
    let running = Running::in_folder(folder, Keep::InFiles, Set::testland(), |_| {}).await;
    let (status, again) = post(&running.app(), FIRE).await;
    assert_eq!((status, &again["contact"], &again["duplicate"]), (201, &first["contact"], &true.into()));
    let (status, other) = post(&running.app(), &FIRE.replace("fire", "smoke")).await;
    assert_eq!((status, &other["duplicate"]), (201, &false.into()), "what the journal holds of another contact is no promise for this one");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_journal_is_slow_a_contact_is_answered_as_not_durable_and_later_it_is() {
    let running = in_memory().await;
    let memory = running.memory.clone().unwrap();
    memory.inject(Fault::Stall);
    let (status, slow) = post(&running.app(), FIRE).await;
    assert_eq!((status, &slow["durable"]), (202, &false.into()), "{slow}");
    assert!(slow["services"].as_array().is_some_and(|services| !services.is_empty()), "the decision does not wait for the disk");
    memory.release();
    let (status, again) = post(&running.app(), FIRE).await;
    assert_eq!((status, &again["durable"], &again["contact"]), (201, &true.into(), &slow["contact"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_of_arrival_and_the_sender_are_ours_to_say() {
    let running = in_memory().await;
    let body = r#"{"id":"a","text":"fire","now":"1999-12-31T23:59:59Z","gateway":"somebody"}"#;
    assert_eq!(post(&running.as_role("load-test/gateway/lt"), body).await.0, 201);
    // A load test's contact with nobody at a test desk is sunk: it was marked by its certificate.
    until("the test is sunk", || running.node.core().figures.load().counters.tests_sunk == 1).await;
    let page = running.node.store().read(najda::store::Partition::default(), 1, 100).unwrap();
    let facts = page.entries.iter().map(|entry| najda::wire::frame::decode_fact(&entry.bytes).unwrap());
    let arrived: Vec<_> =
        facts.filter_map(|fact| if let najda::deliver::Fact::Arrived { contact, .. } = fact { Some(contact) } else { None }).collect();
    let [contact] = arrived.as_slice() else { panic!("one contact") };
    assert!(contact.received.unix_micros > 1_600_000_000_000_000);
    assert_eq!((contact.key.gateway.as_str(), contact.trunk.map(|trunk| trunk.to_string())), ("http/lt", Some("lt".into())));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_no_contact_is_refused_with_a_remedy_and_costs_nothing() {
    let running = in_memory().await;
    let app = running.app();
    for body in ["", "fire", "[]", "{}", r#"{"id":""}"#, "{\"id\":1", &format!(r#"{{"id":"{}"}}"#, "x".repeat(65))] {
        let (status, answer) = post(&app, body).await;
        assert_eq!(status, 400, "{body}");
        assert!(!answer["error"].as_str().unwrap().is_empty() && !answer["remedy"].as_str().unwrap().is_empty());
    }
    // A sender that still writes hears the answer, and not a line that closes.
    for bytes in [70_000, 700_000] {
        let long = format!(r#"{{"id":"a","text":"{}"}}"#, "x".repeat(bytes));
        assert_eq!(read(app.post("/v1/contacts", "application/json", long).await.unwrap()).0, 413, "{bytes}");
    }
    assert_eq!(read(app.post("/v2/contacts", "", "").await.unwrap()).0, 404);
    assert_eq!(app.get("/v1/contacts").await.unwrap().status, 405);
    assert_eq!(running.node.core().figures.load().counters.arrived, 0);
    assert_eq!(running.door.counters().malformed.load(Ordering::Relaxed), 7);
}

// --- who ---

#[tokio::test(flavor = "multi_thread")]
async fn everybody_may_do_what_the_certificate_or_token_says_and_nothing_else() {
    let running = in_memory().await;
    let (app, nobody, guess) = (running.app(), running.with_token(None), running.with_token(Some("guess")));
    let [gateway, console, ops] = ["gateway/app-1", "console/TL-CAP-POL/1", "ops/sara"].map(|role| running.as_role(role));
    for (who, contacts, tables, metrics) in [
        ("app", 201, 403, 403),
        ("nobody", 401, 401, 401),
        ("guess", 401, 401, 401),
        ("gateway", 201, 403, 403),
        ("console", 403, 403, 403),
        ("ops", 403, 422, 200),
    ] {
        let client = match who {
            "app" => &app,
            "nobody" => &nobody,
            "guess" => &guess,
            "gateway" => &gateway,
            "console" => &console,
            _ => &ops,
        };
        assert_eq!(post(client, FIRE).await.0, contacts, "{who}");
        assert_eq!(client.post("/v1/tables", "", "nothing").await.unwrap().status, tables, "{who}");
        assert_eq!(
            client.post("/v1/dispatchers/TL-CAP-POL/state", "", "x").await.unwrap().status,
            if who == "ops" { 400 } else { tables },
            "{who}"
        );
        assert_eq!(client.get("/metrics").await.unwrap().status, metrics, "{who}");
        assert_eq!(client.get("/livez").await.unwrap().status, 200, "{who}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_another_authority_is_not_let_in() {
    let running = in_memory().await;
    let other = tempfile::tempdir().unwrap();
    let role = Role::parse("gateway/g1").unwrap();
    let mut identity = najda::edge::certs::DevCerts::make(other.path(), &[role]).unwrap().identity(&role).unwrap();
    identity.authority = running.certs.server().unwrap().authority;
    let client = najda::client::http::HttpClient::with_certificate(&running.base(), &identity).unwrap();
    assert!(client.get("/livez").await.is_err());
    until("it is counted", || running.door.counters().handshakes_failed.load(Ordering::Relaxed) == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_taken_out_of_the_file_opens_nothing_any_more() {
    let running = in_memory().await;
    let app = running.app();
    assert_eq!(post(&app, FIRE).await.0, 201);
    let path = running.certs.folder.join(TOKENS_FILE);
    std::fs::write(&path, "[[token]]\nsha256 = 1").unwrap();
    assert!(running.door.reload_tokens().is_err());
    assert_eq!(post(&app, FIRE).await.0, 201, "a file that cannot be read changes nothing");
    std::fs::write(&path, "").unwrap();
    assert_eq!(running.door.reload_tokens().unwrap(), 0);
    assert_eq!(post(&app, FIRE).await.0, 401);
}

// --- bounds ---

#[tokio::test(flavor = "multi_thread")]
async fn beyond_the_bound_a_known_caller_is_served_without_waiting_and_a_stranger_hears_429() {
    let running = Running::with(Keep::InMemory(MemoryDisk::default()), Set::testland(), |config| config.requests_max = 0).await;
    let (status, answer) = post(&running.app(), FIRE).await;
    assert_eq!((status, &answer["durable"]), (202, &false.into()));
    assert!(answer["services"].as_array().is_some_and(|services| !services.is_empty()));
    until("it reached the engine", || running.node.core().figures.load().counters.arrived == 1).await;
    assert_eq!(post(&running.with_token(None), FIRE).await.0, 429);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_place_left_for_strangers_a_certificate_still_finds_one() {
    let running = Running::with(Keep::InMemory(MemoryDisk::default()), Set::testland(), |config| config.strangers_max = 0).await;
    assert!(running.with_token(None).get("/livez").await.is_err());
    assert_eq!(post(&running.as_role("gateway/app-1"), FIRE).await.0, 201);
}

/// Goal: nobody holds a place by saying nothing. Method: wait for the engine to end the connection.
#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_does_not_finish_its_head_or_body_is_sent_away() {
    let running = Running::with(Keep::InMemory(MemoryDisk::default()), Set::testland(), |config| {
        config.head_wait = Duration::from_millis(100);
        config.body_wait = Duration::from_millis(100);
        config.handshake_wait = Duration::from_millis(500);
    })
    .await;
    let addr = running.door.local_addr();
    // Says nothing at all.
    let mut silent = TcpStream::connect(addr).await.unwrap();
    let mut bytes = Vec::new();
    let ended = timeout(WAIT, silent.read_to_end(&mut bytes)).await.expect("the handshake has an end");
    assert!(ended.is_err() || bytes.len() < 16);
    // Begins a head, and a body.
    let token = running.dev_token();
    let body = format!("POST /v1/contacts HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-length: 10\r\n\r\n{{");
    for (said, answered) in [("GET /livez HTTP/1.1\r\nhost:", ""), (&body, "408")] {
        let mut stream = tls_stream(&running).await;
        stream.write_all(said.as_bytes()).await.unwrap();
        let mut heard = Vec::new();
        let _ = timeout(WAIT, stream.read_to_end(&mut heard)).await.expect("the connection has an end");
        let heard = String::from_utf8_lossy(&heard).into_owned();
        assert!(heard.contains(answered) && !heard.contains("200 OK"), "{heard}");
    }
}

async fn tls_stream(running: &Running) -> tokio_rustls::client::TlsStream<TcpStream> {
    let config = rustls::ClientConfig::builder_with_provider(najda::client::transport::provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(running.certs.server().unwrap().roots().unwrap())
        .with_no_client_auth();
    let stream = TcpStream::connect(running.door.local_addr()).await.unwrap();
    let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
    connector.connect("localhost".try_into().unwrap(), stream).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_callers_at_once_are_each_told_about_their_own_contact() {
    let running = in_memory().await;
    let app = running.app();
    let asked: Vec<_> = (0..100)
        .map(|n| {
            let app = app.clone();
            tokio::spawn(async move { (n, post(&app, &FIRE.replace("a-1", &format!("c-{n}"))).await) })
        })
        .collect();
    let mut ids = BTreeSet::new();
    for one in asked {
        let (n, (status, answer)) = one.await.unwrap();
        assert_eq!((status, answer["id"].as_str()), (201, Some(format!("c-{n}").as_str())));
        ids.insert(answer["contact"].as_str().unwrap().to_owned());
    }
    assert_eq!((ids.len(), running.node.core().figures.load().counters.arrived), (100, 100));
}

// --- states, health, metrics ---

#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_ops_set_changes_who_is_asked_and_not_who_is_responsible() {
    let running = in_memory().await;
    let (app, ops) = (running.app(), running.as_role("ops/sara"));
    let (_, before) = post(&app, FIRE).await;
    let lead = before["services"][0]["dispatcher"].as_str().unwrap().to_owned();
    assert_eq!(before["services"][0]["chain"][0], lead.as_str());
    let path = format!("/v1/dispatchers/{lead}/state");
    let (status, set) = read(ops.post(&path, "application/json", r#"{"state":"unreachable"}"#).await.unwrap());
    assert_eq!((status, &set["state"], &set["dispatcher"]), (200, &"unreachable".into(), &lead.as_str().into()), "{set}");
    let (_, after) = post(&app, &FIRE.replace("a-1", "a-2")).await;
    assert_eq!(after["services"][0]["dispatcher"], lead.as_str());
    assert_ne!(after["services"][0]["chain"][0], lead.as_str(), "{after}");
    for (path, body, status) in [
        ("/v1/dispatchers/NOBODY/state", r#"{"state":"full"}"#, 404),
        (path.as_str(), r#"{"state":"asleep"}"#, 400),
        (path.as_str(), r#"{"state":"full","until":1}"#, 400),
    ] {
        let (got, answer) = read(ops.post(path, "", body).await.unwrap());
        assert_eq!(got, status, "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_whose_journal_cannot_be_written_is_live_and_not_ready_and_says_why() {
    let running = in_memory().await;
    let nobody = running.with_token(None);
    until("the engine ticks", || running.node.core().figures.load().at.unix_micros > 0).await;
    let ready = nobody.get("/readyz").await.unwrap();
    assert_eq!((ready.status, &ready.body[..]), (200, &b"ready\n"[..]));
    running.memory.as_ref().unwrap().inject(Fault::Fail { write_count: 1 });
    assert_eq!(post(&running.app(), FIRE).await.0, 202);
    let unready = nobody.get("/readyz").await.unwrap();
    let why = String::from_utf8_lossy(&unready.body).into_owned();
    assert!(unready.status == 503 && why.contains("the journal cannot be written"), "{why}");
    assert_eq!(nobody.get("/livez").await.unwrap().status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_openmetrics_and_count_what_happened() {
    let running = in_memory().await;
    assert_eq!(post(&running.app(), FIRE).await.0, 201);
    until("figures are written", || running.node.core().figures.load().counters.promises_kept > 0).await;
    let answer = running.as_role("ops/sara").get("/metrics").await.unwrap();
    assert_eq!((answer.status, answer.content_type.as_str()), (200, najda::edge::metrics::CONTENT_TYPE));
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    let samples = check_openmetrics(&text);
    for (sample, value) in [
        ("najda_engine_arrived_total", "1"),
        ("najda_door_contacts_total{door=\"http\"}", "1"),
        ("najda_door_contacts_total{door=\"quic\"}", "0"),
        ("najda_decide_seconds_count", "1"),
        ("najda_durable_seconds_count", "1"),
        ("najda_durable_seconds_bucket{le=\"+Inf\"}", "1"),
        ("najda_store_writing", "1"),
        ("najda_live_contacts", "1"),
    ] {
        assert_eq!(samples.get(sample).map(String::as_str), Some(value), "{sample}");
    }
    let version = Set::testland().tables.version;
    assert!(samples.contains_key(&format!("najda_tables_info{{name=\"testland\",version=\"{version}\"}}")));
}

/// What a reader of OpenMetrics insists on: a type before its samples, the suffix that belongs to it, no sample twice, an end.
fn check_openmetrics(text: &str) -> BTreeMap<String, String> {
    let (mut samples, mut families, mut current) = (BTreeMap::new(), BTreeSet::new(), (String::new(), String::new()));
    let body = text.strip_suffix("# EOF\n").expect("the end is marked");
    for line in body.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (family, kind) = rest.split_once(' ').unwrap();
            assert!(families.insert(family.to_owned()), "{family} comes twice");
            current = (family.to_owned(), kind.to_owned());
        } else if !line.starts_with("# HELP ") {
            let (sample, value) = line.rsplit_once(' ').unwrap();
            let name = sample.split('{').next().unwrap();
            let suffix = name.strip_prefix(&current.0).unwrap_or_else(|| panic!("{line} is not of {}", current.0));
            let fits = match current.1.as_str() {
                "counter" => suffix == "_total",
                "gauge" => suffix.is_empty(),
                "info" => suffix == "_info",
                "histogram" => ["_bucket", "_count", "_sum"].contains(&suffix),
                other => panic!("{other} is no type of ours"),
            };
            assert!(fits && value.parse::<f64>().is_ok(), "{line}");
            assert!(samples.insert(sample.to_owned(), value.to_owned()).is_none(), "{sample} comes twice");
        }
    }
    samples
}
