//! The doors on loopback sockets: real QUIC, real certificates, and an engine that the test plays itself.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, Sender, bounded};
use najda::client::{ALPN_GATEWAY, ClientError, CloseCode, ConsoleClient, GatewayClient, Identity, LinkConfig, LinkState, TrySendError};
use najda::contact::{Contact, ContactKey, Door, Signal};
use najda::decision::DecisionRecord;
use najda::deliver::{
    ConsoleHears, ConsoleSays, Evidence, GatewayHears, GatewaySays, HangUp, Offer, OfferId, Refusal, Role as OfferRole, Seat, Target,
};
use najda::edge::certs::DevCerts;
use najda::edge::clock::Clock;
use najda::edge::ingress::quic::{Doors, DoorsConfig};
use najda::edge::ingress::{Core, Decided};
use najda::edge::sessions::{Sent, SessionRegistry};
use najda::edge::tls::Role;
use najda::engine::{Input, SessionId};
use najda::limits::{ENGINE_QUEUE_MAX, FRAME_BYTES_MAX, SESSION_QUEUE_MAX};
use najda::service::Service;
use najda::units::{ContactId, Name, Timestamp};
use najda::wire::frame::{FRAME_VERSION, FrameBuffer, HEADER_BYTES, Hello, Kind, Message, Received, Welcome, decode, encode_into};
use quinn::crypto::rustls::QuicClientConfig;
use tokio::sync::mpsc;
use tokio::time::timeout;

const WAIT: Duration = Duration::from_secs(20);

// --- gateways ---

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_has_its_targets_at_once_and_durable_only_after_the_store() {
    let house = House::open().await;
    let (client, mut hears) = house.gateway("gateway/g1").await;
    let session = house.gateway_opened("g1");

    // What a message claims about its sender is not believed.
    let mut claimed = contact("call-1");
    claimed.key.gateway = name("somebody-else");
    claimed.load_test = true;
    claimed.revision = 9;
    let before = house.clock.now();
    client.send(claimed).await.unwrap();

    let Some(GatewayHears::Targets { key, contact: id, targets, decision }) = heard(&mut hears).await else { panic!("targets first") };
    assert_eq!((key, targets), (key_of("g1", "call-1"), house.core.decided().targets));
    assert_eq!(decision, house.core.decided().decision);
    let Input::Arrived { session: from, contact, decision: told, handed_back } = house.input() else { panic!("an arrival") };
    assert_eq!((from, contact.id, handed_back), (Some(session), id, false));
    assert_eq!((contact.key.clone(), contact.load_test, contact.revision), (key_of("g1", "call-1"), false, 0));
    assert!(contact.received >= before && contact.received <= house.clock.now());
    assert_eq!(contact.trunk, Some(name("g1")));
    assert!(Arc::ptr_eq(&decision, &decision) && told == decision);
    assert_eq!(client.unconfirmed_count(), 1);

    house.durable(session, &contact);
    assert!(matches!(heard(&mut hears).await, Some(GatewayHears::Durable { contact, .. }) if contact == id));
    assert_eq!(client.unconfirmed_count(), 0);
    assert_eq!(client.close(WAIT).await, Vec::<Arc<Contact>>::new());
    assert!(matches!(house.input(), Input::SessionClosed { session: closed } if closed == session));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_confirmed_is_handed_back_in_order_after_the_line_breaks() {
    let house = House::open().await;
    let (client, mut hears) = house.gateway("gateway/g1").await;
    let first = house.gateway_opened("g1");
    for n in 1..=4 {
        client.send(contact(&format!("call-{n}"))).await.unwrap();
    }
    let arrived: Vec<Arc<Contact>> = (0..4).map(|_| house.arrived().0).collect();
    house.durable(first, &arrived[1]);
    heard_until(&mut hears, |hears| matches!(hears, GatewayHears::Durable { .. })).await;

    client.link().break_line();
    house.until(|input| matches!(input, Input::SessionClosed { session } if *session == first));
    let second = house.gateway_opened("g1");
    assert!(second > first, "a session's number is never used again");
    let handed_back: Vec<(String, bool)> = (0..3).map(|_| house.arrived()).map(|(c, back)| (c.key.gateway_ref.to_string(), back)).collect();
    assert_eq!(handed_back, [("call-1".into(), true), ("call-3".into(), true), ("call-4".into(), true)]);

    // New contacts go on as before, and a client that closes gives back what nobody confirmed.
    client.send(contact("call-5")).await.unwrap();
    assert!(!house.arrived().1);
    for gateway_ref in ["call-1", "call-5"] {
        house.registry.send(second, GatewayHears::Durable { key: key_of("g1", gateway_ref), contact: ContactId(1) });
    }
    heard_until(&mut hears, |hears| matches!(hears, GatewayHears::Durable { key, .. } if &*key.gateway_ref == "call-5")).await;
    let left: Vec<String> = client.close(Duration::ZERO).await.iter().map(|contact| contact.key.gateway_ref.to_string()).collect();
    assert_eq!(left, ["call-3", "call-4"]);
}

/// Goal: reports survive a broken line, in their order. Method: the line breaks while they are being sent, many times over.
#[tokio::test(flavor = "multi_thread")]
async fn reports_are_neither_lost_nor_out_of_order_however_the_line_breaks() {
    let house = House::open().await;
    let (client, _hears) = house.gateway("gateway/g1").await;
    let count = 2_000_u32;
    let sender = tokio::spawn({
        let client = client.clone();
        async move {
            for n in 0..count {
                client.hung_up(key_of("g1", &format!("call-{n}")), HangUp::Caller).await.unwrap();
                if n % 400 == 200 {
                    client.link().break_line();
                }
            }
        }
    });
    let (mut seen, mut sessions) = (BTreeSet::new(), 0);
    while seen.len() < count as usize {
        match house.input() {
            Input::HungUp { key, .. } => {
                let n: u32 = key.gateway_ref.strip_prefix("call-").unwrap().parse().unwrap();
                // One that is new must be the next: a repeated one may come again, none may be skipped.
                assert!(seen.contains(&n) || n as usize == seen.len(), "{n} came after {}", seen.len());
                seen.insert(n);
            }
            Input::GatewayOpened { .. } => sessions += 1,
            _ => {}
        }
    }
    sender.await.unwrap();
    assert!(sessions > 1, "the line broke at least once");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_report_reaches_the_engine_under_the_gateways_own_name() {
    let house = House::open().await;
    let (client, _hears) = house.gateway("gateway/g1").await;
    let session = house.gateway_opened("g1");
    let claimed = || key_of("somebody-else", "call-1");
    let evidence = Evidence { signals: vec![Signal::Words("smoke".into())], ..Evidence::default() };
    client.evidence(claimed(), evidence.clone()).await.unwrap();
    client.answered(claimed(), name("DU-POL")).await.unwrap();
    client.target_failed(claimed(), name("DU-AMB")).await.unwrap();
    client.try_report(GatewaySays::HungUp { key: claimed(), why: HangUp::LineDropped }).unwrap();
    let key = key_of("g1", "call-1");
    assert!(
        matches!(house.input(), Input::Evidence { session: Some(s), key: k, evidence: e } if s == session && k == key && e == evidence)
    );
    assert!(
        matches!(house.input(), Input::Answered { session: s, key: k, dispatcher: d } if s == session && k == key && d == name("DU-POL"))
    );
    assert!(matches!(house.input(), Input::TargetFailed { session: s, key: k, dispatcher: d }
            if s == session && k == key && d == name("DU-AMB")));
    assert!(matches!(house.input(), Input::HungUp { session: s, key: k, why: HangUp::LineDropped } if s == session && k == key));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_test_certificate_marks_every_contact_a_test() {
    let house = House::open().await;
    let (client, _hears) = house.gateway("load-test/gateway/lt").await;
    house.gateway_opened("lt");
    client.send(contact("call-1")).await.unwrap();
    assert!(house.arrived().0.load_test);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_engine_still_answers_every_caller_and_loses_none() {
    let house = House::with(|setup| setup.engine_queue = 1).await;
    let (client, mut hears) = house.gateway("gateway/g1").await;
    let count = 300;
    for n in 0..count {
        client.send(contact(&format!("call-{n}"))).await.unwrap();
    }
    // The first waits for nothing, although the engine takes nothing at all.
    assert!(matches!(heard(&mut hears).await, Some(GatewayHears::Targets { .. })));
    house.gateway_opened("g1");
    let arrived: Vec<String> = (0..count).map(|_| house.arrived().0.key.gateway_ref.to_string()).collect();
    assert_eq!(arrived, (0..count).map(|n| format!("call-{n}")).collect::<Vec<_>>());
    for _ in 1..count {
        assert!(matches!(heard(&mut hears).await, Some(GatewayHears::Targets { .. })));
    }
    assert!(house.doors().counters().resubmitted.load(Ordering::Relaxed) > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_ends_while_the_engine_is_full_still_hands_in_what_it_was_told() {
    let house = House::with(|setup| setup.engine_queue = 1).await;
    let (client, mut hears) = house.gateway("gateway/g1").await;
    client.send(contact("call-1")).await.unwrap();
    assert!(matches!(heard(&mut hears).await, Some(GatewayHears::Targets { .. })));
    client.close(Duration::ZERO).await;
    let session = house.gateway_opened("g1");
    assert_eq!(&*house.arrived().0.key.gateway_ref, "call-1");
    assert!(matches!(house.input(), Input::SessionClosed { session: closed } if closed == session));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_that_makes_routing_panic_goes_by_the_last_resort_and_the_next_one_does_not() {
    let house = House::open().await;
    let (client, mut hears) = house.gateway("gateway/g1").await;
    client.send(contact(POISON)).await.unwrap();
    client.send(contact("call-2")).await.unwrap();
    let Some(GatewayHears::Targets { targets, .. }) = heard(&mut hears).await else { panic!("targets") };
    assert_eq!(targets, house.core.last_resort(&contact(POISON)).targets);
    let Some(GatewayHears::Targets { targets, .. }) = heard(&mut hears).await else { panic!("targets") };
    assert_eq!(targets, house.core.decided().targets);
    assert_eq!(house.doors().counters().last_resorts.load(Ordering::Relaxed), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_cannot_keep_more_says_so_and_takes_no_more() {
    let house = House::open().await;
    let mut config = house.config("gateway/g1");
    config.queue_max = 4;
    // Nobody answers there.
    config.addrs = vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 9))];
    let (client, _hears) = GatewayClient::start(config).unwrap();
    let sent = (0..5).map(|n| client.try_send(contact(&format!("call-{n}")))).collect::<Vec<_>>();
    assert_eq!(sent, [Ok(()), Ok(()), Ok(()), Ok(()), Err(TrySendError::Full)]);
    assert!(client.try_send(contact("")).is_err() && client.try_send(contact(&"r".repeat(65))).is_err());
    assert!(matches!(client.link().connected(Duration::from_millis(50)).await, Err(ClientError::TimedOut(_))));
}

// --- consoles ---

#[tokio::test(flavor = "multi_thread")]
async fn a_console_signs_in_hears_offers_and_commands_in_order_with_a_heartbeat_of_its_own() {
    let house = House::open().await;
    let (client, mut hears) = house.console("console/DU-POL/4").await;
    let seat = Seat { dispatcher: name("DU-POL"), seat: name("4") };
    let Input::ConsoleOpened { session, seat: opened, test } = house.input() else { panic!("a console opens") };
    assert_eq!((opened, test), (seat, false));
    let said = || match house.input() {
        Input::Console { session: from, says } if from == session => says,
        other => panic!("a console speaks, not {other:?}"),
    };
    assert_eq!(said(), ConsoleSays::SignIn { languages: vec![*b"ar", *b"en"], text: true, seen: 0 });
    assert_eq!(said(), ConsoleSays::Heartbeat);

    let offered = offer("call-1", false);
    assert_eq!(house.registry.send(session, ConsoleHears::Offer(Arc::clone(&offered))), Sent::Queued);
    assert_eq!(heard(&mut hears).await, Some(ConsoleHears::Offer(Arc::clone(&offered))));
    assert_eq!(client.unconfirmed_count(), 1);
    let offer = offered.id;
    client.shown(offer).await.unwrap();
    client.take(offer).await.unwrap();
    client.accept(offer).await.unwrap();
    client.decline(offer, "too far").await.unwrap();
    client.release(offer).await.unwrap();
    client.close_offer(offer, "done").await.unwrap();
    let mut commands = Vec::new();
    while commands.len() < 6 {
        let says = said();
        if says != ConsoleSays::Heartbeat {
            commands.push(says);
        }
    }
    assert_eq!(
        commands,
        [
            ConsoleSays::Shown { offer },
            ConsoleSays::Take { offer },
            ConsoleSays::Accept { offer },
            ConsoleSays::Decline { offer, reason: "too far".into() },
            ConsoleSays::Release { offer },
            ConsoleSays::Close { offer, reason: "done".into() }
        ]
    );
    client.sign_out().await;
    house.until(|input| matches!(input, Input::Console { says: ConsoleSays::SignOut, .. }));
    assert!(matches!(house.input(), Input::SessionClosed { session: closed } if closed == session));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_console_hands_back_the_offers_that_were_never_confirmed() {
    let house = House::open().await;
    let (client, mut hears) = house.console("load-test/console/DU-POL/4").await;
    let Input::ConsoleOpened { session, test: true, .. } = house.input() else { panic!("a test console opens") };
    let offers: Vec<Arc<Offer>> = ["a", "b", "c", "d"].map(|gateway_ref| offer(gateway_ref, gateway_ref == "d")).to_vec();
    for offer in &offers {
        house.registry.send(session, ConsoleHears::Offer(Arc::clone(offer)));
    }
    house.registry.send(session, ConsoleHears::Confirmed { contact: offers[0].id.contact });
    house.registry.send(session, ConsoleHears::Withdrawn { offer: offers[2].id });
    heard_until(&mut hears, |hears| matches!(hears, ConsoleHears::Withdrawn { .. })).await;
    assert_eq!(client.unconfirmed_count(), 1);

    client.link().break_line();
    house.until(|input| matches!(input, Input::ConsoleOpened { session: again, .. } if *again != session));
    let signed_in = house.input();
    assert!(matches!(signed_in, Input::Console { says: ConsoleSays::SignIn { seen: 6, .. }, .. }), "{signed_in:?}");
    let Input::Console { says: ConsoleSays::HandBack { offer, contact, decision }, .. } = house.input() else { panic!("handed back") };
    assert_eq!((offer, &decision), (offers[1].id, &offers[1].decision));
    assert!(contact.load_test, "a test console hands back test contacts only");
    assert!(matches!(house.input(), Input::Console { says: ConsoleSays::Heartbeat, .. }), "and nothing else is handed back");
}

// --- who may come in ---

#[tokio::test(flavor = "multi_thread")]
async fn a_client_without_a_certificate_is_refused() {
    let house = House::open().await;
    let tls = house.client_tls().with_no_client_auth();
    let why = raw_session(house.addr(), tls, ALPN_GATEWAY).await.err().expect("refused");
    assert!(why.contains("certificate"), "{why}");
    assert_eq!(house.registry.opened_count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_another_authority_is_refused() {
    let house = House::open().await;
    let other = tempfile::tempdir().unwrap();
    let role = Role::parse("gateway/g1").unwrap();
    let forged = DevCerts::make(other.path(), &[role]).unwrap().identity(&role).unwrap();
    let identity = Identity { authority: house.certs.server().unwrap().authority, ..forged };
    let refused = GatewayClient::connect(LinkConfig::new(house.addr(), "localhost", identity), WAIT).await.map(drop);
    assert!(matches!(refused, Err(ClientError::EngineRefused(_))), "{refused:?}");
    assert_eq!(house.registry.opened_count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_at_the_wrong_door_is_refused_with_a_sentence() {
    let house = House::open().await;
    let refused = GatewayClient::connect(house.config("console/DU-POL/4"), WAIT).await.map(drop).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the engine refused this client: urn:najda:console/DU-POL/4 is no gateway; this is the gateways' door (najda-gateway/1)"
    );
    let refused = ConsoleClient::connect(house.config("gateway/g1"), &[], false, WAIT).await.map(drop).unwrap_err();
    assert!(refused.to_string().ends_with("urn:najda:gateway/g1 is no console; this is the consoles' door (najda-console/1)"));
    let refused = GatewayClient::connect(house.config("ops/omar"), WAIT).await.map(drop).unwrap_err();
    assert!(refused.to_string().contains("urn:najda:ops/omar is no gateway"));
    assert!(house.doors().counters().refused_role.load(Ordering::Relaxed) >= 3);
    assert_eq!(house.registry.opened_count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn early_data_is_never_possible() {
    let house = House::open().await;
    let identity = house.identity("gateway/g1");
    let mut tls = house.client_tls().with_client_auth_cert(identity.chain, identity.key).unwrap();
    tls.alpn_protocols = vec![ALPN_GATEWAY.to_vec()];
    tls.enable_early_data = true;
    let tls = Arc::new(tls);
    for _ in 0..2 {
        let endpoint = quinn::Endpoint::client(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let config = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(Arc::clone(&tls)).unwrap()));
        let connecting = endpoint.connect_with(config, house.addr(), "localhost").unwrap();
        // A ticket that allowed early data would make this succeed the second time.
        let connecting = connecting.into_0rtt().map(drop).expect_err("no early data");
        let raw = Raw::greeted(connecting.await.unwrap()).await.unwrap();
        raw.connection.close(CloseCode::Bye.into(), b"");
        endpoint.wait_idle().await;
    }
}

/// Goal: nothing is kept for an address that has not answered. Method: a relay reads the first packet the engine sends back.
#[tokio::test(flavor = "multi_thread")]
async fn an_address_is_validated_before_anything_is_kept_for_it() {
    let house = House::open().await;
    let outside = tokio::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let inside = tokio::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    inside.connect(house.addr()).await.unwrap();
    let mut config = house.config("gateway/g1");
    config.addrs = vec![outside.local_addr().unwrap()];
    let first_byte = Arc::new(std::sync::OnceLock::new());
    tokio::spawn({
        let first_byte = Arc::clone(&first_byte);
        async move {
            let (mut up, mut down, mut peer) = ([0; 2_048], [0; 2_048], None);
            loop {
                tokio::select! {
                    Ok((count, from)) = outside.recv_from(&mut up) => {
                        peer = Some(from);
                        inside.send(&up[..count]).await.unwrap();
                    }
                    Ok(count) = inside.recv(&mut down) => {
                        let _ = first_byte.set(down[0]);
                        outside.send_to(&down[..count], peer.unwrap()).await.unwrap();
                    }
                }
            }
        }
    });
    GatewayClient::connect(config, WAIT).await.unwrap();
    // RFC 9000, 17.2.5: long header, type 3, is a Retry.
    assert_eq!(first_byte.get().map(|byte| byte & 0xf0), Some(0xf0));
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_bounded_and_a_place_that_is_free_again_is_given_away() {
    let house = House::with(|setup| setup.sessions_max = 1).await;
    let (first, _hears) = house.gateway("gateway/g1").await;
    let (second, _hears) = GatewayClient::start(house.config("gateway/g2")).unwrap();
    let mut states = second.link().states();
    timeout(WAIT, states.wait_for(|state| matches!(state, LinkState::Connecting { failures: 1.., .. }))).await.unwrap().unwrap();
    assert!(house.doors().counters().refused_full.load(Ordering::Relaxed) >= 1);
    first.close(Duration::ZERO).await;
    second.link().connected(WAIT).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_says_nothing_is_closed_in_time() {
    let house = House::with(|setup| setup.handshake_wait = Duration::from_millis(100)).await;
    let connection = house.raw_connection("gateway/g1").await;
    let why = timeout(WAIT, connection.closed()).await.unwrap();
    assert!(closed_with(&why, CloseCode::HandshakeSlow), "{why}");
    assert_eq!(house.registry.opened_count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_has_one_stream_and_no_datagrams() {
    let house = House::open().await;
    let raw = house.raw("gateway/g1").await;
    assert_eq!(raw.connection.max_datagram_size(), None);
    assert!(timeout(Duration::from_millis(100), raw.connection.open_bi()).await.is_err(), "a second stream never opens");
    assert!(timeout(Duration::from_millis(100), raw.connection.open_uni()).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_no_answer_is_received_together_and_at_the_latest_with_the_next_answer() {
    let house = House::open().await;
    let mut raw = house.raw("gateway/g1").await;
    let mut frames = Vec::new();
    for seq in 1..=3 {
        encode_into(seq, &GatewaySays::HungUp { key: key_of("g1", &format!("call-{seq}")), why: HangUp::Caller }, &mut frames).unwrap();
    }
    raw.send.write_all(&frames).await.unwrap();
    assert_eq!(raw.hear::<Received>().await.1, Received { through: 3 });
    frames.clear();
    encode_into(4, &GatewaySays::HungUp { key: key_of("g1", "call-4"), why: HangUp::Caller }, &mut frames).unwrap();
    encode_into(5, &GatewaySays::Contact { contact: Arc::new(contact("call-5")), handed_back: false }, &mut frames).unwrap();
    raw.send.write_all(&frames).await.unwrap();
    assert!(matches!(raw.hear().await, (1, GatewayHears::Targets { .. })));
    assert_eq!(raw.hear::<Received>().await.1, Received { through: 5 }, "nothing is told twice");
}

// --- what peers do wrong ---

#[tokio::test(flavor = "multi_thread")]
async fn an_oversized_frame_closes_the_session() {
    let house = House::open().await;
    let mut raw = house.raw("gateway/g1").await;
    let session = house.gateway_opened("g1");
    let mut header = (FRAME_BYTES_MAX as u32).to_le_bytes().to_vec();
    header.extend([FRAME_VERSION, Kind::GatewaySays as u8, 0, 0, 0, 0]);
    raw.send.write_all(&header).await.unwrap();
    let why = timeout(WAIT, raw.connection.closed()).await.unwrap();
    assert!(closed_with(&why, CloseCode::Malformed), "{why}");
    assert!(matches!(house.input(), Input::SessionClosed { session: closed } if closed == session));
    assert_eq!(house.doors().counters().malformed_closed.load(Ordering::Relaxed), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_frame_closes_the_session_and_one_out_of_order_too() {
    let house = House::open().await;
    for (damage, seq) in [(1, 1), (0, 2)] {
        let mut raw = house.raw("gateway/g1").await;
        let mut frame = Vec::new();
        encode_into(seq, &GatewaySays::HungUp { key: key_of("g1", "call-1"), why: HangUp::Caller }, &mut frame).unwrap();
        *frame.last_mut().unwrap() ^= damage;
        raw.send.write_all(&frame).await.unwrap();
        let why = timeout(WAIT, raw.connection.closed()).await.unwrap();
        assert!(closed_with(&why, CloseCode::Malformed), "{why}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_cannot_be_read_is_refused_by_name_and_the_next_is_served() {
    let house = House::open().await;
    let mut raw = house.raw("gateway/g1").await;
    let mut frame = Vec::new();
    encode_into(1, &GatewaySays::Contact { contact: Arc::new(contact("call-1")), handed_back: false }, &mut frame).unwrap();
    raw.send.write_all(&reframed(Kind::GatewaySays, &frame[HEADER_BYTES..frame.len() - 3])).await.unwrap();
    let (seq, refused): (u64, GatewayHears) = raw.hear().await;
    assert_eq!((seq, refused), (1, GatewayHears::Refused { gateway_ref: "call-1".into(), why: Refusal::Malformed }));
    frame.clear();
    encode_into(2, &GatewaySays::Contact { contact: Arc::new(contact("call-2")), handed_back: false }, &mut frame).unwrap();
    raw.send.write_all(&frame).await.unwrap();
    let (seq, targets): (u64, GatewayHears) = raw.hear().await;
    assert!(seq == 2 && matches!(targets, GatewayHears::Targets { key, .. } if &*key.gateway_ref == "call-2"));
    assert_eq!(house.doors().counters().malformed.load(Ordering::Relaxed), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_consumer_is_closed_and_its_neighbour_is_not() {
    let house = House::with(|setup| setup.session_queue = 64).await;
    let mut slow = house.raw("console/DU-POL/4").await;
    let Input::ConsoleOpened { session, .. } = house.input() else { panic!("a console opens") };
    let (_other, mut hears) = house.console("console/DU-POL/5").await;
    let Input::ConsoleOpened { session: other, .. } = house.input() else { panic!("a console opens") };
    // It reads nothing: the windows fill, then the queue.
    let big = offer(&"x".repeat(64), false);
    let sent = tokio::task::block_in_place(|| {
        let start = Instant::now();
        loop {
            match house.registry.send(session, ConsoleHears::Offer(Arc::clone(&big))) {
                Sent::Queued => std::thread::yield_now(),
                closed => break closed,
            }
            assert!(start.elapsed() < WAIT, "the queue never filled");
        }
    });
    assert_eq!((sent, house.registry.slow_closed_count()), (Sent::SlowClosed, 1));
    let why = timeout(WAIT, slow.connection.closed()).await.unwrap();
    // A close that is lost on the way is made up for by a reset.
    assert!(closed_with(&why, CloseCode::SlowConsumer) || why == quinn::ConnectionError::Reset, "{why}");
    house.until(|input| matches!(input, Input::SessionClosed { session: closed } if *closed == session));
    assert!(slow.recv.read(&mut [0; 1]).await.is_err() || slow.connection.close_reason().is_some());

    house.registry.send(other, ConsoleHears::Confirmed { contact: ContactId(3) });
    assert_eq!(heard(&mut hears).await, Some(ConsoleHears::Confirmed { contact: ContactId(3) }));
}

// --- engines come and go ---

#[tokio::test(flavor = "multi_thread")]
async fn draining_says_what_is_queued_and_then_sends_every_client_away() {
    let mut house = House::open().await;
    // So patient that it still says why it lost the line when we ask.
    let mut config = house.config("gateway/g1");
    (config.backoff_min, config.backoff_max) = (WAIT * 10, WAIT * 10);
    let (client, mut hears) = GatewayClient::connect(config, WAIT).await.unwrap();
    let session = house.gateway_opened("g1");
    let raw = house.raw("gateway/g2").await;
    for n in 0..200 {
        house.registry.send(session, GatewayHears::Overdue { key: key_of("g1", &format!("call-{n}")), contact: ContactId(n) });
    }
    let mut states = client.link().states();
    house.doors.take().unwrap().shutdown().await;
    for n in 0..200 {
        assert!(matches!(heard(&mut hears).await, Some(GatewayHears::Overdue { contact, .. }) if contact == ContactId(n)));
    }
    let lost = timeout(WAIT, states.wait_for(|state| !matches!(state, LinkState::Open { .. }))).await.unwrap().unwrap().clone();
    assert!(matches!(&lost, LinkState::Connecting { why: Some(why), .. } if why.contains("draining")), "{lost:?}");
    let why = timeout(WAIT, raw.connection.closed()).await.unwrap();
    assert!(closed_with(&why, CloseCode::Draining), "{why}");
    assert_eq!(house.registry.open_count(), 0);
}

/// Goal: a crash of the engine costs its clients a keep-alive, not their idle time-out. Method: the doors' runtime is dropped without
/// a word; the next one has the same state folder and port.
#[test]
fn an_engine_that_comes_back_after_a_crash_tells_its_old_peers_at_once() {
    let runtime = || tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (outside, engine) = (runtime(), runtime());
    let mut house = engine.block_on(House::open());
    let addr = house.addr();
    let (client, mut hears) = outside.block_on(house.gateway("gateway/g1"));
    outside.block_on(client.send(contact("call-1"))).unwrap();
    assert!(matches!(outside.block_on(heard(&mut hears)), Some(GatewayHears::Targets { .. })));
    let mut states = client.link().states();
    engine.shutdown_background();

    let again = runtime();
    let start = Instant::now();
    again.block_on(house.reopen(addr));
    let reset = outside.block_on(async {
        let lost = states.wait_for(|state| matches!(state, LinkState::Connecting { .. }));
        timeout(WAIT, lost).await.unwrap().unwrap().clone()
    });
    assert!(matches!(&reset, LinkState::Connecting { why: Some(why), .. } if why.contains("reset by peer")), "{reset:?}");
    println!("a restarted engine reset its client after {:?}", start.elapsed());
    again.block_on(async {
        house.until(|input| matches!(input, Input::Arrived { handed_back: true, contact, .. } if &*contact.key.gateway_ref == "call-1"));
    });
}

// --- speed ---

/// Goal: one line carries 10,000 contacts a second. Prints its figure; only losing one fails.
#[tokio::test(flavor = "multi_thread")]
async fn one_line_carries_a_burst_and_answers_every_contact_of_it() {
    let house = House::with(|setup| setup.self_acting = true).await;
    let (client, mut hears) = house.gateway("gateway/g1").await;
    let count = 30_000;
    let start = Instant::now();
    let sender = tokio::spawn({
        let client = client.clone();
        async move {
            for n in 0..count {
                client.send(contact(&format!("call-{n}"))).await.unwrap();
            }
        }
    });
    let (mut targets, mut durable) = (0, 0);
    while durable < count {
        match heard(&mut hears).await {
            Some(GatewayHears::Targets { .. }) => targets += 1,
            Some(GatewayHears::Durable { .. }) => durable += 1,
            other => panic!("unexpected {other:?}"),
        }
    }
    let took = start.elapsed();
    sender.await.unwrap();
    assert_eq!((targets, client.unconfirmed_count()), (count, 0));
    println!("{:.0} contacts/s on one line, each answered and confirmed", f64::from(count) / took.as_secs_f64());
}

/// Goal: what the door adds to the bare wire, in one run. Method: the same bytes each way over the same kind of connection, one in
/// flight, the three in turn and each first as often as the others; new connections each round, because where the scheduler puts a
/// connection weighs more than what runs on it. Prints; asserts nothing of the time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_door_beside_a_bare_echo() {
    let house = House::with(|setup| setup.self_acting = true).await;
    let (question, answer) = (question_bytes(), answer_bytes(&house.core.decided()));
    println!("{question} bytes there, {answer} back");
    let (mut all, mut medians) = ([Vec::new(), Vec::new(), Vec::new()], [Vec::new(), Vec::new(), Vec::new()]);
    for round in 0..12 {
        let (client, mut hears) = house.gateway("gateway/g1").await;
        let mut raw = house.raw("gateway/g2").await;
        let mut echo = Echo::open(&house, question, answer).await;
        let (mut frame, mut seq) = (Vec::new(), 0);
        let mut times = [Vec::new(), Vec::new(), Vec::new()];
        for n in 0..300 {
            for turn in 0..3 {
                let which = (n + turn) % 3;
                let start = match which {
                    0 => {
                        let start = Instant::now();
                        echo.round_trip().await;
                        start
                    }
                    1 => {
                        frame.clear();
                        seq += 1;
                        let sent =
                            GatewaySays::Contact { contact: Arc::new(contact(&format!("raw-{round:02}-{n:03}"))), handed_back: false };
                        let start = Instant::now();
                        encode_into(seq, &sent, &mut frame).unwrap();
                        raw.send.write_all(&frame).await.unwrap();
                        raw.hear_if(|hears| matches!(hears, GatewayHears::Targets { .. })).await;
                        start
                    }
                    _ => {
                        let sent = contact(&format!("via-{round:02}-{n:03}"));
                        let start = Instant::now();
                        client.send(sent).await.unwrap();
                        heard_until(&mut hears, |hears| matches!(hears, GatewayHears::Targets { .. })).await;
                        start
                    }
                };
                times[which].push(start.elapsed());
                // Nothing of this turn is left on the way when the next begins.
                match which {
                    1 => drop(raw.hear_if(|hears| matches!(hears, GatewayHears::Durable { .. })).await),
                    2 => heard_until(&mut hears, |hears| matches!(hears, GatewayHears::Durable { .. })).await,
                    _ => {}
                }
            }
        }
        for which in 0..3 {
            times[which].sort_unstable();
            medians[which].push(times[which][times[which].len() / 2]);
            all[which].append(&mut times[which]);
        }
    }
    for which in 0..3 {
        let what = ["bare echo", "contact -> targets, bare stream", "contact -> targets, client"][which];
        all[which].sort_unstable();
        let at = |per_mille: usize| all[which][all[which].len() * per_mille / 1_000];
        let (p50, p99, max) = (at(500), at(990), all[which][all[which].len() - 1]);
        let mut ratios: Vec<f64> = (0..12).map(|round| medians[which][round].as_secs_f64() / medians[0][round].as_secs_f64()).collect();
        ratios.sort_unstable_by(f64::total_cmp);
        let (least, middle, most) = (ratios[0], ratios[6], ratios[11]);
        println!("{what}: p50 {p50:?} p99 {p99:?} max {max:?}; round p50 over the echo's: {middle:.2} ({least:.2} to {most:.2})");
    }
}

/// The frame of a contact of the run.
fn question_bytes() -> usize {
    let mut frame = Vec::new();
    encode_into(1, &GatewaySays::Contact { contact: Arc::new(contact("raw-00-000")), handed_back: false }, &mut frame).unwrap();
    frame.len()
}

/// The frames of its answer: targets, and what was received.
fn answer_bytes(decided: &Decided) -> usize {
    let mut frames = Vec::new();
    let Decided { decision, targets } = decided.clone();
    let targets = GatewayHears::Targets { key: key_of("g1", "raw-00-000"), contact: ContactId(1), targets, decision };
    encode_into(1, &targets, &mut frames).unwrap();
    encode_into(0, &Received { through: 1 }, &mut frames).unwrap();
    frames.len()
}

// --- the house ---

const POISON: &str = "poison";

/// The rest of the engine, played by the test.
struct FakeCore {
    inputs: Sender<Input>,
    decided: Decided,
}

impl FakeCore {
    fn decided(&self) -> Decided {
        self.decided.clone()
    }
}

impl Core for FakeCore {
    fn decide(&self, contact: &Contact, _now: Timestamp) -> Decided {
        assert_ne!(&*contact.key.gateway_ref, POISON, "this panic is part of the test");
        self.decided()
    }

    fn last_resort(&self, _contact: &Contact) -> Decided {
        let target = Target { dispatcher: name("AE-ALL"), service: Service::Police, uri: "sip:last@example.ae".into() };
        Decided { decision: Arc::default(), targets: vec![target] }
    }

    fn submit(&self, input: Input) -> Result<(), Input> {
        self.inputs.try_send(input).map_err(|full| full.into_inner())
    }
}

struct Setup {
    engine_queue: usize,
    session_queue: usize,
    sessions_max: usize,
    handshake_wait: Duration,
    /// The engine confirms every contact by itself.
    self_acting: bool,
}

struct House {
    folder: tempfile::TempDir,
    certs: DevCerts,
    clock: Clock,
    core: Arc<FakeCore>,
    registry: Arc<SessionRegistry>,
    inputs: Receiver<Input>,
    doors: Option<Doors>,
    acting: Arc<AtomicBool>,
}

const ROLES: [&str; 7] =
    ["gateway/g1", "gateway/g2", "console/DU-POL/4", "console/DU-POL/5", "ops/omar", "load-test/gateway/lt", "load-test/console/DU-POL/4"];

impl House {
    async fn open() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut Setup)) -> Self {
        let mut setup = Setup {
            engine_queue: ENGINE_QUEUE_MAX,
            session_queue: SESSION_QUEUE_MAX,
            sessions_max: 100,
            handshake_wait: WAIT,
            self_acting: false,
        };
        change(&mut setup);
        let folder = tempfile::tempdir().unwrap();
        let certs = DevCerts::make(&folder.path().join("certs"), &ROLES.map(|role| Role::parse(role).unwrap())).unwrap();
        let (sender, inputs) = bounded(setup.engine_queue);
        let target = Target { dispatcher: name("DU-POL"), service: Service::Police, uri: "sip:du-pol@example.ae".into() };
        let decision = DecisionRecord { rung: name("device_fix"), reasons: vec!["owner: AE-DU".into()], ..DecisionRecord::default() };
        let decided = Decided { decision: Arc::new(decision), targets: vec![target] };
        let core = Arc::new(FakeCore { inputs: sender, decided });
        let registry = Arc::new(SessionRegistry::new(setup.session_queue));
        let clock = Clock::start();
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut config = DoorsConfig::new(any, certs.server().unwrap(), folder.path().to_owned());
        config.sessions_max = setup.sessions_max;
        config.handshake_wait = setup.handshake_wait;
        let doors = Doors::start(config, core.clone(), Arc::clone(&registry), clock).unwrap();
        let acting = Arc::new(AtomicBool::new(setup.self_acting));
        let house = Self { folder, certs, clock, core, registry, inputs, doors: Some(doors), acting };
        if setup.self_acting {
            house.act();
        }
        house
    }

    /// Opens again on the same port after the engine crashed.
    async fn reopen(&mut self, addr: SocketAddr) {
        self.doors = None;
        let start = Instant::now();
        self.doors = loop {
            let config = DoorsConfig::new(addr, self.certs.server().unwrap(), self.folder.path().to_owned());
            match Doors::start(config, self.core.clone(), Arc::clone(&self.registry), self.clock) {
                Ok(doors) => break Some(doors),
                // The old socket closes when its runtime's threads have ended.
                Err(why) => assert!(start.elapsed() < WAIT, "{why}"),
            }
            tokio::task::yield_now().await;
        };
    }

    /// An engine and a store that confirm every contact at once.
    fn act(&self) {
        let (inputs, registry, acting) = (self.inputs.clone(), Arc::clone(&self.registry), Arc::clone(&self.acting));
        std::thread::spawn(move || {
            while acting.load(Ordering::Relaxed) {
                let Ok(input) = inputs.recv_timeout(Duration::from_millis(200)) else { continue };
                if let Input::Arrived { session: Some(session), contact, .. } = input {
                    registry.send(session, GatewayHears::Durable { key: contact.key.clone(), contact: contact.id });
                }
            }
        });
    }

    fn doors(&self) -> &Doors {
        self.doors.as_ref().unwrap()
    }

    fn addr(&self) -> SocketAddr {
        self.doors().local_addr()
    }

    fn identity(&self, role: &str) -> Identity {
        self.certs.identity(&Role::parse(role).unwrap()).unwrap()
    }

    fn config(&self, role: &str) -> LinkConfig {
        LinkConfig::new(self.addr(), "localhost", self.identity(role))
    }

    async fn gateway(&self, role: &str) -> (GatewayClient, mpsc::Receiver<GatewayHears>) {
        GatewayClient::connect(self.config(role), WAIT).await.unwrap()
    }

    async fn console(&self, role: &str) -> (ConsoleClient, mpsc::Receiver<ConsoleHears>) {
        ConsoleClient::connect(self.config(role), &[*b"ar", *b"en"], true, WAIT).await.unwrap()
    }

    fn client_tls(&self) -> rustls::ConfigBuilder<rustls::ClientConfig, rustls::client::WantsClientCert> {
        rustls::ClientConfig::builder_with_provider(najda::client::transport::provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(self.certs.server().unwrap().roots().unwrap())
    }

    async fn raw_connection(&self, role: &str) -> quinn::Connection {
        let identity = self.identity(role);
        let tls = self.client_tls().with_client_auth_cert(identity.chain, identity.key).unwrap();
        let alpn = if role.contains("console") { najda::client::ALPN_CONSOLE } else { ALPN_GATEWAY };
        raw_connection(self.addr(), tls, alpn).await.unwrap()
    }

    /// A session without our client: for what our client would never do.
    async fn raw(&self, role: &str) -> Raw {
        Raw::greeted(self.raw_connection(role).await).await.unwrap()
    }

    /// The next thing the engine is told.
    fn input(&self) -> Input {
        tokio::task::block_in_place(|| self.inputs.recv_timeout(WAIT)).expect("the engine is told something")
    }

    fn until(&self, wanted: impl Fn(&Input) -> bool) {
        while !wanted(&self.input()) {}
    }

    fn gateway_opened(&self, trunk: &str) -> SessionId {
        match self.input() {
            Input::GatewayOpened { session, gateway } if gateway == name(trunk) => session,
            other => panic!("{trunk} opens, not {other:?}"),
        }
    }

    fn arrived(&self) -> (Arc<Contact>, bool) {
        match self.input() {
            Input::Arrived { contact, handed_back, .. } => (contact, handed_back),
            other => panic!("a contact arrives, not {other:?}"),
        }
    }

    fn durable(&self, session: SessionId, contact: &Contact) {
        let durable = GatewayHears::Durable { key: contact.key.clone(), contact: contact.id };
        assert_eq!(self.registry.send(session, durable), Sent::Queued);
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.acting.store(false, Ordering::Relaxed);
    }
}

async fn raw_connection(addr: SocketAddr, mut tls: rustls::ClientConfig, alpn: &[u8]) -> Result<quinn::Connection, String> {
    tls.alpn_protocols = vec![alpn.to_vec()];
    let endpoint = quinn::Endpoint::client(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
    let mut config = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap()));
    config.transport_config(Arc::new(najda::client::transport::transport(0)));
    endpoint.connect_with(config, addr, "localhost").unwrap().await.map_err(|why| why.to_string())
}

async fn raw_session(addr: SocketAddr, tls: rustls::ClientConfig, alpn: &[u8]) -> Result<Raw, String> {
    Raw::greeted(raw_connection(addr, tls, alpn).await?).await
}

struct Raw {
    connection: quinn::Connection,
    send: quinn::SendStream,
    recv: quinn::RecvStream,
    buffer: FrameBuffer,
}

impl Raw {
    async fn greeted(connection: quinn::Connection) -> Result<Self, String> {
        let (mut send, recv) = connection.open_bi().await.map_err(|why| why.to_string())?;
        let mut hello = Vec::new();
        encode_into(0, &Hello::default(), &mut hello).unwrap();
        send.write_all(&hello).await.map_err(|why| why.to_string())?;
        let mut raw = Self { connection, send, recv, buffer: FrameBuffer::default() };
        timeout(WAIT, raw.next::<Welcome>()).await.unwrap().map(|_| raw)
    }

    /// The next frame of this kind; others are skipped.
    async fn next<M: Message>(&mut self) -> Result<(u64, M), String> {
        loop {
            while let Some(frame) = self.buffer.next_frame().unwrap() {
                if frame.kind == M::KIND as u8 {
                    let read = decode::<M>(&frame).unwrap();
                    return Ok((read.seq, read.message));
                }
            }
            match self.recv.read(self.buffer.space()).await {
                Ok(Some(count)) => self.buffer.filled(count),
                Ok(None) => return Err("the stream ended".into()),
                Err(why) => return Err(self.connection.close_reason().map_or(why.to_string(), |why| why.to_string())),
            }
        }
    }

    async fn hear<M: Message>(&mut self) -> (u64, M) {
        timeout(WAIT, self.next()).await.unwrap().unwrap()
    }

    async fn hear_if<M: Message>(&mut self, wanted: impl Fn(&M) -> bool) -> (u64, M) {
        loop {
            let heard = self.hear().await;
            if wanted(&heard.1) {
                return heard;
            }
        }
    }
}

/// A bare quinn stream that answers `question` bytes with `answer` bytes, with our certificates and transport and none of our code.
struct Echo {
    send: quinn::SendStream,
    recv: quinn::RecvStream,
    question: Vec<u8>,
    answer: Vec<u8>,
}

impl Echo {
    async fn open(house: &House, question_bytes: usize, answer_bytes: usize) -> Self {
        let config = najda::edge::tls::quic_server(&house.certs.server().unwrap()).unwrap();
        let endpoint = quinn::Endpoint::server(config, SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let addr = endpoint.local_addr().unwrap();
        tokio::spawn(async move {
            let connection = endpoint.accept().await.unwrap().await.unwrap();
            let (mut send, mut recv) = connection.accept_bi().await.unwrap();
            let (mut question, answer) = (vec![0; question_bytes], vec![1; answer_bytes]);
            while recv.read_exact(&mut question).await.is_ok() && send.write_all(&answer).await.is_ok() {}
        });
        let identity = house.identity("gateway/g1");
        let tls = house.client_tls().with_client_auth_cert(identity.chain, identity.key).unwrap();
        let connection = raw_connection(addr, tls, ALPN_GATEWAY).await.unwrap();
        let (send, recv) = connection.open_bi().await.unwrap();
        Self { send, recv, question: vec![7; question_bytes], answer: vec![0; answer_bytes] }
    }

    async fn round_trip(&mut self) {
        self.send.write_all(&self.question).await.unwrap();
        self.recv.read_exact(&mut self.answer).await.unwrap();
    }
}

fn closed_with(why: &quinn::ConnectionError, code: CloseCode) -> bool {
    matches!(why, quinn::ConnectionError::ApplicationClosed(close) if CloseCode::from_code(close.error_code) == Some(code))
}

/// A frame around any bytes, its checksum right.
fn reframed(kind: Kind, body: &[u8]) -> Vec<u8> {
    let mut covered = vec![FRAME_VERSION, kind as u8];
    covered.extend(body);
    let mut frame = (body.len() as u32).to_le_bytes().to_vec();
    frame.extend([FRAME_VERSION, kind as u8]);
    frame.extend(crc32fast::hash(&covered).to_le_bytes());
    frame.extend(body);
    frame
}

async fn heard<H>(hears: &mut mpsc::Receiver<H>) -> Option<H> {
    timeout(WAIT, hears.recv()).await.expect("something is heard")
}

async fn heard_until<H>(hears: &mut mpsc::Receiver<H>, wanted: impl Fn(&H) -> bool) {
    while !wanted(&heard(hears).await.expect("the client lives")) {}
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn key_of(gateway: &str, gateway_ref: &str) -> ContactKey {
    ContactKey { gateway: name(gateway), gateway_ref: gateway_ref.into() }
}

fn contact(gateway_ref: &str) -> Contact {
    let key = ContactKey { gateway: Name::default(), gateway_ref: gateway_ref.into() };
    let mut contact = Contact::new(ContactId::default(), key, Timestamp::default(), Door::SipVoice);
    contact.line = Some("+971501234567".into());
    contact.signals = vec![Signal::Words("there is a fire in the kitchen".into())];
    contact
}

fn offer(gateway_ref: &str, confirmed: bool) -> Arc<Offer> {
    let mut contact = contact(gateway_ref);
    contact.id = ContactId(u128::from_le_bytes(std::array::from_fn(|n| gateway_ref.as_bytes().get(n).copied().unwrap_or(0))));
    let id = OfferId { contact: contact.id, service: Service::Police };
    let offer = Offer::new(id, Arc::new(contact), Arc::default(), name("DU-POL"), OfferRole::Responsible);
    Arc::new(Offer { take_by: Timestamp::from_secs(1), confirmed, ..offer })
}
