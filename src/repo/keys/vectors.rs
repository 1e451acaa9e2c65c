//! The golden bytes of `FORMAT.md` that concern keys and sealing, but for slots, which are held in their own file.

use super::data_key::Wrap;
use super::epoch::unwrap_epoch;
use super::fixture::{self, WRITER};
use super::installation::Installation;
use super::role::Role;
use crate::crypto::aead::{self, Suite};
use crate::crypto::secret::Secret;
use crate::crypto::sign::{Purpose, SigningKey};
use crate::repo::golden;
use crate::repo::wire::{Decoder, Encoder};

#[test]
fn bundles() {
    for role in Role::ALL {
        let bundle = if role == Role::Admin { fixture::admin() } else { fixture::granted(role) };
        assert_eq!(bundle.encode().expose(), golden::bytes(&format!("bundle-{role}")), "{role}");
    }
}

#[test]
fn suites() {
    let (key, nonce) = (Secret::new([0x42; 32]), std::array::from_fn(|at| at as u8));
    for (suite, name) in [(Suite::XChaCha20Poly1305, "sealed-suite-1"), (Suite::Aes256Gcm, "sealed-suite-2")] {
        let bytes = golden::bytes(name);
        assert_eq!(aead::seal_with_nonce(suite, &key, &nonce, b"associated", b"plaintext"), bytes, "{name}");
        assert_eq!(aead::open(suite, &key, b"associated", &bytes).unwrap(), b"plaintext");
    }
}

#[test]
fn signature() {
    let key = SigningKey::from_seed(&Secret::new([3; 32]));
    let signature = key.sign(Purpose("boveda v1 example"), b"message");
    assert_eq!(signature[..], golden::bytes("signature"));
}

#[test]
fn installation_certificate() {
    let certificate = Installation::derive(&fixture::granted(Role::Writer), WRITER).certificate;
    let bytes = [&certificate.public.0[..], &certificate.signature].concat();
    assert_eq!(bytes, golden::bytes("installation"));
}

#[test]
fn epoch_wrap() {
    let keys = unwrap_epoch(&golden::bytes("epoch-wrap"), &fixture::granted(Role::Writer)).unwrap();
    assert_eq!(keys, fixture::epoch(3).restricted_to(Role::Writer).unwrap());
}

#[test]
fn data_key_wraps() {
    for name in ["wrap-symmetric", "wrap-x25519"] {
        let bytes = golden::bytes(name);
        let wrap = Decoder::whole(&bytes, Wrap::decode).unwrap();
        let key = wrap.open(&fixture::granted(Role::Reader)).unwrap();
        assert_eq!(key.secret(), &Secret::new([0x66; 32]), "{name}");
        assert_eq!((wrap.writer, wrap.seq, wrap.epoch), (WRITER, 7, 2), "{name}");
        let mut encoder = Encoder::new();
        wrap.encode(&mut encoder);
        assert_eq!(encoder.into_bytes(), bytes, "{name}");
    }
}
