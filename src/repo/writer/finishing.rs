//! Packs get their table, parity and name, and are put: several at once. Where nothing compresses, hashing them takes longer
//! than all else; and a store that is far away lets one wait most of the time.

use super::super::names::Name;
use super::super::pack::{PackBuilder, PackSummary};
use super::Shared;
use crate::store::{self, Store};
use crate::system::carried;
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;

type Finished = Result<(u64, PackSummary, Vec<u8>), store::Error>;

/// The threads that finish packs, and what they have finished.
pub(super) struct Finishing {
    jobs: Sender<(u64, PackBuilder)>,
    outcomes: Receiver<Finished>,
    threads: Vec<JoinHandle<()>>,
    taken: u64,
    finished: Vec<(u64, PackSummary)>,
    buffers: Vec<Vec<u8>>,
}

impl Finishing {
    /// Starts as many threads as packs may be on the way to `store`.
    ///
    /// # Panics
    /// When the system refuses the first of them.
    pub(super) fn start(store: &Arc<dyn Store>, shared: &Arc<Shared>) -> Self {
        // Handed over directly, so that none waits in between.
        let (jobs, queue) = bounded::<(u64, PackBuilder)>(0);
        let (answers, outcomes) = unbounded();
        let start = |number: usize| {
            let (store, shared, queue, answers) =
                (Arc::clone(store), Arc::clone(shared), queue.clone(), answers.clone());
            let work = move || {
                for (number, builder) in queue {
                    // Whoever does not listen any more has failed already.
                    let _ = answers.send(finish(&*store, &shared, number, builder));
                }
            };
            std::thread::Builder::new().name(format!("pack-{number}")).spawn(carried(work))
        };
        let first = start(0).expect("the system lets us start a thread");
        // With fewer than that it takes longer.
        let threads =
            std::iter::once(first).chain((1..store.in_flight()).filter_map(|number| start(number).ok())).collect();
        Self { jobs, outcomes, threads, taken: 0, finished: Vec::new(), buffers: Vec::new() }
    }

    /// Takes a pack as soon as a thread is free; returns a buffer that is not needed any more, if there is one.
    ///
    /// # Errors
    /// The failure of any pack so far.
    pub(super) fn take(&mut self, builder: PackBuilder) -> Result<Option<Vec<u8>>, store::Error> {
        self.taken += 1;
        let taken = self.jobs.send((self.taken, builder));
        while let Ok(outcome) = self.outcomes.try_recv() {
            self.note(outcome)?;
        }
        // Threads end only when nothing can come any more.
        taken.expect("a thread is there as long as packs may come");
        Ok(self.buffers.pop())
    }

    /// Waits until every pack is durable; returns their summaries in the order in which they were taken.
    ///
    /// # Errors
    /// The failure of any pack.
    ///
    /// # Panics
    /// When a thread panicked.
    pub(super) fn end(mut self) -> Result<Vec<PackSummary>, store::Error> {
        assert!(self.join(), "a thread that finishes packs does not panic");
        while let Ok(outcome) = self.outcomes.try_recv() {
            self.note(outcome)?;
        }
        let mut finished = std::mem::take(&mut self.finished);
        finished.sort_unstable_by_key(|(number, _)| *number);
        Ok(finished.into_iter().map(|(_, summary)| summary).collect())
    }

    /// Waits for the threads, which take nothing more. Whether all of them ended well.
    fn join(&mut self) -> bool {
        drop(std::mem::replace(&mut self.jobs, bounded(0).0));
        let ended = std::mem::take(&mut self.threads).into_iter().map(|thread| thread.join().is_ok());
        ended.fold(true, |all, well| all & well)
    }

    fn note(&mut self, outcome: Finished) -> Result<(), store::Error> {
        let (number, summary, buffer) = outcome?;
        self.finished.push((number, summary));
        self.buffers.push(buffer);
        Ok(())
    }
}

impl Drop for Finishing {
    /// Once one has failed nothing more is put: whoever is told so may end the session.
    fn drop(&mut self) {
        self.join();
    }
}

fn finish(store: &dyn Store, shared: &Shared, number: u64, builder: PackBuilder) -> Finished {
    let pack = builder.finish(&shared.options.pack_sealing);
    if !shared.options.dry_run {
        // The name is fresh: "exists" can only be our own put, retried.
        store.put(&Name::Pack(pack.summary.id).object(), pack.stored())?;
    }
    shared.added.stored.fetch_add(pack.summary.length, Ordering::Relaxed);
    Ok((number, pack.summary.clone(), pack.into_buffer()))
}
