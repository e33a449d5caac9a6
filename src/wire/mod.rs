//! Formats.

pub mod contact_json;
pub mod decision_json;
