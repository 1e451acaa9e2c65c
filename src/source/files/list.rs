//! Lists one directory: names, one `statx` each, sorted.
//!
//! The system calls go in inode order, which is the order on disk of most file systems; what comes out is in name order.
//! A directory is held whole, at about 200 bytes an entry.

use super::dir::DirHandle;
use super::exclude::Inside;
use super::roots::Node;
use super::stat::{Kind, Stat};
use crate::repo::entry::EntryName;
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
    /// It is on the way to a path asked for, through a symlink, and stands for the directory that this leads to.
    pub(super) follow: bool,
}

/// What a listing gave.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// In the order of the names' bytes.
    pub children: Vec<Child>,
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

    /// All of a directory, less what is excluded and what vanishes meanwhile. After an error while reading the directory
    /// the names before it are kept.
    pub fn all(&mut self, dir: &DirHandle, exclude: Option<&Inside<'_>>) -> Listing {
        let mut listing = Listing::default();
        if let Err(error) = self.read_names(dir, exclude) {
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
                Ok(stat) => listing.children.push(Child { name, stat, follow: false }),
                // Gone before we came: as if it had never been listed.
                Err(Cause::System(Errno::NOENT)) => {}
                Err(cause) => listing.problems.push(dir.problem(&name, "reading attributes", cause)),
            }
        }
        listing.children.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        listing
    }

    fn read_names(&mut self, dir: &DirHandle, exclude: Option<&Inside<'_>>) -> Result<(), Errno> {
        self.names.clear();
        self.found.clear();
        let mut entries = RawDir::new(dir, self.buffer.spare_capacity_mut());
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if matches!(name, b"." | b"..") || exclude.is_some_and(|inside| inside.excludes(name)) {
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
/// directory that it leads to; one that was itself asked for is a symlink.
pub(super) fn way(dir: &DirHandle, node: &Node, exclude: Option<&Inside<'_>>) -> Listing {
    let mut listing = Listing::default();
    for (name, next) in &node.below {
        let path = dir.path().join(name.clone());
        let mut fail = |cause: Cause| {
            let problem = |path: crate::repo::entry::EntryPath| Problem::new(path.to_bytes(), "looking for it", cause);
            listing.problems.extend(next.wanted_paths(&path).into_iter().map(problem));
        };
        if exclude.is_some_and(|inside| inside.excludes(name.as_bytes())) {
            fail(Cause::Excluded);
            continue;
        }
        match Stat::at(dir, name.as_bytes(), !next.wanted) {
            Ok(stat) if !next.wanted && stat.kind != Kind::Directory => fail(Cause::System(Errno::NOTDIR)),
            Ok(stat) => listing.children.push(Child { name: name.clone(), stat, follow: !next.wanted }),
            Err(cause) => fail(cause),
        }
    }
    listing
}

fn impossible(dir: &DirHandle, name: &[u8]) -> Problem {
    let mut path = dir.path().to_bytes();
    path.push(b'/');
    path.extend_from_slice(name);
    Problem::new(path, "reading a name", Cause::ImpossibleName)
}
