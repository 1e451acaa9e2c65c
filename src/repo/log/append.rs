//! Appending to the log: exactly at the next position, or not at all.
//!
//! Invariant: what is put would be accepted by every reader of the same log. Somebody else's entry at the position is no
//! error here: whether the decision still stands, the caller judges after reading again.

use super::Error;
use super::entry::{Decision, Entry};
use super::fold::{State, Violation};
use super::read::{Log, Note, Reason};
use crate::crypto::sign::SigningKey;
use crate::repo::frame::{self, Frame, Sealing};
use crate::repo::id::PrincipalId;
use crate::repo::names::{Copy, Name};
use crate::store::{self, Put, Store};

/// Who appends.
#[derive(Debug, Clone, Copy)]
pub struct Author<'a> {
    /// The principal.
    pub principal: PrincipalId,
    /// Its signing key; for a log's very first entry the admin key that the config names.
    pub key: &'a SigningKey,
}

/// What became of an attempt to append.
#[derive(Debug)]
pub enum Appended {
    /// The entry stands.
    Done {
        /// The log's state with it.
        state: Box<State>,
        /// Why its second copy could not be put; the next to append will put it.
        second_copy: Option<store::Error>,
    },
    /// Somebody else's entry stands at the position: read again, and decide again.
    Taken,
}

/// Appends `decision`, as of `time` (seconds since 1970), behind the log as it was read.
///
/// # Errors
/// [`Error::Stopped`] when something at the tail does not verify: see [`append_voiding`]. [`Error::Refused`] when the
/// entry would break a rule. [`Error::Store`] when it may or may not stand: read again.
pub fn append(
    store: &dyn Store,
    log: &Log,
    (decision, time): (&Decision, i64),
    author: Author<'_>,
    sealing: Sealing<'_>,
) -> Result<Appended, Error> {
    match log.stopped() {
        Some(doubt) => Err(Error::Stopped(doubt.clone())),
        None => append_voiding(store, log, (decision, time), author, sealing),
    }
}

/// As [`append`], and voids what does not verify at the tail. Meant for a maintainer who has made sure that it is no
/// entry that was merely damaged.
///
/// # Errors
/// As [`append`]; [`Error::Stopped`] only when a second copy may still be the entry, or something lies beyond the log's end.
pub fn append_voiding(
    store: &dyn Store,
    log: &Log,
    (decision, time): (&Decision, i64),
    author: Author<'_>,
    sealing: Sealing<'_>,
) -> Result<Appended, Error> {
    let unproven = log.doubts.iter().find(|doubt| doubt.reason == Reason::Unproven);
    if let Some(doubt) = unproven.or_else(|| log.beyond.first()) {
        return Err(Error::Stopped(doubt.clone()));
    }
    let mut state = log.state.clone();
    let expected = state.trust().epoch();
    if sealing.epoch != expected {
        return Err(Error::Refused(Violation::Epoch { found: sealing.epoch, expected }));
    }
    let entry = next_entry(log, decision, time, author.principal);
    let name = Name::Log(entry.position, Copy::First);
    let written = frame::write(state.repository(), &name, b"", Some((sealing, &entry.encode())), author.key);
    accepted(&mut state, &name, &entry, &written)?;
    put_missing_copies(store, log)?;
    if store.put(&name.object(), &written.stored)? == Put::Exists && !is_ours(store, &name, &written)? {
        return Ok(Appended::Taken);
    }
    let second_copy = store.put(&Name::Log(entry.position, Copy::Second).object(), &written.stored).err();
    Ok(Appended::Done { state: Box::new(state), second_copy })
}

fn next_entry(log: &Log, decision: &Decision, time: i64, author: PrincipalId) -> Entry {
    let voids: Vec<[u8; 32]> = log.doubts.iter().map(|doubt| doubt.digest).collect();
    let (kind, body) = decision.encode();
    let position = log.state.next() + voids.len() as u64;
    Entry { position, previous: log.state.digest(), voids, author, time, kind, body }
}

/// Holds the new entry to every rule that readers will hold it to.
fn accepted(state: &mut State, name: &Name, entry: &Entry, written: &frame::Written) -> Result<(), Error> {
    let refuse = |violation: Violation| Error::Refused(violation);
    let signer = state.signer(&entry.author).ok_or_else(|| refuse(Violation::Author(entry.author)))?;
    let frame = Frame::read(name, &written.stored).map_err(|e| refuse(e.into()))?;
    frame.verify(state.repository(), &signer).map_err(|e| refuse(e.into()))?;
    let voids = entry.voids.clone();
    state.apply(entry, written.digest, &voids).map_err(refuse)
}

/// A put that was answered "exists" may have been our own, repeated.
fn is_ours(store: &dyn Store, name: &Name, written: &frame::Written) -> Result<bool, Error> {
    let stored = store.get(&name.object())?;
    Ok(Frame::read(name, &stored).is_ok_and(|frame| frame.digest() == written.digest))
}

/// Whoever appends, or writes anything else with the right to append, completes what somebody before could not.
///
/// # Errors
/// When the store fails.
pub fn put_missing_copies(store: &dyn Store, log: &Log) -> Result<(), Error> {
    for note in &log.notes {
        if let Note::SecondCopyMissing(position) = note {
            let stored = store.get(&Name::Log(*position, Copy::First).object())?;
            store.put(&Name::Log(*position, Copy::Second).object(), &stored)?;
        }
    }
    Ok(())
}
