//! Good locations: whose stored chunks one may rely on.

use super::*;
use crate::repo::keys::role::Role;

#[test]
fn oneself_an_admin_and_whom_one_trusts() {
    let world = World::found();
    let other = world.add(Role::Writer);
    let (trusting, wary) = (world.add_trusting(Role::Writer, &[&other]), world.add(Role::Writer));
    let machines = [(&other, 1), (&other, 2), (&world.admin, 3), (&trusting, 4)];
    let sessions = machines.map(|(bundle, writer)| {
        let machine = Machine::new(&world, bundle, writer);
        machine.commit(1, 0, None);
        machine.session(1)
    });
    let (state, view) = (world.state(), view(&world));
    let good = |me: &Bundle| sessions.map(|session| view.good_for(&me.principal_id(), &session, &state));
    assert_eq!(good(&other), [true, true, true, false], "installations of one principal, and the admin's");
    assert_eq!(good(&trusting), [true, true, true, true]);
    assert_eq!(good(&wary), [false, false, true, false]);
    let nowhere = SessionName { writer: WriterId([5; 16]), seq: 1 };
    assert!(!view.good_for(&wary.principal_id(), &nowhere, &state));
}

#[test]
fn what_a_revoked_principal_stored_is_good_for_nobody() {
    let world = World::found();
    let thief = world.add(Role::Writer);
    let trusting = world.add_trusting(Role::Writer, &[&thief]);
    let machine = Machine::new(&world, &thief, 7);
    let id = machine.commit(1, 0, None);
    let good = || view(&world).good_for(&trusting.principal_id(), &machine.session(1), &world.state());
    assert!(good());
    revoke(&world, &thief, vec![(machine.installation.writer, id)]);
    assert!(!good());
}

#[test]
fn an_attest_names_one_end() {
    let world = World::found();
    let (writer, wary, reader) = (world.add(Role::Writer), world.add(Role::Writer), world.add(Role::Reader));
    let machine = Machine::new(&world, &writer, 7);
    machine.commit(1, 0, None);
    let session = machine.session(1);
    let good = |world: &World| view(world).good_for(&wary.principal_id(), &session, &world.state());
    let end = view(&world).signed(&session).unwrap().end.unwrap();
    let attest = |end| Decision::Attest { session, end };
    world.append(&reader, &attest([0; 32])).unwrap();
    assert!(!good(&world));
    world.append(&reader, &attest(end)).unwrap();
    assert!(good(&world));
    revoke(&world, &reader, vec![]);
    assert!(!good(&world));
}

#[test]
fn nobody_passes_as_another_by_claiming_their_writer() {
    let world = World::found();
    let (victim, hostile) = (world.add(Role::Writer), world.add(Role::Writer));
    let trusting = world.add_trusting(Role::Writer, &[&victim]);
    let honest = Machine::new(&world, &victim, 7);
    let id = honest.commit(1, 0, None);
    let claimant = Machine::new(&world, &hostile, 7);
    let claimed = claimant.commit(2, 1, Some(id));
    let (state, view) = (world.state(), view(&world));
    let good = |session| view.good_for(&trusting.principal_id(), &session, &state);
    assert_eq!((good(honest.session(1)), good(honest.session(2))), (true, false));
    let principals = [victim.principal_id(), hostile.principal_id()].into();
    assert!(view.issues.contains(&Issue::Claimed { writer: WriterId([7; 16]), principals }));
    let head = view.own_head(&victim.principal_id(), &WriterId([7; 16])).unwrap();
    assert_eq!((head.record.id(), view.snapshots[&claimed].principal), (id, hostile.principal_id()));
}
