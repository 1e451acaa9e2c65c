//! The byte encoding of everything boveda writes: fixed order, little-endian, lengths before bytes, one encoding per value.
//!
//! Numbers are LEB128 varints in their shortest form; a longer form is refused, so that equal values have equal bytes.
//! Decoders never trust a length: nothing is allocated that the remaining input could not fill.

/// Why bytes do not decode. The caller adds which object they came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The input ends inside a value.
    #[error("ends too early")]
    Truncated,
    /// Bytes follow after the last value.
    #[error("has trailing bytes")]
    Trailing,
    /// A number is not in its shortest form, or does not fit its type.
    #[error("holds a malformed number")]
    Number,
    /// A value breaks a rule of the format; the text names it.
    #[error("breaks the format: {0}")]
    Invalid(&'static str),
    /// A critical extension that this version does not know.
    #[error("needs a newer boveda (critical field {0})")]
    Critical(u64),
}

/// Appends values to a byte string.
#[derive(Debug, Default, Clone)]
pub struct Encoder {
    bytes: Vec<u8>,
}

impl Encoder {
    /// An empty encoder.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty encoder with room for `capacity` bytes: secrets that fit are never moved while they are written.
    pub fn with_capacity(capacity: usize) -> Self {
        Self { bytes: Vec::with_capacity(capacity) }
    }

    /// What was written so far.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Bytes written so far.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// One byte.
    pub fn u8(&mut self, value: u8) -> &mut Self {
        self.bytes.push(value);
        self
    }

    /// A number, 1 to 10 bytes.
    pub fn uint(&mut self, mut value: u64) -> &mut Self {
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.u8(value as u8)
    }

    /// A signed number, zigzag.
    pub fn int(&mut self, value: i64) -> &mut Self {
        self.uint(((value << 1) ^ (value >> 63)) as u64)
    }

    /// A yes or no: one byte, 1 or 0.
    pub fn bool(&mut self, value: bool) -> &mut Self {
        self.u8(u8::from(value))
    }

    /// Bytes whose length the format fixes.
    pub fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// A length, then that many bytes.
    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.uint(bytes.len() as u64).raw(bytes)
    }

    /// A text: its UTF-8 as bytes.
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.bytes(text.as_bytes())
    }

    /// A count, then each item.
    pub fn list<T>(&mut self, items: &[T], mut each: impl FnMut(&mut Self, &T)) -> &mut Self {
        self.uint(items.len() as u64);
        for item in items {
            each(self, item);
        }
        self
    }

    /// Absent (0), or present (1) and the item.
    pub fn option<T>(&mut self, item: Option<&T>, each: impl FnOnce(&mut Self, &T)) -> &mut Self {
        self.bool(item.is_some());
        if let Some(item) = item {
            each(self, item);
        }
        self
    }
}

/// Takes values off a byte string.
#[derive(Debug, Clone)]
pub struct Decoder<'a> {
    rest: &'a [u8],
}

impl<'a> Decoder<'a> {
    /// Decodes from `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Decodes a whole value: `read`, then nothing may be left.
    ///
    /// # Errors
    /// What `read` reports, or [`Error::Trailing`].
    pub fn whole<T, E: From<Error>>(bytes: &'a [u8], read: impl FnOnce(&mut Self) -> Result<T, E>) -> Result<T, E> {
        let mut decoder = Self::new(bytes);
        let value = read(&mut decoder)?;
        decoder.finish()?;
        Ok(value)
    }

    /// What is left.
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Refuses anything left over.
    ///
    /// # Errors
    /// [`Error::Trailing`].
    pub const fn finish(&self) -> Result<(), Error> {
        if self.rest.is_empty() { Ok(()) } else { Err(Error::Trailing) }
    }

    /// The next `length` bytes.
    ///
    /// # Errors
    /// [`Error::Truncated`].
    pub fn raw(&mut self, length: usize) -> Result<&'a [u8], Error> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Error::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    /// The next `N` bytes.
    ///
    /// # Errors
    /// [`Error::Truncated`].
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(Error::Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }

    /// One byte.
    ///
    /// # Errors
    /// [`Error::Truncated`].
    pub fn u8(&mut self) -> Result<u8, Error> {
        Ok(self.array::<1>()?[0])
    }

    /// A yes or no.
    ///
    /// # Errors
    /// [`Error::Truncated`], or a byte other than 0 and 1.
    pub fn bool(&mut self) -> Result<bool, Error> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Error::Invalid("neither yes nor no")),
        }
    }

    /// A number.
    ///
    /// # Errors
    /// [`Error::Truncated`], or [`Error::Number`] when it is not in its shortest form or exceeds 64 bits.
    pub fn uint(&mut self) -> Result<u64, Error> {
        let mut value = 0u64;
        for shift in (0..).step_by(7) {
            let byte = self.u8()?;
            if shift == 63 && byte > 1 {
                return Err(Error::Number);
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return if byte == 0 && shift > 0 { Err(Error::Number) } else { Ok(value) };
            }
        }
        unreachable!("the tenth byte of a number either ends it or is refused")
    }

    /// A signed number.
    ///
    /// # Errors
    /// As [`Self::uint`].
    pub fn int(&mut self) -> Result<i64, Error> {
        let raw = self.uint()?;
        Ok((raw >> 1) as i64 ^ -((raw & 1) as i64))
    }

    /// A number that fits a smaller type.
    ///
    /// # Errors
    /// As [`Self::uint`]; [`Error::Number`] when it does not fit.
    pub fn uint_as<T: TryFrom<u64>>(&mut self) -> Result<T, Error> {
        T::try_from(self.uint()?).map_err(|_| Error::Number)
    }

    /// A length, then that many bytes.
    ///
    /// # Errors
    /// [`Error::Truncated`] or [`Error::Number`].
    pub fn bytes(&mut self) -> Result<&'a [u8], Error> {
        let length = self.uint_as()?;
        self.raw(length)
    }

    /// A text.
    ///
    /// # Errors
    /// As [`Self::bytes`]; [`Error::Invalid`] when it is not UTF-8.
    pub fn text(&mut self) -> Result<String, Error> {
        let bytes = self.bytes()?;
        std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| Error::Invalid("a text that is not UTF-8"))
    }

    /// A count, then each item. Every item must take at least one byte, so the count never exceeds what is left.
    ///
    /// # Errors
    /// [`Error::Truncated`], or what `each` reports.
    pub fn list<T, E: From<Error>>(&mut self, mut each: impl FnMut(&mut Self) -> Result<T, E>) -> Result<Vec<T>, E> {
        let count: usize = self.uint_as()?;
        if count > self.rest.len() {
            return Err(Error::Truncated.into());
        }
        // Items are larger in memory than in bytes: grow with what really decodes, not with what is claimed.
        let mut items = Vec::with_capacity(count.min(1024));
        for _ in 0..count {
            items.push(each(self)?);
        }
        Ok(items)
    }

    /// Absent, or present and the item.
    ///
    /// # Errors
    /// What `each` reports, or a bad presence byte.
    pub fn option<T, E: From<Error>>(&mut self, each: impl FnOnce(&mut Self) -> Result<T, E>) -> Result<Option<T>, E> {
        if self.bool()? { each(self).map(Some) } else { Ok(None) }
    }
}

/// Optional fields at the end of a structure: number and bytes each, in ascending order of their numbers.
///
/// Odd numbers are critical: a reader that does not know one refuses the structure. Even ones are kept as they are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extensions(Vec<(u64, Vec<u8>)>);

impl zeroize::Zeroize for Extensions {
    /// Wipes the fields: those of a bundle are secret.
    fn zeroize(&mut self) {
        self.0.iter_mut().for_each(|(_, bytes)| bytes.zeroize());
        self.0.clear();
    }
}

impl Extensions {
    /// Sets a field.
    pub fn set(&mut self, number: u64, bytes: Vec<u8>) {
        match self.0.binary_search_by_key(&number, |field| field.0) {
            Ok(at) => self.0[at].1 = bytes,
            Err(at) => self.0.insert(at, (number, bytes)),
        }
    }

    /// Whether there is no field at all.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A field's bytes.
    pub fn get(&self, number: u64) -> Option<&[u8]> {
        let at = self.0.binary_search_by_key(&number, |field| field.0).ok()?;
        Some(&self.0[at].1)
    }

    /// Appends the fields.
    pub fn encode(&self, encoder: &mut Encoder) {
        encoder.list(&self.0, |encoder, (number, bytes)| {
            encoder.uint(*number).bytes(bytes);
        });
    }

    /// Reads the fields; `known` lists the critical ones that the caller understands.
    ///
    /// # Errors
    /// [`Error::Critical`] for an unknown critical field; [`Error::Invalid`] when out of order.
    pub fn decode(decoder: &mut Decoder<'_>, known: &[u64]) -> Result<Self, Error> {
        let fields = decoder.list(|decoder| Ok::<_, Error>((decoder.uint()?, decoder.bytes()?.to_vec())))?;
        if !fields.is_sorted_by(|a, b| a.0 < b.0) {
            return Err(Error::Invalid("fields out of order"));
        }
        match fields.iter().find(|(number, _)| number % 2 == 1 && !known.contains(number)) {
            Some((number, _)) => Err(Error::Critical(*number)),
            None => Ok(Self(fields)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_one_encoding() {
        for value in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX - 1, u64::MAX] {
            let mut encoder = Encoder::new();
            encoder.uint(value);
            let bytes = encoder.into_bytes();
            assert_eq!(Decoder::whole(&bytes, Decoder::uint), Ok(value));
            assert_eq!(Decoder::whole(&bytes[..bytes.len() - 1], Decoder::uint), Err(Error::Truncated));
        }
        for padded in [&[0x80, 0x00][..], &[0xff, 0x80, 0x00], &[0xff; 11]] {
            assert_eq!(Decoder::whole(padded, Decoder::uint), Err(Error::Number));
        }
        for value in [0, -1, 1, i64::MIN, i64::MAX] {
            let mut encoder = Encoder::new();
            encoder.int(value);
            assert_eq!(Decoder::whole(&encoder.into_bytes(), Decoder::int), Ok(value));
        }
    }

    #[test]
    fn a_claimed_count_allocates_nothing() {
        let mut encoder = Encoder::new();
        encoder.uint(u64::MAX >> 1);
        assert_eq!(Decoder::whole(&encoder.into_bytes(), |d| d.list(Decoder::u8)), Err(Error::Truncated));
    }

    #[test]
    fn unknown_fields_are_kept_or_refused() {
        let mut fields = Extensions::default();
        fields.set(4, b"four".to_vec());
        fields.set(2, b"two".to_vec());
        let mut encoder = Encoder::new();
        fields.encode(&mut encoder);
        let bytes = encoder.into_bytes();
        assert_eq!(Decoder::whole(&bytes, |d| Extensions::decode(d, &[])), Ok(fields.clone()));
        fields.set(3, vec![]);
        let mut encoder = Encoder::new();
        fields.encode(&mut encoder);
        let bytes = encoder.into_bytes();
        assert_eq!(Decoder::whole(&bytes, |d| Extensions::decode(d, &[])), Err(Error::Critical(3)));
        assert_eq!(Decoder::whole(&bytes, |d| Extensions::decode(d, &[3])), Ok(fields));
    }
}
