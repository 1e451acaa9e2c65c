//! Laws that hold for any history and any rules: nothing is emptied, more rules keep more, deciding twice changes nothing.

use super::*;
use proptest::prelude::*;

fn any_rules() -> impl Strategy<Value = Rules> {
    let count = || prop::option::of((1..6_u32).prop_map(|n| NonZeroU32::new(n).unwrap()));
    let span = || {
        prop::option::of((0..2_u32, 0..3_u32, 0..9_u32, 1..9_u32).prop_map(|(years, months, days, hours)| Span {
            years,
            months,
            days,
            hours,
        }))
    };
    let counts = (count(), count(), count(), count(), count(), count());
    (counts, (span(), span(), span(), span(), span(), span()), any::<bool>()).prop_map(|(counts, spans, tag)| Rules {
        keep_last: counts.0,
        keep_hourly: counts.1,
        keep_daily: counts.2,
        keep_weekly: counts.3,
        keep_monthly: counts.4,
        keep_yearly: counts.5,
        keep_within: spans.0,
        keep_within_hourly: spans.1,
        keep_within_daily: spans.2,
        keep_within_weekly: spans.3,
        keep_within_monthly: spans.4,
        keep_within_yearly: spans.5,
        keep_tags: if tag { vec!["x".to_owned()] } else { Vec::new() },
        ..Rules::default()
    })
}

prop_compose! {
    fn any_history()(
        all in prop::collection::vec((0..400_i64 * 24 * 4, 0..3_u8, any::<bool>(), 0..6_u8, any::<bool>()), 1..60)
    ) -> Vec<Candidate> {
        let (first, numbered) = (at("2025-11-25 20:00:00").seconds, (0..).zip(all));
        numbered.map(|(number, (quarter, host, tagged, state, full))| {
            let mut one = candidate(number, Timestamp { seconds: first + quarter * 900, nanoseconds: 0 });
            one.source.host = Token([host; 16]);
            one.tags.extend(tagged.then(|| token("x")));
            one.bytes = u64::from(state > 0);
            one.progress = if state == 1 { Progress::Unfinished } else { Progress::Complete };
            one.kind = if full { SnapshotKind::Full } else { SnapshotKind::Incremental };
            one
        }).collect()
    }
}

/// Both have a rule, or neither has: none at all means that everything stays.
fn union(a: &Rules, b: &Rules) -> Rules {
    fn longer(a: Option<NonZeroU32>, b: Option<NonZeroU32>) -> Option<NonZeroU32> {
        a.max(b)
    }
    Rules {
        keep_last: longer(a.keep_last, b.keep_last),
        keep_hourly: longer(a.keep_hourly, b.keep_hourly),
        keep_daily: longer(a.keep_daily, b.keep_daily),
        keep_weekly: longer(a.keep_weekly, b.keep_weekly),
        keep_monthly: longer(a.keep_monthly, b.keep_monthly),
        keep_yearly: longer(a.keep_yearly, b.keep_yearly),
        keep_within: a.keep_within.or(b.keep_within),
        keep_within_hourly: a.keep_within_hourly.or(b.keep_within_hourly),
        keep_within_daily: a.keep_within_daily.or(b.keep_within_daily),
        keep_within_weekly: a.keep_within_weekly.or(b.keep_within_weekly),
        keep_within_monthly: a.keep_within_monthly.or(b.keep_within_monthly),
        keep_within_yearly: a.keep_within_yearly.or(b.keep_within_yearly),
        keep_tags: [&a.keep_tags[..], &b.keep_tags].concat(),
        ..Rules::default()
    }
}

fn stay(groups: &[Group]) -> BTreeSet<SnapshotId> {
    groups.iter().flat_map(|group| &group.snapshots).filter(|one| one.verdict.keeps()).map(|one| one.id).collect()
}

proptest! {
    #[test]
    fn no_group_is_emptied_and_every_snapshot_is_judged_once(all in any_history(), rules in any_rules()) {
        let groups = decided(&all, &rules, &TimeZone::UTC);
        prop_assert_eq!(groups.iter().map(|group| group.snapshots.len()).sum::<usize>(), all.len());
        for group in &groups {
            let good = group.last_good.into_iter().collect();
            prop_assert!(stay(std::slice::from_ref(group)).is_superset(&good));
            prop_assert!(group.snapshots.iter().any(|one| one.verdict.keeps()));
        }
    }

    #[test]
    fn more_rules_keep_more(all in any_history(), some in any_rules(), more in any_rules()) {
        prop_assume!(!some.keeps_all());
        let few = stay(&decided(&all, &some, &TimeZone::UTC));
        let many = stay(&decided(&all, &union(&some, &more), &TimeZone::UTC));
        prop_assert!(many.is_superset(&few));
    }

    #[test]
    fn what_was_decided_once_is_decided_again(all in any_history(), rules in any_rules(), kind in any::<bool>()) {
        let full = kind.then(|| Box::new(Rules { keep_weekly: NonZeroU32::new(2), ..Rules::default() }));
        let rules = Rules { full, ..rules };
        let first = stay(&decided(&all, &rules, &TimeZone::UTC));
        let rest: Vec<Candidate> = all.into_iter().filter(|one| first.contains(&one.id)).collect();
        prop_assert_eq!(stay(&decided(&rest, &rules, &TimeZone::UTC)), first);
    }
}
