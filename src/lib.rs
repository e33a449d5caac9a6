//! Najda (نجدة): one emergency number for a whole country.
//!
//! The modules below stand in the order a contact meets them, and a module imports only modules listed above it.

// Readers of the source follow these links too.
#![allow(rustdoc::private_intra_doc_links, rustdoc::redundant_explicit_links)]

pub mod manual;
pub mod units;
pub mod limits;
pub mod geo;
pub mod service;
pub mod contact;
pub mod decision;
pub mod tables;
pub mod classify;
pub mod locate;
pub mod route;
pub mod incident;
pub mod inform;
pub mod event;
pub mod deliver;
pub mod engine;
pub mod wire;
pub mod journal;
pub mod store;
pub mod client;
pub mod edge;
pub mod cli;
