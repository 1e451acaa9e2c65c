//! The keys that segments are sealed with, found by what a segment's row says: opened when first needed, wiped at the end.

use crate::crypto::secret::Secret;
use crate::repo::chunk_index::ChunkIndex;
use crate::repo::chunks::Error;
use crate::repo::id::{ChunkKind, DataKeyId};
use crate::repo::keys::bundle::Bundle;
use crate::repo::keys::data_key::Wrap;
use crate::repo::segment::SegmentDescriptor;
use crate::repo::wire::Decoder;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// All keys that a bundle can reach.
pub struct KeyRing {
    bundle: Arc<Bundle>,
    index: Arc<ChunkIndex>,
    open: Mutex<HashMap<DataKeyId, Secret>>,
}

impl KeyRing {
    /// A ring of a bundle's own keys, and of the data keys whose wraps the index has.
    pub fn new(bundle: Arc<Bundle>, index: Arc<ChunkIndex>) -> Self {
        Self { bundle, index, open: Mutex::default() }
    }

    /// The key that opens a segment.
    ///
    /// # Errors
    /// [`Error::NoKey`] when the bundle may not, [`Error::Store`] when a wrap is missing or damaged.
    pub fn key_of(&self, segment: &SegmentDescriptor) -> Result<Secret, Error> {
        match segment.kind {
            ChunkKind::Skeleton => match self.bundle.epoch(segment.epoch) {
                Ok(keys) => Ok(keys.index.clone()),
                Err(error) => Err(Error::Store(Arc::new(error))),
            },
            kind if !self.bundle.role().reads_content() => Err(Error::NoKey { kind }),
            _ => self.data_key(&segment.key_id),
        }
    }

    /// A data key, unwrapped once.
    ///
    /// # Errors
    /// [`Error::Store`] when no wrap of it opens.
    pub fn data_key(&self, id: &DataKeyId) -> Result<Secret, Error> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = open.get(id) {
            return Ok(key.clone());
        }
        let mut failure = super::super::keys::Error::WrongDataKey(*id);
        for wrap in self.wraps_of(id) {
            match wrap.open(&self.bundle) {
                Ok(key) => {
                    open.insert(*id, key.secret().clone());
                    return Ok(key.secret().clone());
                }
                Err(error) => failure = error,
            }
        }
        Err(Error::Store(Arc::new(failure)))
    }

    fn wraps_of(&self, id: &DataKeyId) -> impl Iterator<Item = Wrap> {
        // Wraps of a later version's kind are passed over: what they seal cannot be opened here anyway.
        let decode = |bytes: &[u8]| Decoder::whole(bytes, Wrap::decode).ok();
        self.index.wraps_of(id).into_iter().filter_map(move |bytes| decode(&bytes).filter(|wrap| wrap.id == *id))
    }
}

impl std::fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeyRing({:?})", self.bundle.role())
    }
}
