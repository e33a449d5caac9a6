//! `najda report`: a shift, a day or a month from the journal, for people and for spreadsheets. Reads only, beside a running engine too.

mod page;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use serde::Serialize;
use serde_json::{Value, json};

use super::access;
use super::journal::{count_of, open, time};
use super::print_all;
use super::progress::with_bar;
use crate::edge::store::embedded::JournalReader;
use crate::edge::tables::load_or_shipped;
use crate::journal::report::{ANSWER_MICROS, HAND_OVER_MICROS, Report, Reporter, RoomReport, Times};
use crate::limits::READ_ENTRIES_MAX;
use crate::service::Service;
use crate::store::BlobName;
use crate::tables::compiled;
use crate::tables::numbers::DialledMeaning;
use crate::tables::snapshot::Tables;
use crate::units::{DispatcherId, Timestamp};
use crate::wire::frame::decode_fact;

/// Count a shift, a day or a month: how soon contacts were taken, by whom, and what went astray.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  najda report --since 2026-03-01
  najda report --since 2026-03-01T06:00:00Z --until 2026-03-01T18:00:00Z --format html --out shift.html
  najda report --since 2026-03-01 --format csv > rooms.csv
  najda report --format json | jq .to_take

Times run from a contact's arrival. Answered: taken within 15 s, nine of ten (NENA-STA-020). Promise: within the room's own take_s of \
the tables in force. Handed over: help accepted within 45 s. Tests are counted apart and nowhere else. Times are RFC 3339, or a date \
meant at midnight UTC.")]
pub struct ReportArgs {
    /// The engine's state folder.
    #[arg(long, value_name = "DIR", default_value = "state", alias = "dir")]
    state: PathBuf,
    /// Contacts that arrived at this time or later.
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<Timestamp>,
    /// Contacts that arrived before this time.
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<Timestamp>,
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// A file instead of standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For a terminal.
    Text,
    /// A row for each room.
    Csv,
    /// Everything, as one object.
    Json,
    /// A page with plots, in one file.
    Html,
}

/// What the report is of.
struct Counted {
    report: Report,
    rows: Vec<Row>,
    tables: Arc<Tables>,
    on_another_number: u64,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    /// Entries that could not be read.
    unreadable: u64,
}

/// A row of the report as a table.
#[derive(Clone, Debug, Serialize)]
struct Row {
    room: String,
    own: u64,
    taken: u64,
    for_others: u64,
    declined: u64,
    handed_over: u64,
    take_p50_s: Option<f64>,
    take_p95_s: Option<f64>,
    within_15_s: Option<f64>,
    /// In seconds, as the tables say; and the share that kept it.
    promise_s: Option<u64>,
    within_promise: Option<f64>,
    accept_p95_s: Option<f64>,
    within_45_s: Option<f64>,
    dispatch_p95_s: Option<f64>,
    /// Callers who said how it was, and the mean of their stars.
    rated: u64,
    stars_mean: Option<f64>,
}

/// # Errors
/// The journal cannot be read, or the file cannot be written.
pub fn run(args: &ReportArgs) -> Result<ExitCode> {
    let reader = open(&args.state)?;
    let micros = |at: Option<Timestamp>| at.map(|at| at.unix_micros);
    access::note(&args.state, "report", json!({ "since": micros(args.since), "until": micros(args.until) }))?;
    let counted = count(&reader, args.since, args.until)?;
    let tables = &counted.tables;
    let text = match args.format {
        Format::Text => text_of(&counted),
        Format::Csv => csv_of(&counted)?,
        Format::Json => json_of(&counted).to_string() + "\n",
        Format::Html => page::page(&counted, tables),
    };
    match &args.out {
        Some(path) => std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))?,
        None => print_all(text.as_bytes())?,
    }
    if counted.unreadable > 0 {
        eprintln!("najda: {} places of the journal cannot be read; `najda journal verify` says where", counted.unreadable);
    }
    Ok(ExitCode::SUCCESS)
}

/// Those the journal names last; the shipped ones where they are not beside it.
fn tables_of(reader: &JournalReader, report: &Report) -> Result<Arc<Tables>> {
    let read = report.tables.and_then(|version| reader.blob(BlobName(version.0)).ok().flatten());
    match read.and_then(|bytes| compiled::from_bytes(&bytes).ok()) {
        Some(tables) => Ok(Arc::new(tables)),
        None => Ok(load_or_shipped(None)?.tables),
    }
}

fn count(reader: &JournalReader, since: Option<Timestamp>, until: Option<Timestamp>) -> Result<Counted> {
    let between = (since.unwrap_or_default(), until.unwrap_or(Timestamp::from_micros(u64::MAX)));
    let mut unreadable = 0;
    let report = with_bar("counting", Some(count_of(reader)?), |bar| -> Result<Report> {
        let mut reporter = Reporter::default();
        for partition in reader.partitions() {
            let mut from_seq = 1;
            loop {
                let page = reader.read(partition, from_seq, READ_ENTRIES_MAX)?;
                unreadable += page.breaks.len() as u64;
                for entry in &page.entries {
                    match decode_fact(&entry.bytes) {
                        Ok(fact) => reporter.take(&fact, between),
                        Err(_) => unreadable += 1,
                    }
                }
                bar.inc(page.entries.len() as u64);
                match page.next_seq {
                    Some(next) => from_seq = next,
                    None => break,
                }
            }
        }
        Ok(reporter.finish())
    })?;
    let tables = tables_of(reader, &report)?;
    let service_of = |digits: &str| match tables.words.numbers.meaning(digits) {
        Some(DialledMeaning::Hint(service) | DialledMeaning::NonEmergency(service)) => Some(service),
        _ => None,
    };
    let on_another_number = report.on_another_number(&service_of);
    let promise = |room: DispatcherId| {
        let row = tables.dispatchers.find(room.as_str()).and_then(|index| tables.dispatchers.get(index));
        row.map(|row| row.take_micros_max)
    };
    let rows = rows_of(&report, &promise);
    Ok(Counted { report, rows, tables, on_another_number, since, until, unreadable })
}

/// A row for each room; `promise` says in how many microseconds a room promises to take.
fn rows_of(report: &Report, promise: &dyn Fn(DispatcherId) -> Option<u64>) -> Vec<Row> {
    let row = |(id, room): (&DispatcherId, &RoomReport)| {
        let promised = promise(*id);
        Row {
            room: id.to_string(),
            own: room.own,
            taken: room.taken,
            for_others: room.for_others,
            declined: room.declined,
            handed_over: room.handed_over,
            take_p50_s: room.to_take.seconds(0.5),
            take_p95_s: room.to_take.seconds(0.95),
            within_15_s: room.to_take.within(ANSWER_MICROS),
            promise_s: promised.map(|micros| micros / 1_000_000),
            within_promise: promised.and_then(|micros| room.to_take.within(micros)),
            accept_p95_s: room.to_accept.seconds(0.95),
            within_45_s: room.to_accept.within(HAND_OVER_MICROS),
            dispatch_p95_s: room.to_dispatch.seconds(0.95),
            rated: room.rated,
            stars_mean: (room.rated > 0).then(|| room.stars as f64 / room.rated as f64),
        }
    };
    report.rooms.iter().map(row).collect()
}

// --- forms ---

fn seconds(value: Option<f64>) -> String {
    value.map_or("-".to_owned(), |seconds| format!("{seconds:.1} s"))
}

fn percent(value: Option<f64>) -> String {
    value.map_or("-".to_owned(), |share| format!("{:.1} %", share * 100.0))
}

/// How many rated, and the mean.
fn stars(report: &Report) -> String {
    let rated: u64 = report.ratings.iter().sum();
    let stars: u64 = (1..).zip(report.ratings).map(|(stars, count)| stars * count).sum();
    if rated == 0 { "none".to_owned() } else { format!("{rated}, {:.1}", stars as f64 / rated as f64) }
}

/// The figures of the whole country, with their names: what every form begins with.
fn figures(counted: &Counted) -> Vec<(&'static str, String)> {
    let report = &counted.report;
    let called_back: u64 = report.called_back.values().sum();
    let per_contact = |count: u64| if report.contacts == 0 { 0.0 } else { count as f64 / report.contacts as f64 };
    vec![
        ("contacts", report.contacts.to_string()),
        ("taken after, half of them within", seconds(report.to_take.seconds(0.5))),
        ("taken after, 95 of 100 within", seconds(report.to_take.seconds(0.95))),
        ("taken within 15 s (NENA: 90 %)", percent(report.to_take.within(ANSWER_MICROS))),
        ("help accepted, 95 of 100 within", seconds(report.to_accept.seconds(0.95))),
        ("help accepted within 45 s", percent(report.to_accept.within(HAND_OVER_MICROS))),
        ("units on their way, half of them within", seconds(report.to_dispatch.seconds(0.5))),
        ("units on their way, 95 of 100 within", seconds(report.to_dispatch.seconds(0.95))),
        ("ended without anyone taking them", report.never_taken.to_string()),
        ("hand-offs a contact, between rooms", format!("{:.3}", per_contact(report.hand_offs))),
        ("came on another service's number", counted.on_another_number.to_string()),
        ("unsure, and a neighbour was told", report.unsure.to_string()),
        ("joined to another's incident", report.joined.to_string()),
        ("called again", report.called_again.to_string()),
        ("hung up / to be called back / called back", format!("{} / {} / {called_back}", report.hung_up, report.to_call_back)),
        ("called back after, half of them within", seconds(report.to_callback.seconds(0.5))),
        ("everybody was asked", report.all_calls.to_string()),
        ("services added by people", report.services_added.to_string()),
        (
            "lines to callers / from callers / not delivered",
            format!("{} / {} / {}", report.said, report.said_by_callers, report.said_in_vain),
        ),
        ("seen by who held no share of them", report.reads.to_string()),
        ("callers told they were heard / asked how it was", format!("{} / {}", report.informed, report.asked_to_rate)),
        ("callers who said how it was, stars of 5", stars(report)),
        ("tests, counted nowhere else", report.tests.to_string()),
    ]
}

fn text_of(counted: &Counted) -> String {
    let mut out = String::new();
    for (name, value) in figures(counted) {
        let _ = writeln!(out, "{name:<48} {value:>14}");
    }
    let _ = writeln!(
        out,
        "\n{:<14} {:>8} {:>8} {:>8} {:>10} {:>10} {:>10} {:>10} {:>11}",
        "room", "own", "taken", "others'", "take p50", "take p95", "in 15 s", "promise", "kept"
    );
    for row in &counted.rows {
        let promise = row.promise_s.map_or("-".to_owned(), |seconds| format!("{seconds} s"));
        let _ = writeln!(
            out,
            "{:<14} {:>8} {:>8} {:>8} {:>10} {:>10} {:>10} {promise:>10} {:>11}",
            row.room,
            row.own,
            row.taken,
            row.for_others,
            seconds(row.take_p50_s),
            seconds(row.take_p95_s),
            percent(row.within_15_s),
            percent(row.within_promise)
        );
    }
    out
}

fn csv_of(counted: &Counted) -> Result<String> {
    let mut out = csv::Writer::from_writer(Vec::new());
    for row in &counted.rows {
        out.serialize(row).context("writing a row")?;
    }
    String::from_utf8(out.into_inner().context("writing the rows")?).context("the rows are text")
}

fn json_of(counted: &Counted) -> Value {
    let report = &counted.report;
    let times = |times: &Times, bound: u64| {
        let (p50, p95) = (times.seconds(0.5), times.seconds(0.95));
        json!({ "count": times.count(), "p50_s": p50, "p95_s": p95, "within": times.within(bound) })
    };
    let by_service: serde_json::Map<String, Value> =
        report.by_service.iter().map(|(service, count)| (Service::word(*service).to_owned(), (*count).into())).collect();
    json!({
        "since": counted.since.map(|at| at.unix_micros),
        "until": counted.until.map(|at| at.unix_micros),
        "contacts": report.contacts,
        "tests": report.tests,
        "to_take": times(&report.to_take, ANSWER_MICROS),
        "to_accept": times(&report.to_accept, HAND_OVER_MICROS),
        "to_dispatch": times(&report.to_dispatch, HAND_OVER_MICROS),
        "never_taken": report.never_taken,
        "hand_offs": report.hand_offs,
        "on_another_number": counted.on_another_number,
        "unsure": report.unsure,
        "joined": report.joined,
        "called_again": report.called_again,
        "hung_up": report.hung_up,
        "to_call_back": report.to_call_back,
        "called_back": report.called_back,
        "all_calls": report.all_calls,
        "services_added": report.services_added,
        "said": { "to_callers": report.said, "by_callers": report.said_by_callers, "not_delivered": report.said_in_vain },
        "reads": report.reads,
        "informed": report.informed,
        "asked_to_rate": report.asked_to_rate,
        "ratings": report.ratings,
        "ended": report.ended,
        "by_hour": report.by_hour.iter().map(|(hour, count)| json!({ "hour": hour, "contacts": count })).collect::<Vec<_>>(),
        "by_service": by_service,
        "by_type": report.by_type,
        "rooms": counted.rows,
        "unreadable": counted.unreadable,
    })
}
