//! Decisions: restic's documented examples, the calendar's corners, what no rule may do. `edges` is about what lies just at a limit,
//! `written` about rules as text, `laws` about what holds for any history.

mod edges;
mod laws;
mod written;

use super::calendar::{before, local};
use super::*;
use crate::repo::entry::Timestamp;
use crate::repo::id::{PrincipalId, SnapshotId, Token, WriterId};
use crate::repo::names::SessionName;
use crate::repo::record::SnapshotKind;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use std::collections::BTreeSet;
use std::num::NonZeroU32;

/// The end of 2026: later than all snapshots here.
const NOW: &str = "2026-12-31 23:59:59";

fn at(text: &str) -> Timestamp {
    let time: DateTime = text.parse().unwrap();
    Timestamp { seconds: time.to_zoned_datetime(TimeZone::UTC).unwrap().timestamp().as_second(), nanoseconds: 0 }
}

fn token(text: &str) -> Token {
    Token(*blake3::hash(text.as_bytes()).as_bytes().first_chunk().unwrap())
}

fn candidate(number: u64, time: Timestamp) -> Candidate {
    let mut id = [0; 32];
    id[..8].copy_from_slice(&number.to_be_bytes());
    Candidate {
        id: SnapshotId(id),
        time,
        session: SessionName { writer: WriterId([1; 16]), seq: number },
        source: Source { principal: PrincipalId([1; 16]), host: token("host"), paths: token("/") },
        kind: SnapshotKind::Incremental,
        tags: BTreeSet::new(),
        progress: Progress::Complete,
        bytes: 1,
        damaged: false,
    }
}

/// A snapshot at each of these times.
fn history(times: impl IntoIterator<Item = Timestamp>) -> Vec<Candidate> {
    (0..).zip(times).map(|(number, time)| candidate(number, time)).collect()
}

/// `count` snapshots, one every `step` seconds, the last at `end`.
fn regular(end: &str, step: i64, count: i64) -> Vec<Candidate> {
    let end = at(end);
    let time = |back: i64| Timestamp { seconds: end.seconds - back * step, ..end };
    history((0..count).rev().map(time))
}

fn count(number: u32) -> Option<NonZeroU32> {
    NonZeroU32::new(number)
}

fn span(text: &str) -> Option<Span> {
    Span::parse(text)
}

fn decided(snapshots: &[Candidate], rules: &Rules, zone: &TimeZone) -> Vec<Group> {
    let question = Question { rules, grouping: Grouping::SOURCE, now: at(NOW), zone, tag: &token };
    decide(snapshots, &question)
}

/// The local times of what stays, oldest first.
fn kept(snapshots: &[Candidate], rules: &Rules) -> Vec<String> {
    kept_in(snapshots, rules, &TimeZone::UTC)
}

fn kept_in(snapshots: &[Candidate], rules: &Rules, zone: &TimeZone) -> Vec<String> {
    let groups = decided(snapshots, rules, zone);
    let mut kept: Vec<_> = groups.into_iter().flat_map(|group| group.snapshots).collect();
    kept.retain(|one| one.verdict.keeps());
    kept.sort_by_key(|one| one.time);
    kept.iter().map(|one| local(one.time, zone).strftime("%F %R").to_string()).collect()
}

fn verdicts(groups: &[Group]) -> Vec<(u64, &Verdict)> {
    let number = |id: SnapshotId| u64::from_be_bytes(*id.0.first_chunk().unwrap());
    let mut all: Vec<_> =
        groups.iter().flat_map(|group| &group.snapshots).map(|one| (number(one.id), &one.verdict)).collect();
    all.sort_by_key(|(number, _)| *number);
    all
}

const DAY: i64 = 86_400;

#[test]
fn only_sundays_keep_the_last_four_sundays() {
    // restic's manual, "Removing snapshots according to a policy".
    let sundays = regular("2015-02-01 11:00:00", 7 * DAY, 12);
    let rules = Rules { keep_daily: count(4), ..Rules::default() };
    assert_eq!(
        kept(&sundays, &rules),
        ["2015-01-11 11:00", "2015-01-18 11:00", "2015-01-25 11:00", "2015-02-01 11:00"]
    );
    let rules = Rules { keep_daily: count(4), keep_weekly: count(2), ..Rules::default() };
    assert_eq!(kept(&sundays, &rules).len(), 4, "a snapshot may be kept by several rules");
}

#[test]
fn a_hundred_years_of_days() {
    // From the same page: seven days, five weeks, twelve months, seventy-five years.
    let days = regular("2026-11-25 20:00:00", DAY, 36_525);
    let rules = Rules {
        keep_daily: count(7),
        keep_weekly: count(5),
        keep_monthly: count(12),
        keep_yearly: count(75),
        ..Rules::default()
    };
    let kept = kept(&days, &rules);
    let week = ["2026-11-19", "2026-11-20", "2026-11-21", "2026-11-22", "2026-11-23", "2026-11-24", "2026-11-25"];
    assert!(week.iter().all(|day| kept.contains(&format!("{day} 20:00"))), "{kept:?}");
    // The Sunday of last week is among the seven days.
    for sunday in ["2026-11-15", "2026-11-08", "2026-11-01"] {
        assert!(kept.contains(&format!("{sunday} 20:00")), "{sunday}");
    }
    assert!(kept.contains(&"2026-02-28 20:00".to_owned()) && kept.contains(&"1952-12-31 20:00".to_owned()));
    // Of the year before last nothing but its last day, and 31 December 2025 is both a month's end and a year's.
    assert!(!kept.contains(&"2024-11-30 20:00".to_owned()) && !kept.contains(&"1951-12-31 20:00".to_owned()));
    assert_eq!(kept.len(), 7 + 3 + 11 + 74 - 1);
}

#[test]
fn spans_count_back_from_the_newest() {
    let hours = regular("2026-11-25 20:30:00", 3600, 24 * 40);
    let within = |text| Rules { keep_within: span(text), ..Rules::default() };
    assert_eq!(kept(&hours, &within("3h")), ["2026-11-25 18:30", "2026-11-25 19:30", "2026-11-25 20:30"]);
    assert_eq!(kept(&hours, &within("2d")).len(), 48);
    assert_eq!(kept(&hours, &within("9999y")).len(), hours.len());
    assert_eq!(kept(&hours, &within("4294967295y4294967295m4294967295d4294967295h")).len(), hours.len());
    let rules = Rules { keep_within_daily: span("3d"), keep_within_weekly: span("21d"), ..Rules::default() };
    assert_eq!(
        kept(&hours, &rules),
        [
            "2026-11-08 23:30",
            "2026-11-15 23:30",
            "2026-11-22 23:30",
            "2026-11-23 23:30",
            "2026-11-24 23:30",
            "2026-11-25 20:30"
        ]
    );
}

#[test]
fn months_that_are_short_reach_into_the_next() {
    let back = |latest: &str, text: &str| {
        let moment = before(&local(at(latest), &TimeZone::UTC), Span::parse(text).unwrap()).unwrap();
        moment.to_zoned_datetime(TimeZone::UTC).strftime("%F %T").to_string()
    };
    for (latest, span, expected) in [
        ("2026-03-31 12:00:00", "1m", "2026-03-03 12:00:00"),
        ("2024-03-31 12:00:00", "1m", "2024-03-02 12:00:00"),
        ("2024-02-29 12:00:00", "1y", "2023-03-01 12:00:00"),
        ("2026-01-15 01:00:00", "2m10d3h", "2025-11-04 22:00:00"),
        ("2026-01-15 01:00:00", "15d", "2025-12-31 01:00:00"),
    ] {
        assert_eq!(back(latest, span), expected, "{latest} {span}");
    }
    let ancient = local(Timestamp { seconds: i64::MIN, nanoseconds: 0 }, &TimeZone::UTC);
    assert_eq!(before(&ancient, Span::parse("1h").unwrap()), None);
}

#[test]
fn days_begin_where_the_zone_says() {
    let hours = regular("2026-06-10 03:00:00", 3600, 30);
    let rules = Rules { keep_daily: count(2), ..Rules::default() };
    assert_eq!(kept(&hours, &rules), ["2026-06-09 23:00", "2026-06-10 03:00"]);
    let west = TimeZone::fixed(jiff::tz::offset(-5));
    assert_eq!(kept_in(&hours, &rules, &west), ["2026-06-08 23:00", "2026-06-09 22:00"]);
    if let Ok(stockholm) = TimeZone::get("Europe/Stockholm") {
        // Clocks show the hour from 2 to 3 twice in that night: it is one hour.
        let night = regular("2026-10-25 02:30:00", 1800, 6);
        let hourly = Rules { keep_hourly: count(2), ..Rules::default() };
        assert_eq!(kept_in(&night, &hourly, &stockholm), ["2026-10-25 02:30", "2026-10-25 03:30"]);
    }
}

#[test]
fn the_oldest_stays_while_there_is_something_left_to_count() {
    let days = regular("2026-11-25 20:00:00", 3600, 3);
    let rules = Rules { keep_daily: count(5), ..Rules::default() };
    assert_eq!(kept(&days, &rules), ["2026-11-25 18:00", "2026-11-25 20:00"]);
}

#[test]
fn iso_weeks_do_not_end_with_the_year() {
    let days = history(["2025-12-28 12:00:00", "2025-12-29 12:00:00", "2026-01-03 12:00:00"].map(at));
    let rules = Rules { keep_weekly: count(1), ..Rules::default() };
    assert_eq!(kept(&days, &rules), ["2026-01-03 12:00"]);
    let rules = Rules { keep_weekly: count(2), ..Rules::default() };
    assert_eq!(kept(&days, &rules), ["2025-12-28 12:00", "2026-01-03 12:00"]);
}

#[test]
fn reasons_are_given_in_restics_words() {
    let mut days = regular("2026-11-25 20:00:00", DAY, 3);
    days[0].tags.insert(token("keep"));
    days[1].tags.extend([token("a"), token("b")]);
    let rules = Rules {
        keep_last: count(1),
        keep_daily: count(1),
        keep_within: span("1h"),
        keep_within_weekly: span("1d"),
        keep_tags: vec!["a,b".to_owned(), "a,c".to_owned()],
        ..Rules::default()
    };
    let groups = decided(&days, &rules, &TimeZone::UTC);
    let words = |verdict: &Verdict| match verdict {
        Verdict::Keep(reasons) => reasons.iter().map(ToString::to_string).collect::<Vec<_>>(),
        Verdict::Forget(cause) => vec![cause.to_string()],
    };
    let said: Vec<_> = verdicts(&groups).into_iter().map(|(_, verdict)| words(verdict)).collect();
    assert_eq!(said[0], ["has tags [keep]"]);
    assert_eq!(said[1], ["has tags [a, b]"]);
    assert_eq!(said[2], ["within 1h", "last snapshot", "daily snapshot", "weekly within 1d"]);
}

#[test]
fn sources_principals_and_kinds_are_judged_apart() {
    let mut all = regular("2026-11-25 20:00:00", DAY, 4);
    let rules = Rules { keep_last: count(1), ..Rules::default() };
    assert_eq!(kept(&all, &rules).len(), 1);
    all[0].source.host = token("other");
    all[1].source.principal = PrincipalId([2; 16]);
    assert_eq!(kept(&all, &rules).len(), 3);
    let by_kind = Rules { full: Some(Box::new(Rules { keep_last: count(2), ..Rules::default() })), ..rules };
    (all[0].kind, all[2].kind) = (SnapshotKind::Full, SnapshotKind::Full);
    assert_eq!(kept(&all, &by_kind).len(), 4);
    let only_full = Rules { keep_last: None, ..by_kind };
    let reasons = decided(&all, &only_full, &TimeZone::UTC);
    let unruled = verdicts(&reasons).iter().filter(|(_, v)| **v == Verdict::Keep(vec![Reason::NoRule])).count();
    assert_eq!(unruled, 2);
}

#[test]
fn partial_future_and_empty_snapshots_do_not_stand_for_good_ones() {
    let mut all = regular("2026-11-25 20:00:00", DAY, 5);
    all[0].progress = Progress::Superseded;
    all[3].progress = Progress::Unfinished;
    all[4].time = at("2027-01-01 00:00:00");
    all[2].bytes = 0;
    let rules = Rules { keep_last: count(1), ..Rules::default() };
    let groups = decided(&all, &rules, &TimeZone::UTC);
    assert_eq!(
        verdicts(&groups),
        [
            (0, &Verdict::Forget(Cause::Superseded)),
            (1, &Verdict::Keep(vec![Reason::LastGood])),
            (2, &Verdict::Keep(vec![Reason::Last])),
            (3, &Verdict::Keep(vec![Reason::Unfinished])),
            (4, &Verdict::Keep(vec![Reason::Future])),
        ]
    );
}

#[test]
fn a_limit_of_size_takes_the_oldest_and_spares_the_protected() {
    let mut all = regular("2026-11-25 20:00:00", DAY, 5);
    all[0].tags.insert(token("keep"));
    let groups = decided(&all, &Rules::default(), &TimeZone::UTC);
    let order = Order::of(&groups);
    assert_eq!(order.protected, [all[4].id, all[0].id]);
    assert_eq!(order.by_age, [all[3].id, all[2].id, all[1].id]);
    let sizes: Vec<_> = order.by_age.iter().map(|id| (*id, 10)).collect();
    assert_eq!(over_budget(5, &sizes, 35), (BTreeSet::new(), true));
    assert_eq!(over_budget(5, &sizes, 34), ([all[1].id].into(), true));
    assert_eq!(over_budget(5, &sizes, 14).0.len(), 3);
    assert_eq!(over_budget(5, &sizes, 4), (order.by_age.iter().copied().collect(), false));
}

#[test]
fn a_damaged_snapshot_is_not_the_last_good_one() {
    let all = |damaged: &[usize]| {
        let mut all = regular("2026-11-25 20:00:00", DAY, 3);
        damaged.iter().for_each(|&at| all[at].damaged = true);
        all
    };
    let last_good = |damaged: &[usize]| decided(&all(damaged), &Rules::default(), &TimeZone::UTC)[0].last_good;
    let ids: Vec<_> = all(&[]).iter().map(|one| one.id).collect();
    assert_eq!(last_good(&[]), Some(ids[2]));
    assert_eq!(last_good(&[2]), Some(ids[1]));
    assert_eq!(last_good(&[0, 1, 2]), Some(ids[2]), "better than none");
    let now = at("2026-11-26 00:00:00");
    let guards =
        |damaged: &[usize], named: &[usize]| guard_last(&all(damaged), &named.iter().map(|&at| ids[at]).collect(), now);
    assert!(guards(&[2], &[0]).is_empty());
    assert_eq!(guards(&[2], &[0, 1]), [Guard::LastGood(ids[1])]);
    assert!(guards(&[0, 1, 2], &[0, 1]).is_empty());
    assert_eq!(guards(&[0, 1, 2], &[0, 1, 2]), [Guard::LastGood(ids[2])]);
}

#[test]
fn many_at_once_is_suspicious() {
    let rules = |last| Rules { keep_last: count(last), ..Rules::default() };
    let guards =
        |all: &[Candidate], rules: &Rules| guard_groups(&decided(all, rules, &TimeZone::UTC), rules, &TimeZone::UTC);
    let all = regular("2026-11-25 20:00:00", DAY, 41);
    assert!(matches!(guards(&all, &rules(20))[..], [Guard::Many { forgotten: 21, of: 41, .. }]));
    assert!(guards(&all, &rules(21)).is_empty(), "few");
    let all = regular("2026-11-25 20:00:00", DAY, 60);
    assert!(guards(&all, &rules(30)).is_empty(), "half and no more");
    assert!(matches!(guards(&all, &rules(29))[..], [Guard::Many { .. }]));
}

#[test]
fn clocks_that_jump_are_noticed() {
    let rules = Rules { keep_within: span("30d"), ..Rules::default() };
    let guards =
        |all: &[Candidate], rules: &Rules| guard_groups(&decided(all, rules, &TimeZone::UTC), rules, &TimeZone::UTC);
    let mut all = regular("2026-01-10 20:00:00", DAY, 8);
    assert!(guards(&all, &rules).is_empty());
    all.push(candidate(9, at("2026-11-25 20:00:00")));
    assert!(matches!(guards(&all, &rules)[..], [Guard::ClockJumped { .. }]));
    // Rules that count do not care.
    assert!(guards(&all, &Rules { keep_last: count(2), ..Rules::default() }).is_empty());
    // Who takes one every second month is used to pauses.
    let rare = regular("2026-11-25 20:00:00", 60 * DAY, 8);
    assert!(guards(&rare, &rules).is_empty());
    assert_eq!(guard_clock(at("2026-01-01 00:00:00"), at("2026-01-01 01:00:00")), None);
    assert!(guard_clock(at("2026-01-01 00:00:00"), at("2026-01-01 01:00:01")).is_some());
}

#[test]
fn the_last_good_one_of_a_source_is_not_named_by_accident() {
    let mut all = regular("2026-11-25 20:00:00", DAY, 3);
    all[2].bytes = 0;
    let ids = |numbers: &[usize]| numbers.iter().map(|&at| all[at].id).collect::<BTreeSet<_>>();
    assert!(guard_last(&all, &ids(&[0, 2]), at(NOW)).is_empty());
    assert_eq!(guard_last(&all, &ids(&[0, 1]), at(NOW)), [Guard::LastGood(all[1].id)]);
    assert_eq!(guard_last(&all, &ids(&[0, 1, 2]), at("2026-11-24 00:00:00")), [Guard::LastGood(all[0].id)]);
}
