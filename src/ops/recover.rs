//! `recover`: finds catalogs whose record is lost, and makes snapshots of them.
//!
//! A catalog's root is a page that no other page and no record names. A session that committed has its record, and one that
//! did not finish leaves several such pages: what is left to find is a session whose only loose page starts with the root's
//! own entry. What the record said besides (host, paths, tags) is lost; it is guessed, and the snapshot is tagged `recovered`.

use super::host::Host;
use super::rewrite;
use super::snapshot;
use super::tree_copy::Copied;
use crate::event::{Event, Sink};
use crate::repo::catalog::{self, PageItems, Sums, Tree, open_page};
use crate::repo::chunks::{self, ChunkSource as _};
use crate::repo::entry::{EntryKind, EntryPath, Timestamp};
use crate::repo::id::{ChunkId, ChunkKind, SnapshotId, WriterId};
use crate::repo::names::{Name, SessionName};
use crate::repo::reader::{DEFAULT_CACHE, Reader};
use crate::repo::record::{Completeness, Private, SnapshotKind, SourceKind, Statistics, Structure, Tokens};
use crate::repo::repository::{self, Content, Repository, WriteSession};
use crate::repo::segment::Origin;
use crate::repo::session_view::Outcome;
use crate::repo::wire::Extensions;
use crate::source::files::exclude::ExcludeSet;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// The tag of recovered snapshots.
pub const TAG: &str = "recovered";

/// A catalog whose record is lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// Its root page.
    pub root: ChunkId,
    /// The session that wrote that page.
    pub session: SessionName,
    /// When that session began; if that is lost too, the newest change in its top folders.
    pub time: Timestamp,
    /// The host of the same writer's other snapshots; none if there are none.
    pub host: Option<String>,
    /// The innermost folders that all of it lies in.
    pub paths: Vec<Vec<u8>>,
    /// What it holds.
    pub sums: Sums,
}

/// What was found.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// Whole catalogs, by session.
    pub lost: Vec<Lost>,
    /// Sessions that left pieces of a catalog that they did not finish.
    pub unfinished: u64,
}

/// How to recover.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The host that the snapshots show where it is not known.
    pub host: String,
    /// The user who does it.
    pub user: String,
}

/// Looks through every pack for catalogs that no record names. Takes long: it reads what no index names whole.
///
/// # Errors
/// When the role does not allow it, the store fails, or somebody asked to stop.
pub fn find(repository: &Repository, host: &Host, events: &dyn Sink) -> Result<Found, snapshot::Error> {
    let role = repository.bundle().role();
    if !rewrite::allowed(role) {
        return Err(repository::Error::Role { role, action: "recovering snapshots" }.into());
    }
    let reader = Arc::new(host.reader_of_all_packs(repository, DEFAULT_CACHE)?);
    let known = known_roots(repository);
    let mut tops: BTreeMap<SessionName, Vec<(ChunkId, bool)>> = BTreeMap::new();
    for (id, origin) in loose_pages(&reader, events)? {
        let session = SessionName { writer: origin.writer, seq: origin.seq };
        if known.contains(&id) || has_record(repository, &session) {
            continue;
        }
        match open_page(&*reader, &id).map(|page| page.items) {
            Ok(PageItems::Entries(entries)) => {
                let first = entries.first().is_some_and(|(path, _)| path.0.is_empty());
                tops.entry(session).or_default().push((id, first));
            }
            Ok(PageItems::Pages(pages)) => {
                let first = pages.first().is_some_and(|(path, ..)| path.0.is_empty());
                tops.entry(session).or_default().push((id, first));
            }
            // A long file's extents: never a root.
            Ok(PageItems::Extents(_) | PageItems::ExtentPages(_)) => {}
            Err(fault) => damaged(&id, &fault, events),
        }
    }
    let mut found = Found::default();
    for (session, tops) in tops {
        match tops[..] {
            [(root, true)] => found.lost.push(describe(repository, &reader, session, root)?),
            _ => found.unfinished += 1,
        }
    }
    Ok(found)
}

fn damaged(id: &ChunkId, fault: &dyn std::fmt::Display, events: &dyn Sink) {
    let (object, what) = (format!("catalog page {id}"), fault.to_string());
    events.emit(Event::Damage { object, what, healed: false });
}

/// The roots of all records, those of forgotten snapshots too.
fn known_roots(repository: &Repository) -> HashSet<ChunkId> {
    let root = |found: &crate::repo::session_view::Snapshot| {
        let keys = repository.bundle().epoch(found.record.epoch()).ok()?;
        Some(found.record.structure(&keys.index).ok()?.root)
    };
    repository.view().snapshots.values().filter_map(root).collect()
}

/// Whether a session's outcome is known, so that it has lost no record.
fn has_record(repository: &Repository, session: &SessionName) -> bool {
    let view = repository.view();
    let covered = session.seq <= view.watermark(&session.writer);
    covered || matches!(view.sessions.get(session), Some(Outcome::Committed(_)))
}

/// Pages that no page names, with the session that wrote them.
fn loose_pages(reader: &Reader, events: &dyn Sink) -> Result<Vec<(ChunkId, Origin)>, repository::Error> {
    let mut origins: HashMap<ChunkId, Origin> = HashMap::new();
    let mut named = HashSet::new();
    let mut skeletons = Vec::new();
    for known in reader.index().segments() {
        let (_, segment) = known?;
        if segment.kind == ChunkKind::Skeleton {
            skeletons.extend(segment.ids.iter().map(|id| (*id, segment.origin)));
        }
    }
    for (id, origin) in skeletons {
        if origins.insert(id, origin).is_some() {
            continue;
        }
        if events.stopping() {
            return Err(chunks::Error::Stopped.into());
        }
        match reader.get(ChunkKind::Skeleton, &id) {
            Ok(bytes) => match catalog::references(&bytes) {
                Ok(references) => named.extend(references.children),
                Err(error) => damaged(&id, &error, events),
            },
            Err(error @ chunks::Error::Store(_)) => return Err(error.into()),
            Err(error) => damaged(&id, &error, events),
        }
    }
    let mut loose: Vec<_> = origins.into_iter().filter(|(id, _)| !named.contains(id)).collect();
    loose.sort_unstable_by_key(|(id, _)| *id);
    Ok(loose)
}

fn describe(
    repository: &Repository,
    reader: &Arc<Reader>,
    session: SessionName,
    root: ChunkId,
) -> Result<Lost, snapshot::Error> {
    let source: Arc<dyn chunks::ChunkSource> = Arc::<Reader>::clone(reader);
    let tree = Tree::open(source, root);
    let opened = match repository.content(&Name::Open(session)) {
        Ok(Content::Open(open)) => Some(Timestamp { seconds: open.time, nanoseconds: 0 }),
        _ => None,
    };
    let (paths, newest) = top_folders(&tree)?;
    let same = repository.snapshots().iter().rev().find(|snapshot| snapshot.session.writer == session.writer);
    let host = same.map(|snapshot| snapshot.host().to_owned()).filter(|host| !host.is_empty());
    let sums = tree.sums(&EntryPath::default())?;
    Ok(Lost { root, session, time: opened.unwrap_or(newest), host, paths, sums })
}

/// Down from the root while there is one folder and nothing else; and the newest change on that way.
fn top_folders(tree: &Tree) -> Result<(Vec<Vec<u8>>, Timestamp), catalog::Error> {
    let (mut at, mut newest) = (EntryPath::default(), Timestamp::default());
    loop {
        let children = tree.children(&at, None).collect::<Result<Vec<_>, _>>()?;
        newest = children.iter().map(|(_, _, entry)| entry.changed).chain([newest]).max().unwrap_or(newest);
        match &children[..] {
            [(_, name, entry)] if entry.kind == EntryKind::Directory => at = at.join(name.clone()),
            [] => return Ok((vec![at.to_bytes()], newest)),
            many if at.0.is_empty() => {
                return Ok((many.iter().map(|(_, name, _)| at.join(name.clone()).to_bytes()).collect(), newest));
            }
            _ => return Ok((vec![at.to_bytes()], newest)),
        }
    }
}

/// Makes a snapshot of a catalog as `writer`, whose lock the caller holds. Files whose content is lost too are reported and
/// left out, and the snapshot is partial then. Returns the snapshot, and how many entries are lost.
///
/// # Errors
/// When nothing was committed.
pub fn recover(
    repository: &mut Repository,
    host: &Host,
    writer: WriterId,
    lost: &Lost,
    options: &Options,
    events: &dyn Sink,
) -> Result<(SnapshotId, u64), snapshot::Error> {
    let reader = Arc::new(host.reader_of_all_packs(repository, DEFAULT_CACHE)?);
    let tree = Tree::open(reader, lost.root);
    let session = repository.begin(writer, false)?;
    match make(&session, &tree, lost, options, events) {
        Ok(made) => Ok(made),
        Err(error) => {
            session.abort(&error.to_string());
            Err(error)
        }
    }
}

fn make(
    session: &WriteSession<'_>,
    tree: &Tree,
    lost: &Lost,
    options: &Options,
    events: &dyn Sink,
) -> Result<(SnapshotId, u64), snapshot::Error> {
    let (copied, packs, figures) = rewrite::store(session, tree, &ExcludeSet::default(), true, events)?;
    let host = lost.host.clone().unwrap_or_else(|| options.host.clone());
    let private = Private {
        host,
        user: options.user.clone(),
        uid: rustix::process::getuid().as_raw(),
        gid: rustix::process::getgid().as_raw(),
        root: b"/".to_vec(),
        paths: lost.paths.clone(),
        tags: vec![TAG.to_owned()],
        program: concat!("boveda ", env!("CARGO_PKG_VERSION")).to_owned(),
        started: lost.time,
        finished: lost.time,
        statistics: rewrite::statistics(&Statistics { errors: copied.lost, ..Statistics::default() }, &figures),
        ..Private::default()
    };
    let id = session.commit(&packs, &structure(session, lost, &copied, &private), &private)?;
    Ok((id, copied.lost))
}

fn structure(session: &WriteSession<'_>, lost: &Lost, copied: &Copied, private: &Private) -> Structure {
    let structure_key = session.repository().bundle().structure_key();
    Structure {
        root: copied.root.skeleton,
        entries: copied.root.entries,
        bytes: copied.root.bytes,
        source: SourceKind::FILES,
        kind: SnapshotKind::Incremental,
        completeness: if copied.lost == 0 { Completeness::Complete } else { Completeness::Partial },
        tokens: Tokens::of(structure_key, &private.host, &private.paths, &private.tags),
        time: lost.time,
        heads: session.heads_digest(),
        parent: None,
        extensions: Extensions::default(),
    }
}
