//! How the state database is opened: schema and migrations, what happens to a damaged one, and the stand-in in memory.

use super::super::Error;
use super::warn;
use crate::event::Sink;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior, params_from_iter, types::Value};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

/// How long to wait for another process's transaction; ours take milliseconds.
const BUSY: Duration = Duration::from_secs(10);

/// Each brings the schema from its position in this list to the next; `user_version` counts those done. Never edited,
/// only added to. Numbers of chains are eight big-endian bytes: SQLite's own have a sign.
const MIGRATIONS: [&str; 6] = [
    "
    CREATE TABLE log_heads (repository BLOB PRIMARY KEY, number BLOB NOT NULL, hash BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE writer_heads (repository BLOB, writer BLOB, number BLOB NOT NULL, hash BLOB NOT NULL,
        PRIMARY KEY (repository, writer)) WITHOUT ROWID;
    CREATE TABLE snapshot_numbers (repository BLOB, snapshot BLOB, number INTEGER NOT NULL,
        PRIMARY KEY (repository, snapshot), UNIQUE (repository, number)) WITHOUT ROWID;
    CREATE TABLE installations (repository BLOB, principal BLOB, writer BLOB NOT NULL,
        PRIMARY KEY (repository, principal)) WITHOUT ROWID;
",
    "
    CREATE TABLE scrubs (repository BLOB PRIMARY KEY, rounds INTEGER NOT NULL) WITHOUT ROWID;
",
    "
    CREATE TABLE open_sessions (repository BLOB, writer BLOB, seq BLOB, beat BLOB NOT NULL, open_since INTEGER NOT NULL,
        silent_since INTEGER NOT NULL, PRIMARY KEY (repository, writer, seq)) WITHOUT ROWID;
",
    "
    CREATE TABLE pins (repository BLOB, pin BLOB, seen INTEGER NOT NULL, PRIMARY KEY (repository, pin)) WITHOUT ROWID;
",
    "
    CREATE TABLE given_up (repository BLOB, writer BLOB, seq BLOB, PRIMARY KEY (repository, writer, seq)) WITHOUT ROWID;
",
    "
    CREATE TABLE marks (repository BLOB, pack BLOB, mark TEXT NOT NULL, PRIMARY KEY (repository, pack)) WITHOUT ROWID;
",
];

const TABLES: [&str; 9] = [
    "log_heads",
    "writer_heads",
    "snapshot_numbers",
    "installations",
    "scrubs",
    "open_sessions",
    "pins",
    "given_up",
    "marks",
];

/// Opens the database at `path`, whatever state it is in.
///
/// # Errors
/// When it can be neither used nor moved aside nor copied.
pub(super) fn open(path: &Path, sink: &dyn Sink) -> Result<Connection, Error> {
    // Held while we look and perhaps move: else a second process could move away what the first has just begun anew.
    let _lock = lock(path);
    let error = match open_sound(path) {
        Ok(connection) => return Ok(connection),
        Err(error) => error,
    };
    if is_damage(&error) {
        let aside = move_aside(path)?;
        warn(sink, format!("{error}; moved to {} and begun anew", aside.display()));
        return open_sound(path);
    }
    let copy = read_only(path).map(|connection| copy_in_memory(&connection));
    warn(sink, format!("{error}; what this run learns will not be remembered"));
    Ok(copy.unwrap_or_else(in_memory))
}

/// An empty database that ends with the process.
pub(super) fn in_memory() -> Connection {
    let mut connection = Connection::open_in_memory().expect("SQLite opens a database in memory");
    migrate(&mut connection, Path::new(":memory:")).expect("the schema fits an empty database");
    connection
}

/// A database in memory with all that can still be read from `connection`.
pub(super) fn copy_in_memory(connection: &Connection) -> Connection {
    let copy = in_memory();
    for table in TABLES {
        // What cannot be read is not remembered: the caller has warned of that.
        let _ = copy_table(connection, &copy, table);
    }
    copy
}

fn copy_table(from: &Connection, to: &Connection, table: &str) -> rusqlite::Result<()> {
    let mut select = from.prepare(&format!("SELECT * FROM {table}"))?;
    let columns = select.column_count();
    let mut insert = to.prepare(&format!("INSERT INTO {table} VALUES (?{})", ", ?".repeat(columns - 1)))?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let values = (0..columns).map(|column| row.get(column)).collect::<rusqlite::Result<Vec<Value>>>()?;
        insert.execute(params_from_iter(values))?;
    }
    Ok(())
}

fn lock(path: &Path) -> Option<File> {
    let path = path.with_extension("lock");
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path).ok()?;
    // Without it (a read-only folder, say) nothing is moved either.
    file.lock().ok().map(|()| file)
}

fn open_sound(path: &Path) -> Result<Connection, Error> {
    // SQLite itself would make a file that others may read.
    let made = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path);
    made.map_err(Error::io("open", path))?;
    let database = |source| Error::Database { path: path.to_owned(), source };
    let mut connection = Connection::open(path).map_err(database)?;
    connection.busy_timeout(BUSY).map_err(database)?;
    connection.pragma_update(None, "journal_mode", "WAL").map_err(database)?;
    connection.pragma_update(None, "synchronous", "FULL").map_err(database)?;
    let verdict: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(database)?;
    if verdict != "ok" {
        let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
        return Err(database(rusqlite::Error::SqliteFailure(code, Some(verdict))));
    }
    migrate(&mut connection, path)?;
    Ok(connection)
}

fn migrate(connection: &mut Connection, path: &Path) -> Result<(), Error> {
    let database = |source| Error::Database { path: path.to_owned(), source };
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(database)?;
    let version: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(database)?;
    let done = usize::try_from(version).ok().filter(|done| *done <= MIGRATIONS.len());
    let Some(done) = done else { return Err(Error::NewerSchema { path: path.to_owned(), version }) };
    for migration in &MIGRATIONS[done..] {
        transaction.execute_batch(migration).map_err(database)?;
    }
    transaction.pragma_update(None, "user_version", MIGRATIONS.len() as i64).map_err(database)?;
    transaction.commit().map_err(database)
}

fn is_damage(error: &Error) -> bool {
    let Error::Database { source, .. } = error else { return false };
    matches!(source.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

fn move_aside(path: &Path) -> Result<PathBuf, Error> {
    let seconds = crate::system::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let named = |path: &Path, suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    let aside = named(path, &format!(".damaged-{seconds}"));
    for suffix in ["", "-wal", "-shm"] {
        let from = named(path, suffix);
        match std::fs::rename(&from, named(&aside, suffix)) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            renamed => renamed.map_err(Error::io("move aside", &from))?,
        }
    }
    Ok(aside)
}

/// The database as it stands on something that cannot be written to.
fn read_only(path: &Path) -> Option<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    let readable = |connection: &Connection| connection.query_row("SELECT count(*) FROM installations", [], |_| Ok(()));
    let plain = Connection::open_with_flags(path, flags).ok().filter(|connection| readable(connection).is_ok());
    // In a folder that cannot be written to, a database in WAL mode opens as "immutable" only.
    plain.or_else(|| {
        let escaped: String = path.to_str()?.chars().map(escape).collect();
        let uri = format!("file:{escaped}?immutable=1");
        Connection::open_with_flags(uri, flags).ok().filter(|connection| readable(connection).is_ok())
    })
}

fn escape(character: char) -> String {
    match character {
        '%' | '?' | '#' => format!("%{:02x}", u32::from(character)),
        other => other.to_string(),
    }
}
