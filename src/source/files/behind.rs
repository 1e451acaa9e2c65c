//! Drop-behind: reading a large file once must not push what other programs work with out of the page cache.
//!
//! Invariant: only pages that nobody had in memory before are dropped, as far as the kernel tells. It is asked well ahead of
//! the reading, since it reads ahead itself. Where it does not tell, nothing is dropped.

use super::resident::absent;
use rustix::fd::OwnedFd;
use rustix::fs::Advice;
use std::collections::VecDeque;
use std::num::NonZeroU64;
use std::ops::Range;

/// Files from this size on. Smaller ones share folders with what is in use, and are many: asking would cost more than it saves.
const LARGE: u64 = 4 << 20;
/// So far ahead of the reading it is known what is in memory: further than the kernel reads ahead, which is twice the disk's
/// `read_ahead_kb` for a file that is read from front to back, with settings of up to 24 MiB.
const AHEAD: u64 = 64 << 20;
/// So much is asked for at a time.
const STEP: u64 = 8 << 20;
/// So much is dropped at a time, at most.
const AT_ONCE: u64 = 4 << 20;

/// What a file's reading has brought into memory, or will.
#[derive(Debug)]
pub(super) struct Behind {
    size: u64,
    /// Up to here it was asked what is in memory.
    asked: u64,
    /// Stretches that were not, in order, and are not dropped yet.
    absent: VecDeque<Range<u64>>,
}

impl Behind {
    /// For a file of this size; `None` when it is not large.
    pub fn of(size: u64) -> Option<Self> {
        (size >= LARGE).then(|| Self { size, asked: 0, absent: VecDeque::new() })
    }

    /// Drops what was read up to `position`, and looks ahead. Call it before each reading, the last included, which finds the
    /// end.
    pub fn advance(&mut self, file: &OwnedFd, position: u64) {
        while let Some(stretch) = self.absent.front().filter(|stretch| stretch.end <= position) {
            // Advice only: what stays is dropped by the kernel in its own time.
            let length = NonZeroU64::new(stretch.end - stretch.start);
            let _ = rustix::fs::fadvise(file, stretch.start, length, Advice::DontNeed);
            self.absent.pop_front();
        }
        while self.asked < self.size.min(position.saturating_add(AHEAD)) {
            let next = self.asked..self.size.min(self.asked + STEP);
            self.asked = next.end;
            match absent(file, &next) {
                Some(windows) => windows.into_iter().for_each(|window| self.note(window)),
                // It will not tell of the rest either.
                None => self.asked = self.size,
            }
        }
    }

    fn note(&mut self, window: Range<u64>) {
        match self.absent.back_mut() {
            Some(last) if last.end == window.start && window.end - last.start <= AT_ONCE => {
                last.end = window.end;
            }
            _ => self.absent.push_back(window),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::files::content::{Read, SourceFile};
    use crate::source::files::tests::find;
    use std::fs::File;
    use std::os::unix::fs::FileExt as _;
    use std::path::Path;

    const MIB: u64 = 1 << 20;

    fn drop_all(path: &Path) {
        let file = File::open(path).unwrap();
        file.sync_all().unwrap();
        rustix::fs::fadvise(&file, 0, None, Advice::DontNeed).unwrap();
    }

    /// The MiBs of which nothing is in memory.
    fn gone(path: &Path) -> Vec<u64> {
        let file = OwnedFd::from(File::open(path).unwrap());
        let size = std::fs::metadata(path).unwrap().len();
        absent(&file, &(0..size)).unwrap().into_iter().map(|window| window.start / MIB).collect()
    }

    fn read(folder: &Path) {
        let (directory, child) = find(folder, b"f");
        let mut file = SourceFile::open(&directory.handle, &child).unwrap();
        let mut buffer = vec![0; 1 << 20];
        while file.read(&mut buffer).unwrap() != Read::End {}
    }

    #[test]
    fn what_nobody_had_in_memory_leaves_it_again_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        // Longer than what is asked for at the start.
        let size = 84 * MIB + 5000;
        std::fs::write(&path, vec![7; usize::try_from(size).unwrap()]).unwrap();
        drop_all(&path);
        let all: Vec<u64> = (0..=84).collect();
        if gone(&path) != all {
            eprintln!("SKIPPED: this file system keeps files in memory");
            return;
        }
        read(folder.path());
        assert_eq!(gone(&path), all, "everything was read by us alone");

        // Somebody uses two places of it.
        let file = File::open(&path).unwrap();
        rustix::fs::fadvise(&file, 0, None, Advice::Random).unwrap();
        for at in [3 * MIB + 9000, 80 * MIB] {
            file.read_exact_at(&mut [0; 100], at).unwrap();
        }
        let others: Vec<u64> = (0..=84).filter(|mib| ![3, 80].contains(mib)).collect();
        assert_eq!(gone(&path), others);
        read(folder.path());
        assert_eq!(gone(&path), others);

        // Somebody uses all of it.
        std::fs::read(&path).unwrap();
        read(folder.path());
        assert_eq!(gone(&path), [0; 0]);
    }

    #[test]
    fn small_files_are_left_alone() {
        assert!(Behind::of(LARGE - 1).is_none() && Behind::of(LARGE).is_some());
    }
}
