//! What went wrong at the disk, and whether the file can still be trusted.

use std::path::Path;

use rusqlite::{Error, ErrorCode, ffi};

use crate::store::StoreError;

/// A failed step, judged.
#[derive(Clone, Debug)]
pub(super) enum Fault {
    /// The file is as it was before: the same step may be tried again.
    Again(StoreError),
    /// What the file holds beyond the last good commit is not known. It is never written or synced again.
    File(StoreError),
}

impl Fault {
    pub(super) fn error(&self) -> &StoreError {
        let (Self::Again(error) | Self::File(error)) = self;
        error
    }

    pub(super) fn into_error(self) -> StoreError {
        let (Self::Again(error) | Self::File(error)) = self;
        error
    }

    /// Judges an answer of SQLite.
    ///
    /// A failed write or sync is final for its file: the kernel may have dropped the pages and called them clean, so a second sync
    /// would succeed without having written anything. A full disk is not: SQLite rolled the transaction back.
    pub(super) fn of(doing: &'static str, error: &Error) -> Self {
        let cause: Box<str> = error.to_string().into();
        let Some(answer) = error.sqlite_error() else { return Self::File(StoreError::DiskFailed { doing, cause }) };
        match answer.extended_code {
            ffi::SQLITE_IOERR_SHMSIZE | ffi::SQLITE_IOERR_SHMMAP => return Self::Again(StoreError::DiskFull { doing, cause }),
            ffi::SQLITE_IOERR_NOMEM => return Self::Again(StoreError::StoreBusy { doing }),
            _ => {}
        }
        match answer.code {
            ErrorCode::DiskFull => Self::Again(StoreError::DiskFull { doing, cause }),
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::OutOfMemory => Self::Again(StoreError::StoreBusy { doing }),
            _ => Self::File(StoreError::DiskFailed { doing, cause }),
        }
    }

    /// Judges an answer of the file system about a file that holds nothing yet.
    pub(super) fn of_io(doing: &'static str, path: &Path, error: &std::io::Error) -> StoreError {
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
        let cause = format!("{name}: {error}").into();
        match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => StoreError::DiskFull { doing, cause },
            _ => StoreError::DiskFailed { doing, cause },
        }
    }
}

/// Whether the file's own structure is damaged, so that parts of it cannot be read.
pub(super) fn is_damage(error: &Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
        || matches!(error, Error::InvalidColumnType(..) | Error::FromSqlConversionFailure(..) | Error::IntegralValueOutOfRange(..))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(extended_code: i32) -> Fault {
        Fault::of("commit", &Error::SqliteFailure(ffi::Error::new(extended_code), None))
    }

    #[test]
    fn a_failed_sync_or_write_or_a_damaged_file_ends_the_file() {
        for code in [ffi::SQLITE_IOERR_FSYNC, ffi::SQLITE_IOERR_WRITE, ffi::SQLITE_CORRUPT, ffi::SQLITE_NOTADB, ffi::SQLITE_READONLY] {
            assert!(matches!(judge(code), Fault::File(StoreError::DiskFailed { doing: "commit", .. })), "{code}");
        }
    }

    #[test]
    fn a_full_disk_or_a_held_lock_leaves_the_file_usable() {
        assert!(matches!(judge(ffi::SQLITE_FULL), Fault::Again(StoreError::DiskFull { .. })));
        assert!(matches!(judge(ffi::SQLITE_IOERR_SHMSIZE), Fault::Again(StoreError::DiskFull { .. })));
        assert!(matches!(judge(ffi::SQLITE_BUSY), Fault::Again(StoreError::StoreBusy { .. })));
    }
}
