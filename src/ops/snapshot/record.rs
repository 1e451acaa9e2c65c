//! What the record of a snapshot, and the summary of its run, say.

use super::run::{ReadSource, Run};
use super::summary::Summary;
use crate::repo::entry::Timestamp;
use crate::repo::record::{Completeness, Private, SnapshotKind, SourceKind, Statistics, Structure};
use crate::repo::wire::Extensions;

impl Run<'_> {
    /// What the caller is told.
    pub(super) fn summary(&self, read: &ReadSource, full: bool) -> Summary {
        Summary {
            snapshot: None,
            parent: self.parent.map(|parent| parent.id),
            counts: read.assembled.counts,
            bytes_added: read.figures.bytes,
            bytes_stored: read.figures.stored,
            chunks_added: read.figures.data_chunks + read.figures.catalog_chunks,
            data_chunks_added: read.figures.data_chunks,
            packs: read.packs.len() as u64,
            problems: read.problems,
            full,
            started: self.clock,
            seconds: 0.0,
        }
    }

    /// What the repository keeps.
    pub(super) fn record(&self, read: &ReadSource, full: bool) -> (Structure, Private) {
        let (root, options) = (&read.assembled.root, self.options);
        let structure = Structure {
            root: root.skeleton,
            entries: root.entries,
            bytes: root.bytes,
            source: SourceKind::FILES,
            kind: if full { SnapshotKind::Full } else { SnapshotKind::Incremental },
            completeness: Completeness::Complete,
            tokens: self.tokens.clone(),
            time: options.time.unwrap_or(self.clock),
            heads: self.session.heads_digest(),
            parent: self.parent.map(|parent| parent.id),
            extensions: Extensions::default(),
        };
        let private = Private {
            host: options.host.clone(),
            user: options.user.clone(),
            uid: rustix::process::getuid().as_raw(),
            gid: rustix::process::getgid().as_raw(),
            root: b"/".to_vec(),
            paths: options.root_bytes(),
            tags: options.tags.clone(),
            excludes: options.excludes.clone(),
            program: concat!("boveda ", env!("CARGO_PKG_VERSION")).to_owned(),
            started: self.clock,
            finished: Timestamp::now(),
            statistics: statistics(read),
            original: None,
            extensions: Extensions::default(),
        };
        (structure, private)
    }
}

fn statistics(read: &ReadSource) -> Statistics {
    let counts = &read.assembled.counts;
    Statistics {
        files_new: counts.files_new,
        files_changed: counts.files_changed,
        files_unmodified: counts.files_unmodified,
        dirs_new: counts.dirs_new,
        dirs_changed: counts.dirs_changed,
        dirs_unmodified: counts.dirs_unmodified,
        data_chunks: read.figures.data_chunks,
        catalog_chunks: read.figures.catalog_chunks,
        bytes_processed: counts.bytes,
        bytes_read: read.assembled.bytes_read,
        bytes_added: read.figures.bytes,
        bytes_stored: read.figures.stored,
        errors: read.problems,
    }
}
