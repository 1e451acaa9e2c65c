//! The rules as flags, named as restic names them.

use std::num::NonZeroU32;

use crate::ops::retention::{Rules, Size, Span};

/// Which snapshots stay.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Flags {
    /// Keep the newest N; `unlimited` for all, here and below
    #[arg(short = 'l', long, value_name = "N", value_parser = count, allow_negative_numbers = true, help_heading = "Rules")]
    keep_last: Option<u32>,
    /// Keep the newest of each of the last N hours that have one
    #[arg(long, value_name = "N", value_parser = count, allow_negative_numbers = true, help_heading = "Rules")]
    keep_hourly: Option<u32>,
    /// Of days
    #[arg(short = 'd', long, value_name = "N", value_parser = count, allow_negative_numbers = true, help_heading = "Rules")]
    keep_daily: Option<u32>,
    /// Of weeks
    #[arg(short = 'w', long, value_name = "N", value_parser = count, allow_negative_numbers = true, help_heading = "Rules")]
    keep_weekly: Option<u32>,
    /// Of months
    #[arg(short = 'm', long, value_name = "N", value_parser = count, allow_negative_numbers = true, help_heading = "Rules")]
    keep_monthly: Option<u32>,
    /// Of years
    #[arg(short = 'y', long, value_name = "N", value_parser = count, allow_negative_numbers = true, help_heading = "Rules")]
    keep_yearly: Option<u32>,
    /// Keep all that are younger than this, counted back from the newest: `1y5m7d2h`
    #[arg(long, value_name = "SPAN", value_parser = span, help_heading = "Rules")]
    keep_within: Option<Span>,
    /// Keep the newest of each hour within this of the newest
    #[arg(long, value_name = "SPAN", value_parser = span, help_heading = "Rules")]
    keep_within_hourly: Option<Span>,
    /// Of each day
    #[arg(long, value_name = "SPAN", value_parser = span, help_heading = "Rules")]
    keep_within_daily: Option<Span>,
    /// Of each week
    #[arg(long, value_name = "SPAN", value_parser = span, help_heading = "Rules")]
    keep_within_weekly: Option<Span>,
    /// Of each month
    #[arg(long, value_name = "SPAN", value_parser = span, help_heading = "Rules")]
    keep_within_monthly: Option<Span>,
    /// Of each year
    #[arg(long, value_name = "SPAN", value_parser = span, help_heading = "Rules")]
    keep_within_yearly: Option<Span>,
    /// Keep those with this tag; `A,B` means both (more than once: any of them)
    #[arg(long = "keep-tag", value_name = "TAG[,TAG…]", value_parser = tags, help_heading = "Rules")]
    keep_tags: Vec<String>,
    /// Of what the rules keep, let the oldest go until all snapshots together take no more than this in the store: `500G`
    #[arg(long, value_name = "SIZE", value_parser = size, help_heading = "Rules")]
    keep_size: Option<Size>,
}

impl Flags {
    /// The rules that they make; a count of 0 is none.
    pub fn rules(&self) -> Rules {
        let count = |number: Option<u32>| number.and_then(NonZeroU32::new);
        Rules {
            keep_last: count(self.keep_last),
            keep_hourly: count(self.keep_hourly),
            keep_daily: count(self.keep_daily),
            keep_weekly: count(self.keep_weekly),
            keep_monthly: count(self.keep_monthly),
            keep_yearly: count(self.keep_yearly),
            keep_within: self.keep_within,
            keep_within_hourly: self.keep_within_hourly,
            keep_within_daily: self.keep_within_daily,
            keep_within_weekly: self.keep_within_weekly,
            keep_within_monthly: self.keep_within_monthly,
            keep_within_yearly: self.keep_within_yearly,
            keep_tags: self.keep_tags.clone(),
            keep_size: self.keep_size,
            full: None,
            incremental: None,
        }
    }
}

fn count(text: &str) -> Result<u32, &'static str> {
    match text {
        // As restic writes it.
        "unlimited" | "-1" => Ok(u32::MAX),
        _ => text.parse().map_err(|_| "write a number, or `unlimited`"),
    }
}

/// A variable that is not set must not be taken for a tag that nothing has.
fn tags(text: &str) -> Result<String, &'static str> {
    match text.split(',').any(str::is_empty) {
        true => Err("an empty tag is none"),
        false => Ok(text.to_owned()),
    }
}

fn span(text: &str) -> Result<Span, &'static str> {
    Span::try_from(text.to_owned())
}

fn size(text: &str) -> Result<Size, &'static str> {
    Size::try_from(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_numbers_or_unlimited() {
        assert_eq!(
            (count("7"), count("0"), count("-1"), count("unlimited")),
            (Ok(7), Ok(0), Ok(u32::MAX), Ok(u32::MAX))
        );
        assert!(count("-2").is_err() && count("x").is_err() && count("").is_err());
        assert!(tags("a,b").is_ok() && tags("").is_err() && tags("a,").is_err());
        let flags = Flags { keep_last: Some(0), ..Flags::default() };
        assert!(flags.rules().is_empty());
    }
}
