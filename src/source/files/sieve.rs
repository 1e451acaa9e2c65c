//! The rules as they hold inside one directory.
//!
//! Names are asked about before their attributes are known, since that saves a system call for each that is left out.

use super::dir::{DirHandle, open_file};
use super::exclude::Inside;
use super::ignore::{IgnoreFile, Ignores};
use super::reason::Reason;
use super::rules::{Rules, Tag};
use super::stat::{Kind, Stat};
use crate::repo::entry::EntryName;
use crate::source::Problem;
use rustix::io::Errno;

/// An entry that a rule leaves out.
#[derive(Debug, Clone)]
pub struct Excluded {
    /// Its name.
    pub name: EntryName,
    /// The rule.
    pub reason: Reason,
}

/// The rules inside one directory.
#[derive(Debug)]
pub(super) struct Sieve<'a> {
    dir: &'a DirHandle,
    rules: &'a Rules,
    inside: Option<Inside<'a>>,
    tag: Option<&'a Tag>,
    ignores: Ignores,
}

impl<'a> Sieve<'a> {
    /// The patterns, the sizes and the flag: for a directory of which only the way to paths asked for is listed.
    pub fn on_the_way(rules: &'a Rules, dir: &'a DirHandle) -> Self {
        let inside = (!rules.patterns.is_empty()).then(|| rules.patterns.inside(dir.path()));
        Self { dir, rules, inside, tag: None, ignores: Ignores::default() }
    }

    /// All rules, those in `dir` itself included; `above` are the ignore files above it. An ignore file that cannot be read
    /// is a problem, and its rules do not hold.
    pub fn inside(rules: &'a Rules, dir: &'a DirHandle, above: Ignores, problems: &mut Vec<Problem>) -> Self {
        let mut sieve = Self { ignores: above, ..Self::on_the_way(rules, dir) };
        sieve.tag = rules.tags.iter().find(|tag| tag.marks(dir));
        for name in &rules.ignore_files {
            match read_ignore_file(dir, name) {
                Ok(None) => {}
                Ok(Some(bytes)) => {
                    let file = IgnoreFile::parse(&dir.path_of(name), dir.path().0.len(), &bytes);
                    sieve.ignores = std::mem::take(&mut sieve.ignores).with(file);
                }
                Err(error) => problems.push(dir.problem(name, "reading the rules in it", error)),
            }
        }
        sieve
    }

    /// The ignore files that hold below.
    pub fn ignores(&self) -> &Ignores {
        &self.ignores
    }

    /// Whether a rule that looks at names alone leaves `name` out.
    pub fn drops_name(&self, name: &[u8]) -> bool {
        self.tag.is_some_and(|tag| tag.name.as_bytes() != name)
            || self.inside.as_ref().is_some_and(|inside| inside.excludes(name))
    }

    /// Whether a rule that looks at more leaves out the entry, whose name alone does not.
    pub fn drops_entry(&self, name: &[u8], stat: &Stat) -> bool {
        self.rules.larger_than.is_some_and(|most| stat.kind == Kind::File && stat.size > most)
            || (self.rules.nodump && stat.nodump)
            || self.ignored(name, stat).is_some_and(|verdict| verdict.out)
    }

    fn ignored(&self, name: &[u8], stat: &Stat) -> Option<super::exclude::Verdict<'_>> {
        if self.ignores.is_empty() {
            return None;
        }
        self.ignores.verdict(&self.dir.path().0, name, stat.kind == Kind::Directory)
    }

    /// The rule that leaves `name` out; `stat` where it is known.
    pub fn reason(&self, name: &[u8], stat: Option<&Stat>) -> Option<Reason> {
        if let Some(verdict) = self.pattern(name)
            && verdict.out
        {
            return Some(verdict.by.clone());
        }
        if let Some(tag) = self.tag.filter(|tag| tag.name.as_bytes() != name) {
            return Some(tag.reason(self.dir));
        }
        let stat = stat?;
        if let Some(most) = self.rules.larger_than.filter(|&most| stat.kind == Kind::File && stat.size > most) {
            return Some(Reason::option("--exclude-larger-than").text(most.to_string().as_bytes()));
        }
        if self.rules.nodump && stat.nodump {
            return Some(Reason::option("--exclude-nodump"));
        }
        self.ignored(name, stat).filter(|verdict| verdict.out).map(|verdict| verdict.by.clone())
    }

    /// The rule that brought the entry back, if one did.
    pub fn brought_back(&self, name: &[u8], stat: &Stat) -> Option<Reason> {
        let verdicts = [self.pattern(name), self.ignored(name, stat)];
        verdicts.into_iter().flatten().find(|verdict| !verdict.out).map(|verdict| verdict.by.clone())
    }

    fn pattern(&self, name: &[u8]) -> Option<super::exclude::Verdict<'_>> {
        self.inside.as_ref()?.verdict(name)
    }
}

/// Larger than any that people write; more would only be held in memory.
const LARGEST: u64 = 16 << 20;

/// The content of an ignore file, if it is there and a regular file: a symlink could lead anywhere, and git follows none.
fn read_ignore_file(dir: &DirHandle, name: &EntryName) -> Result<Option<Vec<u8>>, Errno> {
    let Ok(stat) = Stat::at(dir, name.as_bytes(), false) else { return Ok(None) };
    if stat.kind != Kind::File {
        return Ok(None);
    }
    if stat.size > LARGEST {
        return Err(Errno::FBIG);
    }
    let fd = match open_file(dir, name.as_bytes(), stat.uid) {
        Err(Errno::NOENT | Errno::LOOP) => return Ok(None),
        other => other?,
    };
    let mut bytes = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    while bytes.len() as u64 <= LARGEST {
        match rustix::io::read(&fd, &mut buffer) {
            Ok(0) => return Ok(Some(bytes)),
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Err(Errno::FBIG)
}
