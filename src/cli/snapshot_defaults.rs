//! What the configuration says about snapshots, for a command that leaves it open.

use std::path::PathBuf;

use super::context::Context;
use super::error::Failure;
use crate::config;
use crate::ops::snapshot::Delta;
use crate::repo::effort::Effort;

/// `[snapshot]` of the configuration, with this user's home in its paths.
#[derive(Debug, Default)]
pub struct Defaults {
    paths: Vec<PathBuf>,
    exclude: Vec<String>,
    tags: Vec<String>,
    /// Not to enter other file systems.
    pub one_file_system: bool,
    /// The host to record.
    pub host: Option<String>,
    /// How hard to compress.
    pub compression: Option<Effort>,
    /// Whether new chunks of large files may be stored as deltas.
    pub delta: Option<Delta>,
}

impl Defaults {
    /// Those of this run; nothing without a configuration.
    ///
    /// # Errors
    /// When the configuration is wrong.
    pub fn of(context: &Context) -> Result<Self, Failure> {
        let config::Snapshot { paths, exclude, one_file_system, tags, host, compression, delta } =
            context.snapshot_settings()?;
        let home = context.home();
        let home = home.as_deref();
        let paths = paths.iter().map(|path| path.resolve(home)).collect::<Result<_, _>>().map_err(Failure::usage)?;
        let exclude = exclude.iter().map(|p| p.resolve(home)).collect::<Result<_, _>>().map_err(Failure::usage)?;
        Ok(Self { paths, exclude, tags, one_file_system, host, compression, delta })
    }

    /// The paths of the command, else those of the configuration.
    ///
    /// # Errors
    /// When neither names any.
    pub fn paths(&self, given: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
        match (given, &self.paths[..]) {
            ([], []) => Err(Failure::usage("nothing is named that a snapshot could be taken of")
                .hint("name files or folders, or set `paths` in [snapshot] of the configuration")),
            ([], configured) => Ok(configured.to_vec()),
            (given, _) => Ok(given.to_vec()),
        }
    }

    /// The patterns of the configuration. The command's come after them: the last one that fits decides.
    pub fn excludes(&self) -> &[String] {
        &self.exclude
    }

    /// The command's tags, else those of the configuration.
    pub fn tags(&self, given: &[String]) -> Vec<String> {
        if given.is_empty() { self.tags.clone() } else { given.to_vec() }
    }
}
