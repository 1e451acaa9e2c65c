//! What looks like a mistake, in words; and what a group is called.

use crate::cli::context::Context;
use crate::cli::open::shown;
use crate::cli::snapshot_groups::Grouping;
use crate::cli::{escape, time};
use crate::ops::forget::Plan;
use crate::ops::retention::{Group, GroupKey, Guard};
use crate::repo::id::{SnapshotId, Token};
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
    let key = &group.key;
    let member = group.snapshots.first().and_then(|one| plan.snapshots.get(&one.id));
    let name = match member.filter(|snapshot| snapshot.private.is_some()) {
        Some(member) => {
            let grouping = Grouping { host: key.host.is_some(), paths: key.paths.is_some(), tags: key.tags.is_some() };
            grouping.group(&shown(member)).heading()
        }
        None => tokens(key),
    };
    let kind = key.kind.map(|kind| match kind {
        SnapshotKind::Full => "full snapshots".to_owned(),
        SnapshotKind::Incremental => "incremental snapshots".to_owned(),
    });
    // Where one took over from another, two groups are of the same.
    let several = plan.principals.len() > 1;
    let whose = plan.principals.get(&key.principal).filter(|_| several);
    let whose = whose.map(|label| format!("by {}", escape::line(label)));
    name.into_iter().chain(kind).chain(whose).collect::<Vec<_>>().join(", ")
}

/// The beginnings of the tokens of host, paths and tags.
fn tokens(key: &GroupKey) -> Option<String> {
    let short = |token: &Token| token.to_string()[..8].to_owned();
    let host = key.host.as_ref().map(|host| format!("host {}", short(host)));
    let paths = key.paths.as_ref().map(|paths| format!("paths {}", short(paths)));
    let tags = key.tags.as_ref().map(|tags| match tags.is_empty() {
        true => "tags none".to_owned(),
        false => format!("tags {}", tags.iter().map(short).collect::<Vec<_>>().join(",")),
    });
    let parts: Vec<_> = [host, paths, tags].into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}
