//! The calendar in one time zone: which hour, day, week, month and year a moment lies in, and how far back a span reaches.
//!
//! Weeks are those of ISO 8601. Spans are taken off as restic takes them off: a day that a month does not have is the day so
//! many after that month's end (one month before 31 March is 3 March, or 2 March in leap years).

use super::Span;
use crate::repo::entry::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp as Moment, ZonedDateTime};

/// What has a newest snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Hour,
    Day,
    Week,
    Month,
    Year,
}

/// A moment as clocks show it there. What no calendar reaches is its first or last moment.
pub(super) fn local(time: Timestamp, zone: &TimeZone) -> ZonedDateTime {
    let nanoseconds = i32::try_from(time.nanoseconds).unwrap_or_default();
    let end = if time.seconds < 0 { Moment::MIN } else { Moment::MAX };
    Moment::new(time.seconds, nanoseconds).unwrap_or(end).to_zoned_datetime(zone.clone())
}

/// A number that is the same for moments of the same hour, day, … and for no others. An hour that clocks show twice is one.
pub(super) fn bucket(time: &ZonedDateTime, unit: Unit) -> i64 {
    let (year, month, day) = (i64::from(time.year()), i64::from(time.month()), i64::from(time.day()));
    match unit {
        Unit::Hour => ((year * 12 + month) * 32 + day) * 24 + i64::from(time.hour()),
        Unit::Day => (year * 12 + month) * 32 + day,
        Unit::Week => {
            let week = time.date().iso_week_date();
            i64::from(week.year()) * 64 + i64::from(week.week())
        }
        Unit::Month => year * 12 + month,
        Unit::Year => year,
    }
}

/// The moment that lies `span` before `latest`; none if that is before all calendars.
pub(super) fn before(latest: &ZonedDateTime, span: Span) -> Option<Moment> {
    let months = i64::from(latest.year()) * 12 + i64::from(latest.month()) - 1;
    let months = months - i64::from(span.years) * 12 - i64::from(span.months);
    let (year, month) = (i16::try_from(months.div_euclid(12)).ok()?, i8::try_from(months.rem_euclid(12)).ok()? + 1);
    let days = i64::from(latest.day()) - 1 - i64::from(span.days);
    let day = Date::new(year, month, 1).ok()?.checked_add(jiff::Span::new().try_days(days).ok()?).ok()?;
    let moment = day.to_datetime(latest.time()).to_zoned_datetime(latest.time_zone().clone()).ok()?.timestamp();
    moment.checked_sub(SignedDuration::from_hours(i64::from(span.hours))).ok()
}
