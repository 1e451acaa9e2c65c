//! Makes what is planned: key, repository, recovery sheet; in an order in which no crash loses anything.
//!
//! The words of the recovery key are on disk before the repository is founded, in a file that goes away once the sheet is
//! written. So the same command, run again after a crash anywhere, comes to the same end.

use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::configure;
use super::plan::{Opener, Plan};
use super::sheet::{self, Facts};
use crate::cli::error::{Code, Failure};
use crate::cli::output::Output;
use crate::cli::reach::warn_of_racing;
use crate::cli::{context, time};
use crate::crypto::aead::Suite;
use crate::crypto::secret::{Secret, SecretBytes};
use crate::repo::id::RepositoryId;
use crate::repo::keys::credential::Credential;
use crate::repo::keys::recovery;
use crate::repo::repository::{self, Repository};
use crate::secrets::{self, Found};
use crate::store::access::Access;
use crate::store::{self, Store};

/// How the founder is called in `key list`.
const LABEL: &str = "admin";

/// What was made, or found as it should be.
#[derive(Debug)]
pub struct Made {
    /// The repository.
    pub id: RepositoryId,
    /// Whether it is new.
    pub founded: bool,
    /// The sheet, when it was written now.
    pub sheet: Option<Sheet>,
    /// The snapshots that are there.
    pub snapshots: usize,
    /// The key file, if that opens the repository.
    pub key_file: Option<PathBuf>,
}

/// Where a recovery sheet was written, and its text.
#[derive(Debug)]
pub struct Sheet {
    /// As text.
    pub text: PathBuf,
    /// As a page to print.
    pub page: PathBuf,
    /// What the text says.
    pub contents: SecretBytes,
}

/// Makes the key file, the repository and the recovery sheet.
///
/// # Errors
/// With the exit code of what failed; 12 when there is a repository that the key does not open.
pub fn make(plan: &Plan, context: &context::Context, output: &Arc<Output>) -> Result<Made, Failure> {
    context.tell(output);
    let known = configure::is_known(plan, context)?;
    let reached = context.access_at(&plan.url)?;
    let there = there(plan, &reached)?;
    if known && there.is_none() {
        return Err(gone(plan));
    }
    let (credential, key_file) = credential(plan, output)?;
    let founded = there.is_none();
    let store = match there {
        Some(store) => store,
        None => found(plan, &credential, &reached, output)?,
    };
    let open = |with: &Credential| Repository::open(Arc::clone(&store), with, |_| None, Arc::clone(output) as _);
    let repository = open(&credential).map_err(|error| not_ours(error.into()))?;
    let opens = |key: Secret| open(&Credential::Recovery(key)).is_ok();
    let sheet = write_sheet(plan, repository.id(), opens, context)?;
    Ok(Made { id: repository.id(), founded, sheet, snapshots: repository.snapshots().len(), key_file })
}

fn not_ours(failure: Failure) -> Failure {
    match failure.code {
        Code::WrongKey => failure.hint(
            "there is a repository already: name what opens it with --key-file or --password-file, or another place with -r",
        ),
        _ => failure,
    }
}

fn credential(plan: &Plan, output: &Output) -> Result<(Credential, Option<PathBuf>), Failure> {
    let file = match &plan.opener {
        Opener::Given(credential, _) => return Ok((credential.clone(), None)),
        Opener::KeyFile(file) => file,
    };
    make_private_folder(file.parent().unwrap_or(Path::new("/")))?;
    let usage = |error: secrets::Error| Failure::because(Code::Usage, &error);
    let contents = secrets::read_or_create_key_file(file).map_err(usage)?;
    if let Some(warning) = contents.warning {
        output.warn(warning);
    }
    Ok((context::credential(Found::Key(contents.secret))?, Some(file.clone())))
}

/// The configuration is written last, so a repository that it has was there: nothing new is made in its place, which may be
/// the empty folder of a disk that is not mounted.
fn gone(plan: &Plan) -> Failure {
    Failure::new(Code::NoRepository, format!("the configuration has a repository at {}, and it is not there", plan.url))
        .hint("is its disk mounted? To make a new one there all the same: boveda init")
}

/// The store, if there is a repository in it.
fn there(plan: &Plan, reached: &Access) -> Result<Option<Arc<dyn Store>>, Failure> {
    let store = match store::open::open_with(&plan.url, reached) {
        Err(error) if error.kind == store::ErrorKind::NoStore => return Ok(None),
        opened => opened?,
    };
    match repository::look(&store, &crate::event::Silent) {
        Ok(_) => Ok(Some(store)),
        // A place that cannot be looked into may hold anything.
        Err(repository::Error::Store(error)) => Err(error.into()),
        Err(_) => Ok(None),
    }
}

/// Founds the repository.
fn found(plan: &Plan, credential: &Credential, reached: &Access, output: &Output) -> Result<Arc<dyn Store>, Failure> {
    let key = pending_key(plan)?;
    let store = store::open::create_with(&plan.url, reached)?;
    warn_of_racing(&*store, output);
    repository::found(&*store, Suite::fastest_here(), credential, &key, LABEL)?;
    Ok(store)
}

/// A recovery key whose words are on disk before anything is locked with it.
fn pending_key(plan: &Plan) -> Result<Secret, Failure> {
    let pending = plan.pending();
    match read_words(&pending)? {
        Some(key) => Ok(key),
        None => {
            // Known before anything is made.
            if let Some(text) = &plan.recovery
                && let Some(taken) =
                    [text.clone(), text.with_extension("html")].iter().find(|path| path.symlink_metadata().is_ok())
            {
                return Err(in_the_way(taken));
            }
            make_private_folder(plan.folder())?;
            let key = Secret::generate();
            let words = SecretBytes::new(recovery::words(&key).as_bytes().to_vec());
            secrets::create_file(&pending, &words).map_err(|error| Failure::because(Code::Failed, &error))?;
            Ok(key)
        }
    }
}

/// The recovery key in a file; `None` when there is no such file.
fn read_words(file: &Path) -> Result<Option<Secret>, Failure> {
    let contents = match secrets::read_file(file) {
        Ok(contents) => contents.secret,
        Err(secrets::Error::Read { source, .. }) if source.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Failure::because(Code::Failed, &error)),
    };
    match Credential::key(&contents) {
        Ok(Credential::Recovery(key)) => Ok(Some(key)),
        _ => Err(Failure::new(Code::Failed, format!("{} holds no words of a recovery key", file.display()))
            .hint("remove it, if it is nothing that you need, and run the command again")),
    }
}

/// Writes the sheet of the key that waits for it, if one does and it is this repository's.
fn write_sheet(
    plan: &Plan,
    id: RepositoryId,
    opens: impl Fn(Secret) -> bool,
    context: &context::Context,
) -> Result<Option<Sheet>, Failure> {
    let pending = plan.pending();
    let Some(key) = read_words(&pending)? else { return Ok(None) };
    let sheet = if opens(key.clone()) { Some(put_sheet(plan, id, &key, context)?) } else { None };
    std::fs::remove_file(&pending)
        .map_err(|error| Failure::new(Code::Failed, format!("cannot remove {}: {error}", pending.display())))?;
    Ok(sheet)
}

fn put_sheet(plan: &Plan, id: RepositoryId, key: &Secret, context: &context::Context) -> Result<Sheet, Failure> {
    let (location, host) = (plan.url.to_string(), rustix::system::uname());
    let (host, made) = (host.nodename().to_string_lossy(), time::local(time::now(), &context.zone));
    let facts = Facts { repository: id, location: &location, host: &host, made: &made };
    let default = || plan.folder().join(format!("boveda-recovery-{}.txt", &id.to_string()[..8]));
    let text = plan.recovery.clone().unwrap_or_else(default);
    let page = text.with_extension("html");
    let contents = sheet::text(&facts, key);
    put(&text, &contents, |there| matches!(Credential::key(there), Ok(Credential::Recovery(other)) if other == *key))?;
    let words = sheet::word_list(key);
    let holds = |there: &[u8]| there.windows(words.len()).any(|part| part == words.as_bytes());
    put(&page, &sheet::page(&facts, key), |there| holds(there.expose()))?;
    Ok(Sheet { text, page, contents })
}

/// Writes a file for its owner alone. One that is there and is `the_same` is from a run that died here.
fn put(path: &Path, contents: &SecretBytes, the_same: impl Fn(&SecretBytes) -> bool) -> Result<(), Failure> {
    match secrets::create_file(path, contents) {
        Err(secrets::Error::Create { source, .. }) if source.kind() == ErrorKind::AlreadyExists => {
            match secrets::read_file(path) {
                Ok(there) if the_same(&there.secret) => Ok(()),
                _ => Err(in_the_way(path)),
            }
        }
        done => done.map_err(|error| Failure::because(Code::Failed, &error)),
    }
}

fn in_the_way(path: &Path) -> Failure {
    Failure::usage(format!("{} exists: a recovery key is never written over anything", path.display()))
        .hint("move it away, or name another place; then run the command again")
}

fn make_private_folder(folder: &Path) -> Result<(), Failure> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|error| Failure::new(Code::Failed, format!("cannot make the folder {}: {error}", folder.display())))
}
