//! The engine of the demo: `najda serve` of this same program, in a process of its own, so that it can be killed for real.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use crossbeam::channel::{Receiver, RecvTimeoutError, bounded};

/// How long an engine may take until its doors are open: building tables and reading the journal back.
const READY_WAIT: Duration = Duration::from_secs(120);
/// How long an engine that was asked to end may take before it is killed.
const END_WAIT: Duration = Duration::from_secs(10);
/// How often an ending engine is looked at.
const END_LOOK: Duration = Duration::from_millis(20);
/// How often waiting says that it waits.
const PROGRESS: Duration = Duration::from_secs(2);

/// Where the demo keeps its things.
#[derive(Clone, Debug)]
pub struct Folders {
    pub root: PathBuf,
}

impl Folders {
    pub fn certs(&self) -> PathBuf {
        self.root.join("certs")
    }

    pub fn engine(&self) -> PathBuf {
        self.root.join("engine")
    }

    pub fn messages(&self) -> PathBuf {
        self.root.join("messages.jsonl")
    }

    pub fn log(&self) -> PathBuf {
        self.root.join("engine.log")
    }
}

/// The engine's process. Dropping it kills the process.
#[derive(Debug)]
pub struct Host {
    folders: Folders,
    /// Gateways and consoles (QUIC).
    pub addr: SocketAddr,
    /// Contacts by JSON, metrics and health (HTTPS).
    pub http: SocketAddr,
    /// The web console (HTTP, this machine only).
    pub console: SocketAddr,
    child: Child,
    /// What the engine said when it was ready: `quic=... tables=...`.
    ready: String,
}

impl Host {
    /// Starts an engine on a free port of this machine. Waits for it; `progress` is called while that takes long. Blocks.
    ///
    /// # Errors
    /// The engine did not start; the end of its log says why.
    pub fn start(folders: &Folders, progress: &dyn Fn(&str)) -> Result<Self> {
        // The ports stay the same over restarts, because gateways and consoles are configured with them.
        let free = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|socket| socket.local_addr());
        let addr = free.context("finding a free UDP port on this machine")?;
        let [http, console] = free_ports().context("finding two free TCP ports on this machine")?;
        let (child, ready) = spawn(folders, addr, [http, console], progress)?;
        Ok(Self { folders: folders.clone(), addr, http, console, child, ready })
    }

    /// One of the figures the engine said when it was ready.
    pub fn said(&self, name: &str) -> Option<&str> {
        self.ready.split_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
    }

    pub fn process_id(&self) -> u32 {
        self.child.id()
    }

    /// Kills the engine as `kill -9` does and starts it again on what its journal holds. Blocks.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn kill_and_restart(&mut self, progress: &dyn Fn(&str)) -> Result<()> {
        self.child.kill().context("killing the engine")?;
        self.child.wait().context("waiting for the killed engine")?;
        let (child, ready) = spawn(&self.folders, self.addr, [self.http, self.console], progress)?;
        (self.child, self.ready) = (child, ready);
        Ok(())
    }

    /// Asks the engine to end in good order, and waits for it.
    ///
    /// # Errors
    /// It did not end well.
    pub async fn end(mut self) -> Result<()> {
        let asked = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        if !asked.is_ok_and(|status| status.success()) {
            return self.child.kill().context("ending the engine");
        }
        let ended = async {
            loop {
                if let Some(status) = self.child.try_wait().context("waiting for the engine")? {
                    return anyhow::Ok(status);
                }
                tokio::time::sleep(END_LOOK).await;
            }
        };
        let log = self.folders.log();
        let status = tokio::time::timeout(END_WAIT, ended).await;
        let status = status.with_context(|| format!("the engine did not end within {END_WAIT:?}; {}", log_end(&log)))??;
        if status.success() { Ok(()) } else { Err(anyhow!("the engine ended with {status}; {}", log_end(&log))) }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Both are held until both are known, so that they differ.
fn free_ports() -> std::io::Result<[SocketAddr; 2]> {
    let [first, second] = [TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?, TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?];
    Ok([first.local_addr()?, second.local_addr()?])
}

fn spawn(folders: &Folders, addr: SocketAddr, [http, console]: [SocketAddr; 2], progress: &dyn Fn(&str)) -> Result<(Child, String)> {
    let program = std::env::current_exe().context("finding this program")?;
    let log = File::options().create(true).append(true).open(folders.log()).context("opening the engine's log")?;
    let mut child = Command::new(program)
        .arg("serve")
        .arg("--listen")
        .arg(addr.to_string())
        .arg("--http")
        .arg(http.to_string())
        .arg("--console")
        .arg(console.to_string())
        .arg("--console-plain")
        .arg("--certs")
        .arg(folders.certs())
        .arg("--state")
        .arg(folders.engine())
        .arg("--messages")
        .arg(folders.messages())
        .arg("--rating-url")
        .arg(format!("https://{http}/r/"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        // Ctrl-C in this terminal is for the demo, which lets the engine end after its callers.
        .process_group(0)
        .spawn()
        .context("starting the engine (`najda serve` of this program)")?;
    let stdout = child.stdout.take().context("the engine's output")?;
    match wait_ready(stdout, progress) {
        Ok(ready) => Ok((child, ready)),
        Err(error) => {
            let _ = child.kill();
            let _ = child.wait();
            Err(error.context(log_end(&folders.log())))
        }
    }
}

/// Reads lines until the engine says `ready`, and goes on reading so that the pipe never fills.
fn wait_ready(stdout: impl std::io::Read + Send + 'static, progress: &dyn Fn(&str)) -> Result<String> {
    let (lines_in, lines): (_, Receiver<String>) = bounded(16);
    let read = move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let _ = lines_in.try_send(line);
        }
    };
    std::thread::Builder::new().name("najda-demo-out".to_owned()).spawn(read).context("reading the engine's output")?;
    let mut waited = Duration::ZERO;
    while waited < READY_WAIT {
        match lines.recv_timeout(PROGRESS) {
            Ok(line) => {
                if let Some(ready) = line.strip_prefix("ready") {
                    return Ok(ready.trim().to_owned());
                }
            }
            Err(RecvTimeoutError::Timeout) => {
                waited += PROGRESS;
                progress(&format!("waiting for the engine, {} s", waited.as_secs()));
            }
            Err(RecvTimeoutError::Disconnected) => bail!("the engine ended before it was ready"),
        }
    }
    bail!("the engine was not ready within {} s", READY_WAIT.as_secs())
}

/// The last lines of the engine's log, for an error.
fn log_end(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let last = lines.get(lines.len().saturating_sub(5)..).unwrap_or_default().join("\n  ");
    format!("the engine's log {} ends with:\n  {last}", log.display())
}
