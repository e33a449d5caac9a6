//! Old files go when nothing needs them, the journal says so, and everything that reads it works on.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use najda::contact::{Contact, ContactKey, Door, Signal};
use najda::deliver::{Ending, Fact};
use najda::edge::run::Tuning;
use najda::edge::store::embedded::{Config, EmbeddedStore, JournalReader, Project};
use najda::engine::{Engine, Past};
use najda::journal::entry::Entry;
use najda::journal::projection::{ContactRow, Query, change_of};
use najda::journal::{Break, BreakKind};
use najda::route::{record, route};
use najda::store::{Batch, BlobName, Checkpoint, KeptWhy, Store};
use najda::tables::snapshot::{Snapshot, States};
use najda::units::{ContactId, Timestamp};
use najda::wire::checkpoint::encode_past;
use najda::wire::frame::{decode_fact, encode_fact};

use super::rig::{await_that, listener, partition, read_all};
use crate::journal::journal;
use crate::running::{Keep, Running, Set, name, until};

const DAY: u64 = 86_400;
/// The day the story begins, in days since 1970.
const FIRST_DAY: u64 = 20_000;

fn project() -> Project {
    Arc::new(|entry| decode_fact(&entry.bytes).ok().as_ref().and_then(change_of))
}

/// A journal written by hand, day by day.
struct Story {
    folder: Arc<tempfile::TempDir>,
    facts: Vec<(u64, Fact)>,
    set: Set,
}

impl Story {
    /// Five days of three contacts each; those of `lives` have not ended.
    fn of_days(lives: &[u64]) -> Self {
        let (folder, set) = (Arc::new(tempfile::tempdir().unwrap()), Set::testland());
        let mut story = Self { folder, facts: Vec::new(), set };
        let by = name("start");
        story.say(Fact::Tables { at: at(0, 0), version: story.set.tables.version, by });
        for day in 0..5 {
            // As the engine does at midnight.
            if day > 0 {
                story.say(Fact::Tables { at: at(day, 0), version: story.set.tables.version, by: name("engine") });
            }
            for number in day * 3..day * 3 + 3 {
                story.arrive(at(day, 100 + number), number);
                if !lives.contains(&number) {
                    story.say(Fact::Ended { at: at(day, 200 + number), contact: id(number), ending: Ending::Closed });
                }
            }
        }
        story.write();
        story
    }

    fn arrive(&mut self, at: Timestamp, number: u64) {
        let key = ContactKey { gateway: name("g"), gateway_ref: format!("call-{number}").into() };
        let mut contact = Contact::new(id(number), key, at, Door::Sms);
        contact.signals.push(Signal::Words("fire".into()));
        let tables = Arc::clone(&self.set.tables);
        let snapshot = Snapshot { states: Arc::new(States::of(&tables, &[])), tables, number: 2 };
        let decision = Arc::new(record(&self.set.tables, &route(&snapshot, &contact, at)));
        self.say(Fact::Arrived { at, contact: Arc::new(contact), decision, states: Vec::new() });
    }

    fn say(&mut self, fact: Fact) {
        self.facts.push((self.facts.len() as u64 + 1, fact));
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    fn journal_folder(&self) -> PathBuf {
        self.state().join("journal")
    }

    fn open(&self) -> EmbeddedStore {
        let config = Config { project: Some(project()), ..Config::new(self.journal_folder()) };
        EmbeddedStore::open(config, Box::new(|_| {})).unwrap()
    }

    /// Each fact in a batch of its own, so that files end where their day does.
    fn write(&self) {
        let (hear, heard) = listener();
        let config = Config { project: Some(project()), ..Config::new(self.journal_folder()) };
        let open = super::rig::Open::new(EmbeddedStore::open(config, hear).unwrap(), heard);
        for set in [&self.set.bytes[..], b"tables that nothing names"] {
            let version = if set == self.set.bytes { self.set.tables.version.0 } else { [7; 32] };
            open.store.put_blob(BlobName(version), set).unwrap();
        }
        for (seq, fact) in &self.facts {
            let mut bytes = Vec::new();
            encode_fact(fact, &mut bytes).unwrap();
            open.store.append(Batch::new(&open.claim, vec![Entry::of(*seq, fact, bytes)]).unwrap()).unwrap();
            open.await_receipt(*seq);
        }
        await_that("the rows have caught up", || {
            open.store.health().projection_lag_entry_count == 0 && self.reader().projection_lag() == Ok(Some(0))
        });
        open.store.close();
    }

    fn reader(&self) -> JournalReader {
        JournalReader::open(self.journal_folder()).unwrap()
    }

    fn rows(&self) -> Vec<ContactRow> {
        self.reader().find(&Query::default()).unwrap()
    }

    fn segments(&self) -> Vec<String> {
        let names = std::fs::read_dir(self.journal_folder()).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|name| name.starts_with("journal-") && name.ends_with(".db")).collect();
        names.sort();
        names
    }

    /// The number of days kept so that the first `days` of the story are old enough.
    fn keep_days(&self, days: u64) -> String {
        let today = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() / DAY;
        (today - (FIRST_DAY + days)).to_string()
    }

    fn retain(&self, days: u64) -> anyhow::Result<ExitCode> {
        journal("retain", &self.state(), &["--keep-days", &self.keep_days(days)])
    }
}

fn at(day: u64, second: u64) -> Timestamp {
    Timestamp::from_secs((FIRST_DAY + day) * DAY + second)
}

fn id(number: u64) -> ContactId {
    ContactId(u128::from(number) + 1)
}

/// A journal whose first days were removed, in `state` of a folder, and the first entry that is kept.
pub fn retained_journal() -> (Arc<tempfile::TempDir>, u64) {
    let story = Story::of_days(&[14]);
    assert_eq!(story.retain(3).unwrap(), ExitCode::SUCCESS);
    let first = story.reader().read(partition(), 1, 1).unwrap().entries[0].seq;
    (story.folder, first)
}

#[test]
fn a_file_ends_at_midnight_utc() {
    let story = Story::of_days(&[]);
    assert_eq!(story.segments().len(), 5, "{:?}", story.segments());
    let reader = story.reader();
    let page = read_all(|from_seq| reader.read(partition(), from_seq, 100).unwrap());
    assert_eq!((page.entries.len(), page.breaks), (story.facts.len(), vec![]));
    assert!(reader.verify(partition()).unwrap().holds());
}

#[test]
fn old_days_go_and_everything_that_reads_the_journal_works_on() {
    let story = Story::of_days(&[14]);
    let rows = story.rows();
    assert_eq!(story.retain(3).unwrap(), ExitCode::SUCCESS);
    // Three old days went; the entry that says so began a day of its own.
    assert_eq!(story.segments().len(), 3);
    let reader = story.reader();
    let found = reader.verify(partition()).unwrap();
    assert!(found.holds() && found.begin.seq == 21, "{found:?}");
    let page = read_all(|from_seq| reader.read(partition(), from_seq, 100).unwrap());
    assert_eq!((page.entries.first().map(|entry| entry.seq), page.breaks, page.removals.len()), (Some(22), vec![], 1));
    for command in ["verify", "replay", "query"] {
        assert_eq!(journal(command, &story.state(), &[]).unwrap(), ExitCode::SUCCESS, "{command}");
    }
    assert_eq!(story.rows(), rows[9..], "the rows of the days that went are gone, the others stay");
    assert_eq!(story.reader().projection_lag(), Ok(Some(0)), "and they show the entry that says so");
    assert_eq!(journal("rebuild", &story.state(), &[]).unwrap(), ExitCode::SUCCESS);
    assert_eq!(story.rows(), rows[9..], "made again, they are the same");
    assert_eq!(story.open().blob_names().unwrap().len(), 2, "a set that was put a moment ago stays");
    // What matters of the days that went is in the checkpoint.
    let rebuilt = story.engine();
    assert_eq!((rebuilt.live_contacts(), rebuilt.remembered_contacts()), (1, 2));
}

impl Story {
    /// The engine a start would make.
    fn engine(&self) -> Engine {
        let store = self.open();
        let seq = store.checkpoints(partition()).unwrap()[0];
        let checkpoint = store.checkpoint(partition(), seq).unwrap();
        let past = najda::wire::checkpoint::decode_past(&najda::engine::Config::default(), &checkpoint.bytes).unwrap();
        let rooms = najda::engine::Rooms::default();
        Engine::resume(najda::engine::Config::default(), &rooms, &past, |kept| decode_fact(kept).ok(), 0, at(9, 0))
    }
}

#[test]
fn a_table_set_that_no_remaining_entry_names_goes_with_the_old_days() {
    let story = Story::of_days(&[]);
    let old = std::time::UNIX_EPOCH + std::time::Duration::from_secs(FIRST_DAY * DAY);
    for blob in std::fs::read_dir(story.journal_folder().join("blobs")).unwrap() {
        std::fs::OpenOptions::new().append(true).open(blob.unwrap().path()).unwrap().set_modified(old).unwrap();
    }
    story.retain(3).unwrap();
    assert_eq!(story.open().blob_names().unwrap(), [BlobName(story.set.tables.version.0)]);
    assert_eq!(journal("replay", &story.state(), &[]).unwrap(), ExitCode::SUCCESS);
}

#[test]
fn days_that_a_living_contact_began_in_stay_whatever_their_age() {
    let story = Story::of_days(&[4]);
    story.retain(5).unwrap();
    assert_eq!(story.segments().len(), 5, "the day before it went, today began");
    assert_eq!(story.reader().verify(partition()).unwrap().begin.seq, 7);
    let began = story.facts.iter().find(|(_, fact)| matches!(fact, Fact::Arrived { contact, .. } if contact.id == id(4))).unwrap().0;
    let removable = story.open().removable(partition(), at(5, 0)).unwrap();
    assert_eq!((removable.before, removable.kept), (None, KeptWhy::Needed { seq: began }));
}

#[test]
fn nothing_goes_without_a_checkpoint_before_the_rows_show_it_or_from_the_file_in_use() {
    let story = Story::of_days(&[]);
    let store = story.open();
    assert_eq!(store.removable(partition(), at(9, 0)).unwrap().kept, KeptWhy::NoCheckpoint);
    let config = najda::engine::Config::default();
    let mut past = Past::<Arc<[u8]>>::new(&config);
    for (seq, fact) in &story.facts {
        past.take(*seq, fact, || Arc::from([]));
    }
    let mut bytes = Vec::new();
    encode_past(&past, &mut bytes);
    let anchor = store.verify(partition()).unwrap().head;
    store.put_checkpoint(partition(), &Checkpoint { anchor, needed_from_seq: anchor.seq + 1, bytes }).unwrap();
    let found = store.removable(partition(), at(2, 0)).unwrap();
    assert_eq!((found.segment_count, found.kept), (2, KeptWhy::Young));
    let found = store.removable(partition(), at(9, 0)).unwrap();
    assert_eq!((found.segment_count, found.kept), (4, KeptWhy::Newest), "the file in use stays, however old");
    drop(store);
    let rows = rusqlite::Connection::open(story.journal_folder().join("projection.db")).unwrap();
    rows.execute("UPDATE positions SET next_seq = 9", []).unwrap();
    let store = EmbeddedStore::open(Config::new(story.journal_folder()), Box::new(|_| {})).unwrap();
    let found = store.removable(partition(), at(9, 0)).unwrap();
    assert_eq!((found.segment_count, found.kept), (1, KeptWhy::NotShown { seq: 9 }));
}

#[test]
fn a_folder_that_an_engine_runs_on_is_left_alone_and_the_remedy_is_named() {
    let story = Story::of_days(&[]);
    let _running = story.open();
    let error = story.retain(3).unwrap_err().to_string();
    assert!(error.contains("an engine runs on") && error.contains("--keep-days"), "{error}");
    assert_eq!(story.segments().len(), 5);
}

#[test]
fn a_dry_run_changes_no_entry() {
    let story = Story::of_days(&[]);
    let head = story.reader().verify(partition()).unwrap().head;
    journal("retain", &story.state(), &["--dry-run", "--keep-days", &story.keep_days(3)]).unwrap();
    assert_eq!((story.segments().len(), story.reader().verify(partition()).unwrap().head), (5, head));
}

#[test]
fn an_oldest_file_that_went_without_a_word_is_found_missing() {
    let story = Story::of_days(&[]);
    std::fs::remove_file(story.journal_folder().join(&story.segments()[0])).unwrap();
    let found = story.reader().verify(partition()).unwrap();
    assert_eq!(found.breaks, [Break { seq: 1, kind: BreakKind::Missing { last_seq: 7 } }]);
    assert_eq!(journal("verify", &story.state(), &[]).unwrap(), ExitCode::FAILURE);
    // After a removal on purpose one more is found as well.
    let story = Story::of_days(&[]);
    story.retain(2).unwrap();
    assert!(story.reader().verify(partition()).unwrap().holds());
    std::fs::remove_file(story.journal_folder().join(&story.segments()[0])).unwrap();
    assert_eq!(story.reader().verify(partition()).unwrap().breaks, [Break { seq: 1, kind: BreakKind::Missing { last_seq: 21 } }]);
}

#[test]
fn a_removal_that_was_cut_short_leaves_a_chain_that_holds_and_is_finished_the_next_time() {
    let story = Story::of_days(&[]);
    let third = story.segments()[2].clone();
    let of_third = |folder: &Path| -> Vec<PathBuf> {
        let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
        files.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with(&third)).collect()
    };
    let kept: Vec<(PathBuf, Vec<u8>)> =
        of_third(&story.journal_folder()).into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect();
    story.retain(3).unwrap();
    // As if the machine had stopped before the third file was gone.
    kept.iter().for_each(|(path, bytes)| std::fs::write(path, bytes).unwrap());
    let found = story.reader().verify(partition()).unwrap();
    assert!(found.holds() && found.begin.seq == 14, "{found:?}");
    story.retain(3).unwrap();
    let found = story.reader().verify(partition()).unwrap();
    assert!(found.holds() && found.begin.seq == 21 && story.segments().len() == 3, "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_engine_removes_old_days_by_itself_and_writes_that_down() {
    let story = Story::of_days(&[14]);
    let tuning = Tuning { checkpoint_entries: 1, keep_days: Some(story.keep_days(3).parse().unwrap()), ..Tuning::default() };
    let running = Running::tuned(Arc::clone(&story.folder), Keep::InFiles, story.set.clone(), tuning, |_| {}).await;
    assert_eq!(running.node.started().live_contacts, 1);
    let begin = || running.node.store().verify(partition()).unwrap().begin.seq;
    until("old days are removed", || begin() == 21).await;
    let store = Arc::clone(running.node.store());
    until("the rows follow", || JournalReader::open(story.journal_folder()).unwrap().find(&Query::default()).unwrap().len() == 6).await;
    let removals = read_all(|from_seq| store.read(partition(), from_seq, 100).unwrap()).removals;
    assert_eq!(removals.len(), 1, "it is written down once");
    assert!(store.verify(partition()).unwrap().holds());
    drop(store);
    let folder = running.stop().await;
    let again = Running::in_folder(folder, Keep::InFiles, story.set.clone(), |_| {}).await;
    assert_eq!(again.node.started().live_contacts, 1);
    again.stop().await;
}
