//! Checkpoints, one file each: what a restart needs of the journal up to one entry.
//!
//! ```text
//! checkpoints/checkpoint-00-00000000000000004711.najda
//! "NAJDA-C1" 8 | SHA-256 of all that follows 32 | partition 2 | seq 8 | chain hash 32 | needed from seq 8 | bytes
//! ```
//!
//! A checkpoint can always be made again from the journal, so a bad one is passed over and never repaired.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::fault::Fault;
use super::folder;
use crate::journal::chain::{Anchor, ChainHash};
use crate::limits::{BLOB_BYTES_MAX, CHECKPOINTS_KEPT};
use crate::store::{Checkpoint, Partition, StoreError};

const MAGIC: &[u8; 8] = b"NAJDA-C1";
const HEAD_BYTES: usize = 8 + 32 + 2 + 8 + 32 + 8;

/// The folder of checkpoints.
#[derive(Debug)]
pub(super) struct Checkpoints {
    folder: PathBuf,
}

impl Checkpoints {
    /// Reads nothing; the folder is made when the first one is kept.
    pub(super) fn of(state_folder: &Path) -> Self {
        Self { folder: state_folder.join("checkpoints") }
    }

    /// Keeps one, and removes those that are too old, or of a journal that went further than this one does.
    pub(super) fn put(&self, partition: Partition, checkpoint: &Checkpoint) -> Result<(), StoreError> {
        let (anchor, bytes) = (checkpoint.anchor, checkpoint.bytes.as_slice());
        if bytes.len() > BLOB_BYTES_MAX {
            return Err(StoreError::CheckpointTooLong { most: BLOB_BYTES_MAX, got: bytes.len() });
        }
        folder::prepare(&self.folder)?;
        let mut head = Vec::with_capacity(HEAD_BYTES);
        head.extend_from_slice(&partition.number().to_le_bytes());
        head.extend_from_slice(&anchor.seq.to_le_bytes());
        head.extend_from_slice(&anchor.hash.0);
        head.extend_from_slice(&checkpoint.needed_from_seq.to_le_bytes());
        let hash = Sha256::new().chain_update(&head).chain_update(bytes).finalize();
        let path = self.path(partition, anchor.seq);
        let failed = |error: io::Error| Fault::of_io("keep a checkpoint", &path, &error);
        folder::write_whole(&path, &[MAGIC, &hash, &head, bytes]).map_err(failed)?;
        let mut older = 0;
        for seq in self.seqs(partition)? {
            older += usize::from(seq <= anchor.seq);
            if seq > anchor.seq || older > CHECKPOINTS_KEPT {
                folder::remove_if_there(&self.path(partition, seq)).map_err(failed)?;
            }
        }
        Ok(())
    }

    /// What they are of, the newest first.
    pub(super) fn seqs(&self, partition: Partition) -> Result<Vec<u64>, StoreError> {
        let list = || -> io::Result<Vec<u64>> {
            let mut seqs = Vec::new();
            for file in fs::read_dir(&self.folder)? {
                let named = file?.file_name().to_str().and_then(name_of);
                seqs.extend(named.filter(|(of, _)| *of == partition.number()).map(|(_, seq)| seq));
            }
            seqs.sort_unstable_by(|one, other| other.cmp(one));
            Ok(seqs)
        };
        match list() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            listed => listed.map_err(|error| Fault::of_io("list the checkpoints", &self.folder, &error)),
        }
    }

    /// One of them, whole.
    pub(super) fn read(&self, partition: Partition, seq: u64) -> Result<Checkpoint, StoreError> {
        let path = self.path(partition, seq);
        let read = || -> io::Result<Vec<u8>> {
            let mut kept = Vec::new();
            let mut file = File::open(&path)?;
            Read::by_ref(&mut file).take((HEAD_BYTES + BLOB_BYTES_MAX) as u64 + 1).read_to_end(&mut kept)?;
            Ok(kept)
        };
        let kept = read().map_err(|error| Fault::of_io("read a checkpoint", &path, &error))?;
        let checkpoint = contents(kept, partition).filter(|checkpoint| checkpoint.anchor.seq == seq);
        checkpoint.ok_or(StoreError::CheckpointDamaged { seq })
    }

    /// The places of the chain that good checkpoints name.
    pub(super) fn anchors(&self, partition: Partition) -> Vec<Anchor> {
        let seqs = self.seqs(partition).unwrap_or_default();
        seqs.into_iter().filter_map(|seq| Some(self.read(partition, seq).ok()?.anchor)).collect()
    }

    fn path(&self, partition: Partition, seq: u64) -> PathBuf {
        self.folder.join(format!("checkpoint-{:02}-{seq:020}.najda", partition.number()))
    }
}

fn name_of(file_name: &str) -> Option<(u16, u64)> {
    let (partition, seq) = file_name.strip_prefix("checkpoint-")?.strip_suffix(".najda")?.split_once('-')?;
    Some((partition.parse().ok()?, seq.parse().ok()?))
}

fn contents(mut kept: Vec<u8>, partition: Partition) -> Option<Checkpoint> {
    let (magic, rest) = kept.split_first_chunk::<8>()?;
    let (hash, rest) = rest.split_first_chunk::<32>()?;
    if magic != MAGIC || Sha256::digest(rest).as_slice() != hash {
        return None;
    }
    let (of, rest) = rest.split_first_chunk::<2>()?;
    let (seq, rest) = rest.split_first_chunk::<8>()?;
    let (chain, rest) = rest.split_first_chunk::<32>()?;
    let (needed, _) = rest.split_first_chunk::<8>()?;
    let anchor = Anchor { seq: u64::from_le_bytes(*seq), hash: ChainHash(*chain) };
    let (of, needed_from_seq) = (u16::from_le_bytes(*of), u64::from_le_bytes(*needed));
    kept.drain(..HEAD_BYTES);
    (of == partition.number()).then_some(Checkpoint { anchor, needed_from_seq, bytes: kept })
}
