//! Tar as POSIX.1-2001 has it: what the old header cannot hold stands in a pax header before it.
//!
//! Files with holes are written in GNU's sparse format 1.0, which GNU tar, bsdtar and Python read; extended attributes as
//! `SCHILY.xattr` records; times to the nanosecond.

use super::{Item, Refusal, Writer, pax, told_once};
use crate::ops::content;
use crate::repo::catalog::read_value;
use crate::repo::entry::{Entry, EntryKind, Timestamp};
use std::io::{self, Write};
use tar::{EntryType, Header};

/// The unit of tar.
const BLOCK: usize = 512;
/// The longest name of an old header.
const NAME: usize = 100;
/// The longest owner's name, a zero after it.
const OWNER: usize = 31;
/// The largest numbers of seven, and of eleven, octal digits.
const SEVEN: u64 = 0o777_7777;
const ELEVEN: u64 = 0o777_7777_7777;

/// Writes one archive.
pub(super) struct Tar<'o> {
    out: &'o mut dyn Write,
}

impl<'o> Tar<'o> {
    pub(super) fn new(out: &'o mut dyn Write) -> Self {
        Self { out }
    }

    /// Ends the archive.
    pub(super) fn finish(self) -> io::Result<()> {
        self.out.write_all(&[0; 2 * BLOCK])?;
        self.out.flush()
    }

    /// Writes the headers of an entry.
    fn headers(&mut self, head: &mut Head) -> io::Result<()> {
        if !head.records.is_empty() {
            let mut extended = Header::new_ustar();
            put(&mut extended.as_ustar_mut().expect("just made").name, b"./PaxHeaders/", &head.name);
            extended.set_entry_type(EntryType::XHeader);
            extended.set_mode(0o644);
            extended.set_size(head.records.len() as u64);
            extended.set_uid(0);
            extended.set_gid(0);
            extended.set_mtime(0);
            extended.set_cksum();
            self.out.write_all(extended.as_bytes())?;
            self.out.write_all(&head.records)?;
            self.pad(head.records.len() as u64)?;
        }
        head.header.set_cksum();
        self.out.write_all(head.header.as_bytes())
    }

    fn pad(&mut self, length: u64) -> io::Result<()> {
        let over = (length % BLOCK as u64) as usize;
        if over == 0 { Ok(()) } else { self.out.write_all(&[0; BLOCK][over..]) }
    }

    fn file(&mut self, item: &Item<'_>, mut head: Head, lost: &mut dyn FnMut(String)) -> io::Result<()> {
        let size = item.entry.size;
        // Where even the list of pieces is damaged, it is told while copying.
        let stretches = content::stretches(item.tree, item.entry).unwrap_or_default();
        let mut told = told_once(lost);
        let Some(stretches) = stretches else {
            head.size(size);
            self.headers(&mut head)?;
            content::copy_what_is_there(item.tree, item.entry, true, self.out, &mut told)?;
            return self.pad(size);
        };
        let map = sparse_map(&stretches, size);
        let data: u64 = stretches.iter().map(|(_, length)| length).sum();
        for (key, value) in [(&b"major"[..], b"1".to_vec()), (b"minor", b"0".to_vec()), (b"name", item.name.clone())] {
            pax::push(&mut head.records, &[b"GNU.sparse.", key].concat(), &value);
        }
        pax::push(&mut head.records, b"GNU.sparse.realsize", size.to_string().as_bytes());
        put(&mut head.header.as_ustar_mut().expect("just made").name, b"GNUSparseFile.0/", &item.name);
        head.size(map.len() as u64 + data);
        self.headers(&mut head)?;
        self.out.write_all(&map)?;
        content::copy_what_is_there(item.tree, item.entry, false, self.out, &mut told)?;
        self.pad(data)
    }
}

impl Writer for Tar<'_> {
    fn add(&mut self, item: &Item<'_>, lost: &mut dyn FnMut(String)) -> Result<(), Refusal> {
        let mut head = Head::new(item);
        if let Some(first) = item.linked {
            head.kind(EntryType::Link);
            head.link(first);
            head.size(0);
            return Ok(self.headers(&mut head)?);
        }
        head.attributes(item, lost);
        match &item.entry.kind {
            EntryKind::Socket => return Err(Refusal::NoPlace),
            EntryKind::File(_) => {
                head.kind(EntryType::Regular);
                return Ok(self.file(item, head, lost)?);
            }
            EntryKind::Directory => head.kind(EntryType::Directory),
            EntryKind::Fifo => head.kind(EntryType::Fifo),
            EntryKind::Symlink(target) => {
                head.kind(EntryType::Symlink);
                head.link(target);
            }
            EntryKind::CharacterDevice { major, minor } => head.device(EntryType::Char, *major, *minor),
            EntryKind::BlockDevice { major, minor } => head.device(EntryType::Block, *major, *minor),
        }
        head.size(0);
        Ok(self.headers(&mut head)?)
    }
}

/// An old header, and the records that go before it.
struct Head {
    name: Vec<u8>,
    header: Header,
    records: Vec<u8>,
}

impl Head {
    fn new(item: &Item<'_>) -> Self {
        let entry = item.entry;
        let mut name = item.name.clone();
        if entry.kind == EntryKind::Directory {
            name.push(b'/');
        }
        let mut head = Self { name, header: Header::new_ustar(), records: Vec::new() };
        put(&mut head.header.as_ustar_mut().expect("just made").name, b"", &head.name);
        if head.name.len() > NAME {
            pax::push(&mut head.records, b"path", &head.name);
        }
        head.header.set_mode(entry.mode);
        head.owner(entry);
        head.time(b"mtime", entry.modified);
        if let Some(accessed) = entry.accessed {
            pax::push(&mut head.records, b"atime", pax::time(accessed).as_bytes());
        }
        head
    }

    fn kind(&mut self, kind: EntryType) {
        self.header.set_entry_type(kind);
    }

    fn owner(&mut self, entry: &Entry) {
        for (key, id) in [(b"uid", entry.uid), (b"gid", entry.gid)] {
            if u64::from(id) > SEVEN {
                pax::push(&mut self.records, key, id.to_string().as_bytes());
            }
        }
        let number = |id: u32| if u64::from(id) > SEVEN { 0 } else { u64::from(id) };
        self.header.set_uid(number(entry.uid));
        self.header.set_gid(number(entry.gid));
        let old = self.header.as_ustar_mut().expect("just made");
        put(&mut old.uname[..OWNER], b"", &entry.user);
        put(&mut old.gname[..OWNER], b"", &entry.group);
        for (key, name) in [(b"uname", &entry.user), (b"gname", &entry.group)] {
            if name.len() > OWNER {
                pax::push(&mut self.records, key, name);
            }
        }
    }

    fn time(&mut self, key: &[u8], time: Timestamp) {
        let seconds = u64::try_from(time.seconds).ok().filter(|&seconds| seconds <= ELEVEN);
        self.header.set_mtime(seconds.unwrap_or_default());
        if seconds.is_none() || time.nanoseconds != 0 {
            pax::push(&mut self.records, key, pax::time(time).as_bytes());
        }
    }

    fn size(&mut self, size: u64) {
        self.header.set_size(if size > ELEVEN { 0 } else { size });
        if size > ELEVEN {
            pax::push(&mut self.records, b"size", size.to_string().as_bytes());
        }
    }

    fn link(&mut self, target: &[u8]) {
        put(&mut self.header.as_ustar_mut().expect("just made").linkname, b"", target);
        if target.len() > NAME {
            pax::push(&mut self.records, b"linkpath", target);
        }
    }

    fn device(&mut self, kind: EntryType, major: u32, minor: u32) {
        self.kind(kind);
        for (key, field, number) in [(&b"SCHILY.devmajor"[..], true, major), (b"SCHILY.devminor", false, minor)] {
            let fits = u64::from(number) <= SEVEN;
            let old = if fits { number } else { 0 };
            // Both fields exist in a ustar header.
            let _ = if field { self.header.set_device_major(old) } else { self.header.set_device_minor(old) };
            if !fits {
                pax::push(&mut self.records, key, number.to_string().as_bytes());
            }
        }
    }

    fn attributes(&mut self, item: &Item<'_>, lost: &mut dyn FnMut(String)) {
        for (name, value) in &item.entry.xattrs {
            match read_value(&**item.tree.source(), value) {
                Ok(value) => pax::push(&mut self.records, &pax::attribute_key(name), &value),
                Err(error) => lost(format!("extended attribute {}: {error}", name.escape_ascii())),
            }
        }
    }
}

/// Fills a field with `first` and then `text`, as far as they go in.
fn put(field: &mut [u8], first: &[u8], text: &[u8]) {
    field.fill(0);
    for (to, from) in field.iter_mut().zip(first.iter().chain(text)) {
        *to = *from;
    }
}

/// Where the data lies, as text filled up to whole blocks. A hole at the end is said by an empty stretch.
fn sparse_map(stretches: &[(u64, u64)], size: u64) -> Vec<u8> {
    let mut all = stretches.to_vec();
    if all.last().is_none_or(|(start, length)| start + length < size) {
        all.push((size, 0));
    }
    let mut map = format!("{}\n", all.len()).into_bytes();
    for (start, length) in all {
        map.extend_from_slice(format!("{start}\n{length}\n").as_bytes());
    }
    map.resize(map.len().next_multiple_of(BLOCK), 0);
    map
}
