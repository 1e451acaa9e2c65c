//! `boveda restore`.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;

use super::context::Context;
use super::error::{Code, Failure};
use super::open::{find, open, require};
use super::output::{Output, duration, size};
use super::selector::{Filter, Selector};
use crate::ops::restore::{self, Options, Summary};
use crate::repo::keys::role::Role;
use crate::repo::names::IndexClass;

/// Write a snapshot, or a part of it, into a folder
///
/// A whole snapshot is written with absolute paths below the folder; of `SNAPSHOT:/a/folder`, the content goes into
/// the folder. What exists there is compared and only differences are written; what the snapshot does not have is left alone.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// (ID|latest|latest~N|@TIME)[:/abs/path]
    #[arg(value_name = "SNAPSHOT[:/PATH]")]
    selector: OsString,
    /// The folder to restore into; made if it is not there
    #[arg(short, long, value_name = "FOLDER")]
    target: PathBuf,
    /// Owners by number, even where this machine knows the name
    #[arg(long)]
    numeric_ids: bool,
    /// Write nothing; show what would be restored (with -v)
    #[arg(short = 'n', long)]
    dry_run: bool,
    #[command(flatten)]
    filter: Filter,
}

/// Restores.
pub fn run(arguments: &Arguments, context: &Context) -> Result<Code, Failure> {
    let output = Arc::new(context.stoppable_output()?);
    let start = Instant::now();
    let selector = Selector::parse(arguments.selector.as_bytes(), &context.zone)?;
    let opened = open(context, &output)?;
    require(&opened.repository, Role::reads_content, "restoring")?;
    let snapshot = find(&opened.repository, &selector, &arguments.filter, context)?;
    let tree = opened.tree(snapshot, &IndexClass::BOTH)?;
    let options = Options { numeric_ids: arguments.numeric_ids, dry_run: arguments.dry_run, threads: 0 };
    let selection = selector.path.unwrap_or_default();
    let source = Arc::clone(tree.source());
    let restored = restore::restore(&tree, source, &selection, &arguments.target, &options, &*output);
    let summary = restored.map_err(|error| output.stopped(error.into()))?;
    output.clear();
    print(&summary, start.elapsed(), arguments, &output)?;
    Ok(match (summary.damaged, summary.problems) {
        (0, 0) => output.code(),
        (0, _) => output.code().max(Code::Incomplete),
        _ => Code::Damage,
    })
}

fn print(summary: &Summary, time: Duration, arguments: &Arguments, output: &Output) -> Result<(), Failure> {
    if output.json() {
        output.json_line(&json!({
            "message_type": "summary",
            "dry_run": arguments.dry_run,
            "total_files": summary.files + summary.directories + summary.others + summary.skipped,
            "files_restored": summary.files + summary.directories + summary.others,
            "dirs_restored": summary.directories,
            "files_unchanged": summary.unchanged,
            "files_skipped": summary.skipped,
            "total_bytes": summary.bytes,
            "bytes_restored": summary.bytes,
            "total_duration": time.as_secs_f64(),
            "error_count": summary.problems,
            "damage_count": summary.damaged,
        }))?;
        return Ok(());
    }
    let Summary { files, directories, others, unchanged, .. } = summary;
    let verb = if arguments.dry_run { "would restore" } else { "restored" };
    output.remark(&format!(
        "{verb} {files} files ({unchanged} had every byte already), {directories} folders, {others} others, {} in {}",
        size(summary.bytes),
        duration(time)
    ))?;
    if summary.problems + summary.skipped > 0 {
        output.warn(format!("{} problems, {} entries left out: see above", summary.problems, summary.skipped));
    }
    if summary.damaged > 0 {
        output.warn(format!("{} parts could not be read from the repository: see above", summary.damaged));
    }
    Ok(())
}
