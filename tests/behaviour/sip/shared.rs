//! The samples beside the repository, over a real socket: each hears what its reading says, and none stops the door.

use std::fs;
use std::path::Path;

use najda::wire::reading::{self, Kind, Outcome};

use super::*;

/// What a datagram hears; 0 is silence.
fn expected(bytes: &[u8], now: najda::units::Timestamp) -> Vec<u16> {
    let reading = reading::read(Kind::Sip, bytes, now);
    match (reading.outcome, reading.method.as_deref()) {
        (Outcome::Rejected { status, .. } | Outcome::Answered { status }, _) => vec![status],
        (Outcome::Dropped { status, .. }, _) => vec![status.unwrap_or(0)],
        (Outcome::Routed, Some("INVITE")) if reading.test_call => vec![404],
        (Outcome::Routed, Some("INVITE")) => vec![302],
        (Outcome::Routed, _) => vec![200, 202],
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_sample_hears_what_its_reading_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/samples");
    let files = ["valid", "hostile"].iter().flat_map(|kind| fs::read_dir(folder.join(kind)).into_iter().flatten().flatten());
    let mut files: Vec<_> = files.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|ext| ext == "sip")).collect();
    files.sort();
    if files.is_empty() {
        return println!("samples beside the repository are absent: 1 test skipped");
    }
    let telephony = Telephony::start().await;
    let now = telephony.running.node.core().clock.now();
    let (mut answered, mut silent) = (0, 0);
    for path in &files {
        let bytes = fs::read(path).unwrap();
        let phone = telephony.phone().await;
        phone.say(&bytes).await;
        let statuses = expected(&bytes, now);
        // Without `rport` an answer goes to the sender's port 5060, which is not this socket.
        if statuses == [0] || !String::from_utf8_lossy(&bytes).contains(";rport") {
            silent += 1;
            continue;
        }
        let answer = phone.hear().await;
        assert!(statuses.contains(&answer.status()), "{}: {statuses:?}, heard {}", path.display(), answer.0);
        assert!(answer.status() != 302 || !answer.targets().is_empty(), "{}", path.display());
        answered += 1;
    }
    assert_eq!(telephony.phone().await.ask(call("k@gw").bare("OPTIONS").bytes()).await.status(), 200);
    println!("{answered} samples answered, {silent} without an answer that could be heard here");
}
