//! All that can fail in a machine: sockets, files, clocks, threads, entropy.

#![allow(clippy::disallowed_methods, reason = "clocks and threads live here; tests/tidy.rs keeps them out of the rest")]

pub mod clock;
pub mod placement;
pub mod tables;
pub mod store;
pub mod tls;
pub mod tokens;
pub mod certs;
pub mod sessions;
pub mod ingress;
mod listen;
pub mod console;
pub mod metrics;
pub mod run;
pub mod notify;
pub mod feed;
