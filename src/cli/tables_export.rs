//! `najda tables export`: what a gateway needs of the tables when nobody of ours answers.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;

use crate::contact::{Contact, ContactKey, Door, Signal};
use crate::edge::tables::load_or_shipped;
use crate::route::route;
use crate::tables::snapshot::Snapshot;
use crate::units::{ContactId, Name, Timestamp};

/// Write what gateways keep for the case that no engine answers.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  najda tables export --last-resort > last-resort.cfg
  najda tables export --last-resort uae.tables --out /etc/kamailio/najda-last-resort.cfg

The file is a block for Kamailio's htable module: for each trunk and each number the addresses to try, in order, with | between them;
`*` stands for a trunk or a number that is not listed. The manual's page on outages shows how a gateway uses it. Export again after each
publication: the first line names the table set.")]
pub struct ExportArgs {
    /// A room for each trunk and number, as on a working day at noon and with no place known.
    #[arg(long, required = true)]
    last_resort: bool,
    /// A folder or a compiled file; the shipped set when left out.
    set: Option<PathBuf>,
    /// Where to write; standard output when left out.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// # Errors
/// The set cannot be read, or the file not be written.
pub fn run(args: &ExportArgs) -> Result<ExitCode> {
    let loaded = load_or_shipped(args.set.as_deref())?;
    let text = last_resort(&Snapshot::of(loaded.tables));
    let Some(out) = &args.out else {
        print!("{text}");
        return Ok(ExitCode::SUCCESS);
    };
    // Whole or not at all: a gateway may be reading the old one.
    let beside = out.with_extension("partial");
    fs::write(&beside, &text).with_context(|| format!("writing {}", beside.display()))?;
    fs::rename(&beside, out).with_context(|| format!("naming {}", out.display()))?;
    Ok(ExitCode::SUCCESS)
}

/// Addresses tried in turn: enough to find one that answers within three seconds.
const ADDRESSES_MAX: usize = 3;
/// A Wednesday, 2026-01-07 12:00 UTC, in no country's night that this is for.
const NOON: Timestamp = Timestamp::from_secs(1_767_787_200);

fn last_resort(snapshot: &Snapshot) -> String {
    let tables = &snapshot.tables;
    let mut text = format!(
        "# Last resort of table set {} version {}. Made by `najda tables export --last-resort`; do not edit.\n\
         event_route[htable:mod-init] {{\n",
        tables.name, tables.version
    );
    let trunks = tables.identities.trunks.iter().map(|row| Some(row.trunk)).chain([None]);
    for trunk in trunks {
        let named = trunk.map_or("*".to_owned(), |trunk| trunk.to_string());
        for number in tables.words.numbers.dialled().map(Some).chain([None]) {
            let addresses = addresses(snapshot, trunk, number);
            let _ = writeln!(text, "    $sht(najda=>{named}:{}) = \"{}\";", number.unwrap_or("*"), addresses.join("|"));
        }
    }
    text.push_str("}\n");
    text
}

/// Who answers a call of which only the trunk and the number are known.
fn addresses(snapshot: &Snapshot, trunk: Option<Name>, number: Option<&str>) -> Vec<String> {
    let mut contact = Contact::new(ContactId::default(), ContactKey::default(), NOON, Door::SipVoice);
    contact.trunk = trunk;
    contact.signals.extend(number.map(|number| Signal::Dialled(number.into())));
    let decision = route(snapshot, &contact, NOON);
    let chain = decision.lead().map_or(&[][..], |lead| &lead.chain);
    let rooms = chain.iter().filter_map(|index| snapshot.tables.dispatchers.get(*index));
    rooms.map(|room| room.uri.to_string()).take(ADDRESSES_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_trunk_and_number_has_addresses_and_a_stranger_too() {
        let tables = load_or_shipped(None).unwrap().tables;
        let text = last_resort(&Snapshot::of(std::sync::Arc::clone(&tables)));
        let rows: Vec<&str> = text.lines().filter(|line| line.contains("$sht(")).collect();
        assert_eq!(rows.len(), (tables.identities.trunks.len() + 1) * (tables.words.numbers.dialled().count() + 1));
        assert!(rows.iter().all(|row| row.contains(" = \"sip:") && row.ends_with("\";")), "{text}");
        let row = |key: &str| rows.iter().find(|row| row.contains(&format!("=>{key})"))).copied().unwrap_or_default();
        let uri = |id: &str| tables.dispatchers.get(tables.dispatchers.find(id).unwrap()).unwrap().uri.to_string();
        assert!(row("fixed-aj-a:999").contains(&format!("\"{}", uri("AJ-POL"))), "{}", row("fixed-aj-a:999"));
        assert!(row("*:*").contains(&uri("DU-POL")), "{}", row("*:*"));
        assert!(text.starts_with("# Last resort of table set uae version ") && text.contains(&tables.version.to_string()));
    }
}
