//! Rows -> [`Tables`], or every defect that stands in the way.
//!
//! `check` judges the rows by themselves; this module resolves names to indices, compiles the ground, and refuses what it cannot
//! resolve. **Invariant:** tables that come out of here have a fallback for every service and an answering room for every area.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::dispatchers::{Dispatcher, Dispatchers, Policy, Then, When};
use super::ground;
use super::identities::{AreaCode, Cell, Foreign, Identities, Line, LineClass, Trunk};
use super::plans::Plans;
use super::snapshot::{Area, Ground, NamedPlace, Settings, Tables};
use super::source::{self, Defect, Files, Hours, Row, Source};
use super::vocabulary::Vocabulary;
use crate::decision::{AreaIndex, DispatcherIndex, DispatcherState};
use crate::geo::area::Shape;
use crate::geo::point::Point;
use crate::service::Service;
use crate::units::{Name, TablesVersion, Timestamp};

/// Builds a table set from the files of a pack.
///
/// # Errors
/// Every defect found, none of them a warning; the set in force keeps serving.
pub fn build(files: &Files) -> Result<Tables, Vec<Defect>> {
    let (source, defects) = Source::parse(files);
    let mut defects = super::check::check_with(&source, defects).defects;
    defects.retain(|defect| !defect.warning);
    if !defects.is_empty() {
        return Err(defects);
    }
    let mut tables = rows(&source, &mut defects);
    tables.ground = ground::build(&source, &tables.areas, &tables.dispatchers, &mut defects);
    defects.retain(|defect| !defect.warning);
    if !defects.is_empty() {
        return Err(defects);
    }
    tables.version = version(&super::compiled::sections(files, &tables.ground));
    Ok(tables)
}

/// The version of a set: the hash of everything that is in its compiled form.
pub fn version(sections: &[(String, Vec<u8>)]) -> TablesVersion {
    let mut hash = Sha256::new();
    for (name, bytes) in sections {
        hash.update((name.len() as u64).to_le_bytes());
        hash.update(name.as_bytes());
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    }
    TablesVersion(hash.finalize().into())
}

/// Everything but the ground.
pub fn rows(source: &Source, defects: &mut Vec<Defect>) -> Tables {
    let pack = &source.pack;
    let mut areas: Vec<Area> = source
        .areas
        .iter()
        .filter_map(|row| {
            let id = named(row, &row.value.id, defects)?;
            Some(Area { id, name_en: row.value.name_en.as_str().into(), name_ar: row.value.name_ar.as_str().into() })
        })
        .collect();
    areas.sort_by_key(|area| area.id);
    let names = Names::new(&areas, source);
    let dispatchers = dispatchers(source, &names, defects);
    let identities = identities(source, &names, defects);
    let (words, found) = Vocabulary::compile(source);
    defects.extend(found);
    let (plans, found) = Plans::compile(&source.plans, &areas.iter().map(|area| area.id).collect::<Vec<_>>(), &words.types);
    defects.extend(found);
    let places = source
        .places
        .iter()
        .filter_map(|row| {
            let point = Point::from_degrees(row.value.lat, row.value.lon)?;
            let area = names.area(row, &row.value.area, defects)?;
            Some(NamedPlace { name_en: row.value.name_en.as_str().into(), name_ar: row.value.name_ar.as_str().into(), area, point })
        })
        .collect();
    let country = pack.country.as_bytes().try_into().unwrap_or(*b"ZZ");
    let cm = |metres: u32| metres.saturating_mul(100);
    Tables {
        version: TablesVersion::default(),
        name: pack.name.as_str().into(),
        title_en: pack.title_en.as_str().into(),
        title_ar: pack.title_ar.as_str().into(),
        country,
        settings: Settings {
            utc_offset_minutes: pack.utc_offset_minutes,
            gap_cm: cm(pack.gap_m),
            coast_cm: cm(pack.coast_m),
            shore_cm: cm(pack.shore_m),
            accuracy_cm: cm(pack.accuracy_m),
            uncertainty_cm: cm(pack.uncertainty_m),
            neighbour_ppm_min: pack.neighbour_ppm_min,
            rough: pack.rough,
        },
        areas,
        dispatchers,
        identities,
        words,
        plans,
        ground: Ground::empty(),
        places,
    }
}

/// Ids to positions.
struct Names {
    areas: BTreeMap<String, AreaIndex>,
    dispatchers: BTreeMap<String, DispatcherIndex>,
}

impl Names {
    fn new(areas: &[Area], source: &Source) -> Self {
        let index = |ids: Vec<String>| ids.into_iter().enumerate().map(|(at, id)| (id, at as u16));
        let mut rooms: Vec<String> = source.dispatchers.iter().map(|row| row.value.id.clone()).collect();
        rooms.sort();
        rooms.dedup();
        Self {
            areas: index(areas.iter().map(|area| area.id.as_str().to_owned()).collect()).map(|(id, at)| (id, AreaIndex(at))).collect(),
            dispatchers: index(rooms).map(|(id, at)| (id, DispatcherIndex(at))).collect(),
        }
    }

    fn area<T>(&self, row: &Row<T>, id: &str, defects: &mut Vec<Defect>) -> Option<AreaIndex> {
        let found = self.areas.get(id).copied();
        if found.is_none() {
            defects.push(row.defect("unknown_area", format!("there is no area `{id}`"), "add it to areas.csv, or correct the id"));
        }
        found
    }

    /// An area, or nothing where the field is empty or `*`.
    fn area_or_all<T>(&self, row: &Row<T>, id: &str, defects: &mut Vec<Defect>) -> Option<AreaIndex> {
        if id.is_empty() || id == "*" { None } else { self.area(row, id, defects) }
    }

    fn areas<T>(&self, row: &Row<T>, ids: &str, defects: &mut Vec<Defect>) -> Vec<AreaIndex> {
        if ids.trim() == "*" {
            return self.areas.values().copied().collect();
        }
        source::words(ids).filter_map(|id| self.area(row, id, defects)).collect()
    }

    fn dispatcher<T>(&self, row: &Row<T>, id: &str, defects: &mut Vec<Defect>) -> Option<DispatcherIndex> {
        let found = self.dispatchers.get(id).copied();
        if found.is_none() {
            defects.push(row.defect(
                "unknown_dispatcher",
                format!("there is no dispatcher `{id}`"),
                "add it to dispatchers.csv, or correct the id",
            ));
        }
        found
    }

    fn dispatchers<T>(&self, row: &Row<T>, ids: &str, defects: &mut Vec<Defect>) -> Vec<DispatcherIndex> {
        source::words(ids).filter_map(|id| self.dispatcher(row, id, defects)).collect()
    }
}

fn named<T>(row: &Row<T>, id: &str, defects: &mut Vec<Defect>) -> Option<Name> {
    source::parse_name(id).map_err(|what| defects.push(row.defect("bad_id", what, "choose a shorter id in plain letters"))).ok()
}

fn service<T>(row: &Row<T>, word: &str, defects: &mut Vec<Defect>) -> Option<Service> {
    let found = Service::from_word(word);
    if found.is_none() {
        let known: Vec<&str> = Service::ALL.iter().map(|service| service.word()).collect();
        defects.push(row.defect("unknown_service", format!("`{word}` is no service"), format!("write one of: {}", known.join(", "))));
    }
    found
}

fn dispatchers(source: &Source, names: &Names, defects: &mut Vec<Defect>) -> Dispatchers {
    let area_count = names.areas.len();
    let mut out = Dispatchers {
        rows: Vec::new(),
        responsible: vec![None; area_count * Service::ALL.len()],
        answering: Vec::new(),
        answering_nothing: None,
        fallback: Vec::new(),
        policies: Vec::new(),
    };
    let mut rows: Vec<_> = source.dispatchers.iter().collect();
    rows.sort_by(|a, b| a.value.id.cmp(&b.value.id));
    for row in rows {
        let value = &row.value;
        let (Some(id), Some(service)) = (named(row, &value.id, defects), service(row, &value.service, defects)) else { continue };
        let (Some(room), Some(site)) = (named(row, &value.room, defects), named(row, &value.site, defects)) else { continue };
        let index = DispatcherIndex(out.rows.len() as u16);
        for area in names.areas(row, &value.areas, defects) {
            let slot = out.responsible.get_mut(usize::from(area.0) * Service::ALL.len() + service as usize);
            if let Some(slot) = slot {
                slot.get_or_insert(index);
            }
        }
        out.rows.push(Dispatcher {
            id,
            service,
            name_en: value.name_en.as_str().into(),
            name_ar: value.name_ar.as_str().into(),
            room,
            site,
            languages: source::words(&value.languages).filter_map(|lang| lang.as_bytes().try_into().ok()).collect(),
            text: value.text == "yes",
            capacity: value.capacity,
            uri: value.uri.as_str().into(),
            take_micros_max: u64::from(value.take_s) * 1_000_000,
            overflow: names.dispatchers(row, &value.overflow, defects),
        });
    }
    answering(source, names, &mut out, area_count, defects);
    policies(source, names, &mut out, defects);
    out
}

fn answering(source: &Source, names: &Names, out: &mut Dispatchers, area_count: usize, defects: &mut Vec<Defect>) {
    let mut by_area: Vec<Option<DispatcherIndex>> = vec![None; area_count];
    for row in &source.answering {
        let Some(room) = names.dispatcher(row, &row.value.dispatcher, defects) else { continue };
        match names.area_or_all(row, &row.value.area, defects) {
            Some(area) => {
                if let Some(slot) = by_area.get_mut(usize::from(area.0)) {
                    *slot = Some(room);
                }
            }
            None if row.value.area == "*" => out.answering_nothing = Some(room),
            None => {}
        }
    }
    let Some(nothing) = out.answering_nothing else {
        let what = "no room answers when nothing is known";
        defects.push(file_defect("answering.csv", "area_without_answering", what, "add a row with the area `*`"));
        return;
    };
    for (at, slot) in by_area.iter().enumerate() {
        if slot.is_none() {
            let id = names.areas.iter().find(|(_, index)| usize::from(index.0) == at).map_or("", |(id, _)| id);
            let what = format!("no room answers for {id} when only the area is known");
            defects.push(file_defect("answering.csv", "area_without_answering", what, "add a row for it"));
        }
    }
    out.answering = by_area.into_iter().map(|slot| slot.unwrap_or(nothing)).collect();
}

fn file_defect(file: &str, code: &'static str, what: impl Into<String>, remedy: &str) -> Defect {
    Defect { file: file.to_owned(), row: 0, code, what: what.into(), remedy: remedy.to_owned(), warning: false }
}

fn policies(source: &Source, names: &Names, out: &mut Dispatchers, defects: &mut Vec<Defect>) {
    let mut rows: Vec<_> = source.policies.iter().collect();
    rows.sort_by_key(|row| row.value.order);
    for row in rows {
        let value = &row.value;
        let (Some(id), Some(service)) = (named(row, &value.id, defects), service(row, &value.service, defects)) else { continue };
        let (Some(when), Some(then)) = (when(row, &value.when, defects), then(row, &value.then, defects)) else { continue };
        let area = names.area_or_all(row, &value.area, defects);
        let dispatchers = names.dispatchers(row, &value.dispatchers, defects);
        out.policies.push(Policy { id, service, area, when, then, dispatchers });
    }
    for service in Service::ALL {
        let last = |policy: &&Policy| {
            policy.service == service && policy.then == Then::Fallback && policy.when == When::Always && policy.area.is_none()
        };
        match out.policies.iter().find(last).and_then(|policy| policy.dispatchers.first()) {
            Some(room) => out.fallback.push(*room),
            None => {
                let what = format!("{service} has no national fallback");
                let remedy = "add a row: area `*`, when `always`, then `fallback`";
                defects.push(file_defect("policies.csv", "service_without_fallback", what, remedy));
            }
        }
    }
}

fn when(row: &Row<source::PolicyRow>, text: &str, defects: &mut Vec<Defect>) -> Option<When> {
    let read = match text.split_once(':') {
        None => match text {
            "always" => Ok(When::Always),
            "outside" => Ok(When::Outside),
            "nothing" => Ok(When::Nothing),
            _ => Err(format!("`{text}` is no condition")),
        },
        Some(("state", state)) => DispatcherState::from_word(state).map(When::State).ok_or_else(|| format!("`{state}` is no state")),
        Some(("hours", hours)) => Hours::parse(hours).map(When::Hours),
        Some(_) => Err(format!("`{text}` is no condition")),
    };
    read.map_err(|what| defects.push(row.defect("bad_row", what, "write always, state:STATE, hours:..., outside or nothing"))).ok()
}

fn then(row: &Row<source::PolicyRow>, text: &str, defects: &mut Vec<Defect>) -> Option<Then> {
    match text {
        "append" => Some(Then::Append),
        "fallback" => Some(Then::Fallback),
        "overflow" => Some(Then::Overflow),
        _ => {
            defects.push(row.defect("bad_row", format!("`{text}` is no action"), "write overflow, append or fallback"));
            None
        }
    }
}

fn identities(source: &Source, names: &Names, defects: &mut Vec<Defect>) -> Identities {
    let pack = &source.pack;
    let mut out = Identities {
        calling_code: pack.calling_code.as_str().into(),
        trunk_prefix: pack.trunk_prefix.as_str().into(),
        home_mcc: pack.home_mcc.iter().map(|mcc| mcc.as_str().into()).collect(),
        ..Identities::default()
    };
    for row in &source.area_codes {
        let areas = names.areas(row, &row.value.areas, defects);
        out.area_codes.push(AreaCode { prefix: row.value.prefix.as_str().into(), areas, fixed: row.value.class == "fixed" });
    }
    for row in &source.lines {
        let Some(class) = line_class(row, defects) else { continue };
        let (line, range) = starred(&row.value.line);
        let area = names.area_or_all(row, &row.value.area, defects);
        let (from, until) = (instant(row, &row.value.from, defects), instant(row, &row.value.until, defects));
        out.lines.push(Line { line, range, class, area, from, until });
    }
    for row in &source.trunks {
        let Some(trunk) = named(row, &row.value.trunk, defects) else { continue };
        let Some(default) = names.dispatcher(row, &row.value.default, defects) else { continue };
        out.trunks.push(Trunk { trunk, area: names.area_or_all(row, &row.value.area, defects), default });
    }
    for row in &source.cells {
        let value = &row.value;
        let Some(center) = Point::from_degrees(value.lat, value.lon) else {
            defects.push(row.defect("out_of_range", "the mast is nowhere on earth", "give latitude and longitude in degrees"));
            continue;
        };
        let (cell, range) = starred(&value.cell.to_ascii_uppercase());
        let outer_cm = value.outer_m.saturating_mul(100);
        let shape = if value.opening_deg >= 360 && value.inner_m == 0 {
            Shape::Circle { center, radius_cm: outer_cm }
        } else {
            let start_deg = (value.azimuth_deg + 720 - value.opening_deg.min(360) / 2) % 360;
            let (start_mdeg, opening_mdeg) = (start_deg * 1_000, value.opening_deg.min(360) * 1_000);
            Shape::ArcBand { center, inner_cm: value.inner_m.saturating_mul(100), outer_cm, start_mdeg, opening_mdeg }
        };
        let area = names.area_or_all(row, &value.area, defects);
        let (from, until) = (instant(row, &value.from, defects), instant(row, &value.until, defects));
        out.cells.push(Cell { cell, range, shape, offshore: value.kind == "offshore", area, from, until });
    }
    for row in &source.foreign {
        let value = &row.value;
        let (Ok(country), Some(peer)) = (value.country.as_bytes().try_into(), named(row, &value.peer, defects)) else {
            defects.push(row.defect("bad_row", format!("`{}` is no country", value.country), "write ISO 3166-1 alpha-2, two letters"));
            continue;
        };
        let mcc = source::words(&value.mcc).map(Into::into).collect();
        out.foreign.push(Foreign { country, name_en: value.name_en.as_str().into(), peer, uri: value.uri.as_str().into(), mcc });
    }
    out.area_codes.sort_by(|a, b| a.prefix.cmp(&b.prefix));
    out.lines.sort_by(|a, b| a.line.cmp(&b.line).then(a.range.cmp(&b.range)));
    out.trunks.sort_by_key(|row| row.trunk);
    out.cells.sort_by(|a, b| a.cell.cmp(&b.cell).then(a.range.cmp(&b.range)));
    out.foreign.sort_by_key(|row| row.country);
    out
}

fn line_class(row: &Row<source::LineRow>, defects: &mut Vec<Defect>) -> Option<LineClass> {
    let class = match row.value.class.as_str() {
        "centre" => LineClass::Centre,
        "fixed" => LineClass::Fixed,
        "mobile" => LineClass::Mobile,
        "panel" => LineClass::Panel,
        "pilot" => LineClass::Pilot,
        "test" => LineClass::Test,
        other => {
            let remedy = "write mobile, fixed, pilot, panel, centre or test";
            defects.push(row.defect("bad_row", format!("`{other}` is no class of line"), remedy));
            return None;
        }
    };
    Some(class)
}

/// An id and whether it ends in a star.
fn starred(text: &str) -> (Box<str>, bool) {
    match text.strip_suffix('*') {
        Some(prefix) => (prefix.into(), true),
        None => (text.into(), false),
    }
}

fn instant<T>(row: &Row<T>, text: &str, defects: &mut Vec<Defect>) -> Option<Timestamp> {
    if text.is_empty() {
        return None;
    }
    match text.parse::<jiff::Timestamp>() {
        Ok(at) => Some(Timestamp::from_micros(u64::try_from(at.as_microsecond()).unwrap_or(0))),
        Err(error) => {
            defects.push(row.defect("bad_row", format!("`{text}` is no time: {error}"), "write RFC 3339, like 2026-11-22T08:00:00+04:00"));
            None
        }
    }
}
