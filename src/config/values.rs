//! Values that a configuration holds: each is checked when it is read, so that a wrong one is an error with its line.
//!
//! Paths are absolute or begin with `~/`, so that what a file says does not depend on where a command is run. Shown values
//! (their `Serialize`) never hold a secret.

use crate::crypto::secret::SecretBytes;
use crate::source::files::exclude::ExcludeSet;
use crate::store::url::{StoreUrl, UrlError};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Borrow;
use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};

/// What stands in a secret's place wherever it would be shown.
const HIDDEN: &str = "(hidden)";

const NOT_ABSOLUTE: &str = "this is no absolute path: begin it with / or ~/";

/// The name of a repository or copy: letters, digits, `-`, `_` and `.`, beginning with a letter or a digit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Name(String);

impl Name {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Name {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let valid = text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
        match valid {
            true => Ok(Self(text)),
            false => Err(format!("{text:?} is no name: letters, digits, - _ and . only, with a letter or digit first")),
        }
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A path: absolute, or `~/` and what follows in the user's home.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct HomePath(String);

impl HomePath {
    /// The path, for a user with this home.
    ///
    /// # Errors
    /// When it begins with `~/` and there is no home.
    pub fn resolve(&self, home: Option<&Path>) -> Result<PathBuf, String> {
        match below_home(&self.0) {
            None => Ok(PathBuf::from(&self.0)),
            Some(rest) => match home {
                Some(home) => Ok(home.join(rest)),
                None => Err(format!("{} cannot be found: HOME is not set", self.0)),
            },
        }
    }
}

impl TryFrom<String> for HomePath {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.starts_with('/') || below_home(&text).is_some() {
            true if !text.contains('\0') => Ok(Self(text)),
            // The value is not repeated: it may be a password in the place of its file.
            _ => Err(NOT_ABSOLUTE),
        }
    }
}

/// What follows `~/`, or nothing for `~` itself.
fn below_home(text: &str) -> Option<&str> {
    if text == "~" { Some("") } else { text.strip_prefix("~/") }
}

/// An exclude pattern; one that begins with `~/` begins at the user's home.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Pattern(String);

impl Pattern {
    /// The pattern as snapshots take it, for a user with this home.
    ///
    /// # Errors
    /// When it begins with `~/` and there is no home that text can name.
    pub fn resolve(&self, home: Option<&Path>) -> Result<String, String> {
        let (negation, rest) = match self.0.strip_prefix('!') {
            Some(rest) => ("!", rest),
            None => ("", self.0.as_str()),
        };
        let Some(below) = rest.strip_prefix("~/") else { return Ok(self.0.clone()) };
        match home.and_then(Path::to_str) {
            Some(home) => Ok(format!("{negation}{}/{below}", literally(home.trim_end_matches('/')))),
            None => Err(format!("{} cannot be found: HOME is not set, or is not UTF-8", self.0)),
        }
    }
}

/// A path as a pattern that means just this path.
pub(super) fn literally(path: &str) -> String {
    let mut pattern = String::with_capacity(path.len());
    for c in path.chars() {
        if matches!(c, '*' | '?' | '[' | ']' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern
}

impl TryFrom<String> for Pattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match ExcludeSet::new([text.as_bytes()]) {
            Ok(_) => Ok(Self(text)),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// Where a repository or a copy of it is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Location(String);

impl Location {
    /// The store's location, for a user with this home.
    ///
    /// # Errors
    /// When this version cannot use it.
    pub fn resolve(&self, home: Option<&Path>) -> Result<StoreUrl, String> {
        let parse = |text: &OsStr| StoreUrl::parse(text).map_err(|error| error.to_string());
        match below_home(&self.0) {
            Some(_) => parse(HomePath(self.0.clone()).resolve(home)?.as_os_str()),
            None => parse(OsStr::new(&self.0)),
        }
    }
}

impl TryFrom<String> for Location {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.starts_with('/') || below_home(&text).is_some() {
            return Ok(Self(text));
        }
        match StoreUrl::parse(OsStr::new(&text)) {
            // What needs a network is kept; whether this version can use it is said when it is to be used.
            Err(UrlError::NotYet { .. }) => Ok(Self(text)),
            Err(error) => Err(error.to_string()),
            Ok(_) if text.starts_with("file:") => Ok(Self(text)),
            Ok(StoreUrl::Remote(_)) => Ok(Self(text)),
            Ok(StoreUrl::Local(_)) => Err(NOT_ABSOLUTE.to_owned()),
        }
    }
}

impl fmt::Display for Location {
    /// Without a password that somebody wrote into a URL.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = self.0.split_once("://").and_then(|(scheme, rest)| {
            let authority = &rest[..rest.find('/').unwrap_or(rest.len())];
            let (user, _) = authority.rsplit_once('@')?.0.split_once(':')?;
            let host = authority.rsplit_once('@')?.1;
            Some((scheme, user, host, &rest[authority.len()..]))
        });
        match parts {
            Some((scheme, user, host, path)) => write!(f, "{scheme}://{user}:{HIDDEN}@{host}{path}"),
            None => f.write_str(&self.0),
        }
    }
}

impl Serialize for Location {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The name of an environment variable that holds a secret: never the secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Variable(String);

impl Variable {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Variable {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let valid = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        // Whoever wrote the secret itself here does not want it repeated.
        if valid {
            Ok(Self(text))
        } else {
            Err("this is no variable's name: write the name, not what the variable holds")
        }
    }
}

/// A command that prints a secret. Shown without its arguments: they may be the secret.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct Command(String);

impl Command {
    /// The command line.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Command {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match shlex::split(&text) {
            Some(words) if !words.is_empty() => Ok(Self(text)),
            _ => Err("this command cannot be split into words: check its quotes"),
        }
    }
}

impl Serialize for Command {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut words = shlex::split(&self.0).unwrap_or_default().into_iter();
        let program = words.next().unwrap_or_default();
        if words.next().is_some() {
            serializer.collect_str(&format_args!("{program} …"))
        } else {
            serializer.serialize_str(&program)
        }
    }
}

/// A secret that stands in the file itself.
#[derive(Debug, Clone)]
pub struct Hidden(pub SecretBytes);

impl<'de> Deserialize<'de> for Hidden {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(SecretBytes::new(text.into_bytes())))
    }
}

impl Serialize for Hidden {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(HIDDEN)
    }
}
