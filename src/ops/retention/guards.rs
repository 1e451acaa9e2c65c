//! What makes a forgetting suspicious, so that a person should say that it is meant.

use super::calendar::before;
use super::decide::{Grouping, last_good};
use super::{Candidate, Group, GroupKey, Progress, Rules, Span, Verdict};
use crate::repo::entry::Timestamp;
use crate::repo::id::SnapshotId;
use jiff::tz::TimeZone;
use std::collections::BTreeSet;

/// So many may go of any group without a question.
const FEW: usize = 20;

/// Seconds by which clocks of two machines may differ.
const SKEW: i64 = 3600;

/// A pause after which the newest snapshot is suspected of a wrong clock: longer than this, and so many times the usual one.
const PAUSE: i64 = 30 * 86_400;
const TIMES: i64 = 10;

/// Something suspicious.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Guard {
    /// More than half of a group, and more than a few, would go.
    Many {
        /// Which group.
        group: GroupKey,
        /// So many would go,
        forgotten: usize,
        /// of so many.
        of: usize,
    },
    /// A group would lose its last good snapshot.
    LastGood(SnapshotId),
    /// This machine's clock is behind what the repository has seen.
    ClockBehind {
        /// What the clock says.
        now: Timestamp,
        /// What was decided last, and when.
        seen: Timestamp,
    },
    /// The newest snapshot of a group stands far from all others, so that rules that count back from it reach none of them.
    ClockJumped {
        /// The newest.
        newest: Timestamp,
        /// The one before it.
        before: Timestamp,
    },
}

/// Holds this machine's clock against the time of the newest decision.
pub fn guard_clock(now: Timestamp, seen: Timestamp) -> Option<Guard> {
    (now.seconds.saturating_add(SKEW) < seen.seconds).then_some(Guard::ClockBehind { now, seen })
}

/// What is suspicious about groups as `rules` judged them.
pub fn guard_groups(groups: &[Group], rules: &Rules, zone: &TimeZone) -> Vec<Guard> {
    let of = |group: &Group| {
        let spans = group.key.kind.map_or(rules, |kind| rules.for_kind(kind)).spans();
        many(group).into_iter().chain(jumped(group, &spans, zone)).collect::<Vec<_>>()
    };
    groups.iter().flat_map(of).collect()
}

/// The last good snapshots that naming `ids` would take from what is taken of one source, `all` being all there are.
pub fn guard_last(all: &[Candidate], ids: &BTreeSet<SnapshotId>, now: Timestamp) -> Vec<Guard> {
    let lost = |group: Vec<&Candidate>| {
        let counts = |one: &&Candidate| one.progress == Progress::Complete && one.time <= now;
        let before: Vec<&Candidate> = group.into_iter().filter(counts).collect();
        let last = last_good(&before)?;
        let something = before.iter().any(|one| one.bytes > 0);
        // Where none is whole, any is better than none.
        let whole = before.iter().any(|one| one.is_good(something));
        let good = |one: &&Candidate| if whole { one.is_good(something) } else { one.bytes > 0 || !something };
        let mut stay = before.iter().filter(|one| !ids.contains(&one.id));
        (!stay.any(good)).then_some(Guard::LastGood(last))
    };
    Grouping::SOURCE.divide(all, false).into_iter().filter_map(|(_, group)| lost(group)).collect()
}

fn many(group: &Group) -> Option<Guard> {
    let complete = group.snapshots.iter().filter(|one| one.complete);
    let (gone, kept): (Vec<_>, Vec<_>) = complete.partition(|one| !one.verdict.keeps());
    let (forgotten, of) = (gone.len(), gone.len() + kept.len());
    (forgotten > FEW && forgotten * 2 > of).then(|| Guard::Many { group: group.key.clone(), forgotten, of })
}

/// A clock that was ahead when the newest snapshot was taken makes all others look old.
fn jumped(group: &Group, spans: &[Span], zone: &TimeZone) -> Option<Guard> {
    let future = |verdict: &Verdict| matches!(verdict, Verdict::Keep(reasons) if *reasons == [super::Reason::Future]);
    let counted: Vec<_> = group.snapshots.iter().filter(|one| one.complete && !future(&one.verdict)).collect();
    let [newest, second, rest @ ..] = &counted[..] else { return None };
    let gap = newest.time.seconds.saturating_sub(second.time.seconds);
    let mut gaps: Vec<i64> = [*second].into_iter().chain(rest.iter().copied()).map(|one| one.time.seconds).collect();
    gaps = gaps.windows(2).map(|pair| pair[0].saturating_sub(pair[1])).collect();
    gaps.sort_unstable();
    let usual = gaps.get(gaps.len() / 2).copied()?;
    let latest = super::calendar::local(newest.time, zone);
    let reaches = |span: &Span| {
        let limit = before(&latest, *span);
        limit.is_none_or(|limit| super::calendar::local(second.time, zone).timestamp() > limit)
    };
    let loses = counted.iter().any(|one| !one.verdict.keeps());
    let suspicious = gap > PAUSE && gap > usual.saturating_mul(TIMES) && !spans.iter().all(reaches);
    (loses && suspicious).then_some(Guard::ClockJumped { newest: newest.time, before: second.time })
}
