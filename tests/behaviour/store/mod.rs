//! The journal: one suite of promises for every store, then what only the files of a machine can suffer.

mod checkpoint;
mod contract;
mod disk;
mod embedded;
mod memory;
mod outage;
mod retention;
mod rig;
mod rows;

pub use retention::retained_journal;
