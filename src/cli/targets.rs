//! What a snapshot is taken of: paths from the command line and from lists.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::error::{Code, Failure};
use super::output::Output;
use super::{escape, lists};
use crate::repo::entry::EntryPath;
use crate::source::files::expand::expand;

/// Options that name paths in files. `-` is standard input, for one of them.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "What is in it (docs/excludes.md)")]
pub struct Lists {
    /// Take in the paths in this file too, one a line; wildcards are expanded, `#` begins a comment
    #[arg(long, value_name = "FILE")]
    files_from: Vec<PathBuf>,
    /// Take in the paths in this file too, one a line, as they stand
    #[arg(long, value_name = "FILE")]
    files_from_verbatim: Vec<PathBuf>,
    /// Take in the paths in this file too, each ended by a NUL byte (`find -print0`)
    #[arg(long, value_name = "FILE")]
    files_from_raw: Vec<PathBuf>,
}

impl Lists {
    /// The paths of the lists, absolute; wildcards that nothing fits are told with a warning.
    ///
    /// # Errors
    /// A list that cannot be read, a pattern or a name that is none: usage errors.
    pub fn paths(&self, output: &Output) -> Result<Vec<EntryPath>, Failure> {
        self.only_one_reads_standard_input()?;
        let mut paths = Vec::new();
        for file in &self.files_from {
            for (number, pattern) in lists::lines(&lists::read("--files-from", file)?) {
                let place = || format!("--files-from {} line {number}", lists::shown(file));
                let found = expand(&here()?, &pattern)
                    .map_err(|error| Failure::usage(format!("{}: {}", place(), super::error::chain(&error))))?;
                if found.is_empty() {
                    output.warn(format!("{}: nothing fits {}", place(), escape::name(&pattern)));
                }
                paths.extend(found.iter().map(|path| absolute(path)).collect::<Result<Vec<_>, _>>()?);
            }
        }
        for file in &self.files_from_verbatim {
            for (_, line) in lists::verbatim(&lists::read("--files-from-verbatim", file)?) {
                paths.push(absolute(Path::new(OsStr::from_bytes(&line)))?);
            }
        }
        for file in &self.files_from_raw {
            let place = |why| Failure::usage(format!("--files-from-raw {}: {why}", lists::shown(file)));
            for name in lists::raw(&lists::read("--files-from-raw", file)?).map_err(place)? {
                paths.push(absolute(Path::new(OsStr::from_bytes(&name)))?);
            }
        }
        Ok(paths)
    }

    fn only_one_reads_standard_input(&self) -> Result<(), Failure> {
        let all = [&self.files_from, &self.files_from_verbatim, &self.files_from_raw];
        match all.into_iter().flatten().filter(|file| file.as_os_str() == "-").count() {
            0 | 1 => Ok(()),
            _ => Err(Failure::usage("standard input (`-`) can be one list only")),
        }
    }

    /// Whether a list was named.
    pub fn any(&self) -> bool {
        !(self.files_from.is_empty() && self.files_from_verbatim.is_empty() && self.files_from_raw.is_empty())
    }
}

/// Absolute by the words alone: symbolic links are neither followed nor resolved.
///
/// # Errors
/// When a name in it is one that no file can have.
pub fn absolute(path: &Path) -> Result<EntryPath, Failure> {
    let shown = || escape::name(path.as_os_str().as_bytes());
    let whole = std::path::absolute(path).map_err(|error| Failure::usage(format!("\"{}\": {error}", shown())))?;
    EntryPath::parse(whole.as_os_str().as_bytes())
        .ok_or_else(|| Failure::usage(format!("{} holds a name that no file can have", shown())))
}

fn here() -> Result<PathBuf, Failure> {
    std::env::current_dir()
        .map_err(|error| Failure::new(Code::Failed, format!("cannot tell the current folder: {error}")))
}
