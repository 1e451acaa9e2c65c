//! The sections of the file, and what holds between them.

use super::access::Reach;
use super::later::{Alert, Copy, Database};
use super::values::{Command, Hidden, HomePath, Location, Name, Pattern, Variable};
use crate::ops::neighbour::Limits;
use crate::ops::retention::Rules;
use crate::ops::snapshot::Delta;
use crate::repo::effort::Effort;
use crate::secrets::Stored;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// All that a configuration may say.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The repository that counts when none is named.
    pub default_repository: Option<Name>,
    /// Where caches are kept.
    pub cache_dir: Option<HomePath>,
    /// `[repository.NAME]`.
    pub repository: BTreeMap<Name, Repository>,
    /// `[snapshot]`.
    pub snapshot: Snapshot,
    /// `[limits]`.
    pub limits: Limits,
    /// `[retention]`.
    pub retention: Rules,
    /// `[alert]`, for later.
    pub alert: Alert,
    /// `[database]`, for later.
    pub database: Database,
}

/// A repository, and what opens it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Repository {
    /// Where it is.
    pub url: Location,
    /// The password itself.
    #[serde(default)]
    pub password: Option<Hidden>,
    /// A file that holds it.
    #[serde(default)]
    pub password_file: Option<HomePath>,
    /// A command that prints it.
    #[serde(default)]
    pub password_command: Option<Command>,
    /// A variable that holds it.
    #[serde(default)]
    pub password_env: Option<Variable>,
    /// A raw key or the words of a recovery key.
    #[serde(default)]
    pub key: Option<Hidden>,
    /// A file that holds one.
    #[serde(default)]
    pub key_file: Option<HomePath>,
    /// A command that prints one.
    #[serde(default)]
    pub key_command: Option<Command>,
    /// A variable that holds one.
    #[serde(default)]
    pub key_env: Option<Variable>,
    /// `[repository.NAME.access]`.
    #[serde(default)]
    pub access: Reach,
    /// `[repository.NAME.copy.NAME]`.
    #[serde(default)]
    pub copy: BTreeMap<Name, Copy>,
}

/// What `boveda snapshot` takes in when nothing else is said.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Snapshot {
    /// Files and folders, when the command names none.
    pub paths: Vec<HomePath>,
    /// Patterns of what is left out, before those of the command.
    pub exclude: Vec<Pattern>,
    /// Not to enter other file systems.
    pub one_file_system: bool,
    /// Tags, when the command gives none.
    pub tags: Vec<String>,
    /// The host that snapshots are recorded for.
    pub host: Option<String>,
    /// How hard to compress.
    pub compression: Option<Effort>,
    /// Whether new chunks of large files may be stored as deltas.
    pub delta: Option<Delta>,
}

impl Repository {
    /// What opens it, for a user with this home.
    ///
    /// # Errors
    /// When a path begins with `~/` and there is no home.
    pub fn secret(&self, home: Option<&Path>) -> Result<Stored, String> {
        let path = |path: &Option<HomePath>| path.as_ref().map(|path| path.resolve(home)).transpose();
        let hidden = |secret: &Option<Hidden>| secret.as_ref().map(|Hidden(secret)| secret.clone());
        let command = |line: &Option<Command>| line.as_ref().map(|line| line.as_str().to_owned());
        let variable = |name: &Option<Variable>| name.as_ref().map(|name| name.as_str().to_owned());
        Ok(Stored {
            password: hidden(&self.password),
            password_file: path(&self.password_file)?,
            password_command: command(&self.password_command),
            password_env: variable(&self.password_env),
            key: hidden(&self.key),
            key_file: path(&self.key_file)?,
            key_command: command(&self.key_command),
            key_env: variable(&self.key_env),
        })
    }
}

impl Settings {
    /// The first key that holds a secret in itself, as words: "a password (repository.home)".
    pub(super) fn secret_in_itself(&self) -> Option<String> {
        self.repository.iter().find_map(|(name, repository)| match (&repository.password, &repository.key) {
            (Some(_), _) => Some(format!("a password (repository.{name})")),
            (None, Some(_)) => Some(format!("a key (repository.{name})")),
            (None, None) => None,
        })
    }

    /// What does not fit together, if anything.
    pub(super) fn contradiction(&self) -> Option<String> {
        if let Some(name) = &self.default_repository
            && !self.repository.contains_key(name)
        {
            return Some(format!(
                "default_repository is `{name}`, and there is no [repository.{name}]{}",
                self.known()
            ));
        }
        if let Some(what) = self.retention.contradiction() {
            return Some(format!("retention: {what}"));
        }
        // A home is only needed for paths, and any will do to find two secrets.
        let home = Some(Path::new("/"));
        let secrets = self.repository.iter().map(|(name, repository)| (name, repository.secret(home)));
        for (name, secret) in secrets {
            let origin = secret.map(|secret| secret.origin());
            if let Ok(Err(error)) = origin {
                return Some(format!("repository.{name}: {error}"));
            }
        }
        None
    }

    /// The end of a sentence about a repository that is not there.
    pub fn known(&self) -> String {
        let names: Vec<_> = self.repository.keys().map(Name::as_str).collect();
        if names.is_empty() { String::new() } else { format!("; there is {}", names.join(", ")) }
    }
}
