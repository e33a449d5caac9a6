//! New tables in a running engine: swapped under load, refused when they are not fit, in force again after a restart.

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use clap::Parser;
use najda::contact::{Contact, ContactKey, Door, LocationClaim, Place, Signal, Whose};
use najda::decision::DecisionRecord;
use najda::deliver::{GatewayHears, Target};
use najda::edge::store::memory::MemoryDisk;
use najda::geo::point::Point;
use najda::tables::snapshot::Tables;
use najda::tables::source::Files;
use najda::units::{ContactId, Ppm, TablesVersion, Timestamp};

use crate::running::{Keep, Running, Set, heard, name, post, read, testland, until};

/// The invented country with every room called otherwise: no decision of one set can be taken for one of the other.
fn renamed() -> Files {
    let ids: Vec<String> = Set::testland().tables.dispatchers.rows.iter().map(|row| row.id.to_string()).collect();
    let mut files = testland();
    for (file, bytes) in files.iter_mut().filter(|(file, _)| file.ends_with(".csv") && !file.contains('/')) {
        let text = String::from_utf8(bytes.clone()).unwrap();
        let renamed: String =
            split_words(&text).map(|word| if ids.iter().any(|id| id == word) { format!("X{word}") } else { word.to_owned() }).collect();
        assert!(file != "dispatchers.csv" || renamed != text);
        *bytes = renamed.replace("sip:", "sip:x-").into_bytes();
    }
    files
}

/// Words of letters, digits and hyphens, and what stands between them.
fn split_words(text: &str) -> impl Iterator<Item = &str> {
    let part = |c: char| c.is_ascii_alphanumeric() || c == '-';
    text.split_inclusive(move |c| !part(c)).flat_map(move |piece| {
        let end = piece.char_indices().last().filter(|(_, c)| !part(*c)).map_or(piece.len(), |(at, _)| at);
        [&piece[..end], &piece[end..]]
    })
}

/// A pack without one of its areas.
fn without_islands() -> Files {
    let mut files = testland();
    for (file, bytes) in &mut files {
        if file.ends_with(".csv") && !file.contains('/') {
            // Rooms that serve other areas as well stay, for those.
            let text = String::from_utf8(bytes.clone()).unwrap().replace(" TL-ISL", "");
            let kept: Vec<&str> = text.lines().filter(|line| !line.contains("TL-ISL")).collect();
            *bytes = (kept.join("\n") + "\n").into_bytes();
        } else if file.ends_with(".geojson") {
            let mut value: serde_json::Value = serde_json::from_slice(bytes).unwrap();
            let features = value["features"].as_array_mut().unwrap();
            features.retain(|feature| feature["properties"]["area"] != "TL-ISL");
            *bytes = serde_json::to_vec(&value).unwrap();
        }
    }
    files
}

// --- under load ---

/// Places all over the country, with and without words.
fn contact(n: u64) -> Contact {
    const WORDS: [&str; 4] = ["fire", "burglary", "", "my father does not breathe"];
    let key = ContactKey { gateway: name("g1"), gateway_ref: format!("c-{n}").into() };
    let mut contact = Contact::new(ContactId(0), key, Timestamp::default(), if n.is_multiple_of(2) { Door::Sms } else { Door::SipVoice });
    let (lat, lon) = (0.45 + (n % 13) as f64 * 0.04, 0.30 + (n % 17) as f64 * 0.05);
    if n % 5 != 4 {
        contact.claims.push(LocationClaim {
            whose: Whose::Caller,
            place: Place::point(Point::from_degrees(lat, lon).unwrap()),
            source: najda::contact::ClaimSource::DeviceFix,
            age_secs: 0,
            confidence: Ppm(950_000),
        });
    }
    let words = WORDS[(n % 4) as usize];
    if !words.is_empty() {
        contact.signals.push(Signal::Words(words.into()));
    }
    contact
}

/// A set as a decision can be held against it.
struct Known {
    version: TablesVersion,
    rooms: BTreeSet<String>,
    uris: BTreeSet<String>,
}

impl Known {
    fn of(tables: &Tables) -> Self {
        let rows = &tables.dispatchers.rows;
        Self {
            version: tables.version,
            rooms: rows.iter().map(|row| row.id.to_string()).collect(),
            uris: rows.iter().map(|row| row.uri.to_string()).collect(),
        }
    }

    /// Everything in the decision is of this set.
    fn check(&self, decision: &DecisionRecord, targets: &[Target]) {
        assert!(!decision.services.is_empty());
        for assigned in &decision.services {
            let rooms = assigned.chain.iter().chain([&assigned.dispatcher]);
            rooms.for_each(|room| assert!(self.rooms.contains(room.as_str()), "{room} in {decision:?}"));
        }
        for neighbour in &decision.neighbours {
            assert!(self.rooms.contains(neighbour.dispatcher.as_str()), "{decision:?}");
        }
        assert!(!targets.is_empty());
        for target in targets {
            assert!(self.rooms.contains(target.dispatcher.as_str()) && self.uris.contains(&*target.uri), "{targets:?}");
        }
    }
}

/// Contacts on their way at once.
const IN_FLIGHT: u64 = 200;
const SWAPS: u64 = 1_000;
const CONTACTS_MIN: u64 = 2_000;

/// Goal: a publication costs no contact and no decision sees two sets. Method: two sets that share no room change places a thousand
/// times while contacts stream in.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_swaps_under_load_lose_no_contact_and_mix_no_decision() {
    let (one, other) = (Set::testland(), Set::of(&renamed()));
    let known = [Known::of(&one.tables), Known::of(&other.tables)];
    assert!(known[0].rooms.is_disjoint(&known[1].rooms) && known[0].uris.is_disjoint(&known[1].uris));
    let running = Running::start(Keep::InFiles, one.clone()).await;
    let (client, mut hears) = running.gateway("gateway/g1").await;

    let swapped = Arc::new(AtomicBool::new(false));
    let publishing = tokio::task::spawn_blocking({
        let (core, store, swapped) = (Arc::clone(running.node.core()), Arc::clone(running.node.store()), Arc::clone(&swapped));
        move || {
            let mut last = 0;
            for n in 0..SWAPS {
                let set = if n % 2 == 0 { &other } else { &one };
                let number = core.publish(&*store, Arc::clone(&set.tables), &set.bytes, name("ops/test")).unwrap();
                assert!(number > last, "the snapshots' numbers rise");
                last = number;
            }
            swapped.store(true, Ordering::Release);
        }
    });
    let confirmed = Arc::new(AtomicU64::new(0));
    let sending = tokio::spawn({
        let (swapped, confirmed) = (Arc::clone(&swapped), Arc::clone(&confirmed));
        async move {
            let mut sent = 0;
            while sent < CONTACTS_MIN || !swapped.load(Ordering::Acquire) {
                if sent - confirmed.load(Ordering::Acquire) >= IN_FLIGHT {
                    tokio::task::yield_now().await;
                    continue;
                }
                client.send(contact(sent)).await.unwrap();
                sent += 1;
            }
            (client, sent)
        }
    });

    let (mut answered, mut durable, mut of_other) = (BTreeSet::new(), BTreeSet::new(), 0_u64);
    let mut sent = None;
    tokio::pin!(sending);
    while sent.as_ref().is_none_or(|(_, sent): &(_, u64)| (durable.len() as u64) < *sent) {
        let hears = tokio::select! {
            hears = heard(&mut hears) => hears,
            done = &mut sending, if sent.is_none() => {
                sent = Some(done.unwrap());
                continue;
            }
        };
        match hears {
            GatewayHears::Targets { key, targets, decision, .. } => {
                assert!(answered.insert(key.gateway_ref.clone()), "answered twice");
                let set = known.iter().position(|known| known.version == decision.tables).expect("one of the two sets");
                known[set].check(&decision, &targets);
                of_other += set as u64;
            }
            GatewayHears::Durable { key, .. } => {
                assert!(answered.contains(&key.gateway_ref), "answered before it is durable");
                assert!(durable.insert(key.gateway_ref), "promised twice");
                confirmed.store(durable.len() as u64, Ordering::Release);
            }
            GatewayHears::Overdue { .. } | GatewayHears::Moved { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    publishing.await.unwrap();
    let (client, sent) = sent.unwrap();
    assert_eq!((answered.len() as u64, durable.len() as u64), (sent, sent));
    assert!(of_other > 0 && of_other < sent, "both sets decided");
    assert_eq!(client.close(crate::running::WAIT).await.len(), 0);
    crate::running::until("the figures tell of all", || running.node.core().figures.load().counters.arrived == sent).await;
    eprintln!("{sent} contacts during {SWAPS} swaps, {of_other} of them under the other set");
    running.stop().await;
}

// --- what is refused ---

#[tokio::test(flavor = "multi_thread")]
async fn a_defective_set_is_refused_and_the_old_one_keeps_serving() {
    let running = Running::start(Keep::InMemory(MemoryDisk::default()), Set::testland()).await;
    let (ops, old) = (running.as_role("ops/sara"), Set::testland());
    let mut flipped = Set::of(&renamed()).bytes;
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    let cut = &old.bytes[..old.bytes.len() - 4];
    for (bytes, says) in [(&b"{}"[..], "NAJDATBL"), (&flipped, "hash"), (cut, "ends early")] {
        let (status, answer) = read(ops.post("/v1/tables", "", bytes.to_vec()).await.unwrap());
        let error = answer["error"].as_str().unwrap().to_owned();
        assert!(status == 422 && error.contains(says) && error.contains("keeps serving"), "{status} {error}");
    }
    let (status, answer) = post(&running.app(), r#"{"id":"a","text":"fire"}"#).await;
    assert_eq!((status, answer["tables_version"].as_str()), (201, Some(old.tables.version.to_string().as_str())));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_without_an_area_that_is_served_needs_force() {
    let running = Running::start(Keep::InMemory(MemoryDisk::default()), Set::testland()).await;
    let (ops, smaller) = (running.as_role("ops/sara"), Set::of(&without_islands()));
    let (status, answer) = read(ops.post("/v1/tables", "", smaller.bytes.clone()).await.unwrap());
    assert!(status == 422 && answer["error"].as_str().unwrap().contains("TL-ISL"), "{answer}");
    assert_eq!(running.node.core().snapshot().tables.version, Set::testland().tables.version);
    let (status, answer) = read(ops.post("/v1/tables?force=true", "", smaller.bytes.clone()).await.unwrap());
    assert_eq!((status, answer["unchanged"].as_bool()), (200, Some(false)), "{answer}");
    assert_eq!(running.node.core().snapshot().tables.version, smaller.tables.version);
    // Its areas are all in the larger set, and publishing what is in force changes nothing.
    let number = running.node.core().snapshot().number;
    let (status, answer) = read(ops.post("/v1/tables", "", smaller.bytes).await.unwrap());
    assert_eq!((status, answer["unchanged"].as_bool(), answer["snapshot"].as_u64()), (200, Some(true), Some(number)));
    assert_eq!(read(ops.post("/v1/tables", "", Set::testland().bytes).await.unwrap()).0, 200);
}

// --- the command ---

async fn najda(args: &[&str]) -> anyhow::Result<ExitCode> {
    let args: Vec<String> = std::iter::once("najda").chain(args.iter().copied()).map(str::to_owned).collect();
    // The command has a runtime of its own.
    tokio::task::spawn_blocking(move || najda::cli::run(najda::cli::Cli::try_parse_from(args)?)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_publishes_a_folder_and_the_set_is_in_force_after_a_restart() {
    let running = Running::start(Keep::InFiles, Set::testland()).await;
    let pack = running.folder.path().join("pack");
    najda::edge::tables::write_folder(&pack, &renamed()).unwrap();
    let (pack, certs, base) = (pack.display().to_string(), running.certs.folder.display().to_string(), running.base());
    let publish = ["tables", "publish", &pack, "--to", &base, "--certs", &certs, "--as", "ops/sara"];
    assert_eq!(najda(&publish).await.unwrap(), ExitCode::SUCCESS);
    let version = Set::of(&renamed()).tables.version;
    assert_eq!(running.node.core().snapshot().tables.version, version);

    // The rooms are called otherwise now.
    let state = |room| ["tables", "state", room, "full", "--to", &base, "--certs", &certs, "--as", "ops/sara"];
    assert_eq!(najda(&state("TL-CAP-POL")).await.unwrap(), ExitCode::FAILURE);
    assert_eq!(najda(&state("XTL-CAP-POL")).await.unwrap(), ExitCode::SUCCESS);
    assert!(najda(&["tables", "publish", &pack, "--to", &base, "--certs", &certs, "--as", "gateway/g1"]).await.is_err());

    let folder = running.stop().await;
    // The configuration still names the old set.
    let running = Running::in_folder(folder, Keep::InFiles, Set::testland(), |_| {}).await;
    assert_eq!(running.node.core().snapshot().tables.version, version);
    until("the engine ticks", || running.node.core().figures.load().at.unix_micros > 0).await;
    running.stop().await;
}
