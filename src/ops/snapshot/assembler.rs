//! The end of the line: takes filled batches in the order of the walk and writes the catalog, the change cache and the figures.

use super::batch::{FilledBatch, Finished};
use super::gate::Gate;
use super::planner::UNTRUSTED;
use super::summary::Counts;
use crate::event::{EntryStatus, Event, Level, Sink};
use crate::repo::catalog::TreeWriter;
use crate::repo::catalog::{self, TreeRoot, key};
use crate::repo::entry::{EntryKind, EntryPath, Timestamp};
use crate::state::changes::CacheWriter;
use crossbeam_channel::Receiver;
use std::collections::BTreeMap;

/// Writes what the workers finished.
pub(super) struct Assembler<'a> {
    tree: TreeWriter<'a>,
    cache: Option<CacheWriter>,
    events: &'a dyn Sink,
    wants_all: bool,
    /// Stamps from here on may hide a later change within the clock's grain.
    distrust: i64,
    counts: Counts,
    bytes_read: u64,
    reused: u64,
    key: Vec<u8>,
}

/// How long before the scan a stamp must lie to be trusted, in seconds: the coarsest file systems count in twos.
const DISTRUST_SECONDS: i64 = 2;

impl<'a> Assembler<'a> {
    /// An assembler over a tree writer that already has the root's own entry.
    pub fn new(tree: TreeWriter<'a>, cache: Option<CacheWriter>, events: &'a dyn Sink, scan: Timestamp) -> Self {
        let (distrust, counts) = (scan.seconds - DISTRUST_SECONDS, Counts::default());
        let wants_all = events.wants_all();
        Self { tree, cache, events, wants_all, distrust, counts, bytes_read: 0, reused: 0, key: Vec::new() }
    }

    /// Takes batches until all senders are gone. Batches arrive in any order; early ones wait here, as many as the gate let in.
    ///
    /// # Errors
    /// When the catalog cannot be written.
    pub fn run(mut self, batches: &Receiver<FilledBatch>, gate: &Gate) -> Result<Assembled, catalog::Error> {
        let mut waiting = BTreeMap::new();
        let mut next = 0;
        for batch in batches {
            waiting.insert(batch.number, batch);
            while let Some(batch) = waiting.remove(&next) {
                next += 1;
                let units = batch.units;
                self.take(batch)?;
                gate.leave(units);
            }
        }
        let Self { counts, bytes_read, reused, cache, .. } = self;
        Ok(Assembled { root: self.tree.finish()?, cache, counts, bytes_read, reused })
    }

    fn take(&mut self, batch: FilledBatch) -> Result<(), catalog::Error> {
        for finished in &batch.entries {
            self.tree.push(&batch.directory, &finished.name, &finished.entry)?;
            self.remember(&batch.directory, finished);
            self.counts.add(finished);
            match finished.reused {
                true if matches!(finished.entry.kind, EntryKind::File(_)) => self.reused += 1,
                true => {}
                false => self.bytes_read += finished.entry.size,
            }
            if finished.status != EntryStatus::Unchanged || self.wants_all {
                let path = batch.directory.join(finished.name.clone()).to_bytes();
                self.events.emit(Event::Entry { path, status: finished.status, size: finished.entry.size });
            }
        }
        Ok(())
    }

    /// The cache only saves time: when it cannot be written, the next run reads more, and this one goes on.
    fn remember(&mut self, directory: &EntryPath, finished: &Finished) {
        let Some(cache) = &mut self.cache else { return };
        let Finished { name, entry, device, inode, .. } = finished;
        let settled = entry.changed.seconds < self.distrust && entry.modified.seconds < self.distrust;
        let future = entry.modified.seconds > self.distrust + DISTRUST_SECONDS && entry.changed.seconds < self.distrust;
        let inode = if settled || future { *inode } else { UNTRUSTED };
        key::encode_child(directory, name, &mut self.key);
        if let Err(error) = cache.push(&self.key, *device, inode, entry) {
            self.cache = None;
            let text = format!("the change cache cannot be written, the next run reads every file: {error}");
            self.events.emit(Event::Message(Level::Warning, text));
        }
    }
}

/// What an [`Assembler`] made.
pub(super) struct Assembled {
    /// The catalog.
    pub root: TreeRoot,
    /// The cache, to be finished once the snapshot is committed.
    pub cache: Option<CacheWriter>,
    /// What was counted.
    pub counts: Counts,
    /// Bytes of files that were read.
    pub bytes_read: u64,
    /// Files whose content was taken from the parent.
    pub reused: u64,
}
