//! Everything that can be wrong with a pack, found before it is published, and the proof that nobody is left without a route.
//!
//! [`check_files`] judges a folder of files, [`check`] rows that were already read. Neither needs compiled tables: `build` asks
//! here first and compiles only what has no error. Every defect names its file, its row and what to do about it.
//!
//! The proof: for every area, on land and at sea, and for a place that is not known at all, every service in use has a room that is
//! responsible or a fallback that always holds. [`Summary`] counts the pairs.

pub(crate) mod layers;
pub(crate) mod provenance;

use std::collections::{BTreeMap, BTreeSet};

use super::source::{
    AreaRow, BorderRow, CellRow, Defect, DispatcherRow, Files, Hours, LineRow, OverlayRow, PlanRow, PolicyRow, Row, Source, parse_name,
    parse_services, parse_shape, words,
};
use crate::geo::point::Point;
use crate::limits::{AREAS_MAX, CHAIN_MAX, DISPATCHERS_MAX, SERVICES_MAX};
use crate::service::{Service, ServiceSet};

/// What is wrong and what was proven.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Sorted by file, errors before warnings, then by row.
    pub defects: Vec<Defect>,
    pub summary: Summary,
}

impl Report {
    pub fn error_count(&self) -> usize {
        self.defects.iter().filter(|defect| !defect.warning).count()
    }

    pub fn warning_count(&self) -> usize {
        self.defects.iter().filter(|defect| defect.warning).count()
    }

    /// Whether a set may be compiled and published: warnings do not stop it.
    pub fn is_publishable(&self) -> bool {
        self.error_count() == 0
    }
}

/// What a pack holds and what was proven about it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    pub areas: usize,
    /// Services that a plan, a number or a dispatcher names.
    pub services: usize,
    pub dispatchers: usize,
    /// Different rooms of people: several dispatchers can be one room.
    pub rooms: usize,
    /// (Areas on land + areas at sea + the unknown place) x services.
    pub pairs: usize,
    /// Pairs with a room responsible for them, and a fallback behind it.
    pub pairs_responsible: usize,
    /// Pairs that only the fallback answers.
    pub pairs_fallback: usize,
    /// Pairs without a fallback. Zero in a set that may be published.
    pub pairs_unproven: usize,
    /// Land that exactly one area owns.
    pub owned_km2: u64,
    /// Places of nobody that the nearest area answers, because no point of them is farther than `gap_m` from a border.
    pub gaps_to_nearest: usize,
    /// Gaps and overlaps nowhere deeper than `snap_m`.
    pub slivers: u32,
}

/// Reads and judges a whole pack: rows, boundaries and provenance.
pub fn check_files(files: &Files) -> Report {
    let (source, mut defects) = Source::parse(files);
    defects.extend(provenance::check(files, &source));
    check_with(&source, defects)
}

/// Judges the rows of a pack.
pub fn check(source: &Source) -> Report {
    check_with(source, Vec::new())
}

/// Judges the rows of a pack, and adds what others found: the reader of the files, the compiler of the lexicon.
pub fn check_with(source: &Source, found_elsewhere: Vec<Defect>) -> Report {
    let mut check = Check::new(source, found_elsewhere);
    check.pack();
    check.areas();
    check.dispatchers();
    check.overflow();
    check.numbers();
    check.types();
    check.plans();
    check.answering();
    check.policies();
    check.codes_and_lines();
    check.trunks_and_cells();
    check.foreign_and_borders();
    check.overlays();
    check.positions();
    check.coverage();
    layers::check(source, &mut check.defects, &mut check.summary);
    check.prove();
    check.finish()
}

struct Check<'a> {
    source: &'a Source,
    areas: BTreeSet<&'a str>,
    dispatchers: BTreeSet<&'a str>,
    defects: Vec<Defect>,
    summary: Summary,
}

/// What an id column is called when it names something that is not there.
#[derive(Clone, Copy)]
enum Kind {
    Area,
    Dispatcher,
}

impl<'a> Check<'a> {
    fn new(source: &'a Source, defects: Vec<Defect>) -> Self {
        let areas = source.areas.iter().map(|row| row.value.id.as_str()).collect();
        let dispatchers = source.dispatchers.iter().map(|row| row.value.id.as_str()).collect();
        Self { source, areas, dispatchers, defects, summary: Summary::default() }
    }

    fn finish(mut self) -> Report {
        self.defects.sort_by(|a, b| (&a.file, a.warning, a.row, a.code, &a.what).cmp(&(&b.file, b.warning, b.row, b.code, &b.what)));
        self.defects.dedup();
        Report { defects: self.defects, summary: self.summary }
    }

    // --- tools ---

    fn error<T>(&mut self, row: &Row<T>, code: &'static str, what: impl Into<String>, remedy: impl Into<String>) {
        self.defects.push(row.defect(code, what, remedy));
    }

    fn warning<T>(&mut self, row: &Row<T>, code: &'static str, what: impl Into<String>, remedy: impl Into<String>) {
        self.defects.push(Defect { warning: true, ..row.defect(code, what, remedy) });
    }

    fn whole_file(&mut self, file: &str, code: &'static str, what: impl Into<String>, remedy: impl Into<String>) {
        let (what, remedy) = (what.into(), remedy.into());
        self.defects.push(Defect { file: file.to_owned(), row: 0, code, what, remedy, warning: false });
    }

    /// One defect for every row whose key stood in an earlier row.
    fn unique<T>(&mut self, rows: &[Row<T>], code: &'static str, key: impl Fn(&T) -> String) {
        let mut seen: BTreeMap<String, u64> = BTreeMap::new();
        for row in rows {
            let key = key(&row.value);
            match seen.get(&key) {
                Some(line) => {
                    let what = format!("`{key}` stands in line {line} already");
                    self.error(row, code, what, "keep one of the two rows");
                }
                None => {
                    seen.insert(key, row.line);
                }
            }
        }
    }

    fn name<T>(&mut self, row: &Row<T>, text: &str) {
        if let Err(what) = parse_name(text) {
            self.error(row, "bad_id", what, "use a short id of letters, digits and dashes");
        }
    }

    /// Every word must be a known id.
    fn known<T>(&mut self, row: &Row<T>, kind: Kind, column: &str, text: &str) {
        let (known, code, file) = match kind {
            Kind::Area => (&self.areas, "unknown_area", "areas.csv"),
            Kind::Dispatcher => (&self.dispatchers, "unknown_dispatcher", "dispatchers.csv"),
        };
        for word in words(text).filter(|word| !known.contains(word)) {
            let near = closest(word, known.iter().copied());
            let what = format!("{column} names `{word}`, which is not in {file}");
            let remedy = near.map_or_else(|| format!("add it to {file}"), |near| format!("write `{near}`, or add it to {file}"));
            self.defects.push(row.defect(code, what, remedy));
        }
    }

    fn services<T>(&mut self, row: &Row<T>, text: &str) -> Vec<Service> {
        let unknown: Vec<&str> = words(text).filter(|word| Service::from_word(word).is_none()).collect();
        for word in unknown {
            let all = Service::ALL.map(Service::word).join(", ");
            self.error(row, "unknown_service", format!("`{word}` is no service"), format!("write one of {all}"));
        }
        words(text).filter_map(Service::from_word).collect()
    }

    fn one_of<T>(&mut self, row: &Row<T>, column: &str, text: &str, allowed: &[&str]) {
        if !allowed.contains(&text) {
            let allowed: Vec<String> =
                allowed.iter().map(|word| if word.is_empty() { "nothing".to_owned() } else { format!("`{word}`") }).collect();
            let what = format!("{column} is `{text}`");
            self.error(row, "bad_value", what, format!("write {}", allowed.join(" or ")));
        }
    }

    fn yes_or_no<T>(&mut self, row: &Row<T>, column: &str, text: &str) {
        self.one_of(row, column, text, &["yes", "no", ""]);
    }

    // --- pack.toml ---

    fn pack(&mut self) {
        let pack = &self.source.pack;
        if pack.schema == 0 {
            return; // Unreadable: said already.
        }
        let mut wrong = |holds: bool, what: String, remedy: &str| {
            if !holds {
                self.defects.push(Defect {
                    file: "pack.toml".to_owned(),
                    row: 0,
                    code: "bad_value",
                    what,
                    remedy: remedy.to_owned(),
                    warning: false,
                });
            }
        };
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        wrong(is_country(&pack.country), format!("country is `{}`", pack.country), "write two capital letters of ISO 3166-1");
        wrong(digits(&pack.calling_code), format!("calling_code is `{}`", pack.calling_code), "write digits only");
        wrong(
            pack.trunk_prefix.bytes().all(|b| b.is_ascii_digit()),
            format!("trunk_prefix is `{}`", pack.trunk_prefix),
            "write digits only",
        );
        let mcc = pack.home_mcc.iter().all(|mcc| mcc.len() == 3 && digits(mcc));
        wrong(mcc && !pack.home_mcc.is_empty(), format!("home_mcc is {:?}", pack.home_mcc), "list the country's codes, three digits each");
        let offset = pack.utc_offset_minutes;
        wrong((-14 * 60..=14 * 60).contains(&offset), format!("utc_offset_minutes is {offset}"), "a clock is at most 14 hours from UTC");
        let (snap_m, gap_m, coast_m) = (pack.snap_m, pack.gap_m, pack.coast_m);
        let order = snap_m <= gap_m && gap_m <= coast_m && coast_m <= 400_000;
        wrong(order, format!("snap_m {snap_m}, gap_m {gap_m}, coast_m {coast_m}"), "keep snap_m <= gap_m <= coast_m <= 400000");
        wrong(snap_m <= 100, format!("snap_m is {snap_m}"), "at most 100: farther vertices are different places");
        wrong(pack.accuracy_m <= 100_000, format!("accuracy_m is {}", pack.accuracy_m), "write metres, at most 100000");
        wrong(
            pack.neighbour_ppm_min <= 1_000_000,
            format!("neighbour_ppm_min is {}", pack.neighbour_ppm_min),
            "write at most 1000000, which is certain",
        );
        wrong(pack.uncertainty_m <= 100_000, format!("uncertainty_m is {}", pack.uncertainty_m), "write metres, at most 100000");
    }

    // --- areas.csv, dispatchers.csv ---

    fn areas(&mut self) {
        let rows: &'a [Row<AreaRow>] = &self.source.areas;
        self.summary.areas = self.areas.len();
        self.unique(rows, "duplicate_id", |area| area.id.clone());
        if rows.is_empty() || rows.len() > AREAS_MAX {
            let what = format!("{} areas", rows.len());
            self.whole_file("areas.csv", "bad_count", what, format!("a pack has 1 to {AREAS_MAX}"));
        }
        for row in rows {
            self.name(row, &row.value.id);
            if ["sea", "coast", "*"].contains(&row.value.id.as_str()) || is_country(&row.value.id) {
                let what = format!("`{}` has a meaning of its own in other files", row.value.id);
                self.error(row, "bad_id", what, "give the area another id, such as its ISO 3166-2 code");
            }
        }
    }

    fn dispatchers(&mut self) {
        let rows: &'a [Row<DispatcherRow>] = &self.source.dispatchers;
        self.summary.dispatchers = self.dispatchers.len();
        self.summary.rooms = rows.iter().map(|row| row.value.room.as_str()).collect::<BTreeSet<_>>().len();
        self.unique(rows, "duplicate_id", |dispatcher| dispatcher.id.clone());
        if rows.is_empty() || rows.len() > DISPATCHERS_MAX {
            let what = format!("{} dispatchers", rows.len());
            self.whole_file("dispatchers.csv", "bad_count", what, format!("a pack has 1 to {DISPATCHERS_MAX}"));
        }
        let helping = self.dispatchers_with_a_role();
        for row in rows {
            let d = &row.value;
            self.name(row, &d.id);
            self.services(row, &d.service);
            if words(&d.service).count() != 1 {
                let what = format!("`{}` answers for {} services", d.id, words(&d.service).count());
                self.error(row, "unknown_service", what, "one row for each service; rows may share a room");
            }
            if d.areas.trim() != "*" {
                self.known(row, Kind::Area, "areas", &d.areas);
            }
            self.yes_or_no(row, "text", &d.text);
            if d.areas.trim().is_empty() && !helping.contains(d.id.as_str()) {
                let what = format!("`{}` has no area, and nobody overflows to it", d.id);
                self.error(row, "dispatcher_without_area_or_role", what, "give it areas, name it in an overflow or a policy, or remove it");
            }
            if d.capacity == 0 {
                self.error(row, "bad_value", format!("`{}` has capacity 0", d.id), "count the contacts its seats can hold at once");
            }
            if !(1..=3_600).contains(&d.take_s) {
                self.error(row, "bad_value", format!("take_s is {}", d.take_s), "write 1 to 3600 seconds");
            }
            if !["sip:", "sips:", "tel:"].iter().any(|scheme| d.uri.starts_with(scheme)) {
                self.error(row, "bad_value", format!("uri is `{}`", d.uri), "write sip:name@host");
            }
            let language = |word: &str| word.len() == 2 && word.bytes().all(|b| b.is_ascii_lowercase());
            if d.languages.trim().is_empty() || !words(&d.languages).all(language) {
                self.error(row, "bad_value", format!("languages are `{}`", d.languages), "write ISO 639-1 codes, such as `ar en`");
            }
            if d.room.trim().is_empty() || d.site.trim().is_empty() {
                self.error(row, "bad_value", format!("`{}` has no room or no site", d.id), "name both: what shares a site fails together");
            }
        }
        self.responsible_twice();
    }

    /// Dispatchers that somebody names: in an overflow, a policy, an answering row, a trunk or an overlay.
    fn dispatchers_with_a_role(&self) -> BTreeSet<&'a str> {
        let s = self.source;
        let overflow = s.dispatchers.iter().flat_map(|row| words(&row.value.overflow).filter(move |word| *word != row.value.id));
        let policies = s.policies.iter().flat_map(|row| words(&row.value.dispatchers));
        let answering = s.answering.iter().map(|row| row.value.dispatcher.as_str());
        let trunks = s.trunks.iter().map(|row| row.value.default.as_str());
        let overlays = s.overlays.iter().map(|row| row.value.dispatcher.as_str());
        overflow.chain(policies).chain(answering).chain(trunks).chain(overlays).collect()
    }

    /// Two rooms of one service for one area: nobody could say which is responsible.
    fn responsible_twice(&mut self) {
        let mut seen: BTreeMap<(&str, &str), &str> = BTreeMap::new();
        let rows: &'a [Row<DispatcherRow>] = &self.source.dispatchers;
        for row in rows {
            let d = &row.value;
            for area in words(&d.areas) {
                if let Some(other) = seen.insert((d.service.as_str(), area), &d.id).filter(|other| *other != d.id) {
                    let what = format!("`{other}` and `{}` are both responsible for {} in `{area}`", d.id, d.service);
                    self.error(row, "responsible_twice", what, "leave the area to one; the other can stand in its overflow");
                }
            }
        }
    }

    fn overflow(&mut self) {
        let rows: &'a [Row<DispatcherRow>] = &self.source.dispatchers;
        let by_id: BTreeMap<&str, &Row<DispatcherRow>> = rows.iter().map(|row| (row.value.id.as_str(), row)).collect();
        for row in rows {
            let d = &row.value;
            self.known(row, Kind::Dispatcher, "overflow", &d.overflow);
            let chain: Vec<&str> = words(&d.overflow).collect();
            if chain.len() >= CHAIN_MAX - 1 {
                let what = format!("`{}` overflows to {} rooms", d.id, chain.len());
                self.error(
                    row,
                    "overflow_too_long",
                    what,
                    format!("at most {}: itself and the fallback stand in the chain too", CHAIN_MAX - 2),
                );
            }
            for (i, other) in chain.iter().enumerate() {
                if chain[..i].contains(other) {
                    self.error(row, "cyclic_overflow", format!("`{}` overflows to `{other}` twice", d.id), "name it once");
                }
                let Some(alternate) = by_id.get(other) else { continue };
                if *other != d.id && alternate.value.site == d.site {
                    let what = format!("`{}` overflows to `{other}`, which stands on the same site `{}`", d.id, d.site);
                    self.warning(row, "alternates_share_site", what, "put a room on another site first: one power cut silences both");
                }
            }
        }
        for circle in overflow_circles(&by_id) {
            if let Some(row) = by_id.get(circle[0]) {
                let what = format!("overflow runs in a circle: {} > {}", circle.join(" > "), circle[0]);
                self.error(row, "cyclic_overflow", what, "end the chain; policies.csv has the last resort");
            }
        }
    }

    // --- numbers.csv, types.csv, plans.csv, answering.csv ---

    fn numbers(&mut self) {
        let rows = &self.source.numbers;
        self.unique(rows, "duplicate_number", |number| {
            let medium = if number.medium.is_empty() { "any" } else { &number.medium };
            format!("{} for {medium}", number.number)
        });
        let any: BTreeSet<&str> =
            rows.iter().filter(|row| matches!(row.value.medium.as_str(), "" | "any")).map(|row| row.value.number.as_str()).collect();
        for row in rows {
            let n = &row.value;
            if n.number.is_empty() || !n.number.bytes().all(|b| b.is_ascii_digit() || b == b'+' || b == b'*' || b == b'#') {
                self.error(row, "bad_value", format!("number is `{}`", n.number), "write the digits as dialled");
            }
            self.one_of(row, "kind", &n.kind, &["national", "hint", "non_emergency"]);
            self.one_of(row, "medium", &n.medium, &["voice", "sms", "any", ""]);
            self.services(row, &n.service);
            if n.kind != "national" && n.service.trim().is_empty() {
                self.error(
                    row,
                    "unknown_service",
                    format!("{} is a {} for no service", n.number, n.kind),
                    "name the service it used to reach",
                );
            }
            if any.contains(n.number.as_str()) && matches!(n.medium.as_str(), "voice" | "sms") {
                let what = format!("{} stands here for {} and elsewhere for any medium", n.number, n.medium);
                self.error(row, "duplicate_number", what, "keep one row, or split the other by medium");
            }
        }
        if !rows.iter().any(|row| row.value.kind == "national") {
            self.whole_file("numbers.csv", "no_national_number", "no number is `national`", "add the one number people dial");
        }
    }

    fn types(&mut self) {
        let rows = &self.source.types;
        self.unique(rows, "duplicate_id", |kind| kind.code.clone());
        for row in rows {
            self.name(row, &row.value.code);
            if !(1..=3).contains(&row.value.priority) {
                self.error(row, "bad_value", format!("priority is {}", row.value.priority), "write 1, 2 or 3");
            }
            self.yes_or_no(row, "quiet", &row.value.quiet);
            self.yes_or_no(row, "sea", &row.value.sea);
        }
    }

    fn plans(&mut self) {
        let rows: &'a [Row<PlanRow>] = &self.source.plans;
        let types: BTreeSet<&str> = self.source.types.iter().map(|row| row.value.code.as_str()).collect();
        self.unique(rows, "duplicate_id", |plan| format!("{} in {}", plan.type_, plan.area));
        for row in rows {
            let plan = &row.value;
            let of_service = plan.type_.strip_prefix("service:");
            if let Some(service) = of_service {
                self.services(row, service);
            } else if plan.type_ != "*" && !types.contains(plan.type_.as_str()) {
                let near = closest(&plan.type_, types.iter().copied());
                let remedy =
                    near.map_or_else(|| "add it to types.csv".to_owned(), |near| format!("write `{near}`, or add it to types.csv"));
                self.error(row, "unknown_type", format!("`{}` is no type of types.csv", plan.type_), remedy);
            }
            if !matches!(plan.area.as_str(), "*" | "sea") {
                self.known(row, Kind::Area, "area", plan.area.strip_prefix("sea:").unwrap_or(&plan.area));
            }
            let services = self.services(row, &plan.services);
            let repeated = services.iter().enumerate().any(|(i, service)| services[..i].contains(service));
            if plan.services.trim().is_empty() || repeated || services.len() > SERVICES_MAX {
                let what = format!("the plan sends `{}`", plan.services);
                self.error(row, "bad_plan", what, "name each service once, the lead first");
            }
        }
        if !rows.iter().any(|row| row.value.type_ == "*" && row.value.area == "*") {
            let what = "no plan holds for every type in every area";
            self.whole_file("plans.csv", "no_catch_all", what, "add a row `*,*,` with the services to send when nothing is known");
        }
    }

    fn answering(&mut self) {
        let rows = &self.source.answering;
        self.unique(rows, "duplicate_id", |row| row.area.clone());
        for row in rows {
            if row.value.area != "*" {
                self.known(row, Kind::Area, "area", &row.value.area);
            }
            self.one_dispatcher(row, "dispatcher", &row.value.dispatcher);
        }
        let answered: BTreeSet<&str> = rows.iter().map(|row| row.value.area.as_str()).collect();
        let areas: Vec<&str> = self.areas.iter().copied().chain(["*"]).filter(|area| !answered.contains(area)).collect();
        for area in areas {
            let place = if area == "*" { "a contact without any place".to_owned() } else { format!("`{area}`") };
            let what = format!("{place} has no answering room");
            self.whole_file("answering.csv", "area_without_answering", what, format!("add a row `{area},DISPATCHER`"));
        }
    }

    fn one_dispatcher<T>(&mut self, row: &Row<T>, column: &str, text: &str) {
        if words(text).count() != 1 {
            self.error(row, "unknown_dispatcher", format!("{column} is `{text}`"), "name one dispatcher");
        } else {
            self.known(row, Kind::Dispatcher, column, text);
        }
    }

    // --- policies.csv ---

    fn policies(&mut self) {
        let rows: &'a [Row<PolicyRow>] = &self.source.policies;
        self.unique(rows, "duplicate_id", |policy| policy.id.clone());
        for row in rows {
            let p = &row.value;
            self.name(row, &p.id);
            if p.service != "*" {
                self.services(row, &p.service);
                if words(&p.service).count() != 1 {
                    self.error(row, "unknown_service", format!("service is `{}`", p.service), "name one service, or `*` for all");
                }
            }
            if p.area != "*" {
                self.known(row, Kind::Area, "area", &p.area);
                if words(&p.area).count() != 1 {
                    self.error(row, "unknown_area", format!("area is `{}`", p.area), "name one area, or `*` for all");
                }
            }
            self.condition(row);
            self.one_of(row, "then", &p.then, &["overflow", "append", "fallback"]);
            self.known(row, Kind::Dispatcher, "dispatchers", &p.dispatchers);
            let count = words(&p.dispatchers).count();
            if count == 0 || count > CHAIN_MAX {
                let what = format!("`{}` names {count} dispatchers", p.id);
                self.error(row, "empty_policy", what, format!("name 1 to {CHAIN_MAX}, first asked first"));
            }
        }
        self.shadowed_policies();
        for service in self.services_in_use().iter() {
            self.last_resort(service);
        }
    }

    fn condition(&mut self, row: &'a Row<PolicyRow>) {
        // The words of the dispatcher states; they live in `deliver`, which tables may not import.
        const STATES: [&str; 5] = ["active", "diverting", "full", "unreachable", "closed"];
        const REMEDY: &str = "write always, state:STATE, hours:HOURS, outside or nothing";
        let when = row.value.when.as_str();
        if let Some(state) = when.strip_prefix("state:") {
            if !STATES.contains(&state) {
                self.error(row, "bad_condition", format!("`{state}` is no state"), format!("write one of {}", STATES.join(", ")));
            }
        } else if let Some(hours) = when.strip_prefix("hours:") {
            self.hours(row, hours);
            if hours.trim().is_empty() {
                self.error(row, "bad_condition", "hours: names no hours", "write always, or hours:Mo-Fr 07:00-15:00");
            }
        } else if !["always", "outside", "nothing"].contains(&when) {
            self.error(row, "bad_condition", format!("when is `{when}`"), REMEDY);
        }
    }

    fn hours<T>(&mut self, row: &Row<T>, text: &str) {
        if let Err(what) = Hours::parse(text) {
            self.error(row, "bad_hours", what, "write for example Mo-Fr 07:00-15:00; Sa 08:00-12:00");
        }
    }

    /// Rows behind one that always holds are never asked. A fallback stands behind everything, so only a fallback shadows it.
    fn shadowed_policies(&mut self) {
        let mut rows: Vec<&'a Row<PolicyRow>> = self.source.policies.iter().collect();
        rows.sort_by_key(|row| (row.value.order, row.line));
        let covers = |wide: &str, narrow: &str| wide == "*" || wide == narrow;
        for (i, row) in rows.iter().enumerate() {
            let p = &row.value;
            let shadow = rows[..i].iter().find(|earlier| {
                let e = &earlier.value;
                let stands_before = e.then != "fallback" || p.then == "fallback";
                let asked_first = p.then != "fallback" || e.then == "fallback";
                e.when == "always" && covers(&e.service, &p.service) && covers(&e.area, &p.area) && (stands_before && asked_first)
            });
            if let Some(earlier) = shadow {
                let what = format!("`{}` is never reached: `{}` (line {}) always holds before it", p.id, earlier.value.id, earlier.line);
                self.error(row, "unreachable_policy", what, "give it a lower order, or remove it");
            }
        }
    }

    fn last_resort(&mut self, service: Service) {
        let mine = |row: &&Row<PolicyRow>| row.value.service == "*" || row.value.service == service.word();
        let fallbacks: Vec<&Row<PolicyRow>> = self.source.policies.iter().filter(mine).filter(|row| row.value.then == "fallback").collect();
        let word = service.word();
        if fallbacks.is_empty() {
            let what = format!("{word} has no fallback");
            let remedy = format!("add a row: id,90,{word},*,always,fallback,DISPATCHERS");
            self.whole_file("policies.csv", "service_without_fallback", what, remedy);
        } else if !self.has_fallback(service) {
            let what = format!("the fallback of {word} does not always hold everywhere");
            self.error(
                fallbacks[0],
                "no_catch_all",
                what,
                "let one row of the service hold `always` for area `*` and name a known dispatcher",
            );
        }
    }

    /// A fallback that holds always, everywhere, and names somebody who exists.
    fn has_fallback(&self, service: Service) -> bool {
        self.source.policies.iter().any(|row| {
            let p = &row.value;
            let mine = p.service == "*" || p.service == service.word();
            let somebody = words(&p.dispatchers).any(|word| self.dispatchers.contains(word));
            mine && p.then == "fallback" && p.when == "always" && p.area == "*" && somebody
        })
    }

    // --- area_codes.csv, lines.csv, trunks.csv, cells.csv ---

    fn codes_and_lines(&mut self) {
        let s = self.source;
        self.unique(&s.area_codes, "duplicate_id", |code| code.prefix.clone());
        for row in &s.area_codes {
            if row.value.prefix.is_empty() || !row.value.prefix.bytes().all(|b| b.is_ascii_digit()) {
                self.error(row, "bad_value", format!("prefix is `{}`", row.value.prefix), "write digits, with the trunk digit: 06");
            }
            self.known(row, Kind::Area, "areas", &row.value.areas);
            self.one_of(row, "class", &row.value.class, &["fixed", "mobile", "other"]);
        }
        self.unique(&s.lines, "duplicate_id", |line| format!("{} from `{}`", line.line, line.from));
        for row in &s.lines {
            let line = &row.value;
            let digits = line.line.strip_prefix('+').map(|rest| rest.strip_suffix('*').unwrap_or(rest));
            if !digits.is_some_and(|d| (1..=15).contains(&d.len()) && d.bytes().all(|b| b.is_ascii_digit())) {
                self.error(
                    row,
                    "bad_line",
                    format!("line is `{}`", line.line),
                    "write +971... with at most 15 digits; a trailing * for a range",
                );
            }
            self.one_of(row, "class", &line.class, &["mobile", "fixed", "pilot", "panel", "centre", "test"]);
            self.known(row, Kind::Area, "area", &line.area);
            self.test_window(row);
        }
    }

    fn test_window(&mut self, row: &'a Row<LineRow>) {
        let line = &row.value;
        if line.class == "test" && (line.from.is_empty() || line.until.is_empty()) {
            let what = format!("test line `{}` has no window", line.line);
            self.error(row, "bad_window", what, "write from and until: a test line that stays one forever swallows a real call");
        }
        self.window(row, &line.from, &line.until);
    }

    fn window<T>(&mut self, row: &Row<T>, from: &str, until: &str) {
        const REMEDY: &str = "write RFC 3339 with the offset: 2026-03-01T09:00:00+04:00";
        let mut read = |column: &str, text: &str| -> Option<jiff::Timestamp> {
            if text.is_empty() {
                return None;
            }
            let parsed = text.parse::<jiff::Timestamp>();
            if let Err(error) = &parsed {
                self.error(row, "bad_window", format!("{column} is `{text}`: {error}"), REMEDY);
            }
            parsed.ok()
        };
        let (start, end) = (read("from", from), read("until", until));
        if let (Some(start), Some(end)) = (start, end)
            && start >= end
        {
            self.error(row, "bad_window", format!("the window from {from} until {until} is empty"), "let until come after from");
        }
    }

    fn trunks_and_cells(&mut self) {
        let s = self.source;
        self.unique(&s.trunks, "duplicate_id", |trunk| trunk.trunk.clone());
        for row in &s.trunks {
            self.name(row, &row.value.trunk);
            self.known(row, Kind::Area, "area", &row.value.area);
            self.one_dispatcher(row, "default", &row.value.default);
        }
        self.unique(&s.cells, "duplicate_id", |cell| format!("{} from `{}`", cell.cell, cell.from));
        for row in &s.cells {
            self.cell(row);
        }
    }

    fn cell(&mut self, row: &'a Row<CellRow>) {
        /// Timing advance of a boosted offshore cell reaches about 200 km; nothing is heard farther.
        const OUTER_M_MAX: u32 = 200_000;
        let cell = &row.value;
        let digits = cell.cell.strip_suffix('*').unwrap_or(&cell.cell);
        if !(5..=32).contains(&digits.len()) || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            self.error(
                row,
                "bad_cell",
                format!("cell is `{}`", cell.cell),
                "write MCC, MNC, area and cell without separators; a trailing * for a range",
            );
        }
        if cell.azimuth_deg > 360 || !(1..=360).contains(&cell.opening_deg) {
            let what = format!("azimuth {} and opening {}", cell.azimuth_deg, cell.opening_deg);
            self.error(row, "out_of_range", what, "degrees: azimuth 0 to 360, opening 1 to 360");
        }
        if cell.inner_m >= cell.outer_m || cell.outer_m > OUTER_M_MAX {
            let what = format!("the sector reaches from {} m to {} m", cell.inner_m, cell.outer_m);
            self.error(row, "out_of_range", what, format!("let inner_m be less than outer_m, and outer_m at most {OUTER_M_MAX}"));
        }
        self.one_of(row, "kind", &cell.kind, &["outdoor", "indoor", "offshore"]);
        self.known(row, Kind::Area, "area", &cell.area);
        self.window(row, &cell.from, &cell.until);
    }

    // --- foreign.csv, borders.csv ---

    fn foreign_and_borders(&mut self) {
        let s = self.source;
        self.unique(&s.foreign, "duplicate_id", |foreign| foreign.country.clone());
        let countries: BTreeSet<&str> = s.foreign.iter().map(|row| row.value.country.as_str()).collect();
        let home: BTreeSet<&str> = s.pack.home_mcc.iter().map(String::as_str).collect();
        for row in &s.foreign {
            let f = &row.value;
            if !is_country(&f.country) || f.country == s.pack.country {
                self.error(row, "bad_id", format!("country is `{}`", f.country), "write the two capital letters of another country");
            }
            for mcc in words(&f.mcc) {
                if mcc.len() != 3 || !mcc.bytes().all(|b| b.is_ascii_digit()) || home.contains(mcc) {
                    self.error(row, "bad_value", format!("mcc `{mcc}` of {}", f.country), "three digits, none of them of our own networks");
                }
            }
        }
        for row in &s.foreign_land {
            if !countries.contains(row.value.id.as_str()) {
                let what = format!("`{}` is not in foreign.csv", row.value.id);
                self.error(row, "unknown_country", what, "add its peer room to foreign.csv");
            }
        }
        self.unique(&s.borders, "duplicate_id", |border| {
            let (a, b) = (border.area_a.as_str().min(&border.area_b), border.area_a.as_str().max(&border.area_b));
            format!("{a} {b} within `{}`", border.within)
        });
        for row in &s.borders {
            self.border(row, &countries);
        }
    }

    fn border(&mut self, row: &'a Row<BorderRow>, countries: &BTreeSet<&str>) {
        let border = &row.value;
        self.known(row, Kind::Area, "area_a", &border.area_a);
        let other = border.area_b.as_str();
        if border.area_a == other || border.area_a.is_empty() || other.is_empty() {
            let what = format!("a border between `{}` and `{other}`", border.area_a);
            self.error(row, "bad_border", what, "name two different sides");
        } else if other != "coast" && !countries.contains(other) {
            if is_country(other) {
                self.error(row, "unknown_country", format!("area_b names `{other}`"), "add the country to foreign.csv");
            } else {
                self.known(row, Kind::Area, "area_b", other);
            }
        }
        if border.accuracy_m > 100_000 {
            let what = format!("the line is {} m wrong at most", border.accuracy_m);
            self.error(row, "bad_border", what, "write metres; a layer that is 100 km wrong is of no use");
        }
        let circle = if border.within.is_empty() { Ok(()) } else { parse_shape(&format!("circle {}", border.within)).map(drop) };
        if let Err(what) = circle {
            self.error(row, "bad_border", what, "write `LAT LON RADIUS_M`, or nothing for the whole border");
        }
    }

    // --- overlays.csv, places.csv ---

    fn overlays(&mut self) {
        let rows: &'a [Row<OverlayRow>] = &self.source.overlays;
        self.unique(rows, "duplicate_id", |overlay| overlay.id.clone());
        for row in rows {
            let o = &row.value;
            self.name(row, &o.id);
            self.one_of(row, "kind", &o.kind, &["area", "room", "mark"]);
            self.one_of(row, "flag", &o.flag, &["disputed", "neutral_zone", ""]);
            self.services(row, &o.services);
            self.known(row, Kind::Area, "area", &o.area);
            self.known(row, Kind::Area, "told", &o.told);
            if !o.dispatcher.is_empty() {
                self.known(row, Kind::Dispatcher, "dispatcher", &o.dispatcher);
            }
            self.hours(row, &o.hours);
            if let Err(what) = parse_shape(&o.shape) {
                self.error(row, "bad_shape", what, "write `circle LAT LON RADIUS_M` or `polygon LON LAT, LON LAT, ...`");
            }
            let missing = match o.kind.as_str() {
                "area" if words(&o.area).count() != 1 => Some("area"),
                "room" if words(&o.dispatcher).count() != 1 => Some("dispatcher"),
                "mark" if o.flag.is_empty() => Some("flag"),
                _ => None,
            };
            if let Some(column) = missing {
                let what = format!("an overlay of kind {} without {column}", o.kind);
                self.error(row, "bad_overlay", what, format!("fill the column {column}"));
            }
            self.room_of_another_service(row);
        }
    }

    fn room_of_another_service(&mut self, row: &'a Row<OverlayRow>) {
        let o = &row.value;
        let room = self.source.dispatchers.iter().find(|d| d.value.id == o.dispatcher);
        let Some(room) = room.filter(|_| o.kind == "room") else { return };
        let services = parse_services(&o.services).unwrap_or_default();
        if !services.iter().any(|service| service.word() == room.value.service) {
            let what = format!("`{}` answers for {}, the overlay is for `{}`", o.dispatcher, room.value.service, o.services);
            self.warning(row, "overlay_other_service", what, "name the room's service, or the room of this service");
        }
    }

    /// Rows with a position, and rows that name an area for it.
    fn positions(&mut self) {
        let s = self.source;
        for row in &s.places {
            self.known(row, Kind::Area, "area", &row.value.area);
        }
        let home = Home::of(s);
        for row in &s.places {
            self.position(row, home, row.value.lat, row.value.lon);
        }
        for row in &s.cells {
            self.position(row, home, row.value.lat, row.value.lon);
        }
        for row in &s.dispatchers {
            if let (Some(lat), Some(lon)) = (row.value.lat, row.value.lon) {
                self.position(row, home, lat, lon);
            }
        }
    }

    fn position<T>(&mut self, row: &Row<T>, home: Option<Home>, lat: f64, lon: f64) {
        let Some(point) = Point::from_degrees(lat, lon) else {
            let what = format!("{lat}, {lon} is no latitude and longitude");
            return self.error(row, "out_of_range", what, "degrees: latitude -90 to 90, longitude -180 to 180");
        };
        if home.is_some_and(|home| home.is_swapped(point)) {
            let what = format!("latitude {lat} and longitude {lon} are far away; swapped they are in the country");
            self.error(row, "swapped_axes", what, "exchange lat and lon");
        }
    }

    // --- what must hold together ---

    /// Services that somebody can ask for.
    fn services_in_use(&self) -> ServiceSet {
        let s = self.source;
        let plans = s.plans.iter().flat_map(|row| words(&row.value.services));
        let numbers = s.numbers.iter().flat_map(|row| words(&row.value.service));
        let rooms = s.dispatchers.iter().flat_map(|row| words(&row.value.service));
        plans.chain(numbers).chain(rooms).filter_map(Service::from_word).collect()
    }

    fn responsible(&self, service: Service, area: &str) -> bool {
        let mine = |row: &&Row<DispatcherRow>| row.value.service == service.word();
        self.source.dispatchers.iter().filter(mine).any(|row| words(&row.value.areas).any(|word| word == "*" || word == area))
    }

    /// A plan may only send what somebody is responsible for.
    fn coverage(&mut self) {
        let mut said: BTreeSet<(Service, &str)> = BTreeSet::new();
        for row in &self.source.plans {
            let place = row.value.area.strip_prefix("sea:").unwrap_or(&row.value.area);
            let everywhere = matches!(place, "*" | "sea");
            let places: Vec<&'a str> = self.areas.iter().copied().filter(|area| everywhere || *area == place).collect();
            for service in words(&row.value.services).filter_map(Service::from_word) {
                // Said once for a service and area, at the first plan that needs it.
                let uncovered: Vec<&str> =
                    places.iter().copied().filter(|area| !self.responsible(service, area) && said.insert((service, area))).collect();
                if !uncovered.is_empty() {
                    let what = format!("{service} is sent to {}, where no dispatcher is responsible for it", uncovered.join(", "));
                    self.error(row, "service_uncovered", what, "give a dispatcher of the service these areas, or take it out of the plan");
                }
            }
        }
    }

    fn prove(&mut self) {
        let services = self.services_in_use();
        self.summary.services = services.iter().count();
        for service in services.iter() {
            let fallback = self.has_fallback(service);
            // Land and sea of an area have the same rooms; the unknown place belongs to rooms of the whole country.
            let places = self.areas.iter().flat_map(|area| [*area, *area]).chain(["*"]);
            for place in places.collect::<Vec<_>>() {
                self.summary.pairs += 1;
                match (fallback, self.responsible(service, place)) {
                    (true, true) => self.summary.pairs_responsible += 1,
                    (true, false) => self.summary.pairs_fallback += 1,
                    (false, _) => self.summary.pairs_unproven += 1,
                }
            }
        }
    }
}

/// Where most of a pack's positions are, to notice one that was written the wrong way round.
#[derive(Clone, Copy, Debug)]
struct Home {
    lat_e7: i64,
    lon_e7: i64,
}

impl Home {
    /// The median of all positions; `None` when there are none.
    fn of(source: &Source) -> Option<Self> {
        let places = source.places.iter().filter_map(|row| Point::from_degrees(row.value.lat, row.value.lon));
        let cells = source.cells.iter().filter_map(|row| Point::from_degrees(row.value.lat, row.value.lon));
        let rooms = source.dispatchers.iter().filter_map(|row| Point::from_degrees(row.value.lat?, row.value.lon?));
        let land = source.land.iter().filter_map(|row| row.value.polygons.first()?.first()?.first().copied());
        let all: Vec<Point> = places.chain(cells).chain(rooms).chain(land).collect();
        let mut lats: Vec<i64> = all.iter().map(|p| p.lat_e7.into()).collect();
        let mut lons: Vec<i64> = all.iter().map(|p| p.lon_e7.into()).collect();
        lats.sort_unstable();
        lons.sort_unstable();
        Some(Self { lat_e7: *lats.get(lats.len() / 2)?, lon_e7: *lons.get(lons.len() / 2)? })
    }

    /// Far away as it stands, and much nearer with latitude and longitude exchanged.
    fn is_swapped(self, p: Point) -> bool {
        const FAR_E7: i64 = 50_000_000;
        let distance = |lat: i32, lon: i32| (i64::from(lat) - self.lat_e7).abs().max((i64::from(lon) - self.lon_e7).abs());
        let (here, swapped) = (distance(p.lat_e7, p.lon_e7), distance(p.lon_e7, p.lat_e7));
        here > FAR_E7 && swapped < here / 4
    }
}

fn is_country(text: &str) -> bool {
    text.len() == 2 && text.bytes().all(|b| b.is_ascii_uppercase())
}

/// Circles in who overflows to whom, each once, beginning with its smallest id.
fn overflow_circles<'a>(by_id: &BTreeMap<&'a str, &'a Row<DispatcherRow>>) -> Vec<Vec<&'a str>> {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        OnPath,
        Done,
    }
    let mut marks: BTreeMap<&str, Mark> = BTreeMap::new();
    let mut circles: BTreeSet<Vec<&'a str>> = BTreeSet::new();
    let next = |id: &'a str| by_id.get(id).map_or_else(Vec::new, |row| words(&row.value.overflow).collect::<Vec<&'a str>>());
    for &start in by_id.keys() {
        if marks.contains_key(start) {
            continue;
        }
        // A walk with its own stack: a chain of 60,000 rooms must not exhaust the thread's.
        let mut path: Vec<(&'a str, std::vec::IntoIter<&'a str>)> = vec![(start, next(start).into_iter())];
        marks.insert(start, Mark::OnPath);
        while let Some((id, rest)) = path.last_mut() {
            let id = *id;
            match rest.next() {
                None => {
                    marks.insert(id, Mark::Done);
                    path.pop();
                }
                Some(other) if !by_id.contains_key(other) => {}
                Some(other) => match marks.get(other) {
                    Some(Mark::Done) => {}
                    Some(Mark::OnPath) => {
                        let from = path.iter().position(|(id, _)| *id == other).unwrap_or(0);
                        let mut circle: Vec<&str> = path[from..].iter().map(|(id, _)| *id).collect();
                        let least = (0..circle.len()).min_by_key(|&i| circle[i]).unwrap_or(0);
                        circle.rotate_left(least);
                        circles.insert(circle);
                    }
                    None => {
                        marks.insert(other, Mark::OnPath);
                        path.push((other, next(other).into_iter()));
                    }
                },
            }
        }
    }
    circles.into_iter().collect()
}

/// The known word most like a mistyped one, when it is like it at all.
fn closest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > 40 {
        return None;
    }
    let worth = word.chars().count() / 3 + 1;
    known.map(|other| (typing_errors(word, other), other)).filter(|(errors, _)| *errors <= worth).min().map(|(_, other)| other)
}

/// Letters inserted, dropped or exchanged between two words, ignoring case.
fn typing_errors(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(64).flat_map(char::to_lowercase).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().flat_map(char::to_lowercase).enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, &y) in b.iter().enumerate() {
            let replaced = corner + usize::from(x != y);
            corner = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(corner + 1);
        }
    }
    row.last().copied().unwrap_or(0)
}
