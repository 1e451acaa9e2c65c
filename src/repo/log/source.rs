//! Where the log's entries come from: a store, its listing, and what was fetched of it before.

use super::{Error, Head};
use crate::crypto::hash;
use crate::repo::frame::{self, Frame};
use crate::repo::names::{self, Copy, Name};
use crate::store::overview::Overview;
use crate::store::{self, ErrorKind, Store};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// The log in a store.
pub struct Source<'a> {
    store: &'a dyn Store,
    /// Positions that have a first copy.
    pub(super) firsts: BTreeSet<u64>,
    /// Positions that have a second copy.
    pub(super) seconds: BTreeSet<u64>,
    /// First copies that were fetched and will be asked for once more.
    kept: RefCell<BTreeMap<u64, Vec<u8>>>,
    /// When the listing was made that shows these; `None` if there was none.
    listed: Option<Instant>,
    /// From this position on, nothing is asked for that was not listed.
    trusted_from: Option<u64>,
}

/// For so long a listing tells what second copies there are without a first: whoever enters something puts the first one before.
const FRESH: Duration = Duration::from_secs(30);

/// What lies at a position.
pub(super) enum Fetched {
    Nothing,
    First(Frame),
    /// The second copy, and what stands for the unreadable first one.
    Second(Frame, [u8; 32]),
    Unreadable([u8; 32], frame::Error),
}

impl<'a> Source<'a> {
    /// The log with its listing.
    ///
    /// # Errors
    /// When the store fails.
    pub fn list(store: &'a dyn Store) -> Result<Self, Error> {
        Self::seen(store, &Overview::take(store)?)
    }

    /// The log as `overview` shows it, or as it is listed now.
    ///
    /// # Errors
    /// When the store fails.
    pub fn seen(store: &'a dyn Store, overview: &Overview) -> Result<Self, Error> {
        let listed = if overview.covers(names::LOG) { overview.taken() } else { Instant::now() };
        let mut source = Self { listed: Some(listed), ..Self::unlisted(store) };
        for object in overview.list(store, names::LOG)? {
            match Name::parse(&object.name) {
                Some(Name::Log(position, Copy::First)) => source.firsts.insert(position),
                Some(Name::Log(position, Copy::Second)) => source.seconds.insert(position),
                _ => continue,
            };
        }
        Ok(source)
    }

    /// The position behind the last one that was listed.
    pub fn end(&self) -> u64 {
        self.firsts.last().map_or(0, |last| last + 1)
    }

    pub(super) fn unlisted(store: &'a dyn Store) -> Self {
        let (firsts, seconds) = (BTreeSet::new(), BTreeSet::new());
        Self { store, firsts, seconds, kept: RefCell::new(BTreeMap::new()), listed: None, trusted_from: None }
    }

    /// As far as the listing shows it, and at least to `known`: for who decides nothing before it is read again, by name, or enters
    /// something at exactly the next position.
    #[must_use]
    pub fn as_listed(self, known: Option<Head>) -> Self {
        let trusted_from = known.map_or(0, |head| head.position + 1);
        Self { trusted_from: Some(trusted_from.max(self.end())), ..self }
    }

    /// The first copy at a position, if it can be read; it is kept until it is fetched.
    pub(super) fn peek(&self, position: u64) -> Option<Frame> {
        let name = Name::Log(position, Copy::First);
        let stored = get(self.store, &name).ok()??;
        let frame = Frame::read(&name, &stored).ok()?;
        self.kept.borrow_mut().insert(position, stored);
        Some(frame)
    }

    /// Whether a position has a first copy and no second one: as the listing says, or where that ends the store.
    pub(super) fn lacks_second(&self, position: u64) -> Result<bool, store::Error> {
        if position < self.end() {
            return Ok(self.firsts.contains(&position) && !self.seconds.contains(&position));
        }
        match self.store.length(&Name::Log(position, Copy::Second).object()) {
            Ok(_) => Ok(false),
            Err(error) if error.kind == ErrorKind::NotFound => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Whether there was no second copy a moment ago: where there is no first one by now, nothing was entered.
    fn shows_no_second(&self, position: u64) -> bool {
        self.listed.is_some_and(|listed| listed.elapsed() < FRESH) && !self.seconds.contains(&position)
    }

    pub(super) fn fetch(&self, position: u64) -> Result<Fetched, Error> {
        if self.trusted_from.is_some_and(|from| position >= from) && !self.seconds.contains(&position) {
            return Ok(Fetched::Nothing);
        }
        let name = Name::Log(position, Copy::First);
        let kept = self.kept.borrow_mut().remove(&position);
        let first = kept.map_or_else(|| get(self.store, &name), |stored| Ok(Some(stored)))?;
        let lost = match &first {
            Some(stored) => match Frame::read(&name, stored) {
                Ok(frame) => return Ok(Fetched::First(frame)),
                Err(error) => Some((hash::sha256(stored), error)),
            },
            None => None,
        };
        if lost.is_none() && self.shows_no_second(position) {
            return Ok(Fetched::Nothing);
        }
        let name = Name::Log(position, Copy::Second);
        let second = get(self.store, &name)?.and_then(|stored| Frame::read(&name, &stored).ok());
        if lost.is_none() && second.is_some() {
            // Somebody may have entered it just now: the first copy comes before the second, so that it must be there by now.
            let name = Name::Log(position, Copy::First);
            if let Some(frame) = get(self.store, &name)?.and_then(|stored| Frame::read(&name, &stored).ok()) {
                return Ok(Fetched::First(frame));
            }
        }
        Ok(match (second, lost) {
            (Some(frame), lost) => Fetched::Second(frame, lost.map_or([0; 32], |(digest, _)| digest)),
            (None, Some((digest, error))) => Fetched::Unreadable(digest, error),
            (None, None) => Fetched::Nothing,
        })
    }
}

fn get(store: &dyn Store, name: &Name) -> Result<Option<Vec<u8>>, store::Error> {
    match store.get(&name.object()) {
        Ok(stored) => Ok(Some(stored)),
        Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
