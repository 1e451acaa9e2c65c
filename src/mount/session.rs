//! A mount from beginning to end: prepare, mount, follow new snapshots, serve until told otherwise, unmount.
//!
//! Invariant: however serving ends, no dead mount is left behind; a busy one is detached, so that it ends with its last user.

use super::ahead::Budget;
use super::attr::Keeper;
use super::face::Face;
use super::fs::Fs;
use super::guard::{Guard, Policy, Scribe};
use super::pool::Pool;
use super::prepare::prepare;
use super::shared::Core;
use super::snapshots::SnapshotList;
use super::unmount::{self, Refused};
use super::view::{Current, View};
use super::writable::Layers;
use super::{Error, table};
use crate::event::{Event, Level, Sink};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use fuser::{Config, MountOption, Notifier, SessionACL};
use rustix::io::Errno;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::Duration;

/// How often a served mount looks whether it should stop.
const LOOK: Duration = Duration::from_millis(100);
/// How long users of a detached mount may go on before it ends.
const GRACE: Duration = Duration::from_secs(10);
/// How long a request waits for the repository unless told otherwise.
pub const DEADLINE: Duration = Duration::from_secs(60);
/// What is decoded ahead unless told otherwise: a third of what a reader usually keeps.
const AHEAD: u64 = 32 << 20;
/// Loops that listen to the kernel; more do not help.
const MAX_LOOPS: usize = 4;
/// The kernel's own reading ahead, where we may set it (KiB): with 1 MiB and more, cold reading is 1.6 times as fast as with the
/// default of 128 KiB.
const READ_AHEAD: &str = "4096";

/// How to mount.
#[derive(Debug, Clone)]
pub struct Options {
    /// An empty folder.
    pub mountpoint: PathBuf,
    /// Whether other users may look, as far as the stored modes and access control lists let them.
    pub allow_other: bool,
    /// Whose the files of snapshots seem to be, and who may read them.
    pub face: Face,
    /// Folders that the mountpoint must not overlap, with what is in them: the repository, if it is on this machine; its caches.
    pub apart: Vec<(&'static str, PathBuf)>,
    /// How often to look for new snapshots.
    pub refresh: Duration,
    /// How long a request may wait for the repository.
    pub deadline: Duration,
    /// Bytes that may be decoded ahead of all readers together: well below what the source keeps in memory, or what was not
    /// read yet would be pushed out.
    pub ahead: u64,
    /// Whether the repository is near: then what is decoded in vain costs time that nobody needs, else it is fetched for money.
    pub near: bool,
    /// The folder of the access log; without it nothing is noted.
    pub audit: Option<PathBuf>,
    /// Who may look.
    pub policy: Policy,
    /// The folder that takes what is written; without it nothing can be.
    pub writable: Option<PathBuf>,
}

impl Options {
    /// The usual way to mount at `mountpoint`: private, new snapshots within five seconds, a minute of patience.
    pub fn new(mountpoint: impl Into<PathBuf>) -> Self {
        Self {
            mountpoint: mountpoint.into(),
            allow_other: false,
            face: Face::default(),
            apart: Vec::new(),
            refresh: Duration::from_secs(5),
            deadline: DEADLINE,
            ahead: AHEAD,
            near: false,
            audit: None,
            policy: Policy::default(),
            writable: None,
        }
    }
}

/// Mounts, calls `ready` once everything below the mountpoint can be read, and serves until somebody unmounts or
/// `sink.stopping()` says so.
///
/// Unreadable entries are told to `sink` as [`Event::Problem`], with paths below the mountpoint.
///
/// # Errors
/// When it cannot be mounted, `ready` fails, or serving ends in an error.
pub fn run(
    options: &Options,
    snapshots: Arc<dyn SnapshotList>,
    sink: Arc<dyn Sink>,
    ready: impl FnOnce() -> Result<(), Error>,
) -> Result<(), Error> {
    let mut session = Session::start(options, snapshots, Arc::clone(&sink))?;
    if let Err(error) = ready() {
        session.unmount();
        return Err(error);
    }
    session.wait(&*sink)
}

/// A mount that is being served by this process. Dropping it unmounts.
pub struct Session {
    /// Where it is seen.
    path: PathBuf,
    /// Where the repository is mounted: there too, unless an ordinary user may write.
    served: PathBuf,
    sink: Arc<dyn Sink>,
    ended: Receiver<io::Result<()>>,
    gone: bool,
    layers: Option<Layers>,
    /// Dropped with the session, which ends the thread that follows new snapshots.
    _follow: Sender<()>,
    /// Dropped with the session, which writes down what is noted by then.
    _scribe: Option<Scribe>,
}

impl Session {
    /// Mounts. Everything below the mountpoint can be read when this returns.
    ///
    /// # Errors
    /// When it cannot be mounted.
    pub fn start(options: &Options, snapshots: Arc<dyn SnapshotList>, sink: Arc<dyn Sink>) -> Result<Self, Error> {
        let path = prepare(&options.mountpoint, &options.apart)?;
        let failed = |source| Error::Mount { path: path.clone(), source };
        let layers = options.writable.as_ref();
        let layers =
            layers.map(|folder| Layers::make(folder, &path, &options.apart, options.allow_other)).transpose()?;
        let below = layers.as_ref().and_then(Layers::below);
        let served = below.map_or_else(|| Ok(path.clone()), |below| prepare(below, &options.apart))?;
        let face = layers.as_ref().map_or(options.face, |layers| layers.face(options.face));
        let view = View::new(&snapshots.list().map_err(Error::Snapshots)?, face, None);
        let threads = thread::available_parallelism().map_or(2, usize::from);
        let watched = options.audit.is_some() || !options.policy.is_empty();
        let guard = Arc::new(Guard::new(&path, options.policy.clone(), options.audit.is_some()));
        let scribe = options.audit.as_ref().map(|folder| Scribe::start(Arc::clone(&guard), folder, Arc::clone(&sink)));
        let scribe = scribe.transpose().map_err(failed)?;
        let core = Arc::new(Core {
            current: Current::new(view),
            sink: Arc::clone(&sink),
            pool: Pool::start(threads, options.deadline).map_err(failed)?,
            budget: Budget::new(options.ahead),
            owner: Keeper {
                uid: rustix::process::geteuid().as_raw(),
                gid: rustix::process::getegid().as_raw(),
                mode: if face.writable { 0o755 } else { 0o555 },
            },
            shared: options.allow_other,
            files: Default::default(),
            folders: Default::default(),
            neighbours: Default::default(),
            scattered: options.near.then(Default::default),
            paging: Default::default(),
            guard: watched.then_some(guard),
            give: OnceLock::new(),
        });
        let config = config(options.allow_other, threads.min(MAX_LOOPS));
        let mounted = fuser::Session::new(Fs(Arc::clone(&core)), &served, &config).map_err(failed)?;
        let notifier = mounted.notifier();
        if threads > 1 {
            // Nobody else sets it.
            let _ = core.give.set(Mutex::new(notifier.clone()));
        }
        // From here on a failure unmounts: fuser does when its session is dropped.
        let background = mounted.spawn().map_err(failed)?;
        let (end, ended) = bounded(1);
        let wait = move || {
            let result = background.join().or_else(|error| match Errno::from_io_error(&error) {
                // An unmount caught a loop in the middle of taking a request.
                Some(Errno::CONNABORTED) => Ok(()),
                _ => Err(error),
            });
            // Whoever waits for the end may be gone.
            let _ = end.send(result);
        };
        spawn("mount", wait).map_err(failed)?;
        let (follow, stop) = bounded(0);
        let (gone, _follow, _scribe) = (false, follow, scribe);
        let session = Self { path: path.clone(), served, sink, ended, gone, layers, _follow, _scribe };
        read_ahead(&session.served);
        session.layers.as_ref().map_or(Ok(()), |layers| layers.cover(&path))?;
        let refresh = options.refresh;
        spawn("snapshots", move || follow_snapshots(&*snapshots, &core, &notifier, &stop, refresh)).map_err(failed)?;
        Ok(session)
    }

    /// Serves until somebody unmounts, or `sink` says to stop.
    ///
    /// # Errors
    /// When serving ends in an error.
    pub fn wait(&mut self, sink: &dyn Sink) -> Result<(), Error> {
        loop {
            match self.ended.recv_timeout(LOOK) {
                Ok(result) => {
                    self.gone = true;
                    self.tidy();
                    return result.map_err(|source| Error::Ended { path: self.path.clone(), source });
                }
                Err(RecvTimeoutError::Timeout) if !sink.stopping() && !self.is_uncovered() => {}
                Err(_) => {
                    self.unmount();
                    return Ok(());
                }
            }
        }
    }

    /// Unmounts. A busy mount is detached, its users are named, and it ends when they are done, after ten seconds at the latest.
    pub fn unmount(&mut self) {
        if std::mem::replace(&mut self.gone, true) {
            return;
        }
        let message = match unmount::take_away(&self.path, false) {
            Ok(()) => None,
            Err(Refused::Other(_)) if !self.is_mounted() => None,
            Err(Refused::Busy) => {
                let users = unmount::by(&unmount::users(&self.path));
                let text = format!("{} is in use{users}; it is detached and ends with them", self.path.display());
                unmount::take_away(&self.path, true).err().map(why).or(Some(text))
            }
            Err(refused) => Some(why(refused)),
        };
        let below = self.is_below().then(|| unmount::take_away_below(&self.served).err().map(why)).flatten();
        let message = message.or(below);
        if let Some(text) = message {
            self.sink.emit(Event::Message(Level::Warning, text));
        }
        // When the time is over the process ends, and with it what is left of the mount.
        if self.ended.recv_timeout(GRACE).is_ok() {
            self.tidy();
        }
    }

    /// Whether the repository is mounted elsewhere than it is seen.
    fn is_below(&self) -> bool {
        self.served != self.path
    }

    /// Whether the overlay was taken away that is all that anybody sees of it.
    fn is_uncovered(&self) -> bool {
        self.is_below() && matches!(table::mounted(&self.path), Ok(None))
    }

    /// With the mount the overlay is gone too: it holds it.
    fn tidy(&self) {
        self.layers.iter().for_each(Layers::tidy);
    }

    /// Whether the kernel still has it.
    fn is_mounted(&self) -> bool {
        table::mounted(&self.path).is_ok_and(|ours| ours.is_some())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.unmount();
    }
}

fn why(refused: Refused) -> String {
    match refused {
        Refused::Busy => "cannot unmount: it is in use".to_owned(),
        Refused::Other(reason) => format!("cannot unmount: {reason}"),
    }
}

fn config(allow_other: bool, loops: usize) -> Config {
    let mut config = Config::default();
    config.mount_options = vec![
        MountOption::RO,
        MountOption::NoDev,
        MountOption::NoSuid,
        MountOption::NoAtime,
        MountOption::DefaultPermissions,
        MountOption::FSName("boveda".to_owned()),
        // Not `Subtype`, which does not reach the kernel when root mounts.
        MountOption::CUSTOM("subtype=boveda".to_owned()),
    ];
    config.acl = if allow_other { SessionACL::All } else { SessionACL::Owner };
    config.n_threads = Some(loops);
    config.clone_fd = true;
    config
}

/// Lets the kernel read ahead further than it would, where that is ours to say; without it, it is slower.
fn read_ahead(path: &Path) {
    if rustix::process::geteuid().is_root()
        && let Ok(metadata) = path.metadata()
    {
        let (major, minor) = (rustix::fs::major(metadata.dev()), rustix::fs::minor(metadata.dev()));
        let _ = std::fs::write(format!("/sys/class/bdi/{major}:{minor}/read_ahead_kb"), READ_AHEAD);
    }
}

/// Looks for new snapshots until `stop` is dropped.
fn follow_snapshots(list: &dyn SnapshotList, core: &Core, notifier: &Notifier, stop: &Receiver<()>, every: Duration) {
    let mut failing = false;
    while stop.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
        match list.list() {
            Ok(listing) => {
                failing = false;
                let before = core.current.get();
                if !before.shows(&listing) {
                    let after = Arc::new(View::new(&listing, before.face(), Some(&before)));
                    core.current.set(Arc::clone(&after));
                    core.files.renew(&after);
                    for (folder, name) in after.layout.changed(&before.layout) {
                        // The kernel would find out by itself, a second later.
                        let _ = notifier.inval_entry(folder.ino(), name);
                    }
                }
            }
            Err(error) if !std::mem::replace(&mut failing, true) => {
                let text = format!("new snapshots cannot be looked for at the moment: {error}");
                core.sink.emit(Event::Message(Level::Warning, text));
            }
            Err(_) => {}
        }
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().name(name.to_owned()).spawn(work).map(drop)
}
