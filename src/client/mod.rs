//! The client of the engine's doors: for gateways, consoles, the command line, the tests and the load test alike.
//!
//! - [`GatewayClient`]: contacts out, [`GatewayHears`](crate::deliver::GatewayHears) in. Keeps every contact until the journal holds it.
//! - [`ConsoleClient`]: signs a seat in, offers in, commands out. Sends its heartbeat by itself.
//! - [`Identity`]: the certificate that says who this is.
//!
//! Both reconnect for ever, with a bounded and jittered wait, and hand back what was never confirmed: a contact the journal did not
//! confirm, an offer shown before it was confirmed, a message the engine did not receive. The engine knows contacts by their key and
//! offers by their id, so handing back twice is harmless.
//!
//! # Invariants
//! - Nothing accepted by `send` is forgotten before it is confirmed; a full client makes `send` wait and `try_send` refuse.
//! - One task and one stream a client; no task and no lock wait a message.

#![allow(clippy::disallowed_methods, reason = "clocks and threads live here; tests/tidy.rs keeps them out of the rest")]

mod console;
mod gateway;
pub mod http;
mod link;
pub mod transport;

pub use console::ConsoleClient;
pub use gateway::{GatewayClient, SendError, TrySendError};
pub use link::{ClientError, Link, LinkConfig, LinkState};
pub use transport::{ALPN_CONSOLE, ALPN_GATEWAY, CloseCode, Identity, IdentityError};
