//! The maps of sparse files that stand among a member's bytes: at the front of its content, or in GNU's old headers.

use super::{BLOCK, Error, Reader, number};
use crate::ops::import::sparse::{self, Stretch};
use std::io::Read;
use tar::Header;

/// The longest map of a sparse file, in stretches.
const STRETCHES: usize = 1 << 20;

impl<R: Read> Reader<R> {
    /// The map at the front of the content: numbers, a line each.
    pub(super) fn inline_map(&mut self) -> Result<Vec<Stretch>, Error> {
        let mut lines = Vec::new();
        let mut digits = Vec::new();
        let mut count = None;
        loop {
            let mut block = [0; BLOCK as usize];
            if self.read(&mut block)? < block.len() {
                return Err(self.wrong("a sparse map is malformed"));
            }
            for byte in block {
                match byte {
                    b'0'..=b'9' if digits.len() < 20 => digits.push(byte),
                    b'\n' => {
                        let value = number(&digits).ok_or_else(|| self.wrong("a sparse map is malformed"))?;
                        digits.clear();
                        match count {
                            None if value <= STRETCHES as u64 => count = Some(2 * value as usize),
                            None => return Err(self.wrong("a sparse map is longer than any map can be")),
                            Some(_) => lines.push(value),
                        }
                        if count == Some(lines.len()) {
                            break;
                        }
                    }
                    _ => return Err(self.wrong("a sparse map is malformed")),
                }
            }
            if count == Some(lines.len()) {
                return sparse::pairs(&lines).ok_or_else(|| self.wrong("a sparse map is malformed"));
            }
        }
    }

    /// The map of GNU's old form: in the header, and in blocks behind it.
    pub(super) fn old_map(&mut self, header: &Header) -> Result<(Vec<Stretch>, u64), Error> {
        let malformed = "a sparse header is malformed";
        let gnu = header.as_gnu().ok_or_else(|| self.wrong(malformed))?;
        let real = gnu.real_size().map_err(|_| self.wrong(malformed))?;
        let mut map = Vec::new();
        let take = |slots: &[tar::GnuSparseHeader], map: &mut Vec<Stretch>| {
            slots.iter().filter(|slot| !slot.is_empty()).try_for_each(|slot| {
                map.push((slot.offset().ok()?, slot.length().ok()?));
                Some(())
            })
        };
        take(&gnu.sparse, &mut map).ok_or_else(|| self.wrong(malformed))?;
        let mut more = gnu.is_extended();
        while more {
            let mut extension = tar::GnuExtSparseHeader::new();
            self.fill(extension.as_mut_bytes())?;
            take(&extension.sparse, &mut map).ok_or_else(|| self.wrong(malformed))?;
            more = extension.is_extended();
            if map.len() > STRETCHES {
                return Err(self.wrong("a sparse map is longer than any map can be"));
            }
        }
        Ok((map, real))
    }
}
