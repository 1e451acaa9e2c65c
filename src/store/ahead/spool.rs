//! Blocks that leave memory and may be needed again, in a file of this machine that has no name: sealed as they came, and gone with the process.

use super::block::BLOCK;
use crate::crypto::hash::hex;
use crate::crypto::secret::random;
use crate::store::ObjectName;
use std::collections::HashMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::PathBuf;

/// A block's pack, and its number there.
pub type Key = (ObjectName, u64);

/// The file, made when the first block comes.
pub struct Spool {
    folder: PathBuf,
    /// Blocks that it holds at most: then the oldest makes room.
    most: u64,
    file: Option<File>,
    /// Where each block lies, and its length.
    places: HashMap<Key, (u64, usize)>,
    /// Whose each place is, in turn.
    holders: Vec<Key>,
    next: u64,
    /// Whether the disk would not take one: then it is not asked again.
    off: bool,
}

impl Spool {
    /// In `folder`, made when it is needed; at most about `most` bytes.
    pub fn new(folder: PathBuf, most: u64) -> Self {
        let (file, places, holders) = (None, HashMap::new(), Vec::new());
        Self { folder, most: most / BLOCK, file, places, holders, next: 0, off: false }
    }

    /// Whether a block lies here.
    pub fn has(&self, key: &Key) -> bool {
        self.places.contains_key(key)
    }

    /// A block, if it lies here and the disk gives it.
    pub fn get(&self, key: &Key) -> Option<Vec<u8>> {
        let (place, length) = self.places.get(key)?;
        let mut bytes = vec![0; *length];
        self.file.as_ref()?.read_exact_at(&mut bytes, place * BLOCK).ok()?;
        Some(bytes)
    }

    /// Takes a block.
    pub fn add(&mut self, key: &Key, bytes: &[u8]) {
        if self.off || self.most == 0 || bytes.len() as u64 > BLOCK || self.has(key) {
            return;
        }
        let place = self.next % self.most;
        if self.write(place, bytes).is_err() {
            self.off = true;
            return;
        }
        match self.holders.get_mut(place as usize) {
            Some(holder) => {
                let before = std::mem::replace(holder, key.clone());
                if self.places.get(&before).is_some_and(|(at, _)| *at == place) {
                    self.places.remove(&before);
                }
            }
            None => self.holders.push(key.clone()),
        }
        self.places.insert(key.clone(), (place, bytes.len()));
        self.next += 1;
    }

    /// Forgets what it has of an object.
    pub fn forget(&mut self, name: &ObjectName) {
        self.places.retain(|(of, _), _| of != name);
    }

    fn write(&mut self, place: u64, bytes: &[u8]) -> io::Result<()> {
        if self.file.is_none() {
            DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
            let path = self.folder.join(format!("new-{}", hex(&random::<16>())));
            let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
            fs::remove_file(&path)?;
            self.file = Some(file);
        }
        self.file.as_ref().map_or(Ok(()), |file| file.write_all_at(bytes, place * BLOCK))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_come_back_until_others_take_their_place() {
        let place = tempfile::tempdir().unwrap();
        let mut spool = Spool::new(place.path().join("deep"), 3 * BLOCK);
        let key = |number| (ObjectName::new("packs/aa/1").unwrap(), number);
        for number in 0..4 {
            spool.add(&key(number), &[number as u8; 10]);
        }
        assert_eq!(
            (0..4).map(|number| spool.get(&key(number))).collect::<Vec<_>>(),
            [None, Some(vec![1; 10]), Some(vec![2; 10]), Some(vec![3; 10]),]
        );
        assert_eq!(fs::read_dir(place.path().join("deep")).unwrap().count(), 0, "nothing stays behind");
        spool.forget(&key(0).0);
        assert!(!spool.has(&key(3)) && spool.get(&key(3)).is_none());
        spool.add(&key(3), &[7; 5]);
        assert_eq!(spool.get(&key(3)), Some(vec![7; 5]));
    }

    #[test]
    fn a_disk_that_takes_nothing_is_not_asked_again() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("file");
        fs::write(&file, "no folder").unwrap();
        let mut spool = Spool::new(file.join("spool"), 8 * BLOCK);
        let key = (ObjectName::new("packs/aa/1").unwrap(), 0);
        spool.add(&key, b"x");
        assert!(!spool.has(&key) && spool.off);
    }
}
