//! An installation: the host that writes, with a signing key of its own and a certificate from its principal.
//!
//! The key comes from the principal's secret and the installation's id, so that nothing but the id needs to be kept.

use super::Error;
use super::bundle::Bundle;
use crate::crypto::sign::{PublicKey, Purpose, SIGNATURE_LEN, SigningKey};
use crate::crypto::{context, hash, secret::Secret};
use crate::repo::id::{RepositoryId, WriterId};

const PURPOSE: Purpose = Purpose("boveda v1 installation");

/// One installation of a principal, able to sign.
#[derive(Debug, Clone)]
pub struct Installation {
    /// The writer in object names.
    pub writer: WriterId,
    /// What it signs sessions, records and tables with.
    pub key: SigningKey,
    /// The principal's word for it.
    pub certificate: Certificate,
}

impl Installation {
    /// The installation `writer` of this bundle's principal.
    pub fn derive(bundle: &Bundle, writer: WriterId) -> Self {
        let base = hash::derive_key(context::INSTALLATION, &bundle.principal().secret);
        let key = SigningKey::from_seed(&Secret::new(hash::keyed(&base, &writer.0)));
        let public = key.public();
        let message = message(&bundle.repository(), &writer, &public);
        let signature = bundle.principal().signing_key().sign(PURPOSE, &message);
        Self { writer, key, certificate: Certificate { writer, public, signature } }
    }
}

/// A principal's signature: this installation is one of mine, in this repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Certificate {
    /// The writer in object names.
    pub writer: WriterId,
    /// The installation's public key.
    pub public: PublicKey,
    /// The principal's signature over repository, writer and public key.
    pub signature: [u8; SIGNATURE_LEN],
}

impl Certificate {
    /// Checks that the principal with the signing key `principal` certified this installation for `repository`.
    ///
    /// # Errors
    /// [`Error::Crypto`] when the signature does not verify.
    pub fn verify(&self, repository: &RepositoryId, principal: &PublicKey) -> Result<(), Error> {
        principal
            .verify(PURPOSE, &message(repository, &self.writer, &self.public), &self.signature)
            .map_err(Error::crypto("the installation's certificate"))
    }
}

fn message(repository: &RepositoryId, writer: &WriterId, public: &PublicKey) -> Vec<u8> {
    [&repository.0[..], &writer.0, &public.0].concat()
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{self, WRITER};
    use super::super::role::Role;
    use super::*;

    #[test]
    fn an_installation_is_the_same_again_and_no_other() {
        let bundle = fixture::granted(Role::Writer);
        let installation = Installation::derive(&bundle, WRITER);
        let public = installation.key.public();
        assert_eq!(Installation::derive(&bundle, WRITER).key.public(), public);
        assert_ne!(Installation::derive(&bundle, WriterId([1; 16])).key.public(), public);
        assert_ne!(Installation::derive(&fixture::granted(Role::Admin), WRITER).key.public(), public);
    }

    #[test]
    fn a_certificate_holds_for_one_principal_repository_and_writer() {
        let bundle = fixture::granted(Role::Writer);
        let principal = bundle.principal().signing_key().public();
        let certificate = Installation::derive(&bundle, WRITER).certificate;
        certificate.verify(&bundle.repository(), &principal).unwrap();
        let other = fixture::admin().principal().signing_key().public();
        assert!(certificate.verify(&bundle.repository(), &other).is_err());
        assert!(certificate.verify(&RepositoryId([9; 32]), &principal).is_err());
        let forged = Certificate { writer: WriterId([9; 16]), ..certificate };
        assert!(forged.verify(&bundle.repository(), &principal).is_err());
        let forged = Certificate { public: other, ..certificate };
        assert!(forged.verify(&bundle.repository(), &principal).is_err());
    }
}
