//! Values to bytes and back, without a socket.
//!
//! - [`frame`]: the framed messages of gateways and consoles, and the journal's entries. The only file that names bincode.
//! - [`checkpoint`]: what a restart needs of a journal.
//! - `layout` (private): which bytes each domain type becomes, in one table a reader can hold beside a capture.
//! - [`contact_json`], [`decision_json`], [`http`]: what scripts, apps, ops and `najda explain` read and write.
//!
//! **Invariant:** domain types derive no format. A layout names every field and its type, so a field added to the domain does not
//! compile until somebody decides what it is on the wire.

pub mod frame;
mod layout;
pub mod checkpoint;
pub mod contact_json;
pub mod decision_json;
pub mod http;
