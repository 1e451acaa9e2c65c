//! From location and secret to an open repository, seen from this host.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::sync::Arc;

use super::context::Context;
use super::copies;
use super::error::{Code, Failure};
use super::escape;
use super::output::Output;
use super::selector::{Filter, Listed, Selector};
use super::snapshot_list::Shown;
use crate::ops::host::Host;
use crate::repo::catalog::{PageCache, Tree};
use crate::repo::chunk_index::ChunkIndex;
use crate::repo::entry::EntryPath;
use crate::repo::id::{SnapshotId, WriterId};
use crate::repo::keys::role::Role;
use crate::repo::names::IndexClass;
use crate::repo::reader::{DEFAULT_CACHE, Keep, Reader};
use crate::repo::repository::{self, Repository, Snapshot};
use crate::store::Store;
use crate::store::fallback::{FallbackStore, Other};
use crate::store::open::open_with;

/// Bytes of decoded catalog pages that several catalogs keep together.
const PAGES: usize = 32 << 20;

/// An open repository and this host.
pub struct Opened {
    /// The repository.
    pub repository: Repository,
    /// This host.
    pub host: Host,
}

/// Opens the repository that the options name.
///
/// # Errors
/// With the exit code of what failed: 2, 5, 10, 12 …
pub fn open(context: &Context, output: &Arc<Output>) -> Result<Opened, Failure> {
    opened(context.open_store(output)?, Look::Whole, context, output)
}

/// As [`open`], for commands that are not there to prove what the place itself holds: of small objects that this machine read or put
/// before, a listing that shows the same bytes is enough.
///
/// # Errors
/// As [`open`].
pub fn open_near(context: &Context, output: &Arc<Output>) -> Result<Opened, Failure> {
    opened(context.open_store_near(output)?, Look::Whole, context, output)
}

/// As [`open_near`], for who takes snapshots, forgets or prunes: all of these look again, or are held to the log's next position.
///
/// # Errors
/// As [`open`].
pub fn open_to_act(context: &Context, output: &Arc<Output>) -> Result<Opened, Failure> {
    opened(context.open_store_near(output)?, Look::Glance, context, output)
}

/// How much is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    Whole,
    Glance,
}

fn opened(store: Arc<dyn Store>, look: Look, context: &Context, output: &Arc<Output>) -> Result<Opened, Failure> {
    // Whether there is a repository at all is known before a password is asked for.
    let looked = repository::look(&store, &**output)?;
    let looked = if look == Look::Glance { looked.at_a_glance() } else { looked };
    let host = host(context, output)?;
    let repository = host.open_looked(&looked, &context.credential(output)?)?;
    Ok(Opened { repository, host })
}

/// As [`open`], for who only reads: what is damaged or missing at that place is read from the copies that the configuration names. What is read
/// over a network is kept on this machine, as far as `keep` says that it is worth it.
///
/// # Errors
/// As [`open`].
pub fn open_to_read(context: &Context, output: &Arc<Output>, keep: Keep) -> Result<Opened, Failure> {
    let opened = open_with_copies(context, output)?;
    let most = context.kept_of_network()?.filter(|most| *most > 0);
    let host = match most {
        Some(most) => opened.host.keeping(keep, most),
        None => opened.host,
    };
    Ok(Opened { host, ..opened })
}

fn open_with_copies(context: &Context, output: &Arc<Output>) -> Result<Opened, Failure> {
    let usable = |copy: copies::Target| copy.url.ok().map(|url| (copy.name, url, copy.access));
    let copies: Vec<_> = copies::configured(context)?.into_iter().filter_map(usable).collect();
    if copies.is_empty() {
        return open_near(context, output);
    }
    let store = context.open_store_near(output).map_err(|failure| {
        let there = copies.iter().map(|(_, url, _)| format!("-r {url}")).collect::<Vec<_>>().join(" or ");
        failure.hint(format!("if the place is lost, read from a copy: {there}"))
    })?;
    let other = |(name, url, access)| Other::new(name, Box::new(move || open_with(&url, &access)));
    let others = copies.into_iter().map(other).collect();
    let store: Arc<dyn Store> = Arc::new(FallbackStore::new(store, others, Arc::clone(output) as _));
    opened(store, Look::Whole, context, output)
}

/// As [`open`], also where snapshots are gone that this host remembers; returns them.
///
/// # Errors
/// As [`open`].
pub fn open_despite_losses(
    context: &Context,
    output: &Arc<Output>,
) -> Result<(Opened, Vec<(WriterId, SnapshotId)>), Failure> {
    let store = context.open_store(output)?;
    repository::look(&store, &**output)?;
    let host = host(context, output)?;
    let (repository, gone) = host.open_despite_losses(store, &context.credential(output)?)?;
    Ok((Opened { repository, host }, gone))
}

/// This host, as the options and the environment describe it.
///
/// # Errors
/// When no folder for its state or its caches is named.
pub fn host(context: &Context, output: &Arc<Output>) -> Result<Host, Failure> {
    let installation = context.variable("BOVEDA_INSTALLATION").map(|text| text.to_string_lossy().into_owned());
    Ok(Host::new(&context.state_folder()?, &context.cache_folder()?, installation, Arc::clone(output) as _))
}

/// Refuses, with exit code 5, what the role may not do.
///
/// # Errors
/// When `allowed` says no.
pub fn require(repository: &Repository, allowed: fn(Role) -> bool, action: &str) -> Result<(), Failure> {
    let role = repository.bundle().role();
    if allowed(role) {
        return Ok(());
    }
    Err(Failure::new(Code::Refused, format!("a {role}'s keys do not allow {action}"))
        .hint("use a password or key of a principal whose role allows it; docs/keys.md explains the roles"))
}

/// A snapshot as it is shown.
pub fn shown(snapshot: &Snapshot) -> Shown<'_> {
    let (structure, private) = (&snapshot.structure, snapshot.private.as_ref());
    Shown { id: snapshot.id, structure, private, tags: &snapshot.tags }
}

/// The snapshot that `selector` names.
///
/// # Errors
/// When it names none or several: candidates are listed.
pub fn find<'a>(
    repository: &'a Repository,
    selector: &Selector,
    filter: &Filter,
    context: &Context,
) -> Result<&'a Snapshot, Failure> {
    let snapshots = repository.snapshots();
    let listed: Vec<Listed> = snapshots.iter().map(|snapshot| shown(snapshot).listed()).collect();
    Ok(&snapshots[selector.resolve(&listed, filter, &context.zone)?])
}

/// Catalogs over one reader and one cache of pages: what snapshots share is read once.
pub struct Trees {
    source: Arc<Reader>,
    pages: Arc<PageCache>,
}

impl Trees {
    /// The catalog of a snapshot.
    pub fn of(&self, snapshot: &Snapshot) -> Tree {
        Tree::with_cache(Arc::clone(&self.source) as _, snapshot.structure.root, Arc::clone(&self.pages))
    }
}

impl Opened {
    /// The catalogs of several snapshots, with what their chunks are read by: those of these classes only.
    ///
    /// # Errors
    /// When the indexes cannot be read.
    pub fn trees(&self, classes: &[IndexClass]) -> Result<Trees, Failure> {
        let source = Arc::new(self.host.reader(&self.repository, classes, DEFAULT_CACHE)?);
        Ok(Trees { source, pages: Arc::new(PageCache::new(PAGES)) })
    }

    /// The catalog of a snapshot, with what its chunks are read by: those of these classes only.
    ///
    /// # Errors
    /// When the indexes cannot be read.
    pub fn tree(&self, snapshot: &Snapshot, classes: &[IndexClass]) -> Result<Tree, Failure> {
        Ok(self.tree_and_index(snapshot, classes)?.0)
    }

    /// The same, and where the chunks are.
    ///
    /// # Errors
    /// As [`Self::tree`].
    pub fn tree_and_index(
        &self,
        snapshot: &Snapshot,
        classes: &[IndexClass],
    ) -> Result<(Tree, Arc<ChunkIndex>), Failure> {
        let reader = self.host.reader(&self.repository, classes, DEFAULT_CACHE)?;
        let index = Arc::clone(reader.index());
        Ok((Tree::open(Arc::new(reader), snapshot.structure.root), index))
    }
}

/// `path` as seen from the folder `base`, or from the root.
///
/// # Errors
/// When a part of it is a name that no file can have.
pub fn below(base: Option<&EntryPath>, path: &OsStr) -> Result<EntryPath, Failure> {
    let shown = || escape::name(path.as_bytes());
    let found = EntryPath::parse(&[b"/", path.as_bytes()].concat());
    let found = found.ok_or_else(|| Failure::usage(format!("{} holds a name that no file can have", shown())))?;
    Ok(EntryPath(base.into_iter().flat_map(|base| &base.0).chain(&found.0).cloned().collect()))
}
