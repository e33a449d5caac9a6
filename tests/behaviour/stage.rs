//! A stage for the engine: gateways and consoles in memory, a store that holds what it is told to hold, a clock that is set by hand.
//!
//! After every input it checks what must hold whatever happens: no gaps in the journal, no promise before its receipt, no contact
//! that ends twice, no test on a person's screen, and lists and counts that agree with the lives.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use najda::contact::{Contact, ContactKey, Door, Signal};
use najda::decision::{AssignedRecord, Caller, DecisionRecord, NeighbourRecord};
use najda::deliver::{
    CallbackOutcome, ConsoleHears, ConsoleSays, Ending, Evidence, Fact, GatewayHears, HangUp, Offer, OfferId, Said, Seat,
};
use najda::engine::{Config, ContactView, Engine, Input, Output, Outputs, Room, Rooms, SessionId};
use najda::event::EventId;
use najda::incident::IncidentId;
use najda::service::Service;
use najda::units::{ContactId, Name, TablesVersion, Timestamp};

pub const SECOND: u64 = 1_000_000;
/// How long every room of the stage has to take an offer.
pub const TAKE: u64 = 15 * SECOND;

pub fn name(text: &str) -> Name {
    Name::new(text).expect("a name in a test is short and visible")
}

pub fn words(text: &str) -> Evidence {
    Evidence { signals: vec![Signal::Words(text.into())], ..Evidence::default() }
}

/// `AMB: DU-AMB > SH-AMB ~ AJ-AMB; POL: DU-POL` is two services, the first leads; `>` is the chain, `~` a neighbour.
pub fn decision(text: &str) -> Arc<DecisionRecord> {
    let mut record = DecisionRecord::default();
    for share in text.split(';').map(str::trim).filter(|share| !share.is_empty()) {
        let (service, rooms) = share.split_once(':').expect("a share is `service: rooms`");
        let service = service_of(service.trim());
        let mut rooms = rooms.split('~').map(str::trim);
        let chain: Vec<Name> = rooms.next().unwrap_or_default().split('>').map(|room| name(room.trim())).collect();
        for room in rooms {
            let dispatcher = name(room);
            record.neighbours.push(NeighbourRecord { area: None, dispatcher, service, probability: None, why: name("border") });
        }
        let lead = record.services.is_empty();
        record.services.push(AssignedRecord { service, dispatcher: chain[0], area: None, probability: None, lead, chain });
    }
    record.test = record.services.is_empty();
    Arc::new(record)
}

/// The same decision about a contact whose line is this number, of one caller or of many.
pub fn from_line(decided: &str, number: &str, links: bool) -> Arc<DecisionRecord> {
    let mut record = decision(decided);
    Arc::make_mut(&mut record).caller = Some(Caller { number: name(number), links });
    record
}

pub fn service_of(word: &str) -> Service {
    match word {
        "AMB" => Service::Ambulance,
        "POL" => Service::Police,
        "CIV" => Service::CivilDefence,
        other => panic!("no service {other}"),
    }
}

/// What one console shows, as a console that believes every word would.
#[derive(Clone, Debug, Default)]
pub struct Screen {
    pub offers: BTreeMap<OfferId, Arc<Offer>>,
}

/// Where each promise stands in the journal.
#[derive(Clone, Debug, Default)]
struct Book {
    arrived: BTreeMap<ContactId, u64>,
    quiet: BTreeSet<ContactId>,
    informed: BTreeMap<ContactId, Vec<u64>>,
    taken: BTreeMap<(OfferId, Seat), u64>,
    accepted: BTreeMap<(OfferId, Seat), u64>,
    closed: BTreeMap<(OfferId, Seat), u64>,
    called_back: BTreeMap<(OfferId, Seat, CallbackOutcome), u64>,
    ended: BTreeMap<ContactId, (u64, Ending)>,
    noted: BTreeMap<(ContactId, Timestamp, Box<str>), Vec<u64>>,
    joined: BTreeMap<(ContactId, IncidentId), Vec<u64>>,
    said: BTreeMap<(ContactId, u32), Vec<u64>>,
    dispatched: BTreeMap<(OfferId, Seat), u64>,
    declared: BTreeMap<EventId, Vec<u64>>,
}

pub struct Stage {
    pub engine: Engine,
    pub now: Timestamp,
    pub facts: Vec<(u64, Fact)>,
    pub reroutes: Vec<(Arc<Contact>, u32)>,
    pub published: Vec<u64>,
    pub closed: Vec<SessionId>,
    pub screens: BTreeMap<SessionId, Screen>,
    /// Consoles that send nothing any more, and whose sessions nobody has closed.
    pub vanished: BTreeSet<SessionId>,
    consoles: BTreeMap<SessionId, (Seat, bool)>,
    heard: BTreeMap<SessionId, Vec<ConsoleHears>>,
    gateway_heard: BTreeMap<SessionId, Vec<GatewayHears>>,
    book: Book,
    /// What the disk holds.
    pub held_through: u64,
    /// Entries that were given up for good.
    pub lost: Vec<std::ops::RangeInclusive<u64>>,
    last_seq: u64,
    /// The disk answers at once.
    pub disk_is_fast: bool,
    config: Config,
    next_session: u64,
    next_contact: u128,
    /// Every input and its time, while somebody wants to give them to another engine as well.
    pub recorded: Option<Vec<(Input, Timestamp)>>,
}

pub fn rooms(list: &[(&str, u32)]) -> Rooms {
    let mut rooms: Vec<Room> = list
        .iter()
        .map(|(id, capacity)| Room {
            id: name(id),
            service: service_of(id.rsplit('-').next().filter(|word| *word != "ALL").unwrap_or("POL")),
            take_micros_max: TAKE,
            capacity: *capacity,
            uri: format!("sip:{id}@example").into(),
        })
        .collect();
    rooms.sort_by_key(|room| room.id);
    Rooms { version: TablesVersion([7; 32]), rooms }
}

pub fn usual_rooms() -> Rooms {
    rooms(&[("DU-AMB", 100), ("SH-AMB", 100), ("AJ-AMB", 100), ("DU-POL", 100), ("SH-POL", 100), ("AE-ALL", 100)])
}

impl Stage {
    pub fn new() -> Self {
        Self::with(Config::default(), usual_rooms())
    }

    pub fn with(config: Config, rooms: Rooms) -> Self {
        Self {
            engine: Engine::new(config.clone(), &rooms),
            now: Timestamp::from_secs(1_000),
            facts: Vec::new(),
            reroutes: Vec::new(),
            published: Vec::new(),
            closed: Vec::new(),
            screens: BTreeMap::new(),
            vanished: BTreeSet::new(),
            consoles: BTreeMap::new(),
            heard: BTreeMap::new(),
            gateway_heard: BTreeMap::new(),
            book: Book::default(),
            held_through: 0,
            lost: Vec::new(),
            last_seq: 0,
            disk_is_fast: false,
            config,
            next_session: 0,
            next_contact: 0,
            recorded: None,
        }
    }

    /// Kills the engine and starts another from what the disk held. Every session is gone.
    pub fn crash(&mut self, rooms: &Rooms) {
        let held = self.held_through;
        self.facts.retain(|(seq, _)| *seq <= held);
        self.book = Book::default();
        for (seq, fact) in self.facts.clone() {
            self.note(seq, &fact);
        }
        let facts = self.facts.iter().cloned();
        self.engine = Engine::recover(self.config.clone(), rooms, facts, self.now);
        // A loss that no later entry declared is no part of the journal: its numbers are given again.
        self.last_seq = self.engine.last_seq();
        self.held_through = self.last_seq;
        self.lost.retain(|lost| *lost.start() <= self.last_seq);
        self.screens.clear();
        self.vanished.clear();
        self.consoles.clear();
        self.heard.clear();
        self.gateway_heard.clear();
        self.published.clear();
        self.engine.audit().expect("a recovered engine agrees with itself");
    }

    // --- who comes ---

    pub fn gateway(&mut self, gateway: &str) -> SessionId {
        let session = self.new_session();
        self.input(Input::GatewayOpened { session, gateway: name(gateway) });
        session
    }

    /// A console that has signed in.
    pub fn console(&mut self, room: &str, seat: &str) -> SessionId {
        self.seat(room, seat, false)
    }

    pub fn test_console(&mut self, room: &str, seat: &str) -> SessionId {
        self.seat(room, seat, true)
    }

    pub fn seat(&mut self, room: &str, seat: &str, test: bool) -> SessionId {
        let session = self.new_session();
        let seat = Seat { dispatcher: name(room), seat: name(seat) };
        self.consoles.insert(session, (seat, test));
        self.screens.insert(session, Screen::default());
        self.input(Input::ConsoleOpened { session, seat, test });
        self.say(session, ConsoleSays::SignIn { languages: vec![*b"ar"], text: true, seen: 0 });
        session
    }

    /// Somebody who supervises a room.
    pub fn supervisor(&mut self, room: &str, seat: &str) -> SessionId {
        let session = self.new_session();
        let seat = Seat { dispatcher: name(room), seat: name(seat) };
        self.consoles.insert(session, (seat, false));
        self.screens.insert(session, Screen::default());
        self.input(Input::SupervisorOpened { session, seat });
        self.speak(session, &["ar"], true);
        session
    }

    pub fn auditor(&mut self, who: &str) -> SessionId {
        let session = self.new_session();
        self.consoles.insert(session, (Seat { dispatcher: Name::default(), seat: name(who) }, false));
        self.screens.insert(session, Screen::default());
        self.input(Input::AuditorOpened { session, name: name(who) });
        self.speak(session, &[], false);
        session
    }

    /// Signs in again with these languages, and as one who answers callers who write or as one who does not.
    pub fn speak(&mut self, session: SessionId, languages: &[&str], text: bool) {
        let languages = languages.iter().map(|language| language.as_bytes().try_into().expect("two letters")).collect();
        self.say(session, ConsoleSays::SignIn { languages, text, seen: 0 });
    }

    fn new_session(&mut self) -> SessionId {
        self.next_session += 1;
        SessionId(self.next_session)
    }

    pub fn leave(&mut self, session: SessionId) {
        self.screens.remove(&session);
        self.input(Input::SessionClosed { session });
        self.consoles.remove(&session);
    }

    // --- what is said ---

    pub fn say(&mut self, session: SessionId, says: ConsoleSays) {
        self.input(Input::Console { session, says });
    }

    pub fn take(&mut self, session: SessionId, offer: OfferId) {
        self.say(session, ConsoleSays::Take { offer });
    }

    pub fn accept(&mut self, session: SessionId, offer: OfferId) {
        self.say(session, ConsoleSays::Accept { offer });
    }

    pub fn close(&mut self, session: SessionId, offer: OfferId) {
        self.say(session, ConsoleSays::Close { offer, reason: "done".into() });
    }

    pub fn contact(&mut self, gateway: &str, gateway_ref: &str) -> Contact {
        self.next_contact += 1;
        let key = ContactKey { gateway: name(gateway), gateway_ref: gateway_ref.into() };
        Contact::new(ContactId(self.next_contact), key, self.now, Door::SipVoice)
    }

    /// A contact of gateway `gw` under `gateway_ref`, decided as `decided` says. Returns its offers, the lead first.
    pub fn arrive(&mut self, gateway_ref: &str, decided: &str) -> Vec<OfferId> {
        let contact = self.contact("gw", gateway_ref);
        self.arrive_as(contact, decision(decided))
    }

    /// A contact that somebody wrote, decided as `decided` says.
    pub fn write_in(&mut self, gateway_ref: &str, text: &str, decided: &str) -> Vec<OfferId> {
        let mut contact = self.contact("gw", gateway_ref);
        contact.door = Door::Sms;
        contact.signals.push(Signal::Words(text.into()));
        self.arrive_as(contact, decision(decided))
    }

    pub fn arrive_as(&mut self, contact: Contact, decision: Arc<DecisionRecord>) -> Vec<OfferId> {
        let id = contact.id;
        let offers = decision.services.iter().map(|share| OfferId { contact: id, service: share.service }).collect();
        self.input(Input::Arrived { session: None, contact: Arc::new(contact), decision, handed_back: false });
        offers
    }

    pub fn evidence(&mut self, gateway_ref: &str, evidence: Evidence) {
        let key = self.key(gateway_ref);
        self.input(Input::Evidence { session: None, key, evidence });
    }

    /// The gateway says that the caller is gone.
    pub fn hang_up(&mut self, gateway: SessionId, gateway_ref: &str, why: HangUp) {
        let key = self.key(gateway_ref);
        self.input(Input::HungUp { session: gateway, key, why });
    }

    pub fn called_back(&mut self, session: SessionId, offer: OfferId, outcome: CallbackOutcome) {
        self.say(session, ConsoleSays::CalledBack { offer, outcome, reason: "twice".into() });
    }

    /// A contact of this line, decided as `decided` says. Returns its offers, the lead first.
    pub fn call_from(&mut self, line: &str, gateway_ref: &str, decided: &str) -> Vec<OfferId> {
        let contact = self.contact("gw", gateway_ref);
        self.arrive_as(contact, from_line(decided, line, true))
    }

    pub fn key(&self, gateway_ref: &str) -> ContactKey {
        ContactKey { gateway: name("gw"), gateway_ref: gateway_ref.into() }
    }

    /// Answers the newest request for a decision.
    pub fn redecide(&mut self, decided: &str) {
        let (contact, revision) = self.reroutes.last().cloned().expect("a decision was asked for");
        self.input(Input::Redecided { contact: contact.id, revision, decision: decision(decided) });
    }

    // --- the disk and the clock ---

    /// The disk now holds everything.
    pub fn store(&mut self) {
        let through = self.engine.last_seq();
        self.store_through(through);
    }

    pub fn store_through(&mut self, through: u64) {
        self.held_through = self.held_through.max(through.min(self.engine.last_seq()));
        self.input(Input::Stored { through });
    }

    /// What the disk does not hold is given up for good.
    pub fn lose(&mut self) {
        let (first_seq, last_seq) = (self.held_through + 1, self.engine.last_seq());
        if first_seq > last_seq {
            return;
        }
        self.facts.retain(|(seq, _)| *seq < first_seq);
        self.lost.push(first_seq..=last_seq);
        self.held_through = last_seq;
        self.input(Input::Lost { first_seq, last_seq });
    }

    /// Lets time pass; every session that is there sends its heartbeats.
    pub fn pass(&mut self, micros: u64) {
        self.pass_with(micros, true);
    }

    /// Lets time pass over consoles that say nothing.
    pub fn pass_in_silence(&mut self, micros: u64) {
        self.pass_with(micros, false);
    }

    fn pass_with(&mut self, micros: u64, heartbeats: bool) {
        let end = self.now.plus_micros(micros);
        let mut beat = self.now.plus_micros(3 * SECOND);
        for _ in 0..1_000_000 {
            let due = self.engine.next_deadline().filter(|due| *due <= end);
            let next = if heartbeats { Some(beat.min(due.unwrap_or(beat))) } else { due };
            let Some(next) = next.filter(|next| *next <= end) else { break };
            self.now = self.now.max(next);
            if heartbeats && next == beat {
                beat = beat.plus_micros(3 * SECOND);
                let sessions: Vec<SessionId> = self.consoles.keys().filter(|session| !self.vanished.contains(session)).copied().collect();
                sessions.into_iter().for_each(|session| self.say(session, ConsoleSays::Heartbeat));
            }
            self.input(Input::Tick);
        }
        self.now = end;
        self.input(Input::Tick);
    }

    // --- what was heard ---

    /// What this console has heard since it was last asked.
    pub fn heard(&mut self, session: SessionId) -> Vec<ConsoleHears> {
        self.heard.remove(&session).unwrap_or_default()
    }

    pub fn gateway_heard(&mut self, session: SessionId) -> Vec<GatewayHears> {
        self.gateway_heard.remove(&session).unwrap_or_default()
    }

    /// The offer as this console shows it now.
    pub fn shown(&self, session: SessionId, offer: OfferId) -> Option<Arc<Offer>> {
        self.screens.get(&session)?.offers.get(&offer).cloned()
    }

    pub fn sees(&self, session: SessionId, offer: OfferId) -> bool {
        self.shown(session, offer).is_some()
    }

    pub fn endings(&self) -> Vec<Ending> {
        let ending = |fact: &Fact| if let Fact::Ended { ending, .. } = fact { Some(*ending) } else { None };
        self.facts.iter().filter_map(|(_, fact)| ending(fact)).collect()
    }

    /// Every live contact as the engine has it.
    pub fn contacts(&self) -> Vec<ContactView> {
        self.engine.contacts_after(ContactId(0)).collect()
    }

    pub fn seat_of(&self, session: SessionId) -> Option<(Seat, bool)> {
        self.consoles.get(&session).copied()
    }

    pub fn open_consoles(&self) -> Vec<SessionId> {
        self.consoles.keys().copied().collect()
    }

    // --- the engine ---

    pub fn input(&mut self, input: Input) {
        let mut out = Outputs::new();
        if let Some(recorded) = &mut self.recorded {
            recorded.push((input.clone(), self.now));
        }
        self.engine.handle(input, self.now, &mut out);
        let list: Vec<Output> = out.drain().collect();
        for output in list {
            self.carry_out(output);
        }
        if let Err(wrong) = self.engine.audit() {
            panic!("the engine disagrees with itself: {wrong}");
        }
        if self.disk_is_fast && self.held_through < self.engine.last_seq() {
            self.store();
        }
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::ToGateway { session, hears } => {
                self.check_gateway(&hears);
                self.gateway_heard.entry(session).or_default().push(hears);
            }
            Output::ToConsole { session, hears } => {
                self.check_console(session, &hears);
                self.draw(session, &hears);
                self.heard.entry(session).or_default().push(hears);
            }
            Output::Append { seq, fact } => {
                assert_eq!(seq, self.last_seq + 1, "sequence numbers have no gaps");
                self.last_seq = seq;
                self.note(seq, &fact);
                self.facts.push((seq, fact));
            }
            Output::Reroute { contact, revision } => {
                assert_eq!(contact.revision, revision);
                self.reroutes.push((contact, revision));
            }
            Output::Publish { snapshot, .. } => {
                assert!(self.published.last().is_none_or(|last| *last < snapshot), "snapshots are numbered upwards");
                self.published.push(snapshot);
            }
            Output::Close { session } => {
                self.closed.push(session);
                self.screens.remove(&session);
                self.consoles.remove(&session);
            }
        }
    }

    fn note(&mut self, seq: u64, fact: &Fact) {
        // After a loss the engine says again what was lost.
        let again = !self.lost.is_empty();
        let book = &mut self.book;
        match fact {
            Fact::Arrived { contact, decision, .. } => {
                if decision.quiet {
                    book.quiet.insert(contact.id);
                }
                assert!(book.arrived.insert(contact.id, seq).is_none() || again, "a contact arrives once");
            }
            Fact::Redecided { contact, decision, .. } if decision.quiet => drop(book.quiet.insert(*contact)),
            Fact::Informed { contact, again: false, .. } => {
                assert!(!book.quiet.contains(contact), "nothing is sent to the caller of a contact that was quiet once");
                book.informed.entry(*contact).or_default().push(seq);
            }
            Fact::Taken { offer, seat, .. } => drop(book.taken.insert((*offer, *seat), seq)),
            Fact::Accepted { offer, seat, .. } => drop(book.accepted.insert((*offer, *seat), seq)),
            Fact::CalledBack { offer, seat, outcome, .. } => drop(book.called_back.insert((*offer, *seat, *outcome), seq)),
            Fact::Closed { offer, seat, .. } => {
                assert!(book.closed.insert((*offer, *seat), seq).is_none() || again, "an offer is closed once");
            }
            Fact::Noted { at, contact, text, .. } => book.noted.entry((*contact, *at, text.clone())).or_default().push(seq),
            Fact::Said { contact, number, .. } => book.said.entry((*contact, *number)).or_default().push(seq),
            Fact::Dispatched { offer, seat, .. } => drop(book.dispatched.insert((*offer, *seat), seq)),
            Fact::Declared { event, .. } => book.declared.entry(event.id).or_default().push(seq),
            Fact::Joined { contact, incident, .. } => book.joined.entry((*contact, *incident)).or_default().push(seq),
            Fact::Ended { contact, ending, .. } => {
                assert!(book.arrived.contains_key(contact) || again, "what ends has arrived");
                assert!(book.ended.insert(*contact, (seq, *ending)).is_none() || again, "a contact ends once");
            }
            _ => {}
        }
    }

    /// The entry is in the journal, and the disk has said so.
    fn is_held(&self, seq: Option<&u64>) -> bool {
        seq.is_some_and(|seq| *seq <= self.held_through && !self.lost.iter().any(|lost| lost.contains(seq)))
    }

    /// What can be said more than once.
    fn one_is_held(&self, seqs: Option<&Vec<u64>>) -> bool {
        seqs.into_iter().flatten().any(|seq| self.is_held(Some(seq)))
    }

    fn check_gateway(&self, hears: &GatewayHears) {
        let fine = match hears {
            GatewayHears::Durable { contact, .. } => self.is_held(self.book.arrived.get(contact)),
            GatewayHears::Overdue { contact, .. } => !self.lost.is_empty() || !self.is_held(self.book.arrived.get(contact)),
            GatewayHears::Accepted { contact, service, seat, .. } => {
                self.is_held(self.book.accepted.get(&(OfferId { contact: *contact, service: *service }, *seat)))
            }
            GatewayHears::Ended { contact, ending, .. } => {
                self.book.ended.get(contact).is_some_and(|(seq, known)| self.is_held(Some(seq)) && known == ending)
            }
            GatewayHears::Moved { .. } => true,
            GatewayHears::Say { contact, number, .. } => self.one_is_held(self.book.said.get(&(*contact, *number))),
            GatewayHears::Targets { .. } | GatewayHears::Refused { .. } => false,
        };
        assert!(fine, "a gateway heard what was not so: {hears:?}");
    }

    fn check_console(&self, session: SessionId, hears: &ConsoleHears) {
        let fine = match hears {
            ConsoleHears::Offer(offer) => self.check_offer(session, offer),
            ConsoleHears::Confirmed { contact } => self.is_held(self.book.arrived.get(contact)),
            ConsoleHears::Taken { offer, by } => self.is_held(self.book.taken.get(&(*offer, *by))),
            ConsoleHears::Accepted { offer, by } => self.is_held(self.book.accepted.get(&(*offer, *by))),
            ConsoleHears::CalledBack { offer, by, outcome } => self.is_held(self.book.called_back.get(&(*offer, *by, *outcome))),
            ConsoleHears::Closed { offer, by } => self.is_held(self.book.closed.get(&(*offer, *by))),
            ConsoleHears::Shares { contact, shares } => shares.iter().all(|share| {
                let offer = OfferId { contact: *contact, service: share.service };
                share.held_by.is_none_or(|by| self.is_held(self.book.taken.get(&(offer, by))))
            }),
            ConsoleHears::Noted { contact, note } => self.one_is_held(self.book.noted.get(&(*contact, note.at, note.text.clone()))),
            // What callers say is told at once.
            ConsoleHears::Said { contact, said } => said.by.is_none() || self.one_is_held(self.book.said.get(&(*contact, said.number))),
            ConsoleHears::Conversation { contact, said } => {
                let held = |said: &Said| said.by.is_none() || self.one_is_held(self.book.said.get(&(*contact, said.number)));
                said.iter().all(held) && said.is_sorted_by_key(|said| said.number)
            }
            ConsoleHears::Dispatched { offer, by } => self.is_held(self.book.dispatched.get(&(*offer, *by))),
            ConsoleHears::Informed { contact, .. } => !self.lost.is_empty() || self.one_is_held(self.book.informed.get(contact)),
            ConsoleHears::Declared { event } => self.one_is_held(self.book.declared.get(&event.id)),
            ConsoleHears::Joined { contact, incident, .. } => self.one_is_held(self.book.joined.get(&(*contact, *incident))),
            _ => true,
        };
        assert!(fine, "a console heard what was not so: {hears:?}");
    }

    fn check_offer(&self, session: SessionId, offer: &Offer) -> bool {
        let contact = offer.contact.id;
        let (_, at_test_seat) = self.consoles.get(&session).copied().expect("an offer goes to a console");
        let test = offer.contact.load_test || offer.decision.test;
        assert_eq!(test, at_test_seat, "tests and people never meet");
        let held = self.is_held(self.book.arrived.get(&contact));
        // After a loss the engine may know less than the disk holds, never more.
        let confirmed = if self.lost.is_empty() { offer.confirmed == held } else { !offer.confirmed || held };
        let held = offer.held_by.is_none_or(|by| self.is_held(self.book.taken.get(&(offer.id, by))));
        // What is written again after an end that outlived its arrival begins anew.
        let arrived = self.book.arrived.get(&contact);
        let ended = self.book.ended.get(&contact).is_some_and(|(ended, _)| arrived.is_none_or(|arrived| arrived < ended));
        confirmed && held && !ended
    }

    fn draw(&mut self, session: SessionId, hears: &ConsoleHears) {
        let Some(screen) = self.screens.get_mut(&session) else { return };
        match hears {
            ConsoleHears::Offer(offer) => {
                screen.offers.insert(offer.id, Arc::clone(offer));
            }
            ConsoleHears::Withdrawn { offer } | ConsoleHears::Closed { offer, .. } => {
                screen.offers.remove(offer);
            }
            _ => {}
        }
    }
}
