//! Which of the oldest files may go, and their going.
//!
//! Whole files only, oldest first, so that what is left is always the end of the log. The chain must have said so before: the caller
//! appends a removal, waits until it is held, and only then has the files removed.

use std::fs;

use super::archive::{Archive, Last};
use super::checkpoints::Checkpoints;
use super::fault::Fault;
use super::{folder, projection, segment};
use crate::journal::chain::Anchor;
use crate::store::{KeptWhy, Partition, Removable, StoreError};
use crate::units::Timestamp;

/// The files from the oldest on that nobody needs and whose entries are all older than `older_than`.
pub(super) fn removable(
    archive: &Archive,
    checkpoints: &Checkpoints,
    partition: Partition,
    older_than: Timestamp,
) -> Result<Removable, StoreError> {
    let mut found = Removable { before: None, segment_count: 0, byte_count: 0, kept: KeptWhy::Newest };
    let Some(needed_from_seq) = needed_from(checkpoints, partition)? else { return Ok(Removable { kept: KeptWhy::NoCheckpoint, ..found }) };
    let shown_to = projection::next_seq(archive.folder(), partition)?.unwrap_or(u64::MAX);
    for file in archive.old_files(partition)? {
        let (last, why) = match file.last {
            Last::Nothing => (None, None),
            Last::Entry { seq, at } => (Some(seq), (at >= older_than).then_some(KeptWhy::Young)),
        };
        let seq = last.unwrap_or(0);
        let why = why
            .or(file.is_shared.then_some(KeptWhy::OtherPartition))
            .or((seq >= needed_from_seq).then_some(KeptWhy::Needed { seq: needed_from_seq }))
            .or((seq >= shown_to).then_some(KeptWhy::NotShown { seq: shown_to }));
        if let Some(kept) = why {
            return Ok(Removable { kept, ..found });
        }
        let size = fs::metadata(segment::path_of(archive.folder(), file.number)).map_or(0, |file| file.len());
        found = Removable {
            before: Some(file.end),
            segment_count: found.segment_count + 1,
            byte_count: found.byte_count + size,
            kept: KeptWhy::Newest,
        };
    }
    Ok(found)
}

/// The oldest entry that any kept checkpoint needs, so that a start can also fall back to the older one.
fn needed_from(checkpoints: &Checkpoints, partition: Partition) -> Result<Option<u64>, StoreError> {
    let seqs = checkpoints.seqs(partition)?;
    let good = seqs.into_iter().filter_map(|seq| checkpoints.read(partition, seq).ok());
    Ok(good.map(|checkpoint| checkpoint.needed_from_seq.min(checkpoint.anchor.seq + 1)).min())
}

/// Removes every file whose entries all stand at `before` or earlier.
pub(super) fn remove(archive: &Archive, partition: Partition, before: Anchor) -> Result<(), StoreError> {
    for file in archive.old_files(partition)?.into_iter().take_while(|file| file.end.seq <= before.seq && !file.is_shared) {
        let path = segment::path_of(archive.folder(), file.number);
        archive.remove(file.number);
        let removed = folder::remove_database(&path).and_then(|()| folder::sync(archive.folder()));
        removed.map_err(|error| Fault::of_io("remove an old journal file", &path, &error))?;
        tracing::info!(segment = file.number, through_seq = file.end.seq, "an old journal file was removed");
    }
    Ok(())
}
