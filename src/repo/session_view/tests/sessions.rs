//! Which ends count, and what becomes of the others.

use super::*;
use crate::repo::keys::role::Role;
use crate::repo::log::Verdict as Resolved;
use crate::repo::session::CopiedRecord;

fn bad_end(view: &View) -> &Flaw {
    view.issues
        .iter()
        .find_map(|issue| match issue {
            Issue::BadEnd(_, flaw) => Some(flaw),
            _ => None,
        })
        .unwrap_or_else(|| panic!("no bad end: {:?}", view.issues))
}

#[test]
fn a_snapshot_exists_once_its_end_does() {
    let world = World::found();
    let writer = world.add(Role::Writer);
    let machine = Machine::new(&world, &writer, 7);
    machine.open(1);
    let before = view(&world);
    assert_eq!(before.sessions[&machine.session(1)], Outcome::Unresolved { beat: None });
    assert_eq!(before.unresolved().count(), 1);
    assert!(before.snapshots.is_empty() && before.indexes.is_empty() && before.issues.is_empty());

    let id = machine.commit(1, 0, None);
    let after = view(&world);
    assert_eq!(after.sessions[&machine.session(1)], Outcome::Committed(vec![id]));
    assert_eq!((ids(&after), after.indexes.len(), after.issues.len()), ([id].into(), 1, 0));
    assert_eq!(after.snapshots[&id].principal, writer.principal_id());
    assert_eq!(after.heads(), [(machine.installation.writer, id)].into());
    let signed = after.signed(&machine.session(1)).unwrap();
    assert_eq!((signed.installation, signed.end.is_some()), (machine.installation.key.public(), true));
}

#[test]
fn heartbeats_are_counted() {
    let world = World::found();
    let machine = Machine::new(&world, &world.admin, 7);
    machine.open(1);
    for beat in [3, 12, 5] {
        machine.put(&Name::Beat(machine.session(1), beat), b"");
    }
    assert_eq!(view(&world).sessions[&machine.session(1)], Outcome::Unresolved { beat: Some(12) });
}

#[test]
fn sessions_are_aborted_by_themselves_and_by_maintainers() {
    let world = World::found();
    let (writer, other) = (world.add(Role::Writer), world.add(Role::Writer));
    let maintainer = world.add(Role::Maintainer);
    let machine = Machine::new(&world, &writer, 7);
    let abort = || Verdict::Abort { reason: "silent".into() };
    (1..=4).for_each(|seq| machine.open(seq));
    machine.abort(1);
    for (seq, bundle) in [(2, &maintainer), (3, &other)] {
        let mut signing = Machine::new(&world, bundle, 9);
        signing.installation.key = bundle.principal().signing_key();
        signing.end_as(machine.session(seq), Signer::Principal(bundle.principal_id()), abort());
    }
    let stranger = Machine::new(&world, &other, 9);
    stranger.end_as(machine.session(4), Signer::Installation(stranger.certified()), abort());

    let view = view(&world);
    let outcomes: Vec<_> = (1..=4).map(|seq| view.sessions[&machine.session(seq)].clone()).collect();
    let unresolved = Outcome::Unresolved { beat: None };
    assert_eq!(outcomes, [Outcome::Aborted, Outcome::Aborted, unresolved.clone(), unresolved]);
    let bad = |seq, flaw| view.issues.contains(&Issue::BadEnd(machine.session(seq), flaw));
    assert!(bad(3, Flaw::NotAllowed(other.principal_id())) && bad(4, Flaw::OtherSession));
}

#[test]
fn losing_the_opening_loses_no_snapshot() {
    let world = World::found();
    let machine = Machine::new(&world, &world.admin, 7);
    let id = machine.commit(1, 0, None);
    let open = Name::Open(machine.session(1));
    world.store.overwrite(&open.object(), b"ruined".to_vec());
    let ruined = view(&world);
    assert_eq!(ids(&ruined), [id].into());
    assert!(matches!(&ruined.issues[..], [Issue::NoOpening(_, Some(Flaw::Frame(_)))]));
    world.store.delete(&open.object()).unwrap();
    let gone = view(&world);
    assert_eq!((ids(&gone), &gone.issues[..]), ([id].into(), &[Issue::NoOpening(machine.session(1), None)][..]));
}

#[test]
fn an_end_needs_the_right_installation_and_record() {
    let check = |spoil: &dyn Fn(&World, &Machine<'_>)| {
        let world = World::found();
        let writer = world.add(Role::Writer);
        let machine = Machine::new(&world, &writer, 7);
        machine.open(1);
        spoil(&world, &machine);
        let view = view(&world);
        assert!(view.snapshots.is_empty() && view.indexes.is_empty());
        assert_eq!(view.unresolved().count(), 1, "neither commit nor abort");
        bad_end(&view).clone()
    };
    let commit = |machine: &Machine<'_>, record: Record| {
        machine.end(1, Verdict::Commit { record: record.bytes().to_vec(), indexes: vec![] });
    };
    // Another principal that claims the same writer.
    let flaw = check(&|world, _| commit_by(world, Role::Writer));
    assert_eq!(flaw, Flaw::OtherInstallation);
    // A principal that may not write.
    assert!(matches!(check(&|world, _| commit_by(world, Role::Reader)), Flaw::NotAWriter(_)));
    // A record of another session, of another chain's signer, of nothing.
    assert_eq!(check(&|_, machine| commit(machine, machine.record(2, 0, None))), Flaw::OtherSession);
    let foreign = check(&|world, machine| commit(machine, Machine::new(world, &world.admin, 7).record(1, 0, None)));
    assert!(matches!(foreign, Flaw::Record(record::Error::Crypto { .. })));
    let nothing = check(&|_, machine| machine.end(1, Verdict::Commit { record: vec![1], indexes: vec![] }));
    assert!(matches!(nothing, Flaw::Record(record::Error::Format { .. })));
    // A certificate that its principal did not sign.
    let forged = check(&|_, machine| {
        let mut certified = machine.certified();
        certified.certificate.signature[0] ^= 1;
        let record = machine.record(1, 0, None).bytes().to_vec();
        machine.end_as(
            machine.session(1),
            Signer::Installation(certified),
            Verdict::Commit { record, indexes: vec![] },
        );
    });
    assert!(matches!(forged, Flaw::Certificate(_)));
    // No frame at all.
    let garbage = check(&|world, machine| {
        world.store.overwrite(&Name::End(machine.session(1)).object(), b"garbage".to_vec());
    });
    assert!(matches!(garbage, Flaw::Frame(_)));
}

fn commit_by(world: &World, role: Role) {
    let other = Machine::new(world, &world.add(role), 7);
    let record = other.record(1, 0, None).bytes().to_vec();
    other.end(1, Verdict::Commit { record, indexes: vec![index(1)] });
}

#[test]
fn resolve_decides_about_these_bytes_only() {
    let world = World::found();
    let machine = Machine::new(&world, &world.admin, 7);
    machine.open(1);
    let session = machine.session(1);
    let name = Name::End(session).object();
    world.store.overwrite(&name, b"garbage".to_vec());
    let end = crate::crypto::hash::sha256(b"garbage");
    let record = machine.record(1, 0, None);
    let resolve = |verdict| {
        let world = world.fork();
        world.append(&world.admin, &Decision::Resolve(verdict)).unwrap();
        world
    };
    let aborted = resolve(Resolved::Abort { session, end });
    assert_eq!(view(&aborted).sessions[&session], Outcome::Aborted);
    let commit = Resolved::Commit { session, end, record: record.bytes().to_vec(), indexes: vec![index(1)] };
    let committed = view(&resolve(commit));
    assert_eq!(committed.sessions[&session], Outcome::Committed(vec![record.id()]));
    assert_eq!(committed.indexes, [index(1)].into());
    let other_bytes = view(&resolve(Resolved::Abort { session, end: [0; 32] }));
    assert_eq!(other_bytes.unresolved().count(), 1);
    // A good end is what it says, whatever RESOLVE says of other bytes.
    machine.commit_record(1, &record);
    aborted.store.overwrite(&name, world.store.get(&name).unwrap());
    assert_eq!(view(&aborted).sessions[&session], Outcome::Committed(vec![record.id()]));
}

#[test]
fn what_the_census_covers_only_the_census_says() {
    let world = World::found();
    let machine = Machine::new(&world, &world.admin, 7);
    let chain = machine.chain(3);
    let record = machine.record(9, 8, Some(SnapshotId([1; 32])));
    let state = world.state();
    let listed = |record: &Record| crate::repo::census::Listed {
        certificate: 0,
        receipt: None,
        copied: false,
        record: record.bytes().to_vec(),
    };
    let census = Census {
        number: 1,
        head: state.head().unwrap(),
        admin_entries: vec![],
        ledger: state.ledger().clone(),
        certificates: vec![machine.certified()],
        records: vec![listed(&view(&world).snapshots[&chain[0]].record), listed(&record)],
        indexes: vec![index(1)],
        undeleted: vec![],
        heads: BTreeMap::new(),
        watermarks: [(machine.installation.writer, 2)].into(),
        extensions: Extensions::default(),
    };
    world
        .append(&world.admin, &Decision::Checkpoint { number: 1, census: crate::repo::id::CensusId([0; 32]) })
        .unwrap();
    let view = view_with(&world, Some(&census));
    assert_eq!(ids(&view), [chain[0], chain[2], record.id()].into());
    assert_eq!(view.indexes, [index(1), index(3)].into());
    assert_eq!(view.snapshots[&chain[0]].receipt.map(|receipt| receipt.checkpoint), Some(1));
    assert_eq!(view.snapshots[&chain[2]].receipt, None);
    assert!(view.issues.contains(&Issue::Void(machine.session(2))));
    assert!(view.sessions.keys().all(|session| session.seq == 3));
    let covered = view.signed(&machine.session(1)).unwrap();
    assert_eq!((covered.principal, covered.end), (world.admin.principal_id(), None));
    assert_eq!(read(&world.store, &look(&world), &All::new(), |_| 2).unwrap().len(), 1);

    let mut forged = census;
    forged.certificates[0].certificate.signature[0] ^= 1;
    let view = view_with(&world, Some(&forged));
    assert_eq!(ids(&view), [chain[2]].into());
    assert_eq!(view.issues.iter().filter(|issue| matches!(issue, Issue::BadRecord(..))).count(), 2);
}

#[test]
fn copied_records_stand_for_themselves() {
    let (world, elsewhere) = (World::found(), 12);
    let (source, mirror) = (world.add(Role::Writer), Machine::new(&world, &world.admin, 9));
    let machine = Machine::new(&world, &source, 7);
    let record = machine.record(elsewhere, 4, Some(SnapshotId([1; 32])));
    let copied = CopiedRecord { installation: machine.certified(), record: record.bytes().to_vec() };
    mirror.open(1);
    mirror.end(1, Verdict::Copies { records: vec![copied], indexes: vec![index(1)] });
    let view = view(&world);
    assert_eq!((ids(&view), view.issues.len(), view.heads().len()), ([record.id()].into(), 0, 0));
    assert!(view.snapshots[&record.id()].copied);
    assert_eq!(view.snapshots[&record.id()].principal, source.principal_id());
}

#[test]
fn keys_are_asked_for_epochs_that_were_only() {
    let mut world = World::found();
    let old_keys = world.keys();
    let next = world.admin.next_epoch().unwrap();
    let early = world.fork();
    world.append(&world.admin, &Decision::Epoch { epoch: 2, read: next.read_public().unwrap() }).unwrap();
    world.admin.add_epoch(next).unwrap();
    let state = world.state();
    let machine = Machine::new(&world, &world.admin, 7);
    let id = machine.commit(1, 0, None);
    let found = read(&world.store, &look(&world), &All::new(), |_| 0).unwrap();
    assert_eq!(ids(&View::judge(&state, None, &found, &world.keys()).unwrap()), [id].into());
    let without = View::judge(&state, None, &found, &old_keys);
    assert!(matches!(without, Err(Error::NoKey { epoch: 2, .. })));
    let before = View::judge(&early.state(), None, &found, &old_keys).unwrap();
    assert_eq!(*bad_end(&before), Flaw::Epoch, "nobody is kept waiting for a key that never was");
}

#[test]
fn no_byte_of_an_end_can_be_changed_unseen() {
    let world = World::found();
    let machine = Machine::new(&world, &world.admin, 7);
    let id = machine.commit(1, 0, None);
    let name = Name::End(machine.session(1)).object();
    let stored = world.store.get(&name).unwrap();
    for at in (0..stored.len()).step_by(61) {
        let mut damaged = stored.clone();
        damaged[at] ^= 4;
        world.store.overwrite(&name, damaged);
        assert_eq!(ids(&view(&world)), [id].into(), "{at}");
    }
    for length in (0..stored.len()).step_by(501) {
        world.store.overwrite(&name, stored[..length].to_vec());
        let view = view(&world);
        assert!(ids(&view) == [id].into() || view.unresolved().count() == 1, "{length}");
    }
    let open = world.store.get(&Name::Open(machine.session(1)).object()).unwrap();
    world.store.overwrite(&name, open);
    assert!(matches!(bad_end(&view(&world)), Flaw::Frame(_)));
}

#[test]
fn what_was_sound_is_not_read_again_and_what_was_not_is() {
    let world = World::found();
    let machine = Machine::new(&world, &world.admin, 7);
    machine.chain(3);
    let name = |seq| Name::End(machine.session(seq)).object();
    let good = world.store.get(&name(2)).unwrap();
    world.store.overwrite(&name(2), b"rubbish".to_vec());
    let first = read(&world.store, &look(&world), &All::new(), |_| 0).unwrap();
    assert!(first[&machine.session(2)].end.as_ref().unwrap().frame.is_err());

    world.store.overwrite(&name(1), b"not looked at".to_vec());
    world.store.overwrite(&name(2), good);
    world.store.delete(&name(3)).unwrap();
    machine.open(4);
    let again = read(&world.store, &look(&world), &first, |_| 0).unwrap();
    assert_eq!(again[&machine.session(1)], first[&machine.session(1)]);
    assert!(again[&machine.session(2)].end.as_ref().unwrap().frame.is_ok());
    assert_eq!(again[&machine.session(3)].end, None);
    assert!(again[&machine.session(4)].open.is_some());
    assert_eq!(read(&world.store, &look(&world), &again, |_| 3).unwrap().len(), 1);
}
