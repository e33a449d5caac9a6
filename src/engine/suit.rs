//! Which of a room's seats is asked first, and which room: callers who write go to who can write, and a caller's language to who speaks
//! it.
//!
//! Everybody in the room sees the offer and may take it. It rings at once only for those it suits best; the rest of the room rings with
//! the room's next alert, so a caller never waits longer than a rung of the ladder because of it. A language chooses among the seats of
//! one room, never among rooms: that nobody there speaks it is said in the offer.

use super::floor::{RoomIndex, SeatIndex, SeatLive};
use super::life::{Life, Part};
use super::{Core, Outputs};
use crate::deliver::AlertWhy;

/// How well a seat suits a contact; the higher, the better.
type Fit = u8;

impl Core {
    pub(super) fn fit(&self, life: &Life, seat: &SeatLive) -> Fit {
        let writes = life.is_text() && seat.text;
        let speaks = life.lang().is_some_and(|lang| seat.languages.contains(&lang));
        // A seat that cannot write is of no use to who writes, in whatever language.
        u8::from(writes) * 2 + u8::from(speaks)
    }

    /// The best fit among the seats at a desk that have not declined; `None` when it makes no difference whom one asks.
    pub(super) fn best_fit(&self, life: &Life, part: &Part, room: RoomIndex) -> Option<Fit> {
        if !life.is_text() && life.lang().is_none() {
            return None;
        }
        let is_asked = |seat: &SeatIndex| !part.declined_by.contains(seat) && !self.is_kept_free(life, room, *seat);
        let seats = self.floor.room(room).desk(life.test).sessions.iter().filter(|(_, seat)| is_asked(seat));
        seats.filter_map(|(_, seat)| self.floor.seat(*seat)).map(|seat| self.fit(life, seat)).max()
    }

    /// Whether the offer rings at once for this seat.
    pub(super) fn rings(&self, life: &Life, best: Option<Fit>, room: RoomIndex, seat: SeatIndex) -> bool {
        if self.is_kept_free(life, room, seat) {
            return false;
        }
        let Some(best) = best else { return true };
        self.floor.seat(seat).is_none_or(|live| self.fit(life, live) >= best)
    }

    /// Nobody at the desk speaks the caller's language. Where no seat says what it speaks, the tables' word for the room stands.
    pub(super) fn needs_interpreter(&self, life: &Life, room: RoomIndex) -> bool {
        let Some(lang) = life.lang() else { return life.decision.interpreter };
        let mut seats = self.floor.room(room).desk(life.test).sessions.iter().filter_map(|(_, seat)| self.floor.seat(*seat)).peekable();
        let told = seats.clone().any(|seat| !seat.languages.is_empty());
        if told { !seats.any(|seat| seat.languages.contains(&lang)) } else { life.decision.interpreter }
    }

    /// A seat that was asked first has declined: if it was the last of them, the next best ring now.
    pub(super) fn ring_next_best(&mut self, life: &Life, index: usize, declined: SeatIndex, out: &mut Outputs) {
        let Some(part) = life.parts.get(index) else { return };
        let Some(room) = part.current else { return };
        let Some(best) = self.best_fit(life, part, room) else { return };
        if self.floor.seat(declined).is_some_and(|seat| self.fit(life, seat) > best) {
            self.alert(life, index, &[room], AlertWhy::Again, out);
        }
    }

    /// Somebody there can answer who writes.
    pub(super) fn can_write(&self, room: RoomIndex, test: bool) -> bool {
        let desk = self.floor.room(room).desk(test);
        desk.sessions.iter().any(|(_, seat)| self.floor.seat(*seat).is_some_and(|seat| seat.text))
    }

    /// The caller writes, and a room of the chain from this place on can answer that: rooms before it that cannot are passed.
    pub(super) fn must_write(&self, life: &Life, chain: &[RoomIndex]) -> bool {
        let test = life.test;
        let can = |room: &RoomIndex| self.can_write(*room, test) && !self.floor.room(*room).is_full(test);
        life.is_text() && chain.iter().any(can)
    }
}
