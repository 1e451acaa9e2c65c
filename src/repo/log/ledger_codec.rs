//! The ledger's bytes, as a census carries them. Every map and set is a list, strictly ascending by its key.

use super::codec::{ascending, decode_session, session_name};
use super::entry::{Part, Verdict};
use super::ledger::{Checkpoint, Hold, Ledger, TagChange};
use crate::repo::id::{CensusId, HoldId, PackId, PrincipalId, SnapshotId, WriterId};
use crate::repo::wire::{Decoder, Encoder, Error, Extensions};
use std::collections::{BTreeMap, BTreeSet};

/// The extension that lists packs damaged beyond repair: whoever does not know it must not prune by this ledger.
const SUSPECTS: u64 = 1;

impl Ledger {
    /// Appends the ledger.
    pub fn encode(&self, encoder: &mut Encoder) {
        for parts in [&self.condemned, &self.finals] {
            map(encoder, parts, |encoder, part, position| {
                encoder.raw(&part.pack.0).option(part.segment.as_ref(), |encoder, &segment| {
                    encoder.uint(segment.into());
                });
                encoder.uint(*position);
            });
        }
        map(encoder, &self.marks, |encoder, position, marked| {
            encoder.uint(*position);
            set(encoder, marked, |encoder, id| {
                encoder.raw(&id.0);
            });
        });
        map(encoder, &self.forgotten, |encoder, id, position| {
            encoder.raw(&id.0).uint(*position);
        });
        map(encoder, &self.holds, |encoder, id, hold| {
            encoder.raw(&id.0).raw(&hold.asked_by.0).text(&hold.reason).uint(hold.position).int(hold.time);
        });
        map(encoder, &self.tags, |encoder, id, change| {
            encoder.raw(&id.0);
            for tags in [&change.added, &change.removed] {
                set(encoder, tags, |encoder, tag| {
                    encoder.text(tag);
                });
            }
        });
        self.encode_sessions(encoder);
        let mut extensions = Extensions::default();
        if !self.suspects.is_empty() {
            let mut suspects = Encoder::new();
            set(&mut suspects, &self.suspects, |encoder, pack| {
                encoder.raw(&pack.0);
            });
            extensions.set(SUSPECTS, suspects.into_bytes());
        }
        extensions.encode(encoder);
    }

    fn encode_sessions(&self, encoder: &mut Encoder) {
        set(encoder, &self.attests, |encoder, (session, end, by)| {
            session_name(encoder, session).raw(end).raw(&by.0);
        });
        map(encoder, &self.resolved, |encoder, _, verdict| verdict.encode(encoder));
        set(encoder, &self.gaps, |encoder, (writer, missing)| {
            encoder.raw(&writer.0).raw(&missing.0);
        });
        encoder.option(self.checkpoint.as_ref(), |encoder, checkpoint| {
            encoder.uint(checkpoint.number).raw(&checkpoint.census.0).uint(checkpoint.position).int(checkpoint.time);
        });
    }

    /// Reads a ledger.
    ///
    /// # Errors
    /// When the bytes are not one.
    pub fn decode(decoder: &mut Decoder<'_>) -> Result<Self, Error> {
        let mut ledger = Self {
            suspects: BTreeSet::new(),
            condemned: parts(decoder)?,
            finals: parts(decoder)?,
            marks: read_map(decoder, |decoder| {
                Ok((decoder.uint()?, read_set(decoder, |decoder| decoder.array().map(SnapshotId))?))
            })?,
            forgotten: read_map(decoder, |decoder| Ok((SnapshotId(decoder.array()?), decoder.uint()?)))?,
            holds: read_map(decoder, hold)?,
            tags: read_map(decoder, |decoder| {
                let id = SnapshotId(decoder.array()?);
                let added = read_set(decoder, |decoder| decoder.text())?;
                Ok((id, TagChange { added, removed: read_set(decoder, |decoder| decoder.text())? }))
            })?,
            attests: read_set(decoder, |decoder| {
                Ok((decode_session(decoder)?, decoder.array()?, PrincipalId(decoder.array()?)))
            })?,
            resolved: read_map(decoder, resolved)?,
            gaps: read_set(decoder, |decoder| Ok((WriterId(decoder.array()?), SnapshotId(decoder.array()?))))?,
            checkpoint: decoder.option(checkpoint)?,
        };
        let extensions = Extensions::decode(decoder, &[SUSPECTS])?;
        if let Some(suspects) = extensions.get(SUSPECTS) {
            let packs = |decoder: &mut Decoder<'_>| read_set(decoder, |decoder| decoder.array().map(PackId));
            ledger.suspects = Decoder::whole(suspects, packs)?;
        }
        Ok(ledger)
    }
}

fn map<K, V>(encoder: &mut Encoder, items: &BTreeMap<K, V>, mut each: impl FnMut(&mut Encoder, &K, &V)) {
    encoder.uint(items.len() as u64);
    for (key, value) in items {
        each(encoder, key, value);
    }
}

fn set<K>(encoder: &mut Encoder, items: &BTreeSet<K>, mut each: impl FnMut(&mut Encoder, &K)) {
    encoder.uint(items.len() as u64);
    for item in items {
        each(encoder, item);
    }
}

fn read_map<K: Ord + Clone, V>(
    decoder: &mut Decoder<'_>,
    each: impl FnMut(&mut Decoder<'_>) -> Result<(K, V), Error>,
) -> Result<BTreeMap<K, V>, Error> {
    Ok(ascending(decoder.list(each)?, |item| item.0.clone())?.into_iter().collect())
}

fn read_set<K: Ord + Clone>(
    decoder: &mut Decoder<'_>,
    each: impl FnMut(&mut Decoder<'_>) -> Result<K, Error>,
) -> Result<BTreeSet<K>, Error> {
    Ok(ascending(decoder.list(each)?, Clone::clone)?.into_iter().collect())
}

fn parts(decoder: &mut Decoder<'_>) -> Result<BTreeMap<Part, u64>, Error> {
    read_map(decoder, |decoder| {
        let part = Part { pack: PackId(decoder.array()?), segment: decoder.option(Decoder::uint_as)? };
        Ok((part, decoder.uint()?))
    })
}

fn hold(decoder: &mut Decoder<'_>) -> Result<(HoldId, Hold), Error> {
    let id = HoldId(decoder.array()?);
    let (asked_by, reason) = (PrincipalId(decoder.array()?), decoder.text()?);
    Ok((id, Hold { asked_by, reason, position: decoder.uint()?, time: decoder.int()? }))
}

fn resolved(decoder: &mut Decoder<'_>) -> Result<(crate::repo::names::SessionName, Verdict), Error> {
    let verdict = Verdict::decode(decoder)?;
    match &verdict {
        Verdict::Commit { session, .. } | Verdict::Abort { session, .. } => Ok((*session, verdict)),
        Verdict::Gap { .. } => Err(Error::Invalid("a gap among resolved sessions")),
    }
}

fn checkpoint(decoder: &mut Decoder<'_>) -> Result<Checkpoint, Error> {
    let (number, census) = (decoder.uint()?, CensusId(decoder.array()?));
    Ok(Checkpoint { number, census, position: decoder.uint()?, time: decoder.int()? })
}
