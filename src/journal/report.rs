//! What a stretch of time was like, counted from the journal's facts: how soon contacts were taken, by whom, and what went astray.
//!
//! Only real contacts count; tests are named and left out. Times run from a contact's arrival at the engine. What is measured against:
//!
//! - NENA-STA-020: nine calls of ten are answered within 15 seconds;
//! - the room's own promise, its `take_s` in the tables;
//! - hand-over: help accepted within 45 seconds.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use crate::contact::{Contact, Signal};
use crate::decision::DecisionRecord;
use crate::deliver::{AskedWhy, CallbackOutcome, Ending, Fact, Seat};
use crate::inform::Told;
use crate::limits::REPORT_NUMBERS_MAX;
use crate::service::Service;
use crate::units::{ContactId, DispatcherId, TablesVersion, Timestamp};

/// Nine of ten calls are answered within this time (NENA-STA-020).
pub const ANSWER_MICROS: u64 = 15_000_000;
/// Help is on its way within this time.
pub const HAND_OVER_MICROS: u64 = 45_000_000;
/// A figure beyond a day is a day.
const MICROS_MAX: u64 = 24 * 3_600 * 1_000_000;

/// Times from arrivals, as they are reported.
#[derive(Clone, Debug)]
pub struct Times {
    /// `None` only where three digits of a day could not be kept, which they can.
    micros: Option<Histogram<u64>>,
}

impl Default for Times {
    fn default() -> Self {
        Self { micros: Histogram::new_with_bounds(1, MICROS_MAX, 3).ok() }
    }
}

impl Times {
    fn add(&mut self, micros: u64) {
        self.micros.iter_mut().for_each(|times| times.saturating_record(micros.clamp(1, MICROS_MAX)));
    }

    pub fn count(&self) -> u64 {
        self.micros.as_ref().map_or(0, Histogram::len)
    }

    fn some(&self) -> Option<&Histogram<u64>> {
        self.micros.as_ref().filter(|times| !times.is_empty())
    }

    pub fn seconds(&self, quantile: f64) -> Option<f64> {
        self.some().map(|times| (times.value_at_quantile(quantile) as f64 / 1e4).round() / 1e2)
    }

    /// The share that took no longer.
    pub fn within(&self, micros: u64) -> Option<f64> {
        self.some().map(|times| times.count_between(0, micros) as f64 / times.len() as f64)
    }
}

/// A room's part.
#[derive(Clone, Debug, Default)]
pub struct RoomReport {
    /// Shares it was responsible for.
    pub own: u64,
    pub taken: u64,
    /// Taken shares that another room was responsible for.
    pub for_others: u64,
    /// Stars callers gave for contacts that this room told them it had taken, and how many gave any.
    pub stars: u64,
    pub rated: u64,
    /// Hand-overs among them: the holder asks for another either way.
    pub declined: u64,
    pub handed_over: u64,
    pub to_take: Times,
    pub to_accept: Times,
    pub to_dispatch: Times,
}

/// A stretch of time.
#[derive(Clone, Debug, Default)]
pub struct Report {
    pub contacts: u64,
    pub tests: u64,
    /// Contacts an hour, by the hour's first second.
    pub by_hour: BTreeMap<u64, u64>,
    pub by_service: BTreeMap<Service, u64>,
    pub by_type: BTreeMap<String, u64>,
    pub rooms: BTreeMap<DispatcherId, RoomReport>,
    /// Of the share that leads.
    pub to_take: Times,
    pub to_accept: Times,
    pub never_taken: u64,
    /// The decision named a neighbour because it was unsure.
    pub unsure: u64,
    /// Shares that went to a room other than the first that took them.
    pub hand_offs: u64,
    /// Contacts by the number dialled and the service that leads.
    pub by_number: BTreeMap<(Box<str>, Option<Service>), u64>,
    /// The tables that the journal names last.
    pub tables: Option<TablesVersion>,
    /// Contacts that a person joined to another's incident, and those of a caller who called again.
    pub joined: u64,
    pub called_again: u64,
    pub hung_up: u64,
    pub to_call_back: u64,
    pub called_back: BTreeMap<&'static str, u64>,
    pub to_callback: Times,
    /// Shares for which everybody was asked.
    pub all_calls: u64,
    pub services_added: u64,
    /// From the arrival until units of the service that leads were on their way.
    pub to_dispatch: Times,
    /// Lines that people wrote to callers, those of callers, and those that could not be brought to them.
    pub said: u64,
    pub said_by_callers: u64,
    pub said_in_vain: u64,
    /// Contacts seen by people and systems that held no share of them.
    pub reads: u64,
    /// Messages to callers that people released, and callers asked how it was.
    pub informed: u64,
    pub asked_to_rate: u64,
    /// How many gave so many stars, 1 first; of each contact the last word counts.
    pub ratings: [u64; 5],
    pub ended: BTreeMap<&'static str, u64>,
}

struct Open {
    arrived: Timestamp,
    lead: Option<Service>,
    responsible: BTreeMap<Service, DispatcherId>,
    first_taken: BTreeMap<Service, DispatcherId>,
    /// The seat's room that took it last.
    taken_by: BTreeMap<Service, DispatcherId>,
    accepted: bool,
    dispatched: bool,
    hung_up: Option<Timestamp>,
}

/// Counts facts in their order.
#[derive(Default)]
pub struct Reporter {
    report: Report,
    open: BTreeMap<ContactId, Open>,
    /// The room that told the caller, of contacts whose callers were asked how it was; and what they said last.
    asked: BTreeMap<ContactId, (DispatcherId, Option<u8>)>,
}

impl Reporter {
    /// Takes the next fact. Contacts that arrived before `since` or from `until` on are not counted.
    pub fn take(&mut self, fact: &Fact, (since, until): (Timestamp, Timestamp)) {
        match fact {
            Fact::Tables { version, .. } => self.report.tables = Some(*version),
            Fact::Rated { contact, stars, .. } => {
                if let Some((_, said)) = self.asked.get_mut(contact) {
                    *said = Some(*stars);
                }
            }
            // Said again after a loss, it is the same contact.
            Fact::Arrived { at, contact, decision, .. } if !self.open.contains_key(&contact.id) => {
                if (since..until).contains(at) {
                    self.arrived(*at, contact, decision);
                }
            }
            other => {
                let Some(open) = other.contact().and_then(|contact| self.open.get_mut(&contact)) else { return };
                happened(&mut self.report, open, other);
                if let Fact::Informed { contact, told: Told::Rate, dispatcher, again: false, .. } = other {
                    self.asked.insert(*contact, (*dispatcher, None));
                }
                if let Fact::Ended { contact, ending, .. } = other {
                    self.ended(*contact, *ending);
                }
            }
        }
    }

    fn arrived(&mut self, at: Timestamp, contact: &Contact, decision: &DecisionRecord) {
        let report = &mut self.report;
        if decision.test || contact.load_test {
            report.tests += 1;
            return;
        }
        report.contacts += 1;
        *report.by_hour.entry(at.unix_micros / 3_600_000_000 * 3_600).or_default() += 1;
        let lead = decision.services.iter().find(|assigned| assigned.lead).map(|assigned| assigned.service);
        lead.into_iter().for_each(|lead| *report.by_service.entry(lead).or_default() += 1);
        let kind = decision.incident_type.map_or_else(|| "unknown".to_owned(), |kind| kind.to_string());
        *report.by_type.entry(kind).or_default() += 1;
        report.unsure += u64::from(!decision.neighbours.is_empty());
        let dialled =
            contact.signals.iter().find_map(|signal| if let Signal::Dialled(digits) = signal { Some(digits.clone()) } else { None });
        if let Some(digits) = dialled {
            let key = (digits, lead);
            if report.by_number.len() < REPORT_NUMBERS_MAX || report.by_number.contains_key(&key) {
                *report.by_number.entry(key).or_default() += 1;
            }
        }
        let responsible: BTreeMap<_, _> = decision.services.iter().map(|assigned| (assigned.service, assigned.dispatcher)).collect();
        for room in responsible.values() {
            report.rooms.entry(*room).or_default().own += 1;
        }
        let open = Open {
            arrived: at,
            lead,
            responsible,
            first_taken: BTreeMap::new(),
            taken_by: BTreeMap::new(),
            accepted: false,
            dispatched: false,
            hung_up: None,
        };
        self.open.insert(contact.id, open);
    }

    fn ended(&mut self, contact: ContactId, ending: Ending) {
        let Some(open) = self.open.remove(&contact) else { return };
        *self.report.ended.entry(ending.word()).or_default() += 1;
        self.report.never_taken += u64::from(open.first_taken.is_empty());
    }

    /// What was counted. Contacts that have not ended are in it as far as they have come.
    pub fn finish(self) -> Report {
        let mut report = self.report;
        report.asked_to_rate = self.asked.len() as u64;
        for (room, stars) in self.asked.into_values() {
            let Some(stars) = stars else { continue };
            if let Some(count) = report.ratings.get_mut(usize::from(stars).wrapping_sub(1)) {
                *count += 1;
                let room = report.rooms.entry(room).or_default();
                room.stars += u64::from(stars);
                room.rated += 1;
            }
        }
        report
    }
}

fn happened(report: &mut Report, open: &mut Open, fact: &Fact) {
    match fact {
        Fact::Taken { at, offer, seat } => taken(report, open, offer.service, seat, *at),
        Fact::Accepted { at, offer, seat } => {
            let micros = at.micros_since(open.arrived);
            report.rooms.entry(seat.dispatcher).or_default().to_accept.add(micros);
            if open.lead == Some(offer.service) && !std::mem::replace(&mut open.accepted, true) {
                report.to_accept.add(micros);
            }
        }
        Fact::Dispatched { at, offer, seat } => {
            let micros = at.micros_since(open.arrived);
            report.rooms.entry(seat.dispatcher).or_default().to_dispatch.add(micros);
            if open.lead == Some(offer.service) && !std::mem::replace(&mut open.dispatched, true) {
                report.to_dispatch.add(micros);
            }
        }
        Fact::Said { seat: Some(_), .. } => report.said += 1,
        Fact::Said { seat: None, .. } => report.said_by_callers += 1,
        Fact::Delivered { delivered, .. } => report.said_in_vain += u64::from(!delivered),
        Fact::Read { .. } => report.reads += 1,
        Fact::Informed { told: Told::Heard, again: false, .. } => report.informed += 1,
        Fact::Declined { seat, .. } => report.rooms.entry(seat.dispatcher).or_default().declined += 1,
        Fact::Asked { offer, why, .. } => match why {
            AskedWhy::AllCall => report.all_calls += 1,
            AskedWhy::HandedOver => {
                let from = open.taken_by.get(&offer.service).copied();
                from.into_iter().for_each(|room| report.rooms.entry(room).or_default().handed_over += 1);
            }
            _ => {}
        },
        Fact::HungUp { at, callback, .. } => {
            report.hung_up += 1;
            if *callback {
                report.to_call_back += 1;
                open.hung_up = Some(*at);
            }
        }
        Fact::CalledBack { at, outcome, .. } => {
            *report.called_back.entry(CallbackOutcome::word(*outcome)).or_default() += 1;
            open.hung_up.take().into_iter().for_each(|since| report.to_callback.add(at.micros_since(since)));
        }
        Fact::Joined { seat: Some(_), .. } => report.joined += 1,
        Fact::Joined { seat: None, .. } => report.called_again += 1,
        Fact::Redecided { evidence, decision, .. } => {
            report.services_added += evidence.signals.iter().filter(|signal| matches!(signal, Signal::Wanted(_))).count() as u64;
            for assigned in &decision.services {
                open.responsible.insert(assigned.service, assigned.dispatcher);
            }
        }
        _ => {}
    }
}

fn taken(report: &mut Report, open: &mut Open, service: Service, seat: &Seat, at: Timestamp) {
    let room = report.rooms.entry(seat.dispatcher).or_default();
    room.taken += 1;
    room.for_others += u64::from(open.responsible.get(&service).is_some_and(|own| *own != seat.dispatcher));
    let before = open.taken_by.insert(service, seat.dispatcher);
    report.hand_offs += u64::from(before.is_some_and(|before| before != seat.dispatcher));
    if open.first_taken.contains_key(&service) {
        return;
    }
    open.first_taken.insert(service, seat.dispatcher);
    let micros = at.micros_since(open.arrived);
    room.to_take.add(micros);
    if open.lead == Some(service) {
        report.to_take.add(micros);
    }
}

impl Report {
    /// Contacts that came on the number of a service other than the one that leads: the old way, each was handed on by a person.
    /// `service_of` says for which service a number is known.
    pub fn on_another_number(&self, service_of: &dyn Fn(&str) -> Option<Service>) -> u64 {
        let others = self.by_number.iter().filter(|((digits, lead), _)| service_of(digits).is_some_and(|service| Some(service) != *lead));
        others.map(|(_, count)| count).sum()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::contact::{ContactKey, Door};
    use crate::decision::AssignedRecord;
    use crate::deliver::{HangUp, OfferId};
    use crate::units::Name;

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    fn arrived(id: u128, secs: u64, dialled: &str) -> Fact {
        let mut contact = Contact::new(ContactId(id), ContactKey::default(), Timestamp::from_secs(secs), Door::SipVoice);
        contact.signals.push(Signal::Dialled(dialled.into()));
        let share = |service, room: &str, lead| AssignedRecord {
            service,
            dispatcher: name(room),
            area: None,
            probability: None,
            lead,
            chain: vec![name(room)],
        };
        let services = vec![share(Service::Police, "DU-POL", true), share(Service::Ambulance, "DU-AMB", false)];
        let decision = Arc::new(DecisionRecord { services, ..DecisionRecord::default() });
        Fact::Arrived { at: Timestamp::from_secs(secs), contact: Arc::new(contact), decision, states: Vec::new() }
    }

    fn seat(room: &str) -> Seat {
        Seat { dispatcher: name(room), seat: name("1") }
    }

    fn offer(id: u128, service: Service) -> OfferId {
        OfferId { contact: ContactId(id), service }
    }

    fn report(facts: &[Fact]) -> Report {
        let mut reporter = Reporter::default();
        facts.iter().for_each(|fact| reporter.take(fact, (Timestamp::from_secs(100), Timestamp::from_secs(10_000))));
        reporter.finish()
    }

    #[test]
    fn times_run_from_the_arrival_and_only_the_lead_makes_the_countrys() {
        let taken = |id, service, room, secs| Fact::Taken { at: Timestamp::from_secs(secs), offer: offer(id, service), seat: seat(room) };
        let facts = [
            arrived(1, 1_000, "999"),
            taken(1, Service::Police, "DU-POL", 1_010),
            taken(1, Service::Ambulance, "SH-AMB", 1_020),
            taken(1, Service::Police, "SH-POL", 1_030),
            arrived(2, 50, "999"),
            arrived(3, 20_000, "999"),
            arrived(4, 2_000, "998"),
        ];
        let report = report(&facts);
        let number = |digits: &str| (digits == "998").then_some(Service::Ambulance);
        assert_eq!((report.contacts, report.to_take.count(), report.hand_offs, report.on_another_number(&number)), (2, 1, 1, 1));
        assert!((report.to_take.seconds(0.5).unwrap() - 10.0).abs() < 0.1);
        let of = |room: &str| &report.rooms[&name(room)];
        assert_eq!(
            (of("SH-AMB").for_others, of("DU-POL").taken, of("SH-POL").to_take.seconds(0.5)),
            (1, 1, None),
            "only the first take has a time"
        );
        assert_eq!((of("DU-POL").to_take.within(ANSWER_MICROS), of("DU-POL").to_take.within(5_000_000)), (Some(1.0), Some(0.0)));
        assert_eq!(report.by_hour.values().sum::<u64>(), 2);
    }

    #[test]
    fn callers_who_are_gone_are_counted_with_what_came_of_calling_them_back() {
        let contact = ContactId(1);
        let facts = [
            arrived(1, 1_000, "999"),
            Fact::HungUp { at: Timestamp::from_secs(1_001), contact, why: HangUp::Caller, callback: true },
            Fact::CalledBack {
                at: Timestamp::from_secs(1_061),
                offer: offer(1, Service::Police),
                seat: seat("DU-POL"),
                outcome: CallbackOutcome::NoAnswer,
                reason: Box::default(),
            },
            Fact::Ended { at: Timestamp::from_secs(1_062), contact, ending: Ending::CalledBack },
        ];
        let report = report(&facts);
        assert_eq!((report.to_call_back, report.called_back.get("no_answer"), report.never_taken), (1, Some(&1), 1));
        assert!((report.to_callback.seconds(0.5).unwrap() - 60.0).abs() < 0.2);
        assert_eq!(report.ended.get("called_back"), Some(&1));
    }
}
