//! Catalogs from their roots down. Who reads content holds every page against what led to it; who does not, a maintainer, follows
//! the skeletons alone.

use super::Run;
use crate::repo::catalog::{self, Expected, TreeRoot, check_page};
use crate::repo::chunks::Bytes;
use crate::repo::id::{ChunkId, ChunkKind, SnapshotId};
use crate::repo::reader::Reader;
use crate::repo::repository::{self, Snapshot};
use std::collections::{BTreeSet, HashSet};
use std::sync::PoisonError;

impl Run<'_> {
    /// Every page of every snapshot, and that everything it refers to has a place.
    pub(super) fn catalogs(&self, reader: &Reader) -> Result<(), repository::Error> {
        if self.repository.bundle().role().reads_content() { self.pages(reader) } else { self.skeletons(reader) }
    }

    fn pages(&self, reader: &Reader) -> Result<(), repository::Error> {
        let root = |snapshot: &Snapshot| {
            let structure = &snapshot.structure;
            let root = TreeRoot { skeleton: structure.root, entries: structure.entries, bytes: structure.bytes };
            (snapshot.id, Expected::root(&root))
        };
        let mut pending: Vec<(SnapshotId, Expected)> = self.repository.snapshots().iter().map(root).collect();
        // Snapshots share most pages, and say the same of them.
        let mut seen = HashSet::new();
        while let Some((snapshot, expected)) = pending.pop() {
            self.go_on()?;
            if seen.insert(expected.clone()) {
                pending.extend(self.page(reader, &snapshot, &expected)?.into_iter().map(|below| (snapshot, below)));
            }
        }
        Ok(())
    }

    /// One page of a snapshot; returns those that it refers to.
    fn page(
        &self,
        reader: &Reader,
        snapshot: &SnapshotId,
        expected: &Expected,
    ) -> Result<Vec<Expected>, repository::Error> {
        let id = expected.id();
        let Some((skeleton, references)) = self.skeleton(reader, snapshot, id)? else { return Ok(vec![]) };
        let Some(payload) = self.chunk(reader, ChunkKind::Payload, references.payload)? else { return Ok(vec![]) };
        let page = match check_page(&skeleton, &payload) {
            Ok(page) => page,
            Err(error) => {
                self.bad_page(snapshot, id, &error);
                return Ok(vec![]);
            }
        };
        // What lies below is looked at all the same: more may be wrong there.
        if let Err(fault) = expected.check(&page) {
            self.bad_page(snapshot, id, &fault);
        }
        Ok(expected.below(&page))
    }

    /// What maintainers see: references, without names.
    fn skeletons(&self, reader: &Reader) -> Result<(), repository::Error> {
        let mut seen = BTreeSet::new();
        let roots = self.repository.snapshots().iter().map(|snapshot| (snapshot.id, snapshot.structure.root));
        let mut pending: Vec<(SnapshotId, ChunkId)> = roots.collect();
        while let Some((snapshot, id)) = pending.pop() {
            self.go_on()?;
            if seen.insert(id)
                && let Some((_, references)) = self.skeleton(reader, &snapshot, id)?
            {
                self.has_place(reader.index(), ChunkKind::Payload, references.payload);
                pending.extend(references.children.into_iter().map(|child| (snapshot, child)));
            }
        }
        Ok(())
    }

    /// A skeleton, and that the content it refers to has a place.
    fn skeleton(
        &self,
        reader: &Reader,
        snapshot: &SnapshotId,
        id: ChunkId,
    ) -> Result<Option<(Bytes, catalog::References)>, repository::Error> {
        let Some(bytes) = self.chunk(reader, ChunkKind::Skeleton, id)? else { return Ok(None) };
        match catalog::references(&bytes) {
            Ok(references) => {
                references.data.iter().for_each(|data| self.has_place(reader.index(), ChunkKind::Data, *data));
                Ok(Some((bytes, references)))
            }
            Err(error) => {
                self.bad_page(snapshot, id, &error);
                Ok(None)
            }
        }
    }

    /// A page that is no good, with one of the snapshots that have it.
    fn bad_page(&self, snapshot: &SnapshotId, id: ChunkId, why: &dyn std::error::Error) {
        self.bad.lock().unwrap_or_else(PoisonError::into_inner).insert((ChunkKind::Skeleton, id));
        self.find(format!("catalog page {id} of snapshot {snapshot}"), why, false);
    }
}
