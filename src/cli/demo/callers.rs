//! The gateways: they play the day over real connections, repeat themselves, hang up, and note what they are told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

use super::stage::{Dice, Stage};
use crate::client::GatewayClient;
use crate::contact::{Contact, ContactKey};
use crate::deliver::{Evidence, GatewayHears, HangUp};
use crate::edge::tls::Role;
use crate::units::Name;

/// Contacts a second when nothing hurries: some 2.5 times the busy hour of the whole country, so that there is something to see.
const PER_SECOND: f64 = 4.0;
/// The part of a bounded demo in which every caller of the day must have called once.
const WHOLE_DAY_WITHIN: f64 = 0.8;
/// One contact in so many is sent again by its gateway, as after a lost answer.
const REPEAT_ONE_IN: u64 = 7;
/// One in so many has a second caller about the same thing.
const SECOND_CALLER_ONE_IN: u64 = 5;
/// How long a phone looks for its place before it reports it; mostly before a person has taken the call.
const LOOK: Duration = Duration::from_millis(100);
/// How long a caller who says nothing stays on the line.
const SILENT: Duration = Duration::from_millis(1_500);

/// The trunks the day needs.
pub fn trunks_of(stage_rows: &[super::script::Row]) -> Vec<Name> {
    // Four turns meet every site of the mobile networks.
    let mut trunks: Vec<Name> = (0..4).flat_map(|n| stage_rows.iter().map(move |row| row.trunk(n))).collect();
    trunks.sort_unstable();
    trunks.dedup();
    trunks
}

/// Every gateway of the day.
pub struct Gateways {
    stage: Arc<Stage>,
    clients: BTreeMap<Name, GatewayClient>,
}

impl Gateways {
    /// Connects each trunk.
    ///
    /// # Errors
    /// A certificate is missing, or the engine says no.
    pub async fn open(stage: &Arc<Stage>, wait: Duration) -> Result<Self> {
        let mut clients = BTreeMap::new();
        for trunk in trunks_of(&stage.rows) {
            let link = stage.link(&Role::Gateway { trunk, load_test: false })?;
            let (client, hears) = GatewayClient::connect(link, wait).await.with_context(|| format!("connecting the gateway {trunk}"))?;
            tokio::spawn(listen(Arc::clone(stage), client.clone(), hears));
            clients.insert(trunk, client);
        }
        Ok(Self { stage: Arc::clone(stage), clients })
    }

    pub fn count(&self) -> usize {
        self.clients.len()
    }

    /// Contacts sent and not yet in the journal.
    pub fn unconfirmed_count(&self) -> usize {
        self.clients.values().map(GatewayClient::unconfirmed_count).sum()
    }

    /// Plays day after day until told to stop. `seconds` hurries the first.
    pub async fn play(&self, seconds: Option<u64>, mut stopped: watch::Receiver<bool>) {
        let mut dice = Dice::new(self.stage.seed, "callers");
        let calm = 1.0 / PER_SECOND;
        let hurried = seconds.map_or(calm, |seconds| seconds as f64 * WHOLE_DAY_WITHIN / self.stage.rows.len() as f64);
        let mut gap = Duration::from_secs_f64(hurried.min(calm));
        loop {
            let mut day: Vec<usize> = (0..self.stage.rows.len()).collect();
            dice.shuffle(&mut day);
            for row in day {
                // Between half the gap and one and a half of it: callers do not know of each other.
                let wait = gap.mul_f64(dice.between(50, 150) as f64 / 100.0);
                tokio::select! {
                    () = sleep(wait) => {}
                    _ = stopped.wait_for(|stop| *stop) => return,
                }
                while self.stage.is_paused() {
                    tokio::select! {
                        () = sleep(Duration::from_millis(50)) => {}
                        _ = stopped.wait_for(|stop| *stop) => return,
                    }
                }
                self.call(row, false, &mut dice).await;
                if dice.one_in(SECOND_CALLER_ONE_IN) {
                    self.call(row, true, &mut dice).await;
                }
            }
            gap = Duration::from_secs_f64(calm);
        }
    }

    async fn call(&self, row: usize, is_second: bool, dice: &mut Dice) {
        let Some(script) = self.stage.rows.get(row) else { return };
        let trunk = script.trunk(dice.throw() as u32);
        let Some(client) = self.clients.get(&trunk) else { return };
        let today = script.hand_offs_today(&self.stage.tables);
        let n = {
            let mut score = self.stage.score();
            let n = score.sent(row, today, self.stage.now_micros());
            if is_second {
                score.is_second_caller(n);
            }
            n
        };
        let contact = Arc::new(script.contact(trunk, &self.stage.reference(n)));
        send(client, &contact).await;
        if dice.one_in(REPEAT_ONE_IN) {
            self.stage.score().repeated(n);
            send(client, &contact).await;
        }
        if let Some(evidence) = script.late_evidence() {
            tokio::spawn(look(Arc::clone(&self.stage), client.clone(), (n, contact.key.clone()), evidence));
        }
        if script.is_wordless_voice() {
            tokio::spawn(hang_up(client.clone(), contact.key.clone()));
        }
    }

    /// Waits until everything is confirmed and says goodbye. Answers with what was not confirmed.
    pub async fn close(self, wait: Duration) -> usize {
        let mut left = 0;
        for client in self.clients.into_values() {
            left += client.close(wait).await.len();
        }
        left
    }
}

async fn send(client: &GatewayClient, contact: &Arc<Contact>) {
    // It fails only after `close`, when nobody plays any more.
    let _ = client.send(Arc::clone(contact)).await;
}

/// The phone has found out where it is.
async fn look(stage: Arc<Stage>, client: GatewayClient, (n, key): (usize, ContactKey), evidence: Evidence) {
    sleep(LOOK).await;
    stage.score().looked(n);
    let _ = client.evidence(key, evidence).await;
}

async fn hang_up(client: GatewayClient, key: ContactKey) {
    sleep(SILENT).await;
    let _ = client.hung_up(key, HangUp::Silent).await;
}

async fn listen(stage: Arc<Stage>, client: GatewayClient, mut hears: mpsc::Receiver<GatewayHears>) {
    while let Some(heard) = hears.recv().await {
        match heard {
            GatewayHears::Targets { key, decision, .. } => {
                let Some(n) = stage.number_of(&key) else { continue };
                let row = stage.score().contacts.get(n).map(|seen| seen.row);
                let Some(script) = row.and_then(|row| stage.rows.get(row)) else { continue };
                let verdict = script.verdict(&stage.tables, &decision);
                stage.score().decided(n, &decision, verdict);
            }
            GatewayHears::Durable { key, .. } => {
                if let Some(n) = stage.number_of(&key) {
                    stage.score().durable(n);
                }
            }
            GatewayHears::Accepted { key, service, seat, .. } => {
                let Some(n) = stage.number_of(&key) else { continue };
                let leads = {
                    let mut score = stage.score();
                    let news = score.accepted(n, service, seat.dispatcher);
                    news && score.contacts.get(n).is_some_and(|seen| seen.lead == Some(service))
                };
                if leads {
                    let _ = client.try_report(crate::deliver::GatewaySays::Answered { key, dispatcher: seat.dispatcher });
                }
            }
            GatewayHears::Ended { key, ending, .. } => {
                if let Some(n) = stage.number_of(&key) {
                    stage.score().ended(n, ending);
                }
            }
            GatewayHears::Refused { gateway_ref, why } => stage.score().say(format!("the engine refused {gateway_ref}: {why:?}")),
            GatewayHears::Moved { key, dispatcher, .. } => {
                let Some(n) = stage.number_of(&key) else { continue };
                let row = stage.score().contacts.get(n).map(|seen| seen.row);
                let Some(script) = row.and_then(|row| stage.rows.get(row)) else { continue };
                let expected = script.expected(&stage.tables).map(|room| stage.tables.dispatcher_id(room));
                stage.score().moved(n, &script.place, dispatcher, expected == Some(dispatcher));
            }
            // The callers of the demo have their phones in hand.
            GatewayHears::Say { key, number, .. } => {
                let _ = client.try_report(crate::deliver::GatewaySays::Delivered { key, number, delivered: true });
            }
            GatewayHears::Overdue { .. } => {}
        }
    }
}
