//! Options that every command takes: which repository, what opens it, how much is said.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use super::output::Manner;
use crate::config::LineRate;
use crate::secrets::Sources;
use crate::store::traffic::Traffic;

/// Options of every command.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Global {
    #[command(flatten)]
    pub repository: Repository,
    #[command(flatten)]
    pub secret: Secret,
    #[command(flatten)]
    pub network: Network,
    #[command(flatten)]
    pub talk: Talk,
    #[command(flatten)]
    pub locks: Locks,
}

/// What scripts written for restic or borg say about locks. There are none, so nothing has to be done about them.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Locks {
    /// restic: do not lock
    #[arg(long, global = true, hide = true, alias = "bypass-lock")]
    no_lock: bool,
    /// restic: wait so long for a lock
    #[arg(long, global = true, hide = true, value_name = "DURATION", alias = "lock-wait")]
    retry_lock: Option<String>,
}

/// Which repository.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Repository")]
pub struct Repository {
    /// Where the repository is: a folder, or @NAME for one of the configuration [env: BOVEDA_REPOSITORY]
    #[arg(short, long, global = true, value_name = "LOCATION")]
    pub repo: Option<OsString>,
    /// A file whose first line is that location [env: BOVEDA_REPOSITORY_FILE]
    #[arg(long, global = true, value_name = "FILE", conflicts_with = "repo")]
    pub repository_file: Option<PathBuf>,
    /// The configuration [env: BOVEDA_CONFIG; default: ~/.config/boveda/config.toml, else /etc/boveda/config.toml]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where caches are kept, which can be rebuilt [env: BOVEDA_CACHE_DIR]
    #[arg(long, global = true, value_name = "FOLDER")]
    pub cache_dir: Option<PathBuf>,
}

/// What opens the repository.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Password or key (without any of these, a terminal is asked)")]
pub struct Secret {
    /// A file that holds the password [env: BOVEDA_PASSWORD_FILE, or the password itself in BOVEDA_PASSWORD]
    #[arg(long, global = true, value_name = "FILE", group = "secret")]
    pub password_file: Option<PathBuf>,
    /// A command that prints the password [env: BOVEDA_PASSWORD_COMMAND]
    #[arg(long, global = true, value_name = "COMMAND", group = "secret")]
    pub password_command: Option<String>,
    /// A raw key file, or a recovery file [env: BOVEDA_KEY_FILE, or the key itself in BOVEDA_KEY]
    #[arg(long, global = true, value_name = "FILE", group = "secret")]
    pub key_file: Option<PathBuf>,
    /// A command that prints a raw key [env: BOVEDA_KEY_COMMAND]
    #[arg(long, global = true, value_name = "COMMAND", group = "secret")]
    pub key_command: Option<String>,
}

/// How a repository is reached that needs a network.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Network")]
pub struct Network {
    /// Send at most so much per second: KiB, such as 2M, or by the time of day: `08:00,2M 18:00,off` [env: BOVEDA_LIMIT_UPLOAD]
    #[arg(long, global = true, value_name = "RATE")]
    pub limit_upload: Option<LineRate>,
    /// Receive at most so much per second [env: BOVEDA_LIMIT_DOWNLOAD]
    #[arg(long, global = true, value_name = "RATE")]
    pub limit_download: Option<LineRate>,
    /// Trust the certificates in this file (PEM) too [env: BOVEDA_CACERT]
    #[arg(long, global = true, value_name = "FILE")]
    pub cacert: Option<PathBuf>,
    /// Show the certificate in this file, which holds its key too (PEM) [env: BOVEDA_TLS_CLIENT_CERT]
    #[arg(long, global = true, value_name = "FILE")]
    pub tls_client_cert: Option<PathBuf>,
    /// Keep at most so much of what is read on this machine, sealed as it is [env: BOVEDA_CACHE_SIZE; default: 1G]
    #[arg(long, global = true, value_name = "SIZE", value_parser = cache_size)]
    pub cache_size: Option<u64>,
    /// Keep nothing of it, and use nothing that was kept
    #[arg(long, global = true, conflicts_with = "cache_size")]
    pub no_cache: bool,
    /// What went over the network.
    #[arg(skip)]
    pub traffic: Arc<Traffic>,
}

/// How much may be kept of what is read.
///
/// # Errors
/// When it is no size.
pub fn cache_size(text: &str) -> Result<u64, &'static str> {
    super::output::parse_size(text).ok_or("write a size such as 500M or 2G")
}

/// How much is said, and to whom.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Output")]
pub struct Talk {
    /// JSON, one object per line, for scripts
    #[arg(long, global = true)]
    pub json: bool,
    /// Only results, warnings and errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Name every new, changed or restored entry; twice: unchanged ones and details too
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

impl Secret {
    /// What the flags say, for the room that finds secrets.
    pub fn sources(&self) -> Sources {
        Sources {
            password_file: self.password_file.clone(),
            password_command: self.password_command.clone(),
            key_file: self.key_file.clone(),
            key_command: self.key_command.clone(),
        }
    }
}

impl Talk {
    /// The manner of speaking.
    pub const fn manner(&self) -> Manner {
        Manner { json: self.json, quiet: self.quiet, verbose: self.verbose }
    }
}
