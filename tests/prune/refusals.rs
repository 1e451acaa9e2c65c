//! When anything is in doubt, nothing is deleted.

use super::{forget, holds, options, pruned, try_prune, two};
use crate::world::World;
use boveda::ops::prune::{Doubt, Error};
use boveda::repo::id::{HoldId, PinId, SnapshotId};
use boveda::repo::names::Name;
use boveda::repo::repository;
use boveda::store::faults::{Fault, FaultStore, Plan};
use boveda::store::{ObjectName, Store};
use std::sync::Arc;

/// A prune of `world` fails with an error that passes `expected`, and deletes no pack.
#[track_caller]
fn refuses(world: &World, expected: impl Fn(&Error) -> bool) {
    let packs = world.packed();
    let refused = try_prune(world, &world.machine("storage"), &world.admin, &options()).unwrap_err();
    assert!(expected(&refused), "{refused}");
    assert_eq!(world.packed(), packs);
}

fn in_doubt(expected: impl Fn(&Doubt) -> bool) -> impl Fn(&Error) -> bool {
    move |error| matches!(error, Error::InDoubt(doubts) if doubts.iter().any(&expected))
}

fn first_of(world: &World, prefix: &str) -> ObjectName {
    let found = world.store.objects().into_iter().find(|(name, _)| name.as_str().starts_with(prefix));
    found.unwrap().0
}

#[test]
fn a_hold_stops_it_and_so_does_the_wish_for_one() {
    let (world, machine, source, [first, second]) = two();
    forget(&world, &[first]);
    let id = world.as_admin().hold("look at this first").unwrap();
    let before = world.store.objects();
    refuses(&world, |error| matches!(error, Error::OnHold { .. }));
    assert!(world.store.objects() == before);
    assert!(world.as_admin().release(id).unwrap());
    let wish = Name::Hold { who: world.as_admin().bundle().principal_id(), id: HoldId([7; 16]) }.object();
    world.store.put(&wish, b"anything").unwrap();
    refuses(&world, |error| matches!(error, Error::Asked { .. }));
    world.store.delete(&wish).unwrap();
    assert!(pruned(&world, &machine, &world.admin).deleted.packs > 0);
    holds(&world, &source, &[(second, 2)]);
}

#[test]
fn a_pin_keeps_what_is_forgotten() {
    let (world, machine, source, [first, second]) = two();
    forget(&world, &[first]);
    let pin = Name::Pin(PinId([7; 16])).object();
    world.store.put(&pin, b"anything").unwrap();
    assert_eq!(pruned(&world, &machine, &world.admin).deleted.packs, 0);
    world.store.delete(&pin).unwrap();
    assert!(pruned(&world, &machine, &world.admin).deleted.packs > 0);
    holds(&world, &source, &[(second, 2)]);
}

#[test]
fn a_lost_index_stops_it() {
    for class in ["c-", "d-"] {
        let (world, _, _, [first, _]) = two();
        forget(&world, &[first]);
        let mut lost = world.store.objects().into_keys().filter(|name| name.as_str().contains(&format!("/{class}")));
        world.store.delete(&lost.next_back().unwrap()).unwrap();
        refuses(&world, in_doubt(|doubt| matches!(doubt, Doubt::Index(_))));
    }
}

#[test]
fn a_lost_pack_stops_it() {
    let (world, ..) = two();
    let pack = first_of(&world, "packs/");
    world.store.delete(&pack).unwrap();
    refuses(&world, in_doubt(|doubt| matches!(doubt, Doubt::Lost { .. })));
}

#[test]
fn a_pack_that_is_cut_short_stops_it() {
    let (world, ..) = two();
    let pack = first_of(&world, "packs/");
    let bytes = world.store.get(&pack).unwrap();
    world.store.overwrite(&pack, bytes[..bytes.len() / 2].to_vec());
    refuses(&world, in_doubt(|doubt| matches!(doubt, Doubt::Lost { .. })));
}

#[test]
fn an_end_that_says_nothing_stops_it() {
    let (world, _, _, [first, _]) = two();
    forget(&world, &[first]);
    let end = world.store.objects().into_keys().rfind(|name| name.as_str().ends_with("/end")).unwrap();
    world.store.overwrite(&end, b"neither commit nor abort".to_vec());
    refuses(&world, in_doubt(|doubt| matches!(doubt, Doubt::BadEnd(..))));
}

#[test]
fn a_gap_in_a_chain_stops_it() {
    let (world, ..) = two();
    for (name, _) in world.store.objects() {
        if name.as_str().starts_with("sess/") && name.as_str().contains("/00000000000000000001/") {
            world.store.delete(&name).unwrap();
        }
    }
    refuses(&world, in_doubt(|doubt| matches!(doubt, Doubt::Gap { .. })));
}

#[test]
fn a_listing_that_fails_stops_it() {
    let (world, machine, source, [first, second]) = two();
    forget(&world, &[first]);
    let packs = world.packed();
    let key = &world.admin;
    let mut refused = 0;
    for call in 1..400 {
        let faulty = Arc::new(FaultStore::new(Arc::new(world.store.fork())));
        let mut repository = machine.host.open(faulty.clone(), key).unwrap();
        faulty.plan(Some(Plan::for_good(call, Fault::Before)));
        let told = boveda::ops::prune::prune(&mut repository, &machine.host, &options(), &boveda::event::Silent);
        let Some(struck) = faulty.struck() else { break };
        assert!(told.is_err(), "{struck} (call {call}) failed, and nobody was told");
        refused += 1;
    }
    assert!(refused > 20, "{refused}");
    assert_eq!(world.packed(), packs);
    pruned(&world, &machine, &world.admin);
    holds(&world, &source, &[(second, 2)]);
}

#[test]
fn a_log_in_doubt_stops_it() {
    let (world, ..) = two();
    let next = world.as_admin().log().state.next();
    let name = Name::Log(next, boveda::repo::names::Copy::First).object();
    world.store.put(&name, b"no entry").unwrap();
    refuses(&world, |error| matches!(error, Error::Repository(repository::Error::Log(_))));
}

#[test]
fn three_doubts_are_named_and_of_more_only_how_many() {
    let told = |count: u8| {
        let doubts = (1..=count).map(|number| Doubt::Hidden(SnapshotId([number; 32])));
        Error::InDoubt(doubts.collect()).to_string()
    };
    for (count, named, rest) in [(1, 1, ""), (3, 3, ""), (5, 3, "2 more things are not as they should be")] {
        let told = told(count);
        assert_eq!(told.matches("does not list snapshot").count(), named, "{told}");
        assert_eq!(told.contains("more things"), !rest.is_empty(), "{told}");
        assert!(told.ends_with(rest), "{told}");
    }
}
