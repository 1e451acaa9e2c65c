//! Reading the log from a store: every position in turn, first copies before second ones, until the next is not there.
//!
//! Invariant: a second copy counts only where the first is unreadable and a later entry proves it. What does not verify
//! is never an answer: reading goes on past it only if a later entry voids it, else the log is stopped there.

use super::entry::Entry;
use super::fold::{State, Violation};
use super::source::{Fetched, Source};
use super::{EpochKeys, Error, Head};
use crate::repo::frame::{self, Frame};
use crate::repo::names::{self, Copy, Name};
use crate::store::Store;
use crate::store::overview::Overview;
use std::collections::BTreeSet;

/// A log as read.
#[derive(Debug, Clone)]
pub struct Log {
    /// What all entries that count come to.
    pub state: State,
    /// What does not verify behind the newest entry that counts. Not empty: neither prune nor deduplicate, and append
    /// nothing but what voids it.
    pub doubts: Vec<Doubt>,
    /// What lies behind a position where nothing is, and that nobody signed who maintains. Not empty: as above, but no entry voids it,
    /// since it has no place in the log.
    pub beyond: Vec<Doubt>,
    /// What was found on the way.
    pub notes: Vec<Note>,
}

impl Log {
    /// The position behind the last that was read, whether it counts or not.
    pub fn end(&self) -> u64 {
        self.state.next() + self.doubts.len() as u64
    }

    /// The first thing that stops the log, if anything does.
    pub fn stopped(&self) -> Option<&Doubt> {
        self.doubts.first().or_else(|| self.beyond.first())
    }

    /// Positions of what later entries voided: whatever lies there means nothing.
    pub fn voided(&self) -> impl Iterator<Item = u64> {
        self.notes.iter().filter_map(|note| match note {
            Note::Voided(doubt) => Some(doubt.position),
            _ => None,
        })
    }
}

/// An object in the log that does not verify.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("log entry {position} does not verify: {reason}")]
pub struct Doubt {
    /// Where.
    pub position: u64,
    /// What a later entry must name to void it: digest of its frame, or SHA-256 of its stored bytes where there is none.
    pub digest: [u8; 32],
    /// What is wrong.
    #[source]
    pub reason: Reason,
}

/// Why an object in the log does not verify.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// It breaks a rule.
    #[error(transparent)]
    Violation(Violation),
    /// It cannot be read, and has no second copy that can.
    #[error(transparent)]
    Unreadable(frame::Error),
    /// It cannot be read; its second copy can, but no later entry proves it.
    #[error("its first copy is lost, and nothing after it proves the second")]
    Unproven,
    /// It lies behind a position where nothing is.
    #[error(
        "nothing is there at position {0} before it, and nobody signed it who may enter something: anybody may have put it there. \
         Whoever may delete in the store can take it away"
    )]
    Beyond(u64),
}

/// Something about the log's objects that is worth mending or telling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// Damaged and readable through its parity: these bytes may be put back.
    Healed { name: Name, stored: Vec<u8> },
    /// The first copy is lost; the second stood in.
    FirstCopyLost(u64),
    /// There is no second copy.
    SecondCopyMissing(u64),
    /// A later entry voided it.
    Voided(Doubt),
}

/// Reads what follows `from` (a fresh [`State::new`], or the state of an earlier reading).
///
/// `pin` is the newest entry that this host remembers.
///
/// # Errors
/// When the store fails, a key is missing, an entry is missing or needs a newer version, or the log does not hold
/// what was read before.
pub fn read(store: &dyn Store, from: State, keys: &EpochKeys<'_>, pin: Option<Head>) -> Result<Log, Error> {
    let source = Source::list(store)?;
    if let Some(head) = from.head() {
        still_there(&source, head)?;
    }
    read_from(&source, from, keys, pin)
}

/// As [`read`], from a listing that was made, and from a state whose newest entry was seen there or is named by the next.
pub(super) fn read_from(
    source: &Source<'_>,
    from: State,
    keys: &EpochKeys<'_>,
    pin: Option<Head>,
) -> Result<Log, Error> {
    let start = from.next();
    let mut walk = Walk::new(from, keys, pin);
    let position = walk.follow(source, start)?;
    let beyond = walk.beyond(source, position)?;
    walk.check_length(position)?;
    walk.note_missing_copies(source, start)?;
    Ok(Log { state: walk.sure.state, doubts: walk.sure.doubts, beyond, notes: walk.notes })
}

/// What was entered since `earlier` was read, in which nothing was in doubt or beyond its end: by name, and `seen` just spares questions.
///
/// # Errors
/// When the store fails, a key is missing, or an entry needs a newer version.
pub fn read_on(store: &dyn Store, seen: Option<&Overview>, earlier: &Log, keys: &EpochKeys<'_>) -> Result<Log, Error> {
    let source = match seen.filter(|seen| seen.covers(names::LOG)) {
        Some(seen) => Source::seen(store, seen)?,
        None => Source::unlisted(store),
    };
    let mut walk = Walk::new(earlier.state.clone(), keys, None);
    let start = earlier.state.next();
    walk.follow(&source, start)?;
    walk.note_missing_copies(&source, start)?;
    let notes = earlier.notes.iter().cloned().chain(walk.notes).collect();
    Ok(Log { state: walk.sure.state, doubts: walk.sure.doubts, beyond: Vec::new(), notes })
}

/// Checks that an entry read earlier is still the same.
fn still_there(source: &Source<'_>, head: Head) -> Result<(), Error> {
    match source.fetch(head.position)? {
        Fetched::First(frame) | Fetched::Second(frame, _) if frame.digest() != head.digest => {
            Err(Error::RolledBack(head.position))
        }
        Fetched::Nothing => Err(Error::RolledBack(head.position)),
        // Damage that came later takes nothing back.
        _ => Ok(()),
    }
}

/// One reading of the log: a state, and what follows it without verifying.
#[derive(Clone)]
struct Branch {
    state: State,
    doubts: Vec<Doubt>,
}

impl Branch {
    const fn new(state: State) -> Self {
        Self { state, doubts: Vec::new() }
    }

    /// Takes in one frame: opened, its signature checked, applied.
    fn admit(&mut self, position: u64, frame: &Frame, keys: &EpochKeys<'_>) -> Result<Result<(), Violation>, Error> {
        let expected = self.state.trust().epoch();
        match frame.epoch() {
            Some(epoch) if epoch == expected => {}
            found => return Ok(Err(Violation::Epoch { found: found.unwrap_or(0), expected })),
        }
        let read = self.state.trust().read_key(expected);
        let key = keys(expected, read).map_err(|source| Error::NoKey { position, epoch: expected, source })?;
        let doubtful: Vec<[u8; 32]> = self.doubts.iter().map(|doubt| doubt.digest).collect();
        let repository = *self.state.repository();
        let outcome = frame.unseal(&repository, &key).map_err(Violation::from).and_then(|plain| {
            let entry = Entry::decode(&plain)?;
            let signer = self.state.signer(&entry.author).ok_or(Violation::Author(entry.author))?;
            frame.verify(&repository, &signer)?;
            self.state.apply(&entry, frame.digest(), &doubtful)
        });
        match outcome {
            Err(source) if source.needs_newer() => Err(Error::Newer { position, source }),
            outcome => Ok(outcome),
        }
    }
}

struct Walk<'a> {
    sure: Branch,
    /// What the log would be if second copies that nothing proves yet are right.
    unproven: Option<Branch>,
    notes: Vec<Note>,
    voided: BTreeSet<u64>,
    keys: &'a EpochKeys<'a>,
    pin: Option<Head>,
}

impl<'a> Walk<'a> {
    fn new(from: State, keys: &'a EpochKeys<'a>, pin: Option<Head>) -> Self {
        let (notes, voided) = (Vec::new(), BTreeSet::new());
        Self { sure: Branch::new(from), unproven: None, notes, voided, keys, pin }
    }

    /// Takes in everything from `position` on. Returns the first position where nothing is.
    fn follow(&mut self, source: &Source<'_>, mut position: u64) -> Result<u64, Error> {
        while self.step(source, position)? {
            position += 1;
        }
        Ok(position)
    }

    /// Notes what counts from `start` on and has one copy only. What came after the listing is asked for by name: whoever reads on from a
    /// later checkpoint would never hear of it.
    fn note_missing_copies(&mut self, source: &Source<'_>, start: u64) -> Result<(), Error> {
        for position in start..self.sure.state.next() {
            if !self.voided.contains(&position) && source.lacks_second(position)? {
                self.notes.push(Note::SecondCopyMissing(position));
            }
        }
        Ok(())
    }

    /// Takes in one position; whether there was anything.
    fn step(&mut self, source: &Source<'_>, position: u64) -> Result<bool, Error> {
        match source.fetch(position)? {
            Fetched::Nothing => return Ok(false),
            Fetched::Unreadable(digest, error) => {
                self.doubt(Doubt { position, digest, reason: Reason::Unreadable(error) });
            }
            Fetched::First(frame) => self.first(position, &frame)?,
            Fetched::Second(frame, digest) => self.second(position, &frame, digest)?,
        }
        Ok(true)
    }

    /// A readable first copy: it counts if it follows either branch, and then proves it.
    fn first(&mut self, position: u64, frame: &Frame) -> Result<(), Error> {
        if let Some(mut branch) = self.unproven.take() {
            if branch.admit(position, frame, self.keys)?.is_ok() {
                let lost = self.sure.state.next()..position;
                self.notes.extend(lost.map(Note::FirstCopyLost));
                // What stood in the way was lost, not void.
                self.sure = Branch::new(branch.state);
                return self.settled(position, frame);
            }
            self.unproven = Some(branch);
        }
        match self.sure.admit(position, frame, self.keys)? {
            Ok(()) => {
                self.unproven = None;
                self.voided.extend(self.sure.doubts.iter().map(|doubt| doubt.position));
                self.notes.extend(self.sure.doubts.drain(..).map(Note::Voided));
                self.settled(position, frame)
            }
            Err(violation) => {
                let reason = Reason::Violation(violation);
                self.doubt(Doubt { position, digest: frame.digest(), reason });
                Ok(())
            }
        }
    }

    fn settled(&mut self, position: u64, frame: &Frame) -> Result<(), Error> {
        if let Some(stored) = frame.healed() {
            self.notes.push(Note::Healed { name: Name::Log(position, Copy::First), stored: stored.to_vec() });
        }
        match self.pin {
            Some(pin) if pin.position == position && pin.digest != frame.digest() => Err(Error::RolledBack(position)),
            _ => Ok(()),
        }
    }

    /// A second copy whose first is lost.
    fn second(&mut self, position: u64, frame: &Frame, digest: [u8; 32]) -> Result<(), Error> {
        let mut next = None;
        for branch in self.unproven.iter().chain([&self.sure]) {
            let mut candidate = branch.clone();
            if candidate.admit(position, frame, self.keys)?.is_ok() {
                candidate.doubts.clear();
                next = Some(candidate);
                break;
            }
        }
        let reason = Reason::Unproven;
        self.doubt(Doubt { position, digest, reason });
        if next.is_some() {
            self.unproven = next;
        }
        Ok(())
    }

    /// What lies behind the position `gap`, where nothing is: an entry there says that one is missing. All else says nothing, or
    /// anybody who may put objects could keep everybody from reading.
    fn beyond(&self, source: &Source<'_>, gap: u64) -> Result<Vec<Doubt>, Error> {
        let mut beyond = Vec::new();
        for &position in source.firsts.range(gap..) {
            let digest = match source.fetch(position)? {
                Fetched::Nothing => continue,
                Fetched::First(frame) | Fetched::Second(frame, _) if self.maintains(position, &frame)? => {
                    return Err(Error::Gap(gap));
                }
                Fetched::First(frame) => frame.digest(),
                Fetched::Second(_, digest) | Fetched::Unreadable(digest, _) => digest,
            };
            beyond.push(Doubt { position, digest, reason: Reason::Beyond(gap) });
        }
        Ok(beyond)
    }

    /// Whether somebody entered this who maintains, as far as the log is known.
    fn maintains(&self, position: u64, frame: &Frame) -> Result<bool, Error> {
        let state = &self.sure.state;
        let known = |epoch: &u32| (1..=state.trust().epoch()).contains(epoch);
        let Some(epoch) = frame.epoch().filter(known) else { return Ok(false) };
        let read = state.trust().read_key(epoch);
        let key = (self.keys)(epoch, read).map_err(|source| Error::NoKey { position, epoch, source })?;
        let entry = frame.unseal(state.repository(), &key).ok().and_then(|plain| Entry::decode(&plain).ok());
        let author = entry.and_then(|entry| state.trust().principal(&entry.author));
        Ok(author.is_some_and(|author| {
            author.cert.role.may_maintain() && frame.verify(state.repository(), &author.cert.signing).is_ok()
        }))
    }

    fn doubt(&mut self, doubt: Doubt) {
        if let Some(branch) = &mut self.unproven {
            branch.doubts.push(doubt.clone());
        }
        self.sure.doubts.push(doubt);
    }

    /// A log that ends before the pinned entry was cut.
    fn check_length(&self, end: u64) -> Result<(), Error> {
        match self.pin {
            Some(pin) if pin.position >= end => Err(Error::RolledBack(pin.position)),
            _ => Ok(()),
        }
    }
}
