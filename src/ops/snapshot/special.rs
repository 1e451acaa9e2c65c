//! The bytes of a special file, for whoever cuts large files.

use super::slab::Bytes;
use super::stage::{Failure, Stage};
use crate::source::files::content::Read;
use crate::source::files::dir::DirHandle;
use crate::source::files::special::SpecialFile;
use crate::source::files::walk::Child;

/// An open special file, waited for as long as nobody stops the run.
pub(super) struct SpecialBytes<'a> {
    /// The file.
    pub file: SpecialFile<'a>,
    stage: &'a Stage<'a>,
}

impl<'a> SpecialBytes<'a> {
    /// Opens it.
    ///
    /// # Errors
    /// As [`SpecialFile::open`].
    pub fn open(dir: &'a DirHandle, child: &'a Child, stage: &'a Stage<'a>) -> Result<Self, Failure> {
        Ok(Self { file: SpecialFile::open(dir, child)?, stage })
    }
}

impl Bytes for SpecialBytes<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<Read, Failure> {
        match self.file.read(buffer, self.stage.events) {
            Ok(0) => Ok(Read::End),
            Ok(count) => Ok(Read::Data(count)),
            Err(problem) => {
                self.stage.go_on()?;
                Err(Failure::Source(problem))
            }
        }
    }
}
