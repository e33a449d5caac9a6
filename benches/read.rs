//! How long a message takes to be read, before anything can be decided. The longest that is accepted of each kind must stay under a
//! millisecond; it is measured here and asserted nowhere, because machines differ.
//!
//! `read/floor_utf8` checks the same bytes for being text: nothing reads them faster.

#![allow(clippy::disallowed_methods, reason = "a test or a measurement reads the clock")]

#[path = "../tests/behaviour/messages/forge.rs"]
#[allow(dead_code, reason = "the tests forge more")]
mod forge;
#[path = "../tests/behaviour/messages/longest.rs"]
mod longest;

use criterion::{Criterion, criterion_group, criterion_main};
use najda::limits::SIP_BYTES_MAX;
use najda::units::Timestamp;
use najda::wire::dialog_info;
use najda::wire::notes::Notes;
use najda::wire::reading::{self, Kind, Outcome};

use longest::{POINT, call_with, document};

const NOW: Timestamp = Timestamp::from_secs(1_769_932_860);

fn read(c: &mut Criterion) {
    let everyday = call_with("P-Asserted-Identity: <tel:+971501234567>\r\n", "application/pidf+xml", &document(POINT));
    let mut all = vec![("everyday", Kind::Sip, everyday)];
    all.extend(longest::longest());
    for (name, kind, bytes) in &all {
        assert!(bytes.len() <= SIP_BYTES_MAX, "{name} has {} bytes", bytes.len());
        c.bench_function(&format!("read/{name}"), |b| {
            b.iter(|| {
                let reading = reading::read(*kind, std::hint::black_box(bytes), NOW);
                assert_eq!(reading.outcome, Outcome::Routed, "{name}");
                reading
            });
        });
    }
    let report = longest::longest_report();
    assert!(report.len() <= SIP_BYTES_MAX);
    c.bench_function("read/dialog_info", |b| {
        b.iter(|| dialog_info::read(std::hint::black_box(&report), &mut Notes::default()).is_some_and(|legs| !legs.is_empty()));
    });
    let longest = all.iter().map(|(.., bytes)| bytes).max_by_key(|bytes| bytes.len()).cloned().unwrap_or_default();
    c.bench_function("read/floor_utf8", |b| b.iter(|| std::str::from_utf8(std::hint::black_box(&longest)).is_ok()));
}

criterion_group!(benches, read);
criterion_main!(benches);
