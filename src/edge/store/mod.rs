//! Where the journal is kept: in files of this machine, or in memory with faults on order.

mod ledger;

pub mod embedded;
pub mod memory;
