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
pub(super) enum What {
    Password,
    Key,
}

pub(super) enum Place {
    Value(SecretBytes),
    File(PathBuf),
    Command(String),
}

pub(super) struct Named {
    pub(super) origin: Origin,
    pub(super) what: What,
    pub(super) place: Place,
}

pub(super) fn from_flags(flags: &Sources) -> Vec<Named> {
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

pub(super) fn from_environment(environment: Lookup<'_>) -> Result<Vec<Named>, Error> {
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

pub(super) fn the_one(mut named: Vec<Named>) -> Result<Option<Named>, Error> {
    match &named[..] {
        [first, second, ..] => Err(Error::Conflict(first.origin, second.origin)),
        _ => Ok(named.pop()),
    }
}

pub(super) fn read(Named { origin, what, place }: Named) -> Result<Answer, Error> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn with(variables: &[(&str, &str)], flags: &Sources) -> Result<Option<Answer>, Error> {
        find(flags, &|name| variables.iter().find(|(set, _)| *set == name).map(|(_, value)| value.into()))
    }

    fn text(answer: &Answer) -> (&'static str, &[u8]) {
        match &answer.found {
            Found::Password(secret) => ("password", secret.expose()),
            Found::Key(secret) => ("key", secret.expose()),
        }
    }

    fn file(contents: &str) -> tempfile::TempPath {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(contents.as_bytes()).unwrap();
        file.into_temp_path()
    }

    #[test]
    fn every_variable_is_a_source() {
        let path = file("from file\n");
        let path = path.to_str().unwrap();
        for (name, value, kind, secret) in [
            ("BOVEDA_PASSWORD", "straight", "password", "straight"),
            ("BOVEDA_PASSWORD", " kept  ", "password", " kept  "),
            ("BOVEDA_PASSWORD_FILE", path, "password", "from file"),
            ("BOVEDA_PASSWORD_COMMAND", "echo from command", "password", "from command"),
            ("BOVEDA_KEY", "00ff", "key", "00ff"),
            ("BOVEDA_KEY_FILE", path, "key", "from file\n"),
            ("BOVEDA_KEY_COMMAND", "echo from command", "key", "from command\n"),
        ] {
            let answer = with(&[(name, value)], &Sources::default()).unwrap().unwrap();
            assert_eq!((text(&answer), answer.origin.0), ((kind, secret.as_bytes()), name));
        }
        assert!(with(&[], &Sources::default()).unwrap().is_none());
        assert!(with(&[("BOVEDA_PASSWORD", ""), ("BOVEDA_KEY_FILE", "")], &Sources::default()).unwrap().is_none());
    }

    #[test]
    fn every_flag_is_a_source_and_outranks_the_environment() {
        let path = file("from flag\n");
        let (path, command) = (Some(path.to_path_buf()), Some("echo from flag".to_owned()));
        let none = Sources::default;
        for (flags, kind, name) in [
            (Sources { password_file: path.clone(), ..none() }, "password", "--password-file"),
            (Sources { password_command: command.clone(), ..none() }, "password", "--password-command"),
            (Sources { key_file: path.clone(), ..none() }, "key", "--key-file"),
            (Sources { key_command: command.clone(), ..none() }, "key", "--key-command"),
        ] {
            // Not even two variables that contradict each other matter then.
            let answer = with(&[("BOVEDA_PASSWORD", "x"), ("BOVEDA_KEY", "y")], &flags).unwrap().unwrap();
            assert_eq!((text(&answer).0, answer.origin.0), (kind, name));
            assert!(text(&answer).1.starts_with(b"from flag"));
        }
    }

    #[test]
    fn two_of_one_rank_are_refused_by_name() {
        let error = with(&[("BOVEDA_PASSWORD", "a"), ("BOVEDA_KEY_FILE", "/b")], &Sources::default()).unwrap_err();
        assert_eq!(error.to_string(), "both BOVEDA_PASSWORD and BOVEDA_KEY_FILE are given: which one is meant?");
        let flags = Sources { password_file: Some("/a".into()), key_command: Some("b".into()), ..Sources::default() };
        assert!(matches!(with(&[], &flags), Err(Error::Conflict(Origin("--password-file"), Origin("--key-command")))));
    }

    #[test]
    fn nothing_where_something_was_promised_is_an_error() {
        let empty = file("\n");
        let variables = [("BOVEDA_PASSWORD_FILE", empty.to_str().unwrap())];
        let error = with(&variables, &Sources::default()).unwrap_err();
        assert!(matches!(&error, Error::Empty(what) if what == "BOVEDA_PASSWORD_FILE"), "{error}");
        assert!(matches!(with(&[("BOVEDA_KEY_COMMAND", "true")], &Sources::default()), Err(Error::Empty(_))));
    }

    #[test]
    fn a_readable_secret_file_is_reported() {
        use std::os::unix::fs::PermissionsExt as _;
        let path = file("secret");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let answer = with(&[("BOVEDA_KEY_FILE", path.to_str().unwrap())], &Sources::default()).unwrap().unwrap();
        assert!(answer.warning.unwrap().contains("644"));
    }
}
