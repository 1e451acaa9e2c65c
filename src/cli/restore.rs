//! `boveda restore`.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;

use super::context::Context;
use super::error::{Code, Failure};
use super::neighbour::{Priority, Threads};
use super::open::{find, open_to_read, require};
use super::output::{Output, count, duration, size};
use super::patterns;
use super::reach::{traffic_json, traffic_words};
use super::selector::{Filter, Selector};
use super::thaw::{Reading, Thawing};
use crate::event::{Event, Level, Sink as _};
use crate::ops::restore::{self, Delete, Options, Summary};
use crate::ops::select::Patterns;
use crate::repo::entry::{EntryName, EntryPath};
use crate::repo::keys::role::Role;
use crate::repo::names::IndexClass;
use crate::repo::reader::Keep;
use crate::repo::repository::Snapshot;
use crate::store::Reading as ReadingOf;
use crate::store::traffic::Counted;

/// Write a snapshot, or a part of it, into a folder
///
/// A whole snapshot is written with absolute paths below the folder; of `SNAPSHOT:/a/folder`, the content goes into
/// the folder. What exists there is compared and only differences are written; what the snapshot does not have is left alone.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// (ID|latest|latest~N|@TIME)[:/abs/path]
    #[arg(value_name = "SNAPSHOT[:/PATH]")]
    selector: OsString,
    /// The folder to restore into; made if it is not there
    #[arg(short, long, value_name = "FOLDER")]
    target: PathBuf,
    /// What exists gives way: always (contents are compared), if-changed (equal size and time count as equal), if-newer
    /// (than what is there), never
    #[arg(long, value_name = "WHEN", default_value = "always")]
    overwrite: Overwrite,
    /// Remove from the target what the snapshot does not have, in the folders that are restored
    #[arg(long, conflicts_with = "strip_components")]
    delete: bool,
    /// Drop so many leading names of every path; what has no more than these is left out
    #[arg(long, value_name = "N", default_value_t = 0)]
    strip_components: usize,
    /// Read everything that was written again and compare it
    #[arg(long, conflicts_with = "dry_run")]
    verify: bool,
    /// Owners by number, even where this machine knows the name
    #[arg(long)]
    numeric_ids: bool,
    /// Write nothing; show what would be restored (with -v)
    #[arg(short = 'n', long)]
    dry_run: bool,
    #[command(flatten)]
    patterns: patterns::Choice,
    #[command(flatten)]
    filter: Filter,
    #[command(flatten)]
    thawing: Thawing,
    #[command(flatten)]
    threads: Threads,
    #[command(flatten)]
    priority: Priority,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Overwrite {
    Always,
    IfChanged,
    IfNewer,
    Never,
}

/// Restores.
pub fn run(arguments: &Arguments, context: &Context) -> Result<Code, Failure> {
    let output = Arc::new(context.stoppable_output()?);
    let start = Instant::now();
    let selector = Selector::parse(arguments.selector.as_bytes(), &context.zone)?;
    let select = arguments.patterns.select()?;
    context.refuse_inside_repository(&arguments.target)?;
    if arguments.delete {
        restore::may_delete(&select, &arguments.target)?;
    }
    let opened = open_to_read(context, &output, Keep::Catalogs)?;
    require(&opened.repository, Role::reads_content, "restoring")?;
    let snapshot = find(&opened.repository, &selector, &arguments.filter, context)?;
    let (tree, index) = opened.tree_and_index(snapshot, &IndexClass::BOTH)?;
    let selection = selector.path.unwrap_or_default();
    let (dry_run, taken) = (arguments.dry_run, false);
    let reading = Reading { tree: &tree, index: &index, selection: &selection, select: &select, dry_run, taken };
    if let Some(code) = arguments.thawing.prepare(&reading, &opened, &output)? {
        return Ok(code);
    }
    let options = Options {
        numeric_ids: arguments.numeric_ids,
        dry_run: arguments.dry_run,
        threads: arguments.threads.count(context)?,
        select,
        overwrite: match arguments.overwrite {
            Overwrite::Always => restore::Overwrite::Always,
            Overwrite::IfChanged => restore::Overwrite::IfChanged,
            Overwrite::IfNewer => restore::Overwrite::IfNewer,
            Overwrite::Never => restore::Overwrite::Never,
        },
        delete: if arguments.delete { delete(snapshot, context, &output)? } else { None },
        strip: arguments.strip_components,
        verify: arguments.verify,
    };
    arguments.priority.apply(context, &output)?;
    let all = selection == EntryPath::default() && options.select.is_everything();
    if all && options.overwrite == restore::Overwrite::Always {
        opened.repository.store().expect(ReadingOf::Whole);
    }
    let source = Arc::clone(tree.source());
    let restored = restore::restore(&tree, source, &selection, &arguments.target, &options, &*output);
    let summary = restored.map_err(|error| output.stopped(error.into()))?;
    output.clear();
    print(&summary, start.elapsed(), context.traffic(), arguments, &output)?;
    Ok(match (summary.damaged, summary.problems) {
        (0, 0) => output.code(),
        (0, _) => output.code().max(Code::Incomplete),
        _ => Code::Damage,
    })
}

/// What may be deleted: nothing but what the snapshot would have if it were there.
fn delete(snapshot: &Snapshot, context: &Context, output: &Output) -> Result<Option<Delete>, Failure> {
    let Some(private) = &snapshot.private else {
        return Err(Failure::new(Code::Refused, "the snapshot's paths cannot be read with these keys"));
    };
    if private.statistics.errors > 0 || !snapshot.is_complete() {
        let text = "nothing is deleted: when the snapshot was taken, not everything could be read, and it does not know what it lacks";
        output.emit(Event::Message(Level::Error, text.to_owned()));
        return Ok(None);
    }
    let mut delete = Delete::default();
    let mut patterns = Patterns::default();
    for text in &private.excludes {
        if !left_out(text, &mut patterns, &mut delete) {
            let text =
                format!("nothing is deleted: the snapshot left things out by {text}, which cannot be applied here");
            output.emit(Event::Message(Level::Error, text));
            return Ok(None);
        }
    }
    let location = context.location()?;
    let own = [context.state_folder()?, context.cache_folder()?];
    let own = location.local().map(Path::to_owned).into_iter().chain(own);
    Ok(Some(Delete {
        roots: private.paths.iter().filter_map(|path| EntryPath::parse(path)).collect(),
        left_out: patterns::compile(&patterns)?,
        // Those that do not exist need no keeping.
        keep: own.filter_map(|folder| folder.metadata().ok()).map(|found| (found.dev(), found.ino())).collect(),
        ..delete
    }))
}

/// Takes over one of the rules by which a snapshot left things out, as its record has them; `false` if it cannot be applied
/// to the target.
fn left_out(text: &str, patterns: &mut Patterns, delete: &mut Delete) -> bool {
    let (option, value) = text.split_once('=').unwrap_or((text, ""));
    match option {
        "--iexclude" => patterns.exclude_any_case.push(value.as_bytes().to_vec()),
        "--exclude-caches" => delete.markers.extend(EntryName::new(*b"CACHEDIR.TAG")),
        "--exclude-if-present" => {
            let name = value.split(':').next().unwrap_or_default();
            delete.markers.extend(EntryName::new(name.as_bytes()));
        }
        "--exclude-larger-than" => match value.parse() {
            Ok(size) => delete.larger_than = Some(size),
            Err(_) => return false,
        },
        "--exclude-nodump" => delete.nodump = true,
        option if option.starts_with("--") => return false,
        _ => patterns.exclude.push(text.as_bytes().to_vec()),
    }
    true
}

fn print(
    summary: &Summary,
    time: Duration,
    traffic: Option<Counted>,
    arguments: &Arguments,
    output: &Output,
) -> Result<(), Failure> {
    let restored = summary.files + summary.directories + summary.others;
    if output.json() {
        let mut value = json!({
            "message_type": "summary",
            "dry_run": arguments.dry_run,
            "total_files": restored + summary.kept + summary.skipped,
            "files_restored": restored,
            "dirs_restored": summary.directories,
            "files_updated": summary.updated,
            "files_unchanged": summary.unchanged,
            "files_kept": summary.kept,
            "files_deleted": summary.deleted,
            "files_verified": summary.verified,
            "files_skipped": summary.skipped,
            "total_bytes": summary.bytes,
            "bytes_restored": summary.bytes,
            "total_duration": time.as_secs_f64(),
            "error_count": summary.problems,
            "damage_count": summary.damaged,
            "archived_count": summary.archived,
        });
        if let Some(counted) = traffic {
            value["traffic"] = traffic_json(counted);
        }
        output.json_line(&value)?;
        return Ok(());
    }
    let Summary { files, directories, others, unchanged, .. } = summary;
    let verb = if arguments.dry_run { "would restore" } else { "restored" };
    output.remark(&format!(
        "{verb} {} ({unchanged} had every byte already), {}, {}, {} in {}",
        count(*files, "file"),
        count(*directories, "folder"),
        count(*others, "other"),
        size(summary.bytes),
        duration(time)
    ))?;
    let verb = if arguments.dry_run { "would delete" } else { "deleted" };
    for (count, what) in [
        (summary.kept, format!("left {} as they were", summary.kept)),
        (summary.deleted, format!("{verb} {} that the snapshot does not have", summary.deleted)),
        (u64::from(arguments.verify), format!("read {} back: as in the snapshot", count(summary.verified, "file"))),
    ] {
        if count > 0 {
            output.remark(&what)?;
        }
    }
    if let Some(counted) = traffic {
        output.remark(&format!("network: {}", traffic_words(counted)))?;
    }
    if restored + summary.kept + summary.skipped == 0 {
        output.warn("nothing in the snapshot fits: nothing was restored");
    }
    if summary.problems + summary.skipped > 0 {
        let (problems, skipped) = (count(summary.problems, "problem"), count(summary.skipped, "entry"));
        output.warn(format!("{problems}, {skipped} left out: see above"));
    }
    if summary.archived > 0 {
        output.warn(format!(
            "{} could not be read because packs lie in an archive tier: run it again with --thaw ask, or --thaw wait",
            count(summary.archived, "part")
        ));
    }
    if summary.damaged > 0 {
        output.warn(format!("{} could not be read from the repository: see above", count(summary.damaged, "part")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_that_left_something_out_hold_for_deletion() {
        let (mut patterns, mut delete) = (Patterns::default(), Delete::default());
        let mut take = |text: &str| left_out(text, &mut patterns, &mut delete);
        let rules = [
            "*.o=x",
            "--iexclude=*.TMP",
            "--exclude-caches",
            "--exclude-if-present=.nobackup:why",
            "--exclude-larger-than=5000",
            "--exclude-nodump",
        ];
        assert!(rules.into_iter().all(&mut take));
        assert!(!["--ignore-file=.gitignore", "--of-a-later-version", "--exclude-larger-than=x"].into_iter().any(take));
        assert_eq!((patterns.exclude, patterns.exclude_any_case), (vec![b"*.o=x".to_vec()], vec![b"*.TMP".to_vec()]));
        let markers: Vec<_> = delete.markers.iter().map(EntryName::as_bytes).collect();
        assert_eq!(markers, [&b"CACHEDIR.TAG"[..], b".nobackup"]);
        assert_eq!((delete.larger_than, delete.nodump), (Some(5000), true));
    }
}
