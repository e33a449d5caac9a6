//! `frame/codec`: what it costs to put each message of a contact's life on the wire and to read it again.
//!
//! A frame adds a length, a checksum and a sequence number to bincode's bytes, and its reader believes nothing: lengths, texts and
//! places are checked one by one. Beside it, in turns, bincode alone on a plain copy of the contact: the least that any codec of
//! these fields could take. What was read is compared with what was written, in the loop.

#![allow(clippy::disallowed_methods, reason = "a test or a measurement reads the clock")]

#[path = "measure/mod.rs"]
mod measure;

use std::fmt::Debug;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use bincode::config::legacy;
use criterion::{Criterion, criterion_group, criterion_main};
use measure::{Contender, Figures, in_turns, is_full, rounds};
use najda::contact::{Contact, ContactKey};
use najda::deliver::{ConsoleSays, GatewayHears, GatewaySays, OfferId};
use najda::edge::tables::load_or_shipped;
use najda::route::{record, route};
use najda::service::Service;
use najda::tables::snapshot::Snapshot;
use najda::units::{ContactId, Name, Timestamp};
use najda::wire::contact_json::read_contact;
use najda::wire::frame::{Message, decode, encode_into, split};

/// The fields of a contact without the house's types.
#[derive(Clone, Debug, PartialEq, bincode::Encode, bincode::Decode)]
struct Plain {
    id: u128,
    key: (String, String),
    received: u64,
    door: u8,
    trunk: Option<String>,
    line: Option<String>,
    cell: Option<String>,
    lang: Option<[u8; 2]>,
    claims: Vec<(u8, u8, i32, i32, u32, u32, u32)>,
    signals: Vec<(u8, String)>,
    oddities: Vec<u8>,
    revision: u32,
}

fn contact() -> Contact {
    let json = r#"{"id":"c-4711","door":"app","dialled":"999","lat":25.2957,"lon":55.372,"uncertainty_m":20,
        "line":"+971501234567","trunk":"gw-dubai-1","cell":"4240255030002201","text":"حريق في برج وناس محاصرين في الطابق العاشر"}"#;
    read_contact(json.as_bytes(), Name::new("gw-dubai-1").unwrap(), ContactId(7), Timestamp::from_secs(1_780_308_000)).unwrap().contact
}

fn plain() -> Plain {
    Plain {
        id: 7,
        key: ("gw-dubai-1".to_owned(), "c-4711".to_owned()),
        received: 1_780_308_000_000_000,
        door: 0,
        trunk: Some("gw-dubai-1".to_owned()),
        line: Some("+971501234567".to_owned()),
        cell: Some("4240255030002201".to_owned()),
        lang: None,
        claims: vec![(0, 1, 252_957_000, 553_720_000, 2_000, 0, 950_000)],
        signals: vec![(0, "999".to_owned()), (7, "حريق في برج وناس محاصرين في الطابق العاشر".to_owned())],
        oddities: Vec::new(),
        revision: 0,
    }
}

/// Encodes and decodes one message; the answer says that it came back.
fn there_and_back<M: Message + PartialEq + Debug>(message: &M, out: &mut Vec<u8>) -> u64 {
    out.clear();
    encode_into(1, black_box(message), out).expect("it fits");
    let Ok(Some((frame, used))) = split(out) else { return 0 };
    let Ok(read) = decode::<M>(&frame) else { return 0 };
    u64::from(used == out.len() && read.message == *message)
}

fn codec(c: &mut Criterion) {
    let mut figures = Figures::new("frame");
    let plain = plain();
    let mut bytes = vec![0; 64 * 1024];
    let mut bare = |_: usize| {
        let count = bincode::encode_into_slice(black_box(&plain), &mut bytes, legacy()).expect("it fits");
        let read: Result<(Plain, usize), _> = bincode::decode_from_slice(&bytes[..count], legacy());
        u64::from(read.is_ok_and(|(read, used)| used == count && read == plain))
    };
    let contact = Arc::new(contact());
    let snapshot = Snapshot::of(load_or_shipped(None).expect("the shipped tables").tables);
    let decision = record(&snapshot.tables, &route(&snapshot, &contact, contact.received));
    assert!(!decision.services.is_empty());
    let key = || ContactKey { gateway: Name::new("gw-dubai-1").unwrap(), gateway_ref: "c-4711".into() };
    let says = GatewaySays::Contact { contact: Arc::clone(&contact), handed_back: false };
    let durable = GatewayHears::Durable { key: key(), contact: ContactId(7) };
    let take = ConsoleSays::Take { offer: OfferId { contact: ContactId(7), service: Service::Police } };
    let calls = if is_full() { 20_000 } else { 100 };
    let mut outs = [Vec::new(), Vec::new(), Vec::new()];
    let [of_says, of_durable, of_take] = &mut outs;
    let mut all = [
        Contender::new("contact", |_| there_and_back(&says, of_says)),
        Contender::new("durable", |_| there_and_back(&durable, of_durable)),
        Contender::new("take", |_| there_and_back(&take, of_take)),
        Contender::new("bare bincode, contact", &mut bare),
    ];
    let yes: &[u64] = &[1];
    let tails = in_turns(rounds(), calls, &mut all, &[yes; 4]);
    drop(all);
    figures.beside("frame/codec/contact", "ns to write and read", &[("frame", tails[0]), ("bare bincode", tails[3])]);
    figures.beside("frame/codec/durable", "ns to write and read", &[("frame", tails[1])]);
    figures.beside("frame/codec/take", "ns to write and read", &[("frame", tails[2])]);
    println!("  frames of {}, {} and {} bytes", outs[0].len(), outs[1].len(), outs[2].len());
    figures.write();
    let mut out = Vec::new();
    c.bench_function("frame/codec/contact", |b| b.iter(|| assert_eq!(there_and_back(&says, &mut out), 1)));
    c.bench_function("frame/codec/bare_bincode", |b| b.iter(|| assert_eq!(bare(0), 1)));
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).warm_up_time(Duration::from_millis(200)).measurement_time(Duration::from_millis(600));
    targets = codec
}
criterion_main!(benches);
