//! Argon2id: from a password to a key, with bounds that no hostile header can leave.

use super::{Error, secret::Secret};

/// Argon2id's cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Argon2Parameters {
    /// Memory in KiB, 64 MiB to 4 GiB.
    pub memory_kib: u32,
    /// Passes, 1 to 16.
    pub passes: u32,
    /// Lanes, 1 to 16.
    pub lanes: u32,
}

impl Argon2Parameters {
    /// What new slots get: 256 MiB, three passes, four lanes; about half a second on one 2020s core.
    pub const DEFAULT: Self = Self { memory_kib: 256 * 1024, passes: 3, lanes: 4 };

    /// These parameters, if boveda accepts them.
    ///
    /// # Errors
    /// [`Error::KdfParameters`].
    pub fn check(self) -> Result<Self, Error> {
        let fits = (64 * 1024..=4 * 1024 * 1024).contains(&self.memory_kib)
            && (1..=16).contains(&self.passes)
            && (1..=16).contains(&self.lanes);
        if fits { Ok(self) } else { Err(Error::KdfParameters) }
    }
}

/// Hashes `password` with `salt`.
///
/// # Errors
/// [`Error::KdfParameters`] when the parameters leave the accepted range, before any memory is taken.
pub fn argon2id(parameters: Argon2Parameters, salt: &[u8; 32], password: &[u8]) -> Result<Secret, Error> {
    let Argon2Parameters { memory_kib, passes, lanes } = parameters.check()?;
    let parameters = argon2::Params::new(memory_kib, passes, lanes, Some(32)).map_err(|_| Error::KdfParameters)?;
    let argon2 = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, parameters);
    let mut key = [0; 32];
    argon2.hash_password_into(password, salt, &mut key).map_err(|_| Error::KdfParameters)?;
    Ok(Secret::new(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_out_of_range_are_refused_at_once() {
        let good = Argon2Parameters::DEFAULT;
        for bad in [
            Argon2Parameters { memory_kib: 64 * 1024 - 1, ..good },
            Argon2Parameters { memory_kib: u32::MAX, ..good },
            Argon2Parameters { passes: 0, ..good },
            Argon2Parameters { passes: 17, ..good },
            Argon2Parameters { lanes: 0, ..good },
            Argon2Parameters { lanes: 17, ..good },
        ] {
            assert_eq!(argon2id(bad, &[0; 32], b"x").unwrap_err(), Error::KdfParameters);
        }
    }
}
