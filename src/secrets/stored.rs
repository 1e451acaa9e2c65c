//! A secret as a configuration names it: what counts when neither a flag nor a variable names one.

use super::sources::{Answer, Lookup, Named, Origin, Place, What, read, the_one};
use super::{Error, sources};
use crate::crypto::secret::SecretBytes;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

/// What a configuration says about the secret of one repository: one of these, or none.
#[derive(Debug, Clone, Default)]
pub struct Stored {
    /// `password`: the password itself.
    pub password: Option<SecretBytes>,
    /// `password_file`.
    pub password_file: Option<PathBuf>,
    /// `password_command`.
    pub password_command: Option<String>,
    /// `password_env`: the variable that holds the password.
    pub password_env: Option<String>,
    /// `key`: the key itself.
    pub key: Option<SecretBytes>,
    /// `key_file`.
    pub key_file: Option<PathBuf>,
    /// `key_command`.
    pub key_command: Option<String>,
    /// `key_env`: the variable that holds the key.
    pub key_env: Option<String>,
}

impl Stored {
    /// What it names, as the configuration calls it, without reading it; `None` when it names nothing.
    ///
    /// # Errors
    /// [`Error::Conflict`] when it names two.
    pub fn origin(&self) -> Result<Option<Origin>, Error> {
        let origins = [
            self.password.as_ref().map(|_| Origin("password")),
            self.password_file.as_ref().map(|_| Origin("password_file")),
            self.password_command.as_ref().map(|_| Origin("password_command")),
            self.password_env.as_ref().map(|_| Origin("password_env")),
            self.key.as_ref().map(|_| Origin("key")),
            self.key_file.as_ref().map(|_| Origin("key_file")),
            self.key_command.as_ref().map(|_| Origin("key_command")),
            self.key_env.as_ref().map(|_| Origin("key_env")),
        ];
        let mut named = origins.into_iter().flatten();
        match (named.next(), named.next()) {
            (Some(first), Some(second)) => Err(Error::Conflict(first, second)),
            (first, _) => Ok(first),
        }
    }

    /// The secret that it names.
    ///
    /// # Errors
    /// [`Error::Conflict`] when it names two, [`Error::Unset`] for a variable that is not set; otherwise what failed on the
    /// way to it.
    pub fn find(&self, environment: Lookup<'_>) -> Result<Option<Answer>, Error> {
        let Some(origin) = self.origin()? else { return Ok(None) };
        let named = |what, place| Named { origin, what, place };
        let value = |secret: &Option<SecretBytes>| secret.clone().map(Place::Value);
        let file = |path: &Option<PathBuf>| path.clone().map(Place::File);
        let command = |line: &Option<String>| line.clone().map(Place::Command);
        let passwords = [value(&self.password), file(&self.password_file), command(&self.password_command)];
        let keys = [value(&self.key), file(&self.key_file), command(&self.key_command)];
        let mut all: Vec<Named> = passwords.into_iter().flatten().map(|place| named(What::Password, place)).collect();
        all.extend(keys.into_iter().flatten().map(|place| named(What::Key, place)));
        for (variable, what) in [(&self.password_env, What::Password), (&self.key_env, What::Key)] {
            let Some(variable) = variable else { continue };
            let set = environment(variable).filter(|value| !value.is_empty());
            let value = set.ok_or_else(|| Error::Unset { variable: variable.clone(), origin })?;
            all.push(named(what, Place::Value(SecretBytes::new(value.into_vec()))));
        }
        the_one(all)?.map(read).transpose()
    }
}

/// What names the secret, by flag or by variable, without reading it.
///
/// # Errors
/// As [`sources::find`] for conflicts.
pub fn origin(flags: &super::Sources, environment: Lookup<'_>) -> Result<Option<Origin>, Error> {
    match the_one(sources::from_flags(flags))? {
        Some(named) => Ok(Some(named.origin)),
        None => Ok(the_one(sources::from_environment(environment)?)?.map(|named| named.origin)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secrets::Found;

    fn find(stored: &Stored) -> Result<Option<Answer>, Error> {
        stored.find(&|name| (name == "THERE").then(|| "from variable".into()))
    }

    #[test]
    fn every_key_is_a_source() {
        let file = tempfile::NamedTempFile::new().unwrap().into_temp_path();
        std::fs::write(&file, "from file\n").unwrap();
        let path = Some(file.to_path_buf());
        let bytes = || Some(SecretBytes::new(b"straight".to_vec()));
        let text = |text: &str| Some(text.to_owned());
        let none = Stored::default;
        for (stored, is_key, secret, name) in [
            (Stored { password: bytes(), ..none() }, false, "straight", "password"),
            (Stored { password_file: path.clone(), ..none() }, false, "from file", "password_file"),
            (Stored { password_command: text("echo said"), ..none() }, false, "said", "password_command"),
            (Stored { password_env: text("THERE"), ..none() }, false, "from variable", "password_env"),
            (Stored { key: bytes(), ..none() }, true, "straight", "key"),
            (Stored { key_file: path, ..none() }, true, "from file\n", "key_file"),
            (Stored { key_command: text("echo said"), ..none() }, true, "said\n", "key_command"),
            (Stored { key_env: text("THERE"), ..none() }, true, "from variable", "key_env"),
        ] {
            let answer = find(&stored).unwrap().unwrap();
            let (Found::Password(found) | Found::Key(found)) = &answer.found;
            assert_eq!((found.expose(), answer.origin.0), (secret.as_bytes(), name));
            assert_eq!(matches!(answer.found, Found::Key(_)), is_key, "{name}");
        }
        assert!(find(&none()).unwrap().is_none());
    }

    #[test]
    fn two_are_refused_and_an_unset_variable_is_named() {
        let two = Stored { key_env: Some("A".into()), password_file: Some("/x".into()), ..Stored::default() };
        assert!(matches!(find(&two), Err(Error::Conflict(Origin("password_file"), Origin("key_env")))));
        let unset = Stored { key_env: Some("NOT_THERE".into()), ..Stored::default() };
        assert!(find(&unset).unwrap_err().to_string().contains("NOT_THERE"));
    }

    #[test]
    fn what_names_the_secret_is_told_without_reading_it() {
        let flags = super::super::Sources { key_file: Some("/nowhere".into()), ..Default::default() };
        assert_eq!(origin(&flags, &|_| None).unwrap(), Some(Origin("--key-file")));
        let variable = |name: &str| (name == "BOVEDA_PASSWORD_COMMAND").then(|| "false".into());
        assert_eq!(origin(&Default::default(), &variable).unwrap(), Some(Origin("BOVEDA_PASSWORD_COMMAND")));
        assert_eq!(origin(&Default::default(), &|_| None).unwrap(), None);
    }
}
