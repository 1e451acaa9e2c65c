//! Which limit counts when: minutes of the week at which another one begins, by this machine's clock and time zone.

use jiff::ZonedDateTime;
use std::num::NonZeroU64;

/// Minutes of a day.
pub const DAY: u16 = 24 * 60;
const WEEK: u16 = 7 * DAY;

/// Limits in bytes per second, each from a minute of the week on; `None`: as fast as it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timetable {
    /// Ascending by the minute, counted from Monday's first; never empty. Before the first, the last one counts.
    changes: Vec<(u16, Option<NonZeroU64>)>,
}

impl Timetable {
    /// Always the same.
    pub fn always(rate: NonZeroU64) -> Self {
        Self { changes: vec![(0, Some(rate))] }
    }

    /// These changes, in any order; `None` when there are none, two at the same minute, or one outside of the week.
    pub fn new(mut changes: Vec<(u16, Option<NonZeroU64>)>) -> Option<Self> {
        changes.sort_unstable_by_key(|(minute, _)| *minute);
        let distinct = changes.windows(2).all(|pair| pair[0].0 < pair[1].0);
        let inside = changes.last().is_some_and(|(minute, _)| *minute < WEEK);
        (distinct && inside).then_some(Self { changes })
    }

    /// The changes, ascending.
    pub fn changes(&self) -> &[(u16, Option<NonZeroU64>)] {
        &self.changes
    }

    /// What counts at a minute of the week.
    pub fn at(&self, minute: u16) -> Option<NonZeroU64> {
        let after = self.changes.partition_point(|(from, _)| *from <= minute);
        let (_, rate) = self.changes[after.checked_sub(1).unwrap_or(self.changes.len() - 1)];
        rate
    }

    /// What counts now.
    pub fn now(&self) -> Option<NonZeroU64> {
        match &self.changes[..] {
            [(_, always)] => *always,
            _ => self.at(minute_of(&ZonedDateTime::now())),
        }
    }

    /// The lowest of all limits; `None` when there is none.
    pub fn lowest(&self) -> Option<NonZeroU64> {
        self.changes.iter().filter_map(|(_, rate)| *rate).min()
    }
}

fn minute_of(now: &ZonedDateTime) -> u16 {
    let (day, hour, minute) = (now.weekday().to_monday_zero_offset(), now.hour(), now.minute());
    let number = |number: i8| u16::try_from(number).unwrap_or(0);
    number(day) * DAY + number(hour) * 60 + number(minute)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(bytes: u64) -> Option<NonZeroU64> {
        NonZeroU64::new(bytes)
    }

    #[test]
    fn the_last_change_before_counts_across_the_end_of_the_week() {
        let table = Timetable::new(vec![(DAY + 600, None), (600, rate(5))]).unwrap();
        assert_eq!(table.at(0), None, "Tuesday's goes on until the next Monday");
        assert_eq!((table.at(599), table.at(600), table.at(DAY + 599)), (None, rate(5), rate(5)));
        assert_eq!((table.at(DAY + 600), table.at(WEEK - 1)), (None, None));
        assert_eq!((table.lowest(), Timetable::always(rate(7).unwrap()).at(123)), (rate(5), rate(7)));
        for bad in [vec![], vec![(1, None), (1, rate(1))], vec![(WEEK, None)]] {
            assert_eq!(Timetable::new(bad), None);
        }
    }

    #[test]
    fn the_minute_is_that_of_the_week_on_the_wall_clock() {
        let at = |text: &str| minute_of(&text.parse().unwrap());
        assert_eq!(at("2026-11-23T00:00:00+01:00[Europe/Berlin]"), 0);
        assert_eq!(at("2026-11-29T23:59:59+01:00[Europe/Berlin]"), WEEK - 1);
        assert_eq!(at("2026-07-01T08:30:00+02:00[Europe/Berlin]"), 2 * DAY + 510);
    }
}
