//! A console's client: offers in, commands out, the heartbeat by itself.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;

use super::gateway::{SendError, TrySendError};
use super::link::{self, ClientError, Link, LinkConfig, Side};
use super::transport::ALPN_CONSOLE;
use crate::deliver::{CallbackOutcome, ConsoleHears, ConsoleSays, Offer, OfferId};
use crate::limits::{LANGUAGES_MAX, UNCONFIRMED_MAX};
use crate::service::Service;
use crate::units::ContactId;

/// A seat's line to the engine. Clones share it. Which dispatcher and which seat is the certificate's to say.
#[derive(Clone, Debug)]
pub struct ConsoleClient {
    link: Arc<Link<ConsoleSays>>,
    side: Arc<ConsoleSide>,
}

impl ConsoleClient {
    /// Starts the line and returns at once; every session of it signs in by itself. At most [`LANGUAGES_MAX`] languages are told.
    /// Must be called within a tokio runtime.
    ///
    /// # Errors
    /// Only what no retry can mend: a certificate that cannot be used, no address, no socket.
    pub fn start(config: LinkConfig, languages: &[[u8; 2]], text: bool) -> Result<(Self, mpsc::Receiver<ConsoleHears>), ClientError> {
        let languages = languages.iter().copied().take(LANGUAGES_MAX).collect();
        let side = Arc::new(ConsoleSide { languages, text, seen: AtomicU64::new(0), offers: Mutex::default(), unkept: AtomicU64::new(0) });
        let (link, hears) = link::start(config, Arc::clone(&side))?;
        Ok((Self { link: Arc::new(link), side }, hears))
    }

    /// [`Self::start`], and waits for the first session.
    ///
    /// # Errors
    /// As [`Self::start`]; [`ClientError::EngineRefused`] as soon as the engine says no; [`ClientError::TimedOut`].
    pub async fn connect(
        config: LinkConfig,
        languages: &[[u8; 2]],
        text: bool,
        wait: Duration,
    ) -> Result<(Self, mpsc::Receiver<ConsoleHears>), ClientError> {
        let (client, hears) = Self::start(config, languages, text)?;
        client.link.connected(wait).await?;
        Ok((client, hears))
    }

    pub fn link(&self) -> &Link<ConsoleSays> {
        &self.link
    }

    /// Any command. Kept until the engine has received it, also over a reconnect.
    ///
    /// Waits while the queue is full. The task that waits must not be the one that hears: the queue empties as the engine confirms
    /// what it received, and that is read behind everything else it says. Such a task uses [`Self::try_say`].
    ///
    /// # Errors
    /// [`SendError::Closed`].
    pub async fn say(&self, says: ConsoleSays) -> Result<(), SendError> {
        self.link.queue().send(says).await.map_err(|_| SendError::Closed)
    }

    /// As [`Self::say`], without waiting.
    ///
    /// # Errors
    /// See [`TrySendError`].
    pub fn try_say(&self, says: ConsoleSays) -> Result<(), TrySendError> {
        self.link.queue().try_send(says).map_err(|why| match why {
            mpsc::error::TrySendError::Full(_) => TrySendError::Full,
            mpsc::error::TrySendError::Closed(_) => SendError::Closed.into(),
        })
    }

    pub async fn shown(&self, offer: OfferId) -> Result<(), SendError> {
        self.say(ConsoleSays::Shown { offer }).await
    }

    pub async fn take(&self, offer: OfferId) -> Result<(), SendError> {
        self.say(ConsoleSays::Take { offer }).await
    }

    pub async fn accept(&self, offer: OfferId) -> Result<(), SendError> {
        self.say(ConsoleSays::Accept { offer }).await
    }

    pub async fn decline(&self, offer: OfferId, reason: &str) -> Result<(), SendError> {
        self.say(ConsoleSays::Decline { offer, reason: reason.into() }).await
    }

    pub async fn release(&self, offer: OfferId) -> Result<(), SendError> {
        self.say(ConsoleSays::Release { offer }).await
    }

    /// What came of calling the caller back.
    pub async fn called_back(&self, offer: OfferId, outcome: CallbackOutcome, reason: &str) -> Result<(), SendError> {
        self.say(ConsoleSays::CalledBack { offer, outcome, reason: reason.into() }).await
    }

    pub async fn close_offer(&self, offer: OfferId, reason: &str) -> Result<(), SendError> {
        self.say(ConsoleSays::Close { offer, reason: reason.into() }).await
    }

    /// Offers shown here that the journal has not confirmed.
    pub fn unconfirmed_count(&self) -> usize {
        self.side.lock().len()
    }

    /// Unconfirmed offers that were not kept because [`UNCONFIRMED_MAX`] already were; their gateways still keep them.
    pub fn unkept_count(&self) -> u64 {
        self.side.unkept.load(Ordering::Relaxed)
    }

    /// Says what is queued, signs out, and ends the session.
    pub async fn sign_out(self) {
        self.link.closed().await;
    }
}

/// What a console keeps: every offer it was shown before the journal held it.
#[derive(Debug)]
struct ConsoleSide {
    languages: Vec<[u8; 2]>,
    text: bool,
    /// The last number heard in the latest session.
    seen: AtomicU64,
    offers: Mutex<BTreeMap<OfferId, Arc<Offer>>>,
    unkept: AtomicU64,
}

impl ConsoleSide {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<OfferId, Arc<Offer>>> {
        self.offers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, offer: &Arc<Offer>) {
        let mut offers = self.lock();
        if offer.confirmed {
            offers.remove(&offer.id);
        } else if offers.len() < UNCONFIRMED_MAX || offers.contains_key(&offer.id) {
            offers.insert(offer.id, Arc::clone(offer));
        } else {
            self.unkept.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn forget_contact(&self, contact: ContactId) {
        let mut offers = self.lock();
        for service in Service::ALL {
            offers.remove(&OfferId { contact, service });
        }
    }
}

impl Side for ConsoleSide {
    type Says = ConsoleSays;
    type Hears = ConsoleHears;
    const ALPN: &'static [u8] = ALPN_CONSOLE;

    fn opening(&self) -> Vec<ConsoleSays> {
        let seen = self.seen.load(Ordering::Relaxed);
        let sign_in = ConsoleSays::SignIn { languages: self.languages.clone(), text: self.text, seen };
        let offers = self.lock();
        let handed_back = offers.values().map(|offer| ConsoleSays::HandBack {
            offer: offer.id,
            contact: Arc::clone(&offer.contact),
            decision: Arc::clone(&offer.decision),
        });
        core::iter::once(sign_in).chain(handed_back).collect()
    }

    fn saying(&self, _says: &ConsoleSays) {}

    fn is_repeated(says: &ConsoleSays) -> bool {
        !matches!(says, ConsoleSays::HandBack { .. } | ConsoleSays::Heartbeat | ConsoleSays::SignIn { .. })
    }

    fn heard(&self, seq: u64, hears: &ConsoleHears) {
        self.seen.store(seq, Ordering::Relaxed);
        match hears {
            ConsoleHears::Offer(offer) => self.keep(offer),
            ConsoleHears::Confirmed { contact } => self.forget_contact(*contact),
            // A take or an acceptance is told only when the journal holds it, and the contact before it.
            ConsoleHears::Accepted { offer, .. }
            | ConsoleHears::CalledBack { offer, .. }
            | ConsoleHears::Closed { offer, .. }
            | ConsoleHears::Dispatched { offer, .. }
            | ConsoleHears::Taken { offer, .. } => self.forget_contact(offer.contact),
            ConsoleHears::Informed { contact, .. } => self.forget_contact(*contact),
            ConsoleHears::Withdrawn { offer } => {
                self.lock().remove(offer);
            }
            ConsoleHears::Changed { contact, decision, .. } => {
                let mut offers = self.lock();
                for service in Service::ALL {
                    if let Some(offer) = offers.get_mut(&OfferId { contact: *contact, service }) {
                        *offer = Arc::new(Offer { decision: Arc::clone(decision), ..Offer::clone(offer) });
                    }
                }
            }
            ConsoleHears::Alert { .. }
            | ConsoleHears::CallerHungUp { .. }
            | ConsoleHears::CaughtUp
            | ConsoleHears::Conversation { .. }
            | ConsoleHears::Declared { .. }
            | ConsoleHears::Delivered { .. }
            | ConsoleHears::EventOver { .. }
            | ConsoleHears::Joined { .. }
            | ConsoleHears::MembersEnded { .. }
            | ConsoleHears::Noted { .. }
            | ConsoleHears::Proposed { .. }
            | ConsoleHears::Refused { .. }
            | ConsoleHears::Related { .. }
            | ConsoleHears::Said { .. }
            | ConsoleHears::Shares { .. }
            | ConsoleHears::SignedIn { .. }
            | ConsoleHears::Waiting { .. } => {}
        }
    }

    fn heartbeat() -> Option<ConsoleSays> {
        Some(ConsoleSays::Heartbeat)
    }

    fn farewell() -> Option<ConsoleSays> {
        Some(ConsoleSays::SignOut)
    }
}
