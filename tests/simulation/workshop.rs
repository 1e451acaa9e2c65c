//! What all seeds of one thread begin with: a repository in memory with its people, their hosts, and sources whose states are made
//! beforehand.

use super::dice::Dice;
use crate::world::{self, World, noise};
use boveda::event::Silent;
use boveda::ops::host::Host;
use boveda::ops::snapshot::{Delta, Options, snapshot};
use boveda::repo::keys::credential::Credential;
use boveda::repo::keys::role::Role;
use boveda::store::Store;
use boveda::store::memory::MemoryStore;
use boveda::system::simulated;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::{Duration, UNIX_EPOCH};
use tempfile::TempDir;

/// Files by their paths.
pub type Files = BTreeMap<Vec<u8>, Vec<u8>>;

/// Folders of a source, and the states of each.
const FOLDERS: [&str; 3] = ["a", "b", "c"];
const STATES: u64 = 3;
/// When everything begins, by everybody's clock: 2027-01-15.
pub const BEGINNING: i64 = 1_800_000_000;
/// The age of a source's files then, so that their stamps are believed.
const SETTLED: u64 = 1_000_000;

/// Who takes part: everybody has a host of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// The admin, who takes snapshots and prunes.
    Admin,
    /// The admin's keys on another host.
    SecondAdmin,
    /// Somebody who only adds.
    Laptop,
    /// Who maintains, and reads nothing.
    Maintainer,
    /// Who only reads.
    Reader,
}

impl Who {
    pub const ALL: [Self; 5] = [Self::Admin, Self::SecondAdmin, Self::Laptop, Self::Maintainer, Self::Reader];

    /// Whether they take snapshots.
    pub const fn writes(self) -> bool {
        matches!(self, Self::Admin | Self::SecondAdmin | Self::Laptop)
    }

    fn name(self) -> String {
        format!("{self:?}").to_lowercase()
    }
}

/// The beginning of every seed.
pub struct Workshop {
    folder: PathBuf,
    /// That no other process works there.
    _mine: File,
    store: Arc<MemoryStore>,
    keys: BTreeMap<Who, Credential>,
}

/// One client's place: its host, its key, its source.
pub struct Bench {
    pub who: Who,
    pub host: Host,
    pub key: Credential,
    folder: PathBuf,
    source: PathBuf,
    /// Which state each of the source's folders is in.
    states: [u64; 3],
}

impl Workshop {
    /// Founds the repository, and takes a snapshot of every source. Paths are in snapshots, so that all is the same only in the same
    /// `place`.
    pub fn new(place: u64) -> Self {
        let _here = simulated::enter(&[0; 32], Arc::new(AtomicI64::new(BEGINNING)));
        // Nothing of it has to survive anything.
        let memory = Path::new("/dev/shm");
        let all = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() }.join("boveda-simulation");
        std::fs::create_dir_all(&all).unwrap();
        let (folder, mine) = (all.join(place.to_string()), File::create(all.join(format!("{place}.lock"))).unwrap());
        mine.lock().unwrap();
        if folder.exists() {
            std::fs::remove_dir_all(&folder).unwrap();
        }
        std::fs::create_dir_all(&folder).unwrap();
        let world = World::new();
        let mut keys = BTreeMap::from([(Who::Admin, world.admin.clone()), (Who::SecondAdmin, world.admin.clone())]);
        for (who, role) in
            [(Who::Laptop, Role::Writer), (Who::Maintainer, Role::Maintainer), (Who::Reader, Role::Reader)]
        {
            keys.insert(who, world.add(role, &who.name()).key);
        }
        let workshop = Self { folder, _mine: mine, store: world.store.clone(), keys };
        workshop.make_sources();
        for who in Who::ALL {
            let bench = workshop.bench(who, &workshop.folder.join("before"));
            let store: Arc<dyn Store> = workshop.store.clone();
            let mut repository = bench.host.open(store, &bench.key).unwrap();
            if who.writes() {
                let writer = bench.host.writer(&repository).unwrap();
                let options = bench.options(&bench.first_tag(), Dice::new(0, 0));
                snapshot(&mut repository, writer.writer, &options, &Silent).unwrap();
            }
        }
        workshop
    }

    fn make_sources(&self) {
        for (number, who) in (0..).zip(Who::ALL.into_iter().filter(|who| who.writes())) {
            for (place, folder) in (0..).zip(FOLDERS) {
                for state in 0..STATES {
                    let path = if state == 0 { self.source(who) } else { self.spare(who, state) }.join(folder);
                    std::fs::create_dir_all(&path).unwrap();
                    // One that nobody else has, one that others have too, one that is nearly the same as in the state before.
                    let own = noise(1_000 + number * 100 + place * 10 + state, 4_000);
                    let common = noise(place * 10 + state, 6_000 + 1_000 * place as usize);
                    let similar = [noise(place, 3_000), vec![state as u8; 100]].concat();
                    for (name, bytes) in [("own", own), ("common", common), ("similar", similar)] {
                        let mut file = File::create(path.join(name)).unwrap();
                        file.write_all(&bytes).unwrap();
                        // The states of a file differ in it.
                        file.set_modified(UNIX_EPOCH + Duration::from_secs(BEGINNING as u64 - SETTLED + state))
                            .unwrap();
                    }
                }
            }
        }
    }

    fn source(&self, who: Who) -> PathBuf {
        self.folder.join("sources").join(who.name())
    }

    fn spare(&self, who: Who, state: u64) -> PathBuf {
        self.folder.join("spare").join(who.name()).join(state.to_string())
    }

    /// A store that holds what all begin with.
    pub fn store(&self) -> Arc<MemoryStore> {
        Arc::new(self.store.fork())
    }

    /// The hosts of one seed, as they were at the beginning.
    pub fn hosts(&self) -> TempDir {
        let folder = tempfile::Builder::new().prefix("hosts").rand_bytes(0).tempdir_in(&self.folder).unwrap();
        copy(&self.folder.join("before"), folder.path());
        folder
    }

    /// Somebody's place among these hosts.
    pub fn bench(&self, who: Who, hosts: &Path) -> Bench {
        let folder = hosts.join(who.name());
        let host = Host::new(&folder.join("state"), &folder.join("cache"), None, Arc::new(Silent));
        let (key, source) = (self.keys[&who].clone(), self.source(who));
        Bench { who, host, key, folder, source, states: [0; 3] }
    }

    /// A host that was never here, with the admin's key.
    pub fn auditor(&self, hosts: &Path) -> Bench {
        let folder = hosts.join("auditor");
        let host = Host::new(&folder.join("state"), &folder.join("cache"), None, Arc::new(Silent));
        let key = self.keys[&Who::Admin].clone();
        Bench { who: Who::Admin, host, key, source: folder.join("nothing"), folder, states: [0; 3] }
    }

    /// Brings one folder of a source into another state. Its files keep their stamps: only the folder is renamed.
    pub fn change(&self, bench: &mut Bench, place: usize, state: u64) {
        let (now, folder) = (bench.states[place], FOLDERS[place]);
        if now == state || !bench.who.writes() {
            return;
        }
        let here = self.source(bench.who).join(folder);
        // The first state has no spare place before it is moved away.
        let away = self.spare(bench.who, now);
        std::fs::create_dir_all(&away).unwrap();
        std::fs::rename(&here, away.join(folder)).unwrap();
        std::fs::rename(self.spare(bench.who, state).join(folder), &here).unwrap();
        bench.states[place] = state;
    }

    /// Some of its folders change.
    pub fn change_some(&self, bench: &mut Bench, dice: &mut Dice) {
        for place in 0..FOLDERS.len() {
            if dice.once_in(2) {
                self.change(bench, place, dice.roll(STATES));
            }
        }
    }

    /// As it was at the beginning.
    pub fn restore_source(&self, bench: &mut Bench) {
        (0..FOLDERS.len()).for_each(|place| self.change(bench, place, 0));
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Bench {
    /// How a snapshot is taken: its tag tells which it was.
    pub fn options(&self, tag: &str, mut dice: Dice) -> Options {
        let mut options = Options {
            roots: vec![world::entry_path(&self.source)],
            host: self.who.name(),
            user: "somebody".to_owned(),
            tags: vec![tag.to_owned()],
            threads: 1,
            delta: Delta::Off,
            cache: Some(self.folder.join("cache")),
            full: dice.once_in(5),
            ..Options::default()
        };
        if dice.once_in(3) {
            options.partial.bytes = 9_000;
        }
        options
    }

    /// The tag of this host's first snapshot.
    pub fn first_tag(&self) -> String {
        format!("before {:?}", self.who).to_lowercase()
    }

    /// The folder that it takes snapshots of.
    pub fn source(&self) -> &Path {
        &self.source
    }

    /// What the source holds now.
    pub fn files(&self) -> Files {
        read(&self.source)
    }
}

fn read(source: &Path) -> Files {
    let mut files = Files::new();
    for folder in FOLDERS {
        for entry in std::fs::read_dir(source.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            files.insert(path.as_os_str().as_bytes().to_vec(), std::fs::read(&path).unwrap());
        }
    }
    files
}

/// Copies a folder with all below it.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}
