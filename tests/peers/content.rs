//! Repairs, caches, uploads and keys that lost or mixed up content.

use crate::prune::{fill, holds, two};
use crate::world::{Listener, World, entry_path, noise, raw_key};
use boveda::event::Silent;
use boveda::ops::repair::{index, objects};
use boveda::ops::snapshot::snapshot;
use boveda::ops::verify::{Level, verify};
use boveda::repo::catalog::Tree;
use boveda::repo::chunks::ChunkSource;
use boveda::repo::entry::Extent;
use boveda::repo::id::ChunkKind;
use boveda::repo::keys::credential::Credential;
use boveda::repo::names::IndexClass;
use boveda::store::faults::{Fault, FaultStore, Plan};
use boveda::store::{ErrorKind, ObjectName, Store};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// restic#1945: while the index was made anew a pack could not be read for the moment, and was left out of it for good.
#[test]
fn restic_1945_a_pack_that_cannot_be_read_for_the_moment_is_not_given_up() {
    let mut struck = 0;
    for call in 1..500 {
        let (world, machine, source, [first, second]) = two();
        let lost = world.store.objects().into_keys().rfind(|name| name.as_str().contains("/d-")).unwrap();
        world.store.delete(&lost).unwrap();
        let faulty = Arc::new(FaultStore::new(world.store.clone()));
        let mut repository = machine.host.open(faulty.clone(), &world.admin).unwrap();
        let writer = machine.host.writer(&repository).unwrap();
        faulty.plan(Some(Plan::once(call, Fault::Before)));
        let repaired = index::repair(&mut repository, writer.writer);
        let Some(what) = faulty.struck() else { break };
        struck += 1;
        if let Ok(summary) = &repaired {
            let silent = summary.unreadable.is_empty() && summary.made.is_empty();
            assert!(!silent, "call {call}, {what}: neither made nor told");
        }
        drop((writer, repository));
        let mut repository = machine.host.open(world.store.clone(), &world.admin).unwrap();
        let writer = machine.host.writer(&repository).unwrap();
        let again = index::repair(&mut repository, writer.writer).unwrap();
        assert_eq!(again.unreadable, [], "call {call}, {what}");
        holds(&world, &source, &[(first, 1), (second, 2)]);
    }
    assert!(struck > 5, "{struck}");
}

/// kopia#3049: a change of the password took two objects, and whoever died between them was locked out.
#[test]
fn kopia_3049_a_change_of_keys_that_is_cut_short_locks_nobody_out() {
    let mut struck = 0;
    for (call, fault) in (1..40).flat_map(|call| [(call, Fault::Before), (call, Fault::After)]) {
        let world = World::new();
        let new = raw_key();
        let faulty = Arc::new(FaultStore::new(world.store.clone()));
        let repository = world.machine("host").host.open(faulty.clone(), &world.admin).unwrap();
        faulty.plan(Some(Plan::for_good(call, fault)));
        drop(repository.replace_slot(&new));
        let Some(what) = faulty.struck() else { break };
        struck += 1;
        let opens = [&world.admin, &new].map(|key| world.open(key).is_ok());
        assert!(opens[0] || opens[1], "call {call}, {what}: nobody gets in");
        assert!(world.open(&Credential::Recovery(world.recovery.clone())).is_ok(), "call {call}, {what}");
    }
    assert!(struck > 4, "{struck}");
}

/// bupstash#357: of a part of a file other bytes came than lie there.
#[test]
fn bupstash_357_a_part_of_a_file_is_that_part() {
    let (world, machine, source, [_, second]) = two();
    // Also where a pack has to be healed on the way.
    let whole = noise(2, 1_000_000);
    for damaged in [false, true] {
        if damaged {
            let pack = world.store.objects().into_iter().filter(|(name, _)| name.as_str().starts_with("packs/"));
            let (name, bytes) = pack.max_by_key(|(_, bytes)| bytes.len()).unwrap();
            let mut bytes = bytes.to_vec();
            bytes[50_000] ^= 1;
            world.store.overwrite(&name, bytes);
        }
        let repository = machine.open(&world.store, &world.admin).unwrap();
        let root = repository.snapshots().iter().find(|one| one.id == second).unwrap().structure.root;
        let reader: Arc<dyn ChunkSource> =
            Arc::new(machine.host.reader(&repository, &IndexClass::BOTH, 1 << 16).unwrap());
        let tree = Tree::open(reader.clone(), root);
        let found = tree.get(&entry_path(&source.join("file"))).unwrap().unwrap();
        for round in 0..200_u64 {
            let (from, length) = (round * 7_919_009 % 1_000_000, round * 104_729 % 70_000);
            let mut extents = tree.extents(&found.entry).unwrap();
            extents.seek(from);
            let mut part = Vec::new();
            for placed in extents.map(Result::unwrap) {
                let Extent::Chunk { id, .. } = placed.extent else { panic!("no hole here") };
                let skipped = from.saturating_sub(placed.offset) as usize;
                part.extend_from_slice(&reader.get(ChunkKind::Data, &id).unwrap()[skipped..]);
                if part.len() as u64 >= length {
                    break;
                }
            }
            part.truncate(length as usize);
            let end = (from + length).min(1_000_000) as usize;
            assert!(part == whole[from as usize..end], "{length} bytes from {from}");
        }
    }
}

/// kopia#4305: the one object that says how to read all others was lost.
#[test]
fn kopia_4305_each_object_that_all_depends_on_may_be_lost() {
    for lost in ["config", "config.2"] {
        for bytes in [None, Some(vec![]), Some(noise(5, 700))] {
            let (world, _, source, [first, second]) = two();
            let name = ObjectName::new(lost).unwrap();
            match bytes {
                Some(bytes) => world.store.overwrite(&name, bytes),
                None => world.store.delete(&name).unwrap(),
            }
            let machine = world.machine("reader");
            let repository = machine.open(&world.store, &world.admin).unwrap();
            for (id, seed) in [(first, 1), (second, 2)] {
                let target = world.path(&format!("out{seed}"));
                machine.restore(&repository, &id, &source, &target);
                assert!(fs::read(target.join("file")).unwrap() == noise(seed, 1_000_000));
            }
        }
    }
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        match entry.file_type().unwrap().is_dir() {
            true => found.extend(files(&entry.path())),
            false => found.push(entry.path()),
        }
    }
    found
}

/// borg#4829: a damaged index on the client's side made later backups wrong.
#[test]
fn borg_4829_a_damaged_cache_costs_time_and_nothing_else() {
    for part in 1..8 {
        let (world, machine, source, [first, second]) = two();
        let kept = files(&world.path("host"));
        assert!(kept.len() > 2, "{kept:?}");
        for path in &kept {
            let mut bytes = fs::read(path).unwrap();
            let at = bytes.len() * part / 8;
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 0x55;
                fs::write(path, bytes).unwrap();
            }
        }
        fill(&source, 3);
        // State that is damaged may be refused; then it must be said, and nothing be stored.
        let taken = machine.try_snapshot(&world, &world.admin, &machine.options(&source), &Silent);
        let mut expected = vec![(first, 1), (second, 2)];
        expected.extend(taken.ok().and_then(|summary| summary.snapshot).map(|id| (id, 3)));
        holds(&world, &source, &expected);
    }
}

/// borg#3444: a repair threw away what was good beside what was not.
#[test]
fn borg_3444_a_repair_leaves_what_is_good_as_it_is() {
    let (world, machine, ..) = two();
    for lost in world.store.objects().into_keys() {
        let world = world.fork();
        let bytes = world.store.get(&lost).unwrap();
        world.store.overwrite(&lost, noise(9, bytes.len()));
        let before = world.store.objects();
        let Ok(mut repository) = machine.host.open_as_it_is(world.store.clone(), &world.admin) else { continue };
        let summary = objects::repair(&mut repository, false, &Silent);
        let after = world.store.objects();
        for (name, bytes) in &before {
            assert!(*name == lost || after.get(name) == Some(bytes), "{lost} was damaged, {name} is not as it was");
        }
        assert!(after.contains_key(&lost), "{lost}: {summary:?}");
    }
}

/// CVE-2023-36811, CVE-2016-10099 (borg): an object of one kind was taken for one of another.
#[test]
fn cve_2023_36811_no_object_passes_for_another() {
    let (world, machine, source, [first, second]) = two();
    let kind = |name: &ObjectName| {
        let text = name.as_str();
        let (folder, last) = (text.split('/').next().unwrap(), text.rsplit('/').next().unwrap());
        format!("{folder} {}", last.chars().take(2).collect::<String>())
    };
    let mut kinds = BTreeSet::new();
    let one_of_each: Vec<_> = world.store.objects().into_iter().filter(|(name, _)| kinds.insert(kind(name))).collect();
    assert!(one_of_each.len() >= 7, "{kinds:?}");
    for (place, original) in &one_of_each {
        for (other, bytes) in one_of_each.iter().filter(|(_, bytes)| bytes != original) {
            let world = world.fork();
            world.store.overwrite(place, bytes.to_vec());
            let what = format!("{other} in the place of {place}");
            let Ok(repository) = machine.host.open(world.store.clone(), &world.admin) else { continue };
            let found = verify(&repository, &machine.host, Level::Full, &Listener::default());
            let named = found.as_ref().map_or(true, |summary| !summary.findings.is_empty());
            // The two copies of the configuration are the same object.
            assert!(named || place.as_str().starts_with("config"), "{what}: not named");
            for (id, seed) in [(first, 1), (second, 2)] {
                if repository.snapshots().iter().all(|snapshot| snapshot.id != id) {
                    continue;
                }
                let target = world.path("out");
                let told = Listener::default();
                let restored = machine.try_restore(&repository, &id, &source, &target, &told);
                let whole = restored.is_ok_and(|summary| summary.damaged == 0 && summary.skipped == 0);
                let content = fs::read(target.join("file")).unwrap_or_default();
                assert!(!whole || content == noise(seed, 1_000_000), "{what}: {id} holds something else");
                let _ = fs::remove_dir_all(&target);
            }
        }
    }
}

/// rustic#249: an upload failed, and the backup said that all was well.
#[test]
fn rustic_249_an_upload_that_fails_is_told() {
    for kind in [ErrorKind::Full, ErrorKind::Denied, ErrorKind::Temporary, ErrorKind::Other] {
        let (world, machine, source, [first, second]) = two();
        fill(&source, 3);
        let mut told = 0;
        for call in 1..500 {
            let world = world.fork();
            let faulty = Arc::new(FaultStore::new(world.store.clone()));
            let storage = world.machine("uploader");
            let mut repository = storage.host.open(faulty.clone(), &world.admin).unwrap();
            let writer = storage.host.writer(&repository).unwrap();
            faulty.plan(Some(Plan { kind, ..Plan::once(call, Fault::Before) }));
            let taken = snapshot(&mut repository, writer.writer, &machine.options(&source), &Silent);
            let Some(struck) = faulty.struck() else { break };
            let there = |id| world.as_admin().snapshots().iter().any(|snapshot| snapshot.id == id);
            assert!(there(first) && there(second));
            let stored = world.as_admin().snapshots().len() == 3;
            match taken {
                // What fails behind the commit is told as well, and undoes nothing.
                Err(_) => told += 1,
                Ok(summary) => assert!(summary.snapshot.is_some_and(there), "{kind:?}, call {call}, {struck}"),
            }
            assert!(!stored || !struck.starts_with("write packs"), "{kind:?}, call {call}: committed without {struck}");
        }
        assert!(told > 3, "{told}");
    }
}

/// tarsnap 1.0.22 to 1.0.27: after a change of the program nonces were used twice under one key.
#[test]
fn tarsnap_nothing_is_ever_sealed_alike() {
    let (base, _, source, _) = two();
    fill(&source, 3);
    let known: BTreeSet<_> = base.store.objects().into_keys().collect();
    // The same keys, the same state, the same content, twice: if a nonce followed from them, ciphertext would come again.
    let blocks = [0, 1].map(|_| {
        let world = base.fork();
        world.machine("host").snapshot(&world, &world.admin, &source);
        let new = world.store.objects().into_iter().filter(|(name, _)| !known.contains(name));
        let packs: Vec<_> = new.filter(|(name, _)| name.as_str().starts_with("packs/")).collect();
        let blocks = packs.iter().flat_map(|(_, bytes)| bytes.as_chunks::<32>().0.to_vec());
        blocks.collect::<BTreeSet<_>>()
    });
    assert!(blocks.iter().all(|all| all.len() > 30_000));
    // The heads of packs are plain, and begin alike.
    let again = blocks[0].intersection(&blocks[1]).count();
    assert!(again < 16, "{again} blocks came again");
}
