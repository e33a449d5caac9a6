//! The engine's process killed, and consoles cut off, at every step of a joint incident: who comes back sees what he saw.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use najda::client::http::HttpClient;
use najda::deliver::{Duty, Seat};
use najda::edge::certs::DevCerts;
use najda::edge::clock::Clock;
use najda::edge::console::web::pass;
use najda::edge::tokens::DEV_TOKEN_FILE;
use serde_json::{Value, json};

use crate::running::{name, post};
use crate::web::{Console, http};

/// Each sees the shares of its own service; with nobody else there they are asked for the others' as well.
const SEATS: [(&str, &str); 3] = [("TL-CAP-FIR", "civil_defence"), ("TL-CAP-POL", "police"), ("TL-CAP-AMB", "ambulance")];

/// `najda serve` in a process of its own.
struct Engine {
    folder: tempfile::TempDir,
    certs: DevCerts,
    child: Child,
    console: SocketAddr,
    http: SocketAddr,
    ready: Instant,
}

impl Engine {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let certs = DevCerts::make(&folder.path().join("certs"), &[]).unwrap();
        let (child, [console, http]) = spawn(folder.path());
        Self { folder, certs, child, console, http, ready: Instant::now() }
    }

    fn kill_and_start_again(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        (self.child, [self.console, self.http]) = spawn(self.folder.path());
        self.ready = Instant::now();
    }

    /// The cookie of a seat.
    async fn invited(&self, room: &str) -> String {
        let seat = Seat { dispatcher: name(room), seat: name("1") };
        let token = pass::invite(&self.folder.path().join("state"), (seat, Duty::Dispatcher), 60, Clock::start().now()).unwrap();
        let (status, head, _) = http(self.console, "POST", "/console/session", "", &json!({ "invite": token }).to_string()).await;
        assert_eq!(status, 200, "{head}");
        head.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap().split(';').next().unwrap().to_owned()
    }

    async fn call(&self, id: &str) -> String {
        let token = std::fs::read_to_string(self.certs.folder.join(DEV_TOKEN_FILE)).unwrap();
        let base = format!("https://localhost:{}", self.http.port());
        let app = HttpClient::with_token(&base, &self.certs.server().unwrap().authority, Some(token.trim())).unwrap();
        let body = json!({ "id": id, "lat": 0.72, "lon": 0.45, "text": "fire, people are injured and fighting" }).to_string();
        let (status, answer) = post(&app, &body).await;
        assert!(matches!(status, 201 | 202), "{answer}");
        answer["contact"].as_str().unwrap().to_owned()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts the engine and waits for the line that says where it listens: the web console's address, then the HTTP door's.
fn spawn(folder: &Path) -> (Child, [SocketAddr; 2]) {
    let mut child = Command::new(assert_cmd::cargo::cargo_bin("najda"))
        .args(["serve", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--console", "127.0.0.1:0", "--console-plain", "--certs"])
        .arg(folder.join("certs"))
        .arg("--state")
        .arg(folder.join("state"))
        .arg("--tables")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("routing-tables/testland"))
        .env("RUST_LOG", "error")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let addr =
        |key: &str| line.split_whitespace().find_map(|word| word.strip_prefix(key)).unwrap_or_else(|| panic!("{line}")).parse().unwrap();
    (child, [addr("console="), addr("http=")])
}

/// What a seat is shown of its service's shares when it comes: who holds each, how far it is, what was written, what belongs together.
async fn shown(engine: &Engine, cookie: &str, service: &str) -> (Console, BTreeMap<String, Value>) {
    let mut console = Console::connect(engine.console, cookie, None).await.unwrap();
    console.say(json!({ "t": "sign_in", "languages": ["en"], "text": true })).await;
    let mut offers = BTreeMap::new();
    loop {
        let value = console.hear().await.expect("an open line");
        match value["t"].as_str().unwrap() {
            "offer" if value["offer"]["service"] == service => {
                let offer = &value["offer"];
                let mut joined: Vec<&str> = offer["joined"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
                joined.sort_unstable();
                let kept = ["held_by", "accepted", "dispatched", "incident", "notes", "shares"].map(|key| offer[key].clone());
                offers.insert(offer["id"].as_str().unwrap().to_owned(), json!({ "kept": kept, "joined": joined }));
            }
            "caught_up" => return (console, offers),
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn at_every_step_of_a_joint_incident_whoever_was_killed_comes_back_to_the_same() {
    let mut engine = Engine::start();
    let mut cookies = Vec::new();
    let mut consoles = Vec::new();
    for (room, service) in SEATS {
        cookies.push(engine.invited(room).await);
        consoles.push(shown(&engine, cookies.last().unwrap(), service).await.0);
    }
    let (a, b) = (engine.call("a").await, engine.call("b").await);
    let of = |contact: &str, at: usize| format!("{contact}/{}", SEATS[at].1);
    for (at, console) in consoles.iter_mut().enumerate() {
        // Both are on the screen before anything is done about them.
        let mut missing = vec![of(&a, at), of(&b, at)];
        while !missing.is_empty() {
            let value = console.until("offer").await;
            missing.retain(|id| value["offer"]["id"] != **id);
        }
    }
    let mut slowest = std::time::Duration::ZERO;
    for step in ["offered", "taken", "joined", "noted", "accepted", "dispatched", "given back", "split", "closed"] {
        let [fire, police, ambulance] = &mut consoles[..] else { unreachable!() };
        match step {
            "taken" => {
                fire.done("take", &of(&a, 0), "taken").await;
                police.done("take", &of(&a, 1), "taken").await;
                ambulance.done("take", &of(&b, 2), "taken").await;
            }
            "joined" => {
                fire.say(json!({ "t": "join", "contact": a, "with": b })).await;
                fire.until("joined").await;
            }
            "noted" => {
                ambulance.say(json!({ "t": "note", "contact": b, "text": "second floor" })).await;
                ambulance.until("noted").await;
            }
            "accepted" => fire.done("accept", &of(&a, 0), "accepted").await,
            "dispatched" => fire.done("dispatched", &of(&a, 0), "dispatched").await,
            "given back" => {
                police.done("release", &of(&a, 1), "waiting").await;
            }
            "split" => {
                police.say(json!({ "t": "split", "contact": a })).await;
                police.until("joined").await;
            }
            "closed" => fire.done("close", &of(&a, 0), "closed").await,
            _ => {}
        }
        // Every console is cut off and comes back, twice.
        let mut before = Vec::new();
        for _ in 0..2 {
            before.clear();
            consoles.clear();
            for (at, (_, service)) in SEATS.into_iter().enumerate() {
                let (console, state) = shown(&engine, &cookies[at], service).await;
                consoles.push(console);
                before.push(state);
            }
        }
        assert!(before.iter().any(|state| !state.is_empty()), "{step}: something is shown");
        engine.kill_and_start_again();
        consoles.clear();
        for (at, (room, service)) in SEATS.into_iter().enumerate() {
            let (console, after) = shown(&engine, &cookies[at], service).await;
            consoles.push(console);
            assert_eq!(after, before[at], "{step}: {room} is shown what it was shown before the engine was killed");
        }
        slowest = slowest.max(engine.ready.elapsed());
    }
    println!("nine kills: every seat was shown the same at most {} ms after the engine was ready", slowest.as_millis());
}
