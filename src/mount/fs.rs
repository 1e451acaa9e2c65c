//! What the kernel calls: every request becomes a question to the view, asked first of what is in memory and, if that is not
//! enough, again by the pool. Nothing is known here but how requests and replies look.

use super::ahead::Budget;
use super::answers;
use super::attr;
use super::errno::Failure;
use super::handles::Handles;
use super::listing::{Folder, Item};
use super::node::Node;
use super::opened::{Open, Opened};
use super::pool::{Pool, Refuse};
use super::view::{Current, Patience, View};
use crate::event::{Event, Sink};
use fuser::{
    Errno, FileAttr, FileHandle, Filesystem, FopenFlags, Generation, INodeNo, InitFlags, IoctlFlags, KernelConfig,
    LockOwner, OpenFlags, ReplyAttr, ReplyData, ReplyDirectory, ReplyDirectoryPlus, ReplyEmpty, ReplyEntry, ReplyIoctl,
    ReplyLseek, ReplyOpen, ReplyStatfs, ReplyXattr, Request,
};
use std::ffi::OsStr;
use std::io;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt as _;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// Inside a snapshot nothing ever changes.
const FOREVER: Duration = Duration::from_secs(1 << 30);
/// What stands above the snapshots changes when one is added.
const SHORT: Duration = Duration::from_secs(1);
/// What is decoded ahead in one go: about a segment.
const AHEAD_STEP: u64 = 1 << 20;
/// Requests of the kernel's own reading ahead that may be under way.
const BACKGROUND: u16 = 64;

/// What all requests share.
pub struct Core {
    /// What is shown now.
    pub current: Current,
    /// Who hears of what cannot be read.
    pub sink: Arc<dyn Sink>,
    /// Who may wait.
    pub pool: Pool,
    /// How much may be read ahead at a time.
    pub budget: Budget,
    /// Whose the folders above the snapshots are.
    pub owner: (u32, u32),
    /// Whether others than the owner may look: then the kernel must heed access control lists.
    pub shared: bool,
    /// Files that are read.
    pub files: Opened,
    /// Open folders.
    pub folders: Handles<Folder>,
}

impl Core {
    /// Answers at once if what is in memory is enough, else lets the pool do it.
    fn answer<R: Refuse, T: 'static>(
        &self,
        reply: R,
        node: Node,
        ask: impl Fn(&Arc<View>, Patience) -> Result<T, Failure> + Send + 'static,
        send: impl FnOnce(R, T) + Send + 'static,
    ) {
        self.answer_in(reply, &self.current.get(), move |view: &View| view.shown_path(node, None), ask, send);
    }

    /// As [`Self::answer`], in a view that is known; `path` says what it is about, for people.
    fn answer_in<R: Refuse, T: 'static>(
        &self,
        reply: R,
        view: &Arc<View>,
        path: impl Fn(&View) -> Vec<u8> + Send + Sync + 'static,
        ask: impl Fn(&Arc<View>, Patience) -> Result<T, Failure> + Send + 'static,
        send: impl FnOnce(R, T) + Send + 'static,
    ) {
        match ask(view, Patience::None) {
            Ok(answer) => send(reply, answer),
            Err(failure) if failure.is_unread() => {
                let (view, sink, seen) = (Arc::clone(view), Arc::clone(&self.sink), Arc::clone(view));
                let fail = move |failure: &Failure| {
                    if failure.is_unread() {
                        let (path, error) = (path(&seen), failure.to_string());
                        sink.emit(Event::Problem { path, during: "mount", error });
                    }
                };
                self.pool.submit(reply, move || ask(&view, Patience::Wait), send, fail);
            }
            Err(failure) => reply.refuse(failure.errno()),
        }
    }

    /// Answers from a file.
    fn answer_from_file<R: Refuse, T: 'static>(
        self: &Arc<Self>,
        reply: R,
        node: Node,
        ask: impl Fn(&Open, Patience) -> Result<T, Failure> + Send + 'static,
        send: impl FnOnce(R, T) + Send + 'static,
    ) {
        let (core, known) = (Arc::clone(self), Arc::clone(self));
        let path = move |view: &View| {
            known.files.get(node).map_or_else(|| view.shown_path(node, None), |open| open.file.path.clone())
        };
        let ask = move |view: &Arc<View>, patience| {
            let open = match core.files.get(node) {
                Some(open) => open,
                None => core.files.keep(node, answers::file(view, node, patience)?, Arc::clone(view)),
            };
            ask(&open, patience)
        };
        self.answer_in(reply, &self.current.get(), path, ask, send);
    }

    /// Answers from an open folder.
    fn answer_from_folder<R: Refuse>(
        &self,
        reply: R,
        node: Node,
        handle: FileHandle,
        (place, full): (u64, bool),
        send: impl FnOnce(R, Vec<Item>, &Folder) + Send + 'static,
    ) {
        let Some(folder) = self.folders.get(handle) else { return reply.refuse(Errno::EBADF) };
        let listed = Arc::clone(&folder);
        let ask = move |_: &Arc<View>, patience| listed.list(place, full, patience);
        self.answer(reply, node, ask, move |reply, items| send(reply, items, &folder));
    }

    /// Notes a read, and has decoded what will be read next if the file is read from front to back.
    fn look_ahead(&self, node: Node, read: Range<u64>) {
        let Some(open) = self.files.get(node) else { return };
        let limit = self.budget.window();
        let step = open.file.readers.lock().unwrap_or_else(PoisonError::into_inner).step(read, open.file.size, limit);
        let Some(next) = step else { return };
        let mut start = next.start;
        while start < next.end {
            let piece = start..next.end.min(start.saturating_add(AHEAD_STEP));
            start = piece.end;
            let ahead = self.budget.take(piece.end - piece.start);
            let open = Arc::clone(&open);
            self.pool.foresee(move || {
                open.file.warm(open.view.source(Patience::Wait), &piece);
                drop(ahead);
            });
        }
    }
}

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

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        // From now on the kernel opens without asking, and keeps what it has read.
        reply.error(Errno::ENOSYS);
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
        let ask = move |open: &Open, patience| open.file.read(open.view.source(patience), read.clone());
        self.0.answer_from_file(reply, node, ask, |reply, bytes| reply.data(&bytes));
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

    fn opendir(&self, _: &Request, ino: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        let (node, view) = (Node::of(ino), self.0.current.get());
        let flags = match node {
            Node::Above(_) | Node::Axis(_) => FopenFlags::empty(),
            _ => FopenFlags::FOPEN_CACHE_DIR | FopenFlags::FOPEN_KEEP_CACHE,
        };
        reply.opened(self.0.folders.open(Folder::open(node, view, self.0.owner)), flags);
    }

    fn readdir(&self, _: &Request, ino: INodeNo, handle: FileHandle, place: u64, reply: ReplyDirectory) {
        self.0.answer_from_folder(reply, Node::of(ino), handle, (place, false), move |mut reply, items, folder| {
            fill(items, place, folder, |item| reply.add(item.node.ino(), item.place, item.kind, &item.name));
            reply.ok();
        });
    }

    fn readdirplus(&self, _: &Request, ino: INodeNo, handle: FileHandle, place: u64, reply: ReplyDirectoryPlus) {
        self.0.answer_from_folder(reply, Node::of(ino), handle, (place, true), move |mut reply, items, folder| {
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
        });
    }

    fn releasedir(&self, _: &Request, _: INodeNo, handle: FileHandle, _: OpenFlags, reply: ReplyEmpty) {
        self.0.folders.close(handle);
        reply.ok();
    }

    fn statfs(&self, _: &Request, ino: INodeNo, reply: ReplyStatfs) {
        let ask = |view: &Arc<View>, patience| answers::totals(view, patience);
        self.0.answer(reply, Node::of(ino), ask, |reply, totals| {
            reply.statfs(totals.blocks, 0, 0, totals.entries, 0, answers::BLOCK, 255, answers::BLOCK);
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
