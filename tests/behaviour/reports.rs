//! Phones that report their place and sensors that raise an alert, by HTTP: real TLS, a running engine.

use najda::client::http::HttpClient;
use najda::deliver::Fact;
use najda::edge::ingress::http::{HttpConfig, HttpDoor};
use najda::edge::ingress::sip::{SipConfig, SipDoor, Transport};
use najda::edge::store::memory::MemoryDisk;
use najda::edge::tokens::TOKENS_FILE;
use najda::store::Partition;
use najda::wire::frame::decode_fact;

use crate::running::{Keep, Running, Set, post, read, until};

async fn in_memory() -> Running {
    Running::start(Keep::InMemory(MemoryDisk::default()), Set::testland()).await
}

/// A call of which only the line is known.
const CALL: &str = r#"{"id":"c-1","door":"sip-voice","line":"+99955512345","urn":"urn:service:sos.police"}"#;

fn report(number: &str, lat: f64, lon: f64, radius_m: f64) -> String {
    format!(
        "v=1&device_number={}&location_latitude={lat}&location_longitude={lon}&location_accuracy={radius_m}&location_confidence=0.95",
        number.replace('+', "%2B")
    )
}

async fn say(client: &HttpClient, path: &str, body: &str) -> (u16, String) {
    let (status, answer) = read(client.post(path, "application/x-www-form-urlencoded", body.to_owned()).await.unwrap());
    (status, answer["outcome"].as_str().unwrap_or_default().to_owned())
}

/// The areas of a contact's decisions, in their order.
fn areas(running: &Running) -> Vec<String> {
    let page = running.node.store().read(Partition::default(), 1, 4_096).unwrap();
    let facts = page.entries.iter().map(|entry| decode_fact(&entry.bytes).unwrap());
    let decisions = facts.filter_map(|fact| match fact {
        Fact::Arrived { decision, .. } | Fact::Redecided { decision, .. } => Some(decision),
        _ => None,
    });
    decisions.map(|decision| decision.area.map_or("none".to_owned(), |area| area.to_string())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_that_reports_during_its_call_moves_it_and_the_journal_holds_both_answers() {
    let running = in_memory().await;
    let app = running.app();
    assert_eq!(post(&app, CALL).await.0, 201);
    // The same line however it is written.
    assert_eq!(say(&app, "/aml", &report("055512345", 0.72, 0.45, 15.0)).await, (200, "reported".into()));
    until("both decisions are in the journal", || areas(&running).len() == 2).await;
    assert_eq!(areas(&running), ["none", "TL-CAP"]);
    // A finer one replaces it, a coarser one does not; the same again is no news.
    assert_eq!(say(&app, "/aml", &report("+99955512345", 0.80, 0.70, 5.0)).await.0, 200);
    until("the finer one counts", || areas(&running).len() == 3).await;
    assert_eq!(areas(&running)[2], "TL-NOR");
    assert_eq!(say(&app, "/aml", &report("+99955512345", 0.80, 0.70, 5.0)).await.0, 200);
    assert_eq!(say(&app, "/aml", &report("+99955512345", 0.72, 0.45, 4_000.0)).await.0, 200);
    until("the coarser one was looked at", || areas(&running).len() == 4).await;
    assert_eq!(areas(&running)[3], "TL-NOR");
    until("the figures tell of it", || running.node.core().figures.load().counters.arrived == 1).await;
    assert_eq!(running.node.core().figures.load().counters.evidence_early, 0, "a report is no contact");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_is_here_before_its_call_waits_for_it() {
    let running = in_memory().await;
    let app = running.app();
    assert_eq!(say(&app, "/aml", &report("+99955512345", 0.72, 0.45, 15.0)).await, (200, "reported".into()));
    until("it waits", || running.node.core().figures.load().counters.evidence_early == 1).await;
    assert_eq!(post(&app, &CALL.replace("12345", "99999")).await.0, 201, "another's call is not meant");
    assert_eq!(post(&app, &CALL.replace("c-1", "c-2")).await.0, 201);
    until("both decisions are in the journal", || areas(&running).len() == 3).await;
    assert_eq!(areas(&running), ["none", "none", "TL-CAP"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_message_reports_for_the_line_it_came_from() {
    let running = in_memory().await;
    let app = running.app();
    assert_eq!(post(&app, CALL).await.0, 201);
    let text = "A\"ML=1;lt=+0.72000;lg=+000.45000;rd=15;lc=95;pm=G";
    assert_eq!(say(&app, "/aml/sms?from=%2B99955512345", text).await, (200, "reported".into()));
    until("both decisions are in the journal", || areas(&running).len() == 2).await;
    assert_eq!(areas(&running), ["none", "TL-CAP"]);
    assert_eq!(say(&app, "/aml/sms", text).await, (200, "nobody".into()), "nobody knows whose it is");
    assert_eq!(say(&app, "/aml/sms?from=%2B99955512345", "lunch?").await, (200, "not_aml".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_never_has_to_try_again_and_a_stranger_moves_nobody() {
    let running = in_memory().await;
    let app = running.app();
    for (body, outcome) in [("", "no_position"), ("%%%", "no_position"), ("location_latitude=0.72&location_longitude=0.45", "nobody")] {
        assert_eq!(say(&app, "/aml", body).await, (200, outcome.into()), "{body}");
    }
    assert_eq!(say(&app, "/aml", &"a".repeat(20_000)).await.0, 413);
    for path in ["/aml", "/aml/sms", "/cap"] {
        assert_eq!(running.with_token(None).post(path, "text/plain", "x").await.unwrap().status, 401, "{path}");
        assert_eq!(running.as_role("ops/sara").post(path, "text/plain", "x").await.unwrap().status, 403, "{path}");
    }
    assert_eq!(running.node.core().figures.load().counters.evidence, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_without_a_number_is_found_by_its_device() {
    let mut running = in_memory().await;
    let listen = vec!["udp:127.0.0.1:0".parse().unwrap()];
    let identity = running.certs.server().unwrap();
    let sip = SipDoor::start(SipConfig::new(listen, identity.clone(), running.state()), &running.node).await.unwrap();
    let addr = running.door.local_addr();
    let config =
        HttpConfig::new(std::net::SocketAddr::from((addr.ip(), 0)), identity, running.certs.folder.join(TOKENS_FILE), running.state());
    running.door = HttpDoor::beside(config, &running.node, Some(&sip)).await.unwrap();
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let udp = sip.local_addrs().iter().find(|(transport, _)| *transport == Transport::Udp).unwrap().1;
    let call = "INVITE urn:service:sos.police SIP/2.0\r\nVia: SIP/2.0/UDP gw;branch=z9hG4bK1;rport\r\n\
        From: <sip:anonymous@anonymous.invalid>;tag=1\r\n\
        To: <urn:service:sos>\r\nCall-ID: simless@gw\r\nCSeq: 1 INVITE\r\n\
        Contact: <sip:a@gw>;+sip.instance=\"<urn:gsma:imei:35346111-123456-0>\"\r\n\
        Content-Length: 0\r\n\r\n";
    socket.send_to(call.as_bytes(), udp).await.unwrap();
    until("the call is there", || areas(&running).len() == 1).await;
    let app = running.app();
    let body = "device_imei=353461111234560&location_latitude=0.72&location_longitude=0.45&location_accuracy=15";
    assert_eq!(say(&app, "/aml", body).await, (200, "reported".into()));
    until("both decisions are in the journal", || areas(&running).len() == 2).await;
    assert_eq!(areas(&running), ["none", "TL-CAP"]);
}

fn alert(expires: &str) -> String {
    format!(
        "<alert xmlns=\"urn:oasis:names:tc:emergency:cap:1.2\"><identifier>p-1</identifier><sender>panel@tl.example</sender>\
         <sent>2026-01-01T00:00:00+00:00</sent><status>Actual</status><msgType>Alert</msgType><scope>Private</scope><info>\
         <category>Fire</category><event>Fire alarm</event><urgency>Immediate</urgency><severity>Severe</severity>\
         <certainty>Observed</certainty><expires>{expires}</expires><area><areaDesc>Tower</areaDesc><circle>0.72,0.45 0.1</circle>\
         </area></info></alert>"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_is_a_contact_once_and_one_that_is_over_is_none() {
    let running = in_memory().await;
    let app = running.app();
    let cap = async |body: String| read(app.post("/cap", "application/cap+xml", body).await.unwrap());
    let (status, answer) = cap(alert("2999-01-01T00:00:00+00:00")).await;
    assert_eq!((status, &answer["area"], &answer["duplicate"]), (201, &"TL-CAP".into(), &false.into()), "{answer}");
    let (status, again) = cap(alert("2999-01-01T00:00:00+00:00")).await;
    assert_eq!((status, &again["duplicate"], &again["contact"]), (201, &true.into(), &answer["contact"]));
    let (status, over) = cap(alert("2020-01-01T00:00:00+00:00")).await;
    assert_eq!((status, over["why"].as_str()), (200, Some("cap_expired")));
    assert_eq!(cap("no alert".into()).await.0, 400);
    until("the figures tell of one", || running.node.core().figures.load().counters.arrived == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_of_an_alert_is_news_and_a_cancel_is_told_to_whoever_answers_for_it() {
    use crate::sip::alerts::{CAPITAL, FIRST, NORTH, alert};
    let running = in_memory().await;
    let app = running.app();
    let cap = async |body: String| read(app.post("/cap", "application/cap+xml", body).await.unwrap());
    let (status, first) = cap(alert("p-1", "Alert", "", CAPITAL, "Smoke")).await;
    assert_eq!((status, &first["area"]), (201, &"TL-CAP".into()));
    let (status, update) = cap(alert("p-2", "Update", FIRST, NORTH, "It is the other tower")).await;
    assert_eq!((status, &update["outcome"], &update["id"]), (202, &"update".into(), &first["id"]));
    until("it is decided again", || running.node.core().figures.load().counters.redecided == 1).await;
    let (status, cancel) = cap(alert("p-3", "Cancel", FIRST, CAPITAL, "Dust from works")).await;
    assert_eq!((status, &cancel["outcome"], &cancel["id"]), (202, &"cancel".into(), &first["id"]));
    until("nobody had taken it: the centre is called back", || running.node.core().figures.load().counters.callbacks == 1).await;
    let (status, nothing) = cap(alert("p-4", "Cancel", "", CAPITAL, "")).await;
    assert!(status == 400 && nothing["remedy"].as_str().unwrap().contains("sender,identifier,sent"), "{nothing}");
    let counters = running.node.core().figures.load().counters;
    assert_eq!((counters.arrived, counters.ended, counters.unknown_contact), (1, 0, 0));
}
