//! Messages on their way out: a running engine, gateways of ours that answer as they are told, and the link by which help is rated.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use najda::client::{ConsoleClient, LinkConfig};
use najda::deliver::{ConsoleHears, ConsoleSays, Fact, OfferId};
use najda::edge::notify::{Carrier, Courier, FileCarrier, Form, HttpCarrier};
use najda::edge::store::memory::MemoryDisk;
use najda::edge::tls::Role;
use najda::store::Partition;
use najda::wire::frame::decode_fact;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use crate::running::{Keep, Running, Set, WAIT, heard, post, until};

/// A gateway of messages: answers with the statuses it was given, the last one for ever, and keeps what it was sent.
struct Gateway {
    port: u16,
    got: Arc<Mutex<Vec<String>>>,
}

impl Gateway {
    async fn start(running: &Running, statuses: &'static [u16]) -> Self {
        let identity = running.certs.server().unwrap();
        let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(identity.chain.clone(), identity.key.clone_key())
            .unwrap();
        let (acceptor, listener) = (TlsAcceptor::from(Arc::new(config)), TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap());
        let (port, got) = (listener.local_addr().unwrap().port(), Arc::new(Mutex::new(Vec::new())));
        let kept = Arc::clone(&got);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let mut request = Vec::new();
                while !is_whole(&request) {
                    let mut piece = [0; 4_096];
                    match stream.read(&mut piece).await {
                        Ok(length) if length > 0 => request.extend_from_slice(&piece[..length]),
                        _ => break,
                    }
                }
                let status = {
                    let mut kept = kept.lock().unwrap();
                    kept.push(String::from_utf8(request).unwrap());
                    *statuses.get(kept.len() - 1).or(statuses.last()).unwrap()
                };
                let answer = format!("HTTP/1.1 {status} as told\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
            }
        });
        Self { port, got }
    }

    fn url(&self) -> String {
        format!("https://localhost:{}/messages?of=najda", self.port)
    }

    fn got(&self) -> Vec<String> {
        self.got.lock().unwrap().clone()
    }
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    length.is_none_or(|length| body.len() >= length)
}

async fn running() -> Running {
    Running::start(Keep::InMemory(MemoryDisk::default()), Set::testland()).await
}

fn by_http(running: &Running, url: &str, form: Form) -> Carrier {
    Carrier::Http(HttpCarrier::new(url, &running.certs.server().unwrap().authority, Some("a-token"), form).unwrap())
}

fn courier(running: &Running, carrier: Carrier) -> Courier {
    Courier::start(carrier, Some("https://rate.example/r/".into()), &running.state(), &running.node).unwrap()
}

struct Desk {
    console: ConsoleClient,
    hears: mpsc::Receiver<ConsoleHears>,
}

impl Desk {
    async fn open(running: &Running) -> Self {
        let identity = running.certs.identity(&Role::parse("console/TL-CAP-POL/1").unwrap()).unwrap();
        let link = LinkConfig::new(running.node.addr(), "localhost", identity);
        let (console, hears) = ConsoleClient::connect(link, &[*b"en"], true, WAIT).await.unwrap();
        Self { console, hears }
    }

    async fn until_hears(&mut self, is: impl Fn(&ConsoleHears) -> bool) -> ConsoleHears {
        loop {
            let hears = heard(&mut self.hears).await;
            if is(&hears) {
                return hears;
            }
        }
    }

    async fn say(&self, says: ConsoleSays) {
        self.console.try_say(says).unwrap();
    }

    /// Somebody calls for the police, this seat takes it, and tells the caller.
    async fn tell_a_caller(&mut self, running: &Running, gateway_ref: &str) -> OfferId {
        let body = format!(
            r#"{{"id":"{gateway_ref}","door":"app","line":"+99955512345","lang":"en","urn":"urn:service:sos.police",
                "caller_location":{{"shape":"Point","lat":0.72,"lon":0.45,"source":"device"}}}}"#
        );
        let (status, answer) = post(&running.app(), &body).await;
        assert!(status == 201 || status == 202, "{answer}");
        let ConsoleHears::Offer(offer) = self.until_hears(|hears| matches!(hears, ConsoleHears::Offer(_))).await else { unreachable!() };
        let offer = offer.id;
        self.say(ConsoleSays::Take { offer }).await;
        self.until_hears(|hears| matches!(hears, ConsoleHears::Taken { .. })).await;
        self.say(ConsoleSays::Inform { offer }).await;
        self.until_hears(|hears| matches!(hears, ConsoleHears::Informed { .. })).await;
        offer
    }

    async fn end(&mut self, offer: OfferId) {
        self.say(ConsoleSays::Accept { offer }).await;
        self.until_hears(|hears| matches!(hears, ConsoleHears::Accepted { .. })).await;
        self.say(ConsoleSays::Close { offer, reason: "done".into() }).await;
        self.until_hears(|hears| matches!(hears, ConsoleHears::Closed { .. })).await;
    }
}

fn facts(running: &Running) -> Vec<Fact> {
    let page = running.node.store().read(Partition::default(), 1, 4_096).unwrap();
    page.entries.iter().map(|entry| decode_fact(&entry.bytes).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_released_message_goes_to_the_webhook_signed_and_the_link_that_follows_takes_one_tap() {
    let running = running().await;
    let gateway = Gateway::start(&running, &[200]).await;
    let courier = courier(&running, by_http(&running, &gateway.url(), Form::Webhook { key: Some(b"Jefe".to_vec()) }));
    let mut desk = Desk::open(&running).await;
    let offer = desk.tell_a_caller(&running, "a").await;
    until("the first message is out", || gateway.got().len() == 1).await;
    desk.end(offer).await;
    until("the second message is out", || gateway.got().len() == 2).await;
    let got = gateway.got();
    let bodies: Vec<serde_json::Value> =
        got.iter().map(|request| serde_json::from_str(request.split_once("\r\n\r\n").unwrap().1).unwrap()).collect();
    for (request, body) in got.iter().zip(&bodies) {
        assert!(
            request.starts_with("POST /messages?of=najda HTTP/1.1\r\n") && request.contains("authorization: Bearer a-token"),
            "{request}"
        );
        let text = request.split_once("\r\n\r\n").unwrap().1;
        assert!(request.contains(&najda::wire::notification::signature(b"Jefe", text.as_bytes())), "{request}");
        assert!(request.contains(&format!("idempotency-key: {}", body["id"].as_str().unwrap())));
        assert_eq!((body["to"].as_str(), body["lang"].as_str()), (Some("+99955512345"), Some("en")));
    }
    assert_eq!((bodies[0]["kind"].as_str(), bodies[1]["kind"].as_str()), (Some("heard"), Some("rate")));
    let link = bodies[1]["text"].as_str().unwrap().rsplit(' ').next().unwrap().to_owned();
    let path = link.strip_prefix("https://rate.example").unwrap();

    let stranger = running.with_token(None);
    let page = stranger.get(path).await.unwrap();
    let html = String::from_utf8(page.body.to_vec()).unwrap();
    assert!(page.status == 200 && html.contains("value=5") && html.contains("dir=rtl") && !html.contains("<script"), "{html}");
    assert!(!html.contains("55512345"), "the page says nothing about the contact");
    let rate =
        async |path: &str, form: &str| stranger.post(path, "application/x-www-form-urlencoded", form.to_owned()).await.unwrap().status;
    for nonsense in ["", "stars=0", "stars=6", "stars=x", "star=5"] {
        assert_eq!(rate(path, nonsense).await, 400, "{nonsense}");
    }
    assert_eq!(rate("/r/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "stars=5").await, 404, "a link nobody was sent");
    for tap in 0..6 {
        assert_eq!(rate(path, "stars=4").await, 200, "tap {tap}");
    }
    let ratings = || facts(&running).iter().filter(|fact| matches!(fact, Fact::Rated { stars: 4, .. })).count();
    until("the journal holds the rating", || ratings() == usize::from(najda::limits::RATINGS_A_CONTACT_MAX)).await;
    courier.shutdown().await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_is_down_is_tried_again_under_the_same_id_and_one_that_refuses_is_not() {
    let running = running().await;
    let gateway = Gateway::start(&running, &[503, 200, 400, 200]).await;
    let form = Form::Sms { number_field: "msisdn".into(), text_field: "body".into(), more: vec![("from".into(), "NAJDA".into())] };
    let courier = courier(&running, by_http(&running, &gateway.url(), form));
    let mut desk = Desk::open(&running).await;
    desk.tell_a_caller(&running, "a").await;
    until("it is tried again", || gateway.got().len() == 2).await;
    let got = gateway.got();
    assert_eq!(got[0].split_once("idempotency-key").unwrap().1, got[1].split_once("idempotency-key").unwrap().1);
    assert!(got[1].contains("msisdn=%2B99955512345&body=Your+emergency"), "{}", got[1]);
    desk.tell_a_caller(&running, "b").await;
    until("it is refused", || gateway.got().len() == 3).await;
    desk.tell_a_caller(&running, "c").await;
    until("the next goes out", || gateway.got().len() == 4).await;
    let counted = &running.node.core().messages;
    let of = |counter: &std::sync::atomic::AtomicU64| counter.load(std::sync::atomic::Ordering::Relaxed);
    until("each is counted", || (of(&counted.sent), of(&counted.refused), of(&counted.retried)) == (2, 1, 1)).await;
    courier.shutdown().await;
    running.stop().await;
}

/// Goal: a message that was released while nobody carried messages, or just before a restart, goes out once. Method: two couriers on
/// one state folder, a release before, between and after.
#[tokio::test(flavor = "multi_thread")]
async fn a_courier_begins_where_the_last_one_ended() {
    let running = running().await;
    let file = running.folder.path().join("messages.jsonl");
    let by_file = || Carrier::File(FileCarrier::open(file.clone()).unwrap());
    let ids = || -> Vec<String> {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["id"].as_str().unwrap().to_owned()).collect()
    };
    let mut desk = Desk::open(&running).await;
    let first = courier(&running, by_file());
    let one = desk.tell_a_caller(&running, "a").await;
    until("the first is out", || ids().len() == 1).await;
    first.shutdown().await;
    let two = desk.tell_a_caller(&running, "b").await;
    let second = courier(&running, by_file());
    until("what was released meanwhile is out", || ids().len() == 2).await;
    let three = desk.tell_a_caller(&running, "c").await;
    until("and what comes", || ids().len() == 3).await;
    assert_eq!(ids(), [one, two, three].map(|offer| format!("{}/heard", offer.contact)));
    second.shutdown().await;
    running.stop().await;
}
