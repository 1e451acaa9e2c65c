//! What of the named paths a snapshot takes in: the options that leave things out.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::context::Context;
use super::error::{Code, Failure};
use super::{escape, lists, output};
use crate::repo::entry::EntryName;
use crate::source::files::reason::Reason;
use crate::source::files::rules::{Rules, Tag};

/// Options that leave things out, and one that takes more in.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "What is in it (docs/excludes.md)")]
pub struct Selection {
    /// Leave out what fits this pattern: `*.tmp` anywhere, `/home/*/.cache` from the root, `!` brings back
    #[arg(short, long, value_name = "PATTERN")]
    exclude: Vec<OsString>,
    /// As --exclude; upper and lower case are the same
    #[arg(long, value_name = "PATTERN")]
    iexclude: Vec<OsString>,
    /// Patterns from a file, one a line; `#` begins a comment
    #[arg(long, value_name = "FILE")]
    exclude_file: Vec<PathBuf>,
    /// As --exclude-file; upper and lower case are the same
    #[arg(long, value_name = "FILE")]
    iexclude_file: Vec<PathBuf>,
    /// Heed files of this name in each folder, which hold rules as .gitignore does
    #[arg(long, value_name = "NAME")]
    ignore_file: Vec<OsString>,
    /// Leave out what is in folders marked as caches (CACHEDIR.TAG)
    #[arg(long)]
    exclude_caches: bool,
    /// Leave out what is in folders with a file of this name (that begins with HEADER)
    #[arg(long, value_name = "NAME[:HEADER]")]
    exclude_if_present: Vec<OsString>,
    /// Leave out files larger than this: `500M`, `2G`
    #[arg(long, value_name = "SIZE")]
    exclude_larger_than: Option<String>,
    /// Leave out what has the no-dump flag (chattr +d)
    #[arg(long)]
    exclude_nodump: bool,
    /// Do not enter other file systems
    #[arg(short = 'x', long)]
    pub one_file_system: bool,
    /// Store what named pipes and block devices give to a reader, as files
    #[arg(long)]
    pub read_special: bool,
}

impl Selection {
    /// The rules that the options make, after the patterns of the configuration.
    ///
    /// # Errors
    /// A pattern that means nothing, a file that cannot be read, a size that is none: usage errors.
    pub fn rules(&self, configured: &[String], context: &Context) -> Result<Rules, Failure> {
        let mut rules = Rules { nodump: self.exclude_nodump, ..Rules::default() };
        for pattern in configured {
            add(&mut rules, Reason::option("exclude, in the configuration:").text(pattern.as_bytes()), false)?;
        }
        for pattern in &self.exclude {
            add(&mut rules, Reason::option("--exclude").text(pattern.as_bytes()), false)?;
        }
        for file in &self.exclude_file {
            add_file(&mut rules, "--exclude-file", file, false, context)?;
        }
        for pattern in &self.iexclude {
            add(&mut rules, Reason::option("--iexclude").text(pattern.as_bytes()), true)?;
        }
        for file in &self.iexclude_file {
            add_file(&mut rules, "--iexclude-file", file, true, context)?;
        }
        rules.ignore_files = self.ignore_file.iter().map(|name| file_name(name)).collect::<Result<_, _>>()?;
        if self.exclude_caches {
            rules.tags.push(Tag::cache());
        }
        for text in &self.exclude_if_present {
            let tag = Tag::parse(text.as_bytes());
            rules.tags.push(tag.ok_or_else(|| no_name("--exclude-if-present", text))?);
        }
        rules.larger_than = self.exclude_larger_than.as_deref().map(size).transpose()?;
        Ok(rules)
    }
}

fn add(rules: &mut Rules, origin: Reason, fold: bool) -> Result<(), Failure> {
    let place = origin.clone();
    rules.patterns.push(origin, fold).map_err(|error| match place.line {
        Some(_) => Failure::usage(format!("{place}: {}", error.reason)),
        None => Failure::because(Code::Usage, &error),
    })
}

fn add_file(
    rules: &mut Rules,
    option: &'static str,
    file: &Path,
    fold: bool,
    context: &Context,
) -> Result<(), Failure> {
    for (number, line) in lists::lines(&lists::read(option, file)?) {
        let place = Reason::option(option).file(file.as_os_str().as_bytes()).line(number);
        let pattern = lists::with_variables(&line, |name| context.variable(name)).map_err(|name| {
            Failure::usage(format!("{place}: the variable \"{name}\" is not set"))
                .hint("a dollar sign that stands for itself is written $$")
        })?;
        add(rules, place.text(&pattern), fold)?;
    }
    Ok(())
}

fn file_name(name: &OsStr) -> Result<EntryName, Failure> {
    EntryName::new(name.as_bytes()).ok_or_else(|| no_name("--ignore-file", name))
}

fn no_name(option: &str, text: &OsStr) -> Failure {
    Failure::usage(format!("{option} {}: it takes the name of a file, without a folder", escape::name(text.as_bytes())))
}

fn size(text: &str) -> Result<u64, Failure> {
    output::parse_size(text).ok_or_else(|| {
        Failure::usage(format!("--exclude-larger-than {text:?} is no size; write it like 500M, 2G or 1048576"))
    })
}
