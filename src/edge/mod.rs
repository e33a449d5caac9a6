//! Everything that can fail because of a machine.

pub mod tables;
