//! The rules applied to one list of snapshots, newest first: for each the reasons to keep it. As restic's `ApplyPolicy` has it.
//!
//! Invariant: every rule sees the whole list and knows nothing of the others, so that another rule only ever keeps more.

use super::calendar::{Bucket, Unit, before, bucket, local};
use super::{Candidate, KEEP_TAG, Reason, Rules};
use crate::repo::id::Token;
use jiff::ZonedDateTime;
use jiff::tz::TimeZone;
use std::num::NonZeroU32;

/// A rule that counts: of each unit the newest, so many units.
struct Counted {
    left: u32,
    unit: Option<Unit>,
    last: Option<Bucket>,
    reason: Reason,
}

impl Counted {
    fn new(count: Option<NonZeroU32>, unit: Option<Unit>, reason: Reason) -> Self {
        Self { left: count.map_or(0, NonZeroU32::get), unit, last: None, reason }
    }

    /// Whether the snapshot is the newest of a unit that is still counted. The oldest of all stays as long as there is something
    /// left to count, so that history reaches as far back as it may.
    fn takes(&mut self, time: &ZonedDateTime, oldest: bool) -> bool {
        if self.left == 0 {
            return false;
        }
        let now = self.unit.map(|unit| bucket(time, unit));
        if now.is_some() && now == self.last && !oldest {
            return false;
        }
        (self.last, self.left) = (now, self.left - 1);
        true
    }
}

const UNITS: [(Unit, &str); 5] = [
    (Unit::Hour, "hourly"),
    (Unit::Day, "daily"),
    (Unit::Week, "weekly"),
    (Unit::Month, "monthly"),
    (Unit::Year, "yearly"),
];

/// The reasons to keep each of `list`, which stands newest first.
pub(super) fn judge(
    list: &[&Candidate],
    rules: &Rules,
    zone: &TimeZone,
    tag: &dyn Fn(&str) -> Token,
) -> Vec<Vec<Reason>> {
    let times: Vec<ZonedDateTime> = list.iter().map(|one| local(one.time, zone)).collect();
    let mut reasons = by_tags(list, rules, tag);
    if rules.keeps_all() {
        reasons.iter_mut().for_each(|reasons| reasons.push(Reason::NoRule));
        return reasons;
    }
    let Some(latest) = times.first() else { return reasons };
    if let Some(span) = rules.keep_within {
        for at in within(&times, latest, span) {
            reasons[at].push(Reason::Within(span));
        }
    }
    for mut rule in counted(rules) {
        for (at, time) in times.iter().enumerate() {
            if rule.takes(time, at + 1 == times.len()) {
                reasons[at].push(rule.reason.clone());
            }
        }
    }
    for ((unit, word), span) in UNITS.into_iter().zip(rules.spans_by_unit()) {
        let Some(span) = span else { continue };
        let mut last = None;
        for at in within(&times, latest, span) {
            let now = Some(bucket(&times[at], unit));
            if now != last {
                reasons[at].push(Reason::NewestWithin(word, span));
                last = now;
            }
        }
    }
    reasons
}

fn by_tags(list: &[&Candidate], rules: &Rules, tag: &dyn Fn(&str) -> Token) -> Vec<Vec<Reason>> {
    let tokens = |text: &str| text.split(',').map(tag).collect::<Vec<_>>();
    let always = [(KEEP_TAG.to_owned(), tokens(KEEP_TAG))].into_iter();
    let others = rules.keep_tags.iter().filter(|text| *text != KEEP_TAG);
    let wanted: Vec<(String, Vec<Token>)> = always.chain(others.map(|text| (text.clone(), tokens(text)))).collect();
    let of = |one: &&Candidate| {
        let has = |(_, tokens): &&(String, Vec<Token>)| tokens.iter().all(|token| one.tags.contains(token));
        wanted.iter().filter(has).map(|(text, _)| Reason::Tags(text.clone())).collect()
    };
    list.iter().map(of).collect()
}

fn counted(rules: &Rules) -> impl Iterator<Item = Counted> {
    let counts =
        [rules.keep_hourly, rules.keep_daily, rules.keep_weekly, rules.keep_monthly, rules.keep_yearly].into_iter();
    let by_unit = UNITS.into_iter().zip(counts);
    let by_unit = by_unit.map(|((unit, word), count)| Counted::new(count, Some(unit), Reason::Newest(word)));
    [Counted::new(rules.keep_last, None, Reason::Last)].into_iter().chain(by_unit)
}

/// The places of those that are later than `span` before the latest.
fn within<'a>(
    times: &'a [ZonedDateTime],
    latest: &ZonedDateTime,
    span: super::Span,
) -> impl Iterator<Item = usize> + use<'a> {
    let limit = before(latest, span);
    let later = move |(_, time): &(usize, &ZonedDateTime)| limit.is_none_or(|limit| time.timestamp() > limit);
    times.iter().enumerate().filter(later).map(|(at, _)| at)
}
