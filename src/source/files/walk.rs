//! The walk: every directory's listing, in the order of the catalog's keys.
//!
//! A directory comes before its subdirectories, these in the order of their names' bytes, each with all below it. The
//! first is always `/`; above the paths asked for only the way to them is listed, so that a restore can give the
//! directories on it their attributes. Only directories are opened, at most 64 of them stay open for the walk's own
//! sake, and nothing is remembered but the way down.

use super::dir::{DirHandle, Way};
use super::ignore::Ignores;
use super::list::{Lister, Listing, way};
use super::pseudo::is_pseudo;
use super::reason::Reason;
use super::roots::Node;
use super::rules::Rules;
use super::sieve::{Excluded, Sieve};
use super::stat::{Kind, Stat};
use crate::repo::entry::{EntryName, EntryPath};
use crate::source::{Cause, Problem};
use rustix::io::Errno;
use std::sync::Arc;

pub use super::list::Child;

/// Directories that the walk keeps open to come back to.
const OPEN: usize = 64;

/// What to walk.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Absolute paths. One below another adds nothing, unless the way to it is barred. A symlink is walked as a symlink.
    pub roots: Vec<EntryPath>,
    /// What to leave out. Patterns hold for the roots themselves and the way to them too.
    pub rules: Rules,
    /// Do not go down into directories on another file system than the root's that they lie below: such a directory is
    /// listed by its parent and stays empty.
    pub one_file_system: bool,
    /// Device and inode of directories never to enter: the repository's own.
    pub skip: Vec<(u64, u64)>,
    /// Device numbers of mounted repositories: not entered from outside, as every snapshot would be taken in again.
    pub repositories: Vec<u64>,
    /// A root that is a symlink to a named pipe or a block device stands for that.
    pub read_special: bool,
    /// List with each directory what the rules leave out of it.
    pub tell: bool,
    /// Go down to this path only, and tell what brought it back if something did.
    pub towards: Option<EntryPath>,
}

impl Options {
    /// Whether a step between these devices leads into a mounted repository.
    pub(super) fn enters_repository(&self, from: u64, to: u64) -> bool {
        from != to && self.repositories.contains(&to)
    }
}

/// One directory.
#[derive(Debug)]
pub struct Directory {
    /// Opens what is in it. Keeps a file descriptor open, so drop it soon.
    pub handle: Arc<DirHandle>,
    /// Its own attributes when it was opened.
    pub stat: Stat,
    /// What is in it, in the order of the names' bytes.
    pub children: Vec<Child>,
    /// What rules left out of it: all of it when the walk is to tell, else at least what was asked for by name.
    pub excluded: Vec<Excluded>,
    /// The rule that brought back what the walk goes towards.
    pub brought_back: Option<Reason>,
    /// Entries that could not be listed, and paths asked for that are not there.
    pub problems: Vec<Problem>,
}

impl Directory {
    /// Where it is.
    pub fn path(&self) -> &EntryPath {
        self.handle.path()
    }
}

/// A walk under way.
#[derive(Debug)]
pub struct Walk {
    options: Options,
    tree: Arc<Node>,
    lister: Lister,
    frames: Vec<Frame>,
    started: bool,
}

/// A directory whose subdirectories are still to come.
#[derive(Debug)]
struct Frame {
    path: Arc<EntryPath>,
    identity: (u64, u64),
    handle: Option<Arc<DirHandle>>,
    scope: Scope,
    ignores: Ignores,
    pending: std::vec::IntoIter<Pending>,
}

/// A subdirectory to go into.
#[derive(Debug)]
struct Pending {
    name: EntryName,
    uid: u32,
    node: Option<Arc<Node>>,
    way: Way,
}

/// What of a directory is walked, and what its subdirectories inherit.
#[derive(Debug, Clone, Copy)]
struct Scope {
    /// All of it; else only the way to paths asked for.
    all: bool,
    /// The device that it lies on.
    device: u64,
    /// The device to stay on.
    home: u64,
}

impl Walk {
    /// Starts a walk.
    ///
    /// # Errors
    /// When not one of the roots can be found (the error names the first).
    pub fn new(options: Options) -> Result<Self, Problem> {
        let mut failures = Vec::new();
        for root in &options.roots {
            match Stat::at(rustix::fs::CWD, &root.to_bytes(), false) {
                // Longer than one call takes, or an automount: the walk will see.
                Ok(_) | Err(Cause::System(Errno::NAMETOOLONG)) => {}
                Err(cause) => failures.push(Problem::new(root.to_bytes(), "looking for it", cause)),
            }
        }
        if failures.len() == options.roots.len() && !failures.is_empty() {
            return Err(failures.swap_remove(0));
        }
        let tree = Arc::new(Node::new(&options.roots));
        Ok(Self { options, tree, lister: Lister::new(), frames: Vec::new(), started: false })
    }

    /// The next directory, or one that cannot be listed at all and therefore stays empty; `None` at the end.
    pub fn next_directory(&mut self) -> Option<Result<Directory, Problem>> {
        if !std::mem::replace(&mut self.started, true) {
            return Some(self.start());
        }
        while let Some(frame) = self.frames.last_mut() {
            let Some(pending) = frame.pending.next() else {
                self.frames.pop();
                continue;
            };
            if let Some(found) = self.go_into(pending).transpose() {
                return Some(found);
            }
        }
        None
    }

    fn start(&mut self) -> Result<Directory, Problem> {
        let handle = Arc::new(DirHandle::root()?);
        let stat = Stat::at(&*handle, b"", false).map_err(|e| Problem::new(b"/".to_vec(), "reading attributes", e))?;
        let scope = Scope { all: self.tree.wanted, device: stat.dev, home: stat.dev };
        let tree = Arc::clone(&self.tree);
        Ok(self.list(handle, stat, scope, Some(&tree), Ignores::default()))
    }

    /// Opens and lists a subdirectory of the last frame's; `None` when nothing of it is to be walked.
    fn go_into(&mut self, pending: Pending) -> Result<Option<Directory>, Problem> {
        let Pending { name, uid, node, way } = pending;
        let (parent, above, ignores) = self.parent()?;
        let fail = |cause: Cause| parent.problem(&name, "opening the directory", cause);
        let handle = match parent.open(&name, uid, way) {
            // Gone since it was listed: whoever reads its attributes finds out.
            Err(Cause::System(Errno::NOENT)) => return Ok(None),
            other => Arc::new(other.map_err(fail)?),
        };
        let stat = Stat::at(&*handle, b"", false).map_err(fail)?;
        if self.options.skip.contains(&stat.identity()) {
            return if node.is_some() { Err(fail(Cause::Repository)) } else { Ok(None) };
        }
        let wanted = node.as_ref().is_some_and(|node| node.wanted);
        let scope = self.scope(above, &handle, &stat, wanted);
        if !scope.all && node.is_none() {
            return Ok(None);
        }
        Ok(Some(self.list(handle, stat, scope, node.as_deref(), ignores)))
    }

    fn scope(&self, above: Scope, handle: &DirHandle, stat: &Stat, wanted: bool) -> Scope {
        if wanted {
            return Scope { all: true, device: stat.dev, home: stat.dev };
        }
        let elsewhere = (self.options.one_file_system && stat.dev != above.home)
            || self.options.enters_repository(above.device, stat.dev);
        let all = above.all && !elsewhere && (stat.dev == above.device || !is_pseudo(handle));
        Scope { all, device: stat.dev, home: above.home }
    }

    fn list(
        &mut self,
        handle: Arc<DirHandle>,
        stat: Stat,
        scope: Scope,
        node: Option<&Node>,
        above: Ignores,
    ) -> Directory {
        let Options { rules, read_special, tell, .. } = &self.options;
        let mut problems = Vec::new();
        let (mut listing, sieve) = match node {
            Some(node) if !scope.all => {
                let sieve = Sieve::on_the_way(rules, &handle);
                (way(&handle, node, &sieve, *read_special), sieve)
            }
            _ => {
                let sieve = Sieve::inside(rules, &handle, above, &mut problems);
                (self.lister.all(&handle, &sieve, *tell || node.is_some()), sieve)
            }
        };
        if let Some(node) = node.filter(|_| scope.all) {
            note_missing(&handle, node, &mut listing);
        }
        let brought_back = self.options.towards.as_ref().and_then(|path| brought_back(&sieve, &listing, &handle, path));
        let ignores = sieve.ignores().clone();
        problems.append(&mut listing.problems);
        let pending = self.pending(&handle, &listing.children, scope, node);
        if !pending.is_empty() {
            let (path, identity) = (handle.shared_path(), stat.identity());
            let handle = Some(Arc::clone(&handle));
            self.frames.push(Frame { path, identity, handle, scope, ignores, pending: pending.into_iter() });
            self.close_some();
        }
        Directory { handle, stat, children: listing.children, excluded: listing.excluded, brought_back, problems }
    }

    fn pending(&self, dir: &DirHandle, children: &[Child], scope: Scope, node: Option<&Node>) -> Vec<Pending> {
        let mut pending = Vec::new();
        let aim = self.options.towards.as_ref().map(|path| path.0.get(dir.path().0.len()));
        for child in children.iter().filter(|child| child.stat.kind == Kind::Directory) {
            if aim.is_some_and(|name| name != Some(&child.name)) {
                continue;
            }
            let node = node.and_then(|node| node.below.get(&child.name)).map(Arc::clone);
            // Not even opened, as a dead network mount would hang.
            if node.is_none() && self.options.one_file_system && child.stat.dev != scope.home {
                continue;
            }
            if node.is_none() && self.options.enters_repository(scope.device, child.stat.dev) {
                continue;
            }
            let all = scope.all || node.as_ref().is_some_and(|node| node.wanted);
            let way = Way { follow: child.follow, search: !all };
            pending.push(Pending { name: child.name.clone(), uid: child.stat.uid, node, way });
        }
        pending
    }

    /// The last frame's handle, scope and ignore files. A frame with nothing more to come is closed, so that a chain of single
    /// subdirectories costs nothing however long it is.
    fn parent(&mut self) -> Result<(Arc<DirHandle>, Scope, Ignores), Problem> {
        let last = self.frames.len() - 1;
        let handle = match &self.frames[last].handle {
            Some(handle) => Arc::clone(handle),
            None => self.reopen(last)?,
        };
        let frame = &self.frames[last];
        let (scope, ignores) = (frame.scope, frame.ignores.clone());
        if frame.pending.len() == 0 {
            self.frames.pop();
        }
        Ok((handle, scope, ignores))
    }

    fn close_some(&mut self) {
        if self.frames.iter().filter(|frame| frame.handle.is_some()).count() > OPEN
            && let Some(frame) = self.frames.iter_mut().find(|frame| frame.handle.is_some())
        {
            frame.handle = None;
        }
    }

    /// Goes down from `/` again to the last frame, which was closed, and keeps some of those above it open for the way
    /// back. What is no longer where it was is given up with all below it.
    fn reopen(&mut self, last: usize) -> Result<Arc<DirHandle>, Problem> {
        let mut next = last.saturating_sub(OPEN / 2);
        let result = self.descend(last, &mut next);
        result.map_err(|cause| {
            let path = self.frames[next].path.to_bytes();
            self.frames.truncate(next);
            Problem::new(path, "coming back to the directory", cause)
        })
    }

    /// Opens the frames `*next..=last`; `*next` counts those done.
    fn descend(&mut self, last: usize, next: &mut usize) -> Result<Arc<DirHandle>, Cause> {
        let path = Arc::clone(&self.frames[last].path);
        let mut handle = Arc::new(DirHandle::root().map_err(|problem| problem.cause)?);
        for depth in 0..=path.0.len() {
            let frame = &mut self.frames[*next];
            let found = frame.path.0.len() == depth;
            if let Some(above) = depth.checked_sub(1) {
                let is_way = self.tree.is_way(&path.0[..depth]);
                // Only a frame's handle is ever asked for its path.
                let own_path = if found { Arc::clone(&frame.path) } else { Arc::default() };
                handle = Arc::new(handle.step(&path.0[above], Way { follow: is_way, search: is_way }, own_path)?);
            }
            if found {
                if Stat::at(&*handle, b"", false)?.identity() != frame.identity {
                    return Err(Cause::Replaced);
                }
                frame.handle = Some(Arc::clone(&handle));
                *next = last.min(*next + 1);
            }
        }
        Ok(handle)
    }
}

/// Adds a problem for every path asked for below a directory that is listed whole, if the listing does not lead there.
fn note_missing(dir: &DirHandle, node: &Node, listing: &mut Listing) {
    for (name, next) in &node.below {
        let found = listing.children.binary_search_by(|child| child.name.cmp(name));
        let cause = match found.map(|index| listing.children[index].stat.kind) {
            Ok(Kind::Directory) => continue,
            Ok(_) if next.below.is_empty() => continue,
            Ok(_) => Cause::System(Errno::NOTDIR),
            Err(_) if listing.excluded.iter().any(|excluded| excluded.name == *name) => Cause::Excluded,
            Err(_) => Cause::System(Errno::NOENT),
        };
        let paths = next.wanted_paths(&dir.path().join(name.clone()));
        listing.problems.extend(paths.iter().map(|path| Problem::new(path.to_bytes(), "looking for it", cause)));
    }
}

/// The rule that brought back the entry of `dir` that leads to `path`.
fn brought_back(sieve: &Sieve<'_>, listing: &Listing, dir: &DirHandle, path: &EntryPath) -> Option<Reason> {
    let name = path.0.get(dir.path().0.len())?;
    let child = listing.children.iter().find(|child| child.name == *name)?;
    sieve.brought_back(name.as_bytes(), &child.stat)
}
