//! The tables of guarantees in README and the manual, made from measured figures. `benches/guarantees` is how one runs it.
//!
//! Every bench leaves its figures in `target/figures`; `--gather` takes them over into `benches/figures.json`, which is kept with
//! the source, and `--write` makes the tables from that file alone: the same figures give the same tables. `--check` fails when
//! somebody changed a table by hand, or the figures without the tables. Without arguments, and as a bench, it checks.

#![allow(clippy::disallowed_methods, reason = "a tool at a desk, not a contact's path")]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::{Map, Value, json};

const BEGIN: &str = "<!-- guarantees: begin (made by benches/guarantees) -->";
const END: &str = "<!-- guarantees: end -->";
const PAGES: [&str; 2] = ["README.md", "src/manual/guarantees.md"];
const KEPT: &str = "benches/figures.json";
const BENCHES: [&str; 7] = ["decide", "floors", "frame", "journal", "lookup", "postgis", "publish"];

/// A promise and where its figure is found.
struct Promise {
    id: &'static str,
    says: &'static str,
    bench: &'static str,
    find: Find,
    /// What the ratio must be; `None` where the figure is told and nothing is promised.
    bound: Option<Bound>,
    command: &'static str,
}

enum Find {
    /// A percentile of ours over the same of the best other, or of the one named.
    Tails { figure: &'static str, quantile: &'static str, other: Option<&'static str> },
    /// A number that is a ratio already.
    Number { figure: &'static str, floor: &'static str },
    /// Two numbers of the load test's report, as paths in it: ours, and the sum of the others.
    Report { ours: &'static str, floors: &'static [&'static str], unit: &'static str },
}

#[derive(Clone, Copy)]
enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

const SEVENTH: Option<Bound> = Some(Bound::AtMost(1.0 / 7.0));
const SIXTH: Option<Bound> = Some(Bound::AtMost(1.0 / 6.0));

const fn tails(figure: &'static str, quantile: &'static str, other: Option<&'static str>) -> Find {
    Find::Tails { figure, quantile, other }
}

const fn number(figure: &'static str, floor: &'static str) -> Find {
    Find::Number { figure, floor }
}

const LOOKUP: &str = "cargo bench --bench lookup";
const DECIDE: &str = "cargo bench --bench decide";
const LOAD: &str = "cargo run --release -p najda-loadtest -- --rate 5000";
const BARE: Option<&str> = Some("bare look-up");

const PROMISES: [Promise; 30] = [
    Promise {
        id: "lookup/96/p50",
        says: "Whose is a point, 96 departements, beside the best exact peer",
        bench: "lookup",
        find: tails("lookup/owner/96_departements", "p50", None),
        bound: SEVENTH,
        command: LOOKUP,
    },
    Promise {
        id: "lookup/96/p99",
        says: "the same, the slowest in a hundred",
        bench: "lookup",
        find: tails("lookup/owner/96_departements", "p99", None),
        bound: SIXTH,
        command: LOOKUP,
    },
    Promise {
        id: "lookup/50k/p50",
        says: "Whose is a point, 50,176 areas of 12.8 M vertices",
        bench: "lookup",
        find: tails("lookup/owner/50k_areas", "p50", None),
        bound: SEVENTH,
        command: LOOKUP,
    },
    Promise {
        id: "lookup/50k/p99",
        says: "the same, the slowest in a hundred",
        bench: "lookup",
        find: tails("lookup/owner/50k_areas", "p99", None),
        bound: SIXTH,
        command: LOOKUP,
    },
    Promise {
        id: "lookup/memory/96",
        says: "Memory of the table, 96 departements",
        bench: "lookup",
        find: number("lookup/memory/96_departements", "the polygons as geo holds them"),
        bound: Some(Bound::AtMost(1.0)),
        command: LOOKUP,
    },
    Promise {
        id: "lookup/memory/50k",
        says: "Memory of the table, 50,176 areas",
        bench: "lookup",
        find: number("lookup/memory/50k_areas", "the polygons as geo holds them"),
        bound: Some(Bound::AtMost(1.0)),
        command: LOOKUP,
    },
    Promise {
        id: "lookup/growth/time",
        says: "Time from 96 to 50,176 areas, half of look-ups",
        bench: "lookup",
        find: number("lookup/growth/96_departements/time_p50", "96 departements"),
        bound: Some(Bound::AtMost(6.0)),
        command: LOOKUP,
    },
    Promise {
        id: "lookup/growth/touched",
        says: "Cells and edges read, from 96 to 50,176 areas",
        bench: "lookup",
        find: number("lookup/growth/96_departements/touched", "96 departements"),
        bound: Some(Bound::AtMost(1.5)),
        command: LOOKUP,
    },
    Promise {
        id: "lookup/growth/touched_alike",
        says: "the same between tilings of one kind",
        bench: "lookup",
        find: number("lookup/growth/96_areas/touched", "96 made-up areas"),
        bound: Some(Bound::AtMost(1.5)),
        command: LOOKUP,
    },
    Promise {
        id: "lookup/differences",
        says: "Points answered otherwise than by both peers, borders aside",
        bench: "lookup",
        find: number("lookup/differences/50k_areas", "0"),
        bound: Some(Bound::AtMost(0.0)),
        command: LOOKUP,
    },
    Promise {
        id: "decide/one_owner",
        says: "A decision far from any border, the slowest in a hundred",
        bench: "decide",
        find: tails("decide/one_owner", "p99", BARE),
        bound: Some(Bound::AtMost(5.0)),
        command: DECIDE,
    },
    Promise {
        id: "decide/whole_call",
        says: "the same with line, trunk and cell",
        bench: "decide",
        find: tails("decide/whole_call", "p99", BARE),
        bound: None,
        command: DECIDE,
    },
    Promise {
        id: "decide/border_cell",
        says: "A decision within 300 m of a border",
        bench: "decide",
        find: tails("decide/border_cell", "p99", BARE),
        bound: None,
        command: DECIDE,
    },
    Promise {
        id: "decide/uncertain_circle",
        says: "A decision over several areas",
        bench: "decide",
        find: tails("decide/uncertain_circle", "p99", BARE),
        bound: None,
        command: DECIDE,
    },
    Promise {
        id: "decide/no_location",
        says: "A decision by the registered line",
        bench: "decide",
        find: tails("decide/no_location", "p99", None),
        bound: None,
        command: DECIDE,
    },
    Promise {
        id: "decide/arabic_text",
        says: "A decision with a sentence in Arabic",
        bench: "decide",
        find: tails("decide/arabic_text", "p99", BARE),
        bound: None,
        command: DECIDE,
    },
    Promise {
        id: "publish/under_readers",
        says: "64 reads while tables are swapped each millisecond",
        bench: "publish",
        find: tails("publish/under_readers", "p99", Some("no swap")),
        bound: Some(Bound::AtMost(1.5)),
        command: "cargo bench --bench publish",
    },
    Promise {
        id: "frame/codec",
        says: "A contact written as a frame and read, checked",
        bench: "frame",
        find: tails("frame/codec/contact", "p50", Some("bare bincode")),
        bound: None,
        command: "cargo bench --bench frame",
    },
    Promise {
        id: "journal/group_commit/1",
        says: "One entry on the disk",
        bench: "journal",
        find: tails("journal/group_commit/1", "p50", Some("bare, growing")),
        bound: None,
        command: "cargo bench --bench journal",
    },
    Promise {
        id: "journal/group_commit/64",
        says: "64 entries on the disk",
        bench: "journal",
        find: tails("journal/group_commit/64", "p50", Some("bare, growing")),
        bound: None,
        command: "cargo bench --bench journal",
    },
    Promise {
        id: "floor/udp_echo",
        says: "A UDP message there and back",
        bench: "floors",
        find: tails("floors/udp_echo", "p50", None),
        bound: None,
        command: "cargo bench --bench floors",
    },
    Promise {
        id: "floor/one_quic_hop",
        says: "One bare QUIC hop",
        bench: "floors",
        find: tails("floors/one_quic_hop", "p50", None),
        bound: None,
        command: "cargo bench --bench floors",
    },
    Promise {
        id: "floor/two_quic_hops",
        says: "Two bare QUIC hops",
        bench: "floors",
        find: tails("floors/two_quic_hops", "p50", None),
        bound: None,
        command: "cargo bench --bench floors",
    },
    Promise {
        id: "floor/bare_commit",
        says: "One bare write on the disk",
        bench: "floors",
        find: tails("floors/bare_commit", "p50", None),
        bound: None,
        command: "cargo bench --bench floors",
    },
    Promise {
        id: "load/console",
        says: "Sent to shown on a console, one in flight, to two bare QUIC hops",
        bench: "loadtest",
        find: Find::Report { ours: "/alone/console_p50_us", floors: &["/alone/two_hops_apart_p50_us"], unit: "us" },
        bound: Some(Bound::AtMost(1.5)),
        command: LOAD,
    },
    Promise {
        id: "load/durable",
        says: "Sent to `Durable`, one in flight, to two hops and a bare commit",
        bench: "loadtest",
        find: Find::Report {
            ours: "/alone/durable_p50_us",
            floors: &["/alone/two_hops_apart_p50_us", "/alone/bare_commit_p50_us"],
            unit: "us",
        },
        bound: Some(Bound::AtMost(1.3)),
        command: LOAD,
    },
    Promise {
        id: "load/console_at_rate",
        says: "Sent to shown on a console at 5,000 contacts/s, to two bare hops",
        bench: "loadtest",
        find: Find::Report { ours: "/latency/console/p50_us", floors: &["/alone/two_hops_apart_p50_us"], unit: "us" },
        bound: None,
        command: LOAD,
    },
    Promise {
        id: "load/not_ended",
        says: "Contacts whose gateway heard no end, of those sent at 5,000 a second",
        bench: "loadtest",
        find: Find::Report { ours: "/lost", floors: &["/counts/sent"], unit: "contacts" },
        bound: Some(Bound::AtMost(0.0)),
        command: LOAD,
    },
    Promise {
        id: "peers/postgis",
        says: "Contacts/s at equal durability, to PostgreSQL with PostGIS",
        bench: "postgis",
        find: number("peers/postgis/throughput", "PostgreSQL with PostGIS"),
        bound: Some(Bound::AtLeast(20.0)),
        command: "loadtest/peers/postgis/run",
    },
    Promise {
        id: "peers/postgis/untold",
        says: "the same, a database that tells nobody",
        bench: "postgis",
        find: number("peers/postgis/untold", "PostgreSQL without NOTIFY"),
        bound: None,
        command: "loadtest/peers/postgis/run",
    },
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn main() -> ExitCode {
    let has = |name: &str| std::env::args().any(|argument| argument == name);
    if has("--gather")
        && let Err(why) = gather()
    {
        eprintln!("guarantees: {why}");
        return ExitCode::FAILURE;
    }
    let write = has("--write") || has("--gather");
    match pages(write) {
        Ok(stale) if stale.is_empty() => ExitCode::SUCCESS,
        Ok(stale) => {
            eprintln!("guarantees: {} is not what {KEPT} gives; run benches/guarantees", stale.join(" and "));
            ExitCode::FAILURE
        }
        Err(why) => {
            eprintln!("guarantees: {why}");
            ExitCode::FAILURE
        }
    }
}

/// The pages that differ from the figures; none when they were written.
fn pages(write: bool) -> Result<Vec<&'static str>, String> {
    let kept = read(&root().join(KEPT))?;
    let table = table(&kept);
    let mut stale = Vec::new();
    for page in PAGES {
        let path = root().join(page);
        let text = fs::read_to_string(&path).map_err(|why| format!("{page}: {why}"))?;
        let new = between_markers(&text, &table).ok_or_else(|| format!("{page} has not the lines `{BEGIN}` and `{END}`"))?;
        if new != text && write {
            fs::write(&path, new).map_err(|why| format!("{page}: {why}"))?;
        } else if new != text {
            stale.push(page);
        }
    }
    Ok(stale)
}

fn between_markers(text: &str, table: &str) -> Option<String> {
    let begin = text.find(BEGIN)? + BEGIN.len();
    let end = begin + text.get(begin..)?.find(END)?;
    Some(format!("{}\n{table}{}", text.get(..begin)?, text.get(end..)?))
}

fn read(path: &Path) -> Result<Value, String> {
    let bytes = fs::read(path).map_err(|why| format!("{}: {why}", path.display()))?;
    serde_json::from_slice(&bytes).map_err(|why| format!("{}: {why}", path.display()))
}

/// Takes over what the benches left; what was not run again stays as it was.
fn gather() -> Result<(), String> {
    let folder = figures_folder();
    let kept_path = root().join(KEPT);
    let mut kept: Map<String, Value> = read(&kept_path).ok().and_then(|kept| kept.as_object().cloned()).unwrap_or_default();
    for bench in BENCHES {
        if let Ok(figures) = read(&folder.join(format!("{bench}.json"))) {
            kept.insert(bench.to_owned(), figures);
        }
    }
    if let Ok(report) = read(&folder.join("loadtest.json")) {
        let of = |path: &str| report.pointer(path).cloned().unwrap_or(Value::Null);
        let wanted = ["/alone", "/counts", "/latency", "/lost", "/verdict"].map(|path| (path.trim_start_matches('/').to_owned(), of(path)));
        let machine = format!("{} cores, {}", of("/environment/cores"), of("/environment/cpu").as_str().unwrap_or_default());
        let mut figures = Map::from_iter(wanted);
        figures.insert("commit".to_owned(), of("/environment/commit"));
        figures.insert("machine".to_owned(), json!(machine));
        let date = read(&folder.join("loadtest.date.json")).unwrap_or(Value::Null);
        figures.insert("date".to_owned(), date);
        kept.insert("loadtest".to_owned(), Value::Object(figures));
    }
    let text = serde_json::to_string_pretty(&Value::Object(kept)).map_err(|why| why.to_string())?;
    fs::write(kept_path, text + "\n").map_err(|why| format!("{KEPT}: {why}"))
}

fn figures_folder() -> PathBuf {
    let own = std::env::current_exe().unwrap_or_default();
    let release = own.ancestors().find(|folder| folder.file_name().is_some_and(|name| name == "release" || name == "debug"));
    release.and_then(Path::parent).map_or_else(|| root().join("target"), Path::to_path_buf).join("figures")
}

// --- the table ---

/// What was found for a promise.
struct Found {
    floor: String,
    measured: String,
    ratio: f64,
}

fn table(kept: &Value) -> String {
    let mut out = String::from("\n| id | promise | floor or peer | measured | ratio | promised | command | measured at |\n");
    out.push_str("| --- | --- | --- | --- | --- | --- | --- | --- |\n");
    let mut machines: Vec<String> = Vec::new();
    for promise in &PROMISES {
        let Promise { id, says, bench, find, bound, command } = promise;
        let bench = &kept[*bench];
        let promised = bound.map_or_else(|| "-".to_owned(), Bound::said);
        let Some(Found { floor, measured, ratio }) = find.found(bench) else {
            let _ = writeln!(out, "| `{id}` | {says} | - | not measured | - | {promised} | `{command}` | - |");
            continue;
        };
        let holds = match bound {
            Some(bound) if bound.holds(ratio) => ", holds",
            Some(_) => ", **falls short**",
            None => "",
        };
        let row = &bench["figures"][find.figure()];
        let at = |key: &str| row[key].as_str().or(bench[key].as_str()).unwrap_or("unknown").to_owned();
        let machine = at("machine");
        let number = machines.iter().position(|known| *known == machine).unwrap_or_else(|| {
            machines.push(machine);
            machines.len() - 1
        });
        let (commit, date) = (at("commit"), at("date"));
        let ratio = if ratio.is_finite() { said(ratio) } else { "-".to_owned() };
        let _ = writeln!(
            out,
            "| `{id}` | {says} | {floor} | {measured} | {ratio} | {promised}{holds} | `{command}` | {}: {commit}, {date} |",
            number + 1
        );
    }
    out.push('\n');
    for (at, machine) in machines.iter().enumerate() {
        let _ = writeln!(out, "Machine {}: {machine}. Only the ratios compare; times are of a shared machine.", at + 1);
    }
    out.push('\n');
    out
}

impl Bound {
    fn said(self) -> String {
        match self {
            Self::AtLeast(least) => format!("at least {}", said(least)),
            Self::AtMost(most) => format!("at most {}", said(most)),
        }
    }

    fn holds(self, ratio: f64) -> bool {
        match self {
            Self::AtLeast(least) => ratio >= least,
            Self::AtMost(most) => ratio <= most,
        }
    }
}

impl Find {
    fn figure(&self) -> &'static str {
        match self {
            Self::Tails { figure, .. } | Self::Number { figure, .. } => figure,
            Self::Report { .. } => "",
        }
    }

    fn found(&self, bench: &Value) -> Option<Found> {
        match self {
            Self::Tails { figure, quantile, other } => {
                let row = &bench["figures"][*figure];
                let unit = row["unit"].as_str()?;
                let of = row["of"].as_object()?;
                // Ours is the one that others are set in relation to: its own relation is one.
                let is_ours = |name: &str| ["najda", "decision", "a swap every ms", "frame", "journal"].contains(&name) || of.len() == 1;
                let (_, ours) = of.iter().find(|(name, _)| is_ours(name))?;
                let value = |tails: &Value| tails[*quantile].as_f64();
                let others = of.iter().filter(|(name, _)| !is_ours(name) && other.is_none_or(|other| other == name.as_str()));
                let best = others.min_by(|a, b| value(a.1).unwrap_or(f64::MAX).total_cmp(&value(b.1).unwrap_or(f64::MAX)));
                let mine = value(ours)?;
                let measured = format!("{quantile} {}", time(mine, unit));
                let Some((name, theirs)) = best else { return Some(Found { floor: "-".to_owned(), measured, ratio: f64::NAN }) };
                let theirs = value(theirs)?;
                Some(Found { floor: format!("{name}: {}", time(theirs, unit)), measured, ratio: mine / theirs.max(0.01) })
            }
            Self::Number { figure, floor } => {
                let row = &bench["figures"][*figure];
                let ratio = row["value"].as_f64()?;
                let pair = row["ours"].as_f64().zip(row["theirs"].as_f64());
                let unit = row["unit"].as_str().unwrap_or_default();
                let measured = pair.map_or_else(|| said(ratio), |(ours, _)| format!("{} {unit}", said(ours)));
                let floor = pair.map_or_else(|| (*floor).to_owned(), |(_, theirs)| format!("{floor}: {} {unit}", said(theirs)));
                Some(Found { floor, measured, ratio })
            }
            Self::Report { ours, floors, unit } => {
                let mine = bench.pointer(ours)?.as_f64()?;
                let sum = floors.iter().map(|floor| bench.pointer(floor)?.as_f64()).sum::<Option<f64>>()?;
                Some(Found {
                    floor: format!("{} {unit}", said(sum)),
                    measured: format!("{} {unit}", said(mine)),
                    ratio: mine / sum.max(0.01),
                })
            }
        }
    }
}

/// A time in the unit in which it is easily said.
fn time(value: f64, unit: &str) -> String {
    match unit.strip_prefix("ns") {
        Some(rest) if value >= 10_000.0 => format!("{} us{rest}", said(value / 1e3)),
        Some(rest) => format!("{} ns{rest}", said(value)),
        None => format!("{} {unit}", said(value)),
    }
}

/// Three digits that count, and no more.
fn said(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}
