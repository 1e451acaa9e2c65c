//! Which snapshot, and which path in it: `(ID|latest|latest~N|@TIME)[:/abs/path]`.
//!
//! Pure: a selector is parsed from text and resolved against a list. Partial snapshots are never `latest` and never the
//! answer to a time; by their id they can be named where the filter lets them pass.

use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use jiff::tz::TimeZone;

use super::{escape, time};
use crate::repo::entry::{EntryPath, Timestamp};
use crate::repo::id::SnapshotId;

/// How many candidates an error names at most.
const CANDIDATES: usize = 12;

/// What a selector needs to know of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its id.
    pub id: SnapshotId,
    /// The time that it claims.
    pub time: Timestamp,
    /// The host it was taken on.
    pub host: String,
    /// The absolute paths it was taken of.
    pub paths: Vec<Vec<u8>>,
    /// Its tags.
    pub tags: Vec<String>,
    /// Whether more of the same run follows in another snapshot.
    pub partial: bool,
}

/// Only snapshots that match every filter that was given.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Filter {
    /// Only snapshots of this host (may be given more than once: any of them)
    #[arg(short = 'H', long = "host", value_name = "HOST", help_heading = "Filters")]
    pub hosts: Vec<String>,
    /// Only snapshots that were taken of this absolute path (more than once: of all of them)
    #[arg(long = "path", value_name = "PATH", help_heading = "Filters")]
    pub paths: Vec<std::path::PathBuf>,
    /// Only snapshots with this tag; `A,B` means both (more than once: any of them)
    #[arg(long = "tag", value_name = "TAG[,TAG…]", help_heading = "Filters")]
    pub tags: Vec<String>,
    /// Also partial snapshots: what a run had read when it took long, or was stopped. By their id; they are never `latest`
    #[arg(long, help_heading = "Filters")]
    pub partial: bool,
}

/// One snapshot, and a path in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector {
    which: Which,
    text: String,
    /// The path, `None` for the whole snapshot.
    pub path: Option<EntryPath>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Which {
    /// Hexadecimal digits that the id starts with.
    Id(String),
    /// The newest, or the nth before it.
    Latest(usize),
    /// The newest that is not after this moment.
    Until(Timestamp),
}

/// Why a text is no selector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} names no snapshot: {why}")]
pub struct Invalid {
    text: String,
    why: &'static str,
}

/// Why a selector names no one snapshot of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unresolved {
    selector: String,
    matches: usize,
    filtered: bool,
    /// The one match is a partial snapshot, and those were not asked for.
    partial: bool,
    candidates: Vec<String>,
}

impl Filter {
    /// Whether nothing is filtered out.
    pub fn is_empty(&self) -> bool {
        self.hosts.is_empty() && self.paths.is_empty() && self.tags.is_empty()
    }

    /// Whether a snapshot passes.
    pub fn passes(&self, snapshot: &Listed) -> bool {
        let has_path = |path: &Path| {
            EntryPath::parse(path.as_os_str().as_bytes())
                .is_some_and(|path| snapshot.paths.iter().any(|taken| *taken == path.to_bytes()))
        };
        let has_tags = |tags: &String| tags.split(',').all(|tag| snapshot.tags.iter().any(|have| have == tag));
        (self.hosts.is_empty() || self.hosts.contains(&snapshot.host))
            && self.paths.iter().all(|path| has_path(path))
            && (self.tags.is_empty() || self.tags.iter().any(has_tags))
    }
}

impl Selector {
    /// Parses `(ID|latest|latest~N|@TIME)[:/abs/path]`; local times are those of `zone`.
    ///
    /// # Errors
    /// When the text has another form, or the path an impossible name.
    pub fn parse(text: &[u8], zone: &TimeZone) -> Result<Self, Invalid> {
        let shown = escape::name(text);
        let invalid = |why| Invalid { text: shown.clone(), why };
        let (which, path) = match text.windows(2).position(|pair| pair == b":/") {
            Some(at) => (&text[..at], Some(&text[at + 1..])),
            None => (text, None),
        };
        let path = path
            .map(|path| EntryPath::parse(path).ok_or_else(|| invalid("the path holds a name that no file can have")));
        let which = std::str::from_utf8(which).ok().and_then(|which| Which::parse(which, zone)).ok_or_else(|| {
            invalid("it must be an id, `latest`, `latest~N` or `@TIME`, then perhaps `:/absolute/path`")
        })?;
        let end = text.windows(2).position(|pair| pair == b":/").unwrap_or(text.len());
        Ok(Self { which, text: escape::name(&text[..end]), path: path.transpose()? })
    }

    /// Finds the snapshot among those of `list` that pass `filter`; returns its position in `list`.
    ///
    /// # Errors
    /// When there is none, or an id's first digits fit several.
    pub fn resolve(&self, list: &[Listed], filter: &Filter, zone: &TimeZone) -> Result<usize, Unresolved> {
        let mut passing: Vec<usize> = (0..list.len()).filter(|&at| filter.passes(&list[at])).collect();
        passing.sort_by_key(|&at| std::cmp::Reverse((list[at].time, at)));
        let complete = |at: &&usize| !list[**at].partial;
        let mut partial = false;
        let found: Vec<usize> = match &self.which {
            Which::Id(prefix) => {
                let fits = |at: &&usize| list[**at].id.to_string().starts_with(prefix);
                let mut found: Vec<usize> = passing.iter().filter(fits).copied().collect();
                if !filter.partial {
                    partial = matches!(found[..], [one] if list[one].partial);
                    found.retain(|at| complete(&at));
                }
                found
            }
            Which::Latest(back) => passing.iter().filter(complete).nth(*back).into_iter().copied().collect(),
            Which::Until(end) => {
                passing.iter().filter(complete).find(|&&at| list[at].time <= *end).into_iter().copied().collect()
            }
        };
        if let [one] = found[..] {
            return Ok(one);
        }
        if !filter.partial {
            passing.retain(|at| complete(&at));
        }
        let candidates = if found.is_empty() { &passing } else { &found };
        Err(Unresolved {
            selector: self.text.clone(),
            matches: found.len(),
            filtered: !filter.is_empty(),
            partial,
            candidates: candidates.iter().take(CANDIDATES).map(|&at| describe(&list[at], zone)).collect(),
        })
    }
}

impl Which {
    fn parse(text: &str, zone: &TimeZone) -> Option<Self> {
        if let Some(moment) = text.strip_prefix('@') {
            return time::parse_until(moment, zone).map(Self::Until);
        }
        if let Some(rest) = text.strip_prefix("latest") {
            return match rest.strip_prefix('~') {
                Some(back) if back.bytes().all(|digit| digit.is_ascii_digit()) => back.parse().ok().map(Self::Latest),
                _ => rest.is_empty().then_some(Self::Latest(0)),
            };
        }
        let digits = text.to_ascii_lowercase();
        let hexadecimal = (1..=64).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        hexadecimal.then_some(Self::Id(digits))
    }
}

impl fmt::Display for Selector {
    /// The snapshot as it was named, without the path.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for Unresolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.partial {
            let what = "is a partial snapshot: it holds only what a long or interrupted run had read by then";
            return write!(f, "`{}` {what}; with --partial it can be used all the same", self.selector);
        }
        let filtered = if self.filtered { " among those that the filters let through" } else { "" };
        match self.matches {
            0 => write!(f, "no snapshot is named `{}`{filtered}", self.selector)?,
            matches => write!(f, "`{}` fits {matches} snapshots{filtered}", self.selector)?,
        }
        if self.candidates.is_empty() {
            return write!(f, "; there is none");
        }
        write!(f, "; candidates, newest first:")?;
        self.candidates.iter().try_for_each(|candidate| write!(f, "\n  {candidate}"))
    }
}

impl std::error::Error for Unresolved {}

fn describe(snapshot: &Listed, zone: &TimeZone) -> String {
    let paths = escape::paths(&snapshot.paths);
    let partial = if snapshot.partial { "  (partial)" } else { "" };
    let (time, host) = (time::local(snapshot.time, zone), escape::line(&snapshot.host));
    format!("{}  {time}  {host}  {paths}{partial}", snapshot.id.short())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(first: u8, seconds: i64, host: &str) -> Listed {
        let mut id = [0x11; 32];
        id[0] = first;
        Listed {
            id: SnapshotId(id),
            time: Timestamp { seconds, nanoseconds: 5 },
            host: host.to_owned(),
            paths: vec![b"/etc".to_vec(), b"/home".to_vec()],
            tags: vec!["a".to_owned(), "b".to_owned()],
            partial: false,
        }
    }

    fn list() -> Vec<Listed> {
        // Not in the order of their times.
        let mut partial = listed(0xaf, 4000, "one");
        partial.partial = true;
        vec![listed(0xaa, 1000, "one"), partial, listed(0xab, 3000, "two"), listed(0x0c, 2000, "one")]
    }

    fn resolve(text: &str, filter: &Filter) -> Result<u8, String> {
        let list = list();
        let selector = Selector::parse(text.as_bytes(), &TimeZone::UTC).map_err(|error| error.to_string())?;
        let found = selector.resolve(&list, filter, &TimeZone::UTC).map_err(|error| error.to_string())?;
        Ok(list[found].id.0[0])
    }

    #[test]
    fn every_form_finds_its_snapshot() {
        let all = Filter::default();
        for (text, expected) in [
            ("latest", 0xab),
            ("latest~0", 0xab),
            ("latest~1", 0x0c),
            ("latest~2", 0xaa),
            ("0", 0x0c),
            ("AB1", 0xab),
            ("@1970-01-01", 0xab),
            ("@1970-01-01T00:33:20Z", 0x0c),
            ("@1970-01-01T00:33:19Z", 0xaa),
            ("latest:/etc/passwd", 0xab),
        ] {
            assert_eq!(resolve(text, &all), Ok(expected), "{text}");
        }
    }

    #[test]
    fn partial_snapshots_are_found_by_id_when_they_are_asked_for() {
        let (without, with) = (Filter::default(), Filter { partial: true, ..Filter::default() });
        let refused = resolve("af", &without).unwrap_err();
        assert!(refused.starts_with("`af` is a partial snapshot") && refused.contains("--partial"), "{refused}");
        assert_eq!(resolve("af", &with), Ok(0xaf));
        assert_eq!((resolve("latest", &with), resolve("@1970-01-02", &with)), (Ok(0xab), Ok(0xab)));
        assert!(!resolve("latest~3", &without).unwrap_err().contains("partial"));
    }

    #[test]
    fn filters_narrow_what_is_latest() {
        let one = Filter { hosts: vec!["one".to_owned()], ..Filter::default() };
        assert_eq!(resolve("latest", &one), Ok(0x0c));
        let path = |path: &str| Filter { paths: vec![path.into()], ..Filter::default() };
        assert_eq!(resolve("latest", &path("/etc/")), Ok(0xab));
        assert!(resolve("latest", &path("/et")).is_err());
        let tag = |tag: &str| Filter { tags: vec![tag.to_owned()], ..Filter::default() };
        assert_eq!(resolve("latest", &tag("b,a")), Ok(0xab));
        assert!(resolve("latest", &tag("a,c")).unwrap_err().contains("filters"));
    }

    #[test]
    fn what_fits_none_or_several_lists_candidates() {
        let all = Filter::default();
        let ambiguous = resolve("a", &all).unwrap_err();
        assert!(ambiguous.starts_with("`a` fits 2 snapshots"), "{ambiguous}");
        let ambiguous = resolve("a", &Filter { partial: true, ..Filter::default() }).unwrap_err();
        assert!(ambiguous.starts_with("`a` fits 3 snapshots"), "{ambiguous}");
        assert!(ambiguous.contains("af111111  1970-01-01 01:06:40  one  /etc /home  (partial)"), "{ambiguous}");
        assert!(!ambiguous.contains("0c111111"), "{ambiguous}");
        let unknown = resolve("latest~3", &all).unwrap_err();
        assert!(unknown.starts_with("no snapshot is named `latest~3`"), "{unknown}");
        assert!(unknown.contains("0c111111"), "{unknown}");
        assert!(resolve("@1960-01-01", &all).is_err());
    }

    #[test]
    fn paths_are_absolute_and_may_hold_any_bytes() {
        let parse = |text: &[u8]| Selector::parse(text, &TimeZone::UTC);
        assert_eq!(parse(b"latest").unwrap().path, None);
        assert_eq!(parse(b"ab:/").unwrap().path, Some(EntryPath::default()));
        assert_eq!(parse(b"@2026-11-23T02:00:/a\xff:/b").unwrap().path.unwrap().to_bytes(), b"/a\xff:/b");
        for bad in [
            &b""[..],
            b":/etc",
            b"latest:etc",
            b"latest~",
            b"latest~x",
            b"latest~+1",
            b"newest",
            b"@",
            b"@soon",
            b"\xff",
        ] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }
}
