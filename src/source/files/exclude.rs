//! Exclude patterns, with the meaning that restic's users know from `--exclude`.
//!
//! A pattern is names with wildcards between slashes. With a `/` at its front it starts at the root of the file system,
//! else at any directory; `**` stands for any number of directories. What it matches is left out with all below. A `!`
//! at its front takes back what earlier patterns left out; the last pattern that matches an entry or a directory above it
//! decides, and a directory that is left out is not looked into. Case counts; names are bytes.

use super::glob::Component;
use crate::repo::entry::{EntryName, EntryPath};

/// A pattern that means nothing.
#[derive(Debug, thiserror::Error)]
#[error("exclude pattern \"{}\": {reason}", pattern.escape_ascii())]
pub struct PatternError {
    /// The pattern as given.
    pub pattern: Vec<u8>,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// Compiled exclude patterns. Without any, nothing is left out and nothing is spent.
#[derive(Debug, Clone, Default)]
pub struct ExcludeSet {
    patterns: Vec<Pattern>,
    negations: bool,
}

#[derive(Debug, Clone)]
struct Pattern {
    negated: bool,
    anchored: bool,
    parts: Vec<Component>,
}

impl ExcludeSet {
    /// Compiles patterns, in the order given; empty ones are skipped.
    ///
    /// # Errors
    /// The first pattern that cannot be compiled or can never match.
    pub fn new<P: AsRef<[u8]>>(patterns: impl IntoIterator<Item = P>) -> Result<Self, PatternError> {
        let mut set = Self::default();
        for pattern in patterns {
            let text = pattern.as_ref();
            if text.is_empty() {
                continue;
            }
            let error = |reason| PatternError { pattern: text.to_vec(), reason };
            set.patterns.push(Pattern::parse(text).map_err(error)?);
        }
        set.negations = set.patterns.iter().any(|pattern| pattern.negated);
        Ok(set)
    }

    /// Whether there are no patterns.
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// The patterns as seen from inside the directory `dir`, which itself is not left out.
    pub fn inside<'a>(&'a self, dir: &'a EntryPath) -> Inside<'a> {
        let reaches =
            |pattern: &Pattern| (0..dir.0.len()).any(|n| pattern.ends_at(&dir.0[..n], Some(dir.0[n].as_bytes())));
        // Only an earlier match that was taken back again can reach into a directory that is not left out.
        let above = if self.negations { self.patterns.iter().map(reaches).collect() } else { Vec::new() };
        Inside { set: self, dir: &dir.0, above }
    }
}

/// The patterns as seen from inside one directory.
#[derive(Debug)]
pub struct Inside<'a> {
    set: &'a ExcludeSet,
    dir: &'a [EntryName],
    above: Vec<bool>,
}

impl Inside<'_> {
    /// Whether the entry `name` of this directory is left out.
    pub fn excludes(&self, name: &[u8]) -> bool {
        let matches = |pattern: &Pattern| pattern.ends_at(self.dir, Some(name));
        if !self.set.negations {
            return self.set.patterns.iter().any(matches);
        }
        let reached = |&(index, pattern): &(usize, &Pattern)| self.above[index] || matches(pattern);
        let last = self.set.patterns.iter().enumerate().rev().find(reached);
        last.is_some_and(|(_, pattern)| !pattern.negated)
    }
}

impl Pattern {
    fn parse(text: &[u8]) -> Result<Self, &'static str> {
        let (negated, text) = text.strip_prefix(b"!").map_or((false, text), |rest| (true, rest));
        let mut parts = Vec::new();
        for part in text.split(|&b| b == b'/') {
            match part {
                b"" | b"." => {}
                b".." => return Err("\"..\" never matches"),
                // A second one adds nothing but work.
                b"**" if parts.last() == Some(&Component::AnyDepth) => {}
                part => parts.push(Component::parse(part).ok_or("a [class] or an escape is not complete")?),
            }
        }
        if parts.is_empty() {
            return Err("it names nothing");
        }
        Ok(Self { negated, anchored: text.starts_with(b"/"), parts })
    }

    /// Whether the pattern matches up to the end of the path that `dir` and then `last` make.
    fn ends_at(&self, dir: &[EntryName], last: Option<&[u8]>) -> bool {
        ends_at(&self.parts, self.anchored, dir, last)
    }
}

fn ends_at(parts: &[Component], anchored: bool, dir: &[EntryName], last: Option<&[u8]>) -> bool {
    let Some((part, parts)) = parts.split_last() else {
        return !anchored || (dir.is_empty() && last.is_none());
    };
    let (name, above) = match (last, dir.split_last()) {
        (Some(name), _) => (Some(name), dir),
        (None, Some((name, above))) => (Some(name.as_bytes()), above),
        (None, None) => (None, dir),
    };
    if *part == Component::AnyDepth && ends_at(parts, anchored, dir, last) {
        return true;
    }
    let Some(name) = name else { return false };
    match part {
        Component::AnyDepth => ends_at_any_depth(parts, anchored, above),
        part => part.matches(name) && ends_at(parts, anchored, above, None),
    }
}

/// `parts` and then one or more directories of `dir`, or none.
fn ends_at_any_depth(parts: &[Component], anchored: bool, dir: &[EntryName]) -> bool {
    (0..=dir.len()).rev().any(|n| ends_at(parts, anchored, &dir[..n], None))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether walking down to `path` meets an exclusion.
    fn excluded(patterns: &[&str], path: &str) -> bool {
        let set = ExcludeSet::new(patterns).unwrap();
        let path = EntryPath::parse(path.as_bytes()).unwrap();
        (0..path.0.len()).any(|n| {
            let dir = EntryPath(path.0[..n].to_vec());
            set.inside(&dir).excludes(path.0[n].as_bytes())
        })
    }

    #[test]
    fn patterns_match_as_in_restic() {
        for (pattern, path, expected) in [
            ("*.go", "/foo/bar/test.go", true),
            ("*.c", "/foo/bar/test.go", false),
            ("/foo", "/foo/bar", true),
            ("/foo", "/x/foo", false),
            ("foo", "/x/foo/y", true),
            ("bar/test.go", "/foo/bar/test.go", true),
            ("bar/*.go", "/foo/bar/test.go", true),
            ("ba/test.go", "/foo/bar/test.go", false),
            ("foo/test.*", "/foo/bar/test.go", false),
            ("/foo/*/test.*", "/foo/bar/test.go", true),
            ("/foo/*/test.*", "/foo/bar/baz/test.go", false),
            ("/foo/**/test.*", "/foo/bar/baz/test.go", true),
            ("/foo/**/test.*", "/foo/test.go", true),
            ("/foo/**", "/foo", true),
            ("/foo/**", "/fo/x", false),
            ("**/test.go", "/test.go", true),
            ("/**/test.go", "/a/test.go", true),
            ("foo/**/bar/**/x", "/foo/a/bar/b/c/x", true),
            ("foo/**/bar/**/x", "/foo/a/baz/b/c/x", false),
            ("/foo/", "/foo", true),
            ("/foo//./bar", "/foo/bar", true),
            ("FOO", "/foo", false),
            ("/*", "/anything", true),
            (".*", "/home/.cache/x", true),
            ("user/.cache", "/home/user/.cache/x", true),
        ] {
            assert_eq!(excluded(&[pattern], path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn the_last_match_decides() {
        let patterns = ["/home/*", "!/home/ana", "*.o", "!keep.o", "/home/ana/tmp"];
        for (path, expected) in [
            ("/home/bob/x", true),
            ("/home/ana", false),
            ("/home/ana/docs/x", false),
            ("/home/ana/tmp/x", true),
            ("/home/ana/a.o", true),
            ("/home/ana/keep.o", false),
            // Its directory is left out and not looked into.
            ("/home/bob/keep.o", true),
        ] {
            assert_eq!(excluded(&patterns, path), expected, "{path}");
        }
    }

    #[test]
    fn names_are_bytes() {
        let set = ExcludeSet::new([b"\xff*".as_slice(), b"a\nb"]).unwrap();
        let root = EntryPath::default();
        let inside = set.inside(&root);
        assert!(inside.excludes(b"\xff\xfe") && inside.excludes(b"a\nb") && !inside.excludes(b"\xfe"));
    }

    #[test]
    fn patterns_that_mean_nothing_are_refused() {
        for bad in ["/", "!", "a/../b", "[", "!/"] {
            assert!(ExcludeSet::new([bad]).is_err(), "{bad}");
        }
        assert!(ExcludeSet::new([""]).unwrap().is_empty());
    }
}
