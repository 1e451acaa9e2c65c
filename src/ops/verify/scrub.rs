//! Scrubbing without keys, as the machine that stores the repository can: every byte of every object is read and held against its
//! hashes.
//!
//! It finds what rots. What somebody took away or exchanged for something well made, only keys can tell.

use super::objects::{Listed, Seen, compare};
use super::{Finding, parallel};
use crate::event::{Event, Progress, Sink, Stage};
use crate::repo::chunks;
use crate::repo::names::Name;
use crate::repo::repository::Error;
use crate::store::Store;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// What a scrub found.
#[derive(Debug, Clone)]
pub struct Scrubbed {
    /// Objects read.
    pub objects: u64,
    /// Packs among them.
    pub packs: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Objects that are there and belong to no repository; they are left alone.
    pub foreign: u64,
    /// What is wrong; empty when all is well.
    pub findings: Vec<Finding>,
    /// Seconds that it took.
    pub seconds: f64,
}

/// Reads every object of the repository in `store`, with so many threads; 0 for as many as there are processors.
///
/// # Errors
/// When the store fails, or somebody asked to stop. Damage is no error but a finding.
pub fn scrub(threads: usize, store: &dyn Store, events: &dyn Sink) -> Result<Scrubbed, Error> {
    let start = Instant::now();
    let listed = Listed::read(store)?;
    let mut groups = listed.small(None);
    groups.extend(listed.objects.iter().filter(|(name, _)| matches!(name, Name::Pack(_))).map(|(name, _)| vec![*name]));
    let bytes_total = listed.objects.iter().map(|(_, length)| length).sum();
    let (bytes, findings) = (AtomicU64::new(0), Mutex::new(Vec::new()));
    parallel::each(threads, &groups, |names| {
        if events.stopping() {
            return Err(chunks::Error::Stopped.into());
        }
        let copies = names.iter().filter_map(|name| Seen::read(store, name).transpose());
        let copies = copies.collect::<Result<Vec<_>, _>>()?;
        for finding in compare(&copies) {
            let Finding { object, what, healable } = finding.clone();
            events.emit(Event::Damage { object, what, healed: healable });
            findings.lock().unwrap_or_else(PoisonError::into_inner).push(finding);
        }
        let read: usize = copies.iter().map(Seen::len).sum();
        let bytes = bytes.fetch_add(read as u64, Ordering::Relaxed) + read as u64;
        events.emit(Event::Progress(Stage::Verify, Progress { bytes, bytes_total, ..Progress::default() }));
        Ok::<_, Error>(())
    })?;
    Ok(Scrubbed {
        objects: listed.objects.len() as u64,
        packs: listed.objects.iter().filter(|(name, _)| matches!(name, Name::Pack(_))).count() as u64,
        bytes: bytes.into_inner(),
        foreign: listed.foreign,
        findings: findings.into_inner().unwrap_or_else(PoisonError::into_inner),
        seconds: start.elapsed().as_secs_f64(),
    })
}
