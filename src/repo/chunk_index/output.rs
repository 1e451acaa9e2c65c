//! Writes a run's sections into whole blocks, several at a time, and keeps each block's code.

use super::format::{BLOCK, CODE, code};
use crate::crypto::secret::Secret;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

/// Bytes of a section that are gathered before they are written.
const BUFFER: usize = 16 * BLOCK;

/// What the bytes go into.
#[derive(Debug)]
pub enum Target {
    File(File),
    Memory(Vec<u8>),
}

impl Target {
    fn write_at(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::File(file) => file.write_all_at(bytes, at),
            Self::Memory(memory) => {
                let at = usize::try_from(at).map_err(io::Error::other)?;
                if memory.len() < at + bytes.len() {
                    memory.resize(at + bytes.len(), 0);
                }
                memory[at..at + bytes.len()].copy_from_slice(bytes);
                Ok(())
            }
        }
    }
}

/// A run's blocks, as far as they are written.
#[derive(Debug)]
pub struct Output {
    pub target: Target,
    key: Secret,
    codes: Vec<[u8; CODE]>,
}

impl Output {
    pub const fn new(target: Target, key: Secret) -> Self {
        Self { target, key, codes: Vec::new() }
    }

    fn blocks(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let first = usize::try_from(at / BLOCK as u64).map_err(io::Error::other)?;
        let blocks = bytes.as_chunks::<BLOCK>().0;
        if self.codes.len() < first + blocks.len() {
            self.codes.resize(first + blocks.len(), [0; CODE]);
        }
        for (known, block) in self.codes[first..].iter_mut().zip(blocks) {
            *known = code(&self.key, block);
        }
        self.target.write_at(at, bytes)
    }

    /// Puts what follows the blocks, and returns the codes' keyed hash with what else the caller says.
    pub fn finish(mut self, footer: impl FnOnce(&[u8]) -> Vec<u8>) -> io::Result<Target> {
        let at = (self.codes.len() * BLOCK) as u64;
        let codes = self.codes.as_flattened();
        self.target.write_at(at, codes)?;
        let footer = footer(codes);
        self.target.write_at(at + codes.len() as u64, &footer)?;
        Ok(self.target)
    }
}

/// One section that is being written.
#[derive(Debug)]
pub struct Column {
    /// Where the buffer's bytes go.
    at: u64,
    buffer: Vec<u8>,
    length: u64,
}

impl Column {
    /// A section that starts at `at`, a multiple of a block.
    pub const fn new(at: u64) -> Self {
        Self { at, buffer: Vec::new(), length: 0 }
    }

    /// Bytes pushed.
    pub const fn length(&self) -> u64 {
        self.length
    }

    pub fn push(&mut self, output: &mut Output, bytes: &[u8]) -> io::Result<()> {
        self.buffer.extend_from_slice(bytes);
        self.length += bytes.len() as u64;
        if self.buffer.len() >= BUFFER {
            let whole = self.buffer.len() / BLOCK * BLOCK;
            output.blocks(self.at, &self.buffer[..whole])?;
            self.at += whole as u64;
            self.buffer.drain(..whole);
        }
        Ok(())
    }

    /// Fills the last block; returns the section's length and where the next one starts.
    pub fn finish(mut self, output: &mut Output) -> io::Result<(u64, u64)> {
        self.buffer.resize(self.buffer.len().next_multiple_of(BLOCK), 0);
        output.blocks(self.at, &self.buffer)?;
        Ok((self.length, self.at + self.buffer.len() as u64))
    }
}
