//! Callers who are gone: a task with a clock for whoever leads the contact.
//!
//! A caller who is gone before anyone has taken the contact, or whose line broke or stayed silent, is called back. The contact stays
//! what it was: the same offers to the same rooms, up the same ladder, because who hung up may be unable to speak. The share that leads
//! carries the task; its holder says what came of it. Every outcome but "help is needed" closes that share, unless help was already sent
//! on it; "nobody needs help" also closes what nobody has taken. Shares that others have in hands stay theirs.

use super::console::{Command, must_hold};
use super::life::Life;
use super::receipt::Promise;
use super::{Core, Engine, Outputs};
use crate::contact::{ContactKey, Signal};
use crate::deliver::{Callback, CallbackOutcome, ConsoleHears, Fact, HangUp, Refusal};

impl Engine {
    pub(super) fn hung_up(&mut self, session: super::SessionId, key: &ContactKey, why: HangUp, out: &mut Outputs) {
        let Some(life) = self.spoken_of(session, key) else { return };
        let core = &mut self.core;
        let Some(life) = self.lives.get_mut(&life).filter(|life| life.hung_up.is_none()) else { return };
        let contact = life.id;
        let callback = needs_callback(life, why);
        core.record(life, Fact::HungUp { at: core.now, contact, why, callback }, out);
        core.counters.callbacks += u64::from(callback);
        core.list_callback(life);
        core.tell_rooms(life, &life.viewers(), &ConsoleHears::CallerHungUp { contact, why }, out);
        let leads = life.parts.iter().position(|part| part.lead && part.closed.is_none());
        if let Some(index) = leads.filter(|_| callback) {
            let viewers = life.parts.get(index).map(super::Part::viewers).unwrap_or_default();
            core.show(life, index, &viewers, out);
        }
    }
}

/// Before anyone has taken or answered it, or when the line broke, while the share that leads is open.
fn needs_callback(life: &Life, why: HangUp) -> bool {
    let open = life.parts.iter().any(|part| part.lead && part.closed.is_none());
    let unheard = !life.taken && life.answered.is_none();
    // Who writes may be unable to speak, or to be heard speaking: nobody is called who did not ask for it.
    let may_ring = !life.is_text() || life.contact.signals.contains(&Signal::CallBack);
    open && may_ring && (unheard || why != HangUp::Caller)
}

impl Core {
    /// The holder of the lead says what came of calling back.
    pub(super) fn called_back(
        &mut self,
        command: Command,
        life: &mut Life,
        index: usize,
        (outcome, reason): (CallbackOutcome, Box<str>),
        out: &mut Outputs,
    ) -> Result<(), Refusal> {
        let Command { session, seat, offer } = command;
        let part = life.parts.get(index).ok_or(Refusal::Unknown)?;
        must_hold(part, seat)?;
        let callback = life.callback.filter(|_| part.lead).ok_or(Refusal::OutOfTurn)?;
        if let Some((outcome, seq)) = callback.outcome {
            if self.is_stored(seq) {
                out.console(session, ConsoleHears::CalledBack { offer, by: self.floor.seat_name(seat), outcome });
            }
            return Ok(());
        }
        if !self.can_promise() {
            return Err(Refusal::Full);
        }
        let by = self.floor.seat_name(seat);
        let seq = self.record(life, Fact::CalledBack { at: self.now, offer, seat: by, outcome, reason }, out);
        self.counters.callbacks_done += 1;
        self.list_callback(life);
        self.receipts.promise(seq, Promise::CalledBack(offer));
        self.close_after_callback(command, life, outcome, out);
        Ok(())
    }

    /// What the outcome leaves nothing to do in: the share that called back, and when nobody needs help, what nobody has taken.
    fn close_after_callback(&mut self, command: Command, life: &mut Life, outcome: CallbackOutcome, out: &mut Outputs) {
        for index in 0..life.parts.len() {
            let Some(part) = life.parts.get(index).filter(|part| part.closed.is_none() && part.accepted.is_none()) else { continue };
            let own = life.offer_id(part) == command.offer;
            if own && outcome.is_final() || part.holder.is_none() && outcome == CallbackOutcome::NoHelpNeeded {
                let reason = format!("called back: {}", outcome.word());
                self.close_share(command.seat, life, index, reason.into(), out);
            }
        }
    }

    /// Puts the life on the list of callbacks or takes it off, as it stands.
    pub(super) fn list_callback(&mut self, life: &Life) {
        let Some((_, since)) = life.hung_up else { return };
        if life.awaits_callback() {
            self.callbacks.insert((since, life.id));
        } else {
            self.callbacks.remove(&(since, life.id));
        }
    }

    /// As screens show it: an outcome is promised only when the journal holds it.
    pub(super) fn callback_promised(&self, life: &Life) -> Option<Callback> {
        let stored = |(_, seq): &(CallbackOutcome, u64)| self.is_stored(*seq);
        let outcome = life.callback.and_then(|callback| callback.outcome).filter(stored).map(|(outcome, _)| outcome);
        Some(Callback { outcome, ..callback(life)? })
    }
}

/// As the facts tell it.
pub(super) fn callback(life: &Life) -> Option<Callback> {
    let (why, since) = life.hung_up?;
    let outcome = life.callback?.outcome.map(|(outcome, _)| outcome);
    let number = life.decision.caller.map(|caller| caller.number);
    Some(Callback { why, since, number, outcome })
}
