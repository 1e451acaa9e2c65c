//! `boveda forget --undo`.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::json;

use super::{Arguments, failure};
use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::cli::open::{open_near, require, shown};
use crate::cli::output::count;
use crate::cli::selector::{Listed, Selector};
use crate::cli::{several, time};
use crate::ops::forget::undo;
use crate::repo::id::SnapshotId;
use crate::repo::keys::role::Role;
use crate::repo::repository::Forgotten;

/// Brings them back.
pub fn run(arguments: &Arguments, context: &Context) -> Result<Code, Failure> {
    if !arguments.rules.rules().is_empty() {
        return Err(Failure::usage("rules say what stays; with --undo, name what is to come back"));
    }
    let selectors = match arguments.snapshots.is_empty() {
        true => Vec::new(),
        false => several::parse(&arguments.snapshots, &arguments.filter, context)?,
    };
    let output = Arc::new(context.stoppable_output()?);
    let mut opened = open_near(context, &output)?;
    require(&opened.repository, Role::may_maintain, "bringing forgotten snapshots back")?;
    let forgotten = opened.repository.forgotten();
    let ids = chosen(&forgotten, &selectors, arguments, context)?;
    let undone = undo(&mut opened.repository, &opened.host, &ids, &*output);
    let undone = undone.map_err(|error| output.stopped(failure(error, context)))?;
    opened.host.remember(&opened.repository);
    for snapshot in &undone.back {
        if output.json() {
            let id = snapshot.id.to_string();
            output.json_line(&json!({ "message_type": "brought_back", "snapshot_id": id }))?;
        } else {
            let time = time::local(snapshot.time(), &context.zone);
            output.line(&format!("{}  {time}  is back", snapshot.id.short()))?;
        }
    }
    for snapshot in &undone.lost {
        output.warn(format!("{} cannot come back: some of what it held is gone", snapshot.id.short()));
    }
    let (back, lost) = (undone.back.len(), undone.lost.len());
    if output.json() {
        output.json_line(&json!({
            "message_type": "summary", "brought_back_snapshots": back, "lost_snapshots": lost,
        }))?;
    } else {
        output.remark(&format!("{} brought back", count(back, "snapshot")))?;
    }
    Ok(match (back, lost) {
        (_, 0) => output.code(),
        (0, _) => output.code().max(Code::Failed),
        _ => output.code().max(Code::Incomplete),
    })
}

/// Those that are named; else those that pass the filters; else all that went with the last decision.
fn chosen(
    forgotten: &[Forgotten],
    selectors: &[Selector],
    arguments: &Arguments,
    context: &Context,
) -> Result<BTreeSet<SnapshotId>, Failure> {
    let listed: Vec<Listed> = forgotten.iter().map(|one| shown(&one.snapshot).listed()).collect();
    if !selectors.is_empty() {
        let find = |selector: &Selector| {
            let found = selector.resolve(&listed, &arguments.filter, &context.zone).map_err(|error| {
                Failure::from(error)
                    .hint("only forgotten snapshots are looked at: `boveda snapshots --forgotten` lists them")
            })?;
            Ok(listed[found].id)
        };
        return selectors.iter().map(find).collect();
    }
    let chosen: BTreeSet<SnapshotId> = if arguments.filter.is_empty() {
        let last = forgotten.iter().map(|one| one.position).max();
        let of_last = forgotten.iter().filter(|one| Some(one.position) == last);
        of_last.map(|one| one.snapshot.id).collect()
    } else {
        listed.iter().filter(|one| arguments.filter.passes(one)).map(|one| one.id).collect()
    };
    if chosen.is_empty() {
        let which = if arguments.filter.is_empty() { "" } else { " that passes the filters" };
        return Err(Failure::new(Code::Failed, format!("there is no forgotten snapshot{which}")));
    }
    Ok(chosen)
}
