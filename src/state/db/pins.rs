//! Since when a host has seen the pins of readers: a prune goes by no other clock than its own in telling which are those of the dead.

use super::StateDb;
use crate::event::Sink;
use crate::repo::id::{PinId, RepositoryId};
use rusqlite::params;
use std::collections::{BTreeMap, BTreeSet};

impl StateDb {
    /// Remembers which pins of a repository are there `now`, in seconds since 1970, and forgets all others. Returns since when each of
    /// them is known.
    pub fn known_pins(
        &self,
        repository: &RepositoryId,
        there: &BTreeSet<PinId>,
        now: i64,
        sink: &dyn Sink,
    ) -> BTreeMap<PinId, i64> {
        self.with(sink, |connection| {
            let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
            let mut known = BTreeMap::new();
            {
                let mut select = transaction.prepare("SELECT pin, seen FROM pins WHERE repository = ?1")?;
                let mut rows = select.query([&repository.0[..]])?;
                while let Some(row) = rows.next()? {
                    known.insert(PinId(row.get(0)?), row.get::<_, i64>(1)?);
                }
            }
            transaction.execute("DELETE FROM pins WHERE repository = ?1", [&repository.0[..]])?;
            let mut seen = BTreeMap::new();
            for pin in there {
                let since = known.get(pin).copied().unwrap_or(now);
                let row = params![repository.0, pin.0, since];
                transaction.execute("INSERT INTO pins (repository, pin, seen) VALUES (?1, ?2, ?3)", row)?;
                seen.insert(*pin, since);
            }
            transaction.commit()?;
            Ok(seen)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Silent;

    #[test]
    fn pins_are_known_since_they_were_seen_first() {
        let state = tempfile::tempdir().unwrap();
        let see = |repository, pins: &[u8], now| {
            let db = StateDb::open(state.path(), &Silent);
            let there = pins.iter().map(|pin| PinId([*pin; 16])).collect();
            let known = db.known_pins(&RepositoryId([repository; 32]), &there, now, &Silent);
            known.into_iter().map(|(pin, since)| (pin.0[0], since)).collect::<Vec<_>>()
        };
        assert_eq!(see(1, &[1, 2], 100), [(1, 100), (2, 100)]);
        assert_eq!(see(2, &[1], 150), [(1, 150)], "another repository is another");
        assert_eq!(see(1, &[2, 3], 200), [(2, 100), (3, 200)]);
        assert_eq!(see(1, &[1], 300), [(1, 300)], "what has gone is forgotten");
    }
}
