//! ATTEST: a reader's word, in the log, that every chunk of a session is what its id says, at every place where that session put it.
//! Others may then rely on what somebody stored whom they do not trust.
//!
//! Invariant: each place is opened itself. That a chunk can be had somewhere else says nothing about this one.

use super::Run;
use crate::event::Sink;
use crate::ops::host::Host;
use crate::repo::chunk_index::Place;
use crate::repo::chunks;
use crate::repo::names::{IndexClass, SessionName};
use crate::repo::reader::{DEFAULT_CACHE, Reader};
use crate::repo::repository::{self, Repository};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attested {
    /// Sessions that were attested now.
    pub sessions: Vec<SessionName>,
    /// Sessions of which some chunk is not what it should be, or is gone: nobody shall rely on them.
    pub refused: Vec<(SessionName, String)>,
}

/// Opens everything that sessions stored which not everybody relies on, and attests those of which all is good.
///
/// Not those of admins, on whom everybody relies; not those that were attested already by these keys; not those that a checkpoint
/// covers: what they ended with is not there any more to be named.
///
/// # Errors
/// When these keys may not attest, the log is in doubt, the store fails, or somebody asked to stop. What was attested by then stands.
pub fn attest(repository: &mut Repository, host: &Host, events: &dyn Sink) -> Result<Attested, repository::Error> {
    repository.check_attests()?;
    let reader = host.reader(repository, &IndexClass::BOTH, DEFAULT_CACHE)?;
    let mut judged: BTreeMap<SessionName, Result<(), String>> = BTreeMap::new();
    let run = Run::new(1, repository, events);
    for named in reader.index().numbered() {
        let (number, pack, segment) = named?;
        let session = SessionName { writer: segment.origin.writer, seq: segment.origin.seq };
        if !repository.is_worth_attesting(&session) {
            continue;
        }
        let verdict = judged.entry(session).or_insert(Ok(()));
        if verdict.is_err() {
            continue;
        }
        let segment_number = u32::try_from(number).unwrap_or(u32::MAX);
        for position in 0..segment.ids.len() as u32 {
            run.go_on()?;
            let place = Place { pack, segment: Arc::clone(&segment), segment_number, position };
            if let Some(why) = refusal(&reader, &place)? {
                *verdict = Err(why);
                break;
            }
        }
    }
    drop(run);
    let mut attested = Attested::default();
    for (session, verdict) in judged {
        match verdict {
            Ok(()) if repository.attest(&session)? => attested.sessions.push(session),
            Ok(()) => {}
            Err(why) => attested.refused.push((session, why)),
        }
    }
    Ok(attested)
}

/// Why a place does not hold what it should; a store that fails says nothing about it.
fn refusal(reader: &Reader, place: &Place) -> Result<Option<String>, repository::Error> {
    match reader.check_place(place) {
        Ok(()) => Ok(None),
        Err(error @ chunks::Error::Store(_)) => Err(error.into()),
        Err(error) => Ok(Some(error.to_string())),
    }
}
