//! Callers who hear back: the person who has taken a contact releases a message to its caller, and after a good end the caller is asked
//! how it was.
//!
//! The engine sends nothing. It writes down that a message was released and to which number; whoever carries messages follows the journal.
//!
//! # Invariants
//! - Nothing goes to the caller of a contact that was quiet at any time of its life, to a silent one, to a test, or without a person's
//!   word: `inform.rs` says who may be written to, and nothing here knows a way around it.
//! - Each message of a contact is released once.

use super::console::{Command, must_hold};
use super::life::Life;
use super::receipt::{Promise, Receipt};
use super::{Core, Outputs};
use crate::deliver::{ConsoleHears, Ending, Fact, HangUp, Refusal};
use crate::inform::{Told, number_for};
use crate::units::{ContactId, Name};

impl Core {
    /// The holder of the share that leads releases it.
    pub(super) fn inform(&mut self, command: Command, life: &mut Life, index: usize, out: &mut Outputs) -> Result<(), Refusal> {
        let Command { session, seat, offer } = command;
        let part = life.parts.get(index).ok_or(Refusal::Unknown)?;
        must_hold(part, seat)?;
        if !part.lead {
            return Err(Refusal::NotYours);
        }
        let by = self.floor.seat_name(seat);
        if let Some((informed_by, seq)) = life.informed {
            if self.is_stored(seq) {
                out.console(session, ConsoleHears::Informed { contact: offer.contact, by: informed_by });
            }
            return Ok(());
        }
        let number = self.number_for(life).ok_or(Refusal::Forbidden)?;
        if !self.can_promise() {
            return Err(Refusal::Full);
        }
        let (at, contact, lang) = (self.now, life.id, life.lang());
        let fact = Fact::Informed { at, contact, told: Told::Heard, number, lang, dispatcher: by.dispatcher, seat: Some(by), again: false };
        let seq = self.record(life, fact, out);
        self.counters.informed += 1;
        self.receipts.promise(seq, Promise::Informed(contact));
        Ok(())
    }

    /// The number a message about it may go to; a contact that was quiet once stays so.
    fn number_for(&self, life: &Life) -> Option<Name> {
        let silent = life.hung_up.is_some_and(|(why, _)| why == HangUp::Silent);
        if life.was_quiet || silent || life.test {
            return None;
        }
        number_for(&life.contact, &life.decision)
    }

    /// Whether the message may still be released; for the screens.
    pub(super) fn may_inform(&self, life: &Life) -> bool {
        life.informed.is_none() && life.ended.is_none() && self.number_for(life).is_some()
    }

    /// Help came, and the caller was told that it would: how was it?
    pub(super) fn ask_how_it_was(&mut self, life: &mut Life, ending: Ending, out: &mut Outputs) {
        let Some((by, _)) = life.informed.filter(|_| ending == Ending::Closed && life.parts.iter().any(|part| part.accepted.is_some()))
        else {
            return;
        };
        let Some(number) = self.number_for(life) else { return };
        let (at, contact, lang) = (self.now, life.id, life.lang());
        let fact = Fact::Informed { at, contact, told: Told::Rate, number, lang, dispatcher: by.dispatcher, seat: None, again: false };
        self.record(life, fact, out);
    }

    pub(super) fn keep_informed(&mut self, _: Receipt, seq: u64, life: &Life, out: &mut Outputs) {
        let Some((by, _)) = life.informed.filter(|(_, informed)| *informed == seq) else { return };
        self.tell_rooms(life, &life.viewers(), &ConsoleHears::Informed { contact: life.id, by }, out);
    }

    /// After a loss: a release that the journal lost is a release; one that it holds is said for the record, and no second message.
    pub(super) fn say_informed_again(&mut self, life: &mut Life, out: &mut Outputs) {
        let Some((by, seq)) = life.informed else { return };
        let number = self.number_for(life);
        let again = number.is_none() || !self.receipts.is_lost(seq);
        let (at, contact, lang, number) = (self.now, life.id, life.lang(), number.unwrap_or_default());
        let fact = Fact::Informed { at, contact, told: Told::Heard, number, lang, dispatcher: by.dispatcher, seat: Some(by), again };
        let seq = self.append(fact, out);
        life.informed = Some((by, seq));
        self.receipts.promise(seq, Promise::Informed(contact));
    }

    /// The caller says how it was. The contact has ended; nothing here remembers it.
    pub(super) fn rated(&mut self, contact: ContactId, stars: u8, out: &mut Outputs) {
        if crate::inform::STARS.contains(&stars) {
            self.append(Fact::Rated { at: self.now, contact, stars }, out);
        }
    }
}
