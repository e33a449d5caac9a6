//! Old entries for one subscriber who catches up: the book as it was at the entry he has, then page after page until the ring goes on.
//!
//! The book at an old entry is made from the checkpoint before it, or from the arrival of the oldest contact that lived then. Which that
//! was follows from the contacts that later entries speak of: an id carries the time it was made. Should that miss one, everything that
//! is kept is read from its beginning instead.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::book::{Book, Happening, Taken, Viewer};
use super::hub::{Hub, book_at, facts_of};
use crate::limits::READ_ENTRIES_MAX;
use crate::store::{Page, Partition, Store, StoreError};
use crate::units::Timestamp;

/// What a viewer may see of a stretch of the journal.
#[derive(Debug)]
pub(super) struct Stretch {
    pub happenings: Vec<Arc<Happening>>,
    /// The last entry that was read for it.
    pub through: u64,
}

/// A contact is made this long before its arrival is written at most; clocks of two runs may differ by as much.
const ARRIVAL_LAG_MICROS: u64 = 60_000_000;

/// Reads what comes after an entry and tells it until the ring of the hub goes on. For a thread that may wait.
pub(super) fn tell(hub: &Hub, after: u64, viewer: Viewer, stretches: &mpsc::Sender<Result<Stretch, StoreError>>) {
    let mut history = match History::begin(hub, after) {
        Ok(history) => history,
        Err(error) => return drop(stretches.blocking_send(Err(error))),
    };
    loop {
        let stretch = history.next(hub, &viewer);
        let through = stretch.as_ref().ok().map(|stretch| stretch.through);
        let gone = stretches.blocking_send(stretch).is_err();
        if gone || through.is_none_or(|through| hub.ring_covers(through + 1)) {
            return;
        }
    }
}

/// The oldest entry that is kept.
pub(super) fn first_kept(store: &dyn Store) -> Result<Option<u64>, StoreError> {
    Ok(first_of(&store.read(Partition::default(), 1, 1)?).map(|(seq, _)| seq))
}

fn first_of(page: &Page) -> Option<(u64, Timestamp)> {
    let entry = page.entries.first().map(|entry| (entry.seq, entry.at));
    let hole = page.holes.first().map(|hole| (hole.first_seq, hole.at));
    let removal = page.removals.first().map(|(seq, removal)| (*seq, removal.at));
    [entry, hole, removal].into_iter().flatten().min()
}

struct History {
    book: Book,
    /// It began with the oldest entry there is: what it does not know nobody knows any more.
    whole: bool,
}

impl History {
    fn begin(hub: &Hub, after: u64) -> Result<Self, StoreError> {
        if let Some(book) = book_at(hub.store(), after, false) {
            return Self { book, whole: false }.advanced(hub.store(), after);
        }
        let first = first_kept(hub.store())?.unwrap_or(1);
        let from = start_for(hub, first, after)?;
        Self::from(from, from <= first).advanced(hub.store(), after)
    }

    fn from(seq: u64, whole: bool) -> Self {
        let mut book = Book::default();
        book.pass(seq - 1);
        Self { book, whole }
    }

    /// Takes everything up to and with this entry, and tells nobody.
    fn advanced(mut self, store: &dyn Store, through: u64) -> Result<Self, StoreError> {
        while self.book.seq() < through {
            let from = self.book.seq() + 1;
            let count = usize::try_from(through - self.book.seq()).unwrap_or(usize::MAX).min(READ_ENTRIES_MAX);
            let page = store.read(Partition::default(), from, count)?;
            for (seq, fact) in facts_of(&page).iter().filter(|(seq, _)| *seq <= through) {
                self.book.take(*seq, fact);
            }
            let read = page.through(from).min(through);
            self.book.pass(if page.next_seq.is_none() { through } else { read });
        }
        Ok(self)
    }

    /// The next stretch.
    fn next(&mut self, hub: &Hub, viewer: &Viewer) -> Result<Stretch, StoreError> {
        let from = self.book.seq() + 1;
        let page = hub.store().read(Partition::default(), from, READ_ENTRIES_MAX)?;
        let mut happenings = Vec::new();
        for (seq, fact) in &facts_of(&page) {
            match self.book.take(*seq, fact) {
                Taken::Happened(happening) if happening.is_seen_by(viewer) => happenings.push(happening),
                Taken::Unknown if !self.whole => {
                    tracing::warn!(seq, "a contact began before its reader looked for it; the journal is read from its beginning");
                    let first = first_kept(hub.store())?.unwrap_or(1);
                    *self = Self::from(first.min(from), true).advanced(hub.store(), from - 1)?;
                    return self.next(hub, viewer);
                }
                _ => {}
            }
        }
        let through = page.through(from);
        self.book.pass(through);
        Ok(Stretch { happenings, through })
    }
}

/// An entry at or before the arrival of every contact that lived at `after`.
fn start_for(hub: &Hub, first: u64, after: u64) -> Result<u64, StoreError> {
    let store = hub.store();
    let (mut oldest, mut from) = (None::<u64>, after + 1);
    loop {
        let page = store.read(Partition::default(), from, READ_ENTRIES_MAX)?;
        let made = page.entries.iter().filter_map(|entry| entry.contact).map(|contact| contact.made_at().unix_micros).min();
        oldest = [oldest, made].into_iter().flatten().min();
        match page.next_seq {
            Some(next) => from = next,
            None => break,
        }
    }
    let by_time = match oldest {
        Some(made) => first_since(store, first, after + 1, Timestamp::from_micros(made.saturating_sub(ARRIVAL_LAG_MICROS)))?,
        None => after + 1,
    };
    Ok([Some(by_time), hub.oldest_began(after)].into_iter().flatten().fold(after + 1, u64::min).max(first))
}

/// The first entry of `low..high` that was made at a time or later; `high` when none was.
fn first_since(store: &dyn Store, mut low: u64, mut high: u64, at: Timestamp) -> Result<u64, StoreError> {
    while low < high {
        let middle = low + (high - low) / 2;
        match first_of(&store.read(Partition::default(), middle, 1)?) {
            Some((_, made)) if made < at => low = middle + 1,
            _ => high = middle,
        }
    }
    Ok(low)
}
