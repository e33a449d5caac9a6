//! The doors of the people who answer.

pub(super) mod server;
pub mod web;
