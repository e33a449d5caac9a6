//! The manual: long-form reasons, readable on the host as Markdown and here as documentation.
//!
//! Prose only. No code lives here, and no module imports it. `tests/tidy.rs` keeps it honest: every dependency and every limit is
//! listed with its present value, and every file it names exists or is said to be missing.

#[doc = include_str!("path.md")]
pub mod path {}

#[doc = include_str!("console.md")]
pub mod console {}

#[doc = include_str!("feed.md")]
pub mod feed {}

#[doc = include_str!("glossary.md")]
pub mod glossary {}

#[doc = include_str!("guarantees.md")]
pub mod guarantees {}

#[doc = include_str!("limits.md")]
pub mod limits {}

#[doc = include_str!("messages.md")]
pub mod messages {}

#[doc = include_str!("outages.md")]
pub mod outages {}

#[doc = include_str!("dependencies.md")]
pub mod dependencies {}

#[doc = include_str!("defaults.md")]
pub mod defaults {}
