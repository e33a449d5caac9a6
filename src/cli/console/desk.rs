//! What a seat knows: its offers as the engine last told them, which one is chosen, and what the keys mean now.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::cli::screen::Key;
use crate::deliver::{
    AlertWhy, CallbackOutcome, ConsoleHears, ConsoleSays, Delivery, Event, HangUp, Offer, OfferId, Role, Said, Seat, WaitingWhy,
};
use crate::event::{EventArea, EventId, EventTerms};
use crate::geo::point::Point;
use crate::limits::{COMMAND_REASON_BYTES_MAX, EVENT_WORDS_BYTES_MAX, NOTE_BYTES_MAX, SAID_BYTES_MAX, SAID_SHOWN_MAX};
use crate::service::Service;
use crate::tables::snapshot::Tables;
use crate::units::{ContactId, DispatcherId, Name, TablesVersion, Timestamp};

/// Reasons offered for a close.
const CLOSE_REASON: &str = "done";

const NO_MESSAGE: &str = "no message may go to this caller: told already, quiet, a test, or no number of their own";
const NO_TEXT: &str = "this caller did not write: there is nowhere to answer in writing";

/// How the line is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LineState {
    Lost(String),
    Open,
    Refused(String),
}

/// What can come of calling back, under the digits 1 to 5.
pub const OUTCOMES: [(CallbackOutcome, &str); 5] = [
    (CallbackOutcome::HelpNeeded, "help needed"),
    (CallbackOutcome::NoHelpNeeded, "no help needed"),
    (CallbackOutcome::NoAnswer, "no answer"),
    (CallbackOutcome::NoNumber, "no number"),
    (CallbackOutcome::CalledAgain, "called again"),
];

/// An offer on the screen.
#[derive(Clone, Debug)]
pub struct Shown {
    pub offer: Arc<Offer>,
    pub hung_up: Option<HangUp>,
    /// New evidence makes this room responsible for what is held here.
    pub transfer_to: Option<DispatcherId>,
    /// A command was said and its answer is awaited.
    pub asked: Option<&'static str>,
}

/// In which group an offer stands; the order is the order on the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// Nobody has taken it, and this room is asked.
    Waiting,
    /// The caller is gone, and nobody has taken it to call back.
    Callback,
    Mine,
    /// Another seat has it.
    Others,
    /// This room is only told.
    Told,
}

/// For what words are typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Typing {
    /// The reason.
    Decline,
    /// A room, and after it the reason.
    HandOver,
    Note,
    /// Minutes, kilometres around the contact, and what is happening.
    Event,
    /// A line to a caller who writes.
    Say,
}

/// Services that a digit adds, in the order of their digits from 1.
pub const ADDED: [Service; 5] = [Service::Police, Service::Ambulance, Service::CivilDefence, Service::CoastGuard, Service::SearchRescue];

/// What follows from a message.
#[derive(Debug, Default)]
pub struct Follow {
    pub says: Vec<ConsoleSays>,
    pub rings: bool,
}

/// What a key asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Ask {
    Leave,
    Nothing,
    Say(ConsoleSays),
}

pub struct Desk {
    pub seat: Seat,
    pub tables: Arc<Tables>,
    pub line: LineState,
    /// When the line last changed.
    pub line_since: Timestamp,
    /// The engine's tables.
    pub engine_tables: Option<TablesVersion>,
    offers: BTreeMap<OfferId, Shown>,
    /// What callers who write and we have said.
    conversations: BTreeMap<ContactId, Vec<Said>>,
    /// Declared events that are not over.
    pub events: BTreeMap<EventId, Event>,
    /// Contacts of others that this seat has said it reads.
    read: BTreeSet<ContactId>,
    chosen: Option<OfferId>,
    /// What is being typed, and about which offer.
    pub typing: Option<(OfferId, Typing, String)>,
    /// What came of calling back is asked for.
    pub outcome: Option<OfferId>,
    /// The person may declare events.
    pub supervises: bool,
    /// The page of keys is open.
    pub help: bool,
    pub note: String,
}

impl Shown {
    pub fn awaits_callback(&self) -> bool {
        self.offer.callback.is_some_and(|callback| callback.outcome.is_none())
    }

    fn callback_is_final(&self) -> bool {
        self.offer.callback.and_then(|callback| callback.outcome).is_some_and(CallbackOutcome::is_final)
    }
}

impl Desk {
    pub fn new(seat: Seat, tables: Arc<Tables>) -> Self {
        Self {
            seat,
            tables,
            line: LineState::Lost("connecting".into()),
            line_since: Timestamp::default(),
            engine_tables: None,
            offers: BTreeMap::new(),
            conversations: BTreeMap::new(),
            events: BTreeMap::new(),
            read: BTreeSet::new(),
            chosen: None,
            typing: None,
            outcome: None,
            supervises: false,
            help: false,
            note: String::new(),
        }
    }

    pub fn seat_name(&self) -> String {
        format!("{}/{}", self.seat.dispatcher, self.seat.seat)
    }

    pub fn line(&mut self, state: LineState, now: Timestamp) {
        if state != self.line {
            (self.line, self.line_since) = (state, now);
        }
    }

    /// Waiting first, oldest first; then mine, others', told.
    pub fn list(&self) -> Vec<&Shown> {
        let mut list: Vec<&Shown> = self.offers.values().collect();
        // What stands in alarm is above what only waits; a callback's clock runs from when the caller was gone.
        let clock = |shown: &Shown| shown.offer.callback.map_or(shown.offer.contact.received, |callback| callback.since);
        list.sort_by_key(|shown| (self.group(shown), !self.is_alarm(shown), clock(shown), shown.offer.id));
        list
    }

    pub fn group(&self, shown: &Shown) -> Group {
        match (shown.offer.held_by, shown.offer.role) {
            (Some(by), _) if by == self.seat => Group::Mine,
            (Some(_), _) => Group::Others,
            (None, _) if shown.offer.accepted => Group::Others,
            (None, Role::Neighbour) => Group::Told,
            (None, _) if shown.awaits_callback() => Group::Callback,
            (None, _) => Group::Waiting,
        }
    }

    pub fn is_alarm(&self, shown: &Shown) -> bool {
        shown.offer.alarm && shown.offer.held_by.is_none() && !shown.offer.accepted
    }

    /// The chosen offer; the first of the list when the one that was chosen is gone.
    pub fn chosen(&self) -> Option<&Shown> {
        self.chosen.and_then(|id| self.offers.get(&id)).or_else(|| self.list().first().copied())
    }

    // --- what the engine says ---

    pub fn heard(&mut self, hears: ConsoleHears, _now: Timestamp) -> Follow {
        let mut follow = Follow::default();
        match hears {
            ConsoleHears::SignedIn { tables, .. } => {
                // What is still true is shown again; what is not must not stay on the page.
                self.offers.clear();
                self.conversations.clear();
                self.events.clear();
                self.read.clear();
                self.engine_tables = Some(tables);
            }
            ConsoleHears::Offer(offer) => follow = self.offered(offer),
            ConsoleHears::Confirmed { contact } => {
                for shown in self.offers.values_mut().filter(|shown| shown.offer.id.contact == contact) {
                    change(shown, |offer| offer.confirmed = true);
                }
            }
            ConsoleHears::Changed { contact, decision, .. } => {
                for shown in self.offers.values_mut().filter(|shown| shown.offer.id.contact == contact) {
                    change(shown, |offer| offer.decision = Arc::clone(&decision));
                }
                self.note = "a decision changed: new evidence".into();
            }
            ConsoleHears::Taken { offer, by } => self.with(offer, |shown| {
                (shown.asked, shown.transfer_to) = (None, None);
                change(shown, |offer| (offer.held_by, offer.alarm) = (Some(by), false));
            }),
            ConsoleHears::Accepted { offer, by } => self.with(offer, |shown| {
                shown.asked = None;
                change(shown, |offer| (offer.held_by, offer.accepted) = (Some(by), true));
            }),
            ConsoleHears::Waiting { offer, why } => self.with(offer, |shown| {
                shown.asked = None;
                if why != WaitingWhy::Declined {
                    change(shown, |offer| (offer.held_by, offer.accepted) = (None, false));
                }
            }),
            ConsoleHears::Dispatched { offer, .. } => self.with(offer, |shown| {
                shown.asked = None;
                change(shown, |offer| offer.dispatched = true);
            }),
            ConsoleHears::Informed { contact, .. } => {
                for shown in self.offers.values_mut().filter(|shown| shown.offer.id.contact == contact) {
                    shown.asked = None;
                    change(shown, |offer| offer.may_inform = false);
                }
            }
            ConsoleHears::Withdrawn { offer } | ConsoleHears::Closed { offer, .. } => {
                self.offers.remove(&offer);
                if self.offers.keys().all(|other| other.contact != offer.contact) {
                    self.conversations.remove(&offer.contact);
                }
            }
            ConsoleHears::Conversation { contact, said } => drop(self.conversations.insert(contact, said)),
            ConsoleHears::Said { contact, said } => {
                // What a caller writes to whoever holds the contact is waited for.
                follow.rings = said.by.is_none() && self.holds(contact) && !self.is_quiet(contact);
                self.add_said(contact, said);
            }
            ConsoleHears::Declared { event } => drop(self.events.insert(event.id, event)),
            ConsoleHears::EventOver { event, .. } => drop(self.events.remove(&event)),
            ConsoleHears::Delivered { contact, number, delivered } => {
                let lines = self.conversations.get_mut(&contact).into_iter().flatten();
                lines.filter(|said| said.number == number).for_each(|said| said.delivery = Delivery::of(delivered));
            }
            ConsoleHears::CallerHungUp { contact, why } => {
                for shown in self.offers.values_mut().filter(|shown| shown.offer.id.contact == contact) {
                    shown.hung_up = Some(why);
                }
            }
            ConsoleHears::Alert { offer, why } => self.with(offer, |shown| {
                if why == AlertWhy::AllCall {
                    change(shown, |offer| offer.alarm = true);
                }
                follow.rings = !shown.offer.decision.quiet;
            }),
            ConsoleHears::CalledBack { offer, outcome, .. } => self.with(offer, |shown| {
                shown.asked = None;
                change(shown, |offer| offer.callback.iter_mut().for_each(|callback| callback.outcome = Some(outcome)));
            }),
            ConsoleHears::Proposed { offer, to } => {
                self.with(offer, |shown| shown.transfer_to = Some(to));
                self.note = format!("new evidence: {to} is responsible now; d hands it over");
            }
            ConsoleHears::CaughtUp => {}
            ConsoleHears::Noted { contact, note } => {
                self.note = format!("{}/{} notes: {}", note.by.dispatcher, note.by.seat, note.text);
                for shown in self.offers.values_mut().filter(|shown| shown.offer.id.contact == contact) {
                    change(shown, |offer| offer.notes.push(note.clone()));
                }
            }
            ConsoleHears::Related { contact, candidates } => {
                for shown in self.offers.values_mut().filter(|shown| shown.offer.id.contact == contact) {
                    change(shown, |offer| offer.candidates.clone_from(&candidates));
                }
            }
            ConsoleHears::Shares { contact, shares } => {
                for shown in self.offers.values_mut().filter(|shown| shown.offer.id.contact == contact) {
                    change(shown, |offer| offer.shares.clone_from(&shares));
                }
            }
            ConsoleHears::MembersEnded { contact, ended } => {
                for shown in self.offers.values_mut().filter(|shown| shown.offer.id.contact == contact) {
                    change(shown, |offer| offer.ended.clone_from(&ended));
                }
            }
            ConsoleHears::Joined { contact, incident, contacts, .. } => {
                for shown in self.offers.values_mut().filter(|shown| shown.offer.id.contact == contact) {
                    change(shown, |offer| {
                        offer.incident = incident;
                        offer.joined = contacts.iter().copied().filter(|other| *other != contact).collect();
                        offer.candidates.retain(|candidate| candidate.incident != incident);
                    });
                }
            }
            ConsoleHears::Refused { offer, why } => {
                if let Some(offer) = offer {
                    self.with(offer, |shown| shown.asked = None);
                }
                self.note = format!("refused: {}", refusal(why));
            }
        }
        follow
    }

    fn offered(&mut self, offer: Arc<Offer>) -> Follow {
        let known = self.offers.get(&offer.id);
        let is_asked = offer.rings && offer.role != Role::Neighbour && !self.is_anothers_first(&offer);
        let rings = known.is_none() && offer.held_by.is_none() && is_asked && !offer.decision.quiet;
        let (hung_up, transfer_to) = known.map_or((None, None), |shown| (shown.hung_up, shown.transfer_to));
        let id = offer.id;
        self.offers.insert(id, Shown { offer, hung_up, transfer_to, asked: None });
        Follow { says: vec![ConsoleSays::Shown { offer: id }], rings }
    }

    /// The lines of a contact that came by text.
    pub fn conversation(&self, contact: ContactId) -> &[Said] {
        self.conversations.get(&contact).map_or(&[], Vec::as_slice)
    }

    fn add_said(&mut self, contact: ContactId, said: Said) {
        let lines = self.conversations.entry(contact).or_default();
        if lines.last().is_none_or(|last| last.number < said.number) {
            lines.push(said);
            let spare = lines.len().saturating_sub(SAID_SHOWN_MAX);
            lines.drain(..spare);
        }
    }

    fn of_contact(&self, contact: ContactId) -> impl Iterator<Item = &Shown> {
        self.offers.values().filter(move |shown| shown.offer.id.contact == contact)
    }

    fn holds(&self, contact: ContactId) -> bool {
        self.of_contact(contact).any(|shown| shown.offer.held_by == Some(self.seat))
    }

    fn is_quiet(&self, contact: ContactId) -> bool {
        self.of_contact(contact).any(|shown| shown.offer.decision.quiet)
    }

    /// What the person has chosen to look at is in others' hands: that is said once.
    fn looked_at(&mut self) -> Ask {
        let chosen = self.chosen.and_then(|id| self.offers.get(&id));
        let Some(shown) = chosen.filter(|shown| matches!(self.group(shown), Group::Others | Group::Told)) else { return Ask::Nothing };
        let contact = shown.offer.id.contact;
        if self.read.insert(contact) { Ask::Say(ConsoleSays::Read { contact }) } else { Ask::Nothing }
    }

    /// A repeat caller whom another seat knows: it rings here only when that seat has had its time.
    fn is_anothers_first(&self, offer: &Offer) -> bool {
        let waits = |until: Timestamp| until > Timestamp::default() || offer.role == Role::Repeat;
        offer.repeat.is_some_and(|repeat| repeat.held_by.is_some_and(|by| by != self.seat) && waits(repeat.until))
    }

    fn with(&mut self, offer: OfferId, change: impl FnOnce(&mut Shown)) {
        if let Some(shown) = self.offers.get_mut(&offer) {
            change(shown);
        }
    }

    // --- what the person does ---

    pub fn pressed(&mut self, key: Key, now: Timestamp) -> Ask {
        if std::mem::take(&mut self.help) {
            return Ask::Nothing;
        }
        if let Some((offer, what, text)) = self.typing.take() {
            return self.typed(offer, what, text, key, now);
        }
        if let Some(offer) = self.outcome.take() {
            return self.outcome_chosen(offer, key);
        }
        self.note.clear();
        if let (Key::Char('E'), true, Some(event)) = (&key, self.supervises, self.events.keys().next().copied()) {
            return Ask::Say(ConsoleSays::EndEvent { event });
        }
        match key {
            Key::Quit | Key::Char('q') => return Ask::Leave,
            Key::Down => return self.step(1),
            Key::Up => return self.step(-1),
            Key::Char('?') => self.help = true,
            Key::Char(c) => return self.command(c),
            _ => {}
        }
        Ask::Nothing
    }

    fn step(&mut self, by: isize) -> Ask {
        let list: Vec<OfferId> = self.list().iter().map(|shown| shown.offer.id).collect();
        let at = self.chosen().and_then(|shown| list.iter().position(|id| *id == shown.offer.id)).unwrap_or(0);
        let next = at.saturating_add_signed(by).min(list.len().saturating_sub(1));
        self.chosen = list.get(next).copied();
        self.looked_at()
    }

    fn command(&mut self, c: char) -> Ask {
        let Some(shown) = self.chosen() else { return Ask::Nothing };
        let (id, group, accepted, called) = (shown.offer.id, self.group(shown), shown.offer.accepted, shown.callback_is_final());
        let (to_call, writes) = (shown.awaits_callback(), shown.offer.contact.door.is_text());
        let may_inform = shown.offer.may_inform;
        let mine = group == Group::Mine;
        let (says, asked) = match c {
            't' if !mine => (ConsoleSays::Take { offer: id }, "taking"),
            'a' if mine && !accepted => (ConsoleSays::Accept { offer: id }, "accepting"),
            'r' if mine => (ConsoleSays::Release { offer: id }, "releasing"),
            'b' if mine && to_call => {
                (self.chosen, self.outcome) = (Some(id), Some(id));
                return Ask::Nothing;
            }
            'b' if mine => return self.say_why_not("nobody is to be called back here"),
            'c' if mine && (accepted || called) => (ConsoleSays::Close { offer: id, reason: CLOSE_REASON.into() }, "closing"),
            'd' if mine || matches!(group, Group::Waiting | Group::Callback) => {
                return self.begin(id, Typing::Decline);
            }
            'u' if mine && accepted => (ConsoleSays::Dispatched { offer: id }, "dispatching"),
            'i' if mine && may_inform => (ConsoleSays::Inform { offer: id }, "telling the caller"),
            'i' if mine => return self.say_why_not(NO_MESSAGE),
            'w' if !writes => return self.say_why_not(NO_TEXT),
            'w' if mine => return self.begin(id, Typing::Say),
            'f' if mine => return self.begin(id, Typing::HandOver),
            'e' | 'E' if !self.supervises => return self.say_why_not("only who supervises declares events: --supervisor"),
            'e' => return self.begin(id, Typing::Event),
            'n' => return self.begin(id, Typing::Note),
            'j' => return self.join(id),
            'x' => return Ask::Say(ConsoleSays::Split { contact: id.contact }),
            '1'..='9' => return self.add(id, c),
            'u' if mine => return self.say_why_not("accept it first: a"),
            'a' | 'b' | 'f' | 'i' | 'r' | 'u' | 'w' if !mine => return self.say_why_not("take it first: t"),
            'c' if mine => return self.say_why_not("accept it first: a"),
            'c' => return self.say_why_not("take it first: t"),
            _ => return Ask::Nothing,
        };
        // The page stays on this one while its group changes.
        self.chosen = Some(id);
        self.with(id, |shown| shown.asked = Some(asked));
        Ask::Say(says)
    }

    /// The digit of an outcome, as [`OUTCOMES`] lists them; any other key leaves it.
    fn outcome_chosen(&mut self, offer: OfferId, key: Key) -> Ask {
        let Key::Char(c) = key else { return Ask::Nothing };
        let index = c.to_digit(10).and_then(|digit| usize::try_from(digit).ok()?.checked_sub(1));
        let Some((outcome, _)) = index.and_then(|index| OUTCOMES.get(index)) else {
            return self.say_why_not("nothing was said");
        };
        self.with(offer, |shown| shown.asked = Some("calling back"));
        Ask::Say(ConsoleSays::CalledBack { offer, outcome: *outcome, reason: Box::default() })
    }

    fn say_why_not(&mut self, why: &str) -> Ask {
        self.note = why.to_owned();
        Ask::Nothing
    }

    fn begin(&mut self, offer: OfferId, what: Typing) -> Ask {
        self.chosen = Some(offer);
        self.typing = Some((offer, what, String::new()));
        Ask::Nothing
    }

    /// Joins the chosen contact with the likeliest that was proposed.
    fn join(&mut self, offer: OfferId) -> Ask {
        match self.offers.get(&offer).and_then(|shown| shown.offer.candidates.first()) {
            Some(candidate) => Ask::Say(ConsoleSays::Join { contact: offer.contact, with: candidate.contact }),
            None => self.say_why_not("no other contact is proposed as the same event"),
        }
    }

    fn add(&mut self, offer: OfferId, digit: char) -> Ask {
        let index = digit.to_digit(10).and_then(|digit| usize::try_from(digit).ok()?.checked_sub(1));
        match index.and_then(|index| ADDED.get(index)) {
            Some(service) => Ask::Say(ConsoleSays::AddService { contact: offer.contact, service: *service }),
            None => Ask::Nothing,
        }
    }

    fn typed(&mut self, offer: OfferId, what: Typing, mut text: String, key: Key, now: Timestamp) -> Ask {
        let bytes_max = match what {
            Typing::Note => NOTE_BYTES_MAX,
            Typing::Say => SAID_BYTES_MAX,
            Typing::Event => EVENT_WORDS_BYTES_MAX,
            Typing::Decline | Typing::HandOver => COMMAND_REASON_BYTES_MAX,
        };
        match key {
            Key::Escape | Key::Quit => return Ask::Nothing,
            Key::Enter => match self.said(offer, what, text.trim(), now) {
                Ok(says) => return Ask::Say(says),
                Err(why) => self.note = why,
            },
            Key::Backspace => {
                text.pop();
            }
            Key::Char(c) if text.len() + c.len_utf8() <= bytes_max => text.push(c),
            _ => {}
        }
        self.typing = Some((offer, what, text));
        Ask::Nothing
    }

    fn said(&mut self, offer: OfferId, what: Typing, text: &str, now: Timestamp) -> Result<ConsoleSays, String> {
        match what {
            Typing::Decline if text.is_empty() => Err("a decline needs a reason; Esc leaves it".into()),
            Typing::Decline => {
                self.with(offer, |shown| shown.asked = Some("declining"));
                Ok(ConsoleSays::Decline { offer, reason: text.into() })
            }
            Typing::Event => {
                let place = self.offers.get(&offer).and_then(|shown| super::page::point_of(&shown.offer.contact));
                let (center, ..) = place.ok_or("this contact has no place; choose another; Esc leaves it")?;
                let terms =
                    event_terms(text, center, now).ok_or("minutes, kilometres and words, as: 60 2 pile-up in fog; Esc leaves it")?;
                Ok(ConsoleSays::Declare { terms })
            }
            Typing::Note if text.is_empty() => Err("a note needs words; Esc leaves it".into()),
            Typing::Say if text.is_empty() => Err("nothing was written; Esc leaves it".into()),
            Typing::Say => Ok(ConsoleSays::Say { contact: offer.contact, text: text.into() }),
            Typing::Note => Ok(ConsoleSays::Note { contact: offer.contact, text: text.into() }),
            Typing::HandOver => {
                let (room, reason) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
                let room = room.to_ascii_uppercase();
                let known = Name::new(&room).filter(|room| self.tables.dispatchers.find(room.as_str()).is_some());
                let to = known.ok_or_else(|| format!("no room is called {room}; Esc leaves it"))?;
                if reason.trim().is_empty() {
                    return Err("a hand-over needs a reason after the room; Esc leaves it".into());
                }
                self.with(offer, |shown| shown.asked = Some("handing over"));
                Ok(ConsoleSays::Transfer { offer, to, reason: reason.trim().into() })
            }
        }
    }
}

/// `60 2.5 pile-up in fog`: for how many minutes, within how many kilometres of the contact, and what is happening. Words with Arabic
/// letters are told as Arabic.
fn event_terms(text: &str, center: Point, now: Timestamp) -> Option<EventTerms> {
    let (minutes, rest) = text.split_once(char::is_whitespace)?;
    let (km, words) = rest.trim_start().split_once(char::is_whitespace)?;
    let minutes = minutes.parse::<u64>().ok().filter(|minutes| (1..=1_440).contains(minutes))?;
    let km = km.parse::<f64>().ok().filter(|km| (0.1..=100.0).contains(km))?;
    let words: Box<str> = Some(words.trim()).filter(|words| !words.is_empty())?.into();
    let is_arabic = words.chars().any(|letter| ('\u{600}'..='\u{6ff}').contains(&letter));
    let (words_en, words_ar) = if is_arabic { (Box::default(), words) } else { (words, Box::default()) };
    let (area, until) = (EventArea::Circle { center, radius_cm: (km * 100_000.0) as u32 }, now.plus_micros(minutes * 60_000_000));
    Some(EventTerms { area, words_en, words_ar, types: Vec::new(), until })
}

fn change(shown: &mut Shown, change: impl FnOnce(&mut Offer)) {
    change(Arc::make_mut(&mut shown.offer));
}

const fn refusal(why: crate::deliver::Refusal) -> &'static str {
    use crate::deliver::Refusal;
    match why {
        Refusal::HeldByAnother => "another seat holds it",
        Refusal::NotYours => "it is another dispatcher's",
        Refusal::Unknown => "it has ended",
        Refusal::OutOfTurn => "not now",
        Refusal::Malformed => "the engine could not read it",
        Refusal::Full => "a bound is reached",
        Refusal::Forbidden => "the certificate does not allow it",
        Refusal::Unstaffed => "nobody else is signed in there",
        Refusal::NoText => NO_TEXT,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contact::{Contact, ContactKey, Door};
    use crate::decision::DecisionRecord;
    use crate::deliver::{Callback, Repeat};
    use crate::incident::{Because, Candidate, IncidentId};
    use crate::units::{ContactId, Ppm};

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    fn seat() -> Seat {
        Seat { dispatcher: name("DU-POL"), seat: name("1") }
    }

    fn desk() -> Desk {
        Desk::new(seat(), crate::edge::tables::load_or_shipped(None).unwrap().tables)
    }

    fn offer(id: u128, received: u64) -> Arc<Offer> {
        let contact = Contact::new(ContactId(id), ContactKey::default(), Timestamp::from_secs(received), Door::SipVoice);
        Arc::new(Offer::new(
            OfferId { contact: ContactId(id), service: Service::Police },
            Arc::new(contact),
            Arc::new(DecisionRecord::default()),
            name("DU-POL"),
            Role::Responsible,
        ))
    }

    fn press(desk: &mut Desk, key: Key) -> Ask {
        desk.pressed(key, Timestamp::from_secs(1_000))
    }

    fn hear(desk: &mut Desk, hears: ConsoleHears) -> Follow {
        desk.heard(hears, Timestamp::default())
    }

    #[test]
    fn what_waits_longest_stands_on_top_and_what_is_taken_below() {
        let mut desk = desk();
        for (id, received) in [(1, 30), (2, 10), (3, 20)] {
            assert!(hear(&mut desk, ConsoleHears::Offer(offer(id, received))).rings);
        }
        let ids = |desk: &Desk| desk.list().iter().map(|shown| shown.offer.id.contact.0).collect::<Vec<_>>();
        assert_eq!(ids(&desk), [2, 3, 1]);
        let taken = offer(2, 10).id;
        hear(&mut desk, ConsoleHears::Taken { offer: taken, by: seat() });
        assert_eq!(ids(&desk), [3, 1, 2]);
    }

    #[test]
    fn a_new_offer_rings_and_is_shown_and_a_quiet_or_known_one_does_not_ring() {
        let mut desk = desk();
        let follow = hear(&mut desk, ConsoleHears::Offer(offer(1, 1)));
        assert_eq!(follow.says, [ConsoleSays::Shown { offer: offer(1, 1).id }]);
        assert!(!hear(&mut desk, ConsoleHears::Offer(offer(1, 1))).rings);
        let mut quiet = Offer::clone(&offer(2, 1));
        quiet.decision = Arc::new(DecisionRecord { quiet: true, ..DecisionRecord::default() });
        assert!(!hear(&mut desk, ConsoleHears::Offer(Arc::new(quiet))).rings);
    }

    #[test]
    fn an_offer_is_mine_only_when_the_engine_says_so() {
        let mut desk = desk();
        hear(&mut desk, ConsoleHears::Offer(offer(1, 1)));
        let id = offer(1, 1).id;
        assert_eq!(press(&mut desk, Key::Char('t')), Ask::Say(ConsoleSays::Take { offer: id }));
        assert_eq!(press(&mut desk, Key::Char('a')), Ask::Nothing);
        hear(&mut desk, ConsoleHears::Taken { offer: id, by: seat() });
        assert_eq!(press(&mut desk, Key::Char('a')), Ask::Say(ConsoleSays::Accept { offer: id }));
        assert_eq!(press(&mut desk, Key::Char('c')), Ask::Nothing, "not before it is accepted");
        hear(&mut desk, ConsoleHears::Accepted { offer: id, by: seat() });
        assert!(matches!(press(&mut desk, Key::Char('c')), Ask::Say(ConsoleSays::Close { .. })));
        hear(&mut desk, ConsoleHears::Closed { offer: id, by: seat() });
        assert!(desk.list().is_empty());
    }

    #[test]
    fn a_decline_needs_a_reason_and_keys_are_text_while_it_is_typed() {
        let mut desk = desk();
        hear(&mut desk, ConsoleHears::Offer(offer(1, 1)));
        press(&mut desk, Key::Char('d'));
        assert_eq!(press(&mut desk, Key::Enter), Ask::Nothing);
        for c in "q busy".chars() {
            assert_eq!(press(&mut desk, Key::Char(c)), Ask::Nothing);
        }
        let said = press(&mut desk, Key::Enter);
        assert_eq!(said, Ask::Say(ConsoleSays::Decline { offer: offer(1, 1).id, reason: "q busy".into() }));
        assert_eq!(press(&mut desk, Key::Char('q')), Ask::Leave);
    }

    fn with(id: u128, received: u64, change: impl FnOnce(&mut Offer)) -> ConsoleHears {
        let mut offer = Offer::clone(&offer(id, received));
        change(&mut offer);
        ConsoleHears::Offer(Arc::new(offer))
    }

    fn gone(since: u64) -> Option<Callback> {
        Some(Callback { why: HangUp::Caller, since: Timestamp::from_secs(since), number: None, outcome: None })
    }

    #[test]
    fn alarms_stand_above_all_and_callers_to_call_back_in_a_group_of_their_own_by_their_own_clock() {
        let mut desk = desk();
        hear(&mut desk, with(1, 10, |_| {}));
        hear(&mut desk, with(2, 1, |offer| offer.callback = gone(40)));
        hear(&mut desk, with(3, 2, |offer| offer.callback = gone(30)));
        hear(&mut desk, with(4, 20, |_| {}));
        assert!(hear(&mut desk, ConsoleHears::Alert { offer: offer(4, 20).id, why: AlertWhy::AllCall }).rings);
        let ids: Vec<u128> = desk.list().iter().map(|shown| shown.offer.id.contact.0).collect();
        assert_eq!(ids, [4, 1, 3, 2]);
        let groups: Vec<Group> = desk.list().iter().map(|shown| desk.group(shown)).collect();
        assert_eq!(groups, [Group::Waiting, Group::Waiting, Group::Callback, Group::Callback]);
    }

    #[test]
    fn a_share_is_handed_to_a_room_that_exists_with_a_reason_and_a_note_is_what_was_typed() {
        let mut desk = desk();
        hear(&mut desk, ConsoleHears::Offer(offer(1, 1)));
        let id = offer(1, 1).id;
        assert_eq!(press(&mut desk, Key::Char('f')), Ask::Nothing, "not before it is taken");
        hear(&mut desk, ConsoleHears::Taken { offer: id, by: seat() });
        let type_in = |desk: &mut Desk, first: char, text: &str| {
            press(desk, Key::Char(first));
            text.chars().for_each(|c| drop(press(desk, Key::Char(c))));
            press(desk, Key::Enter)
        };
        assert_eq!(type_in(&mut desk, 'f', "nowhere it burns"), Ask::Nothing);
        press(&mut desk, Key::Escape);
        assert_eq!(type_in(&mut desk, 'f', "sh-pol"), Ask::Nothing, "a reason is needed");
        press(&mut desk, Key::Escape);
        let hand = ConsoleSays::Transfer { offer: id, to: name("SH-POL"), reason: "across the road".into() };
        assert_eq!(type_in(&mut desk, 'f', "sh-pol across the road"), Ask::Say(hand));
        let note = ConsoleSays::Note { contact: id.contact, text: "two cars".into() };
        assert_eq!(type_in(&mut desk, 'n', " two cars"), Ask::Say(note));
    }

    #[test]
    fn a_digit_adds_a_service_and_j_joins_with_what_was_proposed() {
        let mut desk = desk();
        let contact = ContactId(1);
        hear(&mut desk, ConsoleHears::Offer(offer(1, 1)));
        assert_eq!(press(&mut desk, Key::Char('3')), Ask::Say(ConsoleSays::AddService { contact, service: Service::CivilDefence }));
        assert_eq!(press(&mut desk, Key::Char('9')), Ask::Nothing);
        assert_eq!(press(&mut desk, Key::Char('j')), Ask::Nothing, "nothing is proposed");
        let incident = IncidentId::begun_by(0, 7);
        let candidates = vec![Candidate {
            contact: ContactId(7),
            incident,
            score: Ppm(900_000),
            because: Because::default(),
            distance_m: 5,
            apart_secs: 1,
        }];
        hear(&mut desk, ConsoleHears::Related { contact, candidates });
        assert_eq!(press(&mut desk, Key::Char('j')), Ask::Say(ConsoleSays::Join { contact, with: ContactId(7) }));
        hear(&mut desk, ConsoleHears::Joined { contact, incident, contacts: vec![ContactId(7), contact], by: None });
        let shown = desk.chosen().unwrap();
        assert_eq!((shown.offer.joined.as_slice(), shown.offer.candidates.len()), ([ContactId(7)].as_slice(), 0));
        assert_eq!(press(&mut desk, Key::Char('x')), Ask::Say(ConsoleSays::Split { contact }));
    }

    #[test]
    fn a_callback_is_taken_and_its_outcome_chosen_by_a_digit() {
        let mut desk = desk();
        let id = offer(1, 1).id;
        hear(&mut desk, with(1, 1, |offer| offer.callback = gone(2)));
        assert_eq!(press(&mut desk, Key::Char('b')), Ask::Nothing, "not before it is taken");
        assert_eq!(press(&mut desk, Key::Char('t')), Ask::Say(ConsoleSays::Take { offer: id }));
        hear(&mut desk, ConsoleHears::Taken { offer: id, by: seat() });
        assert_eq!(press(&mut desk, Key::Char('b')), Ask::Nothing);
        assert_eq!(press(&mut desk, Key::Char('9')), Ask::Nothing, "no such outcome");
        press(&mut desk, Key::Char('b'));
        let says = ConsoleSays::CalledBack { offer: id, outcome: CallbackOutcome::NoAnswer, reason: Box::default() };
        assert_eq!(press(&mut desk, Key::Char('3')), Ask::Say(says));
        hear(&mut desk, ConsoleHears::CalledBack { offer: id, by: seat(), outcome: CallbackOutcome::NoAnswer });
        assert_eq!(press(&mut desk, Key::Char('b')), Ask::Nothing, "it was done");
    }

    #[test]
    fn a_repeat_caller_rings_at_the_seat_that_knows_the_case_and_here_only_when_it_is_our_turn() {
        let mut desk = desk();
        let other = Seat { dispatcher: name("SH-POL"), seat: name("1") };
        let again = |by| Repeat { earlier: ContactId(9), held_by: Some(by), until: Timestamp::from_secs(5) };
        assert!(!hear(&mut desk, with(1, 1, |offer| offer.repeat = Some(again(other)))).rings);
        assert!(hear(&mut desk, ConsoleHears::Alert { offer: offer(1, 1).id, why: AlertWhy::YourTurn }).rings);
        assert!(hear(&mut desk, with(2, 1, |offer| offer.repeat = Some(again(seat())))).rings);
    }

    fn typed(desk: &mut Desk, text: &str) -> Ask {
        text.chars().for_each(|c| drop(press(desk, Key::Char(c))));
        press(desk, Key::Enter)
    }

    #[test]
    fn a_caller_who_writes_is_answered_in_writing_and_what_they_write_rings() {
        let mut desk = desk();
        let contact = ContactId(1);
        hear(&mut desk, with(1, 1, |_| {}));
        press(&mut desk, Key::Char('t'));
        hear(&mut desk, ConsoleHears::Taken { offer: offer(1, 1).id, by: seat() });
        assert_eq!(press(&mut desk, Key::Char('w')), Ask::Nothing, "a voice call is not written to");
        assert!(desk.typing.is_none() && desk.note == NO_TEXT);
        let mut text = Offer::clone(&offer(1, 1));
        Arc::make_mut(&mut text.contact).door = Door::Sms;
        text.held_by = Some(seat());
        hear(&mut desk, ConsoleHears::Offer(Arc::new(text)));
        let line = |number, by| Said { number, at: Timestamp::from_secs(2), by, text: "x".into(), delivery: Delivery::Pending };
        assert!(hear(&mut desk, ConsoleHears::Said { contact, said: line(1, None) }).rings);
        press(&mut desk, Key::Char('w'));
        assert_eq!(typed(&mut desk, "where are you?"), Ask::Say(ConsoleSays::Say { contact, text: "where are you?".into() }));
        assert!(!hear(&mut desk, ConsoleHears::Said { contact, said: line(2, Some(seat())) }).rings);
        hear(&mut desk, ConsoleHears::Delivered { contact, number: 2, delivered: true });
        let lines: Vec<_> = desk.conversation(contact).iter().map(|said| said.delivery).collect();
        assert_eq!(lines, [Delivery::Pending, Delivery::Delivered]);
    }

    #[test]
    fn units_are_on_their_way_only_after_help_was_accepted() {
        let mut desk = desk();
        hear(&mut desk, with(1, 1, |offer| offer.held_by = Some(seat())));
        assert_eq!(press(&mut desk, Key::Char('u')), Ask::Nothing);
        hear(&mut desk, ConsoleHears::Accepted { offer: offer(1, 1).id, by: seat() });
        assert_eq!(press(&mut desk, Key::Char('u')), Ask::Say(ConsoleSays::Dispatched { offer: offer(1, 1).id }));
    }

    #[test]
    fn looking_at_what_another_holds_is_said_once() {
        let mut desk = desk();
        let other = Seat { dispatcher: name("DU-POL"), seat: name("2") };
        hear(&mut desk, with(1, 1, |offer| offer.held_by = Some(seat())));
        hear(&mut desk, with(2, 2, |offer| offer.held_by = Some(other)));
        assert_eq!(press(&mut desk, Key::Down), Ask::Say(ConsoleSays::Read { contact: ContactId(2) }));
        assert_eq!((press(&mut desk, Key::Up), press(&mut desk, Key::Down)), (Ask::Nothing, Ask::Nothing));
    }

    #[test]
    fn an_event_is_declared_around_the_chosen_contact_by_who_supervises() {
        use crate::contact::{ClaimSource, LocationClaim, Place, Whose};
        let mut desk = desk();
        let center = Point::from_degrees(25.1, 55.2).unwrap();
        let mut here = Offer::clone(&offer(1, 1));
        let place = Place::point(center);
        let claim = LocationClaim { whose: Whose::Caller, place, source: ClaimSource::DeviceFix, age_secs: 0, confidence: Ppm::ONE };
        Arc::make_mut(&mut here.contact).claims.push(claim);
        hear(&mut desk, ConsoleHears::Offer(Arc::new(here)));
        assert_eq!(press(&mut desk, Key::Char('e')), Ask::Nothing);
        assert!(desk.typing.is_none(), "a dispatcher declares nothing");
        desk.supervises = true;
        press(&mut desk, Key::Char('e'));
        assert_eq!(typed(&mut desk, "fog"), Ask::Nothing, "{}", desk.note);
        press(&mut desk, Key::Escape);
        press(&mut desk, Key::Char('e'));
        let Ask::Say(ConsoleSays::Declare { terms }) = typed(&mut desk, "30 2 pile-up in fog") else { panic!("{}", desk.note) };
        assert_eq!(terms.area, EventArea::Circle { center, radius_cm: 200_000 });
        assert_eq!((&*terms.words_en, terms.until), ("pile-up in fog", Timestamp::from_secs(1_000 + 30 * 60)));
        let id = EventId { partition: 0, seq: 4 };
        hear(&mut desk, ConsoleHears::Declared { event: Event { id, at: Timestamp::from_secs(1_000), by: seat(), terms } });
        assert_eq!(press(&mut desk, Key::Char('E')), Ask::Say(ConsoleSays::EndEvent { event: id }));
    }

    #[test]
    fn a_question_mark_opens_the_page_of_keys_and_any_key_leaves_it_without_doing_anything() {
        let mut desk = desk();
        hear(&mut desk, with(1, 1, |_| {}));
        press(&mut desk, Key::Char('?'));
        assert!(desk.help);
        assert_eq!(press(&mut desk, Key::Char('t')), Ask::Nothing);
        assert!(!desk.help);
    }

    #[test]
    fn signing_in_again_clears_what_may_no_longer_be_true() {
        let mut desk = desk();
        hear(&mut desk, ConsoleHears::Offer(offer(1, 1)));
        hear(&mut desk, ConsoleHears::SignedIn { seat: seat(), tables: TablesVersion::default() });
        assert!(desk.list().is_empty());
    }

    #[test]
    fn the_chosen_offer_stays_chosen_when_it_moves_in_the_list() {
        let mut desk = desk();
        for id in 1..=3 {
            hear(&mut desk, ConsoleHears::Offer(offer(id, id as u64)));
        }
        press(&mut desk, Key::Down);
        assert_eq!(desk.chosen().unwrap().offer.id.contact.0, 2);
        press(&mut desk, Key::Char('t'));
        hear(&mut desk, ConsoleHears::Taken { offer: offer(2, 2).id, by: seat() });
        assert_eq!(desk.chosen().unwrap().offer.id.contact.0, 2);
    }
}
