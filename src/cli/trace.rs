//! `najda trace`: the stages of one contact as the journal holds them, with the time between them. Reads only, beside a running engine
//! too.
//!
//! A stage is what a person would say happened: one fact of the journal is one stage, but for an arrival, which is also decided, and
//! for evidence, whose decision may move the contact. Nothing is decided again here; `najda journal replay` does that.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Args;
use serde_json::{Value, json};

use super::access;
use super::journal::{contact_id, open, shown};
use super::print_all;
use super::progress::with_bar;
use crate::contact::{Contact, LocationClaim, Place, Signal};
use crate::decision::DecisionRecord;
use crate::deliver::{DispatcherState, Evidence, Fact, OfferId};
use crate::edge::ingress::sip::reference_begins;
use crate::edge::store::embedded::JournalReader;
use crate::geo::makani;
use crate::journal::projection::{ContactRow, Query};
use crate::limits::READ_ENTRIES_MAX;
use crate::service::Service;
use crate::store::Partition;
use crate::units::{ContactId, DispatcherId, Timestamp};
use crate::wire::frame::decode_fact;

/// Show what became of a call, stage by stage.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  najda trace --caller +971501234567
  najda trace --call-id 3848276298220188511@gw.example --state /var/lib/najda
  najda trace --caller 971501234567 --json | jq '.stages[] | [.stage, .after_ms]'

Stages: arrived, decided (with the rules that decided), evidence, moved or proposed (evidence made another room responsible), asked, taken,
accepted, dispatched, waiting, declined, answered, hung_up, called_back, repeated, noted, said, delivered, read, joined, left, closed,
ended. Each has the time since the stage before it and
since the arrival. That you asked is written into access.jsonl in the state folder.

A number is found with or without + or 00; the newest contact is shown last. Ends with 1 when there is none.")]
#[group(id = "whose", required = true, multiple = true)]
pub struct TraceArgs {
    /// The calling line.
    #[arg(long, value_name = "NUMBER", group = "whose")]
    caller: Option<String>,
    /// The Call-ID of a SIP call, or any gateway's own id of its contact.
    #[arg(long, value_name = "ID", group = "whose")]
    call_id: Option<String>,
    /// The engine's id of the contact.
    #[arg(long, value_name = "UUID", value_parser = contact_id, group = "whose")]
    id: Option<ContactId>,
    /// The engine's state folder.
    #[arg(long, value_name = "DIR", default_value = "state", alias = "dir")]
    state: PathBuf,
    /// Contacts at most, the newest of them.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    limit: u32,
    /// One JSON object a contact and line, for scripts.
    #[arg(long)]
    json: bool,
}

/// # Errors
/// The journal cannot be read, or has no searchable rows.
pub fn run(args: &TraceArgs) -> Result<ExitCode> {
    let reader = open(&args.state)?;
    let id = args.id.map(|id| id.to_string());
    access::note(&args.state, "trace", json!({ "caller": args.caller, "call_id": args.call_id, "id": id }))?;
    match reader.projection_lag()? {
        None => bail!("the journal has no searchable rows; `najda journal rebuild --dir {}` makes them", args.state.display()),
        Some(0) => {}
        Some(behind) => eprintln!("najda: the searchable rows are {behind} entries behind; the newest contacts may not be found yet"),
    }
    let rows = find(args, &reader)?;
    if rows.is_empty() {
        eprintln!("najda: no such contact in {}; `najda journal query --newest` lists what there is", args.state.display());
        return Ok(ExitCode::FAILURE);
    }
    let mut out = String::new();
    for row in rows.iter().rev() {
        let stages = stages_of(&reader, row)?;
        if args.json {
            let _ = writeln!(out, "{}", json_of(row, &stages));
        } else {
            write_text(&mut out, row, &stages);
        }
    }
    print_all(out.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// The newest first.
fn find(args: &TraceArgs, reader: &JournalReader) -> Result<Vec<ContactRow>> {
    let most = args.limit as usize;
    let lines: Vec<Option<Box<str>>> = match &args.caller {
        None => vec![None],
        Some(number) => spellings(number).into_iter().map(|line| Some(line.into())).collect(),
    };
    let mut rows = Vec::new();
    for line in lines {
        let call = args.call_id.as_deref().map(|id| (id.into(), reference_begins(id).into()));
        let query = Query { contact: args.id, line, call, newest_first: true, row_count_max: most, ..Query::default() };
        rows.extend(reader.find(&query)?);
    }
    rows.sort_by_key(|row| std::cmp::Reverse((row.received, row.contact)));
    rows.truncate(most);
    Ok(rows)
}

/// A number as gateways write it. The national form needs the tables of its country, so it is found as it was sent.
fn spellings(number: &str) -> BTreeSet<String> {
    let plain: String = number.chars().filter(|c| !matches!(c, ' ' | '-' | '(' | ')' | '.')).collect();
    let digits = plain.strip_prefix('+').or_else(|| plain.strip_prefix("00")).unwrap_or(&plain);
    [number.to_owned(), plain.clone(), digits.to_owned(), format!("+{digits}"), format!("00{digits}")].into()
}

/// One stage.
struct Stage {
    at: Timestamp,
    seq: u64,
    stage: &'static str,
    /// For a person.
    what: String,
    /// For a script; an object.
    more: Value,
}

/// Everything the journal says of a contact, from its arrival to its end or to the end of the journal.
fn stages_of(reader: &JournalReader, row: &ContactRow) -> Result<Vec<Stage>> {
    let Some((partition, first)) = reader.arrival_of(row.contact)? else { return Ok(Vec::new()) };
    let last = reader.last_seq(partition)?;
    with_bar("reading the journal", Some(last.saturating_sub(first)), |bar| {
        follow(reader, partition, first, row.contact, &mut |seq| bar.set_position(seq.saturating_sub(first)))
    })
}

fn follow(reader: &JournalReader, partition: Partition, first: u64, contact: ContactId, step: &mut dyn FnMut(u64)) -> Result<Vec<Stage>> {
    let (mut told, mut next) = (Told::default(), Some(first));
    while let Some(seq) = next {
        // A life is mostly short: a small page first.
        let page = reader.read(partition, seq, if seq == first { 256 } else { READ_ENTRIES_MAX })?;
        for entry in &page.entries {
            let Ok(fact) = decode_fact(&entry.bytes) else { continue };
            if fact.contact() != Some(contact) {
                continue;
            }
            told.tell(entry.seq, &fact);
            if matches!(fact, Fact::Ended { .. }) {
                return Ok(told.stages);
            }
        }
        step(page.entries.last().map_or(seq, |entry| entry.seq));
        next = page.next_seq.filter(|further| *further > seq);
    }
    Ok(told.stages)
}

/// The stages so far, and what is needed to name the next.
#[derive(Default)]
struct Told {
    stages: Vec<Stage>,
    /// Who leads after the last decision.
    lead: Option<(Service, DispatcherId)>,
    /// Services that somebody holds.
    held: BTreeSet<Service>,
}

impl Told {
    fn add(&mut self, at: Timestamp, seq: u64, stage: &'static str, what: String, more: Value) {
        self.stages.push(Stage { at, seq, stage, what, more });
    }

    fn tell(&mut self, seq: u64, fact: &Fact) {
        let at = fact.at();
        match fact {
            Fact::Arrived { contact, decision, states, .. } => {
                self.add(contact.received, seq, "arrived", arrival(contact), json!({ "door": contact.door.word() }));
                self.lead = lead_of(decision);
                self.add(at, seq, "decided", decided(decision, states), decision_json(decision));
            }
            Fact::Redecided { revision, evidence, decision, .. } => {
                let more = json!({ "revision": revision, "claims": evidence.claims.len(), "signals": evidence.signals.len() });
                self.add(at, seq, "evidence", said(evidence), more);
                self.decided_again(at, seq, decision);
            }
            Fact::Asked { offer, dispatcher, why, .. } => {
                let what = format!("{dispatcher} for {}: {}", offer.service.word(), why.word());
                self.add(
                    at,
                    seq,
                    "asked",
                    what,
                    json!({ "service": offer.service.word(), "dispatcher": dispatcher.as_str(), "why": why.word() }),
                );
            }
            Fact::Taken { offer, seat, .. } => {
                self.held.insert(offer.service);
                self.at_seat(at, seq, "taken", *offer, *seat, "");
            }
            Fact::Accepted { offer, seat, .. } => self.at_seat(at, seq, "accepted", *offer, *seat, ""),
            Fact::Declined { offer, seat, reason, .. } => self.at_seat(at, seq, "declined", *offer, *seat, reason),
            Fact::Closed { offer, seat, reason, .. } => {
                self.held.remove(&offer.service);
                self.at_seat(at, seq, "closed", *offer, *seat, reason);
            }
            Fact::CalledBack { offer, seat, outcome, reason, .. } => {
                let reason = if reason.is_empty() { outcome.word().to_owned() } else { format!("{}: {reason}", outcome.word()) };
                self.at_seat(at, seq, "called_back", *offer, *seat, &reason);
            }
            Fact::Waiting { offer, why, reason, .. } => {
                self.held.remove(&offer.service);
                let why = format!("{why:?}").to_lowercase();
                let what = if reason.is_empty() { why.clone() } else { format!("{why}: {reason}") };
                self.add(
                    at,
                    seq,
                    "waiting",
                    format!("{} again, {what}", offer.service.word()),
                    json!({ "service": offer.service.word(), "why": why }),
                );
            }
            Fact::HungUp { why, callback, .. } => {
                let what = format!("{}{}", why.word(), if *callback { ", to be called back" } else { "" });
                self.add(at, seq, "hung_up", what, json!({ "why": why.word(), "callback": callback }));
            }
            Fact::Repeated { earlier, .. } => {
                self.add(at, seq, "repeated", format!("the line of {earlier}"), json!({ "earlier": earlier.to_string() }));
            }
            Fact::Noted { seat, text, .. } => {
                let seat = format!("{}/{}", seat.dispatcher, seat.seat);
                self.add(at, seq, "noted", format!("at {seat}: {text}"), json!({ "seat": seat, "text": text }));
            }
            Fact::Joined { incident, seat, .. } => {
                let by = seat.map(|seat| format!("{}/{}", seat.dispatcher, seat.seat));
                let what = format!("incident {incident}, by {}", by.as_deref().unwrap_or("the line that called again"));
                self.add(at, seq, "joined", what, json!({ "incident": incident.to_string(), "seat": by }));
            }
            Fact::Said { number, seat, text, .. } => {
                let by = seat.map(|seat| format!("{}/{}", seat.dispatcher, seat.seat));
                let what = format!("{}: {text}", by.as_deref().unwrap_or("the caller"));
                self.add(at, seq, "said", what, json!({ "number": number, "seat": by, "text": text }));
            }
            Fact::Delivered { number, delivered, .. } => {
                let what = format!("line {number} {} the caller", if *delivered { "has reached" } else { "cannot reach" });
                self.add(at, seq, "delivered", what, json!({ "number": number, "delivered": delivered }));
            }
            Fact::Read { by, duty, .. } => {
                let by = reader(by);
                let what = format!("by {} {by}, who holds no share of it", duty.word());
                self.add(at, seq, "read", what, json!({ "by": by, "duty": duty.word() }));
            }
            Fact::Dispatched { offer, seat, .. } => self.at_seat(at, seq, "dispatched", *offer, *seat, ""),
            Fact::Answered { dispatcher, .. } => {
                self.add(at, seq, "answered", format!("the voice is at {dispatcher}"), json!({ "dispatcher": dispatcher.as_str() }));
            }
            Fact::Ended { ending, .. } => self.add(at, seq, "ended", ending.word().to_owned(), json!({ "ending": ending.word() })),
            Fact::Left { ended, .. } => {
                let ended: Vec<String> = ended.iter().map(ToString::to_string).collect();
                let what = format!("of its incident have ended: {}", ended.join(", "));
                self.add(at, seq, "left", what, json!({ "ended": ended }));
            }
            Fact::Informed { told, number, seat, again, .. } => {
                let by = seat.map(|seat| format!("{}/{}", seat.dispatcher, seat.seat));
                let released = by.as_deref().map_or("after the end".to_owned(), |by| format!("released at {by}"));
                let what = format!("{} to {number}, {released}{}", told.word(), if *again { " (said again)" } else { "" });
                let fields = json!({ "told": told.word(), "number": number.as_str(), "seat": by, "again": again });
                self.add(at, seq, "informed", what, fields);
            }
            Fact::Rated { stars, .. } => self.add(at, seq, "rated", format!("{stars} of 5"), json!({ "stars": stars })),
            Fact::Declared { .. } | Fact::EventOver { .. } | Fact::State { .. } | Fact::Tables { .. } => {}
        }
    }

    fn at_seat(&mut self, at: Timestamp, seq: u64, stage: &'static str, offer: OfferId, seat: crate::deliver::Seat, reason: &str) {
        let seat = format!("{}/{}", seat.dispatcher, seat.seat);
        let what = format!("{} at {seat}{}{reason}", offer.service.word(), if reason.is_empty() { "" } else { ": " });
        self.add(at, seq, stage, what, json!({ "service": offer.service.word(), "seat": seat, "reason": reason }));
    }

    /// What nobody holds moves by itself; to a holder it is proposed.
    fn decided_again(&mut self, at: Timestamp, seq: u64, decision: &DecisionRecord) {
        let lead = lead_of(decision);
        let stage = match (self.lead, lead) {
            (before, now) if before == now => "decided",
            (Some((service, _)), _) if self.held.contains(&service) => "proposed",
            _ => "moved",
        };
        let from = self.lead.map_or("nobody".to_owned(), |(_, room)| room.to_string());
        let mut what = decided(decision, &[]);
        if stage != "decided" {
            what = format!("from {from}; {what}");
        }
        self.lead = lead;
        self.add(at, seq, stage, what, decision_json(decision));
    }
}

/// An auditor is of no room.
fn reader(by: &crate::deliver::Seat) -> String {
    if by.dispatcher.as_str().is_empty() { by.seat.to_string() } else { format!("{}/{}", by.dispatcher, by.seat) }
}

fn lead_of(decision: &DecisionRecord) -> Option<(Service, DispatcherId)> {
    decision.services.iter().find(|assigned| assigned.lead).map(|lead| (lead.service, lead.dispatcher))
}

fn arrival(contact: &Contact) -> String {
    let mut parts = vec![contact.door.word().to_owned()];
    parts.extend(contact.trunk.map(|trunk| format!("over {trunk}")));
    parts.extend(contact.cell.as_ref().map(|cell| format!("cell {cell}")));
    parts.extend(contact.load_test.then(|| "a load test".to_owned()));
    let evidence = Evidence { claims: contact.claims.clone(), signals: contact.signals.clone(), lang: contact.lang };
    parts.push(said(&evidence));
    parts.retain(|part| !part.is_empty());
    parts.join(", ")
}

fn said(evidence: &Evidence) -> String {
    let lang = evidence.lang.and_then(|lang| String::from_utf8(lang.to_vec()).ok()).map(|lang| format!("speaks {lang}"));
    let parts = evidence.claims.iter().map(claim).chain(evidence.signals.iter().map(signal)).chain(lang);
    parts.collect::<Vec<_>>().join(", ")
}

fn claim(claim: &LocationClaim) -> String {
    let source = format!("{:?}", claim.source);
    match &claim.place {
        Place::Shape(shape) => {
            let (at, radius_m) = (shape.representative(), shape.reach_cm() / 100);
            format!("{source} {:.5} {:.5} within {radius_m} m", at.lat_degrees(), at.lon_degrees())
        }
        Place::Makani(digits) => format!("{source} {}", makani::written(*digits)),
    }
}

fn signal(signal: &Signal) -> String {
    match signal {
        Signal::Dialled(digits) => format!("dialled {digits}"),
        Signal::Urn(urn) => format!("urn sos.{}", urn.kind.word()),
        Signal::Words(words) => format!("words {words:?}"),
        Signal::Event(event) => format!("event {event:?}"),
        Signal::Verified(verified) => if *verified { "verified" } else { "not verified" }.to_owned(),
        Signal::ECall { automatic, .. } => format!("eCall, {}", if *automatic { "automatic" } else { "manual" }),
        Signal::Dtmf { digit, .. } => format!("pressed {digit}"),
        Signal::CallBack => "wants to be called".to_owned(),
        Signal::Wanted(service) => format!("{} asked for by a person", service.word()),
        Signal::MenuKey(key) => format!("menu key {key}"),
        Signal::Silence { secs } => format!("silent for {secs} s"),
    }
}

/// Who is asked, and the rules that led there.
fn decided(decision: &DecisionRecord, states: &[(DispatcherId, DispatcherState)]) -> String {
    let services = decision.services.iter().map(|assigned| {
        let lead = if assigned.lead { " leads" } else { "" };
        format!("{} {}{lead}", assigned.service.word(), assigned.dispatcher)
    });
    let neighbours = decision.neighbours.iter().map(|neighbour| format!("told: {} ({})", neighbour.dispatcher, neighbour.why));
    let states = states.iter().map(|(room, state)| format!("{room} was {}", state.word()));
    let mut parts: Vec<String> = services.chain(neighbours).chain(states).collect();
    if parts.is_empty() {
        parts.push("nobody".to_owned());
    }
    let reasons = decision.reasons.iter().map(|reason| &**reason).collect::<Vec<_>>().join("; ");
    let odd = decision.discrepancies.iter().map(|code| code.as_str()).collect::<Vec<_>>().join(", ");
    let odd = if odd.is_empty() { odd } else { format!(" | odd: {odd}") };
    format!("{} | because {reasons}{odd}", parts.join(", "))
}

fn decision_json(decision: &DecisionRecord) -> Value {
    let rooms: Vec<Value> = decision
        .services
        .iter()
        .map(|assigned| json!({ "service": assigned.service.word(), "dispatcher": assigned.dispatcher.as_str(), "lead": assigned.lead }))
        .collect();
    json!({
        "services": rooms,
        "area": decision.area.map(|area| area.to_string()),
        "reasons": decision.reasons,
        "discrepancies": decision.discrepancies.iter().map(|code| code.as_str()).collect::<Vec<_>>(),
        "tables": decision.tables.to_string(),
    })
}

// --- shown ---

/// Each stage with the microseconds since the first and since the one before it.
fn timed(stages: &[Stage]) -> impl Iterator<Item = (&Stage, u64, u64)> {
    let first = stages.first().map_or(Timestamp::default(), |stage| stage.at);
    let before = std::iter::once(first).chain(stages.iter().map(|stage| stage.at));
    stages.iter().zip(before).map(move |(stage, before)| (stage, stage.at.micros_since(first), stage.at.micros_since(before)))
}

fn json_of(row: &ContactRow, stages: &[Stage]) -> Value {
    let list: Vec<Value> = timed(stages)
        .map(|(stage, since, after)| {
            let mut value = json!({
                "stage": stage.stage,
                "at": shown(stage.at),
                "since_ms": since as f64 / 1e3,
                "after_ms": after as f64 / 1e3,
                "entry": stage.seq,
                "what": stage.what,
            });
            if let (Some(value), Some(more)) = (value.as_object_mut(), stage.more.as_object()) {
                value.extend(more.clone());
            }
            value
        })
        .collect();
    json!({
        "contact": row.contact.to_string(),
        "caller": row.line.as_deref(),
        "gateway": row.gateway.as_str(),
        "ref": &*row.gateway_ref,
        "received": shown(row.received),
        "ended": row.ending.map(|ending| ending.to_string()),
        "stages": list,
    })
}

fn write_text(out: &mut String, row: &ContactRow, stages: &[Stage]) {
    let _ = writeln!(out, "contact {}  caller {}  {} {}", row.contact, row.line.as_deref().unwrap_or("-"), row.gateway, row.gateway_ref);
    for (stage, since, after) in timed(stages) {
        let _ = writeln!(out, "  {}  {:>10}  {:>10}  {:<11}  {}", shown(stage.at), span(since), span(after), stage.stage, stage.what);
    }
    if stages.is_empty() {
        out.push_str("  its entries were removed; the row is all that is left\n");
    } else if row.ending.is_none() {
        out.push_str("  not ended\n");
    }
}

/// A stretch of time as a person reads it.
fn span(micros: u64) -> String {
    match micros {
        0..10_000 => format!("+{micros} us"),
        10_000..10_000_000 => format!("+{} ms", micros / 1_000),
        _ => format!("+{} s", micros / 1_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_found_however_its_country_code_begins() {
        for number in ["+971501234567", "00971501234567", "971 50 123 4567"] {
            let spelled = spellings(number);
            assert!(["+971501234567", "971501234567", "00971501234567"].iter().all(|known| spelled.contains(*known)), "{number}");
        }
        assert!(spellings("0501234567").contains("0501234567"));
    }

    #[test]
    fn a_stretch_of_time_has_its_unit() {
        assert_eq!([span(9_999), span(10_000), span(12_345_678)], ["+9999 us", "+10 ms", "+12 s"]);
    }
}
