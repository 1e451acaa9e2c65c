//! Options for a password or key that does not open anything yet.

use std::path::PathBuf;

use super::context::{self, Context};
use super::error::{Code, Failure};
use super::output::Output;
use super::prompt;
use crate::crypto::secret::SecretBytes;
use crate::repo::keys::credential::Credential;
use crate::secrets::{self, Found};

/// Where a new password or key comes from.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct NewSecret {
    /// A file that holds the new password
    #[arg(long, value_name = "FILE", conflicts_with = "new_key_file")]
    pub new_password_file: Option<PathBuf>,
    /// A raw key file; made, for you alone to read, if it is not there
    #[arg(long, value_name = "FILE")]
    pub new_key_file: Option<PathBuf>,
}

impl NewSecret {
    /// The secret that the options name, if they name one.
    ///
    /// # Errors
    /// When it cannot be read or made, or is malformed.
    pub fn given(&self, output: &Output) -> Result<Option<Credential>, Failure> {
        let failed = |error: secrets::Error| Failure::because(Code::Usage, &error);
        let (contents, found): (_, fn(SecretBytes) -> Found) = match (&self.new_password_file, &self.new_key_file) {
            (Some(file), _) => (secrets::read_file(file).map_err(failed)?, Found::Password),
            (None, Some(file)) => (secrets::read_or_create_key_file(file).map_err(failed)?, Found::Key),
            (None, None) => return Ok(None),
        };
        if let Some(warning) = contents.warning {
            output.warn(warning);
        }
        let mut secret = contents.secret;
        if self.new_password_file.is_some() {
            secret.trim_line_end();
        }
        context::credential(found(secret)).map(Some)
    }

    /// The secret that the options name, or a password asked for twice.
    ///
    /// # Errors
    /// As [`Self::given`], and when there is no terminal to ask on.
    pub fn get(&self, output: &Output) -> Result<Credential, Failure> {
        match self.given(output)? {
            Some(credential) => Ok(credential),
            None if prompt::possible() => context::credential(Found::Password(prompt::ask_new("new password")?)),
            None => Err(Failure::usage("no new password or key is given, and there is no terminal to ask on")
                .hint("give --new-password-file or --new-key-file")),
        }
    }

    /// What opens a new repository: from these options, else from the global ones or the environment, else asked for twice.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub fn get_for_founding(&self, context: &Context, output: &Output) -> Result<Credential, Failure> {
        match self.given(output)? {
            Some(credential) => Ok(credential),
            None => context.new_credential(output),
        }
    }
}
