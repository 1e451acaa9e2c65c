//! The bytes of one entry and of one extent inside a payload.
//!
//! An entry's bytes depend on the entry alone, but for its references. Not here: which entries are sound (`rules`), keys, pages.

use super::cut::{HOLE_WEIGHT, REFERENCE_WEIGHT};
use super::refs::{RefReader, RefWriter};
use super::rules;
use crate::repo::entry::{Content, Entry, EntryKind, Extent, LinkGroup, Timestamp, XattrValue};
use crate::repo::id::ChunkId;
use crate::repo::wire::{Decoder, Encoder, Error, Extensions};

const FILE: u8 = 1;
const LONG_FILE: u8 = 2;
const DIRECTORY: u8 = 3;
const SYMLINK: u8 = 4;
const FIFO: u8 = 5;
const SOCKET: u8 = 6;
const CHARACTER_DEVICE: u8 = 7;
const BLOCK_DEVICE: u8 = 8;

const HAS_ACCESSED: u8 = 1;
const HAS_FLAGS: u8 = 2;
const HAS_XATTRS: u8 = 4;
const HAS_LINKS: u8 = 8;
const HAS_EXTENSIONS: u8 = 16;
const KNOWN_PARTS: u8 = 31;

/// Both lists of a skeleton being written.
#[derive(Debug, Default, Clone)]
pub struct PageRefs {
    /// Skeletons below.
    pub children: RefWriter,
    /// Data chunks.
    pub data: RefWriter,
}

/// Both lists of a skeleton being read.
#[derive(Debug)]
pub struct PageRefReader<'a> {
    /// Skeletons below.
    pub children: RefReader<'a>,
    /// Data chunks.
    pub data: RefReader<'a>,
}

/// Appends a checked entry; returns its weight, which does not depend on what else is on the page.
pub fn encode_entry(entry: &Entry, encoder: &mut Encoder, refs: &mut PageRefs) -> u64 {
    let mut weighed = Weighed { encoder, refs, weight: 0 };
    weighed.attributes(entry);
    match &entry.kind {
        EntryKind::File(Content::Extents(extents)) => {
            weighed.plain(|encoder| encoder.uint(extents.len() as u64));
            extents.iter().for_each(|extent| weighed.extent(extent));
        }
        EntryKind::File(Content::Tree { root, chunks }) => {
            weighed.plain(|encoder| encoder.uint(entry.size).uint(*chunks));
            weighed.child(root);
        }
        EntryKind::Symlink(target) => weighed.plain(|encoder| encoder.bytes(target)),
        EntryKind::CharacterDevice { major, minor } | EntryKind::BlockDevice { major, minor } => {
            weighed.plain(|encoder| encoder.uint(u64::from(*major)).uint(u64::from(*minor)));
        }
        EntryKind::Directory | EntryKind::Fifo | EntryKind::Socket => {}
    }
    weighed.weight
}

/// Appends a checked extent; returns its weight.
pub fn encode_extent(extent: &Extent, encoder: &mut Encoder, refs: &mut PageRefs) -> u64 {
    let mut weighed = Weighed { encoder, refs, weight: 0 };
    weighed.extent(extent);
    weighed.weight
}

struct Weighed<'a> {
    encoder: &'a mut Encoder,
    refs: &'a mut PageRefs,
    weight: u64,
}

impl Weighed<'_> {
    /// What has the same bytes on every page weighs its bytes.
    fn plain(&mut self, write: impl FnOnce(&mut Encoder) -> &mut Encoder) {
        let before = self.encoder.len();
        write(self.encoder);
        self.weight += (self.encoder.len() - before) as u64;
    }

    fn attributes(&mut self, entry: &Entry) {
        let flag = |present: bool, bit| if present { bit } else { 0 };
        let parts = flag(entry.accessed.is_some(), HAS_ACCESSED)
            | flag(entry.flags != 0, HAS_FLAGS)
            | flag(!entry.xattrs.is_empty(), HAS_XATTRS)
            | flag(entry.links.is_some(), HAS_LINKS);
        self.plain(|encoder| {
            encoder.u8(kind_number(&entry.kind)).u8(parts).uint(u64::from(entry.mode));
            encoder.uint(u64::from(entry.uid)).uint(u64::from(entry.gid)).bytes(&entry.user).bytes(&entry.group);
            for time in [Some(entry.modified), Some(entry.changed), entry.accessed].into_iter().flatten() {
                encoder.int(time.seconds).uint(u64::from(time.nanoseconds));
            }
            if entry.flags != 0 {
                encoder.uint(u64::from(entry.flags));
            }
            if let Some(LinkGroup { device, inode, links }) = entry.links {
                encoder.uint(device).uint(inode).uint(u64::from(links));
            }
            encoder
        });
        self.xattrs(&entry.xattrs);
    }

    fn xattrs(&mut self, xattrs: &[(Vec<u8>, XattrValue)]) {
        if xattrs.is_empty() {
            return;
        }
        self.plain(|encoder| encoder.uint(xattrs.len() as u64));
        for (name, value) in xattrs {
            self.plain(|encoder| encoder.bytes(name));
            match value {
                XattrValue::Inline(bytes) => self.plain(|encoder| encoder.uint(0).bytes(bytes)),
                XattrValue::Chunks(chunks) => {
                    self.plain(|encoder| encoder.uint(chunks.len() as u64));
                    for (id, length) in chunks {
                        self.extent(&Extent::Chunk { id: *id, length: *length });
                    }
                }
            }
        }
    }

    /// 0 for a hole, else 1 + the reference; then the length.
    fn extent(&mut self, extent: &Extent) {
        let form = match extent {
            Extent::Chunk { id, .. } => 1 + self.refs.data.reference(id),
            Extent::Hole { .. } => 0,
        };
        self.weight += if form == 0 { HOLE_WEIGHT } else { REFERENCE_WEIGHT };
        self.encoder.uint(form).uint(extent.length());
    }

    fn child(&mut self, id: &ChunkId) {
        let reference = self.refs.children.reference(id);
        self.weight += REFERENCE_WEIGHT;
        self.encoder.uint(reference);
    }
}

const fn kind_number(kind: &EntryKind) -> u8 {
    match kind {
        EntryKind::File(Content::Extents(_)) => FILE,
        EntryKind::File(Content::Tree { .. }) => LONG_FILE,
        EntryKind::Directory => DIRECTORY,
        EntryKind::Symlink(_) => SYMLINK,
        EntryKind::Fifo => FIFO,
        EntryKind::Socket => SOCKET,
        EntryKind::CharacterDevice { .. } => CHARACTER_DEVICE,
        EntryKind::BlockDevice { .. } => BLOCK_DEVICE,
    }
}

/// Reads an entry.
///
/// # Errors
/// When the bytes are no entry that [`rules::check`] would pass.
pub fn decode_entry(decoder: &mut Decoder<'_>, refs: &mut PageRefReader<'_>) -> Result<Entry, Error> {
    let kind = decoder.u8()?;
    let parts = decoder.u8()?;
    if parts & !KNOWN_PARTS != 0 {
        return Err(Error::Invalid("an entry with unknown parts"));
    }
    let has = |bit| parts & bit != 0;
    let mut entry = Entry {
        kind: EntryKind::Directory,
        mode: decoder.uint_as()?,
        uid: decoder.uint_as()?,
        gid: decoder.uint_as()?,
        user: decoder.bytes()?.to_vec(),
        group: decoder.bytes()?.to_vec(),
        modified: decode_time(decoder)?,
        changed: decode_time(decoder)?,
        accessed: has(HAS_ACCESSED).then(|| decode_time(decoder)).transpose()?,
        size: 0,
        flags: if has(HAS_FLAGS) { nonzero(decoder)? } else { 0 },
        links: has(HAS_LINKS).then(|| decode_links(decoder)).transpose()?,
        xattrs: if has(HAS_XATTRS) { decode_xattrs(decoder, refs)? } else { Vec::new() },
    };
    (entry.kind, entry.size) = decode_kind(kind, decoder, refs)?;
    if has(HAS_EXTENSIONS) && Extensions::decode(decoder, &[])?.is_empty() {
        return Err(Error::Invalid("an empty part of an entry"));
    }
    rules::check(&entry).map_err(Error::Invalid)?;
    Ok(entry)
}

fn decode_kind(number: u8, decoder: &mut Decoder<'_>, refs: &mut PageRefReader<'_>) -> Result<(EntryKind, u64), Error> {
    let kind = match number {
        FILE => {
            let extents = decoder.list(|decoder| decode_extent(decoder, refs))?;
            let size = rules::check_extents(&extents).map_err(Error::Invalid)?;
            return Ok((EntryKind::File(Content::Extents(extents)), size));
        }
        LONG_FILE => {
            let (size, chunks, root) = (decoder.uint()?, decoder.uint()?, decoder.uint()?);
            let root = refs.children.resolve(root)?;
            return Ok((EntryKind::File(Content::Tree { root, chunks }), size));
        }
        DIRECTORY => EntryKind::Directory,
        SYMLINK => EntryKind::Symlink(decoder.bytes()?.to_vec()),
        FIFO => EntryKind::Fifo,
        SOCKET => EntryKind::Socket,
        CHARACTER_DEVICE => EntryKind::CharacterDevice { major: decoder.uint_as()?, minor: decoder.uint_as()? },
        BLOCK_DEVICE => EntryKind::BlockDevice { major: decoder.uint_as()?, minor: decoder.uint_as()? },
        _ => return Err(Error::Invalid("an entry of unknown kind")),
    };
    Ok((kind, 0))
}

/// Reads an extent.
///
/// # Errors
/// When it is empty, or refers to nothing.
pub fn decode_extent(decoder: &mut Decoder<'_>, refs: &mut PageRefReader<'_>) -> Result<Extent, Error> {
    let extent = match decoder.uint()?.checked_sub(1) {
        None => Extent::Hole { length: decoder.uint()? },
        Some(reference) => Extent::Chunk { id: refs.data.resolve(reference)?, length: decoder.uint_as()? },
    };
    if extent.length() == 0 { Err(Error::Invalid("an empty extent")) } else { Ok(extent) }
}

fn decode_xattrs(decoder: &mut Decoder<'_>, refs: &mut PageRefReader<'_>) -> Result<Vec<(Vec<u8>, XattrValue)>, Error> {
    let xattrs = decoder.list(|decoder| {
        let name = decoder.bytes()?.to_vec();
        let chunks = decoder.uint()?;
        if chunks == 0 {
            return Ok::<_, Error>((name, XattrValue::Inline(decoder.bytes()?.to_vec())));
        }
        let mut list = Vec::new();
        for _ in 0..chunks {
            match decode_extent(decoder, refs)? {
                Extent::Chunk { id, length } => list.push((id, length)),
                Extent::Hole { .. } => return Err(Error::Invalid("a hole in an attribute's value")),
            }
        }
        Ok((name, XattrValue::Chunks(list)))
    })?;
    if xattrs.is_empty() { Err(Error::Invalid("an empty part of an entry")) } else { Ok(xattrs) }
}

fn decode_time(decoder: &mut Decoder<'_>) -> Result<Timestamp, Error> {
    Ok(Timestamp { seconds: decoder.int()?, nanoseconds: decoder.uint_as()? })
}

fn decode_links(decoder: &mut Decoder<'_>) -> Result<LinkGroup, Error> {
    Ok(LinkGroup { device: decoder.uint()?, inode: decoder.uint()?, links: decoder.uint_as()? })
}

fn nonzero(decoder: &mut Decoder<'_>) -> Result<u32, Error> {
    match decoder.uint_as()? {
        0 => Err(Error::Invalid("an empty part of an entry")),
        flags => Ok(flags),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{any_entry, entry, file};
    use super::*;
    use proptest::prelude::*;

    /// Encodes, decodes, and returns the bytes' number, the weight, and the entry that came back.
    fn round(entry: &Entry) -> Result<(usize, u64, Entry), Error> {
        let (mut encoder, mut refs) = (Encoder::new(), PageRefs::default());
        let weight = encode_entry(entry, &mut encoder, &mut refs);
        let bytes = encoder.into_bytes();
        decode(&bytes, &refs.children.take(), &refs.data.take()).map(|entry| (bytes.len(), weight, entry))
    }

    fn decode(bytes: &[u8], children: &[ChunkId], data: &[ChunkId]) -> Result<Entry, Error> {
        let mut refs = PageRefReader { children: RefReader::new(children), data: RefReader::new(data) };
        let entry = Decoder::whole(bytes, |decoder| decode_entry(decoder, &mut refs))?;
        refs.children.finish()?;
        refs.data.finish()?;
        Ok(entry)
    }

    #[test]
    fn an_ordinary_file_is_small() {
        let (bytes, weight, _) = round(&file(1, &[4000])).unwrap();
        assert!(bytes <= 32, "{bytes} bytes");
        assert_eq!(weight, bytes as u64 - 3 + REFERENCE_WEIGHT, "of an extent, only the reference's weight counts");
    }

    #[test]
    fn parts_that_are_there_hold_something() {
        let (mut encoder, mut refs) = (Encoder::new(), PageRefs::default());
        encode_entry(&entry(EntryKind::Fifo), &mut encoder, &mut refs);
        let bytes = encoder.into_bytes();
        assert!(decode(&bytes, &[], &[]).is_ok());
        for part in [HAS_FLAGS, HAS_XATTRS, HAS_EXTENSIONS, 32, 64, 128] {
            let mut bytes = [&bytes[..], &[0]].concat();
            bytes[1] |= part;
            assert!(decode(&bytes, &[], &[]).is_err(), "part {part}");
        }
        let with = |number, value: &[u8]| {
            let mut extensions = Extensions::default();
            extensions.set(number, value.to_vec());
            let mut encoder = Encoder::new();
            encoder.raw(&bytes);
            extensions.encode(&mut encoder);
            let mut bytes = encoder.into_bytes();
            bytes[1] |= HAS_EXTENSIONS;
            decode(&bytes, &[], &[])
        };
        assert!(with(2, b"later").is_ok(), "fields of later versions do no harm");
        assert_eq!(with(3, b"later"), Err(Error::Critical(3)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn entries_come_back(entry in any_entry()) {
            prop_assert_eq!(rules::check(&entry), Ok(()));
            prop_assert_eq!(round(&entry).unwrap().2, entry);
        }

        #[test]
        fn the_weight_depends_on_the_entry_alone(entry in any_entry(), other in any_entry()) {
            let (mut encoder, mut refs) = (Encoder::new(), PageRefs::default());
            encode_entry(&other, &mut encoder, &mut refs);
            encode_entry(&entry, &mut encoder, &mut refs);
            let after_itself = encode_entry(&entry, &mut encoder, &mut refs);
            prop_assert_eq!(after_itself, round(&entry).unwrap().1);
        }

        #[test]
        fn any_bytes_are_survived_and_have_one_meaning(entry in any_entry(), at in any::<prop::sample::Index>(), byte: u8) {
            let (mut encoder, mut refs) = (Encoder::new(), PageRefs::default());
            encode_entry(&entry, &mut encoder, &mut refs);
            let mut bytes = encoder.into_bytes();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            let (children, data) = (refs.children.take(), refs.data.take());
            if let Ok(decoded) = decode(&bytes, &children, &data)
                && bytes[1] & HAS_EXTENSIONS == 0
            {
                let (mut encoder, mut refs) = (Encoder::new(), PageRefs::default());
                encode_entry(&decoded, &mut encoder, &mut refs);
                prop_assert_eq!(encoder.into_bytes(), bytes);
            }
        }
    }
}
