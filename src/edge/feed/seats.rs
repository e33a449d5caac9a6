//! Seats that other systems speak for: one session of the engine for each, whoever speaks for it and by whichever way.
//!
//! One seat is one session. It is opened by the first command of the seat and lives while a WebSocket that spoke for it lives, or for one
//! lease after its last request. One command is under way at a time; it is done when the journal says so.
//!
//! **Invariant:** a command is answered as done only with an entry of the journal behind it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dashmap::DashSet;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};

use super::book::{Happening, Viewer};
use super::hub::Hub;
use crate::client::transport::CloseCode;
use crate::deliver::{ConsoleHears, ConsoleSays, Duty, OfferId, Refusal, Seat};
use crate::edge::ingress::lines::insist;
use crate::edge::ingress::{told, unpanicked};
use crate::edge::run::NodeCore;
use crate::engine::{Input, SessionId};
use crate::limits::{FEED_COMMANDS_MAX, FEED_READS_KNOWN_MAX, FEED_SEATS_MAX, HEARTBEAT_MICROS, LEASE_MICROS_MAX, WRITE_BATCH_MAX};
use crate::units::ContactId;
use crate::wire::eido::dossier::Dossier;
use crate::wire::feed::{Asked, Wrong};

/// What became of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The journal says so, under this number.
    Done(u64),
    /// It was said to the engine, and the journal does not say so yet.
    Pending,
    Refused(Refusal),
    /// The seat's session ended meanwhile.
    Gone,
}

enum Ask {
    SignIn {
        languages: Vec<[u8; 2]>,
        text: bool,
        tell: oneshot::Sender<Outcome>,
    },
    SignOut {
        tell: oneshot::Sender<Outcome>,
    },
    Says {
        says: ConsoleSays,
        tell: oneshot::Sender<Outcome>,
    },
    /// Somebody who speaks for it lives.
    Heard,
    /// A WebSocket speaks for it from now on, until it drops the other end.
    Attach(mpsc::Sender<&'static str>),
}

/// All of them.
pub(super) struct Seats {
    core: Arc<NodeCore>,
    /// Who has read what, as far as the journal was told of it.
    reads: DashSet<(ContactId, Seat)>,
    hub: Arc<Hub>,
    wait: Duration,
    lines: Mutex<BTreeMap<Viewer, mpsc::Sender<Ask>>>,
    draining: watch::Sender<bool>,
    running: watch::Sender<usize>,
}

impl Seats {
    /// `wait`: how long a command waits for the journal.
    pub fn new(core: Arc<NodeCore>, hub: Arc<Hub>, wait: Duration, draining: watch::Sender<bool>) -> Arc<Self> {
        Arc::new(Self { core, hub, wait, reads: DashSet::new(), lines: Mutex::default(), draining, running: watch::Sender::new(0) })
    }

    /// Carries out what a seat asks.
    ///
    /// # Errors
    /// What it is told instead.
    pub async fn carry_out(self: &Arc<Self>, viewer: Viewer, asked: Asked) -> Result<Outcome, Wrong> {
        let outcome = match asked {
            Asked::SignIn { languages, text } => self.ask(viewer, |tell| Ask::SignIn { languages: languages.clone(), text, tell }).await?,
            Asked::SignOut => self.ask(viewer, |tell| Ask::SignOut { tell }).await?,
            Asked::Says(contact, says) => {
                let dossier = self.seen(contact, &viewer)?;
                if self.is_so(&says, &dossier, &viewer.seat) {
                    return Ok(Outcome::Done(dossier.seq));
                }
                if dossier.ended.is_some() {
                    return Err(Wrong::new(404, "the contact has ended", "nothing is left to do about it"));
                }
                self.ask(viewer, |tell| Ask::Says { says: says.clone(), tell }).await?
            }
        };
        match outcome {
            Outcome::Refused(why) => Err(Wrong::refusal(why)),
            Outcome::Gone => Err(Wrong::new(409, "another session of this seat was opened", "one seat is one session: close the other")),
            outcome => Ok(outcome),
        }
    }

    /// A contact that the viewer may see.
    pub fn seen(&self, contact: ContactId, viewer: &Viewer) -> Result<Arc<Dossier>, Wrong> {
        let nowhere = || Wrong::new(404, "there is no such contact for this room", "it may be over, or another room's");
        let dossier = self.hub.contact(contact).ok_or_else(nowhere)?;
        let by_itself = dossier.is_seen_by(viewer.room(), viewer.test);
        let by_incident = || self.hub.incident(dossier.incident).is_some_and(|file| file.is_seen_by(viewer));
        if by_itself || by_incident() { Ok(dossier) } else { Err(nowhere()) }
    }

    /// Has it written down that these were read. Each once for a seat, as far as is remembered; the engine knows of those that live.
    pub async fn read(&self, viewer: &Viewer, contacts: Vec<ContactId>) {
        if viewer.test {
            return;
        }
        for contact in contacts {
            if self.reads.len() >= FEED_READS_KNOWN_MAX {
                self.reads.clear();
            }
            if self.reads.insert((contact, viewer.seat)) {
                insist(&self.core, Input::Read { contact, by: viewer.seat, duty: Duty::System }).await;
            }
        }
    }

    /// A seat that is signed in is still there.
    pub fn heard(&self, viewer: &Viewer) {
        let line = self.lines().get(viewer).cloned();
        // A full queue holds commands, which say the same.
        line.into_iter().for_each(|line| drop(line.try_send(Ask::Heard)));
    }

    /// Ties a seat's session to a WebSocket; what is heard there is why the session ended.
    pub async fn attach(&self, viewer: &Viewer) -> Option<mpsc::Receiver<&'static str>> {
        let line = self.lines().get(viewer).cloned()?;
        let (tell, told) = mpsc::channel(1);
        line.send(Ask::Attach(tell)).await.ok().map(|()| told)
    }

    /// Waits until every session has said goodbye.
    pub async fn ended(&self) {
        let mut running = self.running.subscribe();
        let _ = timeout(Duration::from_secs(2), running.wait_for(|running| *running == 0)).await;
    }

    async fn ask(self: &Arc<Self>, viewer: Viewer, ask: impl Fn(oneshot::Sender<Outcome>) -> Ask) -> Result<Outcome, Wrong> {
        // A session that ends at this moment is opened anew, once.
        for _ in 0..2 {
            let (tell, told) = oneshot::channel();
            let line = self.line(viewer)?;
            if timeout(self.wait, line.send(ask(tell))).await.map_err(|_| Wrong::refusal(Refusal::Full))?.is_err() {
                continue;
            }
            match told.await {
                Ok(outcome) => return Ok(outcome),
                Err(_) => continue,
            }
        }
        Ok(Outcome::Gone)
    }

    fn line(self: &Arc<Self>, viewer: Viewer) -> Result<mpsc::Sender<Ask>, Wrong> {
        let mut lines = self.lines();
        if let Some(line) = lines.get(&viewer).filter(|line| !line.is_closed()) {
            return Ok(line.clone());
        }
        if *self.draining.borrow() {
            return Err(Wrong::new(503, "the engine is stopping", "come back in a moment"));
        }
        if lines.len() >= FEED_SEATS_MAX {
            return Err(Wrong::refusal(Refusal::Full));
        }
        let (line, asked) = mpsc::channel(FEED_COMMANDS_MAX);
        lines.insert(viewer, line.clone());
        self.running.send_modify(|running| *running += 1);
        let seats = Arc::clone(self);
        tokio::spawn(async move {
            let session = Session::open(&seats, viewer).await;
            let id = session.id;
            if unpanicked(session.run(asked)).await.is_none() {
                tracing::error!(seat = %viewer.seat.seat, "the session of a seat panicked and is closed");
            }
            insist(&seats.core, Input::SessionClosed { session: id }).await;
            seats.forget(&viewer);
            seats.running.send_modify(|running| *running -= 1);
        });
        Ok(line)
    }

    /// Takes a line that has ended off the list, unless another has taken its place.
    fn forget(&self, viewer: &Viewer) {
        let mut lines = self.lines();
        if lines.get(viewer).is_some_and(mpsc::Sender::is_closed) {
            lines.remove(viewer);
        }
    }

    fn lines(&self) -> MutexGuard<'_, BTreeMap<Viewer, mpsc::Sender<Ask>>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It is so already: the engine would say nothing.
    fn is_so(&self, says: &ConsoleSays, dossier: &Dossier, seat: &Seat) -> bool {
        let share = |offer: &OfferId| dossier.share(offer.service);
        match says {
            ConsoleSays::Take { offer } => {
                share(offer).is_some_and(|share| is_held_by(share.held_by.map(|(by, _)| by), seat) && share.declined.is_none())
            }
            ConsoleSays::Accept { offer } => {
                share(offer).is_some_and(|share| share.accepted.is_some() && is_held_by(share.held_by.map(|(by, _)| by), seat))
            }
            ConsoleSays::Close { offer, .. } => {
                share(offer).and_then(|share| share.closed.as_ref()).is_some_and(|closing| closing.by == *seat)
            }
            ConsoleSays::Decline { offer, .. } => share(offer).and_then(|share| share.declined.as_ref()).is_some_and(|(by, _)| by == seat),
            ConsoleSays::AddService { service, .. } => dossier.share(*service).is_some(),
            ConsoleSays::Join { with, .. } => self.hub.contact(*with).is_some_and(|other| other.incident == dossier.incident),
            ConsoleSays::Split { .. } => self.hub.incident(dossier.incident).is_none_or(|file| file.members.len() < 2),
            _ => false,
        }
    }
}

fn is_held_by(holder: Option<Seat>, seat: &Seat) -> bool {
    holder.as_ref() == Some(seat)
}

/// A command under way.
struct UnderWay {
    says: ConsoleSays,
    /// The newest entry before it was said.
    before: u64,
    until: Instant,
    tell: oneshot::Sender<Outcome>,
}

/// One seat's session.
struct Session<'s> {
    seats: &'s Seats,
    viewer: Viewer,
    id: SessionId,
    outbox: crate::edge::sessions::Outbox<ConsoleHears>,
    signed_in: bool,
    under_way: Option<UnderWay>,
    waiting: VecDeque<(ConsoleSays, oneshot::Sender<Outcome>)>,
    attached: Vec<mpsc::Sender<&'static str>>,
    /// A seat without a WebSocket is there until then.
    there_until: Instant,
    beat_at: Instant,
}

impl<'s> Session<'s> {
    async fn open(seats: &'s Seats, viewer: Viewer) -> Self {
        let outbox = seats.core.registry.open::<ConsoleHears>();
        let id = outbox.session();
        insist(&seats.core, Input::ConsoleOpened { session: id, seat: viewer.seat, test: viewer.test }).await;
        let now = Instant::now();
        Self {
            seats,
            viewer,
            id,
            outbox,
            signed_in: false,
            under_way: None,
            waiting: VecDeque::new(),
            attached: Vec::new(),
            there_until: now + Duration::from_micros(LEASE_MICROS_MAX),
            beat_at: now,
        }
    }

    async fn run(mut self, mut asked: mpsc::Receiver<Ask>) {
        let (stop, mut draining, mut head) = (self.outbox.stop(), self.seats.draining.subscribe(), self.seats.hub.watch());
        let mut heard = Vec::with_capacity(WRITE_BATCH_MAX);
        let mut look = interval(Duration::from_millis(500));
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let why = loop {
            let until = self.under_way.as_ref().map_or_else(|| Instant::now() + Duration::from_secs(60), |command| command.until);
            tokio::select! {
                ask = asked.recv() => match ask {
                    Some(Ask::SignOut { tell }) => {
                        insist(&self.seats.core, Input::Console { session: self.id, says: ConsoleSays::SignOut }).await;
                        let _ = tell.send(Outcome::Done(self.seats.hub.seq()));
                        break "signed out";
                    }
                    Some(ask) => self.asked(ask).await,
                    None => break "nobody speaks for it any more",
                },
                received = self.outbox.receive_many(&mut heard, WRITE_BATCH_MAX) => {
                    if received == 0 {
                        break reason(stop.stopped().await);
                    }
                    heard.drain(..).for_each(|hears| self.heard(&hears));
                }
                changed = head.changed(), if self.under_way.is_some() => {
                    if changed.is_ok() {
                        self.look_in_journal();
                    }
                }
                () = sleep_until(until) => self.finish(Outcome::Pending),
                _ = look.tick() => {
                    self.attached.retain(|line| !line.is_closed());
                    if self.attached.is_empty() && self.under_way.is_none() && self.there_until <= Instant::now() {
                        break "nobody speaks for it any more";
                    }
                }
                why = stop.stopped() => break reason(why),
                () = told(&mut draining) => break "the engine is stopping",
            }
            self.next().await;
        };
        asked.close();
        self.finish(Outcome::Gone);
        for line in &self.attached {
            let _ = line.try_send(why);
        }
    }

    async fn asked(&mut self, ask: Ask) {
        self.there_until = Instant::now() + Duration::from_micros(LEASE_MICROS_MAX);
        match ask {
            Ask::SignIn { languages, text, tell } => {
                self.sign_in(languages, text).await;
                let _ = tell.send(Outcome::Done(self.seats.hub.seq()));
            }
            Ask::SignOut { tell } => drop(tell.send(Outcome::Done(self.seats.hub.seq()))),
            Ask::Says { says, tell } => self.waiting.push_back((says, tell)),
            Ask::Heard => self.beat().await,
            Ask::Attach(line) => self.attached.push(line),
        }
    }

    async fn sign_in(&mut self, languages: Vec<[u8; 2]>, text: bool) {
        self.signed_in = true;
        self.beat_at = Instant::now();
        self.say(ConsoleSays::SignIn { languages, text, seen: 0 }).await;
    }

    /// Keeps the leases, as often as a console does.
    async fn beat(&mut self) {
        if self.signed_in && self.beat_at.elapsed() >= Duration::from_micros(HEARTBEAT_MICROS / 2) {
            self.beat_at = Instant::now();
            self.say(ConsoleSays::Heartbeat).await;
        }
    }

    async fn say(&self, says: ConsoleSays) {
        insist(&self.seats.core, Input::Console { session: self.id, says }).await;
    }

    /// Begins the next command when none is under way.
    async fn next(&mut self) {
        while self.under_way.is_none() {
            let Some((says, tell)) = self.waiting.pop_front() else { return };
            if !self.signed_in {
                self.sign_in(Vec::new(), false).await;
            }
            self.beat_at = Instant::now();
            let before = self.seats.hub.seq();
            self.say(says.clone()).await;
            if let ConsoleSays::Shown { .. } = says {
                // No entry speaks of it.
                let _ = tell.send(Outcome::Done(before));
                continue;
            }
            self.under_way = Some(UnderWay { says, before, until: Instant::now() + self.seats.wait, tell });
            self.look_in_journal();
        }
    }

    fn heard(&mut self, hears: &ConsoleHears) {
        let Some(command) = &self.under_way else { return };
        let offer = offer_of(&command.says);
        match hears {
            ConsoleHears::Refused { offer: about, why } if about.is_none() || *about == offer => {
                let why = *why;
                self.finish(Outcome::Refused(why));
            }
            // Asked twice, answered twice: the entry that says so may be an old one.
            ConsoleHears::Taken { offer: about, by } | ConsoleHears::Accepted { offer: about, by }
                if Some(*about) == offer && *by == self.viewer.seat =>
            {
                let dossier = self.seats.hub.contact(about.contact);
                if let Some(dossier) = dossier.filter(|dossier| self.seats.is_so(&command.says, dossier, &self.viewer.seat)) {
                    self.finish(Outcome::Done(dossier.seq));
                }
            }
            _ => {}
        }
    }

    fn look_in_journal(&mut self) {
        let Some(command) = &self.under_way else { return };
        let seat = self.viewer.seat;
        if let Some(seq) = self.seats.hub.find_after(command.before, |happening| says_so(happening, &command.says, &seat)) {
            self.finish(Outcome::Done(seq));
        }
    }

    fn finish(&mut self, outcome: Outcome) {
        if let Some(command) = self.under_way.take() {
            // Who has stopped waiting does not hear it.
            let _ = command.tell.send(outcome);
        }
    }
}

fn reason(why: CloseCode) -> &'static str {
    match why {
        CloseCode::EngineClosed => "another session of this seat was opened, or the engine closed this one",
        other => other.word(),
    }
}

fn offer_of(says: &ConsoleSays) -> Option<OfferId> {
    match says {
        ConsoleSays::Accept { offer }
        | ConsoleSays::CalledBack { offer, .. }
        | ConsoleSays::Close { offer, .. }
        | ConsoleSays::Decline { offer, .. }
        | ConsoleSays::Release { offer }
        | ConsoleSays::Take { offer }
        | ConsoleSays::Transfer { offer, .. } => Some(*offer),
        _ => None,
    }
}

/// The entry that a command of this seat makes.
fn says_so(happening: &Happening, says: &ConsoleSays, seat: &Seat) -> bool {
    let mine = happening.by.as_ref() == Some(seat);
    let about = |offer: &OfferId| happening.contact == offer.contact && happening.service == Some(offer.service);
    match says {
        ConsoleSays::Accept { offer } => mine && about(offer) && happening.what == "accepted",
        ConsoleSays::AddService { contact, .. } => mine && happening.contact == *contact && happening.what == "noted",
        ConsoleSays::CalledBack { offer, .. } => mine && about(offer) && happening.what == "called_back",
        ConsoleSays::Close { offer, .. } => mine && about(offer) && happening.what == "closed",
        ConsoleSays::Decline { offer, .. } | ConsoleSays::Transfer { offer, .. } => mine && about(offer) && happening.what == "declined",
        ConsoleSays::Join { .. } | ConsoleSays::Split { .. } => mine && happening.what == "joined",
        ConsoleSays::Note { contact, text } => {
            let newest = || happening.files.iter().flat_map(|file| &file.members).find(|member| member.id() == *contact);
            let is_it = |member: &Arc<Dossier>| member.notes.last().is_some_and(|note| note.text == *text);
            mine && happening.contact == *contact && happening.what == "noted" && newest().is_some_and(is_it)
        }
        ConsoleSays::Release { offer } => about(offer) && happening.what == "waiting",
        ConsoleSays::Take { offer } => mine && about(offer) && happening.what == "taken",
        _ => false,
    }
}
