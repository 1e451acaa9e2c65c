//! Since when a host has seen sessions open, and since when it has heard nothing of them: a prune ends those that are dead, and goes
//! by no other clock than its own.

use super::StateDb;
use crate::event::Sink;
use crate::repo::id::{RepositoryId, WriterId};
use crate::repo::names::SessionName;
use rusqlite::params;
use std::collections::{BTreeMap, BTreeSet};

/// What a host knows of an open session; in seconds since 1970 by its own clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Silence {
    /// When it saw the session first.
    pub open_since: i64,
    /// When it first saw the newest sign of life.
    pub silent_since: i64,
}

impl StateDb {
    /// Remembers which sessions of a repository are open `now`, with their newest heartbeats, and forgets all others. Returns since when
    /// each of them is known.
    pub fn open_sessions(
        &self,
        repository: &RepositoryId,
        open: &BTreeMap<SessionName, Option<u64>>,
        now: i64,
        sink: &dyn Sink,
    ) -> BTreeMap<SessionName, Silence> {
        self.with(sink, |connection| {
            let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
            let mut known = BTreeMap::new();
            {
                let mut select = transaction.prepare(
                    "SELECT writer, seq, beat, open_since, silent_since FROM open_sessions WHERE repository = ?1",
                )?;
                let mut rows = select.query([&repository.0[..]])?;
                while let Some(row) = rows.next()? {
                    let (writer, seq) = (WriterId(row.get(0)?), u64::from_be_bytes(row.get(1)?));
                    let seen = Silence { open_since: row.get(3)?, silent_since: row.get(4)? };
                    known.insert(SessionName { writer, seq }, (row.get::<_, Vec<u8>>(2)?, seen));
                }
            }
            transaction.execute("DELETE FROM open_sessions WHERE repository = ?1", [&repository.0[..]])?;
            let mut seen = BTreeMap::new();
            for (session, beat) in open {
                let beat = beat.map_or(Vec::new(), |beat| beat.to_be_bytes().to_vec());
                let silence = match known.get(session) {
                    Some((heard, silence)) if *heard == beat => *silence,
                    Some((_, silence)) => Silence { silent_since: now, ..*silence },
                    None => Silence { open_since: now, silent_since: now },
                };
                transaction.execute(
                    "INSERT INTO open_sessions (repository, writer, seq, beat, open_since, silent_since)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                    params![
                        repository.0,
                        session.writer.0,
                        session.seq.to_be_bytes(),
                        beat,
                        silence.open_since,
                        silence.silent_since
                    ],
                )?;
                seen.insert(*session, silence);
            }
            transaction.commit()?;
            Ok(seen)
        })
    }
}

impl StateDb {
    /// The sessions of a repository that this host knows to have been given up.
    pub fn given_up(&self, repository: &RepositoryId, sink: &dyn Sink) -> BTreeSet<SessionName> {
        self.with(sink, |connection| {
            let mut select = connection.prepare("SELECT writer, seq FROM given_up WHERE repository = ?1")?;
            let session = |row: &rusqlite::Row<'_>| {
                Ok(SessionName { writer: WriterId(row.get(0)?), seq: u64::from_be_bytes(row.get(1)?) })
            };
            let sessions = select.query_map([&repository.0[..]], session)?;
            sessions.collect()
        })
    }

    /// Forgets the heads of these writers, which the log gave up with these sessions: what they lose from now on is another matter.
    pub fn take_given_up(
        &self,
        repository: &RepositoryId,
        writers: &BTreeSet<WriterId>,
        sessions: &BTreeSet<SessionName>,
        sink: &dyn Sink,
    ) {
        self.with(sink, |connection| {
            let transaction = connection.transaction()?;
            for writer in writers {
                let row = params![repository.0, writer.0];
                transaction.execute("DELETE FROM writer_heads WHERE repository = ?1 AND writer = ?2", row)?;
            }
            for session in sessions {
                let row = params![repository.0, session.writer.0, session.seq.to_be_bytes()];
                let insert =
                    "INSERT INTO given_up (repository, writer, seq) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
                transaction.execute(insert, row)?;
            }
            transaction.commit()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Silent;

    const REPOSITORY: RepositoryId = RepositoryId([1; 32]);

    #[test]
    fn sessions_are_known_by_their_newest_signs_of_life() {
        let state = tempfile::tempdir().unwrap();
        let session = |seq| SessionName { writer: WriterId([7; 16]), seq };
        let see = |open: &[(u64, Option<u64>)], now| {
            let db = StateDb::open(state.path(), &Silent);
            let open = open.iter().map(|(seq, beat)| (session(*seq), *beat)).collect();
            db.open_sessions(&REPOSITORY, &open, now, &Silent)
        };
        let since = |open_since, silent_since| Silence { open_since, silent_since };
        assert_eq!(see(&[(1, None), (u64::MAX, Some(1))], 100)[&session(1)], since(100, 100));
        let later = see(&[(1, None), (u64::MAX, Some(2))], 200);
        assert_eq!((later[&session(1)], later[&session(u64::MAX)]), (since(100, 100), since(100, 200)));
        // What has ended is forgotten, and another repository is another.
        assert_eq!(see(&[], 300).len(), 0);
        assert_eq!(see(&[(1, None)], 400)[&session(1)], since(400, 400));
        let db = StateDb::open(state.path(), &Silent);
        assert_eq!(db.open_sessions(&RepositoryId([2; 32]), &BTreeMap::new(), 500, &Silent).len(), 0);
        assert_eq!(see(&[(1, None)], 600)[&session(1)], since(400, 400));
    }
}
