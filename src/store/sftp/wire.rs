//! Packets of SFTP version 3 (draft-ietf-secsh-filexfer-02), as OpenSSH speaks it. Pure: bytes in, bytes out.

use std::io;

/// Kinds of requests.
pub mod kind {
    pub const INIT: u8 = 1;
    pub const VERSION: u8 = 2;
    pub const OPEN: u8 = 3;
    pub const CLOSE: u8 = 4;
    pub const READ: u8 = 5;
    pub const WRITE: u8 = 6;
    pub const LSTAT: u8 = 7;
    pub const FSTAT: u8 = 8;
    pub const OPENDIR: u8 = 11;
    pub const READDIR: u8 = 12;
    pub const REMOVE: u8 = 13;
    pub const MKDIR: u8 = 14;
    pub const RMDIR: u8 = 15;
    pub const STAT: u8 = 17;
    pub const RENAME: u8 = 18;
    pub const EXTENDED: u8 = 200;
    pub const STATUS: u8 = 101;
    pub const HANDLE: u8 = 102;
    pub const DATA: u8 = 103;
    pub const NAME: u8 = 104;
    pub const ATTRS: u8 = 105;
}

/// How a file is opened.
pub mod flag {
    pub const READ: u32 = 1;
    pub const WRITE: u32 = 2;
    pub const CREATE: u32 = 8;
    pub const EXCLUSIVE: u32 = 0x20;
}

/// Status codes.
pub mod status {
    pub const OK: u32 = 0;
    pub const EOF: u32 = 1;
    pub const NO_SUCH_FILE: u32 = 2;
    pub const PERMISSION_DENIED: u32 = 3;
    pub const NO_CONNECTION: u32 = 6;
    pub const CONNECTION_LOST: u32 = 7;
    pub const UNSUPPORTED: u32 = 8;
}

/// Attributes that are present.
mod present {
    pub const SIZE: u32 = 1;
    pub const OWNER: u32 = 2;
    pub const MODE: u32 = 4;
    pub const TIMES: u32 = 8;
    pub const EXTENDED: u32 = 0x8000_0000;
}

/// What a server says of a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Attributes {
    /// Bytes.
    pub size: Option<u64>,
    /// Type and permission bits, as `stat` has them.
    pub mode: Option<u32>,
    /// Seconds since 1970.
    pub modified: Option<u32>,
}

/// A packet being put together.
pub struct Packet(Vec<u8>);

impl Packet {
    /// A request of this kind, under an id (the version for `INIT`).
    pub fn new(kind: u8, id: u32) -> Self {
        let mut bytes = vec![0, 0, 0, 0, kind];
        bytes.extend(id.to_be_bytes());
        Self(bytes)
    }

    /// Adds a number.
    #[must_use]
    pub fn u32(mut self, value: u32) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    /// Adds a large number.
    #[must_use]
    pub fn u64(mut self, value: u64) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    /// Adds bytes with their length.
    #[must_use]
    pub fn bytes(mut self, value: &[u8]) -> Self {
        self.0.extend(u32::try_from(value.len()).unwrap_or(u32::MAX).to_be_bytes());
        self.0.extend(value);
        self
    }

    /// Adds attributes of which only the permission bits are given, or none.
    #[must_use]
    pub fn mode(self, mode: Option<u32>) -> Self {
        match mode {
            Some(mode) => self.u32(present::MODE).u32(mode),
            None => self.u32(0),
        }
    }

    /// The packet with its length in front.
    pub fn finish(mut self) -> Vec<u8> {
        let length = u32::try_from(self.0.len() - 4).unwrap_or(u32::MAX);
        self.0[..4].copy_from_slice(&length.to_be_bytes());
        self.0
    }
}

/// A packet being taken apart.
pub struct Parser<'a>(pub &'a [u8]);

impl<'a> Parser<'a> {
    fn take(&mut self, length: usize) -> io::Result<&'a [u8]> {
        let short = || io::Error::new(io::ErrorKind::InvalidData, "the SFTP server's answer is cut short");
        let (taken, rest) = self.0.split_at_checked(length).ok_or_else(short)?;
        self.0 = rest;
        Ok(taken)
    }

    /// The next number.
    ///
    /// # Errors
    /// When the packet ends.
    pub fn u32(&mut self) -> io::Result<u32> {
        Ok(self.take(4)?.iter().fold(0, |value, byte| value << 8 | u32::from(*byte)))
    }

    /// The next large number.
    ///
    /// # Errors
    /// When the packet ends.
    pub fn u64(&mut self) -> io::Result<u64> {
        Ok(self.take(8)?.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    /// The next bytes that have their length in front.
    ///
    /// # Errors
    /// When the packet ends.
    pub fn bytes(&mut self) -> io::Result<&'a [u8]> {
        let length = self.u32()?;
        self.take(usize::try_from(length).unwrap_or(usize::MAX))
    }

    /// The next attributes.
    ///
    /// # Errors
    /// When the packet ends.
    pub fn attributes(&mut self) -> io::Result<Attributes> {
        let flags = self.u32()?;
        let has = |flag| flags & flag != 0;
        let mut attributes = Attributes::default();
        if has(present::SIZE) {
            attributes.size = Some(self.u64()?);
        }
        if has(present::OWNER) {
            self.take(8)?;
        }
        if has(present::MODE) {
            attributes.mode = Some(self.u32()?);
        }
        if has(present::TIMES) {
            self.u32()?;
            attributes.modified = Some(self.u32()?);
        }
        if has(present::EXTENDED) {
            for _ in 0..self.u32()? {
                self.bytes()?;
                self.bytes()?;
            }
        }
        Ok(attributes)
    }

    /// Whether nothing is left.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_together_comes_apart() {
        let packet = Packet::new(kind::OPEN, 7).bytes(b"a/b").u32(flag::READ).mode(Some(0o600)).u64(1 << 40).finish();
        assert_eq!(packet.len(), 4 + 1 + 4 + 7 + 4 + 8 + 8);
        assert_eq!(packet[..9], [0, 0, 0, 32, 3, 0, 0, 0, 7]);
        let mut parser = Parser(&packet[9..]);
        assert_eq!(parser.bytes().unwrap(), b"a/b");
        assert_eq!(parser.u32().unwrap(), flag::READ);
        assert_eq!(parser.attributes().unwrap().mode, Some(0o600));
        assert_eq!(parser.u64().unwrap(), 1 << 40);
        assert!(parser.is_empty() && parser.u32().is_err());
    }

    #[test]
    fn any_bytes_are_an_error_at_worst() {
        for length in 0..64 {
            for byte in [0, 1, 0x7f, 0xff] {
                let bytes = vec![byte; length];
                let _ = Parser(&bytes).attributes();
                let _ = Parser(&bytes).bytes();
            }
        }
        assert!(Parser(&[0xff; 40]).attributes().is_err());
    }
}
