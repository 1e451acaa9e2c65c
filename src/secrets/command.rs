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
    drop(output);
    if !matches!(secret, Ok(Some(_))) {
        // It may go on printing for ever. If it has ended meanwhile, the wait below says so.
        let _ = child.kill();
    }
    let status = child.wait().map_err(failed)?;
    let Some(secret) = secret.map_err(failed)? else {
        return Err(Error::TooLong(format!("{program} (more than {LONGEST} bytes)")));
    };
    if status.success() { Ok(secret) } else { Err(Error::CommandFailed { program: program.clone(), status }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_a_shell_would_and_nothing_else_is_done() {
        let output = |line: &str| run(line).unwrap().expose().to_vec();
        assert_eq!(output("printf '%s|' a 'b c' \"d e\" f\\ g"), b"a|b c|d e|f g|");
        assert_eq!(output("printf %s $HOME;*"), b"$HOME;*");
        assert_eq!(output("cat"), b"", "standard input is closed");
    }

    #[test]
    fn failures_name_the_program_and_never_its_output() {
        let error = run("sh -c 'echo hunter2; exit 3'").unwrap_err();
        assert!(matches!(error, Error::CommandFailed { .. }));
        let text = format!("{error} {error:?}");
        assert!(text.contains("sh") && text.contains('3') && !text.contains("hunter2"), "{text}");
        assert!(
            matches!(run("/nowhere/program x"), Err(Error::Command { program, .. }) if program == "/nowhere/program")
        );
        assert!(matches!(run("pass 'unbalanced"), Err(Error::CommandSyntax)));
        assert!(matches!(run("   "), Err(Error::CommandSyntax)));
    }

    #[test]
    fn endless_output_ends() {
        assert!(matches!(run("yes"), Err(Error::TooLong(what)) if what.starts_with("yes")));
    }
}
