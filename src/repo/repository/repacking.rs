//! Copies of segments that are needed, in packs of their own: as they are sealed, without opening anything.
//!
//! A copy is published as a session's work is, packs first, then indexes, then the end; only then can the packs that it was made from
//! be condemned (I8). The admin's signature stands for the origins that the copies keep.

use super::{Error, Repository};
use crate::crypto::hash;
use crate::event::{Event, Level, Sink};
use crate::repo::armour::Parity;
use crate::repo::chunk_index::ChunkIndex;
use crate::repo::chunks;
use crate::repo::id::{DataKeyId, PackId, WriterId};
use crate::repo::index_object::IndexBody;
use crate::repo::keys::data_key::Wrap;
use crate::repo::keys::installation::Installation;
use crate::repo::names::{IndexClass, Name, SessionName};
use crate::repo::pack::{self, Filling, FinishedPack, PackBuilder, PackSealing, PackSize, PackSummary};
use crate::repo::segment::{SealedSegment, SegmentDescriptor};
use crate::repo::session::{IndexRef, Verdict};
use crate::repo::wire::Decoder;
use crate::store::{ErrorKind, Put};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

/// What of a pack is to be copied.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The pack.
    pub pack: PackId,
    /// Its segments that are needed.
    pub rows: Vec<Arc<SegmentDescriptor>>,
}

/// Packs that were made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Copied {
    /// Packs of which nothing was copied: condemned or deleted meanwhile, or damaged.
    pub passed_over: BTreeSet<PackId>,
    /// Their bytes that were copied.
    pub bytes: u64,
    /// The packs that hold the copies.
    pub made: Vec<PackId>,
}

/// New packs under way.
struct Copying<'a> {
    repository: &'a Repository,
    sealing: PackSealing,
    filling: Filling,
    packs: Vec<PackSummary>,
    wraps: BTreeMap<DataKeyId, Vec<u8>>,
}

impl Repository {
    /// Copies these segments, each with its data key as `wrap` gives it, in a session of `writer`, whose lock the caller holds. A pack that
    /// is damaged, or that was condemned meanwhile, is passed over; no pack is begun after `until`.
    ///
    /// # Errors
    /// When these are no admin's keys, the log is in doubt, the store fails, or somebody asked to stop: then nothing has changed for anybody.
    pub fn copy_segments(
        &mut self,
        writer: WriterId,
        wanted: &[Wanted],
        wrap: &dyn Fn(&DataKeyId) -> Vec<u8>,
        until: Option<Instant>,
        events: &dyn Sink,
    ) -> Result<Copied, Error> {
        let role = self.bundle.role();
        if !(role.writes() && role.may_maintain()) {
            return Err(Error::Role { role, action: "making packs anew" });
        }
        let installation = Installation::derive(&self.bundle, writer);
        let session = self.open_session(&installation, false)?;
        let heart = self.heart(&installation, session);
        let copied = match self.log.stopped() {
            Some(doubt) => Err(Error::Log(crate::repo::log::Error::Stopped(doubt.clone()))),
            None => self.copy_all(&installation, session, wanted, wrap, until, events),
        };
        drop(heart);
        if copied.is_err() {
            // It would be ended by this writer's next session anyway.
            let _ = self.put_abort(&installation, session, "the packs could not be made anew");
        }
        copied
    }

    /// Whether a copy of a segment would still be of the session that the segment is of: not where nobody here is known to have had
    /// that session. Under an admin's signature it could become somebody else's, who takes the number later.
    pub fn knows_origin(&self, row: &SegmentDescriptor) -> bool {
        self.view.signed(&SessionName { writer: row.origin.writer, seq: row.origin.seq }).is_some()
    }

    /// A data key as it is wrapped for readers. Of several that differ, one that opens: anybody could have named the key with another.
    pub fn wrap_of(&self, index: &ChunkIndex, id: &DataKeyId) -> Vec<u8> {
        let mut wraps = index.wraps_of(id);
        wraps.dedup();
        let opens = |bytes: &Vec<u8>| {
            Decoder::whole(bytes, Wrap::decode).is_ok_and(|wrap| wrap.id == *id && wrap.open(&self.bundle).is_ok())
        };
        let best = if wraps.len() > 1 { wraps.iter().position(opens).unwrap_or(0) } else { 0 };
        if wraps.is_empty() { Vec::new() } else { wraps.swap_remove(best) }
    }

    fn copy_all(
        &self,
        installation: &Installation,
        session: SessionName,
        wanted: &[Wanted],
        wrap: &dyn Fn(&DataKeyId) -> Vec<u8>,
        until: Option<Instant>,
        events: &dyn Sink,
    ) -> Result<Copied, Error> {
        let (copied, indexes) = self.copy_from(self, installation, wanted, wrap, until, events)?;
        let written = self.end(installation, session, Verdict::Copies { records: vec![], indexes });
        if self.store.put(&Name::End(session).object(), &written.stored)? == Put::Exists {
            let reason = "something ended it meanwhile".to_owned();
            return Err(Error::Aborted { session, reason });
        }
        Ok(copied)
    }

    /// Copies segments of `source`, which is this repository or another copy of it, into packs here that indexes name. No pack is begun
    /// after `until`.
    pub(super) fn copy_from(
        &self,
        source: &Self,
        installation: &Installation,
        wanted: &[Wanted],
        wrap: &dyn Fn(&DataKeyId) -> Vec<u8>,
        until: Option<Instant>,
        events: &dyn Sink,
    ) -> Result<(Copied, Vec<IndexRef>), Error> {
        let mut copying = self.copying(installation);
        let mut copied = Copied::default();
        for Wanted { pack, rows } in wanted {
            if events.stopping() {
                return Err(chunks::Error::Stopped.into());
            }
            if until.is_some_and(|until| Instant::now() >= until) {
                break;
            }
            let absent = source.log.state.ledger().any_absent(pack);
            let Some(segments) = (if absent { None } else { source.segments(pack, rows)? }) else {
                copied.passed_over.insert(*pack);
                continue;
            };
            for segment in segments {
                copied.bytes += u64::from(segment.descriptor.length);
                let wrap = wrap(&segment.descriptor.key_id);
                copying.push(segment, &wrap)?;
            }
        }
        copying.flush()?;
        copied.made.extend(copying.packs.iter().map(|pack| pack.id));
        let indexes = copying.put_indexes()?;
        Ok((copied, indexes))
    }

    /// A pack's segments as they are sealed, if the pack is sound and they are what its index says.
    fn segments(&self, id: &PackId, rows: &[Arc<SegmentDescriptor>]) -> Result<Option<Vec<SealedSegment>>, Error> {
        let name = Name::Pack(*id);
        let mut stored = match self.store.get(&name.object()) {
            Err(error) if error.kind == ErrorKind::NotFound => {
                return Ok(self.pass_over(&name, "somebody deleted it meanwhile"));
            }
            stored => stored?,
        };
        if !pack::is_intact(id, &stored) {
            match pack::heal(id, &stored) {
                Ok(healed) => stored = healed,
                Err(error) => return Ok(self.pass_over(&name, &error.to_string())),
            }
        }
        let sealed = |row: &Arc<SegmentDescriptor>| {
            let bytes = pack::segment(&stored, row).filter(|bytes| hash::blake3(bytes) == row.hash)?.to_vec();
            Some(SealedSegment { descriptor: (**row).clone(), bytes })
        };
        match rows.iter().map(sealed).collect() {
            Some(segments) => Ok(Some(segments)),
            None => Ok(self.pass_over(&name, "it does not hold what an index says")),
        }
    }

    fn pass_over<T>(&self, name: &Name, why: &str) -> Option<T> {
        let text = format!("{name} is not made anew: {why}");
        self.events.emit(Event::Message(Level::Warning, text));
        None
    }

    fn copying(&self, installation: &Installation) -> Copying<'_> {
        let keys = self.bundle.current();
        let sealing = PackSealing {
            suite: self.config.suite,
            repository: self.id(),
            epoch: keys.epoch,
            index_key: keys.index.clone(),
            signer: installation.writer,
            signing_key: installation.key.clone(),
            parity: Parity { data_per_parity: self.config.parity.into() },
            md5: false,
        };
        let filling = Filling::of_size(PackSize::default());
        Copying { repository: self, sealing, filling, packs: Vec::new(), wraps: BTreeMap::new() }
    }
}

impl Copying<'_> {
    fn push(&mut self, segment: SealedSegment, wrap: &[u8]) -> Result<(), Error> {
        let Some(class) = self.filling.push(segment, wrap) else { return Ok(()) };
        let full = self.filling.take(class);
        self.put(full)?;
        self.filling.renew(class, None);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Error> {
        let filling = std::mem::replace(&mut self.filling, Filling::of_size(PackSize::default()));
        filling.rest().try_for_each(|left| self.put(left))
    }

    fn put(&mut self, builder: PackBuilder) -> Result<(), Error> {
        let finished: FinishedPack = builder.finish(&self.sealing);
        let name = Name::Pack(finished.summary.id);
        self.repository.store.put(&name.object(), finished.stored())?;
        self.packs.push(finished.summary.clone());
        self.wraps.extend(finished.wraps);
        Ok(())
    }

    fn put_indexes(&self) -> Result<Vec<IndexRef>, Error> {
        let mut refs = Vec::new();
        for class in IndexClass::BOTH {
            let body = IndexBody::new(class, &self.packs, &self.wraps);
            if !body.packs.is_empty() {
                refs.push(self.repository.put_own_index(class, &body)?);
            }
        }
        Ok(refs)
    }
}
