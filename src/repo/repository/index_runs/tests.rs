//! Damage that is met only while a run is read.

use super::*;
use crate::crypto::aead::Suite;
use crate::crypto::secret::Secret;
use crate::repo::effort::Effort;
use crate::repo::entry::Timestamp;
use crate::repo::id::{ChunkId, ChunkKind, WriterId};
use crate::repo::keys::credential::Credential;
use crate::repo::pack::PackSize;
use crate::repo::record::{Completeness, Private, SnapshotKind, SourceKind, Structure, Tokens};
use crate::repo::repository::found;
use crate::repo::wire::Extensions;
use crate::store::memory::MemoryStore;
use std::path::Path;
use std::sync::Mutex;
use tempfile::TempDir;

/// Keeps warnings.
#[derive(Default)]
struct Warnings(Mutex<Vec<String>>);

impl crate::event::Sink for Warnings {
    fn emit(&self, event: Event) {
        if let Event::Message(Level::Warning, text) = event {
            self.0.lock().unwrap().push(text);
        }
    }
}

/// A session that stores one chunk, and commits as if it were a catalog.
fn store(repository: &mut Repository, bytes: &[u8]) {
    let tokens = Tokens::of(repository.bundle().structure_key(), "host", &[], &[]);
    let session = repository.begin(WriterId([7; 16]), false).unwrap();
    let writer = session.pack_writer(Effort::default(), PackSize::default());
    let mut lane = writer.lane();
    lane.put(ChunkKind::Data, bytes).unwrap();
    lane.flush().unwrap();
    drop(lane);
    let (packs, _) = writer.finish().unwrap();
    let structure = Structure {
        root: ChunkId([1; 32]),
        entries: 1,
        bytes: 0,
        source: SourceKind::FILES,
        kind: SnapshotKind::Full,
        completeness: Completeness::Complete,
        tokens,
        time: Timestamp::now(),
        heads: [0; 32],
        parent: None,
        extensions: Extensions::default(),
    };
    session.commit(&packs, &structure, &Private::default()).unwrap();
}

/// The files of runs of data.
fn files(folder: &Path) -> Vec<PathBuf> {
    let all = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    all.filter(|path| path.file_name().unwrap().as_encoded_bytes().starts_with(b"chunks-d-")).collect()
}

/// Too large a run is not proven whole when it is opened.
#[test]
fn damage_that_is_met_on_the_way_is_made_good_at_once() {
    let (place, key) = (Arc::new(MemoryStore::new()), Credential::RawKey(Secret::generate()));
    found(&*place, Suite::Aes256Gcm, &key, &Secret::generate(), "admin").unwrap();
    let (folder, warnings) = (TempDir::new().unwrap(), Arc::new(Warnings::default()));
    let open = || {
        let mut repository = Repository::open(place.clone(), &key, |_| None, warnings.clone()).unwrap();
        repository.keep_runs_in(folder.path().to_owned());
        repository.runs = repository.runs.take().map(|runs| runs.proving_at_once(0));
        repository
    };
    let named = |repository: &Repository| {
        Indexes::load(repository, &[IndexClass::Data]).unwrap().chunks.segments().map(Result::unwrap).count()
    };
    store(&mut open(), b"one");
    assert_eq!((named(&open()), files(folder.path()).len()), (1, 1));
    // Of the ids, which are looked at when the next run takes this one in.
    let damaged = files(folder.path()).remove(0);
    let mut bytes = std::fs::read(&damaged).unwrap();
    bytes[0] ^= 1;
    std::fs::write(&damaged, bytes).unwrap();
    let mut elsewhere = Repository::open(place.clone(), &key, |_| None, warnings.clone()).unwrap();
    store(&mut elsewhere, b"two");
    assert_eq!(named(&open()), 2);
    assert!(matches!(&warnings.0.lock().unwrap()[..], [told] if told.contains("is damaged; it is made anew")));
    let [made] = &files(folder.path())[..] else { panic!("one run") };
    assert_ne!(*made, damaged);
    // Nothing is fetched any more.
    for listed in crate::store::Store::list(&*place, "idx").unwrap() {
        crate::store::Store::delete(&*place, &listed.name).unwrap();
    }
    assert_eq!((named(&open()), warnings.0.lock().unwrap().len()), (2, 1));
}
