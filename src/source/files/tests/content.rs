//! Content, its holes, and files that change while they are read.

use super::super::content::{Change, Read, SMALLEST_HOLE, SourceFile};
use super::*;
use crate::source::Cause;
use rustix::fs::{CWD, Mode};
use std::io::Write;
use std::os::unix::fs::FileExt;

/// Everything read, holes as zeros, and the holes' places and lengths.
fn read_all(file: &mut SourceFile<'_>, buffer: usize) -> (Vec<u8>, Vec<(usize, u64)>) {
    let mut buffer = vec![0xee; buffer];
    let (mut bytes, mut holes) = (Vec::new(), Vec::new());
    let start = file.position();
    loop {
        match file.read(&mut buffer).unwrap() {
            Read::Data(count) => bytes.extend_from_slice(&buffer[..count]),
            Read::Hole(length) => {
                holes.push((bytes.len(), length));
                bytes.resize(bytes.len() + usize::try_from(length).unwrap(), 0);
            }
            Read::End => break,
        }
        assert_eq!(file.position() - start, bytes.len() as u64);
    }
    (bytes, holes)
}

#[test]
fn files_of_all_sizes_are_read_whole() {
    let temp = temp();
    for size in [0, 1, 4_095, 4_096, 4_097, 3_000_000] {
        let content: Vec<u8> = (0..size).map(|n: u32| (n % 251) as u8).collect();
        std::fs::write(temp.path().join("f"), &content).unwrap();
        let (directory, child) = find(temp.path(), b"f");
        for buffer in [1 << 20, 4_096, 1_000] {
            let mut file = SourceFile::open(&directory.handle, &child).unwrap();
            assert_eq!(read_all(&mut file, buffer), (content.clone(), vec![]));
            assert_eq!(file.check_unchanged().unwrap(), Change::Same);
        }
    }
}

#[test]
fn holes_are_found_and_small_ones_read_as_zeros() {
    let temp = temp();
    let file = std::fs::File::create(temp.path().join("f")).unwrap();
    let size = 10 << 20;
    file.set_len(size).unwrap();
    // Data at 1 MiB, small holes within the next, data again at 5 MiB, a hole at the end.
    for at in [1 << 20, (1 << 20) + 8_192, (1 << 20) + 24_576, 5 << 20] {
        file.write_all_at(&[1; 4_096], at).unwrap();
    }
    let (directory, child) = find(temp.path(), b"f");
    if child.stat.blocks * 512 >= child.stat.size {
        eprintln!("SKIPPED: this file system keeps no holes");
        return;
    }
    let expected = std::fs::read(temp.path().join("f")).unwrap();
    for buffer in [1 << 20, 10_000] {
        let mut file = SourceFile::open(&directory.handle, &child).unwrap();
        let (bytes, holes) = read_all(&mut file, buffer);
        assert!(bytes == expected);
        let end = (1 << 20) + 28_672;
        assert_eq!(holes, [(0, 1 << 20), (end, (5 << 20) - end as u64), ((5 << 20) + 4_096, size - (5 << 20) - 4_096)]);
        assert!(holes.iter().all(|(_, length)| *length >= SMALLEST_HOLE));
        assert_eq!(file.check_unchanged().unwrap(), Change::Same);
    }
}

#[test]
fn a_file_of_nothing_but_a_hole_costs_no_reading() {
    let temp = temp();
    std::fs::File::create(temp.path().join("f")).unwrap().set_len(1 << 42).unwrap();
    let (directory, child) = find(temp.path(), b"f");
    let mut file = SourceFile::open(&directory.handle, &child).unwrap();
    let mut buffer = [0; 10];
    assert_eq!(file.read(&mut buffer).unwrap(), Read::Hole(1 << 42));
    assert_eq!(file.read(&mut buffer).unwrap(), Read::End);
    assert_eq!(file.check_unchanged().unwrap(), Change::Same);
}

/// Opens a file of 100,000 bytes, reads some, lets `change` do its work, reads the rest; what then is said of it, and how
/// much was read.
fn changed_by(change: impl FnOnce(&Path)) -> (Change, u64) {
    let temp = temp();
    let path = temp.path().join("f");
    std::fs::write(&path, vec![5; 100_000]).unwrap();
    // So that any tick of the clock shows.
    let old = rustix::fs::Timespec { tv_sec: 1_000_000_000, tv_nsec: 0 };
    let times = rustix::fs::Timestamps { last_access: old, last_modification: old };
    rustix::fs::utimensat(CWD, &path, &times, rustix::fs::AtFlags::empty()).unwrap();
    let (directory, child) = find(temp.path(), b"f");
    let mut file = SourceFile::open(&directory.handle, &child).unwrap();
    assert_eq!(file.read(&mut [0; 5_000]).unwrap(), Read::Data(5_000));
    std::thread::sleep(std::time::Duration::from_millis(20));
    change(&path);
    read_all(&mut file, 5_000);
    (file.check_unchanged().unwrap(), file.position())
}

#[test]
fn changes_while_reading_are_seen() {
    let append = |path: &Path| {
        std::fs::OpenOptions::new().append(true).open(path).unwrap().write_all(&[6; 100_000]).unwrap();
    };
    let truncate = |path: &Path| std::fs::OpenOptions::new().write(true).open(path).unwrap().set_len(50_000).unwrap();
    let overwrite = |path: &Path| {
        std::fs::OpenOptions::new().write(true).open(path).unwrap().write_all_at(&[7; 10], 0).unwrap();
    };
    let forbid =
        |path: &Path| std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    assert_eq!(changed_by(|_| ()), (Change::Same, 100_000));
    assert_eq!(changed_by(append), (Change::Changed, 100_000));
    assert_eq!(changed_by(truncate), (Change::Changed, 50_000));
    assert_eq!(changed_by(overwrite), (Change::Changed, 100_000));
    assert_eq!(changed_by(forbid), (Change::Changed, 100_000));
    assert_eq!(changed_by(|path| std::fs::remove_file(path).unwrap()), (Change::Vanished, 100_000));
}

#[test]
fn a_file_is_settled_once_the_clock_has_moved_on() {
    let temp = temp();
    let path = temp.path().join("f");
    std::fs::write(&path, b"x").unwrap();
    let settled_with = |modified| {
        let time = rustix::fs::Timespec { tv_sec: modified, tv_nsec: 5 };
        let times = rustix::fs::Timestamps { last_access: time, last_modification: time };
        rustix::fs::utimensat(CWD, &path, &times, rustix::fs::AtFlags::empty()).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(50));
        let (directory, child) = find(temp.path(), b"f");
        SourceFile::open(&directory.handle, &child).unwrap().settled()
    };
    assert!(settled_with(1_000_000_000));
    assert!(!settled_with(9_000_000_000));
}

#[test]
fn what_is_opened_is_what_is_there_now_if_it_is_a_file() {
    let temp = temp();
    let path = temp.path().join("f");
    std::fs::write(&path, b"old").unwrap();
    let (directory, child) = find(temp.path(), b"f");
    std::fs::write(temp.path().join("new"), b"newer").unwrap();
    std::fs::rename(temp.path().join("new"), &path).unwrap();
    let mut file = SourceFile::open(&directory.handle, &child).unwrap();
    assert_ne!(file.stat().ino, child.stat.ino);
    assert_eq!(file.describe(&Default::default()).entry.size, 5);
    assert_eq!(read_all(&mut file, 100).0, b"newer");

    let replaced = || SourceFile::open(&directory.handle, &child).map(|_| ()).unwrap_err().cause;
    std::fs::remove_file(&path).unwrap();
    assert!(SourceFile::open(&directory.handle, &child).is_err_and(|problem| problem.vanished()));
    std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
    assert_eq!(replaced(), Cause::Replaced);
    std::fs::remove_file(&path).unwrap();
    rustix::fs::mkfifoat(CWD, &path, Mode::RUSR).unwrap();
    assert_eq!(replaced(), Cause::Replaced);
    std::fs::remove_file(&path).unwrap();
    let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    assert_eq!(replaced(), Cause::Replaced);
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    assert_eq!(replaced(), Cause::Replaced);
}

#[test]
fn a_virtual_file_whose_size_lies_is_read_and_reported() {
    let (directory, child) = find(&PathBuf::from(format!("/proc/{}", std::process::id())), b"status");
    assert_eq!(child.stat.size, 0);
    let mut file = SourceFile::open(&directory.handle, &child).unwrap();
    assert!(read_all(&mut file, 1_000).0.starts_with(b"Name:"));
    assert_eq!(file.check_unchanged().unwrap(), Change::Changed);
}
