//! What each index says, without its chunks: enough to tell whether others say the same.

use super::format::Section;
use super::{ChunkIndex, Damaged, Standing};
use crate::repo::id::PackId;
use crate::repo::segment::Origin;
use crate::repo::session::IndexRef;

/// That so many segments of one session lie in a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Said {
    /// The pack.
    pub pack: PackId,
    /// Whose segments: writer and number of the session. Nobody but that session's signer and those who maintain may say so.
    pub origin: ([u8; 16], u64),
    /// How many.
    pub segments: u32,
}

impl ChunkIndex {
    /// What is said by each of the indexes in use, packs left out that are gone for good. Not what packs' own tables say.
    ///
    /// # Errors
    /// When a run turns out to be damaged.
    pub fn said(&self) -> Result<Vec<(IndexRef, Said)>, Damaged> {
        let mut all = Vec::new();
        for (run, judged) in self.runs() {
            for number in 0..run.count(Section::Packs) as u32 {
                if judged.packs.get(number as usize).is_none_or(|standing| *standing == Standing::Masked) {
                    continue;
                }
                let row = run.pack(number)?;
                let Origin { writer, seq } = run.origin(row.origin)?;
                let said = Said { pack: row.id, origin: (writer.0, seq), segments: row.segments };
                all.push((run.index(row.index.into())?.index, said));
            }
        }
        Ok(all)
    }
}
