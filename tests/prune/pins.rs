//! What somebody shows stays, forgotten or not: a mount while it is there, and a pin of the dead for a week.

use super::{LARGE, NOW, fill, forget, options, pruned, try_prune, two};
use crate::world::hooked::{Action, Hooked, lost};
use crate::world::{World, entry_path, noise};
use boveda::mount::SnapshotList as _;
use boveda::ops::follow::Followed;
use boveda::ops::prune::Options;
use boveda::repo::catalog::Tree;
use boveda::repo::chunks::ChunkSource;
use boveda::repo::entry::Extent;
use boveda::repo::id::{ChunkId, ChunkKind, SnapshotId};
use boveda::repo::keys::credential::Credential;
use boveda::repo::keys::role::Role;
use boveda::repo::names::Name;
use boveda::store::{Error, ErrorKind, Store};
use std::path::Path;
use std::sync::Arc;

const DAY: i64 = 24 * 3600;

/// A mount of the world's repository, without the file system: what it shows, and where that comes from.
fn shown(world: &World, key: &Credential) -> Followed {
    let looker = world.machine("looker");
    let repository = looker.open(&world.store, key).unwrap();
    Followed::new(looker.host, repository, 16 << 20).unwrap()
}

/// The file of a source in a snapshot with this root, as whoever shows it reads it.
fn read(source: &Arc<dyn ChunkSource>, root: ChunkId, folder: &Path) -> Result<Vec<u8>, String> {
    let tree = Tree::open(Arc::clone(source), root);
    let found =
        tree.get(&entry_path(&folder.join("file"))).map_err(|error| error.to_string())?.ok_or("no such file")?;
    let mut bytes = Vec::new();
    for placed in tree.extents(&found.entry).ok_or("no regular file")? {
        if let Extent::Chunk { id, .. } = placed.map_err(|error| error.to_string())?.extent {
            bytes.extend_from_slice(&source.get(ChunkKind::Data, &id).map_err(|error| error.to_string())?);
        }
    }
    Ok(bytes)
}

fn pins(world: &World) -> usize {
    world.store.list("pins").unwrap().len()
}

#[test]
fn what_is_shown_stays_while_it_is_shown() {
    for role in [Role::Reader, Role::Admin] {
        let (world, machine, source, [first, second]) = two();
        let someone = world.add(role, "somebody");
        let before = world.packed();
        let shown = shown(&world, &someone.key);
        let listing = shown.list().unwrap();
        let root = listing.snapshots.iter().find(|snapshot| snapshot.id == first).unwrap().root;
        assert_eq!(pins(&world), 1);
        forget(&world, &[first]);
        let summary = pruned(&world, &machine, &world.admin);
        assert_eq!((summary.condemned.packs, summary.deleted.packs), (0, 0));
        assert!(read(&listing.source, root, &source).unwrap() == noise(1, LARGE));
        // It looks again, and shows it no more.
        let listing = shown.list().unwrap();
        assert_eq!(listing.snapshots.iter().map(|snapshot| snapshot.id).collect::<Vec<_>>(), [second]);
        assert_eq!(pins(&world), 1, "another one took its place");
        let summary = pruned(&world, &machine, &world.admin);
        assert!(summary.deleted.packs > 0 && world.packed() < before - LARGE as u64 * 9 / 10, "{summary:?}");
        let root = listing.snapshots[0].root;
        assert!(read(&listing.source, root, &source).unwrap() == noise(2, LARGE));
        drop(shown);
        assert_eq!(pins(&world), 0);
    }
}

#[test]
fn a_pin_of_the_dead_counts_for_a_week() {
    let (world, machine, _, [first, _]) = two();
    let shown = shown(&world, &world.admin);
    // It is killed.
    std::mem::forget(shown);
    forget(&world, &[first]);
    let at = |now| try_prune(&world, &machine, &world.admin, &Options { now, ..options() }).unwrap();
    assert_eq!(at(NOW).deleted.packs, 0);
    assert_eq!(at(NOW + 7 * DAY - 1).deleted.packs, 0);
    assert_eq!(pins(&world), 1);
    assert!(at(NOW + 7 * DAY).deleted.packs > 0);
    assert_eq!(pins(&world), 0);
}

#[test]
fn a_pin_says_nothing_of_what_was_forgotten_before() {
    let (world, machine, source, [first, _]) = two();
    forget(&world, &[first]);
    let shown = shown(&world, &world.admin);
    assert!(pruned(&world, &machine, &world.admin).deleted.packs > 0);
    fill(&source, 3);
    let third = machine.snapshot(&world, &world.admin, &source).snapshot.unwrap();
    // A snapshot that came after the pin, and that nobody has looked at yet, stays as well.
    forget(&world, &[third]);
    assert_eq!(pruned(&world, &machine, &world.admin).deleted.packs, 0);
    drop(shown);
    assert!(pruned(&world, &machine, &world.admin).deleted.packs > 0);
}

#[test]
fn a_pin_that_nobody_understands_pins_everything_and_that_of_a_revoked_principal_nothing() {
    let (world, _, _, [first, _]) = two();
    let somebody = world.add(Role::Reader, "somebody");
    let pin = world.open(&somebody.key).unwrap().pin().unwrap();
    let name = Name::Pin(pin).object();
    let truth = world.store.get(&name).unwrap();
    forget(&world, &[first]);
    let left = |bytes: &[u8], revoked: bool| {
        let world = world.fork();
        world.store.overwrite(&name, bytes.to_vec());
        if revoked {
            world.as_admin().revoke(somebody.id, "lost").unwrap();
        }
        pruned(&world, &world.machine("pruner"), &world.admin).deleted.packs
    };
    assert_eq!(left(&truth, false), 0);
    assert_eq!(left(b"a pin", false), 0);
    // Signed by nobody, and sealed for another name.
    let other = world.open(&somebody.key).unwrap().pin().unwrap();
    let other = world.store.get(&Name::Pin(other).object()).unwrap();
    for (pin, _) in world.store.objects().into_iter().filter(|(found, _)| found.as_str().starts_with("pins/")) {
        if pin != name {
            world.store.delete(&pin).unwrap();
        }
    }
    assert_eq!(left(&other, false), 0);
    assert!(left(&truth, true) > 0);
}

/// Whoever may not write shows what is there, and ends as others do.
#[test]
fn who_may_not_write_shows_it_all_the_same() {
    let (world, _, _, [first, second]) = two();
    let refusing = Hooked::before(world.store.clone(), |call| match call.action {
        Action::Put => Err(Error { kind: ErrorKind::Denied, ..lost(call.name) }),
        _ => Ok(()),
    });
    let looker = world.machine("looker");
    let repository = looker.host.open(refusing, &world.admin).unwrap();
    let shown = Followed::new(looker.host, repository, 16 << 20).unwrap();
    let mut ids: Vec<SnapshotId> = shown.list().unwrap().snapshots.iter().map(|snapshot| snapshot.id).collect();
    ids.sort_unstable();
    let mut all = [first, second];
    all.sort_unstable();
    assert_eq!((ids, pins(&world)), (all.to_vec(), 0));
}

/// What was pruned before the pin cannot be pinned, and stops nobody.
#[test]
fn what_is_gone_already_is_no_damage_to_whoever_pins_it() {
    let (world, machine, source, [first, second]) = two();
    // It reads the log, and pins what it read only after others forgot and pruned.
    let late = world.as_admin();
    forget(&world, &[first]);
    assert!(pruned(&world, &machine, &world.admin).deleted.packs > 0);
    late.pin().unwrap();
    fill(&source, 3);
    let third = machine.snapshot(&world, &world.admin, &source).snapshot.unwrap();
    forget(&world, &[second]);
    assert_eq!(pruned(&world, &machine, &world.admin).deleted.packs, 0, "the pin covers this one");
    let week = Options { now: NOW + 7 * DAY, ..options() };
    assert!(try_prune(&world, &machine, &world.admin, &week).unwrap().deleted.packs > 0);
    super::holds(&world, &source, &[(third, 3)]);
}

/// A disk without room for another pin: the one before stays, and with it what it is for.
#[test]
fn a_pin_that_cannot_be_renewed_stays() {
    let (world, machine, source, [first, second]) = two();
    let full = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let refuses = Arc::clone(&full);
    let store = Hooked::before(world.store.clone(), move |call| {
        let no_room = call.action == Action::Put && refuses.load(std::sync::atomic::Ordering::Relaxed);
        if no_room { Err(Error { kind: ErrorKind::Full, ..lost(call.name) }) } else { Ok(()) }
    });
    let looker = world.machine("looker");
    let repository = looker.host.open(store, &world.admin).unwrap();
    let shown = Followed::new(looker.host, repository, 16 << 20).unwrap();
    full.store(true, std::sync::atomic::Ordering::Relaxed);
    forget(&world, &[first]);
    let listing = shown.list().unwrap();
    assert_eq!((listing.snapshots.len(), pins(&world)), (1, 1));
    forget(&world, &[second]);
    fill(&source, 3);
    machine.snapshot(&world, &world.admin, &source);
    assert_eq!(pruned(&world, &machine, &world.admin).deleted.packs, 0);
    assert!(read(&listing.source, listing.snapshots[0].root, &source).unwrap() == noise(2, LARGE));
}
