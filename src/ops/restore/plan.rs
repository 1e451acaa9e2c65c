//! From the catalog's order to tasks: makes directories, batches what is in them, and knows when one is complete.
//!
//! The catalog lists a directory's children together and their subtrees after that, so the way from the target to the
//! directory at hand is a stack. Directories that were not selected themselves are made when something in them is, with the
//! attributes that the snapshot has for them; if their entry is lost to damage, without.

use super::attributes::Attributes;
use super::beneath;
use super::context::Context;
use super::folder::Folder;
use super::overwrite::Overwrite;
use super::report::Done;
use super::sweep;
use super::worker::{Large, Task};
use crate::event::RestoreAction;
use crate::repo::entry::{Entry, EntryKind, EntryName, EntryPath};
use crossbeam_channel::Sender;
use rustix::fs::FileType;
use std::collections::VecDeque;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

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
    /// The names of a path that are not made in the target, and how many they are.
    base: EntryPath,
    depth: usize,
    /// What the snapshot has at a path that was not selected.
    entry_at: &'c dyn Fn(&EntryPath) -> Option<Entry>,
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
    /// Plans below `target`, which stands for directories of the snapshot whose paths have `depth` names.
    pub(super) fn new(
        context: &'c Context<'a>,
        queue: Sender<Task>,
        threads: usize,
        depth: usize,
        entry_at: &'c dyn Fn(&EntryPath) -> Option<Entry>,
        target: Arc<Folder>,
    ) -> Self {
        let base = target.location.path.clone();
        let root = Level { name: None, folder: Some(target), waiting: VecDeque::new() };
        Self { context, queue, threads, base, depth, entry_at, stack: vec![root], batch: Vec::new(), batch_bytes: 0 }
    }

    /// Takes the next entry, if it lies below what the target stands for.
    pub(super) fn entry(&mut self, path: &EntryPath, entry: Entry) {
        let Some((name, parents)) = path.0.get(self.depth..).and_then(<[EntryName]>::split_last) else { return };
        if path.0[..self.depth] != self.base.0 {
            self.stand_for(EntryPath(path.0[..self.depth].to_vec()));
        }
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

    /// From here on the target stands for `path`: leading names are stripped, and those of another directory follow.
    fn stand_for(&mut self, path: EntryPath) {
        self.flush();
        let before = self.stack[0].folder.as_ref().map(Arc::downgrade);
        while !self.stack.is_empty() {
            self.close();
        }
        // The same directories may come again: what they get now must not be overtaken by what is still to be done for them.
        while before.as_ref().is_some_and(|before| before.strong_count() > 0) && !self.context.report.stopping() {
            std::thread::sleep(Duration::from_millis(1));
        }
        self.base = path;
        let folder = Folder::target(&self.context.handles, self.base.clone(), None);
        let folder = folder.map_err(|error| self.context.report.problem(&self.base, "open", error)).ok();
        self.stack.push(Level { name: None, folder, waiting: VecDeque::new() });
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
            Ok(fresh) => {
                let action = if fresh { RestoreAction::Restored } else { RestoreAction::Unchanged };
                self.context.report.done(path, Done::Directory(action), 0);
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

    /// Makes the directory `name`, and returns whether it is new.
    fn make(&self, folder: &Folder, name: &EntryName) -> io::Result<bool> {
        let dir = self.context.handles.get(&folder.location)?;
        if self.context.overwrite == Overwrite::Never
            && beneath::stat(dir.as_fd(), name).is_ok_and(|stat| beneath::file_type(&stat) != FileType::Directory)
        {
            let reason = "something that is no directory stands there, and nothing is to be overwritten";
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, reason));
        }
        beneath::make_directory(dir.as_fd(), name)
    }

    /// Makes a directory that leads to something selected, and takes the attributes that the snapshot has for it.
    fn make_way(&self, parent: &Folder, name: &EntryName) -> io::Result<Option<Attributes>> {
        let fresh = self.make(parent, name)?;
        let path = parent.location.path.join(name.clone());
        Ok((self.entry_at)(&path).map(|mut entry| {
            let action = if fresh { RestoreAction::Restored } else { RestoreAction::Unchanged };
            self.context.report.done(&path, Done::Directory(action), 0);
            Attributes::take(self.context, &mut entry)
        }))
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
                // It was not selected; or its entry is lost, and was reported.
                None => Some(
                    self.make_way(&parent, name).and_then(|attributes| parent.enter(self.context, name, attributes)),
                ),
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
            if self.context.sweep.is_some() {
                match self.context.handles.get(&folder.location) {
                    Ok(dir) => sweep::sweep(self.context, dir.as_fd(), &folder.location.path),
                    Err(error) => self.context.report.problem(&folder.location.path, "delete", error),
                }
            }
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
