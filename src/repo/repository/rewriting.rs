//! Chunks that are needed out of segments of which much is not, sealed anew in segments of their own: by who reads what is in them.
//!
//! Every chunk's id is checked on the way, so the session that stores it may speak for it. It is published as a snapshot's chunks are, packs
//! first, then indexes, then the end; only then can what it was taken from be condemned (I8).

use super::{Error, Repository, WriteSession};
use crate::event::{Event, Level, Progress, Sink, Stage};
use crate::repo::chunk_index::ChunkIndex;
use crate::repo::chunks::{self, ChunkSource as _};
use crate::repo::effort::Effort;
use crate::repo::id::{ChunkId, ChunkKind, PackId, WriterId};
use crate::repo::names::Name;
use crate::repo::pack::PackSize;
use crate::repo::reader::Reader;
use crate::repo::session::Verdict;
use crate::repo::writer::{Lane, PackWriter};
use crate::store::Put;
use std::sync::Arc;

/// Bytes of decoded segments that are kept: chunks come in the order in which they lie.
const CACHE: usize = 16 << 20;

/// What was written anew.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rewritten {
    /// The packs that hold it.
    pub made: Vec<PackId>,
    /// Their bytes.
    pub bytes: u64,
}

impl Repository {
    /// Stores these chunks once more, in a session of `writer`, whose lock the caller holds. What is damaged is passed over.
    ///
    /// # Errors
    /// When these are no admin's keys, the log is in doubt, the store fails, or somebody asked to stop: then nothing has changed for anybody.
    pub fn rewrite_chunks(
        &mut self,
        writer: WriterId,
        wanted: &[(ChunkKind, ChunkId)],
        events: &dyn Sink,
    ) -> Result<Rewritten, Error> {
        let role = self.bundle.role();
        if !(role.writes() && role.may_maintain() && role.reads_content()) {
            return Err(Error::Role { role, action: "making segments anew" });
        }
        let session = self.begin(writer, false)?;
        let rewritten = session.rewrite(wanted, events);
        if rewritten.is_err() {
            session.abort("the segments could not be made anew");
        }
        rewritten
    }
}

impl WriteSession<'_> {
    fn rewrite(&self, wanted: &[(ChunkKind, ChunkId)], events: &dyn Sink) -> Result<Rewritten, Error> {
        let repository = self.repository();
        let (Some(reader), Some(keys)) = (self.reader(CACHE), repository.bundle.chunk_keys()) else {
            return Err(Error::Role { role: repository.bundle.role(), action: "making segments anew" });
        };
        // That it is there already is why it is written again.
        let nothing = Arc::new(ChunkIndex::default());
        let options = self.writer_options(Effort::default(), PackSize::default());
        let packs = PackWriter::start(Arc::clone(&repository.store), nothing, keys, options);
        let mut lane = packs.lane();
        let read = pass_on(wanted, &reader, &mut lane, events);
        let flushed = read.and_then(|()| Ok(lane.flush()?));
        drop(lane);
        if flushed.is_err() {
            packs.give_up();
        }
        // Why the store failed is known to the packs alone.
        let (packs, _) = packs.finish()?;
        flushed?;
        let indexes = self.put_indexes(&packs)?;
        let written = repository.end(self.installation(), self.name(), Verdict::Copies { records: vec![], indexes });
        if repository.store.put(&Name::End(self.name()).object(), &written.stored)? == Put::Exists {
            self.check_own_end(&written)?;
        }
        let bytes = packs.iter().map(|pack| pack.length).sum();
        Ok(Rewritten { made: packs.iter().map(|pack| pack.id).collect(), bytes })
    }
}

fn pass_on(wanted: &[(ChunkKind, ChunkId)], reader: &Reader, lane: &mut Lane, events: &dyn Sink) -> Result<(), Error> {
    let files_total = wanted.len() as u64;
    for (files, (kind, id)) in (0..).zip(wanted) {
        if events.stopping() {
            return Err(chunks::Error::Stopped.into());
        }
        match reader.get(*kind, id) {
            Ok(bytes) => lane.put_as(*kind, *id, &bytes)?,
            Err(
                error @ (chunks::Error::Damaged { .. } | chunks::Error::NoKey { .. } | chunks::Error::Unknown { .. }),
            ) => {
                events.emit(Event::Message(Level::Warning, format!("{kind:?} chunk {id} stays where it is: {error}")));
            }
            Err(error) => return Err(error.into()),
        }
        events.emit(Event::Progress(Stage::Prune, Progress { files, files_total, ..Progress::default() }));
    }
    Ok(())
}
