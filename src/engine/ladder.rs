//! When nobody answers: one rung after the other, each within its bound, up to the alarm.
//!
//! ```text
//!  0 s     the first room with a seat; every seat of it rings
//!  5 s     no screen has shown it: the next room. Shown and not taken: the room rings again
//!  take_s  the room's own time is over: the next of the chain is asked as well, after the chain the neighbours in doubt
//!  20 s    (or take_s of the first room, if longer) everybody of chain and neighbours at once; if none of them has a seat, every
//!          room of the service that has one, else every room that has one. It stands in alarm and rings again every 20 s
//! ```
//!
//! A rung without a seat costs no time. Who was asked goes on seeing it. Rooms outside chain and neighbours are called only when
//! nobody else is there: in a surge every contact waits long, and every screen of a country for each would drown them all.

use super::floor::RoomIndex;
use super::life::{Life, Part, Viewers};
use super::offer::ringing;
use super::{Alarm, Core, Outputs};
use crate::deliver::{AlertWhy, AskedWhy, ConsoleHears};
use crate::limits::{ALARM_AGAIN_MICROS, ALL_CALL_MAX, TAKE_MICROS_DEFAULT};
use crate::service::Service;

impl Core {
    /// The share waits from now on: its alarm is due when the longest wait is over, and no room's own time is cut short before the
    /// second was asked.
    pub(super) fn begin_wait(&self, part: &mut Part) {
        let first_take = part.chain.first().map_or(0, |room| self.floor.room(*room).take_micros_max);
        part.alarm_by = self.now.plus_micros(self.config.alarm_wait_micros_max.max(first_take));
    }

    /// The time of an untaken offer's rung is over.
    pub(super) fn escalate(&mut self, life: &mut Life, index: usize, out: &mut Outputs) {
        let (now, test) = (self.now, life.test);
        let Some(part) = life.parts.get_mut(index).filter(|part| part.is_seeking()) else { return };
        part.due = None;
        let more_in_chain = part.next_position() < part.chain.len();
        if part.alarm_by <= now || (part.alarm.is_some() && !more_in_chain) {
            return self.call_all(life, index, out);
        }
        if part.head_start.is_some() {
            return self.end_head_start(life, index, out);
        }
        let staffed = part.current.is_some_and(|room| self.floor.is_staffed(room, test));
        let why = match part.current {
            Some(room) if staffed && part.take_by > now && part.shown => return self.ring_again(life, index, room, out),
            _ if !staffed => AskedWhy::NoSeat,
            _ if part.take_by > now => AskedWhy::NotShown,
            _ => AskedWhy::NoTake,
        };
        self.advance(life, index, why, out);
    }

    fn ring_again(&mut self, life: &mut Life, index: usize, room: RoomIndex, out: &mut Outputs) {
        let Some(part) = life.parts.get_mut(index) else { return };
        part.look_by = None;
        let due = part.next_due();
        self.set_due(life, index, Some(due));
        self.alert(life, index, &[room], AlertWhy::Again, out);
    }

    /// Rings on the screens of these rooms for an offer that they show already. Seats that are kept free of a declared event do not
    /// ring for its contacts; an alarm they see.
    pub(super) fn alert(&mut self, life: &Life, index: usize, rooms: &[RoomIndex], why: AlertWhy, out: &mut Outputs) {
        let Some(part) = life.parts.get(index) else { return };
        let hears = ConsoleHears::Alert { offer: life.offer_id(part), why };
        for room in rooms {
            for (session, seat) in &self.floor.room(*room).desk(life.test).sessions {
                if !self.is_kept_free(life, *room, *seat) {
                    self.counters.alerts += 1;
                    out.console(*session, hears.clone());
                } else if why == AlertWhy::AllCall {
                    out.console(*session, ConsoleHears::Offer(ringing(&self.offer(life, part, *room), false)));
                }
            }
        }
        self.tell_auditors(life, &hears, out);
    }

    /// The next neighbour in doubt with a seat, when the chain has nobody left.
    pub(super) fn ask_neighbour(&mut self, life: &mut Life, index: usize, why: AskedWhy, out: &mut Outputs) -> Option<RoomIndex> {
        let part = life.parts.get(index)?;
        let is_left = |room: &&RoomIndex| self.floor.is_staffed(**room, life.test) && part.asked_rooms().all(|asked| asked != **room);
        let room = part.neighbours.iter().find(is_left).copied()?;
        let why = if why == AskedWhy::Full { AskedWhy::EndOfChain } else { why };
        self.ask(life, index, room, why, out);
        Some(room)
    }

    /// Everybody at once.
    fn call_all(&mut self, life: &mut Life, index: usize, out: &mut Outputs) {
        self.widen(life, index, out, |core, life, out| core.call_everybody(life, index, out));
    }

    /// Asks all who were not asked, raises the alarm, and rings where it is shown already. Lists are the caller's.
    pub(super) fn call_everybody(&mut self, life: &mut Life, index: usize, out: &mut Outputs) {
        let test = life.test;
        let Some(part) = life.parts.get(index) else { return };
        let before: Viewers = part.asked_rooms().collect();
        let mut left: Viewers = part.chain.iter().chain(&part.neighbours).copied().filter(|room| !before.contains(room)).collect();
        let is_there = |room: &RoomIndex| self.floor.is_staffed(*room, test);
        // Right after a restart whoever is back first is no better than whoever is back next: who is responsible has time to come.
        if !test && !self.is_recovering() && !before.iter().chain(&left).any(is_there) {
            left.extend(self.rooms_of_all_call(part.service));
        }
        for room in left {
            self.ask(life, index, room, AskedWhy::AllCall, out);
        }
        self.raise_alarm(life, index);
        self.alert(life, index, &before, AlertWhy::AllCall, out);
        self.bring_voice(life, index, out);
    }

    /// Rooms outside a chain that can be called: those of the service that have a seat, and if there is none, any.
    fn rooms_of_all_call(&self, service: Service) -> impl Iterator<Item = RoomIndex> + use<> {
        let of = |same: bool| self.floor.staffed_rooms().filter(move |room| (self.floor.room(*room).service == Some(service)) == same);
        let same: Vec<RoomIndex> = of(true).take(ALL_CALL_MAX).collect();
        let any = if same.is_empty() { of(false).take(ALL_CALL_MAX).collect() } else { same };
        any.into_iter()
    }

    fn raise_alarm(&mut self, life: &mut Life, index: usize) {
        let test = life.test;
        let Some(part) = life.parts.get_mut(index) else { return };
        let seen = part.asked_rooms().any(|room| self.floor.is_staffed(room, test));
        part.alarm = Some(if seen { Alarm::EndOfChain } else { Alarm::NoSeat });
        (part.head_start, part.look_by) = (None, None);
        if !seen {
            part.current = None;
        }
        // A test that nobody can see is not left standing: the timer looks again and sinks it.
        let wait_micros = if test && !seen { TAKE_MICROS_DEFAULT } else { ALARM_AGAIN_MICROS };
        let due = self.now.plus_micros(wait_micros);
        let due = if !seen && self.is_recovering() { due.min(self.recovering_until) } else { due };
        self.set_due(life, index, Some(due));
    }

    /// After an all-call the voice of a lead that nobody has taken goes to somebody who is there, if nobody is where it rings.
    fn bring_voice(&mut self, life: &mut Life, index: usize, out: &mut Outputs) {
        let test = life.test;
        let Some(part) = life.parts.get(index).filter(|part| part.lead && !part.declined && !life.lead_taken) else { return };
        if life.voice.is_some_and(|room| self.floor.is_staffed(room, test)) {
            return;
        }
        let there = part.asked_rooms().find(|room| self.floor.is_staffed(*room, test));
        if let Some(room) = there {
            self.move_voice(life, room, out);
        }
    }

    /// A restart is so recent that seats may not be back yet.
    pub(super) fn is_recovering(&self) -> bool {
        self.now < self.recovering_until
    }
}
