//! Restore: a snapshot, or part of one, into a directory.
//!
//! Nothing is ever written outside the target, and no symbolic link in it is followed. What cannot be restored is reported
//! and passed over; everything else is restored. The selection decides what lands where:
//!
//! - the whole snapshot: absolute paths below the target;
//! - a directory of it: what is in that directory, into the target itself;
//! - anything else: that one entry, into the target.
//!
//! Entries are taken in catalog order, which is about the order in which their bytes are stored. It does not delete what the
//! snapshot does not have.

mod attributes;
mod beneath;
mod content;
mod context;
mod error;
mod file;
mod flags;
mod folder;
mod links;
mod output;
mod owners;
mod plan;
mod report;
mod slices;
mod special;
mod worker;
mod xattrs;

#[cfg(test)]
mod tests;

pub use error::Error;

use crate::event::Sink;
use crate::repo::catalog::{self, Fault, Hidden, Tree};
use crate::repo::chunks::ChunkSource;
use crate::repo::entry::{Entry, EntryKind, EntryPath};
use attributes::Attributes;
use context::Context;
use folder::{Folder, Handles};
use links::Links;
use owners::Owners;
use plan::Plan;
use report::{Done, Report};
use rustix::fs::{Mode, OFlags};
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

/// How to restore.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Owners and groups by stored number, even where this machine knows the stored name.
    pub numeric_ids: bool,
    /// Write nothing, make nothing; tell what would be restored.
    pub dry_run: bool,
    /// Threads that write files; 0 for as many as there are cores, two at least.
    pub threads: usize,
}

/// What a restore did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summary {
    /// Regular files in their place, further names of one inode included.
    pub files: u64,
    /// Directories, without the target itself.
    pub directories: u64,
    /// Symbolic links, pipes, sockets and devices.
    pub others: u64,
    /// Bytes of the regular files handled.
    pub bytes: u64,
    /// Regular files among them that had every byte already.
    pub unchanged: u64,
    /// Entries that are not in their place.
    pub skipped: u64,
    /// Things that could not be done or applied here: the restore is incomplete.
    pub problems: u64,
    /// Parts of the snapshot that cannot be read from the repository.
    pub damaged: u64,
    /// Entries that keep the running user as their owner, because only root may give files away.
    pub foreign_owners: u64,
}

/// Restores `selection` of the snapshot whose catalog is `tree` into the directory `target`, which is made if need be.
///
/// The target takes the attributes of the directory that it stands for, unless it is shared (sticky, as `/tmp`) or the
/// whole snapshot goes into a directory that already holds something.
///
/// # Errors
/// When the target is unusable, the selection not found, or somebody asked to stop. What goes wrong with single entries is
/// an event and a count in the summary.
pub fn restore(
    tree: &Tree,
    source: Arc<dyn ChunkSource>,
    selection: &EntryPath,
    target: &Path,
    options: &Options,
    sink: &dyn Sink,
) -> Result<Summary, Error> {
    tree.sums(&EntryPath::default()).map_err(Error::Catalog)?;
    let top = match tree.get(selection) {
        Ok(Some(found)) => Some(found.entry),
        Ok(None) if !selection.0.is_empty() => return Err(Error::NotInSnapshot { path: selection.to_bytes() }),
        // What lies below may be readable still: the walk will tell.
        Ok(None) | Err(_) => None,
    };
    // Totals serve the progress bar alone: damage that hides them is met, and reported, on the walk.
    let sums = tree.sums(selection).unwrap_or_default();
    let report = Report::new(sink, sums.entries, sums.bytes);
    let entries = tree.walk(selection).map(|item| item.map_err(|error| Gap::new(selection, &error)));
    run(Top { path: selection.clone(), entry: top }, entries, source, target, options, report)
}

/// Entries that cannot be read.
struct Gap {
    /// The first of them, as far as that is known.
    path: EntryPath,
    reason: String,
    damage: bool,
}

impl Gap {
    fn new(selection: &EntryPath, error: &catalog::Error) -> Self {
        let path = match error {
            catalog::Error::Page(page) => match &page.hidden {
                Hidden::Entries { from, .. } => from.clone(),
                Hidden::Unknown | Hidden::Bytes { .. } => selection.clone(),
            },
            _ => selection.clone(),
        };
        Self { path, reason: error.to_string(), damage: is_damage(error) }
    }
}

/// Whether a page that cannot be read is damage, and not a store that fails or a key that is missing.
fn is_damage(error: &catalog::Error) -> bool {
    match error {
        catalog::Error::Page(page) => !matches!(&page.cause, Fault::Chunk(error) if !report::is_damage(error)),
        _ => true,
    }
}

/// What was selected.
struct Top {
    path: EntryPath,
    /// `None` when it cannot be read, or is a root without attributes: taken for a directory.
    entry: Option<Entry>,
}

impl Top {
    fn is_directory(&self) -> bool {
        self.entry.as_ref().is_none_or(|entry| entry.kind == EntryKind::Directory)
    }

    /// The directory of the snapshot that the target stands for.
    fn base(&self) -> EntryPath {
        let names = self.path.0.len() - usize::from(!self.is_directory());
        EntryPath(self.path.0[..names].to_vec())
    }
}

fn run(
    top: Top,
    entries: impl Iterator<Item = Result<(EntryPath, Entry), Gap>>,
    source: Arc<dyn ChunkSource>,
    target: &Path,
    options: &Options,
    report: Report<'_>,
) -> Result<Summary, Error> {
    let base = top.base();
    if options.dry_run {
        return pretend(entries, base.0.len(), &report);
    }
    let unusable = |source| Error::Target { path: target.to_owned(), source };
    let (handle, unused) = open_target(target).map_err(unusable)?;
    let shared = rustix::fs::fstat(&handle).is_ok_and(|stat| Mode::from_raw_mode(stat.st_mode).contains(Mode::SVTX));
    let context = Context {
        source,
        handles: Handles::new(handle, base.clone()),
        links: Links::default(),
        owners: Owners::new(options.numeric_ids),
        report,
        root: rustix::process::geteuid().is_root(),
    };
    let whole = top.path.0.is_empty();
    let own = top.is_directory() && (unused || !whole) && !shared;
    let attributes = top.entry.filter(|_| own).map(|mut entry| Attributes::take(&context, &mut entry));
    let folder = Folder::target(&context.handles, attributes).map_err(unusable)?;
    write(&context, entries, base.0.len(), folder, threads(options));
    Links::freeze(&context);
    context.owners.failures().into_iter().for_each(|failure| context.report.lookup_failed(failure));
    context.report.tell_foreign_owners();
    if context.report.stopping() { Err(Error::Stopped) } else { Ok(context.report.summary()) }
}

/// Plans on this thread, writes on others.
fn write(
    context: &Context<'_>,
    entries: impl Iterator<Item = Result<(EntryPath, Entry), Gap>>,
    base: usize,
    target: Arc<Folder>,
    threads: usize,
) {
    // A few batches for each thread: work does not run out, and memory stays small.
    let (sender, receiver) = crossbeam_channel::bounded(4 * threads);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| worker::run(context, &receiver));
        }
        let mut plan = Plan::new(context, sender, threads, base, target);
        for entry in entries {
            if context.report.stopping() {
                break;
            }
            match entry {
                Ok((path, entry)) => plan.entry(&path, entry),
                Err(gap) => context.report.unreadable(&gap.path, "catalog", gap.reason, gap.damage),
            }
        }
        plan.finish();
    });
}

/// Goes through the entries without touching anything.
fn pretend(
    entries: impl Iterator<Item = Result<(EntryPath, Entry), Gap>>,
    base: usize,
    report: &Report<'_>,
) -> Result<Summary, Error> {
    for entry in entries {
        if report.stopping() {
            return Err(Error::Stopped);
        }
        match entry {
            Ok((path, _)) if path.0.len() <= base => {}
            Ok((path, entry)) => {
                let what = match entry.kind {
                    EntryKind::File(_) => Done::File { unchanged: false },
                    EntryKind::Directory => Done::Directory,
                    _ => Done::Other,
                };
                report.advance(entry.size);
                report.done(&path, what, entry.size);
            }
            Err(gap) => report.unreadable(&gap.path, "catalog", gap.reason, gap.damage),
        }
    }
    Ok(report.summary())
}

fn threads(options: &Options) -> usize {
    match options.threads {
        0 => std::thread::available_parallelism().map_or(2, |cores| cores.get().max(2)),
        threads => threads,
    }
}

/// Opens the target, made first if need be, and tells whether nothing was in it.
fn open_target(path: &Path) -> io::Result<(OwnedFd, bool)> {
    std::fs::create_dir_all(path)?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let handle = rustix::fs::openat(rustix::fs::CWD, path, flags, Mode::empty())?;
    let unused = std::fs::read_dir(path)?.next().is_none();
    Ok((handle, unused))
}
