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
    /// The paths that were asked for.
    roots: &'a [EntryPath],
    wants_all: bool,
    /// Stamps from here on may hide a later change within the clock's grain.
    distrust: i64,
    next: u64,
    figures: Assembled,
    key: Vec<u8>,
}

/// What an [`Assembler`] has put together so far.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Assembled {
    /// Entries by what they are.
    pub counts: Counts,
    /// Bytes of files that were read.
    pub bytes_read: u64,
    /// Files whose content was taken from an earlier snapshot.
    pub reused: u64,
    /// Whether any entry at or below a path that was asked for is not as the parent has it.
    pub changed: bool,
}

/// How long before the scan a stamp must lie to be trusted, in seconds: the coarsest file systems count in twos.
pub(super) const DISTRUST_SECONDS: i64 = 2;

impl<'a> Assembler<'a> {
    /// An assembler over a tree writer that already has the root's own entry.
    pub fn new(
        tree: TreeWriter<'a>,
        cache: Option<CacheWriter>,
        roots: &'a [EntryPath],
        events: &'a dyn Sink,
        scan: Timestamp,
    ) -> Self {
        let (distrust, figures) = (scan.seconds - DISTRUST_SECONDS, Assembled::default());
        let wants_all = events.wants_all();
        Self { tree, cache, events, roots, wants_all, distrust, next: 0, figures, key: Vec::new() }
    }

    /// Takes batches until all senders are gone. Batches arrive in any order; early ones wait here, as many as the gate let in.
    /// What still waits at the end, because somebody asked to stop, is dropped.
    ///
    /// # Errors
    /// When the catalog cannot be written.
    pub fn run(&mut self, batches: &Receiver<FilledBatch>, gate: &Gate) -> Result<(), catalog::Error> {
        let mut waiting = BTreeMap::new();
        for batch in batches {
            waiting.insert(batch.number, batch);
            while let Some(batch) = waiting.remove(&self.next) {
                self.next += 1;
                let units = batch.units;
                self.take(batch)?;
                gate.leave(units);
            }
        }
        Ok(())
    }

    /// The catalog of what was taken so far.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn catalog(&self) -> Result<TreeRoot, catalog::Error> {
        self.tree.so_far()
    }

    /// What was taken so far.
    pub const fn figures(&self) -> Assembled {
        self.figures
    }

    /// The cache of what was taken so far; `None` if there is none to keep.
    pub const fn cache(&mut self) -> &mut Option<CacheWriter> {
        &mut self.cache
    }

    fn take(&mut self, batch: FilledBatch) -> Result<(), catalog::Error> {
        let wanted = self.roots.iter().any(|root| batch.directory.0.starts_with(&root.0));
        for finished in &batch.entries {
            self.tree.push(&batch.directory, &finished.name, &finished.entry)?;
            self.remember(&batch.directory, finished);
            let figures = &mut self.figures;
            figures.counts.add(finished);
            match finished.reused {
                true if matches!(finished.entry.kind, EntryKind::File(_)) => figures.reused += 1,
                true => {}
                false => figures.bytes_read += finished.entry.size,
            }
            let unchanged = finished.status == EntryStatus::Unchanged;
            if !unchanged || self.wants_all {
                let path = batch.directory.join(finished.name.clone());
                self.figures.changed |= !unchanged && (wanted || self.roots.contains(&path));
                let event = Event::Entry { path: path.to_bytes(), status: finished.status, size: finished.entry.size };
                self.events.emit(event);
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
