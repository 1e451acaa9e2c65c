//! Taking a mount away: a live one, a busy one, one whose process is dead.

use super::Error;
use super::table::{self, Ours};
use rustix::io::Errno;
use rustix::mount::UnmountFlags;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

/// Users of a busy mount that a message names.
const NAMED: usize = 5;

/// Unmounts the repository at `path`. A mount whose process is dead is cleared away too.
///
/// A mount that is in use stays, unless `lazy`: then it disappears from the folder now, and ends when its last user is done.
///
/// # Errors
/// [`Error::NotMounted`], and [`Error::Unmount`] with the names of the programs that use it, or what the system says.
pub fn unmount(path: &Path, lazy: bool) -> Result<(), Error> {
    let resolved = table::resolve(path).map_err(|source| Error::Folder { path: path.to_owned(), source })?;
    let mounted = table::mounted(&resolved).map_err(|source| Error::Folder { path: path.to_owned(), source })?;
    if mounted.is_none() {
        return Err(Error::NotMounted(path.to_owned()));
    }
    match take_away(&resolved, lazy) {
        Ok(()) => Ok(()),
        Err(Refused::Busy) => {
            let reason = format!("it is in use{}", by(&users(&resolved)));
            Err(Error::Unmount { path: path.to_owned(), reason })
        }
        Err(Refused::Other(reason)) => Err(Error::Unmount { path: path.to_owned(), reason }),
    }
}

/// Whether what is mounted at `path` has lost its process.
pub fn is_dead(path: &Path) -> bool {
    // Attributes may still be in the kernel's memory; this question always goes to the process.
    rustix::fs::statfs(path).is_err_and(|error| error == Errno::NOTCONN) || is_dead_below(path)
}

/// Whether there is an overlay at `path` and the mount below it has lost its process.
fn is_dead_below(path: &Path) -> bool {
    let covered = table::resolve(path).is_ok_and(|path| matches!(table::mounted(&path), Ok(Some(Ours::Writable))));
    // The overlay answers for itself, but for a name that it was never asked for.
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let unheard = path.join(format!(".is-there-{}-{since}", std::process::id()));
    covered && rustix::fs::lstat(&unheard).is_err_and(|error| error == Errno::NOTCONN)
}

/// Unmounts all that is ours at `path`, from the top down; `lazy` also when it is busy. What is dead goes in any case.
pub fn take_away(path: &Path, lazy: bool) -> Result<(), Refused> {
    let dead = is_dead(path);
    loop {
        let ours = table::mounted(path).map_err(|error| Refused::Other(error.to_string()))?;
        match ours {
            None => return Ok(()),
            Some(_) => detach(path, lazy || dead)?,
        }
        if matches!(ours, Some(Ours::Plain | Ours::Overlay)) {
            return Ok(());
        }
    }
}

/// Why a mount is still there.
#[derive(Debug)]
pub enum Refused {
    /// Somebody uses it.
    Busy,
    /// As the system says.
    Other(String),
}

/// Unmounts whatever lies on top at `path`; `lazy` also when it is busy.
fn detach(path: &Path, lazy: bool) -> Result<(), Refused> {
    let flags = if lazy { UnmountFlags::DETACH } else { UnmountFlags::empty() };
    match rustix::mount::unmount(path, flags | UnmountFlags::NOFOLLOW) {
        Ok(()) => Ok(()),
        Err(Errno::BUSY) => Err(Refused::Busy),
        // Only root may; for everybody else there is a helper.
        Err(Errno::PERM) => detach_by_helper(path, lazy),
        Err(error) => Err(Refused::Other(io::Error::from(error).to_string())),
    }
}

fn detach_by_helper(path: &Path, lazy: bool) -> Result<(), Refused> {
    let options = if lazy { "-uz" } else { "-u" };
    let run = |helper: &str| {
        // What the helper says is looked at, so it must say it in English.
        Command::new(helper).env("LC_ALL", "C").stdin(Stdio::null()).arg(options).arg("--").arg(path).output()
    };
    let output = run("fusermount3").or_else(|_| run("fusermount"));
    let output = output.map_err(|error| Refused::Other(format!("fusermount3 cannot be run: {error}")))?;
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    match output.status.success() {
        true => Ok(()),
        false if said.contains("busy") => Err(Refused::Busy),
        false => Err(Refused::Other(said)),
    }
}

/// Programs that use what is below `path`, as far as this user may see them: `name (process number)`.
pub fn users(path: &Path) -> Vec<String> {
    let Ok(processes) = std::fs::read_dir("/proc") else { return Vec::new() };
    let processes = processes.flatten().map(|process| process.path());
    let users = processes.filter(|process| links(process).iter().any(|target| target.starts_with(path)));
    users.filter_map(|process| described(&process)).collect()
}

/// The end of a sentence about a busy mount: ` by bash (process 7) and 2 more`.
pub fn by(users: &[String]) -> String {
    match users.split_at_checked(NAMED) {
        _ if users.is_empty() => String::new(),
        Some((named, more)) if !more.is_empty() => format!(" by {} and {} more", named.join(", "), more.len()),
        _ => format!(" by {}", users.join(", ")),
    }
}

/// Where a process is, and what it has open. Links are only read, so a hanging mount does not matter.
fn links(process: &Path) -> Vec<PathBuf> {
    let numeric = process.file_name().is_some_and(|name| name.as_encoded_bytes().iter().all(u8::is_ascii_digit));
    if !numeric {
        return Vec::new();
    }
    let open = std::fs::read_dir(process.join("fd")).into_iter().flatten().flatten().map(|link| link.path());
    let own = ["cwd", "root", "exe"].map(|link| process.join(link));
    own.into_iter().chain(open).filter_map(|link| std::fs::read_link(link).ok()).collect()
}

fn described(process: &Path) -> Option<String> {
    let number = process.file_name()?.to_str()?;
    let name = std::fs::read_to_string(process.join("comm")).ok()?;
    Some(format!("{} (process {number})", name.trim().escape_debug()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_ours_stays() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(unmount(folder.path(), false), Err(Error::NotMounted(_))));
        assert!(matches!(unmount(Path::new("/proc"), true), Err(Error::NotMounted(_))));
        assert!(matches!(unmount(&folder.path().join("no/such"), false), Err(Error::Folder { .. })));
    }

    #[test]
    fn users_of_a_folder_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().canonicalize().unwrap();
        assert_eq!(users(&path), Vec::<String>::new());
        let _file = std::fs::File::create(path.join("file")).unwrap();
        let users = users(&path);
        assert_eq!(users.len(), 1);
        assert!(users[0].ends_with(&format!("(process {})", std::process::id())), "{users:?}");
        assert_eq!(by(&[]), "");
        assert_eq!(by(&["a".to_owned(), "b".to_owned()]), " by a, b");
        assert_eq!(by(&["x"; 7].map(str::to_owned)), " by x, x, x, x, x and 2 more");
    }
}
