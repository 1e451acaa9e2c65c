//! The rules that leave entries out: patterns, ignore files, marked folders, sizes, the no-dump flag.
//!
//! An entry is left out when one kind of rule says so, whatever the others say; a `!` brings back only what its own kind
//! left out. This file knows the rules; `sieve` applies them.

use super::dir::{DirHandle, open_file};
use super::exclude::ExcludeSet;
use super::reason::Reason;
use super::stat::{Kind, Stat};
use crate::repo::entry::EntryName;
use rustix::io::Errno;

/// What every cache folder's tag begins with: <https://bford.info/cachedir/>.
const CACHE_SIGNATURE: &[u8] = b"Signature: 8a477f597d28d172789f06886806bc55";

/// What to leave out.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// Patterns, in their order.
    pub patterns: ExcludeSet,
    /// Names of ignore files. Of two in one folder, the later in this list outranks the earlier.
    pub ignore_files: Vec<EntryName>,
    /// Files that mark a folder whose content is left out.
    pub tags: Vec<Tag>,
    /// Regular files with more bytes than this are left out.
    pub larger_than: Option<u64>,
    /// Whatever has the no-dump flag (`chattr +d`) is left out, where the file system tells.
    pub nodump: bool,
}

impl Rules {
    /// Nothing but patterns.
    pub fn patterns(patterns: ExcludeSet) -> Self {
        Self { patterns, ..Self::default() }
    }

    /// The rules as short texts, for the record of a snapshot: plain patterns as they are, all else with its option.
    pub fn texts(&self) -> Vec<String> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let pattern = |origin: &Reason| {
            let text = recordable(&origin.text)?;
            Some(match origin.option {
                "--iexclude" | "--iexclude-file" => format!("{FOLDED}{text}"),
                _ => text,
            })
        };
        let mut texts: Vec<String> = self.patterns.origins().filter_map(pattern).collect();
        texts.extend(self.ignore_files.iter().map(|name| format!("--ignore-file={}", text(name.as_bytes()))));
        texts.extend(self.tags.iter().map(|tag| match tag.option {
            "--exclude-caches" => tag.option.to_owned(),
            option => format!("{option}={}", text(&tag.text)),
        }));
        texts.extend(self.larger_than.map(|size| format!("--exclude-larger-than={size}")));
        texts.extend(self.nodump.then(|| "--exclude-nodump".to_owned()));
        texts
    }
}

/// What begins the record of a pattern to which upper and lower case are the same.
const FOLDED: &str = "--iexclude=";

/// A pattern as text. Records have no place for bytes that are none: a name with such bytes becomes `*`, and what brings
/// something back is dropped, so that the record leaves out no less than the rules did.
fn recordable(pattern: &[u8]) -> Option<String> {
    let part = |part: &[u8]| std::str::from_utf8(part).map_or_else(|_| "*".to_owned(), str::to_owned);
    match std::str::from_utf8(pattern) {
        Ok(text) => Some(text.to_owned()),
        Err(_) if pattern.starts_with(b"!") => None,
        Err(_) => Some(pattern.split(|&byte| byte == b'/').map(part).collect::<Vec<_>>().join("/")),
    }
}

/// A file that marks the folder it lies in.
#[derive(Debug, Clone)]
pub struct Tag {
    /// Its name.
    pub name: EntryName,
    header: Vec<u8>,
    option: &'static str,
    text: Vec<u8>,
}

impl Tag {
    /// `CACHEDIR.TAG` with its signature.
    pub fn cache() -> Self {
        let name = EntryName::new(*b"CACHEDIR.TAG").expect("a name that files can have");
        Self { name, header: CACHE_SIGNATURE.to_vec(), option: "--exclude-caches", text: Vec::new() }
    }

    /// `NAME`, or `NAME:HEADER` for a file that begins with these bytes; `None` when no file can have that name.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let mut parts = text.splitn(2, |&byte| byte == b':');
        let name = EntryName::new(parts.next()?)?;
        let header = parts.next().unwrap_or_default().to_vec();
        Some(Self { name, header, option: "--exclude-if-present", text: text.to_vec() })
    }

    /// Whether `dir` holds it. One that cannot be read does not count; reading it for the snapshot says why.
    pub(super) fn marks(&self, dir: &DirHandle) -> bool {
        let Ok(stat) = Stat::at(dir, self.name.as_bytes(), false) else { return false };
        if self.header.is_empty() {
            return true;
        }
        // Not opened before it is known to be a file: opening a device may do something.
        stat.kind == Kind::File && self.begins_right(dir, stat.uid).unwrap_or(false)
    }

    fn begins_right(&self, dir: &DirHandle, uid: u32) -> Result<bool, Errno> {
        let file = open_file(dir, self.name.as_bytes(), uid)?;
        let mut start = vec![0; self.header.len()];
        let mut filled = 0;
        while filled < start.len() {
            match rustix::io::pread(&file, &mut start[filled..], filled as u64) {
                Ok(0) => return Ok(false),
                Ok(count) => filled += count,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(start == self.header)
    }

    /// Why what lies beside it in `dir` is left out.
    pub(super) fn reason(&self, dir: &DirHandle) -> Reason {
        Reason::option(self.option).text(&self.text).file(&dir.path_of(&self.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_recorded_as_they_were_given() {
        let mut rules = Rules::patterns(ExcludeSet::new(["*.o", "!keep.o"]).unwrap());
        rules.patterns.push(Reason::option("--iexclude-file").file(b"/x").line(1).text(b"*.TMP"), true).unwrap();
        rules.ignore_files = vec![EntryName::new(*b".gitignore").unwrap()];
        rules.tags = vec![Tag::cache(), Tag::parse(b".nobackup:no: more").unwrap()];
        rules.larger_than = Some(1024);
        rules.nodump = true;
        let expected = [
            "*.o",
            "!keep.o",
            "--iexclude=*.TMP",
            "--ignore-file=.gitignore",
            "--exclude-caches",
            "--exclude-if-present=.nobackup:no: more",
            "--exclude-larger-than=1024",
            "--exclude-nodump",
        ];
        assert_eq!(rules.texts(), expected);
    }

    #[test]
    fn a_record_leaves_out_no_less_than_the_rules_did() {
        let patterns = [&b"/a/x\xff?/b"[..], b"!\xff", b"caf\xc3\xa9"];
        let rules = Rules::patterns(ExcludeSet::new(patterns).unwrap());
        assert_eq!(rules.texts(), ["/a/*/b", "café"]);
    }

    #[test]
    fn tags_have_names_that_files_can_have() {
        for bad in [&b""[..], b":x", b"a/b", b"..", b"a\0"] {
            assert!(Tag::parse(bad).is_none(), "{}", bad.escape_ascii());
        }
    }
}
