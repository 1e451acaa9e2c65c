//! Progress on demand: SIGUSR1 makes a running verb say once, on standard error, where it is; also when it is quiet.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use signal_hook::consts::SIGUSR1;
use signal_hook::iterator::Signals;

use super::Face;
use crate::event::{Progress, Stage};

/// The newest numbers.
#[derive(Debug)]
pub struct Latest {
    start: Instant,
    numbers: Mutex<Option<(Stage, Progress)>>,
}

impl Latest {
    pub fn new() -> Self {
        Self { start: Instant::now(), numbers: Mutex::default() }
    }

    /// Takes note of numbers. Many threads bring them; while one does, those of another are not missed.
    pub fn note(&self, stage: Stage, progress: Progress) {
        if let Ok(mut numbers) = self.numbers.try_lock() {
            *numbers = Some((stage, progress));
        }
    }

    /// The numbers, `None` before the first, and the time since the start.
    pub fn get(&self) -> (Option<(Stage, Progress)>, Duration) {
        (*self.numbers.lock().unwrap_or_else(PoisonError::into_inner), self.start.elapsed())
    }
}

/// Answers SIGUSR1 from now on, for as long as the face is there.
///
/// # Errors
/// When the signal cannot be listened to, or no thread is to be had.
pub fn answer(face: &Arc<Face>, latest: &Arc<Latest>) -> io::Result<()> {
    let mut signals = Signals::new([SIGUSR1])?;
    let (face, latest) = (Arc::downgrade(face), Arc::clone(latest));
    let answering = move || {
        for _ in signals.forever() {
            let Some(face) = face.upgrade() else { return };
            let (numbers, elapsed) = latest.get();
            face.answer(numbers, elapsed);
        }
    };
    std::thread::Builder::new().name("asked".to_owned()).spawn(answering).map(|_| ())
}
