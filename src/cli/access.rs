//! The log of who read the journal's files: `access.jsonl` beside them.
//!
//! What people see at consoles, and what other systems are shown, is written into the journal itself. Commands that read its files while
//! an engine writes them cannot write there; they say here what they were asked, before they show anything. A read that cannot be
//! written down is not made.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::edge::clock::Clock;

/// The file beside the journal's own.
pub const ACCESS_FILE: &str = "access.jsonl";

/// Writes one line and waits until the disk has it.
///
/// # Errors
/// The file cannot be written; then nothing may be shown.
pub fn note(state: &Path, command: &str, asked: Value) -> Result<()> {
    let path = state.join(ACCESS_FILE);
    let line = json!({ "at": Clock::start().now().unix_micros, "command": command, "asked": asked, "uid": uid(), "user": user() });
    let write = || -> std::io::Result<()> {
        let mut file = OpenOptions::new().create(true).append(true).mode(0o600).open(&path)?;
        // One write: two commands at once do not tread on each other's lines.
        file.write_all(format!("{line}\n").as_bytes())?;
        file.sync_data()
    };
    write().with_context(|| {
        format!(
            "cannot write {}, and nobody reads callers' data unseen; run it as who may write there, or on a copy of the folder",
            path.display()
        )
    })
}

/// Whose process this is, as the system knows it.
fn uid() -> Option<u32> {
    std::fs::metadata("/proc/self").ok().map(|process| process.uid())
}

/// Whose it says it is; behind sudo, who typed it.
fn user() -> Option<String> {
    ["SUDO_USER", "USER", "LOGNAME"].into_iter().find_map(|name| std::env::var(name).ok())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn every_read_adds_a_line_that_only_its_owner_may_read_and_none_is_made_where_none_can_be_written() {
        let folder = tempfile::tempdir().unwrap();
        note(folder.path(), "trace", json!({ "caller": "+971500000001" })).unwrap();
        note(folder.path(), "report", json!({})).unwrap();
        let path = folder.path().join(ACCESS_FILE);
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.iter().map(|line| line["command"].as_str().unwrap()).collect::<Vec<_>>(), ["trace", "report"]);
        assert_eq!(lines[0]["asked"]["caller"], "+971500000001");
        assert!(lines[0]["at"].as_u64() > Some(0) && lines[0]["uid"].is_u64(), "{text}");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(note(&folder.path().join("nowhere"), "trace", json!({})).is_err());
    }
}
