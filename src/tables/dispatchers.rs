//! Dispatchers and the policies that order them: who is responsible, who is asked, and who is next.
//!
//! **Invariant:** every service has a national fallback and every chain ends in one, so a chain is never empty. `build` refuses
//! tables where this does not hold.

use arrayvec::ArrayVec;

use super::source::Hours;
use crate::decision::DispatcherState;
use crate::decision::{AreaIndex, DispatcherIndex};
use crate::limits::CHAIN_MAX;
use crate::service::Service;
use crate::units::{DispatcherId, Name, Timestamp};

/// The control room of one service for some area.
///
/// # Source
/// NENA-STA-010 calls it a PSAP, an ECC or a responder agency.
#[derive(Clone, Debug)]
pub struct Dispatcher {
    pub id: DispatcherId,
    pub service: Service,
    pub name_en: Box<str>,
    pub name_ar: Box<str>,
    /// Dispatchers with the same room are the same people at the same desks.
    pub room: Name,
    pub site: Name,
    pub languages: Vec<[u8; 2]>,
    pub text: bool,
    pub capacity: u32,
    pub uri: Box<str>,
    pub take_micros_max: u64,
    pub overflow: Vec<DispatcherIndex>,
}

impl Dispatcher {
    pub fn speaks(&self, lang: [u8; 2]) -> bool {
        self.languages.contains(&lang)
    }
}

/// All dispatchers of a table set, sorted by id.
#[derive(Clone, Debug, Default)]
pub struct Dispatchers {
    pub rows: Vec<Dispatcher>,
    /// `[area * Service::ALL.len() + service]`.
    pub responsible: Vec<Option<DispatcherIndex>>,
    /// The room that answers when only the area is known, by area.
    pub answering: Vec<DispatcherIndex>,
    /// The room that answers when nothing at all is known.
    pub answering_nothing: Option<DispatcherIndex>,
    /// The national fallback, by service.
    pub fallback: Vec<DispatcherIndex>,
    /// Sorted by order.
    pub policies: Vec<Policy>,
}

/// One policy row.
///
/// # Source
/// NENA-STA-010, policy routing function: ordered rules, the first that holds decides, a catch-all is required.
#[derive(Clone, Debug)]
pub struct Policy {
    pub id: Name,
    pub service: Service,
    pub area: Option<AreaIndex>,
    pub when: When,
    pub then: Then,
    pub dispatchers: Vec<DispatcherIndex>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum When {
    Always,
    Hours(Hours),
    /// No place is known.
    Nothing,
    /// The place is outside the country.
    Outside,
    /// The responsible dispatcher is in this state.
    State(DispatcherState),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// Asked after the room's own overflow.
    Append,
    /// Asked last of all.
    Fallback,
    /// Asked before the responsible room.
    Overflow,
}

/// The circumstances a policy looks at.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances {
    pub area: Option<AreaIndex>,
    pub outside: bool,
    pub now: Timestamp,
    pub utc_offset_minutes: i32,
}

/// Who is asked for one service, in order, and what was passed over.
#[derive(Clone, Debug, Default)]
pub struct Chain {
    pub order: ArrayVec<DispatcherIndex, CHAIN_MAX>,
    /// The policy that put others before the responsible room.
    pub policy: Option<Name>,
    /// A room that was passed over because of its state.
    pub skipped: Option<DispatcherIndex>,
}

impl Dispatchers {
    pub fn get(&self, index: DispatcherIndex) -> Option<&Dispatcher> {
        self.rows.get(usize::from(index.0))
    }

    pub fn find(&self, id: &str) -> Option<DispatcherIndex> {
        self.rows.binary_search_by(|row| row.id.as_str().cmp(id)).ok().map(|at| DispatcherIndex(at as u16))
    }

    /// Who is responsible for a service in an area.
    pub fn responsible(&self, area: AreaIndex, service: Service) -> Option<DispatcherIndex> {
        self.responsible.get(usize::from(area.0) * Service::ALL.len() + service as usize).copied().flatten()
    }

    /// The national fallback of a service; the room that answers for nothing where even that is missing.
    pub fn fallback(&self, service: Service) -> DispatcherIndex {
        self.fallback.get(service as usize).copied().or(self.answering_nothing).unwrap_or(DispatcherIndex(0))
    }

    /// Two dispatchers that are the same people.
    pub fn same_room(&self, a: DispatcherIndex, b: DispatcherIndex) -> bool {
        a == b || matches!((self.get(a), self.get(b)), (Some(a), Some(b)) if a.room == b.room)
    }

    /// The order in which dispatchers are asked. Never empty.
    pub fn chain(&self, responsible: DispatcherIndex, states: &[DispatcherState], about: Circumstances) -> Chain {
        let mut chain = Chain::default();
        let Some(room) = self.get(responsible) else {
            chain.order.push(responsible);
            return chain;
        };
        let [first, after, last] = self.policies(room.service, responsible, states, about);
        let mut wanted: ArrayVec<DispatcherIndex, { CHAIN_MAX * 4 }> = ArrayVec::new();
        let mut want = |indices: &[DispatcherIndex]| {
            for index in indices {
                if !wanted.contains(index) {
                    let _ = wanted.try_push(*index);
                }
            }
        };
        let before = first.map_or(&[][..], |policy| &policy.dispatchers);
        want(before);
        want(&[responsible]);
        want(&room.overflow);
        want(after.map_or(&[], |policy| &policy.dispatchers));
        want(last.map_or(&[], |policy| &policy.dispatchers));
        want(&[self.fallback(room.service)]);
        chain.policy = first.map(|policy| policy.id);
        // A stable order by what state each is in; those that cannot answer come last and only when nobody else is left.
        let state = |index: &DispatcherIndex| states.get(usize::from(index.0)).copied().unwrap_or_default();
        if wanted.iter().all(|index| state(index) == DispatcherState::Active) {
            chain.order.extend(wanted.iter().copied().take(CHAIN_MAX));
        } else {
            for tier in [DispatcherState::Active, DispatcherState::Diverting, DispatcherState::Full] {
                for index in wanted.iter().filter(|index| state(index) == tier) {
                    let _ = chain.order.try_push(*index);
                }
            }
        }
        if chain.order.is_empty() {
            chain.order.extend(wanted.iter().copied().take(CHAIN_MAX));
        }
        chain.skipped = (chain.order.first() != Some(&responsible) && before.is_empty()).then_some(responsible);
        chain
    }

    /// The first policy that holds of each kind: asked before, appended, asked last.
    fn policies(&self, service: Service, room: DispatcherIndex, states: &[DispatcherState], about: Circumstances) -> [Option<&Policy>; 3] {
        let holds = |when: &When| match when {
            When::Always => true,
            When::Hours(hours) => hours.hold(about.now.unix_micros / 1_000_000, about.utc_offset_minutes),
            When::Nothing => about.area.is_none() && !about.outside,
            When::Outside => about.outside,
            When::State(state) => states.get(usize::from(room.0)).copied().unwrap_or_default() == *state,
        };
        let mut found = [None; 3];
        for policy in self.policies.iter().filter(|policy| policy.service == service) {
            let of_kind = match policy.then {
                Then::Overflow => &mut found[0],
                Then::Append => &mut found[1],
                Then::Fallback => &mut found[2],
            };
            if of_kind.is_none() && (policy.area.is_none() || policy.area == about.area) && holds(&policy.when) {
                *of_kind = Some(policy);
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rooms 0 to 4 of one service; 0 overflows to 1, 4 is the national fallback.
    fn rooms(policies: Vec<Policy>) -> Dispatchers {
        let name = |at: usize| Name::new(&format!("R{at}")).unwrap();
        let row = |at: usize| Dispatcher {
            id: name(at),
            service: Service::Police,
            name_en: "".into(),
            name_ar: "".into(),
            room: name(at),
            site: name(at),
            languages: Vec::new(),
            text: false,
            capacity: 1,
            uri: "".into(),
            take_micros_max: 1,
            overflow: if at == 0 { vec![DispatcherIndex(1)] } else { Vec::new() },
        };
        let fallback = vec![DispatcherIndex(4); Service::ALL.len()];
        Dispatchers { rows: (0..5).map(row).collect(), fallback, policies, ..Dispatchers::default() }
    }

    fn policy(id: &str, when: When, then: Then, room: u16) -> Policy {
        let id = Name::new(id).unwrap();
        Policy { id, service: Service::Police, area: None, when, then, dispatchers: vec![DispatcherIndex(room)] }
    }

    #[track_caller]
    fn check(policies: Vec<Policy>, states: &[(usize, DispatcherState)], order: &[u16], by: Option<&str>, skipped: Option<u16>) {
        let mut all = [DispatcherState::Active; 5];
        states.iter().for_each(|(at, state)| all[*at] = *state);
        let about = Circumstances { area: None, outside: false, now: Timestamp::default(), utc_offset_minutes: 0 };
        let chain = rooms(policies).chain(DispatcherIndex(0), &all, about);
        assert_eq!(chain.order.iter().map(|room| room.0).collect::<Vec<_>>(), order);
        assert_eq!((chain.policy, chain.skipped.map(|room| room.0)), (by.and_then(Name::new), skipped));
    }

    #[test]
    fn the_room_then_its_overflow_then_the_nation() {
        check(Vec::new(), &[], &[0, 1, 4], None, None);
    }

    #[test]
    fn the_first_policy_of_each_kind_that_holds_decides() {
        let full = || When::State(DispatcherState::Full);
        let policies = || {
            vec![
                policy("full", full(), Then::Overflow, 2),
                policy("always", When::Always, Then::Append, 3),
                policy("never-read", When::Always, Then::Append, 2),
                policy("abroad", When::Outside, Then::Fallback, 2),
            ]
        };
        check(policies(), &[], &[0, 1, 3, 4], None, None);
        check(policies(), &[(0, DispatcherState::Full)], &[2, 1, 3, 4, 0], Some("full"), None);
    }

    #[test]
    fn a_room_that_cannot_answer_is_passed_over_and_named() {
        check(Vec::new(), &[(0, DispatcherState::Unreachable)], &[1, 4], None, Some(0));
        check(Vec::new(), &[(0, DispatcherState::Diverting)], &[1, 4, 0], None, Some(0));
        let closed = [0, 1, 4].map(|at| (at, DispatcherState::Closed));
        check(Vec::new(), &closed, &[0, 1, 4], None, None);
    }
}
