//! `boveda snapshot`, also called `backup`.

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::context::Context;
use super::copies;
use super::debug_memory;
use super::error::{Code, Failure};
use super::explain;
use super::neighbour::{Priority, Reading, Threads};
use super::open::{Opened, open_to_act, require};
use super::output::{Output, count, duration, size};
use super::piped::Pipes;
use super::reach::{traffic_json, traffic_words};
use super::selection::Selection;
use super::snapshot_defaults::Defaults;
use super::snapshot_options::{Compressing, Deltas, How};
use super::targets::{Lists, absolute};
use super::time;
use crate::ops::host::Host;
use crate::ops::snapshot::{self, Options, Summary, stream};
use crate::repo::entry::EntryPath;
use crate::repo::keys::role::Role;
use crate::repo::repository::{self, Repository};
use crate::source::files::owners::Owners;
use crate::source::files::stat::StampOptions;
use crate::store::traffic::Counted;
use crate::store::url::StoreUrl;

/// Take a snapshot of files and folders (also: backup)
///
/// Paths are stored absolute, with the attributes of the folders above them. Files whose size, times and inode are as they were
/// at the last snapshot of the same paths are not read again.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// What to take a snapshot of [default: `paths` in [snapshot] of the configuration]; after --command and `--`, the command
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    lists: Lists,
    #[command(flatten)]
    selection: Selection,
    /// Take no snapshot; say which rule puts this path in or out
    #[arg(long, value_name = "PATH", help_heading = "What is in it (docs/excludes.md)")]
    explain: Vec<PathBuf>,
    #[command(flatten)]
    piped: Pipes,
    /// Read every byte again (also: --force)
    #[arg(long, alias = "force", short_alias = 'f', help_heading = "What is read")]
    full: bool,
    /// An inode number that changed does not make a file read again (network file systems)
    #[arg(long, help_heading = "What is read")]
    ignore_inode: bool,
    /// A status change (ctime) alone does not make a file read again
    #[arg(long, help_heading = "What is read")]
    ignore_ctime: bool,
    /// Store nothing; say what would be stored
    #[arg(short = 'n', long, help_heading = "What is read")]
    dry_run: bool,
    /// The host that the snapshot is recorded for [default: this host; env: BOVEDA_HOST]
    #[arg(short = 'H', long, help_heading = "How it is recorded")]
    host: Option<String>,
    /// Tags; `A,B` or more than once for several
    #[arg(long, value_name = "TAG[,TAG…]", value_delimiter = ',', help_heading = "How it is recorded")]
    tag: Vec<String>,
    /// The time it is recorded for, such as `2026-11-23 02:00` [default: now]
    #[arg(long, help_heading = "How it is recorded")]
    time: Option<String>,
    /// Leave the copies of the configuration as they are; `boveda sync` brings them up to date
    #[arg(long, help_heading = "How it is recorded")]
    no_copies: bool,
    #[command(flatten)]
    how: How,
    #[command(flatten)]
    compressing: Compressing,
    #[command(flatten)]
    deltas: Deltas,
    #[command(flatten)]
    threads: Threads,
    #[command(flatten)]
    priority: Priority,
    #[command(flatten)]
    reading: Reading,
}

/// Takes the snapshot.
pub fn run(arguments: &Arguments, context: &Context) -> Result<Code, Failure> {
    let output = Arc::new(context.stoppable_output()?);
    let defaults = Defaults::of(context)?;
    if arguments.how.debug_memory {
        let options = options(arguments, context, &defaults, Vec::new())?;
        return debug_memory::run(&arguments.how.apply(options)?, &output);
    }
    let location = context.location()?;
    let piped = arguments.piped.piped(&arguments.paths)?;
    let roots = match &piped {
        Some(piped) => vec![piped.path.clone()],
        None => roots(arguments, &defaults, &output)?,
    };
    let copies = if arguments.no_copies { Vec::new() } else { copies::configured(context)? };
    let own = [&location].into_iter().chain(copies.iter().filter_map(|copy| copy.url.as_ref().ok()));
    let options =
        Options { skip: own.flat_map(own_folder).collect(), ..options(arguments, context, &defaults, roots)? };
    if !arguments.explain.is_empty() {
        let paths: Vec<EntryPath> = arguments.explain.iter().map(|path| absolute(path)).collect::<Result<_, _>>()?;
        return explain::run(&options.walk(), &paths, &output);
    }
    let opened = open_to_act(context, &output)?;
    require(&opened.repository, Role::writes, "taking snapshots")?;
    let options = Options { parent: arguments.how.parent(&opened, context)?, ..arguments.how.apply(options)? };
    let Opened { mut repository, host } = opened;
    arguments.priority.apply(context, &output)?;
    let lock = host.writer(&repository)?;
    let taken = match &piped {
        None => snapshot::snapshot(&mut repository, lock.writer, &options, &*output),
        Some(piped) => piped.open().map_err(snapshot::Error::from).and_then(|mut stream| {
            stream::snapshot_stream(&mut repository, lock.writer, &options, &piped.path, &mut *stream, &*output)
        }),
    };
    if let Err(snapshot::Error::Repository(repository::Error::Cloned { .. })) = taken {
        host.renew(&repository);
    }
    let summary = taken.map_err(|error| output.stopped(error.into()))?;
    output.clear();
    host.remember(&repository);
    print(&summary, &options, context.traffic(), &output)?;
    if !options.dry_run && !copies.is_empty() {
        refresh(&host, &mut repository, &output);
        let ended = copies::after_snapshot(&host, &mut repository, &location, &copies, &output);
        if ended != Code::Ok {
            return Ok(output.signal().unwrap_or(ended));
        }
    }
    Ok(if summary.problems > 0 { output.code().max(Code::Incomplete) } else { output.code() })
}

/// The repository with what was committed just now.
pub(super) fn refresh(host: &Host, repository: &mut Repository, output: &Output) {
    match repository.refresh() {
        Ok(()) => host.remember(repository),
        Err(error) => {
            output.warn(format!("the repository could not be read once more: {}", super::error::chain(&error)))
        }
    }
}

fn options(
    arguments: &Arguments,
    context: &Context,
    defaults: &Defaults,
    roots: Vec<EntryPath>,
) -> Result<Options, Failure> {
    let moment = |text: &String| {
        time::parse(text, &context.zone)
            .ok_or_else(|| Failure::usage(format!("--time {text:?} is no time; write it like 2026-11-23 02:00")))
    };
    Ok(Options {
        roots,
        host: host(arguments, context, defaults),
        user: user(),
        tags: defaults.tags(&arguments.tag),
        time: arguments.time.as_ref().map(moment).transpose()?,
        excludes: arguments.selection.rules(defaults.excludes(), context)?,
        one_file_system: arguments.selection.one_file_system || defaults.one_file_system,
        read_special: arguments.selection.read_special,
        full: arguments.full,
        dry_run: arguments.dry_run,
        stamp: StampOptions { ignore_inode: arguments.ignore_inode, ignore_ctime: arguments.ignore_ctime },
        effort: arguments.compressing.effort(defaults.compression, context)?,
        delta: arguments.deltas.choice(defaults.delta, context)?,
        threads: arguments.threads.count(context)?,
        pacing: arguments.reading.pacing(context)?,
        cache: Some(context.cache_folder()?),
        ..Options::default()
    })
}

/// The paths of the lists, then those of the command line; those of the configuration when neither names any.
fn roots(arguments: &Arguments, defaults: &Defaults, output: &Output) -> Result<Vec<EntryPath>, Failure> {
    let mut roots = arguments.lists.paths(output)?;
    if arguments.lists.any() && roots.is_empty() && arguments.paths.is_empty() {
        return Err(Failure::usage("the lists name nothing to take a snapshot of"));
    }
    let named = if arguments.lists.any() { arguments.paths.clone() } else { defaults.paths(&arguments.paths)? };
    for path in &named {
        roots.push(absolute(path)?);
    }
    Ok(roots)
}

fn host(arguments: &Arguments, context: &Context, defaults: &Defaults) -> String {
    let given = arguments.host.clone();
    let named = || context.variable("BOVEDA_HOST").map(|host| host.to_string_lossy().into_owned());
    let configured = || defaults.host.clone();
    given
        .or_else(named)
        .or_else(configured)
        .unwrap_or_else(|| rustix::system::uname().nodename().to_string_lossy().into_owned())
}

/// Who runs this.
pub(super) fn user() -> String {
    let uid = rustix::process::getuid().as_raw();
    String::from_utf8_lossy(&Owners::new().user(uid).0).into_owned()
}

/// The repository never goes into itself.
fn own_folder(location: &StoreUrl) -> Vec<(u64, u64)> {
    // Where it does not exist, opening it says so.
    let folder = location.local().and_then(|folder| folder.metadata().ok());
    folder.map(|folder| (folder.dev(), folder.ino())).into_iter().collect()
}

/// Rounded to tenths: what lies behind them is noise.
pub(super) fn tenths(level: f64) -> f64 {
    (level * 10.0).round() / 10.0
}

fn print(summary: &Summary, options: &Options, traffic: Option<Counted>, output: &Output) -> Result<(), Failure> {
    let counts = &summary.counts;
    let kind = if summary.full { "full" } else { "incremental" };
    if output.json() {
        let mut value = json_summary(summary, options, kind);
        if let Some(counted) = traffic {
            value["traffic"] = traffic_json(counted);
        }
        output.json_line(&value)?;
        return Ok(());
    }
    let line = |what: &str, new: u64, changed: u64, unmodified: u64| {
        output.remark(&format!("{what:<9}{new} new, {changed} changed, {unmodified} unmodified"))
    };
    line("files:", counts.files_new, counts.files_changed, counts.files_unmodified)?;
    line("folders:", counts.dirs_new, counts.dirs_changed, counts.dirs_unmodified)?;
    let (added, stored) = (size(summary.bytes_added), size(summary.bytes_stored));
    output.remark(&format!("added:   {added} ({stored} stored)"))?;
    if summary.level > 0.0 {
        output
            .detail(&format!("packed:  at level {:.1} on average (--compression {})", summary.level, options.effort))?;
    }
    if summary.deltas > 0 {
        let segments = count(summary.deltas, "segment");
        output.detail(&format!("deltas:  {segments} stored as what changed since the last snapshot (--delta auto)"))?;
    }
    let time = duration(Duration::try_from_secs_f64(summary.seconds).unwrap_or_default());
    output.remark(&format!("read:    {}, {} in {time}", count(counts.files(), "file"), size(counts.bytes)))?;
    if let Some(counted) = traffic {
        output.remark(&format!("network: {}", traffic_words(counted)))?;
    }
    match &summary.snapshot {
        Some(id) => output.remark(&format!("snapshot {} saved ({kind})", id.short()))?,
        None if summary.unchanged => output.remark("nothing changed: no snapshot was taken")?,
        None => output.remark("nothing was stored: this was a dry run")?,
    }
    if summary.problems > 0 {
        output.warn(format!("{} could not be read in full: see above", count(summary.problems, "entry")));
    }
    Ok(())
}

fn json_summary(summary: &Summary, options: &Options, kind: &str) -> serde_json::Value {
    let counts = &summary.counts;
    let mut value = json!({
        "message_type": "summary",
        "dry_run": options.dry_run,
        "kind": kind,
        "files_new": counts.files_new,
        "files_changed": counts.files_changed,
        "files_unmodified": counts.files_unmodified,
        "dirs_new": counts.dirs_new,
        "dirs_changed": counts.dirs_changed,
        "dirs_unmodified": counts.dirs_unmodified,
        "others": counts.others,
        "chunks_added": summary.chunks_added,
        "data_added": summary.bytes_added,
        "data_added_packed": summary.bytes_stored,
        "compression": options.effort.to_string(),
        "compression_level": tenths(summary.level),
        "delta_segments": summary.deltas,
        "total_files_processed": counts.files(),
        "total_bytes_processed": counts.bytes,
        "total_duration": summary.seconds,
        "backup_start": time::rfc3339(summary.started),
        "backup_end": time::rfc3339(time::now()),
        "error_count": summary.problems,
        "partial_snapshots": summary.partials,
        "skipped": summary.unchanged,
    });
    if let Some(id) = &summary.snapshot {
        value["snapshot_id"] = id.to_string().into();
    }
    if let Some(parent) = &summary.parent {
        value["parent"] = parent.to_string().into();
    }
    value
}
