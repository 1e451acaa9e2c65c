//! One directory of a walk: opened, looked at and listed, and which of its subdirectories are to be gone into.
//!
//! It depends on what was found above it and on nothing else, so that any thread can do it.

use super::dir::{DirHandle, Way};
use super::ignore::Ignores;
use super::list::{Child, Lister, Listing, way};
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
    /// Threads that list directories before their turn comes.
    pub ahead: usize,
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

/// What holds for every directory of a walk.
#[derive(Debug)]
pub(super) struct Visitor {
    pub options: Options,
    pub tree: Arc<Node>,
}

/// A subdirectory that is to be visited, and what it inherits.
#[derive(Debug)]
pub(super) struct Task {
    pub parent: Arc<DirHandle>,
    pub above: Scope,
    pub ignores: Ignores,
    pub pending: Pending,
}

/// A directory, and what lies below it.
#[derive(Debug)]
pub(super) struct Visit {
    pub directory: Directory,
    pub below: Below,
}

/// The subdirectories of a directory that are to be gone into, and what they inherit.
#[derive(Debug)]
pub(super) struct Below {
    pub path: Arc<EntryPath>,
    pub identity: (u64, u64),
    pub handle: Arc<DirHandle>,
    pub scope: Scope,
    pub ignores: Ignores,
    pub pending: Vec<Pending>,
}

/// A subdirectory to go into.
#[derive(Debug)]
pub(super) struct Pending {
    name: EntryName,
    uid: u32,
    node: Option<Arc<Node>>,
    way: Way,
}

/// What of a directory is walked, and what its subdirectories inherit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scope {
    /// All of it; else only the way to paths asked for.
    pub all: bool,
    /// The device that it lies on.
    pub device: u64,
    /// The device to stay on.
    pub home: u64,
}

impl Visitor {
    /// Visits `/`, where every walk begins.
    pub fn start(&self, lister: &mut Lister) -> Result<Visit, Problem> {
        let handle = Arc::new(DirHandle::root()?);
        let stat = Stat::at(&*handle, b"", false).map_err(|e| Problem::new(b"/".to_vec(), "reading attributes", e))?;
        let scope = Scope { all: self.tree.wanted, device: stat.dev, home: stat.dev };
        Ok(self.list(lister, handle, stat, scope, Some(&self.tree), Ignores::default()))
    }

    /// Opens and lists a subdirectory; `None` when nothing of it is to be walked.
    pub fn visit(&self, lister: &mut Lister, task: Task) -> Result<Option<Visit>, Problem> {
        let Task { parent, above, ignores, pending: Pending { name, uid, node, way } } = task;
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
        Ok(Some(self.list(lister, handle, stat, scope, node.as_deref(), ignores)))
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
        &self,
        lister: &mut Lister,
        handle: Arc<DirHandle>,
        stat: Stat,
        scope: Scope,
        node: Option<&Node>,
        above: Ignores,
    ) -> Visit {
        let Options { rules, read_special, tell, .. } = &self.options;
        let mut problems = Vec::new();
        let (mut listing, sieve) = match node {
            Some(node) if !scope.all => {
                let sieve = Sieve::on_the_way(rules, &handle);
                (way(&handle, node, &sieve, *read_special), sieve)
            }
            _ => {
                let sieve = Sieve::inside(rules, &handle, above, &mut problems);
                (lister.all(&handle, &sieve, *tell || node.is_some()), sieve)
            }
        };
        if let Some(node) = node.filter(|_| scope.all) {
            note_missing(&handle, node, &mut listing);
        }
        let brought_back = self.options.towards.as_ref().and_then(|path| brought_back(&sieve, &listing, &handle, path));
        let ignores = sieve.ignores().clone();
        problems.append(&mut listing.problems);
        let pending = self.pending(&handle, &listing.children, scope, node);
        let (path, identity) = (handle.shared_path(), stat.identity());
        let below = Below { path, identity, handle: Arc::clone(&handle), scope, ignores, pending };
        let children = listing.children;
        let directory = Directory { handle, stat, children, excluded: listing.excluded, brought_back, problems };
        Visit { directory, below }
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
