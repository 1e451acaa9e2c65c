//! The directories of the target that are being filled, and their handles.
//!
//! A [`Folder`] lives as long as anything below it is still to be written: children hold their parent, so whoever drops
//! the last holder applies its attributes, and always after those of everything below. Few handles are open at a time,
//! however deep the tree: one that was closed is found again from the target, name by name, and must be the same inode.

use super::attributes::{Attributes, Inode};
use super::beneath::{self, Identity};
use super::context::Context;
use super::flags;
use crate::repo::entry::{EntryName, EntryPath};
use lru::LruCache;
use rustix::fs::{FileType, Mode};
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

/// Handles kept open besides those in use: well below the usual limit of 1,024 for a process.
const KEPT: NonZeroUsize = NonZeroUsize::new(256).expect("not zero");

/// Where a directory of the target is, and which one it was when it was first opened.
#[derive(Debug, Clone)]
pub(super) struct Location {
    /// Its path in the snapshot.
    pub(super) path: EntryPath,
    identity: Identity,
}

/// A directory of the target that something is still to be written into.
#[derive(Debug)]
pub(super) struct Folder {
    parent: Option<Arc<Folder>>,
    /// Where it is.
    pub(super) location: Location,
    /// Whether what is made inside starts with ACLs or flags of this directory.
    pub(super) inherits: bool,
    /// What to apply at the end; `None` for one that keeps its own attributes.
    attributes: Option<Attributes>,
}

/// Open handles of the target's directories.
pub(super) struct Handles {
    /// `None` when there is none, and nothing will be made.
    target: Option<Arc<OwnedFd>>,
    /// Names of a snapshot's path that stand for the target.
    depth: usize,
    open: Mutex<LruCache<Identity, Arc<OwnedFd>>>,
}

impl Handles {
    /// Handles below `target`, which stands for a directory of the snapshot whose path has `depth` names.
    pub(super) fn new(target: Option<OwnedFd>, depth: usize) -> Self {
        Self { target: target.map(Arc::new), depth, open: Mutex::new(LruCache::new(KEPT)) }
    }

    /// An open handle of the directory at `location`.
    ///
    /// # Errors
    /// When it cannot be opened any more, or another directory stands there by now.
    pub(super) fn get(&self, location: &Location) -> io::Result<Arc<OwnedFd>> {
        if let Some(handle) = self.kept().get(&location.identity) {
            return Ok(handle.clone());
        }
        let mut handle = self.target()?.clone();
        for name in location.path.0.get(self.depth..).unwrap_or_default() {
            handle = Arc::new(beneath::open_directory(handle.as_fd(), name)?);
        }
        if Identity::from(&rustix::fs::fstat(&handle)?) != location.identity {
            return Err(io::Error::other("the directory was replaced by another one during the restore"));
        }
        self.keep(location.identity, handle.clone());
        Ok(handle)
    }

    /// Whether the target is for everybody to put things into, as `/tmp` is.
    pub(super) fn target_is_sticky(&self) -> bool {
        let stat = self.target().and_then(|target| Ok(rustix::fs::fstat(target)?));
        stat.is_ok_and(|stat| Mode::from_raw_mode(stat.st_mode).contains(Mode::SVTX))
    }

    fn target(&self) -> io::Result<&Arc<OwnedFd>> {
        self.target.as_ref().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn keep(&self, identity: Identity, handle: Arc<OwnedFd>) {
        self.kept().put(identity, handle);
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, LruCache<Identity, Arc<OwnedFd>>> {
        // The cache has no state that a panic elsewhere could leave half changed.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Folder {
    /// The target directory itself, standing for `path`; `attributes` are those to give it, if any.
    ///
    /// # Errors
    /// When its handle is unusable.
    pub(super) fn target(handles: &Handles, path: EntryPath, attributes: Option<Attributes>) -> io::Result<Arc<Self>> {
        let (location, inherits) = locate(handles.target()?.as_fd(), path, attributes.as_ref())?;
        handles.keep(location.identity, handles.target()?.clone());
        Ok(Arc::new(Self { parent: None, location, inherits, attributes }))
    }

    /// Opens the directory `name` inside `self`.
    ///
    /// # Errors
    /// When it is no directory any more or may not be entered.
    pub(super) fn enter(
        self: &Arc<Self>,
        context: &Context<'_>,
        name: &EntryName,
        attributes: Option<Attributes>,
    ) -> io::Result<Arc<Self>> {
        let parent = context.handles.get(&self.location)?;
        let handle = open_own(parent.as_fd(), name)?;
        flags::release(handle.as_fd());
        let path = self.location.path.join(name.clone());
        let (location, inherits) = locate(handle.as_fd(), path, attributes.as_ref())?;
        context.handles.keep(location.identity, Arc::new(handle));
        Ok(Arc::new(Self { parent: Some(self.clone()), location, inherits, attributes }))
    }

    /// Gives up one hold on `folder`. The last one applies its attributes, and then goes on with its parent.
    pub(super) fn leave(context: &Context<'_>, folder: Arc<Self>) {
        let mut next = Some(folder);
        while let Some(folder) = next.and_then(Arc::into_inner) {
            if let Some(attributes) = folder.attributes {
                match context.handles.get(&folder.location) {
                    Ok(handle) => {
                        attributes.apply(
                            context,
                            &Inode::open(handle.as_fd(), FileType::Directory),
                            &folder.location.path,
                        );
                    }
                    Err(error) => context.report.problem(&folder.location.path, "attributes", error),
                }
            }
            context.handles.kept().pop(&folder.location.identity);
            next = folder.parent;
        }
    }
}

/// Opens a directory; where only its mode keeps its owner out, the mode gives way (the snapshot's is applied later).
pub(super) fn open_own(parent: BorrowedFd<'_>, name: &EntryName) -> io::Result<OwnedFd> {
    match beneath::open_directory(parent, name) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
        Ok(handle) if writable(&handle)? => return Ok(handle),
        Ok(_) => {}
        other => return other,
    }
    let node = beneath::open_node(parent, name)?;
    let stat = rustix::fs::fstat(&node)?;
    if beneath::file_type(&stat) == FileType::Directory && stat.st_uid == rustix::process::geteuid().as_raw() {
        let mode = Mode::from_raw_mode(stat.st_mode) | Mode::RWXU;
        Inode::node(node.as_fd(), FileType::Directory).set_mode(mode)?;
    }
    beneath::open_directory(parent, name)
}

/// Whether this process may make names in a directory, as far as its owner's bits say. Root always may.
fn writable(handle: &OwnedFd) -> io::Result<bool> {
    if rustix::process::geteuid().is_root() {
        return Ok(true);
    }
    Ok(Mode::from_raw_mode(rustix::fs::fstat(handle)?.st_mode).contains(Mode::RWXU))
}

/// Where an open directory is, and whether what is made in it inherits something. One that others may use more than the
/// snapshot allows is closed to them before anything is written into it.
fn locate(handle: BorrowedFd<'_>, path: EntryPath, wanted: Option<&Attributes>) -> io::Result<(Location, bool)> {
    let stat = rustix::fs::fstat(handle)?;
    let surplus = wanted.map_or(0, |wanted| stat.st_mode & !wanted.mode & 0o077);
    if surplus != 0 {
        // Whoever may not change it may not change it at the end either, which is when that is reported.
        let _ = rustix::fs::fchmod(handle, Mode::from_raw_mode(stat.st_mode & 0o7777 & !surplus));
    }
    let inherits = super::xattrs::has_default_acl(handle) || flags::inheritable(handle);
    Ok((Location { path, identity: Identity::from(&stat) }, inherits))
}
