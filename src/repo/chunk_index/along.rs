//! Chunks that are asked for in the order in which they were stored: the next mostly lies beside the last, and then is found
//! without a search.

use super::{Attached, ChunkIndex, Run, Standing};
use crate::repo::id::{ChunkId, ChunkKind};
use crate::repo::names::IndexClass;
use std::ops::ControlFlow;
use std::sync::Arc;

/// Where somebody who asks in that order has got to.
#[derive(Default)]
pub struct Along(Option<Beside>);

/// The rows after the chunk that was found last, to the end of its segment.
struct Beside {
    /// Which of the index's runs, and that it still is this one.
    number: usize,
    run: Arc<Run>,
    kind: u8,
    pack: u32,
    next: u64,
    end: u64,
}

impl ChunkIndex {
    /// As [`has_good`](Self::has_good). Two million files that were snapshotted in this order are asked for in a third of the
    /// time.
    pub fn has_good_along(&self, kind: ChunkKind, id: &ChunkId, along: &mut Along) -> bool {
        if along.0.as_mut().is_some_and(|beside| self.lies(kind, id, beside)) {
            return true;
        }
        let searched = self.search(kind, id);
        let found = searched.is_some() || self.has_good(kind, id);
        along.0 = searched;
        found
    }

    /// Whether the chunk is the next one, at a good place.
    fn lies(&self, kind: ChunkKind, id: &ChunkId, beside: &mut Beside) -> bool {
        let same = |one: &&Attached| Arc::ptr_eq(&one.run, &beside.run);
        let Some(one) = self.runs.get(beside.number).filter(same) else { return false };
        let good =
            beside.next < beside.end && beside.kind == kind as u8 && one.standing_of(beside.pack) == Standing::Good;
        let lies = good && one.run.id_at(beside.next).is_ok_and(|next| next == id.0);
        beside.next += u64::from(lies);
        lies
    }

    /// A good place of the chunk in a run, in no delta, and what lies after it.
    fn search(&self, kind: ChunkKind, id: &ChunkId) -> Option<Beside> {
        let class = IndexClass::of(kind);
        let mut runs = self.runs.iter().enumerate().filter(|(_, one)| one.run.class() == class);
        runs.find_map(|(number, one)| {
            let mut found = None;
            self.note(one.run.find(kind, id, |spot| {
                let good = one.standing_of(spot.pack) == Standing::Good;
                // Damage shows again, and is told, in the search for any place.
                let row = one.run.segment(spot.segment).ok().filter(|row| good && row.bases == 0);
                let Some(row) = row else { return ControlFlow::Continue(()) };
                let (next, end) = (row.first + u64::from(spot.position) + 1, row.first + u64::from(row.ids));
                found = Some(Beside { number, run: Arc::clone(&one.run), kind: row.kind, pack: spot.pack, next, end });
                ControlFlow::Break(())
            }));
            found
        })
    }
}
