//! Segments become packs: one thread collects them, others finish what was collected before.

use super::super::pack::{Filling, PackSummary};
use super::super::segment::SealedSegment;
use super::Shared;
use super::finishing::Finishing;
use crate::store::{self, Store};
use crate::system::carried;
use crossbeam_channel::Receiver;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;

/// Segments that may wait to be collected.
pub const QUEUE: usize = 4;

/// Packs that there are at a time: one that fills, and those that are finished and put.
pub const fn packs(in_flight: usize) -> usize {
    in_flight + 1
}

/// Starts the threads; the one that is returned ends when nobody sends segments any more, and every pack is durable.
///
/// # Panics
/// When the system refuses a thread.
pub(super) fn start(
    store: &Arc<dyn Store>,
    shared: Arc<Shared>,
    segments: Receiver<SealedSegment>,
) -> JoinHandle<Result<Vec<PackSummary>, store::Error>> {
    let finishing = Finishing::start(store, &shared);
    std::thread::Builder::new()
        .name("packs".to_owned())
        .spawn(carried(move || collect(&shared, segments, finishing)))
        .expect("the system lets us start a thread")
}

/// Fills one pack after another. Once one has failed, `segments` is closed: whoever sends learns it then.
fn collect(
    shared: &Shared,
    segments: Receiver<SealedSegment>,
    mut finishing: Finishing,
) -> Result<Vec<PackSummary>, store::Error> {
    let mut filling = Filling::of_size(shared.options.pack_size);
    for sealed in segments {
        if let Some(class) = filling.push(sealed, &shared.options.wrap) {
            let buffer = finishing.take(filling.take(class))?;
            filling.renew(class, buffer);
        }
    }
    if !shared.given_up.load(Ordering::Relaxed) {
        for builder in filling.rest() {
            finishing.take(builder)?;
        }
    }
    finishing.end()
}
