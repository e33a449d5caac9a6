//! The gateways: they bring contacts and write down what they hear.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use najda::client::{GatewayClient, LinkState};
use najda::contact::Contact;
use najda::deliver::{GatewayHears, GatewaySays};
use najda::units::Name;
use tokio::sync::{mpsc, watch};

use crate::board::{Board, Mark};
use crate::callers::Callers;
use crate::engine::Doors;
use crate::loops::Loops;

/// Every gateway of the run.
#[derive(Debug)]
pub struct Gateways {
    clients: Vec<GatewayClient>,
}

/// Messages a gateway hears in one go.
const HEARD_MAX: usize = 64;

impl Gateways {
    pub async fn connect(doors: &Doors, count: usize, board: &Arc<Board>, callers: &Arc<Callers>, loops: &Loops) -> Result<Self> {
        let mut connecting = Vec::with_capacity(count);
        for number in 1..=count {
            let (config, wait, board, callers) = (doors.gateway(number)?, doors.wait, Arc::clone(board), Arc::clone(callers));
            connecting.push(loops.of(number).spawn(async move {
                let (client, hears) = GatewayClient::connect(config, wait).await.with_context(|| format!("gateway {number}"))?;
                tokio::spawn(listen(hears, Arc::clone(&board), callers));
                tokio::spawn(count_sessions(client.link().states(), board));
                anyhow::Ok(client)
            }));
        }
        let mut clients = Vec::with_capacity(count);
        for client in connecting {
            clients.push(client.await??);
        }
        Ok(Self { clients })
    }

    pub fn count(&self) -> usize {
        self.clients.len()
    }

    fn of(&self, index: usize) -> Result<&GatewayClient> {
        self.clients.get(index % self.clients.len().max(1)).context("there is no gateway")
    }

    /// Hands the contact with this number to its gateway. False when that one can take no more now.
    ///
    /// # Errors
    /// The gateway will never take it.
    pub fn send(&self, index: usize, contact: &Arc<Contact>) -> Result<bool> {
        match self.of(index)?.try_send(Arc::clone(contact)) {
            Ok(()) => Ok(true),
            Err(najda::client::TrySendError::Full) => Ok(false),
            Err(why) => Err(why.into()),
        }
    }

    /// Says what comes after a contact. False when its gateway can take no more now.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub fn report(&self, index: usize, says: GatewaySays) -> Result<bool> {
        match self.of(index)?.try_report(says) {
            Ok(()) => Ok(true),
            Err(najda::client::TrySendError::Full) => Ok(false),
            Err(why) => Err(why.into()),
        }
    }

    /// The name of the gateway of the contact with this number, as its certificate has it.
    pub fn name(&self, index: usize) -> Result<Name> {
        Name::new(&format!("load-{}", index % self.clients.len().max(1) + 1)).context("a gateway's name")
    }

    /// Breaks the line of one gateway, so that it comes back at once.
    pub fn break_line(&self, index: usize) {
        if let Ok(client) = self.of(index) {
            client.link().break_line();
        }
    }

    /// Waits at most `wait` until every contact is confirmed; answers with how many are not.
    pub async fn unconfirmed(&self, wait: Duration) -> usize {
        let until = Instant::now() + wait;
        loop {
            let count = self.clients.iter().map(GatewayClient::unconfirmed_count).sum();
            if count == 0 || Instant::now() >= until {
                return count;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Sessions beyond the first of each client are reconnects.
pub async fn count_sessions(mut states: watch::Receiver<LinkState>, board: Arc<Board>) {
    let mut last = None;
    loop {
        if let LinkState::Open { session } = *states.borrow_and_update()
            && last != Some(session)
        {
            last = Some(session);
            board.events.sessions.fetch_add(1, Ordering::Relaxed);
        }
        if states.changed().await.is_err() {
            return;
        }
    }
}

async fn listen(mut hears: mpsc::Receiver<GatewayHears>, board: Arc<Board>, callers: Arc<Callers>) {
    let mut batch = Vec::with_capacity(HEARD_MAX);
    while hears.recv_many(&mut batch, HEARD_MAX).await > 0 {
        for hears in batch.drain(..) {
            let now = board.now();
            match callers.index_of(reference_of(&hears)) {
                Some(index) => heard(&board, index, &hears, now),
                None => {
                    board.events.strangers.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    }
}

/// The gateway's own name of the contact a message is about.
fn reference_of(hears: &GatewayHears) -> &str {
    match hears {
        GatewayHears::Accepted { key, .. }
        | GatewayHears::Durable { key, .. }
        | GatewayHears::Ended { key, .. }
        | GatewayHears::Moved { key, .. }
        | GatewayHears::Overdue { key, .. }
        | GatewayHears::Say { key, .. }
        | GatewayHears::Targets { key, .. } => &key.gateway_ref,
        GatewayHears::Refused { gateway_ref, .. } => gateway_ref,
    }
}

fn heard(board: &Board, index: usize, hears: &GatewayHears, now: u64) {
    match hears {
        GatewayHears::Targets { targets, .. } => {
            board.targets(index, targets.iter().any(|target| !target.uri.is_empty()), now);
        }
        GatewayHears::Durable { contact, .. } => board.durable(index, *contact, now),
        GatewayHears::Accepted { contact, service, .. } => board.accepted(index, *contact, *service, now),
        GatewayHears::Ended { contact, ending, .. } => board.ended(index, *contact, *ending, now),
        GatewayHears::Overdue { .. } => drop(board.mark(index, Mark::Overdue)),
        GatewayHears::Refused { .. } => drop(board.mark(index, Mark::Refused)),
        GatewayHears::Moved { .. } | GatewayHears::Say { .. } => {}
    }
}
