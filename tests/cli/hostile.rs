//! Names that try to break things: they come back as they were, and no terminal ever sees them raw.

use super::{Place, Run, write};
use rustix::fd::{AsFd as _, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags, RawDir};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// Names as nasty as file systems allow.
const NAMES: &[&[u8]] = &[
    b"line\nend",
    b"\n",
    b"\x1b[2J\x1b]0;owned\x07",
    b"\xff\xfe not text",
    b"\xc2\x9b2J",
    "exe\u{202e}fdp".as_bytes(),
    b"\\x1b",
    b"-rf",
    b"--help",
    b"~",
    b"$(reboot)",
    b" ",
    b"*",
    b"\r",
    b"\x7f\x01",
    b"latest:",
    &[b'n'; 255],
];

fn open(dir: impl rustix::fd::AsFd, name: &[u8]) -> OwnedFd {
    rustix::fs::openat(dir, name, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()).unwrap()
}

/// Folders one in the other until the path has more than 4,096 bytes, with a nasty name and its content at the end.
fn plant_deep(top: &Path) {
    let mut dir = open(CWD, top.as_os_str().as_bytes());
    for _ in 0..20 {
        let name = [b"\x1b\n".as_slice(), &[b'd'; 250]].concat();
        rustix::fs::mkdirat(&dir, name.as_slice(), Mode::RWXU).unwrap();
        dir = open(&dir, &name);
    }
    let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC;
    let file = rustix::fs::openat(&dir, b"\x1b[1m".as_slice(), flags, Mode::RUSR | Mode::WUSR).unwrap();
    rustix::io::write(&file, b"at the bottom").unwrap();
}

/// Paths and contents below an open folder; a folder's content is nothing.
fn tree(dir: &OwnedFd, above: &[u8], found: &mut BTreeMap<Vec<u8>, Vec<u8>>) {
    let mut buffer = Vec::with_capacity(8192);
    let mut entries = RawDir::new(dir, buffer.spare_capacity_mut());
    while let Some(entry) = entries.next() {
        let name = entry.unwrap().file_name().to_bytes().to_vec();
        if matches!(name.as_slice(), b"." | b"..") {
            continue;
        }
        let path = [above, b"/", &name].concat();
        let opened = open(dir, &name);
        let folder = rustix::fs::FileType::from_raw_mode(rustix::fs::fstat(&opened).unwrap().st_mode).is_dir();
        let mut content = vec![0; if folder { 0 } else { 1000 }];
        if folder {
            tree(&opened, &path, found);
        } else {
            let length = rustix::io::read(opened.as_fd(), &mut content).unwrap();
            content.truncate(length);
        }
        found.insert(path, content);
    }
}

fn tree_at(path: &Path) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut found = BTreeMap::new();
    tree(&open(CWD, path.as_os_str().as_bytes()), b"", &mut found);
    found
}

/// Insists that nothing of the output moves a terminal, and that each line is one of the program's.
#[track_caller]
fn tame(run: &Run) {
    for text in [&run.out, &run.err] {
        let wild = text.chars().find(|&c| (c.is_control() && c != '\n') || ('\u{202a}'..='\u{202e}').contains(&c));
        assert!(wild.is_none(), "{wild:?} in {text:?}");
    }
}

#[test]
fn hostile_names_come_back_as_they_were_and_move_no_terminal() {
    let place = Place::init();
    for name in NAMES {
        write(&place.path("s").join(OsStr::from_bytes(name)), name);
        std::fs::create_dir(place.path("s").join(OsStr::from_bytes(&name[..name.len().min(250)])).with_extension("d"))
            .unwrap();
    }
    plant_deep(&place.path("s"));
    let before = tree_at(&place.path("s"));
    assert!(before.keys().any(|path| path.len() > 4096) && before.len() > 2 * NAMES.len());
    let (tag, host) = ("t\u{1b}[2J", "h\u{9b}\n");
    let taken = place.admin(["-vv", "snapshot", "s", "--exclude", "*.none", "--tag", tag, "--host", host]).ends(0);
    tame(&taken);
    assert!(taken.err.contains("\\u{1b}[2J\\u{1b}]0;owned\\u{7}"), "{}", taken.err);
    let s = place.path("s");
    let selector = format!("latest:{}", s.display());
    for arguments in
        [&["ls", "latest"][..], &["ls", "-l", "latest"], &["ls", "-lR", &selector], &["snapshots"], &["verify"]]
    {
        tame(&place.admin(arguments).ends(0));
    }
    tame(&place.admin(["-vv", "restore", &selector, "--target", "out"]).ends(0));
    let after = tree_at(&place.path("out"));
    assert!(before == after, "{} and {} entries", before.len(), after.len());
    // One by its name, and what names it without being there.
    let one = [selector.as_bytes(), b"/\x1b[2J\x1b]0;owned\x07"].concat();
    place.admin([OsStr::new("restore"), OsStr::from_bytes(&one), OsStr::new("--target"), OsStr::new("one")]).ends(0);
    assert_eq!(std::fs::read(place.path("one").join(OsStr::from_bytes(NAMES[2]))).unwrap(), NAMES[2]);
    for verb in ["ls", "restore"] {
        let gone = [selector.as_bytes(), b"/\x1b[31m\ngone\xff"].concat();
        let mut arguments = vec![OsStr::new(verb), OsStr::from_bytes(&gone)];
        if verb == "restore" {
            arguments.extend([OsStr::new("--target"), OsStr::new("gone")]);
        }
        tame(&place.admin(arguments).ends(1).says("gone\\xff"));
    }
    // Complaints and rules name files too.
    let missing = OsStr::from_bytes(b"s/\x1b[5m\nmissing\xff");
    tame(&place.admin([OsStr::new("snapshot"), missing]).ends(1).says("missing\\xff"));
    let pattern = OsStr::from_bytes(b"--exclude=\x1b[[");
    tame(&place.admin([OsStr::new("snapshot"), OsStr::new("s"), pattern]).ends(2));
    let left_out = OsStr::from_bytes(b"--exclude=\x1b\\[2J*");
    let run = place.admin([OsStr::new("-vv"), OsStr::new("snapshot"), OsStr::new("s"), left_out]).ends(0);
    assert!(run.err.contains("excluded  "), "{}", run.err);
    tame(&run);
}

#[test]
fn hostile_names_lose_nothing_in_json() {
    let place = Place::init();
    for name in NAMES {
        write(&place.path("s").join(OsStr::from_bytes(name)), "");
    }
    let verbose = place.admin(["--json", "-v", "snapshot", "s"]).ends(0).json();
    let listed = place.admin(["--json", "ls", "latest"]).ends(0).json();
    for (lines, field) in [(&verbose, "item"), (&listed, "path")] {
        let bytes = |line: &serde_json::Value| match line[format!("{field}_hex")].as_str() {
            Some(hex) => (0..hex.len()).step_by(2).map(|n| u8::from_str_radix(&hex[n..n + 2], 16).unwrap()).collect(),
            None => line[field].as_str().unwrap_or_default().as_bytes().to_vec(),
        };
        let paths: Vec<Vec<u8>> = lines.iter().map(bytes).collect();
        for name in NAMES {
            let whole = place.path("s").join(OsStr::from_bytes(name));
            assert!(paths.contains(&whole.as_os_str().as_bytes().to_vec()), "{field}: {}", name.escape_ascii());
        }
    }
}
