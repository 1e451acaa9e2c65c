//! A repository that is followed: its snapshots now, and again whenever there are new ones. What a mount shows: all
//! complete ones, or those that the caller wants.
//!
//! Looking is cheap while nothing happens: two listings of names. Only when a session has ended or the log has grown is the
//! repository read again. Every snapshot keeps the number that this host gave it.

use super::host::Host;
use crate::crypto::hash;
use crate::mount::{Listing, MountedSnapshot, SnapshotList};
use crate::repo::id::SnapshotId;
use crate::repo::names::{IndexClass, Name};
use crate::repo::repository::{Error, Repository, Snapshot};
use crate::store::Store;
use std::sync::{Arc, Mutex, PoisonError};

/// Whether a snapshot is to be shown.
pub type Wanted = Box<dyn Fn(&Snapshot) -> bool + Send + Sync>;

/// An open repository, followed.
pub struct Followed {
    host: Host,
    cache: usize,
    wanted: Wanted,
    now: Mutex<Now>,
}

struct Now {
    repository: Repository,
    mark: [u8; 32],
    listing: Listing,
}

impl Followed {
    /// Follows a repository from its present state on; keeps about `cache` bytes of decoded segments.
    ///
    /// # Errors
    /// When the indexes cannot be read.
    pub fn new(host: Host, repository: Repository, cache: usize) -> Result<Self, Error> {
        Self::choosing(host, repository, cache, Box::new(Snapshot::is_complete))
    }

    /// The same; only the snapshots that are wanted, partial ones among them.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn choosing(host: Host, repository: Repository, cache: usize, wanted: Wanted) -> Result<Self, Error> {
        // The mark comes first: what ends meanwhile is then seen by the next look.
        let mark = mark(&**repository.store())?;
        let listing = listing(&host, &repository, cache, &wanted)?;
        Ok(Self { host, cache, wanted, now: Mutex::new(Now { repository, mark, listing }) })
    }

    fn look(&self, now: &mut Now) -> Result<(), Error> {
        let mark = mark(&**now.repository.store())?;
        if mark == now.mark {
            return Ok(());
        }
        now.repository.refresh()?;
        self.host.remember(&now.repository);
        let shown = snapshots(&self.host, &now.repository, &self.wanted);
        // Sessions also end without a new snapshot, and then what is in memory stays good.
        if shown != now.listing.snapshots {
            now.listing = listing(&self.host, &now.repository, self.cache, &self.wanted)?;
        }
        now.mark = mark;
        Ok(())
    }
}

impl SnapshotList for Followed {
    fn list(&self) -> Result<Listing, Box<dyn std::error::Error + Send + Sync>> {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        self.look(&mut now)?;
        Ok(now.listing.clone())
    }
}

/// Which sessions have ended, and how long the log is.
fn mark(store: &dyn Store) -> Result<[u8; 32], Error> {
    let mut names = Vec::new();
    for object in store.list("sess")?.into_iter().chain(store.list("log")?) {
        if matches!(Name::parse(&object.name), Some(Name::End(_) | Name::Log(..))) {
            names.extend_from_slice(object.name.as_str().as_bytes());
            names.push(b'\n');
        }
    }
    Ok(hash::blake3(&names))
}

fn listing(host: &Host, repository: &Repository, cache: usize, wanted: &Wanted) -> Result<Listing, Error> {
    let source = Arc::new(host.reader(repository, &IndexClass::BOTH, cache)?);
    Ok(Listing { snapshots: snapshots(host, repository, wanted), source })
}

fn snapshots(host: &Host, repository: &Repository, wanted: &Wanted) -> Vec<MountedSnapshot> {
    let shown: Vec<&Snapshot> = repository.snapshots().iter().filter(|snapshot| wanted(snapshot)).collect();
    let ids: Vec<SnapshotId> = shown.iter().map(|snapshot| snapshot.id).collect();
    let numbers = host.state().snapshot_numbers(&repository.id(), &ids, &**repository.events());
    let mounted = |(snapshot, number): (&Snapshot, u32)| MountedSnapshot {
        id: snapshot.id,
        number,
        time: snapshot.time(),
        host: snapshot.host().to_owned(),
        tags: snapshot.tags.clone(),
        root: snapshot.structure.root,
        partial: !snapshot.is_complete(),
    };
    shown.into_iter().zip(numbers).map(mounted).collect()
}
