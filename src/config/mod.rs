//! The configuration: one TOML file that names repositories, what opens them, what is snapshotted and what stays.
//!
//! Invariant: an unknown key, a wrong value or a file that shows a secret to others is an error with file and line, never
//! passed over. What a flag or a variable says is not known here; nothing is printed and no environment is read. Every key
//! stands in `docs/configuration.md`.

mod access;
mod append;
mod later;
mod parse;
mod place;
mod sections;
mod values;

pub use access::{LineRate, Reach};
pub use append::{Addition, append};
pub use later::{Alert, Copy, Database};
pub use place::{Place, Rank};
pub use sections::{Repository, Settings, Snapshot};
pub use values::{Command, Hidden, HomePath, Location, Name, Pattern, Variable};

use std::io;
use std::path::{Path, PathBuf};

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read or written.
    #[error("cannot {action} the configuration {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not UTF-8, as TOML must be.
    #[error("{}: line {line}: this is not UTF-8 text", path.display())]
    NotText {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
    },
    /// Others can read a file that holds a secret.
    #[error("the configuration {} holds {what} and has mode {mode:03o}: others on this machine can read it", path.display())]
    Readable {
        /// The file.
        path: PathBuf,
        /// What it holds.
        what: String,
        /// Its mode.
        mode: u32,
    },
    /// Anybody can change the file, and so the commands that it names.
    #[error("the configuration {} has mode {mode:03o}: anybody on this machine can change it", path.display())]
    Writable {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// A key that means nothing.
    #[error("{}: line {line}: unknown key `{key}`{}", path.display(), meant(nearest.as_deref()))]
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The key.
        key: String,
        /// A key of that place that it may stand for.
        nearest: Option<String>,
    },
    /// A value that cannot be, or text that is not TOML.
    #[error("{}: line {line}: {reason}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// Keys that do not fit together.
    #[error("{}: {reason}", path.display())]
    Contradiction {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        reason: String,
    },
}

fn meant(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |key| format!(" (did you mean `{key}`?)"))
}

impl Error {
    fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}

/// A configuration that was read.
#[derive(Debug)]
pub struct Config {
    /// The file.
    pub path: PathBuf,
    /// What it says.
    pub settings: Settings,
    /// The sections of the first level that it has, even if they say nothing.
    pub sections: Vec<String>,
}

impl Config {
    /// Reads the first file that is there. `None` when none is.
    ///
    /// # Errors
    /// When the file that counts is named and not there, cannot be read, or is wrong in any way.
    pub fn load(places: &[Place]) -> Result<Option<Self>, Error> {
        for place in places {
            if let Some(file) = place.read()? {
                file.check_author(&place.path)?;
                let settings = parse::parse(&place.path, &file.text)?;
                file.check_readers(&place.path, &settings)?;
                let sections = parse::sections(&file.text);
                return Ok(Some(Self { path: place.path.clone(), settings, sections }));
            }
        }
        Ok(None)
    }

    /// The repository of this name.
    pub fn named(&self, name: &str) -> Option<(&Name, &Repository)> {
        self.settings.repository.iter().find(|(known, _)| known.as_str() == name)
    }

    /// The repository that counts when none is named: `default_repository`, or the only one.
    pub fn default_repository(&self) -> Option<(&Name, &Repository)> {
        match &self.settings.default_repository {
            Some(name) => self.settings.repository.get_key_value(name),
            None if self.settings.repository.len() == 1 => self.settings.repository.iter().next(),
            None => None,
        }
    }
}

#[cfg(test)]
mod tests;
