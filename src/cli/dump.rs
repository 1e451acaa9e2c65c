//! `boveda dump` and `boveda export-tar`: a file, or a folder as an archive, as one stream.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::json;

use super::context::Context;
use super::error::{Code, Failure};
use super::escape;
use super::open::{find, open, require};
use super::output::{Output, count, put_path, size};
use super::selector::{Filter, Selector};
use super::stream::{Stream, WithoutProgress};
use crate::ops::archive::{self, Format, export};
use crate::ops::content;
use crate::repo::catalog::Tree;
use crate::repo::entry::{Entry, EntryKind, EntryPath};
use crate::repo::keys::role::Role;
use crate::repo::names::IndexClass;

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
    #[command(flatten)]
    filter: Filter,
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
    let wanted = Wanted { selector: &arguments.selector, path: arguments.path.as_ref(), filter: &arguments.filter };
    write(&wanted, Some(format), &stream, context)
}

/// Exports.
pub fn run_export(arguments: &ExportArguments, context: &Context) -> Result<Code, Failure> {
    let stream = Stream::new(Some(&arguments.file));
    stream.refuse_terminal()?;
    stream.refuse_inside_repository(context)?;
    write(&Wanted { selector: &arguments.selector, path: None, filter: &arguments.filter }, None, &stream, context)
}

/// What to write.
struct Wanted<'a> {
    selector: &'a OsString,
    path: Option<&'a OsString>,
    filter: &'a Filter,
}

/// Writes it: a folder as an archive, a file as it is if `format` is given (else as an archive, too).
fn write(wanted: &Wanted<'_>, format: Option<Format>, stream: &Stream<'_>, context: &Context) -> Result<Code, Failure> {
    let output = Arc::new(context.stoppable_output()?);
    let selector = Selector::parse(wanted.selector.as_bytes(), &context.zone)?;
    let base = selector.path.clone().unwrap_or_default();
    let path = match wanted.path {
        Some(path) => below(&base, path)?,
        None => base.clone(),
    };
    let opened = open(context, &output)?;
    require(&opened.repository, Role::reads_content, "reading a snapshot's files")?;
    let snapshot = find(&opened.repository, &selector, wanted.filter, context)?;
    let tree = opened.tree(snapshot, &IndexClass::BOTH)?;
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
    match (&entry, format) {
        (Some(entry), Some(_)) if !is_folder => file(&tree, &path, entry, stream, &output),
        _ => {
            // A single file keeps its name.
            let strip = base.0.len() - usize::from(!is_folder && path == base);
            stream.refuse_terminal()?;
            folder(&tree, &path, strip, format.unwrap_or(Format::Tar), stream, &output)
        }
    }
}

/// `path` as seen from the folder `base`.
fn below(base: &EntryPath, path: &OsString) -> Result<EntryPath, Failure> {
    let invalid = || Failure::usage(format!("{} holds a name that no file can have", escape::name(path.as_bytes())));
    let absolute = [b"/", path.as_bytes()].concat();
    let path = EntryPath::parse(&absolute).ok_or_else(invalid)?;
    Ok(EntryPath(base.0.iter().chain(&path.0).cloned().collect()))
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
                let mut failure = Failure::from(error);
                failure.message = format!("{shown}: {}", failure.message);
                failure.hint("what was written ends there; `boveda verify` tells what else is damaged")
            }
        })
    })?;
    if !stream.is_stdout() {
        report(output, path, 1, 0, entry.size)?;
    }
    Ok(output.code())
}

fn folder(
    tree: &Tree,
    path: &EntryPath,
    strip: usize,
    format: Format,
    stream: &Stream<'_>,
    output: &Output,
) -> Result<Code, Failure> {
    let summary = stream.write(|out| {
        export(tree, path, strip, format, out, &WithoutProgress(output)).map_err(|error| match error {
            archive::Error::Write(error) => stream.failure(&error),
            error => output.stopped(error.into()),
        })
    })?;
    output.clear();
    if !stream.is_stdout() {
        let others = summary.directories + summary.others;
        report(output, path, summary.files, others, summary.bytes)?;
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
