//! The bytes of entries and decisions.
//!
//! Invariant: one decision has one encoding; lists of packs, segments and principals are strictly ascending.

use super::entry::{Cert, Decision, Entry, Target, Verdict};
use crate::crypto::hpke::SealingKey;
use crate::crypto::sign::PublicKey;
use crate::repo::id::{CensusId, HoldId, PackId, PrincipalId, SnapshotId, WriterId};
use crate::repo::keys::role::Role;
use crate::repo::names::SessionName;
use crate::repo::session::IndexRef;
use crate::repo::wire::{Decoder, Encoder, Error, Extensions};

/// The first number that version 1 does not know. From here on, odd types are critical.
const UNKNOWN_FROM: u64 = 17;

impl Entry {
    /// The entry's bytes, as they are sealed.
    pub fn encode(&self) -> Vec<u8> {
        let mut encoder = Encoder::new();
        encoder.uint(self.position).raw(&self.previous).list(&self.voids, |encoder, digest| {
            encoder.raw(digest);
        });
        encoder.raw(&self.author.0).int(self.time).uint(self.kind).bytes(&self.body);
        encoder.into_bytes()
    }

    /// Reads an entry, its decision not yet.
    ///
    /// # Errors
    /// When the bytes are not one.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        Decoder::whole(bytes, |decoder| {
            Ok(Self {
                position: decoder.uint()?,
                previous: decoder.array()?,
                voids: decoder.list(Decoder::array)?,
                author: PrincipalId(decoder.array()?),
                time: decoder.int()?,
                kind: decoder.uint()?,
                body: decoder.bytes()?.to_vec(),
            })
        })
    }

    /// What the entry decides.
    ///
    /// # Errors
    /// [`Error::Critical`] for a type or field that only a later version knows and that must not be skipped; else when
    /// the body does not decode.
    pub fn decision(&self) -> Result<Decision, Error> {
        match self.kind {
            1..UNKNOWN_FROM => Decoder::whole(&self.body, |decoder| {
                let decision = decode(self.kind, decoder)?;
                Extensions::decode(decoder, &[])?;
                Ok(decision)
            }),
            kind if kind % 2 == 1 => Err(Error::Critical(kind)),
            _ => Ok(Decision::Unknown),
        }
    }
}

impl Decision {
    /// The number of its type, and its bytes.
    ///
    /// # Panics
    /// On [`Decision::Unknown`]: nobody writes what they do not know.
    pub fn encode(&self) -> (u64, Vec<u8>) {
        let mut encoder = Encoder::new();
        let kind = encode(self, &mut encoder);
        Extensions::default().encode(&mut encoder);
        (kind, encoder.into_bytes())
    }
}

fn encode(decision: &Decision, encoder: &mut Encoder) -> u64 {
    match decision {
        Decision::Condemn { targets, marked } => {
            snapshots(encoder.list(targets, target), marked);
            1
        }
        Decision::Rescue { targets } => {
            encoder.list(targets, target);
            2
        }
        Decision::Final { targets, listed } => {
            encoder.list(targets, target).uint(*listed);
            3
        }
        Decision::Forget(ids) => {
            snapshots(encoder, ids);
            4
        }
        Decision::Unforget(ids) => {
            snapshots(encoder, ids);
            5
        }
        Decision::Hold { id, asked_by, reason } => {
            encoder.raw(&id.0).raw(&asked_by.0).text(reason);
            6
        }
        Decision::Release(id) => {
            encoder.raw(&id.0);
            7
        }
        other => encode_rest(other, encoder),
    }
}

fn encode_rest(decision: &Decision, encoder: &mut Encoder) -> u64 {
    match decision {
        Decision::Cert(cert) => {
            cert.encode(encoder);
            8
        }
        Decision::Revoke { principal, accepted, reason } => {
            encoder.raw(&principal.0).list(accepted, |encoder, (writer, record)| {
                encoder.raw(&writer.0).raw(&record.0);
            });
            encoder.text(reason);
            9
        }
        Decision::Attest { session, end } => {
            session_name(encoder, session).raw(end);
            10
        }
        Decision::Tag { snapshot, add, remove } => {
            encoder.raw(&snapshot.0);
            for tags in [add, remove] {
                encoder.list(tags, |encoder, tag| {
                    encoder.text(tag);
                });
            }
            11
        }
        Decision::Epoch { epoch, read } => {
            encoder.uint((*epoch).into()).raw(&read.0);
            12
        }
        Decision::Config(body) => {
            encoder.bytes(body);
            13
        }
        Decision::Resolve(verdict) => {
            verdict.encode(encoder);
            14
        }
        Decision::Checkpoint { number, census } => {
            encoder.uint(*number).raw(&census.0);
            15
        }
        Decision::Suspect { lost, whole } => {
            for packs in [lost, whole] {
                encoder.list(packs, |encoder, pack| {
                    encoder.raw(&pack.0);
                });
            }
            16
        }
        _ => unreachable!("the other types were written before, and nobody writes what they do not know"),
    }
}

fn decode(kind: u64, decoder: &mut Decoder<'_>) -> Result<Decision, Error> {
    Ok(match kind {
        1 => Decision::Condemn { targets: targets(decoder)?, marked: decode_snapshots(decoder)? },
        2 => Decision::Rescue { targets: targets(decoder)? },
        3 => Decision::Final { targets: targets(decoder)?, listed: decoder.uint()? },
        4 => Decision::Forget(decode_snapshots(decoder)?),
        5 => Decision::Unforget(decode_snapshots(decoder)?),
        6 => Decision::Hold {
            id: HoldId(decoder.array()?),
            asked_by: PrincipalId(decoder.array()?),
            reason: decoder.text()?,
        },
        7 => Decision::Release(HoldId(decoder.array()?)),
        8 => Decision::Cert(Cert::decode(decoder)?),
        9 => Decision::Revoke {
            principal: PrincipalId(decoder.array()?),
            accepted: decoder
                .list(|decoder| Ok::<_, Error>((WriterId(decoder.array()?), SnapshotId(decoder.array()?))))?,
            reason: decoder.text()?,
        },
        10 => Decision::Attest { session: decode_session(decoder)?, end: decoder.array()? },
        11 => Decision::Tag {
            snapshot: SnapshotId(decoder.array()?),
            add: decoder.list(Decoder::text)?,
            remove: decoder.list(Decoder::text)?,
        },
        12 => Decision::Epoch { epoch: decoder.uint_as()?, read: SealingKey(decoder.array()?) },
        13 => Decision::Config(decoder.bytes()?.to_vec()),
        14 => Decision::Resolve(Verdict::decode(decoder)?),
        15 => Decision::Checkpoint { number: decoder.uint()?, census: CensusId(decoder.array()?) },
        16 => Decision::Suspect { lost: packs(decoder)?, whole: packs(decoder)? },
        _ => unreachable!("only known types come here"),
    })
}

impl Cert {
    fn encode(&self, encoder: &mut Encoder) {
        encoder.raw(&self.signing.0).raw(&self.sealing.0).u8(self.role as u8).text(&self.label);
        encoder.list(&self.trusts, |encoder, id| {
            encoder.raw(&id.0);
        });
        encoder.bool(self.may_attest);
    }

    fn decode(decoder: &mut Decoder<'_>) -> Result<Self, Error> {
        let (signing, sealing) = (PublicKey(decoder.array()?), SealingKey(decoder.array()?));
        let role = Role::from_number(decoder.u8()?).ok_or(Error::Invalid("an unknown role"))?;
        let label = decoder.text()?;
        let trusts = ascending(decoder.list(|decoder| decoder.array().map(PrincipalId))?, |id| *id)?;
        Ok(Self { signing, sealing, role, label, trusts, may_attest: decoder.bool()? })
    }
}

impl Verdict {
    pub(super) fn encode(&self, encoder: &mut Encoder) {
        match self {
            Self::Commit { session, end, record, indexes } => session_name(encoder.u8(1), session)
                .raw(end)
                .bytes(record)
                .list(indexes, |encoder, index| index.encode(encoder)),
            Self::Abort { session, end } => session_name(encoder.u8(2), session).raw(end),
            Self::Gap { writer, missing } => encoder.u8(3).raw(&writer.0).raw(&missing.0),
        };
    }

    pub(super) fn decode(decoder: &mut Decoder<'_>) -> Result<Self, Error> {
        Ok(match decoder.u8()? {
            1 => Self::Commit {
                session: decode_session(decoder)?,
                end: decoder.array()?,
                record: decoder.bytes()?.to_vec(),
                indexes: decoder.list(IndexRef::decode)?,
            },
            2 => Self::Abort { session: decode_session(decoder)?, end: decoder.array()? },
            3 => Self::Gap { writer: WriterId(decoder.array()?), missing: SnapshotId(decoder.array()?) },
            _ => return Err(Error::Invalid("an unknown way to resolve")),
        })
    }
}

fn target(encoder: &mut Encoder, target: &Target) {
    encoder.raw(&target.pack.0).list(&target.segments, |encoder, &segment| {
        encoder.uint(segment.into());
    });
}

fn targets(decoder: &mut Decoder<'_>) -> Result<Vec<Target>, Error> {
    let targets = decoder.list(|decoder| {
        let pack = PackId(decoder.array()?);
        let segments = ascending(decoder.list(Decoder::uint_as)?, |segment| *segment)?;
        Ok::<_, Error>(Target { pack, segments })
    })?;
    ascending(targets, |target| target.pack)
}

fn packs(decoder: &mut Decoder<'_>) -> Result<Vec<PackId>, Error> {
    ascending(decoder.list(|decoder| decoder.array().map(PackId))?, |pack| *pack)
}

fn snapshots(encoder: &mut Encoder, ids: &[SnapshotId]) {
    encoder.list(ids, |encoder, id| {
        encoder.raw(&id.0);
    });
}

fn decode_snapshots(decoder: &mut Decoder<'_>) -> Result<Vec<SnapshotId>, Error> {
    decoder.list(|decoder| decoder.array().map(SnapshotId))
}

pub(super) fn session_name<'e>(encoder: &'e mut Encoder, session: &SessionName) -> &'e mut Encoder {
    encoder.raw(&session.writer.0).uint(session.seq)
}

pub(super) fn decode_session(decoder: &mut Decoder<'_>) -> Result<SessionName, Error> {
    Ok(SessionName { writer: WriterId(decoder.array()?), seq: decoder.uint()? })
}

/// Refuses what is not strictly ascending, so that equal sets have equal bytes.
pub(super) fn ascending<T, K: Ord>(items: Vec<T>, key: impl Fn(&T) -> K) -> Result<Vec<T>, Error> {
    if items.is_sorted_by(|a, b| key(a) < key(b)) { Ok(items) } else { Err(Error::Invalid("a list out of order")) }
}
