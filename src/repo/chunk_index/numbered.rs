//! Segments by their number: neighbours in a pack have neighbouring numbers.

use super::format::Section;
use super::{ChunkIndex, Place, Standing};
use std::sync::Arc;

impl ChunkIndex {
    /// The first chunk's place in the segment with this number; `None` when there is none that counts, or its run is damaged there.
    pub fn segment(&self, number: u32) -> Option<Place> {
        let place = |pack, segment| Place { pack, segment, segment_number: number, position: 0 };
        let loose_from = self.loose_from();
        if let Some(loose) = number.checked_sub(loose_from) {
            let (pack, segment) = self.loose.segments().nth(loose as usize)?;
            return Some(place(pack, Arc::clone(segment)));
        }
        let at = self.runs.partition_point(|one| one.first <= number).checked_sub(1)?;
        let one = self.runs.get(at)?;
        let local = number - one.first;
        if u64::from(local) >= one.run.count(Section::Segments) {
            return None;
        }
        // Nobody asked for this segment in particular: whoever does hears of the damage.
        let row = one.run.segment(local).ok()?;
        let counts = one.standing_of(row.pack) != Standing::Masked;
        let segment = counts.then(|| self.recent.get(number, || Ok(one.run.descriptor(local)?.1)))?.ok()?;
        Some(place(one.pack(row.pack).ok()?, segment))
    }
}
