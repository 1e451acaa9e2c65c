//! Ignore files: rules that lie in the folders they are about, with the meaning that git gives to `.gitignore`.
//!
//! A rule holds for the folder of its file and all below. With a `/` at its front or within it starts in that folder, else
//! it is about a name at any depth; a `/` at its end asks for a directory. The last rule of a file that matches decides, a
//! file deeper down outranks one above it, and `!` brings back. What lies in a directory that is left out cannot be
//! brought back. Names are bytes; a character is one of UTF-8, where git counts bytes; rules that git never matches are passed
//! over as git does.

use super::exclude::{Verdict, ends_at};
use super::glob::{Component, Token, character};
use super::reason::Reason;
use crate::repo::entry::EntryName;
use std::sync::Arc;

/// One ignore file.
#[derive(Debug)]
pub(super) struct IgnoreFile {
    /// How many names the path of its folder has.
    depth: usize,
    rules: Vec<Rule>,
}

#[derive(Debug)]
struct Rule {
    negated: bool,
    only_directories: bool,
    anchored: bool,
    parts: Vec<Component>,
    origin: Reason,
}

/// The ignore files of a folder and of those above it.
#[derive(Debug, Clone, Default)]
pub(super) struct Ignores(Option<Arc<Link>>);

#[derive(Debug)]
struct Link {
    file: IgnoreFile,
    above: Ignores,
}

impl IgnoreFile {
    /// Reads the rules in `bytes`, the content of the file at the absolute `path` whose folder has `depth` names.
    pub fn parse(path: &[u8], depth: usize, bytes: &[u8]) -> Self {
        let file: Arc<[u8]> = path.into();
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let lines = bytes.split(|&byte| byte == b'\n').enumerate();
        let rules = lines.filter_map(|(index, line)| Rule::parse(line, &file, index + 1)).collect();
        Self { depth, rules }
    }

    /// What the last rule that matches says of the entry `name` of the folder `dir`.
    fn verdict(&self, dir: &[EntryName], name: &[u8], directory: bool) -> Option<Verdict<'_>> {
        let below: Vec<&[u8]> = dir[self.depth..].iter().map(EntryName::as_bytes).collect();
        let matches = |rule: &&Rule| {
            (directory || !rule.only_directories) && ends_at(&rule.parts, rule.anchored, &below, Some(name))
        };
        self.rules.iter().rev().find(matches).map(|rule| Verdict { out: !rule.negated, by: &rule.origin })
    }
}

impl Ignores {
    /// These and one more file, which outranks them.
    #[must_use]
    pub fn with(self, file: IgnoreFile) -> Self {
        if file.rules.is_empty() { self } else { Self(Some(Arc::new(Link { file, above: self }))) }
    }

    /// What the files say of the entry `name` of the folder `dir`, which none of them leaves out.
    pub fn verdict(&self, dir: &[EntryName], name: &[u8], directory: bool) -> Option<Verdict<'_>> {
        let mut next = self;
        while let Some(link) = &next.0 {
            if let Some(verdict) = link.file.verdict(dir, name, directory) {
                return Some(verdict);
            }
            next = &link.above;
        }
        None
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}

impl Rule {
    /// A line as a rule; `None` when it is empty, a comment, or can never match.
    fn parse(line: &[u8], file: &Arc<[u8]>, number: usize) -> Option<Self> {
        let line = without_trailing_spaces(line.strip_suffix(b"\r").unwrap_or(line));
        if line.is_empty() || line[0] == b'#' {
            return None;
        }
        let (negated, text) = line.strip_prefix(b"!").map_or((false, line), |rest| (true, rest));
        let (only_directories, text) = text.strip_suffix(b"/").map_or((false, text), |rest| (true, rest));
        let anchored = text.contains(&b'/');
        let parts = components(text.strip_prefix(b"/").unwrap_or(text), anchored)?;
        let origin =
            Reason { option: "--ignore-file", file: Some(Arc::clone(file)), line: Some(number), text: line.to_vec() };
        Some(Self { negated, only_directories, anchored, parts, origin })
    }
}

fn components(text: &[u8], anchored: bool) -> Option<Vec<Component>> {
    let mut parts = Vec::new();
    for part in text.split(|&byte| byte == b'/') {
        match Component::parse_with(part, class)? {
            _ if part.is_empty() => return None,
            Component::AnyDepth if !anchored => parts.push(Component::Tokens(vec![Token::Many])),
            Component::AnyDepth if parts.last() == Some(&Component::AnyDepth) => {}
            component => parts.push(component),
        }
    }
    // `a/**` is all that is in it, and not `a` itself.
    if parts.last() == Some(&Component::AnyDepth) {
        parts.push(Component::Tokens(vec![Token::Many]));
    }
    Some(parts)
}

/// Spaces at the end do not count unless a backslash stands before them.
fn without_trailing_spaces(line: &[u8]) -> &[u8] {
    let mut end = 0;
    let mut at = 0;
    while at < line.len() {
        let step = if line[at] == b'\\' && at + 1 < line.len() { 2 } else { 1 };
        if step == 2 || line[at] != b' ' {
            end = at + step;
        }
        at += step;
    }
    &line[..end]
}

/// A class as git reads it: `!` or `^` negates, `]` may come first, `-` may come last, `[:alpha:]` and its kin are known.
fn class(rest: &mut &[u8]) -> Option<Token> {
    let negated = matches!(rest.first(), Some(b'!' | b'^'));
    if negated {
        *rest = &rest[1..];
    }
    let mut ranges = Vec::new();
    let mut first = true;
    loop {
        match rest.first()? {
            b']' if !first => {
                *rest = &rest[1..];
                return Some(Token::Class { negated, ranges });
            }
            b'[' if rest.get(1) == Some(&b':') => {
                let end = rest.windows(2).position(|pair| pair == b":]").filter(|&end| end >= 2)?;
                ranges.extend_from_slice(named(&rest[2..end])?);
                *rest = &rest[end + 2..];
            }
            _ => {
                let low = class_character(rest)?;
                let ranged = rest.first() == Some(&b'-') && rest.get(1).is_some_and(|&byte| byte != b']');
                if ranged {
                    *rest = &rest[1..];
                }
                let high = if ranged { class_character(rest)? } else { low };
                ranges.push((low, high));
            }
        }
        first = false;
    }
}

fn class_character(rest: &mut &[u8]) -> Option<u32> {
    if rest.first() == Some(&b'\\') {
        *rest = &rest[1..];
    }
    let (value, length) = character(rest)?;
    *rest = &rest[length..];
    Some(value)
}

/// The ASCII ranges of a POSIX class.
fn named(name: &[u8]) -> Option<&'static [(u32, u32)]> {
    Some(match name {
        b"alnum" => &[(0x30, 0x39), (0x41, 0x5a), (0x61, 0x7a)],
        b"alpha" => &[(0x41, 0x5a), (0x61, 0x7a)],
        b"blank" => &[(0x09, 0x09), (0x20, 0x20)],
        b"cntrl" => &[(0x00, 0x1f), (0x7f, 0x7f)],
        b"digit" => &[(0x30, 0x39)],
        b"graph" => &[(0x21, 0x7e)],
        b"lower" => &[(0x61, 0x7a)],
        b"print" => &[(0x20, 0x7e)],
        b"punct" => &[(0x21, 0x2f), (0x3a, 0x40), (0x5b, 0x60), (0x7b, 0x7e)],
        b"space" => &[(0x09, 0x0d), (0x20, 0x20)],
        b"upper" => &[(0x41, 0x5a)],
        b"xdigit" => &[(0x30, 0x39), (0x41, 0x46), (0x61, 0x66)],
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::entry::EntryPath;

    /// Whether walking down to `path` (directories all but the last name, which is one if it ends in `/`) meets a rule.
    fn ignored(rules: &[u8], path: &str) -> bool {
        let ignores = Ignores::default().with(IgnoreFile::parse(b"/.gitignore", 0, rules));
        let names = EntryPath::parse(format!("/{path}").as_bytes()).unwrap().0;
        (0..names.len()).any(|n| {
            let directory = n + 1 < names.len() || path.ends_with('/');
            ignores.verdict(&names[..n], names[n].as_bytes(), directory).is_some_and(|verdict| verdict.out)
        })
    }

    const RULES: &[&str] = &[
        "*.o",
        "/top",
        "a/b",
        "dir/",
        "**/deep",
        "a/**",
        "a/**/z",
        "!keep.o",
        "*.o\n!keep.o",
        "\\#x",
        "\\!x",
        "#x",
        "x\\ ",
        "x  ",
        "[!a]x",
        "[]]x",
        "[a-]x",
        "[[:digit:]]x",
        "[",
        "a//b",
        "/",
        "**",
        "**/",
        "a**b",
        "x\r",
        "/*\n!/a",
        "dir/\n!dir/x",
        "?",
        "a/*",
        "*/z",
        "b/",
        "/a/b/\n!/a/b",
        "\\",
        "[^a-b]x",
        "a/**/**/z",
        "!",
        "./a",
        "../a",
        "x/..",
    ];
    /// Directories end in a slash.
    const PATHS: &[&str] = &[
        "a/", "a/b/", "a/b/c", "a/z", "a/s/", "a/s/t/", "a/s/t/z", "a.o", "keep.o", "top", "s/top", "s/a/b", "s/dir",
        "dir/", "dir/x", "deep", "s/t/deep", "#x", "!x", "x ", "x", "bx", "ax", "]x", "-x", "5x", "[", "ab", "a1b",
        "b/", "\\", "x\r",
    ];

    #[test]
    fn rules_mean_what_git_says_they_mean() {
        use std::io::Write as _;
        let folder = tempfile::tempdir().unwrap();
        let git = |arguments: &[&str], input: &[u8]| {
            let mut command = std::process::Command::new("git");
            command.args(["-c", "core.excludesFile=/dev/null"]).args(arguments).current_dir(folder.path());
            command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", folder.path());
            command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
            let mut child = command.spawn()?;
            child.stdin.take().unwrap().write_all(input)?;
            child.wait_with_output()
        };
        if git(&["init", "-q"], b"").is_err() {
            eprintln!("SKIPPED: there is no git to compare with");
            return;
        }
        for path in PATHS {
            let full = folder.path().join(path);
            std::fs::create_dir_all(if path.ends_with('/') { &full } else { full.parent().unwrap() }).unwrap();
            if !path.ends_with('/') {
                std::fs::write(full, "").unwrap();
            }
        }
        let input: Vec<u8> =
            PATHS.iter().flat_map(|path| [path.trim_end_matches('/'), "\0"].concat().into_bytes()).collect();
        for rules in RULES {
            std::fs::write(folder.path().join(".gitignore"), rules).unwrap();
            let output = git(&["check-ignore", "--no-index", "-z", "--stdin"], &input).unwrap();
            assert!(output.status.code().is_some_and(|code| code < 2), "{output:?}");
            let said: Vec<&[u8]> = output.stdout.split(|&byte| byte == 0).collect();
            for path in PATHS {
                let expected = said.contains(&path.trim_end_matches('/').as_bytes());
                assert_eq!(ignored(rules.as_bytes(), path), expected, "{rules:?} {path:?}");
            }
        }
    }

    #[test]
    fn a_file_deeper_down_outranks_one_above() {
        let top = IgnoreFile::parse(b"/r/.gitignore", 1, b"*.log\n/x\n");
        let deep = IgnoreFile::parse(b"/r/s/.gitignore", 2, b"\n!keep.log\n/x\n");
        let ignores = Ignores::default().with(top).with(deep);
        let verdict = |dir: &str, name: &str| {
            let dir = EntryPath::parse(dir.as_bytes()).unwrap();
            ignores.verdict(&dir.0, name.as_bytes(), false).map(|verdict| (verdict.out, verdict.by.to_string()))
        };
        assert_eq!(verdict("/r/s/t", "a.log"), Some((true, "--ignore-file /r/.gitignore line 1: *.log".to_owned())));
        assert_eq!(
            verdict("/r/s/t", "keep.log"),
            Some((false, "--ignore-file /r/s/.gitignore line 2: !keep.log".to_owned()))
        );
        assert_eq!(verdict("/r/s", "x"), Some((true, "--ignore-file /r/s/.gitignore line 3: /x".to_owned())));
        assert_eq!(verdict("/r/s/t", "x"), None);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_rules(rules: Vec<u8>, name in proptest::collection::vec(1..=255_u8, 1..9)) {
            IgnoreFile::parse(b"/x", 0, &rules).verdict(&[], &name, false);
        }
    }
}
