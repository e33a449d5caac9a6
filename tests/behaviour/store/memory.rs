//! Faults on order: the store in memory fails as a disk fails, the same way for the same seed.

use std::collections::BTreeMap;

use najda::edge::store::memory::{Crash, Fault, FaultPlan, MemoryDisk, MemoryStore};
use najda::store::{Notice, RejectedWhy, Store};

use super::rig::{InMemory, Open, Rig, entries, held, listener, partition};

#[test]
fn a_failed_write_is_told_and_tried_again_until_it_is_held() {
    let rig = InMemory::new();
    let open = rig.open();
    open.hold(1..=2);
    open.store.inject(Fault::Fail { write_count: 3 });
    open.append(3..=4);
    assert!(matches!(open.next_notice(), Notice::Failed { through_seq: 2, .. }));
    open.append(5..=5);
    assert!(!open.store.health().writing);
    assert!(open.heard.try_recv().is_err(), "a failure is told once");
    open.store.go_on();
    open.store.go_on();
    assert!(matches!(open.await_receipt(5).as_slice(), [Notice::Recovered { .. }]));
    assert_eq!(held(&open.store).entries, entries(1..=5));
}

#[test]
fn a_stalled_store_takes_batches_and_holds_them_when_it_is_released() {
    let open = InMemory::new().open();
    open.store.inject(Fault::Stall);
    open.append(1..=3);
    open.append(4..=4);
    assert!(open.heard.try_recv().is_err());
    assert_eq!(open.store.health().backlog_entry_count, 4);
    open.store.release();
    open.await_receipt(4);
}

#[test]
fn a_lost_receipt_is_unknown_and_the_same_entries_again_bring_it() {
    let open = InMemory::new().open();
    open.store.inject(Fault::LoseReceipt { batch_count: 1 });
    open.append(1..=3);
    assert!(matches!(open.next_notice(), Notice::Unknown { span } if (span.first_seq, span.last_seq) == (1, 3)));
    assert_eq!(held(&open.store).entries, entries(1..=3), "held although nobody was told");
    open.hold(1..=3);
    assert_eq!(held(&open.store).entries, entries(1..=3));
}

#[test]
fn a_full_store_gives_the_batch_back() {
    let open = InMemory::new().open();
    open.store.inject(Fault::Full { append_count: 2 });
    for _ in 0..2 {
        let rejected = open.store.append(open.batch(1..=2)).unwrap_err();
        assert_eq!((rejected.why, rejected.batch.entries().len()), (RejectedWhy::Full { entry_count: 0 }, 2));
    }
    open.hold(1..=2);
}

#[test]
fn a_crash_keeps_all_that_was_acknowledged_and_perhaps_more_but_only_whole_batches() {
    let mut kept = BTreeMap::new();
    for seed in 0..200 {
        let rig = InMemory::new();
        let open = rig.open();
        open.hold(1..=5);
        open.store.inject(Fault::Stall);
        open.append(6..=8);
        open.append(9..=9);
        open.store.crash(Crash::KeepsSome { seed });
        let open = rig.open();
        let count = held(&open.store).entries.len();
        assert!([5, 8, 9].contains(&count), "seed {seed}: {count}");
        assert_eq!(held(&open.store).entries, entries(1..=count as u64));
        assert!(open.store.verify(partition()).unwrap().holds());
        *kept.entry(count).or_insert(0) += 1;
    }
    assert_eq!(kept.len(), 3, "every outcome is met: {kept:?}");
}

/// Appends under a plan, answering each outcome as the port asks, and returns every notice as text.
fn run(plan: FaultPlan) -> Vec<String> {
    let (listener, heard) = listener();
    let open = Open::new(MemoryStore::open_with_faults(MemoryDisk::default(), plan, listener), heard);
    let mut told = Vec::new();
    for seq in 1..=400 {
        while let Err(rejected) = open.store.append(open.batch(seq..=seq)) {
            assert!(matches!(rejected.why, RejectedWhy::Full { .. }), "{rejected}");
        }
        for notice in open.heard.try_iter() {
            told.push(format!("{notice:?}"));
        }
    }
    for _ in 0..1_000 {
        open.store.release();
    }
    told.extend(open.heard.try_iter().map(|notice| format!("{notice:?}")));
    assert_eq!(held(&open.store).entries, entries(1..=400), "seed {}", plan.seed);
    told
}

#[test]
fn whatever_goes_wrong_nothing_appended_is_lost_and_a_seed_repeats_it() {
    for seed in 0..50 {
        let plan = FaultPlan { seed, fail_ppm: 100_000, full_ppm: 50_000, lose_receipt_ppm: 50_000, stall_ppm: 50_000 };
        let told = run(plan);
        assert_eq!(told, run(plan), "seed {seed}");
        for kind in ["Failed", "Recovered", "Unknown", "Durable"] {
            assert!(told.iter().any(|notice| notice.starts_with(kind)), "seed {seed} never met {kind}");
        }
    }
}

#[test]
fn without_a_plan_nothing_goes_wrong() {
    assert!(run(FaultPlan::default()).iter().all(|notice| notice.starts_with("Durable")));
}
