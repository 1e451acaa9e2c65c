//! Chunks opened and held against their ids; and what a reader had to heal on the way.

use super::{Level, Run, is_archived, parallel};
use crate::event::{Event, Sink};
use crate::repo::chunk_index::{ChunkIndex, Place};
use crate::repo::chunks::{self, ChunkSource as _};
use crate::repo::id::{ChunkId, ChunkKind, PackId};
use crate::repo::names::Name;
use crate::repo::reader::Reader;
use crate::repo::repository;
use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

/// Damage that a reader met.
#[derive(Debug, Default)]
pub(super) struct Heard(Mutex<Vec<(String, String, bool)>>);

impl Sink for Heard {
    fn emit(&self, event: Event) {
        if let Event::Damage { object, what, healed } = event {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push((object, what, healed));
        }
    }
}

impl Run<'_> {
    /// Reports what a reader met, unless the object was named before.
    pub(super) fn heard(&self, heard: &Heard) {
        let heard = std::mem::take(&mut *heard.0.lock().unwrap_or_else(PoisonError::into_inner));
        for (object, what, healed) in heard {
            if !self.has_found(&object) {
                self.find(object, what, healed);
            }
        }
    }

    /// Opens every segment of the packs in question, and checks every chunk of it, there: that it can be had elsewhere says nothing of
    /// this place, which somebody may rely on when the other one is gone.
    pub(super) fn every_chunk(
        &self,
        reader: &Reader,
        chosen: &BTreeSet<PackId>,
        level: Level,
    ) -> Result<(), repository::Error> {
        let opened = |pack: &PackId| match level {
            // Packs that are missing too: their chunks may be elsewhere.
            Level::Full => true,
            Level::Sample(_) => chosen.contains(pack),
            _ => false,
        };
        let segments = reader.index().numbered().filter(|named| match named {
            Ok((_, pack, _)) => opened(&pack.id),
            Err(_) => true,
        });
        let segments = segments.map(|named| named.map_err(repository::Error::from));
        parallel::each_of(self.threads, segments, |(number, pack, segment)| {
            self.go_on()?;
            let segment_number = u32::try_from(*number).unwrap_or(u32::MAX);
            (0..segment.ids.len() as u32).try_for_each(|position| {
                self.place(reader, &Place { pack: *pack, segment: Arc::clone(segment), segment_number, position })
            })
        })
    }

    /// One chunk at one place; whether it can be had at all, if not there.
    fn place(&self, reader: &Reader, place: &Place) -> Result<(), repository::Error> {
        let (kind, id) = (place.segment.kind, place.segment.ids[place.position as usize]);
        match reader.check_place(place) {
            Ok(()) => {
                self.chunks.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            Err(error) if is_archived(&error) => {
                self.leave_out(place.pack.id);
                Ok(())
            }
            Err(error @ (chunks::Error::Store(_) | chunks::Error::NoKey { .. })) => Err(error.into()),
            Err(_) => {
                let elsewhere = self.chunk(reader, kind, id)?.is_some();
                if elsewhere && !self.is_lost(&place.pack.id) {
                    self.false_word(place);
                }
                Ok(())
            }
        }
    }

    /// Sound bytes of which somebody says what is not true.
    fn false_word(&self, place: &Place) {
        let (writer, kind) = (place.segment.origin.writer, place.segment.kind);
        let what = format!("writer {writer} says that {kind} chunks lie there which do not; they lie elsewhere too");
        self.find(Name::Pack(place.pack.id), what, false);
    }

    /// Reads a chunk; `None` when it cannot be had, which is reported, or not be read where it lies.
    pub(super) fn chunk(
        &self,
        reader: &Reader,
        kind: ChunkKind,
        id: ChunkId,
    ) -> Result<Option<chunks::Bytes>, repository::Error> {
        match reader.get(kind, &id) {
            Ok(bytes) => {
                self.chunks.fetch_add(1, Ordering::Relaxed);
                Ok(Some(bytes))
            }
            Err(error) if is_archived(&error) => {
                reader.index().places(kind, &id).iter().for_each(|place| self.leave_out(place.pack.id));
                Ok(None)
            }
            Err(error @ (chunks::Error::Store(_) | chunks::Error::NoKey { .. })) => Err(error.into()),
            Err(error) => {
                let explained = self.lacks(reader.index(), kind, &id) == Some(Missing::Named);
                self.bad_chunk(kind, id, &error, explained);
                Ok(None)
            }
        }
    }

    /// Some place of the chunk is in a pack that is there, with all that it builds on.
    pub(super) fn has_place(&self, index: &ChunkIndex, kind: ChunkKind, id: ChunkId) {
        if let Some(missing) = self.lacks(index, kind, &id) {
            self.bad_chunk(kind, id, &chunks::Error::Unknown { kind, id }, missing == Missing::Named);
        }
    }

    /// Why the chunk is at no place that is there; `None` if it is.
    fn lacks(&self, index: &ChunkIndex, kind: ChunkKind, id: &ChunkId) -> Option<Missing> {
        let of_place = |place: Place| {
            let own = self.is_lost(&place.pack.id).then_some(Missing::Named);
            own.or_else(|| place.segment.bases.iter().find_map(|base| self.lacks_plain(index, kind, base)))
        };
        best(index.places(kind, id).into_iter().map(of_place))
    }

    /// As [`Self::lacks`], of places in no delta.
    fn lacks_plain(&self, index: &ChunkIndex, kind: ChunkKind, id: &ChunkId) -> Option<Missing> {
        let plain = index.places(kind, id).into_iter().filter(|place| place.segment.bases.is_empty());
        best(plain.map(|place| self.is_lost(&place.pack.id).then_some(Missing::Named)))
    }
}

/// Why something is at no place that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Missing {
    /// A pack that it was in was named as lost.
    Named,
    /// No index knows it.
    Unknown,
}

/// Nothing is missing if one place is as it should be.
fn best(places: impl Iterator<Item = Option<Missing>>) -> Option<Missing> {
    let mut worst = Missing::Unknown;
    for place in places {
        if place? == Missing::Named {
            worst = Missing::Named;
        }
    }
    Some(worst)
}
