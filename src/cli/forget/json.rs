//! What is forgotten and what stays, as JSON: a line for each group, shaped as restic's, then what it comes to.

use serde_json::{Value, json};

use super::{Arguments, guarded};
use crate::cli::context::Context;
use crate::cli::error::Failure;
use crate::cli::open::shown;
use crate::cli::output::Output;
use crate::cli::snapshot_list::put_paths;
use crate::ops::forget::{Freed, Plan};
use crate::ops::retention::{Decided, Group, Verdict};
use crate::repo::record::SnapshotKind;

/// Prints it.
pub fn print(plan: &Plan, arguments: &Arguments, context: &Context, output: &Output) -> Result<(), Failure> {
    for group in &plan.groups {
        output.json_line(&group_line(group, plan))?;
    }
    let mut summary = json!({
        "message_type": "summary",
        "dry_run": arguments.dry_run,
        "kept_snapshots": plan.kept(),
        "forgotten_snapshots": plan.goes().len(),
        "suspicions": guarded::texts(plan, context),
    });
    if let Some(budget) = plan.budget {
        summary["stored"] = budget.stored.into();
        summary["limit"] = budget.limit.into();
        summary["fits"] = budget.fits.into();
    }
    if let Some(Freed { bytes, more_by_reading, packs, packs_rewritten, requests }) = plan.freed {
        summary["freed"] = json!({
            "bytes": bytes, "more_by_reading": more_by_reading, "packs": packs, "packs_rewritten": packs_rewritten,
            "requests": { "get": requests.get, "put": requests.put, "delete": requests.delete },
        });
    }
    Ok(output.json_line(&summary)?)
}

fn group_line(group: &Group, plan: &Plan) -> Value {
    let key = &group.key;
    let mut line = json!({ "message_type": "forget_group", "principal": key.principal.to_string() });
    if let Some(kind) = key.kind {
        line["kind"] = match kind {
            SnapshotKind::Full => "full",
            SnapshotKind::Incremental => "incremental",
        }
        .into();
    }
    let member = group.snapshots.first().and_then(|one| plan.snapshots.get(&one.id));
    match member.filter(|snapshot| snapshot.private.is_some()) {
        Some(member) => {
            if key.host.is_some() {
                line["host"] = member.host().into();
            }
            if key.paths.is_some() {
                put_paths(&mut line, member.paths());
            }
            if key.tags.is_some() {
                line["tags"] = member.tags.clone().into();
            }
        }
        None => {
            let mut tokens = json!({});
            for (name, token) in [("host", key.host), ("paths", key.paths)] {
                if let Some(token) = token {
                    tokens[name] = token.to_string().into();
                }
            }
            if let Some(tags) = &key.tags {
                tokens["tags"] = tags.iter().map(ToString::to_string).collect::<Vec<_>>().into();
            }
            line["tokens"] = tokens;
        }
    }
    let snapshot = |one: &Decided| {
        let mut value = plan.snapshots.get(&one.id).map(|snapshot| shown(snapshot).json()).unwrap_or_default();
        value.as_object_mut().map(|fields| fields.remove("message_type"));
        value
    };
    let (mut keep, mut remove, mut reasons) = (Vec::new(), Vec::new(), Vec::new());
    for one in group.snapshots.iter().filter(|one| one.is_worth_showing()) {
        match &one.verdict {
            Verdict::Keep(why) => {
                keep.push(snapshot(one));
                let matches: Vec<String> = why.iter().map(ToString::to_string).collect();
                reasons.push(json!({ "snapshot": snapshot(one), "matches": matches }));
            }
            Verdict::Forget(cause) => {
                let mut value = snapshot(one);
                value["cause"] = cause.to_string().into();
                remove.push(value);
            }
        }
    }
    line["keep"] = keep.into();
    line["remove"] = remove.into();
    line["reasons"] = reasons.into();
    line
}
