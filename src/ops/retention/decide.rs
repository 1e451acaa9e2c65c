//! What the rules come to for a set of snapshots: group by group, with what no rule may touch.
//!
//! Invariants: a group that has a good snapshot keeps one; what claims to be of later than now stays and counts for nothing.

use super::judge::judge;
use super::{Candidate, Cause, Progress, Reason, Rules, Verdict};
use crate::repo::entry::Timestamp;
use crate::repo::id::{PrincipalId, SnapshotId, Token};
use crate::repo::record::SnapshotKind;
use jiff::tz::TimeZone;
use std::collections::{BTreeSet, HashMap};

/// What the snapshots of one group have in common, beside their principal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grouping {
    /// The host.
    pub host: bool,
    /// The paths.
    pub paths: bool,
    /// The tags.
    pub tags: bool,
}

/// What one group's snapshots have in common, as far as the grouping asks.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct GroupKey {
    /// Whose they are.
    pub principal: PrincipalId,
    /// Their host.
    pub host: Option<Token>,
    /// Their paths.
    pub paths: Option<Token>,
    /// Their tags.
    pub tags: Option<BTreeSet<Token>>,
    /// Their kind, where each is judged for itself.
    pub kind: Option<SnapshotKind>,
}

/// What is to be decided by.
pub struct Question<'a> {
    /// The rules.
    pub rules: &'a Rules,
    /// How snapshots stand together.
    pub grouping: Grouping,
    /// The time.
    pub now: Timestamp,
    /// Where days begin.
    pub zone: &'a TimeZone,
    /// The token of a tag.
    pub tag: &'a dyn Fn(&str) -> Token,
}

/// A group, judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// What it is.
    pub key: GroupKey,
    /// Its snapshots, newest first.
    pub snapshots: Vec<Decided>,
    /// The newest that is complete, not from the future, and not empty where others are not.
    pub last_good: Option<SnapshotId>,
}

/// A snapshot, judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// Which.
    pub id: SnapshotId,
    /// Its time.
    pub time: Timestamp,
    /// Whether it is complete.
    pub complete: bool,
    /// What becomes of it.
    pub verdict: Verdict,
}

impl Decided {
    /// Whether there is something to say about it: where some were named, there is not about the others.
    pub fn is_worth_showing(&self) -> bool {
        self.verdict != Verdict::Keep(vec![Reason::NotNamed])
    }
}

impl Grouping {
    /// By host and paths: what one and the same snapshot is taken of again and again.
    pub const SOURCE: Self = Self { host: true, paths: true, tags: false };

    fn key(self, one: &Candidate, by_kind: bool) -> GroupKey {
        GroupKey {
            principal: one.source.principal,
            host: self.host.then_some(one.source.host),
            paths: self.paths.then_some(one.source.paths),
            tags: self.tags.then(|| one.tags.clone()),
            kind: by_kind.then_some(one.kind),
        }
    }

    /// The groups in the order of their first snapshots; each newest first.
    pub fn divide(self, snapshots: &[Candidate], by_kind: bool) -> Vec<(GroupKey, Vec<&Candidate>)> {
        let mut groups: Vec<(GroupKey, Vec<&Candidate>)> = Vec::new();
        let mut known: HashMap<GroupKey, usize> = HashMap::new();
        for one in snapshots {
            let key = self.key(one, by_kind);
            let at = *known.entry(key.clone()).or_insert(groups.len());
            if at == groups.len() {
                groups.push((key, Vec::new()));
            }
            groups[at].1.push(one);
        }
        for (_, group) in &mut groups {
            group.sort_by_key(|one| std::cmp::Reverse((one.time, one.session, one.id)));
        }
        groups
    }
}

/// Decides about every one of `snapshots`.
pub fn decide(snapshots: &[Candidate], question: &Question<'_>) -> Vec<Group> {
    let groups = question.grouping.divide(snapshots, question.rules.by_kind());
    groups.into_iter().map(|(key, group)| decide_group(key, &group, question)).collect()
}

fn decide_group(key: GroupKey, group: &[&Candidate], question: &Question<'_>) -> Group {
    let counts = |one: &&&Candidate| one.progress == Progress::Complete && one.time <= question.now;
    let counted: Vec<&Candidate> = group.iter().filter(counts).copied().collect();
    let rules = key.kind.map_or(question.rules, |kind| question.rules.for_kind(kind));
    let mut reasons = judge(&counted, rules, question.zone, question.tag).into_iter();
    let last_good = last_good(&counted);
    let decided = |one: &&Candidate| {
        let mut kept = match one.progress {
            Progress::Superseded => return Verdict::Forget(Cause::Superseded),
            Progress::Unfinished => vec![Reason::Unfinished],
            Progress::Complete if one.time > question.now => vec![Reason::Future],
            Progress::Complete => reasons.next().unwrap_or_default(),
        };
        if kept.is_empty() && last_good == Some(one.id) {
            kept.push(Reason::LastGood);
        }
        if kept.is_empty() { Verdict::Forget(Cause::NoRuleKeepsIt) } else { Verdict::Keep(kept) }
    };
    let verdicts: Vec<Verdict> = group.iter().map(decided).collect();
    let complete = |one: &Candidate| one.progress == Progress::Complete;
    let snapshots = group.iter().zip(verdicts).map(|(one, verdict)| Decided {
        id: one.id,
        time: one.time,
        complete: complete(one),
        verdict,
    });
    Group { snapshots: snapshots.collect(), key, last_good }
}

/// The newest of a list of complete snapshots, newest first, that is not suspect. Where all are damaged, the newest is better than none.
pub(super) fn last_good(list: &[&Candidate]) -> Option<SnapshotId> {
    let something = list.iter().any(|one| one.bytes > 0);
    let good = list.iter().find(|one| one.is_good(something));
    good.or_else(|| list.iter().find(|one| one.bytes > 0 || !something)).map(|one| one.id)
}
