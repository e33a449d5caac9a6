//! The feed for other systems, by a client that shares no code with the console: what is told, in which order, to whom, and what it is
//! told when it is slow, wrong or away.

mod commands;
mod many;
mod rest;
mod subscriptions;

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use futures_util::{SinkExt, StreamExt};
use najda::client::http::HttpClient;
use najda::client::transport::provider;
use najda::deliver::Fact;
use najda::edge::certs::DevCerts;
use najda::edge::feed::{FeedConfig, FeedDoor};
use najda::edge::tls::Role;
use najda::limits::READ_ENTRIES_MAX;
use najda::store::Partition;
use najda::wire::frame::decode_fact;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::running::{Keep, Running, Set, WAIT, post};

/// A running engine with the feed beside the other doors.
pub struct House {
    pub running: Running,
    pub feed: FeedDoor,
}

pub const FIR: &str = "console/TL-CAP-FIR/1";
pub const POL: &str = "console/TL-CAP-POL/1";
/// A room that has nothing to do with what happens in the capital.
pub const ISL: &str = "console/TL-ISL-POL/1";

impl House {
    pub async fn start() -> Self {
        Self::open(Running::start(Keep::InFiles, Set::testland()).await).await
    }

    pub async fn open(running: Running) -> Self {
        Self::with(running, |_| {}).await
    }

    pub async fn with(running: Running, change: impl FnOnce(&mut FeedConfig)) -> Self {
        let mut config = FeedConfig::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), running.certs.server().unwrap());
        change(&mut config);
        let feed = FeedDoor::start(config, &running.node).await.unwrap();
        Self { running, feed }
    }

    /// Stops everything in good order and starts it again on the same journal.
    pub async fn again(self) -> Self {
        self.feed.shutdown().await;
        let folder = self.running.stop().await;
        Self::open(Running::in_folder(folder, Keep::InFiles, Set::testland(), |_| {}).await).await
    }

    pub fn addr(&self) -> SocketAddr {
        self.feed.local_addr()
    }

    /// Certificates of more seats, from the authority there is.
    pub fn more_roles(&self, roles: &[String]) {
        let roles: Vec<Role> = roles.iter().map(|role| Role::parse(role).unwrap()).collect();
        DevCerts::make(&self.running.certs.folder, &roles).unwrap();
    }

    pub async fn line(&self, role: &str) -> Feed {
        Feed::connect(&self.running, self.addr(), role).await.unwrap()
    }

    /// A line that has subscribed, and was told the state.
    pub async fn subscribed(&self, role: &str) -> Feed {
        let mut feed = self.line(role).await;
        feed.subscribe(json!({})).await;
        while feed.last.is_none() {
            feed.read().await.expect("an open line");
        }
        feed
    }

    /// As [`Self::subscribed`], signed in.
    pub async fn seated(&self, role: &str) -> Feed {
        let mut feed = self.subscribed(role).await;
        let answer = feed.command(json!({ "action": "signIn", "languages": ["en"] })).await;
        assert_eq!(answer["statusCode"], 200, "{answer}");
        feed
    }

    /// A client of the single requests.
    pub fn rest(&self, role: &str) -> HttpClient {
        let base = format!("https://localhost:{}", self.addr().port());
        let identity = self.running.certs.identity(&Role::parse(role).unwrap()).unwrap();
        HttpClient::with_certificate(&base, &identity).unwrap()
    }

    pub async fn call(&self, id: &str, text: &str) -> String {
        self.call_at(id, text, 0.72, 0.45).await
    }

    pub async fn call_at(&self, id: &str, text: &str, lat: f64, lon: f64) -> String {
        let body = json!({ "id": id, "lat": lat, "lon": lon, "text": text }).to_string();
        let (status, answer) = post(&self.running.app(), &body).await;
        // The journal of a busy machine may be late; the contact is delivered all the same.
        assert!(matches!(status, 201 | 202), "{answer}");
        answer["contact"].as_str().unwrap().to_owned()
    }

    /// The numbers of all entries that are about contacts. That somebody read one is on record and no event.
    pub fn entries_about_contacts(&self) -> Vec<u64> {
        self.facts()
            .into_iter()
            .filter(|(_, fact)| fact.contact().is_some() && !matches!(fact, Fact::Read { .. }))
            .map(|(seq, _)| seq)
            .collect()
    }

    pub fn facts(&self) -> Vec<(u64, Fact)> {
        let (mut facts, mut from) = (Vec::new(), 1);
        loop {
            let page = self.running.node.store().read(Partition::default(), from, READ_ENTRIES_MAX).unwrap();
            facts.extend(page.entries.iter().map(|entry| (entry.seq, decode_fact(&entry.bytes).unwrap())));
            match page.next_seq {
                Some(next) => from = next,
                None => return facts,
            }
        }
    }
}

/// One line to the feed. Acknowledges what it is sent and checks that nothing is missing and nothing comes twice.
pub struct Feed {
    socket: WebSocketStream<TlsStream<TcpStream>>,
    /// Of the subscription now.
    pub subscription: String,
    /// The last sequence that was received.
    pub last: Option<u64>,
    /// Every entry that was told.
    pub told: Vec<u64>,
    /// Events nobody has looked at.
    pub events: VecDeque<Value>,
    pub acknowledges: bool,
    numbered: u64,
}

impl Feed {
    pub async fn connect(running: &Running, addr: SocketAddr, role: &str) -> Result<Self, Error> {
        let identity = running.certs.identity(&Role::parse(role).unwrap()).unwrap();
        let tls = rustls::ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(identity.roots().unwrap())
            .with_client_auth_cert(identity.chain.clone(), identity.key.clone_key())
            .unwrap();
        Self::over(addr, tls).await
    }

    pub async fn over(addr: SocketAddr, tls: rustls::ClientConfig) -> Result<Self, Error> {
        let stream = TcpStream::connect(addr).await?;
        let stream = TlsConnector::from(Arc::new(tls)).connect("localhost".try_into().unwrap(), stream).await?;
        let mut request = format!("wss://localhost:{}/feed/v1/events", addr.port()).into_client_request()?;
        request.headers_mut().insert("sec-websocket-protocol", "emergency-ent1.0".parse().unwrap());
        let (socket, answer) = tokio_tungstenite::client_async(request, stream).await?;
        assert_eq!(answer.headers()["sec-websocket-protocol"], "emergency-ent1.0");
        let (told, events) = (Vec::new(), VecDeque::new());
        Ok(Self { socket, subscription: String::new(), last: None, told, events, acknowledges: true, numbered: 0 })
    }

    pub async fn say(&mut self, says: Value) {
        self.send(Message::text(says.to_string())).await;
    }

    pub async fn send(&mut self, message: Message) {
        // A line that the engine has closed shows in what is heard.
        let _ = self.socket.send(message).await;
    }

    /// The next message; `None` when the engine has closed. Events are checked and acknowledged.
    pub async fn read(&mut self) -> Option<Value> {
        // Pings are no news.
        let text = timeout(WAIT, async {
            loop {
                match self.socket.next().await {
                    Some(Ok(Message::Text(text))) => return Some(text),
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                    Some(Ok(_)) => {}
                }
            }
        });
        let text = text.await.expect("something in time")?;
        let value: Value = serde_json::from_str(&text).unwrap_or_else(|why| panic!("{why}: {text}"));
        if let Some(event) = value.get("event") {
            self.event(event).await;
        }
        Some(value)
    }

    async fn event(&mut self, event: &Value) {
        assert_eq!(event["subscriptionId"], *self.subscription, "{event}");
        let ours = &event["najda"];
        assert_eq!(ours.get("after").and_then(Value::as_u64), self.last, "no event is missing: {event}");
        for change in ours["changes"].as_array().unwrap() {
            let seq = change["sequence"].as_u64().unwrap();
            assert!(self.last.is_none_or(|last| seq > last) && self.told.last().is_none_or(|told| seq > *told), "twice: {event}");
            self.told.push(seq);
        }
        self.last = ours["sequence"].as_u64().or(self.last);
        self.events.push_back(event.clone());
        if self.acknowledges {
            self.acknowledge(event).await;
        }
    }

    pub async fn acknowledge(&mut self, event: &Value) {
        let transaction = &event["transactionId"];
        self.say(json!({ "eventResponse": { "transactionId": transaction, "statusCode": 200, "statusText": "OK" } })).await;
    }

    /// Reads until a message of this kind.
    pub async fn until(&mut self, kind: &str) -> Value {
        loop {
            let value = self.read().await.unwrap_or_else(|| panic!("closed before {kind}"));
            if let Some(inner) = value.get(kind) {
                return inner.clone();
            }
        }
    }

    pub async fn subscribe(&mut self, wanted: Value) -> Value {
        let mut wanted = wanted;
        self.numbered += 1;
        wanted["requestId"] = json!(format!("r{}", self.numbered));
        wanted["requestType"] = json!("eido");
        self.say(json!({ "subscribe": wanted })).await;
        let answer = self.until("subscribeResponse").await;
        assert_eq!(answer["requestId"], format!("r{}", self.numbered));
        if answer["statusCode"] == 200 {
            answer["subscriptionId"].as_str().unwrap().clone_into(&mut self.subscription);
            self.last = wanted["from"].as_u64();
        }
        answer
    }

    /// Says a command and waits for its answer.
    pub async fn command(&mut self, command: Value) -> Value {
        let mut command = command;
        self.numbered += 1;
        let transaction = format!("c{}", self.numbered);
        command["transactionId"] = json!(transaction);
        self.say(json!({ "command": command })).await;
        let answer = self.until("commandResponse").await;
        assert_eq!(answer["transactionId"], *transaction);
        answer
    }

    /// A command about a share, which succeeds.
    pub async fn done(&mut self, action: &str, contact: &str, service: &str, more: Value) -> Value {
        let mut command = json!({ "action": action, "contact": contact, "service": service });
        if let (Value::Object(command), Value::Object(more)) = (&mut command, more) {
            command.extend(more);
        }
        let answer = self.command(command).await;
        assert_eq!(answer["statusCode"], 200, "{answer}");
        assert!(answer["sequence"].as_u64().unwrap() > 0, "{answer}");
        answer
    }

    /// The next event in which this happened to a contact.
    pub async fn happened(&mut self, what: &str, contact: &str) -> Value {
        loop {
            while let Some(event) = self.events.pop_front() {
                let is_it = |change: &Value| change["what"] == what && change["contact"] == contact;
                if event["najda"]["changes"].as_array().unwrap().iter().any(is_it) {
                    return event;
                }
            }
            self.read().await.unwrap_or_else(|| panic!("closed before {what}"));
        }
    }

    /// Reads until everything up to this entry was told.
    pub async fn through(&mut self, seq: u64) {
        while self.last.is_none_or(|last| last < seq) {
            self.read().await.expect("an open line");
        }
    }
}

/// The state of a contact in the document of an event.
pub fn contact_in<'v>(document: &'v Value, contact: &str) -> &'v Value {
    let contacts = document["najda"]["contacts"].as_array().unwrap();
    contacts.iter().find(|state| state["contact"] == contact).unwrap_or_else(|| panic!("{contact} is not in {document}"))
}

pub fn share_in<'v>(state: &'v Value, service: &str) -> &'v Value {
    state["shares"].as_array().unwrap().iter().find(|share| share["service"] == service).unwrap_or_else(|| panic!("{service}: {state}"))
}
