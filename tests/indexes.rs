//! Indexes that are lost, and what indexes say of data keys: whom a writer builds on, and which of several words counts.

use crate::world::{World, noise};
use boveda::repo::chunk_index::ChunkIndex;
use boveda::repo::id::WriterId;
use boveda::repo::keys::data_key::{DataKey, Wrap};
use boveda::repo::segment::WrappedKey;
use boveda::repo::wire::Encoder;
use boveda::store::Store as _;

/// Bytes of a file that does not compress.
const LARGE: usize = 1_000_000;

#[test]
fn what_the_packs_own_tables_say_in_place_of_lost_indexes_is_built_on() {
    for class in ["/c-", "/d-", "/"] {
        let (world, source) = (World::new(), tempfile::tempdir().unwrap());
        std::fs::write(source.path().join("file"), noise(1, LARGE)).unwrap();
        world.machine("host").snapshot(&world, &world.admin, source.path());
        for listed in world.store.list("idx").unwrap() {
            if listed.name.as_str().contains(class) {
                world.store.delete(&listed.name).unwrap();
            }
        }
        let before = world.packed();
        // Without a complaint: the packs are there as they should be.
        world.machine("fresh").snapshot(&world, &world.admin, source.path());
        let more = world.packed() - before;
        assert!(more < LARGE as u64 / 2, "{class}: {more} bytes more");
    }
}

fn encoded(wrap: &Wrap) -> Vec<u8> {
    let mut encoder = Encoder::new();
    wrap.encode(&mut encoder);
    encoder.into_bytes()
}

/// Whoever writes can name any data key with any wrap: a copy must take along the one that opens, and opens that very key.
#[test]
fn of_several_wraps_of_a_data_key_the_one_that_opens_it_counts() {
    let world = World::new();
    let repository = world.as_admin();
    let [key, other] = [DataKey::generate(), DataKey::generate()];
    let wrap = |key: &DataKey| key.wrap(repository.bundle(), WriterId([7; 16]), 1).unwrap();
    let mut shut = wrap(&key);
    shut.sealed.iter_mut().for_each(|byte| *byte ^= 1);
    let (sound, false_ones) = (encoded(&wrap(&key)), [encoded(&shut), encoded(&wrap(&other)), b"no wrap".to_vec()]);
    for first in &false_ones {
        for wraps in [[first, &sound], [&sound, first]] {
            let mut index = ChunkIndex::new();
            for wrap in wraps {
                index.add_wrap(&WrappedKey { id: key.id(), wrap: wrap.clone() });
            }
            assert!(repository.wrap_of(&index, &key.id()) == sound);
        }
    }
}
