//! What is at the copy, read whole and held against its name: a part of it each time, all of it in thirty times.
//!
//! What is damaged there is put back from the source. Listings say already what is missing.

use super::transfer::proven;
use super::{Check, Error, Options, Summary, pack_name};
use crate::crypto::hash;
use crate::event::{Event, Progress, Sink, Stage};
use crate::ops::host::Host;
use crate::ops::verify::ROUNDS;
use crate::repo::chunks;
use crate::repo::id::PackId;
use crate::repo::names::{IndexClass, Name};
use crate::repo::pack;
use crate::repo::repository::{self, Indexes, Repository};
use crate::repo::session::IndexRef;
use crate::store::{ErrorKind, Store};
use std::collections::BTreeSet;

/// Reads what is due, and heals what can be healed.
pub fn check(
    host: &Host,
    source: &Repository,
    copy: &Repository,
    options: &Options,
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
    if options.check == Check::None {
        return Ok(());
    }
    let indexes = copy.view().indexes.iter().filter(|index| due(&index.id.0));
    for index in indexes {
        self::index(source, copy, index, summary, events)?;
    }
    let named = Indexes::load(copy, &IndexClass::BOTH)?;
    let packs: BTreeSet<(PackId, u64)> = named.chunks.packs().map(|pack| (pack.id, pack.length)).collect();
    let packs: Vec<_> = packs.into_iter().filter(|(id, _)| due(&id.0)).collect();
    let mut progress = Progress {
        files_total: packs.len() as u64,
        bytes_total: packs.iter().map(|(_, length)| length).sum(),
        ..Progress::default()
    };
    for (id, length) in packs {
        if events.stopping() {
            return Err(repository::Error::from(chunks::Error::Stopped).into());
        }
        self::pack(source, copy, id, summary, events)?;
        progress.files += 1;
        progress.bytes += length;
        events.emit(Event::Progress(Stage::Verify, progress));
    }
    if options.check == Check::Sample {
        host.state().scrubbed(&key, round, events);
    }
    Ok(())
}

fn pack(
    source: &Repository,
    copy: &Repository,
    id: PackId,
    summary: &mut Summary,
    events: &dyn Sink,
) -> Result<(), Error> {
    let name = pack_name(id);
    // What lacks altogether was seen in the listing, and came from the source if that has it.
    let Some(stored) = read(&**copy.store(), &name, summary)? else {
        damaged(&name, "it is missing at the copy, and the source has nothing to put in its place", false, events);
        return Ok(());
    };
    summary.checked.count(stored.len() as u64);
    if pack::is_intact(&id, &stored) || copy.log().state.ledger().ever_final(&id) {
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
            summary.healed.push(name);
            damaged(&name, "its bytes at the copy are not what its name promises; they were put back", true, events);
        }
        Err(why) => {
            damaged(&name, &format!("it is damaged at the copy, and the source has no better: {why}"), false, events)
        }
    }
    Ok(())
}

fn index(
    source: &Repository,
    copy: &Repository,
    index: &IndexRef,
    summary: &mut Summary,
    events: &dyn Sink,
) -> Result<(), Error> {
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
            damaged(&name, "its bytes at the copy are not what its name promises; they were put back", true, events);
        }
        Err(repository::Error::Store(error)) => return Err(error.into()),
        Err(error) => damaged(&name, &error.to_string(), false, events),
    }
    Ok(())
}

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
