//! Who looks into the snapshots: whether they may, and a note of it for the access log.
//!
//! Notes are counted in memory, by the minute, and written once a second by a thread of their own, so that a request waits neither for
//! a database nor for another thread. What is noted between two writes is bounded; what is beyond that is counted together. Whoever
//! asks waits in the kernel meanwhile, so the program that is looked up is the one that asks.

use super::errno::Failure;
use super::view::Patience;
use crate::event::{Access, Event, Level, Operation, Sink};
use crate::repo::id::SnapshotId;
use crate::state::audit::{AuditLog, PATHS};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use std::collections::HashMap;
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How often notes are written.
const EVERY: Duration = Duration::from_secs(1);
/// Different notes, and denials, that are kept between two writes.
const NOTES: usize = 4096;
const MINUTE: i64 = 60;

/// Who may look. Where nothing is listed, everybody may whom the mount lets in.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// Users.
    pub uids: Vec<u32>,
    /// Programs, by their files.
    pub programs: Vec<Program>,
}

impl Policy {
    /// Whether everybody may look.
    pub fn is_empty(&self) -> bool {
        self.uids.is_empty() && self.programs.is_empty()
    }
}

/// A program's file. The path alone would not do: in a name space of their own, people make any file at any path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    identity: (u64, u64),
}

impl Program {
    /// The program at `path`, as it is there now: after an update it is another.
    ///
    /// # Errors
    /// When there is none.
    pub fn at(path: &Path) -> io::Result<Self> {
        let metadata = path.metadata()?;
        Ok(Self { identity: (metadata.dev(), metadata.ino()) })
    }

    /// Whether a process runs it. May wait for a file system.
    fn runs(&self, pid: u32) -> bool {
        let link = PathBuf::from(format!("/proc/{pid}/exe"));
        link.metadata().is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == self.identity)
    }
}

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub struct Caller {
    /// The user.
    pub uid: u32,
    /// The user's group.
    pub gid: u32,
    /// The process, 0 when it is in a name space that is not seen from here.
    pub pid: u32,
}

impl Caller {
    /// The program's file, else what the process calls itself. Waits for nothing: links of `/proc` are texts.
    fn program(self) -> Vec<u8> {
        match std::fs::read_link(format!("/proc/{}/exe", self.pid)) {
            Ok(path) => path.into_os_string().into_vec(),
            Err(_) => match std::fs::read(format!("/proc/{}/comm", self.pid)) {
                Ok(name) => [b"[", name.trim_ascii_end(), b"]"].concat(),
                Err(_) => Vec::new(),
            },
        }
    }
}

/// Notes that are not written yet.
#[derive(Default)]
struct Notes {
    counted: HashMap<Key, Tally>,
    denied: Vec<Access>,
    /// Looks that there was no room for.
    beyond: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    time: i64,
    uid: u32,
    program: Vec<u8>,
    snapshot: Option<SnapshotId>,
    operation: Operation,
}

struct Tally {
    gid: u32,
    pid: u32,
    count: u64,
    paths: Vec<Vec<u8>>,
}

/// Keeps watch over a mount.
pub struct Guard {
    mountpoint: Vec<u8>,
    policy: Policy,
    /// Whether anybody wants to know.
    keeps: bool,
    notes: Mutex<Notes>,
}

impl Guard {
    /// A guard over the mount at `mountpoint`; without `keeps` it only refuses.
    pub fn new(mountpoint: &Path, policy: Policy, keeps: bool) -> Self {
        Self { mountpoint: mountpoint.as_os_str().as_bytes().to_vec(), policy, keeps, notes: Mutex::default() }
    }

    /// Lets the caller look at `path`, and notes it, or refuses.
    ///
    /// # Errors
    /// [`Failure::Refused`]; [`Failure::Slow`] without patience, when it takes a while to know.
    pub fn admit(
        &self,
        caller: Caller,
        operation: Operation,
        snapshot: Option<SnapshotId>,
        path: impl FnOnce() -> Vec<u8>,
        patience: Patience,
    ) -> Result<(), Failure> {
        let user = self.policy.uids.is_empty() || self.policy.uids.contains(&caller.uid);
        let programs = &self.policy.programs;
        if user && !programs.is_empty() && patience == Patience::None {
            return Err(Failure::Slow);
        }
        let allowed = user && (programs.is_empty() || programs.iter().any(|program| program.runs(caller.pid)));
        if self.keeps {
            self.note(caller, operation, snapshot, path, allowed);
        }
        if allowed { Ok(()) } else { Err(Failure::Refused) }
    }

    fn note(
        &self,
        caller: Caller,
        operation: Operation,
        snapshot: Option<SnapshotId>,
        path: impl FnOnce() -> Vec<u8>,
        allowed: bool,
    ) {
        let (program, now) = (caller.program(), now());
        let Caller { uid, gid, pid } = caller;
        let mut notes = self.lock();
        if !allowed {
            if notes.denied.len() >= NOTES {
                notes.beyond += 1;
                return;
            }
            let (mountpoint, snapshot, paths) = (self.mountpoint.clone(), snapshot.map(|id| id.0), vec![path()]);
            let access =
                Access { time: now, uid, gid, pid, program, mountpoint, snapshot, operation, allowed, count: 1, paths };
            return notes.denied.push(access);
        }
        let key = Key { time: now - now.rem_euclid(MINUTE), uid, program, snapshot, operation };
        if notes.counted.len() >= NOTES && !notes.counted.contains_key(&key) {
            notes.beyond += 1;
            return;
        }
        let tally = notes.counted.entry(key).or_insert_with(|| Tally { gid, pid, count: 0, paths: Vec::new() });
        tally.count += 1;
        if tally.paths.len() < PATHS {
            let path = path();
            if !tally.paths.contains(&path) {
                tally.paths.push(path);
            }
        }
    }

    /// What was noted since it was last asked for, and how many looks there was no room for.
    fn take(&self) -> (Vec<Access>, u64) {
        let Notes { counted, denied, beyond } = std::mem::take(&mut *self.lock());
        let counted = counted.into_iter().map(|(key, tally)| {
            let Key { time, uid, program, snapshot, operation } = key;
            let Tally { gid, pid, count, paths } = tally;
            let (mountpoint, snapshot) = (self.mountpoint.clone(), snapshot.map(|id| id.0));
            Access { time, uid, gid, pid, program, mountpoint, snapshot, operation, allowed: true, count, paths }
        });
        let mut all: Vec<_> = counted.chain(denied).collect();
        all.sort_by_key(|access| access.time);
        (all, beyond)
    }

    fn lock(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn now() -> i64 {
    crate::repo::entry::Timestamp::now().seconds
}

/// Writes what a guard notes, until it is dropped; then what is left.
pub struct Scribe {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Scribe {
    /// Starts to write what `guard` notes into the log in the folder `state`, and to tell `sink`.
    ///
    /// # Errors
    /// When the system starts no more threads.
    pub fn start(guard: Arc<Guard>, state: &Path, sink: Arc<dyn Sink>) -> io::Result<Self> {
        let (stop, stopped) = bounded(0);
        let state = state.to_owned();
        let work = move || write(&guard, &state, &*sink, &stopped);
        let thread = thread::Builder::new().name("access log".to_owned()).spawn(work)?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Scribe {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // What it could not do it has said.
            let _ = thread.join();
        }
    }
}

fn write(guard: &Guard, state: &Path, sink: &dyn Sink, stopped: &Receiver<()>) {
    let mut log: Option<AuditLog> = None;
    let mut failing = false;
    loop {
        let last = stopped.recv_timeout(EVERY) != Err(RecvTimeoutError::Timeout);
        let (accesses, beyond) = guard.take();
        if !accesses.is_empty() {
            if log.is_none() {
                log = AuditLog::open(state, sink).map_err(|error| warn(sink, &mut failing, &error)).ok();
            }
            // What cannot be written now is lost: to keep it would take ever more memory.
            if let Some(open) = &mut log {
                match open.write(&accesses) {
                    Ok(()) => failing = false,
                    Err(error) => {
                        warn(sink, &mut failing, &error);
                        log = None;
                    }
                }
            }
            accesses.into_iter().for_each(|access| sink.emit(Event::Access(access)));
        }
        if beyond > 0 {
            let text = format!("{beyond} looks into snapshots are not in the access log: there were too many at once");
            sink.emit(Event::Message(Level::Warning, text));
        }
        if last {
            return;
        }
    }
}

/// Says once that the log fails, until it works again.
fn warn(sink: &dyn Sink, failing: &mut bool, error: &crate::state::Error) {
    if !std::mem::replace(failing, true) {
        let text = format!("who looks into snapshots cannot be written down at the moment: {error}");
        sink.emit(Event::Message(Level::Warning, text));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn me() -> Caller {
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        Caller { uid, gid, pid: std::process::id() }
    }

    fn look(guard: &Guard, caller: Caller, path: &str, patience: Patience) -> Result<(), Failure> {
        guard.admit(caller, Operation::Read, Some(SnapshotId([1; 32])), || path.as_bytes().to_vec(), patience)
    }

    #[test]
    fn looks_of_a_minute_are_counted_together() {
        let guard = Guard::new(Path::new("/mnt"), Policy::default(), true);
        for n in 0..40 {
            look(&guard, me(), &format!("/{}", n / 2), Patience::None).unwrap();
        }
        let (noted, beyond) = guard.take();
        // A minute may have ended meanwhile.
        assert!((1..=2).contains(&noted.len()) && beyond == 0, "{noted:?}");
        assert_eq!(noted.iter().map(|access| access.count).sum::<u64>(), 40);
        let own = std::env::current_exe().unwrap().canonicalize().unwrap();
        assert_eq!(noted[0].program, own.as_os_str().as_bytes());
        assert_eq!((noted[0].pid, noted[0].time % 60, noted[0].mountpoint.as_slice()), (me().pid, 0, &b"/mnt"[..]));
        if noted.len() == 1 {
            assert_eq!(noted[0].paths, (0..16).map(|n| format!("/{n}").into_bytes()).collect::<Vec<_>>());
        }
        assert!(guard.take().0.is_empty());
    }

    #[test]
    fn only_those_who_are_listed_may_look() {
        let own = Program::at(&std::env::current_exe().unwrap()).unwrap();
        let other = Program::at(Path::new("/bin/sh")).unwrap();
        let guard = |uids: &[u32], programs: &[&Program]| {
            let programs = programs.iter().map(|&program| program.clone()).collect();
            Guard::new(Path::new("/mnt"), Policy { uids: uids.to_vec(), programs }, true)
        };
        let verdict = |guard: &Guard, patience| look(guard, me(), "/a", patience);
        assert!(verdict(&guard(&[me().uid], &[&other, &own]), Patience::Wait).is_ok());
        let slow = verdict(&guard(&[], &[&own]), Patience::None);
        assert!(matches!(slow, Err(Failure::Slow)), "programs are looked up where it may take a while");
        for strict in [guard(&[me().uid + 1], &[]), guard(&[], &[&other]), guard(&[me().uid + 1], &[&own])] {
            for _ in 0..2 {
                assert!(matches!(verdict(&strict, Patience::Wait), Err(Failure::Refused)));
            }
            let (noted, _) = strict.take();
            assert_eq!(noted.iter().map(|access| (access.allowed, access.count)).collect::<Vec<_>>(), [(false, 1); 2]);
        }
    }

    #[test]
    fn notes_are_bounded() {
        let guard = Guard::new(Path::new("/mnt"), Policy { uids: vec![me().uid], ..Policy::default() }, true);
        for uid in 0..5000 {
            let _ = look(&guard, Caller { uid, ..me() }, "/a", Patience::None);
        }
        let (noted, beyond) = guard.take();
        assert_eq!((noted.len() <= NOTES + 1, noted.len() as u64 + beyond), (true, 5000));
        let silent = Guard::new(Path::new("/mnt"), Policy::default(), false);
        look(&silent, me(), "/a", Patience::None).unwrap();
        assert!(silent.take().0.is_empty());
    }

    #[test]
    fn who_cannot_be_seen_has_no_program() {
        assert_eq!(Caller { uid: 0, gid: 0, pid: 0 }.program(), b"");
        // A thread of the kernel has a name and no file.
        let kernel = Caller { uid: 0, gid: 0, pid: 2 }.program();
        assert!(kernel == b"[kthreadd]" || Path::new("/proc/2/exe").exists() || !Path::new("/proc/2").exists());
    }
}
