//! What gateways report of the legs of their calls, and what cars hear about their data.

use najda::contact::Signal;
use najda::deliver::HangUp;
use najda::edge::ingress::http::{HttpConfig, HttpDoor};
use najda::edge::tokens::TOKENS_FILE;

use super::*;
use crate::messages::forge::Car;

async fn known() -> Telephony {
    let peers = vec![SipPeer::new("127.0.0.0/8", "mobile", false, false).unwrap()];
    Telephony::with(Keep::InMemory(MemoryDisk::default()), |config| config.peers = peers).await
}

fn report(method: &'static str, id: &str, dialogs: &str) -> String {
    let body = format!(
        "<dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" version=\"0\" state=\"partial\" entity=\"sip:gw\">\
         {dialogs}</dialog-info>"
    );
    let more = "Event: dialog\r\nContent-Type: application/dialog-info+xml\r\n".to_owned();
    Call { method, uri: "sip:router.example", more, body, ..call(id) }.bytes()
}

/// A leg of the call with this id, as the gateway sees it.
fn leg(id: &str, state: &str, callee: &str) -> String {
    format!(
        "<dialog id=\"1\" call-id=\"{id}\" local-tag=\"f1\" remote-tag=\"x\" direction=\"initiator\">{state}\
         <remote><target uri=\"{callee}\"/></remote></dialog>"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reported_leg_moves_the_offer_is_an_answer_or_calls_the_caller_back() {
    let telephony = known().await;
    let phone = telephony.phone().await;
    for id in ["a@gw", "b@gw", "c@gw"] {
        assert_eq!(phone.ask(call(id).bytes()).await.targets(), POLICE);
    }
    let busy = leg("a@gw", "<state event=\"rejected\" code=\"486\">terminated</state>", "sip:pol@cap.tl.example;transport=udp");
    let answer = phone.ask(report("PUBLISH", "p@gw", &busy)).await;
    assert_eq!((answer.status(), answer.first("SIP-ETag").is_some(), answer.first("Expires")), (200, true, Some("3600")));
    until("the room that failed is passed over", || telephony.engine().target_failed == 1).await;
    // Both ends of one conversation in one report.
    let more =
        leg("b@gw", "<state>confirmed</state>", "sip:pol@nor.tl.example") + &leg("c@gw", "<state event=\"timeout\">terminated</state>", "");
    assert_eq!(phone.ask(report("NOTIFY", "n@gw", &more)).await.status(), 200);
    until("the journal holds the answer and the broken line", || {
        let facts = telephony.facts();
        let answered = facts.iter().any(|fact| matches!(fact, Fact::Answered { dispatcher, .. } if *dispatcher == name("TL-NOR-POL")));
        answered && facts.iter().any(|fact| matches!(fact, Fact::HungUp { why: HangUp::LineDropped, callback: true, .. }))
    })
    .await;
    // The conversation ends in good order: nobody is called back.
    phone.ask(report("NOTIFY", "m@gw", &leg("b@gw", "<state event=\"remote-bye\">terminated</state>", "sip:pol@nor.tl.example"))).await;
    until("its end is told", || {
        telephony.facts().iter().any(|fact| matches!(fact, Fact::HungUp { why: HangUp::Caller, callback: false, .. }))
    })
    .await;
    assert_eq!((telephony.engine().callbacks, telephony.engine().out_of_turn, telephony.engine().unknown_contact), (1, 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_gateway_that_is_known_reports_and_only_what_can_be_read() {
    let telephony = Telephony::start().await;
    let phone = telephony.phone().await;
    phone.ask(call("a@gw").bytes()).await;
    let gone = leg("a@gw", "<state event=\"cancelled\">terminated</state>", "");
    assert_eq!(phone.ask(report("NOTIFY", "n@gw", &gone)).await.status(), 403);
    let telephony = known().await;
    let phone = telephony.phone().await;
    phone.ask(call("a@gw").bytes()).await;
    let readable = report("NOTIFY", "n@gw", &gone);
    for (bytes, status) in [
        (readable.replace("Event: dialog", "Event: presence"), 405),
        (readable.replace("application/dialog-info+xml", "text/plain"), 400),
        (readable.replace("<dialog-info", "<dialog-inf0"), 400),
        (Call { more: "Event: dialog;id=7\r\n".into(), body: String::new(), ..call("q@gw").bare("PUBLISH") }.bytes(), 200),
        (report("NOTIFY", "o@gw", &leg("nobody@gw", "<state event=\"cancelled\">terminated</state>", "")), 200),
        (report("NOTIFY", "p@gw", &leg("a@gw", "<state event=\"rejected\" code=\"486\">terminated</state>", "sip:who@knows")), 200),
        (readable, 200),
    ] {
        assert_eq!(phone.ask(&bytes).await.status(), status, "{bytes}");
    }
    until("the caller who gave up is called back", || telephony.engine().callbacks == 1).await;
    assert_eq!((telephony.engine().unknown_contact, telephony.engine().target_failed), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_speaks_http_reports_the_same() {
    let mut telephony = Telephony::start().await;
    let running = &mut telephony.running;
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let config = HttpConfig::new(listen, running.certs.server().unwrap(), running.certs.folder.join(TOKENS_FILE), running.state());
    let app = running.app();
    assert_eq!(app.post("/v1/calls/a@gw/legs", "application/json", "{}").await.unwrap().status, 404, "no SIP door beside it");
    running.door = HttpDoor::beside(config, &running.node, Some(&telephony.door)).await.unwrap();
    telephony.phone().await.ask(call("a/b@gw").bytes()).await;
    let app = telephony.running.app();
    let path = "/v1/calls/a%2Fb@gw/legs";
    let say = async |body: &str| app.post(path, "application/json", body.to_owned()).await.unwrap().status;
    assert_eq!(say(r#"{"from_tag":"f1","state":"confirmed","target":"sip:pol@cap.tl.example"}"#).await, 202);
    until("the journal holds the answer", || telephony.facts().iter().any(|fact| matches!(fact, Fact::Answered { .. }))).await;
    assert_eq!(say(r#"{"from_tag":"f1","state":"paused"}"#).await, 400);
    assert_eq!(say("[]").await, 400);
    assert_eq!(telephony.running.with_token(None).post(path, "application/json", "{}").await.unwrap().status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_car_that_listens_hears_that_its_data_came() {
    let telephony = Telephony::start().await;
    let phone = telephony.phone().await;
    let data = |id: &str, method: &'static str, accept: &str, body: &str| {
        let more = format!("{accept}Content-Type: application/EmergencyCallData.eCall.MSD\r\nContent-ID: <m1@ivs>\r\n");
        Call { method, uri: "urn:service:sos.ecall.automatic", more, body: body.into(), ..call(id) }.bytes()
    };
    const LISTENS: &str = "Accept: application/sdp, application/EmergencyCallData.Control+xml\r\n";
    for (id, method, status) in [("a@gw", "INVITE", 302), ("b@gw", "INFO", 481), ("a@gw", "INFO", 200)] {
        let answer = phone.ask(data(id, method, LISTENS, "no car's data")).await;
        assert_eq!(answer.status(), status, "{}", answer.0);
        let told = answer.0.contains("<ack received=\"false\" ref=\"m1@ivs\"/>");
        assert_eq!(told, status != 481, "what cannot be read is told too: {}", answer.0);
        let (head, body) = answer.0.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}", body.len())), "{}", answer.0);
    }
    let silent = phone.ask(data("c@gw", "INVITE", "", "no car's data")).await;
    assert!(silent.0.ends_with("Content-Length: 0\r\n\r\n"), "who does not listen hears the answer alone: {}", silent.0);
    assert_eq!(phone.ask(data("a@gw", "INVITE", LISTENS, "no car's data")).await.0, {
        phone.ask(data("a@gw", "INVITE", LISTENS, "no car's data")).await.0
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_car_whose_data_can_be_read_hears_so_in_the_call_and_when_it_sends_again() {
    let telephony = Telephony::start().await;
    let phone = telephony.phone().await;
    for (method, id, msd) in [("INVITE", "m1@ivs", Car::default()), ("INFO", "m2@ivs", Car { people: Some(4), ..Car::default() })] {
        let (msd, uri) = (msd.bytes(), "urn:service:sos.ecall.automatic");
        let head = format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP gw.example:5060;branch=z9hG4bK-{id};rport\r\nMax-Forwards: 70\r\n\
             From: <sip:+99955512345@gw.example>;tag=f1\r\nTo: <{uri}>\r\nCall-ID: car@gw\r\nCSeq: 1 {method}\r\n\
             Accept: application/EmergencyCallData.Control+xml\r\nContent-Type: application/EmergencyCallData.eCall.MSD\r\n\
             Content-ID: <{id}>\r\nContent-Length: {}\r\n\r\n",
            msd.len()
        );
        let answer = phone.ask([head.as_bytes(), &msd].concat()).await;
        assert_eq!(answer.status(), if method == "INVITE" { 302 } else { 200 }, "{}", answer.0);
        assert!(answer.0.contains(&format!("<ack received=\"true\" ref=\"{id}\"/>")), "{}", answer.0);
    }
    let crashed = |signal: &Signal| matches!(signal, Signal::ECall { .. });
    until("the journal holds the car's data", || telephony.contacts().iter().any(|contact| contact.signals.iter().any(crashed))).await;
}
