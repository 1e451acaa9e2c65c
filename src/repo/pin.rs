//! The body of a pin: a reader's wish that what it shows stays. See "Pins" in `FORMAT.md`.

use super::id::PrincipalId;
use super::wire::{Decoder, Encoder, Error, Extensions};

/// What a pin says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// Who signed it.
    pub principal: PrincipalId,
    /// The newest position of the log that the reader had read: snapshots that are forgotten behind it are to stay.
    pub position: u64,
    /// When, in seconds since 1970 by the reader's clock; for people.
    pub time: i64,
    /// Fields of later versions.
    pub extensions: Extensions,
}

impl Pin {
    /// The body's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut encoder = Encoder::new();
        encoder.raw(&self.principal.0).uint(self.position).int(self.time);
        self.extensions.encode(&mut encoder);
        encoder.into_bytes()
    }

    /// Reads one.
    ///
    /// # Errors
    /// When the bytes are not one.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        Decoder::whole(bytes, |decoder| {
            let (principal, position) = (PrincipalId(decoder.array()?), decoder.uint()?);
            Ok(Self { principal, position, time: decoder.int()?, extensions: Extensions::decode(decoder, &[])? })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::golden;
    use super::*;

    #[test]
    fn golden() {
        let extensions = Extensions::default();
        let pin = Pin { principal: PrincipalId([6; 16]), position: 300, time: 1_795_000_000, extensions };
        assert_eq!(pin.encode(), golden::bytes("pin"));
        assert_eq!(Pin::decode(&pin.encode()), Ok(pin.clone()));
        for cut in 0..pin.encode().len() {
            assert!(Pin::decode(&pin.encode()[..cut]).is_err(), "{cut}");
        }
    }
}
