//! What the journal is made of, as plain values: entries, the chain over them, and the rows one can search.
//!
//! Nothing here touches a disk. `store` says how entries are kept, `edge/store` keeps them.
//!
//! **Invariants**
//! - An entry's bytes are opaque here: only `wire/` knows how a fact is spelled.
//! - Sequence numbers of one partition start at 1 and rise by one. A number that was never held is declared by a hole, never
//!   skipped in silence.
//! - The first entries may be removed on purpose; an entry says so and names where the chain begins since.
//! - Every entry is linked to the one before it, so a changed, missing or added entry shows.

pub mod chain;
pub mod entry;
pub mod projection;
pub mod replay;
pub mod report;

pub use chain::{Anchor, Break, BreakKind, ChainHash, Verified};
pub use entry::{Entry, Hole, Removal};
