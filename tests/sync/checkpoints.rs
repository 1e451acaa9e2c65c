//! Checkpoints at a copy, at its source, at both: what they sum up is neither missed nor brought again.

use super::{Pair, holds, prune};
use crate::world::Listener;
use boveda::event::Silent;
use boveda::ops::checkpoint::checkpoint;
use boveda::repo::id::{IndexId, SnapshotId, WriterId};
use boveda::repo::names::{IndexClass, Name};
use boveda::repo::repository::{Copies, Error, Repository};
use boveda::repo::session::IndexRef;
use boveda::store::Store;
use boveda::store::memory::MemoryStore;

fn sum_up(mut repository: Repository) {
    checkpoint(&mut repository, 1, &Silent).unwrap();
    assert!(repository.log().state.ledger().checkpoint.is_some());
}

fn count(store: &MemoryStore, folder: &str) -> usize {
    store.list(folder).unwrap().len()
}

/// A source that has pruned, and a copy of it, to which the packs that went never came.
fn with_packs_left_out() -> (Pair, SnapshotId) {
    let (pair, ids) = Pair::with(&[1, 2]);
    // Both snapshots' files lie in packs of their own; their indexes go on naming the first one's.
    assert!(pair.world.as_admin().forget(vec![ids[0]]).unwrap());
    prune(&pair, &pair.world.store);
    pair.sync();
    assert!(pair.copied().view().left_out().values().any(|packs| !packs.is_empty()), "the case that is meant");
    (pair, ids[1])
}

#[test]
fn packs_that_never_came_are_not_missed_after_a_checkpoint() {
    let (pair, second) = with_packs_left_out();
    let before = pair.copied().view().left_out().clone();
    sum_up(pair.copied());
    assert_eq!(count(&pair.copy, "sess"), 0);
    assert_eq!(*pair.copied().view().left_out(), before);
    pair.copy_holds(&[(second, 2)]);
    // And after another, which starts from the first.
    let third = pair.snapshot(3);
    pair.sync();
    sum_up(pair.copied());
    assert_eq!(*pair.copied().view().left_out(), before);
    pair.copy_holds(&[(second, 2), (third, 3)]);
}

#[test]
fn a_copy_with_packs_left_out_prunes_after_many_syncs_and_is_whole() {
    let (pair, second) = with_packs_left_out();
    let mut expected = vec![(second, 2)];
    for round in 0..32 {
        // Most hold the same: only the ends differ.
        let seed = 3 + round / 16;
        expected.push((pair.snapshot(seed), seed));
        pair.sync();
    }
    let (sessions, indexes) = (count(&pair.copy, "sess"), count(&pair.copy, "idx"));
    let machine = pair.world.machine("storage");
    let mut repository = machine.open(&pair.copy, &pair.world.admin).unwrap();
    let options = boveda::ops::prune::Options { now: 1_800_000_000, ..Default::default() };
    boveda::ops::prune::prune(&mut repository, &machine.host, &options, &Listener::default()).unwrap();
    assert!(sessions > 64 && count(&pair.copy, "sess") < 3, "{sessions} objects of sessions before");
    assert!(repository.view().indexes.len() < indexes / 2, "{} of {indexes}", repository.view().indexes.len());
    pair.copy_holds(&expected);
    // What was put together came, by another name.
    let objects = pair.copy.objects();
    let summary = pair.sync();
    assert_eq!((summary.indexes, summary.packs.packs, summary.snapshots), (0, 0, 0), "{summary:?}");
    assert!(pair.copy.objects() == objects, "not even a session");
}

/// What differs between the two: sums at the source, at the copy, at both, in either order.
#[test]
fn a_sync_after_a_checkpoint_brings_what_is_new_and_nothing_twice() {
    for (at_source, at_copy) in [(true, false), (false, true), (true, true)] {
        let what = format!("source {at_source}, copy {at_copy}");
        let pair = Pair::new();
        let mut expected: Vec<_> = (1..=9).map(|seed| (pair.snapshot(seed), seed)).collect();
        pair.sync();
        for seed in 10..=11 {
            if at_source {
                sum_up(pair.world.as_admin());
            }
            if at_copy {
                sum_up(pair.copied());
            }
            let (before, ids) = (pair.copy.objects(), pair.world.as_admin().view().indexes.len());
            assert!(!at_source || ids < 12, "{what}: {ids} indexes");
            let summary = pair.sync();
            assert_eq!((summary.snapshots, summary.packs.packs, summary.indexes), (0, 0, 0), "{what}: {summary:?}");
            assert!(pair.copy.objects() == before, "{what}: not even a session");
            expected.push((pair.snapshot(seed), seed));
            for _ in 0..2 {
                let summary = pair.sync();
                assert!(summary.left.is_empty() && summary.lost.is_empty(), "{what}: {summary:?}");
                assert_eq!(summary.after.snapshots, 0, "{what}");
            }
            pair.copy_holds(&expected);
            holds(&pair.world, &pair.world.store, &pair.source, &expected);
        }
    }
}

#[test]
fn a_copy_that_is_begun_from_a_source_with_checkpoints_has_every_snapshot() {
    let pair = Pair::new();
    let mut expected: Vec<_> = (1..=9).map(|seed| (pair.snapshot(seed), seed)).collect();
    sum_up(pair.world.as_admin());
    assert!(pair.world.as_admin().view().indexes.len() < 9, "put together");
    let summary = pair.sync();
    assert_eq!((summary.founded, summary.snapshots), (true, 9));
    pair.copy_holds(&expected);
    // What the copy lost since comes back by the source's name for it.
    sum_up(pair.copied());
    let index = *pair.copied().view().indexes.iter().next_back().unwrap();
    pair.copy.delete(&index.name().object()).unwrap();
    assert!(pair.sync().healed.contains(&Name::Index {
        checkpoint: index.checkpoint,
        class: index.class,
        id: index.id
    }));
    expected.push((pair.snapshot(10), 10));
    pair.sync();
    pair.copy_holds(&expected);
}

/// An index that only the copy has put together is lost there: what it said comes again from the source.
#[test]
fn what_a_lost_index_of_the_copy_said_comes_again() {
    let pair = Pair::new();
    let expected: Vec<_> = (1..=9).map(|seed| (pair.snapshot(seed), seed)).collect();
    pair.sync();
    sum_up(pair.copied());
    let theirs = pair.world.as_admin().view().indexes.clone();
    let made: Vec<_> = pair.copied().view().indexes.difference(&theirs).copied().collect();
    assert!(!made.is_empty());
    pair.copy.delete(&made[0].name().object()).unwrap();
    assert!(pair.sync().indexes > 0);
    let copy = pair.copied();
    let index = boveda::repo::repository::Indexes::readable(&copy).unwrap();
    assert_eq!(index.problems.len(), 1, "it stays named; `repair index` ends that");
    for (id, _) in &expected {
        assert!(copy.snapshots().iter().any(|snapshot| snapshot.id == *id));
    }
}

/// Somebody took it for dead, and summed up without it: what it brought does not count, and whoever brought it is told.
#[test]
fn a_sync_that_was_passed_over_before_its_end_is_told_so() {
    let (pair, ids) = Pair::with(&[1]);
    pair.sync();
    let writer = WriterId([7; 16]);
    let mut late = pair.copied();
    let session = late.begin_mirroring(writer).unwrap();
    // The next ones of the same name give it up; the last one that was given up nobody covers.
    for _ in 0..2 {
        let mut next = pair.copied();
        let session = next.begin_mirroring(writer).unwrap();
        next.abort_mirroring(session, "something else to do");
    }
    sum_up(pair.copied());
    let index = IndexRef { checkpoint: 0, class: IndexClass::Data, id: IndexId([1; 32]) };
    let refused = late.commit_copies(&session, &Copies { indexes: vec![index], ..Copies::default() });
    assert!(matches!(refused, Err(Error::Aborted { .. })), "{refused:?}");
    pair.copy_holds(&[(ids[0], 1)]);
}
