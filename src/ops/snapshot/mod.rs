//! `snapshot`: from real files to a committed snapshot.
//!
//! One thread walks and compares with the last snapshot's cache, workers read and cut files, one assembler writes the catalog
//! in order, one thread makes packs. Whatever dies on the way, nothing counts before the session's `end` is in the store.

mod assembler;
mod batch;
mod gate;
mod planner;
mod slab;
mod special;
mod stage;
pub mod stream;
mod summary;
#[cfg(test)]
mod tests;
mod worker;

pub use summary::{Counts, Summary};

use crate::crypto::hash;
use crate::event::{Event, Level, Sink};
use crate::repo::catalog::TreeWriter;
use crate::repo::catalog::{self, CatalogKeys};
use crate::repo::chunks;
use crate::repo::entry::{EntryPath, Timestamp};
use crate::repo::id::WriterId;
use crate::repo::record::{Completeness, Private, SnapshotKind, SourceKind, Statistics, Structure, Tokens};
use crate::repo::repository::{self, Repository, Snapshot, WriteSession};
use crate::repo::segment::Compression;
use crate::repo::wire::Extensions;
use crate::repo::writer::{Figures, PackWriter, SharedLane};
use crate::source::Problem;
use crate::source::files::attributes::read_directory;
use crate::source::files::owners::Owners;
use crate::source::files::rules::Rules;
use crate::source::files::stat::StampOptions;
use crate::source::files::walk::{self, Directory, Walk};
use crate::state::changes::{Binding, CacheReader, CacheWriter, ChangeCache};
use assembler::{Assembled, Assembler};
use gate::Gate;
use planner::Planner;
use stage::Stage;
use std::path::PathBuf;
use worker::Worker;

/// Entries that may be between the walk and the catalog.
const IN_FLIGHT: usize = 32 * 1024;
/// Batches that may wait for a worker.
const WAITING: usize = 64;

/// What to take a snapshot of, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// Absolute paths.
    pub roots: Vec<EntryPath>,
    /// The host that the snapshot shows.
    pub host: String,
    /// The user who takes it.
    pub user: String,
    /// Tags.
    pub tags: Vec<String>,
    /// The time that the snapshot shows, if not now.
    pub time: Option<Timestamp>,
    /// What to leave out.
    pub excludes: Rules,
    /// Stay on the roots' file systems.
    pub one_file_system: bool,
    /// Store what named pipes and block devices give to a reader, as files.
    pub read_special: bool,
    /// Read every byte again.
    pub full: bool,
    /// Write nothing, say what would be written.
    pub dry_run: bool,
    /// Parts of a file's stamp that do not count.
    pub stamp: StampOptions,
    /// How segments are compressed.
    pub compression: Compression,
    /// Threads that read, hash, compress and seal; 0: as many as there are cores.
    pub threads: usize,
    /// Where the change cache is kept; `None`: nowhere, so that every file is read.
    pub cache: Option<PathBuf>,
    /// Device and inode of directories that are never entered: the repository's own.
    pub skip: Vec<(u64, u64)>,
}

/// Why no snapshot was taken.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The repository.
    #[error(transparent)]
    Repository(#[from] repository::Error),
    /// None of the paths asked for can be found.
    #[error("{0}")]
    Source(Problem),
    /// A catalog page could not be written.
    #[error(transparent)]
    Catalog(#[from] catalog::Error),
    /// A chunk could not be written.
    #[error(transparent)]
    Chunk(#[from] chunks::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] crate::store::Error),
    /// Standard input or a command's output cannot be relied on.
    #[error(transparent)]
    Stream(#[from] crate::source::stream::Error),
    /// Somebody asked to stop; what was uploaded is used by the next run.
    #[error("interrupted; what was stored so far will be used by the next snapshot")]
    Stopped,
}

/// Takes a snapshot as `writer`, whose lock the caller holds.
///
/// # Errors
/// When nothing was committed. Entries that could not be read are no error but counted in the summary's `problems`.
pub fn snapshot(
    repository: &mut Repository,
    writer: WriterId,
    options: &Options,
    events: &dyn Sink,
) -> Result<Summary, Error> {
    let started = std::time::Instant::now();
    let clock = Timestamp::now();
    let session = repository.begin(writer, options.dry_run)?;
    let tokens =
        Tokens::of(session.repository().bundle().structure_key(), &options.host, &options.root_bytes(), &options.tags);
    let parent = session.parent(&tokens).cloned();
    let run = Run { options, events, session: &session, clock, tokens, parent: parent.as_ref() };
    match run.read() {
        Ok(read) => {
            let full = read.assembled.reused == 0;
            let mut summary = run.summary(&read, full);
            if !options.dry_run {
                let (structure, private) = run.record(&read, full);
                let id = session.commit(&read.packs, &structure, &private)?;
                summary.snapshot = Some(id);
                finish_cache(read.assembled.cache, &id, events);
            }
            summary.seconds = started.elapsed().as_secs_f64();
            Ok(summary)
        }
        Err(error) => {
            session.abort(&error.to_string());
            Err(error)
        }
    }
}

/// The cache only saves time, so that its failure is no failure of the run.
fn finish_cache(cache: Option<CacheWriter>, id: &crate::repo::id::SnapshotId, events: &dyn Sink) {
    if let Some(Err(error)) = cache.map(|cache| cache.finish(id)) {
        let text = format!("the change cache was not kept, the next run reads every file: {error}");
        events.emit(Event::Message(Level::Warning, text));
    }
}

impl Options {
    /// What of them the walk goes by.
    pub fn walk(&self) -> walk::Options {
        walk::Options {
            roots: self.roots.clone(),
            rules: self.excludes.clone(),
            one_file_system: self.one_file_system,
            skip: self.skip.clone(),
            read_special: self.read_special,
            tell: false,
            towards: None,
        }
    }

    fn root_bytes(&self) -> Vec<Vec<u8>> {
        self.roots.iter().map(EntryPath::to_bytes).collect()
    }

    fn threads(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(2, usize::from),
            threads => threads,
        }
    }
}

/// What a change cache calls its source: one host's set of paths.
fn source_id(tokens: &Tokens) -> [u8; 32] {
    hash::blake3(&[&tokens.host.0[..], &tokens.paths.0].concat())
}

/// One run.
struct Run<'a> {
    options: &'a Options,
    events: &'a dyn Sink,
    session: &'a WriteSession<'a>,
    clock: Timestamp,
    tokens: Tokens,
    parent: Option<&'a Snapshot>,
}

/// Where the walk's batches go.
struct Outlets<'a> {
    /// Holds the walk back when too much is under way.
    gate: &'a Gate,
    /// To the workers.
    batches: crossbeam_channel::Sender<batch::Batch>,
    /// To the assembler, when there is nothing to read.
    filled: crossbeam_channel::Sender<batch::FilledBatch>,
    /// Where problems are reported.
    stage: &'a Stage<'a>,
}

/// What reading the source gave.
struct ReadSource {
    assembled: Assembled,
    packs: Vec<crate::repo::pack::PackSummary>,
    figures: Figures,
    problems: u64,
}

impl Run<'_> {
    fn read(&self) -> Result<ReadSource, Error> {
        let bundle = self.session.repository().bundle();
        let id_key = bundle.id_key().expect("a session is begun with a writer's keys only");
        let catalog_keys = CatalogKeys::derive(id_key);
        let writer = self.session.pack_writer(self.options.compression);
        let pages = SharedLane::new(writer.lane());
        let outcome = self.stages(&writer, &pages, &catalog_keys);
        drop(pages);
        // The pack thread's own error says more than "stopped" does.
        let (packs, figures) = writer.finish()?;
        let (assembled, problems) =
            outcome.map_err(|error| if self.events.stopping() { Error::Stopped } else { error })?;
        Ok(ReadSource { assembled, packs, figures, problems })
    }

    /// Runs all stages to their end; everything is flushed when it returns without an error.
    fn stages(
        &self,
        writer: &PackWriter,
        pages: &SharedLane,
        catalog_keys: &CatalogKeys,
    ) -> Result<(Assembled, u64), Error> {
        let threads = self.options.threads();
        let expected = self.parent.map_or((0, 0), |parent| (parent.structure.entries, parent.structure.bytes));
        let chunker = self.session.chunker();
        let stage = Stage::new(threads, &chunker, catalog_keys, pages, self.events, expected)
            .read_special(self.options.read_special);
        let owners = Owners::new();
        let mut walk =
            Walk::new(walk::Options { tell: self.events.wants_all(), ..self.options.walk() }).map_err(Error::Source)?;
        let top = walk.next_directory().expect("a walk begins with the root").map_err(Error::Source)?;
        let mut tree = TreeWriter::new(pages, catalog_keys.clone());
        tree.push_root(&stage.described(read_directory(&top, &owners))?)?;
        let cache = self.cache();
        let assembler = Assembler::new(tree, self.cache_writer(cache.as_ref()), self.events, self.clock);
        let reader = cache.and_then(|cache| self.cache_reader(&cache));
        let mut planner = Planner::new(self.options, reader, self.session.index(), self.events);

        let gate = Gate::new(IN_FLIGHT);
        let (to_batches, batches) = crossbeam_channel::bounded(WAITING);
        let (to_filled, filled) = crossbeam_channel::unbounded();
        let (to_slabs, slabs) = crossbeam_channel::bounded(threads);
        let assembled = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads)
                .map(|_| {
                    let worker = Worker::new(&stage, writer.lane(), &owners, &slabs, &to_slabs);
                    let (batches, to_filled, gate) = (batches.clone(), to_filled.clone(), &gate);
                    scope.spawn(move || worker.run(&batches, &to_filled).inspect_err(|_| gate.close()))
                })
                .collect();
            drop((batches, to_filled.clone()));
            let assembling = scope.spawn(|| assembler.run(&filled, &gate).inspect_err(|_| gate.close()));
            let outlets = Outlets { gate: &gate, batches: to_batches, filled: to_filled, stage: &stage };
            let walked = self.walk(top, &mut walk, &mut planner, &outlets);
            drop(outlets);
            for worker in workers {
                worker.join().expect("a worker does not panic")?;
            }
            let assembled = assembling.join().expect("the assembler does not panic")?;
            walked.map(|()| assembled)
        })?;
        pages.flush()?;
        Ok((assembled, stage.problems()))
    }

    /// Walks to the end, or until somebody stops.
    fn walk(
        &self,
        top: Directory,
        walk: &mut Walk,
        planner: &mut Planner<'_>,
        outlets: &Outlets<'_>,
    ) -> Result<(), Error> {
        let Outlets { gate, batches, filled, stage } = outlets;
        let mut next = Some(Ok(top));
        while let Some(directory) = next.take().or_else(|| walk.next_directory()) {
            if self.events.stopping() {
                return Err(Error::Stopped);
            }
            let directory = match directory {
                Ok(directory) => directory,
                Err(problem) => {
                    stage.problem(&problem);
                    continue;
                }
            };
            directory.problems.iter().for_each(|problem| stage.problem(problem));
            let went_on = planner.plan(directory, |batch| {
                gate.enter(batch.items.len())
                    && match batch.into_filled() {
                        Ok(complete) => {
                            stage.count_all(&complete);
                            filled.send(complete).is_ok()
                        }
                        Err(batch) => batches.send(batch).is_ok(),
                    }
            });
            if !went_on {
                // Whoever closed the gate has the reason.
                return Err(Error::Chunk(chunks::Error::Stopped));
            }
        }
        Ok(())
    }

    fn cache(&self) -> Option<ChangeCache> {
        let repository = self.session.repository();
        let source = source_id(&self.tokens);
        let binding = Binding { repository: repository.id(), writer: self.session.writer(), source };
        let key = repository.bundle().principal().change_cache_key();
        Some(ChangeCache::new(self.options.cache.as_ref()?, key, binding))
    }

    fn cache_writer(&self, cache: Option<&ChangeCache>) -> Option<CacheWriter> {
        let cache = cache.filter(|_| !self.options.dry_run)?;
        cache.write().map_err(|error| self.warn("the change cache cannot be written", &error)).ok()
    }

    /// The cache, if it describes the snapshot that this one follows.
    fn cache_reader(&self, cache: &ChangeCache) -> Option<CacheReader> {
        let parent = self.parent?;
        let reader = cache.read().map_err(|error| self.warn("the change cache cannot be used", &error)).ok()??;
        (reader.snapshot() == parent.id && self.session.may_reuse(parent)).then_some(reader)
    }

    fn warn(&self, what: &str, error: &dyn std::error::Error) {
        let text = format!("{what}, every file is read: {error}");
        self.events.emit(Event::Message(Level::Warning, text));
    }

    fn summary(&self, read: &ReadSource, full: bool) -> Summary {
        Summary {
            snapshot: None,
            parent: self.parent.map(|parent| parent.id),
            counts: read.assembled.counts,
            bytes_added: read.figures.bytes,
            bytes_stored: read.figures.stored,
            chunks_added: read.figures.data_chunks + read.figures.catalog_chunks,
            data_chunks_added: read.figures.data_chunks,
            packs: read.packs.len() as u64,
            problems: read.problems,
            full,
            started: self.clock,
            seconds: 0.0,
        }
    }

    fn record(&self, read: &ReadSource, full: bool) -> (Structure, Private) {
        let (root, options) = (&read.assembled.root, self.options);
        let structure = Structure {
            root: root.skeleton,
            entries: root.entries,
            bytes: root.bytes,
            source: SourceKind::FILES,
            kind: if full { SnapshotKind::Full } else { SnapshotKind::Incremental },
            completeness: Completeness::Complete,
            tokens: self.tokens.clone(),
            time: options.time.unwrap_or(self.clock),
            heads: self.session.heads_digest(),
            parent: self.parent.map(|parent| parent.id),
            extensions: Extensions::default(),
        };
        let private = Private {
            host: options.host.clone(),
            user: options.user.clone(),
            uid: rustix::process::getuid().as_raw(),
            gid: rustix::process::getgid().as_raw(),
            root: b"/".to_vec(),
            paths: options.root_bytes(),
            tags: options.tags.clone(),
            excludes: options.excludes.texts(),
            program: concat!("boveda ", env!("CARGO_PKG_VERSION")).to_owned(),
            started: self.clock,
            finished: Timestamp::now(),
            statistics: statistics(read),
            original: None,
            extensions: Extensions::default(),
        };
        (structure, private)
    }
}

fn statistics(read: &ReadSource) -> Statistics {
    let counts = &read.assembled.counts;
    Statistics {
        files_new: counts.files_new,
        files_changed: counts.files_changed,
        files_unmodified: counts.files_unmodified,
        dirs_new: counts.dirs_new,
        dirs_changed: counts.dirs_changed,
        dirs_unmodified: counts.dirs_unmodified,
        data_chunks: read.figures.data_chunks,
        catalog_chunks: read.figures.catalog_chunks,
        bytes_processed: counts.bytes,
        bytes_read: read.assembled.bytes_read,
        bytes_added: read.figures.bytes,
        bytes_stored: read.figures.stored,
        errors: read.problems,
    }
}
