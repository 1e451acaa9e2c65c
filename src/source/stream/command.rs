//! A command's standard output as a stream. It counts only if the command ends well.
//!
//! The command is run without a shell, with nothing on its standard input. What it says on standard error is passed on line
//! by line, and the last lines are kept for the case that it fails. Invariant: no command outlives its [`CommandOutput`].

use super::{Error, Stream, read_error};
use crate::event::{Event, Level, Sink};
use crate::source::ready::ready;
use rustix::fd::AsFd as _;
use rustix::io::Errno;
use std::collections::VecDeque;
use std::ffi::OsString;
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Lines of standard error that a failure shows.
const LINES: usize = 10;
/// A line is cut here: what has no line ends must not fill the memory.
const LONGEST: usize = 4096;
/// How long a command may take to end after it was asked to, before it is killed.
const GRACE: Duration = Duration::from_secs(3);

/// A running command.
#[derive(Debug)]
pub struct CommandOutput {
    program: String,
    child: Child,
    output: Option<ChildStdout>,
    errors: Option<ChildStderr>,
    line: Vec<u8>,
    said: VecDeque<String>,
    ended: Option<ExitStatus>,
}

impl CommandOutput {
    /// Starts `program` with `arguments`. It does not see what `hidden` names in the environment.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(program: &OsString, arguments: &[OsString], hidden: &[&str]) -> Result<Self, Error> {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        for name in hidden {
            command.env_remove(name);
        }
        let program = program.to_string_lossy().into_owned();
        let mut child = command.spawn().map_err(|source| Error::Start { program: program.clone(), source })?;
        let (output, errors) = (child.stdout.take(), child.stderr.take());
        Ok(Self { program, child, output, errors, line: Vec::new(), said: VecDeque::new(), ended: None })
    }

    /// Takes what is there of standard error.
    fn listen(&mut self, events: &dyn Sink) -> Result<(), Errno> {
        let Some(errors) = &self.errors else { return Ok(()) };
        let mut buffer = [0; 4096];
        match rustix::io::read(errors, &mut buffer) {
            Ok(0) => {
                self.errors = None;
                self.end_line(events);
            }
            Ok(count) => {
                for &byte in &buffer[..count] {
                    match byte {
                        b'\n' | b'\r' => self.end_line(events),
                        _ if self.line.len() < LONGEST => self.line.push(byte),
                        _ => {}
                    }
                }
            }
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn end_line(&mut self, events: &dyn Sink) {
        if self.line.is_empty() {
            return;
        }
        let text = String::from_utf8_lossy(&std::mem::take(&mut self.line)).into_owned();
        events.emit(Event::Message(Level::Info, format!("{}: {text}", self.program)));
        if self.said.len() == LINES {
            self.said.pop_front();
        }
        self.said.push_back(text);
    }

    /// How the command ended, if it has.
    fn status(&mut self) -> Result<Option<ExitStatus>, Errno> {
        if self.ended.is_none() {
            let found = self.child.try_wait();
            self.ended = found.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::CHILD))?;
        }
        Ok(self.ended)
    }

    /// Waits for the end, and listens meanwhile. Standard error may stay open in a process that the command left behind; that
    /// one is not waited for.
    fn wait(&mut self, events: &dyn Sink) -> Result<ExitStatus, Errno> {
        loop {
            if let Some(status) = self.status()? {
                while self.errors.is_some() && self.has_said_more() {
                    self.listen(events)?;
                }
                self.end_line(events);
                return Ok(status);
            }
            match &self.errors {
                Some(errors) if has_more(errors, 50) => self.listen(events)?,
                Some(_) => {}
                None => std::thread::sleep(Duration::from_millis(20)),
            }
            if events.stopping() {
                return Err(Errno::INTR);
            }
        }
    }

    fn has_said_more(&self) -> bool {
        self.errors.as_ref().is_some_and(|errors| has_more(errors, 0))
    }

    fn read_on(&mut self, buffer: &mut [u8], events: &dyn Sink) -> Result<usize, Errno> {
        while let Some(output) = &self.output {
            let [some, said] = match &self.errors {
                Some(errors) => ready([output.as_fd(), errors.as_fd()], events)?,
                None => [ready([output.as_fd()], events)?[0], false],
            };
            if some {
                match rustix::io::read(output, &mut *buffer) {
                    Ok(0) => self.output = None,
                    Err(Errno::INTR | Errno::AGAIN) => {}
                    other => return other,
                }
            }
            if said {
                self.listen(events)?;
            }
        }
        Ok(0)
    }
}

/// Whether something can be read within so many milliseconds.
fn has_more(errors: &ChildStderr, milliseconds: i64) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let wait = Timespec { tv_sec: 0, tv_nsec: milliseconds * 1_000_000 };
    matches!(poll(&mut [PollFd::new(errors, PollFlags::IN)], Some(&wait)), Ok(1..))
}

impl Stream for CommandOutput {
    fn read(&mut self, buffer: &mut [u8], events: &dyn Sink) -> Result<usize, Error> {
        self.read_on(buffer, events).map_err(|error| read_error(&self.program, error))
    }

    fn finish(&mut self, events: &dyn Sink) -> Result<(), Error> {
        let status = self.wait(events).map_err(|error| read_error(&self.program, error))?;
        if status.success() {
            return Ok(());
        }
        Err(Error::Failed { program: self.program.clone(), status, said: self.said.iter().cloned().collect() })
    }
}

impl Drop for CommandOutput {
    /// Whoever gives up on the output ends the command: first nicely.
    fn drop(&mut self) {
        if !matches!(self.status(), Ok(None)) {
            return;
        }
        // What cannot be signalled has ended meanwhile, and is collected below.
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        (self.output, self.errors) = (None, None);
        let asked = Instant::now();
        while matches!(self.status(), Ok(None)) && asked.elapsed() < GRACE {
            std::thread::sleep(Duration::from_millis(20));
        }
        if matches!(self.status(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Silent;

    fn sh(script: &str) -> CommandOutput {
        CommandOutput::start(&"sh".into(), &["-c".into(), script.into()], &["HIDDEN"]).unwrap()
    }

    /// All output, and how it ended.
    fn run(script: &str) -> (Vec<u8>, Result<(), Error>) {
        let (mut stream, mut bytes, mut buffer) = (sh(script), Vec::new(), [0; 1000]);
        loop {
            match stream.read(&mut buffer, &Silent).unwrap() {
                0 => return (bytes, stream.finish(&Silent)),
                count => bytes.extend_from_slice(&buffer[..count]),
            }
        }
    }

    #[test]
    fn output_is_read_whole_however_much_is_said_meanwhile() {
        let (bytes, ended) = run("seq 1 20000; seq 1 20000 >&2; seq 1 20000");
        assert!(ended.is_ok());
        assert_eq!(bytes.iter().filter(|&&byte| byte == b'\n').count(), 40_000);
        assert!(matches!(run("exec >&-; sleep 0.2"), (bytes, Ok(())) if bytes.is_empty()), "a closed output is no end");
        assert!(run("(sleep 30 >/dev/null &) ; echo x").1.is_ok(), "what is left behind is not waited for");
    }

    #[test]
    fn a_command_that_fails_says_why() {
        let (bytes, ended) = run("echo some; seq 1 50 >&2; printf 'no end' >&2; exit 7");
        assert_eq!(bytes, b"some\n");
        let text = ended.unwrap_err().to_string();
        assert!(text.contains("sh failed (exit status: 7)") && text.ends_with("\n  50\n  no end"), "{text}");
        assert!(!text.contains("\n  41\n"), "{text}");
        let killed = run("kill -9 $$").1.unwrap_err().to_string();
        assert!(killed.contains("SIGKILL"), "{killed}");
        let error = CommandOutput::start(&"/nowhere/program".into(), &[], &[]).unwrap_err();
        assert!(matches!(error, Error::Start { .. }));
    }

    struct Impatient;

    impl Sink for Impatient {
        fn emit(&self, _: Event) {}
        fn stopping(&self) -> bool {
            true
        }
    }

    #[test]
    fn whoever_stops_leaves_no_command_behind() {
        let mut stream = sh("trap '' TERM; echo $$; while :; do sleep 0.1; done");
        let mut buffer = [0; 100];
        let count = stream.read(&mut buffer, &Silent).unwrap();
        let pid = std::str::from_utf8(&buffer[..count]).unwrap().trim().to_owned();
        assert!(matches!(stream.read(&mut buffer, &Impatient), Err(Error::Stopped)));
        assert!(matches!(stream.finish(&Impatient), Err(Error::Stopped)));
        drop(stream);
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    }
}
