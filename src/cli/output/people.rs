//! Events for people: a progress bar on a terminal, a line every few seconds elsewhere, messages on standard error.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::super::escape;
use super::Manner;
use super::rate::{self, Pace};
use super::size::duration;
use crate::event::{Access, EntryStatus, Event, Level, Progress, RestoreAction, Stage};

/// The bar moves this often at most.
const DRAW: Duration = Duration::from_millis(200);
/// Without a terminal, a line this often.
const SAY: Duration = Duration::from_secs(5);
/// Steps of the bar: its position is a share, not a count.
const STEPS: u64 = 1000;

/// The face for people.
pub struct People {
    manner: Manner,
    start: Instant,
    /// Milliseconds from the start to the next drawing or line.
    next: AtomicU64,
    bar: Option<ProgressBar>,
}

impl People {
    pub fn new(manner: Manner) -> Self {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let bar = (io::stderr().is_terminal() && !dumb && !manner.quiet).then(|| {
            let bar = ProgressBar::with_draw_target(Some(STEPS), ProgressDrawTarget::hidden());
            bar.set_style(style(false));
            bar
        });
        let first = if bar.is_some() { Duration::ZERO } else { SAY };
        Self { manner, start: Instant::now(), next: AtomicU64::new(millis(first)), bar }
    }

    pub fn take(&self, event: Event) {
        match event {
            Event::Progress(stage, progress) => self.progress(stage, progress),
            Event::Entry { path, status, .. } => self.entry(&path, status),
            Event::Excluded { path, rule } if self.manner.verbose > 1 => {
                self.say(&format!("excluded  {} ({})", escape::name(&path), escape::line(&rule)));
            }
            Event::Excluded { .. } => {}
            Event::Restored { path, action, .. } => self.restored(&path, action),
            Event::Problem { path, during, error } => {
                self.say(&format!("error: {}: {during}: {}", escape::name(&path), escape::line(&error)));
            }
            Event::Damage { object, what, healed } => {
                // Many an error names its object itself.
                let said = if what.starts_with(&object) { what } else { format!("{object}: {what}") };
                let outcome = if healed { " (nothing is lost)" } else { "" };
                self.say(&format!("damage: {}{outcome}", escape::line(&said)));
            }
            // What was allowed stands in the log, and nowhere else: `boveda audit`.
            Event::Access(access) if !access.allowed => self.say(&denied(&access)),
            Event::Access(_) => {}
            Event::Message(level, text) => self.message(level, &text),
        }
    }

    /// Says where the work is, because somebody asked.
    pub fn answer(&self, numbers: Option<(Stage, Progress)>, elapsed: Duration) {
        match numbers {
            Some((stage, progress)) => {
                self.say(&format!("{}: {}", rate::verb(stage), Pace { progress, elapsed }.line_of(stage)));
            }
            None => self.say(&format!("{}  nothing to count so far", duration(elapsed))),
        }
    }

    pub fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
    }

    fn message(&self, level: Level, text: &str) {
        let text = escape::line(text);
        match level {
            Level::Debug if self.manner.verbose > 1 => self.say(&text),
            Level::Info if !self.manner.quiet => self.say(&text),
            Level::Debug | Level::Info => {}
            Level::Warning | Level::Error => self.say(&format!("{level}: {text}")),
        }
    }

    fn entry(&self, path: &[u8], status: EntryStatus) {
        let (from, word) = match status {
            EntryStatus::New => (1, "new       "),
            EntryStatus::Changed => (1, "changed   "),
            EntryStatus::Unchanged => (2, "unchanged "),
        };
        if self.manner.verbose >= from {
            self.say(&format!("{word}{}", escape::name(path)));
        }
    }

    fn restored(&self, path: &[u8], action: RestoreAction) {
        let (from, word) = match action {
            RestoreAction::Restored => (1, "restored  "),
            RestoreAction::Updated => (1, "updated   "),
            RestoreAction::Deleted => (1, "deleted   "),
            RestoreAction::Kept => (2, "kept      "),
            RestoreAction::Unchanged => (2, "unchanged "),
        };
        if self.manner.verbose >= from {
            self.say(&format!("{word}{}", escape::name(path)));
        }
    }

    /// One line on standard error, above the bar.
    fn say(&self, text: &str) {
        // With standard error gone there is nobody to tell, and the work goes on.
        let print = || drop(writeln!(io::stderr().lock(), "{text}"));
        match &self.bar {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }

    fn progress(&self, stage: Stage, progress: Progress) {
        let elapsed = self.start.elapsed();
        let (due, now) = (self.next.load(Ordering::Relaxed), millis(elapsed));
        let step = millis(if self.bar.is_some() { DRAW } else { SAY });
        let won =
            now >= due && self.next.compare_exchange(due, now + step, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if !won || self.manner.quiet {
            return;
        }
        let pace = Pace { progress, elapsed };
        match &self.bar {
            Some(bar) => draw(bar, stage, &pace),
            None => self.say(&format!("{}: {}", rate::verb(stage), pace.line_of(stage))),
        }
    }
}

impl Drop for People {
    fn drop(&mut self) {
        self.clear();
    }
}

/// One line about a denial.
fn denied(access: &Access) -> String {
    let path = access.paths.first().map(|path| escape::name(path)).unwrap_or_default();
    let (word, program) = (access.operation.word(), escape::name(&access.program));
    format!("denied: user {} with {program} (process {}): {word} {path}", access.uid, access.pid)
}

fn draw(bar: &ProgressBar, stage: Stage, pace: &Pace) {
    if bar.is_hidden() {
        bar.set_draw_target(ProgressDrawTarget::stderr());
    }
    let done = pace.done();
    bar.set_style(style(done.is_some()));
    bar.set_message(format!("{}  {}", rate::verb(stage), pace.line_of(stage)));
    // A share between 0 and 1 of a thousand steps.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
    bar.set_position((done.unwrap_or_default() * STEPS as f64) as u64);
}

fn style(known: bool) -> ProgressStyle {
    let template = if known { "[{bar:20}] {wide_msg}" } else { "{wide_msg}" };
    ProgressStyle::with_template(template).expect("both templates are valid").progress_chars("=> ")
}

/// Milliseconds, for an atomic; 580 million years fit.
fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
