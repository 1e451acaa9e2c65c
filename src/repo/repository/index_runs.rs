//! The runs of the chunk index that this machine keeps: taken where they cover what counts, and made of what they do not.
//!
//! Invariant: a run saves fetching and verifying an index object again, never the judgement. Whether the object counts, whether its
//! signer's word still does, and whether a pack may be relied on is asked of the log as it is now. Where a run cannot be
//! kept, all of it is held in memory, and the command goes on.

use super::indexes::{IndexSigner, Indexes};
use super::{Error, Repository};
use crate::crypto::context;
use crate::crypto::hash;
use crate::crypto::sign::PublicKey;
use crate::event::{Event, Level};
use crate::repo::chunk_index::{self, IndexRow, Judged, Run, RunBuilder, RunFolder, RunKey, Section, Standing};
use crate::repo::id::{IndexId, PackId};
use crate::repo::names::IndexClass;
use crate::repo::session::IndexRef;
use crate::repo::wire::Decoder;
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Chunks after which a first sync completes a run, so that not all is lost when it is interrupted; or an eighth of what there is.
const COMPLETED_AFTER: u64 = 16 << 20;
/// A new run takes in those that are up to so many times its size: then each chunk is copied a few times in all, and
/// the runs stay few.
const TAKEN_IN: u64 = 4;
/// More runs than this of one class are never kept.
const MOST_RUNS: usize = 12;
/// How old a run must be that says nothing any more: a younger one may be that of a process which knows more.
const IDLE_AFTER: Duration = Duration::from_secs(24 * 60 * 60);
/// How often damage is met before nothing on this disk is believed.
const ATTEMPTS: usize = 3;

/// Where what indexes say is taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// From this machine's cache, as far as it is there.
    Cache,
    /// From the objects themselves.
    Objects,
}

/// An index that could not be used, and why.
type Failed = (IndexRef, Error);

/// Why a run was not made.
enum Trouble {
    /// The store failed: so does the command.
    Fatal(Error),
    /// This machine's disk did.
    Cache(chunk_index::Error),
}

impl From<chunk_index::Error> for Trouble {
    fn from(error: chunk_index::Error) -> Self {
        Self::Cache(error)
    }
}

impl From<chunk_index::Damaged> for Trouble {
    fn from(damaged: chunk_index::Damaged) -> Self {
        Self::Cache(damaged.into())
    }
}

/// Judges signers by the log, each once.
pub(super) struct Judge<'a> {
    pub repository: &'a Repository,
    keys: HashMap<IndexSigner, Vec<PublicKey>>,
}

impl<'a> Judge<'a> {
    pub fn new(repository: &'a Repository) -> Self {
        Self { repository, keys: HashMap::new() }
    }

    /// The keys under which an index of this signer may be signed.
    pub fn keys(&mut self, signer: &IndexSigner) -> &[PublicKey] {
        self.keys.entry(*signer).or_insert_with(|| self.repository.signer_keys(signer))
    }

    /// Whose word an index is, if that still counts.
    fn signer(&mut self, row: &IndexRow) -> Option<(IndexSigner, PublicKey)> {
        let signer = IndexSigner::decode(&mut Decoder::new(&row.signer)).ok()?;
        let key = PublicKey(row.key);
        self.keys(&signer).contains(&key).then_some((signer, key))
    }
}

impl Repository {
    /// Keeps what indexes say in the folder `runs` of this machine, which need not be there yet.
    pub fn keep_runs_in(&mut self, runs: PathBuf) {
        let secret = hash::derive_key(context::CHUNK_RUN, self.bundle.structure_key());
        self.runs = Some(RunFolder::new(runs, RunKey { repository: self.id(), secret }));
    }

    /// The key of runs that are never kept.
    fn run_key(&self) -> RunKey {
        let secret = hash::derive_key(context::CHUNK_RUN, self.bundle.structure_key());
        RunKey { repository: self.id(), secret }
    }
}

impl Indexes {
    /// Takes the indexes of one class that count. Returns those that could not be used.
    pub(super) fn read_class(
        &mut self,
        judge: &mut Judge<'_>,
        class: IndexClass,
        source: Source,
    ) -> Result<Vec<Failed>, Error> {
        let repository = judge.repository;
        let mut covered = HashSet::new();
        if let Some(folder) = repository.runs.as_ref().filter(|_| !self.uncached) {
            for attempt in 1.. {
                match self.sync(judge, folder, class, source, &mut covered) {
                    Ok(failed) => return Ok(failed),
                    Err(Trouble::Fatal(error)) => return Err(error),
                    Err(Trouble::Cache(error)) => {
                        report(repository, &error);
                        let chunk_index::Error::Damaged(damaged) = error else {
                            self.uncached = true;
                            break;
                        };
                        // Nothing of the class is believed that was taken before: it may have been in the same file.
                        self.chunks.retain(|run| run.class() != class);
                        covered.clear();
                        if folder.discard(&damaged).is_err() || attempt == ATTEMPTS {
                            self.uncached = true;
                            break;
                        }
                    }
                }
            }
        }
        self.in_memory(judge, class, &mut covered)
    }

    /// Opens the runs there are, and makes one of what they do not cover.
    fn sync(
        &mut self,
        judge: &mut Judge<'_>,
        folder: &RunFolder,
        class: IndexClass,
        source: Source,
        covered: &mut HashSet<IndexId>,
    ) -> Result<Vec<Failed>, Trouble> {
        if source == Source::Cache {
            self.open_runs(judge, folder, class, covered)?;
        }
        let kept = source == Source::Cache;
        let mut missing = missing(judge.repository, class, covered).into_iter().peekable();
        let mut failed = Vec::new();
        while missing.peek().is_some() || self.is_worn(class) {
            let mut builder = folder.begin(class)?;
            let enough = COMPLETED_AFTER.max(self.chunks_of(class) / 8);
            while builder.chunks() < enough
                && let Some(index) = missing.next()
            {
                gather(judge, &mut builder, index, &mut failed)?;
            }
            let last = missing.peek().is_none();
            let taken = if last { self.take_in(&mut builder, class)? } else { Vec::new() };
            let run = (builder.indexes() > 0).then(|| builder.finish(kept)).transpose()?;
            self.chunks.retain(|run| !taken.iter().any(|taken| Arc::ptr_eq(taken, run)));
            if let Some(run) = run {
                // What it holds of those that it took in, no other run covers any more.
                uncover(&run, covered)?;
                self.use_run(judge, Arc::new(run), covered)?;
            }
            taken.iter().try_for_each(|run| folder.remove(run))?;
        }
        Ok(failed)
    }

    fn open_runs(
        &mut self,
        judge: &mut Judge<'_>,
        folder: &RunFolder,
        class: IndexClass,
        covered: &mut HashSet<IndexId>,
    ) -> Result<(), Trouble> {
        let found = folder.open(class)?;
        for damaged in found.damaged {
            report(judge.repository, &damaged.into());
        }
        for run in found.runs {
            if !self.use_run(judge, Arc::clone(&run), covered)? && is_idle(&run, covered)? {
                folder.remove(&run)?;
            }
        }
        Ok(())
    }

    /// Judges a run, and takes it unless nothing in it counts that is not covered. Returns whether it was taken.
    fn use_run(
        &mut self,
        judge: &mut Judge<'_>,
        run: Arc<Run>,
        covered: &mut HashSet<IndexId>,
    ) -> Result<bool, chunk_index::Damaged> {
        let counted = counted(judge, &run, covered)?;
        let counts = |index: u32| counted.get(index as usize).is_some_and(Option::is_some);
        let (ledger, view) = (judge.repository.log.state.ledger(), &judge.repository.view);
        let left_out = |index: u32, pack: &PackId| {
            counted.get(index as usize).and_then(Option::as_ref).is_some_and(|row| view.is_left_out(&row.index, pack))
        };
        let mut relied: HashMap<u32, bool> = HashMap::new();
        let mut packs = Vec::new();
        for number in 0..run.count(Section::Packs) as u32 {
            let pack = run.pack(number)?;
            // What was ever FINAL is gone, whatever says or shows that it is there.
            if !counts(pack.index) || ledger.ever_final(&pack.id) || left_out(pack.index, &pack.id) {
                packs.push(Standing::Masked);
                continue;
            }
            let origin = run.origin(pack.origin)?;
            let relied = *relied.entry(pack.origin).or_insert_with(|| judge.repository.relies_on(&origin));
            let good = relied && !ledger.any_absent(&pack.id);
            let there = self.stored.as_ref().is_none_or(|stored| stored.get(&pack.id) == Some(&pack.length));
            if good && !there && pack.segments > 0 {
                self.lost.insert(pack.id);
                self.chunks.mark_gap();
            }
            packs.push(if good && there { Standing::Good } else { Standing::Known });
        }
        for row in counted.iter().flatten() {
            covered.insert(row.index.id);
            self.replaced.extend(run.replaced(row)?);
        }
        let indexes: Vec<bool> = counted.iter().map(Option::is_some).collect();
        let any = indexes.contains(&true);
        if any {
            self.chunks.attach(run, Judged { packs, indexes });
        }
        Ok(any)
    }

    /// Chunks of a class in the runs in use.
    fn chunks_of(&self, class: IndexClass) -> u64 {
        self.chunks.runs().filter(|(run, _)| run.class() == class).map(|(run, _)| run.count(Section::Tags)).sum()
    }

    /// Whether some run should be written anew, though nothing is to be added.
    fn is_worn(&self, class: IndexClass) -> bool {
        let runs = || self.chunks.runs().filter(|(run, _)| run.class() == class);
        runs().count() > MOST_RUNS || runs().any(|(_, judged)| judged.mostly_masked())
    }

    /// Takes into a new run what should not stay a run of its own: the small ones, and those that are mostly masked.
    fn take_in(&self, builder: &mut RunBuilder, class: IndexClass) -> Result<Vec<Arc<Run>>, chunk_index::Error> {
        let mut runs: Vec<_> = self.chunks.runs().filter(|(run, _)| run.class() == class).collect();
        runs.sort_by_key(|(run, _)| run.count(Section::Tags));
        let (mut taken, mut left) = (Vec::new(), runs.len());
        for (run, judged) in runs {
            let small = run.count(Section::Tags) <= builder.chunks().saturating_mul(TAKEN_IN);
            if small || left >= MOST_RUNS || judged.mostly_masked() {
                builder.absorb(run, judged)?;
                taken.push(Arc::clone(run));
                left -= 1;
            }
        }
        Ok(taken)
    }

    /// Reads what no run covers into memory.
    fn in_memory(
        &mut self,
        judge: &mut Judge<'_>,
        class: IndexClass,
        covered: &mut HashSet<IndexId>,
    ) -> Result<Vec<Failed>, Error> {
        let mut failed = Vec::new();
        let unheard = |trouble| match trouble {
            Trouble::Fatal(error) => error,
            Trouble::Cache(error) => Error::Runs(error),
        };
        let made = || RunBuilder::new(None, class, &judge.repository.run_key());
        let mut builder = made().map_err(|error| unheard(error.into()))?;
        for index in missing(judge.repository, class, covered) {
            gather(judge, &mut builder, index, &mut failed).map_err(unheard)?;
        }
        if builder.indexes() > 0 {
            let run = builder.finish(false).map_err(|error| unheard(error.into()))?;
            self.use_run(judge, Arc::new(run), covered).map_err(|damaged| unheard(damaged.into()))?;
        }
        Ok(failed)
    }
}

/// The indexes that count and no run covers.
fn missing<'a>(repository: &'a Repository, class: IndexClass, covered: &HashSet<IndexId>) -> Vec<&'a IndexRef> {
    repository.view.indexes_of(class).filter(|index| !covered.contains(&index.id)).collect()
}

/// Fetches one index object into a run.
fn gather(
    judge: &mut Judge<'_>,
    builder: &mut RunBuilder,
    index: &IndexRef,
    failed: &mut Vec<Failed>,
) -> Result<(), Trouble> {
    match judge.repository.read_index(judge, index) {
        Ok((covered, body)) => Ok(builder.index(&covered, &body.packs, &body.wraps)?),
        Err(Error::Store(error)) => Err(Trouble::Fatal(error.into())),
        Err(error) => {
            failed.push((*index, error));
            Ok(())
        }
    }
}

/// The rows of the indexes that count, by the log as it is now, and are not covered yet.
fn counted(
    judge: &mut Judge<'_>,
    run: &Run,
    covered: &HashSet<IndexId>,
) -> Result<Vec<Option<IndexRow>>, chunk_index::Damaged> {
    let mut signers = Vec::new();
    let mut counted = Vec::new();
    for number in 0..run.count(Section::Indexes) {
        let row = run.index(number)?;
        let known = judge.repository.view.indexes.contains(&row.index) && !covered.contains(&row.index.id);
        let signer = if known { judge.signer(&row) } else { None };
        counted.push(signer.map(|_| row));
        signers.push(signer);
    }
    for number in 0..run.count(Section::Packs) as u32 {
        let pack = run.pack(number)?;
        let Some(Some((signer, key))) = signers.get(pack.index as usize) else { continue };
        let origin = run.origin(pack.origin)?;
        if !judge.repository.may_name(signer, key, &origin) {
            counted[pack.index as usize] = None;
        }
    }
    Ok(counted)
}

fn uncover(run: &Run, covered: &mut HashSet<IndexId>) -> Result<(), chunk_index::Damaged> {
    for number in 0..run.count(Section::Indexes) {
        covered.remove(&run.index(number)?.index.id);
    }
    Ok(())
}

/// Whether a run that says nothing may go: others say all of it, or it has said nothing for long.
fn is_idle(run: &Run, covered: &HashSet<IndexId>) -> Result<bool, chunk_index::Damaged> {
    let about = run.path().and_then(|path| std::fs::metadata(path).ok());
    let age = about.and_then(|about| about.modified().ok()).and_then(|time| time.elapsed().ok());
    if age.is_some_and(|age| age > IDLE_AFTER) {
        return Ok(true);
    }
    for number in 0..run.count(Section::Indexes) {
        if !covered.contains(&run.index(number)?.index.id) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Tells that the cache was of no use, which costs time and memory and nothing else.
fn report(repository: &Repository, error: &chunk_index::Error) {
    let text = match error {
        chunk_index::Error::Damaged(damaged) => {
            let path = damaged.path.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
            format!("the cache of indexes {path} is damaged; it is made anew from the repository")
        }
        error => format!("indexes cannot be cached: {error}; they are held in memory, and read again next time"),
    };
    repository.events.emit(Event::Message(Level::Warning, text));
}

#[cfg(test)]
mod tests;
