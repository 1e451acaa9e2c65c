//! The order of a catalog: a key is the parent's path with `/` as 0x00, then 0x00 0x00, then the name; the root's is empty.
//!
//! Compared as bytes, the children of a directory lie together, everything below a directory is one range, and a directory's
//! listing comes before the listings of its subdirectories: the order in which a walk meets them. No valid name holds 0x00,
//! so a key has exactly one 0x00 0x00 and decodes to exactly one path. Not here: what the keys lead to.

use crate::repo::entry::{EntryName, EntryPath};

const SEPARATOR: [u8; 2] = [0, 0];

/// A range of keys: from `start`, up to and without `end`; no `end`: all that follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRange {
    /// The first key that may be in it.
    pub start: Vec<u8>,
    /// The first key after it.
    pub end: Option<Vec<u8>>,
}

impl KeyRange {
    /// Every key.
    pub const ALL: Self = Self { start: Vec::new(), end: None };

    /// Whether `key` lies before the end.
    pub(super) fn ends_after(&self, key: &[u8]) -> bool {
        self.end.as_deref().is_none_or(|end| key < end)
    }
}

/// The key of `path`.
pub fn encode(path: &EntryPath) -> Vec<u8> {
    let mut key = Vec::new();
    encode_into(path, &mut key);
    key
}

/// Replaces what `key` holds by the key of `path`.
pub fn encode_into(path: &EntryPath, key: &mut Vec<u8>) {
    match path.0.split_last() {
        Some((name, parent)) => encode_parts(parent, name, key),
        None => key.clear(),
    }
}

/// Replaces what `key` holds by the key of `name` in the directory `parent`.
pub fn encode_child(parent: &EntryPath, name: &EntryName, key: &mut Vec<u8>) {
    encode_parts(&parent.0, name, key);
}

fn encode_parts(parent: &[EntryName], name: &EntryName, key: &mut Vec<u8>) {
    key.clear();
    append_joined(parent, key);
    key.extend_from_slice(&SEPARATOR);
    key.extend_from_slice(name.as_bytes());
}

/// The path of a key; `None` when it is no key.
pub fn decode(key: &[u8]) -> Option<EntryPath> {
    if key.is_empty() {
        return Some(EntryPath::default());
    }
    let (parent, name) = split(key)?;
    let mut names = Vec::new();
    if !parent.is_empty() {
        for part in parent.split(|&byte| byte == 0) {
            names.push(EntryName::new(part)?);
        }
    }
    names.push(EntryName::new(name)?);
    Some(EntryPath(names))
}

/// The name at the end of a key; `None` when it is no key, or the root's.
pub fn name(key: &[u8]) -> Option<EntryName> {
    EntryName::new(split(key)?.1)
}

/// Whether [`decode`] would succeed, without building the path.
pub(super) fn is_valid(key: &[u8]) -> bool {
    let name = |part: &[u8]| (1..=255).contains(&part.len()) && part != b"." && part != b".." && !part.contains(&b'/');
    let path = |path: &[u8]| path.is_empty() || path.split(|&byte| byte == 0).all(name);
    key.is_empty() || split(key).is_some_and(|(parent, last)| path(parent) && name(last) && !last.contains(&0))
}

/// The entries of the directory `path`.
pub fn children(path: &EntryPath) -> KeyRange {
    let mut start = joined(path);
    start.push(0);
    let end = with(&start, 1);
    start.push(0);
    KeyRange { start, end: Some(end) }
}

/// The entries of the directory `path` whose names come after `name`.
pub fn children_after(path: &EntryPath, name: &EntryName) -> KeyRange {
    let mut range = children(path);
    range.start.extend_from_slice(name.as_bytes());
    // The next possible key: no key ends in 0x00, but none lies between the two either.
    range.start.push(0);
    range
}

/// Everything below the directory `path`, without `path` itself.
pub fn subtree(path: &EntryPath) -> KeyRange {
    let joined = joined(path);
    let end = (!joined.is_empty()).then(|| with(&joined, 1));
    KeyRange { start: with(&joined, 0), end }
}

/// Splits a key of anything but the root at its separator.
fn split(key: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = key.windows(2).position(|pair| pair == SEPARATOR)?;
    Some((&key[..at], &key[at + 2..]))
}

fn joined(path: &EntryPath) -> Vec<u8> {
    let mut bytes = Vec::new();
    append_joined(&path.0, &mut bytes);
    bytes
}

fn append_joined(names: &[EntryName], bytes: &mut Vec<u8>) {
    for (at, name) in names.iter().enumerate() {
        if at > 0 {
            bytes.push(0);
        }
        bytes.extend_from_slice(name.as_bytes());
    }
}

fn with(bytes: &[u8], last: u8) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + 1);
    out.extend_from_slice(bytes);
    out.push(last);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn path(text: &str) -> EntryPath {
        EntryPath::parse(text.as_bytes()).unwrap()
    }

    fn contains(range: &KeyRange, key: &[u8]) -> bool {
        key >= range.start.as_slice() && range.ends_after(key)
    }

    prop_compose! {
        fn paths()(names in prop::collection::vec("[\x01ab.\u{e9}]{1,3}", 0..5)) -> EntryPath {
            EntryPath(names.into_iter().filter_map(|name| EntryName::new(name.into_bytes())).collect())
        }
    }

    #[test]
    fn golden_keys() {
        for (text, name) in [("/", "key root"), ("/usr", "key /usr"), ("/usr/share/doc", "key /usr/share/doc")] {
            assert_eq!(encode(&path(text)), crate::repo::golden::bytes(name));
        }
    }

    #[test]
    fn a_listing_comes_before_the_listings_below_it() {
        let walk = ["/", "/a", "/a.b", "/b", "/a/x", "/a/y", "/a/x/1", "/a/x/2", "/a/y/1", "/a.b/c", "/b/c"];
        assert!(walk.map(|text| encode(&path(text))).is_sorted());
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for bad in [&b"a"[..], b"\0a", b"\0\0", b"a\0\0", b"\0\0a\0b", b"\0\0a/b", b"\0\0..", b"..\0\0a", b"a\0\0\0b"] {
            assert_eq!(decode(bad), None, "{bad:?}");
            assert!(!is_valid(bad), "{bad:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        #[test]
        fn keys_decode_to_their_paths(path in paths()) {
            let key = encode(&path);
            prop_assert!(is_valid(&key));
            prop_assert_eq!(name(&key), path.0.last().cloned());
            prop_assert_eq!(decode(&key), Some(path));
        }

        #[test]
        fn validity_is_what_decodes(key in prop::collection::vec(prop::sample::select(&b"\0\0\0a./"[..]), 0..9)) {
            prop_assert_eq!(is_valid(&key), decode(&key).is_some());
            if let Some(path) = decode(&key) {
                prop_assert_eq!(encode(&path), key);
            }
        }

        #[test]
        fn ranges_hold_what_they_say(dir in paths(), other in paths()) {
            let key = encode(&other);
            let below = dir.contains(&other) && dir != other;
            prop_assert_eq!(contains(&subtree(&dir), &key), below);
            let child = below && other.0.len() == dir.0.len() + 1;
            prop_assert_eq!(contains(&children(&dir), &key), child);
            if let Some(name) = EntryName::new(*b"a.") {
                let after = child && other.0.last() > Some(&name);
                prop_assert_eq!(contains(&children_after(&dir, &name), &key), after);
            }
        }
    }
}
