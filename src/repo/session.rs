//! The bodies of a session's objects: how it opens, that it lives, how it ends.
//!
//! An end is one-shot: whatever was put first under the name, commit or abort, is the session's verdict. Which ends count
//! is decided in `session_view`; here are the bytes alone.

use super::id::{IndexId, PackId, PrincipalId, WriterId};
use super::keys::installation::Certificate;
use super::names::{IndexClass, Name};
use super::wire::{Decoder, Encoder, Error, Extensions};
use crate::crypto::sign::PublicKey;
use std::collections::BTreeSet;

/// An installation, as its sessions present it: whose it is, and that principal's word for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Certified {
    /// The principal.
    pub principal: PrincipalId,
    /// Its signature over the installation's key.
    pub certificate: Certificate,
}

impl Certified {
    /// Appends principal, writer, public key and signature.
    pub fn encode(&self, encoder: &mut Encoder) {
        let Certificate { writer, public, signature } = &self.certificate;
        encoder.raw(&self.principal.0).raw(&writer.0).raw(&public.0).raw(signature);
    }

    /// Reads one.
    ///
    /// # Errors
    /// When the bytes end early.
    pub fn decode(decoder: &mut Decoder<'_>) -> Result<Self, Error> {
        let principal = PrincipalId(decoder.array()?);
        let (writer, public) = (WriterId(decoder.array()?), PublicKey(decoder.array()?));
        Ok(Self { principal, certificate: Certificate { writer, public, signature: decoder.array()? } })
    }
}

/// What `open` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// Who signs this session's objects.
    pub installation: Certified,
    /// Position of the newest log entry that the writer knew before.
    pub log_position: u64,
    /// That entry's digest.
    pub log_digest: [u8; 32],
    /// Number of the newest checkpoint that it knew before, 0 if none.
    pub checkpoint: u64,
    /// When, in seconds since 1970 by the writer's clock.
    pub time: i64,
    /// Program and version.
    pub program: String,
    /// Fields of later versions.
    pub extensions: Extensions,
}

impl Open {
    /// The body's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut encoder = Encoder::new();
        self.installation.encode(&mut encoder);
        encoder.uint(self.log_position).raw(&self.log_digest).uint(self.checkpoint).int(self.time).text(&self.program);
        self.extensions.encode(&mut encoder);
        encoder.into_bytes()
    }

    /// Reads a body.
    ///
    /// # Errors
    /// When the bytes are not one.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        Decoder::whole(bytes, |decoder| {
            Ok(Self {
                installation: Certified::decode(decoder)?,
                log_position: decoder.uint()?,
                log_digest: decoder.array()?,
                checkpoint: decoder.uint()?,
                time: decoder.int()?,
                program: decoder.text()?,
                extensions: Extensions::decode(decoder, &[])?,
            })
        })
    }
}

/// What a heartbeat says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beat {
    /// When, in seconds since 1970 by the writer's clock. For people; waiting goes by the waiter's own clock.
    pub time: i64,
    /// Fields of later versions.
    pub extensions: Extensions,
}

impl Beat {
    /// The body's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut encoder = Encoder::new();
        encoder.int(self.time);
        self.extensions.encode(&mut encoder);
        encoder.into_bytes()
    }

    /// Reads a body.
    ///
    /// # Errors
    /// When the bytes are not one.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        Decoder::whole(bytes, |decoder| {
            Ok(Self { time: decoder.int()?, extensions: Extensions::decode(decoder, &[])? })
        })
    }
}

/// Who signed an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signer {
    /// The session's own installation. Its certificate stands here too, so that losing `open` loses no snapshot.
    Installation(Certified),
    /// Another principal, that aborts a session which fell silent.
    Principal(PrincipalId),
}

/// An index that an end or a census makes count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IndexRef {
    /// The checkpoint in its name.
    pub checkpoint: u64,
    /// Which rows it holds.
    pub class: IndexClass,
    /// SHA-256 of its stored bytes.
    pub id: IndexId,
}

impl IndexRef {
    /// The index object's name.
    pub const fn name(&self) -> Name {
        Name::Index { checkpoint: self.checkpoint, class: self.class, id: self.id }
    }

    /// Appends checkpoint, class and id.
    pub fn encode(&self, encoder: &mut Encoder) {
        encoder.uint(self.checkpoint).u8(self.class as u8).raw(&self.id.0);
    }

    /// Reads one.
    ///
    /// # Errors
    /// When the bytes are not one.
    pub fn decode(decoder: &mut Decoder<'_>) -> Result<Self, Error> {
        let checkpoint = decoder.uint()?;
        let class = IndexClass::from_number(decoder.u8()?).ok_or(Error::Invalid("an unknown class of index"))?;
        Ok(Self { checkpoint, class, id: IndexId(decoder.array()?) })
    }
}

/// A record that was copied from another copy of the repository, and the installation that signed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopiedRecord {
    /// Who signed it.
    pub installation: Certified,
    /// The record's bytes.
    pub record: Vec<u8>,
}

/// How a session ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The snapshot exists, and these indexes count.
    Commit {
        /// The snapshot record's bytes.
        record: Vec<u8>,
        /// The session's indexes.
        indexes: Vec<IndexRef>,
    },
    /// Nothing of it counts.
    Abort {
        /// Why, for people.
        reason: String,
    },
    /// Snapshots copied from elsewhere exist here too, and these indexes count.
    Copies {
        /// The copied records.
        records: Vec<CopiedRecord>,
        /// The session's indexes.
        indexes: Vec<IndexRef>,
    },
}

/// What `end` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// Who signed it.
    pub signer: Signer,
    /// When, in seconds since 1970 by the signer's clock.
    pub time: i64,
    /// How the session ended.
    pub verdict: Verdict,
    /// Fields of later versions.
    pub extensions: Extensions,
}

impl End {
    /// The extension of the end of a sync that has the certificates of installations which signed, elsewhere, what it brought.
    const INSTALLATIONS: u64 = 2;
    /// The one that has the packs which the indexes name and which it did not bring, because they are gone for good elsewhere.
    const LEFT_OUT: u64 = 4;

    /// Adds who signed, elsewhere, what a sync brought, and the packs that it left out.
    #[must_use]
    pub fn bringing(mut self, installations: &[Certified], left_out: &BTreeSet<PackId>) -> Self {
        let mut encoder = Encoder::new();
        encoder.list(installations, |encoder, certified| certified.encode(encoder));
        self.extensions.set(Self::INSTALLATIONS, encoder.into_bytes());
        if !left_out.is_empty() {
            let packs: Vec<PackId> = left_out.iter().copied().collect();
            let mut encoder = Encoder::new();
            encoder.list(&packs, |encoder, pack| {
                encoder.raw(&pack.0);
            });
            self.extensions.set(Self::LEFT_OUT, encoder.into_bytes());
        }
        self
    }

    /// Who signed, elsewhere, what a sync brought.
    ///
    /// # Errors
    /// When the field's bytes are none.
    pub fn installations(&self) -> Result<Vec<Certified>, Error> {
        let read = |decoder: &mut Decoder<'_>| decoder.list(Certified::decode);
        self.extensions.get(Self::INSTALLATIONS).map_or_else(|| Ok(Vec::new()), |bytes| Decoder::whole(bytes, read))
    }

    /// The packs that a sync left out.
    ///
    /// # Errors
    /// When the field's bytes are none.
    pub fn left_out(&self) -> Result<BTreeSet<PackId>, Error> {
        let read = |decoder: &mut Decoder<'_>| decoder.list(|decoder| Ok::<_, Error>(PackId(decoder.array()?)));
        let packs =
            self.extensions.get(Self::LEFT_OUT).map_or_else(|| Ok(Vec::new()), |bytes| Decoder::whole(bytes, read));
        Ok(packs?.into_iter().collect())
    }

    /// The body's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut encoder = Encoder::new();
        match &self.signer {
            Signer::Installation(certified) => certified.encode(encoder.u8(1)),
            Signer::Principal(id) => {
                encoder.u8(2).raw(&id.0);
            }
        }
        encoder.int(self.time);
        let each = |encoder: &mut Encoder, index: &IndexRef| index.encode(encoder);
        match &self.verdict {
            Verdict::Commit { record, indexes } => encoder.u8(1).bytes(record).list(indexes, each),
            Verdict::Abort { reason } => encoder.u8(2).text(reason),
            Verdict::Copies { records, indexes } => {
                encoder.u8(3).list(records, |encoder, copied| {
                    copied.installation.encode(encoder);
                    encoder.bytes(&copied.record);
                });
                encoder.list(indexes, each)
            }
        };
        self.extensions.encode(&mut encoder);
        encoder.into_bytes()
    }

    /// Reads a body.
    ///
    /// # Errors
    /// When the bytes are not one.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        Decoder::whole(bytes, |decoder| {
            let signer = match decoder.u8()? {
                1 => Signer::Installation(Certified::decode(decoder)?),
                2 => Signer::Principal(PrincipalId(decoder.array()?)),
                _ => return Err(Error::Invalid("an unknown kind of signer")),
            };
            let (time, verdict) = (decoder.int()?, Verdict::decode(decoder)?);
            Ok(Self { signer, time, verdict, extensions: Extensions::decode(decoder, &[])? })
        })
    }
}

impl Verdict {
    fn decode(decoder: &mut Decoder<'_>) -> Result<Self, Error> {
        Ok(match decoder.u8()? {
            1 => Self::Commit { record: decoder.bytes()?.to_vec(), indexes: decoder.list(IndexRef::decode)? },
            2 => Self::Abort { reason: decoder.text()? },
            3 => {
                let records = decoder.list(|decoder| {
                    let installation = Certified::decode(decoder)?;
                    Ok::<_, Error>(CopiedRecord { installation, record: decoder.bytes()?.to_vec() })
                })?;
                Self::Copies { records, indexes: decoder.list(IndexRef::decode)? }
            }
            _ => return Err(Error::Invalid("an unknown end of a session")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::golden;
    use super::*;
    use proptest::prelude::*;

    fn certified() -> Certified {
        let certificate = Certificate { writer: WriterId([7; 16]), public: PublicKey([8; 32]), signature: [9; 64] };
        Certified { principal: PrincipalId([6; 16]), certificate }
    }

    fn open() -> Open {
        Open {
            installation: certified(),
            log_position: 5,
            log_digest: [1; 32],
            checkpoint: 300,
            time: 1_795_000_000,
            program: "boveda 0.1.0".into(),
            extensions: Extensions::default(),
        }
    }

    fn ends() -> [(&'static str, End); 3] {
        let indexes = vec![
            IndexRef { checkpoint: 300, class: IndexClass::Catalog, id: IndexId([2; 32]) },
            IndexRef { checkpoint: 300, class: IndexClass::Data, id: IndexId([3; 32]) },
        ];
        let end = |signer, verdict| End { signer, time: -1, verdict, extensions: Extensions::default() };
        let own = Signer::Installation(certified());
        let records = vec![CopiedRecord { installation: certified(), record: b"copied".to_vec() }];
        [
            ("end commit", end(own, Verdict::Commit { record: b"record".to_vec(), indexes: indexes.clone() })),
            ("end abort", end(Signer::Principal(PrincipalId([6; 16])), Verdict::Abort { reason: "silent".into() })),
            ("end copies", end(own, Verdict::Copies { records, indexes })),
        ]
    }

    #[test]
    fn golden() {
        assert_eq!(open().encode(), golden::bytes("open"));
        assert_eq!(Open::decode(&open().encode()), Ok(open()));
        let beat = Beat { time: 1_795_000_000, extensions: Extensions::default() };
        assert_eq!(beat.encode(), golden::bytes("beat"));
        assert_eq!(Beat::decode(&beat.encode()), Ok(beat));
        for (name, end) in ends() {
            assert_eq!(end.encode(), golden::bytes(name), "{name}");
            assert_eq!(End::decode(&end.encode()), Ok(end));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn any_bytes_are_an_error_or_themselves(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(end) = End::decode(&bytes) {
                prop_assert_eq!(end.encode(), &bytes[..]);
            }
            prop_assert!(Open::decode(&bytes).map_or(true, |open| open.encode() == bytes));
        }

        #[test]
        fn a_cut_body_is_an_error(which in 0..3usize, cut: prop::sample::Index) {
            let bytes = ends()[which].1.encode();
            prop_assert!(End::decode(&bytes[..cut.index(bytes.len())]).is_err());
        }
    }
}
