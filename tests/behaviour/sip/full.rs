//! What is full, frozen, or away for a moment: calls are answered all the same, and what was said of them is told later.

use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use najda::deliver::{GatewayHears, HangUp};
use najda::edge::ingress::Core;
use najda::edge::store::memory::MemoryStore;
use najda::engine::Input;
use najda::journal::chain::{Anchor, Verified};
use najda::limits::GATEWAY_SESSIONS_MAX;
use najda::store::{Batch, BlobName, Checkpoint, Claim, Health, Page, Rejected, Removable, Store, StoreError};
use najda::units::{Name, Timestamp};

use super::*;

/// A store whose disk can freeze: then an append does not come back, which no store of ours may do, and a broken one might.
struct Frozen {
    inner: MemoryStore,
    gate: Arc<Gate>,
}

#[derive(Default)]
struct Gate {
    state: Mutex<(bool, bool)>,
    turned: Condvar,
}

impl Gate {
    fn freeze(&self, frozen: bool) {
        self.state.lock().unwrap().0 = frozen;
        self.turned.notify_all();
    }

    /// Somebody stands before it.
    fn is_waited_at(&self) -> bool {
        self.state.lock().unwrap().1
    }

    fn pass(&self) {
        let mut state = self.state.lock().unwrap();
        while state.0 {
            state.1 = true;
            state = self.turned.wait(state).unwrap();
        }
        state.1 = false;
    }
}

impl Store for Frozen {
    fn append(&self, batch: Batch) -> Result<(), Rejected> {
        self.gate.pass();
        self.inner.append(batch)
    }

    fn claim(&self, partition: Partition) -> Result<Claim, StoreError> {
        self.inner.claim(partition)
    }

    fn read(&self, partition: Partition, from_seq: u64, entry_count_max: usize) -> Result<Page, StoreError> {
        self.inner.read(partition, from_seq, entry_count_max)
    }

    fn verify(&self, partition: Partition) -> Result<Verified, StoreError> {
        self.inner.verify(partition)
    }

    fn put_blob(&self, name: BlobName, bytes: &[u8]) -> Result<(), StoreError> {
        self.inner.put_blob(name, bytes)
    }

    fn blob(&self, name: BlobName) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner.blob(name)
    }

    fn put_checkpoint(&self, partition: Partition, checkpoint: &Checkpoint) -> Result<(), StoreError> {
        self.inner.put_checkpoint(partition, checkpoint)
    }

    fn checkpoints(&self, partition: Partition) -> Result<Vec<u64>, StoreError> {
        self.inner.checkpoints(partition)
    }

    fn checkpoint(&self, partition: Partition, seq: u64) -> Result<Checkpoint, StoreError> {
        self.inner.checkpoint(partition, seq)
    }

    fn removable(&self, partition: Partition, older_than: Timestamp) -> Result<Removable, StoreError> {
        self.inner.removable(partition, older_than)
    }

    fn remove(&self, partition: Partition, before: Anchor) -> Result<(), StoreError> {
        self.inner.remove(partition, before)
    }

    fn blob_names(&self) -> Result<Vec<BlobName>, StoreError> {
        self.inner.blob_names()
    }

    fn remove_blob_untouched(&self, name: BlobName, since: Timestamp) -> Result<bool, StoreError> {
        self.inner.remove_blob_untouched(name, since)
    }

    fn health(&self) -> Health {
        self.inner.health()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_engine_stands_still_every_call_and_keepalive_is_answered_and_nothing_is_lost() {
    let gate = Arc::new(Gate::default());
    let kept = Arc::clone(&gate);
    let open =
        Keep::By(Box::new(move |listener| Ok(Arc::new(Frozen { inner: MemoryStore::open(MemoryDisk::default(), listener), gate: kept }))));
    let telephony = Telephony::with(open, |_| {}).await;
    let phone = telephony.phone().await;
    gate.freeze(true);
    phone.ask(call("first@gw").bytes()).await;
    until("the engine's thread stands before the disk", || gate.is_waited_at()).await;
    while telephony.running.node.core().leave(Input::Tick).is_ok() {}
    for n in 0..200 {
        assert_eq!(phone.ask(call(&format!("{n}@gw")).bytes()).await.targets(), POLICE);
        assert_eq!(phone.ask(call("k@gw").bare("OPTIONS").bytes()).await.status(), 200);
        // What is said of a call never overtakes it.
        assert_eq!(phone.ask(call(&format!("{n}@gw")).bare("CANCEL").bytes()).await.status(), 200);
    }
    assert_eq!(telephony.door.shared_counters().resubmitted.load(Ordering::Relaxed), 400);
    gate.freeze(false);
    until("every call is with the engine, and that its caller is gone", || {
        (telephony.engine().arrived, telephony.engine().callbacks) == (201, 200)
    })
    .await;
    assert_eq!((telephony.engine().unknown_contact, telephony.engine().out_of_turn), (0, 0));
    assert_eq!(telephony.door.shared_counters().inputs_lost.load(Ordering::Relaxed), 0);
}

/// Goal: a datagram for which there is no room costs its sender a retransmission. Method: a queue of one, and more at once than anybody
/// reads, until one was refused; then again what got no answer, as gateways do.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_found_the_queue_full_is_answered_when_it_comes_again() {
    let change = |config: &mut SipConfig| (config.workers, config.queue_max) = (1, 1);
    let telephony = Telephony::with(Keep::InMemory(MemoryDisk::default()), change).await;
    let phone = telephony.phone().await;
    let refused = || telephony.door.shared_counters().refused_full.load(Ordering::Relaxed);
    let (mut sent, mut waiting) = (0, BTreeSet::new());
    while refused() == 0 || !waiting.is_empty() {
        if refused() == 0 {
            waiting.extend(sent..sent + 100);
            sent += 100;
        }
        for n in &waiting {
            phone.say(call(&format!("{n}@gw")).bytes()).await;
        }
        let mut buffer = vec![0; 65_535];
        while let Ok(length) = timeout(Duration::from_millis(100), phone.0.recv(&mut buffer)).await {
            let answer = Answer(String::from_utf8(buffer[..length.unwrap()].to_vec()).unwrap());
            assert_eq!(answer.targets(), POLICE);
            waiting.remove(&answer.first("Call-ID").unwrap().trim_end_matches("@gw").parse::<u64>().unwrap());
        }
    }
    until("each is with the engine once", || telephony.engine().arrived == sent).await;
    assert_eq!((telephony.engine().duplicates, telephony.engine().keys_reused), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hang_up_waits_for_the_session_it_is_told_in() {
    let telephony = Telephony::start().await;
    let phone = telephony.phone().await;
    phone.ask(call("a@gw").bytes()).await;
    until("the call is with the engine", || telephony.engine().arrived == 1).await;
    // Others of the same name, so many that the engine closes the oldest session: the door's.
    let core = telephony.running.node.core();
    let others: Vec<_> = (0..GATEWAY_SESSIONS_MAX).map(|_| core.registry.open::<GatewayHears>()).collect();
    for other in &others {
        let opened = Input::GatewayOpened { session: other.session(), gateway: Name::new(GATEWAY).unwrap() };
        assert!(core.submit(opened).is_ok());
    }
    until("the door's session has ended", || telephony.door.shared_counters().sessions_broken.load(Ordering::Relaxed) == 1).await;
    assert_eq!(phone.ask(call("a@gw").bare("CANCEL").bytes()).await.status(), 200);
    until("it is told in the next session", || telephony.engine().callbacks == 1).await;
    assert!(telephony.facts().iter().any(|fact| matches!(fact, Fact::HungUp { why: HangUp::Caller, .. })));
    assert_eq!(telephony.engine().out_of_turn, 0);
}
