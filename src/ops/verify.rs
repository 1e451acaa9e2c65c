//! `verify`: proves that the repository holds what it promises, at a chosen depth, and names what it does not hold.
//!
//! Nothing is changed here, and one damaged object never ends the search for others.

use super::host::Host;
use crate::event::{Event, Progress, Sink, Stage};
use crate::repo::catalog::{self, Tree};
use crate::repo::chunk_index::ChunkIndex;
use crate::repo::chunks::{self, ChunkSource as _};
use crate::repo::entry::{Entry, Extent, XattrValue};
use crate::repo::id::{ChunkId, ChunkKind, PackId, SnapshotId};
use crate::repo::keys::role::Role;
use crate::repo::log::Note;
use crate::repo::names::{Copy, IndexClass, Name};
use crate::repo::pack;
use crate::repo::reader::{DEFAULT_CACHE, Reader};
use crate::repo::repository::{self, Indexes, Repository, Snapshot};
use crate::repo::session_view::Issue;
use crate::store::ErrorKind;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// Paths named for one snapshot at most: beyond that the number says enough.
const MOST_PATHS: usize = 1_000;

/// How deep to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Listings, sizes, chains.
    Quick,
    /// Also every catalog's skeleton, and that every chunk it needs has a place.
    Structure,
    /// Also every byte of every pack and every chunk.
    Full,
}

/// Something that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The object, or the chunk, concerned.
    pub object: String,
    /// What is wrong with it.
    pub what: String,
    /// Whether parity or a second copy still has what it should hold.
    pub healable: bool,
}

/// What a verification found.
#[derive(Debug, Clone)]
pub struct Summary {
    /// Snapshots looked at.
    pub snapshots: u64,
    /// Packs that the indexes name.
    pub packs: u64,
    /// Chunks that were read.
    pub chunks: u64,
    /// Bytes of packs that were read.
    pub bytes: u64,
    /// What is wrong; empty when all is well.
    pub findings: Vec<Finding>,
    /// The files that lose something, by snapshot: as many as are named.
    pub affected: BTreeSet<(SnapshotId, Vec<u8>)>,
    /// Seconds that it took.
    pub seconds: f64,
}

/// Verifies `repository` to `level`.
///
/// # Errors
/// When the role does not allow the level, the store fails, or somebody asked to stop. Damage is no error but a finding.
pub fn verify(
    repository: &Repository,
    host: &Host,
    level: Level,
    events: &dyn Sink,
) -> Result<Summary, repository::Error> {
    let (role, start) = (repository.bundle().role(), Instant::now());
    let allowed = match level {
        Level::Quick => true,
        Level::Structure => role != Role::Writer,
        Level::Full => role.reads_content(),
    };
    if !allowed {
        return Err(repository::Error::Role {
            role,
            action: "verifying to this level; --level quick is for everybody",
        });
    }
    let run = Run { repository, events, findings: Mutex::default(), bad: Mutex::default(), chunks: AtomicU64::new(0) };
    run.objects()?;
    let packs = run.packs()?;
    let reader = Arc::new(host.reader(repository, &IndexClass::BOTH, DEFAULT_CACHE)?);
    let mut bytes = 0;
    if level >= Level::Structure {
        run.skeletons(&reader)?;
    }
    if level == Level::Full {
        bytes = run.whole_packs(&packs)?;
        run.every_chunk(&reader)?;
    }
    let affected =
        if role.reads_content() && level >= Level::Structure { run.affected(&reader) } else { BTreeSet::new() };
    Ok(Summary {
        snapshots: repository.snapshots().len() as u64,
        packs: packs.len() as u64,
        chunks: run.chunks.into_inner(),
        bytes,
        findings: run.findings.into_inner().unwrap_or_else(PoisonError::into_inner),
        affected,
        seconds: start.elapsed().as_secs_f64(),
    })
}

/// One verification under way.
struct Run<'a> {
    repository: &'a Repository,
    events: &'a dyn Sink,
    findings: Mutex<Vec<Finding>>,
    /// Chunks that cannot be had.
    bad: Mutex<BTreeSet<(ChunkKind, ChunkId)>>,
    chunks: AtomicU64,
}

impl Run<'_> {
    fn find(&self, object: impl ToString, what: impl ToString, healable: bool) {
        let finding = Finding { object: object.to_string(), what: what.to_string(), healable };
        let mut findings = self.findings.lock().unwrap_or_else(PoisonError::into_inner);
        if !findings.contains(&finding) {
            let Finding { object, what, .. } = finding.clone();
            self.events.emit(Event::Damage { object, what, healed: healable });
            findings.push(finding);
        }
    }

    fn bad_chunk(&self, kind: ChunkKind, id: ChunkId, why: &chunks::Error) {
        if self.bad.lock().unwrap_or_else(PoisonError::into_inner).insert((kind, id)) {
            self.find(format!("{kind:?} chunk {id}"), why, false);
        }
    }

    /// Both copies of the config, the log, the sessions and their chains.
    fn objects(&self) -> Result<(), repository::Error> {
        for copy in Copy::BOTH {
            let name = Name::Config(copy);
            match self.repository.store().length(&name.object()) {
                Ok(_) => {}
                Err(error) if error.kind == ErrorKind::NotFound => self.find(name, "this copy is missing", true),
                Err(error) => return Err(error.into()),
            }
        }
        let log = self.repository.log();
        log.doubts.iter().for_each(|doubt| self.find(format!("log entry {}", doubt.position), doubt, false));
        for note in &log.notes {
            match note {
                Note::Healed { name, .. } => self.find(name, "some of its bytes are damaged", true),
                Note::FirstCopyLost(at) => self.find(Name::Log(*at, Copy::First), "this copy is lost", true),
                Note::SecondCopyMissing(at) => self.find(Name::Log(*at, Copy::Second), "this copy is missing", true),
                Note::Voided(_) => {}
            }
        }
        for issue in &self.repository.view().issues {
            self.issue(issue);
        }
        self.records();
        Ok(())
    }

    /// Every record opens as far as the role's keys go: one that does not is missing from all lists.
    fn records(&self) {
        let reads = self.repository.bundle().role().reads_content();
        for live in self.repository.view().live() {
            let id = live.record.id();
            match self.repository.snapshots().iter().find(|snapshot| snapshot.id == id) {
                None => self.find(format!("record of snapshot {id}"), "what it describes cannot be opened", false),
                Some(snapshot) if reads && snapshot.private.is_none() => {
                    self.find(format!("record of snapshot {id}"), "its private part cannot be opened", false);
                }
                Some(_) => {}
            }
        }
    }

    fn issue(&self, issue: &Issue) {
        match issue {
            Issue::NoOpening(session, _) => {
                self.find(Name::Open(*session), "it is lost; what the session committed counts", true)
            }
            Issue::BadEnd(session, flaw) => self.find(Name::End(*session), flaw, false),
            Issue::BadRecord(id, flaw) => self.find(format!("record of snapshot {id}"), flaw, false),
            Issue::Gap { writer, missing, after } => {
                self.find(
                    format!("snapshot {missing}"),
                    format!("it is gone from the chain of writer {writer}, before {after}"),
                    false,
                );
            }
            Issue::Fork { writer, records } => {
                let what = format!("{} snapshots follow the same one: was this machine cloned?", records.len());
                self.find(format!("writer {writer}"), what, false);
            }
            Issue::Misnumbered(id) => self.find(format!("snapshot {id}"), "it miscounts its chain", false),
            Issue::Claimed { writer, .. } => {
                self.find(format!("writer {writer}"), "several principals claim it", false)
            }
            // Decided, and so no damage.
            Issue::Revoked(_) | Issue::Void(_) => {}
        }
    }

    /// Every pack that an index names exists, in the length that it says.
    fn packs(&self) -> Result<BTreeMap<PackId, u64>, repository::Error> {
        let indexes = Indexes::load(self.repository, &IndexClass::BOTH)?;
        indexes.problems.iter().for_each(|problem| self.find(problem.name, &problem.reason, true));
        let stored = self.repository.list_packs()?;
        let named: BTreeMap<PackId, u64> = indexes.chunks.packs().iter().map(|pack| (pack.id, pack.length)).collect();
        for (id, length) in &named {
            match stored.get(id) {
                None => self.find(Name::Pack(*id), "it is missing", false),
                Some(found) if found != length => {
                    self.find(Name::Pack(*id), format!("it has {found} bytes instead of {length}"), false);
                }
                Some(_) => {}
            }
        }
        Ok(named)
    }

    /// Every skeleton of every snapshot, and that everything it refers to has a place.
    fn skeletons(&self, reader: &Reader) -> Result<(), repository::Error> {
        let mut seen = BTreeSet::new();
        let roots = self.repository.snapshots().iter().map(|snapshot| snapshot.structure.root);
        let mut pending: Vec<ChunkId> = roots.collect();
        while let Some(id) = pending.pop() {
            if !seen.insert(id) {
                continue;
            }
            self.chunks.fetch_add(1, Ordering::Relaxed);
            let bytes = match reader.get(ChunkKind::Skeleton, &id) {
                Ok(bytes) => bytes,
                Err(error @ chunks::Error::Store(_)) => return Err(error.into()),
                Err(error) => {
                    self.bad_chunk(ChunkKind::Skeleton, id, &error);
                    continue;
                }
            };
            match catalog::references(&bytes) {
                Ok(references) => {
                    self.has_place(reader.index(), ChunkKind::Payload, references.payload);
                    references.data.iter().for_each(|data| self.has_place(reader.index(), ChunkKind::Data, *data));
                    pending.extend(references.children);
                }
                Err(error) => self.find(format!("Skeleton chunk {id}"), error, false),
            }
        }
        Ok(())
    }

    fn has_place(&self, index: &ChunkIndex, kind: ChunkKind, id: ChunkId) {
        if !index.has(kind, &id) {
            self.bad_chunk(kind, id, &chunks::Error::Unknown { kind, id });
        }
    }

    /// The SHA-256 of every pack. Returns the bytes read.
    fn whole_packs(&self, packs: &BTreeMap<PackId, u64>) -> Result<u64, repository::Error> {
        let bytes_total = packs.values().sum();
        let mut progress = Progress { bytes_total, ..Progress::default() };
        for (id, length) in packs {
            let name = Name::Pack(*id);
            match self.repository.store().get(&name.object()) {
                Ok(stored) if pack::is_intact(id, &stored) => {}
                Ok(stored) => match pack::heal(id, &stored) {
                    Ok(_) => self.find(name, "some of its bytes are damaged; its parity has them", true),
                    Err(error) => self.find(name, error, false),
                },
                Err(error) if error.kind == ErrorKind::NotFound => self.find(name, "it is missing", false),
                Err(error) => return Err(error.into()),
            }
            progress.bytes += length;
            self.events.emit(Event::Progress(Stage::Verify, progress));
        }
        Ok(progress.bytes)
    }

    /// Opens every segment and checks every chunk of it, on all cores.
    fn every_chunk(&self, reader: &Reader) -> Result<(), repository::Error> {
        let segments: Vec<_> = reader.index().segments().map(|(_, segment)| Arc::clone(segment)).collect();
        let next = AtomicUsize::new(0);
        let work = || -> Result<(), repository::Error> {
            while let Some(segment) = segments.get(next.fetch_add(1, Ordering::Relaxed)) {
                for id in &segment.ids {
                    self.chunks.fetch_add(1, Ordering::Relaxed);
                    match reader.get(segment.kind, id) {
                        Ok(_) => {}
                        Err(error @ chunks::Error::Store(_)) => return Err(error.into()),
                        Err(error) => self.bad_chunk(segment.kind, *id, &error),
                    }
                }
            }
            Ok(())
        };
        let threads = std::thread::available_parallelism().map_or(2, usize::from);
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            workers.into_iter().try_for_each(|worker| worker.join().expect("verifying does not panic"))
        })
    }

    /// The files that need a chunk which cannot be had, and the parts of catalogs that cannot be read.
    fn affected(&self, reader: &Arc<Reader>) -> BTreeSet<(SnapshotId, Vec<u8>)> {
        let mut affected = BTreeSet::new();
        let bad = self.bad.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for snapshot in self.repository.snapshots().iter().filter(|_| !bad.is_empty()) {
            self.affected_in(snapshot, reader, &bad, &mut affected);
        }
        affected
    }

    fn affected_in(
        &self,
        snapshot: &Snapshot,
        reader: &Arc<Reader>,
        bad: &BTreeSet<(ChunkKind, ChunkId)>,
        affected: &mut BTreeSet<(SnapshotId, Vec<u8>)>,
    ) {
        let source: Arc<dyn chunks::ChunkSource> = Arc::<Reader>::clone(reader);
        let tree = Tree::open(source, snapshot.structure.root);
        let mut named = 0;
        for item in tree.walk(&crate::repo::entry::EntryPath::default()) {
            match item {
                Ok((path, entry)) if named < MOST_PATHS && needs(&tree, &entry, bad) => {
                    named += 1;
                    let path = path.to_bytes();
                    let error = format!("it needs damaged parts of the repository (snapshot {})", snapshot.id.short());
                    self.events.emit(Event::Problem { path: path.clone(), during: "verifying", error });
                    affected.insert((snapshot.id, path));
                }
                Ok(_) => {}
                Err(error) => self.find(format!("catalog of snapshot {}", snapshot.id), error, false),
            }
        }
    }
}

/// Whether the entry's content or attributes need a bad chunk.
fn needs(tree: &Tree, entry: &Entry, bad: &BTreeSet<(ChunkKind, ChunkId)>) -> bool {
    let is_bad = |id: &ChunkId| bad.contains(&(ChunkKind::Data, *id));
    let values = entry.xattrs.iter().any(|(_, value)| match value {
        XattrValue::Inline(_) => false,
        XattrValue::Chunks(chunks) => chunks.iter().any(|(id, _)| is_bad(id)),
    });
    let file = matches!(entry.kind, crate::repo::entry::EntryKind::File(_));
    values
        || (file
            && tree.extents(entry).is_some_and(|mut extents| {
                extents.any(|placed| match placed {
                    Ok(placed) => matches!(placed.extent, Extent::Chunk { ref id, .. } if is_bad(id)),
                    Err(_) => true,
                })
            }))
}
