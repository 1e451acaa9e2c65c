//! Who signs what opendal has no call for: from the same credentials, found in the same order, as opendal's own requests.

use super::super::remote_url::Scheme;
use super::operator::{ANY_REGION, Azure, Settings};
use super::signed::{Signing, context};
use opendal::HttpTransporter;
use reqsign_core::{ProvideCredentialChain, Signer};

impl Settings<'_> {
    /// The signer of a place with archive tiers.
    ///
    /// # Errors
    /// When something is missing or wrong, in words.
    pub fn signing(&self, transport: &HttpTransporter) -> Result<Signing, String> {
        let anonymous = self.flag("anonymous")? == Some(true);
        Ok(match self.url.scheme {
            Scheme::S3 if anonymous => Signing::S3(None),
            Scheme::S3 => Signing::S3(Some(self.s3_signer(transport))),
            Scheme::Azblob if anonymous => Signing::Azure(None),
            Scheme::Azblob => Signing::Azure(Some(self.azure_signer(transport)?)),
            Scheme::B2 | Scheme::Gcs | Scheme::Sftp | Scheme::Webdav | Scheme::Webdavs => Signing::Other,
        })
    }

    fn s3_signer(&self, transport: &HttpTransporter) -> Signer<reqsign_aws_v4::Credential> {
        use reqsign_aws_v4::{DefaultCredentialProvider, RequestSigner, StaticCredentialProvider};
        let mut found = DefaultCredentialProvider::builder();
        if let Some(profile) = self.option("profile") {
            found = found.with_profile(profile);
        }
        let mut chain = ProvideCredentialChain::new().push(found.build());
        if let Some((id, key)) = self.s3_key() {
            let mut named = StaticCredentialProvider::new(id.expose(), key.expose());
            if let Some(token) = &self.access.session_token {
                named = named.with_session_token(token.expose());
            }
            chain = chain.push_front(named);
        }
        let region = self.region();
        Signer::new(context(transport), chain, RequestSigner::new("s3", region.as_deref().unwrap_or(ANY_REGION)))
    }

    fn azure_signer(&self, transport: &HttpTransporter) -> Result<Signer<reqsign_azure_storage::Credential>, String> {
        use reqsign_azure_storage::{DefaultCredentialProvider, RequestSigner, StaticCredentialProvider};
        let Azure { account, key, token, .. } = self.azure()?;
        let mut chain = ProvideCredentialChain::new().push(DefaultCredentialProvider::new());
        if let (Some(account), Some(key)) = (account, key) {
            chain = chain.push_front(StaticCredentialProvider::new_shared_key(&account, key.expose()));
        }
        if let Some(token) = token {
            chain = chain.push_front(StaticCredentialProvider::new_sas_token(token.expose()));
        }
        Ok(Signer::new(context(transport), chain, RequestSigner::new()))
    }
}
