//! What a run does in one session: all stages side by side, from the walk to the packs, until the walk is over, or it is time
//! for a partial snapshot, or somebody asks to stop.
//!
//! Invariant: when it returns without an error, every chunk of every entry that the assembler took is on its way into packs;
//! no entry is half-way.

use super::Error;
use super::batch::{Batch, FilledBatch};
use super::gate::Gate;
use super::options::PartialAfter;
use super::planner::Planner;
use super::run::{Ended, Run};
use super::stage::Stage;
use super::tally::Tally;
use super::worker::Worker;
use crate::repo::chunks;
use crate::repo::writer::{Added, PackWriter};
use crate::source::files::walk::Walk;
use crate::system::carried;
use crossbeam_channel::Sender;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// Entries that may be between the walk and the catalog.
pub(super) const IN_FLIGHT: usize = 32 * 1024;
/// Batches that may wait for a worker.
const WAITING: usize = 64;

/// Where the walk's batches go.
struct Outlets<'a> {
    /// Holds the walk back when too much is under way.
    gate: &'a Gate,
    /// To the workers.
    batches: Sender<Batch>,
    /// To the assembler, when there is nothing to read.
    filled: Sender<FilledBatch>,
}

/// Tells when a session has done enough for a partial snapshot.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock(Instant);

impl Clock {
    /// Starts with a session.
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Whether so much was done since, when so many bytes were read and so much was added. A session that read nothing has nothing to
    /// lose.
    pub fn reached(self, after: PartialAfter, read: u64, added: &Added) -> bool {
        let chunks = || [&added.data_chunks, &added.catalog_chunks].map(|chunks| chunks.load(Ordering::Relaxed));
        let enough =
            || read >= after.bytes || self.0.elapsed() >= after.time || chunks().iter().sum::<u64>() >= after.chunks;
        read > 0 && enough()
    }
}

impl Run<'_> {
    /// Goes on until [`Ended`] says why not.
    ///
    /// # Errors
    /// When the repository takes no more.
    pub fn leg(&mut self, writer: &PackWriter, clock: Clock) -> Result<Ended, Error> {
        let threads = self.options.threads();
        let stage = Stage::new(threads, &self.chunker, &self.catalog_keys, self.pages, &self.tally, self.events)
            .read_special(self.options.read_special)
            .deltas_to(self.earlier.clone())
            .at_pace(&self.pace);
        let Self { walk, planner, assembler, owners, options, .. } = self;
        let gate = Gate::new(IN_FLIGHT);
        let (to_batches, batches) = crossbeam_channel::bounded(WAITING);
        let (to_filled, filled) = crossbeam_channel::unbounded();
        let (to_slabs, slabs) = crossbeam_channel::bounded(threads);
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads)
                .map(|_| {
                    let worker = Worker::new(&stage, writer.lane(), owners, &slabs, &to_slabs);
                    let worker = worker.with_atime(options.with_atime);
                    let (batches, to_filled, gate) = (batches.clone(), to_filled.clone(), &gate);
                    scope.spawn(carried(move || worker.run(&batches, &to_filled).inspect_err(|_| gate.close())))
                })
                .collect();
            drop(batches);
            let assembling = scope.spawn(carried(|| assembler.run(&filled, &gate).inspect_err(|_| gate.close())));
            let outlets = Outlets { gate: &gate, batches: to_batches, filled: to_filled };
            let due = |bytes| !options.dry_run && clock.reached(options.partial, bytes, writer.added());
            let walked = go(walk, planner, &stage, &outlets, due);
            drop(outlets);
            let mut cut_short = false;
            for worker in workers {
                cut_short |= worker.join().expect("a worker does not panic")?;
            }
            assembling.join().expect("the assembler does not panic")?;
            // The walk may have been over, or at a pause, when the workers heard of it.
            walked.map(|how| if cut_short { Ended::Stopped } else { how })
        })
    }
}

/// Walks until there is a reason to end; `due` is asked whether so many bytes to read are one.
fn go(
    walk: &mut Walk,
    planner: &mut Planner<'_>,
    stage: &Stage<'_>,
    outlets: &Outlets<'_>,
    due: impl Fn(u64) -> bool,
) -> Result<Ended, Error> {
    let mut bytes = 0;
    loop {
        if stage.stopping() {
            return Ok(Ended::Stopped);
        }
        if due(bytes) {
            return Ok(Ended::Paused);
        }
        let Some(batch) = planner.next_batch() else {
            match walk.next_directory() {
                None => return Ok(Ended::Arrived),
                Some(Err(problem)) => stage.tally.problem(&problem),
                Some(Ok(directory)) => {
                    directory.problems.iter().for_each(|problem| stage.tally.problem(problem));
                    planner.enter(directory);
                }
            }
            continue;
        };
        bytes += batch.bytes_to_read();
        if !outlets.send(batch, stage.tally) {
            // Whoever closed the way has the reason; when somebody asked to stop, there is none but that.
            return if stage.stopping() { Ok(Ended::Stopped) } else { Err(Error::Chunk(chunks::Error::Stopped)) };
        }
    }
}

impl Outlets<'_> {
    fn send(&self, batch: Batch, tally: &Tally<'_>) -> bool {
        self.gate.enter(batch.items.len())
            && match batch.into_filled() {
                Ok(complete) => {
                    tally.count_all(&complete);
                    self.filled.send(complete).is_ok()
                }
                Err(batch) => self.batches.send(batch).is_ok(),
            }
    }
}
