//! The folder where a repository's runs lie on this machine, shared by all processes that use the repository.
//!
//! Files come into it whole, under names that nobody else draws, and are only ever removed: so no process waits for another, and none can
//! spoil what another one has open. What cannot be used is removed, since all of it can be made anew.

use super::build::RunBuilder;
use super::format::RunKey;
use super::run::{PROVEN_AT_ONCE, Run};
use super::{Damaged, Error};
use crate::repo::names::IndexClass;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How often the folder is listed again because a file went away meanwhile.
const LISTINGS: usize = 20;
/// How old an unfinished file must be to count as left over.
const LEFT_OVER_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// The folder, and what proves the runs in it.
#[derive(Debug, Clone)]
pub struct RunFolder {
    path: PathBuf,
    key: RunKey,
    /// Bytes of runs that are proven whole when they are opened.
    at_once: u64,
}

/// What was found in the folder.
#[derive(Debug, Default)]
pub struct Found {
    /// Runs of one class, those of most bytes first.
    pub runs: Vec<Arc<Run>>,
    /// Files that were not what was written. They are gone.
    pub damaged: Vec<Damaged>,
}

impl RunFolder {
    /// The runs of one repository in the folder `path`, which need not be there yet.
    pub const fn new(path: PathBuf, key: RunKey) -> Self {
        Self { path, key, at_once: PROVEN_AT_ONCE }
    }

    /// The same, where only runs of so few bytes are proven whole when they are opened.
    #[cfg(test)]
    #[must_use]
    pub fn proving_at_once(self, bytes: u64) -> Self {
        Self { at_once: bytes, ..self }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What proves the runs.
    pub const fn key(&self) -> &RunKey {
        &self.key
    }

    /// Opens all runs of a class.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn open(&self, class: IndexClass) -> Result<Found, Error> {
        let mut damaged = Vec::new();
        for _ in 0..LISTINGS {
            match self.try_open(class, &mut damaged) {
                // Another process has put a run in the place of several.
                Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
                Ok(mut runs) => {
                    runs.sort_by_key(|run| std::cmp::Reverse(run.bytes()));
                    return Ok(Found { runs, damaged });
                }
            }
        }
        Ok(Found { runs: Vec::new(), damaged })
    }

    fn try_open(&self, class: IndexClass, damaged: &mut Vec<Damaged>) -> Result<Vec<Arc<Run>>, Error> {
        let mut runs = Vec::new();
        let entries = match fs::read_dir(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(runs),
            entries => entries.map_err(Error::io("list", &self.path))?,
        };
        for entry in entries {
            let path = entry.map_err(Error::io("list", &self.path))?.path();
            if !is_run(&path, class) {
                continue;
            }
            match Run::open_proving(&path, &self.key, self.at_once) {
                Ok(run) if run.class() == class => runs.push(Arc::new(run)),
                Err(error @ Error::Io { .. }) => return Err(error),
                Ok(_) | Err(Error::Damaged(_)) => {
                    remove(&path)?;
                    damaged.push(Damaged { path: Some(path) });
                }
            }
        }
        Ok(runs)
    }

    /// Begins a run, in a folder that is open to its owner alone.
    ///
    /// # Errors
    /// When folder or file cannot be made.
    pub fn begin(&self, class: IndexClass) -> Result<RunBuilder, Error> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.path).map_err(Error::io("make", &self.path))?;
        let mode = fs::metadata(&self.path).map_err(Error::io("look at", &self.path))?.permissions().mode();
        if mode & 0o077 != 0 {
            let closed = fs::Permissions::from_mode(0o700);
            fs::set_permissions(&self.path, closed).map_err(Error::io("close", &self.path))?;
        }
        self.remove_left_overs();
        RunBuilder::new(Some(&self.path), class, &self.key)
    }

    /// Removes a run that another one stands in for. Who has it open keeps it.
    ///
    /// # Errors
    /// When it is there and cannot be removed.
    pub fn remove(&self, run: &Run) -> Result<(), Error> {
        run.path().map_or(Ok(()), remove)
    }

    /// Removes a run that turned out to be damaged.
    ///
    /// # Errors
    /// As [`Self::remove`].
    pub fn discard(&self, damaged: &Damaged) -> Result<(), Error> {
        damaged.path.as_deref().map_or(Ok(()), remove)
    }

    /// Removes what was left by processes that were killed. Failures only leave it for next time.
    fn remove_left_overs(&self) {
        for entry in fs::read_dir(&self.path).into_iter().flatten().flatten() {
            let unfinished = entry.file_name().as_encoded_bytes().starts_with(b"chunks.new-");
            let age = entry.metadata().and_then(|stat| stat.modified()).ok().and_then(|time| time.elapsed().ok());
            if unfinished && age.is_some_and(|age| age > LEFT_OVER_AFTER) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

/// The name of a run's file.
pub fn file_name(class: IndexClass, name: &str) -> String {
    format!("{}{name}", start_of_name(class))
}

const fn start_of_name(class: IndexClass) -> &'static str {
    match class {
        IndexClass::Catalog => "chunks-c-",
        IndexClass::Data => "chunks-d-",
    }
}

fn is_run(path: &Path, class: IndexClass) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(start_of_name(class).as_bytes()))
}

fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(Error::io("remove", path)),
    }
}
