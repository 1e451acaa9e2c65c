//! What proofs about whole repositories share: a repository in memory, machines with a state of their own, principals.
//!
//! Every call opens the repository anew, as every run of the program does.

pub mod hooked;

use boveda::crypto::aead::Suite;
use boveda::crypto::secret::Secret;
use boveda::event::{Event, Level, Progress, Silent, Sink, Stage};
use boveda::ops::host::Host;
use boveda::ops::restore::{self, restore};
use boveda::ops::snapshot::{self, Options, Summary, snapshot};
use boveda::repo::catalog::Tree;
use boveda::repo::entry::EntryPath;
use boveda::repo::id::{PrincipalId, SnapshotId};
use boveda::repo::keys::credential::Credential;
use boveda::repo::keys::role::Role;
use boveda::repo::names::IndexClass;
use boveda::repo::repository::{Error, Founded, Repository, found};
use boveda::store::Store;
use boveda::store::memory::MemoryStore;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

/// Bytes of decoded segments that a reader keeps.
const CACHE: usize = 16 << 20;

/// Keeps every event.
#[derive(Default)]
pub struct Listener(Mutex<Vec<Event>>);

impl Sink for Listener {
    fn emit(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }
}

impl Listener {
    /// What was reported as a problem or as damage, as text.
    pub fn complaints(&self) -> Vec<String> {
        let text = |event: &Event| match event {
            Event::Problem { path, during, error } => Some(format!("{}: {during}: {error}", path.escape_ascii())),
            Event::Damage { object, what, .. } => Some(format!("{object}: {what}")),
            _ => None,
        };
        self.0.lock().unwrap().iter().filter_map(text).collect()
    }

    /// What was said as a warning.
    pub fn warnings(&self) -> Vec<String> {
        let text = |event: &Event| match event {
            Event::Message(Level::Warning, text) => Some(text.clone()),
            _ => None,
        };
        self.0.lock().unwrap().iter().filter_map(text).collect()
    }

    /// The last numbers of a stage.
    pub fn last(&self, stage: Stage) -> Option<Progress> {
        let numbers = |event: &Event| match event {
            Event::Progress(of, numbers) if *of == stage => Some(*numbers),
            _ => None,
        };
        self.0.lock().unwrap().iter().rev().find_map(numbers)
    }
}

/// A repository in memory, and room for sources and targets.
pub struct World {
    pub folder: TempDir,
    pub store: Arc<MemoryStore>,
    pub admin: Credential,
    pub recovery: Secret,
    pub founded: Founded,
}

/// A machine: what it remembers, and where it caches.
pub struct Machine {
    pub host: Host,
    name: String,
    folder: PathBuf,
}

/// A principal's key, and who it is.
pub struct Someone {
    pub id: PrincipalId,
    pub key: Credential,
}

impl World {
    /// A fresh repository.
    pub fn new() -> Self {
        let store = Arc::new(MemoryStore::new());
        let (admin, recovery) = (raw_key(), Secret::generate());
        let founded = found(&*store, Suite::Aes256Gcm, &admin, &recovery, "admin").unwrap();
        Self { folder: TempDir::new().unwrap(), store, admin, recovery, founded }
    }

    /// The same people over a store of its own, which holds what this one's does.
    pub fn fork(&self) -> Self {
        let Founded { repository, slot, recovery_slot } = self.founded;
        Self {
            folder: TempDir::new().unwrap(),
            store: Arc::new(self.store.fork()),
            admin: self.admin.clone(),
            recovery: self.recovery.clone(),
            founded: Founded { repository, slot, recovery_slot },
        }
    }

    /// A path in the world's own folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A machine that was never here before.
    pub fn machine(&self, name: &str) -> Machine {
        let folder = self.path(name);
        let host = Host::new(&folder.join("state"), &folder.join("cache"), None, Arc::new(Silent));
        Machine { host, name: name.to_owned(), folder }
    }

    /// The repository as this key sees it, on a machine that remembers nothing.
    pub fn open(&self, key: &Credential) -> Result<Repository, Error> {
        open(self.store.clone(), key)
    }

    /// The repository as the admin sees it.
    pub fn as_admin(&self) -> Repository {
        self.open(&self.admin).unwrap()
    }

    /// A new principal.
    pub fn add(&self, role: Role, label: &str) -> Someone {
        let key = raw_key();
        let id = self.as_admin().add_member(role, label, &key).unwrap().id;
        Someone { id, key }
    }

    /// Bytes of all packs.
    pub fn packed(&self) -> u64 {
        self.store.list("packs").unwrap().iter().map(|listed| listed.length).sum()
    }
}

/// Any repository, on a machine that remembers nothing.
pub fn open(store: Arc<MemoryStore>, key: &Credential) -> Result<Repository, Error> {
    Repository::open(store, key, |_| None, Arc::new(Silent))
}

impl Machine {
    /// Opens the repository, remembering what it shows.
    pub fn open(&self, store: &Arc<MemoryStore>, key: &Credential) -> Result<Repository, Error> {
        self.host.open(store.clone(), key)
    }

    /// How this machine takes snapshots of `source`.
    pub fn options(&self, source: &Path) -> Options {
        Options {
            roots: vec![entry_path(source)],
            host: self.name.clone(),
            user: "somebody".to_owned(),
            threads: 2,
            cache: Some(self.folder.join("cache")),
            ..Options::default()
        }
    }

    /// Takes a snapshot.
    pub fn try_snapshot(
        &self,
        world: &World,
        key: &Credential,
        options: &Options,
        sink: &dyn Sink,
    ) -> Result<Summary, snapshot::Error> {
        let mut repository = self.open(&world.store, key)?;
        let writer = self.host.writer(&repository)?;
        snapshot(&mut repository, writer.writer, options, sink)
    }

    /// Takes a snapshot of `source`, without a complaint.
    #[track_caller]
    pub fn snapshot(&self, world: &World, key: &Credential, source: &Path) -> Summary {
        let listener = Listener::default();
        let summary = self.try_snapshot(world, key, &self.options(source), &listener).unwrap();
        assert_eq!(listener.complaints(), [""; 0]);
        summary
    }

    /// Restores what `id` holds of `source` into `target`.
    pub fn try_restore(
        &self,
        repository: &Repository,
        id: &SnapshotId,
        source: &Path,
        target: &Path,
        sink: &dyn Sink,
    ) -> Result<restore::Summary, restore::Error> {
        let snapshot = repository.snapshots().iter().find(|snapshot| snapshot.id == *id).unwrap();
        let reader = Arc::new(self.host.reader(repository, &IndexClass::BOTH, CACHE).unwrap());
        let tree = Tree::open(reader.clone(), snapshot.structure.root);
        let options = restore::Options { numeric_ids: true, threads: 2, ..restore::Options::default() };
        restore(&tree, reader, &entry_path(source), target, &options, sink)
    }

    /// Restores, without a complaint.
    #[track_caller]
    pub fn restore(&self, repository: &Repository, id: &SnapshotId, source: &Path, target: &Path) {
        let listener = Listener::default();
        self.try_restore(repository, id, source, target, &listener).unwrap();
        assert_eq!(listener.complaints(), [""; 0]);
    }
}

/// A path as catalogs have it.
pub fn entry_path(path: &Path) -> EntryPath {
    EntryPath::parse(path.as_os_str().as_bytes()).unwrap()
}

/// A key that opens a slot without delay.
pub fn raw_key() -> Credential {
    Credential::RawKey(Secret::generate())
}

/// Bytes that do not compress and differ by `seed`.
pub fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}
