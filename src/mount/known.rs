//! What boveda knows of an entry beyond what was stored with it, as extended attributes: `user.boveda.*`.
//!
//! They are answered to whoever asks by name, and stand in no listing, so that no copy takes them along. A stored attribute of
//! such a name goes first.

use super::errno::Failure;
use super::node::Node;
use super::view::{Found, Patience, View};
use crate::crypto::hash;
use crate::repo::entry::{Content, EntryKind, Extent};

/// The value of the attribute `name` of an entry, as text.
///
/// - `user.boveda.snapshot`: the id of its snapshot.
/// - `user.boveda.chunks`: of a file, how many chunks it has.
/// - `user.boveda.content`: of a file, a name for its content: the same for the same bytes (and holes) in this repository.
/// - `user.boveda.size`, `user.boveda.entries`: of a folder, the bytes of all files below it, and how many entries there are.
///
/// # Errors
/// [`Failure::NoAttribute`]; what cannot be read.
pub fn value(view: &View, found: &Found, name: &[u8], patience: Patience) -> Result<Vec<u8>, Failure> {
    let name = name.strip_prefix(b"user.boveda.").ok_or(Failure::NoAttribute)?;
    let text = match (name, &found.entry.kind) {
        (b"snapshot", _) => view.id(found.node.snapshot()).ok_or(Failure::Stale)?.to_string(),
        (b"chunks", EntryKind::File(content)) => chunks(content).to_string(),
        (b"content", EntryKind::File(content)) => identity(content),
        (b"size", EntryKind::Directory) => below(view, found, patience)?.1.to_string(),
        (b"entries", EntryKind::Directory) => below(view, found, patience)?.0.to_string(),
        _ => return Err(Failure::NoAttribute),
    };
    Ok(text.into_bytes())
}

/// Entries and bytes below a folder, itself left out.
fn below(view: &View, found: &Found, patience: Patience) -> Result<(u64, u64), Failure> {
    let tree = view.tree(found.node.snapshot(), patience)?;
    let sums = tree.sums(&found.path)?;
    // A root that was not stored does not count itself.
    let own = !matches!(found.node, Node::Root(_)) || tree.root_entry()?.is_some();
    Ok((sums.entries.saturating_sub(u64::from(own)), sums.bytes))
}

fn chunks(content: &Content) -> u64 {
    match content {
        Content::Extents(extents) => {
            extents.iter().filter(|extent| matches!(extent, Extent::Chunk { .. })).count() as u64
        }
        Content::Tree { chunks, .. } => *chunks,
    }
}

/// Equal content gives equal chunks, and these an equal tree.
fn identity(content: &Content) -> String {
    let mut bytes = Vec::new();
    match content {
        Content::Tree { root, .. } => bytes.extend_from_slice(&root.0),
        Content::Extents(extents) => {
            for extent in extents {
                bytes.extend(extent.length().to_le_bytes());
                if let Extent::Chunk { id, .. } = extent {
                    bytes.extend_from_slice(&id.0);
                }
            }
        }
    }
    hash::blake3(&bytes)[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}
