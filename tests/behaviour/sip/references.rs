//! Calls that name a place instead of carrying it: the location server is asked while the call goes on.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use super::*;
use crate::sip::late::{offered, seat};

/// A location server that answers every request with the same bytes, or takes it and says nothing.
struct LocationServer {
    port: u16,
    asked: Arc<AtomicU64>,
}

impl LocationServer {
    async fn start(running: &Running, answer: Option<String>) -> Self {
        let identity = running.certs.server().unwrap();
        let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(identity.chain.clone(), identity.key.clone_key())
            .unwrap();
        let (acceptor, listener) = (TlsAcceptor::from(Arc::new(config)), TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap());
        let (port, asked) = (listener.local_addr().unwrap().port(), Arc::new(AtomicU64::new(0)));
        let counted = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, answer, counted) = (acceptor.clone(), answer.clone(), Arc::clone(&counted));
                tokio::spawn(async move {
                    let Ok(mut stream) = acceptor.accept(stream).await else { return };
                    let mut request = vec![0; 4_096];
                    let mut length = 0;
                    while !String::from_utf8_lossy(&request[..length]).contains("</locationRequest>") {
                        match stream.read(&mut request[length..]).await {
                            Ok(more) if more > 0 => length += more,
                            _ => return,
                        }
                    }
                    counted.fetch_add(1, Ordering::Relaxed);
                    match answer {
                        Some(answer) => drop(stream.write_all(answer.as_bytes()).await),
                        None => std::future::pending().await,
                    }
                });
            }
        });
        Self { port, asked }
    }

    fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    fn reference(&self) -> String {
        format!("https://localhost:{}/held/1", self.port)
    }
}

fn http(status: &str, kind: &str, body: &str) -> Option<String> {
    let length = body.len();
    Some(format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"))
}

fn held(place: &str) -> String {
    format!("<locationResponse xmlns=\"urn:ietf:params:xml:ns:geopriv:held\">{place}</locationResponse>")
}

/// A call that only names its place.
fn by_reference(id: &str, reference: &str) -> String {
    let more = format!("P-Asserted-Identity: <tel:+99955512345>\r\nGeolocation: <{reference}>\r\nGeolocation-Routing: yes\r\n");
    Call { more, body: String::new(), ..call(id) }.bytes()
}

async fn telephony(servers: &[&str], answers: Vec<Option<String>>) -> (Telephony, Vec<LocationServer>) {
    let running = Running::start(Keep::InMemory(MemoryDisk::default()), Set::testland()).await;
    let mut started = Vec::new();
    for answer in answers {
        started.push(LocationServer::start(&running, answer).await);
    }
    let listed = started.iter().map(|server| format!("localhost:{}", server.port).into());
    let hosts: Vec<Box<str>> = listed.chain(servers.iter().map(|host| (*host).into())).collect();
    let telephony = Telephony::of(running, |config| {
        config.references.hosts = hosts;
        config.references.wait = Duration::from_secs(20);
    })
    .await;
    (telephony, started)
}

fn count_of(telephony: &Telephony, counter: impl Fn(&najda::edge::ingress::DoorCounters) -> &AtomicU64) -> u64 {
    counter(&telephony.door.shared_counters()).load(Ordering::Relaxed)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_by_reference_is_fetched_after_the_answer_and_moves_the_offer() {
    let (telephony, servers) = telephony(&[], vec![http("200 OK", "application/held+xml", &held(&place(0.80, 0.70)))]).await;
    let (_north, mut at_north) = seat(&telephony, "console/TL-NOR-POL/1").await;
    let answer = telephony.phone().await.ask(by_reference("a@gw", &servers[0].reference())).await;
    assert_eq!(answer.status(), 302, "the call is routed at once on what there is");
    offered(&mut at_north, "+99955512345").await;
    until("it was decided by the place that was fetched", || {
        telephony.facts().iter().any(|fact| match fact {
            Fact::Redecided { decision, .. } => (decision.rung, decision.area) == (name("by_reference"), Some(name("TL-NOR"))),
            _ => false,
        })
    })
    .await;
    assert_eq!((servers[0].asked(), count_of(&telephony, |door| &door.references_fetched)), (1, 1));
    // A copy of the call is no reason to ask again.
    telephony.phone().await.ask(by_reference("a@gw", &servers[0].reference())).await;
    telephony.phone().await.ask(call("b@gw").bytes()).await;
    until("both calls are with the engine", || telephony.engine().arrived == 2).await;
    assert_eq!(servers[0].asked(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_location_server_that_hangs_costs_its_own_places_and_nothing_else() {
    let good = http("200 OK", "application/pidf+xml;charset=utf-8", &place(0.80, 0.70));
    let (telephony, servers) = telephony(&[], vec![None, good]).await;
    let phone = telephony.phone().await;
    let most = najda::limits::REFERENCES_A_HOST_MAX as u64;
    for n in 0..most + 3 {
        let answer = phone.ask(by_reference(&format!("{n}@gw"), &servers[0].reference())).await;
        assert_eq!((answer.status(), answer.targets().is_empty()), (302, false));
    }
    assert_eq!(count_of(&telephony, |door| &door.references_full), 3, "beyond its places nobody waits in a queue");
    until("those that found a place are asked about", || servers[0].asked() == most).await;
    phone.ask(by_reference("other@gw", &servers[1].reference())).await;
    until("the other server answers", || count_of(&telephony, |door| &door.references_fetched) == 1).await;
    assert_eq!(phone.ask(call("k@gw").bare("OPTIONS").bytes()).await.status(), 200);
    assert_eq!(count_of(&telephony, |door| &door.references_failed), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_location_server_that_is_too_slow_is_given_up() {
    let running = Running::start(Keep::InMemory(MemoryDisk::default()), Set::testland()).await;
    let server = LocationServer::start(&running, None).await;
    let host = format!("localhost:{}", server.port);
    let telephony = Telephony::of(running, |config| {
        config.references.hosts = vec![host.into()];
        config.references.wait = Duration::from_millis(200);
    })
    .await;
    telephony.phone().await.ask(by_reference("a@gw", &server.reference())).await;
    until("it is given up", || count_of(&telephony, |door| &door.references_failed) == 1).await;
    until("the call is with the engine", || telephony.engine().arrived == 1).await;
    assert_eq!(telephony.engine().evidence, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_but_a_place_of_a_listed_server_is_taken() {
    let elsewhere = "HTTP/1.1 302 Found\r\nLocation: https://localhost:1/evil\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_owned();
    let error = "<error xmlns=\"urn:ietf:params:xml:ns:geopriv:held\" code=\"locationUnknown\"/>";
    let named = held("<locationUriSet expires=\"2999-01-01T00:00:00Z\"><locationURI>https://localhost:1/x</locationURI></locationUriSet>");
    let answers = vec![
        http("200 OK", "text/html", &place(0.80, 0.70)),
        http("503 Busy", "application/held+xml", &held(&place(0.80, 0.70))),
        http("200 OK", "application/held+xml", error),
        http("200 OK", "application/held+xml", &named),
        http("200 OK", "application/held+xml", &"x".repeat(100_000)),
        Some(elsewhere),
        Some("no HTTP at all\r\n\r\n".to_owned()),
    ];
    let count = answers.len() as u64;
    let (telephony, servers) = telephony(&["127.0.0.1:1"], answers).await;
    let phone = telephony.phone().await;
    for (n, server) in servers.iter().enumerate() {
        assert_eq!(phone.ask(by_reference(&format!("{n}@gw"), &server.reference())).await.status(), 302);
    }
    until("none of them gave a place", || count_of(&telephony, |door| &door.references_failed) == count).await;
    let user = servers[0].reference().replace("//", "//user@");
    for (n, reference) in ["https://evil.example/1", "https://localhost/1", &user].iter().enumerate() {
        assert_eq!(phone.ask(by_reference(&format!("evil-{n}@gw"), reference)).await.status(), 302);
    }
    // A server of the list that is not there.
    assert_eq!(phone.ask(by_reference("dead@gw", "https://127.0.0.1:1/held")).await.status(), 302);
    until("it is counted", || count_of(&telephony, |door| &door.references_failed) == count + 1).await;
    assert_eq!(count_of(&telephony, |door| &door.references_refused), 3);
    until("every call is with the engine", || telephony.engine().arrived == count + 4).await;
    assert_eq!((telephony.engine().evidence, count_of(&telephony, |door| &door.references_fetched)), (0, 0));
}
