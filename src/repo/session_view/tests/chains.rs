//! Chains: gaps, forks, forgotten and revoked records.

use super::*;
use crate::repo::keys::role::Role;
use crate::repo::log::Verdict as Resolved;

fn drop_session(world: &World, session: SessionName) {
    for name in [Name::Open(session), Name::End(session)] {
        world.store.delete(&name.object()).unwrap();
    }
}

#[test]
fn a_whole_chain_is_nothing_to_tell() {
    let world = World::found();
    let machine = Machine::new(&world, &world.admin, 7);
    let chain = machine.chain(3);
    let view = view(&world);
    assert!(view.issues.is_empty());
    let head = view.own_head(&world.admin.principal_id(), &machine.installation.writer).unwrap();
    assert_eq!((head.record.id(), head.record.link().number), (chain[2], 2));
}

#[test]
fn a_missing_record_is_a_gap_unless_the_log_says_why() {
    let world = World::found();
    let machine = Machine::new(&world, &world.admin, 7);
    let chain = machine.chain(3);
    drop_session(&world, machine.session(2));
    let writer = machine.installation.writer;
    assert_eq!(view(&world).issues, [Issue::Gap { writer, missing: chain[1], after: chain[2] }]);
    for explains in [Decision::Forget(vec![chain[1]]), Decision::Resolve(Resolved::Gap { writer, missing: chain[1] })] {
        let world = world.fork();
        world.append(&world.admin, &explains).unwrap();
        assert_eq!(view(&world).issues, []);
    }
    let other = Decision::Resolve(Resolved::Gap { writer: WriterId([1; 16]), missing: chain[1] });
    world.append(&world.admin, &other).unwrap();
    assert_eq!(view(&world).issues.len(), 1);
}

#[test]
fn forks_and_wrong_numbers_are_told() {
    let world = World::found();
    let machine = Machine::new(&world, &world.admin, 7);
    let chain = machine.chain(2);
    let third = machine.commit(3, 2, Some(chain[1]));
    let twin = machine.commit(4, 2, Some(chain[1]));
    let skipping = machine.commit(5, 9, Some(third));
    let view = view(&world);
    let mut records = vec![third, twin];
    records.sort_unstable();
    let writer = machine.installation.writer;
    assert_eq!(view.issues, [Issue::Misnumbered(skipping), Issue::Fork { writer, records }]);
    assert_eq!(view.snapshots.len(), 5, "they are snapshots all the same");
}

#[test]
fn forgotten_snapshots_are_kept_apart() {
    let world = World::found();
    let machine = Machine::new(&world, &world.admin, 7);
    let chain = machine.chain(2);
    world.append(&world.admin, &Decision::Forget(vec![chain[1]])).unwrap();
    let view = view(&world);
    let live: Vec<SnapshotId> = view.live().map(|snapshot| snapshot.record.id()).collect();
    assert_eq!((live, ids(&view)), (vec![chain[0]], chain.iter().copied().collect()));
    assert_eq!(view.heads()[&machine.installation.writer], chain[1], "the chain goes on after it");
}

#[test]
fn of_a_revoked_principal_what_was_accepted_stays() {
    let world = World::found();
    let thief = world.add(Role::Writer);
    let (named, unnamed) = (Machine::new(&world, &thief, 7), Machine::new(&world, &thief, 8));
    let (chain, other) = (named.chain(3), unnamed.chain(1));
    let honest = Machine::new(&world, &world.admin, 9).chain(1);
    revoke(&world, &thief, vec![(named.installation.writer, chain[1])]);
    // With the keys still in hand: a record beside the chain, and one before it.
    let beside = named.commit(4, 2, Some(chain[1]));
    let fresh = named.commit(5, 0, None);

    let view = view(&world);
    assert_eq!(ids(&view), [chain[0], chain[1], honest[0]].into());
    for dropped in [chain[2], other[0], beside, fresh] {
        assert!(view.issues.contains(&Issue::Revoked(dropped)));
    }
    assert!(view.indexes.contains(&index(3)), "what it stored stays findable");
}
