//! The bytes of a bundle. One bundle has one encoding; which keys are in it follows from the role's byte.

use super::Error;
use super::bundle::Bundle;
use super::epoch::EpochKeys;
use super::principal::PrincipalKeys;
use super::role::Role;
use crate::crypto::hpke::OpeningKey;
use crate::crypto::secret::{Secret, SecretBytes};
use crate::crypto::sign::PublicKey;
use crate::repo::id::RepositoryId;
use crate::repo::wire::{self, Decoder, Encoder, Extensions};
use std::collections::BTreeMap;

/// The version of the encoding.
const VERSION: u8 = 1;
const WHAT: &str = "the bundle of keys";

/// Room for everything but epochs and extensions, generously.
const FIXED: usize = 512;
/// Room for one epoch.
const PER_EPOCH: usize = 5 + 32 + 32;

pub(super) fn encode(bundle: &Bundle) -> SecretBytes {
    let mut extensions = Encoder::new();
    bundle.extensions.encode(&mut extensions);
    let extensions = SecretBytes::new(extensions.into_bytes());
    // With all room taken at once, no half-written copy of the keys is left behind in freed memory.
    let mut out = Encoder::with_capacity(FIXED + PER_EPOCH * bundle.epochs.len() + extensions.expose().len());
    out.u8(VERSION).u8(bundle.role as u8).raw(&bundle.repository.0).raw(&bundle.config_hash).raw(&bundle.admin.0);
    let own = &bundle.principal;
    out.raw(own.seed.expose()).raw(own.opening.0.expose()).raw(own.secret.expose()).raw(bundle.structure_key.expose());
    for key in [&bundle.id_key, &bundle.chunker_key, &bundle.admin_seed].into_iter().flatten() {
        out.raw(key.expose());
    }
    out.uint(bundle.epochs.len() as u64);
    bundle.epochs.values().for_each(|keys| keys.encode(&mut out));
    out.raw(extensions.expose());
    SecretBytes::new(out.into_bytes())
}

pub(super) fn decode(bytes: &[u8]) -> Result<Bundle, Error> {
    if let Some(&version) = bytes.first()
        && version != VERSION
    {
        return Err(Error::Version { what: WHAT, version });
    }
    let bundle = Decoder::whole(bytes, read).map_err(Error::format(WHAT))?;
    match bundle.admin_signing_key() {
        Some(key) if key.public() != bundle.admin => {
            Err(Error::format(WHAT)(wire::Error::Invalid("the admin's key halves do not match")))
        }
        _ => Ok(bundle),
    }
}

fn read(decoder: &mut Decoder<'_>) -> Result<Bundle, wire::Error> {
    let _version = decoder.u8()?;
    let role = Role::from_number(decoder.u8()?).ok_or(wire::Error::Invalid("an unknown role"))?;
    let repository = RepositoryId(decoder.array()?);
    let config_hash = decoder.array()?;
    let admin = PublicKey(decoder.array()?);
    let principal =
        PrincipalKeys { seed: secret(decoder)?, opening: OpeningKey(secret(decoder)?), secret: secret(decoder)? };
    let structure_key = secret(decoder)?;
    let mut secret_if = |held: bool| held.then(|| secret(decoder)).transpose();
    let (id_key, chunker_key, admin_seed) =
        (secret_if(role.names_chunks())?, secret_if(role.writes())?, secret_if(role.may_certify())?);
    let epochs = decoder.list(|decoder| EpochKeys::decode(decoder, role))?;
    if epochs.is_empty() || !epochs.is_sorted_by(|a, b| a.epoch < b.epoch) {
        return Err(wire::Error::Invalid("epochs missing or out of order"));
    }
    let epochs: BTreeMap<_, _> = epochs.into_iter().map(|keys| (keys.epoch, keys)).collect();
    let extensions = Extensions::decode(decoder, &[])?;
    Ok(Bundle {
        repository,
        role,
        config_hash,
        admin,
        principal,
        structure_key,
        id_key,
        chunker_key,
        admin_seed,
        epochs,
        extensions,
    })
}

fn secret(decoder: &mut Decoder<'_>) -> Result<Secret, wire::Error> {
    decoder.array().map(Secret::new)
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_role_survives_the_trip() {
        for role in Role::ALL {
            let bundle = fixture::granted(role);
            assert_eq!(decode(bundle.encode().expose()).unwrap(), bundle);
        }
    }

    #[test]
    fn unknown_fields_survive_and_unknown_versions_do_not() {
        let mut bundle = fixture::granted(Role::Reader);
        bundle.extensions.set(2, b"kept".to_vec());
        let mut bytes = bundle.encode().expose().to_vec();
        assert_eq!(decode(&bytes).unwrap().extensions.get(2), Some(&b"kept"[..]));
        bytes[0] = 2;
        assert!(matches!(decode(&bytes), Err(Error::Version { version: 2, .. })));
    }

    #[test]
    fn one_role_is_not_taken_for_another() {
        for role in Role::ALL {
            let mut bytes = fixture::granted(role).encode().expose().to_vec();
            for other in (0..=5).filter(|&other| other != role as u8) {
                bytes[1] = other;
                assert!(decode(&bytes).is_err(), "{role} as {other}");
            }
        }
    }

    #[test]
    fn an_admin_key_that_is_not_the_repositorys_is_refused() {
        let mut bundle = fixture::admin();
        bundle.admin_seed = Some(Secret::generate());
        assert!(matches!(decode(bundle.encode().expose()), Err(Error::Format { .. })));
    }

    #[test]
    fn buffers_do_not_grow_while_keys_are_in_them() {
        let mut bundle = fixture::admin();
        (3..200).for_each(|epoch| bundle.add_epoch(fixture::epoch_numbered(epoch)).unwrap());
        let room = FIXED + PER_EPOCH * bundle.epochs.len();
        assert!(bundle.encode().expose().len() <= room);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_bytes_give_a_bundle_or_an_error(mut bytes in proptest::collection::vec(any::<u8>(), 0..700), role in 1u8..5) {
            let _ = decode(&bytes);
            if bytes.len() > 1 {
                (bytes[0], bytes[1]) = (VERSION, role);
            }
            if let Ok(bundle) = decode(&bytes) {
                let again = bundle.encode();
                prop_assert_eq!(again.expose(), &bytes[..]);
            }
        }

        #[test]
        fn cut_short_is_an_error(cut in 0usize..400) {
            let bytes = fixture::admin().encode();
            let cut = cut.min(bytes.expose().len() - 1);
            prop_assert!(decode(&bytes.expose()[..cut]).is_err());
        }
    }
}
