//! `snapshot`: from real files to a committed snapshot.
//!
//! One thread walks and compares with the last snapshot's cache, workers read and cut files, one assembler writes the catalog
//! in order, one thread makes packs. Whatever dies on the way, nothing counts before the session's `end` is in the store.

mod assembler;
mod batch;
mod error;
mod gate;
mod options;
mod planner;
mod record;
mod run;
mod slab;
mod stage;
mod summary;
#[cfg(test)]
mod tests;
mod worker;

pub use error::Error;
pub use options::Options;
pub use summary::{Counts, Summary};

use crate::event::{Event, Level, Sink};
use crate::repo::entry::Timestamp;
use crate::repo::id::{SnapshotId, WriterId};
use crate::repo::record::Tokens;
use crate::repo::repository::Repository;
use crate::source::files::exclude::ExcludeSet;
use crate::state::changes::CacheWriter;
use run::Run;

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
    let excludes = ExcludeSet::new(&options.excludes)?;
    let session = repository.begin(writer, options.dry_run)?;
    let tokens =
        Tokens::of(session.repository().bundle().structure_key(), &options.host, &options.root_bytes(), &options.tags);
    let parent = session.parent(&tokens).cloned();
    let run = Run { options, events, session: &session, excludes, clock, tokens, parent: parent.as_ref() };
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
fn finish_cache(cache: Option<CacheWriter>, id: &SnapshotId, events: &dyn Sink) {
    if let Some(Err(error)) = cache.map(|cache| cache.finish(id)) {
        let text = format!("the change cache was not kept, the next run reads every file: {error}");
        events.emit(Event::Message(Level::Warning, text));
    }
}
