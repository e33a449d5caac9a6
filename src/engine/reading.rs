//! Who reads what callers said without answering them: people who look at what is in others' hands, auditors, and other systems.
//!
//! A read is written down once for each reader and contact: when a console says that it shows the details of a contact of which it
//! holds no share, when an auditor is shown one, and when another system is. What a seat sees because its room is asked is no read of its
//! own: the journal holds that the room was asked.

use std::ops::Bound::{Excluded, Unbounded};
use std::sync::Arc;

use super::floor::{SeatIndex, Session};
use super::life::Life;
use super::tick::CatchUp;
use super::{Core, Engine, Outputs, SessionId};
use crate::deliver::{ConsoleHears, ConsoleSays, Duty, Fact, Offer, Refusal, Role, Seat};
use crate::limits::{CATCH_UP_MAX, READERS_MAX};
use crate::units::{ContactId, DispatcherId, Name};

impl Engine {
    /// A seat looks at the details of a contact. Of one it holds a share of, that is its work and no read.
    pub(super) fn looked_at(&mut self, session: SessionId, seat: SeatIndex, duty: Duty, contact: ContactId, out: &mut Outputs) {
        let Some(by) = self.may_see(session, seat, contact, out) else { return };
        let Some(life) = self.lives.get_mut(&contact) else { return };
        if life.parts.iter().all(|part| part.holder != Some(seat)) {
            self.core.note_read(life, by, duty, out);
        }
    }

    /// Another system was shown a contact.
    pub(super) fn read_by(&mut self, contact: ContactId, by: Seat, duty: Duty, out: &mut Outputs) {
        if let Some(life) = self.lives.get_mut(&contact).filter(|life| life.ended.is_none()) {
            self.core.note_read(life, by, duty, out);
        }
    }

    pub(super) fn auditor_says(&mut self, session: SessionId, name: Name, signed_in: bool, says: &ConsoleSays, out: &mut Outputs) {
        match says {
            ConsoleSays::SignIn { .. } => {
                self.core.floor.sessions.insert(session, Session::Auditor { name, signed_in: true });
                self.core.floor.auditors.insert(session, name);
                out.console(session, ConsoleHears::SignedIn { seat: auditor(name), tables: self.core.floor.version });
                self.core.tell_events(session, out);
                self.start_catch_up(CatchUp::audit(session), out);
            }
            ConsoleSays::SignOut => {
                self.core.floor.sessions.insert(session, Session::Auditor { name, signed_in: false });
                self.core.floor.auditors.remove(&session);
            }
            // Whatever is shown to an auditor is a read already.
            ConsoleSays::Heartbeat | ConsoleSays::Read { .. } | ConsoleSays::Shown { .. } => {}
            _ if !signed_in => self.core.refuse(session, None, Refusal::OutOfTurn, out),
            _ => self.core.refuse(session, super::console::offer_of(says), Refusal::Forbidden, out),
        }
    }

    /// Shows an auditor who has come what is there, in slices.
    pub(super) fn audit_all(&mut self, session: SessionId, after: Option<ContactId>, out: &mut Outputs) -> Option<CatchUp> {
        let name = self.core.floor.auditors.get(&session).copied()?;
        let from = after.map_or(Unbounded, Excluded);
        let (mut looked_at, mut last) = (0, after);
        for (contact, life) in self.lives.range_mut((from, Unbounded)).take(CATCH_UP_MAX) {
            (looked_at, last) = (looked_at + 1, Some(*contact));
            for index in 0..life.parts.len() {
                self.core.show_auditor(life, index, session, name, out);
            }
        }
        if looked_at == CATCH_UP_MAX {
            return Some(CatchUp::Audit { session, after: last });
        }
        out.console(session, ConsoleHears::CaughtUp);
        None
    }
}

/// An auditor is of no room.
pub(super) fn auditor(name: Name) -> Seat {
    Seat { dispatcher: DispatcherId::default(), seat: name }
}

impl Core {
    pub(super) fn note_read(&mut self, life: &mut Life, by: Seat, duty: Duty, out: &mut Outputs) {
        if life.readers.contains(&(by, duty)) {
            return;
        }
        self.counters.reads += 1;
        self.record(life, Fact::Read { at: self.now, contact: life.id, by, duty }, out);
    }

    /// Shows a share to every auditor.
    pub(super) fn show_auditors(&mut self, life: &mut Life, index: usize, out: &mut Outputs) {
        if self.floor.auditors.is_empty() {
            return;
        }
        let auditors: Vec<(SessionId, Name)> = self.floor.auditors.iter().map(|(session, name)| (*session, *name)).collect();
        for (session, name) in auditors {
            self.show_auditor(life, index, session, name, out);
        }
    }

    fn show_auditor(&mut self, life: &mut Life, index: usize, session: SessionId, name: Name, out: &mut Outputs) {
        let Some(part) = life.parts.get(index).filter(|part| part.closed.is_none() && part.opened) else { return };
        if life.test || life.ended.is_some() {
            return;
        }
        let offer = self.offer(life, part, part.responsible);
        out.console(session, ConsoleHears::Offer(Arc::new(Offer { role: Role::Audit, rings: false, ..Offer::clone(&offer) })));
        if let Some(conversation) = self.conversation(life) {
            out.console(session, conversation);
        }
        self.note_read(life, auditor(name), Duty::Auditor, out);
    }

    /// Tells auditors what the rooms of a contact are told.
    pub(super) fn tell_auditors(&self, life: &Life, hears: &ConsoleHears, out: &mut Outputs) {
        if !life.test {
            self.floor.auditors.keys().for_each(|session| out.console(*session, hears.clone()));
        }
    }

    /// What the journal lost of reads is written again.
    pub(super) fn say_reads_again(&mut self, life: &Life, out: &mut Outputs) {
        for (by, duty) in life.readers.clone() {
            self.append(Fact::Read { at: self.now, contact: life.id, by, duty }, out);
        }
    }
}

impl Life {
    pub(super) fn was_read(&mut self, by: Seat, duty: Duty) {
        if self.readers.len() < READERS_MAX && !self.readers.contains(&(by, duty)) {
            self.readers.push((by, duty));
        }
    }
}
