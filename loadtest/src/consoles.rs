//! The consoles: seats in the rooms; each takes what its room is asked, accepts it and closes it.
//!
//! A seat acts at once unless the scenario says how long a contact keeps it, so that what is measured is the engine and not a person.
//! What its room is asked first it takes; what another room is responsible for it leaves to that one for a moment, as people do.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use najda::client::{ConsoleClient, LinkState};
use najda::decision::AssignedRecord;
use najda::deliver::{ConsoleHears, ConsoleSays, Offer, OfferId, Refusal, Seat};
use najda::units::DispatcherId;
use tokio::sync::mpsc;
use tokio::time::sleep_until;

use crate::arrivals::Random;
use crate::board::{Board, Mark};
use crate::callers::Callers;
use crate::engine::Doors;
use crate::loops::Loops;

/// After this a seat says again what a bound kept it from saying.
const AGAIN: Duration = Duration::from_millis(20);
/// So long a seat leaves to another room what that one is responsible for.
const AFTER_YOU: Duration = Duration::from_millis(100);
/// Messages a seat hears in one go.
const HEARD_MAX: usize = 64;

/// Every seat of the run.
#[derive(Debug)]
pub struct Consoles {
    clients: Vec<ConsoleClient>,
    /// One for each room with seats, in the order of the tables.
    pub rooms: Vec<Arc<Room>>,
}

/// How the seats work.
#[derive(Clone, Debug)]
pub struct Manner {
    /// From taking a contact to closing it.
    pub handle_ms: [u64; 2],
    /// Contacts one seat holds at a time.
    pub at_once: usize,
    pub seed: u64,
}

/// What a room's screens saw.
#[derive(Debug, Default)]
pub struct Room {
    pub id: DispatcherId,
    pub seats: u64,
    /// Shares this room is responsible for, as its first seat saw them.
    pub own: AtomicU64,
    /// Shares of other rooms: asked for help, or told as their neighbour.
    pub others: AtomicU64,
    pub taken_own: AtomicU64,
    pub taken_for_others: AtomicU64,
    pub closed: AtomicU64,
    /// Its own shares that nobody has taken.
    pub waiting: AtomicU64,
    pub waiting_max: AtomicU64,
    /// The longest that one of them waited until a seat of this room had it, in nanoseconds.
    pub wait_nanos_max: AtomicU64,
}

impl Consoles {
    pub async fn connect(
        doors: &Doors,
        seats: &[Seat],
        manner: &Manner,
        board: &Arc<Board>,
        callers: &Arc<Callers>,
        loops: &Loops,
    ) -> Result<Self> {
        let mut rooms: Vec<Arc<Room>> = Vec::new();
        for seat in seats {
            match rooms.last_mut().and_then(Arc::get_mut).filter(|room| room.id == seat.dispatcher) {
                Some(room) => room.seats += 1,
                None => rooms.push(Arc::new(Room { id: seat.dispatcher, seats: 1, ..Room::default() })),
            }
        }
        let mut connecting = Vec::with_capacity(seats.len());
        let mut place = 0;
        for (number, seat) in seats.iter().copied().enumerate() {
            place =
                if number > 0 && seats.get(number - 1).is_some_and(|before| before.dispatcher == seat.dispatcher) { place + 1 } else { 0 };
            let room = rooms.iter().find(|room| room.id == seat.dispatcher).map(Arc::clone).unwrap_or_default();
            let (config, wait, manner) = (doors.console(seat)?, doors.wait, manner.clone());
            let (board, callers) = (Arc::clone(board), Arc::clone(callers));
            connecting.push(loops.of(number).spawn(async move {
                let connected = ConsoleClient::connect(config, &[*b"ar", *b"en"], true, wait).await;
                let (client, hears) = connected.with_context(|| format!("the console of {}", seat.dispatcher))?;
                tokio::spawn(crate::gateways::count_sessions(client.link().states(), Arc::clone(&board)));
                let desk = Desk {
                    seat,
                    client: client.clone(),
                    board,
                    callers,
                    random: Random::of(manner.seed, number as u64),
                    manner,
                    room,
                    place,
                    screen: HashMap::new(),
                    held: 0,
                    queue: VecDeque::new(),
                    later: BinaryHeap::new(),
                };
                tokio::spawn(desk.run(hears));
                anyhow::Ok(client)
            }));
        }
        let mut clients = Vec::with_capacity(seats.len());
        for client in connecting {
            clients.push(client.await??);
        }
        Ok(Self { clients, rooms })
    }

    pub fn count(&self) -> usize {
        self.clients.len()
    }

    /// Breaks every line, so that the seats come back at once, and waits until all have. False when some have not.
    pub async fn come_back(&self, wait: Duration) -> bool {
        let mut states: Vec<_> = self.clients.iter().map(|client| client.link().states()).collect();
        // Another engine counts its sessions anew: only a change tells the new session from the old.
        states.iter_mut().for_each(|state| drop(state.borrow_and_update()));
        self.clients.iter().for_each(|client| client.link().break_line());
        let all = async {
            for state in &mut states {
                let _ = state.changed().await;
                let _ = state.wait_for(|state| matches!(state, LinkState::Open { .. })).await;
            }
        };
        tokio::time::timeout(wait, all).await.is_ok()
    }
}

/// How far this seat is with an offer, in the order of its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Work {
    /// It is on the screen; another has it, or another is asked.
    Watching,
    Taking,
    Accepting,
    /// It is being handled; the caller is on the line.
    Handling,
    Closing,
}

/// An offer on the screen.
#[derive(Clone, Copy, Debug)]
struct Share {
    /// The number of its contact.
    index: usize,
    /// This room may take it when it waits.
    asked: bool,
    /// This room is responsible for it.
    own: bool,
    work: Work,
    /// Nobody has it, and this room is responsible.
    waiting: bool,
    since: u64,
}

struct Desk {
    seat: Seat,
    client: ConsoleClient,
    board: Arc<Board>,
    callers: Arc<Callers>,
    manner: Manner,
    random: Random,
    room: Arc<Room>,
    /// Among the seats of the room. The first keeps its book.
    place: u64,
    /// Bounded by what the engine shows.
    screen: HashMap<OfferId, Share>,
    /// Offers this seat has taken or is about to.
    held: usize,
    /// Offers that wait until this seat has a hand free. Bounded by the screen.
    queue: VecDeque<OfferId>,
    /// What is to be done or said again, and when. Bounded by the screen.
    later: BinaryHeap<Reverse<(Instant, OfferId)>>,
}

impl Desk {
    /// Never waits to say something: who does not listen meanwhile is not heard either, because the engine's `Received` is among
    /// what is not listened to.
    async fn run(mut self, mut hears: mpsc::Receiver<ConsoleHears>) {
        let mut batch = Vec::with_capacity(HEARD_MAX);
        loop {
            let due = self.later.peek().map(|Reverse((at, _))| *at);
            let heard = match due {
                None => hears.recv_many(&mut batch, HEARD_MAX).await,
                Some(at) => tokio::select! {
                    heard = hears.recv_many(&mut batch, HEARD_MAX) => heard,
                    () = sleep_until(at.into()) => {
                        self.do_due(Instant::now());
                        continue;
                    }
                },
            };
            if heard == 0 {
                return;
            }
            batch.drain(..).for_each(|hears| self.hear(hears));
        }
    }

    fn hear(&mut self, hears: ConsoleHears) {
        match hears {
            // What was said in the last session may have died with it: what is still open is shown again.
            ConsoleHears::SignedIn { .. } => self.clear(),
            ConsoleHears::Offer(offer) => self.offered(&offer),
            ConsoleHears::Taken { offer, by } if by == self.seat => {
                if let Some(share) = self.screen.get(&offer).filter(|share| share.work < Work::Accepting) {
                    self.board.mark(share.index, Mark::Taken);
                    let taken = if share.own { &self.room.taken_own } else { &self.room.taken_for_others };
                    taken.fetch_add(1, Ordering::Relaxed);
                }
                self.waits(offer, false);
                self.go_on(offer, Work::Accepting);
            }
            ConsoleHears::Taken { offer, .. } => {
                self.waits(offer, false);
                self.watch(offer);
            }
            // Also where another accepted it before this seat took it over: what is left is to bring it to its end.
            ConsoleHears::Accepted { offer, .. } if self.screen.get(&offer).is_some_and(|share| share.work == Work::Accepting) => {
                self.go_on(offer, Work::Handling);
            }
            ConsoleHears::Waiting { offer, .. } => {
                self.watch(offer);
                self.waits(offer, true);
                self.consider(offer);
            }
            ConsoleHears::Closed { offer, .. } | ConsoleHears::Withdrawn { offer } => self.remove(offer),
            ConsoleHears::Refused { offer, why } => self.refused(offer, why),
            // What is only told, now and in versions to come.
            _ => {}
        }
    }

    fn offered(&mut self, offer: &Offer) {
        let now = self.board.now();
        let Some(index) = self.callers.index_of(&offer.contact.key.gateway_ref) else {
            self.board.events.strangers.fetch_add(1, Ordering::Relaxed);
            return;
        };
        self.board.offered(index, offer.id.contact, offer.confirmed, offer.contact.received, now);
        let own = offer.responsible == self.seat.dispatcher;
        let is_asked = |share: &AssignedRecord| share.service == offer.id.service && share.chain.contains(&self.seat.dispatcher);
        let asked = own || offer.decision.services.iter().any(is_asked);
        if !self.screen.contains_key(&offer.id) {
            let count = if own { &self.room.own } else { &self.room.others };
            count.fetch_add(u64::from(self.place == 0), Ordering::Relaxed);
            self.board.on_screen(index, true);
            self.screen.insert(offer.id, Share { index, asked, own, work: Work::Watching, waiting: false, since: now });
            // Only the engine's patience hangs on it, and a seat with a full queue has no right to that.
            let _ = self.client.try_say(ConsoleSays::Shown { offer: offer.id });
        }
        self.waits(offer.id, offer.held_by.is_none());
        match (offer.held_by, offer.accepted) {
            (Some(by), false) if by == self.seat => self.go_on(offer.id, Work::Accepting),
            (Some(by), true) if by == self.seat => self.go_on(offer.id, Work::Handling),
            // Also one that was accepted and whose holder is gone, or that this seat held until its lease was stale: somebody must
            // bring it to its end. A take under way is answered, or was lost with its session.
            (None, _) => {
                self.lost_hold(offer.id);
                self.consider(offer.id);
            }
            _ => {}
        }
    }

    /// Takes an offer that waits, if that is this room's to do: now, or when a hand is free, or when those before it had their time.
    fn consider(&mut self, offer: OfferId) {
        let Some(share) = self.screen.get(&offer).filter(|share| share.asked && share.work == Work::Watching) else { return };
        // The seats of a room share out what comes, as a queue would, and the others step in when one is slow.
        if share.own && share.index as u64 % self.room.seats.max(1) == self.place {
            self.take(offer);
        } else {
            self.later.push(Reverse((Instant::now() + AFTER_YOU, offer)));
        }
    }

    fn take(&mut self, offer: OfferId) {
        if self.held >= self.manner.at_once {
            self.queue.push_back(offer);
        } else {
            self.go_on(offer, Work::Taking);
        }
    }

    /// Does the next thing about an offer on the screen, unless that or more was done already.
    fn go_on(&mut self, offer: OfferId, next: Work) {
        let Some(share) = self.screen.get_mut(&offer).filter(|share| share.work < next) else { return };
        self.held += usize::from(share.work == Work::Watching);
        share.work = next;
        if next != Work::Handling {
            return self.say(offer, next);
        }
        let [least, most] = self.manner.handle_ms;
        if most == 0 {
            return self.go_on(offer, Work::Closing);
        }
        let ends = Instant::now() + Duration::from_millis(least + self.random.below(most - least + 1));
        self.later.push(Reverse((ends, offer)));
    }

    fn say(&mut self, offer: OfferId, work: Work) {
        let says = match work {
            Work::Watching | Work::Handling => return,
            Work::Taking => ConsoleSays::Take { offer },
            Work::Accepting => ConsoleSays::Accept { offer },
            Work::Closing => ConsoleSays::Close { offer, reason: "load test".into() },
        };
        if self.client.try_say(says).is_err() {
            self.later.push(Reverse((Instant::now() + AGAIN, offer)));
        }
    }

    /// What is due: an offer nobody else has taken by now, a contact that has been handled, a command that found a bound.
    fn do_due(&mut self, now: Instant) {
        while let Some(Reverse((_, offer))) = self.later.peek().filter(|Reverse((at, _))| *at <= now).copied() {
            self.later.pop();
            match self.screen.get(&offer).copied() {
                Some(Share { work: Work::Watching, waiting: true, .. }) => self.take(offer),
                Some(Share { work: Work::Handling, .. }) => self.go_on(offer, Work::Closing),
                Some(Share { work, .. }) => self.say(offer, work),
                None => {}
            }
        }
    }

    /// This seat believed that it held it, and does not.
    fn lost_hold(&mut self, offer: OfferId) {
        if self.screen.get(&offer).is_some_and(|share| share.work > Work::Taking) {
            self.board.events.lost_holds.fetch_add(1, Ordering::Relaxed);
            self.watch(offer);
        }
    }

    fn watch(&mut self, offer: OfferId) {
        let Some(share) = self.screen.get_mut(&offer) else { return };
        if share.work != Work::Watching {
            share.work = Work::Watching;
            self.let_go();
        }
    }

    fn remove(&mut self, offer: OfferId) {
        self.waits(offer, false);
        let Some(share) = self.screen.remove(&offer) else { return };
        self.board.on_screen(share.index, false);
        self.room.closed.fetch_add(u64::from(share.work == Work::Closing), Ordering::Relaxed);
        if share.work != Work::Watching {
            self.let_go();
        }
    }

    /// A hand is free: the offer that waits longest is next.
    fn let_go(&mut self) {
        self.held = self.held.saturating_sub(1);
        while self.held < self.manner.at_once
            && let Some(next) = self.queue.pop_front()
        {
            if self.screen.get(&next).is_some_and(|share| share.work == Work::Watching && share.waiting) {
                self.go_on(next, Work::Taking);
            }
        }
    }

    /// Whether an offer waits for a hand, in the room's book and on the desk.
    fn waits(&mut self, offer: OfferId, waits: bool) {
        let now = self.board.now();
        let Some(share) = self.screen.get_mut(&offer).filter(|share| share.waiting != waits) else { return };
        share.waiting = waits;
        if !share.own || self.place > 0 {
            return;
        }
        if waits {
            share.since = now;
            let count = self.room.waiting.fetch_add(1, Ordering::Relaxed) + 1;
            self.room.waiting_max.fetch_max(count, Ordering::Relaxed);
        } else {
            self.room.waiting.fetch_sub(1, Ordering::Relaxed);
            self.room.wait_nanos_max.fetch_max(now.saturating_sub(share.since), Ordering::Relaxed);
        }
    }

    fn clear(&mut self) {
        for share in self.screen.values().filter(|share| share.waiting && share.own && self.place == 0) {
            self.room.waiting.fetch_sub(1, Ordering::Relaxed);
            self.room.wait_nanos_max.fetch_max(self.board.now().saturating_sub(share.since), Ordering::Relaxed);
        }
        self.screen.drain().for_each(|(_, share)| self.board.on_screen(share.index, false));
        self.held = 0;
        self.queue.clear();
        self.later.clear();
    }

    fn refused(&mut self, offer: Option<OfferId>, why: Refusal) {
        let events = &self.board.events;
        match (offer, why) {
            (Some(offer), Refusal::HeldByAnother) => {
                events.lost_takes.fetch_add(1, Ordering::Relaxed);
                self.waits(offer, false);
                self.watch(offer);
            }
            (Some(offer), Refusal::Full) => {
                events.full_commands.fetch_add(1, Ordering::Relaxed);
                self.later.push(Reverse((Instant::now() + AGAIN, offer)));
            }
            // Nobody holds it: a silent seat lost what it held.
            (Some(offer), Refusal::OutOfTurn) => {
                self.lost_hold(offer);
                self.waits(offer, true);
                self.consider(offer);
            }
            // Said twice over a reconnect, or to a share that has ended in the meantime.
            (Some(offer), Refusal::Unknown) => {
                events.late_commands.fetch_add(1, Ordering::Relaxed);
                self.remove(offer);
            }
            // The decision changed, and this room is not asked any more; the note of that may have died with a session.
            (Some(offer), Refusal::NotYours) => {
                events.late_commands.fetch_add(1, Ordering::Relaxed);
                self.remove(offer);
            }
            _ => drop(events.refused_commands.fetch_add(1, Ordering::Relaxed)),
        }
    }
}
