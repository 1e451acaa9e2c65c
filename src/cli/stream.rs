//! Where a stream of data goes: standard output, or a file that appears under its name only when it is complete.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal as _, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::context::Context;
use super::error::{Code, Failure};
use super::escape;
use super::output::Output;
use crate::event::{Event, Sink};

/// Bytes gathered before they are written.
const BUFFER: usize = 1 << 20;

/// A stream's end.
pub struct Stream<'a> {
    target: Option<&'a Path>,
}

impl<'a> Stream<'a> {
    /// To a file, or (`None`, or `-`) to standard output.
    pub fn new(target: Option<&'a Path>) -> Self {
        Self { target: target.filter(|target| target.as_os_str() != "-") }
    }

    /// Whether standard output carries the stream and nothing else may be written there.
    pub const fn is_stdout(&self) -> bool {
        self.target.is_none()
    }

    /// Refuses to fill a terminal with what is not for eyes.
    ///
    /// # Errors
    /// When standard output is a terminal, and the stream's end.
    pub fn refuse_terminal(&self) -> Result<(), Failure> {
        if self.is_stdout() && io::stdout().is_terminal() {
            return Err(Failure::usage("an archive is nothing for a terminal")
                .hint("name a file, or send standard output somewhere: `… > FILE`, `… | tar -t`"));
        }
        Ok(())
    }

    /// Refuses to write where the repository's objects are.
    ///
    /// # Errors
    /// When the file would lie there.
    pub fn refuse_inside_repository(&self, context: &Context) -> Result<(), Failure> {
        self.target.map_or(Ok(()), |target| context.refuse_inside_repository(target))
    }

    /// Lets `work` write. A file gets its name, readable for its owner alone, when all went well; else nothing is left.
    ///
    /// # Errors
    /// Those of `work`, and when the file cannot be written.
    pub fn write<T>(&self, work: impl FnOnce(&mut dyn Write) -> Result<T, Failure>) -> Result<T, Failure> {
        let Some(target) = self.target else {
            let mut out = BufWriter::with_capacity(BUFFER, io::stdout().lock());
            let done = work(&mut out)?;
            out.flush()?;
            return Ok(done);
        };
        // A pipe or a device is written to as it is.
        let special = target.metadata().is_ok_and(|found| !found.is_file());
        let written = if special { target.to_owned() } else { partial(target)? };
        let mut options = File::options();
        let options = if special { options.write(true) } else { options.write(true).create_new(true).mode(0o600) };
        let file = options.open(&written).map_err(|error| self.failure(&error))?;
        let mut out = BufWriter::with_capacity(BUFFER, file);
        let done = work(&mut out).and_then(|done| {
            out.flush().map_err(|error| self.failure(&error))?;
            if !special {
                out.get_ref().sync_all().map_err(|error| self.failure(&error))?;
                std::fs::rename(&written, target).map_err(|error| self.failure(&error))?;
            }
            Ok(done)
        });
        if done.is_err() && !special {
            // What failed is told; a leftover is only a nuisance, and its name says what it is.
            let _ = std::fs::remove_file(&written);
        }
        done
    }

    /// Writing failed.
    pub fn failure(&self, error: &io::Error) -> Failure {
        let Some(target) = self.target else {
            return io::Error::new(error.kind(), error.to_string()).into();
        };
        Failure::new(Code::Failed, format!("cannot write {}: {error}", escape::name(target.as_os_str().as_bytes())))
    }
}

/// The name of a file that is not complete yet.
fn partial(target: &Path) -> Result<PathBuf, Failure> {
    let Some(name) = target.file_name() else {
        return Err(Failure::usage(format!("{} names no file", escape::name(target.as_os_str().as_bytes()))));
    };
    let mut partial = name.to_owned();
    partial.push(format!(".{}.partial", std::process::id()));
    Ok(target.with_file_name(partial))
}

/// Hands everything on but progress, whose JSON lines would stand in the middle of the data.
pub struct WithoutProgress<'a>(pub &'a Output);

impl Sink for WithoutProgress<'_> {
    fn emit(&self, event: Event) {
        if !(self.0.json() && matches!(event, Event::Progress(..))) {
            self.0.emit(event);
        }
    }

    fn stopping(&self) -> bool {
        self.0.stopping()
    }
}
