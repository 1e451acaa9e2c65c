//! The rules beside restic's: the same history and the same rules, and what restic's own `forget --dry-run` decides.

use boveda::ops::retention::{Candidate, Grouping, Progress, Question, Reason, Rules, Source, Span, Verdict, decide};
use boveda::repo::entry::Timestamp;
use boveda::repo::id::{PrincipalId, SnapshotId, Token, WriterId};
use boveda::repo::names::SessionName;
use boveda::repo::record::SnapshotKind;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::process::Command;
use tempfile::TempDir;

/// Hours of a busy day, days of a month with its end, week ends around new year, months, years; some at the same minute of
/// different years, none at the same moment.
const TIMES: [&str; 36] = [
    "2019-03-31 12:00:00",
    "2020-02-29 12:00:00",
    "2020-12-31 23:59:59",
    "2021-01-01 00:00:00",
    "2022-06-30 12:00:00",
    "2023-11-05 01:00:00",
    "2024-02-29 10:00:00",
    "2024-12-28 10:00:00",
    "2024-12-29 10:00:00",
    "2024-12-30 10:00:00",
    "2024-12-31 10:00:00",
    "2025-01-01 10:00:00",
    "2025-01-05 10:00:00",
    "2025-01-06 10:00:00",
    "2025-01-31 10:00:00",
    "2025-02-28 10:00:00",
    "2025-03-01 10:00:00",
    "2025-03-03 09:59:59",
    "2025-03-03 10:00:00",
    "2025-03-03 10:00:01",
    "2025-03-24 10:00:00",
    "2025-03-25 10:00:00",
    "2025-03-26 10:00:00",
    "2025-03-27 10:00:00",
    "2025-03-28 10:00:00",
    "2025-03-29 10:00:00",
    "2025-03-30 00:30:00",
    "2025-03-30 01:30:00",
    "2025-03-30 23:59:59",
    "2025-03-31 00:00:00",
    "2025-03-31 07:15:00",
    "2025-03-31 07:45:00",
    "2025-03-31 08:15:00",
    "2025-03-31 09:30:00",
    "2025-03-31 09:59:59",
    "2025-03-31 10:00:00",
];

/// Every fifth has this tag, every tenth also the other.
fn tags(number: usize) -> &'static [&'static str] {
    match number {
        _ if number.is_multiple_of(10) => &["weekly", "audit"],
        _ if number.is_multiple_of(5) => &["weekly"],
        _ => &[],
    }
}

struct Restic(TempDir);

impl Restic {
    fn new() -> Self {
        let restic = Self(TempDir::new().unwrap());
        std::fs::write(restic.0.path().join("file"), "x").unwrap();
        restic.run(&["init"]);
        std::thread::scope(|scope| {
            for lane in 0..4 {
                let restic = &restic;
                scope.spawn(move || {
                    for (number, time) in TIMES.iter().enumerate().filter(|(number, _)| number % 4 == lane) {
                        let tags = tags(number).join(",");
                        let tag: &[&str] = if tags.is_empty() { &[] } else { &["--tag", &tags] };
                        restic.run(&[&["backup", "file", "--host", "h", "--time", time], tag].concat());
                    }
                });
            }
        });
        restic
    }

    fn run(&self, arguments: &[&str]) -> Vec<u8> {
        let mut command = Command::new("restic");
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", self.0.path()).env("TZ", "UTC");
        command.env("RESTIC_PASSWORD", "x").env("RESTIC_REPOSITORY", self.0.path().join("repository"));
        let run = command.current_dir(self.0.path()).args(["-q", "--no-cache"]).args(arguments).output().unwrap();
        assert!(run.status.success(), "restic {arguments:?}: {}", String::from_utf8_lossy(&run.stderr));
        run.stdout
    }

    /// The times that stay, each with restic's reasons.
    fn keeps(&self, rules: &[&str]) -> BTreeMap<String, Vec<String>> {
        let out = self.run(&[&["forget", "--dry-run", "--json"], rules].concat());
        let groups: Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(groups.as_array().unwrap().len(), 1);
        let reasons = groups[0]["reasons"].as_array().unwrap().iter();
        let one = |reason: &Value| {
            let time = reason["snapshot"]["time"].as_str().unwrap();
            let time = time[..19].replace('T', " ");
            (time, serde_json::from_value(reason["matches"].clone()).unwrap())
        };
        reasons.map(one).collect()
    }
}

fn token(text: &str) -> Token {
    Token(*blake3::hash(text.as_bytes()).as_bytes().first_chunk().unwrap())
}

/// What boveda keeps of the same.
fn ours(rules: &Rules) -> BTreeMap<String, Vec<String>> {
    let candidate = |(number, text): (usize, &&str)| {
        let time: DateTime = text.parse().unwrap();
        let seconds = time.to_zoned_datetime(TimeZone::UTC).unwrap().timestamp().as_second();
        Candidate {
            id: SnapshotId([u8::try_from(number).unwrap(); 32]),
            time: Timestamp { seconds, nanoseconds: 0 },
            session: SessionName { writer: WriterId([0; 16]), seq: number as u64 },
            source: Source { principal: PrincipalId([0; 16]), host: token("h"), paths: token("file") },
            kind: SnapshotKind::Full,
            tags: tags(number).iter().map(|tag| token(tag)).collect::<BTreeSet<_>>(),
            progress: Progress::Complete,
            bytes: 1,
            damaged: false,
        }
    };
    let all: Vec<Candidate> = TIMES.iter().enumerate().map(candidate).collect();
    let now = Timestamp { seconds: i64::MAX, nanoseconds: 0 };
    let question = Question { rules, grouping: Grouping::SOURCE, now, zone: &TimeZone::UTC, tag: &token };
    let groups = decide(&all, &question);
    let kept = |one: &boveda::ops::retention::Decided| {
        let Verdict::Keep(reasons) = &one.verdict else { return None };
        // restic would keep nothing at all, and refuses to.
        let reasons: Vec<_> = reasons.iter().filter(|reason| **reason != Reason::LastGood).collect();
        let words: Vec<String> = reasons.into_iter().map(ToString::to_string).collect();
        (!words.is_empty()).then(|| (TIMES[usize::from(one.id.0[0])].to_owned(), words))
    };
    groups.iter().flat_map(|group| &group.snapshots).filter_map(kept).collect()
}

/// The rules as restic's flags say them.
fn rules(flags: &[&str]) -> Rules {
    let mut rules = Rules::default();
    for pair in flags.chunks(2) {
        let [flag, value] = pair else { panic!("a flag without a value: {pair:?}") };
        let count = || NonZeroU32::new(value.parse().unwrap());
        let span = || Some(Span::parse(value).unwrap());
        match *flag {
            "--keep-last" => rules.keep_last = count(),
            "--keep-hourly" => rules.keep_hourly = count(),
            "--keep-daily" => rules.keep_daily = count(),
            "--keep-weekly" => rules.keep_weekly = count(),
            "--keep-monthly" => rules.keep_monthly = count(),
            "--keep-yearly" => rules.keep_yearly = count(),
            "--keep-within" => rules.keep_within = span(),
            "--keep-within-hourly" => rules.keep_within_hourly = span(),
            "--keep-within-daily" => rules.keep_within_daily = span(),
            "--keep-within-weekly" => rules.keep_within_weekly = span(),
            "--keep-within-monthly" => rules.keep_within_monthly = span(),
            "--keep-within-yearly" => rules.keep_within_yearly = span(),
            "--keep-tag" => rules.keep_tags.push((*value).to_owned()),
            other => panic!("{other}"),
        }
    }
    rules
}

#[test]
fn every_rule_keeps_what_restic_keeps_for_the_same_reasons() {
    if Command::new("restic").arg("version").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "restic is needed to prove this");
        return;
    }
    let restic = Restic::new();
    for flags in [
        "--keep-last 3",
        "--keep-hourly 4",
        "--keep-hourly 99",
        "--keep-daily 5",
        "--keep-weekly 6",
        "--keep-monthly 7",
        "--keep-yearly 3",
        "--keep-yearly 10",
        "--keep-within 1m",
        "--keep-within 1y1m2d3h",
        "--keep-within 28d",
        "--keep-within-hourly 5h --keep-within-daily 3d",
        "--keep-within-weekly 4m --keep-within-monthly 1y --keep-within-yearly 9y",
        "--keep-tag weekly",
        "--keep-tag weekly,audit --keep-last 1",
        "--keep-tag audit --keep-tag weekly --keep-daily 2",
        "--keep-last 2 --keep-hourly 3 --keep-daily 7 --keep-weekly 4 --keep-monthly 6 --keep-yearly 5 --keep-within 2d",
    ] {
        let flags: Vec<&str> = flags.split(' ').collect();
        assert_eq!(ours(&rules(&flags)), restic.keeps(&flags), "{flags:?}");
    }
}
