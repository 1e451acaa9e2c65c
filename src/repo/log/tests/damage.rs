//! What reading does about damage, garbage, lost copies, rollback, and others who append at the same time.

use crate::repo::frame::{self, Sealing};
use crate::repo::id::SnapshotId;
use crate::repo::keys::role::Role;
use crate::repo::log::append::append_voiding;
use crate::repo::log::fixture::{SUITE, World};
use crate::repo::log::read::Reason;
use crate::repo::log::*;
use crate::repo::names::{Copy, Name};
use crate::store::faults::{Fault, FaultStore, Plan};
use crate::store::{Put, Store as _};
use std::sync::Arc;

fn forget(byte: u8) -> Decision {
    Decision::Forget(vec![SnapshotId([byte; 32])])
}

/// A log of four entries.
fn world() -> World {
    let world = World::found();
    for byte in 1..4 {
        world.append(&world.admin, &forget(byte)).unwrap();
    }
    world
}

fn ruin(world: &World, position: u64, copy: Copy) {
    world.store.overwrite(&world.position(position, copy), b"ruined".to_vec());
}

fn lose(world: &World, position: u64, copy: Copy) {
    world.store.delete(&world.position(position, copy)).unwrap();
}

fn lose_both(world: &World, position: u64) {
    for copy in Copy::BOTH {
        lose(world, position, copy);
    }
}

#[test]
fn both_copies_are_equal_bytes() {
    let world = world();
    for position in 0..4 {
        let [first, second] = Copy::BOTH.map(|copy| world.store.get(&world.position(position, copy)).unwrap());
        assert_eq!(first, second);
    }
    assert!(world.read().notes.is_empty());
}

#[test]
fn light_damage_is_healed() {
    let world = world();
    let name = world.position(2, Copy::First);
    let intact = world.store.get(&name).unwrap();
    let mut damaged = intact.clone();
    damaged[300] ^= 1;
    world.store.overwrite(&name, damaged);
    let log = world.read();
    assert_eq!((log.state.next(), log.doubts.len()), (4, 0));
    assert_eq!(log.notes, [Note::Healed { name: Name::Log(2, Copy::First), stored: intact }]);
}

#[test]
fn a_second_copy_stands_in_where_a_later_entry_proves_it() {
    let world = world();
    let state = world.state();
    ruin(&world, 1, Copy::First);
    lose(&world, 2, Copy::First);
    let log = world.read();
    assert_eq!((&log.state, log.doubts.len()), (&state, 0));
    assert_eq!(log.notes, [Note::FirstCopyLost(1), Note::FirstCopyLost(2)]);
}

#[test]
fn at_the_tail_nothing_proves_it() {
    for harm in [ruin, lose] {
        let world = world();
        harm(&world, 3, Copy::First);
        let log = world.read();
        assert_eq!(log.state.next(), 3);
        assert_eq!(log.stopped().unwrap().reason, Reason::Unproven);
        let refused = world.append(&world.admin, &forget(9));
        assert!(matches!(refused, Err(Error::Stopped(_))), "the next position may be taken already");
    }
}

/// Found by the simulation: who makes a checkpoint reads what comes after the listing, and nobody ever looks behind the checkpoint.
#[test]
fn what_was_entered_after_the_listing_is_seen_to_lack_its_second_copy() {
    let world = world();
    let listed = Source::list(&world.store).unwrap();
    world.append(&world.admin, &forget(9)).unwrap();
    let last = world.read().end() - 1;
    lose(&world, last, Copy::Second);
    let log = listed.read_all(world.fresh(), &world.log_keys(), None).unwrap();
    assert_eq!((log.end() - 1, log.notes), (last, vec![Note::SecondCopyMissing(last)]));
}

#[test]
fn a_forged_second_copy_is_not_believed() {
    let world = world();
    let other = world.fork();
    lose(&other, 2, Copy::First);
    lose(&other, 2, Copy::Second);
    lose(&other, 3, Copy::First);
    lose(&other, 3, Copy::Second);
    other.append(&other.admin, &forget(66)).unwrap();
    let forged = other.store.get(&other.position(2, Copy::First)).unwrap();
    world.store.overwrite(&world.position(2, Copy::Second), forged);
    ruin(&world, 2, Copy::First);
    let log = world.read();
    assert_eq!((log.state.next(), log.stopped().unwrap().position), (2, 2));
    assert!(!log.state.ledger().is_forgotten(&SnapshotId([66; 32])));
}

#[test]
fn gaps_and_rollback_are_errors() {
    let pinned = world();
    let pin = pinned.state().head();
    let with_pin = |world: &World| read(&world.store, world.fresh(), &world.log_keys(), pin);
    with_pin(&pinned).unwrap();

    let gap = pinned.fork();
    lose_both(&gap, 2);
    assert!(matches!(gap.try_read(), Err(Error::Gap(2))));

    let cut = pinned.fork();
    lose_both(&cut, 3);
    assert_eq!(cut.read().state.next(), 3);
    assert!(matches!(with_pin(&cut), Err(Error::RolledBack(3))));
    cut.append(&cut.admin, &forget(66)).unwrap();
    assert!(matches!(with_pin(&cut), Err(Error::RolledBack(3))), "another entry stands there");

    let known = pinned.state();
    let resumed = |world: &World| read(&world.store, known.clone(), &world.log_keys(), None);
    assert!(matches!(resumed(&cut), Err(Error::RolledBack(3))));
    pinned.append(&pinned.admin, &forget(7)).unwrap();
    assert_eq!(resumed(&pinned).unwrap().state, pinned.state());
}

#[test]
fn garbage_at_the_tail_stops_until_it_is_voided() {
    let world = world();
    let writer = world.add(Role::Writer);
    let state = world.state();
    for (position, garbage) in [(5, b"garbage"), (6, b"rubbish")] {
        world.store.put(&world.position(position, Copy::First), garbage).unwrap();
    }
    let log = world.read();
    assert_eq!((&log.state, log.doubts.len()), (&state, 2));
    assert!(matches!(world.append(&world.admin, &forget(9)), Err(Error::Stopped(_))));

    let void = |bundle: &crate::repo::keys::bundle::Bundle| {
        let sealing = Sealing { epoch: 1, suite: SUITE, index_key: &world.admin.current().index };
        let key = bundle.principal().signing_key();
        let author = Author { principal: bundle.principal_id(), key: &key };
        append_voiding(&world.store, &log, (&forget(9), 0), author, sealing)
    };
    assert!(matches!(void(&writer), Err(Error::Refused(Violation::NotAllowed { .. }))));
    assert!(matches!(void(&world.admin), Ok(Appended::Done { .. })));
    let log = world.read();
    assert_eq!((log.state.next(), log.doubts.len()), (8, 0));
    assert!(log.state.ledger().is_forgotten(&SnapshotId([9; 32])));
    assert!(log.notes.iter().all(|note| matches!(note, Note::Voided(_))));
    assert_eq!(log.notes.len(), 2, "nobody copies what is void");
}

#[test]
fn nobody_voids_a_good_entry() {
    let world = world();
    // Entry 3 is good; pretend that it was seen as garbage.
    let log = world.read();
    let short = world.fork();
    lose_both(&short, 3);
    let digest = log.state.digest();
    let doubt = Doubt { position: 3, digest, reason: Reason::Violation(Violation::Chain) };
    let pretended = Log { state: short.state(), doubts: vec![doubt], beyond: vec![], notes: vec![] };
    let sealing = Sealing { epoch: 1, suite: SUITE, index_key: &world.admin.current().index };
    let key = world.admin.principal().signing_key();
    let author = Author { principal: world.admin.principal_id(), key: &key };
    append_voiding(&world.store, &pretended, (&forget(9), 0), author, sealing).unwrap();
    let read = world.read();
    assert_eq!((read.state.next(), read.stopped().unwrap().position), (4, 4));
}

#[test]
fn what_a_stranger_or_a_writer_puts_is_no_decision() {
    let world = world();
    let writer = world.add(Role::Writer);
    let state = world.state();
    let (kind, body) = forget(9).encode();
    let entry = |kind, author| Entry {
        position: 5,
        previous: state.digest(),
        voids: vec![],
        author,
        time: 0,
        kind,
        body: body.clone(),
    };
    let sealing = Sealing { epoch: 1, suite: SUITE, index_key: &world.admin.current().index };
    let name = Name::Log(5, Copy::First);
    let put = |entry: &Entry, epoch| {
        let key = writer.principal().signing_key();
        let sealing = Sealing { epoch, ..sealing };
        let fork = world.fork();
        let written = frame::write(state.repository(), &name, b"", Some((sealing, &entry.encode())), &key);
        assert_eq!(fork.store.put(&name.object(), &written.stored).unwrap(), Put::Created);
        let log = fork.try_read().unwrap();
        assert_eq!(log.state, state);
        log.doubts[0].reason.clone()
    };
    let me = writer.principal_id();
    let not_allowed = |reason: Reason| matches!(reason, Reason::Violation(Violation::NotAllowed { .. }));
    assert!(not_allowed(put(&entry(kind, me), 1)));
    assert!(not_allowed(put(&entry(17, me), 1)), "no writer makes everybody wait for a newer version");
    let forged = put(&entry(kind, world.admin.principal_id()), 1);
    assert!(matches!(forged, Reason::Violation(Violation::Frame(_))));
    let future = put(&entry(kind, me), 9);
    assert_eq!(future, Reason::Violation(Violation::Epoch { found: 9, expected: 1 }));
}

#[test]
fn a_later_versions_entries_are_skipped_or_stop() {
    let world = world();
    let put = |kind, position| {
        let state = world.state();
        let author = world.admin.principal_id();
        let entry = Entry { position, previous: state.digest(), voids: vec![], author, time: 0, kind, body: vec![1] };
        let sealing = Sealing { epoch: 1, suite: SUITE, index_key: &world.admin.current().index };
        let name = Name::Log(position, Copy::First);
        let key = world.admin.principal().signing_key();
        let written = frame::write(state.repository(), &name, b"", Some((sealing, &entry.encode())), &key);
        world.store.put(&name.object(), &written.stored).unwrap();
    };
    put(18, 4);
    assert_eq!(world.state().next(), 5);
    put(17, 5);
    assert!(matches!(world.try_read(), Err(Error::Newer { position: 5, .. })));
}

#[test]
fn of_two_who_append_one_wins() {
    let world = world();
    let log = world.read();
    let key = world.admin.principal().signing_key();
    let author = Author { principal: world.admin.principal_id(), key: &key };
    assert!(matches!(world.attempt(&log, author, &forget(7)).unwrap(), Appended::Done { .. }));
    assert!(matches!(world.attempt(&log, author, &forget(8)).unwrap(), Appended::Taken));
    assert!(!world.state().ledger().is_forgotten(&SnapshotId([8; 32])));
}

#[test]
fn every_failed_call_leaves_a_log_that_goes_on() {
    for fault in [Fault::Before, Fault::After] {
        for call in 1.. {
            let world = world();
            let (log, head) = (world.read(), world.state().next());
            let inner = Arc::new(world.store.fork());
            let store = FaultStore::new(inner.clone());
            store.plan(Some(Plan::once(call, fault)));
            let key = world.admin.principal().signing_key();
            let author = Author { principal: world.admin.principal_id(), key: &key };
            let sealing = Sealing { epoch: 1, suite: SUITE, index_key: &world.admin.current().index };
            let outcome = append(&store, &log, (&forget(7), 0), author, sealing);
            let after = world.with(inner.fork());
            let stands = after.state().next() == head + 1;
            assert!(stands || outcome.is_err());
            after.append(&after.admin, &forget(8)).unwrap();
            assert_eq!(after.read().notes, [], "whoever appends next completes the copies");
            if store.struck().is_none() {
                assert!(call > 2);
                break;
            }
        }
    }
}

#[test]
fn no_byte_of_a_log_can_be_changed_unseen() {
    let world = world();
    let state = world.state();
    let stored = world.store.get(&world.position(2, Copy::First)).unwrap();
    for at in (0..stored.len()).step_by(37) {
        for copy in Copy::BOTH {
            let mut damaged = stored.clone();
            damaged[at] ^= 0x10;
            world.store.overwrite(&world.position(2, copy), damaged);
        }
        assert_eq!(world.read().state, state, "{at}");
    }
    // A sibling in its place.
    let sibling = world.store.get(&world.position(1, Copy::First)).unwrap();
    for copy in Copy::BOTH {
        world.store.overwrite(&world.position(2, copy), sibling.clone());
    }
    let log = world.read();
    assert_eq!((log.state.next(), log.stopped().unwrap().position), (2, 2));
}
