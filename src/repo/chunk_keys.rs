//! The keys that turn bytes into chunk ids, one per kind.

use super::id::{ChunkId, ChunkKind};
use crate::crypto::{context, hash, secret::Secret};

/// The id keys of the three kinds of chunks.
#[derive(Debug, Clone)]
pub struct ChunkKeys {
    data: Secret,
    payload: Secret,
    skeleton: Secret,
}

impl ChunkKeys {
    /// Derives them from a bundle's id key and structure key.
    pub fn derive(id_key: &Secret, structure_key: &Secret) -> Self {
        Self {
            data: hash::derive_key(context::ID_DATA, id_key),
            payload: hash::derive_key(context::ID_PAYLOAD, id_key),
            skeleton: hash::derive_key(context::ID_SKELETON, structure_key),
        }
    }

    /// For a bundle without an id key: skeletons can be checked; no data or payload chunk ever has a matching id, and none
    /// can be opened without its key anyway.
    pub fn structure_only(structure_key: &Secret) -> Self {
        Self::derive(&Secret::generate(), structure_key)
    }

    /// The id of `bytes` as a chunk of `kind`.
    pub fn id(&self, kind: ChunkKind, bytes: &[u8]) -> ChunkId {
        let key = match kind {
            ChunkKind::Data => &self.data,
            ChunkKind::Payload => &self.payload,
            ChunkKind::Skeleton => &self.skeleton,
        };
        ChunkId(hash::keyed(key, bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_never_meet() {
        let keys = ChunkKeys::derive(&Secret::new([1; 32]), &Secret::new([1; 32]));
        let ids = [ChunkKind::Data, ChunkKind::Payload, ChunkKind::Skeleton].map(|kind| keys.id(kind, b"same"));
        assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2]);
    }
}
