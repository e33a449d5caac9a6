//! Everybody at once: 39 systems of another make and 15 consoles answer for three services on joint incidents.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use najda::client::{ConsoleClient, LinkConfig};
use najda::deliver::{ConsoleHears, Seat};
use najda::edge::tls::Role;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio::time::{interval, timeout};

use super::{Feed, House};
use crate::running::{WAIT, until};

const ROOMS: [(&str, &str); 3] = [("TL-CAP-FIR", "civil_defence"), ("TL-CAP-POL", "police"), ("TL-CAP-AMB", "ambulance")];
/// Of each room.
const SYSTEMS: usize = 13;
const CONSOLES: usize = 5;

/// How many incidents, and how many a minute. The whole form is `NAJDA_FEED=200x2`: so many a minute, for so many minutes.
fn load() -> (usize, u64) {
    let Ok(text) = std::env::var("NAJDA_FEED") else { return (24, 400) };
    let (rate, minutes) = text.split_once('x').expect("NAJDA_FEED=200x2 is 200 a minute for two minutes");
    let (rate, minutes): (u64, u64) = (rate.parse().unwrap(), minutes.parse().unwrap());
    ((rate * minutes) as usize, rate)
}

/// Goal: every acknowledgement is accounted for. Method: 54 seats of three rooms compete for every share of every incident; each says what
/// it did and was told, and that is compared with the engine's counts and with the journal.
#[tokio::test(flavor = "multi_thread")]
async fn fifty_four_dispatchers_on_other_systems_and_consoles_account_for_every_acknowledgement() {
    let (incidents, a_minute) = load();
    let house = House::start().await;
    let role = |room: &str, kind: &str, number: usize| format!("console/{room}/{kind}{number}");
    let roles: Vec<String> = ROOMS
        .iter()
        .flat_map(|(room, _)| {
            (0..SYSTEMS).map(move |number| role(room, "x", number)).chain((0..CONSOLES).map(move |number| role(room, "c", number)))
        })
        .collect();
    assert_eq!(roles.len(), 54);
    house.more_roles(&roles);
    let closed = Arc::new(AtomicU64::new(0));
    let (over, is_over) = watch::channel(0_u64);
    let (mut systems, mut consoles) = (Vec::new(), Vec::new());
    for (room, service) in ROOMS {
        for number in 0..SYSTEMS {
            let feed = house.seated(&role(room, "x", number)).await;
            let system = System::new(feed, room, &format!("x{number}"), service, Arc::clone(&closed));
            systems.push((room, tokio::spawn(system.work(is_over.clone()))));
        }
        for number in 0..CONSOLES {
            let identity = house.running.certs.identity(&Role::parse(&role(room, "c", number)).unwrap()).unwrap();
            let config = LinkConfig::new(house.running.node.addr(), "localhost", identity);
            let (client, hears) = ConsoleClient::connect(config, &[*b"en"], true, WAIT).await.unwrap();
            let seat = Seat { dispatcher: crate::running::name(room), seat: crate::running::name(&format!("c{number}")) };
            consoles.push(tokio::spawn(sit(client, hears, seat, Arc::clone(&closed), is_over.clone())));
        }
    }
    let begun = Instant::now();
    let mut beat = interval(Duration::from_micros(60_000_000 / a_minute));
    for number in 0..incidents {
        beat.tick().await;
        house.call(&format!("j{number}"), "fire, people are injured and fighting").await;
    }
    let core = Arc::clone(house.running.node.core());
    until("every contact has ended", || core.figures.load().counters.ended == incidents as u64).await;
    let took = begun.elapsed();
    let figures = core.figures.load_full();
    until("who closed a share has heard so", || closed.load(Ordering::Relaxed) == figures.counters.closed).await;
    let entries = house.entries_about_contacts();
    over.send(*entries.last().unwrap()).unwrap();

    let (mut took_by, mut closed_by) = (BTreeMap::<String, u32>::new(), BTreeMap::<String, u32>::new());
    let (mut answers, mut events, mut pending) = (0, 0, 0);
    for (room, task) in systems {
        let system = task.await.unwrap();
        assert!(system.asked.is_empty(), "{room}: commands without an answer: {:?}", system.asked);
        assert_eq!(system.feed.told, entries, "{room}: each entry once, in order");
        system.took.into_iter().for_each(|share| *took_by.entry(share).or_default() += 1);
        system.closed_shares.into_iter().for_each(|share| *closed_by.entry(share).or_default() += 1);
        (answers, events, pending) = (answers + system.answers, events + system.feed.told.len(), pending + system.pending);
    }
    for task in consoles {
        let (took, closed) = task.await.unwrap();
        took.into_iter().for_each(|share| *took_by.entry(share).or_default() += 1);
        closed.into_iter().for_each(|share| *closed_by.entry(share).or_default() += 1);
    }
    let counters = &figures.counters;
    println!(
        "{incidents} joint incidents in {took:.1?}: {} takes, {} accepted, {} closed, {answers} commands answered ({pending} as pending), \
         {events} events acknowledged",
        counters.taken, counters.accepted, counters.closed
    );
    assert!(
        closed_by.values().all(|count| *count == 1) && closed_by.len() as u64 == counters.closed,
        "each share ends once: {closed_by:?}"
    );
    assert!(counters.accepted == counters.closed && closed_by.keys().eq(took_by.keys()), "{counters:?}");
    // A seat that the machine kept from its heartbeat for ten seconds loses what it holds, and another takes it.
    if counters.leases_stale == 0 {
        assert!(took_by.values().all(|count| *count == 1) && took_by.len() as u64 == counters.taken, "{took_by:?}");
    }
}

/// A system of another make: takes what is free of its service, and brings it to its end as the events say.
struct System {
    feed: Feed,
    room: &'static str,
    seat: String,
    service: &'static str,
    closed: Arc<AtomicU64>,
    /// Commands that are not answered, by transaction.
    asked: BTreeMap<String, String>,
    tried: BTreeSet<String>,
    took: Vec<String>,
    closed_shares: Vec<String>,
    answers: usize,
    pending: usize,
    numbered: u64,
}

impl System {
    fn new(feed: Feed, room: &'static str, seat: &str, service: &'static str, closed: Arc<AtomicU64>) -> Self {
        let (took, closed_shares, asked, tried) = (Vec::new(), Vec::new(), BTreeMap::new(), BTreeSet::new());
        Self { feed, room, seat: seat.to_owned(), service, closed, asked, tried, took, closed_shares, answers: 0, pending: 0, numbered: 0 }
    }

    /// Until everything up to the last entry was told.
    async fn work(mut self, mut is_over: watch::Receiver<u64>) -> Self {
        loop {
            let end = *is_over.borrow_and_update();
            if end > 0 && self.feed.last >= Some(end) && self.asked.is_empty() {
                return self;
            }
            tokio::select! {
                value = self.feed.read() => {
                    let value = value.expect("an open line");
                    self.feed.events.clear();
                    self.heard(&value).await;
                }
                changed = is_over.changed() => changed.unwrap(),
            }
        }
    }

    async fn heard(&mut self, value: &Value) {
        if let Some(answer) = value.get("commandResponse") {
            let transaction = answer["transactionId"].as_str().unwrap();
            assert!(self.asked.remove(transaction).is_some(), "{transaction} was answered twice");
            self.answers += 1;
            match answer["statusCode"].as_u64().unwrap() {
                200 => {}
                202 => self.pending += 1,
                // Another was first, or it is over.
                403 | 404 | 409 => {}
                _ => panic!("{answer}"),
            }
            return;
        }
        let Some(event) = value.get("event") else { return };
        let documents = event["notification"].as_array().unwrap();
        for change in event["najda"]["changes"].as_array().unwrap() {
            let mine = change["by"]["dispatcher"] == self.room && change["by"]["seat"] == *self.seat;
            let contact = change["contact"].as_str().unwrap().to_owned();
            let Some(service) = change["service"].as_str().map(str::to_owned) else { continue };
            let share = format!("{contact}/{service}");
            match change["what"].as_str().unwrap() {
                "taken" if mine => {
                    self.took.push(share);
                    self.say("accept", &contact, &service).await;
                }
                "accepted" if mine => self.say("close", &contact, &service).await,
                "closed" if mine => {
                    self.closed_shares.push(share);
                    self.closed.fetch_add(1, Ordering::Relaxed);
                }
                _ => {}
            }
        }
        for state in documents.iter().flat_map(|document| document["najda"]["contacts"].as_array().unwrap()) {
            let contact = state["contact"].as_str().unwrap();
            let free = |share: &&Value| share["service"] == self.service && share["state"] == "waiting";
            if state["shares"].as_array().unwrap().iter().any(|share| free(&share)) && self.tried.insert(contact.to_owned()) {
                let (contact, service) = (contact.to_owned(), self.service);
                self.say("take", &contact, service).await;
            }
        }
    }

    async fn say(&mut self, action: &str, contact: &str, service: &str) {
        self.numbered += 1;
        let transaction = format!("w{}", self.numbered);
        let command = json!({ "transactionId": transaction, "action": action, "contact": contact, "service": service, "reason": "done" });
        self.feed.say(json!({ "command": command })).await;
        self.asked.insert(transaction, format!("{action} {contact}/{service}"));
    }
}

/// A person at a console of ours who does the same.
async fn sit(
    client: ConsoleClient,
    mut hears: mpsc::Receiver<ConsoleHears>,
    me: Seat,
    closed: Arc<AtomicU64>,
    mut is_over: watch::Receiver<u64>,
) -> (Vec<String>, Vec<String>) {
    let (mut took, mut done) = (Vec::new(), Vec::new());
    let name = |offer: najda::deliver::OfferId| format!("{}/{}", offer.contact, offer.service);
    loop {
        let heard = tokio::select! {
            heard = hears.recv() => heard.expect("an open line"),
            _ = is_over.changed() => {
                let _ = timeout(WAIT, client.sign_out()).await;
                return (took, done);
            }
        };
        match heard {
            ConsoleHears::Offer(offer) if offer.held_by.is_none() && !offer.accepted => {
                client.shown(offer.id).await.unwrap();
                client.take(offer.id).await.unwrap();
            }
            ConsoleHears::Taken { offer, by } if by == me => {
                took.push(name(offer));
                client.accept(offer).await.unwrap();
            }
            ConsoleHears::Accepted { offer, by } if by == me => client.close_offer(offer, "done").await.unwrap(),
            ConsoleHears::Closed { offer, by } if by == me => {
                done.push(name(offer));
                closed.fetch_add(1, Ordering::Relaxed);
            }
            _ => {}
        }
    }
}
