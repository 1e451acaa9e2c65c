//! `boveda rewrite`.

use std::ffi::OsString;
use std::sync::Arc;

use serde_json::json;

use super::context::Context;
use super::error::{Code, Failure};
use super::open::{Opened, open_near, require};
use super::output::{Output, size};
use super::selector::Filter;
use super::several;
use crate::ops::rewrite::{self, Options, Rewritten};
use crate::ops::snapshot;
use crate::repo::id::SnapshotId;
use crate::repo::repository;

/// Make snapshots again without some of their files
///
/// The new snapshot has the old one's time, host, paths and tags. The old one stays, with what it holds, until it is forgotten.
/// Needs an admin's keys: they read the old one and add the new one.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// (ID|latest|latest~N|@TIME); without any, all that pass the filters
    #[arg(value_name = "SNAPSHOT")]
    snapshots: Vec<OsString>,
    /// Leave out what fits this pattern, as `snapshot --exclude` does
    #[arg(short, long, value_name = "PATTERN", required = true)]
    exclude: Vec<String>,
    /// Write nothing; say what would be left out
    #[arg(short = 'n', long)]
    dry_run: bool,
    #[command(flatten)]
    filter: Filter,
}

/// Rewrites.
pub fn run(arguments: &Arguments, context: &Context) -> Result<Code, Failure> {
    let output = Arc::new(context.stoppable_output()?);
    let selectors = several::parse(&arguments.snapshots, &arguments.filter, context)?;
    let mut opened = open_near(context, &output)?;
    require(&opened.repository, rewrite::allowed, "rewriting snapshots: they must both read and add")?;
    let chosen = several::resolve(&opened.repository, &selectors, &arguments.filter, context)?;
    let ids: Vec<SnapshotId> = chosen.iter().map(|snapshot| snapshot.id).collect();
    let options = Options { excludes: arguments.exclude.clone(), dry_run: arguments.dry_run };
    let lock = opened.host.writer(&opened.repository)?;
    let mut changed = 0;
    for id in &ids {
        let done = rewrite::rewrite(&mut opened.repository, &opened.host, lock.writer, id, &options, &*output);
        if let Some(rewritten) = done.map_err(|error| not_committed(error, &opened, &output))? {
            changed += 1;
            print(id, &rewritten, &output)?;
        }
    }
    if changed > 0 && !arguments.dry_run {
        opened.repository.refresh()?;
        opened.host.remember(&opened.repository);
    }
    if output.json() {
        output.json_line(&json!({
            "message_type": "summary", "dry_run": arguments.dry_run,
            "changed_snapshots": changed, "unchanged_snapshots": ids.len() - changed,
        }))?;
    } else {
        let would = if arguments.dry_run { "would be rewritten" } else { "rewritten" };
        output.remark(&format!("{changed} of {} snapshots {would}", ids.len()))?;
        if changed > 0 && !arguments.dry_run {
            output.remark("the old ones still hold what was left out: forget them to be rid of it")?;
        }
    }
    Ok(output.code())
}

/// Why nothing was committed. A machine whose name is in use elsewhere too gets another one, for the next run.
pub(super) fn not_committed(error: snapshot::Error, opened: &Opened, output: &Output) -> Failure {
    if matches!(error, snapshot::Error::Repository(repository::Error::Cloned { .. })) {
        opened.host.renew(&opened.repository);
    }
    output.stopped(error.into())
}

fn print(original: &SnapshotId, rewritten: &Rewritten, output: &Output) -> Result<(), Failure> {
    let Rewritten { snapshot, left_out } = rewritten;
    if output.json() {
        let mut value = json!({
            "message_type": "rewritten", "original": original.to_string(),
            "left_out_entries": left_out.entries, "left_out_bytes": left_out.bytes,
        });
        if let Some(id) = snapshot {
            value["snapshot_id"] = id.to_string().into();
        }
        return Ok(output.json_line(&value)?);
    }
    let new = snapshot.map_or_else(String::new, |id| format!(" is {} now,", id.short()));
    let (entries, bytes) = (left_out.entries, size(left_out.bytes));
    Ok(output.line(&format!("{}{new} without {entries} entries and {bytes}", original.short()))?)
}
