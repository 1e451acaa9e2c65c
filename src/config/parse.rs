//! From text to settings, with the line of whatever is wrong.

use super::{Error, Settings};
use std::path::Path;

/// Two words that differ more than this are not meant for each other (Jaro-Winkler similarity, 0 to 1).
const ALIKE: f64 = 0.75;

/// Reads settings. `path` only names the file in errors.
///
/// # Errors
/// [`Error::NotText`], [`Error::UnknownKey`], [`Error::Invalid`], [`Error::Contradiction`].
pub fn parse(path: &Path, bytes: &[u8]) -> Result<Settings, Error> {
    let text = std::str::from_utf8(bytes)
        .map_err(|error| Error::NotText { path: path.to_owned(), line: line(bytes, error.valid_up_to()) })?;
    let settings: Settings = toml::from_str(text).map_err(|error| explain(path, text, &error))?;
    match settings.contradiction() {
        Some(reason) => Err(Error::Contradiction { path: path.to_owned(), reason }),
        None => Ok(settings),
    }
}

/// The keys of the first level of text that was parsed.
pub fn sections(bytes: &[u8]) -> Vec<String> {
    let table = std::str::from_utf8(bytes).ok().and_then(|text| text.parse::<toml::Table>().ok());
    table.map(|table| table.keys().cloned().collect()).unwrap_or_default()
}

fn explain(path: &Path, text: &str, error: &toml::de::Error) -> Error {
    let at = error.span().map_or(0, |span| span.start);
    let (path, line) = (path.to_owned(), line(text.as_bytes(), at));
    match unknown_key(error.message()) {
        Some((key, known)) => Error::UnknownKey { path, line, nearest: nearest(&key, &known), key },
        None => Error::Invalid { path, line, reason: without_values(error.message()) },
    }
}

/// The key, and those that are known in its place, of serde's "unknown field `x`, expected one of `a`, `b`".
pub(super) fn unknown_key(message: &str) -> Option<(String, Vec<&str>)> {
    let rest = message.strip_prefix("unknown field `")?;
    let (key, known) = rest.split_once("`, ")?;
    Some((key.to_owned(), known.split('`').skip(1).step_by(2).collect()))
}

fn nearest(key: &str, known: &[&str]) -> Option<String> {
    let key = key.to_lowercase().replace('-', "_");
    let alike = known.iter().map(|other| (strsim::jaro_winkler(&key, other), other));
    let best = alike.filter(|(alike, _)| *alike >= ALIKE).max_by(|a, b| a.0.total_cmp(&b.0));
    best.map(|(_, other)| (*other).to_owned())
}

/// serde's "invalid type: string \"hunter2\", expected …" without the value, which may be a secret in the wrong place.
fn without_values(message: &str) -> String {
    let message = message.trim_end().replace('\n', " ");
    let wrong_type = message.strip_prefix("invalid type: ").and_then(|rest| rest.rsplit_once(", expected "));
    match wrong_type {
        Some((value, expected)) => {
            let kind = value.split(['"', '`']).next().unwrap_or_default().trim_end();
            format!("this is {kind} where {expected} is expected")
        }
        None => message,
    }
}

/// The line, counted from 1, in which the byte `at` lies.
fn line(bytes: &[u8], at: usize) -> usize {
    1 + bytes[..at.min(bytes.len())].iter().filter(|&&byte| byte == b'\n').count()
}
