//! The configuration as this run sees it, and which repository is meant: flags before environment before the file.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use super::context::Context;
use super::error::{Code, Failure};
use crate::config::{self, Config, Name, Place, Rank};
use crate::crypto::secret::SecretBytes;
use crate::secrets::Answer;
use crate::store::url::StoreUrl;

/// The machine's configuration.
pub const SYSTEM: &str = "/etc/boveda/config.toml";

/// Which repository is meant, and who says so.
#[derive(Debug)]
pub struct Meant<'a> {
    /// Where it is.
    pub url: StoreUrl,
    /// What named it, for people: `--repo`, a variable, a file.
    pub origin: String,
    /// Its section, when it was named by that.
    pub section: Option<(&'a Name, &'a config::Repository)>,
}

impl Context {
    /// The configuration, if there is one.
    ///
    /// # Errors
    /// When it is wrong in any way, or named and not there.
    pub fn config(&self) -> Result<Option<&Config>, Failure> {
        if self.config.get().is_none() {
            let read = Config::load(&self.config_places()?)?;
            return Ok(self.config.get_or_init(|| read).as_ref());
        }
        Ok(self.config.get().and_then(Option::as_ref))
    }

    /// The files that may be the configuration, the first that is there counting.
    ///
    /// # Errors
    /// When the current folder is unknown and a relative file is named.
    pub fn config_places(&self) -> Result<Vec<Place>, Failure> {
        let named = self.global.repository.config.clone().or_else(|| self.variable("BOVEDA_CONFIG").map(Into::into));
        if let Some(path) = named {
            let path =
                std::path::absolute(&path).map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
            return Ok(vec![Place { path, rank: Rank::Named }]);
        }
        let user = self.user_config().ok().map(|path| Place { path, rank: Rank::User });
        let system = Place { path: SYSTEM.into(), rank: Rank::System };
        Ok(user.into_iter().chain([system]).collect())
    }

    /// Where the user's own configuration is, or would be.
    ///
    /// # Errors
    /// When neither environment nor home names a folder.
    pub fn user_config(&self) -> Result<PathBuf, Failure> {
        Ok(self.home_folder("XDG_CONFIG_HOME", ".config")?.join("config.toml"))
    }

    /// The repository's location.
    ///
    /// # Errors
    /// As [`Self::repository`].
    pub fn location(&self) -> Result<StoreUrl, Failure> {
        Ok(self.repository()?.url)
    }

    /// The repository that is meant: by flag, by environment, or by configuration.
    ///
    /// # Errors
    /// When there is none, or two, or it is none that boveda can use.
    pub fn repository(&self) -> Result<Meant<'_>, Failure> {
        let flags = &self.global.repository;
        let given = match (&flags.repo, &flags.repository_file) {
            (Some(repo), _) => Some((repo.clone(), "--repo".to_owned())),
            (None, Some(file)) => Some((first_line(file)?, format!("--repository-file {}", file.display()))),
            (None, None) => self.location_from_environment()?,
        };
        match given {
            Some((text, origin)) => match text.as_bytes().strip_prefix(b"@") {
                Some(name) => self.repository_named(&String::from_utf8_lossy(name), origin),
                None => Ok(Meant { url: parse(&text)?, origin, section: None }),
            },
            None => self.default_repository(),
        }
    }

    fn location_from_environment(&self) -> Result<Option<(OsString, String)>, Failure> {
        match (self.variable("BOVEDA_REPOSITORY"), self.variable("BOVEDA_REPOSITORY_FILE")) {
            (Some(_), Some(_)) => {
                Err(Failure::usage("both BOVEDA_REPOSITORY and BOVEDA_REPOSITORY_FILE are set: which one is meant?"))
            }
            (Some(repository), None) => Ok(Some((repository, "BOVEDA_REPOSITORY".to_owned()))),
            (None, Some(file)) => Ok(Some((first_line(Path::new(&file))?, "BOVEDA_REPOSITORY_FILE".to_owned()))),
            (None, None) => Ok(None),
        }
    }

    fn repository_named(&self, name: &str, origin: String) -> Result<Meant<'_>, Failure> {
        let Some(config) = self.config()? else {
            return Err(Failure::usage(format!("@{name} names a repository of the configuration, and there is none"))
                .hint("`boveda setup` makes one; a folder whose name begins with @ is written ./@NAME"));
        };
        match config.named(name) {
            Some(section) => self.meant(section, origin),
            None => {
                let (path, known) = (config.path.display(), config.settings.known());
                Err(Failure::usage(format!("there is no [repository.{name}] in {path}{known}"))
                    .hint("a folder whose name begins with @ is written ./@NAME"))
            }
        }
    }

    fn default_repository(&self) -> Result<Meant<'_>, Failure> {
        let hint = "give its location with -r, set BOVEDA_REPOSITORY or BOVEDA_REPOSITORY_FILE, or run `boveda setup`";
        let Some(config) = self.config()? else {
            return Err(Failure::usage("no repository is named").hint(hint));
        };
        match config.default_repository() {
            Some(section) => self.meant(section, config.path.display().to_string()),
            None if config.settings.repository.is_empty() => {
                Err(Failure::usage(format!("no repository is named, nor is one in {}", config.path.display()))
                    .hint(hint))
            }
            None => {
                let (path, known) = (config.path.display(), config.settings.known());
                Err(Failure::usage(format!("no repository is named, and {path} has several{known}"))
                    .hint("choose one with -r @NAME, or set default_repository in the configuration"))
            }
        }
    }

    fn meant<'a>(&self, section: (&'a Name, &'a config::Repository), origin: String) -> Result<Meant<'a>, Failure> {
        let url = section.1.url.resolve(self.home().as_deref()).map_err(Failure::usage)?;
        Ok(Meant { url, origin, section: Some(section) })
    }

    /// The section of the repository that is meant: the one that named it, or one with the same location.
    ///
    /// # Errors
    /// When the configuration is wrong, or no repository is meant.
    pub fn section(&self) -> Result<Option<(&Name, &config::Repository)>, Failure> {
        let meant = self.repository()?;
        if meant.section.is_some() {
            return Ok(meant.section);
        }
        self.section_at(&meant.url)
    }

    /// The section of the repository at that location, if the configuration knows it.
    ///
    /// # Errors
    /// When the configuration is wrong.
    pub fn section_at(&self, url: &StoreUrl) -> Result<Option<(&Name, &config::Repository)>, Failure> {
        let Some(config) = self.config()? else { return Ok(None) };
        let home = self.home();
        let same = |repository: &config::Repository| repository.url.resolve(home.as_deref()).ok().as_ref() == Some(url);
        Ok(config.settings.repository.iter().find(|(_, repository)| same(repository)))
    }

    /// The secret that the configuration names for the repository that is meant.
    pub(super) fn configured_secret(&self) -> Result<Option<Answer>, Failure> {
        let Some((_, section)) = self.section()? else { return Ok(None) };
        let stored = section.secret(self.home().as_deref()).map_err(Failure::usage)?;
        stored.find(&self.environment).map_err(|error| Failure::because(Code::Usage, &error))
    }

    /// Whether the repository opens without a question: by flag, environment or configuration. Nothing is read.
    ///
    /// # Errors
    /// When the configuration is wrong, or no repository is meant.
    pub fn names_secret(&self) -> Result<bool, Failure> {
        let flags = &self.global.secret;
        let flag = flags.password_file.is_some()
            || flags.password_command.is_some()
            || flags.key_file.is_some()
            || flags.key_command.is_some();
        let Some((_, section)) = self.section()? else { return Ok(flag) };
        let stored = section.secret(self.home().as_deref()).map_err(Failure::usage)?;
        let origin = stored.origin().map_err(|error| Failure::because(Code::Usage, &error))?;
        Ok(flag || origin.is_some())
    }

    /// The global flags of this run as words that mean the same from any folder and without the environment, as far as that
    /// goes: where the repository, the configuration and the key are.
    ///
    /// # Errors
    /// When no repository is meant, or the current folder is unknown.
    pub fn as_arguments(&self) -> Result<Vec<OsString>, Failure> {
        let mut words: Vec<OsString> = Vec::new();
        let absolute = |path: &Path| {
            std::path::absolute(path).map_err(|error| Failure::usage(format!("{}: {error}", path.display())))
        };
        let flags = (&self.global.repository, &self.global.secret);
        let named = flags.0.config.clone().or_else(|| self.variable("BOVEDA_CONFIG").map(Into::into));
        if let Some(config) = named {
            words.extend(["--config".into(), absolute(&config)?.into()]);
        }
        let meant = self.repository()?;
        match meant.section {
            Some((name, _)) if flags.0.repo.is_some() => {
                words.extend(["-r".into(), format!("@{}", name.as_str()).into()])
            }
            Some(_) => {}
            None => {
                let location = match &meant.url {
                    StoreUrl::Local(folder) => absolute(folder)?.into(),
                    StoreUrl::Remote(url) => url.to_string().into(),
                };
                words.extend(["-r".into(), location]);
            }
        }
        for (flag, file) in [("--key-file", &flags.1.key_file), ("--password-file", &flags.1.password_file)] {
            if let Some(file) = file {
                words.extend([flag.into(), absolute(file)?.into()]);
            }
        }
        for (flag, command) in
            [("--key-command", &flags.1.key_command), ("--password-command", &flags.1.password_command)]
        {
            if let Some(command) = command {
                words.extend([flag.into(), command.into()]);
            }
        }
        if let Some(folder) = &flags.0.cache_dir {
            words.extend(["--cache-dir".into(), absolute(folder)?.into()]);
        }
        Ok(words)
    }

    /// The folder of caches that the configuration names.
    pub(super) fn configured_cache_folder(&self) -> Result<Option<PathBuf>, Failure> {
        let folder = self.config()?.and_then(|config| config.settings.cache_dir.as_ref());
        folder.map(|folder| folder.resolve(self.home().as_deref())).transpose().map_err(Failure::usage)
    }

    /// What the configuration says about snapshots; nothing if there is none.
    ///
    /// # Errors
    /// When the configuration is wrong.
    pub fn snapshot_settings(&self) -> Result<config::Snapshot, Failure> {
        Ok(self.config()?.map(|config| config.settings.snapshot.clone()).unwrap_or_default())
    }
}

fn parse(text: &OsStr) -> Result<StoreUrl, Failure> {
    StoreUrl::parse(text).map_err(|error| Failure::because(Code::Usage, &error))
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
    use std::sync::OnceLock;

    use jiff::tz::TimeZone;

    use super::super::global::Global;
    use super::*;

    type Lookup = fn(&str) -> Option<OsString>;

    fn context(global: Global, environment: Lookup) -> Context {
        Context { global, environment, config: OnceLock::new(), zone: TimeZone::UTC, stall: None }
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
        assert_eq!(context(with_repo("ftp://host/x"), none).location().unwrap_err().code, Code::Usage);
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
    fn names_in_files_keep_their_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("location");
        std::fs::write(&file, b"/a\xff\n").unwrap();
        assert_eq!(first_line(&file).unwrap().as_bytes(), b"/a\xff");
    }

    #[test]
    fn the_configuration_comes_last_and_names_what_a_location_stands_for() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.toml");
        let text = "default_repository = 'a'\n[repository.a]\nurl = '/from/file'\nkey_file = '/k'\n[repository.b]\nurl = '/b'\n";
        std::fs::write(&file, text).unwrap();
        let with = |repo: Option<&str>, environment: Lookup| {
            let mut global = repo.map(with_repo).unwrap_or_default();
            global.repository.config = Some(file.clone());
            context(global, environment)
        };
        let none: Lookup = |_| None;
        let variable: Lookup = |name| (name == "BOVEDA_REPOSITORY").then(|| "@b".into());
        assert_eq!(with(None, none).location().unwrap().to_string(), "/from/file");
        assert_eq!(with(None, variable).location().unwrap().to_string(), "/b");
        assert_eq!(with(Some("@a"), variable).location().unwrap().to_string(), "/from/file");
        assert_eq!(with(Some("/else"), variable).location().unwrap().to_string(), "/else");
        let failure = with(Some("@c"), none).location().unwrap_err();
        assert!(failure.code == Code::Usage && failure.message.contains("there is a, b"), "{failure}");
        // A location that the file knows is opened by what the file says, any other is not.
        let section = |repo| with(Some(repo), none).section().unwrap().map(|(name, _)| name.to_string());
        assert_eq!(
            (section("/from/file"), section("file:///b"), section("/c")),
            (Some("a".into()), Some("b".into()), None)
        );
    }
}
