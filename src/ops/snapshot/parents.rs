//! Which earlier snapshots a run is compared with, and takes unchanged files from.
//!
//! Unless one is chosen by hand, these are the newest complete snapshot of the same paths that this host's change caches
//! describe, whichever of this principal's writers took it, and before it a newer partial one that a run left which did not
//! come to its end. A cache is what makes a snapshot this machine's: it lies here, and opens for this principal alone. What
//! it says is believed only as far as the session may reuse the snapshot (I3).

use super::baseline::Baseline;
use super::options::{Options, Parent};
use crate::crypto::hash;
use crate::event::{Event, Level, Sink};
use crate::repo::id::WriterId;
use crate::repo::record::Tokens;
use crate::repo::repository::{Snapshot, WriteSession};
use crate::state::Error;
use crate::state::changes::{Binding, CacheReader, ChangeCache};
use std::collections::BTreeMap;

/// What a run builds on.
#[derive(Default)]
pub(super) struct Parents {
    /// What the record names.
    pub parent: Option<Snapshot>,
    /// The complete snapshot that is compared with; another one if the parent is partial.
    pub complete: Option<Snapshot>,
    /// What they have, the newest first.
    pub baselines: Vec<Baseline>,
}

/// Chooses for a run of these tokens, as the session sees the repository.
pub(super) fn choose(session: &WriteSession<'_>, tokens: &Tokens, options: &Options, events: &dyn Sink) -> Parents {
    let caches = Caches { session, options, events };
    match &options.parent {
        Some(parent) => caches.by_hand(parent),
        None => caches.newest(tokens),
    }
}

/// The place of the cache of snapshots that `writer` took of what the tokens stand for.
pub(super) fn cache_of(
    session: &WriteSession<'_>,
    writer: WriterId,
    tokens: &Tokens,
    options: &Options,
) -> Option<ChangeCache> {
    let repository = session.repository();
    // What a change cache calls its source: one host's set of paths.
    let source = hash::blake3(&[&tokens.host.0[..], &tokens.paths.0].concat());
    let binding = Binding { repository: repository.id(), writer, source };
    let key = repository.bundle().principal().change_cache_key();
    Some(ChangeCache::new(options.cache.as_ref()?, key, binding))
}

/// This host's caches, as far as the session may use them.
struct Caches<'a> {
    session: &'a WriteSession<'a>,
    options: &'a Options,
    events: &'a dyn Sink,
}

impl Caches<'_> {
    fn newest(&self, tokens: &Tokens) -> Parents {
        let relatives: Vec<&Snapshot> = self.session.relatives(tokens).collect();
        let complete = newest_of_each(relatives.iter().copied().filter(|snapshot| snapshot.is_complete()));
        let mut parents = Parents::default();
        if let Some((snapshot, reader)) = complete.iter().find_map(|snapshot| self.described(snapshot)) {
            parents.baselines.push(Baseline::cache(reader, !snapshot.copied));
            parents.complete = Some(snapshot.clone());
        } else {
            let own = |snapshot: &&&Snapshot| snapshot.session.writer == self.session.writer();
            parents.complete = complete.iter().find(own).map(|snapshot| (*snapshot).clone());
        }
        parents.parent.clone_from(&parents.complete);
        let unfinished = relatives.into_iter().filter(|snapshot| !snapshot.is_complete());
        let unfinished = newest_of_each(unfinished.filter(|partial| !is_superseded(partial, &complete)));
        let newer = |partial: &&&Snapshot| {
            parents.complete.as_ref().is_none_or(|complete| {
                complete.session.writer == partial.session.writer || partial.time() > complete.time()
            })
        };
        if let Some((partial, reader)) = unfinished.iter().filter(newer).find_map(|partial| self.described(partial)) {
            parents.baselines.insert(0, Baseline::cache(reader, !partial.copied));
            parents.parent = Some(partial.clone());
        }
        parents
    }

    /// The one that was asked for, by its cache if there is one, else by its catalog if the keys at hand read it.
    fn by_hand(&self, chosen: &Parent) -> Parents {
        let snapshots = self.session.repository().snapshots();
        let Some(snapshot) = snapshots.iter().find(|snapshot| snapshot.id == chosen.id) else {
            self.warn(format!("the parent {} is gone; every file is read", chosen.id.short()));
            return Parents::default();
        };
        let me = self.session.repository().bundle().principal_id();
        let own = snapshot.principal == me && !snapshot.copied;
        let baselines = if let Some((_, reader)) = self.described(snapshot) {
            vec![Baseline::cache(reader, own)]
        } else if !self.session.may_reuse(&snapshot.id) {
            self.warn("a prune is under way that the parent is not safe from; every file is read".to_owned());
            Vec::new()
        } else if let (Some(tree), Some(private)) = (&chosen.tree, &snapshot.private) {
            vec![Baseline::catalog(
                snapshot.id,
                own,
                tree,
                private.started.seconds - super::assembler::DISTRUST_SECONDS,
            )]
        } else {
            self.warn(
                "these keys do not read the parent, and this machine has no cache of it; every file is read".into(),
            );
            Vec::new()
        };
        let parent = Some(snapshot.clone());
        Parents { complete: parent.clone().filter(Snapshot::is_complete), parent, baselines }
    }

    /// The cache that describes the snapshot, if there is one and the session may reuse the snapshot.
    fn described<'s>(&self, snapshot: &'s Snapshot) -> Option<(&'s Snapshot, CacheReader)> {
        let cache = cache_of(self.session, snapshot.session.writer, &snapshot.structure.tokens, self.options)?;
        let cache = if snapshot.is_complete() { cache } else { cache.partial() };
        let reader = cache.read().map_err(|error| self.unusable(&error)).ok()??;
        (reader.snapshot() == snapshot.id && self.session.may_reuse(&snapshot.id)).then_some((snapshot, reader))
    }

    fn unusable(&self, error: &Error) {
        self.warn(format!("the change cache cannot be used, every file is read: {error}"));
    }

    fn warn(&self, text: String) {
        self.events.emit(Event::Message(Level::Warning, text));
    }
}

/// The newest snapshot of each writer, the newest first. A writer's own order is that of its sessions; between writers only the
/// times tell, which anybody may have set: a wrong choice costs reading, nothing else.
fn newest_of_each<'s>(snapshots: impl Iterator<Item = &'s Snapshot>) -> Vec<&'s Snapshot> {
    let mut newest: BTreeMap<WriterId, &Snapshot> = BTreeMap::new();
    for snapshot in snapshots {
        let known = newest.entry(snapshot.session.writer).or_insert(snapshot);
        if known.session.seq < snapshot.session.seq {
            *known = snapshot;
        }
    }
    let mut newest: Vec<&Snapshot> = newest.into_values().collect();
    newest.sort_by_key(|snapshot| std::cmp::Reverse((snapshot.time(), snapshot.id)));
    newest
}

/// Whether the same writer has taken a complete one since.
fn is_superseded(partial: &Snapshot, complete: &[&Snapshot]) -> bool {
    let later = |one: &&Snapshot| one.session.writer == partial.session.writer && one.session.seq > partial.session.seq;
    complete.iter().any(later)
}
