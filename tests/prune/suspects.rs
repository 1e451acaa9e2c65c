//! Packs that are damaged beyond repair, and marked so: nobody takes them for another copy of what they held.

use super::{fill, holds, pruned};
use crate::world::{World, noise};
use boveda::repo::id::PackId;
use boveda::repo::names::Name;
use boveda::store::Store;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// When the stamps of a file are old enough to be remembered.
const SETTLED: Duration = Duration::from_millis(2_200);

fn packs(world: &World) -> BTreeSet<PackId> {
    world.as_admin().list_packs().unwrap().into_keys().collect()
}

/// When the folders above `path` changed: a snapshot holds that too.
fn stamps_above(path: &Path) -> Vec<SystemTime> {
    path.ancestors().skip(1).map(|folder| std::fs::metadata(folder).unwrap().modified().unwrap()).collect()
}

/// Of a damaged pack and a sound one that hold the same, the damaged one goes, whichever would have gone otherwise.
#[test]
fn a_damaged_copy_makes_no_sound_one_superfluous() {
    let mut rounds = 0;
    for round in 0.. {
        let world = World::new();
        let (machine, source) = (world.machine("host"), world.path("source"));
        fill(&source, round);
        // What has just changed is remembered in another way, and on other pages then.
        std::thread::sleep(SETTLED);
        let above = stamps_above(&source);
        let first = machine.snapshot(&world, &world.admin, &source).snapshot.unwrap();
        let damaged = packs(&world);
        for pack in &damaged {
            let name = Name::Pack(*pack).object();
            let length = world.store.get(&name).unwrap().len();
            world.store.overwrite(&name, noise(9, length));
        }
        let changed = world.as_admin().suspect(&damaged, &BTreeSet::new()).unwrap();
        assert_eq!(
            (changed.marked, world.as_admin().suspect(&damaged, &BTreeSet::new()).unwrap().marked.len()),
            (damaged.clone(), 0)
        );
        let second = machine.snapshot(&world, &world.admin, &source).snapshot.unwrap();
        if stamps_above(&source) != above {
            // Another test made its folder beside this one's: the two snapshots differ, and the first one's top page is lost.
            assert!(round < 40, "{rounds} of {round} rounds were undisturbed");
            continue;
        }
        let sound: BTreeSet<PackId> = packs(&world).difference(&damaged).copied().collect();
        assert!(!sound.is_empty(), "what the source still has is stored again");
        let summary = pruned(&world, &machine, &world.admin);
        assert_eq!((packs(&world), summary.deleted.packs), (sound, damaged.len() as u64));
        assert!(world.as_admin().log().state.ledger().suspects.is_empty(), "what is gone needs no mark");
        holds(&world, &source, &[(first, round), (second, round)]);
        rounds += 1;
        if rounds == 2 {
            break;
        }
    }
}
