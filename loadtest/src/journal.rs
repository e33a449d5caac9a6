//! The second witness: what the journal says of a run, read back from the disk after the engine is gone.
//!
//! Gateways can only tell what they were told. The journal shows what was promised to nobody, and whether its decisions come out the
//! same again.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use najda::contact::Contact;
use najda::decision::{DecisionRecord, Discrepancy, DispatcherState};
use najda::deliver::{Fact, OfferId};
use najda::edge::store::embedded::JournalReader;
use najda::limits::READ_ENTRIES_MAX;
use najda::route::{record, route};
use najda::store::{BlobName, Partition};
use najda::tables::compiled;
use najda::tables::snapshot::{Snapshot, States, Tables};
use najda::units::{ContactId, DispatcherId, TablesVersion};
use najda::wire::frame::decode_fact;
use serde::Serialize;

use crate::callers::Callers;

/// What was found. Everything from `differing` to `sent_missing` ought to be zero.
#[derive(Clone, Debug, Default, Serialize)]
pub struct JournalReport {
    pub facts: u64,
    pub contacts: u64,
    pub replayed: u64,
    /// Decisions that came out otherwise.
    pub differing: u64,
    /// Contacts without an end.
    pub unended: u64,
    pub ended_twice: u64,
    /// References of gateways under which more than one contact was kept.
    pub same_key_twice: u64,
    /// Shares of a contact accepted more than once.
    pub accepted_twice: u64,
    /// Facts about a contact that never arrived.
    pub strangers: u64,
    pub unreadable: u64,
    pub chain_breaks: u64,
    pub lost_entries: u64,
    /// Contacts their gateway was told are durable, that are not there.
    pub durable_missing: u64,
    /// Contacts that were sent and are not there.
    pub sent_missing: u64,
    /// Why one more room was asked, and how often.
    pub asked: BTreeMap<&'static str, u64>,
    /// Which, and how often.
    pub asked_rooms: BTreeMap<String, u64>,
    /// Taken by a room that is not responsible.
    pub taken_elsewhere: u64,
}

impl JournalReport {
    /// What is wrong with the run, in words.
    pub fn defects(&self) -> Vec<String> {
        self.defects_but_for(0)
    }

    /// As [`Self::defects`], where so many contacts were still waiting at a staffed desk when the engine ended.
    pub fn defects_but_for(&self, waiting: u64) -> Vec<String> {
        let found = [
            (self.differing, "decisions differ when they are made again from the journal"),
            (self.unended.saturating_sub(waiting), "contacts have no end in the journal"),
            (self.ended_twice, "contacts end twice in the journal"),
            (self.same_key_twice, "contacts are in the journal as two"),
            (self.accepted_twice, "shares are accepted twice in the journal"),
            (self.strangers, "facts speak of a contact that never arrived"),
            (self.unreadable, "entries cannot be read"),
            (self.chain_breaks, "breaks in the journal's chain"),
            (self.lost_entries, "entries declared lost"),
            (self.durable_missing, "contacts were called durable and are not in the journal"),
            (self.sent_missing, "contacts were sent and are not in the journal"),
        ];
        found.into_iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect()
    }
}

/// One contact of the run, as the journal has it.
#[derive(Clone, Copy, Debug, Default)]
struct Row {
    arrivals: u8,
    ends: u8,
}

/// Reads a journal fact by fact.
pub struct Book<'a> {
    callers: &'a Callers,
    rows: Vec<Row>,
    /// By the engine's id; what is not of this run has no number.
    by_id: HashMap<ContactId, Option<usize>>,
    accepted: HashMap<OfferId, u8>,
    responsible: HashMap<OfferId, DispatcherId>,
    tables: HashMap<TablesVersion, Option<Arc<Tables>>>,
    report: JournalReport,
}

impl<'a> Book<'a> {
    pub fn new(callers: &'a Callers, contact_count: usize) -> Self {
        let rows = vec![Row::default(); contact_count];
        let (by_id, accepted, responsible, tables) = Default::default();
        Self { callers, rows, by_id, accepted, responsible, tables, report: JournalReport::default() }
    }

    /// Takes the next fact; `tables` reads a table set by its version.
    pub fn read(&mut self, fact: &Fact, tables: impl FnMut(&TablesVersion) -> Option<Arc<Tables>>) {
        self.report.facts += 1;
        match fact {
            Fact::Arrived { contact, decision, states, .. } => {
                let index = self.callers.index_of(&contact.key.gateway_ref).filter(|index| *index < self.rows.len());
                self.by_id.insert(contact.id, index);
                self.report.contacts += u64::from(index.is_some());
                if let Some(row) = index.and_then(|index| self.rows.get_mut(index)) {
                    row.arrivals = row.arrivals.saturating_add(1);
                }
                for assigned in &decision.services {
                    self.responsible.insert(OfferId { contact: contact.id, service: assigned.service }, assigned.dispatcher);
                }
                self.replay(contact, decision, states, tables);
            }
            Fact::Ended { contact, .. } => match self.by_id.get(contact) {
                Some(Some(index)) => {
                    if let Some(row) = self.rows.get_mut(*index) {
                        row.ends = row.ends.saturating_add(1);
                    }
                }
                Some(None) => {}
                None => self.report.strangers += 1,
            },
            Fact::Asked { dispatcher, why, .. } => {
                *self.report.asked.entry(why.word()).or_insert(0) += 1;
                *self.report.asked_rooms.entry(dispatcher.as_str().to_owned()).or_insert(0) += 1;
            }
            Fact::Taken { offer, seat, .. } => {
                let elsewhere = self.responsible.get(offer).is_some_and(|room| *room != seat.dispatcher);
                self.report.taken_elsewhere += u64::from(elsewhere);
            }
            Fact::Accepted { offer, .. } => {
                let count = self.accepted.entry(*offer).or_insert(0);
                *count = count.saturating_add(1);
                self.report.strangers += u64::from(!self.by_id.contains_key(&offer.contact));
            }
            _ => {}
        }
    }

    /// Makes the decision again from what the journal keeps of it.
    fn replay(
        &mut self,
        contact: &Contact,
        decision: &DecisionRecord,
        states: &[(DispatcherId, DispatcherState)],
        mut tables: impl FnMut(&TablesVersion) -> Option<Arc<Tables>>,
    ) {
        let version = decision.tables;
        let known = self.tables.entry(version).or_insert_with(|| tables(&version));
        let Some(tables) = known.clone() else {
            self.report.unreadable += 1;
            return;
        };
        let states = Arc::new(States::of(&tables, states));
        let snapshot = Snapshot { tables: Arc::clone(&tables), states, number: decision.snapshot };
        let again = record(&tables, &route(&snapshot, contact, contact.received));
        self.report.replayed += 1;
        self.report.differing += u64::from(again != without_reuse(decision));
    }

    /// What became of the run. `sent` and `durable` are what the gateways know.
    pub fn close(mut self, sent: impl Fn(usize) -> bool, durable: impl Fn(usize) -> bool) -> JournalReport {
        for (index, row) in self.rows.iter().enumerate() {
            let is_there = row.arrivals > 0;
            self.report.same_key_twice += u64::from(row.arrivals > 1);
            self.report.unended += u64::from(is_there && row.ends == 0);
            self.report.ended_twice += u64::from(row.ends > row.arrivals.max(1));
            self.report.sent_missing += u64::from(sent(index) && !is_there);
            self.report.durable_missing += u64::from(durable(index) && !is_there);
        }
        self.report.accepted_twice = self.accepted.values().filter(|count| **count > 1).count() as u64;
        self.report
    }
}

/// The engine notes that a key came twice only after the decision was made.
fn without_reuse(decision: &DecisionRecord) -> DecisionRecord {
    let mut decision = decision.clone();
    decision.discrepancies.retain(|code| *code != Discrepancy::KeyReused.code());
    decision
}

/// Reads the journal of an engine that has ended. Blocks.
pub fn read(
    state: &Path,
    callers: &Callers,
    contact_count: usize,
    sent: impl Fn(usize) -> bool,
    durable: impl Fn(usize) -> bool,
) -> Result<JournalReport> {
    let reader = JournalReader::open(state.join("journal")).context("opening the journal")?;
    let tables = |version: &TablesVersion| {
        let bytes = reader.blob(BlobName(version.0)).ok()??;
        compiled::from_bytes(&bytes).ok().map(Arc::new)
    };
    let mut book = Book::new(callers, contact_count);
    let mut from = 1;
    loop {
        let page = reader.read(Partition::default(), from, READ_ENTRIES_MAX).context("reading the journal")?;
        book.report.chain_breaks += page.breaks.len() as u64;
        book.report.lost_entries += page.holes.len() as u64;
        for entry in &page.entries {
            match decode_fact(&entry.bytes) {
                Ok(fact) => book.read(&fact, tables),
                Err(_) => book.report.unreadable += 1,
            }
        }
        match page.next_seq {
            Some(next) => from = next,
            None => return Ok(book.close(sent, durable)),
        }
    }
}

#[cfg(test)]
mod tests {
    use najda::deliver::{Ending, Seat};
    use najda::service::Service;
    use najda::units::Timestamp;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_780_000_000);

    struct Scene {
        tables: Arc<Tables>,
        callers: Callers,
    }

    impl Scene {
        fn new() -> Self {
            let tables = najda::edge::tables::load_or_shipped(None).unwrap().tables;
            let scenario = crate::scenario::Scenario::load(crate::scenario::CANONICAL).unwrap();
            let callers = Callers::new(&scenario, &tables, "run".into(), 1).unwrap();
            Self { tables, callers }
        }

        fn arrived(&self, index: u64, id: u128) -> Fact {
            let contact = Contact { id: ContactId(id), received: NOW, ..self.callers.contact(index, 0.5) };
            let decision = record(&self.tables, &route(&Snapshot::of(Arc::clone(&self.tables)), &contact, NOW));
            Fact::Arrived { at: NOW, contact: Arc::new(contact), decision: Arc::new(decision), states: Vec::new() }
        }

        fn check(&self, facts: &[Fact], expected: &[&str]) {
            let mut book = Book::new(&self.callers, 2);
            facts.iter().for_each(|fact| book.read(fact, |_| Some(Arc::clone(&self.tables))));
            let report = book.close(|index| index == 0, |index| index == 0);
            let defects: Vec<String> = report.defects();
            assert_eq!(defects.len(), expected.len(), "{defects:?}");
            for (defect, expected) in defects.iter().zip(expected) {
                assert!(defect.contains(expected), "{defect}");
            }
        }
    }

    fn ended(id: u128) -> Fact {
        Fact::Ended { at: NOW, contact: ContactId(id), ending: Ending::Closed }
    }

    #[test]
    fn a_journal_in_order_has_no_defects_and_its_decisions_come_out_again() {
        let scene = Scene::new();
        scene.check(&[scene.arrived(0, 1), ended(1)], &[]);
    }

    #[test]
    fn every_defect_of_a_journal_is_named() {
        let scene = Scene::new();
        scene.check(&[scene.arrived(0, 1)], &["no end"]);
        scene.check(&[scene.arrived(0, 1), ended(1), ended(1)], &["end twice"]);
        scene.check(&[scene.arrived(0, 1), ended(1), scene.arrived(0, 2), ended(2)], &["as two"]);
        scene.check(&[scene.arrived(1, 1), ended(1)], &["called durable", "were sent"]);
        scene.check(&[scene.arrived(0, 1), ended(1), ended(9)], &["never arrived"]);
        let offer = OfferId { contact: ContactId(1), service: Service::Police };
        let accepted = Fact::Accepted { at: NOW, offer, seat: Seat { dispatcher: Default::default(), seat: Default::default() } };
        scene.check(&[scene.arrived(0, 1), accepted.clone(), accepted, ended(1)], &["accepted twice"]);
    }

    #[test]
    fn a_decision_that_comes_out_otherwise_is_counted() {
        let scene = Scene::new();
        let Fact::Arrived { at, contact, decision, states } = scene.arrived(0, 1) else { unreachable!() };
        let mut other = DecisionRecord::clone(&decision);
        other.quiet = !other.quiet;
        scene.check(&[Fact::Arrived { at, contact, decision: Arc::new(other), states }, ended(1)], &["decisions differ"]);
    }
}
