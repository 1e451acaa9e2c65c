//! One run: all stages side by side, from the walk to the packs.

use super::assembler::{Assembled, Assembler};
use super::batch::{Batch, FilledBatch};
use super::gate::Gate;
use super::planner::Planner;
use super::stage::Stage;
use super::worker::Worker;
use super::{Error, Options};
use crate::crypto::hash;
use crate::event::{Event, Level, Sink};
use crate::repo::catalog::{CatalogKeys, TreeWriter};
use crate::repo::chunks;
use crate::repo::entry::Timestamp;
use crate::repo::record::Tokens;
use crate::repo::repository::{Snapshot, WriteSession};
use crate::repo::writer::{Figures, PackWriter, SharedLane};
use crate::source::files::attributes::read_directory;
use crate::source::files::exclude::ExcludeSet;
use crate::source::files::owners::Owners;
use crate::source::files::walk::{self, Directory, Walk};
use crate::state::changes::{Binding, CacheReader, CacheWriter, ChangeCache};

/// Entries that may be between the walk and the catalog.
const IN_FLIGHT: usize = 32 * 1024;
/// Batches that may wait for a worker.
const WAITING: usize = 64;

/// What a change cache calls its source: one host's set of paths.
fn source_id(tokens: &Tokens) -> [u8; 32] {
    hash::blake3(&[&tokens.host.0[..], &tokens.paths.0].concat())
}

/// One run.
pub(super) struct Run<'a> {
    pub options: &'a Options,
    pub events: &'a dyn Sink,
    pub session: &'a WriteSession<'a>,
    pub excludes: ExcludeSet,
    pub clock: Timestamp,
    pub tokens: Tokens,
    pub parent: Option<&'a Snapshot>,
}

/// Where the walk's batches go.
struct Outlets<'a> {
    /// Holds the walk back when too much is under way.
    gate: &'a Gate,
    /// To the workers.
    batches: crossbeam_channel::Sender<Batch>,
    /// To the assembler, when there is nothing to read.
    filled: crossbeam_channel::Sender<FilledBatch>,
    /// Where problems are reported.
    stage: &'a Stage<'a>,
}

/// What reading the source gave.
pub(super) struct ReadSource {
    pub assembled: Assembled,
    pub packs: Vec<crate::repo::pack::PackSummary>,
    pub figures: Figures,
    pub problems: u64,
}

impl Run<'_> {
    /// Reads the source; every chunk of it is durable when this returns without an error.
    pub fn read(&self) -> Result<ReadSource, Error> {
        let bundle = self.session.repository().bundle();
        let id_key = bundle.id_key().expect("a session is begun with a writer's keys only");
        let catalog_keys = CatalogKeys::derive(id_key);
        let writer = self.session.pack_writer(self.options.compression);
        let pages = SharedLane::default();
        pages.open(writer.lane());
        let outcome = self.stages(&writer, &pages, &catalog_keys);
        pages.close();
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
        let stage = Stage::new(threads, &chunker, catalog_keys, pages, self.events, expected);
        let owners = Owners::new();
        let mut walk = Walk::new(self.walk_options()).map_err(Error::Source)?;
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

    fn walk_options(&self) -> walk::Options {
        walk::Options {
            roots: self.options.roots.clone(),
            excludes: self.excludes.clone(),
            one_file_system: self.options.one_file_system,
            skip: self.options.skip.clone(),
        }
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
}
