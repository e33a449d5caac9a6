//! One web console: a WebSocket on one side, a session of the engine on the other.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::Hall;
use super::pass::Pass;
use crate::client::transport::CloseCode;
use crate::deliver::{ConsoleHears, ConsoleSays, Refusal};
use crate::edge::ingress::lines::insist;
use crate::edge::ingress::{count, told, unpanicked};
use crate::edge::sessions::Outbox;
use crate::engine::{Input, SessionId};
use crate::limits::{CONSOLE_LOOK_MICROS, CONSOLE_WRITE_MICROS_MAX, WRITE_BATCH_MAX};
use crate::wire::console_json::{hears_line, read_says, time_line};

/// As `CloseEvent.code` of the page: 1000 to 1999 are the protocol's, 4000 and above ours.
fn code_of(why: CloseCode) -> u16 {
    match why {
        CloseCode::Bye => 1000,
        CloseCode::Draining => 1001,
        CloseCode::Malformed => 1007,
        CloseCode::RoleRefused => 4401,
        CloseCode::SlowConsumer => 4408,
        _ => 1011,
    }
}

pub(super) async fn talk(socket: WebSocket, pass: Pass, hall: Arc<Hall>, place: OwnedSemaphorePermit) {
    let outbox = hall.core.registry.open::<ConsoleHears>();
    let session = outbox.session();
    insist(&hall.core, super::super::opened(session, pass.seat, pass.duty, false)).await;
    let mut line = Line { socket, seq: 0, session, hall: &hall };
    let why = match unpanicked(line.run(&pass, outbox)).await {
        Some(why) => why,
        None => {
            count(&hall.counters.sessions_broken);
            tracing::error!(session = session.0, "a web console panicked and is closed");
            CloseCode::EngineClosed
        }
    };
    tracing::info!(session = session.0, dispatcher = %pass.seat.dispatcher, seat = %pass.seat.seat, why = why.word(), "web console ends");
    let close = Message::Close(Some(CloseFrame { code: code_of(why), reason: why.word().into() }));
    let _ = line.write(close).await;
    insist(&hall.core, Input::SessionClosed { session }).await;
    drop(place);
}

struct Line<'h> {
    socket: WebSocket,
    /// Of the message sent last.
    seq: u64,
    session: SessionId,
    hall: &'h Hall,
}

impl Line<'_> {
    async fn run(&mut self, pass: &Pass, mut outbox: Outbox<ConsoleHears>) -> CloseCode {
        let (stop, mut draining) = (outbox.stop(), self.hall.draining.subscribe());
        let mut look = interval(Duration::from_micros(CONSOLE_LOOK_MICROS));
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard = Vec::with_capacity(WRITE_BATCH_MAX);
        loop {
            tokio::select! {
                said = self.socket.recv() => match said {
                    Some(Ok(Message::Text(text))) => {
                        if let Err(why) = self.said(text.as_str()).await {
                            return why;
                        }
                    }
                    Some(Ok(Message::Binary(_))) => return CloseCode::Malformed,
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                    Some(Ok(Message::Close(_))) | Some(Err(_)) | None => return CloseCode::Bye,
                },
                received = outbox.receive_many(&mut heard, WRITE_BATCH_MAX) => {
                    if received == 0 {
                        return stop.stopped().await;
                    }
                    for hears in heard.drain(..) {
                        if let Err(why) = self.tell(&hears).await {
                            return why;
                        }
                    }
                }
                _ = look.tick() => {
                    if !self.hall.passes.stands(pass).await {
                        return CloseCode::RoleRefused;
                    }
                    self.seq += 1;
                    let line = time_line(self.seq, self.hall.core.clock.now());
                    if let Err(why) = self.write(Message::Text(line.into())).await {
                        return why;
                    }
                }
                why = stop.stopped() => return why,
                () = told(&mut draining) => return CloseCode::Draining,
            }
        }
    }

    /// What cannot be understood is refused and counted; the console goes on.
    async fn said(&mut self, text: &str) -> Result<(), CloseCode> {
        match read_says(text) {
            // A page keeps nothing that the engine does not have.
            Ok(ConsoleSays::HandBack { .. }) => Ok(()),
            Ok(says) => {
                insist(&self.hall.core, Input::Console { session: self.session, says }).await;
                Ok(())
            }
            Err(why) => {
                count(&self.hall.counters.malformed);
                tracing::warn!(session = self.session.0, %why, "a web console's message could not be read");
                self.tell(&ConsoleHears::Refused { offer: None, why: Refusal::Malformed }).await
            }
        }
    }

    async fn tell(&mut self, hears: &ConsoleHears) -> Result<(), CloseCode> {
        self.seq += 1;
        let core = &self.hall.core;
        let line = hears_line(self.seq, hears, &core.snapshot().tables, core.clock.now());
        self.write(Message::Text(line.into())).await
    }

    /// A page that does not read is no console: the engine asks others.
    async fn write(&mut self, message: Message) -> Result<(), CloseCode> {
        match timeout(Duration::from_micros(CONSOLE_WRITE_MICROS_MAX), self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(CloseCode::Bye),
            Err(_) => Err(CloseCode::SlowConsumer),
        }
    }
}
