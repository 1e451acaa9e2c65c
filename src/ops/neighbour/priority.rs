//! The priority of this process, for processors and for disks.

use nix::libc;
use rustix::process::{getpriority_process, setpriority_process};
use std::io;

/// The niceness that gives way: half way down, so that work goes on beside what never ends.
const NICENESS: i32 = 10;

/// The kernel's names, from `linux/ioprio.h`; libc has none.
const IOPRIO_WHO_PROCESS: libc::c_int = 1;
const IOPRIO_CLASS_IDLE: libc::c_int = 3;
const IOPRIO_CLASS_SHIFT: libc::c_int = 13;

/// Lets everybody else go first: the calling thread, and all threads and processes that it starts from now on. Disks serve
/// them when nobody else wants anything, if the disk's scheduler knows classes (bfq does). There is no way back without
/// privileges.
///
/// # Errors
/// What the system said, when it refuses one of both; the other is done all the same.
pub fn give_way() -> io::Result<()> {
    let processor = lower();
    idle_disk().and(processor)
}

fn lower() -> io::Result<()> {
    // Whoever was started at a lower priority stays there.
    if getpriority_process(None)? < NICENESS {
        setpriority_process(None, NICENESS)?;
    }
    Ok(())
}

fn idle_disk() -> io::Result<()> {
    let priority = IOPRIO_CLASS_IDLE << IOPRIO_CLASS_SHIFT;
    // SAFETY: the call takes three numbers and touches no memory of ours; 0 is the calling thread.
    let done = unsafe { libc::syscall(libc::SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, priority) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_gives_way_with_all_that_it_starts() {
        let thread = || {
            give_way().unwrap();
            give_way().unwrap();
            std::thread::spawn(|| getpriority_process(None).unwrap()).join().unwrap()
        };
        // In a thread of its own: the others of this test run stay as they are.
        assert!(std::thread::spawn(thread).join().unwrap() >= NICENESS);
    }
}
