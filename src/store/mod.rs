//! The place that holds a repository's objects: immutable byte strings under names.
//!
//! All that boveda needs of a place is this trait: put-if-absent, ranges, honest listings. Backends do not retry and do
//! not interpret; decorators (retry, faults …) wrap any of them.

pub mod access;
pub mod ahead;
pub mod archive;
pub mod disk;
pub mod fallback;
pub mod faults;
pub mod forgetful;
pub mod kept;
pub mod local;
pub mod mark;
pub mod memory;
pub mod open;
pub mod overview;
pub mod pace;
pub mod probe;
pub mod remote;
pub mod remote_url;
pub mod retention;
pub mod retry;
pub mod sftp;
pub mod shelf;
pub mod timetable;
pub mod traffic;
pub mod url;

use mark::Mark;
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

/// An object's name: `/`-separated parts of `[a-z0-9._-]`, no part empty, `.` or `..`, no part starting with a dot, at most 200 bytes.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectName(Box<str>);

impl ObjectName {
    /// Checks and takes a name.
    pub fn new(name: &str) -> Option<Self> {
        let part_ok = |part: &str| {
            !part.is_empty()
                && !part.starts_with('.')
                && part.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-'))
        };
        (name.len() <= 200 && name.split('/').all(part_ok)).then(|| Self(name.into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

/// What kind of failure it was: what a caller decides by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The object does not exist.
    NotFound,
    /// The place itself does not exist.
    NoStore,
    /// Not allowed.
    Denied,
    /// No room left.
    Full,
    /// The location, an option or a certificate is wrong.
    Config,
    /// The object lies in a tier from which it must be asked back before it can be read.
    Archived,
    /// The object may not be removed or replaced yet.
    Locked,
    /// Trying again may help.
    Temporary,
    /// Anything else.
    Other,
}

/// A failed call: which, on what, why.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{action} {object} in {place}: {source}")]
pub struct Error {
    /// What kind of failure it was.
    pub kind: ErrorKind,
    /// What was tried: "read", "list" …
    pub action: &'static str,
    /// The object or prefix concerned.
    pub object: String,
    /// The store, as [`Store::place`] names it.
    pub place: String,
    /// The cause.
    pub source: Arc<dyn std::error::Error + Send + Sync>,
}

/// What became of a [`Store::put`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// This call created the object; it is durable.
    Created,
    /// An object of this name was there already and was not touched.
    Exists,
}

/// One object of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: ObjectName,
    /// Its length in bytes.
    pub length: u64,
    /// What the place says of its bytes, where listings say it: the same as [`Facts::mark`].
    pub mark: Option<Mark>,
}

/// The first objects of a place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// They, in order of names.
    pub listed: Vec<Listed>,
    /// Whether there are no others.
    pub complete: bool,
}

/// What a place keeps of an object beside its bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// The version's name, where the place keeps replaced and removed versions.
    pub version: Option<String>,
    /// The place's own hash or tag of the bytes.
    pub mark: Option<Mark>,
    /// What keeps it from being removed, also if its time is over.
    pub lock: Option<retention::Lock>,
    /// The archive tier that it lies in, if it cannot be read now.
    pub archive: Option<archive::Archive>,
}

/// A place that takes so many large objects at once, and more, is far away: there one waits for several answers at once.
pub const FAR: usize = 3;

/// What somebody is going to read in parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// Nearly all of whatever is begun.
    Whole,
    /// Nearly all of these objects.
    WholeOf(HashSet<ObjectName>),
}

/// Takes bytes as they come, each piece with its place in what was asked for: in order, and from the beginning again where that was tried
/// again.
pub type Arrived = Arc<dyn Fn(u64, &[u8]) + Send + Sync>;

/// A place for objects. Calls block; they may come from many threads at once.
pub trait Store: Send + Sync {
    /// How messages name this place. Holds no secrets.
    fn place(&self) -> String;

    /// Whether [`Self::put`] has one winner when several clients put one name at once. Where it has not, one client at a
    /// time may write.
    fn exclusive(&self) -> bool {
        true
    }

    /// How many large objects are worth putting at once, with all that is to be done to them before.
    fn in_flight(&self) -> usize {
        1
    }

    /// Whether whatever can be seen is durable: then an object that was seen just now need not be settled.
    fn seen_is_durable(&self) -> bool {
        false
    }

    /// What the place keeps of an object; nothing where it does not say.
    ///
    /// # Errors
    /// As [`Self::get`].
    fn facts(&self, name: &ObjectName) -> Result<Facts, Error> {
        self.length(name).map(|_| Facts::default())
    }

    /// Asks for an object back that lies in an archive tier, unless it is on its way already. Returns the tier, or nothing where it can be read.
    ///
    /// # Errors
    /// As [`Self::get`], and when the place does not do it.
    fn thaw(&self, name: &ObjectName, _: &archive::Thaw) -> Result<Option<archive::Archive>, Error> {
        Ok(self.facts(name)?.archive)
    }

    /// Creates an object if none of that name exists. When it returns, the object is durable and every later call of
    /// anybody sees it whole; when it fails, the object is either absent or whole.
    ///
    /// # Errors
    /// When the object may not be durable.
    fn put(&self, name: &ObjectName, bytes: &[u8]) -> Result<Put, Error>;

    /// Makes an object durable that somebody else put, who may have died before its put returned, and with it what was put and
    /// removed beside it. Whoever builds on an object that it only found calls this first.
    ///
    /// # Errors
    /// When the object may not be durable, or is not there.
    fn settle(&self, name: &ObjectName) -> Result<(), Error>;

    /// Replaces a damaged object by healed bytes: the caller has proved that they are what the name promises.
    ///
    /// # Errors
    /// When the healed object may not be durable; the old or the new bytes stand, whole.
    fn heal(&self, name: &ObjectName, bytes: &[u8]) -> Result<(), Error>;

    /// All bytes of an object.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], or the store's failure.
    fn get(&self, name: &ObjectName) -> Result<Vec<u8>, Error>;

    /// The bytes `offset..offset + length`, cut short only where the object ends.
    ///
    /// # Errors
    /// As [`Self::get`].
    fn get_range(&self, name: &ObjectName, offset: u64, length: u64) -> Result<Vec<u8>, Error>;

    /// As [`Self::get_range`], of an object that has `whole` bytes in all: so that more of it may be fetched with the same request.
    ///
    /// # Errors
    /// As [`Self::get`].
    fn get_within(&self, name: &ObjectName, whole: u64, offset: u64, length: u64) -> Result<Vec<u8>, Error> {
        let _ = whole;
        self.get_range(name, offset, length)
    }

    /// Says what is read by [`Self::get_within`] from now on.
    fn expect(&self, _reading: Reading) {}

    /// As [`Self::get_range`], and hands on the bytes as they come. Returns how many there are.
    ///
    /// # Errors
    /// As [`Self::get`]: some bytes may have been handed on.
    fn stream(&self, name: &ObjectName, offset: u64, length: u64, arrived: &Arrived) -> Result<u64, Error> {
        let bytes = self.get_range(name, offset, length)?;
        arrived(0, &bytes);
        Ok(bytes.len() as u64)
    }

    /// An object's length.
    ///
    /// # Errors
    /// As [`Self::get`].
    fn length(&self, name: &ObjectName) -> Result<u64, Error>;

    /// Every object whose name starts with `prefix` followed by `/` (all, for an empty prefix), in order of names,
    /// complete or an error: a part of a listing is never an answer. A prefix that does not exist lists nothing;
    /// a place that does not exist is [`ErrorKind::NoStore`].
    ///
    /// # Errors
    /// When any part of the listing fails.
    fn list(&self, prefix: &str) -> Result<Vec<Listed>, Error>;

    /// The first objects in order of names, as many as one request brings, for whoever wants to see several kinds of them: as honest as
    /// [`Self::list`]. `None` where listing each kind by itself costs no more.
    ///
    /// # Errors
    /// As [`Self::list`].
    fn page(&self) -> Result<Option<Page>, Error> {
        Ok(None)
    }

    /// Removes an object; one that is not there is no error.
    ///
    /// # Errors
    /// When the object may still be there.
    fn delete(&self, name: &ObjectName) -> Result<(), Error>;

    /// Removes objects with as few requests as the place allows: what [`Self::delete`] would say of each.
    fn delete_all(&self, names: &[ObjectName]) -> Vec<Result<(), Error>> {
        names.iter().map(|name| self.delete(name)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn object_names_stay_inside_the_store() {
        for bad in ["", "/", "/a", "a/", "a//b", "..", "a/../b", "a/.b", "A", "a b", "a\0", &"x".repeat(201)] {
            assert!(ObjectName::new(bad).is_none(), "{bad:?}");
        }
        for good in ["config", "config.2", "sess/00ff/00000000000000000001/end", "packs/ab/ab00"] {
            assert!(ObjectName::new(good).is_some(), "{good:?}");
        }
    }
}
