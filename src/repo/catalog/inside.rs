//! A single page of a catalog or of an extent tree, opened: for who looks inside, or counts what pages share.

use super::cursor::path;
use super::page::{Items, Page};
use super::skeleton::{self, Family, References};
use super::{Fault, Sums};
use crate::repo::chunks::ChunkSource;
use crate::repo::entry::{Entry, EntryPath, Extent};
use crate::repo::id::{ChunkId, ChunkKind};

/// A page that is sound in itself; what the page above says of it was not asked.
#[derive(Debug)]
pub struct OpenPage {
    /// 0 for leaves, else one more than the children's.
    pub level: u8,
    /// Its payload, and all that it refers to.
    pub references: References,
    /// What it holds.
    pub items: PageItems,
}

/// What a page holds.
#[derive(Debug)]
pub enum PageItems {
    /// Entries: a leaf of a catalog.
    Entries(Vec<(EntryPath, Entry)>),
    /// Pages below, each with the first path in it: an inner page of a catalog.
    Pages(Vec<(EntryPath, ChunkId, Sums)>),
    /// Extents: a leaf of an extent tree.
    Extents(Vec<Extent>),
    /// Pages below, each with the bytes of the file in it: an inner page of an extent tree.
    ExtentPages(Vec<(ChunkId, u64)>),
}

/// Opens the page whose skeleton is `id`.
///
/// # Errors
/// When one of its halves cannot be had, or they are not sound together.
pub fn open_page(source: &dyn ChunkSource, id: &ChunkId) -> Result<OpenPage, Fault> {
    let (head, references) = skeleton::decode(&source.get(ChunkKind::Skeleton, id)?)?;
    let payload = source.get(ChunkKind::Payload, &references.payload)?;
    let Page { keys, items, .. } = Page::decode(head, &references, &payload)?;
    let items = match items {
        Items::Entries(entries) => {
            PageItems::Entries(entries.into_iter().enumerate().map(|(at, entry)| (path(keys.get(at)), entry)).collect())
        }
        Items::Extents(extents) => PageItems::Extents(extents),
        Items::Children(children) if head.family == Family::Entries => {
            let sums = |totals: [u64; 3]| Sums { entries: totals[0], bytes: totals[1] };
            let child = |(at, child): (usize, &super::page::Child)| (path(keys.get(at)), child.id, sums(child.totals));
            PageItems::Pages(children.iter().enumerate().map(child).collect())
        }
        Items::Children(children) => {
            PageItems::ExtentPages(children.iter().map(|child| (child.id, child.totals[0])).collect())
        }
    };
    Ok(OpenPage { level: head.level, references, items })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{MemoryChunks, forest, write};
    use super::*;

    #[test]
    fn pages_lead_from_the_root_to_every_entry() {
        let chunks = MemoryChunks::default();
        let entries = forest(30, 60);
        let mut pending = vec![write(&chunks, &entries).skeleton];
        let mut found = Vec::new();
        while let Some(id) = pending.pop() {
            let page = open_page(&chunks, &id).unwrap();
            match page.items {
                PageItems::Pages(children) => {
                    assert!(page.level > 0);
                    assert_eq!(page.references.children.len(), children.len());
                    pending.extend(children.iter().rev().map(|(_, id, _)| *id));
                }
                PageItems::Entries(entries) => found.extend(entries.into_iter().map(|(path, _)| path)),
                PageItems::Extents(_) | PageItems::ExtentPages(_) => panic!("no file is long"),
            }
        }
        assert_eq!(found, entries.iter().map(|(path, _)| path.clone()).collect::<Vec<_>>());
    }
}
