//! The SIP door on loopback sockets, with a running engine behind it. What is said here in bytes is what a gateway would say.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use najda::deliver::Fact;
use najda::edge::ingress::sip::{GATEWAY, SipConfig, SipDoor, SipPeer, Transport};
use najda::edge::store::memory::{Fault, MemoryDisk};
use najda::store::Partition;
use najda::wire::frame::decode_fact;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use crate::running::{Keep, Running, Set, WAIT, name, testland, until};

#[path = "sip/agree.rs"]
mod agree;
#[path = "sip/fate.rs"]
mod fate;
#[path = "sip/alerts.rs"]
pub mod alerts;
#[path = "sip/full.rs"]
mod full;
#[path = "sip/late.rs"]
mod late;
#[path = "sip/legs.rs"]
mod legs;
#[path = "sip/references.rs"]
mod references;
#[path = "sip/shared.rs"]
mod shared;
#[path = "sip/streams.rs"]
mod streams;

/// A running engine with the door open by every transport.
struct Telephony {
    running: Running,
    door: SipDoor,
}

impl Telephony {
    async fn start() -> Self {
        Self::with(Keep::InMemory(MemoryDisk::default()), |_| {}).await
    }

    async fn with(keep: Keep, change: impl FnOnce(&mut SipConfig)) -> Self {
        Self::of(Running::start(keep, Set::testland()).await, change).await
    }

    async fn of(running: Running, change: impl FnOnce(&mut SipConfig)) -> Self {
        let listen = ["udp", "tcp", "tls"].map(|transport| format!("{transport}:127.0.0.1:0").parse().unwrap()).to_vec();
        let mut config = SipConfig::new(listen, running.certs.server().unwrap(), running.state());
        config.name = "router.example".into();
        change(&mut config);
        let door = SipDoor::start(config, &running.node).await.unwrap();
        Self { running, door }
    }

    fn addr(&self, transport: Transport) -> SocketAddr {
        self.door.local_addrs().iter().find(|(found, _)| *found == transport).unwrap().1
    }

    async fn phone(&self) -> Phone {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        socket.connect(self.addr(Transport::Udp)).await.unwrap();
        Phone(socket)
    }

    fn engine(&self) -> najda::engine::Counters {
        self.running.node.core().figures.load().counters
    }

    fn repeated(&self) -> u64 {
        self.door.shared_counters().repeated.load(Ordering::Relaxed)
    }

    /// Everything the journal holds.
    fn facts(&self) -> Vec<Fact> {
        let page = self.running.node.store().read(Partition::default(), 1, 4_096).unwrap();
        page.entries.iter().map(|entry| decode_fact(&entry.bytes).unwrap()).collect()
    }

    /// The contacts in the journal.
    fn contacts(&self) -> Vec<Arc<najda::contact::Contact>> {
        self.facts().into_iter().filter_map(|fact| if let Fact::Arrived { contact, .. } = fact { Some(contact) } else { None }).collect()
    }

    async fn stop(self) -> Arc<tempfile::TempDir> {
        self.door.shutdown().await;
        self.running.stop().await
    }
}

/// A gateway's socket.
struct Phone(UdpSocket);

impl Phone {
    async fn say(&self, bytes: impl AsRef<[u8]>) {
        self.0.send(bytes.as_ref()).await.unwrap();
    }

    async fn hear(&self) -> Answer {
        let mut buffer = vec![0; 65_535];
        let length = timeout(WAIT, self.0.recv(&mut buffer)).await.expect("an answer in time").unwrap();
        Answer(String::from_utf8(buffer[..length].to_vec()).unwrap())
    }

    async fn ask(&self, bytes: impl AsRef<[u8]>) -> Answer {
        self.say(bytes).await;
        self.hear().await
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Answer(String);

impl Answer {
    fn status(&self) -> u16 {
        self.0.split(' ').nth(1).unwrap().parse().unwrap()
    }

    fn first(&self, name: &str) -> Option<&str> {
        self.0.lines().find_map(|line| line.split_once(": ").filter(|(found, _)| *found == name).map(|(_, value)| value))
    }

    /// Addresses in order, without weights.
    fn targets(&self) -> Vec<&str> {
        self.first("Contact")
            .unwrap_or_default()
            .split(", ")
            .filter_map(|value| value.strip_prefix('<')?.split_once('>'))
            .map(|(uri, _)| uri)
            .collect()
    }

    /// Without what belongs to one copy of a request: its way back.
    fn but_for_via(&self) -> String {
        self.0.lines().filter(|line| !line.starts_with("Via: ")).collect::<Vec<_>>().join("\n")
    }
}

/// A request with everything that can differ.
#[derive(Clone, Debug)]
struct Call {
    method: &'static str,
    uri: &'static str,
    id: String,
    branch: u32,
    cseq: u32,
    to_tag: &'static str,
    more: String,
    body: String,
}

/// In the capital of the invented country, asking for the police.
fn call(id: &str) -> Call {
    Call {
        method: "INVITE",
        uri: "urn:service:sos.police",
        id: id.to_owned(),
        branch: 1,
        cseq: 1,
        to_tag: "",
        more: "P-Asserted-Identity: <tel:+99955512345>\r\nContent-Type: application/pidf+xml\r\n".into(),
        body: place(0.72, 0.45),
    }
}

fn place(lat: f64, lon: f64) -> String {
    format!(
        "<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" entity=\"pres:a@b\"><tuple id=\"t\"><status>\
         <geopriv xmlns=\"urn:ietf:params:xml:ns:pidf:geopriv10\"><location-info>\
         <Point xmlns=\"http://www.opengis.net/gml\" srsName=\"urn:ogc:def:crs:EPSG::4326\"><pos>{lat} {lon}</pos></Point>\
         </location-info></geopriv></status></tuple></presence>"
    )
}

impl Call {
    fn bytes(&self) -> String {
        let Self { method, uri, id, branch, cseq, to_tag, more, body } = self;
        format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP gw.example:5060;branch=z9hG4bK-{branch};rport\r\nMax-Forwards: 70\r\n\
             From: <sip:+99955512345@gw.example>;tag=f1\r\nTo: <{uri}>{to_tag}\r\nCall-ID: {id}\r\nCSeq: {cseq} {method}\r\n{more}\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    }

    /// Without body and what belongs to it.
    fn bare(self, method: &'static str) -> Self {
        Self { method, more: String::new(), body: String::new(), ..self }
    }

    fn text(id: &str, words: &str) -> Self {
        Self { method: "MESSAGE", uri: "sip:100@tl.example", more: "Content-Type: text/plain\r\n".into(), body: words.into(), ..call(id) }
    }
}

const POLICE: [&str; 3] = ["sip:pol@cap.tl.example", "sip:pol@nor.tl.example", "sip:pol@eas.tl.example"];

// --- one call ---

#[tokio::test(flavor = "multi_thread")]
async fn a_call_hears_every_target_in_order_with_the_rule_and_its_identifiers() {
    let telephony = Telephony::start().await;
    let more = "History-Info: <sip:100@pbx.example>;index=1\r\n";
    let mut invite = call("a@gw");
    invite.more.push_str(more);
    let phone = telephony.phone().await;
    let answer = phone.ask(invite.bytes()).await;
    assert_eq!((answer.status(), answer.targets()), (302, POLICE.to_vec()), "{}", answer.0);
    assert!(answer.first("Contact").unwrap().contains("sip:pol@cap.tl.example>;q=1.0, <sip:pol@nor"), "{}", answer.0);
    assert!(answer.first("Contact").unwrap().ends_with(";q=0.1"));
    let warning = answer.first("Warning").unwrap();
    assert!(warning.starts_with("399 router.example \"") && warning.contains("owner: TL-CAP"), "{warning}");
    assert!(
        answer.0.contains(":router.example>;purpose=emergency-CallId")
            && answer.0.contains(":router.example>;purpose=emergency-IncidentId")
    );
    assert!(answer.0.contains(more), "where the call was before stays known");
    assert!(answer.first("To").unwrap().contains(";tag=") && answer.first("Via").unwrap().contains(";received=127.0.0.1"));
    assert!(answer.0.len() < 1_400, "an answer that is cut into pieces is lost with any of them: {} bytes", answer.0.len());
    until("the journal holds it", || !telephony.contacts().is_empty()).await;
    let contact = telephony.contacts().remove(0);
    assert_eq!((contact.key.gateway.as_str(), contact.trunk, contact.line.as_deref()), (GATEWAY, None, Some("+99955512345")));
    assert!(contact.key.gateway_ref.starts_with("a@gw~"), "a person who has the Call-ID finds the contact");
    // The caller's end of the same identifier.
    let id = contact.id.to_string().replace('-', "");
    assert!(answer.0.contains(&format!("urn:emergency:uid:callid:{}:", &id[16..])), "{id}: {}", answer.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_of_a_call_by_any_way_hear_the_same_and_are_one_contact() {
    let telephony = Telephony::start().await;
    let (one, other) = (telephony.phone().await, telephony.phone().await);
    let first = one.ask(call("a@gw").bytes()).await;
    assert_eq!(one.ask(call("a@gw").bytes()).await, first, "a retransmission hears the same bytes");
    // Forked on its way: another branch, another proxy, another transport.
    let forked = Call { branch: 2, ..call("a@gw") };
    assert_eq!(other.ask(forked.bytes()).await.but_for_via(), first.but_for_via());
    let mut stream = TcpStream::connect(telephony.addr(Transport::Tcp)).await.unwrap();
    stream.write_all(forked.bytes().as_bytes()).await.unwrap();
    assert_eq!(streams::answer(&mut stream).await.but_for_via(), first.but_for_via());
    assert_eq!(telephony.repeated(), 3);
    one.ask(call("b@gw").bytes()).await;
    until("both calls are with the engine", || telephony.engine().arrived == 2).await;
    assert_eq!((telephony.engine().duplicates, telephony.engine().keys_reused), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_that_come_at_once_are_one_contact() {
    let telephony = Telephony::with(Keep::InMemory(MemoryDisk::default()), |config| config.workers = 4).await;
    let phones = [telephony.phone().await, telephony.phone().await, telephony.phone().await, telephony.phone().await];
    for round in 0..20 {
        let id = format!("{round}@gw");
        for (branch, phone) in (1..).zip(&phones) {
            phone.say(Call { branch, ..call(&id) }.bytes()).await;
        }
        let mut heard = Vec::new();
        for phone in &phones {
            heard.push(phone.hear().await.but_for_via());
        }
        heard.dedup();
        assert_eq!(heard.len(), 1, "{heard:?}");
    }
    until("every call is with the engine", || telephony.engine().arrived == 20).await;
    assert_eq!((telephony.engine().duplicates, telephony.engine().keys_reused), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_stays_the_same_when_the_tables_change_and_the_next_call_hears_the_new_ones() {
    let telephony = Telephony::start().await;
    let phone = telephony.phone().await;
    let first = phone.ask(call("a@gw").bytes()).await;
    publish_moved(&telephony.running);
    assert_eq!(phone.ask(call("a@gw").bytes()).await, first);
    assert_eq!(phone.ask(call("b@gw").bytes()).await.targets()[0], "sip:moved@cap.tl.example");
}

/// Puts a set in force in which the capital's police has another address.
fn publish_moved(running: &Running) {
    let mut files = testland();
    for (_, bytes) in files.iter_mut().filter(|(file, _)| file.as_str() == "dispatchers.csv") {
        *bytes = String::from_utf8(bytes.clone()).unwrap().replace("sip:pol@cap", "sip:moved@cap").into_bytes();
    }
    let set = Set::of(&files);
    running.node.core().publish(&**running.node.store(), set.tables, &set.bytes, name("test")).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restart_the_same_call_hears_the_same_and_is_no_second_contact() {
    let telephony = Telephony::with(Keep::InFiles, |_| {}).await;
    let first = telephony.phone().await.ask(call("a@gw").bytes()).await;
    until("the journal holds it", || telephony.contacts().len() == 1).await;
    let folder = telephony.stop().await;
    let running = Running::in_folder(folder, Keep::InFiles, Set::testland(), |_| {}).await;
    // Even when the tables are others by then.
    publish_moved(&running);
    let telephony = Telephony::of(running, |_| {}).await;
    let phone = telephony.phone().await;
    let again = phone.ask(call("a@gw").bytes()).await;
    assert_eq!(
        (again.first("To"), again.first("Call-Info"), again.first("Warning")),
        (first.first("To"), first.first("Call-Info"), first.first("Warning"))
    );
    assert_eq!(again.targets()[1..], first.targets()[1..]);
    phone.ask(call("b@gw").bytes()).await;
    until("the new call is in the journal", || telephony.contacts().len() == 2).await;
    assert_eq!(telephony.engine().keys_reused, 0);
    telephony.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_tried_again_goes_to_the_next_target_and_the_engine_hears_who_failed() {
    let telephony = Telephony::start().await;
    let phone = telephony.phone().await;
    assert_eq!(phone.ask(call("a@gw").bytes()).await.targets(), POLICE);
    let second = Call { cseq: 2, branch: 2, ..call("a@gw") };
    assert_eq!(phone.ask(second.bytes()).await.targets(), [POLICE[1], POLICE[2], POLICE[0]]);
    assert_eq!(phone.ask(second.bytes()).await.targets(), [POLICE[1], POLICE[2], POLICE[0]], "its retransmission is no third attempt");
    assert_eq!(phone.ask(Call { cseq: 3, ..call("a@gw") }.bytes()).await.targets(), [POLICE[2], POLICE[0], POLICE[1]]);
    until("the engine knows of both", || telephony.engine().target_failed == 2).await;
    assert_eq!((telephony.engine().arrived, telephony.engine().out_of_turn, telephony.engine().unknown_contact), (1, 0, 0));
}

// --- what is no call ---

#[tokio::test(flavor = "multi_thread")]
async fn a_keepalive_is_answered_and_says_when_the_engine_ends() {
    let telephony = Telephony::start().await;
    let phone = telephony.phone().await;
    let answer = phone.ask(call("k@gw").bare("OPTIONS").bytes()).await;
    assert_eq!(answer.status(), 200);
    assert!(answer.first("Allow").unwrap().contains("INVITE") && answer.first("Accept").unwrap().contains("application/pidf+xml"));
    telephony.door.drain();
    let answer = phone.ask(call("k@gw").bare("OPTIONS").bytes()).await;
    assert_eq!((answer.status(), answer.first("Retry-After")), (503, Some("5")));
    let answer = phone.ask(call("a@gw").bytes()).await;
    assert_eq!((answer.status(), answer.targets().len()), (302, 3), "who calls all the same is not sent away");
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_calls_nor_keepalives_wait_for_the_journal() {
    let telephony = Telephony::start().await;
    let memory = telephony.running.memory.clone().unwrap();
    memory.inject(Fault::Stall);
    let phone = telephony.phone().await;
    for n in 0..200 {
        assert_eq!(phone.ask(call(&format!("{n}@gw")).bytes()).await.targets(), POLICE);
        assert_eq!(phone.ask(call("k@gw").bare("OPTIONS").bytes()).await.status(), 200);
    }
    memory.release();
    until("every call is with the engine", || telephony.engine().arrived == 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_no_answer_gets_none_and_what_cannot_be_read_is_refused() {
    let telephony = Telephony::start().await;
    let phone = telephony.phone().await;
    let noise: [&[u8]; 6] = [
        b"",
        b"\r\n\r\n",
        b"\0\x01\0\0!\x12\xa4B",
        b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP evil.example\r\n\r\n",
        b"\x16\x03\x01\x02\0",
        b"INVITE sip:100@h SIP/2.0\r\nFrom: <sip:a@b>\r\n\r\n",
    ];
    for bytes in noise {
        phone.say(bytes).await;
    }
    phone.say(call("a@gw").bare("ACK").bytes()).await;
    assert_eq!(phone.ask(call("a@gw").bytes()).await.status(), 302, "the first thing heard is the answer to the first request");
    let invite = call("b@gw");
    for (bytes, status) in [
        (invite.bytes().replace("Content-Length: ", "Content-Length: -"), 400),
        (invite.bytes().replace("CSeq: 1 INVITE", "CSeq: 1 BYE"), 400),
        (invite.bytes().replace("SIP/2.0\r\nVia", "SIP/9.0\r\nVia"), 505),
        (Call { to_tag: ";tag=theirs", ..invite.clone() }.bytes(), 481),
        (Call { more: "Priority: psap-callback\r\n".into(), ..invite.clone() }.bytes(), 404),
        (invite.clone().bare("REGISTER").bytes(), 405),
        (invite.clone().bare("PUBLISH").bytes(), 405),
        (invite.clone().bare("DANCE").bytes(), 501),
        (invite.clone().bare("UPDATE").bytes(), 481),
    ] {
        let answer = phone.ask(&bytes).await;
        assert_eq!(answer.status(), status, "{bytes}");
        assert!(answer.first("Warning").is_some() && answer.first("Call-ID") == Some("b@gw"), "{}", answer.0);
    }
    assert_eq!(phone.ask(invite.bytes()).await.status(), 302);
    until("both calls are with the engine", || telephony.engine().arrived == 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_whose_place_cannot_be_read_is_routed_and_told_so() {
    let telephony = Telephony::start().await;
    let phone = telephony.phone().await;
    for (n, body) in [place(91.0, 0.45), "<presence".into(), place(0.0, 0.0)].into_iter().enumerate() {
        let answer = phone.ask(Call { body, ..call(&format!("{n}@gw")) }.bytes()).await;
        assert_eq!((answer.status(), answer.targets().is_empty()), (302, false));
        assert!(answer.first("Geolocation-Error").is_some(), "{}", answer.0);
    }
    assert_eq!(phone.ask(call("fine@gw").bytes()).await.first("Geolocation-Error"), None);
}

// --- who ---

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_is_known_by_its_address_and_a_retrieval_function_hears_300() {
    let peers = vec![SipPeer::new("127.0.0.0/8", "mobile", true, true).unwrap()];
    let telephony = Telephony::with(Keep::InMemory(MemoryDisk::default()), |config| config.peers = peers).await;
    let answer = telephony.phone().await.ask(call("a@gw").bytes()).await;
    assert_eq!((answer.status(), answer.targets()), (300, POLICE.to_vec()));
    until("the journal holds it", || !telephony.contacts().is_empty()).await;
    let contact = telephony.contacts().remove(0);
    assert_eq!((contact.trunk, contact.load_test), (Some(name("mobile")), true));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_call_reaches_no_room() {
    let telephony = Telephony::start().await;
    let test = Call { uri: "urn:service:test.sos.police", ..call("t@gw") };
    let answer = telephony.phone().await.ask(test.bytes()).await;
    assert_eq!((answer.status(), answer.targets().len()), (404, 0), "RFC 6881 asks for 404 where there is no test service");
    assert!(answer.first("Warning").unwrap().contains("owner: TL-CAP"), "the tester sees that the place was understood: {}", answer.0);
    until("it is sunk", || telephony.engine().tests_sunk == 1).await;
    let telephony =
        Telephony::with(Keep::InMemory(MemoryDisk::default()), |config| config.test_uri = Some("sip:echo@t.example".into())).await;
    let answer = telephony.phone().await.ask(test.bytes()).await;
    assert_eq!((answer.status(), answer.targets()), (302, vec!["sip:echo@t.example"]));
}
