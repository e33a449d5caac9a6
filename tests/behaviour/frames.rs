//! Frames: what goes out comes back, and nothing a peer can send makes the engine panic, over-allocate or believe a damaged message.

use std::fmt::Debug;
use std::sync::Arc;

use najda::contact::{ClaimSource, Contact, ContactKey, Door, LocationClaim, Oddity, Place, Signal, Whose};
use najda::decision::{AssignedRecord, Caller, DecisionRecord, NeighbourRecord};
use najda::deliver::{
    AlertWhy, AskedWhy, Callback, CallbackOutcome, ConsoleHears, ConsoleSays, Delivery, DispatcherState, Duty, Ending, Event, Evidence,
    Fact, GatewayHears, GatewaySays, HangUp, Note, Offer, OfferId, Refusal, Repeat, Role, Said, Seat, Share, Target, WaitingWhy,
};
use najda::event::{EventArea, EventId, EventTerms};
use najda::geo::area::Shape;
use najda::geo::point::Point;
use najda::incident::{Because, Candidate, IncidentId};
use najda::inform::Told;
use najda::limits::{
    CHAIN_MAX, CLAIM_VERTICES_MAX, CLAIMS_MAX, DISCREPANCIES_MAX, EVENT_TYPES_MAX, EVENT_WORDS_BYTES_MAX, FACT_BYTES_MAX, FRAME_BYTES_MAX,
    IDENTITY_BYTES_MAX, NEIGHBOURS_MAX, NOTE_BYTES_MAX, REASON_BYTES_MAX, REASONS_MAX, RELATED_MAX, SAID_BYTES_MAX, SAID_SHOWN_MAX,
    SERVICES_MAX, SIGNALS_MAX, TARGETS_MAX, URI_BYTES_MAX,
};
use najda::service::{Service, ServiceUrn, UrnKind};
use najda::units::{ContactId, Name, Ppm, TablesVersion, Timestamp};
use najda::wire::frame::{
    FACT_VERSION, FRAME_VERSION, FrameBuffer, FrameError, HEADER_BYTES, Hello, Message, Received, Welcome, decode, decode_fact,
    encode_fact, encode_into, fact_code, salvage_gateway_ref, sequence_of, split,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

// --- golden bytes ---

/// Goal: a change of any byte on the wire is seen, because gateways in the field speak the old ones.
#[test]
fn the_bytes_of_version_four_do_not_change() {
    let mut gateway = Vec::new();
    encode_into(2, &GatewaySays::HungUp { key: key("t1", "c9"), why: HangUp::LineDropped }, &mut gateway).unwrap();
    assert_eq!(
        hex(&gateway),
        "21000000 04 01 ".replace(' ', "")
            + &crc_of(&gateway)
            + "0200000000000000"
            + "03000000"
            + "02000000000000007431"
            + "02000000000000006339"
            + "01"
    );

    let mut hears = Vec::new();
    encode_into(1, &GatewayHears::Durable { key: key("t1", "c9"), contact: ContactId(0x0102) }, &mut hears).unwrap();
    let body =
        "0100000000000000".to_owned() + "01000000" + "02000000000000007431" + "02000000000000006339" + "02010000000000000000000000000000";
    assert_eq!(hex(&hears), "300000000402".to_owned() + &crc_of(&hears) + &body);

    let mut console = Vec::new();
    let offer = OfferId { contact: ContactId(1), service: Service::CivilDefence };
    encode_into(3, &ConsoleSays::Take { offer }, &mut console).unwrap();
    let body = "0300000000000000".to_owned() + "02000000" + "01000000000000000000000000000000" + "02";
    assert_eq!(hex(&console), "1d0000000403".to_owned() + &crc_of(&console) + &body);

    let mut fact = Vec::new();
    encode_fact(&Fact::Ended { at: Timestamp::from_micros(5), contact: ContactId(1), ending: Ending::TestSunk }, &mut fact).unwrap();
    assert_eq!(hex(&fact), "04".to_owned() + "09000000" + "0500000000000000" + "01000000000000000000000000000000" + "02");
}

#[test]
fn an_entry_of_each_version_before_is_still_read() {
    let ended = Fact::Ended { at: Timestamp::from_micros(5), contact: ContactId(1), ending: Ending::TestSunk };
    let mut fact = Vec::new();
    encode_fact(&ended, &mut fact).unwrap();
    for version in 2..FACT_VERSION {
        fact[0] = version;
        assert_eq!(decode_fact(&fact).as_ref(), Ok(&ended), "version {version}");
    }
}

/// Goal: the same for the widest messages, by checksum. A failure here is a new [`FRAME_VERSION`], not a new number in this test.
#[test]
fn the_checksums_of_the_full_messages_of_version_four_do_not_change() {
    let mut out = Vec::new();
    let mut crc = |put: &dyn Fn(&mut Vec<u8>)| {
        out.clear();
        put(&mut out);
        (out.len(), crc32(&out))
    };
    let (contact, decision) = (Arc::new(full_contact()), Arc::new(full_decision()));
    let contact_crc = crc(&|out| {
        encode_into(1, &GatewaySays::Contact { contact: contact.clone(), handed_back: false }, out).unwrap();
    });
    let offer_crc = crc(&|out| encode_into(1, &ConsoleHears::Offer(Arc::new(full_offer())), out).unwrap());
    let fact_crc = crc(&|out| {
        let states = vec![(name("DU-POL"), DispatcherState::Full)];
        encode_fact(&Fact::Arrived { at: Timestamp::from_secs(3), contact: contact.clone(), decision: decision.clone(), states }, out)
            .unwrap();
    });
    assert_eq!([contact_crc, offer_crc, fact_crc], GOLDEN);
}

const GOLDEN: [(usize, u32); 3] = [(319, 3_801_514_286), (1074, 3_862_548_624), (656, 806_782_813)];

// --- damage ---

#[test]
fn a_frame_cut_anywhere_is_waited_for_and_never_read() {
    for frame in full_frames() {
        for cut in 0..frame.len() {
            assert_eq!(split(&frame[..cut]), Ok(None), "cut at {cut} of {}", frame.len());
        }
        assert!(split(&frame).unwrap().is_some());
    }
}

#[test]
fn a_single_flipped_bit_is_never_believed() {
    for frame in full_frames() {
        for bit in 0..frame.len() * 8 {
            let mut damaged = frame.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            // A longer length is waited for; everything else is refused. Nothing is taken for a message.
            assert!(matches!(split(&damaged), Ok(None) | Err(_)), "bit {bit} of {}", frame.len());
        }
    }
}

#[test]
fn a_hostile_length_is_refused_before_a_byte_of_the_body_is_waited_for() {
    for length in [FRAME_BYTES_MAX as u32 - HEADER_BYTES as u32 + 1, 1 << 24, u32::MAX] {
        let mut header = length.to_le_bytes().to_vec();
        header.extend([FRAME_VERSION, 1, 0, 0, 0, 0]);
        let refused = FrameError::PeerSentTooLong { bytes_max: (FRAME_BYTES_MAX - HEADER_BYTES) as u64, got: u64::from(length) };
        assert_eq!(split(&header), Err(refused));
        assert!(!refused.is_framing_intact());
    }
}

#[test]
fn another_version_is_refused_with_both_numbers() {
    let mut frame = full_frames().remove(0);
    frame[4] = FRAME_VERSION + 1;
    let refused = FrameError::PeerSentOtherVersion { expected: FRAME_VERSION, got: FRAME_VERSION + 1 };
    assert_eq!(split(&frame), Err(refused));
    let mut fact = full_facts().remove(0);
    fact[0] = 9;
    assert_eq!(decode_fact(&fact), Err(FrameError::PeerSentOtherVersion { expected: FACT_VERSION, got: 9 }));
}

#[test]
fn bytes_after_the_body_are_refused_and_the_stream_goes_on() {
    let mut frame = Vec::new();
    encode_into(1, &Welcome { session: 4 }, &mut frame).unwrap();
    let mut longer = body_of(&frame).to_vec();
    longer.push(0);
    let refused = decode_body::<Welcome>(6, &longer).unwrap_err();
    assert_eq!(refused, FrameError::PeerSentTrailingBytes { expected: 16, got: 1 });
    assert!(refused.is_framing_intact());
}

#[test]
fn a_message_of_the_other_side_is_refused() {
    let mut frame = Vec::new();
    encode_into(1, &ConsoleSays::Heartbeat, &mut frame).unwrap();
    let (frame, _) = split(&frame).unwrap().unwrap();
    assert_eq!(decode::<GatewaySays>(&frame).unwrap_err(), FrameError::PeerSentOtherKind { expected: 1, got: 3 });
}

#[test]
fn a_body_cut_anywhere_is_an_error_and_never_a_panic() {
    for frame in full_frames() {
        let body = body_of(&frame).to_vec();
        for cut in 0..body.len() {
            assert!(decode_any(frame[5], &body[..cut]).is_err(), "cut at {cut}");
        }
    }
    for fact in full_facts() {
        for cut in 0..fact.len() {
            assert!(decode_fact(&fact[..cut]).is_err(), "cut at {cut}");
        }
    }
}

/// Goal: lengths and counts inside a body cannot make it allocate. Method: every eight bytes in turn become a huge number.
#[test]
fn a_hostile_count_inside_a_body_is_an_error_and_never_a_panic() {
    for frame in full_frames() {
        let body = body_of(&frame).to_vec();
        for at in 0..body.len().saturating_sub(8) {
            for value in [u64::MAX, 1 << 40, 70_000] {
                let mut hostile = body.clone();
                hostile[at..at + 8].copy_from_slice(&value.to_le_bytes());
                let _ = decode_any(frame[5], &hostile);
            }
        }
    }
    let mut list = 1_u64.to_le_bytes().to_vec();
    list.extend(0_u32.to_le_bytes());
    list.extend(u64::MAX.to_le_bytes());
    let refused = decode_body::<ConsoleSays>(3, &list).unwrap_err();
    assert_eq!(
        refused.to_string(),
        format!("peer sent a body that cannot be read: items of a list: expected at most 32, got {}", u64::MAX)
    );
}

#[test]
fn a_refused_contact_can_still_be_named() {
    let mut frame = Vec::new();
    encode_into(8, &GatewaySays::Contact { contact: Arc::new(full_contact()), handed_back: false }, &mut frame).unwrap();
    let body = body_of(&frame);
    let cut = najda::wire::frame::Frame { kind: 1, body: &body[..body.len() / 2] };
    assert!(decode::<GatewaySays>(&cut).is_err());
    assert_eq!(salvage_gateway_ref(&cut).as_deref(), Some("call-0001"));
    assert_eq!(sequence_of(&cut), Some(8));
    assert_eq!(salvage_gateway_ref(&najda::wire::frame::Frame { kind: 1, body: &body[..20] }), None);
}

// --- route on what can be read ---

#[test]
fn too_much_evidence_is_cut_and_the_contact_says_so() {
    let mut contact = full_contact();
    contact.oddities.clear();
    contact.claims = vec![claim(Place::point(point(1, 1))); CLAIMS_MAX + 1];
    contact.signals = vec![Signal::MenuKey(1); SIGNALS_MAX + 1];
    contact.line = Some("9".repeat(IDENTITY_BYTES_MAX + 1).into());
    contact.cell = Some("9".repeat(IDENTITY_BYTES_MAX + 1).into());
    let read = round_trip_contact(&contact);
    assert_eq!((read.claims.len(), read.signals.len()), (CLAIMS_MAX, SIGNALS_MAX));
    assert_eq!((read.line, read.cell), (None, None));
    assert_eq!(read.oddities, [Oddity::BadLine, Oddity::BadCell, Oddity::ClaimsCut, Oddity::SignalsCut]);
}

/// Goal: the same from a peer that is not our client. Method: the raw bytes carry one claim more than allowed.
#[test]
fn a_peer_that_sends_too_many_claims_is_still_routed() {
    let mut contact = full_contact();
    contact.claims = vec![claim(Place::point(point(1, 1)))];
    contact.signals.clear();
    contact.oddities.clear();
    let mut frame = Vec::new();
    encode_into(1, &GatewaySays::Contact { contact: Arc::new(contact), handed_back: false }, &mut frame).unwrap();
    let body = body_of(&frame).to_vec();
    // One claim: whose, tag, tag, point, source, age, confidence. It stands before signals, oddities, revision and the flag.
    let (claim_bytes, after) = (1 + 4 + 4 + 8 + 1 + 4 + 4, 8 + 8 + 4 + 1);
    let claim_at = body.len() - after - claim_bytes;
    let one = body[claim_at..claim_at + claim_bytes].to_vec();
    let mut long = body[..claim_at - 8].to_vec();
    long.extend((CLAIMS_MAX as u64 + 2).to_le_bytes());
    (0..CLAIMS_MAX + 2).for_each(|_| long.extend(&one));
    long.extend(&body[body.len() - after..]);
    let read = decode_raw::<GatewaySays>(1, &long).unwrap();
    assert!(read.1, "the reader is told that something was cut");
    let GatewaySays::Contact { contact, .. } = read.0 else { panic!("a contact") };
    assert_eq!((contact.claims.len(), contact.oddities.as_slice()), (CLAIMS_MAX, [Oddity::ClaimsCut].as_slice()));

    // The same contact with a latitude beyond the pole: the place is dropped, the call is not.
    let mut beyond = body.clone();
    beyond[claim_at + 9..claim_at + 13].copy_from_slice(&i32::MAX.to_le_bytes());
    let GatewaySays::Contact { contact, .. } = decode_raw::<GatewaySays>(1, &beyond).unwrap().0 else { panic!("a contact") };
    assert_eq!((contact.claims.len(), contact.oddities.as_slice()), (0, [Oddity::BadLocation].as_slice()));
}

#[test]
fn a_polygon_with_too_many_corners_is_dropped_and_never_cut_into_another_place() {
    let mut contact = full_contact();
    contact.oddities.clear();
    let ring = |count: usize| Place::Shape(Shape::Polygon((0..count as i32).map(|n| point(n, n)).collect()));
    contact.claims = vec![claim(ring(CLAIM_VERTICES_MAX + 1)), claim(ring(2)), claim(ring(CLAIM_VERTICES_MAX))];
    let read = round_trip_contact(&contact);
    assert_eq!(read.claims, [claim(ring(CLAIM_VERTICES_MAX))]);
    assert_eq!(read.oddities, [Oddity::BadLocation]);
}

#[test]
fn a_contact_too_wordy_for_a_frame_is_sent_with_its_words_cut() {
    let mut contact = full_contact();
    contact.oddities.clear();
    contact.signals = vec![Signal::Words("نار".repeat(9_000).into()); SIGNALS_MAX];
    contact.claims = vec![claim(Place::Shape(Shape::Polygon((0..CLAIM_VERTICES_MAX as i32).map(|n| point(n, n)).collect()))); CLAIMS_MAX];
    let read = round_trip_contact(&contact);
    assert_eq!((read.signals.len(), read.claims.len()), (SIGNALS_MAX, CLAIMS_MAX));
    assert_eq!(read.oddities, [Oddity::TextCut]);

    let offer = Offer { contact: Arc::new(contact), decision: Arc::new(widest_decision()), ..full_offer() };
    let mut frame = Vec::new();
    encode_into(1, &ConsoleHears::Offer(Arc::new(offer)), &mut frame).unwrap();
    assert!(frame.len() <= FRAME_BYTES_MAX);
}

#[test]
fn the_widest_targets_fit_a_frame() {
    let target = Target { dispatcher: wide_name(), service: Service::Police, uri: "u".repeat(URI_BYTES_MAX).into() };
    let targets = GatewayHears::Targets {
        key: key(&"g".repeat(32), &"r".repeat(IDENTITY_BYTES_MAX)),
        contact: ContactId(1),
        targets: vec![target; TARGETS_MAX],
        decision: Arc::new(widest_decision()),
    };
    let mut frame = Vec::new();
    encode_into(1, &targets, &mut frame).unwrap();
    assert!(frame.len() <= FRAME_BYTES_MAX);
}

#[test]
fn what_cannot_be_sent_leaves_the_buffer_as_it_was() {
    let mut out = b"before".to_vec();
    let too_long = GatewaySays::HungUp { key: key("t1", &"r".repeat(IDENTITY_BYTES_MAX + 1)), why: HangUp::Caller };
    assert!(matches!(encode_into(1, &too_long, &mut out), Err(FrameError::WeBuiltBadBody(_))));
    let mut wide = full_decision();
    wide.reasons = vec!["why".into(); REASONS_MAX + 1];
    let changed = ConsoleHears::Changed { contact: ContactId(1), revision: 1, decision: Arc::new(wide) };
    assert!(matches!(encode_into(1, &changed, &mut out), Err(FrameError::WeBuiltBadBody(_))));
    assert_eq!(out, b"before");
}

// --- streams ---

/// Goal: frames come out whole and in order however the bytes are chopped. Method: every chunk size up to a frame's.
#[test]
fn a_buffer_gives_whole_frames_however_the_bytes_arrive() {
    let mut stream = Vec::new();
    let mut wordy = full_contact();
    wordy.signals = vec![Signal::Words("w".repeat(60_000).into())];
    for seq in 1..=40 {
        let contact = Arc::new(if seq % 7 == 0 { wordy.clone() } else { full_contact() });
        encode_into(seq, &GatewaySays::Contact { contact, handed_back: false }, &mut stream).unwrap();
    }
    for chunk in [1, 2, 9, 10, 11, 100, 1_000, 8_191, 40_000, 200_000] {
        let (mut buffer, mut seen) = (FrameBuffer::default(), 0);
        let mut rest = stream.as_slice();
        while !rest.is_empty() {
            let space = buffer.space();
            assert!(!space.is_empty(), "a buffer always has room");
            let count = chunk.min(rest.len()).min(space.len());
            space[..count].copy_from_slice(&rest[..count]);
            rest = &rest[count..];
            buffer.filled(count);
            while let Some(frame) = buffer.next_frame().unwrap() {
                seen += 1;
                assert_eq!(decode::<GatewaySays>(&frame).unwrap().seq, seen);
            }
        }
        assert_eq!(seen, 40, "chunks of {chunk}");
    }
}

// --- round trips ---

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_gateway_message_comes_back_as_it_was(seq: u64, says in gateway_says(), hears in gateway_hears()) {
        check_round_trip(seq, &says);
        check_round_trip(seq, &hears);
    }

    #[test]
    fn every_console_message_comes_back_as_it_was(seq: u64, says in console_says(), hears in console_hears()) {
        check_round_trip(seq, &says);
        check_round_trip(seq, &hears);
    }

    #[test]
    fn every_session_message_comes_back_as_it_was(seq: u64, sessions_before: u32, session: u64, through: u64) {
        check_round_trip(seq, &Hello { sessions_before });
        check_round_trip(seq, &Welcome { session });
        check_round_trip(seq, &Received { through });
    }

    #[test]
    fn every_fact_comes_back_as_it_was(fact in fact()) {
        let mut out = Vec::new();
        encode_fact(&fact, &mut out).unwrap();
        prop_assert!(out.len() <= FACT_BYTES_MAX);
        prop_assert_eq!(u32::from(fact_code(&fact)), u32::from_le_bytes([out[1], out[2], out[3], out[4]]));
        prop_assert_eq!(decode_fact(&out).unwrap(), fact);
    }

    #[test]
    fn no_bytes_make_the_reader_panic(kind in 0_u8..9, body in vec(any::<u8>(), 0..600)) {
        let _ = split(&body);
        let _ = decode_any(kind, &body);
        let _ = decode_fact(&body);
    }

    #[test]
    fn no_change_of_a_good_body_makes_the_reader_panic(
        hears in console_hears(), says in gateway_says(), at: prop::sample::Index, with: u8,
    ) {
        let mut frame = Vec::new();
        for kind in [1, 4] {
            frame.clear();
            if kind == 1 { encode_into(1, &says, &mut frame).unwrap() } else { encode_into(1, &hears, &mut frame).unwrap() }
            let mut body = body_of(&frame).to_vec();
            let at = at.index(body.len());
            body[at] = with;
            let _ = decode_any(kind, &body);
        }
    }
}

fn check_round_trip<M: Message + Debug + PartialEq>(seq: u64, message: &M) {
    let mut out = b"kept".to_vec();
    encode_into(seq, message, &mut out).unwrap();
    assert!(out.starts_with(b"kept"), "encoding appends");
    let (frame, used) = split(&out[4..]).unwrap().unwrap();
    assert_eq!(used, out.len() - 4);
    let read = decode::<M>(&frame).unwrap();
    assert_eq!((read.seq, &read.message, read.cut), (seq, message, false));
}

fn round_trip_contact(contact: &Contact) -> Contact {
    let mut out = Vec::new();
    encode_into(1, &GatewaySays::Contact { contact: Arc::new(contact.clone()), handed_back: false }, &mut out).unwrap();
    assert!(out.len() <= FRAME_BYTES_MAX);
    let (frame, _) = split(&out).unwrap().unwrap();
    match decode::<GatewaySays>(&frame).unwrap().message {
        GatewaySays::Contact { contact, .. } => Contact::clone(&contact),
        other => panic!("a contact came back as {other:?}"),
    }
}

fn body_of(frame: &[u8]) -> &[u8] {
    &frame[HEADER_BYTES..]
}

fn decode_raw<M: Message>(kind: u8, body: &[u8]) -> Result<(M, bool), FrameError> {
    decode::<M>(&najda::wire::frame::Frame { kind, body }).map(|read| (read.message, read.cut))
}

fn decode_body<M: Message>(kind: u8, body: &[u8]) -> Result<M, FrameError> {
    decode_raw(kind, body).map(|(message, _)| message)
}

fn decode_any(kind: u8, body: &[u8]) -> Result<(), FrameError> {
    match kind {
        1 => decode_body::<GatewaySays>(kind, body).map(drop),
        2 => decode_body::<GatewayHears>(kind, body).map(drop),
        3 => decode_body::<ConsoleSays>(kind, body).map(drop),
        4 => decode_body::<ConsoleHears>(kind, body).map(drop),
        5 => decode_body::<Hello>(kind, body).map(drop),
        6 => decode_body::<Welcome>(kind, body).map(drop),
        _ => decode_body::<Received>(kind, body).map(drop),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn crc_of(frame: &[u8]) -> String {
    let mut covered = frame[4..6].to_vec();
    covered.extend(body_of(frame));
    hex(&crc32(&covered).to_le_bytes())
}

/// CRC-32 (IEEE 802.3) bit by bit: slow and obviously right.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    !crc
}

// --- examples ---

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn wide_name() -> Name {
    name(&"N".repeat(Name::BYTES_MAX))
}

fn key(gateway: &str, gateway_ref: &str) -> ContactKey {
    ContactKey { gateway: name(gateway), gateway_ref: gateway_ref.into() }
}

fn point(lat_e7: i32, lon_e7: i32) -> Point {
    Point::new(lat_e7, lon_e7).unwrap()
}

fn claim(place: Place) -> LocationClaim {
    LocationClaim { whose: Whose::Caller, place, source: ClaimSource::DeviceFix, age_secs: 4, confidence: Ppm(950_000) }
}

fn full_contact() -> Contact {
    let mut contact = Contact::new(ContactId(77), key("trunk-1", "call-0001"), Timestamp::from_secs(1_700_000_000), Door::SipECall);
    contact.trunk = Some(name("trunk-1"));
    contact.line = Some("+971501234567".into());
    contact.cell = Some("4240200A10000001".into());
    contact.lang = Some(*b"ar");
    contact.claims = vec![
        claim(Place::Shape(Shape::Circle { center: point(252_048_000, 552_708_000), radius_cm: 5_000 })),
        claim(Place::Makani(*b"3003295320")),
        claim(Place::Shape(Shape::Polygon(vec![point(1, 2), point(3, 4), point(-5, 6)]))),
    ];
    contact.signals = vec![
        Signal::ECall { automatic: true, occupants: Some(2), fuel_at_risk: false },
        Signal::Urn(ServiceUrn { kind: UrnKind::ECallAutomatic, test: false }),
        Signal::Words("حريق fire".into()),
    ];
    contact.oddities = vec![Oddity::BadTime];
    contact
}

fn full_decision() -> DecisionRecord {
    DecisionRecord {
        tables: TablesVersion([7; 32]),
        snapshot: 12,
        services: vec![AssignedRecord {
            service: Service::Police,
            dispatcher: name("DU-POL"),
            area: Some(name("AE-DU")),
            probability: Some(Ppm(930_000)),
            lead: true,
            chain: vec![name("DU-POL"), name("AE-ALL")],
        }],
        neighbours: vec![NeighbourRecord {
            area: Some(name("AE-SH")),
            dispatcher: name("SH-POL"),
            service: Service::Police,
            probability: Some(Ppm(70_000)),
            why: name("border"),
        }],
        area: Some(name("AE-DU")),
        incident_type: Some(name("MVA")),
        priority: Some(1),
        rung: name("device_fix"),
        discrepancies: vec![name("border_uncertain")],
        reasons: vec!["owner: AE-DU".into(), "doubt".into()],
        test: false,
        lang: Some(*b"ar"),
        interpreter: false,
        text: false,
        quiet: true,
        caller: Some(Caller { number: name("+971500000001"), links: true }),
    }
}

fn widest_decision() -> DecisionRecord {
    let assigned = AssignedRecord {
        service: Service::Police,
        dispatcher: wide_name(),
        area: Some(wide_name()),
        probability: Some(Ppm::ONE),
        lead: true,
        chain: vec![wide_name(); CHAIN_MAX],
    };
    let neighbour = NeighbourRecord {
        area: Some(wide_name()),
        dispatcher: wide_name(),
        service: Service::Police,
        probability: Some(Ppm::ONE),
        why: wide_name(),
    };
    DecisionRecord {
        services: vec![assigned; SERVICES_MAX],
        neighbours: vec![neighbour; NEIGHBOURS_MAX],
        area: Some(wide_name()),
        incident_type: Some(wide_name()),
        discrepancies: vec![wide_name(); DISCREPANCIES_MAX],
        reasons: vec!["r".repeat(REASON_BYTES_MAX).into(); REASONS_MAX],
        caller: Some(Caller { number: wide_name(), links: true }),
        ..full_decision()
    }
}

fn full_offer() -> Offer {
    Offer {
        id: OfferId { contact: ContactId(77), service: Service::Ambulance },
        contact: Arc::new(full_contact()),
        decision: Arc::new(full_decision()),
        responsible: name("DU-AMB"),
        role: Role::Overflow,
        take_by: Timestamp::from_secs(1_700_000_010),
        confirmed: false,
        held_by: Some(Seat { dispatcher: name("DU-AMB"), seat: name("seat-4") }),
        accepted: true,
        alarm: true,
        callback: Some(Callback {
            why: HangUp::Silent,
            since: Timestamp::from_secs(1_700_000_005),
            number: Some(name("+971500000001")),
            outcome: Some(CallbackOutcome::NoAnswer),
        }),
        repeat: Some(Repeat {
            earlier: ContactId(76),
            held_by: Some(Seat { dispatcher: name("DU-AMB"), seat: name("seat-3") }),
            until: Timestamp::from_secs(1_700_000_015),
        }),
        incident: IncidentId::begun_by(0, 41),
        joined: vec![ContactId(75), ContactId(76)],
        candidates: vec![Candidate {
            contact: ContactId(70),
            incident: IncidentId::begun_by(0, 39),
            score: Ppm(810_000),
            because: Because { near: true, same_type: true, ..Because::default() },
            distance_m: 64,
            apart_secs: 31,
        }],
        notes: vec![Note {
            at: Timestamp::from_secs(1_700_000_012),
            by: Seat { dispatcher: name("DU-POL"), seat: name("seat-1") },
            text: "two cars, one on its roof".into(),
        }],
        shares: vec![Share {
            service: Service::Police,
            responsible: name("DU-POL"),
            held_by: Some(Seat { dispatcher: name("DU-POL"), seat: name("seat-1") }),
            accepted: true,
            closed: false,
            dispatched: true,
        }],
        dispatched: true,
        rings: false,
        interpreter: true,
        may_inform: true,
        event: Some(EventId { partition: 0, seq: 38 }),
        ended: vec![ContactId(74)],
    }
}

fn full_frames() -> Vec<Vec<u8>> {
    let mut frames = vec![Vec::new(); 5];
    encode_into(1, &GatewaySays::Contact { contact: Arc::new(full_contact()), handed_back: true }, &mut frames[0]).unwrap();
    let target = Target { dispatcher: name("DU-POL"), service: Service::Police, uri: "sip:du-pol@example.ae".into() };
    let targets = GatewayHears::Targets {
        key: key("trunk-1", "call-0001"),
        contact: ContactId(77),
        targets: vec![target],
        decision: Arc::new(full_decision()),
    };
    encode_into(2, &targets, &mut frames[1]).unwrap();
    encode_into(3, &ConsoleSays::SignIn { languages: vec![*b"ar", *b"en"], text: true, seen: 9 }, &mut frames[2]).unwrap();
    encode_into(4, &ConsoleHears::Offer(Arc::new(full_offer())), &mut frames[3]).unwrap();
    encode_into(5, &Received { through: 4 }, &mut frames[4]).unwrap();
    frames
}

fn full_facts() -> Vec<Vec<u8>> {
    let mut facts = vec![Vec::new(); 2];
    let (contact, decision) = (Arc::new(full_contact()), Arc::new(full_decision()));
    let states = vec![(name("DU-POL"), DispatcherState::Full)];
    encode_fact(&Fact::Arrived { at: Timestamp::from_secs(3), contact, decision, states }, &mut facts[0]).unwrap();
    let offer = OfferId { contact: ContactId(77), service: Service::Police };
    let seat = Seat { dispatcher: name("DU-POL"), seat: name("seat-1") };
    encode_fact(&Fact::Closed { at: Timestamp::from_secs(4), offer, seat, reason: "done".into() }, &mut facts[1]).unwrap();
    facts
}

// --- strategies ---

fn any_name() -> impl Strategy<Value = Name> {
    prop_oneof![Just(Name::default()), "[!-~]{1,32}".prop_map(|text| name(&text))]
}

fn text(max: usize) -> impl Strategy<Value = Box<str>> {
    prop_oneof![Just(Box::from("")), "\\PC{0,40}".prop_map(move |text| Box::from(&text[..text.floor_char_boundary(max)]))]
}

fn any_key() -> impl Strategy<Value = ContactKey> {
    (any_name(), text(IDENTITY_BYTES_MAX)).prop_map(|(gateway, gateway_ref)| ContactKey { gateway, gateway_ref })
}

fn any_point() -> impl Strategy<Value = Point> {
    (-Point::LAT_E7_MAX..=Point::LAT_E7_MAX, -Point::LON_E7_MAX..=Point::LON_E7_MAX).prop_map(|(lat, lon)| point(lat, lon))
}

fn any_place() -> impl Strategy<Value = Place> {
    prop_oneof![
        any_point().prop_map(Place::point),
        (any_point(), any::<u32>()).prop_map(|(center, radius_cm)| Place::Shape(Shape::Circle { center, radius_cm })),
        (any_point(), any::<[u32; 3]>()).prop_map(|(center, [semi_major_cm, semi_minor_cm, orientation_mdeg])| {
            Place::Shape(Shape::Ellipse { center, semi_major_cm, semi_minor_cm, orientation_mdeg })
        }),
        (any_point(), any::<[u32; 4]>()).prop_map(|(center, [inner_cm, outer_cm, start_mdeg, opening_mdeg])| {
            Place::Shape(Shape::ArcBand { center, inner_cm, outer_cm, start_mdeg, opening_mdeg })
        }),
        vec(any_point(), 3..=CLAIM_VERTICES_MAX).prop_map(|ring| Place::Shape(Shape::Polygon(ring))),
        "[0-9]{10}".prop_map(|digits| Place::Makani(digits.into_bytes().try_into().unwrap())),
    ]
}

fn any_claim() -> impl Strategy<Value = LocationClaim> {
    let source = prop_oneof![
        Just(ClaimSource::DeviceFix),
        Just(ClaimSource::ByReference),
        Just(ClaimSource::ECall),
        Just(ClaimSource::Civic),
        Just(ClaimSource::Makani),
        Just(ClaimSource::ServingCell)
    ];
    (any::<bool>(), any_place(), source, any::<u32>(), 0..=1_000_000_u32).prop_map(|(caller, place, source, age_secs, ppm)| LocationClaim {
        whose: if caller { Whose::Caller } else { Whose::Incident },
        place,
        source,
        age_secs,
        confidence: Ppm(ppm),
    })
}

fn any_signal() -> impl Strategy<Value = Signal> {
    let urn = prop_oneof![
        Just(UrnKind::Ambulance),
        Just(UrnKind::AnimalControl),
        Just(UrnKind::ECallAutomatic),
        Just(UrnKind::ECallManual),
        Just(UrnKind::Fire),
        Just(UrnKind::Gas),
        Just(UrnKind::Marine),
        Just(UrnKind::Mountain),
        Just(UrnKind::Physician),
        Just(UrnKind::Poison),
        Just(UrnKind::Police),
        Just(UrnKind::Sos)
    ];
    prop_oneof![
        text(IDENTITY_BYTES_MAX).prop_map(Signal::Dialled),
        any::<(u8, u16)>().prop_map(|(digit, at_secs)| Signal::Dtmf { digit, at_secs }),
        any::<(bool, Option<u8>, bool)>().prop_map(|(automatic, occupants, fuel_at_risk)| Signal::ECall {
            automatic,
            occupants,
            fuel_at_risk
        }),
        any::<u8>().prop_map(Signal::MenuKey),
        any::<u16>().prop_map(|secs| Signal::Silence { secs }),
        (urn, any::<bool>()).prop_map(|(kind, test)| Signal::Urn(ServiceUrn { kind, test })),
        any::<bool>().prop_map(Signal::Verified),
        any_service().prop_map(Signal::Wanted),
        Just(Signal::CallBack),
        text(4_000).prop_map(Signal::Words),
        text(1_000).prop_map(Signal::Event),
    ]
}

fn any_lang() -> impl Strategy<Value = Option<[u8; 2]>> {
    option::of("[a-z]{2}".prop_map(|text| text.into_bytes().try_into().unwrap()))
}

fn any_contact() -> impl Strategy<Value = Arc<Contact>> {
    let doors = (0..Door::ALL.len()).prop_map(|index| Door::ALL[index]);
    let oddities = prop_oneof![
        Just(Vec::new()),
        Just(vec![Oddity::BadCell, Oddity::BadLine, Oddity::BadLocation, Oddity::BadMakani, Oddity::BadTime, Oddity::BadUrn]),
        Just(vec![Oddity::ClaimsCut, Oddity::SignalsCut, Oddity::TextCut, Oddity::UnknownDoor, Oddity::UnknownEvent])
    ];
    let head = (any::<u128>(), any_key(), any::<u64>(), doors, any::<bool>(), option::of(any_name()));
    let lines = (option::of(text(IDENTITY_BYTES_MAX)), option::of(text(IDENTITY_BYTES_MAX)), any_lang());
    let evidence = (vec(any_claim(), 0..=CLAIMS_MAX), vec(any_signal(), 0..=SIGNALS_MAX), oddities, any::<u32>());
    (head, lines, evidence).prop_map(|(head, (line, cell, lang), (claims, signals, oddities, revision))| {
        let (id, key, received, door, load_test, trunk) = head;
        let (id, received) = (ContactId(id), Timestamp::from_micros(received));
        Arc::new(Contact { id, key, received, door, load_test, trunk, line, cell, lang, claims, signals, oddities, revision })
    })
}

fn any_service() -> impl Strategy<Value = Service> {
    (0..Service::ALL.len()).prop_map(|index| Service::ALL[index])
}

fn any_ppm() -> impl Strategy<Value = Option<Ppm>> {
    option::of((0..=1_000_000_u32).prop_map(Ppm))
}

fn any_assigned() -> impl Strategy<Value = AssignedRecord> {
    (any_service(), any_name(), option::of(any_name()), any_ppm(), any::<bool>(), vec(any_name(), 0..=CHAIN_MAX)).prop_map(
        |(service, dispatcher, area, probability, lead, chain)| AssignedRecord { service, dispatcher, area, probability, lead, chain },
    )
}

fn any_neighbour() -> impl Strategy<Value = NeighbourRecord> {
    (option::of(any_name()), any_name(), any_service(), any_ppm(), any_name())
        .prop_map(|(area, dispatcher, service, probability, why)| NeighbourRecord { area, dispatcher, service, probability, why })
}

fn any_decision() -> impl Strategy<Value = Arc<DecisionRecord>> {
    let who = (any::<[u8; 32]>(), any::<u64>(), vec(any_assigned(), 0..4), vec(any_neighbour(), 0..4));
    let what = (option::of(any_name()), option::of(any_name()), any::<Option<u8>>(), any_name());
    let why = (
        vec(any_name(), 0..=DISCREPANCIES_MAX),
        vec(text(REASON_BYTES_MAX), 0..=REASONS_MAX),
        any_lang(),
        any::<[bool; 4]>(),
        option::of(any_caller()),
    );
    (who, what, why).prop_map(|((tables, snapshot, services, neighbours), (area, incident_type, priority, rung), why)| {
        let (discrepancies, reasons, lang, [test, interpreter, text, quiet], caller) = why;
        let tables = TablesVersion(tables);
        Arc::new(DecisionRecord {
            tables,
            snapshot,
            services,
            neighbours,
            area,
            incident_type,
            priority,
            rung,
            discrepancies,
            reasons,
            test,
            lang,
            interpreter,
            text,
            quiet,
            caller,
        })
    })
}

fn any_caller() -> impl Strategy<Value = Caller> {
    (any_name(), any::<bool>()).prop_map(|(number, links)| Caller { number, links })
}

fn any_evidence() -> impl Strategy<Value = Evidence> {
    (vec(any_claim(), 0..=CLAIMS_MAX), vec(any_signal(), 0..=SIGNALS_MAX), any_lang()).prop_map(|(claims, signals, lang)| Evidence {
        claims,
        signals,
        lang,
    })
}

fn any_id() -> impl Strategy<Value = ContactId> {
    any::<u128>().prop_map(ContactId)
}

fn any_offer_id() -> impl Strategy<Value = OfferId> {
    (any_id(), any_service()).prop_map(|(contact, service)| OfferId { contact, service })
}

fn any_seat() -> impl Strategy<Value = Seat> {
    (any_name(), any_name()).prop_map(|(dispatcher, seat)| Seat { dispatcher, seat })
}

fn any_at() -> impl Strategy<Value = Timestamp> {
    any::<u64>().prop_map(Timestamp::from_micros)
}

fn any_refusal() -> impl Strategy<Value = Refusal> {
    prop_oneof![
        Just(Refusal::HeldByAnother),
        Just(Refusal::NotYours),
        Just(Refusal::Unknown),
        Just(Refusal::OutOfTurn),
        Just(Refusal::Malformed),
        Just(Refusal::Full),
        Just(Refusal::Forbidden),
        Just(Refusal::Unstaffed),
        Just(Refusal::NoText)
    ]
}

fn any_waiting() -> impl Strategy<Value = WaitingWhy> {
    prop_oneof![Just(WaitingWhy::Declined), Just(WaitingWhy::LeaseStale), Just(WaitingWhy::Released), Just(WaitingWhy::SeatGone)]
}

fn any_asked() -> impl Strategy<Value = AskedWhy> {
    (0..AskedWhy::ALL.len()).prop_map(|index| AskedWhy::ALL[index])
}

fn any_ending() -> impl Strategy<Value = Ending> {
    prop_oneof![Just(Ending::Closed), Just(Ending::Duplicate), Just(Ending::TestSunk), Just(Ending::Overflowed), Just(Ending::CalledBack)]
}

fn any_state() -> impl Strategy<Value = DispatcherState> {
    (0..DispatcherState::ALL.len()).prop_map(|index| DispatcherState::ALL[index])
}

fn any_offer() -> impl Strategy<Value = Arc<Offer>> {
    let role = prop_oneof![
        Just(Role::Responsible),
        Just(Role::Overflow),
        Just(Role::Neighbour),
        Just(Role::Test),
        Just(Role::AllCall),
        Just(Role::Repeat),
        Just(Role::Audit)
    ];
    let what = (any_offer_id(), any_contact(), any_decision(), any_name());
    let how = (role, any_at(), any::<[bool; 3]>(), option::of(any_seat()), option::of(any_callback()), option::of(any_repeat()));
    let joint = (any_incident(), vec(any_id(), 0..3), vec(any_candidate(), 0..=RELATED_MAX), vec(any_note(), 0..3));
    let event = (option::of(any_event_id()), vec(any_id(), 0..3));
    let joint = (joint, vec(any_share(), 0..=SERVICES_MAX), any::<[bool; 4]>(), event);
    (what, how, joint).prop_map(|((id, contact, decision, responsible), how, joint)| {
        let ((incident, joined, candidates, notes), shares, [dispatched, rings, interpreter, may_inform], (event, ended)) = joint;
        let (role, take_by, [confirmed, accepted, alarm], held_by, callback, repeat) = how;
        let offer = Offer::new(id, contact, decision, responsible, role);
        let offer = Offer { take_by, confirmed, held_by, accepted, alarm, callback, repeat, ..offer };
        let offer = Offer { dispatched, rings, interpreter, may_inform, event, ended, ..offer };
        Arc::new(Offer { incident, joined, candidates, notes, shares, ..offer })
    })
}

fn any_incident() -> impl Strategy<Value = IncidentId> {
    (any::<u16>(), any::<u64>()).prop_map(|(partition, seq)| IncidentId::begun_by(partition, seq))
}

fn any_candidate() -> impl Strategy<Value = Candidate> {
    (any_id(), any_incident(), 0..=1_000_000_u32, any::<[bool; 5]>(), any::<u32>(), any::<u32>()).prop_map(
        |(contact, incident, score, [near, soon, same_type, words, same_line], distance_m, apart_secs)| Candidate {
            contact,
            incident,
            score: Ppm(score),
            because: Because { near, soon, same_type, words, same_line },
            distance_m,
            apart_secs,
        },
    )
}

fn any_share() -> impl Strategy<Value = Share> {
    (any_service(), any_name(), option::of(any_seat()), any::<[bool; 3]>()).prop_map(
        |(service, responsible, held_by, [accepted, closed, dispatched])| Share {
            service,
            responsible,
            held_by,
            accepted,
            closed,
            dispatched,
        },
    )
}

fn any_event_id() -> impl Strategy<Value = EventId> {
    (any::<u16>(), any::<u64>()).prop_map(|(partition, seq)| EventId { partition, seq })
}

fn any_terms() -> impl Strategy<Value = EventTerms> {
    let area = prop_oneof![
        any_name().prop_map(EventArea::Area),
        (any_point(), any::<u32>()).prop_map(|(center, radius_cm)| EventArea::Circle { center, radius_cm })
    ];
    let words = (text(EVENT_WORDS_BYTES_MAX), text(EVENT_WORDS_BYTES_MAX));
    (area, words, vec(any_name(), 0..=EVENT_TYPES_MAX), any_at()).prop_map(|(area, (words_en, words_ar), types, until)| EventTerms {
        area,
        words_en,
        words_ar,
        types,
        until,
    })
}

fn any_event() -> impl Strategy<Value = Event> {
    (any_event_id(), any_at(), any_seat(), any_terms()).prop_map(|(id, at, by, terms)| Event { id, at, by, terms })
}

fn any_said() -> impl Strategy<Value = Said> {
    let delivery = (0..Delivery::ALL.len()).prop_map(|index| Delivery::ALL[index]);
    (any::<u32>(), any_at(), option::of(any_seat()), text(SAID_BYTES_MAX), delivery).prop_map(|(number, at, by, text, delivery)| Said {
        number,
        at,
        by,
        text,
        delivery,
    })
}

fn any_duty() -> impl Strategy<Value = Duty> {
    (0..Duty::ALL.len()).prop_map(|index| Duty::ALL[index])
}

fn any_note() -> impl Strategy<Value = Note> {
    (any_at(), any_seat(), text(NOTE_BYTES_MAX)).prop_map(|(at, by, text)| Note { at, by, text })
}

fn any_hang_up() -> impl Strategy<Value = HangUp> {
    (0..HangUp::ALL.len()).prop_map(|index| HangUp::ALL[index])
}

fn any_outcome() -> impl Strategy<Value = CallbackOutcome> {
    (0..CallbackOutcome::ALL.len()).prop_map(|index| CallbackOutcome::ALL[index])
}

fn any_callback() -> impl Strategy<Value = Callback> {
    (any_hang_up(), any_at(), option::of(any_name()), option::of(any_outcome())).prop_map(|(why, since, number, outcome)| Callback {
        why,
        since,
        number,
        outcome,
    })
}

fn any_repeat() -> impl Strategy<Value = Repeat> {
    (any_id(), option::of(any_seat()), any_at()).prop_map(|(earlier, held_by, until)| Repeat { earlier, held_by, until })
}

fn any_alert() -> impl Strategy<Value = AlertWhy> {
    prop_oneof![Just(AlertWhy::Again), Just(AlertWhy::AllCall), Just(AlertWhy::YourTurn)]
}

fn gateway_says() -> impl Strategy<Value = GatewaySays> {
    prop_oneof![
        (any_contact(), any::<bool>()).prop_map(|(contact, handed_back)| GatewaySays::Contact { contact, handed_back }),
        (any_key(), any_evidence()).prop_map(|(key, evidence)| GatewaySays::Evidence { key, evidence }),
        (any_key(), any_name()).prop_map(|(key, dispatcher)| GatewaySays::Answered { key, dispatcher }),
        (any_key(), any_hang_up()).prop_map(|(key, why)| GatewaySays::HungUp { key, why }),
        (any_key(), any_name()).prop_map(|(key, dispatcher)| GatewaySays::TargetFailed { key, dispatcher }),
        (any_key(), any::<u32>(), any::<bool>()).prop_map(|(key, number, delivered)| GatewaySays::Delivered { key, number, delivered }),
    ]
}

fn gateway_hears() -> impl Strategy<Value = GatewayHears> {
    let target =
        (any_name(), any_service(), text(URI_BYTES_MAX)).prop_map(|(dispatcher, service, uri)| Target { dispatcher, service, uri });
    let targets = (any_key(), any_id(), vec(target, 0..10), any_decision());
    prop_oneof![
        targets.prop_map(|(key, contact, targets, decision)| GatewayHears::Targets { key, contact, targets, decision }),
        (any_key(), any_id()).prop_map(|(key, contact)| GatewayHears::Durable { key, contact }),
        (any_key(), any_id()).prop_map(|(key, contact)| GatewayHears::Overdue { key, contact }),
        (any_key(), any_id(), any_service(), any_name()).prop_map(|(key, contact, service, dispatcher)| GatewayHears::Moved {
            key,
            contact,
            service,
            dispatcher
        }),
        (any_key(), any_id(), any_service(), any_seat()).prop_map(|(key, contact, service, seat)| GatewayHears::Accepted {
            key,
            contact,
            service,
            seat
        }),
        (any_key(), any_id(), any_ending()).prop_map(|(key, contact, ending)| GatewayHears::Ended { key, contact, ending }),
        (text(IDENTITY_BYTES_MAX), any_refusal()).prop_map(|(gateway_ref, why)| GatewayHears::Refused { gateway_ref, why }),
        (any_key(), any_id(), any::<u32>(), text(SAID_BYTES_MAX)).prop_map(|(key, contact, number, text)| GatewayHears::Say {
            key,
            contact,
            number,
            text
        }),
    ]
}

fn console_says() -> impl Strategy<Value = ConsoleSays> {
    let languages = vec("[a-z]{2}".prop_map(|text| <[u8; 2]>::try_from(text.into_bytes()).unwrap()), 0..=32);
    prop_oneof![
        (languages, any::<bool>(), any::<u64>()).prop_map(|(languages, text, seen)| ConsoleSays::SignIn { languages, text, seen }),
        any_offer_id().prop_map(|offer| ConsoleSays::Shown { offer }),
        any_offer_id().prop_map(|offer| ConsoleSays::Take { offer }),
        any_offer_id().prop_map(|offer| ConsoleSays::Accept { offer }),
        (any_offer_id(), text(1_000)).prop_map(|(offer, reason)| ConsoleSays::Decline { offer, reason }),
        any_offer_id().prop_map(|offer| ConsoleSays::Release { offer }),
        (any_offer_id(), text(1_000)).prop_map(|(offer, reason)| ConsoleSays::Close { offer, reason }),
        (any_offer_id(), any_outcome(), text(1_000)).prop_map(|(offer, outcome, reason)| ConsoleSays::CalledBack {
            offer,
            outcome,
            reason
        }),
        Just(ConsoleSays::Heartbeat),
        (any_offer_id(), any_contact(), any_decision()).prop_map(|(offer, contact, decision)| ConsoleSays::HandBack {
            offer,
            contact,
            decision
        }),
        Just(ConsoleSays::SignOut),
        (any_offer_id(), any_name(), text(1_000)).prop_map(|(offer, to, reason)| ConsoleSays::Transfer { offer, to, reason }),
        (any_id(), any_service()).prop_map(|(contact, service)| ConsoleSays::AddService { contact, service }),
        (any_id(), text(NOTE_BYTES_MAX)).prop_map(|(contact, text)| ConsoleSays::Note { contact, text }),
        (any_id(), any_id()).prop_map(|(contact, with)| ConsoleSays::Join { contact, with }),
        any_id().prop_map(|contact| ConsoleSays::Split { contact }),
        (any_id(), text(SAID_BYTES_MAX)).prop_map(|(contact, text)| ConsoleSays::Say { contact, text }),
        any_id().prop_map(|contact| ConsoleSays::Read { contact }),
        any_offer_id().prop_map(|offer| ConsoleSays::Dispatched { offer }),
        any_offer_id().prop_map(|offer| ConsoleSays::Inform { offer }),
        any_terms().prop_map(|terms| ConsoleSays::Declare { terms }),
        any_event_id().prop_map(|event| ConsoleSays::EndEvent { event }),
    ]
}

fn console_hears() -> impl Strategy<Value = ConsoleHears> {
    prop_oneof![
        (any_seat(), any::<[u8; 32]>()).prop_map(|(seat, tables)| ConsoleHears::SignedIn { seat, tables: TablesVersion(tables) }),
        any_offer().prop_map(ConsoleHears::Offer),
        any_id().prop_map(|contact| ConsoleHears::Confirmed { contact }),
        (any_id(), any::<u32>(), any_decision()).prop_map(|(contact, revision, decision)| ConsoleHears::Changed {
            contact,
            revision,
            decision
        }),
        (any_offer_id(), any_seat()).prop_map(|(offer, by)| ConsoleHears::Taken { offer, by }),
        (any_offer_id(), any_seat()).prop_map(|(offer, by)| ConsoleHears::Accepted { offer, by }),
        (any_offer_id(), any_waiting()).prop_map(|(offer, why)| ConsoleHears::Waiting { offer, why }),
        any_offer_id().prop_map(|offer| ConsoleHears::Withdrawn { offer }),
        (any_offer_id(), any_seat()).prop_map(|(offer, by)| ConsoleHears::Closed { offer, by }),
        (any_id(), any_hang_up()).prop_map(|(contact, why)| ConsoleHears::CallerHungUp { contact, why }),
        (any_offer_id(), any_alert()).prop_map(|(offer, why)| ConsoleHears::Alert { offer, why }),
        (any_offer_id(), any_seat(), any_outcome()).prop_map(|(offer, by, outcome)| ConsoleHears::CalledBack { offer, by, outcome }),
        (any_offer_id(), any_name()).prop_map(|(offer, to)| ConsoleHears::Proposed { offer, to }),
        (option::of(any_offer_id()), any_refusal()).prop_map(|(offer, why)| ConsoleHears::Refused { offer, why }),
        Just(ConsoleHears::CaughtUp),
        (any_id(), vec(any_share(), 0..=SERVICES_MAX)).prop_map(|(contact, shares)| ConsoleHears::Shares { contact, shares }),
        (any_id(), any_note()).prop_map(|(contact, note)| ConsoleHears::Noted { contact, note }),
        (any_id(), vec(any_candidate(), 0..=RELATED_MAX)).prop_map(|(contact, candidates)| ConsoleHears::Related { contact, candidates }),
        (any_id(), any_incident(), vec(any_id(), 0..4), option::of(any_seat()))
            .prop_map(|(contact, incident, contacts, by)| { ConsoleHears::Joined { contact, incident, contacts, by } }),
        (any_id(), any_said()).prop_map(|(contact, said)| ConsoleHears::Said { contact, said }),
        (any_id(), vec(any_said(), 0..=SAID_SHOWN_MAX)).prop_map(|(contact, said)| ConsoleHears::Conversation { contact, said }),
        (any_id(), any::<u32>(), any::<bool>()).prop_map(|(contact, number, delivered)| ConsoleHears::Delivered {
            contact,
            number,
            delivered
        }),
        (any_offer_id(), any_seat()).prop_map(|(offer, by)| ConsoleHears::Dispatched { offer, by }),
        (any_id(), vec(any_id(), 0..4)).prop_map(|(contact, ended)| ConsoleHears::MembersEnded { contact, ended }),
        (any_id(), any_seat()).prop_map(|(contact, by)| ConsoleHears::Informed { contact, by }),
        any_event().prop_map(|event| ConsoleHears::Declared { event }),
        (any_event_id(), option::of(any_seat())).prop_map(|(event, by)| ConsoleHears::EventOver { event, by }),
    ]
}

fn fact() -> impl Strategy<Value = Fact> {
    let states = vec((any_name(), any_state()), 0..20);
    prop_oneof![
        (any_at(), any_contact(), any_decision(), states).prop_map(|(at, contact, decision, states)| Fact::Arrived {
            at,
            contact,
            decision,
            states
        }),
        (any_at(), any_id(), any::<u32>(), any_evidence(), any_decision())
            .prop_map(|(at, contact, revision, evidence, decision)| { Fact::Redecided { at, contact, revision, evidence, decision } }),
        (any_at(), any_offer_id(), any_name(), any_asked()).prop_map(|(at, offer, dispatcher, why)| Fact::Asked {
            at,
            offer,
            dispatcher,
            why
        }),
        (any_at(), any_offer_id(), any_seat(), text(1_000)).prop_map(|(at, offer, seat, reason)| Fact::Declined {
            at,
            offer,
            seat,
            reason
        }),
        (any_at(), any_id(), any_seat(), text(NOTE_BYTES_MAX)).prop_map(|(at, contact, seat, text)| Fact::Noted {
            at,
            contact,
            seat,
            text
        }),
        (any_at(), any_id(), any_incident(), option::of(any_seat())).prop_map(|(at, contact, incident, seat)| Fact::Joined {
            at,
            contact,
            incident,
            seat
        }),
        (any_at(), any_offer_id(), any_seat()).prop_map(|(at, offer, seat)| Fact::Taken { at, offer, seat }),
        (any_at(), any_offer_id(), any_seat()).prop_map(|(at, offer, seat)| Fact::Accepted { at, offer, seat }),
        (any_at(), any_offer_id(), any_waiting(), text(1_000)).prop_map(|(at, offer, why, reason)| Fact::Waiting {
            at,
            offer,
            why,
            reason
        }),
        (any_at(), any_offer_id(), any_seat(), text(1_000)).prop_map(|(at, offer, seat, reason)| Fact::Closed { at, offer, seat, reason }),
        (any_at(), any_id(), any_hang_up(), any::<bool>()).prop_map(|(at, contact, why, callback)| Fact::HungUp {
            at,
            contact,
            why,
            callback
        }),
        (any_at(), any_offer_id(), any_seat(), any_outcome(), text(1_000))
            .prop_map(|(at, offer, seat, outcome, reason)| Fact::CalledBack { at, offer, seat, outcome, reason }),
        (any_at(), any_id(), any_id(), option::of(any_seat())).prop_map(|(at, contact, earlier, seat)| Fact::Repeated {
            at,
            contact,
            earlier,
            seat
        }),
        (any_at(), any_id(), any_name()).prop_map(|(at, contact, dispatcher)| Fact::Answered { at, contact, dispatcher }),
        (any_at(), any_id(), any_ending()).prop_map(|(at, contact, ending)| Fact::Ended { at, contact, ending }),
        (any_at(), any_name(), any_state(), any_name()).prop_map(|(at, dispatcher, state, by)| Fact::State { at, dispatcher, state, by }),
        (any_at(), any_id(), any::<u32>(), option::of(any_seat()), text(SAID_BYTES_MAX))
            .prop_map(|(at, contact, number, seat, text)| Fact::Said { at, contact, number, seat, text }),
        (any_at(), any_id(), any::<u32>(), any::<bool>()).prop_map(|(at, contact, number, delivered)| Fact::Delivered {
            at,
            contact,
            number,
            delivered
        }),
        (any_at(), any_id(), any_seat(), any_duty()).prop_map(|(at, contact, by, duty)| Fact::Read { at, contact, by, duty }),
        (any_at(), any_offer_id(), any_seat()).prop_map(|(at, offer, seat)| Fact::Dispatched { at, offer, seat }),
        (any_at(), any_event()).prop_map(|(at, event)| Fact::Declared { at, event }),
        (any_at(), any_id(), vec(any_id(), 0..4)).prop_map(|(at, contact, ended)| Fact::Left { at, contact, ended }),
        (any_at(), any_event_id(), option::of(any_seat())).prop_map(|(at, event, seat)| Fact::EventOver { at, event, seat }),
        (any_at(), any_id(), any::<[bool; 2]>(), any_name(), any_seat(), option::of(any_seat())).prop_map(
            |(at, contact, [rate, again], number, of, seat)| {
                let told = if rate { Told::Rate } else { Told::Heard };
                Fact::Informed { at, contact, told, number, lang: Some(*b"ar"), dispatcher: of.dispatcher, seat, again }
            }
        ),
        (any_at(), any_id(), any::<u8>()).prop_map(|(at, contact, stars)| Fact::Rated { at, contact, stars }),
        (any_at(), any::<[u8; 32]>(), any_name()).prop_map(|(at, version, by)| Fact::Tables { at, version: TablesVersion(version), by }),
    ]
}
