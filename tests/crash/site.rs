//! A source with two states, a host, and what a repository of them must hold whatever went wrong.

use boveda::crypto::aead::Suite;
use boveda::crypto::secret::Secret;
use boveda::event::{Event, Silent, Sink};
use boveda::ops::host::Host;
use boveda::ops::snapshot::{Options, PartialAfter, snapshot};
use boveda::ops::verify::{self, verify};
use boveda::repo::catalog::{ExtentReader, Tree};
use boveda::repo::chunks::ChunkSource;
use boveda::repo::entry::{EntryKind, EntryPath, Extent};
use boveda::repo::id::{ChunkKind, PrincipalId, SlotId, SnapshotId};
use boveda::repo::keys::credential::Credential;
use boveda::repo::keys::role::Role;
use boveda::repo::names::IndexClass;
use boveda::repo::repository::{Repository, Snapshot, found};
use boveda::store::Store;
use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

/// The files below the source, by path.
pub type Files = BTreeMap<Vec<u8>, Vec<u8>>;
/// Any failure, for tests that only pass it on.
pub type Failure = Box<dyn std::error::Error>;

/// What may be cut short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    Found,
    FirstSnapshot,
    SecondSnapshot,
    /// One that leaves partial snapshots on its way.
    LongSnapshot,
    AddMember,
    Revoke,
    AddSlot,
    RemoveSlot,
    /// All snapshots but the newest of each principal's.
    Forget,
    /// What was forgotten comes back.
    Unforget,
    /// What one forgotten snapshot held goes.
    Prune,
    /// A snapshot is forgotten, and what it held goes.
    ForgetAndPrune,
}

/// A place with a source, and the keys of everybody.
pub struct Site {
    folder: TempDir,
    act: Act,
    pub admin: Credential,
    pub laptop: Credential,
    spare: Credential,
    /// What a key verb brings in.
    more: Credential,
    cases: AtomicU64,
    /// What each snapshot that was acknowledged holds.
    acked: Mutex<BTreeMap<SnapshotId, Files>>,
    laptop_id: Mutex<Option<PrincipalId>>,
    spare_slot: Mutex<Option<SlotId>>,
    /// The snapshot that is to go.
    pub outdated: Mutex<Option<SnapshotId>>,
}

/// The host, as it was when the act began.
pub struct Case {
    pub host: Host,
    folder: PathBuf,
    /// Snapshots that were acknowledged in this case alone.
    pub acked: BTreeMap<SnapshotId, Files>,
}

/// Damage that anything reported.
#[derive(Default)]
struct Damage(Mutex<Vec<String>>);

impl Sink for Damage {
    fn emit(&self, event: Event) {
        match event {
            Event::Damage { object, what, .. } => self.0.lock().unwrap().push(format!("{object}: {what}")),
            Event::Problem { path, error, .. } => {
                self.0.lock().unwrap().push(format!("{}: {error}", path.escape_ascii()));
            }
            _ => {}
        }
    }
}

fn raw_key() -> Credential {
    Credential::RawKey(Secret::generate())
}

impl Site {
    /// Builds in `store` all that must stand before `act`.
    pub fn new(act: Act, store: &Arc<dyn Store>) -> Self {
        let folder = TempDir::new().unwrap();
        let (cases, acked) = (AtomicU64::new(0), Mutex::default());
        let (laptop_id, spare_slot, outdated) = (Mutex::default(), Mutex::default(), Mutex::default());
        let (admin, laptop, spare, more) = (raw_key(), raw_key(), raw_key(), raw_key());
        let site = Self { folder, act, admin, laptop, spare, more, cases, acked, laptop_id, spare_slot, outdated };
        site.fill(0);
        if act != Act::Found {
            let mut case = site.case();
            site.found(store).unwrap();
            if act != Act::FirstSnapshot {
                site.build(store, &mut case);
                match act {
                    Act::Unforget => site.forget(store, &case).unwrap(),
                    Act::Prune | Act::ForgetAndPrune => site.outdate(store, &mut case),
                    _ => {}
                }
            }
            site.acked.lock().unwrap().append(&mut case.acked);
            // What the host remembers is where every case begins.
            copy(&case.folder, &site.folder.path().join("before"));
        }
        site
    }

    /// A snapshot of each of two principals, and a slot to spare; then the source changes.
    fn build(&self, store: &Arc<dyn Store>, case: &mut Case) {
        // Old enough stamps, so that the change cache takes part.
        std::thread::sleep(std::time::Duration::from_millis(3_100));
        self.snapshot(store, case, &self.admin).unwrap();
        let mut repository = case.host.open(store.clone(), &self.admin).unwrap();
        let laptop = repository.add_member(Role::Writer, "laptop", &self.laptop).unwrap();
        *self.laptop_id.lock().unwrap() = Some(laptop.id);
        *self.spare_slot.lock().unwrap() = Some(repository.add_slot(&self.spare).unwrap());
        self.snapshot(store, case, &self.laptop).unwrap();
        self.fill(1);
    }

    /// Whether what is to be pruned was forgotten before.
    pub fn is_only_pruned(&self) -> bool {
        self.act == Act::Prune
    }

    pub fn source(&self) -> PathBuf {
        self.folder.path().join("source")
    }

    /// Brings the source into one of its states.
    fn fill(&self, state: u64) {
        for n in 0..6_u64 {
            let folder = self.source().join(format!("folder{}", n % 2));
            std::fs::create_dir_all(&folder).unwrap();
            let changes = n % 3 == state && state > 0;
            let mut bytes = vec![0; [0, 10, 3_000, 90_000, 400_000, 70_000][n as usize]];
            let seed = if changes { n + 100 * state } else { n };
            blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
            if changes || state == 0 {
                std::fs::write(folder.join(format!("file{n}")), bytes).unwrap();
            }
        }
        if state > 0 {
            std::os::unix::fs::symlink("folder0/file2", self.source().join("link")).unwrap();
        }
    }

    /// A host for one case.
    pub fn case(&self) -> Case {
        let folder = self.folder.path().join(format!("case{}", self.cases.fetch_add(1, Ordering::Relaxed)));
        copy(&self.folder.path().join("before"), &folder);
        Case { host: host(&folder), folder, acked: BTreeMap::new() }
    }

    /// A host that was never here before.
    pub fn empty_case(&self) -> Case {
        let folder = self.folder.path().join(format!("case{}", self.cases.fetch_add(1, Ordering::Relaxed)));
        Case { host: host(&folder), folder, acked: BTreeMap::new() }
    }

    /// The act.
    pub fn act(&self, store: &Arc<dyn Store>, case: &mut Case) -> Result<(), Failure> {
        let admin = || case.host.open(store.clone(), &self.admin);
        match self.act {
            Act::Found => self.found(store)?,
            Act::FirstSnapshot | Act::SecondSnapshot | Act::LongSnapshot => self.snapshot(store, case, &self.admin)?,
            Act::AddMember => drop(admin()?.add_member(Role::Reader, "auditor", &self.more)?),
            Act::Revoke => admin()?.revoke(self.laptop_id.lock().unwrap().unwrap(), "stolen")?,
            Act::AddSlot => drop(admin()?.add_slot(&self.more)?),
            Act::RemoveSlot => admin()?.remove_slot(self.spare_slot.lock().unwrap().unwrap())?,
            Act::Forget => self.forget(store, case)?,
            Act::Unforget => self.unforget(store, case)?,
            Act::Prune => self.prune(store, case)?,
            Act::ForgetAndPrune => {
                self.forget_outdated(store, case)?;
                self.prune(store, case)?;
            }
        }
        Ok(())
    }

    fn found(&self, store: &Arc<dyn Store>) -> Result<(), Failure> {
        found(&**store, Suite::Aes256Gcm, &self.admin, &Secret::generate(), "admin")?;
        Ok(())
    }

    /// Takes a snapshot as one run of the program does, and keeps in mind what was acknowledged.
    pub fn snapshot(&self, store: &Arc<dyn Store>, case: &mut Case, key: &Credential) -> Result<(), Failure> {
        let mut repository = case.host.open(store.clone(), key)?;
        let lock = case.host.writer(&repository)?;
        let damage = Damage::default();
        let summary = snapshot(&mut repository, lock.writer, &self.options(&case.folder), &damage)?;
        assert_eq!(*damage.0.lock().unwrap(), [""; 0]);
        case.acked.insert(summary.snapshot.unwrap(), self.now());
        if repository.refresh().is_ok() {
            case.host.remember(&repository);
        }
        Ok(())
    }

    fn options(&self, folder: &Path) -> Options {
        Options {
            roots: vec![entry_path(&self.source())],
            host: "host".to_owned(),
            user: "user".to_owned(),
            threads: 2,
            cache: Some(folder.join("cache")),
            partial: match self.act {
                Act::LongSnapshot => PartialAfter { bytes: 1_000, ..PartialAfter::default() },
                _ => PartialAfter::default(),
            },
            ..Options::default()
        }
    }

    /// The source as it is now.
    fn now(&self) -> Files {
        let mut files = Files::new();
        let mut folders = vec![self.source()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let kind = path.symlink_metadata().unwrap();
                if kind.is_dir() {
                    folders.push(path);
                } else if kind.is_file() {
                    files.insert(path.as_os_str().as_bytes().to_vec(), std::fs::read(&path).unwrap());
                }
            }
        }
        files
    }

    /// After whatever happened: what was acknowledged is there, everything that is there is whole, the act can be done
    /// again, the next snapshot succeeds, verify finds nothing.
    pub fn recovers(&self, store: &Arc<dyn Store>, case: &mut Case, what: &str) {
        self.goes_on(store, case).unwrap_or_else(|error| panic!("{what}: {error}"));
        self.holds(store, case, what);
    }

    /// Whoever was cut short tries again, and then takes a snapshot.
    pub fn goes_on(&self, store: &Arc<dyn Store>, case: &mut Case) -> Result<(), Failure> {
        let done = match self.act {
            // The config is put last: whoever was told "failed" may find that it stands.
            Act::Found => case.host.open(store.clone(), &self.admin).is_ok(),
            // Doing it again finds what was done, and makes it last.
            Act::AddMember | Act::AddSlot | Act::Revoke | Act::Prune | Act::ForgetAndPrune => false,
            Act::RemoveSlot => {
                let gone = case.host.open(store.clone(), &self.spare).is_err();
                let again = self.act(store, case);
                assert!(gone || again.is_ok(), "{again:?}");
                true
            }
            Act::Forget | Act::Unforget => {
                // All of them, or none.
                let repository = case.host.open(store.clone(), &self.admin)?;
                let (live, gone) = (repository.snapshots().len(), repository.forgotten().len());
                assert!([(2, 0), (0, 2)].contains(&(live, gone)), "{live} live, {gone} forgotten");
                (gone == 0) == (self.act == Act::Unforget)
            }
            Act::FirstSnapshot | Act::SecondSnapshot | Act::LongSnapshot => true,
        };
        if !done {
            self.act(store, case)?;
        }
        if matches!(self.act, Act::Prune | Act::ForgetAndPrune) {
            self.is_pruned(store, case)?;
        }
        if self.act == Act::Forget {
            let repository = case.host.open(store.clone(), &self.admin)?;
            assert_eq!(repository.snapshots().len(), 0, "forgotten, and shown");
        }
        self.snapshot(store, case, &self.admin)?;
        match self.act {
            Act::Forget => self.unforget(store, case)?,
            Act::Revoke => assert!(self.snapshot(store, case, &self.laptop).is_err(), "revoked, and goes on writing"),
            Act::SecondSnapshot | Act::LongSnapshot | Act::AddMember => self.snapshot(store, case, &self.laptop)?,
            _ => {}
        }
        Ok(())
    }

    /// Every acknowledged snapshot is there and whole, every other one is whole too, and verify agrees.
    pub fn holds(&self, store: &Arc<dyn Store>, case: &Case, what: &str) {
        let repository = case.host.open(store.clone(), &self.admin).unwrap_or_else(|error| panic!("{what}: {error}"));
        let before = self.acked.lock().unwrap();
        let acked: BTreeMap<&SnapshotId, &Files> = before.iter().chain(&case.acked).collect();
        for id in acked.keys() {
            assert!(repository.snapshots().iter().any(|snapshot| snapshot.id == **id), "{what}: {id} is lost");
        }
        let now = self.now();
        for snapshot in repository.snapshots() {
            let expected = acked.get(&snapshot.id).copied().unwrap_or(&now);
            let read = self.read(&repository, case, snapshot).unwrap_or_else(|error| panic!("{what}: {error}"));
            // A partial one claims no more than it has, and that has to be right.
            let of = |whole: &Files| read.iter().all(|(path, bytes)| whole.get(path) == Some(bytes));
            let partial = || of(&now) || acked.values().any(|whole| of(whole));
            let right = if snapshot.is_complete() { read == *expected } else { partial() };
            assert!(right, "{what}: {} holds something else", snapshot.id);
        }
        let damage = Damage::default();
        let summary = verify(&repository, &case.host, verify::Level::Full, &damage).unwrap();
        assert_eq!(summary.findings, [], "{what}");
        assert_eq!(*damage.0.lock().unwrap(), [""; 0], "{what}");
    }

    /// After a disk that lied: nothing is wrong in silence.
    pub fn nothing_silent(&self, store: &Arc<dyn Store>, case: &mut Case, what: &str) {
        // What this host remembers would tell at once that something is missing; here a host is asked that does not know.
        let fresh = case.folder.join("fresh");
        let (known, acked) = (std::mem::replace(&mut case.host, host(&fresh)), std::mem::take(&mut case.acked));
        if self.goes_on(store, case).is_err() {
            // It refuses to go on, and says why.
            return;
        }
        let repository = case.host.open(store.clone(), &self.admin).unwrap();
        let summary = verify(&repository, &case.host, verify::Level::Full, &Silent).unwrap();
        let before = self.acked.lock().unwrap();
        for (id, files) in before.iter().chain(&acked).chain(&case.acked) {
            let Some(snapshot) = repository.snapshots().iter().find(|snapshot| snapshot.id == *id) else {
                let missed = !summary.findings.is_empty() || known.open(store.clone(), &self.admin).is_err();
                assert!(missed, "{what}: {id} is gone, and nobody says so");
                continue;
            };
            let same = self.read(&repository, case, snapshot).is_ok_and(|read| read == *files);
            assert!(same || !summary.findings.is_empty(), "{what}: {id} is damaged, and verify is silent");
            let found = &summary.findings;
            assert!(same || !before.contains_key(id), "{what}: {id} was whole before, and is damaged: {found:?}");
        }
    }

    fn read(&self, repository: &Repository, case: &Case, snapshot: &Snapshot) -> Result<Files, Failure> {
        let reader: Arc<dyn ChunkSource> = Arc::new(case.host.reader(repository, &IndexClass::BOTH, 1 << 22)?);
        let tree = Tree::open(reader.clone(), snapshot.structure.root);
        let mut files = Files::new();
        for item in tree.walk(&entry_path(&self.source())) {
            let (path, entry) = item?;
            let mut bytes = Vec::new();
            if let EntryKind::File(content) = &entry.kind {
                for placed in ExtentReader::open(reader.clone(), content, entry.size) {
                    match placed?.extent {
                        Extent::Chunk { id, .. } => bytes.extend_from_slice(&reader.get(ChunkKind::Data, &id)?),
                        Extent::Hole { length } => bytes.resize(bytes.len() + length as usize, 0),
                    }
                }
                files.insert(path.to_bytes(), bytes);
            }
        }
        Ok(files)
    }
}

fn host(folder: &Path) -> Host {
    Host::new(&folder.join("state"), &folder.join("cache"), None, Arc::new(Silent))
}

fn entry_path(path: &Path) -> EntryPath {
    EntryPath::parse(path.as_os_str().as_bytes()).unwrap()
}

/// Copies a folder with all below it, if it is there.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).into_iter().flatten() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}
