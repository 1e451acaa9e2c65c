//! Files that hold one thing a line: patterns, or paths. `-` is standard input.

use std::ffi::OsString;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use super::error::Failure;
use super::escape;

/// A line and its number, from 1.
pub type Line = (usize, Vec<u8>);

/// All bytes of a list.
///
/// # Errors
/// When it cannot be read: a usage error, since nothing was done yet.
pub fn read(option: &str, file: &Path) -> Result<Vec<u8>, Failure> {
    let read = if file == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        std::fs::read(file)
    };
    read.map_err(|error| Failure::usage(format!("{option} {}: {error}", shown(file))))
}

/// A file's name for a message.
pub fn shown(file: &Path) -> String {
    escape::name(file.as_os_str().as_bytes())
}

/// The lines that say something: white space at both ends is dropped, as are empty lines and those that begin with `#`.
pub fn lines(bytes: &[u8]) -> Vec<Line> {
    let said = |line: &Line| !line.1.is_empty() && line.1[0] != b'#';
    verbatim(bytes).into_iter().map(|(number, line)| (number, line.trim_ascii().to_vec())).filter(said).collect()
}

/// The lines as they are, less empty ones. A byte order mark at the front is dropped.
pub fn verbatim(bytes: &[u8]) -> Vec<Line> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let lines = bytes.split(|&byte| byte == b'\n').enumerate();
    lines.filter(|(_, line)| !line.is_empty()).map(|(index, line)| (index + 1, line.to_vec())).collect()
}

/// What each NUL ends.
///
/// # Errors
/// When an item is empty, or the last one has no end, as in a list that was cut short.
pub fn raw(bytes: &[u8]) -> Result<Vec<Vec<u8>>, &'static str> {
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let items =
        bytes.strip_suffix(b"\0").ok_or("the last name does not end with a NUL byte: the list was cut short")?;
    let items: Vec<Vec<u8>> = items.split(|&byte| byte == 0).map(<[u8]>::to_vec).collect();
    if items.iter().any(Vec::is_empty) { Err("a name in it is empty") } else { Ok(items) }
}

/// The text with `$NAME` and `${NAME}` replaced by what `variable` says, and `$$` by one dollar sign.
///
/// # Errors
/// The name of a variable that is not set, or nothing when no name follows the dollar sign.
pub fn with_variables(text: &[u8], variable: impl Fn(&str) -> Option<OsString>) -> Result<Vec<u8>, String> {
    let mut result = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.iter().position(|&byte| byte == b'$') {
        result.extend_from_slice(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix(b"$") {
            result.push(b'$');
            rest = after;
            continue;
        }
        let braced = rest.strip_prefix(b"{");
        let from = braced.unwrap_or(rest);
        let length = from.iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_').count();
        let name = String::from_utf8_lossy(&from[..length]).into_owned();
        rest = match braced {
            None => &from[length..],
            Some(_) => from[length..].strip_prefix(b"}").ok_or_else(|| name.clone())?,
        };
        let value = (!name.is_empty()).then(|| variable(&name)).flatten().ok_or(name)?;
        result.extend_from_slice(value.as_bytes());
    }
    result.extend_from_slice(rest);
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_say_nothing_are_dropped() {
        let list = b"\xef\xbb\xbf one \n\n# no\n  # neither\ntwo\r\n\xff";
        assert_eq!(lines(list), [(1, b"one".to_vec()), (5, b"two".to_vec()), (6, b"\xff".to_vec())]);
        assert_eq!(verbatim(b" a\n\n#b\n"), [(1, b" a".to_vec()), (3, b"#b".to_vec())]);
    }

    #[test]
    fn a_raw_list_that_was_cut_short_is_noticed() {
        assert_eq!(raw(b"a\nb\0 c\0").unwrap(), [b"a\nb".to_vec(), b" c".to_vec()]);
        assert!(raw(b"").unwrap().is_empty());
        for bad in [&b"a"[..], b"a\0b", b"\0", b"a\0\0"] {
            assert!(raw(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn variables_are_replaced_and_never_guessed() {
        let home = |name: &str| (name == "HOME").then(|| OsString::from("/home/x"));
        let replaced = |text: &str| with_variables(text.as_bytes(), home).map(|text| String::from_utf8(text).unwrap());
        assert_eq!(replaced("$HOME/a${HOME}b$$c").unwrap(), "/home/x/a/home/xb$c");
        assert_eq!(replaced("plain").unwrap(), "plain");
        for (text, named) in [("$RECYCLE.BIN", "RECYCLE"), ("a$", ""), ("${HOME", "HOME"), ("${}", "")] {
            assert_eq!(replaced(text).unwrap_err(), named, "{text}");
        }
    }
}
