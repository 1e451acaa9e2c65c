//! Reading packs: the table with three small reads, single segments, and healing of whole packs without keys.

use super::Error;
use super::table::{Seal, TRAILER_LEN, Table};
use crate::crypto::aead::Suite;
use crate::crypto::{hash, secret::Secret, sign::PublicKey};
use crate::repo::armour::{self, FIXED_LEN, Layout, ObjectKind};
use crate::repo::id::{PackId, RepositoryId, WriterId};
use crate::repo::segment::SegmentDescriptor;
use crate::store;

/// What opens tables.
#[derive(Debug, Clone)]
pub struct TableKeys {
    /// The repository.
    pub repository: RepositoryId,
    /// The index keys of the epochs known.
    pub index_keys: Vec<(u32, Secret)>,
}

impl TableKeys {
    /// Every seal that a trailer may have, newest epoch first: neither epoch nor suite stands in the clear.
    fn seals(&self) -> impl Iterator<Item = Seal<'_>> {
        let mut keys: Vec<_> = self.index_keys.iter().collect();
        keys.sort_by_key(|(epoch, _)| std::cmp::Reverse(*epoch));
        keys.into_iter().flat_map(|(epoch, index_key)| {
            [Suite::Aes256Gcm, Suite::XChaCha20Poly1305].map(|suite| Seal {
                suite,
                repository: &self.repository,
                epoch: *epoch,
                index_key,
            })
        })
    }
}

/// Reads the table of a pack of `length` stored bytes. `read(offset, length)` gives parts of them; `signer_key` says
/// which public key an installation has, if it is known.
///
/// # Errors
/// When the pack is damaged where it was read (then [`heal`] the whole and try again), signed by somebody unknown, or
/// cannot be read.
pub fn read_table(
    length: u64,
    mut read: impl FnMut(u64, u64) -> Result<Vec<u8>, store::Error>,
    keys: &TableKeys,
    signer_key: impl FnOnce(&WriterId) -> Option<PublicKey>,
) -> Result<Table, Error> {
    let layout = layout(length, &mut read)?;
    let data = layout.data_range();
    let sealed = read((data.end - TRAILER_LEN) as u64, TRAILER_LEN as u64)?;
    let opened = keys.seals().map(|seal| (seal.open_trailer(&sealed, data.len()), seal));
    let (place, seal) = opened
        .filter(|(place, _)| !matches!(place, Err(Error::Trailer)))
        .map(|(place, seal)| Ok((place?, seal)))
        .next()
        .unwrap_or(Err(Error::Trailer))?;
    let at = data.start as u64;
    let sealed = read(at + place.start, place.end - place.start)?;
    seal.open_table(&sealed, at, place.start, signer_key)
}

/// The layout that either end tells, if it is that of a pack of this length.
fn layout(length: u64, read: &mut impl FnMut(u64, u64) -> Result<Vec<u8>, store::Error>) -> Result<Layout, Error> {
    let fixed = FIXED_LEN as u64;
    let layout = match Layout::from_head(&read(0, fixed)?) {
        Err(armour::Error::NotArmoured) => Layout::from_tail(&read(length.saturating_sub(fixed), fixed)?)?,
        other => other?,
    };
    let fits =
        layout.kind() == ObjectKind::Pack && layout.stored_len() as u64 == length && layout.data_len() >= TRAILER_LEN;
    if fits { Ok(layout) } else { Err(Error::NotAPack) }
}

/// As [`read_table`], of a pack that is at hand.
///
/// # Errors
/// As [`read_table`].
pub fn table_of(
    stored: &[u8],
    keys: &TableKeys,
    signer_key: impl FnOnce(&WriterId) -> Option<PublicKey>,
) -> Result<Table, Error> {
    let read = |offset, length| {
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(stored.len());
        let length = usize::try_from(length).unwrap_or(usize::MAX).min(stored.len() - from);
        Ok(stored[from..from + length].to_vec())
    };
    read_table(stored.len() as u64, read, keys, signer_key)
}

/// The sealed bytes of a segment of a pack that is at hand; `None` when the pack is too short.
pub fn segment<'a>(stored: &'a [u8], row: &SegmentDescriptor) -> Option<&'a [u8]> {
    let start = usize::try_from(row.offset).ok()?;
    stored.get(start..start.checked_add(row.length as usize)?)
}

/// Whether the stored bytes are those that the name promises. Needs no keys.
pub fn is_intact(id: &PackId, stored: &[u8]) -> bool {
    hash::sha256(stored) == id.0
}

/// The bytes that the name promises, from damaged ones. Needs no keys.
///
/// # Errors
/// [`Error::Armour`] when too much is damaged; [`Error::Name`] when the result is something else.
pub fn heal(id: &PackId, stored: &[u8]) -> Result<Vec<u8>, Error> {
    let healed = armour::heal(stored)?;
    if is_intact(id, &healed) { Ok(healed) } else { Err(Error::Name) }
}

#[cfg(test)]
mod tests {
    use super::super::{FinishedPack, PackBuilder, PackSealing};
    use super::*;
    use crate::crypto::sign::SigningKey;
    use crate::repo::armour::Parity;
    use crate::repo::chunk_keys::ChunkKeys;
    use crate::repo::id::{ChunkKind, DataKeyId};
    use crate::repo::segment::{self as segments, Compression, Origin, Sealing, SegmentBuilder};
    use proptest::prelude::*;

    const KINDS: [ChunkKind; 3] = [ChunkKind::Data, ChunkKind::Payload, ChunkKind::Skeleton];

    struct World {
        sealing: PackSealing,
        data_key: Secret,
        ids: ChunkKeys,
    }

    fn world(suite: Suite) -> World {
        let sealing = PackSealing {
            suite,
            repository: RepositoryId([1; 32]),
            epoch: 2,
            index_key: Secret::new([3; 32]),
            signer: WriterId([4; 16]),
            signing_key: SigningKey::from_seed(&Secret::new([5; 32])),
            parity: Parity::default(),
            md5: true,
        };
        let ids = ChunkKeys::derive(&Secret::new([6; 32]), &Secret::new([7; 32]));
        World { sealing, data_key: Secret::new([8; 32]), ids }
    }

    impl World {
        fn key(&self, kind: ChunkKind) -> &Secret {
            if kind == ChunkKind::Skeleton { &self.sealing.index_key } else { &self.data_key }
        }

        /// A pack of three segments, one of each kind.
        fn pack(&self, chunk: &[u8]) -> FinishedPack {
            let mut builder = PackBuilder::new();
            for kind in KINDS {
                let mut segment = SegmentBuilder::new(kind);
                segment.push(self.ids.id(kind, chunk), chunk);
                let with = Sealing {
                    suite: self.sealing.suite,
                    repository: self.sealing.repository,
                    epoch: self.sealing.epoch,
                    key: self.key(kind).clone(),
                    key_id: DataKeyId([9; 32]),
                    origin: Origin { writer: self.sealing.signer, seq: 1 },
                };
                builder.push(segment.finish(&with, Compression::default()).unwrap(), b"wrap");
            }
            builder.finish(&self.sealing)
        }

        fn keys(&self) -> TableKeys {
            let index_keys = vec![(1, Secret::new([0; 32])), (2, self.sealing.index_key.clone())];
            TableKeys { repository: self.sealing.repository, index_keys }
        }

        fn table(&self, stored: &[u8]) -> Result<Table, Error> {
            table_of(stored, &self.keys(), |_| Some(self.sealing.signing_key.public()))
        }
    }

    #[test]
    fn a_pack_gives_back_its_table_and_chunks() {
        for suite in [Suite::Aes256Gcm, Suite::XChaCha20Poly1305] {
            let world = world(suite);
            let pack = world.pack(b"some bytes");
            assert!(is_intact(&pack.summary.id, pack.stored()));
            assert_eq!(pack.summary.md5, Some(hash::md5(pack.stored())));
            let table = world.table(pack.stored()).unwrap();
            assert_eq!(table.rows, pack.summary.rows);
            assert_eq!(table.wraps.len(), 1);
            assert_eq!(table.wraps[0].wrap, b"wrap");
            for row in &table.rows {
                let sealed = segment(pack.stored(), row).unwrap();
                assert_eq!(hash::blake3(sealed), row.hash);
                let key = world.key(row.kind);
                let opened = segments::open(row, &world.sealing.repository, key, sealed.to_vec(), &[]).unwrap();
                assert_eq!(&*opened.checked(row, 0, &world.ids).unwrap(), b"some bytes");
            }
        }
    }

    #[test]
    fn a_table_is_read_with_three_small_reads_even_without_the_head() {
        let world = world(Suite::Aes256Gcm);
        let pack = world.pack(&[0; 100]);
        let mut stored = pack.stored().to_vec();
        stored[..64].fill(0);
        let mut reads = 0;
        let read = |offset: u64, length: u64| {
            reads += 1;
            assert!(length < 1000);
            Ok(stored[offset as usize..][..length as usize].to_vec())
        };
        let table = read_table(stored.len() as u64, read, &world.keys(), |_| Some(world.sealing.signing_key.public()));
        assert_eq!(table.unwrap().rows, pack.summary.rows);
        assert_eq!(reads, 4);
    }

    #[test]
    fn buffers_are_used_again_and_names_never() {
        let world = world(Suite::Aes256Gcm);
        let first = world.pack(b"same");
        let id = first.summary.id;
        let again = PackBuilder::with_buffer(first.into_buffer()).finish(&world.sealing);
        assert!(world.table(again.stored()).unwrap().rows.is_empty());
        assert_ne!(world.pack(b"same").summary.id, id);
    }

    #[test]
    fn a_full_pack_stays_just_below_the_target() {
        let world = world(Suite::Aes256Gcm);
        let template = world.pack(b"x");
        let row = template.summary.rows[0].clone();
        let mut builder = PackBuilder::new();
        while !builder.is_full() {
            let length = 300_032;
            let descriptor = SegmentDescriptor { length, ids: vec![row.ids[0]; 20], ..row.clone() };
            builder.push(segments::SealedSegment { descriptor, bytes: vec![0; length as usize] }, b"wrap");
        }
        let pack = builder.finish(&world.sealing);
        let layout = Layout::from_head(pack.stored()).unwrap();
        assert_eq!(layout.data_len(), super::super::TARGET);
        assert_eq!((layout.data_shards(), layout.parity_shards()), (512, 16));
    }

    #[test]
    fn other_keys_open_no_table() {
        let world = world(Suite::Aes256Gcm);
        let pack = world.pack(b"x");
        let keys = TableKeys { index_keys: vec![(2, Secret::new([0; 32]))], ..world.keys() };
        assert!(matches!(table_of(pack.stored(), &keys, |_| None), Err(Error::Trailer)));
        assert!(matches!(table_of(pack.stored(), &world.keys(), |_| None), Err(Error::UnknownSigner(_))));
        let other = armour::wrap(ObjectKind::Index, armour::Scale::Pack, vec![]);
        assert!(matches!(world.table(&other), Err(Error::NotAPack)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn damage_is_healed_or_refused_never_believed(at: prop::sample::Index, mask in 1u8.., cut: bool) {
            let world = world(Suite::Aes256Gcm);
            let pack = world.pack(&[7; 5000]);
            let mut stored = pack.stored().to_vec();
            let at = at.index(stored.len());
            if cut { stored.truncate(at) } else { stored[at] ^= mask }
            prop_assert!(!is_intact(&pack.summary.id, &stored));
            if let Ok(table) = world.table(&stored) {
                prop_assert_eq!(&table.rows, &pack.summary.rows);
            }
            match heal(&pack.summary.id, &stored) {
                Ok(healed) => prop_assert_eq!(&healed[..], pack.stored()),
                Err(_) => prop_assert!(cut),
            }
        }
    }
}
