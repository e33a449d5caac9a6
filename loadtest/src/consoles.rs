//! The consoles: one seat or more in every room; each takes what its room is asked, accepts it and closes it.
//!
//! A seat acts at once, so that what is measured is the engine and not a person. What a room only sees as a neighbour it leaves to
//! the room that is asked, as people do.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, Result};
use najda::client::{ConsoleClient, SendError};
use najda::decision::AssignedRecord;
use najda::deliver::{ConsoleHears, Offer, OfferId, Refusal, Seat};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use crate::board::{Board, Mark};
use crate::callers::Callers;
use crate::engine::Doors;

/// How often a seat asks again for what was refused because a bound was reached.
const AGAIN: Duration = Duration::from_millis(100);

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
    again: Vec<OfferId>,
}

impl Desk {
    async fn run(mut self, mut hears: mpsc::Receiver<ConsoleHears>) {
        let mut again = interval(AGAIN);
        again.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let done = tokio::select! {
                heard = hears.recv() => match heard {
                    Some(heard) => self.hear(heard).await,
                    None => return,
                },
                _ = again.tick(), if !self.again.is_empty() => self.ask_again().await,
            };
            if done.is_err() {
                return;
            }
        }
    }

    async fn hear(&mut self, hears: ConsoleHears) -> Result<(), SendError> {
        match hears {
            // What was said in the last session may have died with it: what is still open is shown again.
            ConsoleHears::SignedIn { .. } => self.screen.clear(),
            ConsoleHears::Offer(offer) => self.offered(&offer).await?,
            ConsoleHears::Taken { offer, by } if by == self.seat => {
                let share = self.screen.get(&offer).copied();
                if let Some(share) = share {
                    self.board.mark(share.index, Mark::Taken);
                }
                self.go_on(offer, share, Work::Accepting).await?;
            }
            ConsoleHears::Taken { offer, .. } => self.watch(offer),
            ConsoleHears::Accepted { offer, by } if by == self.seat => {
                let share = self.screen.get(&offer).copied();
                self.go_on(offer, share, Work::Closing).await?;
            }
            ConsoleHears::Waiting { offer, .. } => {
                self.watch(offer);
                let share = self.screen.get(&offer).copied().filter(|share| share.asked);
                self.go_on(offer, share, Work::Taking).await?;
            }
            ConsoleHears::Closed { offer, .. } | ConsoleHears::Withdrawn { offer } => drop(self.screen.remove(&offer)),
            ConsoleHears::Refused { offer, why } => self.refused(offer, why),
            ConsoleHears::Accepted { .. }
            | ConsoleHears::CallerHungUp { .. }
            | ConsoleHears::Changed { .. }
            | ConsoleHears::Confirmed { .. } => {}
        }
        Ok(())
    }

    async fn offered(&mut self, offer: &Offer) -> Result<(), SendError> {
        let now = self.board.now();
        let Some(index) = self.callers.index_of(&offer.contact.key.gateway_ref) else {
            self.board.events.strangers.fetch_add(1, Ordering::Relaxed);
            return Ok(());
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
        let before = self.screen.get(&offer.id).copied();
        if before.is_none() {
            self.client.shown(offer.id).await?;
        }
        let share = before.unwrap_or(Share { index, asked, work: Work::Watching });
        self.screen.insert(offer.id, share);
        self.go_on(offer.id, Some(share), next).await
    }

    /// Does the next thing about an offer, unless that or more was done already.
    async fn go_on(&mut self, offer: OfferId, share: Option<Share>, next: Work) -> Result<(), SendError> {
        let Some(share) = share.filter(|share| share.work < next) else { return Ok(()) };
        self.screen.insert(offer, Share { work: next, ..share });
        self.say(offer, next).await
    }

    async fn say(&self, offer: OfferId, work: Work) -> Result<(), SendError> {
        match work {
            Work::Watching => Ok(()),
            Work::Taking => self.client.take(offer).await,
            Work::Accepting => self.client.accept(offer).await,
            Work::Closing => self.client.close_offer(offer, "load test").await,
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

    async fn ask_again(&mut self) -> Result<(), SendError> {
        for offer in std::mem::take(&mut self.again) {
            if let Some(share) = self.screen.get(&offer) {
                self.say(offer, share.work).await?;
            }
        }
        Ok(())
    }
}
