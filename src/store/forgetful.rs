//! A disk in memory that forgets: a test double for the local store's [`Disk`].
//!
//! Like a real file system it keeps apart what was synced and what was not. A power cut ([`ForgetfulDisk::crash`]) keeps
//! any subset of the changes that were not synced: each name in each folder for itself, each file's content whole, half, as
//! zeros or as it was. That is weaker than what any journal promises, so what survives here survives there.
//! A new name lasts once its folder was synced, whatever else was; a new folder's own name once its parent was.
//!
//! Calls that change something are numbered from 1; one of them can be made to go wrong. Reading calls always tell the truth.

mod tree;

use super::disk::{Disk, Stat};
use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tree::Tree;

/// What goes wrong with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskFault {
    /// It fails without effect; a write leaves half of its bytes.
    Fail(io::ErrorKind),
    /// It takes effect and yet fails.
    FailAfter(io::ErrorKind),
    /// It succeeds; but a sync makes nothing durable.
    Forget,
    /// The power goes: the call fails without effect, and so does every later one until [`ForgetfulDisk::crash`].
    Halt,
}

/// A file open for writing on a [`ForgetfulDisk`].
#[derive(Debug)]
pub struct ForgetfulFile {
    node: u64,
    /// Crashes before it was opened; a file does not outlive the next.
    life: u64,
}

#[derive(Debug)]
struct State {
    tree: Tree,
    life: u64,
    calls: u64,
    plan: Option<(u64, DiskFault)>,
    struck: Option<String>,
    halted: bool,
    has_links: bool,
}

/// The disk. Clones are the same disk.
#[derive(Debug, Clone)]
pub struct ForgetfulDisk(Arc<Mutex<State>>);

impl Default for ForgetfulDisk {
    fn default() -> Self {
        Self::new()
    }
}

impl ForgetfulDisk {
    /// A disk with nothing but the folder `/`.
    pub fn new() -> Self {
        Self::with(Tree::new(), true)
    }

    /// A disk whose file system has no hard links.
    #[must_use]
    pub fn without_links() -> Self {
        Self::with(Tree::new(), false)
    }

    /// A disk of its own that is now as this one is, without plan.
    #[must_use]
    pub fn fork(&self) -> Self {
        let state = self.state();
        Self::with(state.tree.clone(), state.has_links)
    }

    fn with(tree: Tree, has_links: bool) -> Self {
        let state = State { tree, life: 0, calls: 0, plan: None, struck: None, halted: false, has_links };
        Self(Arc::new(Mutex::new(state)))
    }

    /// Starts counting anew, and makes the call with this number go wrong. After [`DiskFault::Halt`] the disk goes on, with all
    /// that was not synced: as if only the process had ended there.
    pub fn plan(&self, plan: Option<(u64, DiskFault)>) {
        let mut state = self.state();
        (state.calls, state.plan, state.struck, state.halted) = (0, plan, None, false);
    }

    /// Calls that changed something, or should have, since the last plan was set.
    pub fn calls(&self) -> u64 {
        self.state().calls
    }

    /// The call that went wrong, as "call path"; `None` if it never came to that.
    pub fn struck(&self) -> Option<String> {
        self.state().struck.clone()
    }

    /// How many bytes all files together may have from now on; `None` for no limit.
    pub fn set_room(&self, room: Option<u64>) {
        self.state().tree.room = room;
    }

    /// Cuts the power and turns it on again: of what was not synced, `seed` picks what is left. The plan ends.
    pub fn crash(&self, seed: u64) {
        let mut state = self.state();
        state.tree.crash(seed);
        state.life += 1;
        (state.plan, state.halted) = (None, false);
    }

    // The state is whole between calls, and no call panics half way.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call and does it, unless the plan says otherwise.
    fn call<T>(&self, call: &str, path: &Path, act: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.state();
        match state.strike(call, path)? {
            Some(DiskFault::Fail(kind)) => Err(kind.into()),
            Some(DiskFault::FailAfter(kind)) => act(&mut state).and_then(|_| Err(kind.into())),
            _ => act(&mut state),
        }
    }
}

impl State {
    /// Counts a call; says what goes wrong with it.
    fn strike(&mut self, call: &str, path: &Path) -> io::Result<Option<DiskFault>> {
        let no_power = || Err(io::Error::other("the power is gone"));
        if self.halted {
            return no_power();
        }
        self.calls += 1;
        let fault = self.plan.filter(|(number, _)| *number == self.calls).map(|(_, fault)| fault);
        if fault.is_some() {
            self.struck = Some(format!("{call} {}", path.display()));
        }
        self.halted = fault == Some(DiskFault::Halt);
        if self.halted { no_power() } else { Ok(fault) }
    }

    /// Makes a node durable, unless this is the call that forgets.
    fn sync(&mut self, node: u64) {
        if self.plan != Some((self.calls, DiskFault::Forget)) {
            self.tree.sync(node);
        }
    }

    fn alive(&self, file: &ForgetfulFile) -> io::Result<u64> {
        if file.life == self.life { Ok(file.node) } else { Err(io::Error::other("the file was open before the crash")) }
    }
}

impl Disk for ForgetfulDisk {
    type File = ForgetfulFile;

    fn create(&self, path: &Path) -> io::Result<ForgetfulFile> {
        self.call("create", path, |state| Ok(ForgetfulFile { node: state.tree.add_file(path)?, life: state.life }))
    }

    fn write(&self, file: &mut ForgetfulFile, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        let node = state.alive(file)?;
        match state.strike("write", Path::new(""))? {
            Some(DiskFault::Fail(kind)) => {
                state.tree.append(node, &bytes[..bytes.len() / 2]).and_then(|()| Err(kind.into()))
            }
            Some(DiskFault::FailAfter(kind)) => state.tree.append(node, bytes).and_then(|()| Err(kind.into())),
            _ => state.tree.append(node, bytes),
        }
    }

    fn sync(&self, file: &ForgetfulFile) -> io::Result<()> {
        self.call("sync", Path::new(""), |state| {
            let node = state.alive(file)?;
            state.sync(node);
            Ok(())
        })
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.call("link", to, |state| {
            if state.has_links { state.tree.link(from, to, false) } else { Err(io::ErrorKind::Unsupported.into()) }
        })
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.call("rename", to, |state| state.tree.rename(from, to, false))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.call("rename", to, |state| state.tree.rename(from, to, true))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.call("remove", path, |state| state.tree.remove_file(path))
    }

    fn make_dir(&self, path: &Path) -> io::Result<()> {
        self.call("make", path, |state| state.tree.add_folder(path))
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.call("remove", path, |state| state.tree.remove_folder(path))
    }

    fn sync_path(&self, path: &Path) -> io::Result<()> {
        self.call("sync", path, |state| {
            let node = state.tree.find(path)?;
            state.sync(node);
            Ok(())
        })
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        self.state().tree.stat(path)
    }

    fn is_gone(&self, path: &Path) -> io::Result<bool> {
        match self.state().tree.find(path) {
            Ok(_) => Ok(false),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
            Err(error) => Err(error),
        }
    }

    fn names(&self, dir: &Path) -> io::Result<Vec<OsString>> {
        self.state().tree.names(dir)
    }

    fn read(&self, path: &Path, offset: u64, length: u64) -> io::Result<Vec<u8>> {
        let bytes = self.state().tree.read(path)?;
        let clamp = |position: u64| usize::try_from(position).map_or(bytes.len(), |position| position.min(bytes.len()));
        Ok(bytes[clamp(offset)..clamp(offset.saturating_add(length))].to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(disk: &ForgetfulDisk, path: &str, sync: bool) {
        let mut file = disk.create(Path::new(path)).unwrap();
        disk.write(&mut file, b"content").unwrap();
        if sync {
            disk.sync(&file).unwrap();
        }
    }

    /// What a disk shows at `path` after crashes with many seeds, each outcome once.
    fn outcomes(disk: &ForgetfulDisk, path: &str) -> Vec<Option<Vec<u8>>> {
        let crash = |seed| {
            let disk = disk.fork();
            disk.crash(seed);
            disk.read(Path::new(path), 0, u64::MAX).ok()
        };
        let mut seen: Vec<_> = (0..200).map(crash).collect();
        seen.sort();
        seen.dedup();
        seen
    }

    #[test]
    fn what_was_not_synced_may_be_lost_torn_or_there() {
        let disk = ForgetfulDisk::new();
        write(&disk, "/a", false);
        disk.sync_path(Path::new("/")).unwrap();
        let (whole, half, zeros) = (b"content".to_vec(), b"con".to_vec(), vec![0; 7]);
        assert_eq!(outcomes(&disk, "/a"), [Some(vec![]), Some(zeros), Some(half), Some(whole.clone())]);
        write(&disk, "/b", true);
        assert_eq!(outcomes(&disk, "/b"), [None, Some(whole.clone())]);
        disk.sync_path(Path::new("/")).unwrap();
        assert_eq!(outcomes(&disk, "/b"), [Some(whole)]);
        disk.remove(Path::new("/b")).unwrap();
        assert_eq!(outcomes(&disk, "/b").len(), 2);
    }

    #[test]
    fn a_folder_lasts_with_its_parent_synced_only() {
        let disk = ForgetfulDisk::new();
        disk.make_dir(Path::new("/d")).unwrap();
        write(&disk, "/d/a", true);
        disk.sync_path(Path::new("/d")).unwrap();
        assert_eq!(outcomes(&disk, "/d/a").len(), 2);
        disk.sync_path(Path::new("/")).unwrap();
        assert_eq!(outcomes(&disk, "/d/a"), [Some(b"content".to_vec())]);
    }

    #[test]
    fn faults_strike_the_call_that_was_planned() {
        let disk = ForgetfulDisk::new();
        write(&disk, "/a", true);
        disk.plan(Some((2, DiskFault::Halt)));
        disk.sync_path(Path::new("/")).unwrap();
        disk.remove(Path::new("/a")).unwrap_err();
        disk.sync_path(Path::new("/")).unwrap_err();
        assert_eq!(disk.struck().as_deref(), Some("remove /a"));
        disk.crash(1);
        disk.plan(Some((1, DiskFault::FailAfter(io::ErrorKind::TimedOut))));
        disk.remove(Path::new("/a")).unwrap_err();
        assert!(disk.is_gone(Path::new("/a")).unwrap());
        disk.plan(Some((1, DiskFault::Forget)));
        disk.sync_path(Path::new("/")).unwrap();
        assert_eq!(outcomes(&disk, "/a").len(), 2);
        disk.set_room(Some(3));
        let mut file = disk.create(Path::new("/full")).unwrap();
        assert_eq!(disk.write(&mut file, b"1234").unwrap_err().kind(), io::ErrorKind::StorageFull);
    }
}
