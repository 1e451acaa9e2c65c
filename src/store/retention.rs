//! What keeps an object from being removed or replaced for a time: object lock, immutability policies, retention and holds, as far as
//! places tell of them, before they refuse anything or when they do.

use super::{Error, ErrorKind};

/// What keeps an object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lock {
    /// What it is, in the place's words.
    pub mode: String,
    /// When it ends, in seconds since 1970, if the place says so: a hold ends when somebody ends it.
    pub until: Option<i64>,
}

impl Lock {
    /// Whether it is still in force at this time, in seconds since 1970.
    pub fn holds(&self, now: i64) -> bool {
        self.until.is_none_or(|until| until > now)
    }
}

/// Why a place refused to remove or to replace an object. The cause of [`ErrorKind::Locked`] may be one.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{text}")]
pub struct Retained {
    /// What it said.
    pub text: String,
    /// Until when, in seconds since 1970, if it said so.
    pub until: Option<i64>,
}

impl Retained {
    /// By what a place said. Google names the time in its words: `… cannot be deleted or overwritten until 2027-01-03T10:00:00Z`.
    pub fn said(text: String) -> Self {
        let time = text.split("until ").nth(1).and_then(|rest| rest.split_whitespace().next());
        let until = time.and_then(|time| seconds(time.trim_matches(|c: char| !c.is_ascii_alphanumeric())));
        Self { text, until }
    }
}

/// Until when a place refuses, if the error says so.
pub fn until(error: &Error) -> Option<i64> {
    let refused = error.kind == ErrorKind::Locked;
    error.source.downcast_ref::<Retained>().filter(|_| refused)?.until
}

/// A time as services write it, `2027-01-03T10:00:00Z` or `Sun, 03 Jan 2027 10:00:00 GMT`, in seconds since 1970.
pub fn seconds(text: &str) -> Option<i64> {
    let text = text.trim();
    let time = text.parse::<jiff::Timestamp>();
    time.or_else(|_| jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text))
        .ok()
        .map(jiff::Timestamp::as_second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_services_write_them() {
        for text in ["2027-01-03T10:00:00Z", "2027-01-03T10:00:00.000Z", "2027-01-03T11:00:00+01:00"] {
            assert_eq!(seconds(text), Some(1_798_970_400), "{text}");
        }
        assert_eq!(seconds("Sun, 03 Jan 2027 10:00:00 GMT"), Some(1_798_970_400));
        assert_eq!([seconds(""), seconds("soon")], [None, None]);
    }

    #[test]
    fn a_refusal_may_say_until_when() {
        let of = |text: &str| Retained::said(text.to_owned()).until;
        assert_eq!(
            of("Object 'b/o' is subject to bucket's retention policy and cannot be deleted or overwritten until \
                2027-01-03T02:00:00-08:00"),
            Some(1_798_970_400)
        );
        assert_eq!(of("… until 2027-01-03T10:00:00Z. (HTTP status 403)"), Some(1_798_970_400));
        assert_eq!([of("object protected by object lock"), of("not until then")], [None, None]);
    }

    #[test]
    fn what_has_no_end_holds() {
        let lock = |until| Lock { mode: "COMPLIANCE".to_owned(), until };
        assert!(lock(None).holds(5) && lock(Some(6)).holds(5) && !lock(Some(5)).holds(5));
    }
}
