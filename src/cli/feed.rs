//! `najda feed openapi`: the feed's document, as the engine serves it.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Subcommand;

use super::print_all;
use crate::edge::feed::openapi;

/// The feed for other systems.
#[derive(Debug, Subcommand)]
pub enum FeedCommand {
    /// Print the OpenAPI 3.1 document of the feed, as the engine serves it at /feed/openapi.json.
    #[command(after_help = "Example:
  najda feed openapi > openapi.json")]
    Openapi,
}

/// # Errors
/// Standard output cannot be written.
pub fn run(command: &FeedCommand) -> Result<ExitCode> {
    let FeedCommand::Openapi = command;
    let text = serde_json::to_string_pretty(&openapi::document()).context("writing the document")?;
    print_all((text + "\n").as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
