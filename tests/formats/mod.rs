//! Frozen repositories of every format version: what once was written opens for ever, with every kind of key.
//!
//! `v1-aes` and `v1-chacha` are repositories of version 1, one for each suite, as the first boveda wrote them; beside each
//! stands what its snapshots held, taken from the sources and not from the repository. They are never written again: a
//! change of the format gets a folder of its own, made with `BOVEDA_FREEZE=FOLDER cargo test --test boveda freeze`, as root.

mod freeze;

use crate::world::{World, open};
use boveda::crypto::secret::{Secret, SecretBytes};
use boveda::ops::verify;
use boveda::repo::catalog::{ExtentReader, Tree, read_value};
use boveda::repo::chunks::ChunkSource;
use boveda::repo::entry::{Entry, EntryKind, Extent};
use boveda::repo::id::ChunkKind;
use boveda::repo::keys;
use boveda::repo::keys::credential::Credential;
use boveda::repo::keys::recovery;
use boveda::repo::keys::role::Role;
use boveda::repo::names::IndexClass;
use boveda::repo::repository::{Error, Repository, Snapshot};
use boveda::store::Store as _;
use boveda::store::local::LocalStore;
use boveda::store::memory::MemoryStore;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The frozen repositories.
const FROZEN: [&str; 2] = ["v1-aes", "v1-chacha"];

/// What opens them: the raw keys are 32 equal bytes.
const ADMIN: u8 = 1;
const RECOVERY: u8 = 2;
const WRITER: u8 = 3;
const READER: u8 = 4;
const MAINTAINER: u8 = 5;
const REVOKED: u8 = 6;
const PASSWORD: &str = "correct horse battery staple";

fn key(byte: u8) -> Credential {
    Credential::RawKey(Secret::new([byte; 32]))
}

fn password() -> Credential {
    Credential::password(SecretBytes::new(PASSWORD.into())).unwrap()
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/formats").join(name)
}

/// A frozen repository, in memory so that nothing can touch it.
fn thaw(name: &str) -> Arc<MemoryStore> {
    let frozen = LocalStore::new(&folder(name));
    let store = MemoryStore::new();
    for listed in frozen.list("").unwrap() {
        store.overwrite(&listed.name, frozen.get(&listed.name).unwrap());
    }
    Arc::new(store)
}

/// One line for each entry that a snapshot holds at and below its only path.
fn contents(reader: &Arc<dyn ChunkSource>, snapshot: &Snapshot) -> String {
    let root = boveda::repo::entry::EntryPath::parse(&snapshot.paths()[0]).unwrap();
    let tree = Tree::open(reader.clone(), snapshot.structure.root);
    let mut lines = Vec::new();
    for item in tree.walk(&root) {
        let (path, entry) = item.unwrap();
        let below = path.to_bytes()[root.to_bytes().len()..].to_vec();
        let xattrs = entry.xattrs.iter().map(|(name, value)| (name.clone(), read_value(&**reader, value).unwrap()));
        lines.push(line(&below, &entry, &what(reader, &entry), &xattrs.collect::<Vec<_>>()));
    }
    lines.sort();
    lines.concat()
}

fn line(path: &[u8], entry: &Entry, what: &str, xattrs: &[(Vec<u8>, Vec<u8>)]) -> String {
    let mut text = format!("\"{}\" {what} {:04o} {}:{}", path.escape_ascii(), entry.mode, entry.uid, entry.gid);
    write!(text, " {}.{:09}", entry.modified.seconds, entry.modified.nanoseconds).unwrap();
    for (name, value) in xattrs {
        write!(text, " {}={}", name.escape_ascii(), blake3::hash(value)).unwrap();
    }
    text + "\n"
}

/// Kind and content of an entry.
fn what(reader: &Arc<dyn ChunkSource>, entry: &Entry) -> String {
    match &entry.kind {
        EntryKind::File(content) => {
            let mut bytes = Vec::new();
            for placed in ExtentReader::open(reader.clone(), content, entry.size) {
                match placed.unwrap().extent {
                    Extent::Chunk { id, .. } => bytes.extend_from_slice(&reader.get(ChunkKind::Data, &id).unwrap()),
                    Extent::Hole { length } => bytes.resize(bytes.len() + length as usize, 0),
                }
            }
            assert_eq!(bytes.len() as u64, entry.size);
            format!("file {}", blake3::hash(&bytes))
        }
        EntryKind::Directory => "directory".to_owned(),
        EntryKind::Symlink(target) => format!("symlink \"{}\"", target.escape_ascii()),
        EntryKind::Fifo => "fifo".to_owned(),
        EntryKind::Socket => "socket".to_owned(),
        EntryKind::CharacterDevice { major, minor } => format!("character {major}:{minor}"),
        EntryKind::BlockDevice { major, minor } => format!("block {major}:{minor}"),
    }
}

fn reader(world: &World, repository: &Repository) -> Arc<dyn ChunkSource> {
    Arc::new(world.machine("reader").host.reader(repository, &IndexClass::BOTH, 1 << 22).unwrap())
}

#[test]
fn frozen_repositories_hold_what_they_held() {
    let world = World::new();
    for name in FROZEN {
        for byte in [ADMIN, READER] {
            let repository = open(thaw(name), &key(byte)).unwrap();
            assert_eq!(repository.view().issues, [], "{name}");
            let reader = reader(&world, &repository);
            let held: Vec<_> = repository.snapshots().iter().map(|snapshot| contents(&reader, snapshot)).collect();
            let expected = std::fs::read_to_string(folder(&format!("{name}.txt"))).unwrap();
            assert_eq!(held.join("\n"), expected, "{name}");
            let host = &world.machine("verifier").host;
            let found = verify::verify(&repository, host, verify::Level::Full, &boveda::event::Silent).unwrap();
            assert_eq!(found.findings, [], "{name}");
        }
    }
}

#[test]
fn frozen_repositories_open_with_every_kind_of_key() {
    for name in FROZEN {
        let store = thaw(name);
        let words = recovery::words(&Secret::new([RECOVERY; 32]));
        let typed = Credential::key(&SecretBytes::new(words.as_bytes().to_vec())).unwrap();
        let keys = [
            (key(ADMIN), Role::Admin),
            (password(), Role::Admin),
            (typed, Role::Admin),
            (key(WRITER), Role::Writer),
            (key(READER), Role::Reader),
            (key(MAINTAINER), Role::Maintainer),
        ];
        for (key, role) in &keys {
            let repository = open(store.clone(), key).unwrap();
            let (bundle, trust) = (repository.bundle(), &repository.log().state);
            assert_eq!((bundle.role(), bundle.current_epoch(), trust.trust().epoch()), (*role, 2, 2), "{name}");
            assert_eq!(repository.snapshots().len(), 4, "{name}");
        }
        assert!(matches!(open(store, &key(REVOKED)), Err(Error::Keys(keys::Error::NotOpened { .. }))), "{name}");
    }
}

/// Who wrote in them goes on, and relies on what is there.
#[test]
fn frozen_repositories_take_new_snapshots() {
    for name in FROZEN {
        let world = World { store: thaw(name), admin: key(ADMIN), ..World::new() };
        let source = world.path("source");
        freeze::source(&source, 2);
        let before = world.packed();
        for (number, byte) in [ADMIN, WRITER].into_iter().enumerate() {
            world.machine(&format!("machine{number}")).snapshot(&world, &key(byte), &source);
        }
        assert!(world.packed() - before < 300_000, "{name}: {} bytes more", world.packed() - before);
        assert_eq!(world.as_admin().snapshots().len(), 6);
    }
}
