//! All files of a journal, read beside the writer: pages for a replay, the walk for a verification.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use rusqlite::Connection;

use super::fault::{Fault, is_damage};
use super::segment::{self, ChainStart};
use crate::edge::store::ledger::Tip;
use crate::journal::chain::{Anchor, Break, BreakKind, ChainHash, Verification, Verified, Verifier};
use crate::journal::entry::{Entry, Hole, Removal};
use crate::limits::{COMMIT_BYTES_MAX, READ_ENTRIES_MAX};
use crate::store::{Epoch, Page, Partition, StoreError};
use crate::units::Timestamp;

/// Open files kept for the next reader.
const READERS_KEPT: usize = 8;

/// One file and the chains it takes up.
#[derive(Clone, Debug)]
struct Segment {
    number: u32,
    starts: BTreeMap<Partition, ChainStart>,
}

/// The part of a partition's log that one file answers for: a later file takes over from its own start on.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    number: u32,
    start: ChainStart,
    last_seq: u64,
}

/// A file that another follows.
#[derive(Clone, Copy, Debug)]
pub(super) struct OldFile {
    pub number: u32,
    pub last: Last,
    /// The chain where the next file takes it up.
    pub end: Anchor,
    /// Another partition has entries in it.
    pub is_shared: bool,
}

/// The last entry of a partition in one file.
#[derive(Clone, Copy, Debug)]
pub(super) enum Last {
    Entry { seq: u64, at: Timestamp },
    Nothing,
}

/// The files of a journal, oldest first.
#[derive(Debug)]
pub(super) struct Archive {
    folder: PathBuf,
    segments: RwLock<Vec<Segment>>,
    readers: Mutex<Vec<(u32, Connection)>>,
}

impl Archive {
    pub(super) const fn new(folder: PathBuf) -> Self {
        Self { folder, segments: RwLock::new(Vec::new()), readers: Mutex::new(Vec::new()) }
    }

    /// Reads the starts of every file of the folder without writing anything.
    pub(super) fn open(folder: PathBuf) -> Result<Self, StoreError> {
        let archive = Self::new(folder);
        for number in numbers(&archive.folder)? {
            let path = segment::path_of(&archive.folder, number);
            let starts = || -> rusqlite::Result<Result<Option<Vec<_>>, StoreError>> {
                let conn = segment::open_to_read(&path)?;
                Ok(match segment::check_format(&conn, &path)? {
                    Ok(true) => Ok(Some(segment::chain_starts(&conn)?)),
                    Ok(false) => Ok(None),
                    Err(error) => Err(error),
                })
            };
            match starts() {
                Ok(starts) => archive.add(number, starts?.unwrap_or_default()),
                Err(error) if is_damage(&error) => archive.add(number, []),
                Err(error) => return Err(Fault::of("read a journal file", &error).into_error()),
            }
        }
        Ok(archive)
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn add(&self, number: u32, starts: impl IntoIterator<Item = (Partition, ChainStart)>) {
        let mut segments = self.segments.write().unwrap_or_else(PoisonError::into_inner);
        segments.push(Segment { number, starts: starts.into_iter().collect() });
    }

    pub(super) fn add_start(&self, number: u32, partition: Partition, start: ChainStart) {
        let mut segments = self.segments.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(segment) = segments.iter_mut().find(|segment| segment.number == number) {
            segment.starts.insert(partition, start);
        }
    }

    /// Forgets a file that held nothing.
    pub(super) fn remove(&self, number: u32) {
        self.readers().retain(|(reader, _)| *reader != number);
        self.segments.write().unwrap_or_else(PoisonError::into_inner).retain(|segment| segment.number != number);
    }

    pub(super) fn partitions(&self) -> Vec<Partition> {
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        let mut partitions: Vec<Partition> = segments.iter().flat_map(|segment| segment.starts.keys().copied()).collect();
        partitions.sort_unstable();
        partitions.dedup();
        partitions
    }

    /// The last sequence number that can be read; 0 when there is none.
    pub(super) fn last_seq(&self, partition: Partition) -> Result<u64, StoreError> {
        let Some(last) = self.stretches(partition).last().copied() else { return Ok(0) };
        self.reading(last.number, |conn| Ok(segment::last_before(conn, partition, Entry::SEQ_MAX)?.unwrap_or(last.start.before()).seq))
            .map_err(|error| Fault::of("find the end of the journal", &error).into_error())
    }

    /// Like [`Archive::last_seq`], from whichever files can be read.
    pub(super) fn last_readable_seq(&self, partition: Partition) -> u64 {
        let last = |stretch: &Stretch| {
            let found = self.reading(stretch.number, |conn| segment::last_before(conn, partition, Entry::SEQ_MAX)).ok().flatten();
            found.map_or(stretch.start.before().seq, |found| found.seq)
        };
        self.stretches(partition).iter().map(last).max().unwrap_or(0)
    }

    pub(super) fn last_readable_epoch(&self, partition: Partition) -> Epoch {
        let epoch = |stretch: &Stretch| self.reading(stretch.number, |conn| segment::epoch(conn, partition)).unwrap_or_default();
        self.stretches(partition).iter().map(epoch).max().unwrap_or_default()
    }

    pub(super) fn read(&self, partition: Partition, from_seq: u64, entry_count_max: usize) -> Result<Page, StoreError> {
        self.unless_removed(|| self.try_read(partition, from_seq, entry_count_max))
    }

    /// Old files may be removed while somebody reads them: then it reads again, from what is left.
    fn unless_removed<T>(&self, read: impl Fn() -> Result<T, StoreError>) -> Result<T, StoreError> {
        loop {
            let oldest = self.forget_removed();
            let done = read();
            if done.is_ok() || self.forget_removed() == oldest {
                return done;
            }
        }
    }

    /// Forgets the oldest files as far as they are not there any more; returns the oldest that is.
    fn forget_removed(&self) -> Option<u32> {
        let is_there = |segment: &&Segment| segment::path_of(&self.folder, segment.number).exists();
        let oldest = {
            let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
            segments.first().filter(is_there).map(|segment| segment.number)
        };
        if oldest.is_none() {
            let mut segments = self.segments.write().unwrap_or_else(PoisonError::into_inner);
            let gone = segments.iter().take_while(|segment| !is_there(segment)).count();
            segments.drain(..gone);
            return segments.first().map(|segment| segment.number);
        }
        oldest
    }

    fn try_read(&self, partition: Partition, from_seq: u64, entry_count_max: usize) -> Result<Page, StoreError> {
        let most = entry_count_max.clamp(1, READ_ENTRIES_MAX);
        let stretches = self.stretches(partition);
        // The stretch that answers for `from_seq`, or the oldest when earlier files were moved away.
        let first = stretches.iter().rposition(|stretch| stretch.start.first_seq <= from_seq).unwrap_or(0);
        let mut page = Page::default();
        let mut from_seq = from_seq.max(stretches.get(first).map_or(1, |stretch| stretch.start.first_seq));
        for (index, stretch) in stretches.iter().enumerate().skip(first) {
            let mut filling = Filling { page, most, bytes_left: COMMIT_BYTES_MAX, full: false };
            let end = self.read_stretch(partition, *stretch, from_seq, &mut |read| filling.take(read))?;
            page = filling.page;
            if !page.is_empty() {
                page.end = end.head();
            }
            if filling.full {
                page.next_seq = Some(end.next_seq());
                return Ok(page);
            }
            if let Some(next) = stretches.get(index + 1) {
                page.breaks.extend(seam(&end, next.start));
                from_seq = next.start.first_seq;
            }
        }
        Ok(page)
    }

    /// The files before the newest one, oldest first.
    pub(super) fn old_files(&self, partition: Partition) -> Result<Vec<OldFile>, StoreError> {
        let stretches = self.stretches(partition);
        let mut files = Vec::with_capacity(stretches.len());
        for (stretch, next) in stretches.iter().zip(stretches.iter().skip(1)) {
            let last = self.reading(stretch.number, |conn| segment::last_time(conn, partition, stretch.last_seq));
            let last = last.map_err(|error| Fault::of("read the journal", &error).into_error())?;
            let last = last.map_or(Last::Nothing, |(seq, at)| Last::Entry { seq, at });
            files.push(OldFile { number: stretch.number, last, end: next.start.before(), is_shared: self.is_shared(stretch.number) });
        }
        Ok(files)
    }

    fn is_shared(&self, number: u32) -> bool {
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        segments.iter().any(|segment| segment.number == number && segment.starts.len() > 1)
    }

    /// The time of the first entry that is kept.
    pub(super) fn first_time(&self, partition: Partition) -> Result<Timestamp, StoreError> {
        let page = self.read(partition, 1, 1)?;
        let entry = page.entries.first().map(|entry| entry.at);
        Ok(entry.or(page.holes.first().map(|hole| hole.at)).or(page.removals.first().map(|(_, removal)| removal.at)).unwrap_or_default())
    }

    /// The first sequence number that is kept; 1 until old ones were removed.
    pub(super) fn first_seq(&self, partition: Partition) -> u64 {
        self.stretches(partition).first().map_or(1, |first| first.start.first_seq)
    }

    /// A file after this one cannot be read at all.
    fn is_damaged_after(&self, number: u32) -> bool {
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        segments.iter().any(|segment| segment.number > number && segment.starts.is_empty())
    }

    /// Whether the chain passes through the anchor, as far as its file can be read.
    pub(super) fn holds(&self, partition: Partition, anchor: Anchor) -> Result<bool, StoreError> {
        let stretches = self.stretches(partition);
        let Some(stretch) = stretches.iter().rev().find(|stretch| stretch.start.before().seq <= anchor.seq) else {
            return Ok(self.is_damaged_after(0));
        };
        let last = self.reading(stretch.number, |conn| segment::last_before(conn, partition, anchor.seq.saturating_add(1)));
        match last.map(|last| last.unwrap_or(stretch.start.before())) {
            // What cannot be read contradicts nothing: then the checkpoint is all that is left.
            Ok(last) if last.seq < anchor.seq && self.is_damaged_after(stretch.number) => Ok(true),
            Ok(last) => Ok(last == anchor),
            Err(error) if is_damage(&error) => Ok(true),
            Err(error) => Err(Fault::of("read the journal", &error).into_error()),
        }
    }

    /// Walks the whole chain, and through all of `known`: places that something beside the journal names.
    pub(super) fn verify(&self, partition: Partition, known: &[Anchor]) -> Result<Verified, StoreError> {
        self.unless_removed(|| self.try_verify(partition, known.to_vec()))
    }

    fn try_verify(&self, partition: Partition, known: Vec<Anchor>) -> Result<Verified, StoreError> {
        let stretches = self.stretches(partition);
        let start = stretches.first().map_or(Anchor { seq: 0, hash: ChainHash::genesis(partition.number()) }, |first| first.start.before());
        let mut anchors = known;
        for stretch in &stretches {
            anchors.extend(self.reading(stretch.number, |conn| segment::anchors(conn, partition)).unwrap_or_default());
            anchors.push(stretch.start.before());
        }
        let mut walk = Verification::after(start, anchors);
        for stretch in &stretches {
            self.read_stretch(partition, *stretch, stretch.start.first_seq, &mut |read| {
                match read {
                    Read::Entry { entry, hash, .. } => walk.check(&entry, hash),
                    Read::Unreadable { resume_seq, .. } => walk.unreadable(resume_seq),
                }
                true
            })?;
        }
        Ok(walk.finish(ChainHash::genesis(partition.number())))
    }

    /// The entry under `seq`, wherever it is kept; `None` when it is not held or damaged.
    pub(super) fn entry(&self, partition: Partition, seq: u64) -> Result<Option<Entry>, StoreError> {
        let page = self.read(partition, seq, 1)?;
        Ok(page.entries.into_iter().next().filter(|entry| entry.seq == seq))
    }

    /// Walks the entries of one file from `from_seq`, checked against their chain; returns where the walk ended.
    fn read_stretch(
        &self,
        partition: Partition,
        stretch: Stretch,
        from_seq: u64,
        take: &mut dyn FnMut(Read) -> bool,
    ) -> Result<Verifier, StoreError> {
        let mut walk = match self.reading(stretch.number, |conn| segment::last_before(conn, partition, from_seq)) {
            Ok(before) => Verifier::after(before.unwrap_or(stretch.start.before())),
            Err(_) => Verifier::anew(from_seq),
        };
        let mut from_seq = from_seq;
        let mut enough = false;
        while !enough {
            let scanned = self.reading(stretch.number, |conn| {
                segment::scan(conn, partition, from_seq, stretch.last_seq, |entry, hash| {
                    let broken = walk.check(&entry, hash).err();
                    enough = !take(Read::Entry { entry, hash, broken });
                    !enough
                })
            });
            match scanned {
                Ok(()) => break,
                Err(error) if is_damage(&error) => {
                    let seq = walk.next_seq().max(from_seq);
                    let resume_seq = self.beyond_damage(partition, stretch, seq);
                    enough = !take(Read::Unreadable { seq, resume_seq });
                    let Some(resume_seq) = resume_seq else { break };
                    (walk, from_seq) = (Verifier::anew(resume_seq), resume_seq);
                }
                Err(error) => return Err(Fault::of("read the journal", &error).into_error()),
            }
        }
        Ok(walk)
    }

    /// The first entry that can be read again after the unreadable one at `seq`. Doubles its step, so it ends.
    fn beyond_damage(&self, partition: Partition, stretch: Stretch, seq: u64) -> Option<u64> {
        let last_seq = stretch.last_seq.min(Entry::SEQ_MAX);
        let mut step = 1_u64;
        while let Some(from_seq) = seq.checked_add(step).filter(|from_seq| *from_seq <= last_seq) {
            let mut found = None;
            let scanned = self.reading(stretch.number, |conn| {
                segment::scan(conn, partition, from_seq, last_seq, |entry, _| {
                    found = Some(entry.seq);
                    false
                })
            });
            if found.is_some() || scanned.is_ok() {
                return found;
            }
            step = step.saturating_mul(2);
        }
        None
    }

    fn stretches(&self, partition: Partition) -> Vec<Stretch> {
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        let mut stretches: Vec<Stretch> = Vec::with_capacity(segments.len());
        for segment in segments.iter() {
            let Some(start) = segment.starts.get(&partition).copied() else { continue };
            if let Some(earlier) = stretches.last_mut() {
                earlier.last_seq = start.first_seq - 1;
            }
            stretches.push(Stretch { number: segment.number, start, last_seq: Entry::SEQ_MAX });
        }
        stretches
    }

    /// Lends a connection to the file; a good one is kept for the next reader.
    fn reading<T>(&self, number: u32, read: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> rusqlite::Result<T> {
        let kept = {
            let mut readers = self.readers();
            readers.iter().position(|(reader, _)| *reader == number).map(|index| readers.swap_remove(index).1)
        };
        let conn = match kept {
            Some(conn) => conn,
            None => segment::open_to_read(&segment::path_of(&self.folder, number))?,
        };
        let answer = read(&conn)?;
        let mut readers = self.readers();
        if readers.len() < READERS_KEPT {
            readers.push((number, conn));
        }
        Ok(answer)
    }

    fn readers(&self) -> MutexGuard<'_, Vec<(u32, Connection)>> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The numbers of the journal's files, oldest first.
pub(super) fn numbers(folder: &Path) -> Result<Vec<u32>, StoreError> {
    let list = || -> io::Result<Vec<u32>> {
        let mut numbers = Vec::new();
        for file in fs::read_dir(folder)? {
            numbers.extend(segment::number_of(&file?.path()));
        }
        numbers.sort_unstable();
        Ok(numbers)
    };
    list().map_err(|error| Fault::of_io("list the journal's files", folder, &error))
}

/// One step of a walk.
enum Read {
    Entry {
        entry: Entry,
        hash: ChainHash,
        broken: Option<Break>,
    },
    /// The file is damaged at `seq`; the walk goes on at `resume_seq`, if anywhere.
    Unreadable {
        seq: u64,
        resume_seq: Option<u64>,
    },
}

/// A page being filled.
struct Filling {
    page: Page,
    most: usize,
    bytes_left: usize,
    full: bool,
}

impl Filling {
    /// False when the page is full.
    fn take(&mut self, read: Read) -> bool {
        match read {
            Read::Unreadable { seq, .. } => self.page.breaks.push(Break { seq, kind: BreakKind::Unreadable }),
            Read::Entry { entry, broken, .. } => {
                self.page.breaks.extend(broken);
                self.bytes_left = self.bytes_left.saturating_sub(entry.bytes.len());
                match (broken.map(|broken| broken.kind), Hole::of(&entry), Removal::of(&entry)) {
                    (Some(BreakKind::Altered), ..) => {}
                    (_, Some(hole), _) => self.page.holes.push(hole),
                    (_, None, Some(removal)) => self.page.removals.push((entry.seq, removal)),
                    (_, None, None) => self.page.entries.push(entry),
                }
            }
        }
        let parts = self.page.entries.len() + self.page.holes.len() + self.page.removals.len() + self.page.breaks.len();
        self.full = parts >= self.most || self.bytes_left == 0;
        !self.full
    }
}

/// Where one file ends and the next takes over, the chain must be the same.
fn seam(end: &Verifier, start: ChainStart) -> Option<Break> {
    if end.next_seq() < start.first_seq {
        return Some(Break { seq: end.next_seq(), kind: BreakKind::Missing { last_seq: start.first_seq - 1 } });
    }
    let differs = end.head().is_some_and(|head| head != start.before());
    differs.then_some(Break { seq: start.before().seq, kind: BreakKind::AnchorDiffers })
}

/// What the newest file says of every partition, as far as it can be read.
pub(super) fn tips(conn: &Connection) -> rusqlite::Result<Vec<(Partition, ChainStart, Tip)>> {
    let starts = segment::chain_starts(conn)?;
    starts.into_iter().map(|(partition, start)| Ok((partition, start, segment::tip(conn, partition, start)?))).collect()
}
