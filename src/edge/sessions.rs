//! Open sessions: the engine's outputs find their gateway or console here.
//!
//! Sending never waits. A session whose queue is full is closed and counted: it reads too slowly to be told the truth in time, and
//! resumes with a new session that is.
//!
//! The map's locks are held for one look-up at a time, never over another call of the map or an `await`.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam::utils::CachePadded;
use dashmap::DashMap;
use tokio::sync::{Notify, mpsc};

use crate::client::CloseCode;
use crate::deliver::{ConsoleHears, GatewayHears};
use crate::engine::SessionId;

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    Queued,
    /// No such session, or it has ended.
    Gone,
    /// Its queue was full; the session is closed and must resume.
    SlowClosed,
}

/// Where the engine's outputs go. Shared by every door and by the thread that hands the outputs out.
#[derive(Debug)]
pub struct SessionRegistry {
    sessions: DashMap<SessionId, Line>,
    next: AtomicU64,
    queue_max: usize,
    slow_closed: CachePadded<AtomicU64>,
    opened: CachePadded<AtomicU64>,
}

/// One session's queue, by what it can hear.
#[doc(hidden)]
#[derive(Debug)]
pub enum Line {
    Console(mpsc::Sender<ConsoleHears>, Arc<Stop>),
    Gateway(mpsc::Sender<GatewayHears>, Arc<Stop>),
}

impl Line {
    fn stop(&self) -> &Arc<Stop> {
        match self {
            Self::Console(_, stop) | Self::Gateway(_, stop) => stop,
        }
    }
}

/// What one kind of session can hear.
pub trait Hears: Sized + Send + 'static {
    #[doc(hidden)]
    fn line(sender: mpsc::Sender<Self>, stop: Arc<Stop>) -> Line;
    #[doc(hidden)]
    fn sender(line: &Line) -> Option<&mpsc::Sender<Self>>;
}

impl Hears for GatewayHears {
    fn line(sender: mpsc::Sender<Self>, stop: Arc<Stop>) -> Line {
        Line::Gateway(sender, stop)
    }
    fn sender(line: &Line) -> Option<&mpsc::Sender<Self>> {
        if let Line::Gateway(sender, _) = line { Some(sender) } else { None }
    }
}

impl Hears for ConsoleHears {
    fn line(sender: mpsc::Sender<Self>, stop: Arc<Stop>) -> Line {
        Line::Console(sender, stop)
    }
    fn sender(line: &Line) -> Option<&mpsc::Sender<Self>> {
        if let Line::Console(sender, _) = line { Some(sender) } else { None }
    }
}

impl SessionRegistry {
    /// `queue_max`: messages waiting for one session, see [`crate::limits::SESSION_QUEUE_MAX`].
    pub fn new(queue_max: usize) -> Self {
        Self {
            sessions: DashMap::new(),
            next: AtomicU64::new(1),
            queue_max: queue_max.max(1),
            slow_closed: CachePadded::default(),
            opened: CachePadded::default(),
        }
    }

    /// Opens a session under a number that is never used again. Its door reads the outbox; dropping the outbox ends the session here.
    pub fn open<H: Hears>(self: &Arc<Self>) -> Outbox<H> {
        let session = SessionId(self.next.fetch_add(1, Ordering::Relaxed));
        let (sender, receiver) = mpsc::channel(self.queue_max);
        let stop = Arc::new(Stop::default());
        self.sessions.insert(session, H::line(sender, Arc::clone(&stop)));
        self.opened.fetch_add(1, Ordering::Relaxed);
        Outbox { session, receiver, stop, registry: Arc::clone(self) }
    }

    /// Queues a message for a session. Never waits.
    pub fn send<H: Hears>(&self, session: SessionId, hears: H) -> Sent {
        // The guard must be gone before the map is called again.
        let sent = match self.sessions.get(&session) {
            None => return Sent::Gone,
            Some(line) => match H::sender(&line) {
                None => return Sent::Gone,
                Some(sender) => sender.try_send(hears),
            },
        };
        match sent {
            Ok(()) => Sent::Queued,
            Err(mpsc::error::TrySendError::Closed(_)) => Sent::Gone,
            Err(mpsc::error::TrySendError::Full(_)) => {
                self.slow_closed.fetch_add(1, Ordering::Relaxed);
                self.close(session, CloseCode::SlowConsumer);
                Sent::SlowClosed
            }
        }
    }

    /// Ends a session: its door closes the connection with this code. Harmless when it has ended.
    pub fn close(&self, session: SessionId, why: CloseCode) {
        if let Some((_, line)) = self.sessions.remove(&session) {
            line.stop().stop(why);
        }
    }

    /// Sessions open now.
    pub fn open_count(&self) -> usize {
        self.sessions.len()
    }

    /// Sessions opened since the start.
    pub fn opened_count(&self) -> u64 {
        self.opened.load(Ordering::Relaxed)
    }

    /// Sessions closed because they read too slowly.
    pub fn slow_closed_count(&self) -> u64 {
        self.slow_closed.load(Ordering::Relaxed)
    }
}

/// A door's end of a session: what to write, and when to stop.
#[derive(Debug)]
pub struct Outbox<H: Hears> {
    session: SessionId,
    receiver: mpsc::Receiver<H>,
    stop: Arc<Stop>,
    registry: Arc<SessionRegistry>,
}

impl<H: Hears> Outbox<H> {
    pub const fn session(&self) -> SessionId {
        self.session
    }

    /// Waits for messages and appends up to `count_max` of them; 0 once the session was closed and all was read.
    pub async fn receive_many(&mut self, into: &mut Vec<H>, count_max: usize) -> usize {
        self.receiver.recv_many(into, count_max).await
    }

    /// Appends what waits already, without waiting.
    pub fn drain(&mut self, into: &mut Vec<H>) {
        while let Ok(hears) = self.receiver.try_recv() {
            into.push(hears);
        }
    }

    /// Told when the session must end at once.
    pub fn stop(&self) -> Arc<Stop> {
        Arc::clone(&self.stop)
    }
}

impl<H: Hears> Drop for Outbox<H> {
    fn drop(&mut self) {
        self.registry.sessions.remove(&self.session);
    }
}

/// Tells a door to end a session, from any thread.
#[derive(Debug, Default)]
pub struct Stop {
    why: OnceLock<CloseCode>,
    notify: Notify,
}

impl Stop {
    fn stop(&self, why: CloseCode) {
        // The first reason stands.
        let _ = self.why.set(why);
        self.notify.notify_waiters();
    }

    /// Waits until the session must end.
    pub async fn stopped(&self) -> CloseCode {
        loop {
            let notified = self.notify.notified();
            if let Some(why) = self.why.get() {
                return *why;
            }
            notified.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contact::ContactKey;
    use crate::units::ContactId;

    fn durable() -> GatewayHears {
        GatewayHears::Durable { key: ContactKey::default(), contact: ContactId(1) }
    }

    #[test]
    fn a_full_queue_closes_its_session_and_no_other_and_is_counted() {
        let registry = Arc::new(SessionRegistry::new(2));
        let (slow, other) = (registry.open::<GatewayHears>(), registry.open::<GatewayHears>());
        let sent: Vec<Sent> = (0..4).map(|_| registry.send(slow.session(), durable())).collect();
        assert_eq!(sent, [Sent::Queued, Sent::Queued, Sent::SlowClosed, Sent::Gone]);
        assert_eq!(slow.stop().why.get(), Some(&CloseCode::SlowConsumer));
        assert_eq!(registry.send(other.session(), durable()), Sent::Queued);
        assert_eq!((registry.slow_closed_count(), registry.open_count(), registry.opened_count()), (1, 1, 2));
    }

    #[test]
    fn a_session_hears_only_what_its_kind_can() {
        let registry = Arc::new(SessionRegistry::new(2));
        let console = registry.open::<ConsoleHears>();
        assert_eq!(registry.send(console.session(), durable()), Sent::Gone);
        assert_eq!(registry.send(console.session(), ConsoleHears::Confirmed { contact: ContactId(1) }), Sent::Queued);
        let session = console.session();
        drop(console);
        assert_eq!(registry.send(session, ConsoleHears::Confirmed { contact: ContactId(1) }), Sent::Gone);
        assert_eq!(registry.open_count(), 0);
    }

    #[test]
    fn a_number_is_never_used_again() {
        let registry = Arc::new(SessionRegistry::new(2));
        let first = registry.open::<GatewayHears>().session();
        assert!(registry.open::<GatewayHears>().session() > first);
    }
}
