//! One process that returns when the mount is ready, one that serves it: divided at the start, while there is one thread.
//!
//! Whatever needs the terminal (a password, an error) happens in the serving half before it is ready, so both halves look like
//! one command: what the serving half prints and the code it ends with are the command's own.

use super::Error;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork};
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;

/// Which half this process is.
#[derive(Debug)]
pub enum Half {
    /// The one that returns.
    Waiting(Waiting),
    /// The one that serves.
    Serving(Serving),
}

/// The half that returns when the other one is ready, or has ended.
#[derive(Debug)]
pub struct Waiting {
    other: Pid,
    ready: UnixStream,
}

/// The half that serves.
#[derive(Debug)]
pub struct Serving {
    ready: UnixStream,
}

/// Divides this process in two.
///
/// # Errors
/// [`Error::Background`]: other threads are running, which the serving half would lack, or the system refuses.
pub fn divide() -> Result<Half, Error> {
    let tasks = std::fs::read_dir("/proc/self/task").map_err(Error::Background)?;
    if tasks.count() != 1 {
        return Err(Error::Background(io::Error::other("other threads are running")));
    }
    let (here, there) = UnixStream::pair().map_err(Error::Background)?;
    // SAFETY: this is the process's only thread, so nothing is locked or half done that the other half would be without.
    match unsafe { fork() }.map_err(|error| Error::Background(error.into()))? {
        ForkResult::Parent { child } => Ok(Half::Waiting(Waiting { other: child, ready: here })),
        ForkResult::Child => Ok(Half::Serving(Serving { ready: there })),
    }
}

impl Waiting {
    /// Waits until the other half is ready: `None`; or has ended before: its exit code, 128 + N after signal N.
    ///
    /// # Errors
    /// [`Error::Background`] when the system does not say.
    pub fn wait(mut self) -> Result<Option<u8>, Error> {
        let told = self.ready.read(&mut [0]).map_err(Error::Background)?;
        if told == 1 {
            return Ok(None);
        }
        loop {
            match waitpid(self.other, None) {
                Ok(WaitStatus::Exited(_, code)) => return Ok(Some(u8::try_from(code).unwrap_or(1))),
                Ok(WaitStatus::Signaled(_, signal, _)) => return Ok(Some(128u8.saturating_add(signal as u8))),
                Ok(_) | Err(nix::errno::Errno::EINTR) => {}
                Err(error) => return Err(Error::Background(error.into())),
            }
        }
    }
}

impl Serving {
    /// Leaves the terminal and tells the other half to return. Input and output go nowhere from now on, what is printed as an
    /// error goes to `log`, if there is one.
    ///
    /// The working folder stays as it is: the repository's location may be relative to it.
    ///
    /// # Errors
    /// [`Error::Background`], among others when the other half is gone: then nobody knows of this one.
    pub fn ready(mut self, log: Option<File>) -> Result<(), Error> {
        self.leave(log).map_err(Error::Background)
    }

    fn leave(&mut self, log: Option<File>) -> io::Result<()> {
        rustix::process::setsid()?;
        let nowhere = OpenOptions::new().read(true).write(true).open("/dev/null")?;
        rustix::stdio::dup2_stdin(&nowhere)?;
        rustix::stdio::dup2_stdout(&nowhere)?;
        rustix::stdio::dup2_stderr(log.as_ref().map_or(nowhere.as_fd(), |log| log.as_fd()))?;
        self.ready.write_all(&[1])
    }
}
