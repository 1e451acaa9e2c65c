//! The walk: every directory's listing, in the order of the catalog's keys.
//!
//! A directory comes before its subdirectories, these in the order of their names' bytes, each with all below it. The
//! first is always `/`; above the paths asked for only the way to them is listed, so that a restore can give the
//! directories on it their attributes. Only directories are opened, at most 64 of them stay open for the walk's own
//! sake, and as many again that were listed before their turn; nothing is remembered but the way down.

use super::ahead::{Ahead, Slot};
use super::dir::{DirHandle, Way};
use super::ignore::Ignores;
use super::list::Lister;
use super::roots::Node;
use super::stat::Stat;
use super::visit::{Below, Pending, Scope, Task, Visit, Visitor};
use crate::repo::entry::EntryPath;
use crate::source::{Cause, Problem};
use rustix::io::Errno;
use std::collections::VecDeque;
use std::sync::Arc;

pub use super::list::Child;
pub use super::visit::{Directory, Options};

/// Directories that the walk keeps open to come back to.
const OPEN: usize = 64;
/// Subdirectories of one directory that are listed before their turn: the next ones.
const NEXT: usize = 8;
/// Directories, from where the walk is upwards, of which subdirectories are listed before their turn.
const AROUND: usize = 4;

/// A walk under way.
#[derive(Debug)]
pub struct Walk {
    visitor: Arc<Visitor>,
    lister: Lister,
    ahead: Option<Ahead>,
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
    /// Those whose listing somebody else begins.
    given: VecDeque<Slot>,
    /// Those behind them.
    pending: std::vec::IntoIter<Pending>,
}

/// A subdirectory whose turn has come.
enum Next {
    /// Somebody may have listed it.
    Given(Slot),
    /// Nobody has.
    Task(Task),
    /// There is no way back to where it lies.
    Lost(Problem),
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
        let visitor = Arc::new(Visitor { options, tree });
        let ahead = (visitor.options.ahead > 0).then(|| Ahead::start(&visitor));
        Ok(Self { visitor, lister: Lister::new(), ahead, frames: Vec::new(), started: false })
    }

    /// The next directory, or one that cannot be listed at all and therefore stays empty; `None` at the end.
    pub fn next_directory(&mut self) -> Option<Result<Directory, Problem>> {
        if !std::mem::replace(&mut self.started, true) {
            let visit = self.visitor.start(&mut self.lister);
            return Some(visit.map(|visit| self.enter(visit)));
        }
        loop {
            let visited = match self.next()? {
                Next::Given(slot) => slot.take(),
                Next::Task(task) => Err(task),
                Next::Lost(problem) => return Some(Err(problem)),
            };
            let visited = visited.unwrap_or_else(|task| self.visitor.visit(&mut self.lister, task));
            if let Some(visit) = visited.transpose() {
                return Some(visit.map(|visit| self.enter(visit)));
            }
        }
    }

    /// The next subdirectory; `None` at the end.
    fn next(&mut self) -> Option<Next> {
        loop {
            let frame = self.frames.last_mut()?;
            if let Some(slot) = frame.given.pop_front() {
                self.leave_if_done();
                return Some(Next::Given(slot));
            }
            let Some(pending) = frame.pending.next() else {
                self.frames.pop();
                continue;
            };
            return Some(match self.parent() {
                Ok((parent, above, ignores)) => Next::Task(Task { parent, above, ignores, pending }),
                Err(problem) => Next::Lost(problem),
            });
        }
    }

    /// Turns to what lies below a directory.
    fn enter(&mut self, Visit { directory, below }: Visit) -> Directory {
        let Below { path, identity, handle, scope, ignores, pending } = below;
        if !pending.is_empty() {
            let (handle, given, pending) = (Some(handle), VecDeque::new(), pending.into_iter());
            self.frames.push(Frame { path, identity, handle, scope, ignores, given, pending });
            self.close_some();
        }
        self.give_some();
        directory
    }

    /// Has the next subdirectories of where the walk is listed before their turn.
    fn give_some(&mut self) {
        let Some(ahead) = &mut self.ahead else { return };
        for frame in self.frames.iter_mut().rev().take(AROUND) {
            let Some(handle) = &frame.handle else { continue };
            while frame.given.len() < NEXT && frame.pending.len() > 0 {
                let (parent, above, ignores) = (Arc::clone(handle), frame.scope, frame.ignores.clone());
                let next = || frame.pending.next().map(|pending| Task { parent, above, ignores, pending });
                let Some(slot) = ahead.give(next) else { return };
                frame.given.push_back(slot);
            }
        }
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
        self.leave_if_done();
        Ok((handle, scope, ignores))
    }

    fn leave_if_done(&mut self) {
        if self.frames.last().is_some_and(|frame| frame.given.is_empty() && frame.pending.len() == 0) {
            self.frames.pop();
        }
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
                let is_way = self.visitor.tree.is_way(&path.0[..depth]);
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
