//! Spans of the calendar, as restic writes them.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A span of the calendar: years, months, days and hours, as `1y5m7d2h`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Span {
    /// Years.
    pub years: u32,
    /// Months.
    pub months: u32,
    /// Days.
    pub days: u32,
    /// Hours.
    pub hours: u32,
}

impl Span {
    /// Reads a span: each unit at most once, in any order, and not all zero.
    pub fn parse(text: &str) -> Option<Self> {
        let mut span = Self::default();
        let mut seen = String::new();
        let mut rest = text;
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (number, unit) = (rest[..digits].parse().ok()?, rest[digits..].chars().next()?);
            let field = match unit {
                'y' => &mut span.years,
                'm' => &mut span.months,
                'd' => &mut span.days,
                'h' => &mut span.hours,
                _ => return None,
            };
            if seen.contains(unit) {
                return None;
            }
            seen.push(unit);
            *field = number;
            rest = &rest[digits + 1..];
        }
        (span != Self::default()).then_some(span)
    }
}

impl TryFrom<String> for Span {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("this is no span of time: write years, months, days and hours as 1y5m7d2h")
    }
}

impl From<Span> for String {
    fn from(span: Span) -> Self {
        span.to_string()
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [(self.years, 'y'), (self.months, 'm'), (self.days, 'd'), (self.hours, 'h')];
        parts.into_iter().filter(|(number, _)| *number > 0).try_for_each(|(number, unit)| write!(f, "{number}{unit}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_as_restic_writes_them() {
        let span = Span { years: 1, months: 5, days: 7, hours: 2 };
        assert_eq!(Span::parse("1y5m7d2h"), Some(span));
        assert_eq!(Span::parse("2h7d5m1y"), Some(span));
        assert_eq!(span.to_string(), "1y5m7d2h");
        assert_eq!(Span::parse("30d").unwrap().to_string(), "30d");
        for wrong in ["", "0d", "d", "3", "3w", "1d2d", "-1d", "1 d", "99999999999d", "1é"] {
            assert_eq!(Span::parse(wrong), None, "{wrong:?}");
        }
    }
}
