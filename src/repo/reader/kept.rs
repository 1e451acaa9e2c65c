//! Segments on this machine's disk, sealed as they came from a place that is far away.
//!
//! Invariant: what is given back is, byte for byte, what its table promises: each segment is kept under its BLAKE3, and compared with
//! that. So nothing ever has to be taken out because something changed, damage costs a request, and whoever removes the folder
//! loses time only. Nobody can read more from it than from the place itself.

use crate::crypto::hash::{self, hex};
use crate::crypto::secret::random;
use crate::repo::id::ChunkKind;
use crate::repo::segment::SegmentDescriptor;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

/// How much is kept by default.
pub const DEFAULT_KEPT: u64 = 1 << 30;

/// Which segments are worth keeping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Those of catalogs: every command begins with them.
    Catalogs,
    /// Content as well: for who reads here and there, and comes back.
    All,
}

/// A folder of segments.
#[derive(Debug)]
pub struct KeptSegments {
    folder: PathBuf,
    keep: Keep,
    /// How many bytes they may have together.
    most: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Bytes of all of them; not counted before the first is added. Others may add some meanwhile: the next count sees them.
    bytes: Option<u64>,
    /// Whether the disk would not take one: then it is not asked again.
    off: bool,
}

impl KeptSegments {
    /// Segments in `folder`, made when it is needed; at most about `most` bytes of them.
    pub fn new(folder: PathBuf, keep: Keep, most: u64) -> Self {
        Self { folder, keep, most, state: Mutex::default() }
    }

    /// Whether a segment is to be added once it was read.
    pub(super) fn wants(&self, row: &SegmentDescriptor) -> bool {
        let worth = self.keep == Keep::All || row.kind != ChunkKind::Data;
        worth && u64::from(row.length) <= self.most / 8 && !self.state().off
    }

    /// The sealed bytes, if they are here. They count as used now.
    pub(super) fn get(&self, row: &SegmentDescriptor) -> Option<Vec<u8>> {
        let path = self.path(&row.hash);
        let mut file = File::open(&path).ok()?;
        let mut bytes = Vec::with_capacity(row.length as usize);
        let whole = file.read_to_end(&mut bytes).is_ok() && hash::blake3(&bytes) == row.hash;
        if !whole {
            // If it stays, it is of no use the next time either.
            let _ = fs::remove_file(path);
            return None;
        }
        // Without that it only goes sooner.
        let _ = file.set_modified(SystemTime::now());
        Some(bytes)
    }

    /// Adds sealed bytes that are what `row` says. A disk that does not take them costs time, now and later, and nothing else.
    pub(super) fn add(&self, row: &SegmentDescriptor, sealed: &[u8]) {
        if self.put(&row.hash, sealed).is_err() || self.make_room(sealed.len() as u64).is_err() {
            self.state().off = true;
        }
    }

    fn put(&self, hash: &[u8; 32], sealed: &[u8]) -> io::Result<()> {
        let unfinished = self.folder.join(format!("new-{}", hex(&random::<16>())));
        let create = || OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished);
        let mut file = match create() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
                create()?
            }
            created => created?,
        };
        // Not synced: what a power cut leaves of it is compared as well.
        let done = file.write_all(sealed).and_then(|()| fs::rename(&unfinished, self.path(hash)));
        if done.is_err() {
            let _ = fs::remove_file(&unfinished);
        }
        done
    }

    /// Counts what was added, and removes what was not used for the longest time once there is too much.
    fn make_room(&self, added: u64) -> io::Result<()> {
        let mut state = self.state();
        let bytes = state.bytes.map(|bytes| bytes + added);
        if bytes.is_some_and(|bytes| bytes <= self.most) {
            state.bytes = bytes;
            return Ok(());
        }
        let mut all = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            // Another process may have removed it just now.
            if let Ok(about) = entry.metadata() {
                all.push((about.modified()?, about.len(), entry.path()));
            }
        }
        all.sort();
        let mut bytes = all.iter().map(|(_, length, _)| length).sum();
        // Some more than is needed: counting takes its time.
        let enough = if bytes > self.most { self.most / 8 * 7 } else { self.most };
        for (_, length, path) in all {
            if bytes <= enough {
                break;
            }
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => bytes -= length,
            }
        }
        state.bytes = Some(bytes);
        Ok(())
    }

    fn path(&self, hash: &[u8; 32]) -> PathBuf {
        self.folder.join(hex(hash))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves a count that is right or missing.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::segment::rows_for_tests;
    use proptest::strategy::{Strategy as _, ValueTree as _};
    use proptest::test_runner::TestRunner;
    use std::os::unix::fs::PermissionsExt as _;
    use std::time::Duration;

    fn row(kind: ChunkKind, sealed: &[u8]) -> SegmentDescriptor {
        let rows = rows_for_tests(0).prop_filter("one at least", |rows| !rows.is_empty());
        let one = rows.new_tree(&mut TestRunner::deterministic()).unwrap().current().remove(0);
        SegmentDescriptor { kind, length: sealed.len() as u32, hash: hash::blake3(sealed), ..one }
    }

    fn kept(most: u64, keep: Keep) -> (tempfile::TempDir, KeptSegments) {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("deep/segments");
        (place, KeptSegments::new(folder, keep, most))
    }

    #[test]
    fn what_was_added_comes_back_and_damage_does_not() {
        let (_place, kept) = kept(1 << 20, Keep::Catalogs);
        let (sealed, other) = (vec![7; 5000], vec![8; 100]);
        let row = row(ChunkKind::Payload, &sealed);
        assert!(kept.get(&row).is_none() && kept.wants(&row));
        kept.add(&row, &sealed);
        assert_eq!(kept.get(&row), Some(sealed.clone()));
        let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(kept.folder.clone()), mode(kept.path(&row.hash))), (0o700, 0o600));
        for bad in [&other[..], &[], &sealed[..4999]] {
            fs::write(kept.path(&row.hash), bad).unwrap();
            assert_eq!(kept.get(&row), None);
            assert!(!kept.path(&row.hash).exists());
        }
    }

    #[test]
    fn only_what_is_worth_it_is_wanted() {
        let (_place, kept) = kept(1 << 20, Keep::Catalogs);
        let sealed = vec![7; 5000];
        let data = row(ChunkKind::Data, &sealed);
        assert!(!kept.wants(&data));
        let all = KeptSegments::new(kept.folder.clone(), Keep::All, 1 << 20);
        assert!(all.wants(&data));
        assert!(!all.wants(&SegmentDescriptor { length: 1 << 18, ..data.clone() }), "more than an eighth");
        // Content that is here is given back to whoever asks.
        all.add(&data, &sealed);
        assert_eq!(kept.get(&data), Some(sealed));
    }

    #[test]
    fn what_was_not_used_for_long_goes_first() {
        let (_place, kept) = kept(80_000, Keep::All);
        let rows: Vec<_> = (0..12u8).map(|n| (row(ChunkKind::Data, &vec![n; 8000]), vec![n; 8000])).collect();
        let day = Duration::from_secs(24 * 3600);
        for (n, (row, sealed)) in rows.iter().enumerate().take(10) {
            kept.add(row, sealed);
            let file = File::options().write(true).open(kept.path(&row.hash)).unwrap();
            file.set_modified(SystemTime::now() - day * (20 - n as u32)).unwrap();
        }
        assert!(kept.get(&rows[0].0).is_some(), "the oldest, and now the one that was used last");
        kept.add(&rows[10].0, &rows[10].1);
        let there: Vec<_> = rows.iter().map(|(row, _)| kept.path(&row.hash).exists()).collect();
        assert_eq!(there[..3], [true, false, false], "{there:?}");
        assert!(there[4..11].iter().all(|there| *there), "{there:?}");
    }

    #[test]
    fn a_disk_that_takes_nothing_is_not_asked_again() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("file");
        fs::write(&file, "no folder").unwrap();
        let kept = KeptSegments::new(file.join("segments"), Keep::All, 1 << 20);
        let sealed = vec![7; 5000];
        let row = row(ChunkKind::Data, &sealed);
        kept.add(&row, &sealed);
        assert!(!kept.wants(&row) && kept.get(&row).is_none());
    }
}
