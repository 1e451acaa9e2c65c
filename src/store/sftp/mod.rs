//! A folder behind ssh: the [`Disk`] of a local store whose system calls are SFTP requests.
//!
//! So all that the local store guarantees holds there as well, as far as the server does what it says: OpenSSH links, syncs files
//! and folders, and tells how much room is left. Nothing is tried again here; a dead connection is made anew by the next call.

mod connection;
mod requests;
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
use requests::{names_of, sent, stat_of};
use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};
use wire::{Packet, flag, kind};

/// Bytes of one read or write: what every server takes.
const PIECE: usize = 32 * 1024;
/// Reads and writes of one file that are under way at once.
const WINDOW: usize = 64;
/// Packs that are worth sending at once.
const IN_FLIGHT: usize = 4;

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

    fn sync_path(&self, path: &Path) -> io::Result<()> {
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
