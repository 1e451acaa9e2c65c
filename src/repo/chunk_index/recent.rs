//! What is known of the segments that were asked for last: a segment's chunks are asked for one after the other, and its
//! descriptor lists them all.

use super::Damaged;
use crate::repo::segment::SegmentDescriptor;
use lru::LruCache;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Ids that the kept descriptors hold together: 4 MiB of them.
const IDS: usize = 128 << 10;

/// Descriptors by the segment's number.
pub struct Recent(Mutex<Kept>);

struct Kept {
    segments: LruCache<u32, Arc<SegmentDescriptor>>,
    ids: usize,
}

impl Recent {
    /// The descriptor of a segment, from here or from `read`.
    ///
    /// # Errors
    /// As `read`.
    pub fn get(
        &self,
        number: u32,
        read: impl FnOnce() -> Result<SegmentDescriptor, Damaged>,
    ) -> Result<Arc<SegmentDescriptor>, Damaged> {
        if let Some(known) = self.lock().segments.get(&number) {
            return Ok(Arc::clone(known));
        }
        // Not under the lock: the disk may be asked, and others need not wait for that.
        let segment = Arc::new(read()?);
        let mut guard = self.lock();
        let Kept { segments, ids } = &mut *guard;
        *ids += weight(&segment);
        if let Some(same) = segments.put(number, Arc::clone(&segment)) {
            *ids -= weight(&same);
        }
        while *ids > IDS && segments.len() > 1 {
            *ids -= segments.pop_lru().map_or(0, |(_, oldest)| weight(&oldest));
        }
        Ok(segment)
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        // A panic elsewhere leaves whole descriptors behind.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn weight(segment: &SegmentDescriptor) -> usize {
    segment.ids.len() + 1
}

impl Default for Recent {
    fn default() -> Self {
        Self(Mutex::new(Kept { segments: LruCache::unbounded(), ids: 0 }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::id::ChunkId;
    use crate::repo::segment::rows_for_tests;
    use proptest::strategy::{Strategy as _, ValueTree as _};
    use proptest::test_runner::TestRunner;

    #[test]
    fn the_budget_holds_and_what_is_kept_is_not_read_again() {
        let rows = rows_for_tests(0).prop_filter("one at least", |rows| !rows.is_empty());
        let one = rows.new_tree(&mut TestRunner::deterministic()).unwrap().current().remove(0);
        let large = SegmentDescriptor { ids: vec![ChunkId([1; 32]); IDS / 4], ..one };
        let recent = Recent::default();
        let reads = std::cell::Cell::new(0);
        let get = |number| {
            recent.get(number, || {
                reads.set(reads.get() + 1);
                Ok(large.clone())
            })
        };
        for number in [0, 1, 2, 0, 1, 2] {
            get(number).unwrap();
        }
        assert_eq!(reads.get(), 3);
        for number in [3, 4, 5, 0] {
            get(number).unwrap();
        }
        assert_eq!((reads.get(), recent.lock().segments.len()), (7, 3));
        assert!(recent.lock().ids <= IDS);
        assert!(recent.get(9, || Err(Damaged::default())).is_err());
    }
}
