//! The difference of two texts as a unified diff, the way `diff -u` and `git` write it.

use super::content;
use crate::repo::catalog::Tree;
use crate::repo::entry::{Entry, EntryKind};
use similar::TextDiff;
use std::time::Duration;

/// Larger files are not compared line by line.
pub const LARGEST: u64 = 8 << 20;
/// Bytes in which a zero makes a file binary: as git.
const LOOKED_AT: usize = 8000;
/// After so long the result may be longer than it had to be.
const PATIENCE: Duration = Duration::from_secs(5);

/// What can be said of two contents.
#[derive(Debug, PartialEq, Eq)]
pub enum Patch {
    /// The lines that differ, with three lines around them.
    Text(Vec<u8>),
    /// One of them is no text.
    Binary,
    /// One of them is longer than [`LARGEST`].
    Large,
}

/// Compares two regular files, each with its catalog; `None`, or anything but a regular file, counts as empty.
///
/// # Errors
/// When a content cannot be read.
pub fn patch(
    before: (&Tree, Option<&Entry>, &str),
    after: (&Tree, Option<&Entry>, &str),
) -> Result<Patch, content::Error> {
    let large = |entry: Option<&Entry>| entry.is_some_and(|entry| entry.size > LARGEST);
    if large(before.1) || large(after.1) {
        return Ok(Patch::Large);
    }
    let (old, new) = (bytes(before.0, before.1)?, bytes(after.0, after.1)?);
    if is_binary(&old) || is_binary(&new) {
        return Ok(Patch::Binary);
    }
    Ok(Patch::Text(unified(&old, &new, before.2, after.2)))
}

fn bytes(tree: &Tree, entry: Option<&Entry>) -> Result<Vec<u8>, content::Error> {
    match entry {
        Some(entry) if matches!(entry.kind, EntryKind::File(_)) => content::read(tree, entry),
        _ => Ok(Vec::new()),
    }
}

fn is_binary(bytes: &[u8]) -> bool {
    bytes[..bytes.len().min(LOOKED_AT)].contains(&0)
}

fn unified(old: &[u8], new: &[u8], old_name: &str, new_name: &str) -> Vec<u8> {
    let mut text = Vec::new();
    let diff = TextDiff::configure().timeout(PATIENCE).diff_lines(old, new);
    for hunk in diff.unified_diff().iter_hunks() {
        if text.is_empty() {
            text.extend_from_slice(format!("--- {old_name}\n+++ {new_name}\n").as_bytes());
        }
        // Hunk by hunk, since all at once would go through text, and lose bytes that are none. Memory takes everything.
        let _ = hunk.to_writer(&mut text);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_compared_as_diff_does() {
        let text = unified(b"a\nb\nc\n", b"a\nB\xff\nc", "a/x", "b/x");
        assert_eq!(
            text,
            b"--- a/x\n+++ b/x\n@@ -1,3 +1,3 @@\n a\n-b\n-c\n+B\xff\n+c\n\\ No newline at end of file\n".to_vec()
        );
        assert!(is_binary(b"a\0") && !is_binary(b"text"));
    }
}
