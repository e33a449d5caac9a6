//! The heart: one contact, one snapshot, one decision.
//!
//! [`route`] is total and deterministic. It takes no lock, does no I/O, and allocates nothing. Whatever became a [`Contact`] gets a
//! dispatcher; what was odd travels in the decision.

use arrayvec::ArrayVec;

use crate::classify::{Classification, classify_into};
use crate::contact::{Contact, Oddity};
use crate::decision::{
    Assigned, AssignedRecord, Caller, Decision, DecisionRecord, Discrepancy, DispatcherIndex, Neighbour, NeighbourRecord, Step,
};
use crate::limits::SERVICES_MAX;
use crate::locate::{Located, Water, is_near_sea, locate};
use crate::service::Service;
use crate::tables::dispatchers::Circumstances;
use crate::tables::identities::LineClass;
use crate::tables::numbers::DialledMeaning;
use crate::tables::snapshot::{Snapshot, Tables};
use crate::units::{Name, Timestamp};

/// Decides a contact: which services, whose rooms, in what order, why, and what was odd.
///
/// # Cost
/// About one look-up in the ground plus the words, if there are any. No allocation, no lock.
pub fn route(snapshot: &Snapshot, contact: &Contact, now: Timestamp) -> Decision {
    let mut decision = Decision::blank(snapshot.tables.version, snapshot.number);
    route_into(&mut decision, snapshot, contact, now);
    decision
}

/// [`route`] where the answer is wanted: moving its 1.6 KB about takes longer than the look-up. Whatever stood there is gone.
pub fn route_into(decision: &mut Decision, snapshot: &Snapshot, contact: &Contact, now: Timestamp) {
    let tables = &*snapshot.tables;
    decision.clear(tables.version, snapshot.number);
    // First what could not be read, so that it is never cut off by later notes.
    note_oddities(contact, decision);
    // What is needed, before where: words of the sea decide what water means.
    let mut heard = Classification::default();
    classify_into(&mut heard, contact, &tables.words);
    let located = locate(snapshot, contact, heard.sea_words, now, decision);
    // A test is decided like any other contact, and then shown to nobody.
    let is_test_phone = note_caller(tables, contact, now, decision);
    decision.test = heard.test_urn || is_test_phone;
    note_evidence(tables, contact, &heard, decision);
    if decision.test {
        decision.note(Discrepancy::TestCall);
        decision.because(Step::Test, Name::default());
        return;
    }
    decision.priority = Some(heard.priority);
    for service in needed(tables, &heard, &located, decision) {
        assign(snapshot, service, &heard, &located, now, decision);
    }
    // After the services, because a neighbour is told per service it would have.
    name_neighbours(tables, &located, decision);
    seat_wishes(tables, contact, &heard, decision);
    compare_dialled(&heard, decision);
}

fn note_oddities(contact: &Contact, decision: &mut Decision) {
    for oddity in &contact.oddities {
        decision.note(match oddity {
            Oddity::BadCell => Discrepancy::BadCell,
            Oddity::BadLine => Discrepancy::BadLine,
            Oddity::BadLocation => Discrepancy::BadLocation,
            Oddity::BadMakani => Discrepancy::BadMakani,
            Oddity::BadTime => Discrepancy::BadTime,
            Oddity::BadUrn => Discrepancy::BadUrn,
            Oddity::ClaimsCut | Oddity::SignalsCut | Oddity::TextCut => Discrepancy::InputCut,
            Oddity::UnknownDoor => Discrepancy::UnknownDoor,
            Oddity::UnknownEvent => Discrepancy::UnknownEvent,
        });
    }
}

/// Who can be called back, and whether another contact of the line is the same caller. True for a test phone.
fn note_caller(tables: &Tables, contact: &Contact, now: Timestamp, decision: &mut Decision) -> bool {
    let Some(line) = contact.line.as_deref() else { return false };
    let (row, number) = tables.identities.caller(line, now);
    let class = row.map(|row| row.class);
    let is_shared = matches!(class, Some(LineClass::Centre | LineClass::Panel | LineClass::Pilot)) || contact.door.is_third_party();
    decision.caller = number.and_then(|number| Name::new(&number)).map(|number| Caller { number, links: !is_shared });
    class == Some(LineClass::Test)
}

/// What the evidence was, into the reasons; what was missing, into the discrepancies.
fn note_evidence(tables: &Tables, contact: &Contact, heard: &Classification, decision: &mut Decision) {
    decision.incident_type = heard.incident_type;
    decision.quiet = heard.quiet;
    for term in &heard.terms {
        decision.because(Step::Word, *term);
    }
    if let Some(urn) = heard.urn {
        decision.because(Step::Urn, Name::of_word(urn.word()));
    }
    if let (Some(DialledMeaning::Hint(service)), true) = (heard.dialled, heard.types.is_empty()) {
        decision.because(Step::Dialled, tables.words.names.of(service));
    }
    if heard.words_cut {
        decision.note(Discrepancy::InputCut);
    }
    if let Some(code) = heard.incident_type.and_then(|index| tables.words.types.code(index)) {
        decision.because(Step::Type, code);
    }
    if heard.silent {
        decision.note(Discrepancy::Silent);
    } else if heard.no_words && !decision.test {
        decision.note(Discrepancy::NoWords);
    }
    if contact.door.is_text() && !decision.test {
        decision.text = true;
        decision.note(Discrepancy::TextOnly);
    }
}

fn has_evidence(heard: &Classification) -> bool {
    !heard.services_hint.is_empty() || !heard.types.is_empty()
}

/// The services the contact needs, the lead first.
fn needed(tables: &Tables, heard: &Classification, located: &Located, decision: &mut Decision) -> ArrayVec<Service, SERVICES_MAX> {
    // Words of the sea count near it and where no place is known: whoever sees the boat sink stands on the beach, not at a dam.
    let near_sea = || located.place.is_none_or(|place| is_near_sea(&tables.ground, place.point));
    let at_sea = located.water == Water::Sea || (heard.sea_words && near_sea());
    let area = located.answering_area;
    let mut services = ArrayVec::new();
    if has_evidence(heard) || at_sea {
        services = heard.services(&tables.plans, area, at_sea);
        decision.because(Step::Plan, services.first().map(|service| tables.words.names.of(*service)).unwrap_or_default());
    }
    if services.is_empty() {
        // Nothing known of what is needed: the area's answering room asks.
        decision.because(Step::NoEvidence, Name::default());
        let room = answering_room(tables, located);
        services.push(tables.dispatchers.get(room).map_or(Service::Police, |row| row.service));
    }
    services
}

/// The room that answers when only the place, or not even that, is known.
fn answering_room(tables: &Tables, located: &Located) -> DispatcherIndex {
    let by_area = located.answering_area.and_then(|area| tables.dispatchers.answering.get(usize::from(area.0)));
    located
        .answering
        .or(by_area.copied())
        .or(tables.dispatchers.answering_nothing)
        .unwrap_or_else(|| tables.dispatchers.fallback(Service::Police))
}

/// Adds one service: who is responsible there, and who is asked in turn.
fn assign(snapshot: &Snapshot, service: Service, heard: &Classification, located: &Located, now: Timestamp, decision: &mut Decision) {
    let tables = &*snapshot.tables;
    let lead = decision.services.is_empty();
    let answering = answering_room(tables, located);
    let answers = tables.dispatchers.get(answering).is_some_and(|room| room.service == service);
    let of_area = located.answering_area.and_then(|area| tables.dispatchers.responsible(area, service));
    let dispatcher = match overlay_room(snapshot, service, located, now, decision) {
        Some(room) => room,
        None if lead && answers && !has_evidence(heard) => {
            decision.because(Step::Answering, tables.dispatcher_id(answering));
            answering
        }
        None => match of_area {
            Some(room) => room,
            None if answers => answering,
            None => {
                let room = tables.dispatchers.fallback(service);
                decision.because(Step::Fallback, tables.dispatcher_id(room));
                room
            }
        },
    };
    let about = Circumstances {
        area: located.answering_area,
        outside: located.outside,
        now,
        utc_offset_minutes: tables.settings.utc_offset_minutes,
    };
    let mut chain = tables.dispatchers.chain(dispatcher, &snapshot.states.by_index, about);
    if decision.text {
        // A text is read where someone can write back.
        let can = |index: &DispatcherIndex| tables.dispatchers.get(*index).is_some_and(|room| room.text);
        if !chain.order.first().is_some_and(can) {
            chain.order.sort_by_key(|index| !can(index));
        }
    }
    if let Some(policy) = chain.policy {
        decision.because(Step::Policy, policy);
    }
    if let Some(skipped) = chain.skipped {
        decision.because(Step::Skipped, tables.dispatcher_id(skipped));
    }
    if chain.order.first() != Some(&dispatcher) {
        decision.note(Discrepancy::OverflowTaken);
    }
    let probability = located.probability;
    let _ = decision.services.try_push(Assigned { service, dispatcher, area: located.area, probability, lead, chain: chain.order });
}

/// A small area with a room of its own for this service, in its hours; the strongest wins.
fn overlay_room(
    snapshot: &Snapshot,
    service: Service,
    located: &Located,
    now: Timestamp,
    decision: &mut Decision,
) -> Option<DispatcherIndex> {
    let ground = &snapshot.tables.ground;
    let overlay = located
        .over
        .iter()
        .filter_map(|at| ground.overlays.get(usize::from(*at)))
        .find(|overlay| overlay.dispatcher.is_some() && overlay.services.contains(service) && snapshot.hold(&overlay.hours, now))?;
    decision.because(Step::Overlay, overlay.id);
    overlay.dispatcher
}

/// Everyone it might belong to instead is told, once per room.
fn name_neighbours(tables: &Tables, located: &Located, decision: &mut Decision) {
    let Decision { services, neighbours, .. } = decision;
    for doubt in &located.doubt {
        for assigned in services.iter() {
            let Some(room) = tables.dispatchers.responsible(doubt.area, assigned.service) else { continue };
            let told = neighbours.iter().map(|neighbour: &Neighbour| neighbour.dispatcher);
            let knows = |other: DispatcherIndex| tables.dispatchers.same_room(other, room);
            if knows(assigned.dispatcher) || told.into_iter().any(knows) {
                continue;
            }
            let (area, dispatcher, service) = (Some(doubt.area), room, assigned.service);
            let _ = neighbours.try_push(Neighbour { area, dispatcher, service, probability: doubt.probability, why: doubt.why });
        }
    }
}

/// Language chooses the seat or an interpreter, never another area's dispatcher.
fn seat_wishes(tables: &Tables, contact: &Contact, heard: &Classification, decision: &mut Decision) {
    decision.lang = contact.lang.or(heard.lang);
    let lead = decision.lead().and_then(|lead| tables.dispatchers.get(lead.dispatcher));
    decision.interpreter = matches!((decision.lang, lead), (Some(lang), Some(room)) if !room.speaks(lang));
}

/// The old way would have gone by the number dialled.
fn compare_dialled(heard: &Classification, decision: &mut Decision) {
    let lead = decision.lead().map(|lead| lead.service);
    if heard.unknown_dialled {
        decision.note(Discrepancy::UnknownDialled);
    }
    match heard.dialled {
        Some(DialledMeaning::NonEmergency(_)) if heard.upgraded => decision.note(Discrepancy::UpgradedFromNonEmergency),
        Some(DialledMeaning::Hint(service) | DialledMeaning::NonEmergency(service)) if lead.is_some_and(|lead| lead != service) => {
            decision.note(Discrepancy::DialledServiceDiffers);
        }
        _ => {}
    }
}

/// The answer when deciding itself failed: the room that answers when nothing is known. As simple as can be.
pub fn last_resort(snapshot: &Snapshot) -> Decision {
    let tables = &*snapshot.tables;
    let mut decision = Decision::blank(tables.version, snapshot.number);
    let room = tables.dispatchers.answering_nothing.unwrap_or_else(|| tables.dispatchers.fallback(Service::Police));
    let service = tables.dispatchers.get(room).map_or(Service::Police, |row| row.service);
    let mut chain = ArrayVec::new();
    chain.push(room);
    let last = tables.dispatchers.fallback(service);
    if last != room {
        chain.push(last);
    }
    decision.services.push(Assigned { service, dispatcher: room, area: None, probability: None, lead: true, chain });
    decision.priority = Some(1);
    decision.note(Discrepancy::Internal);
    decision.because(Step::Fallback, tables.dispatcher_id(room));
    decision
}

/// The decision with names, for everyone who outlives the tables.
pub fn record(tables: &Tables, decision: &Decision) -> DecisionRecord {
    let room = |index: &DispatcherIndex| tables.dispatcher_id(*index);
    let services = decision.services.iter().map(|assigned| AssignedRecord {
        service: assigned.service,
        dispatcher: room(&assigned.dispatcher),
        area: assigned.area.map(|area| tables.area_id(area)),
        probability: assigned.probability,
        lead: assigned.lead,
        chain: assigned.chain.iter().map(room).collect(),
    });
    let neighbours = decision.neighbours.iter().map(|neighbour| NeighbourRecord {
        area: neighbour.area.map(|area| tables.area_id(area)),
        dispatcher: room(&neighbour.dispatcher),
        service: neighbour.service,
        probability: neighbour.probability,
        why: Name::new(neighbour.why.word()).unwrap_or_default(),
    });
    let reason = |step: Step, what: Name| match what.as_str() {
        "" => Box::from(step.word()),
        what => format!("{}: {what}", step.word()).into_boxed_str(),
    };
    DecisionRecord {
        tables: decision.tables,
        snapshot: decision.snapshot,
        services: services.collect(),
        neighbours: neighbours.collect(),
        area: decision.area.map(|area| tables.area_id(area)),
        incident_type: decision.incident_type.and_then(|index| tables.words.types.code(index)),
        priority: decision.priority,
        rung: Name::new(decision.rung.word()).unwrap_or_default(),
        discrepancies: decision.discrepancies.iter().map(|discrepancy| discrepancy.code()).collect(),
        reasons: decision.reasons.iter().map(|at| reason(at.step, at.what)).collect(),
        test: decision.test,
        lang: decision.lang,
        interpreter: decision.interpreter,
        text: decision.text,
        quiet: decision.quiet,
        caller: decision.caller,
    }
}
