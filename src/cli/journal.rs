//! `najda journal ...`: what the engine wrote down, searched, decided again and verified. Reads only, beside a running engine too.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::access;
use super::print_all;
use super::progress::with_bar;
use crate::edge::run;
use crate::edge::store::embedded::{JournalReader, Project};
use crate::journal::projection::{ContactRow, Query, RowState, change_of};
use crate::journal::replay::{Difference, Outcome, Replay};
use crate::limits::{QUERY_ROWS_MAX, READ_ENTRIES_MAX};
use crate::service::Service;
use crate::store::{BlobName, Partition};
use crate::tables::compiled;
use crate::tables::snapshot::Tables;
use crate::units::{AreaId, ContactId, Name, TablesVersion, Timestamp};
use crate::wire::frame::decode_fact;

#[derive(Debug, Subcommand)]
pub enum JournalCommand {
    Query(QueryArgs),
    /// Make the searchable rows again from the journal. The engine must not run: it keeps them itself.
    Rebuild(FolderArgs),
    /// Decide every contact again and print the first difference.
    #[command(after_help = "Example:
  najda journal replay --dir /var/lib/najda

Ends with 0 when every decision comes out as it was written, with 1 when one differs or cannot be made again.")]
    Replay(FolderArgs),
    Retain(RetainArgs),
    /// Walk the hash chain.
    #[command(after_help = "Example:
  najda journal verify --dir /var/lib/najda

Ends with 0 when the chain holds, with 1 when not.")]
    Verify(FolderArgs),
}

/// Find contacts.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  najda journal query --caller +971501234567
  najda journal query --area AE-DU --service ambulance --state waiting
  najda journal query --from 2026-03-01T08:00:00Z --until 2026-03-01T09:00:00Z --json | jq .dispatcher

Every filter given must match. Times are RFC 3339, or a date meant at midnight UTC.")]
pub struct QueryArgs {
    /// The engine's state folder.
    #[arg(long, value_name = "DIR", default_value = "state")]
    dir: PathBuf,
    /// The engine's id of the contact.
    #[arg(long, value_name = "UUID", value_parser = contact_id)]
    id: Option<ContactId>,
    /// The gateway's own id of the contact.
    #[arg(long = "ref", value_name = "TEXT")]
    gateway_ref: Option<String>,
    /// The calling line.
    #[arg(long, value_name = "NUMBER")]
    caller: Option<String>,
    /// Received at this time or later.
    #[arg(long, value_name = "TIME", value_parser = time)]
    from: Option<Timestamp>,
    /// Received before this time.
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<Timestamp>,
    #[arg(long, value_name = "ID", value_parser = area)]
    area: Option<AreaId>,
    /// Needed by the contact, leading or not.
    #[arg(long, value_parser = service)]
    service: Option<Service>,
    /// How far its leading service has come: waiting, taken, accepted, closed, ended.
    #[arg(long, value_parser = row_state)]
    state: Option<RowState>,
    /// The newest first.
    #[arg(long)]
    newest: bool,
    /// Rows at most.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=QUERY_ROWS_MAX as i64))]
    limit: u32,
    /// One JSON object a line, for scripts.
    #[arg(long)]
    json: bool,
}

/// Remove the oldest files: whole days that no contact alive and no checkpoint needs.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  najda journal retain --dir /var/lib/najda --keep-days 400 --dry-run
  najda journal retain --dir /var/lib/najda --keep-days 400

The engine must not run; one that runs does this itself with `keep_days` in its configuration. The journal keeps an entry that says
what was removed, so that `verify` still holds. The searchable rows of those contacts go, and table sets that nothing names any more.")]
pub struct RetainArgs {
    /// The engine's state folder.
    #[arg(long, value_name = "DIR", default_value = "state", alias = "state")]
    dir: PathBuf,
    /// Days kept before today, UTC.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    keep_days: u32,
    /// Only say what would go.
    #[arg(long)]
    dry_run: bool,
}

/// Which journal.
#[derive(Args, Debug)]
pub struct FolderArgs {
    /// The engine's state folder.
    #[arg(long, value_name = "DIR", default_value = "state", alias = "state")]
    dir: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// The journal cannot be read.
pub fn run(command: &JournalCommand) -> Result<ExitCode> {
    match command {
        JournalCommand::Query(args) => query(args),
        JournalCommand::Rebuild(args) => rebuild(&args.dir),
        JournalCommand::Replay(args) => replay(&args.dir),
        JournalCommand::Retain(args) => retain_days(args),
        JournalCommand::Verify(args) => verify(&args.dir),
    }
}

/// The folder of the journal in a state folder, or the folder itself when it is one.
fn folder_of(dir: &Path) -> Result<PathBuf> {
    let inside = dir.join("journal");
    let folder = if inside.is_dir() { inside } else { dir.to_owned() };
    // Opening makes what is missing; a reader must not.
    if !folder.join("blobs").is_dir() {
        bail!("no journal in {}; name the engine's state folder with --dir", dir.display());
    }
    Ok(folder)
}

pub(super) fn open(dir: &Path) -> Result<JournalReader> {
    let folder = folder_of(dir)?;
    JournalReader::open(&folder).with_context(|| format!("opening the journal in {}", folder.display()))
}

// --- query ---

/// What was looked for, for the log of reads.
fn asked(args: &QueryArgs) -> Value {
    let micros = |at: Option<Timestamp>| at.map(|at| at.unix_micros);
    json!({
        "id": args.id.map(|id| id.to_string()),
        "gateway_ref": args.gateway_ref,
        "caller": args.caller,
        "from": micros(args.from),
        "until": micros(args.until),
        "area": args.area.map(|area| area.to_string()),
        "service": args.service.map(Service::word),
        "state": args.state.map(RowState::word),
    })
}

fn query(args: &QueryArgs) -> Result<ExitCode> {
    let reader = open(&args.dir)?;
    access::note(&args.dir, "journal query", asked(args))?;
    match reader.projection_lag()? {
        None => bail!("the journal has no searchable rows; `najda journal rebuild --dir {}` makes them", args.dir.display()),
        Some(0) => {}
        Some(behind) => eprintln!(
            "najda: the searchable rows are {behind} entries behind; a running engine catches up by itself, else \
             `najda journal rebuild --dir {}`",
            args.dir.display()
        ),
    }
    let query = Query {
        contact: args.id,
        gateway_ref: args.gateway_ref.as_deref().map(Into::into),
        call: None,
        line: args.caller.as_deref().map(Into::into),
        from: args.from,
        until: args.until,
        area: args.area,
        service: args.service,
        state: args.state,
        newest_first: args.newest,
        row_count_max: args.limit as usize,
    };
    let rows = reader.find(&query)?;
    let text = if args.json { rows.iter().map(|row| json_of(row) + "\n").collect() } else { table_of(&rows) };
    print_all(text.as_bytes())?;
    if rows.len() == args.limit as usize {
        eprintln!("najda: only the first {} rows are shown; --limit shows more", rows.len());
    }
    Ok(ExitCode::SUCCESS)
}

fn json_of(row: &ContactRow) -> String {
    let routed = &row.routed;
    let text = |name: &Option<Name>| name.as_ref().map(ToString::to_string);
    json!({
        "contact": row.contact.to_string(),
        "gateway": row.gateway.as_str(),
        "ref": &*row.gateway_ref,
        "line": row.line.as_deref(),
        "received": shown(row.received),
        "area": text(&routed.area),
        "lead": routed.lead.map(Service::word),
        "services": routed.services.iter().map(Service::word).collect::<Vec<_>>(),
        "dispatcher": text(&routed.dispatcher),
        "priority": routed.priority,
        "tables": routed.tables.to_string(),
        "test": routed.test,
        "state": row.state.word(),
        "seat": row.seat.map(|seat| format!("{}/{}", seat.dispatcher, seat.seat)),
        "ending": text(&row.ending),
    })
    .to_string()
}

fn table_of(rows: &[ContactRow]) -> String {
    const HEAD: [&str; 9] = ["received", "contact", "state", "area", "lead", "dispatcher", "seat", "caller", "gateway ref"];
    let text = |name: &Option<Name>| name.map_or("-".to_owned(), |name| name.to_string());
    let cells: Vec<[String; 9]> = rows
        .iter()
        .map(|row| {
            [
                shown(row.received),
                row.contact.to_string(),
                row.ending.map_or(row.state.word().to_owned(), |ending| format!("{}: {ending}", row.state.word())),
                text(&row.routed.area),
                row.routed.lead.map_or("test", Service::word).to_owned(),
                text(&row.routed.dispatcher),
                row.seat.map_or("-".to_owned(), |seat| format!("{}/{}", seat.dispatcher, seat.seat)),
                row.line.as_deref().unwrap_or("-").to_owned(),
                format!("{} {}", row.gateway, row.gateway_ref),
            ]
        })
        .collect();
    let mut widths = HEAD.map(str::len);
    for row in &cells {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut out = String::new();
    for row in std::iter::once(&HEAD.map(str::to_owned)).chain(&cells) {
        let line: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        let _ = writeln!(out, "{}", line.join("  ").trim_end());
    }
    let _ = writeln!(out, "{} contacts", rows.len());
    out
}

pub(super) fn shown(at: Timestamp) -> String {
    let at = i64::try_from(at.unix_micros).ok().and_then(|micros| jiff::Timestamp::from_microsecond(micros).ok());
    at.map_or("-".to_owned(), |at| format!("{at:.3}"))
}

// --- rebuild ---

fn rebuild(dir: &Path) -> Result<ExitCode> {
    let reader = open(dir)?;
    let project: Project = Arc::new(|entry| decode_fact(&entry.bytes).ok().as_ref().and_then(change_of));
    let mut entries = 0;
    let made = with_bar("making the rows", Some(count_of(&reader)?), |bar| {
        reader.rebuild_projection(&project, &mut |progress| {
            entries = progress.done_entry_count;
            bar.set_position(entries);
        })
    });
    made.context("making the searchable rows; an engine that runs on this folder keeps them by itself")?;
    println!("the searchable rows show {entries} entries");
    Ok(ExitCode::SUCCESS)
}

/// Entries of all partitions.
pub(super) fn count_of(reader: &JournalReader) -> Result<u64> {
    reader.partitions().into_iter().try_fold(0, |sum, partition| Ok(sum + reader.last_seq(partition)?))
}

// --- retain ---

fn retain_days(args: &RetainArgs) -> Result<ExitCode> {
    let folder = folder_of(&args.dir)?;
    let done = with_bar("looking for old entries", None, |_| run::retain(&folder, args.keep_days, args.dry_run))?;
    let mut out = String::new();
    match done.found.before {
        Some(before) => {
            let (verb, found) = (if args.dry_run { "would go" } else { "removed" }, done.found);
            let _ = writeln!(
                out,
                "{verb}: entries up to {}, {} files, {} MB, {} table sets",
                before.seq,
                found.segment_count,
                found.byte_count / 1_000_000,
                done.table_sets
            );
        }
        None => out.push_str("nothing was removed\n"),
    }
    if run::is_held_up(done.found.kept) || done.found.before.is_none() {
        let _ = writeln!(out, "kept: {}", done.found.kept);
    }
    print_all(out.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

// --- replay ---

/// Sets kept at once: a country's may take a hundred megabytes.
const SETS_MAX: usize = 4;

/// What a replay found.
#[derive(Default)]
struct Found {
    entries: u64,
    decisions: u64,
    kept: u64,
    unprovable: u64,
    undecidable: u64,
    unreadable: u64,
    differing: u64,
    first: Option<Difference>,
    micros: u64,
}

fn replay(dir: &Path) -> Result<ExitCode> {
    let reader = open(dir)?;
    let found = with_bar("deciding again", Some(count_of(&reader)?), |bar| -> Result<Found> {
        let mut found = Found::default();
        for partition in reader.partitions() {
            replay_partition(&reader, partition, &mut found, &mut |entries| bar.set_position(entries))?;
        }
        found.micros = u64::try_from(bar.elapsed().as_micros()).unwrap_or(u64::MAX);
        Ok(found)
    })?;
    print_all(found.text().as_bytes())?;
    let fine = found.differing == 0 && found.undecidable == 0 && found.unreadable == 0;
    Ok(if fine { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn replay_partition(reader: &JournalReader, partition: Partition, found: &mut Found, step: &mut dyn FnMut(u64)) -> Result<()> {
    let mut replay = Replay::default();
    let mut sets: BTreeMap<TablesVersion, Option<Arc<Tables>>> = BTreeMap::new();
    let mut tables = |version: TablesVersion| -> Option<Arc<Tables>> {
        if let Some(known) = sets.get(&version) {
            return known.clone();
        }
        while sets.len() >= SETS_MAX {
            sets.pop_first();
        }
        let read = reader.blob(BlobName(version.0)).ok().flatten().and_then(|bytes| compiled::from_bytes(&bytes).ok()).map(Arc::new);
        sets.insert(version, read.clone());
        read
    };
    let (mut from_seq, mut missing) = (1, Vec::new());
    loop {
        let page = reader.read(partition, from_seq, READ_ENTRIES_MAX)?;
        found.unreadable += page.breaks.len() as u64;
        missing.extend(page.holes.iter().map(|hole| hole.first_seq).chain(page.breaks.iter().map(|broken| broken.seq)));
        for entry in &page.entries {
            if missing.iter().any(|seq| *seq <= entry.seq) {
                replay.lost();
                missing.clear();
            }
            found.entries += 1;
            match decode_fact(&entry.bytes) {
                Ok(fact) => found.note(replay.fact(entry.seq, &fact, &mut tables)),
                Err(_) => found.unreadable += 1,
            }
        }
        step(found.entries);
        match page.next_seq {
            Some(next) => from_seq = next,
            None => return Ok(()),
        }
    }
}

impl Found {
    fn note(&mut self, outcome: Option<Outcome>) {
        let Some(outcome) = outcome else { return };
        self.decisions += 1;
        match outcome {
            Outcome::Same => {}
            Outcome::Kept => self.kept += 1,
            Outcome::Unprovable => self.unprovable += 1,
            Outcome::NoTables(_) => self.undecidable += 1,
            Outcome::Differs(difference) => {
                self.differing += 1;
                self.first.get_or_insert(*difference);
            }
        }
    }

    fn text(&self) -> String {
        let same = self.decisions - self.undecidable - self.unprovable - self.differing;
        let rate = self.decisions.saturating_mul(1_000_000) / self.micros.max(1);
        let mut out = format!("{} entries, {} decisions: {same} the same, {} differ", self.entries, self.decisions, self.differing);
        if self.kept > 0 {
            let _ = write!(out, " ({} kept under the decision before)", self.kept);
        }
        let _ = writeln!(out, "; {rate} decisions/s");
        if self.unprovable > 0 {
            let _ = writeln!(out, "{} decisions were written again after a loss, and what they were made under is lost", self.unprovable);
        }
        if self.undecidable > 0 {
            let _ = writeln!(out, "{} decisions were made with tables that are not beside the journal", self.undecidable);
        }
        if self.unreadable > 0 {
            let _ = writeln!(out, "{} places of the journal cannot be read; `najda journal verify` says where", self.unreadable);
        }
        if let Some(first) = &self.first {
            let _ = writeln!(
                out,
                "\nfirst difference: entry {}, contact {} revision {}, tables {}, snapshot {}",
                first.seq, first.contact, first.revision, first.tables, first.snapshot
            );
            for (field, written, again) in &first.fields {
                let _ = writeln!(out, "  {field}\n    written  {written}\n    now      {again}");
            }
        }
        out
    }
}

// --- verify ---

fn verify(dir: &Path) -> Result<ExitCode> {
    let reader = open(dir)?;
    let mut holds = true;
    let mut out = String::new();
    for partition in reader.partitions() {
        let found = with_bar("verifying", None, |_| reader.verify(partition))?;
        let removed = (found.holds() && found.begin.seq > 0).then_some(found.begin.seq);
        holds &= found.holds();
        let lost: u64 = found.holes.iter().map(|hole| hole.last_seq - hole.first_seq + 1).sum();
        let verdict = if found.holds() { "the chain holds" } else { "the chain does NOT hold" };
        let _ = writeln!(out, "partition {}: {} entries, {verdict}", partition.number(), found.entry_count);
        let _ = writeln!(out, "  head {} {}  (note it elsewhere: a cut tail then shows)", found.head.seq, found.head.hash);
        if let Some(seq) = removed {
            let _ = writeln!(out, "  entries up to {seq} were removed on purpose; an entry says so");
        }
        for hole in &found.holes {
            let _ = writeln!(out, "  entries {} to {} were declared lost at {}", hole.first_seq, hole.last_seq, shown(hole.at));
        }
        if lost > 0 {
            let _ = writeln!(out, "  {lost} entries were declared lost; that is part of the chain");
        }
        for broken in &found.breaks {
            let _ = writeln!(out, "  {broken}");
        }
        if found.break_count > found.breaks.len() as u64 {
            let _ = writeln!(out, "  ... {} places in all", found.break_count);
        }
    }
    if reader.partitions().is_empty() {
        out.push_str("the journal is empty\n");
    }
    print_all(out.as_bytes())?;
    Ok(if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

// --- arguments ---

pub(super) fn contact_id(text: &str) -> Result<ContactId, String> {
    uuid::Uuid::try_parse(text).map(|id| ContactId(id.as_u128())).map_err(|error| error.to_string())
}

pub(super) fn time(text: &str) -> Result<Timestamp, String> {
    let midnight = || text.parse::<jiff::civil::Date>().and_then(|date| date.to_zoned(jiff::tz::TimeZone::UTC)).map(|at| at.timestamp());
    let at = text.parse::<jiff::Timestamp>().or_else(|_| midnight()).map_err(|_| "write 2026-03-01T08:00:00Z, or 2026-03-01".to_owned())?;
    u64::try_from(at.as_microsecond()).map(Timestamp::from_micros).map_err(|_| "a time before 1970".to_owned())
}

fn area(text: &str) -> Result<AreaId, String> {
    Name::new(text).ok_or_else(|| "an area's id has 1 to 32 visible ASCII characters".to_owned())
}

fn service(text: &str) -> Result<Service, String> {
    let words = Service::ALL.map(Service::word).join(", ");
    Service::from_word(text).ok_or_else(|| format!("no such service; the services are {words}"))
}

fn row_state(text: &str) -> Result<RowState, String> {
    let words = RowState::ALL.map(RowState::word).join(", ");
    RowState::from_word(text).ok_or_else(|| format!("no such state; the states are {words}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_moment_or_a_day() {
        assert_eq!(time("1970-01-02"), Ok(Timestamp::from_secs(86_400)));
        assert_eq!(time("1970-01-01T04:00:01+04:00"), Ok(Timestamp::from_secs(1)));
        assert!(time("yesterday").is_err() && time("1969-12-31").is_err());
        assert_eq!(shown(Timestamp::from_micros(1_500_000)), "1970-01-01T00:00:01.500Z");
    }

    #[test]
    fn an_empty_search_still_has_its_head() {
        assert!(table_of(&[]).starts_with("received  contact"));
    }
}
