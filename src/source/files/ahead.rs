//! Directories that are listed before the walk comes to them, on threads of their own.
//!
//! The walk gives away the next subdirectories of where it is, and takes each when its turn comes: listed by then, or to be
//! listed by itself, so that it never waits for one that nobody has begun. A few listings are in memory at a time, and no more
//! are begun while these hold many names.

use super::list::Lister;
use super::visit::{Task, Visit, Visitor};
use crate::source::Problem;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// Directories that are given away at a time; each that is listed keeps a file descriptor open.
const GIVEN: usize = 64;
/// Names in listings that nobody took yet, above which no other one is begun.
const NAMES: usize = 64 * 1024;

/// What came of a visit.
pub(super) type Visited = Result<Option<Visit>, Problem>;

/// Where in the walk's order a directory comes: the deepest first, and then the one that was given away first.
type Turn = (Reverse<usize>, u64);

/// Threads that list directories.
#[derive(Debug)]
pub(super) struct Ahead {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    given: u64,
}

/// A directory that was given away. Dropped, nobody wants it any more.
#[derive(Debug)]
pub(super) struct Slot {
    shared: Arc<Shared>,
    turn: Turn,
}

#[derive(Debug, Default)]
struct Shared {
    jobs: Mutex<Jobs>,
    /// Something was given away or taken, or it is over.
    given: Condvar,
    /// Something was listed.
    listed: Condvar,
}

#[derive(Debug, Default)]
struct Jobs {
    all: BTreeMap<Turn, Job>,
    over: bool,
}

/// How far a directory is.
#[derive(Debug)]
enum Job {
    Given(Task),
    Begun,
    Listed(Box<Visited>),
}

impl Ahead {
    /// Starts as many threads as the walk's options say.
    pub fn start(visitor: &Arc<Visitor>) -> Self {
        let shared = Arc::<Shared>::default();
        let spawn = |_| {
            let (shared, visitor) = (Arc::clone(&shared), Arc::clone(visitor));
            // Without a thread the walk lists everything itself.
            std::thread::Builder::new().name("list".to_owned()).spawn(move || shared.run(&visitor)).ok()
        };
        let threads = (0..visitor.options.ahead).filter_map(spawn).collect();
        Self { shared, threads, given: 0 }
    }

    /// Gives a directory away, if not too many are.
    pub fn give(&mut self, task: impl FnOnce() -> Option<Task>) -> Option<Slot> {
        let mut jobs = self.shared.jobs();
        if jobs.all.len() >= GIVEN {
            return None;
        }
        let task = task()?;
        let turn = (Reverse(task.parent.path().0.len()), self.given);
        self.given += 1;
        jobs.all.insert(turn, Job::Given(task));
        drop(jobs);
        self.shared.given.notify_one();
        Some(Slot { shared: Arc::clone(&self.shared), turn })
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.shared.jobs().over = true;
        self.shared.given.notify_all();
        for thread in self.threads.drain(..) {
            // What it panicked with, it has told.
            let _ = thread.join();
        }
    }
}

impl Slot {
    /// What came of the visit; a task that nobody has begun comes back.
    pub fn take(self) -> Result<Visited, Task> {
        let mut jobs = self.shared.jobs();
        while matches!(jobs.all.get(&self.turn), Some(Job::Begun)) {
            jobs = self.shared.listed.wait(jobs).unwrap_or_else(PoisonError::into_inner);
        }
        let job = jobs.all.remove(&self.turn);
        drop(jobs);
        match job {
            Some(Job::Given(task)) => Err(task),
            Some(Job::Listed(visited)) => {
                // It may have been one too many.
                self.shared.given.notify_one();
                Ok(*visited)
            }
            Some(Job::Begun) | None => panic!("a thread that lists directories panicked"),
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let job = self.shared.jobs().all.remove(&self.turn);
        // Its directories are closed without the lock.
        drop(job);
    }
}

impl Shared {
    fn jobs(&self) -> MutexGuard<'_, Jobs> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, visitor: &Visitor) {
        let mut lister = Lister::new();
        while let Some((turn, task)) = self.next() {
            let claim = Claim { shared: self, turn };
            let visited = visitor.visit(&mut lister, task);
            claim.end(visited);
        }
    }

    /// The first that nobody has begun, as soon as there is one; `None` when it is over.
    fn next(&self) -> Option<(Turn, Task)> {
        let mut jobs = self.jobs();
        while !jobs.over {
            if let Some(begun) = jobs.begin() {
                return Some(begun);
            }
            jobs = self.given.wait(jobs).unwrap_or_else(PoisonError::into_inner);
        }
        None
    }
}

impl Jobs {
    fn begin(&mut self) -> Option<(Turn, Task)> {
        let names: usize = self.all.values().map(Job::names).sum();
        if names > NAMES {
            return None;
        }
        let (turn, job) = self.all.iter_mut().find(|(_, job)| matches!(job, Job::Given(_)))?;
        match std::mem::replace(job, Job::Begun) {
            Job::Given(task) => Some((*turn, task)),
            Job::Begun | Job::Listed(_) => None,
        }
    }
}

impl Job {
    fn names(&self) -> usize {
        match self {
            Self::Listed(visited) => match &**visited {
                Ok(Some(visit)) => visit.directory.children.len(),
                _ => 0,
            },
            Self::Given(_) | Self::Begun => 0,
        }
    }
}

/// A directory that a thread is at. Whoever waits for it hears of its end, also of a panic.
struct Claim<'a> {
    shared: &'a Shared,
    turn: Turn,
}

impl Claim<'_> {
    fn end(self, visited: Visited) {
        let mut jobs = self.shared.jobs();
        // Unless nobody wants it any more.
        if let Some(job) = jobs.all.get_mut(&self.turn) {
            *job = Job::Listed(Box::new(visited));
        }
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let mut jobs = self.shared.jobs();
        if matches!(jobs.all.get(&self.turn), Some(Job::Begun)) {
            jobs.all.remove(&self.turn);
        }
        drop(jobs);
        self.shared.listed.notify_all();
    }
}
