//! Restore: a snapshot, or part of one, into a directory.
//!
//! Nothing is ever written outside the target, and no symbolic link in it is followed. What cannot be restored is reported
//! and passed over; everything else is restored. The selection decides what lands where:
//!
//! - the whole snapshot: absolute paths below the target;
//! - a directory of it: what is in that directory, into the target itself;
//! - anything else: that one entry, into the target.
//!
//! Entries are taken in catalog order, which is about the order in which their bytes are stored.

mod attributes;
mod beneath;
mod content;
mod context;
mod error;
mod file;
mod flags;
mod folder;
pub(super) mod links;
mod look;
mod options;
mod output;
mod overwrite;
mod owners;
mod plan;
mod report;
mod slices;
mod special;
mod sweep;
mod worker;
mod xattrs;

#[cfg(test)]
mod tests;

pub use error::Error;
pub use options::{Options, Summary};
pub use overwrite::Overwrite;
pub use sweep::Delete;

use crate::event::Sink;
use crate::ops::select::{Judge, Select};
use crate::repo::catalog::{self, Fault, Hidden, Tree};
use crate::repo::chunks::ChunkSource;
use crate::repo::entry::{Entry, EntryKind, EntryPath};
use attributes::Attributes;
use context::Context;
use folder::{Folder, Handles};
use links::Links;
use look::Looker;
use owners::Owners;
use plan::Plan;
use report::Report;
use rustix::fs::{Mode, OFlags};
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Arc, Mutex};
use sweep::Sweep;

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
    if options.delete.is_some() {
        may_delete(&options.select, target)?;
    }
    // Totals serve the progress bar alone: damage that hides them is met, and reported, on the walk. What patterns leave of
    // them is not known before.
    let all = options.select.is_everything();
    let sums = if all { tree.sums(selection).unwrap_or_default() } else { catalog::Sums::default() };
    let report = Report::new(sink, sums.entries, sums.bytes);
    let top = Top { path: selection.clone(), entry: top };
    let mut judge = Judge::new(&options.select);
    let selected =
        move |item: &Result<(EntryPath, Entry), Gap>| item.as_ref().map_or(true, |(path, _)| judge.selects(path));
    let walk = || tree.walk(selection).map(|item| item.map_err(|error| Gap::new(selection, &error)));
    let (first, second) = (walk().filter(selected.clone()), walk().filter(selected));
    let entry_at = |path: &EntryPath| tree.get(path).ok().flatten().map(|found| found.entry);
    // One file is restored beside others of its folder: nothing is deleted there.
    let delete = options.delete.as_ref().filter(|_| top.is_directory());
    let sweep =
        delete.map(|delete| Sweep { tree, select: &options.select, delete, device: None, dry_run: options.dry_run });
    run(top, first, second, &entry_at, sweep, source, target, options, report)
}

/// Whether a restore into `target` may delete what the snapshot lacks: of a whole machine only what patterns name.
///
/// # Errors
/// [`Error::DeleteRoot`].
pub fn may_delete(select: &Select, target: &Path) -> Result<(), Error> {
    if select.is_everything() && is_root(target) { Err(Error::DeleteRoot) } else { Ok(()) }
}

/// Whether `path` is the root of the file system, by whatever name.
fn is_root(path: &Path) -> bool {
    let identity = |path: &Path| rustix::fs::stat(path).map(|stat| (stat.st_dev, stat.st_ino)).ok();
    identity(path).is_some_and(|target| Some(target) == identity(Path::new("/")))
}

/// Entries that cannot be read.
struct Gap {
    /// The first of them, as far as that is known.
    path: EntryPath,
    reason: String,
    damage: bool,
    archived: bool,
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
        Self { path, reason: error.to_string(), damage: is_damage(error), archived: report::is_archived(error) }
    }

    fn tell(self, report: &Report<'_>) {
        report.unreadable(&self.path, "catalog", self.reason, self.damage);
        if self.archived {
            report.archived();
        }
    }
}

/// Whether a page that cannot be read is damage, and not a store that fails or a key that is missing.
pub(super) fn is_damage(error: &catalog::Error) -> bool {
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

/// Restores `first`, and reads `second`, which gives the same once more, back if that is asked for.
#[allow(clippy::too_many_arguments)]
fn run(
    top: Top,
    first: impl Iterator<Item = Result<(EntryPath, Entry), Gap>>,
    second: impl Iterator<Item = Result<(EntryPath, Entry), Gap>>,
    entry_at: &dyn Fn(&EntryPath) -> Option<Entry>,
    sweep: Option<Sweep<'_>>,
    source: Arc<dyn ChunkSource>,
    target: &Path,
    options: &Options,
    report: Report<'_>,
) -> Result<Summary, Error> {
    let base = top.base();
    let depth = base.0.len() + options.strip;
    let unusable = |source| Error::Target { path: target.to_owned(), source };
    let opened = if options.dry_run { look_at(target) } else { open_target(target).map(Some) };
    let opened = opened.map_err(unusable)?;
    let unused = opened.as_ref().is_none_or(|(_, unused)| *unused);
    let handle = opened.map(|(handle, _)| handle);
    let device = handle.as_ref().and_then(|handle| rustix::fs::fstat(handle).ok()).map(|stat| stat.st_dev);
    let looker = Looker::new(handle.as_ref().and_then(|handle| handle.try_clone().ok()));
    let context = Context {
        source,
        handles: Handles::new(handle, depth),
        links: Links::default(),
        owners: Owners::new(options.numeric_ids),
        report,
        root: rustix::process::geteuid().is_root(),
        overwrite: options.overwrite,
        sweep: sweep.map(|sweep| Sweep { device, ..sweep }),
        kept: (options.verify && options.overwrite != Overwrite::Always).then(Mutex::default),
    };
    if options.dry_run {
        look::pretend(&context, first, depth, looker);
    } else {
        let selected = options.strip == 0 && options.select.judge(&base).selected();
        let attributes = own_attributes(&context, top, selected, unused);
        let folder = Folder::target(&context.handles, base, attributes).map_err(unusable)?;
        write(&context, first, depth, entry_at, folder, threads(options));
        Links::freeze(&context);
        context.owners.failures().into_iter().for_each(|failure| context.report.lookup_failed(failure));
        context.report.tell_foreign_owners();
        if options.verify {
            look::read_back(&context, second, depth, looker, threads(options));
        }
    }
    if context.report.stopping() { Err(Error::Stopped) } else { Ok(context.report.summary()) }
}

/// What to give the target itself: what the directory has that it stands for, unless the target serves others too.
fn own_attributes(context: &Context<'_>, top: Top, selected: bool, unused: bool) -> Option<Attributes> {
    let shared = context.handles.target_is_sticky();
    let own = selected && top.is_directory() && (unused || !top.path.0.is_empty()) && !shared;
    top.entry.filter(|_| own).map(|mut entry| Attributes::take(context, &mut entry))
}

/// Plans on this thread, writes on others.
fn write(
    context: &Context<'_>,
    entries: impl Iterator<Item = Result<(EntryPath, Entry), Gap>>,
    depth: usize,
    entry_at: &dyn Fn(&EntryPath) -> Option<Entry>,
    target: Arc<Folder>,
    threads: usize,
) {
    // A few batches for each thread: work does not run out, and memory stays small.
    let (sender, receiver) = crossbeam_channel::bounded(4 * threads);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| worker::run(context, &receiver));
        }
        let mut plan = Plan::new(context, sender, threads, depth, entry_at, target);
        for entry in entries {
            if context.report.stopping() {
                break;
            }
            match entry {
                Ok((path, entry)) => plan.entry(&path, entry),
                Err(gap) => gap.tell(&context.report),
            }
        }
        plan.finish();
    });
}

fn threads(options: &Options) -> usize {
    match options.threads {
        0 => std::thread::available_parallelism().map_or(2, |cores| cores.get().max(2)),
        threads => threads,
    }
}

/// As [`open_target`], but nothing is made: `None` when there is none.
fn look_at(path: &Path) -> io::Result<Option<(OwnedFd, bool)>> {
    match path.metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        _ => open_target(path).map(Some),
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
