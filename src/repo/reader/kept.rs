//! Segments on this machine's disk, sealed as they came from a place that is far away.
//!
//! Invariant: what is given back is, byte for byte, what its table promises: each segment is kept under its BLAKE3, and compared with
//! that. So nothing ever has to be taken out because something changed, damage costs a request, and whoever removes the folder
//! loses time only. Nobody can read more from it than from the place itself.

use crate::crypto::hash::{self, hex};
use crate::repo::id::ChunkKind;
use crate::repo::segment::SegmentDescriptor;
use crate::store::shelf::Shelf;
use std::path::PathBuf;

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
    shelf: Shelf,
    keep: Keep,
}

impl KeptSegments {
    /// Segments in `folder`, made when it is needed; at most about `most` bytes of them.
    pub fn new(folder: PathBuf, keep: Keep, most: u64) -> Self {
        Self { shelf: Shelf::new(folder, most), keep }
    }

    /// Whether a segment is to be added once it was read.
    pub(super) fn wants(&self, row: &SegmentDescriptor) -> bool {
        let worth = self.keep == Keep::All || row.kind != ChunkKind::Data;
        worth && self.shelf.takes(row.length.into())
    }

    /// The sealed bytes, if they are here. They count as used now.
    pub(super) fn get(&self, row: &SegmentDescriptor) -> Option<Vec<u8>> {
        self.shelf.get(&hex(&row.hash), |bytes| hash::blake3(bytes) == row.hash)
    }

    /// Adds sealed bytes that are what `row` says. A disk that does not take them costs time, now and later, and nothing else.
    pub(super) fn add(&self, row: &SegmentDescriptor, sealed: &[u8]) {
        self.shelf.add(&hex(&row.hash), sealed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::segment::rows_for_tests;
    use proptest::strategy::{Strategy as _, ValueTree as _};
    use proptest::test_runner::TestRunner;
    use std::fs::{self, File};
    use std::os::unix::fs::PermissionsExt as _;
    use std::time::{Duration, SystemTime};

    fn path(kept: &KeptSegments, hash: &[u8; 32]) -> PathBuf {
        kept.shelf.path(&hex(hash))
    }

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
        assert_eq!((mode(kept.shelf.path("")), mode(path(&kept, &row.hash))), (0o700, 0o600));
        for bad in [&other[..], &[], &sealed[..4999]] {
            fs::write(path(&kept, &row.hash), bad).unwrap();
            assert_eq!(kept.get(&row), None);
            assert!(!path(&kept, &row.hash).exists());
        }
    }

    #[test]
    fn only_what_is_worth_it_is_wanted() {
        let (_place, kept) = kept(1 << 20, Keep::Catalogs);
        let sealed = vec![7; 5000];
        let data = row(ChunkKind::Data, &sealed);
        assert!(!kept.wants(&data));
        let all = KeptSegments::new(kept.shelf.path(""), Keep::All, 1 << 20);
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
            let file = File::options().write(true).open(path(&kept, &row.hash)).unwrap();
            file.set_modified(SystemTime::now() - day * (20 - n as u32)).unwrap();
        }
        assert!(kept.get(&rows[0].0).is_some(), "the oldest, and now the one that was used last");
        kept.add(&rows[10].0, &rows[10].1);
        let there: Vec<_> = rows.iter().map(|(row, _)| path(&kept, &row.hash).exists()).collect();
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
