//! Why a snapshot stays, or goes.

use super::Span;
use std::fmt;

/// What becomes of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It stays, for these reasons.
    Keep(Vec<Reason>),
    /// It goes.
    Forget(Cause),
}

/// Why a snapshot stays. The words of rules are restic's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// By `keep_last`.
    Last,
    /// By `keep_hourly`, `keep_daily` and their kin; the word for it.
    Newest(&'static str),
    /// By `keep_within`.
    Within(Span),
    /// By `keep_within_hourly` and its kin; the word for it.
    NewestWithin(&'static str, Span),
    /// It has all of these tags.
    Tags(String),
    /// Nothing is said about snapshots like it.
    NoRule,
    /// It claims to be of later than now: no rule counts it.
    Future,
    /// It is partial, and nothing complete came after it.
    Unfinished,
    /// The newest of its group that shows all that it should.
    LastGood,
    /// It was not named.
    NotNamed,
}

/// Why a snapshot goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// No rule keeps it.
    NoRuleKeepsIt,
    /// It is partial, and a complete one of the same source came after it.
    Superseded,
    /// The oldest go until the rest fits.
    OverSize,
    /// It was named.
    Named,
}

impl Verdict {
    /// Whether it stays.
    pub const fn keeps(&self) -> bool {
        matches!(self, Self::Keep(_))
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Last => f.write_str("last snapshot"),
            Self::Newest(word) => write!(f, "{word} snapshot"),
            Self::Within(span) => write!(f, "within {span}"),
            Self::NewestWithin(word, span) => write!(f, "{word} within {span}"),
            Self::Tags(tags) => write!(f, "has tags [{}]", tags.replace(',', ", ")),
            Self::NoRule => f.write_str("no rule is about it"),
            Self::Future => f.write_str("from the future"),
            Self::Unfinished => f.write_str("partial, and nothing complete after it"),
            Self::LastGood => f.write_str("last good snapshot"),
            Self::NotNamed => f.write_str("not named"),
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoRuleKeepsIt => "no rule keeps it",
            Self::Superseded => "partial, and a complete one came after it",
            Self::OverSize => "the oldest, and the size is limited",
            Self::Named => "named",
        })
    }
}
