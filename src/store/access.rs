//! What reaches a place beside its location: credentials, certificates, limits, patience.
//!
//! What is not said here the providers' own chains find: variables, profiles, metadata services, ssh's configuration and agent.

use super::pace::Pace;
use super::traffic::Traffic;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Hidden(Zeroizing<String>);

impl Hidden {
    /// Takes a secret.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The secret.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hidden(…)")
    }
}

/// How a run reaches its places. Cheap to clone: counters and limits are shared by the clones.
#[derive(Debug, Clone)]
pub struct Access {
    /// Options as a location's query has them; the location's own outrank these.
    pub options: BTreeMap<String, String>,
    /// S3: the access key's id, the secret access key, and the token of temporary ones. B2: the key's id and the key.
    pub access_key_id: Option<Hidden>,
    /// See [`Self::access_key_id`].
    pub secret_access_key: Option<Hidden>,
    /// See [`Self::access_key_id`].
    pub session_token: Option<Hidden>,
    /// Azure: the storage account's key.
    pub account_key: Option<Hidden>,
    /// Azure: a shared access signature.
    pub sas_token: Option<Hidden>,
    /// Azure: a connection string, which holds account, key or signature, and endpoint.
    pub connection_string: Option<Hidden>,
    /// Google: the file of a service account.
    pub credential_file: Option<PathBuf>,
    /// WebDAV: who logs in, when the location does not say.
    pub user: Option<String>,
    /// WebDAV: their password.
    pub password: Option<Hidden>,
    /// Certificates (PEM) that are trusted beside the system's.
    pub ca_cert: Option<PathBuf>,
    /// A certificate and its key (PEM) that this client shows.
    pub client_cert: Option<PathBuf>,
    /// The command that is used in place of `ssh`, and its first arguments.
    pub ssh: Vec<String>,
    /// The limit of what is sent.
    pub upload: Option<Arc<Pace>>,
    /// The limit of what is received.
    pub download: Option<Arc<Pace>>,
    /// How long one call is tried again before it fails.
    pub patience: Duration,
    /// How long a request may make no headway.
    pub stall: Duration,
    /// The folder of this machine where small objects are kept as they came, and how many bytes of them; nowhere, unless it is said.
    pub objects: Option<(PathBuf, u64)>,
    /// The folder of this machine for what is read of packs, in a file without a name, while all of them is read; and how many bytes.
    pub spool: Option<(PathBuf, u64)>,
    /// What went over the network.
    pub traffic: Arc<Traffic>,
}

/// As long as restic tries.
const PATIENCE: Duration = Duration::from_secs(15 * 60);
/// As long as restic waits for headway.
const STALL: Duration = Duration::from_secs(120);

impl Default for Access {
    fn default() -> Self {
        Self {
            options: BTreeMap::new(),
            access_key_id: None,
            secret_access_key: None,
            session_token: None,
            account_key: None,
            sas_token: None,
            connection_string: None,
            credential_file: None,
            user: None,
            password: None,
            ca_cert: None,
            client_cert: None,
            ssh: Vec::new(),
            upload: None,
            download: None,
            patience: PATIENCE,
            stall: STALL,
            objects: None,
            spool: None,
            traffic: Arc::default(),
        }
    }
}
