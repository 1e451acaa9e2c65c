//! `snapshot`: from real files to a committed snapshot.
//!
//! One thread walks and compares with what earlier snapshots have, workers read and cut files, one assembler writes the catalog
//! in order, one thread makes packs. Whatever dies on the way, nothing counts before the session's `end` is in the store. A
//! long run has several sessions; all but the last end with a partial snapshot, so that what was read by then is kept.

mod assembler;
mod baseline;
mod batch;
mod error;
mod former;
mod gate;
mod leg;
mod memory;
mod options;
mod parents;
mod planner;
mod record;
mod retrace;
mod run;
mod slab;
mod special;
mod stage;
pub mod stream;
mod summary;
mod tally;
#[cfg(test)]
mod tests;
mod trail;
mod worker;

pub use error::Error;
pub use memory::{Memory, Part};
pub use options::{Delta, Options, Parent, PartialAfter};
pub use summary::{Counts, Summary};

use crate::event::{Event, Level, Sink};
use crate::repo::id::{SnapshotId, WriterId};
use crate::repo::record::Completeness;
use crate::repo::repository::{Repository, WriteSession};
use crate::repo::writer::SharedLane;
use crate::state;
use leg::Clock;
use run::{Ended, Reached, Run};
use std::ops::ControlFlow;
use std::time::Instant;

/// Takes a snapshot as `writer`, whose lock the caller holds.
///
/// # Errors
/// When nothing complete was committed. Entries that could not be read are no error but counted in the summary's `problems`.
pub fn snapshot(
    repository: &mut Repository,
    writer: WriterId,
    options: &Options,
    events: &dyn Sink,
) -> Result<Summary, Error> {
    let started = Instant::now();
    let pages = SharedLane::default();
    let mut before = None;
    loop {
        let session = repository.begin(writer, options.dry_run)?;
        let (run, reached) = match read(&session, before.take(), &pages, options, events) {
            Ok(read) => read,
            Err(error) => {
                session.abort(&error.to_string());
                return Err(error);
            }
        };
        match conclude(session, run, &reached)? {
            ControlFlow::Continue(run) => before = Some(run),
            ControlFlow::Break(summary) => return Ok(Summary { seconds: started.elapsed().as_secs_f64(), ..summary }),
        }
    }
}

/// Reads on, in one session; every chunk of what was reached is durable when this returns without an error.
fn read<'a>(
    session: &WriteSession<'_>,
    before: Option<Run<'a>>,
    pages: &'a SharedLane,
    options: &'a Options,
    events: &'a dyn Sink,
) -> Result<(Run<'a>, Reached), Error> {
    let writer = session.pack_writer(options.effort, options.pack_size);
    pages.open(writer.lane());
    let outcome = stay(session, before, pages, options, events).and_then(|mut run| {
        let (clock, before) = (Clock::start(), run.assembler.figures().bytes_read);
        let mut how = run.leg(&writer, clock)?;
        let root = run.assembler.catalog()?;
        pages.flush()?;
        match how {
            Ended::Arrived if options.skip_if_unchanged && run.is_unchanged(&root) => how = Ended::Unchanged,
            Ended::Stopped
                if !clock.reached(options.partial.when_stopped(), run.assembler.figures().bytes_read - before) =>
            {
                return Err(Error::Stopped);
            }
            _ => {}
        }
        if how == Ended::Unchanged {
            writer.give_up();
        }
        Ok((run, how, root))
    });
    pages.close();
    // The pack thread's own error says more than "stopped" does.
    let (packs, figures) = writer.finish()?;
    let (mut run, how, root) = outcome.map_err(|error| if events.stopping() { Error::Stopped } else { error })?;
    run.figures += figures;
    run.packs += packs.len() as u64;
    Ok((run, Reached { how, root, packs }))
}

/// The run as it goes on from the session before, or a new one.
fn stay<'a>(
    session: &WriteSession<'_>,
    before: Option<Run<'a>>,
    pages: &'a SharedLane,
    options: &'a Options,
    events: &'a dyn Sink,
) -> Result<Run<'a>, Error> {
    if let Some(before) = before {
        if let Some(run) = before.go_on(session) {
            return Ok(run);
        }
        let text = "a prune condemned some of what this run was going to use; it begins anew".to_owned();
        events.emit(Event::Message(Level::Warning, text));
    }
    Run::begin(session, pages, options, events)
}

/// Ends the session by what was reached in it; gives the run back if it goes on in another.
fn conclude<'a>(
    session: WriteSession<'_>,
    mut run: Run<'a>,
    reached: &Reached,
) -> Result<ControlFlow<Summary, Run<'a>>, Error> {
    match reached.how {
        Ended::Arrived if run.options.dry_run => Ok(ControlFlow::Break(run.summary(None))),
        Ended::Arrived => {
            let id = commit(&session, &run, reached, Completeness::Complete)?;
            keep_cache(&session, &mut run, &id);
            Ok(ControlFlow::Break(run.summary(Some(id))))
        }
        Ended::Unchanged => {
            session.abort("nothing had changed, and no snapshot was wanted then");
            Ok(ControlFlow::Break(Summary { unchanged: true, ..run.summary(None) }))
        }
        Ended::Paused => {
            leave_partial(&session, &mut run, reached)?;
            Ok(ControlFlow::Continue(run))
        }
        Ended::Stopped => {
            leave_partial(&session, &mut run, reached)?;
            Err(Error::Stopped)
        }
    }
}

fn commit(
    session: &WriteSession<'_>,
    run: &Run<'_>,
    reached: &Reached,
    completeness: Completeness,
) -> Result<SnapshotId, Error> {
    let (structure, private) = run.record(session, reached, completeness);
    Ok(session.commit(&reached.packs, &structure, &private)?)
}

fn leave_partial(session: &WriteSession<'_>, run: &mut Run<'_>, reached: &Reached) -> Result<(), Error> {
    let id = commit(session, run, reached, Completeness::Partial)?;
    run.left(id, session, &reached.packs);
    let text = format!("partial snapshot {} keeps what was read so far", id.short());
    run.events.emit(Event::Message(Level::Info, text));
    let place = parents::cache_of(session, session.writer(), &run.tokens, run.options);
    if let (Some(place), Some(cache)) = (place, run.assembler.cache())
        && let Err(error) = cache.describe_partial(&place.partial(), &id)
    {
        // If the cache itself cannot be written any more, the next entry will tell.
        lost_cache(run.events, &error);
    }
    Ok(())
}

/// The cache only saves time, so that its failure is no failure of the run.
fn keep_cache(session: &WriteSession<'_>, run: &mut Run<'_>, id: &SnapshotId) {
    if let Some(Err(error)) = run.assembler.cache().take().map(|cache| cache.finish(id)) {
        lost_cache(run.events, &error);
    }
    let place = parents::cache_of(session, session.writer(), &run.tokens, run.options);
    if let Some(Err(error)) = place.map(|place| place.partial().remove()) {
        // It describes an older snapshot and is of no use any more, and of no harm.
        run.events.emit(Event::Message(Level::Debug, error.to_string()));
    }
}

fn lost_cache(events: &dyn Sink, error: &state::Error) {
    let text = format!("the change cache was not kept, the next run reads every file: {error}");
    events.emit(Event::Message(Level::Warning, text));
}
