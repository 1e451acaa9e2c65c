//! What was promised to whom, and whether it holds: every snapshot that stands reads as its source was, none that was acknowledged is
//! gone, and what was forgotten stays forgotten.

use super::workshop::{Bench, Files};
use crate::world::entry_path;
use boveda::event::Silent;
use boveda::repo::catalog::{ExtentReader, Tree};
use boveda::repo::chunks::ChunkSource;
use boveda::repo::entry::{EntryKind, Extent};
use boveda::repo::id::{ChunkKind, SnapshotId};
use boveda::repo::names::IndexClass;
use boveda::repo::repository::{Repository, Snapshot};
use boveda::store::memory::MemoryStore;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

/// Bytes of decoded segments that a check keeps.
const CACHE: usize = 4 << 20;

/// What somebody did about one snapshot, in the order in which it was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    /// It may be forgotten by now.
    MayGo,
    /// It is forgotten.
    Gone,
    /// It may be back by now.
    MayBeBack,
    /// It is back.
    Back,
}

#[derive(Default)]
struct Book {
    /// What each snapshot that was begun is of, by its tag.
    begun: BTreeMap<String, (PathBuf, Files)>,
    acknowledged: BTreeMap<SnapshotId, String>,
    wishes: BTreeMap<SnapshotId, Vec<Wish>>,
    /// What should not have happened.
    faults: Vec<String>,
    /// What happened how often.
    counts: BTreeMap<&'static str, u64>,
}

/// The book of promises of one seed.
#[derive(Default)]
pub struct Promises(Mutex<Book>);

impl Promises {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap()
    }

    /// A snapshot with this tag is taken of these files.
    pub fn begin(&self, tag: &str, bench: &Bench) {
        let of = (bench.source().to_owned(), bench.files());
        self.book().begun.insert(tag.to_owned(), of);
    }

    /// Its writer was told that it stands.
    pub fn acknowledged(&self, id: SnapshotId, tag: &str) {
        self.book().acknowledged.insert(id, tag.to_owned());
    }

    /// Somebody is about to forget these.
    pub fn may_go(&self, ids: &[SnapshotId]) {
        self.wish(ids, Wish::MayGo);
    }

    /// They were told that these are forgotten.
    pub fn gone(&self, ids: &[SnapshotId]) {
        self.wish(ids, Wish::Gone);
    }

    /// Somebody is about to bring these back.
    pub fn may_be_back(&self, ids: &[SnapshotId]) {
        self.wish(ids, Wish::MayBeBack);
    }

    /// They were told that these are back.
    pub fn back(&self, ids: &[SnapshotId]) {
        self.wish(ids, Wish::Back);
    }

    fn wish(&self, ids: &[SnapshotId], wish: Wish) {
        let mut book = self.book();
        ids.iter().for_each(|id| book.wishes.entry(*id).or_default().push(wish));
    }

    /// Whether anybody ever wished it to go.
    pub fn was_wished_away(&self, id: &SnapshotId) -> bool {
        self.book().wishes.contains_key(id)
    }

    /// Something happened that should not.
    pub fn fault(&self, what: String) {
        self.book().faults.push(what);
    }

    /// Something happened that the simulation is about.
    pub fn count(&self, what: &'static str, times: u64) {
        *self.book().counts.entry(what).or_default() += times;
    }

    /// How often what happened.
    pub fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.book().counts.clone()
    }

    /// What should not have happened.
    pub fn faults(&self) -> Vec<String> {
        self.book().faults.clone()
    }

    /// Whether `read` is what a snapshot of this tag has to hold.
    pub fn is_right(&self, snapshot: &Snapshot, read: &Files) -> bool {
        let book = self.book();
        let Some((_, files)) = snapshot.tags.first().and_then(|tag| book.begun.get(tag)) else { return false };
        match snapshot.is_complete() {
            true => read == files,
            // A partial one claims no more than it has, and that has to be right.
            false => read.iter().all(|(path, bytes)| files.get(path) == Some(bytes)),
        }
    }

    /// Looks at everything, as somebody who was never here before.
    pub fn check(&self, memory: &Arc<MemoryStore>, auditor: &Bench, when: &str) {
        if let Err(error) = self.look(memory, auditor, when) {
            self.fault(format!("{when}: the repository cannot be read: {error}"));
        }
    }

    fn look(&self, memory: &Arc<MemoryStore>, auditor: &Bench, when: &str) -> Result<(), Box<dyn std::error::Error>> {
        let repository = Repository::open(memory.clone(), &auditor.key, |_| None, Arc::new(Silent))?;
        self.check_presence(&repository, when);
        let reader: Arc<dyn ChunkSource> = Arc::new(auditor.host.reader(&repository, &IndexClass::BOTH, CACHE)?);
        for snapshot in repository.snapshots() {
            let name = || format!("{} {:?}", snapshot.id.short(), snapshot.tags);
            match self.read(&reader, snapshot) {
                Ok(files) if self.is_right(snapshot, &files) => {}
                Ok(_) => self.fault(format!("{when}: snapshot {} holds something else", name())),
                Err(error) => self.fault(format!("{when}: snapshot {} cannot be read: {error}", name())),
            }
        }
        Ok(())
    }

    fn check_presence(&self, repository: &Repository, when: &str) {
        let live: BTreeSet<SnapshotId> = repository.snapshots().iter().map(|snapshot| snapshot.id).collect();
        let forgotten: BTreeSet<SnapshotId> = repository.forgotten().iter().map(|one| one.snapshot.id).collect();
        let (acknowledged, wishes) = {
            let book = self.book();
            (book.acknowledged.clone(), book.wishes.clone())
        };
        for (id, tag) in acknowledged {
            let wishes = wishes.get(&id).map_or(&[][..], |wishes| wishes);
            let what = match (live.contains(&id), forgotten.contains(&id)) {
                (false, false) => "is lost",
                (false, true) if wishes.is_empty() => "was forgotten by nobody",
                (true, _) if wishes == [Wish::MayGo, Wish::Gone] => "was forgotten, and is shown",
                _ => continue,
            };
            self.fault(format!("{when}: snapshot {} [{tag}] {what}", id.short()));
        }
    }

    /// The files of a snapshot.
    pub fn read(
        &self,
        reader: &Arc<dyn ChunkSource>,
        snapshot: &Snapshot,
    ) -> Result<Files, Box<dyn std::error::Error>> {
        let source = snapshot.tags.first().and_then(|tag| self.book().begun.get(tag).map(|(source, _)| source.clone()));
        let tree = Tree::open(reader.clone(), snapshot.structure.root);
        let mut files = Files::new();
        for item in tree.walk(&entry_path(&source.ok_or("nobody took it")?)) {
            let (path, entry) = item?;
            let EntryKind::File(content) = &entry.kind else { continue };
            let mut bytes = Vec::new();
            for placed in ExtentReader::open(reader.clone(), content, entry.size) {
                match placed?.extent {
                    Extent::Chunk { id, .. } => bytes.extend_from_slice(&reader.get(ChunkKind::Data, &id)?),
                    Extent::Hole { length } => bytes.resize(bytes.len() + length as usize, 0),
                }
            }
            files.insert(path.to_bytes(), bytes);
        }
        Ok(files)
    }
}
