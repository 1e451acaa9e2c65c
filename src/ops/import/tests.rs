//! Archives of every make, honest and not.

use super::gather::{Gathered, entry};
use super::reader::{Error, Reader};
use crate::repo::entry::{Entry, EntryKind, EntryPath, Timestamp};
use proptest::prelude::*;
use std::process::{Command, Stdio};
use tar::EntryType;

fn header(name: &[u8], kind: u8, size: u64) -> [u8; 512] {
    let mut header = tar::Header::new_ustar();
    header.as_ustar_mut().unwrap().name[..name.len()].copy_from_slice(name);
    header.set_entry_type(EntryType::new(kind));
    header.set_mode(0o640);
    header.set_size(size);
    header.set_mtime(1_234_567_890);
    header.set_uid(5);
    header.set_gid(6);
    header.set_cksum();
    *header.as_bytes()
}

/// A member with its content, filled up to whole blocks.
fn member(name: &[u8], kind: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = header(name, kind, content.len() as u64).to_vec();
    bytes.extend_from_slice(content);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

fn link(name: &[u8], kind: u8, to: &[u8]) -> Vec<u8> {
    let mut header = tar::Header::from_byte_slice(&header(name, kind, 0)).clone();
    header.as_ustar_mut().unwrap().linkname[..to.len()].copy_from_slice(to);
    header.set_cksum();
    header.as_bytes().to_vec()
}

/// What was refused, and why.
type Refusals = Vec<(String, &'static str)>;

/// What an archive gives: accepted entries, and what was refused.
fn gather(archive: &[u8]) -> (Vec<(String, Entry)>, Refusals) {
    let (mut reader, mut refused) = (Reader::new(archive), Vec::new());
    let mut gathered = Gathered::new(EntryPath::default(), Timestamp::default(), 0, 0);
    while let Some(member) = reader.next().unwrap() {
        let name = member.name.escape_ascii().to_string();
        let taken = gathered.path(&member.name).and_then(|path| {
            if member.kind == EntryType::Link {
                gathered.make_way(&path, false)?;
                return gathered.link(path, &member.link);
            }
            let entry = entry(member)?;
            gathered.make_way(&path, entry.kind == EntryKind::Directory)?;
            gathered.put(path, entry);
            Ok(())
        });
        refused.extend(taken.err().map(|reason| (name, reason)));
    }
    let shown = |(path, entry): (EntryPath, Entry)| (path.to_bytes().escape_ascii().to_string(), entry);
    (gathered.finish().map(shown).collect(), refused)
}

fn names(archive: &[u8]) -> Vec<String> {
    gather(archive).0.into_iter().map(|(name, _)| name).collect()
}

#[test]
fn names_stay_inside_and_folders_are_made() {
    let archive = [
        member(b"/etc/passwd", b'0', b"root"),
        member(b"./a//b", b'0', b""),
        member(b"../up", b'0', b"x"),
        member(b"a/../../up", b'5', b""),
        member(b"..", b'5', b""),
    ]
    .concat();
    assert_eq!(names(&archive), ["/", "/a", "/etc", "/a/b", "/etc/passwd"]);
    let (_, refused) = gather(&archive);
    assert_eq!(refused.len(), 3);
    assert!(refused.iter().all(|(_, reason)| reason.contains("leads up")), "{refused:?}");
}

#[test]
fn nothing_goes_through_links_or_files() {
    let archive = [
        link(b"out", b'2', b"/etc"),
        member(b"out/passwd", b'0', b"x"),
        member(b"file", b'0', b"x"),
        member(b"file/below", b'0', b"x"),
        member(b"dir/kept", b'0', b"x"),
        member(b"dir", b'0', b"x"),
        link(b"hard", b'1', b"/no/such"),
        link(b"hard2", b'1', b"../../etc/passwd"),
        link(b"hard3", b'1', b"dir"),
    ]
    .concat();
    let (entries, refused) = gather(&archive);
    let names: Vec<_> = entries.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["/", "/dir", "/file", "/out", "/dir/kept"]);
    assert_eq!(
        entries[3].1.kind,
        EntryKind::Symlink(b"/etc".to_vec()),
        "it points where it points, and nothing follows it"
    );
    assert_eq!(refused.len(), 6, "{refused:?}");
}

#[test]
fn later_members_win_and_hard_links_share_an_inode() {
    let archive = [
        member(b"a", b'0', b""),
        link(b"b", b'1', b"./a"),
        link(b"c", b'1', b"b"),
        member(b"x", b'0', b""),
        member(b"x", b'6', b""),
        link(b"d", b'1', b"x"),
        member(b"d", b'0', b""),
    ]
    .concat();
    let (entries, refused) = gather(&archive);
    assert!(refused.is_empty(), "{refused:?}");
    let links = |at: usize| entries[at].1.links.map(|links| (links.inode, links.links));
    assert_eq!((links(1), links(2), links(3)), (Some((1, 3)), Some((1, 3)), Some((1, 3))));
    assert_eq!((links(4), links(5)), (None, None));
    assert_eq!(entries[5].1.kind, EntryKind::Fifo);
}

#[test]
fn an_archive_that_is_cut_or_damaged_is_an_error() {
    let whole = [member(b"a", b'0', &[7; 2000]), member(b"b", b'0', b"x")].concat();
    let read = |bytes: &[u8]| {
        let mut reader = Reader::new(bytes);
        while reader.next()?.is_some() {}
        Ok::<_, Error>(())
    };
    read(&whole).unwrap();
    for length in [1, 511, 513, 2000, 2559, 2561, 3000, whole.len() - 1] {
        assert!(matches!(read(&whole[..length]), Err(Error::Read { .. })), "{length}");
    }
    let mut flipped = whole.clone();
    flipped[0] ^= 1;
    assert!(matches!(read(&flipped), Err(Error::Format { .. })));
    assert!(matches!(read(b""), Err(Error::Format { .. })));
    let mut gzip = vec![0; 1024];
    gzip[..2].copy_from_slice(&[0x1f, 0x8b]);
    assert!(read(&gzip).unwrap_err().to_string().contains("gzip -dc"));
    for description in [b'x', b'L', b'g'] {
        let huge = header(b"huge", description, 1 << 40);
        assert!(matches!(read(&huge), Err(Error::Format { .. })));
    }
    for size in ["18446744073709551615", "9223372036854775808"] {
        for key in ["size", "GNU.sparse.realsize"] {
            let mut record = format!(" {key}={size}\n");
            record.insert_str(0, &(record.len() + 2).to_string());
            let endless = [member(b"pax", b'x', record.as_bytes()), member(b"a", b'0', b"x")].concat();
            let refused = read(&endless).unwrap_err().to_string();
            assert!(refused.contains("longer than any file"), "{record}{refused}");
        }
    }
    let lying = member(b"pax", b'x', b"99 path=x\n");
    assert!(matches!(read(&lying), Err(Error::Format { .. })));
    let sparse = [member(b"pax", b'x', b"34 GNU.sparse.map=0,5,18446744073\n"), member(b"s", b'0', b"12345")].concat();
    assert!(matches!(read(&sparse), Err(Error::Format { .. })));
}

/// An archive of `files` made by GNU tar in one of its formats; `None` without GNU tar.
fn gnu_tar(folder: &std::path::Path, arguments: &[&str]) -> Option<Vec<u8>> {
    let mut command = Command::new("tar");
    command.current_dir(folder).args(arguments).args(["-cf", "-", "."]).stderr(Stdio::null());
    match command.output() {
        Ok(output) if output.status.success() => Some(output.stdout),
        _ => {
            eprintln!("skipped: no GNU tar that takes {arguments:?} here");
            None
        }
    }
}

#[test]
fn every_format_of_gnu_tar_is_read() {
    let temp = tempfile::tempdir().unwrap();
    let long = "long".repeat(40);
    std::fs::create_dir_all(temp.path().join(&long)).unwrap();
    std::fs::write(temp.path().join(&long).join("file"), "content").unwrap();
    std::os::unix::fs::symlink(&long, temp.path().join("link")).unwrap();
    let sparse = std::fs::File::create(temp.path().join("sparse")).unwrap();
    for part in 0..40u64 {
        std::os::unix::fs::FileExt::write_all_at(&sparse, &[part as u8 + 1; 4096], part << 20).unwrap();
    }
    sparse.set_len(64 << 20).unwrap();
    for arguments in [
        &["--format=gnu", "--sparse"][..],
        &["--format=gnu"],
        &["--format=pax", "--sparse"],
        &["--format=pax", "--sparse", "--sparse-version=0.0"],
        &["--format=pax", "--sparse", "--sparse-version=0.1"],
        &["--format=oldgnu", "--sparse"],
    ] {
        let Some(archive) = gnu_tar(temp.path(), arguments) else { continue };
        let mut reader = Reader::new(&archive[..]);
        let (mut seen, mut links) = (0, 0);
        while let Some(member) = reader.next().unwrap() {
            let name = String::from_utf8(member.name.clone()).unwrap();
            if name == "./sparse" {
                seen += 1;
                assert_eq!(member.size, 64 << 20, "{arguments:?}");
                let stretches = member.sparse.unwrap_or_else(|| vec![(0, member.size)]);
                assert_eq!(stretches.len() >= 40, arguments.contains(&"--sparse"), "{arguments:?}");
                for (start, length) in stretches {
                    let mut bytes = vec![0; length as usize];
                    assert_eq!(reader.read(&mut bytes).unwrap(), bytes.len());
                    for part in 0..40u64 {
                        if let Some(at) = (part << 20).checked_sub(start).filter(|at| *at < length) {
                            assert_eq!(bytes[at as usize], part as u8 + 1, "{arguments:?} {part}");
                        }
                    }
                }
            }
            links += usize::from(member.link == long.as_bytes());
            seen += usize::from(name == format!("./{long}/file") && member.size == 7);
        }
        assert_eq!((seen, links), (2, 1), "{arguments:?}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..2000), at in 0usize..1500, byte: u8) {
        let mut reader = Reader::new(&bytes[..]);
        while let Ok(Some(_)) = reader.next() {}
        let mut archive = [member(b"pax", b'x', b"22 GNU.sparse.major=1\n"), member(b"a", b'S', b"12\n")].concat();
        let at = at % archive.len();
        archive[at] = byte;
        let mut reader = Reader::new(&archive[..]);
        while let Ok(Some(_)) = reader.next() {}
    }
}
