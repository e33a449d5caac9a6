//! `najda serve`: the engine.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use clap::Args;
use tracing_subscriber::EnvFilter;

use super::config::{FileConfig, Messages, Threads, is_host_name};
use crate::client::transport::Identity;
use crate::edge::console::web::{Tiles, WebConfig, WebDoor};
use crate::edge::feed::{FeedConfig, FeedDoor};
use crate::edge::ingress::http::{HttpConfig, HttpDoor};
use crate::edge::ingress::sip::{NAME_DEFAULT, ReferenceConfig, SipConfig, SipDoor, SipListen, SipPeer};
use crate::edge::notify::Courier;
use crate::edge::placement;
use crate::edge::run::{Node, NodeConfig, OpenStore, Tuning, prepare_state_folder};
use crate::edge::store::embedded;
use crate::edge::tables::{Loaded, load_or_shipped};
use crate::edge::tokens::TOKENS_FILE;
use crate::engine;
use crate::journal::projection::change_of;
use crate::limits::JOURNAL_WAIT_MICROS_MAX;
use crate::units::Name;
use crate::wire::frame::decode_fact;

/// Run the engine: doors for gateways and consoles, journal, tables.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  najda certs dev --dir certs && najda serve --certs certs --state state
  najda serve --listen 0.0.0.0:9990 --certs /etc/najda/certs --state /var/lib/najda --tables /etc/najda/tables
  najda serve --config /etc/najda/najda.toml --http 0.0.0.0:9991
  najda serve --sip 127.0.0.1:5060 --sip tls:127.0.0.1:5061
  najda serve --console 127.0.0.1:9992 --console-plain, then: najda console invite DU-POL/1
  najda serve --feed 127.0.0.1:9993, then: curl --cacert certs/ca.pem https://localhost:9993/feed/openapi.json

Telephony gateways send INVITE to the SIP door and hear 302 with every dispatcher in order. Which gateways are known by address, and
which want 300, is said in the file; whoever is not listed is answered too.

When the doors are open one line `ready quic=ADDR ...` is printed. SIGHUP reads tables and tokens again: a set with defects is \
refused and the old one keeps serving. SIGTERM and Ctrl-C drain: clients are told to come back, the journal is written, then it ends.
RUST_LOG=najda=debug shows more.")]
pub struct ServeArgs {
    /// A file of these settings; flags win over it. `najda config check` explains it.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// UDP address of gateways and consoles [default: 127.0.0.1:9990].
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// TCP address of apps, ops and metrics (HTTP over TLS); without it that door stays shut.
    #[arg(long, value_name = "ADDR")]
    http: Option<SocketAddr>,
    /// TCP address of the web console (HTTPS); without it that door stays shut. `najda console invite` opens it for a seat.
    #[arg(long, value_name = "ADDR")]
    console: Option<SocketAddr>,
    /// The web console without TLS, on this machine's own address only: for a trial, or behind a proxy that ends TLS.
    #[arg(long)]
    console_plain: bool,
    /// Writes messages to callers into this file, one JSON line each; webhook and SMS gateway are named in the configuration.
    #[arg(long, value_name = "FILE")]
    messages: Option<PathBuf>,
    /// What stands before the token of a link by which help is rated: an address that leads to /r/ of the HTTP door.
    #[arg(long, value_name = "URL")]
    rating_url: Option<String>,
    /// TCP address of the feed for other systems (HTTPS and WebSocket); without it that door stays shut.
    #[arg(long, value_name = "ADDR")]
    feed: Option<SocketAddr>,
    /// Address of telephony gateways, as often as needed: HOST:PORT for UDP and TCP, or udp:, tcp: or tls: before it; without it that
    /// door stays shut.
    #[arg(long, value_name = "[udp:|tcp:|tls:]ADDR")]
    sip: Vec<SipListen>,
    /// Who we are in SIP and LoST answers, a host name [default: najda.internal].
    #[arg(long, value_name = "NAME", value_parser = host_name)]
    name: Option<String>,
    /// Folder with ca.pem, server.pem and server.key, and tokens.toml of the HTTP door [default: certs].
    #[arg(long, value_name = "DIR")]
    certs: Option<PathBuf>,
    /// Folder of the journal [default: state].
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Folder or compiled file of a table set; the shipped set when left out.
    #[arg(long, value_name = "DIR|FILE")]
    tables: Option<PathBuf>,
    /// Worker threads of the doors; the number of cores when left out.
    #[arg(long, value_name = "N")]
    workers: Option<usize>,
    /// After this long without the journal a gateway hears Overdue.
    #[arg(long, value_name = "MICROS", value_parser = clap::value_parser!(u64).range(1_000..=10_000_000))]
    journal_wait_micros_max: Option<u64>,
    /// Days that journal entries are kept; for ever when left out. Older files go when nothing alive needs them.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    keep_days: Option<u32>,
}

pub(super) const CERTS: &str = "certs";
pub(super) const STATE: &str = "state";
const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9_990);

fn host_name(text: &str) -> Result<String, String> {
    if is_host_name(text) { Ok(text.to_owned()) } else { Err("letters, digits, dots and hyphens".into()) }
}

struct Sip {
    listen: Vec<SipListen>,
    name: String,
    peers: Vec<SipPeer>,
    test_uri: Option<String>,
    references: ReferenceConfig,
    workers: Option<usize>,
}

/// What an engine is run with: flags, then the file, then the defaults.
struct Settings {
    listen: SocketAddr,
    http: Option<SocketAddr>,
    console: Option<SocketAddr>,
    console_plain: bool,
    tiles: Option<Tiles>,
    messages: Messages,
    feed: Option<SocketAddr>,
    sip: Sip,
    certs: PathBuf,
    state: PathBuf,
    tables: Option<PathBuf>,
    engine: engine::Config,
    tuning: Tuning,
    threads: Threads,
}

impl Settings {
    fn of(args: &ServeArgs) -> Result<Self> {
        let file = args.config.as_deref().map(FileConfig::read).transpose()?.unwrap_or_default();
        let wait = args.journal_wait_micros_max.or(file.journal_wait_micros_max);
        let engine = engine::Config { journal_wait_micros_max: wait.unwrap_or(JOURNAL_WAIT_MICROS_MAX), ..engine::Config::default() };
        let peers = file.sip.gateways().map_err(|(from, why)| anyhow!("the row of [[sip.peers]] with {from:?}: {why}"))?;
        let references = file.sip.references().map_err(|why| anyhow!("`location_ca`: {why}"))?;
        let listen = if args.sip.is_empty() { file.sip.addresses().map_err(|why| anyhow!(why))? } else { args.sip.clone() };
        let name = args.name.clone().or_else(|| file.name.clone()).unwrap_or_else(|| NAME_DEFAULT.to_owned());
        let tiles = file.tiles().map_err(|why| anyhow!("`console_tiles`: {why}"))?;
        let messages = args.messages.as_ref().map(|path| Messages { file: Some(path.clone()), ..Messages::default() });
        let messages = messages.unwrap_or_else(|| file.messages.clone());
        Ok(Self {
            sip: Sip { listen, name, peers, references, test_uri: file.sip.test_uri, workers: file.sip.workers },
            listen: args.listen.or(file.listen).unwrap_or(LISTEN),
            http: args.http.or(file.http),
            console: args.console.or(file.console),
            console_plain: args.console_plain || file.console_plain,
            tiles,
            messages: Messages { rating_url: args.rating_url.clone().or_else(|| file.messages.rating_url.clone()), ..messages },
            feed: args.feed.or(file.feed),
            certs: args.certs.clone().or(file.certs).unwrap_or_else(|| CERTS.into()),
            state: args.state.clone().or(file.state).unwrap_or_else(|| STATE.into()),
            tables: args.tables.clone().or(file.tables),
            engine,
            tuning: Tuning { keep_days: args.keep_days.or(file.keep_days), ..Tuning::default() },
            threads: Threads { workers: args.workers.or(file.threads.workers), ..file.threads },
        })
    }
}

/// Runs until it is told to stop.
///
/// # Errors
/// What keeps it from starting, with the remedy.
pub fn run(args: &ServeArgs) -> Result<ExitCode> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("najda=info,warn"));
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
    let settings = Settings::of(args)?;
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let doors = settings.threads.doors_cores.clone();
    runtime.on_thread_start(move || placement::place(&doors));
    runtime.thread_name(settings.threads.name.as_deref().unwrap_or("najda-doors"));
    if let Some(workers) = settings.threads.workers {
        runtime.worker_threads(workers.max(1));
    }
    if let Some(blocking) = settings.threads.blocking_max {
        runtime.max_blocking_threads(blocking.max(1));
    }
    runtime.enable_all().build().context("starting the runtime")?.block_on(serve(settings))
}

async fn serve(settings: Settings) -> Result<ExitCode> {
    let Settings { listen, http, console, console_plain, feed, tiles, messages, sip, certs, state, tables, engine, tuning, threads } =
        settings;
    prepare_state_folder(&state)?;
    let identity = Identity::from_folder(&certs, "server")
        .with_context(|| format!("reading the engine's certificate; `najda certs dev --dir {}` makes one", certs.display()))?;
    let loaded = load_or_shipped(tables.as_deref())?;
    let journal_wait = Duration::from_micros(engine.journal_wait_micros_max);
    let engine_cores = threads.engine_cores;
    let config = NodeConfig { listen, state_folder: state.clone(), identity: identity.clone(), engine, engine_cores };
    let (open, journal_cores) = (open_embedded(&state), threads.journal_cores);
    let open: OpenStore = Box::new(move |listener| placement::started_on(&journal_cores, || open(listener)));
    let node = Node::start_with(config, loaded.tables, &loaded.bytes, open, tuning)?;
    let carrier = messages.carrier(&identity.authority).map_err(|(key, why)| anyhow!("`messages.{key}`: {why}"))?;
    let courier = carrier.map(|carrier| Courier::start(carrier, messages.rating_url, &state, &node)).transpose()?;
    let name: Box<str> = sip.name.as_str().into();
    let sip = open_sip(sip, &identity, &state, journal_wait, &node).await?;
    let web = match console {
        Some(listen) => {
            let identity = (!console_plain).then(|| identity.clone());
            let config = WebConfig { tiles, ..WebConfig::new(listen, identity, state.clone()) };
            Some(WebDoor::start(config, &node).await?)
        }
        None => None,
    };
    let feed = match feed {
        Some(listen) => {
            let config = FeedConfig { name: name.clone(), ..FeedConfig::new(listen, identity.clone()) };
            Some(FeedDoor::start(config, &node).await?)
        }
        None => None,
    };
    let http = match http {
        Some(listen) => {
            let config = HttpConfig::new(listen, identity, certs.join(TOKENS_FILE), state);
            Some(HttpDoor::beside(HttpConfig { name, journal_wait, ..config }, &node, sip.as_ref()).await?)
        }
        None => None,
    };
    // What was published earlier may serve instead of what was read.
    let (started, version) = (node.started(), node.core().snapshot().tables.version);
    let mut addr = http.as_ref().map_or(String::new(), |door| format!(" http={}", door.local_addr()));
    if let Some(door) = &web {
        addr.push_str(&format!(" console={}", door.local_addr()));
    }
    if let Some(door) = &feed {
        addr.push_str(&format!(" feed={}", door.local_addr()));
    }
    if let Some(door) = &sip {
        let addrs: Vec<String> = door.local_addrs().iter().map(|(transport, addr)| format!("{}:{addr}", transport.word())).collect();
        addr.push_str(&format!(" sip={}", addrs.join(",")));
    }
    println!(
        "ready quic={}{addr} tables={version} facts={} live={} read_ms={}",
        node.addr(),
        started.facts,
        started.live_contacts,
        started.read.as_millis()
    );
    until_told(&node, http.as_ref(), tables.as_deref()).await?;
    tracing::info!("draining");
    // Gateways look every few seconds or minutes: the sooner they hear of it, the more of them go elsewhere in time.
    sip.iter().for_each(SipDoor::drain);
    if let Some(door) = web {
        door.shutdown().await;
    }
    if let Some(door) = feed {
        door.shutdown().await;
    }
    // Its promises come from the engine, so this door closes first.
    if let Some(door) = http {
        door.shutdown().await;
    }
    if let Some(door) = sip {
        door.shutdown().await;
    }
    if let Some(courier) = courier {
        courier.shutdown().await;
    }
    node.shutdown().await;
    Ok(ExitCode::SUCCESS)
}

async fn open_sip(sip: Sip, identity: &Identity, state: &Path, journal_wait: Duration, node: &Node) -> Result<Option<SipDoor>> {
    let Sip { listen, name, peers, test_uri, references, workers } = sip;
    if listen.is_empty() {
        return Ok(None);
    }
    let mut config = SipConfig::new(listen, identity.clone(), state.to_owned());
    config.workers = workers.unwrap_or(config.workers);
    let config = SipConfig { name: name.into(), peers, references, test_uri: test_uri.map(Into::into), journal_wait, ..config };
    Ok(Some(SipDoor::start(config, node).await?))
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

/// Waits for a signal to stop; reads the tables and the tokens again on each SIGHUP.
async fn until_told(node: &Node, http: Option<&HttpDoor>, tables: Option<&Path>) -> Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut hang_up = signal(SignalKind::hangup()).context("listening for SIGHUP")?;
    let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
    loop {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => return Ok(()),
            _ = terminate.recv() => return Ok(()),
            _ = hang_up.recv() => {
                reload(node, tables).await;
                match http.map(HttpDoor::reload_tokens) {
                    Some(Ok(known)) => tracing::info!(known, "tokens were read again"),
                    Some(Err(error)) => tracing::error!(%error, "the tokens are refused, the old ones stay"),
                    None => {}
                }
            }
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
