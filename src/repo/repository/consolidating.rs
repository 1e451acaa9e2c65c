//! Indexes put together: many small ones become one that a maintainer signs, so that reading them does not take a request for each
//! session that ever was (I11).
//!
//! Invariant: what is put together keeps its rows and their origins, word for word; an index that cannot be read stays as it is, and so
//! does one that somebody hostile may have made to say, under a maintainer's signature, what its own does not count for. Until a CHECKPOINT
//! names the new one, nothing has changed for anybody.

use super::index_runs::Judge;
use super::indexes::IndexSigner;
use super::{Error, Repository};
use crate::repo::chunk_index::Covered;
use crate::repo::id::DataKeyId;
use crate::repo::index_object::IndexBody;
use crate::repo::names::{self, IndexClass, Name, SessionName};
use crate::repo::pack::PackSummary;
use crate::repo::segment::{SegmentDescriptor, WrappedKey};
use crate::repo::session::IndexRef;
use crate::repo::wire::Decoder;
use std::collections::{BTreeMap, BTreeSet};

/// So many indexes of about one size become one.
const TOGETHER: usize = 8;
/// An index of so many bytes is large, and stays as it is.
const LARGE: u64 = 16 << 20;

/// The indexes that the next census names.
pub(super) struct Consolidated {
    pub indexes: BTreeSet<IndexRef>,
    /// Those that some of them stand for.
    pub replaced: BTreeSet<IndexRef>,
}

/// The index that was made, unless nothing of the others is needed, and those that it stands for.
type Together = (Option<IndexRef>, Vec<IndexRef>);

impl Repository {
    /// Puts small indexes together where there are many of about one size: each chunk's row is then copied a few times in all, and the
    /// indexes stay few.
    ///
    /// # Errors
    /// When the store fails.
    pub(super) fn consolidate(&self, indexes: BTreeMap<IndexClass, BTreeSet<IndexRef>>) -> Result<Consolidated, Error> {
        let lengths: BTreeMap<Name, u64> = self
            .store
            .list(names::INDEXES)?
            .into_iter()
            .filter_map(|listed| Some((Name::parse(&listed.name)?, listed.length)))
            .collect();
        let mut judge = Judge::new(self);
        let (mut all, mut superseded) = (BTreeSet::new(), BTreeSet::new());
        for (class, mut of_class) in indexes {
            let mut tiers: BTreeMap<u32, Vec<IndexRef>> = BTreeMap::new();
            for index in &of_class {
                if let Some(length) = lengths.get(&index.name()).filter(|length| **length < LARGE) {
                    tiers.entry(length.ilog2() / 2).or_default().push(*index);
                }
            }
            for tier in tiers.into_values().filter(|tier| tier.len() >= TOGETHER) {
                if let Some((made, replaced)) = self.put_together(&mut judge, class, &tier)? {
                    replaced.iter().for_each(|index| _ = of_class.remove(index));
                    of_class.extend(made);
                    superseded.extend(replaced);
                }
            }
            all.extend(of_class);
        }
        Ok(Consolidated { indexes: all, replaced: superseded })
    }

    /// One index instead of these, as far as they can be read; and which of them it stands for. `None` if that is fewer than two.
    fn put_together(
        &self,
        judge: &mut Judge<'_>,
        class: IndexClass,
        indexes: &[IndexRef],
    ) -> Result<Option<Together>, Error> {
        let (mut packs, mut wraps) = (Vec::<PackSummary>::new(), BTreeMap::<DataKeyId, Vec<u8>>::new());
        let mut replaced = Vec::new();
        let ledger = self.log.state.ledger();
        for index in indexes {
            let body = match self.read_index(judge, index) {
                Ok((covered, body)) if self.may_be_put_together(&covered, &body, &wraps) => body,
                Ok(_) => continue,
                Err(error @ Error::Store(_)) => return Err(error),
                // It stays as it is: whoever reads it makes up for it, and says so.
                Err(_) => continue,
            };
            for key in body.wraps.into_iter().filter(|key| !key.wrap.is_empty()) {
                wraps.insert(key.id, key.wrap);
            }
            let gone = |pack: &PackSummary| ledger.ever_final(&pack.id) || self.view.is_left_out(index, &pack.id);
            packs.extend(body.packs.into_iter().filter(|pack| !gone(pack)));
            replaced.push(*index);
        }
        if replaced.len() < 2 {
            return Ok(None);
        }
        let body = IndexBody::new(class, &packs, &wraps);
        let made = (!body.packs.is_empty()).then(|| self.put_own_index(class, &body)).transpose()?;
        Ok(Some((made, replaced)))
    }

    /// Whether an index says no more under a maintainer's signature than under its own. One that stands in for a lost one goes on doing
    /// so by itself. Of a writer's, every row is of a session that is known to be of that very installation: a number that is still to come
    /// might become somebody else's. A data key has one wrap: of two that differ, one may be put there to hide the other.
    fn may_be_put_together(&self, covered: &Covered, body: &IndexBody, wraps: &BTreeMap<DataKeyId, Vec<u8>>) -> bool {
        let by_principal =
            matches!(IndexSigner::decode(&mut Decoder::new(&covered.signer)), Ok(IndexSigner::Principal(_)));
        let own = |row: &SegmentDescriptor| {
            let session = SessionName { writer: row.origin.writer, seq: row.origin.seq };
            self.view.signed(&session).is_some_and(|signed| signed.installation.0 == covered.key)
        };
        let same = |key: &WrappedKey| key.wrap.is_empty() || wraps.get(&key.id).is_none_or(|known| *known == key.wrap);
        covered.replaces.is_empty()
            && (by_principal || body.packs.iter().flat_map(|pack| &pack.rows).all(own))
            && body.wraps.iter().all(same)
    }
}
