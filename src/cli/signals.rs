//! Ctrl-C and its kin: the first asks the running verb to stop cleanly, the second ends the process at once.
//!
//! Verbs see it through `event::Sink::stopping`. Verbs that do not look there must not install this: for them the
//! system's default, which ends the process, is right.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

use super::error::Code;

/// Which signal asked to stop, if any.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    signal: Arc<AtomicUsize>,
}

impl Stop {
    /// Listens to SIGINT, SIGTERM and SIGHUP from now on.
    ///
    /// # Errors
    /// When a handler cannot be installed.
    pub fn install() -> io::Result<Self> {
        let stop = Self::default();
        let again = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            let number = usize::try_from(signal).expect("signal numbers are positive");
            // The order counts: the one that ends the process must look before the flag is raised.
            flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&again))?;
            flag::register(signal, Arc::clone(&again))?;
            flag::register_usize(signal, Arc::clone(&stop.signal), number)?;
        }
        Ok(stop)
    }

    /// Whether somebody asked to stop.
    pub fn asked(&self) -> bool {
        self.signal.load(Ordering::Relaxed) != 0
    }

    /// The exit code of a verb that stopped because it was asked to.
    pub fn code(&self) -> Option<Code> {
        match self.signal.load(Ordering::Relaxed) {
            0 => None,
            signal => Some(Code::Signal(u8::try_from(signal).expect("one of three small numbers"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_remembered_by_its_number() {
        let stop = Stop::default();
        assert_eq!((stop.asked(), stop.code()), (false, None));
        stop.signal.store(15, Ordering::Relaxed);
        assert_eq!((stop.asked(), stop.code().map(Code::number)), (true, Some(143)));
    }
}
