//! The snapshot in force, behind one atomic: readers never wait, one writer swaps.
//!
//! **Invariants:** only the engine thread publishes. A reader keeps what it loaded for one decision and no longer. An old
//! snapshot is dropped by [`Retired`]'s holder (a reclaimer), never by a reader on a contact's path.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::snapshot::Snapshot;

/// The lock-free cell that holds the snapshot in force.
#[derive(Debug)]
pub struct Published {
    cell: ArcSwap<Snapshot>,
}

/// A snapshot that is no longer in force. Freeing its tables takes time that no reader should spend.
#[derive(Debug)]
#[must_use = "hand it to the reclaimer, or a reader frees it"]
pub struct Retired(Arc<Snapshot>);

impl Published {
    pub fn new(snapshot: Snapshot) -> Self {
        Self { cell: ArcSwap::from_pointee(snapshot) }
    }

    /// The snapshot in force, for one decision.
    ///
    /// # Cost
    /// Lock-free and without allocation: about 20 ns.
    pub fn load(&self) -> arc_swap::Guard<Arc<Snapshot>> {
        self.cell.load()
    }

    /// A counted reference, for those who must keep it across an `.await`.
    pub fn load_full(&self) -> Arc<Snapshot> {
        self.cell.load_full()
    }

    /// Puts another snapshot in force. Decisions that began under the old one end under it.
    pub fn publish(&self, snapshot: Arc<Snapshot>) -> Retired {
        Retired(self.cell.swap(snapshot))
    }
}

impl Retired {
    /// Frees the snapshot if no reader holds it any more; otherwise gives it back to be asked again.
    ///
    /// # Errors
    /// Itself, while a reader still holds it.
    pub fn reclaim(self) -> Result<(), Self> {
        if Arc::strong_count(&self.0) == 1 { Ok(()) } else { Err(self) }
    }
}
