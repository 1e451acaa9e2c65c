//! `boveda dump` and `boveda export-tar`: a file, or a folder as an archive, as one stream.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::json;

use super::context::Context;
use super::error::{Code, Failure};
use super::escape;
use super::open::{below, find, open_to_read, require};
use super::output::{Output, count, put_path, size};
use super::patterns::Choice;
use super::selector::{Filter, Selector};
use super::stream::{Stream, WithoutProgress};
use super::thaw::{Reading, Thawing};
use crate::ops::archive::{self, Format, Part, export};
use crate::ops::content;
use crate::ops::select::Select;
use crate::repo::catalog::Tree;
use crate::repo::chunks::failure_of_store;
use crate::repo::entry::{Entry, EntryKind, EntryPath};
use crate::repo::keys::role::Role;
use crate::repo::names::IndexClass;
use crate::repo::reader::Keep;
use crate::store::ErrorKind;

/// Write a file of a snapshot to standard output, or a folder as an archive
///
/// Names in the archive begin at the snapshot's root, or at the folder that stands behind the snapshot's colon.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// (ID|latest|latest~N|@TIME)[:/abs/path]
    #[arg(value_name = "SNAPSHOT[:/PATH]")]
    selector: OsString,
    /// The file or folder; relative to the folder behind the colon, if there is one
    #[arg(value_name = "PATH")]
    path: Option<OsString>,
    /// The form of a folder's archive
    #[arg(short, long, value_name = "FORM", default_value = "tar")]
    archive: Form,
    /// Write to this file, which appears when it is complete, and not to standard output
    #[arg(short, long, value_name = "FILE")]
    target: Option<PathBuf>,
    #[command(flatten)]
    filter: Filter,
    #[command(flatten)]
    thawing: Thawing,
}

/// Write a snapshot, or a folder of it, as a tar archive
///
/// Everything but sockets and `chattr` flags is in it: extended attributes, hard links, holes, times to the nanosecond.
#[derive(Debug, clap::Args)]
pub struct ExportArguments {
    /// (ID|latest|latest~N|@TIME)[:/abs/path]; of a path, what is in it
    #[arg(value_name = "SNAPSHOT[:/PATH]")]
    selector: OsString,
    /// The archive; `-` for standard output
    #[arg(value_name = "FILE", default_value = "-")]
    file: PathBuf,
    /// Take the first N parts off every name; what has no more parts is left out
    #[arg(long, value_name = "N", default_value_t = 0)]
    strip_components: usize,
    #[command(flatten)]
    choice: Choice,
    #[command(flatten)]
    filter: Filter,
    #[command(flatten)]
    thawing: Thawing,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Form {
    Tar,
    Zip,
}

/// Dumps.
pub fn run(arguments: &Arguments, context: &Context) -> Result<Code, Failure> {
    let stream = Stream::new(arguments.target.as_deref());
    stream.refuse_inside_repository(context)?;
    let format = match arguments.archive {
        Form::Tar => Format::Tar,
        Form::Zip => Format::Zip,
    };
    let everything = Select::default();
    let wanted = Wanted {
        selector: &arguments.selector,
        path: arguments.path.as_ref(),
        filter: &arguments.filter,
        thawing: arguments.thawing,
        select: &everything,
        strip: 0,
        file_as_it_is: true,
    };
    write(&wanted, format, &stream, context)
}

/// Exports.
pub fn run_export(arguments: &ExportArguments, context: &Context) -> Result<Code, Failure> {
    let stream = Stream::new(Some(&arguments.file));
    stream.refuse_terminal()?;
    stream.refuse_inside_repository(context)?;
    let select = arguments.choice.select()?;
    let wanted = Wanted {
        selector: &arguments.selector,
        path: None,
        filter: &arguments.filter,
        thawing: arguments.thawing,
        select: &select,
        strip: arguments.strip_components,
        file_as_it_is: false,
    };
    write(&wanted, Format::Tar, &stream, context)
}

/// What to write.
struct Wanted<'a> {
    selector: &'a OsString,
    path: Option<&'a OsString>,
    filter: &'a Filter,
    thawing: Thawing,
    select: &'a Select,
    /// Parts of names to take off, beside those above the folder that is meant.
    strip: usize,
    /// Whether a file goes out without an archive around it.
    file_as_it_is: bool,
}

fn write(wanted: &Wanted<'_>, format: Format, stream: &Stream<'_>, context: &Context) -> Result<Code, Failure> {
    let output = Arc::new(context.stoppable_output()?);
    let selector = Selector::parse(wanted.selector.as_bytes(), &context.zone)?;
    let base = selector.path.clone().unwrap_or_default();
    let path = match wanted.path {
        Some(path) => below(Some(&base), path)?,
        None => base.clone(),
    };
    let opened = open_to_read(context, &output, Keep::All)?;
    require(&opened.repository, Role::reads_content, "reading a snapshot's files")?;
    let snapshot = find(&opened.repository, &selector, wanted.filter, context)?;
    let (tree, index) = opened.tree_and_index(snapshot, &IndexClass::BOTH)?;
    let (dry_run, taken) = (false, stream.is_stdout());
    let reading = Reading { tree: &tree, index: &index, selection: &path, select: wanted.select, dry_run, taken };
    if let Some(code) = wanted.thawing.prepare(&reading, &opened, &output)? {
        return Ok(code);
    }
    let entry = match tree.get(&path)? {
        Some(found) => Some(found.entry),
        None if path.0.is_empty() => None,
        None => {
            let shown = escape::name(&path.to_bytes());
            return Err(Failure::new(Code::Failed, format!("there is no {shown} in snapshot {selector}"))
                .hint("`boveda ls` and `boveda find` show what is in a snapshot"));
        }
    };
    let is_folder = entry.as_ref().is_none_or(|entry| entry.kind == EntryKind::Directory);
    match &entry {
        Some(entry) if !is_folder && wanted.file_as_it_is => file(&tree, &path, entry, stream, &output),
        _ => {
            // A single file keeps its name.
            let above = base.0.len() - usize::from(!is_folder && path == base);
            stream.refuse_terminal()?;
            let part = Part { top: &path, select: wanted.select, strip: above + wanted.strip };
            folder(&tree, part, format, stream, &output)
        }
    }
}

fn file(tree: &Tree, path: &EntryPath, entry: &Entry, stream: &Stream<'_>, output: &Output) -> Result<Code, Failure> {
    let shown = escape::name(&path.to_bytes());
    match &entry.kind {
        EntryKind::File(_) => {}
        EntryKind::Symlink(to) => {
            let to = escape::name(to);
            return Err(Failure::new(Code::Failed, format!("{shown} is a symbolic link to {to}, and has no content")));
        }
        _ => return Err(Failure::new(Code::Failed, format!("{shown} is no file, and has no content"))),
    }
    stream.write(|out| {
        content::copy(tree, entry, out).map_err(|error| match error {
            content::Error::Write(error) => stream.failure(&error),
            error => {
                let archived = failure_of_store(&error).is_some_and(|error| error.kind == ErrorKind::Archived);
                let mut failure = Failure::from(error);
                failure.message = format!("{shown}: {}", failure.message);
                match archived {
                    true => failure
                        .hint("what was written ends there; --thaw ask or --thaw wait brings back what is archived"),
                    false => failure.hint("what was written ends there; `boveda verify` tells what else is damaged"),
                }
            }
        })
    })?;
    if !stream.is_stdout() {
        report(output, path, 1, 0, entry.size)?;
    }
    Ok(output.code())
}

fn folder(tree: &Tree, part: Part<'_>, format: Format, stream: &Stream<'_>, output: &Output) -> Result<Code, Failure> {
    let summary = stream.write(|out| {
        export(tree, part, format, out, &WithoutProgress(output)).map_err(|error| match error {
            archive::Error::Write(error) => stream.failure(&error),
            error => output.stopped(error.into()),
        })
    })?;
    output.clear();
    if !stream.is_stdout() {
        let others = summary.directories + summary.others;
        report(output, part.top, summary.files, others, summary.bytes)?;
    }
    if summary.left_out > 0 {
        output.warn(format!("{} entries are not in the archive: see above", summary.left_out));
    }
    if summary.damaged > 0 {
        output.warn(format!("{} entries could not be read in full: see above", summary.damaged));
        return Ok(Code::Damage);
    }
    Ok(output.code())
}

fn report(output: &Output, path: &EntryPath, files: u64, others: u64, bytes: u64) -> Result<(), Failure> {
    if output.json() {
        let mut line = json!({ "message_type": "summary", "files": files, "others": others, "total_bytes": bytes });
        put_path(&mut line, "path", &path.to_bytes());
        output.json_line(&line)?;
    } else {
        let more = if others > 0 { format!(", {others} folders and others") } else { String::new() };
        output.remark(&format!("wrote {}{more}, {}", count(files, "file"), size(bytes)))?;
    }
    Ok(())
}
