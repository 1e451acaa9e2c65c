//! Keeps this process's memory, keys included, out of core dumps and away from other processes of the same user.

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
use std::io;

/// Makes the process non-dumpable: no core files, no tracing by unprivileged processes. To be called first thing in `main`.
///
/// # Errors
/// When the system refuses; a caller may go on, and should say so.
pub fn harden() -> io::Result<()> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::{dumpable_behavior, getrlimit};

    #[test]
    fn a_hardened_process_leaves_no_core() {
        harden().unwrap();
        assert_eq!(getrlimit(Resource::Core), Rlimit { current: Some(0), maximum: Some(0) });
        assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
        // Twice is as good as once.
        harden().unwrap();
    }
}
