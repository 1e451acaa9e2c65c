//! Archives as other programs read them, and as they come out when the repository is damaged.

use super::*;
use crate::event::Silent;
use crate::repo::catalog::testing::{MemoryChunks, entry, path, write as write_catalog};
use crate::repo::chunks::ChunkSink;
use crate::repo::entry::{Content, Extent, XattrValue};
use crate::repo::id::{ChunkId, ChunkKind};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

/// A catalog with one of everything.
fn sample() -> (Arc<MemoryChunks>, Vec<(EntryPath, Entry)>) {
    let chunks = Arc::new(MemoryChunks::default());
    let chunk =
        |bytes: &[u8]| Extent::Chunk { id: chunks.put(ChunkKind::Data, bytes).unwrap(), length: bytes.len() as u32 };
    let file = |extents: Vec<Extent>| {
        let size = extents.iter().map(Extent::length).sum();
        Entry { size, ..entry(EntryKind::File(Content::Extents(extents))) }
    };
    let long = "long name ".repeat(20);
    let mut linked = file(vec![chunk(b"linked")]);
    linked.links = Some(LinkGroup { device: 1, inode: 7, links: 2 });
    let mut special = file(vec![chunk(b"special")]);
    special.xattrs = vec![(b"user.a=b".to_vec(), XattrValue::Inline(b"line\nline\0".to_vec()))];
    (special.uid, special.mode, special.modified.seconds) = (3_000_000_000, 0o6755, -5);
    let hole = Extent::Hole { length: 1 << 20 };
    let entries = vec![
        (path("/"), entry(EntryKind::Directory)),
        (path("/a"), entry(EntryKind::Directory)),
        (path("/link"), entry(EntryKind::Symlink(long.clone().into_bytes()))),
        (path("/pipe"), entry(EntryKind::Fifo)),
        (path("/socket"), entry(EntryKind::Socket)),
        (path("/tty"), entry(EntryKind::CharacterDevice { major: 5, minor: 1 })),
        (path("/a/first"), linked.clone()),
        (path("/a/second"), linked),
        (path("/a/sparse"), file(vec![chunk(b"head"), hole, chunk(&[7; 1000]), hole])),
        (path("/a/special"), special),
        (path(&format!("/a/{long}")), file(vec![chunk(b"long")])),
        (path("/a/empty"), file(vec![])),
    ];
    (chunks, entries)
}

fn tree(chunks: &Arc<MemoryChunks>, entries: &[(EntryPath, Entry)]) -> Tree {
    let mut entries = entries.to_vec();
    entries.sort_by_cached_key(|(path, _)| crate::repo::catalog::key::encode(path));
    Tree::open(chunks.clone(), write_catalog(chunks, &entries).skeleton)
}

/// Everything below a folder.
fn part(top: &EntryPath, strip: usize) -> Part<'_> {
    static EVERYTHING: std::sync::LazyLock<Select> = std::sync::LazyLock::new(Select::default);
    Part { top, select: &EVERYTHING, strip }
}

fn archive(tree: &Tree, selection: &str, strip: usize, format: Format) -> (Vec<u8>, Summary) {
    let mut bytes = Vec::new();
    let summary = export(tree, part(&path(selection), strip), format, &mut bytes, &Silent).unwrap();
    (bytes, summary)
}

/// What a program says to an archive on its standard input; `None` if the machine lacks the program.
fn ask(program: &str, arguments: &[&str], archive: &[u8]) -> Option<String> {
    let mut command = Command::new(program);
    command.args(arguments).env("TZ", "UTC").env("LC_ALL", "C.UTF-8");
    let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let Ok(mut child) = spawned else {
        eprintln!("skipped: no {program} here");
        return None;
    };
    let mut input = child.stdin.take().unwrap();
    let archive = archive.to_vec();
    let feeding = std::thread::spawn(move || drop(input.write_all(&archive)));
    let output = child.wait_with_output().unwrap();
    feeding.join().unwrap();
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{program} complains");
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn gnu_tar_reads_it_without_a_complaint() {
    let (chunks, entries) = sample();
    let (bytes, summary) = archive(&tree(&chunks, &entries), "/", 0, Format::Tar);
    assert_eq!((summary.files, summary.directories, summary.others, summary.left_out), (6, 1, 3, 1));
    assert_eq!(bytes.len() % 512, 0);
    assert!(bytes.len() < 64 << 10, "holes take no room: {}", bytes.len());
    // As GNU tar writes it; its own listing of times before 1970 is off by some seconds.
    assert!(bytes.windows(22).any(|record| record == b"22 mtime=-4.999999995\n"));
    let Some(list) = ask("tar", &["-tv", "--numeric-owner", "--full-time", "-f", "-"], &bytes) else { return };
    let long = "long name ".repeat(20);
    for expected in [
        "crw-r--r-- 1000/1000       5,1 2023-11-14 22:13:20.000000005 tty",
        "a/second link to a/first",
        &format!("a/{long}"),
        &format!("link -> {long}"),
        "2098156 2023-11-14 22:13:20.000000005 a/sparse",
        "-rwsr-sr-x 3000000000/1000 ",
    ] {
        assert!(list.contains(expected), "{expected:?} is not in\n{list}");
    }
}

#[test]
fn python_reads_attributes_and_holes() {
    let (chunks, entries) = sample();
    let (bytes, _) = archive(&tree(&chunks, &entries), "/", 0, Format::Tar);
    let script = r"
import io, sys, tarfile
archive = tarfile.open(fileobj=io.BytesIO(sys.stdin.buffer.read()))
sparse = archive.extractfile('a/sparse').read()
assert sparse == b'head' + bytes(1 << 20) + b'\7' * 1000 + bytes(1 << 20), len(sparse)
special = archive.getmember('a/special')
assert special.pax_headers['SCHILY.xattr.user.a%3Db'] == 'line\nline\0', special.pax_headers
print(archive.extractfile('a/second').read().decode(), len(archive.getmembers()))
";
    if let Some(said) = ask("python3", &["-c", script], &bytes) {
        assert_eq!(said, "linked 10\n");
    }
}

#[test]
fn a_folder_goes_alone_with_names_as_asked() {
    let (chunks, entries) = sample();
    let tree = tree(&chunks, &entries);
    for (strip, expected) in [(0, "a/first"), (1, "first")] {
        let (bytes, _) = archive(&tree, "/a", strip, Format::Tar);
        if let Some(list) = ask("tar", &["-tf", "-"], &bytes) {
            assert!(list.lines().any(|line| line == expected) && !list.contains("pipe"), "{list}");
        }
    }
    let mut out = Vec::new();
    let missing = export(&tree, part(&path("/b"), 0), Format::Tar, &mut out, &Silent);
    assert!(matches!(missing, Err(Error::NotInSnapshot { .. })));
}

#[test]
fn zip_holds_files_folders_and_links() {
    let (chunks, entries) = sample();
    let (bytes, summary) = archive(&tree(&chunks, &entries), "/", 0, Format::Zip);
    assert_eq!((summary.files, summary.left_out), (6, 3));
    let script = r"
import io, sys, zipfile
archive = zipfile.ZipFile(io.BytesIO(sys.stdin.buffer.read()))
assert archive.testzip() is None
assert archive.read('a/second') == b'linked' and len(archive.read('a/sparse')) == 2098156
info = archive.getinfo('a/first')
print(info.date_time, oct(info.external_attr >> 16), 'a/' in archive.namelist())
";
    if let Some(said) = ask("python3", &["-c", script], &bytes) {
        assert_eq!(said, "(2023, 11, 14, 22, 13, 20) 0o100644 True\n");
    }
}

/// Keeps what is complained about.
#[derive(Default)]
struct Listener(Mutex<Vec<String>>);

impl Sink for Listener {
    fn emit(&self, event: Event) {
        if let Event::Problem { path, error, .. } = event {
            self.0.lock().unwrap().push(format!("{}: {error}", path.escape_ascii()));
        }
    }
}

#[test]
fn what_is_lost_is_told_and_the_rest_is_in_the_archive() {
    let (chunks, mut entries) = sample();
    let lost = Extent::Chunk { id: ChunkId([9; 32]), length: 5000 };
    entries.push((
        path("/a/broken"),
        Entry { size: 15_000, ..entry(EntryKind::File(Content::Extents(vec![lost, lost, lost]))) },
    ));
    let tree = tree(&chunks, &entries);
    for format in [Format::Tar, Format::Zip] {
        let (mut bytes, listener) = (Vec::new(), Listener::default());
        let summary = export(&tree, part(&path("/"), 0), format, &mut bytes, &listener).unwrap();
        assert_eq!((summary.damaged, summary.files), (1, 7));
        let told = listener.0.into_inner().unwrap();
        assert!(told.len() == 1 && told[0].starts_with("/a/broken: "), "{told:?}");
        if format == Format::Tar
            && let Some(list) = ask("tar", &["-tvf", "-"], &bytes)
        {
            assert!(list.contains(" 15000 ") && list.contains("a/special"), "{list}");
        }
    }
}
