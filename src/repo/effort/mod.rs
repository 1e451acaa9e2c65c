//! How hard a session compresses: as it was told, or as hard as costs no time.
//!
//! What is stored differs by it in size alone: chunks and their ids do not depend on it, so that sessions of different effort
//! share what they store.

mod stopwatch;

pub use stopwatch::Stopwatch;

use super::segment::Compression;
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::{Serialize, Serializer};
use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicI32, Ordering};

/// zstd's levels that can be asked for.
const LEVELS: std::ops::RangeInclusive<i32> = 1..=19;
/// The level of `fast`: also the least that [`Effort::Auto`] goes to.
const FAST: i32 = 1;
/// The level of `default`: also the most that [`Effort::Auto`] goes to.
const DEFAULT: i32 = 3;
/// The level of `high`: five times the work of `default`, for some hundredths less.
const HIGH: i32 = 9;

/// Votes that move [`Governor`] by one level: one hiccup of a disk does not.
const PER_LEVEL: i32 = 4;
/// Votes for the most.
const MOST: i32 = (DEFAULT - FAST + 1) * PER_LEVEL - 1;
/// Part of its time that a worker must have waited before more work costs nothing …
const IDLE: f64 = 0.3;
/// … and below which it is what others wait for.
const BUSY: f64 = 0.1;
/// Part of the processors' time that this process may have used before more work would be at somebody's cost.
const SATURATED: f64 = 0.85;

/// How hard to compress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Effort {
    /// Between `fast` and `default`: as hard as costs no time, by what the run waits for.
    #[default]
    Auto,
    /// As told.
    Fixed(Compression),
}

impl From<Compression> for Effort {
    fn from(compression: Compression) -> Self {
        Self::Fixed(compression)
    }
}

impl FromStr for Effort {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let level = match text {
            "auto" => return Ok(Self::Auto),
            "off" => return Ok(Self::Fixed(Compression::Off)),
            // The second words are those of restic.
            "fast" | "fastest" => FAST,
            "default" => DEFAULT,
            "high" | "better" => HIGH,
            "max" => *LEVELS.end(),
            number => number
                .parse()
                .ok()
                .filter(|level| LEVELS.contains(level))
                .ok_or("it is auto, off, fast, default, high, or a level from 1 to 19")?,
        };
        Ok(Self::Fixed(Compression::Level(level)))
    }
}

impl fmt::Display for Effort {
    /// `auto`, `off`, or the level.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Fixed(Compression::Off) => f.write_str("off"),
            Self::Fixed(Compression::Level(level)) => write!(f, "{level}"),
        }
    }
}

impl Serialize for Effort {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Effort {
    /// From a word or a number.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Words;
        impl Visitor<'_> for Words {
            type Value = Effort;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("auto, off, fast, default, high, or a level from 1 to 19")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Effort, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_i64<E: de::Error>(self, level: i64) -> Result<Effort, E> {
                self.visit_str(&level.to_string())
            }
        }
        deserializer.deserialize_any(Words)
    }
}

/// Decides, segment by segment, for all workers of a session.
#[derive(Debug)]
pub struct Governor {
    effort: Effort,
    /// [`PER_LEVEL`] for each level above [`FAST`].
    votes: AtomicI32,
}

/// What a worker did with its time since its last segment, and this process with its processors'.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spent {
    /// Part of the time, 0 to 1, in which the worker had nothing to do: its source or the packs kept it waiting.
    pub waited: f64,
    /// Part of the processors' time, 0 to 1, that this process used.
    pub used: f64,
}

impl Governor {
    /// One for a session. It begins with the most: a run that is over before anything is known costs little in any case.
    pub const fn new(effort: Effort) -> Self {
        Self { effort, votes: AtomicI32::new(MOST) }
    }

    /// Whether it wants to be told how time is spent.
    pub fn listens(&self) -> bool {
        self.effort == Effort::Auto
    }

    /// How the next segment is compressed.
    pub fn compression(&self) -> Compression {
        match self.effort {
            Effort::Fixed(compression) => compression,
            Effort::Auto => {
                Compression::Level((FAST + self.votes.load(Ordering::Relaxed) / PER_LEVEL).clamp(FAST, DEFAULT))
            }
        }
    }

    /// Takes note of how a worker spent its time.
    pub fn note(&self, spent: Spent) {
        let vote = match spent {
            Spent { waited, used } if waited >= IDLE && used < SATURATED => 1,
            Spent { waited, used } if waited < BUSY || used >= SATURATED => -1,
            _ => return,
        };
        // A vote of somebody else may come in between; then one of the two is lost, and the next is soon to come.
        self.votes.store((self.votes.load(Ordering::Relaxed) + vote).clamp(0, MOST), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_levels_are_read() {
        for (text, level) in
            [("fast", 1), ("fastest", 1), ("default", 3), ("high", 9), ("better", 9), ("max", 19), ("1", 1), ("19", 19)]
        {
            assert_eq!(text.parse(), Ok(Effort::Fixed(Compression::Level(level))), "{text}");
        }
        assert_eq!(("auto".parse(), "off".parse()), (Ok(Effort::Auto), Ok(Effort::Fixed(Compression::Off))));
        for bad in ["", "0", "20", "-1", "1.5", "Fast", "zstd"] {
            assert!(bad.parse::<Effort>().is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_shown_is_read_again() {
        for text in ["auto", "off", "1", "19"] {
            assert_eq!(text.parse::<Effort>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_fixed_effort_stays_whatever_happens() {
        let governor = Governor::new(Compression::Level(7).into());
        (0..100).for_each(|_| governor.note(Spent { waited: 1.0, used: 0.0 }));
        assert!(governor.compression() == Compression::Level(7) && !governor.listens());
    }

    #[test]
    fn those_who_wait_work_harder_and_those_who_are_waited_for_less() {
        let governor = Governor::new(Effort::Auto);
        let after = |spent, times| {
            (0..times).for_each(|_| governor.note(spent));
            governor.compression()
        };
        let level = |level| Compression::Level(level);
        let (waiting, working) = (Spent { waited: 0.6, used: 0.4 }, Spent { waited: 0.0, used: 0.9 });
        assert_eq!((governor.compression(), after(waiting, 100)), (level(3), level(3)));
        assert_eq!(after(working, 3), level(3), "not at once");
        assert_eq!((after(working, 1), after(working, 4), after(working, 100)), (level(2), level(1), level(1)));
        assert_eq!((after(waiting, 3), after(waiting, 1), after(waiting, 4)), (level(1), level(2), level(3)));
        after(working, 100);
        // Waiting for threads of this very process that have no processor left is no reason to use more of them.
        assert_eq!(after(Spent { waited: 0.6, used: 0.95 }, 10), level(1));
        assert_eq!(after(Spent { waited: 0.2, used: 0.5 }, 100), level(1), "neither one nor the other");
        assert_eq!(after(waiting, 100), level(3));
    }
}
