//! All that can fail in a machine: sockets, files, clocks, threads, entropy.

pub mod clock;
pub mod tables;
pub mod store;
pub mod tls;
pub mod tokens;
pub mod certs;
pub mod sessions;
pub mod ingress;
pub mod console;
pub mod metrics;
pub mod run;
