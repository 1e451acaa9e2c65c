//! Pages: items gathered, written as payload and skeleton, and read back with both halves held against each other.
//!
//! Leaves hold entries under their keys, or extents; inner pages hold children with the totals below them. Keys are
//! front-coded. Not here: where pages end (`cut`), how they form a tree (`spine`), how they are searched (`cursor`).

use super::Fault;
use super::codec::{self, PageRefReader, PageRefs};
use super::keys::{self, Keys};
use super::refs::RefReader;
use super::skeleton::{self, Family, Head, References};
use crate::repo::chunks::{self, ChunkSink, ChunkSource};
use crate::repo::entry::{Entry, Extent};
use crate::repo::id::{ChunkId, ChunkKind};
use crate::repo::wire::{Decoder, Encoder, Error, Extensions};

/// What lies below. Catalogs: entries, bytes of files. Extent trees: bytes of the file, those of them in chunks, chunks.
pub type Totals = [u64; 3];

/// Totals of both; a sum too large for 64 bits stays at the largest number.
pub fn plus(a: Totals, b: Totals) -> Totals {
    std::array::from_fn(|at| a[at].saturating_add(b[at]))
}

impl Family {
    /// How many totals its inner pages carry.
    const fn totals(self) -> usize {
        match self {
            Self::Entries => 2,
            Self::Extents => 3,
        }
    }
}

/// The totals of one entry.
pub const fn entry_totals(entry: &Entry) -> Totals {
    [1, entry.size, 0]
}

/// The totals of one extent.
pub const fn extent_totals(extent: &Extent) -> Totals {
    match extent {
        Extent::Chunk { length, .. } => [*length as u64, *length as u64, 1],
        Extent::Hole { length } => [*length, 0, 0],
    }
}

/// A written page, for the page above it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// First key below; empty in extent trees.
    pub key: Vec<u8>,
    /// The page's skeleton.
    pub id: ChunkId,
    /// What lies below.
    pub totals: Totals,
}

/// A page being filled.
#[derive(Debug, Clone)]
pub struct PageWriter {
    head: Head,
    items: Encoder,
    count: u64,
    refs: PageRefs,
    first_key: Vec<u8>,
    last_key: Vec<u8>,
    totals: Totals,
}

impl PageWriter {
    /// An empty page.
    pub fn new(head: Head) -> Self {
        Self {
            head,
            items: Encoder::new(),
            count: 0,
            refs: PageRefs::default(),
            first_key: Vec::new(),
            last_key: Vec::new(),
            totals: [0; 3],
        }
    }

    /// Which page it is.
    pub const fn head(&self) -> Head {
        self.head
    }

    /// Items so far.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Adds an entry that [`check`](super::rules::check) passed; returns its weight beside its key's.
    pub fn entry(&mut self, key: &[u8], entry: &Entry) -> u64 {
        self.key(key);
        self.add(entry_totals(entry));
        codec::encode_entry(entry, &mut self.items, &mut self.refs)
    }

    /// Adds an extent; returns its weight.
    pub fn extent(&mut self, extent: &Extent) -> u64 {
        self.add(extent_totals(extent));
        codec::encode_extent(extent, &mut self.items, &mut self.refs)
    }

    /// Adds a page below.
    pub fn child(&mut self, child: &Written) {
        if self.head.family == Family::Entries {
            self.key(&child.key);
        }
        self.add(child.totals);
        self.items.uint(self.refs.children.reference(&child.id));
        child.totals[..self.head.family.totals()].iter().for_each(|total| {
            self.items.uint(*total);
        });
    }

    /// Puts payload and skeleton; the next page of the level starts.
    ///
    /// # Errors
    /// When the sink fails.
    pub fn finish(&mut self, sink: &dyn ChunkSink) -> Result<Written, chunks::Error> {
        let items = std::mem::take(&mut self.items);
        let mut payload = Encoder::with_capacity(items.len() + 16);
        self.head.encode(&mut payload);
        payload.uint(self.count).raw(&items.into_bytes());
        Extensions::default().encode(&mut payload);
        let references = References {
            payload: sink.put(ChunkKind::Payload, &payload.into_bytes())?,
            children: self.refs.children.take(),
            data: self.refs.data.take(),
        };
        let id = sink.put(ChunkKind::Skeleton, &skeleton::encode(self.head, &references))?;
        self.count = 0;
        self.last_key.clear();
        Ok(Written { key: std::mem::take(&mut self.first_key), id, totals: std::mem::take(&mut self.totals) })
    }

    fn add(&mut self, totals: Totals) {
        self.count += 1;
        self.totals = plus(self.totals, totals);
    }

    fn key(&mut self, key: &[u8]) {
        if self.count == 0 {
            self.first_key.extend_from_slice(key);
        }
        keys::encode_next(&mut self.last_key, key, &mut self.items);
    }
}

/// A child as its parent tells of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Child {
    /// The child's skeleton.
    pub id: ChunkId,
    /// What lies below.
    pub totals: Totals,
}

/// What a page holds.
#[derive(Debug)]
pub enum Items {
    /// Entries, under the page's keys.
    Entries(Vec<Entry>),
    /// Extents.
    Extents(Vec<Extent>),
    /// Pages below, in a catalog under their first keys.
    Children(Vec<Child>),
}

/// A page that was read and is sound in itself.
#[derive(Debug)]
pub struct Page {
    /// Which page it is.
    pub head: Head,
    /// Keys of the items; none in extent trees.
    pub keys: Keys,
    /// The items.
    pub items: Items,
    /// What lies below.
    pub totals: Totals,
    /// About what it takes in memory, in bytes.
    pub cost: usize,
}

impl Page {
    /// Reads a page.
    ///
    /// # Errors
    /// When one of its halves cannot be had, or they are not sound together.
    pub fn load(source: &dyn ChunkSource, id: &ChunkId) -> Result<Self, Fault> {
        let (head, references) = skeleton::decode(&source.get(ChunkKind::Skeleton, id)?)?;
        Ok(Self::decode(head, &references, &source.get(ChunkKind::Payload, &references.payload)?)?)
    }

    /// Holds a payload against its skeleton.
    ///
    /// # Errors
    /// When they do not belong together, or break the format.
    pub fn decode(head: Head, references: &References, payload: &[u8]) -> Result<Self, Error> {
        let mut refs =
            PageRefReader { children: RefReader::new(&references.children), data: RefReader::new(&references.data) };
        let (keys, items) = Decoder::whole(payload, |decoder| {
            if Head::decode(decoder)? != head {
                return Err(Error::Invalid("a payload of another kind of page"));
            }
            let decoded = decode_items(head, decoder, &mut refs)?;
            Extensions::decode(decoder, &[])?;
            Ok(decoded)
        })?;
        refs.children.finish()?;
        refs.data.finish()?;
        let totals = (0..items.len()).map(|at| items.totals(at)).fold([0; 3], plus);
        let cost = payload.len() * 2 + keys.size() + items.len() * size_of::<Entry>();
        Ok(Self { head, keys, items, totals, cost })
    }

    /// An entry's own extents, as if they were a page.
    pub fn of_extents(extents: Vec<Extent>) -> Self {
        let totals = extents.iter().map(extent_totals).fold([0; 3], plus);
        let head = Head { family: Family::Extents, level: 0 };
        Self { head, keys: Keys::default(), items: Items::Extents(extents), totals, cost: 0 }
    }
}

impl Items {
    /// What item `at` adds up to.
    pub fn totals(&self, at: usize) -> Totals {
        match self {
            Self::Entries(entries) => entry_totals(&entries[at]),
            Self::Extents(extents) => extent_totals(&extents[at]),
            Self::Children(children) => children[at].totals,
        }
    }

    /// Their number.
    pub const fn len(&self) -> usize {
        match self {
            Self::Entries(entries) => entries.len(),
            Self::Extents(extents) => extents.len(),
            Self::Children(children) => children.len(),
        }
    }
}

fn decode_items(head: Head, decoder: &mut Decoder<'_>, refs: &mut PageRefReader<'_>) -> Result<(Keys, Items), Error> {
    let mut keys = Keys::default();
    let items = match (head.level, head.family) {
        (0, Family::Entries) => Items::Entries(decoder.list(|decoder| {
            keys.decode_next(decoder)?;
            codec::decode_entry(decoder, refs)
        })?),
        (0, Family::Extents) => Items::Extents(decoder.list(|decoder| codec::decode_extent(decoder, refs))?),
        (_, family) => Items::Children(decoder.list(|decoder| {
            if family == Family::Entries {
                keys.decode_next(decoder)?;
            }
            let id = refs.children.resolve(decoder.uint()?)?;
            let mut totals = [0; 3];
            for total in &mut totals[..family.totals()] {
                *total = decoder.uint()?;
            }
            Ok::<_, Error>(Child { id, totals })
        })?),
    };
    if head.level > 0 && items.len() == 0 {
        Err(Error::Invalid("an inner page without children"))
    } else {
        Ok((keys, items))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{MemoryChunks, any_entry, entry, file, path};
    use super::*;
    use crate::repo::catalog::{check_page, key};
    use crate::repo::entry::EntryKind;
    use crate::repo::golden;
    use proptest::prelude::*;

    const LEAF: Head = Head { family: Family::Entries, level: 0 };

    /// Both halves of the page written last.
    fn halves(chunks: &MemoryChunks, id: &ChunkId) -> (Vec<u8>, Vec<u8>) {
        let skeleton = chunks.get(ChunkKind::Skeleton, id).unwrap().to_vec();
        let payload = skeleton::references(&skeleton).unwrap().payload;
        (skeleton, chunks.get(ChunkKind::Payload, &payload).unwrap().to_vec())
    }

    fn leaf(chunks: &MemoryChunks, entries: &[(&str, Entry)]) -> Written {
        let mut page = PageWriter::new(LEAF);
        for (at, entry) in entries {
            page.entry(&key::encode(&path(at)), entry);
        }
        page.finish(chunks).unwrap()
    }

    #[test]
    fn pages_have_their_golden_bytes() {
        let chunks = MemoryChunks::default();
        let root = leaf(
            &chunks,
            &[("/", entry(EntryKind::Directory)), ("/a", file(1, &[5, -4096, 6])), ("/ab", file(1, &[5]))],
        );
        let (skeleton, payload) = halves(&chunks, &root.id);
        assert_eq!(skeleton[35..], golden::bytes("catalog leaf skeleton")[35..]);
        assert_eq!(payload, golden::bytes("catalog leaf payload"));
        let mut inner = PageWriter::new(Head { level: 1, ..LEAF });
        for (at, key) in [(1, vec![]), (2, key::encode(&path("/b/c")))] {
            inner.child(&Written { key, id: ChunkId([at; 32]), totals: [u64::from(at), 300, 0] });
        }
        let (skeleton, payload) = halves(&chunks, &inner.finish(&chunks).unwrap().id);
        assert_eq!(skeleton[35..], golden::bytes("catalog inner skeleton")[35..]);
        assert_eq!(payload, golden::bytes("catalog inner payload"));
    }

    #[test]
    fn extent_pages_have_their_golden_bytes() {
        let chunks = MemoryChunks::default();
        let mut page = PageWriter::new(Head { family: Family::Extents, level: 0 });
        let chunk = Extent::Chunk { id: ChunkId([3; 32]), length: 65_536 };
        for extent in [chunk, Extent::Hole { length: 10 }, chunk] {
            page.extent(&extent);
        }
        let leaf = page.finish(&chunks).unwrap();
        assert_eq!(halves(&chunks, &leaf.id).1, golden::bytes("extent leaf payload"));
        let mut page = PageWriter::new(Head { family: Family::Extents, level: 1 });
        (0..2).for_each(|_| page.child(&leaf));
        let inner = page.finish(&chunks).unwrap();
        assert_eq!(inner.totals, [2 * 131_082, 4 * 65_536, 4]);
        assert_eq!(halves(&chunks, &inner.id).1, golden::bytes("extent inner payload"));
    }

    #[test]
    fn halves_that_do_not_belong_together_are_damage() {
        let chunks = MemoryChunks::default();
        let entries = [("/a", file(1, &[5, 6])), ("/b", file(2, &[7]))];
        let one = halves(&chunks, &leaf(&chunks, &entries).id);
        let other = halves(&chunks, &leaf(&chunks, &entries[..1]).id);
        assert!(check_page(&one.0, &one.1).is_ok());
        assert!(check_page(&one.0, &other.1).is_err(), "an unused reference");
        assert!(check_page(&other.0, &one.1).is_err(), "a reference outside the skeleton");
        let mut inner = PageWriter::new(Head { level: 1, ..LEAF });
        inner.child(&leaf(&chunks, &entries));
        let inner = halves(&chunks, &inner.finish(&chunks).unwrap().id);
        assert!(check_page(&one.0, &inner.1).is_err(), "another kind of page");
        assert!(check_page(&inner.1, &one.0).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn any_change_is_survived(
            entries in prop::collection::vec(any_entry(), 0..6),
            flips in prop::collection::vec((any::<bool>(), any::<prop::sample::Index>(), any::<u8>()), 0..4),
            cut in any::<prop::sample::Index>(),
        ) {
            let chunks = MemoryChunks::default();
            let mut page = PageWriter::new(LEAF);
            for (at, entry) in entries.iter().enumerate() {
                page.entry(&key::encode(&path(&format!("/{at}"))), entry);
            }
            let (mut skeleton, mut payload) = halves(&chunks, &page.finish(&chunks).unwrap().id);
            prop_assert!(check_page(&skeleton, &payload).is_ok());
            prop_assert!(check_page(&skeleton, &payload[..cut.index(payload.len())]).is_err());
            prop_assert!(check_page(&skeleton[..cut.index(skeleton.len())], &payload).is_err());
            for (first, at, byte) in flips {
                let half = if first { &mut skeleton } else { &mut payload };
                let at = at.index(half.len());
                half[at] = byte;
            }
            drop(check_page(&skeleton, &payload));
        }
    }
}
