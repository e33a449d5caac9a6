//! The doors by which contacts come in, and what they need of the rest of the engine.
//!
//! A door turns bytes into a [`Contact`], has it decided on the task that received it, answers, and tells the engine: in this order,
//! so that no queue stands between a caller and the answer.

mod alerts;
mod devices;
pub mod http;
pub(super) mod lines;
pub mod quic;
mod references;
pub mod sip;
mod udp;
mod words;

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;

use crossbeam::utils::CachePadded;

use super::clock::{Clock, new_contact_id};
use crate::contact::{Contact, ContactKey};
use crate::decision::DecisionRecord;
use crate::deliver::{GatewayHears, GatewaySays, Refusal, Target};
use crate::engine::{Input, SessionId};
use crate::units::{Name, Timestamp};
use crate::wire::frame::{Frame, salvage_gateway_ref};

/// What was decided about a contact, and where its voice goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decided {
    pub decision: Arc<DecisionRecord>,
    pub targets: Vec<Target>,
}

/// The rest of the engine, as a door sees it. Called on the tasks that receive, so neither method may wait.
pub trait Core: Send + Sync + 'static {
    /// Routes a contact on the current snapshot.
    fn decide(&self, contact: &Contact, now: Timestamp) -> Decided;

    /// The answer when `decide` panicked: the national fallback, from a value made beforehand. Must be simple enough not to panic for
    /// the same reason.
    fn last_resort(&self, contact: &Contact) -> Decided;

    /// Puts an input into the engine's bounded queue.
    ///
    /// # Errors
    /// Gives the input back when the queue is full; the door keeps it and tries again.
    #[expect(clippy::result_large_err, reason = "the input comes back by value so that nothing is allocated while the engine is full")]
    fn submit(&self, input: Input) -> Result<(), Input>;
}

/// What the doors counted since the start.
#[derive(Debug, Default)]
pub struct DoorCounters {
    /// Contacts decided and answered.
    pub contacts: CachePadded<AtomicU64>,
    /// Contacts whose evidence was cut or partly unreadable.
    pub contacts_cut: CachePadded<AtomicU64>,
    /// Contacts that made `decide` panic and took the last resort.
    pub last_resorts: CachePadded<AtomicU64>,
    /// Messages that could not be read, in frames that could.
    pub malformed: CachePadded<AtomicU64>,
    /// Sessions closed because their bytes were no frames.
    pub malformed_closed: CachePadded<AtomicU64>,
    /// Messages that came again and were answered as before.
    pub repeated: CachePadded<AtomicU64>,
    /// Inputs that found the engine's queue full, and no room to wait.
    pub inputs_lost: CachePadded<AtomicU64>,
    /// Inputs that found the engine's queue full and were kept.
    pub resubmitted: CachePadded<AtomicU64>,
    /// Legs of calls that gateways reported.
    pub legs_reported: CachePadded<AtomicU64>,
    /// Places fetched from location servers.
    pub references_fetched: CachePadded<AtomicU64>,
    /// Location servers that were asked and gave no place in time.
    pub references_failed: CachePadded<AtomicU64>,
    /// References that were not fetched because their server had as many under way as it may.
    pub references_full: CachePadded<AtomicU64>,
    /// References to hosts that are not listed.
    pub references_refused: CachePadded<AtomicU64>,
    /// Connections refused because the sessions are at their bound.
    pub refused_full: CachePadded<AtomicU64>,
    /// Connections whose certificate has no role here.
    pub refused_role: CachePadded<AtomicU64>,
    /// Connections that failed in the handshake, by TLS or by time.
    pub handshakes_failed: CachePadded<AtomicU64>,
    /// Sessions that panicked and were closed.
    pub sessions_broken: CachePadded<AtomicU64>,
    /// Messages of ours that could not be encoded.
    pub unsendable: CachePadded<AtomicU64>,
}

/// Waits until a door drains.
pub(super) async fn told(draining: &mut tokio::sync::watch::Receiver<bool>) {
    // An error means that the door is gone, which is the same news.
    let _ = draining.wait_for(|draining| *draining).await;
}

/// A panic in one session ends that session in order, because the engine must hear that it is gone: `None` then.
pub(super) async fn unpanicked<T>(run: impl Future<Output = T>) -> Option<T> {
    let mut run = pin!(run);
    poll_fn(|context| {
        let polled = catch_unwind(AssertUnwindSafe(|| run.as_mut().poll(context)));
        polled.map_or(Poll::Ready(None), |polled| polled.map(Some))
    })
    .await
}

pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// What a session's messages mean. The stream's loop is the same for gateways and consoles; this is what differs.
pub(super) trait Desk: Send + 'static {
    type Says: crate::wire::frame::Message + Send;
    type Hears: crate::wire::frame::Message + super::sessions::Hears;

    fn opened(&self, session: SessionId) -> Input;
    /// A message that was read: what to answer at once, and what to tell the engine.
    fn said(&mut self, session: SessionId, says: Self::Says, cut: bool) -> (Option<Self::Hears>, Input);
    /// A message that could not be read.
    fn refusal(&self, frame: &Frame<'_>) -> Self::Hears;
}

/// The desk of a gateway: decides its contacts.
pub(super) struct GatewayDesk {
    pub(super) trunk: Name,
    pub(super) load_test: bool,
    pub(super) core: Arc<dyn Core>,
    pub(super) clock: Clock,
    pub(super) counters: Arc<DoorCounters>,
}

impl GatewayDesk {
    /// Only the certificate says which gateway speaks; what the message claims is overwritten.
    fn owned(&self, key: ContactKey) -> ContactKey {
        ContactKey { gateway: self.trunk, ..key }
    }

    fn receive(&self, contact: Arc<Contact>, now: Timestamp) -> Contact {
        let mut contact = Arc::unwrap_or_clone(contact);
        contact.id = new_contact_id(now);
        contact.received = now;
        contact.key.gateway = self.trunk;
        contact.load_test = self.load_test;
        contact.trunk = contact.trunk.or(Some(self.trunk));
        contact.revision = 0;
        contact
    }

    /// A contact that makes routing panic goes by the last resort, and the next one is not its victim.
    fn decide(&self, contact: &Contact, now: Timestamp) -> Decided {
        let decided = catch_unwind(AssertUnwindSafe(|| self.core.decide(contact, now)));
        decided.unwrap_or_else(|_| {
            count(&self.counters.last_resorts);
            tracing::error!(contact = %contact.id, "routing panicked; the last resort answers");
            self.core.last_resort(contact)
        })
    }
}

impl Desk for GatewayDesk {
    type Says = GatewaySays;
    type Hears = GatewayHears;

    fn opened(&self, session: SessionId) -> Input {
        Input::GatewayOpened { session, gateway: self.trunk }
    }

    fn said(&mut self, session: SessionId, says: GatewaySays, cut: bool) -> (Option<GatewayHears>, Input) {
        match says {
            GatewaySays::Contact { contact, handed_back } => {
                let now = self.clock.now();
                let contact = self.receive(contact, now);
                let Decided { decision, targets } = self.decide(&contact, now);
                count(&self.counters.contacts);
                if cut {
                    count(&self.counters.contacts_cut);
                }
                let (key, id) = (contact.key.clone(), contact.id);
                let answer = GatewayHears::Targets { key, contact: id, targets, decision: Arc::clone(&decision) };
                let input = Input::Arrived { session: Some(session), contact: Arc::new(contact), decision, handed_back };
                (Some(answer), input)
            }
            GatewaySays::Evidence { key, evidence } => (None, Input::Evidence { session: Some(session), key: self.owned(key), evidence }),
            GatewaySays::Answered { key, dispatcher } => (None, Input::Answered { session, key: self.owned(key), dispatcher }),
            GatewaySays::HungUp { key, why } => (None, Input::HungUp { session, key: self.owned(key), why }),
            GatewaySays::TargetFailed { key, dispatcher } => (None, Input::TargetFailed { session, key: self.owned(key), dispatcher }),
            GatewaySays::Delivered { key, number, delivered } => {
                (None, Input::Delivered { session, key: self.owned(key), number, delivered })
            }
        }
    }

    fn refusal(&self, frame: &Frame<'_>) -> GatewayHears {
        GatewayHears::Refused { gateway_ref: salvage_gateway_ref(frame).unwrap_or_default(), why: Refusal::Malformed }
    }
}
