//! What looks like a mistake, in words; and what a group is called.

use crate::cli::context::Context;
use crate::cli::open::shown;
use crate::cli::snapshot_groups::Grouping;
use crate::cli::time;
use crate::ops::forget::Plan;
use crate::ops::retention::{Group, GroupKey, Guard};
use crate::repo::id::SnapshotId;
use crate::repo::record::SnapshotKind;

/// A line for each thing that looks like a mistake.
pub fn texts(plan: &Plan, context: &Context) -> Vec<String> {
    let local = |at| time::local(at, &context.zone);
    let text = |guard: &Guard| match guard {
        Guard::Many { group, forgotten, of } => {
            let name = plan.groups.iter().find(|known| known.key == *group).map(|known| heading(known, plan));
            let name = name.filter(|name| !name.is_empty()).map(|name| format!(" of {name}")).unwrap_or_default();
            format!("{forgotten} of {of} snapshots{name} would go: that is more than half")
        }
        Guard::LastGood(id) => format!("{} is the last good snapshot{}", id.short(), of_what(id, plan)),
        Guard::ClockBehind { now, seen } => format!(
            "this machine's clock says {}, and the repository's newest decision is of {}",
            local(*now),
            local(*seen)
        ),
        Guard::ClockJumped { newest, before } => format!(
            "the newest snapshot is of {}, and the one before it of {}: if a clock was wrong then, the others only look old",
            local(*newest),
            local(*before)
        ),
    };
    plan.guards.iter().map(text).collect()
}

fn of_what(id: &SnapshotId, plan: &Plan) -> String {
    let name = plan.snapshots.get(id).and_then(|snapshot| {
        snapshot.private.as_ref()?;
        Grouping::SOURCE.group(&shown(snapshot)).heading()
    });
    name.map(|name| format!(" of {name}")).unwrap_or_default()
}

/// What a group is called; nothing if all snapshots are in one. Who reads no names sees what stands for them.
pub fn heading(group: &Group, plan: &Plan) -> String {
    let GroupKey { host, paths, tags, kind, .. } = &group.key;
    let member = group.snapshots.first().and_then(|one| plan.snapshots.get(&one.id));
    let named = member.filter(|snapshot| snapshot.private.is_some()).and_then(|snapshot| {
        let grouping = Grouping { host: host.is_some(), paths: paths.is_some(), tags: tags.is_some() };
        grouping.group(&shown(snapshot)).heading()
    });
    let token = |word: &str, token: String| format!("{word} {}", &token[..8]);
    let tokens = || {
        let host = host.map(|host| token("host", host.to_string()));
        let paths = paths.map(|paths| token("paths", paths.to_string()));
        let tags = tags.as_ref().map(|tags| {
            let tags: Vec<_> = tags.iter().map(|tag| tag.to_string()[..8].to_owned()).collect();
            format!("tags {}", if tags.is_empty() { "none".to_owned() } else { tags.join(",") })
        });
        [host, paths, tags].into_iter().flatten().collect::<Vec<_>>().join(", ")
    };
    let blind = member.is_some_and(|snapshot| snapshot.private.is_none());
    let name = if blind { tokens() } else { named.unwrap_or_default() };
    let kind = kind.map(|kind| match kind {
        SnapshotKind::Full => "full snapshots",
        SnapshotKind::Incremental => "incremental snapshots",
    });
    [Some(name).filter(|name| !name.is_empty()), kind.map(str::to_owned)]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join(", ")
}
