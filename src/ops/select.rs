//! Which paths of a snapshot are meant: include and exclude patterns, from the snapshot's root.
//!
//! What is selected is what an include pattern matches, itself or a folder above it, and no exclude pattern does. Without
//! include patterns everything is included. The patterns are those of `snapshot --exclude`, each with or without regard to case.

use crate::repo::entry::{EntryName, EntryPath};
use crate::source::files::exclude::{ExcludeSet, PatternError};

/// Patterns as they were given.
#[derive(Debug, Clone, Default)]
pub struct Patterns {
    /// What to take.
    pub include: Vec<Vec<u8>>,
    /// What to take, in capitals or not.
    pub include_any_case: Vec<Vec<u8>>,
    /// What to leave out.
    pub exclude: Vec<Vec<u8>>,
    /// What to leave out, in capitals or not.
    pub exclude_any_case: Vec<Vec<u8>>,
}

/// Compiled patterns.
#[derive(Debug, Clone, Default)]
pub struct Select {
    include: Matcher,
    exclude: Matcher,
}

/// What is decided about one path, and so about all below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    included: bool,
    excluded: bool,
}

/// Patterns of one sense.
#[derive(Debug, Clone, Default)]
pub(super) struct Matcher {
    exact: ExcludeSet,
    folded: ExcludeSet,
    /// A pattern takes back what others match, so that what holds for a folder need not hold below it.
    takes_back: bool,
}

impl Verdict {
    /// Whether the path is meant.
    pub const fn selected(self) -> bool {
        self.included && !self.excluded
    }

    /// Whether an exclude pattern leaves it out.
    pub const fn excluded(self) -> bool {
        self.excluded
    }
}

impl Select {
    /// Compiles patterns.
    ///
    /// # Errors
    /// The first pattern that means nothing.
    pub fn new(patterns: &Patterns) -> Result<Self, PatternError> {
        Ok(Self {
            include: Matcher::new(&patterns.include, &patterns.include_any_case)?,
            exclude: Matcher::new(&patterns.exclude, &patterns.exclude_any_case)?,
        })
    }

    /// Whether there is no pattern, so that everything is meant.
    pub fn is_everything(&self) -> bool {
        self.include.is_empty() && self.exclude.is_empty()
    }

    /// The verdict on the root.
    pub fn root(&self) -> Verdict {
        Verdict { included: self.include.is_empty(), excluded: false }
    }

    /// The verdict on `path`, judged from the root down.
    pub fn judge(&self, path: &EntryPath) -> Verdict {
        let mut dir = EntryPath::default();
        path.0.iter().fold(self.root(), |above, name| {
            let verdict = self.below(above, &dir, name);
            dir.0.push(name.clone());
            verdict
        })
    }

    /// The verdict on `name` in the folder `dir`, whose own is `above`.
    pub fn below(&self, above: Verdict, dir: &EntryPath, name: &EntryName) -> Verdict {
        if above.excluded {
            return above;
        }
        let kept = above.included && !self.include.takes_back;
        Verdict {
            included: kept || self.include.is_empty() || self.include.matches(dir, name),
            excluded: self.exclude.matches(dir, name),
        }
    }
}

impl Matcher {
    /// Compiles patterns that regard case, and others that do not.
    pub(super) fn new(exact: &[Vec<u8>], folded: &[Vec<u8>]) -> Result<Self, PatternError> {
        let takes_back = exact.iter().chain(folded).any(|pattern| pattern.starts_with(b"!"));
        let folded = folded.iter().map(|pattern| fold(pattern));
        Ok(Self { exact: ExcludeSet::new(exact)?, folded: ExcludeSet::new(folded)?, takes_back })
    }

    fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.folded.is_empty()
    }

    /// Whether a pattern fits the entry `name` of the folder `dir`; that one fits a folder above is not enough.
    pub(super) fn matches(&self, dir: &EntryPath, name: &EntryName) -> bool {
        if !self.exact.is_empty() && self.exact.inside(dir).excludes(name.as_bytes()) {
            return true;
        }
        if self.folded.is_empty() {
            return false;
        }
        let names = dir.0.iter().map(|name| EntryName::new(fold(name.as_bytes())).unwrap_or_else(|| name.clone()));
        self.folded.inside(&EntryPath(names.collect())).excludes(&fold(name.as_bytes()))
    }
}

/// Small letters for capital ones, where the bytes are text.
pub fn fold(bytes: &[u8]) -> Vec<u8> {
    let mut folded = Vec::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        folded.extend_from_slice(chunk.valid().to_lowercase().as_bytes());
        folded.extend_from_slice(chunk.invalid());
    }
    folded
}

/// Verdicts on paths that come in catalog order, each folder judged once.
#[derive(Debug, Clone)]
pub struct Judge<'a> {
    select: &'a Select,
    folder: EntryPath,
    above: Verdict,
}

impl<'a> Judge<'a> {
    /// A judge by these patterns.
    pub fn new(select: &'a Select) -> Self {
        Self { select, folder: EntryPath::default(), above: select.root() }
    }

    /// Whether `path` is meant.
    pub fn selects(&mut self, path: &EntryPath) -> bool {
        let Some((name, parents)) = path.0.split_last() else { return self.select.root().selected() };
        if self.select.is_everything() {
            return true;
        }
        if self.folder.0 != parents {
            self.folder = EntryPath(parents.to_vec());
            self.above = self.select.judge(&self.folder);
        }
        self.select.below(self.above, &self.folder, name).selected()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn select(include: &[&str], exclude: &[&str]) -> Select {
        let bytes = |patterns: &[&str]| patterns.iter().map(|pattern| pattern.as_bytes().to_vec()).collect();
        let patterns = Patterns { include: bytes(include), exclude: bytes(exclude), ..Patterns::default() };
        Select::new(&patterns).unwrap()
    }

    #[track_caller]
    fn check(select: &Select, expected: &[(&str, bool)]) {
        let mut judge = Judge::new(select);
        for (path, selected) in expected {
            let parsed = EntryPath::parse(path.as_bytes()).unwrap();
            assert_eq!(select.judge(&parsed).selected(), *selected, "{path}");
            assert_eq!(judge.selects(&parsed), *selected, "{path}");
        }
    }

    #[test]
    fn an_included_folder_brings_all_below_it() {
        let picked = select(&["/etc", "*.txt"], &[]);
        check(
            &picked,
            &[("/", false), ("/etc", true), ("/etc/a/b", true), ("/home", false), ("/home/a.txt", true), ("/x", false)],
        );
    }

    #[test]
    fn excludes_outrank_includes_and_hold_for_all_below() {
        let picked = select(&["/etc"], &["ssl"]);
        check(&picked, &[("/etc/ssl", false), ("/etc/ssl/etc", false), ("/etc/x", true), ("/y", false)]);
        check(&select(&[], &["*.o"]), &[("/", true), ("/a", true), ("/a/b.o", false), ("/a/b.o/c", false)]);
        check(&select(&["/etc", "!/etc/ssl"], &[]), &[("/etc/a/b", true), ("/etc/ssl/key", false)]);
    }

    #[test]
    fn case_counts_only_where_it_is_said() {
        let patterns = Patterns {
            include_any_case: vec![b"/Etc/*.CONF".to_vec(), "Ärger".into()],
            exclude: vec![b"SECRET".to_vec()],
            ..Patterns::default()
        };
        let picked = Select::new(&patterns).unwrap();
        check(&picked, &[("/ETC/a.Conf", true), ("/x/äRGER", true), ("/ärger/secret", true), ("/ärger/SECRET", false)]);
    }

    #[test]
    fn a_pattern_that_means_nothing_is_an_error() {
        let patterns = Patterns { include_any_case: vec![b"[".to_vec()], ..Patterns::default() };
        assert!(Select::new(&patterns).is_err());
    }
}
