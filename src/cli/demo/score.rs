//! What was seen of every contact and room, and the summary of it. No clock and no socket: times come in as microseconds.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::script::Verdict;
use crate::decision::DecisionRecord;
use crate::deliver::{ConsoleHears, Ending, OfferId, Role, WaitingWhy};
use crate::service::{Service, ServiceSet};
use crate::units::{AreaId, ContactId, DispatcherId};

/// Contacts kept with their decision after their end, for the page.
const RECENT_MAX: usize = 128;
/// Sentences kept for the page.
const NEWS_MAX: usize = 16;

/// One contact of the day, from its gateway to its end.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Position in the day.
    pub row: usize,
    pub sent_micros: u64,
    pub hand_offs_today: u32,
    /// Another caller about what the contact before told of.
    pub is_second: bool,
    pub decision: Option<Arc<DecisionRecord>>,
    pub verdict: Option<Verdict>,
    pub area: Option<AreaId>,
    pub durable: bool,
    /// From the gateway's send to the first screen of a room that is asked, for the lead service.
    pub shown_after_micros: Option<u64>,
    pub accepted: ServiceSet,
    pub lead: Option<Service>,
    pub answered_by: Option<DispatcherId>,
    /// Who is responsible for each service's share.
    responsible: Vec<(Service, DispatcherId)>,
    pub ended: Option<Ending>,
    /// Times it was sent again under the same key.
    pub repeats: u32,
    /// Its phone has reported where it is, during the call.
    pub is_late: bool,
    /// That moved it to the right room before anyone had taken it.
    pub is_moved: bool,
    /// Under which ids consoles see it. One, unless the engine died before the journal held it.
    ids: BTreeSet<ContactId>,
}

impl Seen {
    /// Nobody has accepted the service that has the voice.
    pub fn is_waiting(&self) -> bool {
        self.ended.is_none() && !self.lead.is_some_and(|lead| self.accepted.contains(lead))
    }
}

/// One control room, as its screens show it.
#[derive(Clone, Debug, Default)]
pub struct RoomSeen {
    pub seats: u32,
    pub seats_open: u32,
    /// Its consoles were switched off by a key.
    pub killed: bool,
    pub waiting: BTreeSet<OfferId>,
    pub held: BTreeSet<OfferId>,
    pub accepted: u64,
    /// Told as a neighbour.
    pub told: u64,
}

/// Everything seen so far.
#[derive(Debug)]
pub struct Score {
    pub contacts: Vec<Seen>,
    pub rooms: BTreeMap<DispatcherId, RoomSeen>,
    /// Newest last.
    pub recent: VecDeque<usize>,
    pub news: VecDeque<String>,
    pub declined: u64,
    pub overflowed: u64,
    pub restarts: u32,
    pub rooms_killed: u32,
    /// The engine was killed at this time, and nobody's screen has shown a new contact since.
    recovering_since: Option<u64>,
    pub killed_at: Option<u64>,
    pub recoveries_micros: Vec<u64>,
    hand_offs: HandOffs,
    accepted_by: BTreeMap<Service, u64>,
    open: BTreeSet<usize>,
    shown: Histogram<u64>,
}

impl Default for Score {
    fn default() -> Self {
        Self {
            contacts: Vec::new(),
            rooms: BTreeMap::new(),
            recent: VecDeque::new(),
            news: VecDeque::new(),
            declined: 0,
            overflowed: 0,
            restarts: 0,
            rooms_killed: 0,
            recovering_since: None,
            killed_at: None,
            recoveries_micros: Vec::new(),
            hand_offs: HandOffs { today: 0, najda: 0 },
            accepted_by: BTreeMap::new(),
            open: BTreeSet::new(),
            shown: Histogram::new_with_bounds(1, 3_600_000_000, 3).expect("bounds in order, three digits"),
        }
    }
}

// --- what gateways saw ---

impl Score {
    /// A contact is about to be sent; answers with its number.
    pub fn sent(&mut self, row: usize, hand_offs_today: u32, now_micros: u64) -> usize {
        let n = self.contacts.len();
        self.contacts.push(Seen {
            row,
            sent_micros: now_micros,
            hand_offs_today,
            is_second: false,
            decision: None,
            verdict: None,
            area: None,
            durable: false,
            shown_after_micros: None,
            accepted: ServiceSet::EMPTY,
            lead: None,
            answered_by: None,
            responsible: Vec::new(),
            ended: None,
            repeats: 0,
            is_late: false,
            is_moved: false,
            ids: BTreeSet::new(),
        });
        self.hand_offs.today += u64::from(hand_offs_today);
        self.open.insert(n);
        self.recent.push_back(n);
        if self.recent.len() > RECENT_MAX
            && let Some(old) = self.recent.pop_front()
            && let Some(seen) = self.contacts.get_mut(old)
        {
            seen.decision = None;
        }
        n
    }

    pub fn is_second_caller(&mut self, n: usize) {
        if let Some(seen) = self.contacts.get_mut(n) {
            seen.is_second = true;
        }
    }

    pub fn repeated(&mut self, n: usize) {
        if let Some(seen) = self.contacts.get_mut(n) {
            seen.repeats += 1;
        }
    }

    /// A decision came back. A later one, for a repeat or after a restart, replaces it; a verdict once wrong stays wrong.
    pub fn decided(&mut self, n: usize, decision: &Arc<DecisionRecord>, verdict: Verdict) {
        let keep = self.recent.contains(&n);
        let Some(seen) = self.contacts.get_mut(n) else { return };
        let lead = decision.services.iter().find(|assigned| assigned.lead);
        seen.lead = lead.map(|lead| lead.service);
        seen.area = lead.and_then(|lead| lead.area).or(decision.area);
        seen.responsible = decision.services.iter().map(|assigned| (assigned.service, assigned.dispatcher)).collect();
        seen.decision = keep.then(|| Arc::clone(decision));
        let needed = |verdict: Option<Verdict>| u64::from(matches!(verdict, Some(Verdict::Told | Verdict::Wrong)));
        let before = seen.verdict;
        seen.verdict = if before == Some(Verdict::Wrong) { before } else { Some(verdict) };
        self.hand_offs.najda = self.hand_offs.najda + needed(seen.verdict) - needed(before);
    }

    /// Its phone reports where it is.
    pub fn looked(&mut self, n: usize) {
        if let Some(seen) = self.contacts.get_mut(n) {
            seen.is_late = true;
        }
    }

    /// Nobody had taken it, and the voice goes to another room now. After a late fix, to the right one: no person hands that call over.
    pub fn moved(&mut self, n: usize, place: &str, to: DispatcherId, is_right: bool) {
        let Some(seen) = self.contacts.get_mut(n).filter(|seen| seen.is_late && is_right) else { return };
        if !std::mem::replace(&mut seen.is_moved, true) {
            let needed = seen.verdict == Some(Verdict::Told);
            if needed {
                seen.verdict = Some(Verdict::Led);
                self.hand_offs.najda -= 1;
            }
            seen.lead
                .into_iter()
                .for_each(|lead| seen.responsible.iter_mut().filter(|(of, _)| *of == lead).for_each(|(_, room)| *room = to));
            self.say(format!("{place}: the phone found out where it is, and the call moved to {to} before anyone had taken it"));
        }
    }

    pub fn durable(&mut self, n: usize) {
        if let Some(seen) = self.contacts.get_mut(n) {
            seen.durable = true;
        }
    }

    /// The gateway heard that a person accepted this service's share. True when that is news.
    pub fn accepted(&mut self, n: usize, service: Service, by: DispatcherId) -> bool {
        let Some(seen) = self.contacts.get_mut(n) else { return false };
        if seen.accepted.contains(service) {
            return false;
        }
        seen.accepted = seen.accepted.with(service);
        if seen.lead == Some(service) {
            seen.answered_by = Some(by);
        }
        *self.accepted_by.entry(service).or_default() += 1;
        let responsible = seen.responsible.iter().find(|(of, _)| *of == service);
        self.overflowed += u64::from(responsible.is_some_and(|(_, room)| *room != by));
        true
    }

    pub fn ended(&mut self, n: usize, ending: Ending) {
        if let Some(seen) = self.contacts.get_mut(n) {
            seen.ended = Some(ending);
            self.open.remove(&n);
        }
    }
}

// --- what consoles saw ---

impl Score {
    /// A room's screen heard something. `n` is the contact's number where the message carries its key.
    pub fn heard(&mut self, room: DispatcherId, n: Option<usize>, hears: &ConsoleHears, now_micros: u64) {
        match hears {
            ConsoleHears::Offer(offer) => {
                if let Some(n) = n {
                    self.showed(n, offer.id, offer.role, now_micros);
                }
                let seen = self.rooms.entry(room).or_default();
                if offer.role == Role::Neighbour {
                    return;
                }
                let held = offer.held_by.is_some_and(|seat| seat.dispatcher == room);
                let waits = offer.held_by.is_none() && !offer.accepted;
                place(&mut seen.waiting, offer.id, waits);
                place(&mut seen.held, offer.id, held);
            }
            ConsoleHears::Taken { offer, by } => {
                let seen = self.rooms.entry(room).or_default();
                seen.waiting.remove(offer);
                place(&mut seen.held, *offer, by.dispatcher == room);
            }
            ConsoleHears::Waiting { offer, why } => {
                // A holder who asks for another still holds it.
                let seen = self.rooms.entry(room).or_default();
                if *why != WaitingWhy::Declined {
                    seen.held.remove(offer);
                    seen.waiting.insert(*offer);
                }
            }
            ConsoleHears::Withdrawn { offer } => {
                let seen = self.rooms.entry(room).or_default();
                seen.waiting.remove(offer);
                seen.held.remove(offer);
                // Under that id it is gone; if it lives on, it does so under another.
                self.forget_id(offer.contact);
            }
            ConsoleHears::Closed { offer, .. } => {
                let seen = self.rooms.entry(room).or_default();
                seen.waiting.remove(offer);
                seen.held.remove(offer);
            }
            ConsoleHears::Accepted { .. }
            | ConsoleHears::Alert { .. }
            | ConsoleHears::CalledBack { .. }
            | ConsoleHears::CallerHungUp { .. }
            | ConsoleHears::Changed { .. }
            | ConsoleHears::CaughtUp
            | ConsoleHears::Confirmed { .. }
            | ConsoleHears::Conversation { .. }
            | ConsoleHears::Declared { .. }
            | ConsoleHears::Delivered { .. }
            | ConsoleHears::Dispatched { .. }
            | ConsoleHears::EventOver { .. }
            | ConsoleHears::Informed { .. }
            | ConsoleHears::Joined { .. }
            | ConsoleHears::MembersEnded { .. }
            | ConsoleHears::Noted { .. }
            | ConsoleHears::Proposed { .. }
            | ConsoleHears::Refused { .. }
            | ConsoleHears::Related { .. }
            | ConsoleHears::Said { .. }
            | ConsoleHears::Shares { .. }
            | ConsoleHears::SignedIn { .. } => {}
        }
    }

    fn showed(&mut self, n: usize, offer: OfferId, role: Role, now_micros: u64) {
        let Some(seen) = self.contacts.get_mut(n) else { return };
        if seen.ended.is_none() {
            seen.ids.insert(offer.contact);
        }
        let leads = seen.lead.is_none_or(|lead| lead == offer.service);
        if role == Role::Neighbour || !leads || seen.shown_after_micros.is_some() {
            return;
        }
        let after = now_micros.saturating_sub(seen.sent_micros);
        seen.shown_after_micros = Some(after);
        self.shown.saturating_record(after.max(1));
        // Only a contact sent after the kill shows that the engine serves again.
        if let Some(since) = self.recovering_since.filter(|since| seen.sent_micros >= *since) {
            self.recovering_since = None;
            self.recoveries_micros.push(now_micros.saturating_sub(since));
        }
    }

    fn forget_id(&mut self, id: ContactId) {
        for n in &self.open {
            if let Some(seen) = self.contacts.get_mut(*n) {
                seen.ids.remove(&id);
            }
        }
    }

    /// A seat of this room accepted something.
    pub fn accepted_in(&mut self, room: DispatcherId) {
        self.rooms.entry(room).or_default().accepted += 1;
    }

    pub fn engine_killed(&mut self, now_micros: u64) {
        (self.recovering_since, self.killed_at) = (Some(now_micros), Some(now_micros));
        self.restarts += 1;
    }

    /// The screens of this room are dark: what they showed is not seen any more.
    pub fn darkened(&mut self, room: DispatcherId) {
        let seen = self.rooms.entry(room).or_default();
        seen.waiting.clear();
        seen.held.clear();
        seen.seats_open = 0;
    }

    pub fn say(&mut self, news: impl Into<String>) {
        self.news.push_back(news.into());
        if self.news.len() > NEWS_MAX {
            self.news.pop_front();
        }
    }
}

fn place(set: &mut BTreeSet<OfferId>, offer: OfferId, inside: bool) {
    if inside {
        set.insert(offer);
    } else {
        set.remove(&offer);
    }
}

// --- the sum of it ---

impl Score {
    /// Contacts that have not ended.
    pub fn open_count(&self) -> usize {
        self.open.len()
    }

    /// The contact whose caller has waited longest for somebody to accept.
    pub fn longest_waiting(&self) -> Option<&Seen> {
        // Numbers rise with the time of sending.
        self.open.iter().filter_map(|n| self.contacts.get(*n)).find(|seen| seen.is_waiting())
    }

    pub fn summary(&self, tables: String, places: usize) -> Summary {
        let count = |wanted: &dyn Fn(&Seen) -> bool| self.contacts.iter().filter(|seen| wanted(seen)).count() as u64;
        let mut by_emirate = BTreeMap::new();
        for seen in self.contacts.iter().filter(|seen| seen.lead.is_some_and(|lead| seen.accepted.contains(lead))) {
            let area = seen.area.map_or_else(|| "unknown".to_owned(), |area| area.to_string());
            *by_emirate.entry(area).or_default() += 1;
        }
        let repeats: u64 = self.contacts.iter().map(|seen| u64::from(seen.repeats)).sum();
        let split: u64 = self.contacts.iter().map(|seen| u64::from(seen.repeats).min(seen.ids.len().saturating_sub(1) as u64)).sum();
        Summary {
            tables,
            places,
            sent: self.contacts.len() as u64,
            decided: count(&|seen| seen.verdict.is_some()),
            durable: count(&|seen| seen.durable),
            accepted: count(&|seen| seen.lead.is_some_and(|lead| seen.accepted.contains(lead))),
            ended: count(&|seen| seen.ended.is_some()),
            lost: count(&|seen| seen.ended.is_none()),
            misrouted: count(&|seen| seen.verdict == Some(Verdict::Wrong)),
            duplicates: Duplicates { sent: repeats, merged: repeats - split },
            declined: self.declined,
            late_fixes: LateFixes { reported: count(&|seen| seen.is_late), moved: count(&|seen| seen.is_moved) },
            accepted_elsewhere: self.overflowed,
            by_service: self.accepted_by.iter().map(|(service, count)| (service.word().to_owned(), *count)).collect(),
            by_emirate,
            send_to_console_ms: self.quantiles(),
            hand_offs: self.hand_offs,
            engine_restarts: self.restarts,
            recovery_ms: self.recoveries_micros.iter().map(|micros| millis(*micros)).collect(),
            rooms_killed: self.rooms_killed,
        }
    }

    pub const fn hand_offs(&self) -> HandOffs {
        self.hand_offs
    }

    pub fn quantiles(&self) -> Quantiles {
        let at = |quantile| millis(self.shown.value_at_quantile(quantile));
        if self.shown.is_empty() {
            return Quantiles::default();
        }
        Quantiles { p50: at(0.5), p99: at(0.99), max: millis(self.shown.max()) }
    }
}

/// Microseconds as milliseconds with two digits.
fn millis(micros: u64) -> f64 {
    (micros as f64 / 10.0).round() / 100.0
}

/// What a demo ends with. `lost` and `misrouted` ought to be 0.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    pub tables: String,
    pub places: usize,
    pub sent: u64,
    pub decided: u64,
    pub durable: u64,
    /// A person accepted the service that has the voice.
    pub accepted: u64,
    pub ended: u64,
    /// Sent, and without an end when the demo ended.
    pub lost: u64,
    /// Against the script: another room leads, and the right one was not even told.
    pub misrouted: u64,
    pub duplicates: Duplicates,
    pub declined: u64,
    /// Phones that found out during the call where they are, and those whose call that moved before anyone had taken it.
    pub late_fixes: LateFixes,
    /// Accepted by another room than the responsible one: it declined, was slow, or was dark.
    pub accepted_elsewhere: u64,
    /// Acceptances, also by the services that do not lead.
    pub by_service: BTreeMap<String, u64>,
    /// Contacts accepted, by the emirate that is responsible.
    pub by_emirate: BTreeMap<String, u64>,
    pub send_to_console_ms: Quantiles,
    pub hand_offs: HandOffs,
    pub engine_restarts: u32,
    /// From the kill to the first new contact on a screen.
    pub recovery_ms: Vec<f64>,
    pub rooms_killed: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Quantiles {
    pub p50: f64,
    pub p99: f64,
    pub max: f64,
}

/// Contacts sent again under the same key, and those of them that stayed one contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Duplicates {
    pub sent: u64,
    pub merged: u64,
}

/// Fixes that came during the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct LateFixes {
    pub reported: u64,
    pub moved: u64,
}

/// Calls that reach a room which must hand them to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct HandOffs {
    pub today: u64,
    pub najda: u64,
}

impl Summary {
    pub const fn is_clean(&self) -> bool {
        self.lost == 0 && self.misrouted == 0
    }

    /// For people; the last line is the one to remember.
    pub fn lines(&self) -> Vec<String> {
        let list =
            |counts: &BTreeMap<String, u64>| counts.iter().map(|(word, count)| format!("{word} {count}")).collect::<Vec<_>>().join(", ");
        let Quantiles { p50, p99, max } = self.send_to_console_ms;
        let mut lines = vec![
            format!(
                "sent {}  decided {}  durable {}  accepted {}  ended {}",
                self.sent, self.decided, self.durable, self.accepted, self.ended
            ),
            format!("services: {}", list(&self.by_service)),
            format!("emirates: {}", list(&self.by_emirate)),
            format!("from send to a console's screen: p50 {p50} ms, p99 {p99} ms, worst {max} ms"),
            format!(
                "sent twice {}, merged {}; declined {}; answered by another room {}",
                self.duplicates.sent, self.duplicates.merged, self.declined, self.accepted_elsewhere
            ),
        ];
        let LateFixes { reported, moved } = self.late_fixes;
        lines.push(format!(
            "phones that found out during the call that they are over a border: {reported}, \
             calls moved before anyone had taken them: {moved}"
        ));
        if self.engine_restarts > 0 || self.rooms_killed > 0 {
            let recovery: Vec<String> = self.recovery_ms.iter().map(|ms| format!("{ms} ms")).collect();
            let recovery = if recovery.is_empty() { "-".to_owned() } else { recovery.join(", ") };
            lines.push(format!(
                "engine killed {} times, next new contact on a screen after {recovery}; rooms killed {}",
                self.engine_restarts, self.rooms_killed
            ));
        }
        lines.push(format!("lost {}, misrouted {}", self.lost, self.misrouted));
        let HandOffs { today, najda } = self.hand_offs;
        lines.push(format!("Hand-offs from room to room that this day needs: {today} today, {najda} with Najda."));
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision::AssignedRecord;
    use crate::deliver::{Offer, Seat};
    use crate::units::{Name, Timestamp};

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    fn decision(room: &str, area: &str) -> Arc<DecisionRecord> {
        let assigned = AssignedRecord {
            service: Service::Police,
            dispatcher: name(room),
            area: Some(name(area)),
            probability: None,
            lead: true,
            chain: vec![name(room)],
        };
        Arc::new(DecisionRecord { services: vec![assigned], ..DecisionRecord::default() })
    }

    fn offer(id: u128, room: &str, role: Role) -> ConsoleHears {
        let contact = crate::contact::Contact::new(
            ContactId(id),
            crate::contact::ContactKey::default(),
            Timestamp::default(),
            crate::contact::Door::SipVoice,
        );
        ConsoleHears::Offer(Arc::new(Offer::new(
            OfferId { contact: ContactId(id), service: Service::Police },
            Arc::new(contact),
            decision(room, "AE-DU"),
            name(room),
            role,
        )))
    }

    fn summary(score: &Score) -> Summary {
        score.summary("t".into(), 1)
    }

    #[test]
    fn a_contact_without_an_end_is_lost_and_one_with_an_end_is_not() {
        let mut score = Score::default();
        let (a, b) = (score.sent(0, 1, 0), score.sent(0, 0, 5));
        for n in [a, b] {
            score.decided(n, &decision("DU-POL", "AE-DU"), Verdict::Led);
            score.durable(n);
            assert!(score.accepted(n, Service::Police, name("DU-POL")));
        }
        score.ended(a, Ending::Closed);
        let sum = summary(&score);
        assert_eq!((sum.sent, sum.decided, sum.durable, sum.accepted, sum.ended, sum.lost), (2, 2, 2, 2, 1, 1));
        assert!(!sum.is_clean());
        score.ended(b, Ending::Closed);
        assert!(summary(&score).is_clean());
        assert_eq!(summary(&score).hand_offs, HandOffs { today: 1, najda: 0 });
    }

    #[test]
    fn a_wrong_decision_stays_wrong_and_a_told_room_costs_a_hand_off() {
        let mut score = Score::default();
        let (a, b) = (score.sent(0, 0, 0), score.sent(0, 0, 0));
        score.decided(a, &decision("AZ-POL", "AE-AZ"), Verdict::Wrong);
        score.decided(a, &decision("DU-POL", "AE-DU"), Verdict::Led);
        score.decided(b, &decision("DU-POL", "AE-DU"), Verdict::Told);
        let sum = summary(&score);
        assert_eq!((sum.misrouted, sum.hand_offs.najda), (1, 2));
    }

    #[test]
    fn a_call_that_its_own_phone_moves_costs_no_hand_off_and_one_that_moves_elsewhere_does() {
        let mut score = Score::default();
        for (looks, is_right) in [(true, true), (true, false), (false, true)] {
            let n = score.sent(0, 1, 0);
            score.decided(n, &decision("DU-POL", "AE-DU"), Verdict::Told);
            if looks {
                score.looked(n);
            }
            score.moved(n, "Al Nahda", name("SH-POL"), is_right);
            score.moved(n, "Al Nahda", name("SH-POL"), is_right);
        }
        let sum = summary(&score);
        assert_eq!((sum.hand_offs.najda, sum.late_fixes), (2, LateFixes { reported: 2, moved: 1 }));
        assert!(sum.lines().iter().any(|line| line.ends_with(": 2, calls moved before anyone had taken them: 1")));
    }

    #[test]
    fn an_acceptance_told_twice_counts_once() {
        let mut score = Score::default();
        let n = score.sent(0, 0, 0);
        score.decided(n, &decision("DU-POL", "AE-DU"), Verdict::Led);
        assert!(score.accepted(n, Service::Police, name("AZ-POL")));
        assert!(!score.accepted(n, Service::Police, name("AZ-POL")));
        let sum = summary(&score);
        assert_eq!((sum.by_service.get("police"), sum.accepted_elsewhere), (Some(&1), 1));
        assert_eq!(sum.by_emirate.get("AE-DU"), Some(&1));
    }

    #[test]
    fn the_wait_counts_from_the_send_to_the_first_screen_of_a_room_that_is_asked() {
        let mut score = Score::default();
        let n = score.sent(0, 0, 1_000);
        score.heard(name("AZ-POL"), Some(n), &offer(1, "DU-POL", Role::Neighbour), 1_500);
        assert_eq!(score.contacts[n].shown_after_micros, None);
        score.heard(name("DU-POL"), Some(n), &offer(1, "DU-POL", Role::Responsible), 3_000);
        score.heard(name("DU-POL"), Some(n), &offer(1, "DU-POL", Role::Responsible), 9_000);
        assert_eq!(score.contacts[n].shown_after_micros, Some(2_000));
        assert_eq!(summary(&score).send_to_console_ms, Quantiles { p50: 2.0, p99: 2.0, max: 2.0 });
    }

    #[test]
    fn a_repeat_that_became_a_second_contact_is_not_merged() {
        let mut score = Score::default();
        let n = score.sent(0, 0, 0);
        score.repeated(n);
        score.heard(name("DU-POL"), Some(n), &offer(1, "DU-POL", Role::Responsible), 1);
        assert_eq!(summary(&score).duplicates, Duplicates { sent: 1, merged: 1 });
        score.heard(name("DU-POL"), Some(n), &offer(2, "DU-POL", Role::Responsible), 2);
        assert_eq!(summary(&score).duplicates, Duplicates { sent: 1, merged: 0 });
        let gone = OfferId { contact: ContactId(2), service: Service::Police };
        score.heard(name("DU-POL"), None, &ConsoleHears::Withdrawn { offer: gone }, 3);
        assert_eq!(summary(&score).duplicates, Duplicates { sent: 1, merged: 1 });
    }

    #[test]
    fn a_room_shows_what_waits_and_what_it_holds() {
        let mut score = Score::default();
        let room = name("DU-POL");
        let by = Seat { dispatcher: room, seat: name("1") };
        let id = OfferId { contact: ContactId(1), service: Service::Police };
        score.heard(room, None, &offer(1, "DU-POL", Role::Responsible), 0);
        assert_eq!((score.rooms[&room].waiting.len(), score.rooms[&room].held.len()), (1, 0));
        score.heard(room, None, &ConsoleHears::Taken { offer: id, by }, 0);
        assert_eq!((score.rooms[&room].waiting.len(), score.rooms[&room].held.len()), (0, 1));
        score.heard(room, None, &ConsoleHears::Closed { offer: id, by }, 0);
        assert_eq!((score.rooms[&room].waiting.len(), score.rooms[&room].held.len()), (0, 0));
    }

    #[test]
    fn the_longest_waiting_is_the_oldest_that_nobody_accepted() {
        let mut score = Score::default();
        let (a, b) = (score.sent(0, 0, 10), score.sent(1, 0, 20));
        score.decided(a, &decision("DU-POL", "AE-DU"), Verdict::Led);
        assert_eq!(score.longest_waiting().map(|seen| seen.sent_micros), Some(10));
        score.accepted(a, Service::Police, name("DU-POL"));
        assert_eq!(score.longest_waiting().map(|seen| seen.sent_micros), Some(20));
        score.ended(b, Ending::Closed);
        assert!(score.longest_waiting().is_none());
    }

    #[test]
    fn recovery_counts_to_the_first_contact_that_was_sent_after_the_kill() {
        let mut score = Score::default();
        let before = score.sent(0, 0, 100);
        score.engine_killed(200);
        let after = score.sent(0, 0, 300);
        score.heard(name("DU-POL"), Some(before), &offer(1, "DU-POL", Role::Responsible), 400);
        assert!(score.recoveries_micros.is_empty());
        score.heard(name("DU-POL"), Some(after), &offer(2, "DU-POL", Role::Responsible), 900);
        assert_eq!(score.recoveries_micros, [700]);
    }

    #[test]
    fn the_last_line_says_the_hand_offs() {
        let mut score = Score::default();
        score.sent(0, 1, 0);
        let lines = summary(&score).lines();
        assert_eq!(lines.last().map(String::as_str), Some("Hand-offs from room to room that this day needs: 1 today, 0 with Najda."));
    }
}
