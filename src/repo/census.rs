//! The census: what a checkpoint names. The complete fold of the log, and everything that the sessions had committed.
//!
//! Invariant: with a census, all that came before it can be done without: the admin's entries stand in it word for word,
//! the records with their installations' certificates. Here are its bytes; which census counts, the log says.

mod beside;

pub use beside::Beside;

use super::id::{PackId, SnapshotId, WriterId};
use super::log::{Head, Ledger};
use super::session::{Certified, IndexRef};
use super::wire::{Decoder, Encoder, Error, Extensions};
use std::collections::BTreeMap;

/// The first checkpoint that listed a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// Its number.
    pub checkpoint: u64,
    /// Its time, seconds since 1970: what ages count from.
    pub time: i64,
}

/// A snapshot record in a census.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Which of [`Census::certificates`] proves its signature.
    pub certificate: usize,
    /// Its receipt; none in the census that lists it first: that checkpoint is the receipt.
    pub receipt: Option<Receipt>,
    /// Whether it was copied from another copy of the repository.
    pub copied: bool,
    /// The record's bytes.
    pub record: Vec<u8>,
}

/// An admin's log entry, word for word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminEntry {
    /// Its position.
    pub position: u64,
    /// Its frame, without armour.
    pub frame: Vec<u8>,
}

/// What a checkpoint names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Census {
    /// The number of the checkpoint that will name it.
    pub number: u64,
    /// The newest log entry that it covers.
    pub head: Head,
    /// Every CERT, REVOKE, EPOCH and CONFIG up to there, in order.
    pub admin_entries: Vec<AdminEntry>,
    /// What all other entries come to.
    pub ledger: Ledger,
    /// The installations that signed anything below.
    pub certificates: Vec<Certified>,
    /// All valid snapshot records.
    pub records: Vec<Listed>,
    /// The indexes that count, ascending.
    pub indexes: Vec<IndexRef>,
    /// Packs that are FINAL and may still be there, ascending.
    pub undeleted: Vec<PackId>,
    /// Each writer's newest record: how many came before it, and its id.
    pub heads: BTreeMap<WriterId, (u64, SnapshotId)>,
    /// Each writer's last session that this census covers: up to there its sessions' objects say nothing any more.
    pub watermarks: BTreeMap<WriterId, u64>,
    /// Fields of later versions.
    pub extensions: Extensions,
}

impl Census {
    /// The last session of `writer` that this census covers; 0 if it covers none.
    pub fn watermark(&self, writer: &WriterId) -> u64 {
        self.watermarks.get(writer).copied().unwrap_or(0)
    }

    /// The body's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut encoder = Encoder::new();
        encoder.uint(self.number).uint(self.head.position).raw(&self.head.digest);
        encoder.list(&self.admin_entries, |encoder, entry| {
            encoder.uint(entry.position).bytes(&entry.frame);
        });
        self.ledger.encode(&mut encoder);
        encoder.list(&self.certificates, |encoder, certified| certified.encode(encoder));
        encoder.list(&self.records, |encoder, listed| {
            encoder.uint(listed.certificate as u64).option(listed.receipt.as_ref(), |encoder, receipt| {
                encoder.uint(receipt.checkpoint).int(receipt.time);
            });
            encoder.bool(listed.copied).bytes(&listed.record);
        });
        encoder.list(&self.indexes, |encoder, index| index.encode(encoder));
        encoder.list(&self.undeleted, |encoder, pack| {
            encoder.raw(&pack.0);
        });
        let heads: Vec<_> = self.heads.iter().collect();
        encoder.list(&heads, |encoder, (writer, (number, id))| {
            encoder.raw(&writer.0).uint(*number).raw(&id.0);
        });
        let watermarks: Vec<_> = self.watermarks.iter().collect();
        encoder.list(&watermarks, |encoder, (writer, seq)| {
            encoder.raw(&writer.0).uint(**seq);
        });
        self.extensions.encode(&mut encoder);
        encoder.into_bytes()
    }

    /// Reads a body.
    ///
    /// # Errors
    /// When the bytes are not one.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        Decoder::whole(bytes, |decoder| {
            let number = decoder.uint()?;
            let head = Head { position: decoder.uint()?, digest: decoder.array()? };
            let admin_entries = decoder.list(AdminEntry::decode)?;
            let ledger = Ledger::decode(decoder)?;
            let certificates = decoder.list(Certified::decode)?;
            let census = Self {
                number,
                head,
                admin_entries,
                ledger,
                certificates,
                records: decoder.list(Listed::decode)?,
                indexes: decoder.list(IndexRef::decode)?,
                undeleted: decoder.list(|decoder| decoder.array().map(PackId))?,
                heads: pairs(decoder, |decoder| Ok((decoder.uint()?, SnapshotId(decoder.array()?))))?,
                watermarks: pairs(decoder, |decoder| decoder.uint())?,
                extensions: Extensions::decode(decoder, &[])?,
            };
            census.check()
        })
    }

    fn check(self) -> Result<Self, Error> {
        if self.records.iter().any(|listed| listed.certificate >= self.certificates.len()) {
            return Err(Error::Invalid("a record without a certificate"));
        }
        self.beside()?;
        let ordered = self.indexes.is_sorted_by(|a, b| a < b)
            && self.undeleted.is_sorted_by(|a, b| a < b)
            && self.admin_entries.is_sorted_by(|a, b| a.position < b.position);
        if ordered { Ok(self) } else { Err(Error::Invalid("a list out of order")) }
    }
}

impl AdminEntry {
    fn decode(decoder: &mut Decoder<'_>) -> Result<Self, Error> {
        Ok(Self { position: decoder.uint()?, frame: decoder.bytes()?.to_vec() })
    }
}

impl Listed {
    fn decode(decoder: &mut Decoder<'_>) -> Result<Self, Error> {
        Ok(Self {
            certificate: decoder.uint_as()?,
            receipt: decoder
                .option(|decoder| Ok::<_, Error>(Receipt { checkpoint: decoder.uint()?, time: decoder.int()? }))?,
            copied: decoder.bool()?,
            record: decoder.bytes()?.to_vec(),
        })
    }
}

/// A map from writers, ascending.
fn pairs<V>(
    decoder: &mut Decoder<'_>,
    mut value: impl FnMut(&mut Decoder<'_>) -> Result<V, Error>,
) -> Result<BTreeMap<WriterId, V>, Error> {
    let pairs = decoder.list(|decoder| Ok::<_, Error>((WriterId(decoder.array()?), value(decoder)?)))?;
    if pairs.is_sorted_by(|a, b| a.0 < b.0) {
        Ok(pairs.into_iter().collect())
    } else {
        Err(Error::Invalid("writers out of order"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::golden;
    use super::super::id::{CensusId, HoldId, IndexId, PrincipalId};
    use super::super::keys::installation::Certificate;
    use super::super::log::ledger::{Checkpoint, Hold, TagChange};
    use super::super::log::{Part, Verdict};
    use super::super::names::{IndexClass, SessionName};
    use super::*;
    use crate::crypto::sign::PublicKey;
    use proptest::prelude::*;

    const SNAPSHOT: SnapshotId = SnapshotId([0x55; 32]);
    const WRITER: WriterId = WriterId([7; 16]);

    fn ledger() -> Ledger {
        let (pack, principal) = (PackId([1; 32]), PrincipalId([6; 16]));
        let session = SessionName { writer: WRITER, seq: 300 };
        let resolved = Verdict::Abort { session, end: [0x44; 32] };
        let tags = TagChange { added: ["keep".to_owned()].into(), removed: ["daily".to_owned()].into() };
        let hold = Hold { asked_by: principal, reason: "odd".into(), position: 6, time: 1_795_000_000 };
        Ledger {
            condemned: [(Part { pack, segment: None }, 4), (Part { pack, segment: Some(5) }, 5)].into(),
            finals: [(Part { pack: PackId([2; 32]), segment: None }, 5)].into(),
            marks: [(4, [SNAPSHOT].into())].into(),
            suspects: std::collections::BTreeSet::new(),
            forgotten: [(SNAPSHOT, 7)].into(),
            holds: [(HoldId([9; 16]), hold)].into(),
            tags: [(SNAPSHOT, tags)].into(),
            attests: [(session, [0x44; 32], principal)].into(),
            resolved: [(session, resolved)].into(),
            gaps: [(WRITER, SNAPSHOT)].into(),
            checkpoint: Some(Checkpoint { number: 1, census: CensusId([0x77; 32]), position: 8, time: 1_795_000_001 }),
        }
    }

    pub(super) fn census() -> Census {
        let certificate = Certificate { writer: WRITER, public: PublicKey([8; 32]), signature: [9; 64] };
        let receipt = Some(Receipt { checkpoint: 1, time: 1_795_000_001 });
        Census {
            number: 2,
            head: Head { position: 300, digest: [1; 32] },
            admin_entries: vec![AdminEntry { position: 0, frame: b"frame".to_vec() }],
            ledger: ledger(),
            certificates: vec![Certified { principal: PrincipalId([6; 16]), certificate }],
            records: vec![Listed { certificate: 0, receipt, copied: false, record: b"record".to_vec() }],
            indexes: vec![IndexRef { checkpoint: 1, class: IndexClass::Catalog, id: IndexId([2; 32]) }],
            undeleted: vec![PackId([2; 32])],
            heads: [(WRITER, (4, SNAPSHOT))].into(),
            watermarks: [(WRITER, 300)].into(),
            extensions: Extensions::default(),
        }
    }

    #[test]
    fn golden() {
        let census = census();
        assert_eq!(census.encode(), golden::bytes("census"));
        assert_eq!((census.watermark(&WRITER), census.watermark(&WriterId([0; 16]))), (300, 0));
        assert_eq!(Census::decode(&census.encode()), Ok(census));
    }

    #[test]
    fn a_record_needs_its_certificate_and_lists_their_order() {
        let mut census = census();
        census.records[0].certificate = 1;
        assert!(Census::decode(&census.encode()).is_err());
        let mut census = super::tests::census();
        census.undeleted.push(PackId([1; 32]));
        assert!(Census::decode(&census.encode()).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn a_cut_or_changed_census_never_panics(at: prop::sample::Index, byte: u8) {
            let mut bytes = census().encode();
            let at = at.index(bytes.len());
            prop_assert!(Census::decode(&bytes[..at]).is_err());
            bytes[at] = byte;
            if let Ok(census) = Census::decode(&bytes) {
                prop_assert_eq!(census.encode(), bytes);
            }
        }
    }
}
