//! A file's earlier version; a large one's is followed in step with the new one: what new chunks may be deltas to.

use super::options::{Delta, Options};
use crate::repo::catalog::{ExtentReader, Placed, Tree};
use crate::repo::chunks::ChunkSource;
use crate::repo::entry::{Content, EntryKind, EntryPath, Extent};
use crate::repo::record::Tokens;
use crate::repo::repository::WriteSession;
use crate::repo::writer::near::{Earlier, Luck, MARGIN, Near};
use std::sync::Arc;

/// Bytes of decoded segments kept for it: deltas are made in the files' order, so the next one's bases are mostly here.
pub(super) const CACHE: usize = 24 << 20;

/// Reads what files held before, if deltas are wanted and the session's keys may read.
pub(super) fn source(session: &WriteSession<'_>, options: &Options) -> Option<Arc<dyn ChunkSource>> {
    if options.delta == Delta::Off {
        return None;
    }
    Some(Arc::new(session.reader(CACHE)?))
}

/// Follows what the newest snapshot of a stream has as the file `path`.
pub(super) fn of_stream(session: &WriteSession<'_>, options: &Options, path: &EntryPath) -> Option<Following> {
    let source = source(session, options)?;
    let tokens = Tokens::of(session.repository().bundle().structure_key(), &options.host, &[path.to_bytes()], &[]);
    let complete = session.relatives(&tokens).filter(|snapshot| snapshot.is_complete());
    let newest = complete.filter(|snapshot| session.may_reuse(&snapshot.id)).max_by_key(|snapshot| snapshot.time())?;
    let entry = Tree::open(Arc::clone(&source), newest.structure.root).get(path).ok()??.entry;
    let EntryKind::File(content) = entry.kind else { return None };
    Some(Following::new(&Former { content, size: entry.size, same: false }, &source))
}

/// What a file held in an earlier snapshot.
#[derive(Debug, Clone)]
pub(super) struct Former {
    /// Its content.
    pub content: Content,
    /// Its size in bytes.
    pub size: u64,
    /// Its stamp says that it still holds this.
    pub same: bool,
}

/// An earlier version that is being followed.
pub(super) struct Following {
    source: Arc<dyn ChunkSource>,
    extents: ExtentReader,
    luck: Arc<Luck>,
    /// How far off the newest stretch that came back stood before.
    drift: i64,
}

impl Following {
    /// Follows what `former` was, as far as `source` reads it.
    pub fn new(former: &Former, source: &Arc<dyn ChunkSource>) -> Self {
        let extents = ExtentReader::open(Arc::clone(source), &former.content, former.size);
        Self { source: Arc::clone(source), extents, luck: Arc::default(), drift: 0 }
    }

    /// Learns how far off a stretch stood before.
    pub const fn learn(&mut self, drift: i64) {
        self.drift = drift;
    }

    /// What the file held near its stretch number `number`, which begins at `start`.
    pub fn near(&mut self, number: u64, start: u64, length: usize) -> Near {
        let begin = start.saturating_add_signed(self.drift);
        let end = begin + length as u64 + MARGIN;
        self.extents.seek(begin.saturating_sub(MARGIN));
        let near = |placed: &Placed| placed.offset < end;
        // A page that cannot be read hides some of them: then there is less to build on.
        let earlier = self.extents.by_ref().filter_map(Result::ok).take_while(near).filter_map(|placed| {
            let Extent::Chunk { id, length } = placed.extent else { return None };
            Some(Earlier { offset: placed.offset, length, id })
        });
        let earlier = earlier.collect();
        let (source, luck) = (Arc::clone(&self.source), Arc::clone(&self.luck));
        Near { source, earlier, start, number, drift: self.drift, luck }
    }
}
