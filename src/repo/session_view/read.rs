//! Reading sessions from a store: one listing, then the opening and the end of each.

use crate::crypto::hash;
use crate::repo::frame::{self, Frame};
use crate::repo::id::WriterId;
use crate::repo::names::{self, Name, SessionName};
use crate::store::{self, ErrorKind, Store};
use std::collections::BTreeMap;

/// An object as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Its frame, or why there is none.
    pub frame: Result<Frame, frame::Error>,
    /// SHA-256 of its stored bytes: what RESOLVE names.
    pub sha256: [u8; 32],
}

impl Object {
    /// Reads an object from its stored bytes.
    pub fn new(name: &Name, stored: &[u8]) -> Self {
        Self { frame: Frame::read(name, stored), sha256: hash::sha256(stored) }
    }
}

/// What was found of one session.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// Its opening.
    pub open: Option<Object>,
    /// Its end.
    pub end: Option<Object>,
    /// The number of its newest heartbeat.
    pub beat: Option<u64>,
}

/// Reads every session whose number is above its writer's `watermark`.
///
/// # Errors
/// When the store fails. A session that vanishes between listing and reading is read as far as it is still there: whoever
/// collected it entered a CHECKPOINT before.
pub fn read(
    store: &dyn Store,
    watermark: impl Fn(&WriterId) -> u64,
) -> Result<BTreeMap<SessionName, Found>, store::Error> {
    let mut found: BTreeMap<SessionName, Found> = BTreeMap::new();
    for listed in store.list(names::SESSIONS)? {
        let Some(name) = Name::parse(&listed.name) else { continue };
        let (Name::Open(session) | Name::End(session) | Name::Beat(session, _)) = name else { continue };
        if session.seq <= watermark(&session.writer) {
            continue;
        }
        let found = found.entry(session).or_default();
        match name {
            Name::Beat(_, beat) => found.beat = found.beat.max(Some(beat)),
            Name::Open(_) => found.open = get(store, &name)?,
            _ => found.end = get(store, &name)?,
        }
    }
    Ok(found)
}

fn get(store: &dyn Store, name: &Name) -> Result<Option<Object>, store::Error> {
    match store.get(&name.object()) {
        Ok(stored) => Ok(Some(Object::new(name, &stored))),
        Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
