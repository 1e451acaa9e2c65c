//! Any bytes into every decoder of what is stored: a value or an error, never a panic, never memory that the bytes do not
//! justify. Bytes are arbitrary, or true objects with a few bytes changed, and get as deep as somebody with keys can put them.

use crate::hostile::forger::Forger;
use crate::world::{Listener, World, noise};
use boveda::crypto::secret::Secret;
use boveda::ops::verify;
use boveda::repo::armour::{self, Scale};
use boveda::repo::catalog::references;
use boveda::repo::census::Census;
use boveda::repo::config::Config;
use boveda::repo::frame::Frame;
use boveda::repo::id::{ChunkId, IndexId, PackId, SlotId, WriterId};
use boveda::repo::index_object::IndexBody;
use boveda::repo::keys::bundle::Bundle;
use boveda::repo::keys::credential::Credential;
use boveda::repo::keys::data_key::Wrap;
use boveda::repo::keys::epoch::unwrap_epoch;
use boveda::repo::keys::role::Role;
use boveda::repo::keys::slot::Slot;
use boveda::repo::keys::unlock::unlock;
use boveda::repo::log::Entry;
use boveda::repo::names::{IndexClass, Name, SessionName};
use boveda::repo::pack::{self, TableKeys};
use boveda::repo::record::Record;
use boveda::repo::repository::{Indexes, Repository};
use boveda::repo::session::{Beat, End, IndexRef, Open};
use boveda::repo::wire::Decoder;
use boveda::store::{ObjectName, Store};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config as Cases, TestRunner};

/// A few changes to bytes: overwritten, cut out, put in.
#[derive(Debug, Clone)]
enum Change {
    Set(Index, u8),
    Cut(Index),
    Remove(Index, usize),
    Insert(Index, Vec<u8>),
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let set = (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Change::Set(at, byte));
    let cut = any::<Index>().prop_map(Change::Cut);
    let remove = (any::<Index>(), 1..40_usize).prop_map(|(at, count)| Change::Remove(at, count));
    // Numbers that promise much are what allocations are made of.
    let bytes =
        prop_oneof![prop::collection::vec(any::<u8>(), 1..9), Just(vec![0xff; 9]), Just(vec![0xff, 0xff, 0x7f])];
    let insert = (any::<Index>(), bytes).prop_map(|(at, bytes)| Change::Insert(at, bytes));
    prop::collection::vec(prop_oneof![4 => set, 1 => cut, 1 => remove, 2 => insert], 1..5)
}

fn changed(bytes: &[u8], changes: &[Change]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for change in changes {
        let length = bytes.len();
        let place = |at: &Index| at.index(length.max(1)).min(length);
        match change {
            Change::Set(at, byte) => bytes.iter_mut().skip(place(at)).take(1).for_each(|found| *found = *byte),
            Change::Cut(at) => bytes.truncate(place(at)),
            Change::Remove(at, count) => drop(bytes.drain(place(at)..(place(at) + count).min(length))),
            Change::Insert(at, new) => drop(bytes.splice(place(at)..place(at), new.iter().copied())),
        }
    }
    bytes
}

fn runner(cases: u32) -> TestRunner {
    let full = std::env::var_os("BOVEDA_TEST_FULL").is_some();
    let cases = if full { cases * 50 } else { cases };
    TestRunner::new(Cases { cases, failure_persistence: None, ..Cases::default() })
}

/// Every decoder that needs nothing but the bytes.
fn decode_all(bytes: &[u8], admin: &Bundle) {
    let _ = Config::decode(bytes);
    let _ = Slot::decode(bytes);
    let _ = Open::decode(bytes);
    let _ = Beat::decode(bytes);
    let _ = End::decode(bytes);
    let _ = IndexBody::decode(bytes);
    let _ = Census::decode(bytes);
    let _ = Record::decode(bytes);
    let _ = Entry::decode(bytes).map(|entry| entry.decision());
    let _ = Bundle::decode(bytes);
    let _ = Decoder::whole(bytes, Wrap::decode);
    let _ = unwrap_epoch(bytes, admin);
    let _ = references(bytes);
    let _ = armour::unwrap(bytes);
    let _ = armour::heal(bytes);
    let _ = pack::heal(&PackId([1; 32]), bytes);
    let keys = TableKeys { repository: admin.repository(), index_keys: vec![(1, admin.current().index.clone())] };
    let _ = pack::table_of(bytes, &keys, |_| None);
    let _ = Credential::key(&boveda::crypto::secret::SecretBytes::new(bytes.to_vec()));
    let _ = unlock(&admin.repository(), &[(SlotId([1; 16]), bytes.to_vec())], &Credential::RawKey(Secret::generate()));
    for name in names() {
        let _ = Frame::decode(&name, bytes);
        let _ = Frame::read(&name, bytes);
    }
    if let Some(name) = std::str::from_utf8(bytes).ok().and_then(ObjectName::new) {
        let _ = Name::parse(&name);
    }
}

fn names() -> [Name; 4] {
    let session = SessionName { writer: WriterId([1; 16]), seq: 1 };
    [
        Name::Config(boveda::repo::names::Copy::First),
        Name::Open(session),
        Name::End(session),
        Name::Log(1, boveda::repo::names::Copy::First),
    ]
}

fn world() -> World {
    let world = World::new();
    let source = world.path("source");
    std::fs::create_dir(&source).unwrap();
    std::fs::write(source.join("file"), noise(1, 50_000)).unwrap();
    world.machine("host").snapshot(&world, &world.admin, &source);
    world
}

#[test]
fn decoders_survive_any_bytes() {
    let world = World::new();
    let repository = world.as_admin();
    let admin = repository.bundle();
    // Versions and kinds come first in most formats: small numbers there lead further in.
    let bytes = (prop::collection::vec(0..8_u8, 0..6), prop::collection::vec(any::<u8>(), 0..300));
    let outcome = runner(400).run(&bytes, |(head, rest)| {
        decode_all(&[head, rest].concat(), admin);
        Ok(())
    });
    outcome.unwrap();
}

/// True objects with a few bytes changed, in their armour and, where it would heal them, under a new one.
#[test]
fn decoders_survive_changed_objects() {
    let world = world();
    let repository = world.as_admin();
    let objects: Vec<_> = world.store.objects().into_iter().collect();
    let strategy = (any::<Index>(), changes());
    let outcome = runner(100).run(&strategy, |(which, changes)| {
        let (name, stored) = which.get(&objects);
        decode_all(&changed(stored, &changes), repository.bundle());
        let content = armour::unwrap(stored).unwrap();
        decode_all(&changed(&content, &changes), repository.bundle());
        let parsed = Name::parse(name).unwrap();
        let store = std::sync::Arc::new(world.store.fork());
        let scale = if matches!(parsed, Name::Pack(_)) { Scale::Pack } else { Scale::Small };
        store.overwrite(name, armour::wrap(parsed.kind(), scale, changed(&content, &changes)));
        use_all(&world, store);
        Ok(())
    });
    outcome.unwrap();
}

/// Opens, lists, verifies: whatever that finds, it ends.
fn use_all(world: &World, store: std::sync::Arc<boveda::store::memory::MemoryStore>) {
    let Ok(repository) = crate::world::open(store, &world.admin) else { return };
    let _ = Indexes::load(&repository, &IndexClass::BOTH);
    let _ = verify::verify(&repository, &world.machine("verifier").host, verify::Level::Full, &Listener::default());
}

/// Bodies that only somebody with a writer's keys can seal and sign.
#[test]
fn what_a_writer_may_sign_harms_nobody_else() {
    let world = world();
    let evil = world.add(Role::Writer, "evil");
    let honest: Repository = world.as_admin();
    let before = honest.snapshots().len();
    let outcome = runner(60).run(&(0..3_u8, changes()), |(which, changes)| {
        let world = World { store: world.store.fork().into(), admin: world.admin.clone(), ..World::new() };
        let forger = Forger::new(&world, &evil.key, WriterId([0xee; 16]));
        let wrap = forger.wrap();
        let ids = [ChunkId([1; 32]), ChunkId([2; 32])];
        let pack = forger.garbage(boveda::repo::id::ChunkKind::Data, &ids, forger.origin(), &wrap);
        match which {
            0 => {
                let record = changed(&forger.record(ids[0], forger.session), &changes);
                forger.end(record, vec![forger.index(IndexClass::Data, &[pack], &[wrap])]);
            }
            1 => {
                let end = forger.commit(forger.record(ids[0], forger.session), vec![]);
                forger.put(&Name::End(forger.session), &changed(&end, &changes));
            }
            _ => {
                let index = changed(&forger.index_body(IndexClass::Data, &[pack], &[wrap]), &changes);
                let name = |id| Name::Index { checkpoint: 0, class: IndexClass::Data, id };
                let stored = forger.frame(&name(IndexId([0; 32])), &index);
                let id = IndexId(boveda::crypto::hash::sha256(&stored));
                world.store.put(&name(id).object(), &stored).unwrap();
                let index = IndexRef { checkpoint: 0, class: IndexClass::Data, id };
                forger.end(forger.record(ids[0], forger.session), vec![index]);
            }
        }
        use_all(&world, world.store.clone());
        prop_assert!(world.as_admin().snapshots().len() >= before);
        Ok(())
    });
    outcome.unwrap();
}
