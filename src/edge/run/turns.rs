//! Who works: the thread that brings something, when nobody works already; otherwise the thread that does.
//!
//! Waking a thread that sleeps costs more than most of what it is woken for. So a door that brings a contact to an idle engine does
//! the engine's few microseconds itself: one caller at a time finds an offer two wake-ups earlier. When there is much to do the
//! engine's own thread is awake, and nobody else does more than put things into its queues.
//!
//! ```text
//! put -> worker awake? ---yes---> it looks again before it sleeps
//!              no -> desk free? --no----> whoever has it looks again after leaving it
//!                        yes -> a short turn; what is left wakes the worker
//! ```
//!
//! **Invariants:** one thread at a time has the desk, so that what it owns needs no other lock; nobody waits for the desk but its own
//! thread; nothing that was put stays behind without somebody who will look.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use crossbeam::sync::{Parker, Unparker};

/// What is done in turns.
pub(super) trait Desk: Send {
    /// What others put in, from any thread.
    type Queues: Send + Sync;

    fn is_empty(queues: &Self::Queues) -> bool;

    /// Does what waits, but no more than `input_count_max` of it.
    fn turn(&mut self, queues: &Self::Queues, input_count_max: usize);

    /// Does what only its own thread may, and says how long that thread may sleep; `None` ends it.
    fn own_turn(&mut self, queues: &Self::Queues) -> Option<Duration>;

    /// Whether the thread must get up before its sleep is over.
    fn needs_its_thread(&self) -> bool;
}

/// A desk, and those who work at it.
pub(super) struct Turns<D: Desk> {
    pub queues: D::Queues,
    /// Gone when its thread has ended.
    desk: Mutex<Option<D>>,
    asleep: AtomicBool,
    unparker: Unparker,
    /// Whether others may work at it.
    shared: bool,
}

/// Inputs handled in a turn by a thread that has something else to do.
const INPUTS_A_GUEST: usize = 16;
/// Inputs its own thread handles in a turn: bounds what one commit waits for.
const INPUTS_A_TURN: usize = 512;

impl<D: Desk> Turns<D> {
    /// `shared`: whether others than its own thread may work at it.
    pub(super) fn new(queues: D::Queues, parker: &Parker, shared: bool) -> Self {
        Self { queues, desk: Mutex::new(None), asleep: AtomicBool::new(false), unparker: parker.unparker().clone(), shared }
    }

    /// To be called after something was put into the queues. Never waits.
    pub(super) fn knock(&self) {
        // What was put must be seen by whoever leaves the desk or goes to sleep from here on.
        fence(Ordering::SeqCst);
        if !self.asleep.load(Ordering::SeqCst) {
            return;
        }
        if self.shared {
            let Some(mut desk) = self.free_desk() else { return };
            let wanted = desk.as_mut().is_some_and(|desk| {
                or_end(|| desk.turn(&self.queues, INPUTS_A_GUEST));
                desk.needs_its_thread()
            });
            drop(desk);
            fence(Ordering::SeqCst);
            if !wanted && D::is_empty(&self.queues) {
                return;
            }
        }
        self.unparker.unpark();
    }

    /// As [`Self::knock`], for a thread that has no time for the desk: its own does everything.
    pub(super) fn ring(&self) {
        fence(Ordering::SeqCst);
        if self.asleep.load(Ordering::SeqCst) {
            self.unparker.unpark();
        }
    }

    /// Wakes the desk's own thread, asleep or not.
    pub(super) fn wake(&self) {
        self.unparker.unpark();
    }

    /// What its own thread does, until it is told to end.
    pub(super) fn work(&self, desk: D, parker: &Parker) {
        *self.desk() = Some(desk);
        loop {
            let mut desk = self.desk();
            let nap = desk.as_mut().and_then(|desk| {
                or_end(|| {
                    desk.turn(&self.queues, INPUTS_A_TURN);
                    desk.own_turn(&self.queues)
                })
            });
            let Some(nap) = nap else {
                desk.take();
                return;
            };
            drop(desk);
            self.asleep.store(true, Ordering::SeqCst);
            fence(Ordering::SeqCst);
            if D::is_empty(&self.queues) {
                parker.park_timeout(nap);
            }
            self.asleep.store(false, Ordering::SeqCst);
        }
    }

    fn desk(&self) -> MutexGuard<'_, Option<D>> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The desk, when nobody is at it.
    fn free_desk(&self) -> Option<MutexGuard<'_, Option<D>>> {
        match self.desk.try_lock() {
            Ok(desk) => Some(desk),
            Err(TryLockError::Poisoned(desk)) => Some(desk.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

/// A desk left in the middle of something must not be gone on with: the process ends, and its successor reads from the journal where
/// everything stood. That takes less than a second; half an engine would stay half.
fn or_end<T>(work: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        tracing::error!("the engine panicked; the process ends, so that the next one begins from the journal");
        std::process::abort()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossbeam::channel::{Receiver, Sender, bounded};
    use std::sync::Arc;
    use std::thread::{self, ThreadId};

    struct Put {
        queue: (Sender<u32>, Receiver<u32>),
        end: AtomicBool,
    }

    /// Says what it handled and on which thread.
    struct Clerk {
        said: Sender<(u32, ThreadId)>,
        /// Said to need its thread after these.
        late: Vec<u32>,
        needs: bool,
        nap: Duration,
    }

    impl Desk for Clerk {
        type Queues = Put;

        fn is_empty(queues: &Put) -> bool {
            queues.queue.1.is_empty() && !queues.end.load(Ordering::SeqCst)
        }

        fn turn(&mut self, queues: &Put, input_count_max: usize) {
            for input in queues.queue.1.try_iter().take(input_count_max) {
                assert_ne!(input, POISON, "this panic is part of the test");
                self.needs = self.late.contains(&input);
                self.said.send((input, thread::current().id())).unwrap();
            }
        }

        fn own_turn(&mut self, queues: &Put) -> Option<Duration> {
            if std::mem::take(&mut self.needs) {
                self.said.send((0, thread::current().id())).unwrap();
            }
            (!queues.end.load(Ordering::SeqCst)).then_some(self.nap)
        }

        fn needs_its_thread(&self) -> bool {
            self.needs
        }
    }

    const POISON: u32 = u32::MAX;

    struct House {
        turns: Arc<Turns<Clerk>>,
        said: Receiver<(u32, ThreadId)>,
        thread: thread::JoinHandle<()>,
    }

    const LONG: Duration = Duration::from_secs(3_600);

    /// A house whose thread sleeps for an hour unless it is woken.
    fn house(shared: bool, late: &[u32]) -> House {
        let parker = Parker::new();
        let turns = Arc::new(Turns::new(Put { queue: bounded(100_000), end: AtomicBool::new(false) }, &parker, shared));
        let (say, said) = bounded(100_000);
        let clerk = Clerk { said: say, late: late.to_vec(), needs: false, nap: LONG };
        let own = Arc::clone(&turns);
        let thread = thread::spawn(move || own.work(clerk, &parker));
        while !turns.asleep.load(Ordering::SeqCst) {
            thread::yield_now();
        }
        House { turns, said, thread }
    }

    impl House {
        fn put(&self, input: u32) {
            self.turns.queues.queue.0.send(input).unwrap();
            self.turns.knock();
        }

        fn next(&self) -> (u32, ThreadId) {
            self.said.recv_timeout(Duration::from_secs(60)).expect("what was put is handled")
        }

        fn end(self) {
            self.turns.queues.end.store(true, Ordering::SeqCst);
            self.turns.wake();
            self.thread.join().unwrap();
        }
    }

    #[test]
    fn whoever_brings_something_to_a_sleeping_desk_does_it() {
        let house = house(true, &[]);
        house.put(7);
        assert_eq!(house.next(), (7, thread::current().id()));
        house.end();
    }

    #[test]
    fn a_desk_of_its_own_is_only_worked_at_by_its_thread() {
        let house = house(false, &[]);
        house.put(7);
        assert_eq!(house.next(), (7, house.thread.thread().id()));
        house.end();
    }

    #[test]
    fn who_has_no_time_only_rings() {
        let house = house(true, &[]);
        house.turns.queues.queue.0.send(7).unwrap();
        house.turns.ring();
        assert_eq!(house.next(), (7, house.thread.thread().id()));
        house.end();
    }

    #[test]
    fn a_guest_does_a_little_and_leaves_the_rest_to_the_thread() {
        let house = house(true, &[]);
        for input in 1..=100 {
            house.turns.queues.queue.0.send(input).unwrap();
        }
        house.turns.knock();
        let handled: Vec<(u32, ThreadId)> = (0..100).map(|_| house.next()).collect();
        let guest = handled.iter().filter(|(_, by)| *by == thread::current().id()).count();
        assert!((1..=INPUTS_A_GUEST).contains(&guest), "{guest} by the guest");
        assert!(handled.iter().map(|(input, _)| *input).eq(1..=100), "in their order");
        house.end();
    }

    #[test]
    fn the_thread_gets_up_for_what_falls_due_before_its_sleep_ends() {
        let house = house(true, &[5]);
        let own = house.thread.thread().id();
        house.put(5);
        assert_eq!(house.next(), (5, thread::current().id()));
        assert_eq!(house.next(), (0, own));
        house.end();
    }

    #[test]
    fn nothing_stays_behind_however_many_bring_it() {
        for shared in [true, false] {
            let house = house(shared, &[]);
            let (threads, each) = (8_u32, 5_000_u32);
            thread::scope(|scope| {
                for first in 0..threads {
                    let house = &house;
                    scope.spawn(move || (0..each).for_each(|input| house.put(1 + first * each + input)));
                }
            });
            let mut handled: Vec<u32> = (0..threads * each).map(|_| house.next().0).collect();
            handled.sort_unstable();
            assert!(handled.into_iter().eq(1..=threads * each));
            house.end();
        }
    }

    /// Goal: half an engine never goes on. Method: this test again as a child, whose desk panics; the child must be gone.
    #[test]
    fn a_desk_that_panics_ends_its_process() {
        const CHILD: &str = "NAJDA_TEST_DESK_PANICS";
        if std::env::var_os(CHILD).is_some() {
            let house = house(true, &[]);
            house.put(POISON);
            house.end();
            return;
        }
        let name = "edge::run::turns::tests::a_desk_that_panics_ends_its_process";
        let mut child = std::process::Command::new(std::env::current_exe().unwrap());
        let ended = child.args(["--exact", name, "--nocapture"]).env(CHILD, "1").output().unwrap();
        assert_eq!(ended.status.code(), None, "it ends by a signal, and not as a test that failed: {ended:?}");
    }

    #[test]
    fn a_desk_that_has_ended_is_not_worked_at() {
        let house = house(true, &[]);
        let (turns, said) = (Arc::clone(&house.turns), house.said.clone());
        house.end();
        turns.queues.queue.0.send(7).unwrap();
        turns.knock();
        assert!(said.try_recv().is_err());
    }
}
