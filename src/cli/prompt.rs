//! Asks for a password on the terminal, unseen.
//!
//! Only where standard input and standard error both are terminals: a script must say where its password is. The
//! terminal is put back as it was on every way out; Ctrl-C arrives as a key here, so it cannot leave the echo off.

use std::io::{self, IsTerminal as _, Write as _};

use rustix::termios::{self, LocalModes, OptionalActions, Termios};
use zeroize::Zeroize as _;

use super::error::{Code, Failure};
use crate::crypto::secret::SecretBytes;

/// The longest password that can be typed: room for all, so that the buffer never moves and leaves copies behind.
const LONGEST: usize = 4096;

/// Whether somebody is there to be asked.
pub fn possible() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks once.
///
/// # Errors
/// When nobody is there ([`Code::Usage`]), Ctrl-C was typed, or the terminal fails.
pub fn ask(question: &str) -> Result<SecretBytes, Failure> {
    if !possible() {
        return Err(Failure::usage("a password or key is needed and there is no terminal to ask on").hint(
            "give one by --password-file, --password-command, --key-file, --key-command or BOVEDA_PASSWORD_FILE and its kin",
        ));
    }
    let failed = |error: io::Error| Failure::new(Code::Failed, format!("cannot ask for the password: {error}"));
    eprint_now(question).map_err(failed)?;
    let quiet = Unseen::start().map_err(failed)?;
    let typed = read_line();
    drop(quiet);
    eprint_now("\n").map_err(failed)?;
    match typed.map_err(failed)? {
        Some(secret) => Ok(secret),
        None => Err(Failure::new(Code::Signal(2), "")),
    }
}

/// Asks for a new password twice, until both answers are equal and not empty (three tries).
///
/// # Errors
/// As [`ask`]; [`Code::Usage`] after three tries.
pub fn ask_new(what: &str) -> Result<SecretBytes, Failure> {
    for _ in 0..3 {
        let first = ask(&format!("{what}: "))?;
        if first.expose().is_empty() {
            eprint_now("an empty password protects nothing\n")?;
            continue;
        }
        let second = ask("the same again: ")?;
        if first.expose() == second.expose() {
            return Ok(first);
        }
        eprint_now("these two differ\n")?;
    }
    Err(Failure::usage("no new password was given"))
}

fn eprint_now(text: &str) -> io::Result<()> {
    let mut err = io::stderr().lock();
    err.write_all(text.as_bytes())?;
    err.flush()
}

/// The terminal without echo and line editing, until dropped.
struct Unseen(Termios);

impl Unseen {
    fn start() -> io::Result<Self> {
        let before = termios::tcgetattr(io::stdin())?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
        termios::tcsetattr(io::stdin(), OptionalActions::Flush, &quiet)?;
        Ok(Self(before))
    }
}

impl Drop for Unseen {
    fn drop(&mut self) {
        // Nothing more can be done about a terminal that went away.
        let _ = termios::tcsetattr(io::stdin(), OptionalActions::Flush, &self.0);
    }
}

/// Reads keys up to the line end; `None` for Ctrl-C.
fn read_line() -> io::Result<Option<SecretBytes>> {
    let mut typed = Typed(Vec::with_capacity(LONGEST));
    let mut key = [0];
    loop {
        // Past the library's buffer, which would keep what was typed.
        let end = rustix::io::read(io::stdin(), &mut key)? == 0;
        let step = if end { Key::End } else { typed.press(key[0]) };
        key.zeroize();
        match step {
            Key::More => {}
            Key::End => return Ok(Some(SecretBytes::new(std::mem::take(&mut typed.0)))),
            Key::Stop => return Ok(None),
        }
    }
}

/// What was typed so far, wiped on every way out.
struct Typed(Vec<u8>);

#[derive(Debug, PartialEq, Eq)]
enum Key {
    More,
    End,
    Stop,
}

impl Typed {
    fn press(&mut self, key: u8) -> Key {
        match key {
            b'\n' | b'\r' | 0x04 => return Key::End,
            0x03 | 0x1c => return Key::Stop,
            0x08 | 0x7f => self.rub_out(),
            0x15 => self.0.zeroize(),
            _ if self.0.len() < LONGEST => self.0.push(key),
            _ => {}
        }
        Key::More
    }

    /// Takes back one character, which may be several bytes of UTF-8.
    fn rub_out(&mut self) {
        while let Some(last) = self.0.pop() {
            if last & 0xc0 != 0x80 {
                break;
            }
        }
    }
}

impl Drop for Typed {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_edit_the_line() {
        let mut typed = Typed(Vec::new());
        for key in "xyz\x15paß\x7fss\n".bytes() {
            if typed.press(key) == Key::End {
                break;
            }
        }
        assert_eq!(typed.0, b"pass");
        assert_eq!(typed.press(3), Key::Stop);
    }

    #[test]
    fn without_a_terminal_nothing_is_asked() {
        if !possible() {
            assert_eq!(ask("?").unwrap_err().code, Code::Usage);
        }
    }
}
