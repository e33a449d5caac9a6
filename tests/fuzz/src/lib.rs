//! What every fuzz target does with its bytes: reads them, and goes as far as a decision.

use std::sync::LazyLock;

use najda::deliver::{ConsoleHears, ConsoleSays, GatewayHears, GatewaySays};
use najda::edge::tables::load_or_shipped;
use najda::route::{record, route};
use najda::tables::snapshot::Snapshot;
use najda::units::{ContactId, Name, Timestamp};
use najda::wire::cap::reference_of;
use najda::wire::dialog_info;
use najda::wire::frame::{FrameBuffer, Message, decode, decode_fact, encode_into};
use najda::wire::notes::Notes;
use najda::wire::reading::{self, Kind, Receipt};
use najda::wire::reading_json;
use najda::wire::sip::Request;
use najda::wire::sip_answer::{Answer, datagram_return};

static SNAPSHOT: LazyLock<Snapshot> = LazyLock::new(|| Snapshot::of(load_or_shipped(None).expect("the shipped tables are good").tables));
/// Builds the tables before the first input, whose time would be taken for the reader's.
pub fn prepare() {
    LazyLock::force(&SNAPSHOT);
}

const NOW: Timestamp = Timestamp::from_secs(1_780_000_000);

/// A message of telephony: read, said as JSON, made a contact and routed. None of it may panic.
pub fn read(kind: Kind, bytes: &[u8]) {
    for message in reading::messages(kind, bytes) {
        let reading = reading::read(kind, message, NOW);
        if let Some(cap) = &reading.cap {
            cap.earlier().iter().for_each(|alert| drop(reference_of(alert.sender, alert.identifier)));
        }
        let object = reading_json::object(&reading);
        assert!(object.contains_key("outcome"), "whatever came, something is done with it");
        let receipt = Receipt { id: ContactId(1), gateway: Name::default(), trunk: None, received: NOW };
        if let Some(contact) = reading.contact(receipt) {
            let decision = record(&SNAPSHOT.tables, &route(&SNAPSHOT, &contact, NOW));
            assert!(decision.test || !decision.services.is_empty(), "every contact has somebody who answers");
        }
    }
}

/// A SIP message, and the answer to it: whatever came, an answer is one message and goes to whoever asked.
pub fn answer(bytes: &[u8]) {
    read(Kind::Sip, bytes);
    let Ok(request) = Request::read(bytes, &mut Notes::default()) else { return };
    let source = "192.0.2.1:5060".parse().expect("an address");
    for status in [200, 302, 400, 513] {
        let answer = Answer { status, request: &request, source, to_tag: "t" }.write("");
        let text = String::from_utf8(answer).expect("an answer is text");
        let (head, body) = text.split_once("\r\n\r\n").expect("an answer has a head");
        assert!(!head.replace("\r\n", "").contains(['\r', '\n']), "nobody begins a line of ours");
        assert!(head.ends_with(&format!("Content-Length: {}", body.len())));
    }
    assert_eq!(datagram_return(&request, source).ip(), source.ip());
}

/// A report of the legs of calls.
pub fn read_dialogs(bytes: &[u8]) {
    let legs = dialog_info::read(bytes, &mut Notes::default()).unwrap_or_default();
    assert!(legs.iter().all(|leg| !leg.call_id.is_empty() && leg.callee.len() <= 2));
    for leg in &legs {
        std::hint::black_box(leg.fate());
    }
}

/// Frames of gateways and consoles, and facts of the journal.
pub fn read_frames(bytes: &[u8]) {
    drop(decode_fact(bytes));
    let mut buffer = FrameBuffer::default();
    for part in bytes.chunks(512) {
        let space = buffer.space();
        let count = part.len().min(space.len());
        space[..count].copy_from_slice(&part[..count]);
        buffer.filled(count);
        while let Ok(Some(frame)) = buffer.next_frame() {
            again(decode::<GatewaySays>(&frame).map(|read| read.message));
            again(decode::<GatewayHears>(&frame).map(|read| read.message));
            again(decode::<ConsoleSays>(&frame).map(|read| read.message));
            again(decode::<ConsoleHears>(&frame).map(|read| read.message));
        }
    }
}

/// What was read can be written.
fn again<M: Message, E>(read: Result<M, E>) {
    if let Ok(message) = read {
        let _ = encode_into(1, &message, &mut Vec::new());
    }
}
