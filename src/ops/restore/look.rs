//! Looking at what the target holds, without touching it: for a dry run, and to read back what was restored.

use super::beneath;
use super::content;
use super::context::Context;
use super::overwrite::Decision;
use super::report::Done;
use super::{Gap, special, sweep};
use crate::event::RestoreAction;
use crate::repo::entry::{Content, Entry, EntryKind, EntryName, EntryPath};
use rustix::fs::FileType;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::PoisonError;

/// The target's directories, opened as entries come along in catalog order.
pub(super) struct Looker {
    target: Option<OwnedFd>,
    /// From the target down; `None` where there is no such directory.
    open: Vec<(EntryName, Option<OwnedFd>)>,
}

impl Looker {
    /// A look at `target`, `None` if it does not exist.
    pub(super) const fn new(target: Option<OwnedFd>) -> Self {
        Self { target, open: Vec::new() }
    }

    /// The directory at `names` below the target, if it is there.
    pub(super) fn directory(&mut self, names: &[EntryName]) -> Option<BorrowedFd<'_>> {
        let shared = self.open.iter().zip(names).take_while(|((open, _), name)| open == *name).count();
        self.open.truncate(shared);
        for name in &names[shared..] {
            let above = match self.open.last() {
                Some((_, handle)) => handle.as_ref(),
                None => self.target.as_ref(),
            };
            let handle = above.and_then(|above| beneath::open_directory(above.as_fd(), name).ok());
            self.open.push((name.clone(), handle));
        }
        match self.open.last() {
            Some((_, handle)) => handle.as_ref().map(AsFd::as_fd),
            None => self.target.as_ref().map(AsFd::as_fd),
        }
    }
}

/// Tells what restoring `entries` would do. The first `depth` names of their paths are the target's.
pub(super) fn pretend(
    context: &Context<'_>,
    entries: impl Iterator<Item = Result<(EntryPath, Entry), Gap>>,
    depth: usize,
    mut looker: Looker,
) {
    for entry in entries {
        if context.report.stopping() {
            return;
        }
        match entry {
            Ok((path, entry)) => {
                if let Some(names) = path.0.get(depth..) {
                    one(context, &mut looker, &path, names, &entry);
                }
            }
            Err(gap) => gap.tell(&context.report),
        }
    }
}

fn one(context: &Context<'_>, looker: &mut Looker, path: &EntryPath, names: &[EntryName], entry: &Entry) {
    if entry.kind == EntryKind::Directory
        && context.sweep.is_some()
        && let Some(dir) = looker.directory(names)
    {
        sweep::sweep(context, dir, path);
    }
    let Some((name, parents)) = names.split_last() else { return };
    let action = looker.directory(parents).map_or(RestoreAction::Restored, |dir| outcome(context, dir, name, entry));
    context.report.advance(entry.size);
    let what = match entry.kind {
        EntryKind::File(_) => Done::File(action),
        EntryKind::Directory => Done::Directory(action),
        _ => Done::Other(action),
    };
    context.report.done(path, what, entry.size);
}

/// What would become of an entry.
fn outcome(context: &Context<'_>, dir: BorrowedFd<'_>, name: &EntryName, entry: &Entry) -> RestoreAction {
    let Ok(stat) = beneath::stat(dir, name) else { return RestoreAction::Restored };
    if entry.kind == EntryKind::Directory {
        let there = beneath::file_type(&stat) == FileType::Directory;
        return if there { RestoreAction::Unchanged } else { RestoreAction::Updated };
    }
    match context.overwrite.decide(Some(&stat), entry) {
        Decision::Keep => return RestoreAction::Kept,
        Decision::Trust => return RestoreAction::Unchanged,
        Decision::Write => {}
    }
    let same = beneath::file_type(&stat) == special::file_type(&entry.kind)
        && match &entry.kind {
            EntryKind::File(content) => {
                beneath::open_to_read(dir, name).is_ok_and(|file| same(context, file, content, entry.size))
            }
            kind => special::is_there(dir, name, kind),
        };
    if same { RestoreAction::Unchanged } else { RestoreAction::Updated }
}

fn same(context: &Context<'_>, file: OwnedFd, content: &Content, size: u64) -> bool {
    let difference = content::first_difference(&context.source, &File::from(file), content.clone(), size);
    matches!(difference, Ok(None))
}

/// Reads the regular files among `entries` back from the target, by `threads`, and reports those that differ.
pub(super) fn read_back(
    context: &Context<'_>,
    entries: impl Iterator<Item = Result<(EntryPath, Entry), Gap>>,
    depth: usize,
    mut looker: Looker,
    threads: usize,
) {
    let (sender, receiver) = crossbeam_channel::bounded::<(EntryPath, io::Result<OwnedFd>, Content, u64)>(4 * threads);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let receiver = receiver.clone();
            scope.spawn(move || {
                for (path, file, content, size) in receiver {
                    compare(context, &path, file, content, size);
                }
            });
        }
        drop(receiver);
        // What cannot be read of the catalog was reported when it was restored.
        for (path, entry) in entries.flatten() {
            let EntryKind::File(content) = entry.kind else { continue };
            let Some((name, parents)) = path.0.get(depth..).and_then(<[EntryName]>::split_last) else { continue };
            if context.report.stopping() {
                break;
            }
            let kept = |kept: &std::sync::Mutex<std::collections::HashSet<EntryPath>>| {
                kept.lock().unwrap_or_else(PoisonError::into_inner).contains(&path)
            };
            if context.kept.as_ref().is_some_and(kept) {
                continue;
            }
            let gone = || io::Error::from(io::ErrorKind::NotFound);
            let file = looker.directory(parents).ok_or_else(gone).and_then(|dir| beneath::open_to_read(dir, name));
            if sender.send((path, file, content, entry.size)).is_err() {
                break;
            }
        }
        drop(sender);
    });
}

fn compare(context: &Context<'_>, path: &EntryPath, file: io::Result<OwnedFd>, content: Content, size: u64) {
    if context.report.stopping() {
        return;
    }
    let found = file.and_then(|file| content::first_difference(&context.source, &File::from(file), content, size));
    match found {
        Ok(None) => context.report.verified(),
        Ok(Some(offset)) => {
            let reason = format!("what was restored differs from the snapshot, first at byte {offset}");
            context.report.problem(path, "verify", reason);
        }
        Err(error) => context.report.problem(path, "verify", error),
    }
}
