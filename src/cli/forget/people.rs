//! What is forgotten and what stays, for people: a table for each group, then what it comes to.

use super::{Arguments, guarded};
use crate::cli::context::Context;
use crate::cli::error::Failure;
use crate::cli::output::{Output, count, size};
use crate::cli::{escape, time};
use crate::ops::forget::{Freed, Plan};
use crate::ops::retention::{Group, Verdict};

/// Prints it.
pub fn print(plan: &Plan, arguments: &Arguments, context: &Context, output: &Output) -> Result<(), Failure> {
    for (at, group) in plan.groups.iter().enumerate() {
        print_group(group, at, plan, context, output)?;
    }
    let (gone, all) = (plan.goes().len(), plan.goes().len() + plan.kept());
    let of = count(all, "snapshot");
    if arguments.dry_run {
        output.remark(&format!("{gone} of {of} would be forgotten"))?;
    } else {
        output.remark(&format!("{gone} of {of} forgotten"))?;
    }
    if let Some(budget) = plan.budget {
        let (stored, limit) = (size(budget.stored), size(budget.limit));
        let word = if budget.fits { "within" } else { "still above" };
        output.remark(&format!("what stays takes {stored}, {word} the limit of {limit}"))?;
    }
    if gone == 0 {
        return Ok(());
    }
    match &plan.freed {
        Some(freed) => print_freed(freed, output),
        None if arguments.prune => Ok(()),
        None => Ok(output
            .remark("their space is given back only by a prune; until then `boveda forget --undo` brings them back")?),
    }
}

fn print_group(group: &Group, at: usize, plan: &Plan, context: &Context, output: &Output) -> Result<(), Failure> {
    let heading = guarded::heading(group, plan);
    if at > 0 {
        output.line("")?;
    }
    if !heading.is_empty() {
        output.line(&format!("{heading}:"))?;
    }
    for one in group.snapshots.iter().rev().filter(|one| one.is_worth_showing()) {
        let (word, why) = match &one.verdict {
            Verdict::Keep(reasons) => ("keep", reasons.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
            Verdict::Forget(cause) => ("forget", cause.to_string()),
        };
        let bytes = plan.snapshots.get(&one.id).map_or(0, |snapshot| snapshot.structure.bytes);
        let taken = plan.snapshots.get(&one.id).map_or(one.time, crate::repo::repository::Snapshot::time);
        let (id, time) = (one.id.short(), time::local(taken, &context.zone));
        output.line(&format!("  {word:<6}  {id}  {time}  {:>9}  {}", size(bytes), escape::line(&why)))?;
    }
    Ok(())
}

fn print_freed(freed: &Freed, output: &Output) -> Result<(), Failure> {
    let Freed { bytes, more_by_reading, packs, packs_rewritten, requests } = freed;
    output.remark(&format!(
        "a prune could then free {}: {} that nothing needs any more, {packs_rewritten} to be made anew without a part",
        size(*bytes),
        count(*packs, "pack")
    ))?;
    if *more_by_reading > 0 {
        output.remark(&format!("with keys that read, about {} more", size(*more_by_reading)))?;
    }
    Ok(output.remark(&format!(
        "it would take {}, {} and {}",
        count(requests.get, "read"),
        count(requests.put, "write"),
        count(requests.delete, "deletion")
    ))?)
}
