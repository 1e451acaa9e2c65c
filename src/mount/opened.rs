//! Files that are read, by node. The kernel opens without asking, which saves a journey for every file that is opened, so nobody
//! says when a file is done with: those read last are kept.
//!
//! Invariant: a file whose snapshot is forgotten while it is read stays readable, from the view in which it was found.

use super::file::File;
use super::node::Node;
use super::view::View;
use lru::LruCache;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Files that are kept.
const KEPT: NonZeroUsize = NonZeroUsize::new(1024).expect("it is not zero");

/// A file and the view in which it was found.
pub struct Open {
    /// The file.
    pub file: File,
    /// Where its chunks come from.
    pub view: Arc<View>,
    given: AtomicBool,
}

impl Open {
    /// Whether the kernel was given all of it.
    pub fn was_given(&self) -> bool {
        self.given.load(Ordering::Relaxed)
    }

    /// Notes that the kernel is given all of it. Returns whether this is the first time.
    pub fn give(&self) -> bool {
        !self.given.swap(true, Ordering::Relaxed)
    }
}

/// The files.
pub struct Opened(Mutex<LruCache<Node, Arc<Open>>>);

impl Default for Opened {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(KEPT)))
    }
}

impl Opened {
    /// The file behind `node`, if it was read lately.
    pub fn get(&self, node: Node) -> Option<Arc<Open>> {
        self.lock().get(&node).cloned()
    }

    /// Keeps a file.
    pub fn keep(&self, node: Node, file: File, view: Arc<View>) -> Arc<Open> {
        let open = Arc::new(Open { file, view, given: AtomicBool::new(false) });
        self.lock().push(node, Arc::clone(&open));
        open
    }

    /// Lets go of all that `now` shows, to be found there again.
    pub fn renew(&self, now: &View) {
        let mut files = self.lock();
        let found: Vec<_> =
            files.iter().map(|(node, _)| *node).filter(|node| now.id(node.snapshot()).is_some()).collect();
        for node in found {
            files.pop(&node);
        }
    }

    fn lock(&self) -> MutexGuard<'_, LruCache<Node, Arc<Open>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
