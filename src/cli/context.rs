//! What a verb works with: the global options together with the environment, and the face.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use jiff::tz::TimeZone;

use super::error::{Code, Failure};
use super::global::{Global, Secret};
use super::output::Output;
use super::prompt;
use super::signals::Stop;
use crate::config::Config;
use crate::repo::keys::credential::Credential;
use crate::secrets::{self, Found};

/// Asks for an environment variable; tests answer themselves.
type Lookup = fn(&str) -> Option<OsString>;

/// The setting of one run of a verb.
pub struct Context {
    pub(super) global: Global,
    pub(super) environment: Lookup,
    /// Read when it is first needed.
    pub(super) config: OnceLock<Option<Config>>,
    /// The time zone of dates without one.
    pub zone: TimeZone,
    /// How long a request over the network may make no headway, where it matters more than usual.
    pub(super) stall: Option<Duration>,
}

impl Context {
    /// With this process's environment.
    pub fn new(global: Global) -> Self {
        Self {
            global,
            environment: |name| std::env::var_os(name),
            config: OnceLock::new(),
            zone: TimeZone::system(),
            stall: None,
        }
    }

    /// The same setting for the repository at another location.
    pub fn at(&self, location: OsString) -> Self {
        let mut global = self.global.clone();
        (global.repository.repo, global.repository.repository_file) = (Some(location), None);
        Self {
            global,
            environment: self.environment,
            config: OnceLock::new(),
            zone: self.zone.clone(),
            stall: self.stall,
        }
    }

    /// The same setting for somebody who waits: a request over the network that makes no headway for so long is given up and tried again.
    pub fn stalling_at_most(&self, stall: Duration) -> Self {
        let (global, zone) = (self.global.clone(), self.zone.clone());
        Self { global, environment: self.environment, config: OnceLock::new(), zone, stall: Some(stall) }
    }

    /// The same setting with other flags for what opens the repository.
    pub fn with_secret(mut self, secret: Secret) -> Self {
        self.global.secret = secret;
        self
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

    /// Whether only results, warnings and errors are wanted.
    pub const fn quiet(&self) -> bool {
        self.global.talk.quiet
    }

    /// A variable that is set and not empty.
    pub fn variable(&self, name: &str) -> Option<OsString> {
        (self.environment)(name).filter(|value| !value.is_empty())
    }

    /// What opens the repository: by flag, by environment, by configuration, or asked for on the terminal.
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
        let answer = match answer {
            Some(answer) => Some(answer),
            None => self.configured_secret()?,
        };
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
    /// When neither flag, environment, configuration nor home names one.
    pub fn cache_folder(&self) -> Result<PathBuf, Failure> {
        let given =
            self.global.repository.cache_dir.clone().or_else(|| self.variable("BOVEDA_CACHE_DIR").map(Into::into));
        let given = match given {
            Some(folder) => Some(folder),
            None => self.configured_cache_folder()?,
        };
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

    /// The user's home, if it is known.
    pub fn home(&self) -> Option<PathBuf> {
        // A system service may run as root without HOME.
        let root = || rustix::process::geteuid().is_root().then(|| PathBuf::from("/root"));
        self.absolute("HOME").or_else(root)
    }

    fn absolute(&self, variable: &str) -> Option<PathBuf> {
        self.variable(variable).map(PathBuf::from).filter(|path| path.is_absolute())
    }

    /// boveda's own folder in the folder that a variable names, else in one below the home.
    ///
    /// # Errors
    /// When neither names an absolute folder.
    pub fn home_folder(&self, variable: &str, below_home: &str) -> Result<PathBuf, Failure> {
        self.absolute(variable)
            .or_else(|| self.home().map(|home| home.join(below_home)))
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn context(global: Global, environment: Lookup) -> Context {
        Context { global, environment, config: OnceLock::new(), zone: TimeZone::UTC, stall: None }
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
}
