//! `boveda cache`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::json;

use super::context::Context;
use super::error::{Code, Failure};
use super::output::{Output, count, size};
use super::reach::objects_folder;
use super::time;
use crate::repo::entry::Timestamp;
use crate::repo::id::RepositoryId;

/// Show or clear what this machine caches
///
/// Caches only save time: without them the next snapshot reads every file again, and the next command every index. They hold names of files, sealed, what indexes say of chunks, and of a repository behind a network what was read last, sealed as it is there.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the repositories that have a cache here
    List,
    /// Remove the caches of repositories, or of all
    Clear(Clear),
}

#[derive(Debug, clap::Args)]
struct Clear {
    /// Ids of repositories, as `cache list` shows them, or as much of one as is unique
    #[arg(value_name = "REPOSITORY", required_unless_present = "all")]
    repositories: Vec<String>,
    /// All of them
    #[arg(long, conflicts_with = "repositories")]
    all: bool,
}

/// One repository's cache.
struct Cache {
    repository: RepositoryId,
    folder: PathBuf,
    files: u64,
    bytes: u64,
    used: Timestamp,
}

/// Lists or clears.
pub fn run(arguments: &Arguments, context: &Context) -> Result<Code, Failure> {
    let output = context.output();
    let caches = find(&context.cache_folder()?)?;
    match &arguments.verb {
        Verb::List => list(&caches, context, &output)?,
        Verb::Clear(clear) => {
            if clear.all {
                remove_objects(&objects_folder(&context.cache_folder()?))?;
            }
            let chosen = if clear.all { caches } else { choose(caches, &clear.repositories)? };
            remove(&chosen, &output)?;
        }
    }
    Ok(output.code())
}

fn list(caches: &[Cache], context: &Context, output: &Output) -> Result<(), Failure> {
    for cache in caches {
        if output.json() {
            output.json_line(&json!({
                "message_type": "cache", "repository": cache.repository.to_string(), "files": cache.files,
                "bytes": cache.bytes, "used": time::rfc3339(cache.used), "path": cache.folder.to_string_lossy(),
            }))?;
        } else {
            let (id, used) = (cache.repository.to_string(), time::local(cache.used, &context.zone));
            output.line(&format!("{}  {:>9}  {used}", &id[..8], size(cache.bytes)))?;
        }
    }
    if caches.is_empty() {
        output.remark_for_people("no caches")?;
    }
    Ok(())
}

fn choose(mut caches: Vec<Cache>, wanted: &[String]) -> Result<Vec<Cache>, Failure> {
    for text in wanted {
        let fitting = caches.iter().filter(|cache| cache.repository.to_string().starts_with(text.as_str())).count();
        if fitting != 1 {
            let message = format!("`{text}` fits the caches of {fitting} repositories, not of one");
            return Err(Failure::new(Code::Failed, message).hint("`boveda cache list` shows them"));
        }
    }
    caches.retain(|cache| wanted.iter().any(|text| cache.repository.to_string().starts_with(text.as_str())));
    Ok(caches)
}

fn remove(caches: &[Cache], output: &Output) -> Result<(), Failure> {
    for cache in caches {
        fs::remove_dir_all(&cache.folder).map_err(|error| failed("remove", &cache.folder, &error))?;
    }
    let bytes: u64 = caches.iter().map(|cache| cache.bytes).sum();
    if output.json() {
        output.json_line(&json!({ "message_type": "cleared", "caches": caches.len(), "bytes": bytes }))?;
    }
    output.remark_for_people(&format!("{} removed, {}", count(caches.len(), "cache"), size(bytes)))?;
    Ok(())
}

/// Removes what is kept of small objects, of whichever repository.
fn remove_objects(folder: &Path) -> Result<(), Failure> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", folder, &error)),
        _ => Ok(()),
    }
}

/// The caches below a folder: only what is named as a repository is one, everything else there is left alone.
fn find(folder: &Path) -> Result<Vec<Cache>, Failure> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed("list", folder, &error)),
    };
    let mut caches = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| failed("list", folder, &error))?;
        let name = entry.file_name();
        let id = name.to_str().and_then(RepositoryId::from_hex);
        // Not through a link: what is elsewhere is not ours to remove.
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if let Some(repository) = id.filter(|_| is_folder) {
            caches.push(measure(repository, entry.path()).map_err(|error| failed("look into", &entry.path(), &error))?);
        }
    }
    caches.sort_by_key(|cache| cache.repository);
    Ok(caches)
}

fn measure(repository: RepositoryId, folder: PathBuf) -> io::Result<Cache> {
    let mut cache = Cache { repository, files: 0, bytes: 0, used: Timestamp::default(), folder };
    let mut folders = vec![cache.folder.clone()];
    while let Some(folder) = folders.pop() {
        measure_into(&mut cache, &folder, &mut folders)?;
    }
    Ok(cache)
}

fn measure_into(cache: &mut Cache, folder: &Path, below: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let about = match entry.metadata() {
            // Kept segments come and go while other commands run.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            about => about?,
        };
        if about.is_dir() {
            below.push(entry.path());
            continue;
        }
        cache.files += 1;
        cache.bytes += about.len();
        let changed = about.modified()?.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let changed = Timestamp { seconds: changed.as_secs().cast_signed(), nanoseconds: changed.subsec_nanos() };
        cache.used = cache.used.max(changed);
    }
    Ok(())
}

fn failed(action: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::new(Code::Failed, format!("cannot {action} {}: {error}", path.display()))
}
