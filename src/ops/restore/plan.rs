//! From the catalog's order to tasks: makes directories, batches what is in them, and knows when one is complete.
//!
//! The catalog lists a directory's children together and their subtrees after that, so the way from the target to the
//! directory at hand is a stack. Directories whose entry is lost to damage are made all the same for what is in them.

use super::attributes::Attributes;
use super::beneath;
use super::context::Context;
use super::folder::Folder;
use super::report::Done;
use super::worker::{Large, Task};
use crate::repo::entry::{Entry, EntryKind, EntryName, EntryPath};
use crossbeam_channel::Sender;
use std::collections::VecDeque;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;

/// Entries in one batch: enough to open their directory once, few enough to keep all threads busy.
const BATCH_ENTRIES: usize = 64;

/// Bytes of content in one batch: about one segment.
const BATCH_BYTES: u64 = 1 << 20;

/// Regular files from this size on are shared among threads.
const LARGE: u64 = 16 << 20;

/// Turns entries in catalog order into tasks.
pub(super) struct Plan<'c, 'a> {
    context: &'c Context<'a>,
    queue: Sender<Task>,
    threads: usize,
    base: usize,
    stack: Vec<Level>,
    batch: Vec<(EntryName, Entry)>,
    batch_bytes: u64,
}

/// One directory on the way from the target to the one at hand.
struct Level {
    name: Option<EntryName>,
    /// `None` when it could not be made or entered: nothing in it is restored.
    folder: Option<Arc<Folder>>,
    /// Directories in it whose own turn has not come, in order of their names; `None` when they could not be made.
    waiting: VecDeque<(EntryName, Option<Attributes>)>,
}

impl<'c, 'a> Plan<'c, 'a> {
    /// Plans below `target`, which stands for the directory of the snapshot whose path has `base` names.
    pub(super) fn new(
        context: &'c Context<'a>,
        queue: Sender<Task>,
        threads: usize,
        base: usize,
        target: Arc<Folder>,
    ) -> Self {
        let root = Level { name: None, folder: Some(target), waiting: VecDeque::new() };
        Self { context, queue, threads, base, stack: vec![root], batch: Vec::new(), batch_bytes: 0 }
    }

    /// Takes the next entry; `path` lies below the base.
    pub(super) fn entry(&mut self, path: &EntryPath, entry: Entry) {
        let Some((name, parents)) = path.0[self.base..].split_last() else { return };
        if !self.is_at(parents) {
            self.go_to(parents);
        }
        let Some(folder) = self.level().folder.clone() else { return self.context.report.skipped(entry.size) };
        match entry.kind {
            EntryKind::Directory => self.directory(&folder, path, name, entry),
            EntryKind::File(_) if entry.size >= LARGE => {
                let large = Large::new(folder, name.clone(), entry);
                (1..self.threads).for_each(|_| self.send(Task::Large(large.clone())));
                // The last hold goes too: whoever drops it finishes the file.
                self.send(Task::Large(large));
            }
            _ => {
                self.batch_bytes += entry.size;
                self.batch.push((name.clone(), entry));
                if self.batch.len() >= BATCH_ENTRIES || self.batch_bytes >= BATCH_BYTES {
                    self.flush();
                }
            }
        }
    }

    /// Ends the plan: everything is on its way.
    pub(super) fn finish(mut self) {
        self.flush();
        while !self.stack.is_empty() {
            self.close();
        }
    }

    fn level(&mut self) -> &mut Level {
        self.stack.last_mut().expect("the target's own level stays until the end")
    }

    fn is_at(&self, parents: &[EntryName]) -> bool {
        // The last name differs most often: compare from there.
        self.stack.len() == parents.len() + 1
            && self.stack[1..]
                .iter()
                .rev()
                .zip(parents.iter().rev())
                .all(|(level, name)| level.name.as_ref() == Some(name))
    }

    fn go_to(&mut self, parents: &[EntryName]) {
        self.flush();
        let shared = self.stack[1..].iter().zip(parents).take_while(|(level, name)| level.name.as_ref() == Some(name));
        let shared = shared.count();
        while self.stack.len() > shared + 1 {
            self.close();
        }
        for name in &parents[shared..] {
            self.descend(name);
        }
    }

    fn directory(&mut self, folder: &Arc<Folder>, path: &EntryPath, name: &EntryName, mut entry: Entry) {
        let made = self.make(folder, name);
        let attributes = match made {
            Ok(()) => {
                self.context.report.done(path, Done::Directory, 0);
                Some(Attributes::take(self.context, &mut entry))
            }
            Err(error) => {
                self.context.report.problem(path, "create", error);
                self.context.report.skipped(0);
                None
            }
        };
        self.level().waiting.push_back((name.clone(), attributes));
    }

    fn make(&self, folder: &Folder, name: &EntryName) -> io::Result<()> {
        let dir = self.context.handles.get(&folder.location)?;
        beneath::make_directory(dir.as_fd(), name).map(drop)
    }

    /// Goes into `name`. Directories before it will not be visited any more: they are empty.
    fn descend(&mut self, name: &EntryName) {
        while self.level().waiting.front().is_some_and(|(other, _)| other < name) {
            self.close_empty();
        }
        let known = match self.level().waiting.front() {
            Some((other, _)) if other == name => self.level().waiting.pop_front(),
            _ => None,
        };
        let folder = self.level().folder.clone().and_then(|parent| {
            let entered = match known {
                Some((_, None)) => None,
                Some((_, attributes)) => Some(parent.enter(self.context, name, attributes)),
                // Its entry is lost, and was reported.
                None => Some(self.make(&parent, name).and_then(|()| parent.enter(self.context, name, None))),
            };
            let report = |error| {
                self.context.report.problem(&parent.location.path.join(name.clone()), "open", error);
            };
            entered?.map_err(report).ok()
        });
        self.stack.push(Level { name: Some(name.clone()), folder, waiting: VecDeque::new() });
    }

    /// Gives the first waiting directory, which has nothing in it, its attributes.
    fn close_empty(&mut self) {
        if let Some((name, _)) = self.level().waiting.front() {
            let name = name.clone();
            self.descend(&name);
            self.close();
        }
    }

    /// Leaves the innermost directory; what is still to be written into it keeps it alive.
    fn close(&mut self) {
        while !self.level().waiting.is_empty() {
            self.close_empty();
        }
        if let Some(Level { folder: Some(folder), .. }) = self.stack.pop() {
            Folder::leave(self.context, folder);
        }
    }

    fn flush(&mut self) {
        let entries = std::mem::take(&mut self.batch);
        self.batch_bytes = 0;
        if let (false, Some(folder)) = (entries.is_empty(), self.level().folder.clone()) {
            self.send(Task::Batch { folder, entries });
        }
    }

    fn send(&self, task: Task) {
        self.queue.send(task).expect("the threads take tasks until the plan is gone");
    }
}
