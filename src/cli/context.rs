//! What a verb works with: the global options together with the environment, and the face.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;

use super::error::{Code, Failure};
use super::global::Global;
use super::output::Output;
use super::prompt;
use super::signals::Stop;
use crate::crypto::secret::SecretBytes;
use crate::repo::keys::credential::Credential;
use crate::secrets::{self, Found};
use crate::store::url::StoreUrl;

/// Asks for an environment variable; tests answer themselves.
type Lookup = fn(&str) -> Option<OsString>;

/// The setting of one run of a verb.
pub struct Context {
    global: Global,
    environment: Lookup,
    /// The time zone of dates without one.
    pub zone: TimeZone,
}

impl Context {
    /// With this process's environment.
    pub fn new(global: Global) -> Self {
        Self { global, environment: |name| std::env::var_os(name), zone: TimeZone::system() }
    }

    /// A face for a verb that ends by itself soon: signals end the process.
    pub fn output(&self) -> Output {
        Output::new(self.global.talk.manner(), Stop::default())
    }

    /// A face for a verb that looks whether it should stop, and says where it is when SIGUSR1 asks.
    ///
    /// # Errors
    /// When signals cannot be listened to.
    pub fn stoppable_output(&self) -> Result<Output, Failure> {
        let deaf = |error| Failure::new(Code::Failed, format!("cannot listen to signals: {error}"));
        let output = Output::new(self.global.talk.manner(), Stop::install().map_err(deaf)?);
        output.answer_signals().map_err(deaf)?;
        Ok(output)
    }

    /// A variable that is set and not empty.
    pub fn variable(&self, name: &str) -> Option<OsString> {
        (self.environment)(name).filter(|value| !value.is_empty())
    }

    /// The repository's location: from the flags, else from the environment.
    ///
    /// # Errors
    /// When there is none, or two, or it is none that boveda can use.
    pub fn location(&self) -> Result<StoreUrl, Failure> {
        let flags = &self.global.repository;
        let text = match (&flags.repo, &flags.repository_file) {
            (Some(repo), _) => repo.clone(),
            (None, Some(file)) => first_line(file)?,
            (None, None) => self.location_from_environment()?,
        };
        StoreUrl::parse(&text).map_err(|error| Failure::because(Code::Usage, &error))
    }

    fn location_from_environment(&self) -> Result<OsString, Failure> {
        match (self.variable("BOVEDA_REPOSITORY"), self.variable("BOVEDA_REPOSITORY_FILE")) {
            (Some(_), Some(_)) => {
                Err(Failure::usage("both BOVEDA_REPOSITORY and BOVEDA_REPOSITORY_FILE are set: which one is meant?"))
            }
            (Some(repository), None) => Ok(repository),
            (None, Some(file)) => first_line(Path::new(&file)),
            (None, None) => Err(Failure::usage("no repository is named")
                .hint("give its location with -r, or set BOVEDA_REPOSITORY or BOVEDA_REPOSITORY_FILE")),
        }
    }

    /// What opens the repository: by flag, by environment, or asked for on the terminal.
    ///
    /// # Errors
    /// When there is none, or it cannot be read, or is malformed.
    pub fn credential(&self, output: &Output) -> Result<Credential, Failure> {
        credential(self.secret(output)?)
    }

    /// As [`Self::credential`], not interpreted yet.
    ///
    /// # Errors
    /// As [`Self::credential`].
    pub fn secret(&self, output: &Output) -> Result<Found, Failure> {
        match self.given_secret(output)? {
            Some(found) => Ok(found),
            None => Ok(Found::Password(prompt::ask("password (or the words of the recovery key): ")?)),
        }
    }

    /// What will open a new repository: as [`Self::credential`], but a terminal is asked twice.
    ///
    /// # Errors
    /// As [`Self::credential`].
    pub fn new_credential(&self, output: &Output) -> Result<Credential, Failure> {
        match self.given_secret(output)? {
            Some(found) => credential(found),
            None => credential(Found::Password(prompt::ask_new("new password")?)),
        }
    }

    fn given_secret(&self, output: &Output) -> Result<Option<Found>, Failure> {
        let answer = secrets::find(&self.global.secret.sources(), &self.environment)
            .map_err(|error| Failure::because(Code::Usage, &error))?;
        Ok(answer.map(|answer| {
            if let Some(warning) = answer.warning {
                output.warn(warning);
            }
            answer.found
        }))
    }

    /// The folder of caches, which can be rebuilt.
    ///
    /// # Errors
    /// When neither flag, environment nor home names one.
    pub fn cache_folder(&self) -> Result<PathBuf, Failure> {
        let given =
            self.global.repository.cache_dir.clone().or_else(|| self.variable("BOVEDA_CACHE_DIR").map(Into::into));
        match given {
            Some(folder) => {
                std::path::absolute(&folder).map_err(|error| Failure::usage(format!("{}: {error}", folder.display())))
            }
            None => self.home_folder("XDG_CACHE_HOME", ".cache"),
        }
    }

    /// The folder of what this host remembers: heads it has seen, its installation's name.
    ///
    /// # Errors
    /// When neither environment nor home names one.
    pub fn state_folder(&self) -> Result<PathBuf, Failure> {
        self.home_folder("XDG_STATE_HOME", ".local/state")
    }

    fn home_folder(&self, variable: &str, below_home: &str) -> Result<PathBuf, Failure> {
        let absolute = |name: &str| self.variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
        // A system service may run as root without HOME.
        let root = || rustix::process::geteuid().is_root().then(|| PathBuf::from("/root"));
        absolute(variable)
            .or_else(|| absolute("HOME").or_else(root).map(|home| home.join(below_home)))
            .map(|folder| folder.join("boveda"))
            .ok_or_else(|| Failure::usage(format!("neither {variable} nor HOME names an absolute folder")))
    }
}

/// Interprets a secret.
///
/// # Errors
/// When it is malformed.
pub fn credential(found: Found) -> Result<Credential, Failure> {
    let made = match &found {
        Found::Password(password) => Credential::password(password.clone()),
        Found::Key(text) => Credential::key(text),
    };
    made.map_err(|error| Failure::because(Code::Usage, &error))
}

/// The location in a file: its first line.
fn first_line(file: &Path) -> Result<OsString, Failure> {
    let bytes = std::fs::read(file)
        .map_err(|error| Failure::usage(format!("cannot read the location in {}: {error}", file.display())))?;
    let mut line = SecretBytes::new(bytes.split(|&byte| byte == b'\n').next().unwrap_or_default().to_vec());
    line.trim_line_end();
    Ok(OsString::from_vec(line.expose().to_vec()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt as _;

    use super::*;

    fn context(global: Global, environment: Lookup) -> Context {
        Context { global, environment, zone: TimeZone::UTC }
    }

    fn with_repo(repo: &str) -> Global {
        let mut global = Global::default();
        global.repository.repo = Some(repo.into());
        global
    }

    #[test]
    fn a_flag_outranks_the_environment() {
        let both: Lookup = |name| (name == "BOVEDA_REPOSITORY").then(|| "/from/environment".into());
        assert_eq!(context(with_repo("/from/flag"), both).location().unwrap().to_string(), "/from/flag");
        assert_eq!(context(Global::default(), both).location().unwrap().to_string(), "/from/environment");
    }

    #[test]
    fn a_location_is_never_guessed() {
        let none: Lookup = |_| None;
        assert_eq!(context(Global::default(), none).location().unwrap_err().code, Code::Usage);
        let two: Lookup = |_| Some("/x".into());
        let failure = context(Global::default(), two).location().unwrap_err();
        assert!(failure.message.contains("BOVEDA_REPOSITORY_FILE"), "{failure}");
        assert_eq!(context(with_repo("s3://bucket/x"), none).location().unwrap_err().code, Code::Usage);
    }

    #[test]
    fn a_location_may_stand_in_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("location");
        std::fs::write(&file, "/re po\r\nsecond line\n").unwrap();
        let mut global = Global::default();
        global.repository.repository_file = Some(file);
        assert_eq!(context(global, |_| None).location().unwrap().to_string(), "/re po");
    }

    #[test]
    fn folders_follow_flag_environment_home() {
        let home: Lookup = |name| (name == "HOME").then(|| "/home/x".into());
        assert_eq!(context(Global::default(), home).cache_folder().unwrap(), Path::new("/home/x/.cache/boveda"));
        assert_eq!(context(Global::default(), home).state_folder().unwrap(), Path::new("/home/x/.local/state/boveda"));
        let set: Lookup = |name| match name {
            "BOVEDA_CACHE_DIR" => Some("/cache".into()),
            "XDG_STATE_HOME" => Some("/state".into()),
            _ => None,
        };
        assert_eq!(context(Global::default(), set).cache_folder().unwrap(), Path::new("/cache"));
        assert_eq!(context(Global::default(), set).state_folder().unwrap(), Path::new("/state/boveda"));
    }

    #[test]
    fn names_in_files_keep_their_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("location");
        std::fs::write(&file, b"/a\xff\n").unwrap();
        assert_eq!(first_line(&file).unwrap().as_bytes(), b"/a\xff");
    }
}
