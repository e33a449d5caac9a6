//! `najda config check`, and the file that `najda serve --config` reads.
//!
//! Paths in the file are meant from the file's own folder. What a flag says wins over the file; what neither says is the default.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde::Deserialize;

use crate::client::Identity;
use crate::edge::console::web::Tiles;
use crate::edge::ingress::sip::{ReferenceConfig, SipListen, SipPeer};
use crate::edge::notify::{Carrier, FileCarrier, Form, HttpCarrier};
use crate::edge::placement;
use crate::edge::tables::load_or_shipped;
use crate::edge::tokens::{TOKENS_FILE, Tokens};
use crate::limits::{JOURNAL_WAIT_MICROS_MAX, REFERENCE_HOSTS_MAX, SIP_PEERS_MAX};

/// Check configurations.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    Check(CheckArgs),
}

/// Check the configuration of an engine without starting it.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  najda config check /etc/najda/najda.toml && systemctl restart najda

A configuration, every line of which may be left out:
  listen = \"0.0.0.0:9990\"                # UDP, gateways and consoles
  http = \"0.0.0.0:9991\"                  # TCP, apps, ops and metrics; off when left out
  console = \"0.0.0.0:9992\"               # TCP, the web console; off when left out
  console_plain = false                  # true: without TLS, on loopback only
  console_tiles = \"https://tiles.example/{z}/{x}/{y}.png\"  # under the map; its own borders alone when left out
  console_tiles_words = \"(c) the survey\" # said on the map
  feed = \"0.0.0.0:9993\"                  # TCP, incidents for other systems; off when left out
  certs = \"certs\"                        # from this file's folder
  state = \"/var/lib/najda\"
  tables = \"uae.tables\"                  # the shipped set when left out
  journal_wait_micros_max = 100000       # then a gateway hears Overdue
  keep_days = 400                        # of the journal; for ever when left out
  name = \"router.najda.example\"          # who we are in SIP and LoST answers; a host name
  [messages]                             # to callers, when their dispatcher releases them; none when left out
  webhook = \"https://crm.example/najda\" # JSON; or `sms`: a form, as SMS gateways take it; or `file`: one JSON line each
  token_file = \"messages.token\"       # shown as a bearer token; none when left out
  key_file = \"messages.key\"           # signs a webhook's body; unsigned when left out
  ca = \"messages-ca.pem\"              # who vouches for it; ca.pem of `certs` when left out
  number_field = \"to\"                 # of the form of `sms`
  text_field = \"text\"
  more = { from = \"NAJDA\" }           # further fields of it
  rating_url = \"https://rate.example/r/\" # leads to /r/ of the HTTP door; nobody is asked how it was when left out
  [sip]                                  # telephony gateways; off when left out
  listen = [\"0.0.0.0:5060\", \"tls:0.0.0.0:5061\"]   # UDP and TCP where no transport is named
  test_uri = \"sip:echo@test.example\"    # where urn:service:test.sos goes; 404 when left out
  workers = 4                            # for datagrams; one for each core when left out
  location_hosts = [\"ls.example\", \"10.1.0.9:8443\"]   # asked, by HTTPS, for places that a call only names; nobody when left out
  location_ca = \"location-ca.pem\"      # who vouches for them; ca.pem of `certs` when left out
  [[sip.peers]]                          # gateways by address, as trunks.csv names them
  from = \"10.1.0.0/16\"
  trunk = \"mobile-1\"
  answer = 302                           # 300 for an IMS location retrieval function
  test = false                           # true: all it brings is a test
  [threads]
  workers = 4                            # of the doors; one for each core when left out
  blocking_max = 16                      # for reading tables
  name = \"najda-doors\"
  doors_cores = [0, 1]                   # where threads may run; anywhere when left out
  engine_cores = [2]                     # then only there; doors lend a hand otherwise
  journal_cores = [3]

Ends with 0 when an engine can start with it, with 1 when not.")]
pub struct CheckArgs {
    file: PathBuf,
}

/// # Errors
/// The file cannot be read.
pub fn run(command: &ConfigCommand) -> Result<ExitCode> {
    let ConfigCommand::Check(args) = command;
    let text = std::fs::read_to_string(&args.file).with_context(|| format!("reading {}", args.file.display()))?;
    let defects = match FileConfig::parse(&text, folder_of(&args.file)) {
        Ok(config) => config.defects(&text),
        Err(defect) => vec![defect],
    };
    for defect in &defects {
        println!("{}", defect.line(&args.file));
    }
    if defects.is_empty() {
        println!("{}: an engine can start with it", args.file.display());
        return Ok(ExitCode::SUCCESS);
    }
    Ok(ExitCode::FAILURE)
}

/// What is wrong, where, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigDefect {
    /// Counting from 1; 0 when it is about something that is not there.
    pub row: usize,
    pub what: String,
    pub remedy: String,
}

impl ConfigDefect {
    fn line(&self, file: &Path) -> String {
        let mut text = file.display().to_string();
        if self.row > 0 {
            let _ = write!(text, ":{}", self.row);
        }
        let _ = write!(text, ": {}\n    -> {}", self.what, self.remedy);
        text
    }
}

/// The file.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct FileConfig {
    pub listen: Option<SocketAddr>,
    pub http: Option<SocketAddr>,
    pub console: Option<SocketAddr>,
    #[serde(default)]
    pub console_plain: bool,
    /// Map pictures for the web console, and whose they are.
    pub console_tiles: Option<String>,
    pub console_tiles_words: Option<String>,
    pub feed: Option<SocketAddr>,
    pub certs: Option<PathBuf>,
    pub state: Option<PathBuf>,
    pub tables: Option<PathBuf>,
    pub journal_wait_micros_max: Option<u64>,
    pub keep_days: Option<u32>,
    /// Who we are in answers to gateways and to clients of LoST.
    pub name: Option<String>,
    #[serde(default)]
    pub messages: Messages,
    #[serde(default)]
    pub sip: Sip,
    #[serde(default)]
    pub threads: Threads,
}

/// Messages to callers.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Messages {
    pub webhook: Option<String>,
    pub sms: Option<String>,
    pub file: Option<PathBuf>,
    pub token_file: Option<PathBuf>,
    pub key_file: Option<PathBuf>,
    pub ca: Option<PathBuf>,
    pub number_field: Option<String>,
    pub text_field: Option<String>,
    #[serde(default)]
    pub more: BTreeMap<String, String>,
    pub rating_url: Option<String>,
}

impl Messages {
    /// Whatever carries them; `None` when nothing is configured. `authority` vouches for a gateway where no other is named.
    ///
    /// # Errors
    /// The key at fault, and what is wrong with it.
    pub fn carrier(&self, authority: &[CertificateDer<'static>]) -> Result<Option<Carrier>, (&'static str, String)> {
        let read = |key, file: &Path| {
            let text = std::fs::read_to_string(file).map_err(|why| (key, format!("{}: {why}", file.display())))?;
            Ok(text.trim().to_owned())
        };
        self.one_way()?;
        if let Some(file) = &self.file {
            return FileCarrier::open(file.clone()).map(Carrier::File).map(Some).map_err(|why| ("file", why.to_string()));
        }
        let token = self.token_file.as_deref().map(|file| read("token_file", file)).transpose()?;
        let named = match &self.ca {
            Some(file) => Some(authority_of(file).map_err(|why| ("ca", format!("{}: {why}", file.display())))?),
            None => None,
        };
        let authority = named.as_deref().unwrap_or(authority);
        let (key, url, form) = if let Some(url) = &self.webhook {
            let key = self.key_file.as_deref().map(|file| read("key_file", file)).transpose()?;
            ("webhook", url, Form::Webhook { key: key.map(String::into_bytes) })
        } else if let Some(url) = &self.sms {
            let field = |name: &Option<String>, usual: &str| name.clone().unwrap_or_else(|| usual.to_owned());
            let (number_field, text_field) = (field(&self.number_field, "to"), field(&self.text_field, "text"));
            ("sms", url, Form::Sms { number_field, text_field, more: self.more.clone().into_iter().collect() })
        } else {
            return Ok(None);
        };
        let carrier = HttpCarrier::new(url, authority, token.as_deref(), form).map_err(|why| (key, why.to_string()))?;
        Ok(Some(Carrier::Http(carrier)))
    }

    fn defects(&self, text: &str) -> Vec<ConfigDefect> {
        let mut defects = Vec::new();
        let mut defect = |key: &str, what: String, remedy: &str| {
            defects.push(ConfigDefect { row: row_of(text, key), what, remedy: remedy.to_owned() });
        };
        // A file is opened when the engine starts; looking whether one could be leaves none behind.
        let looked_at = Self { file: None, ..self.clone() };
        if let Err((key, why)) = self.one_way().and_then(|()| looked_at.carrier(&[]).map(drop)) {
            defect(key, why, "`najda config check --help` shows how it is written");
        }
        if let Some(url) = self.rating_url.as_ref().filter(|url| !url.starts_with("https://") || !url.ends_with('/')) {
            defect("rating_url", format!("{url:?} cannot stand before a link's token"), "write https://HOST/r/ with the slash at its end");
        }
        defects
    }

    fn one_way(&self) -> Result<(), (&'static str, String)> {
        match (&self.webhook, &self.sms, &self.file) {
            (Some(_), Some(_), _) => Err(("sms", "messages go one way: `webhook`, `sms` or `file`".into())),
            (Some(_), _, Some(_)) | (_, Some(_), Some(_)) => Err(("file", "messages go one way: `webhook`, `sms` or `file`".into())),
            _ => Ok(()),
        }
    }
}

/// The door of telephony gateways.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Sip {
    #[serde(default)]
    pub listen: Vec<String>,
    pub test_uri: Option<String>,
    pub workers: Option<usize>,
    /// Servers that are asked for places by reference.
    #[serde(default)]
    pub location_hosts: Vec<String>,
    pub location_ca: Option<PathBuf>,
    #[serde(default)]
    pub peers: Vec<Peer>,
}

/// A gateway known by its address.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Peer {
    pub from: String,
    pub trunk: String,
    /// 302, or 300 for a location retrieval function.
    pub answer: Option<u16>,
    #[serde(default)]
    pub test: bool,
}

impl Sip {
    /// # Errors
    /// The first address that is none.
    pub fn addresses(&self) -> Result<Vec<SipListen>, String> {
        self.listen.iter().map(|text| text.parse()).collect()
    }

    /// # Errors
    /// The first row that names no gateway: what it says, and what is wrong with it.
    pub fn gateways(&self) -> Result<Vec<SipPeer>, (String, String)> {
        let read = |row: &Peer| {
            let defect = |why: String| (row.from.clone(), why);
            let lrf = match row.answer {
                None | Some(302) => false,
                Some(300) => true,
                Some(other) => return Err(defect(format!("`answer` is {other}: 302, or 300 for a location retrieval function"))),
            };
            SipPeer::new(&row.from, &row.trunk, lrf, row.test).map_err(|error| defect(error.to_string()))
        };
        self.peers.iter().map(read).collect()
    }

    /// Which location servers may be asked, and who vouches for them.
    ///
    /// # Errors
    /// The authority's certificates cannot be read.
    pub fn references(&self) -> Result<ReferenceConfig, String> {
        let authority = match &self.location_ca {
            Some(file) => authority_of(file).map_err(|why| format!("{}: {why}", file.display()))?,
            None => Vec::new(),
        };
        let hosts = self.location_hosts.iter().map(|host| host.as_str().into()).collect();
        Ok(ReferenceConfig { hosts, authority, ..ReferenceConfig::default() })
    }

    fn defects(&self, text: &str) -> Vec<ConfigDefect> {
        let mut defects = Vec::new();
        let mut defect = |row: usize, what: String, remedy: &str| defects.push(ConfigDefect { row, what, remedy: remedy.to_owned() });
        if let Err(why) = self.addresses() {
            defect(row_of(text, "listen"), why, "leave `listen` out to keep the SIP door shut");
        }
        if let Err((from, why)) = self.gateways() {
            let quoted = format!("\"{from}\"");
            let row = text.lines().position(|line| line.contains(&quoted)).map_or(0, |index| index + 1);
            defect(row, why, "correct the row or take it out: whoever is not listed is answered all the same, without a trunk");
        }
        if self.peers.len() > SIP_PEERS_MAX {
            defect(
                0,
                format!("{} rows of [[sip.peers]]; {SIP_PEERS_MAX} is the most", self.peers.len()),
                "name networks instead of addresses",
            );
        }
        if let Some(host) = self.location_hosts.iter().find(|host| !is_location_host(host)) {
            defect(row_of(text, "location_hosts"), format!("{host:?} is no host"), "write HOST or HOST:PORT, as \"ls.example:8443\"");
        }
        if self.location_hosts.len() > REFERENCE_HOSTS_MAX {
            let what = format!("{} location servers; {REFERENCE_HOSTS_MAX} is the most", self.location_hosts.len());
            defect(row_of(text, "location_hosts"), what, "list those that gateways name");
        }
        if let Err(why) = self.references() {
            defect(row_of(text, "location_ca"), why, "name a file of PEM certificates, or leave it out");
        }
        let fit = |uri: &String| {
            ["sip:", "sips:", "tel:"].iter().any(|scheme| uri.starts_with(scheme))
                && uri.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'>')
        };
        if let Some(uri) = self.test_uri.as_ref().filter(|uri| !fit(uri)) {
            defect(row_of(text, "test_uri"), format!("{uri:?} is no address of a test service"), "write it as sip:echo@test.example");
        }
        if let Some(count) = self.workers.filter(|count| !THREADS.contains(count)) {
            let what = format!("`sip.workers` is {count}: {} to {}", THREADS.start(), THREADS.end());
            defect(row_of(text, "workers"), what, "leave it out for the number of cores");
        }
        defects
    }
}

/// The certificates of an authority, as PEM.
fn authority_of(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let pem = std::fs::read(file).map_err(|why| why.to_string())?;
    let found = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>().map_err(|why| why.to_string())?;
    if found.is_empty() { Err("no certificate in it".to_owned()) } else { Ok(found) }
}

/// `HOST`, `HOST:PORT`, `[IPv6]` or `[IPv6]:PORT`.
fn is_location_host(row: &str) -> bool {
    let (host, port) = match row.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, rest)) => (host, rest),
        None => row.split_at(row.find(':').unwrap_or(row.len())),
    };
    let fine = host.parse::<std::net::Ipv6Addr>().is_ok() || is_host_name(host);
    fine && (port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok_and(|port| port != 0)))
}

/// Letters, digits, dots and hyphens: it stands in headers and in XML.
pub(super) fn is_host_name(name: &str) -> bool {
    (1..=253).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte))
}

/// The threads of the doors. The engine, its journal and its reclaimer have one thread each.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Threads {
    pub workers: Option<usize>,
    pub blocking_max: Option<usize>,
    pub name: Option<String>,
    /// Cores by number, from 0.
    #[serde(default)]
    pub doors_cores: Vec<usize>,
    #[serde(default)]
    pub engine_cores: Vec<usize>,
    #[serde(default)]
    pub journal_cores: Vec<usize>,
}

/// An engine without a second of patience or with an hour's is a slip of the pen.
const JOURNAL_WAIT_MICROS: std::ops::RangeInclusive<u64> = 1_000..=10 * 1_000_000;
const THREADS: std::ops::RangeInclusive<usize> = 1..=1_024;
/// What Linux shows of a thread's name, less the number.
const THREAD_NAME_BYTES_MAX: usize = 15;

impl FileConfig {
    /// Reads a file, for `serve`.
    ///
    /// # Errors
    /// It cannot be read, or the first defect of it.
    pub fn read(file: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
        match Self::parse(&text, folder_of(file)).and_then(|config| config.ranges(&text).into_iter().next().map_or(Ok(config), Err)) {
            Ok(config) => Ok(config),
            Err(defect) => bail!("{}", defect.line(file)),
        }
    }

    /// Reads a text whose paths are meant from `folder`.
    ///
    /// # Errors
    /// Where it is no TOML, or says something that nobody asks for.
    pub fn parse(text: &str, folder: &Path) -> Result<Self, ConfigDefect> {
        let mut config: Self = toml::from_str(text).map_err(|error| defect_of(&error, text))?;
        let Messages { file, token_file, key_file, ca, .. } = &mut config.messages;
        let paths = [&mut config.certs, &mut config.state, &mut config.tables, &mut config.sip.location_ca, file, token_file, key_file, ca];
        for path in paths.into_iter().flatten() {
            *path = folder.join(&*path);
        }
        Ok(config)
    }

    /// The server of map pictures, when one is named.
    ///
    /// # Errors
    /// What is wrong with its address.
    pub fn tiles(&self) -> Result<Option<Tiles>, String> {
        let words = self.console_tiles_words.as_deref().unwrap_or_default();
        self.console_tiles.as_deref().map(|url| Tiles::new(url, words)).transpose()
    }

    /// What keeps an engine from starting with it.
    fn defects(&self, text: &str) -> Vec<ConfigDefect> {
        let mut defects = self.ranges(text);
        let mut defect = |key: &str, what: String, remedy: String| defects.push(ConfigDefect { row: row_of(text, key), what, remedy });
        let certs = self.certs.clone().unwrap_or_else(|| PathBuf::from(super::serve::CERTS));
        if let Err(error) = Identity::from_folder(&certs, "server") {
            defect(
                "certs",
                error.to_string(),
                format!("put ca.pem, server.pem and server.key into {}, or name their folder", certs.display()),
            );
        } else if let Err(error) = Tokens::read(&certs.join(TOKENS_FILE)) {
            defect("certs", error.to_string(), "mend the row or take it out".into());
        }
        if let Err(error) = load_or_shipped(self.tables.as_deref()) {
            defect("tables", error.to_string(), "`najda tables check` names every defect with its remedy".into());
        }
        let state = self.state.clone().unwrap_or_else(|| PathBuf::from(super::serve::STATE));
        let nearest = state.ancestors().find(|folder| folder.exists());
        if !nearest.is_some_and(Path::is_dir) && nearest.is_some() {
            defect("state", format!("{} is no folder", state.display()), "name a folder for the engine's state".into());
        }
        defects
    }

    /// Values that no engine could want.
    fn ranges(&self, text: &str) -> Vec<ConfigDefect> {
        let mut defects = Vec::new();
        let mut defect = |key: &str, what: String, remedy: String| defects.push(ConfigDefect { row: row_of(text, key), what, remedy });
        if let Some(micros) = self.journal_wait_micros_max.filter(|micros| !JOURNAL_WAIT_MICROS.contains(micros)) {
            let (least, most) = (JOURNAL_WAIT_MICROS.start(), JOURNAL_WAIT_MICROS.end());
            let what = format!("`journal_wait_micros_max` is {micros}: microseconds, {least} to {most}");
            defect("journal_wait_micros_max", what, format!("leave it out for {JOURNAL_WAIT_MICROS_MAX}"));
        }
        if let Some(name) = self.name.as_ref().filter(|name| !is_host_name(name)) {
            defect("name", format!("{name:?} is no host name"), "write letters, digits, dots and hyphens".into());
        }
        if self.keep_days == Some(0) {
            defect("keep_days", "`keep_days` is 0: nothing would be kept but today".into(), "leave it out to keep everything".into());
        }
        for (key, count) in [("workers", self.threads.workers), ("blocking_max", self.threads.blocking_max)] {
            if let Some(count) = count.filter(|count| !THREADS.contains(count)) {
                let what = format!("`threads.{key}` is {count}: {} to {}", THREADS.start(), THREADS.end());
                defect(key, what, "leave it out for the number of cores".into());
            }
        }
        let here = placement::cores();
        let threads = &self.threads;
        for (key, cores) in
            [("doors_cores", &threads.doors_cores), ("engine_cores", &threads.engine_cores), ("journal_cores", &threads.journal_cores)]
        {
            if let Some(core) = cores.iter().find(|core| !here.contains(core)) {
                let what = format!("`threads.{key}` names core {core}, which is not among those of this process: {here:?}");
                defect(key, what, "name cores of this machine, or leave it out".into());
            }
        }
        let bad =
            |name: &&String| name.is_empty() || name.len() > THREAD_NAME_BYTES_MAX || !name.bytes().all(|byte| byte.is_ascii_graphic());
        if let Some(name) = self.threads.name.as_ref().filter(bad) {
            let what = format!("`threads.name` is {name:?}: 1 to {THREAD_NAME_BYTES_MAX} visible ASCII characters");
            defect("name", what, "choose a short name that a process list can show".into());
        }
        if let Err(why) = self.tiles() {
            let row = row_of(text, "console_tiles");
            defects.push(ConfigDefect { row, what: why, remedy: "leave it out to draw the tables' own borders alone".into() });
        }
        defects.extend(self.messages.defects(text));
        defects.extend(self.sip.defects(text));
        defects
    }
}

fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn defect_of(error: &toml::de::Error, text: &str) -> ConfigDefect {
    let row = error.span().map_or(0, |span| text.get(..span.start).map_or(0, |before| before.matches('\n').count() + 1));
    let what = error.message().to_owned();
    let remedy = if what.starts_with("unknown field") {
        "correct the name or take the line out; `najda config check --help` shows every name"
    } else if what.contains("socket address") {
        "write HOST:PORT with an address in digits, as \"0.0.0.0:9990\""
    } else {
        "`najda config check --help` shows how it is written"
    };
    ConfigDefect { row, what, remedy: remedy.to_owned() }
}

/// The line that sets a key; 0 when none does.
fn row_of(text: &str, key: &str) -> usize {
    let sets = |line: &str| line.trim_start().strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with('='));
    text.lines().position(sets).map_or(0, |index| index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<FileConfig, ConfigDefect> {
        FileConfig::parse(text, Path::new("/etc/najda"))
    }

    #[test]
    fn every_key_is_read_and_paths_are_from_the_files_folder() {
        let config = parse(
            "listen = \"0.0.0.0:9990\"\nhttp = \"[::1]:9991\"\ncerts = \"certs\"\nstate = \"/var/lib/najda\"\ntables = \"uae.tables\"
             journal_wait_micros_max = 50000\nfeed = \"127.0.0.1:9993\"\n[threads]\nworkers = 4\nblocking_max = 8\nname = \"doors\"
             doors_cores = [0, 1]\nengine_cores = [2]\njournal_cores = [3]",
        )
        .unwrap();
        assert_eq!(config.certs.as_deref(), Some(Path::new("/etc/najda/certs")));
        assert_eq!(config.state.as_deref(), Some(Path::new("/var/lib/najda")));
        assert_eq!(config.tables.as_deref(), Some(Path::new("/etc/najda/uae.tables")));
        assert_eq!((config.threads.workers, config.threads.blocking_max), (Some(4), Some(8)));
        assert_eq!(config.feed, Some(SocketAddr::from(([127, 0, 0, 1], 9_993))));
        assert_eq!((config.threads.doors_cores, config.threads.engine_cores, config.threads.journal_cores), (vec![0, 1], vec![2], vec![3]));
        assert_eq!(parse(""), Ok(FileConfig::default()));
    }

    #[test]
    fn a_defect_names_its_line_and_a_remedy() {
        for (text, row, says) in [
            ("listen = \"0.0.0.0:1\"\nlissten = \"x\"", 2, "unknown field `lissten`"),
            ("\n\nlisten = \"everywhere\"", 3, "socket address"),
            ("workers = 4", 1, "unknown field `workers`"),
            ("[threads]\nworkers = \"many\"", 2, "expected"),
            ("a = = 1", 1, ""),
        ] {
            let defect = parse(text).unwrap_err();
            assert_eq!(defect.row, row, "{defect:?}");
            assert!(defect.what.contains(says) && !defect.remedy.is_empty(), "{defect:?}");
        }
    }

    #[test]
    fn the_sip_door_is_described_with_its_peers() {
        let text = "name = \"r.example\"\n[sip]\nlisten = [\"127.0.0.1:5060\", \"tls:127.0.0.1:5061\"]\ntest_uri = \"sip:echo@t.example\"\n\
            [[sip.peers]]\nfrom = \"10.1.0.0/16\"\ntrunk = \"mobile-1\"\n\
            [[sip.peers]]\nfrom = \"10.2.0.1\"\ntrunk = \"lrf\"\nanswer = 300\ntest = true";
        let config = parse(text).unwrap();
        assert_eq!(config.ranges(text), []);
        assert_eq!(config.sip.addresses().unwrap().len(), 2);
        let rows: Vec<_> = config.sip.gateways().unwrap().iter().map(|row| (row.trunk.to_string(), row.lrf, row.load_test)).collect();
        assert_eq!(rows, [("mobile-1".into(), false, false), ("lrf".into(), true, true)]);
        assert_eq!(parse("[sip]\nlocation_ca = \"ls.pem\"").unwrap().sip.location_ca.as_deref(), Some(Path::new("/etc/najda/ls.pem")));
        for (row, is_host) in
            [("ls.example", true), ("10.1.0.9:8443", true), ("[::1]:443", true), ("a b", false), ("h:0", false), ("https://h", false)]
        {
            let text = format!("[sip]\nlocation_hosts = [\"{row}\"]");
            assert_eq!(parse(&text).unwrap().ranges(&text).is_empty(), is_host, "{row}");
        }
        for (bad, row) in [("tls:127.0.0.1:5061", 3), ("sip:echo@t.example", 4), ("10.2.0.1", 9), ("r.example", 1)] {
            let text = text.replace(bad, "b<d");
            assert_eq!(parse(&text).unwrap().ranges(&text).iter().map(|defect| defect.row).collect::<Vec<_>>(), [row], "{bad}");
        }
    }

    #[test]
    fn messages_go_one_way_and_every_slip_is_told_on_its_line() {
        let rows = |text: &str| -> Vec<usize> { parse(text).unwrap().ranges(text).iter().map(|defect| defect.row).collect() };
        let fine = "[messages]\nsms = \"https://sms.example/send\"\nmore = { from = \"NAJDA\" }\nrating_url = \"https://r.example/r/\"";
        assert_eq!(rows(fine), [0; 0]);
        assert_eq!(rows("[messages]\nwebhook = \"https://a.example\"\nfile = \"out.jsonl\""), [3]);
        assert_eq!(rows("[messages]\nwebhook = \"http://a.example/\""), [2]);
        assert_eq!(rows("[messages]\nwebhook = \"https://a.example/\"\nkey_file = \"is-not-there\""), [3]);
        assert_eq!(rows("[messages]\nrating_url = \"https://r.example/r\""), [2]);
        assert_eq!(rows("console_tiles = \"https://t.example/{z}/{x}.png\""), [1]);
        let config = parse("[messages]\nfile = \"out.jsonl\"\nca = \"m.pem\"").unwrap();
        assert_eq!(
            (config.messages.file.as_deref(), config.messages.ca.as_deref()),
            (Some(Path::new("/etc/najda/out.jsonl")), Some(Path::new("/etc/najda/m.pem")))
        );
    }

    #[test]
    fn a_value_that_no_engine_could_want_is_a_defect_on_its_line() {
        let text = "journal_wait_micros_max = 5\n[threads]\nworkers = 0\nname = \"a name that is too long\"\nengine_cores = [5000]";
        let rows: Vec<usize> = parse(text).unwrap().ranges(text).iter().map(|defect| defect.row).collect();
        assert_eq!(rows, [1, 3, 5, 4]);
    }
}
