//! Callers who write: what they and the person who answers say to each other, line by line.
//!
//! A contact that came by text is a conversation. The caller's first words are its first lines; what its gateway brings later are more
//! of them, each with its time, and evidence as well. Whoever holds the share that leads writes back; before anybody holds it nobody
//! does. When that share is closed and others are not, their holders write.
//!
//! A line for the caller goes to its gateway when the journal holds it, and again to a gateway that comes back, until the gateway says
//! what became of it. While no gateway is there it waits, and screens show that it has not arrived.
//!
//! # Invariants
//! - Lines are numbered from 1 and told in that order.
//! - A line to a caller is never cut: what is too long is refused.
//! - What a caller says is a line even when it was said before: "no" to two questions is two answers.

use super::floor::{RoomIndex, SeatIndex};
use super::life::{Life, Part};
use super::receipt::{Promise, Receipt};
use super::{Core, Engine, Output, Outputs, SessionId};
use crate::contact::{Contact, ContactKey, Signal};
use crate::deliver::{ConsoleHears, Delivery, Evidence, Fact, GatewayHears, Refusal, Said};
use crate::limits::{SAID_BYTES_MAX, SAID_MAX, SAID_SHOWN_MAX};
use crate::units::{ContactId, Timestamp};

/// The newest lines of one contact, as the facts tell them.
#[derive(Clone, Debug, Default)]
pub(super) struct Conversation {
    /// With the fact of each; 0 where its arrival is the fact.
    lines: Vec<(u64, Said)>,
    /// The number of the newest.
    count: u32,
}

impl Conversation {
    /// The words a contact came with. What was merged into it later has facts of its own.
    pub fn of(contact: &Contact, at: Timestamp) -> Self {
        let mut conversation = Self::default();
        if contact.door.is_text() && contact.revision == 0 {
            for text in words_of(&contact.signals) {
                let said = Said { number: conversation.count + 1, at, by: None, text: text.into(), delivery: Delivery::Delivered };
                conversation.add(0, said);
            }
        }
        conversation
    }

    pub fn add(&mut self, seq: u64, said: Said) {
        if said.number <= self.count {
            return;
        }
        self.count = said.number;
        if self.lines.len() >= SAID_SHOWN_MAX {
            self.lines.remove(0);
        }
        self.lines.push((seq, said));
    }

    pub fn delivered(&mut self, number: u32, delivered: bool) {
        if let Some((_, said)) = self.lines.iter_mut().find(|(_, said)| said.number == number && said.by.is_some()) {
            said.delivery = Delivery::of(delivered);
        }
    }

    /// Its lines, the newest last.
    pub fn said(&self) -> impl Iterator<Item = &Said> {
        self.lines.iter().map(|(_, said)| said)
    }
}

/// As lines of a conversation: without what is around them, within their bound.
fn words_of(signals: &[Signal]) -> impl Iterator<Item = &str> {
    let words = signals.iter().filter_map(|signal| if let Signal::Words(words) = signal { Some(words.trim()) } else { None });
    words.filter(|words| !words.is_empty()).map(|words| super::console::cut_to(words, SAID_BYTES_MAX))
}

// --- commands ---

impl Engine {
    pub(super) fn say(&mut self, session: SessionId, seat: SeatIndex, contact: ContactId, text: &str, out: &mut Outputs) {
        let text = text.trim();
        let Some(by) = self.may_speak(session, seat, contact, out) else { return };
        let Some(life) = self.lives.get_mut(&contact).filter(|_| !text.is_empty()) else { return };
        match self.core.may_write(life, seat, text) {
            Ok(()) => {
                let (at, number) = (self.core.now, life.conversation.count + 1);
                let fact = Fact::Said { at, contact, number, seat: Some(by), text: text.into() };
                let seq = self.core.record(life, fact, out);
                self.core.counters.said += 1;
                self.core.receipts.promise(seq, Promise::Said(contact));
            }
            Err(why) => self.core.refuse(session, None, why, out),
        }
    }

    /// The gateway says what became of a line. A line it has told us of already stays as it is.
    pub(super) fn delivered(&mut self, session: SessionId, key: &ContactKey, number: u32, delivered: bool, out: &mut Outputs) {
        let Some(contact) = self.spoken_of(session, key) else { return };
        let core = &mut self.core;
        let Some(life) = self.lives.get_mut(&contact) else { return };
        let waits = |said: &Said| said.number == number && said.delivery == Delivery::Pending;
        if life.conversation.said().any(waits) {
            core.record(life, Fact::Delivered { at: core.now, contact, number, delivered }, out);
            core.tell_rooms(life, &life.viewers(), &ConsoleHears::Delivered { contact, number, delivered }, out);
        }
    }
}

impl Core {
    fn may_write(&self, life: &Life, seat: SeatIndex, text: &str) -> Result<(), Refusal> {
        if !life.is_text() {
            return Err(Refusal::NoText);
        }
        let is_open = |part: &&Part| part.closed.is_none();
        let leads = life.parts.iter().filter(is_open).find(|part| part.lead);
        let holders: Vec<SeatIndex> = match leads {
            Some(lead) => lead.holder.into_iter().collect(),
            None => life.parts.iter().filter(is_open).filter_map(|part| part.holder).collect(),
        };
        if holders.is_empty() {
            return Err(Refusal::OutOfTurn);
        }
        if !holders.contains(&seat) {
            return Err(Refusal::HeldByAnother);
        }
        if text.len() > SAID_BYTES_MAX {
            return Err(Refusal::Malformed);
        }
        if life.conversation.count >= SAID_MAX { Err(Refusal::Full) } else { Ok(()) }
    }

    /// What a caller who writes has said just now: a line each, told at once. It is evidence as well, and that is the caller's to merge.
    pub(super) fn hear(&mut self, life: &mut Life, evidence: &Evidence, out: &mut Outputs) {
        if !life.is_text() {
            return;
        }
        let (at, contact) = (self.now, life.id);
        for text in words_of(&evidence.signals).map(Box::<str>::from) {
            if life.conversation.count >= SAID_MAX {
                self.counters.said_over += 1;
                return;
            }
            let number = life.conversation.count + 1;
            self.record(life, Fact::Said { at, contact, number, seat: None, text }, out);
            if let Some(said) = life.conversation.said().last().cloned() {
                self.tell_rooms(life, &life.viewers(), &ConsoleHears::Said { contact, said }, out);
            }
        }
    }
}

// --- what is told ---

impl Core {
    pub(super) fn keep_said(&mut self, receipt: Receipt, seq: u64, life: &Life, out: &mut Outputs) {
        let Some((_, said)) = life.conversation.lines.iter().find(|(of, _)| *of == seq) else { return };
        let contact = life.id;
        self.tell_rooms(life, &life.viewers(), &ConsoleHears::Said { contact, said: said.clone() }, out);
        self.say_to_caller(receipt, life, said, out);
    }

    fn say_to_caller(&self, _: Receipt, life: &Life, said: &Said, out: &mut Outputs) {
        if said.by.is_none() || said.delivery != Delivery::Pending {
            return;
        }
        let (contact, number, text) = (life.id, said.number, said.text.clone());
        self.to_gateway(life, out, |key| GatewayHears::Say { key, contact, number, text });
    }

    /// Every line the caller may not have yet, to a gateway that has come back.
    pub(super) fn say_all_to_caller(&self, life: &Life, out: &mut Outputs) {
        for (seq, said) in &life.conversation.lines {
            if let Some(receipt) = self.receipts.covers(*seq) {
                self.say_to_caller(receipt, life, said, out);
            }
        }
    }

    /// The conversation so far, to rooms that are shown its contact now.
    pub(super) fn show_conversation(&self, life: &Life, rooms: &[RoomIndex], out: &mut Outputs) {
        if let Some(hears) = self.conversation(life) {
            let desks = rooms.iter().map(|room| self.floor.room(*room).desk(life.test));
            for (session, _) in desks.flat_map(|desk| &desk.sessions) {
                out.push(Output::ToConsole { session: *session, hears: hears.clone() });
            }
        }
    }

    /// As a screen that has come is told it. What a seat said is in it when the journal holds it.
    pub(super) fn conversation(&self, life: &Life) -> Option<ConsoleHears> {
        let held = |(seq, said): &&(u64, Said)| said.by.is_none() || self.is_stored(*seq);
        let said: Vec<Said> = life.conversation.lines.iter().filter(held).map(|(_, said)| said.clone()).collect();
        (!said.is_empty()).then_some(ConsoleHears::Conversation { contact: life.id, said })
    }

    /// What the journal lost of a conversation is written again. Lines that its arrival brings are not.
    pub(super) fn say_conversation_again(&mut self, life: &mut Life, out: &mut Outputs) {
        let contact = life.id;
        let brought = if life.contact.revision == 0 { words_of(&life.contact.signals).count() } else { 0 };
        for (seq, said) in &mut life.conversation.lines {
            if said.number as usize <= brought {
                continue;
            }
            let Said { number, at, by, text, delivery } = said.clone();
            *seq = self.append(Fact::Said { at, contact, number, seat: by, text }, out);
            if by.is_some() {
                self.receipts.promise(*seq, Promise::Said(contact));
                if delivery != Delivery::Pending {
                    self.append(Fact::Delivered { at: self.now, contact, number, delivered: delivery == Delivery::Delivered }, out);
                }
            }
        }
    }
}
