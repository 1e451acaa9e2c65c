//! Reading a tar: members one after another, their content as a stream.
//!
//! Knows POSIX pax headers, the long names of GNU tar, numbers in base 256, and sparse files in GNU's four forms. It judges
//! nothing: names come as they stand in the archive. What lies about its own length ends the reading.

mod maps;

use super::sparse::{self, Stretch};
use crate::ops::archive::pax;
use crate::repo::entry::Timestamp;
use std::collections::BTreeMap;
use std::io::{self, Read};
use tar::{EntryType, Header};

/// The unit of tar.
pub(super) const BLOCK: u64 = 512;
/// The longest header that describes another one: attributes of a file, and names.
const DESCRIPTION: u64 = 16 << 20;

/// The longest file that Linux can have, in bytes.
const LONGEST_FILE: u64 = i64::MAX as u64;

/// Why an archive cannot be read on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be read, or ends too early.
    #[error("the archive cannot be read at byte {at}")]
    Read {
        /// How far it was read.
        at: u64,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is no tar, or damaged.
    #[error("this is no tar archive, or it is damaged at byte {at}: {what}")]
    Format {
        /// How far it was read.
        at: u64,
        /// What is wrong.
        what: &'static str,
    },
}

/// An early end in words that say so.
fn plain(error: io::Error) -> io::Error {
    match error.kind() {
        kind @ io::ErrorKind::UnexpectedEof => io::Error::new(kind, "it ends there, in the middle of a member"),
        _ => error,
    }
}

/// One member's headers.
#[derive(Debug, Clone)]
pub struct Member {
    /// Its name as it stands there.
    pub name: Vec<u8>,
    /// What a link points to.
    pub link: Vec<u8>,
    /// What it is.
    pub kind: EntryType,
    /// Permission bits.
    pub mode: u32,
    /// Owner and group by number, and by name.
    pub owner: (u32, u32),
    /// Owner's and group's names.
    pub names: (Vec<u8>, Vec<u8>),
    /// Last change.
    pub modified: Timestamp,
    /// Last access, if it is told.
    pub accessed: Option<Timestamp>,
    /// Last change of status, if it is told.
    pub changed: Option<Timestamp>,
    /// Extended attributes by name.
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Device numbers.
    pub device: (u32, u32),
    /// Bytes of the file, holes included.
    pub size: u64,
    /// Where its data lies, if it has holes.
    pub sparse: Option<Vec<Stretch>>,
}

/// Pax records by key; later ones win.
type Records = BTreeMap<Vec<u8>, Vec<u8>>;

/// What headers before a member say of it.
#[derive(Default)]
struct Described {
    records: Records,
    /// GNU.sparse.offset and numbytes, which repeat.
    numbers: Vec<u64>,
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
}

/// Reads one archive.
pub struct Reader<R> {
    input: R,
    at: u64,
    /// Bytes of the present member that were not read yet, and what fills them up to whole blocks.
    left: u64,
    padding: u64,
    globals: Records,
}

impl<R: Read> Reader<R> {
    /// Reads `input` from its present place.
    pub fn new(input: R) -> Self {
        Self { input, at: 0, left: 0, padding: 0, globals: Records::new() }
    }

    /// The next member; what was not read of the one before it is passed over.
    ///
    /// # Errors
    /// When the archive ends too early, or is damaged.
    pub fn next(&mut self) -> Result<Option<Member>, Error> {
        self.pass_over()?;
        let mut described = Described::default();
        loop {
            let Some(header) = self.header()? else { return Ok(None) };
            let kind = header.entry_type();
            let size = header.entry_size().map_err(|_| self.wrong("a size is no number"))?;
            match kind {
                EntryType::XHeader => self.describe(size, &mut described)?,
                EntryType::XGlobalHeader => {
                    let records = self.description(size)?;
                    let records = pax::parse(&records).ok_or_else(|| self.wrong("a global pax header is malformed"))?;
                    self.globals.extend(records);
                }
                EntryType::GNULongName => described.name = Some(until_zero(&self.description(size)?)),
                EntryType::GNULongLink => described.link = Some(until_zero(&self.description(size)?)),
                _ => return self.member(&header, size, described).map(Some),
            }
        }
    }

    /// Reads the present member's data, as it lies in the archive: for a sparse file, without its holes.
    ///
    /// # Errors
    /// When the archive ends too early.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        self.fill(&mut buffer[..wanted])?;
        self.left -= wanted as u64;
        Ok(wanted)
    }

    fn wrong(&self, what: &'static str) -> Error {
        Error::Format { at: self.at, what }
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), Error> {
        self.input.read_exact(buffer).map_err(|source| Error::Read { at: self.at, source: plain(source) })?;
        self.at += buffer.len() as u64;
        Ok(())
    }

    fn pass_over(&mut self) -> Result<(), Error> {
        let length = self.left + self.padding;
        let passed = io::copy(&mut self.input.by_ref().take(length), &mut io::sink());
        let passed = passed.map_err(|source| Error::Read { at: self.at, source })?;
        self.at += passed;
        (self.left, self.padding) = (0, 0);
        if passed == length {
            return Ok(());
        }
        Err(Error::Read { at: self.at, source: plain(io::ErrorKind::UnexpectedEof.into()) })
    }

    /// The next header; `None` at the end: a block of zeros, or nothing at all between two members.
    fn header(&mut self) -> Result<Option<Header>, Error> {
        let mut header = Header::new_old();
        let block = header.as_mut_bytes();
        // The very first byte may be missing, the others may not.
        let start = loop {
            match self.input.read(&mut block[..1]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other.map_err(|source| Error::Read { at: self.at, source })?,
            }
        };
        if start == 0 {
            return if self.at == 0 { Err(self.wrong("it is empty")) } else { Ok(None) };
        }
        self.at += 1;
        self.fill(&mut block[1..])?;
        if block.iter().all(|&byte| byte == 0) {
            return Ok(None);
        }
        if self.at == BLOCK
            && let Some(what) = compressed(block)
        {
            return Err(Error::Format { at: 0, what });
        }
        let sum: u32 =
            block.iter().enumerate().map(|(at, &byte)| if (148..156).contains(&at) { 32 } else { byte.into() }).sum();
        let signed: i64 = block
            .iter()
            .enumerate()
            .map(|(at, &byte)| if (148..156).contains(&at) { 32 } else { i64::from(byte.cast_signed()) })
            .sum();
        match header.cksum() {
            Ok(stored) if stored == sum || i64::from(stored) == signed => Ok(Some(header)),
            _ => Err(Error::Format { at: self.at - BLOCK, what: "a header's checksum is wrong" }),
        }
    }

    /// The content of a header that describes another one.
    fn description(&mut self, size: u64) -> Result<Vec<u8>, Error> {
        if size > DESCRIPTION {
            return Err(self.wrong("a header is longer than any header can be"));
        }
        let mut bytes = vec![0; size as usize];
        self.fill(&mut bytes)?;
        self.padding = size.next_multiple_of(BLOCK) - size;
        self.pass_over()?;
        Ok(bytes)
    }

    fn describe(&mut self, size: u64, described: &mut Described) -> Result<(), Error> {
        let bytes = self.description(size)?;
        let records = pax::parse(&bytes).ok_or_else(|| self.wrong("a pax header is malformed"))?;
        for (key, value) in records {
            if key == b"GNU.sparse.offset" || key == b"GNU.sparse.numbytes" {
                described.numbers.push(number(&value).ok_or_else(|| self.wrong("a sparse map is malformed"))?);
            } else {
                described.records.insert(key, value);
            }
        }
        Ok(())
    }

    /// A member, by its own header and those before it.
    fn member(&mut self, header: &Header, size: u64, described: Described) -> Result<Member, Error> {
        let Described { records, numbers, name, link } = described;
        let record = |key: &str| records.get(key.as_bytes()).or_else(|| self.globals.get(key.as_bytes()));
        let owned = |key: &str| record(key).cloned();
        let pax_number = |key: &str| record(key).and_then(|value| number(value));
        let pax_time = |key: &str| record(key).and_then(|value| pax::parse_time(value));
        let id = |key: &str, old: io::Result<u64>| {
            let number = pax_number(key).or(old.ok()).unwrap_or_default();
            // The last number means "nobody" to no system, and "leave it" to chown.
            u32::try_from(number).unwrap_or(u32::MAX).min(u32::MAX - 1)
        };
        let modified = Timestamp { seconds: header.mtime().unwrap_or_default().cast_signed(), nanoseconds: 0 };
        let sparse_name = owned("GNU.sparse.name");
        let device = |key: &str, old: io::Result<Option<u32>>| {
            pax_number(key).and_then(|number| u32::try_from(number).ok()).or(old.ok().flatten()).unwrap_or_default()
        };
        let xattrs = self.globals.iter().chain(&records);
        let xattrs = xattrs.filter_map(|(key, value)| Some((pax::attribute_name(key)?, value.clone()))).collect();
        let size = pax_number("size").unwrap_or(size);
        let real = pax_number("GNU.sparse.realsize").or(pax_number("GNU.sparse.size"));
        let map = owned("GNU.sparse.map");
        let inline = record("GNU.sparse.major").is_some_and(|major| major == b"1");
        let mut member = Member {
            name: sparse_name.or(owned("path")).or(name).unwrap_or_else(|| header.path_bytes().into_owned()),
            link: owned("linkpath")
                .or(link)
                .unwrap_or_else(|| header.link_name_bytes().unwrap_or_default().into_owned()),
            kind: header.entry_type(),
            mode: header.mode().unwrap_or(0o644) & 0o7777,
            owner: (id("uid", header.uid()), id("gid", header.gid())),
            names: (
                owned("uname").unwrap_or_else(|| header.username_bytes().unwrap_or_default().to_vec()),
                owned("gname").unwrap_or_else(|| header.groupname_bytes().unwrap_or_default().to_vec()),
            ),
            modified: pax_time("mtime").unwrap_or(modified),
            accessed: pax_time("atime"),
            changed: pax_time("ctime"),
            xattrs,
            device: (
                device("SCHILY.devmajor", header.device_major()),
                device("SCHILY.devminor", header.device_minor()),
            ),
            size: real.unwrap_or(size),
            sparse: None,
        };
        if size.max(member.size) > LONGEST_FILE {
            return Err(self.wrong("a member is longer than any file can be"));
        }
        // Only files have content; some writers give other kinds a size that means nothing.
        let has_content = matches!(member.kind, EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse)
            || !is_known(member.kind);
        self.left = if has_content { size } else { 0 };
        self.padding = self.left.next_multiple_of(BLOCK) - self.left;
        let malformed = Error::Format { at: self.at, what: "a sparse map is malformed" };
        member.sparse = if inline {
            Some(self.inline_map()?)
        } else if let Some(map) = map {
            Some(sparse::from_list(&map).ok_or(malformed)?)
        } else if !numbers.is_empty() {
            Some(sparse::pairs(&numbers).ok_or(malformed)?)
        } else if member.kind == EntryType::GNUSparse {
            let (map, real) = self.old_map(header)?;
            if real > LONGEST_FILE {
                return Err(self.wrong("a member is longer than any file can be"));
            }
            member.size = real;
            Some(map)
        } else {
            None
        };
        if let Some(map) = &member.sparse
            && !sparse::is_sound(map, member.size, self.left)
        {
            return Err(self.wrong("a sparse map contradicts the file's size"));
        }
        Ok(member)
    }
}

/// Whether this is a kind that is known to be something other than a file.
fn is_known(kind: EntryType) -> bool {
    matches!(
        kind,
        EntryType::Link
            | EntryType::Symlink
            | EntryType::Char
            | EntryType::Block
            | EntryType::Directory
            | EntryType::Fifo
    )
}

fn number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn until_zero(bytes: &[u8]) -> Vec<u8> {
    bytes.split(|&byte| byte == 0).next().unwrap_or_default().to_vec()
}

/// What to do about an archive in another wrapping.
fn compressed(start: &[u8]) -> Option<&'static str> {
    match start {
        [0x1f, 0x8b, ..] => Some("it is compressed; run `gzip -dc FILE | boveda import-tar -`"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some("it is compressed; run `zstd -dc FILE | boveda import-tar -`"),
        [0xfd, b'7', b'z', b'X', b'Z', ..] => Some("it is compressed; run `xz -dc FILE | boveda import-tar -`"),
        [b'B', b'Z', b'h', ..] => Some("it is compressed; run `bzip2 -dc FILE | boveda import-tar -`"),
        [b'P', b'K', 3, 4, ..] => Some("it is a zip archive"),
        _ => None,
    }
}
