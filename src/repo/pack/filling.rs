//! The packs that a session fills: catalogs apart from data, unless all that is left is small.
//!
//! Whoever lists, marks or prunes reads catalogs, often and soon; data is read when something is restored. Packs of catalogs stay so small
//! that a place's rule by size moves data alone into an archive tier: a pack with pages of a catalog is never larger than [`TOGETHER`] and
//! what armour and padding add.

use super::{PackBuilder, PackSize};
use crate::repo::names::IndexClass;
use crate::repo::segment::SealedSegment;

/// A pack of catalogs stays just below this: so few for a large tree that each is worth one request, and hardly any memory beside the data
/// pack while it fills.
pub const CATALOG: PackSize = PackSize(6 << 20);
/// What is left at the end goes into one pack if it is no more than so many bytes.
pub const TOGETHER: usize = 8 << 20;

/// The packs under way.
pub struct Filling {
    size: PackSize,
    data: PackBuilder,
    catalog: PackBuilder,
}

impl Filling {
    /// Nothing yet; data packs get this size.
    pub fn of_size(size: PackSize) -> Self {
        let smaller = if size < CATALOG { size } else { CATALOG };
        Self { size, data: PackBuilder::of_size(size), catalog: PackBuilder::of_size(smaller) }
    }

    /// Adds a segment, as [`PackBuilder::push`]. Returns the class whose pack is full by now, to be taken.
    pub fn push(&mut self, segment: SealedSegment, wrap: &[u8]) -> Option<IndexClass> {
        let class = IndexClass::of(segment.descriptor.kind);
        let builder = self.of(class);
        builder.push(segment, wrap);
        builder.is_full().then_some(class)
    }

    /// Takes the pack of a class; nothing is to be added before [`Self::renew`].
    pub fn take(&mut self, class: IndexClass) -> PackBuilder {
        std::mem::replace(self.of(class), PackBuilder::with_buffer(Vec::new()))
    }

    /// Begins another pack of a class, in a buffer that is not needed any more if there is one that is large enough.
    pub fn renew(&mut self, class: IndexClass, buffer: Option<Vec<u8>>) {
        let size = match class {
            IndexClass::Data => self.size,
            IndexClass::Catalog => CATALOG.min(self.size),
        };
        // A buffer of a data pack would be held for long by a few pages.
        let fits = |buffer: &Vec<u8>| class == IndexClass::Data && buffer.capacity() >= size.bytes();
        *self.of(class) = match buffer.filter(fits) {
            Some(buffer) => PackBuilder::with_buffer(buffer).resized(size),
            None => PackBuilder::of_size(size),
        };
    }

    /// What is left: one pack if it is little, two if it is more, none if nothing is left.
    pub fn rest(self) -> impl Iterator<Item = PackBuilder> {
        let Self { mut data, catalog, .. } = self;
        let rest = if data.weight() + catalog.weight() <= TOGETHER {
            data.append(catalog);
            [Some(data), None]
        } else {
            [Some(data), Some(catalog)]
        };
        rest.into_iter().flatten().filter(|builder| !builder.is_empty())
    }

    const fn of(&mut self, class: IndexClass) -> &mut PackBuilder {
        match class {
            IndexClass::Data => &mut self.data,
            IndexClass::Catalog => &mut self.catalog,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::aead::Suite;
    use crate::repo::id::{ChunkId, ChunkKind, DataKeyId, WriterId};
    use crate::repo::segment::{Codec, Origin, SegmentDescriptor};

    fn segment(kind: ChunkKind, length: u32, number: u8) -> SealedSegment {
        let descriptor = SegmentDescriptor {
            kind,
            suite: Suite::Aes256Gcm,
            codec: Codec::Stored,
            epoch: 1,
            offset: 0,
            length,
            hash: [number; 32],
            key_id: DataKeyId([0; 32]),
            origin: Origin { writer: WriterId([0; 16]), seq: 1 },
            ids: vec![ChunkId([number; 32])],
            bases: Vec::new(),
        };
        SealedSegment { descriptor, bytes: vec![number; length as usize] }
    }

    /// The packs that a session makes of so many segments of 1 MiB of data, each followed by so many bytes of a page.
    fn packs(data: u8, page: u32) -> Vec<PackBuilder> {
        let (mut filling, mut packs) = (Filling::of_size(PackSize::default()), Vec::new());
        for number in 0..data {
            for (kind, length) in [(ChunkKind::Data, 1 << 20), (ChunkKind::Payload, page)] {
                if let Some(class) = filling.push(segment(kind, length, number), b"wrap") {
                    packs.push(filling.take(class));
                    filling.renew(class, None);
                }
            }
        }
        packs.extend(filling.rest());
        packs
    }

    fn classes(pack: &PackBuilder) -> Vec<IndexClass> {
        let mut classes: Vec<_> = pack.rows().iter().map(|row| IndexClass::of(row.kind)).collect();
        classes.sort_unstable();
        classes.dedup();
        classes
    }

    #[test]
    fn a_small_session_makes_one_pack() {
        let small = packs(5, 4096);
        assert_eq!(small.len(), 1);
        assert_eq!((classes(&small[0]), small[0].rows().len()), (IndexClass::BOTH.to_vec(), 10));
        assert_eq!(packs(0, 0).len(), 0);
    }

    #[test]
    fn what_was_put_together_lies_where_its_rows_say() {
        let mut filling = Filling::of_size(PackSize::default());
        for number in 1..5 {
            filling.push(segment(ChunkKind::Skeleton, 64 * u32::from(number), number), b"");
            filling.push(segment(ChunkKind::Data, 640, 10 + number), b"wrap");
        }
        let pack = filling.rest().next().unwrap();
        let mut end = 0;
        for row in pack.rows() {
            assert_eq!(row.offset, end);
            end += u64::from(row.length);
            assert!(pack.bytes_of(row).iter().all(|byte| *byte == row.hash[0]), "{row:?}");
        }
        assert_eq!(end, pack.len() as u64);
    }

    #[test]
    fn in_a_large_session_no_large_pack_has_pages_of_the_catalog() {
        for (data, page) in [(100, 4096), (100, 200_000), (60, 1 << 20), (9, 4096)] {
            let packs = packs(data, page);
            let mut segments = 0;
            for pack in &packs {
                assert!(classes(pack) == [IndexClass::Data] || pack.weight() <= TOGETHER, "{pack:?} of {data}, {page}");
                segments += pack.rows().len();
            }
            assert_eq!(segments, usize::from(data) * 2);
            assert!(packs.iter().any(|pack| pack.len() > TOGETHER), "{data}, {page}");
        }
    }
}
