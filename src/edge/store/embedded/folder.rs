//! The state folder: who may read it, who holds it, and that what was created stays created.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::fault::Fault;
use crate::store::StoreError;

/// Only the service's own user may look inside: the journal holds callers' data.
const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
/// A large file is synced after each of these, so that a commit on the same disk never waits for all of it.
const SYNC_BYTES: usize = 2 * 1024 * 1024;

/// Creates `folder` if need be, for its owner only, and sees to it that its name survives a power cut.
pub(super) fn prepare(folder: &Path) -> Result<(), StoreError> {
    let create = || -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder)?;
        fs::set_permissions(folder, Permissions::from_mode(FOLDER_MODE))?;
        sync(folder)?;
        match folder.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            Some(parent) => sync(parent),
            None => Ok(()),
        }
    };
    create().map_err(|error| Fault::of_io("create the state folder", folder, &error))
}

/// A name that was created or renamed is durable only once its folder is synced.
pub(super) fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// A new empty file for its owner only; fails if it exists.
pub(super) fn create_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(path)
}

/// Writes a file whole or not at all: under another name first, then renamed.
pub(super) fn write_whole(path: &Path, parts: &[&[u8]]) -> io::Result<()> {
    let unfinished = path.with_extension("unfinished");
    remove_if_there(&unfinished)?;
    let write = || -> io::Result<()> {
        let mut file = create_file(&unfinished)?;
        for chunk in parts.iter().flat_map(|part| part.chunks(SYNC_BYTES)) {
            file.write_all(chunk)?;
            if chunk.len() == SYNC_BYTES {
                file.sync_data()?;
            }
        }
        file.sync_all()?;
        fs::rename(&unfinished, path)?;
        path.parent().map_or(Ok(()), sync)
    };
    // What is unfinished after a failure only takes up the space that was short.
    write().inspect_err(|_| drop(fs::remove_file(&unfinished)))
}

pub(super) fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Removes a database with the files SQLite keeps beside it.
pub(super) fn remove_database(path: &Path) -> io::Result<()> {
    let beside = |end: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(end);
        PathBuf::from(name)
    };
    // The log first: left alone it would be replayed into the next file of this name.
    [beside("-wal"), beside("-shm"), path.to_owned()].iter().try_for_each(|path| remove_if_there(path))
}

/// Held as long as this lives; the kernel lets go of it when the process dies, however it dies.
#[derive(Debug)]
pub(super) struct Held {
    _file: File,
}

impl Held {
    /// Takes the lock `name` in `folder`.
    pub(super) fn take(folder: &Path, name: &str) -> Result<Self, StoreError> {
        let path = folder.join(name);
        let open = OpenOptions::new().write(true).create(true).truncate(false).mode(FILE_MODE).open(&path);
        let file = open.map_err(|error| Fault::of_io("open the lock", &path, &error))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(fs::TryLockError::WouldBlock) => Err(StoreError::FolderHeld { folder: folder.to_string_lossy().into() }),
            Err(fs::TryLockError::Error(error)) => Err(Fault::of_io("take the lock", &path, &error)),
        }
    }
}
