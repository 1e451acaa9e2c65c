//! Standard input as a stream. Whether all of it came nobody can know: a command before a pipe that fails looks like one
//! that is done.

use super::{Error, Stream, read_error};
use crate::event::Sink;
use crate::source::ready::ready;
use rustix::io::Errno;

/// This process's standard input.
#[derive(Debug, Clone, Copy, Default)]
pub struct StandardInput;

impl Stream for StandardInput {
    fn read(&mut self, buffer: &mut [u8], events: &dyn Sink) -> Result<usize, Error> {
        let input = rustix::stdio::stdin();
        loop {
            match ready([input], events).and_then(|_| rustix::io::read(input, &mut *buffer)) {
                Err(Errno::AGAIN) => {}
                other => return other.map_err(|error| read_error("standard input", error)),
            }
        }
    }

    fn finish(&mut self, _: &dyn Sink) -> Result<(), Error> {
        Ok(())
    }
}
