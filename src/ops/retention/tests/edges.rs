//! Decisions at their edges: the very moment, the very number, nothing but empty or damaged snapshots, what is left out of a count.

use super::super::calendar::{Unit, bucket};
use super::*;
use std::collections::HashMap;

fn guards(all: &[Candidate], rules: &Rules) -> Vec<Guard> {
    guard_groups(&decided(all, rules, &TimeZone::UTC), rules, &TimeZone::UTC)
}

fn within(text: &str) -> Rules {
    Rules { keep_within: span(text), ..Rules::default() }
}

/// Snapshots so many seconds before `newest`, oldest first.
fn back(newest: &str, seconds: &[i64]) -> Vec<Candidate> {
    let newest = at(newest);
    history(seconds.iter().map(|back| Timestamp { seconds: newest.seconds - back, ..newest }))
}

#[test]
fn hours_days_weeks_months_and_years_are_told_apart() {
    // Every hour of three years, a leap year and the weeks at both ends of it among them.
    let first = at("2023-12-20 00:30:00").seconds;
    for unit in [Unit::Hour, Unit::Day, Unit::Week, Unit::Month, Unit::Year] {
        let mut seen = HashMap::new();
        for hour in 0..3 * 366 * 24 {
            let time = local(Timestamp { seconds: first + hour * 3600, nanoseconds: 0 }, &TimeZone::UTC);
            let name = match unit {
                Unit::Hour => time.strftime("%F %H"),
                Unit::Day => time.strftime("%F"),
                Unit::Week => time.strftime("%G-%V"),
                Unit::Month => time.strftime("%Y-%m"),
                Unit::Year => time.strftime("%Y"),
            };
            let name = name.to_string();
            let known = seen.entry(bucket(&time, unit)).or_insert_with(|| name.clone());
            assert_eq!(*known, name);
        }
        let names: BTreeSet<_> = seen.values().collect();
        assert_eq!(names.len(), seen.len(), "one of each {unit:?}");
    }
}

#[test]
fn what_was_taken_at_this_very_moment_is_not_of_the_future() {
    let all = history([at("2026-12-30 23:59:59"), at(NOW)]);
    let rules = Rules { keep_last: count(1), ..Rules::default() };
    let groups = decided(&all, &rules, &TimeZone::UTC);
    let (goes, stays) = (Verdict::Forget(Cause::NoRuleKeepsIt), Verdict::Keep(vec![Reason::Last]));
    assert_eq!(verdicts(&groups), [(0, &goes), (1, &stays)]);
    assert_eq!(groups[0].last_good, Some(all[1].id));
    assert_eq!(guard_last(&all, &[all[1].id].into(), at(NOW)), []);
}

#[test]
fn of_empty_or_damaged_ones_the_last_good_one_is_the_best_that_there_is() {
    let all = |bytes: [u64; 3], damaged: bool| {
        let mut all = regular("2026-11-25 20:00:00", DAY, 3);
        for (one, bytes) in all.iter_mut().zip(bytes) {
            (one.bytes, one.damaged) = (bytes, damaged);
        }
        all
    };
    for (bytes, damaged, best) in [
        // A source that is empty is no disk that was not there.
        ([0, 0, 0], false, 2),
        ([0, 0, 0], true, 2),
        ([1, 1, 0], true, 1),
        ([1, 1, 1], true, 2),
        ([1, 1, 0], false, 1),
    ] {
        let all = all(bytes, damaged);
        assert_eq!(decided(&all, &Rules::default(), &TimeZone::UTC)[0].last_good, Some(all[best].id), "{bytes:?}");
        let named = |numbers: &[usize]| numbers.iter().map(|&at| all[at].id).collect::<BTreeSet<_>>();
        let lost = [Guard::LastGood(all[best].id)];
        assert_eq!(guard_last(&all, &named(&[0, 1, 2]), at(NOW)), lost, "{bytes:?}");
        let rest: Vec<usize> = (0..3).filter(|at| *at != best).collect();
        assert_eq!(guard_last(&all, &named(&rest), at(NOW)), [], "{bytes:?}");
        // That something empty stays is as good as nothing where there was more.
        let something: Vec<usize> = (0..3).filter(|at| bytes[*at] > 0).collect();
        if something.len() == 2 {
            assert_eq!(guard_last(&all, &named(&something), at(NOW)), lost, "{bytes:?}");
        }
    }
}

#[test]
fn a_few_may_go_even_if_they_are_most() {
    let last = |last| Rules { keep_last: count(last), ..Rules::default() };
    let all = regular("2026-11-25 20:00:00", DAY, 30);
    assert_eq!(guards(&all, &last(10)), [], "twenty are few");
    assert!(matches!(guards(&all, &last(9))[..], [Guard::Many { forgotten: 21, of: 30, .. }]));
}

#[test]
fn a_pause_is_suspicious_if_it_is_long_and_unusual() {
    let suspected = |newest_after: i64, usual: i64| {
        let older = (0..5).rev().map(|number| newest_after + number * usual);
        let all = back("2026-11-25 20:00:00", &older.chain([0]).collect::<Vec<_>>());
        !guards(&all, &within("1h")).is_empty()
    };
    assert!(!suspected(2 * DAY, 60), "no long one");
    assert!(!suspected(30 * DAY, DAY) && suspected(30 * DAY + 1, DAY));
    assert!(!suspected(40 * DAY, 4 * DAY) && suspected(40 * DAY + 1, 4 * DAY));
}

#[test]
fn the_usual_pause_is_the_one_in_the_middle() {
    // Several at once, now and then, by who takes one every second month.
    let rare: Vec<i64> = [6, 5, 4, 3, 2, 1].map(|number| number * 60 * DAY).into();
    let mut all = rare.clone();
    all.extend([5 * 60 * DAY - 60, 5 * 60 * DAY - 120, 0]);
    all.sort_unstable_by_key(|back| -back);
    assert_eq!(guards(&back("2026-11-25 20:00:00", &all), &within("30d")), []);
}

#[test]
fn a_jump_is_of_no_matter_where_nothing_goes_or_a_rule_reaches_over_it() {
    let all = back("2026-11-25 20:00:00", &[104 * DAY, 103 * DAY, 102 * DAY, 101 * DAY, 100 * DAY, 0]);
    let keep_all = Rules { keep_last: count(9), ..within("30d") };
    assert_eq!(guards(&all, &keep_all), [], "nothing goes");
    assert_eq!(guards(&all, &within("102d")), [], "the span reaches the one before");
    assert!(matches!(guards(&all, &within("100d"))[..], [Guard::ClockJumped { .. }]), "just not");
}

#[test]
fn what_does_not_count_is_no_jump() {
    let mut all = back("2026-11-25 20:00:00", &[104 * DAY, 103 * DAY, 102 * DAY, 101 * DAY, 100 * DAY, 0]);
    all[5].progress = Progress::Unfinished;
    assert_eq!(guards(&all, &within("1d")), [], "partial");
    all[5].progress = Progress::Complete;
    all[5].time = at("2027-06-01 00:00:00");
    assert_eq!(guards(&all, &within("1d")), [], "from the future");
}

#[test]
fn without_rules_for_kinds_one_stands_for_the_other() {
    let mut all = regular("2026-11-25 20:00:00", DAY, 3);
    all[1].kind = SnapshotKind::Full;
    let rules = Rules { keep_last: count(1), ..Rules::default() };
    assert_eq!(decided(&all, &rules, &TimeZone::UTC).len(), 1);
    assert_eq!(kept(&all, &rules).len(), 1);
}

#[test]
fn rules_that_are_not_about_ages_keep_all_ages() {
    let mut all = regular("2026-11-25 20:00:00", DAY, 4);
    all[3].kind = SnapshotKind::Full;
    let one = Some(Box::new(Rules { keep_last: count(1), ..Rules::default() }));
    for (rules, stay) in [
        (Rules { keep_size: Some(Size(1)), ..Rules::default() }, 4),
        (Rules { full: one.clone(), ..Rules::default() }, 4),
        (Rules { incremental: one, ..Rules::default() }, 2),
    ] {
        assert_eq!(kept(&all, &rules).len(), stay, "{rules:?}");
    }
}

#[test]
fn what_was_not_named_is_not_worth_a_word() {
    let said = |verdict: Verdict| {
        Decided { id: SnapshotId([1; 32]), time: at(NOW), complete: true, verdict }.is_worth_showing()
    };
    assert!(!said(Verdict::Keep(vec![Reason::NotNamed])));
    assert!(said(Verdict::Keep(vec![Reason::Last])) && said(Verdict::Forget(Cause::Named)));
}
