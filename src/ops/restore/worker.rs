//! What the writing threads do: batches of entries of one directory, or large files that several of them share.

use super::context::Context;
use super::file::Job;
use super::folder::Folder;
use super::special;
use crate::repo::entry::{Entry, EntryKind, EntryName};
use crossbeam_channel::Receiver;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Work for a thread.
pub(super) enum Task {
    /// Entries of one directory, no directories among them.
    Batch { folder: Arc<Folder>, entries: Vec<(EntryName, Entry)> },
    /// One regular file. The same task goes to every thread; those that are free work on it together.
    Large(Arc<Large>),
}

/// A regular file large enough to be worth several threads.
pub(super) struct Large {
    folder: Arc<Folder>,
    name: EntryName,
    entry: Mutex<Option<Entry>>,
    job: OnceLock<Option<Job>>,
}

impl Large {
    /// A regular file `name` in `folder`.
    pub(super) fn new(folder: Arc<Folder>, name: EntryName, entry: Entry) -> Arc<Self> {
        Arc::new(Self { folder, name, entry: Mutex::new(Some(entry)), job: OnceLock::new() })
    }

    /// Starts the file: the first thread makes it, the others wait for that.
    fn start(&self, context: &Context<'_>) -> Option<Job> {
        let entry = self.entry.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        match context.handles.get(&self.folder.location) {
            Ok(dir) => Job::start(context, &self.folder, dir.as_fd(), &self.name, entry),
            Err(error) => {
                context.report.problem(&self.folder.location.path.join(self.name.clone()), "create", error);
                context.report.skipped(entry.size);
                None
            }
        }
    }

    /// Takes part; the last one to leave finishes the file.
    fn run(self: Arc<Self>, context: &Context<'_>) {
        if let Some(job) = self.job.get_or_init(|| self.start(context)) {
            job.work(context);
        }
        if let Some(last) = Arc::into_inner(self) {
            if let Some(job) = last.job.into_inner().flatten() {
                job.finish(context, &last.folder, &last.name);
            }
            Folder::leave(context, last.folder);
        }
    }
}

/// Works until the queue ends.
pub(super) fn run(context: &Context<'_>, queue: &Receiver<Task>) {
    for task in queue {
        match task {
            Task::Batch { folder, entries } => batch(context, folder, entries),
            Task::Large(large) => large.run(context),
        }
    }
}

fn batch(context: &Context<'_>, folder: Arc<Folder>, entries: Vec<(EntryName, Entry)>) {
    match context.handles.get(&folder.location) {
        Ok(dir) => {
            for (name, entry) in entries {
                if context.report.stopping() {
                    break;
                }
                if !matches!(entry.kind, EntryKind::File(_)) {
                    special::restore(context, &folder, dir.as_fd(), &name, entry);
                } else if let Some(job) = Job::start(context, &folder, dir.as_fd(), &name, entry) {
                    job.work(context);
                    job.finish(context, &folder, &name);
                }
            }
        }
        Err(error) => {
            context.report.problem(&folder.location.path, "open", error);
            entries.iter().for_each(|(_, entry)| context.report.skipped(entry.size));
        }
    }
    Folder::leave(context, folder);
}
