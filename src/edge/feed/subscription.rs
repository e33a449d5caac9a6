//! One subscription: which entries its subscriber has been sent, which of them he has acknowledged, and what comes next.
//!
//! ```text
//! no `from`:  the state as it is, in pages --\
//! `from` old: the journal, page after page ---+--> ready --> event --> window --> acknowledged
//! `from` new: the ring of the hub -----------/              (rate)    (bounded, and in time)
//! ```
//!
//! # Invariants
//! - Entries are told in their order, each once; an event says the entry up to which that is all.
//! - At most [`FEED_WINDOW_MAX`] events are unacknowledged; the oldest for a bounded time.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::book::{Happening, IncidentFile, Viewer};
use super::history::{self, Stretch};
use super::hub::Hub;
use crate::incident::IncidentId;
use crate::limits::{FEED_CHANGES_MAX, FEED_STATE_DOCUMENTS_MAX, FEED_WINDOW_MAX};
use crate::store::StoreError;
use crate::units::ContactId;
use crate::wire::eido::time;
use crate::wire::feed::{Change, EventOurs, SeatText, Wanted, event_line};

/// Why a subscription ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    Expired,
    IncidentClosed,
    JournalUnreadable,
    NotAcknowledged,
    Replaced,
    Stopping,
}

impl Over {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::IncidentClosed => "incident closed",
            Self::JournalUnreadable => "the journal cannot be read; subscribe again from the last sequence received",
            Self::NotAcknowledged => "events were not acknowledged in time; subscribe again from the last sequence received",
            Self::Replaced => "replaced by another subscription",
            Self::Stopping => "the engine is stopping; subscribe again from the last sequence received",
        }
    }
}

pub(super) struct Subscription {
    pub id: String,
    wanted: Wanted,
    viewer: Viewer,
    source: Source,
    /// Entries up to this one were looked at.
    looked: u64,
    ready: VecDeque<Arc<Happening>>,
    /// Sequence of the last event that had one.
    told: Option<u64>,
    window: VecDeque<(String, Instant)>,
    numbered: u64,
    sent_at: Option<Instant>,
    begun: Instant,
    ack_wait: Duration,
    /// Its one incident is over.
    closed: bool,
    /// Contacts that were told of and nobody has written down yet.
    reads: Vec<ContactId>,
}

enum Source {
    /// The first state: incidents after this one are still to be told.
    State(Option<IncidentId>),
    Journal(mpsc::Receiver<Result<Stretch, StoreError>>),
    Ring,
}

/// What a subscription does next.
pub(super) enum Next {
    Send(String),
    End(Over),
    /// Nothing before this moment, unless something new is there.
    Wait(Option<Instant>),
}

impl Subscription {
    pub fn new(id: String, viewer: Viewer, wanted: Wanted, ack_wait: Duration) -> Self {
        Self {
            id,
            viewer,
            source: if wanted.from.is_some() { Source::Ring } else { Source::State(None) },
            looked: wanted.from.unwrap_or(0),
            told: wanted.from,
            wanted,
            ready: VecDeque::new(),
            window: VecDeque::new(),
            numbered: 0,
            sent_at: None,
            begun: Instant::now(),
            ack_wait,
            closed: false,
            reads: Vec::new(),
        }
    }

    /// It lasts on from now.
    pub fn renew(&mut self, expires_micros: Option<u64>) {
        self.wanted.expires_micros = expires_micros.or(self.wanted.expires_micros);
        self.begun = Instant::now();
    }

    pub const fn wanted(&self) -> &Wanted {
        &self.wanted
    }

    /// The contacts told of since this was last asked.
    pub fn take_reads(&mut self) -> Vec<ContactId> {
        std::mem::take(&mut self.reads)
    }

    pub fn told(&self) -> u64 {
        self.told.unwrap_or(0)
    }

    /// True when the event was awaited.
    pub fn acknowledged(&mut self, transaction: &str) -> bool {
        let at = self.window.iter().position(|(known, _)| known == transaction);
        at.is_some_and(|at| self.window.remove(at).is_some())
    }

    /// Waits for the next page of old entries; for ever when none is awaited.
    pub async fn page(&mut self) -> Option<Over> {
        // One page at a time: what was read is sent first.
        let Source::Journal(pages) = &mut self.source else { return std::future::pending().await };
        if !self.ready.is_empty() {
            return std::future::pending().await;
        }
        match pages.recv().await {
            Some(Ok(Stretch { happenings, through })) => {
                self.looked = through;
                self.take(happenings);
                None
            }
            Some(Err(error)) => {
                tracing::warn!(%error, "a subscriber's old entries cannot be read");
                Some(Over::JournalUnreadable)
            }
            None => {
                self.source = Source::Ring;
                None
            }
        }
    }

    fn take(&mut self, happenings: Vec<Arc<Happening>>) {
        let Some(mut only) = self.wanted.only else { return self.ready.extend(happenings) };
        for happening in happenings {
            // A contact that is joined to another incident takes the subscription along.
            if happening.left == Some(only) && happening.files.iter().all(|file| file.incident != only) {
                only = happening.incident;
            }
            if happening.files.iter().any(|file| file.incident == only) {
                self.ready.push_back(happening);
            }
        }
        self.wanted.only = Some(only);
    }

    pub fn next(&mut self, hub: &Arc<Hub>, issuer: &str) -> Next {
        let now = Instant::now();
        if let Some(over) = self.over(now) {
            return Next::End(over);
        }
        let due = self.due();
        if self.window.len() >= FEED_WINDOW_MAX {
            return Next::Wait(due);
        }
        let pause = Duration::from_micros(self.wanted.pause_micros);
        if let Some(at) = self.sent_at.map(|at| at + pause).filter(|at| *at > now) {
            return Next::Wait(Some(due.map_or(at, |due| due.min(at))));
        }
        if let Source::State(after) = self.source {
            return Next::Send(self.state(hub, issuer, after, now));
        }
        self.look(hub);
        if !self.ready.is_empty() {
            return Next::Send(self.event(issuer, now));
        }
        if let Some(silence) = self.wanted.silence_micros.map(Duration::from_micros) {
            let at = self.sent_at.unwrap_or(self.begun) + silence;
            if at <= now {
                return Next::Send(self.written(issuer, now, Some(self.looked), &[], false));
            }
            return Next::Wait(Some(due.map_or(at, |due| due.min(at))));
        }
        Next::Wait(due)
    }

    fn over(&self, now: Instant) -> Option<Over> {
        if self.closed && self.window.is_empty() {
            return Some(Over::IncidentClosed);
        }
        let expires = self.wanted.expires_micros.map(|micros| self.begun + Duration::from_micros(micros));
        if expires.is_some_and(|at| at <= now) {
            return Some(Over::Expired);
        }
        self.window.front().filter(|(_, sent)| *sent + self.ack_wait <= now).map(|_| Over::NotAcknowledged)
    }

    /// When it is over unless something happens.
    fn due(&self) -> Option<Instant> {
        let expires = self.wanted.expires_micros.map(|micros| self.begun + Duration::from_micros(micros));
        let acknowledged = self.window.front().map(|(_, sent)| *sent + self.ack_wait);
        [expires, acknowledged].into_iter().flatten().min()
    }

    /// Looks for what is new, in the ring or behind it.
    fn look(&mut self, hub: &Arc<Hub>) {
        if !self.ready.is_empty() || !matches!(self.source, Source::Ring) {
            return;
        }
        match hub.after(self.looked, &self.viewer, FEED_CHANGES_MAX) {
            Some((happenings, through)) => {
                self.looked = through;
                self.take(happenings);
            }
            None => self.source = Source::Journal(read_journal(hub, self.looked, self.viewer)),
        }
    }

    /// A page of the state as it is.
    fn state(&mut self, hub: &Hub, issuer: &str, after: Option<IncidentId>, now: Instant) -> String {
        let (files, through) = match self.wanted.only {
            Some(only) => (hub.incident(only).filter(|file| file.is_seen_by(&self.viewer)).into_iter().collect(), hub.seq()),
            None => hub.incidents(after, &self.viewer, FEED_STATE_DOCUMENTS_MAX),
        };
        if after.is_none() {
            // What changes while the pages are told is told again after them.
            self.looked = through;
        }
        let is_last = files.len() < FEED_STATE_DOCUMENTS_MAX;
        self.reads.extend(files.iter().flat_map(|file| &file.members).map(|member| member.contact.id));
        self.source = if is_last { Source::Ring } else { Source::State(files.last().map(|file| file.incident)) };
        let files: Vec<&IncidentFile> = files.iter().map(|file| &**file).collect();
        self.written(issuer, now, is_last.then_some(self.looked), &files, true)
    }

    /// The oldest entry that is ready, or as many as go into one event where events have a rate.
    fn event(&mut self, issuer: &str, now: Instant) -> String {
        let count = if self.wanted.pause_micros > 0 { self.ready.len().min(FEED_CHANGES_MAX) } else { 1 };
        let happenings: Vec<Arc<Happening>> = self.ready.drain(..count).collect();
        // The newest state of each incident.
        let mut files: Vec<&IncidentFile> = Vec::new();
        for file in happenings.iter().rev().flat_map(|happening| happening.files.iter().rev()) {
            if file.is_seen_by(&self.viewer) && files.iter().all(|known| known.incident != file.incident) {
                files.push(file);
            }
        }
        files.reverse();
        self.reads.extend(files.iter().flat_map(|file| &file.members).map(|member| member.contact.id));
        let sequence = happenings.last().map(|last| last.seq);
        let ours =
            EventOurs { sequence, after: self.told, state: false, changes: happenings.iter().map(|happening| change(happening)).collect() };
        let transaction = self.number(now);
        self.told = sequence.or(self.told);
        let line = event_line(&self.id, &transaction, &ours, files.iter().map(|file| file.text(issuer)));
        self.close_with(&happenings);
        line
    }

    /// An event without entries: the first state, or a sign of life.
    fn written(&mut self, issuer: &str, now: Instant, sequence: Option<u64>, files: &[&IncidentFile], state: bool) -> String {
        let ours = EventOurs { sequence, after: self.told, state, changes: Vec::new() };
        let transaction = self.number(now);
        self.told = sequence.or(self.told);
        event_line(&self.id, &transaction, &ours, files.iter().map(|file| file.text(issuer)))
    }

    fn number(&mut self, now: Instant) -> String {
        self.numbered += 1;
        self.sent_at = Some(now);
        let transaction = format!("{}-{}", self.id, self.numbered);
        self.window.push_back((transaction.clone(), now));
        transaction
    }

    /// Of one incident there is nothing more to tell once its last contact has ended.
    fn close_with(&mut self, happenings: &[Arc<Happening>]) {
        let closes = |happening: &Arc<Happening>| {
            happening.what == "ended"
                && happening.files.iter().any(|file| Some(file.incident) == self.wanted.only && file.members.len() == 1)
        };
        self.closed |= happenings.iter().any(closes);
    }
}

fn change(happening: &Happening) -> Change<'_> {
    Change {
        sequence: happening.seq,
        at: time(happening.at),
        what: happening.what,
        contact: happening.contact.to_string(),
        incident: happening.incident.to_string(),
        service: happening.service.map(|service| service.word()),
        by: happening.by.as_ref().map(SeatText::of),
    }
}

/// Reads old entries on a thread that may wait; at most one page is ahead of its reader.
fn read_journal(hub: &Arc<Hub>, after: u64, viewer: Viewer) -> mpsc::Receiver<Result<Stretch, StoreError>> {
    let (tell, told) = mpsc::channel(1);
    let hub = Arc::clone(hub);
    tokio::spawn(async move {
        // Those beyond the bound wait for their turn.
        let Ok(place) = Arc::clone(&hub.histories).acquire_owned().await else { return };
        let read = tokio::task::spawn_blocking(move || {
            history::tell(&hub, after, viewer, &tell);
            drop(place);
        });
        drop(read.await);
    });
    told
}
