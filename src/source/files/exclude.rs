//! Exclude patterns, with the meaning that restic's users know from `--exclude`.
//!
//! A pattern is names with wildcards between slashes. With a `/` at its front it starts at the root of the file system,
//! else at any directory; `**` stands for any number of directories. What it matches is left out with all below. A `!`
//! at its front takes back what earlier patterns left out; the last pattern that matches an entry or a directory above it
//! decides, and a directory that is left out is not looked into. Case counts unless a pattern folds it; names are bytes.

use super::glob::Component;
use super::reason::Reason;
use crate::repo::entry::EntryPath;

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
    folds: bool,
}

#[derive(Debug, Clone)]
struct Pattern {
    negated: bool,
    anchored: bool,
    folded: bool,
    parts: Vec<Component>,
    origin: Reason,
}

impl ExcludeSet {
    /// Compiles patterns of `--exclude`, in the order given; empty ones are skipped.
    ///
    /// # Errors
    /// The first pattern that cannot be compiled or can never match.
    pub fn new<P: AsRef<[u8]>>(patterns: impl IntoIterator<Item = P>) -> Result<Self, PatternError> {
        let mut set = Self::default();
        for pattern in patterns {
            set.push(Reason::option("--exclude").text(pattern.as_ref()), false)?;
        }
        Ok(set)
    }

    /// Adds the pattern whose text `origin` has, after all others; an empty one is skipped. With `fold`, upper and lower
    /// case are the same to it.
    ///
    /// # Errors
    /// When it cannot be compiled or can never match.
    pub fn push(&mut self, origin: Reason, fold: bool) -> Result<(), PatternError> {
        if origin.text.is_empty() {
            return Ok(());
        }
        let error = |reason| PatternError { pattern: origin.text.clone(), reason };
        let text = if fold { folded(&origin.text) } else { origin.text.clone() };
        let (negated, anchored, parts) = parse(&text).map_err(error)?;
        self.negations |= negated;
        self.folds |= fold;
        self.patterns.push(Pattern { negated, anchored, folded: fold, parts, origin });
        Ok(())
    }

    /// Whether there are no patterns.
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Where each pattern comes from, in order.
    pub fn origins(&self) -> impl Iterator<Item = &Reason> {
        self.patterns.iter().map(|pattern| &pattern.origin)
    }

    /// The patterns as seen from inside the directory `dir`, which itself is not left out.
    pub fn inside<'a>(&'a self, dir: &'a EntryPath) -> Inside<'a> {
        let names: Vec<&[u8]> = dir.0.iter().map(|name| name.as_bytes()).collect();
        let folded_names = if self.folds { names.iter().map(|name| folded(name)).collect() } else { Vec::new() };
        let mut inside = Inside { set: self, names, folded_names, above: Vec::new() };
        if self.negations {
            // Only an earlier match that was taken back again can reach into a directory that is not left out.
            inside.above = self.patterns.iter().map(|pattern| inside.reached(pattern)).collect();
        }
        inside
    }
}

/// The patterns as seen from inside one directory.
#[derive(Debug)]
pub struct Inside<'a> {
    set: &'a ExcludeSet,
    names: Vec<&'a [u8]>,
    /// The same in lower case, if a pattern asks for it.
    folded_names: Vec<Vec<u8>>,
    above: Vec<bool>,
}

/// What the patterns say of an entry that one of them matches.
#[derive(Debug, Clone, Copy)]
pub struct Verdict<'a> {
    /// Whether it is left out; else a `!` brought it back.
    pub out: bool,
    /// The pattern that decides.
    pub by: &'a Reason,
}

impl<'a> Inside<'a> {
    /// Whether the entry `name` of this directory is left out.
    pub fn excludes(&self, name: &[u8]) -> bool {
        self.verdict(name).is_some_and(|verdict| verdict.out)
    }

    /// The pattern that decides about the entry `name` of this directory, if any does.
    pub fn verdict(&self, name: &[u8]) -> Option<Verdict<'a>> {
        let folded_name = if self.set.folds { folded(name) } else { Vec::new() };
        let matches = |pattern: &Pattern| {
            let last = if pattern.folded { &folded_name } else { name };
            self.ends_at(pattern, self.names.len(), Some(last))
        };
        let mut patterns = self.set.patterns.iter().enumerate();
        let found = if self.set.negations {
            patterns.rev().find(|&(index, pattern)| self.above[index] || matches(pattern))
        } else {
            patterns.find(|&(_, pattern)| matches(pattern))
        };
        found.map(|(_, pattern)| Verdict { out: !pattern.negated, by: &pattern.origin })
    }

    /// Whether the pattern matches this directory or one above it.
    fn reached(&self, pattern: &Pattern) -> bool {
        (1..=self.names.len()).any(|depth| self.ends_at(pattern, depth, None))
    }

    /// Whether the pattern matches the first `depth` names and then `last`.
    fn ends_at(&self, pattern: &Pattern, depth: usize, last: Option<&[u8]>) -> bool {
        if pattern.folded {
            ends_at(&pattern.parts, pattern.anchored, &self.folded_names[..depth], last)
        } else {
            ends_at(&pattern.parts, pattern.anchored, &self.names[..depth], last)
        }
    }
}

/// Whether it is negated, whether it is anchored, and its components.
fn parse(text: &[u8]) -> Result<(bool, bool, Vec<Component>), &'static str> {
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
    Ok((negated, text.starts_with(b"/"), parts))
}

/// Lower case, where the bytes are text.
fn folded(bytes: &[u8]) -> Vec<u8> {
    let mut folded = Vec::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        folded.extend_from_slice(chunk.valid().to_lowercase().as_bytes());
        folded.extend_from_slice(chunk.invalid());
    }
    folded
}

/// Whether the components match up to the end of the path that `dir` and then `last` make; anchored ones from its start.
pub(super) fn ends_at<N: AsRef<[u8]>>(parts: &[Component], anchored: bool, dir: &[N], last: Option<&[u8]>) -> bool {
    let Some((part, parts)) = parts.split_last() else {
        return !anchored || (dir.is_empty() && last.is_none());
    };
    let (name, above) = match (last, dir.split_last()) {
        (Some(name), _) => (Some(name), dir),
        (None, Some((name, above))) => (Some(name.as_ref()), above),
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
fn ends_at_any_depth<N: AsRef<[u8]>>(parts: &[Component], anchored: bool, dir: &[N]) -> bool {
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
    #[test]
    fn case_counts_unless_it_is_folded() {
        let mut set = ExcludeSet::new(["*.TMP"]).unwrap();
        set.push(Reason::option("--iexclude").text("/Home/**/Größe.[A-C]x".as_bytes()), true).unwrap();
        let dir = EntryPath::parse("/hOME/Ana/x".as_bytes()).unwrap();
        let inside = set.inside(&dir);
        for (name, expected) in
            [("a.TMP", true), ("a.tmp", false), ("GRÖSSE.bx", false), ("GRÖßE.BX", true), ("größe.dx", false)]
        {
            assert_eq!(inside.excludes(name.as_bytes()), expected, "{name}");
        }
        let by = inside.verdict("größe.ax".as_bytes()).unwrap().by;
        assert_eq!((by.option, by.text.as_slice()), ("--iexclude", "/Home/**/Größe.[A-C]x".as_bytes()));
    }

    #[test]
    fn the_pattern_that_decides_is_named() {
        let set = ExcludeSet::new(["*.o", "!keep.o"]).unwrap();
        let root = EntryPath::default();
        let inside = set.inside(&root);
        let verdict = |name: &[u8]| inside.verdict(name).map(|v| (v.out, v.by.text.clone()));
        assert_eq!(verdict(b"a.o"), Some((true, b"*.o".to_vec())));
        assert_eq!(verdict(b"keep.o"), Some((false, b"!keep.o".to_vec())));
        assert_eq!(verdict(b"a.c"), None);
    }
}
