//! The command line: one file per command of the binary.

#![allow(clippy::disallowed_methods, reason = "clocks and threads live here; tests/tidy.rs keeps them out of the rest")]

pub mod access;
pub mod certs;
pub mod config;
pub mod console;
pub mod demo;
pub mod explain;
pub mod feed;
pub mod journal;
pub mod progress;
pub mod publish;
pub mod read;
mod report;
pub mod screen;
pub mod send;
pub mod serve;
pub mod tables;
pub mod tables_check;
mod tables_export;
pub mod tables_import;
pub mod trace;

use std::process::ExitCode;

use anyhow::Result;
use clap::{CommandFactory, Parser, Subcommand};

/// One emergency number for a whole country: classify, locate, route, deliver, and never lose a contact.
#[derive(Debug, Parser)]
#[command(
    name = "najda",
    version,
    propagate_version = true,
    after_help = "Start here:
  najda demo                     engine, gateways and consoles on the UAE tables, in this terminal
  najda explain < contacts.jsonl decide offline and say why
  najda tables check DIR         find every defect of a table set"
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::DemoArgs),
    Serve(serve::ServeArgs),
    Certs(certs::CertsArgs),
    Console(console::ConsoleArgs),
    Send(send::SendArgs),
    Explain(explain::ExplainArgs),
    Read(read::ReadArgs),
    Trace(trace::TraceArgs),
    Report(report::ReportArgs),
    /// Check, import, build, publish, show and compare table sets.
    #[command(subcommand)]
    Tables(tables::TablesCommand),
    /// Search the journal, decide it again, verify its chain.
    #[command(subcommand)]
    Journal(journal::JournalCommand),
    /// Check a configuration.
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// The feed for other systems.
    #[command(subcommand)]
    Feed(feed::FeedCommand),
    /// Print the completions of a shell.
    #[command(after_help = "Example:
  najda completions bash > ~/.local/share/bash-completion/completions/najda")]
    Completions {
        shell: clap_complete::Shell,
    },
}

/// Runs the command and answers with its exit code.
///
/// # Errors
/// What a person should read; printed by `main` with its causes.
pub fn run(cli: Cli) -> Result<ExitCode> {
    match cli.command {
        Command::Demo(args) => demo::run(&args),
        Command::Certs(args) => certs::run(&args),
        Command::Console(args) => console::run(&args),
        Command::Send(args) => send::run(&args),
        Command::Serve(args) => serve::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Read(args) => read::run(&args),
        Command::Trace(args) => trace::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Tables(command) => tables::run(command),
        Command::Journal(command) => journal::run(&command),
        Command::Config(command) => config::run(&command),
        Command::Feed(command) => feed::run(&command),
        Command::Completions { shell } => {
            // Into memory first: a reader that leaves early is no defect of ours.
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "najda", &mut script);
            print_all(&script)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Writes to standard output; a reader that has seen enough is no error.
pub(crate) fn print_all(bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}
