//! `najda tables publish` and `najda tables state`: what ops tell a running engine.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Args;

use super::progress::with_bar;
use crate::client::Identity;
use crate::client::http::{HttpAnswer, HttpClient};
use crate::decision::DispatcherState;
use crate::edge::certs::file_stem;
use crate::edge::tables::load_or_shipped;
use crate::edge::tls::Role;
use crate::wire::http::{Published, Refused, StateAsked, StateSet};

/// Where the engine is, and who asks.
#[derive(Args, Clone, Debug)]
pub struct EngineArgs {
    /// The HTTP door of the engine.
    #[arg(long, value_name = "https://HOST:PORT")]
    to: String,
    /// Folder with ca.pem and the certificate of `--as`.
    #[arg(long, value_name = "DIR", default_value = "certs")]
    certs: PathBuf,
    /// Who asks: the role of the certificate.
    #[arg(long = "as", value_name = "ops/NAME", default_value = "ops/dev", value_parser = ops)]
    role: Role,
}

/// Put a table set in force in a running engine.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  najda tables publish uae.tables --to https://engine:9991 --certs /etc/najda/certs --as ops/sara
  najda tables publish routing-tables/uae --to https://127.0.0.1:9991

The set is built and checked here first; the engine checks it again, keeps it beside its journal, and swaps it in between two \
contacts. A set it refuses changes nothing. Ends with 0 when the set is in force, with 1 when it was refused.")]
pub struct PublishArgs {
    /// A compiled file, or the folder of a pack.
    set: PathBuf,
    #[command(flatten)]
    engine: EngineArgs,
    /// Publish although areas that are served now are not in the set.
    #[arg(long)]
    force: bool,
}

/// Set the state of a dispatcher in a running engine.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  najda tables state DU-POL unreachable --to https://127.0.0.1:9991 --as ops/sara
  najda tables state DU-POL active --to https://127.0.0.1:9991 --as ops/sara

States: active, diverting (others are asked first), full, unreachable, closed. The state stays until it is set again.")]
pub struct StateArgs {
    /// The dispatcher's id, as `najda tables show` prints it.
    dispatcher: String,
    #[arg(value_parser = state)]
    state: DispatcherState,
    #[command(flatten)]
    engine: EngineArgs,
}

fn ops(text: &str) -> Result<Role, String> {
    match Role::parse(text).map_err(|error| error.to_string())? {
        role @ Role::Ops { .. } => Ok(role),
        other => Err(format!("{other} may not do this; write ops/NAME")),
    }
}

fn state(text: &str) -> Result<DispatcherState, String> {
    let words = DispatcherState::ALL.map(DispatcherState::word).join(", ");
    DispatcherState::from_word(text).ok_or_else(|| format!("no such state; the states are {words}"))
}

/// # Errors
/// The set has defects, or the engine cannot be asked.
pub fn publish(args: &PublishArgs) -> Result<ExitCode> {
    // The certificate before the set: building takes longer.
    let client = client(&args.engine)?;
    let loaded = with_bar("building the set", None, |_| load_or_shipped(Some(&args.set)))?;
    let path = if args.force { "/v1/tables?force=true" } else { "/v1/tables" };
    let sent = async { client.post(path, "application/octet-stream", loaded.bytes).await };
    let answer = with_bar("publishing", None, |_| wait_for(sent))?;
    let Some(body) = accepted(&answer)? else { return Ok(ExitCode::FAILURE) };
    let Published { name, tables, snapshot, unchanged } = serde_json::from_slice(body).context("reading the engine's answer")?;
    if unchanged {
        println!("{name} version {tables} is in force already (snapshot {snapshot})");
    } else {
        println!("{name} version {tables} is in force from snapshot {snapshot} on");
    }
    Ok(ExitCode::SUCCESS)
}

/// # Errors
/// The engine cannot be asked.
pub fn set_state(args: &StateArgs) -> Result<ExitCode> {
    let client = client(&args.engine)?;
    let path = format!("/v1/dispatchers/{}/state", args.dispatcher);
    let body = serde_json::to_vec(&StateAsked { state: args.state.word().to_owned() })?;
    let answer = wait_for(async { client.post(&path, "application/json", body).await })?;
    let Some(body) = accepted(&answer)? else { return Ok(ExitCode::FAILURE) };
    let StateSet { dispatcher, state, snapshot } = serde_json::from_slice(body).context("reading the engine's answer")?;
    println!("{dispatcher} is {state} from snapshot {snapshot} on");
    Ok(ExitCode::SUCCESS)
}

fn client(args: &EngineArgs) -> Result<HttpClient> {
    let identity = identity(&args.certs, &args.role)?;
    Ok(HttpClient::with_certificate(&args.to, &identity)?)
}

fn identity(certs: &Path, role: &Role) -> Result<Identity> {
    let stem = file_stem(role);
    Identity::from_folder(certs, &stem)
        .with_context(|| format!("reading {stem}.pem in {}; name the folder with --certs and the role with --as", certs.display()))
}

fn wait_for<T, E: Into<anyhow::Error>>(asked: impl Future<Output = Result<T, E>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting the runtime")?;
    runtime.block_on(asked).map_err(Into::into)
}

/// The body of a good answer; `None` when the engine refused, which is then said.
fn accepted(answer: &HttpAnswer) -> Result<Option<&[u8]>> {
    if answer.status == 200 {
        return Ok(Some(&answer.body));
    }
    match serde_json::from_slice::<Refused>(&answer.body) {
        Ok(Refused { error, remedy }) => eprintln!("najda: the engine refused ({}): {error}\n  -> {remedy}", answer.status),
        Err(_) => bail!("the engine answered {} without saying why; is this its HTTP door?", answer.status),
    }
    Ok(None)
}
