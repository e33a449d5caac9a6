//! What the files of the journal promise beyond the contract, while the disk is well.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crossbeam::channel::bounded;
use najda::edge::store::embedded::{Config, EmbeddedStore, JournalReader};
use najda::journal::{Break, BreakKind, Entry};
use najda::store::{Batch, BlobName, Epoch, Notice, RejectedWhy, Store, StoreError};

use super::rig::{OnDisk, Open, Rig, await_that, entries, entry, held, listener, partition, read_all};

fn segment_count(folder: &Path) -> usize {
    fs::read_dir(folder).unwrap().filter(|file| file.as_ref().unwrap().path().extension().is_some_and(|end| end == "db")).count()
}

#[test]
fn only_the_owner_can_look_into_the_state_folder() {
    let rig = OnDisk::new();
    let open = rig.open_with(|config| config.project = Some(super::rows::project()));
    open.hold(1..=5);
    open.store.put_blob(BlobName([1; 32]), b"tables").unwrap();
    await_that("the rows begin", || rig.folder().join("projection.db").exists());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let mut folders = vec![rig.folder()];
    let mut file_count = 0;
    while let Some(folder) = folders.pop() {
        assert_eq!(mode(&folder), 0o700, "{}", folder.display());
        for file in fs::read_dir(&folder).unwrap() {
            let path = file.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                // A file of SQLite may come and go between the two looks.
                let mode = fs::metadata(&path).map(|file| file.permissions().mode() & 0o777).unwrap_or(0o600);
                assert_eq!(mode, 0o600, "{}", path.display());
                file_count += 1;
            }
        }
    }
    assert!(file_count >= 4);
}

#[test]
fn a_folder_that_others_could_read_is_closed_to_them() {
    let rig = OnDisk::new();
    fs::create_dir_all(rig.folder()).unwrap();
    fs::set_permissions(rig.folder(), fs::Permissions::from_mode(0o755)).unwrap();
    drop(rig.open());
    assert_eq!(fs::metadata(rig.folder()).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn a_second_writer_is_kept_out_and_told_why() {
    let rig = OnDisk::new();
    let open = rig.open();
    let second = EmbeddedStore::open(Config::new(rig.folder()), listener().0);
    assert_eq!(second.err(), Some(StoreError::FolderHeld { folder: rig.folder().to_string_lossy().into() }));
    rig.close(open);
    drop(rig.open());
}

#[test]
fn batches_that_wait_share_a_commit_and_an_idle_journal_commits_at_once() {
    let rig = OnDisk::new();
    let open = rig.open();
    open.hold(1..=1);
    assert_eq!(open.store.health().commit_count, 1, "nothing was waited for");
    (2..=4_000).for_each(|seq| open.append(seq..=seq));
    open.await_receipt(4_000);
    let health = open.store.health();
    assert!(health.commit_count < 2_000, "{} commits for 4,000 batches", health.commit_count);
    assert_eq!((health.entry_count, health.backlog_entry_count, health.backlog_byte_count), (4_000, 0, 0));
    assert_eq!(held(&open.store).entries, entries(1..=4_000));
}

#[test]
fn the_log_has_its_place_on_the_disk_before_it_is_written_and_does_not_grow() {
    let rig = OnDisk::new();
    let ahead = 1 << 20;
    for round in 0..3 {
        let open = rig.open_with(|config| config.log_bytes_ahead = ahead);
        let log_bytes = || fs::metadata(rig.folder().join("journal-000001.db-wal")).unwrap().len();
        assert_eq!(log_bytes(), ahead, "round {round}");
        let first = open.claim.next_seq;
        (first..first + 40).for_each(|seq| open.hold(seq..=seq));
        assert_eq!(log_bytes(), ahead, "round {round}");
        assert_eq!(held(&open.store).entries, entries(1..=first + 39), "what lies behind the last commit is no entry");
        rig.close(open);
    }
}

/// A store whose listener stops at its first notice until it is let go, which holds the writer up as a slow disk would.
fn held_up(rig: &OnDisk, change: impl FnOnce(&mut Config)) -> (Open<EmbeddedStore>, impl FnOnce()) {
    let mut config = Config::new(rig.folder());
    change(&mut config);
    let (hear, heard) = bounded(10_000);
    let (arrived, at_gate) = bounded(1);
    let (gate, let_go) = bounded::<()>(0);
    let mut first = true;
    let listener = move |notice: Notice| {
        if std::mem::take(&mut first) {
            let _ = arrived.send(());
            let _ = let_go.recv();
        }
        drop(hear.send(notice));
    };
    let open = Open::new(EmbeddedStore::open(config, Box::new(listener)).unwrap(), heard);
    open.append(1..=1);
    at_gate.recv().unwrap();
    (open, move || drop(gate))
}

#[test]
fn a_full_backlog_gives_the_batch_back_and_what_is_given_up_is_on_record() {
    let rig = OnDisk::new();
    let (open, let_go) = held_up(&rig, |config| config.backlog_entries_max = 10);
    open.append(2..=11);
    let rejected = open.store.append(open.batch(12..=13)).unwrap_err();
    assert_eq!(rejected.why, RejectedWhy::Full { entry_count: 10 });
    assert_eq!(rejected.batch.entries(), entries(12..=13));
    assert_eq!(open.store.health().full_count, 1);
    // Going on without them is a gap; saying that they are lost is not.
    assert_eq!(open.store.append(open.batch(14..=14)).unwrap_err().why, RejectedWhy::Gap { expected: 12, got: 14 });
    let_go();
    open.await_receipt(11);
    open.store.append(Batch::after_loss(&open.claim, 12, entries(14..=15)).unwrap()).unwrap();
    open.await_receipt(15);
    let page = held(&open.store);
    assert_eq!(page.entries, [entries(1..=11), entries(14..=15)].concat());
    assert_eq!(page.holes.iter().map(|hole| (hole.first_seq, hole.last_seq)).collect::<Vec<_>>(), [(12, 13)]);
    assert_eq!(open.store.health().lost_entry_count, 2);
}

#[test]
fn a_backlog_is_bounded_in_bytes_as_well() {
    let rig = OnDisk::new();
    let (open, let_go) = held_up(&rig, |config| config.backlog_bytes_max = 1_000);
    let wide = |seq| Batch::new(&open.claim, vec![Entry { bytes: vec![0; 600], ..entry(seq) }]).unwrap();
    open.store.append(wide(2)).unwrap();
    assert!(matches!(open.store.append(wide(3)).unwrap_err().why, RejectedWhy::Full { entry_count: 1 }));
    let_go();
    open.await_receipt(2);
    open.store.append(wide(3)).unwrap();
    open.await_receipt(3);
}

#[test]
fn what_was_appended_before_closing_is_held_and_told() {
    let rig = OnDisk::new();
    let open = rig.open();
    (1..=500).for_each(|seq| open.append(seq..=seq));
    let Open { store, heard, .. } = open;
    store.close();
    let through =
        heard.try_iter().filter_map(|notice| if let Notice::Durable(receipt) = notice { Some(receipt.through_seq()) } else { None });
    assert_eq!(through.max(), Some(500));
    assert_eq!(held(&rig.open().store).entries, entries(1..=500));
}

#[test]
fn a_listener_that_panics_does_not_end_the_journal() {
    let rig = OnDisk::new();
    let (hear, heard) = bounded(100);
    let mut first = true;
    let listener = move |notice| {
        assert!(!std::mem::take(&mut first), "an ordered panic");
        drop(hear.send(notice));
    };
    let open = Open::new(EmbeddedStore::open(Config::new(rig.folder()), Box::new(listener)).unwrap(), heard);
    open.append(1..=1);
    open.append(2..=2);
    open.append(3..=3);
    // The first receipt was lost to the panic, unless all three shared it; another append brings the next.
    await_that("the first commits", || open.store.health().entry_count == 3);
    open.hold(4..=4);
    assert!(open.store.health().writing);
}

#[test]
fn a_full_file_is_followed_by_the_next_and_the_chain_goes_through() {
    let rig = OnDisk::new();
    let small = |config: &mut Config| config.segment_bytes_max = 20_000;
    let open = rig.open_with(small);
    (0..40).for_each(|batch| open.hold(batch * 25 + 1..=batch * 25 + 25));
    let files = open.store.health().segment_number;
    assert!(files >= 5, "{files} files");
    assert_eq!(held(&open.store).entries, entries(1..=1_000));
    let found = open.store.verify(partition()).unwrap();
    assert!(found.holds(), "{found:?}");
    assert_eq!(found.entry_count, 1_000);
    // What an earlier file holds is known when it comes again, and told from other entries.
    open.hold(3..=9);
    let mut other = entries(3..=9);
    other[0].kind ^= 1;
    open.store.append(Batch::new(&open.claim, other).unwrap()).unwrap();
    assert!(matches!(open.next_notice(), Notice::Refused { .. }));
    rig.close(open);
    let open = rig.open_with(small);
    assert_eq!((open.claim.next_seq, open.claim.epoch), (1_001, Epoch(2)));
    assert_eq!(segment_count(&rig.folder()) as u32, open.store.health().segment_number);
    assert_eq!(open.store.read(partition(), 480, 40).unwrap().entries, entries(480..=519));
}

#[test]
fn a_missing_file_in_the_middle_is_named_by_its_first_and_last_entry() {
    let rig = OnDisk::new();
    let open = rig.open_with(|config| config.segment_bytes_max = 20_000);
    (0..40).for_each(|batch| open.hold(batch * 25 + 1..=batch * 25 + 25));
    rig.close(open);
    let first_of = |number: u32| -> i64 {
        let conn = rusqlite::Connection::open(rig.folder().join(format!("journal-{number:06}.db"))).unwrap();
        conn.query_row("SELECT first_seq FROM chains", [], |row| row.get(0)).unwrap()
    };
    let (first, after) = (first_of(3).cast_unsigned(), first_of(4).cast_unsigned());
    fs::remove_file(rig.folder().join("journal-000003.db")).unwrap();
    let open = rig.open();
    let missing = Break { seq: first, kind: BreakKind::Missing { last_seq: after - 1 } };
    let page = held(&open.store);
    assert_eq!(page.breaks, [missing]);
    assert_eq!(page.entries, [entries(1..=first - 1), entries(after..=1_000)].concat());
    assert!(open.store.verify(partition()).unwrap().breaks.contains(&missing));
}

#[test]
fn a_long_run_keeps_its_log_file_short_and_reads_back_whole() {
    let rig = OnDisk::new();
    let open = rig.open();
    let wide = |seq: u64| Entry { bytes: vec![seq as u8; 1_000], ..entry(seq) };
    for batch in 0..600 {
        let some = (batch * 100 + 1..=batch * 100 + 100).map(wide).collect();
        open.store.append(Batch::new(&open.claim, some).unwrap()).unwrap();
        open.await_receipt(batch * 100 + 100);
    }
    let log_bytes = fs::metadata(rig.folder().join("journal-000001.db-wal")).unwrap().len();
    assert!(log_bytes < 48 * 1024 * 1024, "the log file has {log_bytes} bytes after 60 MB of entries");
    let found = open.store.verify(partition()).unwrap();
    assert!(found.holds());
    assert_eq!(found.entry_count, 60_000);
}

#[test]
fn a_reader_beside_the_writer_sees_what_was_acknowledged() {
    let rig = OnDisk::new();
    let open = rig.open();
    open.hold(1..=50);
    let reader = JournalReader::open(rig.folder()).unwrap();
    assert_eq!(reader.partitions(), [partition()]);
    open.hold(51..=80);
    let page = read_all(|from_seq| reader.read(partition(), from_seq, 7).unwrap());
    assert_eq!(page.entries, entries(1..=80));
    assert!(reader.verify(partition()).unwrap().holds());
    rig.close(open);
    assert!(JournalReader::open(rig.folder()).unwrap().verify(partition()).unwrap().holds());
}

#[test]
fn a_file_that_was_only_begun_is_cleared_away() {
    let rig = OnDisk::new();
    let open = rig.open();
    open.hold(1..=5);
    rig.close(open);
    fs::write(rig.folder().join("journal-000002.db"), b"").unwrap();
    let open = rig.open();
    assert_eq!(open.claim.next_seq, 6);
    assert!(!rig.folder().join("journal-000002.db").exists());
    open.hold(6..=7);
    assert!(open.store.verify(partition()).unwrap().holds());
}

#[test]
fn a_journal_of_a_later_version_is_left_alone() {
    let rig = OnDisk::new();
    rig.close(rig.open());
    let path = rig.folder().join("journal-000001.db");
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 2).unwrap();
    let refused = EmbeddedStore::open(Config::new(rig.folder()), listener().0).err();
    assert_eq!(refused, Some(StoreError::FormatUnknown { file: path.to_string_lossy().into(), expected: 1, got: 2 }));
}

#[test]
fn a_damaged_newest_file_does_not_keep_the_engine_from_starting() {
    let rig = OnDisk::new();
    let open = rig.open();
    open.hold(1..=500);
    rig.close(open);
    let path = rig.folder().join("journal-000001.db");
    let size = fs::metadata(&path).unwrap().len() as usize;
    fs::write(&path, vec![0xA5; size]).unwrap();
    let open = rig.open();
    assert!(open.claim.next_seq > 501, "no number is given out twice: {}", open.claim.next_seq);
    let next = open.claim.next_seq;
    open.hold(next..=next + 9);
    assert_eq!(held(&open.store).entries, entries(next..=next + 9));
    assert_eq!(fs::read(&path).unwrap(), vec![0xA5; size], "the damaged file is kept as it is");
    rig.close(open);
    assert_eq!(rig.open().claim.next_seq, next + 10);
}

#[test]
fn a_damaged_page_costs_its_entries_and_no_others() {
    let rig = OnDisk::new();
    let open = rig.open();
    open.hold(1..=2_000);
    rig.close(open);
    let path = rig.folder().join("journal-000001.db");
    let mut file = fs::read(&path).unwrap();
    // A page in the middle of the table, header and all.
    let page = file.len() / 4_096 / 2;
    file[page * 4_096..page * 4_096 + 64].fill(0xFF);
    fs::write(&path, file).unwrap();
    let open = rig.open();
    assert_eq!(open.claim.next_seq, 2_001, "the end of the file is well");
    let page = held(&open.store);
    assert_eq!(page.breaks.len(), 1, "{:?}", page.breaks);
    assert_eq!(page.breaks[0].kind, BreakKind::Unreadable);
    let gone = 2_000 - page.entries.len();
    assert!((1..=60).contains(&gone), "{gone} entries were on the page");
    assert!(page.entries.iter().all(|found| *found == entry(found.seq)));
    assert_eq!(page.entries.last(), Some(&entry(2_000)));
    assert!(!open.store.verify(partition()).unwrap().holds());
    open.hold(2_001..=2_010);
}

#[test]
fn a_damaged_blob_is_noticed_and_can_be_put_again() {
    let rig = OnDisk::new();
    let open = rig.open();
    let name = BlobName([0xAB; 32]);
    open.store.put_blob(name, b"compiled tables").unwrap();
    let path = rig.folder().join("blobs").join(format!("{name}.blob"));
    let whole = fs::read(&path).unwrap();
    for index in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[index] ^= 0x10;
        fs::write(&path, damaged).unwrap();
        assert_eq!(open.store.blob(name), Err(StoreError::BlobDamaged { name }), "byte {index}");
        fs::write(&path, &whole[..index]).unwrap();
        assert_eq!(open.store.blob(name), Err(StoreError::BlobDamaged { name }), "cut at {index}");
    }
    open.store.put_blob(name, b"compiled tables").unwrap();
    assert_eq!(open.store.blob(name), Ok(Some(b"compiled tables".to_vec())));
    assert_eq!(open.store.blob_names(), Ok(vec![name]));
    open.store.remove_blob(name).unwrap();
    assert_eq!((open.store.blob(name), open.store.blob_names()), (Ok(None), Ok(vec![])));
}
