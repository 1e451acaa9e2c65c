//! Decoded pages, kept for whoever reads them next.
//!
//! Pages are sound in themselves; whether one is what its parent says is for each reader to check again.

use super::Fault;
use super::page::Page;
use crate::repo::chunks::ChunkSource;
use crate::repo::id::ChunkId;
use lru::LruCache;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Pages and the sum of their costs.
type Kept = (LruCache<ChunkId, Arc<Page>>, usize);

/// Decoded pages, the most recently used ones. For trees over the same chunks only.
pub struct PageCache {
    pages: Mutex<Kept>,
    budget: usize,
}

impl PageCache {
    /// Keeps pages of about `budget` bytes of memory, and always the last one.
    pub fn new(budget: usize) -> Self {
        Self { pages: Mutex::new((LruCache::unbounded(), 0)), budget }
    }

    /// The page with this skeleton, from here or from `source`.
    ///
    /// # Errors
    /// As [`Page::load`].
    pub(super) fn load(&self, source: &dyn ChunkSource, id: &ChunkId) -> Result<Arc<Page>, Fault> {
        if let Some(page) = self.lock().0.get(id) {
            return Ok(Arc::clone(page));
        }
        let page = Arc::new(Page::load(source, id)?);
        let mut guard = self.lock();
        let (pages, used) = &mut *guard;
        *used += page.cost;
        if let Some((_, replaced)) = pages.push(*id, Arc::clone(&page)) {
            *used -= replaced.cost;
        }
        while *used > self.budget && pages.len() > 1 {
            if let Some((_, oldest)) = pages.pop_lru() {
                *used -= oldest.cost;
            }
        }
        Ok(page)
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        // A panic elsewhere leaves whole pages behind: nothing under this lock is ever half done.
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for PageCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PageCache({} bytes)", self.budget)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{MemoryChunks, forest, write};
    use super::*;
    use crate::repo::id::ChunkKind;

    #[test]
    fn the_budget_holds_and_recent_pages_stay() {
        let chunks = MemoryChunks::default();
        write(&chunks, &forest(20, 100));
        let pages: Vec<_> = chunks.of(ChunkKind::Skeleton).into_iter().map(|(id, _)| id).collect();
        let costs: Vec<_> = pages.iter().map(|id| Page::load(&chunks, id).unwrap().cost).collect();
        let cache = PageCache::new(costs.iter().sum::<usize>() - 1);
        pages.iter().for_each(|id| drop(cache.load(&chunks, id).unwrap()));
        assert_eq!(cache.lock().0.len(), pages.len() - 1);
        assert_eq!(cache.lock().1, costs[1..].iter().sum::<usize>());
        let asked = chunks.gets();
        pages[1..].iter().for_each(|id| drop(cache.load(&chunks, id).unwrap()));
        assert_eq!(chunks.gets(), asked, "all but the oldest are still here");
        cache.load(&chunks, &pages[0]).unwrap();
        assert_eq!(chunks.gets(), asked + 2);
        let nothing = PageCache::new(0);
        nothing.load(&chunks, &pages[0]).unwrap();
        assert_eq!(nothing.lock().0.len(), 1);
    }
}
