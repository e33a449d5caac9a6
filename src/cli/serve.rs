//! `najda serve`: the engine.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::Args;
use tracing_subscriber::EnvFilter;

use crate::client::transport::Identity;
use crate::edge::run::{Node, NodeConfig, OpenStore, prepare_state_folder};
use crate::edge::store::embedded;
use crate::edge::tables::{Loaded, load_or_shipped};
use crate::engine;
use crate::journal::projection::change_of;
use crate::units::Name;
use crate::wire::frame::decode_fact;

/// Run the engine: doors for gateways and consoles, journal, tables.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  najda certs dev --dir certs && najda serve --certs certs --state state
  najda serve --listen 0.0.0.0:9990 --certs /etc/najda/certs --state /var/lib/najda --tables /etc/najda/tables

When the doors are open one line `ready quic=ADDR ...` is printed. SIGHUP reads the tables again: a set with defects is refused and
the old one keeps serving. SIGTERM and Ctrl-C drain: clients are told to come back, the journal is written, then it ends.
RUST_LOG=najda=debug shows more.")]
pub struct ServeArgs {
    /// UDP address of gateways and consoles.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9990")]
    listen: SocketAddr,
    /// Folder with ca.pem, server.pem and server.key.
    #[arg(long, value_name = "DIR", default_value = "certs")]
    certs: PathBuf,
    /// Folder of the journal.
    #[arg(long, value_name = "DIR", default_value = "state")]
    state: PathBuf,
    /// Folder or compiled file of a table set; the shipped set when left out.
    #[arg(long, value_name = "DIR|FILE")]
    tables: Option<PathBuf>,
    /// Worker threads of the doors; the number of cores when left out.
    #[arg(long, value_name = "N")]
    workers: Option<usize>,
}

/// Runs until it is told to stop.
///
/// # Errors
/// What keeps it from starting, with the remedy.
pub fn run(args: &ServeArgs) -> Result<ExitCode> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("najda=info,warn"));
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    if let Some(workers) = args.workers {
        runtime.worker_threads(workers.max(1));
    }
    runtime.enable_all().build().context("starting the runtime")?.block_on(serve(args))
}

async fn serve(args: &ServeArgs) -> Result<ExitCode> {
    prepare_state_folder(&args.state)?;
    let identity = Identity::from_folder(&args.certs, "server")
        .with_context(|| format!("reading the engine's certificate; `najda certs dev --dir {}` makes one", args.certs.display()))?;
    let loaded = load_or_shipped(args.tables.as_deref())?;
    let config = NodeConfig { listen: args.listen, state_folder: args.state.clone(), identity, engine: engine::Config::default() };
    let version = loaded.tables.version;
    let node = Node::start(config, loaded.tables, &loaded.bytes, open_embedded(&args.state))?;
    let started = node.started();
    println!(
        "ready quic={} tables={version} facts={} live={} read_ms={}",
        node.addr(),
        started.facts,
        started.live_contacts,
        started.read.as_millis()
    );
    until_told(&node, args.tables.as_deref()).await?;
    tracing::info!("draining");
    node.shutdown().await;
    Ok(ExitCode::SUCCESS)
}

/// The embedded store in a folder, with its searchable rows.
pub fn open_embedded(state: &Path) -> OpenStore {
    let folder = state.join("journal");
    Box::new(move |listener| {
        let mut config = embedded::Config::new(&folder);
        config.project = Some(Arc::new(|entry| decode_fact(&entry.bytes).ok().as_ref().and_then(change_of)));
        let store =
            embedded::EmbeddedStore::open(config, listener).with_context(|| format!("opening the journal in {}", folder.display()))?;
        Ok(Arc::new(store))
    })
}

/// Waits for a signal to stop; reads the tables again on each SIGHUP.
async fn until_told(node: &Node, tables: Option<&Path>) -> Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut hang_up = signal(SignalKind::hangup()).context("listening for SIGHUP")?;
    let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
    loop {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => return Ok(()),
            _ = terminate.recv() => return Ok(()),
            _ = hang_up.recv() => reload(node, tables).await,
        }
    }
}

/// Builds the set aside, checks it, and puts it in force; a bad one changes nothing.
async fn reload(node: &Node, tables: Option<&Path>) {
    let (path, core, store) = (tables.map(Path::to_owned), Arc::clone(node.core()), Arc::clone(node.store()));
    let published = tokio::task::spawn_blocking(move || -> Result<_> {
        let Loaded { tables, bytes } = load_or_shipped(path.as_deref())?;
        let version = tables.version;
        let number = core.publish(&*store, tables, &bytes, Name::new("sighup").unwrap_or_default())?;
        Ok((version, number))
    })
    .await;
    match published {
        Ok(Ok((version, snapshot))) => tracing::info!(%version, snapshot, "new tables are in force"),
        Ok(Err(error)) => tracing::error!("the tables are refused, the old ones keep serving: {error:#}"),
        Err(error) => tracing::error!(%error, "reading the tables failed, the old ones keep serving"),
    }
}
