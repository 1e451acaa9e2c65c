//! Adds to the configuration what is planned and not there yet. What is there stays as it is.

use super::plan::{Opener, Plan};
use crate::cli::context::Context;
use crate::cli::error::Failure;
use crate::config::{self, Addition, Config, Place, Rank};

/// In place of a section's name: text that comes with the repository's section, and only with it.
pub const WITH_REPOSITORY: &str = "";

/// Whether the configuration has this repository already.
///
/// # Errors
/// When it has another one of that name.
pub fn is_known(plan: &Plan, context: &Context) -> Result<bool, Failure> {
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

/// How long snapshots stay unless somebody says otherwise.
pub fn retention_section() -> Addition {
    let mut section = Addition::default();
    section.section("retention.full").comment("what `boveda forget` keeps when it is given no rules");
    section.string("keep_within", "30d");
    section.section("retention.incremental").string("keep_within", "7d");
    section
}
