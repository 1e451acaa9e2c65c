//! `boveda init`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;

use super::context::Context;
use super::error::{Code, Failure};
use super::new_secret::NewSecret;
use super::setup;
use crate::crypto::aead::Suite;
use crate::crypto::secret::Secret;
use crate::repo::id::RepositoryId;
use crate::repo::keys::recovery;
use crate::repo::repository;
use crate::secrets;

/// Make a new repository, with you as its admin, and a recovery key
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Where the words of the recovery key are written; never overwritten [default: ./boveda-recovery-ID.txt]
    #[arg(long, value_name = "FILE")]
    recovery_key_file: Option<PathBuf>,
    /// Take over what an older system was told by BACKUP_DIR, BACKUP_ENCRYPTION_KEY and their kin (docs/from-env.md)
    #[arg(long, conflicts_with_all = ["new_password_file", "new_key_file", "repo", "repository_file", "label", "suite"])]
    from_env: bool,
    #[command(flatten)]
    secret: NewSecret,
    /// What the admin is called in `key list`
    #[arg(long, default_value = "admin")]
    label: String,
    /// The cipher suite [default: the faster one on this machine]
    #[arg(long, value_enum)]
    suite: Option<SuiteName>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum SuiteName {
    /// AES-256-GCM with a key per message: for machines with AES instructions
    #[value(name = "aes-256-gcm")]
    Aes,
    /// XChaCha20-Poly1305: for all others
    #[value(name = "xchacha20-poly1305")]
    XChaCha,
}

/// Founds the repository.
pub fn run(arguments: &Arguments, context: &Context) -> Result<Code, Failure> {
    if arguments.from_env {
        return setup::from_env::run(arguments.recovery_key_file.as_deref(), context);
    }
    let output = Arc::new(context.output());
    let location = context.location()?;
    if let Some(file) = &arguments.recovery_key_file
        && file.symlink_metadata().is_ok()
    {
        return Err(Failure::usage(format!(
            "{} exists: a recovery key is never written over anything",
            file.display()
        ))
        .hint("name another file with --recovery-key-file"));
    }
    let credential = arguments.secret.get_for_founding(context, &output)?;
    let store = context.create_store(&location, &output)?;
    let suite = match arguments.suite {
        Some(SuiteName::Aes) => Suite::Aes256Gcm,
        Some(SuiteName::XChaCha) => Suite::XChaCha20Poly1305,
        None => Suite::fastest_here(),
    };
    let key = Secret::generate();
    let founded = repository::found(&*store, suite, &credential, &key, &arguments.label)?;
    let file = write_recovery_file(arguments.recovery_key_file.as_deref(), founded.repository, &key)?;
    let id = founded.repository.to_string();
    if output.json() {
        output.json_line(&json!({
            "message_type": "initialized", "id": id, "repository": location.to_string(),
            "recovery_key_file": file.to_string_lossy(),
        }))?;
    } else {
        output.remark(&format!("made the repository {} at {location}", &id[..8]))?;
        output.remark(&format!("recovery key: 24 words in {}", file.display()))?;
        output
            .remark("Print it and keep it elsewhere: without password, key file and recovery key nobody can get in.")?;
    }
    Ok(Code::Ok)
}

fn write_recovery_file(file: Option<&Path>, id: RepositoryId, key: &Secret) -> Result<PathBuf, Failure> {
    let file = match file {
        Some(file) => file.to_owned(),
        None => PathBuf::from(format!("./boveda-recovery-{}.txt", &id.to_string()[..8])),
    };
    secrets::create_file(&file, &recovery::file_text(&id, key)).map_err(|error| {
        Failure::because(Code::Failed, &error)
            .hint("the repository stands, but its recovery key is lost: make another with `boveda key recovery`")
    })?;
    Ok(file)
}
