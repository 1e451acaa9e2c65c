//! What does not fit in memory while a run is made: bytes to be read back once, and numbers to be sorted.
//!
//! Both begin in memory, and go on in files that have no name any more, so that nothing is left behind by whoever is killed.
//! Without a folder they stay in memory.

use crate::crypto::secret::random;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Cursor, Read, Seek as _, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes of a spool that stay in memory.
const SPOOL: usize = 256 << 10;
/// Numbers sorted in memory at a time: 16 MiB of them.
const SORTED: usize = 1 << 20;
/// Bytes for reading sorted numbers back, shared by all parts.
const READING: usize = 8 << 20;
/// Bytes of a number.
const NUMBER: usize = 16;

/// A file that vanishes with its last handle.
fn nameless(folder: &Path) -> io::Result<File> {
    let path = folder.join(format!("chunks.new-{:032x}", u128::from_le_bytes(random())));
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

/// Bytes that are written once, then read once.
#[derive(Debug)]
pub struct Spool {
    folder: Option<PathBuf>,
    memory: Vec<u8>,
    file: Option<BufWriter<File>>,
    length: u64,
}

impl Spool {
    pub fn new(folder: Option<&Path>) -> Self {
        Self { folder: folder.map(Path::to_owned), memory: Vec::new(), file: None, length: 0 }
    }

    /// Bytes written.
    pub const fn length(&self) -> u64 {
        self.length
    }

    pub fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.length += bytes.len() as u64;
        if let Some(file) = &mut self.file {
            return file.write_all(bytes);
        }
        self.memory.extend_from_slice(bytes);
        if let Some(folder) = self.folder.as_ref().filter(|_| self.memory.len() > SPOOL) {
            let mut file = BufWriter::with_capacity(SPOOL, nameless(folder)?);
            file.write_all(&self.memory)?;
            self.memory = Vec::new();
            self.file = Some(file);
        }
        Ok(())
    }

    /// What was written, from the beginning.
    pub fn into_reader(self) -> io::Result<Box<dyn Read>> {
        let Some(file) = self.file else { return Ok(Box::new(Cursor::new(self.memory))) };
        let mut file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.rewind()?;
        Ok(Box::new(file))
    }
}

/// Sorts any number of numbers.
#[derive(Debug)]
pub struct Sorter {
    folder: Option<PathBuf>,
    numbers: Vec<u128>,
    limit: usize,
    file: Option<BufWriter<File>>,
    /// Bytes of each sorted part of the file.
    parts: Vec<u64>,
    count: u64,
}

impl Sorter {
    pub fn new(folder: Option<&Path>) -> Self {
        Self::with_limit(folder, SORTED)
    }

    fn with_limit(folder: Option<&Path>, limit: usize) -> Self {
        Self { folder: folder.map(Path::to_owned), numbers: Vec::new(), limit, file: None, parts: Vec::new(), count: 0 }
    }

    /// Numbers pushed.
    pub const fn count(&self) -> u64 {
        self.count
    }

    pub fn push(&mut self, number: u128) -> io::Result<()> {
        self.numbers.push(number);
        self.count += 1;
        if self.numbers.len() >= self.limit { self.spill() } else { Ok(()) }
    }

    fn spill(&mut self) -> io::Result<()> {
        let Some(folder) = &self.folder else { return Ok(()) };
        self.numbers.sort_unstable();
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(BufWriter::with_capacity(SPOOL, nameless(folder)?)),
        };
        for number in &self.numbers {
            file.write_all(&number.to_le_bytes())?;
        }
        self.parts.push((self.numbers.len() * NUMBER) as u64);
        self.numbers.clear();
        Ok(())
    }

    /// All numbers, ascending.
    pub fn finish(mut self) -> io::Result<Sorted> {
        let Some(file) = self.file.take() else {
            self.numbers.sort_unstable();
            return Ok(Sorted::Memory(self.numbers.into_iter()));
        };
        self.file = Some(file);
        if !self.numbers.is_empty() {
            self.spill()?;
        }
        self.numbers = Vec::new();
        let file = self.file.take().expect("it was put back just now");
        let file = Arc::new(file.into_inner().map_err(io::IntoInnerError::into_error)?);
        let buffer = (READING / self.parts.len() / NUMBER).max(256) * NUMBER;
        let (mut parts, mut heap, mut at) = (Vec::new(), BinaryHeap::new(), 0);
        for length in self.parts {
            let mut part =
                Part { file: Arc::clone(&file), at, end: at + length, buffer: Vec::new(), next: 0, size: buffer };
            if let Some(number) = part.next()? {
                heap.push(Reverse((number, parts.len())));
            }
            parts.push(part);
            at += length;
        }
        Ok(Sorted::Merged { parts, heap })
    }
}

/// Numbers in order.
pub enum Sorted {
    Memory(std::vec::IntoIter<u128>),
    Merged { parts: Vec<Part>, heap: BinaryHeap<Reverse<(u128, usize)>> },
}

impl Sorted {
    pub fn next(&mut self) -> io::Result<Option<u128>> {
        match self {
            Self::Memory(numbers) => Ok(numbers.next()),
            Self::Merged { parts, heap } => {
                let Some(mut top) = heap.peek_mut() else { return Ok(None) };
                let Reverse((number, part)) = *top;
                match parts[part].next()? {
                    Some(next) => *top = Reverse((next, part)),
                    None => drop(std::collections::binary_heap::PeekMut::pop(top)),
                }
                Ok(Some(number))
            }
        }
    }
}

/// One sorted part of a file.
pub struct Part {
    file: Arc<File>,
    at: u64,
    end: u64,
    buffer: Vec<u8>,
    next: usize,
    size: usize,
}

impl Part {
    fn next(&mut self) -> io::Result<Option<u128>> {
        if self.next == self.buffer.len() {
            let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
            self.buffer.resize(self.size.min(left), 0);
            self.file.read_exact_at(&mut self.buffer, self.at)?;
            self.at += self.buffer.len() as u64;
            self.next = 0;
        }
        let number = self.buffer[self.next..].first_chunk::<NUMBER>().map(|bytes| u128::from_le_bytes(*bytes));
        self.next += if number.is_some() { NUMBER } else { 0 };
        Ok(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_was_spooled_comes_back_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        for folder in [None, Some(folder.path())] {
            let mut spool = Spool::new(folder);
            let bytes: Vec<u8> = (0..3 * SPOOL).map(|at| ((at * 7) >> 8) as u8).collect();
            bytes.chunks(1000).for_each(|chunk| spool.push(chunk).unwrap());
            assert_eq!(spool.length(), bytes.len() as u64);
            assert_eq!(spool.file.is_some(), folder.is_some());
            let mut back = Vec::new();
            spool.into_reader().unwrap().read_to_end(&mut back).unwrap();
            assert!(back == bytes);
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn numbers_come_out_in_order(numbers in proptest::collection::vec(any::<u128>(), 0..200), limit in 1usize..60) {
            let folder = tempfile::tempdir().unwrap();
            let mut sorter = Sorter::with_limit(Some(folder.path()), limit);
            numbers.iter().for_each(|number| sorter.push(*number).unwrap());
            prop_assert_eq!(sorter.count(), numbers.len() as u64);
            let mut sorted = sorter.finish().unwrap();
            let found: Vec<u128> = std::iter::from_fn(|| sorted.next().unwrap()).collect();
            let mut expected = numbers;
            expected.sort_unstable();
            prop_assert_eq!(found, expected);
        }
    }
}
