//! One ssh process that runs the server's SFTP subsystem, shared by all threads: requests go out as they come, answers find
//! whoever waits for them by their number.
//!
//! ssh's own configuration, agent and known hosts count. When the process ends or an answer stays out, the connection is dead
//! for good; whoever needs another makes it.

use super::wire::{Packet, Parser, kind, status};
use crate::crypto::secret::random;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use std::collections::{BTreeSet, HashMap};
use std::io::{self, Read as _, Write as _};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// No server's packet is longer; a longer one is no SFTP.
const LONGEST: u32 = 1 << 20;
/// Bytes of ssh's own messages that are kept for an error.
const WORDS: usize = 2000;

/// An answer: its kind and what follows the number.
pub type Answer = (u8, Vec<u8>);

/// Whom to reach, and how.
#[derive(Debug, Clone)]
pub struct Target {
    /// The command and its first arguments.
    pub ssh: Vec<String>,
    /// Who logs in.
    pub user: Option<String>,
    /// Where.
    pub host: String,
    /// The port.
    pub port: Option<u16>,
    /// How long an answer may stay out.
    pub patience: Duration,
}

/// A connection.
pub struct Connection {
    child: Mutex<Child>,
    out: Mutex<ChildStdin>,
    shared: Arc<Shared>,
    next: AtomicU32,
    patience: Duration,
    /// What the server can do beyond version 3.
    pub extensions: BTreeSet<String>,
}

#[derive(Default)]
struct Shared {
    waiting: Mutex<HashMap<u32, Sender<Answer>>>,
    dead: Mutex<Option<String>>,
    /// What ssh wrote about itself.
    words: Mutex<Vec<u8>>,
}

impl Connection {
    /// Starts ssh and greets the server.
    ///
    /// # Errors
    /// When ssh cannot be started, does not get in, or what answers is no SFTP server.
    pub fn open(target: &Target) -> io::Result<Self> {
        let mut child = command(target).spawn().map_err(|error| {
            io::Error::new(
                error.kind(),
                format!("cannot start {}: {error}", target.ssh.first().map_or("ssh", String::as_str)),
            )
        })?;
        let missing = || io::Error::other("ssh has no pipes");
        let mut out = child.stdin.take().ok_or_else(missing)?;
        let (mut answers, words) = (child.stdout.take().ok_or_else(missing)?, child.stderr.take().ok_or_else(missing)?);
        let shared = Arc::new(Shared::default());
        let listener = listen_to_words(words, &shared)?;
        // A server that is not there is noticed by its answer.
        let _ = out.write_all(&Packet::new(kind::INIT, 3).finish());
        let greeting = read_packet(&mut answers);
        let extensions = match greeting.and_then(|(kind, body)| greeted(kind, &body)) {
            Ok(extensions) => extensions,
            Err(_) => {
                let _ = child.kill();
                let _ = child.wait();
                // What it said is complete only now.
                let _ = listener.join();
                return Err(shared.refusal(&target.host));
            }
        };
        let answering = Arc::clone(&shared);
        std::thread::Builder::new().name("boveda-sftp".to_owned()).spawn(move || answer(answers, &answering))?;
        let (child, out) = (Mutex::new(child), Mutex::new(out));
        Ok(Self { child, out, shared, next: AtomicU32::new(1), patience: target.patience, extensions })
    }

    /// A number that no request of this connection has.
    pub fn id(&self) -> u32 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Sends a request that was given the number `id`; its answer is received by [`Self::receive`].
    ///
    /// # Errors
    /// When the connection is dead.
    pub fn send(&self, id: u32, packet: Packet) -> io::Result<Receiver<Answer>> {
        let (sender, receiver) = bounded(1);
        self.shared.waiting().insert(id, sender);
        let sent = lock(&self.out).write_all(&packet.finish());
        if sent.is_err() {
            self.shared.die("ssh ended");
        }
        // The reader may have died before the insertion.
        self.alive()?;
        Ok(receiver)
    }

    /// Waits for an answer.
    ///
    /// # Errors
    /// When the connection dies, or the answer stays out: then it is dead from now on.
    pub fn receive(&self, receiver: &Receiver<Answer>) -> io::Result<Answer> {
        match receiver.recv_timeout(self.patience) {
            Ok(answer) => Ok(answer),
            Err(RecvTimeoutError::Disconnected) => {
                self.alive()?;
                Err(io::ErrorKind::ConnectionReset.into())
            }
            Err(RecvTimeoutError::Timeout) => {
                self.shared.die(&format!("no answer within {} s", self.patience.as_secs()));
                let _ = lock(&self.child).kill();
                Err(io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {} s", self.patience.as_secs())))
            }
        }
    }

    /// Sends a request and waits for its answer.
    ///
    /// # Errors
    /// As [`Self::send`] and [`Self::receive`].
    pub fn ask(&self, kind: u8, build: impl FnOnce(Packet) -> Packet) -> io::Result<Answer> {
        let id = self.id();
        let receiver = self.send(id, build(Packet::new(kind, id)))?;
        self.receive(&receiver)
    }

    /// Whether it can still be used.
    ///
    /// # Errors
    /// Why not.
    pub fn alive(&self) -> io::Result<()> {
        match &*lock(&self.shared.dead) {
            None => Ok(()),
            Some(why) => {
                let words = self.shared.words();
                let why = if words.is_empty() { why.clone() } else { format!("{why}: {words}") };
                Err(io::Error::new(io::ErrorKind::ConnectionReset, why))
            }
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let child = self.child.get_mut().unwrap_or_else(PoisonError::into_inner);
        // Its end is all that is left to wish for.
        let _ = child.kill();
        let _ = child.wait();
    }
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, HashMap<u32, Sender<Answer>>> {
        lock(&self.waiting)
    }

    /// Nobody waits any longer, and nobody begins to.
    fn die(&self, why: &str) {
        lock(&self.dead).get_or_insert_with(|| why.to_owned());
        self.waiting().clear();
    }

    fn words(&self) -> String {
        let words = lock(&self.words);
        let text = String::from_utf8_lossy(&words);
        text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
    }

    /// What a connection that never came about is reported as.
    fn refusal(&self, host: &str) -> io::Error {
        let words = self.words();
        let kind = if ["Permission denied", "Host key verification failed", "Too many authentication failures"]
            .iter()
            .any(|refused| words.contains(refused))
        {
            io::ErrorKind::PermissionDenied
        } else if words.contains("Could not resolve hostname") || words.contains("Bad configuration option") {
            io::ErrorKind::InvalidInput
        } else {
            io::ErrorKind::ConnectionReset
        };
        let words = if words.is_empty() { "the server has no SFTP, or ended it".to_owned() } else { words };
        io::Error::new(kind, format!("ssh to {host}: {words}"))
    }
}

/// Facts under locks stay whole whoever panics: every change is one call.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ctrl-C is for boveda, which stops cleanly and needs the connection for that: so ssh ignores it, through a shell that does.
fn command(target: &Target) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' INT; exec \"$@\"", "sh"]);
    match target.ssh.is_empty() {
        true => command.arg("ssh"),
        false => command.args(&target.ssh),
    };
    command.args(["-oServerAliveInterval=15", "-oServerAliveCountMax=4", "-oClearAllForwardings=yes"]);
    if let Some(port) = target.port {
        command.arg("-p").arg(port.to_string());
    }
    if let Some(user) = &target.user {
        command.arg("-l").arg(user);
    }
    command.args(["-s", "--", &target.host, "sftp"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn listen_to_words(mut words: ChildStderr, shared: &Arc<Shared>) -> io::Result<std::thread::JoinHandle<()>> {
    let shared = Arc::clone(shared);
    std::thread::Builder::new().name("boveda-ssh".to_owned()).spawn(move || {
        let mut piece = [0; 512];
        while let Ok(length @ 1..) = words.read(&mut piece) {
            let mut kept = lock(&shared.words);
            kept.extend(&piece[..length]);
            let surplus = kept.len().saturating_sub(WORDS);
            kept.drain(..surplus);
        }
    })
}

/// Gives every answer to whoever waits for it, until there are no more.
fn answer(mut answers: ChildStdout, shared: &Shared) {
    loop {
        match read_packet(&mut answers) {
            Ok((kind, body)) if body.len() >= 4 => {
                let id = u32::from_be_bytes([body[0], body[1], body[2], body[3]]);
                // Nobody may wait any longer: a request whose answer does not matter.
                if let Some(waiting) = shared.waiting().remove(&id) {
                    let _ = waiting.send((kind, body[4..].to_vec()));
                }
            }
            Ok(_) => return shared.die("the server's answer has no number"),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return shared.die("the connection ended"),
            Err(error) => return shared.die(&error.to_string()),
        }
    }
}

fn read_packet(answers: &mut ChildStdout) -> io::Result<Answer> {
    let mut head = [0; 5];
    answers.read_exact(&mut head)?;
    let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]);
    if length == 0 || length > LONGEST {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "what answers is no SFTP server"));
    }
    let mut body = vec![0; length as usize - 1];
    answers.read_exact(&mut body)?;
    Ok((head[4], body))
}

fn greeted(kind: u8, body: &[u8]) -> io::Result<BTreeSet<String>> {
    if kind != kind::VERSION {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut parser = Parser(body);
    parser.u32()?;
    let mut extensions = BTreeSet::new();
    while !parser.is_empty() {
        extensions.insert(String::from_utf8_lossy(parser.bytes()?).into_owned());
        parser.bytes()?;
    }
    Ok(extensions)
}

/// The error that a status stands for; none for success.
///
/// # Errors
/// That error, or that the answer is none.
pub fn check(answer: &Answer) -> io::Result<()> {
    if answer.0 != kind::STATUS {
        return Err(unexpected());
    }
    let mut parser = Parser(&answer.1);
    let code = parser.u32()?;
    let words = parser.bytes().map(|words| String::from_utf8_lossy(words).into_owned()).unwrap_or_default();
    let kind = match code {
        status::OK => return Ok(()),
        status::EOF => io::ErrorKind::UnexpectedEof,
        status::NO_SUCH_FILE => io::ErrorKind::NotFound,
        status::PERMISSION_DENIED => io::ErrorKind::PermissionDenied,
        status::NO_CONNECTION | status::CONNECTION_LOST => io::ErrorKind::ConnectionReset,
        status::UNSUPPORTED => io::ErrorKind::Unsupported,
        _ => io::ErrorKind::Other,
    };
    Err(io::Error::new(kind, format!("the SFTP server says: {words} (status {code})")))
}

/// An answer that fits no question.
pub fn unexpected() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the SFTP server's answer does not fit the request")
}

/// A number that no other file has: SFTP does not tell which file is which.
pub fn nonce() -> u64 {
    u64::from_le_bytes(random::<8>())
}
