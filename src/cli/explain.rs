//! `najda explain`: decide offline, one line in, one line out, in order.

use std::io::{BufRead, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result};
use clap::Args;

use crate::cli::read::{each_message, kinds, moment};
use crate::decision::DecisionRecord;
use crate::edge;
use crate::route::{record, route};
use crate::tables::snapshot::Snapshot;
use crate::units::{ContactId, Name, Timestamp};
use crate::wire::contact_json::{id_of, read_contact};
use crate::wire::decision_json::DecisionJson;
use crate::wire::reading::{Kind, Receipt};

/// Decide contacts offline and say why.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  echo '{\"id\":\"1\",\"lat\":25.1972,\"lon\":55.2744,\"text\":\"fire\"}' | najda explain
  najda explain --jsonl < contacts.jsonl > decisions.jsonl
  najda explain --tables /etc/najda/tables --jsonl < contacts.jsonl
  najda explain --as sip invite.sip

A line that is no contact yields {\"id\":...,\"error\":...} and the run goes on.
Fields: id door dialled lat lon uncertainty_m confidence shape makani cell line trunk text lang urn events now.")]
pub struct ExplainArgs {
    /// Folder of a table set, or a compiled file.
    #[arg(long, value_name = "DIR|FILE")]
    tables: Option<PathBuf>,
    /// One JSON object a line out, for scripts; without it the answer is for people.
    #[arg(long)]
    jsonl: bool,
    /// Read files of this kind instead of JSON lines, and add the decision to what each says.
    #[arg(long = "as", value_name = "KIND", value_parser = kinds(), requires = "files")]
    kind: Option<Kind>,
    /// Files to read with --as; - is standard input.
    #[arg(value_name = "FILE", requires = "kind")]
    files: Vec<PathBuf>,
    /// The moment to decide at with --as, as Unix seconds or 2026-01-31T08:00:00Z; now when it is left out.
    #[arg(long, value_name = "TIME", value_parser = moment, requires = "kind")]
    now: Option<Timestamp>,
}

pub fn run(args: &ExplainArgs) -> Result<ExitCode> {
    let loaded = edge::tables::load_or_shipped(args.tables.as_deref())?;
    let snapshot = Snapshot::of(loaded.tables);
    if let Some(kind) = args.kind {
        return explain_files(kind, args, &snapshot);
    }
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        eprintln!("najda: reading contacts from the keyboard, one JSON object a line; Ctrl-D ends");
    }
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let gateway = Name::new("explain").unwrap_or_default();
    for (number, line) in stdin.lock().split(b'\n').enumerate() {
        let line = line.context("reading standard input")?;
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let received = Timestamp::from_micros(jiff::Timestamp::now().as_microsecond().unsigned_abs());
        match read_contact(&line, gateway, ContactId(number as u128), received) {
            Ok(read) => {
                let started = Instant::now();
                let decision = route(&snapshot, &read.contact, read.contact.received);
                let nanos = started.elapsed().as_nanos() as u64;
                let record = record(&snapshot.tables, &decision);
                let id = &*read.contact.key.gateway_ref;
                if args.jsonl {
                    writeln!(out, "{}", DecisionJson::new(id, &record, Some(nanos)).line())?;
                } else {
                    print_for_people(&mut out, id, &record, nanos)?;
                }
            }
            Err(error) => {
                let id = id_of(&line).map_or(serde_json::Value::Null, serde_json::Value::String);
                writeln!(out, "{}", serde_json::json!({ "id": id, "line": number + 1, "error": error.to_string() }))?;
            }
        }
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// What each message says, and the decision on the contact it makes.
fn explain_files(kind: Kind, args: &ExplainArgs, snapshot: &Snapshot) -> Result<ExitCode> {
    let gateway = Name::new("explain").unwrap_or_default();
    let mut count = 0;
    each_message(kind, &args.files, args.now, |reading, received, object| {
        count += 1;
        let receipt = Receipt { id: ContactId(count), gateway, trunk: None, received };
        let Some(contact) = reading.contact(receipt) else { return };
        let started = Instant::now();
        let decision = route(snapshot, &contact, received);
        let nanos = started.elapsed().as_nanos() as u64;
        let record = record(&snapshot.tables, &decision);
        let json = DecisionJson::new(&contact.key.gateway_ref, &record, Some(nanos)).line();
        object.insert("decision".into(), serde_json::from_str(&json).unwrap_or_default());
    })
}

fn print_for_people(out: &mut impl Write, id: &str, record: &DecisionRecord, nanos: u64) -> Result<()> {
    let area = record.area.map_or("unknown".to_owned(), |area| area.to_string());
    let kind = record.incident_type.map_or("no type".to_owned(), |code| code.to_string());
    let priority = record.priority.map_or("-".to_owned(), |priority| priority.to_string());
    writeln!(out, "{id}: area {area}, {kind}, priority {priority}, by {} ({:.1} µs)", record.rung, nanos as f64 / 1e3)?;
    for service in &record.services {
        let lead = if service.lead { "lead" } else { "    " };
        let probability = service.probability.map_or(String::new(), |ppm| format!("  P {:.2}", ppm.as_f64()));
        let chain: Vec<String> = service.chain.iter().map(ToString::to_string).collect();
        writeln!(out, "  {lead} {:<14} {:<12}{probability}  asks {}", service.service, service.dispatcher, chain.join(" > "))?;
    }
    if record.test {
        writeln!(out, "  a test: no live dispatcher sees it")?;
    }
    for neighbour in &record.neighbours {
        let probability = neighbour.probability.map_or(String::new(), |ppm| format!(" P {:.2}", ppm.as_f64()));
        writeln!(out, "  told {:<14} {:<12}{probability} ({})", neighbour.service, neighbour.dispatcher, neighbour.why)?;
    }
    if !record.discrepancies.is_empty() {
        let codes: Vec<&str> = record.discrepancies.iter().map(|code| code.as_str()).collect();
        writeln!(out, "  odd:  {}", codes.join(", "))?;
    }
    writeln!(out, "  why:  {}", record.reasons.join("; "))?;
    Ok(())
}
