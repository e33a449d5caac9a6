//! Where the clients run: threads with one loop each, apart from everything else.
//!
//! The load test shares its machine with the engine. In one loop a message passes from socket to gateway without waking another
//! thread, and a burst of packets is read in one go; on more threads every hop costs a wake-up, which is dearer than the message.

use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use hdrhistogram::Histogram;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::board::histogram;

/// The loops of a run. They end with it.
#[derive(Debug)]
pub struct Loops {
    handles: Vec<(Handle, Option<oneshot::Sender<()>>)>,
    lateness: Lateness,
}

/// How late a loop woke up, in nanoseconds: a loop that is late makes the engine look late.
type Lateness = Arc<Mutex<Histogram<u64>>>;

/// How often a loop is asked.
const ASKED_EVERY: Duration = Duration::from_millis(20);

impl Loops {
    pub fn start(count: usize) -> Result<Self> {
        let handles: Vec<_> = (1..=count.max(1)).map(start).collect::<Result<_>>()?;
        let lateness = Arc::new(Mutex::new(histogram()));
        for (handle, _) in &handles {
            handle.spawn(ask(Arc::clone(&lateness)));
        }
        Ok(Self { handles, lateness })
    }

    /// Half the cores, and two at least: a loop alone gets too small a share of a machine that has other work.
    pub fn count_for_this_machine() -> usize {
        std::thread::available_parallelism().map_or(2, |cores| (cores.get() / 2).max(2))
    }

    /// How late the loops were.
    pub fn lateness(&self) -> Histogram<u64> {
        self.lateness.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Forgets what was so far.
    pub fn begin(&self) {
        self.lateness.lock().unwrap_or_else(PoisonError::into_inner).reset();
    }

    /// Clients with neighbouring numbers are spread.
    pub fn of(&self, number: usize) -> &Handle {
        let at = number % self.handles.len().max(1);
        self.handles.get(at).map_or_else(|| unreachable!("there is at least one loop"), |(handle, _)| handle)
    }
}

impl Drop for Loops {
    fn drop(&mut self) {
        for (_, stop) in &mut self.handles {
            if let Some(stop) = stop.take() {
                let _ = stop.send(());
            }
        }
    }
}

/// Sleeps, and writes down how much too long.
async fn ask(lateness: Lateness) {
    loop {
        let due = Instant::now() + ASKED_EVERY;
        tokio::time::sleep_until(due).await;
        let late = due.elapsed().as_nanos() as u64;
        lateness.lock().unwrap_or_else(PoisonError::into_inner).saturating_record(late.max(1));
    }
}

fn start(number: usize) -> Result<(Handle, Option<oneshot::Sender<()>>)> {
    let (stop, stopped) = oneshot::channel::<()>();
    let (sender, handle) = sync_channel(1);
    let body = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        match runtime {
            Ok(runtime) => {
                let _ = sender.send(Ok(runtime.handle().clone()));
                let _ = runtime.block_on(stopped);
                runtime.shutdown_background();
            }
            Err(why) => drop(sender.send(Err(why))),
        }
    };
    std::thread::Builder::new().name(format!("clients-{number}")).spawn(body).context("starting a thread")?;
    let handle = handle.recv().context("starting a loop")?.context("starting a loop")?;
    Ok((handle, Some(stop)))
}
