//! A verb that goes on in the background once it is ready: the program is started again and handed the secret.
//!
//! Threads and `fork` do not mix, so the child is a fresh process. It gets the secret through its standard input, never
//! through arguments or environment; it says on its standard output, which leads to the parent, that it is ready; until then
//! its errors go where the parent's go, and its exit code becomes the parent's.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::process::{Command, Stdio};

use zeroize::Zeroizing;

use super::error::{Code, Failure};
use crate::crypto::secret::SecretBytes;
use crate::secrets::Found;

/// The hidden option that tells the child what it is.
pub const FLAG: &str = "--handed-secret";
/// What the child says when it is ready.
const READY: &[u8] = b"ready\n";

/// Starts this command line again in the background and waits until it is ready: `Ok(None)`; or has ended: its exit code.
///
/// # Errors
/// When it cannot be started.
pub fn start(secret: &Found) -> Result<Option<u8>, Failure> {
    let failed = |error: io::Error| Failure::new(Code::Failed, format!("cannot go on in the background: {error}"));
    let mut child = Command::new("/proc/self/exe")
        .arg(FLAG)
        .args(std::env::args_os().skip(1))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let mut input = child.stdin.take().expect("its standard input is a pipe");
    let (kind, bytes) = match secret {
        Found::Password(password) => (b'P', password),
        Found::Key(key) => (b'K', key),
    };
    // A child that died already says why by itself.
    let _ = input.write_all(&[kind]).and_then(|()| input.write_all(bytes.expose()));
    drop(input);
    let mut said = Vec::new();
    let mut output = child.stdout.take().expect("its standard output is a pipe");
    (&mut output).take(READY.len() as u64).read_to_end(&mut said).map_err(failed)?;
    if said == READY {
        return Ok(None);
    }
    let status = child.wait().map_err(failed)?;
    Ok(Some(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(Code::Failed.number())))
}

/// The child's side: takes the secret from standard input, which leads nowhere from then on.
///
/// # Errors
/// When it was not handed one.
pub fn handed_secret() -> Result<Found, Failure> {
    let failed = |error: io::Error| Failure::new(Code::Failed, format!("no secret was handed over: {error}"));
    let mut bytes = Zeroizing::new(Vec::with_capacity(crate::secrets::LONGEST + 1));
    // Past the library's buffer, which would keep the secret.
    let input = File::from(io::stdin().as_fd().try_clone_to_owned().map_err(failed)?);
    input.take(crate::secrets::LONGEST as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    let nowhere = OpenOptions::new().read(true).open("/dev/null").map_err(failed)?;
    rustix::stdio::dup2_stdin(&nowhere).map_err(|error| failed(error.into()))?;
    match bytes.split_first() {
        Some((b'P', secret)) => Ok(Found::Password(SecretBytes::new(secret.to_vec()))),
        Some((b'K', secret)) => Ok(Found::Key(SecretBytes::new(secret.to_vec()))),
        _ => Err(Failure::usage(format!("{FLAG} is for boveda itself"))),
    }
}

/// The child's side: tells the parent, and leaves its terminal, session and folder.
///
/// # Errors
/// When the parent went away, or the system refuses.
pub fn ready() -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(READY)?;
    out.flush()?;
    let nowhere = OpenOptions::new().write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdout(&nowhere)?;
    rustix::stdio::dup2_stderr(&nowhere)?;
    // Fails only for the leader of a session, which has left the terminal already.
    let _ = rustix::process::setsid();
    std::env::set_current_dir("/")
}
