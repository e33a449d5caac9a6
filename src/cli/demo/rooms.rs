//! The rooms: simulated people at real consoles, who take, accept, decline and close with the delays of a fast clock.
//!
//! Each room runs on a runtime of its own. Killing a room drops that runtime, which is a power cut: no farewell is said, and the engine
//! finds out by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::stage::{Dice, Stage};
use crate::client::{ConsoleClient, LinkState};
use crate::deliver::{CallbackOutcome, ConsoleHears, ConsoleSays, Offer, OfferId, Role as OfferRole, Seat};
use crate::edge::tls::Role;
use crate::tables::dispatchers::Dispatcher;
use crate::units::{DispatcherId, Name, Timestamp};

/// Rooms that can hold this many contacts have two seats in the demo, the others one.
const BIG_ROOM_CAPACITY: u32 = 30;
/// From an offer on the screen to a person who takes it, in microseconds.
const TAKE: (u64, u64) = (150_000, 900_000);
/// The same in the slow room: past any wait, so that the next room is asked.
const TAKE_SLOW: (u64, u64) = (13_000_000, 15_000_000);
/// From the take to help on its way.
const ACCEPT: (u64, u64) = (100_000, 500_000);
/// From then to the end.
const CLOSE: (u64, u64) = (400_000, 2_500_000);
/// One offer in so many is declined by the responsible room.
const DECLINE_ONE_IN: u64 = 17;
/// Who declined takes it all the same when nobody else has by then.
const DECLINED_TAKE: u64 = 8_000_000;
/// How long seats have to sign out.
const SIGN_OUT_WAIT: Duration = Duration::from_secs(5);

/// The seats of a dispatcher in the demo.
pub fn seats_of(row: &Dispatcher) -> impl Iterator<Item = Seat> + use<> {
    let count = if row.capacity >= BIG_ROOM_CAPACITY { 2 } else { 1 };
    let dispatcher = row.id;
    (1..=count).filter_map(move |n: u32| Some(Seat { dispatcher, seat: Name::new(&n.to_string())? }))
}

/// One dispatcher's room.
pub struct Room {
    pub id: DispatcherId,
    seats: Vec<Seat>,
    languages: Vec<[u8; 2]>,
    text: bool,
    running: Option<Running>,
}

struct Running {
    power: Power,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

/// A runtime that may be dropped anywhere, at once, with everything that runs on it.
struct Power(Option<Runtime>);

impl Power {
    fn on() -> std::io::Result<Self> {
        Builder::new_multi_thread().worker_threads(1).thread_name("najda-demo-room").enable_all().build().map(|runtime| Self(Some(runtime)))
    }
}

impl Drop for Power {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Room {
    /// A room whose seats sign in by themselves.
    ///
    /// # Errors
    /// Its thread cannot be started, or a certificate is missing.
    pub fn open(stage: &Arc<Stage>, row: &Dispatcher) -> Result<Self> {
        let seats: Vec<Seat> = seats_of(row).collect();
        stage.score().rooms.entry(row.id).or_default().seats = seats.len() as u32;
        let mut room = Self { id: row.id, seats, languages: row.languages.clone(), text: row.text, running: None };
        room.light(stage)?;
        Ok(room)
    }

    pub fn is_dark(&self) -> bool {
        self.running.is_none()
    }

    /// Switches the room on.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn light(&mut self, stage: &Arc<Stage>) -> Result<()> {
        let power = Power::on().with_context(|| format!("starting the room {}", self.id))?;
        let runtime = power.0.as_ref().map(Runtime::handle).with_context(|| format!("starting the room {}", self.id))?;
        let (stop, stopped) = watch::channel(false);
        let mut tasks = Vec::with_capacity(self.seats.len());
        for seat in &self.seats {
            let link = stage.link(&Role::Console { seat: *seat, load_test: false })?;
            let _inside = runtime.enter();
            let (client, hears) =
                ConsoleClient::start(link, &self.languages, self.text).with_context(|| format!("signing {} in", self.id))?;
            let person = Person::new(stage, *seat, client);
            tasks.push(runtime.spawn(person.work(hears, stopped.clone())));
        }
        stage.score().rooms.entry(self.id).or_default().killed = false;
        self.running = Some(Running { power, stop, tasks });
        Ok(())
    }

    /// Cuts the room's power.
    pub fn kill(&mut self, stage: &Stage) {
        let Some(running) = self.running.take() else { return };
        drop(running.power);
        let mut score = stage.score();
        score.darkened(self.id);
        score.rooms.entry(self.id).or_default().killed = true;
        score.rooms_killed += 1;
    }

    /// Everybody signs out and goes home.
    pub async fn close(self) {
        let Some(Running { power, stop, tasks }) = self.running else { return };
        stop.send_replace(true);
        for task in tasks {
            let _ = timeout(SIGN_OUT_WAIT, task).await;
        }
        drop(power);
    }
}

/// What a person is about to do with an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Accept,
    CallBack,
    Close,
    Decline,
    Take,
}

/// A simulated person at a console.
struct Person {
    stage: Arc<Stage>,
    seat: Seat,
    client: ConsoleClient,
    dice: Dice,
    plans: BTreeMap<OfferId, (u64, Next)>,
    declined: BTreeSet<OfferId>,
    held: BTreeSet<OfferId>,
    /// Only told of, as a neighbour: others take those.
    told: BTreeSet<OfferId>,
    accepted: BTreeSet<OfferId>,
    /// Whose caller is gone and was not called back so far.
    callbacks: BTreeSet<OfferId>,
    /// Whose caller may be sent a message.
    reachable: BTreeSet<OfferId>,
    is_open: bool,
}

impl Person {
    fn new(stage: &Arc<Stage>, seat: Seat, client: ConsoleClient) -> Self {
        let dice = Dice::new(stage.seed, &format!("{}/{}", seat.dispatcher, seat.seat));
        let (plans, declined, held, told, accepted, callbacks, reachable) = Default::default();
        Self { stage: Arc::clone(stage), seat, client, dice, plans, declined, held, told, accepted, callbacks, reachable, is_open: false }
    }

    async fn work(mut self, mut hears: tokio::sync::mpsc::Receiver<ConsoleHears>, mut stopped: watch::Receiver<bool>) {
        let mut states = self.client.link().states();
        self.link_changed(&states.borrow_and_update().clone());
        loop {
            let now = self.stage.now_micros();
            let due = self.plans.iter().min_by_key(|(_, (due, _))| *due).map(|(offer, (due, next))| (*offer, *due, *next));
            let wait = due.map_or(Duration::from_secs(3600), |(_, due, _)| Duration::from_micros(due.saturating_sub(now)));
            tokio::select! {
                heard = hears.recv() => match heard {
                    Some(heard) => self.heard(&heard),
                    None => return,
                },
                () = sleep(wait) => if let Some((offer, _, next)) = due { self.act(offer, next) },
                changed = states.changed() => match changed {
                    Ok(()) => { let state = states.borrow_and_update().clone(); self.link_changed(&state); }
                    Err(_) => return,
                },
                _ = stopped.wait_for(|stop| *stop) => break,
            }
        }
        self.client.sign_out().await;
    }

    fn link_changed(&mut self, state: &LinkState) {
        let open = matches!(state, LinkState::Open { .. });
        if open == self.is_open {
            return;
        }
        self.is_open = open;
        let mut score = self.stage.score();
        let room = score.rooms.entry(self.seat.dispatcher).or_default();
        room.seats_open = if open { room.seats_open + 1 } else { room.seats_open.saturating_sub(1) };
    }

    fn heard(&mut self, hears: &ConsoleHears) {
        let now = self.stage.now_micros();
        let n = match hears {
            ConsoleHears::Offer(offer) => self.stage.number_of(&offer.contact.key),
            _ => None,
        };
        {
            let mut score = self.stage.score();
            if let ConsoleHears::SignedIn { .. } = hears {
                // What is still true is shown again.
                let room = score.rooms.entry(self.seat.dispatcher).or_default();
                room.waiting.clear();
                room.held.clear();
            }
            score.heard(self.seat.dispatcher, n, hears, now);
        }
        match hears {
            ConsoleHears::SignedIn { .. } => {
                self.plans.clear();
                self.held.clear();
            }
            ConsoleHears::Offer(offer) => self.offered(offer, n, now),
            ConsoleHears::Taken { offer, by } if *by == self.seat => {
                self.held.insert(*offer);
                let next = if self.callbacks.contains(offer) { Next::CallBack } else { Next::Accept };
                self.plan(*offer, next, now, ACCEPT);
            }
            // The caller was reached: help is sent.
            ConsoleHears::CalledBack { offer, by, outcome: CallbackOutcome::HelpNeeded } if *by == self.seat => {
                self.callbacks.remove(offer);
                self.plan(*offer, Next::Accept, now, ACCEPT);
            }
            ConsoleHears::Taken { offer, .. } => self.forget(*offer),
            // Somebody who is gone may have accepted what this seat holds now: it is this seat's to close.
            ConsoleHears::Accepted { offer, by } if self.held.contains(offer) => {
                if *by == self.seat && self.accepted.insert(*offer) {
                    self.stage.score().accepted_in(self.seat.dispatcher);
                    if self.reachable.remove(offer) {
                        self.say(ConsoleSays::Inform { offer: *offer });
                    }
                }
                self.plan(*offer, Next::Close, now, CLOSE);
            }
            ConsoleHears::Waiting { offer, .. } if !self.declined.contains(offer) && !self.told.contains(offer) => {
                self.plan(*offer, Next::Take, now, TAKE)
            }
            ConsoleHears::Closed { offer, .. } | ConsoleHears::Withdrawn { offer } => self.forget(*offer),
            ConsoleHears::Refused { offer: Some(offer), .. } => {
                self.plans.remove(offer);
            }
            ConsoleHears::Alert { offer, .. } if !self.declined.contains(offer) && !self.plans.contains_key(offer) => {
                self.plan(*offer, Next::Take, now, TAKE);
            }
            ConsoleHears::Accepted { .. }
            | ConsoleHears::Alert { .. }
            | ConsoleHears::CalledBack { .. }
            | ConsoleHears::CallerHungUp { .. }
            | ConsoleHears::Changed { .. }
            | ConsoleHears::CaughtUp
            | ConsoleHears::Confirmed { .. }
            | ConsoleHears::Conversation { .. }
            | ConsoleHears::Declared { .. }
            | ConsoleHears::Delivered { .. }
            | ConsoleHears::Dispatched { .. }
            | ConsoleHears::EventOver { .. }
            | ConsoleHears::Informed { .. }
            | ConsoleHears::Joined { .. }
            | ConsoleHears::MembersEnded { .. }
            | ConsoleHears::Noted { .. }
            | ConsoleHears::Proposed { .. }
            | ConsoleHears::Refused { .. }
            | ConsoleHears::Related { .. }
            | ConsoleHears::Said { .. }
            | ConsoleHears::Shares { .. }
            | ConsoleHears::Waiting { .. } => {}
        }
    }

    /// The offer as it stands now says what to do next: nothing is remembered that a restart of the engine could make wrong.
    fn offered(&mut self, offer: &Offer, n: Option<usize>, now: u64) {
        self.say(ConsoleSays::Shown { offer: offer.id });
        let to_call = offer.callback.is_some_and(|callback| callback.outcome.is_none());
        place(&mut self.callbacks, offer.id, to_call);
        place(&mut self.reachable, offer.id, offer.may_inform);
        place(&mut self.told, offer.id, matches!(offer.role, OfferRole::Neighbour | OfferRole::Test));
        match (offer.role, offer.held_by) {
            (OfferRole::Neighbour | OfferRole::Test, None) => self.stage.score().rooms.entry(self.seat.dispatcher).or_default().told += 1,
            (_, Some(by)) if by != self.seat => self.forget(offer.id),
            (_, Some(_)) => {
                self.held.insert(offer.id);
                let (next, delay) = match (offer.accepted, to_call) {
                    (true, _) => (Next::Close, CLOSE),
                    (false, true) => (Next::CallBack, ACCEPT),
                    (false, false) => (Next::Accept, ACCEPT),
                };
                self.plan(offer.id, next, now, delay);
            }
            (_, None) if self.is_anothers_first(offer) => {}
            (_, None) if self.plans.contains_key(&offer.id) => {}
            (OfferRole::Responsible, None) if !self.declined.contains(&offer.id) && declines(n, offer.id) => {
                self.plan(offer.id, Next::Decline, now, TAKE);
            }
            (_, None) => {
                let slow = self.stage.slow == Some(self.seat.dispatcher);
                self.plan(offer.id, Next::Take, now, if slow { TAKE_SLOW } else { TAKE });
            }
        }
    }

    /// A repeat caller whom another seat knows: that seat is asked first.
    fn is_anothers_first(&self, offer: &Offer) -> bool {
        let asked = offer.role != OfferRole::Repeat;
        offer.repeat.is_some_and(|repeat| repeat.held_by != Some(self.seat) && (repeat.until > Timestamp::default() || !asked))
    }

    fn plan(&mut self, offer: OfferId, next: Next, now: u64, (low, high): (u64, u64)) {
        let due = now + self.dice.between(low, high);
        self.plans.insert(offer, (due, next));
    }

    fn forget(&mut self, offer: OfferId) {
        self.plans.remove(&offer);
        self.declined.remove(&offer);
        self.held.remove(&offer);
        self.told.remove(&offer);
        self.accepted.remove(&offer);
        self.callbacks.remove(&offer);
        self.reachable.remove(&offer);
    }

    fn act(&mut self, offer: OfferId, next: Next) {
        self.plans.remove(&offer);
        match next {
            Next::Accept => self.say(ConsoleSays::Accept { offer }),
            Next::CallBack => {
                let (outcome, reason) = (CallbackOutcome::HelpNeeded, "spoke to the caller".into());
                self.say(ConsoleSays::CalledBack { offer, outcome, reason });
            }
            Next::Close => self.say(ConsoleSays::Close { offer, reason: "done".into() }),
            Next::Decline => {
                self.declined.insert(offer);
                self.stage.score().declined += 1;
                self.say(ConsoleSays::Decline { offer, reason: "all crews are out".into() });
                self.plan(offer, Next::Take, self.stage.now_micros(), (DECLINED_TAKE, DECLINED_TAKE));
            }
            Next::Take => self.say(ConsoleSays::Take { offer }),
        }
    }

    fn say(&self, says: ConsoleSays) {
        // A full queue means that the line has been gone for thousands of commands; what matters is shown again when it is back.
        let _ = self.client.try_say(says);
    }
}

fn place(set: &mut BTreeSet<OfferId>, offer: OfferId, inside: bool) {
    if inside {
        set.insert(offer);
    } else {
        set.remove(&offer);
    }
}

/// Both seats of a room decline the same offers, so that the next room is asked.
fn declines(n: Option<usize>, offer: OfferId) -> bool {
    n.is_some_and(|n| Dice::new(n as u64, offer.service.word()).one_in(DECLINE_ONE_IN))
}
