//! One cached entry as bytes. Owners are named by their position in the page's table of owners.

use super::CachedEntry;
use crate::repo::entry::{Content, Entry, EntryKind, Extent, LinkGroup, Timestamp, XattrValue};
use crate::repo::id::ChunkId;
use crate::repo::wire::{Decoder, Encoder, Error};

/// Numeric owner and group with their names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) user: Vec<u8>,
    pub(super) group: Vec<u8>,
}

impl Owner {
    pub(super) fn of(entry: &Entry) -> Self {
        Self { uid: entry.uid, gid: entry.gid, user: entry.user.clone(), group: entry.group.clone() }
    }

    pub(super) fn owns(&self, entry: &Entry) -> bool {
        (self.uid, self.gid) == (entry.uid, entry.gid) && self.user == entry.user && self.group == entry.group
    }

    pub(super) fn encode(&self, encoder: &mut Encoder) {
        encoder.uint(self.uid.into()).uint(self.gid.into()).bytes(&self.user).bytes(&self.group);
    }

    pub(super) fn decode(decoder: &mut Decoder<'_>) -> Result<Self, Error> {
        Ok(Self {
            uid: decoder.uint_as()?,
            gid: decoder.uint_as()?,
            user: decoder.bytes()?.to_vec(),
            group: decoder.bytes()?.to_vec(),
        })
    }
}

/// Appends an entry whose owner stands at `owner` in the table.
pub(super) fn encode(encoder: &mut Encoder, device: u64, inode: u64, owner: usize, entry: &Entry) {
    encoder.uint(device).uint(inode).uint(owner as u64).uint(entry.mode.into());
    encode_time(encoder, &entry.modified);
    encode_time(encoder, &entry.changed);
    encoder.option(entry.accessed.as_ref(), encode_time).uint(entry.size).uint(entry.flags.into());
    encoder.list(&entry.xattrs, |encoder, (name, value)| {
        encoder.bytes(name);
        match value {
            XattrValue::Inline(bytes) => encoder.u8(0).bytes(bytes),
            XattrValue::Chunks(chunks) => encoder.u8(1).list(chunks, |encoder, (id, length)| {
                encoder.raw(&id.0).uint((*length).into());
            }),
        };
    });
    encoder.option(entry.links.as_ref(), |encoder, links| {
        encoder.uint(links.device).uint(links.inode).uint(links.links.into());
    });
    encode_kind(encoder, &entry.kind);
}

/// Takes an entry off; `owners` is the page's table.
pub(super) fn decode(decoder: &mut Decoder<'_>, owners: &[Owner]) -> Result<CachedEntry, Error> {
    let (device, inode) = (decoder.uint()?, decoder.uint()?);
    let owner = owners.get(decoder.uint_as::<usize>()?).ok_or(Error::Invalid("no such owner"))?;
    let entry = Entry {
        uid: owner.uid,
        gid: owner.gid,
        user: owner.user.clone(),
        group: owner.group.clone(),
        mode: decoder.uint_as()?,
        modified: decode_time(decoder)?,
        changed: decode_time(decoder)?,
        accessed: decoder.option(decode_time)?,
        size: decoder.uint()?,
        flags: decoder.uint_as()?,
        xattrs: decoder.list(|decoder| Ok::<_, Error>((decoder.bytes()?.to_vec(), decode_value(decoder)?)))?,
        links: decoder.option(|decoder| {
            Ok::<_, Error>(LinkGroup { device: decoder.uint()?, inode: decoder.uint()?, links: decoder.uint_as()? })
        })?,
        kind: decode_kind(decoder)?,
    };
    Ok(CachedEntry { device, inode, entry })
}

fn encode_time(encoder: &mut Encoder, time: &Timestamp) {
    encoder.int(time.seconds).uint(time.nanoseconds.into());
}

fn decode_time(decoder: &mut Decoder<'_>) -> Result<Timestamp, Error> {
    Ok(Timestamp { seconds: decoder.int()?, nanoseconds: decoder.uint_as()? })
}

fn decode_value(decoder: &mut Decoder<'_>) -> Result<XattrValue, Error> {
    match decoder.u8()? {
        0 => Ok(XattrValue::Inline(decoder.bytes()?.to_vec())),
        1 => Ok(XattrValue::Chunks(
            decoder.list(|decoder| Ok::<_, Error>((ChunkId(decoder.array()?), decoder.uint_as()?)))?,
        )),
        _ => Err(Error::Invalid("unknown form of an attribute's value")),
    }
}

fn encode_kind(encoder: &mut Encoder, kind: &EntryKind) {
    match kind {
        EntryKind::File(Content::Extents(extents)) => encoder.u8(1).list(extents, |encoder, extent| {
            match extent {
                Extent::Chunk { id, length } => encoder.u8(0).uint((*length).into()).raw(&id.0),
                Extent::Hole { length } => encoder.u8(1).uint(*length),
            };
        }),
        EntryKind::File(Content::Tree { root, chunks }) => encoder.u8(2).raw(&root.0).uint(*chunks),
        EntryKind::Directory => encoder.u8(3),
        EntryKind::Symlink(target) => encoder.u8(4).bytes(target),
        EntryKind::Fifo => encoder.u8(5),
        EntryKind::Socket => encoder.u8(6),
        EntryKind::CharacterDevice { major, minor } => encoder.u8(7).uint((*major).into()).uint((*minor).into()),
        EntryKind::BlockDevice { major, minor } => encoder.u8(8).uint((*major).into()).uint((*minor).into()),
    };
}

fn decode_kind(decoder: &mut Decoder<'_>) -> Result<EntryKind, Error> {
    Ok(match decoder.u8()? {
        1 => EntryKind::File(Content::Extents(decoder.list(decode_extent)?)),
        2 => EntryKind::File(Content::Tree { root: ChunkId(decoder.array()?), chunks: decoder.uint()? }),
        3 => EntryKind::Directory,
        4 => EntryKind::Symlink(decoder.bytes()?.to_vec()),
        5 => EntryKind::Fifo,
        6 => EntryKind::Socket,
        7 => EntryKind::CharacterDevice { major: decoder.uint_as()?, minor: decoder.uint_as()? },
        8 => EntryKind::BlockDevice { major: decoder.uint_as()?, minor: decoder.uint_as()? },
        _ => return Err(Error::Invalid("unknown kind of entry")),
    })
}

fn decode_extent(decoder: &mut Decoder<'_>) -> Result<Extent, Error> {
    match decoder.u8()? {
        0 => Ok(Extent::Chunk { length: decoder.uint_as()?, id: ChunkId(decoder.array()?) }),
        1 => Ok(Extent::Hole { length: decoder.uint()? }),
        _ => Err(Error::Invalid("unknown kind of extent")),
    }
}
