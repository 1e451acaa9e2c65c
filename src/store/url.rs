//! Where a repository is: the text that a person gives, parsed once into something that cannot be wrong.
//!
//! A path, a `file:` URL, or the URL of a place that needs a network ([`super::remote_url`]). Names of places that boveda cannot
//! use are recognised, so that they never become odd local folders.

use super::remote_url::{RemoteUrl, Scheme};
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

/// Schemes of places that boveda knows of but cannot use, also in the short form of other tools (`rest:https://…`).
const NOT_YET: [&str; 10] = ["azure", "ssh", "rest", "http", "https", "dav", "ftp", "swift", "rclone", "opendal"];

/// Why a text names no store.
#[derive(Debug, thiserror::Error)]
pub enum UrlError {
    /// Nothing was given.
    #[error("the repository's location is empty")]
    Empty,
    /// A scheme that this version cannot use.
    #[error(
        "cannot use {url}: boveda knows folders (a path, or file:///path), s3://, azblob://, gcs://, b2://, sftp:// and webdav(s)://"
    )]
    NotYet { url: String },
    /// A place that needs a network, wrongly written.
    #[error("{scheme}:// location: {reason}; the form is {form}")]
    Remote { scheme: &'static str, reason: String, form: &'static str },
    /// A scheme that nobody knows.
    #[error("unknown kind of location {scheme}:// in {url}; write ./{url} if it really is a folder")]
    UnknownScheme { scheme: String, url: String },
    /// A `file:` URL that does not hold an absolute path on this machine.
    #[error("{url} is not of the form file:///absolute/path")]
    File { url: String },
    /// A relative path while the current folder cannot be found out.
    #[error("cannot make {} absolute: {source}", path.display())]
    Absolute { path: PathBuf, source: io::Error },
}

/// The location of a store.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum StoreUrl {
    /// A folder, by its absolute path.
    Local(PathBuf),
    /// A place that needs a network.
    Remote(Box<RemoteUrl>),
}

impl StoreUrl {
    /// The folder, if it is one on this machine.
    pub fn local(&self) -> Option<&Path> {
        match self {
            Self::Local(path) => Some(path),
            Self::Remote(_) => None,
        }
    }

    /// Parses a location. A relative path is made absolute at once, so that a later change of folder means nothing.
    ///
    /// # Errors
    /// When it names no place that this version can use.
    pub fn parse(text: &OsStr) -> Result<Self, UrlError> {
        let bytes = text.as_bytes();
        let shown = || text.to_string_lossy().into_owned();
        if bytes.is_empty() {
            return Err(UrlError::Empty);
        }
        match scheme(bytes) {
            Some(("file", rest)) => {
                let path = file_path(rest).ok_or_else(|| UrlError::File { url: shown() })?;
                Self::folder(&path)
            }
            Some((scheme, rest)) if Scheme::named(scheme).is_some() => {
                let text = std::str::from_utf8(rest).map_err(|_| UrlError::NotYet { url: shown() })?;
                RemoteUrl::parse(scheme, text).map(|url| Self::Remote(Box::new(url)))
            }
            Some((scheme, _)) if NOT_YET.contains(&scheme) => Err(UrlError::NotYet { url: shown() }),
            Some((scheme, rest)) if rest.starts_with(b"//") => {
                Err(UrlError::UnknownScheme { scheme: scheme.to_owned(), url: shown() })
            }
            _ => Self::folder(Path::new(text)),
        }
    }

    fn folder(path: &Path) -> Result<Self, UrlError> {
        std::path::absolute(path)
            .map(Self::Local)
            .map_err(|source| UrlError::Absolute { path: path.to_owned(), source })
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(path) => path.display().fmt(f),
            Self::Remote(url) => url.fmt(f),
        }
    }
}

/// The scheme in lower-case letters, digits and `+`, `-`, `.` before the first colon, and what follows that colon.
fn scheme(text: &[u8]) -> Option<(&str, &[u8])> {
    let colon = text.iter().position(|&byte| byte == b':')?;
    let (scheme, rest) = (std::str::from_utf8(&text[..colon]).ok()?, &text[colon + 1..]);
    let valid = scheme.starts_with(|c: char| c.is_ascii_lowercase())
        && scheme.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'+' | b'-' | b'.'));
    valid.then_some((scheme, rest))
}

/// The absolute path in what follows `file:`, percent signs decoded (RFC 8089); no other host than this one.
fn file_path(rest: &[u8]) -> Option<PathBuf> {
    let path = match rest.strip_prefix(b"//") {
        Some(authority) => authority.strip_prefix(b"localhost").filter(|p| p.starts_with(b"/")).unwrap_or(authority),
        None => rest,
    };
    if !path.starts_with(b"/") {
        return None;
    }
    let mut decoded = Vec::with_capacity(path.len());
    let mut bytes = path.iter();
    while let Some(&byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let digit = |byte: Option<&u8>| char::from(*byte?).to_digit(16);
                u8::try_from(digit(bytes.next())? << 4 | digit(bytes.next())?).ok()?
            }
            byte => byte,
        });
    }
    (!decoded.contains(&0)).then(|| PathBuf::from(OsString::from_vec(decoded)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<StoreUrl, UrlError> {
        StoreUrl::parse(OsStr::new(text))
    }

    #[test]
    fn paths_and_file_urls_are_folders() {
        let here = std::env::current_dir().unwrap();
        for (text, path) in [
            ("/srv/backup", PathBuf::from("/srv/backup")),
            ("backup", here.join("backup")),
            ("./s3:x", here.join("s3:x")),
            ("back:up", here.join("back:up")),
            ("file:///srv/a%20b", "/srv/a b".into()),
            ("file:/srv", "/srv".into()),
            ("file://localhost/srv", "/srv".into()),
        ] {
            assert_eq!(parse(text).unwrap(), StoreUrl::Local(path), "{text}");
        }
        let odd = OsStr::from_bytes(b"/srv/\xff");
        assert_eq!(StoreUrl::parse(odd).unwrap(), StoreUrl::Local(odd.into()));
    }

    #[test]
    fn other_places_are_refused_by_name() {
        for text in ["rest:https://host/x", "rclone:remote:path", "azure:container:/", "https://x/y", "ftp://x"] {
            assert!(matches!(parse(text), Err(UrlError::NotYet { .. })), "{text}");
        }
        assert!(matches!(parse("gopher://x"), Err(UrlError::UnknownScheme { .. })));
        assert!(matches!(parse(""), Err(UrlError::Empty)));
        for text in ["file://host/srv", "file:srv", "file://", "file:///a%2", "file:///a%zz", "file:///a%00"] {
            assert!(matches!(parse(text), Err(UrlError::File { .. })), "{text}");
        }
    }
}
