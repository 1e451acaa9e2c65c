//! The parts that an object is made of, and where they lie in its stored bytes: read off `FORMAT.md`, not off the code.

use super::site::Site;
use boveda::repo::armour::{FIXED_LEN, Layout, SHARD_HASH_LEN};
use boveda::repo::names::Name;
use std::ops::Range;

/// A part.
#[derive(Debug, Clone)]
pub struct Part {
    pub name: String,
    pub range: Range<usize>,
}

/// All parts of an object.
pub fn parts(site: &Site, name: &Name, stored: &[u8], layout: &Layout) -> Vec<Part> {
    let mut parts = Parts(Vec::new());
    parts.armour(layout);
    let data = layout.data_range();
    match name {
        Name::Pack(id) => {
            let table = site.intact.read_table(id, stored.len() as u64).unwrap();
            let mut end = data.start;
            for (number, row) in table.rows.iter().enumerate() {
                let start = row.offset as usize;
                end = start + row.length as usize;
                parts.sealed(&format!("segment {number} ({:?})", row.kind), start..end);
            }
            // How long the table is stands in the trailer alone; its start is enough to strike it.
            parts.push("table's nonce", end..end + 24);
            parts.push("table", end + 24..end + 64);
            parts.push("padding", data.end - 128..data.end - 64);
            parts.sealed("trailer", data.end - 64..data.end);
        }
        Name::Slot(..) => parts.slot(stored, data),
        _ => parts.frame(stored, data),
    }
    parts.0
}

struct Parts(Vec<Part>);

impl Parts {
    fn push(&mut self, name: &str, range: Range<usize>) {
        if !range.is_empty() {
            self.0.push(Part { name: name.to_owned(), range });
        }
    }

    fn sealed(&mut self, name: &str, range: Range<usize>) {
        self.push(&format!("{name}'s nonce"), range.start..range.start + 24);
        self.push(&format!("{name}'s ciphertext"), range.start + 24..range.end - 16);
        self.push(&format!("{name}'s tag"), range.end - 16..range.end);
    }

    /// Both fixed parts, field by field, both lists of hashes, the parity.
    fn armour(&mut self, layout: &Layout) {
        let hashes = layout.data_shards() * SHARD_HASH_LEN;
        let tail = layout.stored_len() - layout.head_len();
        for (end, fixed, list) in [("head", 0, FIXED_LEN), ("tail", layout.stored_len() - FIXED_LEN, tail)] {
            for (field, at) in [
                ("magic", 0..8),
                ("version", 8..9),
                ("kind", 9..10),
                ("k", 10..12),
                ("m", 12..14),
                ("s", 14..18),
                ("zeros", 18..20),
                ("check", 20..32),
            ] {
                self.push(&format!("{end}'s {field}"), fixed + at.start..fixed + at.end);
            }
            self.push(&format!("{end}'s data hashes"), list..list + hashes);
            self.push(&format!("{end}'s parity hashes"), list + hashes..list + layout.head_len() - FIXED_LEN);
        }
        let data = layout.data_range();
        self.push("parity", data.end..data.end + layout.parity_len());
    }

    fn frame(&mut self, stored: &[u8], data: Range<usize>) {
        let at = data.start;
        self.push("version", at..at + 1);
        self.push("kind", at + 1..at + 2);
        let (_, suite) = uint(stored, at + 2);
        self.push("epoch", at + 2..suite);
        self.push("suite", suite..suite + 1);
        let (length, clear) = uint(stored, suite + 1);
        self.push("clear part's length", suite + 1..clear);
        self.push("clear part", clear..clear + length);
        let (sealed, start) = uint(stored, clear + length);
        self.push("sealed part's length", clear + length..start);
        if sealed > 0 {
            self.sealed("sealed part", start..start + sealed);
        }
        self.push("signature", start + sealed..start + sealed + 64);
        self.push("padding", start + sealed + 64..data.end);
    }

    fn slot(&mut self, stored: &[u8], data: Range<usize>) {
        let at = data.start;
        for (field, range) in [("version", 0..1), ("kind", 1..2), ("role", 2..3), ("principal", 3..19)] {
            self.push(field, at + range.start..at + range.end);
        }
        let (_, suite) = uint(stored, at + 19);
        self.push("time", at + 19..suite);
        self.push("suite", suite..suite + 1);
        assert_ne!(stored[at + 1], 1, "the site has no passwords, whose cost would stand here");
        let salt = suite + 1;
        self.push("salt", salt..salt + 32);
        self.push("extensions", salt + 32..salt + 33);
        self.push("commitment", salt + 33..salt + 65);
        let (length, sealed) = uint(stored, salt + 65);
        self.push("length", salt + 65..sealed);
        self.sealed("bundle", sealed..sealed + length);
        self.push("padding", sealed + length..data.end);
    }
}

/// A uint at `at`, and where it ends.
fn uint(stored: &[u8], at: usize) -> (usize, usize) {
    let length = 1 + stored[at..].iter().position(|byte| byte & 0x80 == 0).unwrap();
    let groups = stored[at..at + length].iter().rev();
    (groups.fold(0, |value, byte| value << 7 | usize::from(byte & 0x7f)), at + length)
}
