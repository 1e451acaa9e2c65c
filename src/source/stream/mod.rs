//! Bytes that come once, from front to back, from something that is no file: standard input, or a command's output.

pub mod command;
pub mod input;

use crate::event::Sink;
use rustix::io::Errno;
use std::process::ExitStatus;

/// Where the bytes come from.
pub trait Stream {
    /// Reads on: how many bytes were put at the front of `buffer`, 0 at the end. Waits until there are some.
    ///
    /// # Errors
    /// When there is no reading on, or `events` says to stop.
    fn read(&mut self, buffer: &mut [u8], events: &dyn Sink) -> Result<usize, Error>;

    /// Whether what was read up to the end is all that should have come. Until it says so, nothing may be committed.
    ///
    /// # Errors
    /// When it is not.
    fn finish(&mut self, events: &dyn Sink) -> Result<(), Error>;
}

/// Why a stream is of no use.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command does not start.
    #[error("cannot run {program}")]
    Start {
        /// The program.
        program: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The system refused to read on.
    #[error("reading {from}: {source}")]
    Read {
        /// Whose bytes.
        from: String,
        /// What the system said.
        #[source]
        source: Errno,
    },
    /// The command did not end well, so that its output cannot be relied on.
    #[error("{program} failed ({status}), so that no snapshot was taken{}", last_words(said))]
    Failed {
        /// The program.
        program: String,
        /// How it ended.
        status: ExitStatus,
        /// The last lines of its standard error.
        said: Vec<String>,
    },
    /// Somebody asked to stop.
    #[error("stopped before all was read, so that no snapshot was taken")]
    Stopped,
}

/// A part of a message with a line for each line.
fn last_words(said: &[String]) -> String {
    if said.is_empty() { String::new() } else { format!("; it said last:\n  {}", said.join("\n  ")) }
}

/// Reading was interrupted, or failed.
fn read_error(from: &str, error: Errno) -> Error {
    match error {
        Errno::INTR => Error::Stopped,
        source => Error::Read { from: from.to_owned(), source },
    }
}
