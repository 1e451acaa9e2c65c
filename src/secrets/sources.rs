//! Which of the places that may name a secret is the one: flags before environment, and never two of one rank.

use super::{Error, command, file};
use crate::crypto::secret::SecretBytes;
use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// Asks for an environment variable.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// What flags say about the secret.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// `--password-file`.
    pub password_file: Option<PathBuf>,
    /// `--password-command`.
    pub password_command: Option<String>,
    /// `--key-file`.
    pub key_file: Option<PathBuf>,
    /// `--key-command`.
    pub key_command: Option<String>,
}

/// A secret that was found.
#[derive(Debug, Clone)]
pub enum Found {
    /// A password, without its line end.
    Password(SecretBytes),
    /// What a key file holds or stands in its place: not interpreted yet.
    Key(SecretBytes),
}

/// What named a secret: the flag or the variable, as the user wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin(pub &'static str);

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// A secret, what named it, and what a person should know.
#[derive(Debug)]
pub struct Answer {
    /// The secret.
    pub found: Found,
    /// What named it.
    pub origin: Origin,
    /// A secret file that others can read.
    pub warning: Option<String>,
}

/// Finds the secret: the one that a flag names, else the one that the environment names or holds, else `None`. Variables
/// that are set and empty count as not set.
///
/// # Errors
/// [`Error::Conflict`] when two flags, or two variables, name one; otherwise what failed on the way to it.
pub fn find(flags: &Sources, environment: Lookup<'_>) -> Result<Option<Answer>, Error> {
    match the_one(from_flags(flags))? {
        Some(named) => read(named).map(Some),
        None => the_one(from_environment(environment)?)?.map(read).transpose(),
    }
}

/// Password or key?
#[derive(Clone, Copy)]
enum What {
    Password,
    Key,
}

enum Place {
    Value(SecretBytes),
    File(PathBuf),
    Command(String),
}

struct Named {
    origin: Origin,
    what: What,
    place: Place,
}

fn from_flags(flags: &Sources) -> Vec<Named> {
    let file = |origin, what, path: &Option<PathBuf>| {
        path.clone().map(|path| Named { origin: Origin(origin), what, place: Place::File(path) })
    };
    let command = |origin, what, line: &Option<String>| {
        line.clone().map(|line| Named { origin: Origin(origin), what, place: Place::Command(line) })
    };
    let all = [
        file("--password-file", What::Password, &flags.password_file),
        command("--password-command", What::Password, &flags.password_command),
        file("--key-file", What::Key, &flags.key_file),
        command("--key-command", What::Key, &flags.key_command),
    ];
    all.into_iter().flatten().collect()
}

fn from_environment(environment: Lookup<'_>) -> Result<Vec<Named>, Error> {
    let variables = [
        ("BOVEDA_PASSWORD", "BOVEDA_PASSWORD_FILE", "BOVEDA_PASSWORD_COMMAND", What::Password),
        ("BOVEDA_KEY", "BOVEDA_KEY_FILE", "BOVEDA_KEY_COMMAND", What::Key),
    ];
    let set = |name| environment(name).filter(|value| !value.is_empty());
    let mut all = Vec::new();
    for (value, file, command, what) in variables {
        let mut add = |name, place| all.push(Named { origin: Origin(name), what, place });
        if let Some(secret) = set(value) {
            add(value, Place::Value(SecretBytes::new(secret.into_vec())));
        }
        if let Some(path) = set(file) {
            add(file, Place::File(path.into()));
        }
        if let Some(line) = set(command) {
            add(command, Place::Command(line.into_string().map_err(|_| Error::NotUnicode(Origin(command)))?));
        }
    }
    Ok(all)
}

fn the_one(mut named: Vec<Named>) -> Result<Option<Named>, Error> {
    match &named[..] {
        [first, second, ..] => Err(Error::Conflict(first.origin, second.origin)),
        _ => Ok(named.pop()),
    }
}

fn read(Named { origin, what, place }: Named) -> Result<Answer, Error> {
    let (mut secret, warning) = match place {
        Place::Value(secret) => (secret, None),
        Place::Command(line) => (command::run(&line)?, None),
        Place::File(path) => {
            let file::Contents { secret, warning } = file::read(&path)?;
            (secret, warning)
        }
    };
    let found = match what {
        What::Password => {
            secret.trim_line_end();
            Found::Password(secret)
        }
        // A raw key may be 32 bytes of anything: nothing is trimmed that could be one of them.
        What::Key => Found::Key(secret),
    };
    let (Found::Password(secret) | Found::Key(secret)) = &found;
    if secret.expose().is_empty() {
        Err(Error::Empty(origin.to_string()))
    } else {
        Ok(Answer { found, origin, warning })
    }
}
