//! A gateway's client: contacts out, targets and promises in.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::time::timeout;

use super::link::{self, ClientError, Link, LinkConfig, LinkState, Side};
use super::transport::ALPN_GATEWAY;
use crate::contact::{Contact, ContactKey};
use crate::deliver::{Evidence, GatewayHears, GatewaySays, HangUp};
use crate::limits::{IDENTITY_BYTES_MAX, UNCONFIRMED_MAX};
use crate::units::DispatcherId;

/// Why a message was not accepted. Nothing that was accepted is lost.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    #[error("the client was closed")]
    Closed,
    #[error("a gateway's reference has {got} bytes; 1 to {bytes_max} are needed")]
    BadReference { bytes_max: usize, got: usize },
}

/// As [`SendError`], or full: try again, wait with [`GatewayClient::send`], or use the gateway's own last resort.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TrySendError {
    #[error("{UNCONFIRMED_MAX} contacts are unconfirmed, or the queue is full")]
    Full,
    #[error(transparent)]
    Refused(#[from] SendError),
}

/// A gateway's line to the engine. Clones share it.
///
/// Dropping the last clone sends what is queued while the line is open and ends the session; [`Self::close`] also waits for what is
/// unconfirmed and gives it back.
#[derive(Clone, Debug)]
pub struct GatewayClient {
    link: Arc<Link<GatewaySays>>,
    side: Arc<GatewaySide>,
}

impl GatewayClient {
    /// Starts the line and returns at once; it connects, and reconnects, by itself. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// Only what no retry can mend: a certificate that cannot be used, no address, no socket.
    pub fn start(config: LinkConfig) -> Result<(Self, mpsc::Receiver<GatewayHears>), ClientError> {
        let side = Arc::new(GatewaySide::default());
        let (link, hears) = link::start(config, Arc::clone(&side))?;
        Ok((Self { link: Arc::new(link), side }, hears))
    }

    /// [`Self::start`], and waits for the first session.
    ///
    /// # Errors
    /// As [`Self::start`]; [`ClientError::EngineRefused`] as soon as the engine says no; [`ClientError::TimedOut`].
    pub async fn connect(config: LinkConfig, wait: Duration) -> Result<(Self, mpsc::Receiver<GatewayHears>), ClientError> {
        let (client, hears) = Self::start(config)?;
        client.link.connected(wait).await?;
        Ok((client, hears))
    }

    pub fn link(&self) -> &Link<GatewaySays> {
        &self.link
    }

    /// Hands a contact over. Waits while [`UNCONFIRMED_MAX`] are unconfirmed or the queue is full. The engine sets its id, its time
    /// of arrival and the gateway's name in its key; the reference must be this gateway's own and used once.
    ///
    /// # Errors
    /// See [`SendError`].
    pub async fn send(&self, contact: impl Into<Arc<Contact>>) -> Result<(), SendError> {
        let contact = contact.into();
        check(&contact.key)?;
        let permit = self.side.permits.acquire().await.map_err(|_| SendError::Closed)?;
        let says = GatewaySays::Contact { contact, handed_back: false };
        self.link.queue().send(says).await.map_err(|_| SendError::Closed)?;
        // The confirmation gives it back.
        permit.forget();
        Ok(())
    }

    /// As [`Self::send`], without waiting: for load generators and for callers on a clock.
    ///
    /// # Errors
    /// See [`TrySendError`].
    pub fn try_send(&self, contact: impl Into<Arc<Contact>>) -> Result<(), TrySendError> {
        let contact = contact.into();
        check(&contact.key)?;
        let permit = self.side.permits.try_acquire().map_err(|_| TrySendError::Full)?;
        self.try_say(GatewaySays::Contact { contact, handed_back: false })?;
        permit.forget();
        Ok(())
    }

    /// Reports on a contact: evidence, an answer, a hang-up, a target that failed. Kept until the engine has received it.
    ///
    /// # Errors
    /// See [`SendError`]. A contact goes by [`Self::send`]; here it is sent as well, under the same rules.
    pub async fn report(&self, says: GatewaySays) -> Result<(), SendError> {
        if let GatewaySays::Contact { contact, .. } = says {
            return self.send(contact).await;
        }
        check(key_of(&says))?;
        self.link.queue().send(says).await.map_err(|_| SendError::Closed)
    }

    /// As [`Self::report`], without waiting.
    ///
    /// # Errors
    /// See [`TrySendError`].
    pub fn try_report(&self, says: GatewaySays) -> Result<(), TrySendError> {
        if let GatewaySays::Contact { contact, .. } = says {
            return self.try_send(contact);
        }
        check(key_of(&says))?;
        self.try_say(says)
    }

    pub async fn evidence(&self, key: ContactKey, evidence: Evidence) -> Result<(), SendError> {
        self.report(GatewaySays::Evidence { key, evidence }).await
    }

    pub async fn answered(&self, key: ContactKey, dispatcher: DispatcherId) -> Result<(), SendError> {
        self.report(GatewaySays::Answered { key, dispatcher }).await
    }

    pub async fn hung_up(&self, key: ContactKey, why: HangUp) -> Result<(), SendError> {
        self.report(GatewaySays::HungUp { key, why }).await
    }

    /// What became of a line that the engine gave this gateway for its caller.
    ///
    /// # Errors
    /// As [`Self::report`].
    pub async fn delivered(&self, key: ContactKey, number: u32, delivered: bool) -> Result<(), SendError> {
        self.report(GatewaySays::Delivered { key, number, delivered }).await
    }

    pub async fn target_failed(&self, key: ContactKey, dispatcher: DispatcherId) -> Result<(), SendError> {
        self.report(GatewaySays::TargetFailed { key, dispatcher }).await
    }

    /// Contacts sent and not yet confirmed by the journal.
    pub fn unconfirmed_count(&self) -> usize {
        self.side.lock().count
    }

    /// Waits at most `wait` until every contact is confirmed, then ends the session. Gives back what is still unconfirmed: it goes to
    /// the gateway's last resort or to another engine. Go on receiving meanwhile, or drop the receiver: confirmations come in order
    /// with everything else, and a full queue of them stops here.
    pub async fn close(self, wait: Duration) -> Vec<Arc<Contact>> {
        let confirmed = async {
            // Contacts still in the queue count as well: each holds a permit until it is confirmed.
            while self.side.permits.available_permits() < UNCONFIRMED_MAX && self.link.state() != LinkState::Closed {
                self.side.confirmed.notified().await;
            }
        };
        let _ = timeout(wait, confirmed).await;
        self.link.closed().await;
        self.side.unconfirmed()
    }

    fn try_say(&self, says: GatewaySays) -> Result<(), TrySendError> {
        self.link.queue().try_send(says).map_err(|why| match why {
            mpsc::error::TrySendError::Full(_) => TrySendError::Full,
            mpsc::error::TrySendError::Closed(_) => SendError::Closed.into(),
        })
    }
}

fn check(key: &ContactKey) -> Result<(), SendError> {
    let got = key.gateway_ref.len();
    if (1..=IDENTITY_BYTES_MAX).contains(&got) { Ok(()) } else { Err(SendError::BadReference { bytes_max: IDENTITY_BYTES_MAX, got }) }
}

fn key_of(says: &GatewaySays) -> &ContactKey {
    match says {
        GatewaySays::Contact { contact, .. } => &contact.key,
        GatewaySays::Answered { key, .. }
        | GatewaySays::Delivered { key, .. }
        | GatewaySays::Evidence { key, .. }
        | GatewaySays::HungUp { key, .. }
        | GatewaySays::TargetFailed { key, .. } => key,
    }
}

/// What a gateway keeps: every contact until the journal holds it.
#[derive(Debug)]
struct GatewaySide {
    unconfirmed: Mutex<Unconfirmed>,
    permits: Semaphore,
    confirmed: Notify,
}

#[derive(Debug, Default)]
struct Unconfirmed {
    /// By the gateway's own reference, with the order of sending. More than one only where a gateway used a reference twice.
    by_ref: HashMap<Box<str>, Vec<(u64, Arc<Contact>)>>,
    count: usize,
    next: u64,
}

impl Default for GatewaySide {
    fn default() -> Self {
        Self { unconfirmed: Mutex::default(), permits: Semaphore::new(UNCONFIRMED_MAX), confirmed: Notify::new() }
    }
}

impl GatewaySide {
    fn lock(&self) -> MutexGuard<'_, Unconfirmed> {
        self.unconfirmed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn confirm(&self, gateway_ref: &str) {
        let mut unconfirmed = self.lock();
        let Some(sent) = unconfirmed.by_ref.get_mut(gateway_ref) else { return };
        if sent.len() > 1 {
            sent.remove(0);
        } else {
            unconfirmed.by_ref.remove(gateway_ref);
        }
        unconfirmed.count -= 1;
        drop(unconfirmed);
        self.permits.add_permits(1);
        self.confirmed.notify_one();
    }

    /// In the order they were sent.
    fn unconfirmed(&self) -> Vec<Arc<Contact>> {
        let mut all: Vec<(u64, Arc<Contact>)> = self.lock().by_ref.values().flatten().cloned().collect();
        all.sort_unstable_by_key(|(order, _)| *order);
        all.into_iter().map(|(_, contact)| contact).collect()
    }
}

impl Side for GatewaySide {
    type Says = GatewaySays;
    type Hears = GatewayHears;
    const ALPN: &'static [u8] = ALPN_GATEWAY;

    fn opening(&self) -> Vec<GatewaySays> {
        self.unconfirmed().into_iter().map(|contact| GatewaySays::Contact { contact, handed_back: true }).collect()
    }

    fn saying(&self, says: &GatewaySays) {
        let GatewaySays::Contact { contact, .. } = says else { return };
        let mut unconfirmed = self.lock();
        let order = unconfirmed.next;
        unconfirmed.next += 1;
        unconfirmed.count += 1;
        unconfirmed.by_ref.entry(contact.key.gateway_ref.clone()).or_default().push((order, Arc::clone(contact)));
    }

    fn is_repeated(says: &GatewaySays) -> bool {
        !matches!(says, GatewaySays::Contact { .. })
    }

    fn heard(&self, _seq: u64, hears: &GatewayHears) {
        match hears {
            GatewayHears::Durable { key, .. } | GatewayHears::Ended { key, .. } => self.confirm(&key.gateway_ref),
            // The gateway uses its last resort; handing the same bytes back would not mend them.
            GatewayHears::Refused { gateway_ref, .. } => self.confirm(gateway_ref),
            GatewayHears::Accepted { .. }
            | GatewayHears::Moved { .. }
            | GatewayHears::Overdue { .. }
            | GatewayHears::Say { .. }
            | GatewayHears::Targets { .. } => {}
        }
    }

    fn heartbeat() -> Option<GatewaySays> {
        None
    }

    fn farewell() -> Option<GatewaySays> {
        None
    }
}
