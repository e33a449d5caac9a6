//! The life of a contact after its decision: a pure state machine on one thread.
//!
//! [`Engine`] owns every contact that has not ended, who holds it, and who sees it. It has three kinds of method. [`Engine::handle`]
//! takes one [`Input`] and writes what follows from it into [`Outputs`]; the edge carries those out in their order. The caller hands
//! in [`Input::Tick`] no later than [`Engine::next_deadline`], and again at once while that is not in the future. Everything else is
//! a getter.
//!
//! It deliberately does no routing (it asks for it with [`Output::Reroute`]), keeps no tables, reads no clock and speaks no format.
//!
//! # Invariants
//! - An offer goes out at once and says that it is unconfirmed. A promise (`Durable`, `Taken`, `Accepted`, `Closed`, `Ended`) is
//!   spoken only by a function that was given a journal receipt (`receipt.rs`).
//! - Whatever a promise is about was changed by a [`Fact`] first, and by nothing else (`life.rs`, `Life::apply`): the journal alone
//!   rebuilds it.
//! - An offer nobody has taken is on the screen of a seat that was asked, or it is counted in [`Engine::alarms`]. After
//!   [`Config::alarm_wait_micros_max`] it is counted there in any case.
//! - A call that somebody has taken or answered moves only when a person takes it elsewhere.
//! - Tests stand at desks of their own; no message about a test names a session of a person's desk.
//! - The same inputs with the same times give the same outputs.
//!
//! # The files
//! `arrive` a contact comes; `offer` who is asked, in turn; `ladder` when nobody answers; `console` what people do; `joint` what they do
//! together: notes, incidents, services added, shares handed over; `gateway` what gateways say and are told; `callback` callers who are
//! gone; `conversation` callers who write; `repeat` callers who call again; `suit` which seat of a room is asked first; `event`
//! what is declared; `reading` who looks without answering; `informed` callers who hear back; `promise` what the disk allows; `heal` what
//! it lost; `tick` what time brings; `recover` the journal read back. `life` is one contact, `floor` is who is there, `known` what is
//! remembered, `audit` counts everything anew.

mod arrive;
mod audit;
mod callback;
mod console;
mod conversation;
mod digest;
mod event;
mod floor;
mod gateway;
mod heal;
mod informed;
mod joint;
mod known;
mod ladder;
mod life;
mod offer;
mod past;
mod promise;
mod reading;
mod receipt;
mod recover;
mod repeat;
mod suit;
mod tick;
mod timers;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use crate::contact::{Contact, ContactKey};
use crate::decision::DecisionRecord;
use crate::deliver::{
    Callback, ConsoleHears, ConsoleSays, DispatcherState, Duty, Evidence, Fact, GatewayHears, HangUp, Note, OfferId, Said, Seat,
};
use crate::event::EventId;
use crate::incident::{IncidentId, Scene};
use crate::limits;
use crate::service::Service;
use crate::units::{ContactId, DispatcherId, Name, TablesVersion, Timestamp};

use event::EventLive;
use floor::{Floor, Session};
pub use heal::BY_ENGINE;
use known::Known;
pub use life::merge as merge_evidence;
use life::{Life, Part};
pub use past::{BadPast, EndedPiece, Head, Past, Piece};
use receipt::Receipts;
use tick::CatchUp;
use timers::Timers;

/// One open stream pair, numbered by the edge; never reused within a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// Everything the engine can be told.
#[derive(Clone, Debug)]
pub enum Input {
    /// A decided contact. The door has already answered its targets.
    Arrived {
        session: Option<SessionId>,
        contact: Arc<Contact>,
        decision: Arc<DecisionRecord>,
        handed_back: bool,
    },
    Evidence {
        session: Option<SessionId>,
        key: ContactKey,
        evidence: Evidence,
    },
    /// A sender speaks again under a key: news of the contact that lives under it, or a contact where none does any more. What comes
    /// after an end is nobody's evidence, and somebody may need help again.
    News {
        contact: Arc<Contact>,
        decision: Arc<DecisionRecord>,
    },
    /// Evidence that names its caller and no contact: about the newest live contact of the line, or the next that comes soon.
    LineEvidence {
        /// As in the decision's [`Caller`](crate::decision::Caller).
        line: Name,
        evidence: Evidence,
    },
    /// A caller says how the help was, 1 to 5 stars.
    Rated {
        contact: ContactId,
        stars: u8,
    },
    /// The answer to [`Output::Reroute`].
    Redecided {
        contact: ContactId,
        revision: u32,
        decision: Arc<DecisionRecord>,
    },
    Answered {
        session: SessionId,
        key: ContactKey,
        dispatcher: DispatcherId,
    },
    HungUp {
        session: SessionId,
        key: ContactKey,
        why: HangUp,
    },
    TargetFailed {
        session: SessionId,
        key: ContactKey,
        dispatcher: DispatcherId,
    },
    GatewayOpened {
        session: SessionId,
        gateway: Name,
    },
    ConsoleOpened {
        session: SessionId,
        seat: Seat,
        test: bool,
    },
    Console {
        session: SessionId,
        says: ConsoleSays,
    },
    SessionClosed {
        session: SessionId,
    },
    /// The journal holds every entry up to and including this sequence number.
    Stored {
        through: u64,
    },
    /// The journal failed: deliver on, say so. Nothing after `through` is held.
    StoreFailed {
        through: u64,
    },
    /// Entries the store never took were given up for good, because it was gone for too long. Nothing after them is promised until
    /// the store has come past them and the engine has written again what they said.
    Lost {
        first_seq: u64,
        last_seq: u64,
    },
    /// The rooms of the table set now in force, with what the engine needs of them.
    Rooms {
        rooms: Arc<Rooms>,
        by: Name,
    },
    State {
        dispatcher: DispatcherId,
        state: DispatcherState,
        by: Name,
    },
    Tick,
    /// A gateway says what became of a line for its caller.
    Delivered {
        session: SessionId,
        key: ContactKey,
        number: u32,
        delivered: bool,
    },
    /// As [`Input::ConsoleOpened`], for somebody who supervises the room.
    SupervisorOpened {
        session: SessionId,
        seat: Seat,
    },
    /// The session of somebody who sees everything and does nothing.
    AuditorOpened {
        session: SessionId,
        name: Name,
    },
    /// Another system was shown this contact: it is written down, once for each of them.
    Read {
        contact: ContactId,
        by: Seat,
        duty: Duty,
    },
}

/// What the engine needs to know of every dispatcher.
#[derive(Clone, Debug, Default)]
pub struct Rooms {
    pub version: TablesVersion,
    /// Sorted by id.
    pub rooms: Vec<Room>,
}

#[derive(Clone, Debug)]
pub struct Room {
    pub id: DispatcherId,
    /// What it is a room of, for an all-call.
    pub service: Service,
    /// After this long without a take, the next in the chain is asked.
    pub take_micros_max: u64,
    /// Contacts its seats can hold at once.
    pub capacity: u32,
    /// The SIP URI, for `Moved`.
    pub uri: Box<str>,
}

/// Everything the engine can ask of the edge.
#[derive(Clone, Debug)]
pub enum Output {
    ToGateway {
        session: SessionId,
        hears: GatewayHears,
    },
    ToConsole {
        session: SessionId,
        hears: ConsoleHears,
    },
    /// Append to the journal under this sequence number; rising by one, no gaps.
    Append {
        seq: u64,
        fact: Fact,
    },
    /// Run `route` on this revision and come back with [`Input::Redecided`].
    Reroute {
        contact: Arc<Contact>,
        revision: u32,
    },
    /// Publish a new snapshot under this number, with these states, sorted by id. Who is not named is active. Numbers rise within one
    /// run; after a crash, those of changes the journal never held are given again.
    Publish {
        snapshot: u64,
        states: Vec<(DispatcherId, DispatcherState)>,
    },
    /// Close this session: it broke the protocol, another took its place, or a bound was reached.
    Close {
        session: SessionId,
    },
}

/// A buffer for what follows from an input. Reused: drain it after every call.
#[derive(Debug, Default)]
pub struct Outputs {
    list: Vec<Output>,
}

impl Outputs {
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes everything out, in the order it is to be carried out.
    pub fn drain(&mut self) -> impl Iterator<Item = Output> + '_ {
        self.list.drain(..)
    }

    pub fn as_slice(&self) -> &[Output] {
        &self.list
    }

    pub fn len(&self) -> usize {
        self.list.len()
    }

    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    fn push(&mut self, output: Output) {
        self.list.push(output);
    }

    fn console(&mut self, session: SessionId, hears: ConsoleHears) {
        self.push(Output::ToConsole { session, hears });
    }
}

/// What an engine is run with. The defaults are those of [`crate::limits`].
#[derive(Clone, Debug)]
pub struct Config {
    /// The journal partition this engine owns.
    pub partition: u16,
    pub contacts_live_max: usize,
    pub sessions_max: usize,
    pub promises_max: usize,
    pub ended_kept_max: usize,
    pub orphans_max: usize,
    pub lease_micros_max: u64,
    pub journal_wait_micros_max: u64,
    pub shown_wait_micros_max: u64,
    pub recovery_wait_micros_max: u64,
    pub alarm_wait_micros_max: u64,
    pub repeat_wait_micros_max: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            partition: 0,
            contacts_live_max: limits::CONTACTS_LIVE_MAX,
            sessions_max: limits::SESSIONS_MAX,
            promises_max: limits::PROMISES_MAX,
            ended_kept_max: limits::ENDED_KEPT_MAX,
            orphans_max: limits::ORPHANS_MAX,
            lease_micros_max: limits::LEASE_MICROS_MAX,
            journal_wait_micros_max: limits::JOURNAL_WAIT_MICROS_MAX,
            shown_wait_micros_max: limits::SHOWN_WAIT_MICROS_MAX,
            recovery_wait_micros_max: limits::RECOVERY_WAIT_MICROS_MAX,
            alarm_wait_micros_max: limits::ALARM_WAIT_MICROS_MAX,
            repeat_wait_micros_max: limits::REPEAT_WAIT_MICROS_MAX,
        }
    }
}

/// Why an offer that nobody has taken needs somebody's eyes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alarm {
    /// Everybody was asked, and nobody has taken it. It stands until somebody does.
    EndOfChain,
    /// No seat is signed in at any room that was asked, nor at any other that could be.
    NoSeat,
}

/// How many offers of real contacts stand in alarm now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Alarms {
    pub end_of_chain: u64,
    pub no_seat: u64,
    /// Contacts whose decision names nobody at all. Any other value than zero is a defect of ours.
    pub undecided: u64,
}

/// What happened since the engine began. All of them only rise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    pub inputs: u64,
    pub arrived: u64,
    /// Arrivals that were contacts already known.
    pub duplicates: u64,
    pub handed_back: u64,
    /// Arrivals under a key that another contact had used.
    pub keys_reused: u64,
    /// Contacts beyond the bound of live ones: journaled, not offered.
    pub overflowed: u64,
    pub tests_sunk: u64,
    pub ended: u64,
    /// Offers put on a screen.
    pub offers_shown: u64,
    pub asked_declined: u64,
    pub asked_end_of_chain: u64,
    pub asked_full: u64,
    pub asked_no_seat: u64,
    pub asked_no_take: u64,
    pub asked_not_shown: u64,
    pub asked_target_failed: u64,
    pub asked_all_call: u64,
    pub asked_repeat: u64,
    pub asked_handed_over: u64,
    pub asked_no_text: u64,
    /// Screens rung again for an offer they already showed.
    pub alerts: u64,
    /// Contacts whose line had another contact that had not ended.
    pub repeats: u64,
    /// Callers who were gone and are to be called back.
    pub callbacks: u64,
    pub callbacks_done: u64,
    /// Holders told that another room is responsible now.
    pub transfers_proposed: u64,
    /// Shares that their holders handed to another room.
    pub handed_over: u64,
    /// Services that people asked for as well.
    pub services_added: u64,
    pub notes: u64,
    /// Lines that people wrote to callers.
    pub said: u64,
    /// Lines of callers beyond the bound of one conversation: kept as evidence, shown as no line.
    pub said_over: u64,
    /// Contacts that somebody looked at who holds no share of them.
    pub reads: u64,
    /// Shares whose units are on their way.
    pub dispatched: u64,
    /// Messages to callers that people released.
    pub informed: u64,
    /// Contacts that people, or a caller who called again, joined to an incident.
    pub joined: u64,
    /// Contacts that were told of another that may speak of the same event.
    pub related: u64,
    /// A full room was asked all the same, because nobody else was left.
    pub over_capacity: u64,
    pub taken: u64,
    pub accepted: u64,
    pub declined: u64,
    pub released: u64,
    pub closed: u64,
    pub leases_stale: u64,
    pub refused: u64,
    /// Refused because a bound was reached.
    pub refused_full: u64,
    pub moved: u64,
    pub target_failed: u64,
    pub evidence: u64,
    /// Evidence that came before its contact.
    pub evidence_early: u64,
    /// Early evidence that was dropped: no contact came, or no room was left.
    pub evidence_orphaned: u64,
    /// Evidence for a contact that has ended.
    pub evidence_late: u64,
    /// Evidence written under the old decision, because no new one came.
    pub evidence_undecided: u64,
    pub redecided: u64,
    pub decisions_stale: u64,
    /// New decisions that would have made a test of a caller, or named nobody: the evidence was kept, the decision was not.
    pub decisions_lowering: u64,
    pub overdue: u64,
    pub store_failures: u64,
    /// Entries the journal lost.
    pub entries_lost: u64,
    /// Contacts written again after a loss.
    pub written_again: u64,
    /// Gaps found in the journal when it was read back.
    pub journal_gaps: u64,
    /// Facts read back about contacts whose arrival was lost.
    pub facts_astray: u64,
    pub promises_kept: u64,
    /// Promises not queued because the disk has been gone too long: the gateway hands back.
    pub promises_cut: u64,
    pub sessions_refused: u64,
    /// Messages from sessions that did not open or sign in first, or that spoke of another gateway's contact.
    pub out_of_turn: u64,
    /// A gateway spoke of a contact that is not known.
    pub unknown_contact: u64,
    /// Ends that a gateway will not hear of again, because too many came while it was away.
    pub ends_forgotten: u64,
    /// Broken invariants. Any other value than zero is a defect of ours.
    pub internal: u64,
}

/// One offer as it stands, for queries and checks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfferView {
    pub id: OfferId,
    pub lead: bool,
    pub responsible: DispatcherId,
    pub asked: Vec<DispatcherId>,
    pub neighbours: Vec<DispatcherId>,
    pub holder: Option<Seat>,
    pub declined: bool,
    pub accepted: Option<Seat>,
    pub closed: Option<Seat>,
    pub dispatched: Option<Seat>,
}

/// One contact that has not ended, as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContactView {
    pub contact: Arc<Contact>,
    pub decision: Arc<DecisionRecord>,
    pub incident: IncidentId,
    /// The declared event it belongs to.
    pub event: Option<EventId>,
    pub arrived: Timestamp,
    pub hung_up: bool,
    /// The caller is to be called back, or was.
    pub callback: Option<Callback>,
    /// Another contact of the same line, and the seat that held it when this one came.
    pub repeat: Option<(ContactId, Option<Seat>)>,
    pub answered: Option<DispatcherId>,
    pub notes: Vec<Note>,
    /// Who writes, and what was written back.
    pub said: Vec<Said>,
    /// Contacts of its incident that have ended and are kept with it.
    pub left: Vec<ContactId>,
    /// Who saw it without holding a share.
    pub readers: Vec<(Seat, Duty)>,
    /// Who released a message to the caller.
    pub informed: Option<Seat>,
    pub offers: Vec<OfferView>,
}

/// The life of every contact of one journal partition.
#[derive(Debug)]
pub struct Engine {
    lives: BTreeMap<ContactId, Box<Life>>,
    core: Core,
}

/// Everything but the lives, so that one life and the rest can change together.
#[derive(Debug)]
struct Core {
    config: Config,
    /// The latest time an input came with; a clock that runs backwards stands still here.
    now: Timestamp,
    /// Of the newest entry, in days since 1970.
    day: u64,
    /// Of the newest entry.
    seq: u64,
    snapshot: u64,
    /// Every state that was ever set. Who is active again is published no more, but a lost fact about it must be said again.
    states: BTreeMap<DispatcherId, DispatcherState>,
    floor: Floor,
    known: Known,
    receipts: Receipts,
    timers: Timers,
    /// Arrivals the journal does not hold yet, in their order: when each is overdue.
    unstored: VecDeque<(Timestamp, u64, ContactId)>,
    catch_ups: BTreeMap<u64, CatchUp>,
    catch_up_last: u64,
    /// Offers nobody has taken, oldest contact first.
    waiting: BTreeSet<(Timestamp, OfferId)>,
    alarms: Alarms,
    /// Callers who are gone and were not called back so far, longest first.
    callbacks: BTreeSet<(Timestamp, ContactId)>,
    /// Live contacts by their caller's number, tests apart.
    lines: BTreeSet<(bool, Name, ContactId)>,
    /// Live contacts by their place.
    scene: Scene,
    /// Live contacts of incidents that somebody joined others to.
    incidents: BTreeMap<IncidentId, BTreeSet<ContactId>>,
    /// Contacts of those incidents that have ended: what their lives keep, by incident.
    incidents_left: BTreeMap<IncidentId, BTreeSet<ContactId>>,
    /// Ended just now while others of their incident live: who is to keep them is chosen before the input is done.
    leaving: Vec<(IncidentId, Vec<ContactId>)>,
    /// Declared events that are not over.
    events: BTreeMap<EventId, EventLive>,
    /// Until then seats have time to come back after a restart.
    recovering_until: Timestamp,
    /// Contacts whose decision names nobody. `route` is total, so there are none; if there is one, somebody must know.
    undecided: BTreeSet<ContactId>,
    store_failing: bool,
    counters: Counters,
}

// --- impl Engine ---

impl Engine {
    /// An engine with an empty journal.
    pub fn new(config: Config, rooms: &Rooms) -> Self {
        let core = Core {
            now: Timestamp::default(),
            day: 0,
            seq: 0,
            snapshot: 1,
            states: BTreeMap::new(),
            floor: Floor::new(rooms),
            known: Known::new(config.ended_kept_max, config.orphans_max),
            receipts: Receipts::default(),
            timers: Timers::default(),
            unstored: VecDeque::new(),
            catch_ups: BTreeMap::new(),
            catch_up_last: 0,
            waiting: BTreeSet::new(),
            alarms: Alarms::default(),
            callbacks: BTreeSet::new(),
            lines: BTreeSet::new(),
            scene: Scene::default(),
            incidents: BTreeMap::new(),
            incidents_left: BTreeMap::new(),
            leaving: Vec::new(),
            events: BTreeMap::new(),
            recovering_until: Timestamp::default(),
            undecided: BTreeSet::new(),
            store_failing: false,
            counters: Counters::default(),
            config,
        };
        Self { lives: BTreeMap::new(), core }
    }

    /// Takes one input; what follows from it is added to `out`.
    ///
    /// # Cost
    /// Logarithmic in the number of live contacts, and linear in the seats that see the contact. Long jobs are cut into slices that
    /// later ticks go on with.
    pub fn handle(&mut self, input: Input, now: Timestamp, out: &mut Outputs) {
        self.core.now = self.core.now.max(now);
        self.core.counters.inputs += 1;
        self.core.begin_day(out);
        match input {
            Input::Arrived { contact, decision, handed_back, .. } => {
                self.arrived(contact, decision, handed_back, out);
            }
            Input::Evidence { session, key, evidence } => self.evidence(session, &key, evidence, out),
            Input::LineEvidence { line, evidence } => self.line_evidence(line, evidence, out),
            Input::News { contact, decision } => self.news(contact, decision, out),
            Input::Redecided { contact, revision, decision } => self.redecided(contact, revision, decision, out),
            Input::Answered { session, key, dispatcher } => self.answered(session, &key, dispatcher, out),
            Input::HungUp { session, key, why } => self.hung_up(session, &key, why, out),
            Input::TargetFailed { session, key, dispatcher } => self.target_failed(session, &key, dispatcher, out),
            Input::GatewayOpened { session, gateway } => self.gateway_opened(session, gateway, out),
            Input::ConsoleOpened { session, seat, test } => self.core.console_opened(session, seat, test, out),
            Input::Console { session, says } => self.console(session, says, out),
            Input::SessionClosed { session } => self.session_closed(session, out),
            Input::Stored { through } => self.stored(through, out),
            Input::StoreFailed { through } => self.core.store_failed(through),
            Input::Lost { first_seq, last_seq } => self.core.lost(first_seq, last_seq, out),
            Input::Rooms { rooms, by } => self.core.rooms_changed(&rooms, by, out),
            Input::Rated { contact, stars } => self.core.rated(contact, stars, out),
            Input::State { dispatcher, state, by } => self.core.state_changed(dispatcher, state, by, out),
            Input::Tick => self.tick(out),
            Input::Delivered { session, key, number, delivered } => self.delivered(session, &key, number, delivered, out),
            Input::SupervisorOpened { session, seat } => self.core.supervisor_opened(session, seat, out),
            Input::AuditorOpened { session, name } => drop(self.core.admit(session, Session::Auditor { name, signed_in: false }, out)),
            Input::Read { contact, by, duty } => self.read_by(contact, by, duty, out),
        }
        self.keep_those_who_left(out);
    }

    /// When [`Input::Tick`] is needed next; not in the future when there is work to do at once.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let overdue = self.core.unstored.front().map(|(due, ..)| *due);
        let orphan = self.core.known.next_orphan_due();
        [self.core.timers.next_at(), overdue, orphan].into_iter().flatten().min()
    }
}

// --- getters ---

impl Engine {
    /// Contacts that have not ended, or whose end is not in the journal yet.
    pub fn live_contacts(&self) -> usize {
        self.lives.len()
    }

    /// Offers that nobody has taken.
    pub fn waiting_offers(&self) -> usize {
        self.core.waiting.len()
    }

    /// When the contact arrived whose offer has waited longest.
    pub fn waiting_oldest(&self) -> Option<Timestamp> {
        self.core.waiting.first().map(|(at, _)| *at)
    }

    /// Callers who are gone and were not called back so far.
    pub fn callbacks_waiting(&self) -> usize {
        self.core.callbacks.len()
    }

    /// Since when the caller is gone who has waited longest to be called back.
    pub fn callback_oldest(&self) -> Option<Timestamp> {
        self.core.callbacks.first().map(|(since, _)| *since)
    }

    pub fn alarms(&self) -> Alarms {
        Alarms { undecided: self.core.undecided.len() as u64, ..self.core.alarms }
    }

    pub fn counters(&self) -> &Counters {
        &self.core.counters
    }

    pub fn sessions(&self) -> usize {
        self.core.floor.sessions.len()
    }

    /// Seats that are signed in and heard from.
    pub fn is_staffed(&self, dispatcher: DispatcherId) -> bool {
        self.core.floor.room_of(&dispatcher).is_some_and(|room| self.core.floor.is_staffed(room, false))
    }

    /// Promises that wait for the disk.
    pub fn promises_waiting(&self) -> usize {
        self.core.receipts.waiting_count()
    }

    /// Contacts that have ended and are remembered.
    pub fn remembered_contacts(&self) -> usize {
        self.core.known.ended_count()
    }

    /// Contacts whose evidence is here and they are not.
    pub fn orphans(&self) -> usize {
        self.core.known.orphan_count()
    }

    /// The sequence number of the newest entry, 0 before the first.
    pub fn last_seq(&self) -> u64 {
        self.core.seq
    }

    /// Everything the journal lost has been written again, or nothing was.
    pub fn is_whole(&self) -> bool {
        self.core.receipts.is_whole()
    }

    /// The store failed and has not stored since.
    pub fn store_failing(&self) -> bool {
        self.core.store_failing
    }

    /// The number of the snapshot to be published, and the states in it.
    pub fn published(&self) -> (u64, Vec<(DispatcherId, DispatcherState)>) {
        (self.core.snapshot, self.core.states_list())
    }

    pub fn contact(&self, contact: ContactId) -> Option<ContactView> {
        self.lives.get(&contact).map(|life| self.core.view(life))
    }

    /// Every live contact from `after` on, in the order of their ids.
    pub fn contacts_after(&self, after: ContactId) -> impl Iterator<Item = ContactView> + '_ {
        use std::ops::Bound::{Excluded, Unbounded};
        self.lives.range((Excluded(after), Unbounded)).map(|(_, life)| self.core.view(life))
    }

    /// The alarm of one offer, when it has one.
    pub fn alarm(&self, offer: OfferId) -> Option<Alarm> {
        let life = self.lives.get(&offer.contact)?;
        life.parts.get(life.position(offer.service)?)?.alarm
    }
}

// --- impl Core ---

impl Core {
    /// Changes a life by a fact and writes the fact down. Nothing else changes what the journal must be able to rebuild.
    fn record(&mut self, life: &mut Life, fact: Fact, out: &mut Outputs) -> u64 {
        life.apply(self.seq + 1, &fact, &mut self.floor);
        self.append(fact, out)
    }

    fn append(&mut self, fact: Fact, out: &mut Outputs) -> u64 {
        self.seq += 1;
        out.push(Output::Append { seq: self.seq, fact });
        self.seq
    }

    /// The sequence number the next entry will have.
    fn next_seq(&self) -> u64 {
        self.seq + 1
    }

    fn is_stored(&self, seq: u64) -> bool {
        self.receipts.covers(seq).is_some()
    }

    fn states_list(&self) -> Vec<(DispatcherId, DispatcherState)> {
        self.states.iter().filter(|(_, state)| **state != DispatcherState::Active).map(|(id, state)| (*id, *state)).collect()
    }

    fn state_changed(&mut self, dispatcher: DispatcherId, state: DispatcherState, by: Name, out: &mut Outputs) {
        self.append(Fact::State { at: self.now, dispatcher, state, by }, out);
        self.set_state(dispatcher, state);
        self.publish(out);
    }

    fn set_state(&mut self, dispatcher: DispatcherId, state: DispatcherState) {
        if self.states.len() < limits::DISPATCHERS_MAX || self.states.contains_key(&dispatcher) {
            self.states.insert(dispatcher, state);
        } else {
            self.counters.internal += 1;
        }
    }

    fn rooms_changed(&mut self, rooms: &Rooms, by: Name, out: &mut Outputs) {
        self.append(Fact::Tables { at: self.now, version: rooms.version, by }, out);
        self.floor.refurnish(rooms);
        self.publish(out);
    }

    fn publish(&mut self, out: &mut Outputs) {
        self.snapshot += 1;
        out.push(Output::Publish { snapshot: self.snapshot, states: self.states_list() });
    }

    /// A new session finds room, or is closed.
    fn admit(&mut self, session: SessionId, kind: Session, out: &mut Outputs) -> bool {
        let full = self.floor.sessions.len() >= self.config.sessions_max && !self.floor.sessions.contains_key(&session);
        if full {
            self.counters.sessions_refused += 1;
            out.push(Output::Close { session });
        } else {
            self.floor.sessions.insert(session, kind);
        }
        !full
    }

    fn view(&self, life: &Life) -> ContactView {
        let room = |index: &floor::RoomIndex| self.floor.room(*index).id;
        let offer = |part: &Part| OfferView {
            id: life.offer_id(part),
            lead: part.lead,
            responsible: room(&part.responsible),
            asked: part.asked_rooms().map(|index| room(&index)).collect(),
            neighbours: part.neighbours.iter().map(room).collect(),
            holder: part.holder.map(|seat| self.floor.seat_name(seat)),
            declined: part.declined,
            accepted: part.accepted.map(|(seat, _)| self.floor.seat_name(seat)),
            closed: part.closed.map(|(seat, _)| self.floor.seat_name(seat)),
            dispatched: part.dispatched.map(|(seat, _)| self.floor.seat_name(seat)),
        };
        ContactView {
            contact: Arc::clone(&life.contact),
            decision: Arc::clone(&life.decision),
            incident: self.incident_of(life),
            event: life.event,
            arrived: life.arrived,
            hung_up: life.hung_up.is_some(),
            callback: callback::callback(life),
            repeat: life.repeat.map(|(earlier, seat)| (earlier, seat.map(|seat| self.floor.seat_name(seat)))),
            answered: life.answered.as_ref().map(room),
            notes: life.notes.iter().map(|(_, note)| note.clone()).collect(),
            said: life.conversation.said().cloned().collect(),
            left: life.left.clone(),
            readers: life.readers.clone(),
            informed: life.informed.map(|(by, _)| by),
            offers: life.parts.iter().map(offer).collect(),
        }
    }
}
