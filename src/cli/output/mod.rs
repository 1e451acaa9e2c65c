//! What a command says: data on standard output, all else on standard error; for people, or as JSON lines.
//!
//! [`Output`] is the sink that verbs speak to. It counts problems and damage, since exit codes depend on them, and hands
//! everything on to one of two faces.

mod asked;
mod count;
mod json;
mod people;
mod rate;
mod size;

use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::Value;

pub use count::count;
pub use json::{access as access_json, put_path};
pub use size::{bytes as size, duration};

use super::error::{Code, Failure};
use super::signals::Stop;
use crate::event::{Event, Level, Progress, Sink, Stage};
pub use crate::source::amount::parse as parse_size;
use asked::Latest;

/// How much is said, and to whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Manner {
    /// JSON lines.
    pub json: bool,
    /// Nothing but results, warnings and errors.
    pub quiet: bool,
    /// 1: every new, changed or restored entry; 2: unchanged ones and details too.
    pub verbose: u8,
}

/// The face of a running command.
pub struct Output {
    manner: Manner,
    stop: Stop,
    problems: AtomicU64,
    damage: AtomicU64,
    latest: Arc<Latest>,
    face: Arc<Face>,
}

enum Face {
    People(people::People),
    Json(json::Json),
}

impl Face {
    /// Says where the work is, because somebody asked.
    fn answer(&self, numbers: Option<(Stage, Progress)>, elapsed: Duration) {
        match self {
            Self::People(people) => people.answer(numbers, elapsed),
            Self::Json(_) => json::answer(numbers, elapsed),
        }
    }
}

impl Output {
    /// A face in this manner; `stop` is what verbs are told when they ask whether to stop.
    pub fn new(manner: Manner, stop: Stop) -> Self {
        let face = match manner.json {
            true => Face::Json(json::Json::new(manner)),
            false => Face::People(people::People::new(manner)),
        };
        let (problems, damage) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { manner, stop, problems, damage, latest: Arc::new(Latest::new()), face: Arc::new(face) }
    }

    /// Answers SIGUSR1 with the progress, on standard error.
    ///
    /// # Errors
    /// When the signal cannot be listened to.
    pub fn answer_signals(&self) -> io::Result<()> {
        asked::answer(&self.face, &self.latest)
    }

    /// Whether results are to be JSON lines.
    pub const fn json(&self) -> bool {
        self.manner.json
    }

    /// Writes one line of results for people.
    ///
    /// # Errors
    /// When standard output takes no more.
    pub fn line(&self, text: &str) -> io::Result<()> {
        self.clear();
        let mut out = io::stdout().lock();
        writeln!(out, "{text}")
    }

    /// Writes one line of results about the work itself: dropped when quiet.
    ///
    /// # Errors
    /// When standard output takes no more.
    pub fn remark(&self, text: &str) -> io::Result<()> {
        if self.manner.quiet { Ok(()) } else { self.line(text) }
    }

    /// As [`Self::remark`], for those alone who want to know more.
    ///
    /// # Errors
    /// When standard output takes no more.
    pub fn detail(&self, text: &str) -> io::Result<()> {
        if self.manner.verbose > 0 { self.remark(text) } else { Ok(()) }
    }

    /// As [`Self::remark`], dropped also when the results are JSON.
    ///
    /// # Errors
    /// When standard output takes no more.
    pub fn remark_for_people(&self, text: &str) -> io::Result<()> {
        if self.manner.json { Ok(()) } else { self.remark(text) }
    }

    /// Writes one JSON line of results.
    ///
    /// # Errors
    /// When standard output takes no more.
    pub fn json_line(&self, value: &Value) -> io::Result<()> {
        json::print(io::stdout().lock(), value)
    }

    /// A warning of the face itself.
    pub fn warn(&self, text: impl Into<String>) {
        self.emit(Event::Message(Level::Warning, text.into()));
    }

    /// Takes the progress bar away, before results are printed or at the end of the work.
    pub fn clear(&self) {
        if let Face::People(people) = &*self.face {
            people.clear();
        }
    }

    /// The exit code of work that came to its end: damage outranks problems.
    pub fn code(&self) -> Code {
        match (self.damage.load(Ordering::Relaxed), self.problems.load(Ordering::Relaxed)) {
            (0, 0) => Code::Ok,
            (0, _) => Code::Incomplete,
            _ => Code::Damage,
        }
    }

    /// How often damage was told that nothing healed.
    pub fn damage(&self) -> usize {
        usize::try_from(self.damage.load(Ordering::Relaxed)).unwrap_or(usize::MAX)
    }

    /// The exit code of the signal that asked to stop, if one did.
    pub fn signal(&self) -> Option<Code> {
        self.stop.code()
    }

    /// Turns a verb's failure into that of the signal, if one asked to stop.
    pub fn stopped(&self, failure: Failure) -> Failure {
        match self.stop.code() {
            Some(code) => {
                Failure::new(code, "stopped as asked; what was done so far is safe, the next run goes on from it")
            }
            None => failure,
        }
    }
}

impl Sink for Output {
    fn emit(&self, event: Event) {
        match &event {
            Event::Problem { .. } | Event::Message(Level::Error, _) => {
                self.problems.fetch_add(1, Ordering::Relaxed);
            }
            Event::Progress(stage, progress) => self.latest.note(*stage, *progress),
            Event::Damage { healed: false, .. } => {
                self.damage.fetch_add(1, Ordering::Relaxed);
            }
            _ => {}
        }
        match &*self.face {
            Face::People(people) => people.take(event),
            Face::Json(json) => json.take(event),
        }
    }

    fn stopping(&self) -> bool {
        self.stop.asked()
    }

    fn wants_all(&self) -> bool {
        self.manner.verbose > 1
    }
}

/// Prints why a command failed, on standard error. A reader that went away is not told anything.
pub fn report(failure: &Failure, json: bool) {
    if failure.message.is_empty() {
        return;
    }
    // With standard error gone there is nobody left to tell; the exit code still says it.
    let _ = if json {
        let mut value = serde_json::json!({
            "message_type": "exit_error", "code": failure.code.number(), "message": failure.message,
        });
        if let Some(hint) = &failure.hint {
            value["hint"] = hint.as_str().into();
        }
        json::print(io::stderr().lock(), &value)
    } else {
        writeln!(io::stderr().lock(), "{failure}")
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_follows_from_what_happened() {
        let output = Output::new(Manner { json: true, quiet: true, verbose: 0 }, Stop::default());
        assert_eq!(output.code(), Code::Ok);
        output.emit(Event::Damage { object: "pack".to_owned(), what: "bad".to_owned(), healed: true });
        assert_eq!(output.code(), Code::Ok);
        output.emit(Event::Problem { path: b"/a".to_vec(), during: "read", error: "no".to_owned() });
        assert_eq!(output.code(), Code::Incomplete);
        output.emit(Event::Damage { object: "pack".to_owned(), what: "bad".to_owned(), healed: false });
        assert_eq!(output.code(), Code::Damage);
    }
}
