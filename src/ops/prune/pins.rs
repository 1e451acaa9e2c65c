//! Pins of readers: which forgotten snapshots stay for them, and which pins are those of readers that died (I12).

use crate::event::{Event, Level, Sink};
use crate::ops::host::Host;
use crate::repo::id::PinId;
use crate::repo::repository::{Error, Repository};
use std::collections::BTreeSet;

/// A pin that was not put anew for so long, in seconds by this host's clock, is that of a reader who died.
pub(super) const EXPIRES: i64 = 7 * 24 * 3600;

/// What is pinned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Pinned {
    /// Snapshots that are forgotten behind this position of the log stay; `None`: nobody shows any.
    pub behind: Option<u64>,
    /// Pins that count no more.
    pub expired: Vec<PinId>,
}

/// Lists and reads the pins.
///
/// # Errors
/// When the store fails.
pub(super) fn look(repository: &Repository, host: &Host, now: i64, events: &dyn Sink) -> Result<Pinned, Error> {
    let pins = repository.pins()?;
    let there: BTreeSet<PinId> = pins.iter().map(|pin| pin.id).collect();
    let since = host.state().known_pins(&repository.id(), &there, now, events);
    let mut pinned = Pinned::default();
    for pin in pins {
        if since.get(&pin.id).is_some_and(|since| since.saturating_add(EXPIRES) <= now) {
            pinned.expired.push(pin.id);
        } else {
            pinned.behind = Some(pinned.behind.map_or(pin.position, |before| before.min(pin.position)));
        }
    }
    Ok(pinned)
}

/// Removes pins that count no more. That one stays does no harm.
pub(super) fn remove(repository: &Repository, expired: &[PinId], events: &dyn Sink) {
    for pin in expired {
        if let Err(error) = repository.unpin(pin) {
            events.emit(Event::Message(Level::Debug, format!("a reader's old pin stays: {error}")));
        }
    }
}
