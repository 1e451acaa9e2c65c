//! From flags, variables, an existing configuration and answers to a plan. Nothing is made here.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::plan::{Opener, Plan};
use super::{Arguments, ask};
use crate::cli::context::{self, Context};
use crate::cli::error::{Code, Failure};
use crate::cli::output::Output;
use crate::cli::{escape, prompt};
use crate::config::{self, Config, Name, Place, Rank};
use crate::secrets;
use crate::store::url::StoreUrl;
use rustix::process::geteuid;

/// The plan: what flags say, else the environment, else the configuration, else the terminal or the defaults.
///
/// # Errors
/// When these contradict each other, or cannot be.
pub fn plan(arguments: &Arguments, context: &Context, output: &Output) -> Result<Plan, Failure> {
    let name = Name::try_from(arguments.name.clone()).map_err(|reason| Failure::usage(format!("--name: {reason}")))?;
    let file = config_file(context)?;
    let there = Config::load(&[Place { path: file.clone(), rank: Rank::User }])?;
    let section = there.as_ref().and_then(|config| config.named(name.as_str()));
    let known = section.map(|(_, section)| section.url.resolve(context.home().as_deref()));
    let known = known.transpose().map_err(Failure::usage)?;
    let url = location(arguments, context, known)?;
    let opener = match section {
        Some((_, section)) => configured_opener(section, context)?,
        None => new_opener(&file, &name, context, output)?,
    };
    let (paths, exclude) = sources(arguments, context, &url)?;
    let recovery = arguments.recovery_key_file.as_ref().map(std::path::absolute).transpose();
    let recovery = recovery.map_err(|error| Failure::usage(format!("--recovery-key-file: {error}")))?;
    Ok(Plan { name, url, opener, config: file, recovery, paths, exclude })
}

/// The configuration to make or to add to: the one that is named, else the user's own; for root, the machine's if only that
/// is there.
///
/// # Errors
/// When there is no home for it.
pub fn config_file(context: &Context) -> Result<PathBuf, Failure> {
    let places = context.config_places()?;
    if let Some(named) = places.iter().find(|place| place.rank == Rank::Named) {
        return Ok(named.path.clone());
    }
    // A file of root's own would hide the machine's from root.
    let of_machine = places.iter().find(|place| place.rank == Rank::System && place.path.exists());
    match (context.user_config(), of_machine) {
        (Ok(user), Some(machine)) if geteuid().is_root() && !user.exists() => Ok(machine.path.clone()),
        (user, _) => user,
    }
}

fn location(arguments: &Arguments, context: &Context, known: Option<StoreUrl>) -> Result<StoreUrl, Failure> {
    let flags = &context.global.repository;
    let given = flags.repo.clone().or_else(|| context.variable("BOVEDA_REPOSITORY"));
    let given = match given {
        Some(text) if text.as_encoded_bytes().starts_with(b"@") => {
            return Err(
                Failure::usage("setup needs the repository's location, not its name").hint("--name gives the name")
            );
        }
        _ if flags.repository_file.is_some() => Some(context.location()?),
        Some(text) => Some(StoreUrl::parse(&text).map_err(|error| Failure::because(Code::Usage, &error))?),
        None => None,
    };
    match (given, known) {
        (Some(given), Some(known)) if given != known => {
            let name = &arguments.name;
            Err(Failure::usage(format!("the configuration has the repository {name} at {known}, not at {given}"))
                .hint("choose another name with --name, or change the configuration"))
        }
        (Some(url), _) | (None, Some(url)) => Ok(url),
        (None, None) => {
            let default = context.home_folder("XDG_DATA_HOME", ".local/share")?.join("repository");
            if arguments.yes {
                return Ok(StoreUrl::Local(default));
            }
            let answer = ask::line("Where is the repository to be? Best on another disk.", &default.to_string_lossy())?;
            let answer = at_home(&answer, context);
            StoreUrl::parse(answer.as_os_str()).map_err(|error| Failure::because(Code::Usage, &error))
        }
    }
}

/// What the configuration says opens the repository that it has.
fn configured_opener(section: &config::Repository, context: &Context) -> Result<Opener, Failure> {
    let secret = section.secret(context.home().as_deref()).map_err(Failure::usage)?;
    if let Some(file) = &secret.key_file {
        return Ok(Opener::KeyFile(file.clone()));
    }
    let found = secret.find(&context.environment).map_err(|error| Failure::because(Code::Usage, &error))?;
    let found = match found {
        Some(answer) => answer.found,
        None => secrets::Found::Password(prompt::ask("password of the repository: ")?),
    };
    Ok(Opener::Given(context::credential(found)?, None))
}

/// What a flag or a variable names, else a key file beside the configuration.
fn new_opener(file: &Path, name: &Name, context: &Context, output: &Output) -> Result<Opener, Failure> {
    let sources = context.global.secret.sources();
    let usage = |error: secrets::Error| Failure::because(Code::Usage, &error);
    let beside = || file.parent().unwrap_or(Path::new("/")).join(format!("{name}.key"));
    let Some(origin) = secrets::origin(&sources, &context.environment).map_err(usage)? else {
        return Ok(Opener::KeyFile(beside()));
    };
    let text = |name: &str| context.variable(name).map(|value| value.to_string_lossy().into_owned());
    let path = |path: Option<String>| path.and_then(|path| std::path::absolute(path).ok()).map(PathBuf::into_os_string);
    let shown = |path: &PathBuf| path.to_string_lossy().into_owned();
    let line = match origin.0 {
        "--password-file" => path(sources.password_file.as_ref().map(shown)).map(|path| ("password_file", path)),
        "BOVEDA_PASSWORD_FILE" => path(text(origin.0)).map(|path| ("password_file", path)),
        "--key-file" => path(sources.key_file.as_ref().map(shown)).map(|file| ("key_file", file)),
        "BOVEDA_KEY_FILE" => path(text(origin.0)).map(|file| ("key_file", file)),
        "--password-command" => sources.password_command.clone().map(|line| ("password_command", line.into())),
        "BOVEDA_PASSWORD_COMMAND" => text(origin.0).map(|line| ("password_command", line.into())),
        "--key-command" => sources.key_command.clone().map(|line| ("key_command", line.into())),
        "BOVEDA_KEY_COMMAND" => text(origin.0).map(|line| ("key_command", line.into())),
        "BOVEDA_PASSWORD" => Some(("password_env", OsString::from(origin.0))),
        _ => Some(("key_env", OsString::from(origin.0))),
    };
    if let Some(("key_file", file)) = &line {
        return Ok(Opener::KeyFile(file.into()));
    }
    let answer = secrets::find(&sources, &context.environment).map_err(usage)?;
    let answer = answer.ok_or_else(|| Failure::usage(format!("{origin} names no secret")))?;
    if let Some(warning) = answer.warning {
        output.warn(warning);
    }
    let line = line.map(|(key, value)| (key, value.to_string_lossy().into_owned()));
    Ok(Opener::Given(context::credential(answer.found)?, line))
}

/// What to take snapshots of, and what to leave out.
fn sources(arguments: &Arguments, context: &Context, url: &StoreUrl) -> Result<(Vec<String>, Vec<String>), Failure> {
    let home = context.home();
    let paths = match &arguments.source[..] {
        [] => {
            let home =
                home.clone().ok_or_else(|| Failure::usage("HOME is not set: name what to keep with --source"))?;
            match arguments.yes {
                true => vec![home],
                false => asked_sources(&home, context)?,
            }
        }
        given => given.to_vec(),
    };
    let paths = paths.iter().map(|path| absolute(path)).collect::<Result<Vec<_>, _>>()?;
    let mut exclude = arguments.exclude.clone();
    let within = |folder: &Path| paths.iter().any(|path| folder.starts_with(path));
    if arguments.exclude.is_empty() && home.is_some_and(|home| within(&home)) {
        exclude.push("~/.cache".to_owned());
    }
    if let Some(folder) = url.local()
        && paths.iter().any(|path| Path::new(path).starts_with(folder))
    {
        return Err(Failure::usage(format!("what is to be kept lies in the repository's folder {}", folder.display()))
            .hint("choose another place with -r"));
    }
    Ok((paths, exclude))
}

fn asked_sources(home: &Path, context: &Context) -> Result<Vec<PathBuf>, Failure> {
    let answer = ask::line("Which files and folders are to be kept?", &home.to_string_lossy())?;
    let words = shlex::split(&answer).filter(|words| !words.is_empty());
    let words = words.ok_or_else(|| Failure::usage("these paths cannot be split into words: check the quotes"))?;
    Ok(words.iter().map(|word| at_home(word, context)).collect())
}

/// A typed `~/` is the home: no shell was there to say so.
fn at_home(text: &str, context: &Context) -> PathBuf {
    match (text.strip_prefix("~/"), context.home()) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => PathBuf::from(text),
    }
}

/// A path as the configuration can hold it: absolute, and UTF-8.
///
/// # Errors
/// When it is not.
pub fn absolute(path: &Path) -> Result<String, Failure> {
    let shown = || escape::name(path.as_os_str().as_bytes());
    let whole = std::path::absolute(path).map_err(|error| Failure::usage(format!("{}: {error}", shown())))?;
    let text = whole.into_os_string().into_string();
    text.map_err(|_| Failure::usage(format!("{} is not UTF-8, as everything in a configuration must be", shown())))
}
