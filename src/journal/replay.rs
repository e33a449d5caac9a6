//! Every decision of a journal made again, and compared with what was written.
//!
//! A decision depends on the tables, the dispatchers' states and the time. All three are in the journal: tables by their hash, states
//! by the number of the snapshot (each `State` and each `Tables` fact raises it by one, the first snapshot is 1), the time as the
//! contact's arrival, and for late evidence as the fact's own.
//!
//! After a loss the engine writes again, from memory, the tables and states in force and the contacts the lost entries were about. What
//! those were decided under may be gone; see [`Outcome::Unprovable`].
//!
//! What is not compared: the number of the snapshot itself, and the note that a gateway used a reference twice, which the engine adds
//! after the decision.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::contact::Contact;
use crate::decision::{DecisionRecord, Discrepancy};
use crate::deliver::{DispatcherState, Fact};
use crate::engine::{BY_ENGINE, merge_evidence};
use crate::route::{last_resort, record, route};
use crate::tables::snapshot::{Snapshot, States, Tables};
use crate::units::{ContactId, DispatcherId, TablesVersion, Timestamp};

/// Snapshots whose states are remembered: a contact may reach the journal behind the publications that came after its decision.
const SNAPSHOTS_KEPT: usize = 4_096;
/// Snapshots kept ready to decide with.
const READY_MAX: usize = 8;

/// What making one decision again gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Differs(Box<Difference>),
    /// The engine kept the old decision for new evidence, as it does when none comes in time or the new one would lower the contact.
    Kept,
    /// The journal does not have the tables.
    NoTables(TablesVersion),
    Same,
    /// It comes out otherwise, but entries were lost, and with them what it was decided under: the engine wrote it again from memory.
    Unprovable,
}

/// A decision that came out otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    pub seq: u64,
    pub contact: ContactId,
    pub revision: u32,
    pub tables: TablesVersion,
    pub snapshot: u64,
    /// Field, as written, as it comes out now.
    pub fields: Vec<(&'static str, String, String)>,
}

type Named = Vec<(DispatcherId, DispatcherState)>;

/// A replay under way: hand it every fact in order.
#[derive(Debug)]
pub struct Replay {
    snapshot: u64,
    states: BTreeMap<DispatcherId, DispatcherState>,
    history: BTreeMap<u64, Arc<Named>>,
    ready: BTreeMap<(TablesVersion, u64), Arc<Snapshot>>,
    /// Contacts that have not ended, with all evidence so far and the decision in force.
    live: BTreeMap<ContactId, (Arc<Contact>, Arc<DecisionRecord>)>,
    /// Entries are missing before the next fact.
    lost: bool,
    /// Snapshots that no fact speaks of, because it was lost.
    unknown: BTreeSet<u64>,
}

impl Default for Replay {
    fn default() -> Self {
        let history = BTreeMap::from([(1, Arc::new(Named::new()))]);
        Self {
            snapshot: 1,
            states: BTreeMap::new(),
            history,
            ready: BTreeMap::new(),
            live: BTreeMap::new(),
            lost: false,
            unknown: BTreeSet::new(),
        }
    }
}

impl Replay {
    /// Entries are missing before the next fact: declared lost, or damaged.
    pub fn lost(&mut self) {
        self.lost = true;
    }

    /// Takes the next fact. `None` when it holds no decision.
    pub fn fact(&mut self, seq: u64, fact: &Fact, tables: &mut dyn FnMut(TablesVersion) -> Option<Arc<Tables>>) -> Option<Outcome> {
        match fact {
            Fact::Arrived { contact, decision, states, .. } => {
                let before = self.live.insert(contact.id, (Arc::clone(contact), Arc::clone(decision)));
                let case = Case { seq, contact, decision, now: contact.received };
                let outcome = self.again(&case, tables);
                // A contact handed back after a crash may have been decided under states the journal never held; those that matter
                // are in the fact.
                if matches!(outcome, Outcome::Differs(_))
                    && let Some(tables) = tables(decision.tables)
                    && case.compare(&snapshot(&tables, states, decision.snapshot)).is_none()
                {
                    return Some(Outcome::Same);
                }
                let again = self.lost && (before.is_some() || contact.revision > 0 || self.unknown.contains(&decision.snapshot));
                Some(if again && matches!(outcome, Outcome::Differs(_)) { Outcome::Unprovable } else { outcome })
            }
            Fact::Redecided { at, contact, revision, evidence, decision } => {
                let (mut known, before) = self.live.get(contact).cloned()?;
                merge_evidence(&mut known, evidence);
                Arc::make_mut(&mut known).revision = *revision;
                self.live.insert(*contact, (Arc::clone(&known), Arc::clone(decision)));
                let outcome = self.again(&Case { seq, contact: &known, decision, now: *at }, tables);
                let kept = differences(decision, &before).is_empty();
                Some(match outcome {
                    Outcome::Differs(_) if kept => Outcome::Kept,
                    Outcome::Differs(_) if self.lost && self.unknown.contains(&decision.snapshot) => Outcome::Unprovable,
                    other => other,
                })
            }
            Fact::Ended { contact, .. } => {
                self.live.remove(contact);
                None
            }
            // Said again after a loss: nothing was published.
            Fact::Tables { by, .. } if by.as_str() == BY_ENGINE => None,
            Fact::State { dispatcher, state, by, .. } => {
                if *state == DispatcherState::Active {
                    self.states.remove(dispatcher);
                } else {
                    self.states.insert(*dispatcher, *state);
                }
                if by.as_str() != BY_ENGINE {
                    self.next_snapshot();
                }
                None
            }
            Fact::Tables { .. } => {
                self.next_snapshot();
                None
            }
            Fact::Accepted { .. }
            | Fact::Answered { .. }
            | Fact::Asked { .. }
            | Fact::CalledBack { .. }
            | Fact::Closed { .. }
            | Fact::Declared { .. }
            | Fact::Declined { .. }
            | Fact::Delivered { .. }
            | Fact::Dispatched { .. }
            | Fact::EventOver { .. }
            | Fact::Informed { .. }
            | Fact::Joined { .. }
            | Fact::Left { .. }
            | Fact::Noted { .. }
            | Fact::HungUp { .. }
            | Fact::Rated { .. }
            | Fact::Read { .. }
            | Fact::Repeated { .. }
            | Fact::Said { .. }
            | Fact::Taken { .. }
            | Fact::Waiting { .. } => None,
        }
    }

    fn next_snapshot(&mut self) {
        self.snapshot += 1;
        let named = self.states.iter().map(|(id, state)| (*id, *state)).collect();
        self.history.insert(self.snapshot, Arc::new(named));
        while self.history.len() > SNAPSHOTS_KEPT {
            if let Some((number, _)) = self.history.pop_first() {
                self.unknown.remove(&number);
            }
        }
    }

    fn again(&mut self, case: &Case<'_>, tables: &mut dyn FnMut(TablesVersion) -> Option<Arc<Tables>>) -> Outcome {
        let decision = case.decision;
        // After a crash the engine goes on from the newest number it finds.
        while self.snapshot < decision.snapshot && decision.snapshot - self.snapshot < SNAPSHOTS_KEPT as u64 {
            self.next_snapshot();
            self.unknown.insert(self.snapshot);
        }
        let key = (decision.tables, decision.snapshot);
        if !self.ready.contains_key(&key) {
            let Some(tables) = tables(decision.tables) else { return Outcome::NoTables(decision.tables) };
            let named = self.history.get(&decision.snapshot).cloned().unwrap_or_default();
            while self.ready.len() >= READY_MAX {
                self.ready.pop_first();
            }
            self.ready.insert(key, Arc::new(snapshot(&tables, &named, decision.snapshot)));
        }
        match self.ready.get(&key).and_then(|snapshot| case.compare(snapshot)) {
            Some(difference) => Outcome::Differs(Box::new(difference)),
            None => Outcome::Same,
        }
    }
}

fn snapshot(tables: &Arc<Tables>, named: &[(DispatcherId, DispatcherState)], number: u64) -> Snapshot {
    Snapshot { tables: Arc::clone(tables), states: Arc::new(States::of(tables, named)), number }
}

/// One decision as it was written, and what it was about.
struct Case<'a> {
    seq: u64,
    contact: &'a Contact,
    decision: &'a DecisionRecord,
    now: Timestamp,
}

impl Case<'_> {
    /// Decides again; `None` when it comes out the same.
    fn compare(&self, snapshot: &Snapshot) -> Option<Difference> {
        // What made the engine take the last resort does so here.
        let again = catch_unwind(AssertUnwindSafe(|| route(snapshot, self.contact, self.now)));
        let again = again.unwrap_or_else(|_| last_resort(snapshot));
        let fields = differences(self.decision, &record(&snapshot.tables, &again));
        (!fields.is_empty()).then_some(Difference {
            seq: self.seq,
            contact: self.contact.id,
            revision: self.contact.revision,
            tables: self.decision.tables,
            snapshot: self.decision.snapshot,
            fields,
        })
    }
}

/// The fields in which two decisions differ.
pub fn differences(written: &DecisionRecord, again: &DecisionRecord) -> Vec<(&'static str, String, String)> {
    // Named one by one: a new field must be compared before this compiles.
    let DecisionRecord {
        tables,
        snapshot: _,
        services,
        neighbours,
        area,
        incident_type,
        priority,
        rung,
        discrepancies,
        reasons,
        test,
        lang,
        interpreter,
        text,
        quiet,
        caller,
    } = written;
    let reused = Discrepancy::KeyReused.code();
    let discrepancies: Vec<_> = discrepancies.iter().copied().filter(|code| *code != reused).collect();
    let noted: Vec<_> = again.discrepancies.iter().copied().filter(|code| *code != reused).collect();
    let mut fields = Vec::new();
    differ("tables", tables, &again.tables, &mut fields);
    differ("services", services, &again.services, &mut fields);
    differ("neighbours", neighbours, &again.neighbours, &mut fields);
    differ("area", area, &again.area, &mut fields);
    differ("incident_type", incident_type, &again.incident_type, &mut fields);
    differ("priority", priority, &again.priority, &mut fields);
    differ("rung", rung, &again.rung, &mut fields);
    differ("discrepancies", &discrepancies, &noted, &mut fields);
    differ("reasons", reasons, &again.reasons, &mut fields);
    differ("test", test, &again.test, &mut fields);
    differ("lang", lang, &again.lang, &mut fields);
    differ("interpreter", interpreter, &again.interpreter, &mut fields);
    differ("text", text, &again.text, &mut fields);
    differ("quiet", quiet, &again.quiet, &mut fields);
    differ("caller", caller, &again.caller, &mut fields);
    fields
}

fn differ<T: PartialEq + core::fmt::Debug>(field: &'static str, written: &T, again: &T, into: &mut Vec<(&'static str, String, String)>) {
    if written != again {
        into.push((field, format!("{written:?}"), format!("{again:?}")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_the_snapshot_and_a_reused_key_are_no_difference_and_everything_else_is() {
        let written = DecisionRecord { snapshot: 4, discrepancies: vec![Discrepancy::KeyReused.code()], ..DecisionRecord::default() };
        assert_eq!(differences(&written, &DecisionRecord::default()), []);
        let other = DecisionRecord { priority: Some(2), quiet: true, ..DecisionRecord::default() };
        let fields: Vec<&str> = differences(&written, &other).iter().map(|(field, ..)| *field).collect();
        assert_eq!(fields, ["priority", "quiet"]);
    }
}
