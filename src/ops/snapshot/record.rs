//! What the record of a snapshot, and the summary of its run, say.

use super::run::{Reached, Run};
use super::summary::Summary;
use crate::ops::draft::Draft;
use crate::repo::id::SnapshotId;
use crate::repo::record::{Completeness, Private, SnapshotKind, Statistics, Structure};
use crate::repo::repository::WriteSession;

impl Run<'_> {
    /// What the caller is told.
    pub(super) fn summary(&self, snapshot: Option<SnapshotId>) -> Summary {
        let figures = self.assembler.figures();
        Summary {
            snapshot,
            parent: self.parent.as_ref().map(|parent| parent.id),
            counts: figures.counts,
            bytes_added: self.figures.bytes,
            bytes_stored: self.figures.stored,
            chunks_added: self.figures.data_chunks + self.figures.catalog_chunks,
            data_chunks_added: self.figures.data_chunks,
            packs: self.packs,
            level: self.figures.level(),
            deltas: self.figures.deltas,
            partials: self.partials,
            unchanged: false,
            problems: self.tally.problems(),
            full: figures.reused == 0,
            started: self.clock,
            seconds: 0.0,
        }
    }

    /// What the repository keeps.
    pub(super) fn record(
        &self,
        session: &WriteSession<'_>,
        reached: &Reached,
        completeness: Completeness,
    ) -> (Structure, Private) {
        let options = self.options;
        let full = self.assembler.figures().reused == 0;
        let draft = Draft {
            root: &reached.root,
            host: &options.host,
            user: &options.user,
            paths: options.root_bytes(),
            tags: &options.tags,
            excludes: options.excludes.texts(),
            time: options.time,
            started: self.clock,
            kind: if full { SnapshotKind::Full } else { SnapshotKind::Incremental },
            completeness,
            parent: self.parent.as_ref().map(|parent| parent.id),
            statistics: self.statistics(),
        };
        draft.record(session)
    }

    fn statistics(&self) -> Statistics {
        let figures = self.assembler.figures();
        let counts = &figures.counts;
        Statistics {
            files_new: counts.files_new,
            files_changed: counts.files_changed,
            files_unmodified: counts.files_unmodified,
            dirs_new: counts.dirs_new,
            dirs_changed: counts.dirs_changed,
            dirs_unmodified: counts.dirs_unmodified,
            data_chunks: self.figures.data_chunks,
            catalog_chunks: self.figures.catalog_chunks,
            bytes_processed: counts.bytes,
            bytes_read: figures.bytes_read,
            bytes_added: self.figures.bytes,
            bytes_stored: self.figures.stored,
            errors: self.tally.problems(),
        }
    }
}
