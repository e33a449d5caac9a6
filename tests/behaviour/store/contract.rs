//! What every store promises. Each sentence here is a test of each store.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use najda::journal::{Anchor, Break, BreakKind, ChainHash, Entry};
use najda::store::{Batch, BlobName, Checkpoint, Epoch, Notice, Partition, RefusedWhy, RejectedWhy, Store, StoreError};

use super::rig::{InMemory, OnDisk, Open, Rig, Tampering, entries, entry, held, partition};

// The attribute is spelled out, because the rule about test names cannot read a name that a macro gives.
macro_rules! every_store {
    ($($promise:ident)+) => {
        mod on_disk {
            $(#[core::prelude::v1::test] fn $promise() { super::$promise(&<super::OnDisk as super::Rig>::new()); })+
        }
        mod in_memory {
            $(#[core::prelude::v1::test] fn $promise() { super::$promise(&<super::InMemory as super::Rig>::new()); })+
        }
    };
}

every_store! {
    a_batch_is_held_whole_or_not_at_all
    a_blob_is_given_back_after_a_crash_and_never_replaced
    a_checkpoint_is_given_back_only_while_the_chain_passes_through_its_anchor
    a_page_names_the_chain_after_its_last_entry
    two_checkpoints_are_kept_and_one_of_a_longer_journal_goes
    a_claim_by_another_process_fences_the_one_before
    a_first_claim_starts_at_entry_one
    a_gap_is_turned_away_and_the_batch_comes_back
    a_loss_is_on_record_only_when_it_is_declared
    acknowledged_entries_survive_a_crash
    an_entry_behind_a_lost_one_is_never_called_held
    an_older_epoch_is_fenced
    an_unclaimed_partition_takes_nothing
    appended_entries_are_read_back_in_order_after_reopening
    every_kind_of_tampering_is_found_and_named
    other_entries_under_held_numbers_are_refused
    partitions_do_not_touch_each_other
    pages_join_without_overlap
    readers_see_a_growing_prefix_while_entries_are_written
    the_chain_goes_on_across_openings
    the_same_entries_again_are_harmless
}

fn a_first_claim_starts_at_entry_one<R: Rig>(rig: &R) {
    let open = rig.open();
    let head = Anchor { seq: 0, hash: ChainHash::genesis(0) };
    assert_eq!((open.claim.epoch, open.claim.next_seq, open.claim.head), (Epoch(1), 1, head));
    assert_eq!(held(&open.store), Default::default());
    assert!(open.store.verify(partition()).unwrap().holds());
}

fn appended_entries_are_read_back_in_order_after_reopening<R: Rig>(rig: &R) {
    let open = rig.open();
    open.append(1..=1);
    open.append(2..=300);
    open.hold(301..=301);
    rig.close(open);
    let open = rig.open();
    assert_eq!((open.claim.next_seq, open.claim.epoch), (302, Epoch(2)));
    let page = held(&open.store);
    assert_eq!(page.entries, entries(1..=301));
    assert_eq!((page.holes, page.breaks), (vec![], vec![]));
}

fn acknowledged_entries_survive_a_crash<R: Rig>(rig: &R) {
    let mut last = 0;
    for round in 1..=5 {
        let open = rig.open();
        assert_eq!(open.claim.next_seq, last + 1);
        open.hold(last + 1..=last + round * 7);
        last += round * 7;
        rig.crash(open);
    }
    let open = rig.open();
    assert_eq!(held(&open.store).entries, entries(1..=last));
    assert!(open.store.verify(partition()).unwrap().holds());
}

fn the_same_entries_again_are_harmless<R: Rig>(rig: &R) {
    let open = rig.open();
    open.hold(1..=20);
    open.hold(1..=20);
    open.hold(5..=9);
    open.hold(15..=30);
    rig.close(open);
    let open = rig.open();
    open.hold(25..=31);
    assert_eq!(held(&open.store).entries, entries(1..=31));
    assert!(open.store.verify(partition()).unwrap().holds());
}

fn other_entries_under_held_numbers_are_refused<R: Rig>(rig: &R) {
    let open = rig.open();
    open.hold(1..=10);
    let changes: [fn(&mut Entry); 4] =
        [|entry| entry.bytes.push(0), |entry| entry.kind = 11, |entry| entry.at = entry.at.plus_micros(1), |entry| entry.contact = None];
    for change in changes {
        let mut other = entries(5..=11);
        change(&mut other[2]);
        open.store.append(Batch::new(&open.claim, other).unwrap()).unwrap();
        let Notice::Refused { span, why } = open.next_notice() else { panic!("other entries are refused") };
        assert_eq!((span.first_seq, span.last_seq, why), (5, 11, RefusedWhy::Differs { seq: 7 }));
    }
    assert_eq!(held(&open.store).entries, entries(1..=10));
    open.hold(11..=12);
}

fn a_gap_is_turned_away_and_the_batch_comes_back<R: Rig>(rig: &R) {
    let open = rig.open();
    open.hold(1..=3);
    let rejected = open.store.append(open.batch(5..=6)).unwrap_err();
    assert_eq!(rejected.why, RejectedWhy::Gap { expected: 4, got: 5 });
    assert_eq!(rejected.batch.entries(), entries(5..=6));
    open.hold(4..=6);
    assert_eq!(held(&open.store).entries, entries(1..=6));
}

fn an_older_epoch_is_fenced<R: Rig>(rig: &R) {
    let open = rig.open();
    open.hold(1..=3);
    let newer = open.store.claim(partition()).unwrap();
    assert_eq!((newer.epoch, newer.next_seq), (Epoch(2), 4));
    let rejected = open.store.append(open.batch(4..=4)).unwrap_err();
    assert_eq!(rejected.why, RejectedWhy::Fenced { held_by: Epoch(2), got: Epoch(1) });
    open.store.append(Batch::new(&newer, entries(4..=5)).unwrap()).unwrap();
    open.await_receipt(5);
    assert_eq!(held(&open.store).entries, entries(1..=5));
}

fn a_claim_by_another_process_fences_the_one_before<R: Rig>(rig: &R) {
    let open = rig.open();
    open.hold(1..=3);
    rig.claim_from_elsewhere(&open);
    open.append(4..=6);
    let Notice::Fenced { span, held_by } = open.next_notice() else { panic!("an old epoch is fenced") };
    assert_eq!((span.first_seq, span.last_seq, held_by), (4, 6, Epoch(2)));
    assert_eq!(held(&open.store).entries, entries(1..=3));
    let rejected = open.store.append(open.batch(4..=6)).unwrap_err();
    assert_eq!(rejected.why, RejectedWhy::Fenced { held_by: Epoch(2), got: Epoch(1) });
}

fn an_unclaimed_partition_takes_nothing<R: Rig>(rig: &R) {
    let open = rig.open();
    let claim = najda::store::Claim { partition: Partition::new(9).unwrap(), ..open.claim };
    let rejected = open.store.append(Batch::new(&claim, entries(1..=1)).unwrap()).unwrap_err();
    assert_eq!(rejected.why, RejectedWhy::Unclaimed);
    assert_eq!(open.store.read(claim.partition, 1, 10).unwrap(), Default::default());
}

fn a_batch_is_held_whole_or_not_at_all<R: Rig>(rig: &R) {
    let open = rig.open();
    open.hold(1..=4);
    let mut half = entries(4..=8);
    half[0].kind ^= 1;
    open.append(1..=4);
    open.store.append(Batch::new(&open.claim, half).unwrap()).unwrap();
    let refused = (0..2).map(|_| open.next_notice()).find(|notice| matches!(notice, Notice::Refused { .. }));
    assert!(refused.is_some());
    assert_eq!(held(&open.store).entries, entries(1..=4));
    let next = open.store.claim(partition()).unwrap();
    assert_eq!(next.next_seq, 5);
}

fn an_entry_behind_a_lost_one_is_never_called_held<R: Rig>(rig: &R) {
    let open = rig.open();
    open.hold(1..=4);
    for seq in 6..=20 {
        assert!(open.store.append(open.batch(seq..=seq)).is_err());
    }
    assert!(open.heard.try_recv().is_err(), "nothing was held, nothing is said");
    assert_eq!(open.store.claim(partition()).unwrap().next_seq, 5);
}

fn a_loss_is_on_record_only_when_it_is_declared<R: Rig>(rig: &R) {
    let open = rig.open();
    open.hold(1..=4);
    open.store.append(Batch::after_loss(&open.claim, 5, entries(9..=10)).unwrap()).unwrap();
    open.await_receipt(10);
    open.hold(11..=12);
    // The same again is harmless here too, and what was given up stays given up.
    open.store.append(Batch::after_loss(&open.claim, 5, entries(9..=10)).unwrap()).unwrap();
    open.await_receipt(12);
    open.store.append(open.batch(6..=9)).unwrap();
    assert!(matches!(open.next_notice(), Notice::Refused { why: RefusedWhy::Differs { seq: 6 }, .. }));
    assert_eq!(open.store.health().lost_entry_count, 4);
    rig.close(open);
    let open = rig.open();
    assert_eq!(open.claim.next_seq, 13);
    let page = held(&open.store);
    assert_eq!(page.entries, [entries(1..=4), entries(9..=12)].concat());
    let lost: Vec<_> = page.holes.iter().map(|hole| (hole.first_seq, hole.last_seq)).collect();
    assert_eq!((lost, page.breaks), (vec![(5, 8)], vec![]));
    assert!(open.store.verify(partition()).unwrap().holds());
    // A page that begins inside or right behind the hole knows its chain as well.
    for from_seq in [5, 7, 9] {
        let page = open.store.read(partition(), from_seq, 50).unwrap();
        assert_eq!((page.entries, page.breaks), (entries(9..=12), vec![]), "from {from_seq}");
    }
}

fn partitions_do_not_touch_each_other<R: Rig>(rig: &R) {
    let open = rig.open();
    let other = open.store.claim(Partition::new(7).unwrap()).unwrap();
    open.append(1..=5);
    open.store.append(Batch::new(&other, entries(1..=2)).unwrap()).unwrap();
    open.append(6..=9);
    open.await_receipt(9);
    let read = |partition| open.store.read(partition, 1, 100).unwrap().entries;
    assert_eq!((read(partition()), read(other.partition)), (entries(1..=9), entries(1..=2)));
    let heads = [partition(), other.partition].map(|partition| open.store.verify(partition).unwrap());
    assert!(heads.iter().all(|found| found.holds()));
    assert_eq!(heads.map(|found| found.head.seq), [9, 2]);
}

fn pages_join_without_overlap<R: Rig>(rig: &R) {
    let open = rig.open();
    open.hold(1..=25);
    let page = open.store.read(partition(), 3, 10).unwrap();
    assert_eq!((page.entries, page.next_seq), (entries(3..=12), Some(13)));
    let page = open.store.read(partition(), 13, 0).unwrap();
    assert_eq!((page.entries, page.next_seq), (entries(13..=13), Some(14)));
    let page = open.store.read(partition(), 26, 10).unwrap();
    assert_eq!(page, Default::default());
}

fn readers_see_a_growing_prefix_while_entries_are_written<R: Rig>(rig: &R) {
    let open = rig.open();
    let done = AtomicBool::new(false);
    let (store, done) = (&open.store, &done);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(move || {
                let mut seen = 0;
                while !done.load(Ordering::Acquire) {
                    let page = held(store);
                    assert!(page.breaks.is_empty());
                    assert!(page.entries.len() >= seen, "what was seen stays");
                    assert_eq!(page.entries, entries(1..=page.entries.len() as u64));
                    seen = page.entries.len();
                }
            });
        }
        (0..60).for_each(|batch| open.append(batch * 5 + 1..=batch * 5 + 5));
        open.await_receipt(300);
        done.store(true, Ordering::Release);
    });
    assert_eq!(held(store).entries, entries(1..=300));
}

fn the_chain_goes_on_across_openings<R: Rig>(rig: &R) {
    let mut head = Anchor { seq: 0, hash: ChainHash::genesis(0) };
    for round in 0..4 {
        let open = rig.open();
        assert_eq!(open.claim.head, head);
        open.hold(round * 3 + 1..=round * 3 + 3);
        let found = open.store.verify(partition()).unwrap();
        assert!(found.holds());
        head = found.head;
        rig.close(open);
    }
    assert_eq!(head.seq, 12);
}

fn every_kind_of_tampering_is_found_and_named<R: Rig>(_: &R) {
    let altered = |seq| Break { seq, kind: BreakKind::Altered };
    let missing = |seq| Break { seq, kind: BreakKind::Missing { last_seq: seq } };
    let cases = [
        (Tampering::FlipBit(17), vec![altered(17)]),
        (Tampering::ChangeTime(1), vec![altered(1)]),
        (Tampering::ChangeTime(40), vec![altered(40)]),
        (Tampering::Remove(1), vec![missing(1)]),
        (Tampering::Remove(17), vec![missing(17)]),
        (Tampering::Remove(40), vec![Break { seq: 40, kind: BreakKind::CutOff }]),
        (Tampering::Swap(10, 31), vec![altered(10), altered(31)]),
    ];
    for (tampering, breaks) in cases {
        let rig = R::new();
        let open = rig.open();
        open.hold(1..=40);
        rig.close(open);
        // An opening notes where the chain ended, so that a cut tail shows.
        rig.close(rig.open());
        rig.tamper(tampering);
        let open = rig.open();
        let found = open.store.verify(partition()).unwrap();
        assert_eq!((found.breaks, found.break_count), (breaks.clone(), breaks.len() as u64), "{tampering:?}");
        check_read(&open, tampering, &breaks);
    }
}

/// Reading says what verifying says, leaves out what was altered, and gives back all the rest.
fn check_read<S: Store>(open: &Open<S>, tampering: Tampering, breaks: &[Break]) {
    let page = held(&open.store);
    let seen: Vec<Break> = breaks.iter().copied().filter(|found| found.kind != BreakKind::CutOff).collect();
    assert_eq!(page.breaks, seen, "{tampering:?}");
    let whole: Vec<Entry> = (1..=40).filter(|seq| breaks.iter().all(|found| found.seq != *seq)).map(entry).collect();
    assert_eq!(page.entries, whole, "{tampering:?}");
}

fn a_blob_is_given_back_after_a_crash_and_never_replaced<R: Rig>(rig: &R) {
    let name = BlobName([7; 32]);
    let open = rig.open();
    assert_eq!(open.store.blob(name), Ok(None));
    let tables: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
    open.store.put_blob(name, &tables).unwrap();
    open.store.put_blob(name, &tables).unwrap();
    open.store.put_blob(BlobName([8; 32]), &[]).unwrap();
    assert_eq!(open.store.put_blob(name, b"other"), Err(StoreError::BlobDiffers { name }));
    rig.crash(open);
    let open = rig.open();
    assert_eq!(open.store.blob(name), Ok(Some(tables)));
    assert_eq!(open.store.blob(BlobName([8; 32])), Ok(Some(vec![])));
}

fn a_page_names_the_chain_after_its_last_entry<R: Rig>(rig: &R) {
    let open = rig.open();
    assert_eq!(open.store.read(partition(), 1, 10).unwrap().end, None);
    open.hold(1..=25);
    let whole = open.store.verify(partition()).unwrap().head;
    assert_eq!(open.store.read(partition(), 1, 100).unwrap().end, Some(whole));
    let part = open.store.read(partition(), 3, 10).unwrap().end.unwrap();
    assert_eq!(part.seq, 12);
    assert_eq!(open.store.read(partition(), 12, 1).unwrap().end, Some(part), "however the page began");
    assert_eq!(open.store.read(partition(), 26, 10).unwrap().end, None);
}

/// A checkpoint at an entry that is held.
fn checkpoint_at<S: Store>(open: &Open<S>, seq: u64) -> Checkpoint {
    let anchor = open.store.read(partition(), seq, 1).unwrap().end.unwrap();
    Checkpoint { anchor, needed_from_seq: seq - 2, bytes: vec![seq as u8; 9] }
}

fn a_checkpoint_is_given_back_only_while_the_chain_passes_through_its_anchor<R: Rig>(rig: &R) {
    let open = rig.open();
    assert_eq!(open.store.checkpoints(partition()), Ok(vec![]));
    assert!(open.store.checkpoint(partition(), 9).is_err());
    open.hold(1..=20);
    let good = checkpoint_at(&open, 9);
    open.store.put_checkpoint(partition(), &good).unwrap();
    rig.crash(open);
    let open = rig.open();
    assert_eq!(open.store.checkpoint(partition(), 9), Ok(good.clone()));
    let mut astray = good;
    astray.anchor.hash.0[5] ^= 1;
    open.store.put_checkpoint(partition(), &astray).unwrap();
    assert_eq!(open.store.checkpoint(partition(), 9), Err(StoreError::CheckpointAstray { seq: 9 }));
    let ahead = Checkpoint { anchor: Anchor { seq: 40, ..astray.anchor }, ..astray };
    open.store.put_checkpoint(partition(), &ahead).unwrap();
    assert_eq!(open.store.checkpoint(partition(), 40), Err(StoreError::CheckpointAstray { seq: 40 }));
}

fn two_checkpoints_are_kept_and_one_of_a_longer_journal_goes<R: Rig>(rig: &R) {
    let open = rig.open();
    open.hold(1..=50);
    let kept = |seq| {
        open.store.put_checkpoint(partition(), &checkpoint_at(&open, seq)).unwrap();
        open.store.checkpoints(partition()).unwrap()
    };
    assert_eq!((kept(10), kept(20), kept(30)), (vec![10], vec![20, 10], vec![30, 20]));
    assert_eq!(kept(25), [25, 20], "entry 30 was of a journal that is gone");
    let other = Partition::new(3).unwrap();
    assert_eq!(open.store.checkpoints(other), Ok(vec![]));
}
