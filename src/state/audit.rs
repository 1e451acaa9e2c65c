//! The access log: who looked into mounted snapshots, in an SQLite database of its own, which never grows beyond a bound.
//!
//! Looks of one minute that differ in their path alone are one row, also when they are written in several goes; denials are a row each.
//! When there are too many rows, the oldest go. Not here: what is noted (`mount`).

use super::{Error, make_private};
use crate::event::{Access, Event, Level, Operation, Sink};
use rusqlite::{Connection, ErrorCode, OptionalExtension as _, Row, Transaction, params};
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Paths that are kept of one row.
pub const PATHS: usize = 16;
/// Bytes of paths that are kept of one row; the first path counts up to here.
const PATH_BYTES: usize = 4096;
/// Rows that are kept.
const ROWS: i64 = 100_000;
/// Bytes that the database may use before the oldest tenth goes.
const BYTES: i64 = 64 << 20;
/// How long to wait for another process; ours take milliseconds.
const BUSY: Duration = Duration::from_secs(5);
/// A newer version makes another database.
const VERSION: i64 = 1;

const SCHEMA: &str = "
    CREATE TABLE accesses (id INTEGER PRIMARY KEY, time INTEGER NOT NULL, uid INTEGER NOT NULL, gid INTEGER NOT NULL,
        pid INTEGER NOT NULL, program BLOB NOT NULL, mountpoint BLOB NOT NULL, snapshot BLOB NOT NULL, operation INTEGER NOT NULL,
        allowed INTEGER NOT NULL, count INTEGER NOT NULL, paths BLOB NOT NULL);
    CREATE UNIQUE INDEX accesses_of_a_minute ON accesses (time, uid, program, mountpoint, snapshot, operation) WHERE allowed = 1;
    CREATE INDEX accesses_by_time ON accesses (time);
";

/// The log, open for writing.
pub struct AuditLog {
    path: PathBuf,
    connection: Connection,
    rows: i64,
}

impl AuditLog {
    /// Opens the log in the folder `state`; both are made if they are missing. A damaged one is moved aside and begun anew.
    ///
    /// # Errors
    /// When it cannot be opened, or is of a version to come.
    pub fn open(state: &Path, sink: &dyn Sink) -> Result<Self, Error> {
        make_private(state)?;
        let path = place(state);
        let connection = match open(&path) {
            Err(error) if is_damage(&error) => {
                let aside = move_aside(&path)?;
                let text = format!("{error}; moved to {} and begun anew", aside.display());
                sink.emit(Event::Message(Level::Warning, text));
                open(&path)?
            }
            opened => opened?,
        };
        Ok(Self { path, connection, rows: ROWS })
    }

    /// Writes down what happened.
    ///
    /// # Errors
    /// When the database fails; then nothing of it was written.
    pub fn write(&mut self, accesses: &[Access]) -> Result<(), Error> {
        let rows = self.rows;
        let result = (|| {
            let transaction = self.connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
            accesses.iter().try_for_each(|access| add(&transaction, access))?;
            bound(&transaction, rows)?;
            transaction.commit()
        })();
        result.map_err(|source| Error::Database { path: self.path.clone(), source })
    }
}

/// Which rows are asked for.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// From this second since 1970 on.
    pub since: Option<i64>,
    /// Up to this one, itself included.
    pub until: Option<i64>,
    /// Denials only.
    pub denied: bool,
    /// Of this user only.
    pub uid: Option<u32>,
    /// The newest so many.
    pub last: Option<u32>,
}

/// What the log in the folder `state` says, oldest first; nothing when there is none.
///
/// # Errors
/// When it cannot be read.
pub fn read(state: &Path, wanted: &Wanted) -> Result<Vec<Access>, Error> {
    let path = place(state);
    match path.try_exists() {
        Ok(false) => return Ok(Vec::new()),
        Err(error) => return Err(Error::io("look for", &path)(error)),
        Ok(true) => {}
    }
    let connection = open(&path)?;
    let select = || {
        let mut select = connection.prepare(
            "SELECT time, uid, gid, pid, program, mountpoint, snapshot, operation, allowed, count, paths FROM accesses
             WHERE time BETWEEN ?1 AND ?2 AND (allowed = 0 OR ?3 = 0) AND (?4 IS NULL OR uid = ?4)
             ORDER BY time DESC, id DESC LIMIT ?5",
        )?;
        let last = wanted.last.map_or(-1, i64::from);
        let (since, until) = (wanted.since.unwrap_or(i64::MIN), wanted.until.unwrap_or(i64::MAX));
        let rows = select.query_map(params![since, until, wanted.denied, wanted.uid, last], access)?;
        rows.collect::<rusqlite::Result<Vec<_>>>()
    };
    let mut accesses = select().map_err(|source| Error::Database { path, source })?;
    accesses.reverse();
    Ok(accesses)
}

fn place(state: &Path) -> PathBuf {
    state.join("audit.db")
}

fn open(path: &Path) -> Result<Connection, Error> {
    // SQLite itself would make a file that others may read.
    let made = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path);
    made.map_err(Error::io("open", path))?;
    let database = |source| Error::Database { path: path.to_owned(), source };
    let mut connection = Connection::open(path).map_err(database)?;
    let version = (|| {
        connection.busy_timeout(BUSY)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        // A crash of the machine may cost the last seconds, and no more.
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let version: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if version == 0 {
            transaction.execute_batch(SCHEMA)?;
            transaction.pragma_update(None, "user_version", VERSION)?;
        }
        transaction.commit()?;
        Ok(version)
    })()
    .map_err(database)?;
    if version > VERSION {
        return Err(Error::NewerSchema { path: path.to_owned(), version });
    }
    Ok(connection)
}

fn is_damage(error: &Error) -> bool {
    let Error::Database { source, .. } = error else { return false };
    matches!(source.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

/// Puts a damaged database, with what SQLite keeps beside it, out of the way. One that was put there before is replaced.
fn move_aside(path: &Path) -> Result<PathBuf, Error> {
    let named = |suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    for suffix in ["", "-wal", "-shm"] {
        let from = named(suffix);
        match std::fs::rename(&from, named(&format!("{suffix}.damaged"))) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            renamed => renamed.map_err(Error::io("move aside", &from))?,
        }
    }
    Ok(named(".damaged"))
}

fn add(transaction: &Transaction<'_>, access: &Access) -> rusqlite::Result<()> {
    let operation = match access.operation {
        Operation::Read => 0,
        Operation::List => 1,
    };
    let snapshot = access.snapshot.map_or(Vec::new(), |id| id.to_vec());
    let count = i64::try_from(access.count).unwrap_or(i64::MAX);
    if access.allowed {
        let mut find = transaction.prepare_cached(
            "SELECT id, count, paths FROM accesses WHERE time = ?1 AND uid = ?2 AND program = ?3 AND mountpoint = ?4
             AND snapshot = ?5 AND operation = ?6 AND allowed = 1",
        )?;
        let key = params![access.time, access.uid, access.program, access.mountpoint, snapshot, operation];
        let known = find.query_row(key, |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get(2)?)));
        if let Some((id, before, paths)) = known.optional()? {
            let mut paths = split(paths);
            paths.extend(access.paths.iter().cloned());
            let mut update = transaction.prepare_cached("UPDATE accesses SET count = ?2, paths = ?3 WHERE id = ?1")?;
            return update.execute(params![id, before.saturating_add(count), join(&paths)]).map(drop);
        }
    }
    let mut insert = transaction.prepare_cached(
        "INSERT INTO accesses (time, uid, gid, pid, program, mountpoint, snapshot, operation, allowed, count, paths)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    )?;
    let row = params![
        access.time,
        access.uid,
        access.gid,
        access.pid,
        access.program,
        access.mountpoint,
        snapshot,
        operation,
        access.allowed,
        count,
        join(&access.paths)
    ];
    insert.execute(row).map(drop)
}

/// Lets the oldest rows go when there are too many, or they are too large.
fn bound(transaction: &Transaction<'_>, rows: i64) -> rusqlite::Result<()> {
    transaction.execute("DELETE FROM accesses WHERE id <= (SELECT max(id) FROM accesses) - ?1", [rows])?;
    let pragma = |name| transaction.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let used = (pragma("page_count")? - pragma("freelist_count")?) * pragma("page_size")?;
    if used > BYTES {
        transaction.execute(
            "DELETE FROM accesses WHERE id <= (SELECT min(id) + (max(id) - min(id)) / 10 FROM accesses)",
            [],
        )?;
    }
    Ok(())
}

/// Paths with a NUL between them, which no path has; as many as are kept.
fn join(paths: &[Vec<u8>]) -> Vec<u8> {
    let mut joined: Vec<u8> = Vec::new();
    for (at, path) in paths.iter().take(PATHS).enumerate() {
        if at == 0 {
            joined.extend_from_slice(&path[..path.len().min(PATH_BYTES)]);
        } else if joined.len() + 1 + path.len() <= PATH_BYTES {
            joined.push(0);
            joined.extend_from_slice(path);
        }
    }
    joined
}

fn split(joined: Vec<u8>) -> Vec<Vec<u8>> {
    if joined.is_empty() { Vec::new() } else { joined.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect() }
}

fn access(row: &Row<'_>) -> rusqlite::Result<Access> {
    Ok(Access {
        time: row.get(0)?,
        uid: row.get(1)?,
        gid: row.get(2)?,
        pid: row.get(3)?,
        program: row.get(4)?,
        mountpoint: row.get(5)?,
        snapshot: row.get::<_, Vec<u8>>(6)?.try_into().ok(),
        operation: if row.get::<_, i64>(7)? == 0 { Operation::Read } else { Operation::List },
        allowed: row.get(8)?,
        count: row.get::<_, i64>(9)?.cast_unsigned(),
        paths: split(row.get(10)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Silent;
    use std::os::unix::fs::PermissionsExt as _;

    fn access(time: i64, path: &str, allowed: bool) -> Access {
        Access {
            time,
            uid: 1000,
            gid: 1000,
            pid: 7,
            program: b"/usr/bin/cat".to_vec(),
            mountpoint: b"/mnt".to_vec(),
            snapshot: Some([3; 32]),
            operation: Operation::Read,
            allowed,
            count: 1,
            paths: vec![path.as_bytes().to_vec()],
        }
    }

    #[test]
    fn a_minute_is_one_row_and_a_denial_is_one_of_its_own() {
        let state = tempfile::tempdir().unwrap();
        assert_eq!(read(state.path(), &Wanted::default()).unwrap(), []);
        let mut log = AuditLog::open(&state.path().join("new"), &Silent).unwrap();
        log.write(&[access(60, "/a", true), access(61, "/d", false)]).unwrap();
        drop(log);
        let state = state.path().join("new");
        let mut log = AuditLog::open(&state, &Silent).unwrap();
        log.write(&[access(60, "/b", true), access(61, "/d", false), access(120, "/c", true)]).unwrap();
        let all = read(&state, &Wanted::default()).unwrap();
        let both = Access { count: 2, paths: vec![b"/a".to_vec(), b"/b".to_vec()], ..access(60, "", true) };
        assert_eq!(all, [both, access(61, "/d", false), access(61, "/d", false), access(120, "/c", true)]);
        let of = |wanted: Wanted| read(&state, &wanted).unwrap().len();
        assert_eq!(of(Wanted { denied: true, ..Wanted::default() }), 2);
        assert_eq!(of(Wanted { since: Some(61), until: Some(119), ..Wanted::default() }), 2);
        assert_eq!(of(Wanted { uid: Some(0), ..Wanted::default() }), 0);
        assert_eq!(read(&state, &Wanted { last: Some(1), ..Wanted::default() }).unwrap(), [access(120, "/c", true)]);
        assert_eq!(place(&state).metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn only_the_first_paths_are_kept_and_only_so_many_rows() {
        let state = tempfile::tempdir().unwrap();
        let mut log = AuditLog::open(state.path(), &Silent).unwrap();
        let paths = |count: usize| (0..count).map(|n| n.to_string().into_bytes()).collect::<Vec<_>>();
        log.write(&[Access { count: 40, paths: paths(40), ..access(60, "", true) }]).unwrap();
        log.write(&[access(60, &"x".repeat(10_000), true)]).unwrap();
        let all = read(state.path(), &Wanted::default()).unwrap();
        assert_eq!((all[0].count, &all[0].paths), (41, &paths(PATHS)));
        log.write(&[access(61, &"x".repeat(10_000), false)]).unwrap();
        assert_eq!(read(state.path(), &Wanted { denied: true, ..Wanted::default() }).unwrap()[0].paths[0].len(), 4096);
        log.rows = 10;
        for second in 0..50 {
            log.write(&[access(100 + second, "/a", false)]).unwrap();
        }
        let times: Vec<_> = read(state.path(), &Wanted::default()).unwrap().iter().map(|one| one.time).collect();
        assert_eq!(times, (140..150).collect::<Vec<_>>());
    }

    #[test]
    fn a_damaged_log_is_moved_aside_and_a_newer_one_left_alone() {
        let state = tempfile::tempdir().unwrap();
        drop(AuditLog::open(state.path(), &Silent).unwrap());
        std::fs::write(place(state.path()), vec![0x55; 20_000]).unwrap();
        assert!(read(state.path(), &Wanted::default()).is_err());
        AuditLog::open(state.path(), &Silent).unwrap().write(&[access(60, "/a", true)]).unwrap();
        assert_eq!(read(state.path(), &Wanted::default()).unwrap().len(), 1);
        assert!(state.path().join("audit.db.damaged").exists());
        Connection::open(place(state.path())).unwrap().pragma_update(None, "user_version", 99).unwrap();
        assert!(matches!(AuditLog::open(state.path(), &Silent), Err(Error::NewerSchema { .. })));
    }
}
