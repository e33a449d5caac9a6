//! Table sets, one file each beside the journal.
//!
//! Files and not rows: a table set of a hundred megabytes inside the log would hold up every commit behind it.
//!
//! ```text
//! "NAJDA-B1" 8 | SHA-256 of the bytes 32 | bytes
//! ```

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};

use super::fault::Fault;
use super::folder;
use crate::limits::BLOB_BYTES_MAX;
use crate::store::{BlobName, StoreError};
use crate::units::Timestamp;

const MAGIC: &[u8; 8] = b"NAJDA-B1";
const HEAD_BYTES: usize = MAGIC.len() + 32;

/// The folder of blobs.
#[derive(Debug)]
pub(super) struct Blobs {
    folder: PathBuf,
    changing: Mutex<()>,
}

impl Blobs {
    pub(super) fn open(state_folder: &Path) -> Result<Self, StoreError> {
        let folder = state_folder.join("blobs");
        folder::prepare(&folder)?;
        Ok(Self { folder, changing: Mutex::new(()) })
    }

    pub(super) fn put(&self, name: BlobName, bytes: &[u8]) -> Result<(), StoreError> {
        if bytes.len() > BLOB_BYTES_MAX {
            return Err(StoreError::BlobTooLong { name, most: BLOB_BYTES_MAX, got: bytes.len() });
        }
        let _alone = self.changing();
        match self.read(name) {
            Ok(Some(kept)) if kept == bytes => return self.touch(name),
            Ok(Some(_)) => return Err(StoreError::BlobDiffers { name }),
            // A damaged file is of no use to anyone: it is replaced.
            Ok(None) | Err(StoreError::BlobDamaged { .. }) => {}
            Err(error) => return Err(error),
        }
        let path = self.path(name);
        let hash = Sha256::digest(bytes);
        folder::write_whole(&path, &[MAGIC, &hash, bytes]).map_err(|error| Fault::of_io("keep a blob", &path, &error))
    }

    /// Whoever puts a blob is about to name it: it counts as new.
    fn touch(&self, name: BlobName) -> Result<(), StoreError> {
        let path = self.path(name);
        let touched = OpenOptions::new().append(true).open(&path).and_then(|file| file.set_modified(Self::now()));
        touched.map_err(|error| Fault::of_io("keep a blob", &path, &error))
    }

    #[expect(clippy::disallowed_methods, reason = "the time of a file, beside those the file system gives")]
    fn now() -> SystemTime {
        SystemTime::now()
    }

    /// Puts and removals of one process take turns.
    fn changing(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes a blob that nobody has put since; true when it is gone.
    pub(super) fn remove_untouched(&self, name: BlobName, since: Timestamp) -> Result<bool, StoreError> {
        let _alone = self.changing();
        let path = self.path(name);
        let modified =
            fs::metadata(&path).and_then(|file| file.modified()).map_err(|error| Fault::of_io("look at a blob", &path, &error))?;
        if modified >= SystemTime::UNIX_EPOCH + Duration::from_micros(since.unix_micros) {
            return Ok(false);
        }
        self.remove(name).map(|()| true)
    }

    pub(super) fn read(&self, name: BlobName) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.path(name);
        let failed = |error: io::Error| Fault::of_io("read a blob", &path, &error);
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let mut kept = Vec::with_capacity(file.metadata().map_or(0, |metadata| metadata.len() as usize).min(HEAD_BYTES + BLOB_BYTES_MAX));
        let most = (HEAD_BYTES + BLOB_BYTES_MAX) as u64 + 1;
        Read::by_ref(&mut file).take(most).read_to_end(&mut kept).map_err(failed)?;
        contents(kept).map(Some).ok_or(StoreError::BlobDamaged { name })
    }

    pub(super) fn remove(&self, name: BlobName) -> Result<(), StoreError> {
        let path = self.path(name);
        let remove = folder::remove_if_there(&path).and_then(|()| folder::sync(&self.folder));
        remove.map_err(|error| Fault::of_io("remove a blob", &path, &error))
    }

    /// The names of all that is kept, in order.
    pub(super) fn names(&self) -> Result<Vec<BlobName>, StoreError> {
        let list = || -> io::Result<Vec<BlobName>> {
            let mut names = Vec::new();
            for file in fs::read_dir(&self.folder)? {
                names.extend(file?.file_name().to_str().and_then(name_of));
            }
            names.sort_unstable();
            Ok(names)
        };
        list().map_err(|error| Fault::of_io("list the blobs", &self.folder, &error))
    }

    fn path(&self, name: BlobName) -> PathBuf {
        self.folder.join(format!("{name}.blob"))
    }
}

fn contents(mut kept: Vec<u8>) -> Option<Vec<u8>> {
    let (magic, rest) = kept.split_at_checked(MAGIC.len())?;
    let (hash, bytes) = rest.split_at_checked(32)?;
    let whole = magic == MAGIC && hash == Sha256::digest(bytes).as_slice();
    whole.then(|| {
        kept.drain(..HEAD_BYTES);
        kept
    })
}

fn name_of(file_name: &str) -> Option<BlobName> {
    let hex = file_name.strip_suffix(".blob").filter(|hex| hex.len() == 64 && hex.is_ascii())?;
    let mut name = [0; 32];
    for (index, byte) in name.iter_mut().enumerate() {
        *byte = u8::from_str_radix(hex.get(index * 2..index * 2 + 2)?, 16).ok()?;
    }
    Some(BlobName(name))
}
