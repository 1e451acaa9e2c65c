//! Settings that are kept for what is still to come: read, checked and shown, not used yet.
//!
//! Whatever is secret in them stands as the name of a variable.

use super::access::Reach;
use super::values::{Location, Variable};
use serde::{Deserialize, Serialize};

/// Another location that is to hold the same snapshots.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Copy {
    /// Where it is.
    pub url: Location,
    /// The region of a bucket.
    #[serde(default)]
    pub region: Option<String>,
    /// The variable that holds the access key's id.
    #[serde(default)]
    pub access_key_id_env: Option<Variable>,
    /// The variable that holds the secret access key.
    #[serde(default)]
    pub secret_access_key_env: Option<Variable>,
    /// `[repository.NAME.copy.NAME.access]`.
    #[serde(default)]
    pub access: Reach,
}

impl Copy {
    /// How it is reached: what its own section says, and where that is silent the keys beside the location.
    pub fn reach(&self) -> Reach {
        let mut reach = self.access.clone();
        reach.region = reach.region.or_else(|| self.region.clone());
        reach.access_key_id_env = reach.access_key_id_env.or_else(|| self.access_key_id_env.clone());
        reach.secret_access_key_env = reach.secret_access_key_env.or_else(|| self.secret_access_key_env.clone());
        reach
    }
}

/// Whom to tell when something is wrong.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Alert {
    /// Addresses that get a mail.
    pub email: Vec<String>,
    /// The variable that holds the URL of a Slack webhook, which is a secret.
    pub slack_webhook_env: Option<Variable>,
}

/// Databases to take snapshots of.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Database {
    /// The variable that holds the connections, with their passwords.
    pub connections_env: Option<Variable>,
}
