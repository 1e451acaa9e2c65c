//! Why a path is in a snapshot or not: goes down to it as the walk would, and asks which rule decided.

use super::reason::Reason;
use super::stat::{Kind, Stat};
use super::walk::{Directory, Options, Walk};
use crate::repo::entry::EntryPath;
use crate::source::{Cause, Problem};
use rustix::io::Errno;

/// What becomes of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is in, as `root` was asked for; `brought_back` is the rule that took back what another one left out.
    In { root: EntryPath, brought_back: Option<Reason> },
    /// Its attributes are in, as it lies on the way to `root`; of what is in it only that way.
    Way { root: EntryPath },
    /// It is not in. `at` is the path that this was decided about: itself, or a directory above it.
    Out { at: EntryPath, why: Outside },
}

/// Why something is not in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outside {
    /// It was not asked for.
    NotAsked,
    /// A rule leaves it out.
    Rule(Reason),
    /// The directory `at` is in and stays empty: it lies on another file system.
    OtherFileSystem,
    /// The directory `at` is in and stays empty: it shows the kernel's state and no files.
    KernelFileSystem,
    /// The directory `at` is in and stays empty: it is the repository.
    Repository,
    /// The directory `at` is in and stays empty: a repository is mounted there.
    MountedRepository,
}

/// Finds out what a walk with these options does with `path`.
///
/// # Errors
/// When there is no such path, or the way to it cannot be read.
pub fn explain(options: &Options, path: &EntryPath) -> Result<Verdict, Problem> {
    let below = options.roots.iter().filter(|root| root.contains(path)).max_by_key(|root| root.0.len());
    let Some(root) = below.or_else(|| options.roots.iter().find(|root| path.contains(root))) else {
        return Ok(Verdict::Out { at: path.clone(), why: Outside::NotAsked });
    };
    let mut walk = Walk::new(Options { towards: Some(path.clone()), tell: true, ..options.clone() })?;
    let included = |brought_back| match below {
        Some(root) => Verdict::In { root: root.clone(), brought_back },
        None => Verdict::Way { root: root.clone() },
    };
    let mut brought_back = None;
    let mut last = None;
    while let Some(found) = walk.next_directory() {
        let mut directory = match found {
            Err(problem) if problem.cause == Cause::Repository => break,
            other => other?,
        };
        let Some(name) = path.0.get(directory.path().0.len()) else { break };
        brought_back = directory.brought_back.take().or(brought_back);
        let at = directory.path().join(name.clone());
        if let Some(excluded) = directory.excluded.iter().find(|excluded| excluded.name == *name) {
            return Ok(Verdict::Out { at, why: Outside::Rule(excluded.reason.clone()) });
        }
        let Some(child) = directory.children.iter().find(|child| child.name == *name) else {
            return Err(missing(directory, &at, path));
        };
        if at == *path {
            return Ok(included(brought_back));
        }
        last = Some((at, directory.stat, child.stat));
    }
    match last {
        None => Ok(included(None)),
        Some((_, _, stat)) if stat.kind != Kind::Directory => Err(absent(path, Errno::NOTDIR)),
        Some((at, above, stat)) => Ok(Verdict::Out { at, why: not_entered(options, &above, &stat) }),
    }
}

/// Why the walk did not enter a directory that no rule leaves out.
fn not_entered(options: &Options, above: &Stat, stat: &Stat) -> Outside {
    if options.skip.contains(&stat.identity()) {
        Outside::Repository
    } else if options.enters_repository(above.dev, stat.dev) {
        Outside::MountedRepository
    } else if options.one_file_system && stat.dev != above.dev {
        Outside::OtherFileSystem
    } else if stat.dev != above.dev {
        Outside::KernelFileSystem
    } else {
        Outside::NotAsked
    }
}

/// What the listing said about the entry at `at`, else that it is not there.
fn missing(directory: Directory, at: &EntryPath, path: &EntryPath) -> Problem {
    let of_it = at.to_bytes();
    let said = directory.problems.into_iter().find(|problem| problem.path.starts_with(&of_it));
    said.unwrap_or_else(|| absent(path, Errno::NOENT))
}

fn absent(path: &EntryPath, error: Errno) -> Problem {
    Problem::new(path.to_bytes(), "looking for it", error)
}
