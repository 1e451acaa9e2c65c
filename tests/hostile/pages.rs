//! Pages of catalogs made by hand, byte for byte as `FORMAT.md` has them: also those that no honest writer makes.

use super::forger::Forger;
use boveda::repo::id::{ChunkId, ChunkKind};
use boveda::repo::pack::PackSummary;
use boveda::repo::wire::Encoder;

/// A page.
#[derive(Debug, Clone)]
pub struct Page {
    /// 1 for catalogs, 2 for the extents of a file.
    pub family: u8,
    pub level: u8,
    pub children: Vec<ChunkId>,
    pub data: Vec<ChunkId>,
    /// Each as it is encoded.
    pub items: Vec<Vec<u8>>,
}

/// A page that is stored.
pub struct Stored {
    pub id: ChunkId,
    pub pack: PackSummary,
}

impl Page {
    /// A catalog of nothing.
    pub const fn empty() -> Self {
        Self { family: 1, level: 0, children: Vec::new(), data: Vec::new(), items: Vec::new() }
    }

    /// A leaf of a catalog with these entries.
    pub fn leaf(items: Vec<Vec<u8>>) -> Self {
        Self { items, ..Self::empty() }
    }

    /// Stores both halves, under the ids that they truly have.
    pub fn store(&self, forger: &Forger<'_>) -> Stored {
        let head = [1, self.family, self.level];
        let mut payload = Encoder::new();
        payload.raw(&head).uint(self.items.len() as u64);
        self.items.iter().for_each(|item| _ = payload.raw(item));
        payload.uint(0);
        let payload = payload.into_bytes();
        let payload_id = forger.id(ChunkKind::Payload, &payload);
        let mut skeleton = Encoder::new();
        skeleton.raw(&head).raw(&payload_id.0);
        for list in [&self.children, &self.data] {
            skeleton.list(list, |encoder, id| _ = encoder.raw(&id.0));
        }
        skeleton.uint(0);
        let skeleton = skeleton.into_bytes();
        let id = forger.id(ChunkKind::Skeleton, &skeleton);
        let segments = vec![
            forger.segment(ChunkKind::Payload, &[(payload_id, payload)], forger.origin()),
            forger.segment(ChunkKind::Skeleton, &[(id, skeleton)], forger.origin()),
        ];
        Stored { id, pack: forger.pack(segments, &forger.wrap()) }
    }
}

/// An entry under this key, of this kind and these seconds, and what the kind has behind it.
pub fn entry(key: &[u8], kind: u8, seconds: i64, rest: &[u8]) -> Vec<u8> {
    entry_after(b"", key, kind, seconds, rest)
}

/// As [`entry`], behind another one, with whose key it shares its beginning.
pub fn entry_after(before: &[u8], key: &[u8], kind: u8, seconds: i64, rest: &[u8]) -> Vec<u8> {
    let shared = before.iter().zip(key).take_while(|(one, other)| one == other).count();
    let mut item = Encoder::new();
    item.uint(shared as u64).bytes(&key[shared..]).u8(kind).u8(0).uint(0o644).uint(0).uint(0).bytes(b"").bytes(b"");
    item.int(seconds).uint(0).int(seconds).uint(0).raw(rest);
    item.into_bytes()
}

/// The numbers of kinds of entries.
pub const FILE: u8 = 1;
pub const LONG_FILE: u8 = 2;
pub const SYMLINK: u8 = 4;

/// Numbers, as they are encoded.
pub fn uints(numbers: &[u64]) -> Vec<u8> {
    let mut encoder = Encoder::new();
    numbers.iter().for_each(|number| _ = encoder.uint(*number));
    encoder.into_bytes()
}
