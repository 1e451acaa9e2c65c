//! Patterns on the command line, given one by one or in files: which paths of a snapshot are meant.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use super::error::Failure;
use super::escape;
use crate::ops::select::{Patterns, Select};

/// What to take and what to leave out, by paths in the snapshot.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Only a part of it")]
pub struct Choice {
    /// Only what fits this pattern: `*.txt` anywhere, `/home/*/docs` from the snapshot's root
    #[arg(short, long, value_name = "PATTERN")]
    include: Vec<OsString>,
    /// As --include, capitals and small letters alike
    #[arg(long, value_name = "PATTERN")]
    iinclude: Vec<OsString>,
    /// A file with such patterns, one on a line; empty lines and those that begin with `#` do not count
    #[arg(long, value_name = "FILE")]
    include_file: Vec<PathBuf>,
    /// As --include-file, capitals and small letters alike
    #[arg(long, value_name = "FILE")]
    iinclude_file: Vec<PathBuf>,
    /// Not what fits this pattern; outranks --include
    #[arg(short, long, value_name = "PATTERN")]
    exclude: Vec<OsString>,
    /// As --exclude, capitals and small letters alike
    #[arg(long, value_name = "PATTERN")]
    iexclude: Vec<OsString>,
    /// A file with such patterns, one on a line; empty lines and those that begin with `#` do not count
    #[arg(long, value_name = "FILE")]
    exclude_file: Vec<PathBuf>,
    /// As --exclude-file, capitals and small letters alike
    #[arg(long, value_name = "FILE")]
    iexclude_file: Vec<PathBuf>,
}

impl Choice {
    /// Compiles them all.
    ///
    /// # Errors
    /// When a file cannot be read, or a pattern means nothing.
    pub fn select(&self) -> Result<Select, Failure> {
        compile(&Patterns {
            include: gather(&self.include, &self.include_file)?,
            include_any_case: gather(&self.iinclude, &self.iinclude_file)?,
            exclude: gather(&self.exclude, &self.exclude_file)?,
            exclude_any_case: gather(&self.iexclude, &self.iexclude_file)?,
        })
    }
}

/// Compiles patterns.
///
/// # Errors
/// When one means nothing.
pub fn compile(patterns: &Patterns) -> Result<Select, Failure> {
    Select::new(patterns).map_err(|error| {
        Failure::usage(format!("the pattern \"{}\" means nothing: {}", escape::name(&error.pattern), error.reason))
    })
}

fn gather(given: &[OsString], files: &[PathBuf]) -> Result<Vec<Vec<u8>>, Failure> {
    let mut patterns: Vec<Vec<u8>> = given.iter().map(|pattern| pattern.as_bytes().to_vec()).collect();
    for file in files {
        let shown = || escape::name(file.as_os_str().as_bytes());
        let text = std::fs::read(file)
            .map_err(|error| Failure::usage(format!("cannot read the patterns in {}: {error}", shown())))?;
        let lines = text.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
        patterns.extend(lines.filter(|line| !line.is_empty() && line[0] != b'#').map(<[u8]>::to_vec));
    }
    Ok(patterns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_hold_a_pattern_on_a_line() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("patterns");
        std::fs::write(&file, b"# a comment\n\n  *.o \r\n/a\xff\n").unwrap();
        assert_eq!(gather(&["x".into()], &[file]).unwrap(), [&b"x"[..], b"*.o", b"/a\xff"]);
        assert!(gather(&[], &["/no/such/file".into()]).unwrap_err().message.contains("/no/such/file"));
    }
}
