//! Secrets from a command's output, such as a password manager's.
//!
//! The command line is split into words as a shell would, and run without a shell. Its standard error is the caller's, its
//! standard input is closed.

use super::file::read_all;
use super::{Error, LONGEST};
use crate::crypto::secret::SecretBytes;
use std::process::{Command, Stdio};

/// Runs `command_line` and returns what it printed.
///
/// # Errors
/// [`Error::CommandSyntax`], [`Error::Command`] when it does not start, [`Error::CommandFailed`] when it ends with
/// anything but success, [`Error::TooLong`]. None of them shows the output.
pub fn run(command_line: &str) -> Result<SecretBytes, Error> {
    let words = shlex::split(command_line).ok_or(Error::CommandSyntax)?;
    let (program, arguments) = words.split_first().ok_or(Error::CommandSyntax)?;
    let failed = |source| Error::Command { program: program.clone(), source };
    let mut child =
        Command::new(program).args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().map_err(failed)?;
    let mut output = child.stdout.take().expect("standard output is a pipe");
    let secret = read_all(&mut output);
    // Closed before the wait: a command that goes on printing ends instead of waiting for a reader.
    drop(output);
    let status = child.wait().map_err(failed)?;
    let Some(secret) = secret.map_err(failed)? else {
        return Err(Error::TooLong(format!("{program} (more than {LONGEST} bytes)")));
    };
    if status.success() { Ok(secret) } else { Err(Error::CommandFailed { program: program.clone(), status }) }
}
