//! All chunks of a kind in the order of their ids, with no more in memory than a handful of each run.

use super::run::Run;
use super::{Attached, ChunkIndex, Damaged, Section, Standing};
use crate::repo::id::{ChunkId, ChunkKind};
use std::iter::Peekable;

/// The chunks of one run; those of one tag are put in order when they are met.
struct Ordered<'a> {
    one: &'a Attached,
    run: &'a Run,
    kind: ChunkKind,
    row: u64,
    /// Chunks of one tag, the last ones first.
    same: Vec<ChunkId>,
}

impl Ordered<'_> {
    fn fill(&mut self) -> Result<(), Damaged> {
        let mut tag = None;
        while self.row < self.run.count(Section::Tags) {
            let (spot, about, id, found) = self.run.in_order(self.row)?;
            if *tag.get_or_insert(found) != found {
                if !self.same.is_empty() {
                    break;
                }
                tag = Some(found);
            }
            self.row += 1;
            if about.kind == self.kind as u8 && self.one.standing_of(spot.pack) != Standing::Masked {
                self.same.push(id);
            }
        }
        self.same.sort_unstable_by(|one, other| other.cmp(one));
        self.same.dedup();
        Ok(())
    }
}

impl Iterator for Ordered<'_> {
    type Item = Result<ChunkId, Damaged>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.same.is_empty()
            && let Err(damaged) = self.fill()
        {
            // Nothing comes after it.
            self.row = u64::MAX;
            return Some(Err(damaged));
        }
        self.same.pop().map(Ok)
    }
}

impl ChunkIndex {
    /// The chunks of a kind, each once, in the order of their ids; an error where a run turns out to be damaged.
    pub fn chunks(&self, kind: ChunkKind) -> impl Iterator<Item = Result<ChunkId, Damaged>> {
        let mut loose: Vec<ChunkId> = self.loose.ids(kind).collect();
        loose.sort_unstable();
        let of = |one| Ordered { one, run: &one.run, kind, row: 0, same: Vec::new() };
        let mut sources: Vec<Peekable<Ordered<'_>>> =
            self.of_class(kind).map(|one: &Attached| of(one).peekable()).collect();
        let mut loose = loose.into_iter().peekable();
        std::iter::from_fn(move || {
            if let Some(at) = sources.iter_mut().position(|source| matches!(source.peek(), Some(Err(_)))) {
                return sources[at].next();
            }
            let mut least = loose.peek().copied();
            for source in &mut sources {
                if let Some(Ok(id)) = source.peek() {
                    least = Some(least.map_or(*id, |least| least.min(*id)));
                }
            }
            let least = least?;
            loose.next_if_eq(&least);
            for source in &mut sources {
                let _ = source.next_if(|found| found.as_ref().is_ok_and(|id| *id == least));
            }
            Some(Ok(least))
        })
    }
}
