//! Where the clients run: threads with one loop each, apart from everything else.
//!
//! The load test shares its machine with the engine. In one loop a message passes from socket to gateway without waking another
//! thread, and a burst of packets is read in one go; on more threads every hop costs a wake-up, which is dearer than the message.

use std::sync::mpsc::sync_channel;

use anyhow::{Context, Result};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// The loops of a run. They end with it.
#[derive(Debug)]
pub struct Loops {
    handles: Vec<(Handle, Option<oneshot::Sender<()>>)>,
}

impl Loops {
    pub fn start(count: usize) -> Result<Self> {
        let handles = (1..=count.max(1)).map(start).collect::<Result<_>>()?;
        Ok(Self { handles })
    }

    /// One for two cores, so that the engine has the rest.
    pub fn count_for_this_machine() -> usize {
        std::thread::available_parallelism().map_or(1, |cores| (cores.get() / 4).max(1))
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
