//! `rewrite`: a snapshot again, without what some patterns name.
//!
//! The new snapshot has the old one's time, host, paths and tags, and says which one it was made from. The old one stays.

use super::host::Host;
use super::snapshot;
use super::tree_copy::{self, Copied, TreeCopy};
use crate::event::Sink;
use crate::repo::catalog::{CatalogKeys, Sums, Tree};
use crate::repo::effort::Effort;
use crate::repo::id::{SnapshotId, WriterId};
use crate::repo::keys::role::Role;
use crate::repo::names::IndexClass;
use crate::repo::pack::{PackSize, PackSummary};
use crate::repo::reader::DEFAULT_CACHE;
use crate::repo::record::{Private, Statistics, Structure, Tokens};
use crate::repo::repository::{self, Repository, Snapshot, WriteSession};
use crate::repo::writer::{Figures, SharedLane};
use crate::source::files::exclude::ExcludeSet;
use std::sync::Arc;

/// How to rewrite.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// What to leave out, as patterns.
    pub excludes: Vec<String>,
    /// Write nothing, say what would be left out.
    pub dry_run: bool,
}

/// A snapshot that is to be without something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rewritten {
    /// The new snapshot; none in a dry run.
    pub snapshot: Option<SnapshotId>,
    /// What it leaves out.
    pub left_out: Sums,
}

/// Whether a role may rewrite: it reads the old snapshot and adds the new one.
pub const fn allowed(role: Role) -> bool {
    role.reads_content() && role.writes()
}

/// Rewrites one snapshot as `writer`, whose lock the caller holds; `None` when nothing in it fits a pattern.
///
/// # Errors
/// When nothing was committed.
pub fn rewrite(
    repository: &mut Repository,
    host: &Host,
    writer: WriterId,
    id: &SnapshotId,
    options: &Options,
    events: &dyn Sink,
) -> Result<Option<Rewritten>, snapshot::Error> {
    let role = repository.bundle().role();
    if !allowed(role) {
        return Err(repository::Error::Role { role, action: "rewriting snapshots" }.into());
    }
    let excludes = ExcludeSet::new(&options.excludes)?;
    let reader = Arc::new(host.reader(repository, &IndexClass::BOTH, DEFAULT_CACHE)?);
    let tree = Tree::open(reader, find(repository, id)?.structure.root);
    let left_out = tree_copy::left_out(&tree, &excludes)?;
    if left_out.entries == 0 {
        return Ok(None);
    }
    if options.dry_run {
        return Ok(Some(Rewritten { snapshot: None, left_out }));
    }
    let session = repository.begin(writer, false)?;
    match copy(&session, &tree, id, &excludes, options, events) {
        Ok(rewritten) => Ok(Some(rewritten)),
        Err(error) => {
            session.abort(&error.to_string());
            Err(error)
        }
    }
}

fn find<'a>(repository: &'a Repository, id: &SnapshotId) -> Result<&'a Snapshot, repository::Error> {
    let found = repository.snapshots().iter().find(|snapshot| snapshot.id == *id);
    found.ok_or_else(|| repository::Error::Label(format!("snapshot {id} is gone")))
}

fn copy(
    session: &WriteSession<'_>,
    tree: &Tree,
    id: &SnapshotId,
    excludes: &ExcludeSet,
    options: &Options,
    events: &dyn Sink,
) -> Result<Rewritten, snapshot::Error> {
    // As the session sees it: the log may have changed its tags, or forgotten it.
    let snapshot = find(session.repository(), id)?;
    let (copied, packs, figures) = store(session, tree, excludes, false, events)?;
    let (structure, private) = record(session, snapshot, &copied, &figures, options)?;
    let new = session.commit(&packs, &structure, &private)?;
    Ok(Rewritten { snapshot: Some(new), left_out: copied.left_out })
}

/// Copies a catalog through a session into packs.
///
/// # Errors
/// As [`TreeCopy::run`]; the store's own error where that is the reason.
pub(super) fn store(
    session: &WriteSession<'_>,
    tree: &Tree,
    excludes: &ExcludeSet,
    lenient: bool,
    events: &dyn Sink,
) -> Result<(Copied, Vec<PackSummary>, Figures), snapshot::Error> {
    let id_key = session.repository().bundle().id_key().expect("a session is begun with a writer's keys only");
    let keys = CatalogKeys::derive(id_key);
    let writer = session.pack_writer(Effort::default(), PackSize::default());
    let lane = SharedLane::new(writer.lane());
    let copy = TreeCopy { tree, index: session.index(), sink: &lane, keys: &keys, excludes, lenient, events };
    let copied = copy.run().and_then(|copied| Ok(lane.flush().map(|()| copied)?));
    lane.close();
    // The pack thread's own error says more than "stopped" does.
    let (packs, figures) = writer.finish()?;
    Ok((copied?, packs, figures))
}

fn record(
    session: &WriteSession<'_>,
    old: &Snapshot,
    copied: &Copied,
    figures: &Figures,
    options: &Options,
) -> Result<(Structure, Private), repository::Error> {
    let bundle = session.repository().bundle();
    let role = bundle.role();
    let known =
        old.private.as_ref().ok_or(repository::Error::Role { role, action: "reading this snapshot's record" })?;
    let structure = Structure {
        root: copied.root.skeleton,
        entries: copied.root.entries,
        bytes: copied.root.bytes,
        tokens: Tokens::of(bundle.structure_key(), &known.host, &known.paths, &old.tags),
        heads: session.heads_digest(),
        ..old.structure.clone()
    };
    let private = Private {
        tags: old.tags.clone(),
        excludes: known.excludes.iter().chain(&options.excludes).cloned().collect(),
        program: concat!("boveda ", env!("CARGO_PKG_VERSION")).to_owned(),
        statistics: statistics(&known.statistics, figures),
        original: Some(known.original.unwrap_or(old.id)),
        ..known.clone()
    };
    Ok((structure, private))
}

/// What the run on the source did stays; what storing took is the new session's.
pub(super) const fn statistics(source: &Statistics, figures: &Figures) -> Statistics {
    Statistics {
        data_chunks: figures.data_chunks,
        catalog_chunks: figures.catalog_chunks,
        bytes_added: figures.bytes,
        bytes_stored: figures.stored,
        ..*source
    }
}
