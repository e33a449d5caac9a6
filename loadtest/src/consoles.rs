//! The consoles: one seat or more in every room; each takes what its room is asked, accepts it and closes it.
//!
//! A seat acts at once, so that what is measured is the engine and not a person. What a room only sees as a neighbour it leaves to
//! the room that is asked, as people do.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, Result};
use najda::client::ConsoleClient;
use najda::decision::AssignedRecord;
use najda::deliver::{ConsoleHears, ConsoleSays, Offer, OfferId, Refusal, Seat};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use crate::board::{Board, Mark};
use crate::callers::Callers;
use crate::engine::Doors;

/// How often a seat says again what a bound kept it from saying.
const AGAIN: Duration = Duration::from_millis(20);

/// Every seat of the run.
#[derive(Debug)]
pub struct Consoles {
    clients: Vec<ConsoleClient>,
}

impl Consoles {
    pub async fn connect(doors: &Doors, seats: &[Seat], board: &Arc<Board>, callers: &Arc<Callers>) -> Result<Self> {
        let mut clients = Vec::with_capacity(seats.len());
        for seat in seats {
            let config = doors.console(*seat)?;
            let connected = ConsoleClient::connect(config, &[*b"ar", *b"en"], true, doors.wait).await;
            let (client, hears) = connected.with_context(|| format!("the console of {}", seat.dispatcher))?;
            let desk = Desk {
                seat: *seat,
                client: client.clone(),
                board: Arc::clone(board),
                callers: Arc::clone(callers),
                screen: HashMap::new(),
                again: Vec::new(),
            };
            tokio::spawn(desk.run(hears));
            tokio::spawn(crate::gateways::count_sessions(client.link().states(), Arc::clone(board)));
            clients.push(client);
        }
        Ok(Self { clients })
    }

    pub fn count(&self) -> usize {
        self.clients.len()
    }
}

/// How far this seat is with an offer, in the order of its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Work {
    /// It is on the screen; another has it, or another is asked.
    Watching,
    Taking,
    Accepting,
    Closing,
}

/// An offer on the screen.
#[derive(Clone, Copy, Debug)]
struct Share {
    /// The number of its contact.
    index: usize,
    /// This room may take it when it waits.
    asked: bool,
    work: Work,
}

struct Desk {
    seat: Seat,
    client: ConsoleClient,
    board: Arc<Board>,
    callers: Arc<Callers>,
    /// Bounded by what the engine shows.
    screen: HashMap<OfferId, Share>,
    /// Offers whose last command did not get through. Bounded by the screen.
    again: Vec<OfferId>,
}

impl Desk {
    /// Never waits to say something: who does not listen meanwhile is not heard either, because the engine's `Received` is among
    /// what is not listened to.
    async fn run(mut self, mut hears: mpsc::Receiver<ConsoleHears>) {
        let mut again = interval(AGAIN);
        again.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                heard = hears.recv() => match heard {
                    Some(heard) => self.hear(heard),
                    None => return,
                },
                _ = again.tick(), if !self.again.is_empty() => self.say_again(),
            }
        }
    }

    fn hear(&mut self, hears: ConsoleHears) {
        match hears {
            // What was said in the last session may have died with it: what is still open is shown again.
            ConsoleHears::SignedIn { .. } => self.screen.clear(),
            ConsoleHears::Offer(offer) => self.offered(&offer),
            ConsoleHears::Taken { offer, by } if by == self.seat => {
                if let Some(share) = self.screen.get(&offer) {
                    self.board.mark(share.index, Mark::Taken);
                }
                self.go_on(offer, Work::Accepting);
            }
            ConsoleHears::Taken { offer, .. } => self.watch(offer),
            ConsoleHears::Accepted { offer, by } if by == self.seat => self.go_on(offer, Work::Closing),
            ConsoleHears::Waiting { offer, .. } => {
                self.watch(offer);
                if self.screen.get(&offer).is_some_and(|share| share.asked) {
                    self.go_on(offer, Work::Taking);
                }
            }
            ConsoleHears::Closed { offer, .. } | ConsoleHears::Withdrawn { offer } => drop(self.screen.remove(&offer)),
            ConsoleHears::Refused { offer, why } => self.refused(offer, why),
            ConsoleHears::Accepted { .. }
            | ConsoleHears::Alert { .. }
            | ConsoleHears::CalledBack { .. }
            | ConsoleHears::CallerHungUp { .. }
            | ConsoleHears::Changed { .. }
            | ConsoleHears::Confirmed { .. }
            | ConsoleHears::Proposed { .. } => {}
        }
    }

    fn offered(&mut self, offer: &Offer) {
        let now = self.board.now();
        let Some(index) = self.callers.index_of(&offer.contact.key.gateway_ref) else {
            self.board.events.strangers.fetch_add(1, Ordering::Relaxed);
            return;
        };
        self.board.offered(index, offer.id.contact, offer.confirmed, offer.contact.received, now);
        let is_asked = |share: &AssignedRecord| share.service == offer.id.service && share.chain.contains(&self.seat.dispatcher);
        let asked = offer.decision.services.iter().any(is_asked);
        let next = match (offer.held_by, offer.accepted) {
            (Some(by), false) if by == self.seat => Work::Accepting,
            (Some(by), true) if by == self.seat => Work::Closing,
            (None, false) if asked => Work::Taking,
            _ => Work::Watching,
        };
        if !self.screen.contains_key(&offer.id) {
            self.screen.insert(offer.id, Share { index, asked, work: Work::Watching });
            // Only the engine's patience hangs on it, and a seat with a full queue has no right to that.
            let _ = self.client.try_say(ConsoleSays::Shown { offer: offer.id });
        }
        self.go_on(offer.id, next);
    }

    /// Does the next thing about an offer on the screen, unless that or more was done already.
    fn go_on(&mut self, offer: OfferId, next: Work) {
        let Some(share) = self.screen.get_mut(&offer).filter(|share| share.work < next) else { return };
        share.work = next;
        self.say(offer, next);
    }

    fn say(&mut self, offer: OfferId, work: Work) {
        let says = match work {
            Work::Watching => return,
            Work::Taking => ConsoleSays::Take { offer },
            Work::Accepting => ConsoleSays::Accept { offer },
            Work::Closing => ConsoleSays::Close { offer, reason: "load test".into() },
        };
        if self.client.try_say(says).is_err() {
            self.again.push(offer);
        }
    }

    fn watch(&mut self, offer: OfferId) {
        if let Some(share) = self.screen.get_mut(&offer) {
            share.work = Work::Watching;
        }
    }

    fn refused(&mut self, offer: Option<OfferId>, why: Refusal) {
        let events = &self.board.events;
        match (offer, why) {
            (Some(offer), Refusal::HeldByAnother) => {
                events.lost_takes.fetch_add(1, Ordering::Relaxed);
                self.watch(offer);
            }
            (Some(offer), Refusal::Full) => {
                events.full_commands.fetch_add(1, Ordering::Relaxed);
                self.again.push(offer);
            }
            // Said twice over a reconnect, or to a share that has ended in the meantime.
            (Some(offer), Refusal::Unknown) => {
                events.late_commands.fetch_add(1, Ordering::Relaxed);
                self.screen.remove(&offer);
            }
            _ => drop(events.refused_commands.fetch_add(1, Ordering::Relaxed)),
        }
    }

    fn say_again(&mut self) {
        for offer in std::mem::take(&mut self.again) {
            if let Some(share) = self.screen.get(&offer) {
                self.say(offer, share.work);
            }
        }
    }
}
