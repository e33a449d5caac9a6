//! Which cores a thread may run on.
//!
//! Waking a core that sleeps, and moving to one that has none of a thread's data, cost more than most of what happens between a
//! contact's bytes and a console's. Where that matters an operator keeps the doors, the engine and the journal apart; what it brought
//! is in the guarantees.

use std::io;

/// The cores this thread may run on from now on; threads it starts inherit them. An empty list changes nothing.
///
/// # Errors
/// The machine has none of these cores, or does not let threads be placed.
#[cfg(target_os = "linux")]
pub fn keep_on(cores: &[usize]) -> io::Result<()> {
    use rustix::thread::{CpuSet, sched_setaffinity};
    if cores.is_empty() {
        return Ok(());
    }
    let mut set = CpuSet::new();
    cores.iter().filter(|core| **core < CpuSet::MAX_CPU).for_each(|core| set.set(*core));
    Ok(sched_setaffinity(None, &set)?)
}

#[cfg(not(target_os = "linux"))]
pub fn keep_on(cores: &[usize]) -> io::Result<()> {
    if cores.is_empty() { Ok(()) } else { Err(io::Error::from(io::ErrorKind::Unsupported)) }
}

/// The cores this thread may run on.
#[cfg(target_os = "linux")]
pub fn cores() -> Vec<usize> {
    use rustix::thread::{CpuSet, sched_getaffinity};
    let set = sched_getaffinity(None).unwrap_or_else(|_| CpuSet::new());
    (0..CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect()
}

#[cfg(not(target_os = "linux"))]
pub fn cores() -> Vec<usize> {
    Vec::new()
}

/// Runs something on these cores; the threads it starts stay there, this one comes back.
pub fn started_on<T>(cores: &[usize], start: impl FnOnce() -> T) -> T {
    let before = self::cores();
    place(cores);
    let started = start();
    if !cores.is_empty() {
        place(&before);
    }
    started
}

/// Like [`keep_on`], for a thread that works wherever it is.
pub fn place(cores: &[usize]) {
    if let Err(error) = keep_on(cores) {
        tracing::warn!(?cores, %error, "a thread cannot be kept on its cores and runs anywhere");
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn threads_stay_on_the_cores_they_were_started_on_and_the_starter_comes_back() {
        let before = cores();
        let one = [*before.last().unwrap()];
        let started = started_on(&one, || std::thread::spawn(cores));
        assert_eq!(started.join().unwrap(), one);
        assert_eq!(cores(), before);
    }

    #[test]
    fn a_core_that_is_not_there_is_an_error_and_no_core_changes_nothing() {
        let before = cores();
        assert!(keep_on(&[1_000]).is_err());
        keep_on(&[]).unwrap();
        assert_eq!(cores(), before);
    }
}
