//! The rules, as the configuration and the command line give them.

use super::Span;
use crate::repo::record::SnapshotKind;
use crate::source::amount;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::num::NonZeroU32;

/// The tag of snapshots that always stay.
pub const KEEP_TAG: &str = "keep";
/// The tag of snapshots that a verification found damaged.
pub const DAMAGED_TAG: &str = "damaged";

/// Which snapshots stay. Without any rule all do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rules {
    /// The newest so many.
    pub keep_last: Option<NonZeroU32>,
    /// The newest of each of the last so many hours that have one.
    pub keep_hourly: Option<NonZeroU32>,
    /// Of days.
    pub keep_daily: Option<NonZeroU32>,
    /// Of weeks.
    pub keep_weekly: Option<NonZeroU32>,
    /// Of months.
    pub keep_monthly: Option<NonZeroU32>,
    /// Of years.
    pub keep_yearly: Option<NonZeroU32>,
    /// All that are younger than this, counted back from the newest.
    pub keep_within: Option<Span>,
    /// The newest of each hour within this of the newest.
    pub keep_within_hourly: Option<Span>,
    /// Of each day.
    pub keep_within_daily: Option<Span>,
    /// Of each week.
    pub keep_within_weekly: Option<Span>,
    /// Of each month.
    pub keep_within_monthly: Option<Span>,
    /// Of each year.
    pub keep_within_yearly: Option<Span>,
    /// Those with one of these tags; `A,B` means both.
    pub keep_tags: Vec<String>,
    /// What all snapshots together may take in the store: the oldest go until it is enough. Not for one kind alone.
    pub keep_size: Option<Size>,
    /// In place of these, for snapshots of which every byte was read. Holds no rules for kinds itself.
    pub full: Option<Box<Self>>,
    /// In place of these, for the others. Holds no rules for kinds itself.
    pub incremental: Option<Box<Self>>,
}

/// Bytes, written as `500G`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Size(pub u64);

impl Rules {
    /// Whether nothing is said about which snapshots stay: neither here nor for a kind.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether no rule says that a snapshot stays; there may be some for kinds.
    pub fn keeps_all(&self) -> bool {
        Self { keep_size: None, full: None, incremental: None, ..self.clone() } == Self::default()
    }

    /// Whether each kind of snapshot is judged for itself.
    pub const fn by_kind(&self) -> bool {
        self.full.is_some() || self.incremental.is_some()
    }

    /// The rules for snapshots of a kind.
    pub fn for_kind(&self, kind: SnapshotKind) -> &Self {
        let own = match kind {
            SnapshotKind::Full => &self.full,
            SnapshotKind::Incremental => &self.incremental,
        };
        own.as_deref().unwrap_or(self)
    }

    /// The spans that count back from the newest snapshot.
    pub fn spans(&self) -> Vec<Span> {
        [self.keep_within].into_iter().chain(self.spans_by_unit()).flatten().collect()
    }

    /// The spans for the newest of each hour, day, week, month and year.
    pub(super) const fn spans_by_unit(&self) -> [Option<Span>; 5] {
        [
            self.keep_within_hourly,
            self.keep_within_daily,
            self.keep_within_weekly,
            self.keep_within_monthly,
            self.keep_within_yearly,
        ]
    }

    /// What does not fit together, if anything.
    pub fn contradiction(&self) -> Option<&'static str> {
        let kinds = [&self.full, &self.incremental];
        let nested = kinds.into_iter().flatten().find(|kind| kind.by_kind() || kind.keep_size.is_some())?;
        Some(if nested.by_kind() {
            "the rules for a kind of snapshot hold rules for kinds"
        } else {
            "keep_size is for all snapshots together, not for one kind"
        })
    }
}

impl TryFrom<String> for Size {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        amount::parse(&text).map(Self).ok_or("this is no size: write it like 500M, 2G or 1048576")
    }
}

impl From<Size> for String {
    fn from(size: Size) -> Self {
        size.to_string()
    }
}

impl fmt::Display for Size {
    /// In the largest unit that divides it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(40, "T"), (30, "G"), (20, "M"), (10, "K"), (0, "")];
        let fits = |(shift, _): &(u32, &str)| self.0 > 0 && self.0.trailing_zeros() >= *shift;
        let (shift, unit) = units.into_iter().find(fits).unwrap_or((0, ""));
        write!(f, "{}{unit}", self.0 >> shift)
    }
}
