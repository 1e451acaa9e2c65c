//! How much of the machine long verbs take: options that several of them share, and what the configuration says of them.

mod heap;
mod priority;

pub use heap::hand_memory_back;
pub use priority::give_way;

use crate::source::pace::Rate;
use serde::{Deserialize, Serialize};
use std::num::NonZeroUsize;
use std::str::FromStr;

/// `[limits]` of the configuration; what is not said is left to the program.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Threads that do the work.
    pub threads: Option<NonZeroUsize>,
    /// Whether to give way to other programs.
    pub nice: Option<Nice>,
    /// Bytes per second that are read from a source.
    pub limit_read: Option<Rate>,
    /// Not to read while the machine runs on its battery.
    pub pause_on_battery: bool,
}

/// Whether to give way to other programs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Nice {
    /// When nobody sits there and waits: without a terminal.
    #[default]
    Auto,
    /// Yes.
    On,
    /// No.
    Off,
}

impl FromStr for Nice {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "auto" => Ok(Self::Auto),
            "on" => Ok(Self::On),
            "off" => Ok(Self::Off),
            _ => Err("it is auto, on or off"),
        }
    }
}

impl Nice {
    /// Whether to give way, when there is a terminal or not.
    pub const fn wanted(self, terminal: bool) -> bool {
        match self {
            Self::Auto => !terminal,
            Self::On => true,
            Self::Off => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_terminal_and_without_a_word_it_gives_way() {
        for (text, with, without) in [("auto", false, true), ("on", true, true), ("off", false, false)] {
            let nice: Nice = text.parse().unwrap();
            assert_eq!((nice.wanted(true), nice.wanted(false)), (with, without), "{text}");
        }
        assert_eq!(Nice::default(), Nice::Auto);
        assert!("yes".parse::<Nice>().is_err() && "".parse::<Nice>().is_err());
    }
}
