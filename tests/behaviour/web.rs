//! The web console's door, by a client that shares no code with its page: who gets in, what is said, and what a crash leaves.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use najda::deliver::{Duty, Seat};
use najda::edge::console::web::{Tiles, WebConfig, WebDoor, WebDoorError, pass};
use najda::units::Name;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::running::{Keep, Running, Set, WAIT, name, post, read};

/// A running engine with the web door beside the others.
struct House {
    running: Running,
    web: WebDoor,
}

impl House {
    async fn start() -> Self {
        Self::open(Running::start(Keep::InFiles, Set::testland()).await).await
    }

    async fn open(running: Running) -> Self {
        let web = WebDoor::start(plain(&running, 0), &running.node).await.unwrap();
        Self { running, web }
    }

    fn addr(&self) -> SocketAddr {
        self.web.local_addr()
    }

    fn seat(room: &str) -> Seat {
        Seat { dispatcher: name(room), seat: name("1") }
    }

    /// The cookie of a seat that was invited.
    async fn sign_in(&self, room: &str) -> String {
        self.sign_in_as((Self::seat(room), Duty::Dispatcher)).await
    }

    async fn sign_in_as(&self, sitter: (Seat, Duty)) -> String {
        let token = pass::invite(&self.running.state(), sitter, 60, self.running.node.core().clock.now()).unwrap();
        let (status, head, _) = http(self.addr(), "POST", "/console/session", "", &json!({ "invite": token }).to_string()).await;
        assert_eq!(status, 200, "{head}");
        let cookie = head.lines().find_map(|line| line.strip_prefix("set-cookie: ")).expect("a cookie");
        assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
        cookie.split(';').next().unwrap().to_owned()
    }

    /// A seat that has signed in and was shown everything.
    async fn console(&self, cookie: &str) -> Console {
        let mut console = Console::connect(self.addr(), cookie, None).await.unwrap();
        console.say(json!({ "t": "sign_in", "languages": ["en"], "text": true })).await;
        console.until("caught_up").await;
        console
    }

    async fn call(&self, id: &str) -> String {
        let body = json!({ "id": id, "lat": 0.72, "lon": 0.45, "text": "fire in the kitchen" }).to_string();
        let (status, answer) = post(&self.running.app(), &body).await;
        assert_eq!(status, 201, "{answer}");
        answer["contact"].as_str().unwrap().to_owned()
    }
}

fn plain(running: &Running, port: u16) -> WebConfig {
    WebConfig::new(SocketAddr::from(([127, 0, 0, 1], port)), None, running.state())
}

/// One request on a connection of its own: status, head, body.
pub async fn http(addr: SocketAddr, method: &str, path: &str, cookie: &str, body: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {addr}\r\nCookie: {cookie}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    timeout(WAIT, stream.read_to_end(&mut answer)).await.expect("an answer in time").unwrap();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    (status, head.to_owned(), body.to_owned())
}

pub struct Console {
    socket: WebSocketStream<TcpStream>,
    seq: u64,
}

impl Console {
    pub async fn connect(addr: SocketAddr, cookie: &str, origin: Option<&str>) -> Result<Self, Error> {
        let mut request = format!("ws://{addr}/console/ws").into_client_request()?;
        request.headers_mut().insert("cookie", cookie.parse().unwrap());
        if let Some(origin) = origin {
            request.headers_mut().insert("origin", origin.parse().unwrap());
        }
        let stream = TcpStream::connect(addr).await?;
        let (socket, _) = tokio_tungstenite::client_async(request, stream).await?;
        Ok(Self { socket, seq: 0 })
    }

    pub async fn say(&mut self, says: Value) {
        self.send(Message::text(says.to_string())).await;
    }

    async fn send(&mut self, message: Message) {
        // A line that the engine has closed shows in what is heard.
        let _ = self.socket.send(message).await;
    }

    /// The next message; `None` when the engine has closed. Numbers rise by one.
    pub async fn hear(&mut self) -> Option<Value> {
        loop {
            match timeout(WAIT, self.socket.next()).await.expect("something in time") {
                Some(Ok(Message::Text(text))) => {
                    let value: Value = serde_json::from_str(&text).unwrap();
                    self.seq += 1;
                    assert_eq!(value["seq"], self.seq, "{value}");
                    return Some(value);
                }
                Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                Some(Ok(_)) => {}
            }
        }
    }

    pub async fn until(&mut self, word: &str) -> Value {
        loop {
            let value = self.hear().await.unwrap_or_else(|| panic!("closed before {word}"));
            if value["t"] == word {
                return value;
            }
        }
    }

    /// Says a command about an offer and waits for the promise.
    pub async fn done(&mut self, command: &str, offer: &str, promise: &str) {
        self.say(json!({ "t": command, "offer": offer, "reason": "done" })).await;
        while self.until(promise).await["offer"] != *offer {}
    }
}

// --- who gets in ---

#[tokio::test(flavor = "multi_thread")]
async fn the_page_is_for_anybody_and_everything_else_for_a_seat_that_was_invited_once() {
    let house = House::start().await;
    let (status, head, page) = http(house.addr(), "GET", "/", "", "").await;
    assert!(status == 200 && page.to_ascii_lowercase().starts_with("<!doctype html>"), "{head}");
    assert!(head.contains("content-security-policy: default-src 'none'") && head.contains("nosniff"), "{head}");
    for path in ["/console/me", "/console/tables.json", "/console/ws"] {
        assert_eq!(http(house.addr(), "GET", path, "najda_console=forged.00", "").await.0, 401, "{path}");
    }
    assert_eq!(http(house.addr(), "GET", "/../Cargo.toml", "", "").await.0, 404);

    let clock = house.running.node.core().clock;
    let token = pass::invite(&house.running.state(), (House::seat("TL-CAP-FIR"), Duty::Dispatcher), 60, clock.now()).unwrap();
    let body = json!({ "invite": token }).to_string();
    assert_eq!(http(house.addr(), "POST", "/console/session", "", &body).await.0, 200);
    assert_eq!(http(house.addr(), "POST", "/console/session", "", &body).await.0, 401, "good once");
    assert_eq!(http(house.addr(), "POST", "/console/session", "", "nonsense").await.0, 400);

    let cookie = house.sign_in("TL-CAP-FIR").await;
    let (status, _, me) = http(house.addr(), "GET", "/console/me", &cookie, "").await;
    let me: Value = serde_json::from_str(&me).unwrap();
    assert_eq!((status, &me["seat"]["dispatcher"]), (200, &"TL-CAP-FIR".into()));
    let (status, _, tables) = http(house.addr(), "GET", "/console/tables.json", &cookie, "").await;
    let tables: Value = serde_json::from_str(&tables).unwrap();
    assert_eq!(status, 200);
    assert!(tables["rooms"].as_array().unwrap().iter().any(|room| room["id"] == "TL-CAP-FIR" && room["name"]["ar"].is_string()));
    assert!(!tables["borders"].as_array().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_from_elsewhere_may_not_speak_even_with_the_cookie() {
    let house = House::start().await;
    let cookie = house.sign_in("TL-CAP-FIR").await;
    let refused = Console::connect(house.addr(), &cookie, Some("http://evil.example")).await.err();
    assert!(matches!(refused, Some(Error::Http(answer)) if answer.status() == 403));
    let own = format!("http://{}", house.addr());
    assert!(Console::connect(house.addr(), &cookie, Some(&own)).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seat_that_is_signed_out_is_cut_off_everywhere() {
    let house = House::start().await;
    let cookie = house.sign_in("TL-CAP-FIR").await;
    let mut console = house.console(&cookie).await;
    assert_eq!(http(house.addr(), "DELETE", "/console/session", &cookie, "").await.0, 200);
    let cut = async { while console.hear().await.is_some() {} };
    timeout(Duration::from_secs(5), cut).await.expect("within five seconds");
    assert_eq!(http(house.addr(), "GET", "/console/me", &cookie, "").await.0, 401);
}

/// A dispatcher, a supervisor and an auditor of testland.
fn sitters() -> [(Seat, Duty); 3] {
    let chief = Seat { seat: name("chief"), ..House::seat("TL-CAP-FIR") };
    let auditor = Seat { dispatcher: Name::default(), seat: name("huda") };
    [(House::seat("TL-CAP-FIR"), Duty::Dispatcher), (chief, Duty::Supervisor), (auditor, Duty::Auditor)]
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_revoked_is_cut_within_five_seconds_whatever_their_role_and_nobody_else() {
    let house = House::start().await;
    let mut consoles = Vec::new();
    for sitter in sitters() {
        let cookie = house.sign_in_as(sitter).await;
        let (_, _, me) = http(house.addr(), "GET", "/console/me", &cookie, "").await;
        assert!(me.contains(sitter.1.word()), "{me}");
        let console = house.console(&cookie).await;
        consoles.push((sitter.0, cookie, console));
    }
    while let Some((seat, cookie, mut console)) = consoles.pop() {
        pass::revoke(&house.running.state(), &seat, house.running.node.core().clock.now()).unwrap();
        let cut = async { while console.hear().await.is_some() {} };
        timeout(Duration::from_secs(5), cut).await.expect("within five seconds");
        assert_eq!(http(house.addr(), "GET", "/console/me", &cookie, "").await.0, 401);
        for (_, cookie, other) in &mut consoles {
            other.until("time").await;
            assert_eq!(http(house.addr(), "GET", "/console/me", cookie, "").await.0, 200);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_auditor_is_shown_every_room_and_refused_every_command_and_a_supervisor_declares() {
    let house = House::start().await;
    let [_, chief, auditor] = sitters();
    let (chief, auditor) = (house.sign_in_as(chief).await, house.sign_in_as(auditor).await);
    let (mut chief, mut auditor) = (house.console(&chief).await, house.console(&auditor).await);
    let contact = house.call("a").await;
    let shown = auditor.until("offer").await;
    assert_eq!((&shown["offer"]["role"], &shown["offer"]["contact"]), (&"audit".into(), &contact.as_str().into()));
    auditor.say(json!({ "t": "take", "offer": shown["offer"]["id"] })).await;
    assert_eq!(auditor.until("refused").await["why"], "forbidden");
    let until = house.running.node.core().clock.now().plus_micros(600_000_000).unix_micros;
    let words = json!({ "en": "Fire drill is over, this is real", "ar": "" });
    let area = json!({ "lat": 0.72, "lon": 0.45, "radius_m": 3_000 });
    let declare = json!({ "t": "declare", "area": area, "words": words, "types": [], "until": until });
    auditor.say(declare.clone()).await;
    assert_eq!(auditor.until("refused").await["why"], "forbidden");
    chief.say(declare).await;
    let event = chief.until("declared").await["event"].clone();
    assert_eq!((&event["words"], &event["center"], event["radius_m"].as_u64()), (&words, &json!([0.72, 0.45]), Some(3_000)));
    while auditor.until("offer").await["offer"]["event"] != event["id"] {}
    chief.say(json!({ "t": "end_event", "event": event["id"] })).await;
    assert_eq!(auditor.until("event_over").await["event"], event["id"]);
    let counters = || house.running.node.core().figures.load().counters;
    crate::running::until("the read is written down", || counters().reads == 1).await;
}

// --- callers who write ---

#[tokio::test(flavor = "multi_thread")]
async fn an_app_and_a_dispatcher_write_to_each_other_and_a_line_has_arrived_when_the_app_asks_for_the_next() {
    let house = House::start().await;
    let cookie = house.sign_in("TL-CAP-FIR").await;
    let mut console = house.console(&cookie).await;
    let (app, contact) = (house.running.app(), house.call("a").await);
    let offer = console.until("offer").await["offer"]["id"].as_str().unwrap().to_owned();
    assert_eq!(console.until("conversation").await["said"][0]["text"], "fire in the kitchen");
    console.done("take", &offer, "taken").await;
    console.say(json!({ "t": "say", "contact": contact, "text": "هل أنت في أمان؟" })).await;
    let said = console.until("said").await["said"].clone();
    assert_eq!((&said["number"], &said["delivery"]), (&2.into(), &"pending".into()));
    let words = async |after: u32| read(app.get(&format!("/v1/contacts/a/words?after={after}")).await.unwrap());
    let mut given = words(0).await;
    while given.1["words"] == json!([]) {
        given = words(0).await;
    }
    assert_eq!(given, (200, json!({ "words": [{ "number": 2, "text": "هل أنت في أمان؟" }], "ended": false })));
    let (status, answer) = read(app.post("/v1/contacts/a/words", "application/json", r#"{"text":"yes"}"#).await.unwrap());
    assert_eq!((status, &answer["outcome"]), (202, &"passed_on".into()), "{answer}");
    let theirs = console.until("said").await["said"].clone();
    assert_eq!((&theirs["text"], &theirs["by"], &theirs["number"]), (&"yes".into(), &Value::Null, &3.into()));
    assert_eq!(words(3).await.1["words"], json!([]));
    let delivered = console.until("delivered").await;
    assert_eq!((&delivered["number"], &delivered["delivery"]), (&2.into(), &"delivered".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_app_has_not_fetched_waits_for_it_over_a_restart_and_nobody_else_is_given_it() {
    let house = House::start().await;
    let cookie = house.sign_in("TL-CAP-FIR").await;
    let mut console = house.console(&cookie).await;
    let contact = house.call("a").await;
    let offer = console.until("offer").await["offer"]["id"].as_str().unwrap().to_owned();
    console.done("take", &offer, "taken").await;
    console.say(json!({ "t": "say", "contact": contact, "text": "stay there" })).await;
    console.until("said").await;
    house.web.shutdown().await;
    let folder = house.running.stop().await;
    let running = Running::in_folder(folder, Keep::InFiles, Set::testland(), |_| {}).await;
    let (app, other) = (running.app(), running.as_role("gateway/app-1"));
    let mut given = json!([]);
    while given == json!([]) {
        given = read(app.get("/v1/contacts/a/words").await.unwrap()).1["words"].clone();
    }
    assert_eq!(given[0]["text"], "stay there");
    assert_eq!(read(other.get("/v1/contacts/a/words").await.unwrap()).1["words"], json!([]));
    assert_eq!(read(running.with_token(None).get("/v1/contacts/a/words").await.unwrap()).0, 401);
    assert_eq!(read(app.post("/v1/contacts/a/words", "application/json", "yes").await.unwrap()).0, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn words_for_a_contact_that_has_ended_are_a_contact_again() {
    let house = House::start().await;
    for room in ["TL-CAP-FIR", "TL-CAP-POL", "TL-CAP-AMB"] {
        let console = house.console(&house.sign_in(room).await).await;
        tokio::spawn(work(console, room.to_owned(), "1".to_owned(), Arc::default()));
    }
    house.call("a").await;
    let counters = || house.running.node.core().figures.load().counters;
    crate::running::until("it has ended", || counters().ended == 1).await;
    let again = r#"{"text":"it burns again","lat":0.72,"lon":0.45}"#;
    assert_eq!(read(house.running.app().post("/v1/contacts/a/words", "application/json", again).await.unwrap()).0, 202);
    crate::running::until("somebody has dealt with it", || (counters().arrived, counters().ended) == (2, 2)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_tls_it_listens_on_this_machine_only() {
    let running = Running::start(Keep::InFiles, Set::testland()).await;
    let config = WebConfig::new(SocketAddr::from(([0, 0, 0, 0], 0)), None, running.state());
    assert!(matches!(WebDoor::start(config, &running.node).await, Err(WebDoorError::PlainBeyondLoopback { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_come_only_from_the_server_that_ops_named() {
    for named in [false, true] {
        let running = Running::start(Keep::InFiles, Set::testland()).await;
        let tiles = named.then(|| Tiles::new("https://tiles.example:8443/base/{z}/{x}/{y}.png", "the survey").unwrap());
        let web = WebDoor::start(WebConfig { tiles, ..plain(&running, 0) }, &running.node).await.unwrap();
        let house = House { running, web };
        let cookie = house.sign_in("TL-CAP-FIR").await;
        let (_, head, _) = http(house.addr(), "GET", "/", "", "").await;
        let policy = head.lines().find_map(|line| line.strip_prefix("content-security-policy: ")).unwrap();
        let pictures = policy.split(';').find(|part| part.trim().starts_with("img-src")).unwrap().trim();
        assert_eq!(pictures, if named { "img-src 'self' data: https://tiles.example:8443" } else { "img-src 'self' data:" });
        assert!(policy.contains("connect-src 'self';") && !policy.contains("unsafe"), "{policy}");
        let (status, _, body) = http(house.addr(), "GET", "/console/tables.json", &cookie, "").await;
        let tables: Value = serde_json::from_str(&body).unwrap();
        assert_eq!((status, tables["tiles"]["words"].as_str()), (200, named.then_some("the survey")));
    }
    for (url, why) in [
        ("https://t.example/{z}/{x}.png", "{y} is missing"),
        ("http://t.example/{z}/{x}/{y}", "not https"),
        ("https://{x}.example/{z}/{y}", "the host must be one"),
        ("https://a@t.example/{z}/{x}/{y}", "no host"),
        ("/{z}/{x}/{y}", "no host"),
        ("https://t.example/{z}/{x}/{y} 'unsafe-inline'", "cannot be read"),
        ("https://t.example; script-src */{z}/{x}/{y}", "cannot be read"),
    ] {
        let error = Tiles::new(url, "").unwrap_err();
        assert!(error.contains(why), "{url}: {error}");
    }
}

// --- what is said ---

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_lives_its_whole_life_over_the_socket() {
    let house = House::start().await;
    let cookie = house.sign_in("TL-CAP-FIR").await;
    let mut console = house.console(&cookie).await;
    let contact = house.call("a").await;
    let shown = console.until("offer").await;
    let offer = &shown["offer"];
    assert_eq!(
        (&offer["contact"], &offer["service"], &offer["words"][0]),
        (&contact.as_str().into(), &"civil_defence".into(), &"fire in the kitchen".into())
    );
    assert_eq!(offer["claims"][0]["center"], json!([0.72, 0.45]));
    let id = offer["id"].as_str().unwrap().to_owned();
    console.say(json!({ "t": "shown", "offer": id })).await;
    console.done("take", &id, "taken").await;
    console.say(json!({ "t": "note", "contact": contact, "text": "gas bottle inside" })).await;
    assert_eq!(console.until("noted").await["note"]["text"], "gas bottle inside");
    console.done("accept", &id, "accepted").await;
    console.done("close", &id, "closed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_understood_is_refused_and_the_session_goes_on() {
    let house = House::start().await;
    let cookie = house.sign_in("TL-CAP-FIR").await;
    let mut console = house.console(&cookie).await;
    for nonsense in ["{}", "not json", r#"{"t":"take","offer":"x"}"#] {
        console.send(Message::text(nonsense)).await;
        assert_eq!(console.until("refused").await["why"], "malformed", "{nonsense}");
    }
    console.say(json!({ "t": "take", "offer": "00000000-0000-0000-0000-000000000001/police" })).await;
    assert_eq!(console.until("refused").await["why"], "unknown");
    console.until("time").await;
    console.send(Message::binary(vec![1, 2, 3])).await;
    while console.hear().await.is_some() {}
}

// --- what a crash leaves ---

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restart_the_same_cookie_sees_the_same_contacts_with_their_notes_and_holders() {
    let house = House::start().await;
    let cookie = house.sign_in("TL-CAP-FIR").await;
    let mut console = house.console(&cookie).await;
    let contacts: BTreeSet<String> = [house.call("a").await, house.call("b").await].into();
    let mut offers = BTreeMap::new();
    while offers.len() < 2 {
        let offer = console.until("offer").await["offer"].clone();
        // With nobody else there, this seat is asked for the other services' shares too.
        if offer["service"] == "civil_defence" {
            offers.insert(offer["contact"].as_str().unwrap().to_owned(), offer["id"].as_str().unwrap().to_owned());
        }
    }
    let first = contacts.first().unwrap();
    console.done("take", &offers[first], "taken").await;
    console.say(json!({ "t": "note", "contact": first, "text": "second floor" })).await;
    console.until("noted").await;
    let port = house.addr().port();
    let House { running, web } = house;
    web.shutdown().await;
    while console.hear().await.is_some() {}
    let folder = running.stop().await;

    let running = Running::in_folder(Arc::clone(&folder), Keep::InFiles, Set::testland(), |_| {}).await;
    let web = WebDoor::start(plain(&running, port), &running.node).await.unwrap();
    let house = House { running, web };
    let mut console = Console::connect(house.addr(), &cookie, None).await.unwrap();
    console.say(json!({ "t": "sign_in", "languages": [], "text": true })).await;
    let mut seen = BTreeMap::new();
    loop {
        let value = console.hear().await.expect("an open line");
        match value["t"].as_str().unwrap() {
            "offer" if value["offer"]["service"] == "civil_defence" => {
                let contact = value["offer"]["contact"].as_str().unwrap().to_owned();
                assert!(seen.insert(contact, value["offer"].clone()).is_none(), "each once");
            }
            "caught_up" => break,
            _ => {}
        }
    }
    assert_eq!(seen.keys().cloned().collect::<BTreeSet<_>>(), contacts, "none is missing");
    assert_eq!(seen[first]["held_by"]["dispatcher"], "TL-CAP-FIR");
    assert_eq!(seen[first]["notes"][0]["text"], "second floor");
    console.done("accept", &offers[first], "accepted").await;
    console.done("close", &offers[first], "closed").await;
}

// --- many at once ---

/// Goal: every acknowledgement is accounted for. Method: eighteen consoles of three services work on joint incidents at once; each share
/// of each is taken, accepted and closed by exactly one of them, and everybody who saw it hears of it.
#[tokio::test(flavor = "multi_thread")]
async fn many_consoles_on_joint_incidents_account_for_every_acknowledgement() {
    const INCIDENTS: usize = 30;
    let house = House::start().await;
    let told = Arc::new(AtomicU64::new(0));
    let mut working = Vec::new();
    for room in ["TL-CAP-FIR", "TL-CAP-POL", "TL-CAP-AMB"] {
        for seat in 0..6 {
            let clock = house.running.node.core().clock;
            let at = Seat { dispatcher: name(room), seat: name(&format!("s{seat}")) };
            let token = pass::invite(&house.running.state(), (at, Duty::Dispatcher), 60, clock.now()).unwrap();
            let (_, head, _) = http(house.addr(), "POST", "/console/session", "", &json!({ "invite": token }).to_string()).await;
            let cookie = head.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap().split(';').next().unwrap().to_owned();
            let console = house.console(&cookie).await;
            working.push(tokio::spawn(work(console, room.to_owned(), format!("s{seat}"), Arc::clone(&told))));
        }
    }
    for n in 0..INCIDENTS {
        let body = json!({ "id": format!("j{n}"), "lat": 0.72, "lon": 0.45, "text": "fire, people are injured and fighting" }).to_string();
        assert_eq!(post(&house.running.app(), &body).await.0, 201);
    }
    let core = Arc::clone(house.running.node.core());
    crate::running::until("every contact has ended", || core.figures.load().counters.ended == INCIDENTS as u64).await;
    let figures = core.figures.load_full();
    crate::running::until("who closed it has heard so", || told.load(Ordering::Relaxed) == figures.counters.closed).await;
    // The door closes, and every console says what it did.
    house.web.shutdown().await;
    let (mut took, mut closed) = (BTreeMap::<String, u32>::new(), BTreeMap::<String, u32>::new());
    for task in working {
        let (mine, done) = task.await.unwrap();
        mine.into_iter().for_each(|offer| *took.entry(offer).or_default() += 1);
        done.into_iter().for_each(|offer| *closed.entry(offer).or_default() += 1);
    }
    let counters = &figures.counters;
    assert!(closed.values().all(|count| *count == 1) && closed.len() as u64 == counters.closed, "each share ends once: {closed:?}");
    assert!(counters.accepted == counters.closed && closed.keys().eq(took.keys()), "{counters:?}");
    // A seat that the machine kept from its heartbeat for ten seconds loses what it holds, and another takes it.
    if counters.leases_stale == 0 {
        assert!(took.values().all(|count| *count == 1) && took.len() as u64 == counters.taken, "{took:?}");
    }
}

/// A person who takes what is free and brings it to its end; gives back what it took and what it closed.
async fn work(mut console: Console, room: String, seat: String, told: Arc<AtomicU64>) -> (Vec<String>, Vec<String>) {
    let (mut mine, mut done) = (Vec::new(), Vec::new());
    while let Some(value) = console.hear().await {
        let by_me = value["by"]["dispatcher"] == *room && value["by"]["seat"] == *seat;
        let offer = value["offer"].as_str().unwrap_or_default().to_owned();
        match value["t"].as_str().unwrap_or_default() {
            "offer" if value["offer"]["held_by"].is_null() => {
                let id = value["offer"]["id"].clone();
                console.say(json!({ "t": "shown", "offer": id })).await;
                console.say(json!({ "t": "take", "offer": id })).await;
            }
            "taken" if by_me => {
                console.say(json!({ "t": "accept", "offer": offer })).await;
                mine.push(offer);
            }
            "accepted" if by_me => console.say(json!({ "t": "close", "offer": offer, "reason": "done" })).await,
            "closed" if by_me => {
                done.push(offer);
                told.fetch_add(1, Ordering::Relaxed);
            }
            _ => console.say(json!({ "t": "heartbeat" })).await,
        }
    }
    (mine, done)
}
