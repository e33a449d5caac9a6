//! A caller who calls again: the person who holds the earlier contact of the line is asked first.
//!
//! A caller whose line dropped, or who is afraid, calls again within seconds, and the person who knows the case is the best to answer.
//! So that seat is asked alone for [`Config::repeat_wait_micros_max`](super::Config::repeat_wait_micros_max), and its room sees the
//! offer, because a colleague next to it can help. The rooms of the ordinary way see it at once as well, with the reference, and may
//! take it; it rings there only when the wait is over. Nobody who could help is kept in the dark for five seconds, and nobody is rung
//! for what another is about to take.
//!
//! # Invariants
//! - Lines link only where the decision says that the line is one caller's. Tests link with tests.
//! - The earlier contact is not changed.

use super::floor::SeatIndex;
use super::life::Life;
use super::{Core, Engine, Outputs};
use crate::deliver::{AlertWhy, AskedWhy, Fact, Repeat};
use crate::limits::EARLIER_MAX;
use crate::service::Service;
use crate::units::ContactId;

/// An earlier contact of a line, and who holds it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Earlier {
    pub contact: ContactId,
    pub held: Option<(SeatIndex, Service)>,
}

impl Engine {
    /// The newest live contact of the same line that somebody holds and is there for; else the newest.
    pub(super) fn earlier_of(&self, life: &Life) -> Option<Earlier> {
        let (test, number) = life.line?;
        let of_line = (test, number, ContactId(0))..=(test, number, ContactId(u128::MAX));
        let earlier = self.core.lines.range(of_line).rev().map(|(.., id)| *id).filter(|id| *id != life.id).take(EARLIER_MAX);
        let lives =
            || earlier.clone().filter_map(|id| self.lives.get(&id)).filter(|earlier| earlier.ended.is_none() && earlier.test == test);
        let held = lives().find_map(|life| Some(Earlier { contact: life.id, held: Some(self.core.holder_of(life)?) }));
        held.or_else(|| lives().next().map(|life| Earlier { contact: life.id, held: None }))
    }
}

impl Core {
    /// Who is there and holds a share of it, the lead's holder first.
    fn holder_of(&self, life: &Life) -> Option<(SeatIndex, Service)> {
        let held = |part: &super::Part| {
            let seat = part.holder.filter(|_| part.closed.is_none())?;
            self.floor.seat(seat).filter(|live| live.present).map(|_| (seat, part.service))
        };
        life.parts.iter().filter(|part| part.lead).chain(&life.parts).find_map(held)
    }

    /// Lets the contact be found by its line, when that is one caller's.
    pub(super) fn list_line(&mut self, life: &mut Life) {
        let caller = life.decision.caller.filter(|caller| caller.links);
        life.line = caller.map(|caller| (life.test, caller.number));
        self.lines.extend(life.line.map(|(test, number)| (test, number, life.id)));
    }

    pub(super) fn unlist_line(&mut self, life: &mut Life) {
        if let Some((test, number)) = life.line.take() {
            self.lines.remove(&(test, number, life.id));
        }
    }

    /// Writes the reference down. Returns which share goes first to which seat: the share of the service that the seat holds, else the
    /// lead.
    pub(super) fn note_repeat(&mut self, life: &mut Life, earlier: Earlier, out: &mut Outputs) -> Option<(usize, SeatIndex)> {
        self.counters.repeats += 1;
        let seat = earlier.held.map(|(seat, _)| self.floor.seat_name(seat));
        self.record(life, Fact::Repeated { at: self.now, contact: life.id, earlier: earlier.contact, seat }, out);
        let (seat, service) = earlier.held?;
        let index = life.position(service).or_else(|| life.parts.iter().position(|part| part.lead))?;
        Some((index, seat))
    }

    /// Asks the seat that holds the earlier contact before the others. Lists and screens are the caller's.
    pub(super) fn give_head_start(&mut self, life: &mut Life, index: usize, seat: SeatIndex, out: &mut Outputs) {
        let Some(room) = self.floor.seat(seat).map(|live| live.room) else { return };
        let is_asked = life.parts.get(index).is_none_or(|part| part.asked_rooms().any(|asked| asked == room));
        if !is_asked {
            self.ask(life, index, room, AskedWhy::Repeat, out);
        }
        let until = self.now.plus_micros(self.config.repeat_wait_micros_max);
        let Some(part) = life.parts.get_mut(index) else { return };
        part.head_start = Some((seat, until));
        part.alarm = None;
        part.take_by = part.take_by.max(until);
        let (due, leads) = (part.next_due(), part.lead);
        self.set_due(life, index, Some(due));
        if leads {
            self.move_voice(life, room, out);
        }
    }

    /// The seat had its time: the ordinary way begins.
    pub(super) fn end_head_start(&mut self, life: &mut Life, index: usize, out: &mut Outputs) {
        let test = life.test;
        let Some(part) = life.parts.get_mut(index) else { return };
        part.head_start = None;
        let staffed = |room: &super::floor::RoomIndex| self.floor.is_staffed(*room, test);
        let next = part.asked_in_turn().filter(staffed).last().or_else(|| part.asked_rooms().find(staffed));
        match next {
            Some(room) => {
                self.leave(life, index);
                self.await_answer(life, index, room, out);
                self.enter(life, index);
                self.alert(life, index, &[room], AlertWhy::YourTurn, out);
            }
            None => self.advance(life, index, AskedWhy::NoSeat, out),
        }
    }

    /// As screens show it.
    pub(super) fn repeat(&self, life: &Life, part: &super::Part) -> Option<Repeat> {
        let (earlier, seat) = life.repeat?;
        let held_by = seat.map(|seat| self.floor.seat_name(seat));
        Some(Repeat { earlier, held_by, until: part.head_start.map(|(_, until)| until).unwrap_or_default() })
    }
}
