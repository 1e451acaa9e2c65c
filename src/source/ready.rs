//! Waits until something can be read, as long as nobody stops the run.

use crate::event::Sink;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::BorrowedFd;
use rustix::io::Errno;

/// How long one wait lasts before it is asked whether to stop.
const WAIT: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };

/// Which of the descriptors can be read without waiting, or have come to their end; at least one.
///
/// # Errors
/// `EINTR` when `events` says to stop, else what the system said.
pub(super) fn ready<const N: usize>(fds: [BorrowedFd<'_>; N], events: &dyn Sink) -> Result<[bool; N], Errno> {
    let mut polled = fds.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
    loop {
        if events.stopping() {
            return Err(Errno::INTR);
        }
        match poll(&mut polled, Some(&WAIT)) {
            Ok(0) | Err(Errno::INTR) => {}
            Ok(_) => return Ok(std::array::from_fn(|n| !polled[n].revents().is_empty())),
            Err(error) => return Err(error),
        }
    }
}
