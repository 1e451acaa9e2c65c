//! `repair objects`: what parity or a second copy still has is put back.
//!
//! Invariant: an object is overwritten only if it is damaged, and only by bytes that its name, its signature or its sound copy proves.
//! They are read back afterwards. A pack that was ever FINAL stays as it is (I1 in `FORMAT.md`).

use crate::event::{Event, Level, Progress, Sink, Stage};
use crate::ops::verify::objects::{Listed, Seen};
use crate::repo::chunks;
use crate::repo::frame::Frame;
use crate::repo::id::PackId;
use crate::repo::names::{Name, SessionName};
use crate::repo::repository::{Error, Indexes, Repository, Suspects};
use crate::repo::session::IndexRef;
use crate::store::{ErrorKind, Store};
use std::collections::{BTreeSet, HashSet};
use std::time::Instant;

/// What an object was mended from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Means {
    /// Its own parity.
    Parity,
    /// The other of its two copies.
    OtherCopy,
    /// The admin's own keys: handed out once more.
    Keys,
    /// Another copy of the repository.
    OtherPlace,
}

/// An object that was put back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mended {
    /// Its name.
    pub name: Name,
    /// From what.
    pub means: Means,
}

/// What a repair did.
#[derive(Debug, Clone)]
pub struct Summary {
    /// Objects looked at.
    pub objects: u64,
    /// Bytes read.
    pub bytes: u64,
    /// What was put back, or would be.
    pub mended: Vec<Mended>,
    /// What is damaged and stays so: name, and why.
    pub left: Vec<(Name, String)>,
    /// Packs that the log says are damaged beyond repair since now, and that it says so of no more.
    pub suspects: Suspects,
    /// Seconds that it took.
    pub seconds: f64,
}

/// Reads every object and puts back what can be had; with `dry_run` only says what.
///
/// # Errors
/// When the role does not maintain, the store fails, or somebody asked to stop. What is beyond repair is no error.
pub fn repair(repository: &mut Repository, dry_run: bool, events: &dyn Sink) -> Result<Summary, Error> {
    repair_from(repository, None, dry_run, events)
}

/// As [`repair`]; what cannot be had at the repository's own place comes from `other`, where another copy of it is.
///
/// # Errors
/// As [`repair`], and when there is no copy of this repository.
pub fn repair_from(
    repository: &mut Repository,
    other: Option<&dyn Store>,
    dry_run: bool,
    events: &dyn Sink,
) -> Result<Summary, Error> {
    let role = repository.bundle().role();
    if !role.may_maintain() {
        return Err(Error::Role { role, action: "repairing" });
    }
    if let Some(other) = other
        && !repository.is_copied_to(other)?
    {
        return Err(Error::NotFound { place: other.place() });
    }
    let start = Instant::now();
    let listed = Listed::read(&**repository.store())?;
    let bytes_total = listed.objects.iter().map(|(_, length)| length).sum();
    let mut groups = listed.small(Some(repository.log()));
    groups.extend(listed.objects.iter().filter(|(name, _)| matches!(name, Name::Pack(_))).map(|(name, _)| vec![*name]));
    let objects = listed.objects.len() as u64;
    let summary =
        Summary { objects, bytes: 0, mended: vec![], left: vec![], suspects: Suspects::default(), seconds: 0.0 };
    let mut repair = Repair { repository: &*repository, other, dry_run, events, summary, lost: HashSet::new() };
    for names in groups {
        if events.stopping() {
            return Err(chunks::Error::Stopped.into());
        }
        repair.object(&names)?;
        let progress = Progress { bytes: repair.summary.bytes, bytes_total, ..Progress::default() };
        events.emit(Event::Progress(Stage::Verify, progress));
    }
    repair.missing(&listed)?;
    repair.keys(&listed)?;
    let mut summary = repair.summary;
    if !dry_run {
        summary.suspects = mark(repository, &listed, &summary)?;
    }
    summary.seconds = start.elapsed().as_secs_f64();
    Ok(summary)
}

/// Tells everybody of packs that nobody should build on, so that what sources still have of them is stored again.
fn mark(repository: &mut Repository, listed: &Listed, summary: &Summary) -> Result<Suspects, Error> {
    let pack = |name: &Name| match name {
        Name::Pack(id) => Some(*id),
        _ => None,
    };
    let there: BTreeSet<PackId> = listed.objects.iter().filter_map(|(name, _)| pack(name)).collect();
    let left: BTreeSet<PackId> = summary.left.iter().filter_map(|(name, _)| pack(name)).collect();
    let mended = summary.mended.iter().filter_map(|mended| pack(&mended.name));
    let whole = there.difference(&left).copied().chain(mended).filter(|pack| !left.contains(pack)).collect();
    // Of those that are gone altogether the listing tells everybody.
    let lost: BTreeSet<PackId> = left.intersection(&there).copied().collect();
    if repository.log().stopped().is_some() {
        if lost.is_empty() {
            return Ok(Suspects::default());
        }
        let text =
            "packs are not marked while the log is stopped: mend it with `boveda repair log`, and repair objects again";
        repository.events().emit(Event::Message(Level::Warning, text.to_owned()));
        return Ok(Suspects::default());
    }
    repository.suspect(&lost, &whole)
}

struct Repair<'a> {
    repository: &'a Repository,
    /// Another copy of it.
    other: Option<&'a dyn Store>,
    dry_run: bool,
    events: &'a dyn Sink,
    summary: Summary,
    /// Handed-out keys that are lost.
    lost: HashSet<Name>,
}

impl Repair<'_> {
    /// One object, both of its copies if it has two.
    fn object(&mut self, names: &[Name]) -> Result<(), Error> {
        let store = &**self.repository.store();
        let copies =
            names.iter().filter_map(|name| Seen::read(store, name).transpose()).collect::<Result<Vec<_>, _>>()?;
        self.summary.bytes += copies.iter().map(|seen| seen.len() as u64).sum::<u64>();
        let Some(first) = copies.first() else { return Ok(()) };
        if self.repository.gave_up(&first.name, first.stored()) {
            return Ok(());
        }
        let wanted = [Some(first.name), first.name.other_copy()];
        let complete = copies.len() == wanted.iter().flatten().count();
        let keys = matches!(first.name, Name::EpochKeys { .. });
        if complete && self.all_sound(&copies) && !keys {
            return Ok(());
        }
        match self.truth(&copies).map(<[u8]>::to_vec) {
            Ok(truth) => {
                for name in wanted.into_iter().flatten() {
                    let seen = copies.iter().find(|seen| seen.name == name);
                    if seen.is_some_and(|seen| seen.stored() == truth) {
                        continue;
                    }
                    let own = seen.and_then(Seen::content) == Some(&truth);
                    let means = if own { Means::Parity } else { Means::OtherCopy };
                    self.put_back(name, &truth, seen.is_some(), means)?;
                }
            }
            Err(why) => {
                let damaged = copies.iter().filter(|seen| !seen.is_sound() || copies.len() > 1 || keys);
                for seen in damaged {
                    match self.elsewhere(&seen.name)? {
                        Some(truth) => self.put_back(seen.name, &truth, true, Means::OtherPlace)?,
                        None => self.lose(seen.name, &why),
                    }
                }
            }
        }
        Ok(())
    }

    /// The object's bytes at the other place, if they are there and are what the name promises. Sessions and the log are each copy's own.
    fn elsewhere(&self, name: &Name) -> Result<Option<Vec<u8>>, Error> {
        let everywhere = matches!(
            name,
            Name::Pack(_)
                | Name::Index { .. }
                | Name::Config(_)
                | Name::Slot(..)
                | Name::EpochKeys { .. }
                | Name::EpochOffer { .. }
        );
        let Some(other) = self.other.filter(|_| everywhere) else { return Ok(None) };
        let seen = Seen::read(other, name)?;
        Ok(seen.as_ref().and_then(Seen::content).filter(|stored| self.is_genuine(name, stored)).map(<[u8]>::to_vec))
    }

    /// What is gone altogether has nothing that it could be mended from, but at the other place.
    fn missing(&mut self, listed: &Listed) -> Result<(), Error> {
        let there: HashSet<Name> = listed.objects.iter().map(|(name, _)| *name).collect();
        // What was named when the repository was opened was there before the listing. Indexes come first: they name packs.
        let repository = self.repository;
        for name in repository.view().indexes.iter().map(IndexRef::name).filter(|name| !there.contains(name)) {
            if let Some(truth) = self.elsewhere(&name)? {
                self.put_back(name, &truth, false, Means::OtherPlace)?;
            }
        }
        let indexes = Indexes::readable(repository)?;
        // Two indexes may name one pack.
        let named: BTreeSet<_> = indexes.chunks.packs().map(|pack| pack.id).collect();
        for name in named.into_iter().map(Name::Pack).filter(|name| !there.contains(name)) {
            match self.elsewhere(&name)? {
                Some(truth) => self.put_back(name, &truth, false, Means::OtherPlace)?,
                None => {
                    self.leave(name, "it is missing; the next snapshot stores again what the source still has of it")
                }
            }
        }
        Ok(())
    }

    /// Keys that were handed out to a principal and are lost, an admin hands out again.
    fn keys(&mut self, listed: &Listed) -> Result<(), Error> {
        if !self.repository.bundle().role().may_certify() {
            return Ok(());
        }
        let there: HashSet<Name> = listed.objects.iter().map(|(name, _)| *name).collect();
        for (name, _) in self.repository.handed_out() {
            let Name::EpochKeys { epoch, principal } = name else { continue };
            let lost = self.lost.contains(&name);
            if there.contains(&name) && !lost {
                continue;
            }
            if !self.dry_run {
                let written = self.repository.hand_out_again(epoch, &principal)?;
                if self.repository.store().get(&name.object())? != written {
                    self.leave(name, "what was put back does not come back as it was");
                    continue;
                }
            }
            self.summary.mended.push(Mended { name, means: Means::Keys });
        }
        Ok(())
    }

    fn all_sound(&self, copies: &[Seen]) -> bool {
        copies.iter().all(Seen::is_sound) && copies.windows(2).all(|pair| pair[0].stored() == pair[1].stored())
    }

    /// What all copies should be.
    fn truth<'s>(&self, copies: &'s [Seen]) -> Result<&'s [u8], String> {
        let genuine = |seen: &&Seen| seen.content().is_some_and(|stored| self.is_genuine(&seen.name, stored));
        let mut found = copies.iter().filter(genuine).filter_map(Seen::content);
        let Some(one) = found.next() else {
            let why = copies.iter().find_map(Seen::why_lost);
            return Err(why.unwrap_or_else(|| "nobody who may have signed it did".to_owned()));
        };
        match found.next() {
            Some(other) if other != one => {
                Err("its copies differ, and nothing tells which of them is right".to_owned())
            }
            _ => Ok(one),
        }
    }

    /// Whether bytes in sound armour are what the name promises, as far as this can be known.
    fn is_genuine(&self, name: &Name, stored: &[u8]) -> bool {
        match name {
            Name::Pack(id) => !self.repository.log().state.ledger().ever_final(id),
            // Named by a hash that was checked, or proven by nothing but what opens them.
            Name::Index { .. } | Name::Census(..) | Name::Slot(..) => true,
            Name::Log(position, _) => Frame::read(name, stored).is_ok_and(|frame| self.counts(*position, &frame)),
            Name::Config(_) => {
                Frame::read(name, stored).is_ok_and(|frame| frame.clear() == self.repository.config().encode())
            }
            Name::Open(session) | Name::End(session) | Name::Beat(session, _) => {
                Frame::read(name, stored).is_ok_and(|frame| self.is_signed(&frame, Some(session)))
            }
            Name::EpochKeys { .. } | Name::EpochOffer { .. } | Name::Pin(_) | Name::Hold { .. } => {
                Frame::read(name, stored).is_ok_and(|frame| self.is_signed(&frame, None))
            }
        }
    }

    /// An entry that the log took in as it was read, or that follows all that count.
    fn counts(&self, position: u64, frame: &Frame) -> bool {
        let log = self.repository.log();
        let doubted = log.doubts.iter().any(|doubt| doubt.position == position);
        !doubted && position < log.state.next() && self.is_signed(frame, None)
    }

    /// By the admin key, a principal, or the session's installation.
    fn is_signed(&self, frame: &Frame, session: Option<&SessionName>) -> bool {
        let id = self.repository.id();
        let principals = self.repository.log().state.trust().principals().values().map(|known| known.cert.signing);
        let installation = session.and_then(|session| self.repository.view().signed(session));
        let keys = principals.chain([self.repository.config().admin]);
        keys.chain(installation.map(|signed| signed.installation)).any(|key| frame.verify(&id, &key).is_ok())
    }

    fn put_back(&mut self, name: Name, truth: &[u8], exists: bool, means: Means) -> Result<(), Error> {
        if !self.dry_run {
            let store = self.repository.store();
            if exists {
                store.heal(&name.object(), truth)?;
            } else {
                store.put(&name.object(), truth)?;
            }
            match store.get(&name.object()) {
                Ok(stored) if stored == truth => {}
                Ok(_) => {
                    self.leave(name, "what was put back does not come back as it was");
                    return Ok(());
                }
                Err(error) if error.kind == ErrorKind::NotFound => {
                    self.leave(name, "what was put back is not there");
                    return Ok(());
                }
                Err(error) => return Err(error.into()),
            }
        }
        self.summary.mended.push(Mended { name, means });
        Ok(())
    }

    /// What cannot be had from its own bytes. Keys that an admin can hand out again are no loss yet.
    fn lose(&mut self, name: Name, why: &str) {
        let handed_out = || self.repository.handed_out().iter().any(|(known, _)| *known == name);
        if self.repository.bundle().role().may_certify() && handed_out() {
            self.lost.insert(name);
        } else {
            self.leave(name, why);
        }
    }

    fn leave(&mut self, name: Name, why: &str) {
        let (object, what) = (name.to_string(), why.to_owned());
        self.events.emit(Event::Damage { object, what, healed: false });
        self.summary.left.push((name, why.to_owned()));
    }
}
