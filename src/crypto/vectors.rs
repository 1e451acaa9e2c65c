//! Published test vectors: the crates below this room compute what the standards say, and still do after an update.

use super::hpke::{OpeningKey, open_with_aad};
use super::kdf::{Argon2Parameters, argon2id};
use super::secret::Secret;
use super::{hash, sign};
use aws_lc_rs::aead as gcm;
use chacha20poly1305::{AeadInOut, KeyInit, XChaCha20Poly1305};
use ed25519_dalek::Signer as _;

fn hex(digits: &str) -> Vec<u8> {
    let digits: String = digits.split_whitespace().collect();
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

fn hex_array<const N: usize>(digits: &str) -> [u8; N] {
    hex(digits).try_into().unwrap()
}

/// draft-irtf-cfrg-xchacha-03, A.3.1.
#[test]
fn xchacha20_poly1305() {
    let mut message = b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, \
                        sunscreen would be it."
        .to_vec();
    let key: [u8; 32] = std::array::from_fn(|at| 0x80 + at as u8);
    let nonce: [u8; 24] = std::array::from_fn(|at| 0x40 + at as u8);
    let tag = XChaCha20Poly1305::new((&key).into())
        .encrypt_inout_detached((&nonce).into(), &hex("50515253c0c1c2c3c4c5c6c7"), message.as_mut_slice().into())
        .unwrap();
    assert_eq!(
        message,
        hex("bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb731c7f1b0b4aa6440bf3a82f4eda7e39ae64c670
             8c54c216cb96b72e1213b4522f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff921f9664c97637da9
             768812f615c68b13b52e")
    );
    assert_eq!(tag[..], hex("c0875924c1c7987947deafd8780acf49"));
}

/// McGrew and Viega, "The Galois/Counter Mode of Operation", test case 16, as NIST publishes it.
#[test]
fn aes_256_gcm() {
    let key = hex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308");
    let mut message = hex("d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72
                           1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39");
    let tag = gcm::LessSafeKey::new(gcm::UnboundKey::new(&gcm::AES_256_GCM, &key).unwrap())
        .seal_in_place_separate_tag(
            gcm::Nonce::assume_unique_for_key(hex_array("cafebabefacedbaddecaf888")),
            gcm::Aad::from(hex("feedfacedeadbeeffeedfacedeadbeefabaddad2")),
            &mut message,
        )
        .unwrap();
    assert_eq!(
        message,
        hex("522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa
             8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662")
    );
    assert_eq!(tag.as_ref(), hex("76fc6ece0f4e1768cddf8853bb2d551b"));
}

/// RFC 9106, 5.3.
#[test]
fn argon2id_as_in_its_rfc() {
    let parameters = argon2::ParamsBuilder::new()
        .m_cost(32)
        .t_cost(3)
        .p_cost(4)
        .data(argon2::AssociatedData::new(&[4; 12]).unwrap())
        .build()
        .unwrap();
    let argon2 =
        argon2::Argon2::new_with_secret(&[3; 8], argon2::Algorithm::Argon2id, argon2::Version::V0x13, parameters)
            .unwrap();
    let mut tag = [0; 32];
    argon2.hash_password_into(&[1; 32], &[2; 16], &mut tag).unwrap();
    assert_eq!(tag[..], hex("0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659"));
}

/// The reference implementation's answer (phc-winner-argon2) for the cheapest cost that boveda accepts.
#[test]
fn argon2id_as_the_reference_implementation() {
    let cost = Argon2Parameters { memory_kib: 64 * 1024, passes: 2, lanes: 4 };
    let key = argon2id(cost, &[7; 32], b"correct horse battery staple").unwrap();
    assert_eq!(key.expose()[..], hex("d694971a4ecb0b19a27599536b025b0f570ed586aaa4e76f5143e94e1e80f72d"));
}

/// RFC 9180, A.2.1.1, sequence number 0.
#[test]
fn hpke_base_mode() {
    let recipient =
        OpeningKey(Secret::new(hex_array("8057991eef8f1f1af18f4a9491d16a1ce333f695d4db8e38da75975c4478e0fb")));
    assert_eq!(recipient.public().0[..], hex("4310ee97d88cc1f088a5576c77ab0cf5c3ac797f3d95139c6c84b5429c59662a"));
    let sealed = hex("1afa08d3dec047a643885163f1180476fa7ddb54c6a8029ea33f95796bf2ac4a
                      1c5250d8034ec2b784ba2cfd69dbdb8af406cfe3ff938e131f0def8c8b60b4db21993c62ce81883d2dd1b51a28");
    let plain = open_with_aad(&recipient, b"Ode on a Grecian Urn", b"Count-0", &sealed).unwrap();
    assert_eq!(plain.expose(), b"Beauty is truth, truth beauty");
}

/// RFC 8032, 7.1, test 2.
#[test]
fn ed25519() {
    let seed = hex_array("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb");
    let public = sign::SigningKey::from_seed(&Secret::new(seed)).public();
    assert_eq!(public.0[..], hex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"));
    let signature = ed25519_dalek::SigningKey::from_bytes(&seed).sign(&[0x72]);
    assert_eq!(
        signature.to_bytes()[..],
        hex("92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da
             085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00")
    );
}

/// The BLAKE3 project's `test_vectors.json`: input bytes count from 0 to 250 and start again.
#[test]
fn blake3() {
    let input = |length: usize| (0..length).map(|at| (at % 251) as u8).collect::<Vec<_>>();
    let key = Secret::new(*b"whats the Elvish word for friend");
    for (length, plain, keyed) in [
        (
            0,
            "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
            "92b2b75604ed3c761f9d6f62392c8a9227ad0ea3f09573e783f1498a4ed60d26",
        ),
        (
            1,
            "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213",
            "6d7878dfff2f485635d39013278ae14f1454b8c0a3a2d34bc1ab38228a80c95b",
        ),
        (
            102_400,
            "bc3e3d41a1146b069abffad3c0d44860cf664390afce4d9661f7902e7943e085",
            "1c35d1a5811083fd7119f5d5d1ba027b4d01c0c6c49fb6ff2cf75393ea5db4a7",
        ),
    ] {
        assert_eq!(hash::blake3(&input(length))[..], hex(plain), "{length}");
        assert_eq!(hash::keyed(&key, &input(length))[..], hex(keyed), "{length}");
    }
    assert_eq!(
        ::blake3::derive_key("BLAKE3 2019-12-27 16:29:52 test vectors context", b"")[..],
        hex("2cc39783c223154fea8dfb7c1b1660f2ac2dcbd1c1de8277b0b0dd39b7e50d7d")
    );
}

/// FIPS 180-4's and RFC 1321's own examples.
#[test]
fn sha256_and_md5() {
    assert_eq!(hash::sha256(b"abc")[..], hex("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
    assert_eq!(hash::md5(b"abc")[..], hex("900150983cd24fb0d6963f7d28e17f72"));
}
