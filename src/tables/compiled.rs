//! One flat binary file for a table set: what `tables build` writes, `tables publish` sends and the journal keeps by its hash.
//!
//! ```text
//! 0    8  magic "NAJDATBL"
//! 8    4  format (2)                      all numbers little-endian
//! 12   4  count of sections
//! 16  32  SHA-256 over the sections: the version
//! 48      per section: name length u32, body length u32, name, zeros up to a multiple of 4, body, zeros up to a multiple of 4
//! ```
//!
//! Sections `row/<file>` hold the rows as they stood in the pack; `ground/*` hold the arrays of the ground's indexes as words, so
//! that loading copies arrays and never runs geometry. The bytes are checked before they are believed: lengths, hash, and every
//! offset inside the arrays.

use super::build;
use super::ground;
use super::snapshot::{Ground, Tables};
use super::source::{Files, Source};
use crate::units::TablesVersion;

const MAGIC: &[u8; 8] = b"NAJDATBL";
const FORMAT: u32 = 2;
const HEAD_BYTES: usize = 48;
/// A country of 12 M vertices compiles to about 150 MiB.
const BYTES_MAX: usize = 1 << 30;
const SECTIONS_MAX: u32 = 1_024;

/// Why bytes are no table set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CompiledError {
    #[error("not a compiled table set: it does not begin with NAJDATBL")]
    NotTables,
    #[error("format {got} of compiled tables, this program reads {expected}: run `najda tables build` again")]
    Format { got: u32, expected: u32 },
    #[error("the file ends early or has lengths that do not fit, at byte {at}: copy it again")]
    Truncated { at: usize },
    #[error("the contents do not have the hash in the head: copy it again")]
    Hash,
    #[error("section {0} is not what it should be: run `najda tables build` again")]
    Section(String),
    #[error("the rows inside do not fit together: {0}")]
    Rows(String),
}

/// Everything that is in a compiled set, in order.
pub fn sections(files: &Files, ground: &Ground) -> Vec<(String, Vec<u8>)> {
    let rows = files.iter().filter(|(name, _)| is_row_file(name)).map(|(name, bytes)| (format!("row/{name}"), bytes.clone()));
    rows.chain(ground::sections(ground)).collect()
}

/// Rows that travel with the compiled set; boundaries travel as arrays.
fn is_row_file(name: &str) -> bool {
    name == "pack.toml" || (name.ends_with(".csv") && !name.starts_with("boundaries/"))
}

/// The file.
pub fn to_bytes(files: &Files, tables: &Tables) -> Vec<u8> {
    let sections = sections(files, &tables.ground);
    let mut out = Vec::with_capacity(HEAD_BYTES + sections.iter().map(|(name, body)| name.len() + body.len() + 16).sum::<usize>());
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&FORMAT.to_le_bytes());
    out.extend_from_slice(&(sections.len() as u32).to_le_bytes());
    out.extend_from_slice(&tables.version.0);
    for (name, body) in &sections {
        out.extend_from_slice(&(name.len() as u32).to_le_bytes());
        out.extend_from_slice(&(body.len() as u32).to_le_bytes());
        for part in [name.as_bytes(), body] {
            out.extend_from_slice(part);
            out.resize(out.len().next_multiple_of(4), 0);
        }
    }
    out
}

/// Reads a compiled set.
///
/// # Errors
/// When the bytes are not exactly what [`to_bytes`] writes.
pub fn from_bytes(bytes: &[u8]) -> Result<Tables, CompiledError> {
    let (version, sections) = split(bytes)?;
    if build::version(&sections) != version {
        return Err(CompiledError::Hash);
    }
    let files: Files =
        sections.iter().filter_map(|(name, body)| name.strip_prefix("row/").map(|file| (file.to_owned(), body.clone()))).collect();
    let (source, mut defects) = Source::parse(&files);
    let mut tables = build::rows(&source, &mut defects);
    // The boundaries travel as arrays; warnings were shown when the set was built.
    defects.retain(|defect| !defect.warning && !defect.file.starts_with("boundaries/"));
    if let Some(defect) = defects.first() {
        return Err(CompiledError::Rows(defect.to_string()));
    }
    tables.ground = ground::from_sections(&source, &tables, &sections).map_err(CompiledError::Section)?;
    tables.version = version;
    Ok(tables)
}

/// The row files inside a compiled set, for `tables show` and `tables diff`.
///
/// # Errors
/// As [`from_bytes`].
pub fn row_files(bytes: &[u8]) -> Result<Files, CompiledError> {
    let (_, sections) = split(bytes)?;
    Ok(sections.into_iter().filter_map(|(name, body)| name.strip_prefix("row/").map(|file| (file.to_owned(), body.clone()))).collect())
}

type Sections = Vec<(String, Vec<u8>)>;

fn split(bytes: &[u8]) -> Result<(TablesVersion, Sections), CompiledError> {
    if !bytes.starts_with(MAGIC) {
        return Err(CompiledError::NotTables);
    }
    if bytes.len() > BYTES_MAX {
        return Err(CompiledError::Truncated { at: BYTES_MAX });
    }
    let format = word(bytes, 8)?;
    if format != FORMAT {
        return Err(CompiledError::Format { got: format, expected: FORMAT });
    }
    let count = word(bytes, 12)?;
    if count > SECTIONS_MAX {
        return Err(CompiledError::Truncated { at: 12 });
    }
    let version = bytes.get(16..HEAD_BYTES).and_then(|hash| hash.try_into().ok()).ok_or(CompiledError::Truncated { at: 16 })?;
    let mut at = HEAD_BYTES;
    let mut sections = Vec::new();
    for _ in 0..count {
        let name_bytes = word(bytes, at)? as usize;
        let body_bytes = word(bytes, at + 4)? as usize;
        at += 8;
        let name = part(bytes, &mut at, name_bytes)?;
        let body = part(bytes, &mut at, body_bytes)?;
        let name = core::str::from_utf8(name).map_err(|_| CompiledError::Truncated { at })?;
        sections.push((name.to_owned(), body.to_vec()));
    }
    if at != bytes.len() {
        return Err(CompiledError::Truncated { at });
    }
    Ok((TablesVersion(version), sections))
}

fn word(bytes: &[u8], at: usize) -> Result<u32, CompiledError> {
    let four = bytes.get(at..at + 4).and_then(|four| four.try_into().ok());
    four.map(u32::from_le_bytes).ok_or(CompiledError::Truncated { at })
}

fn part<'b>(bytes: &'b [u8], at: &mut usize, length: usize) -> Result<&'b [u8], CompiledError> {
    let from = *at;
    let part = from.checked_add(length).and_then(|until| bytes.get(from..until)).ok_or(CompiledError::Truncated { at: from })?;
    *at = (from + length).next_multiple_of(4);
    if *at > bytes.len() { Err(CompiledError::Truncated { at: from }) } else { Ok(part) }
}
