//! Azure's connection strings: `AccountName=…;AccountKey=…;EndpointSuffix=…`.

use super::super::access::Hidden;

/// The key of the account that every emulator has.
const DEVELOPMENT_KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// What a connection string says.
#[derive(Debug, Default)]
pub struct Account {
    /// The storage account.
    pub name: Option<String>,
    /// Its key.
    pub key: Option<Hidden>,
    /// A shared access signature in its place.
    pub signature: Option<Hidden>,
    /// Where its blobs are.
    pub endpoint: Option<String>,
}

impl Account {
    /// Where the blobs of an account of the public cloud are.
    pub fn endpoint_of(name: &str) -> String {
        format!("https://{name}.blob.core.windows.net")
    }
}

/// Takes a connection string apart.
///
/// # Errors
/// When it is none. The text is not repeated: it holds a secret.
pub fn connection_string(text: &str) -> Result<Account, String> {
    let mut account = Account::default();
    let (mut protocol, mut suffix) = ("https", "core.windows.net");
    for pair in text.trim().split(';').filter(|pair| !pair.trim().is_empty()) {
        let (name, value) = pair.trim().split_once('=').ok_or("the connection string has a part without =")?;
        match name.to_ascii_lowercase().as_str() {
            "accountname" => account.name = Some(value.to_owned()),
            "accountkey" => account.key = Some(Hidden::new(value.to_owned())),
            "sharedaccesssignature" => account.signature = Some(Hidden::new(value.to_owned())),
            "blobendpoint" => account.endpoint = Some(value.trim_end_matches('/').to_owned()),
            "defaultendpointsprotocol" => protocol = value,
            "endpointsuffix" => suffix = value,
            "usedevelopmentstorage" if value.eq_ignore_ascii_case("true") => {
                account.name = Some("devstoreaccount1".to_owned());
                account.key = Some(Hidden::new(DEVELOPMENT_KEY.to_owned()));
                account.endpoint = Some("http://127.0.0.1:10000/devstoreaccount1".to_owned());
            }
            // Queues, tables and files are not for us.
            _ => {}
        }
    }
    if account.endpoint.is_none() {
        let name = account.name.as_ref().ok_or("the connection string has neither AccountName nor BlobEndpoint")?;
        account.endpoint = Some(format!("{protocol}://{name}.blob.{suffix}"));
    }
    Ok(account)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connection_strings_come_apart() {
        let account = connection_string(
            "DefaultEndpointsProtocol=https;AccountName=acme;AccountKey=a2V5==;EndpointSuffix=core.windows.net",
        )
        .unwrap();
        assert_eq!(account.endpoint.as_deref(), Some("https://acme.blob.core.windows.net"));
        assert_eq!(account.key.unwrap().expose(), "a2V5==");
        let account = connection_string("BlobEndpoint=https://x/;SharedAccessSignature=sv=1&sig=a%3D").unwrap();
        assert_eq!((account.endpoint.as_deref(), account.name), (Some("https://x"), None));
        assert_eq!(account.signature.unwrap().expose(), "sv=1&sig=a%3D");
        assert!(connection_string("UseDevelopmentStorage=true").unwrap().endpoint.unwrap().contains(":10000"));
        for bad in ["nonsense", "", "AccountKey=SECRET"] {
            assert!(!connection_string(bad).unwrap_err().contains("SECRET"));
        }
    }
}
