//! Events as JSON lines: one object per line, told apart by `message_type`. `docs/json.md` describes them all.
//!
//! Progress and results go to standard output, errors to standard error. Names are those of restic where they mean the
//! same. A path that is not UTF-8 is given with replacement characters, and exactly in a second field that ends in `_hex`.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Manner;
use super::rate::Pace;
use crate::event::{Access, EntryStatus, Event, Level, Progress, RestoreAction, Stage};
use crate::repo::entry::Timestamp;

/// A status line this often at most.
const STATUS: Duration = Duration::from_secs(1);

/// The face for scripts.
pub struct Json {
    manner: Manner,
    start: Instant,
    /// Milliseconds from the start to the next status line.
    next: AtomicU64,
}

impl Json {
    pub fn new(manner: Manner) -> Self {
        Self { manner, start: Instant::now(), next: AtomicU64::new(0) }
    }

    pub fn take(&self, event: Event) {
        match event {
            Event::Progress(stage, progress) => self.progress(stage, progress),
            Event::Entry { path, status, size } => {
                let (from, action) = match status {
                    EntryStatus::New => (1, "new"),
                    EntryStatus::Changed => (1, "modified"),
                    EntryStatus::Unchanged => (2, "unchanged"),
                };
                self.verbose(from, action, &path, size);
            }
            Event::Excluded { path, rule } if self.manner.verbose > 1 => {
                let mut value = json!({ "message_type": "verbose_status", "action": "excluded", "rule": rule });
                put_path(&mut value, "item", &path);
                to_stdout(&value);
            }
            Event::Excluded { .. } => {}
            Event::Restored { path, action, size } => {
                let (from, action) = match action {
                    RestoreAction::Restored => (1, "restored"),
                    RestoreAction::Updated => (1, "updated"),
                    RestoreAction::Deleted => (1, "deleted"),
                    RestoreAction::Kept => (2, "kept"),
                    RestoreAction::Unchanged => (2, "unchanged"),
                };
                self.verbose(from, action, &path, size);
            }
            Event::Problem { path, during, error } => to_stderr(&problem(&path, during, &error)),
            Event::Damage { object, what, healed } => to_stderr(&json!({
                "message_type": "damage", "object": object, "what": what, "healed": healed,
            })),
            // What was allowed stands in the log, and nowhere else: `boveda audit`.
            Event::Access(one) if !one.allowed => to_stderr(&access(&one)),
            Event::Access(_) => {}
            Event::Message(level, text) => self.message(level, &text),
        }
    }

    fn message(&self, level: Level, text: &str) {
        let wanted = match level {
            Level::Debug => self.manner.verbose > 1,
            Level::Info => !self.manner.quiet,
            Level::Warning | Level::Error => true,
        };
        if wanted {
            to_stderr(&json!({ "message_type": "message", "level": level.to_string(), "message": text }));
        }
    }

    fn verbose(&self, from: u8, action: &str, path: &[u8], size: u64) {
        if self.manner.verbose < from {
            return;
        }
        let mut value = json!({ "message_type": "verbose_status", "action": action, "data_size": size });
        put_path(&mut value, "item", path);
        to_stdout(&value);
    }

    fn progress(&self, stage: Stage, progress: Progress) {
        let elapsed = self.start.elapsed();
        let due = self.next.load(Ordering::Relaxed);
        let now = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        let next = now.saturating_add(1000 * STATUS.as_secs());
        let won = now >= due && self.next.compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if won && !self.manner.quiet {
            to_stdout(&status(stage, &Pace { progress, elapsed }));
        }
    }
}

/// A status line on standard error, because somebody asked.
pub fn answer(numbers: Option<(Stage, Progress)>, elapsed: Duration) {
    let (stage, progress) = numbers.unwrap_or((Stage::Snapshot, Progress::default()));
    to_stderr(&status(stage, &Pace { progress, elapsed }));
}

fn status(stage: Stage, pace: &Pace) -> Value {
    let Progress { files, files_total, bytes, bytes_total, errors } = pace.progress;
    let (done_files, done_bytes) = match stage {
        Stage::Restore => ("files_restored", "bytes_restored"),
        Stage::Snapshot | Stage::Verify | Stage::Prune | Stage::Sync => ("files_done", "bytes_done"),
    };
    let mut value = json!({
        "message_type": "status",
        "seconds_elapsed": pace.elapsed.as_secs(),
        "percent_done": pace.done().unwrap_or_default(),
        "total_files": files_total,
        "total_bytes": bytes_total,
        "error_count": errors,
    });
    value[done_files] = files.into();
    value[done_bytes] = bytes.into();
    if let Some(remaining) = pace.remaining() {
        value["seconds_remaining"] = remaining.as_secs().into();
    }
    value
}

fn problem(path: &[u8], during: &str, error: &str) -> Value {
    let mut value = json!({ "message_type": "error", "error": { "message": error }, "during": during });
    put_path(&mut value, "item", path);
    value
}

/// One look into a mounted snapshot, or several of one minute.
pub fn access(access: &Access) -> Value {
    let time = Timestamp { seconds: access.time, nanoseconds: 0 };
    let mut value = json!({
        "message_type": "access",
        "time": super::super::time::rfc3339(time),
        "uid": access.uid,
        "gid": access.gid,
        "pid": access.pid,
        "snapshot_id": access.snapshot.map(|id| id.iter().map(|byte| format!("{byte:02x}")).collect::<String>()),
        "operation": access.operation.word(),
        "allowed": access.allowed,
        "count": access.count,
        "paths": access.paths.iter().map(|path| String::from_utf8_lossy(path)).collect::<Vec<_>>(),
    });
    put_path(&mut value, "program", &access.program);
    put_path(&mut value, "mountpoint", &access.mountpoint);
    value
}

/// Puts a path under `field`, and, when it is not UTF-8, its bytes in hexadecimal under `field_hex`.
pub fn put_path(object: &mut Value, field: &str, path: &[u8]) {
    object[field] = String::from_utf8_lossy(path).into();
    if std::str::from_utf8(path).is_err() {
        let hex: String = path.iter().map(|byte| format!("{byte:02x}")).collect();
        object[format!("{field}_hex")] = hex.into();
    }
}

/// Writes one line in one piece.
pub fn print(mut to: impl Write, value: &Value) -> io::Result<()> {
    let mut line = value.to_string();
    line.push('\n');
    to.write_all(line.as_bytes())?;
    to.flush()
}

/// A listener that went away does not stop the work; a verb's own results do report it.
fn to_stdout(value: &Value) {
    let _ = print(io::stdout().lock(), value);
}

/// With standard error gone there is nobody to tell, and the work goes on.
fn to_stderr(value: &Value) {
    let _ = print(io::stderr().lock(), value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_lines_have_the_names_that_scripts_know() {
        let progress = Progress { files: 1, files_total: 2, bytes: 5, bytes_total: 10, errors: 3 };
        let value = status(Stage::Snapshot, &Pace { progress, elapsed: Duration::from_secs(4) });
        assert_eq!(
            value,
            json!({
                "message_type": "status", "seconds_elapsed": 4, "seconds_remaining": 4, "percent_done": 0.5,
                "total_files": 2, "files_done": 1, "total_bytes": 10, "bytes_done": 5, "error_count": 3,
            })
        );
    }

    #[test]
    fn paths_that_are_not_text_lose_nothing() {
        let value = problem(b"/a\xff\n", "read", "no");
        assert_eq!((&value["item"], &value["item_hex"]), (&json!("/a\u{fffd}\n"), &json!("2f61ff0a")));
        let mut line = Vec::new();
        print(&mut line, &value).unwrap();
        assert_eq!(line.iter().filter(|&&byte| byte == b'\n').count(), 1);
        assert!(problem(b"/a", "read", "no").get("item_hex").is_none());
    }
}
