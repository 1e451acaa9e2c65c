//! Which packs are made anew, because much of them is not needed, and what of them is copied.

use super::plan::{Use, segments_of};
use super::reach::Reach;
use super::{Error, Options};
use crate::repo::id::PackId;
use crate::repo::repository::Wanted;
use std::collections::{BTreeMap, BTreeSet};

/// A pack of less than this is small: a quarter of what packs usually have.
const SMALL: u64 = 8 << 20;

/// Chooses packs, those first that have the most to give back for what is copied, until no more stays that is not needed than is allowed to,
/// or as much is copied; and then small ones, if that is wished and there are several.
///
/// # Errors
/// When this machine's cache of indexes turns out to be damaged.
pub(super) fn choose(
    reach: &Reach<'_>,
    uses: &BTreeMap<PackId, Use>,
    candidates: &BTreeSet<PackId>,
    options: &Options,
) -> Result<Vec<Wanted>, Error> {
    // What nothing needs goes anyway; of the others, packs of which nothing can be given back are not looked at.
    let partly = uses.iter().filter(|(id, one)| one.live > 0 && one.dead > 0 && candidates.contains(*id));
    let mut partly: Vec<(PackId, Use)> = partly.map(|(id, one)| (*id, *one)).collect();
    let needed: u64 = uses.values().filter(|one| one.live > 0).map(|one| one.length).sum();
    let mut dead: u64 = uses.values().filter(|one| one.live > 0).map(|one| one.dead).sum();
    let allowed = options.max_unused.of(needed.saturating_sub(dead));
    // By the share that is not needed: u128, since the products of two lengths do not fit otherwise.
    partly.sort_by(|(a, one), (b, other)| {
        let share = |of: &Use, by: &Use| u128::from(of.dead) * u128::from(by.length);
        share(other, one).cmp(&share(one, other)).then(a.cmp(b))
    });
    let (mut chosen, mut copied) = (BTreeSet::new(), 0);
    for (id, one) in partly {
        let costs = one.length.saturating_sub(one.dead);
        if dead <= allowed {
            break;
        }
        if options.max_repack.is_some_and(|most| copied + costs > most) {
            continue;
        }
        dead -= one.dead;
        copied += costs;
        chosen.insert(id);
    }
    let small = uses.iter().filter(|(id, one)| one.live > 0 && one.length < SMALL && candidates.contains(*id));
    let small: Vec<_> = small.filter(|(id, _)| !chosen.contains(*id)).collect();
    // One alone is copied for nothing.
    if options.repack_small && small.len() + chosen.len() > 1 {
        for (id, one) in small {
            let costs = one.length.saturating_sub(one.dead);
            if options.max_repack.is_none_or(|most| copied + costs <= most) {
                copied += costs;
                chosen.insert(*id);
            }
        }
    }
    wanted(reach, chosen)
}

/// The segments of these packs of which something is needed, in their order, each once.
fn wanted(reach: &Reach<'_>, chosen: BTreeSet<PackId>) -> Result<Vec<Wanted>, Error> {
    let mut all = Vec::new();
    for (pack, segments) in segments_of(&reach.index, chosen)? {
        let live = segments
            .into_iter()
            .filter(|(number, segment)| reach.marks(*number, segment.ids.len()).iter().any(|mark| *mark != 0));
        let mut rows: Vec<_> = live.map(|(_, segment)| segment).collect();
        // Two indexes may name one segment.
        rows.sort_by_key(|row| row.offset);
        rows.dedup();
        all.push(Wanted { pack, rows });
    }
    Ok(all)
}
