//! `restart/first_decision`: how long a caller waits for an engine that was killed.
//!
//! A journal of real facts (every contact needs two services, is taken, accepted and closed at each) is written through the store.
//! Then an engine is started on it as `najda serve` does, with its doors, and a gateway sends a contact: without a checkpoint, with
//! one that everything but the last entries is in, and with one at the very end. `ROWS=10000000 cargo bench --bench restart`
//! measures a long journal; without it, and under `cargo test`, a short one.

#![allow(clippy::disallowed_methods, reason = "a test or a measurement reads the clock")]

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, bounded};
use najda::client::{GatewayClient, LinkConfig};
use najda::contact::{Contact, ContactKey, Door, Signal};
use najda::deliver::{ConsoleSays, GatewayHears, OfferId, Seat};
use najda::edge::certs::DevCerts;
use najda::edge::run::{Node, NodeConfig, Started, Tuning, prepare_state_folder};
use najda::edge::store::embedded::{Config, EmbeddedStore};
use najda::edge::tables::{Loaded, load_or_shipped};
use najda::edge::tls::Role;
use najda::engine::{self, Engine, Input, Output, Outputs, Room, Rooms, SessionId};
use najda::journal::Entry;
use najda::limits::CHECKPOINT_ENTRIES;
use najda::route::{record, route};
use najda::store::{Batch, BlobName, Claim, Notice, Partition, RejectedWhy, Store};
use najda::tables::snapshot::{Snapshot, States, Tables};
use najda::units::{ContactId, Name, Timestamp};
use najda::wire::frame::encode_fact;

const WAIT: Duration = Duration::from_secs(120);
const ROWS_SHORT: u64 = 20_000;
/// Contacts left alive at the end.
const LIVE: u64 = 500;
const BATCH_ENTRIES: usize = 512;

/// An engine in memory whose facts go to a store, with a seat at every room that is asked.
struct Writer {
    engine: Engine,
    out: Outputs,
    now: Timestamp,
    seats: BTreeMap<Name, SessionId>,
    tables: Arc<Tables>,
    snapshot: Snapshot,
    store: EmbeddedStore,
    claim: Claim,
    heard: Receiver<Notice>,
    batch: Vec<Entry>,
    arrived: u64,
    bytes: u64,
}

impl Writer {
    fn open(state: &Path, loaded: &Loaded, after: u64, arrived: u64) -> Self {
        let tables = Arc::clone(&loaded.tables);
        let (hear, heard) = bounded(1_000_000);
        let store =
            EmbeddedStore::open(Config::new(state.join("journal")), Box::new(move |notice| drop(hear.send(notice)))).expect("it opens");
        let claim = store.claim(Partition::default()).expect("it is ours");
        store.put_blob(BlobName(tables.version.0), &loaded.bytes).expect("the tables are kept");
        let rooms = tables.dispatchers.rows.iter().map(|row| Room {
            id: row.id,
            service: row.service,
            take_micros_max: 1 << 40,
            capacity: u32::MAX,
            uri: row.uri.clone(),
        });
        let rooms = Rooms { version: tables.version, rooms: rooms.collect() };
        let now = Timestamp::from_secs(1_700_000_000 + after / 1_000);
        let past = engine::Past::<()>::new(&engine::Config::default());
        let engine = Engine::resume(engine::Config::default(), &rooms, &past, |()| None, claim.next_seq - 1, now);
        let snapshot = Snapshot { states: Arc::new(States::of(&tables, &[])), tables: Arc::clone(&tables), number: 2 };
        let batch = Vec::with_capacity(BATCH_ENTRIES);
        let (out, seats) = (Outputs::new(), BTreeMap::new());
        let mut writer = Self { engine, out, now, seats, tables, snapshot, store, claim, heard, batch, arrived, bytes: 0 };
        if after == 0 {
            let by = Name::new("start").expect("a name");
            writer.say(Input::Rooms { rooms: Arc::new(rooms), by });
        }
        writer
    }

    fn say(&mut self, input: Input) {
        self.engine.handle(input, self.now, &mut self.out);
        let mut facts = Vec::new();
        for output in self.out.drain() {
            if let Output::Append { seq, fact } = output {
                facts.push((seq, fact));
            }
        }
        for (seq, fact) in facts {
            let mut bytes = Vec::with_capacity(512);
            encode_fact(&fact, &mut bytes).expect("a fact");
            self.bytes += bytes.len() as u64;
            self.batch.push(Entry::of(seq, &fact, bytes));
        }
        if self.batch.len() >= BATCH_ENTRIES {
            self.hand_over();
        }
    }

    fn hand_over(&mut self) {
        let Ok(mut batch) = Batch::new(&self.claim, std::mem::take(&mut self.batch)) else { return };
        while let Err(rejected) = self.store.append(batch) {
            assert!(matches!(rejected.why, RejectedWhy::Full { .. }), "{}", rejected.why);
            drop(self.heard.recv());
            batch = rejected.batch;
        }
        while let Ok(notice) = self.heard.try_recv() {
            if let Notice::Durable(receipt) = notice {
                self.engine.handle(Input::Stored { through: receipt.through_seq().min(self.engine.last_seq()) }, self.now, &mut self.out);
                self.out.drain().for_each(drop);
            }
        }
    }

    /// A contact from its arrival to its end; with `ends` false it waits at the end.
    fn live(&mut self, ends: bool) {
        self.arrived += 1;
        self.now = self.now.plus_micros(200);
        let contact = contact(self.arrived, self.now);
        let decision = Arc::new(record(&self.tables, &route(&self.snapshot, &contact, self.now)));
        let id = contact.id;
        let shares: Vec<_> = decision.services.iter().map(|share| (share.service, share.dispatcher)).collect();
        for (_, dispatcher) in &shares {
            self.sit_down(*dispatcher);
        }
        self.say(Input::Arrived { session: None, contact: Arc::new(contact), decision, handed_back: false });
        for (service, dispatcher) in shares.into_iter().filter(|_| ends) {
            let (session, offer) = (self.seats[&dispatcher], OfferId { contact: id, service });
            for says in [ConsoleSays::Take { offer }, ConsoleSays::Accept { offer }, ConsoleSays::Close { offer, reason: "done".into() }] {
                self.say(Input::Console { session, says });
            }
        }
    }

    fn sit_down(&mut self, dispatcher: Name) {
        if self.seats.contains_key(&dispatcher) {
            return;
        }
        let session = SessionId(self.seats.len() as u64 + 1);
        self.seats.insert(dispatcher, session);
        let seat = Seat { dispatcher, seat: Name::new("1").expect("a name") };
        self.say(Input::ConsoleOpened { session, seat, test: false });
        self.say(Input::Console { session, says: ConsoleSays::SignIn { languages: Vec::new(), text: true, seen: 0 } });
    }

    fn finish(mut self) -> (u64, u64, u64) {
        self.hand_over();
        let (seq, arrived, bytes) = (self.engine.last_seq(), self.arrived, self.bytes);
        self.store.close();
        (seq, arrived, bytes)
    }
}

fn contact(number: u64, now: Timestamp) -> Contact {
    let key = ContactKey { gateway: Name::new("g1").expect("a name"), gateway_ref: format!("call-{number}@gateway.example").into() };
    let mut contact = Contact::new(ContactId(u128::from(number) << 64 | 7), key, now, Door::SipVoice);
    contact.line = Some(format!("+97150{:07}", number % 10_000_000).into());
    contact.signals = vec![Signal::Dialled("999".into()), Signal::Words("a man has fallen in the street and does not wake up".into())];
    contact
}

/// Writes until the journal holds this many rows.
fn write(state: &Path, loaded: &Loaded, from: (u64, u64), rows: u64, live: u64) -> (u64, u64, u64) {
    let begun = Instant::now();
    let mut writer = Writer::open(state, loaded, from.0, from.1);
    let mut said = begun;
    while writer.engine.last_seq() + live < rows {
        writer.live(true);
        if said.elapsed() > Duration::from_secs(5) {
            said = Instant::now();
            eprintln!("  {} of {rows} rows written", writer.engine.last_seq());
        }
    }
    (0..live).for_each(|_| writer.live(false));
    let written = writer.finish();
    eprintln!("  {} rows in {:.1} s", written.0 - from.0, begun.elapsed().as_secs_f64());
    written
}

/// What one start took: until the doors were open, and until a gateway held the answer to a contact.
struct Start {
    open: Duration,
    answered: Duration,
    started: Started,
    lag: u64,
}

async fn start(state: &Path, certs: &DevCerts, loaded: &Loaded, number: u64) -> Start {
    let identity = certs.server().expect("a certificate");
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let config =
        NodeConfig { listen, state_folder: state.to_owned(), identity, engine: engine::Config::default(), engine_cores: Vec::new() };
    let caller = certs.identity(&Role::parse("gateway/g1").expect("a role")).expect("a certificate");
    let begun = Instant::now();
    let opening = najda::cli::serve::open_embedded(state);
    // The checkpoint that a stop writes is of the next start's business.
    let tuning = Tuning { checkpoint_entries: u64::MAX, checkpoint_micros: u64::MAX, ..Tuning::default() };
    let node = Node::start_with(config, Arc::clone(&loaded.tables), &loaded.bytes, opening, tuning).expect("it starts");
    let open = begun.elapsed();
    let (client, mut hears) = GatewayClient::connect(LinkConfig::new(node.addr(), "localhost", caller), WAIT).await.expect("a door");
    let mut first = contact(u64::MAX - number, Timestamp::default());
    first.key.gateway_ref = format!("first-{number}").into();
    client.send(first).await.expect("a line");
    while !matches!(hears.recv().await.expect("a line"), GatewayHears::Targets { .. }) {}
    let answered = begun.elapsed();
    let (started, lag) = (node.started(), node.store().health().projection_lag_entry_count);
    drop(client.close(Duration::from_secs(5)).await);
    node.shutdown().await;
    Start { open, answered, started, lag }
}

fn size_of(folder: &Path, named: &str) -> u64 {
    let files = std::fs::read_dir(folder).map(|list| list.flatten().collect::<Vec<_>>()).unwrap_or_default();
    files
        .iter()
        .filter(|file| file.file_name().to_string_lossy().starts_with(named))
        .filter_map(|file| Some(file.metadata().ok()?.len()))
        .sum()
}

fn show(what: &str, starts: &mut [Start]) {
    starts.sort_by_key(|start| start.answered);
    let median = &starts[starts.len() / 2];
    println!(
        "{what:<44} doors {:>6} ms, first decision {:>6} ms (worst {}); {} entries read after entry {}, {} alive, rows behind {}",
        median.open.as_millis(),
        median.answered.as_millis(),
        starts.last().map_or(0, |worst| worst.answered.as_millis()),
        median.started.entries_read,
        median.started.checkpoint_seq,
        median.started.live_contacts,
        median.lag,
    );
}

fn main() {
    let full = std::env::args().any(|argument| argument == "--bench");
    let rows = std::env::var("ROWS").ok().and_then(|rows| rows.parse().ok()).unwrap_or(if full { 200_000 } else { ROWS_SHORT });
    let rounds = if full { 5 } else { 1 };
    let folder = tempfile::TempDir::new().expect("a folder");
    let state = folder.path().join("state");
    prepare_state_folder(&state).expect("a folder");
    let roles = [Role::parse("gateway/g1").expect("a role")];
    let certs = DevCerts::make(&folder.path().join("certs"), &roles).expect("certificates");
    let loaded = load_or_shipped(None).expect("the shipped tables");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    println!("restart/first_decision, {rows} rows, {LIVE} contacts alive, medians of {rounds} starts");
    let (seq, arrived, bytes) = write(&state, &loaded, (0, 0), rows, LIVE);
    let journal = size_of(&state.join("journal"), "journal-");
    println!(
        "{seq} rows of {arrived} contacts: {} MB, {} bytes a contact, {} of them facts",
        journal / 1_000_000,
        journal / arrived.max(1),
        bytes / arrived.max(1)
    );
    let checkpoints = state.join("journal/checkpoints");
    let mut number = 0;
    let mut run = |forget: bool, times: usize| -> Vec<Start> {
        let one = |_| {
            if forget {
                let _ = std::fs::remove_dir_all(&checkpoints);
            }
            number += 1;
            runtime.block_on(start(&state, &certs, &loaded, number))
        };
        (0..times).map(one).collect()
    };
    show("whole journal, no checkpoint", &mut run(true, if rows > 1_000_000 { 1 } else { rounds }));
    show("checkpoint at the end", &mut run(false, rounds));
    println!("checkpoint: {} kB", size_of(&checkpoints, "checkpoint-") / 1_000);
    // What a killed engine finds at worst: everything since the last checkpoint.
    let last = JournalEnd::of(&state);
    let tail = CHECKPOINT_ENTRIES.min(rows / 10);
    let before = size_of(&state.join("journal"), "projection");
    write(&state, &loaded, (last.seq, arrived + 1_000), last.seq + tail, 0);
    println!("searchable rows: {} MB", before / 1_000_000);
    let keep = keep_checkpoints(&checkpoints);
    let mut starts = Vec::new();
    for _ in 0..rounds {
        restore(&checkpoints, &keep);
        starts.extend(run(false, 1));
    }
    show(&format!("checkpoint and {tail} entries after it"), &mut starts);
    assert!(starts.iter().all(|start| start.started.checkpoint_seq > 0 && start.started.live_contacts as u64 >= LIVE));
}

struct JournalEnd {
    seq: u64,
}

impl JournalEnd {
    fn of(state: &Path) -> Self {
        let reader = najda::edge::store::embedded::JournalReader::open(state.join("journal")).expect("a journal");
        Self { seq: reader.last_seq(Partition::default()).expect("an end") }
    }
}

type Kept = Vec<(std::path::PathBuf, Vec<u8>)>;

fn keep_checkpoints(folder: &Path) -> Kept {
    let files = std::fs::read_dir(folder).expect("checkpoints").flatten();
    files.map(|file| (file.path(), std::fs::read(file.path()).expect("a checkpoint"))).collect()
}

fn restore(folder: &Path, kept: &Kept) {
    for file in std::fs::read_dir(folder).expect("checkpoints").flatten() {
        std::fs::remove_file(file.path()).expect("it goes");
    }
    for (path, bytes) in kept {
        std::fs::write(path, bytes).expect("it is back");
    }
}
