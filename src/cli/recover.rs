//! `boveda recover`.

use std::sync::Arc;

use serde_json::{Value, json};

use super::context::Context;
use super::error::{Code, Failure};
use super::open::{Opened, open_despite_losses, require};
use super::output::{Output, put_path, size};
use super::{escape, time};
use crate::ops::recover::{self, Lost, Options};
use crate::ops::rewrite;

/// Make snapshots of catalogs whose record is lost
///
/// Looks through all packs, which takes long. Host and paths are guessed; the new snapshots have the tag `recovered`. Snapshots that
/// this machine remembers and that are gone are named, and from then on no longer expected. Needs an admin's keys.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Write nothing; say what would be recovered
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// The host that they are recorded for where it is not known
    #[arg(short = 'H', long, default_value = "unknown")]
    host: String,
}

/// Recovers.
pub fn run(arguments: &Arguments, context: &Context) -> Result<Code, Failure> {
    let output = Arc::new(context.stoppable_output()?);
    let (mut opened, gone) = open_despite_losses(context, &output)?;
    require(&opened.repository, rewrite::allowed, "recovering snapshots: they must both read and add")?;
    for (writer, id) in &gone {
        output.warn(format!("snapshot {id} of writer {writer} was there and is gone"));
    }
    let found = recover::find(&opened.repository, &opened.host, &*output);
    let found = found.map_err(|error| output.stopped(error.into()))?;
    let options = Options { host: arguments.host.clone(), user: super::snapshot::user() };
    let mut whole = true;
    for lost in &found.lost {
        let made = if arguments.dry_run { None } else { Some(recover_one(&mut opened, lost, &options, &output)?) };
        whole &= made.is_some_and(|(_, missing)| missing == 0);
        print(lost, made.as_ref(), context, &output)?;
    }
    if !arguments.dry_run {
        opened.repository.refresh()?;
        opened.host.accept(&opened.repository);
    }
    let recovered = if arguments.dry_run { 0 } else { found.lost.len() };
    if output.json() {
        output.json_line(&json!({
            "message_type": "summary", "dry_run": arguments.dry_run, "lost_catalogs": found.lost.len(),
            "recovered_snapshots": recovered, "unfinished_sessions": found.unfinished,
        }))?;
    } else {
        let count = |number| if number == 1 { "1 catalog".to_owned() } else { format!("{number} catalogs") };
        output.remark(&format!("{} without a record, {recovered} recovered", count(found.lost.len())))?;
        if found.unfinished > 0 {
            let text = "sessions did not finish theirs; what they stored is used by later ones";
            output.remark(&format!("{} {text}", found.unfinished))?;
        }
    }
    // That a snapshot is gone was said when the repository was opened; what it held is a snapshot again.
    Ok(if recovered > 0 && whole { Code::Ok } else { output.code() })
}

fn recover_one(
    opened: &mut Opened,
    lost: &Lost,
    options: &Options,
    output: &Output,
) -> Result<(crate::repo::id::SnapshotId, u64), Failure> {
    let lock = opened.host.writer(&opened.repository)?;
    let made = recover::recover(&mut opened.repository, &opened.host, lock.writer, lost, options, output);
    made.map_err(|error| super::rewrite::not_committed(error, opened, output))
}

fn print(
    lost: &Lost,
    made: Option<&(crate::repo::id::SnapshotId, u64)>,
    context: &Context,
    output: &Output,
) -> Result<(), Failure> {
    if output.json() {
        let mut value = json!({
            "message_type": "recovered",
            "tree": lost.root.to_string(),
            "session": format!("{}/{}", lost.session.writer, lost.session.seq),
            "time": time::rfc3339(lost.time),
            "total_entries": lost.sums.entries,
            "total_bytes": lost.sums.bytes,
        });
        let path = |path: &Vec<u8>| {
            let mut one = json!({});
            put_path(&mut one, "path", path);
            one
        };
        value["paths"] = lost.paths.iter().map(path).collect::<Vec<Value>>().into();
        if let Some((id, missing)) = made {
            value["snapshot_id"] = id.to_string().into();
            value["lost_entries"] = (*missing).into();
        }
        return Ok(output.json_line(&value)?);
    }
    let paths = escape::paths(&lost.paths);
    let became = match made {
        Some((id, 0)) => format!("snapshot {}", id.short()),
        Some((id, missing)) => format!("snapshot {}, without {missing} entries that are lost", id.short()),
        None => "would be recovered".to_owned(),
    };
    let (at, held) = (time::local(lost.time, &context.zone), size(lost.sums.bytes));
    Ok(output.line(&format!("{at}  {held}  {paths}: {became}"))?)
}
