//! Lists one directory: names, one `statx` each, sorted.
//!
//! The system calls go in inode order, which is the order on disk of most file systems; what comes out is in name order.
//! A directory is held whole, at about 200 bytes an entry.

use super::dir::DirHandle;
use super::roots::Node;
use super::sieve::{Excluded, Sieve};
use super::stat::{Kind, Stat};
use crate::repo::entry::{EntryName, EntryPath};
use crate::source::{Cause, Problem};
use rustix::fs::RawDir;
use rustix::io::Errno;

/// An entry of a directory.
#[derive(Debug, Clone)]
pub struct Child {
    /// Its name.
    pub name: EntryName,
    /// Its attributes when the directory was listed.
    pub stat: Stat,
    /// It is a symlink that stands for what it leads to: a directory on the way to a path asked for, or a special file
    /// whose content was asked for.
    pub(super) follow: bool,
}

/// What a listing gave.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// In the order of the names' bytes.
    pub children: Vec<Child>,
    /// What rules left out, as far as it was asked for.
    pub excluded: Vec<Excluded>,
    /// What could not be had.
    pub problems: Vec<Problem>,
}

/// Lists directories; keeps its buffers from one to the next.
#[derive(Debug)]
pub(super) struct Lister {
    buffer: Vec<u8>,
    names: Vec<u8>,
    /// Inode number, and where the name lies in `names`.
    found: Vec<(u64, usize, usize)>,
}

impl Lister {
    pub fn new() -> Self {
        Self { buffer: Vec::with_capacity(64 * 1024), names: Vec::new(), found: Vec::new() }
    }

    /// All of a directory, less what the rules leave out and what vanishes meanwhile; with `tell`, what they leave out is
    /// listed too. After an error while reading the directory the names before it are kept.
    pub fn all(&mut self, dir: &DirHandle, sieve: &Sieve<'_>, tell: bool) -> Listing {
        let mut listing = Listing::default();
        if let Err(error) = self.read_names(dir, sieve, tell.then_some(&mut listing.excluded)) {
            listing.problems.push(Problem::new(dir.path().to_bytes(), "listing the directory", error));
        }
        self.found.sort_unstable();
        listing.children.reserve_exact(self.found.len());
        for &(_, start, end) in &self.found {
            let bytes = &self.names[start..end];
            let Some(name) = EntryName::new(bytes) else {
                listing.problems.push(impossible(dir, bytes));
                continue;
            };
            match Stat::at(dir, bytes, false) {
                Ok(stat) if sieve.drops_entry(bytes, &stat) => {
                    if tell && let Some(reason) = sieve.reason(bytes, Some(&stat)) {
                        listing.excluded.push(Excluded { name, reason });
                    }
                }
                Ok(stat) => listing.children.push(Child { name, stat, follow: false }),
                // Gone before we came: as if it had never been listed.
                Err(Cause::System(Errno::NOENT)) => {}
                Err(cause) => listing.problems.push(dir.problem(&name, "reading attributes", cause)),
            }
        }
        listing.children.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        listing
    }

    fn read_names(
        &mut self,
        dir: &DirHandle,
        sieve: &Sieve<'_>,
        mut excluded: Option<&mut Vec<Excluded>>,
    ) -> Result<(), Errno> {
        self.names.clear();
        self.found.clear();
        let mut entries = RawDir::new(dir, self.buffer.spare_capacity_mut());
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if matches!(name, b"." | b"..") {
                continue;
            }
            if sieve.drops_name(name) {
                if let Some(excluded) = &mut excluded
                    && let (Some(name), Some(reason)) = (EntryName::new(name), sieve.reason(name, None))
                {
                    excluded.push(Excluded { name, reason });
                }
                continue;
            }
            let start = self.names.len();
            self.names.extend_from_slice(name);
            self.found.push((entry.ino(), start, self.names.len()));
        }
        Ok(())
    }
}

/// Of a directory that was not asked for itself, the names that lead to what was. A symlink on the way stands for the
/// directory that it leads to; one that was itself asked for is a symlink, unless it leads to a special file whose content
/// is wanted.
pub(super) fn way(dir: &DirHandle, node: &Node, sieve: &Sieve<'_>, read_special: bool) -> Listing {
    let mut listing = Listing::default();
    for (name, next) in &node.below {
        match find(dir, name, next, sieve, read_special) {
            Ok(child) => listing.children.push(child),
            Err(cause) => {
                let problem = |path: EntryPath| Problem::new(path.to_bytes(), "looking for it", cause);
                let paths = next.wanted_paths(&dir.path().join(name.clone()));
                listing.problems.extend(paths.into_iter().map(problem));
                if cause == Cause::Excluded {
                    let stat = Stat::at(dir, name.as_bytes(), false).ok();
                    let reason = sieve.reason(name.as_bytes(), stat.as_ref());
                    listing.excluded.extend(reason.map(|reason| Excluded { name: name.clone(), reason }));
                }
            }
        }
    }
    listing
}

fn find(dir: &DirHandle, name: &EntryName, next: &Node, sieve: &Sieve<'_>, special: bool) -> Result<Child, Cause> {
    if sieve.drops_name(name.as_bytes()) {
        return Err(Cause::Excluded);
    }
    let mut follow = !next.wanted;
    let mut stat = Stat::at(dir, name.as_bytes(), follow)?;
    if follow && stat.kind != Kind::Directory {
        return Err(Cause::System(Errno::NOTDIR));
    }
    if special
        && stat.kind == Kind::Symlink
        && let Ok(target) = Stat::at(dir, name.as_bytes(), true)
        && target.kind.is_special()
    {
        (stat, follow) = (target, true);
    }
    if next.wanted && sieve.drops_entry(name.as_bytes(), &stat) {
        return Err(Cause::Excluded);
    }
    Ok(Child { name: name.clone(), stat, follow })
}

fn impossible(dir: &DirHandle, name: &[u8]) -> Problem {
    let mut path = dir.path().to_bytes();
    path.push(b'/');
    path.extend_from_slice(name);
    Problem::new(path, "reading a name", Cause::ImpossibleName)
}
