//! Which calls were answered, and how: for 32 s, so that whatever comes again hears the same.
//!
//! What is kept is the decision, not the bytes: each copy of a request has its own way back. A call is known by its reference, which is
//! made of Call-ID and From tag; its attempts by their CSeq.
//!
//! The lock of a shard is held for one look-up at a time and never while a call is decided. Two copies of a call that are decided at
//! once both ask to be kept; the first is, and the other says what the first does.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrayvec::ArrayVec;

use crate::contact::ContactKey;
use crate::edge::ingress::Decided;
use crate::limits::{SIP_ANSWER_MICROS, SIP_ATTEMPTS_MAX, SIP_CALLS_MAX};
use crate::units::{ContactId, DispatcherId, Timestamp};

const SHARDS: usize = 16;

/// A call that was answered.
#[derive(Debug)]
pub(super) struct Call {
    pub id: ContactId,
    pub key: ContactKey,
    pub decided: Decided,
    durable: AtomicBool,
}

impl Call {
    pub fn new(id: ContactId, key: ContactKey, decided: Decided) -> Self {
        Self { id, key, decided, durable: AtomicBool::new(false) }
    }

    /// The journal was seen to hold it.
    pub fn set_durable(&self) {
        self.durable.store(true, Ordering::Relaxed);
    }

    pub fn is_durable(&self) -> bool {
        self.durable.load(Ordering::Relaxed)
    }
}

/// What a request is to the calls that were answered.
#[derive(Debug)]
pub(super) enum Attempt {
    /// It was answered before: from the target of this number on.
    Again(Arc<Call>, usize),
    /// The call is tried again, so the target told first in the last answer failed.
    Next {
        call: Arc<Call>,
        first: usize,
        failed: Option<DispatcherId>,
    },
    Unknown,
}

#[derive(Debug)]
pub(super) struct Answers {
    shards: [Mutex<Shard>; SHARDS],
    spread: RandomState,
    count_max: usize,
}

impl Default for Answers {
    fn default() -> Self {
        Self::with_room(SIP_CALLS_MAX)
    }
}

#[derive(Debug, Default)]
struct Shard {
    calls: HashMap<Box<str>, Kept>,
    /// In the order in which they go; a call that was tried again stands in it once more.
    order: VecDeque<(Timestamp, Box<str>)>,
}

#[derive(Debug)]
struct Kept {
    /// Of the newest attempt.
    at: Timestamp,
    call: Arc<Call>,
    /// CSeq, and the number of the target told first. Empty after a restart: the journal keeps no CSeq.
    attempts: ArrayVec<(u32, usize), SIP_ATTEMPTS_MAX>,
}

impl Answers {
    fn with_room(count: usize) -> Self {
        Self { shards: Default::default(), spread: RandomState::new(), count_max: (count / SHARDS).max(1) }
    }

    fn shard(&self, reference: &str) -> MutexGuard<'_, Shard> {
        let at = self.spread.hash_one(reference) as usize % SHARDS;
        // The remainder is below the count of shards.
        self.shards[at].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the attempt with this CSeq is.
    pub fn attempt(&self, reference: &str, cseq: u32, now: Timestamp) -> Attempt {
        let mut shard = self.shard(reference);
        let Some(kept) = shard.calls.get_mut(reference).filter(|kept| kept.holds(now)) else { return Attempt::Unknown };
        let call = Arc::clone(&kept.call);
        if let Some((_, first)) = kept.attempts.iter().find(|(known, _)| *known == cseq) {
            return Attempt::Again(call, *first);
        }
        let Some((_, before)) = kept.attempts.last().copied().filter(|(newest, _)| *newest < cseq) else {
            // Of before a restart, or one that others have overtaken.
            let first = kept.attempts.first().map_or(0, |(_, first)| *first);
            kept.note(cseq, first);
            return Attempt::Again(call, first);
        };
        let failed = call.decided.targets.get(before).map(|target| target.dispatcher);
        let first = (before + 1) % call.decided.targets.len().max(1);
        kept.note(cseq, first);
        kept.at = now;
        shard.order.push_back((now, reference.into()));
        Attempt::Next { call, first, failed }
    }

    /// The call, whatever its attempt.
    pub fn find(&self, reference: &str, now: Timestamp) -> Option<Arc<Call>> {
        self.shard(reference).calls.get(reference).filter(|kept| kept.holds(now)).map(|kept| Arc::clone(&kept.call))
    }

    /// Keeps an answered call. The one that is kept, and whether it is this one: another copy may have been quicker.
    pub fn keep(&self, reference: &str, cseq: Option<u32>, call: Arc<Call>, now: Timestamp) -> (Arc<Call>, bool) {
        let mut shard = self.shard(reference);
        shard.make_room(now, self.count_max);
        if let Some(kept) = shard.calls.get(reference).filter(|kept| kept.holds(now)) {
            return (Arc::clone(&kept.call), false);
        }
        let attempts = cseq.map(|cseq| (cseq, 0)).into_iter().collect();
        shard.calls.insert(reference.into(), Kept { at: now, call: Arc::clone(&call), attempts });
        shard.order.push_back((now, reference.into()));
        (call, true)
    }
}

impl Kept {
    fn holds(&self, now: Timestamp) -> bool {
        now.micros_since(self.at) <= SIP_ANSWER_MICROS
    }

    fn note(&mut self, cseq: u32, first: usize) {
        if self.attempts.is_full() {
            self.attempts.remove(0);
        }
        let at = self.attempts.partition_point(|(known, _)| *known < cseq);
        self.attempts.insert(at, (cseq, first));
    }
}

impl Shard {
    /// Forgets what is over, and the oldest where there is no room.
    fn make_room(&mut self, now: Timestamp, count_max: usize) {
        while let Some((at, _)) = self.order.front() {
            let is_over = now.micros_since(*at) > SIP_ANSWER_MICROS;
            if !is_over && self.order.len() < count_max {
                break;
            }
            let Some((at, reference)) = self.order.pop_front() else { break };
            if self.calls.get(&reference).is_some_and(|kept| kept.at == at) {
                self.calls.remove(&reference);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deliver::Target;
    use crate::service::Service;
    use crate::units::Name;

    fn call(number: u128) -> Arc<Call> {
        let target = |id: &str| Target { dispatcher: Name::new(id).unwrap(), service: Service::Police, uri: "sip:x@y".into() };
        let decided = Decided { targets: vec![target("A"), target("B"), target("C")], ..Decided::default() };
        Arc::new(Call::new(ContactId(number), ContactKey::default(), decided))
    }

    fn secs(secs: u64) -> Timestamp {
        Timestamp::from_secs(1_000 + secs)
    }

    /// Who is told first, and who failed.
    fn told(answers: &Answers, cseq: u32, at: u64) -> (usize, Option<String>) {
        match answers.attempt("a", cseq, secs(at)) {
            Attempt::Again(_, first) => (first, None),
            Attempt::Next { first, failed, .. } => (first, failed.map(|id| id.to_string())),
            Attempt::Unknown => panic!("unknown"),
        }
    }

    #[test]
    fn the_same_attempt_hears_the_same_and_a_higher_one_the_next_target() {
        let answers = Answers::default();
        assert!(matches!(answers.attempt("a", 1, secs(0)), Attempt::Unknown));
        answers.keep("a", Some(1), call(1), secs(0));
        assert_eq!(told(&answers, 1, 1), (0, None));
        assert_eq!(told(&answers, 2, 2), (1, Some("A".into())));
        assert_eq!((told(&answers, 2, 3), told(&answers, 1, 3)), ((1, None), (0, None)), "both attempts may come again");
        assert_eq!(told(&answers, 5, 4), (2, Some("B".into())));
        assert_eq!(told(&answers, 6, 5), (0, Some("C".into())), "who failed first is asked again before nobody is");
        assert_eq!(told(&answers, 3, 6), (0, None), "one that others have overtaken changes nothing");
    }

    #[test]
    fn an_answer_holds_for_32_seconds_of_its_newest_attempt() {
        let answers = Answers::default();
        answers.keep("a", Some(1), call(1), secs(0));
        assert_eq!(told(&answers, 2, 20), (1, Some("A".into())));
        assert_eq!(told(&answers, 1, 52), (0, None));
        assert!(matches!(answers.attempt("a", 1, secs(53)), Attempt::Unknown));
        assert!(answers.find("a", secs(53)).is_none());
        assert!(answers.keep("a", Some(9), call(2), secs(53)).1, "after that it is another call");
    }

    #[test]
    fn of_two_copies_decided_at_once_the_first_is_what_both_say() {
        let answers = Answers::default();
        let (first, is_first) = answers.keep("a", Some(1), call(1), secs(0));
        let (second, is_second) = answers.keep("a", Some(1), call(2), secs(0));
        assert_eq!((first.id, is_first, second.id, is_second), (ContactId(1), true, ContactId(1), false));
    }

    #[test]
    fn a_call_of_before_a_restart_takes_the_first_attempt_it_hears_for_its_own() {
        let answers = Answers::default();
        answers.keep("a", None, call(1), secs(0));
        assert_eq!(told(&answers, 7, 1), (0, None));
        assert_eq!(told(&answers, 8, 2), (1, Some("A".into())));
    }

    #[test]
    fn what_is_kept_is_bounded_and_the_oldest_goes_first() {
        let answers = Answers::with_room(SHARDS * 4);
        let names: Vec<String> = (0..1_000).map(|number| format!("call-{number}")).collect();
        for (at, name) in names.iter().enumerate() {
            answers.keep(name, Some(1), call(at as u128), secs(0).plus_micros(at as u64));
        }
        let kept: usize = answers.shards.iter().map(|shard| shard.lock().unwrap().calls.len()).sum();
        assert!(kept <= SHARDS * 4, "{kept}");
        assert!(answers.find(&names[999], secs(1)).is_some() && answers.find(&names[0], secs(1)).is_none());
    }
}
