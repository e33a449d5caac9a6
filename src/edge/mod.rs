//! All that a machine can fail at: sockets, files, clocks, threads, entropy.

pub mod store;
