//! Who is there: rooms with their desks, seats, and the sessions of consoles and gateways.
//!
//! # Invariants
//! - A room has two desks that share nothing: one of people, one of load tests. What stands at one never reaches the other.
//! - A session stands at a desk exactly while its seat is signed in, heard from, and bound to that session.
//! - Rooms and seats are numbered once and never removed, so that an index stays good for the life of the engine.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{Rooms, SessionId};
use crate::contact::ContactKey;
use crate::deliver::{Duty, Ending, OfferId, Seat};
use crate::limits::{
    CAPACITY_DEFAULT, ENDED_KEPT_MICROS_MAX, ENDED_RETOLD_MAX, ENDED_RETOLD_MICROS_MAX, GATEWAY_SESSIONS_MAX, GATEWAYS_MAX, ROOMS_MAX,
    SEATS_MAX, TAKE_MICROS_DEFAULT,
};
use crate::service::Service;
use crate::units::{ContactId, DispatcherId, Name, TablesVersion, Timestamp};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RoomIndex(u32);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SeatIndex(u32);

/// One room's desk: of people, or of load tests.
#[derive(Debug, Default)]
pub(super) struct Desk {
    /// Seats that are signed in and heard from.
    pub sessions: Vec<(SessionId, SeatIndex)>,
    /// What is on its screens, or would be if somebody sat there.
    pub offers: BTreeSet<OfferId>,
    /// Offers its seats hold, and offers it was asked for that nobody holds.
    pub load: u32,
}

impl Desk {
    pub fn is_staffed(&self) -> bool {
        !self.sessions.is_empty()
    }
}

#[derive(Debug)]
pub(super) struct RoomLive {
    pub id: DispatcherId,
    /// `None` for a room that no tables have named.
    pub service: Option<Service>,
    pub take_micros_max: u64,
    pub capacity: u32,
    people: Desk,
    tests: Desk,
}

impl RoomLive {
    fn new(id: DispatcherId) -> Self {
        Self {
            id,
            service: None,
            take_micros_max: TAKE_MICROS_DEFAULT,
            capacity: CAPACITY_DEFAULT,
            people: Desk::default(),
            tests: Desk::default(),
        }
    }

    pub fn desk(&self, test: bool) -> &Desk {
        if test { &self.tests } else { &self.people }
    }

    pub fn desk_mut(&mut self, test: bool) -> &mut Desk {
        if test { &mut self.tests } else { &mut self.people }
    }

    pub fn is_full(&self, test: bool) -> bool {
        self.desk(test).load >= self.capacity
    }
}

#[derive(Debug)]
pub(super) struct SeatLive {
    pub seat: Seat,
    pub room: RoomIndex,
    pub test: bool,
    /// The session that signed in for it last, while that is open.
    pub session: Option<SessionId>,
    /// Signed in and heard from: it stands at its desk.
    pub present: bool,
    pub heard: Timestamp,
    /// When its lease is looked at next.
    pub lease_due: Option<Timestamp>,
    pub holds: BTreeSet<OfferId>,
    /// What it said at its sign-in: the languages spoken there, and that it can answer callers who write.
    pub languages: Vec<[u8; 2]>,
    pub text: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Session {
    Auditor { name: Name, signed_in: bool },
    Console { seat: SeatIndex, duty: Duty, signed_in: bool },
    Gateway { gateway: Name },
}

/// One gateway, by the name in its certificate.
#[derive(Debug, Default)]
pub(super) struct GatewayLive {
    /// The newest last; that one is spoken to.
    pub sessions: Vec<SessionId>,
    /// Its contacts that have not ended.
    pub contacts: BTreeSet<ContactId>,
    /// Ends that it may not have heard, oldest first.
    pub ended: VecDeque<EndNotice>,
    /// Older ends that are on that list no more: whoever goes through it in slices goes on where it was.
    pub ended_dropped: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct EndNotice {
    pub at: Timestamp,
    pub key: ContactKey,
    pub contact: ContactId,
    pub ending: Ending,
}

#[derive(Debug)]
pub(super) struct Floor {
    pub version: TablesVersion,
    rooms: Vec<RoomLive>,
    room_by_id: BTreeMap<DispatcherId, RoomIndex>,
    /// Stands in for a room that could not be numbered: nobody ever signs in there.
    nowhere: RoomLive,
    seats: Vec<SeatLive>,
    seat_by_name: BTreeMap<(bool, Seat), SeatIndex>,
    /// Desks with a seat signed in and heard from.
    staffed: BTreeSet<(bool, RoomIndex)>,
    pub sessions: BTreeMap<SessionId, Session>,
    /// Auditors who are signed in.
    pub auditors: BTreeMap<SessionId, Name>,
    pub gateways: BTreeMap<Name, GatewayLive>,
}

// --- rooms ---

impl Floor {
    pub fn new(rooms: &Rooms) -> Self {
        let mut floor = Self {
            version: rooms.version,
            rooms: Vec::with_capacity(rooms.rooms.len()),
            room_by_id: BTreeMap::new(),
            nowhere: RoomLive::new(DispatcherId::default()),
            seats: Vec::new(),
            seat_by_name: BTreeMap::new(),
            staffed: BTreeSet::new(),
            sessions: BTreeMap::new(),
            auditors: BTreeMap::new(),
            gateways: BTreeMap::new(),
        };
        floor.refurnish(rooms);
        floor
    }

    /// Takes over waits and capacities of a new table set. A room that left the tables keeps what it had: contacts decided under the
    /// old ones still name it.
    pub fn refurnish(&mut self, rooms: &Rooms) {
        self.version = rooms.version;
        for room in &rooms.rooms {
            let index = self.room_index(room.id);
            let live = self.room_mut(index);
            live.service = Some(room.service);
            live.take_micros_max = room.take_micros_max;
            live.capacity = room.capacity;
        }
    }

    /// The number of a room, given when its name is first heard.
    pub fn room_index(&mut self, id: DispatcherId) -> RoomIndex {
        if let Some(index) = self.room_by_id.get(&id) {
            return *index;
        }
        let index = RoomIndex(self.rooms.len() as u32);
        if self.rooms.len() < ROOMS_MAX {
            self.rooms.push(RoomLive::new(id));
            self.room_by_id.insert(id, index);
        }
        index
    }

    pub fn room_of(&self, id: &DispatcherId) -> Option<RoomIndex> {
        self.room_by_id.get(id).copied()
    }

    pub fn room(&self, index: RoomIndex) -> &RoomLive {
        self.rooms.get(index.0 as usize).unwrap_or(&self.nowhere)
    }

    pub fn room_mut(&mut self, index: RoomIndex) -> &mut RoomLive {
        match self.rooms.get_mut(index.0 as usize) {
            Some(room) => room,
            None => &mut self.nowhere,
        }
    }

    pub fn all_rooms(&self) -> impl Iterator<Item = (RoomIndex, &RoomLive)> {
        (0..).map(RoomIndex).zip(&self.rooms)
    }

    pub fn staffed(&self) -> &BTreeSet<(bool, RoomIndex)> {
        &self.staffed
    }

    /// Every room with a seat of people there.
    pub fn staffed_rooms(&self) -> impl Iterator<Item = RoomIndex> {
        self.staffed.iter().filter(|(test, _)| !test).map(|(_, room)| *room)
    }

    pub fn is_staffed(&self, room: RoomIndex, test: bool) -> bool {
        self.room(room).desk(test).is_staffed()
    }
}

// --- seats ---

impl Floor {
    /// The number of a seat; `None` when [`SEATS_MAX`] have been numbered.
    pub fn seat_index(&mut self, seat: Seat, test: bool) -> Option<SeatIndex> {
        if let Some(index) = self.seat_by_name.get(&(test, seat)) {
            return Some(*index);
        }
        if self.seats.len() >= SEATS_MAX {
            return None;
        }
        let index = SeatIndex(self.seats.len() as u32);
        let room = self.room_index(seat.dispatcher);
        let heard = Timestamp::default();
        self.seats.push(SeatLive {
            seat,
            room,
            test,
            session: None,
            present: false,
            heard,
            lease_due: None,
            holds: BTreeSet::new(),
            languages: Vec::new(),
            text: false,
        });
        self.seat_by_name.insert((test, seat), index);
        Some(index)
    }

    pub fn seat(&self, index: SeatIndex) -> Option<&SeatLive> {
        self.seats.get(index.0 as usize)
    }

    pub fn seat_mut(&mut self, index: SeatIndex) -> Option<&mut SeatLive> {
        self.seats.get_mut(index.0 as usize)
    }

    pub fn seat_name(&self, index: SeatIndex) -> Seat {
        let nobody = Seat { dispatcher: DispatcherId::default(), seat: Name::default() };
        self.seat(index).map_or(nobody, |live| live.seat)
    }

    /// Every seat that holds something, for a restart.
    pub fn holders(&self) -> impl Iterator<Item = SeatIndex> {
        self.seats.iter().zip(0..).filter(|(seat, _)| !seat.holds.is_empty()).map(|(_, index)| SeatIndex(index))
    }

    /// Puts the seat at its desk under the session that signed in for it. False when it already stood there.
    pub fn come(&mut self, index: SeatIndex) -> bool {
        let Some(seat) = self.seat_mut(index) else { return false };
        let (Some(session), false) = (seat.session, seat.present) else { return false };
        seat.present = true;
        let (room, test) = (seat.room, seat.test);
        self.room_mut(room).desk_mut(test).sessions.push((session, index));
        self.staffed.insert((test, room));
        true
    }

    /// Takes the seat from its desk. True when that leaves the desk empty.
    pub fn go(&mut self, index: SeatIndex) -> bool {
        let Some(seat) = self.seat_mut(index) else { return false };
        if !seat.present {
            return false;
        }
        seat.present = false;
        let (room, test) = (seat.room, seat.test);
        let desk = self.room_mut(room).desk_mut(test);
        desk.sessions.retain(|(_, seat)| *seat != index);
        let emptied = !desk.is_staffed();
        if emptied {
            self.staffed.remove(&(test, room));
        }
        emptied
    }
}

// --- gateways ---

impl Floor {
    pub fn gateway_session(&self, gateway: &Name) -> Option<SessionId> {
        self.gateways.get(gateway)?.sessions.last().copied()
    }

    /// The session from now on spoken to; the oldest one beyond the bound is returned to be closed.
    pub fn gateway_opened(&mut self, gateway: Name, session: SessionId) -> Option<SessionId> {
        let sessions = &mut self.gateways.entry(gateway).or_default().sessions;
        sessions.push(session);
        let spare = sessions.len() > GATEWAY_SESSIONS_MAX;
        spare.then(|| sessions.remove(0))
    }

    pub fn gateway_closed(&mut self, gateway: &Name, session: SessionId) {
        if let Some(live) = self.gateways.get_mut(gateway) {
            live.sessions.retain(|open| *open != session);
        }
        self.forget_gateway(gateway);
    }

    pub fn contact_began(&mut self, gateway: Name, contact: ContactId) {
        self.gateways.entry(gateway).or_default().contacts.insert(contact);
    }

    /// Keeps the end for a gateway that reconnects, as long as it is new and there is room. True when one was forgotten that its
    /// gateway cannot have heard.
    pub fn contact_ended(&mut self, notice: EndNotice) -> bool {
        let (now, gateway) = (notice.at, notice.key.gateway);
        let crowded = self.gateways.len() > GATEWAYS_MAX;
        let live = self.gateways.entry(gateway).or_default();
        let away = live.sessions.is_empty();
        live.contacts.remove(&notice.contact);
        live.ended.push_back(notice);
        let keep_micros = if away { ENDED_KEPT_MICROS_MAX } else { ENDED_RETOLD_MICROS_MAX };
        let count_max = if away && crowded { 0 } else { ENDED_RETOLD_MAX };
        let mut unheard = false;
        while let Some(first) = live.ended.front() {
            if live.ended.len() <= count_max && now.micros_since(first.at) <= keep_micros {
                break;
            }
            unheard |= away;
            live.ended.pop_front();
            live.ended_dropped += 1;
        }
        self.forget_gateway(&gateway);
        unheard
    }

    fn forget_gateway(&mut self, gateway: &Name) {
        let empty = |live: &GatewayLive| live.sessions.is_empty() && live.contacts.is_empty() && live.ended.is_empty();
        if self.gateways.get(gateway).is_some_and(empty) {
            self.gateways.remove(gateway);
        }
    }
}
