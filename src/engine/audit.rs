//! Counts everything anew from the lives and compares it with what the engine keeps: for tests and simulations.

use std::collections::{BTreeMap, BTreeSet};

use super::floor::{RoomIndex, SeatIndex};
use super::{Alarm, Alarms, Engine};
use crate::deliver::OfferId;
use crate::incident::IncidentId;
use crate::units::{ContactId, Name, Timestamp};

/// What the lists and counts should be.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    offers: BTreeMap<(RoomIndex, bool), BTreeSet<OfferId>>,
    loads: BTreeMap<(RoomIndex, bool), u32>,
    holds: BTreeMap<SeatIndex, BTreeSet<OfferId>>,
    waiting: BTreeSet<(Timestamp, OfferId)>,
    alarms: Alarms,
    callbacks: BTreeSet<(Timestamp, ContactId)>,
    lines: BTreeSet<(bool, Name, ContactId)>,
}

impl Engine {
    /// Says what is wrong with the engine's lists and counts, if anything is.
    ///
    /// # Errors
    /// The first list that differs from what the lives say.
    ///
    /// # Cost
    /// Linear in everything alive.
    pub fn audit(&self) -> Result<(), String> {
        let tally = self.tally();
        let kept = self.kept();
        let same = |what: &str, fine: bool| {
            if fine { Ok(()) } else { Err(format!("{what} differ: counted {tally:?}, kept {kept:?}")) }
        };
        same("offers on desks", tally.offers == kept.offers)?;
        same("loads", tally.loads == kept.loads)?;
        same("holds", tally.holds == kept.holds)?;
        same("waiting offers", tally.waiting == kept.waiting)?;
        same("alarms", tally.alarms == kept.alarms)?;
        same("callbacks", tally.callbacks == kept.callbacks)?;
        same("lines", tally.lines == kept.lines)?;
        let staffed =
            self.core.floor.all_rooms().flat_map(|(index, room)| [false, true].map(|test| (test, index, room.desk(test).is_staffed())));
        let staffed: BTreeSet<_> = staffed.filter(|(.., there)| *there).map(|(test, index, _)| (test, index)).collect();
        same("staffed rooms", staffed == *self.core.floor.staffed())?;
        same("incidents", self.incidents_are_whole())?;
        same("contacts that have left incidents", self.left_are_whole())?;
        let defects = self.core.counters.internal;
        if defects == 0 { Ok(()) } else { Err(format!("{defects} broken invariants were met")) }
    }

    /// Every live contact stands under its incident, and every incident of several is listed with all of them.
    fn incidents_are_whole(&self) -> bool {
        let mut of: BTreeMap<IncidentId, BTreeSet<ContactId>> = BTreeMap::new();
        for life in self.lives.values().filter(|life| life.ended.is_none()) {
            of.entry(self.core.incident_of(life)).or_default().insert(life.id);
        }
        let listed = self.core.incidents.iter().all(|(incident, members)| of.get(incident) == Some(members));
        listed && of.iter().all(|(incident, members)| members.len() == 1 || self.core.incidents.contains_key(incident))
    }

    /// Those who have ended are listed under the incident of the life that keeps them, and nowhere else.
    fn left_are_whole(&self) -> bool {
        let mut of: BTreeMap<IncidentId, BTreeSet<ContactId>> = BTreeMap::new();
        for life in self.lives.values().filter(|life| life.ended.is_none() && !life.left.is_empty()) {
            of.entry(self.core.incident_of(life)).or_default().extend(&life.left);
        }
        of == self.core.incidents_left
    }

    fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        for life in self.lives.values().filter(|life| life.ended.is_none()) {
            tally.callbacks.extend(life.hung_up.filter(|_| life.awaits_callback()).map(|(_, since)| (since, life.id)));
            tally.lines.extend(life.line.map(|(test, number)| (test, number, life.id)));
            for part in life.parts.iter().filter(|part| part.closed.is_none()) {
                let offer = life.offer_id(part);
                for room in part.viewers() {
                    tally.offers.entry((room, life.test)).or_default().insert(offer);
                }
                if let Some(seat) = part.holder {
                    tally.holds.entry(seat).or_default().insert(offer);
                    if let Some(live) = self.core.floor.seat(seat) {
                        *tally.loads.entry((live.room, life.test)).or_default() += 1;
                    }
                } else if part.accepted.is_none() {
                    part.asked_rooms().for_each(|room| *tally.loads.entry((room, life.test)).or_default() += 1);
                    tally.waiting.insert((life.arrived, offer));
                }
                match part.alarm.filter(|_| !life.test) {
                    Some(Alarm::EndOfChain) => tally.alarms.end_of_chain += 1,
                    Some(Alarm::NoSeat) => tally.alarms.no_seat += 1,
                    None => {}
                }
            }
        }
        tally
    }

    fn kept(&self) -> Tally {
        let mut kept = Tally {
            waiting: self.core.waiting.clone(),
            alarms: self.core.alarms,
            callbacks: self.core.callbacks.clone(),
            lines: self.core.lines.clone(),
            ..Tally::default()
        };
        for (index, room) in self.core.floor.all_rooms() {
            for test in [false, true] {
                let desk = room.desk(test);
                if !desk.offers.is_empty() {
                    kept.offers.insert((index, test), desk.offers.clone());
                }
                if desk.load != 0 {
                    kept.loads.insert((index, test), desk.load);
                }
            }
        }
        for seat in self.core.floor.holders() {
            if let Some(live) = self.core.floor.seat(seat) {
                kept.holds.insert(seat, live.holds.clone());
            }
        }
        kept
    }
}
