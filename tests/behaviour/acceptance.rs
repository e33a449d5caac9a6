//! Contacts with the outcome an operations head expects, on the official boundaries; and their whole story: what is known late, the
//! caller who calls again, and the end.

use std::collections::BTreeMap;
use std::sync::Arc;

use najda::contact::{Contact, Signal};
use najda::decision::DecisionRecord;
use najda::deliver::{Ending, Evidence, GatewayHears, HangUp, OfferId, Role};
use najda::engine::{Config, Input, Room, Rooms, SessionId};
use najda::limits::REPEAT_WAIT_MICROS_MAX;
use najda::route::{record, route};
use najda::tables::snapshot::Snapshot;
use najda::units::{ContactId, DispatcherId, Timestamp};
use najda::wire::contact_json::read_contact;
use serde_json::{Value, json};

use crate::packs::{decide, official, shared, testland, uae};
use crate::stage::{Stage, name};

/// A probability written with two decimals.
const NEAR: f64 = 0.02;

fn text<'v>(value: &'v Value, key: &str) -> Option<&'v str> {
    value.get(key).and_then(Value::as_str)
}

fn texts(value: &Value, key: &str) -> Vec<String> {
    value[key].as_array().into_iter().flatten().filter_map(|word| word.as_str().map(str::to_owned)).collect()
}

/// Every field of an expectation.
fn check_as_written(id: &str, want: &Value, record: &DecisionRecord) {
    let extra = texts(want, "allowed_extra");

    let wanted = want["services"].as_array().unwrap();
    let got: Vec<_> = record.services.iter().map(|one| (one.service.word(), one.dispatcher.as_str(), one.lead)).collect();
    for one in wanted {
        let lead = one["lead"].as_bool().unwrap_or(false);
        let key = (text(one, "service").unwrap(), text(one, "dispatcher").unwrap(), lead);
        assert!(got.contains(&key), "{id}: {key:?} is missing in {got:?}");
    }
    for (service, ..) in &got {
        let known = wanted.iter().any(|one| text(one, "service") == Some(service)) || extra.iter().any(|word| word == service);
        assert!(known, "{id}: {service} is too much");
    }
    assert_eq!(record.area.as_ref().map(|area| area.as_str()), text(want, "area"), "{id}");
    assert_eq!(record.priority.map(u64::from), want["priority"].as_u64(), "{id}");

    let mut told: Vec<_> = record.neighbours.iter().map(|one| (one.dispatcher.to_string(), one.why.to_string(), one.probability)).collect();
    told.sort_by(|a, b| a.0.cmp(&b.0));
    let mut expected: Vec<_> = want["neighbours"].as_array().unwrap().iter().collect();
    expected.sort_by_key(|one| text(one, "dispatcher"));
    assert_eq!(told.len(), expected.len(), "{id}: {told:?}");
    for ((dispatcher, why, probability), one) in told.iter().zip(expected) {
        assert_eq!((Some(dispatcher.as_str()), Some(why.as_str())), (text(one, "dispatcher"), text(one, "why")), "{id}");
        match (probability, one["probability"].as_f64()) {
            (Some(got), Some(want)) => assert!((got.as_f64() - want).abs() <= NEAR, "{id}: {got:?} is not {want}"),
            (got, want) => assert_eq!(got.is_some(), want.is_some(), "{id}"),
        }
    }
    let (mut codes, mut wanted) = (record.discrepancies.iter().map(ToString::to_string).collect::<Vec<_>>(), texts(want, "discrepancies"));
    codes.sort();
    wanted.sort();
    assert_eq!(codes, wanted, "{id}");
}

#[test]
fn every_acceptance_contact_comes_out_as_written() {
    let Some(snapshot) = official() else { return };
    let mut count = 0;
    for (id, input, want) in rows_of_acceptance() {
        check_as_written(&id, &want, &decide(snapshot, &input.to_string()));
        count += 1;
    }
    println!("{count} acceptance contacts as written");
    assert!(count >= 12);
}

/// Id, contact and expectation; none where the shared material is not here.
fn rows_of_acceptance() -> Vec<(String, Value, Value)> {
    let Some(path) = shared("data/uae/acceptance.jsonl") else { return Vec::new() };
    let lines = std::fs::read_to_string(path).unwrap();
    let row = |line: &str| {
        let row: Value = serde_json::from_str(line).unwrap();
        let id = row["id"].as_str().unwrap().to_owned();
        let mut input = row["in"].clone();
        input["id"] = id.clone().into();
        (id, input, row["out"].clone())
    };
    lines.lines().map(row).collect()
}

// --- whole stories ---

/// What of a contact comes late.
#[derive(Clone, Copy, Debug)]
enum Late {
    Nothing,
    /// The fix, as most phones send it: seconds into the call.
    Place,
    /// The words, the silence, the crash data.
    Words,
}

/// A country with a person at every room, and one contact's way through it.
struct Story<'s> {
    snapshot: &'s Snapshot,
    stage: Stage,
    gateway: SessionId,
    seats: BTreeMap<DispatcherId, SessionId>,
    input: Value,
}

impl<'s> Story<'s> {
    fn new(snapshot: &'s Snapshot, input: &Value) -> Self {
        let rooms = snapshot.tables.dispatchers.rows.iter().map(|row| Room {
            id: row.id,
            service: row.service,
            take_micros_max: row.take_micros_max,
            capacity: row.capacity,
            uri: row.uri.clone(),
        });
        let rooms = Rooms { version: snapshot.tables.version, rooms: rooms.collect() };
        let ids: Vec<DispatcherId> = rooms.rooms.iter().map(|room| room.id).collect();
        let mut stage = Stage::with(Config::default(), rooms);
        stage.disk_is_fast = true;
        stage.now = Timestamp::from_secs(1_780_308_000);
        let gateway = stage.gateway("gw");
        let seats = ids.into_iter().map(|id| (id, stage.console(id.as_str(), "1"))).collect();
        Self { snapshot, stage, gateway, seats, input: input.clone() }
    }

    fn route(&self, contact: &Contact) -> Arc<DecisionRecord> {
        Arc::new(record(&self.snapshot.tables, &route(self.snapshot, contact, self.stage.now)))
    }

    /// The contact arrives without what comes late, and that follows.
    fn arrives(&mut self, gateway_ref: &str, late: Late) -> ContactId {
        let made = self.stage.contact("gw", gateway_ref);
        let read = read_contact(self.input.to_string().as_bytes(), name("gw"), made.id, self.stage.now).unwrap();
        let mut contact = Contact { key: made.key, id: made.id, ..read.contact };
        let mut evidence = Evidence::default();
        match late {
            Late::Nothing => {}
            Late::Place => evidence.claims = std::mem::take(&mut contact.claims),
            Late::Words => {
                let is_dialled = |signal: &Signal| matches!(signal, Signal::Dialled(_));
                (contact.signals, evidence.signals) = contact.signals.into_iter().partition(is_dialled);
                evidence.lang = contact.lang.take();
            }
        }
        let decided = self.route(&contact);
        let id = contact.id;
        self.stage.arrive_as(contact, decided);
        self.stage.evidence(gateway_ref, evidence);
        for (contact, revision) in std::mem::take(&mut self.stage.reroutes) {
            let decision = self.route(&contact);
            self.stage.input(Input::Redecided { contact: contact.id, revision, decision });
        }
        id
    }

    fn decision(&self, contact: ContactId) -> Arc<DecisionRecord> {
        self.stage.engine.contact(contact).expect("it lives").decision
    }

    /// Who is responsible is asked, who is in doubt is told, and nobody else sees it.
    fn check_screens(&self, contact: ContactId) {
        let decision = self.decision(contact);
        for assigned in &decision.services {
            let offer = OfferId { contact, service: assigned.service };
            let first = assigned.chain[0];
            let shown = self.stage.shown(self.seats[&first], offer).unwrap_or_else(|| panic!("{first} does not see {offer:?}"));
            assert_eq!((shown.role, &shown.decision), (Role::Responsible, &decision), "{first}");
            for (room, session) in self.seats.iter().filter(|(room, _)| **room != first) {
                let told = decision.neighbours.iter().any(|neighbour| neighbour.dispatcher == *room);
                assert!(told || !self.stage.sees(*session, offer), "{room} sees {offer:?}");
            }
        }
        for neighbour in &decision.neighbours {
            let offer = OfferId { contact, service: neighbour.service };
            let shown = self.stage.shown(self.seats[&neighbour.dispatcher], offer).expect("who is in doubt is told");
            assert_eq!(shown.role, Role::Neighbour);
        }
    }

    fn moved_to(&mut self) -> Vec<DispatcherId> {
        let moved = |hears: GatewayHears| if let GatewayHears::Moved { dispatcher, .. } = hears { Some(dispatcher) } else { None };
        self.stage.gateway_heard(self.gateway).into_iter().filter_map(moved).collect()
    }

    /// Everybody who is asked first takes, sends help and closes.
    fn helped(&mut self, contact: ContactId) {
        for assigned in &self.decision(contact).services {
            let (offer, session) = (OfferId { contact, service: assigned.service }, self.seats[&assigned.chain[0]]);
            self.stage.take(session, offer);
            self.stage.accept(session, offer);
            self.stage.close(session, offer);
        }
    }
}

/// Arrives, learns more, is taken; the caller calls again; both end.
fn play(snapshot: &Snapshot, input: &Value, late: Late, check: impl Fn(&DecisionRecord)) {
    let mut story = Story::new(snapshot, input);
    let whole = decide(snapshot, &input.to_string());
    if whole.test {
        story.arrives("drill", Late::Nothing);
        assert_eq!(story.stage.endings(), [Ending::TestSunk]);
        assert!(story.seats.values().all(|session| story.stage.screens[session].offers.is_empty()), "never on a live screen");
        return check(&whole);
    }
    let first = story.arrives("first", late);
    let decision = story.decision(first);
    check(&decision);
    story.check_screens(first);
    let lead = decision.services[0].chain[0];
    let moved = story.moved_to();
    assert!(moved.last().is_none_or(|room| *room == lead), "the voice went to {moved:?}");

    let offer = OfferId { contact: first, service: decision.services[0].service };
    let holder = story.seats[&lead];
    story.stage.take(holder, offer);
    let again = story.arrives("again", Late::Nothing);
    let repeat = story.stage.shown(holder, OfferId { contact: again, ..offer }).and_then(|offer| offer.repeat);
    let links = decision.caller.is_some_and(|caller| caller.links);
    assert_eq!(repeat.map(|repeat| repeat.earlier), links.then_some(first));
    check(&story.decision(again));
    story.stage.pass(REPEAT_WAIT_MICROS_MAX);
    story.helped(again);
    story.helped(first);
    assert_eq!((story.stage.endings(), story.stage.engine.live_contacts()), (vec![Ending::Closed; 2], 0));
}

#[test]
fn every_acceptance_contact_lives_its_whole_story_with_a_late_fix_late_words_and_a_repeat_call() {
    let Some(snapshot) = official() else { return };
    let mut count = 0;
    for (id, input, want) in rows_of_acceptance() {
        for late in [Late::Nothing, Late::Place, Late::Words] {
            println!("{id}, late: {late:?}");
            play(snapshot, &input, late, |record| check_as_written(&id, &want, record));
            count += 1;
        }
    }
    println!("{count} stories of acceptance contacts");
    assert!(count >= 36);
}

/// Equal cases of our own: whatever comes late, the story ends in the decision about the whole.
#[test]
fn what_comes_late_leads_to_the_same_rooms_as_if_it_had_been_known_at_once() {
    let emirates = [
        json!({"id": "u1", "dialled": "999", "line": "+971500000001", "lat": 25.2048, "lon": 55.2708, "uncertainty_m": 20, "text": "fire in a tower, people trapped", "lang": "en"}),
        json!({"id": "u2", "dialled": "998", "line": "0500000002", "lat": 24.4539, "lon": 54.3773, "uncertainty_m": 30, "text": "he does not breathe", "lang": "en"}),
        json!({"id": "u3", "door": "sms", "line": "+971500000003", "lat": 25.7895, "lon": 55.9432, "uncertainty_m": 80, "text": "حرامي داخل البيت. لا تتصل", "lang": "ar"}),
        json!({"id": "u4", "door": "sip-ecall", "urn": "urn:service:sos.ecall.automatic", "lat": 25.1288, "lon": 56.3265, "uncertainty_m": 10, "line": "+971500000004"}),
        json!({"id": "u5", "dialled": "999", "line": "+97145550110", "lat": 25.0657, "lon": 55.1713, "uncertainty_m": 1500}),
        json!({"id": "u6", "door": "sip-ecall", "urn": "urn:service:test.sos.ecall", "lat": 25.1972, "lon": 55.2744, "uncertainty_m": 10}),
    ];
    let invented = [
        json!({"id": "t1", "dialled": "100", "line": "+99970000001", "lat": 0.75, "lon": 0.41, "uncertainty_m": 10, "text": "fight", "lang": "en"}),
        json!({"id": "t2", "dialled": "102", "line": "+99970000002", "lat": 0.60, "lon": 1.75, "uncertainty_m": 20}),
        json!({"id": "t3", "dialled": "101", "line": "+99920550110", "lat": 0.80, "lon": 0.95, "uncertainty_m": 10}),
    ];
    for (snapshot, inputs) in [(uae(), &emirates[..]), (testland(), &invented[..])] {
        for input in inputs {
            let whole = decide(snapshot, &input.to_string());
            for late in [Late::Nothing, Late::Place, Late::Words] {
                println!("{}, late: {late:?}", input["id"]);
                play(snapshot, input, late, |record| {
                    assert_eq!((&record.services, &record.neighbours), (&whole.services, &whole.neighbours));
                    assert_eq!((record.area, record.priority, record.caller), (whole.area, whole.priority, whole.caller));
                });
            }
        }
    }
}

#[test]
fn a_silent_landline_that_goes_dead_is_called_back_by_the_room_that_answers() {
    let input = json!({"id": "s1", "dialled": "999", "line": "+97160000015", "events": ["silence 8 s", "dtmf 5 at 20 s"]});
    let mut story = Story::new(uae(), &input);
    let contact = story.arrives("first", Late::Words);
    let decision = story.decision(contact);
    story.stage.hang_up(story.gateway, "first", HangUp::Silent);
    let offer = OfferId { contact, service: decision.services[0].service };
    let callback = story.stage.shown(story.seats[&decision.services[0].chain[0]], offer).and_then(|offer| offer.callback);
    assert_eq!(callback.map(|callback| (callback.why, callback.number)), Some((HangUp::Silent, Some(name("+97160000015")))));
    assert!(story.stage.endings().is_empty(), "never ended by a machine");
}
