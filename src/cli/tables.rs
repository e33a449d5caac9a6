//! `najda tables ...`: the table sets of ops.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};

use super::{publish, tables_check, tables_export, tables_import};
use crate::edge::tables::{load_or_shipped, read_folder, shipped};
use crate::tables::compiled;
use crate::tables::source::Files;

#[derive(Debug, Subcommand)]
pub enum TablesCommand {
    Check(tables_check::CheckArgs),
    Import(tables_import::ImportArgs),
    Build(BuildArgs),
    Show(ShowArgs),
    Diff(DiffArgs),
    Export(tables_export::ExportArgs),
    Publish(publish::PublishArgs),
    State(publish::StateArgs),
}

/// Compile a pack into one file with a version.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  najda tables build routing-tables/uae --out uae.tables
  najda explain --tables uae.tables < contacts.jsonl

A set with defects is refused; `najda tables check DIR` lists them with file, row and remedy.")]
pub struct BuildArgs {
    /// The folder of the pack; the shipped set when left out.
    pub dir: Option<PathBuf>,
    /// The compiled file.
    #[arg(long)]
    pub out: PathBuf,
}

/// Show a set: its version, its sizes, its rooms.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  najda tables show
  najda tables show routing-tables/testland
  najda tables show uae.tables")]
pub struct ShowArgs {
    /// A folder or a compiled file; the shipped set when left out.
    pub set: Option<PathBuf>,
}

/// Compare two sets row by row, before one replaces the other.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  najda tables diff routing-tables/uae /tmp/official
  najda tables diff old.tables new.tables

Ends with 0 when the sets are the same, with 1 when they differ. Boundaries of compiled files are compared as a whole.")]
pub struct DiffArgs {
    /// The set in force: a folder or a compiled file.
    pub old: PathBuf,
    /// The set to come.
    pub new: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// What a person should read.
pub fn run(command: TablesCommand) -> Result<ExitCode> {
    match command {
        TablesCommand::Check(args) => tables_check::run(args),
        TablesCommand::Import(args) => tables_import::run(args),
        TablesCommand::Build(args) => build(&args),
        TablesCommand::Show(args) => show(&args),
        TablesCommand::Diff(args) => diff(&args),
        TablesCommand::Export(args) => tables_export::run(&args),
        TablesCommand::Publish(args) => publish::publish(&args),
        TablesCommand::State(args) => publish::set_state(&args),
    }
}

fn build(args: &BuildArgs) -> Result<ExitCode> {
    let loaded = load_or_shipped(args.dir.as_deref())?;
    // Whole or not at all: an engine may be reading the old file.
    let beside = args.out.with_extension("partial");
    fs::write(&beside, &loaded.bytes).with_context(|| format!("writing {}", beside.display()))?;
    fs::rename(&beside, &args.out).with_context(|| format!("naming {}", args.out.display()))?;
    let tables = &loaded.tables;
    println!("{}: {} version {}, {} bytes", args.out.display(), tables.name, tables.version, loaded.bytes.len());
    Ok(ExitCode::SUCCESS)
}

fn show(args: &ShowArgs) -> Result<ExitCode> {
    let loaded = load_or_shipped(args.set.as_deref())?;
    let tables = &loaded.tables;
    let out = &mut std::io::stdout().lock();
    let stats = tables.ground.grid.stats();
    writeln!(out, "{} ({}), {}", tables.title_en, tables.title_ar, tables.name)?;
    writeln!(out, "version   {}", tables.version)?;
    writeln!(out, "compiled  {} bytes, ground index {} bytes, {} leaves", loaded.bytes.len(), stats.bytes, stats.leaves)?;
    writeln!(out, "areas     {}", tables.areas.iter().map(|area| area.id.as_str()).collect::<Vec<_>>().join(" "))?;
    let identities = &tables.identities;
    writeln!(
        out,
        "rows      {} rooms, {} trunks, {} area codes, {} lines, {} cells, {} overlays, {} places",
        tables.dispatchers.rows.len(),
        identities.trunks.len(),
        identities.area_codes.len(),
        identities.lines.len(),
        identities.cells.len(),
        tables.ground.overlays.len() + tables.ground.zones.len(),
        tables.places.len()
    )?;
    writeln!(out, "\n{:<12} {:<20} {:<44} {:>8}  then", "room", "service", "name", "capacity")?;
    for room in &tables.dispatchers.rows {
        let then: Vec<String> = room.overflow.iter().map(|next| tables.dispatcher_id(*next).to_string()).collect();
        writeln!(out, "{:<12} {:<20} {:<44} {:>8}  {}", room.id, room.service, room.name_en, room.capacity, then.join(" "))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn diff(args: &DiffArgs) -> Result<ExitCode> {
    let (old, new) = (rows_of(&args.old)?, rows_of(&args.new)?);
    let mut differs = false;
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for name in names {
        let (before, after) = (old.get(name), new.get(name));
        if before == after {
            continue;
        }
        differs = true;
        match (before, after) {
            (Some(before), None) => println!("- {name}  ({} bytes) is gone", before.len()),
            (None, Some(after)) => println!("+ {name}  ({} bytes) is new", after.len()),
            (Some(before), Some(after)) if name.ends_with(".csv") || name.ends_with(".toml") => print_rows(name, before, after),
            (Some(before), Some(after)) => println!("~ {name}  {} bytes were {}", after.len(), before.len()),
            (None, None) => {}
        }
    }
    if !differs {
        println!("the sets are the same");
    }
    Ok(if differs { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn print_rows(name: &str, before: &[u8], after: &[u8]) {
    let (before, after) = (String::from_utf8_lossy(before), String::from_utf8_lossy(after));
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<BTreeSet<_>>();
    let (old, new) = (lines(&before), lines(&after));
    println!("~ {name}  {} rows left, {} rows came", old.difference(&new).count(), new.difference(&old).count());
    for line in before.lines().filter(|line| !new.contains(*line)) {
        println!("    - {line}");
    }
    for line in after.lines().filter(|line| !old.contains(*line)) {
        println!("    + {line}");
    }
}

fn rows_of(set: &Path) -> Result<Files> {
    if set.as_os_str() == "shipped" {
        return Ok(shipped());
    }
    if set.is_dir() {
        return Ok(read_folder(set)?);
    }
    if !set.exists() {
        bail!("{} is neither a folder nor a file; write `shipped` for the set inside the program", set.display());
    }
    let bytes = fs::read(set).with_context(|| format!("reading {}", set.display()))?;
    compiled::row_files(&bytes).with_context(|| format!("reading {}", set.display()))
}
