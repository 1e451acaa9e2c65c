//! What the copy's place says by itself of the packs it holds, compared with what it said when their bytes were known to be right.
//!
//! A pack's mark is remembered on this machine right after the pack was put or read whole, or once it is the MD5 of the source's bytes. One that
//! is another one later was put anew by somebody. A mark shows nothing of a disk that forgets: what reads a part of the copy each time does.

use super::{Error, Options, Requests, pack_name};
use crate::crypto::hash;
use crate::event::Sink;
use crate::ops::host::Host;
use crate::repo::chunks;
use crate::repo::id::{PackId, RepositoryId};
use crate::repo::pack;
use crate::repo::repository::{self, Repository, StoredPack};
use crate::store::Store;
use crate::store::mark::Mark;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// So many tags in a row that are not the MD5s of what they should stand for show that the place's tags are none.
const ENOUGH: usize = 8;

/// Packs by what their marks tell.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// The mark is the one that it was.
    pub same: BTreeSet<PackId>,
    /// It is another one.
    pub changed: BTreeSet<PackId>,
    /// There is one, and nobody knows what it should be.
    pub open: BTreeSet<PackId>,
}

/// Compares what a listing says of the packs that should be there with what is known.
pub fn compare(
    named: &BTreeMap<PackId, u64>,
    there: &BTreeMap<PackId, StoredPack>,
    known: &HashMap<PackId, String>,
) -> Compared {
    let mut packs_of: HashMap<&Mark, usize> = HashMap::new();
    for mark in there.values().filter_map(|stored| stored.mark.as_ref()) {
        *packs_of.entry(mark).or_default() += 1;
    }
    let mut compared = Compared::default();
    for id in named.keys() {
        let Some(stored) = there.get(id) else { continue };
        let Some(mark) = &stored.mark else {
            // Of others the place does say something.
            if known.contains_key(id) && !packs_of.is_empty() {
                compared.changed.insert(*id);
            }
            continue;
        };
        // What several packs have depends on something else than their bytes: that it is as it was says nothing.
        let is_own = packs_of.get(mark).is_some_and(|packs| *packs == 1);
        match known.get(id) {
            Some(known) if *known != mark.to_string() => _ = compared.changed.insert(*id),
            _ if !is_own => {}
            Some(_) => _ = compared.same.insert(*id),
            None => _ = compared.open.insert(*id),
        }
    }
    compared
}

/// Asks the place for what its listing does not say, of packs of which it said something when they were put. Returns those of which it
/// says nothing any more.
pub fn ask(
    copy: &dyn Store,
    there: &mut BTreeMap<PackId, StoredPack>,
    known: &HashMap<PackId, String>,
    connections: usize,
    requests: &mut Requests,
) -> BTreeSet<PackId> {
    let silent: Vec<PackId> =
        known.keys().filter(|id| there.get(id).is_some_and(|stored| stored.mark.is_none())).copied().collect();
    let (next, said) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        while let Some(id) = silent.get(next.fetch_add(1, Ordering::Relaxed)) {
            // Who cannot be asked now may answer the next time.
            let facts = copy.facts(&pack_name(*id).object()).ok();
            said.lock().unwrap_or_else(PoisonError::into_inner).extend(facts.map(|facts| (*id, facts.mark)));
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..connections.min(silent.len()) {
            scope.spawn(work);
        }
    });
    silent.iter().for_each(|_| requests.get(0));
    let mut mute = BTreeSet::new();
    for (id, mark) in said.into_inner().unwrap_or_else(PoisonError::into_inner) {
        match mark {
            Some(_) => _ = there.entry(id).and_modify(|stored| stored.mark = mark),
            None => _ = mute.insert(id),
        }
    }
    mute
}

/// Looks what the place says of a pack that was just put, and remembers it. Returns it, and whether it stands for other bytes.
pub fn note_put(
    host: &Host,
    key: &RepositoryId,
    copy: &dyn Store,
    id: &PackId,
    stored: &[u8],
    events: &dyn Sink,
) -> (Option<Mark>, bool) {
    // Who cannot be asked says nothing, and no pack is worse for that.
    let mark = copy.facts(&pack_name(*id).object()).ok().and_then(|facts| facts.mark);
    let told = mark.as_ref().filter(|mark| !matches!(mark, Mark::Tag(_)));
    let wrong = told.is_some_and(|mark| mark.fits(&hash::md5(stored)) == Some(false));
    match &mark {
        Some(mark) if !wrong => host.state().set_marks(key, &[(*id, mark.to_string())], events),
        _ => {}
    }
    (mark, wrong)
}

/// Finds out from the source's own packs what the place should say of those that nobody knows of, as far as [`Options::learn`] goes.
/// Those that are as they should be are remembered.
///
/// # Errors
/// When somebody asked to stop.
pub fn learn(
    host: &Host,
    source: &Repository,
    key: &RepositoryId,
    there: &BTreeMap<PackId, StoredPack>,
    compared: &mut Compared,
    options: &Options,
    events: &dyn Sink,
) -> Result<(), Error> {
    let (mut left, mut doubtful, mut learned) = (options.learn, Vec::new(), Vec::new());
    let may_be_told = |id: &PackId| there.get(id)?.mark.as_ref().filter(|mark| mark.may_be_md5());
    for id in compared.open.clone() {
        let Some(mark) = may_be_told(&id) else { continue };
        if events.stopping() {
            return Err(repository::Error::from(chunks::Error::Stopped).into());
        }
        let length = there.get(&id).map_or(0, |stored| stored.length);
        if length > left || (learned.is_empty() && doubtful.len() >= ENOUGH) {
            break;
        }
        left -= length;
        // What cannot be read or is damaged at the source is for others to find.
        let stored = source.store().get(&pack_name(id).object()).ok();
        let Some(stored) = stored.filter(|stored| pack::is_intact(&id, stored)) else { continue };
        match mark.fits(&hash::md5(&stored)) {
            Some(true) => learned.push((id, mark.to_string())),
            Some(false) => _ = compared.changed.insert(id),
            None => doubtful.push(id),
        }
    }
    if !learned.is_empty() {
        // The place's tags are MD5s: this one is that of something else.
        compared.changed.extend(doubtful);
    }
    compared.same.extend(learned.iter().map(|(id, _)| *id));
    host.state().set_marks(key, &learned, events);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_what_it_was_or_another_or_unknown() {
        let pack = |number: u8, mark: Option<&str>| {
            (PackId([number; 32]), StoredPack { length: 1, mark: mark.map(|mark| Mark::Tag(mark.into())) })
        };
        let there: BTreeMap<_, _> = [
            pack(1, Some("a")),
            pack(2, Some("b")),
            pack(3, Some("c")),
            pack(4, None),
            pack(5, Some("same")),
            pack(6, Some("same")),
            pack(9, Some("same")),
            pack(7, Some("of nobody")),
        ]
        .into();
        let named: BTreeMap<_, _> = (1..=6).chain([8, 9]).map(|number| (PackId([number; 32]), 1)).collect();
        let known = [(1, "tag:a"), (2, "tag:other"), (4, "tag:d"), (5, "tag:same"), (8, "tag:h"), (9, "tag:i")];
        let known = known.map(|(number, mark)| (PackId([number; 32]), mark.to_owned())).into();
        let group = |numbers: &[u8]| numbers.iter().map(|number| PackId([*number; 32])).collect::<BTreeSet<_>>();
        let expected = Compared { same: group(&[1]), changed: group(&[2, 4, 9]), open: group(&[3]) };
        assert_eq!(compare(&named, &there, &known), expected);
        // A place that says nothing of anything.
        let silent = [pack(1, None), pack(4, None)].into();
        assert_eq!(compare(&named, &silent, &known), Compared::default());
    }
}
