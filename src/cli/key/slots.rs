//! `boveda key passwd`, `recovery`, `slot add`, `remove`: what opens one's own keys.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Subcommand;
use serde_json::json;

use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::cli::new_secret::NewSecret;
use crate::cli::open::{Opened, open, require};
use crate::cli::output::Output;
use crate::crypto::secret::Secret;
use crate::repo::id::SlotId;
use crate::repo::keys::credential::Credential;
use crate::repo::keys::recovery as words;
use crate::repo::keys::role::Role;
use crate::repo::repository::{self, Repository};
use crate::secrets;

/// What has to be said whenever a slot goes.
const COPIES: &str = "A copy of the repository made before can still be opened with what the old slot took.";

/// Change your password, or whatever opens the slot in use
#[derive(Debug, clap::Args)]
pub struct Passwd {
    #[command(flatten)]
    secret: NewSecret,
}

/// Make a new recovery key; the old one opens nothing any more
#[derive(Debug, clap::Args)]
pub struct Recovery {
    /// Where its words are written; never overwritten [default: ./boveda-recovery-ID.txt]
    #[arg(long, value_name = "FILE")]
    recovery_key_file: Option<PathBuf>,
    /// Make none, change nothing: prove that the words in this file (- for standard input) open the repository. Needs no
    /// password; ends with exit code 12 when they do not
    #[arg(long, value_name = "FILE", conflicts_with = "recovery_key_file")]
    check: Option<PathBuf>,
}

/// Give your own keys another slot
#[derive(Debug, clap::Args)]
pub struct Slot {
    #[command(subcommand)]
    verb: SlotVerb,
}

#[derive(Debug, Subcommand)]
enum SlotVerb {
    /// Add a slot: one more password or key file that opens your keys
    Add {
        #[command(flatten)]
        secret: NewSecret,
    },
}

/// Remove a slot
#[derive(Debug, clap::Args)]
pub struct Remove {
    /// Its id, or the beginning of it, as `key list` shows it
    slot: String,
}

fn opened(context: &Context) -> Result<(Opened, Arc<Output>), Failure> {
    let output = Arc::new(context.output());
    Ok((open(context, &output)?, output))
}

/// Replaces the slot in use.
pub fn passwd(arguments: &Passwd, context: &Context) -> Result<Code, Failure> {
    let (opened, output) = opened(context)?;
    let credential = arguments.secret.get(&output)?;
    let new = opened.repository.replace_slot(&credential)?;
    say(&output, "slot_replaced", new, "the new one opens your keys, the old one does not any more")?;
    output.remark_for_people(COPIES)?;
    Ok(output.code())
}

/// Replaces the recovery key.
pub fn recovery(arguments: &Recovery, context: &Context) -> Result<Code, Failure> {
    if let Some(file) = &arguments.check {
        return check(file, context);
    }
    let (opened, output) = opened(context)?;
    require(&opened.repository, Role::may_certify, "making a recovery key")?;
    let id = opened.repository.id();
    let default = || PathBuf::from(format!("./boveda-recovery-{}.txt", &id.to_string()[..8]));
    let file = arguments.recovery_key_file.clone().unwrap_or_else(default);
    let key = match left_over(&file, &opened)? {
        Some(key) => key,
        None => {
            let key = Secret::generate();
            // The file first: a recovery key that nobody has is worse than one that opens nothing yet.
            secrets::create_file(&file, &words::file_text(&id, &key)).map_err(|error| {
                Failure::because(Code::Usage, &error).hint("--recovery-key-file names another file")
            })?;
            key
        }
    };
    let new = opened.repository.replace_recovery(&Credential::Recovery(key))?;
    say(&output, "slot_replaced", new, &format!("the new recovery key, 24 words, is in {}", file.display()))?;
    output.remark_for_people(COPIES)?;
    Ok(output.code())
}

/// The key in a file that an attempt left which was cut short: in force already, with the old ones still beside it. A file
/// whose key is not in force is never used again: the key may have been replaced because others know it.
fn left_over(file: &Path, opened: &Opened) -> Result<Option<Secret>, Failure> {
    if file.symlink_metadata().is_err() {
        return Ok(None);
    }
    let Ok(contents) = secrets::read_file(file) else { return Ok(None) };
    let text = std::str::from_utf8(contents.secret.expose()).unwrap_or_default();
    let Some(key) = words::parse(text).ok().filter(|_| words::names_repository(text, &opened.repository.id())) else {
        return Ok(None);
    };
    match opened.repository.recovery_slots_beside(&Credential::Recovery(key.clone()))? {
        Some(0) => Ok(None),
        Some(_) => Ok(Some(key)),
        None => Err(Failure::usage(format!("{} holds a recovery key that opens nothing", file.display())).hint(
            "it was replaced, or the command that made it was cut short: remove the file, then run the command again",
        )),
    }
}

/// Proves that a recovery key opens the repository.
fn check(file: &Path, context: &Context) -> Result<Code, Failure> {
    let output = Arc::new(context.output());
    let store = context.open_store(&output)?;
    repository::look(&store, &*output)?;
    let file = if file.as_os_str() == "-" { Path::new("/dev/stdin") } else { file };
    let contents = secrets::read_file(file).map_err(|error| Failure::because(Code::Usage, &error))?;
    if let Some(warning) = contents.warning {
        output.warn(warning);
    }
    let key = match Credential::key(&contents.secret) {
        Ok(key @ Credential::Recovery(_)) => key,
        Ok(_) => return Err(Failure::usage(format!("{} holds no recovery key but a raw key", file.display()))),
        Err(error) => return Err(Failure::because(Code::Usage, &error)),
    };
    // Without this host's memory of the repository, which is for whoever works with it.
    let opened = Repository::open(store, &key, |_| None, Arc::clone(&output) as _).map_err(|error| {
        let failure = Failure::from(error);
        match failure.code {
            Code::WrongKey => failure.hint(
                "it is an old one, or another repository's: with a password or key, `boveda key recovery` makes a new one",
            ),
            _ => failure,
        }
    })?;
    let slot = opened.slot();
    if output.json() {
        output.json_line(&json!({
            "message_type": "recovery_key_checked", "slot": slot.to_string(), "repository": opened.id().to_string(),
            "role": opened.bundle().role().name(),
        }))?;
    } else {
        let (slot, id) = (slot.to_string(), opened.id().to_string());
        output.remark(&format!("this recovery key opens the repository {} (slot {})", &id[..8], &slot[..8]))?;
    }
    Ok(output.code())
}

/// Adds a slot of one's own.
pub fn slot(arguments: &Slot, context: &Context) -> Result<Code, Failure> {
    let SlotVerb::Add { secret } = &arguments.verb;
    let (opened, output) = opened(context)?;
    let new = opened.repository.add_slot(&secret.get(&output)?)?;
    say(&output, "slot_added", new, &format!("added slot {}", &new.to_string()[..8]))?;
    Ok(output.code())
}

/// Removes a slot.
pub fn remove(arguments: &Remove, context: &Context) -> Result<Code, Failure> {
    let (opened, output) = opened(context)?;
    let headers = opened.repository.slot_headers()?;
    let found: Vec<SlotId> =
        headers.iter().map(|(id, _)| *id).filter(|id| id.to_string().starts_with(&arguments.slot)).collect();
    let [id] = found[..] else {
        let message = format!("{} slots have an id that starts with {:?}", found.len(), arguments.slot);
        return Err(Failure::new(Code::Failed, message).hint("`boveda key list` shows them"));
    };
    opened.repository.remove_slot(id)?;
    say(&output, "slot_removed", id, &format!("removed slot {}", &id.to_string()[..8]))?;
    output.remark_for_people(COPIES)?;
    Ok(output.code())
}

fn say(output: &Output, message_type: &str, slot: SlotId, text: &str) -> Result<(), Failure> {
    if output.json() {
        output.json_line(&json!({ "message_type": message_type, "slot": slot.to_string() }))?;
    } else {
        output.remark(text)?;
    }
    Ok(())
}
