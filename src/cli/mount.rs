//! `boveda mount`.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;

use super::context::Context;
use super::error::{Code, Failure};
use super::open::{Opened, open, require, shown};
use super::output::Output;
use super::selector::Filter;
use crate::mount::background::{self, Half, Serving};
use crate::mount::{self, Options};
use crate::ops::follow::Followed;
use crate::repo::keys::role::Role;
use crate::repo::repository::Snapshot;
use crate::store::url::StoreUrl;

/// What a log of mounts may have grown to before it is begun anew, in bytes.
const LOG_LIMIT: u64 = 1 << 20;

/// Show every snapshot as a folder
///
/// FOLDER/latest is the newest one; by-time, by-host, by-tag and by-id have all of them. New snapshots appear by
/// themselves. The command returns when the folder can be used; `boveda umount FOLDER` ends it.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// An empty folder
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    /// Stay, and unmount on Ctrl-C
    #[arg(short, long)]
    foreground: bool,
    /// Let other users look, as far as the stored modes allow (as an ordinary user: if /etc/fuse.conf says user_allow_other)
    #[arg(long)]
    allow_other: bool,
    #[command(flatten)]
    filter: Filter,
}

/// Mounts; returns when the mount is ready, or has ended.
pub fn run(arguments: &Arguments, context: &Context) -> Result<Code, Failure> {
    if arguments.foreground {
        return serve(arguments, context, None);
    }
    match background::divide()? {
        Half::Waiting(waiting) => Ok(waiting.wait()?.map_or(Code::Ok, Code::of_process)),
        Half::Serving(serving) => serve(arguments, context, Some(serving)),
    }
}

fn serve(arguments: &Arguments, context: &Context, serving: Option<Serving>) -> Result<Code, Failure> {
    let output = Arc::new(context.stoppable_output()?);
    let Opened { repository, host } = open(context, &output)?;
    require(&repository, Role::reads_content, "mounting")?;
    let cache = cache();
    let filter = arguments.filter.clone();
    let wanted = move |snapshot: &Snapshot| {
        (filter.partial || snapshot.is_complete()) && (filter.is_empty() || filter.passes(&shown(snapshot).listed()))
    };
    let followed = Followed::choosing(host, repository, cache, Box::new(wanted))?;
    let StoreUrl::Local(location) = context.location()?;
    let options = Options {
        allow_other: arguments.allow_other,
        repository: Some(location),
        ahead: cache as u64 / 2,
        ..Options::new(&arguments.folder)
    };
    let log = serving.is_some().then(|| context.state_folder()).transpose()?.and_then(|folder| open_log(&folder));
    let told = Arc::clone(&output);
    let ready = || {
        // Whoever called hears of it before the terminal is left; if nobody reads it, the mount is there all the same.
        let _ = tell(&told, &arguments.folder);
        serving.map_or(Ok(()), |serving| serving.ready(log))
    };
    mount::run(&options, Arc::new(followed), Arc::clone(&output) as _, ready)?;
    Ok(output.signal().unwrap_or(Code::Ok))
}

fn tell(output: &Output, folder: &Path) -> std::io::Result<()> {
    if output.json() {
        return output.json_line(&json!({ "message_type": "mounted", "path": folder.to_string_lossy() }));
    }
    let folder = super::escape::name(folder.as_os_str().as_encoded_bytes());
    output.remark(&format!("mounted: see {folder}/latest; `boveda umount {folder}` ends it"))
}

/// Where the serving process writes what goes wrong; without it, it serves in silence.
fn open_log(folder: &Path) -> Option<File> {
    let path = folder.join("mount.log");
    let long = path.metadata().is_ok_and(|log| log.len() > LOG_LIMIT);
    // What names files and folders of the owner's is for the owner only.
    let mut options = OpenOptions::new();
    options.create(true).mode(0o600);
    match long {
        true => options.write(true).truncate(true),
        false => options.append(true),
    };
    options.open(path).ok()
}

/// How much decoded content to keep: a twentieth of this machine's memory, between 16 and 96 MiB.
fn cache() -> usize {
    let system = rustix::system::sysinfo();
    let memory = (system.totalram as u64).saturating_mul(u64::from(system.mem_unit));
    usize::try_from(memory / 20).unwrap_or(usize::MAX).clamp(16 << 20, crate::repo::reader::DEFAULT_CACHE)
}
