//! Moments as people and scripts write them: local time for people, RFC 3339 in UTC for scripts.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp as Moment};

use crate::repo::entry::Timestamp;

/// The local time, to the second. Moments outside of the years -9999 to 9999 are shown as `@SECONDS`.
pub fn local(time: Timestamp, zone: &TimeZone) -> String {
    match moment(time) {
        Some(moment) => moment.to_zoned_datetime(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string(),
        None => format!("@{}", time.seconds),
    }
}

/// RFC 3339 in UTC, with as many digits of the second as it has.
pub fn rfc3339(time: Timestamp) -> String {
    moment(time).map_or_else(|| format!("@{}", time.seconds), |moment| moment.to_string())
}

/// Now, by this host's clock.
pub fn now() -> Timestamp {
    from_moment(Moment::now())
}

/// A moment as `--time` takes it: `2026-11-23`, `2026-11-23 02:00[:30[.5]]`, with `T` for the blank if wished, and with a
/// `Z` or an offset such as `+01:00` where it is not local time. A bare date is its first moment.
pub fn parse(text: &str, zone: &TimeZone) -> Option<Timestamp> {
    let parsed = Parsed::read(text)?;
    parsed.first(zone).map(from_moment)
}

/// The last moment that `text` names: of that local day for a bare date, of that second for a time without a fraction
/// (snapshots are shown to the second). Takes the names of `by-time` in the mount too: `2026-11-23T02-00-00Z`.
pub fn parse_until(text: &str, zone: &TimeZone) -> Option<Timestamp> {
    let parsed = Parsed::read(text)?;
    let end = match parsed {
        Parsed::Day(date) => {
            let next = date.tomorrow().ok()?.to_zoned_datetime(zone.clone()).ok()?.timestamp();
            next.checked_sub(SignedDuration::from_nanos(1)).ok()?
        }
        _ => {
            let moment = parsed.first(zone)?;
            let whole = moment.subsec_nanosecond() == 0;
            let rest = SignedDuration::from_nanos(if whole { 999_999_999 } else { 0 });
            moment.checked_add(rest).ok()?
        }
    };
    Some(from_moment(end))
}

enum Parsed {
    Day(Date),
    Local(DateTime),
    Exact(Moment),
}

impl Parsed {
    fn read(text: &str) -> Option<Self> {
        let text = mount_name(text);
        // A time that looks local must not be read as a date: the date's parser is asked only when there is no more.
        if text.len() == 10 {
            return text.parse().ok().map(Self::Day);
        }
        text.parse().map(Self::Exact).or_else(|_| text.parse().map(Self::Local)).ok()
    }

    fn first(&self, zone: &TimeZone) -> Option<Moment> {
        match self {
            Self::Day(date) => Some(date.to_zoned_datetime(zone.clone()).ok()?.timestamp()),
            Self::Local(time) => Some(time.to_zoned_datetime(zone.clone()).ok()?.timestamp()),
            Self::Exact(moment) => Some(*moment),
        }
    }
}

/// `2026-11-23T02-00-00Z`, a colon being no comfortable part of a file name, becomes `2026-11-23T02:00:00Z`.
fn mount_name(text: &str) -> String {
    let bytes = text.as_bytes();
    if bytes.len() == 20 && bytes[10] == b'T' && bytes[13] == b'-' && bytes[16] == b'-' && bytes[19] == b'Z' {
        return format!("{}:{}:{}", &text[..13], &text[14..16], &text[17..]);
    }
    text.to_owned()
}

fn moment(time: Timestamp) -> Option<Moment> {
    let start = Moment::from_second(time.seconds).ok()?;
    start.checked_add(SignedDuration::from_nanos(time.nanoseconds.into())).ok()
}

fn from_moment(moment: Moment) -> Timestamp {
    let (mut seconds, mut nanoseconds) = (moment.as_second(), moment.subsec_nanosecond());
    if nanoseconds < 0 {
        seconds -= 1;
        nanoseconds += 1_000_000_000;
    }
    let nanoseconds = u32::try_from(nanoseconds).expect("made positive just above");
    Timestamp { seconds, nanoseconds }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone() -> TimeZone {
        TimeZone::fixed(jiff::tz::offset(2))
    }

    fn at(seconds: i64, nanoseconds: u32) -> Timestamp {
        Timestamp { seconds, nanoseconds }
    }

    #[test]
    fn moments_are_shown_for_people_and_for_scripts() {
        assert_eq!(local(at(0, 5), &zone()), "1970-01-01 02:00:00");
        assert_eq!(rfc3339(at(0, 500_000_000)), "1970-01-01T00:00:00.5Z");
        assert_eq!(rfc3339(at(-1, 999_000_000)), "1969-12-31T23:59:59.999Z");
        assert_eq!(rfc3339(at(i64::MAX, 0)), format!("@{}", i64::MAX));
    }

    #[test]
    fn a_bare_date_is_the_end_of_that_local_day() {
        let day = 86_400;
        assert_eq!(parse_until("1970-01-02", &zone()), Some(at(2 * day - 7200 - 1, 999_999_999)));
        assert_eq!(parse("1970-01-02", &zone()), Some(at(day - 7200, 0)));
        let stockholm = TimeZone::get("Europe/Stockholm");
        if let Ok(stockholm) = stockholm {
            // The day on which clocks go back has 25 hours.
            let first = parse("2026-10-25", &stockholm).unwrap().seconds;
            assert_eq!(parse_until("2026-10-25", &stockholm).unwrap().seconds, first + 25 * 3600 - 1);
        }
    }

    #[test]
    fn a_time_names_its_whole_second() {
        for text in ["1970-01-01T02:00:01", "1970-01-01 02:00:01", "1970-01-01T00:00:01Z", "1970-01-01T00-00-01Z"] {
            assert_eq!(parse_until(text, &zone()), Some(at(1, 999_999_999)), "{text}");
        }
        assert_eq!(parse_until("1970-01-01T01:00:00+01:00", &zone()), Some(at(0, 999_999_999)));
        assert_eq!(parse_until("1970-01-01T00:00:01.5Z", &zone()), Some(at(1, 500_000_000)));
        assert_eq!(parse_until("1970-01-01T02:00", &zone()), Some(at(0, 999_999_999)));
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for text in ["", "yesterday", "2026-13-01", "2026-11-31", "12:00", "2026-11-23T25:00", "é026-11-2"] {
            assert_eq!(parse_until(text, &zone()), None, "{text}");
        }
    }

    #[test]
    fn before_1970_nanoseconds_count_forward() {
        assert_eq!(parse("1969-12-31T23:59:59.25Z", &zone()), Some(at(-1, 250_000_000)));
    }
}
