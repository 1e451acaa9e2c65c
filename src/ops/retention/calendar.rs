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

/// What is the same for moments of one hour, day, …, and for no others.
pub(super) type Bucket = (i16, i8, i8, i8);

/// The hour, day, … that a moment lies in. An hour that clocks show twice is one.
pub(super) fn bucket(time: &ZonedDateTime, unit: Unit) -> Bucket {
    let (year, month, day) = (time.year(), time.month(), time.day());
    match unit {
        Unit::Hour => (year, month, day, time.hour()),
        Unit::Day => (year, month, day, 0),
        Unit::Week => {
            let week = time.date().iso_week_date();
            (week.year(), week.week(), 0, 0)
        }
        Unit::Month => (year, month, 0, 0),
        Unit::Year => (year, 0, 0, 0),
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
