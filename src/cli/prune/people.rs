//! What a prune came to, for people.

use crate::cli::context::Context;
use crate::cli::error::Failure;
use crate::cli::output::{Output, count, size};
use crate::cli::time;
use crate::ops::cost::Requests;
use crate::ops::prune::{Kept, Packs, Summary};
use crate::repo::entry::Timestamp;

/// Prints it.
pub fn print(summary: &Summary, dry_run: bool, context: &Context, output: &Output) -> Result<(), Failure> {
    let Summary { stored, needed, condemned, rescued, finished, deleted, .. } = summary;
    output.remark(&format!("{} of {} needed", packs(*needed), packs(*stored)))?;
    let unneeded = summary.unneeded_segments + summary.unneeded_chunks;
    if unneeded > 0 {
        output.detail(&format!("{} in these packs are not needed, and stay with them", size(unneeded)))?;
    }
    if dry_run {
        let mut goes = *condemned;
        for more in [finished, deleted] {
            goes.packs += more.packs;
            goes.bytes += more.bytes;
        }
        output.remark(&format!("{} would go", packs(goes)))?;
        if summary.repacked.packs > 0 {
            let (packs, copied) = (count(summary.repacked.packs, "pack"), size(summary.repacked.bytes));
            output.remark(&format!("{packs} more would be made anew without a part, {copied} copied"))?;
        }
        cost(&summary.requests, context, output)?;
    } else {
        if summary.repacked.packs > 0 {
            let (packs, copied) = (count(summary.repacked.packs, "pack"), size(summary.repacked.bytes));
            output.remark(&format!("{packs} made anew without a part, {copied} copied"))?;
        }
        if rescued.packs > 0 {
            output.remark(&format!("{} are needed after all, and stay", packs(*rescued)))?;
        }
        output.remark(&format!("{} deleted", packs(*deleted)))?;
        if summary.delayed.packs > 0 {
            output.remark(&format!(
                "{} given up lately, and left for readers until --delete-after has passed",
                packs(summary.delayed)
            ))?;
        }
    }
    kept(summary, dry_run, context, output)?;
    if summary.open.packs > 0 {
        output.remark(&format!("{} of snapshots under way left alone", packs(summary.open)))?;
    }
    if summary.unknown.packs > 0 {
        output.remark(&format!("{} that nobody can account for left alone", packs(summary.unknown)))?;
    }
    for one in &summary.waiting {
        let since = time::local(at(one.open_since), &context.zone);
        let ends = time::local(at(one.ends()), &context.zone);
        let text = format!(
            "{} is open, seen first at {since}; if nothing is heard of it, a prune ends it at {ends}",
            one.session
        );
        output.warn(text);
    }
    if !dry_run && !summary.waiting.is_empty() {
        let left = "what is condemned goes when they have ended: run prune again then";
        output.remark(&match condemned.packs {
            0 => left.to_owned(),
            _ => format!("{} condemned; {left}", packs(*condemned)),
        })?;
    }
    Ok(())
}

/// What the place does not let go yet.
fn kept(summary: &Summary, dry_run: bool, context: &Context, output: &Output) -> Result<(), Failure> {
    let Kept { versions, locked, until } = summary.kept;
    let until = until.map(|until| format!("until {}", time::local(at(until), &context.zone)));
    if versions {
        let locked = until.map(|until| format!(", locked {until}")).unwrap_or_default();
        output.remark(&format!(
            "the place keeps what is removed as older versions{locked}: a lifecycle rule there gives back their room, see docs/stores.md"
        ))?;
    } else if locked.packs > 0 {
        let until = until.unwrap_or_else(|| "and does not say until when".to_owned());
        let what = if dry_run { "of these may not be removed yet" } else { "may not be removed yet, and stay" };
        output
            .remark(&format!("{} {what}: the place keeps them {until}; a later prune removes them", packs(locked)))?;
    }
    if summary.postponed.packs > 0 {
        let verb = if dry_run { "would not be" } else { "were not" };
        output.remark(&format!(
            "{} {verb} made anew without what is not needed: they are locked, and would stay beside the new ones, or archived",
            packs(summary.postponed)
        ))?;
    }
    Ok(())
}

/// What a provider would want; at a place that costs nothing, nothing.
fn cost(requests: &Requests, context: &Context, output: &Output) -> Result<(), Failure> {
    if context.location()?.local().is_some() || requests.deletes == 0 {
        return Ok(());
    }
    let (gets, puts, deletes) = (requests.gets, requests.puts, requests.deletes);
    let asked = format!("{}, {} and {}", count(gets, "get"), count(puts, "put"), count(deletes, "deletion"));
    Ok(output.remark(&format!("in about {asked}; S3 would charge about ${:.4} for that", requests.dollars()))?)
}

fn packs(packs: Packs) -> String {
    format!("{} ({})", count(packs.packs, "pack"), size(packs.bytes))
}

const fn at(seconds: i64) -> Timestamp {
    Timestamp { seconds, nanoseconds: 0 }
}
