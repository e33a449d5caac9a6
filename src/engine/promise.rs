//! What the disk allows to be said.
//!
//! Every function here that speaks a promise takes a [`Receipt`], and only the journal's word makes one.

use super::life::Life;
use super::receipt::{Promise, Receipt};
use super::timers::Timer;
use super::{Core, Engine, Output, Outputs};
use crate::contact::ContactKey;
use crate::deliver::{ConsoleHears, Ending, GatewayHears, OfferId, Seat};
use crate::limits::{PROMISES_KEPT_MAX, PROMISES_PAUSE_MICROS};
use crate::service::Service;
use crate::units::ContactId;

impl Engine {
    pub(super) fn stored(&mut self, through: u64, out: &mut Outputs) {
        let written = through.min(self.core.seq);
        // A store that holds more than was written is a defect; what was written counts.
        self.core.counters.internal += u64::from(written != through);
        self.core.store_failing = false;
        self.core.receipts.stored(written);
        self.heal(out);
        self.keep_promises(out);
    }

    /// Says what the journal now allows, in the order of its entries; the rest of a long list follows later.
    pub(super) fn keep_promises(&mut self, out: &mut Outputs) {
        for _ in 0..PROMISES_KEPT_MAX {
            let Some((receipt, seq, promise)) = self.core.receipts.next_kept() else { break };
            self.core.counters.promises_kept += 1;
            self.keep(receipt, seq, promise, out);
        }
        let receipts = &self.core.receipts;
        while self.core.unstored.pop_front_if(|(_, seq, _)| receipts.covers(*seq).is_some()).is_some() {}
        if self.core.receipts.has_kept() {
            self.core.timers.set(self.core.now.plus_micros(PROMISES_PAUSE_MICROS), Timer::Promises);
        }
    }

    fn keep(&mut self, receipt: Receipt, seq: u64, promise: Promise, out: &mut Outputs) {
        let contact = match &promise {
            Promise::Accepted(offer)
            | Promise::CalledBack(offer)
            | Promise::Closed(offer)
            | Promise::Dispatched(offer)
            | Promise::Taken(offer) => offer.contact,
            Promise::Arrived(contact)
            | Promise::Ended(contact)
            | Promise::Informed(contact)
            | Promise::Joined(contact)
            | Promise::Left(contact)
            | Promise::Noted(contact)
            | Promise::Said(contact) => *contact,
            Promise::Declared(event) => return self.keep_declared(receipt, seq, *event, out),
            Promise::EventOver(event, by) => return self.core.keep_event_over(receipt, *event, *by, out),
            Promise::Overflowed(whose) => return self.core.keep_overflowed(receipt, &whose.0, whose.1, out),
        };
        if let Promise::Left(contact) = promise {
            return self.tell_members_ended(receipt, contact, out);
        }
        let Some(life) = self.lives.get_mut(&contact) else { return };
        match promise {
            Promise::Accepted(offer) => self.core.keep_accepted(receipt, seq, life, offer, out),
            Promise::Arrived(_) => self.core.keep_arrived(receipt, life, out),
            Promise::CalledBack(offer) => self.core.keep_called_back(receipt, seq, life, offer, out),
            Promise::Closed(offer) => self.core.keep_closed(receipt, life, offer, out),
            Promise::Dispatched(offer) => self.core.keep_dispatched(receipt, seq, life, offer, out),
            Promise::Ended(_) => {
                self.core.keep_ended(receipt, life, out);
                self.lives.remove(&contact);
            }
            Promise::Informed(_) => self.core.keep_informed(receipt, seq, life, out),
            Promise::Joined(_) => self.core.keep_joined(receipt, seq, life, out),
            Promise::Noted(_) => self.core.keep_noted(receipt, seq, life, out),
            Promise::Said(_) => self.core.keep_said(receipt, seq, life, out),
            Promise::Taken(offer) => self.core.keep_taken(receipt, seq, life, offer, out),
            Promise::Declared(_) | Promise::EventOver(..) | Promise::Left(_) | Promise::Overflowed(_) => {}
        }
    }
}

// --- promises, when their entry is held ---

impl Core {
    pub(super) fn store_failed(&mut self, _through: u64) {
        // Receipts are never taken back, and nothing after them was promised: there is nothing to undo.
        self.store_failing = true;
        self.counters.store_failures += 1;
    }

    /// The arrival and end of a contact beyond the bound are gone from the journal and were told to nobody: when its gateway hands it
    /// back, it is a contact like any other.
    pub(super) fn forget_lost(&mut self, promise: &Promise) {
        if let Promise::Overflowed(whose) = promise {
            self.known.forget(whose.1);
        }
    }

    /// A console's command waits for the disk; it is refused while too many already do. Arrivals always find a place.
    pub(super) fn can_promise(&self) -> bool {
        self.receipts.waiting_count() < self.config.promises_max
    }

    fn keep_arrived(&mut self, receipt: Receipt, life: &Life, out: &mut Outputs) {
        self.say_durable(receipt, life, out);
        if life.ended.is_none() {
            self.tell_rooms(life, &life.viewers(), &ConsoleHears::Confirmed { contact: life.id }, out);
        }
    }

    /// Unless it was given back or taken by another in the meantime: then that is what everybody has heard, or will.
    fn keep_taken(&mut self, receipt: Receipt, seq: u64, life: &mut Life, offer: OfferId, out: &mut Outputs) {
        let Some(part) = life.position(offer.service).and_then(|index| life.parts.get(index)) else { return };
        let Some(holder) = part.holder.filter(|_| part.taken_seq == seq) else { return };
        self.say_taken(receipt, life, part, self.floor.seat_name(holder), out);
        self.tell_other_services(life, part.service, out);
        // A person took it: an unanswered call goes to that person's room.
        let room = self.floor.seat(holder).map(|seat| seat.room);
        if let Some(room) = room.filter(|_| part.lead) {
            self.move_voice(life, room, out);
        }
    }

    fn keep_accepted(&mut self, receipt: Receipt, seq: u64, life: &Life, offer: OfferId, out: &mut Outputs) {
        let Some(part) = life.position(offer.service).and_then(|index| life.parts.get(index)) else { return };
        let Some((seat, _)) = part.accepted.filter(|(_, accepted)| *accepted == seq) else { return };
        let by = self.floor.seat_name(seat);
        let viewers = part.viewers();
        self.say_accepted(receipt, life, part.service, by, out);
        self.tell_rooms(life, &viewers, &ConsoleHears::Accepted { offer, by }, out);
        self.tell_other_services(life, offer.service, out);
    }

    fn keep_dispatched(&mut self, _: Receipt, seq: u64, life: &Life, offer: OfferId, out: &mut Outputs) {
        let Some(part) = life.position(offer.service).and_then(|index| life.parts.get(index)) else { return };
        let Some((seat, _)) = part.dispatched.filter(|(_, dispatched)| *dispatched == seq) else { return };
        self.tell_viewers(life, part, &ConsoleHears::Dispatched { offer, by: self.floor.seat_name(seat) }, out);
        self.tell_other_services(life, offer.service, out);
    }

    fn keep_called_back(&mut self, _: Receipt, seq: u64, life: &Life, offer: OfferId, out: &mut Outputs) {
        let Some(part) = life.position(offer.service).and_then(|index| life.parts.get(index)) else { return };
        let Some((outcome, _)) = life.callback.and_then(|callback| callback.outcome).filter(|(_, said)| *said == seq) else { return };
        let Some(seat) = part.holder.or(part.closed.map(|(seat, _)| seat)) else { return };
        self.tell_viewers(life, part, &ConsoleHears::CalledBack { offer, by: self.floor.seat_name(seat), outcome }, out);
    }

    fn keep_closed(&mut self, receipt: Receipt, life: &Life, offer: OfferId, out: &mut Outputs) {
        let Some(part) = life.position(offer.service).and_then(|index| life.parts.get(index)) else { return };
        let Some((seat, _)) = part.closed else { return };
        self.say_closed(receipt, life, part, self.floor.seat_name(seat), out);
        self.tell_other_services(life, offer.service, out);
    }

    fn keep_ended(&mut self, receipt: Receipt, life: &Life, out: &mut Outputs) {
        let Some((ending, seq)) = life.ended else { return };
        self.say_ended(receipt, &life.contact.key, life.id, ending, out);
        self.known.life_ended(self.now, life, ending, seq);
        self.keep_end(life.contact.key.clone(), life.id, ending);
    }

    fn keep_overflowed(&mut self, receipt: Receipt, key: &ContactKey, contact: ContactId, out: &mut Outputs) {
        if let Some(session) = self.floor.gateway_session(&key.gateway) {
            out.push(Output::ToGateway { session, hears: GatewayHears::Durable { key: key.clone(), contact } });
        }
        self.say_ended(receipt, key, contact, Ending::Overflowed, out);
        self.keep_end(key.clone(), contact, Ending::Overflowed);
    }
}

// --- the words themselves ---

impl Core {
    pub(super) fn say_durable(&self, _: Receipt, life: &Life, out: &mut Outputs) {
        let contact = life.id;
        self.to_gateway(life, out, |key| GatewayHears::Durable { key, contact });
    }

    /// No promise: it says that one is missing.
    pub(super) fn say_overdue(&self, life: &Life, out: &mut Outputs) {
        let contact = life.id;
        self.to_gateway(life, out, |key| GatewayHears::Overdue { key, contact });
    }

    pub(super) fn say_accepted(&self, _: Receipt, life: &Life, service: Service, seat: Seat, out: &mut Outputs) {
        let contact = life.id;
        self.to_gateway(life, out, |key| GatewayHears::Accepted { key, contact, service, seat });
    }

    pub(super) fn say_taken(&self, _: Receipt, life: &Life, part: &super::Part, by: Seat, out: &mut Outputs) {
        let offer = life.offer_id(part);
        self.tell_viewers(life, part, &ConsoleHears::Taken { offer, by }, out);
    }

    fn say_closed(&self, _: Receipt, life: &Life, part: &super::Part, by: Seat, out: &mut Outputs) {
        let offer = life.offer_id(part);
        self.tell_viewers(life, part, &ConsoleHears::Closed { offer, by }, out);
    }

    pub(super) fn say_ended(&self, _: Receipt, key: &ContactKey, contact: ContactId, ending: Ending, out: &mut Outputs) {
        if let Some(session) = self.floor.gateway_session(&key.gateway) {
            out.push(Output::ToGateway { session, hears: GatewayHears::Ended { key: key.clone(), contact, ending } });
        }
    }
}
