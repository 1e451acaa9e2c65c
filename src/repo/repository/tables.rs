//! Reading packs' own tables, and whose word a signed table or index is.
//!
//! Anybody may open sessions under anybody's writer name, with a key of its own: so a signature says something about the
//! sessions of that very key alone, whatever the name (I11 in `FORMAT.md`).

use super::{Error, Repository};
use crate::crypto::hash;
use crate::crypto::sign::PublicKey;
use crate::repo::id::{PackId, PrincipalId, WriterId};
use crate::repo::names::{self, Name, SessionName};
use crate::repo::pack::{self, Table, TableKeys};
use crate::repo::segment::{Origin, SegmentDescriptor};
use crate::store::Listed;
use crate::store::mark::Mark;
use std::cell::RefCell;
use std::collections::BTreeMap;

/// A pack as a listing shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPack {
    /// Its length in bytes.
    pub length: u64,
    /// What the place says of its bytes.
    pub mark: Option<Mark>,
}

fn stored_pack(listed: Listed) -> Option<(PackId, StoredPack)> {
    match Name::parse(&listed.name) {
        Some(Name::Pack(id)) => Some((id, StoredPack { length: listed.length, mark: listed.mark })),
        _ => None,
    }
}

/// Tells under which key a table must be signed whose signer is this writer.
type SignerKey<'a> = dyn Fn(&WriterId) -> Option<PublicKey> + 'a;

impl Repository {
    /// Every pack in the store, and its length.
    ///
    /// # Errors
    /// When the listing fails.
    pub fn list_packs(&self) -> Result<BTreeMap<PackId, u64>, Error> {
        Ok(self.list_stored_packs()?.into_iter().map(|(id, stored)| (id, stored.length)).collect())
    }

    /// Every pack that was in the store when the sessions were listed, or now, where that listing did not reach so far; and its length.
    ///
    /// # Errors
    /// When a listing fails.
    pub fn packs_seen(&self) -> Result<BTreeMap<PackId, u64>, Error> {
        let packs = self.overview.list(&*self.store, names::PACKS)?;
        Ok(packs.into_iter().filter_map(stored_pack).map(|(id, stored)| (id, stored.length)).collect())
    }

    /// Every pack in the store, and all that the listing says of it.
    ///
    /// # Errors
    /// When the listing fails.
    pub fn list_stored_packs(&self) -> Result<BTreeMap<PackId, StoredPack>, Error> {
        Ok(self.store.list(names::PACKS)?.into_iter().filter_map(stored_pack).collect())
    }

    /// The signing keys of all who open, or opened, sessions under a writer's name: one, unless somebody is hostile.
    pub(super) fn installations(&self, writer: &WriterId) -> Vec<(PrincipalId, PublicKey)> {
        let sessions = SessionName { writer: *writer, seq: 0 }..=SessionName { writer: *writer, seq: u64::MAX };
        let above = self.view.sessions.range(sessions).map(|(session, _)| *session);
        let covered = SessionName { writer: *writer, seq: self.view.watermark(writer) };
        let mut found = Vec::new();
        for signed in above.chain([covered]).filter_map(|session| self.view.signed(&session)) {
            let one = (signed.principal, signed.installation);
            if !found.contains(&one) {
                found.push(one);
            }
        }
        for one in self.view.brought(writer) {
            if !found.contains(&one) {
                found.push(one);
            }
        }
        found
    }

    /// Whether what `key` signs as `signer` may name segments of this origin as its own.
    pub(super) fn is_own(&self, signer: &WriterId, key: &PublicKey, origin: &Origin) -> bool {
        let session = SessionName { writer: origin.writer, seq: origin.seq };
        let same = || self.view.signed(&session).is_none_or(|signed| signed.installation == *key);
        origin.writer == *signer && same()
    }

    /// A pack's own table, from the whole pack healed if it is damaged.
    ///
    /// # Errors
    /// When it cannot be read, or is not a pack of a certified writer.
    pub fn read_table(&self, id: &PackId, length: u64) -> Result<Table, Error> {
        match self.read_stored_table(id, length) {
            Err(Error::Pack { source: pack::Error::Foreign(signer), object }) => {
                Err(Error::Pack { source: pack::Error::Foreign(signer), object })
            }
            Err(Error::Pack { object, .. }) => {
                let fail = |source| Error::Pack { object, source };
                let healed = pack::heal(id, &self.store.get(&Name::Pack(*id).object())?);
                let keys = self.table_keys();
                let table = healed
                    .and_then(|stored| self.signed_table(|signer_key| pack::table_of(&stored, &keys, signer_key)));
                table.map_err(fail)
            }
            read => read,
        }
    }

    /// A pack's own table, from its bytes as they are stored: with three small reads.
    ///
    /// # Errors
    /// As [`Self::read_table`], and when it is damaged.
    pub fn read_stored_table(&self, id: &PackId, length: u64) -> Result<Table, Error> {
        let name = Name::Pack(*id);
        let keys = self.table_keys();
        let read = |offset, length| self.store.get_range(&name.object(), offset, length);
        match self.signed_table(|signer_key| pack::read_table(length, read, &keys, signer_key)) {
            Ok(table) => Ok(table),
            Err(pack::Error::Store(error)) => Err(error.into()),
            Err(source) => Err(Error::Pack { object: name.to_string(), source }),
        }
    }

    /// A pack's own table, after the whole pack was read: its bytes are what its name promises, and its segments what the
    /// table promises. Only then does a signed table say anything about this very pack.
    ///
    /// # Errors
    /// As [`Self::read_table`], and when pack and table do not belong together.
    pub fn read_proven_table(&self, id: &PackId) -> Result<Table, Error> {
        let name = Name::Pack(*id);
        let keys = self.table_keys();
        let fail = |source| Error::Pack { object: name.to_string(), source };
        let mut stored = self.store.get(&name.object())?;
        if !pack::is_intact(id, &stored) {
            stored = pack::heal(id, &stored).map_err(fail)?;
        }
        let table = self.signed_table(|signer_key| pack::table_of(&stored, &keys, signer_key)).map_err(fail)?;
        let proven = |row: &SegmentDescriptor| {
            pack::segment(&stored, row).is_some_and(|sealed| hash::blake3(sealed) == row.hash)
        };
        if table.rows.iter().all(proven) { Ok(table) } else { Err(fail(pack::Error::NotAPack)) }
    }

    /// Reads a table under each of its signer's keys in turn; its rows are its signer's own, or a maintainer's copies.
    fn signed_table(&self, read: impl Fn(&SignerKey<'_>) -> Result<Table, pack::Error>) -> Result<Table, pack::Error> {
        let candidates = RefCell::new(Vec::new());
        for attempt in 0.. {
            let outcome = read(&|writer| {
                let mut candidates = candidates.borrow_mut();
                *candidates = self.installations(writer);
                candidates.get(attempt).map(|(_, key)| *key)
            });
            let candidates = candidates.borrow();
            match (outcome, candidates.get(attempt)) {
                (Ok(table), Some((principal, key))) => {
                    let trust = self.log.state.trust();
                    let copies = trust.active(principal).is_some_and(|active| active.cert.role.may_maintain());
                    let own = |row: &SegmentDescriptor| copies || self.is_own(&table.signer, key, &row.origin);
                    let foreign = !table.rows.iter().all(own);
                    return if foreign { Err(pack::Error::Foreign(table.signer)) } else { Ok(table) };
                }
                (Err(pack::Error::Store(error)), _) => return Err(error.into()),
                (Err(_), _) if attempt + 1 < candidates.len() => {}
                (outcome, _) => return outcome,
            }
        }
        unreachable!("a writer has fewer keys than there are numbers")
    }

    fn table_keys(&self) -> TableKeys {
        let index_keys = self.bundle.epochs().map(|keys| (keys.epoch, keys.index.clone())).collect();
        TableKeys { repository: self.id(), index_keys }
    }
}
