//! Packs on disk: a folder into [`Files`] and back.
//!
//! Reading is bounded, so that a wrong folder (a home directory, a disk image) is an error and not an hour. Writing goes to a folder
//! beside the target, which takes the target's name only when it is complete: a reader never finds half a pack.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::limits::{PACK_BYTES_MAX, PACK_FILES_MAX};
use crate::tables::snapshot::Tables;
use crate::tables::source::{Defect, Files};
use crate::tables::{build, compiled};

/// Where the packs of one repository say together where their files came from.
const PROVENANCE: &str = "PROVENANCE.toml";

/// Why a folder could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FolderError {
    #[error("{path}: {source}")]
    Disk { path: PathBuf, source: io::Error },
    #[error("{path} is not a folder")]
    NotAFolder { path: PathBuf },
    #[error("{path} has more than {PACK_FILES_MAX} files; give the folder of one pack")]
    TooManyFiles { path: PathBuf },
    #[error("{path} has more than {PACK_BYTES_MAX} bytes; give the folder of one pack")]
    TooLarge { path: PathBuf },
    #[error("{path} exists already; remove it, or name another folder")]
    Exists { path: PathBuf },
    #[error("`{name}` would be written outside the pack's folder")]
    Outside { name: String },
}

/// Reads all files of a pack. Hidden files are not part of it. A pack without provenance of its own takes the one beside it.
///
/// # Errors
/// The folder is missing, unreadable, or beyond [`PACK_FILES_MAX`] or [`PACK_BYTES_MAX`].
pub fn read_folder(dir: &Path) -> Result<Files, FolderError> {
    if !dir.is_dir() {
        return Err(FolderError::NotAFolder { path: dir.to_owned() });
    }
    let mut reader = Reader { root: dir, files: Files::new(), bytes: 0 };
    reader.folder(dir, "")?;
    let Reader { mut files, .. } = reader;
    if !files.contains_key(PROVENANCE) {
        let beside = fs::canonicalize(dir).ok().and_then(|dir| dir.parent().map(|parent| parent.join(PROVENANCE)));
        if let Some(bytes) = beside.and_then(|path| fs::read(path).ok()) {
            files.insert(PROVENANCE.to_owned(), bytes);
        }
    }
    Ok(files)
}

struct Reader<'a> {
    root: &'a Path,
    files: Files,
    bytes: u64,
}

impl Reader<'_> {
    fn folder(&mut self, dir: &Path, prefix: &str) -> Result<(), FolderError> {
        let disk = |source| FolderError::Disk { path: dir.to_owned(), source };
        for entry in fs::read_dir(dir).map_err(disk)? {
            let entry = entry.map_err(disk)?;
            let file_name = entry.file_name();
            let Some(name) = file_name.to_str().filter(|name| !name.starts_with('.')) else { continue };
            let (path, name) = (entry.path(), format!("{prefix}{name}"));
            let disk = |source| FolderError::Disk { path: path.clone(), source };
            let kind = entry.file_type().map_err(disk)?;
            if kind.is_dir() {
                self.folder(&path, &format!("{name}/"))?;
                continue;
            }
            // A link may point to a file of another pack; a link to a folder could point to itself.
            let metadata = fs::metadata(&path).map_err(disk)?;
            if !metadata.is_file() {
                continue;
            }
            self.bytes += metadata.len();
            if self.bytes > PACK_BYTES_MAX {
                return Err(FolderError::TooLarge { path: self.root.to_owned() });
            }
            if self.files.len() >= PACK_FILES_MAX {
                return Err(FolderError::TooManyFiles { path: self.root.to_owned() });
            }
            self.files.insert(name, fs::read(&path).map_err(disk)?);
        }
        Ok(())
    }
}

/// Writes a pack into a new folder, or into an empty one.
///
/// # Errors
/// The folder holds something already, or the disk refuses; then nothing with the target's name is left half written.
pub fn write_folder(dir: &Path, files: &Files) -> Result<(), FolderError> {
    let disk = |path: &Path| {
        let path = path.to_owned();
        move |source| FolderError::Disk { path, source }
    };
    if let Some(name) = files.keys().find(|name| Path::new(name).components().any(|part| !matches!(part, std::path::Component::Normal(_))))
    {
        return Err(FolderError::Outside { name: name.clone() });
    }
    if dir.exists() {
        let empty = dir.is_dir() && fs::read_dir(dir).map_err(disk(dir))?.next().is_none();
        if !empty {
            return Err(FolderError::Exists { path: dir.to_owned() });
        }
    }
    let mut beside = dir.as_os_str().to_owned();
    beside.push(format!(".{}.tmp", std::process::id()));
    let beside = PathBuf::from(beside);
    let written = write_files(&beside, files).and_then(|()| {
        if dir.exists() {
            fs::remove_dir(dir).map_err(disk(dir))?;
        }
        fs::rename(&beside, dir).map_err(disk(dir))
    });
    if written.is_err() {
        // The first error is the one to tell; what is left of the attempt is of no use to anybody.
        let _ = fs::remove_dir_all(&beside);
    }
    written
}

fn write_files(dir: &Path, files: &Files) -> Result<(), FolderError> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |source| FolderError::Disk { path, source }
    };
    fs::create_dir_all(dir).map_err(at(dir))?;
    for (name, bytes) in files {
        let path = dir.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(at(parent))?;
        }
        fs::write(&path, bytes).map_err(at(&path))?;
    }
    Ok(())
}

// --- sets ready to decide with ---

mod shipped {
    include!(concat!(env!("OUT_DIR"), "/shipped.rs"));
}

/// The table set inside the binary: the United Arab Emirates.
pub fn shipped() -> Files {
    shipped::SHIPPED.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.to_vec())).collect()
}

/// A set and its compiled bytes.
pub struct Loaded {
    pub tables: Arc<Tables>,
    pub bytes: Vec<u8>,
}

/// Why a set cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error("{path}: {source}")]
    Compiled { path: PathBuf, source: compiled::CompiledError },
    #[error("{path}: {source}")]
    Disk { path: PathBuf, source: io::Error },
    #[error("{}", defects_text(.0))]
    Defects(Vec<Defect>),
}

fn defects_text(defects: &[Defect]) -> String {
    const SHOWN: usize = 20;
    let mut text = format!("the table set has {} defects and is refused:", defects.len());
    for defect in defects.iter().take(SHOWN) {
        text.push_str(&format!("\n{defect}"));
    }
    if defects.len() > SHOWN {
        text.push_str(&format!("\n... and {} more; `najda tables check DIR` shows all", defects.len() - SHOWN));
    }
    text
}

/// A folder of rows, a compiled file, or the shipped set when no path is given.
///
/// # Errors
/// See [`LoadError`]; every defect of the set is named.
pub fn load_or_shipped(path: Option<&Path>) -> Result<Loaded, LoadError> {
    let Some(path) = path else { return load_files(&shipped()) };
    if path.is_dir() {
        return load_files(&read_folder(path)?);
    }
    let bytes = fs::read(path).map_err(|source| LoadError::Disk { path: path.to_owned(), source })?;
    let tables = compiled::from_bytes(&bytes).map_err(|source| LoadError::Compiled { path: path.to_owned(), source })?;
    Ok(Loaded { tables: Arc::new(tables), bytes })
}

/// Builds a set from its files.
///
/// # Errors
/// Every defect that stands in the way.
pub fn load_files(files: &Files) -> Result<Loaded, LoadError> {
    let tables = build::build(files).map_err(LoadError::Defects)?;
    let bytes = compiled::to_bytes(files, &tables);
    Ok(Loaded { tables: Arc::new(tables), bytes })
}
