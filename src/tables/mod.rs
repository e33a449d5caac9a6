//! The routing tables: rows a control room can read and diff, compiled into one immutable snapshot.

pub mod source;
pub mod check;
pub mod import;
pub mod types;
pub mod numbers;
pub mod plans;
pub mod fold;
pub mod lexicon;
pub mod vocabulary;
pub mod dispatchers;
pub mod identities;
pub mod snapshot;
pub mod near;
pub mod steady;
pub mod ground;
pub mod compiled;
pub mod build;
pub mod published;
