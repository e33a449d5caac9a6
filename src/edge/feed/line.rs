//! One WebSocket of the feed: a subscription on it, and the commands of its seat.
//!
//! Everything that is heard on it, the answer to a ping too, keeps the leases of the seat once it has signed in or commanded.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};

use super::Hall;
use super::book::Viewer;
use super::history::first_kept;
use super::seats::Outcome;
use super::subscription::{Next, Over, Subscription};
use crate::client::transport::CloseCode;
use crate::edge::ingress::{count, told, unpanicked};
use crate::limits::{CONSOLE_WRITE_MICROS_MAX, FEED_COMMANDS_MAX, HEARTBEAT_MICROS, LEASE_MICROS_MAX};
use crate::wire::eido::ContactState;
use crate::wire::feed::{
    Asked, Command, CommandResponse, FeedHears, FeedSays, Subscribe, SubscribeResponse, Terminate, Unsubscribe, UnsubscribeResponse,
    Wanted, Wrong, own_id, read_says,
};

/// As the code of the closing frame: 1000 to 1999 are the protocol's, 4000 and above ours.
fn code_of(why: CloseCode) -> u16 {
    match why {
        CloseCode::Bye => 1000,
        CloseCode::Draining => 1001,
        CloseCode::Malformed => 1007,
        CloseCode::SlowConsumer => 4408,
        _ => 1011,
    }
}

pub(super) async fn talk(socket: WebSocket, viewer: Viewer, hall: Arc<Hall>, place: OwnedSemaphorePermit) {
    let (answer, answers) = mpsc::channel(FEED_COMMANDS_MAX);
    let mut line = Line { socket, viewer, hall: &hall, subscription: None, answer, under_way: 0, attached: None, heard: Instant::now() };
    let why = match unpanicked(line.run(answers)).await {
        Some(why) => why,
        None => {
            count(&hall.counters.sessions_broken);
            tracing::error!(seat = %viewer.seat.seat, "a line of the feed panicked and is closed");
            CloseCode::EngineClosed
        }
    };
    let close = Message::Close(Some(CloseFrame { code: code_of(why), reason: why.word().into() }));
    let _ = line.write(close).await;
    tracing::info!(dispatcher = %viewer.seat.dispatcher, seat = %viewer.seat.seat, why = why.word(), "a line of the feed ends");
    drop(place);
}

struct Line<'h> {
    socket: WebSocket,
    viewer: Viewer,
    hall: &'h Arc<Hall>,
    subscription: Option<Subscription>,
    answer: mpsc::Sender<Answer>,
    /// Commands that are not answered yet.
    under_way: usize,
    /// The session of its seat, once it has spoken for it.
    attached: Option<mpsc::Receiver<&'static str>>,
    /// When something was last heard on it.
    heard: Instant,
}

/// What became of a command, and whether the seat has a session now.
struct Answer {
    hears: FeedHears,
    has_session: bool,
}

impl Line<'_> {
    async fn run(&mut self, mut answers: mpsc::Receiver<Answer>) -> CloseCode {
        let (mut draining, mut head) = (self.hall.draining.subscribe(), self.hall.hub.watch());
        let mut ping = interval(Duration::from_micros(HEARTBEAT_MICROS));
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let due = match self.send_what_is_due().await {
                Ok(due) => due.unwrap_or_else(|| Instant::now() + Duration::from_secs(60)),
                Err(why) => return why,
            };
            let (subscription, attached) = (&mut self.subscription, &mut self.attached);
            let next = tokio::select! {
                said = self.socket.recv() => match said {
                    Some(Ok(Message::Text(text))) => self.said(text.as_str()).await,
                    Some(Ok(Message::Binary(_))) => Err(CloseCode::Malformed),
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {
                        self.beat();
                        Ok(())
                    }
                    Some(Ok(Message::Close(_)) | Err(_)) | None => Err(CloseCode::Bye),
                },
                Some(answer) = answers.recv() => self.answered(answer).await,
                over = old_page(subscription) => match over {
                    Some(over) => self.terminate(over).await,
                    None => Ok(()),
                },
                why = signed_out(attached) => {
                    self.attached = None;
                    self.tell(&FeedHears::SignedOut { reason: why }).await
                }
                _ = head.changed() => Ok(()),
                () = sleep_until(due) => Ok(()),
                _ = ping.tick() => self.ping().await,
                () = told(&mut draining) => {
                    let _ = self.terminate(Over::Stopping).await;
                    Err(CloseCode::Draining)
                }
            };
            if let Err(why) = next {
                return why;
            }
        }
    }

    /// Sends events until nothing is due; says when to look again.
    async fn send_what_is_due(&mut self) -> Result<Option<Instant>, CloseCode> {
        loop {
            let Some(subscription) = &mut self.subscription else { return Ok(None) };
            match subscription.next(&self.hall.hub, &self.hall.config.name) {
                Next::Send(line) => {
                    let reads = subscription.take_reads();
                    self.hall.seats.read(&self.viewer, reads).await;
                    self.write(Message::Text(line.into())).await?;
                }
                Next::End(over) => self.terminate(over).await?,
                Next::Wait(until) => return Ok(until),
            }
        }
    }

    // --- what is said ---

    async fn said(&mut self, text: &str) -> Result<(), CloseCode> {
        self.beat();
        match read_says(text) {
            Ok(FeedSays::Subscribe(subscribe)) => self.subscribe(subscribe).await,
            Ok(FeedSays::Unsubscribe(unsubscribe)) => self.unsubscribe(&unsubscribe).await,
            Ok(FeedSays::EventResponse(response)) => {
                let known = self.subscription.as_mut().is_some_and(|subscription| subscription.acknowledged(&response.transaction_id));
                let is_fine = response.status_code.is_none_or(|code| (200..300).contains(&code));
                if !known || !is_fine {
                    tracing::debug!(known, code = response.status_code, "an event was acknowledged oddly");
                }
                Ok(())
            }
            Ok(FeedSays::TerminateResponse(_)) => Ok(()),
            Ok(FeedSays::Command(command)) => self.command(command).await,
            Err(wrong) => {
                count(&self.hall.counters.malformed);
                self.tell(&FeedHears::wrong(wrong)).await
            }
        }
    }

    async fn subscribe(&mut self, says: Subscribe) -> Result<(), CloseCode> {
        let request_id = own_id(&says.request_id).to_owned();
        let answer = match self.wanted(&says).await {
            Ok(wanted) => {
                let renewed = says.subscription_id.is_some();
                if !renewed {
                    if self.subscription.is_some() {
                        self.terminate(Over::Replaced).await?;
                    }
                    let id = uuid::Uuid::now_v7().to_string();
                    self.subscription = Some(Subscription::new(id, self.viewer, wanted, self.hall.config.ack_wait));
                }
                let seconds = |micros: u64| micros as f64 / 1e6;
                SubscribeResponse {
                    request_id,
                    subscription_id: self.subscription.as_ref().map(|subscription| subscription.id.clone()),
                    expires: wanted.expires_micros.map(seconds),
                    max_rate: Some(wanted.pause_micros).filter(|micros| *micros > 0).map(seconds),
                    min_rate: wanted.silence_micros.map(seconds),
                    status_code: 200,
                    status_text: "OK".to_owned(),
                    ..SubscribeResponse::default()
                }
            }
            Err((wrong, first_sequence, last_sequence)) => SubscribeResponse {
                request_id,
                status_code: wrong.status,
                status_text: wrong.error,
                remedy: Some(wrong.remedy),
                first_sequence,
                last_sequence,
                ..SubscribeResponse::default()
            },
        };
        self.tell(&FeedHears::SubscribeResponse(answer)).await
    }

    /// What can be had of what is asked, or why not, with the entries there are.
    async fn wanted(&mut self, says: &Subscribe) -> Result<Wanted, (Wrong, Option<u64>, Option<u64>)> {
        let plain = |wrong| (wrong, None, None);
        let wanted = says.wanted().map_err(plain)?;
        if let Some(id) = &says.subscription_id {
            let known = self.subscription.as_mut().filter(|subscription| subscription.id == *id);
            let known = known.ok_or_else(|| plain(Wrong::new(404, "there is no such subscription", "subscribe without subscriptionId")))?;
            known.renew(wanted.expires_micros);
            return Ok(*known.wanted());
        }
        self.hall.caught_up().await.map_err(plain)?;
        if let Some(only) = wanted.only.filter(|_| wanted.from.is_none()) {
            let seen = self.hall.hub.incident(only).is_some_and(|file| file.is_seen_by(&self.viewer));
            if !seen {
                return Err(plain(Wrong::new(404, "there is no such incident for this room", "it may be over, or another room's")));
            }
        }
        let Some(from) = wanted.from else { return Ok(wanted) };
        let last = self.hall.hub.seq();
        if from > last {
            let wrong =
                Wrong::new(416, format!("from {from} is ahead of the journal, which ends at {last}"), "subscribe from what was received");
            return Err((wrong, None, Some(last)));
        }
        let hub = Arc::clone(&self.hall.hub);
        let first = tokio::task::spawn_blocking(move || first_kept(hub.store())).await;
        match first {
            Ok(Ok(first)) => {
                let first = first.unwrap_or(last + 1);
                if from + 1 >= first {
                    return Ok(wanted);
                }
                let wrong = Wrong::new(
                    410,
                    format!("entries after {from} are not kept any more; the first that is kept is {first}"),
                    "subscribe without from for the state as it is, or from the entry before firstSequence",
                );
                Err((wrong, Some(first), Some(last)))
            }
            _ => Err(plain(Wrong::new(503, "the journal cannot be read", "try again in a moment"))),
        }
    }

    async fn unsubscribe(&mut self, says: &Unsubscribe) -> Result<(), CloseCode> {
        let known = self.subscription.take_if(|subscription| subscription.id == says.subscription_id).is_some();
        let (status_code, status_text) = if known { (200, "OK") } else { (404, "there is no such subscription") };
        let (request_id, subscription_id) = (own_id(&says.request_id).to_owned(), own_id(&says.subscription_id).to_owned());
        self.tell(&FeedHears::UnsubscribeResponse(UnsubscribeResponse { request_id, subscription_id, status_code, status_text })).await
    }

    async fn terminate(&mut self, over: Over) -> Result<(), CloseCode> {
        let Some(subscription) = self.subscription.take() else { return Ok(()) };
        let (request_id, last_sequence) = (format!("{}-end", subscription.id), subscription.told());
        let terminate = Terminate { request_id, subscription_id: subscription.id, reason: over.word(), last_sequence };
        self.tell(&FeedHears::Terminate(terminate)).await
    }

    // --- commands ---

    async fn command(&mut self, command: Command) -> Result<(), CloseCode> {
        let transaction_id = own_id(&command.transaction_id).to_owned();
        if self.under_way >= FEED_COMMANDS_MAX {
            let wrong = Wrong::new(429, "too many commands are under way", "wait for the answers");
            return self.tell(&refused(transaction_id, wrong)).await;
        }
        let asked = match command.asked() {
            Ok(asked) => asked,
            Err(wrong) => return self.tell(&refused(transaction_id, wrong)).await,
        };
        self.under_way += 1;
        let (hall, viewer, answer) = (Arc::clone(self.hall), self.viewer, self.answer.clone());
        tokio::spawn(async move {
            let contact = if let Asked::Says(contact, _) = &asked { Some(*contact) } else { None };
            let has_session = !matches!(asked, Asked::SignOut);
            let outcome = match hall.caught_up().await {
                Ok(()) => hall.seats.carry_out(viewer, asked).await,
                Err(wrong) => Err(wrong),
            };
            let hears = match outcome {
                Err(wrong) => refused(transaction_id, wrong),
                Ok(outcome) => {
                    let (status_code, sequence, status_text) = match outcome {
                        Outcome::Done(seq) => (200, Some(seq), "OK"),
                        _ => (202, None, "the journal does not say so yet; an event will"),
                    };
                    let contact = contact.and_then(|contact| hall.hub.contact(contact)).map(|dossier| ContactState::of(&dossier));
                    let status_text = status_text.to_owned();
                    FeedHears::CommandResponse(Box::new(CommandResponse {
                        transaction_id,
                        status_code,
                        status_text,
                        remedy: None,
                        sequence,
                        contact,
                    }))
                }
            };
            // The line that asked may be gone.
            let _ = answer.send(Answer { hears, has_session }).await;
        });
        Ok(())
    }

    async fn answered(&mut self, answer: Answer) -> Result<(), CloseCode> {
        self.under_way = self.under_way.saturating_sub(1);
        if answer.has_session && self.attached.is_none() {
            self.attached = self.hall.seats.attach(&self.viewer).await;
        }
        self.tell(&answer.hears).await
    }

    /// Who answers no ping is gone, or so slow that its place is better given to another.
    async fn ping(&mut self) -> Result<(), CloseCode> {
        if self.heard.elapsed() > Duration::from_micros(LEASE_MICROS_MAX) {
            return Err(CloseCode::SlowConsumer);
        }
        self.write(Message::Ping(Vec::new().into())).await
    }

    /// Whoever answers is there.
    fn beat(&mut self) {
        self.heard = Instant::now();
        if self.attached.is_some() {
            self.hall.seats.heard(&self.viewer);
        }
    }

    // --- writing ---

    async fn tell(&mut self, hears: &FeedHears) -> Result<(), CloseCode> {
        self.write(Message::Text(hears.line().into())).await
    }

    async fn write(&mut self, message: Message) -> Result<(), CloseCode> {
        match timeout(Duration::from_micros(CONSOLE_WRITE_MICROS_MAX), self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(CloseCode::Bye),
            Err(_) => Err(CloseCode::SlowConsumer),
        }
    }
}

fn refused(transaction_id: String, wrong: Wrong) -> FeedHears {
    FeedHears::CommandResponse(Box::new(CommandResponse {
        transaction_id,
        status_code: wrong.status,
        status_text: wrong.error,
        remedy: Some(wrong.remedy),
        sequence: None,
        contact: None,
    }))
}

async fn old_page(subscription: &mut Option<Subscription>) -> Option<Over> {
    match subscription {
        Some(subscription) => subscription.page().await,
        None => std::future::pending().await,
    }
}

async fn signed_out(attached: &mut Option<mpsc::Receiver<&'static str>>) -> &'static str {
    match attached {
        Some(told) => told.recv().await.unwrap_or("the session of the seat ended"),
        None => std::future::pending().await,
    }
}
