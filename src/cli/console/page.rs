//! The page of a seat: the list with its clocks, and everything about the chosen contact.

use std::net::SocketAddr;

use super::desk::{Desk, Group, LineState, OUTCOMES, Shown, Typing};
use crate::cli::screen::{Line, Look, clip, columns_of, isolated, plain, wait_of};
use crate::contact::{Contact, Door, Place, Signal};
use crate::decision::DecisionRecord;
use crate::deliver::{Delivery, Event, Said, Share};
use crate::event::EventTerms;
use crate::geo::makani;
use crate::geo::point::Point;
use crate::incident::Because;
use crate::tables::near;
use crate::tables::snapshot::Tables;
use crate::units::{DispatcherId, Timestamp};

/// Waits from which a clock is yellow, and red, in microseconds.
const WAIT_LONG: u64 = 5_000_000;
const WAIT_TOO_LONG: u64 = 10_000_000;
/// Lines of the page that neither list nor details need.
const FRAME_LINES: usize = 5;
/// The list never takes more than this part of the page.
const LIST_SHARE: usize = 2;

pub fn page(desk: &Desk, addr: SocketAddr, now: Timestamp, (width, height): (usize, usize)) -> Vec<Line> {
    if desk.help {
        return help(width, height);
    }
    let list = desk.list();
    let chosen = desk.chosen().map(|shown| shown.offer.id);
    let mut lines = vec![head(desk, addr, now, width), counts(desk, &list, now, width)];
    lines.extend(events(desk, now, width));
    let room = (height.saturating_sub(FRAME_LINES) / LIST_SHARE).max(1);
    let at = chosen.and_then(|id| list.iter().position(|shown| shown.offer.id == id)).unwrap_or(0);
    // The first waiting one is always in view when the list is cut: it is on top, and the cursor moves the rest.
    let from = at.saturating_sub(room.saturating_sub(1));
    for shown in list.iter().skip(from).take(room) {
        lines.push(row(desk, shown, Some(shown.offer.id) == chosen, now, width));
    }
    if list.is_empty() {
        lines.push(Line::text(Look::Dim, "No contacts. A new one rings."));
    }
    lines.push(Line::text(Look::Dim, "─".repeat(width)));
    if let Some(shown) = desk.chosen() {
        lines.extend(details(desk, shown, now, width));
    }
    lines.truncate(height.saturating_sub(2));
    lines.resize(height.saturating_sub(2), Line::new());
    let note = Line::new().column(if desk.note.is_empty() { Look::Plain } else { Look::Warning }, &desk.note, width);
    lines.push(note);
    lines.push(keys(desk, width));
    lines
}

fn head(desk: &Desk, addr: SocketAddr, now: Timestamp, width: usize) -> Line {
    let name = desk.tables.dispatchers.find(desk.seat.dispatcher.as_str()).and_then(|index| desk.tables.dispatchers.get(index));
    let name = name.map_or("", |room| &room.name_en);
    let since = wait_of(now.micros_since(desk.line_since));
    let (look, line) = match &desk.line {
        LineState::Open => (Look::Good, format!("line open, {addr}")),
        LineState::Lost(why) => (Look::Alarm, format!("LINE LOST {since} ago, trying {addr}: {why}")),
        LineState::Refused(why) => (Look::Alarm, format!("REFUSED by {addr}: {why}")),
    };
    let start = Line::text(Look::Bold, format!("{} ", desk.seat_name())).with(Look::Plain, format!("{name}  "));
    let left = width.saturating_sub(start.columns());
    start.with(look, clip(&line, left))
}

fn counts(desk: &Desk, list: &[&Shown], now: Timestamp, width: usize) -> Line {
    let count = |wanted: Group| list.iter().filter(|shown| desk.group(shown) == wanted).count();
    let oldest = list.first().filter(|shown| desk.group(shown) == Group::Waiting);
    let line = match oldest {
        None => Line::text(Look::Plain, "Longest waiting: ").with(Look::Good, "nobody"),
        Some(shown) => {
            let waited = now.micros_since(shown.offer.contact.received);
            Line::text(Look::Plain, "Longest waiting: ").with(look_of_wait(waited), wait_of(waited))
        }
    };
    let alarms = list.iter().filter(|shown| desk.is_alarm(shown)).count();
    let line = if alarms > 0 { line.with(Look::Alarm, format!("  ALARM {alarms}")) } else { line };
    let counts = format!(
        "waiting {}  to call back {}  mine {}  others' {}  told {}",
        count(Group::Waiting),
        count(Group::Callback),
        count(Group::Mine),
        count(Group::Others),
        count(Group::Told)
    );
    line.right(Look::Plain, &counts, width)
}

/// What is declared, and for how long still.
fn events(desk: &Desk, now: Timestamp, width: usize) -> Vec<Line> {
    let one = |event: &Event| {
        let EventTerms { words_en, words_ar, until, .. } = &event.terms;
        let words = if words_en.is_empty() { words_ar } else { words_en };
        let left = wait_of(until.micros_since(now));
        Line::text(Look::Warning, format!("EVENT {} ", event.id)).words(Look::Warning, &format!("{} ({left} more)", plain(words)), width)
    };
    desk.events.values().map(one).collect()
}

const fn look_of_wait(micros: u64) -> Look {
    match micros {
        WAIT_TOO_LONG.. => Look::Alarm,
        WAIT_LONG.. => Look::Warning,
        _ => Look::Bold,
    }
}

// --- the list ---

fn row(desk: &Desk, shown: &Shown, chosen: bool, now: Timestamp, width: usize) -> Line {
    let offer = &shown.offer;
    let group = desk.group(shown);
    let since = offer.callback.filter(|_| group == Group::Callback).map_or(offer.contact.received, |callback| callback.since);
    let waited = now.micros_since(since);
    let (look, state) = match (group, shown.asked) {
        (_, Some(asked)) => (Look::Dim, asked.to_owned()),
        (Group::Waiting | Group::Callback, None) if desk.is_alarm(shown) => (Look::Alarm, "ALARM".to_owned()),
        (Group::Callback, None) => (Look::Warning, "call back".to_owned()),
        (Group::Mine, None) if shown.awaits_callback() => (Look::Warning, "call back".to_owned()),
        (Group::Waiting, None) => (Look::Bold, "waits".to_owned()),
        (Group::Mine, None) if offer.dispatched => (Look::Good, "on the way".to_owned()),
        (Group::Mine, None) if offer.accepted => (Look::Good, "accepted".to_owned()),
        (Group::Mine, None) => (Look::Good, "mine".to_owned()),
        (Group::Others, None) => (Look::Dim, offer.held_by.map_or("taken".to_owned(), |by| format!("{}/{}", by.dispatcher, by.seat))),
        (Group::Told, None) => (Look::Dim, "told".to_owned()),
    };
    // Data from before the line broke is shown as what it is: old.
    let aged = desk.line != LineState::Open;
    let dim = |look: Look| if aged { Look::Dim } else { look };
    let clock = if matches!(group, Group::Waiting | Group::Callback) { look_of_wait(waited) } else { Look::Dim };
    let line = Line::new()
        .column(if chosen { Look::Reverse } else { Look::Plain }, if chosen { ">" } else { " " }, 1)
        .with(dim(clock), format!("{:>8} ", wait_of(waited)))
        .column(dim(look), &state, 11)
        .column(dim(Look::Plain), offer.id.service.word(), 14)
        .column(dim(Look::Plain), &short_place(&desk.tables, &offer.contact, &offer.decision), 24)
        .with(Look::Plain, " ");
    let quiet = if offer.decision.quiet { "QUIET " } else { "" };
    let gone = shown.hung_up.map_or(String::new(), |why| format!("{} ", why.word()));
    let event = if offer.event.is_some() { "EVENT " } else { "" };
    let again = if offer.repeat.is_some() { "AGAIN " } else { "" };
    line.with(dim(Look::Warning), format!("{event}{quiet}{again}{gone}")).words(dim(Look::Plain), &words_of(&offer.contact), width)
}

fn words_of(contact: &Contact) -> String {
    let words = contact.signals.iter().filter_map(|signal| match signal {
        Signal::Words(words) => Some(plain(words)),
        Signal::Event(event) => Some(plain(event)),
        _ => None,
    });
    words.collect::<Vec<_>>().join(" / ")
}

// --- details ---

fn details(desk: &Desk, shown: &Shown, now: Timestamp, width: usize) -> Vec<Line> {
    let offer = &shown.offer;
    let (contact, decision) = (&offer.contact, &offer.decision);
    let mut lines = Vec::new();
    let mut say = |title: &str, text: String, look: Look| {
        if !text.is_empty() {
            wrap(&text, width.saturating_sub(11)).into_iter().enumerate().for_each(|(at, part)| {
                let title = if at == 0 { title } else { "" };
                lines.push(Line::new().column(Look::Dim, title, 11).with(look, part));
            });
        }
    };
    let words = words_of(contact);
    let conversation = desk.conversation(shown.offer.id.contact);
    if conversation.is_empty() {
        say("words", if words.is_empty() { "(none)".into() } else { words }, Look::Bold);
    }
    for said in conversation.iter().skip(conversation.len().saturating_sub(SAID_LINES)) {
        let (title, look) = if said.by.is_some() { ("we", Look::Plain) } else { ("caller", Look::Bold) };
        say(title, format!("{}{}", plain(&said.text), delivery(said)), look);
    }
    say("who", who(contact, now), Look::Plain);
    say("where", long_place(&desk.tables, contact, decision), Look::Plain);
    say("needs", needs(&desk.tables, decision), Look::Plain);
    say("services", services(shown), Look::Plain);
    say("also told", told(&desk.tables, decision), Look::Plain);
    let odd: Vec<&str> = decision.discrepancies.iter().map(|code| code.as_str()).collect();
    say("odd", odd.join(", "), Look::Warning);
    for note in &offer.notes {
        say("note", format!("{}/{}: {}", note.by.dispatcher, note.by.seat, plain(&note.text)), Look::Bold);
    }
    say("alike", alike(shown), Look::Warning);
    say("incident", joined(shown), Look::Plain);
    say("call back", callback(shown, now), Look::Warning);
    say("again", repeat(shown), Look::Warning);
    say(
        "transfer",
        shown.transfer_to.map_or(String::new(), |to| format!("{} is responsible now; d hands it over", room_name(&desk.tables, to))),
        Look::Warning,
    );
    say("manner", manner(shown), Look::Warning);
    let responsible =
        if offer.responsible == desk.seat.dispatcher { String::new() } else { format!("{} is responsible", offer.responsible) };
    let unconfirmed = if offer.confirmed { "" } else { "not in the journal yet" };
    say(
        "offer",
        [responsible.as_str(), unconfirmed].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join("; "),
        Look::Warning,
    );
    say("because", decision.reasons.join("; "), Look::Dim);
    lines
}

/// Lines of a conversation that the page shows: the details below must be seen too.
const SAID_LINES: usize = 8;

/// What the person who wrote must know of a line.
const fn delivery(said: &Said) -> &'static str {
    match said.delivery {
        Delivery::Pending => " (not delivered yet)",
        Delivery::Failed => " (CANNOT BE DELIVERED)",
        Delivery::Delivered => "",
    }
}

fn who(contact: &Contact, now: Timestamp) -> String {
    let mut parts = vec![door(contact.door).to_owned()];
    parts.extend(contact.line.as_deref().map(|line| format!("line {}", plain(line))));
    parts.extend(contact.lang.and_then(|lang| core::str::from_utf8(&lang).ok().map(|lang| format!("speaks {lang}"))));
    for signal in &contact.signals {
        match signal {
            Signal::Dialled(digits) => parts.push(format!("dialled {}", plain(digits))),
            Signal::ECall { occupants: Some(count), .. } => parts.push(format!("{count} people in the car")),
            Signal::Silence { secs } => parts.push(format!("silent for {secs} s")),
            Signal::CallBack => parts.push("wants to be called".into()),
            Signal::Verified(true) => parts.push("verified by an alarm centre".into()),
            _ => {}
        }
    }
    parts.extend(contact.cell.as_deref().map(|cell| format!("cell {}", plain(cell))));
    parts.push(format!("{} ago", wait_of(now.micros_since(contact.received))));
    parts.join(", ")
}

const fn door(door: Door) -> &'static str {
    match door {
        Door::App => "app",
        Door::Cap => "alert message",
        Door::FirePanel => "fire panel",
        Door::IntruderPanel => "intruder panel",
        Door::Relay => "relay for deaf people",
        Door::SipECall => "car's crash sensor",
        Door::SipVoice => "voice call",
        Door::Sms => "SMS",
    }
}

fn area_name(tables: &Tables, decision: &DecisionRecord) -> String {
    let Some(area) = decision.area else { return "area unknown".into() };
    let name = tables.find_area(area.as_str()).and_then(|index| tables.area(index));
    name.map_or_else(|| area.to_string(), |area| area.name_en.to_string())
}

pub fn point_of(contact: &Contact) -> Option<(Point, u32, u32)> {
    let best = contact.claims.iter().filter(|claim| matches!(claim.place, Place::Shape(_))).min_by_key(|claim| claim.source)?;
    match &best.place {
        Place::Shape(shape) => Some((shape.representative(), shape.reach_cm(), best.age_secs)),
        Place::Makani(_) => None,
    }
}

fn short_place(tables: &Tables, contact: &Contact, decision: &DecisionRecord) -> String {
    match point_of(contact).and_then(|(point, ..)| nearest(tables, point)) {
        Some(near) => near.short(),
        None => area_name(tables, decision),
    }
}

fn long_place(tables: &Tables, contact: &Contact, decision: &DecisionRecord) -> String {
    let mut parts = vec![area_name(tables, decision)];
    if let Some((point, reach_cm, age_secs)) = point_of(contact) {
        parts.extend(nearest(tables, point).map(|near| near.long()));
        parts.push(format!("{:.5} N {:.5} E", point.lat_degrees(), point.lon_degrees()));
        if reach_cm > 0 {
            parts.push(format!("within {}", distance(reach_cm)));
        }
        if age_secs > 0 {
            parts.push(format!("{age_secs} s old"));
        }
    }
    for claim in &contact.claims {
        if let Place::Makani(digits) = &claim.place {
            parts.push(format!("Makani {}", makani::written(*digits)));
        }
    }
    parts.push(format!("known by {}", decision.rung));
    parts.join(", ")
}

/// The named place nearest to a point, as people say it.
pub struct Near {
    pub name: String,
    pub distance_cm: u32,
    /// From the place to the point.
    pub direction: &'static str,
    is_here: bool,
}

impl Near {
    fn short(&self) -> String {
        if self.is_here { self.name.clone() } else { format!("{} {} {}", distance(self.distance_cm), self.direction, self.name) }
    }

    fn long(&self) -> String {
        if self.is_here {
            format!("at {}", self.name)
        } else {
            format!("{} {} of {}", distance(self.distance_cm), self.direction, self.name)
        }
    }
}

pub fn nearest(tables: &Tables, point: Point) -> Option<Near> {
    let found = near::nearest(tables, point)?;
    let (name, direction) = (found.place.name_en.to_string(), found.direction.word());
    Some(Near { name, distance_cm: found.distance_cm, direction, is_here: found.is_here() })
}

fn distance(cm: u32) -> String {
    match cm / 100 {
        metres @ 0..1_000 => format!("{metres} m"),
        metres => format!("{:.1} km", f64::from(metres) / 1e3),
    }
}

fn room_name(tables: &Tables, id: DispatcherId) -> String {
    let room = tables.dispatchers.find(id.as_str()).and_then(|index| tables.dispatchers.get(index));
    room.map_or_else(|| id.to_string(), |room| format!("{id} ({})", room.name_en))
}

fn needs(tables: &Tables, decision: &DecisionRecord) -> String {
    let mut parts: Vec<String> = decision.incident_type.map(|kind| format!("type {kind}")).into_iter().collect();
    parts.extend(decision.priority.map(|priority| format!("priority {priority}")));
    for assigned in &decision.services {
        let lead = if assigned.lead { " leads" } else { "" };
        let sure = assigned.probability.filter(|ppm| ppm.0 < 990_000).map_or(String::new(), |ppm| format!(" P {:.2}", ppm.as_f64()));
        parts.push(format!("{}{lead}{sure}", room_name(tables, assigned.dispatcher)));
    }
    parts.join(", ")
}

/// How far every service has come, where there are several.
fn services(shown: &Shown) -> String {
    let shares = &shown.offer.shares;
    let one = |share: &Share| {
        let by = share.held_by.map_or_else(|| share.responsible.to_string(), |by| format!("{}/{}", by.dispatcher, by.seat));
        let far = match (share.held_by, share) {
            (_, Share { closed: true, .. }) => "closed",
            (_, Share { dispatched: true, .. }) => "on the way",
            (_, Share { accepted: true, .. }) => "accepted",
            (Some(_), _) => "taken",
            (None, _) => "nobody yet",
        };
        format!("{} {by} {far}", share.service)
    };
    if shares.len() < 2 { String::new() } else { shares.iter().map(one).collect::<Vec<_>>().join(", ") }
}

fn told(tables: &Tables, decision: &DecisionRecord) -> String {
    let one = |neighbour: &crate::decision::NeighbourRecord| {
        let sure = neighbour.probability.map_or(String::new(), |ppm| format!(" P {:.2}", ppm.as_f64()));
        format!("{}{sure}, {}", room_name(tables, neighbour.dispatcher), neighbour.why)
    };
    decision.neighbours.iter().map(one).collect::<Vec<_>>().join("; ")
}

/// The task of a caller who is gone: since when, and the number to call or that there is none.
fn callback(shown: &Shown, now: Timestamp) -> String {
    let Some(callback) = shown.offer.callback else { return String::new() };
    let since = wait_of(now.micros_since(callback.since));
    let number = match callback.number {
        Some(number) if shown.offer.decision.quiet => format!("do not ring {number}: write"),
        Some(number) => format!("call {number}"),
        None => "there is no number to call".to_owned(),
    };
    let outcome = callback.outcome.map_or(String::new(), |outcome| format!("; done: {}", outcome.word()));
    format!("{} {since} ago; {number}{outcome}", callback.why.word())
}

/// What may be the same event, and why.
fn alike(shown: &Shown) -> String {
    let one = |candidate: &crate::incident::Candidate| {
        let Because { near, soon: _, same_type, words, same_line } = candidate.because;
        let why = [("near", near), ("same type", same_type), ("same words", words), ("same caller", same_line)];
        let why: Vec<&str> = why.into_iter().filter(|(_, holds)| *holds).map(|(word, _)| word).collect();
        format!(
            "{}, {} away, {} s apart ({})",
            candidate.incident,
            distance(candidate.distance_m * 100),
            candidate.apart_secs,
            why.join(", ")
        )
    };
    let all: Vec<String> = shown.offer.candidates.iter().map(one).collect();
    if all.is_empty() { String::new() } else { format!("{}; j joins", all.join("; ")) }
}

fn joined(shown: &Shown) -> String {
    let contacts = |count: usize| if count == 1 { "one other contact".to_owned() } else { format!("{count} other contacts") };
    // Its screen may not have heard yet that one of them has ended.
    let open = shown.offer.joined.iter().filter(|id| !shown.offer.ended.contains(id)).count();
    let mut parts = Vec::new();
    parts.extend((open > 0).then(|| format!("with {}", contacts(open))));
    parts.extend((!shown.offer.ended.is_empty()).then(|| format!("{} ended", shown.offer.ended.len())));
    if parts.is_empty() { String::new() } else { format!("{}, {}", shown.offer.incident, parts.join(", ")) }
}

/// The same caller as another contact: which, and who knows it.
fn repeat(shown: &Shown) -> String {
    let Some(repeat) = shown.offer.repeat else { return String::new() };
    let known = repeat.held_by.map_or(String::new(), |by| format!(", held by {}/{} when this came", by.dispatcher, by.seat));
    let first = if repeat.until > Timestamp::default() { "; that seat is asked first" } else { "" };
    format!("same caller as {}{known}{first}", repeat.earlier)
}

fn manner(shown: &Shown) -> String {
    let decision = &shown.offer.decision;
    let mut parts = Vec::new();
    if decision.quiet {
        parts.push("QUIET: do not call back, nothing may ring there".to_owned());
    }
    if decision.text {
        parts.push("answer in writing".to_owned());
    }
    if shown.offer.interpreter {
        let lang = decision.lang.map_or(String::new(), |lang| String::from_utf8_lossy(&lang).into_owned());
        parts.push(format!("interpreter for {lang}"));
    }
    parts.extend(shown.hung_up.map(|why| format!("the caller is gone: {}", why.word())));
    parts.join("; ")
}

/// Cuts a text into lines between words, each isolated: a caller's words may run from right to left.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() && columns_of(&line) + 1 + columns_of(word) > width {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines.into_iter().map(|line| isolated(&clip(&line, width))).collect()
}

fn keys(desk: &Desk, width: usize) -> Line {
    if desk.outcome.is_some() {
        let choices: Vec<String> = (1..).zip(OUTCOMES).map(|(digit, (_, words))| format!("{digit} {words}")).collect();
        return Line::new().column(Look::Reverse, &format!(" Called back: {}   Esc", choices.join("   ")), width);
    }
    match &desk.typing {
        Some((_, what, text)) => {
            let question = match what {
                Typing::Decline => "Why do you decline? ",
                Typing::HandOver => "To which room, and why? ",
                Typing::Note => "Note: ",
                Typing::Say => "To the caller: ",
                Typing::Event => "Minutes, kilometres, what happens: ",
            };
            let typed = Line::text(Look::Bold, question).words(Look::Plain, text, width.saturating_sub(30));
            typed.with(Look::Reverse, " ").with(Look::Dim, "  Enter sends, Esc leaves it")
        }
        None => Line::new().column(
            Look::Reverse,
            " t take  a accept  u units  w write  n note  f hand over  j join  d decline  r release  b called back  c close  ? keys",
            width,
        ),
    }
}

/// Every key, and what the words on the page mean.
const KEYS: [(&str, &str); 22] = [
    ("up, down", "choose; on top what stands in alarm, then what waits longest"),
    ("t", "take it: it is yours when the journal holds your take"),
    ("a", "accept: help is on its way from your room"),
    ("u", "units of your room are on their way"),
    ("i", "a message to the caller: heard, and who has taken it"),
    ("w", "write to a caller who came by text"),
    ("d", "decline with a reason; it stays yours until another has taken it"),
    ("r", "release it to the room: all who were asked see it as waiting"),
    ("b", "called back: say what came of it; all but \"help needed\" close it"),
    ("c", "close what you have accepted"),
    ("n", "a note that every room on the contact reads"),
    ("f", "hand it over, with a reason; yours until somebody there took it"),
    ("1 to 5", "add police, ambulance, civil defence, coast guard or rescue"),
    ("j", "join it with the contact proposed as the same event"),
    ("x", "split it from its incident again"),
    ("e, E", "declare an event around this contact; end one, if you supervise"),
    ("q", "sign out; what you hold goes to the others at once"),
    ("?", "this page; any key leaves it"),
    ("ALARM", "everybody was asked and nobody has taken it"),
    ("call back", "the caller is gone; the clock runs from then"),
    ("AGAIN", "this line has another open contact; details name it"),
    ("told", "it may be yours: the place is in doubt. You may take it"),
];

fn help(width: usize, height: usize) -> Vec<Line> {
    let mut lines = vec![Line::text(Look::Bold, "Keys and words of this page"), Line::new()];
    for (key, meaning) in KEYS {
        for (at, part) in wrap(meaning, width.saturating_sub(13)).into_iter().enumerate() {
            let key = if at == 0 { key } else { "" };
            lines.push(Line::text(Look::Plain, " ").column(Look::Bold, key, 11).with(Look::Plain, part));
        }
    }
    lines.resize(height, Line::new());
    lines
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::contact::{ClaimSource, ContactKey, LocationClaim, Whose};
    use crate::deliver::{Callback, ConsoleHears, HangUp, Offer, OfferId, Repeat, Role, Seat};
    use crate::geo::area::Shape;
    use crate::service::Service;
    use crate::units::{ContactId, Name, Ppm};

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    fn desk() -> Desk {
        let tables = crate::edge::tables::load_or_shipped(None).unwrap().tables;
        Desk::new(Seat { dispatcher: name("DU-POL"), seat: name("1") }, tables)
    }

    fn offer(words: &str, place: (f64, f64)) -> ConsoleHears {
        let mut contact = Contact::new(ContactId(1), ContactKey::default(), Timestamp::from_secs(100), Door::SipVoice);
        contact.signals.push(Signal::Words(words.into()));
        let center = Point::from_degrees(place.0, place.1).unwrap();
        contact.claims.push(LocationClaim {
            whose: Whose::Caller,
            place: Place::Shape(Shape::Circle { center, radius_cm: 3_000 }),
            source: ClaimSource::DeviceFix,
            age_secs: 0,
            confidence: Ppm(950_000),
        });
        ConsoleHears::Offer(Arc::new(Offer::new(
            OfferId { contact: ContactId(1), service: Service::Police },
            Arc::new(contact),
            Arc::new(DecisionRecord { area: Some(name("AE-DU")), ..DecisionRecord::default() }),
            name("DU-POL"),
            Role::Responsible,
        )))
    }

    fn text(desk: &Desk, now: u64, size: (usize, usize)) -> String {
        let addr = SocketAddr::from(([127, 0, 0, 1], 9990));
        page(desk, addr, Timestamp::from_secs(now), size).iter().map(Line::bare).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn the_page_fits_the_smallest_terminal_and_shows_words_clock_and_place() {
        let mut desk = desk();
        desk.heard(offer("حريق في برج وناس محاصرين", (24.80, 56.12)), Timestamp::default());
        let page = text(&desk, 107, (80, 24));
        assert_eq!(page.lines().count(), 24);
        assert!(page.lines().all(|line| columns_of(line) <= 80), "{page}");
        for part in ["7.0 s", "حريق في برج", "Dubai", "within 30 m", "not in the journal yet"] {
            assert!(page.contains(part), "{part} is missing:\n{page}");
        }
    }

    #[test]
    fn the_page_says_whom_to_call_back_who_called_before_and_what_stands_in_alarm() {
        let mut desk = desk();
        let ConsoleHears::Offer(plain) = offer("help", (25.20, 55.27)) else { return };
        let mut changed = Offer::clone(&plain);
        let number = Some(name("+971500000001"));
        let since = Timestamp::from_secs(104);
        changed.callback = Some(Callback { why: HangUp::LineDropped, since, number, outcome: None });
        let held_by = Some(Seat { dispatcher: name("SH-POL"), seat: name("2") });
        changed.repeat = Some(Repeat { earlier: ContactId(7), held_by, until: Timestamp::default() });
        desk.heard(ConsoleHears::Offer(Arc::new(changed.clone())), Timestamp::default());
        let shown = text(&desk, 107, (100, 30));
        for part in ["to call back 1", "call back", "line dropped 3.0 s ago; call +971500000001", "same caller as", "SH-POL/2", "AGAIN"] {
            assert!(shown.contains(part), "{part} is missing:\n{shown}");
        }
        (changed.alarm, changed.callback) = (true, Some(Callback { why: HangUp::Silent, since, number: None, outcome: None }));
        desk.heard(ConsoleHears::Offer(Arc::new(changed)), Timestamp::default());
        let shown = text(&desk, 107, (100, 30));
        assert!(shown.contains("ALARM 1") && shown.contains("there is no number to call"), "{shown}");
    }

    #[test]
    fn the_page_of_keys_fits_the_smallest_terminal_and_names_every_key() {
        let mut desk = desk();
        desk.help = true;
        let shown = text(&desk, 1, (80, 24));
        assert_eq!(shown.split('\n').count(), 24);
        assert!(shown.lines().all(|line| columns_of(line) <= 80), "{shown}");
        assert!(
            ["take", "accept", "decline", "release", "called back", "close", "sign out"].iter().all(|word| shown.contains(word)),
            "{shown}"
        );
    }

    #[test]
    fn a_lost_line_is_said_with_its_age() {
        let mut desk = desk();
        desk.line(LineState::Open, Timestamp::from_secs(1));
        desk.line(LineState::Lost("timed out".into()), Timestamp::from_secs(100));
        assert!(text(&desk, 103, (80, 24)).contains("LINE LOST 3.0 s ago"));
    }

    #[test]
    fn a_place_is_said_by_distance_and_direction_from_a_name() {
        let tables = crate::edge::tables::load_or_shipped(None).unwrap().tables;
        let at_sea = nearest(&tables, Point::from_degrees(25.0, 53.0).unwrap()).unwrap();
        assert!(!at_sea.is_here && at_sea.long().contains(&format!(" {} of {}", at_sea.direction, at_sea.name)), "{}", at_sea.long());
        assert_eq!((distance(45_000), distance(1_234_000)), ("450 m".into(), "12.3 km".into()));
    }

    #[test]
    fn a_callers_escape_codes_do_not_reach_the_page() {
        let mut desk = desk();
        desk.heard(offer("help\x1b[2J\u{202e}me", (25.2, 55.3)), Timestamp::default());
        let page = text(&desk, 101, (80, 24));
        assert!(!page.contains('\x1b') && !page.contains('\u{202e}'));
    }
}
