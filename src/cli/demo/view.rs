//! The page: the caller who waits longest, every room, the last contacts, and the keys.

use std::collections::BTreeMap;

use super::score::{HandOffs, Quantiles, Score, Seen};
use super::script::{Row, Today};
use super::stage::Stage;
use crate::cli::screen::{Line, Look, clip, columns_of, isolated, plain, wait_of};
use crate::service::Service;
use crate::tables::snapshot::Tables;
use crate::units::DispatcherId;

/// A wait from which the clock is yellow, and from which it is red, in microseconds.
const WAIT_LONG: u64 = 3_000_000;
const WAIT_TOO_LONG: u64 = 10_000_000;
/// Pages at least this high also show what else can be looked at.
const ADDRESSES_ROWS_MIN: usize = 36;
/// Columns of a room's cell, and of the names before them.
const CELL: usize = 12;
const NAME: usize = 16;

/// Rooms by emirate and service: what the page shows and what the cursor moves over.
#[derive(Clone, Debug)]
pub struct Floor {
    pub titles: Vec<&'static str>,
    pub rows: Vec<FloorRow>,
}

#[derive(Clone, Debug)]
pub struct FloorRow {
    pub name: String,
    /// One list of rooms for each title.
    pub cells: Vec<Vec<DispatcherId>>,
    /// Rooms that fit no title: each is named in its cell.
    pub own_titles: bool,
}

impl Floor {
    /// The rooms of a table set, laid out.
    pub fn of(tables: &Tables) -> Self {
        const COLUMNS: [Service; 4] = [Service::Police, Service::Ambulance, Service::CivilDefence, Service::PoliceNonEmergency];
        let rooms = &tables.dispatchers;
        let area = |index: usize| crate::decision::AreaIndex(index as u16);
        let responsible =
            |index: usize, service| rooms.responsible(area(index), service).and_then(|room| rooms.get(room)).map(|row| row.id);
        let mut placed: Vec<DispatcherId> = Vec::new();
        let mut rows = Vec::new();
        for (index, of) in tables.areas.iter().enumerate() {
            let mut cells: Vec<Vec<DispatcherId>> =
                COLUMNS.iter().map(|service| responsible(index, *service).into_iter().collect()).collect();
            // Rooms that only help out stand beside the police room whose name they carry on.
            let head = cells.first().and_then(|cell| cell.first()).map(|id| format!("{id}-"));
            let known: Vec<DispatcherId> = cells.iter().flatten().copied().collect();
            let helps = |id: &DispatcherId| !known.contains(id) && head.as_ref().is_some_and(|head| id.as_str().starts_with(head.as_str()));
            cells.push(rooms.rows.iter().map(|row| row.id).filter(helps).collect());
            placed.extend(cells.iter().flatten());
            rows.push(FloorRow { name: of.name_en.to_string(), cells, own_titles: false });
        }
        let rest: Vec<Vec<DispatcherId>> =
            rooms.rows.iter().map(|row| row.id).filter(|id| !placed.contains(id)).map(|id| vec![id]).collect();
        if !rest.is_empty() {
            rows.push(FloorRow { name: "Whole country".into(), cells: rest, own_titles: true });
        }
        Self { titles: vec!["police", "ambulance", "civil def.", "not urgent", "helping out"], rows }
    }

    /// The rooms under the cursor.
    pub fn at(&self, cursor: (usize, usize)) -> &[DispatcherId] {
        self.rows.get(cursor.0).and_then(|row| row.cells.get(cursor.1)).map_or(&[], Vec::as_slice)
    }

    /// The next cell that has a room, in a direction; the same when there is none.
    pub fn moved(&self, cursor: (usize, usize), down: isize, right: isize) -> (usize, usize) {
        let mut at = cursor;
        for _ in 0..self.rows.len().max(self.titles.len()) {
            let next = at.0.checked_add_signed(down).zip(at.1.checked_add_signed(right));
            let Some(next) = next.filter(|(row, column)| *row < self.rows.len() && *column < self.titles.len()) else { return cursor };
            at = next;
            if !self.at(at).is_empty() {
                return at;
            }
        }
        cursor
    }
}

/// What the page knows beside the score.
#[derive(Clone, Debug)]
pub struct Glance {
    pub now_micros: u64,
    pub began_micros: u64,
    /// Where the engine listens, and what it said when it was ready.
    pub address: String,
    pub engine: EngineGlance,
    pub cursor: (usize, usize),
    pub paused: bool,
    pub draining: bool,
    /// Contacts that gateways keep because the journal has not confirmed them.
    pub unconfirmed: usize,
    /// What else can be looked at.
    pub addresses: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineGlance {
    Killed,
    Ready,
}

/// The whole page.
pub fn page(stage: &Stage, floor: &Floor, score: &Score, glance: &Glance, (width, height): (usize, usize)) -> Vec<Line> {
    let mut lines = vec![head(stage, glance, width), longest(stage, score, glance), figures(score, width)];
    lines.push(titles(floor));
    lines.extend(floor.rows.iter().enumerate().map(|(at, row)| room_row(score, row, at, glance.cursor, floor.titles.len())));
    lines.push(room_detail(stage, floor, score, glance, width));
    lines.push(Line::new());
    lines.push(contact_titles(width));
    let shown = if height >= ADDRESSES_ROWS_MIN { glance.addresses.as_slice() } else { &[] };
    let addresses: Vec<String> = shown.iter().flat_map(|command| command_lines(command, width)).collect();
    let below = 2 + addresses.len();
    let count = height.saturating_sub(lines.len() + below);
    let contacts = score.recent.iter().rev().take(count).filter_map(|n| score.contacts.get(*n));
    lines.extend(contacts.map(|seen| contact(stage, seen, glance.now_micros, width)));
    lines.resize(height.saturating_sub(below), Line::new());
    lines.extend(addresses.iter().map(|text| Line::new().column(Look::Dim, text, width)));
    lines.push(Line::text(Look::Warning, score.news.back().cloned().unwrap_or_default()));
    lines.push(keys(glance, width));
    lines
}

/// A command in lines that a shell reads as one.
fn command_lines(command: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in command.split(' ') {
        let last = lines.len() - 1;
        let line = &mut lines[last];
        if !line.trim().is_empty() && line.len() + word.len() + " \\".len() >= width {
            line.push_str(" \\");
            lines.push(format!("    {word}"));
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

fn head(stage: &Stage, glance: &Glance, width: usize) -> Line {
    let up = glance.now_micros.saturating_sub(glance.began_micros) / 1_000_000;
    let (look, state) = match glance.engine {
        EngineGlance::Killed => (Look::Alarm, format!("KILLED, starting again; gateways keep {}", glance.unconfirmed)),
        EngineGlance::Ready if glance.draining => (Look::Warning, "draining".to_owned()),
        EngineGlance::Ready if glance.paused => (Look::Warning, "callers paused".to_owned()),
        EngineGlance::Ready => (Look::Good, "serving".to_owned()),
    };
    Line::text(Look::Bold, "Najda")
        .with(Look::Plain, format!("  engine {} ", glance.address))
        .with(look, state)
        .with(Look::Dim, format!("  tables {}", stage.tables.version))
        .right(Look::Dim, &format!("{:02}:{:02}:{:02}", up / 3600, up / 60 % 60, up % 60), width)
}

fn longest(stage: &Stage, score: &Score, glance: &Glance) -> Line {
    match score.longest_waiting() {
        None => Line::text(Look::Plain, "Longest waiting: ").with(Look::Good, "nobody"),
        Some(seen) => {
            let waited = glance.now_micros.saturating_sub(seen.sent_micros);
            let look = match waited {
                WAIT_TOO_LONG.. => Look::Alarm,
                WAIT_LONG.. => Look::Warning,
                _ => Look::Bold,
            };
            let place = stage.rows.get(seen.row).map_or("", |row| &row.place);
            let lead = seen.decision.as_ref().and_then(|decision| decision.services.iter().find(|assigned| assigned.lead));
            let room = lead.map_or(String::new(), |lead| format!(", for {}", lead.dispatcher));
            Line::text(Look::Plain, "Longest waiting: ").with(look, wait_of(waited)).with(Look::Plain, format!("  {place}{room}"))
        }
    }
}

fn figures(score: &Score, width: usize) -> Line {
    let HandOffs { today, najda } = score.hand_offs();
    let Quantiles { p50, p99, max } = score.quantiles();
    let line = Line::text(Look::Bold, format!("hand-offs: {today} today, {najda} with Najda"))
        .with(Look::Plain, format!("   sent {}  open {}", score.contacts.len(), score.open_count()));
    let whole = format!("from send to a screen: p50 {p50} ms, p99 {p99} ms, worst {max} ms");
    let short = format!("to screen p50 {p50:.1} ms");
    let fits = line.columns() + columns_of(&whole) < width;
    line.right(Look::Plain, if fits { &whole } else { &short }, width)
}

// --- rooms ---

fn titles(floor: &Floor) -> Line {
    let line = Line::new().column(Look::Dim, "wait/held/accept", NAME);
    floor.titles.iter().fold(line, |line, title| line.with(Look::Dim, format!("{title:>width$}", width = CELL)))
}

fn room_row(score: &Score, row: &FloorRow, at: usize, cursor: (usize, usize), columns: usize) -> Line {
    let mut line = Line::new().column(Look::Plain, &row.name, NAME);
    if row.own_titles {
        for (column, rooms) in row.cells.iter().enumerate() {
            let (look, text) = cell(score, rooms);
            let look = if (at, column) == cursor { Look::Reverse } else { look };
            let id = rooms.first().map_or("", |id| id.as_str().rsplit('-').next().unwrap_or_default());
            line = line.with(Look::Plain, " ").with(look, format!("{:>width$}", format!("{id} {text}"), width = CELL - 1));
        }
        return line;
    }
    for column in 0..columns {
        let rooms = row.cells.get(column).map_or(&[][..], Vec::as_slice);
        let (look, text) = cell(score, rooms);
        let look = if (at, column) == cursor { Look::Reverse } else { look };
        line = line.with(Look::Plain, " ").with(look, format!("{text:>width$}", width = CELL - 1));
    }
    line
}

/// `waits held accepted`, or that it is dark.
fn cell(score: &Score, rooms: &[DispatcherId]) -> (Look, String) {
    if rooms.is_empty() {
        return (Look::Dim, String::new());
    }
    let seen = || rooms.iter().filter_map(|id| score.rooms.get(id));
    let accepted: u64 = seen().map(|room| room.accepted).sum();
    if seen().all(|room| room.killed) {
        return (Look::Alarm, format!("DARK {accepted}"));
    }
    let (waiting, held): (usize, usize) = (seen().map(|room| room.waiting.len()).sum(), seen().map(|room| room.held.len()).sum());
    let look = match () {
        () if seen().any(|room| room.seats_open == 0) => Look::Alarm,
        () if waiting > 0 => Look::Bold,
        () if held == 0 && accepted == 0 => Look::Dim,
        () => Look::Plain,
    };
    (look, format!("{waiting}/{held}/{accepted}"))
}

fn room_detail(stage: &Stage, floor: &Floor, score: &Score, glance: &Glance, width: usize) -> Line {
    let rooms = floor.at(glance.cursor);
    let Some(row) =
        rooms.first().and_then(|id| stage.tables.dispatchers.find(id.as_str())).and_then(|index| stage.tables.dispatchers.get(index))
    else {
        return Line::new();
    };
    let seen = score.rooms.get(&row.id);
    let state = match seen {
        Some(room) if room.killed => "dark, k lights it again".to_owned(),
        Some(room) if room.seats_open == 0 => "no seat signed in".to_owned(),
        Some(_) if stage.slow == Some(row.id) => "too few people today: others answer after its wait".to_owned(),
        Some(room) => format!("{}/{} seats, told of {} more", room.seats_open, room.seats, room.told),
        None => String::new(),
    };
    let name = |index: &crate::decision::DispatcherIndex| stage.tables.dispatcher_id(*index).to_string();
    let next: Vec<String> = row.overflow.iter().map(name).collect();
    let next = if next.is_empty() { "the national fallback".to_owned() } else { next.join(", ") };
    let more = if rooms.len() > 1 { format!(" and {} more", rooms.len() - 1) } else { String::new() };
    let text = format!("> {}{more}: {}; {state}; then {next}", row.id, row.name_en);
    Line::new().column(Look::Dim, &text, width)
}

// --- contacts ---

/// Widths of the columns before the words.
struct Columns {
    place: usize,
    today: usize,
    lead: usize,
    told: usize,
    took: usize,
    why: usize,
}

impl Columns {
    const fn of(width: usize) -> Self {
        let wide = width >= 118;
        Self {
            place: if wide { 28 } else { 19 },
            today: 9,
            lead: 10,
            told: if wide { 20 } else { 9 },
            took: 7,
            why: if wide { 17 } else { 0 },
        }
    }
}

fn contact_titles(width: usize) -> Line {
    let columns = Columns::of(width);
    let why = if columns.why > 0 { "because" } else { "" };
    Line::new()
        .column(Look::Dim, "caller", columns.place)
        .column(Look::Dim, " today", columns.today + 1)
        .column(Look::Dim, " Najda", columns.lead + 1)
        .column(Look::Dim, " also", columns.told + 1)
        .with(Look::Dim, format!("{:>width$}", "ms", width = columns.took + 1))
        .column(Look::Dim, &format!(" {why}"), columns.why + usize::from(columns.why > 0))
        .with(Look::Dim, " words")
}

fn contact(stage: &Stage, seen: &Seen, now_micros: u64, width: usize) -> Line {
    let columns = Columns::of(width);
    let Some(row) = stage.rows.get(seen.row) else { return Line::new() };
    let lead = seen.decision.as_ref().and_then(|decision| decision.services.iter().find(|assigned| assigned.lead));
    let room = lead.map_or("...".to_owned(), |lead| lead.dispatcher.to_string());
    let today = if seen.hand_offs_today > 0 { Look::Warning } else { Look::Dim };
    let (look, took) = match seen.shown_after_micros {
        Some(micros) => (Look::Plain, format!("{:.1}", micros as f64 / 1e3)),
        None if seen.ended.is_some() => (Look::Dim, "-".to_owned()),
        None => (Look::Alarm, format!("{} ..", wait_of(now_micros.saturating_sub(seen.sent_micros)))),
    };
    let place = if seen.is_second { format!("  2nd: {}", row.place) } else { row.place.to_string() };
    let done = if seen.is_waiting() { Look::Bold } else { Look::Good };
    let line = Line::new()
        .column(Look::Plain, &place, columns.place)
        .with(Look::Plain, " ")
        .column(today, &format!("{}{}", today_of(stage, row), if seen.hand_offs_today > 0 { " ≠" } else { "" }), columns.today)
        .with(Look::Plain, " ")
        .column(done, &room, columns.lead)
        .with(Look::Plain, " ")
        .column(Look::Plain, &others(seen), columns.told)
        .with(look, format!(" {took:>width$}", width = columns.took));
    let line = if columns.why > 0 { line.with(Look::Plain, " ").column(Look::Dim, &why(seen), columns.why) } else { line };
    let words = row.words.as_deref().map_or("(no words)".to_owned(), plain);
    let left = width.saturating_sub(line.columns() + 1);
    let words = clip(&words, left);
    line.with(Look::Plain, " ").with(Look::Plain, if words.is_empty() { words } else { isolated(&words) })
}

/// The room that is reached today.
fn today_of(stage: &Stage, row: &Row) -> String {
    match row.today(&stage.tables) {
        Today::Abroad => "abroad".into(),
        Today::Chance => "chance".into(),
        Today::Room(index) => stage.tables.dispatcher_id(index).to_string(),
    }
}

/// The other rooms that know at once: those of the other services first, then neighbours.
fn others(seen: &Seen) -> String {
    let Some(decision) = &seen.decision else { return String::new() };
    let lead = decision.services.iter().find(|assigned| assigned.lead).map(|lead| lead.dispatcher);
    let mut rooms: BTreeMap<usize, String> = BTreeMap::new();
    let assigned = decision.services.iter().map(|assigned| assigned.dispatcher);
    let told = assigned.chain(decision.neighbours.iter().map(|neighbour| neighbour.dispatcher));
    for id in told.filter(|id| Some(*id) != lead) {
        rooms.insert(rooms.len(), id.to_string());
    }
    let list: Vec<&str> = rooms.values().map(String::as_str).collect();
    match list.as_slice() {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [one, rest @ ..] => format!("{one} +{}", rest.len()),
    }
}

/// The evidence for the place and the kind of incident.
fn why(seen: &Seen) -> String {
    let Some(decision) = &seen.decision else { return String::new() };
    let kind = decision.incident_type.map_or(String::new(), |kind| format!(" {kind}"));
    format!("{}{kind}", decision.rung)
}

fn keys(glance: &Glance, width: usize) -> Line {
    let pause = if glance.paused { "p go on" } else { "p pause" };
    let end = if glance.draining { "q end now" } else { "q end" };
    Line::new().column(Look::Reverse, &format!(" arrows: a room  k kill or light it  e kill -9 the engine  {pause}  {end}"), width)
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::path::PathBuf;
    use std::sync::Arc;

    use super::*;
    use crate::cli::demo::script::{self, Verdict};
    use crate::edge::certs::DevCerts;
    use crate::edge::clock::Clock;
    use crate::route::{record, route};
    use crate::tables::snapshot::Snapshot;

    fn stage() -> Arc<Stage> {
        let tables = crate::edge::tables::load_or_shipped(None).unwrap().tables;
        let addr = SocketAddr::from(([127, 0, 0, 1], 9990));
        Stage::new(Clock::start(), tables, script::day().unwrap(), addr, DevCerts { folder: PathBuf::new() }, 1, None)
    }

    fn glance(cursor: (usize, usize)) -> Glance {
        Glance {
            now_micros: 12_000_000,
            began_micros: 0,
            address: "127.0.0.1:9990".into(),
            engine: EngineGlance::Ready,
            cursor,
            paused: false,
            draining: false,
            unconfirmed: 0,
            addresses: vec!["answer yourself: ".to_owned() + &"x".repeat(300)],
        }
    }

    #[test]
    fn the_page_fits_every_terminal_and_always_shows_the_longest_wait_and_the_keys() {
        let stage = stage();
        let snapshot = Snapshot::of(Arc::clone(&stage.tables));
        let floor = Floor::of(&stage.tables);
        for (at, row) in stage.rows.iter().enumerate() {
            let n = stage.score().sent(at, row.hand_offs_today(&stage.tables), at as u64);
            let contact = row.contact(row.trunk(0), &stage.reference(n));
            let decision = record(&stage.tables, &route(&snapshot, &contact, crate::units::Timestamp::default()));
            stage.score().decided(n, &Arc::new(decision), Verdict::Led);
        }
        for size in [(80, 24), (100, 30), (130, 40), (200, 60)] {
            let lines = page(&stage, &floor, &stage.score(), &glance((0, 0)), size);
            assert_eq!(lines.len(), size.1);
            let page = lines.iter().map(Line::bare).collect::<Vec<_>>().join("\n");
            assert!(page.lines().all(|line| columns_of(line) <= size.0), "{size:?}\n{page}");
            let oldest = &stage.rows[0].place;
            for part in [&format!("Longest waiting: 12.0 s  {oldest}"), "with Najda", "kill -9 the engine", "Whole country", "SEA "] {
                assert!(page.contains(part), "{part} is missing in {size:?}:\n{page}");
            }
        }
    }

    #[test]
    fn every_room_has_a_cell_and_the_cursor_reaches_it() {
        let stage = stage();
        let floor = Floor::of(&stage.tables);
        let mut seen: Vec<DispatcherId> = floor.rows.iter().flat_map(|row| row.cells.iter().flatten()).copied().collect();
        seen.sort_unstable();
        let all: Vec<DispatcherId> = stage.tables.dispatchers.rows.iter().map(|row| row.id).collect();
        assert_eq!(seen, all);
        for (at, row) in floor.rows.iter().enumerate() {
            for column in (0..row.cells.len()).filter(|column| !row.cells[*column].is_empty()) {
                let mut cursor = (0, 0);
                while cursor.0 < at && floor.moved(cursor, 1, 0) != cursor {
                    cursor = floor.moved(cursor, 1, 0);
                }
                while cursor.1 < column && floor.moved(cursor, 0, 1) != cursor {
                    cursor = floor.moved(cursor, 0, 1);
                }
                assert_eq!(cursor, (at, column));
            }
        }
    }

    #[test]
    fn a_dark_room_says_so_in_its_cell_and_below() {
        let stage = stage();
        let floor = Floor::of(&stage.tables);
        stage.score().rooms.entry(floor.at((0, 0))[0]).or_default().killed = true;
        let lines = page(&stage, &floor, &stage.score(), &glance((0, 0)), (80, 24));
        let page = lines.iter().map(Line::bare).collect::<Vec<_>>().join("\n");
        assert!(page.contains("DARK 0") && page.contains("k lights it again"), "{page}");
    }
}
