//! The gateways: they bring contacts and write down what they hear.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use najda::client::{GatewayClient, LinkState};
use najda::contact::Contact;
use najda::deliver::GatewayHears;
use tokio::sync::{mpsc, watch};

use crate::board::{Board, Mark};
use crate::callers::Callers;
use crate::engine::Doors;

/// Every gateway of the run.
#[derive(Debug)]
pub struct Gateways {
    clients: Vec<GatewayClient>,
}

impl Gateways {
    pub async fn connect(doors: &Doors, count: usize, board: &Arc<Board>, callers: &Arc<Callers>) -> Result<Self> {
        let mut clients = Vec::with_capacity(count);
        for number in 1..=count {
            let config = doors.gateway(number)?;
            let (client, hears) = GatewayClient::connect(config, doors.wait).await.with_context(|| format!("gateway {number}"))?;
            tokio::spawn(listen(hears, Arc::clone(board), Arc::clone(callers)));
            tokio::spawn(count_sessions(client.link().states(), Arc::clone(board)));
            clients.push(client);
        }
        Ok(Self { clients })
    }

    pub fn count(&self) -> usize {
        self.clients.len()
    }

    /// Hands the contact with this number to its gateway. False when that one can take no more now.
    ///
    /// # Errors
    /// The gateway will never take it.
    pub fn send(&self, index: usize, contact: &Arc<Contact>) -> Result<bool> {
        let client = self.clients.get(index % self.clients.len().max(1)).context("there is no gateway")?;
        match client.try_send(Arc::clone(contact)) {
            Ok(()) => Ok(true),
            Err(najda::client::TrySendError::Full) => Ok(false),
            Err(why) => Err(why.into()),
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
    while let Some(hears) = hears.recv().await {
        let now = board.now();
        match callers.index_of(reference_of(&hears)) {
            Some(index) => heard(&board, index, &hears, now),
            None => {
                board.events.strangers.fetch_add(1, Ordering::Relaxed);
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
        | GatewayHears::Targets { key, .. } => &key.gateway_ref,
        GatewayHears::Refused { gateway_ref, .. } => gateway_ref,
    }
}

fn heard(board: &Board, index: usize, hears: &GatewayHears, now: u64) {
    match hears {
        GatewayHears::Targets { .. } => board.targets(index, now),
        GatewayHears::Durable { contact, .. } => board.durable(index, *contact, now),
        GatewayHears::Accepted { contact, service, .. } => board.accepted(index, *contact, *service, now),
        GatewayHears::Ended { contact, ending, .. } => board.ended(index, *contact, *ending, now),
        GatewayHears::Overdue { .. } => drop(board.mark(index, Mark::Overdue)),
        GatewayHears::Refused { .. } => drop(board.mark(index, Mark::Refused)),
        GatewayHears::Moved { .. } => {}
    }
}
