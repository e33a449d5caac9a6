//! The heart allocates nothing and takes no lock on the common path.

#![allow(clippy::disallowed_methods, reason = "a test or a measurement reads the clock")]

#[path = "behaviour/messages/forge.rs"]
#[allow(dead_code, reason = "the tests of messages forge more")]
mod forge;
#[path = "behaviour/messages/longest.rs"]
#[allow(dead_code, reason = "the bench reads more of it")]
mod longest;

use najda::edge::tables::load_or_shipped;
use najda::route::route;
use najda::tables::published::Published;
use najda::tables::snapshot::Snapshot;
use najda::units::{ContactId, Name, Timestamp};
use najda::wire::contact_json::read_contact;
use najda::wire::dialog_info;
use najda::wire::notes::Notes;
use najda::wire::reading::{self, Kind};
use najda::wire::sip::Request;
use najda::wire::sip_answer::Answer;

fn allocations_of(json: &str) -> u64 {
    let published = Published::new(Snapshot::of(load_or_shipped(None).unwrap().tables));
    let contact =
        read_contact(json.as_bytes(), Name::new("t").unwrap(), ContactId(1), Timestamp::from_secs(1_780_308_000)).unwrap().contact;
    let decide = || {
        let snapshot = published.load();
        let decision = route(&snapshot, &contact, contact.received);
        assert!(decision.lead().is_some());
        std::hint::black_box(&decision);
    };
    decide();
    allocation_counter::measure(|| (0..1_000).for_each(|_| decide())).count_total
}

#[test]
fn a_decision_with_one_owner_allocates_nothing() {
    assert_eq!(allocations_of(r#"{"id":"a","dialled":"999","lat":25.20,"lon":55.27,"uncertainty_m":10}"#), 0);
}

#[test]
fn a_decision_on_a_border_allocates_nothing() {
    assert_eq!(allocations_of(r#"{"id":"a","dialled":"999","lat":25.2957,"lon":55.372,"uncertainty_m":800}"#), 0);
}

#[test]
fn words_in_arabic_allocate_nothing() {
    assert_eq!(allocations_of(r#"{"id":"a","lat":25.20,"lon":55.27,"text":"حريق في برج في النهضة وناس محاصرين في الطابق العاشر"}"#), 0);
}

#[test]
fn a_contact_without_a_place_allocates_nothing() {
    assert_eq!(allocations_of(r#"{"id":"a","dialled":"999","line":"+97160000015"}"#), 0);
}

/// Locks are found by eye as well: the modules a decision passes through name none.
#[test]
fn the_path_of_a_decision_names_no_lock() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = vec![root.join("classify.rs"), root.join("locate.rs"), root.join("route.rs"), root.join("decision.rs")];
    for folder in ["geo", "tables"] {
        files.extend(std::fs::read_dir(root.join(folder)).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file()));
    }
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        for lock in ["Mutex", "RwLock", "Condvar", "Once", "thread_local"] {
            assert!(!text.contains(lock), "{} names {lock}", file.display());
        }
    }
}

/// Four times the message and 64 KiB, whatever is in it.
fn reads_within_its_bound(kind: Kind, name: &str, bytes: &[u8]) {
    let now = Timestamp::from_secs(1_769_932_860);
    let used = allocation_counter::measure(|| drop(std::hint::black_box(reading::read(kind, bytes, now)))).bytes_total;
    let bound = 4 * bytes.len() as u64 + 64 * 1024;
    assert!(used <= bound, "{name} as {}: {used} bytes for {} read, {bound} allowed", kind.word(), bytes.len());
}

#[test]
fn no_reader_allocates_more_than_four_times_its_input() {
    let head = "INVITE sip:999@h SIP/2.0\r\nVia: a\r\nFrom: a\r\nTo: b\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n";
    let geo = "xmlns:g=\"http://www.opengis.net/gml\"";
    let hostile: [(&str, String); 12] = [
        ("headers", format!("{head}{}\r\n", "P-Access-Network-Info: GSTN;a=b;c=d\r\n".repeat(1_500))),
        ("values", format!("{head}History-Info: {}\r\n\r\n", "<sip:1@b>,".repeat(700))),
        ("folds", format!("{head}Subject: {}\r\n\r\n", "\r\n a".repeat(2_000))),
        ("parts", format!("{head}Content-Type: multipart/mixed;boundary=x\r\n\r\n{}", "--x\r\n\r\n".repeat(8_000))),
        ("tokens", format!("{head}{}\r\n", format!("Identity: e30.{}.x\r\n", "W1tb".repeat(1_000)).repeat(12))),
        ("depth", "<a>".repeat(20_000)),
        ("bindings", format!("<a {}>", (0..9_000).map(|at| format!("xmlns:a{at}='' ")).collect::<String>())),
        ("elements", format!("<presence>{}", "<a/>".repeat(15_000))),
        ("vertices", format!("<g:Polygon {geo}><g:posList>{}</g:posList></g:Polygon>", "1 2 ".repeat(15_000))),
        ("references", format!("<presence><a>{}</a></presence>", "&amp;".repeat(12_000))),
        ("form", "a=b&".repeat(4_000)),
        ("json", format!("{{\"a\":[{}1]}}", "1,".repeat(7_000))),
    ];
    for (name, text) in &hostile {
        for kind in Kind::ALL {
            reads_within_its_bound(kind, name, text.as_bytes());
        }
    }
    let wrapped = format!(
        "<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" {geo}><tuple><status><geopriv xmlns=\"urn:ietf:params:xml:ns:pidf:geopriv10\">\
         <location-info><g:Polygon><g:exterior><g:LinearRing>{}</g:LinearRing></g:exterior></g:Polygon></location-info></geopriv></status>\
         </tuple></presence>",
        "<g:pos>1 2</g:pos>".repeat(3_000)
    );
    reads_within_its_bound(Kind::Pidf, "positions", wrapped.as_bytes());
}

#[test]
fn no_message_of_our_own_takes_more_than_its_bound() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/messages");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        Kind::ALL.into_iter().for_each(|kind| reads_within_its_bound(kind, &path.display().to_string(), &bytes));
    }
}

/// As `reads_within_its_bound`, for readers that stand beside those of contacts.
fn works_within_its_bound(name: &str, bytes: &[u8], work: impl Fn(&[u8])) {
    let used = allocation_counter::measure(|| work(std::hint::black_box(bytes))).bytes_total;
    let bound = 4 * bytes.len() as u64 + 64 * 1024;
    assert!(used <= bound, "{name}: {used} bytes for {} read, {bound} allowed", bytes.len());
}

#[test]
fn the_longest_messages_that_are_accepted_take_no_more_than_their_bound() {
    for (name, kind, bytes) in &longest::longest() {
        assert_eq!(reading::read(*kind, bytes, Timestamp::from_secs(1_769_932_860)).outcome, reading::Outcome::Routed, "{name}");
        Kind::ALL.into_iter().for_each(|kind| reads_within_its_bound(kind, name, bytes));
    }
}

#[test]
fn what_doors_do_with_a_message_beside_reading_it_takes_no_more_than_its_bound() {
    let dialogs = |bytes: &[u8]| drop(dialog_info::read(bytes, &mut Notes::default()));
    works_within_its_bound("legs", &longest::longest_report(), dialogs);
    works_within_its_bound("dialogs", format!("<dialog-info>{}", "<dialog call-id='a'/>".repeat(900)).as_bytes(), dialogs);
    let answer = |bytes: &[u8]| {
        let Ok(request) = Request::read(bytes, &mut Notes::default()) else { return };
        drop(Answer { status: 302, request: &request, source: "192.0.2.1:5060".parse().unwrap(), to_tag: "t" }.write(""));
    };
    for (name, _, bytes) in longest::longest().iter().filter(|(_, kind, _)| *kind == Kind::Sip) {
        works_within_its_bound(name, bytes, answer);
    }
    let head = "INVITE sip:999@h SIP/2.0\r\nFrom: a\r\nTo: b\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n";
    let vias = format!("{head}{}\r\n", "Via: SIP/2.0/UDP a;branch=b\r\n".repeat(240));
    let data = format!(
        "{head}Via: a\r\nAccept: application/EmergencyCallData.Control+xml\r\nContent-Type: multipart/mixed;boundary=x\r\n\r\n{}",
        "--x\r\nContent-Type: application/EmergencyCallData.eCall.MSD\r\nContent-ID: <a&b>\r\n\r\nx\r\n".repeat(500)
    );
    for (name, text) in [("vias", vias), ("data", data)] {
        works_within_its_bound(name, text.as_bytes(), answer);
    }
}
