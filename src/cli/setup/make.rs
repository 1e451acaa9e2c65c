//! Makes what is planned: key, repository, recovery sheet, configuration; in an order in which no crash loses anything.
//!
//! The words of the recovery key are on disk before the repository is founded, in a file that goes away once the sheet is
//! written. So the same command, run again after a crash anywhere, comes to the same end.

use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::plan::{Opener, Plan};
use super::sheet::{self, Facts};
use crate::cli::error::{Code, Failure};
use crate::cli::output::Output;
use crate::cli::{context, time};
use crate::config::{self, Addition, Config, Place, Rank};
use crate::crypto::aead::Suite;
use crate::crypto::secret::{Secret, SecretBytes};
use crate::repo::id::RepositoryId;
use crate::repo::keys::credential::Credential;
use crate::repo::keys::recovery;
use crate::repo::repository::{self, Repository};
use crate::secrets::{self, Found};
use crate::store::{self, Store};

/// In place of a section's name: text that comes with the repository's section, and only with it.
pub const WITH_REPOSITORY: &str = "";

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
    let known = is_known(plan, context)?;
    let there = there(plan);
    if known && there.is_none() {
        return Err(gone(plan));
    }
    let (credential, key_file) = credential(plan, output)?;
    let founded = there.is_none();
    let store = match there {
        Some(store) => store,
        None => found(plan, &credential)?,
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

/// Whether the configuration has this repository already.
fn is_known(plan: &Plan, context: &context::Context) -> Result<bool, Failure> {
    let place = Place { path: plan.config.clone(), rank: Rank::User };
    let Some(config) = Config::load(&[place])? else { return Ok(false) };
    let Some((name, section)) = config.named(plan.name.as_str()) else { return Ok(false) };
    let url = section.url.resolve(context.home().as_deref()).map_err(Failure::usage)?;
    if url == plan.url {
        return Ok(true);
    }
    let (file, new) = (config.path.display(), &plan.url);
    Err(Failure::usage(format!("{file} has the repository {name} at {url}, not at {new}"))
        .hint("change or remove that section of the configuration; setup takes another name with --name"))
}

/// The configuration is written last, so a repository that it has was there: nothing new is made in its place, which may be
/// the empty folder of a disk that is not mounted.
fn gone(plan: &Plan) -> Failure {
    Failure::new(Code::NoRepository, format!("the configuration has a repository at {}, and it is not there", plan.url))
        .hint("is its disk mounted? To make a new one there all the same: boveda init")
}

/// The store, if there is a repository in it.
fn there(plan: &Plan) -> Option<Arc<dyn Store>> {
    store::open::open(&plan.url).ok().filter(|store| repository::look(&**store).is_ok())
}

/// Founds the repository.
fn found(plan: &Plan, credential: &Credential) -> Result<Arc<dyn Store>, Failure> {
    let key = pending_key(plan)?;
    let store = store::open::create(&plan.url)?;
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

/// Adds to the configuration what it does not have: the repository, then what `more` adds. Returns the sections that were
/// there already and stay as they are.
///
/// # Errors
/// When the file is wrong or cannot be written.
pub fn configure(plan: &Plan, more: &[(&'static str, Addition)]) -> Result<Configured, Failure> {
    let place = Place { path: plan.config.clone(), rank: Rank::User };
    let there = Config::load(&[place])?;
    let mut addition = Addition::default();
    let mut done = Configured::default();
    let new = there.as_ref().is_none_or(|config| config.named(plan.name.as_str()).is_none());
    match new {
        true => repository_section(plan, &mut addition)?,
        false => done.kept.push(format!("repository.{}", plan.name)),
    }
    let has = there.as_ref().map(|config| config.sections.clone()).unwrap_or_default();
    for (section, text) in more {
        match has.iter().any(|known| known == section) {
            _ if *section == WITH_REPOSITORY && !new => {}
            true => done.kept.push((*section).to_owned()),
            false => addition.join(text),
        }
    }
    if !addition.is_empty() {
        config::append(&plan.config, &addition)?;
        done.changed = true;
    }
    Ok(done)
}

/// What became of the configuration.
#[derive(Debug, Default)]
pub struct Configured {
    /// Whether something was added.
    pub changed: bool,
    /// Sections that were there and stay as they are.
    pub kept: Vec<String>,
}

fn repository_section(plan: &Plan, addition: &mut Addition) -> Result<(), Failure> {
    addition.section(&format!("repository.{}", quoted(plan.name.as_str())));
    addition.string("url", &text_of(&plan.url.to_string())?);
    match &plan.opener {
        Opener::KeyFile(file) => addition.string("key_file", &text_of(&file.to_string_lossy())?),
        Opener::Given(_, Some((key, value))) => addition.string(key, &text_of(value)?),
        Opener::Given(_, None) => {
            addition.comment("What opens it is not named here: it was given by a variable, or typed.")
        }
    };
    Ok(())
}

/// A dot in a name would begin a section below.
fn quoted(name: &str) -> String {
    if name.contains('.') { format!("\"{name}\"") } else { name.to_owned() }
}

/// A path that TOML can hold.
fn text_of(text: &str) -> Result<String, Failure> {
    match text.contains('\u{fffd}') {
        true => Err(Failure::usage(format!("{text} is not UTF-8, as everything in a configuration must be"))),
        false => Ok(text.to_owned()),
    }
}

/// `[snapshot]` with what the plan takes snapshots of.
pub fn snapshot_section(plan: &Plan) -> Addition {
    let mut section = Addition::default();
    section.section("snapshot").strings("paths", plan.paths.iter().map(String::as_str));
    if !plan.exclude.is_empty() {
        section.strings("exclude", plan.exclude.iter().map(String::as_str));
    }
    section
}
