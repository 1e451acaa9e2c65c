//! What goes in through lanes comes out through a reader, damaged or not.

use super::*;
use crate::crypto::aead::Suite;
use crate::crypto::secret::Secret;
use crate::event::Silent;
use crate::repo::armour::Parity;
use crate::repo::chunk_index::IndexedPack;
use crate::repo::config::Config;
use crate::repo::id::WriterId;
use crate::repo::keys::bundle::Bundle;
use crate::repo::keys::data_key::DataKey;
use crate::repo::keys::installation::Installation;
use crate::repo::pack::{PackSealing, PackSummary};
use crate::repo::segment::{Compression, Origin, Sealing, WrappedKey};
use crate::repo::wire::Encoder;
use crate::repo::writer::{PackWriter, WriterOptions};
use crate::store::memory::MemoryStore;

struct World {
    store: Arc<MemoryStore>,
    bundle: Arc<Bundle>,
    data_key: DataKey,
    writer: WriterId,
}

impl World {
    fn new() -> Self {
        let seed = Secret::generate();
        let config = Config::new(Suite::Aes256Gcm, crate::crypto::sign::SigningKey::from_seed(&seed).public(), 0);
        let bundle = Arc::new(Bundle::found(&config, seed).unwrap());
        Self { store: Arc::default(), bundle, data_key: DataKey::generate(), writer: WriterId([7; 16]) }
    }

    fn keys(&self) -> ChunkKeys {
        self.bundle.chunk_keys().unwrap()
    }

    fn writer(&self, index: ChunkIndex) -> PackWriter {
        let (repository, suite, epoch) = (self.bundle.repository(), Suite::Aes256Gcm, 1);
        let origin = Origin { writer: self.writer, seq: 1 };
        let mut wrap = Encoder::new();
        self.data_key.wrap(&self.bundle, self.writer, 1).unwrap().encode(&mut wrap);
        let index_key = self.bundle.current().index.clone();
        let data_sealing = Sealing {
            suite,
            repository,
            epoch,
            key: self.data_key.secret().clone(),
            key_id: self.data_key.id(),
            origin,
        };
        let skeleton_sealing = Sealing { key: index_key.clone(), ..data_sealing.clone() };
        let signing_key = Installation::derive(&self.bundle, self.writer).key;
        let parity = Parity::default();
        let pack_sealing =
            PackSealing { suite, repository, epoch, index_key, signer: self.writer, signing_key, parity, md5: true };
        let options = WriterOptions {
            pack_size: crate::repo::pack::PackSize::default(),
            effort: Compression::Level(3).into(),
            data_sealing,
            skeleton_sealing,
            wrap: wrap.into_bytes(),
            pack_sealing,
            dry_run: false,
        };
        PackWriter::start(self.store.clone(), Arc::new(index), self.keys(), options)
    }

    fn index(&self, packs: &[PackSummary], good: bool) -> ChunkIndex {
        let mut index = ChunkIndex::new();
        for pack in packs {
            index.add(IndexedPack { id: pack.id, length: pack.length, good }, pack.rows.clone());
        }
        index
    }

    fn reader(&self, mut index: ChunkIndex) -> Reader {
        let mut wrap = Encoder::new();
        self.data_key.wrap(&self.bundle, self.writer, 1).unwrap().encode(&mut wrap);
        index.add_wrap(&WrappedKey { id: self.data_key.id(), wrap: wrap.into_bytes() });
        let index = Arc::new(index);
        let ring = KeyRing::new(self.bundle.clone(), Arc::clone(&index));
        let store = self.store.clone();
        Reader::new(store, self.bundle.repository(), self.keys(), ring, index, 1 << 20, Arc::new(Silent))
    }
}

fn chunk(number: u32) -> Vec<u8> {
    number.to_le_bytes().repeat(1 + number as usize * 37 % 20_000)
}

const KINDS: [ChunkKind; 3] = [ChunkKind::Data, ChunkKind::Payload, ChunkKind::Skeleton];

#[test]
fn chunks_come_back_and_known_ones_are_not_written_again() {
    let world = World::new();
    let writer = world.writer(ChunkIndex::new());
    let mut lane = writer.lane();
    let ids: Vec<_> = (0..300).map(|n| KINDS.map(|kind| (kind, lane.put(kind, &chunk(n)).unwrap()))).collect();
    for (n, kinds) in (0..).zip(&ids) {
        for (kind, id) in kinds {
            assert_eq!(lane.put(*kind, &chunk(n)).unwrap(), *id);
        }
    }
    lane.flush().unwrap();
    drop(lane);
    let (packs, figures) = writer.finish().unwrap();
    assert_eq!((figures.data_chunks, figures.catalog_chunks), (300, 600));
    let reader = world.reader(world.index(&packs, true));
    for (n, kinds) in (0..).zip(&ids) {
        for (kind, id) in kinds {
            assert_eq!(&*reader.get(*kind, id).unwrap(), chunk(n));
        }
    }
    assert!(matches!(reader.get(ChunkKind::Data, &ids[0][2].1), Err(Error::Unknown { .. })), "kinds never meet");

    let again = world.writer(world.index(&packs, true));
    let mut lane = again.lane();
    lane.put(ChunkKind::Data, &chunk(5)).unwrap();
    lane.flush().unwrap();
    drop(lane);
    assert_eq!(again.finish().unwrap().1.data_chunks, 0);

    let distrusting = world.writer(world.index(&packs, false));
    let mut lane = distrusting.lane();
    lane.put(ChunkKind::Data, &chunk(5)).unwrap();
    lane.flush().unwrap();
    drop(lane);
    assert_eq!(distrusting.finish().unwrap().1.data_chunks, 1, "a place that is not good is not relied on");
}

#[test]
fn damage_is_healed_in_memory_or_named() {
    let world = World::new();
    let writer = world.writer(ChunkIndex::new());
    let mut lane = writer.lane();
    let random: Vec<u8> = blake3::Hasher::new().finalize_xof().take(400_000);
    let id = lane.put(ChunkKind::Data, &random).unwrap();
    lane.flush().unwrap();
    drop(lane);
    let (packs, _) = writer.finish().unwrap();
    let name = Name::Pack(packs[0].id).object();
    let stored = world.store.get(&name).unwrap();

    let mut flipped = stored.clone();
    flipped[stored.len() / 2] ^= 0x40;
    world.store.heal(&name, &flipped).unwrap();
    assert_eq!(&*world.reader(world.index(&packs, true)).get(ChunkKind::Data, &id).unwrap(), random);

    let mut ruined = stored.clone();
    ruined[8192..8192 + 300_000].fill(0);
    world.store.heal(&name, &ruined).unwrap();
    let reader = world.reader(world.index(&packs, true));
    assert!(matches!(reader.get(ChunkKind::Data, &id), Err(Error::Damaged { .. })));
    // What was beyond its parity once is not read whole again for every chunk; what is put back is seen at once.
    world.store.heal(&name, &flipped).unwrap();
    assert!(matches!(reader.get(ChunkKind::Data, &id), Err(Error::Damaged { .. })));
    world.store.heal(&name, &stored).unwrap();
    assert_eq!(&*reader.get(ChunkKind::Data, &id).unwrap(), random);

    world.store.delete(&name).unwrap();
    let reader = world.reader(world.index(&packs, true));
    let Err(Error::Damaged { reason, .. }) = reader.get(ChunkKind::Data, &id) else { panic!("the pack is gone") };
    assert!(reason.contains("missing"), "{reason}");
}

#[test]
fn what_is_in_memory_is_given_without_the_store() {
    let world = World::new();
    let writer = world.writer(ChunkIndex::new());
    let mut lane = writer.lane();
    let ids: Vec<_> = (0..3).map(|n| lane.put(ChunkKind::Data, &chunk(n)).unwrap()).collect();
    lane.flush().unwrap();
    drop(lane);
    let (packs, _) = writer.finish().unwrap();
    let reader = world.reader(world.index(&packs, true));
    assert!(reader.get_cached(ChunkKind::Data, &ids[0]).is_none());
    reader.warm(ChunkKind::Data, &ids[0]);
    world.store.delete(&Name::Pack(packs[0].id).object()).unwrap();
    for (n, id) in (0..).zip(&ids) {
        assert_eq!(&*reader.get_cached(ChunkKind::Data, id).unwrap(), chunk(n), "one segment holds them all");
    }
    reader.clear_cache();
    assert!(reader.get_cached(ChunkKind::Data, &ids[0]).is_none());
}

trait Take {
    fn take(self, length: usize) -> Vec<u8>;
}

impl Take for blake3::OutputReader {
    fn take(mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.fill(&mut bytes);
        bytes
    }
}

#[test]
fn of_what_is_given_up_no_pack_is_stored_that_is_not_full() {
    let world = World::new();
    let writer = world.writer(ChunkIndex::new());
    let mut lane = writer.lane();
    for kind in KINDS {
        lane.put(kind, &chunk(7)).unwrap();
    }
    lane.flush().unwrap();
    drop(lane);
    writer.give_up();
    let (packs, figures) = writer.finish().unwrap();
    assert_eq!((packs.len(), figures.stored, world.store.objects().len()), (0, 0, 0));
}
