//! `boveda mount`.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;

use super::context::Context;
use super::error::{Code, Failure};
use super::mount_place;
use super::mount_unit;
use super::open::{Opened, open_to_read, require, shown};
use super::output::Output;
use super::selector::Filter;
use crate::mount::background::{self, Half, Serving};
use crate::mount::{self, DEADLINE, Face, Options, Policy, Program};
use crate::ops::follow::Followed;
use crate::repo::keys::role::Role;
use crate::repo::reader::Keep;
use crate::repo::repository::Snapshot;

/// What a log of mounts may have grown to before it is begun anew, in bytes.
const LOG_LIMIT: u64 = 1 << 20;

/// Show every snapshot as a folder
///
/// FOLDER/latest is the newest one; by-time, by-host, by-tag and by-id have all of them; versions has every content of
/// every file side by side. New snapshots appear by themselves. The command returns when the folder can be used;
/// `boveda umount FOLDER` ends it. Without FOLDER a place is picked and printed.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// An empty folder
    #[arg(value_name = "FOLDER")]
    folder: Option<PathBuf>,
    /// Stay, and unmount on Ctrl-C
    #[arg(short, long)]
    foreground: bool,
    /// Let other users look, as far as the stored modes allow (as an ordinary user: if /etc/fuse.conf says user_allow_other)
    #[arg(long)]
    allow_other: bool,
    /// Whose the files are: stored, me (whoever mounts), or UID:GID
    #[arg(long, value_name = "WHO", default_value = "stored", value_parser = owner, hide_default_value = true)]
    owner: Owner,
    /// Who may read: stored (as the stored modes say), or readable (everybody who is let in may read everything)
    #[arg(long, value_name = "WHICH", value_enum, default_value_t = Perms::Stored, hide_possible_values = true)]
    perms: Perms,
    /// Let the mount be written to; what is written goes into `changed` in this folder, and the snapshots stay as they are
    #[arg(long, value_name = "UPPER")]
    writable: Option<PathBuf>,
    /// Do not write down who looks into the snapshots (`boveda audit` shows it); files that are read again are opened faster
    #[arg(long)]
    no_audit: bool,
    /// Only this user may read files and list folders; the others are refused, and that is written down. May be given again
    #[arg(long, value_name = "UID")]
    allow_uid: Vec<u32>,
    /// Only this program may. May be given again
    #[arg(long, value_name = "FILE")]
    allow_exe: Vec<PathBuf>,
    /// Mount nothing; print a systemd service that does
    #[arg(long)]
    print_unit: bool,
    #[command(flatten)]
    filter: Filter,
}

/// Whose files are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    Stored,
    Me,
    Other(u32, u32),
}

/// Who may read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Perms {
    Stored,
    Readable,
}

fn owner(text: &str) -> Result<Owner, &'static str> {
    let pair = || text.split_once(':').and_then(|(uid, gid)| Some(Owner::Other(uid.parse().ok()?, gid.parse().ok()?)));
    match text {
        "stored" => Ok(Owner::Stored),
        "me" => Ok(Owner::Me),
        _ => pair().ok_or("it is stored, me, or two numbers as in 1000:1000"),
    }
}

/// Mounts; returns when the mount is ready, or has ended.
pub fn run(arguments: &Arguments, context: &Context) -> Result<Code, Failure> {
    let folder = arguments.folder.clone().map_or_else(|| mount_place::place(context), Ok)?;
    // What is wrong with it is said before anything else happens.
    arguments.policy()?;
    if arguments.print_unit {
        return print_unit(arguments, context, &folder);
    }
    if arguments.foreground {
        return serve(arguments, context, &folder, None);
    }
    match background::divide()? {
        Half::Waiting(waiting) => Ok(waiting.wait()?.map_or(Code::Ok, Code::of_process)),
        Half::Serving(serving) => serve(arguments, context, &folder, Some(serving)),
    }
}

fn print_unit(arguments: &Arguments, context: &Context, folder: &Path) -> Result<Code, Failure> {
    let unknown = |error: std::io::Error| Failure::usage(format!("cannot tell where this is: {error}"));
    let output = context.output();
    if !context.names_secret()? {
        output.warn(
            "the service will not be able to ask for a password: name a key file, or set one in the configuration",
        );
    }
    let mut words = context.as_arguments()?;
    words.push("mount".into());
    words.extend(arguments.as_arguments().map_err(unknown)?);
    let folder = std::path::absolute(folder).map_err(unknown)?;
    if arguments.folder.is_some() {
        words.push(folder.clone().into());
    }
    let program = std::env::current_exe().map_err(unknown)?;
    let unit = mount_unit::unit(&program, &words, &folder, rustix::process::geteuid().is_root())?;
    if output.json() {
        output.json_line(&json!({ "message_type": "unit", "unit": unit }))?;
    } else {
        output.line(unit.trim_end())?;
    }
    Ok(Code::Ok)
}

impl Arguments {
    /// What was asked for, as words of a command line, without the folder.
    fn as_arguments(&self) -> std::io::Result<Vec<OsString>> {
        let mut words: Vec<OsString> = Vec::new();
        if self.allow_other {
            words.push("--allow-other".into());
        }
        match self.owner {
            Owner::Stored => {}
            Owner::Me => words.push("--owner=me".into()),
            Owner::Other(uid, gid) => words.push(format!("--owner={uid}:{gid}").into()),
        }
        if self.perms == Perms::Readable {
            words.push("--perms=readable".into());
        }
        if self.no_audit {
            words.push("--no-audit".into());
        }
        words.extend(self.allow_uid.iter().map(|uid| format!("--allow-uid={uid}").into()));
        let valued = |name: &str, value: &std::ffi::OsStr| [name.as_ref(), value].join("=".as_ref());
        words.extend(self.allow_exe.iter().map(|program| valued("--allow-exe", program.as_ref())));
        words.extend(self.filter.hosts.iter().map(|host| valued("--host", host.as_ref())));
        words.extend(self.filter.paths.iter().map(|path| valued("--path", path.as_ref())));
        words.extend(self.filter.tags.iter().map(|tag| valued("--tag", tag.as_ref())));
        if self.filter.partial {
            words.push("--partial".into());
        }
        if let Some(upper) = &self.writable {
            // The service is started somewhere else.
            words.push(valued("--writable", std::path::absolute(upper)?.as_ref()));
        }
        Ok(words)
    }

    fn policy(&self) -> Result<Policy, Failure> {
        let program = |path: &PathBuf| {
            let shown = || super::escape::name(path.as_os_str().as_encoded_bytes());
            Program::at(path).map_err(|error| Failure::usage(format!("--allow-exe {}: {error}", shown())))
        };
        let programs = self.allow_exe.iter().map(program).collect::<Result<_, _>>()?;
        Ok(Policy { uids: self.allow_uid.clone(), programs })
    }

    fn face(&self) -> Face {
        let me = || (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        let owner = match self.owner {
            Owner::Stored => None,
            Owner::Me => Some(me()),
            Owner::Other(uid, gid) => Some((uid, gid)),
        };
        Face { owner, readable: self.perms == Perms::Readable, ..Face::default() }
    }
}

fn serve(arguments: &Arguments, context: &Context, folder: &Path, serving: Option<Serving>) -> Result<Code, Failure> {
    let output = Arc::new(context.stoppable_output()?);
    // Of two attempts one must fit into the time that a reader has.
    let patient = context.stalling_at_most(DEADLINE / 3);
    let Opened { repository, host } = open_to_read(&patient, &output, Keep::All)?;
    require(&repository, Role::reads_content, "mounting")?;
    let cache = cache();
    let filter = arguments.filter.clone();
    let wanted = move |snapshot: &Snapshot| {
        (filter.partial || snapshot.is_complete()) && (filter.is_empty() || filter.passes(&shown(snapshot).listed()))
    };
    let followed = Followed::choosing(host, repository, cache, Box::new(wanted))?;
    let location = context.location()?.local().map(Path::to_owned);
    let near = location.is_some();
    if arguments.folder.is_none() {
        mount_place::make(folder)?;
    }
    let own = [("caches", context.cache_folder()?), ("state", context.state_folder()?)];
    let apart = location.map(|location| ("repository", location)).into_iter().chain(own);
    let picked = arguments.folder.is_none();
    let options = Options {
        allow_other: arguments.allow_other,
        face: arguments.face(),
        // The place that is picked when nothing else is there lies in the state folder.
        apart: apart.filter(|(what, _)| !(picked && *what == "state")).collect(),
        ahead: cache as u64 / 2,
        near,
        audit: (!arguments.no_audit).then(|| context.state_folder()).transpose()?,
        policy: arguments.policy()?,
        writable: arguments.writable.clone(),
        ..Options::new(folder)
    };
    let log = serving.is_some().then(|| context.state_folder()).transpose()?.and_then(|folder| open_log(&folder));
    let told = Arc::clone(&output);
    let ready = || {
        // Whoever called hears of it before the terminal is left; if nobody reads it, the mount is there all the same.
        let _ = tell(&told, folder, picked, arguments.writable.as_deref());
        serving.map_or(Ok(()), |serving| serving.ready(log))
    };
    let followed = Arc::new(followed);
    let served = mount::run(&options, Arc::clone(&followed) as _, Arc::clone(&output) as _, ready);
    // A thread may still look when this process ends.
    followed.end();
    served?;
    Ok(output.signal().unwrap_or(Code::Ok))
}

fn tell(output: &Output, folder: &Path, picked: bool, writable: Option<&Path>) -> std::io::Result<()> {
    if output.json() {
        return output.json_line(&json!({ "message_type": "mounted", "path": folder.to_string_lossy() }));
    }
    if picked {
        // So that `cd "$(boveda mount)"` works.
        return output.line(&super::escape::name(folder.as_os_str().as_encoded_bytes()));
    }
    let folder = super::escape::name(folder.as_os_str().as_encoded_bytes());
    output.remark(&format!("mounted: see {folder}/latest; `boveda umount {folder}` ends it"))?;
    match writable.map(|upper| super::escape::name(upper.join("changed").as_os_str().as_encoded_bytes())) {
        Some(changed) => output.remark(&format!("what is written goes to {changed}")),
        None => Ok(()),
    }
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

/// How much decoded content to keep at most, so that all of a mount stays below 256 MiB.
const CACHE: usize = 160 << 20;

/// How much decoded content to keep: a twentieth of this machine's memory, within limits.
fn cache() -> usize {
    let system = rustix::system::sysinfo();
    let memory = (system.totalram as u64).saturating_mul(u64::from(system.mem_unit));
    usize::try_from(memory / 20).unwrap_or(usize::MAX).clamp(16 << 20, CACHE)
}
