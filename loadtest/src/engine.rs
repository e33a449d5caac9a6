//! The engine under load: a child process of the binary beside this one, or one that runs already.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use najda::client::LinkConfig;
use najda::deliver::Seat;
use najda::edge::certs::DevCerts;
use najda::edge::tls::Role;
use najda::units::Name;

/// How long an engine may take until its doors are open: it compiles its tables and reads its journal.
const READY_WAIT: Duration = Duration::from_secs(60);
/// How long it may take to end in good order.
const STOP_WAIT: Duration = Duration::from_secs(20);
/// Lines of an engine's log that are shown when it does not start.
const LOG_LINES_SHOWN: usize = 20;

/// A folder of one run below the system's folder for such things; gone afterwards unless it is kept.
#[derive(Debug)]
pub struct Folder {
    pub path: PathBuf,
    pub keep: bool,
}

impl Folder {
    pub fn make(kept: Option<&Path>) -> Result<Self> {
        let stamp = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
        let name = format!("najda-loadtest-{}-{stamp}", std::process::id());
        let path = kept.map_or_else(|| std::env::temp_dir().join(name), Path::to_owned);
        if kept.is_some() && path.join("state").exists() {
            bail!("{} holds the state of another run; name a new folder", path.display());
        }
        fs::create_dir_all(&path).with_context(|| format!("making {}", path.display()))?;
        Ok(Self { path, keep: kept.is_some() })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.keep {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// Where to connect and as whom.
#[derive(Clone, Debug)]
pub struct Doors {
    pub addr: SocketAddr,
    pub server_name: String,
    pub certs: DevCerts,
    pub wait: Duration,
}

impl Doors {
    pub fn gateway(&self, number: usize) -> Result<LinkConfig> {
        self.config(&gateway_role(number)?)
    }

    pub fn console(&self, seat: Seat) -> Result<LinkConfig> {
        self.config(&Role::Console { seat, load_test: true })
    }

    fn config(&self, role: &Role) -> Result<LinkConfig> {
        let identity = self.certs.identity(role).with_context(|| format!("the certificate of {role}"))?;
        Ok(LinkConfig::new(self.addr, self.server_name.clone(), identity))
    }
}

pub fn gateway_role(number: usize) -> Result<Role> {
    let trunk = Name::new(&format!("load-{number}")).context("a gateway's name")?;
    Ok(Role::Gateway { trunk, load_test: true })
}

/// Certificates for a run: of an authority of its own, or of the one in `authority`, which is copied and not touched.
pub fn certificates(folder: &Path, authority: Option<&Path>, roles: &[Role]) -> Result<DevCerts> {
    let Some(authority) = authority else { return Ok(DevCerts::make(folder, roles)?) };
    if !authority.join("ca.key").exists() {
        // No authority to sign with: the certificates must be there already.
        return Ok(DevCerts { folder: authority.to_owned() });
    }
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    for file in ["ca.pem", "ca.key"] {
        let from = authority.join(file);
        fs::copy(&from, folder.join(file)).with_context(|| format!("reading {}", from.display()))?;
    }
    Ok(DevCerts::make(folder, roles)?)
}

// --- a child process ---

/// A program of ours that says `ready quic=ADDR ...` on its first line. It dies with its handle.
#[derive(Debug)]
pub struct Process {
    child: Child,
    pub addr: SocketAddr,
    /// What else the line said.
    pub ready: String,
}

impl Process {
    /// Starts it and waits until it is ready. Blocks.
    pub fn start(command: &mut Command, log: &Path) -> Result<Self> {
        let program = command.get_program().to_owned();
        let (mut child, lines) = Self::spawn(command, log)?;
        let started =
            Self::ready(&lines, READY_WAIT).with_context(|| format!("{} did not become ready:\n{}", program.display(), tail(log)));
        match started {
            Ok((addr, ready)) => Ok(Self { child, addr, ready }),
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(error)
            }
        }
    }

    /// Starts it and kills it after so long. True when it had not become ready. Blocks.
    pub fn start_and_kill(command: &mut Command, log: &Path, within: Duration) -> Result<bool> {
        let (mut child, lines) = Self::spawn(command, log)?;
        let ready = Self::ready(&lines, within).is_ok();
        child.kill().context("killing a starting engine")?;
        child.wait().context("waiting for a killed engine")?;
        Ok(!ready)
    }

    fn spawn(command: &mut Command, log: &Path) -> Result<(Child, Receiver<String>)> {
        let append = fs::OpenOptions::new().create(true).append(true).open(log).with_context(|| format!("writing {}", log.display()))?;
        let program = command.get_program().to_owned();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(append);
        let mut child = command.spawn().with_context(|| format!("starting {}", program.display()))?;
        let lines = lines_of(&mut child)?;
        Ok((child, lines))
    }

    fn ready(lines: &Receiver<String>, within: Duration) -> Result<(SocketAddr, String)> {
        let until = Instant::now() + within;
        loop {
            let line = match lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) => line,
                Err(RecvTimeoutError::Timeout) => bail!("nothing within {within:?}"),
                Err(RecvTimeoutError::Disconnected) => bail!("it ended"),
            };
            if let Some(addr) = line.strip_prefix("ready ").and_then(|rest| field(rest, "quic")) {
                return Ok((addr.parse().with_context(|| format!("reading {line:?}"))?, line));
            }
        }
    }

    /// SIGSTOP or SIGCONT: what a machine does that has no core to give. Blocks until the signal is sent.
    pub fn freeze(&self, stop: bool) -> Result<()> {
        let signal = if stop { "-STOP" } else { "-CONT" };
        let told = Command::new("kill").arg(signal).arg(self.child.id().to_string()).status().context("running kill")?;
        if told.success() { Ok(()) } else { bail!("kill {signal} of the engine: {told}") }
    }

    /// SIGKILL, and waits until it is gone.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to end in good order, and sees to it that it does. True when it ended by itself and without an error.
    pub fn stop(&mut self) -> bool {
        let told = Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).stderr(Stdio::null()).status();
        let until = Instant::now() + STOP_WAIT;
        while told.as_ref().is_ok_and(|status| status.success()) && Instant::now() < until {
            match self.child.try_wait() {
                Ok(Some(status)) => return status.success(),
                Ok(None) => std::thread::sleep(Duration::from_millis(10)),
                Err(_) => break,
            }
        }
        self.kill();
        false
    }

    /// What it has used so far; `None` where the system does not say.
    pub fn usage(&self) -> Option<Usage> {
        Usage::of(&self.child.id().to_string())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Reads what a child says for as long as it lives, so that it never waits for us.
fn lines_of(child: &mut Child) -> Result<Receiver<String>> {
    let stdout = child.stdout.take().context("the child has no output")?;
    let (sender, lines) = sync_channel(64);
    let read = move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let _ = sender.try_send(line);
        }
    };
    std::thread::Builder::new().name("child-output".to_owned()).spawn(read).context("starting a thread")?;
    Ok(lines)
}

/// `key=value` among words.
pub fn field<'a>(words: &'a str, key: &str) -> Option<&'a str> {
    words.split_whitespace().find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
}

fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines.get(lines.len().saturating_sub(LOG_LINES_SHOWN)..).unwrap_or_default().join("\n")
}

/// Time on a core, and memory.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    pub cpu_micros: u64,
    pub resident_max_kib: u64,
}

impl Usage {
    /// Of a process by its number, or of this one by `self`.
    pub fn of(process: &str) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        // The name in brackets may hold anything; the fields after it are counted from the third.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks = |at: usize| fields.get(at)?.parse::<u64>().ok();
        let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix("kB")?.trim().parse().ok());
        // Linux counts in hundredths of a second here, on every machine.
        Some(Self { cpu_micros: (ticks(11)? + ticks(12)?) * 10_000, resident_max_kib: resident.unwrap_or(0) })
    }
}

// --- the engine ---

/// The engine under load.
#[derive(Debug)]
pub struct Engine {
    process: Option<Process>,
    binary: PathBuf,
    tables: Option<PathBuf>,
    pub addr: SocketAddr,
    pub state: PathBuf,
    certs: PathBuf,
    log: PathBuf,
    /// How long the last start took until the doors were open.
    pub start_took: Duration,
}

impl Engine {
    /// Starts an engine of our own in the run's folder. Blocks.
    pub fn start(folder: &Path, certs: &DevCerts, tables: Option<&Path>) -> Result<Self> {
        let mut engine = Self {
            process: None,
            binary: sibling("najda")?,
            tables: tables.map(Path::to_owned),
            addr: SocketAddr::from(([127, 0, 0, 1], 0)),
            state: folder.join("state"),
            certs: certs.folder.clone(),
            log: folder.join("engine.log"),
            start_took: Duration::ZERO,
        };
        engine.start_again()?;
        Ok(engine)
    }

    /// One that runs already.
    pub fn running(addr: SocketAddr, folder: &Path) -> Self {
        Self {
            process: None,
            binary: PathBuf::new(),
            tables: None,
            addr,
            state: folder.join("state"),
            certs: PathBuf::new(),
            log: PathBuf::new(),
            start_took: Duration::ZERO,
        }
    }

    /// On the same folder and the same port as before. Blocks.
    pub fn start_again(&mut self) -> Result<()> {
        let began = Instant::now();
        let process = Process::start(&mut self.command(), &self.log)?;
        self.start_took = began.elapsed();
        self.addr = process.addr;
        self.process = Some(process);
        Ok(())
    }

    /// Starts it and kills it after so long, ready or not. True when it was not ready. Blocks.
    pub fn start_and_kill(&mut self, within: Duration) -> Result<bool> {
        Process::start_and_kill(&mut self.command(), &self.log, within)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.binary);
        command.arg("serve").arg("--listen").arg(self.addr.to_string());
        command.arg("--state").arg(&self.state).arg("--certs").arg(&self.certs);
        if let Some(tables) = &self.tables {
            command.arg("--tables").arg(tables);
        }
        if std::env::var_os("RUST_LOG").is_none() {
            command.env("RUST_LOG", "najda=warn");
        }
        command
    }

    pub fn process(&self) -> Option<&Process> {
        self.process.as_ref()
    }

    pub fn is_ours(&self) -> bool {
        !self.binary.as_os_str().is_empty()
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill();
        }
    }

    /// True when it ended in good order, or was not ours to end.
    pub fn stop(&mut self) -> bool {
        self.process.take().is_none_or(|mut process| process.stop())
    }

    /// Lines of its log that speak of an error.
    pub fn errors(&self) -> Vec<String> {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        log.lines().filter(|line| line.contains("ERROR") || line.contains("panicked")).map(str::to_owned).collect()
    }

    /// `najda 0.1.0`.
    pub fn version(&self) -> String {
        if !self.is_ours() {
            return "of a running engine".to_owned();
        }
        let said = Command::new(&self.binary).arg("--version").output();
        said.ok().and_then(|said| String::from_utf8(said.stdout).ok()).map_or_else(String::new, |text| text.trim().to_owned())
    }
}

/// The binary beside this one.
fn sibling(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe().context("finding this program's own path")?;
    let path = own.with_file_name(name);
    if !path.is_file() {
        bail!(
            "there is no {}: `cargo build --release --workspace` makes both, or name a running engine with --engine ADDR --certs DIR",
            path.display()
        );
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ready_line_is_read_by_its_words() {
        let line = "ready quic=127.0.0.1:9 tables=abc facts=3 live=1 read_ms=2";
        assert_eq!(field(line, "quic"), Some("127.0.0.1:9"));
        assert_eq!(field(line, "facts"), Some("3"));
        assert_eq!(field(line, "fact"), None);
    }

    #[test]
    fn a_folder_goes_with_its_run_and_a_kept_one_stays() {
        let path = Folder::make(None).unwrap().path.clone();
        assert!(!path.exists());
        let kept = std::env::temp_dir().join(format!("najda-loadtest-kept-{}", std::process::id()));
        drop(Folder::make(Some(&kept)).unwrap());
        assert!(kept.is_dir());
        fs::remove_dir_all(kept).unwrap();
    }

    #[test]
    fn a_child_that_ends_before_it_is_ready_is_an_error_with_its_log() {
        let folder = Folder::make(None).unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "echo broken >&2; echo nothing"]);
        let error = Process::start(&mut command, &folder.path.join("log")).unwrap_err();
        let text = format!("{error:#}");
        assert!(text.contains("broken") && text.contains("it ended"), "{text}");
    }

    #[test]
    fn the_use_of_this_process_can_be_read() {
        assert!(Usage::of("self").is_none_or(|usage| usage.resident_max_kib > 0));
    }
}
