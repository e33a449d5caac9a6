//! What people say to callers who write, kept until the caller's gateway comes and asks.
//!
//! The engine says each line again to a session that opens, until it hears what became of it: what is kept here may be lost with the
//! process. A contact's last lines stay when it ends, for there is nobody then who could say them again.

use std::collections::BTreeMap;

use dashmap::DashMap;

use crate::limits::{CONVERSATIONS_MAX, SAID_SHOWN_MAX};

/// Lines for the callers of one gateway, by the gateway's own name of the contact.
#[derive(Debug, Default)]
pub(super) struct Words {
    by_ref: DashMap<Box<str>, Waiting>,
}

/// One caller's lines that were not fetched so far.
#[derive(Debug, Default)]
struct Waiting {
    lines: BTreeMap<u32, Box<str>>,
    ended: bool,
}

/// What a gateway that asks is given.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Fetched {
    pub lines: Vec<(u32, Box<str>)>,
    /// Numbers of lines that the caller has now.
    pub delivered: Vec<u32>,
    /// The contact has ended: nothing more will be said.
    pub ended: bool,
}

impl Words {
    pub fn say(&self, gateway_ref: &str, number: u32, text: &str) {
        if self.by_ref.len() >= CONVERSATIONS_MAX {
            // Whoever has not asked since the end will not ask any more.
            self.by_ref.retain(|_, waiting| !waiting.ended);
        }
        if self.by_ref.len() >= CONVERSATIONS_MAX && !self.by_ref.contains_key(gateway_ref) {
            // The engine keeps it, and says it again when the session is new.
            return;
        }
        let mut waiting = self.by_ref.entry(gateway_ref.into()).or_default();
        waiting.ended = false;
        waiting.lines.insert(number, text.into());
        if waiting.lines.len() > SAID_SHOWN_MAX {
            waiting.lines.pop_first();
        }
    }

    pub fn end(&self, gateway_ref: &str) {
        if let Some(mut waiting) = self.by_ref.get_mut(gateway_ref) {
            waiting.ended = true;
        }
    }

    /// The lines after this number. Who names a number has every line up to it.
    pub fn fetch(&self, gateway_ref: &str, after: u32) -> Fetched {
        let Some(mut waiting) = self.by_ref.get_mut(gateway_ref) else { return Fetched::default() };
        let rest = waiting.lines.split_off(&after.saturating_add(1));
        let delivered = std::mem::replace(&mut waiting.lines, rest).into_keys().collect();
        let lines = waiting.lines.iter().map(|(number, text)| (*number, text.clone())).collect();
        let fetched = Fetched { lines, delivered, ended: waiting.ended };
        drop(waiting);
        self.by_ref.remove_if(gateway_ref, |_, waiting| waiting.ended && waiting.lines.is_empty());
        fetched
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(fetched: &Fetched) -> Vec<u32> {
        fetched.lines.iter().map(|(number, _)| *number).collect()
    }

    #[test]
    fn a_line_is_given_until_a_later_question_says_that_it_has_come() {
        let words = Words::default();
        words.say("a", 2, "where are you?");
        words.say("a", 4, "stay there");
        assert_eq!(numbers(&words.fetch("a", 0)), [2, 4]);
        assert_eq!(numbers(&words.fetch("a", 0)), [2, 4], "the answer may have been lost on its way");
        let next = words.fetch("a", 2);
        assert_eq!((numbers(&next), next.delivered), (vec![4], vec![2]));
        assert_eq!(words.fetch("b", 0), Fetched::default(), "nobody gets another's words");
    }

    #[test]
    fn the_last_lines_can_be_fetched_after_the_end_and_are_gone_then() {
        let words = Words::default();
        words.say("a", 2, "they are at your door");
        words.end("a");
        assert!(words.fetch("a", 0).ended);
        assert_eq!(words.fetch("a", 2).delivered, [2]);
        assert!(words.by_ref.is_empty());
    }
}
