//! `boveda snapshots`.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::tz::TimeZone;

use super::context::Context;
use super::error::{Code, Failure};
use super::open::{open_near, require, shown};
use super::output::Output;
use super::selector::Filter;
use super::snapshot_groups::{Group, Grouping};
use super::snapshot_list::{Shown, compact, table};
use super::time;
use crate::repo::entry::Timestamp;
use crate::repo::id::SnapshotId;
use crate::repo::keys::role::Role;
use crate::repo::record::Completeness;
use crate::repo::repository::{Forgotten, Repository};

/// List the snapshots, oldest first
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Only id, time, host and tags
    #[arg(short, long)]
    compact: bool,
    /// Only the newest N of the same host and paths, or of each group
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    latest: Option<u32>,
    /// In groups with the same `host`, `paths` or `tags`, or several of them: `host,paths`
    #[arg(short, long, value_name = "WHAT[,WHAT…]", value_parser = Grouping::parse)]
    group_by: Option<Grouping>,
    /// Those that were forgotten, and can come back with `forget --undo`
    #[arg(long)]
    forgotten: bool,
    #[command(flatten)]
    filter: Filter,
}

/// Lists them.
pub fn run(arguments: &Arguments, context: &Context) -> Result<Code, Failure> {
    let output = Arc::new(context.output());
    let opened = open_near(context, &output)?;
    require(&opened.repository, Role::reads_structure, "listing snapshots")?;
    let forgotten = if arguments.forgotten { opened.repository.forgotten() } else { Vec::new() };
    let times = times(&forgotten, &opened.repository, &output)?;
    let mut all: Vec<_> = match arguments.forgotten {
        true => forgotten.iter().map(|one| shown(&one.snapshot)).collect(),
        false => opened.repository.snapshots().iter().map(shown).collect(),
    };
    all.retain(|snapshot| {
        arguments.filter.partial || arguments.forgotten || snapshot.structure.completeness == Completeness::Complete
    });
    all.retain(|snapshot| arguments.filter.is_empty() || arguments.filter.passes(&snapshot.listed()));
    all.sort_by_key(|snapshot| snapshot.structure.time);
    if arguments.latest.is_some() || arguments.group_by.is_some() {
        require(&opened.repository, Role::reads_content, "telling snapshots of one host and the same paths apart")?;
    }
    if let Some(count) = arguments.latest {
        let groups = arguments.group_by.unwrap_or(Grouping::SOURCE).divide(all);
        all = groups.into_values().flat_map(|group| newest(group, count as usize)).collect();
        all.sort_by_key(|snapshot| snapshot.structure.time);
    }
    let count = all.len();
    if let Some(grouping) = arguments.group_by {
        for (at, (group, snapshots)) in grouping.divide(all).into_iter().enumerate() {
            head(&group, at, snapshots.len(), &output)?;
            list(&snapshots, &times, arguments, &context.zone, &output)?;
        }
    } else {
        list(&all, &times, arguments, &context.zone, &output)?;
    }
    if !output.json() {
        output.remark(&match count {
            0 if arguments.forgotten => "no forgotten snapshots".to_owned(),
            0 => "no snapshots".to_owned(),
            1 => "1 snapshot".to_owned(),
            many => format!("{many} snapshots"),
        })?;
    }
    Ok(output.code())
}

/// The last so many.
fn newest(mut group: Vec<Shown<'_>>, count: usize) -> Vec<Shown<'_>> {
    group.split_off(group.len().saturating_sub(count))
}

/// What a group is, before its snapshots.
fn head(group: &Group, at: usize, snapshots: usize, output: &Output) -> std::io::Result<()> {
    if output.json() {
        return output.json_line(&group.json(snapshots));
    }
    let Some(heading) = group.heading() else { return Ok(()) };
    if at > 0 {
        output.line("")?;
    }
    output.line(&format!("{heading}:"))
}

/// When each was forgotten; read only where it is shown.
fn times(
    forgotten: &[Forgotten],
    repository: &Repository,
    output: &Output,
) -> Result<BTreeMap<SnapshotId, Timestamp>, Failure> {
    let mut decided: BTreeMap<u64, Timestamp> = BTreeMap::new();
    let mut times = BTreeMap::new();
    for one in forgotten.iter().filter(|_| output.json()) {
        let time = match decided.get(&one.position) {
            Some(time) => *time,
            None => repository.decided_at(one.position)?,
        };
        decided.insert(one.position, time);
        times.insert(one.snapshot.id, time);
    }
    Ok(times)
}

fn list(
    snapshots: &[Shown<'_>],
    times: &BTreeMap<SnapshotId, Timestamp>,
    arguments: &Arguments,
    zone: &TimeZone,
    output: &Output,
) -> std::io::Result<()> {
    if output.json() {
        return snapshots.iter().try_for_each(|snapshot| {
            let mut line = snapshot.json();
            if let Some(forgotten) = times.get(&snapshot.id) {
                line["forgotten"] = time::rfc3339(*forgotten).into();
            }
            output.json_line(&line)
        });
    }
    if snapshots.is_empty() {
        return Ok(());
    }
    let lines = if arguments.compact { compact(snapshots, zone) } else { table(snapshots, zone) };
    lines.iter().try_for_each(|line| output.line(line))
}
