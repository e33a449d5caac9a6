//! A running engine whose store is gone for longer than entries can wait: what was lost is declared, written again, and promised.

use std::collections::BTreeSet;
use std::sync::Arc;

use najda::client::GatewayClient;
use najda::contact::{Contact, ContactKey, Door};
use najda::deliver::GatewayHears;
use najda::edge::run::Tuning;
use najda::edge::store::memory::{Fault, MemoryDisk};
use najda::store::Store;
use najda::units::{ContactId, Timestamp};
use tokio::sync::mpsc;

use super::rig::{held, partition};
use crate::running::{Keep, Running, Set, heard, name, until};

async fn send(client: &GatewayClient, gateway_ref: &str) {
    let key = ContactKey { gateway: name("g1"), gateway_ref: gateway_ref.into() };
    client.send(Contact::new(ContactId(0), key, Timestamp::default(), Door::SipVoice)).await.unwrap();
}

/// Listens until every one of these contacts was called durable.
async fn await_durable(hears: &mut mpsc::Receiver<GatewayHears>, gateway_refs: &[&str]) {
    let mut missing: BTreeSet<&str> = gateway_refs.iter().copied().collect();
    while !missing.is_empty() {
        if let GatewayHears::Durable { key, .. } = heard(hears).await {
            missing.remove(&*key.gateway_ref);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_was_gone_for_too_long_holds_everything_alive_again_and_every_promise_follows() {
    let disk = MemoryDisk::default();
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let tuning = Tuning { pending_entries_max: 4, ..Tuning::default() };
    let running = Running::tuned(Arc::clone(&folder), Keep::InMemory(disk.clone()), Set::testland(), tuning, |_| {}).await;
    let (memory, figures) = (running.memory.clone().unwrap(), Arc::clone(&running.node.core().figures));
    let (client, mut hears) = running.gateway("gateway/g1").await;
    send(&client, "before").await;
    await_durable(&mut hears, &["before"]).await;
    for outage in ["first", "second"] {
        memory.inject(Fault::Gone);
        let lost_before = figures.load().counters.entries_lost;
        let refs: Vec<String> = (0..6).map(|number| format!("{outage}-{number}")).collect();
        for gateway_ref in &refs {
            send(&client, gateway_ref).await;
        }
        until("entries are given up", || figures.load().counters.entries_lost > lost_before && figures.load().promises_ended).await;
        memory.release();
        let refs: Vec<&str> = refs.iter().map(String::as_str).collect();
        await_durable(&mut hears, &refs).await;
        assert!(!figures.load().promises_ended, "what was lost has been written again");
    }
    send(&client, "after").await;
    await_durable(&mut hears, &["after"]).await;

    let (page, found, counters) = (held(&*memory), memory.verify(partition()).unwrap(), figures.load().counters);
    assert!(found.holds() && page.breaks.is_empty());
    let lost: u64 = page.holes.iter().map(|hole| hole.last_seq - hole.first_seq + 1).sum();
    assert_eq!(lost, counters.entries_lost, "what the engine counts as lost is what the journal declares");
    assert_eq!((page.holes.len(), counters.internal), (2, 0), "each outage is one declared loss");
    drop(memory);
    client.close(crate::running::WAIT).await;
    drop(running.stop().await);

    let again = Running::in_folder(folder, Keep::InMemory(disk), Set::testland(), |_| {}).await;
    assert_eq!(again.node.started().live_contacts, 14, "the journal alone rebuilds every contact");
    again.stop().await;
}
