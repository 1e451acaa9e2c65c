//! What is at the copy, read whole and held against its name: what the place itself says was changed there, and a part of all else each
//! time, all of it in thirty times.
//!
//! What is damaged there is put back from the source. Listings say already what is missing.

use super::marks::{self, Compared};
use super::transfer::proven;
use super::{Check, Error, Options, Summary, pack_name, warn};
use crate::crypto::hash;
use crate::event::{Event, Progress, Sink, Stage};
use crate::ops::host::Host;
use crate::ops::verify::ROUNDS;
use crate::repo::chunks;
use crate::repo::id::{PackId, RepositoryId};
use crate::repo::names::{IndexClass, Name};
use crate::repo::pack;
use crate::repo::repository::{self, Indexes, Repository, StoredPack};
use crate::repo::session::IndexRef;
use crate::store::{ErrorKind, Store};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// What is known of the copy's packs before any is read.
#[derive(Debug, Default)]
pub struct Found {
    /// What the listing says of them, or the place itself of those that were put since.
    pub there: BTreeMap<PackId, StoredPack>,
    /// Those that were put, and of which the place says what belongs to other bytes.
    pub suspects: BTreeSet<PackId>,
}

/// A check under way.
struct Checking<'a> {
    host: &'a Host,
    source: &'a Repository,
    copy: &'a Repository,
    /// What this host's memory of the copy goes by.
    key: RepositoryId,
    found: &'a Found,
    summary: &'a mut Summary,
    events: &'a dyn Sink,
}

/// Compares what the place says of its packs, reads what is due, and heals what can be healed.
pub fn check(
    host: &Host,
    source: &Repository,
    copy: &Repository,
    options: &Options,
    found: &mut Found,
    summary: &mut Summary,
    events: &dyn Sink,
) -> Result<(), Error> {
    let key = host.copy_key(copy);
    let round = host.state().scrub_round(&key, events);
    let due = |start: &[u8; 32]| match options.check {
        Check::None => false,
        Check::All => true,
        Check::Sample => start.first_chunk().copied().map_or(0, u64::from_le_bytes) % ROUNDS == round % ROUNDS,
    };
    let named = Indexes::load(copy, &IndexClass::BOTH)?;
    let named: BTreeMap<PackId, u64> = named.chunks.packs().map(|pack| (pack.id, pack.length)).collect();
    let known = host.state().marks(&key, events);
    let mute = marks::ask(&**copy.store(), &mut found.there, &known, options.connections, &mut summary.requests);
    let mut compared = compared(&named, found, &known);
    let is_silent = found.there.values().all(|stored| stored.mark.is_none());
    let gone = |id: &PackId| !found.there.contains_key(id) || (is_silent && mute.contains(id));
    let gone: Vec<PackId> = known.into_keys().filter(gone).collect();
    host.state().forget_marks(&key, &gone, events);
    let to_read: BTreeSet<PackId> = named.keys().filter(|id| due(&id.0)).copied().collect();
    if options.check == Check::None {
        // What was put just now, and came out otherwise, is no matter of sampling.
        let suspects: BTreeSet<PackId> = found.suspects.iter().filter(|id| named.contains_key(id)).copied().collect();
        compared.changed.retain(|id| !suspects.contains(id));
        name_changed(&compared, events);
        Checking { host, source, copy, key, found, summary, events }.packs(&named, suspects)?;
    } else {
        compared.open.retain(|id| !to_read.contains(id));
        marks::learn(host, source, &key, &found.there, &mut compared, options, events)?;
        let mut checking = Checking { host, source, copy, key, found, summary, events };
        for index in copy.view().indexes.iter().filter(|index| due(&index.id.0)) {
            checking.index(index)?;
        }
        warn_of_many(&named, &compared, events);
        checking.packs(&named, compared.changed.union(&to_read).copied().collect())?;
    }
    let sampled = |id: &PackId| options.check != Check::None && (to_read.contains(id) || compared.changed.contains(id));
    let read = |id: &PackId| found.suspects.contains(id) || sampled(id);
    count(&named, &compared, &read, summary);
    if options.check == Check::Sample {
        host.state().scrubbed(&key, round, events);
    }
    Ok(())
}

/// Counts those that were not read.
fn count(named: &BTreeMap<PackId, u64>, compared: &Compared, read: &dyn Fn(&PackId) -> bool, summary: &mut Summary) {
    for (id, length) in named.iter().filter(|(id, _)| !read(id)) {
        let group = if compared.same.contains(id) { &mut summary.by_hash } else { &mut summary.unchecked };
        group.count(*length);
    }
}

/// What the place says of the packs, held against what this host remembers.
fn compared(named: &BTreeMap<PackId, u64>, found: &Found, known: &HashMap<PackId, String>) -> Compared {
    let mut compared = marks::compare(named, &found.there, known);
    compared.changed.extend(found.suspects.iter().filter(|id| named.contains_key(id)));
    compared.open.retain(|id| !compared.changed.contains(id));
    compared
}

/// Whoever asked that nothing be read hears of what should be.
fn name_changed(compared: &Compared, events: &dyn Sink) {
    for id in &compared.changed {
        let name = pack_name(*id);
        warn(events, format!("{name}: {CHANGED}; a sync that reads (--verify sample) tells whether it is damaged"));
    }
}

/// A copy that was moved to another place, or encrypted anew there, is read whole: nobody should wonder why, or what it costs.
fn warn_of_many(named: &BTreeMap<PackId, u64>, compared: &Compared, events: &dyn Sink) {
    let (changed, bytes) =
        (compared.changed.len(), compared.changed.iter().filter_map(|id| named.get(id)).sum::<u64>());
    if changed > MANY {
        let all = named.len();
        warn(
            events,
            format!(
                "the copy's place has another hash for {changed} of {all} packs than when their bytes there were last known to be right: \
                 all of them are read now, {bytes} bytes"
            ),
        );
    }
}

/// So many packs of a copy are not changed by accident.
const MANY: usize = 20;

/// What is said of a pack with another mark than before.
const CHANGED: &str = "the place has another hash for it than when its bytes there were last known to be right";

impl Checking<'_> {
    /// Reads these packs.
    fn packs(&mut self, named: &BTreeMap<PackId, u64>, packs: BTreeSet<PackId>) -> Result<(), Error> {
        let length_of = |id: &PackId| named.get(id).copied().unwrap_or_default();
        let bytes_total = packs.iter().map(length_of).sum();
        let mut progress = Progress { files_total: packs.len() as u64, bytes_total, ..Progress::default() };
        for id in packs {
            if self.events.stopping() {
                return Err(repository::Error::from(chunks::Error::Stopped).into());
            }
            self.pack(id)?;
            progress.files += 1;
            progress.bytes += length_of(&id);
            self.events.emit(Event::Progress(Stage::Verify, progress));
        }
        Ok(())
    }

    fn pack(&mut self, id: PackId) -> Result<(), Error> {
        let Self { source, copy, summary, events, .. } = self;
        let name = pack_name(id);
        // What lacks altogether was seen in the listing, and came from the source if that has it.
        let Some(stored) = read(&**copy.store(), &name, summary)? else {
            damaged(&name, "it is missing at the copy, and the source has nothing to put in its place", false, *events);
            return Ok(());
        };
        summary.checked.count(stored.len() as u64);
        if pack::is_intact(&id, &stored) {
            // What the listing said was said before it was read: if somebody put it anew since, that shows the next time.
            match self.found.there.get(&id).and_then(|stored| stored.mark.as_ref()) {
                Some(mark) => self.host.state().set_marks(&self.key, &[(id, mark.to_string())], *events),
                None => self.host.state().forget_marks(&self.key, &[id], *events),
            }
            return Ok(());
        }
        if copy.log().state.ledger().ever_final(&id) {
            return Ok(());
        }
        let theirs = match source.store().get(&name.object()) {
            Ok(theirs) => proven(&id, theirs).ok(),
            Err(error) if error.kind == ErrorKind::NotFound => None,
            Err(error) => return Err(error.into()),
        };
        // A pack that was made at the copy has only its own parity.
        match theirs.map_or_else(|| proven(&id, stored), Ok) {
            Ok(good) => {
                copy.store().heal(&name.object(), &good)?;
                summary.requests.put(good.len() as u64);
                marks::note_put(self.host, &self.key, &**copy.store(), &id, &good, *events);
                summary.requests.get(0);
                summary.healed.push(name);
                damaged(&name, PUT_BACK, true, *events);
            }
            Err(why) => {
                let what = format!("it is damaged at the copy, and the source has no better: {why}");
                damaged(&name, &what, false, *events);
            }
        }
        Ok(())
    }

    fn index(&mut self, index: &IndexRef) -> Result<(), Error> {
        let Self { source, copy, summary, events, .. } = self;
        let name = index.name();
        let stored = read(&**copy.store(), &name, summary)?;
        if stored.as_ref().is_some_and(|stored| hash::sha256(stored) == index.id.0) {
            return Ok(());
        }
        match source.take_index(index).or_else(|_| copy.take_index(index)) {
            Ok(taken) => {
                match stored {
                    Some(_) => copy.store().heal(&name.object(), &taken.stored)?,
                    None => drop(copy.store().put(&name.object(), &taken.stored)?),
                }
                summary.requests.put(taken.stored.len() as u64);
                summary.healed.push(name);
                damaged(&name, PUT_BACK, true, *events);
            }
            Err(repository::Error::Store(error)) => return Err(error.into()),
            Err(error) => damaged(&name, &error.to_string(), false, *events),
        }
        Ok(())
    }
}

/// What is said of an object that was healed.
const PUT_BACK: &str = "its bytes at the copy are not what its name promises; they were put back";

fn read(store: &dyn Store, name: &Name, summary: &mut Summary) -> Result<Option<Vec<u8>>, Error> {
    match store.get(&name.object()) {
        Ok(stored) => {
            summary.requests.get(stored.len() as u64);
            Ok(Some(stored))
        }
        Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn damaged(name: &Name, what: &str, healed: bool, events: &dyn Sink) {
    events.emit(Event::Damage { object: name.to_string(), what: what.to_owned(), healed });
}
