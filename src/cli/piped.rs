//! Snapshots of what comes through a pipe: `--stdin` and `--command`.

use std::ffi::{OsStr, OsString};
use std::io::IsTerminal as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use super::error::Failure;
use super::escape;
use crate::repo::entry::EntryPath;
use crate::source::stream::command::CommandOutput;
use crate::source::stream::input::StandardInput;
use crate::source::stream::{Error, Stream};

/// Options that mean something for files only.
const OF_FILES: [&str; 7] =
    ["files_from", "files_from_verbatim", "files_from_raw", "explain", "parent", "skip_if_unchanged", "with_atime"];

/// Options for what is no file.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Instead of files")]
pub struct Pipes {
    /// Store what comes on standard input, as one file
    #[arg(long, conflicts_with_all = ["paths", "command"], conflicts_with_all = OF_FILES)]
    stdin: bool,
    /// That file's name [default: stdin]
    #[arg(long, value_name = "NAME", visible_alias = "stdin-filename")]
    stdin_name: Option<OsString>,
    /// Run what follows `--`, without a shell, and store its output as a file of this name; if it fails, there is no snapshot
    #[arg(long, value_name = "NAME", requires = "paths", conflicts_with = "stdin_name", conflicts_with_all = OF_FILES)]
    command: Option<OsString>,
    /// The same, named by --stdin-filename: for those who know it from restic
    #[arg(long, hide = true, requires = "paths",
        conflicts_with_all = ["command", "stdin"], conflicts_with_all = OF_FILES)]
    stdin_from_command: bool,
}

/// Something that comes through a pipe.
pub struct Piped {
    /// The file that it becomes.
    pub path: EntryPath,
    /// The command that prints it, else standard input.
    command: Option<Vec<OsString>>,
}

/// Variables that hold secrets: no command gets to see them.
const HIDDEN: &[&str] = &["BOVEDA_PASSWORD", "BOVEDA_KEY"];

impl Pipes {
    /// What is asked for, if anything is. `words` is what stands on the command line without an option.
    ///
    /// # Errors
    /// Names that no file can have, a terminal in place of a pipe, a name for nothing.
    pub fn piped(&self, words: &[PathBuf]) -> Result<Option<Piped>, Failure> {
        let words = || Some(words.iter().map(|word| word.clone().into_os_string()).collect());
        let (name, command) = match (&self.command, &self.stdin_name) {
            (Some(name), _) => (name.as_os_str(), words()),
            (None, name) if self.stdin || self.stdin_from_command => {
                let command = if self.stdin_from_command { words() } else { None };
                (name.as_deref().unwrap_or(OsStr::new("stdin")), command)
            }
            (None, Some(_)) => return Err(Failure::usage("--stdin-name says how to call what --stdin reads")),
            (None, None) => return Ok(None),
        };
        if command.is_none() && std::io::stdin().is_terminal() {
            return Err(
                Failure::usage("standard input is a terminal").hint("send something through a pipe, or `< FILE`")
            );
        }
        let path = EntryPath::parse(&[b"/", name.as_bytes()].concat()).filter(|path| !path.0.is_empty());
        let path = path.ok_or_else(|| {
            Failure::usage(format!("\"{}\" is a name that no file can have", escape::name(name.as_bytes())))
        })?;
        Ok(Some(Piped { path, command }))
    }
}

impl Piped {
    /// The stream; a command is started.
    ///
    /// # Errors
    /// When it does not start.
    pub fn open(&self) -> Result<Box<dyn Stream>, Error> {
        match self.command.as_deref() {
            Some([program, arguments @ ..]) => Ok(Box::new(CommandOutput::start(program, arguments, HIDDEN)?)),
            // The command line insists on a program where a command is asked for.
            _ => Ok(Box::new(StandardInput)),
        }
    }
}
