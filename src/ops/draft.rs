//! The record of a new snapshot of files: what every way of taking one says of itself.

use crate::repo::catalog::TreeRoot;
use crate::repo::entry::Timestamp;
use crate::repo::id::SnapshotId;
use crate::repo::record::{Completeness, Private, SnapshotKind, SourceKind, Statistics, Structure, Tokens};
use crate::repo::repository::WriteSession;
use crate::repo::wire::Extensions;

/// What differs between one snapshot of files and another.
#[derive(Debug)]
pub struct Draft<'a> {
    /// The catalog.
    pub root: &'a TreeRoot,
    /// The host that the snapshot shows.
    pub host: &'a str,
    /// The user who takes it.
    pub user: &'a str,
    /// What it is of: absolute paths.
    pub paths: Vec<Vec<u8>>,
    /// Tags.
    pub tags: &'a [String],
    /// The rules by which something was left out, as they were given.
    pub excludes: Vec<String>,
    /// The time that the snapshot shows, if not when the run began.
    pub time: Option<Timestamp>,
    /// When the run began.
    pub started: Timestamp,
    /// Whether every byte was read.
    pub kind: SnapshotKind,
    /// Whether the run came to its end.
    pub completeness: Completeness,
    /// The snapshot that unchanged files were taken from.
    pub parent: Option<SnapshotId>,
    /// What the run did.
    pub statistics: Statistics,
}

impl Draft<'_> {
    /// The record for `session` to commit; it says that the run ends now.
    pub fn record(self, session: &WriteSession<'_>) -> (Structure, Private) {
        let key = session.repository().bundle().structure_key();
        let structure = Structure {
            root: self.root.skeleton,
            entries: self.root.entries,
            bytes: self.root.bytes,
            source: SourceKind::FILES,
            kind: self.kind,
            completeness: self.completeness,
            tokens: Tokens::of(key, self.host, &self.paths, self.tags),
            time: self.time.unwrap_or(self.started),
            heads: session.heads_digest(),
            parent: self.parent,
            extensions: Extensions::default(),
        };
        let private = Private {
            host: self.host.to_owned(),
            user: self.user.to_owned(),
            uid: rustix::process::getuid().as_raw(),
            gid: rustix::process::getgid().as_raw(),
            root: b"/".to_vec(),
            paths: self.paths,
            tags: self.tags.to_vec(),
            excludes: self.excludes,
            program: concat!("boveda ", env!("CARGO_PKG_VERSION")).to_owned(),
            started: self.started,
            finished: Timestamp::now(),
            statistics: self.statistics,
            original: None,
            extensions: Extensions::default(),
        };
        (structure, private)
    }
}
