//! What the kernel calls: every request becomes a question to the view, asked first of what is in memory and, if that is not
//! enough, again by the pool. Nothing is known here but how requests and replies look.

use super::answers;
use super::attr;
use super::errno::Failure;
use super::guard::Caller;
use super::listing::{Folder, Item};
use super::node::Node;
use super::opened::Open;
use super::shared::Core;
use super::view::{Patience, View};
use crate::event::Operation;
use fuser::{
    Errno, FileAttr, FileHandle, Filesystem, FopenFlags, Generation, INodeNo, InitFlags, IoctlFlags, KernelConfig,
    LockOwner, OpenFlags, ReplyAttr, ReplyData, ReplyDirectory, ReplyDirectoryPlus, ReplyEmpty, ReplyEntry, ReplyIoctl,
    ReplyLseek, ReplyOpen, ReplyStatfs, ReplyXattr, Request,
};
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::sync::Arc;
use std::time::Duration;

/// Inside a snapshot nothing ever changes.
const FOREVER: Duration = Duration::from_secs(1 << 30);
/// What stands above the snapshots changes when one is added.
const SHORT: Duration = Duration::from_secs(1);
/// Requests of the kernel's own reading ahead that may be under way.
const BACKGROUND: u16 = 64;

/// The file system.
pub struct Fs(pub Arc<Core>);

impl Filesystem for Fs {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> io::Result<()> {
        let mut wanted = vec![
            InitFlags::FUSE_PARALLEL_DIROPS,
            InitFlags::FUSE_DO_READDIRPLUS,
            InitFlags::FUSE_READDIRPLUS_AUTO,
            InitFlags::FUSE_CACHE_SYMLINKS,
            InitFlags::FUSE_EXPLICIT_INVAL_DATA,
            InitFlags::FUSE_EXPORT_SUPPORT,
            InitFlags::FUSE_HAS_IOCTL_DIR,
        ];
        if self.0.shared {
            wanted.push(InitFlags::FUSE_POSIX_ACL);
        }
        for flag in wanted {
            // What an older kernel lacks, it does without.
            let _ = config.add_capabilities(flag);
        }
        // Refused only when it is zero.
        let _ = config.set_max_background(BACKGROUND);
        Ok(())
    }

    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let (parent, name, owner) = (Node::of(parent), name.to_owned(), self.0.owner);
        let looked_for = name.clone();
        let path = move |view: &View| [&view.shown_path(parent, None), looked_for.as_bytes()].join(&b'/');
        let ask = move |view: &Arc<View>, patience| answers::lookup(view, parent, &name, owner, patience);
        let (view, axis) = (self.0.current.get(), self.0.current.get());
        self.0.answer_in(reply, &view, path, ask, move |reply, found| {
            let names = if matches!(parent, Node::Above(_) | Node::Axis(_)) { SHORT } else { FOREVER };
            let attributes = found.map_or_else(
                || attr::none(INodeNo(0)),
                |child| match child.side {
                    Some(side) => FileAttr { ino: axis.axis().hold(&side).ino(), ..child.attributes },
                    None => child.attributes,
                },
            );
            reply.entry_with_ttls(&life(&attributes), &names, &attributes, Generation(0));
        });
    }

    fn forget(&self, _: &Request, ino: INodeNo, lookups: u64) {
        if let node @ Node::Axis(_) = Node::of(ino) {
            self.0.current.get().axis().forget(node, lookups);
        }
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        let (node, owner) = (Node::of(ino), self.0.owner);
        let ask = move |view: &Arc<View>, patience| answers::attributes(view, node, owner, patience);
        self.0.answer(reply, node, ask, |reply, attributes| reply.attr(&life(&attributes), &attributes));
    }

    fn readlink(&self, _: &Request, ino: INodeNo, reply: ReplyData) {
        let node = Node::of(ino);
        let ask = move |view: &Arc<View>, patience| answers::link(view, node, patience);
        self.0.answer(reply, node, ask, |reply, target| reply.data(&target));
    }

    fn open(&self, request: &Request, ino: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        let Some(guard) = self.0.guard.clone() else {
            // From now on the kernel opens without asking, and keeps what it has read.
            return reply.error(Errno::ENOSYS);
        };
        let (core, caller, node) = (Arc::clone(&self.0), caller(request), Node::of(ino));
        let giver = Arc::clone(&self.0);
        let ask = move |view: &Arc<View>, patience| {
            let open = core.file(node, view, patience)?;
            if patience == Patience::Wait {
                core.look_about(node, &open);
            }
            // What is slow comes first: nobody is let in twice.
            let whole = core.whole(&open, patience)?;
            let snapshot = open.view.id(node.snapshot());
            guard.admit(caller, Operation::Read, snapshot, || open.file.path.clone(), patience)?;
            Ok((open, whole))
        };
        let flags = FopenFlags::FOPEN_KEEP_CACHE | FopenFlags::FOPEN_NOFLUSH;
        self.0.answer(reply, node, ask, move |reply, (open, whole)| {
            if let Some(bytes) = whole {
                giver.give(node, &open, &bytes);
            }
            reply.opened(FileHandle(0), flags);
        });
        self.0.look_around(node);
    }

    fn read(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let range = offset..offset.saturating_add(u64::from(size));
        let read = range.clone();
        let node = Node::of(ino);
        let core = Arc::clone(&self.0);
        let ask = move |open: &Open, patience| {
            // With an access log the kernel asks when it opens.
            if patience == Patience::Wait && read.start == 0 && core.guard.is_none() {
                core.look_about(node, open);
            }
            open.file.read(open.view.source(patience), read.clone())
        };
        self.0.answer_from_file(reply, node, ask, |reply, bytes| reply.data(&bytes));
        if range.start == 0 && self.0.guard.is_none() {
            self.0.look_around(node);
        }
        self.0.look_ahead(node, range);
    }

    fn lseek(&self, _: &Request, ino: INodeNo, _: FileHandle, offset: i64, whence: i32, reply: ReplyLseek) {
        let ask = move |open: &Open, patience| answers::seek(&open.file, &open.view, offset, whence, patience);
        self.0.answer_from_file(reply, Node::of(ino), ask, ReplyLseek::offset);
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        // Nor does it have to say when it is done.
        reply.error(Errno::ENOSYS);
    }

    fn opendir(&self, request: &Request, ino: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        let (node, view, core) = (Node::of(ino), self.0.current.get(), Arc::clone(&self.0));
        let flags = match node {
            Node::Above(_) | Node::Axis(_) => FopenFlags::empty(),
            _ => FopenFlags::FOPEN_CACHE_DIR | FopenFlags::FOPEN_KEEP_CACHE,
        };
        let (guard, caller, shown) = (self.0.guard.clone(), caller(request), Arc::clone(&view));
        let ask = move |view: &Arc<View>, patience| match &guard {
            None => Ok(()),
            Some(guard) => {
                let path = answers::folder_path(view, node, patience)?;
                guard.admit(caller, Operation::List, view.id(node.snapshot()), || path, patience)
            }
        };
        let path = move |view: &View| view.shown_path(node, None);
        self.0.answer_in(reply, &shown, path, ask, move |reply, ()| {
            reply.opened(core.folders.open(Folder::open(node, view, core.owner)), flags);
        });
    }

    fn readdir(&self, _: &Request, ino: INodeNo, handle: FileHandle, place: u64, reply: ReplyDirectory) {
        self.0.answer_from_folder(reply, Node::of(ino), handle, (place, false), move |mut reply, items, folder| {
            fill(items, place, folder, |item| reply.add(item.node.ino(), item.place, item.kind, &item.name));
            reply.ok();
        });
    }

    fn readdirplus(&self, _: &Request, ino: INodeNo, handle: FileHandle, place: u64, reply: ReplyDirectoryPlus) {
        let core = Arc::clone(&self.0);
        self.0.answer_from_folder(reply, Node::of(ino), handle, (place, true), move |mut reply, items, folder| {
            let last = items.last().and_then(|last| folder.ordinal_of(last));
            fill(items, place, folder, |item| {
                let attributes = item.attributes.unwrap_or_else(|| attr::none(item.node.ino()));
                let held = item.side.as_ref().map(|side| (side, folder.axis().hold(side).ino()));
                let attributes = FileAttr { ino: held.map_or(attributes.ino, |(_, ino)| ino), ..attributes };
                let life = life(&attributes);
                let full = reply.add(attributes.ino, item.place, &item.name, &life, &attributes, Generation(0));
                if let Some((_, ino)) = held.filter(|_| full) {
                    folder.axis().forget(Node::of(ino), 1);
                }
                full
            });
            reply.ok();
            last.into_iter().for_each(|last| core.look_further(last));
        });
    }

    fn releasedir(&self, _: &Request, _: INodeNo, handle: FileHandle, _: OpenFlags, reply: ReplyEmpty) {
        self.0.folders.close(handle);
        reply.ok();
    }

    fn statfs(&self, _: &Request, ino: INodeNo, reply: ReplyStatfs) {
        let ask = |view: &Arc<View>, patience| answers::totals(view, patience);
        self.0.answer(reply, Node::of(ino), ask, |reply, totals| {
            reply.statfs(
                totals.blocks,
                0,
                0,
                totals.entries,
                0,
                answers::BLOCK,
                answers::LONGEST_NAME as u32,
                answers::BLOCK,
            );
        });
    }

    fn getxattr(&self, _: &Request, ino: INodeNo, name: &OsStr, size: u32, reply: ReplyXattr) {
        let (node, name) = (Node::of(ino), name.to_owned());
        let ask = move |view: &Arc<View>, patience| answers::xattr(view, node, &name, patience);
        self.0.answer(reply, node, ask, move |reply, value| send_sized(reply, &value, size));
    }

    fn listxattr(&self, request: &Request, ino: INodeNo, size: u32, reply: ReplyXattr) {
        let (node, root) = (Node::of(ino), request.uid() == 0);
        let ask = move |view: &Arc<View>, patience| answers::xattr_names(view, node, root, patience);
        self.0.answer(reply, node, ask, move |reply, names| send_sized(reply, &names, size));
    }

    fn ioctl(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        _: IoctlFlags,
        command: u32,
        _: &[u8],
        _: u32,
        reply: ReplyIoctl,
    ) {
        let node = Node::of(ino);
        let ask = move |view: &Arc<View>, patience| answers::flags(view, node, command, patience);
        self.0.answer(reply, node, ask, |reply, flags| reply.ioctl(0, &flags.to_ne_bytes()));
    }
}

/// Who asks.
fn caller(request: &Request) -> Caller {
    Caller { uid: request.uid(), gid: request.gid(), pid: request.pid() }
}

/// How long the kernel may believe attributes. Of a snapshot that could not be read it gets none to keep.
fn life(attributes: &FileAttr) -> Duration {
    match (Node::of(attributes.ino), attributes.perm) {
        (Node::Root(_), 0) => Duration::ZERO,
        (Node::Above(_) | Node::Axis(_), _) if attributes.ino.0 != 0 => SHORT,
        _ => FOREVER,
    }
}

/// Adds items to a reply until it is full, and keeps the rest.
fn fill(mut items: Vec<Item>, place: u64, folder: &Folder, mut add: impl FnMut(&Item) -> bool) {
    let fitting = items.iter().position(&mut add).unwrap_or(items.len());
    let rest = items.split_off(fitting);
    folder.keep(items.last().map_or(place, |item| item.place), rest);
}

/// A value, or only its length if that is what was asked for.
fn send_sized(reply: ReplyXattr, value: &[u8], size: u32) {
    match u32::try_from(value.len()) {
        Ok(length) if size == 0 => reply.size(length),
        Ok(length) if length <= size => reply.data(value),
        _ => reply.error(Failure::TooSmall.errno()),
    }
}
