//! Tests of the walk and of reading, on real trees as nasty as file systems allow.
//!
//! What needs root is skipped, loudly, without it.

mod attributes;
mod content;
mod rules;
mod scope;
mod walk;

use super::stat::Kind;
use super::walk::{Child, Directory, Options, Walk};
use crate::repo::entry::{EntryName, EntryPath};
use crate::source::Problem;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A folder that is gone afterwards.
fn temp() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// Whether we are root; if not, says which test is skipped.
fn root_or_skip(test: &str) -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("SKIPPED, as it needs root: {test}");
    }
    root
}

fn os(name: &[u8]) -> &OsStr {
    OsStr::from_bytes(name)
}

fn name(bytes: &[u8]) -> EntryName {
    EntryName::new(bytes).unwrap()
}

fn entry_path(path: &Path) -> EntryPath {
    EntryPath::parse(path.as_os_str().as_bytes()).unwrap()
}

fn options(roots: &[PathBuf]) -> Options {
    Options { roots: roots.iter().map(|root| entry_path(root)).collect(), ..Options::default() }
}

/// Everything that a walk gives.
#[derive(Default)]
struct Walked {
    directories: Vec<Directory>,
    problems: Vec<Problem>,
}

impl Walked {
    /// Walks, and once more with threads that go ahead: which find the same.
    fn new(options: Options) -> Self {
        let walked = Self::alone(options.clone());
        let beside = Self::alone(Options { ahead: 3, ..options });
        assert_eq!((beside.paths(), beside.complaints()), (walked.paths(), walked.complaints()));
        let seen = |walked: &Self| -> Vec<_> {
            let excluded = |directory: &Directory| format!("{:?}", directory.excluded);
            walked.directories.iter().map(|one| (one.path().clone(), one.stat.identity(), excluded(one))).collect()
        };
        assert_eq!(seen(&beside), seen(&walked));
        walked
    }

    fn alone(options: Options) -> Self {
        let mut walk = Walk::new(options).unwrap();
        let mut walked = Self::default();
        while let Some(found) = walk.next_directory() {
            match found {
                Ok(mut directory) => {
                    walked.problems.append(&mut directory.problems);
                    walked.directories.push(directory);
                }
                Err(problem) => walked.problems.push(problem),
            }
        }
        walked
    }

    /// Paths of all entries, in the order of the walk.
    fn paths(&self) -> Vec<PathBuf> {
        let below = |directory: &Directory, child: &Child| {
            PathBuf::from(os(&directory.path().join(child.name.clone()).to_bytes()))
        };
        self.directories.iter().flat_map(|dir| dir.children.iter().map(move |child| below(dir, child))).collect()
    }

    /// Paths of all entries below `root`, relative to it.
    fn below(&self, root: &Path) -> Vec<String> {
        let relative = |path: &PathBuf| path.strip_prefix(root).ok().map(|path| path.to_str().unwrap().to_owned());
        self.paths().iter().filter_map(relative).filter(|path| !path.is_empty()).collect()
    }

    /// Paths and causes of the problems, as text.
    fn complaints(&self) -> Vec<String> {
        self.problems.iter().map(ToString::to_string).collect()
    }
}

/// The directory at `path` and its child `wanted`, as a walk gives them.
pub(super) fn find(path: &Path, wanted: &[u8]) -> (Directory, Child) {
    let walked = Walked::alone(options(&[path.to_owned()]));
    let path = entry_path(path);
    let directory = walked.directories.into_iter().find(|directory| *directory.path() == path).unwrap();
    let child = directory.children.iter().find(|child| child.name.as_bytes() == wanted).unwrap().clone();
    (directory, child)
}

/// Makes files (names ending in `/`: directories) and what lies above them.
fn plant(root: &Path, paths: &[&str]) {
    for path in paths {
        let full = root.join(path.trim_end_matches('/'));
        std::fs::create_dir_all(full.parent().unwrap()).unwrap();
        if path.ends_with('/') {
            std::fs::create_dir_all(full).unwrap();
        } else {
            std::fs::write(full, path).unwrap();
        }
    }
}

fn kind_of(walked: &Walked, path: &Path) -> Option<Kind> {
    let position = walked.paths().iter().position(|found| found == path)?;
    walked.directories.iter().flat_map(|dir| &dir.children).nth(position).map(|child| child.stat.kind)
}
