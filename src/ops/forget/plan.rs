//! What would be forgotten: decided, guarded, and weighed if somebody wants to know.

use super::candidates::candidates;
use super::freed::{Freed, Weighed, weigh};
use super::{Error, Options, Wish};
use crate::event::Sink;
use crate::ops::host::Host;
use crate::ops::retention::{
    Candidate, Cause, Decided, Group, GroupKey, Grouping, Guard, Order, Progress, Question, Reason, Rules, Verdict,
    decide, guard_clock, guard_groups, guard_last, over_budget,
};
use crate::repo::id::{PrincipalId, SnapshotId};
use crate::repo::record::Tokens;
use crate::repo::repository::{self, Repository, Snapshot};
use std::collections::{BTreeMap, BTreeSet};

/// What was decided, and what is to be said about it.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The groups, judged.
    pub groups: Vec<Group>,
    /// The snapshots that were judged.
    pub snapshots: BTreeMap<SnapshotId, Snapshot>,
    /// Whose they are, and how people call them.
    pub principals: BTreeMap<PrincipalId, String>,
    /// What looks like a mistake.
    pub guards: Vec<Guard>,
    /// What it frees, where that was asked.
    pub freed: Option<Freed>,
    /// What a limit of size came to.
    pub budget: Option<Budget>,
}

/// What a limit of size came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// The limit, in bytes.
    pub limit: u64,
    /// Bytes of all that stays.
    pub stored: u64,
    /// Whether that is within the limit.
    pub fits: bool,
}

impl Plan {
    /// What goes, oldest first in each group.
    pub fn goes(&self) -> Vec<SnapshotId> {
        let all = self.groups.iter().flat_map(|group| group.snapshots.iter().rev());
        all.filter(|one| !one.verdict.keeps()).map(|one| one.id).collect()
    }

    /// How many stay of those that were judged.
    pub fn kept(&self) -> usize {
        self.groups.iter().flat_map(|group| &group.snapshots).filter(|one| one.verdict.keeps()).count()
    }
}

/// Decides what `options` come to. With `weighed`, says what would be freed, which reads the skeletons of all catalogs; so does a
/// limit of size.
///
/// # Errors
/// When the role does not list snapshots, the store fails, or somebody asked to stop.
pub fn plan(
    repository: &Repository,
    host: &Host,
    options: &Options<'_>,
    weighed: bool,
    events: &dyn Sink,
) -> Result<Plan, Error> {
    let role = repository.bundle().role();
    if !role.reads_structure() {
        return Err(repository::Error::Role { role, action: "listing snapshots" }.into());
    }
    let all = candidates(repository);
    let head = repository.log().state.head();
    let newest = head.map(|head| repository.decided_at(head.position)).transpose()?;
    let mut guards: Vec<Guard> = newest.and_then(|seen| guard_clock(options.now, seen)).into_iter().collect();
    let (groups, rules) = match &options.wish {
        Wish::Rules { rules, grouping } => (by_rules(repository, &all, rules, *grouping, options), Some(rules)),
        Wish::Named(ids) => {
            let ids: BTreeSet<SnapshotId> = ids.iter().copied().collect();
            guards.extend(guard_last(&all, &ids, options.now));
            (by_name(&all, &ids), None)
        }
    };
    let judged = groups.iter().flat_map(|group| &group.snapshots).map(|one| one.id).collect::<BTreeSet<_>>();
    let snapshots = repository.snapshots().iter().filter(|snapshot| judged.contains(&snapshot.id));
    let snapshots = snapshots.map(|snapshot| (snapshot.id, snapshot.clone())).collect();
    let principals = principals(repository, &groups);
    let mut plan = Plan { groups, snapshots, principals, guards, freed: None, budget: None };
    let limit = rules.and_then(|rules| rules.keep_size);
    if weighed || limit.is_some() {
        let scale = Scale::new(repository, host, &plan, events)?;
        if let Some(limit) = limit {
            plan.budget = Some(scale.limit(&mut plan.groups, limit.0));
        }
        plan.freed = weighed.then(|| scale.freed(&plan)).transpose()?;
    }
    let plain = Rules::default();
    plan.guards.extend(guard_groups(&plan.groups, rules.unwrap_or(&plain), &options.zone));
    Ok(plan)
}

fn principals(repository: &Repository, groups: &[Group]) -> BTreeMap<PrincipalId, String> {
    let trust = repository.log().state.trust();
    let label = |id: &PrincipalId| trust.principal(id).map_or_else(String::new, |known| known.cert.label.clone());
    groups.iter().map(|group| (group.key.principal, label(&group.key.principal))).collect()
}

fn by_rules(
    repository: &Repository,
    all: &[Candidate],
    rules: &Rules,
    grouping: Grouping,
    options: &Options<'_>,
) -> Vec<Group> {
    let among: Vec<Candidate> = all
        .iter()
        .zip(repository.snapshots())
        .filter(|(_, s)| (options.among)(s))
        .map(|(one, _)| one.clone())
        .collect();
    let tag = |tag: &str| Tokens::tag(repository.bundle().structure_key(), tag);
    decide(&among, &Question { rules, grouping, now: options.now, zone: &options.zone, tag: &tag })
}

/// The groups of those that were named, in which all others stay.
fn by_name(all: &[Candidate], ids: &BTreeSet<SnapshotId>) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for (key, members) in Grouping::SOURCE.divide(all, false) {
        if members.iter().any(|one| ids.contains(&one.id)) {
            groups.push(named_group(key, &members, ids));
        }
    }
    groups
}

fn named_group(key: GroupKey, members: &[&Candidate], ids: &BTreeSet<SnapshotId>) -> Group {
    let decided = |one: &&Candidate| {
        let verdict = match ids.contains(&one.id) {
            true => Verdict::Forget(Cause::Named),
            false => Verdict::Keep(vec![Reason::NotNamed]),
        };
        Decided { id: one.id, time: one.time, complete: one.progress == Progress::Complete, verdict }
    };
    Group { key, snapshots: members.iter().map(decided).collect(), last_good: None }
}

/// All snapshots in the order in which they stay longest, weighed.
struct Scale {
    /// Those that stay whatever a limit of size says.
    fixed: usize,
    by_age: Vec<SnapshotId>,
    weighed: Weighed,
}

impl Scale {
    fn new(repository: &Repository, host: &Host, plan: &Plan, events: &dyn Sink) -> Result<Self, Error> {
        let Order { protected, by_age } = Order::of(&plan.groups);
        let goes = plan.goes();
        let others = repository.snapshots().iter().map(|snapshot| snapshot.id);
        let mut order: Vec<SnapshotId> = others.filter(|id| !plan.snapshots.contains_key(id)).collect();
        order.extend(protected);
        let fixed = order.len();
        order.extend(by_age.iter().chain(goes.iter().rev()));
        let roots: BTreeMap<SnapshotId, _> =
            repository.snapshots().iter().map(|snapshot| (snapshot.id, snapshot.structure.root)).collect();
        let roots: Vec<_> = order.iter().filter_map(|id| roots.get(id).copied()).collect();
        Ok(Self { fixed, by_age, weighed: weigh(repository, host, &roots, events)? })
    }

    /// Lets the oldest go until the rest fits.
    fn limit(&self, groups: &mut [Group], limit: u64) -> Budget {
        let stored = |at: usize| self.weighed.stored(at);
        let fixed = (0..self.fixed).map(stored).sum();
        let sizes: Vec<(SnapshotId, u64)> =
            self.by_age.iter().enumerate().map(|(at, id)| (*id, stored(self.fixed + at))).collect();
        let (over, fits) = over_budget(fixed, &sizes, limit);
        for one in groups.iter_mut().flat_map(|group| &mut group.snapshots) {
            if over.contains(&one.id) {
                one.verdict = Verdict::Forget(Cause::OverSize);
            }
        }
        let rest: u64 = sizes.iter().filter(|(id, _)| !over.contains(id)).map(|(_, bytes)| bytes).sum();
        Budget { limit, stored: fixed + rest, fits }
    }

    fn freed(&self, plan: &Plan) -> Result<Freed, Error> {
        let all = plan.groups.iter().flat_map(|group| &group.snapshots);
        let over = all.filter(|one| one.verdict == Verdict::Forget(Cause::OverSize)).count();
        // The oldest are over, and what goes by the rules stands behind them.
        Ok(self.weighed.freed(self.fixed + self.by_age.len() - over)?)
    }
}
