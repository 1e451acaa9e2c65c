//! Archive tiers: cheap places from which an object must be asked back, for hours and money, before it can be read.

use http::HeaderMap;
use std::fmt;

/// How soon an object is to come back; what is sooner costs more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Speed {
    /// As cheap as it gets.
    Bulk,
    /// As usual.
    #[default]
    Standard,
    /// As soon as can be; not from the deepest tier of S3.
    Expedited,
}

/// How an object is asked back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thaw {
    /// How soon.
    pub speed: Speed,
    /// For how many days it stays readable, where the place puts a copy beside it (S3). Azure moves the object itself.
    pub days: u32,
}

/// The tier of an object that cannot be read now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive {
    /// In the place's words: `GLACIER`, `DEEP_ARCHIVE`, `Archive` …
    pub tier: String,
    /// Whether somebody has asked for it, and it is on its way.
    pub thawing: bool,
}

impl Archive {
    /// What an answer about an object says; nothing if it can be read.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let text = |name: &str| headers.get(name)?.to_str().ok();
        let restore = text("x-amz-restore").unwrap_or_default();
        // S3's archive of objects that nobody reads names its state instead of a class of its own.
        let tier = text("x-amz-archive-status")
            .or_else(|| text("x-amz-storage-class").filter(|class| matches!(*class, "GLACIER" | "DEEP_ARCHIVE")));
        if let Some(tier) = tier {
            // A copy that was asked for can be read until it expires.
            let back = restore.contains("ongoing-request=\"false\"");
            let thawing = restore.contains("ongoing-request=\"true\"");
            return (!back).then(|| Self { tier: tier.to_owned(), thawing });
        }
        let tier = text("x-ms-access-tier").filter(|tier| *tier == "Archive")?;
        let thawing = text("x-ms-archive-status").is_some_and(|status| status.starts_with("rehydrate-pending"));
        Some(Self { tier: tier.to_owned(), thawing })
    }

    /// Whether S3 moves the object itself to where it can be read, and takes no number of days.
    pub fn is_intelligent(&self) -> bool {
        self.tier.ends_with("_ACCESS")
    }

    /// About how many hours it takes until it can be read, as the providers say it (S3's and Azure's pages on their archive tiers).
    pub fn hours(&self, speed: Speed) -> u32 {
        match (self.tier.as_str(), speed) {
            ("Archive", Speed::Expedited) | ("GLACIER" | "ARCHIVE_ACCESS", Speed::Expedited) => 1,
            ("Archive", _) => 15,
            ("DEEP_ARCHIVE" | "DEEP_ARCHIVE_ACCESS", Speed::Bulk) => 48,
            ("DEEP_ARCHIVE" | "DEEP_ARCHIVE_ACCESS", _) => 12,
            (_, Speed::Bulk) => 12,
            _ => 5,
        }
    }
}

impl fmt::Display for Speed {
    /// As S3 writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bulk => "Bulk",
            Self::Standard => "Standard",
            Self::Expedited => "Expedited",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    fn of(headers: &[(&'static str, &'static str)]) -> Option<(String, bool)> {
        let value = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        let archive = Archive::of(&headers.iter().map(value).collect())?;
        Some((archive.tier, archive.thawing))
    }

    #[test]
    fn tiers_are_read_from_headers() {
        let (glacier, restore) = (("x-amz-storage-class", "GLACIER"), "x-amz-restore");
        let archived = |tier: &str, thawing| Some((tier.to_owned(), thawing));
        assert_eq!(of(&[glacier]), archived("GLACIER", false));
        assert_eq!(of(&[glacier, (restore, "ongoing-request=\"true\"")]), archived("GLACIER", true));
        assert_eq!(of(&[glacier, (restore, "ongoing-request=\"false\", expiry-date=\"x\"")]), None);
        for readable in ["STANDARD_IA", "GLACIER_IR", "INTELLIGENT_TIERING"] {
            assert_eq!(of(&[("x-amz-storage-class", readable)]), None, "{readable}");
        }
        let asleep = [("x-amz-storage-class", "INTELLIGENT_TIERING"), ("x-amz-archive-status", "DEEP_ARCHIVE_ACCESS")];
        assert_eq!(of(&asleep), archived("DEEP_ARCHIVE_ACCESS", false));
        let azure = ("x-ms-access-tier", "Archive");
        assert_eq!(of(&[azure]), archived("Archive", false));
        assert_eq!(of(&[azure, ("x-ms-archive-status", "rehydrate-pending-to-hot")]), archived("Archive", true));
        assert_eq!([of(&[("x-ms-access-tier", "Hot")]), of(&[])], [None, None]);
    }

    #[test]
    fn deeper_and_cheaper_takes_longer() {
        let hours = |tier: &str, speed| Archive { tier: tier.to_owned(), thawing: false }.hours(speed);
        for tier in ["GLACIER", "DEEP_ARCHIVE", "Archive"] {
            assert!(hours(tier, Speed::Bulk) >= hours(tier, Speed::Standard), "{tier}");
            assert!(hours(tier, Speed::Standard) >= hours(tier, Speed::Expedited), "{tier}");
        }
        assert!(hours("DEEP_ARCHIVE", Speed::Bulk) > hours("GLACIER", Speed::Bulk));
    }
}
