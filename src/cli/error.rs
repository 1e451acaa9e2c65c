//! How a command ends: exit codes, and what a person reads when it fails.
//!
//! The only place that knows exit codes and hints; `docs/exit-codes.md` says the same in prose. A message tells what
//! failed, where and why; the hint, on a line of its own, what to do about it.

use std::error::Error;
use std::fmt;

use super::escape;

/// What a process that called boveda can decide by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Code {
    /// Done.
    Ok,
    /// The command failed.
    Failed,
    /// The command line, the environment or a setting is wrong; nothing was touched.
    Usage,
    /// The work was done but for some entries: unreadable source files, attributes that could not be applied.
    Incomplete,
    /// The repository is damaged; what could be done was done.
    Damage,
    /// The keys at hand may not do this.
    Refused,
    /// There is no repository at that location.
    NoRepository,
    /// No slot is opened by this password or key.
    WrongKey,
    /// The reader of standard output went away: said as a shell says it for SIGPIPE.
    BrokenPipe,
    /// A signal asked to stop: 128 and its number.
    Signal(u8),
}

impl Code {
    /// The number that the process ends with.
    pub const fn number(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Incomplete => 3,
            Self::Damage => 4,
            Self::Refused => 5,
            Self::NoRepository => 10,
            Self::WrongKey => 12,
            Self::BrokenPipe => 141,
            Self::Signal(signal) => 128 + signal,
        }
    }

    /// The code of another process of ours that ended with this number.
    pub fn of_process(number: u8) -> Self {
        let known = [
            Self::Ok,
            Self::Usage,
            Self::Incomplete,
            Self::Damage,
            Self::Refused,
            Self::NoRepository,
            Self::WrongKey,
            Self::BrokenPipe,
        ];
        match known.into_iter().find(|code| code.number() == number) {
            Some(code) => code,
            None => number.checked_sub(128).map_or(Self::Failed, Self::Signal),
        }
    }
}

/// Why a command did not do what it was asked to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What the process ends with.
    pub code: Code,
    /// What failed, where and why; empty when there is nothing to say.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Failure {
    /// A failure with a message of its own.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: None }
    }

    /// A failure that an error explains.
    pub fn because(code: Code, error: &(dyn Error + 'static)) -> Self {
        Self::new(code, chain(error))
    }

    /// The command line or a setting is wrong.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Code::Usage, message)
    }

    /// The same with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Failure {
    /// Line by line, each made fit for a terminal: lists of candidates keep their lines.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = self.message.lines();
        write!(f, "boveda: {}", escape::line(lines.next().unwrap_or_default()))?;
        lines.try_for_each(|line| write!(f, "\n{}", escape::line(line)))?;
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {}", escape::line(hint)),
            None => Ok(()),
        }
    }
}

/// Writing to standard output failed.
impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::BrokenPipe => Self::new(Code::BrokenPipe, ""),
            _ => Self::new(Code::Failed, format!("cannot write to standard output: {error}")),
        }
    }
}

impl From<super::selector::Invalid> for Failure {
    fn from(error: super::selector::Invalid) -> Self {
        Self::because(Code::Usage, &error)
    }
}

impl From<super::selector::Unresolved> for Failure {
    fn from(error: super::selector::Unresolved) -> Self {
        Self::because(Code::Failed, &error)
    }
}

/// An error and its causes in one line; a cause that the line already ends with is not said twice.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !message.ends_with(&text) {
            message = format!("{message}: {text}");
        }
        cause = error.source();
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot read {0}")]
    struct Outer(&'static str, #[source] std::io::Error);

    #[test]
    fn causes_are_told_once() {
        let error = Outer("a", std::io::Error::other("disk on fire"));
        assert_eq!(chain(&error), "cannot read a: disk on fire");
        let wrapped = std::io::Error::other(Outer("b: disk", std::io::Error::other("disk")));
        assert_eq!(chain(&wrapped), "cannot read b: disk");
    }

    #[test]
    fn a_failure_cannot_drive_the_terminal() {
        let failure = Failure::usage("bad \u{1b}[2J\n  candidate").hint("do\nthat");
        assert_eq!(failure.to_string(), "boveda: bad \\u{1b}[2J\n  candidate\nhint: do\\nthat");
    }

    #[test]
    fn codes_of_other_processes_are_passed_on() {
        for number in [0, 1, 2, 3, 4, 5, 10, 12, 130, 137, 141] {
            assert_eq!(Code::of_process(number).number(), number);
        }
        assert_eq!(Code::of_process(99), Code::Failed);
    }

    #[test]
    fn exit_codes_are_those_documented() {
        let documented = include_str!("../../docs/exit-codes.md");
        for code in [
            Code::Ok,
            Code::Failed,
            Code::Usage,
            Code::Incomplete,
            Code::Damage,
            Code::Refused,
            Code::NoRepository,
            Code::WrongKey,
            Code::BrokenPipe,
            Code::Signal(2),
            Code::Signal(15),
        ] {
            assert!(documented.contains(&format!("| {} |", code.number())), "{code:?} is not in docs/exit-codes.md");
        }
    }
}
