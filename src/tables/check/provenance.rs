//! Where the data of a pack came from: every source named is known, and no file changed unnoticed.

use std::collections::BTreeMap;

use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::tables::source::{Defect, Files, Source};

/// The file that says where every other came from.
pub const FILE: &str = "PROVENANCE.toml";

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Provenance {
    #[serde(default)]
    pub row: Vec<ProvenanceRow>,
}

#[derive(Debug, Default, Deserialize)]
pub(crate) struct ProvenanceRow {
    #[serde(default)]
    pub id: String,
    /// Relative to the pack, or to the folder of all packs with the pack's name first.
    #[serde(default)]
    pub file: String,
    #[serde(default)]
    pub sha256: String,
}

pub(super) fn check(files: &Files, source: &Source) -> Vec<Defect> {
    let mut defects = Vec::new();
    let warn = |row: u64, code: &'static str, what: String, remedy: &str| Defect {
        file: FILE.to_owned(),
        row,
        code,
        what,
        remedy: remedy.to_owned(),
        warning: true,
    };
    let provenance = match files.get(FILE).map(|bytes| toml::from_str::<Provenance>(&String::from_utf8_lossy(bytes))) {
        Some(Ok(provenance)) => provenance,
        Some(Err(error)) => {
            defects.push(Defect {
                warning: false,
                ..warn(0, "bad_row", error.message().to_owned(), "write [[row]] tables with id, file and sha256")
            });
            return defects;
        }
        None => Provenance::default(),
    };
    let ids: Vec<&str> = provenance.row.iter().map(|row| row.id.as_str()).collect();
    for row in source.overlays.iter().filter(|row| !ids.contains(&row.value.provenance.as_str())) {
        let what = format!("overlay `{}` came from `{}`, of which {FILE} knows nothing", row.value.id, row.value.provenance);
        defects
            .push(Defect { warning: true, ..row.defect("unknown_provenance", what, "add a [[row]] with this id, or name the right one") });
    }
    let pack_folder = format!("{}/", source.pack.name);
    let sums: BTreeMap<&str, String> = files.iter().map(|(name, bytes)| (name.as_str(), sha256_hex(bytes))).collect();
    for (index, row) in provenance.row.iter().enumerate().filter(|(_, row)| !row.sha256.is_empty()) {
        let name = row.file.strip_prefix(&pack_folder).unwrap_or(&row.file);
        if sums.get(name).is_some_and(|sum| !sum.eq_ignore_ascii_case(&row.sha256)) {
            let what = format!("{name} is not the file that {FILE} describes (row `{}`)", row.id);
            defects.push(warn(index as u64 + 1, "file_changed", what, "say what was changed in its row and write the new sha256"));
        }
    }
    defects
}

/// SHA-256 as 64 lower-case hexadecimal digits.
pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
