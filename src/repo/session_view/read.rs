//! Reading sessions from a store: one listing, then the opening and the end of each.

use crate::crypto::hash;
use crate::repo::frame::{self, Frame};
use crate::repo::id::WriterId;
use crate::repo::names::{self, Name, SessionName};
use crate::store::overview::Overview;
use crate::store::{self, ErrorKind, FAR, Store};
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

    /// Whether every byte was as it should be: what is damaged may be mended meanwhile.
    fn is_sound(&self) -> bool {
        self.frame.as_ref().is_ok_and(|frame| frame.healed().is_none())
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

impl Found {
    fn set(&mut self, name: &Name, object: Object) {
        *(if matches!(name, Name::Open(_)) { &mut self.open } else { &mut self.end }) = Some(object);
    }
}

/// What was found of all sessions.
pub type All = BTreeMap<SessionName, Found>;

/// Reads every session that `overview` shows, or a listing, and whose number is above its writer's `watermark`. What is in `known`, from an earlier reading, and was sound is not fetched again as
/// long as it is listed: nobody replaces it but by the same.
///
/// # Errors
/// When the store fails. A session that vanishes between listing and reading is read as far as it is still there: whoever
/// collected it entered a CHECKPOINT before.
pub fn read(
    store: &dyn Store,
    overview: &Overview,
    known: &All,
    watermark: impl Fn(&WriterId) -> u64,
) -> Result<All, store::Error> {
    let mut found = All::new();
    let mut wanted = Vec::new();
    for listed in overview.list(store, names::SESSIONS)? {
        let Some(name) = Name::parse(&listed.name) else { continue };
        let (Name::Open(session) | Name::End(session) | Name::Beat(session, _)) = name else { continue };
        if session.seq <= watermark(&session.writer) {
            continue;
        }
        let (found, known) = (found.entry(session).or_default(), known.get(&session));
        let object = match name {
            Name::Beat(_, beat) => {
                found.beat = found.beat.max(Some(beat));
                continue;
            }
            Name::Open(_) => known.and_then(|known| known.open.as_ref()),
            _ => known.and_then(|known| known.end.as_ref()),
        };
        match object.filter(|object| object.is_sound()) {
            Some(object) => found.set(&name, object.clone()),
            None => wanted.push((session, name)),
        }
    }
    for ((session, name), object) in wanted.iter().zip(get_all(store, &wanted)?) {
        if let (Some(found), Some(object)) = (found.get_mut(session), object) {
            found.set(name, object);
        }
    }
    Ok(found)
}

/// Answers that one waits for at once where the place is far away.
const AT_ONCE: usize = 8;

fn get_all(store: &dyn Store, wanted: &[(SessionName, Name)]) -> Result<Vec<Option<Object>>, store::Error> {
    if store.in_flight() < FAR || wanted.len() < 2 {
        return wanted.iter().map(|(_, name)| get(store, name)).collect();
    }
    let part = wanted.len().div_ceil(AT_ONCE);
    std::thread::scope(|scope| {
        let read = |part: &[(SessionName, Name)]| part.iter().map(|(_, name)| get(store, name)).collect::<Vec<_>>();
        let readers: Vec<_> = wanted.chunks(part).map(|part| scope.spawn(move || read(part))).collect();
        readers.into_iter().flat_map(|reader| reader.join().expect("reading does not panic")).collect()
    })
}

fn get(store: &dyn Store, name: &Name) -> Result<Option<Object>, store::Error> {
    match store.get(&name.object()) {
        Ok(stored) => Ok(Some(Object::new(name, &stored))),
        Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
