//! What all requests share, and how each is answered: at once from what is in memory, or by the pool. What will be asked for next is
//! decoded ahead: the rest of a file that is read in order, the files after those that are opened in order, and those around others.

use super::ahead::Budget;
use super::answers;
use super::around::Neighbours;
use super::attr::Keeper;
use super::errno::Failure;
use super::guard::Guard;
use super::handles::Handles;
use super::listing::{Folder, Item};
use super::node::Node;
use super::opened::{Open, Opened};
use super::pool::{Pool, Refuse};
use super::scattered::Scattered;
use super::view::{Current, Patience, View};
use crate::event::{Event, Sink};
use crate::repo::chunks::Bytes;
use crate::repo::entry::{Content, EntryKind, Extent};
use crate::repo::id::ChunkKind;
use fuser::{Errno, FileHandle, Notifier};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// What is decoded ahead in one go: about a segment.
const AHEAD_STEP: u64 = 1 << 20;
/// What of small files is decoded ahead in one go.
const AROUND_STEP: u64 = 4 << 20;
/// The same for those that lie around one that was opened in no order.
const ABOUT_STEP: u64 = 1 << 20;
/// Every so many of these are looked at: what lies between lies in the same segments, or close to it.
const SAMPLE: usize = 16;
/// How many entries further the page is that is decoded ahead: a page has a few hundred.
const PAGE_AHEAD: u64 = 512;
/// Files up to this length are handed to the kernel when they are opened.
const SMALL: u64 = 128 << 10;

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
    pub owner: Keeper,
    /// Whether others than the owner may look: then the kernel must heed access control lists.
    pub shared: bool,
    /// Files that are read.
    pub files: Opened,
    /// Open folders.
    pub folders: Handles<Folder>,
    /// Which files are opened one after the other.
    pub neighbours: Mutex<Neighbours>,
    /// Which files are opened in any order; `None`: reading ahead for those would cost more than it gains.
    pub scattered: Option<Mutex<Scattered>>,
    /// Whether a page of a catalog is being decoded ahead.
    pub paging: Arc<AtomicBool>,
    /// Who may look, and who did; `None`: nobody asks.
    pub guard: Option<Arc<Guard>>,
    /// The way to give content to the kernel that it has not asked for; unset where that is not safe.
    pub give: OnceLock<Mutex<Notifier>>,
}

impl Core {
    /// Answers at once if what is in memory is enough, else lets the pool do it.
    pub fn answer<R: Refuse, T: 'static>(
        &self,
        reply: R,
        node: Node,
        ask: impl Fn(&Arc<View>, Patience) -> Result<T, Failure> + Send + 'static,
        send: impl FnOnce(R, T) + Send + 'static,
    ) {
        self.answer_in(reply, &self.current.get(), move |view: &View| view.shown_path(node, None), ask, send);
    }

    /// As [`Self::answer`], in a view that is known; `path` says what it is about, for people.
    pub fn answer_in<R: Refuse, T: 'static>(
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
    pub fn answer_from_file<R: Refuse, T: 'static>(
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
            let open = core.file(node, view, patience)?;
            ask(&open, patience)
        };
        self.answer_in(reply, &self.current.get(), path, ask, send);
    }

    /// The file behind a node.
    pub fn file(&self, node: Node, view: &Arc<View>, patience: Patience) -> Result<Arc<Open>, Failure> {
        match self.files.get(node) {
            Some(open) => Ok(open),
            None => Ok(self.files.keep(node, answers::file(view, node, patience)?, Arc::clone(view))),
        }
    }

    /// Answers from an open folder.
    pub fn answer_from_folder<R: Refuse>(
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
    pub fn look_ahead(&self, node: Node, read: Range<u64>) {
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

    /// All of a small file that was not handed out before; `None` of any other. Failures are left to whoever reads.
    ///
    /// # Errors
    /// [`Failure::Slow`] without patience, when it is not in memory.
    pub fn whole(&self, open: &Open, patience: Patience) -> Result<Option<Bytes>, Failure> {
        let size = open.file.size;
        if self.give.get().is_none() || !(1..=SMALL).contains(&size) || open.was_given() {
            return Ok(None);
        }
        match open.file.read(open.view.source(patience), 0..size) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(failure) if failure.is_unread() && patience == Patience::None => Err(Failure::Slow),
            Err(_) => Ok(None),
        }
    }

    /// Gives the kernel all of a file before it asks, which saves it a journey. Only one thread does so at a time: it may have to
    /// wait for somebody who reads the same page, and the others must be there to answer him.
    pub fn give(&self, node: Node, open: &Open, bytes: &Bytes) {
        let Some(Ok(notifier)) = self.give.get().map(Mutex::try_lock) else { return };
        if open.give() {
            // The kernel asks for what it did not take.
            let _ = notifier.store(node.ino(), 0, bytes);
        }
    }

    /// Has the catalog's page decoded that comes after the one of this entry: whoever walks through folders needs it next, as
    /// entries stand in the order of a walk.
    pub fn look_further(&self, (snapshot, ordinal): (u32, u64)) {
        let (view, ordinal) = (self.current.get(), ordinal.saturating_add(PAGE_AHEAD));
        let known = |patience| view.tree(snapshot, patience).is_ok_and(|tree| tree.by_ordinal(ordinal).is_ok());
        if known(Patience::None) || self.paging.swap(true, Ordering::Relaxed) {
            return;
        }
        let (paging, source) = (Arc::clone(&self.paging), Arc::clone(&view));
        let job = move || {
            // Whoever lists it finds out what is wrong with it.
            let _ = source.tree(snapshot, Patience::Wait).map(|tree| tree.by_ordinal(ordinal));
            paging.store(false, Ordering::Relaxed);
        };
        if !self.pool.foresee(job) {
            self.paging.store(false, Ordering::Relaxed);
        }
    }

    /// Notes that a file is opened, and has decoded what will be opened next if files are opened in order.
    pub fn look_around(&self, node: Node) {
        let Node::Entry(snapshot, ordinal) = node else { return };
        let step = self.neighbours.lock().unwrap_or_else(PoisonError::into_inner).step(snapshot, ordinal);
        let Some(next) = step.filter(|_| self.budget.window() >= AROUND_STEP) else { return };
        let (view, ahead) = (self.current.get(), self.budget.take(AROUND_STEP));
        self.pool.foresee(move || {
            warm_entries(&view, snapshot, next, AROUND_STEP);
            drop(ahead);
        });
    }

    /// Notes that a small file has to be waited for, and has its neighbours decoded if others near it had to be, too.
    pub fn look_about(&self, node: Node, open: &Open) {
        let (Some(scattered), Node::Entry(snapshot, ordinal)) = (&self.scattered, node) else { return };
        if !(1..=SMALL).contains(&open.file.size) {
            return;
        }
        for block in scattered.lock().unwrap_or_else(PoisonError::into_inner).step(snapshot, ordinal) {
            if self.budget.window() < ABOUT_STEP {
                return;
            }
            let (view, ahead) = (Arc::clone(&open.view), self.budget.take(ABOUT_STEP));
            self.pool.foresee(move || {
                // Of the files of a segment one is enough to have it decoded.
                warm_entries(&view, snapshot, block.step_by(SAMPLE), ABOUT_STEP);
                drop(ahead);
            });
        }
    }
}

/// Brings the content of small files into memory, about `most` bytes of it. What cannot be read is found by whoever reads it.
fn warm_entries(view: &View, snapshot: u32, ordinals: impl Iterator<Item = u64>, most: u64) {
    let Ok(tree) = view.tree(snapshot, Patience::Wait) else { return };
    let mut left = most;
    for ordinal in ordinals {
        let Ok(Some((_, entry))) = tree.by_ordinal(ordinal) else { return };
        let EntryKind::File(Content::Extents(extents)) = &entry.kind else { continue };
        for extent in extents {
            if let Extent::Chunk { id, length } = extent {
                view.source(Patience::Wait).warm(ChunkKind::Data, id);
                left = left.saturating_sub(u64::from(*length));
            }
        }
        if left == 0 {
            return;
        }
    }
}
