//! Copies of a repository: which there are, bringing them up to date, and what is said of it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::sync::Arc;

use serde_json::{Value, json};

use super::context::Context;
use super::error::{Code, Failure};
use super::escape;
use super::output::{Output, count, size};
use super::reach::warn_of_racing;
use super::time::rfc3339;
use crate::event::{Event, Level, Sink as _};
use crate::ops::host::Host;
use crate::ops::sync::{self, Error, Lag, Options, Packs, Summary};
use crate::repo::repository::{self, Repository};
use crate::store::access::Access;
use crate::store::memory::MemoryStore;
use crate::store::url::StoreUrl;
use crate::store::{ErrorKind, Store, open};

/// A copy that is meant.
#[derive(Debug, Clone)]
pub struct Target {
    /// What it is called, for people: its name in the configuration, or its location.
    pub name: String,
    /// Where it is, or why it cannot be used: that costs the copy and nothing else.
    pub url: Result<StoreUrl, String>,
    /// How it is reached.
    pub access: Access,
}

impl Target {
    /// A location, `@NAME` of a copy of the repository that `context` means, or `@NAME` of another repository of the configuration.
    ///
    /// # Errors
    /// When it names nothing that can be used.
    pub fn named(text: &OsStr, context: &Context) -> Result<Self, Failure> {
        if let Some(name) = text.as_bytes().strip_prefix(b"@") {
            let known = configured(context)?.into_iter().find(|copy| copy.name.as_bytes() == name);
            if let Some(copy) = known {
                return Ok(copy);
            }
        }
        let there = context.at(text.to_owned());
        let (url, access) = (there.location()?, there.access()?);
        Ok(Self { name: url.to_string(), url: Ok(url), access })
    }

    /// Where it is.
    ///
    /// # Errors
    /// When that place cannot be used.
    pub fn place(&self) -> Result<&StoreUrl, Failure> {
        self.url.as_ref().map_err(Failure::usage)
    }

    /// The store there, which must be there.
    ///
    /// # Errors
    /// When it is not, or cannot be reached.
    pub fn open(&self) -> Result<Arc<dyn Store>, Failure> {
        Ok(open::open_with(self.place()?, &self.access)?)
    }

    /// The store there, made if need be; for a dry run nothing is made.
    fn store(&self, dry_run: bool) -> Result<Arc<dyn Store>, Failure> {
        let url = self.place()?;
        if !dry_run {
            return Ok(open::create_with(url, &self.access)?);
        }
        match open::open_with(url, &self.access) {
            Err(error) if error.kind == ErrorKind::NoStore => Ok(Arc::new(MemoryStore::at(&url.to_string()))),
            opened => Ok(opened?),
        }
    }
}

/// The copies that the configuration names for the repository that is meant.
///
/// # Errors
/// When the configuration is wrong.
pub fn configured(context: &Context) -> Result<Vec<Target>, Failure> {
    let Some((_, section)) = context.section()? else { return Ok(Vec::new()) };
    let home = context.home();
    let target = |(name, copy): (&crate::config::Name, &crate::config::Copy)| {
        let url = copy.url.resolve(home.as_deref());
        let reached = url.and_then(|url| Ok((url, context.access_to(copy).map_err(|failure| failure.message)?)));
        let (url, access) = match reached {
            Ok((url, access)) => (Ok(url), access),
            Err(error) => (Err(error), Access::default()),
        };
        Target { name: name.to_string(), url, access }
    };
    Ok(section.copy.iter().map(target).collect())
}

/// Brings every copy of the configuration up to date after a snapshot. A copy that cannot be is told, and costs the run exit code 3: the
/// snapshot itself stands.
pub fn after_snapshot(
    host: &Host,
    repository: &mut Repository,
    location: &StoreUrl,
    copies: &[Target],
    output: &Output,
) -> Code {
    let options = Options { learn: to_learn(location), ..Options::default() };
    let mut code = Code::Ok;
    for target in copies {
        if output.signal().is_some() {
            break;
        }
        match bring(host, repository, target, &options, output) {
            Ok(ended) => code = code.max(ended),
            Err(failure) => {
                complain(target, &failure, output);
                code = code.max(Code::Incomplete);
            }
        }
    }
    code
}

/// How much of a source's packs may be read to know what a copy's place should say of them: nothing over a network.
pub fn to_learn(source: &StoreUrl) -> u64 {
    source.local().map_or(0, |_| sync::LEARN)
}

/// Says that a copy was not brought up to date.
pub fn complain(target: &Target, failure: &Failure, output: &Output) {
    let text = format!("the copy {} is not up to date: {}", target.name, failure.message);
    output.emit(Event::Message(Level::Error, text));
}

/// Brings one copy up to date, and prints what came of it.
///
/// # Errors
/// When it is not up to date afterwards for another reason than single snapshots that could not come.
pub fn bring(
    host: &Host,
    repository: &mut Repository,
    target: &Target,
    options: &Options,
    output: &Output,
) -> Result<Code, Failure> {
    let store = target.store(options.dry_run)?;
    let synced = sync::sync(host, repository, &store, options, output);
    let summary = synced.map_err(|error| output.stopped(failure(error)))?;
    output.clear();
    if summary.founded && !options.dry_run {
        warn_of_racing(&*store, output);
    }
    if output.json() {
        output.json_line(&as_json(target, &summary, options))?;
    } else {
        print(target, &summary, options, output)?;
    }
    let code = match (summary.lost.is_empty(), summary.left.is_empty()) {
        (false, _) => Code::Damage,
        (true, false) => Code::Incomplete,
        (true, true) => Code::Ok,
    };
    Ok(code.max(output.code()))
}

/// Why a copy was not brought up to date, for people.
fn failure(error: Error) -> Failure {
    use repository::Error as E;
    match error {
        Error::Repository(error @ E::OtherRepository { .. }) => Failure::because(Code::Failed, &error)
            .hint("choose an empty place; `boveda copy` brings snapshots to another repository"),
        Error::Repository(error @ E::Diverged { .. }) => Failure::because(Code::Failed, &error)
            .hint("revoke at the source alone: its copies follow. Begin a new copy at another place"),
        Error::Repository(error) => error.into(),
        Error::Same { .. } => Failure::because(Code::Usage, &error),
        Error::OnHold { .. } => Failure::because(Code::Refused, &error)
            .hint("`boveda hold` shows all holds; when it is settled, `boveda release` ends them"),
        Error::Damaged { .. } => Failure::because(Code::Damage, &error)
            .hint("`boveda verify` tells more; without --forget everything else is brought all the same"),
    }
}

fn print(target: &Target, summary: &Summary, options: &Options, output: &Output) -> Result<(), Failure> {
    let Summary { packs, requests, .. } = summary;
    let name = escape::line(&target.name);
    let brought =
        format!("{}, {} in {}", count(summary.snapshots, "snapshot"), size(packs.bytes), count(packs.packs, "pack"));
    if options.dry_run {
        let begun = if summary.founded { " (a new copy)" } else { "" };
        output.remark(&format!("{name}{begun}: {brought} would be brought"))?;
        let puts = count(requests.puts, "put");
        let price = requests.dollars();
        output.remark(&format!(
            "in {puts} and {}; S3 would charge about ${price:.4} for that",
            count(requests.lists, "listing")
        ))?;
        if summary.forgotten > 0 {
            output.remark(&format!("{} would be forgotten there", count(summary.forgotten, "snapshot")))?;
        }
    } else {
        let begun = if summary.founded { "a new copy, " } else { "" };
        output.remark(&format!("{name}: {begun}{brought} brought"))?;
        if summary.renewed.packs > 0 {
            output.remark(&format!("{} of what was pruned there came in new packs", size(summary.renewed.bytes)))?;
        }
        if summary.forgotten > 0 {
            output.remark(&format!("{} forgotten there too", count(summary.forgotten, "snapshot")))?;
        }
        if !summary.healed.is_empty() {
            output.remark(&format!(
                "{} put back that were damaged or missing there",
                count(summary.healed.len() as u64, "object")
            ))?;
        }
        checked(summary, output)?;
        output.detail(&format!(
            "{}, {}, {}",
            count(requests.puts, "put"),
            count(requests.gets, "get"),
            count(requests.lists, "listing")
        ))?;
    }
    for slot in &summary.slots {
        output.warn(format!(
            "{slot} is at the copy {name} and not at the source: remove it there if it is to open nothing"
        ));
    }
    for (object, why) in &summary.lost {
        output.warn(format!("{object} is lost at the source: {why}"));
    }
    for (id, why) in &summary.left {
        output.warn(format!("snapshot {} is not at the copy {name}: {why}", id.short()));
    }
    lag(&name, &summary.after, options, output)
}

/// What is known of the copy's packs, and by what.
fn checked(summary: &Summary, output: &Output) -> Result<(), Failure> {
    let Summary { checked, by_hash, unchecked, .. } = summary;
    let all = count(checked.packs + by_hash.packs + unchecked.packs, "pack");
    let read = size(checked.bytes);
    output.remark(&format!(
        "of {all} there, {} were compared by the place's own hash, {} read whole ({read}), {} not looked into",
        by_hash.packs, checked.packs, unchecked.packs
    ))?;
    Ok(())
}

fn lag(name: &str, lag: &Lag, options: &Options, output: &Output) -> Result<(), Failure> {
    if lag.snapshots > 0 {
        let since = lag.since.map_or_else(String::new, |time| format!(", since {}", rfc3339(time)));
        output.remark(&format!("{name} is {} behind{since}", count(lag.snapshots, "snapshot")))?;
    } else if !options.dry_run {
        output.remark(&format!("{name} has every snapshot"))?;
    }
    Ok(())
}

fn as_json(target: &Target, summary: &Summary, options: &Options) -> Value {
    let packs = |packs: &Packs| json!({ "packs": packs.packs, "bytes": packs.bytes });
    let lag = |lag: &Lag| json!({ "snapshots": lag.snapshots, "since": lag.since.map(rfc3339) });
    let requests = &summary.requests;
    json!({
        "message_type": "synced",
        "copy": target.name,
        "location": target.url.as_ref().map(ToString::to_string).unwrap_or_default(),
        "dry_run": options.dry_run,
        "founded": summary.founded,
        "behind_before": lag(&summary.before),
        "behind": lag(&summary.after),
        "snapshots": summary.snapshots,
        "put": packs(&summary.packs),
        "renewed": packs(&summary.renewed),
        "indexes": summary.indexes,
        "decisions": summary.entered,
        "tagged": summary.tagged,
        "forgotten": summary.forgotten,
        "checked": packs(&summary.checked),
        "checked_by_hash": packs(&summary.by_hash),
        "unchecked": packs(&summary.unchecked),
        "healed": summary.healed.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "left": summary.left.iter().map(|(id, why)| json!({ "id": id.to_string(), "why": why })).collect::<Vec<_>>(),
        "lost": summary.lost.iter().map(|(name, why)| json!({ "object": name.to_string(), "why": why })).collect::<Vec<_>>(),
        "extra_slots": summary.slots.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "requests": {
            "puts": requests.puts, "gets": requests.gets, "lists": requests.lists,
            "bytes_put": requests.bytes_put, "bytes_got": requests.bytes_got, "price_usd": requests.dollars(),
        },
        "total_duration": summary.seconds,
    })
}
