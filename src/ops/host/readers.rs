//! Readers of a repository on this host: over its indexes, with what is kept here of what they read.

use super::Host;
use crate::event::Sink;
use crate::repo::chunk_keys::ChunkKeys;
use crate::repo::names::IndexClass;
use crate::repo::reader::{KeptSegments, KeyRing, Reader};
use crate::repo::repository::{Error, Indexes, Repository};
use std::sync::Arc;

/// The folder of kept segments, beside what is cached of the repository's indexes.
const SEGMENTS: &str = "segments";

impl Host {
    /// A reader over all chunks of these classes; keeps about `cache` bytes of decoded segments.
    ///
    /// # Errors
    /// When an index cannot be fetched. Damaged ones are reported as events, and made up for by the packs.
    pub fn reader(&self, repository: &Repository, classes: &[IndexClass], cache: usize) -> Result<Reader, Error> {
        let folder = || self.cache_folder.join(self.key(repository).to_string()).join(SEGMENTS);
        let kept = self.keep.map(|(keep, most)| Arc::new(KeptSegments::new(folder(), keep, most)));
        reader_over(repository, classes, cache, kept, &self.events)
    }

    /// A reader over everything in every pack, also what no index names.
    ///
    /// # Errors
    /// As [`Self::reader`], and when a pack cannot be fetched.
    pub fn reader_of_all_packs(&self, repository: &Repository, cache: usize) -> Result<Reader, Error> {
        let indexes = Indexes::load_with_all_packs(repository)?;
        Ok(self.reader_of(repository, indexes, cache, Arc::clone(&self.events)))
    }

    /// As [`Self::reader`], over indexes that were loaded already; damage that it meets goes to `events`.
    pub fn reader_of(&self, repository: &Repository, indexes: Indexes, cache: usize, events: Arc<dyn Sink>) -> Reader {
        bare_reader(repository, indexes, cache, events)
    }
}

/// A reader that looks again at what is where when a chunk is not where it was: a prune makes packs anew beside it.
fn reader_over(
    repository: &Repository,
    classes: &[IndexClass],
    cache: usize,
    kept: Option<Arc<KeptSegments>>,
    events: &Arc<dyn Sink>,
) -> Result<Reader, Error> {
    let reader = bare_reader(repository, Indexes::load(repository, classes)?, cache, Arc::clone(events));
    let reader = reader.keeping(kept.clone());
    let (again, classes, events) = (repository.again(), classes.to_vec(), Arc::clone(events));
    Ok(reader.renewed_by(Box::new(move || {
        // Whatever fails here, the chunk that was asked for is what is reported.
        let now = again.has_moved().then(|| again.open().ok()).flatten()?;
        reader_over(&now, &classes, cache, kept.clone(), &events).ok()
    })))
}

fn bare_reader(repository: &Repository, indexes: Indexes, cache: usize, events: Arc<dyn Sink>) -> Reader {
    let bundle = repository.bundle();
    let keys = bundle.chunk_keys().unwrap_or_else(|| ChunkKeys::structure_only(bundle.structure_key()));
    let index = Arc::new(indexes.chunks);
    let ring = KeyRing::new(Arc::clone(bundle), Arc::clone(&index));
    let store = Arc::clone(repository.store());
    Reader::new(store, repository.id(), keys, ring, index, cache, events)
}
