//! `boveda import-tar`.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::json;

use super::context::Context;
use super::error::{Code, Failure};
use super::neighbour::{Priority, Reading};
use super::open::{Opened, open_near, require};
use super::output::{Output, count, size};
use super::snapshot::{tenths, user};
use super::snapshot_options::Compressing;
use super::{escape, time};
use crate::ops::import::{self, Options, Summary, import};
use crate::repo::entry::EntryPath;
use crate::repo::keys::role::Role;
use crate::repo::repository;

/// Make a snapshot of what a tar archive holds
///
/// Owners, modes, times, links, devices, extended attributes and holes are kept. Names that lead out of the archive are refused.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The archive, not compressed; `-` for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The absolute path in the snapshot under which it is put
    #[arg(long, value_name = "PATH", default_value = "/")]
    below: OsString,
    /// The host that the snapshot is recorded for [default: this host; env: BOVEDA_HOST]
    #[arg(short = 'H', long)]
    host: Option<String>,
    /// Tags; `A,B` or more than once for several
    #[arg(long, value_name = "TAG[,TAG…]", value_delimiter = ',')]
    tag: Vec<String>,
    /// The time it is recorded for, such as `2026-11-23 02:00` [default: now]
    #[arg(long)]
    time: Option<String>,
    /// Store nothing; say what would be stored
    #[arg(short = 'n', long)]
    dry_run: bool,
    #[command(flatten)]
    compressing: Compressing,
    #[command(flatten)]
    priority: Priority,
    #[command(flatten)]
    reading: Reading,
}

/// Imports.
pub fn run(arguments: &Arguments, context: &Context) -> Result<Code, Failure> {
    let output = Arc::new(context.stoppable_output()?);
    let options = options(arguments, context)?;
    // A wrong name is told before a password is asked for.
    let input = input(arguments)?;
    let Opened { mut repository, host } = open_near(context, &output)?;
    require(&repository, Role::writes, "taking snapshots")?;
    arguments.priority.apply(context, &output)?;
    let lock = host.writer(&repository)?;
    let imported = import(&mut repository, lock.writer, input, &options, &*output);
    if let Err(import::Error::Repository(repository::Error::Cloned { .. })) = imported {
        host.renew(&repository);
    }
    let summary = imported.map_err(|error| output.stopped(error.into()))?;
    output.clear();
    host.remember(&repository);
    print(&summary, &options, &output)?;
    Ok(output.code())
}

fn input(arguments: &Arguments) -> Result<Box<dyn Read>, Failure> {
    if arguments.file.as_os_str() == "-" {
        return Ok(Box::new(io::stdin().lock()));
    }
    let file = File::open(&arguments.file).map_err(|error| {
        let shown = escape::name(arguments.file.as_os_str().as_bytes());
        Failure::new(Code::Failed, format!("cannot open {shown}: {error}"))
    })?;
    Ok(Box::new(BufReader::with_capacity(1 << 20, file)))
}

fn options(arguments: &Arguments, context: &Context) -> Result<Options, Failure> {
    let below = EntryPath::parse(arguments.below.as_bytes()).ok_or_else(|| {
        let shown = escape::name(arguments.below.as_bytes());
        Failure::usage(format!("--below {shown} is no absolute path, or holds a name that no file can have"))
    })?;
    let moment = |text: &String| {
        time::parse(text, &context.zone)
            .ok_or_else(|| Failure::usage(format!("--time {text:?} is no time; write it like 2026-11-23 02:00")))
    };
    let named = || context.variable("BOVEDA_HOST").map(|host| host.to_string_lossy().into_owned());
    let own = || rustix::system::uname().nodename().to_string_lossy().into_owned();
    Ok(Options {
        below,
        host: arguments.host.clone().or_else(named).unwrap_or_else(own),
        user: user(),
        tags: arguments.tag.clone(),
        time: arguments.time.as_ref().map(moment).transpose()?,
        dry_run: arguments.dry_run,
        effort: arguments.compressing.effort(context.snapshot_settings()?.compression, context)?,
        pacing: arguments.reading.pacing(context)?,
    })
}

fn print(summary: &Summary, options: &Options, output: &Output) -> Result<(), Failure> {
    if output.json() {
        let mut line = json!({
            "message_type": "summary",
            "dry_run": options.dry_run,
            "files_new": summary.files,
            "dirs_new": summary.directories,
            "others": summary.others,
            "total_bytes_processed": summary.bytes,
            "data_added": summary.bytes_added,
            "data_added_packed": summary.bytes_stored,
            "compression": options.effort.to_string(),
            "compression_level": tenths(summary.level),
            "error_count": summary.refused,
        });
        if let Some(id) = &summary.snapshot {
            line["snapshot_id"] = id.to_string().into();
        }
        output.json_line(&line)?;
        return Ok(());
    }
    let Summary { files, directories, others, bytes, .. } = summary;
    let (files, directories) = (count(*files, "file"), count(*directories, "folder"));
    output.remark(&format!("read:    {files}, {directories}, {}, {}", count(*others, "other"), size(*bytes)))?;
    output.remark(&format!("added:   {} ({} stored)", size(summary.bytes_added), size(summary.bytes_stored)))?;
    match &summary.snapshot {
        Some(id) => output.remark(&format!("snapshot {} saved", id.short()))?,
        None => output.remark("nothing was stored: this was a dry run")?,
    }
    if summary.refused > 0 {
        output.warn(format!("{} refused: see above", count(summary.refused, "member")));
    }
    Ok(())
}
