//! The requests that the disk behind ssh makes, and what the answers to them mean.

use super::super::access::Access;
use super::super::disk::Stat;
use super::super::remote_url::RemoteUrl;
use super::connection::{self, Answer, Connection, Target, check, unexpected};
use super::wire::{Attributes, Packet, Parser, kind};
use super::{PIECE, SftpDisk, WINDOW};
use crossbeam_channel::Receiver;
use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// Bits of a mode that say what a file is.
const TYPE: u32 = 0o170_000;

impl SftpDisk {
    pub(super) fn new(url: &RemoteUrl, access: &Access) -> Self {
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

    pub(super) fn connection(&self) -> io::Result<Arc<Connection>> {
        let mut held = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(connection) = held.as_ref().filter(|connection| connection.alive().is_ok()) {
            return Ok(Arc::clone(connection));
        }
        *held = None;
        let made = Arc::new(Connection::open(&self.target)?);
        *held = Some(Arc::clone(&made));
        Ok(made)
    }

    pub(super) fn ask(
        &self,
        connection: &Connection,
        kind: u8,
        build: impl FnOnce(Packet) -> Packet,
    ) -> io::Result<Answer> {
        self.traffic.request();
        connection.ask(kind, build)
    }

    /// A request about a path that is answered by a status.
    pub(super) fn act(&self, kind: u8, path: &Path, build: impl FnOnce(Packet) -> Packet) -> io::Result<()> {
        let connection = self.connection()?;
        check(&self.ask(&connection, kind, |packet| build(packet.bytes(sent(path))))?)
    }

    /// A request of OpenSSH's about two paths.
    pub(super) fn extended(&self, name: &str, from: &Path, to: &Path) -> io::Result<()> {
        let connection = self.connection()?;
        if !connection.extensions.contains(name) {
            return Err(io::ErrorKind::Unsupported.into());
        }
        check(&self.ask(&connection, kind::EXTENDED, |packet| {
            packet.bytes(name.as_bytes()).bytes(sent(from)).bytes(sent(to))
        })?)
    }

    pub(super) fn open(
        &self,
        connection: &Connection,
        kind: u8,
        build: impl FnOnce(Packet) -> Packet,
    ) -> io::Result<Vec<u8>> {
        let answer = self.ask(connection, kind, build)?;
        match answer.0 {
            kind::HANDLE => Ok(Parser(&answer.1).bytes()?.to_vec()),
            _ => Err(check(&answer).err().unwrap_or_else(unexpected)),
        }
    }

    /// Closes without waiting for the answer, which changes nothing any more.
    pub(super) fn close(connection: &Connection, handle: &[u8]) {
        let id = connection.id();
        // A connection that is dead has closed it already.
        drop(connection.send(id, Packet::new(kind::CLOSE, id).bytes(handle)));
    }

    pub(super) fn sync_handle(&self, connection: &Connection, handle: &[u8]) -> io::Result<()> {
        const NAME: &str = "fsync@openssh.com";
        if !connection.extensions.contains(NAME) {
            // When such a server writes what it took is its own affair.
            return Ok(());
        }
        check(&self.ask(connection, kind::EXTENDED, |packet| packet.bytes(NAME.as_bytes()).bytes(handle))?)
    }

    pub(super) fn attributes(&self, kind: u8, path: &Path) -> io::Result<Attributes> {
        let connection = self.connection()?;
        let answer = self.ask(&connection, kind, |packet| packet.bytes(sent(path)))?;
        match answer.0 {
            kind::ATTRS => Parser(&answer.1).attributes(),
            _ => Err(check(&answer).err().unwrap_or_else(unexpected)),
        }
    }

    /// Servers say only "failure" when a name is taken: whether it is, is asked for.
    pub(super) fn taken(&self, outcome: io::Result<()>, path: &Path) -> io::Result<()> {
        match outcome {
            Err(error) if error.kind() == io::ErrorKind::Other && self.attributes(kind::LSTAT, path).is_ok() => {
                Err(io::ErrorKind::AlreadyExists.into())
            }
            outcome => outcome,
        }
    }

    /// … and when there is no room.
    pub(super) fn full(&self, error: io::Error, path: &Path, bytes: usize) -> io::Error {
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

    pub(super) fn read_pieces(
        &self,
        connection: &Connection,
        handle: &[u8],
        offset: u64,
        length: u64,
    ) -> io::Result<Vec<u8>> {
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
pub(super) fn sent(path: &Path) -> &[u8] {
    match path.as_os_str().as_bytes() {
        b"" => b".",
        bytes => bytes,
    }
}

pub(super) fn stat_of(attributes: Attributes) -> Option<Stat> {
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

/// The entries of one answer; what is not a file or folder itself (a link) is left to be asked for.
pub(super) fn names_of(body: &[u8], entries: &mut Vec<(OsString, Option<Stat>)>) -> io::Result<()> {
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
