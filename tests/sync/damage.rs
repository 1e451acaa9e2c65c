//! A copy, or a source, of which something is damaged or gone.

use super::{LARGE, Pair};
use crate::world::Listener;
use crate::world::hooked::{Action, Hooked, lost};
use boveda::event::Stage;
use boveda::ops::repair::objects::{Means, repair_from};
use boveda::ops::sync::{Check, Error, Options, Summary, sync};
use boveda::store::{ObjectName, Store};
use std::sync::Arc;

const ALL: Options = Options { dry_run: false, forget: false, check: Check::All, connections: 4, learn: 0 };

/// The largest pack of a store.
fn pack(store: &dyn Store) -> ObjectName {
    store.list("packs").unwrap().into_iter().max_by_key(|listed| listed.length).unwrap().name
}

fn index(store: &dyn Store) -> ObjectName {
    store.list("idx").unwrap().swap_remove(0).name
}

/// Flips so many bytes that parity is of no use.
fn spoil(pair: &Pair, name: &ObjectName) {
    let mut bytes = pair.copy.get(name).unwrap();
    let step = bytes.len() / 100;
    bytes.iter_mut().step_by(step.max(1)).for_each(|byte| *byte ^= 1);
    pair.copy.overwrite(name, bytes);
}

fn syncs(pair: &Pair, options: &Options) -> (Summary, Vec<String>) {
    let (copy, listener): (Arc<dyn Store>, _) = (pair.copy.clone(), Listener::default());
    let mut source = pair.machine.open(&pair.world.store, &pair.world.admin).unwrap();
    let summary = sync(&pair.machine.host, &mut source, &copy, options, &listener).unwrap();
    (summary, listener.complaints())
}

#[test]
fn a_flipped_byte_at_the_copy_is_named_and_healed() {
    let (pair, ids) = Pair::with(&[1]);
    pair.sync();
    for name in [pack(&*pair.copy), index(&*pair.copy)] {
        let mut bytes = pair.copy.get(&name).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        pair.copy.overwrite(&name, bytes);
        let (summary, complaints) = syncs(&pair, &ALL);
        assert_eq!(summary.healed.iter().map(ToString::to_string).collect::<Vec<_>>(), [name.to_string()]);
        assert!(complaints.iter().any(|line| line.starts_with(name.as_str())), "{complaints:?}");
        assert_eq!(pair.copy.get(&name).unwrap(), pair.world.store.get(&name).unwrap());
    }
    spoil(&pair, &pack(&*pair.copy));
    assert_eq!(syncs(&pair, &ALL).0.healed.len(), 1);
    pair.copy_holds(&[(ids[0], 1)]);
}

#[test]
fn thirty_runs_read_everything_once_and_nothing_else_of_the_packs() {
    let (pair, _) = Pair::with(&[1]);
    pair.sync();
    spoil(&pair, &pack(&*pair.copy));
    let (mut read, mut healed) = (0, 0);
    for _ in 1..30 {
        let (summary, _) = syncs(&pair, &Options::default());
        read += summary.checked.bytes;
        healed += summary.healed.len();
    }
    let packed: u64 = pair.copy.list("packs").unwrap().iter().map(|listed| listed.length).sum();
    // The first run of the thirty was the one before it was spoiled.
    assert!(read <= packed && healed <= 1, "{read} of {packed}");
    let (summary, _) = syncs(&pair, &Options::default());
    assert!(healed + summary.healed.len() == 1, "within thirty runs from when it was spoiled");
}

#[test]
fn what_is_missing_at_the_copy_is_named_and_comes_again() {
    let (pair, ids) = Pair::with(&[1]);
    pair.sync();
    for name in [pack(&*pair.copy), index(&*pair.copy)] {
        pair.copy.delete(&name).unwrap();
        let (summary, complaints) = syncs(&pair, &Options { check: Check::None, ..ALL });
        assert_eq!(summary.healed.iter().map(ToString::to_string).collect::<Vec<_>>(), [name.to_string()]);
        assert!(complaints.iter().any(|line| line.starts_with(name.as_str())), "{complaints:?}");
    }
    // Cut short.
    let name = pack(&*pair.copy);
    let half = pair.copy.get(&name).unwrap()[..LARGE / 2].to_vec();
    pair.copy.overwrite(&name, half);
    assert_eq!(syncs(&pair, &Options { check: Check::None, ..ALL }).0.healed.len(), 1);
    pair.copy_holds(&[(ids[0], 1)]);
}

#[test]
fn a_config_that_is_lost_at_the_copy_comes_back() {
    let (pair, ids) = Pair::with(&[1]);
    pair.sync();
    for name in ["config", "config.2"] {
        pair.copy.delete(&ObjectName::new(name).unwrap()).unwrap();
    }
    pair.sync();
    pair.copy_holds(&[(ids[0], 1)]);
}

#[test]
fn what_the_source_has_lost_is_named_and_all_else_comes() {
    let (pair, ids) = Pair::with(&[1]);
    pair.sync();
    let second = pair.snapshot(2);
    let news: Vec<_> = pair.world.store.list("packs").unwrap().into_iter().map(|listed| listed.name).collect();
    let new = news.into_iter().find(|name| pair.copy.length(name).is_err()).unwrap();
    pair.world.store.delete(&new).unwrap();
    let third = pair.snapshot(3);
    let (summary, complaints) = syncs(&pair, &ALL);
    assert_eq!(summary.lost.keys().map(ToString::to_string).collect::<Vec<_>>(), [new.to_string()]);
    assert!(complaints.iter().any(|line| line.starts_with(new.as_str())), "{complaints:?}");
    let copy = pair.copied();
    let known: Vec<_> = copy.snapshots().iter().map(|snapshot| snapshot.id).collect();
    assert!(known.contains(&ids[0]) && known.contains(&second) && known.contains(&third));
    // And nothing is forgotten by the word of a damaged source.
    assert!(pair.world.as_admin().forget(vec![ids[0]]).unwrap());
    let place: Arc<dyn Store> = pair.copy.clone();
    let refused = pair.try_sync(&pair.machine, &pair.world.admin, &place, &Options { forget: true, ..ALL });
    assert!(matches!(refused, Err(Error::Damaged { .. })), "{refused:?}");
    assert_eq!(pair.copied().snapshots().len(), 3);
}

#[test]
fn a_repository_is_mended_from_its_copy() {
    let (pair, ids) = Pair::with(&[1, 2]);
    pair.sync();
    let (lost, flipped) = (pack(&*pair.world.store), index(&*pair.world.store));
    pair.world.store.delete(&lost).unwrap();
    pair.world.store.overwrite(&flipped, b"nothing".to_vec());
    let mend = |dry_run| {
        let mut repository = pair.world.as_admin();
        repair_from(&mut repository, Some(&*pair.copy), dry_run, &Listener::default()).unwrap()
    };
    let preview = mend(true);
    assert!(!preview.mended.is_empty() && pair.world.store.length(&lost).is_err(), "{preview:?}");
    let summary = mend(false);
    assert_eq!(summary.left, []);
    assert!(summary.mended.iter().all(|mended| mended.means == Means::OtherPlace));
    super::holds(&pair.world, &pair.world.store, &pair.source, &[(ids[0], 1), (ids[1], 2)]);
}

#[test]
fn what_is_damaged_at_the_source_is_healed_on_the_way_or_stays_there() {
    for (step, comes) in [(usize::MAX, true), (1000, false)] {
        let (pair, _) = Pair::with(&[1]);
        pair.sync();
        pair.snapshot(2);
        let news: Vec<_> = pair.world.store.list("packs").unwrap().into_iter().map(|listed| listed.name).collect();
        let new = news.into_iter().find(|name| pair.copy.length(name).is_err()).unwrap();
        let good = pair.world.store.get(&new).unwrap();
        let mut bytes = good.clone();
        bytes[20_000..].iter_mut().step_by(step).for_each(|byte| *byte ^= 1);
        pair.world.store.overwrite(&new, bytes);
        let (summary, _) = syncs(&pair, &ALL);
        assert_eq!(summary.lost.is_empty(), comes, "{:?}", summary.lost);
        assert_eq!(pair.copy.get(&new).ok(), comes.then_some(good));
    }
}

fn flip(pair: &Pair, name: &ObjectName) -> Vec<u8> {
    let sound = pair.copy.get(name).unwrap();
    let mut bytes = sound.clone();
    bytes[LARGE / 2] ^= 1;
    pair.copy.overwrite(name, bytes);
    sound
}

#[test]
fn what_the_source_has_no_more_is_healed_at_the_copy_by_its_own_parity() {
    let (pair, _) = Pair::with(&[1]);
    pair.sync();
    let name = pack(&*pair.copy);
    let sound = flip(&pair, &name);
    pair.world.store.delete(&name).unwrap();
    let (summary, complaints) = syncs(&pair, &ALL);
    assert_eq!(summary.healed.iter().map(ToString::to_string).collect::<Vec<_>>(), [name.to_string()]);
    assert!(complaints.iter().any(|line| line.starts_with(name.as_str())), "{complaints:?}");
    assert!(pair.copy.get(&name).unwrap() == sound);
}

/// Neither is a source that has nothing better, nor a copy that lacks the pack.
#[test]
fn a_place_that_fails_while_packs_are_held_against_their_names_is_no_damage() {
    let (pair, ids) = Pair::with(&[1]);
    pair.sync();
    let fails = |store: Arc<dyn Store>| {
        Hooked::before(store, |call| match call.action {
            Action::Get if call.name.starts_with("packs/") => Err(lost(call.name)),
            _ => Ok(()),
        })
    };
    flip(&pair, &pack(&*pair.copy));
    let stores: [Arc<dyn Store>; 2] = [pair.world.store.clone(), pair.copy.clone()];
    for failing in [0, 1] {
        let [source, copy] =
            [0, 1].map(|at| if at == failing { fails(stores[at].clone()) } else { stores[at].clone() });
        let (machine, listener) = (pair.world.machine("host"), Listener::default());
        let mut source = machine.host.open(source, &pair.world.admin).unwrap();
        let refused = sync(&machine.host, &mut source, &copy, &ALL, &listener);
        assert!(matches!(refused, Err(Error::Repository(_))), "{refused:?}");
        assert_eq!(listener.complaints(), [""; 0]);
    }
    assert_eq!(syncs(&pair, &ALL).0.healed.len(), 1);
    pair.copy_holds(&[(ids[0], 1)]);
}

#[test]
fn the_last_numbers_of_a_check_are_those_of_all_that_was_read() {
    let (pair, _) = Pair::with(&[1, 2, 3]);
    pair.sync();
    let (copy, listener): (Arc<dyn Store>, _) = (pair.copy.clone(), Listener::default());
    let mut source = pair.machine.open(&pair.world.store, &pair.world.admin).unwrap();
    let summary = sync(&pair.machine.host, &mut source, &copy, &ALL, &listener).unwrap();
    let last = listener.last(Stage::Verify).unwrap();
    assert!(summary.checked.packs >= 3, "{summary:?}");
    assert_eq!((last.files, last.bytes), (summary.checked.packs, summary.checked.bytes));
    assert_eq!((last.files_total, last.bytes_total), (last.files, last.bytes));
}
