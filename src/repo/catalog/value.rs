//! Attribute values: short ones stay inside their entry, long ones become data chunks.

use super::Error;
use super::rules::INLINE_VALUE;
use crate::repo::chunks::{self, ChunkSink, ChunkSource};
use crate::repo::entry::XattrValue;
use crate::repo::id::ChunkKind;

/// The longest piece of a value. Linux keeps values to this length, so one chunk is enough there.
const PIECE: usize = 64 * 1024;

/// Keeps `bytes`: up to 1 KiB as they are, longer ones as chunks in `sink`.
///
/// # Errors
/// [`Error::Sink`].
pub fn store_value(sink: &dyn ChunkSink, bytes: &[u8]) -> Result<XattrValue, Error> {
    if bytes.len() <= INLINE_VALUE {
        return Ok(XattrValue::Inline(bytes.to_vec()));
    }
    let put = |piece: &[u8]| Ok((sink.put(ChunkKind::Data, piece)?, piece.len() as u32));
    bytes.chunks(PIECE).map(put).collect::<Result<_, chunks::Error>>().map(XattrValue::Chunks).map_err(Error::Sink)
}

/// The bytes of `value`.
///
/// # Errors
/// [`Error::Value`] when a chunk cannot be had, or is not as long as the entry says.
pub fn read_value(source: &dyn ChunkSource, value: &XattrValue) -> Result<Vec<u8>, Error> {
    let chunks = match value {
        XattrValue::Inline(bytes) => return Ok(bytes.clone()),
        XattrValue::Chunks(chunks) => chunks,
    };
    let mut bytes = Vec::new();
    for (id, length) in chunks {
        let chunk = source.get(ChunkKind::Data, id).map_err(Error::Value)?;
        if chunk.len() as u64 != u64::from(*length) {
            let reason = format!("it has {} bytes instead of {length}", chunk.len());
            return Err(Error::Value(chunks::Error::Damaged { kind: ChunkKind::Data, id: *id, reason }));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::super::testing::MemoryChunks;
    use super::*;

    #[test]
    fn values_of_any_length_come_back() {
        let chunks = MemoryChunks::default();
        for length in [0, 1, INLINE_VALUE, INLINE_VALUE + 1, PIECE, PIECE + 1, 3 * PIECE] {
            let bytes: Vec<u8> = (0..length).map(|at| (at / 7) as u8).collect();
            let value = store_value(&chunks, &bytes).unwrap();
            assert_eq!(matches!(value, XattrValue::Inline(_)), length <= INLINE_VALUE);
            assert_eq!(read_value(&chunks, &value).unwrap(), bytes);
        }
    }

    #[test]
    fn a_chunk_of_another_length_is_damage() {
        let chunks = MemoryChunks::default();
        let XattrValue::Chunks(mut list) = store_value(&chunks, &[1; 2000]).unwrap() else { unreachable!() };
        list[0].1 -= 1;
        assert!(matches!(read_value(&chunks, &XattrValue::Chunks(list)), Err(Error::Value(_))));
    }
}
