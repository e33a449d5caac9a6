//! The routing tables: rows a control room can read and diff, compiled into one immutable snapshot.

pub mod source;
pub mod check;
pub mod import;
