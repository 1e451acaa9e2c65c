//! Threads for what has to wait: fetching and decoding. The loops that listen to the kernel hand over the right to reply.
//!
//! Invariant: every reply handed over is given exactly once, and within the deadline: by the worker, or, when the store does
//! not answer, with an error by the watch. Once somebody has waited that long, others wait a shorter time until something is
//! answered: a reader whom each page costs the whole deadline is stuck. Workers that a store holds up are stood in for, so that whatever it does answer can still be
//! had. Reading ahead waits for requests that somebody waits for. Not here: what is read.

use super::errno::Failure;
use crossbeam_channel::{Receiver, Sender, bounded, select_biased, unbounded};
use fuser::Errno;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

/// Pieces of reading ahead that may wait.
const AHEAD: usize = 64;
/// Workers that stand in for those that a store holds up.
const STAND_INS: usize = 32;
/// What part of the deadline is waited for a store that has let one pass.
const SHORTENED: u32 = 12;
/// But no less than this, if the deadline is longer.
const LEAST: Duration = Duration::from_secs(1);
/// How long a stand-in waits for something to do.
const IDLE: Duration = Duration::from_secs(60);

/// A right to reply that can end in an error.
pub trait Refuse: Send + 'static {
    /// Replies with an error.
    fn refuse(self, errno: Errno);
}

macro_rules! refuse {
    ($($reply:ident),*) => {$(
        impl Refuse for fuser::$reply {
            fn refuse(self, errno: Errno) {
                self.error(errno);
            }
        }
    )*};
}

refuse!(ReplyAttr, ReplyData, ReplyDirectory, ReplyDirectoryPlus, ReplyEntry);
refuse!(ReplyIoctl, ReplyLseek, ReplyOpen, ReplyStatfs, ReplyXattr);

type Job = Box<dyn FnOnce() + Send>;

/// The threads.
pub struct Pool {
    demand: Sender<Job>,
    ahead: Sender<Job>,
    watch: Arc<Watch>,
    deadline: Duration,
}

impl Pool {
    /// Starts `threads` workers, and a watch that lets nobody wait longer than `deadline`.
    ///
    /// # Errors
    /// When the system starts no more threads.
    pub fn start(threads: usize, deadline: Duration) -> std::io::Result<Self> {
        let (demand, demanded) = unbounded();
        let (ahead, foreseen) = bounded(AHEAD);
        for number in 0..threads {
            let (demanded, foreseen) = (demanded.clone(), foreseen.clone());
            thread::Builder::new().name(format!("decode-{number}")).spawn(move || work(&demanded, &foreseen))?;
        }
        let watch = Arc::new(Watch { demanded, ..Watch::default() });
        let watched = Arc::downgrade(&watch);
        let period = (deadline / 8).clamp(Duration::from_millis(10), Duration::from_secs(1));
        thread::Builder::new().name("deadline".to_owned()).spawn(move || look_after(&watched, period))?;
        Ok(Self { demand, ahead, watch, deadline })
    }

    /// Lets a worker do `work` and then `send` the answer. `fail` hears of what goes wrong, if somebody was told so.
    pub fn submit<R: Refuse, T: 'static>(
        &self,
        reply: R,
        work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
        send: impl FnOnce(R, T) + Send + 'static,
        fail: impl Fn(&Failure) + Send + Sync + 'static,
    ) {
        let patience = self.patience();
        let late = Failure::Late(patience.as_secs());
        let pending = Arc::new(Pending { reply: Mutex::new(Some(reply)), late, fail });
        let ticket = self.watch.enter(Instant::now() + patience, pending.clone());
        let watch = Arc::clone(&self.watch);
        let job = move || {
            // Whoever waited too long already has an answer, and those behind must not wait for work without a use.
            if pending.is_open() {
                let done = work();
                // Even an answer that comes too late says that the next one may come in time.
                watch.silent.store(false, Ordering::Relaxed);
                match (done, pending.take()) {
                    (Ok(answer), Some(reply)) => send(reply, answer),
                    (Err(failure), Some(reply)) => pending.refuse(reply, &failure),
                    (_, None) => {}
                }
            }
            watch.leave(ticket);
        };
        // The workers live as long as this sender.
        let _ = self.demand.send(Box::new(job));
    }

    /// How long an answer may take now.
    fn patience(&self) -> Duration {
        let silent = self.watch.silent.load(Ordering::Relaxed);
        if silent { (self.deadline / SHORTENED).max(LEAST.min(self.deadline)) } else { self.deadline }
    }

    /// Lets a worker do `job` when nobody waits for anything else. Returns whether there was room for it.
    pub fn foresee(&self, job: impl FnOnce() + Send + 'static) -> bool {
        self.ahead.try_send(Box::new(job)).is_ok()
    }
}

fn work(demanded: &Receiver<Job>, foreseen: &Receiver<Job>) {
    loop {
        let job = select_biased! {
            recv(demanded) -> job => job,
            recv(foreseen) -> job => job,
        };
        // Both senders go at the same time.
        let Ok(job) = job else { return };
        // A reply that a panic drops tells its caller of an input/output error; the worker goes on.
        let _ = catch_unwind(AssertUnwindSafe(job));
    }
}

/// A reply that somebody waits for.
struct Pending<R, F> {
    reply: Mutex<Option<R>>,
    late: Failure,
    fail: F,
}

impl<R: Refuse, F: Fn(&Failure)> Pending<R, F> {
    fn take(&self) -> Option<R> {
        self.reply.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn is_open(&self) -> bool {
        self.reply.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    fn refuse(&self, reply: R, failure: &Failure) {
        // Whoever sees the error finds the reason told already.
        (self.fail)(failure);
        reply.refuse(failure.errno());
    }
}

/// What the watch can do with a reply.
trait Expire: Send + Sync {
    fn expire(&self);
}

impl<R: Refuse, F: Fn(&Failure) + Send + Sync> Expire for Pending<R, F> {
    fn expire(&self) {
        if let Some(reply) = self.take() {
            self.refuse(reply, &self.late);
        }
    }
}

/// Replies that somebody waits for, and since when nothing is answered.
struct Watch {
    waiting: Mutex<Waiting>,
    /// Whether a reply was too late, and no work came to an end since.
    silent: AtomicBool,
    demanded: Receiver<Job>,
    stand_ins: Arc<AtomicUsize>,
}

impl Default for Watch {
    fn default() -> Self {
        let (waiting, silent, stand_ins) = <_>::default();
        Self { waiting, silent, demanded: crossbeam_channel::never(), stand_ins }
    }
}

#[derive(Default)]
struct Waiting {
    next: u64,
    replies: BTreeMap<Ticket, Arc<dyn Expire>>,
}

/// When a reply is too late, and a number that no other one has.
type Ticket = (Instant, u64);

impl Watch {
    fn enter(&self, until: Instant, reply: Arc<dyn Expire>) -> Ticket {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let ticket = (until, waiting.next);
        waiting.next += 1;
        waiting.replies.insert(ticket, reply);
        ticket
    }

    fn leave(&self, ticket: Ticket) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).replies.remove(&ticket);
    }

    /// Starts one more worker, until there is nothing to do for it: a reply that was too late says that one is held up.
    fn stand_in(&self) {
        let (demanded, count) = (self.demanded.clone(), Arc::clone(&self.stand_ins));
        if count.fetch_add(1, Ordering::Relaxed) >= STAND_INS {
            count.fetch_sub(1, Ordering::Relaxed);
            return;
        }
        let counted = Arc::clone(&count);
        let work = move || {
            while let Ok(job) = demanded.recv_timeout(IDLE) {
                // As for every worker.
                let _ = catch_unwind(AssertUnwindSafe(job));
            }
            counted.fetch_sub(1, Ordering::Relaxed);
        };
        if thread::Builder::new().name("decode-more".to_owned()).spawn(work).is_err() {
            count.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn expired(&self, now: Instant) -> Vec<Arc<dyn Expire>> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let mut expired = Vec::new();
        while let Some(first) = waiting.replies.first_entry()
            && first.key().0 <= now
        {
            expired.push(first.remove());
        }
        expired
    }
}

fn look_after(watch: &Weak<Watch>, period: Duration) {
    while let Some(watch) = watch.upgrade() {
        for reply in watch.expired(Instant::now()) {
            watch.silent.store(true, Ordering::Relaxed);
            reply.expire();
            watch.stand_in();
        }
        drop(watch);
        thread::sleep(period);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    enum Answer {
        Sent(u32),
        Refused(i32),
    }

    struct Reply(mpsc::Sender<Answer>);

    impl Refuse for Reply {
        fn refuse(self, errno: Errno) {
            self.0.send(Answer::Refused(errno.code())).unwrap();
        }
    }

    fn send(reply: Reply, number: u32) {
        reply.0.send(Answer::Sent(number)).unwrap();
    }

    #[test]
    fn answers_and_failures_arrive() {
        let pool = Pool::start(2, Duration::from_secs(60)).unwrap();
        let (sender, answers) = mpsc::channel();
        pool.submit(Reply(sender.clone()), || Ok(7), send, |_| panic!("nothing failed"));
        assert!(matches!(answers.recv().unwrap(), Answer::Sent(7)));
        let (told, failures) = mpsc::channel();
        pool.submit(
            Reply(sender),
            || Err(Failure::NotFound),
            send,
            move |failure| {
                told.send(failure.to_string()).unwrap();
            },
        );
        assert!(matches!(answers.recv().unwrap(), Answer::Refused(code) if code == Errno::ENOENT.code()));
        assert_eq!(failures.recv().unwrap(), "no such entry");
    }

    #[test]
    fn nobody_waits_longer_than_the_deadline() {
        let pool = Pool::start(1, Duration::from_millis(50)).unwrap();
        let (sender, answers) = mpsc::channel();
        let (release, held) = mpsc::channel::<()>();
        pool.submit(Reply(sender.clone()), move || held.recv().map(|()| 1).map_err(|_| Failure::Stale), send, |_| {});
        pool.submit(Reply(sender.clone()), || Ok(2), send, |_| {});
        assert!(matches!(answers.recv().unwrap(), Answer::Refused(code) if code == Errno::EIO.code()));
        // The one behind it is as late, unless the stand-in was quick.
        assert!(matches!(answers.recv().unwrap(), Answer::Refused(_) | Answer::Sent(2)));
        release.send(()).unwrap();
        pool.submit(Reply(sender), || Ok(3), send, |_| {});
        assert!(matches!(answers.recv().unwrap(), Answer::Sent(3)), "late answers are dropped, the worker goes on");
    }

    #[test]
    fn workers_that_are_held_up_are_stood_in_for() {
        let pool = Pool::start(1, Duration::from_millis(50)).unwrap();
        let (sender, answers) = mpsc::channel();
        let (release, held) = mpsc::channel::<()>();
        pool.submit(Reply(sender.clone()), move || held.recv().map(|()| 1).map_err(|_| Failure::Stale), send, |_| {});
        assert!(matches!(answers.recv().unwrap(), Answer::Refused(_)));
        // The only worker of its own still waits.
        let mut sent = false;
        for _ in 0..100 {
            pool.submit(Reply(sender.clone()), || Ok(2), send, |_| {});
            sent = sent || matches!(answers.recv().unwrap(), Answer::Sent(2));
        }
        assert!(sent);
        drop(release);
    }

    #[test]
    fn a_silent_store_costs_the_whole_deadline_once() {
        let pool = Pool::start(2, Duration::from_secs(3)).unwrap();
        let (sender, answers) = mpsc::channel();
        let wait = || {
            let (release, held) = mpsc::channel::<()>();
            let start = Instant::now();
            let work = move || held.recv().map(|()| 1).map_err(|_| Failure::Stale);
            pool.submit(Reply(sender.clone()), work, send, |_| {});
            assert!(matches!(answers.recv().unwrap(), Answer::Refused(code) if code == Errno::EIO.code()));
            (release, start.elapsed())
        };
        let (first, whole) = wait();
        let (_second, short) = wait();
        assert!(whole >= Duration::from_secs(3) && short < Duration::from_millis(2500), "{whole:?}, {short:?}");
        first.send(()).unwrap();
        while pool.patience() < Duration::from_secs(3) {
            thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn a_panic_is_the_end_of_one_request_only() {
        let pool = Pool::start(1, Duration::from_secs(60)).unwrap();
        let (sender, answers) = mpsc::channel();
        assert!(pool.foresee(|| panic!("a bug")));
        pool.submit(Reply(sender), || Ok(4), send, |_| {});
        assert!(matches!(answers.recv().unwrap(), Answer::Sent(4)));
    }
}
