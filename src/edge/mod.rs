//! Everything that can fail as a machine fails: files, sockets, clocks, threads.

pub mod tables;
