//! The one runtime that all remote stores of the process share, made when the first is opened: a run on a local folder never
//! pays for it.

use std::io;
use std::sync::{Mutex, OnceLock, PoisonError};
use tokio::runtime::{Builder, Runtime};

/// Threads that drive connections; whoever calls drives its own request.
const WORKERS: usize = 2;

static RUNTIME: OnceLock<Runtime> = OnceLock::new();
static MAKING: Mutex<()> = Mutex::new(());

/// The runtime.
///
/// # Errors
/// When the system refuses its threads or its event queue.
pub fn shared() -> io::Result<&'static Runtime> {
    // Nothing is kept under this lock.
    let _making = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime);
    }
    let runtime = Builder::new_multi_thread().worker_threads(WORKERS).thread_name("boveda-net").enable_all().build()?;
    Ok(RUNTIME.get_or_init(|| runtime))
}
