//! Which entries are sound: the rules that the writer holds entries to before it encodes them, and the reader after.
//!
//! Not here: their bytes (`codec`).

use crate::repo::entry::{Content, Entry, EntryKind, Extent, XattrValue};
use crate::repo::id::ChunkId;

/// The longest attribute value that stays inside its entry.
pub const INLINE_VALUE: usize = 1024;
/// The most extents that a file keeps in its entry; with more it has a tree of its own.
pub const INLINE_EXTENTS: usize = 512;

/// The rule of the format that an entry breaks, if any.
///
/// # Errors
/// The rule.
pub fn check(entry: &Entry) -> Result<(), &'static str> {
    let times = [Some(entry.modified), Some(entry.changed), entry.accessed];
    let size = match &entry.kind {
        EntryKind::File(Content::Extents(extents)) => check_extents(extents)?,
        EntryKind::File(Content::Tree { .. }) => entry.size,
        _ => 0,
    };
    let value = |value: &XattrValue| match value {
        XattrValue::Inline(bytes) => bytes.len() <= INLINE_VALUE,
        XattrValue::Chunks(chunks) => is_long_value(chunks),
    };
    if size != entry.size {
        Err("its size is not that of its extents")
    } else if entry.mode > 0o7777 {
        Err("its mode has bits beyond 0o7777")
    } else if times.iter().flatten().any(|time| time.nanoseconds >= 1_000_000_000) {
        Err("a time has a billion nanoseconds or more")
    } else if !entry.xattrs.is_sorted_by(|a, b| a.0 < b.0) {
        Err("its extended attributes are not sorted by name")
    } else if !entry.xattrs.iter().all(|(_, given)| value(given)) {
        Err("an extended attribute's value is not where its length puts it")
    } else {
        Ok(())
    }
}

/// Total length of a file's own extents.
///
/// # Errors
/// The rule that they break.
pub fn check_extents(extents: &[Extent]) -> Result<u64, &'static str> {
    if extents.len() > INLINE_EXTENTS {
        return Err("it has too many extents for an entry");
    }
    extents.iter().try_fold(0u64, |sum, extent| match extent.length() {
        0 => Err("it has an empty extent"),
        length => sum.checked_add(length).ok_or("its extents are longer than a file can be"),
    })
}

fn is_long_value(chunks: &[(ChunkId, u32)]) -> bool {
    let total: u64 = chunks.iter().map(|(_, length)| u64::from(*length)).sum();
    total > INLINE_VALUE as u64 && chunks.iter().all(|(_, length)| *length > 0)
}

#[cfg(test)]
mod tests {
    use super::super::codec::{PageRefReader, PageRefs, decode_entry, encode_entry};
    use super::super::refs::RefReader;
    use super::super::testing::{entry, file};
    use super::*;
    use crate::repo::entry::Timestamp;
    use crate::repo::wire::{Decoder, Encoder, Error};

    fn decodes(entry: &Entry) -> Result<Entry, Error> {
        let (mut encoder, mut refs) = (Encoder::new(), PageRefs::default());
        encode_entry(entry, &mut encoder, &mut refs);
        let (bytes, data) = (encoder.into_bytes(), refs.data.take());
        let mut refs = PageRefReader { children: RefReader::new(&[]), data: RefReader::new(&data) };
        Decoder::whole(&bytes, |decoder| decode_entry(decoder, &mut refs))
    }

    #[test]
    fn what_the_writer_refuses_does_not_decode_either() {
        let good = file(1, &[5]);
        let value = |bytes| vec![(b"user.a".to_vec(), XattrValue::Inline(bytes))];
        let short = vec![(b"user.a".to_vec(), XattrValue::Chunks(vec![(ChunkId([1; 32]), 1024)]))];
        let late = Timestamp { seconds: 0, nanoseconds: 1_000_000_000 };
        let bad = [
            Entry { mode: 0o10000, ..good.clone() },
            Entry { modified: late, ..good.clone() },
            Entry { accessed: Some(late), ..good.clone() },
            Entry { xattrs: value(vec![0; 1025]), ..good.clone() },
            Entry { xattrs: short, ..good.clone() },
            Entry { xattrs: [value(vec![]), value(vec![])].concat(), ..good.clone() },
            file(1, &[5; 513]),
            Entry {
                kind: EntryKind::File(Content::Extents(vec![Extent::Hole { length: u64::MAX }; 2])),
                ..good.clone()
            },
        ];
        for bad in bad {
            assert!(check(&bad).is_err(), "{bad:?}");
            assert!(matches!(decodes(&bad), Err(Error::Invalid(_))), "{bad:?}");
        }
        assert!(check(&good).is_ok());
        assert!(check(&Entry { size: 6, ..good.clone() }).is_err());
        assert!(check(&Entry { size: 1, ..entry(EntryKind::Socket) }).is_err());
    }
}
