//! The state database: which heads of a repository this host has seen, the numbers it gave to snapshots, and which
//! writer it is.
//!
//! Never stands in the way: a damaged database is moved aside and begun anew, one that cannot be written (full disk,
//! read-only folder, newer version) is carried on in memory; both with a warning. Every method therefore has an answer.

mod marks;
mod pins;
mod schema;
mod sessions;

pub use sessions::Silence;

use super::{Error, make_private};
use crate::crypto::{hash, secret::random};
use crate::event::{Event, Level, Sink};
use crate::repo::id::{PrincipalId, RepositoryId, SnapshotId, WriterId};
use crate::repo::wire::Encoder;
use rusqlite::{Connection, OptionalExtension as _, params};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A position in a chain, and the hash of what stands there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Number in the chain.
    pub number: u64,
    /// Hash of the log entry, or of the snapshot record.
    pub hash: [u8; 32],
}

/// What this host has seen of a repository. A store that shows less was rolled back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// The newest log entry.
    pub log: Option<Head>,
    /// Each writer's newest record.
    pub writers: BTreeMap<WriterId, Head>,
}

/// The database of one host's state.
pub struct StateDb {
    path: PathBuf,
    connection: Mutex<Connection>,
}

impl StateDb {
    /// Opens the database in the folder `state`, which is made if it is missing.
    pub fn open(state: &Path, sink: &dyn Sink) -> Self {
        let path = state.join("state.db");
        let opened = make_private(state).and_then(|()| schema::open(&path, sink));
        let connection = opened.unwrap_or_else(|error| {
            warn(sink, format!("{error}; this run remembers nothing"));
            schema::in_memory()
        });
        Self { path, connection: Mutex::new(connection) }
    }

    /// What this host has seen of a repository.
    pub fn known(&self, repository: &RepositoryId, sink: &dyn Sink) -> Known {
        self.with(sink, |connection| {
            let log = connection
                .query_row(
                    "SELECT number, hash FROM log_heads WHERE repository = ?1",
                    [&repository.0[..]],
                    head_at::<0>,
                )
                .optional()?;
            let mut writers =
                connection.prepare("SELECT writer, number, hash FROM writer_heads WHERE repository = ?1")?;
            let writers = writers
                .query_map([&repository.0[..]], |row| Ok((WriterId(row.get::<_, [u8; 16]>(0)?), head_at::<1>(row)?)))?;
            Ok(Known { log, writers: writers.collect::<Result<_, _>>()? })
        })
    }

    /// Remembers heads that were verified. Only ever forward: of two heads the one with the higher number stays, of two with
    /// the same number the one that was there first.
    pub fn remember(&self, repository: &RepositoryId, seen: &Known, sink: &dyn Sink) {
        self.with(sink, |connection| {
            let transaction = connection.transaction()?;
            if let Some(head) = seen.log {
                transaction.execute(
                    "INSERT INTO log_heads (repository, number, hash) VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE
                     SET number = excluded.number, hash = excluded.hash WHERE excluded.number > number",
                    params![repository.0, head.number.to_be_bytes(), head.hash],
                )?;
            }
            for (writer, head) in &seen.writers {
                transaction.execute(
                    "INSERT INTO writer_heads (repository, writer, number, hash) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE
                     SET number = excluded.number, hash = excluded.hash WHERE excluded.number > number",
                    params![repository.0, writer.0, head.number.to_be_bytes(), head.hash],
                )?;
            }
            transaction.commit()
        });
    }

    /// Forgets all heads of a repository: after a person has accepted that it was rolled back.
    pub fn forget_heads(&self, repository: &RepositoryId, sink: &dyn Sink) {
        self.with(sink, |connection| {
            let transaction = connection.transaction()?;
            transaction.execute("DELETE FROM log_heads WHERE repository = ?1", [&repository.0[..]])?;
            transaction.execute("DELETE FROM writer_heads WHERE repository = ?1", [&repository.0[..]])?;
            transaction.execute("DELETE FROM given_up WHERE repository = ?1", [&repository.0[..]])?;
            transaction.commit()
        });
    }

    /// How many rounds of scrubbing a repository's packs this host has finished.
    pub fn scrub_round(&self, repository: &RepositoryId, sink: &dyn Sink) -> u64 {
        let rounds = self.with(sink, |connection| {
            let mut find = connection.prepare("SELECT rounds FROM scrubs WHERE repository = ?1")?;
            find.query_row([&repository.0[..]], |row| row.get::<_, i64>(0)).optional()
        });
        rounds.map_or(0, i64::cast_unsigned)
    }

    /// Remembers that this host has finished the round `round`: the next is another.
    pub fn scrubbed(&self, repository: &RepositoryId, round: u64, sink: &dyn Sink) {
        self.with(sink, |connection| {
            connection.execute(
                "INSERT INTO scrubs (repository, rounds) VALUES (?1, ?2)
                 ON CONFLICT DO UPDATE SET rounds = max(rounds, excluded.rounds)",
                params![repository.0, round.wrapping_add(1).cast_signed()],
            )
        });
    }

    /// A snapshot's number on this host: given once, from 1 up, the same ever after. A mount's inode numbers begin with it.
    pub fn snapshot_number(&self, repository: &RepositoryId, snapshot: &SnapshotId, sink: &dyn Sink) -> u32 {
        self.snapshot_numbers(repository, std::slice::from_ref(snapshot), sink)[0]
    }

    /// As [`Self::snapshot_number`] for many at once, in the order given.
    pub fn snapshot_numbers(&self, repository: &RepositoryId, snapshots: &[SnapshotId], sink: &dyn Sink) -> Vec<u32> {
        self.with(sink, |connection| {
            // The write lock comes first, so that two processes never give one number to two snapshots.
            let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
            let numbers = {
                let mut find = transaction
                    .prepare("SELECT number FROM snapshot_numbers WHERE repository = ?1 AND snapshot = ?2")?;
                let mut give = transaction.prepare(
                    "INSERT INTO snapshot_numbers (repository, snapshot, number) VALUES (?1, ?2,
                     (SELECT coalesce(max(number), 0) + 1 FROM snapshot_numbers WHERE repository = ?1)) RETURNING number",
                )?;
                let mut number = |snapshot: &SnapshotId| {
                    let key = params![repository.0, snapshot.0];
                    match find.query_row(key, |row| row.get(0)).optional()? {
                        Some(number) => Ok(number),
                        None => give.query_row(key, |row| row.get(0)),
                    }
                };
                snapshots.iter().map(&mut number).collect::<Result<Vec<u32>, rusqlite::Error>>()?
            };
            transaction.commit()?;
            Ok(numbers)
        })
    }

    /// Which writer this host is for a principal: drawn at random when first asked for.
    ///
    /// `given` is what `BOVEDA_INSTALLATION` says, for hosts that keep no state: 32 hexadecimal digits are the id itself, any
    /// other text is hashed with repository and principal, an empty one says nothing. It is not stored.
    pub fn installation(
        &self,
        repository: &RepositoryId,
        principal: &PrincipalId,
        given: Option<&str>,
        sink: &dyn Sink,
    ) -> WriterId {
        if let Some(text) = given.filter(|text| !text.is_empty()) {
            return WriterId::from_hex(text).unwrap_or_else(|| hashed_installation(text, repository, principal));
        }
        let fresh = WriterId(random());
        self.with(sink, |connection| {
            connection.execute(
                "INSERT INTO installations (repository, principal, writer) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
                params![repository.0, principal.0, fresh.0],
            )?;
            connection.query_row(
                "SELECT writer FROM installations WHERE repository = ?1 AND principal = ?2",
                params![repository.0, principal.0],
                |row| row.get(0).map(WriterId),
            )
        })
    }

    /// Makes this host a new writer for a principal: its old name is also used by a clone of it.
    pub fn renew_installation(&self, repository: &RepositoryId, principal: &PrincipalId, sink: &dyn Sink) -> WriterId {
        let fresh = WriterId(random());
        self.with(sink, |connection| {
            connection.execute(
                "INSERT INTO installations (repository, principal, writer) VALUES (?1, ?2, ?3)
                 ON CONFLICT DO UPDATE SET writer = excluded.writer",
                params![repository.0, principal.0, fresh.0],
            )
        });
        fresh
    }

    /// Does `work`; when that fails, does it again on a copy in memory, or at last on an empty database in memory.
    fn with<T>(&self, sink: &dyn Sink, work: impl Fn(&mut Connection) -> rusqlite::Result<T>) -> T {
        let mut connection = self.lock();
        let source = match work(&mut connection) {
            Ok(done) => return done,
            Err(source) => source,
        };
        let error = Error::Database { path: self.path.clone(), source };
        warn(sink, format!("{error}; what this run learns will not be remembered"));
        *connection = schema::copy_in_memory(&connection);
        work(&mut connection)
            .or_else(|_| {
                *connection = schema::in_memory();
                work(&mut connection)
            })
            .expect("an empty database in memory takes every row")
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        // Unfinished transactions were rolled back when the panicking thread dropped them.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn head_at<const COLUMN: usize>(row: &rusqlite::Row<'_>) -> rusqlite::Result<Head> {
    Ok(Head { number: u64::from_be_bytes(row.get(COLUMN)?), hash: row.get(COLUMN + 1)? })
}

fn hashed_installation(text: &str, repository: &RepositoryId, principal: &PrincipalId) -> WriterId {
    let mut encoder = Encoder::new();
    encoder.bytes(b"boveda installation").bytes(text.as_bytes()).raw(&repository.0).raw(&principal.0);
    let hash = hash::blake3(&encoder.into_bytes());
    WriterId(*hash.first_chunk().expect("BLAKE3 gives 32 bytes"))
}

fn warn(sink: &dyn Sink, text: String) {
    sink.emit(Event::Message(Level::Warning, text));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Silent;
    use std::os::unix::fs::PermissionsExt as _;
    use std::sync::Arc;

    const REPOSITORY: RepositoryId = RepositoryId([1; 32]);
    const PRINCIPAL: PrincipalId = PrincipalId([2; 16]);

    #[derive(Default)]
    struct Warnings(Mutex<Vec<String>>);

    impl Sink for Warnings {
        fn emit(&self, event: Event) {
            if let Event::Message(Level::Warning, text) = event {
                self.0.lock().unwrap().push(text);
            }
        }
    }

    fn head(number: u64, hash: u8) -> Head {
        Head { number, hash: [hash; 32] }
    }

    #[test]
    fn heads_only_move_forward_and_outlive_the_process() {
        let state = tempfile::tempdir().unwrap();
        let writer = WriterId([7; 16]);
        let seen = |log, record| Known { log: Some(log), writers: [(writer, record)].into() };
        let db = StateDb::open(state.path(), &Silent);
        assert_eq!(db.known(&REPOSITORY, &Silent), Known::default());
        db.remember(&REPOSITORY, &seen(head(5, 1), head(u64::MAX, 1)), &Silent);
        db.remember(&REPOSITORY, &seen(head(4, 2), head(9, 2)), &Silent);
        db.remember(&REPOSITORY, &seen(head(5, 3), head(u64::MAX, 3)), &Silent);
        let db = StateDb::open(state.path(), &Silent);
        assert_eq!(db.known(&REPOSITORY, &Silent), seen(head(5, 1), head(u64::MAX, 1)));
        db.remember(&REPOSITORY, &seen(head(300, 4), head(1, 4)), &Silent);
        assert_eq!(db.known(&REPOSITORY, &Silent).log, Some(head(300, 4)));
        assert_eq!(db.known(&RepositoryId([9; 32]), &Silent), Known::default());
        db.forget_heads(&REPOSITORY, &Silent);
        assert_eq!(db.known(&REPOSITORY, &Silent), Known::default());
    }

    #[test]
    fn snapshot_numbers_are_dense_and_stable_also_between_processes() {
        let state = tempfile::tempdir().unwrap();
        let snapshots: Vec<_> = (0..20).map(|n| SnapshotId([n; 32])).collect();
        let dbs: Vec<_> = (0..4).map(|_| Arc::new(StateDb::open(state.path(), &Silent))).collect();
        let answers: Vec<Vec<u32>> = std::thread::scope(|scope| {
            let ask = |db: &Arc<StateDb>| {
                let (db, snapshots) = (db.clone(), &snapshots);
                scope.spawn(move || snapshots.iter().map(|s| db.snapshot_number(&REPOSITORY, s, &Silent)).collect())
            };
            let threads: Vec<_> = dbs.iter().map(ask).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(answers.iter().all(|answer| *answer == answers[0]));
        let mut sorted = answers[0].clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (1..=20).collect::<Vec<u32>>());
        assert_eq!(dbs[0].snapshot_numbers(&REPOSITORY, &snapshots, &Silent), answers[0]);
        assert_eq!(dbs[0].snapshot_number(&RepositoryId([9; 32]), &snapshots[3], &Silent), 1);
    }

    #[test]
    fn a_host_stays_the_same_writer_until_told_otherwise() {
        let state = tempfile::tempdir().unwrap();
        let db = StateDb::open(state.path(), &Silent);
        let first = db.installation(&REPOSITORY, &PRINCIPAL, None, &Silent);
        let db = StateDb::open(state.path(), &Silent);
        assert_eq!(db.installation(&REPOSITORY, &PRINCIPAL, None, &Silent), first);
        assert_ne!(db.installation(&REPOSITORY, &PrincipalId([3; 16]), None, &Silent), first);
        let given = |text: &str| db.installation(&REPOSITORY, &PRINCIPAL, Some(text), &Silent);
        assert_eq!(given(&first.to_string()), first);
        assert_eq!(given("web-1"), given("web-1"));
        assert_ne!(given("web-1"), given("web-2"));
        assert_eq!(given(""), first);
        let renewed = db.renew_installation(&REPOSITORY, &PRINCIPAL, &Silent);
        assert_ne!(renewed, first);
        assert_eq!(db.installation(&REPOSITORY, &PRINCIPAL, None, &Silent), renewed);
    }

    #[test]
    fn rounds_of_scrubbing_are_counted_when_they_are_done() {
        let state = tempfile::tempdir().unwrap();
        let db = StateDb::open(state.path(), &Silent);
        assert_eq!(db.scrub_round(&REPOSITORY, &Silent), 0);
        db.scrubbed(&REPOSITORY, 0, &Silent);
        db.scrubbed(&REPOSITORY, 1, &Silent);
        // Another process may have been slower.
        db.scrubbed(&REPOSITORY, 0, &Silent);
        let db = StateDb::open(state.path(), &Silent);
        assert_eq!(db.scrub_round(&REPOSITORY, &Silent), 2);
        assert_eq!(db.scrub_round(&RepositoryId([9; 32]), &Silent), 0);
    }

    #[test]
    fn a_damaged_database_is_moved_aside_and_begun_anew() {
        let state = tempfile::tempdir().unwrap();
        let path = state.path().join("state.db");
        let before = StateDb::open(state.path(), &Silent).installation(&REPOSITORY, &PRINCIPAL, None, &Silent);
        std::fs::write(&path, vec![0x55; 20_000]).unwrap();
        let warnings = Warnings::default();
        let db = StateDb::open(state.path(), &warnings);
        let after = db.installation(&REPOSITORY, &PRINCIPAL, None, &warnings);
        assert_ne!(before, after);
        assert_eq!(warnings.0.lock().unwrap().len(), 1);
        assert!(
            std::fs::read_dir(state.path())
                .unwrap()
                .any(|entry| { entry.unwrap().file_name().to_str().unwrap().starts_with("state.db.damaged-") })
        );
        assert_eq!(StateDb::open(state.path(), &Silent).installation(&REPOSITORY, &PRINCIPAL, None, &Silent), after);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_newer_database_is_left_alone_but_read() {
        let state = tempfile::tempdir().unwrap();
        let before = StateDb::open(state.path(), &Silent).installation(&REPOSITORY, &PRINCIPAL, None, &Silent);
        Connection::open(state.path().join("state.db")).unwrap().pragma_update(None, "user_version", 99).unwrap();
        let warnings = Warnings::default();
        let db = StateDb::open(state.path(), &warnings);
        assert_eq!(db.installation(&REPOSITORY, &PRINCIPAL, None, &warnings), before);
        assert!(warnings.0.lock().unwrap()[0].contains("newer"));
    }

    #[test]
    fn without_a_place_to_write_everything_still_answers() {
        let state = tempfile::tempdir().unwrap();
        let blocked = state.path().join("file/below");
        std::fs::write(state.path().join("file"), b"").unwrap();
        let warnings = Warnings::default();
        let db = StateDb::open(&blocked, &warnings);
        let writer = db.installation(&REPOSITORY, &PRINCIPAL, None, &warnings);
        assert_eq!(db.installation(&REPOSITORY, &PRINCIPAL, None, &warnings), writer);
        assert_eq!(warnings.0.lock().unwrap().len(), 1);
    }

    #[test]
    fn a_database_that_fails_later_is_carried_on_in_memory() {
        let state = tempfile::tempdir().unwrap();
        let db = StateDb::open(state.path(), &Silent);
        let writer = db.installation(&REPOSITORY, &PRINCIPAL, None, &Silent);
        db.lock().pragma_update(None, "query_only", true).unwrap();
        let warnings = Warnings::default();
        db.remember(&REPOSITORY, &Known { log: Some(head(1, 1)), ..Known::default() }, &warnings);
        assert_eq!(warnings.0.lock().unwrap().len(), 1);
        assert_eq!(db.known(&REPOSITORY, &warnings).log, Some(head(1, 1)));
        assert_eq!(db.installation(&REPOSITORY, &PRINCIPAL, None, &warnings), writer);
        assert_eq!(warnings.0.lock().unwrap().len(), 1);
    }
}
