//! Where a secret comes from: an environment variable, a file, a command's output; by flag, environment or configuration.
//!
//! Invariant: a secret never shows in an error, and never comes from the command line itself. The environment is asked
//! through a function that the caller gives, never directly. What a secret is good for is not known here.

mod command;
mod file;
mod harden;
mod sources;
mod stored;

pub use command::run as run_command;
pub use file::{
    Contents, create as create_file, create_key as create_key_file, read as read_file,
    read_or_create_key as read_or_create_key_file,
};
pub use harden::harden;
pub use sources::{Answer, Found, Lookup, Origin, Sources, find};
pub use stored::{Stored, origin};

use std::path::PathBuf;

/// Bytes of a secret at most.
pub const LONGEST: usize = 64 * 1024;

/// Why a secret cannot be had or kept.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Two places name a secret, and neither outranks the other.
    #[error("both {0} and {1} are given: which one is meant?")]
    Conflict(Origin, Origin),
    /// A variable that must name a file or a command is not valid Unicode.
    #[error("{0} is not valid Unicode")]
    NotUnicode(Origin),
    /// A file that cannot be read.
    #[error("cannot read the secret file {}: {source}", path.display())]
    Read {
        /// Its path.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file that cannot be made.
    #[error("cannot create {}: {source}", path.display())]
    Create {
        /// Its path.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A secret file or a command's output that is far too long for a secret.
    #[error("{0} gives more than {LONGEST} bytes: that is no secret")]
    TooLong(String),
    /// A file, variable or command that gives nothing.
    #[error("{0} gives no secret: it is empty")]
    Empty(String),
    /// A variable that a configuration names and that is not set.
    #[error("{origin} in the configuration names the variable {variable}, which is not set")]
    Unset {
        /// The variable.
        variable: String,
        /// The key of the configuration that names it.
        origin: Origin,
    },
    /// A command line whose quotes do not match, or that names no program.
    #[error("the command that gives the secret cannot be split into words: check its quotes")]
    CommandSyntax,
    /// A command that cannot be started.
    #[error("cannot run {program} for the secret: {source}")]
    Command {
        /// The program.
        program: String,
        /// Why.
        source: std::io::Error,
    },
    /// A command that failed. Its output is a secret, and not shown.
    #[error("{program}, run for the secret, failed: {status}")]
    CommandFailed {
        /// The program.
        program: String,
        /// How it ended.
        status: std::process::ExitStatus,
    },
}
