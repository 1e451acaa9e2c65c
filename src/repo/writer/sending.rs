//! Packs on their way to a store that is far away: several at once, since one alone waits for answers most of the time.

use super::super::names::Name;
use super::super::pack::{FinishedPack, PackSummary};
use crate::store::{self, Store};
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use std::sync::Arc;
use std::thread::JoinHandle;

type Sent = Result<(u64, PackSummary, Vec<u8>), store::Error>;

/// The threads that send, and what they have sent.
pub(super) struct Sending {
    jobs: Sender<(u64, FinishedPack)>,
    outcomes: Receiver<Sent>,
    threads: Vec<JoinHandle<()>>,
    given: u64,
    sent: Vec<(u64, PackSummary)>,
    buffers: Vec<Vec<u8>>,
}

impl Sending {
    /// Starts `count` threads that put packs into `store`.
    pub(super) fn start(store: &Arc<dyn Store>, count: usize) -> Self {
        let (jobs, queue) = bounded::<(u64, FinishedPack)>(0);
        let (answers, outcomes) = unbounded();
        let threads = (0..count)
            .filter_map(|_| {
                let (store, queue, answers) = (Arc::clone(store), queue.clone(), answers.clone());
                let send = move || {
                    for (number, pack) in queue {
                        let put = store.put(&Name::Pack(pack.summary.id).object(), pack.stored());
                        // Whoever does not listen any more has failed already.
                        let _ = answers.send(put.map(|_| (number, pack.summary.clone(), pack.into_buffer())));
                    }
                };
                // With fewer threads it takes longer; without any, the first send says so.
                std::thread::Builder::new().name("send".to_owned()).spawn(send).ok()
            })
            .collect();
        Self { jobs, outcomes, threads, given: 0, sent: Vec::new(), buffers: Vec::new() }
    }

    /// Hands a pack over as soon as a thread is free; returns a buffer that is not needed any more, if there is one.
    ///
    /// # Errors
    /// The failure of any pack so far.
    pub(super) fn send(&mut self, pack: FinishedPack) -> Result<Option<Vec<u8>>, store::Error> {
        self.given += 1;
        let handed = self.jobs.send((self.given, pack));
        while let Ok(outcome) = self.outcomes.try_recv() {
            self.note(outcome)?;
        }
        // Threads end only when nothing can come any more, or when there never were any.
        handed.expect("a thread that sends is there as long as packs may come");
        Ok(self.buffers.pop())
    }

    /// Waits until every pack is durable; returns their summaries in the order in which they were handed over.
    ///
    /// # Errors
    /// The failure of any pack.
    pub(super) fn finish(mut self) -> Result<Vec<PackSummary>, store::Error> {
        drop(std::mem::replace(&mut self.jobs, bounded(0).0));
        for thread in std::mem::take(&mut self.threads) {
            thread.join().expect("a thread that sends does not panic");
        }
        while let Ok(outcome) = self.outcomes.try_recv() {
            self.note(outcome)?;
        }
        self.sent.sort_unstable_by_key(|(number, _)| *number);
        Ok(self.sent.into_iter().map(|(_, summary)| summary).collect())
    }

    fn note(&mut self, outcome: Sent) -> Result<(), store::Error> {
        let (number, summary, buffer) = outcome?;
        self.sent.push((number, summary));
        self.buffers.push(buffer);
        Ok(())
    }
}
