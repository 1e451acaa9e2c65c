//! What is to be made, and where: pure values, before anything is touched.

use std::path::{Path, PathBuf};

use crate::config::Name;
use crate::repo::keys::credential::Credential;
use crate::store::url::StoreUrl;

/// What is to be made. Whatever is there already is used as it is.
#[derive(Debug)]
pub struct Plan {
    /// What the configuration calls the repository.
    pub name: Name,
    /// Where it is to be.
    pub url: StoreUrl,
    /// What opens it.
    pub opener: Opener,
    /// The configuration to make or to add to.
    pub config: PathBuf,
    /// Where the words of the recovery key go, if not beside the configuration under a name of their own.
    pub recovery: Option<PathBuf>,
    /// What snapshots are taken of, absolute.
    pub paths: Vec<String>,
    /// What they leave out, as patterns.
    pub exclude: Vec<String>,
}

/// What opens the repository, and how the configuration says so.
#[derive(Debug)]
pub enum Opener {
    /// A raw key file, made if it is not there.
    KeyFile(PathBuf),
    /// A password or key that is there, with the key and value of the configuration that name it; none when it is known to
    /// this run alone.
    Given(Credential, Option<(&'static str, String)>),
}

impl Plan {
    /// The folder of the configuration and the keys.
    pub fn folder(&self) -> &Path {
        self.config.parent().unwrap_or(Path::new("/"))
    }

    /// Where the words of a recovery key lie until its sheet is written.
    pub fn pending(&self) -> PathBuf {
        self.folder().join(format!("{}.recovery-pending", self.name))
    }
}
