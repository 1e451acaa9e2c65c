//! A folder behind ssh: the [`Disk`] of a local store whose system calls are SFTP requests.
//!
//! So all that the local store guarantees holds there as well, as far as the server does what it says: OpenSSH links, syncs files
//! and folders, and tells how much room is left. Nothing is tried again here; a dead connection is made anew by the next call.

mod connection;
mod wire;

use super::Error;
use super::access::Access;
use super::disk::{Disk, Stat};
use super::local::LocalStore;
use super::pace::Pace;
use super::remote_url::RemoteUrl;
use super::traffic::Traffic;
use connection::{Answer, Connection, Target, check, unexpected};
use crossbeam_channel::Receiver;
use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use wire::{Attributes, Packet, Parser, flag, kind};

/// Bytes of one read or write: what every server takes.
const PIECE: usize = 32 * 1024;
/// Reads and writes of one file that are under way at once.
const WINDOW: usize = 64;
/// Packs that are worth sending at once.
const IN_FLIGHT: usize = 4;
/// Bits of a mode that say what a file is.
const TYPE: u32 = 0o170_000;

/// A disk behind ssh.
pub struct SftpDisk {
    target: Target,
    place: String,
    connection: Mutex<Option<Arc<Connection>>>,
    upload: Option<Arc<Pace>>,
    download: Option<Arc<Pace>>,
    traffic: Arc<Traffic>,
}

/// A file open for writing.
pub struct RemoteFile {
    connection: Arc<Connection>,
    handle: Vec<u8>,
    length: u64,
}

/// The store in the folder that `url` names. Nothing is sent yet.
pub fn store(url: &RemoteUrl, access: &Access) -> LocalStore<SftpDisk> {
    LocalStore::on(SftpDisk::new(url, access), Path::new(&url.path))
}

/// The store in the folder that `url` names, made if it is not there.
///
/// # Errors
/// When it cannot be made.
pub fn create(url: &RemoteUrl, access: &Access) -> Result<LocalStore<SftpDisk>, Error> {
    LocalStore::create_on(SftpDisk::new(url, access), Path::new(&url.path))
}

impl SftpDisk {
    fn new(url: &RemoteUrl, access: &Access) -> Self {
        let target = Target {
            ssh: access.ssh.clone(),
            user: url.user.clone(),
            host: url.host.clone(),
            port: url.port,
            patience: access.stall,
        };
        let (upload, download) = (access.upload.clone(), access.download.clone());
        let traffic = Arc::clone(&access.traffic);
        Self { target, place: url.to_string(), connection: Mutex::default(), upload, download, traffic }
    }

    fn connection(&self) -> io::Result<Arc<Connection>> {
        let mut held = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(connection) = held.as_ref().filter(|connection| connection.alive().is_ok()) {
            return Ok(Arc::clone(connection));
        }
        *held = None;
        let made = Arc::new(Connection::open(&self.target)?);
        *held = Some(Arc::clone(&made));
        Ok(made)
    }

    fn ask(&self, connection: &Connection, kind: u8, build: impl FnOnce(Packet) -> Packet) -> io::Result<Answer> {
        self.traffic.request();
        connection.ask(kind, build)
    }

    /// A request about a path that is answered by a status.
    fn act(&self, kind: u8, path: &Path, build: impl FnOnce(Packet) -> Packet) -> io::Result<()> {
        let connection = self.connection()?;
        check(&self.ask(&connection, kind, |packet| build(packet.bytes(sent(path))))?)
    }

    /// A request of OpenSSH's about two paths.
    fn extended(&self, name: &str, from: &Path, to: &Path) -> io::Result<()> {
        let connection = self.connection()?;
        if !connection.extensions.contains(name) {
            return Err(io::ErrorKind::Unsupported.into());
        }
        check(&self.ask(&connection, kind::EXTENDED, |packet| {
            packet.bytes(name.as_bytes()).bytes(sent(from)).bytes(sent(to))
        })?)
    }

    fn open(&self, connection: &Connection, kind: u8, build: impl FnOnce(Packet) -> Packet) -> io::Result<Vec<u8>> {
        let answer = self.ask(connection, kind, build)?;
        match answer.0 {
            kind::HANDLE => Ok(Parser(&answer.1).bytes()?.to_vec()),
            _ => Err(check(&answer).err().unwrap_or_else(unexpected)),
        }
    }

    /// Closes without waiting for the answer, which changes nothing any more.
    fn close(connection: &Connection, handle: &[u8]) {
        let id = connection.id();
        // A connection that is dead has closed it already.
        drop(connection.send(id, Packet::new(kind::CLOSE, id).bytes(handle)));
    }

    fn sync_handle(&self, connection: &Connection, handle: &[u8]) -> io::Result<()> {
        const NAME: &str = "fsync@openssh.com";
        if !connection.extensions.contains(NAME) {
            // When such a server writes what it took is its own affair.
            return Ok(());
        }
        check(&self.ask(connection, kind::EXTENDED, |packet| packet.bytes(NAME.as_bytes()).bytes(handle))?)
    }

    fn attributes(&self, kind: u8, path: &Path) -> io::Result<Attributes> {
        let connection = self.connection()?;
        let answer = self.ask(&connection, kind, |packet| packet.bytes(sent(path)))?;
        match answer.0 {
            kind::ATTRS => Parser(&answer.1).attributes(),
            _ => Err(check(&answer).err().unwrap_or_else(unexpected)),
        }
    }

    /// Servers say only "failure" when a name is taken: whether it is, is asked for.
    fn taken(&self, outcome: io::Result<()>, path: &Path) -> io::Result<()> {
        match outcome {
            Err(error) if error.kind() == io::ErrorKind::Other && self.attributes(kind::LSTAT, path).is_ok() => {
                Err(io::ErrorKind::AlreadyExists.into())
            }
            outcome => outcome,
        }
    }

    /// … and when there is no room.
    fn full(&self, error: io::Error, path: &Path, bytes: usize) -> io::Error {
        const NAME: &str = "statvfs@openssh.com";
        if error.kind() != io::ErrorKind::Other {
            return error;
        }
        let free = self.connection().and_then(|connection| {
            let answer =
                self.ask(&connection, kind::EXTENDED, |packet| packet.bytes(NAME.as_bytes()).bytes(sent(path)))?;
            let mut parser = Parser(&answer.1);
            let (_, fragment, _, _, available) =
                (parser.u64()?, parser.u64()?, parser.u64()?, parser.u64()?, parser.u64()?);
            Ok(fragment.saturating_mul(available))
        });
        match free {
            Ok(free) if free < bytes as u64 + (1 << 20) => io::Error::new(io::ErrorKind::StorageFull, error),
            _ => error,
        }
    }

    fn read_pieces(&self, connection: &Connection, handle: &[u8], offset: u64, length: u64) -> io::Result<Vec<u8>> {
        let size = self.ask(connection, kind::FSTAT, |packet| packet.bytes(handle))?;
        let attributes = match size.0 {
            kind::ATTRS => Parser(&size.1).attributes()?,
            _ => return Err(check(&size).err().unwrap_or_else(unexpected)),
        };
        if attributes.mode.is_some_and(|mode| mode & TYPE == 0o040_000) {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        let left = attributes.size.ok_or_else(unexpected)?.saturating_sub(offset).min(length);
        let left = usize::try_from(left).map_err(|_| io::ErrorKind::OutOfMemory)?;
        let mut bytes = Vec::with_capacity(left);
        let mut under_way: VecDeque<(usize, Receiver<Answer>)> = VecDeque::new();
        let mut asked = 0;
        while bytes.len() < left {
            while asked < left && under_way.len() < WINDOW {
                let piece = PIECE.min(left - asked);
                let id = connection.id();
                self.traffic.request();
                let packet = Packet::new(kind::READ, id).bytes(handle).u64(offset + asked as u64);
                under_way.push_back((piece, connection.send(id, packet.u32(u32::try_from(piece).unwrap_or(0)))?));
                asked += piece;
            }
            let (piece, receiver) = under_way.pop_front().ok_or_else(unexpected)?;
            let answer = connection.receive(&receiver)?;
            let data = match answer.0 {
                kind::DATA => Parser(&answer.1).bytes()?,
                _ => return Err(check(&answer).err().unwrap_or_else(unexpected)),
            };
            self.traffic.down(data.len() as u64);
            if let Some(pace) = &self.download {
                pace.wait(data.len() as u64);
            }
            match data.len() {
                length if length == piece => bytes.extend_from_slice(data),
                // A server may give less than was asked for: what is under way lies behind a gap then.
                1.. if data.len() < piece => {
                    bytes.extend_from_slice(data);
                    asked = bytes.len();
                    under_way.clear();
                }
                _ => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
        Ok(bytes)
    }
}

/// A path as the server gets it.
fn sent(path: &Path) -> &[u8] {
    match path.as_os_str().as_bytes() {
        b"" => b".",
        bytes => bytes,
    }
}

fn stat_of(attributes: Attributes) -> Option<Stat> {
    let kind = attributes.mode? & TYPE;
    Some(Stat {
        directory: kind == 0o040_000,
        file: kind == 0o100_000,
        length: attributes.size?,
        // Never equal to another's: which file is which is not told.
        identity: (connection::nonce(), connection::nonce()),
        modified: SystemTime::UNIX_EPOCH + Duration::from_secs(u64::from(attributes.modified.unwrap_or(u32::MAX))),
    })
}

impl Disk for SftpDisk {
    type File = RemoteFile;

    fn create(&self, path: &Path) -> io::Result<RemoteFile> {
        let connection = self.connection()?;
        let opened = self.open(&connection, kind::OPEN, |packet| {
            packet.bytes(sent(path)).u32(flag::WRITE | flag::CREATE | flag::EXCLUSIVE).mode(Some(0o600))
        });
        match opened {
            Ok(handle) => Ok(RemoteFile { connection, handle, length: 0 }),
            Err(error) => Err(self.taken(Err(error), path).err().unwrap_or_else(unexpected)),
        }
    }

    fn write(&self, file: &mut RemoteFile, bytes: &[u8]) -> io::Result<()> {
        let mut under_way: VecDeque<Receiver<Answer>> = VecDeque::new();
        let mut outcome = Ok(());
        let piece = self.upload.as_ref().map_or(PIECE, |pace| pace.piece().min(PIECE));
        let connection = &file.connection;
        for data in bytes.chunks(piece) {
            if let Some(pace) = &self.upload {
                pace.wait(data.len() as u64);
            }
            let id = connection.id();
            self.traffic.request();
            self.traffic.up(data.len() as u64);
            under_way.push_back(
                connection.send(id, Packet::new(kind::WRITE, id).bytes(&file.handle).u64(file.length).bytes(data))?,
            );
            file.length += data.len() as u64;
            if under_way.len() >= WINDOW
                && let Some(oldest) = under_way.pop_front()
            {
                outcome = connection.receive(&oldest).and_then(|answer| check(&answer));
            }
            if outcome.is_err() {
                break;
            }
        }
        for answer in under_way {
            let written = connection.receive(&answer).and_then(|answer| check(&answer));
            outcome = outcome.and(written);
        }
        outcome.map_err(|error| self.full(error, Path::new("."), bytes.len()))
    }

    fn sync(&self, file: &RemoteFile) -> io::Result<()> {
        self.sync_handle(&file.connection, &file.handle)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.taken(self.extended("hardlink@openssh.com", from, to), to)
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        // Version 3 says that this fails if the new name is taken.
        self.taken(self.act(kind::RENAME, from, |packet| packet.bytes(sent(to))), to)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        match self.extended("posix-rename@openssh.com", from, to) {
            Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                // Whole or absent at every moment is all that such a server can give.
                match self.remove(to) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                    _ => self.rename_new(from, to),
                }
            }
            outcome => outcome,
        }
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.act(kind::REMOVE, path, |packet| packet)
    }

    fn make_dir(&self, path: &Path) -> io::Result<()> {
        let make = || self.taken(self.act(kind::MKDIR, path, |packet| packet.mode(Some(0o700))), path);
        let mut made = make();
        for _ in 0..5 {
            match made {
                // It was there, and another client removed it before it could be asked for.
                Err(error) if error.kind() == io::ErrorKind::Other && self.is_gone(path)? => made = make(),
                _ => break,
            }
        }
        made
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.act(kind::RMDIR, path, |packet| packet)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let connection = self.connection()?;
        let opened = self.open(&connection, kind::OPEN, |packet| packet.bytes(sent(path)).u32(flag::READ).mode(None));
        let handle = match opened {
            Ok(handle) => handle,
            // Servers that cannot open a folder sync it when they like; one that is not there is another matter.
            Err(error) if error.kind() == io::ErrorKind::Other => return self.attributes(kind::STAT, path).map(drop),
            Err(error) => return Err(error),
        };
        let synced = self.sync_handle(&connection, &handle);
        Self::close(&connection, &handle);
        synced
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        stat_of(self.attributes(kind::STAT, path)?).ok_or_else(unexpected)
    }

    fn is_gone(&self, path: &Path) -> io::Result<bool> {
        match self.attributes(kind::LSTAT, path) {
            Ok(_) => Ok(false),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
            Err(error) => Err(error),
        }
    }

    fn names(&self, dir: &Path) -> io::Result<Vec<OsString>> {
        Ok(self.entries(dir)?.into_iter().map(|(name, _)| name).collect())
    }

    fn entries(&self, dir: &Path) -> io::Result<Vec<(OsString, Option<Stat>)>> {
        let connection = self.connection()?;
        let handle = self.open(&connection, kind::OPENDIR, |packet| packet.bytes(sent(dir)))?;
        let mut entries = Vec::new();
        let outcome = loop {
            let answer = match self.ask(&connection, kind::READDIR, |packet| packet.bytes(&handle)) {
                Ok(answer) => answer,
                Err(error) => break Err(error),
            };
            if answer.0 != kind::NAME {
                break match check(&answer) {
                    Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(()),
                    Err(error) => Err(error),
                    Ok(()) => Err(unexpected()),
                };
            }
            if let Err(error) = names_of(&answer.1, &mut entries) {
                break Err(error);
            }
        };
        Self::close(&connection, &handle);
        outcome.map(|()| entries)
    }

    fn place(&self, _: &Path) -> String {
        self.place.clone()
    }

    fn in_flight(&self) -> usize {
        IN_FLIGHT
    }

    fn read(&self, path: &Path, offset: u64, length: u64) -> io::Result<Vec<u8>> {
        let connection = self.connection()?;
        let handle = self.open(&connection, kind::OPEN, |packet| packet.bytes(sent(path)).u32(flag::READ).mode(None));
        let handle = match handle {
            // Below a file, or in the place of a folder, there is no object.
            Err(error) if error.kind() == io::ErrorKind::Other => {
                let stat = self.stat(path)?;
                return Err(if stat.directory { io::ErrorKind::IsADirectory.into() } else { error });
            }
            handle => handle?,
        };
        let bytes = self.read_pieces(&connection, &handle, offset, length);
        Self::close(&connection, &handle);
        bytes
    }
}

impl Drop for RemoteFile {
    fn drop(&mut self) {
        SftpDisk::close(&self.connection, &self.handle);
    }
}

/// The entries of one answer; what is not a file or folder itself (a link) is left to be asked for.
fn names_of(body: &[u8], entries: &mut Vec<(OsString, Option<Stat>)>) -> io::Result<()> {
    let mut parser = Parser(body);
    for _ in 0..parser.u32()? {
        let name = OsStr::from_bytes(parser.bytes()?).to_owned();
        parser.bytes()?;
        let stat = stat_of(parser.attributes()?).filter(|stat| stat.directory || stat.file);
        if !matches!(name.as_bytes(), b"." | b"..") {
            entries.push((OsString::from_vec(name.into_vec()), stat));
        }
    }
    Ok(())
}
