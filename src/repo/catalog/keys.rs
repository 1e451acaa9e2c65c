//! The keys of one page: front-coded in its payload, side by side in memory, strictly ascending.
//!
//! Each is stored as the number of bytes it shares with the one before, as many as there are, and the rest.

use super::key;
use crate::repo::wire::{Decoder, Encoder, Error};

/// Bytes of keys on one page after which no more than two may follow. Writers stay far below; front coding would otherwise let
/// a small page claim any amount of memory.
const MAX_KEYS: usize = 1 << 20;

/// The keys of a page, ascending.
#[derive(Debug, Default)]
pub struct Keys {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Keys {
    /// The key at `at`.
    pub fn get(&self, at: usize) -> &[u8] {
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        &self.bytes[start..self.ends[at]]
    }

    /// Their number.
    pub const fn len(&self) -> usize {
        self.ends.len()
    }

    /// The first key, if any.
    pub fn first(&self) -> Option<&[u8]> {
        (!self.ends.is_empty()).then(|| self.get(0))
    }

    /// The last key, if any.
    pub fn last(&self) -> Option<&[u8]> {
        self.len().checked_sub(1).map(|last| self.get(last))
    }

    /// Position of the first key that is not below `key`.
    pub fn at_or_after(&self, key: &[u8]) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            if self.get(middle) < key {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// Position of the last key that is not above `key`; 0 if all are.
    pub fn at_or_before(&self, key: &[u8]) -> usize {
        let at = self.at_or_after(key);
        if at < self.len() && self.get(at) == key { at } else { at.saturating_sub(1) }
    }

    /// Bytes of all keys.
    pub const fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Reads one more.
    ///
    /// # Errors
    /// When it is no key, or does not come after the last.
    pub fn decode_next(&mut self, decoder: &mut Decoder<'_>) -> Result<(), Error> {
        let (shared, rest) = (decoder.uint_as::<usize>()?, decoder.bytes()?);
        if self.len() >= 2 && self.bytes.len() >= MAX_KEYS {
            return Err(Error::Invalid("too many long keys on one page"));
        }
        let start = self.bytes.len();
        if let Some(last) = self.last() {
            let ascends = match last.get(shared) {
                Some(byte) => rest.first() > Some(byte),
                None => shared == last.len() && !rest.is_empty(),
            };
            if !ascends {
                return Err(Error::Invalid("keys that do not ascend"));
            }
            let from = start - last.len();
            self.bytes.extend_from_within(from..from + shared);
        } else if shared > 0 {
            return Err(Error::Invalid("a first key that continues another"));
        }
        self.bytes.extend_from_slice(rest);
        self.ends.push(self.bytes.len());
        if key::is_valid(&self.bytes[start..]) { Ok(()) } else { Err(Error::Invalid("a key that is no path")) }
    }
}

/// Appends `key` as what follows `last`, and makes it the last.
pub fn encode_next(last: &mut Vec<u8>, key: &[u8], encoder: &mut Encoder) {
    let shared = last.iter().zip(key).take_while(|(a, b)| a == b).count();
    encoder.uint(shared as u64).bytes(&key[shared..]);
    last.truncate(shared);
    last.extend_from_slice(&key[shared..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(coded: &[(u64, &[u8])]) -> Result<Keys, Error> {
        let mut encoder = Encoder::new();
        for (shared, rest) in coded {
            encoder.uint(*shared).bytes(rest);
        }
        let bytes = encoder.into_bytes();
        let mut keys = Keys::default();
        Decoder::whole(&bytes, |decoder| coded.iter().try_for_each(|_| keys.decode_next(decoder)))?;
        Ok(keys)
    }

    #[test]
    fn keys_come_back_and_are_found() {
        let all = [&b""[..], b"\0\0a", b"\0\0ab", b"\0\0b", b"a\0\0a"];
        let (mut last, mut encoder) = (Vec::new(), Encoder::new());
        all.iter().for_each(|key| encode_next(&mut last, key, &mut encoder));
        let bytes = encoder.into_bytes();
        let mut keys = Keys::default();
        Decoder::whole(&bytes, |decoder| all.iter().try_for_each(|_| keys.decode_next(decoder))).unwrap();
        for (at, key) in all.iter().enumerate() {
            assert_eq!((keys.get(at), keys.at_or_after(key), keys.at_or_before(key)), (*key, at, at));
        }
        assert_eq!((keys.at_or_after(b"\0\0aa"), keys.at_or_before(b"\0\0aa")), (2, 1));
        assert_eq!((keys.at_or_after(b"z"), keys.at_or_before(b"z")), (5, 4));
        assert_eq!((keys.first(), keys.last()), (Some(all[0]), Some(all[4])));
    }

    #[test]
    fn keys_have_one_coding_and_one_order() {
        assert!(decode(&[(0, b"\0\0b"), (2, b"c")]).is_ok());
        assert!(decode(&[(1, b"\0b")]).is_err(), "nothing to share with");
        assert!(decode(&[(0, b"\0\0b"), (2, b"a")]).is_err(), "descends");
        assert!(decode(&[(0, b"\0\0b"), (1, b"\0c")]).is_err(), "shares more than it says");
        assert!(decode(&[(0, b"\0\0b"), (3, b"")]).is_err(), "the same again");
        assert!(decode(&[(0, b"\0\0b"), (4, b"c")]).is_err(), "shares more than there is");
        assert!(decode(&[(0, b"\0\0b"), (0, b"c")]).is_err(), "no key");
    }

    #[test]
    fn a_small_page_cannot_claim_much_memory() {
        let name = [b'x'; 200];
        let long: Vec<u8> = std::iter::repeat_n([&name[..], b"\0"].concat(), MAX_KEYS / 201 + 1).flatten().collect();
        let long = [&long[..], b"\0a"].concat();
        let end = long.len() as u64 - 1;
        assert!(decode(&[(0, &long), (end, b"b")]).is_ok());
        assert!(decode(&[(0, &long), (end, b"b"), (end, b"c")]).is_err());
    }
}
