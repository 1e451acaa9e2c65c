//! Real files in, the same entries and bytes out, over a real folder.

mod condemned;
mod delta_faults;
mod deltas;
mod parents;
mod partials;
mod trails;

use super::*;
use crate::crypto::aead::Suite;
use crate::crypto::secret::Secret;
use crate::event::Silent;
use crate::ops::host::Host;
use crate::repo::catalog::{ExtentReader, Tree};
use crate::repo::chunks::ChunkSource;
use crate::repo::entry::{EntryKind, EntryPath};
use crate::repo::keys::credential::Credential;
use crate::repo::names::IndexClass;
use crate::repo::repository::{Snapshot, found};
use crate::source::pace::Pacing;
use crate::store::Store;
use crate::store::memory::MemoryStore;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// Files by their paths.
type Files = BTreeMap<String, Vec<u8>>;

struct World {
    folder: tempfile::TempDir,
    store: Arc<MemoryStore>,
    credential: Credential,
    host: Host,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(MemoryStore::default());
        let credential = Credential::RawKey(Secret::generate());
        found(&*store, Suite::Aes256Gcm, &credential, &Secret::generate(), "admin").unwrap();
        let host = Host::new(&folder.path().join("state"), &folder.path().join("cache"), None, Arc::new(Silent));
        std::fs::create_dir(folder.path().join("source")).unwrap();
        Self { folder, store, credential, host }
    }

    fn source(&self) -> std::path::PathBuf {
        self.folder.path().join("source")
    }

    fn options(&self) -> Options {
        use std::os::unix::ffi::OsStrExt as _;
        Options {
            roots: vec![EntryPath::parse(self.source().as_os_str().as_bytes()).unwrap()],
            host: "host".to_owned(),
            user: "user".to_owned(),
            threads: 2,
            cache: Some(self.host.cache_folder().to_owned()),
            ..Options::default()
        }
    }

    fn snapshot(&self, options: &Options) -> Summary {
        let mut repository = self.host.open(self.store.clone(), &self.credential).unwrap();
        let writer = self.host.writer(&repository).unwrap();
        snapshot(&mut repository, writer.writer, options, &Silent).unwrap()
    }

    fn open(&self) -> Repository {
        self.host.open(self.store.clone(), &self.credential).unwrap()
    }

    /// Every file below the source as the newest complete snapshot has it.
    fn files(&self) -> Files {
        let repository = self.open();
        let newest = repository.snapshots().iter().rfind(|snapshot| snapshot.is_complete()).unwrap();
        self.files_of(&repository, newest)
    }

    /// Every file below the source as a snapshot has it.
    fn files_of(&self, repository: &Repository, snapshot: &Snapshot) -> Files {
        let reader: Arc<dyn ChunkSource> = Arc::new(self.host.reader(repository, &IndexClass::BOTH, 1 << 24).unwrap());
        let tree = Tree::open(reader.clone(), snapshot.structure.root);
        let mut files = BTreeMap::new();
        for item in tree.walk(&self.options().roots[0]) {
            let (path, entry) = item.unwrap();
            if let EntryKind::File(content) = &entry.kind {
                let mut bytes = Vec::new();
                for placed in ExtentReader::open(reader.clone(), content, entry.size) {
                    match placed.unwrap().extent {
                        crate::repo::entry::Extent::Chunk { id, .. } => {
                            bytes.extend_from_slice(&reader.get(crate::repo::id::ChunkKind::Data, &id).unwrap());
                        }
                        crate::repo::entry::Extent::Hole { length } => bytes.resize(bytes.len() + length as usize, 0),
                    }
                }
                files.insert(String::from_utf8(path.to_bytes()).unwrap(), bytes);
            }
        }
        files
    }
}

fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

fn fill(source: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for n in 0..40_usize {
        let folder = source.join(format!("folder{}", n % 5));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join(format!("file{n}"));
        let bytes = noise([0, 1, 70_000, 3_000_000, 9_000_000][n % 5] / (1 + n / 5), n as u64);
        std::fs::write(&path, &bytes).unwrap();
        files.insert(path.to_str().unwrap().to_owned(), bytes);
    }
    files
}

/// Lets every stamp grow old enough to be believed.
fn settle() {
    std::thread::sleep(std::time::Duration::from_millis(3_100));
}

/// Asks to stop as soon as something is said.
#[derive(Default)]
struct StopWhenTold(std::sync::Mutex<Vec<String>>);

impl Sink for StopWhenTold {
    fn emit(&self, event: Event) {
        if let Event::Message(Level::Info, text) = event {
            self.0.lock().unwrap().push(text);
        }
    }

    fn stopping(&self) -> bool {
        !self.0.lock().unwrap().is_empty()
    }
}

#[test]
fn on_battery_a_run_waits_and_still_stops() {
    let world = World::new();
    fill(&world.source());
    let battery = world.folder.path().join("supplies/BAT0");
    std::fs::create_dir_all(&battery).unwrap();
    std::fs::write(battery.join("type"), "Battery").unwrap();
    std::fs::write(battery.join("status"), "Discharging").unwrap();
    let supplies = crate::source::battery::Supplies::of(world.folder.path().join("supplies"));
    let options =
        |pause_on_battery| Options { pacing: Pacing { pause_on_battery, ..Pacing::default() }, ..world.options() };
    let sink = StopWhenTold::default();
    let mut repository = world.host.open(world.store.clone(), &world.credential).unwrap();
    let writer = world.host.writer(&repository).unwrap();
    let stopped = snapshot(&mut repository, writer.writer, &options(Some(supplies.clone())), &sink);
    assert!(matches!(stopped, Err(Error::Stopped)), "{stopped:?}");
    let said = sink.0.into_inner().unwrap();
    assert!(said[0].contains("battery") && said.len() == 1, "{said:?}");
    drop(writer);
    std::fs::write(battery.join("status"), "Charging").unwrap();
    assert!(world.snapshot(&options(Some(supplies))).snapshot.is_some());
}

#[test]
fn what_went_in_comes_out_and_only_changes_go_in_again() {
    let world = World::new();
    let mut files = fill(&world.source());
    settle();
    let first = world.snapshot(&world.options());
    assert_eq!((first.counts.files_new, first.problems, first.full), (40, 0, true));
    assert_eq!(world.files(), files);

    let again = world.snapshot(&world.options());
    assert_eq!((again.counts.files_unmodified, again.counts.files()), (40, 40));
    // The catalog may differ: the folder for temporary files lies above every source here, and others move its times.
    assert_eq!((again.data_chunks_added, again.full), (0, false));
    assert_eq!(again.parent, first.snapshot);

    let (path, bytes) = files.iter_mut().find(|(_, bytes)| bytes.len() > 1_000_000).unwrap();
    bytes[500_000] ^= 1;
    std::fs::write(path, bytes).unwrap();
    let changed = world.snapshot(&world.options());
    assert_eq!((changed.counts.files_changed, changed.counts.files_unmodified), (1, 39));
    assert!(changed.bytes_added < 700_000, "{} bytes for one byte", changed.bytes_added);
    assert_eq!(world.files(), files);

    let full = world.snapshot(&Options { full: true, ..world.options() });
    assert_eq!((full.data_chunks_added, full.full), (0, true));
    assert_eq!(world.files(), files);
}

#[test]
fn a_dry_run_leaves_no_trace() {
    let world = World::new();
    fill(&world.source());
    let before = world.store.list("").unwrap();
    let summary = world.snapshot(&Options { dry_run: true, ..world.options() });
    assert_eq!((summary.snapshot, summary.counts.files_new), (None, 40));
    assert!(summary.bytes_added > 0);
    assert_eq!(world.store.list("").unwrap(), before);
}
