//! How fast the work goes, and how long it will take. Pure: the time is given.

use std::time::Duration;

use super::size;
use crate::event::{Progress, Stage};

/// Numbers of one moment, with what follows from them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    /// What the verb says.
    pub progress: Progress,
    /// Time since its start.
    pub elapsed: Duration,
}

impl Pace {
    /// Part of the work that is done, 0 to 1; by bytes, or by files where there are none. `None` while the end is unknown.
    #[allow(clippy::cast_precision_loss)]
    pub fn done(&self) -> Option<f64> {
        let part = |done: u64, total: u64| (total > 0).then(|| (done as f64 / total as f64).min(1.0));
        part(self.progress.bytes, self.progress.bytes_total)
            .or_else(|| part(self.progress.files, self.progress.files_total))
    }

    /// Bytes per second since the start.
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    pub fn rate(&self) -> u64 {
        (self.progress.bytes as f64 / self.elapsed.as_secs_f64().max(0.001)) as u64
    }

    /// Time to go if the pace stays as it was; `None` while nothing can be said.
    pub fn remaining(&self) -> Option<Duration> {
        let done = self.done().filter(|done| *done > 0.001)?;
        Duration::try_from_secs_f64(self.elapsed.as_secs_f64() * (1.0 - done) / done).ok()
    }

    /// The numbers of a stage in one line. Of a prune there is less to say: what it counts are snapshots, then bytes that go.
    pub fn line_of(&self, stage: Stage) -> String {
        let Progress { files, files_total, bytes, bytes_total, .. } = self.progress;
        let time = size::duration(self.elapsed);
        match stage {
            Stage::Prune if bytes_total > 0 => {
                format!("{time}  {} of {} deleted", size::bytes(bytes), size::bytes(bytes_total))
            }
            Stage::Prune => format!("{time}  {files} of {files_total} snapshots"),
            Stage::Sync => self.line_in("packs"),
            _ => self.line(),
        }
    }

    /// One line: `12:34  1,234 of 5,000 files  1.2 GiB of 3.4 GiB  120 MiB/s  ETA 0:18  2 errors`.
    pub fn line(&self) -> String {
        self.line_in("files")
    }

    fn line_in(&self, unit: &str) -> String {
        let Progress { files, files_total, bytes, bytes_total, errors } = self.progress;
        let mut parts = vec![size::duration(self.elapsed)];
        if let Some(done) = self.done() {
            parts.push(format!("{:.1} %", done * 100.0));
        }
        parts.push(match files_total {
            0 => format!("{files} {unit}"),
            total => format!("{files} of {total} {unit}"),
        });
        parts.push(match bytes_total {
            0 => size::bytes(bytes),
            total => format!("{} of {}", size::bytes(bytes), size::bytes(total)),
        });
        parts.push(format!("{}/s", size::bytes(self.rate())));
        if let Some(remaining) = self.remaining() {
            parts.push(format!("ETA {}", size::duration(remaining)));
        }
        if errors > 0 {
            parts.push(format!("{errors} errors"));
        }
        parts.join("  ")
    }
}

/// What the work is called in progress lines.
pub const fn verb(stage: Stage) -> &'static str {
    match stage {
        Stage::Snapshot => "snapshot",
        Stage::Restore => "restore",
        Stage::Verify => "verify",
        Stage::Prune => "prune",
        Stage::Sync => "sync",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_tells_what_is_known() {
        let mut pace = Pace {
            progress: Progress { files: 3, bytes: 1 << 20, ..Progress::default() },
            elapsed: Duration::from_secs(2),
        };
        assert_eq!(pace.line(), "0:02  3 files  1.00 MiB  512 KiB/s");
        pace.progress.files_total = 12;
        pace.progress.bytes_total = 4 << 20;
        pace.progress.errors = 1;
        assert_eq!(pace.line(), "0:02  25.0 %  3 of 12 files  1.00 MiB of 4.00 MiB  512 KiB/s  ETA 0:06  1 errors");
    }

    #[test]
    fn totals_that_grow_or_are_overtaken_do_no_harm() {
        let progress = Progress { bytes: 10, bytes_total: 5, ..Progress::default() };
        let pace = Pace { progress, elapsed: Duration::ZERO };
        assert_eq!((pace.done(), pace.remaining()), (Some(1.0), Some(Duration::ZERO)));
    }
}
